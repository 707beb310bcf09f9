/* SPDX-License-Identifier: MIT
 *
 * test_set_aside.c - gigabytes of a machine that are set aside: nobody else gets them, they come
 * back, leave when they are split, serve their own policy alone, and are a Huge zone's first; what
 * is left there is for large pages. The machine's memory is simulated.
 */
#include "stress/numa/machine/unit.h"

#include <quire/space.h>

#include <string.h>

enum { GIGABYTES = 3, SLOTS = 2 };   /* of each node's Normal zone; that are set aside */
enum { LARGE_ORDER = 9, LARGE = 3 }; /* so many blocks are in the Huge zone besides */
#define GIGABYTE_FRAMES ((uint64_t)1 << QUIRE_GIGABYTE_ORDER)

static struct rig r;
static uint64_t slots[SLOTS] __attribute__((aligned(8)));
static struct quire_gigabytes gigabytes;
static struct quire_frame_source source;

/* The first node may have a gigabyte in a Huge zone besides, and some blocks. */
static void begin(bool huge)
{
    rig_begin(&r, 2, 1);
    for (uint32_t node = 0; node < 2; node++) {
        (void)rig_zone(&r, node, QUIRE_ZONE_NORMAL, 0, GIGABYTES * GIGABYTE_FRAMES);
        if (huge && node == 0)
            (void)rig_zone(&r, 0, QUIRE_ZONE_HUGE, GIGABYTES * GIGABYTE_FRAMES,
                           GIGABYTE_FRAMES + LARGE * BLOCK);
    }
    rig_open(&r);
    memset(slots, 0, sizeof slots);
    gigabytes = (struct quire_gigabytes){.machine = r.machine, .slots = slots, .count = SLOTS};
    source = quire_frames_with_gigabytes(&gigabytes);
}

static int set_up(void **state)
{
    (void)state;
    begin(false);
    return 0;
}

static int set_up_huge(void **state)
{
    (void)state;
    begin(true);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    quire_gigabytes_release(&gigabytes);
    rig_close(&r);
    return 0;
}

static quire_pfn must_give(unsigned order)
{
    quire_pfn pfn = {UINT64_MAX};

    assert_ok(source.alloc(source.ctx, NULL, order, &pfn));
    return pfn;
}

static quire_pfn must_give_zeros(unsigned order)
{
    quire_pfn pfn = {UINT64_MAX};

    assert_ok(source.alloc_zeroed(source.ctx, NULL, order, &pfn));
    return pfn;
}

static void take_all(unsigned order, quire_pfn pfns[], unsigned *count)
{
    while (quire_machine_alloc(r.machine, order, 0, &pfns[*count]) == 0)
        ++*count;
}

/* Others find nothing, the source still has them; what comes back is ready again. */
static void nobody_else(void **state)
{
    quire_pfn others[2 * GIGABYTES], first, second, none;
    unsigned count = 0;

    (void)state;
    assert_ok(quire_gigabytes_fill(&gigabytes, false));
    assert_int_equal(quire_gigabytes_ready(&gigabytes), SLOTS);
    take_all(QUIRE_GIGABYTE_ORDER, others, &count);
    assert_int_equal(count, 2 * GIGABYTES - SLOTS);
    first = must_give(QUIRE_GIGABYTE_ORDER);
    second = must_give(QUIRE_GIGABYTE_ORDER);
    assert_int_equal(quire_gigabytes_ready(&gigabytes), 0);
    assert_int_equal(source.alloc(source.ctx, NULL, QUIRE_GIGABYTE_ORDER, &none),
                     QUIRE_ERR_NO_MEMORY);
    source.free(source.ctx, first, QUIRE_GIGABYTE_ORDER);
    assert_int_equal(quire_gigabytes_ready(&gigabytes), 1);
    assert_int_equal(quire_machine_alloc(r.machine, 0, 0, &none), QUIRE_ERR_NO_MEMORY);
    assert_int_equal(must_give(QUIRE_GIGABYTE_ORDER).n, first.n);
    source.free(source.ctx, first, QUIRE_GIGABYTE_ORDER);
    /* One that it got from the machine goes there. */
    source.free(source.ctx, others[0], QUIRE_GIGABYTE_ORDER);
    assert_int_equal(quire_gigabytes_ready(&gigabytes), 1);
    assert_ok(quire_machine_alloc(r.machine, QUIRE_GIGABYTE_ORDER, 0, &others[0]));
    source.free(source.ctx, second, QUIRE_GIGABYTE_ORDER);
    for (unsigned i = 0; i < count; i++)
        assert_ok(quire_machine_free(r.machine, others[i], QUIRE_GIGABYTE_ORDER));
}

/* What is split has left, block by block and frame by frame; fill takes another one. */
static void split(void **state)
{
    quire_pfn pfn;

    (void)state;
    assert_ok(quire_gigabytes_fill(&gigabytes, false));
    pfn = must_give(QUIRE_GIGABYTE_ORDER);
    assert_ok(source.split(source.ctx, pfn, QUIRE_GIGABYTE_ORDER));
    assert_int_equal(quire_gigabytes_ready(&gigabytes), SLOTS - 1);
    assert_ok(quire_gigabytes_fill(&gigabytes, false));
    assert_int_equal(quire_gigabytes_ready(&gigabytes), SLOTS);
    assert_ok(source.split(source.ctx, pfn, 9));
    for (uint64_t i = 0; i < BLOCK; i++)
        source.free(source.ctx, quire_pfn_of(pfn.n + i), 0);
    for (uint64_t i = BLOCK; i < GIGABYTE_FRAMES; i += BLOCK)
        source.free(source.ctx, quire_pfn_of(pfn.n + i), 9);
    rig_check(&r, SLOTS * GIGABYTE_FRAMES);
}

/* Those that read as zeros are given to who asks for that, and for no others before any are left
 * that do not; one that came back does not, and is better than none. */
static void zeros(void **state)
{
    quire_pfn written, other, zero;

    (void)state;
    gigabytes.count = 1;
    assert_ok(quire_gigabytes_fill(&gigabytes, false));
    assert_int_equal(source.alloc_zeroed(source.ctx, NULL, QUIRE_GIGABYTE_ORDER, &zero),
                     QUIRE_ERR_UNSUPPORTED);
    gigabytes.count = SLOTS;
    slots[1] = 0;
    assert_ok(quire_gigabytes_fill(&gigabytes, true));
    written = must_give(QUIRE_GIGABYTE_ORDER);
    source.free(source.ctx, written, QUIRE_GIGABYTE_ORDER);
    assert_ok(source.alloc_zeroed(source.ctx, NULL, QUIRE_GIGABYTE_ORDER, &zero));
    assert_true(zero.n != written.n);
    assert_int_equal(source.alloc_zeroed(source.ctx, NULL, QUIRE_GIGABYTE_ORDER, &other),
                     QUIRE_ERR_UNSUPPORTED);
    assert_int_equal(must_give(QUIRE_GIGABYTE_ORDER).n, written.n);
    source.free(source.ctx, zero, QUIRE_GIGABYTE_ORDER);
    source.free(source.ctx, written, QUIRE_GIGABYTE_ORDER);
    assert_int_equal(source.alloc_zeroed(source.ctx, NULL, QUIRE_GIGABYTE_ORDER, &other),
                     QUIRE_ERR_UNSUPPORTED); /* it was written to since */
}

/* A request with another policy goes to the machine. */
static void policies(void **state)
{
    struct quire_policy bind = {.mode = QUIRE_POLICY_BIND,
                                .nodes = quire_nodemask_of(quire_node_of(1))};
    quire_pfn pfn;

    (void)state;
    assert_ok(quire_gigabytes_fill(&gigabytes, false));
    assert_ok(source.alloc(source.ctx, &bind, QUIRE_GIGABYTE_ORDER, &pfn));
    assert_int_equal(node_of(&r, pfn.n), 1);
    assert_int_equal(quire_gigabytes_ready(&gigabytes), SLOTS);
    source.free(source.ctx, pfn, QUIRE_GIGABYTE_ORDER);
    quire_gigabytes_release(&gigabytes);
    gigabytes.policy = &bind;
    assert_ok(quire_gigabytes_fill(&gigabytes, false));
    assert_ok(source.alloc(source.ctx, &bind, QUIRE_GIGABYTE_ORDER, &pfn));
    assert_int_equal(quire_gigabytes_ready(&gigabytes), SLOTS - 1);
    assert_int_equal(node_of(&r, pfn.n), 1);
    source.free(source.ctx, pfn, QUIRE_GIGABYTE_ORDER);
    quire_gigabytes_release(&gigabytes);
    gigabytes.policy = NULL;
}

/* The machine has not so many; and what is released while a page is made of it goes there. */
static void released(void **state)
{
    quire_pfn others[2 * GIGABYTES], pfn;
    unsigned count = 0;

    (void)state;
    take_all(QUIRE_GIGABYTE_ORDER, others, &count);
    assert_ok(quire_machine_free(r.machine, others[--count], QUIRE_GIGABYTE_ORDER));
    assert_int_equal(quire_gigabytes_fill(&gigabytes, false), QUIRE_ERR_NO_MEMORY);
    assert_int_equal(quire_gigabytes_ready(&gigabytes), 1);
    pfn = must_give(QUIRE_GIGABYTE_ORDER);
    quire_gigabytes_release(&gigabytes);
    source.free(source.ctx, pfn, QUIRE_GIGABYTE_ORDER);
    assert_int_equal(quire_gigabytes_ready(&gigabytes), 0);
    while (count > 0)
        assert_ok(quire_machine_free(r.machine, others[--count], QUIRE_GIGABYTE_ORDER));
    rig_check(&r, 0);
    gigabytes.flags = QUIRE_COMPACT; /* there is no mover */
    assert_int_equal(quire_gigabytes_fill(&gigabytes, false), QUIRE_ERR_UNSUPPORTED);
}

/* Frames and blocks are the machine's. */
static void other_orders(void **state)
{
    (void)state;
    assert_ok(quire_gigabytes_fill(&gigabytes, false));
    for (unsigned order = 0; order <= 9; order += 9) {
        quire_pfn pfn = must_give(order);

        source.free(source.ctx, pfn, order);
        pfn = must_give(order);
        assert_ok(quire_machine_free(r.machine, pfn, order));
    }
    rig_check(&r, SLOTS * GIGABYTE_FRAMES);
}

static bool is_of_huge_zone(quire_pfn pfn)
{
    struct quire_zone *zone;
    quire_node node;

    assert_ok(quire_machine_find(r.machine, pfn, &node, &zone));
    return zone == &r.zones[1].zone;
}

/* Those of a Huge zone come first, whether they are set aside or a fault asks for one more; then
 * others do. Single frames do not come from there. */
static void huge_zone_first(void **state)
{
    quire_pfn first, second, small;

    (void)state;
    first = must_give(QUIRE_GIGABYTE_ORDER);
    second = must_give(QUIRE_GIGABYTE_ORDER);
    assert_true(is_of_huge_zone(first) && !is_of_huge_zone(second));
    source.free(source.ctx, first, QUIRE_GIGABYTE_ORDER);
    source.free(source.ctx, second, QUIRE_GIGABYTE_ORDER);
    assert_ok(quire_gigabytes_fill(&gigabytes, false));
    first = must_give(QUIRE_GIGABYTE_ORDER);
    second = must_give(QUIRE_GIGABYTE_ORDER);
    assert_int_equal(quire_gigabytes_ready(&gigabytes), 0);
    assert_true(is_of_huge_zone(first) && !is_of_huge_zone(second));
    small = must_give(0);
    assert_false(is_of_huge_zone(small));
    source.free(source.ctx, small, 0);
    source.free(source.ctx, first, QUIRE_GIGABYTE_ORDER);
    source.free(source.ctx, second, QUIRE_GIGABYTE_ORDER);
}

/* Take all that a Huge zone has for large pages, and one more; give them back. How many it had. */
static unsigned large_pages_of_huge_zone(void)
{
    quire_pfn pfns[LARGE + 1];
    unsigned count = 0, of_huge_zone = 0;

    do
        pfns[count] = count % 2 ? must_give_zeros(LARGE_ORDER) : must_give(LARGE_ORDER);
    while (is_of_huge_zone(pfns[count++]) && count < LARGE + 1);
    while (count > 0) {
        of_huge_zone += is_of_huge_zone(pfns[--count]);
        source.free(source.ctx, pfns[count], LARGE_ORDER);
    }
    return of_huge_zone;
}

/* What is left in a Huge zone is for large pages, while all gigabytes are set aside that are to be:
 * not before, nor when one was split, so that fill finds the gigabyte as it was. */
static void large_pages(void **state)
{
    quire_pfn first;

    (void)state;
    assert_int_equal(large_pages_of_huge_zone(), 0);
    assert_ok(quire_gigabytes_fill(&gigabytes, false));
    assert_int_equal(large_pages_of_huge_zone(), LARGE);
    first = must_give(QUIRE_GIGABYTE_ORDER);
    assert_true(is_of_huge_zone(first));
    assert_int_equal(large_pages_of_huge_zone(), LARGE); /* it has its slot still */
    assert_ok(source.split(source.ctx, first, QUIRE_GIGABYTE_ORDER));
    for (uint64_t i = 0; i < GIGABYTE_FRAMES; i += BLOCK)
        source.free(source.ctx, quire_pfn_of(first.n + i), LARGE_ORDER);
    assert_int_equal(large_pages_of_huge_zone(), 0);
    assert_ok(quire_gigabytes_fill(&gigabytes, false));
    assert_true(is_of_huge_zone(must_give(QUIRE_GIGABYTE_ORDER)));
    source.free(source.ctx, first, QUIRE_GIGABYTE_ORDER);
    quire_gigabytes_release(&gigabytes);
    gigabytes.count = 0; /* and none is to be */
    assert_int_equal(large_pages_of_huge_zone(), LARGE + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nobody_else, set_up, tear_down),
        cmocka_unit_test_setup_teardown(split, set_up, tear_down),
        cmocka_unit_test_setup_teardown(zeros, set_up, tear_down),
        cmocka_unit_test_setup_teardown(policies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(released, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_orders, set_up, tear_down),
        cmocka_unit_test_setup_teardown(huge_zone_first, set_up_huge, tear_down),
        cmocka_unit_test_setup_teardown(large_pages, set_up_huge, tear_down),
    };

    return cmocka_run_group_tests_name("set_aside", tests, NULL, NULL);
}
