/* SPDX-License-Identifier: MIT
 *
 * test_shadow.c - the shadow model over a small machine: silent when all is well, and each kind of
 * fault found, with the frame's number.
 */
#include "parts.h"

#include "host-harness/load/check/shadow.h"

#include <string.h>

enum { FIRST = 4096, TAG = 0x100001, OTHER = 0x200001 }; /* frames 4096 .. 16383 are memory */

struct world {
    struct map map;
    struct simulated_machine machine;
    struct shadow shadow;
    struct shadow_finding finding;
};

static void build(struct world *world)
{
    static const char text[] = "16M 64M usable 0\n8G +16M usable 1\n";
    const struct simulated_options options = {.slots = 1};
    struct map_error error;

    memset(world, 0, sizeof(*world));
    assert_int_equal(map_parse(&world->map, "test", text, sizeof(text) - 1, 0, &error), 0);
    assert_int_equal(simulated_build(&world->machine, &world->map, &options, &error), 0);
    assert_int_equal(shadow_build(&world->shadow, &world->machine), 0);
}

static void teardown(struct world *world)
{
    shadow_teardown(&world->shadow);
    simulated_teardown(&world->machine);
    map_free(&world->map);
}

static bool take(struct world *world, uint64_t pfn, uint64_t frames, uint32_t tag)
{
    return shadow_take(&world->shadow, pfn, frames, tag, false, &world->finding);
}

static bool give(struct world *world, uint64_t pfn, uint64_t frames, uint32_t tag)
{
    return shadow_give(&world->shadow, pfn, frames, tag, &world->finding);
}

/* What was found: where, and in words that start like this. */
static void assert_found(const struct world *world, uint64_t pfn, const char *what)
{
    assert_int_equal(world->finding.pfn, pfn);
    assert_int_equal(strncmp(world->finding.what, what, strlen(what)), 0);
}

void shadow_is_silent_for_good_use(void **state)
{
    const uint64_t far = (8ull << 30) >> QUIRE_FRAME_SHIFT;
    struct world world;

    (void)state;
    build(&world);
    assert_true(take(&world, FIRST, 1000, TAG));
    assert_true(take(&world, FIRST + 1000, 1, OTHER));
    assert_true(take(&world, far + 5, 1, OTHER));
    assert_true(give(&world, FIRST, 500, TAG));
    assert_true(give(&world, FIRST + 500, 500, 0));
    assert_true(take(&world, FIRST + 499, 2, OTHER));
    assert_true(give(&world, FIRST + 499, 2, OTHER));
    assert_true(give(&world, FIRST + 1000, 1, OTHER));
    assert_true(give(&world, far + 5, 1, 0));
    assert_true(shadow_is_empty(&world.shadow, &world.finding));
    assert_int_equal(shadow_touched_bytes(&world.shadow), 3 * 512 * sizeof(struct shadow_cell));
    teardown(&world);
}

void shadow_sees_two_holders(void **state)
{
    struct world world;

    (void)state;
    build(&world);
    assert_true(take(&world, FIRST + 8, 8, TAG));
    assert_false(take(&world, FIRST, 16, OTHER));
    assert_found(&world, FIRST + 8, "was handed out while it was held");
    assert_int_equal(world.finding.found, TAG);
    teardown(&world);
}

void shadow_sees_a_foreign_free(void **state)
{
    struct world world;

    (void)state;
    build(&world);
    assert_false(give(&world, FIRST, 1, 0));
    assert_true(take(&world, FIRST, 2, TAG));
    assert_true(give(&world, FIRST + 1, 1, TAG));
    assert_false(give(&world, FIRST, 2, TAG));
    assert_int_equal(world.finding.pfn, FIRST + 1);
    assert_true(take(&world, FIRST + 1, 1, OTHER));
    assert_false(give(&world, FIRST + 1, 1, TAG));
    assert_int_equal(world.finding.pfn, FIRST + 1);
    teardown(&world);
}

void shadow_sees_a_damaged_payload(void **state)
{
    struct world world;

    (void)state;
    build(&world);
    assert_true(take(&world, FIRST, 4, TAG));
    shadow_zero(&world.shadow, FIRST + 2, 1);
    assert_false(give(&world, FIRST, 4, TAG));
    assert_found(&world, FIRST + 2, "was written by another than its holder");
    teardown(&world);
}

void shadow_sees_frames_that_are_not_zero(void **state)
{
    struct world world;

    (void)state;
    build(&world);
    assert_true(take(&world, FIRST, 2, TAG));
    assert_true(give(&world, FIRST, 2, TAG));
    shadow_zero(&world.shadow, FIRST, 1);
    assert_true(shadow_take(&world.shadow, FIRST, 1, TAG, true, &world.finding));
    assert_false(shadow_take(&world.shadow, FIRST + 1, 1, TAG, true, &world.finding));
    assert_found(&world, FIRST + 1, "was handed out as zeroed, but is not");
    teardown(&world);
}

void shadow_sees_frames_of_no_zone(void **state)
{
    struct world world;

    (void)state;
    build(&world);
    assert_false(take(&world, 1ull << 30, 1, TAG));
    assert_found(&world, 1ull << 30, "was handed out, but is in no zone");
    assert_false(take(&world, UINT64_MAX, 1, TAG));
    assert_false(give(&world, 1ull << 30, 1, TAG));
    assert_found(&world, 1ull << 30, "was held, but is in no zone");
    assert_false(take(&world, FIRST, UINT64_MAX, TAG));
    teardown(&world);
}

void shadow_sees_what_is_still_held(void **state)
{
    struct world world;

    (void)state;
    build(&world);
    assert_true(take(&world, FIRST + 700, 1, TAG));
    assert_false(shadow_is_empty(&world.shadow, &world.finding));
    assert_found(&world, FIRST + 700, "is still held");
    teardown(&world);
}

void shadow_finds_a_lost_frame(void **state)
{
    struct quire_zone *zone;
    struct world world;
    quire_pfn pfn;
    uint64_t lost;

    (void)state;
    build(&world);
    zone = &world.machine.zones[0].zone;
    assert_int_equal(quire_zone_alloc(zone, quire_slot_of(0), 0, 0, &pfn), QUIRE_OK);
    assert_true(take(&world, pfn.n, 1, TAG));
    assert_false(shadow_find_lost(&world.shadow, &world.machine, &lost));
    assert_true(give(&world, pfn.n, 1, TAG));
    assert_true(shadow_find_lost(&world.shadow, &world.machine, &lost));
    assert_int_equal(lost, pfn.n);
    assert_int_equal(quire_zone_free(zone, quire_slot_of(0), pfn, 0), QUIRE_OK);
    assert_false(shadow_find_lost(&world.shadow, &world.machine, &lost));
    teardown(&world);
}
