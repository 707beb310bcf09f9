/* SPDX-License-Identifier: MIT
 *
 * machine.c - a machine with one CPU over the zones of a map, and the zone of it that is drawn.
 *
 * State and invariants: frag.h. Main thread.
 */
#include "frag.h"

#include "host-harness/cli/cli.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void *port_memory(void *ctx, size_t bytes, quire_node node)
{
    (void)ctx;
    (void)node;
    return simulated_pages(bytes);
}

static void port_give_back(void *ctx, void *memory, size_t bytes, quire_node node)
{
    (void)ctx;
    (void)node;
    munmap(memory, bytes);
}

/* As many nodes as the map has, with the zones' memory, and CPU 0 on the first. A quire_error. */
static int make_topology(const struct simulated_machine *machine, struct quire_topology *topology)
{
    const struct quire_boot_plan *plan = &machine->plan->plan;
    int result = QUIRE_OK;
    quire_node node;

    quire_topology_init(topology);
    for (size_t i = 0; i < plan->span_count && !result; i++) {
        const struct quire_pfnmap_span *span = &plan->spans[i];
        const struct simulated_zone *zone = &machine->zones[span->zone];

        while (topology->node_count <= zone->node && !result)
            result = quire_topology_add_node(topology, topology->node_count, &node);
        if (!result)
            result = quire_topology_add_memory(
                topology, quire_phys(span->run.pfn), span->run.frames << QUIRE_FRAME_SHIFT,
                quire_node_of(zone->node),
                zone->type == QUIRE_ZONE_DEVICE ? QUIRE_MEMORY_DEVICE : QUIRE_MEMORY_ORDINARY);
    }
    return result ? result : quire_topology_add_cpu(topology, 0, quire_node_of(0));
}

/* A quire_error. */
static int build(struct frag *f, struct quire_topology *topology, struct quire_machine_zone *zones)
{
    const struct quire_boot_plan *plan = &f->machine.plan->plan;
    const struct quire_machine_config config = {
        .topology = topology,
        .zones = zones,
        .zone_count = f->machine.zone_count,
        .spans = plan->spans,
        .span_count = plan->span_count,
        .mode = QUIRE_CACHE_EXCHANGE, /* the CPU is not this machine's */
        .rounds = QUIRE_CACHE_SIZE_AUTO,
        .huge_rounds = QUIRE_CACHE_SIZE_AUTO,
        .port = {.memory = port_memory, .give_back = port_give_back},
    };
    int result = make_topology(&f->machine, topology);

    if (result)
        return result;
    for (size_t z = 0; z < f->machine.zone_count; z++)
        zones[z] = (struct quire_machine_zone){&f->machine.zones[z].zone,
                                               quire_node_of(f->machine.zones[z].node)};
    result = quire_machine_size(&config, &f->memory_bytes);
    if (result)
        return result;
    f->memory = simulated_pages(f->memory_bytes);
    return f->memory ? quire_machine_init(&config, f->memory, f->memory_bytes, &f->quire)
                     : QUIRE_ERR_NO_MEMORY;
}

static int choose_zone(struct frag *f)
{
    uint32_t chosen = f->options.zone;
    struct quire_run extent;
    uint64_t end = 0;

    if (chosen != UINT32_MAX && chosen >= f->machine.zone_count)
        return cli_fail("frag", "--zone %" PRIu32 ": expected one of the %zu zones, 0 to %zu",
                        chosen, f->machine.zone_count, f->machine.zone_count - 1);
    if (chosen == UINT32_MAX) {
        chosen = 0;
        for (uint32_t z = 1; z < f->machine.zone_count; z++)
            if (quire_zone_managed(&f->machine.zones[z].zone) >
                quire_zone_managed(&f->machine.zones[chosen].zone))
                chosen = z;
    }
    f->options.zone = chosen;
    f->zone = &f->machine.zones[chosen];
    f->first = UINT64_MAX;
    for (uint32_t i = 0; !quire_zone_extent(&f->zone->zone, i, &extent); i++) {
        f->first = extent.pfn.n < f->first ? extent.pfn.n : f->first;
        end = extent.pfn.n + extent.frames > end ? extent.pfn.n + extent.frames : end;
    }
    f->frames = end - f->first;
    if (f->frames > FRAG_MAX_FRAMES)
        return cli_fail("frag",
                        "zone %" PRIu32 " reaches over %" PRIu64 " GiB: expected at most %" PRIu64
                        "; another --zone, or --memory",
                        chosen, f->frames >> 18, (uint64_t)FRAG_MAX_FRAMES >> 18);
    return CLI_OK;
}

/* The map of the file, or one of so much memory from 4 GiB on. */
static int load_map(struct frag *f, struct map_error *error)
{
    char text[128];
    int n;

    if (f->options.map)
        return map_load(&f->map, f->options.map, 0, error);
    n = snprintf(text, sizeof(text), "0x100000000 +%" PRIu64 " usable\n", f->options.memory);
    return map_parse(&f->map, "made-up memory", text, (size_t)n, 0, error);
}

int frag_machine_build(struct frag *f)
{
    const struct simulated_options options = {.slots = 1};
    struct quire_topology *topology = calloc(1, sizeof(*topology));
    struct quire_machine_zone *zones = NULL;
    struct map_error error;
    int result = QUIRE_ERR_NO_MEMORY;

    if (load_map(f, &error) || simulated_build(&f->machine, &f->map, &options, &error)) {
        free(topology);
        return cli_fail("frag", "%s", error.text);
    }
    zones = calloc(f->machine.zone_count, sizeof(*zones));
    if (zones && topology)
        result = build(f, topology, zones);
    free(zones);
    free(topology);
    if (result) {
        cli_fail("frag", "%s: the machine cannot be built: %s", f->map.source,
                 quire_strerror(result));
        return CLI_FAILED;
    }
    return choose_zone(f);
}

void frag_machine_teardown(struct frag *f)
{
    if (f->quire)
        quire_machine_fini(f->quire);
    if (f->memory)
        munmap(f->memory, f->memory_bytes);
    simulated_teardown(&f->machine);
    map_free(&f->map);
    free(f->runs);
    if (f->held)
        munmap(f->held, f->frames * sizeof(*f->held));
    free(f->before.cells);
    free(f->after.cells);
}
