/* SPDX-License-Identifier: MIT
 *
 * model.h - a naive zone: one byte of state per frame and a counter, nothing else.
 *
 * The model says what the real zone must answer when one thread uses it. It is written from the
 * comments of zone.h, shares no code with core/, and finds everything by walking all frames.
 *
 * State and invariants:
 *   PO1  state[i] is USED exactly where length[i] is not 0.
 *   PO2  a run of n frames has USED at its first frame and INSIDE at the n - 1 that follow.
 *   PO3  free, managed and reserved are the numbers of frames in these states.
 * A zone without run map cannot know runs below order 9, so there the model keeps them as single
 * frames.
 *
 * Frames are addressed by their place in the zone's index space: 0 .. frames - 1, extents one after
 * the other. Used by one thread.
 */
#ifndef QUIRE_STRESS_CORE_PROPERTY_MODEL_H
#define QUIRE_STRESS_CORE_PROPERTY_MODEL_H

#include "stress/common/sizes.h"

#include <quire/zone.h>

enum {
    MODEL_BLOCK_ORDER = QUIRE_BLOCK_ORDER,
};

/* No place: the frame or a part of the run is not in the zone's index space. */
#define MODEL_NOWHERE SIZE_MAX

struct model_extent {
    uint64_t first;  /* pfn */
    uint64_t frames; /* length */
    size_t at;       /* place of the first frame */
};

struct model {
    struct model_extent extents[QUIRE_ZONE_EXTENTS];
    unsigned extent_count;
    size_t frames;
    uint8_t *state;   /* enum quire_frame_state */
    uint32_t *length; /* of the run that starts here, frames */
    bool *pinned;     /* per frame that starts a block: the block was partly reserved once */
    uint64_t free, managed, reserved;
    uint64_t min, low, high, lowmem_reserve;
    uint32_t slots;
    uint64_t spare_pins;
    bool run_map;
};

/* Build the model of what `config` describes. The extents come from `zone` and are checked against
 * the config. False: they do not fit, or no heap. */
bool model_open(struct model *m, const struct quire_zone_config *config,
                const struct quire_zone *zone);
void model_close(struct model *m);

/* The place of a run's first frame; MODEL_NOWHERE if a part of it is outside of one extent. */
size_t model_place(const struct model *m, uint64_t pfn, uint64_t frames);
/* The frame at a place. Places from `frames` on give frames behind the last extent. */
uint64_t model_pfn(const struct model *m, size_t at);

/* The first stretch of free frames at or after *cursor (a place), which is moved behind it.
 * Stretches do not cross extents. False: none. */
bool model_next_stretch(const struct model *m, size_t *cursor, struct quire_run *stretch);
/* The first run at or after the place `near`, cyclic; its place, or MODEL_NOWHERE if none. */
size_t model_run_near(const struct model *m, size_t near);

/* How many frames of a run are in each state. */
struct model_tally {
    uint64_t of[QUIRE_FRAME_HOLE + 1];
};
struct model_tally model_tally_of(const struct model *m, size_t at, uint64_t frames);

/* Is there a free aligned run of 2^order frames? */
bool model_fits(const struct model *m, unsigned order);
/* The lowest free run under the constraints, which must be valid. False: none. */
bool model_lowest(const struct model *m, const struct quire_contig *want, uint64_t *pfn);
/* In how many runs at least `frames` free frames can be had. UINT64_MAX: not that many free. */
uint64_t model_fewest_runs(const struct model *m, uint64_t frames);

/* Changes. The caller has checked that they are allowed. A run that was not allocated with an
 * order (`contig`) is single frames to a zone without run map, however long it is. */
void model_take(struct model *m, size_t at, uint64_t frames, bool contig);
void model_give(struct model *m, size_t at, uint64_t frames);
void model_singles(struct model *m, size_t at, uint64_t frames);
void model_reserve(struct model *m, size_t at, uint64_t frames);
void model_unreserve(struct model *m, size_t at, uint64_t frames);

/* How many blocks without a pin would be partly reserved if the run changed between reserved and
 * free. */
uint64_t model_pins_needed(const struct model *m, size_t at, uint64_t frames);

#endif /* QUIRE_STRESS_CORE_PROPERTY_MODEL_H */
