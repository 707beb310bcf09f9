/* SPDX-License-Identifier: MIT
 *
 * boot_plan.c - a boot map becomes zones: which zones there are and which block is whose, their
 * runs, a place for their metadata, and the building of them.
 *
 * Zones and blocks. The rules are those of struct quire_boot_plan. Address limits of zones (16 MiB,
 * 4 GiB) lie on blocks, so zones can only meet inside a block where two nodes meet, or memory and
 * device memory.
 *
 * Metadata lies in the very memory that it describes. That is a circle: metadata that is placed
 * leaves a hole, a hole changes the runs, and other runs may need more metadata (or leave a small
 * zone without a free frame). So it goes in rounds: take all metadata back, place it anew with what
 * the last round has learnt, see whether it holds. A zone's metadata never shrinks from round to
 * round, and a zone without free frames is dropped for good, so rounds end; PLAN_ROUNDS bounds
 * those that only grow.
 *
 * State: the boot map (zones and uses of its entries) and the caller's plan. One caller at a time,
 * thread context.
 */
#include "core/boot/boot_map.h"
#include "core/fault.h"

#define DMA_END   ((uint64_t)16 << (20 - QUIRE_FRAME_SHIFT))
#define DMA32_END ((uint64_t)4 << (30 - QUIRE_FRAME_SHIFT))

enum { PLAN_ROUNDS = 16, LOWMEM_RESERVE_RATIO = 256 };

/* An array of the plan's has no room for another entry. */
static int array_full(struct quire_boot_plan *plan, const char *what, size_t length)
{
    return fault_set(&plan->fault, QUIRE_ERR_FULL, what, length, length, length + 1);
}

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

static int plan_zone(struct quire_boot_plan *plan, const struct quire_boot_layout *layout,
                     uint32_t node, enum quire_zone_type type)
{
    struct quire_boot_zone carried = {.config = layout->zone, .node = node};
    size_t place = zone_place(plan, node, type);

    if (zone_at(plan, place, node, type))
        return QUIRE_OK;
    if (plan->zone_count >= plan->zone_capacity || plan->zone_count >= QUIRE_PFNMAP_ZONES)
        return array_full(plan, "no room in zones[]", plan->zone_count);
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
static int plan_node_zones(struct quire_boot_plan *plan, const struct quire_boot_layout *layout,
                           const struct quire_boot_entry *e, uint64_t end)
{
    uint32_t node = boot_node(e);
    uint64_t at = e->first;
    int err = QUIRE_OK;

    if (e->kind == QUIRE_BOOT_DEVICE)
        return plan_zone(plan, layout, node, QUIRE_ZONE_DEVICE);
    while (!err && at < end)
        err = plan_zone(plan, layout, node, type_at(layout, at, &at));
    if (!err && huge_bytes(layout, node))
        err = plan_zone(plan, layout, node, QUIRE_ZONE_HUGE);
    return err;
}

static int plan_all_zones(const struct quire_boot *boot, const struct quire_boot_layout *layout,
                          struct quire_boot_plan *plan)
{
    int err = QUIRE_OK;

    for (size_t i = 0; !err && i < boot->count; i++) {
        const struct quire_boot_entry *e = &boot->entries[i];

        if (boot_is_memory(e) && e->use == QUIRE_BOOT_FREE)
            err = plan_node_zones(plan, layout, e, boot_end(boot, i));
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

/* Free frames of a zone that Huge may be taken from: not DMA, which others need more, and not
 * others' parts of the zone's blocks. */
static bool may_become_huge(const struct quire_boot *boot, const struct quire_boot_entry *e,
                            uint32_t node)
{
    const struct quire_boot_zone *zone = boot_zone(boot, e);

    return zone && zone->node == node && e->use == QUIRE_BOOT_FREE && !boot_is_foreign(e, zone) &&
           (zone->config.type == QUIRE_ZONE_NORMAL || zone->config.type == QUIRE_ZONE_DMA32);
}

/* Move aligned free pieces of `unit` frames into the node's Huge zone, from the top, until fewer
 * than `unit` of *left frames are left. Entries that differ in what was told of their node, and no
 * more, are one stretch. What happens to a stretch leaves the entries below it alone. */
static int set_blocks_aside(struct quire_boot *boot, const struct quire_boot_plan *plan,
                            uint32_t node, uint64_t unit, uint64_t *left)
{
    int err = QUIRE_OK;

    for (size_t i = boot->count, below; !err && i > 0 && *left >= unit; i = below) {
        uint64_t first, end = boot_end(boot, i - 1) & ~(unit - 1);
        uint64_t frames = *left & ~(unit - 1);

        for (below = i; below > 0; below--)
            if (!may_become_huge(boot, &boot->entries[below - 1], node))
                break;
        if (below == i) {
            below--; /* not this entry */
            continue;
        }
        first = (boot->entries[below].first + unit - 1) & ~(unit - 1);
        if (end <= first)
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

static int check_huge(const struct quire_boot_layout *layout, struct quire_fault *fault)
{
    const uint64_t most = BOOT_LIMIT << QUIRE_FRAME_SHIFT;

    if (layout->huge_nodes > QUIRE_BOOT_NODES)
        return fault_set(fault, QUIRE_ERR_SIZE, "huge_bytes[] has too many nodes", QUIRE_BOOT_NODES,
                         layout->huge_nodes, QUIRE_BOOT_NODES);
    for (size_t node = 0; node < layout->huge_nodes; node++) {
        uint64_t bytes = layout->huge_bytes[node];

        if (bytes > most)
            return fault_set(fault, QUIRE_ERR_SIZE, "huge_bytes[] beyond 2^52", node, bytes, most);
        if (bytes % ((uint64_t)BOOT_BLOCK << QUIRE_FRAME_SHIFT))
            return fault_set(fault, QUIRE_ERR_ALIGN, "huge_bytes[] is not a multiple of 2 MiB",
                             node, bytes,
                             bytes & ~(((uint64_t)BOOT_BLOCK << QUIRE_FRAME_SHIFT) - 1));
    }
    return QUIRE_OK;
}

/* Make the list of zones and give each block to one of them; set Huge zones' blocks aside. Errors
 * as quire_boot_plan_zones. After an error some blocks have zones. */
static int assign_blocks(struct quire_boot *boot, const struct quire_boot_layout *layout,
                         struct quire_boot_plan *plan)
{
    int err = check_huge(layout, &plan->fault);

    if (!err)
        err = plan_all_zones(boot, layout, plan);
    if (!err)
        err = assign_all_blocks(boot, layout, plan);
    return err ? err : set_huge_aside(boot, layout, plan);
}

/* ---- Runs and spans ------------------------------------------------------------------------ */

enum frame_role { ROLE_HOLE, ROLE_USABLE, ROLE_RESERVED };

/* What an entry's frames are to the zone that has their block. */
static enum frame_role frame_role_of(const struct quire_boot_entry *e,
                                     const struct quire_boot_zone *zone)
{
    if (!boot_same_kind(e, zone) || e->use >= QUIRE_BOOT_TAKEN)
        return ROLE_HOLE;
    return e->use == QUIRE_BOOT_RESERVED || boot_is_foreign(e, zone) ? ROLE_RESERVED : ROLE_USABLE;
}

/* Append to the list that began at runs[start]. */
static int append_run(struct quire_boot_plan *plan, size_t start, uint64_t first, uint64_t end)
{
    struct quire_run *last = &plan->runs[plan->run_count];

    if (plan->run_count > start && last[-1].pfn.n + last[-1].frames == first) {
        last[-1].frames += end - first;
        return QUIRE_OK;
    }
    if (plan->run_count == plan->run_capacity)
        return array_full(plan, "no room in runs[]", plan->run_count);
    last->pfn = quire_pfn_of(first);
    last->frames = end - first;
    plan->run_count++;
    return QUIRE_OK;
}

/* The runs of one zone with one standing. */
static int list_runs(const struct quire_boot *boot, struct quire_boot_plan *plan, size_t zone,
                     enum frame_role wanted, const struct quire_run **list, size_t *count)
{
    size_t start = plan->run_count;

    for (size_t i = 0; i < boot->count; i++) {
        const struct quire_boot_entry *e = &boot->entries[i];
        int err;

        if (e->zone != zone + 1 || frame_role_of(e, &plan->zones[zone]) != wanted)
            continue;
        err = append_run(plan, start, e->first, boot_end(boot, i));
        if (err)
            return err;
    }
    *list = plan->runs + start;
    *count = plan->run_count - start;
    return QUIRE_OK;
}

static int list_all_runs(const struct quire_boot *boot, struct quire_boot_plan *plan)
{
    int err = QUIRE_OK;

    plan->run_count = 0;
    for (size_t i = 0; !err && i < plan->zone_count; i++) {
        struct quire_zone_config *c = &plan->zones[i].config;

        c->id = (uint32_t)i;
        err = list_runs(boot, plan, i, ROLE_USABLE, &c->usable, &c->usable_count);
        if (!err)
            err = list_runs(boot, plan, i, ROLE_RESERVED, &c->reserved, &c->reserved_count);
    }
    return err;
}

/* The blocks of all zones, in ascending order. */
static int list_spans(const struct quire_boot *boot, struct quire_boot_plan *plan)
{
    const uint64_t in_block = BOOT_BLOCK - 1;

    plan->span_count = 0;
    for (size_t i = 0; i < boot->count; i++) {
        const struct quire_boot_entry *e = &boot->entries[i];
        uint64_t first = e->first & ~in_block, end = (boot_end(boot, i) + in_block) & ~in_block;
        struct quire_pfnmap_span *last = &plan->spans[plan->span_count];

        if (!e->zone)
            continue;
        if (plan->span_count && last[-1].zone == e->zone - 1u &&
            last[-1].run.pfn.n + last[-1].run.frames >= first) {
            last[-1].run.frames = end - last[-1].run.pfn.n;
            continue;
        }
        if (plan->span_count == plan->span_capacity)
            return array_full(plan, "no room in spans[]", plan->span_count);
        last->run.pfn = quire_pfn_of(first);
        last->run.frames = end - first;
        last->zone = e->zone - 1u;
        plan->span_count++;
    }
    return QUIRE_OK;
}

/* ---- A place for metadata ------------------------------------------------------------------ */

/* Place `bytes` in the memory of `node` (or QUIRE_NODE_ANY). */
static int place_metadata_on(struct quire_boot *boot, const struct quire_boot_layout *layout,
                             size_t bytes, uint32_t node, uint64_t *phys, uint32_t *got)
{
    const struct quire_boot_request request = {
        .bytes = bytes, .high = layout->metadata_high, .node = node};
    const struct boot_change take = {.use = QUIRE_BOOT_METADATA};
    struct quire_run place;
    int err = qi_boot_find_place(boot, &request, &place);

    if (err)
        return err;
    *got = boot_node(&boot->entries[qi_boot_find(boot, place.pfn.n)]);
    *phys = quire_phys(place.pfn);
    return qi_boot_change(boot, place.pfn.n, place.pfn.n + place.frames, &take);
}

/* Nodes in order of distance: one number that tells distance first, then the node. */
static uint64_t node_distance(const struct quire_boot_layout *layout, uint32_t from, uint32_t to)
{
    uint32_t distance = from > to ? from - to : to - from;

    if (layout->distance)
        distance = layout->distance(layout->distance_ctx, from, to);
    return (uint64_t)distance << 32 | to;
}

/* Place `bytes` on `node`, else on the nearest of the others that has room, else in memory that no
 * zone could use. */
static int place_metadata_near(struct quire_boot *boot, const struct quire_boot_layout *layout,
                               const struct quire_boot_plan *plan, size_t bytes, uint32_t node,
                               uint64_t *phys, uint32_t *got)
{
    int err = place_metadata_on(boot, layout, bytes, node, phys, got);
    uint64_t tried = 0; /* nearness + 1 of the last node tried */

    while (err) {
        uint64_t nearest = UINT64_MAX;

        for (size_t i = 0; i < plan->zone_count; i++) {
            uint64_t n = node_distance(layout, node, plan->zones[i].node);

            if (n >= tried && n < nearest)
                nearest = n;
        }
        if (nearest == UINT64_MAX)
            return place_metadata_on(boot, layout, bytes, QUIRE_NODE_ANY, phys, got);
        err = place_metadata_on(boot, layout, bytes, (uint32_t)nearest, phys, got);
        tried = nearest + 1;
    }
    return err;
}

/* Grow each piece of metadata to what the runs need now. *grown: one was too small. */
static int measure_metadata(struct quire_boot_plan *plan, bool *grown)
{
    size_t bytes = 0;
    int err = quire_pfnmap_size(plan->spans, plan->span_count, &plan->pfnmap_bytes);

    *grown = false;
    for (size_t i = 0; !err && i < plan->zone_count; i++) {
        struct quire_boot_zone *zone = &plan->zones[i];

        err = quire_zone_metadata_size(&zone->config, &bytes);
        if (err)
            (void)quire_zone_config_check(&zone->config, &plan->fault);
        if (!err && bytes > zone->metadata_bytes) {
            zone->metadata_bytes = bytes;
            *grown = true;
        }
    }
    return err;
}

static int place_all_metadata(struct quire_boot *boot, const struct quire_boot_layout *layout,
                              struct quire_boot_plan *plan)
{
    int err = QUIRE_OK;

    for (size_t i = 0; !err && i < plan->zone_count; i++) {
        struct quire_boot_zone *zone = &plan->zones[i];

        err = place_metadata_near(boot, layout, plan, zone->metadata_bytes, zone->node,
                                  &zone->metadata_phys, &zone->metadata_node);
        if (err == QUIRE_ERR_NO_MEMORY)
            fault_set(&plan->fault, err, "no place for a zone's metadata, bytes in a row",
                      zone->node, 0, zone->metadata_bytes);
    }
    if (!err)
        err = place_metadata_near(boot, layout, plan, plan->pfnmap_bytes, plan->zones[0].node,
                                  &plan->pfnmap_phys, &plan->pfnmap_node);
    return err;
}

/* ---- Rounds -------------------------------------------------------------------------------- */

static void undo_plan(struct quire_boot *boot, bool zones_too)
{
    const struct boot_change change = {.free_metadata = true, .leave_zones = zones_too};

    (void)qi_boot_change(boot, 0, BOOT_LIMIT, &change); /* splits nothing, so it cannot fail */
}

/* Drop zones that have no free frame. Were there any? */
static bool drop_empty_zones(struct quire_boot *boot, struct quire_boot_plan *plan)
{
    bool dropped = false;

    for (size_t i = plan->zone_count; i-- > 0;) {
        if (plan->zones[i].config.usable_count)
            continue;
        qi_boot_drop_zone(boot, i);
        plan->zone_count--;
        for (size_t j = i; j < plan->zone_count; j++)
            plan->zones[j] = plan->zones[j + 1];
        dropped = true;
    }
    return dropped;
}

/* Runs and spans as the map is now; zones without free frames go. *dropped: there were such. */
static int list_runs_and_spans(struct quire_boot *boot, struct quire_boot_plan *plan, bool *dropped)
{
    int err = list_all_runs(boot, plan);

    *dropped = !err && drop_empty_zones(boot, plan);
    if (*dropped)
        err = list_all_runs(boot, plan);
    if (!err && plan->zone_count == 0)
        err = fault_set(&plan->fault, QUIRE_ERR_NO_MEMORY, "no zone has a free frame", 0, 0, 1);
    return err ? err : list_spans(boot, plan);
}

static int plan_until_stable(struct quire_boot *boot, const struct quire_boot_layout *layout,
                             struct quire_boot_plan *plan)
{
    unsigned rounds = 0;

    while (rounds < PLAN_ROUNDS) {
        bool dropped, grown;
        int err;

        undo_plan(boot, false);
        err = list_runs_and_spans(boot, plan, &dropped);
        if (!err)
            err = measure_metadata(plan, &grown);
        if (!err)
            err = place_all_metadata(boot, layout, plan);
        if (!err)
            err = list_runs_and_spans(boot, plan, &dropped);
        if (!err && !dropped)
            err = measure_metadata(plan, &grown);
        if (err || (!dropped && !grown))
            return err;
        rounds += !dropped;
    }
    return QUIRE_ERR_NO_MEMORY;
}

/* ---- The outcome --------------------------------------------------------------------------- */

static void plan_count_entry(struct quire_boot_plan *plan, const struct quire_boot_entry *e,
                             uint64_t end, uint64_t *next_block)
{
    const struct quire_boot_zone *zone = e->zone ? &plan->zones[e->zone - 1] : NULL;
    uint64_t frames = end - e->first;
    uint64_t first_block = e->first / BOOT_BLOCK, end_block = (end - 1) / BOOT_BLOCK + 1;
    enum frame_role s = zone ? frame_role_of(e, zone) : ROLE_HOLE;

    if (e->use == QUIRE_BOOT_METADATA)
        plan->metadata_frames += frames;
    if (s == ROLE_USABLE)
        plan->usable_frames += frames;
    if (s == ROLE_RESERVED)
        plan->reserved_frames += frames;
    if (zone && e->use == QUIRE_BOOT_FREE && boot_is_foreign(e, zone)) {
        plan->shared_frames += frames;
        if (first_block < *next_block) /* two strangers in one block */
            first_block = *next_block;
        plan->shared_blocks += end_block - first_block;
        *next_block = end_block;
    } else if (s == ROLE_HOLE && e->use <= QUIRE_BOOT_RESERVED) {
        plan->zoneless_frames += frames;
    }
}

static void plan_count_frames(const struct quire_boot *boot, struct quire_boot_plan *plan)
{
    uint64_t next_block = 0;

    for (size_t i = 0; i < boot->count; i++)
        if (boot_is_memory(&boot->entries[i]))
            plan_count_entry(plan, &boot->entries[i], boot_end(boot, i), &next_block);
    for (size_t i = 0; i < plan->zone_count; i++)
        plan->remote_metadata += plan->zones[i].metadata_node != plan->zones[i].node;
}

static uint64_t usable_frames_of(const struct quire_boot_zone *zone)
{
    uint64_t frames = 0;

    for (size_t i = 0; i < zone->config.usable_count; i++)
        frames += zone->config.usable[i].frames;
    return frames;
}

/* What DMA and DMA32 keep from requests that could have less scarce memory: a 256th of the less
 * scarce memory of their node, as in Linux (lowmem_reserve_ratio). */
static void keep_lowmem(const struct quire_boot_layout *layout, struct quire_boot_plan *plan)
{
    uint64_t above = 0;

    if (layout->no_lowmem_reserve || layout->zone.lowmem_reserve)
        return;
    for (size_t i = plan->zone_count; i-- > 0;) { /* by node, then from the least scarce */
        struct quire_boot_zone *zone = &plan->zones[i];

        if (i + 1 == plan->zone_count || zone[1].node != zone->node)
            above = 0;
        if (zone->config.type < QUIRE_ZONE_NORMAL)
            zone->config.lowmem_reserve = above / LOWMEM_RESERVE_RATIO;
        if (zone->config.type <= QUIRE_ZONE_NORMAL)
            above += usable_frames_of(zone);
    }
}

int quire_boot_plan_zones(struct quire_boot *boot, const struct quire_boot_layout *layout,
                          struct quire_boot_plan *plan)
{
    const struct quire_boot_plan fresh = {
        .zones = plan->zones,
        .zone_capacity = plan->zone_capacity,
        .runs = plan->runs,
        .run_capacity = plan->run_capacity,
        .spans = plan->spans,
        .span_capacity = plan->span_capacity,
    };
    struct quire_fault fault;
    int err;

    if (boot->zones)
        return fault_set(&plan->fault, QUIRE_ERR_INITIALISED, "zones were planned already", 0, 1,
                         0);
    if (!plan->zones || !plan->runs || !plan->spans)
        return array_full(plan, "an array of the plan is missing", 0);
    *plan = fresh;
    boot->zones = plan->zones;
    err = assign_blocks(boot, layout, plan);
    if (!err)
        err = plan_until_stable(boot, layout, plan);
    if (err) {
        undo_plan(boot, true);
        boot->zones = NULL;
        fault = plan->fault;
        if (!fault.what)
            fault_set(&fault, err,
                      err == QUIRE_ERR_FULL ? "no room in the boot map's entries[]"
                                            : "the zones' metadata finds no place",
                      boot->count, boot->capacity, boot->capacity + 1);
        *plan = fresh;
        plan->fault = fault;
        return err;
    }
    plan_count_frames(boot, plan);
    keep_lowmem(layout, plan);
    return QUIRE_OK;
}

/* ---- Building ------------------------------------------------------------------------------ */

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
