/* SPDX-License-Identifier: MIT
 *
 * reader.h - what the readers of topologies share: errors that name the source, and memory
 * without addresses. Private to topo*.c and device_tree.c.
 *
 * No state besides the caller's.
 */
#ifndef HOST_HARNESS_MACHINES_TOPO_READER_H
#define HOST_HARNESS_MACHINES_TOPO_READER_H

#include "topo.h"

/* Fill the error with "NAME: ..." (printable, at most as long as fits) and return -1. */
__attribute__((format(printf, 3, 4))) int topo_fail(struct map_error *error, const char *name,
                                                    const char *format, ...);

/* Add to what had to be assumed, in one printable line. */
__attribute__((format(printf, 2, 3))) void topo_note(struct topo *topo, const char *format, ...);

/* The node that the source calls `id`, added if new; -1 after topo_fail if there is no room. */
int topo_node(struct topo *topo, const char *name, uint32_t id, quire_node *node,
              struct map_error *error);

/* A CPU; a node of QUIRE_NO_NODE is welcome. */
int topo_cpu(struct topo *topo, const char *name, uint32_t id, quire_node node,
             struct map_error *error);

/* Ordinary memory with an address, bytes of it that are in use, and memory of which only the size
 * is known. */
int topo_memory(struct topo *topo, const char *name, uint64_t phys, uint64_t bytes, quire_node node,
                struct map_error *error);
int topo_reserve(struct topo *topo, const char *name, uint64_t start, uint64_t end,
                 struct map_error *error);
int topo_lay_out(struct topo *topo, const char *name, uint64_t bytes, quire_node node,
                 struct map_error *error);

/* Can it be a distance? */
bool topo_is_distance(quire_node from, quire_node to, uint64_t distance);

/* A distance, unless it is absurd. */
int topo_distance(struct topo *topo, const char *name, quire_node from, quire_node to,
                  uint64_t distance, struct map_error *error);

enum { TOPO_FILES = 64 }; /* of ACPI tables at once */

/* The readers: fill an empty topology. 0, or -1 after topo_fail. */
int topo_read_host(struct topo *topo, struct map_error *error);
int topo_read_synthetic(struct topo *topo, const char *text, struct map_error *error);
int topo_read_xml(struct topo *topo, const char *text, size_t size, struct map_error *error);
int topo_read_dtb(struct topo *topo, const char *name, const void *tree, size_t size,
                  struct map_error *error);

/* Behind the two readers by hwloc, in a process of its own: they may crash. */
typedef int topo_hwloc(struct topo *topo, const char *text, size_t size, struct map_error *error);
topo_hwloc topo_hwloc_synthetic, topo_hwloc_xml;

/* Is it the start of such a file? */
bool topo_is_acpi(const void *bytes, size_t size);
bool topo_is_dtb(const void *bytes, size_t size);
bool topo_is_xml(const char *text, size_t size);

/* ACPI tables: one in memory; or `count` files, at most TOPO_FILES, of which those without a known
 * signature are passed over if `pick` is set; or those of a folder. */
int topo_read_acpi(struct topo *topo, const char *name, const void *table, size_t size,
                   struct map_error *error);
int topo_read_acpi_files(struct topo *topo, const char *const names[], size_t count, bool pick,
                         struct map_error *error);
int topo_read_acpi_folder(struct topo *topo, const char *folder, struct map_error *error);

#endif /* HOST_HARNESS_MACHINES_TOPO_READER_H */
