/* SPDX-License-Identifier: MIT
 *
 * report.c - the zones' part of the report: the table, and the same as JSON. See load/report.h for
 * state and callers.
 */
#include "host-harness/load/report.h"

#include "zone.h"

#include <cjson/cJSON.h>
#include <inttypes.h>

/* ---- The table ------------------------------------------------------------------------------- */

static void print_zones(FILE *out, const struct load *load)
{
    char text[32];

    report_say(out,
               "\nzone node type        frames    ballast      min      low     high  metadata\n");
    for (size_t z = 0; z < load->machine.zone_count; z++) {
        const struct simulated_zone *from = &load->machine.zones[z];
        const struct load_zone *zone = &load->zones[z];

        report_say(out,
                   "%4zu %4u %-6s %11" PRIu64 " %10" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64
                   " %9s\n",
                   z, from->node, zone_type_name(from->type), zone->before.managed,
                   zone->set_aside_frames, zone->before.min, zone->before.low, zone->before.high,
                   cli_bytes(text, sizeof(text), from->metadata_bytes));
    }
}

static void print_fragmentation(FILE *out, const struct load *load)
{
    static const unsigned orders[] = {1, 3, 6, 9, 10};

    report_say(out,
               "\nfragmentation when the threads ended, all still held; unusable: the share of "
               "free frames\nthat lies in runs below the order\n");
    report_say(out, "zone       free  whole blocks  split blocks  largest run  pressure");
    for (unsigned i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
        report_say(out, " %*s%u", i < 4 ? 4 : 3, "o", orders[i]);
    report_say(out, "\n");
    for (size_t z = 0; z < load->machine.zone_count; z++) {
        const struct quire_zone_stats *stats = &load->zones[z].loaded;

        report_say(out, "%4zu %10" PRIu64 " %13" PRIu64 " %13" PRIu64 " %12" PRIu64 " %9u", z,
                   stats->free, stats->whole_free_blocks, stats->split_blocks, stats->largest_run,
                   load->zones[z].loaded_pressure);
        for (unsigned i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
            report_say(out, " %4.1f%%", stats->unusable[orders[i]] / 10.0);
        report_say(out, "\n");
    }
}

void zone_print(FILE *out, struct load *load, const struct load_sums *sums)
{
    print_zones(out, load);
    report_print_load(out, load, sums);
    print_fragmentation(out, load);
    report_print_checks(out, load, sums);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static const char *const count_names[QUIRE_COUNTS] = {
    "home",     "split", "whole",  "steal",     "last_pass",
    "rollback", "retry", "gather", "withdrawn", "revoked",
};

static void add_fragmentation(cJSON *to, const struct load_zone *zone)
{
    const struct quire_zone_stats *stats = &zone->loaded;
    cJSON *object = cJSON_AddObjectToObject(to, "loaded");
    uint64_t unusable[QUIRE_MAX_ORDER + 1];

    for (unsigned i = 0; i <= QUIRE_MAX_ORDER; i++)
        unusable[i] = stats->unusable[i];
    report_number(object, "free", stats->free);
    report_number(object, "pressure", zone->loaded_pressure);
    report_number(object, "largest_run", stats->largest_run);
    report_number(object, "whole_free_blocks", stats->whole_free_blocks);
    report_number(object, "split_blocks", stats->split_blocks);
    report_numbers(object, "free_runs_by_order", stats->free_runs, QUIRE_MAX_ORDER + 1);
    report_numbers(object, "unusable_thousandths_by_order", unusable, QUIRE_MAX_ORDER + 1);
}

static void add_zone(cJSON *zones, const struct load *load, size_t z)
{
    const struct simulated_zone *from = &load->machine.zones[z];
    const struct load_zone *zone = &load->zones[z];
    const struct quire_zone_stats *stats = &zone->loaded;
    cJSON *object = cJSON_CreateObject();
    cJSON *counts;

    cJSON_AddItemToArray(zones, object);
    report_number(object, "zone", z);
    report_number(object, "node", from->node);
    cJSON_AddStringToObject(object, "type", zone_type_name(from->type));
    report_number(object, "managed", zone->before.managed);
    report_number(object, "reserved", zone->before.reserved);
    report_number(object, "ballast", zone->set_aside_frames);
    report_number(object, "min", zone->before.min);
    report_number(object, "low", zone->before.low);
    report_number(object, "high", zone->before.high);
    report_number(object, "metadata_bytes", from->metadata_bytes);
    add_fragmentation(object, zone);
    report_events(object, stats->events);
    report_errors(object, "errors", stats->errors);
    counts = cJSON_AddObjectToObject(object, "counts");
    for (unsigned i = 0; i < QUIRE_COUNTS; i++)
        report_number(counts, count_names[i], stats->counts[i]);
}

bool zone_json(struct cJSON *root, struct load *load)
{
    cJSON *zones = cJSON_AddArrayToObject(root, "zones");

    for (size_t z = 0; z < load->machine.zone_count; z++)
        add_zone(zones, load, z);
    return zones != NULL;
}
