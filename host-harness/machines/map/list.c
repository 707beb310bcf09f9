/* SPDX-License-Identifier: MIT
 *
 * list.c - the reader of plain lists, for maps written by hand or by a script.
 *
 *     # comment
 *     START END KIND [NODE]
 *     START +SIZE KIND [NODE]
 *
 * END is the first byte behind the region. Numbers are bytes, decimal or 0x hexadecimal, with an
 * optional K, M, G or T. KIND is a word of the table below. NODE is decimal;
 * left out, the map does not say on which node the region is.
 */
#include "reader.h"

#include <inttypes.h>

static const char pattern[] = "START END|+SIZE KIND [NODE]";

static const struct {
    const char *name;
    enum map_kind kind;
} kinds[] = {
    {"usable", MAP_USABLE}, {"reserved", MAP_RESERVED}, {"acpi", MAP_ACPI_DATA},
    {"nvs", MAP_ACPI_NVS},  {"unusable", MAP_UNUSABLE}, {"persistent", MAP_PERSISTENT},
    {"device", MAP_DEVICE},
};

static int read_number(struct map_input *input, struct map_span word, uint64_t *bytes)
{
    char shown[MAP_SHOWN];

    if (word.at == word.end)
        return map_fail(input, "truncated line: expected \"%s\"", pattern);
    switch (map_size(word, bytes)) {
    case MAP_NUMBER_OK:
        return 0;
    case MAP_NUMBER_TOO_BIG:
        return map_fail(input, "\"%s\" does not fit 64 bits: expected at most 2^52 bytes",
                        map_show(word, shown));
    case MAP_NUMBER_NONE:
    default:
        return map_fail(input,
                        "\"%s\" is not a number of bytes: expected digits or 0x and hex digits, "
                        "then K, M, G, T or nothing, in \"%s\"",
                        map_show(word, shown), pattern);
    }
}

static int read_kind(struct map_input *input, struct map_span word, enum map_kind *kind)
{
    char shown[MAP_SHOWN];

    if (word.at == word.end)
        return map_fail(input, "truncated line: expected \"%s\"", pattern);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (map_span_is(word, kinds[i].name)) {
            *kind = kinds[i].kind;
            return 0;
        }
    }
    return map_fail(input,
                    "unknown kind of memory \"%s\": expected usable, reserved, acpi, nvs, "
                    "unusable, persistent or device",
                    map_show(word, shown));
}

static int read_node(struct map_input *input, struct map_span word, uint32_t *node)
{
    char shown[MAP_SHOWN];
    struct map_span text = word;
    uint64_t number = 0;

    if (word.at == word.end)
        return 0;
    if (map_digits(&text, 10, &number) != MAP_NUMBER_OK || text.at != text.end ||
        number >= MAP_NODES)
        return map_fail(input, "\"%s\" is not a node: expected 0 to %d", map_show(word, shown),
                        MAP_NODES - 1);
    *node = (uint32_t)number;
    return 0;
}

static int read_line(struct map *map, struct map_input *input, struct map_span text)
{
    struct map_region region = {.node = MAP_NODE_ANY, .line = input->line};
    char shown[MAP_SHOWN];

    if (read_number(input, map_word(&text), &region.start))
        return -1;
    struct map_span end = map_word(&text);
    bool is_size = map_skip(&end, "+");
    if (read_number(input, end, &region.end))
        return -1;
    if (is_size && __builtin_add_overflow(region.start, region.end, &region.end))
        return map_fail(input, "START + SIZE does not fit 64 bits: expected at most 2^52 bytes");
    if (read_kind(input, map_word(&text), &region.kind) ||
        read_node(input, map_word(&text), &region.node))
        return -1;
    struct map_span extra = map_word(&text);
    if (extra.at != extra.end)
        return map_fail(input, "unexpected \"%s\" at the end: expected \"%s\"",
                        map_show(extra, shown), pattern);
    if (region.end <= region.start)
        return map_fail(input,
                        "the region ends at 0x%" PRIx64 ", not above its start 0x%" PRIx64
                        ": expected START < END (the first byte behind it)",
                        region.end, region.start);
    return map_add(map, input, &region);
}

int map_read_list(struct map *map, struct map_input *input)
{
    struct map_span line;

    while (map_next_line(input, &line)) {
        struct map_span rest = line;
        if (map_find(&rest, "#"))
            line.end = rest.at - 1;
        map_skip_blanks(&line);
        if (line.at < line.end && read_line(map, input, line))
            return -1;
    }
    return 0;
}
