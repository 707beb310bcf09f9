/* SPDX-License-Identifier: MIT
 *
 * device_tree.c - the memory map in a flattened device tree: memory nodes, less what the tree says
 * is in use: /memreserve/, the children of /reserved-memory that have an address, the initial
 * ramdisk, the crashed kernel's core header. A crash kernel may use linux,usable-memory-range
 * alone: all other memory is the crashed one's, and none here.
 *
 * A tree does not say where it lies itself, nor where the kernel does; whoever loaded it knows (see
 * map_load). Reserved is reserved, whether an operating system may map it or even use it for the
 * time being: Quire would have to know whose it is to give it back in time.
 *
 * There are no lines in a tree: entries are counted instead.
 */
#include "host-harness/machines/dtb.h"
#include "reader.h"

#include <inttypes.h>
#include <libfdt.h>

enum { USABLE_RANGES = 16 }; /* Linux reads two */

struct reader {
    struct dtb dtb;
    struct map *map;
    struct map_input *input;
    uint64_t unplaced; /* bytes that are to be reserved, the tree does not say where */
    int asked;         /* the node of the tree that has been asked for the next; 0 at first */
    bool associative;  /* nodes are told in a way that is not read */
    struct {
        uint64_t start, end;
    } usable[USABLE_RANGES]; /* memory is only there; everywhere if there is none of them */
    size_t usable_count;
};

bool map_is_dtb(struct map_span text)
{
    return map_skip(&text, "\xd0\x0d\xfe\xed");
}

static int add(struct reader *reader, uint64_t start, uint64_t end, enum map_kind kind,
               uint32_t node)
{
    struct map_region region = {start, end, kind, node, ++reader->input->line};

    return map_add(reader->map, reader->input, &region);
}

/* Memory that another node has already, which costs it, and a note. */
static bool is_taken(const struct reader *reader, uint64_t start, uint64_t end, uint32_t id)
{
    const struct map *map = reader->map;

    for (size_t i = 0; i < map->count && !reader->input->strict; i++) {
        const struct map_region *other = &map->regions[i];

        if (id == MAP_NODE_ANY || other->node == MAP_NODE_ANY || other->node == id ||
            other->start >= end || start >= other->end)
            continue;
        map_note(reader->map,
                 "memory of node %" PRIu32 " at 0x%" PRIx64 " is passed over: node %" PRIu32
                 " has it",
                 id, start, other->node);
        return true;
    }
    return false;
}

static int add_usable(struct reader *reader, uint64_t start, uint64_t end, uint32_t id)
{
    if (map_compare(reader->input))
        return -1;
    return is_taken(reader, start, end, id) ? 0 : add(reader, start, end, MAP_USABLE, id);
}

static int add_memory(void *ctx, int node, uint64_t start, uint64_t bytes, uint32_t id)
{
    struct reader *reader = ctx;
    uint64_t end = start + bytes;

    if (node != reader->asked) /* once, however many stretches it has */
        reader->associative |=
            id == MAP_NODE_ANY &&
            (fdt_getprop(reader->dtb.tree, node, "ibm,associativity", NULL) ||
             fdt_getprop(reader->dtb.tree, node, "ibm,associativity-lookup-arrays", NULL));
    reader->asked = node;
    if (reader->usable_count == 0)
        return add_usable(reader, start, end, id);
    for (size_t i = 0; i < reader->usable_count; i++) {
        uint64_t from = start > reader->usable[i].start ? start : reader->usable[i].start;
        uint64_t to = end < reader->usable[i].end ? end : reader->usable[i].end;

        if (from < to && add_usable(reader, from, to, id))
            return -1;
    }
    return 0;
}

static int add_usable_range(void *ctx, int node, uint64_t start, uint64_t bytes, uint32_t id)
{
    struct reader *reader = ctx;

    (void)id;
    if (reader->usable_count == USABLE_RANGES)
        return dtb_fail(&reader->dtb, node,
                        "linux,usable-memory-range has more than %d ranges: expected no more",
                        USABLE_RANGES);
    reader->usable[reader->usable_count].start = start;
    reader->usable[reader->usable_count++].end = start + bytes;
    return 0;
}

static int add_reserved(void *ctx, int node, uint64_t start, uint64_t bytes, uint32_t id)
{
    (void)node;
    return add(ctx, start, start + bytes, MAP_RESERVED, id);
}

static int read_memreserve(struct reader *reader)
{
    const struct dtb *dtb = &reader->dtb;
    int count = fdt_num_mem_rsv(dtb->tree);

    for (int i = 0; i < count; i++) {
        uint64_t start, bytes;

        if (fdt_get_mem_rsv(dtb->tree, i, &start, &bytes) != 0 || start > MAP_PHYS_LIMIT ||
            bytes > MAP_PHYS_LIMIT - start)
            return dtb_fail(dtb, -1,
                            "/memreserve/ entry %d reaches above 2^52: expected physical "
                            "addresses below",
                            i);
        if (bytes > 0 && add(reader, start, start + bytes, MAP_RESERVED, MAP_NODE_ANY))
            return -1;
    }
    return 0;
}

/* Memory that is to be set aside anywhere: `size` without `reg`. */
static int read_unplaced(struct reader *reader, int node, unsigned size)
{
    struct dtb_cells cells;
    uint64_t bytes;

    if (size == 0)
        return 0;
    if (dtb_property(&reader->dtb, node, "size", size, &cells))
        return -1;
    if (cells.left > 0 && dtb_number(&cells, size, &bytes) && bytes <= MAP_PHYS_LIMIT)
        reader->unplaced += bytes;
    return 0;
}

static int read_reserved(struct reader *reader)
{
    const struct dtb *dtb = &reader->dtb;
    int parent = fdt_path_offset(dtb->tree, "/reserved-memory"), node;
    unsigned address, size;

    if (parent < 0)
        return 0;
    if (dtb_widths(dtb, parent, &address, &size))
        return -1;
    fdt_for_each_subnode(node, dtb->tree, parent)
    {
        int result;

        if (!dtb_enabled(dtb, node))
            continue;
        if (fdt_getprop(dtb->tree, node, "reg", NULL))
            result = dtb_reg(dtb, node, "reg", address, size, MAP_NODE_ANY, add_reserved, reader);
        else
            result = read_unplaced(reader, node, size);
        if (result)
            return -1;
    }
    return 0;
}

/* Ranges that /chosen has in the root's cells. */
static int read_chosen(struct reader *reader, const char *property, dtb_visit *visit)
{
    int chosen = fdt_path_offset(reader->dtb.tree, "/chosen");
    unsigned address, size;

    if (chosen < 0 || !fdt_getprop(reader->dtb.tree, chosen, property, NULL))
        return 0;
    if (dtb_widths(&reader->dtb, 0, &address, &size))
        return -1;
    return dtb_reg(&reader->dtb, chosen, property, address, size, MAP_NODE_ANY, visit, reader);
}

/* An address in one or two cells; false if it is not there. */
static int chosen_address(const struct dtb *dtb, int chosen, const char *name, bool *there,
                          uint64_t *value)
{
    struct dtb_cells cells;

    if (dtb_property(dtb, chosen, name, 1, &cells))
        return -1;
    *there = cells.left > 0;
    if (*there && cells.left <= 2)
        dtb_number(&cells, (unsigned)cells.left, value);
    else if (*there)
        return dtb_fail(dtb, chosen, "%s has %zu cells: expected 1 or 2", name, cells.left);
    return 0;
}

static int read_initrd(struct reader *reader)
{
    const struct dtb *dtb = &reader->dtb;
    int chosen = fdt_path_offset(dtb->tree, "/chosen");
    bool starts, ends;
    uint64_t start = 0, end = 0;

    if (chosen < 0)
        return 0;
    if (chosen_address(dtb, chosen, "linux,initrd-start", &starts, &start) ||
        chosen_address(dtb, chosen, "linux,initrd-end", &ends, &end))
        return -1;
    if (!starts && !ends)
        return 0;
    if (!starts || !ends || start > end || end > MAP_PHYS_LIMIT)
        return dtb_fail(dtb, chosen,
                        "the initial ramdisk ends before it starts, or above 2^52: "
                        "expected linux,initrd-start <= linux,initrd-end");
    return start < end ? add(reader, start, end, MAP_RESERVED, MAP_NODE_ANY) : 0;
}

static void write_notes(const struct reader *reader)
{
    if (reader->usable_count)
        map_note(reader->map, "memory outside of linux,usable-memory-range is left out");
    if (reader->unplaced)
        map_note(reader->map, "/reserved-memory asks for %llu bytes more, wherever there is room",
                 (unsigned long long)reader->unplaced);
    if (reader->associative)
        map_note(reader->map, "ibm,associativity is not read: memory is on node 0");
}

int map_read_dtb(struct map *map, struct map_input *input)
{
    struct reader reader = {.map = map, .input = input};
    size_t size = (size_t)(input->rest.end - input->rest.at);

    if (dtb_open(&reader.dtb, input->name, input->rest.at, size, input->error) ||
        read_chosen(&reader, "linux,usable-memory-range", add_usable_range) ||
        dtb_memory(&reader.dtb, add_memory, &reader) || read_memreserve(&reader) ||
        read_reserved(&reader) || read_initrd(&reader) ||
        read_chosen(&reader, "linux,elfcorehdr", add_reserved))
        return -1;
    write_notes(&reader);
    return 0;
}
