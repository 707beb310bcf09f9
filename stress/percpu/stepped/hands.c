/* SPDX-License-Identifier: MIT
 *
 * hands.c - what a call that stands still keeps from a request that may use the last frame.
 *
 *   percpu_hands exchange
 *
 * For each instruction of a call (the first few times that it is executed), a fresh child is
 * stopped there, and another CPU (played by the handler of a signal: in exchange mode the CPU is
 * what the port says) takes frames with QUIRE_EMERGENCY until it is refused, which drains the
 * caches. What it did not get, and nobody holds, the call has in its hands: as much as cache.h
 * says, at most.
 */
#include "stress/common/tracee.h"

#include "stress/percpu/cache_rig.h"

#include "percpu/cpu_cache.h"

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    FRAMES = 5 * BLOCK,
    ROUNDS = 8,       /* of order 0; 8 of order 1, 4 of order 2, 2 of order 3 */
    LARGE_ROUNDS = 4, /* of order 4; 2 of orders 5 and 6 */
    HELD_MOST = 128,
    INSTRUCTIONS = 20000,
    REPEATS = 3, /* of an instruction that is executed again and again, so many are enough */
    OTHER_CPU = 1,
    LONG_RUN = 2 * BLOCK + 1, /* at the middle of a block: the rest of the two at its ends is 511 */
};

/* A scene, and the bound: the run that its call is about, and what is in its hands besides. */
struct hand {
    struct scene scene;
    uint64_t run, besides; /* frames */
};

/* What the child tells its parent. */
static struct {
    _Atomic uint64_t got;        /* by the other CPU, while the call stood still */
    _Atomic uint64_t held_after; /* when the call was over */
} * shared;

static struct rig rig;
static struct held {
    quire_pfn pfn;
    unsigned order;
} held[HELD_MOST];
static unsigned held_count;
static uint64_t held_frames;
static uint64_t ips[INSTRUCTIONS];

/* ---- The calls ------------------------------------------------------------------------------ */

static void take(unsigned order, uint32_t flags)
{
    struct held h = {.order = order};

    if (held_count == HELD_MOST)
        die("no room for more");
    must(quire_cache_alloc(&rig.cache, order, flags, &h.pfn), "alloc");
    held[held_count++] = h;
    held_frames += UINT64_C(1) << order;
}

static void give(void)
{
    struct held h = held[--held_count];

    held_frames -= UINT64_C(1) << h.order;
    must(quire_cache_free(&rig.cache, h.pfn, h.order), "free");
}

static void take_and_give(unsigned taken, unsigned given, unsigned order, uint32_t flags)
{
    for (unsigned i = 0; i < taken; i++)
        take(order, flags);
    for (unsigned i = 0; i < given; i++)
        give();
}

static void take_frame(void)
{
    take(0, 0);
}

static void zone_take(void)
{
    struct held h = {.order = 0};

    must(quire_zone_alloc(&rig.zone, quire_slot_of(0), 0, 0, &h.pfn), "zone_alloc");
    held[held_count++] = h;
    held_frames++;
}

static void zone_give(void)
{
    held_frames--;
    must(quire_zone_free(&rig.zone, quire_slot_of(0), held[--held_count].pfn, 0), "zone_free");
}

/* A run that begins in one block, has another one, and ends in a third. */
static void zone_take_long(void)
{
    const struct quire_contig want = {
        .frames = LONG_RUN,
        .low = quire_phys(quire_pfn_of(rig.usable[0].pfn.n + BLOCK / 2)),
    };

    must(quire_zone_alloc_contig(&rig.zone, quire_slot_of(0), &want, 0, &held[held_count].pfn),
         "zone_alloc_contig");
    held_frames += LONG_RUN;
}

static void drain(void)
{
    must(quire_cache_drain(&rig.cache, 0), "drain");
}

static void drain_all(void)
{
    must(quire_cache_drain_all(&rig.cache), "drain_all");
}

/* ---- What they start from ------------------------------------------------------------------- */

static void nothing(void)
{
}

static void last_of_block(void)
{
    zone_take();
    must(quire_zone_retire_slot(&rig.zone, quire_slot_of(0)), "retire_slot");
}

static void half_full(void)
{
    take_and_give(ROUNDS, ROUNDS / 2, 0, 0);
}

static void empty(void)
{
    take_and_give(ROUNDS, 0, 0, 0);
}

static void full(void)
{
    take_and_give(3 * ROUNDS, ROUNDS, 0, 0);
}

/* And the depot is, too. */
static void all_full(void)
{
    take_and_give(5 * ROUNDS, 2 * ROUNDS, 0, 0);
}

static void full_of_runs(void)
{
    take_and_give(3 * ROUNDS, ROUNDS, 1, 0);
}

static void full_of_large(void)
{
    take_and_give(LARGE_ROUNDS + 1, LARGE_ROUNDS, 4, 0);
}

/* A CPU that has something of each order, and of both mobilities. */
static void something_of_all(void)
{
    take_and_give(ROUNDS, ROUNDS, 0, 0);
    take_and_give(ROUNDS, ROUNDS, 0, QUIRE_MOVABLE);
    take_and_give(ROUNDS, ROUNDS, 1, 0);
    take_and_give(ROUNDS, ROUNDS, 1, QUIRE_MOVABLE);
    take_and_give(ROUNDS / 2, ROUNDS / 2, 2, 0);
    take_and_give(ROUNDS / 2, ROUNDS / 2, 2, QUIRE_MOVABLE);
    take_and_give(ROUNDS / 4, ROUNDS / 4, 3, 0);
    take_and_give(LARGE_ROUNDS, LARGE_ROUNDS, 4, 0);
}

static const struct hand hands[] = {
    {{"zone: alloc, split", nothing, zone_take, NULL}, 1, BLOCK - 1},
    {{"zone: free, block whole", last_of_block, zone_give, NULL}, 1, BLOCK - 1},
    {{"zone: alloc contig", nothing, zone_take_long, NULL}, LONG_RUN, BLOCK - 1},
    {{"alloc", half_full, take_frame, NULL}, 1, 12},
    {{"alloc, refill", empty, take_frame, NULL}, 1, 12},
    {{"free", half_full, give, NULL}, 1, 12},
    {{"free, overflow", full, give, NULL}, 1, 12},
    {{"free, overflow, depot full", all_full, give, NULL}, 1, 12},
    {{"free run, overflow", full_of_runs, give, NULL}, 2, 24},
    {{"free large run, overflow", full_of_large, give, NULL}, 16, 96},
    {{"drain", something_of_all, drain, NULL}, 0, 96},
    {{"drain all", all_full, drain_all, NULL}, 0, 12},
};

/* ---- The child ------------------------------------------------------------------------------ */

/* Take all that there is, give it back around the caches, and say how much it was. */
static void handle(int signal)
{
    static quire_pfn got[FRAMES];
    uint64_t n = 0;

    (void)signal;
    rig.cpu = OTHER_CPU;
    while (n < FRAMES && quire_cache_alloc(&rig.cache, 0, QUIRE_EMERGENCY, &got[n]) == QUIRE_OK)
        n++;
    atomic_store(&shared->got, n);
    while (n > 0)
        must(quire_zone_free(&rig.zone, quire_slot_of(OTHER_CPU), got[--n], 0), "zone_free");
    rig.cpu = 0;
    (void)raise(SIGSTOP);
}

void scene_play(const struct scene *scene)
{
    scene->prepare();
    check_rest(&rig, held_frames);
    (void)raise(SIGSTOP);
    scene->act();
    (void)raise(SIGSTOP);
    check_rest(&rig, held_frames);
    atomic_store(&shared->held_after, held_frames);
    _exit(0);
}

static void open_rig(void)
{
    struct sigaction action = {.sa_handler = handle};

    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        die("no shared memory");
    stay_here();
    (void)sigaction(SIGUSR1, &action, NULL);
    rig_begin(&rig, FRAMES);
    rig.cache_config.cpus = 2;
    rig.cache_config.rounds = ROUNDS;
    rig.cache_config.run_rounds = ROUNDS;
    rig.cache_config.large_rounds = LARGE_ROUNDS;
    rig.cache_config.huge_rounds = 0;
    rig.cache_config.depot = 2;
    rig_open(&rig);
    (void)fflush(NULL); /* so that no child prints what the parent has printed */
}

/* ---- The parent ----------------------------------------------------------------------------- */

/* Stop the call at its instructions: the most frames that it had in its hands. `held`: those that
 * its user has all the while. */
static uint64_t most_in_hands(const struct scene *scene, unsigned instructions,
                              uint64_t held_by_user)
{
    uint64_t most = 0;

    for (unsigned k = 0; k < instructions; k++) {
        struct tracee t;
        uint64_t got;

        if (tracee_times(ips, k) > REPEATS)
            continue;
        t = tracee_interrupt_at(scene, ips, k, SIGUSR1);
        got = atomic_load(&shared->got);
        tracee_finish(&t);
        if (got + held_by_user > FRAMES)
            die("%s, instruction %u: %" PRIu64 " frames are somebody else's", scene->name, k,
                got + held_by_user - FRAMES);
        if (FRAMES - held_by_user - got > most)
            most = FRAMES - held_by_user - got;
    }
    return most;
}

static bool allocates(const struct scene *scene)
{
    return scene->act == take_frame || scene->act == zone_take || scene->act == zone_take_long;
}

static void step(const struct hand *hand)
{
    unsigned n = tracee_note_instructions(&hand->scene, ips, INSTRUCTIONS);
    uint64_t after = atomic_load(&shared->held_after);
    /* What is being allocated is in the call's hands until it is over; what is being freed, from
     * its beginning. */
    uint64_t held_by_user = allocates(&hand->scene) ? after - hand->run : after;
    uint64_t most = most_in_hands(&hand->scene, n, held_by_user);

    if (most > hand->run + hand->besides)
        die("%s: %" PRIu64 " frames in hands, not %" PRIu64, hand->scene.name, most,
            hand->run + hand->besides);
    printf("%s: %u instructions, at most %" PRIu64 " frames in hands\n", hand->scene.name, n, most);
}

int main(int argc, char *argv[])
{
    select_mode(argc, argv);
    if (SANITIZED)
        skip_all("a sanitizer's own code cannot be interrupted everywhere");
#if !defined(__x86_64__) && !defined(__aarch64__)
    skip_all("written for x86-64 and aarch64");
#endif
    open_rig();
    for (size_t i = 0; i < sizeof hands / sizeof hands[0]; i++)
        step(&hands[i]);
    return 0;
}
