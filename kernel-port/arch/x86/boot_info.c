/* SPDX-License-Identifier: MIT
 *
 * boot_info.c - see boot_info.h. Structures after Xen's PVH boot ABI and the Multiboot2
 * specification, version 2.0.
 */
#include "kernel-port/kernel/boot_info.h"

#include "kernel-port/kernel/lib/panic.h"
#include "kernel-port/kernel/lib/text.h"
#include "layout.h"

#include <stdbool.h>

struct pvh_info {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, command_line, rsdp;
    uint64_t map; /* version 1 and up */
    uint32_t map_entries, unused;
};

struct pvh_memory {
    uint64_t phys, bytes;
    uint32_t type, unused;
};

struct pvh_module {
    uint64_t phys, bytes, command_line, unused;
};

struct tag {
    uint32_t type, bytes;
};

struct tag_map {
    struct tag tag;
    uint32_t entry_bytes, version;
};

struct tag_module {
    struct tag tag;
    uint32_t start, end;
};

enum {
    PVH_MAGIC = 0x336ec578,
    TAG_END = 0,
    TAG_COMMAND_LINE = 1,
    TAG_MODULE = 3,
    TAG_MAP = 6,
    TAG_RSDP_OLD = 14,
    TAG_RSDP_NEW = 15,
    TAG_ALIGN = 8,
    INFO_MAX = 1 << 20, /* bytes; no loader says so much */
};

/* Physical memory below 4 GiB, as boot.S has mapped it. */
static const void *at(uint64_t phys, uint64_t bytes)
{
    if (phys > WINDOW_BYTES || bytes > WINDOW_BYTES - phys)
        panic("the loader's information is at %016lx, above 4 GiB", phys);
    return (const void *)(DIRECT_BASE + phys);
}

static void add_memory(struct boot_info *info, uint64_t phys, uint64_t bytes, uint32_t type)
{
    if (info->map_count == BOOT_MAP_ENTRIES)
        panic("the memory map has more than %u entries", (unsigned)BOOT_MAP_ENTRIES);
    info->map[info->map_count++] = (struct boot_memory){phys, bytes, type};
}

static void set_command_line(struct boot_info *info, const char *text, size_t room)
{
    size_t n = 0;

    while (n < room && text[n])
        n++;
    if (n >= COMMAND_LINE_BYTES)
        panic("the command line is longer than %u bytes", (unsigned)COMMAND_LINE_BYTES - 1);
    memcpy(info->command_line, text, n);
    info->command_line[n] = '\0';
}

static void set_module(struct boot_info *info, uint64_t phys, uint64_t bytes)
{
    if (info->module.bytes)
        return; /* the first one counts */
    (void)at(phys, bytes);
    info->module = (struct boot_module){phys, bytes};
}

static void read_pvh(struct boot_info *info, uint64_t phys)
{
    const struct pvh_info *p = at(phys, sizeof *p);
    const struct pvh_memory *map;

    info->protocol = "PVH";
    if (p->magic != PVH_MAGIC)
        panic("PVH: the magic number is %x, not %x", p->magic, (unsigned)PVH_MAGIC);
    if (p->version < 1)
        panic("PVH: version %u has no memory map", p->version);
    info->rsdp = p->rsdp;
    if (p->command_line)
        set_command_line(info, at(p->command_line, COMMAND_LINE_BYTES), COMMAND_LINE_BYTES);
    if (p->module_count) {
        const struct pvh_module *module = at(p->modules, sizeof *module);

        set_module(info, module->phys, module->bytes);
    }
    map = at(p->map, p->map_entries * sizeof *map);
    for (uint32_t i = 0; i < p->map_entries; i++)
        add_memory(info, map[i].phys, map[i].bytes, map[i].type);
}

static void read_tag_map(struct boot_info *info, const struct tag_map *t)
{
    const unsigned char *entry = (const unsigned char *)(t + 1);

    if (t->entry_bytes < sizeof(struct boot_memory) || t->entry_bytes % TAG_ALIGN)
        panic("Multiboot2: memory map entries of %u bytes", t->entry_bytes);
    for (uint32_t left = t->tag.bytes - (uint32_t)sizeof *t; left >= t->entry_bytes;
         left -= t->entry_bytes, entry += t->entry_bytes) {
        struct boot_memory m;

        memcpy(&m, entry, sizeof m);
        add_memory(info, m.phys, m.bytes, m.type);
    }
}

static void read_tag_module(struct boot_info *info, const struct tag_module *t)
{
    if (t->end < t->start)
        panic("Multiboot2: a module from %x to %x", t->start, t->end);
    set_module(info, t->start, t->end - t->start);
}

static void read_tag(struct boot_info *info, const struct tag *t, uint64_t phys)
{
    switch (t->type) {
    case TAG_COMMAND_LINE:
        set_command_line(info, (const char *)(t + 1), t->bytes - sizeof *t);
        break;
    case TAG_MODULE:
        if (t->bytes < sizeof(struct tag_module))
            panic("Multiboot2: a module's tag of %u bytes", t->bytes);
        read_tag_module(info, (const struct tag_module *)t);
        break;
    case TAG_MAP:
        if (t->bytes < sizeof(struct tag_map))
            panic("Multiboot2: a memory map of %u bytes", t->bytes);
        read_tag_map(info, (const struct tag_map *)t);
        break;
    case TAG_RSDP_OLD:
        if (!info->rsdp) /* the newer one wins */
            info->rsdp = phys + sizeof *t;
        break;
    case TAG_RSDP_NEW:
        info->rsdp = phys + sizeof *t;
        break;
    default:
        break;
    }
}

static void read_multiboot2(struct boot_info *info, uint64_t phys)
{
    const uint32_t *head = at(phys, 8);
    uint64_t total = head[0], offset = 8;

    info->protocol = "Multiboot2";
    if (total > INFO_MAX)
        panic("Multiboot2: information of %lu bytes", total);
    while (offset + sizeof(struct tag) <= total) {
        const struct tag *t = at(phys + offset, sizeof *t);

        if (t->type == TAG_END)
            return;
        if (t->bytes < sizeof *t || t->bytes > total - offset)
            panic("Multiboot2: tag %u of %u bytes at offset %lu", t->type, t->bytes, offset);
        read_tag(info, t, phys + offset);
        offset += (t->bytes + TAG_ALIGN - 1) / TAG_ALIGN * TAG_ALIGN;
    }
}

void boot_info_read(struct boot_info *info, uint32_t protocol, uint64_t phys)
{
    if (protocol == BOOT_PVH)
        read_pvh(info, phys);
    else
        read_multiboot2(info, phys);
    if (info->map_count == 0)
        panic("%s: the loader gave no memory map", info->protocol);
}
