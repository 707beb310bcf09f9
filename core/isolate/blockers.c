/* SPDX-License-Identifier: MIT
 *
 * blockers.c - which allocated runs stand in the way of an isolation.
 *
 * One walk over the range in ascending order. A run is listed where its first frame lies; one that
 * comes from below the range, at the range's first frame. A run of whole blocks is known by its
 * first descriptor, a smaller one by the run map. Without a run map, used frames side by side are
 * listed as one stretch. What is freed during the walk may be listed, or cut short.
 *
 * No state, reads only. Wait-free, any context, O(frames of the range and of the runs).
 */
#include "core/internal.h"

struct blocker_list {
    const struct quire_zone *z;
    struct quire_run *runs;
    size_t capacity, count;
};

static void blockers_add(struct blocker_list *l, uint64_t frame, uint64_t n, bool stretch)
{
    struct quire_run *next = l->runs + l->count;
    uint64_t pfn = pfn_of_frame(l->z, frame).n;

    if (stretch && l->count && next[-1].pfn.n + next[-1].frames == pfn) {
        next[-1].frames += n;
    } else if (l->count < l->capacity) {
        *next = (struct quire_run){quire_pfn_of(pfn), n};
        l->count++;
    }
}

/* The run that comes from below the range, whose first block is b, into it. One that is freed
 * meanwhile may be followed back to something else, which ends before the range. */
static void blockers_add_from_below(struct blocker_list *l, uint32_t b)
{
    const struct quire_zone *z = l->z;
    uint32_t d = qa_load(desc_of(z, b), relaxed); /* relaxed: advisory, as all that is listed */
    uint64_t first = frame_at(b, 0), frame = first, n = 0;

    if (desc_state(d) == D_TAIL) {
        while (b > z->first_block && desc_state(d) == D_TAIL)
            d = qa_load(desc_of(z, --b), relaxed); /* relaxed: as above */
        frame = frame_at(b, 0);
        n = desc_state(d) == D_WHOLE ? 1ull << desc_order(d) : 0;
    } else if (desc_state(d) == D_ISOLATED && has_run_map(z)) {
        while (frame > frame_at((uint32_t)z->first_block, 0) && qi_run_continues(z, frame))
            frame--;
        if (frame == first || qi_run_measure(z, frame, &n) != QUIRE_OK)
            return;
    }
    if (frame + n > first)
        blockers_add(l, frame, n, false);
}

/* Used frames of a word of an ISOLATED block; frame: the word's first. */
static void blockers_add_used(struct blocker_list *l, uint64_t frame, uint64_t used)
{
    for (; used; used &= used - 1) {
        uint64_t first = frame + word_first(used), n = 1;

        if (!has_run_map(l->z))
            blockers_add(l, first, 1, true);
        else if (!qi_run_continues(l->z, first) && qi_run_measure(l->z, first, &n) == QUIRE_OK)
            blockers_add(l, first, n, false);
    }
}

/* The runs that start in block b. */
static void blockers_add_block(struct blocker_list *l, uint32_t b,
                               const struct quire_isolated_frames *held)
{
    const struct quire_zone *z = l->z;
    uint32_t d = qa_load(desc_of(z, b), relaxed); /* relaxed: advisory */

    if (desc_state(d) == D_WHOLE)
        blockers_add(l, frame_at(b, 0), 1ull << desc_order(d), false);
    for (unsigned i = 0; i < MAP_WORDS && desc_state(d) == D_ISOLATED; i++) {
        uint64_t v = qa_load(&frame_map(z, b)->w[i], relaxed); /* relaxed: advisory */
        uint64_t pinned = d & D_PINS ? qi_pinned_frames(z, b, i) : 0;

        blockers_add_used(l, frame_at(b, i * WORD_BITS), v & ~(held->frames[i] | pinned));
    }
}

/* List the runs in the way, at most `capacity`. Returns how many. */
size_t qi_isolation_blockers(const struct quire_zone *z, const struct quire_isolation *isolation,
                             struct quire_run runs[], size_t capacity)
{
    struct blocker_list l = {z, runs, capacity, 0};
    uint32_t n = (uint32_t)(isolation->run.frames / BLOCK_FRAMES);

    blockers_add_from_below(&l, isolation->block);
    for (uint32_t i = 0; i < n && l.count < capacity; i++)
        blockers_add_block(&l, isolation->block + i, &isolation->held[i]);
    return l.count;
}
