/* SPDX-License-Identifier: MIT
 *
 * boot_plan.c - planning, second half: the zones' runs, and a place for their metadata in the very
 * memory that they describe.
 *
 * That is a circle: metadata that is placed leaves a hole, a hole changes the runs, and other runs
 * may need more metadata (or leave a small zone without a free frame). So it goes in rounds: take
 * all metadata back, place it anew with what the last round has learnt, see whether it holds. A
 * zone's metadata never shrinks from round to round, and a zone without free frames is dropped for
 * good, so rounds end; ROUNDS bounds those that only grow.
 *
 * State: the boot map (uses and zones of its entries) and the caller's plan. Called in the context
 * of quire_boot_plan_zones.
 */
#include "core/boot/boot_map.h"

enum { PLAN_ROUNDS = 16 };

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
        return QUIRE_ERR_NO_MEMORY;
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
            return QUIRE_ERR_NO_MEMORY;
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
        err = QUIRE_ERR_NO_MEMORY;
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
    int err;

    if (boot->zones)
        return QUIRE_ERR_INITIALISED;
    if (!plan->zones || !plan->runs || !plan->spans)
        return QUIRE_ERR_NO_MEMORY;
    *plan = fresh;
    boot->zones = plan->zones;
    err = qi_boot_assign_blocks(boot, layout, plan);
    if (!err)
        err = plan_until_stable(boot, layout, plan);
    if (err) {
        undo_plan(boot, true);
        boot->zones = NULL;
        *plan = fresh;
        return err;
    }
    plan_count_frames(boot, plan);
    return QUIRE_OK;
}
