/* SPDX-License-Identifier: MIT
 *
 * bringup.c - boot map, topology and port in, machine out, see bringup.h.
 *
 * Arrays of the plan and the zones' handles lie in one piece of memory that is taken from the boot
 * map; it stays, as the handles are the machine's. The machine's own memory comes from the zones.
 *
 * The danger is a zone that leaves: it must neither give memory nor be freed into once it is gone.
 * So who takes reads the machine's snapshot, as a reader, and asks of the planned zones those that
 * are in service there and not about to leave (Y2); who gives back is a reader too, and his frames
 * keep their zone until they are free. While the machine is built or taken down nobody removes one,
 * and there is no snapshot to read.
 *
 * State: the caller's structure. One caller until the machine is there; then it is constant.
 */
#include <quire/bringup.h>

#include "core/word.h"
#include "numa/machine/machine.h"

/* ---- Memory out of the zones ---------------------------------------------------------------- */

/* Begin to read the machine, if there is one. */
static bool enter_machine(const struct quire_bringup *b, struct machine_reader *r)
{
    /* relaxed: it becomes 0 when nobody else is there */
    if (!b->machine || !qa_load(&b->machine->snapshot, relaxed))
        return false;
    qi_machine_enter(b->machine, r);
    return true;
}

/* Is a zone in service, and not about to leave? */
static bool is_staying(const struct machine_reader *r, const struct quire_zone *zone)
{
    const struct machine_snapshot *s = r->snapshot;
    /* relaxed: a removal is to see what it wrote itself */
    uintptr_t leaving = (uintptr_t)qa_load(&r->machine->leaving, relaxed);

    for (uint32_t i = 0; i < s->entry_count; i++)
        if (s->entries[i].zone->given == zone)
            return !s->entries[i].closing && (uintptr_t)s->entries[i].zone != leaving;
    return false;
}

static struct quire_zone *planned_zone(const struct quire_bringup *b, quire_node node,
                                       enum quire_zone_type type)
{
    for (size_t i = 0; i < b->plan.zone_count; i++)
        if (b->plan.zones[i].node == node.n && b->plan.zones[i].config.type == type)
            return &b->zones[i];
    return NULL;
}

/* Where memory is from; stands at its end. */
struct taken_run {
    struct quire_zone *zone;
    uint64_t pfn;
};

/* Allocate from a zone, but nothing of what is being taken offline (OF1). */
static bool take_from_zone(const struct quire_bringup *b, struct quire_zone *zone, uint64_t frames,
                           quire_pfn *pfn)
{
    /* relaxed: an offlining is to see what it wrote itself */
    uint64_t emptied = b->machine ? qa_load(&b->machine->emptied, relaxed) : 0;
    uint64_t start = quire_phys(quire_pfn_of((emptied >> 32) * BLOCK_FRAMES));
    uint64_t end = start + quire_phys(quire_pfn_of((uint32_t)emptied * (uint64_t)BLOCK_FRAMES));
    const struct quire_contig below = {.frames = frames, .high = start - 1};
    const struct quire_contig above = {.frames = frames, .low = end};

    return (start > 0 && !quire_zone_alloc_contig(zone, quire_slot_of(0), &below, 0, pfn)) ||
           !quire_zone_alloc_contig(zone, quire_slot_of(0), &above, 0, pfn);
}

/* From one node, not of its scarce memory first. */
static bool take_run(const struct quire_bringup *b, quire_node node, uint64_t frames,
                     struct taken_run *run)
{
    struct machine_reader r;
    bool reads = enter_machine(b, &r), taken = false;

    if (b->machine && !reads) /* it has been taken down */
        return false;
    for (unsigned type = QUIRE_ZONE_NORMAL + 1; type-- > QUIRE_ZONE_DMA && !taken;) {
        struct quire_zone *zone = planned_zone(b, node, (enum quire_zone_type)type);
        quire_pfn pfn;

        if (!zone || (reads && !is_staying(&r, zone)) || !take_from_zone(b, zone, frames, &pfn))
            continue;
        *run = (struct taken_run){zone, pfn.n};
        taken = true;
    }
    if (reads)
        qi_machine_leave(&r);
    return taken;
}

static void give_run_back(const struct quire_bringup *b, const struct taken_run *run,
                          uint64_t frames)
{
    struct machine_reader r;
    bool reads = enter_machine(b, &r);

    (void)quire_zone_free_contig(run->zone, quire_slot_of(0), quire_pfn_of(run->pfn), frames);
    if (reads)
        qi_machine_leave(&r);
}

/* Frames for so many bytes and a struct taken_run. */
static uint64_t frames_with_origin(size_t bytes)
{
    return rounded_up((uint64_t)bytes + sizeof(struct taken_run), QUIRE_FRAME_SIZE) >>
           QUIRE_FRAME_SHIFT;
}

static struct taken_run *origin_of(void *memory, uint64_t frames)
{
    void *end = (unsigned char *)memory + (frames << QUIRE_FRAME_SHIFT) - sizeof(struct taken_run);

    return (struct taken_run *)end;
}

void *quire_bringup_take(struct quire_bringup *b, size_t bytes, quire_node node)
{
    quire_node order[QUIRE_NODES];
    uint32_t count = quire_topology_order(b->topology, node, order);
    uint64_t frames = frames_with_origin(bytes);

    for (uint32_t i = 0; i < count; i++) {
        size_t length = (size_t)(frames << QUIRE_FRAME_SHIFT);
        struct taken_run run;
        void *memory;

        if (!take_run(b, order[i], frames, &run))
            continue;
        memory = b->map(b->map_ctx, quire_phys(quire_pfn_of(run.pfn)), length, order[i].n);
        if (memory) {
            __builtin_memset(memory, 0, length);
            *origin_of(memory, frames) = run;
            return memory;
        }
        give_run_back(b, &run, frames);
    }
    return NULL;
}

void quire_bringup_give_back(struct quire_bringup *b, void *memory, size_t bytes)
{
    uint64_t frames = frames_with_origin(bytes);
    struct taken_run run = *origin_of(memory, frames); /* a copy: it lies in what is freed */

    give_run_back(b, &run, frames);
}

static void *memory_of_zones(void *ctx, size_t bytes, quire_node node)
{
    return quire_bringup_take((struct quire_bringup *)ctx, bytes, node);
}

static void give_back_to_zones(void *ctx, void *memory, size_t bytes, quire_node node)
{
    (void)node;
    quire_bringup_give_back((struct quire_bringup *)ctx, memory, bytes);
}

/* ---- Steps ---------------------------------------------------------------------------------- */

/* All memory is on the first node, and the topology learns of it from the map. */
static int describe_memory(const struct quire_boot *boot, struct quire_topology *t)
{
    struct quire_boot_region r;
    int error = QUIRE_OK;

    for (size_t i = 0; !error && !quire_boot_region(boot, i, &r); i++)
        if (r.kind == QUIRE_BOOT_USABLE)
            error = quire_topology_add_memory(t, quire_phys(r.run.pfn),
                                              r.run.frames << QUIRE_FRAME_SHIFT, quire_node_of(0),
                                              QUIRE_MEMORY_ORDINARY);
    return error;
}

static int assign_memory(struct quire_boot *boot, const struct quire_topology *t)
{
    int error = QUIRE_OK;

    for (uint32_t i = 0; !error && i < t->range_count; i++)
        if (t->ranges[i].kind != QUIRE_MEMORY_HOTPLUG)
            error =
                quire_boot_assign(boot, t->ranges[i].phys, t->ranges[i].bytes, t->ranges[i].node.n);
    return error;
}

/* Complete the topology, check it, and tell the boot map of nodes. */
static int match_topology(struct quire_bringup *b)
{
    struct quire_topology *t = b->topology;
    quire_node node;
    int error = QUIRE_OK;

    if (t->node_count == 0)
        error = quire_topology_add_node(t, 0, &node);
    if (!error && t->cpu_count == 0)
        error = quire_topology_add_cpu(t, 0, quire_node_of(0));
    if (!error && t->range_count == 0)
        error = describe_memory(b->boot, t);
    if (!error)
        error = quire_topology_check(t, &b->fault);
    return error ? error : assign_memory(b->boot, t);
}

static unsigned topology_distance(void *ctx, uint32_t from, uint32_t to)
{
    const struct quire_topology *t = (const struct quire_topology *)ctx;

    return from < QUIRE_NODES && to < QUIRE_NODES ? t->distance[from][to]
                                                  : QUIRE_DISTANCE_UNREACHABLE;
}

/* Room for the plan, for the zones' handles and, behind it, for as many of quire_machine_zone. */
static int take_arrays(struct quire_bringup *b, struct quire_machine_zone **given)
{
    size_t zones = (size_t)b->topology->node_count * QUIRE_ZONE_TYPES;
    size_t runs = 16 * b->boot->count + 16 + 2 * zones;
    struct quire_boot_request request = {.high = b->layout.metadata_high, .node = QUIRE_NODE_ANY};
    uint64_t phys;
    void *at;
    int error;

    runs = runs < b->boot->capacity ? runs : b->boot->capacity;
    request.bytes = zones * (sizeof *b->zones + sizeof *b->plan.zones + sizeof **given) +
                    runs * (sizeof *b->plan.runs + sizeof *b->plan.spans);
    error = quire_boot_alloc(b->boot, &request, &phys);
    if (error)
        return error;
    at = b->map(b->map_ctx, phys, (size_t)request.bytes, QUIRE_NODE_ANY);
    if (!at)
        return QUIRE_ERR_NO_MEMORY;
    __builtin_memset(at, 0, (size_t)request.bytes);
    b->zones = (struct quire_zone *)at;
    at = b->zones + zones;
    *given = (struct quire_machine_zone *)at;
    at = *given + zones;
    b->plan = (struct quire_boot_plan){.zones = (struct quire_boot_zone *)at,
                                       .zone_capacity = zones,
                                       .run_capacity = runs,
                                       .span_capacity = runs};
    at = b->plan.zones + zones;
    b->plan.runs = (struct quire_run *)at;
    at = b->plan.runs + runs;
    b->plan.spans = (struct quire_pfnmap_span *)at;
    return QUIRE_OK;
}

static int build_zones(struct quire_bringup *b)
{
    int error;

    if (b->layout.zone.slots == 0)
        b->layout.zone.slots = b->topology->cpu_count;
    if (!b->layout.distance) {
        b->layout.distance = topology_distance;
        b->layout.distance_ctx = b->topology;
    }
    error = quire_boot_plan_zones(b->boot, &b->layout, &b->plan);
    if (error) {
        b->fault = b->plan.fault;
        return error;
    }
    for (size_t i = 0; i < b->plan.zone_count; i++) {
        struct quire_zone_config *c = &b->plan.zones[i].config;

        if (c->type == QUIRE_ZONE_HUGE || c->type == QUIRE_ZONE_DEVICE)
            c->min = c->low = c->high = 0;
    }
    return quire_boot_build(&b->plan, b->map, b->map_ctx, b->zones, &b->pfnmap);
}

static int build_bringup_machine(struct quire_bringup *b, struct quire_machine_zone given[])
{
    struct quire_machine_config config = {.topology = b->topology,
                                          .zones = given,
                                          .zone_count = b->plan.zone_count,
                                          .spans = b->plan.spans,
                                          .span_count = b->plan.span_count,
                                          .policy = b->policy,
                                          .mode = b->mode,
                                          .rounds = QUIRE_CACHE_SIZE_AUTO,
                                          .huge_rounds = QUIRE_CACHE_SIZE_AUTO,
                                          .port = b->port};
    void *memory;
    size_t bytes;
    int error;

    if (!config.port.memory) {
        config.port.ctx = b;
        config.port.memory = memory_of_zones;
        config.port.give_back = give_back_to_zones;
    }
    for (size_t i = 0; i < b->plan.zone_count; i++)
        given[i] = (struct quire_machine_zone){&b->zones[i], quire_node_of(b->plan.zones[i].node)};
    error = quire_machine_size(&config, &bytes);
    if (error)
        return error;
    memory = config.port.memory(config.port.ctx, bytes, quire_node_of(b->topology->cpu_node[0]));
    return memory ? quire_machine_init(&config, memory, bytes, &b->machine) : QUIRE_ERR_NO_MEMORY;
}

int quire_bringup(struct quire_bringup *b)
{
    struct quire_machine_zone *given = NULL;
    int error;

    b->fault = (struct quire_fault){.what = NULL};
    b->machine = NULL;
    error = match_topology(b);
    if (!error)
        error = take_arrays(b, &given);
    if (!error)
        error = build_zones(b);
    return error ? error : build_bringup_machine(b, given);
}
