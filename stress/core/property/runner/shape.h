/* SPDX-License-Identifier: MIT
 *
 * shape.h - the zones that sequences of operations run on, by name. Constants.
 */
#ifndef QUIRE_STRESS_CORE_PROPERTY_SHAPE_H
#define QUIRE_STRESS_CORE_PROPERTY_SHAPE_H

#include <quire/zone.h>

enum { SHAPE_RUNS = 4 };

struct shape {
    const char *name;
    struct quire_run usable[SHAPE_RUNS];   /* the first of no frames ends the list */
    struct quire_run reserved[SHAPE_RUNS]; /* likewise */
    uint32_t slots, spare_pins;
    uint64_t min, low, high, lowmem_reserve;
    bool no_run_map;
    bool large; /* walking all frames takes a while */
};

extern const struct shape shapes[];
extern const size_t shape_count;

/* NULL: no such shape. */
const struct shape *shape_named(const char *name);
/* The configuration without a port; it points into `shape`. */
struct quire_zone_config shape_config(const struct shape *shape);

#endif /* QUIRE_STRESS_CORE_PROPERTY_SHAPE_H */
