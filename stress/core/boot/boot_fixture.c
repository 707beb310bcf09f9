/* SPDX-License-Identifier: MIT
 *
 * boot_fixture.c - see boot_fixture.h.
 */
#include "boot_fixture.h"

#include "stress/common/random.h"

#include <stdlib.h>

struct boot_fixture *boot_fixture_new(uint64_t low_bytes)
{
    struct boot_fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    assert_int_equal(quire_boot_init(&f->boot, f->entries, ROOM, low_bytes), QUIRE_OK);
    f->layout.zone.slots = 1;
    f->layout.zone.min = f->layout.zone.low = f->layout.zone.high = QUIRE_WATERMARK_AUTO;
    f->plan.zones = f->zones;
    f->plan.zone_capacity = sizeof(f->zones) / sizeof(f->zones[0]);
    f->plan.runs = f->runs;
    f->plan.run_capacity = ROOM;
    f->plan.spans = f->spans;
    f->plan.span_capacity = ROOM;
    return f;
}

void boot_fixture_free(struct boot_fixture *f)
{
    for (size_t i = 0; i < f->mapped_count; i++)
        free(f->mapped[i]);
    free(f);
}

void add_machine(struct boot_fixture *f, const struct boot_machine *machine)
{
    for (size_t i = 0; i < machine->count; i++) {
        const struct machine_region *r = &machine->regions[i];

        add(f, r->start, r->last - r->start + 1, r->kind, r->node);
    }
}

void add(struct boot_fixture *f, uint64_t phys, uint64_t bytes, enum quire_boot_kind kind,
         uint32_t node)
{
    assert_int_equal(quire_boot_add(&f->boot, phys, bytes, kind, node), QUIRE_OK);
}

void plan(struct boot_fixture *f)
{
    assert_int_equal(quire_boot_plan_zones(&f->boot, &f->layout, &f->plan), QUIRE_OK);
}

static void *map(void *ctx, uint64_t phys, size_t bytes, uint32_t node)
{
    struct boot_fixture *f = ctx;
    void *memory = NULL;

    (void)node;
    assert_int_equal(phys % FRAME_BYTES, 0);
    if (f->mapped_count + 1 == f->map_fails_at)
        return NULL;
    assert_true(f->mapped_count < sizeof(f->mapped) / sizeof(f->mapped[0]));
    assert_int_equal(posix_memalign(&memory, FRAME_BYTES, bytes), 0);
    f->mapped[f->mapped_count++] = memory;
    return memory;
}

int build(struct boot_fixture *f)
{
    return quire_boot_build(&f->plan, map, f, f->built, &f->pfnmap);
}

const struct quire_boot_zone *zone_of(const struct boot_fixture *f, uint32_t node,
                                      enum quire_zone_type type)
{
    for (size_t i = 0; i < f->plan.zone_count; i++)
        if (f->zones[i].node == node && f->zones[i].config.type == type)
            return &f->zones[i];
    return NULL;
}

static uint64_t sum(const struct quire_run *runs, size_t count)
{
    uint64_t n = 0;

    for (size_t i = 0; i < count; i++)
        n += runs[i].frames;
    return n;
}

uint64_t usable_frames(const struct quire_boot_zone *zone)
{
    return sum(zone->config.usable, zone->config.usable_count);
}

uint64_t reserved_frames(const struct quire_boot_zone *zone)
{
    return sum(zone->config.reserved, zone->config.reserved_count);
}

bool in_runs(const struct quire_run *runs, size_t count, uint64_t frame)
{
    for (size_t i = 0; i < count; i++)
        if (frame - runs[i].pfn.n < runs[i].frames)
            return true;
    return false;
}

struct quire_boot_region region_at(const struct quire_boot *boot, uint64_t frame)
{
    struct quire_boot_region r;

    for (size_t i = 0; quire_boot_region(boot, i, &r) == QUIRE_OK; i++)
        if (frame - r.run.pfn.n < r.run.frames)
            return r;
    fail_msg("no region holds frame %#llx", (unsigned long long)frame);
    return r;
}

uint64_t fingerprint(const struct quire_boot *boot)
{
    uint64_t hash = 0;
    struct quire_boot_region r;

    for (size_t i = 0; quire_boot_region(boot, i, &r) == QUIRE_OK; i++) {
        const uint64_t facts[] = {r.run.pfn.n, r.run.frames, r.kind,     r.use,
                                  r.node,      r.zone,       r.disputed, r.shared};

        for (size_t j = 0; j < sizeof(facts) / sizeof(facts[0]); j++) {
            hash += facts[j];
            hash = random_next(&hash);
        }
    }
    return hash;
}
