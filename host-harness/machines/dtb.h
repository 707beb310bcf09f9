/* SPDX-License-Identifier: MIT
 *
 * dtb.h - what the two readers of device trees share: topologies (device_tree.c) and memory maps
 * (device_tree.c). The tree itself is walked by libfdt, which has checked it as a whole before.
 *
 * No state besides the caller's.
 */
#ifndef HOST_HARNESS_MACHINES_DTB_H
#define HOST_HARNESS_MACHINES_DTB_H

#include "host-harness/machines/map/map.h"

/* A tree that dtb_open has checked. */
struct dtb {
    const void *tree;
    const char *name; /* of the file, for errors */
    struct map_error *error;
};

/* A property of big-endian cells, cut off from the front. */
struct dtb_cells {
    const uint8_t *at;
    size_t left; /* cells */
};

/* Check a tree of `size` bytes. 0, or -1 with the error filled. */
int dtb_open(struct dtb *dtb, const char *name, const void *tree, size_t size,
             struct map_error *error);

/* Fill the error with "NAME: NODE: ..."; the node's name is left out if `node` is negative. */
__attribute__((format(printf, 3, 4))) int dtb_fail(const struct dtb *dtb, int node,
                                                   const char *format, ...);

/* The cells of a property; none if it is not there. -1 after dtb_fail if it is no whole number
 * of `group` cells. */
int dtb_property(const struct dtb *dtb, int node, const char *name, unsigned group,
                 struct dtb_cells *cells);

/* The next number of `width` cells, 1 to 4, of which there must be as many. False if it does not
 * fit 64 bits; it is cut off all the same. */
bool dtb_number(struct dtb_cells *cells, unsigned width, uint64_t *value);

/* #address-cells and #size-cells of a node, for its children's `reg`. -1 after dtb_fail. */
int dtb_widths(const struct dtb *dtb, int node, unsigned *address, unsigned *size);

/* Is the node's status "okay", or not told? */
bool dtb_enabled(const struct dtb *dtb, int node);

/* Is its device_type this one? */
bool dtb_is(const struct dtb *dtb, int node, const char *device_type);

/* The node's numa-node-id; `otherwise` if it has none. */
int dtb_numa_node(const struct dtb *dtb, int node, uint32_t otherwise, uint32_t *id);

/* Call `visit` for each stretch of memory of the nodes below the root of which device_type is
 * memory and which are enabled, and of what ibm,dynamic-reconfiguration-memory adds, until it does
 * not return 0; returns what it returned, or -1 after dtb_fail. `node_id` is MAP_NODE_ANY where the
 * tree does not tell. */
typedef int dtb_visit(void *ctx, int node, uint64_t start, uint64_t bytes, uint32_t node_id);
int dtb_memory(const struct dtb *dtb, dtb_visit *visit, void *ctx);

/* The second of the two alone; dtb_dynamic.c. */
int dtb_dynamic_memory(const struct dtb *dtb, dtb_visit *visit, void *ctx);

/* The same for the `reg` of one node, of cells as its parent says. */
int dtb_reg(const struct dtb *dtb, int node, const char *property, unsigned address, unsigned size,
            uint32_t node_id, dtb_visit *visit, void *ctx);

#endif /* HOST_HARNESS_MACHINES_DTB_H */
