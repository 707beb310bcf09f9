/* SPDX-License-Identifier: MIT
 *
 * view.c - views are worked out: when a cache is built, and when the zone behind a closed one was
 * taken apart and built anew.
 *
 * What the short way of rseq mode (fastpath.c) knows of the zone's blocks, in the cache's handle,
 * is worked out here as well.
 *
 * Nobody uses the cache meanwhile, but for late hits on a closed one (qi_cache_rebind): they
 * read a view's range and tag, which are constant or atomic, and more only for frames that somebody
 * owns in that range, of which there are none. Wait-free.
 */
#include "percpu/fastpath.h"

/* Blocks in a row: which they are, and the zone's number of the first one. */
struct window {
    uint64_t first_block, blocks;
    uint64_t at;
};

/* Of the longest of a zone's stretches what lies in a range of blocks. */
static struct window window_within(const struct quire_zone *z, uint64_t first_block,
                                   uint64_t blocks)
{
    const struct quire_extent *longest = &z->extents[0];
    struct window s;
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

static struct window longest_window(const struct quire_zone *z)
{
    return window_within(z, 0, 1ull << (QUIRE_PFN_BITS - BLOCK_ORDER));
}

static struct cpu_view *views_of(const struct quire_cache *c)
{
    void *cpu_views = c->cpu_views;

    return (struct cpu_view *)cpu_views;
}

/* Where the zone has what it knows of the blocks of a stretch. */
static void bind_views(struct quire_cache *c, const struct window *window)
{
    struct cpu_view *s = views_of(c);

    for (uint32_t cpu = 0; cpu < c->cpus && window->blocks > 0; cpu++, s++) {
        s->descs = desc_of(c->zone, (uint32_t)window->at);
        s->fulls = full_of(c->zone, (uint32_t)window->at);
        s->first_frame = frame_at((uint32_t)window->at, 0);
    }
}

static void set_views_range(struct quire_cache *c, const struct window *window)
{
    struct cpu_view *s = views_of(c);

    for (uint32_t cpu = 0; cpu < c->cpus; cpu++, s++) {
        s->first_block = window->first_block;
        s->blocks = window->blocks;
    }
    bind_views(c, window);
}

static void bind_fastpath(struct quire_cache *c)
{
    struct window s = longest_window(c->zone);
    const void *descs = desc_of(c->zone, (uint32_t)s.at);
    const void *fulls = full_of(c->zone, (uint32_t)s.at);

    c->first_block = s.first_block;
    c->blocks = s.blocks;
    c->descs = descs;
    c->fulls = fulls;
}

/* For a cache that is being built. */
void qi_views_build(struct quire_cache *c)
{
    struct window window = longest_window(c->zone);
    struct cpu_view *s = views_of(c);

    for (uint32_t cpu = 0; cpu < c->cpus; cpu++, s++) {
        for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++)
            s->cpu_caches[i] = cpu_cache_of(c, cpu, i);
        s->sparse_limit = &c->state->sparse_limit;
        s->cache = c;
    }
    set_views_range(c, &window);
    if (c->mode == QUIRE_CACHE_RSEQ)
        bind_fastpath(c);
}

/* Before the cache is in service: views are for these blocks alone, of the zone (T2 of fastpath.h).
 */
void qi_views_narrow(struct quire_cache *c, uint64_t first_block, uint64_t blocks)
{
    struct window window = window_within(c->zone, first_block, blocks);

    set_views_range(c, &window);
}

/* Give a CPU's view the layer above's tag. At any time. */
void qi_view_set_node(struct quire_cache *c, uint32_t cpu, uint32_t node)
{
    qa_store(&views_of(c)[cpu - c->first_cpu].node, node, relaxed); /* relaxed: a hint */
}

/* Would the views have the range with this zone behind the cache that they have now? */
bool qi_views_fit(const struct quire_cache *c, const struct quire_zone *zone)
{
    const struct cpu_view *s = views_of(c);
    struct window window = window_within(zone, s->first_block, s->blocks);

    return window.first_block == s->first_block && window.blocks == s->blocks;
}

/* The zone was taken apart while the cache was closed, and its handle is now that of a zone that
 * fits. */
void qi_cache_rebind(struct quire_cache *c)
{
    const struct cpu_view *s = views_of(c);
    struct window window = window_within(c->zone, s->first_block, s->blocks);

    bind_views(c, &window);
    if (c->mode == QUIRE_CACHE_RSEQ)
        bind_fastpath(c);
}
