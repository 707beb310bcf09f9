/* SPDX-License-Identifier: MIT
 *
 * bootlog.c - the reader of Linux boot logs.
 *
 * Of all the lines of a log, with or without time stamps, these four say where memory is; they are
 * read in the log's order and everything else is passed over:
 *
 *     BIOS-e820: [mem 0x0000000000100000-0x00000000760f1fff] usable
 *     e820: update [mem 0x00000000-0x00000fff] usable ==> reserved
 *     e820: remove [mem 0x000a0000-0x000fffff] usable
 *     ACPI: SRAT: Node 1 PXM 1 [mem 0x400100000000-0x403fffffffff] hotplug
 *
 * The firmware's map (e820) decides the kind of memory, the affinity table (SRAT) its node. A log
 * with SRAT lines alone, as from machines that have no e820, counts every range as usable, save
 * hot-plug windows and non-volatile memory.
 */
#include "reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    enum map_kind kind;
} kinds[] = {
    {"usable", MAP_USABLE},
    {"reserved", MAP_RESERVED},
    {"soft reserved", MAP_RESERVED},
    {"ACPI data", MAP_ACPI_DATA},
    {"ACPI NVS", MAP_ACPI_NVS},
    {"unusable", MAP_UNUSABLE},
    {"persistent (type 7)", MAP_PERSISTENT},
    {"persistent (type 12)", MAP_PERSISTENT},
};

/* Linux prints a type it has no word for as "type N", and leaves such memory alone. */
static bool is_numbered_type(struct map_span text)
{
    uint64_t number;

    return map_skip(&text, "type ") && map_digits(&text, 10, &number) == MAP_NUMBER_OK &&
           text.at == text.end;
}

static int read_kind(struct map_input *input, struct map_span text, enum map_kind *kind)
{
    char shown[MAP_SHOWN];

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (map_span_is(text, kinds[i].name)) {
            *kind = kinds[i].kind;
            return 0;
        }
    }
    if (is_numbered_type(text)) {
        *kind = MAP_RESERVED;
        return 0;
    }
    return map_fail(input,
                    "unknown kind of memory \"%s\": expected usable, reserved, soft reserved, "
                    "ACPI data, ACPI NVS, unusable, persistent (type 7), or type N",
                    map_show(text, shown));
}

/* "[mem 0xSTART-0xEND]", END being the last byte, and blanks behind it. */
static int read_range(struct map_input *input, struct map_span *text, const char *pattern,
                      struct map_region *region)
{
    enum map_number start = MAP_NUMBER_NONE, end = MAP_NUMBER_NONE;
    bool whole = map_skip(text, "[mem 0x") &&
                 (start = map_digits(text, 16, &region->start)) == MAP_NUMBER_OK &&
                 map_skip(text, "-0x") &&
                 (end = map_digits(text, 16, &region->end)) == MAP_NUMBER_OK && map_skip(text, "]");

    if (start == MAP_NUMBER_TOO_BIG || end == MAP_NUMBER_TOO_BIG)
        return map_fail(input, "an address does not fit 64 bits: expected at most 16 hex digits");
    if (!whole)
        return map_fail(input, "truncated or damaged line: expected \"%s\"", pattern);
    if (region->end < region->start)
        return map_fail(input,
                        "the range ends at 0x%" PRIx64 ", below its start 0x%" PRIx64
                        ": expected START <= END",
                        region->end, region->start);
    if (region->end != UINT64_MAX) /* which map_add refuses */
        region->end++;
    map_skip_blanks(text);
    return 0;
}

static int read_e820(struct map *map, struct map_input *input, struct map_span text)
{
    struct map_region region = {.node = MAP_NODE_ANY, .line = input->line};

    if (read_range(input, &text, "BIOS-e820: [mem 0xSTART-0xEND] KIND", &region) ||
        read_kind(input, text, &region.kind))
        return -1;
    return map_add(map, input, &region);
}

/* A change of the map that Linux made itself: what lies in `range` and is of kind `from` becomes
 * `to`, or vanishes. */
struct change {
    struct map_region range;
    enum map_kind from, to;
    bool any_kind, vanish;
};

static int apply_change(struct map *map, struct map_input *input, const struct change *change)
{
    size_t count = map->count, kept = 0;
    bool changed = false;

    for (size_t i = 0; i < count; i++) {
        struct map_region old = map->regions[i];
        struct map_region inner = old;
        if (inner.start < change->range.start)
            inner.start = change->range.start;
        if (inner.end > change->range.end)
            inner.end = change->range.end;
        if (inner.start >= inner.end || (!change->any_kind && old.kind != change->from))
            continue;
        changed = true;
        inner.kind = change->to;
        inner.line = change->range.line;
        /* What is left before and behind stays as it was; an empty region is swept out below. */
        struct map_region behind = old;
        behind.start = inner.end;
        map->regions[i].end = inner.start;
        if (!change->vanish && map_add(map, input, &inner))
            return -1;
        if (behind.start < behind.end && map_add(map, input, &behind))
            return -1;
    }
    if (!changed)
        return 0;
    for (size_t i = 0; i < map->count; i++) {
        if (map->regions[i].start < map->regions[i].end)
            map->regions[kept++] = map->regions[i];
    }
    map->count = kept;
    return 0;
}

static int read_update(struct map *map, struct map_input *input, struct map_span text)
{
    static const char pattern[] = "e820: update [mem 0xSTART-0xEND] KIND ==> KIND";
    struct change change = {.range.line = input->line};

    if (read_range(input, &text, pattern, &change.range))
        return -1;
    struct map_span to = text;
    if (!map_find(&to, " ==> "))
        return map_fail(input, "truncated or damaged line: expected \"%s\"", pattern);
    struct map_span from = {text.at, to.at - 5};
    if (read_kind(input, from, &change.from) || read_kind(input, to, &change.to))
        return -1;
    return apply_change(map, input, &change);
}

static int read_remove(struct map *map, struct map_input *input, struct map_span text)
{
    struct change change = {.range.line = input->line, .vanish = true};

    if (read_range(input, &text, "e820: remove [mem 0xSTART-0xEND] KIND", &change.range))
        return -1;
    change.any_kind = text.at == text.end;
    if (!change.any_kind && read_kind(input, text, &change.from))
        return -1;
    return apply_change(map, input, &change);
}

static int read_srat(struct map *ranges, struct map_input *input, struct map_span text)
{
    static const char pattern[] = "SRAT: Node N PXM P [mem 0xSTART-0xEND]";
    struct map_region region = {.line = input->line};
    uint64_t node, domain;

    if (map_digits(&text, 10, &node) != MAP_NUMBER_OK || !map_skip(&text, " PXM ") ||
        map_digits(&text, 10, &domain) != MAP_NUMBER_OK || !map_skip(&text, " "))
        return map_fail(input, "truncated or damaged line: expected \"%s\"", pattern);
    if (node >= MAP_NODES)
        return map_fail(input, "node %" PRIu64 " is too high: expected 0 to %d", node,
                        MAP_NODES - 1);
    if (read_range(input, &text, pattern, &region))
        return -1;
    region.node = (uint32_t)node;
    if (map_skip(&text, "hotplug"))
        region.kind = MAP_NODE_ONLY; /* a window: nobody says whether it is filled */
    map_skip_blanks(&text);
    if (map_skip(&text, "non-volatile"))
        region.kind = MAP_PERSISTENT;
    if (text.at != text.end)
        return map_fail(input,
                        "unexpected text at the end: expected \"%s\", \"hotplug\" or "
                        "\"non-volatile\" behind it at most",
                        pattern);
    return map_add(ranges, input, &region);
}

/* Join what both tables say. With a firmware's map the affinity table only says nodes. */
static int merge(struct map *map, struct map_input *input, const struct map *ranges)
{
    bool has_e820 = map->count != 0;
    size_t windows = 0;

    for (size_t i = 0; i < ranges->count; i++) {
        struct map_region region = ranges->regions[i];
        windows += region.kind == MAP_NODE_ONLY;
        if (has_e820)
            region.kind = MAP_NODE_ONLY;
        input->line = region.line;
        if (map_add(map, input, &region))
            return -1;
    }
    if (windows && !has_e820)
        snprintf(
            map->note, sizeof(map->note),
            "hot-plug windows left out: %zu, for without BIOS-e820 lines nobody says what is there",
            windows);
    return 0;
}

/* Is a line that has no end, and is none of the four, the beginning of one: was the file cut off in
 * it, or in the time stamp before it? */
static bool is_cut_off(const struct map_input *input, struct map_span line)
{
    static const char *const starts[] = {"BIOS-e820: ", "e820: update ", "e820: remove ",
                                         "ACPI: SRAT: Node "};
    bool stamped = map_skip(&line, "[");

    if (input->rest.at != input->rest.end || input->rest.at[-1] == '\n')
        return false;
    if (stamped && !map_find(&line, "]"))
        return true;
    map_skip_blanks(&line);
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        size_t length = (size_t)(line.end - line.at);

        if ((stamped || length) && length < strlen(starts[i]) &&
            memcmp(line.at, starts[i], length) == 0)
            return true;
    }
    return false;
}

static int read_line(struct map *map, struct map *ranges, struct map_input *input,
                     struct map_span line)
{
    struct map_span text = line;

    if (map_find(&text, "BIOS-e820: "))
        return read_e820(map, input, text);
    if (map_find(&text, "e820: update "))
        return read_update(map, input, text);
    if (map_find(&text, "e820: remove "))
        return read_remove(map, input, text);
    if (map_find(&text, "SRAT: Node "))
        return read_srat(ranges, input, text);
    if (map_find(&text, "BIOS-provided physical RAM map:") && map->count)
        return map_fail(input, "a second boot starts here: expected the log of one boot");
    if (is_cut_off(input, line))
        return map_fail(input, "truncated line at the end: expected the whole log, or its last "
                               "line to end");
    return 0;
}

int map_read_bootlog(struct map *map, struct map_input *input)
{
    struct map ranges = {0};
    struct map_span line;
    int result = 0;

    while (!result && map_next_line(input, &line))
        result = read_line(map, &ranges, input, line);
    if (!result)
        result = merge(map, input, &ranges);
    map_free(&ranges);
    return result;
}
