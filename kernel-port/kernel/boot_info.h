/* SPDX-License-Identifier: MIT
 *
 * boot_info.h - what the loader told: memory map, command line, ACPI's root pointer, a module.
 *
 * PVH's and Multiboot2's structures differ in form only; one structure holds either's content. It
 * is a copy: nothing of the loader's memory is needed afterwards, but for ACPI's tables and the
 * module.
 */
#ifndef KERNEL_PORT_KERNEL_BOOT_INFO_H
#define KERNEL_PORT_KERNEL_BOOT_INFO_H

#include <stddef.h>
#include <stdint.h>

enum { BOOT_MAP_ENTRIES = 512, COMMAND_LINE_BYTES = 1024 };

/* Types as the BIOS has numbered them ever since. */
enum boot_memory_type { BOOT_MEMORY_USABLE = 1 };

struct boot_memory {
    uint64_t phys, bytes;
    uint32_t type;
};

/* Bytes that the loader put into memory. None: 0 bytes. */
struct boot_module {
    uint64_t phys, bytes;
};

struct boot_info {
    const char *protocol;
    uint64_t rsdp;             /* physical, or 0 */
    struct boot_module module; /* the first one */
    size_t map_count;
    struct boot_memory map[BOOT_MAP_ENTRIES];
    char command_line[COMMAND_LINE_BYTES];
};

/* Read what `protocol` (BOOT_PVH, BOOT_MULTIBOOT2) left at `phys`, below 4 GiB. Panics if it makes
 * no sense. */
void boot_info_read(struct boot_info *info, uint32_t protocol, uint64_t phys);

#endif /* KERNEL_PORT_KERNEL_BOOT_INFO_H */
