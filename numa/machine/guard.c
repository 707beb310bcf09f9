/* SPDX-License-Identifier: MIT
 *
 * guard.c - readers of the snapshot, and how a writer waits for them.
 *
 * The port may bring a mechanism of its own. Else readers are counted, in the manner of sleepable
 * read-copy-update: each CPU has, for each of two phases, how many readers entered and how many
 * left. A reader may leave on another CPU than it entered, be interrupted by another reader at
 * any instruction, and stop for as long as it likes; it makes one locked addition at either end,
 * never waits, and needs no registration.
 *
 *   G1  A reader counts itself in, fence, then reads the pointer to the snapshot. A writer
 *       publishes the pointer, fence, then reads the counts. So a reader whose entry the writer
 *       does not see reads the new pointer.
 *   G2  A writer sums the leaves of a phase first and the entries after (fence between). An entry
 *       comes before its leave, so each leave that was summed has its entry in the other sum, and
 *       equal sums say: each reader whose entry was seen has left. By G1 these are all that can
 *       have the old pointer, as far as they entered in this phase.
 *   G3  A reader may have read the phase long ago and count itself in only now, in the phase that
 *       is not in use: with the pointer of today, but it is there for the next writer. So each
 *       writer waits for both: first for the phase not in use, where only such late readers come
 *       in, then turns the phase, and waits for the one that was in use. New readers never make it
 *       wait.
 *   G4  What a reader did comes before its leave (release), which comes before what the writer
 *       does after the wait (acquire).
 *
 * Entering and leaving are inline, in machine.h. Callers: everything that does not hit a magazine.
 * qi_machine_wait_for_readers: writers, one at a time.
 */
#include "numa/machine/machine.h"

void qi_machine_enter_on(struct quire_machine *m, uint32_t cpu, struct machine_reader *r)
{
    machine_enter_on(m, cpu, r);
}

void qi_machine_leave(struct machine_reader *r)
{
    machine_leave(r);
}

static uint64_t sum_leaves(const struct quire_machine *m, uint32_t phase)
{
    uint64_t sum = 0;

    for (uint32_t cpu = 0; cpu < machine_cpu_end(m); cpu++) {
        const struct machine_cpu *mcpu = machine_cpu_of(m, cpu);

        if (mcpu)
            sum += qa_load(&mcpu->leaves[phase], acquire); /* E-leave acquire */
    }
    return sum;
}

static uint64_t sum_enters(const struct quire_machine *m, uint32_t phase)
{
    uint64_t sum = 0;

    for (uint32_t cpu = 0; cpu < machine_cpu_end(m); cpu++) {
        const struct machine_cpu *mcpu = machine_cpu_of(m, cpu);

        if (mcpu)
            sum += qa_load(&mcpu->enters[phase], relaxed); /* relaxed: ordered by G2 */
    }
    return sum;
}

static void wait_for_phase(const struct quire_machine *m, uint32_t phase)
{
    for (;;) {
        uint64_t left = sum_leaves(m, phase), entered;

        /* E-enter fence: the leaves before the entries. It could be left out: each leave carries
         * its entry, and the entries that count were there at the caller's fence. */
        qa_fence_seq_cst();
        entered = sum_enters(m, phase);
        qi_assert((int64_t)(entered - left) >= 0); /* G2 */
        if (entered == left)
            return;
        machine_relax(m);
    }
}

/* Wait until all who may have found what is no longer published have left. Blocking, thread only,
 * one at a time. The caller must not be a reader. */
void qi_machine_wait_for_readers(struct quire_machine *m)
{
    uint32_t phase;

    qi_assert(writer_is_held(m)); /* M5 */
    if (m->port.wait_for_readers) {
        m->port.wait_for_readers(m->port.ctx);
        return;
    }
    phase = qa_load(&m->phase, relaxed) & 1; /* relaxed: written by us alone */
    /* E-enter fence: the publication before the counts. It could be left out: there is one before
     * the entries are read. */
    qa_fence_seq_cst();
    wait_for_phase(m, phase ^ 1);
    qa_store(&m->phase, phase ^ 1, relaxed); /* relaxed: a hint to readers (G3) */
    wait_for_phase(m, phase);
}
