/* SPDX-License-Identifier: MIT
 *
 * dtb.c - reading flattened device trees (see dtb.h).
 */
#include "dtb.h"

#include <inttypes.h>
#include <libfdt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    CELL = 4,
    NAME_BYTES = 255, /* of a property at most; the specification has 31 */
};

/* libfdt before 1.7 adds a property's length up without a look at overflow: it goes in a circle, or
 * hands out a property of fewer than 0 bytes. It reads names to their ends time and again. And it
 * reads the root's name where it found none. */
static int check_tags(const struct dtb *dtb)
{
    uint32_t tag = FDT_NOP;
    int next = 0;

    while (tag != FDT_END) { /* which stands for what is damaged, too */
        const char *name = "";
        int at = next, bytes = 0;

        tag = fdt_next_tag(dtb->tree, at, &next);
        if (tag == FDT_BEGIN_NODE && !fdt_get_name(dtb->tree, at, NULL))
            return dtb_fail(dtb, -1,
                            "damaged device tree: the node at byte %d of its structure has no "
                            "name: expected a whole flattened device tree",
                            at);
        if (tag != FDT_PROP)
            continue;
        if (!fdt_getprop_by_offset(dtb->tree, at, &name, &bytes) || bytes < 0)
            return dtb_fail(dtb, -1,
                            "damaged device tree: the property at byte %d of its structure has no "
                            "length or name: expected a whole flattened device tree",
                            at);
        if (strlen(name) > NAME_BYTES)
            return dtb_fail(dtb, -1,
                            "damaged device tree: a property's name has %zu bytes: expected at "
                            "most %d",
                            strlen(name), NAME_BYTES);
    }
    return 0;
}

int dtb_open(struct dtb *dtb, const char *name, const void *tree, size_t size,
             struct map_error *error)
{
    int code = size < sizeof(struct fdt_header) ? -FDT_ERR_TRUNCATED : fdt_check_header(tree);

    *dtb = (struct dtb){tree, name, error};
    if (code == 0 && fdt_totalsize(tree) > size)
        code = -FDT_ERR_TRUNCATED;
    if (code == 0 && check_tags(dtb))
        return -1;
    if (code == 0)
        code = fdt_check_full(tree, size);
    if (code == 0)
        return 0;
    return dtb_fail(dtb, -1, "damaged device tree: %s: expected a whole flattened device tree",
                    fdt_strerror(code));
}

int dtb_fail(const struct dtb *dtb, int node, const char *format, ...)
{
    char *text = dtb->error->text;
    const char *unit = node < 0 ? NULL : fdt_get_name(dtb->tree, node, NULL);
    va_list arguments;
    int used = unit ? snprintf(text, MAP_TEXT_BYTES, "%.200s: %.60s: ", dtb->name, unit)
                    : snprintf(text, MAP_TEXT_BYTES, "%.200s: ", dtb->name);

    va_start(arguments, format);
    vsnprintf(text + used, MAP_TEXT_BYTES - (size_t)used, format, arguments);
    va_end(arguments);
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
    return -1;
}

int dtb_property(const struct dtb *dtb, int node, const char *name, unsigned group,
                 struct dtb_cells *cells)
{
    int bytes = 0;
    const void *value = fdt_getprop(dtb->tree, node, name, &bytes);

    *cells = (struct dtb_cells){value, value ? (size_t)bytes / CELL : 0};
    if (!value || (size_t)bytes % (CELL * group) == 0)
        return 0;
    return dtb_fail(dtb, node, "%s has %d bytes: expected a multiple of %u", name, bytes,
                    CELL * group);
}

bool dtb_number(struct dtb_cells *cells, unsigned width, uint64_t *value)
{
    bool fits = true;

    *value = 0;
    for (unsigned i = 0; i < width; i++) {
        const uint8_t *p = cells->at;
        fits &= *value >> 32 == 0;
        *value =
            *value << 32 | (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
        cells->at += CELL;
        cells->left--;
    }
    return fits;
}

int dtb_widths(const struct dtb *dtb, int node, unsigned *address, unsigned *size)
{
    int addresses = fdt_address_cells(dtb->tree, node), sizes = fdt_size_cells(dtb->tree, node);

    *address = *size = 1;
    if (addresses < 1 || sizes < 0)
        return dtb_fail(dtb, node, "#address-cells or #size-cells is wrong: expected 1 to 4");
    *address = (unsigned)addresses;
    *size = (unsigned)sizes;
    return 0;
}

bool dtb_enabled(const struct dtb *dtb, int node)
{
    int bytes = 0;
    const char *status = fdt_getprop(dtb->tree, node, "status", &bytes);

    return !status || fdt_stringlist_contains(status, bytes, "okay") ||
           fdt_stringlist_contains(status, bytes, "ok");
}

bool dtb_is(const struct dtb *dtb, int node, const char *device_type)
{
    int bytes = 0;
    const char *type = fdt_getprop(dtb->tree, node, "device_type", &bytes);

    return type && fdt_stringlist_contains(type, bytes, device_type);
}

int dtb_numa_node(const struct dtb *dtb, int node, uint32_t otherwise, uint32_t *id)
{
    struct dtb_cells cells;
    uint64_t value;

    *id = otherwise;
    if (dtb_property(dtb, node, "numa-node-id", 1, &cells))
        return -1;
    if (cells.left == 0)
        return 0;
    dtb_number(&cells, 1, &value);
    *id = (uint32_t)value;
    if (value < MAP_NODES)
        return 0;
    return dtb_fail(dtb, node, "numa-node-id is %" PRIu64 ": expected 0 to %d", value,
                    MAP_NODES - 1);
}

int dtb_reg(const struct dtb *dtb, int node, const char *property, unsigned address, unsigned size,
            uint32_t node_id, dtb_visit *visit, void *ctx)
{
    struct dtb_cells cells;

    if (dtb_property(dtb, node, property, address + size, &cells))
        return -1;
    while (cells.left > 0) {
        uint64_t start, bytes;
        bool fits = dtb_number(&cells, address, &start);
        int result;

        fits &= dtb_number(&cells, size, &bytes);
        if (!fits || start > MAP_PHYS_LIMIT || bytes > MAP_PHYS_LIMIT - start)
            return dtb_fail(dtb, node, "%s reaches above 2^52: expected physical addresses below",
                            property);
        if (bytes > 0 && (result = visit(ctx, node, start, bytes, node_id)))
            return result;
    }
    return 0;
}

int dtb_memory(const struct dtb *dtb, dtb_visit *visit, void *ctx)
{
    unsigned address, size;
    int node;

    if (dtb_widths(dtb, 0, &address, &size))
        return -1;
    fdt_for_each_subnode(node, dtb->tree, 0)
    {
        /* Linux's boot loaders may say which part of it is to be used. */
        const char *property = fdt_getprop(dtb->tree, node, "linux,usable-memory", NULL)
                                   ? "linux,usable-memory"
                                   : "reg";
        uint32_t id;
        int result;

        if (!dtb_is(dtb, node, "memory") || !dtb_enabled(dtb, node))
            continue;
        if (dtb_numa_node(dtb, node, MAP_NODE_ANY, &id))
            return -1;
        result = dtb_reg(dtb, node, property, address, size, id, visit, ctx);
        if (result)
            return result;
    }
    return dtb_dynamic_memory(dtb, visit, ctx);
}
