/* SPDX-License-Identifier: MIT
 *
 * lost_runs.c - n frames in several runs, while a rival takes a frame of each run that was chosen,
 * before it is claimed, again and again. White-box: alloc_runs.c is compiled for this program so
 * that its claims come here first.
 */
#include "stress/common/zone_fixture.h"

#include "core/internal.h"

enum {
    ROOM = 256,
    PIECE = 100,
    PIECES = 30,  /* so that some are whole still in the last pass */
    PLENTY = 200, /* losses: far more than there are tries */
};

static struct quire_run runs[ROOM];
static unsigned losses; /* how many more the rival brings about */

int rival_range_claim(struct quire_zone *z, quire_slot slot, uint64_t frame, uint64_t n);

/* The claim of alloc_runs.c, which comes too late for the frame in the middle. */
int rival_range_claim(struct quire_zone *z, quire_slot slot, uint64_t frame, uint64_t n)
{
    if (losses > 0 && n > 1) {
        losses--;
        assert_ok(quire_zone_alloc_at(z, quire_slot_of(2), pfn_of_frame(z, frame + n / 2), 0,
                                      QUIRE_EMERGENCY));
    }
    return qi_range_claim(z, slot, frame, n);
}

/* Pieces of free frames, a used one between each two, in split blocks. */
static void open_pieces(struct fixture *f)
{
    fixture_simple(f, 0, 6 * BLOCK);
    for (uint64_t n = 0; n < 6 * BLOCK; n++)
        if (n >= PIECES * (PIECE + 1) || n % (PIECE + 1) == PIECE)
            assert_ok(quire_zone_alloc_at(&f->zone, slot(0), at(n), 0, QUIRE_EMERGENCY));
}

static void take_beside_rival(unsigned lost)
{
    struct fixture f;
    uint64_t sum = 0, before;
    size_t count = 0;

    open_pieces(&f);
    before = quire_zone_free_frames(&f.zone);
    assert_int_equal(before, PIECES * PIECE);
    losses = lost;
    assert_ok(quire_zone_alloc_runs(&f.zone, slot(1), 0, 2 * PIECE, runs, ROOM, &count));
    for (size_t i = 0; i < count; i++) {
        uint64_t frames;

        assert_ok(quire_zone_run_length(&f.zone, runs[i].pfn, &frames));
        assert_int_equal(frames, runs[i].frames);
        sum += frames;
    }
    assert_int_equal(sum, 2 * PIECE);
    assert_sound(&f, before - 2 * PIECE - (lost - losses));
    for (size_t i = 0; i < count; i++)
        assert_ok(quire_zone_free_contig(&f.zone, slot(1), runs[i].pfn, runs[i].frames));
    assert_sound(&f, before - (lost - losses));
    fixture_close(&f);
}

static void some_losses(void **state)
{
    (void)state;
    for (unsigned lost = 0; lost < 30; lost++)
        take_beside_rival(lost);
}

/* The rival never ends, but leaves enough: it is not refused for having lost too often. */
static void always_lost(void **state)
{
    (void)state;
    take_beside_rival(PLENTY);
}

/* What the last pass holds when it does not suffice is given back. */
static void not_enough(void **state)
{
    struct fixture f;
    size_t count = 0;

    (void)state;
    open_pieces(&f);
    losses = PLENTY;
    assert_int_equal(quire_zone_alloc_runs(&f.zone, slot(1), 0, 2 * PIECE, runs, 2, &count),
                     QUIRE_ERR_NO_MEMORY);
    assert_int_equal(count, 0);
    assert_sound(&f, PIECES * PIECE - (PLENTY - losses));
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(some_losses),
        cmocka_unit_test(always_lost),
        cmocka_unit_test(not_enough),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
