/* SPDX-License-Identifier: MIT
 *
 * view.c - seats are worked out: when a cache is built, and when the zone behind a closed one was
 * taken apart and built anew.
 *
 * What the short way of rseq mode (fastpath.c) knows of the zone's blocks, in the cache's handle,
 * is worked out here as well.
 *
 * Nobody uses the cache meanwhile, but for late hits on a closed one (quire_cache_rebind): they
 * read a seat's range and tag, which are constant or atomic, and more only for frames that somebody
 * owns in that range, of which there are none. Wait-free.
 */
#include "percpu/fastpath.h"

/* Blocks in a row: which they are, and the zone's number of the first one. */
struct stretch {
    uint64_t first_block, blocks;
    uint64_t at;
};

/* Of the longest of a zone's stretches what lies in a range of blocks. */
static struct stretch stretch_in(const struct quire_zone *z, uint64_t first_block, uint64_t blocks)
{
    const struct quire_extent *longest = &z->extents[0];
    struct stretch s;
    uint64_t end;

    for (uint32_t i = 1; i < z->extent_count; i++)
        if (z->extents[i].count > longest->count)
            longest = &z->extents[i];
    s.first_block = longest->section * SECTION_BLOCKS;
    s.at = (uint64_t)longest->index * SECTION_BLOCKS;
    end = s.first_block + (uint64_t)longest->count * SECTION_BLOCKS;
    if (first_block + blocks < end)
        end = first_block + blocks;
    if (first_block > s.first_block) {
        s.at += first_block - s.first_block;
        s.first_block = first_block;
    }
    s.blocks = s.first_block < end ? end - s.first_block : 0;
    return s;
}

static struct stretch longest_stretch(const struct quire_zone *z)
{
    return stretch_in(z, 0, 1ull << (QUIRE_PFN_BITS - BLOCK_ORDER));
}

static struct quire_seat *seats_of(const struct quire_cache *c)
{
    void *seats = c->seats;

    return (struct quire_seat *)seats;
}

/* Where the zone has what it knows of the blocks of a stretch. */
static void bind_seats(struct quire_cache *c, const struct stretch *stretch)
{
    struct quire_seat *s = seats_of(c);

    for (uint32_t cpu = 0; cpu < c->cpus && stretch->blocks > 0; cpu++, s++) {
        s->descs = desc_of(c->zone, (uint32_t)stretch->at);
        s->fulls = full_of(c->zone, (uint32_t)stretch->at);
        s->first_frame = frame_at((uint32_t)stretch->at, 0);
    }
}

static void set_range(struct quire_cache *c, const struct stretch *stretch)
{
    struct quire_seat *s = seats_of(c);

    for (uint32_t cpu = 0; cpu < c->cpus; cpu++, s++) {
        s->first_block = stretch->first_block;
        s->blocks = stretch->blocks;
    }
    bind_seats(c, stretch);
}

static void bind_short_way(struct quire_cache *c)
{
    struct stretch s = longest_stretch(c->zone);
    const void *descs = desc_of(c->zone, (uint32_t)s.at);
    const void *fulls = full_of(c->zone, (uint32_t)s.at);

    c->first_block = s.first_block;
    c->blocks = s.blocks;
    c->descs = descs;
    c->fulls = fulls;
}

/* For a cache that is being built. */
void quire_seats_build(struct quire_cache *c)
{
    struct stretch stretch = longest_stretch(c->zone);
    struct quire_seat *s = seats_of(c);

    for (uint32_t cpu = 0; cpu < c->cpus; cpu++, s++) {
        for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++)
            s->racks[i] = rack_of(c, cpu, i);
        s->sparse_over = &c->state->sparse_over;
        s->cache = c;
    }
    set_range(c, &stretch);
    if (c->mode == QUIRE_CACHE_RSEQ)
        bind_short_way(c);
}

/* Before the cache is in service: seats are for these blocks alone, of the zone (T2 of fastpath.h).
 */
void quire_seats_limit(struct quire_cache *c, uint64_t first_block, uint64_t blocks)
{
    struct stretch stretch = stretch_in(c->zone, first_block, blocks);

    set_range(c, &stretch);
}

/* Give a CPU's seat the layer above's tag. At any time. */
void quire_seat_tag(struct quire_cache *c, uint32_t cpu, uint32_t tag)
{
    qa_store(&seats_of(c)[cpu - c->first_cpu].tag, tag, relaxed); /* relaxed: a hint */
}

/* Would the seats have the range with this zone behind the cache that they have now? */
bool quire_seats_fit(const struct quire_cache *c, const struct quire_zone *zone)
{
    const struct quire_seat *s = seats_of(c);
    struct stretch stretch = stretch_in(zone, s->first_block, s->blocks);

    return stretch.first_block == s->first_block && stretch.blocks == s->blocks;
}

/* The zone was taken apart while the cache was closed, and its handle is now that of a zone that
 * fits. */
void quire_cache_rebind(struct quire_cache *c)
{
    const struct quire_seat *s = seats_of(c);
    struct stretch stretch = stretch_in(c->zone, s->first_block, s->blocks);

    bind_seats(c, &stretch);
    if (c->mode == QUIRE_CACHE_RSEQ)
        bind_short_way(c);
}
