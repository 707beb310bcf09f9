/* SPDX-License-Identifier: MIT
 *
 * pfnmap.h - which zone holds a frame: a two-level table over all of physical memory.
 *
 * Physical memory is sparse (nodes may lie 64 TiB apart), so nothing is indexed flatly by frame
 * number. The root has an entry per 2 TiB, a leaf an entry per section (1 GiB). An entry names the
 * one zone that has blocks in the section or, where several share it, a table with an entry per
 * block (2 MiB). Blocks are never shared: see boot.h.
 *
 * State: one piece of memory, supplied by the caller, without pointers, and a handle (struct
 * quire_pfnmap) local to one address space. Both are written by quire_pfnmap_init alone and never
 * change afterwards, so a reader sees nothing stale as long as the map was published to it in the
 * usual way (started threads, a release store). The handle may be copied.
 *  PM1  root[r] < leaf count; leaf 0 stays empty, so that a miss needs no branch.
 *  PM2  a leaf's entry is 0 (no zone), the zone's number + 1, or SHARED + the number of a table.
 *  PM3  a table's entry is 0 or the zone's number + 1.
 */
#ifndef QUIRE_PFNMAP_H
#define QUIRE_PFNMAP_H

#include <quire/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    QUIRE_PFNMAP_ZONES = 32767, /* zone numbers are below this */
    QUIRE_PFNMAP_SHARED = 0x8000,
    QUIRE_PFNMAP_LEAF_SHIFT = 11,    /* sections per leaf */
    QUIRE_PFNMAP_SECTION_SHIFT = 18, /* frames per section */
    QUIRE_PFNMAP_BLOCK_SHIFT = 9,    /* frames per block, blocks per section */
};
#define QUIRE_PFNMAP_NONE UINT32_MAX

/* The frames of `run` belong to zone number `zone`. Starts and ends on a block. */
struct quire_pfnmap_span {
    struct quire_run run;
    uint32_t zone;
};

struct quire_pfnmap {
    const uint16_t *root;   /* 2^11 numbers of leaves */
    const uint16_t *leaves; /* 2^11 entries each */
    const uint16_t *tables; /* 2^9 entries each */
};

/* Bytes of memory that a map of these spans needs: 8 KiB, plus 4 KiB per 2 TiB that has any, plus
 * 1 KiB per section that has several zones. QUIRE_ERR_ALIGN: not sorted, not disjoint, or not on
 * blocks. QUIRE_ERR_SIZE: an empty span, one beyond 2^40 frames, a zone's number too large, or
 * more than 32768 sections with several zones. Wait-free, O(spans). */
int quire_pfnmap_size(const struct quire_pfnmap_span spans[], size_t count, size_t *bytes);

/* Build the map in `memory`, which need not be zero. No spans give a map without zones. As above,
 * and QUIRE_ERR_SIZE: `bytes` too few. QUIRE_ERR_ALIGN: an odd address. Wait-free, O(sections);
 * nobody may use the map meanwhile. */
int quire_pfnmap_init(struct quire_pfnmap *map, const struct quire_pfnmap_span spans[],
                      size_t count, void *memory, size_t bytes);

/* Open a map that somebody else built in `memory`, say another process. Wait-free. */
void quire_pfnmap_attach(struct quire_pfnmap *map, const void *memory);

/* The number of the only zone that may hold the frame, or QUIRE_PFNMAP_NONE. Any pfn is welcome.
 * A hole may give the zone around it (that of its block, or the only one of its section), which
 * knows that it is a hole. Wait-free, read-only, any context. */
static inline uint32_t quire_pfnmap_zone(const struct quire_pfnmap *map, quire_pfn pfn)
{
    const uint64_t in_leaf = (1u << QUIRE_PFNMAP_LEAF_SHIFT) - 1;
    const uint64_t in_table = (1u << QUIRE_PFNMAP_BLOCK_SHIFT) - 1;
    uint64_t section = pfn.n >> QUIRE_PFNMAP_SECTION_SHIFT;
    uint64_t leaf;
    uint32_t entry;

    if (pfn.n >> QUIRE_PFN_BITS)
        return QUIRE_PFNMAP_NONE;
    leaf = map->root[section >> QUIRE_PFNMAP_LEAF_SHIFT];
    entry = map->leaves[(leaf << QUIRE_PFNMAP_LEAF_SHIFT) + (section & in_leaf)];
    if (entry & QUIRE_PFNMAP_SHARED) {
        uint64_t table = entry & ~(uint32_t)QUIRE_PFNMAP_SHARED;

        entry = map->tables[(table << QUIRE_PFNMAP_BLOCK_SHIFT) +
                            (pfn.n >> QUIRE_PFNMAP_BLOCK_SHIFT & in_table)];
    }
    return entry - 1; /* 0, no zone, becomes QUIRE_PFNMAP_NONE */
}

#ifdef __cplusplus
}
#endif

#endif /* QUIRE_PFNMAP_H */
