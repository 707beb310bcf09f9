/* SPDX-License-Identifier: MIT
 *
 * step.c - a signal at every instruction of a call (exchange mode), and calls that are stepped
 * through (rseq mode).
 *
 *   percpu_step MODE
 *
 * exchange: for each instruction of a call, hit or not, a fresh child is interrupted there once;
 * and one child is interrupted at every instruction, over and over. The handler uses the CPU cache
 * that the call has in its hands, or is about to take, or has just put back.
 *
 * rseq: under single steps every section is restarted each time. After a bounded number of
 * restarts the call uses the zone, and succeeds. (sections.c interrupts the sections.)
 */
#include "scenes.h"

#include "stress/percpu/cache_rig.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { STEPS_OUT = 1000, INSTRUCTIONS = 5000 };

static uint64_t ips[INSTRUCTIONS];

/* Interrupt a fresh child at each of the n instructions. */
static void interrupt_each(const struct scene *scene, unsigned n)
{
    for (unsigned k = 0; k < n; k++) {
        uint64_t handled = shared->handled;
        struct tracee t = tracee_interrupt_at(scene, ips, k, SIGUSR1);

        if (shared->handled != handled + 1 || shared->handler_ip != ips[k])
            die("%s, instruction %u: the handler did not run there", scene->name, k);
        tracee_finish(&t);
    }
}

/* The child has paused at the end of its handler: step to where it was interrupted. */
static void leave_handler(const struct tracee *t, uint64_t ip)
{
    for (int i = 0; i < STEPS_OUT; i++)
        if (tracee_step(t, 0) == STOP_TRAP && tracee_ip(t) == ip)
            return;
    die("%s: the handler does not return to 0x%" PRIx64, t->scene->name, ip);
}

/* Interrupt one child at every instruction. Returns how many there were. */
static unsigned interrupt_all(const struct scene *scene)
{
    struct tracee t = tracee_start(scene);
    unsigned k = 0;

    for (; tracee_next_instruction(&t); k++) {
        uint64_t handled = shared->handled, ip = tracee_ip(&t);

        if (tracee_run(&t, SIGUSR1) != STOP_PAUSE || shared->handled != handled + 1)
            die("%s: the handler did not run", scene->name);
        leave_handler(&t, ip);
    }
    tracee_finish(&t);
    return k;
}

static void step_exchange(void)
{
    for (unsigned i = 0; i < scene_count; i++) {
        unsigned n = tracee_note_instructions(&scenes[i], ips, INSTRUCTIONS);
        unsigned row = interrupt_all(&scenes[i]);

        if (n == 0 || row == 0)
            die("%s: no instruction was seen", scenes[i].name);
        interrupt_each(&scenes[i], n);
        printf("%s: interrupted at each of %u instructions, and at %u in a row: clean\n",
               scenes[i].name, n, row);
    }
}

/* Does the call go to the zone without an attempt to take its CPU cache: while memory is short, and
 * where a magazine moves one run? */
static bool goes_by_the_cache(const struct scene *scene)
{
    return strcmp(scene->name, "alloc, short of memory") == 0 ||
           strcmp(scene->name, "alloc by one") == 0 || strcmp(scene->name, "free by one") == 0;
}

static void step_rseq(void)
{
    for (unsigned i = 0; i < scene_count; i++) {
        unsigned n = tracee_note_instructions(&scenes[i], ips, INSTRUCTIONS);

        if (shared->bypasses != !goes_by_the_cache(&scenes[i]))
            die("%s: %" PRIu64 " bypasses instead of 1", scenes[i].name, shared->bypasses);
        printf("%s: %u instructions one by one, served by the zone: clean\n", scenes[i].name, n);
    }
}

int main(int argc, char *argv[])
{
    scenes_open(argc, argv);
    if (mode == QUIRE_CACHE_RSEQ)
        step_rseq();
    else
        step_exchange();
    return 0;
}
