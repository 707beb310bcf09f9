/* SPDX-License-Identifier: MIT
 *
 * shadow.h - the model that `quire run` checks the allocator against: who holds which frame.
 *
 * Each frame of the machine has a cell with two words:
 *   owner    atomic; 0 while the frame is free, otherwise the tag of the allocation that holds it.
 *            Whoever was given the frame exchanges his tag in and must see 0; whoever is about to
 *            free it exchanges 0 in and must see his tag. One exchange each, no lock.
 *   payload  plain; the holder writes a value made of tag and frame, and checks it before he frees.
 *
 * Why the exchange is relaxed. The payload stands for what a program keeps in the frame. Only the
 * allocator may order the last write of one holder before the first of the next: his free must
 * release and the next allocation acquire. An acquire or release here would order them too, and so
 * hide from ThreadSanitizer (and on weakly ordered hardware, from the payload check) just the edge
 * that may be missing in the allocator. Relaxed loses nothing: all exchanges of one owner word have
 * one total order, and when the allocator does give the edge, coherence makes the next holder's
 * exchange come after the former's. If it does not, a non-zero owner here is a true finding.
 * (Threads that pass runs to each other do synchronise, see handover.h. That hides an edge only
 * when the two have exchanged runs between this free and that allocation, which is rare.)
 *
 * One space of cells covers all zones, so a frame that two zones hand out is found as well. Both
 * words are in an array without swap reserved for it: it costs what was touched, 8 bytes a frame,
 * so a map of many TiB runs on a small host.
 *
 * State: built and torn down by one thread; between, cells are used by all.
 * Invariants: I1 stretches are sorted, disjoint and do not touch; a run inside a zone is in one of
 * them. I2 a cell that is not 0 lies in a block whose `touched` byte is set. I3 payload is accessed
 * by the frame's holder alone, or between the allocator's claim and its return, by the port.
 * Wait-free where it is not said otherwise.
 */
#ifndef HOST_HARNESS_LOAD_SHADOW_H
#define HOST_HARNESS_LOAD_SHADOW_H

#include "core/atomic.h"
#include "host-harness/machines/machine.h"

struct shadow_cell {
    qa32 owner;
    uint32_t payload;
};

struct shadow_stretch {
    uint64_t pfn, frames; /* which frames */
    uint64_t index;       /* of the first one's cell */
};

struct shadow {
    struct shadow_cell *cells;
    qa8 *touched; /* per 512 cells: may one of them be other than 0? */
    struct shadow_stretch *stretches;
    size_t stretch_count;
    uint64_t frames;
};

/* What the model objected to. */
struct shadow_finding {
    const char *what; /* a phrase */
    uint64_t pfn;
    bool owners; /* the two below are tags, not payloads */
    uint32_t expected, found;
};

/* Make a model of all frames of `machine`. 0, or -1 and errno if there is no memory or address
 * space for it. Blocking. */
int shadow_build(struct shadow *shadow, const struct simulated_machine *machine);
void shadow_teardown(struct shadow *shadow);

/* Note that `frames` frames from `pfn` were given to the holder of `tag` (not 0). With `zeroed`,
 * each payload must read 0. False with *finding if a frame is no frame of the machine or has an
 * owner. */
bool shadow_take(struct shadow *shadow, uint64_t pfn, uint64_t frames, uint32_t tag, bool zeroed,
                 struct shadow_finding *finding);

/* Note that the frames are about to be freed by the holder of `tag`; 0 stands for the tag of the
 * first frame, whatever it is. False with *finding if a frame has another owner or payload. */
bool shadow_give(struct shadow *shadow, uint64_t pfn, uint64_t frames, uint32_t tag,
                 struct shadow_finding *finding);

/* What the port's `zero` does here: let the payloads of the frames read 0. */
void shadow_zero(struct shadow *shadow, uint64_t pfn, uint64_t frames);

/* Is every frame free? Looks at the touched blocks only. Nobody else may use the model. */
bool shadow_is_empty(const struct shadow *shadow, struct shadow_finding *finding);

/* The first frame of a touched block that the model calls free and the allocator does not.
 * False if there is none. Nobody else may use model or machine. */
bool shadow_find_lost(const struct shadow *shadow, const struct simulated_machine *machine,
                      uint64_t *pfn);

/* Bytes of the blocks that were touched. */
uint64_t shadow_touched_bytes(const struct shadow *shadow);

#endif /* HOST_HARNESS_LOAD_SHADOW_H */
