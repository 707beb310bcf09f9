/* SPDX-License-Identifier: MIT
 *
 * boot_build.c - the last step of booting: a plan becomes zones. No state of its own; context as
 * quire_boot_build says.
 */
#include <quire/boot.h>

static int build_zone(const struct quire_boot_zone *planned, quire_boot_map *map, void *ctx,
                      struct quire_zone *zone)
{
    void *metadata =
        map(ctx, planned->metadata_phys, planned->metadata_bytes, planned->metadata_node);

    if (!metadata)
        return QUIRE_ERR_NO_MEMORY;
    return quire_zone_init(zone, &planned->config, metadata, planned->metadata_bytes);
}

int quire_boot_build(const struct quire_boot_plan *plan, quire_boot_map *map, void *ctx,
                     struct quire_zone zones[], struct quire_pfnmap *pfnmap)
{
    void *table = map(ctx, plan->pfnmap_phys, plan->pfnmap_bytes, plan->pfnmap_node);
    struct quire_pfnmap built;
    size_t done = 0;
    int err = QUIRE_ERR_NO_MEMORY;

    if (table)
        err = quire_pfnmap_init(&built, plan->spans, plan->span_count, table, plan->pfnmap_bytes);
    while (!err && done < plan->zone_count) {
        err = build_zone(&plan->zones[done], map, ctx, &zones[done]);
        done += !err;
    }
    if (err) {
        while (done-- > 0)
            __builtin_memset(&zones[done], 0, sizeof(zones[done]));
        return err;
    }
    *pfnmap = built;
    return QUIRE_OK;
}
