/* SPDX-License-Identifier: MIT
 *
 * scenes.c - see tracee.h: the child's side, and the calls that it makes.
 */
#include "tracee.h"

#include "load.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum { ROUNDS = 8, FRAMES = 16 * BLOCK, OUTSIDE = 1, INSIDE = 2, HANDLER_HOLDS = 6 };

struct shared *shared;

static struct rig rig;
static struct shadow shadow;
static struct load outside, inside;
static bool watched; /* this is the call */

/* ---- The calls ------------------------------------------------------------------------------ */

/* Before and after the call. */
static void pause_if(bool now)
{
    if (now)
        (void)raise(SIGSTOP);
}

static void take(struct load *l, unsigned order, uint32_t flags)
{
    bool call = watched && l == &outside;
    quire_pfn pfn;
    int error;

    pause_if(call);
    error = quire_cache_alloc(&rig.cache, order, flags, &pfn);
    pause_if(call);
    if (error != QUIRE_OK)
        shadow_fail("alloc: %s", quire_strerror(error));
    shadow_take(&shadow, l->who, pfn.n, UINT64_C(1) << order);
    l->pfns[l->count] = pfn.n;
    l->orders[l->count++] = (uint8_t)order;
}

static void give(struct load *l)
{
    uint64_t pfn = l->pfns[--l->count];
    unsigned order = l->orders[l->count];
    bool call = watched && l == &outside;
    int error;

    shadow_give(&shadow, l->who, pfn, UINT64_C(1) << order);
    pause_if(call);
    error = quire_cache_free(&rig.cache, quire_pfn_of(pfn), order);
    pause_if(call);
    if (error != QUIRE_OK)
        shadow_fail("free of 0x%" PRIx64 ": %s", pfn, quire_strerror(error));
}

static void take_frame(void)
{
    take(&outside, 0, 0);
}

static void take_zeroed(void)
{
    take(&outside, 0, QUIRE_MOVABLE | QUIRE_ZEROED);
}

static void take_block(void)
{
    take(&outside, 9, 0);
}

static void give_one(void)
{
    give(&outside);
}

/* ---- What they start from ------------------------------------------------------------------- */

static void take_and_give(unsigned taken, unsigned given, unsigned order, uint32_t flags)
{
    for (unsigned i = 0; i < taken; i++)
        take(&outside, order, flags);
    for (unsigned i = 0; i < given; i++)
        give(&outside);
}

static void half_full(void)
{
    take_and_give(ROUNDS, ROUNDS / 2, 0, 0);
}

static void half_full_movable(void)
{
    take_and_give(ROUNDS, ROUNDS / 2, 0, QUIRE_MOVABLE);
}

static void one_block(void)
{
    take_and_give(2, 1, 9, 0);
}

static void empty(void)
{
    take_and_give(ROUNDS, 0, 0, 0);
}

static void full(void)
{
    take_and_give(3 * ROUNDS, ROUNDS, 0, 0);
}

static void full_of_blocks(void)
{
    take_and_give(4, 2, 9, 0);
}

/* Frames of a block that is nobody's home and nearly empty. */
static void sparse(void)
{
    quire_slot slot = quire_slot_of(rig.zone_config.slots - 1);

    for (int i = 0; i < ROUNDS; i++) {
        quire_pfn pfn;

        if (quire_zone_alloc(&rig.zone, slot, 0, 0, &pfn) != QUIRE_OK)
            shadow_fail("the zone refuses");
        shadow_take(&shadow, OUTSIDE, pfn.n, 1);
        outside.orders[outside.count] = 0;
        outside.pfns[outside.count++] = pfn.n;
    }
    (void)quire_zone_retire_slot(&rig.zone, slot);
}

static void sparse_and_full(void)
{
    sparse();
    while (outside.count > ROUNDS / 2)
        give(&outside);
}

const struct scene scenes[] = {
    {"alloc", half_full, take_frame, true},
    {"alloc zeroed", half_full_movable, take_zeroed, true},
    {"alloc block", one_block, take_block, true},
    {"free", half_full, give_one, true},
    {"free sparse", sparse, give_one, true},
    {"free block", one_block, give_one, true},
    {"alloc, refill", empty, take_frame, false},
    {"free, overflow", full, give_one, false},
    {"free sparse, overflow", sparse_and_full, give_one, false},
    {"free block, overflow", full_of_blocks, give_one, false},
};
const unsigned scene_count = sizeof scenes / sizeof scenes[0];

/* ---- The child ------------------------------------------------------------------------------ */

static void handle(int signal, siginfo_t *info, void *context)
{
    const ucontext_t *u = context;

    (void)signal;
    (void)info;
#if defined(__aarch64__)
    atomic_store(&shared->handler_ip, u->uc_mcontext.pc);
#else
    atomic_store(&shared->handler_ip, (uint64_t)u->uc_mcontext.gregs[REG_RIP]);
#endif
    atomic_fetch_add(&shared->handled, 1);
    take(&inside, 0, 0);
    take(&inside, 0, QUIRE_MOVABLE);
    give(&inside);
    take(&inside, 0, 0);
    while (inside.count > HANDLER_HOLDS)
        give(&inside);
    (void)raise(SIGSTOP);
}

static uint64_t bypasses(void)
{
    struct quire_cache_stats stats;

    (void)quire_cache_stats(&rig.cache, &stats);
    return stats.bypasses;
}

void scene_play(const struct scene *scene)
{
    uint64_t before;

    scene->prepare();
    check_books(&rig, &shadow);
    before = bypasses();
    watched = true;
    scene->act();
    watched = false;
    atomic_store(&shared->bypasses, bypasses() - before);
    check_books(&rig, &shadow);
    while (outside.count > 0)
        give(&outside);
    while (inside.count > 0)
        give(&inside);
    check_books(&rig, &shadow);
    _exit(0);
}

void scenes_open(void)
{
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    skip_all("a sanitizer's own code cannot be interrupted everywhere");
#elif !defined(__x86_64__) && !defined(__aarch64__)
    skip_all("written for x86-64 and aarch64");
#endif
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        die("no shared memory");
    stay_here();
    (void)sigaction(SIGUSR1, &action, NULL);
    rig_begin(&rig, FRAMES);
    rig.cache_config.rounds = ROUNDS;
    rig.cache_config.huge_rounds = 2;
    rig.cache_config.depot = 2;
    rig_open(&rig);
    shadow_open(&shadow, rig.usable[0].pfn.n, FRAMES, FRAMES);
    outside = (struct load){.rig = &rig, .shadow = &shadow, .who = OUTSIDE, .most = LOAD_MOST};
    inside = (struct load){.rig = &rig, .shadow = &shadow, .who = INSIDE, .most = LOAD_MOST};
    (void)fflush(NULL); /* so that no child prints what the parent has printed */
}
