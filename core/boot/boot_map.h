/* SPDX-License-Identifier: MIT
 *
 * boot_map.h - the boot map from within: used by boot.c (what there is) and boot_plan.c (zones).
 * Private to core.
 *
 * The map is a list of entries sorted by address. Each speaks for all frames from its first one up
 * to the next entry's, and entry 0 starts at frame 0: gaps are entries too, of kind NOTHING. So
 * whatever a change overlaps, it adds at most two entries.
 *  BM1  count >= 1, entries[0].first == 0, firsts ascend strictly and are below BOOT_LIMIT.
 *  BM2  neighbours differ in something else than `first`.
 *  BM3  only memory (usable, device) has a zone, and only after planning.
 * One caller at a time, thread context.
 */
#ifndef QUIRE_CORE_BOOT_BOOT_MAP_H
#define QUIRE_CORE_BOOT_BOOT_MAP_H

#include <quire/boot.h>

/* One past the last frame. */
#define BOOT_LIMIT ((uint64_t)1 << QUIRE_PFN_BITS)

enum {
    BOOT_BLOCK = 512,         /* frames */
    BOOT_SECTION = 512 * 512, /* frames */
};

/* What happens to a stretch of frames. Kinds and uses only grow; of two nodes the lower stays. */
struct boot_change {
    uint16_t node, zone; /* number + 1; 0 for no change */
    uint8_t kind, use;
    bool free_metadata; /* undo QUIRE_BOOT_METADATA */
    bool leave_zones;   /* undo zones */
};

/* Change the frames first .. end - 1; first < end <= BOOT_LIMIT. QUIRE_ERR_FULL: no room. */
int qi_boot_change(struct quire_boot *boot, uint64_t first, uint64_t end,
                   const struct boot_change *change);

/* The entry that speaks for a frame below BOOT_LIMIT. */
size_t qi_boot_find(const struct quire_boot *boot, uint64_t frame);

/* The zone is gone: its frames have none, and the zones after it move down by one. */
void qi_boot_drop_zone(struct quire_boot *boot, size_t zone);

/* The highest place for the request; in ordinary memory that is free and, if it has a zone, usable
 * there and not set aside for Huge. Errors as quire_boot_alloc. */
int qi_boot_find_place(const struct quire_boot *boot, const struct quire_boot_request *request,
                       struct quire_run *place);

static inline uint64_t boot_end(const struct quire_boot *boot, size_t index)
{
    return index + 1 < boot->count ? boot->entries[index + 1].first : BOOT_LIMIT;
}

static inline bool boot_is_memory(const struct quire_boot_entry *e)
{
    return e->kind == QUIRE_BOOT_USABLE || e->kind == QUIRE_BOOT_DEVICE;
}

/* The node of memory; 0 if nobody told. */
static inline uint32_t boot_node(const struct quire_boot_entry *e)
{
    return e->node ? e->node - 1u : 0;
}

/* The zone that has the entry's blocks, or NULL. */
static inline const struct quire_boot_zone *boot_zone(const struct quire_boot *boot,
                                                      const struct quire_boot_entry *e)
{
    return e->zone ? &boot->zones[e->zone - 1] : NULL;
}

/* Is this memory of the kind that the zone is made of? */
static inline bool boot_same_kind(const struct quire_boot_entry *e,
                                  const struct quire_boot_zone *zone)
{
    return (e->kind == QUIRE_BOOT_DEVICE) == (zone->config.type == QUIRE_ZONE_DEVICE);
}

/* Was this memory in a block with the zone's, without being the zone's own? */
static inline bool boot_is_foreign(const struct quire_boot_entry *e,
                                   const struct quire_boot_zone *zone)
{
    return !boot_same_kind(e, zone) || boot_node(e) != zone->node;
}

#endif /* QUIRE_CORE_BOOT_BOOT_MAP_H */
