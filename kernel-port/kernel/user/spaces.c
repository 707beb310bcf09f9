/* SPDX-License-Identifier: MIT
 *
 * spaces.c - what the space of a process needs of the kernel, and which CPU has which loaded.
 *
 * State: the process that each CPU has loaded, its own; the two counts of a shoot-down; and for
 * each CPU a count that is odd while it reads the tables of a space whose lock it has not.
 *
 * A shoot-down. Who changed a page may not let go of its frame before no CPU remembers it.
 *  U5  `asked` grows, by a locked addition, after the tables were changed. A CPU that is asked
 *      reads it, forgets all pages, and says which count it has answered. NMIs do not nest, so the
 *      answers of a CPU come one after the other; an NMI that comes while another is handled is
 *      kept and handled next, and sees the count that it was sent for.
 * CPUs are asked by NMI: it comes in user mode and in the kernel alike, where interrupts are off.
 * So a CPU that waits, for an answer, a lock, or another's fault, answers meanwhile. Only those
 * that have the space loaded are asked (U2).
 *
 * Tables that run empty. Danger: an NMI is answered in the middle of a fault, so one that has been
 * answered says nothing about who still reads a table.
 *  U9  What reads the tables of a space without the process's lock, a fault, or a call on a file,
 *      which looks into all its areas, does so between tables_enter and tables_leave. Who has taken
 *      tables out waits until each CPU that was in between at that moment has been out of it.
 * That wait ends: it is the lock's holder who waits, and nobody waits for a lock, nor for tables to
 * be left, in between.
 */
#include "process.h"

#include "apic.h"
#include "kernel-port/kernel/heap.h"
#include "kernel-port/kernel/lib/panic.h"
#include "kernel-port/kernel/lib/text.h"
#include "paging.h"
#include "x86.h"

#define KERNELS_HALF DIRECT_BASE

enum { FORGET_ONE_BY_ONE = QUIRE_GATHER_PAGES }; /* more pages at once are forgotten with all */

static struct quire_paging kernels;
static struct quire_shares shares;
static struct quire_space_config space_config;
static struct process *loaded[CPUS_MAX];
static uint64_t asked, answered[CPUS_MAX]; /* atomic */
static struct {
    uint64_t turn __attribute__((aligned(64))); /* atomic */
} readers[CPUS_MAX];

/* ---- Shoot-downs ---------------------------------------------------------------------------- */

/* In an NMI, whoever sent it. */
static void answer(void)
{
    uint64_t wanted = __atomic_load_n(&asked, __ATOMIC_SEQ_CST);

    if (wanted == answered[cpu_id()])
        return;
    write_cr3(read_cr3());
    __atomic_store_n(&answered[cpu_id()], wanted, __ATOMIC_SEQ_CST);
}

static void forget_here(struct quire_vrange range)
{
    if (range.bytes > FORGET_ONE_BY_ONE * (uint64_t)PAGE_BYTES)
        write_cr3(read_cr3());
    else
        for (uint64_t at = 0; at < range.bytes; at += PAGE_BYTES)
            invlpg(range.start.n + at);
}

static void shoot_down(void *ctx, struct quire_vrange range)
{
    struct process *process = ctx;
    uint64_t mine = __atomic_add_fetch(&asked, 1, __ATOMIC_SEQ_CST), told[CPU_WORDS];

    for (uint32_t w = 0; w < CPU_WORDS; w++)
        told[w] = __atomic_load_n(&process->loaded[w], __ATOMIC_SEQ_CST);
    told[cpu_id() / 64] &= ~(1ul << cpu_id() % 64);
    for (uint32_t i = 0; i < cpu_count; i++)
        if (told[i / 64] >> i % 64 & 1)
            apic_nmi(cpus[i]->apic_id);
    forget_here(range);
    for (uint32_t i = 0; i < cpu_count; i++)
        while ((told[i / 64] >> i % 64 & 1) &&
               __atomic_load_n(&answered[i], __ATOMIC_SEQ_CST) < mine)
            pause();
}

/* ---- Tables that run empty ------------------------------------------------------------------ */

void tables_enter(void)
{
    /* Before anything is read: pairs with retire, which looks after it has taken tables out. */
    (void)__atomic_fetch_add(&readers[cpu_id()].turn, 1, __ATOMIC_SEQ_CST);
}

void tables_leave(void)
{
    uint64_t *turn = &readers[cpu_id()].turn;

    __atomic_store_n(turn, *turn + 1, __ATOMIC_RELEASE); /* pairs with retire */
}

static void retire(void *ctx, const quire_pfn *tables, uint32_t count)
{
    const struct quire_table_source *source = &((struct process *)ctx)->space.paging.port.tables;

    for (uint32_t i = 0; i < cpu_count; i++) {
        uint64_t turn = __atomic_load_n(&readers[i].turn, __ATOMIC_SEQ_CST);

        while (turn % 2 && __atomic_load_n(&readers[i].turn, __ATOMIC_ACQUIRE) == turn)
            pause();
    }
    for (uint32_t i = 0; i < count; i++)
        source->free(source->ctx, tables[i]);
}

/* ---- Who has what loaded -------------------------------------------------------------------- */

void process_load(struct process *process)
{
    uint32_t cpu = cpu_id();

    (void)__atomic_fetch_or(&process->loaded[cpu / 64], 1ul << cpu % 64, __ATOMIC_SEQ_CST);
    loaded[cpu] = process;
    write_cr3(quire_phys(quire_paging_root(&process->space.paging)));
}

void process_unload(void)
{
    uint32_t cpu = cpu_id();
    struct process *process = loaded[cpu];

    if (!process)
        return;
    write_cr3(paging_root());
    loaded[cpu] = NULL;
    (void)__atomic_fetch_and(&process->loaded[cpu / 64], ~(1ul << cpu % 64), __ATOMIC_SEQ_CST);
}

struct process *process_loaded(void)
{
    return loaded[cpu_id()];
}

/* ---- A space -------------------------------------------------------------------------------- */

static void relax(void *ctx)
{
    (void)ctx;
    pause();
}

void user_space_config(const struct user_config *config, struct quire_space_config *space)
{
    struct quire_paging_port *port = &space->port.paging;

    *space = (struct quire_space_config){
        .format = &quire_x86_64_4level,
        .range = quire_vrange_of(USER_START, USER_END - USER_START),
    };
    port->reach.base = DIRECT_BASE;
    port->tables = config->tables;
    port->invalidate = shoot_down;
    port->retire = retire;
    space->port.frames = config->frames;
    space->port.shares = &shares;
    space->port.memory = heap_pages(HEAP_AREAS);
    space->port.relax = relax;
}

void spaces_of_users_begin(const struct user_config *config)
{
    struct quire_paging_port port = {.reach = {.base = DIRECT_BASE}, .tables = config->tables};

    user_space_config(config, &space_config);
    asked = 0;
    memset(answered, 0, sizeof answered);
    quire_paging_adopt(&kernels, &quire_x86_64_4level, &port, quire_pfn_of_phys(paging_root()));
    if (quire_shares_init(&shares, &port.tables, &port.reach, 0))
        panic("user mode: no memory for the counts of shared frames");
    trap_on_nmi(answer);
}

void spaces_of_users_end(void)
{
    trap_on_nmi(NULL);
    quire_shares_destroy(&shares);
}

/* The kernel's half; and whom to tell of changes. */
static int complete(struct process *process, int error)
{
    if (error)
        return error;
    process->space.paging.port.ctx = process; /* of a forked one it is its parent's so far */
    error = quire_paging_share(&process->space.paging, &kernels,
                               quire_vrange_of(KERNELS_HALF, 0 - KERNELS_HALF));
    if (error)
        quire_space_destroy(&process->space);
    return error;
}

int process_space_create(struct process *process)
{
    struct quire_space_config config = space_config;

    config.port.paging.ctx = process;
    return complete(process, quire_space_create(&process->space, &config));
}

int process_space_fork(struct process *from, struct process *child)
{
    return complete(child, quire_space_fork(&from->space, &child->space));
}
