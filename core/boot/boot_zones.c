/* SPDX-License-Identifier: MIT
 *
 * boot_zones.c - planning, first half: which zones there are, and which block is whose. The rules
 * are those of struct quire_boot_plan. State: the zone of each entry in the boot map. Called by
 * boot_plan.c alone.
 *
 * Address limits of zones (16 MiB, 4 GiB) lie on blocks, so zones can only meet inside a block
 * where two nodes meet, or memory and device memory.
 */
#include "core/boot/boot_map.h"

#define DMA_END   ((uint64_t)16 << (20 - QUIRE_FRAME_SHIFT))
#define DMA32_END ((uint64_t)4 << (30 - QUIRE_FRAME_SHIFT))

/* ---- The list of zones --------------------------------------------------------------------- */

/* The zone that ordinary memory at `frame` is for, and the first frame that is for another. */
static enum quire_zone_type type_at(const struct quire_boot_layout *layout, uint64_t frame,
                                    uint64_t *end)
{
    if (!layout->no_dma && frame < DMA_END) {
        *end = DMA_END;
        return QUIRE_ZONE_DMA;
    }
    if (!layout->no_dma32 && frame < DMA32_END) {
        *end = DMA32_END;
        return QUIRE_ZONE_DMA32;
    }
    *end = BOOT_LIMIT;
    return QUIRE_ZONE_NORMAL;
}

static bool zone_comes_before(const struct quire_boot_zone *zone, uint32_t node,
                              enum quire_zone_type type)
{
    return zone->node < node || (zone->node == node && zone->config.type < type);
}

/* Where the zone is in the list, or would be. */
static size_t zone_place(const struct quire_boot_plan *plan, uint32_t node,
                         enum quire_zone_type type)
{
    size_t i = 0;

    while (i < plan->zone_count && zone_comes_before(&plan->zones[i], node, type))
        i++;
    return i;
}

static bool zone_at(const struct quire_boot_plan *plan, size_t place, uint32_t node,
                    enum quire_zone_type type)
{
    return place < plan->zone_count && plan->zones[place].node == node &&
           plan->zones[place].config.type == type;
}

static int list_zone(struct quire_boot_plan *plan, const struct quire_boot_layout *layout,
                     uint32_t node, enum quire_zone_type type)
{
    struct quire_boot_zone carried = {.config = layout->zone, .node = node};
    size_t place = zone_place(plan, node, type);

    if (zone_at(plan, place, node, type))
        return QUIRE_OK;
    if (plan->zone_count >= plan->zone_capacity || plan->zone_count >= QUIRE_PFNMAP_ZONES)
        return QUIRE_ERR_NO_MEMORY;
    carried.config.type = type;
    plan->zone_count++;
    for (size_t i = place; i < plan->zone_count; i++) { /* all behind move up by one */
        struct quire_boot_zone next = plan->zones[i];

        plan->zones[i] = carried;
        carried = next;
    }
    return QUIRE_OK;
}

static uint64_t huge_bytes(const struct quire_boot_layout *layout, uint32_t node)
{
    return node < layout->huge_nodes ? layout->huge_bytes[node] : 0;
}

/* The zones that the free frames first .. end - 1 of one entry ask for. */
static int list_zones_of(struct quire_boot_plan *plan, const struct quire_boot_layout *layout,
                         const struct quire_boot_entry *e, uint64_t end)
{
    uint32_t node = boot_node(e);
    uint64_t at = e->first;
    int err = QUIRE_OK;

    if (e->kind == QUIRE_BOOT_DEVICE)
        return list_zone(plan, layout, node, QUIRE_ZONE_DEVICE);
    while (!err && at < end)
        err = list_zone(plan, layout, node, type_at(layout, at, &at));
    if (!err && huge_bytes(layout, node))
        err = list_zone(plan, layout, node, QUIRE_ZONE_HUGE);
    return err;
}

static int list_zones(const struct quire_boot *boot, const struct quire_boot_layout *layout,
                      struct quire_boot_plan *plan)
{
    int err = QUIRE_OK;

    for (size_t i = 0; !err && i < boot->count; i++) {
        const struct quire_boot_entry *e = &boot->entries[i];

        if (boot_is_memory(e) && e->use == QUIRE_BOOT_FREE)
            err = list_zones_of(plan, layout, e, boot_end(boot, i));
    }
    return err;
}

/* ---- Whose block is it --------------------------------------------------------------------- */

static bool same_owner(const struct quire_boot_entry *a, const struct quire_boot_entry *b)
{
    return a->kind == b->kind && boot_node(a) == boot_node(b);
}

/* What the owner of entry `of` has in the block: free frames count most, then those in use. */
static uint64_t owner_weight(const struct quire_boot *boot, size_t of, uint64_t block)
{
    uint64_t sum = 0;

    for (size_t i = qi_boot_find(boot, block); i < boot->count; i++) {
        const struct quire_boot_entry *e = &boot->entries[i];
        uint64_t first = e->first < block ? block : e->first, end = boot_end(boot, i);

        if (first >= block + BOOT_BLOCK)
            break;
        if (end > block + BOOT_BLOCK)
            end = block + BOOT_BLOCK;
        if (!same_owner(e, &boot->entries[of]))
            continue;
        if (e->use == QUIRE_BOOT_FREE)
            sum += (end - first) * 2 * BOOT_BLOCK;
        else if (e->use == QUIRE_BOOT_RESERVED)
            sum += end - first;
    }
    return sum;
}

/* Does the owner of entry `a` come before that of `b`, where both weigh the same? */
static bool owner_wins_tie(const struct quire_boot_entry *a, const struct quire_boot_entry *b)
{
    if (boot_node(a) != boot_node(b))
        return boot_node(a) < boot_node(b);
    return a->kind < b->kind;
}

/* The entry whose owner gets the block that starts at `block`; `first` is one with memory in it. */
static size_t heaviest_owner(const struct quire_boot *boot, uint64_t block, size_t first)
{
    size_t best = first;
    uint64_t best_weight = owner_weight(boot, first, block);

    for (size_t i = first + 1; i < boot->count; i++) {
        const struct quire_boot_entry *e = &boot->entries[i];
        uint64_t w;

        if (e->first >= block + BOOT_BLOCK)
            break;
        if (!boot_is_memory(e))
            continue;
        w = owner_weight(boot, i, block);
        if (w > best_weight || (w == best_weight && owner_wins_tie(e, &boot->entries[best]))) {
            best = i;
            best_weight = w;
        }
    }
    return best;
}

static int assign_range(struct quire_boot *boot, const struct quire_boot_plan *plan, uint64_t first,
                        uint64_t end, uint32_t node, enum quire_zone_type type)
{
    size_t place = zone_place(plan, node, type);
    const struct boot_change change = {.zone = (uint16_t)(place + 1)};

    /* No such zone: the owner has no free frame there, so these frames stay without one. */
    return zone_at(plan, place, node, type) ? qi_boot_change(boot, first, end, &change) : QUIRE_OK;
}

/* Give out all blocks, whole stretches of one owner at once. Each turn goes past the end of an
 * entry, of a block with several entries, or of an address limit. Where a turn starts inside a
 * block, there is no memory before it in the block. */
static int assign_all_blocks(struct quire_boot *boot, const struct quire_boot_layout *layout,
                             const struct quire_boot_plan *plan)
{
    uint64_t at = 0;
    int err = QUIRE_OK;

    while (!err && at < BOOT_LIMIT) {
        size_t i = qi_boot_find(boot, at);
        uint64_t end = boot_end(boot, i), first = at - at % BOOT_BLOCK, limit;
        enum quire_zone_type type = type_at(layout, at, &limit);

        if (!boot_is_memory(&boot->entries[i])) {
            at = end;
            continue;
        }
        if (end > limit)
            end = limit;
        end -= end % BOOT_BLOCK;
        if (end <= first) { /* the entry ends inside the block: are there others? */
            end = first + BOOT_BLOCK;
            i = heaviest_owner(boot, first, i);
        }
        if (boot->entries[i].kind == QUIRE_BOOT_DEVICE)
            type = QUIRE_ZONE_DEVICE;
        err = assign_range(boot, plan, first, end, boot_node(&boot->entries[i]), type);
        at = end;
    }
    return err;
}

/* ---- Huge ---------------------------------------------------------------------------------- */

/* Free frames of a zone that Huge may be taken from: not DMA, which others need more. Others' parts
 * of the zone's blocks do no harm, they never fill a block. */
static bool may_become_huge(const struct quire_boot *boot, const struct quire_boot_entry *e,
                            uint32_t node)
{
    const struct quire_boot_zone *zone = boot_zone(boot, e);

    return zone && zone->node == node && e->use == QUIRE_BOOT_FREE &&
           (zone->config.type == QUIRE_ZONE_NORMAL || zone->config.type == QUIRE_ZONE_DMA32);
}

/* Move aligned free pieces of `unit` frames into the node's Huge zone, from the top, until fewer
 * than `unit` of *left frames are left. What happens at entry i leaves those below it alone. */
static int set_blocks_aside(struct quire_boot *boot, const struct quire_boot_plan *plan,
                            uint32_t node, uint64_t unit, uint64_t *left)
{
    int err = QUIRE_OK;

    for (size_t i = boot->count; !err && i-- > 0 && *left >= unit;) {
        uint64_t first = (boot->entries[i].first + unit - 1) & ~(unit - 1);
        uint64_t end = boot_end(boot, i) & ~(unit - 1);
        uint64_t frames = *left & ~(unit - 1);

        if (!may_become_huge(boot, &boot->entries[i], node) || end <= first)
            continue;
        if (frames > end - first)
            frames = end - first;
        err = assign_range(boot, plan, end - frames, end, node, QUIRE_ZONE_HUGE);
        *left -= frames;
    }
    return err;
}

static int set_huge_aside(struct quire_boot *boot, const struct quire_boot_layout *layout,
                          struct quire_boot_plan *plan)
{
    for (uint32_t node = 0; node < layout->huge_nodes; node++) {
        uint64_t left = layout->huge_bytes[node] >> QUIRE_FRAME_SHIFT;
        int err = set_blocks_aside(boot, plan, node, BOOT_SECTION, &left);

        if (!err)
            err = set_blocks_aside(boot, plan, node, BOOT_BLOCK, &left);
        if (err)
            return err;
        plan->huge_missing += left << QUIRE_FRAME_SHIFT;
    }
    return QUIRE_OK;
}

static int check_huge(const struct quire_boot_layout *layout)
{
    if (layout->huge_nodes > QUIRE_BOOT_NODES)
        return QUIRE_ERR_SIZE;
    for (size_t node = 0; node < layout->huge_nodes; node++) {
        uint64_t bytes = layout->huge_bytes[node];

        if (bytes > BOOT_LIMIT << QUIRE_FRAME_SHIFT)
            return QUIRE_ERR_SIZE;
        if (bytes % ((uint64_t)BOOT_BLOCK << QUIRE_FRAME_SHIFT))
            return QUIRE_ERR_ALIGN;
    }
    return QUIRE_OK;
}

int qi_boot_assign_blocks(struct quire_boot *boot, const struct quire_boot_layout *layout,
                          struct quire_boot_plan *plan)
{
    int err = check_huge(layout);

    if (!err)
        err = list_zones(boot, layout, plan);
    if (!err)
        err = assign_all_blocks(boot, layout, plan);
    return err ? err : set_huge_aside(boot, layout, plan);
}
