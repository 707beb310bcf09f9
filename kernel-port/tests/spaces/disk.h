/* SPDX-License-Identifier: MIT
 *
 * disk.h - a file in memory, and its pager: now and then it fails, and it is slow.
 */
#ifndef KERNEL_PORT_TESTS_SPACES_DISK_H
#define KERNEL_PORT_TESTS_SPACES_DISK_H

#include <quire/space.h>

enum { DISK_PAGES = 32 };

struct disk {
    quire_pfn pfn;          /* a run of DISK_PAGES frames */
    uint64_t calls;         /* atomic: of the pager */
    uint64_t fails, yields; /* each so-manyth call fails; lets others run so often: 0, none */
    struct quire_file file;
};

/* Make the file, of zeros, with what a space of this configuration has. Panics. */
void disk_begin(struct disk *disk, const struct quire_space_config *config);

/* Give all back: was nothing in its way? */
bool disk_end(struct disk *disk);

/* A word of a page, as it is on disk. */
uint64_t disk_word(const struct disk *disk, unsigned page, uint32_t place);

#endif /* KERNEL_PORT_TESTS_SPACES_DISK_H */
