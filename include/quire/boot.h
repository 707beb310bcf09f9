/* SPDX-License-Identifier: MIT
 *
 * boot.h - memory before there is an allocator: from a firmware's memory map to zones.
 *
 * Four steps, in this order:
 *   1. quire_boot_init, then say what there is: quire_boot_add (what the firmware says),
 *      quire_boot_assign (which node), quire_boot_reserve (what is in use for now). In any order,
 *      unsorted, overlapping, unaligned; the outcome does not depend on the order.
 *   2. quire_boot_alloc, for who needs memory before zones exist.
 *   3. quire_boot_plan_zones: which zones there will be, of which runs, and where their metadata
 *      lies (in the memory itself). Ends step 1 and 2. quire_boot_region shows the outcome.
 *   4. quire_boot_build: build the zones and the frame-to-zone table.
 *
 * Nothing is needed beforehand: no heap, no lock, no mapping of the memory described. Not one byte
 * of that memory is touched before step 4, and then only what the caller's `map` function gives.
 *
 * Rules for what overlaps or does not fit:
 *   - Usable and device memory shrinks inwards to whole frames; firmware and reserved memory grow
 *     outwards.
 *   - Firmware memory wins over device memory, device memory over usable memory.
 *   - Frames described with two nodes are *disputed*: the lower number keeps them. A known node
 *     wins over QUIRE_NODE_ANY. Memory whose node nobody told belongs to node 0.
 *   - An entry that is empty, wraps past 2^64, ends beyond 2^52, or is memory without one whole
 *     frame is refused and counted; but one that takes memory out of use is kept as far as
 *     addresses go (and counted as clipped), since to forget it could hand out what it protects.
 *
 * Functions return 0 or one of enum quire_error; a failed call changes nothing (but the counts of
 * refused entries). All are for one caller at a time and thread context only; no call blocks, and
 * each takes a number of steps that is bounded by the number of entries.
 */
#ifndef QUIRE_BOOT_H
#define QUIRE_BOOT_H

#include <quire/pfnmap.h>
#include <quire/types.h>
#include <quire/zone.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    QUIRE_BOOT_NODES = 1024,         /* node numbers are below this */
    QUIRE_BOOT_LOW = 2 * 1024 * 1024 /* bytes: the usual `low_bytes` of quire_boot_init */
};
#define QUIRE_NODE_ANY     UINT32_MAX /* node unknown, or any will do */
#define QUIRE_BOOT_NO_ZONE UINT32_MAX

/* What a frame is. Of two answers, the one further down wins. */
enum quire_boot_kind {
    QUIRE_BOOT_NOTHING = 0,  /* nobody described it */
    QUIRE_BOOT_USABLE = 1,   /* ordinary memory */
    QUIRE_BOOT_DEVICE = 2,   /* memory on a device: goes into a zone of its own */
    QUIRE_BOOT_FIRMWARE = 3, /* the firmware's: never handed out, a hole from the zone's view */
};

/* What a frame is used for. Of two answers, the one further down wins. */
enum quire_boot_use {
    QUIRE_BOOT_FREE = 0,
    QUIRE_BOOT_RESERVED = 1, /* quire_boot_reserve: quire_zone_unreserve may free it later */
    QUIRE_BOOT_TAKEN = 2,    /* quire_boot_alloc: stays a hole */
    QUIRE_BOOT_METADATA = 3, /* Quire's own: stays a hole */
};

/* Private: all frames from `first` up to the next entry's. */
struct quire_boot_entry {
    uint64_t first;
    uint16_t node, zone; /* number + 1, or 0 */
    uint8_t kind, use;
    bool disputed;
};

/* Entries that were not taken as they were given, by reason. */
struct quire_boot_refusals {
    uint32_t empty;    /* no bytes */
    uint32_t wrapping; /* past 2^64 */
    uint32_t beyond;   /* past 2^52 */
    uint32_t clipped;  /* of the two above, those that were kept up to 2^52 */
    uint32_t slivers;  /* memory without one whole frame */
    uint32_t full;     /* no room left in the caller's array */
};

/* Private: use the functions below. */
struct quire_boot {
    struct quire_boot_entry *entries; /* sorted; the first one starts at frame 0 */
    size_t count, capacity;
    const struct quire_boot_zone *zones; /* the plan's; NULL before */
    uint32_t accepted;
    uint64_t trimmed_bytes;
    struct quire_boot_refusals refused;
    uint64_t room[4]; /* zero, see version.h */
};

/* Frames unless it says otherwise. */
struct quire_boot_report {
    uint32_t accepted; /* entries given by quire_boot_add */
    struct quire_boot_refusals refused;
    uint64_t trimmed_bytes;             /* of memory, lost to unaligned borders */
    uint64_t usable;                    /* ordinary memory, free */
    uint64_t device;                    /* device memory, free */
    uint64_t reserved, taken, metadata; /* of both, in use */
    uint64_t firmware;                  /* firmware memory */
    uint64_t disputed;                  /* of memory: two nodes claimed them */
    uint64_t nodeless;                  /* of memory: nobody told the node */
    uint64_t room[4];                   /* zero, see version.h */
};

/* One stretch of physical memory with one story, for walking. */
struct quire_boot_region {
    struct quire_run run;
    enum quire_boot_kind kind;
    enum quire_boot_use use;
    uint32_t node; /* or QUIRE_NODE_ANY */
    uint32_t zone; /* place in the plan's zones[], or QUIRE_BOOT_NO_ZONE */
    bool disputed;
    bool shared; /* in a block that went to another node or purpose: see struct quire_boot_plan */
    uint64_t room[2]; /* zero, see version.h */
};

/* ---- 1. What there is ---------------------------------------------------------------------- */

/* Start a map in `entries`, which the caller keeps; room for 2 n + 2 entries is always enough for n
 * calls of the functions below. The first `low_bytes` (QUIRE_BOOT_LOW, or 0 for none) are
 * reserved as if by quire_boot_reserve. QUIRE_ERR_SIZE: no room, or low_bytes beyond 2^52. */
int quire_boot_init(struct quire_boot *boot, struct quire_boot_entry entries[], size_t capacity,
                    uint64_t low_bytes);

/* The bytes phys .. phys + bytes - 1 are of this kind, on `node` or QUIRE_NODE_ANY.
 * QUIRE_ERR_SIZE: refused as told above; who reads a firmware's table may go on with the next
 * entry. QUIRE_ERR_FULL: the array has no room. QUIRE_ERR_NODE: no such number.
 * QUIRE_ERR_UNSUPPORTED: no such kind. QUIRE_ERR_BUSY: firmware memory that quire_boot_alloc
 * gave already.
 * QUIRE_ERR_INITIALISED: zones were planned. */
int quire_boot_add(struct quire_boot *boot, uint64_t phys, uint64_t bytes,
                   enum quire_boot_kind kind, uint32_t node);

/* Whatever memory there is among these bytes, whole frames outwards, is on `node`. Errors as
 * quire_boot_add; QUIRE_NODE_ANY is none. */
int quire_boot_assign(struct quire_boot *boot, uint64_t phys, uint64_t bytes, uint32_t node);

/* Whatever memory there is among these bytes is in use for now: the kernel's image, an initial
 * ramdisk, ACPI tables not yet read. Errors as quire_boot_add. */
int quire_boot_reserve(struct quire_boot *boot, uint64_t phys, uint64_t bytes);

/* Count what the map says. Wait-free. */
void quire_boot_report(const struct quire_boot *boot, struct quire_boot_report *report);

/* The index-th region, from the lowest address. Before planning, or while the plan's zones[] is
 * kept. QUIRE_ERR_SIZE: no more. Wait-free. */
int quire_boot_region(const struct quire_boot *boot, size_t index,
                      struct quire_boot_region *region);

/* ---- 2. Memory before zones ---------------------------------------------------------------- */

struct quire_boot_request {
    uint64_t bytes;   /* rounded up to frames */
    uint64_t align;   /* bytes, a power of two, or 0 for any frame */
    uint64_t low;     /* lowest physical address, bytes */
    uint64_t high;    /* highest physical address, bytes, inclusive; 0 means no limit */
    uint32_t node;    /* from this node alone, or QUIRE_NODE_ANY */
    uint64_t room[2]; /* zero, see version.h */
};

/* Take free ordinary memory for good. The highest place that fits, so that low memory stays for
 * who can use nothing else; for "this node if possible", ask again with QUIRE_NODE_ANY, which may
 * give memory in which two nodes meet. What fits depends on what frames are, not on how they were
 * described: parts of which the node was told, not told and disputed make one place.
 * QUIRE_ERR_SIZE: no bytes, beyond 2^52, or low above high. QUIRE_ERR_ALIGN: not a power of two.
 * QUIRE_ERR_NODE: the node has no memory. QUIRE_ERR_NO_MEMORY: no place fits. QUIRE_ERR_FULL: the
 * caller's array has no room. QUIRE_ERR_INITIALISED: zones were planned. */
int quire_boot_alloc(struct quire_boot *boot, const struct quire_boot_request *request,
                     uint64_t *phys);

/* ---- 3. Which zones ------------------------------------------------------------------------ */

/* What the caller wants. All zero but zone.slots is a good start: watermarks are 0 then, for a
 * caller who does not hear of them, and DMA and DMA32 keep from others what Linux has them keep. */
struct quire_boot_layout {
    bool no_dma;   /* no zone of its own for memory below 16 MiB */
    bool no_dma32; /* no zone of its own for memory below 4 GiB */
    /* Set aside for the Huge zone of node i, bytes, a multiple of 2 MiB: whole free sections first
     * (for pages of 1 GiB), then whole free blocks, from the top of the node's memory. */
    const uint64_t *huge_bytes;
    size_t huge_nodes; /* length of huge_bytes[], up to QUIRE_BOOT_NODES; nodes past it get none */
    uint64_t metadata_high; /* highest physical address of metadata, inclusive; 0: no limit */
    /* How far apart nodes are, for metadata that does not fit on its own node. NULL: by number. */
    unsigned (*distance)(void *ctx, uint32_t from, uint32_t to);
    void *distance_ctx;
    /* DMA and DMA32 keep nothing from requests that fall back to them. Else, if zone.lowmem_reserve
     * is 0, each keeps a 256th of the less scarce memory of its node (Linux's default). */
    bool no_lowmem_reserve;
    struct quire_zone_config zone; /* for every zone: slots, watermarks, options, port; the rest
                                    * is overwritten */
    uint64_t room[4];              /* zero, see version.h */
};

struct quire_boot_zone {
    struct quire_zone_config config; /* id is the place in zones[]; runs lie in the plan's runs[] */
    uint32_t node;
    uint64_t metadata_phys; /* bytes, on a frame */
    size_t metadata_bytes;
    uint32_t metadata_node;
    uint64_t room[2]; /* zero, see version.h */
};

/* The outcome. The caller supplies the three arrays, and keeps them until the zones are built.
 * `runs` and `spans` never need more room than the boot map has in the end; zones, 5 per node. The
 * boot map itself may grow, by borders of blocks, zones and metadata: 16 times the regions that it
 * had, plus 16, plus 2 per zone is always enough.
 *
 * A block (2 MiB) belongs to one zone. Where two nodes meet in a block, or memory and device
 * memory, it goes to the one with more free frames in it (then: more frames in use, then the lower
 * node, then memory). The other's free frames are `shared`: out of use. They are among the zone's
 * reserved runs if both are memory of the same kind (so quire_zone_unreserve can rescue them,
 * knowing that they are on another node), else holes. */
struct quire_boot_plan {
    struct quire_boot_zone *zones; /* by node, then by type */
    size_t zone_capacity, zone_count;
    struct quire_run *runs;
    size_t run_capacity, run_count;
    struct quire_pfnmap_span *spans;
    size_t span_capacity, span_count;

    uint64_t pfnmap_phys; /* where the frame-to-zone table goes, bytes, on a frame */
    size_t pfnmap_bytes;
    uint32_t pfnmap_node;
    uint64_t metadata_frames; /* of all zones and the table */
    uint64_t usable_frames;   /* in all zones */
    uint64_t reserved_frames; /* in all zones, shared ones among them */
    uint64_t shared_frames;   /* see above */
    uint64_t shared_blocks;   /* blocks that have such frames */
    uint64_t zoneless_frames; /* free or reserved, not shared, but no zone has a free frame there */
    uint64_t huge_missing;    /* bytes asked for in huge_bytes[] that could not be set aside */
    uint32_t remote_metadata; /* zones whose metadata had to go to another node */
    struct quire_fault fault; /* after an error: what is wrong; `where` is a node, for an array that
                               * is too small its length, for a zone's configuration as there */
    uint64_t room[8];         /* zero, see version.h */
};

/* Plan the zones: DMA (below 16 MiB), DMA32 (below 4 GiB), Normal, Huge and Device of each node,
 * those that have a free frame. Metadata is placed on the zone's node from the top down, never in
 * Huge or Device memory, else on the nearest node with room.
 * QUIRE_ERR_NO_MEMORY: no memory at all, or no place for metadata. QUIRE_ERR_FULL: an array is too
 * small.
 * QUIRE_ERR_ALIGN, QUIRE_ERR_SIZE: huge_bytes. QUIRE_ERR_INITIALISED: planned already. Others as
 * quire_zone_metadata_size. After an error the boot map is as it was; the arrays are undefined. */
int quire_boot_plan_zones(struct quire_boot *boot, const struct quire_boot_layout *layout,
                          struct quire_boot_plan *plan);

/* ---- 4. The zones -------------------------------------------------------------------------- */

/* Where the caller can reach the physical bytes phys .. phys + bytes - 1 (the first on `node`, the
 * others too unless no node had room for all), aligned to a frame, for as long as the zone lives;
 * NULL if nowhere. */
typedef void *quire_boot_map(void *ctx, uint64_t phys, size_t bytes, uint32_t node);

/* Build all zones into zones[0 .. plan->zone_count - 1] (zeroed handles) and the frame-to-zone
 * table, whose zone numbers are places in zones[]. QUIRE_ERR_NO_MEMORY: `map` gave NULL. Others as
 * quire_zone_init and quire_pfnmap_init. After an error the handles are zeroed again; what `map`
 * gave is the caller's to give back. */
int quire_boot_build(const struct quire_boot_plan *plan, quire_boot_map *map, void *ctx,
                     struct quire_zone zones[], struct quire_pfnmap *pfnmap);

#ifdef __cplusplus
}
#endif

#endif /* QUIRE_BOOT_H */
