/* SPDX-License-Identifier: MIT
 *
 * test_pfnmap.c - the frame-to-zone table: absurd spans, sizes, real machines, and random spans
 * against a search through the list.
 */
#include "stress/common/assert.h"
#include "stress/common/random.h"
#include "stress/common/sizes.h"

#include <quire/pfnmap.h>

#include <stdlib.h>
#include <string.h>

#define NONE QUIRE_PFNMAP_NONE

enum { MANY = 64 };

static const uint64_t limit = (uint64_t)1 << QUIRE_PFN_BITS;

static struct quire_pfnmap_span span(uint64_t first, uint64_t frames, uint32_t zone)
{
    struct quire_pfnmap_span s = {{quire_pfn_of(first), frames}, zone};

    return s;
}

/* Build a map in memory of exactly the size that it asks for, filled with rubbish beforehand. */
static void *build(struct quire_pfnmap *map, const struct quire_pfnmap_span *spans, size_t count,
                   size_t *bytes)
{
    void *memory;

    assert_int_equal(quire_pfnmap_size(spans, count, bytes), QUIRE_OK);
    memory = malloc(*bytes);
    assert_non_null(memory);
    memset(memory, 0xa5, *bytes);
    assert_int_equal(quire_pfnmap_init(map, spans, count, memory, *bytes), QUIRE_OK);
    return memory;
}

static uint32_t zone_of(const struct quire_pfnmap *map, uint64_t frame)
{
    return quire_pfnmap_zone(map, quire_pfn_of(frame));
}

static void no_spans(void **state)
{
    struct quire_pfnmap map;
    size_t bytes;
    void *memory = build(&map, NULL, 0, &bytes);

    (void)state;
    assert_int_equal(bytes, 8192);
    assert_int_equal(zone_of(&map, 0), NONE);
    assert_int_equal(zone_of(&map, limit - 1), NONE);
    assert_int_equal(zone_of(&map, limit), NONE);
    assert_int_equal(zone_of(&map, UINT64_MAX), NONE);
    free(memory);
}

static void refusals(void **state)
{
    const struct {
        struct quire_pfnmap_span spans[2];
        int error;
    } cases[] = {
        {{span(0, 0, 0), span(BLOCK, BLOCK, 0)}, QUIRE_ERR_SIZE},
        {{span(limit, BLOCK, 0), span(0, BLOCK, 0)}, QUIRE_ERR_SIZE},
        {{span(0, BLOCK, 0), span(limit - BLOCK, 2 * BLOCK, 0)}, QUIRE_ERR_SIZE},
        {{span(0, BLOCK, 0), span(BLOCK, UINT64_MAX - BLOCK + 1, 0)}, QUIRE_ERR_SIZE},
        {{span(0, BLOCK, 0), span(BLOCK, BLOCK, QUIRE_PFNMAP_ZONES)}, QUIRE_ERR_SIZE},
        {{span(0, BLOCK, 0), span(BLOCK, BLOCK, NONE)}, QUIRE_ERR_SIZE},
        {{span(1, BLOCK, 0), span(2 * BLOCK, BLOCK, 0)}, QUIRE_ERR_ALIGN},
        {{span(0, BLOCK + 1, 0), span(2 * BLOCK, BLOCK, 0)}, QUIRE_ERR_ALIGN},
        {{span(0, 2 * BLOCK, 0), span(BLOCK, BLOCK, 0)}, QUIRE_ERR_ALIGN},
        {{span(BLOCK, BLOCK, 0), span(0, BLOCK, 0)}, QUIRE_ERR_ALIGN},
    };
    uint16_t memory[32768] = {0};
    struct quire_pfnmap map = {0};
    size_t bytes = 42;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(quire_pfnmap_size(cases[i].spans, 2, &bytes), cases[i].error);
        assert_int_equal(bytes, 42);
        assert_int_equal(quire_pfnmap_init(&map, cases[i].spans, 2, memory, sizeof(memory)),
                         cases[i].error);
        assert_null(map.root);
    }
}

static void bad_memory(void **state)
{
    const struct quire_pfnmap_span spans[] = {span(0, BLOCK, 0), span(BLOCK, BLOCK, 1)};
    static uint16_t memory[8192];
    struct quire_pfnmap map = {0};
    size_t bytes;

    (void)state;
    assert_int_equal(quire_pfnmap_size(spans, 2, &bytes), QUIRE_OK);
    assert_int_equal(bytes, 4096 + 2 * 4096 + 1024);
    assert_int_equal(quire_pfnmap_init(&map, spans, 2, memory, bytes - 1), QUIRE_ERR_SIZE);
    assert_int_equal(quire_pfnmap_init(&map, spans, 2, (char *)memory + 1, bytes), QUIRE_ERR_ALIGN);
    assert_null(map.root);
}

static void zones_that_share_a_section(void **state)
{
    const struct quire_pfnmap_span spans[] = {
        span(BLOCK, BLOCK, 0),
        span(3 * BLOCK, BLOCK, 7),
        span(4 * BLOCK, BLOCK, 0),
        span(511 * BLOCK, SECTION, 32766),
        span(2 * SECTION, 3 * SECTION, 1),
    };
    const struct {
        uint64_t frame;
        uint32_t zone;
    } answers[] = {
        {0, NONE},
        {BLOCK - 1, NONE},
        {BLOCK, 0},
        {2 * BLOCK - 1, 0},
        {2 * BLOCK, NONE}, /* blocks of a shared section are told apart exactly */
        {3 * BLOCK, 7},
        {4 * BLOCK, 0},
        {5 * BLOCK, NONE},
        {511 * BLOCK, 32766},
        {SECTION, 32766},
        {SECTION + 510 * BLOCK, 32766},
        {2 * SECTION - 1, 32766}, /* the only zone of its section */
        {2 * SECTION, 1},
        {5 * SECTION - 1, 1},
        {5 * SECTION, NONE},
    };
    struct quire_pfnmap map;
    size_t bytes;
    void *memory = build(&map, spans, 5, &bytes);

    (void)state;
    assert_int_equal(bytes, 4096 + 2 * 4096 + 1024);
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
        assert_int_equal(zone_of(&map, answers[i].frame), answers[i].zone);
    free(memory);
}

/* Four nodes, 8 and 64 TiB apart (an Ampere Altra's, from a public bug report), cost 28 KiB. */
static void sparse_machine(void **state)
{
    const struct quire_pfnmap_span spans[] = {
        span(0x88200, 0x200, 2),         span(0x90000, 0x30000, 2),
        span(0xc2000, 0x3e000, 3),       span(0x80000000, 0x80000, 0),
        span(0x800c0000, 0x3f40000, 0),  span(0x400000000, 0xc0000, 1),
        span(0x400100000, 0x3f00000, 1),
    };
    struct quire_pfnmap map, attached;
    size_t bytes;
    void *memory = build(&map, spans, 7, &bytes), *copy = malloc(bytes);

    (void)state;
    assert_int_equal(bytes, 4096 + 4096 + 3 * 4096);
    assert_int_equal(zone_of(&map, 0x88300), 2);
    assert_int_equal(zone_of(&map, 0xbffff), 2);
    assert_int_equal(zone_of(&map, 0xc2000), 3);
    assert_int_equal(zone_of(&map, 0x83ffffff), 0);
    assert_int_equal(zone_of(&map, 0x84000000), NONE);
    assert_int_equal(zone_of(&map, 0x403ffffff), 1);
    assert_int_equal(zone_of(&map, 0x40000), NONE);
    assert_int_equal(zone_of(&map, 0x7fffffff), NONE);
    assert_non_null(copy);
    memcpy(copy, memory, bytes); /* the memory holds no pointer */
    memset(memory, 0xff, bytes);
    quire_pfnmap_attach(&attached, copy);
    assert_int_equal(zone_of(&attached, 0xc2000), 3);
    assert_int_equal(zone_of(&attached, 0x403ffffff), 1);
    free(memory);
    free(copy);
}

static void all_of_memory(void **state)
{
    const struct quire_pfnmap_span spans[] = {span(0, limit, 5)};
    struct quire_pfnmap map;
    size_t bytes;
    void *memory = build(&map, spans, 1, &bytes);

    (void)state;
    assert_int_equal(bytes, 4096 + 4096 + 2048 * 4096);
    assert_int_equal(zone_of(&map, 0), 5);
    assert_int_equal(zone_of(&map, limit - 1), 5);
    assert_int_equal(zone_of(&map, limit), NONE);
    free(memory);
}

static void too_many_shared_sections(void **state)
{
    const size_t count = 2 * (QUIRE_PFNMAP_SHARED + 1);
    struct quire_pfnmap_span *spans = calloc(count, sizeof(*spans));
    struct quire_pfnmap map;
    size_t bytes;
    void *memory;

    (void)state;
    assert_non_null(spans);
    for (uint64_t i = 0; i < count; i++)
        spans[i] = span(i / 2 * SECTION + i % 2 * BLOCK, BLOCK, (uint32_t)(i % 2));
    assert_int_equal(quire_pfnmap_size(spans, count, &bytes), QUIRE_ERR_SIZE);
    memory = build(&map, spans, count - 2, &bytes);
    assert_int_equal(zone_of(&map, (QUIRE_PFNMAP_SHARED - 1) * (uint64_t)SECTION + BLOCK), 1);
    free(memory);
    free(spans);
}

/* ---- Against a search ---------------------------------------------------------------------- */

/* What the header promises: the zone of the frame's block; else, where only one zone has blocks in
 * the section, that zone; else none. */
static uint32_t search(const struct quire_pfnmap_span *spans, size_t count, uint64_t frame)
{
    uint32_t only = NONE;
    bool several = false;

    for (size_t i = 0; i < count; i++) {
        uint64_t first = spans[i].run.pfn.n, end = first + spans[i].run.frames;

        if (frame >= first && frame < end)
            return spans[i].zone;
        if (first / SECTION > frame / SECTION || (end - 1) / SECTION < frame / SECTION)
            continue;
        several |= only != NONE && only != spans[i].zone;
        only = spans[i].zone;
    }
    return several ? NONE : only;
}

static size_t random_spans(uint64_t *random, struct quire_pfnmap_span *spans)
{
    static const uint64_t gaps[] = {0, BLOCK, 100 * BLOCK, SECTION, 2000ull * SECTION};
    uint64_t at = 0;
    size_t count = 0;

    while (count < MANY && random_next(random) % 64) {
        uint64_t frames = (1 + random_next(random) % (random_next(random) % 2 ? 40 : 1500)) * BLOCK;

        at += gaps[random_next(random) % 5];
        spans[count++] = span(at, frames, (uint32_t)(random_next(random) % 3));
        at += frames;
    }
    return count;
}

static void against_a_search(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct quire_pfnmap_span spans[MANY];
        uint64_t random = seed;
        size_t count = random_spans(&random, spans), bytes;
        struct quire_pfnmap map;
        void *memory = build(&map, spans, count, &bytes);

        for (size_t i = 0; i < count; i++) { /* both sides of every border */
            uint64_t end = spans[i].run.pfn.n + spans[i].run.frames;
            const uint64_t frames[] = {spans[i].run.pfn.n - (i > 0),
                                       spans[i].run.pfn.n,
                                       end - 1,
                                       end,
                                       end / SECTION * SECTION,
                                       end + random_next(&random) % SECTION};

            for (size_t j = 0; j < sizeof(frames) / sizeof(frames[0]); j++)
                assert_int_equal(zone_of(&map, frames[j]), search(spans, count, frames[j]));
        }
        free(memory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_spans),
        cmocka_unit_test(refusals),
        cmocka_unit_test(bad_memory),
        cmocka_unit_test(zones_that_share_a_section),
        cmocka_unit_test(sparse_machine),
        cmocka_unit_test(all_of_memory),
        cmocka_unit_test(too_many_shared_sections),
        cmocka_unit_test(against_a_search),
    };

    return cmocka_run_group_tests_name("pfnmap", tests, NULL, NULL);
}
