/* SPDX-License-Identifier: MIT
 *
 * zone.h - one zone: the frames of one node that share a purpose, handed out without locks.
 *
 * A zone consists of its metadata (one piece of memory that the caller supplies; it holds no
 * pointer, so several processes may map it at different addresses) and of a handle, `struct
 * quire_zone`, which the caller owns, which is local to one address space, and which never changes
 * after quire_zone_init or quire_zone_attach: it may be copied and read by everyone at once.
 *
 * Slots. Every call names a slot: a line of the metadata with the slot's home blocks and its share
 * of the free count. Give each CPU or thread one of its own and calls scale; slots may be shared,
 * or re-entered by interrupts and signal handlers at any instruction, and all stays correct.
 *
 * Unless a function says otherwise it is lock-free and callable from any context (thread,
 * interrupt, NMI, signal handler); it returns 0 or one of enum quire_error, and a failed call
 * changes nothing. The one exception: two or more bad frees of the same frames that race each
 * other, of which one may seem to succeed and some may free a part of a run.
 *
 * What one thread allocated another may free, once it was handed over to it: the allocation happens
 * before the free, as by a lock, a queue, or a release and an acquire.
 *
 * Out of memory. QUIRE_ERR_NO_MEMORY is true at some moment of the call, but for what other calls
 * that are not over have in their hands at that moment, with QUIRE_EMERGENCY too: nobody waits for
 * them. For each such call, where it may be stopped for ever, that is at most
 *   - the frames that it allocates or frees;
 *   - while a block is split or becomes whole, the rest of that one block, less than 512 frames;
 * with a run that is no power of two, or at a given place, the rest of the blocks at its ends;
 *   - of memory that is being given back 64 blocks, and no more than an eighth of what is free and
 * here, or one block; of memory that is being zeroed ahead of need one block;
 *   - in a zone so large that its slots keep credit, one slot's credit on its way into or out of
 * the total: an eighth of the zone over the number of its slots. cache.h and machine.h say what
 * comes on top there.
 *
 * A pointer must not be NULL unless the function says that it may be; nobody looks.
 *
 * Errors that every function may give, not repeated below: QUIRE_ERR_SIZE for a slot that is not
 * below the zone's `slots`, QUIRE_ERR_UNSUPPORTED for a flag that the function does not take,
 * QUIRE_ERR_FRAME for a frame that this zone does not manage.
 */
#ifndef QUIRE_ZONE_H
#define QUIRE_ZONE_H

#include <quire/port.h>
#include <quire/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum quire_zone_type {
    QUIRE_ZONE_DMA = 0,    /* below 16 MiB */
    QUIRE_ZONE_DMA32 = 1,  /* below 4 GiB */
    QUIRE_ZONE_NORMAL = 2, /* everything else */
    QUIRE_ZONE_HUGE = 3,   /* set aside at boot for orders 9 and up, or movable frames */
    QUIRE_ZONE_DEVICE = 4, /* device memory: tracked, handed out on explicit request */
};
enum { QUIRE_ZONE_TYPES = 5 };

enum {
    QUIRE_ZONE_EXTENTS = 32,     /* stretches of sections with metadata, per zone */
    QUIRE_ZONE_MAX_SLOTS = 4095, /* slots per zone */
    QUIRE_ISOLATIONS = 8,        /* isolated ranges per zone at a time */
    QUIRE_METADATA_ALIGN = 4096, /* bytes */
};

/* Ask for watermarks computed from the zone's size: 1.6 to 3.1 % of a zone below 16 GiB is kept
 * from ordinary requests, less of larger ones. They are 0 if the port has no `event`: with nobody
 * who hears of them and frees memory, what they keep back would only be missing. */
#define QUIRE_WATERMARK_AUTO UINT64_MAX

/* A block of which some frames are reserved and others in use takes a pin, 192 bytes of metadata,
 * for good. Those that are so when the zone is built have theirs. Each other block takes a spare
 * one when quire_zone_reserve takes a part of it, or quire_zone_unreserve gives back a part of it
 * that was reserved whole; when there are no more, that is QUIRE_ERR_FULL. Whole blocks take none,
 * and a block takes one only once. The table is rounded up, so there may be more than were asked
 * for: quire_zone_spare_pins says how many. This asks for one for each block, so that none is ever
 * missing: up to 0.025 % of the memory. */
#define QUIRE_PINS_ALL UINT32_MAX

/* What a zone is made of. All runs in frames; those of one list sorted and disjoint. */
struct quire_zone_config {
    uint32_t id; /* the caller's number for the zone */
    enum quire_zone_type type;
    uint32_t slots;                 /* 1 .. QUIRE_ZONE_MAX_SLOTS */
    const struct quire_run *usable; /* frames to hand out */
    size_t usable_count;
    const struct quire_run *reserved; /* memory that is in use for now: quire_zone_unreserve */
    size_t reserved_count;            /* everything in neither list is a hole */
    uint32_t spare_pins;     /* blocks that can be reserved, or unreserved, in part later: see
                              * QUIRE_PINS_ALL; 0 means 64 */
    uint64_t min, low, high; /* watermarks, frames, min <= low <= high; or QUIRE_WATERMARK_AUTO */
    uint64_t lowmem_reserve; /* frames kept from requests with QUIRE_FALLBACK; 0 is none */
    bool no_run_map;         /* save 64 bytes per block: wrong-order frees below order 9 pass; a
                              * zone without a run map has no frame bytes either */
    bool no_frame_bytes;     /* save 512 bytes per block, for a zone without caches: a cache tells
                              * by them what it was given twice, and refuses a zone without */
    bool metadata_zeroed;    /* the metadata reads as zeros: building costs O(sections) */
    bool memory_zeroed;      /* so do all usable frames: QUIRE_ZEROED has no work there at first */
    struct quire_port port;
    uint64_t room[8]; /* zero, see version.h */
};

struct quire_extent {
    uint64_t section; /* the first section's number, pfn >> 18 */
    uint32_t count;   /* sections */
    uint32_t index;   /* the first section's index in the zone */
};

struct quire_zone_head;
struct quire_slot_state;
struct quire_pin;

/* The handle. Private: use the functions below. */
struct quire_zone {
    struct quire_zone_head *head;
    unsigned char *maps;         /* per block: the frame map, and the run map behind it */
    unsigned char *descs;        /* per block: the descriptor */
    unsigned char *fulls;        /* per block: the fullness byte */
    unsigned char *holes;        /* per block: the hole byte */
    unsigned char *section_maps; /* per section: the map of blocks */
    unsigned char *gone_maps;    /* per section: which of its free blocks are gone */
    unsigned char *sparse;       /* per section: how long a run of free frames may be in a block */
    unsigned char *wholes;       /* per section: how long a run of whole blocks may be free */
    unsigned char *tenants;      /* per 64 blocks: the slot that split blocks there last */
    struct quire_slot_state *slot_states;
    struct quire_pin *pins;
    uintptr_t frame_bytes; /* per frame: the byte that says how it was handed out; where frame 0
                            * of the index space would have its own */
    bool has_frame_bytes;
    bool memory_zeroed; /* the zone's memory read as zeros at first */
    bool order_classes; /* each order below 9 has blocks of its own */
    uint32_t map_stride;
    uint32_t sections;
    uint32_t slots;
    uint32_t pin_mask; /* capacity - 1 */
    uint32_t extent_count;
    uint32_t chunk;       /* credit moves between the total and a slot in pieces of this */
    int64_t shard_limit;  /* slots keep credit only while the total is above this */
    uint64_t first_block; /* of the zone's index space: lowest block with a map */
    uint64_t end_block;   /* one past the highest block with a map */
    struct quire_extent extents[QUIRE_ZONE_EXTENTS];
    struct quire_port port;
    uint64_t room[8]; /* zero, see version.h */
};

/* ---- Building ---------------------------------------------------------------------------- */

/* How many bytes of metadata `config` needs: about 0.031 % of the memory (0.0064 % without frame
 * bytes, 0.0034 % without the run map), plus 512 bytes per slot. QUIRE_ERR_SIZE: no usable frame, a
 * run beyond 2^40 frames, more than 2^32 - 1 blocks, more metadata than can be addressed, slots,
 * watermarks, lowmem_reserve or pins (beyond 2^28 blocks) out of range. QUIRE_ERR_ALIGN: a list
 * that is not sorted and disjoint. QUIRE_ERR_UNSUPPORTED: no such type. Wait-free.
 */
int quire_zone_metadata_size(const struct quire_zone_config *config, size_t *bytes);

/* What is wrong with a configuration, if quire_zone_metadata_size refuses it: `where` is a frame
 * for the lists of runs, else 0. Errors as there, but for what comes of its size. Wait-free. */
int quire_zone_config_check(const struct quire_zone_config *config, struct quire_fault *fault);

/* Build a zone in `metadata`, `bytes` long and aligned to QUIRE_METADATA_ALIGN. Blocking only in
 * that it clears memory that is not known to be zero; nobody else may use the metadata meanwhile.
 * As above, and QUIRE_ERR_SIZE: `bytes` too few. QUIRE_ERR_ALIGN: `metadata` not aligned.
 * QUIRE_ERR_INITIALISED: `zone` is in use already (start from a zeroed handle). */
int quire_zone_init(struct quire_zone *zone, const struct quire_zone_config *config, void *metadata,
                    size_t bytes);

/* Open a zone that somebody else built in `metadata`, say another process. Wait-free.
 * QUIRE_ERR_UNSUPPORTED: not a zone, or one of another version. Others as quire_zone_init. */
int quire_zone_attach(struct quire_zone *zone, void *metadata, size_t bytes,
                      const struct quire_port *port);

/* ---- Frames and runs --------------------------------------------------------------------- */

/* Allocate 2^order aligned frames, order 0 .. QUIRE_MAX_ORDER. QUIRE_ERR_SIZE: order.
 * QUIRE_ERR_NO_MEMORY: fewer than 2^order frames are free above the floor of the request's urgency
 * (and the lowmem_reserve, with QUIRE_FALLBACK), or every candidate was seen taken. With
 * QUIRE_ZEROED, what the port's `zero` returned. */
int quire_zone_alloc(struct quire_zone *zone, quire_slot slot, unsigned order, uint32_t flags,
                     quire_pfn *pfn);

/* Free what quire_zone_alloc gave. QUIRE_ERR_SIZE: order. QUIRE_ERR_ALIGN: pfn not aligned to the
 * order. QUIRE_ERR_FRAME: not managed, or reserved. QUIRE_ERR_DOUBLE_FREE: not allocated.
 * QUIRE_ERR_ORDER: part of a longer run, or several shorter ones. */
int quire_zone_free(struct quire_zone *zone, quire_slot slot, quire_pfn pfn, unsigned order);

/* The same, of frames that the caller has zeroed: all of them read as zeros, and QUIRE_ZEROED has
 * no work with them. Errors as quire_zone_free. In a zone without frame bytes it is that. */
int quire_zone_free_zeroed(struct quire_zone *zone, quire_slot slot, quire_pfn pfn, unsigned order);

/* Free the run that starts at `pfn`, of whatever length. QUIRE_ERR_UNSUPPORTED: below order 9 in
 * a zone without a run map. QUIRE_ERR_ORDER: `pfn` is inside a run. Others as quire_zone_free. */
int quire_zone_free_any(struct quire_zone *zone, quire_slot slot, quire_pfn pfn);

/* The length, in frames, of the allocated run that starts at `pfn`. Errors as
 * quire_zone_free_any. Exact for a run that the caller owns. */
int quire_zone_run_length(const struct quire_zone *zone, quire_pfn pfn, uint64_t *frames);

/* ---- Batches ----------------------------------------------------------------------------- */

/* Allocate `n` single frames, n >= 1, into pfns[]. All or nothing, unless QUIRE_PARTIAL, which
 * takes what there is (at least one). *got says how many. Errors as quire_zone_alloc;
 * QUIRE_ERR_NO_MEMORY with QUIRE_PARTIAL means that at some moment of the call not one frame was
 * free above the floor, or that each was seen taken: rivals that take some leave it the others. */
int quire_zone_alloc_batch(struct quire_zone *zone, quire_slot slot, uint32_t flags, size_t n,
                           quire_pfn pfns[], size_t *got);

/* Free `n` single frames, all or none: an error means that nothing changed. *bad, if not NULL, is
 * the place of the first bad one: of what is named twice, the second. Errors as quire_zone_free.
 * Without frame bytes one that is named twice, and not both times among the same 64 places from a
 * multiple of 64, is found too late: then each frame was freed once. */
int quire_zone_free_batch(struct quire_zone *zone, quire_slot slot, const quire_pfn pfns[],
                          size_t n, size_t *bad);

/* Allocate `frames` frames in as few runs as can be found, at most `capacity`. *count says how
 * many runs. Each is freed with quire_zone_free_contig. All or nothing. Errors as
 * quire_zone_alloc; QUIRE_ERR_NO_MEMORY also if `capacity` runs are not enough. Beside rivals that
 * take frames of the runs that were chosen, again and again, it takes what it gets from the lowest
 * address on, in more runs then; and so where memory that is gone does not come, and what is here
 * is too little. */
int quire_zone_alloc_runs(struct quire_zone *zone, quire_slot slot, uint32_t flags, uint64_t frames,
                          struct quire_run runs[], size_t capacity, size_t *count);

/* ---- Given places ------------------------------------------------------------------------ */

/* What a device asks of its memory. */
struct quire_contig {
    uint64_t frames;   /* length, >= 1 */
    uint64_t align;    /* bytes, a power of two, or 0 for any frame */
    uint64_t boundary; /* bytes, a power of two not to be crossed, or 0 for none */
    uint64_t low;      /* lowest physical address, bytes */
    uint64_t high;     /* highest physical address, bytes, inclusive; 0 means no limit */
    uint64_t room[2];  /* zero, see version.h */
};

/* Allocate a contiguous run of any length under constraints, lowest address first. Freed with
 * quire_zone_free_contig. QUIRE_ERR_SIZE: no frames, more than quire_zone_managed or than the
 * boundary has, low above high. QUIRE_ERR_ALIGN: align or boundary not a power of two, or boundary
 * below 4096. QUIRE_ERR_NO_MEMORY: the floor; or no such run is free: each place was seen taken, or
 * a rival took a frame of it meanwhile. */
int quire_zone_alloc_contig(struct quire_zone *zone, quire_slot slot,
                            const struct quire_contig *want, uint32_t flags, quire_pfn *pfn);

/* Allocate exactly the run of 2^order frames at `pfn`. QUIRE_ERR_FRAME: a frame of it is reserved
 * or not managed. QUIRE_ERR_BUSY: else, one is in use. QUIRE_ERR_ALIGN, QUIRE_ERR_SIZE: as above.
 * QUIRE_ERR_NO_MEMORY: the floor; or a block of it is gone (quire_zone_give_back), and did not
 * come. */
int quire_zone_alloc_at(struct quire_zone *zone, quire_slot slot, quire_pfn pfn, unsigned order,
                        uint32_t flags);

/* Free the run of exactly `frames` frames at `pfn`. Errors as quire_zone_free. */
int quire_zone_free_contig(struct quire_zone *zone, quire_slot slot, quire_pfn pfn,
                           uint64_t frames);

/* Take free frames out of use, all or none. QUIRE_ERR_FRAME: one is reserved already or a hole.
 * QUIRE_ERR_BUSY: else, one is allocated. QUIRE_ERR_SIZE: no frames. QUIRE_ERR_FULL: no spare pin
 * is left. QUIRE_ERR_NO_MEMORY: one is of a block that is gone (quire_zone_give_back), and did not
 * come. */
int quire_zone_reserve(struct quire_zone *zone, quire_slot slot, quire_pfn pfn, uint64_t frames);

/* Put reserved frames into use. QUIRE_ERR_FRAME: one is not reserved. QUIRE_ERR_SIZE: no frames.
 * QUIRE_ERR_FULL: a part of a block that is reserved whole, and no spare pin is left
 * (QUIRE_PINS_ALL). QUIRE_ERR_BUSY: another call is dividing the same reserved block just now; try
 * again. */
int quire_zone_unreserve(struct quire_zone *zone, quire_slot slot, quire_pfn pfn, uint64_t frames);

/* Which frames of a block an isolation holds. */
struct quire_isolated_frames {
    uint64_t frames[8]; /* bit i of word w: frame 64 w + i */
};

/* Put back into use what a commit of an isolation reserved (see below): of the whole blocks of
 * `run` the frames that held[] names, an element for each block. QUIRE_ERR_FRAME: one of these is
 * not reserved. QUIRE_ERR_ALIGN: not whole blocks. Others as quire_zone_unreserve. */
int quire_zone_unreserve_isolated(struct quire_zone *zone, quire_slot slot, struct quire_run run,
                                  const struct quire_isolated_frames held[]);

/* ---- Isolated ranges ---------------------------------------------------------------------
 *
 * To empty a range of blocks, for compaction or because the memory is to go away: isolate it, move
 * away or wait for what is still used, then commit it (the blocks are reserved) or undo it (they
 * are free again). From the return of quire_zone_isolate on no call that starts gets a frame of the
 * range; frees into it go on. An isolation holds the free frames as an allocation would: they leave
 * the count of free frames, and `managed` only when it is committed. Frames that were freed into
 * the range since the last look count as free, and cannot be found, until the next look. Blocks of
 * the range that are gone (quire_zone_give_back) are installed before they are held, also where the
 * memory is to go away; one that does not come is held by nobody: each look tries it again, and a
 * commit is QUIRE_ERR_BUSY until it comes.
 *
 * Caches in front of the zone hold frames that read as used here: drain them first. An isolation
 * is one caller's at a time, and any thread's. The calls are lock-free, O(frames of the range). */

/* An isolation, from quire_zone_isolate to commit or undo. Zeroed before and after. Private. */
struct quire_isolation {
    struct quire_run run;
    struct quire_isolated_frames *held;
    uint32_t block; /* the first one */
    uint32_t entry;
    uint32_t flags;   /* of all that is done with it: QUIRE_NO_CALLBACK, or 0 */
    uint64_t room[2]; /* zero, see version.h */
};

/* Isolate the blocks of `run`, whole blocks. `held` has an element for each block (run.frames /
 * 512); it is the isolation's until commit or undo, and tells after a commit which frames that
 * reserved. Reserved frames and holes in the range stay what they are. QUIRE_ERR_ALIGN: not whole
 * blocks. QUIRE_ERR_FRAME: the zone has not all of them in a row. QUIRE_ERR_BUSY: one of them is
 * isolated already. QUIRE_ERR_SIZE: no frames. QUIRE_ERR_FULL: QUIRE_ISOLATIONS ranges
 * are isolated. QUIRE_ERR_INITIALISED: `isolation` is in use. */
int quire_zone_isolate(struct quire_zone *zone, quire_slot slot, struct quire_run run,
                       struct quire_isolated_frames held[], struct quire_isolation *isolation);

/* Take what was freed into the range since the last look. *frames says how many frames of the
 * range are neither held nor reserved; in used[] are the allocated runs that they belong to, the
 * first `capacity` of them, *count in number; the first and the last may reach out of the range.
 * Without a run map, stretches of used frames take the place of runs below order 9. What another
 * call is changing just now may be counted and not listed. A frame of the range that was freed but
 * not allocated is found here, if it was not refused at once, set right and reported
 * (QUIRE_REPORT_BAD_FREE). `used` may be NULL if capacity is 0. QUIRE_ERR_STATE: `isolation`
 * is not in use. */
int quire_zone_isolated(struct quire_zone *zone, quire_slot slot,
                        const struct quire_isolation *isolation, struct quire_run used[],
                        size_t capacity, size_t *count, uint64_t *frames);

/* Reserve the range: end the isolation so that its frames are as after quire_zone_reserve, and
 * quire_zone_unreserve puts them back into use. QUIRE_ERR_BUSY: a frame is used still; the
 * isolation goes on. QUIRE_ERR_STATE: `isolation` is not in use. */
int quire_zone_isolate_commit(struct quire_zone *zone, quire_slot slot,
                              struct quire_isolation *isolation);

/* End the isolation: all that it holds is free again. QUIRE_ERR_STATE: `isolation` is not in
 * use. */
int quire_zone_isolate_undo(struct quire_zone *zone, quire_slot slot,
                            struct quire_isolation *isolation);

/* ---- Memory that is given back ------------------------------------------------------------
 *
 * Blocks that are free can be given back to whoever is outside, a hypervisor or the operating
 * system, by the port's `discard`, and come again by its `install` before a frame of theirs is
 * handed out (port.h). Such a block is *gone*: it counts as free, and a request gets it where no
 * block is free that is here. One that cannot be installed is passed by: a request is refused with
 * QUIRE_ERR_NO_MEMORY if each candidate was taken, or was gone and did not come.
 *
 * A call that gives back holds up to 64 blocks at a time, and an eighth of the zone's free frames
 * that are here at most, or one block. */

/* What to give back. All zero: everything that is free. */
struct quire_give_back {
    uint64_t keep;    /* frames that stay here, used ones among them: it ends when the zone has no
                       * whole block more than these */
    uint64_t most;    /* frames to give at most, or 0: no limit */
    uint32_t idle;    /* only what has been free for so many ages, 1 .. 65535; 0: whatever is */
    uint64_t room[4]; /* zero, see version.h */
};

/* Give back blocks that are free, as `how` says; neighbours by one call of `discard`, 64 blocks at
 * most. Blocks of which a frame is used stay, and a frame in a cache counts as used: drain it
 * first. *frames says how many frames went. QUIRE_ERR_UNSUPPORTED: the port has no `discard`.
 * QUIRE_ERR_SIZE: idle. What `discard` answered, if not one block went before. O(blocks) beside
 * what is given. In any context in which `discard` may be called. */
int quire_zone_give_back(struct quire_zone *zone, quire_slot slot,
                         const struct quire_give_back *how, uint64_t *frames);

/* Another age begins: what is free now has been so for one age more. Say once a second. Wait-free.
 */
void quire_zone_age(struct quire_zone *zone);

/* ---- Memory that reads as zeros -----------------------------------------------------------
 *
 * A zone with frame bytes remembers which free frames read as zeros, and has no work there when
 * QUIRE_ZEROED asks for them: they came so (`memory_zeroed`), were freed with
 * quire_zone_free_zeroed, came again zeroed (the port's `install`), or were zeroed ahead of need.
 * Handing them out, to whomever, ends it. QUIRE_COUNT_KNOWN_ZERO and QUIRE_COUNT_ZEROED tell the
 * share. */

/* Zero up to `most` free frames ahead of need, with the port's `zero`: whole blocks first. *frames
 * says how many. A block, or up to 64 frames of one, are held at a time. QUIRE_ERR_UNSUPPORTED: the
 * port has no `zero`, or the zone no frame bytes. What `zero` answered, if nothing was zeroed
 * before. O(blocks) beside the work; in any context in which `zero` may be called. */
int quire_zone_zero_idle(struct quire_zone *zone, quire_slot slot, uint64_t most, uint64_t *frames);

/* ---- Runs that change shape in place ----------------------------------------------------- */

/* Turn the caller's run of 2^order frames into 2^order single frames. Errors as quire_zone_free. */
int quire_zone_split(struct quire_zone *zone, quire_slot slot, quire_pfn pfn, unsigned order);

/* The same of a run of exactly `frames` frames, of an order or not. With the flag QUIRE_MOVABLE the
 * blocks of a run of order 9 or more count as movable ones afterwards. QUIRE_ERR_SIZE: no frames.
 * Others as quire_zone_free_contig. */
int quire_zone_split_contig(struct quire_zone *zone, quire_slot slot, quire_pfn pfn,
                            uint64_t frames, uint32_t flags);

/* Turn the caller's run of 2^order frames, order 10 or more, into runs of order 9, each of which is
 * freed by itself from now on. QUIRE_ERR_SIZE: order. QUIRE_ERR_ORDER also of a run that
 * quire_zone_alloc_contig made of single frames, not of whole blocks. Others as quire_zone_free. */
int quire_zone_split_blocks(struct quire_zone *zone, quire_slot slot, quire_pfn pfn,
                            unsigned order);

/* Turn the caller's 512 single frames at `pfn` into one run of order 9. QUIRE_ERR_ALIGN: pfn.
 * QUIRE_ERR_DOUBLE_FREE: one of them is not allocated. QUIRE_ERR_ORDER: one is part of a run.
 * QUIRE_ERR_FRAME: one is reserved. QUIRE_ERR_BUSY: somebody interfered. */
int quire_zone_join(struct quire_zone *zone, quire_slot slot, quire_pfn pfn);

/* Free `frames` single frames in a row, all or none: an error means that nothing changed, and the
 * port's `report` hears of the first bad one. Errors as quire_zone_free; QUIRE_ERR_SIZE: no frames.
 * O(frames). */
int quire_zone_free_range(struct quire_zone *zone, quire_slot slot, quire_pfn pfn, uint64_t frames);

/* Free the frames `part` of the caller's run `run`; the others are single frames of the caller's
 * then, and if `part` is all of it, none are left. Flags as quire_zone_split_contig, for the
 * others. QUIRE_ERR_SIZE: `part` is empty, or reaches out of `run`. Others as
 * quire_zone_free_contig of `run`. O(frames of `run`). */
int quire_zone_free_part(struct quire_zone *zone, quire_slot slot, struct quire_run run,
                         struct quire_run part, uint32_t flags);

/* ---- Slots ------------------------------------------------------------------------------- */

/* Give up the slot's home blocks and its credit, say because its CPU goes away. The slot may be
 * used again at once. */
int quire_zone_retire_slot(struct quire_zone *zone, quire_slot slot);

/* ---- Figures ----------------------------------------------------------------------------- */

/* Things worth counting; all since the zone was built. */
enum quire_count {
    QUIRE_COUNT_HOME = 0,           /* a slot took another home block */
    QUIRE_COUNT_SPLIT = 1,          /* a whole block was split */
    QUIRE_COUNT_WHOLE = 2,          /* a split block became whole again */
    QUIRE_COUNT_STEAL = 3,          /* frames came from a block that is no home block of the slot */
    QUIRE_COUNT_LAST_PASS = 4,      /* a search walked all maps */
    QUIRE_COUNT_ROLLBACK = 5,       /* a claim of several words met a rival and was undone */
    QUIRE_COUNT_RETRY = 6,          /* an operation started over */
    QUIRE_COUNT_GATHER = 7,         /* credit of all slots was collected */
    QUIRE_COUNT_WITHDRAWN = 8,      /* blocks set aside, see QUIRE_REPORT_WITHDRAWN */
    QUIRE_COUNT_REVOKED = 9,        /* wholly free home blocks taken away for a larger request */
    QUIRE_COUNT_GIVEN = 10,         /* blocks given back by quire_zone_give_back */
    QUIRE_COUNT_INSTALLED = 11,     /* blocks that came again before they were used */
    QUIRE_COUNT_NOT_INSTALLED = 12, /* times that the port's `install` refused */
    QUIRE_COUNT_KNOWN_ZERO = 13,    /* frames for QUIRE_ZEROED that were known to read as zeros */
    QUIRE_COUNT_ZEROED = 14,        /* frames that the port's `zero` was asked for */
};
enum { QUIRE_COUNTS = 15, QUIRE_COUNTS_ROOM = 16 };

struct quire_zone_stats {
    uint64_t managed;  /* frames that can be handed out */
    uint64_t reserved; /* frames that are reserved (holes are not counted) */
    uint64_t free;     /* of `managed` */
    uint64_t min, low, high, lowmem_reserve;
    uint64_t free_runs[QUIRE_MAX_ORDER + 1]; /* free memory as largest aligned runs, by order */
    uint64_t largest_run;                    /* longest free stretch, frames */
    uint32_t unusable[QUIRE_MAX_ORDER + 1];  /* share of free memory in runs below the order,
                                              * in thousandths */
    uint64_t whole_free_blocks;              /* free and not split */
    uint64_t split_blocks;
    uint64_t isolated_blocks;
    uint64_t errors[QUIRE_ERRORS_ROOM]; /* refusals by error, index -error */
    uint64_t counts[QUIRE_COUNTS_ROOM];
    uint64_t events[QUIRE_EVENTS_ROOM]; /* watermark crossings told */
    uint64_t metadata_bytes;
    uint64_t gone;    /* frames of `free`, in whole blocks, that are gone (quire_zone_give_back) */
    uint64_t room[7]; /* zero, see version.h */
};

/* Walk the zone and fill `stats`. Exact while nobody else uses the zone, an estimate otherwise.
 * Wait-free, O(blocks). */
int quire_zone_stats(const struct quire_zone *zone, struct quire_zone_stats *stats);

/* Free frames, credit of the slots included. Wait-free, O(slots). */
uint64_t quire_zone_free_frames(const struct quire_zone *zone);

/* Of the free frames those that are gone (quire_zone_give_back). Wait-free. */
uint64_t quire_zone_gone_frames(const struct quire_zone *zone);

/* How many more blocks can be reserved, or unreserved, in part: see QUIRE_PINS_ALL. Wait-free. */
uint32_t quire_zone_spare_pins(const struct quire_zone *zone);

/* Frames that can be handed out, free or not. Wait-free. */
uint64_t quire_zone_managed(const struct quire_zone *zone);

/* 0 at `high` free frames and above, 100 at `min` and below, linear between. Wait-free. */
unsigned quire_zone_pressure(const struct quire_zone *zone);

/* The metadata's size in bytes. */
size_t quire_zone_metadata_bytes(const struct quire_zone *zone);

/* The index-th stretch of physical memory of this zone's index space, for walking: first frame and
 * length in frames. QUIRE_ERR_SIZE: no such extent. Wait-free. */
int quire_zone_extent(const struct quire_zone *zone, uint32_t index, struct quire_run *extent);

/* Does this zone's index space hold the frame (managed, reserved or hole)? Wait-free. */
bool quire_zone_holds(const struct quire_zone *zone, quire_pfn pfn);

/* What the zone knows of one frame. */
enum quire_frame_state {
    QUIRE_FRAME_FREE = 0,
    QUIRE_FRAME_USED = 1,     /* first frame of a run, or a single one */
    QUIRE_FRAME_INSIDE = 2,   /* a further frame of a run */
    QUIRE_FRAME_RESERVED = 3, /* quire_zone_unreserve would free it */
    QUIRE_FRAME_HOLE = 4,
    QUIRE_FRAME_ISOLATED = 5, /* free and held by an isolation; one that shares its 64 frames with
                               * others, used or reserved, reads as used */
};
/* QUIRE_ERR_FRAME: not in the zone. Wait-free. */
int quire_zone_frame_state(const struct quire_zone *zone, quire_pfn pfn,
                           enum quire_frame_state *state);

/* Classes of frames: of blocks that are handed out in parts by their mobility, and the blocks that
 * are not. */
enum quire_range_class {
    QUIRE_RANGE_UNMOVABLE = 0,
    QUIRE_RANGE_MOVABLE = 1,
    QUIRE_RANGE_WHOLE = 2, /* free: whole blocks; used: runs of order 9 and more */
};
enum { QUIRE_RANGE_CLASSES = 3 };

/* Frames of a range: all members below `frames` but `gone` add up to it. */
struct quire_range_stats {
    uint64_t frames;
    uint64_t free[QUIRE_RANGE_CLASSES];
    uint64_t used[QUIRE_RANGE_CLASSES]; /* handed out; without frame bytes cached ones are, too */
    uint64_t cached;                    /* in the caches in front of the zone */
    uint64_t isolated;                  /* free, and of a block that is isolated */
    uint64_t reserved;                  /* or set aside as damaged */
    uint64_t holes;
    uint64_t gone;    /* of the free whole blocks those that are gone (quire_zone_give_back) */
    uint64_t room[3]; /* zero, see version.h */
};

/* What the frames of a range are. The class of a block is a hint: it is what it was taken for, and
 * some other run may lie in it. Exact for frames that nobody takes or frees meanwhile.
 * QUIRE_ERR_SIZE: no frames. QUIRE_ERR_FRAME: not all are of the zone's index space. Wait-free,
 * O(frames). */
int quire_zone_range_stats(const struct quire_zone *zone, struct quire_run range,
                           struct quire_range_stats *stats);

/* Add what the frames of another range are, member by member. Wait-free. */
static inline void quire_range_stats_add(struct quire_range_stats *sum,
                                         const struct quire_range_stats *some)
{
    sum->frames += some->frames;
    for (unsigned i = 0; i < QUIRE_RANGE_CLASSES; i++) {
        sum->free[i] += some->free[i];
        sum->used[i] += some->used[i];
    }
    sum->cached += some->cached;
    sum->isolated += some->isolated;
    sum->reserved += some->reserved;
    sum->holes += some->holes;
    sum->gone += some->gone;
}

/* Walk everything and compare maps, descriptors, hints and counts. 0, or QUIRE_ERR_DAMAGED with the
 * first thing that is wrong in *fault; `where` is a frame. Only while nobody else uses the zone.
 * Wait-free, O(blocks). */
int quire_zone_check(const struct quire_zone *zone, struct quire_fault *fault);

#ifdef __cplusplus
}
#endif

#endif /* QUIRE_ZONE_H */
