/* SPDX-License-Identifier: MIT
 *
 * smp.c - see smp.h.
 *
 * A CPU is started by INIT and a start-up interrupt, twice if need be, as the manual says. It
 * finds its struct cpu by its APIC id, says `online` (release), and waits for work (work.c).
 */
#include "kernel-port/kernel/smp.h"

#include "apic.h"
#include "cpu.h"
#include "kernel-port/kernel/clock.h"
#include "kernel-port/kernel/lib/panic.h"
#include "kernel-port/kernel/lib/text.h"
#include "kernel-port/kernel/work.h"
#include "paging.h"
#include "trap.h"
#include "x86.h"

enum {
    AFTER_INIT_US = 10000,
    AFTER_STARTUP_US = 200,
    PATIENCE_MS = 10000, /* emulated CPUs share the real ones */
};

extern char trampoline_start[], trampoline_root[], trampoline_end[];

void ap_main(struct cpu *c); /* called by trampoline.S */

struct cpu *cpu_by_apic_id[APIC_IDS + 1]; /* read by trampoline.S */

static void map_stack(struct quire_boot *boot, uint32_t cpu, enum cpu_stack which, uint32_t node)
{
    uint64_t phys = boot_take(boot, STACK_BYTES, node, 0);

    paging_map(boot, cpu_stack_end(cpu, which) - STACK_BYTES, phys, STACK_BYTES, MAP_WRITE);
}

static struct cpu *make_cpu(struct quire_boot *boot, uint32_t id, uint32_t apic, uint32_t node)
{
    struct cpu *c = direct(boot_take(boot, sizeof *c, node, 0));

    c->id = id;
    c->apic_id = apic;
    c->node = node;
    c->stack_top = cpu_stack_end(id, STACK_USUAL);
    for (unsigned i = 0; i < STACKS_PER_CPU; i++)
        map_stack(boot, id, (enum cpu_stack)i, node);
    c->tss.ist[STACK_NMI - 1] = cpu_stack_end(id, STACK_NMI);
    c->tss.ist[STACK_FAULT - 1] = cpu_stack_end(id, STACK_FAULT);
    cpus[id] = c;
    cpu_by_apic_id[apic] = c;
    return c;
}

/* The first CPU is number 0, whatever place the firmware gave it. */
static void number_cpus(struct quire_boot *boot, const struct quire_topology *t)
{
    uint32_t boot_apic = apic_id(), next = 1;
    bool found = false;

    for (uint32_t i = 0; i < t->cpu_count; i++) {
        bool first = t->cpu_id[i] == boot_apic;

        if (t->cpu_id[i] >= APIC_IDS)
            panic("CPU with APIC id %u: it takes x2APIC, this kernel has xAPIC", t->cpu_id[i]);
        if (!first && next == CPUS_MAX)
            panic("%u CPUs, this kernel takes %u", t->cpu_count, (unsigned)CPUS_MAX);
        (void)make_cpu(boot, first ? 0 : next, t->cpu_id[i], t->cpu_node[i]);
        next += first ? 0 : 1;
        found = found || first;
    }
    if (!found)
        panic("ACPI does not know the CPU that runs, APIC id %u", boot_apic);
    cpu_count = t->cpu_count;
}

void smp_prepare(struct quire_boot *boot, const struct quire_topology *topology)
{
    cpus[0] = NULL;
    number_cpus(boot, topology);
    cpus[0]->online = 1;
    cpu_become(cpus[0]);
    trap_use_stacks();
    paging_map(boot, TRAMPOLINE, TRAMPOLINE, PAGE_BYTES, MAP_EXECUTE);
}

void ap_main(struct cpu *c)
{
    cpu_become(c);
    trap_load();
    paging_protect();
    apic_enable();
    __atomic_store_n(&c->online, 1, __ATOMIC_RELEASE); /* pairs with missing() */
    work_wait();
}

static uint32_t missing(void)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < cpu_count; i++)
        n += !__atomic_load_n(&cpus[i]->online, __ATOMIC_ACQUIRE);
    return n;
}

static void send_startup(void)
{
    for (uint32_t i = 1; i < cpu_count; i++)
        if (!__atomic_load_n(&cpus[i]->online, __ATOMIC_ACQUIRE))
            apic_startup(cpus[i]->apic_id, TRAMPOLINE / PAGE_BYTES);
}

void smp_start(void)
{
    uint32_t root = paging_root();

    memcpy(direct(TRAMPOLINE), trampoline_start, (size_t)(trampoline_end - trampoline_start));
    memcpy((char *)direct(TRAMPOLINE) + (trampoline_root - trampoline_start), &root, sizeof root);
    for (uint32_t i = 1; i < cpu_count; i++)
        apic_init(cpus[i]->apic_id);
    clock_wait_us(AFTER_INIT_US);
    send_startup();
    clock_wait_us(AFTER_STARTUP_US);
    send_startup();
    for (unsigned ms = 0; missing() && ms < PATIENCE_MS; ms++)
        clock_wait_us(1000);
    if (missing())
        panic("%u of %u CPUs did not start", missing(), cpu_count);
    paging_unmap_page(TRAMPOLINE);
}
