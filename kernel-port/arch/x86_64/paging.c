/* SPDX-License-Identifier: MIT
 *
 * paging.c - see paging.h.
 *
 * State: the root table, and whether there is SMAP: constant from paging_init on. All tables lie
 * below 4 GiB, where both boot.S's tables and these reach them. No page is both writable and
 * executable, and the image's code and constants are read-only in the direct map too.
 */
#include "paging.h"

#include "kernel-port/kernel/lib/panic.h"
#include "kernel-port/kernel/lib/text.h"
#include "x86.h"

enum {
    PTE_PRESENT = 1 << 0,
    PTE_WRITE = 1 << 1,
    PTE_UNCACHED = 1 << 3 | 1 << 4, /* write-through and cache-disable: uncached for sure */
    PTE_LARGE = 1 << 7,
    PTE_GLOBAL = 1 << 8,
    TABLE_ENTRIES = 512,
    CPUID_1G = 1 << 26,  /* of edx, leaf 0x80000001 */
    CPUID_SMEP = 1 << 7, /* of ebx, leaf 7 */
    CPUID_SMAP = 1 << 20,
    LEVELS = 4,
};

#define PTE_NO_EXECUTE (1ul << 63)
#define PTE_ADDRESS    0x000ffffffffff000ul

extern char image_start[], image_end[], constants_start[], data_start[];

bool paging_guards_user;

static uint64_t root;
static unsigned largest_level = 2; /* of a page in the direct map: 1 is 4 KiB, 2 is 2 MiB */

/* log2 of what one entry of a table of this level covers, bytes. */
static unsigned level_shift(unsigned level)
{
    return 12 + 9 * (level - 1);
}

uint64_t boot_take(struct quire_boot *boot, uint64_t bytes, uint32_t node, uint64_t high)
{
    struct quire_boot_request want = {.bytes = bytes, .high = high, .node = node};
    uint64_t phys;
    int error = quire_boot_alloc(boot, &want, &phys);

    if (error) {
        want.node = QUIRE_NODE_ANY;
        error = quire_boot_alloc(boot, &want, &phys);
    }
    if (error)
        panic("too little memory: no room for %lu KiB while booting (%s)", bytes >> 10,
              quire_strerror(error));
    memset(direct(phys), 0, bytes);
    return phys;
}

/* The entry for `virt` in the table of `level`, making the tables above it. */
static uint64_t *entry_of(struct quire_boot *boot, uint64_t virt, unsigned level)
{
    uint64_t *table = direct(root);

    for (unsigned at = LEVELS; at > level; at--) {
        uint64_t *entry = &table[virt >> level_shift(at) & (TABLE_ENTRIES - 1)];

        if (!(*entry & PTE_PRESENT))
            *entry = boot_take(boot, PAGE_BYTES, QUIRE_NODE_ANY, WINDOW_BYTES - 1) | PTE_PRESENT |
                     PTE_WRITE;
        else if (*entry & PTE_LARGE)
            panic("paging: %016lx is mapped by a large page already", virt);
        table = direct(*entry & PTE_ADDRESS);
    }
    return &table[virt >> level_shift(level) & (TABLE_ENTRIES - 1)];
}

void paging_map(struct quire_boot *boot, uint64_t virt, uint64_t phys, uint64_t bytes,
                unsigned rights)
{
    uint64_t flags = PTE_PRESENT | PTE_GLOBAL | (rights & MAP_WRITE ? PTE_WRITE : 0) |
                     (rights & MAP_EXECUTE ? 0 : PTE_NO_EXECUTE) |
                     (rights & MAP_DEVICE ? PTE_UNCACHED : 0);

    if ((rights & MAP_WRITE) && (rights & MAP_EXECUTE))
        panic("paging: %016lx would be writable and executable", virt);
    while (bytes) {
        unsigned level = largest_level;
        uint64_t *entry;

        while (level > 1 && ((virt | phys) & ((1ul << level_shift(level)) - 1) ||
                             bytes < 1ul << level_shift(level)))
            level--;
        entry = entry_of(boot, virt, level);
        if (*entry & PTE_PRESENT)
            panic("paging: %016lx is mapped already", virt);
        *entry = phys | flags | (level > 1 ? PTE_LARGE : 0);
        virt += 1ul << level_shift(level);
        phys += 1ul << level_shift(level);
        bytes -= 1ul << level_shift(level);
    }
}

void paging_unmap_page(uint64_t virt)
{
    uint64_t *table = direct(root);

    for (unsigned at = LEVELS; at > 1; at--) {
        uint64_t entry = table[virt >> level_shift(at) & (TABLE_ENTRIES - 1)];

        if (!(entry & PTE_PRESENT) || (entry & PTE_LARGE))
            panic("paging: no page of 4 KiB at %016lx", virt);
        table = direct(entry & PTE_ADDRESS);
    }
    table[virt >> level_shift(1) & (TABLE_ENTRIES - 1)] = 0;
    invlpg(virt);
}

/* Memory from `start` to `end` into the direct map, with the image's read-only part read-only. */
static void map_direct(struct quire_boot *boot, uint64_t start, uint64_t end)
{
    uint64_t image = IMAGE_PHYS, data = (uint64_t)data_start - IMAGE_BASE;

    if (start < image && end > data) {
        paging_map(boot, DIRECT_BASE + start, start, image - start, MAP_WRITE);
        paging_map(boot, DIRECT_BASE + image, image, data - image, MAP_READ);
        start = data;
    }
    paging_map(boot, DIRECT_BASE + start, start, end - start, MAP_WRITE);
}

static bool is_memory(const struct quire_boot_region *r)
{
    return r->kind == QUIRE_BOOT_USABLE || r->kind == QUIRE_BOOT_DEVICE;
}

/* A stretch of memory that starts with the index-th region of the boot map, or later, as long as
 * it goes. False: there is none. */
static bool next_stretch(const struct quire_boot *boot, size_t *index, uint64_t *start,
                         uint64_t *end)
{
    struct quire_boot_region r;

    *start = *end = 0;
    for (; !quire_boot_region(boot, *index, &r); (*index)++) {
        uint64_t first = quire_phys(r.run.pfn);

        if (*end && (!is_memory(&r) || first != *end))
            return true;
        if (!is_memory(&r))
            continue;
        if (!*end)
            *start = first;
        *end = first + (r.run.frames << QUIRE_FRAME_SHIFT);
    }
    return *end != 0;
}

/* The tables that are made on the way change the boot map's regions, but not which frames are
 * memory, so stretches are taken by address. */
static void map_all_memory(struct quire_boot *boot)
{
    uint64_t done = 0;

    for (;;) {
        uint64_t start, end;
        size_t index = 0;

        do {
            if (!next_stretch(boot, &index, &start, &end))
                return;
        } while (end <= done);
        map_direct(boot, start, end);
        done = end;
    }
}

static void map_image(struct quire_boot *boot)
{
    const struct {
        const char *start, *end;
        unsigned rights;
    } parts[] = {{image_start, constants_start, MAP_EXECUTE},
                 {constants_start, data_start, MAP_READ},
                 {data_start, image_end, MAP_WRITE}};

    for (unsigned i = 0; i < sizeof parts / sizeof parts[0]; i++)
        paging_map(boot, (uint64_t)parts[i].start, (uint64_t)parts[i].start - IMAGE_BASE,
                   (uint64_t)(parts[i].end - parts[i].start), parts[i].rights);
}

void paging_init(struct quire_boot *boot)
{
    if (cpuid(0x80000001, 0).edx & CPUID_1G)
        largest_level = 3;
    root = boot_take(boot, PAGE_BYTES, QUIRE_NODE_ANY, WINDOW_BYTES - 1);
    map_image(boot);
    map_all_memory(boot);
    write_cr3(root);
    paging_protect();
    paging_guards_user = read_cr4() & CR4_SMAP;
}

void paging_protect(void)
{
    uint32_t has = cpuid(0, 0).eax >= 7 ? cpuid(7, 0).ebx : 0;

    write_cr4(read_cr4() | (has & CPUID_SMEP ? CR4_SMEP : 0u) | (has & CPUID_SMAP ? CR4_SMAP : 0u));
}

uint32_t paging_root(void)
{
    return (uint32_t)root;
}

uint64_t paging_largest_page(void)
{
    return 1ul << level_shift(largest_level);
}
