/* SPDX-License-Identifier: MIT
 *
 * batch.c - many single frames at once: one debit or credit for all, one read-modify-write for all
 * frames of the same word.
 *
 * A batch to free is sorted into groups, one per word of a map (frame_set.h); so frames in any
 * order are cleared word by word, and a frame that is named twice within a piece of BATCH_PIECE
 * frames is seen before anything is freed. Frames that follow one another in the list, as those of
 * an allocation mostly do, are looked at as a row. All pieces are checked before the first one is
 * freed. Then, with frame bytes, all frames are taken back, or none: one that is named twice, or
 * lies in a cache, is found there. Each piece is checked once more when its turn comes, as without
 * frame bytes a frame that a piece before it had too is not this caller's any more. What the checks
 * read may be stale only for frames that the caller does not own.
 *
 * Lock-free, any context; about a KiB of stack.
 */
#include "core/fastpath.h"
#include "core/frame_set.h"

enum { BATCH_PIECE = FRAME_SET_WORDS };

/* A stretch of pfns with maps, so that a batch looks the extent up once: frame = pfn - shift. */
struct extent_pfns {
    uint64_t first, count, shift;
};

/* The stretch that holds the pfn. False: none. */
static bool extent_pfns_find(const struct quire_zone *z, quire_pfn pfn, struct extent_pfns *s)
{
    const struct quire_extent *e = extent_of(z, pfn.n >> SECTION_ORDER);
    uint64_t frame, end;

    if (!e)
        return false;
    qi_extent_frames(z, (uint32_t)(e - z->extents), &frame, &end);
    s->shift = (e->section - e->index) << SECTION_ORDER;
    s->first = frame + s->shift;
    s->count = end - frame;
    return pfn.n - s->first < s->count;
}

/* Do the first four of n frames follow one another? If they are the zone's they lie in one stretch
 * then, as there is a gap between two. */
static inline bool is_row_of_four(const quire_pfn pfns[], size_t n)
{
    uint64_t first = pfns[0].n;

    return n >= 4 && pfns[1].n == first + 1 && pfns[2].n == first + 2 && pfns[3].n == first + 3;
}

/* The byte of a frame that the zone has. *s becomes the stretch that holds it. */
static inline qa8 *byte_of_pfn(const struct quire_zone *z, quire_pfn pfn, struct extent_pfns *s)
{
    if (pfn.n - s->first >= s->count)
        (void)extent_pfns_find(z, pfn, s);
    return byte_of_frame(z, pfn.n - s->shift);
}

/* Hand out n single frames of a zone with frame bytes. */
static void hand_out_singles(const struct quire_zone *z, const quire_pfn pfns[], size_t n)
{
    struct extent_pfns s = {0, 0, 0};

    for (size_t i = 0; i < n; i++) {
        qa8 *byte = byte_of_pfn(z, pfns[i], &s);

        if (is_row_of_four(pfns + i, n - i)) {
            byte_set_four(byte);
            i += 3;
        } else {
            byte_set(byte, BYTE_SINGLE);
        }
    }
}

/* Take them back: all, or none and *bad is the first that was not handed out. They passed the
 * checks of the maps. Afterwards they are this call's alone. */
static bool take_back_singles(const struct quire_zone *z, const quire_pfn pfns[], size_t n,
                              struct extent_pfns *s, size_t *bad)
{
    for (size_t i = 0; i < n && z->has_frame_bytes; i++) {
        qa8 *byte = byte_of_pfn(z, pfns[i], s);

        if (is_row_of_four(pfns + i, n - i) && byte_clear_four(byte)) {
            i += 3;
        } else if (!byte_clear(byte, BYTE_SINGLE)) {
            hand_out_singles(z, pfns, i);
            *bad = i;
            return false;
        }
    }
    return true;
}

/* Is one of n frames, which the maps show allocated, not this caller's: in a cache, or there
 * twice? The place of the first such one. */
static bool is_bad_by_byte(const struct quire_zone *z, const quire_pfn pfns[], size_t n,
                           size_t *bad)
{
    struct extent_pfns s = {0, 0, 0};
    bool good = take_back_singles(z, pfns, n, &s, bad);

    if (good && z->has_frame_bytes)
        hand_out_singles(z, pfns, n);
    return !good;
}

/* What a free has at hand: the groups of a piece, and where its last frame was found. */
struct batch {
    struct frame_set set;
    struct extent_pfns stretch;
};

/* May these frames of one word be freed? */
static inline int check_word_group(const struct quire_zone *z, uint64_t word, uint64_t mask)
{
    uint32_t b = (uint32_t)(word / MAP_WORDS);
    unsigned place = (unsigned)(word % MAP_WORDS);
    int error = frames_check(z, b, place, mask);

    if (error)
        return error;
    /* relaxed: the frames are the caller's */
    return mask & ~qa_load(&frame_map(z, b)->w[place], relaxed) ? QUIRE_ERR_DOUBLE_FREE : QUIRE_OK;
}

/* Check n <= BATCH_PIECE frames and sort them into groups, in one pass: so the cache misses of one
 * frame are under way while the next ones are looked at. Frames of one word often come in a row:
 * they share the look-up of the first one. */
static int check_batch_piece(const struct quire_zone *z, const quire_pfn pfns[], size_t n,
                             struct batch *batch)
{
    struct extent_pfns *s = &batch->stretch;

    qi_assert(n > 0 && n <= BATCH_PIECE);
    frame_set_clear(&batch->set);
    for (size_t i = 0; i < n;) {
        uint64_t first = pfns[i].n / WORD_BITS * WORD_BITS, mask = 0;
        size_t member = i;
        int error;

        if (pfns[i].n - s->first >= s->count && !extent_pfns_find(z, pfns[i], s))
            return QUIRE_ERR_FRAME;
        do {
            unsigned place = (unsigned)(pfns[i].n % WORD_BITS);
            bool four = place <= WORD_BITS - 4 && is_row_of_four(pfns + i, n - i);
            uint64_t bits = (four ? 15ull : 1ull) << place;

            if (mask & bits)
                return QUIRE_ERR_DOUBLE_FREE;
            mask |= bits;
            i += four ? 4 : 1;
        } while (i < n && pfns[i].n - first < WORD_BITS);
        error = check_word_group(z, (first - s->shift) / WORD_BITS, mask);
        if (error)
            return error;
        if (!frame_set_add(&batch->set, pfns, member, mask))
            return QUIRE_ERR_DOUBLE_FREE;
    }
    return QUIRE_OK;
}

/* The place of the first frame of a piece that cannot be freed, and why. */
static int first_bad_frame(const struct quire_zone *z, const quire_pfn pfns[], size_t n,
                           struct batch *batch, size_t *bad)
{
    for (*bad = 0; *bad < n; ++*bad) {
        int error = check_batch_piece(z, pfns, *bad + 1, batch);

        if (error)
            return error;
    }
    *bad = 0; /* the one that was bad is not any more: another call raced with this one */
    return QUIRE_ERR_DOUBLE_FREE;
}

/* Free the groups that n frames were sorted into; how many of them were still allocated. */
static uint64_t free_word_groups(const struct quire_zone *z, struct batch *batch,
                                 const quire_pfn pfns[], size_t n)
{
    const struct frame_set *set = &batch->set;
    struct extent_pfns *s = &batch->stretch;
    uint64_t freed = n;

    for (unsigned i = 0; i < set->count; i++) {
        quire_pfn pfn = pfns[set->member[i]];
        uint64_t frame, mask = set->mask[i], done;

        if (pfn.n - s->first >= s->count)
            (void)extent_pfns_find(z, pfn, s);
        frame = pfn.n - s->shift;
        done = frames_put(z, block_of(frame), place_of(frame) / WORD_BITS, mask);
        if (done != mask)
            freed -= word_count(mask & ~done);
    }
    return freed;
}

/* A piece that was good when all were checked and is not any more: free frame by frame what can
 * be freed. */
static uint64_t free_piece_singly(const struct quire_zone *z, const quire_pfn pfns[], size_t n,
                                  struct batch *batch, size_t *bad)
{
    uint64_t freed = 0;

    *bad = n;
    for (size_t i = 0; i < n; i++) {
        uint64_t before = freed;

        if (check_batch_piece(z, pfns + i, 1, batch) == QUIRE_OK)
            freed += free_word_groups(z, batch, pfns + i, 1);
        if (freed == before && *bad == n)
            *bad = i;
    }
    return freed;
}

/* Check all pieces. Why not, and *at is where the first piece that is not good begins. */
static int check_batch(const struct quire_zone *z, const quire_pfn pfns[], size_t n,
                       struct batch *batch, size_t *at)
{
    int error = QUIRE_OK;

    batch->stretch = (struct extent_pfns){0, 0, 0};
    for (*at = 0; *at < n; *at += BATCH_PIECE) {
        size_t some = n - *at < BATCH_PIECE ? n - *at : BATCH_PIECE;

        error = check_batch_piece(z, pfns + *at, some, batch);
        if (error)
            break;
    }
    return error;
}

/* Free a batch that was checked, and whose frames were taken back. */
static int free_checked_batch(struct quire_zone *z, quire_slot slot, const quire_pfn pfns[],
                              size_t n, struct batch *batch, size_t *bad)
{
    uint64_t freed = 0;
    size_t where, first = n;

    for (size_t i = 0; i < n; i += BATCH_PIECE) {
        size_t some = n - i < BATCH_PIECE ? n - i : BATCH_PIECE;

        /* With one piece the groups are still there; otherwise the pieces before may have had
         * frames of this one too. */
        where = some;
        if (n <= BATCH_PIECE || check_batch_piece(z, pfns + i, some, batch) == QUIRE_OK)
            freed += free_word_groups(z, batch, pfns + i, some);
        else
            freed += free_piece_singly(z, pfns + i, some, batch, &where);
        if (where < some && first == n)
            first = i + where;
    }
    if (freed)
        qi_count_credit(z, slot, freed, 0);
    if (freed == n)
        return QUIRE_OK;
    *bad = first == n ? 0 : first;
    return qi_zone_report_bad_free(z, slot, pfns[*bad], QUIRE_ERR_DOUBLE_FREE);
}

/* As quire_zone_free_batch, for who does not know whether all frames are the zone's: false, and
 * nothing has changed or was reported, if the maps refuse one, as they do those of other zones. */
bool qi_zone_free_own_batch(struct quire_zone *z, quire_slot slot, const quire_pfn pfns[], size_t n,
                            size_t *bad, int *error)
{
    struct batch batch;
    size_t at;

    qi_assert(slot.n < z->slots && n > 0);
    if (check_batch(z, pfns, n, &batch, &at))
        return false;
    if (take_back_singles(z, pfns, n, &batch.stretch, bad))
        *error = free_checked_batch(z, slot, pfns, n, &batch, bad);
    else
        *error = qi_zone_report_bad_free(z, slot, pfns[*bad], QUIRE_ERR_DOUBLE_FREE);
    return true;
}

/* A batch that the maps refuse: name its first bad frame. */
static __attribute__((__noinline__)) int refuse_batch(struct quire_zone *z, quire_slot slot,
                                                      const quire_pfn pfns[], size_t n, size_t *bad)
{
    struct batch batch;
    size_t at, where;
    int error = check_batch(z, pfns, n, &batch, &at);

    if (error) {
        size_t some = n - at < BATCH_PIECE ? n - at : BATCH_PIECE;

        error = first_bad_frame(z, pfns + at, some, &batch, &where);
        where += at;
    } else { /* as at the end of first_bad_frame */
        error = QUIRE_ERR_DOUBLE_FREE;
        where = 0;
    }
    if (is_bad_by_byte(z, pfns, where, &where))
        error = QUIRE_ERR_DOUBLE_FREE;
    *bad = where;
    return qi_zone_report_bad_free(z, slot, pfns[where], error);
}

int quire_zone_free_batch(struct quire_zone *z, quire_slot slot, const quire_pfn pfns[], size_t n,
                          size_t *bad)
{
    size_t unwanted;
    int error;

    if (slot.n >= z->slots || n == 0)
        return qi_zone_count_error(z, slot, QUIRE_ERR_SIZE);
    bad = bad ? bad : &unwanted;
    return qi_zone_free_own_batch(z, slot, pfns, n, bad, &error)
               ? error
               : refuse_batch(z, slot, pfns, n, bad);
}

/* Free the frames `mask` of the word of frame `frame`, those that can be; report the others. A
 * frame whose bit was found clear is not tried again: it may be another's by then. */
static uint64_t flush_word(struct quire_zone *z, quire_slot slot, uint64_t frame, uint64_t mask)
{
    uint32_t b = block_of(frame);
    unsigned word = place_of(frame) / WORD_BITS;
    uint64_t freed = 0, good = mask;

    if (frames_check(z, b, word, mask) != QUIRE_OK)
        for (uint64_t left = mask; left; left &= left - 1) {
            uint64_t bit = left & -left;
            int error = frames_check(z, b, word, bit);

            if (error) {
                good &= ~bit;
                qi_zone_report_bad_frames(z, slot, frame, bit, error);
            }
        }
    if (good)
        freed = frames_put(z, b, word, good);
    qi_assert(!(freed & ~good));
    qi_zone_report_bad_frames(z, slot, frame, good & ~freed, QUIRE_ERR_DOUBLE_FREE);
    return word_count(freed);
}

/* Free all of n single frames that can be freed, in one pass, and report the others: for the
 * caches, whose callers were told long ago that these frames are free. Frames that share a word of
 * a map share a read-modify-write where they come in a row; unlike quire_zone_free_batch this does
 * not look for others, which costs more than it saves when they are scattered. Returns how many
 * were freed. */
uint64_t qi_frames_flush(struct quire_zone *z, quire_slot slot, const quire_pfn pfns[], size_t n)
{
    uint64_t freed = 0;

    for (size_t i = 0; i < n;) {
        uint64_t first = pfns[i].n / WORD_BITS * WORD_BITS, mask = 0, bit;
        uint64_t frame = frame_of_pfn(z, quire_pfn_of(first));

        if (frame == NO_FRAME) {
            (void)qi_zone_report_bad_free(z, slot, pfns[i++], QUIRE_ERR_FRAME);
            continue;
        }
        while (i < n && pfns[i].n - first < WORD_BITS &&
               !(mask & (bit = 1ull << pfns[i].n % WORD_BITS))) {
            mask |= bit;
            i++;
        }
        freed += flush_word(z, slot, frame, mask);
    }
    if (freed)
        qi_count_credit(z, slot, freed, 0);
    return freed;
}

/* Find single frames for a debit of n; returns how many there were. */
static size_t take_singles(struct quire_zone *z, quire_slot slot, uint32_t flags, uint64_t n,
                           quire_pfn pfns[])
{
    size_t got = 0;

    while (got < n) {
        unsigned want = n - got < BLOCK_FRAMES ? (unsigned)(n - got) : (unsigned)BLOCK_FRAMES;
        /* relaxed: a preference; taking from the block decides */
        uint32_t home = qa_load(&slot_of(z, slot)->home[home_class_of(z, 0, flags)], relaxed);
        uint64_t frame;

        if (home)
            got += qi_block_take_many(z, home - 1, want, pfns + got);
        if (got == n)
            break;
        if (qi_take_small(z, slot, 0, flags, &frame)) /* a new home block, if there is one */
            break;
        pfns[got++] = pfn_of_frame(z, frame);
    }
    return got;
}

/* Undo: the frames were just taken, no other thread knows them. */
static void undo_singles(struct quire_zone *z, const quire_pfn pfns[], size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)qi_frames_clear(z, frame_of_pfn(z, pfns[i]), 1);
}

static int zero_singles(struct quire_zone *z, const quire_pfn pfns[], size_t n)
{
    int error = QUIRE_OK;

    for (size_t i = 0; i < n && !error; i++) {
        uint64_t frame = frame_of_pfn(z, pfns[i]);
        bool zero = frame_reads_zero(z, frame);

        qi_stat_add_at(z, block_of(frame), zero ? QUIRE_COUNT_KNOWN_ZERO : QUIRE_COUNT_ZEROED, 1);
        if (!zero)
            error = z->port.zero(z->port.ctx, pfns[i], 1);
    }
    return error;
}

/* For the caches: n single frames, not handed out yet as far as their frame bytes tell. */
int qi_zone_alloc_batch_cached(struct quire_zone *z, quire_slot slot, uint32_t flags, size_t n,
                               quire_pfn pfns[], size_t *got)
{
    int error = alloc_precheck(z, slot, flags, QUIRE_PARTIAL);
    bool partial = flags & QUIRE_PARTIAL;
    uint64_t debited = n;

    *got = 0;
    if (!error && (n == 0 || (uint64_t)n >> QUIRE_PFN_BITS))
        error = QUIRE_ERR_SIZE;
    if (error)
        return qi_zone_count_error(z, slot, error);
    if (partial)
        debited = qi_count_debit_up_to(z, slot, n, flags);
    if (partial ? debited == 0 : qi_count_debit(z, slot, n, flags))
        return qi_zone_count_error(z, slot, QUIRE_ERR_NO_MEMORY);
    n = take_singles(z, slot, flags, debited, pfns);
    if (n == 0 || (n < debited && !partial))
        error = QUIRE_ERR_NO_MEMORY;
    else if (flags & QUIRE_ZEROED)
        error = zero_singles(z, pfns, n);
    if (error) {
        undo_singles(z, pfns, n);
        n = 0;
    }
    if (n < debited)
        qi_count_credit(z, slot, debited - n, flags);
    *got = n;
    if (error)
        return qi_zone_count_error(z, slot, error);
    qi_count_check_watermarks(z, slot, flags);
    return QUIRE_OK;
}

int quire_zone_alloc_batch(struct quire_zone *z, quire_slot slot, uint32_t flags, size_t n,
                           quire_pfn pfns[], size_t *got)
{
    int error = qi_zone_alloc_batch_cached(z, slot, flags, n, pfns, got);

    if (z->has_frame_bytes)
        hand_out_singles(z, pfns, *got);
    return error;
}
