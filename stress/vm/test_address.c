/* SPDX-License-Identifier: MIT
 *
 * test_address.c - addresses and ranges: what fits, and what is an error instead of a wrap.
 */
#include "stress/common/assert.h"

#include <quire/address.h>

#define TOP   UINT64_MAX
#define HALF  (UINT64_C(1) << 63)
#define MARK  UINT64_C(0x1234567)
#define range quire_vrange_of

static void sums_do_not_wrap(void **state)
{
    quire_vaddr v = {MARK};
    quire_paddr p = {MARK};
    uint64_t bytes = MARK;

    (void)state;
    assert_ok(quire_vaddr_add(quire_vaddr_of(TOP - 5), 5, &v));
    assert_int_equal(v.n, TOP);
    assert_error(quire_vaddr_add(quire_vaddr_of(TOP - 5), 6, &v), QUIRE_ERR_ADDRESS);
    assert_error(quire_vaddr_add(quire_vaddr_of(HALF), HALF, &v), QUIRE_ERR_ADDRESS);
    assert_int_equal(v.n, TOP);
    assert_ok(quire_paddr_add(quire_paddr_of(HALF), HALF - 1, &p));
    assert_int_equal(p.n, TOP);
    assert_error(quire_paddr_add(p, 1, &p), QUIRE_ERR_ADDRESS);
    assert_ok(quire_vaddr_difference(quire_vaddr_of(TOP), quire_vaddr_of(0), &bytes));
    assert_int_equal(bytes, TOP);
    assert_error(quire_vaddr_difference(quire_vaddr_of(1), quire_vaddr_of(2), &bytes),
                 QUIRE_ERR_ADDRESS);
    assert_error(quire_paddr_difference(quire_paddr_of(1), quire_paddr_of(2), &bytes),
                 QUIRE_ERR_ADDRESS);
    assert_int_equal(bytes, TOP);
}

static void alignment_asks_for_a_power_of_two(void **state)
{
    const uint64_t none[] = {0, 3, 4095, 4097, TOP};
    quire_vaddr v = {MARK};
    quire_paddr p = {MARK};

    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_error(quire_vaddr_align_up(quire_vaddr_of(5), none[i], &v), QUIRE_ERR_ALIGN);
        assert_error(quire_vaddr_align_down(quire_vaddr_of(5), none[i], &v), QUIRE_ERR_ALIGN);
        assert_error(quire_paddr_align_up(quire_paddr_of(5), none[i], &p), QUIRE_ERR_ALIGN);
        assert_error(quire_paddr_align_down(quire_paddr_of(5), none[i], &p), QUIRE_ERR_ALIGN);
    }
    assert_int_equal(v.n, MARK);
    assert_ok(quire_vaddr_align_up(quire_vaddr_of(1), 4096, &v));
    assert_int_equal(v.n, 4096);
    assert_ok(quire_vaddr_align_up(quire_vaddr_of(4096), 4096, &v));
    assert_int_equal(v.n, 4096);
    assert_ok(quire_vaddr_align_up(quire_vaddr_of(TOP - 4095), 4096, &v));
    assert_int_equal(v.n, TOP - 4095);
    assert_error(quire_vaddr_align_up(quire_vaddr_of(TOP - 4094), 4096, &v), QUIRE_ERR_ADDRESS);
    assert_error(quire_vaddr_align_up(quire_vaddr_of(HALF + 1), HALF, &v), QUIRE_ERR_ADDRESS);
    assert_ok(quire_vaddr_align_up(quire_vaddr_of(TOP), 1, &v));
    assert_int_equal(v.n, TOP);
    assert_ok(quire_paddr_align_down(quire_paddr_of(TOP), HALF, &p));
    assert_int_equal(p.n, HALF);
}

static void ranges_end_where_addresses_do(void **state)
{
    (void)state;
    assert_ok(quire_vrange_validate(range(TOP - 4095, 4096)));
    assert_ok(quire_vrange_validate(range(HALF, HALF)));
    assert_ok(quire_vrange_validate(range(0, TOP)));
    assert_error(quire_vrange_validate(range(0, 0)), QUIRE_ERR_SIZE);
    assert_error(quire_vrange_validate(range(TOP - 4095, 4097)), QUIRE_ERR_ADDRESS);
    assert_error(quire_vrange_validate(range(HALF + 1, HALF)), QUIRE_ERR_ADDRESS);
    assert_error(quire_prange_validate(quire_prange_of(2, TOP)), QUIRE_ERR_ADDRESS);
    assert_int_equal(quire_vrange_last(range(TOP - 4095, 4096)).n, TOP);
    assert_true(quire_vrange_contains(range(TOP - 4095, 4096), quire_vaddr_of(TOP)));
    assert_false(quire_vrange_contains(range(4096, 4096), quire_vaddr_of(8192)));
    assert_false(quire_vrange_contains(range(4096, 4096), quire_vaddr_of(4095)));
}

/* Against a count of the bytes that are in both. */
static void ranges_meet_as_sets_do(void **state)
{
    (void)state;
    for (uint64_t n = 0; n < 6 * 6 * 6 * 6; n++) {
        uint64_t top = n & 1 ? TOP - 9 : 0; /* the last byte of all is among them */
        struct quire_vrange a = range(top + n % 6, 1 + n / 6 % 6 % 5);
        struct quire_vrange b = range(top + n / 36 % 6, 1 + n / 216 % 5), common = {{MARK}, MARK};
        uint64_t both = 0, first = 0;

        for (uint64_t i = 0; i < 10; i++) {
            quire_vaddr at = {top + i};

            if (quire_vrange_contains(a, at) && quire_vrange_contains(b, at))
                first = both++ == 0 ? at.n : first;
        }
        assert_int_equal(quire_vrange_overlaps(a, b), both > 0);
        assert_int_equal(quire_vrange_intersect(a, b, &common), both > 0);
        assert_int_equal(common.bytes, both > 0 ? both : MARK);
        assert_int_equal(common.start.n, both > 0 ? first : MARK);
    }
}

static void parts_have_a_byte_each(void **state)
{
    struct quire_vrange below = {{MARK}, MARK}, from = {{MARK}, MARK};
    struct quire_prange low, high;

    (void)state;
    assert_error(quire_vrange_split(range(10, 5), quire_vaddr_of(10), &below, &from),
                 QUIRE_ERR_ADDRESS);
    assert_error(quire_vrange_split(range(10, 5), quire_vaddr_of(15), &below, &from),
                 QUIRE_ERR_ADDRESS);
    assert_error(quire_vrange_split(range(10, 5), quire_vaddr_of(9), &below, &from),
                 QUIRE_ERR_ADDRESS);
    assert_int_equal(below.bytes, MARK);
    assert_ok(quire_vrange_split(range(TOP - 4, 5), quire_vaddr_of(TOP), &below, &from));
    assert_int_equal(below.start.n, TOP - 4);
    assert_int_equal(below.bytes, 4);
    assert_int_equal(from.start.n, TOP);
    assert_int_equal(from.bytes, 1);
    assert_ok(quire_prange_split(quire_prange_of(0, 9), quire_paddr_of(4), &low, &high));
    assert_int_equal(low.bytes + high.bytes, 9);
    assert_true(quire_prange_intersect(quire_prange_of(0, 9), high, &low));
    assert_int_equal(low.start.n, 4);
}

static void canonical_is_what_the_format_says(void **state)
{
    const struct quire_canonical sign = {48, QUIRE_UPPER_SIGN}, zeros = {32, QUIRE_UPPER_ZEROS};
    const struct quire_canonical ones = {48, QUIRE_UPPER_ONES};
    const uint64_t hole = UINT64_C(1) << 47, upper = ~(hole - 1);

    (void)state;
    assert_true(quire_vaddr_canonical(sign, quire_vaddr_of(hole - 1)));
    assert_false(quire_vaddr_canonical(sign, quire_vaddr_of(hole)));
    assert_false(quire_vaddr_canonical(sign, quire_vaddr_of(upper - 1)));
    assert_true(quire_vaddr_canonical(sign, quire_vaddr_of(upper)));
    assert_true(quire_vaddr_canonical(zeros, quire_vaddr_of(UINT32_MAX)));
    assert_false(quire_vaddr_canonical(zeros, quire_vaddr_of(UINT64_C(1) << 32)));
    assert_false(quire_vaddr_canonical(ones, quire_vaddr_of(0)));
    assert_true(quire_vaddr_canonical(ones, quire_vaddr_of(UINT64_C(0xffff) << 48)));
    assert_ok(quire_vrange_canonical(sign, range(0, hole)));
    assert_ok(quire_vrange_canonical(sign, range(upper, hole)));
    assert_error(quire_vrange_canonical(sign, range(0, hole + 1)), QUIRE_ERR_ADDRESS);
    assert_error(quire_vrange_canonical(sign, range(4096, upper)), QUIRE_ERR_ADDRESS);
    assert_error(quire_vrange_canonical(sign, range(hole, 4096)), QUIRE_ERR_ADDRESS);
    assert_error(quire_vrange_canonical(sign, range(upper, HALF)), QUIRE_ERR_ADDRESS);
    assert_error(quire_vrange_canonical(sign, range(upper, 0)), QUIRE_ERR_SIZE);
    assert_error(quire_vrange_canonical(zeros, range(0, HALF)), QUIRE_ERR_ADDRESS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_do_not_wrap),
        cmocka_unit_test(alignment_asks_for_a_power_of_two),
        cmocka_unit_test(ranges_end_where_addresses_do),
        cmocka_unit_test(ranges_meet_as_sets_do),
        cmocka_unit_test(parts_have_a_byte_each),
        cmocka_unit_test(canonical_is_what_the_format_says),
    };

    return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
