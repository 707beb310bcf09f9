/* SPDX-License-Identifier: MIT
 *
 * contig.c - contiguous runs of any length under the constraints of a device.
 */
#include "stress/common/random.h"
#include "stress/common/zone_fixture.h"

#include <string.h>

enum { PAGE = QUIRE_FRAME_SIZE };

static int try(struct fixture *f, struct quire_contig want, quire_pfn *pfn)
{
    return quire_zone_alloc_contig(&f->zone, slot(0), &want, 0, pfn);
}

static uint64_t take(struct fixture *f, struct quire_contig want)
{
    quire_pfn pfn = {UINT64_MAX};
    assert_ok(try(f, want, &pfn));
    assert_state(f, pfn.n, 1, QUIRE_FRAME_USED);
    if (want.frames > 1) {
        assert_state(f, pfn.n + 1, want.frames - 1, QUIRE_FRAME_INSIDE);
    }
    return pfn.n;
}

static void give(struct fixture *f, uint64_t pfn, uint64_t frames)
{
    assert_ok(quire_zone_free_contig(&f->zone, slot(1), at(pfn), frames));
}

/* Every length around the borders of words and blocks, at starts around them too; read back and
 * freed by its exact length only. */
static void lengths_and_starts(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {1,   2,   3,   63,  64,  65,   127,  128, 129,
                                       448, 511, 512, 513, 576, 1023, 1024, 1025};
    static const uint64_t starts[] = {0,   1,   62,  63,  64,  65,  127,
                                      300, 448, 510, 511, 512, 513, 1000};
    const uint64_t base = 33 * BLOCK;
    struct fixture f;
    fixture_simple(&f, base, 4 * BLOCK + 100);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (size_t j = 0; j < sizeof starts / sizeof starts[0]; j++) {
            uint64_t frames = 0;
            uint64_t n = lengths[i];
            uint64_t pfn =
                take(&f, (struct quire_contig){.frames = n, .low = (base + starts[j]) * PAGE});
            assert_int_equal(pfn, base + starts[j]);
            assert_sound(&f, 4 * BLOCK + 100 - n);
            assert_ok(quire_zone_run_length(&f.zone, at(pfn), &frames));
            assert_int_equal(frames, n);
            assert_int_not_equal(quire_zone_free_contig(&f.zone, slot(0), at(pfn), n + 1), 0);
            if (n > 1) {
                assert_refused(&f, quire_zone_free_contig(&f.zone, slot(0), at(pfn), n - 1),
                               QUIRE_ERR_ORDER);
            }
            give(&f, pfn, n);
            assert_sound(&f, 4 * BLOCK + 100);
        }
    }
    assert_int_equal(must_alloc(&f, 10) % 1024, 0);
    fixture_close(&f);
}

static void neighbours(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t frames;
    fixture_simple(&f, 0, 4 * BLOCK);
    for (uint64_t n = 0; n < 4 * BLOCK / 100; n++) {
        assert_int_equal(take(&f, (struct quire_contig){.frames = 100}), n * 100);
    }
    for (uint64_t n = 0; n < 4 * BLOCK / 100; n++) {
        assert_ok(quire_zone_run_length(&f.zone, at(n * 100), &frames));
        assert_int_equal(frames, 100);
    }
    assert_refused(&f, quire_zone_free_contig(&f.zone, slot(0), at(400), 200), QUIRE_ERR_ORDER);
    for (uint64_t n = 0; n < 4 * BLOCK / 100; n += 2) {
        give(&f, n * 100, 100);
    }
    quire_pfn pfn;
    assert_refused(&f, try(&f, (struct quire_contig){.frames = 101}, &pfn), QUIRE_ERR_NO_MEMORY);
    assert_int_equal(take(&f, (struct quire_contig){.frames = 100}), 0);
    fixture_close(&f);
}

static void alignment(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn pfn;
    fixture_simple(&f, 3, 8 * BLOCK);
    for (uint64_t align = 1; align <= 2048 * PAGE; align *= 2) {
        uint64_t step = align > PAGE ? align / PAGE : 1;
        uint64_t n = take(&f, (struct quire_contig){.frames = 5, .align = align});
        assert_int_equal(n, (3 + step - 1) / step * step);
        give(&f, n, 5);
    }
    assert_refused(&f,
                   try(&f, (struct quire_contig){.frames = 1, .align = UINT64_C(1) << 63}, &pfn),
                   QUIRE_ERR_NO_MEMORY);
    assert_refused(&f, try(&f, (struct quire_contig){.frames = 1, .align = 3}, &pfn),
                   QUIRE_ERR_ALIGN);
    assert_refused(&f, try(&f, (struct quire_contig){.frames = 1, .align = 4097}, &pfn),
                   QUIRE_ERR_ALIGN);
    fixture_close(&f);
}

static void boundary(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn pfn;
    fixture_simple(&f, 10, 3 * BLOCK);
    assert_int_equal(take(&f, (struct quire_contig){.frames = 6, .boundary = 16 * PAGE}), 10);
    assert_int_equal(take(&f, (struct quire_contig){.frames = 9, .boundary = 16 * PAGE}), 16);
    assert_int_equal(take(&f, (struct quire_contig){.frames = 8, .boundary = 16 * PAGE}), 32);
    assert_int_equal(take(&f, (struct quire_contig){.frames = 7, .boundary = 16 * PAGE}), 25);
    assert_int_equal(take(&f, (struct quire_contig){.frames = 16, .boundary = 16 * PAGE}), 48);
    assert_int_equal(take(&f, (struct quire_contig){.frames = 300, .boundary = BLOCK * PAGE}), 64);
    assert_int_equal(take(&f, (struct quire_contig){.frames = 300, .boundary = BLOCK * PAGE}),
                     BLOCK);
    assert_int_equal(take(&f, (struct quire_contig){.frames = 1, .boundary = PAGE}), 40);
    assert_refused(&f, try(&f, (struct quire_contig){.frames = 2, .boundary = PAGE}, &pfn),
                   QUIRE_ERR_SIZE);
    assert_refused(&f, try(&f, (struct quire_contig){.frames = 17, .boundary = 16 * PAGE}, &pfn),
                   QUIRE_ERR_SIZE);
    assert_refused(&f, try(&f, (struct quire_contig){.frames = 1, .boundary = 2048}, &pfn),
                   QUIRE_ERR_ALIGN);
    assert_refused(&f, try(&f, (struct quire_contig){.frames = 1, .boundary = 3 * PAGE}, &pfn),
                   QUIRE_ERR_ALIGN);
    fixture_close(&f);
}

/* Addresses are in bytes and `high` is inclusive: one byte decides. */
static void low_and_high(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn pfn;
    fixture_simple(&f, 0, 2 * BLOCK);
    assert_int_equal(take(&f, (struct quire_contig){.frames = 1, .low = 1}), 1);
    assert_int_equal(take(&f, (struct quire_contig){.frames = 1, .low = 100 * PAGE}), 100);
    assert_int_equal(take(&f, (struct quire_contig){.frames = 1, .low = 102 * PAGE - 1}), 102);
    assert_int_equal(
        take(&f, (struct quire_contig){.frames = 3, .low = 200 * PAGE, .high = 203 * PAGE - 1}),
        200);
    assert_refused(
        &f,
        try(&f, (struct quire_contig){.frames = 3, .low = 300 * PAGE, .high = 303 * PAGE - 2},
            &pfn),
        QUIRE_ERR_NO_MEMORY);
    assert_refused(
        &f,
        try(&f, (struct quire_contig){.frames = 3, .low = 300 * PAGE + 1, .high = 303 * PAGE - 1},
            &pfn),
        QUIRE_ERR_NO_MEMORY);
    assert_refused(&f, try(&f, (struct quire_contig){.frames = 1, .low = 9, .high = 8}, &pfn),
                   QUIRE_ERR_SIZE);
    assert_int_equal(take(&f, (struct quire_contig){.frames = 10, .high = UINT64_MAX}), 2);
    assert_refused(&f, try(&f, (struct quire_contig){.frames = 1, .low = UINT64_MAX}, &pfn),
                   QUIRE_ERR_NO_MEMORY);
    assert_refused(&f, try(&f, (struct quire_contig){.frames = 1, .low = 2 * BLOCK * PAGE}, &pfn),
                   QUIRE_ERR_NO_MEMORY);
    assert_int_equal(take(&f, (struct quire_contig){.frames = 1, .high = PAGE - 1}), 0);
    fixture_close(&f);
}

static void bad_lengths(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn pfn;
    fixture_simple(&f, 0, 2 * BLOCK);
    assert_refused(&f, try(&f, (struct quire_contig){.frames = 0}, &pfn), QUIRE_ERR_SIZE);
    assert_refused(&f, try(&f, (struct quire_contig){.frames = 2 * BLOCK + 1}, &pfn),
                   QUIRE_ERR_SIZE);
    assert_refused(&f, try(&f, (struct quire_contig){.frames = UINT64_MAX}, &pfn), QUIRE_ERR_SIZE);
    struct quire_contig one = {.frames = 1};
    assert_refused(&f, quire_zone_alloc_contig(&f.zone, slot(4), &one, 0, &pfn), QUIRE_ERR_SIZE);
    assert_refused(&f, quire_zone_alloc_contig(&f.zone, slot(0), &one, QUIRE_PARTIAL, &pfn),
                   QUIRE_ERR_UNSUPPORTED);
    fixture_close(&f);
}

/* One frame more than the zone has is too long, whatever its blocks have room for; as many as it
 * has are not. What is reserved it does not have. */
static void longer_than_the_zone(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn pfn;
    fixture_begin(&f);
    fixture_usable(&f, 10, 1000);
    fixture_reserved(&f, 1010, 7);
    fixture_open(&f);
    assert_refused(&f, try(&f, (struct quire_contig){.frames = 1001}, &pfn), QUIRE_ERR_SIZE);
    assert_refused(&f, try(&f, (struct quire_contig){.frames = 2 * BLOCK}, &pfn), QUIRE_ERR_SIZE);
    assert_int_equal(take(&f, (struct quire_contig){.frames = 1000}), 10);
    give(&f, 10, 1000);
    assert_ok(quire_zone_unreserve(&f.zone, slot(0), at(1010), 7));
    assert_int_equal(take(&f, (struct quire_contig){.frames = 1007}), 10);
    assert_refused(&f, try(&f, (struct quire_contig){.frames = 1007}, &pfn), QUIRE_ERR_NO_MEMORY);
    assert_refused(&f, try(&f, (struct quire_contig){.frames = 1008}, &pfn), QUIRE_ERR_SIZE);
    give(&f, 10, 1007);
    assert_ok(quire_zone_reserve(&f.zone, slot(0), at(500), 1));
    assert_refused(&f, try(&f, (struct quire_contig){.frames = 1007}, &pfn), QUIRE_ERR_SIZE);
    assert_refused(&f, try(&f, (struct quire_contig){.frames = 1006}, &pfn), QUIRE_ERR_NO_MEMORY);
    fixture_close(&f);
}

/* From the middle of one section through another into a third. */
static void more_than_a_gigabyte(void **state)
{
    (void)state;
    const uint64_t base = 5 * (uint64_t)SECTION;
    const uint64_t frames = SECTION + 300 * BLOCK + 11;
    struct fixture f;
    uint64_t length;
    fixture_simple(&f, base, 3 * (uint64_t)SECTION);
    struct quire_contig want = {.frames = frames, .low = (base + 400 * BLOCK + 77) * PAGE};
    uint64_t pfn = take(&f, want);
    assert_int_equal(pfn, base + 400 * BLOCK + 77);
    assert_sound(&f, 3 * (uint64_t)SECTION - frames);
    assert_ok(quire_zone_run_length(&f.zone, at(pfn), &length));
    assert_int_equal(length, frames);
    assert_refused(&f, quire_zone_free_contig(&f.zone, slot(0), at(pfn), frames - 1),
                   QUIRE_ERR_ORDER);
    assert_ok(quire_zone_free_any(&f.zone, slot(0), at(pfn)));
    assert_sound(&f, 3 * (uint64_t)SECTION);
    (void)must_alloc(&f, 19);
    fixture_close(&f);
}

/* Between frames in use, the lowest gap that fits is taken, even where it spans blocks. */
static void lowest_gap(void **state)
{
    (void)state;
    struct fixture f;
    fixture_simple(&f, 0, 6 * BLOCK);
    static const uint64_t used[] = {50, 500, 600, 3 * BLOCK + 5};
    for (size_t i = 0; i < sizeof used / sizeof used[0]; i++) {
        assert_ok(quire_zone_alloc_at(&f.zone, slot(0), at(used[i]), 0, 0));
    }
    assert_int_equal(take(&f, (struct quire_contig){.frames = 51}), 51);
    assert_int_equal(take(&f, (struct quire_contig){.frames = 99}), 102);
    assert_int_equal(take(&f, (struct quire_contig){.frames = 700}), 601);
    assert_int_equal(take(&f, (struct quire_contig){.frames = 99}), 201);
    assert_int_equal(take(&f, (struct quire_contig){.frames = 99, .low = 450 * PAGE}), 501);
    assert_int_equal(take(&f, (struct quire_contig){.frames = 2 * BLOCK}), 3 * BLOCK + 6);
    fixture_close(&f);
}

static void not_across_extents(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn pfn;
    fixture_begin(&f);
    fixture_usable(&f, 2 * (uint64_t)SECTION - BLOCK, BLOCK);
    fixture_usable(&f, 3 * (uint64_t)SECTION, BLOCK);
    fixture_open(&f);
    assert_int_equal(try(&f, (struct quire_contig){.frames = BLOCK + 1}, &pfn),
                     QUIRE_ERR_NO_MEMORY);
    assert_int_equal(take(&f, (struct quire_contig){.frames = BLOCK}),
                     2 * (uint64_t)SECTION - BLOCK);
    assert_int_equal(take(&f, (struct quire_contig){.frames = BLOCK}), 3 * (uint64_t)SECTION);
    fixture_close(&f);
}

/* A zone without run map cannot know the length, but claims and frees the same frames. */
static void without_run_map(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn pfn = {UINT64_MAX};
    fixture_begin(&f);
    f.config.no_run_map = true;
    fixture_usable(&f, 0, 4 * BLOCK);
    fixture_open(&f);
    assert_ok(try(&f, (struct quire_contig){.frames = 1111, .low = 100 * PAGE}, &pfn));
    assert_int_equal(pfn.n, 100);
    assert_sound(&f, 4 * BLOCK - 1111);
    give(&f, 100, 1111);
    assert_sound(&f, 4 * BLOCK);
    assert_int_equal(must_alloc(&f, 11), 0);
    fixture_close(&f);
}

/* Two split blocks of which nothing is free, and no other frame is. */
static void two_full_blocks(struct fixture *f)
{
    fixture_simple(f, 0, 4 * BLOCK);
    for (uint64_t b = 0; b < 4; b++) {
        assert_ok(quire_zone_alloc_at(&f->zone, slot(0), at(b * BLOCK), 9, 0));
        if (b < 2) {
            assert_ok(quire_zone_split(&f->zone, slot(0), at(b * BLOCK), 9));
        }
    }
}

static void free_singly(struct fixture *f, uint64_t pfn, uint64_t frames)
{
    for (uint64_t i = 0; i < frames; i++) {
        must_free(f, pfn + i, 0);
    }
}

/* Blocks are passed by only if their hole byte shows that nothing fits: a stretch that lies across
 * the places of aligned runs shows but half of itself. */
static void half_shown_is_found(void **state)
{
    (void)state;
    struct fixture f;
    two_full_blocks(&f);
    free_singly(&f, 17, 30);
    free_singly(&f, BLOCK + 65, 64);
    assert_int_equal(take(&f, (struct quire_contig){.frames = 64}), BLOCK + 65);
    assert_int_equal(take(&f, (struct quire_contig){.frames = 30}), 17);
    free_singly(&f, 200, 31); /* of which 208 .. 223 are aligned, and no 32 are */
    assert_int_equal(take(&f, (struct quire_contig){.frames = 31}), 200);
    fixture_close(&f);
}

/* What is passed by inside counts at its ends. */
static void ends_of_blocks_count(void **state)
{
    (void)state;
    struct fixture f;
    two_full_blocks(&f);
    free_singly(&f, BLOCK - 4, 20);
    assert_int_equal(take(&f, (struct quire_contig){.frames = 20}), BLOCK - 4);
    free_singly(&f, 0, 3);
    free_singly(&f, BLOCK + 100, 6);
    free_singly(&f, 2 * BLOCK - 16, 8);
    assert_int_equal(take(&f, (struct quire_contig){.frames = 8}), 2 * BLOCK - 16);
    fixture_close(&f);
}

/* A stretch over the border of two blocks, of every part of it in the first one: whichever hole
 * byte shows a run of it, the rest in the other block counts. With and without alignment; blocks 63
 * and 64 are looked at apart from each other. A whole block behind is not the lowest place. */
static void over_a_border(uint64_t border, uint64_t step)
{
    static const uint64_t some[] = {31, 32, 47, 48, 63, 64, 65, 80, 100, 128, 200, 300, 511};
    for (unsigned i = 0; i < sizeof some / sizeof some[0]; i++) {
        for (uint64_t before = 1; before < some[i]; before += step) {
            uint64_t place = border * BLOCK - before, align = before % 16 ? 1 : 16;
            struct fixture f;
            fixture_simple(&f, 0, (border + 2) * BLOCK); /* the last one stays whole */
            for (uint64_t b = 0; b <= border; b++) {
                assert_ok(quire_zone_alloc_at(&f.zone, slot(0), at(b * BLOCK), 9, 0));
                assert_ok(quire_zone_split(&f.zone, slot(0), at(b * BLOCK), 9));
            }
            free_singly(&f, place, some[i]);
            assert_int_equal(
                take(&f, (struct quire_contig){.frames = some[i], .align = align * PAGE}), place);
            fixture_close(&f);
        }
    }
}

static void over_borders(void **state)
{
    (void)state;
    over_a_border(1, 3);
    over_a_border(2, 1);
    over_a_border(64, 15);
    over_a_border(65, 15);
}

/* ---- Against a search that looks at every frame --------------------------------------------- */

enum { SOME_BLOCKS = 5, MANY_BLOCKS = 131 };

/* The lowest place of n free frames at a multiple of `align`, from `low` on; `end` if none. */
static uint64_t lowest_of(const bool used[], uint64_t end, uint64_t n, uint64_t align, uint64_t low)
{
    for (uint64_t place = (low + align - 1) / align * align; place + n <= end; place += align) {
        uint64_t i = 0;
        while (i < n && !used[place + i]) {
            i++;
        }
        if (i == n) {
            return place;
        }
    }
    return end;
}

/* Frames in use at random, here a few and there many, so that stretches of all lengths are free. Of
 * `long_ones` in 4 stretches the free ones are long. */
static void litter(struct fixture *f, bool used[], uint64_t end, unsigned long_ones,
                   uint64_t *state)
{
    for (uint64_t at_frame = 0; at_frame < end;) {
        uint64_t r = random_next(state), length = 1 + (r >> 8) % ((r & 3) < long_ones ? 150 : 12);
        for (; length > 0 && at_frame < end; length--, at_frame++) {
            used[at_frame] = r >> 2 & 1;
            if (used[at_frame]) {
                assert_ok(quire_zone_alloc_at(&f->zone, slot(0), at(at_frame), 0, 0));
            }
        }
    }
}

/* Take the lowest place, which must be `place`, or none if that is `end`, and give it back. */
static void take_lowest(struct fixture *f, struct quire_contig want, uint64_t place, uint64_t end)
{
    quire_pfn pfn = {UINT64_MAX};
    if (place == end) {
        assert_error(try(f, want, &pfn), QUIRE_ERR_NO_MEMORY);
        return;
    }
    assert_ok(try(f, want, &pfn));
    assert_int_equal(pfn.n, place);
    give(f, place, want.frames);
}

static const uint64_t some_lengths[] = {1,  2,  15, 16, 17,  30,  31,  32, 47,
                                        48, 64, 80, 96, 127, 150, 300, 600};
enum { LENGTHS = sizeof some_lengths / sizeof some_lengths[0] };

static void lowest_of_all(void **state)
{
    (void)state;
    uint64_t random = 11;
    for (unsigned round = 0; round < 20; round++) {
        bool used[SOME_BLOCKS * BLOCK];
        const uint64_t end = SOME_BLOCKS * BLOCK;
        struct fixture f;
        fixture_simple(&f, 0, end);
        litter(&f, used, end, 1, &random);
        for (unsigned i = 0; i < 120; i++) {
            uint64_t r = random_next(&random), n = some_lengths[r % LENGTHS],
                     align = 1u << (r >> 8) % 8;
            uint64_t low = r >> 16 & 1 ? 0 : (r >> 17) % end;
            struct quire_contig want = {.frames = n, .align = align * PAGE, .low = low * PAGE};
            take_lowest(&f, want, lowest_of(used, end, n, align, low), end);
        }
        fixture_close(&f);
    }
}

/* Free the upper part of block b from `place` on, frame by frame, but not what is a run. */
static void empty_block(struct fixture *f, bool used[], const bool run[], uint64_t b,
                        uint64_t place)
{
    for (uint64_t frame = b * BLOCK + place; !run[b] && frame < (b + 1) * BLOCK; frame++) {
        if (used[frame]) {
            give(f, frame, 1);
            used[frame] = false;
        }
    }
}

/* The same where blocks are looked at by 64 and most cannot hold what is wanted: some become free
 * or half free, and some of these runs of two blocks. Places lie in two of the 64s too. */
static void lowest_of_many_blocks(void **state)
{
    (void)state;
    static bool used[MANY_BLOCKS * BLOCK];
    uint64_t random = 12;
    for (unsigned round = 0; round < 3; round++) {
        bool run[MANY_BLOCKS] = {false};
        struct fixture f;
        fixture_simple(&f, 0, MANY_BLOCKS * BLOCK);
        litter(&f, used, MANY_BLOCKS * BLOCK, round, &random);
        for (unsigned i = 0; i < 500; i++) {
            uint64_t r = random_next(&random), n = some_lengths[3 + r % (LENGTHS - 3)];
            uint64_t align = 1u << (r >> 8) % 12,
                     low = r >> 16 & 3 ? 62 * BLOCK + (r >> 24) % 1500 : 0;
            uint64_t end = r >> 20 & 1 ? MANY_BLOCKS * BLOCK : 66 * BLOCK;
            struct quire_contig want = {
                .frames = n, .align = align * PAGE, .low = low * PAGE, .high = end * PAGE - 1};
            take_lowest(&f, want, lowest_of(used, end, n, align, low), end);
            if (i % 16 == 0) {
                empty_block(&f, used, run, (r >> 40) % MANY_BLOCKS, (r >> 32) % 3 * BLOCK / 4);
            }
            uint64_t pair = (r >> 40) % (MANY_BLOCKS / 2) * 2;
            if (quire_zone_alloc_at(&f.zone, slot(0), at(pair * BLOCK), 10, 0) == QUIRE_OK) {
                memset(used + pair * BLOCK, true, 2 * BLOCK);
                run[pair] = run[pair + 1] = true;
            }
        }
        fixture_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_and_starts),
        cmocka_unit_test(neighbours),
        cmocka_unit_test(alignment),
        cmocka_unit_test(boundary),
        cmocka_unit_test(low_and_high),
        cmocka_unit_test(bad_lengths),
        cmocka_unit_test(longer_than_the_zone),
        cmocka_unit_test(more_than_a_gigabyte),
        cmocka_unit_test(lowest_gap),
        cmocka_unit_test(not_across_extents),
        cmocka_unit_test(without_run_map),
        cmocka_unit_test(half_shown_is_found),
        cmocka_unit_test(ends_of_blocks_count),
        cmocka_unit_test(over_borders),
        cmocka_unit_test(lowest_of_all),
        cmocka_unit_test(lowest_of_many_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
