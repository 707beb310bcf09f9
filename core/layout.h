/* SPDX-License-Identifier: MIT
 *
 * layout.h - what a zone's metadata is made of, and how to reach it. Private to the layers.
 *
 * A zone is an index space of sections (those with memory, packed), each of 512 blocks of 512
 * frames. It has
 *
 *   per section   a map of its blocks (512 bits, one cache line), a map of those that are gone, two
 *                 hint bytes; for each 64 blocks who works there, a hint byte (blocks/tenant.h)
 *   per block     a map of its frames, the run map (which of them continue a run; optional), a
 *                 descriptor (what the block is, 32 bits), a fullness byte and a hole byte (hints)
 *   per frame     a byte: what was handed out there (frame_byte.h; optional)
 *   per slot      credit, home blocks, where its searches start, statistics
 *   once          the head (count, watermarks, isolated ranges), the pin table (reserved frames)
 *
 * The states of a block, which its descriptor tells:
 *
 *             claimed, order >= 9                      claimed, opened
 *   WHOLE  <-----------------------     FREE    ------------------------->  SPLIT   home block of
 *   TAIL.. ----------------------->             <-------------------------          a slot or none
 *      |           freed x             ^    |        wholly free x          ^ ^  |
 *      |                               |    |                               | |  |
 *      |                  unreserved x |    | reserved           unlisted x | |  | listed x
 *      |                               |    v                               | |  v
 *      |                              RESERVED  <-----------------------  ISOLATED
 *      |                                 |           emptied x              |
 *      |                                 | unreserved in part x             |
 *      |                                 v                                  |
 *      +---------- split x ---------> MOVING -------------------------------+ to SPLIT
 *
 *   x  by compare-and-swap, as several may try; the others are stores of the one who holds the
 *      block: its bit in the section was claimed, or the MOVING is its own.
 *   Besides: FREE -> ISOLATED, a block of a listed range was claimed; SPLIT -> WHOLE, joined (x),
 *   and back where a frame was freed meanwhile; FREE -> WITHDRAWN, damaged, for good. Of a run that
 *   is split the first block goes through MOVING, the TAILs become SPLIT at once; or all of them
 *   become WHOLE, runs of one block.
 *   desc_may_become() is this as a table.
 *
 * Invariants, true at every instant unless a line says otherwise:
 *   I1  A bit of a section's map is 0 only if the block's descriptor is FREE.
 *   I2  The frame map of a block that is neither SPLIT nor ISOLATED reads all ones, or all zeros if
 *       the block was never split since the zone was built; so no frame can be taken from it.
 *   I3  Run map bits of frames that are not allocated are 0; so are those of a block that is
 *       neither SPLIT nor ISOLATED. (They are set after, and cleared before, the frame map's bits.)
 *   I4  total + sum of the slots' credit <= free frames that can be found + those held by
 *       unfinished operations. Debit comes before the claim, credit after the clear.
 *   I5  A block is the home block of one slot at most; a slot's home word may name a block that it
 *       has lost.
 *   I6  A block is ISOLATED only while its range stands in the list of the head, and SPLIT only
 *       while it does not; unfinished operations make the two agree (isolate.c).
 *   I7  A bit of a section's gone map is 1 only if the block's descriptor is FREE: the block is
 * free, and to be installed before it is used (gone.c). Only who holds the block by its section's
 *       bit changes it.
 *
 * Everything else is a hint. It may lag, it steers searches, and but for H4 it never decides a
 * refusal:
 *   H1  fulls[b] is 0 (a home block, full, or not split) or about half of the number of free
 *       frames. A split block without owner that has free frames does not keep 0 once its freers
 *       are done.
 *   H2  sparse[s] is at least as large as the hole (H4) of each block of the section that shows
 *       free frames (H1), once setters are done.
 *   H3  wholes[s] - 1 is at least the order, in blocks, of the longest free run of whole blocks in
 *       the section, once setters are done. 0: no whole block is free.
 *   H4  holes[b] is the block's class and its hole, which is kept as one more than the order of the
 *       longest aligned run of free frames. It may show a longer run than there is, and an old
 *       class; each run of more than a frame that a split block has and the byte does not show is
 *       answered for by a call that has not returned. So this one may decide a refusal.
 *
 * Nothing in the metadata is a pointer.
 */
#ifndef QUIRE_CORE_LAYOUT_H
#define QUIRE_CORE_LAYOUT_H

#include "core/assert.h"
#include "core/atomic.h"
#include "core/word.h"

#include <quire/zone.h>

/* Words per line: 8 in the product. The interleaving tests build 2 and 4 to keep state small. */
#ifndef QUIRE_MAP_WORDS
#define QUIRE_MAP_WORDS 8
#endif

enum {
    MAP_WORDS = QUIRE_MAP_WORDS,
    MAP_BITS = MAP_WORDS * WORD_BITS,
    BLOCK_ORDER = WORD_ORDER + (MAP_WORDS == 8   ? 3
                                : MAP_WORDS == 4 ? 2
                                                 : 1),
    BLOCK_FRAMES = MAP_BITS,
    SECTION_BLOCKS = MAP_BITS,
    SECTION_ORDER = 2 * BLOCK_ORDER,
};

/* H3: any run of blocks may be free. */
#define WHOLES_TOP (BLOCK_ORDER + 1)

#define NO_BLOCK   UINT32_MAX
#define NO_FRAME   UINT64_MAX

/* The 512-bit map that serves blocks and sections alike. One cache line. */
struct map512 {
    qa64 w[MAP_WORDS];
} __attribute__((aligned(64)));

/* ---- Descriptor: what a block is, in 32 bits ---------------------------------------------- */

enum {
    D_FREE = 0,      /* belongs to its section's line; zero, so that zeroed metadata is free */
    D_SPLIT = 1,     /* frames are handed out one by one or in runs below order 9 */
    D_WHOLE = 2,     /* first block of a run of order >= 9; the order field says which */
    D_TAIL = 3,      /* a further block of such a run */
    D_RESERVED = 4,  /* out of use as a whole; with D_HOLE it was never memory */
    D_MOVING = 5,    /* its owner is changing its shape; all others leave it alone */
    D_WITHDRAWN = 6, /* damaged by racing bad frees; set aside for good */
    D_ISOLATED = 7,  /* as SPLIT, but only its isolation takes from it (isolate.c) */
    D_STATE = 7,

    D_PINS = 1 << 3, /* some frames are reserved or holes: the pin table knows which */
    D_ORDER_SHIFT = 4,
    D_ORDER = 31 << D_ORDER_SHIFT,
    /* Of a FREE block: it reads as zeros, and the zone's memory did not at first; or the memory
     * did, and the block may have been written. So zeroed metadata tells what is so at first. */
    D_CHANGED = 1 << 9,
    D_HOLE = 1 << 11,
    D_CLASS_SHIFT = 12,
    D_CLASS = 15 << D_CLASS_SHIFT,
    D_CLASS_ORDER = 14 << D_CLASS_SHIFT, /* the class but for its mobility: 0 of single frames */
    D_OWNER_SHIFT = 16,                  /* the owner, slot + 1; 0: not a home block */
    D_SWEPT_SHIFT = 16, /* of an ISOLATED block: one bit a word, its isolation holds all of it */
    D_AGE_SHIFT = 16,   /* of a FREE block: the zone's age when it became so, 16 bits */
};
#define D_OWNER ((uint32_t)0xfff << D_OWNER_SHIFT)

/* What a home block is for, and what a slot's searches remember apart: runs of one order and one
 * mobility. Where all runs of a block are alike, each one that is freed leaves a hole that the next
 * request fills; mixed, they cut each other's holes to pieces. Orders from CLASS_ORDERS - 1 on
 * share a class. */
enum {
    CLASS_UNMOVABLE = 0, /* single frames */
    CLASS_MOVABLE = 1,   /* likewise; of each order the even class is unmovable, the odd one not */
    CLASS_ORDERS = 8,
    CLASSES = 2 * CLASS_ORDERS,
    NEAR_WHOLE = CLASSES, /* index of near[] for orders >= 9 */
    LARGE_ORDER = 3, /* a small zone has three classes only: from this order on they share one */
};

/* A hole byte: the class above, the hole below. */
enum {
    HOLE_MASK = 15,
    HOLE_CLASS_SHIFT = 4,
    HOLE_CLASSES = 16, /* for which the byte has room */
    HOLE_MOST = BLOCK_ORDER,
    /* Instead of a hole, while a call looks at the map to lower it (hint.c): any run may be free.
     */
    HOLE_LOOKED = 15,  /* nobody completed a run since the call began to look */
    HOLE_DOUBTED = 14, /* somebody did */
};

static inline unsigned desc_state(uint32_t d)
{
    return d & D_STATE;
}

static inline unsigned desc_order(uint32_t d)
{
    return (d & D_ORDER) >> D_ORDER_SHIFT;
}

static inline unsigned desc_class(uint32_t d)
{
    return (d & D_CLASS) >> D_CLASS_SHIFT;
}

/* Is the split block with this descriptor one for runs of this order, below 9, if its zone keeps
 * the orders apart? */
static inline bool desc_is_for(uint32_t desc, unsigned order)
{
    unsigned class_order = order - order / CLASS_ORDERS; /* the longest two share a class */

    return !((desc ^ class_order << (D_CLASS_SHIFT + 1)) & D_CLASS_ORDER);
}

/* Are the block's frames allocated and freed one by one and in small runs? */
static inline bool desc_divided(uint32_t d)
{
    return desc_state(d) == D_SPLIT || desc_state(d) == D_ISOLATED;
}

/* Does an isolation hold all frames of a word of the block? */
static inline bool desc_swept(uint32_t d, unsigned word)
{
    return desc_state(d) == D_ISOLATED && d >> (D_SWEPT_SHIFT + word) & 1;
}

/* May a block go from one descriptor to the other? The diagram above, as a table. */
static inline bool desc_may_become(uint32_t from, uint32_t to)
{
    static const uint8_t next[D_STATE + 1] = {
        /* FREE */ 1 << D_SPLIT | 1 << D_WHOLE | 1 << D_TAIL | 1 << D_RESERVED | 1 << D_WITHDRAWN |
            1 << D_ISOLATED,
        /* SPLIT */ 1 << D_FREE | 1 << D_SPLIT | 1 << D_WHOLE | 1 << D_ISOLATED,
        /* WHOLE */ 1 << D_FREE | 1 << D_SPLIT | 1 << D_MOVING,
        /* TAIL */ 1 << D_FREE | 1 << D_SPLIT | 1 << D_WHOLE,
        /* RESERVED */ 1 << D_FREE | 1 << D_MOVING,
        /* MOVING */ 1 << D_SPLIT | 1 << D_WHOLE,
        /* WITHDRAWN */ 0,
        /* ISOLATED */ 1 << D_SPLIT | 1 << D_RESERVED | 1 << D_ISOLATED,
    };

    return next[desc_state(from)] >> desc_state(to) & 1;
}

/* How many ages ago a block with this descriptor, a FREE one, became so, if that is less than 2^16;
 * `now` is one of this age. */
static inline uint16_t desc_idle(uint32_t d, uint32_t now)
{
    return (uint16_t)((now >> D_AGE_SHIFT) - (d >> D_AGE_SHIFT));
}

static inline uint32_t desc_whole(unsigned order)
{
    qi_assert(order >= BLOCK_ORDER && order <= QUIRE_MAX_ORDER);
    return D_WHOLE | (uint32_t)order << D_ORDER_SHIFT;
}

static inline uint32_t desc_owner(quire_slot slot)
{
    qi_assert(slot.n < D_OWNER >> D_OWNER_SHIFT);
    return (slot.n + 1) << D_OWNER_SHIFT;
}

static inline uint32_t desc_home(quire_slot slot, unsigned home_class)
{
    qi_assert(home_class < CLASSES);
    return D_SPLIT | (uint32_t)home_class << D_CLASS_SHIFT | desc_owner(slot);
}

/* ---- Slots, pins, head --------------------------------------------------------------------- */

/* One slot. The first lines are hot and touched by its user alone, but for the gatherer. */
struct quire_slot_state {
    qa64 credit;              /* frames borrowed from the total, see fastpath.h; never negative */
    qa32 recent[BLOCK_ORDER]; /* block + 1, of the order's last free by this slot; a hint */
    qa32 home[CLASSES];       /* block + 1; a preference, see I5 */
    qa32 near[CLASSES + 1];   /* block where the next search of the class starts */
    qa64 errors[QUIRE_ERRORS_ROOM] __attribute__((aligned(64)));
    qa64 counts[QUIRE_COUNTS_ROOM];
} __attribute__((aligned(64)));

/* Frames of a partly usable block that are not to be had: an entry of an open-addressed table. */
struct quire_pin {
    struct map512 pinned; /* reserved frames and holes */
    struct map512 hole;   /* of these, the holes; constant once the zone is built */
    qa32 key;             /* block + 1; 0 is an empty entry; never given back */
} __attribute__((aligned(64)));

/* The watches of watch.c: of the orders below 9, and of those from there on; two flags an order. */
enum {
    WATCH_RUNS,
    WATCH_BLOCKS,
    WATCHES,
    WATCH_ORDERS = 12,
    WATCH_FLAGS = (1 << 2 * WATCH_ORDERS) - 1,
};

enum { ZONE_VERSION = 7 };
#define ZONE_MAGIC 0x316e7a6572697571u /* "quirezn1" */

/* The first page of the metadata. */
enum { UNMOVABLE_WORDS = 8 };

struct quire_zone_head {
    qa64 magic;
    uint32_t version, id, type, slots;
    uint32_t sections, map_stride, pin_mask, extent_count;
    uint32_t chunk;
    qa32 isolating; /* ranges in isolations[]; here, as every claim of blocks reads it */
    uint32_t has_frame_bytes, memory_zeroed;
    int64_t shard_limit;
    uint64_t first_block, end_block;
    uint64_t bytes;
    uint64_t min, low, high, lowmem_reserve;
    uint64_t room[8]; /* zero, see version.h; as the counters have some */
    struct quire_extent extents[QUIRE_ZONE_EXTENTS];
    qa64 total __attribute__((aligned(64))); /* signed; see I4 */
    qa32 level;                              /* watermarks: 0 fine, 1 told LOW, 2 told MIN */
    qa32 pins_used __attribute__((aligned(64)));
    qa64 managed, reserved;
    qa64 gone;      /* blocks, see I7 */
    qa32 free_desc; /* of a block that becomes FREE now, and is not known to read as zeros */
    qa32 zeros;     /* not 0: a frame byte may be BYTE_ZERO (frame_byte.h) */
    qa64 watch[WATCHES] __attribute__((aligned(64))); /* what is to be had nowhere: watch.c */
    qa64 events[QUIRE_EVENTS_ROOM];
    qa64 unmovable[UNMOVABLE_WORDS]; /* sections with unmovable blocks: find_whole.c */
    /* Isolated ranges: first block << 32 | blocks; 0 is an empty entry. */
    qa64 isolations[QUIRE_ISOLATIONS] __attribute__((aligned(64)));
} __attribute__((aligned(64)));

/* ---- Reaching things ----------------------------------------------------------------------- */

/* Has block b a frame map, a fullness byte and, if the zone has them, a run map? */
static inline bool has_map(const struct quire_zone *z, uint64_t b)
{
    return b >= z->first_block && b < z->end_block;
}

static inline bool has_run_map(const struct quire_zone *z)
{
    return z->map_stride > sizeof(struct map512);
}

static inline struct map512 *frame_map(const struct quire_zone *z, uint32_t b)
{
    void *p = z->maps + (b - z->first_block) * z->map_stride;

    qi_assert(has_map(z, b));
    return (struct map512 *)p;
}

static inline struct map512 *run_map(const struct quire_zone *z, uint32_t b)
{
    qi_assert(has_run_map(z));
    return frame_map(z, b) + 1;
}

static inline qa32 *desc_of(const struct quire_zone *z, uint32_t b)
{
    void *p = z->descs;

    return (qa32 *)p + b;
}

static inline qa8 *full_of(const struct quire_zone *z, uint32_t b)
{
    void *p = z->fulls;

    return (qa8 *)p + b;
}

static inline qa8 *hole_of(const struct quire_zone *z, uint32_t b)
{
    void *p = z->holes;

    return (qa8 *)p + b;
}

static inline qa8 *sparse_of(const struct quire_zone *z, uint32_t s)
{
    void *p = z->sparse;

    return (qa8 *)p + s;
}

static inline qa8 *wholes_of(const struct quire_zone *z, uint32_t s)
{
    void *p = z->wholes;

    return (qa8 *)p + s;
}

/* Of blocks 64 g .. 64 g + 63. */
static inline qa8 *tenant_of(const struct quire_zone *z, uint32_t g)
{
    void *p = z->tenants;

    return (qa8 *)p + g;
}

/* Word `g` of all sections' lines in a row: it maps blocks 64 g .. 64 g + 63. */
static inline struct map512 *section_maps_of(const struct quire_zone *z)
{
    void *p = z->section_maps;

    return (struct map512 *)p;
}

static inline qa64 *word_of(struct map512 *maps, uint64_t g)
{
    return &maps[g / MAP_WORDS].w[g % MAP_WORDS];
}

static inline qa64 *block_word(const struct quire_zone *z, uint64_t g)
{
    return word_of(section_maps_of(z), g);
}

/* The same of the gone maps. */
static inline qa64 *gone_word(const struct quire_zone *z, uint64_t g)
{
    void *p = z->gone_maps;

    return word_of((struct map512 *)p, g);
}

/* The descriptor of a block that becomes FREE now; `zero`: all of it reads as zeros. */
static inline uint32_t desc_free(const struct quire_zone *z, bool zero)
{
    /* relaxed: a figure, but for what is constant in it */
    return qa_load(&z->head->free_desc, relaxed) ^ (zero ? (uint32_t)D_CHANGED : 0);
}

/* Does a FREE block that the caller holds read as zeros, all of it? */
static inline bool block_reads_zero(const struct quire_zone *z, uint32_t b)
{
    /* relaxed: the caller's */
    return !(qa_load(desc_of(z, b), relaxed) & D_CHANGED) == z->memory_zeroed;
}

static inline struct quire_slot_state *slot_of(const struct quire_zone *z, quire_slot slot)
{
    qi_assert(slot.n < z->slots);
    return &z->slot_states[slot.n];
}

/* Frames are numbered within the zone's index space: block * 512 + place in the block. */
static inline uint32_t block_of(uint64_t frame)
{
    return (uint32_t)(frame / BLOCK_FRAMES);
}

static inline unsigned place_of(uint64_t frame)
{
    return (unsigned)(frame % BLOCK_FRAMES);
}

static inline uint64_t frame_at(uint32_t b, unsigned place)
{
    return (uint64_t)b * BLOCK_FRAMES + place;
}

/* The extent whose sections hold `section`; NULL if none does. At most QUIRE_ZONE_EXTENTS turns,
 * one for the usual zone. */
static inline const struct quire_extent *extent_of(const struct quire_zone *z, uint64_t section)
{
    for (uint32_t i = 0; i < z->extent_count; i++)
        if (section - z->extents[i].section < z->extents[i].count)
            return &z->extents[i];
    return NULL;
}

/* The zone's number of a frame, or NO_FRAME if the zone has no map for it. */
static inline uint64_t frame_of_pfn(const struct quire_zone *z, quire_pfn pfn)
{
    uint64_t section = pfn.n >> SECTION_ORDER;
    const struct quire_extent *e = extent_of(z, section);
    uint64_t frame;

    if (!e)
        return NO_FRAME;
    frame = pfn.n - ((e->section - e->index) << SECTION_ORDER);
    return has_map(z, frame / BLOCK_FRAMES) ? frame : NO_FRAME;
}

static inline quire_pfn pfn_of_frame(const struct quire_zone *z, uint64_t frame)
{
    uint64_t s = frame >> SECTION_ORDER;
    uint32_t i = z->extent_count - 1;

    while (i > 0 && z->extents[i].index > s)
        i--;
    return quire_pfn_of(frame + ((z->extents[i].section - z->extents[i].index) << SECTION_ORDER));
}

/* Is the physical address of index-space section s the one of section `s - 1` plus 1 GiB? */
static inline bool section_follows(const struct quire_zone *z, uint32_t s)
{
    for (uint32_t i = 0; i < z->extent_count; i++)
        if (z->extents[i].index == s)
            return false;
    return true;
}

#endif /* QUIRE_CORE_LAYOUT_H */
