/* SPDX-License-Identifier: MIT
 *
 * watch.c - protocol 9: a refusal stays true until a run of that order appears.
 *
 * To refuse a run truthfully is to look at every block, and who asks again would look at them
 * again. So a zone has a watch for each order below 9, and one for all orders from 9 on: a word
 * that says whether the order is *known* to be had nowhere. The danger is to know it wrongly: a run
 * that is freed behind the look, and nobody asks for it any more.
 *
 *   refuser:  w = watch | ARMED;  fence;  look everywhere;  nothing: watch from w to w | KNOWN
 *   freer:    clear the bits;  fence;  if watch has ARMED or KNOWN: watch = next epoch, neither
 *   request:  watch has KNOWN: refused
 *
 * Whichever fence comes second (E-watch), its side sees what the other did: the refuser looks at
 * bits that are clear, or the freer sees that the watch is armed, moves its epoch, and the
 * refuser's compare-and-swap fails. So W1: if an order is known, each run of it is held by a call
 * that has not returned. A freer writes once at most for each refusal, then nobody is watching.
 *
 * Who makes a run appear: every free (qi_frames_freed), every undo and every block that is opened
 * or given up (qi_hint_block_free, qi_block_publish_split), and for the orders from 9 on every
 * block that comes back to its section (qi_hint_section_whole) or is a home block without a frame
 * in use. Each does so behind a full fence of its own.
 *
 * May run beside everything. Lock-free, any context: a loop goes on only after the word changed,
 * and until the epoch moves that happens at most once for each of its flags.
 */
#include "core/internal.h"

enum { ARMED = 1, EPOCH_SHIFT = 16 };
#define FLAGS ((UINT64_C(1) << EPOCH_SHIFT) - 1)

/* The watch of an order, and its flag there. */
static qa64 *watch_of(const struct quire_zone *z, unsigned order)
{
    return &z->head->watch[order < BLOCK_ORDER ? order : BLOCK_ORDER];
}

static uint64_t known_flag(unsigned order)
{
    qi_assert(order <= QUIRE_MAX_ORDER && QUIRE_MAX_ORDER - BLOCK_ORDER + 1 < EPOCH_SHIFT);
    return UINT64_C(2) << (order < BLOCK_ORDER ? 0 : order - BLOCK_ORDER);
}

/* Is it known that no run of the order is to be had? */
bool qi_watch_is_known(const struct quire_zone *z, unsigned order)
{
    /* relaxed: W1 holds of the value whenever it was current */
    return qa_load(watch_of(z, order), relaxed) & known_flag(order);
}

/* The caller is about to look for a run of the order everywhere. Returns what qi_watch_know needs.
 */
uint64_t qi_watch_arm(const struct quire_zone *z, unsigned order)
{
    qa64 *watch = watch_of(z, order);
    uint64_t w = qa_load(watch, relaxed); /* relaxed: the exchange decides */

    while (!(w & ARMED) && !qa_cas(watch, &w, w | ARMED, relaxed)) /* relaxed: E-watch orders it */
        ;
    qa_fence_seq_cst(); /* E-watch fence: the watch is armed before the look */
    return w | ARMED;
}

/* The look that began with `armed` found nothing. */
void qi_watch_know(const struct quire_zone *z, unsigned order, uint64_t armed)
{
    qa64 *watch = watch_of(z, order);
    uint64_t w = armed;

    /* relaxed: only the word counts. Retries when another order of the same watch got known. */
    while (!qa_cas(watch, &w, w | known_flag(order), relaxed))
        if (w >> EPOCH_SHIFT != armed >> EPOCH_SHIFT || !(w & ARMED))
            return;
}

/* Nothing is known of this watch's orders any more. */
static void move_epoch(qa64 *watch)
{
    uint64_t w = qa_load(watch, relaxed); /* relaxed: ordered by E-watch */
    uint64_t epoch = w >> EPOCH_SHIFT;

    /* relaxed: only the word counts. Retries when a refuser set a flag. */
    while (w & FLAGS && w >> EPOCH_SHIFT == epoch &&
           !qa_cas(watch, &w, (epoch + 1) << EPOCH_SHIFT, relaxed))
        ;
}

/* Runs of the orders below `hole` appeared in a block; the caller's last access was a full fence,
 * behind what made them free. */
void qi_watch_runs(const struct quire_zone *z, unsigned hole)
{
    qi_assert(hole <= HOLE_MOST);
    for (unsigned order = 1; order < hole; order++)
        move_epoch(&z->head->watch[order]);
}

/* The same for a whole block. */
void qi_watch_blocks(const struct quire_zone *z)
{
    qi_watch_runs(z, HOLE_MOST);
    move_epoch(&z->head->watch[BLOCK_ORDER]);
}
