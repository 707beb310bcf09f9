/* SPDX-License-Identifier: MIT
 *
 * dtb_dynamic.c - memory of pseries machines beyond the first node: logical memory blocks (LMBs),
 * all of one size, which the hypervisor may give and take one by one.
 *
 * /ibm,dynamic-reconfiguration-memory has them as ibm,dynamic-memory, one entry a block, or as
 * ibm,dynamic-memory-v2, one entry for neighbours. Cells of an entry, base as wide as
 * #address-cells of the root:
 *
 *     ibm,dynamic-memory      base  DRC index  (reserved)  associativity  flags
 *     ibm,dynamic-memory-v2   blocks  base  DRC index  associativity  flags
 *
 * A number of entries stands before them. Blocks that are not assigned, or reserved, are no memory.
 * Neighbours are told as one stretch. Which node a block is on is not read.
 */
#include "dtb.h"

#include <inttypes.h>
#include <libfdt.h>

enum { LMB_ASSIGNED = 0x8, LMB_RESERVED = 0x80 }; /* flags */

struct dynamic {
    const struct dtb *dtb;
    int node;
    const char *property;
    bool v2;
    unsigned address;    /* cells */
    uint64_t block;      /* bytes */
    uint64_t start, end; /* of the stretch that may grow; empty at first */
    dtb_visit *visit;
    void *ctx;
};

static int read_block_size(struct dynamic *dynamic, unsigned size)
{
    struct dtb_cells cells;

    if (dtb_property(dynamic->dtb, dynamic->node, "ibm,lmb-size", 1, &cells))
        return -1;
    if (size && cells.left == size && dtb_number(&cells, size, &dynamic->block) && dynamic->block &&
        dynamic->block <= MAP_PHYS_LIMIT)
        return 0;
    return dtb_fail(dynamic->dtb, dynamic->node,
                    "ibm,lmb-size is not the size of a block: expected 1 to 2^52 bytes in %u cells",
                    size);
}

static int tell(struct dynamic *dynamic)
{
    if (dynamic->start == dynamic->end)
        return 0;
    return dynamic->visit(dynamic->ctx, dynamic->node, dynamic->start,
                          dynamic->end - dynamic->start, MAP_NODE_ANY);
}

static int add_blocks(struct dynamic *dynamic, uint64_t base, uint64_t blocks)
{
    int result = 0;

    if (blocks == 0)
        return 0;
    if (base > MAP_PHYS_LIMIT || blocks > (MAP_PHYS_LIMIT - base) / dynamic->block)
        return dtb_fail(dynamic->dtb, dynamic->node,
                        "%s: %" PRIu64 " blocks at 0x%" PRIx64
                        " reach above 2^52: expected physical addresses below",
                        dynamic->property, blocks, base);
    if (base != dynamic->end) {
        result = tell(dynamic);
        dynamic->start = base;
    }
    dynamic->end = base + blocks * dynamic->block;
    return result;
}

static int read_entry(struct dynamic *dynamic, struct dtb_cells *cells)
{
    uint64_t blocks = 1, base, skipped, flags;

    if (dynamic->v2)
        dtb_number(cells, 1, &blocks);
    if (!dtb_number(cells, dynamic->address, &base))
        base = UINT64_MAX; /* which is beyond all that is read */
    for (unsigned i = dynamic->v2 ? 2 : 3; i > 0; i--)
        dtb_number(cells, 1, &skipped);
    dtb_number(cells, 1, &flags);
    return (flags & (LMB_ASSIGNED | LMB_RESERVED)) == LMB_ASSIGNED
               ? add_blocks(dynamic, base, blocks)
               : 0;
}

static int read_entries(struct dynamic *dynamic)
{
    const unsigned width = dynamic->address + 4; /* of an entry of either kind */
    struct dtb_cells cells;
    uint64_t count = 0;
    int result = 0;

    if (dtb_property(dynamic->dtb, dynamic->node, dynamic->property, 1, &cells))
        return -1;
    if (cells.left > 0)
        dtb_number(&cells, 1, &count);
    if (cells.left % width != 0 || count != cells.left / width)
        return dtb_fail(dynamic->dtb, dynamic->node,
                        "%s says %" PRIu64 " entries and has %zu cells: expected %u cells for each",
                        dynamic->property, count, cells.left, width);
    while (cells.left > 0 && !result)
        result = read_entry(dynamic, &cells);
    return result ? result : tell(dynamic);
}

int dtb_dynamic_memory(const struct dtb *dtb, dtb_visit *visit, void *ctx)
{
    int node = fdt_path_offset(dtb->tree, "/ibm,dynamic-reconfiguration-memory");
    struct dynamic dynamic = {.dtb = dtb, .node = node, .visit = visit, .ctx = ctx};
    unsigned size;

    if (node < 0)
        return 0;
    dynamic.v2 = fdt_getprop(dtb->tree, node, "ibm,dynamic-memory-v2", NULL) != NULL;
    dynamic.property = dynamic.v2 ? "ibm,dynamic-memory-v2" : "ibm,dynamic-memory";
    if (!fdt_getprop(dtb->tree, node, dynamic.property, NULL))
        return 0;
    if (fdt_getprop(dtb->tree, node, "linux,drconf-usable-memory", NULL))
        return dtb_fail(dtb, node,
                        "linux,drconf-usable-memory, a crash kernel's part of the blocks, is not "
                        "read: expected the tree of a first kernel");
    if (dtb_widths(dtb, 0, &dynamic.address, &size) || read_block_size(&dynamic, size))
        return -1;
    return read_entries(&dynamic);
}
