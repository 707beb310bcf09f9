/* SPDX-License-Identifier: MIT
 *
 * view.c - views are worked out: when a cache is built, and when the zone behind a closed one was
 * taken apart and built anew.
 *
 * The danger is a late hit on a closed cache, which may still read its view while that is bound to
 * another zone (T1 of fastpath.h). It reads the window's range, `kind` and `node`, which are
 * constant or atomic, and the rest only for a frame of the window that somebody owns, of which
 * there are none. Nothing else uses the cache meanwhile. Wait-free.
 */
#include "percpu/fastpath.h"

/* Of the longest of a zone's stretches what lies in a range of blocks. */
static struct block_window window_within(const struct quire_zone *z, uint64_t first_block,
                                         uint64_t blocks)
{
    const struct quire_extent *longest = &z->extents[0];
    struct block_window w = {.first_block = first_block};
    uint64_t frame, last, shift, stretch, end;

    for (uint32_t i = 1; i < z->extent_count; i++)
        if (z->extents[i].count > longest->count)
            longest = &z->extents[i];
    qi_extent_frames(z, (uint32_t)(longest - z->extents), &frame, &last);
    shift = (longest->section - longest->index) * SECTION_BLOCKS;
    stretch = block_of(frame) + shift;
    end = block_of(last) + shift;
    if (first_block + blocks < end)
        end = first_block + blocks;
    if (w.first_block < stretch)
        w.first_block = stretch;
    if (w.first_block >= end)
        return w;
    w.blocks = end - w.first_block;
    window_bind(&w, z, frame + ((w.first_block - stretch) << BLOCK_ORDER));
    return w;
}

static void set_windows(struct quire_cache *c, const struct block_window *w)
{
    for (uint32_t cpu = 0; cpu < c->cpus; cpu++)
        views_of(c)[cpu].window = *w;
}

/* Where a pop finds the byte of its frame. In a cache of one stretch any window is biased alike. */
static void bind_frame_bytes(struct quire_cache *c)
{
    const struct quire_extent *e = &c->zone->extents[0];

    c->one_stretch = c->zone->extent_count == 1;
    c->frame_bytes =
        c->zone->frame_bytes - (uintptr_t)((e->section - e->index) << SECTION_ORDER) * sizeof(qa8);
}

/* What a hit asks before it has a frame. The same of every zone that the cache serves. */
static void set_kinds(struct quire_cache *c)
{
    for (uint32_t cpu = 0; cpu < c->cpus; cpu++)
        views_of(c)[cpu].kind =
            (c->mode == QUIRE_CACHE_LOCAL ? VIEW_LOCAL : 0u) |
            (c->mode == QUIRE_CACHE_RSEQ ? VIEW_RSEQ : 0u) |
            (c->one_stretch && views_of(c)[cpu].window.blocks > 0 ? VIEW_ONE_STRETCH : 0u);
}

/* For a cache that is being built. */
void qi_views_build(struct quire_cache *c)
{
    struct block_window w = window_within(c->zone, 0, 1ull << (QUIRE_PFN_BITS - BLOCK_ORDER));

    for (uint32_t cpu = 0; cpu < c->cpus; cpu++) {
        struct cpu_view *s = &views_of(c)[cpu];

        for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++)
            s->cpu_caches[i] = cpu_cache_of(c, cpu, i);
        s->sparse_limit = &c->state->sparse_limit;
        /* relaxed: being made */
        qa_store(&s->asked, c->mode == QUIRE_CACHE_LOCAL ? 0 : ASK_NOBODY, relaxed);
        qa_store(&s->usual, (uintptr_t)s->cpu_caches[CACHE_HUGE],
                 relaxed); /* relaxed: being made */
        s->cache = c;
    }
    set_windows(c, &w);
    bind_frame_bytes(c);
    set_kinds(c);
}

/* Before the cache is in service: views are for these blocks alone, of the zone (T2). */
void qi_views_narrow(struct quire_cache *c, uint64_t first_block, uint64_t blocks)
{
    struct block_window w = window_within(c->zone, first_block, blocks);

    set_windows(c, &w);
    bind_frame_bytes(c);
    set_kinds(c);
}

/* Give a CPU's view the node of the CPU. At any time. */
void qi_view_set_node(struct quire_cache *c, uint32_t cpu, uint32_t node)
{
    qa_store(&views_of(c)[cpu - c->first_cpu].node, node, relaxed); /* relaxed: a hint */
}

/* Would the views have the range and the kind with this zone behind the cache that they have now?
 */
bool qi_views_fit(const struct quire_cache *c, const struct quire_zone *zone)
{
    const struct block_window *now = &views_of(c)->window;
    struct block_window w = window_within(zone, now->first_block, now->blocks);

    return w.first_block == now->first_block && w.blocks == now->blocks &&
           c->one_stretch == (zone->extent_count == 1);
}

/* The zone was taken apart while the cache was closed, and its handle is now that of a zone that
 * fits. */
void qi_cache_rebind(struct quire_cache *c)
{
    const struct block_window *now = &views_of(c)->window;
    struct block_window w = window_within(c->zone, now->first_block, now->blocks);

    for (uint32_t cpu = 0; cpu < c->cpus && w.blocks > 0; cpu++)
        window_bind(&views_of(c)[cpu].window, c->zone, w.first_frame);
    bind_frame_bytes(c);
}
