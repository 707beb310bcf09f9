/* SPDX-License-Identifier: MIT
 *
 * machine_scenes.c - the hits of a machine in rseq mode, as scenes for sections.c of the caches: an
 * allocation and a free, of a frame and of a run, whose sections are the machine's own.
 *
 * The handler of SIGUSR1 allocates and frees on the same machine and CPU. At the end all frames
 * have one owner each, and are given back.
 */
#include "stress/percpu/stepped/scenes.h"

#include "stress/common/shadow.h"
#include "stress/numa/machine/machine_rig.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum { FRAMES = 64 * BLOCK, HELD = 64, OUTSIDE = 1, INSIDE = 2 };

struct shared *shared;

static struct rig rig;
static struct shadow shadow;
static bool watched; /* this is the call */

/* What the call's thread holds, and what the handler does. */
static struct holder {
    uint32_t who, count;
    quire_pfn held[HELD];
    unsigned orders[HELD];
} outside = {.who = OUTSIDE}, inside = {.who = INSIDE};

static void pause_if(bool now)
{
    if (now)
        (void)raise(SIGSTOP);
}

static void take(struct holder *h, unsigned order, uint32_t flags)
{
    quire_pfn pfn;
    int error;

    pause_if(watched && h == &outside);
    error = quire_machine_alloc(rig.machine, order, flags, &pfn);
    pause_if(watched && h == &outside);
    must(error, "alloc");
    shadow_take(&shadow, h->who, pfn.n, 1u << order);
    h->orders[h->count] = order;
    h->held[h->count++] = pfn;
}

static void give(struct holder *h)
{
    quire_pfn pfn = h->held[--h->count];
    unsigned order = h->orders[h->count];
    int error;

    shadow_give(&shadow, h->who, pfn.n, 1u << order);
    pause_if(watched && h == &outside);
    error = quire_machine_free(rig.machine, pfn, order);
    pause_if(watched && h == &outside);
    must(error, "free");
}

static void take_frame(void)
{
    take(&outside, 0, 0);
}

static void take_movable(void)
{
    take(&outside, 0, QUIRE_MOVABLE);
}

static void take_run(void)
{
    take(&outside, 3, 0);
}

static void take_block(void)
{
    take(&outside, 9, 0);
}

static void give_last(void)
{
    give(&outside);
}

static void start(unsigned order, uint32_t flags, unsigned taken, unsigned given)
{
    for (unsigned i = 0; i < taken; i++)
        take(&outside, order, flags);
    for (unsigned i = 0; i < given; i++)
        give(&outside);
}

static void unmovable(void)
{
    start(0, 0, 8, 4);
}

static void movable(void)
{
    start(0, QUIRE_MOVABLE, 8, 4);
}

static void runs(void)
{
    start(3, 0, 40, 2);
}

static void blocks(void)
{
    start(9, 0, 2, 1);
}

const struct scene scenes[] = {
    {"alloc", unmovable, take_frame, NULL}, {"alloc movable", movable, take_movable, NULL},
    {"alloc run", runs, take_run, NULL},    {"alloc block", blocks, take_block, NULL},
    {"free", unmovable, give_last, NULL},   {"free movable", movable, give_last, NULL},
    {"free run", runs, give_last, NULL},    {"free block", blocks, give_last, NULL},
};
const unsigned scene_count = sizeof scenes / sizeof scenes[0];

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
    take(&inside, 3, 0);
    take(&inside, 9, 0);
    give(&inside);
    (void)raise(SIGSTOP);
}

static uint64_t frames_of(const struct holder *h)
{
    uint64_t frames = 0;

    for (uint32_t i = 0; i < h->count; i++)
        frames += 1ull << h->orders[i];
    return frames;
}

static void check_books(void)
{
    rig_check(&rig, frames_of(&outside) + frames_of(&inside));
    if (rig.heard.reports != 0)
        die("good frees were taken for bad ones");
}

void scene_play(const struct scene *scene)
{
    scene->prepare();
    check_books();
    watched = true;
    scene->act();
    watched = false;
    check_books();
    while (outside.count > 0)
        give(&outside);
    while (inside.count > 0)
        give(&inside);
    must(quire_machine_drain(rig.machine), "drain");
    check_books();
    _exit(0);
}

/* One node, whose CPUs are those of the kernel up to this one. */
void scenes_open(int argc, char *const argv[])
{
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
    uint32_t cpu = (uint32_t)sched_getcpu();
    cpu_set_t here;

    if (argc != 2 || strcmp(argv[1], "rseq") != 0)
        die("%s: the argument is the mode, rseq", argv[0]);
    skip_unless_watchable();
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        die("no shared memory");
    CPU_ZERO(&here);
    CPU_SET(cpu, &here);
    if (sched_setaffinity(0, sizeof here, &here) != 0)
        die("cannot stay on CPU %u", cpu);
    (void)sigaction(SIGUSR1, &action, NULL);
    rig_begin(&rig, 1, cpu + 1);
    rig_cpu = cpu;
    rig.config.mode = QUIRE_CACHE_RSEQ;
    (void)rig_zone(&rig, 0, QUIRE_ZONE_NORMAL, 0, FRAMES);
    if (rig_try(&rig) == QUIRE_ERR_UNSUPPORTED)
        skip_all("restartable sequences do not work here");
    shadow_open(&shadow, rig.zones[0].run.pfn.n, FRAMES, FRAMES);
    (void)fflush(NULL); /* so that no child prints what the parent has printed */
}
