/* SPDX-License-Identifier: MIT
 *
 * boundaries.c - allocation in an interrupt at every single instruction of an allocation.
 *
 * The first CPU steps through random calls; in the exception after each instruction it makes a
 * call of another load, as an interrupt handler would, and now and then drains the CPU's caches: in
 * local mode it is asked to, and answers. No window is too short for this one.
 */
#include "suite.h"

#include "cpu.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/tests/random_load.h"
#include "kernel-port/tests/shadow.h"
#include "kernel-port/tests/single_step.h"
#include "kernel-port/tests/tap.h"
#include "kernel-port/tests/zone_audit.h"

enum { CALLS = 150, RUNS = 64, WARM = 200, BETWEEN_DRAINS = 7 };

static struct random_load *thread_load, *handler_load;
static uint64_t handled, drains;

static void one_call(void *argument)
{
    (void)argument;
    random_load_small_step(thread_load);
}

static void between(void)
{
    random_load_small_step(handler_load);
    if (++handled % BETWEEN_DRAINS == 0)
        drains += quire_machine_drain_cpu(memory.up.machine, 0) == QUIRE_OK;
}

void suite_boundaries(const struct options *options)
{
    uint64_t instructions = 0;

    handled = drains = 0;
    shadow_begin();
    thread_load = random_load_make(RUNS, 0, options->seed, 0, cpus[0]->node);
    handler_load = random_load_make(RUNS, QUIRE_NO_CALLBACK, options->seed, 1, cpus[0]->node);
    zone_audit_begin();
    for (unsigned i = 0; i < WARM; i++)
        random_load_small_step(thread_load);
    for (unsigned i = 0; i < CALLS; i++)
        instructions += single_step_call(one_call, NULL, between).instructions;
    tap_note("%u calls, with another one at each of their %lu instructions", (unsigned)CALLS,
             instructions);
    tap(handler_load->calls >= instructions / 2, "a call was made between any two instructions");
    tap(drains == handled / BETWEEN_DRAINS, "and %lu drains", drains);
    random_load_empty(thread_load);
    random_load_empty(handler_load);
    shadow_end("boundaries");
    zone_audit_end("boundaries");
    random_load_unmake(thread_load);
    random_load_unmake(handler_load);
}
