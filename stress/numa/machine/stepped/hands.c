/* SPDX-License-Identifier: MIT
 *
 * hands.c - what a call of the machine that stands still with a remote magazine keeps from a
 * request that may use the last frame: as stress/percpu/stepped/hands.c, one layer up.
 *
 * CPU 0 of node 0 has freed frames of node 1. It is stopped at each instruction of one more such
 * free, or of a request for node 1; there a CPU of node 1 takes all that it can get. What is
 * missing is the run that the call is about and one remote magazine, as machine.h says, at most.
 * The same of runs of order 1.
 */
#include "stress/common/tracee.h"
#include "stress/numa/machine/machine_rig.h"

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    NODE_FRAMES = 2 * BLOCK,
    REMOTE = 16, /* frames in a remote magazine */
    PAIRS = 8,   /* runs of order 1 in one */
    HELD_MOST = 16 * REMOTE,
    INSTRUCTIONS = 10000,
    REPEATS = 3, /* of an instruction that is executed again and again, so many are enough */
    CPU_OF_1 = 1,
};

/* What the child tells its parent. */
static struct {
    _Atomic uint64_t got;        /* by the other CPU, while the call stood still */
    _Atomic uint64_t held_after; /* when the call was over */
    _Atomic unsigned order;      /* of the call */
} * shared;

static struct rig rig;
static quire_pfn held[HELD_MOST];
static unsigned held_count, held_order;
static uint64_t ips[INSTRUCTIONS];

/* ---- The child ------------------------------------------------------------------------------ */

static void take_remote(void)
{
    struct quire_request request = quire_request_of(held_order, 0);

    request.near_node = quire_near_of(quire_node_of(1));
    must(quire_machine_request(rig.machine, &request, &held[held_count], NULL), "request");
    held_count++;
}

static void give_remote(void)
{
    must(quire_machine_free(rig.machine, held[--held_count], held_order), "free");
}

static void fill(unsigned frames)
{
    while (held_count < HELD_MOST)
        take_remote();
    while (frames-- > 0)
        give_remote();
}

static void half_full(void)
{
    fill(REMOTE / 2);
}

static void full(void)
{
    fill(4 * REMOTE); /* the last of them are in the magazine */
}

static void pairs_half_full(void)
{
    held_order = 1;
    fill(PAIRS / 2);
}

static void pairs_full(void)
{
    held_order = 1;
    fill(4 * PAIRS);
}

const struct scene scenes[] = {
    {"free", half_full, give_remote, NULL},
    {"free, magazine full", full, give_remote, NULL},
    {"request", full, take_remote, NULL},
    {"free of a pair", pairs_half_full, give_remote, NULL},
    {"free of a pair, magazine full", pairs_full, give_remote, NULL},
    {"request of a pair", pairs_full, take_remote, NULL},
};
const unsigned scene_count = sizeof scenes / sizeof scenes[0];

static void handle(int signal)
{
    static quire_pfn got[2 * NODE_FRAMES];
    uint64_t n = 0;

    (void)signal;
    rig_cpu = CPU_OF_1;
    while (n < 2 * NODE_FRAMES &&
           quire_machine_alloc(rig.machine, 0, QUIRE_EMERGENCY, &got[n]) == QUIRE_OK)
        n++;
    atomic_store(&shared->got, n);
    while (n > 0)
        must(quire_machine_free(rig.machine, got[--n], 0), "free");
    rig_cpu = 0;
    (void)raise(SIGSTOP);
}

static void pause_here(void)
{
    (void)raise(SIGSTOP);
}

void scene_play(const struct scene *scene)
{
    scene->prepare();
    rig_check(&rig, (uint64_t)held_count << held_order);
    pause_here();
    scene->act();
    pause_here();
    rig_check(&rig, (uint64_t)held_count << held_order);
    atomic_store(&shared->held_after, (uint64_t)held_count << held_order);
    atomic_store(&shared->order, held_order);
    _exit(0);
}

static void open_rig(void)
{
    struct sigaction action = {.sa_handler = handle};

    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        die("no shared memory");
    (void)sigaction(SIGUSR1, &action, NULL);
    rig_begin(&rig, 2, 1);
    rig.config.mode = QUIRE_CACHE_EXCHANGE;
    for (uint32_t node = 0; node < 2; node++)
        (void)rig_zone(&rig, node, QUIRE_ZONE_NORMAL, 0, NODE_FRAMES);
    rig_open(&rig);
    (void)fflush(NULL); /* so that no child prints what the parent has printed */
}

/* ---- The parent ----------------------------------------------------------------------------- */

static void step(const struct scene *scene)
{
    unsigned n = tracee_note_instructions(scene, ips, INSTRUCTIONS);
    uint64_t after = atomic_load(&shared->held_after), most = 0;
    unsigned order = atomic_load(&shared->order);
    uint64_t run = 1ull << order, bound = run + (order ? PAIRS * run : REMOTE);
    uint64_t by_user = scene->act == take_remote ? after - run : after;

    for (unsigned k = 0; k < n; k++) {
        struct tracee t;
        uint64_t got;

        if (tracee_times(ips, k) > REPEATS)
            continue;
        t = tracee_interrupt_at(scene, ips, k, SIGUSR1);
        got = atomic_load(&shared->got);
        tracee_finish(&t);
        if (got + by_user > 2 * NODE_FRAMES || 2 * NODE_FRAMES - got - by_user > bound)
            die("%s, instruction %u: %" PRIu64 " frames were had, %" PRIu64 " are held",
                scene->name, k, got, by_user);
        if (2 * NODE_FRAMES - got - by_user > most)
            most = 2 * NODE_FRAMES - got - by_user;
    }
    printf("%s: %u instructions, at most %" PRIu64 " frames in hands\n", scene->name, n, most);
}

int main(void)
{
    if (SANITIZED)
        skip_all("a sanitizer's own code cannot be interrupted everywhere");
#if !defined(__x86_64__) && !defined(__aarch64__)
    skip_all("written for x86-64 and aarch64");
#endif
    open_rig();
    for (unsigned i = 0; i < scene_count; i++)
        step(&scenes[i]);
    return 0;
}
