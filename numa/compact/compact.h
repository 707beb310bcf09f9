/* SPDX-License-Identifier: MIT
 *
 * compact.h - what a compaction is made of. Private to numa; the interface is <quire/compact.h>.
 *
 * One at a time on a machine: a compaction is a change of it (M5 of numa/machine/machine.h), so the
 * zones that it works on stay. Its isolation lies in the machine's struct compact_work, where
 * whoever would be refused can end it (hold.h).
 */
#ifndef QUIRE_NUMA_COMPACT_COMPACT_H
#define QUIRE_NUMA_COMPACT_COMPACT_H

#include "numa/compact/hold.h"
#include "numa/machine/machine.h"

#include <quire/compact.h>

enum {
    COMPACT_LISTED = 64,         /* used runs that a look at a range lists */
    COMPACT_ROOMS = CLASSES + 1, /* room is counted by class, and for whole blocks */
    ROOM_WHOLE = CLASSES,
};

struct compact_work {
    /* The range that is being emptied. Whose it is: hold.h. */
    struct quire_isolation isolation;
    struct quire_isolated_frames held[SECTION_BLOCKS];
    struct quire_zone *zone;
    quire_slot slot;
    /* The compaction's own. */
    struct quire_run used[COMPACT_LISTED];
    uint32_t first[QUIRE_COMPACT_RANGES]; /* ranges, by their first blocks: candidates, then plan */
    uint32_t cost[QUIRE_COMPACT_RANGES];  /* frames in use, ascending */
    uint32_t count;
    uint64_t room[COMPACT_ROOMS]; /* free frames of dense blocks, by class, as aligned runs */
    uint64_t need[COMPACT_ROOMS]; /* frames that the plan moves there */
};

/* A call. */
struct compact_call {
    struct quire_machine *m;
    struct compact_work *work;
    const struct quire_compact *want;
    struct quire_compacted *done;
    const struct quire_mover *mover;
    const struct machine_entry *entry; /* the zone at work */
    struct quire_zone *zone;           /* its handle */
    uint32_t blocks;                   /* of a range */
    uint32_t left;                     /* ranges wanted still */
    bool stop;                         /* a request needed frames: no more of this call */
};

/* compact.c */
int qi_compact_locked(struct quire_machine *m, const struct quire_compact *want,
                      struct quire_compacted *done);

/* plan.c */
void qi_compact_plan(struct compact_call *c);
bool qi_compact_is_whole(const struct quire_zone *z, uint32_t b, uint32_t n);
void qi_compact_blocked(struct compact_call *c, uint64_t pfn, uint64_t frames,
                        enum quire_compact_obstacle why);
void qi_compact_refused(struct compact_call *c, uint64_t pfn, unsigned order,
                        enum quire_move_answer answer);

#endif /* QUIRE_NUMA_COMPACT_COMPACT_H */
