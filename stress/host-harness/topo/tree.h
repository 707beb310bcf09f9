/* SPDX-License-Identifier: MIT
 *
 * tree.h - device trees for tests, made by libfdt.
 *
 * State: one tree at a time, in this file's own memory. A tree is begun, filled and ended; then
 * tree.bytes of tree.data are it. The functions fail the test that calls them.
 */
#ifndef QUIRE_STRESS_HOST_HARNESS_TOPO_TREE_H
#define QUIRE_STRESS_HOST_HARNESS_TOPO_TREE_H

#include <stddef.h>
#include <stdint.h>

enum { TREE_BYTES = 8 << 20 };

struct tree {
    size_t bytes;
    _Alignas(8) unsigned char data[TREE_BYTES];
};
extern struct tree tree;

/* With these numbers of cells at the root; `reserve` pairs of start and bytes for /memreserve/. */
void tree_begin(unsigned address_cells, unsigned size_cells, const uint64_t reserve[],
                unsigned count);
void tree_end(void);

/* Nodes nest. */
void tree_node(const char *name);
void tree_close(void);

/* Properties of the node that was opened last. */
void tree_cells(const char *name, const uint32_t cells[], size_t count);
#define TREE_CELLS(name, ...)                         \
    tree_cells(name, (const uint32_t[]){__VA_ARGS__}, \
               sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))
void tree_string(const char *name, const char *value);
void tree_raw(const char *name, const void *value, size_t bytes);

/* /cpus with one CPU, number 0, without a node. */
void tree_one_cpu(void);

/* A memory node, open: its reg is yet to come. */
void tree_memory(const char *name);

#endif /* QUIRE_STRESS_HOST_HARNESS_TOPO_TREE_H */
