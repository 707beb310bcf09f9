/* SPDX-License-Identifier: MIT
 *
 * history.c - what all CPUs' calls on one block were answered, against a zone of one thread's: each
 * window of calls must be linearizable. The checker is that of the host's test, see
 * stress/core/linear/linear.h.
 */
#include "suite.h"

#include "cpu.h"
#include "kernel-port/kernel/clock.h"
#include "kernel-port/kernel/lib/panic.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/kernel/work.h"
#include "kernel-port/tests/tap.h"
#include "paging.h"
#include "stress/core/linear/history.h"
#include "x86.h"

enum { METADATA = 1 << 18, TAKEN = 2 * LINEAR_FRAMES, ARENA = 40 };

static struct quire_zone zone;
static struct history history;
static uint64_t duration;
static unsigned calls, stuck; /* of the window that is not linearizable */
static bool over, wrong;

static void window(void *argument)
{
    uint32_t place = work_place();
    uint64_t start = rdtsc();

    (void)argument;
    for (;;) {
        work_meet();
        if (over)
            return;
        if (place < history.workers)
            for (unsigned i = 0; i < history.worker[place].most; i++)
                history_act(&history.worker[place]);
        work_meet();
        if (place == 0) {
            wrong = !history_window(&history, &calls, &stuck);
            over = wrong || rdtsc() - start > duration;
        }
    }
}

static void print_window(void)
{
    static const char *const names[] = {"alloc", "alloc_at", "alloc_batch", "free", "free_batch"};

    tap_note("not linearizable: of %u calls %u can be ordered", calls, stuck);
    for (unsigned i = 0; i < calls; i++) {
        const struct linear_call *c = &history.calls[i];

        tap_note("%lu to %lu  %s order %u, %u: %s, frame %u", c->begin, c->end, names[c->kind],
                 c->order, c->n, quire_strerror(c->result), (unsigned)c->frame[0]);
    }
}

static void begin(uint64_t first, void *metadata, uint64_t seed)
{
    struct quire_run run = {{first}, LINEAR_FRAMES};
    unsigned most[HISTORY_WORKERS], workers = cpu_count;
    struct quire_zone_config config = {
        .type = QUIRE_ZONE_NORMAL, .usable = &run, .usable_count = 1};
    int error;

    if (workers > HISTORY_WORKERS)
        workers = HISTORY_WORKERS;
    for (unsigned i = 0; i < workers; i++)
        most[i] = LINEAR_CALLS / HISTORY_WORKERS;
    config.slots = workers;
    zone = (struct quire_zone){0};
    error = quire_zone_init(&zone, &config, metadata, METADATA);
    if (error)
        panic("history: the zone cannot be built: %s", quire_strerror(error));
    history = (struct history){0};
    if (!history_begin(&history, &zone, first, ARENA, most, workers, workers, seed))
        panic("history: the zone does not give what it has");
}

void suite_history(const struct options *o)
{
    quire_node node = quire_node_of(cpus[0]->node);
    void *metadata = memory_take(METADATA, node), *frames = memory_take(TAKEN << 12, node);
    uint64_t first = quire_pfn_of_phys((uint64_t)frames - DIRECT_BASE).n + LINEAR_FRAMES - 1;
    struct quire_fault v = {0};

    begin(first / LINEAR_FRAMES * LINEAR_FRAMES, metadata, o->seed);
    duration = o->seconds * clock_tsc_hz();
    over = false;
    work_on_all(window, NULL);
    tap_note("%lu calls in %lu windows, %lu refused, %lu pairs under way together", history.done,
             history.windows, history.refused, history.met);
    if (wrong)
        print_window();
    tap(!wrong, "history: every window is linearizable");
    history_end(&history);
    if (quire_zone_check(&zone, &v))
        tap_note("%s at frame %lx: found %lu, expected %lu", v.what, v.where, v.found, v.expected);
    tap(!v.what && quire_zone_free_frames(&zone) == ARENA,
        "history: the zone is consistent and has all its frames back");
    memory_give_back(frames, TAKEN << 12);
    memory_give_back(metadata, METADATA);
}
