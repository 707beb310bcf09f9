/* SPDX-License-Identifier: MIT
 *
 * stress.c - threads as virtual CPUs of random machines, one after the other, in valid use that is
 * as hostile as can be: 1 to 64 nodes, 2 to 8 threads that change their CPU's number in the middle
 * of what others do with that CPU; all policies, purposes, orders and flags, batches, contiguous
 * runs, mempools; signals and the zones' callbacks that allocate and free; a port that has no
 * memory; zones that come and go, and share their sections; topologies that change, ranges that go
 * offline, drains, retirements and figures beside it all. Shadows keep the books: who holds which
 * frame.
 *
 *   numa_stress exchange|rseq [ROUNDS [SEED]]
 *
 * Each round has a machine of its own, drawn from a seed that is printed when something fails, and
 * as many calls for each thread. What a seed repeats is what is drawn, not how threads interleave.
 * The first round is a small machine of three nodes.
 *
 * In exchange mode each thread says which CPU it runs on; in rseq mode the kernel says so. A zone
 * that has left is overwritten and its metadata freed, so that a late look is seen by
 * AddressSanitizer, or finds rubbish; then it is built anew and may come back. After each round the
 * books must agree, with all that is held and when it is back.
 */
#include "machine_load.h"

#include "stress/common/sanitized.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    THREADS = 8,
    INSIDE = 40,                      /* runs that a signal handler holds at most, or a callback */
    CALLS = SANITIZED ? 4000 : 40000, /* of a thread in a round, at least */
    MOST_TIMES = 20, /* so many times the rounds, until there was some of everything */
    REMOVALS = 100,  /* tries to remove a zone, until its frames are back */
};

struct worker {
    struct holder outside, inside, within; /* within: callbacks */
    struct stock stock;
    pthread_t thread;
    uint64_t signals, callbacks;
    _Atomic bool in_callback;
    _Atomic bool done;
};

static struct worker workers[THREADS];
static struct holder disturbers[2];
static unsigned threads; /* of this round */
static _Atomic bool over;
static bool rseq;
static uint64_t seed;
static _Thread_local struct worker *self;

/* ---- Signals and callbacks ------------------------------------------------------------------ */

static void handle(int signal)
{
    (void)signal;
    if (!self)
        return;
    self->signals++;
    for (int i = 0; i < 4; i++)
        act(&self->inside);
}

static void callback(struct rig *r)
{
    struct worker *w = self;

    (void)r;
    if (!w || w->in_callback)
        return;
    w->in_callback = true;
    w->callbacks++;
    act(&w->within);
    w->in_callback = false;
}

/* The last resort: what callbacks hold comes back, and they take a frame on the way. */
static uint64_t reclaim(struct rig *r, quire_node node, uint64_t frames)
{
    struct worker *w = self;
    quire_pfn pfn;

    (void)node;
    if (!w || w->in_callback)
        return 0;
    w->in_callback = true;
    w->callbacks++;
    give_all_back(&w->within);
    if (quire_machine_alloc(r->machine, 0, QUIRE_EMERGENCY | QUIRE_NO_CALLBACK, &pfn) == QUIRE_OK) {
        w->within.given++;
        must(quire_machine_free(r->machine, pfn, 0), "free in reclaim");
    }
    w->in_callback = false;
    return frames;
}

static void *work(void *arg)
{
    struct worker *w = arg;

    self = w;
    rig_cpu = (uint32_t)draw(&w->outside, rig.topology.cpu_count);
    while (!atomic_load_explicit(&over, memory_order_relaxed)) {
        act(&w->outside);
        if (w->outside.calls == CALLS) /* it goes on until all have come so far */
            atomic_store(&w->done, true);
    }
    return NULL;
}

/* ---- The port ------------------------------------------------------------------------------- */

static bool flaky;        /* does it refuse memory now and then, in this round? */
static uint64_t refusals; /* one writer at a time */
static void *(*rig_memory)(void *ctx, size_t bytes, quire_node node);

static void *give_memory(void *ctx, size_t bytes, quire_node node)
{
    static uint64_t random; /* the same */

    if (flaky && random_below(&random, 6) == 0) {
        refusals++;
        return NULL;
    }
    return rig_memory(ctx, bytes, node);
}

static uint32_t real_cpu(void *ctx)
{
    (void)ctx;
    return (uint32_t)sched_getcpu();
}

/* ---- Hot-plug ------------------------------------------------------------------------------- */

static struct {
    _Atomic uint32_t added, removed, busy, topologies, offlined, in_use, no_memory;
} done;
static bool in_service[RIG_ZONES];

/* A change that the port's memory, another change or a frame in use may refuse. */
static bool changed(int error, const char *call)
{
    done.busy += error == QUIRE_ERR_BUSY;
    done.no_memory += error == QUIRE_ERR_NO_MEMORY;
    if (error != QUIRE_ERR_BUSY && error != QUIRE_ERR_NO_MEMORY)
        must(error, call);
    return error == QUIRE_OK;
}

static void poke(struct holder *h)
{
    (void)pthread_kill(workers[draw(h, threads)].thread, SIGUSR1);
    rig_pause();
}

static void unplug(struct holder *h, uint32_t zone)
{
    struct rig_zone *z = &rig.zones[zone];
    struct quire_fault v;
    bool gone = false;

    atomic_store(&leaving, zone);
    for (unsigned i = 0; i < REMOVALS && !gone && !atomic_load(&over); i++) {
        gone = changed(quire_machine_remove_zone(rig.machine, &z->zone), "remove_zone");
        poke(h);
    }
    atomic_store(&leaving, NO_ZONE);
    if (!gone)
        return;
    done.removed++;
    in_service[zone] = false;
    if (quire_zone_check(&z->zone, &v) ||
        quire_zone_free_frames(&z->zone) != quire_zone_managed(&z->zone))
        die("a zone that left: %s", v.what);
    rig_rebuild_zone(&rig, zone);
}

static void plug(uint32_t zone)
{
    struct quire_pfnmap_span span = {rig.zones[zone].run, zone};

    in_service[zone] =
        changed(quire_machine_add_zone(rig.machine, &rig.given[zone], &span, 1), "add_zone");
    done.added += in_service[zone];
}

static void move_cpus(struct holder *h, struct quire_topology *t)
{
    uint32_t nodes = rig.topology.node_count, a = (uint32_t)draw(h, nodes),
             b = (uint32_t)draw(h, nodes);

    *t = rig.topology;
    if (draw(h, 3))
        t->cpu_node[draw(h, t->cpu_count)] = (uint32_t)draw(h, nodes);
    if (a != b)
        t->distance[a][b] = t->distance[b][a] = draw(h, 3) ? 30 : QUIRE_DISTANCE_UNREACHABLE;
    done.topologies += changed(quire_machine_set_topology(rig.machine, t), "set_topology");
}

/* A frame is in the way: its holder gives it back, as it was told to, if he comes to run. */
static int wait_for_owner(void *ctx, quire_pfn pfn, uint64_t frames)
{
    (void)pfn;
    (void)frames;
    if (draw(ctx, 200) == 0)
        poke(ctx);
    return -1;
}

static void offline_some(struct holder *h, uint32_t zone)
{
    uint64_t blocks = rig.zones[zone].run.frames / BLOCK, first = draw(h, blocks);
    struct quire_run run = {{rig.zones[zone].run.pfn.n + first * BLOCK},
                            (1 + draw(h, blocks - first < 2 ? 1 : 2)) * BLOCK};
    size_t count;
    int error;

    atomic_store(&leaving, zone);
    error = quire_machine_offline(rig.machine, run, wait_for_owner, h, NULL, 0, &count);
    atomic_store(&leaving, NO_ZONE);
    if (error == QUIRE_ERR_BUSY)
        done.in_use++;
    if (!changed(error, "offline"))
        return;
    done.offlined++;
    book(run, NOBODY); /* nobody may have a frame of it */
    rig_pause();
    unbook(run, NOBODY);
    do
        error = quire_machine_online(rig.machine, run);
    while (error == QUIRE_ERR_BUSY);
    must(error, "online");
}

/* Zones, ranges and what is left. */
static void *disturb(void *arg)
{
    static struct quire_topology topology;
    struct holder *h = arg;

    while (!atomic_load(&over)) {
        uint32_t zone = (uint32_t)draw(h, rig.zone_count);

        switch (draw(h, 4)) {
        case 0:
        case 1:
            if (!in_service[zone])
                plug(zone);
            else if (zone > 0)
                unplug(h, zone);
            break;
        case 2:
            if (in_service[zone])
                offline_some(h, zone);
            break;
        default:
            move_cpus(h, &topology);
        }
        poke(h);
    }
    return NULL;
}

/* Topologies: a second one who changes the machine. */
static void *move_about(void *arg)
{
    static struct quire_topology topology;
    struct holder *h = arg;

    while (!atomic_load(&over)) {
        move_cpus(h, &topology);
        for (uint64_t i = draw(h, 8) * 4; i > 0; i--)
            rig_pause();
    }
    return NULL;
}

/* ---- A round -------------------------------------------------------------------------------- */

static struct quire_policy draw_policy(struct holder *h, uint32_t nodes)
{
    struct quire_policy p = {.mode = (enum quire_policy_mode)draw(h, 6)};

    p.nodes.bits = draw(h, 2) ? UINT64_MAX : 1ull << draw(h, nodes) | 1;
    memset(p.weight, 1 + (int)draw(h, 3), sizeof p.weight);
    return p;
}

static void draw_zones(struct holder *h, uint32_t nodes, bool small)
{
    static const enum quire_zone_type types[] = {
        QUIRE_ZONE_NORMAL, QUIRE_ZONE_NORMAL, QUIRE_ZONE_NORMAL, QUIRE_ZONE_NORMAL,
        QUIRE_ZONE_DMA32,  QUIRE_ZONE_HUGE,   QUIRE_ZONE_DMA,    QUIRE_ZONE_DEVICE};
    uint64_t blocks = small ? 8 : 3 + draw(h, 10), place = 0;

    for (uint32_t n = 0; n < nodes; n++)
        for (uint32_t i = 0; i < 2; i++) {
            enum quire_zone_type type = types[n && !small ? draw(h, 8) : 0];
            uint32_t zone;

            if (n > 0 && draw(h, 4) == 0 && !small)
                continue;
            if (i == 1 && draw(h, 2))
                continue;
            /* Some share a section, so that one is in the other's hole before it comes. */
            zone = rig_zone(&rig, n / 4, type, place % 8 * (SECTION / 4) + place / 8 * 16 * BLOCK,
                            blocks * BLOCK);
            place++;
            rig.given[zone].node = quire_node_of(n);
        }
}

static void describe_machine(struct holder *h, bool small)
{
    uint32_t nodes = draw(h, 4) ? 1 + (uint32_t)draw(h, 6) : 1 + (uint32_t)draw(h, QUIRE_NODES);
    uint32_t spare;

    threads = small ? 4 : 2 + (unsigned)draw(h, THREADS - 1);
    nodes = small ? 3 : nodes;
    rig_begin(&rig, nodes, small ? 2 : 1 + (uint32_t)draw(h, 3));
    for (uint32_t a = 0; a < nodes && !small; a++)
        for (uint32_t b = 0; b < a; b++)
            rig.topology.distance[a][b] = rig.topology.distance[b][a] =
                (uint8_t)(draw(h, 12) ? 20 + 5 * draw(h, 3) : QUIRE_DISTANCE_UNREACHABLE);
    if (rseq) {
        rig.config.mode = QUIRE_CACHE_RSEQ;
        rig.config.port.cpu = real_cpu;
    }
    rig.low = draw(h, 2) ? 300 : 0;
    rig.slots = 1 + (uint32_t)draw(h, 8);
    rig.config.rounds = 2 * (uint32_t)draw(h, 20);
    if (!small && draw(h, 2))
        rig.config.policy = draw_policy(h, nodes);
    draw_zones(h, nodes, small);
    spare = draw(h, 2) ? (uint32_t)draw(h, rig.zone_count) : 0; /* the last ones come later */
    rig.config.zone_count -= spare;
    rig.config.span_count -= spare;
    for (uint32_t i = 0; i < rig.zone_count; i++)
        in_service[i] = i < rig.config.zone_count;
    rig.event = callback;
    rig.reclaim = reclaim;
    rig_memory = rig.config.port.memory;
    rig.config.port.memory = give_memory;
    flaky = false;
}

/* The spans of the machine as it is described, in order. */
static void sort_spans(void)
{
    for (size_t i = 1; i < rig.config.span_count; i++)
        for (size_t k = i; k > 0 && rig.spans[k].run.pfn.n < rig.spans[k - 1].run.pfn.n; k--) {
            struct quire_pfnmap_span other = rig.spans[k];

            rig.spans[k] = rig.spans[k - 1];
            rig.spans[k - 1] = other;
        }
}

static void prepare_holder(struct holder *h, uint32_t who, uint32_t most, struct stock *stock)
{
    h->random = random_seed(seed, who);
    h->who = who;
    h->most = most;
    h->calls = h->refused = h->given = h->count = 0;
    h->stock = stock;
    h->fills = false;
}

static void start(pthread_t *thread, void *(*body)(void *), void *arg)
{
    if (pthread_create(thread, NULL, body, arg) != 0)
        die("cannot start a thread");
}

static void run_threads(void)
{
    pthread_t others[2];

    atomic_store(&over, false);
    for (unsigned i = 0; i < threads; i++) {
        struct worker *w = &workers[i];

        prepare_holder(&w->outside, 4 * i + 1, HOLD, &w->stock);
        prepare_holder(&w->inside, 4 * i + 2, INSIDE, &w->stock);
        prepare_holder(&w->within, 4 * i + 3, INSIDE, &w->stock);
        w->outside.fills = true;
        w->stock.who = 4 * i + 4;
        atomic_store(&w->done, false);
        w->in_callback = false;
        start(&w->thread, work, w);
    }
    start(&others[0], disturb, &disturbers[0]);
    start(&others[1], move_about, &disturbers[1]);
    for (unsigned i = 0; i < threads; i++)
        while (!atomic_load(&workers[i].done))
            rig_pause();
    atomic_store(&over, true);
    for (unsigned i = 0; i < 2; i++)
        (void)pthread_join(others[i], NULL);
    for (unsigned i = 0; i < threads; i++)
        (void)pthread_join(workers[i].thread, NULL);
}

static struct {
    uint64_t calls, refused, signals, callbacks;
} all;

/* All is still: the books must agree, then all comes back, and they must agree again. */
static void finish_round(void)
{
    uint64_t given = 0, sums[2] = {0};

    rig_check(&rig, books_held());
    for (unsigned i = 0; i < threads; i++) {
        struct worker *w = &workers[i];
        struct holder *holders[] = {&w->outside, &w->inside, &w->within};

        for (unsigned k = 0; k < 3; k++) {
            all.calls += holders[k]->calls;
            all.refused += holders[k]->refused;
            given += holders[k]->given;
            give_all_back(holders[k]);
        }
        all.signals += w->signals;
        all.callbacks += w->callbacks;
        w->signals = w->callbacks = 0;
    }
    for (uint32_t n = 0; n < rig.topology.node_count; n++) {
        struct quire_node_stats s = rig_stats(&rig, n);

        sums[0] += s.counts[QUIRE_NODE_HIT] + s.counts[QUIRE_NODE_MISS];
        sums[1] += s.counts[QUIRE_NODE_LOCAL] + s.counts[QUIRE_NODE_OTHER];
    }
    if (sums[0] != given || sums[1] != given)
        die("%" PRIu64 " given, but %" PRIu64 " hits and misses, %" PRIu64 " local and other",
            given, sums[0], sums[1]);
    if (books_held() != 0)
        die("%" PRIu64 " frames are held by nobody", books_held());
    if (rig.heard.reports != 0)
        die("good frees were taken for bad ones");
    rig_close(&rig);
    books_close();
}

static void play_round(bool small)
{
    for (unsigned i = 0; i < 2; i++)
        prepare_holder(&disturbers[i], 100 + i, 0, NULL);
    describe_machine(&disturbers[0], small);
    sort_spans();
    if (rig_try(&rig) != QUIRE_OK)
        skip_all("restartable sequences do not work here");
    flaky = draw(&disturbers[0], 2);
    books_open();
    run_threads();
    finish_round();
}

/* ---- All of it ------------------------------------------------------------------------------ */

/* Was there some of everything? */
static bool is_test(void)
{
    return done.added > 0 && done.removed > 0 && done.topologies > 0 && done.offlined > 0 &&
           all.signals > 5 && all.callbacks > 0 && refusals > 0;
}

/* What repeats a run that failed. */
static void say_seed(int signal)
{
    (void)fprintf(stderr, "the round's seed: %s 1 %" PRIu64 "\n", rseq ? "rseq" : "exchange", seed);
    (void)sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
}

int main(int argc, char *argv[])
{
    const struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART},
                           last = {.sa_handler = say_seed};
    unsigned long rounds = argc > 2 ? strtoul(argv[2], NULL, 0) : 4, n;

    seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
    if (argc < 2 || (strcmp(argv[1], "rseq") != 0 && strcmp(argv[1], "exchange") != 0))
        die("%s: the first argument is the mode: exchange or rseq", argv[0]);
    rseq = strcmp(argv[1], "rseq") == 0;
    (void)sigaction(SIGUSR1, &action, NULL);
    (void)sigaction(SIGABRT, &last, NULL);
    for (n = 0; n < rounds || (argc < 4 && !is_test() && n < MOST_TIMES * rounds); n++, seed++)
        play_round(seed == 1);
    printf("%lu rounds: %" PRIu64 " calls, %" PRIu64 " refused, %" PRIu64 " signals, %" PRIu64
           " callbacks; %u zones added, %u removed, %u topologies, %u ranges offline (%u in use); "
           "%u changes busy, %u without memory: clean\n",
           n, all.calls, all.refused, all.signals, all.callbacks, done.added, done.removed,
           done.topologies, done.offlined, done.in_use, done.busy, done.no_memory);
    if (argc < 4 && !is_test())
        die("this was no test");
    return 0;
}
