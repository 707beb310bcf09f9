/* SPDX-License-Identifier: MIT
 *
 * map.h - memory maps of machines, read from files: what memory there is, where, on which node.
 *
 * Four formats, told apart by their content: the boot log of a Linux kernel or of Xen ("BIOS-e820"
 * and "SRAT: Node" lines and their kin), /proc/iomem, a flattened device tree, and a plain list
 * made for this program (README.md has its grammar). Nothing in the bytes of a file can make a
 * reader crash, run long or use more memory than a few times the file's size: whatever it does not
 * understand where a map line should be is refused with the file, the line, what was wrong and what
 * would be right.
 *
 * State: none of its own; a struct map belongs to its caller. Invariants of a map that was loaded:
 *  MR1  count >= 1 and at least one region is usable.
 *  MR2  every region has start < end <= 2^52 (MAP_PHYS_LIMIT).
 *  MR3  no byte of memory is given two nodes; regions may overlap otherwise, in any order.
 *  MR4  node < MAP_NODES, or MAP_NODE_ANY.
 *  MR5  no page is divided between regions of usable memory that meet in it and have one node.
 * Called from ordinary threads of a process; uses libc.
 */
#ifndef HOST_HARNESS_MACHINES_MAP_MAP_H
#define HOST_HARNESS_MACHINES_MAP_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAP_PHYS_LIMIT (1ULL << 52) /* x86-64 and arm64 have no physical address at or above */

#define MAP_NODE_ANY   UINT32_MAX

enum {
    MAP_NODES = 1024,         /* node numbers are below this, as in Linux */
    MAP_MAX_REGIONS = 4096,   /* Linux itself keeps at most 3200 */
    MAP_MAX_COMPARED = 16384, /* ranges of a file that make a reader walk over the regions */
    MAP_MAX_BYTES = 8 << 20,  /* of a file; a kernel's log buffer is at most a few MiB */
    MAP_TEXT_BYTES = 512,     /* of an error or a note, with its end */
};

enum map_kind {
    MAP_USABLE = 0,
    MAP_RESERVED = 1,
    MAP_ACPI_DATA = 2, /* tables: could be used after they were read */
    MAP_ACPI_NVS = 3,
    MAP_UNUSABLE = 4,   /* broken */
    MAP_PERSISTENT = 5, /* keeps its contents without power: not ordinary memory */
    MAP_DEVICE = 6,     /* memory on a device: tracked, handed out on explicit request */
    MAP_NODE_ONLY = 7,  /* says the node of memory that other regions describe, if any is there */
};
enum { MAP_KINDS = 8 };

/* The physical bytes start .. end - 1. */
struct map_region {
    uint64_t start, end;
    enum map_kind kind;
    uint32_t node; /* or MAP_NODE_ANY: the file does not say; means nothing for memory that is not
                      handed out */
    uint32_t line; /* where in the file it was said, from 1; entries of a device tree */
};

struct map {
    struct map_region *regions;
    size_t count;
    const char *format;          /* "boot log", "/proc/iomem", "device tree", "list", ... */
    char source[MAP_TEXT_BYTES]; /* the file, and why it and no other when none was named */
    char note[MAP_TEXT_BYTES];   /* what the reader had to assume; empty if nothing */
};

/* One line, without the program's name and without a newline. */
struct map_error {
    char text[MAP_TEXT_BYTES];
};

enum map_flags {
    /* Refuse what a note would say otherwise, where that is about memory which the file tells wrong
     * or not at all: two nodes' memory, a log of which a part is missing, /proc/meminfo for a map.
     * What was decided for a reason that the file gives stays a note. */
    MAP_STRICT = 1,
};

/* Read the map in the file `path`, "-" for the standard input, or this machine's own if `path` is
 * NULL: /proc/iomem, or where that hides its addresses, /proc/meminfo. FILE@ADDRESS (a number as of
 * map_parse_size) is the file, which lies in the machine's memory there: a device tree that the
 * boot loader left. `flags` of enum map_flags. 0, or -1 with *error filled and *map empty. Blocking
 * (reads files). */
int map_load(struct map *map, const char *path, unsigned flags, struct map_error *error);

/* Read the map in `bytes` bytes at `text` (no end mark needed); `name` stands for the file in
 * errors. Results as map_load. */
int map_parse(struct map *map, const char *name, const char *text, size_t bytes, unsigned flags,
              struct map_error *error);

/* Give back a map's memory; the map is empty afterwards. An empty (zeroed) map is welcome. */
void map_free(struct map *map);

/* "usable", "reserved", "ACPI data" ...: as Linux spells them. */
const char *map_kind_name(enum map_kind kind);

/* Read a number of bytes from a C string: decimal or 0x hexadecimal, then at most one of K M G T
 * (powers of 1024, either case). False if it is anything else or does not fit 64 bits. The
 * command lines use the same grammar as the list format. */
bool map_parse_size(const char *text, uint64_t *bytes);

#endif /* HOST_HARNESS_MACHINES_MAP_MAP_H */
