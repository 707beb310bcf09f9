/* SPDX-License-Identifier: MIT
 *
 * zone_audit.c - see zone_audit.h.
 */
#include "zone_audit.h"

#include "kernel-port/kernel/memory.h"
#include "tap.h"

static uint64_t before[ZONES_MAX];

void zone_audit_begin(void)
{
    (void)quire_machine_drain(memory.up.machine);
    for (uint32_t i = 0; i < memory_zone_count(); i++)
        before[i] = quire_zone_free_frames(&memory.up.zones[i]);
}

/* The count that allocations go by, and the one of the maps, are the zone's own two; a frame that
 * is in neither is lost. */
void zone_audit_end(const char *what)
{
    bool good = true;

    (void)quire_machine_drain(memory.up.machine);
    for (uint32_t i = 0; i < memory_zone_count(); i++) {
        struct quire_fault v = {0};
        struct quire_zone_stats s;

        (void)quire_zone_stats(&memory.up.zones[i], &s);
        if (quire_zone_check(&memory.up.zones[i], &v)) {
            tap_note("zone %u: %s at frame %lx: found %lu, expected %lu", i, v.what, v.where,
                     v.found, v.expected);
            good = false;
        }
        if (s.free != before[i] || quire_zone_free_frames(&memory.up.zones[i]) != before[i]) {
            tap_note("zone %u: %lu frames free, %lu counted as free, %lu before", i, s.free,
                     quire_zone_free_frames(&memory.up.zones[i]), before[i]);
            good = false;
        }
    }
    tap(good, "%s: every zone is consistent and has all its frames back", what);
}
