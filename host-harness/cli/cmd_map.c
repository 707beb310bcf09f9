/* SPDX-License-Identifier: MIT
 *
 * cmd_map.c - `quire map`: what boot memory makes of a memory map, as a table. The zones are really
 * built, so a map that is shown is a map that works.
 */
#include "cmd_map.h"
#include "cli.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: quire map [OPTION]...\n"
    "\n"
    "Shows which zones boot memory makes of a memory map: where they lie, what is usable, "
    "reserved\n"
    "or missing in them, where their metadata goes, and what was left out and why.\n"
    "\n" CLI_MAP_HELP "  --strict        refuse what a note would say otherwise: memory of two\n"
    "                  nodes, a log that does not tell which table was in force, this machine's\n"
    "                  size in place of its map\n"
    "  --json FILE     the same as JSON, - for standard output instead of the table\n"
    "  --huge SIZE     set aside SIZE bytes per node for huge pages (K, M, G, T; multiple of 2M)\n"
    "  --slots N       plan for N slots per zone, 1 to 4095 (default 8)\n"
    "  --no-dma        no zone of its own for memory below 16 MiB\n"
    "  --no-dma32      no zone of its own for memory below 4 GiB\n"
    "  --no-run-map    metadata without the run map and the frame bytes\n"
    "  -h, --help      this text\n";

struct options {
    const char *map, *json;
    unsigned flags; /* enum map_flags */
    struct simulated_options machine;
    bool help;
};

enum {
    OPT_MAP = 1,
    OPT_JSON,
    OPT_HUGE,
    OPT_SLOTS,
    OPT_NO_DMA,
    OPT_NO_DMA32,
    OPT_NO_RUN_MAP,
    OPT_STRICT,
    OPT_HELP = 'h',
};

static const struct option long_options[] = {
    {"map", required_argument, NULL, OPT_MAP},
    {"json", required_argument, NULL, OPT_JSON},
    {"huge", required_argument, NULL, OPT_HUGE},
    {"slots", required_argument, NULL, OPT_SLOTS},
    {"no-dma", no_argument, NULL, OPT_NO_DMA},
    {"no-dma32", no_argument, NULL, OPT_NO_DMA32},
    {"no-run-map", no_argument, NULL, OPT_NO_RUN_MAP},
    {"strict", no_argument, NULL, OPT_STRICT},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static int read_huge(struct options *options)
{
    uint64_t *bytes = &options->machine.huge_bytes;

    if (map_parse_size(optarg, bytes) && *bytes % (2 << 20) == 0 && *bytes <= MAP_PHYS_LIMIT)
        return CLI_OK;
    return cli_fail("map", "--huge %.60s: expected a multiple of 2M up to 4096T, like 512M or 4G",
                    optarg);
}

static int read_slots(struct options *options)
{
    uint64_t slots;

    if (!map_parse_size(optarg, &slots) || slots < 1 || slots > QUIRE_ZONE_MAX_SLOTS)
        return cli_fail("map", "--slots %.60s: expected a number from 1 to %d", optarg,
                        QUIRE_ZONE_MAX_SLOTS);
    options->machine.slots = (uint32_t)slots;
    return CLI_OK;
}

static int read_option(struct options *options, int code, char **argv)
{
    switch (code) {
    case OPT_MAP:
        options->map = optarg;
        return CLI_OK;
    case OPT_JSON:
        options->json = optarg;
        return CLI_OK;
    case OPT_HUGE:
        return read_huge(options);
    case OPT_SLOTS:
        return read_slots(options);
    case OPT_NO_DMA:
        options->machine.no_dma = true;
        return CLI_OK;
    case OPT_NO_DMA32:
        options->machine.no_dma32 = true;
        return CLI_OK;
    case OPT_NO_RUN_MAP:
        options->machine.no_run_map = true;
        return CLI_OK;
    case OPT_STRICT:
        options->flags |= MAP_STRICT;
        return CLI_OK;
    case OPT_HELP:
        options->help = true;
        return CLI_OK;
    default:
        return cli_bad_option("map", code, argv, long_options);
    }
}

static int read_options(struct options *options, int argc, char **argv)
{
    int code;

    opterr = 0;
    while ((code = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
        int result = read_option(options, code, argv);
        if (result)
            return result;
    }
    if (optind < argc)
        return cli_fail("map", "unexpected argument %.100s: expected options, see quire map --help",
                        argv[optind]);
    return CLI_OK;
}

void cmd_map_figures(const struct quire_boot_zone *zone, struct zone_figures *figures)
{
    const struct quire_zone_config *config = &zone->config;

    *figures = (struct zone_figures){.first = UINT64_MAX};
    for (size_t i = 0; i < config->usable_count + config->reserved_count; i++) {
        bool usable = i < config->usable_count;
        const struct quire_run *run =
            usable ? &config->usable[i] : &config->reserved[i - config->usable_count];
        *(usable ? &figures->usable : &figures->reserved) += run->frames;
        if (run->pfn.n < figures->first)
            figures->first = run->pfn.n;
        if (run->pfn.n + run->frames > figures->end)
            figures->end = run->pfn.n + run->frames;
    }
    figures->holes = figures->end - figures->first - figures->usable - figures->reserved;
}

void cmd_map_remarks(const struct simulated_machine *machine,
                     struct remark remarks[CMD_MAP_REMARKS])
{
    const struct quire_boot_plan *plan = &machine->plan->plan;
    struct quire_boot_report report;

    quire_boot_report(&machine->plan->boot, &report);
    const struct remark all[CMD_MAP_REMARKS] = {
        {"firmware_frames", report.firmware, "frames reserved by the firmware: never handed out"},
        {"reserved_frames", report.reserved, "frames reserved for now: the first 2 MiB"},
        {"metadata_frames", plan->metadata_frames, "frames hold the allocator's metadata"},
        {"trimmed_bytes", report.trimmed_bytes, "bytes of memory lost where borders cut a frame"},
        {"slivers", report.refused.slivers, "regions ignored: memory without one whole frame"},
        {"refused_regions",
         (uint64_t)report.refused.empty + report.refused.wrapping + report.refused.beyond,
         "regions refused: empty, or beyond 2^52"},
        {"unplaced_regions", report.refused.full, "regions lost: no room in the boot map"},
        {"nodeless_frames", report.nodeless,
         "frames whose node the map does not tell: counted to node 0"},
        {"disputed_frames", report.disputed, "frames that two nodes have: the lower one has them"},
        {"shared_frames", plan->shared_frames,
         "free frames out of use in border blocks that belong to another zone"},
        {"shared_blocks", plan->shared_blocks, "blocks that two nodes or purposes share"},
        {"zoneless_frames", plan->zoneless_frames,
         "frames in no zone: no zone has a free frame there"},
        {"huge_missing_bytes", plan->huge_missing,
         "bytes asked for huge pages that no whole free block was left for"},
        {"remote_metadata_zones", plan->remote_metadata,
         "zones whose metadata had to go to another node"},
    };
    memcpy(remarks, all, sizeof(all));
}

const char *cmd_map_word(const struct quire_boot_region *region)
{
    static const char *const uses[] = {
        [QUIRE_BOOT_RESERVED] = "reserved",
        [QUIRE_BOOT_TAKEN] = "taken",
        [QUIRE_BOOT_METADATA] = "metadata",
    };

    if (region->kind == QUIRE_BOOT_FIRMWARE)
        return "firmware";
    if (region->use != QUIRE_BOOT_FREE)
        return uses[region->use];
    if (region->shared)
        return "shared";
    return region->kind == QUIRE_BOOT_DEVICE ? "device" : "usable";
}

static void print_regions(const struct simulated_machine *machine)
{
    struct quire_boot_region region;
    char size[16], node[16], zone[16];

    printf("\n%-18s %-18s %10s %-9s %5s %5s\n", "from", "to", "size", "what", "node", "zone");
    for (size_t i = 0; !quire_boot_region(&machine->plan->boot, i, &region); i++) {
        if (region.kind == QUIRE_BOOT_NOTHING)
            continue;
        uint64_t start = quire_phys(region.run.pfn);
        uint64_t bytes = region.run.frames << QUIRE_FRAME_SHIFT;
        snprintf(node, sizeof(node), region.node == QUIRE_NODE_ANY ? "-" : "%u", region.node);
        snprintf(zone, sizeof(zone), region.zone == QUIRE_BOOT_NO_ZONE ? "-" : "%u", region.zone);
        printf("0x%016" PRIx64 " 0x%016" PRIx64 " %10s %-9s %5s %5s%s\n", start, start + bytes - 1,
               cli_bytes(size, sizeof(size), bytes), cmd_map_word(&region), node, zone,
               region.disputed ? "  disputed" : "");
    }
}

static void print_zones(const struct simulated_machine *machine)
{
    const struct quire_boot_plan *plan = &machine->plan->plan;
    struct zone_figures figures;

    printf("\n%4s %4s %-6s %-18s %-18s %12s %9s %12s %10s %-18s %7s\n", "zone", "node", "type",
           "from", "to", "usable", "reserved", "holes", "metadata", "metadata at", "on node");
    for (size_t i = 0; i < plan->zone_count; i++) {
        const struct quire_boot_zone *zone = &plan->zones[i];
        cmd_map_figures(zone, &figures);
        printf("%4zu %4u %-6s 0x%016" PRIx64 " 0x%016" PRIx64 " %12" PRIu64 " %9" PRIu64
               " %12" PRIu64 " %10zu 0x%016" PRIx64 " %7u\n",
               i, zone->node, zone_type_name(zone->config.type), figures.first << QUIRE_FRAME_SHIFT,
               (figures.end << QUIRE_FRAME_SHIFT) - 1, figures.usable, figures.reserved,
               figures.holes, zone->metadata_bytes, zone->metadata_phys, zone->metadata_node);
    }
    printf("frame-to-zone table: %zu bytes at 0x%" PRIx64 " on node %u\n", plan->pfnmap_bytes,
           plan->pfnmap_phys, plan->pfnmap_node);
}

static void print_totals(const struct simulated_machine *machine)
{
    const struct quire_boot_plan *plan = &machine->plan->plan;
    struct remark remarks[CMD_MAP_REMARKS];
    char usable[16], metadata[16];
    uint64_t bytes = plan->usable_frames << QUIRE_FRAME_SHIFT;

    printf("\n%" PRIu64 " usable frames (%s) and %" PRIu64 " reserved ones in %zu zones, metadata "
           "%s (%.4f %%)\n",
           plan->usable_frames, cli_bytes(usable, sizeof(usable), bytes), plan->reserved_frames,
           plan->zone_count, cli_bytes(metadata, sizeof(metadata), machine->metadata_bytes),
           100.0 * (double)machine->metadata_bytes / (double)bytes);
    cmd_map_remarks(machine, remarks);
    for (size_t i = 0; i < CMD_MAP_REMARKS; i++) {
        if (remarks[i].amount)
            printf("%12" PRIu64 " %s\n", remarks[i].amount, remarks[i].why);
    }
}

static int show(const struct options *options, const struct map *map,
                const struct simulated_machine *machine)
{
    if (options->json && strcmp(options->json, "-") == 0)
        return cmd_map_json(options->json, map, machine);
    printf("%s: %s, %zu regions\n", map->source, map->format, map->count);
    if (map->note[0])
        printf("note: %s\n", map->note);
    print_regions(machine);
    print_zones(machine);
    print_totals(machine);
    if (fflush(stdout) != 0) {
        cli_fail("map", "cannot write to standard output: expected it to be open and have room");
        return CLI_FAILED;
    }
    return options->json ? cmd_map_json(options->json, map, machine) : CLI_OK;
}

int cmd_map(int argc, char **argv)
{
    struct options options = {.machine.slots = 8};
    struct map_error error;
    struct simulated_machine machine;
    struct map map;

    int result = read_options(&options, argc, argv);
    if (result)
        return result;
    if (options.help) {
        fputs(help, stdout);
        return CLI_OK;
    }
    if (map_load(&map, options.map, options.flags, &error))
        return cli_fail("map", "%s", error.text);
    result = cli_check_json("map", options.json);
    if (result) {
        map_free(&map);
        return result;
    }
    if (simulated_build(&machine, &map, &options.machine, &error))
        result = cli_fail("map", "%s", error.text);
    else
        result = show(&options, &map, &machine);
    simulated_teardown(&machine);
    map_free(&map);
    return result;
}
