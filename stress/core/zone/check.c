/* SPDX-License-Identifier: MIT
 *
 * check.c - quire_zone_check sees damage: each kind is done to a zone in use, by hand, and must be
 * named as what it is. White-box: it looks at the metadata through core/layout.h.
 */
#include "stress/common/zone_fixture.h"

#include "core/frame_byte.h"
#include "core/internal.h"

#include <stdlib.h>
#include <string.h>

/* A zone with something of everything. Blocks by number, from the first frame:
 *   0     reserved frames, then usable ones, split    4      one run of order 9
 *   1     slot 0's home, with single frames           5      free
 *   2, 3  one run of order 10                         6, 7   a run of 600 frames, and free ones
 *   8     a hole                                      9      usable frames, then a hole
 * counted from block FIRST, near the end of a section; and behind a gap of three sections, five
 * blocks: three free ones, an isolated one, and a run of order 9. */
enum { FIRST = 500, FAR = 4 * SECTION, FAR_BLOCK = BLOCK };

struct scene {
    struct fixture f;
    const struct quire_zone *z;
    struct quire_isolation isolation;
    struct quire_isolated_frames held;
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
    fixture_usable(&s->f, FAR, 5 * BLOCK);
    fixture_open(&s->f);
    s->z = &s->f.zone;
    assert_ok(quire_zone_alloc_at(&s->f.zone, slot(0), at((FIRST + 2) * BLOCK), 10, 0));
    assert_ok(quire_zone_alloc_at(&s->f.zone, slot(0), at((FIRST + 4) * BLOCK), 9, 0));
    assert_ok(quire_zone_alloc_at(&s->f.zone, slot(0), at(FAR + 4 * BLOCK), 9, 0));
    s->isolation = (struct quire_isolation){.held = NULL};
    assert_ok(quire_zone_isolate(&s->f.zone, slot(0),
                                 (struct quire_run){at(FAR + 3 * BLOCK), BLOCK}, &s->held,
                                 &s->isolation));
    run.low = (uint64_t)(FIRST + 6) * BLOCK * QUIRE_FRAME_SIZE;
    assert_ok(quire_zone_alloc_contig(&s->f.zone, slot(0), &run, 0, &pfn));
    assert_int_equal(pfn.n, (FIRST + 6) * BLOCK);
    /* Neither the fullest block, which is 9, nor 0 or 7: a large run's home is a block of its own
     * class, and a whole one is split for it. */
    assert_int_equal(must_alloc(&s->f, 3), (FIRST + 1) * BLOCK);
    assert_ok(quire_zone_split(&s->f.zone, slot(0), at((FIRST + 1) * BLOCK), 3));
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

static void flip(qa64 *w, unsigned bit)
{
    qa_store(w, qa_load(w, relaxed) ^ 1ull << bit, relaxed);
}

/* Changes of block or section b, by two numbers. */
static void flip_frame(struct scene *s, uint32_t b, uint32_t place, uint32_t none)
{
    (void)none;
    flip(&frame_map(s->z, b)->w[place / WORD_BITS], place % WORD_BITS);
}
static void flip_run(struct scene *s, uint32_t b, uint32_t place, uint32_t none)
{
    (void)none;
    flip(&run_map(s->z, b)->w[place / WORD_BITS], place % WORD_BITS);
}
static void flip_section(struct scene *s, uint32_t b, uint32_t none, uint32_t nor_this)
{
    (void)none;
    (void)nor_this;
    flip(block_word(s->z, b / WORD_BITS), b % WORD_BITS);
}
static void change_desc(struct scene *s, uint32_t b, uint32_t without, uint32_t with)
{
    qa32 *d = desc_of(s->z, b);

    qa_store(d, (qa_load(d, relaxed) & ~without) | with, relaxed);
}
static void open_desc(struct scene *s, uint32_t b, uint32_t without, uint32_t with)
{
    change_desc(s, b, without, with);
    flip_section(s, b, 0, 0);
}
static void set_byte(struct scene *s, uint32_t b, uint32_t place, uint32_t value)
{
    qa_store(byte_of_frame(s->z, frame_at(b, place)), (uint8_t)value, relaxed);
}
static void set_full(struct scene *s, uint32_t b, uint32_t value, uint32_t none)
{
    (void)none;
    qa_store(full_of(s->z, b), (uint8_t)value, relaxed);
}
static void set_hole(struct scene *s, uint32_t b, uint32_t value, uint32_t none)
{
    (void)none;
    qa_store(hole_of(s->z, b), (uint8_t)value, relaxed);
}
static void set_sparse(struct scene *s, uint32_t b, uint32_t value, uint32_t none)
{
    (void)none;
    qa_store(sparse_of(s->z, b), (uint8_t)value, relaxed);
}
static void set_wholes(struct scene *s, uint32_t b, uint32_t value, uint32_t none)
{
    (void)none;
    qa_store(wholes_of(s->z, b), (uint8_t)value, relaxed);
}

/* Changes of what there is one of. */
static void hole_unpinned(struct scene *s)
{
    qa_store(&qi_pin_find(s->z, FIRST + 9)->pinned.w[7], 0, relaxed);
}
static void pin_entry_twice(struct scene *s)
{
    struct quire_pin *pin = qi_pin_find(s->z, FIRST + 9);

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
    qa_store(&s->z->slot_states[2].home[1], FAR_BLOCK + 6, relaxed);
}
static void last_free_out_of_range(struct scene *s)
{
    qa_store(&s->z->slot_states[2].recent[1], FAR_BLOCK + 6, relaxed);
}
static void start_out_of_range(struct scene *s)
{
    qa_store(&s->z->slot_states[2].near[3], 2 * BLOCK, relaxed);
}
static void isolation_untold(struct scene *s)
{
    qa_store(&s->z->head->isolations[0], 0, relaxed);
}
static void isolations_miscounted(struct scene *s)
{
    qa_add(&s->z->head->isolating, 1, relaxed);
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

static void run_refused(struct scene *s)
{
    qi_watch_know(s->z, 1, qi_watch_arm(s->z, 1));
}
static void block_refused(struct scene *s)
{
    qi_watch_know(s->z, BLOCK_ORDER, qi_watch_arm(s->z, BLOCK_ORDER));
}

/* ---- What it is called ------------------------------------------------------------------- */

#define WHOLE(order) (D_WHOLE | (order) << D_ORDER_SHIFT)
#define OWNER(slot)  (((slot) + 1) << D_OWNER_SHIFT)

static const struct {
    const char *what;
    void (*change)(struct scene *s, uint32_t b, uint32_t x, uint32_t y);
    uint32_t b, x, y;
} changes[] = {
    {"a free frame continues a run", flip_frame, FIRST + 6, 5, 0},
    {"a run goes on behind a free frame", flip_frame, FIRST + 6, 0, 0},
    {"a free frame continues a run", flip_run, FIRST + 7, 511, 0},
    {"a frame byte tells of what was not handed out", flip_frame, FIRST + 1, 0, 0},
    {"a frame byte tells of what was not handed out", set_byte, FIRST + 3, 0, BYTE_SINGLE},
    {"a frame byte tells of what was not handed out", set_byte, FIRST + 4, 3, BYTE_SINGLE},
    {"a frame byte tells of another length", set_byte, FIRST + 1, 0, BYTE_SINGLE + 1},
    {"a frame byte tells of another length", set_byte, FIRST + 2, 0, BYTE_CONTIG},
    {"free frames counted and found", flip_frame, FIRST + 7, 300, 0},
    {"a reserved frame is free or in a run", flip_frame, FIRST, 7, 0},
    {"a reserved frame is free or in a run", flip_run, FIRST, 7, 0},
    {"a block with pins has no entry", change_desc, FIRST + 1, 0, D_PINS},
    {"pins of a block that does not tell of them", change_desc, FIRST, D_PINS, 0},
    {"a home's owner is no slot", change_desc, FIRST + 1, D_OWNER, OWNER(4)},
    {"a home that its slot does not know", change_desc, FIRST + 1, D_OWNER, OWNER(1)},
    {"a home that its slot does not know", change_desc, FIRST + 1, 0, D_CLASS},
    {"a wholly free block was not made whole", open_desc, FIRST + 5, D_STATE, D_SPLIT},
    {"no hint shows a block's free frames", set_full, FIRST + 7, 0, 0},
    {"no hint shows a block's free run", set_hole, FIRST + 7, 0, 0},
    {"no hint shows a block's free run", set_hole, FIRST + 7, 1, 0},
    {"a block's hint of free runs", set_hole, FIRST + 7, HOLE_MOST + 1, 0},
    {"no hint shows a section's free run", set_sparse, 0, 0, 0},
    {"no hint shows a section's free run", set_sparse, 0, 1, 0},
    {"the map of a block that is not split", flip_frame, FIRST + 5, 200, 0},
    {"the map of a block that is not split", flip_frame, FIRST + 3, 200, 0},
    {"the run map of a block that is not split", flip_run, FIRST + 4, 200, 0},
    {"a descriptor with bits that its state has not", change_desc, FIRST + 5, 0, D_PINS},
    {"descriptor and section disagree", flip_section, FIRST + 5, 0, 0},
    {"descriptor and section disagree", flip_section, FIRST + 4, 0, 0},
    {"a run of blocks has the wrong length", change_desc, FIRST + 3, D_STATE, WHOLE(9)},
    {"a run of blocks has the wrong length", change_desc, FIRST + 4, D_STATE | D_ORDER, D_TAIL},
    {"the order of a run of blocks", change_desc, FIRST + 4, D_ORDER, WHOLE(8)},
    {"a run of blocks is not aligned", change_desc, FIRST + 2, D_ORDER, WHOLE(11)},
    {"a run of blocks goes on behind the end of its memory", change_desc, FAR_BLOCK + 4, D_ORDER,
     WHOLE(10)},
    {"a block is left half changed", change_desc, FIRST + 4, D_STATE | D_ORDER, D_MOVING},
    {"no hint shows a section's free blocks", set_wholes, 0, 0, 0},
    {"no hint shows a section's free blocks", set_wholes, 1, 1, 0},
    {"a section's hint of free blocks", set_wholes, 0, WHOLES_TOP + 1, 0},
    {"a block without a map is free", flip_section, FAR_BLOCK + 5, 0, 0},
    {"a frame that an isolation holds is free", flip_frame, FAR_BLOCK + 3, 77, 0},
};

static const struct {
    const char *what;
    void (*damage)(struct scene *s);
} damages[] = {
    {"a hole is not pinned", hole_unpinned},
    {"an order is refused of which a run is free", run_refused},
    {"an order is refused of which a run is free", block_refused},
    {"an entry of the pin table that no look-up finds", pin_entry_twice},
    {"entries of the pin table counted and found", pins_miscounted},
    {"a slot's credit is negative", credit_negative},
    {"a slot's home is out of range", home_out_of_range},
    {"a slot's last free is out of range", last_free_out_of_range},
    {"a slot starts to look out of range", start_out_of_range},
    {"a block and the list of isolated ranges disagree", isolation_untold},
    {"isolated ranges counted and found", isolations_miscounted},
    {"free frames counted and found", total_wrong},
    {"managed frames counted and found", managed_wrong},
    {"reserved frames counted and found", reserved_wrong},
    {"the level of the watermarks", level_wrong},
};

/* The zone was damaged: what is it called? Then the damage is taken back. */
static void expect(struct scene *s, const char *what)
{
    struct quire_fault v = {.what = "nothing"};

    if (quire_zone_check(s->z, &v) != QUIRE_ERR_DAMAGED || v.error != QUIRE_ERR_DAMAGED ||
        quire_zone_check(s->z, NULL) != QUIRE_ERR_DAMAGED || strcmp(v.what, what) != 0)
        fail_msg("\"%s\" was told as \"%s\"", what, v.what);
    memcpy(s->f.metadata, s->copy, s->f.bytes);
    assert_ok(quire_zone_check(s->z, &v));
}

static void each_damage_is_named(void **state)
{
    (void)state;
    struct scene s;

    scene_open(&s);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        changes[i].change(&s, changes[i].b, changes[i].x, changes[i].y);
        expect(&s, changes[i].what);
    }
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        damages[i].damage(&s);
        expect(&s, damages[i].what);
    }
    scene_close(&s);
}

/* Is this bit one that a sound zone may have either way? Which of the allocated frames form a run
 * is known to their owner alone, a descriptor's class steers the choice of a home, what
 * it says of an isolation's words may lag, and that of a block without a map is not looked at. */
static bool is_free_choice(const struct scene *s, uint64_t bit)
{
    uint64_t descs = (uint64_t)(s->z->descs - (unsigned char *)s->f.metadata) * 8;
    uint64_t maps = (uint64_t)(s->z->maps - (unsigned char *)s->f.metadata) * 8;
    uint32_t b;

    if (bit < maps) {
        uint32_t steers = D_CLASS;

        b = (uint32_t)((bit - descs) / 32);
        if (bit < descs)
            return false;
        if (desc_state(qa_load(desc_of(s->z, b), relaxed)) == D_ISOLATED)
            steers |= 0xffu << D_SWEPT_SHIFT;
        if (desc_state(qa_load(desc_of(s->z, b), relaxed)) == D_FREE) /* relaxed: alone */
            steers |= D_CHANGED | (uint32_t)UINT16_MAX << D_AGE_SHIFT;
        return !has_map(s->z, b) || steers >> (bit - descs) % 32 & 1;
    }
    b = (uint32_t)(s->z->first_block + (bit - maps) / (2 * MAP_BITS));
    bit = (bit - maps) % (2 * MAP_BITS);
    return desc_divided(qa_load(desc_of(s->z, b), relaxed)) && bit >= MAP_BITS &&
           qa_load(&frame_map(s->z, b)->w[(bit - MAP_BITS) / WORD_BITS], relaxed) >>
                   bit % WORD_BITS &
               1;
}

/* Whatever bit is flipped of those that decide which frames are free, it is seen: section bits,
 * descriptors, frame maps, run maps. */
static void every_bit_matters(void **state)
{
    (void)state;
    struct scene s;
    struct quire_fault v;
    unsigned char *bytes;
    uint64_t flipped = 0, end;

    scene_open(&s);
    bytes = s.f.metadata;
    end = (uint64_t)(s.z->maps - bytes) + (s.z->end_block - s.z->first_block) * s.z->map_stride;
    for (uint64_t bit = (uint64_t)(s.z->section_maps - bytes) * 8; bit < end * 8; bit++) {
        if ((bytes + bit / 8 >= s.z->fulls && bytes + bit / 8 < s.z->descs) ||
            is_free_choice(&s, bit))
            continue;
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        if (quire_zone_check(s.z, &v) == QUIRE_OK)
            fail_msg("bit %u of byte %u: not seen", (unsigned)bit % 8, (unsigned)(bit / 8));
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        flipped++;
    }
    assert_true(flipped > (s.z->end_block - s.z->first_block) * MAP_BITS);
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
