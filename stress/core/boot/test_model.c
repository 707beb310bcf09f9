/* SPDX-License-Identifier: MIT
 *
 * test_model.c - boot memory against the naive model of model.h. Random regions, unaligned and
 * overlapping, on several nodes; then allocations; then a plan; then zones. After each step every
 * single frame is compared.
 *
 * The seed printed last is the one that failed: run the program with it to see it alone, or with a
 * first and a last seed for more cases.
 */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>

enum { CASES = 400 };

/* ---- The plan ---------------------------------------------------------------------- */

/* Who owns a block: node * 2 + (device), or NOWHERE. */
static int owner_of(const struct world *w, uint64_t block)
{
    uint64_t weights[NODES * 2] = {0};
    bool present[NODES * 2] = {false};
    int best = NOWHERE;

    for (uint64_t i = block * BLOCK; i < (block + 1) * BLOCK; i++) {
        const struct model_frame *m = &w->frames[i];
        uint32_t who = node_of(m) * 2 + (m->kind == QUIRE_BOOT_DEVICE);

        if (!is_memory(m))
            continue;
        present[who] = true;
        weights[who] += m->use == QUIRE_BOOT_FREE ? 1000 : m->use == QUIRE_BOOT_RESERVED;
    }
    for (int i = 0; i < NODES * 2; i++)
        if (present[i] && (best == NOWHERE || weights[i] > weights[best]))
            best = i;
    return best;
}

/* The part of set_aside that a space of 64 MiB has: single blocks from the top. */
static void model_huge(struct world *w, const int owners[])
{
    for (uint32_t node = 0; node < NODES; node++) {
        uint64_t left = w->huge_bytes[node] / FRAME_BYTES;

        for (uint64_t b = BLOCKS; b-- > DMA_FRAMES / BLOCK && left > 0;) {
            if (owners[b] != (int)node * 2 || !fits(w, b * BLOCK, BLOCK, node))
                continue;
            for (uint64_t i = 0; i < BLOCK; i++)
                w->frames[b * BLOCK + i].huge = true;
            left -= BLOCK;
        }
    }
}

/* The frames of one piece of metadata: free ordinary memory, not Huge's, nobody else's. */
static void model_metadata(struct world *w, const int owners[], uint64_t phys, size_t bytes)
{
    for (uint64_t i = phys / FRAME_BYTES; i < (phys + bytes + FRAME_BYTES - 1) / FRAME_BYTES; i++) {
        struct model_frame *m = &w->frames[i];

        assert_true(i < FRAMES && free_for(m, QUIRE_NODE_ANY) && !m->huge);
        assert_int_equal(owners[i / BLOCK], (int)node_of(m) * 2);
        m->use = QUIRE_BOOT_METADATA;
    }
}

static enum quire_zone_type type_of(const struct world *w, int owner, uint64_t frame)
{
    if (owner % 2)
        return QUIRE_ZONE_DEVICE;
    if (w->frames[frame].huge)
        return QUIRE_ZONE_HUGE;
    return frame < DMA_FRAMES ? QUIRE_ZONE_DMA : QUIRE_ZONE_NORMAL;
}

enum place { IN_NONE, IN_USABLE, IN_RESERVED };

/* Where the plan must have put a frame, given its block's owner. */
static enum place expected_place(const struct model_frame *m, int owner)
{
    if (!is_memory(m) || m->use >= QUIRE_BOOT_TAKEN || (m->kind == QUIRE_BOOT_DEVICE) != owner % 2)
        return IN_NONE;
    return m->use == QUIRE_BOOT_RESERVED || (int)node_of(m) != owner / 2 ? IN_RESERVED : IN_USABLE;
}

/* Where it did put it: looks through all zones, and at most one may have the frame. */
static enum place planned_place(const struct world *w, uint64_t frame, uint32_t *zone)
{
    enum place place = IN_NONE;

    for (size_t i = 0; i < w->f->plan.zone_count; i++) {
        const struct quire_zone_config *c = &w->f->zones[i].config;
        bool usable = in_runs(c->usable, c->usable_count, frame);
        bool reserved = in_runs(c->reserved, c->reserved_count, frame);

        assert_false(usable && reserved);
        if (!usable && !reserved)
            continue;
        assert_int_equal(place, IN_NONE);
        place = usable ? IN_USABLE : IN_RESERVED;
        *zone = (uint32_t)i;
    }
    return place;
}

struct tally {
    uint64_t usable, reserved, shared, zoneless, metadata, dropped;
};

static void compare_frame(struct world *w, uint64_t i, int owner, struct tally *tally)
{
    const struct model_frame *m = &w->frames[i];
    const struct quire_boot_zone *wanted =
        owner == NOWHERE ? NULL : zone_of(w->f, (uint32_t)owner / 2, type_of(w, owner, i));
    enum place expected = owner == NOWHERE ? IN_NONE : expected_place(m, owner);
    uint32_t zone = QUIRE_PFNMAP_NONE;
    enum place got = planned_place(w, i, &zone);
    bool shared = wanted && is_memory(m) && m->use == QUIRE_BOOT_FREE &&
                  (int)node_of(m) * 2 + (m->kind == QUIRE_BOOT_DEVICE) != owner;

    if (!wanted) { /* the zone was dropped */
        tally->dropped += expected == IN_USABLE;
        expected = IN_NONE;
    }
    assert_int_equal(got, expected);
    if (got != IN_NONE) {
        assert_ptr_equal(&w->f->zones[zone], wanted);
        assert_int_equal(quire_pfnmap_zone(&w->f->pfnmap, quire_pfn_of(i)), zone);
    }
    tally->usable += got == IN_USABLE;
    tally->reserved += got == IN_RESERVED;
    tally->shared += shared;
    tally->metadata += m->use == QUIRE_BOOT_METADATA;
    tally->zoneless += got == IN_NONE && is_memory(m) && m->use <= QUIRE_BOOT_RESERVED && !shared;
}

/* ---- The zones --------------------------------------------------------------------- */

static void compare_zones(const struct world *w)
{
    static const enum quire_frame_state states[] = {
        [IN_NONE] = QUIRE_FRAME_HOLE,
        [IN_USABLE] = QUIRE_FRAME_FREE,
        [IN_RESERVED] = QUIRE_FRAME_RESERVED,
    };

    for (uint64_t i = 0; i < FRAMES; i++) {
        uint32_t zone = 0;
        enum place place = planned_place(w, i, &zone);
        enum quire_frame_state state;

        if (place == IN_NONE)
            continue;
        assert_int_equal(quire_zone_frame_state(&w->f->built[zone], quire_pfn_of(i), &state),
                         QUIRE_OK);
        assert_int_equal(state, states[place]);
    }
    for (size_t i = 0; i < w->f->plan.zone_count; i++) {
        struct quire_fault violation;

        assert_int_equal(quire_zone_check(&w->f->built[i], &violation), QUIRE_OK);
        assert_int_equal(quire_zone_free_frames(&w->f->built[i]), usable_frames(&w->f->zones[i]));
    }
}

static void compare_plan(struct world *w, const int owners[])
{
    const struct quire_boot_plan *p = &w->f->plan;
    struct tally tally = {0};

    model_metadata(w, owners, p->pfnmap_phys, p->pfnmap_bytes);
    for (size_t i = 0; i < p->zone_count; i++) {
        model_metadata(w, owners, w->f->zones[i].metadata_phys, w->f->zones[i].metadata_bytes);
        assert_true(usable_frames(&w->f->zones[i]) > 0);
    }
    compare_map(w);
    assert_int_equal(build(w->f), QUIRE_OK);
    for (uint64_t i = 0; i < FRAMES; i++)
        compare_frame(w, i, owners[i / BLOCK], &tally);
    assert_int_equal(tally.usable, p->usable_frames);
    assert_int_equal(tally.reserved, p->reserved_frames);
    assert_int_equal(tally.shared, p->shared_frames);
    assert_int_equal(tally.metadata, p->metadata_frames);
    assert_int_equal(tally.zoneless, p->zoneless_frames);
    /* A zone is dropped only when it is empty, or when metadata would have taken all of it. */
    assert_true(tally.dropped <= p->metadata_frames);
    compare_zones(w);
}

/* ---- One case ------------------------------------------------------------------------------ */

/* Plan; did it work? There must be a reason if not, and the map as it was. The array has as much
 * room as boot.h says is enough. */
static bool make_plan(struct world *w)
{
    uint64_t before = fingerprint(&w->f->boot);
    uint64_t free_frames = 0;
    int err;

    w->f->boot.capacity = 16 * w->f->boot.count + 16 + 2 * (size_t)NODES * QUIRE_ZONE_TYPES;
    w->f->layout.no_dma32 = true;
    w->f->layout.huge_bytes = w->huge_bytes;
    w->f->layout.huge_nodes = NODES;
    err = quire_boot_plan_zones(&w->f->boot, &w->f->layout, &w->f->plan);
    if (!err)
        return true;
    assert_int_equal(err, QUIRE_ERR_NO_MEMORY);
    assert_int_equal(fingerprint(&w->f->boot), before);
    for (uint64_t i = 0; i < FRAMES; i++)
        free_frames += free_for(&w->frames[i], QUIRE_NODE_ANY);
    for (uint32_t i = 0; i < NODES; i++)
        free_frames -= free_frames < w->huge_bytes[i] / FRAME_BYTES
                           ? free_frames
                           : w->huge_bytes[i] / FRAME_BYTES;
    assert_true(free_frames < 4 * BLOCK); /* scattered, at the worst */
    return false;
}

static bool run_case(uint64_t seed)
{
    struct world *w = calloc(1, sizeof(*w));
    int owners[BLOCKS];
    bool planned;

    assert_non_null(w);
    w->random = seed;
    w->f = boot_fixture_new(0);
    for (size_t i = 0; i < FRAMES; i++)
        w->frames[i].node = QUIRE_NODE_ANY;
    describe(w);
    for (uint64_t i = below(w, 6); i > 0; i--)
        allocate(w);
    compare_map(w);
    for (uint32_t i = 0; i < NODES; i++)
        w->huge_bytes[i] = below(w, 3) ? 0 : below(w, 6) * BLOCK * FRAME_BYTES;
    for (uint64_t b = 0; b < BLOCKS; b++)
        owners[b] = owner_of(w, b);
    planned = make_plan(w);
    if (planned) {
        model_huge(w, owners);
        compare_plan(w, owners);
    }
    boot_fixture_free(w->f);
    free(w);
    return planned;
}

static uint64_t first_seed = 1, last_seed = CASES;

static void every_frame_is_where_the_model_says(void **state)
{
    uint64_t planned = 0;

    (void)state;
    for (uint64_t seed = first_seed; seed <= last_seed; seed++) {
        (void)printf("seed %llu\r", (unsigned long long)seed);
        (void)fflush(stdout);
        planned += run_case(seed);
    }
    if (last_seed > first_seed)
        assert_true(planned > (last_seed - first_seed) / 2); /* else the cases are worth little */
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_frame_is_where_the_model_says)};

    if (argc > 1)
        first_seed = last_seed = strtoull(argv[1], NULL, 0);
    if (argc > 2)
        last_seed = strtoull(argv[2], NULL, 0);
    return cmocka_run_group_tests_name("boot model", tests, NULL, NULL);
}
