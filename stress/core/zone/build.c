/* SPDX-License-Identifier: MIT
 *
 * build.c - building zones: what a configuration may say, how large the metadata is, what becomes
 * of holes, partial blocks, and sections that are far apart.
 */
#include "stress/common/zone_fixture.h"

#include <stdlib.h>
#include <string.h>

static int size_of(const struct fixture *f)
{
    struct quire_fault fault = {.what = NULL};
    size_t bytes;
    int error = quire_zone_metadata_size(&f->config, &bytes);
    if (error != QUIRE_OK) { /* and it is told why */
        assert_int_equal(quire_zone_config_check(&f->config, NULL), error);
        assert_int_equal(quire_zone_config_check(&f->config, &fault), error);
        assert_int_equal(fault.error, error);
        assert_non_null(fault.what);
        assert_true(fault.found != fault.expected);
    }
    return error;
}

static void no_usable_frame(void **state)
{
    (void)state;
    struct fixture f;
    fixture_begin(&f);
    assert_int_equal(size_of(&f), QUIRE_ERR_SIZE);
    fixture_reserved(&f, 0, BLOCK);
    assert_int_equal(size_of(&f), QUIRE_ERR_SIZE);
}

static void slots_out_of_range(void **state)
{
    (void)state;
    struct fixture f;
    fixture_begin(&f);
    fixture_usable(&f, 0, BLOCK);
    f.config.slots = 0;
    assert_int_equal(size_of(&f), QUIRE_ERR_SIZE);
    f.config.slots = QUIRE_ZONE_MAX_SLOTS + 1;
    assert_int_equal(size_of(&f), QUIRE_ERR_SIZE);
    f.config.slots = QUIRE_ZONE_MAX_SLOTS;
    assert_ok(size_of(&f));
}

static void watermarks_out_of_range(void **state)
{
    (void)state;
    static const uint64_t wrong[][3] = {{2, 1, 3}, {1, 3, 2}, {3, 2, 1}, {BLOCK, 5, BLOCK}};
    struct fixture f;
    fixture_begin(&f);
    fixture_usable(&f, 0, BLOCK);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        f.config.min = wrong[i][0];
        f.config.low = wrong[i][1];
        f.config.high = wrong[i][2];
        assert_int_equal(size_of(&f), QUIRE_ERR_SIZE);
    }
    f.config.min = f.config.low = f.config.high = 7;
    f.config.lowmem_reserve = UINT64_C(1) << QUIRE_PFN_BITS;
    assert_int_equal(size_of(&f), QUIRE_ERR_SIZE);
    f.config.lowmem_reserve--;
    assert_ok(size_of(&f));
}

static void runs_out_of_range(void **state)
{
    (void)state;
    const uint64_t top = UINT64_C(1) << QUIRE_PFN_BITS;
    static const struct quire_run beyond[] = {
        {{UINT64_C(1) << QUIRE_PFN_BITS}, 1},
        {{(UINT64_C(1) << QUIRE_PFN_BITS) - 1}, 2},
        {{1}, UINT64_MAX},
        {{UINT64_MAX}, 1},
        {{0}, UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
        struct fixture f;
        fixture_begin(&f);
        fixture_usable(&f, beyond[i].pfn.n, beyond[i].frames);
        assert_int_equal(size_of(&f), QUIRE_ERR_SIZE);
        f.config.usable_count = 0;
        fixture_usable(&f, 0, 1);
        fixture_reserved(&f, beyond[i].pfn.n, beyond[i].frames);
        assert_int_equal(size_of(&f), QUIRE_ERR_SIZE);
    }
    struct fixture f;
    fixture_simple(&f, top - 1, 1);
    assert_int_equal(must_alloc(&f, 0), top - 1);
    fixture_close(&f);
}

static void lists_out_of_order(void **state)
{
    (void)state;
    static const struct quire_run pairs[][2] = {
        {{{BLOCK}, 5}, {{0}, 5}}, {{{0}, 6}, {{5}, 5}}, {{{0}, 5}, {{0}, 5}}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct fixture f;
        fixture_begin(&f);
        fixture_usable(&f, pairs[i][0].pfn.n, pairs[i][0].frames);
        fixture_usable(&f, pairs[i][1].pfn.n, pairs[i][1].frames);
        assert_int_equal(size_of(&f), QUIRE_ERR_ALIGN);
        f.config.usable_count = 0;
        fixture_usable(&f, 4 * BLOCK, 1);
        fixture_reserved(&f, pairs[i][0].pfn.n, pairs[i][0].frames);
        fixture_reserved(&f, pairs[i][1].pfn.n, pairs[i][1].frames);
        assert_int_equal(size_of(&f), QUIRE_ERR_ALIGN);
    }
}

/* More stretches of sections than the handle has room for: the nearest are taken as one, and what
 * lies between them is a hole. */
static void many_extents(void **state)
{
    (void)state;
    enum { STRETCHES = QUIRE_ZONE_EXTENTS + 8 };
    struct quire_run runs[STRETCHES];
    struct quire_run e;
    uint32_t extents = 0;
    uint64_t held = 0;
    struct fixture f;
    fixture_begin(&f);
    for (size_t i = 0; i < STRETCHES; i++) {
        uint64_t gap = i < 20 ? 3 : 2;
        runs[i] = (struct quire_run){at(gap * i * SECTION), BLOCK};
    }
    for (size_t i = 20; i < STRETCHES; i++) {
        runs[i].pfn.n += 20 * (uint64_t)SECTION;
    }
    f.config.usable = runs;
    f.config.usable_count = STRETCHES;
    fixture_open(&f);
    assert_sound(&f, STRETCHES * BLOCK);
    while (quire_zone_extent(&f.zone, extents, &e) == 0) {
        extents++;
        for (size_t i = 0; i < STRETCHES; i++) {
            held += runs[i].pfn.n >= e.pfn.n && runs[i].pfn.n < e.pfn.n + e.frames ? 1 : 0;
        }
    }
    assert_in_range(extents, 1, QUIRE_ZONE_EXTENTS);
    assert_int_equal(held, STRETCHES);
    for (size_t i = 0; i < STRETCHES; i++) {
        uint64_t pfn = must_alloc(&f, 9);
        bool usable = false;
        for (size_t j = 0; j < STRETCHES; j++) {
            usable |= runs[j].pfn.n == pfn;
        }
        assert_true(usable);
    }
    assert_sound(&f, 0);
    fixture_close(&f);
}

static void metadata_wrong(void **state)
{
    (void)state;
    struct fixture f;
    struct quire_zone other = {.head = NULL};
    fixture_simple(&f, 0, 4 * BLOCK);
    unsigned char *spare = aligned_alloc(QUIRE_METADATA_ALIGN, 2 * QUIRE_METADATA_ALIGN + f.bytes -
                                                                   f.bytes % QUIRE_METADATA_ALIGN);
    assert_non_null(spare);
    assert_int_equal(quire_zone_init(&other, &f.config, spare, f.bytes - 1), QUIRE_ERR_SIZE);
    assert_int_equal(quire_zone_init(&other, &f.config, spare, 0), QUIRE_ERR_SIZE);
    assert_int_equal(quire_zone_init(&other, &f.config, spare + 64, f.bytes), QUIRE_ERR_ALIGN);
    assert_int_equal(quire_zone_init(&f.zone, &f.config, spare, f.bytes), QUIRE_ERR_INITIALISED);
    assert_ok(quire_zone_init(&other, &f.config, spare, f.bytes));
    assert_int_equal(quire_zone_init(&other, &f.config, spare, f.bytes), QUIRE_ERR_INITIALISED);
    assert_sound_at(&other, 4 * BLOCK, __FILE__, __LINE__);
    free(spare);
    fixture_close(&f);
}

/* About 0.031 % of the memory, 0.0064 % without frame bytes, 0.0034 % without the run map, and 512
 * bytes per slot; the head and the rounding to pages do not count for much in 64 GiB. */
static void metadata_size(void **state)
{
    (void)state;
    const uint64_t memory = UINT64_C(64) << 30;
    struct fixture f;
    size_t all;
    size_t with;
    size_t without;
    size_t slots;
    fixture_begin(&f);
    fixture_usable(&f, 0, 64 * (uint64_t)SECTION);
    assert_ok(quire_zone_metadata_size(&f.config, &all));
    f.config.no_frame_bytes = true;
    assert_ok(quire_zone_metadata_size(&f.config, &with));
    assert_int_equal(all - with, 64 * BLOCK * 512);
    assert_true((double)(all - with) <= 0.00025 * (double)memory);
    f.config.no_run_map = true;
    assert_ok(quire_zone_metadata_size(&f.config, &without));
    assert_in_range(with, memory / 1000000 * 60, memory / 1000000 * 66);
    assert_in_range(without, memory / 1000000 * 30, memory / 1000000 * 36);
    assert_int_equal(with - without, 64 * BLOCK * 64);
    f.config.slots += 1000;
    assert_ok(quire_zone_metadata_size(&f.config, &slots));
    assert_in_range(slots - without, 1000 * 512 - QUIRE_METADATA_ALIGN,
                    1000 * 512 + QUIRE_METADATA_ALIGN);
}

/* Metadata that reads as zeros and metadata full of rubbish give the same zone. */
static void metadata_zeroed(void **state)
{
    (void)state;
    struct fixture f;
    fixture_begin(&f);
    fixture_usable(&f, BLOCK + 3, 3 * BLOCK);
    fixture_open(&f);
    struct fixture zeroed = f;
    zeroed.config.metadata_zeroed = true;
    zeroed.zone = (struct quire_zone){.head = NULL};
    zeroed.metadata = aligned_alloc(QUIRE_METADATA_ALIGN, f.bytes + QUIRE_METADATA_ALIGN -
                                                              f.bytes % QUIRE_METADATA_ALIGN);
    assert_non_null(zeroed.metadata);
    memset(zeroed.metadata, 0, f.bytes);
    assert_ok(quire_zone_init(&zeroed.zone, &zeroed.config, zeroed.metadata, zeroed.bytes));
    assert_sound(&zeroed, 3 * BLOCK);
    for (unsigned i = 0; i < 3 * BLOCK; i++) {
        assert_int_equal(must_alloc(&f, 0), must_alloc(&zeroed, 0));
    }
    fixture_close(&zeroed);
    fixture_close(&f);
}

/* Frames that nobody may have stay away from every request, and are told apart. */
static void holes_and_reserved(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn pfn;
    fixture_begin(&f);
    fixture_usable(&f, 10, 100);
    fixture_usable(&f, 200, 313);
    fixture_usable(&f, 3 * BLOCK, BLOCK + 1);
    fixture_reserved(&f, 150, 50);
    fixture_reserved(&f, BLOCK + 1, BLOCK - 1);
    fixture_open(&f);
    assert_sound(&f, 100 + 313 + BLOCK + 1);
    assert_state(&f, 10, 100, QUIRE_FRAME_FREE);
    assert_state(&f, 110, 40, QUIRE_FRAME_HOLE);
    assert_state(&f, 150, 50, QUIRE_FRAME_RESERVED);
    assert_state(&f, 200, 313, QUIRE_FRAME_FREE);
    assert_state(&f, BLOCK + 1, BLOCK - 1, QUIRE_FRAME_RESERVED);
    assert_state(&f, 2 * BLOCK, BLOCK, QUIRE_FRAME_HOLE);
    assert_state(&f, 0, 10, QUIRE_FRAME_HOLE);
    assert_state(&f, 4 * BLOCK + 1, BLOCK - 1, QUIRE_FRAME_HOLE);
    while (quire_zone_alloc(&f.zone, slot(1), 0, 0, &pfn) == 0) {
        bool usable = (pfn.n >= 10 && pfn.n < 110) || (pfn.n >= 200 && pfn.n < 513) ||
                      (pfn.n >= 3 * BLOCK && pfn.n <= 4 * BLOCK);
        assert_true(usable);
    }
    assert_sound(&f, 0);
    fixture_close(&f);
}

static void extents_and_holds(void **state)
{
    (void)state;
    const uint64_t far = UINT64_C(1000) * SECTION;
    struct quire_run e;
    struct fixture f;
    fixture_begin(&f);
    fixture_usable(&f, 5 * (uint64_t)SECTION - BLOCK, BLOCK);
    fixture_usable(&f, far, 2 * (uint64_t)SECTION);
    fixture_open(&f);
    assert_ok(quire_zone_extent(&f.zone, 0, &e));
    assert_true(e.pfn.n <= 5 * (uint64_t)SECTION - BLOCK);
    assert_int_equal(e.pfn.n + e.frames, 5 * (uint64_t)SECTION);
    assert_ok(quire_zone_extent(&f.zone, 1, &e));
    assert_int_equal(e.pfn.n, far);
    assert_int_equal(e.frames, 2 * (uint64_t)SECTION);
    assert_int_equal(quire_zone_extent(&f.zone, 2, &e), QUIRE_ERR_SIZE);
    assert_true(quire_zone_holds(&f.zone, at(5 * (uint64_t)SECTION - 1)));
    assert_false(quire_zone_holds(&f.zone, at(5 * (uint64_t)SECTION)));
    assert_false(quire_zone_holds(&f.zone, at(far - 1)));
    assert_true(quire_zone_holds(&f.zone, at(far)));
    assert_true(quire_zone_holds(&f.zone, at(far + 2 * (uint64_t)SECTION - 1)));
    assert_false(quire_zone_holds(&f.zone, at(far + 2 * (uint64_t)SECTION)));
    assert_false(quire_zone_holds(&f.zone, at(UINT64_MAX)));
    assert_int_equal(quire_zone_metadata_bytes(&f.zone), f.bytes);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_usable_frame),         cmocka_unit_test(slots_out_of_range),
        cmocka_unit_test(watermarks_out_of_range), cmocka_unit_test(runs_out_of_range),
        cmocka_unit_test(lists_out_of_order),      cmocka_unit_test(many_extents),
        cmocka_unit_test(metadata_wrong),          cmocka_unit_test(metadata_size),
        cmocka_unit_test(metadata_zeroed),         cmocka_unit_test(holes_and_reserved),
        cmocka_unit_test(extents_and_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
