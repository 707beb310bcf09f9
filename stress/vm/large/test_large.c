/* SPDX-License-Identifier: MIT
 *
 * test_large.c - large objects and stacks between guards, in all formats.
 */
#include "stress/vm/space_unit.h"

#define PAGES 5

static int write_at(uint64_t virt, uint64_t word)
{
    return space_rig_write(&rig, 0, &space, virt, word);
}

static void between_guards(void)
{
    uint64_t before = space_rig_used(&rig), bytes = 0;
    quire_vaddr a, b;

    assert_ok(quire_large_alloc(&space, PAGES * FRAME - 100, rw(), &a));
    assert_ok(quire_large_alloc(&space, PAGES * FRAME, rw(), &b));
    assert_true(space_rig_used(&rig) >= before + 2 * PAGES);
    for (unsigned i = 0; i < PAGES; i++) {
        expect_word(&space, a.n + i * FRAME, 0);
        assert_ok(write_at(a.n + i * FRAME, i + 1));
        assert_ok(write_at(b.n + i * FRAME, i + 100));
    }
    assert_error(write_at(a.n - 8, 1), QUIRE_ERR_ACCESS);
    assert_error(write_at(a.n + PAGES * FRAME, 1), QUIRE_ERR_ACCESS);
    assert_error(write_at(b.n - 8, 1), QUIRE_ERR_ACCESS); /* a stack that is too deep */
    assert_error(write_at(b.n + PAGES * FRAME, 1), QUIRE_ERR_ACCESS);
    assert_ok(quire_large_bytes(&space, a, &bytes));
    assert_int_equal(bytes, PAGES * FRAME);
    assert_ok(quire_large_free(&space, a));
    for (unsigned i = 0; i < PAGES; i++)
        expect_word(&space, b.n + i * FRAME, i + 100);
    assert_error(write_at(b.n - 8, 1), QUIRE_ERR_ACCESS); /* its own guard stays */
    assert_error(quire_large_free(&space, a), QUIRE_ERR_AREA);
    assert_ok(quire_large_alloc(&space, FRAME, rw(), &a)); /* where the first one was */
    expect_word(&space, a.n, 0);
    assert_ok(quire_large_free(&space, a));
    assert_ok(quire_large_free(&space, b));
    assert_error(read_at(b.n), QUIRE_ERR_AREA);
}

static void wrong_ones(void)
{
    quire_vaddr a, wrong;
    uint64_t bytes;

    assert_error(quire_large_alloc(&space, 0, rw(), &a), QUIRE_ERR_SIZE);
    assert_error(quire_large_alloc(&space, UINT64_MAX, rw(), &a), QUIRE_ERR_SIZE);
    assert_error(quire_large_alloc(&space, rig.config.range.bytes, rw(), &a), QUIRE_ERR_FULL);
    assert_error(quire_large_alloc(&space, FRAME, 1u << 30, &a), QUIRE_ERR_UNSUPPORTED);
    assert_ok(quire_large_alloc(&space, 3 * FRAME, rw(), &a));
    wrong.n = a.n + FRAME;
    assert_error(quire_large_free(&space, wrong), QUIRE_ERR_ALIGN);
    wrong.n = a.n + 8;
    assert_error(quire_large_free(&space, wrong), QUIRE_ERR_ALIGN);
    wrong.n = a.n + 3 * FRAME; /* its guard */
    assert_error(quire_large_bytes(&space, wrong, &bytes), QUIRE_ERR_AREA);
    wrong.n = base();
    assert_error(quire_large_free(&space, wrong), QUIRE_ERR_AREA);
    wrong.n = 0;
    assert_error(quire_large_free(&space, wrong), QUIRE_ERR_AREA);
    assert_ok(quire_large_free(&space, a));
}

/* Memory that ends at any frame: nothing stays but tables. */
static void refused_at_each_frame(void)
{
    quire_vaddr a, first, other;
    int error = -1;

    assert_ok(quire_large_alloc(&space, FRAME, rw(), &other)); /* the tables stay */
    assert_ok(quire_large_alloc(&space, PAGES * FRAME, rw(), &first));
    assert_ok(quire_large_free(&space, first));
    for (uint64_t in = 1; error; in++) {
        uint64_t before = space_rig_used(&rig);

        rig.fail_in = in;
        error = quire_large_alloc(&space, PAGES * FRAME, rw(), &a);
        rig.fail_in = 0;
        if (error) {
            assert_int_equal(error, QUIRE_ERR_NO_MEMORY);
            assert_int_equal(space_rig_used(&rig), before);
        } else {
            assert_int_equal(a.n, first.n);
            assert_int_equal(in, PAGES + 1);
        }
    }
    assert_ok(quire_large_free(&space, a));
    assert_ok(quire_large_free(&space, other));
}

ON_ALL(between_guards)
ON_ALL(wrong_ones)
ON_ALL(refused_at_each_frame)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(between_guards_test),
        cmocka_unit_test(wrong_ones_test),
        cmocka_unit_test(refused_at_each_frame_test),
    };

    return cmocka_run_group_tests_name("large", tests, NULL, NULL);
}
