/* SPDX-License-Identifier: MIT
 *
 * internal.h - the private functions of core, file by file. Frames are numbers of the zone's index
 * space here, never pfns. All are lock-free and callable in any context.
 */
#ifndef QUIRE_CORE_INTERNAL_H
#define QUIRE_CORE_INTERNAL_H

#include "core/layout.h"

/* map_words.c: several words of a map at once */
bool quire_words_claim(struct quire_line *lines, uint64_t first, unsigned n);
void quire_words_release(struct quire_line *lines, uint64_t first, unsigned n);
bool quire_line_is(const struct quire_line *line, uint64_t value);
unsigned quire_line_free(const struct quire_line *line);

/* hint.c: H1 to H3 of layout.h */
void quire_hint_free(const struct quire_zone *z, uint32_t b);
void quire_hint_full(const struct quire_zone *z, uint32_t b);
void quire_hint_measure(const struct quire_zone *z, uint32_t b);
void quire_hint_whole(const struct quire_zone *z, uint32_t s);

/* take.c: protocol 1 */
bool quire_block_take(const struct quire_zone *z, uint32_t b, unsigned order, uint64_t *frame);
unsigned quire_block_take_many(const struct quire_zone *z, uint32_t b, unsigned want,
                               quire_pfn pfns[]);
void quire_runs_mark(const struct quire_zone *z, uint32_t b, unsigned first, unsigned n, bool head);

/* zone_free.c: protocol 2 */
int quire_state_error(uint32_t desc);
int quire_frame_refuse(const struct quire_zone *z, uint32_t b, unsigned word, uint64_t mask,
                       uint32_t desc);
bool quire_next_continues(const struct quire_zone *z, uint32_t b, unsigned word);
void quire_frame_freed(const struct quire_zone *z, uint32_t b, uint64_t mask, uint64_t old);
uint64_t quire_frames_clear(const struct quire_zone *z, uint64_t frame, uint64_t n);

/* run_map.c: the run map */
int quire_run_check(const struct quire_zone *z, uint64_t frame, uint64_t n);
bool quire_run_unmark(const struct quire_zone *z, uint64_t frame, uint64_t n);
int quire_run_measure(const struct quire_zone *z, uint64_t frame, uint64_t *n);

/* block_whole.c: protocol 3, and the block's way from and to its section */
void quire_block_settle(const struct quire_zone *z, uint32_t b);
bool quire_block_sound(const struct quire_zone *z, quire_slot slot, uint32_t b, bool *fresh);
bool quire_block_split(const struct quire_zone *z, quire_slot slot, uint32_t b, uint32_t desc);
void quire_block_recover(const struct quire_zone *z, quire_slot slot, uint32_t b);
void quire_blocks_recover(const struct quire_zone *z, quire_slot slot);

/* home.c: protocol 6 */
bool quire_home_take(const struct quire_zone *z, quire_slot slot, unsigned home_class, uint32_t b);
bool quire_home_leave(const struct quire_zone *z, uint32_t owner, uint32_t b);
void quire_home_install(const struct quire_zone *z, quire_slot slot, unsigned home_class,
                        uint32_t b);

/* find_block.c: where to look next */
uint32_t quire_pick_home(const struct quire_zone *z, quire_slot slot, unsigned home_class,
                         unsigned order);
bool quire_pick_stray(const struct quire_zone *z, quire_slot slot, unsigned order, uint64_t *frame);
bool quire_pick_last(const struct quire_zone *z, quire_slot slot, unsigned order, uint64_t *frame);
uint32_t quire_pick_whole(const struct quire_zone *z, quire_slot slot, unsigned near,
                          unsigned blocks_order);

/* section.c: protocol 4 */
bool quire_blocks_claim(const struct quire_zone *z, uint32_t b, unsigned blocks_order);
uint32_t quire_blocks_claim_any(const struct quire_zone *z, unsigned blocks_order);
void quire_blocks_release(const struct quire_zone *z, uint32_t b, uint64_t n);
uint32_t quire_section_find(const struct quire_zone *z, uint32_t s, unsigned blocks_order,
                            uint32_t from);
void quire_whole_publish(const struct quire_zone *z, uint32_t b, unsigned order);
int quire_whole_put(const struct quire_zone *z, uint32_t b, unsigned order);

/* count.c: reserve a count, then pick */
int quire_count_debit(struct quire_zone *z, quire_slot slot, uint64_t n, uint32_t flags);
uint64_t quire_count_debit_some(struct quire_zone *z, quire_slot slot, uint64_t n, uint32_t flags);
void quire_count_credit(struct quire_zone *z, quire_slot slot, uint64_t n, uint32_t flags);
void quire_count_take(struct quire_zone *z, uint64_t n);
void quire_count_settle(struct quire_zone *z, quire_slot slot, uint32_t flags);
void quire_count_retire(struct quire_zone *z, quire_slot slot);

/* batch.c */
uint64_t quire_frames_return(struct quire_zone *z, quire_slot slot, const quire_pfn pfns[],
                             size_t n);

/* pin.c: reserved frames in blocks that are otherwise in use */
struct quire_pin *quire_pin_find(const struct quire_zone *z, uint32_t b);
uint64_t quire_pinned(const struct quire_zone *z, uint32_t b, unsigned word);
struct quire_pin *quire_pin_make(const struct quire_zone *z, uint32_t b);

/* claim.c: protocol 5, a given range of frames */
int quire_range_claim(struct quire_zone *z, quire_slot slot, uint64_t frame, uint64_t n);
void quire_range_undo(const struct quire_zone *z, uint64_t frame, uint64_t n);
void quire_range_publish(const struct quire_zone *z, uint64_t frame, uint64_t n, bool run);
int quire_range_error(const struct quire_zone *z, uint64_t frame, uint64_t n);

/* isolation_list.c: protocol 8, what the other protocols see of it */
int quire_isolation_enter(const struct quire_zone *z, uint32_t first, uint32_t count,
                          uint32_t *entry);
void quire_isolation_leave(const struct quire_zone *z, uint32_t entry);
bool quire_block_listed(const struct quire_zone *z, uint32_t b);
void quire_block_agree(const struct quire_zone *z, uint32_t b);
bool quire_blocks_divert(const struct quire_zone *z, uint32_t b, uint32_t n);

/* blockers.c */
size_t quire_blockers(const struct quire_zone *z, const struct quire_isolation *isolation,
                      struct quire_run runs[], size_t capacity);

/* alloc_contig.c */
int quire_contig_take(struct quire_zone *z, quire_slot slot, const struct quire_contig *want,
                      uint32_t flags, uint64_t *frame);

/* walk.c: free stretches */
void quire_extent_frames(const struct quire_zone *z, uint32_t extent, uint64_t *first,
                         uint64_t *end);
uint64_t quire_next_free(const struct quire_zone *z, uint64_t frame, uint64_t end);
uint64_t quire_next_used(const struct quire_zone *z, uint64_t frame, uint64_t end);
uint64_t quire_next_stretch(const struct quire_zone *z, uint64_t frame, uint64_t end, uint64_t n,
                            uint64_t *stop);

/* alloc_at.c */
void quire_range_recover(const struct quire_zone *z, quire_slot slot, uint64_t frame, uint64_t n);

/* zone_alloc.c */
uint64_t quire_frames_of(const struct quire_zone *z, quire_pfn pfn, uint64_t n);
int quire_blocks_check(const struct quire_zone *z, quire_slot slot, struct quire_run run,
                       uint64_t *frame);
int quire_find_small(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags,
                     uint64_t *frame);
int quire_fail(const struct quire_zone *z, quire_slot slot, int error);
int quire_bad_free(struct quire_zone *z, quire_slot slot, quire_pfn pfn, int error);
int quire_finish(struct quire_zone *z, quire_slot slot, uint64_t frame, uint64_t n, uint32_t flags,
                 quire_pfn *pfn);

/* The part of n frames from `frame` that lies in the first of their words: how many, and where. */
static inline unsigned word_part(uint64_t frame, uint64_t n, uint64_t *mask)
{
    unsigned bit = (unsigned)(frame % WORD_BITS);
    unsigned some = n < WORD_BITS - bit ? (unsigned)n : WORD_BITS - bit;

    *mask = word_mask(bit, some);
    return some;
}

/* The same for blocks. */
static inline unsigned block_part(uint64_t frame, uint64_t n)
{
    unsigned place = place_of(frame);

    return n < (unsigned)BLOCK_FRAMES - place ? (unsigned)n : (unsigned)BLOCK_FRAMES - place;
}

/* Is any range of blocks isolated? */
static inline bool quire_isolating(const struct quire_zone *z)
{
    return qa_load(&z->head->isolating, relaxed) != 0; /* relaxed: ordered by the caller's F4 */
}

static inline void quire_counted(const struct quire_zone *z, quire_slot slot, enum quire_count what)
{
    qa_add(&slot_of(z, slot)->counts[what], 1, relaxed); /* relaxed: a statistic */
}

/* The same where no slot is known: spread over the slots by the place, so that those who work far
 * apart (find_block.c sees to it) share no line. */
static inline void quire_counted_at(const struct quire_zone *z, uint32_t b, enum quire_count what)
{
    quire_counted(z, quire_slot_of(b / WORD_BITS % z->slots), what);
}

/* The home class of a request. */
static inline unsigned class_of(unsigned order, uint32_t flags)
{
    if (order >= LARGE_ORDER)
        return CLASS_LARGE;
    return flags & QUIRE_MOVABLE ? CLASS_MOVABLE : CLASS_UNMOVABLE;
}

/* What every allocation checks first. `extra`: flags beyond the common ones. */
static inline int quire_precheck(const struct quire_zone *z, quire_slot slot, uint32_t flags,
                                 uint32_t extra)
{
    uint32_t known = QUIRE_MOVABLE | QUIRE_HIGH | QUIRE_EMERGENCY | QUIRE_NO_CALLBACK |
                     QUIRE_ZEROED | QUIRE_FALLBACK | extra;

    if (slot.n >= z->slots)
        return QUIRE_ERR_SIZE;
    if (flags & ~known || (flags & QUIRE_ZEROED && !z->port.zero))
        return QUIRE_ERR_UNSUPPORTED;
    return QUIRE_OK;
}

#endif /* QUIRE_CORE_INTERNAL_H */
