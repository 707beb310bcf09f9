/* SPDX-License-Identifier: MIT
 *
 * metadata.h - where everything lies in a zone's metadata, computed from its configuration. Private
 * to metadata.c and zone.c.
 */
#ifndef QUIRE_CORE_ZONE_METADATA_H
#define QUIRE_CORE_ZONE_METADATA_H

#include "core/layout.h"

/* Offsets are in bytes from the start of the metadata. */
struct metadata_layout {
    uint32_t sections;
    uint32_t extent_count;
    uint32_t pins; /* entries, a power of two */
    uint32_t map_stride;
    bool has_frame_bytes;
    uint64_t first_block, end_block; /* blocks of the index space that have maps */
    struct quire_extent extents[QUIRE_ZONE_EXTENTS];
    uint64_t slot_states, pin_table, sparse, wholes, tenants, section_maps, gone_maps, fulls, holes,
        descs, maps, frame_bytes, bytes;
};

int qi_metadata_layout_of(const struct quire_zone_config *config, struct metadata_layout *layout);
void qi_metadata_layout_place(struct metadata_layout *layout, uint32_t slots);

#endif /* QUIRE_CORE_ZONE_METADATA_H */
