/* SPDX-License-Identifier: MIT
 *
 * zone.c - building and opening a zone.
 *
 * Zeroed metadata means "all free", so only the exceptions are written: holes and reserved frames,
 * and one hint byte a section. Building a zone on zeroed pages therefore costs O(sections + runs),
 * plus the blocks of holes inside sections that have memory.
 *
 * Nobody else uses the metadata while it is built, so the stores here are relaxed; the magic
 * number comes last, with release, for those who attach. The handle is written once and constant
 * from then on.
 */
#include "core/blocks/tenant.h"
#include "core/internal.h"
#include "core/zone/metadata.h"

/* A chunk, the frames that a slot borrows from the total at once, is halved from CHUNK_MAX down to
 * CHUNK_LARGE until two for each slot are 1/32 of the zone, and then down to CHUNK_MIN until they
 * are 1/8; below that the total is cheaper alone. Where less than they come to is free, each call
 * visits the total. */
enum {
    CHUNK_MAX = 16384,
    CHUNK_LARGE = 4096,
    CHUNK_LARGE_SHARE = 64,
    CHUNK_MIN = 64,
    CHUNK_SHARE = 16,
    ORDER_CLASSES_BLOCKS = 64, /* blocks a slot from which on each order has own ones */
    SECTIONS_A_SLOT = 2,       /* sections a slot, for whole blocks to be in own ones */
    OWN_SECTION_ORDER = 4,     /* and runs of this order and longer */
};

static void clear_memory(void *memory, size_t bytes)
{
    __builtin_memset(memory, 0, bytes);
}

/* Point the handle at the parts of the metadata. */
static void bind_handle(struct quire_zone *z, struct quire_zone_head *h,
                        const struct metadata_layout *layout, const struct quire_port *port)
{
    unsigned char *base = (unsigned char *)h;
    void *slots = base + layout->slot_states, *pins = base + layout->pin_table;

    z->slot_states = (struct quire_slot_state *)slots;
    z->pins = (struct quire_pin *)pins;
    z->sparse = base + layout->sparse;
    z->wholes = base + layout->wholes;
    z->tenants = base + layout->tenants;
    z->section_maps = base + layout->section_maps;
    z->gone_maps = base + layout->gone_maps;
    z->fulls = base + layout->fulls;
    z->holes = base + layout->holes;
    z->descs = base + layout->descs;
    z->maps = base + layout->maps;
    z->has_frame_bytes = layout->has_frame_bytes;
    z->frame_bytes = (uintptr_t)(base + layout->frame_bytes) -
                     (uintptr_t)(h->first_block * BLOCK_FRAMES) * sizeof(qa8);
    z->memory_zeroed = h->memory_zeroed != 0;
    z->map_stride = h->map_stride;
    z->sections = h->sections;
    z->slots = h->slots;
    z->pin_mask = h->pin_mask;
    z->extent_count = h->extent_count;
    z->chunk = h->chunk;
    z->shard_limit = h->shard_limit;
    z->first_block = h->first_block;
    z->end_block = h->end_block;
    z->order_classes = h->end_block - h->first_block >= (uint64_t)ORDER_CLASSES_BLOCKS * h->slots;
    for (uint32_t i = 0; i < h->extent_count; i++)
        z->extents[i] = h->extents[i];
    z->port = *port;
    z->head = h;
}

/* Does the list hold all, some or none of the n frames from `pfn`? In *mask the frames of a word
 * that it holds, if n <= 64. */
static uint64_t frames_overlapping(const struct quire_run *runs, size_t count, uint64_t pfn,
                                   uint64_t n, uint64_t *mask)
{
    size_t low = 0, high = count;
    uint64_t total = 0;

    while (low < high) { /* the first run that ends behind pfn */
        size_t mid = (low + high) / 2;

        if (runs[mid].pfn.n + runs[mid].frames <= pfn)
            low = mid + 1;
        else
            high = mid;
    }
    *mask = 0;
    for (; low < count && runs[low].pfn.n < pfn + n; low++) {
        uint64_t from = runs[low].pfn.n > pfn ? runs[low].pfn.n : pfn;
        uint64_t end = runs[low].pfn.n + runs[low].frames;

        if (end > pfn + n)
            end = pfn + n;
        total += end - from;
        if (n <= WORD_BITS)
            *mask |= word_mask((unsigned)(from - pfn), (unsigned)(end - from));
    }
    return total;
}

/* A block with frames of several kinds: SPLIT, with pins. */
static void build_mixed(struct quire_zone *z, const struct quire_zone_config *c, uint32_t b,
                        uint64_t pfn)
{
    struct quire_pin *pin = qi_pin_make(z, b);

    for (unsigned i = 0; i < MAP_WORDS; i++, pfn += WORD_BITS) {
        uint64_t usable, reserved;

        (void)frames_overlapping(c->usable, c->usable_count, pfn, WORD_BITS, &usable);
        (void)frames_overlapping(c->reserved, c->reserved_count, pfn, WORD_BITS, &reserved);
        /* relaxed: being built, all four */
        qa_store(&frame_map(z, b)->w[i], ~usable, relaxed);
        qa_store(&pin->pinned.w[i], ~usable, relaxed);
        qa_store(&pin->hole.w[i], ~(usable | reserved), relaxed);
    }
    qa_store(desc_of(z, b), D_SPLIT | D_PINS, relaxed); /* relaxed: being built */
    /* E-hint fence: qi_hint_block_free wants one before its look. It could be left out: nobody else
     * is there while the zone is built. */
    qa_fence_seq_cst();
    qi_hint_block_free(z, b);
}

/* One block that is not usable as a whole. */
static void build_block(struct quire_zone *z, const struct quire_zone_config *c, uint32_t b)
{
    uint64_t pfn = pfn_of_frame(z, frame_at(b, 0)).n, mask;
    uint64_t usable = frames_overlapping(c->usable, c->usable_count, pfn, BLOCK_FRAMES, &mask);
    uint64_t reserved =
        frames_overlapping(c->reserved, c->reserved_count, pfn, BLOCK_FRAMES, &mask);

    if (usable == BLOCK_FRAMES)
        return;
    /* relaxed: being built */
    (void)qa_or(block_word(z, b / WORD_BITS), 1ull << b % WORD_BITS, relaxed);
    if (reserved == BLOCK_FRAMES)
        qa_store(desc_of(z, b), D_RESERVED, relaxed); /* relaxed: being built */
    else if (usable == 0 && reserved == 0)
        qa_store(desc_of(z, b), D_RESERVED | D_HOLE, relaxed); /* relaxed: being built */
    else
        build_mixed(z, c, b, pfn);
}

/* Mark everything that is not usable, and show every section's whole blocks. */
static void build_maps(struct quire_zone *z, const struct quire_zone_config *c)
{
    for (uint32_t s = 0; s < z->sections; s++) {
        uint64_t pfn = pfn_of_frame(z, frame_at(s * SECTION_BLOCKS, 0)).n, mask;

        qa_store(wholes_of(z, s), WHOLES_TOP, relaxed); /* relaxed: being built */
        if (frames_overlapping(c->usable, c->usable_count, pfn, 1ull << SECTION_ORDER, &mask) ==
            1ull << SECTION_ORDER)
            continue;
        for (uint32_t i = 0; i < SECTION_BLOCKS; i++)
            build_block(z, c, s * SECTION_BLOCKS + i);
    }
}

static uint64_t frames_of_runs(const struct quire_run *runs, size_t count)
{
    uint64_t n = 0;

    for (size_t i = 0; i < count; i++)
        n += runs[i].frames;
    return n;
}

static uint64_t square_root(uint64_t n)
{
    uint64_t r = 0;

    for (uint64_t bit = 1ull << 31; bit; bit >>= 1)
        if ((r + bit) * (r + bit) <= n)
            r += bit;
    return r;
}

/* Watermarks and credit. `min` grows with the square root of the memory, as small machines need a
 * larger share for those who free memory: 8 sqrt(frames), at most a 32nd; low and high lie a
 * quarter and a half of it above. Where nobody hears of them they are 0: frames that are kept for
 * whoever frees memory would be lost. */
static void build_limits(struct quire_zone_head *h, const struct quire_zone_config *c,
                         uint64_t managed)
{
    uint64_t chunk = CHUNK_MAX, highest;

    h->min = c->min;
    h->low = c->low;
    h->high = c->high;
    if (c->min == QUIRE_WATERMARK_AUTO && !c->port.event) {
        h->min = h->low = h->high = 0;
    } else if (c->min == QUIRE_WATERMARK_AUTO) {
        h->min = square_root(managed) * 8 < managed / 32 ? square_root(managed) * 8 : managed / 32;
        h->low = h->min + h->min / 4;
        h->high = h->min + h->min / 2;
    }
    while (chunk > CHUNK_LARGE && chunk * CHUNK_LARGE_SHARE * c->slots > managed)
        chunk /= 2;
    while (chunk >= CHUNK_MIN && chunk * CHUNK_SHARE * c->slots > managed)
        chunk /= 2;
    h->chunk = chunk >= CHUNK_MIN ? (uint32_t)chunk : 0;
    /* Above the highest floor, and above `high`, where the events end (C2). */
    h->lowmem_reserve = c->lowmem_reserve;
    highest = h->min + h->lowmem_reserve > h->high ? h->min + h->lowmem_reserve : h->high;
    h->shard_limit = (int64_t)(highest + 2 * (uint64_t)h->chunk * c->slots);
}

/* Spread the slots: each starts to look in a word (64 blocks) of its own, so that their home blocks
 * share no line of maps, descriptors or hints, and few sections are opened: eight slots to each, or
 * four where slots keep apart, in every second word, as processors fetch lines by pairs. Whole
 * blocks, and long runs, of which a few are a block, come and go by the section's line: for these
 * each slot has a section of its own, if there are as many again. */
static void build_slots(struct quire_zone *z)
{
    uint32_t words = slots_keep_apart(z) ? 2 : 1; /* a slot */
    uint32_t in_section = MAP_WORDS / words;      /* slots */
    bool own_sections = z->sections >= (uint64_t)SECTIONS_A_SLOT * z->slots;

    for (uint32_t i = 0; i < z->slots; i++)
        for (unsigned c = 0; c <= CLASSES; c++) {
            uint32_t s =
                own_sections && c >= 2 * OWN_SECTION_ORDER ? i : i / in_section % z->sections;
            uint32_t b = s * SECTION_BLOCKS + i % in_section * words * WORD_BITS;

            qa_store(&z->slot_states[i].near[c], b, relaxed); /* relaxed: being built */
        }
}

int quire_zone_init(struct quire_zone *z, const struct quire_zone_config *c, void *metadata,
                    size_t bytes)
{
    struct quire_zone_head *h = (struct quire_zone_head *)metadata;
    struct metadata_layout layout;
    uint64_t managed;
    int error;

    if (z->head)
        return QUIRE_ERR_INITIALISED;
    error = qi_metadata_layout_of(c, &layout);
    if (error)
        return error;
    if ((uintptr_t)metadata % QUIRE_METADATA_ALIGN)
        return QUIRE_ERR_ALIGN;
    if (bytes < layout.bytes)
        return QUIRE_ERR_SIZE;
    clear_memory(metadata, c->metadata_zeroed ? sizeof *h : (size_t)layout.bytes);
    managed = frames_of_runs(c->usable, c->usable_count);
    h->version = ZONE_VERSION;
    h->id = c->id;
    h->type = (uint32_t)c->type;
    h->slots = c->slots;
    h->sections = layout.sections;
    h->map_stride = layout.map_stride;
    h->has_frame_bytes = layout.has_frame_bytes;
    h->memory_zeroed = c->memory_zeroed;
    /* relaxed: being built, both */
    qa_store(&h->free_desc, c->memory_zeroed ? (uint32_t)D_CHANGED : D_FREE, relaxed);
    qa_store(&h->zeros, c->memory_zeroed && layout.has_frame_bytes, relaxed);
    h->pin_mask = layout.pins - 1;
    h->extent_count = layout.extent_count;
    h->first_block = layout.first_block;
    h->end_block = layout.end_block;
    h->bytes = layout.bytes;
    for (uint32_t i = 0; i < layout.extent_count; i++)
        h->extents[i] = layout.extents[i];
    build_limits(h, c, managed);
    bind_handle(z, h, &layout, &c->port);
    build_maps(z, c);
    build_slots(z);
    /* relaxed: being built, all three */
    qa_store(&h->total, managed, relaxed);
    qa_store(&h->managed, managed, relaxed);
    qa_store(&h->reserved, frames_of_runs(c->reserved, c->reserved_count), relaxed);
    qa_store(&h->magic, ZONE_MAGIC, release); /* E-built release */
    return QUIRE_OK;
}

int quire_zone_attach(struct quire_zone *z, void *metadata, size_t bytes,
                      const struct quire_port *port)
{
    struct quire_zone_head *h = (struct quire_zone_head *)metadata;
    struct metadata_layout layout;

    if (z->head)
        return QUIRE_ERR_INITIALISED;
    if ((uintptr_t)metadata % QUIRE_METADATA_ALIGN)
        return QUIRE_ERR_ALIGN;
    if (bytes < sizeof *h)
        return QUIRE_ERR_SIZE;
    if (qa_load(&h->magic, acquire) != ZONE_MAGIC ||
        h->version != ZONE_VERSION) /* E-built acquire */
        return QUIRE_ERR_UNSUPPORTED;
    if (bytes < h->bytes)
        return QUIRE_ERR_SIZE;
    layout.sections = h->sections;
    layout.pins = h->pin_mask + 1;
    layout.map_stride = h->map_stride;
    layout.has_frame_bytes = h->has_frame_bytes != 0;
    layout.first_block = h->first_block;
    layout.end_block = h->end_block;
    qi_metadata_layout_place(&layout, h->slots);
    bind_handle(z, h, &layout, port);
    return QUIRE_OK;
}
