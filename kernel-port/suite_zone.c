/* SPDX-License-Identifier: MIT
 *
 * suite_zone.c - every function of a zone, on real memory.
 */
#include "suite.h"

#include "memory.h"
#include "tap.h"

void suite_zone(const struct options *options)
{
    (void)options;
    for (uint32_t i = 0; i < memory.zone_count; i++) {
        struct quire_violation v = {0};

        tap(!quire_zone_check(&memory.zones[i], &v), "zone %u is consistent %s", i,
            v.what ? v.what : "");
    }
}
