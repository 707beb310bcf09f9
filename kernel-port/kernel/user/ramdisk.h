/* SPDX-License-Identifier: MIT
 *
 * ramdisk.h - the programs that the loader brought along, as one module.
 *
 * A header, a table of files, and their bytes, each file from a multiple of 4096 on: what
 * tools/ramdisk.py writes. Numbers are little-endian. Nothing in it is believed before
 * ramdisk_check.
 *
 *   byte 0   "quire rd"   the magic number
 *   byte 8   64 bits      how many files
 *   byte 16  48 bytes for each file: 32 of its name, zeros behind it; offset; size, both 64 bits
 */
#ifndef KERNEL_PORT_KERNEL_USER_RAMDISK_H
#define KERNEL_PORT_KERNEL_USER_RAMDISK_H

#include <quire/types.h>

enum { RAMDISK_NAME = 32, RAMDISK_FILES = 64 };

struct ramdisk_file {
    char name[RAMDISK_NAME]; /* printable, and at least one zero behind it */
    uint64_t offset, bytes;
};

struct ramdisk {
    const unsigned char *start;
    uint64_t bytes;
    uint32_t count;
};

/* Is what is in these bytes a ramdisk? After an error *disk is as it was, and *fault says why.
 * QUIRE_ERR_UNSUPPORTED: it is something else. QUIRE_ERR_DAMAGED: it contradicts itself.
 * QUIRE_ERR_FULL: more files than RAMDISK_FILES. Wait-free, any context, as the next one. */
int ramdisk_check(const void *start, uint64_t bytes, struct ramdisk *disk,
                  struct quire_fault *fault);

/* A file by its number, below `count`. */
struct ramdisk_file ramdisk_file(const struct ramdisk *disk, uint32_t number);

#endif /* KERNEL_PORT_KERNEL_USER_RAMDISK_H */
