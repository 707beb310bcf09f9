/* SPDX-License-Identifier: MIT
 *
 * map.c - a map in memory, and the choice of its reader (see map.h for the invariants).
 */
#include "reader.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *map_kind_name(enum map_kind kind)
{
    static const char *const names[MAP_KINDS] = {
        "usable",   "reserved",   "ACPI data", "ACPI NVS",
        "unusable", "persistent", "device",    "node only",
    };
    return names[kind];
}

void map_free(struct map *map)
{
    free(map->regions);
    memset(map, 0, sizeof(*map));
}

int map_add(struct map *map, struct map_input *input, const struct map_region *region)
{
    if (region->end > MAP_PHYS_LIMIT)
        return map_fail(input, "the region reaches above 2^52: expected physical addresses below "
                               "0x10000000000000");
    if (map->count == MAP_MAX_REGIONS)
        return map_fail(input, "more than %d regions: expected no more", MAP_MAX_REGIONS);
    /* Room doubles at every power of two, so that no capacity needs to be kept. */
    if ((map->count & (map->count - 1)) == 0) {
        size_t room = map->count ? 2 * map->count : 1;
        struct map_region *grown = realloc(map->regions, room * sizeof(*grown));
        if (!grown)
            return map_fail(input, "no memory for %zu regions", room);
        map->regions = grown;
    }
    map->regions[map->count++] = *region;
    return 0;
}

int map_compare(struct map_input *input)
{
    if (input->compared++ < MAP_MAX_COMPARED)
        return 0;
    return map_fail(input, "more than %d ranges to compare with others: expected no more",
                    MAP_MAX_COMPARED);
}

static int by_start(const void *a, const void *b)
{
    const struct map_region *left = a, *right = b;

    return (left->start > right->start) - (left->start < right->start);
}

/* Can the region contradict another about the node of a byte? */
static bool says_node(const struct map_region *region)
{
    return region->node != MAP_NODE_ANY &&
           (region->kind == MAP_USABLE || region->kind == MAP_DEVICE ||
            region->kind == MAP_NODE_ONLY);
}

static int node_conflict(struct map_input *input, const struct map_region *a,
                         const struct map_region *b)
{
    const struct map_region *later = a->line > b->line ? a : b;
    const struct map_region *earlier = later == a ? b : a;
    const uint64_t start = a->start > b->start ? a->start : b->start;

    if (map_is_dtb(input->rest)) /* it has no lines; nothing of it was stepped over */
        return map_fail(input,
                        "memory at 0x%" PRIx64 " is on node %u and on node %u: "
                        "expected one node for each byte",
                        start, later->node, earlier->node);
    input->line = later->line;
    return map_fail(input,
                    "memory at 0x%" PRIx64 " is on node %u here, but on node %u by line %u: "
                    "expected one node for each byte",
                    start, later->node, earlier->node, earlier->line);
}

/* MR3. */
static int check_nodes(const struct map *map, struct map_input *input)
{
    struct map_region *sorted = malloc(map->count * sizeof(*sorted) + 1);
    const struct map_region *furthest = sorted;
    size_t count = 0;
    int result = 0;

    if (!sorted)
        return map_fail(input, "no memory for %zu regions", map->count);
    for (size_t i = 0; i < map->count; i++) {
        if (says_node(&map->regions[i]))
            sorted[count++] = map->regions[i];
    }
    qsort(sorted, count, sizeof(*sorted), by_start);
    /* Comparing with the region that reaches furthest is enough: one that overlaps an earlier,
     * shorter region overlaps the furthest too, and these two were compared with each other. */
    for (size_t i = 1; i < count && !result; i++) {
        const struct map_region *here = &sorted[i];
        if (here->start < furthest->end && here->node != furthest->node)
            result = node_conflict(input, here, furthest);
        if (here->end > furthest->end)
            furthest = here;
    }
    free(sorted);
    return result;
}

/* Memory of one kind and node together, by address. */
static int by_memory(const void *a, const void *b)
{
    const struct map_region *left = *(struct map_region *const *)a;
    const struct map_region *right = *(struct map_region *const *)b;

    if (left->kind != right->kind)
        return left->kind < right->kind ? -1 : 1;
    if (left->node != right->node)
        return left->node < right->node ? -1 : 1;
    return by_start(left, right);
}

/* `behind` does not start before `region`: do they meet or overlap with a page in two pieces? */
static bool divide_page(const struct map_region *region, const struct map_region *behind)
{
    return behind->kind == region->kind && behind->node == region->node &&
           behind->start <= region->end &&
           (behind->start % MAP_PAGE != 0 || region->end % MAP_PAGE != 0);
}

static void sweep_out_empty(struct map *map)
{
    size_t kept = 0;

    for (size_t i = 0; i < map->count; i++) {
        if (map->regions[i].start < map->regions[i].end)
            map->regions[kept++] = map->regions[i];
    }
    map->count = kept;
}

int map_join(struct map *map)
{
    struct map_region **sorted = malloc(map->count * sizeof(struct map_region *) + 1);
    size_t count = 0;

    if (!sorted)
        return -1;
    for (size_t i = 0; i < map->count; i++) {
        if (map->regions[i].kind == MAP_USABLE || map->regions[i].kind == MAP_DEVICE)
            sorted[count++] = &map->regions[i];
    }
    qsort(sorted, count, sizeof(struct map_region *), by_memory);
    for (size_t i = 1, last = 0; i < count; i++) {
        if (!divide_page(sorted[last], sorted[i])) {
            last = i;
            continue;
        }
        if (sorted[i]->end > sorted[last]->end)
            sorted[last]->end = sorted[i]->end;
        sorted[i]->end = sorted[i]->start;
    }
    free(sorted);
    sweep_out_empty(map);
    return 0;
}

static int check_usable(const struct map *map, struct map_input *input)
{
    input->line = 0;
    for (size_t i = 0; i < map->count; i++) {
        if (map->regions[i].kind == MAP_USABLE)
            return 0;
    }
    return map_fail(input, "none of its %zu regions is usable memory: expected at least one",
                    map->count);
}

static bool skip_hex(struct map_span *span)
{
    const char *start = span->at;

    while (span->at < span->end && isxdigit((unsigned char)*span->at))
        span->at++;
    return span->at > start;
}

/* Does the line start as one of /proc/iomem? */
static bool is_iomem(struct map_span line)
{
    return skip_hex(&line) && map_skip(&line, "-") && skip_hex(&line);
}

/* The first line that is neither empty nor a comment. */
static bool first_content(struct map_input input, struct map_span *line, uint32_t *number)
{
    while (map_next_line(&input, line)) {
        map_skip_blanks(line);
        if (line->at < line->end && *line->at != '#') {
            *number = input.line;
            return true;
        }
    }
    return false;
}

#define EXPECTED                                                                                 \
    "expected a boot log with \"BIOS-e820: [mem ...]\" or \"SRAT: Node\" lines, /proc/iomem, a " \
    "device tree, or a list of \"START END KIND [NODE]\""

static int read_any(struct map *map, struct map_input *input)
{
    struct map_span line;
    uint32_t number = 0;

    if (map_is_dtb(input->rest)) {
        map->format = "device tree";
        return map_read_dtb(map, input);
    }
    if (map_is_bootlog(input->rest)) {
        map->format = "boot log";
        return map_read_bootlog(map, input);
    }
    if (!first_content(*input, &line, &number))
        return map_fail(input, "no map lines: " EXPECTED);
    if (is_iomem(line)) {
        map->format = "/proc/iomem";
        return map_read_iomem(map, input);
    }
    if (*line.at < '0' || *line.at > '9') {
        input->line = number;
        return map_fail(input, "no map lines, and this is not one: " EXPECTED);
    }
    map->format = "list";
    return map_read_list(map, input);
}

/* Binary data, unless it is a device tree, is refused before anything else; the error names the
 * line of the first NUL. */
static int check_text(const struct map_input *given)
{
    struct map_input input = *given;
    struct map_span line;

    if (input.rest.at == input.rest.end)
        return map_fail(&input, "empty: " EXPECTED);
    if (map_is_dtb(input.rest))
        return 0;
    while (map_next_line(&input, &line)) {
        if (memchr(line.at, 0, (size_t)(line.end - line.at)))
            return map_fail(&input, "binary data: " EXPECTED);
    }
    return 0;
}

int map_parse(struct map *map, const char *name, const char *text, size_t bytes, unsigned flags,
              struct map_error *error)
{
    struct map_input input = {
        name, {text, text + bytes}, 0, error, 0, (flags & MAP_STRICT) != 0,
    };

    memset(map, 0, sizeof(*map));
    snprintf(map->source, sizeof(map->source), "%.400s", name);
    if (bytes > MAP_MAX_BYTES)
        return map_fail(&input, "longer than %d MiB: expected the boot's part of the log",
                        MAP_MAX_BYTES >> 20);
    int result = check_text(&input) || read_any(map, &input) || check_usable(map, &input) ||
                 check_nodes(map, &input);
    if (!result && map_join(map))
        result = map_fail(&input, "no memory for %zu regions", map->count);
    if (result)
        map_free(map);
    return result ? -1 : 0;
}
