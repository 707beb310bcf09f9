/* SPDX-License-Identifier: MIT
 *
 * count.c - quire-bench-count: what moves between CPUs, and how many locked instructions there are,
 * for an operation of the benchmark's main cases.
 *
 * MODEL_CPUS simulated CPUs at most take turns in one thread; a turn is one operation, or, of an
 * allocator that has calls for that, one batch of 64. So no two are ever in the middle of one at
 * once: nothing waits and nothing is tried again here, and what that costs is the model's to say.
 * Everything is the same in every run.
 *
 * A line of output is one configuration:
 *   case order allocator cpus operations accesses locked claims moved hottest inside inside_moved
 * Ends with 1 if an allocator refuses, finds a frame twice or does not have all its frames back.
 *
 * An argument names the one case that is counted. `--here` measures instead, in two threads, and
 * prints `transfer NS` and `locked NS`: what this machine takes to move a line there, and for a
 * locked instruction on a line of its own.
 */
#include "bench/allocators/allocators.h"
#include "lines.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    FRAMES = 8192,       /* of a CPU in the cases that hold many, half of its memory */
    HALF = 131072,       /* of a CPU where half of its memory is held: four words of blocks */
    ARENA = 32 * FRAMES, /* of a CPU in the others, as in the benchmark with --quick */
    WARM = 2048,         /* turns, uncounted */
    TURNS = 512,
    BATCH = BENCH_BATCH,
    QUEUE = 64,         /* frames between producer and consumer */
    BURST = 512,        /* runs */
    OBJECTS = 1024,     /* that a CPU holds */
    OBJECT_BYTES = 64,  /* of those in pairs and queues */
    MIXED_STEPS = 8,    /* up to 4096 bytes */
    LARSON_STEPS = 5,   /* up to 512 */
    LARSON_TURN = 4096, /* operations until a CPU goes on with the next one's */
};

struct world {
    const struct allocator *allocator;
    void *arena;
    const struct work *work;
    unsigned order, cpus;
    quire_pfn *units[MODEL_CPUS];
    size_t held[MODEL_CPUS], done[MODEL_CPUS], turns[MODEL_CPUS];
    uint64_t random;
};

/* One kind of work. */
struct work {
    const char *name;
    void (*prepare)(struct world *w, unsigned cpu);   /* may be NULL */
    void (*after_all)(struct world *w, unsigned cpu); /* when all CPUs did; may be NULL */
    void (*turn)(struct world *w, unsigned cpu);
    unsigned least; /* CPUs */
    unsigned warm, turns;
    bool batches;    /* a turn is BATCH operations of who has calls for that */
    unsigned orders; /* bits */
    bool objects;    /* not frames */
    size_t frames;   /* that a CPU holds at first */
    size_t arena;    /* frames for each CPU */
};

/* ---- What the allocators find -------------------------------------------------------------- */

static unsigned cpu_count;

/* In place of the C library's: the CPU whose turn it is, of as many as there are. */
int sched_getcpu(void)
{
    return (int)lines_cpu();
}

long sysconf(int name)
{
    return name == _SC_NPROCESSORS_CONF || name == _SC_NPROCESSORS_ONLN ? (long)cpu_count : -1;
}

static void die(const struct world *w, const char *what)
{
    fprintf(stderr, "quire-bench-count: %s, %s, order %u, %u CPUs: %s\n", w->allocator->name,
            w->work->name, w->order, w->cpus, what);
    exit(1);
}

/* The user writes the first word of an object. */
static quire_pfn take_object(struct world *w, unsigned cpu, size_t bytes)
{
    void *object;

    if (w->allocator->object_alloc(w->arena, cpu, bytes, &object)) {
        die(w, "an allocation was refused");
    }
    lines_touch(object, sizeof(uint64_t), LINE_WRITE);
    return quire_pfn_of((uintptr_t)object);
}

/* A run, or an object of OBJECT_BYTES, as the work is. */
static quire_pfn take(struct world *w, unsigned cpu)
{
    quire_pfn frame;

    if (w->work->objects) {
        return take_object(w, cpu, OBJECT_BYTES);
    }
    if (w->allocator->alloc(w->arena, cpu, w->order, &frame)) {
        die(w, "an allocation was refused");
    }
    return frame;
}

/* A run, or an object of any size. */
static void give(struct world *w, unsigned cpu, quire_pfn unit)
{
    const struct allocator *a = w->allocator;

    if (w->work->objects ? a->object_free(w->arena, cpu, (void *)(uintptr_t)unit.n)
                         : a->free(w->arena, cpu, unit, w->order)) {
        die(w, "a free was refused");
    }
}

static size_t below(struct world *w, size_t n)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (size_t)((w->random >> 32) * n >> 32);
}

/* ---- The work ------------------------------------------------------------------------------- */

static void turn_pair(struct world *w, unsigned cpu)
{
    give(w, cpu, take(w, cpu));
}

static void turn_take(struct world *w, unsigned cpu)
{
    const struct allocator *a = w->allocator;

    if (!a->alloc_batch) {
        w->units[cpu][w->held[cpu]++] = take(w, cpu);
    } else if (a->alloc_batch(w->arena, cpu, w->units[cpu] + w->held[cpu], BATCH)) {
        die(w, "a batch was refused");
    } else {
        w->held[cpu] += BATCH;
    }
}

static void turn_give(struct world *w, unsigned cpu)
{
    const struct allocator *a = w->allocator;
    const quire_pfn *units = w->units[cpu] + w->done[cpu];

    if (!a->free_batch) {
        give(w, cpu, units[0]);
        w->done[cpu]++;
    } else if (a->free_batch(w->arena, cpu, units, BATCH)) {
        die(w, "a batch's free was refused");
    } else {
        w->done[cpu] += BATCH;
    }
}

static void fill(struct world *w, unsigned cpu)
{
    while (w->held[cpu] < w->work->frames) {
        turn_take(w, cpu);
    }
}

static void shuffle(struct world *w, unsigned cpu)
{
    for (size_t i = w->held[cpu]; i > 1; i--) {
        size_t j = below(w, i);
        quire_pfn unit = w->units[cpu][i - 1];

        w->units[cpu][i - 1] = w->units[cpu][j];
        w->units[cpu][j] = unit;
    }
}

static void fill_and_shuffle(struct world *w, unsigned cpu)
{
    fill(w, cpu);
    shuffle(w, cpu);
}

static void thin(struct world *w, unsigned cpu)
{
    while (w->held[cpu] > w->work->frames / 2) {
        give(w, cpu, w->units[cpu][--w->held[cpu]]);
    }
}

static void turn_replace(struct world *w, unsigned cpu)
{
    quire_pfn *unit = &w->units[cpu][below(w, w->held[cpu])];

    give(w, cpu, *unit);
    *unit = take(w, cpu);
}

/* Even CPUs produce, odd ones consume what their neighbour did, QUEUE frames later. */
static void fill_queue(struct world *w, unsigned cpu)
{
    while (cpu % 2 == 0 && w->held[cpu] < QUEUE) {
        w->units[cpu][w->held[cpu]++] = take(w, cpu);
    }
}

static void turn_hand_over(struct world *w, unsigned cpu)
{
    unsigned producer = cpu & ~1u;

    if (cpu == producer) {
        w->units[cpu][w->held[cpu]++ % (2 * QUEUE)] = take(w, cpu);
    } else {
        give(w, cpu, w->units[producer][w->done[producer]++ % (2 * QUEUE)]);
    }
}

/* A run: all of a burst are allocated, then they are freed. */
static void turn_burst(struct world *w, unsigned cpu)
{
    if (w->held[cpu] < BURST && w->done[cpu] == 0) {
        w->units[cpu][w->held[cpu]++] = take(w, cpu);
        return;
    }
    give(w, cpu, w->units[cpu][w->done[cpu]++]);
    if (w->done[cpu] == w->held[cpu]) {
        w->done[cpu] = w->held[cpu] = 0;
    }
}

/* Each CPU is at another place of its burst. */
static void begin_burst(struct world *w, unsigned cpu)
{
    for (size_t i = 0; i < (size_t)2 * BURST * cpu / w->cpus; i++) {
        turn_burst(w, cpu);
    }
}

/* ---- Objects of many sizes ------------------------------------------------------------------ */

/* As in bench/cases/heap.c. */
static size_t draw_bytes(struct world *w, unsigned steps)
{
    size_t least = (size_t)16 << below(w, steps);

    return least + 1 + below(w, least);
}

static void fill_objects(struct world *w, unsigned cpu, unsigned steps)
{
    while (w->held[cpu] < OBJECTS) {
        w->units[cpu][w->held[cpu]++] = take_object(w, cpu, draw_bytes(w, steps));
    }
}

static void replace_object(struct world *w, unsigned cpu, unsigned whose, unsigned steps)
{
    quire_pfn *unit = &w->units[whose][below(w, OBJECTS)];

    give(w, cpu, *unit);
    *unit = take_object(w, cpu, draw_bytes(w, steps));
}

static void fill_mixed(struct world *w, unsigned cpu)
{
    fill_objects(w, cpu, MIXED_STEPS);
}

static void turn_mixed(struct world *w, unsigned cpu)
{
    replace_object(w, cpu, cpu, MIXED_STEPS);
}

static void fill_larson(struct world *w, unsigned cpu)
{
    fill_objects(w, cpu, LARSON_STEPS);
}

static void turn_larson(struct world *w, unsigned cpu)
{
    unsigned turn = (unsigned)(w->turns[cpu]++ / LARSON_TURN);

    replace_object(w, cpu, (cpu + turn) % w->cpus, LARSON_STEPS);
}

static const struct work works[] = {
    {.name = "pair",
     .turn = turn_pair,
     .least = 1,
     .warm = WARM,
     .turns = TURNS,
     .orders = 1 << 0 | 1 << 3 | 1 << 9,
     .arena = ARENA},
    {.name = "burst",
     .prepare = begin_burst,
     .turn = turn_burst,
     .least = 1,
     .warm = 8 * BURST,
     .turns = 8 * BURST,
     .orders = 1 << 0 | 1 << 3 | 1 << 6,
     .arena = ARENA},
    {.name = "bulk-alloc",
     .turn = turn_take,
     .least = 1,
     .turns = FRAMES,
     .batches = true,
     .orders = 1,
     .arena = 2 * FRAMES},
    {.name = "bulk-free",
     .prepare = fill,
     .turn = turn_give,
     .least = 1,
     .turns = FRAMES,
     .batches = true,
     .orders = 1,
     .frames = FRAMES,
     .arena = 2 * FRAMES},
    {.name = "random-free",
     .prepare = fill_and_shuffle,
     .turn = turn_give,
     .least = 1,
     .turns = FRAMES,
     .batches = true,
     .orders = 1,
     .frames = FRAMES,
     .arena = 2 * FRAMES},
    {.name = "half-full",
     .prepare = fill_and_shuffle,
     .after_all = thin,
     .turn = turn_replace,
     .least = 1,
     .warm = HALF,
     .turns = 8 * TURNS,
     .orders = 1,
     .frames = HALF,
     .arena = HALF},
    {.name = "spsc",
     .prepare = fill_queue,
     .turn = turn_hand_over,
     .least = 2,
     .warm = WARM,
     .turns = TURNS,
     .orders = 1,
     .arena = ARENA},
    {.name = "heap-pair",
     .turn = turn_pair,
     .least = 1,
     .warm = WARM,
     .turns = TURNS,
     .orders = 1,
     .objects = true,
     .arena = ARENA},
    {.name = "heap-mixed",
     .prepare = fill_mixed,
     .turn = turn_mixed,
     .least = 1,
     .warm = 16 * OBJECTS,
     .turns = 16 * OBJECTS,
     .orders = 1,
     .objects = true,
     .arena = ARENA},
    {.name = "heap-larson",
     .prepare = fill_larson,
     .turn = turn_larson,
     .least = 1,
     .warm = 4 * LARSON_TURN,
     .turns = 4 * LARSON_TURN,
     .orders = 1,
     .objects = true,
     .arena = ARENA},
    {.name = "heap-spsc",
     .prepare = fill_queue,
     .turn = turn_hand_over,
     .least = 2,
     .warm = WARM,
     .turns = 16 * TURNS,
     .orders = 1,
     .objects = true,
     .arena = ARENA},
};

/* ---- Counting ------------------------------------------------------------------------------- */

static void take_turns(struct world *w, unsigned turns)
{
    for (unsigned i = 0; i < turns; i++) {
        for (unsigned cpu = 0; cpu < w->cpus; cpu++) {
            lines_turn(cpu);
            w->work->turn(w, cpu);
        }
    }
}

static void each_cpu(struct world *w, void (*step)(struct world *w, unsigned cpu))
{
    for (unsigned cpu = 0; step && cpu < w->cpus; cpu++) {
        lines_turn(cpu);
        step(w, cpu);
    }
}

/* What is left goes back, by whom it is of. */
static void give_rest(struct world *w)
{
    for (unsigned cpu = 0; cpu < w->cpus; cpu++) {
        lines_turn(cpu);
        while (w->done[cpu] < w->held[cpu]) {
            size_t i = w->done[cpu]++;

            give(w, cpu, w->units[cpu][w->work->least > 1 ? i % ((size_t)2 * QUEUE) : i]);
        }
    }
}

static void count(const struct allocator *a, const struct work *work, unsigned order, unsigned cpus)
{
    struct world w = {
        .allocator = a, .work = work, .order = order, .cpus = cpus, .random = 88172645463325252};
    uint64_t operations = (uint64_t)work->turns * cpus / work->least;
    struct line_counts c;
    const char *wrong;

    cpu_count = cpus;
    lines_turn(0);
    w.arena = a->open((uint64_t)work->arena * cpus, cpus);
    if (!w.arena) {
        die(&w, "no arena");
    }
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        w.units[cpu] = calloc(HALF + BATCH, sizeof(quire_pfn));
        if (!w.units[cpu]) {
            die(&w, "no memory");
        }
    }
    lines_start();
    each_cpu(&w, work->prepare);
    each_cpu(&w, work->after_all);
    take_turns(&w, work->warm);
    lines_count(true);
    take_turns(&w, work->turns / (work->batches && a->alloc_batch ? BATCH : 1));
    c = lines_counts();
    lines_stop();
    give_rest(&w);
    wrong = a->check ? a->check(w.arena) : NULL;
    if (wrong) {
        die(&w, wrong);
    }
    printf("%s %u %s %u %lu %lu %lu %lu %lu %lu %lu %lu\n", work->name, order, a->name, cpus,
           operations, c.accesses, c.locked, c.claims, c.moved, c.hottest, c.inside,
           c.inside_moved);
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        free(w.units[cpu]);
    }
    a->close(w.arena);
}

/* Of one case, or NULL: of all. */
static void count_all(const char *only)
{
    static const struct allocator *const allocators[] = {
        &allocator_quire_exchange, &allocator_quire_zone, &allocator_spinlock_buddy,
        &allocator_cached_buddy,   &allocator_linux_like, &allocator_quire_heap_exchange,
    };

    for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
        for (unsigned order = 0; order <= 9 && (!only || strcmp(only, works[i].name) == 0);
             order++) {
            for (size_t j = 0; j < sizeof(allocators) / sizeof(allocators[0]); j++) {
                for (unsigned cpus = 1; cpus <= MODEL_CPUS; cpus *= 2) {
                    if (works[i].orders >> order & 1 && cpus >= works[i].least &&
                        works[i].objects == (allocators[j]->object_alloc != NULL)) {
                        count(allocators[j], &works[i], order, cpus);
                    }
                }
            }
        }
    }
}

/* ---- This machine --------------------------------------------------------------------------- */

/* Other programs use the CPUs too, so that short rounds count, and of them the fast ones. */
enum { PINGS = 200, ROUNDS = 1000, FAST = ROUNDS / 10 };

static struct {
    _Alignas(128) unsigned word;
} ball;

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Pin to the n-th CPU that the program may use. */
static void pin(unsigned n)
{
    cpu_set_t all, one;

    sched_getaffinity(0, sizeof(all), &all);
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &all) && n-- == 0) {
            CPU_SET(cpu, &one);
        }
    }
    if (CPU_COUNT(&one) == 0 || sched_setaffinity(0, sizeof(one), &one)) {
        fputs("quire-bench-count: --here needs two CPUs\n", stderr);
        exit(1);
    }
}

static void play(unsigned side, unsigned round)
{
    for (unsigned i = round * PINGS; i < (round + 1) * PINGS; i++) {
        unsigned expected = 2 * i + side;

        while (!__atomic_compare_exchange_n(&ball.word, &expected, 2 * i + side + 1, 0,
                                            __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
            expected = 2 * i + side;
        }
    }
}

static void *other_side(void *unused)
{
    pin(1);
    for (unsigned round = 0; round < ROUNDS; round++) {
        play(1, round);
    }
    return unused;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void measure_here(void)
{
    static double moved[ROUNDS], locked[ROUNDS];
    pthread_t other;

    if (pthread_create(&other, NULL, other_side, NULL)) {
        fputs("quire-bench-count: no thread\n", stderr);
        exit(1);
    }
    pin(0);
    for (unsigned round = 0; round < ROUNDS; round++) {
        double began = now_ns();

        play(0, round);
        moved[round] = (now_ns() - began) / (2.0 * PINGS);
    }
    pthread_join(other, NULL);
    for (unsigned round = 0; round < ROUNDS; round++) {
        double began = now_ns();

        for (unsigned i = 0; i < PINGS; i++) {
            __atomic_fetch_add(&ball.word, 1, __ATOMIC_RELAXED);
        }
        locked[round] = (now_ns() - began) / PINGS;
    }
    qsort(moved, ROUNDS, sizeof(moved[0]), compare);
    qsort(locked, ROUNDS, sizeof(locked[0]), compare);
    printf("transfer %.1f\nlocked %.1f\n", moved[FAST], locked[FAST]);
}

int main(int argc, char **argv)
{
    if (argc > 2) {
        fputs("usage: quire-bench-count [CASE | --here]\n", stderr);
        return 2;
    }
    if (argc == 2 && strcmp(argv[1], "--here") == 0) {
        measure_here();
        return 0;
    }
    for (size_t i = 0; argc == 2 && strcmp(argv[1], works[i].name) != 0; i++) {
        if (i + 1 == sizeof(works) / sizeof(works[0])) {
            fprintf(stderr, "quire-bench-count: there is no case %s\n", argv[1]);
            return 2;
        }
    }
    count_all(argc == 2 ? argv[1] : NULL);
    return 0;
}
