/* SPDX-License-Identifier: MIT
 *
 * isolate.c - protocol 8: a range of blocks is emptied, then reserved or given back.
 *
 * An isolation is an entry in the zone's list of ranges, and a side map that its caller brought
 * (struct quire_isolated_frames): which frames it holds. Blocks of a listed range become ISOLATED.
 * To the owners of frames an ISOLATED block is a SPLIT one: frees, run map and pins work as before;
 * but nothing is taken from it, except by the isolation:
 *
 *   isolate     enter the range in the list; blocks follow; sweep
 *   isolated    sweep, and tell how many frames are still in the way, and which runs (blockers.c)
 *   undo        leave the list; give back what is held
 *   commit      sweep; if nothing is in the way, reserve what is held; leave the list
 *
 *   sweep       debit the frames seen free, claim them in the frame map like an allocation, note
 *               them in the side map
 *
 *                    listed x, or claimed while listed
 *   SPLIT, FREE  ------------------------------------->  ISOLATED  ----------------> RESERVED
 *                <-------------------------------------            commit x, a block without pins
 *                     unlisted x: SPLIT, which block_whole.c makes FREE when it is empty
 *
 *   WHOLE, TAIL  stay until they are freed (then FREE) or split (then SPLIT); RESERVED stay.
 *
 * The side map, and what the count and the descriptor know of it:
 *   S1  A frame of the side map is allocated in the frame map, by the isolation's own exchange: it
 *       has no other owner. When side map and pins cover a block, the block is empty.
 *   S2  Frames leave the count when they are swept and come back when they are given back. What was
 *       freed and is not swept yet is counted and cannot be found: it counts as held by an
 *       unfinished operation (I4). The debit asks for no floor; what was not got is refunded.
 *   S3  D_SWEPT bits name words of which the isolation holds all; a free there is refused at once.
 *       They are set after the frames are held, and taken back before the first one is given back:
 *       a taker that saw an older SPLIT and has such a frame must be able to free it. A bad free of
 *       another held frame finds its byte clear; without frame bytes, it is found when its bit is
 *       seen clear.
 *
 * The list (head->isolations[], one word for a range, and head->isolating, how many there are):
 *   L1  Entries in use do not overlap, but for a moment in which both are being entered. An entry
 *       is written by compare-and-swap from 0 and is the isolation's until it stores 0.
 *   L2  A thread that publishes a block as SPLIT or ISOLATED, or changes the list, calls
 *       qi_block_follow_isolations afterwards, for each block: a fence (E-isolate), then a look at
 *       list and descriptor. Of a publisher and an isolation that begins or ends, one at least sees
 *       what the other did, and makes the descriptor follow the list.
 *   L3  A thread that claimed blocks looks at the list behind its fence. The isolation, which saw
 *       their section's bits 0, has passed them; the claimer leaves them ISOLATED instead of taking
 *       them.
 *   A reader may see an entry that is gone, or not see one that is new; L2 and L3 allow for it.
 *
 * One sweep is not enough, as others may still be at steps that they began before. Beside it:
 *
 *   free            X  clears its bit at any time, the last one as well. Behind its fence (E-look)
 *                      it finds the block not SPLIT and leaves it alone. If the isolation ends
 *                      meanwhile, qi_block_follow_isolations makes that look instead.
 *   take            X  from a block seen SPLIT before (a home block, say): it gets frames that are
 *                      not swept yet. They are in the way like any other.
 *   make_whole      X  may hold the words of an empty block. Its SPLIT -> FREE and the isolation's
 *                      SPLIT -> ISOLATED exclude each other: either the block is FREE, and the
 *                      sweep claims it; or the words are given back, perhaps after the sweep has
 *                      passed them. Undone claims of orders 7 and 8 and of contiguous ranges: the
 *                      same.
 *   claim           X  of blocks: sees the list (L3), or was there before it. Then the sweep sees
 *                      the section's bit set and the block counts as in the way; what becomes of it
 *                      meets the list when it is published (L2) or claimed anew (L3).
 *   reserve,        X  pins frames that it claimed before; unreserve frees pinned ones. Both go by
 *   unreserve          the bits, which mean the same here. The word is swept once they are done.
 *   join            X  SPLIT -> WHOLE by compare-and-swap: one of the two exchanges fails.
 *   isolate         -  an isolation is one caller's at a time; of ranges that overlap one is BUSY.
 *
 * So the caller repeats the sweep, and what it is told is never less than what is left. Only the
 * isolation adds to the side map, so a block that side map and pins cover is finished.
 *
 * Undo leaves the list first: a late claim would otherwise open a block as ISOLATED behind it, and
 * the block would stay so. Commit leaves it last: while the range is listed, blocks without pins
 * become RESERVED, and in the others what is held becomes pins; when the list is left, these are
 * SPLIT again, with nothing free.
 *
 * Lock-free, any context; O(frames of the range).
 */
#include "core/fastpath.h"

/* ---- The list: what the other protocols see of an isolation --------------------------------- */

static uint64_t isolation_entry_make(uint32_t first, uint32_t count)
{
    return (uint64_t)first << 32 | count;
}

static uint64_t isolation_entry(const struct quire_zone *z, uint32_t entry)
{
    return qa_load(&z->head->isolations[entry], relaxed); /* relaxed: ordered by E-isolate */
}

/* Does block b lie in an isolated range? */
bool qi_block_in_isolated_range(const struct quire_zone *z, uint32_t b)
{
    if (!has_isolations(z)) /* ordered as the entries are, by the callers' E-isolate */
        return false;
    for (uint32_t i = 0; i < QUIRE_ISOLATIONS; i++) {
        uint64_t range = isolation_entry(z, i);

        if (b - (uint32_t)(range >> 32) < (uint32_t)range)
            return true;
    }
    return false;
}

/* Does an entry other than `mine` share a block with the range? */
static bool isolation_overlaps(const struct quire_zone *z, uint32_t first, uint32_t count,
                               uint32_t mine)
{
    for (uint32_t i = 0; i < QUIRE_ISOLATIONS; i++) {
        uint64_t range = isolation_entry(z, i);
        uint32_t other = (uint32_t)(range >> 32), others = (uint32_t)range;

        if (i != mine && others && (other - first < count || first - other < others))
            return true;
    }
    return false;
}

/* Take the entry out of the list. The caller makes the range's blocks agree. */
static void isolation_list_remove(const struct quire_zone *z, uint32_t entry)
{
    uint32_t ranges;

    qi_assert(entry < QUIRE_ISOLATIONS);
    /* relaxed: ordered by the fence of qi_block_follow_isolations, both */
    qa_store(&z->head->isolations[entry], 0, relaxed);
    ranges = qa_sub(&z->head->isolating, 1, relaxed); /* relaxed: as above */
    /* No upper bound: an entry that was just emptied may be another's before it is uncounted. */
    qi_assert(ranges > 0);
}

/* Put a range into the list. BUSY: a block of it is in the list. FULL: the list is full. */
static int isolation_list_add(const struct quire_zone *z, uint32_t first, uint32_t count,
                              uint32_t *entry)
{
    struct quire_zone_head *h = z->head;
    uint64_t empty;

    qi_assert(count > 0 && has_map(z, first) && has_map(z, first + count - 1));
    if (isolation_overlaps(z, first, count, QUIRE_ISOLATIONS))
        return QUIRE_ERR_BUSY;
    for (*entry = 0; *entry < QUIRE_ISOLATIONS; ++*entry) {
        empty = 0;
        /* relaxed: ordered by E-isolate */
        if (qa_cas(&h->isolations[*entry], &empty, isolation_entry_make(first, count), relaxed))
            break;
    }
    if (*entry == QUIRE_ISOLATIONS)
        return QUIRE_ERR_FULL;
    (void)qa_add(&h->isolating, 1, relaxed); /* relaxed: ordered by E-isolate */
    qa_fence_seq_cst(); /* E-isolate fence: the list before the other entries and the blocks */
    if (!isolation_overlaps(z, first, count, *entry))
        return QUIRE_OK;
    isolation_list_remove(z, *entry); /* two at once: both may have to go */
    for (uint32_t b = first; b < first + count; b++)
        qi_block_follow_isolations(z, b);
    return QUIRE_ERR_BUSY;
}

/* Block b was published, or the list was changed for it: make its descriptor follow the list (L2).
 * A compare-and-swap that fails lost to another thread's step, and each turn follows a change of
 * the descriptor or of the list. A home block loses its owner, which finds out when it takes from
 * it. */
void qi_block_follow_isolations(const struct quire_zone *z, uint32_t b)
{
    qa32 *desc = desc_of(z, b);

    for (;;) {
        bool listed;
        uint32_t d;

        /* E-isolate fence. E-watch fence: block and list before the look at the other */
        qa_fence_seq_cst();
        listed = qi_block_in_isolated_range(z, b);
        d = qa_load(desc, relaxed); /* relaxed: ordered by E-isolate */
        if (desc_state(d) != (listed ? D_SPLIT : D_ISOLATED))
            return;
        qi_assert(desc_may_become(d, listed ? D_ISOLATED : D_SPLIT)); /* I6 */
        if (listed) {
            /* relaxed: what the split published goes on with it; who takes acquires */
            if (qa_cas(desc, &d, (d & (D_PINS | D_CLASS)) | D_ISOLATED, relaxed))
                qi_hint_block_full(z, b); /* searches pass it by */
            continue;
        }
        /* relaxed: as above */
        if (qa_cas(desc, &d, (d & (D_PINS | D_CLASS)) | D_SPLIT, relaxed)) {
            qi_block_make_whole(z, b); /* a free into it saw ISOLATED and left the look to us */
            qi_hint_block_free(z, b);
        }
    }
}

/* Block b, FREE and held by its section's bit, becomes ISOLATED with all frames free. */
static void open_isolated_block(const struct quire_zone *z, uint32_t b)
{
    if (!qi_block_verify_map(z, quire_slot_of(0), b))
        return;
    qi_block_publish_split(z, b, D_ISOLATED, 0, 0);
    /* The isolation may have ended, and found the map not clear yet. Agreeing was the fence. */
    qi_block_make_whole(z, b);
    qi_hint_block_free(z, b);
}

/* The caller claimed n blocks from b while ranges are isolated. True: some of them lie in one; they
 * are ISOLATED now, but for those that are gone and cannot be installed, and the others given back.
 */
bool qi_blocks_isolate_claimed(const struct quire_zone *z, uint32_t b, uint32_t n)
{
    bool any = false;

    for (uint32_t i = 0; i < n && !any; i++)
        any = qi_block_in_isolated_range(z, b + i);
    for (uint32_t i = 0; i < n && any; i++)
        if (qi_block_in_isolated_range(z, b + i) && qi_blocks_bring_back(z, b + i, 1))
            open_isolated_block(z, b + i);
        else
            qi_blocks_release(z, b + i, 1);
    return any;
}

/* ---- Sweep ---------------------------------------------------------------------------------- */

/* How many blocks the isolation has. */
static uint32_t isolation_blocks(const struct quire_isolation *iso)
{
    return (uint32_t)(iso->run.frames / BLOCK_FRAMES);
}

/* Claim of the frames `seen` those that are free still. Returns them. */
static uint64_t isolation_sweep_word(qa64 *w, uint64_t seen)
{
    uint64_t v = qa_load(w, relaxed); /* relaxed: the exchange decides */

    qi_assert(seen != 0);
    while (seen & ~v)
        /* E-frame acquire: the last holders are done with the frames. Retries only when
         * another thread changed the word. */
        if (qa_cas(w, &v, v | seen, acquire))
            return seen & ~v;
    return 0;
}

/* The descriptor says of which words the isolation holds all frames; `words` with a bit for each.
 */
static void mark_swept(const struct quire_zone *z, uint32_t b, uint32_t words)
{
    uint32_t d = qa_load(desc_of(z, b), relaxed), next; /* relaxed: the exchange decides */

    qi_assert(words < 1u << MAP_WORDS);
    do {
        next = (d & ~D_OWNER) | words << D_SWEPT_SHIFT;
        if (desc_state(d) != D_ISOLATED || d == next)
            return;
        /* relaxed: only frees that have no business here ask for it. Retries when pins came. */
    } while (!qa_cas(desc_of(z, b), &d, next, relaxed));
}

/* Take the free frames of block b. */
static void isolation_sweep_block(struct quire_zone *z, quire_slot slot, uint32_t b,
                                  struct quire_isolated_frames *held)
{
    struct map512 *map = frame_map(z, b);
    uint64_t seen[MAP_WORDS], n = 0, got = 0;
    uint32_t words = 0;

    /* E-desc acquire. A free block is claimed, and left ISOLATED as its range is listed. */
    if (desc_state(qa_load(desc_of(z, b), acquire)) == D_FREE)
        (void)qi_blocks_claim(z, b, 0);
    qi_block_follow_isolations(z, b);
    if (desc_state(qa_load(desc_of(z, b), acquire)) != D_ISOLATED) /* E-desc acquire */
        return;
    for (unsigned i = 0; i < MAP_WORDS; i++) {
        seen[i] = ~qa_load(&map->w[i], relaxed); /* relaxed: advisory; a claim decides */
        n += word_count(seen[i]);
    }
    if (n)
        qi_count_debit_below_floor(z, n);
    for (unsigned i = 0; i < MAP_WORDS; i++) {
        uint64_t some = seen[i] ? isolation_sweep_word(&map->w[i], seen[i]) : 0;

        qi_zone_report_bad_frames(z, slot, frame_at(b, i * WORD_BITS), some & held->frames[i],
                                  QUIRE_ERR_DOUBLE_FREE);
        held->frames[i] |= some;
        got += word_count(some);
        words |= (uint32_t)(held->frames[i] == WORD_FULL) << i;
    }
    qi_assert(got <= n); /* S2 */
    if (got < n)
        qi_count_credit(z, slot, n - got, 0);
    mark_swept(z, b, words);
}

/* How many frames of block b are neither held nor reserved. */
static uint64_t frames_left_in(const struct quire_zone *z, uint32_t b,
                               const struct quire_isolated_frames *held)
{
    /* relaxed: pins that it does not see yet count as being in the way */
    uint32_t d = qa_load(desc_of(z, b), relaxed);
    uint64_t n = 0;

    if (desc_state(d) == D_RESERVED || desc_state(d) == D_WITHDRAWN)
        return 0;
    if (desc_state(d) != D_ISOLATED)
        return BLOCK_FRAMES;
    for (unsigned i = 0; i < MAP_WORDS; i++) {
        uint64_t pinned = d & D_PINS ? qi_pinned_frames(z, b, i) : 0;

        n += word_count(~(held->frames[i] | pinned));
    }
    return n;
}

/* Sweep the range; returns how many frames are in the way. */
static uint64_t isolation_sweep(struct quire_zone *z, quire_slot slot,
                                const struct quire_isolation *iso)
{
    uint64_t left = 0;

    for (uint32_t i = 0; i < isolation_blocks(iso); i++) {
        isolation_sweep_block(z, slot, iso->block + i, &iso->held[i]);
        left += frames_left_in(z, iso->block + i, &iso->held[i]);
    }
    qi_count_check_watermarks(z, slot, iso->flags);
    return left;
}

/* ---- The public calls ----------------------------------------------------------------------- */

int quire_zone_isolate(struct quire_zone *z, quire_slot slot, struct quire_run run,
                       struct quire_isolated_frames held[], struct quire_isolation *iso)
{
    uint64_t frame;
    uint32_t entry;
    int error;

    if (iso->held)
        return qi_zone_count_error(z, slot, QUIRE_ERR_INITIALISED);
    error = qi_block_range_check(z, slot, run, &frame);
    if (error)
        return qi_zone_count_error(z, slot, error);
    error = isolation_list_add(z, block_of(frame), (uint32_t)(run.frames / BLOCK_FRAMES), &entry);
    if (error)
        return qi_zone_count_error(z, slot, error);
    iso->run = run;
    iso->held = held;
    iso->block = block_of(frame);
    iso->entry = entry;
    for (uint32_t i = 0; i < isolation_blocks(iso); i++)
        for (unsigned w = 0; w < MAP_WORDS; w++)
            held[i].frames[w] = 0;
    (void)isolation_sweep(z, slot, iso);
    return QUIRE_OK;
}

int quire_zone_isolated(struct quire_zone *z, quire_slot slot, const struct quire_isolation *iso,
                        struct quire_run used[], size_t capacity, size_t *count, uint64_t *frames)
{
    if (slot.n >= z->slots)
        return QUIRE_ERR_SIZE;
    if (!iso->held)
        return qi_zone_count_error(z, slot, QUIRE_ERR_STATE);
    *frames = isolation_sweep(z, slot, iso);
    *count = qi_isolation_blockers(z, iso, used, capacity);
    return QUIRE_OK;
}

/* All frames of block b are held or reserved: reserve the held ones. Returns how many. */
static uint64_t reserve_isolated(const struct quire_zone *z, uint32_t b,
                                 const struct quire_isolated_frames *held)
{
    uint32_t d = qa_load(desc_of(z, b), relaxed); /* relaxed: the isolation holds the frames */
    uint64_t n = 0;

    for (unsigned i = 0; i < MAP_WORDS; i++)
        n += word_count(held->frames[i]);
    if (d & D_PINS) {
        struct quire_pin *pin = qi_pin_find(z, b);

        qi_assert(pin);
        for (unsigned i = 0; i < MAP_WORDS; i++)
            /* relaxed: as in pin_part of reserve.c */
            (void)qa_or(&pin->pinned.w[i], held->frames[i], relaxed);
        return n; /* SPLIT when the list is left */
    }
    while (n == BLOCK_FRAMES && desc_divided(d)) {
        /* relaxed: as in quire_zone_reserve. Retries when a thread that saw the list of before came
         * between. It could be a store: all frames are held, so whatever that thread made of the
         * block, nobody finds one in it. */
        if (desc_state(d) == D_ISOLATED && qa_cas(desc_of(z, b), &d, D_RESERVED, relaxed))
            return n;
        qi_block_follow_isolations(z, b);
        d = qa_load(desc_of(z, b), relaxed); /* relaxed: as above */
    }
    return 0;
}

int quire_zone_isolate_commit(struct quire_zone *z, quire_slot slot, struct quire_isolation *iso)
{
    uint64_t n = 0;

    if (slot.n >= z->slots)
        return QUIRE_ERR_SIZE;
    if (!iso->held)
        return qi_zone_count_error(z, slot, QUIRE_ERR_STATE);
    if (isolation_sweep(z, slot, iso))
        return qi_zone_count_error(z, slot, QUIRE_ERR_BUSY);
    for (uint32_t i = 0; i < isolation_blocks(iso); i++)
        n += reserve_isolated(z, iso->block + i, &iso->held[i]);
    isolation_list_remove(z, iso->entry);
    for (uint32_t i = 0; i < isolation_blocks(iso); i++)
        qi_block_follow_isolations(z, iso->block + i);
    (void)qa_sub(&z->head->managed, n, relaxed);  /* relaxed: a figure */
    (void)qa_add(&z->head->reserved, n, relaxed); /* relaxed: a figure */
    iso->held = NULL;
    return QUIRE_OK;
}

int quire_zone_isolate_undo(struct quire_zone *z, quire_slot slot, struct quire_isolation *iso)
{
    if (slot.n >= z->slots)
        return QUIRE_ERR_SIZE;
    if (!iso->held)
        return qi_zone_count_error(z, slot, QUIRE_ERR_STATE);
    isolation_list_remove(z, iso->entry);
    for (uint32_t i = 0; i < isolation_blocks(iso); i++) {
        uint32_t b = iso->block + i;
        uint64_t freed = 0;

        mark_swept(z, b, 0);
        for (unsigned w = 0; w < MAP_WORDS; w++) {
            uint64_t held = iso->held[i].frames[w];
            uint64_t done = held ? frames_put(z, b, w, held) : 0;

            qi_assert(!(done & ~held));
            qi_zone_report_bad_frames(z, slot, frame_at(b, w * WORD_BITS), held & ~done,
                                      QUIRE_ERR_DOUBLE_FREE);
            freed += word_count(done);
        }
        qi_block_follow_isolations(z, b);
        if (freed)
            qi_count_credit(z, slot, freed, iso->flags);
    }
    iso->held = NULL;
    return QUIRE_OK;
}
