/* SPDX-License-Identifier: MIT
 *
 * closed_blocks.c - a contiguous request, while a rival makes all split blocks whole between the
 * search's look at which blocks are free and its look at what the others show. White-box: walk.c is
 * compiled for this program so that its vector kernels come from here.
 */
#include "stress/common/zone_fixture.h"

#include "core/search/search.h"

enum { BLOCKS = 64, WANTED = 400 };

static struct fixture zone;
static struct search_kernel kernel;
static quire_pfn kept[BLOCKS]; /* a frame of each block but of the home block, which is full */
static unsigned kept_count, freed;

const struct search_kernel *rival_search_best(void);

static uint64_t bytes_from_late(const uint8_t *bytes, uint8_t mask, uint8_t least)
{
    for (; freed < kept_count; freed++)
        assert_ok(quire_zone_free(&zone.zone, slot(1), kept[freed], 0));
    return qi_search_best()->bytes_from(bytes, mask, least);
}

const struct search_kernel *rival_search_best(void)
{
    kernel = *qi_search_best();
    kernel.bytes_from = bytes_from_late;
    return &kernel;
}

/* All blocks but one have room at each moment: so has the request. */
static void room_all_the_time(void **state)
{
    (void)state;
    static quire_pfn all[BLOCKS * BLOCK];
    bool keeps[BLOCKS] = {false};
    struct quire_contig want = {.frames = WANTED};
    quire_pfn pfn;

    fixture_simple(&zone, 0, BLOCKS * BLOCK);
    for (size_t i = 0; i < BLOCKS * BLOCK; i++)
        assert_ok(quire_zone_alloc(&zone.zone, slot(0), 0, 0, &all[i]));
    for (size_t i = 0; i < BLOCKS * BLOCK; i++) {
        uint64_t b = all[i].n / BLOCK;

        if (b == all[BLOCKS * BLOCK - 1].n / BLOCK)
            continue;
        if (keeps[b]) {
            assert_ok(quire_zone_free(&zone.zone, slot(0), all[i], 0));
        } else {
            keeps[b] = true;
            kept[kept_count++] = all[i];
        }
    }
    assert_ok(quire_zone_alloc_contig(&zone.zone, slot(1), &want, 0, &pfn));
    assert_int_equal(freed, BLOCKS - 1);
    assert_ok(quire_zone_free_contig(&zone.zone, slot(1), pfn, WANTED));
    fixture_close(&zone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(room_all_the_time)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
