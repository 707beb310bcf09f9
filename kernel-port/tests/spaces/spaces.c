/* SPDX-License-Identifier: MIT
 *
 * spaces.c - see spaces.h.
 */
#include "spaces.h"

#include "cpu.h"
#include "kernel-port/kernel/lib/panic.h"
#include "kernel-port/kernel/lib/text.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/kernel/work.h"
#include "paging.h"
#include "x86.h"

#define KERNELS_HALF 0xffff800000000000ul

static struct quire_paging kernels;
static struct quire_space *loaded[CPUS_MAX];
static uint64_t asked, answered[CPUS_MAX], arrived, pager_failures, retired; /* atomic */

/* ---- Shoot-downs ---------------------------------------------------------------------------- */

void spaces_answer(void)
{
    uint64_t wanted = __atomic_load_n(&asked, __ATOMIC_SEQ_CST);

    if (wanted == answered[this_cpu()->id])
        return;
    write_cr3(read_cr3());
    __atomic_store_n(&answered[this_cpu()->id], wanted, __ATOMIC_SEQ_CST);
}

static void shoot_down(void *ctx, struct quire_vrange range)
{
    uint64_t mine = __atomic_add_fetch(&asked, 1, __ATOMIC_SEQ_CST);

    (void)ctx;
    (void)range;
    for (uint32_t i = 0; i < cpu_count; i++)
        while (__atomic_load_n(&answered[i], __ATOMIC_SEQ_CST) < mine)
            spaces_answer();
}

void spaces_free_tables(void *ctx, const quire_pfn *tables, uint32_t count)
{
    (void)ctx;
    for (uint32_t i = 0; i < count; i++)
        (void)quire_machine_free(memory.up.machine, tables[i], 0);
}

/* A CPU answers between two calls alone, so nobody is in the tables that were invalidated. */
static void retire(void *ctx, const quire_pfn *tables, uint32_t count)
{
    spaces_free_tables(ctx, tables, count);
    __atomic_fetch_add(&retired, count, __ATOMIC_RELAXED);
}

uint64_t spaces_retired(void)
{
    return __atomic_load_n(&retired, __ATOMIC_RELAXED);
}

static void relax(void *ctx)
{
    (void)ctx;
    spaces_answer();
}

void spaces_enter(void)
{
    answered[this_cpu()->id] = 0;
}

void spaces_meet(void)
{
    uint64_t crew = work_crew();
    uint64_t end = __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST) / crew * crew + crew;

    while (__atomic_load_n(&arrived, __ATOMIC_SEQ_CST) < end)
        spaces_answer();
}

/* ---- Faults --------------------------------------------------------------------------------- */

bool spaces_serve(uint64_t address, uint64_t code)
{
    struct quire_space *space = loaded[this_cpu()->id];
    uint32_t access = code & 16 ? QUIRE_EXECUTE : code & 2 ? QUIRE_WRITE : QUIRE_READ;
    int error = QUIRE_ERR_PAGER;

    while (space && error == QUIRE_ERR_PAGER) {
        error = quire_space_fault(space, quire_vaddr_of(address), access);
        __atomic_fetch_add(&pager_failures, error == QUIRE_ERR_PAGER, __ATOMIC_RELAXED);
    }
    spaces_answer(); /* else two that wait for each other's page never do */
    return error == QUIRE_OK;
}

uint64_t spaces_pager_failures(void)
{
    return __atomic_load_n(&pager_failures, __ATOMIC_RELAXED);
}

void spaces_load(struct quire_space *space)
{
    loaded[this_cpu()->id] = space;
    write_cr3(quire_phys(quire_paging_root(&space->paging)));
}

void spaces_leave(uint64_t before)
{
    loaded[this_cpu()->id] = NULL;
    write_cr3(before);
}

/* ---- What a space needs --------------------------------------------------------------------- */

static void *give_page(void *ctx)
{
    struct quire_request request = quire_request_of(0, 0);
    quire_pfn pfn;

    if (quire_machine_request((struct quire_machine *)ctx, &request, &pfn, NULL))
        return NULL;
    return (void *)(DIRECT_BASE + quire_phys(pfn));
}

static void take_page(void *ctx, void *page)
{
    (void)quire_machine_free((struct quire_machine *)ctx,
                             quire_pfn_of_phys((uint64_t)page - DIRECT_BASE), 0);
}

int spaces_give_run(void *ctx, const struct quire_policy *policy, unsigned order, quire_pfn *pfn)
{
    struct quire_request request = quire_request_of(order, 0);

    request.policy = policy;
    return quire_machine_request((struct quire_machine *)ctx, &request, pfn, NULL);
}

void spaces_begin(struct quire_space_config *config)
{
    struct quire_paging_port *port = &config->port.paging;

    memset(config, 0, sizeof *config);
    config->format = &quire_x86_64_4level;
    config->range = quire_vrange_of(PAGE_BYTES, 1ul << 46);
    port->reach.base = DIRECT_BASE;
    port->tables = quire_tables_from_machine(memory.up.machine);
    port->invalidate = shoot_down;
    port->retire = retire;
    config->port.frames = quire_frames_from_machine(memory.up.machine);
    config->port.memory = (struct quire_memory_source){give_page, take_page, memory.up.machine};
    config->port.relax = relax;
    asked = arrived = pager_failures = retired = 0;
    quire_paging_adopt(&kernels, &quire_x86_64_4level, port, quire_pfn_of_phys(paging_root()));
}

int spaces_share_kernel(struct quire_space *space)
{
    return quire_paging_share(&space->paging, &kernels,
                              quire_vrange_of(KERNELS_HALF, 0 - KERNELS_HALF));
}
