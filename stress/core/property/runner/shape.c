/* SPDX-License-Identifier: MIT
 *
 * shape.c - zones where things collide: single blocks, ragged edges, far extents, and a few large
 * ones for the orders that need them. See shape.h.
 */
#include "shape.h"
#include "stress/common/sizes.h"

#include <string.h>

const struct shape shapes[] = {
    {.name = "one", .usable = {{{6 * BLOCK}, BLOCK}}, .slots = 2},
    {.name = "three", .usable = {{{0}, 3 * BLOCK}}, .slots = 3, .spare_pins = 2},
    {.name = "plain", .usable = {{{BLOCK}, 3 * BLOCK}}, .slots = 2, .no_run_map = true},
    {.name = "ragged",
     .usable = {{{SECTION + 5}, 700}, {{SECTION + 900}, 100}, {{SECTION + 1100}, 950}},
     .reserved = {{{SECTION + 1000}, 100}, {{SECTION + 2050}, 20}, {{SECTION + 3072}, 3 * BLOCK}},
     .slots = 3},
    {.name = "marks",
     .usable = {{{8 * BLOCK}, 4 * BLOCK}},
     .slots = 4,
     .min = 65,
     .low = 200,
     .high = 500,
     .lowmem_reserve = 700},
    {.name = "far",
     .usable = {{{7 * SECTION + 509 * BLOCK}, 3 * BLOCK},
                {{9 * SECTION}, 4 * BLOCK},
                {{UINT64_C(0x3fffff) * SECTION + 508 * BLOCK}, 4 * BLOCK}}, /* up to frame 2^40 */
     .reserved = {{{9 * SECTION + 5 * BLOCK}, BLOCK}},
     .slots = 2,
     .large = true},
    {.name = "border", /* a section's end in the middle, so runs of blocks cross it */
     .usable = {{{3 * SECTION + 500 * BLOCK + 7}, 24 * BLOCK - 9}},
     .slots = 3,
     .spare_pins = QUIRE_PINS_ALL,
     .min = 300,
     .low = 301,
     .high = 302,
     .lowmem_reserve = 1},
    {.name = "credit", /* so large beside its watermarks that slots keep credit */
     .usable = {{{2 * SECTION}, SECTION + 40 * BLOCK}},
     .reserved = {{{3 * SECTION + 40 * BLOCK}, 9}},
     .slots = 8,
     .min = 20000,
     .low = 60000,
     .high = 90000,
     .lowmem_reserve = 100000,
     .large = true},
    {.name = "sections",
     .usable = {{{2 * SECTION}, 3 * SECTION}},
     .slots = 2,
     .no_run_map = true,
     .large = true},
    {.name = "top", /* order 20 fits once, away from the start */
     .usable = {{{3 * SECTION + 100 * BLOCK}, 5 * SECTION}},
     .slots = 2,
     .large = true},
};
const size_t shape_count = sizeof shapes / sizeof shapes[0];

const struct shape *shape_named(const char *name)
{
    for (size_t i = 0; i < shape_count; i++) {
        if (strcmp(shapes[i].name, name) == 0) {
            return &shapes[i];
        }
    }
    return NULL;
}

static size_t count_runs(const struct quire_run *runs)
{
    size_t n = 0;
    while (n < SHAPE_RUNS && runs[n].frames != 0) {
        n++;
    }
    return n;
}

struct quire_zone_config shape_config(const struct shape *shape)
{
    return (struct quire_zone_config){.id = 1,
                                      .type = QUIRE_ZONE_NORMAL,
                                      .slots = shape->slots,
                                      .usable = shape->usable,
                                      .usable_count = count_runs(shape->usable),
                                      .reserved = shape->reserved,
                                      .reserved_count = count_runs(shape->reserved),
                                      .spare_pins = shape->spare_pins,
                                      .lowmem_reserve = shape->lowmem_reserve,
                                      .min = shape->min,
                                      .low = shape->low,
                                      .high = shape->high,
                                      .no_run_map = shape->no_run_map};
}
