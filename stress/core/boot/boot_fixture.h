/* SPDX-License-Identifier: MIT
 *
 * boot_fixture.h - what the tests of boot memory share: a boot map with room, a plan with room,
 * real machines in numbers, and questions about the outcome.
 */
#ifndef QUIRE_STRESS_CORE_BOOT_BOOT_FIXTURE_H
#define QUIRE_STRESS_CORE_BOOT_BOOT_FIXTURE_H

#include "stress/common/assert.h"
#include "stress/common/sizes.h"

#include <quire/boot.h>

enum { ROOM = 8192 }; /* regions, runs and spans that fit */

/* ---- Real machines ------------------------------------------------------------------------- */

struct machine_region {
    uint64_t start, last; /* bytes, inclusive, as boot logs print them */
    enum quire_boot_kind kind;
    uint32_t node;
};

struct boot_machine {
    const struct machine_region *regions;
    size_t count;
};

extern const struct boot_machine desktop, laptop, server_2node, server_4node;

/* ---- Fixture ------------------------------------------------------------------------------- */

struct boot_fixture {
    struct quire_boot boot;
    struct quire_boot_entry entries[ROOM];
    struct quire_boot_layout layout;
    struct quire_boot_plan plan;
    struct quire_boot_zone zones[64];
    struct quire_run runs[ROOM];
    struct quire_pfnmap_span spans[ROOM];
    /* What is built of it. */
    struct quire_zone built[64];
    struct quire_pfnmap pfnmap;
    void *mapped[80];
    size_t mapped_count, map_fails_at; /* the call of the map function that gives NULL, from 1 */
};

/* A fresh fixture with a map of nothing, on the heap. Free with boot_fixture_free. */
struct boot_fixture *boot_fixture_new(uint64_t low_bytes);
void boot_fixture_free(struct boot_fixture *f);

void add_machine(struct boot_fixture *f, const struct boot_machine *machine);
void add(struct boot_fixture *f, uint64_t phys, uint64_t bytes, enum quire_boot_kind kind,
         uint32_t node);
void plan(struct boot_fixture *f);
/* Build all zones with metadata from the heap; what quire_boot_build said. */
int build(struct boot_fixture *f);

/* The planned zone, or NULL. */
const struct quire_boot_zone *zone_of(const struct boot_fixture *f, uint32_t node,
                                      enum quire_zone_type type);
uint64_t usable_frames(const struct quire_boot_zone *zone);
uint64_t reserved_frames(const struct quire_boot_zone *zone);
/* Does the list hold the frame? */
bool in_runs(const struct quire_run *runs, size_t count, uint64_t frame);

/* The region that holds the frame. */
struct quire_boot_region region_at(const struct quire_boot *boot, uint64_t frame);
/* A hash of everything that quire_boot_region tells. */
uint64_t fingerprint(const struct quire_boot *boot);

#endif /* QUIRE_STRESS_CORE_BOOT_BOOT_FIXTURE_H */
