/* SPDX-License-Identifier: MIT
 *
 * test_machine.c - maps become machines: their zones work, every frame finds its zone, metadata is
 * where no frame is handed out, and nothing is left after a refusal or a teardown.
 */
#include "stress/common/assert.h"

#include "host-harness/machines/simulated.h"

#include <string.h>

static void build(struct simulated_machine *machine, const char *text,
                  const struct simulated_options *options)
{
    struct map_error error = {""};
    struct map map;

    if (map_parse(&map, "text", text, strlen(text), 0, &error))
        fail_msg("map: %s", error.text);
    if (simulated_build(machine, &map, options, &error))
        fail_msg("machine: %s", error.text);
    map_free(&map);
}

static const struct simulated_zone *zone_at(const struct simulated_machine *machine, uint64_t phys)
{
    return simulated_zone_of(machine, quire_pfn_of_phys(phys));
}

static void every_frame_finds_its_zone(void **state)
{
    const struct simulated_options options = {.slots = 2, .huge_bytes = 1 << 30};
    struct simulated_machine m;

    (void)state;
    build(&m,
          "0 8G usable 0\n8G 16G usable 3\n"
          "64T +4G usable 9\n1T +1G device 3\n32M 33M reserved\n",
          &options);
    /* Node 0: DMA, DMA32, Normal, Huge; 3: Normal, Huge, Device; 9: Normal, Huge. */
    assert_int_equal(m.zone_count, 9);
    assert_int_equal(zone_at(&m, 3 << 20)->type, QUIRE_ZONE_DMA);
    assert_int_equal(zone_at(&m, 16 << 20)->type, QUIRE_ZONE_DMA32);
    assert_int_equal(zone_at(&m, 5ULL << 30)->type, QUIRE_ZONE_NORMAL);
    assert_int_equal(zone_at(&m, 5ULL << 30)->node, 0);
    assert_int_equal(zone_at(&m, 9ULL << 30)->node, 3);
    assert_int_equal(zone_at(&m, 1ULL << 40)->type, QUIRE_ZONE_DEVICE);
    assert_int_equal(zone_at(&m, 64ULL << 40)->node, 9);
    assert_null(zone_at(&m, 16ULL << 30));
    assert_null(zone_at(&m, 63ULL << 40));
    assert_null(zone_at(&m, UINT64_MAX));
    for (size_t i = 0; i < m.zone_count; i++) {
        const struct simulated_zone *zone = &m.zones[i];
        struct quire_run extent;
        assert_int_equal(quire_zone_extent(&zone->zone, 0, &extent), 0);
        assert_ptr_equal(zone->metadata, zone->zone.head);
        /* Metadata that is placed leaves a hole: a zone may need a page less than planned. */
        assert_in_range(zone->metadata_bytes, quire_zone_metadata_bytes(&zone->zone),
                        quire_zone_metadata_bytes(&zone->zone) + QUIRE_METADATA_ALIGN);
    }
    simulated_teardown(&m);
    assert_null(m.zones);
    assert_null(m.plan);
    simulated_teardown(&m);
}

/* Is the frame one of those that the plan gave to metadata or that nobody described as memory? */
static bool is_out_of_use(const struct simulated_machine *m, quire_pfn pfn)
{
    struct quire_boot_region region;

    for (size_t i = 0; !quire_boot_region(&m->plan->boot, i, &region); i++) {
        if (pfn.n >= region.run.pfn.n && pfn.n - region.run.pfn.n < region.run.frames)
            return region.use != QUIRE_BOOT_FREE || region.kind == QUIRE_BOOT_FIRMWARE ||
                   region.kind == QUIRE_BOOT_NOTHING;
    }
    return true;
}

/* Take all frames of a small machine and give them back. */
static void zones_hand_out_what_the_map_has(void **state)
{
    const struct simulated_options options = {.slots = 1};
    static quire_pfn frames[16384];
    const quire_slot slot = quire_slot_of(0);
    struct quire_fault violation;
    struct simulated_machine m;

    (void)state;
    build(&m, "0 48M usable\n20M 21M reserved\n40M 41M acpi\n", &options);
    assert_int_equal(m.zone_count, 2);
    for (size_t i = 0; i < m.zone_count; i++) {
        struct quire_zone *zone = &m.zones[i].zone;
        uint64_t planned = 0, free_frames = quire_zone_free_frames(zone);
        const struct quire_zone_config *config = &m.plan->plan.zones[i].config;
        for (size_t r = 0; r < config->usable_count; r++)
            planned += config->usable[r].frames;
        assert_int_equal(free_frames, planned);
        size_t count = 0;
        while (!quire_zone_alloc(zone, slot, 0, QUIRE_EMERGENCY, &frames[count]))
            count++;
        assert_int_equal(count, planned);
        for (size_t f = 0; f < count; f++) {
            assert_ptr_equal(simulated_zone_of(&m, frames[f]), &m.zones[i]);
            assert_false(is_out_of_use(&m, frames[f]));
            assert_int_equal(quire_zone_free(zone, slot, frames[f], 0), 0);
        }
        assert_int_equal(quire_zone_free_frames(zone), planned);
        assert_int_equal(quire_zone_check(zone, &violation), 0);
    }
    simulated_teardown(&m);
}

/* More memory than this host has, by far. */
static void huge_maps_fit_a_small_host(void **state)
{
    const struct simulated_options options = {.slots = 64};
    struct simulated_machine m;
    quire_pfn pfn;

    (void)state;
    build(&m, "1T 17T usable 0\n64T +16T usable 1\n", &options);
    assert_int_equal(m.zone_count, 2);
    for (size_t i = 0; i < m.zone_count; i++) {
        struct quire_zone *zone = &m.zones[i].zone;
        assert_true(quire_zone_free_frames(zone) > 15ULL << 28);
        assert_int_equal(quire_zone_alloc(zone, quire_slot_of(63), 18, 0, &pfn), 0);
        assert_ptr_equal(simulated_zone_of(&m, pfn), &m.zones[i]);
        assert_int_equal(quire_zone_free(zone, quire_slot_of(63), pfn, 18), 0);
    }
    simulated_teardown(&m);
}

static void refusals_leave_nothing(void **state)
{
    static const struct {
        const char *text;
        struct simulated_options options;
        const char *wrong;
    } cases[] = {
        {"0 2M usable\n", {.slots = 1}, "no zone fits"},
        {"0 1G usable\n", {.slots = QUIRE_ZONE_MAX_SLOTS + 1}, "4096 slots"},
        {"0 1G usable\n", {.slots = 1, .huge_bytes = 4096}, "multiple of 2 MiB"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct map_error error = {""};
        struct simulated_machine m;
        struct map map;
        const char *text = cases[i].text;
        assert_int_equal(map_parse(&map, "text", text, strlen(text), 0, &error), 0);
        assert_int_equal(simulated_build(&m, &map, &cases[i].options, &error), -1);
        assert_non_null(strstr(error.text, cases[i].wrong));
        assert_non_null(strstr(error.text, "expected"));
        assert_null(m.zones);
        assert_null(m.plan);
        map_free(&map);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_frame_finds_its_zone),
        cmocka_unit_test(zones_hand_out_what_the_map_has),
        cmocka_unit_test(huge_maps_fit_a_small_host),
        cmocka_unit_test(refusals_leave_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
