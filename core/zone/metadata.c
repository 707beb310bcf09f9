/* SPDX-License-Identifier: MIT
 *
 * metadata.c - how large a zone's metadata is, and what lies where.
 *
 * Sections without memory have no metadata: the zone's runs are covered by at most
 * QUIRE_ZONE_EXTENTS stretches of sections, which are numbered one after the other. If the memory
 * is scattered more than that, the smallest gaps are bridged, and their sections are holes with
 * metadata. Block maps, the largest part, exist only from the first to the last block with memory.
 *
 * Pure functions of the configuration: wait-free, any context.
 */
#include "core/zone/metadata.h"

#include "core/fault.h"

enum { DEFAULT_SPARE_PINS = 64 };

static int check_run_list(const struct quire_run *runs, size_t count, struct quire_fault *fault)
{
    uint64_t end = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t first = runs[i].pfn.n, limit = 1ull << QUIRE_PFN_BITS;

        if (runs[i].frames == 0)
            return fault_set(fault, QUIRE_ERR_SIZE, "a run is empty", first, 0, 1);
        if (first >= limit || runs[i].frames > limit - first)
            return fault_set(fault, QUIRE_ERR_SIZE, "a run ends beyond 2^40 frames", first,
                             runs[i].frames, first < limit ? limit - first : 0);
        if (first < end)
            return fault_set(fault, QUIRE_ERR_ALIGN, "runs overlap or do not ascend", first, first,
                             end);
        end = first + runs[i].frames;
    }
    return QUIRE_OK;
}

/* Two extents become one, the gap between them bridged: the two with the smallest gap. */
static void bridge_smallest_gap(struct quire_extent *e, uint32_t *count)
{
    uint32_t best = 0;
    uint64_t least = UINT64_MAX;

    for (uint32_t i = 0; i + 1 < *count; i++) {
        uint64_t gap = e[i + 1].section - (e[i].section + e[i].count);

        if (gap < least) {
            least = gap;
            best = i;
        }
    }
    e[best].count = (uint32_t)(e[best + 1].section + e[best + 1].count - e[best].section);
    for (uint32_t i = best + 1; i + 1 < *count; i++)
        e[i] = e[i + 1];
    --*count;
}

/* Cover the run by extents; runs come in ascending order. One extent more than the limit fits. */
static void cover_run(const struct quire_run *run, struct quire_extent *e, uint32_t *count)
{
    uint64_t first = run->pfn.n >> SECTION_ORDER;
    uint64_t end = (run->pfn.n + run->frames - 1) / (1ull << SECTION_ORDER) + 1;
    struct quire_extent *last = *count ? &e[*count - 1] : NULL;

    if (last && first <= last->section + last->count) {
        if (end > last->section + last->count)
            last->count = (uint32_t)(end - last->section);
        return;
    }
    e[*count].section = first;
    e[*count].count = (uint32_t)(end - first);
    ++*count;
    if (*count > QUIRE_ZONE_EXTENTS)
        bridge_smallest_gap(e, count);
}

/* Extents, sections and the range of blocks. The two lists are walked as one sorted list. */
static int find_extents(const struct quire_zone_config *c, struct metadata_layout *layout)
{
    struct quire_extent e[QUIRE_ZONE_EXTENTS + 1];
    uint64_t first = UINT64_MAX, last = 0, sections = 0;
    uint32_t count = 0;

    for (size_t u = 0, r = 0; u < c->usable_count || r < c->reserved_count;) {
        bool usable = r == c->reserved_count ||
                      (u < c->usable_count && c->usable[u].pfn.n < c->reserved[r].pfn.n);
        const struct quire_run *run = usable ? &c->usable[u++] : &c->reserved[r++];

        cover_run(run, e, &count);
        if (run->pfn.n < first)
            first = run->pfn.n;
        if (run->pfn.n + run->frames - 1 > last)
            last = run->pfn.n + run->frames - 1;
    }
    for (uint32_t i = 0; i < count; i++) {
        layout->extents[i] = e[i];
        layout->extents[i].index = (uint32_t)sections;
        sections += e[i].count;
    }
    if (sections > UINT32_MAX / SECTION_BLOCKS)
        return QUIRE_ERR_SIZE;
    layout->extent_count = count;
    layout->sections = (uint32_t)sections;
    layout->first_block = first / BLOCK_FRAMES - e[0].section * SECTION_BLOCKS;
    layout->end_block = last / BLOCK_FRAMES + 1 -
                        (e[count - 1].section - layout->extents[count - 1].index) * SECTION_BLOCKS;
    return QUIRE_OK;
}

/* Give each part its place. */
void qi_metadata_layout_place(struct metadata_layout *layout, uint32_t slots)
{
    uint64_t sections = layout->sections, at = rounded_up(sizeof(struct quire_zone_head), 64);

    layout->slot_states = at;
    at += (uint64_t)slots * sizeof(struct quire_slot_state);
    layout->pin_table = at;
    at += (uint64_t)layout->pins * sizeof(struct quire_pin);
    layout->sparse = at;
    at = rounded_up(at + sections, 64);
    layout->wholes = at;
    at = rounded_up(at + sections, 64);
    layout->tenants = at;
    at = rounded_up(at + sections * MAP_WORDS, 64);
    layout->section_maps = at;
    at += sections * sizeof(struct map512);
    layout->gone_maps = at;
    at += sections * sizeof(struct map512);
    layout->fulls = at;
    at += sections * SECTION_BLOCKS;
    layout->holes = at;
    at += sections * SECTION_BLOCKS;
    layout->descs = at;
    at += sections * SECTION_BLOCKS * sizeof(qa32);
    layout->maps = at;
    at += (layout->end_block - layout->first_block) * layout->map_stride;
    layout->frame_bytes = at;
    if (layout->has_frame_bytes)
        at += (layout->end_block - layout->first_block) * BLOCK_FRAMES * sizeof(qa8);
    layout->bytes = rounded_up(at, QUIRE_METADATA_ALIGN);
}

static int check_watermarks(const struct quire_zone_config *c, struct quire_fault *fault)
{
    const uint64_t most = (1ull << QUIRE_PFN_BITS) - 1;
    bool given = c->min != QUIRE_WATERMARK_AUTO;

    if (given != (c->low != QUIRE_WATERMARK_AUTO) || given != (c->high != QUIRE_WATERMARK_AUTO))
        return fault_set(fault, QUIRE_ERR_SIZE, "some watermarks are automatic and some are not", 0,
                         given, !given);
    if (given && c->min > c->low)
        return fault_set(fault, QUIRE_ERR_SIZE, "the watermark low is below min", 0, c->low,
                         c->min);
    if (given && c->low > c->high)
        return fault_set(fault, QUIRE_ERR_SIZE, "the watermark high is below low", 0, c->high,
                         c->low);
    if (given && c->high > most)
        return fault_set(fault, QUIRE_ERR_SIZE, "a watermark beyond 2^40 frames", 0, c->high, most);
    if (c->lowmem_reserve > most)
        return fault_set(fault, QUIRE_ERR_SIZE, "a lowmem_reserve beyond 2^40 frames", 0,
                         c->lowmem_reserve, most);
    return QUIRE_OK;
}

static int check_limits(const struct quire_zone_config *c, struct quire_fault *fault)
{
    if ((unsigned)c->type >= QUIRE_ZONE_TYPES)
        return fault_set(fault, QUIRE_ERR_UNSUPPORTED, "no such type of zone", 0, c->type,
                         QUIRE_ZONE_TYPES - 1);
    if (c->usable_count == 0)
        return fault_set(fault, QUIRE_ERR_SIZE, "there is no usable frame", 0, 0, 1);
    if (c->slots == 0 || c->slots > QUIRE_ZONE_MAX_SLOTS)
        return fault_set(fault, QUIRE_ERR_SIZE, "too few or too many slots", 0, c->slots,
                         c->slots ? QUIRE_ZONE_MAX_SLOTS : 1);
    return check_watermarks(c, fault);
}

/* The first frame that the two lists share, or NO_FRAME. */
static uint64_t shared_frame(const struct quire_zone_config *c)
{
    for (size_t u = 0, r = 0; u < c->usable_count && r < c->reserved_count;) {
        const struct quire_run *a = &c->usable[u], *b = &c->reserved[r];

        if (a->pfn.n + a->frames <= b->pfn.n)
            u++;
        else if (b->pfn.n + b->frames <= a->pfn.n)
            r++;
        else
            return a->pfn.n > b->pfn.n ? a->pfn.n : b->pfn.n;
    }
    return NO_FRAME;
}

int quire_zone_config_check(const struct quire_zone_config *c, struct quire_fault *fault)
{
    int error = check_limits(c, fault);
    uint64_t shared;

    if (!error)
        error = check_run_list(c->usable, c->usable_count, fault);
    if (!error)
        error = check_run_list(c->reserved, c->reserved_count, fault);
    if (error)
        return error;
    shared = shared_frame(c);
    return shared == NO_FRAME
               ? QUIRE_OK
               : fault_set(fault, QUIRE_ERR_ALIGN, "a frame is usable and reserved", shared, 2, 1);
}

int qi_metadata_layout_of(const struct quire_zone_config *c, struct metadata_layout *layout)
{
    uint64_t pins = c->spare_pins ? c->spare_pins : DEFAULT_SPARE_PINS;
    int error = quire_zone_config_check(c, NULL);

    if (!error)
        error = find_extents(c, layout);
    if (error)
        return error;
    if (pins == QUIRE_PINS_ALL)
        pins = layout->end_block - layout->first_block;
    /* Both ends of each run may lie in a block that has pins; a quarter stays empty. */
    pins += 2 * ((uint64_t)c->usable_count + c->reserved_count);
    if (pins >> 28)
        return QUIRE_ERR_SIZE;
    layout->pins = 4;
    while (layout->pins - layout->pins / 4 < pins + 1)
        layout->pins *= 2;
    layout->map_stride = (c->no_run_map ? 1 : 2) * (uint32_t)sizeof(struct map512);
    layout->has_frame_bytes = !c->no_run_map && !c->no_frame_bytes;
    qi_metadata_layout_place(layout, c->slots);
    return layout->bytes == (size_t)layout->bytes ? QUIRE_OK : QUIRE_ERR_SIZE;
}

int quire_zone_metadata_size(const struct quire_zone_config *config, size_t *bytes)
{
    struct metadata_layout layout;
    int error = qi_metadata_layout_of(config, &layout);

    if (!error)
        *bytes = (size_t)layout.bytes;
    return error;
}
