/* SPDX-License-Identifier: MIT
 *
 * fastpath.h - the short paths: what a single frame's allocation and free do when nothing is
 * special, and what batches do per word. Inline, so that a call is one function of some fifty
 * instructions.
 *
 * The arguments are in the files that own the protocols: take.c (1), zone_free.c (2), block_whole.c
 * (3), count.c. Nothing here loops but on a compare-and-swap that another thread's success failed.
 * Lock-free, any context.
 */
#ifndef QUIRE_CORE_FASTPATH_H
#define QUIRE_CORE_FASTPATH_H

#include "core/frame_byte.h"
#include "core/internal.h"

/* The caller is about to take or free the n frames from `frame` on: fetch the lines of the first
 * block that it changes, if it is divided, as locked instructions would wait for one after the
 * other. */
static inline void run_lines_fetch(const struct quire_zone *z, uint64_t frame, uint64_t n)
{
    const struct map512 *map = frame_map(z, block_of(frame));

    if (n >= BLOCK_FRAMES)
        return;
    line_fetch(map);
    if (has_run_map(z))
        line_fetch(map + 1);
    if (z->has_frame_bytes)
        line_fetch(byte_of_frame(z, frame));
}

/* May slots keep credit (C2)? Advisory; C3 allows for it. */
static inline bool count_is_sharded(const struct quire_zone *z)
{
    return (int64_t)qa_load(&z->head->total, relaxed) > z->shard_limit && /* relaxed: see above */
           qa_load(&z->head->level, relaxed) == 0;                        /* relaxed: see above */
}

/* A slot's credit word: below, the frames, to which others are added; above, how often some were
 * taken (C4). */
#define CREDIT_TAKEN ((uint64_t)1 << 32)

static inline uint32_t credit_frames(uint64_t word)
{
    qi_assert((int32_t)word >= 0); /* C1 */
    return (uint32_t)word;
}

/* count.c's first step, for its callers' fast paths: n frames from the slot's credit, while the
 * total is far above the watermarks (C2). False: not this way. */
static inline bool credit_take(const struct quire_zone *z, quire_slot slot, uint64_t n)
{
    qa64 *credit = &slot_of(z, slot)->credit;
    uint64_t c = qa_load(credit, relaxed); /* relaxed: the exchange decides */

    qi_assert(n > 0);
    if ((int64_t)qa_load(&z->head->total, relaxed) <=
        z->shard_limit) /* relaxed: C2 allows for it */
        return false;
    while (credit_frames(c) >= n)
        /* E-count acquire: what was cleared before the credit can be found. E-gather release.
         * Retries only when a gatherer or a nested call changed the word. */
        if (qa_cas(credit, &c, c + CREDIT_TAKEN - n, acq_rel))
            return true;
    return false;
}

/* Protocol 1 for one frame of block b. */
static inline bool block_take_one(const struct quire_zone *z, uint32_t b, uint64_t *frame)
{
    qa64 *w = frame_map(z, b)->w;

    /* E-desc acquire: the map was cleared after SPLIT was published, not before. */
    if (desc_state(qa_load(desc_of(z, b), acquire)) != D_SPLIT)
        return false;
    for (unsigned i = 0; i < MAP_WORDS; i++) {
        uint64_t v = qa_load(&w[i], relaxed); /* relaxed: the exchange below decides */

        while (v != WORD_FULL) {
            unsigned bit = word_first(~v);

            /* E-frame acquire. Retries as in word_take_run. */
            if (qa_cas(&w[i], &v, v | 1ull << bit, acquire)) {
                qi_assert(!(v >> bit & 1));
                *frame = frame_at(b, i * WORD_BITS + bit);
                return true;
            }
        }
    }
    return false;
}

/* The half of the check below that reads the run map: is none of the frames part of a run? */
static inline int singles_check(const struct quire_zone *z, uint32_t b, unsigned word,
                                uint64_t mask)
{
    uint64_t c;
    bool next;

    qi_assert(word < MAP_WORDS && mask != 0);
    if (!has_run_map(z))
        return QUIRE_OK;
    c = qa_load(&run_map(z, b)->w[word], relaxed); /* relaxed: the bits are the caller's */
    if ((c | c >> 1) & mask)
        return QUIRE_ERR_ORDER;
    if (!(mask >> (WORD_BITS - 1)))
        return QUIRE_OK;
    if (word + 1 < MAP_WORDS)
        /* relaxed: advisory of a neighbour of the caller's frame */
        next = qa_load(&run_map(z, b)->w[word + 1], relaxed) & 1;
    else
        next = qi_run_continues(z, frame_at(b + 1, 0));
    return next ? QUIRE_ERR_ORDER : QUIRE_OK;
}

/* May the frames `mask` of one word be freed one by one, as far as descriptor, pins and run map
 * know? Whether they are allocated is left to the clearing itself. */
static inline int frames_check(const struct quire_zone *z, uint32_t b, unsigned word, uint64_t mask)
{
    /* relaxed: a caller who owns the frames knows of SPLIT by having been given them */
    uint32_t d = qa_load(desc_of(z, b), relaxed);

    qi_assert(has_map(z, b));
    if ((d & (D_STATE | D_PINS)) != D_SPLIT) {
        int error = qi_frames_check_desc(z, b, word, mask, d);

        if (error)
            return error;
    }
    return singles_check(z, b, word, mask);
}

/* Frees of these bits refresh the block's fullness byte: one in sixteen, often enough for a hint
 * and cheap enough. */
#define HINT_REFRESH_BITS 0x0001000100010001u

/* A word of block b that reads `word`, not 0, since a free of the caller, its last access: may it
 * have a longer run than the block's hole byte shows, or does somebody watch? */
static inline bool hole_grows(const struct quire_zone *z, uint32_t b, uint64_t word)
{
    unsigned hole;

    qa_fence_after_rmw();                               /* E-hint fence: the map before the hint */
    hole = qa_load(hole_of(z, b), relaxed) & HOLE_MASK; /* relaxed: ordered by E-hint */
    if (hole == HOLE_LOOKED || (hole < WORD_ORDER && word_free_runs(word, hole)))
        return true;
    qa_fence_after_rmw(); /* E-watch fence: the hint before the watch; nothing was stored since */
    return watch_is_on(z);
}

/* The frames `mask` of a word of block b were cleared by the caller's last access, which read
 * `old`: does that ask for something? */
static inline bool word_asks(const struct quire_zone *z, uint32_t b, uint64_t mask, uint64_t old)
{
    return !(old & ~mask) || old == WORD_FULL || mask & HINT_REFRESH_BITS ||
           (word_has_pair(~old | mask, mask) && hole_grows(z, b, old & ~mask));
}

/* Clear the frames `mask` of one word and do what the word asks for. Returns those that were
 * allocated: they are free now. */
static inline uint64_t frames_put(const struct quire_zone *z, uint32_t b, unsigned word,
                                  uint64_t mask)
{
    /* E-frame release: what the holder did with the frames comes before the next holder. */
    uint64_t old = qa_and(&frame_map(z, b)->w[word], ~mask, release);

    qi_assert(word < MAP_WORDS);
    qi_assert(mask != 0);
    if (word_asks(z, b, mask, old))
        qi_frames_freed(z, b, word, mask, old);
    return old & mask;
}

#endif /* QUIRE_CORE_FASTPATH_H */
