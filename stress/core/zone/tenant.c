/* SPDX-License-Identifier: MIT
 *
 * tenant.c - slots keep apart, and memory heals all the same (core/blocks/tenant.h). White-box: it
 * looks at a slot's counts through core/layout.h.
 */
#include "core/internal.h"
#include "stress/common/random.h"
#include "stress/common/zone_fixture.h"

#include <stdlib.h>

enum {
    SECTIONS = 4,
    SLOTS = 2,
    RUN = 8,
    ROUNDS = 110, /* each replaces a tenth of what is held */
    WORD = 64,    /* blocks that have one tenant */
    WORDS = 8,    /* of them in a section */
    RUNS = 128,   /* in a word */
};

static void open_slots(struct fixture *f, uint64_t sections, uint32_t slots)
{
    fixture_begin(f);
    fixture_usable(f, 0, sections * SECTION);
    f->config.slots = slots;
    fixture_open(f);
}

static void open_apart(struct fixture *f)
{
    open_slots(f, SECTIONS, SLOTS);
}

static quire_pfn run_of(struct fixture *f, uint32_t s)
{
    quire_pfn pfn;

    assert_ok(quire_zone_alloc(&f->zone, slot(s), RUN, QUIRE_MOVABLE, &pfn));
    return pfn;
}

static quire_pfn unmovable_run_of(struct fixture *f, uint32_t s)
{
    quire_pfn pfn;

    assert_ok(quire_zone_alloc(&f->zone, slot(s), RUN, 0, &pfn));
    return pfn;
}

static uint64_t word_with(quire_pfn pfn)
{
    return pfn.n / BLOCK / WORD;
}

/* The slot fills the word in which it begins; its runs, or NULL if they are not wanted. */
static uint64_t fill_word(struct fixture *f, uint32_t s, quire_pfn runs[RUNS])
{
    uint64_t word = 0;

    for (unsigned i = 0; i < RUNS; i++) {
        quire_pfn pfn = unmovable_run_of(f, s);

        word = i == 0 ? word_with(pfn) : word;
        assert_int_equal(word_with(pfn), word);
        if (runs) {
            runs[i] = pfn;
        }
    }
    return word;
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

/* What another slot has half freed is not taken while there are whole blocks elsewhere, though the
 * slot's own word is used up. */
static void half_a_block_is_left(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn half;
    open_apart(&f);
    leave_half_a_block(&f, &half);
    for (unsigned i = 0; i < 2 * RUNS; i++) {
        assert_int_not_equal(run_of(&f, 1).n / SECTION, half.n / SECTION);
    }
    fixture_close(&f);
}

enum { SHORT = 4, IN_BLOCK = BLOCK >> SHORT };

static quire_pfn short_run_of(struct fixture *f, uint32_t s)
{
    quire_pfn pfn;

    assert_ok(quire_zone_alloc(&f->zone, slot(s), SHORT, QUIRE_MOVABLE, &pfn));
    return pfn;
}

/* The slot fills a block with short runs, begins another one, and frees some of the first one's.
 * Returns the first block's number. */
static uint64_t thin_a_block(struct fixture *f, uint32_t s, unsigned freed)
{
    quire_pfn pfns[IN_BLOCK];

    for (unsigned i = 0; i < IN_BLOCK; i++) {
        pfns[i] = short_run_of(f, s);
        assert_int_equal(pfns[i].n / BLOCK, pfns[0].n / BLOCK);
    }
    (void)short_run_of(f, s);
    for (unsigned i = 0; i < freed; i++) {
        assert_ok(quire_zone_free(&f->zone, slot(s), pfns[i], SHORT));
    }
    return pfns[0].n / BLOCK;
}

/* Nor is a dense block, of which another one just began to free what lies in it. */
static void a_dense_block_is_left(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t dense;
    open_slots(&f, 1, SLOTS);
    dense = thin_a_block(&f, 0, 1);
    for (unsigned i = 0; i < 3 * IN_BLOCK; i++) {
        assert_int_not_equal(short_run_of(&f, 1).n / BLOCK, dense);
    }
    fixture_close(&f);
}

/* Both slots thin a block, slot 1 frees as many; then memory is neither ample nor scarce, and slot
 * 1 needs another home block. Returns its thinned block's number. */
static uint64_t thin_both(struct fixture *f, unsigned freed, uint64_t *others)
{
    quire_pfn large;
    uint64_t own;

    *others = thin_a_block(f, 0, 4);
    own = thin_a_block(f, 1, freed);
    for (unsigned i = 0; i < 2; i++) {
        assert_ok(quire_zone_alloc(&f->zone, slot(0), 16, QUIRE_MOVABLE, &large));
    }
    for (unsigned i = 1; i < IN_BLOCK; i++) {
        (void)short_run_of(f, 1);
    }
    return own;
}

/* What a slot has thinned in its own words it takes first, though another one has left a block that
 * is fuller. */
static void own_blocks_come_first(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t own, others;
    open_slots(&f, 1, SLOTS);
    own = thin_both(&f, 8, &others);
    assert_int_equal(short_run_of(&f, 1).n / BLOCK, own);
    fixture_close(&f);
}

/* A slot that takes what another has left goes on where it was itself. */
static void a_slot_does_not_follow_others(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t own, others;
    open_slots(&f, 1, SLOTS);
    own = thin_both(&f, 0, &others);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(short_run_of(&f, 1).n / BLOCK, others);
    }
    assert_int_equal(short_run_of(&f, 1).n / BLOCK / WORD, own / WORD);
    fixture_close(&f);
}

static uint64_t whole_blocks(const struct fixture *f)
{
    struct quire_zone_stats stats;

    assert_ok(quire_zone_stats(&f->zone, &stats));
    return stats.whole_free_blocks;
}

/* Slot 0 worked in so many words, and left half a block in each. */
static void leave_half_a_block_a_word(struct fixture *f, size_t words)
{
    quire_pfn *pfns = malloc(words * RUNS * sizeof *pfns);
    assert_non_null(pfns);
    for (size_t i = 0; i < words * RUNS; i++) {
        pfns[i] = run_of(f, 0);
    }
    for (size_t i = 0; i < words * RUNS; i++) {
        if (i % RUNS > 0) {
            assert_ok(quire_zone_free(&f->zone, slot(0), pfns[i], RUN));
        }
    }
    assert_ok(quire_zone_retire_slot(&f->zone, slot(0)));
    free(pfns);
}

/* The next n runs of the slot are of blocks that are split already. */
static void expect_no_split(struct fixture *f, uint32_t s, size_t n)
{
    uint64_t whole = whole_blocks(f);
    for (size_t i = 0; i < n; i++) {
        (void)run_of(f, s);
        assert_int_equal(whole_blocks(f), whole);
    }
}

/* It is taken before anything is split if another works in each word, and none is all free. */
static void half_a_block_is_taken(void **state)
{
    (void)state;
    struct fixture f;
    open_apart(&f);
    leave_half_a_block_a_word(&f, (size_t)SECTIONS * WORDS);
    expect_no_split(&f, 1, (size_t)SECTIONS * WORDS);
    fixture_close(&f);
}

/* A slot fills its own blocks, in however many words they are, before it splits. */
static void own_blocks_of_many_words(void **state)
{
    enum { MANY = 10 };
    (void)state;
    struct fixture f;
    open_apart(&f);
    leave_half_a_block_a_word(&f, MANY);
    (void)run_of(&f, 1);
    expect_no_split(&f, 0, MANY);
    fixture_close(&f);
}

/* Slots begin in every second word. One that has used up its own goes on in one of nobody's that is
 * not beside another's, then in its own that became free again, though others' are, too. */
static void free_words_of_others_come_last(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn pfn, runs[RUNS];
    open_slots(&f, 1, SLOTS);
    pfn = unmovable_run_of(&f, 0);
    assert_int_equal(word_with(pfn), 0);
    assert_ok(quire_zone_free(&f.zone, slot(0), pfn, RUN));
    assert_ok(quire_zone_retire_slot(&f.zone, slot(0)));
    assert_int_equal(fill_word(&f, 1, runs), 2);
    assert_int_equal(fill_word(&f, 1, NULL), 3);
    for (unsigned i = 0; i < RUNS; i++) {
        assert_ok(quire_zone_free(&f.zone, slot(1), runs[i], RUN));
    }
    assert_int_equal(fill_word(&f, 1, NULL), 2);
    fixture_close(&f);
}

static uint64_t wholes_counted(const struct fixture *f, uint32_t s)
{
    return qa_load(&f->zone.slot_states[s].counts[QUIRE_COUNT_WHOLE], relaxed);
}

/* What becomes of a block is counted in the line of the slot that works there. */
static void counts_are_the_tenants(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn runs[3];
    open_slots(&f, 1, SLOTS);
    for (unsigned i = 0; i < 3; i++) {
        runs[i] = unmovable_run_of(&f, 1);
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_ok(quire_zone_free(&f.zone, slot(1), runs[i], RUN));
    }
    assert_int_equal(wholes_counted(&f, 0), 0);
    assert_int_equal(wholes_counted(&f, 1), 1);
    fixture_close(&f);
}

/* Blocks for unmovable runs gather in few sections, but slots keep apart there: one that finds no
 * free word takes what is whole of its own ones, and then a section more, while there are as many
 * as slots. */
static void unmovable_runs_keep_apart(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn first[RUNS], pfn;
    open_slots(&f, 8, WORDS - 1);
    assert_int_equal(fill_word(&f, 0, first), 0);
    for (uint32_t s = 1; s < WORDS - 1; s++) {
        assert_int_equal(unmovable_run_of(&f, s).n / SECTION, 0);
    }
    assert_int_equal(fill_word(&f, 0, NULL) / WORDS, 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_ok(quire_zone_free(&f.zone, slot(0), first[i], RUN));
    }
    for (unsigned i = 0; i < 2; i++) {
        pfn = unmovable_run_of(&f, 0);
        assert_int_equal(pfn.n / BLOCK, first[0].n / BLOCK);
    }
    assert_int_equal(unmovable_run_of(&f, 0).n / SECTION, 1);
    fixture_close(&f);
}

/* Seven slots work in a section for unmovable runs, whose last word slot 0 fills. */
static void fill_unmovable_section(struct fixture *f, uint64_t section)
{
    for (uint32_t s = 0; s < WORDS - 1; s++) {
        assert_int_equal(unmovable_run_of(f, s).n / SECTION, section);
    }
    for (unsigned i = 1; i < 2 * RUNS; i++) {
        assert_int_equal(unmovable_run_of(f, 0).n / SECTION, section);
    }
}

/* What is whole of its own words elsewhere a slot leaves to movable runs. */
static void unmovable_runs_leave_movable_words(void **state)
{
    (void)state;
    struct fixture f;
    open_slots(&f, 8, WORDS - 1);
    assert_int_equal(run_of(&f, 0).n / SECTION, 0);
    fill_unmovable_section(&f, 1);
    assert_int_equal(unmovable_run_of(&f, 0).n / SECTION, 2);
    fixture_close(&f);
}

/* Where memory is not ample, no section is opened while others' words have whole blocks. */
static void no_section_is_opened_of_little(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn large;
    open_slots(&f, 8, WORDS - 1);
    fill_unmovable_section(&f, 0);
    for (unsigned i = 0; i < 4; i++) {
        assert_ok(quire_zone_alloc(&f.zone, slot(0), 18, QUIRE_MOVABLE, &large));
    }
    assert_int_equal(unmovable_run_of(&f, 0).n / SECTION, 0);
    fixture_close(&f);
}

/* Where there are fewer sections than slots, they share the words of the first one. */
static void few_sections_are_shared(void **state)
{
    (void)state;
    struct fixture f;
    open_slots(&f, SECTIONS, WORDS);
    for (uint32_t s = 0; s < WORDS; s++) {
        assert_int_equal(unmovable_run_of(&f, s).n / SECTION, 0);
    }
    for (unsigned i = 0; i < 3 * RUNS; i++) {
        assert_int_equal(unmovable_run_of(&f, 0).n / SECTION, 0);
    }
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
        cmocka_unit_test(a_dense_block_is_left),
        cmocka_unit_test(own_blocks_come_first),
        cmocka_unit_test(a_slot_does_not_follow_others),
        cmocka_unit_test(half_a_block_is_taken),
        cmocka_unit_test(own_blocks_of_many_words),
        cmocka_unit_test(unmovable_runs_leave_movable_words),
        cmocka_unit_test(no_section_is_opened_of_little),
        cmocka_unit_test(free_words_of_others_come_last),
        cmocka_unit_test(counts_are_the_tenants),
        cmocka_unit_test(unmovable_runs_keep_apart),
        cmocka_unit_test(few_sections_are_shared),
        cmocka_unit_test(scarce_memory_is_shared),
        cmocka_unit_test(two_slots_heal),
        cmocka_unit_test(chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
