/* SPDX-License-Identifier: MIT
 *
 * beside.c - one call of the machine stands still at an instruction, while another thread makes a
 * call of every other kind: allocations, frees, batches, mempools, drains, retirements, figures,
 * zones that come and go, topologies, offlining.
 *
 *   numa_beside [one] whole | SAMPLES [SEED [KIND...]]
 *
 * A child stops before an instruction of its call, as if its CPU were gone. Its other thread makes
 * the other call, on the same CPU's number or on another one. If that call waits for the first one,
 * as changes do for readers, this goes on meanwhile. Then the books must agree: owners, frames,
 * figures, and what is left of a zone that went. Each pair of kinds is tried at SAMPLES
 * instructions drawn at random; `whole`: at each one that there is, the first three times and the
 * last time that the call comes to it. With kinds, say topology and offline, only calls of these
 * stand still; a name that is none is answered by all that there are. `one`: on a machine of one
 * node, which has the same zones and CPUs, and no remote frames.
 */
#include "stress/common/random.h"
#include "stress/common/shadow.h"
#include "stress/common/tracee.h"
#include "stress/numa/machine/machine_rig.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    NODES = 3,
    CPUS = 2, /* a node; one node has them all */
    FRAMES = 4 * BLOCK,
    HELD = 300,
    STARTED_WITH = 36, /* runs that each of the two has at first, of each of two nodes */
    RUNS_AT_FIRST = 5, /* likewise, of node 1, in pairs */
    LEAVES = 2,        /* the zone that is removed */
    COMES = 3,         /* and the one that is added */
    MOVED = 1,         /* the node of the CPU that moves; on one node a CPU comes */
    NOBODY = 9,
    INSTRUCTIONS = 200000,
    STEPS = 100000, /* in a library */
    PATIENCE = 120, /* seconds */
};

static struct rig rig;
static struct shadow shadows[COMES + 1];

/* The two who make the calls. */
static struct party {
    uint32_t who, count;
    uint64_t given;
    struct quire_run held[HELD];
} parties[2];

/* Between parent and child. */
static struct meeting {
    sem_t go, told;        /* the other call may begin; it is over, or waits */
    _Atomic uint32_t said; /* has `told` been posted? */
} * meeting;

static uint32_t nodes = NODES;
static unsigned other_kind;
static uint32_t other_cpu;
static _Thread_local bool is_other;

/* ---- The books ------------------------------------------------------------------------------ */

static uint32_t zone_of(uint64_t pfn)
{
    for (uint32_t i = 0; i <= COMES; i++)
        if (pfn - rig.zones[i].run.pfn.n < FRAMES)
            return i;
    die("0x%" PRIx64 " is no frame of this machine", pfn);
}

static void keep(struct party *p, quire_pfn pfn, uint64_t frames)
{
    shadow_take(&shadows[zone_of(pfn.n)], p->who, pfn.n, frames);
    if (p->count == HELD)
        die("there is more than can be held");
    p->held[p->count++] = (struct quire_run){pfn, frames};
}

static void unbook(struct party *p, uint32_t i)
{
    struct quire_run run = p->held[i];

    p->held[i] = p->held[--p->count];
    shadow_give(&shadows[zone_of(run.pfn.n)], p->who, run.pfn.n, run.frames);
}

static void give(struct party *p, uint32_t i)
{
    struct quire_run run = p->held[i];
    bool contig = run.frames & (run.frames - 1);

    unbook(p, i);
    must(contig ? quire_machine_free_contig(rig.machine, run.pfn, run.frames)
                : quire_machine_free(rig.machine, run.pfn, (unsigned)__builtin_ctzll(run.frames)),
         "free");
}

/* Give a run of so many frames of a zone. */
static void give_of(struct party *p, uint32_t zone, uint64_t frames)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (p->held[i].frames == frames && zone_of(p->held[i].pfn.n) == zone) {
            give(p, i);
            return;
        }
    die("none of zone %" PRIu32 " is held", zone);
}

/* These nodes, or the one that there is. */
static struct quire_policy policy_of(enum quire_policy_mode mode, uint64_t wanted)
{
    struct quire_policy policy = {.mode = mode, .nodes = {nodes == 1 ? 1 : wanted}};

    return policy;
}

static int ask(struct party *p, const struct quire_request *q)
{
    quire_pfn pfn;
    int error = quire_machine_request(rig.machine, q, &pfn, NULL);

    if (!error) {
        keep(p, pfn, 1ull << q->order);
        p->given++;
    } else if (error != QUIRE_ERR_NO_MEMORY && error != QUIRE_ERR_ZONE && error != QUIRE_ERR_NODE) {
        die("a request: %s", quire_strerror(error));
    }
    return error;
}

/* ---- The calls ------------------------------------------------------------------------------ */

static void take_order(struct party *p, unsigned order)
{
    struct quire_request q = quire_request_of(order, 0);

    must(ask(p, &q), "a request");
}

static void take_frame(struct party *p)
{
    take_order(p, 0);
}

static void take_run(struct party *p)
{
    take_order(p, 2);
}

static void take_block(struct party *p)
{
    struct quire_request q = quire_request_of(9, 0);

    (void)ask(p, &q);
}

static void take_remote(struct party *p)
{
    struct quire_request q = quire_request_of(0, 0);

    q.near_node = quire_near_of(quire_node_of(1));
    must(ask(p, &q), "a request of node 1");
}

/* A pair, the longest run that waits in a remote magazine here. */
static void take_remote_run(struct party *p)
{
    struct quire_request q = quire_request_of(1, 0);

    q.near_node = quire_near_of(quire_node_of(1));
    must(ask(p, &q), "a request of node 1");
}

static void take_bound(struct party *p)
{
    const struct quire_policy policy = policy_of(QUIRE_POLICY_BIND, 4);
    struct quire_request q = quire_request_of(0, 0);

    q.policy = &policy;
    (void)ask(p, &q);
}

/* More than there is, of one node: all is drained before. One node alone has a zone without a frame
 * in use. */
static void refused(struct party *p)
{
    const struct quire_policy policy = policy_of(QUIRE_POLICY_BIND, 2);
    struct quire_request q = quire_request_of(nodes == 1 ? 12 : 11, 0);

    q.policy = &policy;
    if (ask(p, &q) == QUIRE_OK)
        die("there was more than there is");
}

static void give_local(struct party *p)
{
    give_of(p, 0, 1);
}

static void give_remote(struct party *p)
{
    give_of(p, 1, 1);
}

static void give_remote_run(struct party *p)
{
    give_of(p, 1, 2);
}

static void take_batch(struct party *p)
{
    const struct quire_policy policy = policy_of(QUIRE_POLICY_INTERLEAVE, 3);
    struct quire_request q = quire_request_of(0, 0);
    quire_pfn pfns[20];
    size_t got;

    q.policy = &policy;
    must(quire_machine_alloc_batch(rig.machine, &q, 20, pfns, &got, NULL), "alloc_batch");
    for (size_t i = 0; i < got; i++)
        keep(p, pfns[i], 1);
    p->given += got;
}

static void give_batch(struct party *p)
{
    quire_pfn pfns[12];
    size_t n = 0;

    for (uint32_t i = p->count; i-- > 0 && n < 12;)
        if (p->held[i].frames == 1) {
            pfns[n++] = p->held[i].pfn;
            unbook(p, i);
        }
    if (n)
        must(quire_machine_free_batch(rig.machine, pfns, n, NULL), "free_batch");
}

static void take_contig(struct party *p)
{
    const struct quire_contig want = {.frames = 77};
    const struct quire_request q = quire_request_of(0, 0);
    quire_pfn pfn;

    if (quire_machine_alloc_contig(rig.machine, &q, &want, &pfn, NULL) == QUIRE_OK) {
        keep(p, pfn, want.frames);
        p->given++;
    }
}

static void use_mempool(struct party *p)
{
    const struct quire_request q = quire_request_of(0, 0);
    struct quire_mempool pool;
    quire_pfn pfns[16], pfn;

    must(quire_mempool_fill(rig.machine, &q, 16, pfns, &pool, NULL), "mempool_fill");
    p->given += 16;
    must(quire_mempool_take(&pool, &pfn), "mempool_take");
    keep(p, pfn, 1);
    must(quire_mempool_release(rig.machine, &pool), "mempool_release");
}

static void drain(struct party *p)
{
    (void)p;
    must(quire_machine_drain(rig.machine), "drain");
}

static void drain_cpu(struct party *p)
{
    (void)p;
    must(quire_machine_drain_cpu(rig.machine, 0), "drain_cpu");
}

static void retire_cpu(struct party *p)
{
    (void)p;
    must(quire_machine_retire_cpu(rig.machine, 0), "retire_cpu");
}

static void maintain(struct party *p)
{
    (void)p;
    (void)quire_machine_maintain(rig.machine);
    (void)quire_machine_maintain(rig.machine);
}

static void figures(struct party *p)
{
    struct quire_machine_stats stats;

    (void)p;
    must(quire_machine_stats(rig.machine, &stats), "machine_stats");
    (void)rig_stats(&rig, nodes == 1 ? 0 : 1);
}

/* ---- Changes -------------------------------------------------------------------------------- */

/* A change that another one keeps away, or a frame in use. */
static bool changed(int error, const char *call)
{
    if (error != QUIRE_ERR_BUSY)
        must(error, call);
    return error == QUIRE_OK;
}

static void add_zone(struct party *p)
{
    (void)p;
    (void)changed(quire_machine_add_zone(rig.machine, &rig.given[COMES], &rig.spans[COMES], 1),
                  "add_zone");
}

/* What has left is overwritten: nobody may look at it any more. */
static void remove_zone(struct party *p)
{
    struct rig_zone *z = &rig.zones[LEAVES];
    int error = quire_machine_remove_zone(rig.machine, &z->zone);

    (void)p;
    if (error == QUIRE_ERR_FRAME || !changed(error, "remove_zone")) /* the other one was faster */
        return;
    memset(z->metadata, 0xa5, quire_zone_metadata_bytes(&z->zone));
    z->metadata = NULL;
}

static void set_topology(struct party *p)
{
    static struct quire_topology topologies[2];
    struct quire_topology *t = &topologies[p - parties];

    *t = rig.topology;
    t->cpu_node[nodes == 1 ? NODES * CPUS : MOVED * CPUS] = 0;
    if (nodes > 1)
        t->distance[0][2] = t->distance[2][0] = QUIRE_DISTANCE_UNREACHABLE;
    (void)changed(quire_machine_set_topology(rig.machine, t), "set_topology");
}

static void offline(struct party *p)
{
    struct quire_run run = {{rig.zones[1].run.pfn.n + FRAMES - BLOCK}, BLOCK};
    size_t count;
    int error;

    (void)p;
    error = quire_machine_offline(rig.machine, run, NULL, NULL, NULL, 0, &count);
    if (error == QUIRE_ERR_FRAME || !changed(error, "offline")) /* the other one has it offline */
        return;
    shadow_take(&shadows[1], NOBODY, run.pfn.n, run.frames);
    shadow_give(&shadows[1], NOBODY, run.pfn.n, run.frames);
    do
        error = quire_machine_online(rig.machine, run);
    while (error == QUIRE_ERR_BUSY && !is_other); /* the other one stands still */
    if (error == QUIRE_ERR_BUSY)
        die("a change that waits for nobody keeps another one away");
    must(error, "online");
}

static const struct kind {
    const char *name;
    void (*call)(struct party *p);
    bool of_others; /* about memory of another node */
} kinds[] = {
    {"frame", take_frame, false},
    {"run", take_run, false},
    {"block", take_block, false},
    {"remote frame", take_remote, true},
    {"remote run", take_remote_run, true},
    {"bound", take_bound, false},
    {"refused", refused, false},
    {"free", give_local, false},
    {"remote free", give_remote, true},
    {"remote run free", give_remote_run, true},
    {"batch", take_batch, false},
    {"free batch", give_batch, false},
    {"contiguous", take_contig, false},
    {"mempool", use_mempool, false},
    {"drain", drain, false},
    {"drain CPU", drain_cpu, false},
    {"retire CPU", retire_cpu, false},
    {"maintain", maintain, false},
    {"figures", figures, false},
    {"add zone", add_zone, false},
    {"remove zone", remove_zone, false},
    {"topology", set_topology, false},
    {"offline", offline, false},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static bool is_possible(unsigned kind)
{
    return nodes > 1 || !kinds[kind].of_others;
}

/* ---- The child ------------------------------------------------------------------------------ */

/* The other call is over, or it waits for the one that stands still. */
static void tell(void)
{
    if (atomic_exchange(&meeting->said, 1) == 0)
        (void)sem_post(&meeting->told);
}

static void relax(void *ctx)
{
    (void)ctx;
    if (is_other)
        tell();
    rig_pause();
}

static void *other(void *unused)
{
    (void)unused;
    is_other = true;
    rig_cpu = other_cpu;
    while (sem_wait(&meeting->go) != 0)
        ;
    kinds[other_kind].call(&parties[1]);
    tell();
    return NULL;
}

static void check_books(void)
{
    uint64_t used = 0, given = 0, sums[2] = {0};

    for (uint32_t i = 0; i <= COMES; i++)
        used += atomic_load(&shadows[i].held);
    for (unsigned i = 0; i < 2; i++)
        given += parties[i].given;
    for (uint32_t n = 0; n < nodes; n++) {
        struct quire_node_stats s = rig_stats(&rig, n);

        sums[0] += s.counts[QUIRE_NODE_HIT] + s.counts[QUIRE_NODE_MISS];
        sums[1] += s.counts[QUIRE_NODE_LOCAL] + s.counts[QUIRE_NODE_OTHER];
    }
    if (sums[0] != given || sums[1] != given)
        die("%" PRIu64 " given, but %" PRIu64 " hits and misses, %" PRIu64 " local and other",
            given, sums[0], sums[1]);
    if (rig.heard.reports != 0)
        die("good frees were taken for bad ones");
    rig_check(&rig, used);
}

static void pause_here(void)
{
    (void)raise(SIGSTOP);
}

void scene_play(const struct scene *scene)
{
    unsigned mine = (unsigned)strtoul(scene->name, NULL, 10);
    pthread_t thread;

    if (pthread_create(&thread, NULL, other, NULL) != 0)
        die("cannot start a thread");
    rig_cpu = 0;
    pause_here();
    kinds[mine].call(&parties[0]);
    pause_here();
    (void)sem_post(&meeting->go); /* when the call is only stepped through */
    (void)pthread_join(thread, NULL);
    check_books();
    for (unsigned i = 0; i < 2; i++)
        while (parties[i].count > 0)
            give(&parties[i], parties[i].count - 1);
    must(quire_machine_drain(rig.machine), "drain");
    check_books();
    _exit(0);
}

/* ---- The parent ----------------------------------------------------------------------------- */

static uint64_t ips[INSTRUCTIONS];
static struct place {
    uint64_t ip;
    unsigned times;
} places[INSTRUCTIONS];

static const struct scene *scene_of(unsigned kind)
{
    static char name[40];
    static struct scene scene = {.name = name};

    (void)snprintf(name, sizeof name, "%u %s", kind, kinds[kind].name);
    return &scene;
}

/* Nobody has told anybody yet. */
static void meet_anew(void)
{
    if (sem_init(&meeting->go, 1, 0) != 0 || sem_init(&meeting->told, 1, 0) != 0)
        die("no semaphores");
    atomic_store(&meeting->said, 0);
}

/* Step through a call, and note its instructions. Returns how many. */
static unsigned step_through(unsigned kind)
{
    struct tracee t;
    enum stop stop = STOP_TRAP;
    unsigned n = 0, i = 0;

    other_kind = KINDS - 1; /* afterwards */
    other_cpu = 2;
    meet_anew();
    t = tracee_start(scene_of(kind));
    while (stop == STOP_TRAP && n < INSTRUCTIONS && i < STEPS) {
        stop = i++ == 1 ? tracee_leave_library(&t) : tracee_step(&t, 0);
        if (stop == STOP_TRAP && tracee_in_program(tracee_ip(&t))) {
            ips[n++] = tracee_ip(&t);
            i = 0;
        }
    }
    if (i == STEPS)
        die("%s: does not come back in %d steps", t.scene->name, STEPS);
    tracee_finish(&t);
    return n;
}

/* Stop a call at one of its places, and make the other one. */
static void meet_at(unsigned kind, struct place place)
{
    struct timespec until;
    struct tracee t;

    meet_anew();
    t = tracee_stop_at(scene_of(kind), place.ip, place.times);
    (void)sem_post(&meeting->go);
    (void)clock_gettime(CLOCK_REALTIME, &until);
    for (unsigned i = 0;; i++) {
        until.tv_sec++;
        if (sem_timedwait(&meeting->told, &until) == 0)
            break;
        if (i == PATIENCE || (errno == ETIMEDOUT && waitpid(t.pid, NULL, WNOHANG) != 0))
            die("%s, stopped at 0x%" PRIx64 " for the %u. time: %s does not end well",
                kinds[kind].name, place.ip, place.times, kinds[other_kind].name);
    }
    tracee_finish(&t);
}

static int compare_places(const void *a, const void *b)
{
    const struct place *p = a, *q = b;

    if (p->ip != q->ip)
        return p->ip < q->ip ? -1 : 1;
    return p->times < q->times ? -1 : p->times > q->times;
}

/* Leave in places[] where the call comes for the first, second, third and last time, of the n in
 * ips[]. Returns how many. */
static unsigned choose_places(unsigned n)
{
    unsigned chosen = 0, times = 1;

    for (unsigned k = 0; k < n; k++)
        places[k] = (struct place){ips[k], k}; /* when, for the moment: so they sort stably */
    qsort(places, n, sizeof places[0], compare_places);
    for (unsigned k = 0; k < n; k++) {
        bool is_last = k + 1 == n || places[k + 1].ip != places[k].ip;

        if (times <= 3 || is_last)
            places[chosen++] = (struct place){places[k].ip, times};
        times = is_last ? 1 : times + 1;
    }
    return chosen;
}

/* Every kind beside one. Returns how often they met. */
static unsigned meet_all(unsigned kind, unsigned samples, uint64_t *random)
{
    unsigned n = step_through(kind), chosen = choose_places(n);
    unsigned tries = samples ? samples : chosen, met = 0;

    if (n < 20)
        die("%s: %u instructions were seen", kinds[kind].name, n);
    for (unsigned i = 0; i < tries; i++)
        for (other_kind = 0; other_kind < KINDS; other_kind++) {
            if (!is_possible(other_kind))
                continue;
            met++;
            other_cpu = 2 * (uint32_t)random_below(random, 2);
            meet_at(kind, places[samples ? random_below(random, chosen) : i]);
        }
    printf("%-12s %6u instructions, %4u places, met %u times\n", kinds[kind].name, n, chosen, met);
    return met;
}

/* Frames in all caches and magazines, and in both hands. */
static void start_machine(void)
{
    rig_begin(&rig, nodes, nodes == 1 ? NODES * CPUS : CPUS);
    rig.config.rounds = 8;
    rig.config.port.relax = relax;
    for (uint32_t i = 0; i < COMES; i++)
        (void)rig_zone(&rig, nodes == 1 ? 0 : i, QUIRE_ZONE_NORMAL, nodes == 1 ? i * FRAMES : 0,
                       FRAMES);
    if (nodes == 1) {
        (void)rig_spare_zone(&rig, 0, QUIRE_ZONE_NORMAL, COMES * FRAMES, FRAMES);
    } else { /* of node 1's section */
        (void)rig_spare_zone(&rig, 1, QUIRE_ZONE_NORMAL, 2 * FRAMES, FRAMES);
        rig.given[COMES].node = quire_node_of(2);
    }
    rig_open(&rig);
    for (uint32_t i = 0; i <= COMES; i++)
        shadow_open(&shadows[i], rig.zones[i].run.pfn.n, FRAMES, FRAMES);
    for (unsigned i = 0; i < 2; i++) {
        struct party *p = &parties[i];

        p->who = i + 1;
        for (unsigned k = 0; k < 2 * STARTED_WITH; k++)
            take_frame(p);
        for (unsigned k = 0; k < 2 * STARTED_WITH && nodes > 1; k++)
            take_remote(p);
        for (unsigned k = 0; k < STARTED_WITH; k++) {
            give_local(p);
            if (nodes > 1)
                give_remote(p);
        }
        for (unsigned k = 0; k < 2 * RUNS_AT_FIRST && nodes > 1; k++)
            take_remote_run(p);
        for (unsigned k = 0; k < RUNS_AT_FIRST && nodes > 1; k++)
            give_remote_run(p);
    }
    check_books();
    (void)fflush(NULL); /* so that no child prints what the parent has printed */
}

static unsigned kind_of(const char *name)
{
    for (unsigned kind = 0; kind < KINDS; kind++)
        if (strcmp(kinds[kind].name, name) == 0 && is_possible(kind))
            return kind;
    for (unsigned kind = 0; kind < KINDS; kind++)
        (void)fprintf(stderr, "%s%s", kind ? ", " : "kinds: ", kinds[kind].name);
    (void)fprintf(stderr, "\n");
    die("no kind is called %s", name);
}

int main(int argc, char *argv[])
{
    unsigned samples, met = 0, chosen[KINDS], count = 0;
    uint64_t random;

    skip_unless_watchable();
    if (argc > 1 && strcmp(argv[1], "one") == 0) {
        nodes = 1;
        argc--;
        argv++;
    }
    if (argc < 2)
        die("which instructions: `whole` or a number of samples?");
    random = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    samples = strcmp(argv[1], "whole") == 0 ? 0 : (unsigned)strtoul(argv[1], NULL, 0);
    for (int i = 3; i < argc && count < KINDS; i++)
        chosen[count++] = kind_of(argv[i]);
    for (unsigned kind = 0; argc <= 3 && kind < KINDS; kind++)
        if (is_possible(kind))
            chosen[count++] = kind;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    meeting =
        mmap(NULL, sizeof *meeting, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (meeting == MAP_FAILED)
        die("no shared memory");
    start_machine();
    printf("seed %" PRIu64 "\n", random);
    for (unsigned i = 0; i < count; i++)
        met += meet_all(chosen[i], samples, &random);
    printf("%u meetings: clean\n", met);
    return 0;
}
