/* SPDX-License-Identifier: MIT
 *
 * internal.h - the private functions of core, file by file. Frames are numbers of the zone's index
 * space here, never pfns. All are lock-free and callable in any context.
 */
#ifndef QUIRE_CORE_INTERNAL_H
#define QUIRE_CORE_INTERNAL_H

#include "core/layout.h"

/* Ranges of as many blocks each, aligned to that number, a power of two: their first blocks. */
struct block_ranges {
    const uint32_t *first;
    uint32_t count, blocks;
};

/* map_words.c: several words of a map at once */
bool qi_map_words_claim(struct map512 *maps, uint64_t first, unsigned n);
void qi_map_words_release(struct map512 *maps, uint64_t first, unsigned n);
bool qi_map_words_equal(const struct map512 *map, uint64_t value);
unsigned qi_map_count_free(const struct map512 *map);
unsigned qi_map_hole(const struct map512 *map, unsigned *free);
unsigned qi_map_hole_at(const struct map512 *map, unsigned word);

/* hint.c: H1 to H4 of layout.h */
void qi_hint_block_free(const struct quire_zone *z, uint32_t b);
void qi_hint_block_left(const struct quire_zone *z, uint32_t b);
void qi_hint_block_full(const struct quire_zone *z, uint32_t b);
void qi_hint_block_refresh(const struct quire_zone *z, uint32_t b);
void qi_hint_hole_raise(const struct quire_zone *z, uint32_t b, uint32_t desc, unsigned hole);
void qi_hint_hole_lower(const struct quire_zone *z, uint32_t b);
void qi_hint_hole_closed(const struct quire_zone *z, uint32_t b);
bool qi_hint_section_has(const struct quire_zone *z, uint32_t s, unsigned hole);
void qi_hint_section_whole(const struct quire_zone *z, uint32_t s);

/* take.c: protocol 1 */
bool qi_block_take(const struct quire_zone *z, uint32_t b, unsigned order, uint64_t *frame);
unsigned qi_block_take_many(const struct quire_zone *z, uint32_t b, unsigned want,
                            quire_pfn pfns[]);
void qi_run_mark(const struct quire_zone *z, uint32_t b, unsigned first, unsigned n, bool head);

/* zone_free.c: protocol 2, without the run map */
int qi_desc_free_error(uint32_t desc);
int qi_frames_check_desc(const struct quire_zone *z, uint32_t b, unsigned word, uint64_t mask,
                         uint32_t desc);
void qi_frames_freed(const struct quire_zone *z, uint32_t b, unsigned word, uint64_t mask,
                     uint64_t old);
/* What a free left of the words of one block that it cleared frames of, as far as they ask for
 * something. */
struct freed_words {
    bool was_full, refreshes; /* one was all ones; the fullness byte is counted anew */
    uint8_t empty;            /* a bit for each that reads 0 since */
    unsigned hole;            /* one more than the order of the others' longest run */
};
uint64_t qi_word_clear(const struct quire_zone *z, uint32_t b, unsigned word, uint64_t mask,
                       struct freed_words *freed);
void qi_block_freed(const struct quire_zone *z, uint32_t b, const struct freed_words *freed);
uint64_t qi_frames_clear(const struct quire_zone *z, uint64_t frame, uint64_t n);
int qi_zone_free_cached(struct quire_zone *z, quire_slot slot, quire_pfn pfn, unsigned order);

/* run_map.c: protocol 2 with the run map */
bool qi_run_continues(const struct quire_zone *z, uint64_t frame);
int qi_run_check(const struct quire_zone *z, uint64_t frame, uint64_t n);
bool qi_run_unmark(const struct quire_zone *z, uint64_t frame, uint64_t n);
int qi_run_measure(const struct quire_zone *z, uint64_t frame, uint64_t *n);

/* word_runs.c: protocols 1 and 2 for several runs of a word */
unsigned qi_block_take_runs(const struct quire_zone *z, uint32_t b, unsigned order, unsigned want,
                            quire_pfn pfns[]);
bool qi_word_free_runs(const struct quire_zone *z, uint64_t frame, unsigned order, uint64_t starts,
                       struct freed_words *left, uint64_t *freed);

/* block_whole.c: protocol 3, and the block's way from and to its section */
void qi_block_make_whole(const struct quire_zone *z, uint32_t b);
bool qi_block_verify_map(const struct quire_zone *z, quire_slot slot, uint32_t b);
void qi_block_publish_split(const struct quire_zone *z, uint32_t b, uint32_t desc, uint64_t frame,
                            uint64_t n);
bool qi_block_split(const struct quire_zone *z, quire_slot slot, uint32_t b, uint32_t desc);
void qi_block_force_whole(const struct quire_zone *z, quire_slot slot, uint32_t b);
void qi_zone_force_whole(const struct quire_zone *z, quire_slot slot);

/* watch.c: protocol 9 */
bool qi_watch_is_known(const struct quire_zone *z, unsigned order);
uint64_t qi_watch_arm(const struct quire_zone *z, unsigned order);
bool qi_watch_know(const struct quire_zone *z, unsigned order, uint64_t armed);
void qi_watch_runs(const struct quire_zone *z, unsigned hole);
void qi_watch_blocks(const struct quire_zone *z);

/* home.c: protocol 6 */
bool qi_home_take(const struct quire_zone *z, quire_slot slot, unsigned home_class, uint32_t b);
bool qi_home_leave(const struct quire_zone *z, uint32_t owner, uint32_t b);
void qi_home_install(const struct quire_zone *z, quire_slot slot, unsigned home_class, uint32_t b);

/* find_block.c: where to look next */
bool qi_take_recent(const struct quire_zone *z, quire_slot slot, unsigned home_class,
                    unsigned order, uint64_t *frame);
uint32_t qi_find_home(const struct quire_zone *z, quire_slot slot, unsigned home_class,
                      unsigned order);
uint32_t qi_find_dense(const struct quire_zone *z, unsigned home_class, unsigned order,
                       const struct block_ranges *but);
bool qi_take_from_hinted(const struct quire_zone *z, quire_slot slot, unsigned order,
                         uint64_t *frame);
bool qi_take_from_any(const struct quire_zone *z, quire_slot slot, unsigned order, bool here,
                      uint64_t *frame);

/* find_whole.c: free blocks */
uint32_t qi_find_block_to_split(const struct quire_zone *z, quire_slot slot, unsigned home_class,
                                bool here);
uint32_t qi_find_near_last(const struct quire_zone *z, quire_slot slot, unsigned blocks_order);
uint32_t qi_find_whole(const struct quire_zone *z, quire_slot slot, unsigned near,
                       unsigned blocks_order);

/* section.c: protocol 4 */
bool qi_blocks_claim(const struct quire_zone *z, uint32_t b, unsigned blocks_order);
uint64_t qi_blocks_claim_some(const struct quire_zone *z, uint64_t g, uint64_t mask);
uint32_t qi_blocks_claim_any(const struct quire_zone *z, unsigned blocks_order);
void qi_blocks_release(const struct quire_zone *z, uint32_t b, uint64_t n);
uint32_t qi_section_find(const struct quire_zone *z, uint32_t s, unsigned blocks_order,
                         uint32_t from);
uint32_t qi_section_find_here(const struct quire_zone *z, uint32_t s, unsigned blocks_order,
                              uint32_t from);
void qi_block_run_publish(const struct quire_zone *z, uint32_t b, unsigned order);
int qi_block_run_put(const struct quire_zone *z, uint32_t b, unsigned order, bool zero);

/* gone.c: protocol 10 */
enum { GIVE_MOST = WORD_BITS }; /* blocks that a giver holds at a time */
bool qi_blocks_have_gone(const struct quire_zone *z, uint32_t b, uint32_t n);
bool qi_blocks_bring_back(const struct quire_zone *z, uint32_t b, uint32_t n);
int qi_blocks_give(const struct quire_zone *z, quire_slot slot, uint64_t g, uint32_t idle,
                   uint32_t most, uint32_t *given);

/* count.c: reserve a count, then pick */
int qi_count_debit(struct quire_zone *z, quire_slot slot, uint64_t n, uint32_t flags);
uint64_t qi_count_debit_up_to(struct quire_zone *z, quire_slot slot, uint64_t n, uint32_t flags);
void qi_count_credit(struct quire_zone *z, quire_slot slot, uint64_t n, uint32_t flags);
void qi_count_debit_below_floor(struct quire_zone *z, uint64_t n);
void qi_count_check_watermarks(struct quire_zone *z, quire_slot slot, uint32_t flags);
void qi_count_retire_slot(struct quire_zone *z, quire_slot slot);

/* batch.c */
bool qi_zone_free_own_batch(struct quire_zone *z, quire_slot slot, const quire_pfn pfns[], size_t n,
                            size_t *bad, int *error);
uint64_t qi_frames_flush(struct quire_zone *z, quire_slot slot, const quire_pfn pfns[], size_t n);
int qi_zone_alloc_batch_cached(struct quire_zone *z, quire_slot slot, uint32_t flags, size_t n,
                               quire_pfn pfns[], size_t *got);

/* batch_runs.c */
size_t qi_runs_refill(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags,
                      size_t n, quire_pfn pfns[]);
uint64_t qi_runs_flush(struct quire_zone *z, quire_slot slot, unsigned order,
                       const quire_pfn pfns[], size_t n);

/* pin.c: reserved frames in blocks that are otherwise in use */
struct quire_pin *qi_pin_find(const struct quire_zone *z, uint32_t b);
uint64_t qi_pinned_frames(const struct quire_zone *z, uint32_t b, unsigned word);
struct quire_pin *qi_pin_make(const struct quire_zone *z, uint32_t b);

/* claim.c: protocol 5, a given range of frames */
int qi_range_claim(struct quire_zone *z, quire_slot slot, uint64_t frame, uint64_t n);
void qi_range_undo_claim(const struct quire_zone *z, uint64_t frame, uint64_t n);
void qi_range_publish(const struct quire_zone *z, uint64_t frame, uint64_t n, bool run);
int qi_range_claim_error(const struct quire_zone *z, uint64_t frame, uint64_t n);

/* isolate.c: protocol 8, what the other protocols see of it */
bool qi_block_in_isolated_range(const struct quire_zone *z, uint32_t b);
void qi_block_follow_isolations(const struct quire_zone *z, uint32_t b);
bool qi_blocks_isolate_claimed(const struct quire_zone *z, uint32_t b, uint32_t n);

/* blockers.c */
size_t qi_isolation_blockers(const struct quire_zone *z, const struct quire_isolation *isolation,
                             struct quire_run runs[], size_t capacity);

/* alloc_contig.c */
int qi_contig_take(struct quire_zone *z, quire_slot slot, const struct quire_contig *want,
                   uint32_t flags, uint64_t *frame);

/* walk.c: free stretches */
void qi_extent_frames(const struct quire_zone *z, uint32_t extent, uint64_t *first, uint64_t *end);
uint64_t qi_next_free(const struct quire_zone *z, uint64_t frame, uint64_t end);
uint64_t qi_next_used(const struct quire_zone *z, uint64_t frame, uint64_t end);
/* What a search for a free stretch is to find room for: so many frames, at a multiple of `align`, a
 * power of two. `by_block`: each block is looked at by itself, for a refusal (walk.c). */
struct stretch_wanted {
    uint64_t frames, align;
    bool by_block;
};
uint64_t qi_next_free_stretch(const struct quire_zone *z, uint64_t frame, uint64_t end,
                              const struct stretch_wanted *want, uint64_t *stop);

/* alloc_at.c */
void qi_range_force_whole(const struct quire_zone *z, quire_slot slot, uint64_t frame, uint64_t n);

/* request.c: which frames a request names, and how it is refused */
uint64_t qi_frame_of_range(const struct quire_zone *z, quire_pfn pfn, uint64_t n);
int qi_block_range_check(const struct quire_zone *z, quire_slot slot, struct quire_run run,
                         uint64_t *frame);
int qi_zone_count_error(const struct quire_zone *z, quire_slot slot, int error);
int qi_zone_report_bad_free(struct quire_zone *z, quire_slot slot, quire_pfn pfn, int error);
void qi_zone_report_bad_frames(struct quire_zone *z, quire_slot slot, uint64_t frame, uint64_t mask,
                               int error);

/* find_whole.c */
void qi_section_note_class(const struct quire_zone *z, uint32_t b, unsigned home_class);

/* split_join.c */
int qi_run_split(const struct quire_zone *z, uint64_t frame, uint64_t n, uint32_t flags);

/* zone_alloc.c */
int qi_take_small(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags,
                  uint64_t *frame);
int qi_zone_alloc_cached(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags,
                         quire_pfn *pfn);
int qi_zone_alloc_unzeroed(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags,
                           quire_pfn *pfn, bool *zero);
int qi_zone_alloc_dense(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags,
                        const struct block_ranges *but, quire_pfn *pfn);
int qi_zone_alloc_opened(struct quire_zone *z, quire_slot slot, uint32_t b, unsigned order,
                         uint32_t flags, quire_pfn *pfn);
int qi_alloc_hand_out(struct quire_zone *z, quire_slot slot, uint64_t frame, uint64_t n,
                      uint32_t flags, quire_pfn *pfn);

/* The part of n frames from `frame` that lies in the first of their words: how many, and where. */
static inline unsigned word_part(uint64_t frame, uint64_t n, uint64_t *mask)
{
    unsigned bit = (unsigned)(frame % WORD_BITS);
    unsigned some = n < WORD_BITS - bit ? (unsigned)n : WORD_BITS - bit;

    qi_assert(n > 0);
    *mask = word_mask(bit, some);
    return some;
}

/* The same for blocks. */
static inline unsigned block_part(uint64_t frame, uint64_t n)
{
    unsigned place = place_of(frame);

    qi_assert(n > 0);
    return n < (unsigned)BLOCK_FRAMES - place ? (unsigned)n : (unsigned)BLOCK_FRAMES - place;
}

/* The frames of runs of 2^order frames that begin at `starts`, in one word. */
static inline uint64_t word_runs(uint64_t starts, unsigned order)
{
    return starts * word_mask(0, 1u << order);
}

/* Does block b lie in one of the ranges? */
static inline bool block_is_of(const struct block_ranges *ranges, uint32_t b)
{
    uint32_t first = b & ~(ranges->blocks - 1), i = 0;

    while (i < ranges->count && ranges->first[i] != first)
        i++;
    return i < ranges->count;
}

/* Is any range of blocks isolated? */
static inline bool has_isolations(const struct quire_zone *z)
{
    return qa_load(&z->head->isolating, relaxed) !=
           0; /* relaxed: ordered by the caller's E-isolate */
}

static inline void stat_count(const struct quire_zone *z, quire_slot slot, enum quire_count what)
{
    qa_add(&slot_of(z, slot)->counts[what], 1, relaxed); /* relaxed: a statistic */
}

/* stats.c: n of these at block b, where no slot is known */
void qi_stat_add_at(const struct quire_zone *z, uint32_t b, enum quire_count what, uint64_t n);

/* Are fewer eighths of the memory free than these? */
static inline bool is_fuller(const struct quire_zone *z, unsigned eighths)
{
    int64_t free = (int64_t)qa_load(&z->head->total, relaxed); /* relaxed: about how much */

    /* relaxed: a figure */
    return free < (int64_t)(qa_load(&z->head->managed, relaxed) / 8 * eighths);
}

/* Is any block gone? Who claimed blocks of which one is reads no 0 (gone.c). */
static inline bool has_gone(const struct quire_zone *z)
{
    return qa_load(&z->head->gone, relaxed) != 0; /* relaxed: ordered by E-blocks */
}

/* The blocks of word g that were seen taken; `here`: or gone. Advisory; a claim decides. */
static inline uint64_t blocks_in_use(const struct quire_zone *z, uint64_t g, bool here)
{
    uint64_t v = qa_load(block_word(z, g), relaxed); /* relaxed: advisory */

    return here ? v | qa_load(gone_word(z, g), relaxed) : v; /* relaxed: advisory */
}

/* Is anything watched at all? The caller's last access was a full fence, behind what made frames
 * free (E-watch). */
static inline bool watch_is_on(const struct quire_zone *z)
{
    const qa64 *watch = z->head->watch;

    /* relaxed: ordered by E-watch, both */
    return (qa_load(&watch[WATCH_RUNS], relaxed) | qa_load(&watch[WATCH_BLOCKS], relaxed)) &
           WATCH_FLAGS;
}

/* The hole byte of a block of this descriptor. */
static inline uint8_t hole_byte(uint32_t desc, unsigned hole)
{
    qi_assert(hole <= HOLE_MOST);
    return (uint8_t)(desc_class(desc) << HOLE_CLASS_SHIFT | hole);
}

/* The home class of a request below order 9. */
static inline unsigned home_class_of(const struct quire_zone *z, unsigned order, uint32_t flags)
{
    unsigned movable = flags & QUIRE_MOVABLE ? CLASS_MOVABLE : CLASS_UNMOVABLE;

    if (order == 0)
        return movable;
    if (!z->order_classes)
        return order < LARGE_ORDER ? movable : 2 * LARGE_ORDER;
    return 2 * (order < CLASS_ORDERS ? order : CLASS_ORDERS - 1) + movable;
}

/* The class of the blocks that qi_zone_alloc_dense takes movable runs of this order from. */
static inline unsigned movable_class_of(const struct quire_zone *z, unsigned order)
{
    return home_class_of(z, order, QUIRE_MOVABLE);
}

/* What every allocation checks first. `extra`: flags beyond the common ones. */
static inline int alloc_precheck(const struct quire_zone *z, quire_slot slot, uint32_t flags,
                                 uint32_t extra)
{
    if (slot.n >= z->slots)
        return QUIRE_ERR_SIZE;
    if (flags & ~(QUIRE_ALLOC_FLAGS | extra) || (flags & QUIRE_ZEROED && !z->port.zero))
        return QUIRE_ERR_UNSUPPORTED;
    return QUIRE_OK;
}

#endif /* QUIRE_CORE_INTERNAL_H */
