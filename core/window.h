/* SPDX-License-Identifier: MIT
 *
 * window.h - a window of blocks: a stretch of a zone's blocks, with where the zone keeps what a
 * hit has to know of them. Private to the layers: a CPU's view of its cache has one, and so has
 * the machine's record of a zone.
 *
 * A window has two halves. The range (`first_block`, `blocks`) never changes while others read it,
 * so it may be read at any time. The rest points into the metadata of one zone: it is read only on
 * behalf of a frame of the range that has an owner, for then the zone is in service. When another
 * zone takes the place of one that is gone, window_bind changes the second half alone.
 *
 *                  window_find   window_desc, _fullness, _block   window_bind
 *   window_find         X                    X                        X
 *   window_desc ..      X                    X                        -
 *   window_bind         X                    -                        -
 *
 * (X: may run side by side; -: its callers see to it that they do not.) Wait-free, any context.
 */
#ifndef QUIRE_CORE_WINDOW_H
#define QUIRE_CORE_WINDOW_H

#include "core/frame_byte.h"

struct block_window {
    uint64_t first_block, blocks; /* pfn >> 9 of the first one, and how many; 0: an empty window */
    const void *descs, *fulls;    /* the descriptor and the fullness byte of the first one */
    uint64_t first_frame;         /* the zone's number of its first frame */
    uintptr_t frame_bytes;        /* the frame bytes, biased by pfns */
};

/* The place in the window of the block that holds a frame; `blocks` or more: it is not in it. */
static inline uint64_t window_find(const struct block_window *w, quire_pfn pfn)
{
    return (pfn.n >> BLOCK_ORDER) - w->first_block;
}

/* Does the window hold the frame? */
static inline bool window_holds(const struct block_window *w, quire_pfn pfn)
{
    return window_find(w, pfn) < w->blocks;
}

/* The descriptor of the block at a place. */
static inline const qa32 *window_desc(const struct block_window *w, uint64_t place)
{
    return (const qa32 *)w->descs + place;
}

/* The fullness byte of the block at a place. */
static inline const qa8 *window_fullness(const struct block_window *w, uint64_t place)
{
    return (const qa8 *)w->fulls + place;
}

/* The byte of a frame that the window holds. */
static inline qa8 *window_frame_byte(const struct block_window *w, quire_pfn pfn)
{
    return byte_at(w->frame_bytes, pfn.n);
}

/* The zone's number of the block at a place. */
static inline uint32_t window_block(const struct block_window *w, uint64_t place)
{
    return block_of(w->first_frame) + (uint32_t)place;
}

/* Point the window at a zone, whose number of the window's first frame is `frame`. */
static inline void window_bind(struct block_window *w, const struct quire_zone *z, uint64_t frame)
{
    w->descs = desc_of(z, block_of(frame));
    w->fulls = full_of(z, block_of(frame));
    w->first_frame = frame;
    w->frame_bytes = z->frame_bytes - (uintptr_t)((w->first_block << BLOCK_ORDER) - frame) *
                                          sizeof(qa8); /* by pfns */
}

#endif /* QUIRE_CORE_WINDOW_H */
