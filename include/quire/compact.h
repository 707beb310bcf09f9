/* SPDX-License-Identifier: MIT
 *
 * compact.h - compaction: used movable runs are moved out of sparse blocks into dense ones, so that
 * whole blocks, or runs of up to a section, are free.
 *
 * Quire does not touch memory and does not know who uses it: so the caller brings a mover, which
 * moves a run's contents and lets its owner know. The machine chooses which ranges cost least to
 * empty, isolates one at a time (zone.h: nobody gets a frame of it), finds a place for each run
 * that is in use there, and gives the range back when it is empty.
 *
 * Everybody allocates and frees meanwhile. A range that is being emptied holds its free frames; a
 * request to the machine that would be refused for want of them takes them back first, and ends the
 * compaction. (One for a run as long as the range, or longer, does so only where nothing of the
 * range is in use, or the count of free frames is what fails it.) What a compaction that is stopped
 * for ever keeps from requests is the new place of one run while the mover is called, and at other
 * times the range; as does a request that is stopped while it gives the range back, from then on
 * also from compactions (BUSY). Requests to a zone itself do not look there. What a range holds
 * counts as used for watermarks.
 */
#ifndef QUIRE_COMPACT_H
#define QUIRE_COMPACT_H

#include <quire/topology.h>
#include <quire/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct quire_machine;

enum {
    QUIRE_COMPACT_MAX_ORDER = 18, /* a section */
    QUIRE_COMPACT_RANGES = 256,   /* of a call */
};

/* What a mover answers. */
enum quire_move_answer {
    QUIRE_MOVED = 0,      /* the contents are in the new place, and nobody uses the old one */
    QUIRE_MOVE_LATER = 1, /* not now: pinned, say. Its block is left alone for the next 4 calls */
    QUIRE_MOVE_NEVER = 2, /* it stays where it is. Its block is left alone for the next 64 calls */
    QUIRE_MOVE_GONE = 3,  /* it was freed meanwhile, or is being freed */
};

/* Who moves runs. Called with nothing held, in the context of the caller; may allocate and free;
 * changes of the machine (machine.h: hot-plug) in it are refused with QUIRE_ERR_BUSY. A run is one
 * that the machine handed out and that was not freed, a moment ago: its owner may be freeing it
 * now, so the mover looks into its own books, under whatever keeps the owner away. Of a run that it
 * does not know it says QUIRE_MOVE_NEVER. */
struct quire_mover {
    void *ctx;
    /* Would `move` be able to? QUIRE_MOVED means yes. Asked of each run of a range before anything
     * of it is moved. NULL: not known beforehand. */
    enum quire_move_answer (*may_move)(void *ctx, quire_pfn pfn, unsigned order);
    /* Copy the 2^order frames from `from` to `to` and put `to` in the place of `from` for whoever
     * uses it. After QUIRE_MOVED `to` belongs to the owner of the run, and the machine frees
     * `from`; after anything else nothing has changed, and the machine frees `to`. */
    enum quire_move_answer (*move)(void *ctx, quire_pfn from, quire_pfn to, unsigned order);
};

/* Why a range is not emptied; in brackets what the blocker is. */
enum quire_compact_obstacle {
    QUIRE_OBSTACLE_LATER = 0,     /* the mover said so (the run) */
    QUIRE_OBSTACLE_NEVER = 1,     /* the mover said so (the run) */
    QUIRE_OBSTACLE_MARKED = 2,    /* the mover refused in one of the last calls (the block) */
    QUIRE_OBSTACLE_UNMOVABLE = 3, /* the block is one for unmovable runs (the block) */
    QUIRE_OBSTACLE_RESERVED = 4,  /* reserved frames or holes, or isolated (the block or range) */
    QUIRE_OBSTACLE_CONTIG = 5,    /* a run of no order, as quire_machine_alloc_contig gives, and
                                   * quire_bringup has (its first frame, or the run) */
    QUIRE_OBSTACLE_CALL = 6,      /* a cache or a call that is not over has it (a frame) */
    QUIRE_OBSTACLE_NO_PLACE = 7,  /* no dense block has room for it, above the zone's watermark (the
                                   * range when it is planned, later the run) */
    QUIRE_OBSTACLE_BUDGET = 8,  /* the range has more in use than when it was planned (the run that
                                 * would be too much) */
    QUIRE_OBSTACLE_REQUEST = 9, /* a request needed the range's free frames (the range) */
};

/* What stands in the way: so many frames from `pfn` on. */
struct quire_compact_blocker {
    quire_pfn pfn;
    uint64_t frames;
    enum quire_compact_obstacle why;
};

/* A range of the plan. */
struct quire_compact_range {
    quire_pfn pfn; /* its first frame */
    uint64_t cost; /* frames in use there, which are to be moved */
};

/* What is asked for. All zero but for what is wanted. */
struct quire_compact {
    quire_node node;
    unsigned order;                     /* of the ranges: 9 .. QUIRE_COMPACT_MAX_ORDER */
    uint32_t count;                     /* ranges to empty, 1 .. QUIRE_COMPACT_RANGES, besides those
                                         * that are free */
    uint64_t budget;                    /* frames to move at most; the plan ends before it */
    bool dry;                           /* plan, and move nothing */
    const struct quire_mover *mover;    /* NULL: the machine's port's */
    struct quire_compact_range *ranges; /* out: the plan; may be NULL if range_room is 0 */
    size_t range_room;
    struct quire_compact_blocker *blockers; /* out; may be NULL if blocker_room is 0 */
    size_t blocker_room;
    uint64_t room[4]; /* zero, see version.h */
};

/* What came of it. */
struct quire_compacted {
    uint32_t planned; /* ranges of the plan; of these the first range_room are in ranges[] */
    uint32_t won;     /* ranges that were emptied and given back whole */
    uint64_t cost;    /* of all ranges of the plan */
    uint64_t moves;   /* frames that were moved; those of ranges that were not won are among them */
    uint64_t blockers; /* what stood in the way; the first blocker_room are in blockers[] */
    uint64_t room[4];  /* zero, see version.h */
};

/* Empty up to `count` ranges of 2^order frames of a node, those that cost least first; DEVICE zones
 * are left out. Both the plan and the work begin with a drain of the node's caches. A dry run asks
 * `may_move`, and what it plans is what the same call does next, if nobody else does anything
 * meanwhile, each move succeeds, and the dense blocks' room serves the longer runs as it was
 * counted. Succeeds also if fewer ranges were planned or won than `count`, or none. QUIRE_ERR_NODE:
 * no such node, or no zone of it. QUIRE_ERR_SIZE: order, count. QUIRE_ERR_UNSUPPORTED: no mover, or
 * one without `move`. QUIRE_ERR_BUSY: the machine is being changed or compacted.
 * QUIRE_ERR_NO_MEMORY: the port gave none for the plan, 52 KiB; the port of a machine that has a
 * mover of its own is not asked. Thread only (any context if the mover is, and the machine's port
 * has one), O(frames of the node's zones / 64); lock-free but for the change of the machine that it
 * counts as. */
int quire_machine_compact(struct quire_machine *machine, const struct quire_compact *want,
                          struct quire_compacted *done);

/* ---- What is kept whole ---------------------------------------------------------------------- */

/* How many whole blocks and sections of a node quire_machine_maintain keeps free, by compaction
 * with the machine's port's mover. All zero: it cares for none. */
struct quire_keep {
    uint32_t blocks;   /* of 512 frames; those of sections that are free are among them */
    uint32_t sections; /* of 512 blocks, of one zone */
    uint64_t budget;   /* frames that a call moves on a node, at most; 1 or more if there is
                        * something to keep. A range with more in use is never emptied */
    uint64_t room[2];  /* zero, see version.h */
};

/* What is kept of a node, and what it took. */
struct quire_kept {
    uint64_t blocks, sections;         /* whole and free now; what caches hold is not among them */
    uint64_t won_blocks, won_sections; /* that quire_machine_maintain emptied */
    uint64_t moves;                    /* frames that it moved */
    uint64_t most_moves;               /* of one call: never above a budget that was in force */
    uint64_t calls;                    /* of it that looked for something to empty */
    uint64_t short_calls;              /* after which there was less than what is to be kept */
    uint64_t room[4];                  /* zero, see version.h */
};

/* Keep so many of a node from the next quire_machine_maintain on; QUIRE_NO_NODE: of each node. It
 * replaces what was said before, by this call or by `keep` of struct quire_machine_config. A number
 * that a node cannot have is kept as far as it can. QUIRE_ERR_NODE: no such node.
 * QUIRE_ERR_UNSUPPORTED: the machine's port has no mover. QUIRE_ERR_SIZE: something to keep and no
 * budget, or a budget for nothing. Wait-free. */
int quire_machine_keep(struct quire_machine *machine, quire_node node,
                       const struct quire_keep *keep);

/* Exact while nobody uses the machine. O(blocks of the node / 64). QUIRE_ERR_NODE: no such node.
 * Wait-free. */
int quire_machine_kept(struct quire_machine *machine, quire_node node, struct quire_kept *kept);

#ifdef __cplusplus
}
#endif

#endif /* QUIRE_COMPACT_H */
