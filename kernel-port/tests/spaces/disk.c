/* SPDX-License-Identifier: MIT
 *
 * disk.c - see disk.h.
 */
#include "disk.h"

#include "kernel-port/kernel/lib/panic.h"
#include "kernel-port/kernel/lib/text.h"
#include "kernel-port/kernel/memory.h"
#include "paging.h"
#include "spaces.h"

enum { DISK_ORDER = 5 };

static void *at_frame(quire_pfn pfn)
{
    return (void *)(DIRECT_BASE + quire_phys(pfn));
}

static uint64_t *on_disk(const struct disk *disk, uint64_t page)
{
    return at_frame(quire_pfn_of(disk->pfn.n + page));
}

uint64_t disk_word(const struct disk *disk, unsigned page, uint32_t place)
{
    return on_disk(disk, page)[place];
}

/* What every call of the pager begins with: does it fail? */
static bool fails(struct disk *disk)
{
    uint64_t call = __atomic_add_fetch(&disk->calls, 1, __ATOMIC_RELAXED);

    for (uint64_t i = 0; i < disk->yields; i++)
        spaces_answer();
    return disk->fails && call % disk->fails == 0;
}

static int disk_size(void *ctx, uint64_t *bytes)
{
    (void)ctx;
    *bytes = DISK_PAGES * (uint64_t)PAGE_BYTES;
    return 0;
}

static int disk_read(void *ctx, uint64_t page, quire_pfn pfn)
{
    struct disk *disk = ctx;

    if (fails(disk))
        return 1;
    memcpy(at_frame(pfn), on_disk(disk, page), PAGE_BYTES);
    return 0;
}

static int disk_write(void *ctx, uint64_t page, quire_pfn pfn)
{
    struct disk *disk = ctx;

    if (fails(disk))
        return 1;
    memcpy(on_disk(disk, page), at_frame(pfn), PAGE_BYTES);
    return 0;
}

void disk_begin(struct disk *disk, const struct quire_space_config *config)
{
    struct quire_file_config want = {.pager = {disk_size, disk_read, disk_write, disk},
                                     .frames = config->port.frames,
                                     .memory = config->port.memory,
                                     .reach = config->port.paging.reach,
                                     .relax = config->port.relax,
                                     .around = 8};

    memset(disk, 0, sizeof *disk);
    if (memory_alloc(DISK_ORDER, 0, QUIRE_KIND_BUFFER, &disk->pfn) ||
        quire_file_create(&disk->file, &want))
        panic("no memory for a disk");
    memset(on_disk(disk, 0), 0, DISK_PAGES * PAGE_BYTES);
}

bool disk_end(struct disk *disk)
{
    bool good = quire_file_destroy(&disk->file) == QUIRE_OK;

    return memory_free(disk->pfn, DISK_ORDER, QUIRE_KIND_BUFFER) == QUIRE_OK && good;
}
