/* SPDX-License-Identifier: MIT
 *
 * watch.c - protocol 9: a refusal stays true until a run of that order appears.
 *
 * To refuse a run truthfully is to look at every block, and who asks again would look at them
 * again. So a zone has two words, its watches, one for the orders below 9 and one for those from 9
 * on. For each order they say whether it is *known* to be had nowhere. The danger is to know it
 * wrongly: a run that is freed behind the look, and nobody asks for it any more.
 *
 *   refuser:  watch |= ARMED;  fence;  read all hole bytes;  nothing, and ARMED still: KNOWN
 *   freer:    clear the bits;  hole byte (hint.c);  fence;  if ARMED or KNOWN: clear both, next
 *             version
 *   request:  KNOWN: refused
 *
 * Whichever fence comes second (E-watch), its side sees what the other did: the refuser reads bytes
 * that show the run, or the freer sees that the order is armed, and takes that back, which the
 * refuser's compare-and-swap finds (by the version, if another refuser has armed it anew). The
 * freer's fence stands behind the byte even where he only read that it shows enough: who wrote that
 * may not have come to his own look at the watch, and a refuser could still read what was there
 * before. On x86 it is free, as nothing was stored since the exchange. So W1:
 * if an order is known, each run of it is held by a call that has not returned. A freer writes once
 * at most for each refusal, as then nothing is armed or known; as long as nobody was refused it
 * reads one line.
 *
 * Who makes a run appear: every free (qi_frames_freed, qi_block_freed), every undo and every block
 * that is opened or given up (qi_hint_block_free, qi_block_publish_split), and for the orders from
 * 9 on every block that comes back to its section (qi_hint_section_whole) or is a home block
 * without a frame in use. Each does so behind a full fence of its own.
 *
 * May run beside everything. Lock-free, any context: a loop goes on only after another call changed
 * the word.
 */
#include "core/internal.h"

enum { KNOWN = 1, ARMED = 1 << WATCH_ORDERS, VERSION_SHIFT = 2 * WATCH_ORDERS };

/* The watch of an order, and the order's bit among its flags of one kind. */
static qa64 *watch_of(const struct quire_zone *z, unsigned order, unsigned *bit)
{
    qi_assert(order > 0 && order <= QUIRE_MAX_ORDER);
    *bit = order < BLOCK_ORDER ? order - 1 : order - BLOCK_ORDER;
    return &z->head->watch[order < BLOCK_ORDER ? WATCH_RUNS : WATCH_BLOCKS];
}

/* Is it known that no run of the order is to be had? */
bool qi_watch_is_known(const struct quire_zone *z, unsigned order)
{
    unsigned bit;
    const qa64 *watch = watch_of(z, order, &bit);

    /* relaxed: W1 holds of the value whenever it was current */
    return qa_load(watch, relaxed) & (uint64_t)KNOWN << bit;
}

/* The caller is about to look for a run of the order everywhere. What qi_watch_know needs. */
uint64_t qi_watch_arm(const struct quire_zone *z, unsigned order)
{
    unsigned bit;
    qa64 *watch = watch_of(z, order, &bit);
    uint64_t w = qa_load(watch, relaxed), armed = (uint64_t)ARMED << bit; /* relaxed: as below */

    while (!(w & armed) && !qa_cas(watch, &w, w | armed, relaxed)) /* relaxed: E-watch orders it */
        ;
    qa_fence_seq_cst(); /* E-watch fence: the watch is armed before the look */
    return w | armed;
}

/* The look that began with `armed` found nothing. False: a run appeared meanwhile. */
bool qi_watch_know(const struct quire_zone *z, unsigned order, uint64_t armed)
{
    unsigned bit;
    qa64 *watch = watch_of(z, order, &bit);
    uint64_t w = armed;

    /* relaxed: only the word counts. Retries when another order was armed or got known. */
    while (!qa_cas(watch, &w, w | (uint64_t)KNOWN << bit, relaxed))
        if (w >> VERSION_SHIFT != armed >> VERSION_SHIFT)
            return false;
    return true;
}

/* Of these orders of a watch something appeared. */
static void forget(qa64 *watch, uint64_t orders)
{
    uint64_t flags = orders * (ARMED | KNOWN);
    uint64_t w = qa_load(watch, relaxed); /* relaxed: ordered by E-watch */

    /* relaxed: only the word counts. Retries when a refuser or another freer changed it. */
    while (w & flags && !qa_cas(watch, &w, (w & ~flags) + (UINT64_C(1) << VERSION_SHIFT), relaxed))
        ;
}

/* Runs of the orders below `hole` appeared in a block; the caller's last access was a full fence,
 * behind what made them free. */
void qi_watch_runs(const struct quire_zone *z, unsigned hole)
{
    qi_assert(hole <= HOLE_MOST);
    if (hole > 1)
        forget(&z->head->watch[WATCH_RUNS], (UINT64_C(1) << (hole - 1)) - 1);
}

/* The same for a whole block, which may be the last one of a longer run. */
void qi_watch_blocks(const struct quire_zone *z)
{
    qi_watch_runs(z, HOLE_MOST);
    forget(&z->head->watch[WATCH_BLOCKS], ARMED - 1);
}
