/* SPDX-License-Identifier: MIT
 *
 * check.c - quire_zone_check sees damage: each kind is done to a zone in use, by hand, and must be
 * named as what it is. White-box: it looks at the metadata through core/layout.h.
 */
#include "support.h"

#include "core/block.h"

#include <stdlib.h>
#include <string.h>

/* A zone with something of everything. Blocks by number, from the first frame:
 *   0     reserved frames, then usable ones, split    4      one run of order 9
 *   1     slot 0's home, with a single frame          5      free
 *   2, 3  one run of order 10                         6, 7   a run of 600 frames, and free ones
 *   8     a hole                                      9      usable frames, then a hole
 * counted from block FIRST, near the end of a section; and behind a gap of three sections, three
 * blocks, the last one a run of order 9. */
enum { FIRST = 500, FAR = 4 * SECTION, FAR_BLOCK = BLOCK };

struct scene {
    struct fixture f;
    const struct quire_zone *z;
    uint64_t single;
    void *copy;
};

static void scene_open(struct scene *s)
{
    struct quire_contig run = {.frames = 600};
    quire_pfn pfn;

    fixture_begin(&s->f);
    fixture_reserved(&s->f, FIRST * BLOCK, 100);
    fixture_usable(&s->f, FIRST * BLOCK + 100, 8 * BLOCK - 100);
    fixture_usable(&s->f, (FIRST + 9) * BLOCK, 70);
    fixture_usable(&s->f, FAR, 3 * BLOCK);
    fixture_open(&s->f);
    s->z = &s->f.zone;
    assert_ok(quire_zone_alloc_at(&s->f.zone, slot(0), at((FIRST + 2) * BLOCK), 10, 0));
    assert_ok(quire_zone_alloc_at(&s->f.zone, slot(0), at((FIRST + 4) * BLOCK), 9, 0));
    assert_ok(quire_zone_alloc_at(&s->f.zone, slot(0), at(FAR + 2 * BLOCK), 9, 0));
    run.low = (uint64_t)(FIRST + 6) * BLOCK * QUIRE_FRAME_SIZE;
    assert_ok(quire_zone_alloc_contig(&s->f.zone, slot(0), &run, 0, &pfn));
    assert_int_equal(pfn.n, (FIRST + 6) * BLOCK);
    /* Neither the fullest block, which is 9, nor 0 or 7: a large run's home is a block of its own
     * class, and a whole one is split for it. */
    s->single = must_alloc(&s->f, 3);
    assert_int_equal(s->single / BLOCK, FIRST + 1);
    assert_ok(quire_zone_split(&s->f.zone, slot(0), at(s->single), 3));
    assert_sound(&s->f, quire_zone_free_frames(s->z));
    s->copy = malloc(s->f.bytes);
    assert_non_null(s->copy);
    memcpy(s->copy, s->f.metadata, s->f.bytes);
}

static void scene_close(struct scene *s)
{
    free(s->copy);
    fixture_close(&s->f);
}

/* ---- Damage ------------------------------------------------------------------------------ */

static void flip_frame(struct scene *s, uint32_t b, unsigned place)
{
    qa64 *w = &frame_map(s->z, b)->w[place / WORD_BITS];

    qa_store(w, qa_load(w, relaxed) ^ 1ull << place % WORD_BITS, relaxed);
}

static void flip_run(struct scene *s, uint32_t b, unsigned place)
{
    qa64 *w = &run_map(s->z, b)->w[place / WORD_BITS];

    qa_store(w, qa_load(w, relaxed) ^ 1ull << place % WORD_BITS, relaxed);
}

static void flip_section(struct scene *s, uint32_t b)
{
    qa64 *w = block_word(s->z, b / WORD_BITS);

    qa_store(w, qa_load(w, relaxed) ^ 1ull << b % WORD_BITS, relaxed);
}

static void change_desc(struct scene *s, uint32_t b, uint32_t without, uint32_t with)
{
    qa32 *d = desc_of(s->z, b);

    qa_store(d, (qa_load(d, relaxed) & ~without) | with, relaxed);
}

static void frame_in_run_freed(struct scene *s)
{
    flip_frame(s, FIRST + 6, 5);
}
static void run_head_freed(struct scene *s)
{
    flip_frame(s, FIRST + 6, 0);
}
static void free_frame_continues(struct scene *s)
{
    flip_run(s, FIRST + 7, 511);
}
static void frame_freed(struct scene *s)
{
    flip_frame(s, FIRST + 1, s->single % BLOCK);
}
static void frame_taken(struct scene *s)
{
    flip_frame(s, FIRST + 7, 300);
}
static void pinned_freed(struct scene *s)
{
    flip_frame(s, FIRST, 7);
}
static void pinned_in_run(struct scene *s)
{
    flip_run(s, FIRST, 7);
}
static void hole_unpinned(struct scene *s)
{
    qa_store(&quire_pin_find(s->z, FIRST + 9)->pinned.w[7], 0, relaxed);
}
static void pins_without_entry(struct scene *s)
{
    change_desc(s, FIRST + 1, 0, D_PINS);
}
static void pins_untold(struct scene *s)
{
    change_desc(s, FIRST, D_PINS, 0);
}
static void owner_no_slot(struct scene *s)
{
    change_desc(s, FIRST + 1, D_OWNER, desc_owner(slot(4)));
}
static void owner_other(struct scene *s)
{
    change_desc(s, FIRST + 1, D_OWNER, desc_owner(slot(1)));
}
static void class_wrong(struct scene *s)
{
    change_desc(s, FIRST + 1, 0, D_CLASS);
}
static void empty_split(struct scene *s)
{
    change_desc(s, FIRST + 5, D_STATE, D_SPLIT);
    flip_section(s, FIRST + 5);
}
static void block_hint_missing(struct scene *s)
{
    qa_store(full_of(s->z, FIRST + 7), 0, relaxed);
}
static void section_hint_missing(struct scene *s)
{
    qa_store(sparse_of(s->z, 0), 0, relaxed);
}
static void closed_map(struct scene *s)
{
    flip_frame(s, FIRST + 5, 200);
}
static void whole_map(struct scene *s)
{
    flip_frame(s, FIRST + 3, 200);
}
static void closed_run_map(struct scene *s)
{
    flip_run(s, FIRST + 4, 200);
}
static void strange_bits(struct scene *s)
{
    change_desc(s, FIRST + 5, 0, D_PINS);
}
static void section_bit_set(struct scene *s)
{
    flip_section(s, FIRST + 5);
}
static void section_bit_clear(struct scene *s)
{
    flip_section(s, FIRST + 4);
}
static void tail_missing(struct scene *s)
{
    change_desc(s, FIRST + 3, D_STATE, desc_whole(9));
}
static void tail_alone(struct scene *s)
{
    change_desc(s, FIRST + 4, D_STATE | D_ORDER, D_TAIL);
}
static void order_impossible(struct scene *s)
{
    change_desc(s, FIRST + 4, D_ORDER, desc_whole(8));
}
static void order_unaligned(struct scene *s)
{
    change_desc(s, FIRST + 2, D_ORDER, desc_whole(11));
}
static void run_behind_end(struct scene *s)
{
    change_desc(s, FAR_BLOCK + 2, D_ORDER, desc_whole(10));
}
static void half_changed(struct scene *s)
{
    change_desc(s, FIRST + 4, D_STATE | D_ORDER, D_MOVING);
}
static void wholes_hidden(struct scene *s)
{
    qa_store(wholes_of(s->z, 0), 0, relaxed);
}
static void wholes_belittled(struct scene *s)
{
    qa_store(wholes_of(s->z, 1), 1, relaxed); /* two blocks side by side are free there */
}
static void wholes_strange(struct scene *s)
{
    qa_store(wholes_of(s->z, 0), WHOLES_TOP + 1, relaxed);
}
static void unmapped_block_free(struct scene *s)
{
    flip_section(s, FAR_BLOCK + 3);
}
static void pin_entry_twice(struct scene *s)
{
    struct quire_pin *pin = quire_pin_find(s->z, FIRST + 9);

    for (pin++; pin < s->z->pins + s->z->pin_mask && qa_load(&pin->key, relaxed);)
        pin++;
    qa_store(&pin->key, FIRST + 9 + 1, relaxed);
}
static void pins_miscounted(struct scene *s)
{
    qa_add(&s->z->head->pins_used, 1, relaxed);
}
static void credit_negative(struct scene *s)
{
    qa_store(&s->z->slot_states[2].credit, (uint64_t)-1, relaxed);
}
static void home_out_of_range(struct scene *s)
{
    qa_store(&s->z->slot_states[2].home[1], FAR_BLOCK + 4, relaxed);
}
static void start_out_of_range(struct scene *s)
{
    qa_store(&s->z->slot_states[2].near[3], 2 * BLOCK, relaxed);
}
static void total_wrong(struct scene *s)
{
    qa_add(&s->z->head->total, 1, relaxed);
}
static void managed_wrong(struct scene *s)
{
    qa_add(&s->z->head->managed, 1, relaxed);
}
static void reserved_wrong(struct scene *s)
{
    qa_sub(&s->z->head->reserved, 1, relaxed);
}
static void level_wrong(struct scene *s)
{
    qa_store(&s->z->head->level, 3, relaxed);
}

/* ---- What it is called ------------------------------------------------------------------- */

static const struct {
    void (*damage)(struct scene *s);
    const char *what;
} kinds[] = {
    {frame_in_run_freed, "a free frame continues a run"},
    {run_head_freed, "a run goes on behind a free frame"},
    {free_frame_continues, "a free frame continues a run"},
    {frame_freed, "free frames counted and found"},
    {frame_taken, "free frames counted and found"},
    {pinned_freed, "a reserved frame is free or in a run"},
    {pinned_in_run, "a reserved frame is free or in a run"},
    {hole_unpinned, "a hole is not pinned"},
    {pins_without_entry, "a block with pins has no entry"},
    {pins_untold, "pins of a block that does not tell of them"},
    {owner_no_slot, "a home's owner is no slot"},
    {owner_other, "a home that its slot does not know"},
    {class_wrong, "the class of a home"},
    {empty_split, "a wholly free block was not made whole"},
    {block_hint_missing, "no hint shows a block's free frames"},
    {section_hint_missing, "no hint shows a section's free frames"},
    {closed_map, "the map of a block that is not split"},
    {whole_map, "the map of a block that is not split"},
    {closed_run_map, "the run map of a block that is not split"},
    {strange_bits, "a descriptor with bits that its state has not"},
    {section_bit_set, "descriptor and section disagree"},
    {section_bit_clear, "descriptor and section disagree"},
    {tail_missing, "a run of blocks has the wrong length"},
    {tail_alone, "a run of blocks has the wrong length"},
    {order_impossible, "the order of a run of blocks"},
    {order_unaligned, "a run of blocks is not aligned"},
    {run_behind_end, "a run of blocks goes on behind the end of its memory"},
    {half_changed, "a block is left half changed"},
    {wholes_hidden, "no hint shows a section's free blocks"},
    {wholes_belittled, "no hint shows a section's free blocks"},
    {wholes_strange, "a section's hint of free blocks"},
    {unmapped_block_free, "a block without a map is free"},
    {pin_entry_twice, "an entry of the pin table that no look-up finds"},
    {pins_miscounted, "entries of the pin table counted and found"},
    {credit_negative, "a slot's credit is negative"},
    {home_out_of_range, "a slot's home is out of range"},
    {start_out_of_range, "a slot starts to look out of range"},
    {total_wrong, "free frames counted and found"},
    {managed_wrong, "managed frames counted and found"},
    {reserved_wrong, "reserved frames counted and found"},
    {level_wrong, "the level of the watermarks"},
};

static void each_damage_is_named(void **state)
{
    (void)state;
    struct scene s;
    struct quire_violation v;

    scene_open(&s);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        v = (struct quire_violation){.what = "nothing"};
        kinds[i].damage(&s);
        if (quire_zone_check(s.z, &v) != QUIRE_ERR_BUSY || strcmp(v.what, kinds[i].what) != 0)
            fail_msg("\"%s\" was told as \"%s\"", kinds[i].what, v.what);
        memcpy(s.f.metadata, s.copy, s.f.bytes);
        assert_ok(quire_zone_check(s.z, &v));
    }
    scene_close(&s);
}

/* Is this bit one that a sound zone may have either way? Which of the allocated frames form a run
 * is known to their owner alone, a descriptor's class steers the choice of a home, and the
 * descriptor of a block without a map is not looked at. */
static bool is_free_choice(const struct scene *s, uint64_t bit)
{
    uint64_t descs = (uint64_t)(s->z->descs - (unsigned char *)s->f.metadata) * 8;
    uint64_t maps = (uint64_t)(s->z->maps - (unsigned char *)s->f.metadata) * 8;
    uint32_t b;

    if (bit < maps)
        return bit >= descs &&
               (D_CLASS >> (bit - descs) % 32 & 1 || !has_map(s->z, (bit - descs) / 32));
    b = (uint32_t)(s->z->first_block + (bit - maps) / (2 * LINE_BITS));
    bit = (bit - maps) % (2 * LINE_BITS);
    return desc_state(qa_load(desc_of(s->z, b), relaxed)) == D_SPLIT && bit >= LINE_BITS &&
           qa_load(&frame_map(s->z, b)->w[(bit - LINE_BITS) / WORD_BITS], relaxed) >>
                   bit % WORD_BITS &
               1;
}

/* Whatever bit is flipped of those that decide which frames are free, it is seen: section bits,
 * descriptors, frame maps, run maps. */
static void every_bit_matters(void **state)
{
    (void)state;
    struct scene s;
    struct quire_violation v;
    unsigned char *bytes;
    uint64_t flipped = 0, end;

    scene_open(&s);
    bytes = s.f.metadata;
    end = (uint64_t)(s.z->maps - bytes) + (s.z->end_block - s.z->first_block) * s.z->map_stride;
    for (uint64_t bit = (uint64_t)(s.z->lines - bytes) * 8; bit < end * 8; bit++) {
        if ((bytes + bit / 8 >= s.z->fulls && bytes + bit / 8 < s.z->descs) ||
            is_free_choice(&s, bit))
            continue;
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        if (quire_zone_check(s.z, &v) == QUIRE_OK)
            fail_msg("bit %u of byte %u: not seen", (unsigned)bit % 8, (unsigned)(bit / 8));
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        flipped++;
    }
    assert_true(flipped > (s.z->end_block - s.z->first_block) * LINE_BITS);
    scene_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_damage_is_named),
        cmocka_unit_test(every_bit_matters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
