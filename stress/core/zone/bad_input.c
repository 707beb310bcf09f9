/* SPDX-License-Identifier: MIT
 *
 * bad_input.c - every refusal that zone.h names for single calls, as a table: what is called in a
 * zone whose frames are in known states, and which error it must give. After each call the zone
 * must be as it was.
 *
 * The zone, seven blocks; block 1 starts at a multiple of 1024 frames:
 *   block 0  USED: single frames at 0, 1, 2; run of order 3 at 8; order 7 at 128
 *   block 1  and 2: one run of order 10
 *   block 3  free
 *   block 4  frames 0..99 reserved, frames 100..199 a hole, the rest free
 *   block 5  a contiguous run of 600 frames, which ends at frame 88 of block 6
 */
#include "stress/common/zone_fixture.h"

#include <inttypes.h>

enum { BASE = 7 * BLOCK, WRONG_SLOT = 4 };

enum call {
    FREE,
    FREE_ANY,
    FREE_CONTIG,
    FREE_ONE_OF_BATCH,
    RUN_LENGTH,
    SPLIT,
    JOIN,
    ALLOC,
    AT,
    RESERVE,
    UNRESERVE,
    FRAME_STATE,
};

struct row {
    enum call call;
    uint64_t pfn, number; /* the number: order or frames */
    int error;
    uint32_t flags, slot;
};

#define IN(block, frame) (BASE + (block)*BLOCK + (frame))
#define OUTSIDE          UINT64_C(0x100000000)

static const struct row rows[] = {
    /* Orders and lengths out of range. */
    {ALLOC, 0, 21, QUIRE_ERR_SIZE, 0, 0},
    {ALLOC, 0, UINT32_MAX, QUIRE_ERR_SIZE, 0, 0},
    {FREE, IN(0, 0), 21, QUIRE_ERR_SIZE, 0, 0},
    {FREE, IN(0, 0), 64, QUIRE_ERR_SIZE, 0, 0},
    {SPLIT, IN(0, 0), 21, QUIRE_ERR_SIZE, 0, 0},
    {AT, IN(3, 0), 21, QUIRE_ERR_SIZE, 0, 0},
    {RESERVE, IN(3, 0), 0, QUIRE_ERR_SIZE, 0, 0},
    {UNRESERVE, IN(4, 0), 0, QUIRE_ERR_SIZE, 0, 0},
    {FREE_CONTIG, IN(5, 0), 0, QUIRE_ERR_SIZE, 0, 0},
    /* Slots that the zone does not have. */
    {ALLOC, 0, 0, QUIRE_ERR_SIZE, 0, WRONG_SLOT},
    {ALLOC, 0, 9, QUIRE_ERR_SIZE, 0, UINT32_MAX},
    {FREE, IN(0, 0), 0, QUIRE_ERR_SIZE, 0, WRONG_SLOT},
    {FREE_ANY, IN(0, 0), 0, QUIRE_ERR_SIZE, 0, WRONG_SLOT},
    {FREE_CONTIG, IN(5, 0), 600, QUIRE_ERR_SIZE, 0, WRONG_SLOT},
    {FREE_ONE_OF_BATCH, IN(0, 1), 0, QUIRE_ERR_SIZE, 0, WRONG_SLOT},
    {SPLIT, IN(0, 8), 3, QUIRE_ERR_SIZE, 0, WRONG_SLOT},
    {JOIN, IN(3, 0), 0, QUIRE_ERR_SIZE, 0, WRONG_SLOT},
    {AT, IN(3, 0), 0, QUIRE_ERR_SIZE, 0, WRONG_SLOT},
    {RESERVE, IN(3, 0), 1, QUIRE_ERR_SIZE, 0, WRONG_SLOT},
    {UNRESERVE, IN(4, 0), 1, QUIRE_ERR_SIZE, 0, WRONG_SLOT},
    /* Flags that the function does not take. */
    {ALLOC, 0, 0, QUIRE_ERR_UNSUPPORTED, QUIRE_PARTIAL, 0},
    {ALLOC, 0, 0, QUIRE_ERR_UNSUPPORTED, 1u << 7, 0},
    {ALLOC, 0, 0, QUIRE_ERR_UNSUPPORTED, 1u << 31, 0},
    {AT, IN(3, 0), 0, QUIRE_ERR_UNSUPPORTED, QUIRE_PARTIAL, 0},
    {AT, IN(3, 0), 0, QUIRE_ERR_UNSUPPORTED, 1u << 20, 0},
    /* Frames that are not this zone's, are reserved, or are holes. */
    {FREE, OUTSIDE, 0, QUIRE_ERR_FRAME, 0, 0},
    {FREE, UINT64_MAX, 0, QUIRE_ERR_FRAME, 0, 0},
    {FREE, IN(4, 50), 0, QUIRE_ERR_FRAME, 0, 0},
    {FREE, IN(4, 150), 0, QUIRE_ERR_FRAME, 0, 0},
    {FREE_ANY, OUTSIDE, 0, QUIRE_ERR_FRAME, 0, 0},
    {FREE_ANY, IN(4, 99), 0, QUIRE_ERR_FRAME, 0, 0},
    {FREE_ANY, IN(4, 100), 0, QUIRE_ERR_FRAME, 0, 0},
    {FREE_CONTIG, OUTSIDE, 2, QUIRE_ERR_FRAME, 0, 0},
    {FREE_CONTIG, IN(4, 10), 20, QUIRE_ERR_FRAME, 0, 0},
    {FREE_ONE_OF_BATCH, OUTSIDE, 0, QUIRE_ERR_FRAME, 0, 0},
    {FREE_ONE_OF_BATCH, IN(4, 0), 0, QUIRE_ERR_FRAME, 0, 0},
    {RUN_LENGTH, OUTSIDE, 0, QUIRE_ERR_FRAME, 0, 0},
    {RUN_LENGTH, IN(4, 3), 0, QUIRE_ERR_FRAME, 0, 0},
    {SPLIT, OUTSIDE, 0, QUIRE_ERR_FRAME, 0, 0},
    {SPLIT, IN(4, 64), 5, QUIRE_ERR_FRAME, 0, 0},
    {JOIN, OUTSIDE, 0, QUIRE_ERR_FRAME, 0, 0},
    {AT, OUTSIDE, 3, QUIRE_ERR_FRAME, 0, 0},
    {AT, IN(4, 99), 0, QUIRE_ERR_FRAME, 0, 0},
    {AT, IN(4, 100), 0, QUIRE_ERR_FRAME, 0, 0},
    {AT, IN(4, 192), 4, QUIRE_ERR_FRAME, 0, 0},
    {RESERVE, OUTSIDE, 1, QUIRE_ERR_FRAME, 0, 0},
    {RESERVE, IN(4, 99), 1, QUIRE_ERR_FRAME, 0, 0},
    {RESERVE, IN(4, 199), 2, QUIRE_ERR_FRAME, 0, 0},
    {RESERVE, IN(3, 500), 20, QUIRE_ERR_FRAME, 0, 0},
    {UNRESERVE, OUTSIDE, 1, QUIRE_ERR_FRAME, 0, 0},
    {UNRESERVE, IN(4, 99), 2, QUIRE_ERR_FRAME, 0, 0},
    {UNRESERVE, IN(4, 120), 1, QUIRE_ERR_FRAME, 0, 0},
    {UNRESERVE, IN(3, 0), 1, QUIRE_ERR_FRAME, 0, 0},
    {UNRESERVE, IN(0, 0), 1, QUIRE_ERR_FRAME, 0, 0},
    {UNRESERVE, IN(1, 0), 512, QUIRE_ERR_FRAME, 0, 0},
    {FRAME_STATE, OUTSIDE, 0, QUIRE_ERR_FRAME, 0, 0},
    {FRAME_STATE, UINT64_MAX, 0, QUIRE_ERR_FRAME, 0, 0},
    /* Places that do not fit the order. */
    {FREE, IN(0, 1), 1, QUIRE_ERR_ALIGN, 0, 0},
    {FREE, IN(0, 12), 3, QUIRE_ERR_ALIGN, 0, 0},
    {FREE, IN(1, 256), 9, QUIRE_ERR_ALIGN, 0, 0},
    {SPLIT, IN(0, 9), 3, QUIRE_ERR_ALIGN, 0, 0},
    {JOIN, IN(0, 1), 0, QUIRE_ERR_ALIGN, 0, 0},
    {AT, IN(3, 4), 3, QUIRE_ERR_ALIGN, 0, 0},
    {AT, IN(3, 128), 8, QUIRE_ERR_ALIGN, 0, 0},
    /* Frames that are not allocated. */
    {FREE, IN(0, 3), 0, QUIRE_ERR_DOUBLE_FREE, 0, 0},
    {FREE, IN(3, 0), 0, QUIRE_ERR_DOUBLE_FREE, 0, 0},
    {FREE, IN(3, 0), 4, QUIRE_ERR_DOUBLE_FREE, 0, 0},
    {FREE, IN(3, 0), 8, QUIRE_ERR_DOUBLE_FREE, 0, 0},
    {FREE, IN(3, 0), 9, QUIRE_ERR_DOUBLE_FREE, 0, 0},
    {FREE, IN(4, 500), 0, QUIRE_ERR_DOUBLE_FREE, 0, 0},
    {FREE, IN(0, 64), 6, QUIRE_ERR_DOUBLE_FREE, 0, 0},
    {FREE, IN(0, 256), 8, QUIRE_ERR_DOUBLE_FREE, 0, 0},
    {FREE_ANY, IN(0, 3), 0, QUIRE_ERR_DOUBLE_FREE, 0, 0},
    {FREE_ANY, IN(3, 5), 0, QUIRE_ERR_DOUBLE_FREE, 0, 0},
    {FREE_CONTIG, IN(3, 100), 50, QUIRE_ERR_DOUBLE_FREE, 0, 0},
    {FREE_ONE_OF_BATCH, IN(0, 4), 0, QUIRE_ERR_DOUBLE_FREE, 0, 0},
    {FREE_ONE_OF_BATCH, IN(3, 4), 0, QUIRE_ERR_DOUBLE_FREE, 0, 0},
    {RUN_LENGTH, IN(3, 0), 0, QUIRE_ERR_DOUBLE_FREE, 0, 0},
    {RUN_LENGTH, IN(0, 16), 0, QUIRE_ERR_DOUBLE_FREE, 0, 0},
    {SPLIT, IN(3, 0), 4, QUIRE_ERR_DOUBLE_FREE, 0, 0},
    {SPLIT, IN(3, 0), 9, QUIRE_ERR_DOUBLE_FREE, 0, 0},
    {JOIN, IN(3, 0), 0, QUIRE_ERR_DOUBLE_FREE, 0, 0},
    /* Parts of runs, and several runs at once. */
    {FREE, IN(0, 0), 1, QUIRE_ERR_ORDER, 0, 0},
    {FREE, IN(0, 8), 0, QUIRE_ERR_ORDER, 0, 0},
    {FREE, IN(0, 8), 2, QUIRE_ERR_ORDER, 0, 0},
    {FREE, IN(0, 12), 2, QUIRE_ERR_ORDER, 0, 0},
    {FREE, IN(0, 15), 0, QUIRE_ERR_ORDER, 0, 0},
    {FREE, IN(0, 128), 6, QUIRE_ERR_ORDER, 0, 0},
    {FREE, IN(0, 192), 6, QUIRE_ERR_ORDER, 0, 0},
    {FREE, IN(0, 200), 0, QUIRE_ERR_ORDER, 0, 0},
    {FREE, IN(1, 0), 0, QUIRE_ERR_ORDER, 0, 0},
    {FREE, IN(2, 0), 9, QUIRE_ERR_ORDER, 0, 0},
    {FREE, IN(2, 256), 8, QUIRE_ERR_ORDER, 0, 0},
    {FREE, IN(2, 511), 0, QUIRE_ERR_ORDER, 0, 0},
    {FREE, IN(5, 0), 9, QUIRE_ERR_ORDER, 0, 0},
    {FREE, IN(6, 80), 3, QUIRE_ERR_ORDER, 0, 0},
    {FREE_ANY, IN(0, 9), 0, QUIRE_ERR_ORDER, 0, 0},
    {FREE_ANY, IN(2, 0), 0, QUIRE_ERR_ORDER, 0, 0},
    {FREE_ANY, IN(6, 0), 0, QUIRE_ERR_ORDER, 0, 0},
    {FREE_CONTIG, IN(5, 0), 599, QUIRE_ERR_ORDER, 0, 0},
    {FREE_CONTIG, IN(5, 0), 512, QUIRE_ERR_ORDER, 0, 0},
    {FREE_CONTIG, IN(5, 1), 599, QUIRE_ERR_ORDER, 0, 0},
    {FREE_CONTIG, IN(0, 8), 7, QUIRE_ERR_ORDER, 0, 0},
    {FREE_CONTIG, IN(0, 0), 3, QUIRE_ERR_ORDER, 0, 0},
    {FREE_CONTIG, IN(1, 0), 512, QUIRE_ERR_ORDER, 0, 0},
    {FREE_ONE_OF_BATCH, IN(0, 8), 0, QUIRE_ERR_ORDER, 0, 0},
    {FREE_ONE_OF_BATCH, IN(0, 10), 0, QUIRE_ERR_ORDER, 0, 0},
    {FREE_ONE_OF_BATCH, IN(1, 0), 0, QUIRE_ERR_ORDER, 0, 0},
    {FREE_ONE_OF_BATCH, IN(6, 10), 0, QUIRE_ERR_ORDER, 0, 0},
    {RUN_LENGTH, IN(0, 130), 0, QUIRE_ERR_ORDER, 0, 0},
    {RUN_LENGTH, IN(2, 0), 0, QUIRE_ERR_ORDER, 0, 0},
    {SPLIT, IN(0, 8), 2, QUIRE_ERR_ORDER, 0, 0},
    {SPLIT, IN(0, 0), 1, QUIRE_ERR_ORDER, 0, 0},
    {SPLIT, IN(1, 0), 9, QUIRE_ERR_ORDER, 0, 0},
    {SPLIT, IN(2, 0), 9, QUIRE_ERR_ORDER, 0, 0},
    {JOIN, IN(1, 0), 0, QUIRE_ERR_ORDER, 0, 0},
    {JOIN, IN(5, 0), 0, QUIRE_ERR_ORDER, 0, 0},
    /* Ranges in use. */
    {AT, IN(0, 0), 0, QUIRE_ERR_BUSY, 0, 0},
    {AT, IN(0, 0), 2, QUIRE_ERR_BUSY, 0, 0},
    {AT, IN(0, 8), 2, QUIRE_ERR_BUSY, 0, 0},
    {AT, IN(0, 128), 7, QUIRE_ERR_BUSY, 0, 0},
    {AT, IN(0, 0), 9, QUIRE_ERR_BUSY, 0, 0},
    {AT, IN(1, 0), 10, QUIRE_ERR_BUSY, 0, 0},
    {AT, IN(2, 7), 0, QUIRE_ERR_BUSY, 0, 0},
    {AT, IN(6, 0), 9, QUIRE_ERR_BUSY, 0, 0},
    {RESERVE, IN(0, 2), 2, QUIRE_ERR_BUSY, 0, 0},
    {RESERVE, IN(2, 511), 2, QUIRE_ERR_BUSY, 0, 0},
    {RESERVE, IN(6, 0), 512, QUIRE_ERR_BUSY, 0, 0},
};

static int call(struct fixture *f, const struct row *row)
{
    struct quire_zone *z = &f->zone;
    quire_slot s = slot(row->slot);
    quire_pfn pfn = at(row->pfn);
    quire_pfn batch[3] = {at(IN(0, 0)), pfn, at(IN(0, 2))};
    enum quire_frame_state state;
    uint64_t frames;

    switch (row->call) {
    case FREE:
        return quire_zone_free(z, s, pfn, (unsigned)row->number);
    case FREE_ANY:
        return quire_zone_free_any(z, s, pfn);
    case FREE_CONTIG:
        return quire_zone_free_contig(z, s, pfn, row->number);
    case FREE_ONE_OF_BATCH:
        return quire_zone_free_batch(z, s, batch, 3, NULL);
    case RUN_LENGTH:
        return quire_zone_run_length(z, pfn, &frames);
    case SPLIT:
        return quire_zone_split(z, s, pfn, (unsigned)row->number);
    case JOIN:
        return quire_zone_join(z, s, pfn);
    case ALLOC:
        return quire_zone_alloc(z, s, (unsigned)row->number, row->flags, &pfn);
    case AT:
        return quire_zone_alloc_at(z, s, pfn, (unsigned)row->number, row->flags);
    case RESERVE:
        return quire_zone_reserve(z, s, pfn, row->number);
    case UNRESERVE:
        return quire_zone_unreserve(z, s, pfn, row->number);
    case FRAME_STATE:
        return quire_zone_frame_state(z, pfn, &state);
    }
    return 1;
}

static void open_zone(struct fixture *f)
{
    struct quire_contig want = {.frames = 600, .low = IN(5, 0) * (uint64_t)QUIRE_FRAME_SIZE};
    quire_pfn pfn;
    fixture_begin(f);
    fixture_usable(f, BASE, 4 * BLOCK);
    fixture_usable(f, IN(4, 200), 3 * BLOCK - 200);
    fixture_reserved(f, IN(4, 0), 100);
    fixture_open(f);
    for (uint64_t n = 0; n < 3; n++) {
        assert_ok(quire_zone_alloc_at(&f->zone, slot(0), at(IN(0, n)), 0, 0));
    }
    assert_ok(quire_zone_alloc_at(&f->zone, slot(0), at(IN(0, 8)), 3, 0));
    assert_ok(quire_zone_alloc_at(&f->zone, slot(1), at(IN(0, 128)), 7, 0));
    assert_ok(quire_zone_alloc_at(&f->zone, slot(2), at(IN(1, 0)), 10, 0));
    assert_ok(quire_zone_alloc_contig(&f->zone, slot(0), &want, 0, &pfn));
    assert_int_equal(pfn.n, IN(5, 0));
}

static void errors_by_table(void **state)
{
    (void)state;
    struct fixture f;
    open_zone(&f);
    unsigned wrong = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t before = quire_zone_free_frames(&f.zone);
        int got = call(&f, &rows[i]);
        if (got != rows[i].error) {
            print_error("row %zu: call %d, pfn 0x%" PRIx64 ", number %" PRIu64 " gave %d (%s), "
                        "expected %d (%s)\n",
                        i, (int)rows[i].call, rows[i].pfn, rows[i].number, got, quire_strerror(got),
                        rows[i].error, quire_strerror(rows[i].error));
            wrong++;
        }
        assert_sound(&f, before);
    }
    assert_int_equal(wrong, 0);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(errors_by_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
