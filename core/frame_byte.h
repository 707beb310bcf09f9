/* SPDX-License-Identifier: MIT
 *
 * frame_byte.h - a byte for each frame says what was handed out there, so that a wrong free is
 * refused at once, also while the frame lies in a cache. Private to the layers.
 *
 * The danger is a frame with two owners: it is freed twice into magazines, which look at no map,
 * and is handed out twice. The byte of a frame is
 *
 *   1 + order         an aligned run of 2^order frames that begins here was handed out, and not
 *                     freed
 *   BYTE_CONTIG       another run was (its length is in the run map)
 *   0                 neither: the frame is free, reserved, in a cache, inside a run, or in the
 *                     hands of an unfinished operation
 *   BYTE_ZERO         as 0, and it is known that the frame reads as zeros; of a run in a cache, or
 *                     in an allocation's hands: all of it does, by the byte of the first frame
 *
 * Who hands a frame out to a caller writes the byte last; who takes it back looks at the byte
 * first, and clears it. In between nobody but the frame's owner has a reason to touch it, so both
 * are plain stores, without a locked instruction, and the hand-over that carries the frame
 * (E-frame, E-blocks, E-cpu-cache, E-depot) carries the byte too. What moves frames between caches
 * and zone leaves bytes alone: they are 0.
 *
 *   B1  A byte is not 0 only if the maps show that a run of that length, allocated, begins there.
 *   B2  A frame in a magazine, the depot or a remote magazine has 0 or BYTE_ZERO; one inside a run
 *       has 0.
 *   B3  BYTE_ZERO is written by who has the frame for himself and knows, and nobody but an
 *       allocator has had it since: a hand-out overwrites it, a run's taker clears those inside
 *       (take.c, claim.c), and where a block is opened all are written anew (block_whole.c). In a
 *       block that is not divided they may be left over, but for the first frame's of a run.
 *
 *                         another free of the run     the run's next owner
 *   a free                R                           the first free comes before it: seen, refused
 *
 *   R  Two frees of one run at the same instant (or a free beside a split or a join of it) may both
 *      find the byte as it should be. In the usual build both go on: the frame map tells the second
 * one when it gets there, at the latest when the frames are flushed; and if they were handed out
 * twice before that, the second of the two owners is refused when it frees them. In the hardened
 * build (QUIRE_HARDENED) a compare-and-swap of the byte decides, and the second free is refused at
 * once.
 *
 * A batch takes its frames back one by one, and gives them back if one is bad: a wrong batch that
 * names somebody else's frame too may meet that frame's own free in between, as in R.
 *
 * A second free after the frame was handed out again, with the same order, cannot be told from its
 * owner's. A zone without frame bytes (struct quire_zone_config) has no caches, and its maps tell.
 * Wait-free, any context.
 */
#ifndef QUIRE_CORE_FRAME_BYTE_H
#define QUIRE_CORE_FRAME_BYTE_H

#include "core/layout.h"

enum {
    BYTE_NONE = 0,    /* nothing that was handed out begins here */
    BYTE_SINGLE = 1,  /* one frame */
    BYTE_CONTIG = 31, /* n frames: no power of two, or not aligned */
    BYTE_ZERO = 128,  /* nothing that was handed out, and it reads as zeros */
};

/* Does the byte tell of nothing that was handed out? */
static inline bool byte_is_none(uint8_t value)
{
    return !(value & ~BYTE_ZERO);
}

/* The byte for a run of 2^order frames. */
static inline uint8_t byte_of_order(unsigned order)
{
    return (uint8_t)(order + BYTE_SINGLE);
}

/* The byte for the run of n frames from `frame` on. One of 2^order frames that is not aligned is
 * not of that order: it may not be freed by it. */
static inline uint8_t byte_of_run(uint64_t frame, uint64_t n)
{
    qi_assert(n > 0);
    return (n | frame) & (n - 1) ? BYTE_CONTIG : byte_of_order(word_first(n));
}

/* The byte at an address as zones and windows keep it, biased by the number of the first frame. */
static inline qa8 *byte_at(uintptr_t bytes, uint64_t number)
{
    uintptr_t p = bytes + (uintptr_t)number * sizeof(qa8);

    return (qa8 *)p;
}

static inline qa8 *byte_of_frame(const struct quire_zone *z, uint64_t frame)
{
    qi_assert(z->has_frame_bytes && has_map(z, frame / BLOCK_FRAMES));
    return byte_at(z->frame_bytes, frame);
}

/* Plain accesses, which the compiler may fold into one instruction: for valid calls nobody else
 * touches the byte now. ThreadSanitizer is not to complain of what a wrong free reads (R). */
static inline uint8_t byte_read(const qa8 *byte)
{
#if defined(QUIRE_RELACY) || defined(QUIRE_TSAN)
    return qa_load(byte, relaxed); /* relaxed: the caller's */
#else
    return byte->v;
#endif
}

static inline void byte_write(qa8 *byte, uint8_t value)
{
#if defined(QUIRE_RELACY) || defined(QUIRE_TSAN)
    qa_store(byte, value, relaxed); /* relaxed: the caller's */
#else
    byte->v = value;
#endif
}

/* The caller hands out what begins here. */
static inline void byte_set(qa8 *byte, uint8_t value)
{
    qi_assert(byte_is_none(byte_read(byte))); /* B2 */
    byte_write(byte, value);
}

/* Take back what begins here. False: it is not what was handed out; nothing has changed. */
static inline bool byte_clear(qa8 *byte, uint8_t value)
{
#ifdef QUIRE_HARDENED
    return qa_cas(byte, &value, BYTE_NONE, relaxed); /* relaxed: only the byte counts */
#else
    if (__builtin_expect(byte_read(byte) != value, 0))
        return false;
    byte_write(byte, BYTE_NONE);
    return true;
#endif
}

/* Undo byte_clear: what was taken back is its owner's still. */
static inline void byte_restore(qa8 *byte, uint8_t value)
{
    byte_write(byte, value);
}

/* Take back four single frames in a row, all or none. */
static inline bool byte_clear_four(qa8 *bytes)
{
#if defined(QUIRE_HARDENED) || defined(QUIRE_RELACY) || defined(QUIRE_TSAN)
    for (unsigned i = 0; i < 4; i++)
        if (!byte_clear(bytes + i, BYTE_SINGLE)) {
            while (i-- > 0)
                byte_restore(bytes + i, BYTE_SINGLE);
            return false;
        }
#else
    static const uint8_t singles[4] = {BYTE_SINGLE, BYTE_SINGLE, BYTE_SINGLE, BYTE_SINGLE};
    uint32_t now, all;

    __builtin_memcpy(&now, bytes, sizeof now);
    __builtin_memcpy(&all, singles, sizeof all);
    if (now != all)
        return false;
    __builtin_memset(bytes, BYTE_NONE, sizeof now);
#endif
    return true;
}

/* Hand out four single frames in a row. */
static inline void byte_set_four(qa8 *bytes)
{
#if defined(QUIRE_RELACY) || defined(QUIRE_TSAN)
    for (unsigned i = 0; i < 4; i++)
        byte_set(bytes + i, BYTE_SINGLE);
#else
    for (unsigned i = 0; i < 4; i++)
        qi_assert(byte_is_none(byte_read(bytes + i))); /* B2 */
    __builtin_memset(bytes, BYTE_SINGLE, 4);
#endif
}

/* The zone hands out a run that begins at `frame`. */
static inline void frame_hand_out(const struct quire_zone *z, uint64_t frame, uint8_t value)
{
    if (z->has_frame_bytes)
        byte_set(byte_of_frame(z, frame), value);
}

/* The zone takes it back. DOUBLE_FREE: it lies in a cache, or was freed. ORDER: something of
 * another length begins here. */
static inline int frame_take_back(const struct quire_zone *z, uint64_t frame, uint8_t value)
{
    if (!z->has_frame_bytes || byte_clear(byte_of_frame(z, frame), value))
        return QUIRE_OK;
    /* relaxed: for the error's name */
    return byte_is_none(qa_load(byte_of_frame(z, frame), relaxed)) ? QUIRE_ERR_DOUBLE_FREE
                                                                   : QUIRE_ERR_ORDER;
}

/* ---- What reads as zeros ----------------------------------------------------------------------
 */

/* May some byte be BYTE_ZERO? Who has a frame or block of which one is reads no false. */
static inline bool has_zeros(const struct quire_zone *z)
{
    return qa_load(&z->head->zeros, relaxed); /* relaxed: ordered by what carries the frame */
}

/* The caller is about to say of something that it reads as zeros. */
static inline void note_zeros(const struct quire_zone *z)
{
    if (z->has_frame_bytes && !has_zeros(z))
        qa_store(&z->head->zeros, 1,
                 relaxed); /* relaxed: for good, and carried on with the frame */
}

/* Is it known of a frame, or of the run that begins there, which is the caller's and not handed out
 * yet? */
static inline bool frame_reads_zero(const struct quire_zone *z, uint64_t frame)
{
    return z->has_frame_bytes && byte_read(byte_of_frame(z, frame)) == BYTE_ZERO;
}

/* Write n bytes from that of `frame`, none of something that was handed out. */
static inline void bytes_fill(const struct quire_zone *z, uint64_t frame, uint64_t n, uint8_t value)
{
    qi_assert(byte_is_none(value));
#if defined(QUIRE_RELACY) || defined(QUIRE_TSAN)
    for (uint64_t i = 0; i < n; i++)
        byte_write(byte_of_frame(z, frame + i), value);
#else
    __builtin_memset(byte_of_frame(z, frame), value, (size_t)n);
#endif
}

/* The caller took the run of n frames out of a divided block, n > 1: what its bytes say is said by
 * the first one's. */
static inline void bytes_take_run(const struct quire_zone *z, uint64_t frame, uint64_t n)
{
    uint64_t zero = 0;

    if (!has_zeros(z))
        return;
    while (zero < n && frame_reads_zero(z, frame + zero))
        zero++;
    bytes_fill(z, frame, n, BYTE_NONE);
    if (zero == n)
        byte_write(byte_of_frame(z, frame), BYTE_ZERO);
}

#endif /* QUIRE_CORE_FRAME_BYTE_H */
