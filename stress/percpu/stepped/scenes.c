/* SPDX-License-Identifier: MIT
 *
 * scenes.c - see scenes.h: the child's side, and the calls that it makes.
 */
#include "scenes.h"

#include "stress/percpu/cache_load.h"

#include "percpu/fastpath.h"

#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum {
    ROUNDS = 8,
    BATCH = 3,
    FRAMES = 20 * BLOCK,
    LARGE = 4,  /* an order whose magazine has four rounds */
    BY_ONE = 5, /* one whose magazine has two */
    LOW = 500,  /* the zone's watermark, free frames */
    HIGH = 600,
    OUTSIDE = 1, /* who holds a frame */
    INSIDE = 2,
    NOBODY_ELSE = 3,
    HANDLER_HOLDS = 6,
};

struct shared *shared;

static struct rig rig;
static struct shadow shadow;
static struct load outside, inside;
static const struct scene *scene_played;
static bool watched;                        /* this is the call */
static bool closed;                         /* the cache is out of service */
static bool hit;                            /* it tries to hit first, as the machine does */
static uint64_t spare[FRAMES], spare_count; /* taken around the cache, by nobody else */

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
    error = QUIRE_OK;
    if (!call || !hit ||
        !view_pop(view_of(&rig.cache, rig.cache.first_cpu + rig.cpu), CACHE_UNMOVABLE, 0, &pfn))
        error = quire_cache_alloc(&rig.cache, order, flags, &pfn);
    pause_if(call);
    if (error != QUIRE_OK)
        die("alloc: %s", quire_strerror(error));
    shadow_take(&shadow, l->who, pfn.n, UINT64_C(1) << order);
    l->pfns[l->count] = pfn.n;
    l->orders[l->count++] = (uint8_t)order;
}

/* As the machine tries it. */
static bool push_hit(quire_pfn pfn, unsigned order)
{
    const struct cpu_view *view = view_of(&rig.cache, rig.cache.first_cpu + rig.cpu);

    if (order > 0 && order < HUGE_ORDER)
        return qi_view_push_run(view, pfn, order);
    return (order == 0 && view_push_frame(view, pfn)) || qi_view_push_other(view, pfn, order);
}

static void give(struct load *l)
{
    uint64_t pfn = l->pfns[--l->count];
    unsigned order = l->orders[l->count];
    bool call = watched && l == &outside;
    int error = QUIRE_OK;

    shadow_give(&shadow, l->who, pfn, UINT64_C(1) << order);
    pause_if(call);
    if (!call || !hit || !push_hit(quire_pfn_of(pfn), order))
        error = quire_cache_free(&rig.cache, quire_pfn_of(pfn), order);
    pause_if(call);
    if (error != QUIRE_OK)
        die("free of 0x%" PRIx64 ": %s", pfn, quire_strerror(error));
}

static void take_frame(void)
{
    take(&outside, 0, 0);
}

static void take_zeroed(void)
{
    take(&outside, 0, QUIRE_MOVABLE | QUIRE_ZEROED);
}

static void take_run(void)
{
    take(&outside, 1, 0);
}

static void take_large(void)
{
    take(&outside, LARGE, 0);
}

static void take_by_one(void)
{
    take(&outside, BY_ONE, 0);
}

static void take_block(void)
{
    take(&outside, 9, 0);
}

static void give_one(void)
{
    give(&outside);
}

static void pop_frame(void)
{
    hit = true;
    take_frame();
}

static void push_one(void)
{
    hit = true;
    give_one();
}

/* Three at once; one by one if that is not to be. */
static void pop_many(void)
{
    quire_pfn pfns[BATCH];
    bool done;

    pause_if(true);
    done =
        qi_view_pop_batch(view_of(&rig.cache, rig.cache.first_cpu), CACHE_UNMOVABLE, pfns, BATCH);
    pause_if(true);
    watched = false;
    for (unsigned i = 0; i < BATCH; i++)
        if (done) {
            shadow_take(&shadow, OUTSIDE, pfns[i].n, 1);
            outside.orders[outside.count] = 0;
            outside.pfns[outside.count++] = pfns[i].n;
        } else {
            take(&outside, 0, 0);
        }
}

static void push_many(void)
{
    quire_pfn pfns[BATCH];
    bool done;

    for (unsigned i = 0; i < BATCH; i++) {
        pfns[i].n = outside.pfns[--outside.count];
        shadow_give(&shadow, OUTSIDE, pfns[i].n, 1);
    }
    pause_if(true);
    done = qi_view_push_batch(view_of(&rig.cache, rig.cache.first_cpu), pfns, BATCH);
    pause_if(true);
    watched = false;
    for (unsigned i = 0; i < BATCH && !done; i++)
        if (quire_cache_free(&rig.cache, pfns[i], 0) != QUIRE_OK)
            die("a free");
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

static void some_runs(void)
{
    take_and_give(6, 2, 1, 0);
}

static void some_large(void)
{
    take_and_give(4, 2, LARGE, 0);
}

static void no_large(void)
{
    take_and_give(4, 0, LARGE, 0);
}

static void full_of_large(void)
{
    take_and_give(5, 4, LARGE, 0);
}

/* Where one run is as many as a half: an empty magazine, a full one. */
static void none_by_one(void)
{
    take_and_give(2, 0, BY_ONE, 0);
}

static void full_by_one(void)
{
    take_and_give(3, 2, BY_ONE, 0);
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

/* Frames of a block that is no home block and nearly empty. */
static void from_sparse(void)
{
    quire_slot slot = quire_slot_of(rig.zone_config.slots - 1);

    for (int i = 0; i < ROUNDS; i++) {
        quire_pfn pfn;

        if (quire_zone_alloc(&rig.zone, slot, 0, 0, &pfn) != QUIRE_OK)
            die("the zone refuses");
        shadow_take(&shadow, OUTSIDE, pfn.n, 1);
        outside.orders[outside.count] = 0;
        outside.pfns[outside.count++] = pfn.n;
    }
    (void)quire_zone_retire_slot(&rig.zone, slot);
}

static void sparse_and_full(void)
{
    from_sparse();
    while (outside.count > ROUNDS / 2)
        give(&outside);
}

/* The zone is short of memory, and the cache does not know yet. */
static void short_of_memory(void)
{
    quire_pfn pfn;

    empty();
    while (quire_zone_free_frames(&rig.zone) >= LOW) {
        if (quire_zone_alloc(&rig.zone, quire_slot_of(0), 0, 0, &pfn) != QUIRE_OK)
            die("the zone refuses");
        shadow_take(&shadow, NOBODY_ELSE, pfn.n, 1);
        spare[spare_count++] = pfn.n;
    }
}

/* Memory comes back, and the cache hears of it; while the call is turning to thrift. */
static void recover(void)
{
    while (spare_count > 0 && quire_zone_free_frames(&rig.zone) < HIGH) {
        uint64_t pfn = spare[--spare_count];

        shadow_give(&shadow, NOBODY_ELSE, pfn, 1);
        (void)quire_zone_free(&rig.zone, quire_slot_of(0), quire_pfn_of(pfn), 0);
    }
    (void)quire_cache_maintain(&rig.cache);
}

/* The cache goes out of service; at the end nothing may be in it, unless a CPU cache was taken
 * whenever it was asked to. */
static void go_out_of_service(void)
{
    closed |= qi_cache_close(&rig.cache);
}

const struct scene scenes[] = {
    {"alloc", half_full, take_frame, NULL},
    {"pop", half_full, pop_frame, NULL},
    {"push", half_full, push_one, NULL},
    {"push sparse", from_sparse, push_one, NULL},
    {"push run", some_runs, push_one, NULL},
    {"pop many", half_full, pop_many, NULL},
    {"push many", half_full, push_many, NULL},
    {"alloc zeroed", half_full_movable, take_zeroed, NULL},
    {"alloc run", some_runs, take_run, NULL},
    {"free run", some_runs, give_one, NULL},
    {"alloc large run", some_large, take_large, NULL},
    {"push large run", some_large, push_one, NULL},
    {"free large run", some_large, give_one, NULL},
    {"alloc large run, refill", no_large, take_large, NULL},
    {"free large run, overflow", full_of_large, give_one, NULL},
    {"alloc by one", none_by_one, take_by_one, NULL},
    {"free by one", full_by_one, give_one, NULL},
    {"alloc block", one_block, take_block, NULL},
    {"free", half_full, give_one, NULL},
    {"free sparse", from_sparse, give_one, NULL},
    {"free block", one_block, give_one, NULL},
    {"alloc, refill", empty, take_frame, NULL},
    {"free, overflow", full, give_one, NULL},
    {"free sparse, overflow", sparse_and_full, give_one, NULL},
    {"free block, overflow", full_of_blocks, give_one, NULL},
    {"alloc, short of memory", short_of_memory, take_frame, recover},
    {"push, closed", half_full, push_one, go_out_of_service},
    {"push many, closed", half_full, push_many, go_out_of_service},
    {"push large run, closed", some_large, push_one, go_out_of_service},
    {"free large run, overflow, closed", full_of_large, give_one, go_out_of_service},
    {"free, overflow, closed", full, give_one, go_out_of_service},
    {"free sparse, overflow, closed", sparse_and_full, give_one, go_out_of_service},
};
const unsigned scene_count = sizeof scenes / sizeof scenes[0];

/* ---- The child ------------------------------------------------------------------------------ */

static void take_and_give_inside(void)
{
    take(&inside, 0, 0);
    take(&inside, 0, QUIRE_MOVABLE);
    give(&inside);
    take(&inside, 0, 0);
    while (inside.count > HANDLER_HOLDS)
        give(&inside);
}

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
    if (scene_played->interrupt)
        scene_played->interrupt();
    else
        take_and_give_inside();
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

    scene_played = scene;
    scene->prepare();
    check_books(&rig, &shadow);
    before = bypasses();
    watched = true;
    scene->act();
    watched = false;
    atomic_store(&shared->bypasses, bypasses() - before);
    check_books(&rig, &shadow);
    if (closed && cached_frames(&rig) > 0)
        die("%s: %" PRIu64 " frames in a closed cache", scene->name, cached_frames(&rig));
    while (outside.count > 0)
        give(&outside);
    while (inside.count > 0)
        give(&inside);
    check_books(&rig, &shadow);
    _exit(0);
}

void scenes_open(int argc, char *const argv[])
{
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};

    select_mode(argc, argv);
    skip_unless_watchable();
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        die("no shared memory");
    stay_here();
    (void)sigaction(SIGUSR1, &action, NULL);
    rig_begin(&rig, FRAMES);
    rig.zone_config.low = LOW;
    rig.zone_config.high = HIGH;
    rig.cache_config.cpus = 2; /* this one, and one that does nothing */
    rig.cache_config.first_cpu = mode == QUIRE_CACHE_RSEQ ? (uint32_t)sched_getcpu() : 0;
    rig.cache_config.rounds = ROUNDS;
    rig.cache_config.run_rounds = 8;
    rig.cache_config.large_rounds = 4;
    rig.cache_config.huge_rounds = 2;
    rig.cache_config.depot = 2;
    rig_open(&rig);
    shadow_open(&shadow, rig.usable[0].pfn.n, FRAMES, FRAMES);
    outside = (struct load){.rig = &rig, .shadow = &shadow, .who = OUTSIDE, .most = LOAD_MOST};
    inside = (struct load){.rig = &rig, .shadow = &shadow, .who = INSIDE, .most = LOAD_MOST};
    (void)fflush(NULL); /* so that no child prints what the parent has printed */
}
