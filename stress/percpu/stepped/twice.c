/* SPDX-License-Identifier: MIT
 *
 * twice.c - two frees of one run at the same instant, or a free beside a join (R of
 * core/frame_byte.h).
 *
 *   percpu_twice exchange
 *
 * A free is stopped at each of its instructions, and another CPU (played by the handler of a
 * signal, as in hands.c) frees the same run. One of the two at least is good. If both are, which in
 * the hardened build (compiled with QUIRE_HARDENED) never happens, one is reported: when the run is
 * flushed, or when the second of its two owners frees it. Nothing else suffers.
 */
#include "stress/common/tracee.h"

#include "stress/percpu/cache_rig.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    FRAMES = 32 * BLOCK,
    INSTRUCTIONS = 20000,
    OTHER_CPU = 1,
    KINDS = 13,
    JOINED = 7,
    FIRST = 500,
    SAMPLE = 16
};

#ifdef QUIRE_HARDENED
static const bool hardened = true;
#else
static const bool hardened = false;
#endif

/* What the child tells its parent. */
static struct {
    _Atomic bool both; /* both frees were taken for good */
} * shared;

static struct rig rig;
static quire_pfn run;
static unsigned run_order;
static int error_here, error_there;

/* ---- The child ------------------------------------------------------------------------------ */

static void prepare_order(unsigned order)
{
    rig.cpu = 0;
    run_order = order;
    must(quire_cache_alloc(&rig.cache, order, 0, &run), "alloc");
    error_there = QUIRE_ERR_BUSY; /* not freed yet */
}

static void prepare_0(void)
{
    prepare_order(0);
}

static void prepare_1(void)
{
    prepare_order(1);
}

static void prepare_3(void)
{
    prepare_order(3);
}

static void prepare_5(void)
{
    prepare_order(5);
}

static void prepare_8(void)
{
    prepare_order(8);
}

static void prepare_9(void)
{
    prepare_order(9);
}

static void free_run(void)
{
    error_here = quire_cache_free(&rig.cache, run, run_order);
}

/* All frames of a block are single ones; somebody else frees one while they are joined. */
static void prepare_join(void)
{
    prepare_order(9);
    must(quire_zone_split(&rig.zone, quire_slot_of(0), run, 9), "split");
}

static void join(void)
{
    error_here = quire_zone_join(&rig.zone, quire_slot_of(0), run);
}

/* What joined, or its single frames that are left, goes back. */
static void free_joined(void)
{
    for (uint64_t i = 0; i < BLOCK && error_here; i++)
        if (i != JOINED)
            must(quire_cache_free(&rig.cache, quire_pfn_of(run.n + i), 0), "free");
    if (!error_here)
        must(quire_cache_free(&rig.cache, run, 9), "free");
}

static bool joins(const struct scene *scene)
{
    return scene->act == join;
}

static const struct scene *playing;

static void handle(int signal)
{
    (void)signal;
    rig.cpu = OTHER_CPU;
    error_there = joins(playing) ? quire_cache_free(&rig.cache, quire_pfn_of(run.n + JOINED), 0)
                                 : quire_cache_free(&rig.cache, run, run_order);
    rig.cpu = 0;
    (void)raise(SIGSTOP);
}

/* The first allocation of each CPU, which gets the run if it lies in both magazines: then it has
 * two owners, and the second of them is told. */
static void owned_twice(void)
{
    quire_pfn a, b;

    must(quire_cache_alloc(&rig.cache, run_order, 0, &a), "alloc");
    rig.cpu = OTHER_CPU;
    must(quire_cache_alloc(&rig.cache, run_order, 0, &b), "alloc");
    must(quire_cache_free(&rig.cache, b, run_order), "free");
    rig.cpu = 0;
    if (a.n != b.n)
        must(quire_cache_free(&rig.cache, a, run_order), "free");
    else if (quire_cache_free(&rig.cache, a, run_order) != QUIRE_ERR_DOUBLE_FREE ||
             rig.heard.reports != 1)
        die("the second owner was not told");
}

static void pause_here(void)
{
    (void)raise(SIGSTOP);
}

/* Good, or refused as it should be: what was joined is of another order, and what is not all the
 * caller's cannot be joined. */
static bool is_refusal(int error, bool of_join)
{
    return error == QUIRE_OK || error == QUIRE_ERR_DOUBLE_FREE ||
           (of_join && (error == QUIRE_ERR_ORDER || error == QUIRE_ERR_BUSY));
}

void scene_play(const struct scene *scene)
{
    bool good_here, good_there;

    playing = scene;
    scene->prepare();
    pause_here();
    scene->act();
    pause_here();
    good_here = error_here == QUIRE_OK;
    good_there = error_there == QUIRE_OK;
    if (error_there == QUIRE_ERR_BUSY)
        _exit(0); /* nobody disturbed it */
    if (!good_here && !good_there)
        die("neither free was good: %d, %d", error_here, error_there);
    if (!is_refusal(error_here, joins(scene)) || !is_refusal(error_there, joins(scene)))
        die("another error: %d, %d", error_here, error_there);
    if (joins(scene))
        free_joined();
    if (good_here && good_there)
        atomic_store(&shared->both, true);
    if (good_here && good_there && scene->interrupt)
        scene->interrupt();
    must(quire_cache_drain_all(&rig.cache), "drain_all");
    /* A join that is refused is no bad free. */
    if (rig.heard.reports != (joins(scene) && !good_here ? 0u : 1u))
        die("%u reports", (unsigned)rig.heard.reports);
    check_rest(&rig, 0);
    _exit(0);
}

/* ---- The parent ----------------------------------------------------------------------------- */

/* `interrupt`: what is done with a run that was freed twice before all is flushed. */
static const struct scene scenes[KINDS] = {
    {"order 0", prepare_0, free_run, NULL},
    {"order 0, two owners", prepare_0, free_run, owned_twice},
    {"order 1", prepare_1, free_run, NULL},
    {"order 1, two owners", prepare_1, free_run, owned_twice},
    {"order 3", prepare_3, free_run, NULL},
    {"order 3, two owners", prepare_3, free_run, owned_twice},
    {"order 5", prepare_5, free_run, NULL},
    {"order 5, two owners", prepare_5, free_run, owned_twice},
    {"order 8", prepare_8, free_run, NULL},
    {"order 8, two owners", prepare_8, free_run, owned_twice},
    {"order 9", prepare_9, free_run, NULL},
    {"order 9, two owners", prepare_9, free_run, owned_twice},
    {"join", prepare_join, join, NULL},
};

static void step(const struct scene *scene)
{
    static uint64_t ips[INSTRUCTIONS];
    unsigned n = tracee_note_instructions(scene, ips, INSTRUCTIONS), both = 0;

    /* Of a long call all at its beginning, where the frame's turn is, then a sample. */
    for (unsigned k = 0; k < n; k += k < FIRST ? 1 : SAMPLE) {
        struct tracee t;

        atomic_store(&shared->both, false);
        t = tracee_interrupt_at(scene, ips, k, SIGUSR1);
        tracee_finish(&t);
        both += atomic_load(&shared->both);
    }
    /* Between the look at the byte and the store; not at all, or it is not stepped where it is. */
    if (hardened ? both > 0 : both == 0 || both > n / 2)
        die("%s: both frees were good at %u of %u instructions", scene->name, both, n);
    printf("%s: both were good at %u of %u instructions\n", scene->name, both, n);
}

int main(int argc, char *argv[])
{
    struct sigaction action = {.sa_handler = handle};

    select_mode(argc, argv);
    skip_unless_watchable();
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        die("no shared memory");
    stay_here();
    (void)sigaction(SIGUSR1, &action, NULL);
    rig_begin(&rig, FRAMES);
    rig.cache_config.cpus = 2;
    rig.cache_config.rounds = 8;
    rig.cache_config.run_rounds = 8;
    rig.cache_config.large_rounds = 16;
    rig.cache_config.huge_rounds = 2;
    rig.cache_config.depot = 0;
    rig_open(&rig);
    (void)fflush(NULL); /* so that no child prints what the parent has printed */
    for (unsigned i = 0; i < KINDS; i++)
        step(&scenes[i]);
    return 0;
}
