/* SPDX-License-Identifier: MIT
 *
 * iomem.c - the reader of /proc/iomem, live or saved.
 *
 * Its lines are "START-END : NAME", hexadecimal and inclusive, indented by nesting. Memory appears
 * under a few names at any depth (a CXL device's memory lies inside of the device); all other lines
 * are devices and their windows, or say what the running kernel put where, and are passed over.
 *
 * Where lines with such a name lie in each other, the innermost one decides: memory that a driver
 * gave to the kernel is memory, whatever it was before. What lies in what is told by the addresses,
 * for copies may have lost their indentation; a line stands behind those around it.
 */
#include "reader.h"

#include <inttypes.h>

static const struct {
    const char *name;
    enum map_kind kind;
} kinds[] = {
    {"System RAM", MAP_USABLE},
    {"Reserved", MAP_RESERVED},
    {"reserved", MAP_RESERVED}, /* arm64 */
    {"Soft Reserved", MAP_RESERVED},
    {"Unknown E820 type", MAP_RESERVED},
    {"ACPI Tables", MAP_ACPI_DATA},
    {"ACPI Non-volatile Storage", MAP_ACPI_NVS},
    {"Unusable memory", MAP_UNUSABLE},
    {"Persistent Memory", MAP_PERSISTENT},
    {"Persistent Memory (legacy)", MAP_PERSISTENT},
};

static bool find_kind(struct map_span name, enum map_kind *kind)
{
    struct map_span rest = name;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (map_span_is(name, kinds[i].name)) {
            *kind = kinds[i].kind;
            return true;
        }
    }
    /* "System RAM (kmem)": memory that a driver gave to the kernel. But a boot alias is memory that
     * another line has at its real address. */
    *kind = MAP_USABLE;
    return map_skip(&rest, "System RAM (") && !map_span_is(rest, "boot alias)");
}

/* Add a region, cut out of the innermost one around it. */
static int add_innermost(struct map *map, struct map_input *input, const struct map_region *inner)
{
    size_t i = map->count;

    if (inner->end > MAP_PHYS_LIMIT)
        return map_add(map, input, inner); /* which refuses it */
    if (map_compare(input))
        return -1;
    while (i > 0 &&
           (map->regions[i - 1].start > inner->start || map->regions[i - 1].end < inner->end))
        i--;
    if (i == 0)
        return map_add(map, input, inner);
    struct map_region *outer = &map->regions[i - 1];
    struct map_region behind = *outer;
    if (outer->kind == inner->kind)
        return 0;
    behind.start = inner->end;
    if (outer->start == inner->start) {
        *outer = *inner;
    } else {
        outer->end = inner->start;
        if (map_add(map, input, inner))
            return -1;
    }
    return behind.start < behind.end ? map_add(map, input, &behind) : 0;
}

static int read_line(struct map *map, struct map_input *input, struct map_span text)
{
    struct map_region region = {.node = MAP_NODE_ANY, .line = input->line};
    enum map_number start, end = MAP_NUMBER_NONE;

    start = map_digits(&text, 16, &region.start);
    if (start == MAP_NUMBER_OK && map_skip(&text, "-"))
        end = map_digits(&text, 16, &region.end);
    if (start == MAP_NUMBER_TOO_BIG || end == MAP_NUMBER_TOO_BIG)
        return map_fail(input, "an address does not fit 64 bits: expected at most 16 hex digits");
    if (end != MAP_NUMBER_OK || !map_skip(&text, " : ") || text.at == text.end)
        return map_fail(input, "truncated or damaged line: expected \"START-END : NAME\" with "
                               "hexadecimal addresses");
    if (!find_kind(text, &region.kind))
        return 0;
    if (region.kind == MAP_USABLE && region.end == 0)
        return map_fail(input, "all addresses are zero, because the kernel hides them from "
                               "processes without CAP_SYS_ADMIN: expected the file as root sees "
                               "it (sudo cat /proc/iomem)");
    if (region.end < region.start)
        return map_fail(input,
                        "the range ends at 0x%" PRIx64 ", below its start 0x%" PRIx64
                        ": expected START <= END",
                        region.end, region.start);
    if (region.end != UINT64_MAX) /* which map_add refuses */
        region.end++;
    return add_innermost(map, input, &region);
}

int map_read_iomem(struct map *map, struct map_input *input)
{
    struct map_span line;

    while (map_next_line(input, &line)) {
        map_skip_blanks(&line);
        if (line.at < line.end && read_line(map, input, line))
            return -1;
    }
    return 0;
}
