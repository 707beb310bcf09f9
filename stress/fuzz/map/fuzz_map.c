/* SPDX-License-Identifier: MIT
 *
 * fuzz_map.c - any bytes as a memory map: the readers must not crash, and must either refuse with
 * one printable line or give a map that keeps the invariants MR1 to MR4 of map.h.
 */
#include "host-harness/machines/map/map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

static void broken(const char *condition, int line)
{
    fprintf(stderr, "fuzz_map.c:%d: broken: %s\n", line, condition);
    abort();
}

static void check_refusal(const struct map *map, const struct map_error *error)
{
    REQUIRE(map->regions == NULL && map->count == 0);
    REQUIRE(strncmp(error->text, "fuzz:", 5) == 0);
    REQUIRE(strstr(error->text, "expected") != NULL);
    for (const char *c = error->text; *c; c++)
        REQUIRE(*c >= ' ' && *c <= '~');
}

static bool says_node(const struct map_region *region)
{
    return region->node != MAP_NODE_ANY &&
           (region->kind == MAP_USABLE || region->kind == MAP_DEVICE ||
            region->kind == MAP_NODE_ONLY);
}

static void check_overlap(const struct map_region *a, const struct map_region *b)
{
    bool apart = a->end <= b->start || b->end <= a->start;

    REQUIRE(apart || !says_node(a) || !says_node(b) || a->node == b->node);
}

static void check_map(const struct map *map)
{
    size_t usable = 0;

    REQUIRE(map->format != NULL && map->count <= MAP_MAX_REGIONS);
    for (size_t i = 0; i < map->count; i++) {
        const struct map_region *region = &map->regions[i];
        REQUIRE(region->start < region->end && region->end <= MAP_PHYS_LIMIT);
        REQUIRE(region->node < MAP_NODES || region->node == MAP_NODE_ANY);
        REQUIRE((unsigned)region->kind < MAP_KINDS && region->line >= 1);
        usable += region->kind == MAP_USABLE;
        for (size_t j = 0; j < i; j++)
            check_overlap(region, &map->regions[j]);
    }
    REQUIRE(usable >= 1);
    for (const char *c = map->note; *c; c++)
        REQUIRE(*c >= ' ' && *c <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct map_error error = {""};
    struct map map;

    if (map_parse(&map, "fuzz", (const char *)data, size, 0, &error))
        check_refusal(&map, &error);
    else
        check_map(&map);
    map_free(&map);
    return 0;
}
