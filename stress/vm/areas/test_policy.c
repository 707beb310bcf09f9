/* SPDX-License-Identifier: MIT
 *
 * test_policy.c - ranges get another policy: faults, populate, large pages, forks and promotions
 * follow it; areas are split and merge by it; what is refused changes nothing, and is refused when
 * it is true.
 */
#include "stress/vm/file/file_unit.h"

enum { AREAS = 16 };

static const struct quire_policy policies[2];
static struct quire_area listed[AREAS];
static unsigned areas;

static int collect(void *ctx, const struct quire_area *area)
{
    (void)ctx;
    assert_true(areas < AREAS);
    listed[areas++] = *area;
    return 0;
}

static void list_of(struct quire_space *in)
{
    areas = 0;
    assert_ok(quire_space_list(in, rig.config.range, collect, NULL));
}

static int set(uint64_t first, uint64_t pages, const struct quire_policy *policy)
{
    return quire_space_set_policy(&space, span(base() + first * FRAME, pages * FRAME), policy);
}

/* Is the page filled by this policy, or the space's, if NULL? */
static void expect_policy(struct quire_space *in, uint64_t page, const struct quire_policy *policy)
{
    uint64_t before = qa_load(&rig.by_policy, relaxed);

    rig.policy = policy;
    expect_word(in, base() + page * FRAME, 0);
    assert_int_equal(qa_load(&rig.by_policy, relaxed) - before, policy != NULL);
}

static void expect_area(unsigned i, uint64_t first, uint64_t pages,
                        const struct quire_policy *policy)
{
    assert_true(i < areas);
    assert_int_equal(listed[i].range.start.n, base() + first * FRAME);
    assert_int_equal(listed[i].range.bytes, pages * FRAME);
    assert_ptr_equal(listed[i].policy, policy);
}

static void of_a_part(void)
{
    struct quire_space child;

    assert_ok(reserve(base(), 16 * FRAME, rw()));
    write_word(&space, base() + 5 * FRAME, 1);
    assert_ok(set(4, 4, &policies[0]));
    list_of(&space);
    assert_int_equal(areas, 3);
    expect_area(0, 0, 4, NULL);
    expect_area(1, 4, 4, &policies[0]);
    expect_area(2, 8, 8, NULL);
    expect_word(&space, base() + 5 * FRAME, 1);
    expect_policy(&space, 3, NULL);
    expect_policy(&space, 4, &policies[0]);
    expect_policy(&space, 8, NULL);
    assert_ok(
        quire_space_advise(&space, span(base() + 4 * FRAME, 2 * FRAME), QUIRE_ADVISE_RELEASE));
    expect_policy(&space, 5, &policies[0]);
    assert_ok(quire_space_protect(&space, span(base() + 6 * FRAME, FRAME), ro()));
    expect_policy(&space, 6, &policies[0]);
    assert_ok(quire_space_fork(&space, &child));
    expect_policy(&child, 7, &policies[0]);
    expect_policy(&child, 9, NULL);
    space_rig_leave(&rig, 0);
    quire_space_destroy(&child);
    expect_policy(&space, 7, &policies[0]);
}

/* Neighbours of one policy are one area, whichever way it came to be. */
static void merged(void)
{
    assert_ok(reserve(base(), 16 * FRAME, rw()));
    for (uint64_t i = 0; i < 16; i += 2)
        assert_ok(set(i, 1, &policies[i / 2 % 2]));
    list_of(&space);
    assert_int_equal(areas, 16);
    assert_ok(set(1, 14, &policies[1]));
    list_of(&space);
    assert_int_equal(areas, 3);
    expect_area(0, 0, 1, &policies[0]);
    expect_area(1, 1, 14, &policies[1]);
    expect_area(2, 15, 1, NULL);
    assert_ok(set(15, 1, &policies[1])); /* goes on with the note below */
    expect_policy(&space, 15, &policies[1]);
    assert_ok(set(0, 16, NULL));
    list_of(&space);
    assert_int_equal(areas, 1);
    expect_policy(&space, 4, NULL);
    assert_ok(set(0, 16, &policies[0]));
    assert_ok(unmap(base() + 4 * FRAME, 4 * FRAME));
    list_of(&space);
    assert_int_equal(areas, 2);
    expect_area(0, 0, 4, &policies[0]);
    expect_area(1, 8, 8, &policies[0]);
    assert_int_equal(set(3, 6, &policies[1]), QUIRE_ERR_AREA);
    expect_policy(&space, 3, &policies[0]);
}

/* Guards are passed over, and have none when they are memory later. */
static void with_guards(void)
{
    struct quire_area guard = {.range = span(base() + 2 * FRAME, FRAME), .kind = QUIRE_AREA_GUARD};

    assert_ok(reserve(base(), 2 * FRAME, rw()));
    assert_ok(quire_space_reserve(&space, &guard, 0, NULL));
    assert_ok(reserve(base() + 3 * FRAME, 2 * FRAME, rw()));
    assert_ok(set(0, 5, &policies[0]));
    list_of(&space);
    assert_int_equal(areas, 3);
    assert_int_equal(listed[1].kind, QUIRE_AREA_GUARD);
    assert_null(listed[1].policy);
    assert_ok(quire_space_protect(&space, guard.range, rw()));
    expect_policy(&space, 2, NULL);
    expect_policy(&space, 1, &policies[0]);
    expect_policy(&space, 3, &policies[0]);
}

/* An area with a limit has one policy; its count goes on. */
static void with_limit(void)
{
    struct quire_area area = space_rig_area(base(), 8 * FRAME, rw());

    area.limit = 2;
    assert_ok(quire_space_reserve(&space, &area, 0, NULL));
    expect_policy(&space, 0, NULL);
    assert_int_equal(set(0, 7, &policies[0]), QUIRE_ERR_UNSUPPORTED);
    assert_int_equal(set(1, 7, &policies[0]), QUIRE_ERR_UNSUPPORTED);
    expect_policy(&space, 1, NULL);
    assert_ok(unmap(base() + 3 * FRAME, FRAME));
    assert_int_equal(set(4, 4, &policies[0]), QUIRE_ERR_UNSUPPORTED);
    assert_ok(reserve(base() + 3 * FRAME, FRAME, rw()));
    assert_ok(set(0, 8, &policies[0]));
    assert_int_equal(read_at(base() + 5 * FRAME), QUIRE_ERR_LIMIT);
    expect_policy(&space, 3, &policies[0]);
    assert_ok(quire_space_advise(&space, span(base(), FRAME), QUIRE_ADVISE_RELEASE));
    expect_policy(&space, 5, &policies[0]);
    assert_int_equal(read_at(base()), QUIRE_ERR_LIMIT);
    list_of(&space);
    assert_int_equal(areas, 3);
    assert_int_equal(listed[0].limit, 2);
    assert_ptr_equal(listed[2].policy, &policies[0]);
}

static void large_pages(void)
{
    struct quire_area area = space_rig_area(base(), 2 * large(), rw());
    uint64_t in_large = large() / FRAME;

    assert_ok(quire_space_reserve(&space, &area, QUIRE_RESERVE_LARGE, NULL));
    assert_ok(set(in_large, in_large, &policies[1]));
    expect_policy(&space, in_large + 3, &policies[1]);
    assert_ok(set(in_large / 2, in_large, &policies[0])); /* splits what is there */
    list_of(&space);
    assert_int_equal(areas, 3);
    expect_area(1, in_large / 2, in_large, &policies[0]);
    expect_policy(&space, in_large - 1, &policies[0]);
    expect_policy(&space, 1, NULL);
}

static void not_done(void)
{
    uint64_t used;

    assert_ok(reserve(base(), 4 * FRAME, rw()));
    assert_ok(map_file(base() + 4 * FRAME, 4, 0, false));
    assert_int_equal(set(0, 5, &policies[0]), QUIRE_ERR_UNSUPPORTED);
    assert_int_equal(set(0, 9, &policies[0]), QUIRE_ERR_AREA);
    assert_int_equal(set(0, 0, &policies[0]), QUIRE_ERR_SIZE);
    list_of(&space);
    assert_int_equal(areas, 2);
    assert_null(listed[0].policy);
    used = qa_load(&rig.pages, relaxed);
    assert_ok(quire_space_reserve(
        &other, &(struct quire_area){.range = span(base(), 4 * FRAME), .access = rw()}, 0, NULL));
    for (uint64_t i = 1;; i++) {
        rig.fail_in = i;
        if (quire_space_set_policy(&other, span(base() + FRAME, FRAME), &policies[0]) == 0)
            break;
        list_of(&other);
        assert_int_equal(areas, 1);
        assert_true(i < 8);
    }
    rig.fail_in = 0;
    assert_true(qa_load(&rig.pages, relaxed) > used);
    list_of(&other);
    assert_int_equal(areas, 3);
    space.config.port.memory.alloc = NULL;
    space.free_notes = NULL;
    assert_int_equal(set(1, 2, &policies[0]), QUIRE_ERR_UNSUPPORTED);
    space.config.port.memory.alloc = rig.config.port.memory.alloc;
    assert_ok(set(1, 2, NULL));
}

/* Areas with a limit take no numbers from the others, nor for ever from themselves. */
static void as_many_as_may_be(void)
{
    struct quire_area area = space_rig_area(base(), 4 * FRAME, rw());
    uint64_t most = 0;

    if (rig.which != &rig_formats[0] || rig.window)
        return; /* it takes long */
    area.policy = &policies[0];
    assert_ok(quire_space_reserve(&space, &area, 0, NULL));
    area.policy = NULL;
    area.limit = 1;
    for (unsigned round = 0; round < 2; round++) {
        uint64_t page = 4;
        int error;

        do {
            area.range = span(base() + page * FRAME, FRAME);
            error = quire_space_reserve(&space, &area, 0, NULL);
            page += error == 0;
        } while (error == 0);
        assert_int_equal(error, QUIRE_ERR_FULL);
        assert_true(page > 4000 && (round == 0 || page == most));
        most = page;
        assert_ok(set(1, 1, &policies[1])); /* three areas now */
        assert_ok(set(0, 4, &policies[0]));
        assert_ok(unmap(base() + 4 * FRAME, (page - 4) * FRAME));
    }
    assert_ok(unmap(base() + FRAME, FRAME));
    assert_ok(unmap(base(), FRAME));
    assert_ok(unmap(base() + 2 * FRAME, 2 * FRAME));
}

ON_ALL_WITH_FILE(of_a_part)
ON_ALL_WITH_FILE(merged)
ON_ALL_WITH_FILE(with_guards)
ON_ALL_WITH_FILE(with_limit)
ON_ALL_WITH_FILE(large_pages)
ON_ALL_WITH_FILE(not_done)
ON_ALL_WITH_FILE(as_many_as_may_be)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_a_part_test),         cmocka_unit_test(merged_test),
        cmocka_unit_test(with_guards_test),       cmocka_unit_test(with_limit_test),
        cmocka_unit_test(large_pages_test),       cmocka_unit_test(not_done_test),
        cmocka_unit_test(as_many_as_may_be_test),
    };

    return cmocka_run_group_tests_name("space_policy", tests, NULL, NULL);
}
