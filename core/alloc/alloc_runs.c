/* SPDX-License-Identifier: MIT
 *
 * alloc_runs.c - a number of frames in as few runs as there can be, for scatter-gather lists and
 * the like.
 *
 * If one contiguous run has them all, it is taken. Otherwise one walk over the zone's free
 * stretches keeps the longest ones, as many as the caller has room for, in a heap that lies in the
 * caller's own array; taking the longest first gives the fewest. They are debited at once and
 * claimed one after the other; if a rival was faster with one, all are given back and the walk is
 * made again, a bounded number of times.
 *
 * The danger is a refusal for having lost too often, while frames are free: two such callers may
 * each undo what the other one lost to. So the last pass chooses nothing. It goes through the zone
 * from the lowest address, keeps what it gets, and halves what it does not get; so when it ends,
 * each frame was held or seen taken, or there is no room for another run.
 *
 * The longest stretch may be of blocks that are gone and do not come, and it would be chosen again
 * each time. So once a block did not come, walks see those that are gone as taken. If what is here
 * is too little, the last pass asks for each of the others, once.
 *
 * No state. Lock-free, any context; O(words of the zone's maps) steps a walk, and in the last pass
 * as many more as rivals spoil.
 */
#include "core/frame_byte.h"
#include "core/internal.h"

enum { RUNS_TRIES = 8 }; /* and one per slot, before the last pass */

/* A heap with the shortest run on top. */
static void sift_down(struct quire_run *heap, size_t count, size_t at)
{
    for (;;) {
        size_t child = 2 * at + 1;
        struct quire_run run = heap[at];

        if (child >= count)
            return;
        if (child + 1 < count && heap[child + 1].frames < heap[child].frames)
            child++;
        if (heap[child].frames >= run.frames)
            return;
        heap[at] = heap[child];
        heap[child] = run;
        at = child;
    }
}

static void sift_up(struct quire_run *heap, size_t at)
{
    while (at > 0 && heap[at].frames < heap[(at - 1) / 2].frames) {
        struct quire_run run = heap[at];

        heap[at] = heap[(at - 1) / 2];
        heap[(at - 1) / 2] = run;
        at = (at - 1) / 2;
    }
}

/* The first frame of the first block at or behind that of `frame` which is gone; `end` if none is
 * before it. */
static uint64_t next_gone(const struct quire_zone *z, uint64_t frame, uint64_t end)
{
    uint32_t b = block_of(frame);
    uint64_t below = (1ull << b % WORD_BITS) - 1;

    for (uint64_t g = b / WORD_BITS; g * WORD_BITS * BLOCK_FRAMES < end; g++, below = 0) {
        uint64_t gone = qa_load(gone_word(z, g), relaxed) & ~below; /* relaxed: advisory */

        if (gone) {
            frame = frame_at((uint32_t)g * WORD_BITS + word_first(gone), 0);
            return frame < end ? frame : end;
        }
    }
    return end;
}

/* The longest free stretches, at most `capacity`, the longest first; `here`: what is gone counts as
 * taken. Returns how many. */
static size_t longest_stretches(const struct quire_zone *z, struct quire_run runs[],
                                size_t capacity, bool here)
{
    size_t count = 0;

    for (uint32_t i = 0; i < z->extent_count; i++) {
        uint64_t at, end, stop, gone; /* the first gone frame that is not before `at` */

        qi_extent_frames(z, i, &at, &end);
        gone = here ? next_gone(z, at, end) : end;
        for (; (at = qi_next_free(z, at, end)) < end; at = stop) {
            struct quire_run run = {pfn_of_frame(z, at), 0};

            if (at >= gone)
                gone = next_gone(z, at, end);
            if (at >= gone) {
                stop = frame_at(block_of(at) + 1, 0);
                continue;
            }
            stop = qi_next_used(z, at, gone);
            run.frames = stop - at;
            if (count < capacity) {
                runs[count] = run;
                sift_up(runs, count++);
            } else if (run.frames > runs[0].frames) {
                runs[0] = run;
                sift_down(runs, count, 0);
            }
        }
    }
    for (size_t left = count; left > 1;) { /* the shortest to the end, again and again */
        struct quire_run run = runs[0];

        runs[0] = runs[--left];
        runs[left] = run;
        sift_down(runs, left, 0);
    }
    return count;
}

/* Of the runs found, the first ones that make up `frames`, the last one cut. 0: too few. */
static size_t cut_runs(struct quire_run runs[], size_t found, uint64_t frames)
{
    for (size_t i = 0; i < found; i++) {
        if (runs[i].frames >= frames) {
            runs[i].frames = frames;
            return i + 1;
        }
        frames -= runs[i].frames;
    }
    return 0;
}

/* Claim all runs or none: errors as qi_range_claim. */
static int claim_runs(struct quire_zone *z, quire_slot slot, const struct quire_run runs[],
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int error = qi_range_claim(z, slot, frame_of_pfn(z, runs[i].pfn), runs[i].frames);

        if (error) {
            while (i-- > 0)
                qi_range_undo_claim(z, frame_of_pfn(z, runs[i].pfn), runs[i].frames);
            return error;
        }
    }
    for (size_t i = 0; i < count; i++)
        qi_range_publish(z, frame_of_pfn(z, runs[i].pfn), runs[i].frames, true);
    return QUIRE_OK;
}

/* Hold what can be had of the `most` frames of one block from `frame` on, of which n were seen
 * free, from the first on. Returns how many; 0: the first one was seen taken, or (*error is
 * NO_MEMORY) the block is gone and did not come. */
static uint64_t claim_part(struct quire_zone *z, quire_slot slot, uint64_t frame, uint64_t n,
                           uint64_t most, int *error)
{
    *error = QUIRE_OK;
    for (uint64_t some = n; some > 0 && *error != QUIRE_ERR_NO_MEMORY; some /= 2) {
        *error = qi_range_claim(z, slot, frame, some);
        if (*error)
            continue;
        /* relaxed: a block that is held keeps its state */
        if (some == most || desc_divided(qa_load(desc_of(z, block_of(frame)), relaxed)))
            return some;
        /* It became whole, by a rival's last free, and is held as a whole: all of it then. */
        qi_range_undo_claim(z, frame, some);
        some = 2 * most;
    }
    return 0;
}

/* Hold `frames` frames, whichever, in runs from the lowest address on. False: they are not enough,
 * or `capacity` runs are not; *count runs are held. */
static bool claim_lowest_runs(struct quire_zone *z, quire_slot slot, uint64_t frames,
                              struct quire_run runs[], size_t capacity, size_t *count)
{
    *count = 0;
    for (uint32_t i = 0; i < z->extent_count && frames > 0; i++) {
        uint64_t at, end, step, behind = NO_FRAME; /* the last run's end, in this extent */

        for (qi_extent_frames(z, i, &at, &end); frames > 0 && (at = qi_next_free(z, at, end)) < end;
             at += step) {
            uint64_t rest = BLOCK_FRAMES - place_of(at), most = rest < frames ? rest : frames;
            int error;
            uint64_t some =
                claim_part(z, slot, at, qi_next_used(z, at, at + most) - at, most, &error);

            step = some ? some : error == QUIRE_ERR_NO_MEMORY ? rest : 1;
            if (some == 0)
                continue;
            if (at != behind && *count == capacity) {
                qi_range_undo_claim(z, at, some);
                return false;
            }
            if (at != behind)
                runs[(*count)++] = (struct quire_run){pfn_of_frame(z, at), 0};
            runs[*count - 1].frames += some;
            behind = at + some;
            frames -= some;
        }
    }
    return frames == 0;
}

/* The last pass. *count is 0 if it fails. */
static bool take_lowest_runs(struct quire_zone *z, quire_slot slot, uint64_t frames,
                             struct quire_run runs[], size_t capacity, size_t *count)
{
    bool all = claim_lowest_runs(z, slot, frames, runs, capacity, count);

    stat_count(z, slot, QUIRE_COUNT_LAST_PASS);
    for (size_t i = 0; i < *count; i++) {
        uint64_t frame = frame_of_pfn(z, runs[i].pfn);

        if (all)
            qi_range_publish(z, frame, runs[i].frames, true);
        else
            qi_range_undo_claim(z, frame, runs[i].frames);
    }
    *count = all ? *count : 0;
    return all;
}

static int take_runs(struct quire_zone *z, quire_slot slot, uint32_t flags, uint64_t frames,
                     struct quire_run runs[], size_t capacity, size_t *count)
{
    struct quire_contig all = {.frames = frames};
    uint64_t frame;
    bool here = false;
    int error;

    if (qi_contig_take(z, slot, &all, flags, &frame) == QUIRE_OK) {
        runs[0].pfn = pfn_of_frame(z, frame);
        runs[0].frames = frames;
        *count = 1;
        return QUIRE_OK;
    }
    /* It could be endless: each turn lost to a rival who got what was seen, or found that a block
     * does not come. The bound is for the time. */
    for (unsigned i = 0; i < RUNS_TRIES + z->slots; i++) {
        *count = cut_runs(runs, longest_stretches(z, runs, capacity, here), frames);
        if (*count == 0 && here)
            break;
        if (*count == 0)
            return QUIRE_ERR_NO_MEMORY;
        error = qi_count_debit(z, slot, frames, flags);
        if (error)
            return error;
        error = claim_runs(z, slot, runs, *count);
        if (!error)
            return QUIRE_OK;
        here = here || error == QUIRE_ERR_NO_MEMORY;
        qi_count_credit(z, slot, frames, flags);
        stat_count(z, slot, QUIRE_COUNT_RETRY);
    }
    error = qi_count_debit(z, slot, frames, flags);
    if (error || take_lowest_runs(z, slot, frames, runs, capacity, count))
        return error;
    qi_count_credit(z, slot, frames, flags);
    return QUIRE_ERR_NO_MEMORY;
}

/* Zeroed if the request says so, but for those that read as zeros. If the port fails at one, that
 * one goes back by itself, and the others here. */
static int hand_out_runs(struct quire_zone *z, quire_slot slot, uint32_t flags,
                         const struct quire_run runs[], size_t count)
{
    size_t refused = count;
    int error = QUIRE_OK;
    quire_pfn pfn;

    for (size_t i = 0; i < count; i++) {
        uint64_t frame = frame_of_pfn(z, runs[i].pfn);
        int result = qi_alloc_hand_out(z, slot, frame, runs[i].frames, flags, &pfn);

        if (result) {
            flags &= ~(uint32_t)QUIRE_ZEROED;
            refused = i;
            error = result;
        }
    }
    for (size_t i = 0; i < count && error; i++)
        if (i != refused)
            (void)quire_zone_free_contig(z, slot, runs[i].pfn, runs[i].frames);
    return error;
}

int quire_zone_alloc_runs(struct quire_zone *z, quire_slot slot, uint32_t flags, uint64_t frames,
                          struct quire_run runs[], size_t capacity, size_t *count)
{
    int error = alloc_precheck(z, slot, flags, 0);

    *count = 0;
    if (!error && (frames == 0 || frames >> QUIRE_PFN_BITS || capacity == 0))
        error = QUIRE_ERR_SIZE;
    if (!error)
        error = take_runs(z, slot, flags, frames, runs, capacity, count);
    if (error) {
        *count = 0;
        return qi_zone_count_error(z, slot, error);
    }
    error = hand_out_runs(z, slot, flags, runs, *count);
    if (error)
        *count = 0;
    return error;
}
