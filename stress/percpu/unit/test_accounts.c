/* SPDX-License-Identifier: MIT
 *
 * test_accounts.c - free + cached + used = managed: at rest for each class of frames, where the
 * zone's descriptors are the other side of the account; and while threads run, but for what they
 * have in their hands.
 */
#include "unit.h"

#include "core/internal.h"
#include "percpu/cpu_cache.h"
#include "stress/common/random.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

enum { FRAMES = 64 * BLOCK, ROUNDS = 64, RUN_ROUNDS = 16, LARGE_ROUNDS = 16, DEPOT = 128 };

static void open_sized(struct rig *r, uint32_t huge)
{
    r->cache_config.rounds = ROUNDS;
    r->cache_config.run_rounds = huge ? RUN_ROUNDS : 0;
    r->cache_config.large_rounds = huge ? LARGE_ROUNDS : 0;
    r->cache_config.huge_rounds = huge;
    r->cache_config.depot = DEPOT;
    rig_open(r);
}

/* ---- At rest -------------------------------------------------------------------------------- */

/* The classes that the zone tells apart: a block is of one of them while it is split. */
enum { UNMOVABLE, MOVABLE, LARGE, WHOLE, ZONE_CLASSES };

/* The zone's class of a CPU cache's frames. */
static unsigned zone_class(unsigned cls)
{
    return cls == CACHE_HUGE ? WHOLE : cls >= CACHE_LARGE ? LARGE : cls % 2 ? MOVABLE : UNMOVABLE;
}

/* The allocated frames of each class, as the zone's descriptors and bitmaps tell them. */
static void count_allocated(const struct rig *r, uint64_t allocated[])
{
    for (uint64_t i = 0; i < r->usable[0].frames; i++) {
        quire_pfn pfn = quire_pfn_of(r->usable[0].pfn.n + i);
        uint32_t d = qa_load(desc_of(&r->zone, block_of(frame_of_pfn(&r->zone, pfn))), relaxed);

        if (state_of(r, pfn.n) == QUIRE_FRAME_FREE)
            continue;
        if (d == desc_whole(HUGE_ORDER))
            allocated[WHOLE]++;
        else
            allocated[desc_class(d) >= 2 * LARGE_ORDER ? LARGE
                      : desc_class(d) % 2              ? MOVABLE
                                                       : UNMOVABLE]++;
    }
}

/* used[]: frames that the test holds, by class of CPU caches. */
static void check_classes(const struct rig *r, const uint64_t used[])
{
    struct quire_cache_stats stats = stats_of(r);
    uint64_t allocated[ZONE_CLASSES] = {0}, accounted[ZONE_CLASSES] = {0}, all = 0;

    count_allocated(r, allocated);
    for (unsigned cls = 0; cls < QUIRE_CACHE_CLASSES; cls++) {
        uint64_t n = stats.cached[cls] + stats.depot[cls] + used[cls];

        accounted[zone_class(cls)] += n;
        all += n;
    }
    for (unsigned i = 0; i < ZONE_CLASSES; i++)
        assert_int_equal(accounted[i], allocated[i]);
    assert_int_equal(quire_zone_free_frames(&r->zone) + all, quire_zone_managed(&r->zone));
}

/* Frames and runs of all classes, taken and given in portions that fill CPU caches and depot. */
static void by_class(void **unused)
{
    enum { MOST = 400, LEAST = 6 };
    static uint64_t pfns[QUIRE_CACHE_CLASSES][MOST];
    uint64_t used[QUIRE_CACHE_CLASSES] = {0};
    struct quire_cache_stats stats;
    struct rig r;

    (void)unused;
    rig_begin(&r, 2ull * FRAMES);
    open_sized(&r, 2);
    run_on(&r, 0);
    for (unsigned cls = 0; cls < QUIRE_CACHE_CLASSES; cls++) {
        unsigned order = class_order(cls);
        size_t some = (size_t)MOST >> order, most = some > LEAST ? some : LEAST;
        uint64_t left = most / 3;

        for (size_t i = 0; i < most; i++)
            pfns[cls][i] = take(&r, order, cls < CACHE_HUGE ? cls % 2 : 0);
        used[cls] = most * frames_per_round(cls);
        check_classes(&r, used);
        for (size_t i = left; i < most; i++)
            give(&r, pfns[cls][i], order);
        used[cls] = left * frames_per_round(cls);
        check_classes(&r, used);
        /* A small zone has no class of its own for movable runs of order 3 and more. */
        assert_true(stats_of(&r).cached[cls == 0 || r.cache.capacity[cls] ? cls : cls - 1] > 0);
    }
    stats = stats_of(&r);
    for (unsigned cls = 0; cls < QUIRE_CACHE_CLASSES; cls++)
        assert_true((stats.depot[cls] > 0) ==
                    (class_order(cls) <= FIRST_LARGE_ORDER && r.cache.capacity[cls] > 0));
    assert_ok(quire_cache_drain_all(&r.cache));
    check_classes(&r, used);
    for (unsigned cls = 0; cls < QUIRE_CACHE_CLASSES; cls++)
        for (size_t i = 0; i < used[cls] / frames_per_round(cls); i++)
            give(&r, pfns[cls][i], class_order(cls));
    memset(used, 0, sizeof used);
    check_classes(&r, used);
    rig_close(&r, 0);
}

/* ---- While threads run ---------------------------------------------------------------------- */

/* Threads take and give single frames, and drain now and then. A signal stops each of them, at
 * whatever instruction it is; when all stand still the figures are those of one instant. */

enum { THREADS = 3, SAMPLES = 500, HELD = 700, DRAINS = 200 /* one drain in so many portions */ };

static struct rig rig;
static pthread_t threads[THREADS];
static _Atomic uint32_t held[THREADS]; /* frames that each holds, but for the call under way */
static _Atomic unsigned stopped, instant, started;
static _Atomic bool over;

static uint32_t real_cpu(void)
{
    return (uint32_t)sched_getcpu();
}

static void stand_still(int signal)
{
    unsigned now = atomic_load(&instant);

    (void)signal;
    atomic_fetch_add(&stopped, 1);
    while (atomic_load(&instant) == now)
        (void)sched_yield();
}

/* As give, for threads that cmocka does not know. */
static void give_back(uint64_t pfn)
{
    if (quire_cache_free(&rig.cache, quire_pfn_of(pfn), 0) != QUIRE_OK)
        die("a frame that is held was not taken back");
}

static void *work(void *arg)
{
    uint32_t me = (uint32_t)(uintptr_t)arg, n = 0, target;
    uint64_t mine[HELD], random = me;

    atomic_fetch_add(&started, 1);
    while (!atomic_load(&over)) {
        quire_pfn pfn;

        target = (uint32_t)random_below(&random, HELD);
        for (; n < target; atomic_store(&held[me], ++n))
            if (quire_cache_alloc(&rig.cache, 0, (uint32_t)random_below(&random, 2), &pfn) ==
                QUIRE_OK)
                mine[n] = pfn.n;
            else
                die("a frame was refused");
        while (n > target) {
            atomic_store(&held[me], --n);
            give_back(mine[n]);
        }
        if (random_below(&random, DRAINS) == 0)
            (void)quire_cache_drain_all(&rig.cache);
    }
    while (n > 0)
        give_back(mine[--n]);
    return NULL;
}

/* How far the account is off at one instant. */
static uint64_t sample(void)
{
    uint64_t sum, managed = quire_zone_managed(&rig.zone);

    atomic_store(&stopped, 0);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_kill(threads[i], SIGUSR1), 0);
    while (atomic_load(&stopped) < THREADS)
        (void)sched_yield();
    sum = quire_zone_free_frames(&rig.zone) + cached_frames(&rig);
    for (unsigned i = 0; i < THREADS; i++)
        sum += atomic_load(&held[i]);
    atomic_fetch_add(&instant, 1);
    return sum > managed ? sum - managed : managed - sum;
}

/* In a zone with so many slots. */
static void run_and_sample(uint32_t slots)
{
    struct sigaction action = {.sa_handler = stand_still, .sa_flags = SA_RESTART};
    uint64_t farthest = 0, off_at = 0, most;

    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    rig_begin(&rig, FRAMES);
    rig.zone_config.slots = slots;
    open_sized(&rig, 0);
    /* A call's own frame, a CPU cache, and a slot's credit. */
    most = THREADS * (1 + ROUNDS + ROUNDS / 2 + 2 * rig.zone.chunk);
    rig.cpu_now = real_cpu;
    atomic_store(&started, 0);
    atomic_store(&over, false);
    memset(held, 0, sizeof held);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)i), 0);
    while (atomic_load(&started) < THREADS)
        (void)sched_yield();
    for (unsigned i = 0; i < SAMPLES; i++) {
        struct timespec pause = {0, 20000};
        uint64_t off = sample();

        if (off > most)
            die("the account is off by %u frames, the bound is %u", (unsigned)off, (unsigned)most);
        farthest = off > farthest ? off : farthest;
        off_at += off > 0;
        (void)nanosleep(&pause, NULL);
    }
    atomic_store(&over, true);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    print_message("off in %u of %d samples, by %u frames at most; the bound is %u\n",
                  (unsigned)off_at, SAMPLES, (unsigned)farthest, (unsigned)most);
    assert_true(off_at > 0); /* some calls were under way */
    rig_close(&rig, 0);
}

static void while_running(void **unused)
{
    enum { FEW_SLOTS = 8, MANY_SLOTS = 64 };

    (void)unused;
    if (SANITIZED) {
        print_message("a sanitizer delivers signals late: its threads do not stop anywhere\n");
        skip();
    }
    run_and_sample(FEW_SLOTS);
    assert_true(rig.zone.chunk > 0);
    run_and_sample(MANY_SLOTS);
    assert_int_equal(rig.zone.chunk, 0); /* too many to leave them credit */
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_class),
        cmocka_unit_test(while_running),
    };

    return run_unit(argc, argv, tests);
}
