/* SPDX-License-Identifier: MIT
 *
 * tenant.c - slots keep apart, and memory heals all the same (core/blocks/tenant.h).
 */
#include "stress/common/random.h"
#include "stress/common/zone_fixture.h"

#include <stdlib.h>

enum {
    SECTIONS = 4,
    SLOTS = 2,
    RUN = 8,
    ROUNDS = 110, /* each replaces a tenth of what is held */
    WORD = 64,    /* blocks that have one tenant */
};

static void open_apart(struct fixture *f)
{
    fixture_begin(f);
    fixture_usable(f, 0, (uint64_t)SECTIONS * SECTION);
    f->config.slots = SLOTS;
    fixture_open(f);
}

static quire_pfn run_of(struct fixture *f, uint32_t s)
{
    quire_pfn pfn;

    assert_ok(quire_zone_alloc(&f->zone, slot(s), RUN, QUIRE_MOVABLE, &pfn));
    return pfn;
}

/* Slot 0 leaves a block half free, and goes on in another one; so does slot 1, elsewhere. */
static void leave_half_a_block(struct fixture *f, quire_pfn *half)
{
    *half = run_of(f, 0);
    (void)run_of(f, 0);
    (void)run_of(f, 0);
    assert_ok(quire_zone_free(&f->zone, slot(0), *half, RUN));
    (void)run_of(f, 1);
    assert_int_not_equal(run_of(f, 1).n / SECTION, half->n / SECTION);
}

/* What another slot has half freed is not taken while there are whole blocks enough. */
static void half_a_block_is_left(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn half;
    open_apart(&f);
    leave_half_a_block(&f, &half);
    for (unsigned i = 0; i < 32; i++) {
        assert_int_not_equal(run_of(&f, 1).n / SECTION, half.n / SECTION);
    }
    fixture_close(&f);
}

/* It is taken before anything is split where the slot's word has few whole blocks left. */
static void half_a_block_is_taken(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn half;
    bool taken = false;
    open_apart(&f);
    leave_half_a_block(&f, &half);
    for (unsigned i = 0; i < 2 * WORD && !taken; i++) {
        taken = run_of(&f, 1).n == half.n;
    }
    assert_true(taken);
    fixture_close(&f);
}

/* And at once where memory is scarce. */
static void scarce_memory_is_shared(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn half, large;
    open_apart(&f);
    leave_half_a_block(&f, &half);
    while (quire_zone_alloc(&f.zone, slot(0), 18, QUIRE_MOVABLE, &large) == QUIRE_OK) {
    }
    while (quire_zone_free_frames(&f.zone) >= (uint64_t)SECTIONS * SECTION / 4) {
        assert_ok(quire_zone_alloc(&f.zone, slot(0), 16, QUIRE_MOVABLE, &large));
    }
    assert_int_equal(run_of(&f, 1).n, half.n);
    fixture_close(&f);
}

/* Half of the memory in use, frame by frame, none of the rest whole: two slots free and allocate at
 * random, and it becomes whole. */
static void two_slots_heal(void **state)
{
    (void)state;
    const uint64_t frames = (uint64_t)SECTIONS * SECTION, held = frames / 2;
    quire_pfn *pfns = malloc(frames * sizeof *pfns);
    struct quire_zone_stats stats;
    uint64_t seed = 1;
    struct fixture f;
    assert_non_null(pfns);
    open_apart(&f);
    for (uint64_t i = 0; i < frames; i++) {
        assert_ok(quire_zone_alloc(&f.zone, slot(i & 1), 0, QUIRE_MOVABLE, &pfns[i]));
    }
    for (uint64_t i = frames; i > held; i--) {
        quire_pfn *pfn = &pfns[random_next(&seed) % i];
        assert_ok(quire_zone_free(&f.zone, slot(i & 1), *pfn, 0));
        *pfn = pfns[i - 1];
    }
    assert_ok(quire_zone_stats(&f.zone, &stats));
    assert_true(stats.whole_free_blocks * 100 < held / BLOCK * 5);
    for (uint64_t i = 0; i < ROUNDS * held / 10; i++) {
        quire_pfn *pfn = &pfns[random_next(&seed) % held];
        assert_ok(quire_zone_free(&f.zone, slot(i & 1), *pfn, 0));
        assert_ok(quire_zone_alloc(&f.zone, slot(i & 1), 0, QUIRE_MOVABLE, pfn));
    }
    assert_ok(quire_zone_stats(&f.zone, &stats));
    assert_true(stats.whole_free_blocks * 100 >= held / BLOCK * 98);
    fixture_close(&f);
    free(pfns);
}

/* What a slot borrows at once grows with the zone, and falls with the number of slots. */
static void chunks(void **state)
{
    (void)state;
    static const struct {
        uint64_t sections;
        uint32_t slots, chunk;
    } cases[] = {{1, 2, 4096}, {4, 2, 8192}, {8, 2, 16384}, {64, 2, 16384}, {8, 64, 2048}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f;
        fixture_begin(&f);
        fixture_usable(&f, 0, cases[i].sections * SECTION);
        f.config.slots = cases[i].slots;
        fixture_open(&f);
        assert_int_equal(f.zone.chunk, cases[i].chunk);
        fixture_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_a_block_is_left),
        cmocka_unit_test(half_a_block_is_taken),
        cmocka_unit_test(scarce_memory_is_shared),
        cmocka_unit_test(two_slots_heal),
        cmocka_unit_test(chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
