/* SPDX-License-Identifier: MIT
 *
 * tree.c - device trees for tests (see tree.h).
 */
#include "tree.h"

#include "stress/common/assert.h"

#include <libfdt.h>
#include <string.h>

struct tree tree;

static void done(int error)
{
    if (error)
        fail_msg("libfdt: %s", fdt_strerror(error));
}

void tree_begin(unsigned address_cells, unsigned size_cells, const uint64_t reserve[],
                unsigned count)
{
    done(fdt_create(tree.data, TREE_BYTES));
    for (unsigned i = 0; i < count; i++)
        done(fdt_add_reservemap_entry(tree.data, reserve[2 * i], reserve[2 * i + 1]));
    done(fdt_finish_reservemap(tree.data));
    tree_node("");
    TREE_CELLS("#address-cells", address_cells);
    TREE_CELLS("#size-cells", size_cells);
}

void tree_end(void)
{
    tree_close();
    done(fdt_finish(tree.data));
    tree.bytes = fdt_totalsize(tree.data);
}

void tree_node(const char *name)
{
    done(fdt_begin_node(tree.data, name));
}

void tree_close(void)
{
    done(fdt_end_node(tree.data));
}

void tree_cells(const char *name, const uint32_t cells[], size_t count)
{
    void *value;

    done(fdt_property_placeholder(tree.data, name, (int)(count * sizeof(uint32_t)), &value));
    for (size_t i = 0; i < count; i++)
        fdt32_st((char *)value + i * sizeof(uint32_t), cells[i]);
}

void tree_string(const char *name, const char *value)
{
    tree_raw(name, value, strlen(value) + 1);
}

void tree_raw(const char *name, const void *value, size_t bytes)
{
    done(fdt_property(tree.data, name, value, (int)bytes));
}

void tree_one_cpu(void)
{
    tree_node("cpus");
    TREE_CELLS("#address-cells", 1);
    TREE_CELLS("#size-cells", 0);
    tree_node("cpu@0");
    tree_string("device_type", "cpu");
    TREE_CELLS("reg", 0);
    tree_close();
    tree_close();
}

void tree_memory(const char *name)
{
    tree_node(name);
    tree_string("device_type", "memory");
}
