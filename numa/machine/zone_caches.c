/* SPDX-License-Identifier: MIT
 *
 * zone_caches.c - zone caches: which cache of a zone serves the CPUs that are local there, and what
 * becomes of one that no longer does.
 *
 * A zone cache is a quire_cache of one zone, with CPU caches for a range of CPUs: from the first to
 * the last CPU that is local in the zone. It is in service if the snapshot in force has it. Its
 * life:
 *
 *     made ----> open ----> closed ----> open again       same zone, or it came back: rebound first
 *
 *   made      for a snapshot that is being built; takes no pushes yet
 *   open      after that snapshot was published (Y4): hits push and pop
 *   closed    after a snapshot without it was published and all readers of the old one left
 *             (hotplug.c): empty, and it takes no pushes
 *   rebound   while closed and its zone is out of service: the windows of its views point into the
 *             metadata of the zone that takes that one's place
 *
 * The danger is a late hit: a CPU may use a view arbitrarily late (M3), long after the cache was
 * closed. So the memory of a zone cache is kept until the machine ends, and to keep it from piling
 * up while topologies change and zones come and go, closed caches serve again.
 *
 *   Y3  A late hit reads of a zone cache only what never changes after it was made (where its CPU
 *       caches are, the range of its windows), the CPU caches, in the order that percpu gives, and,
 *       on behalf of a frame of the range that its caller owns, the handle and metadata of the
 *       zone. So a closed cache may be opened again if
 *         - its zone stayed in service. Nothing but opening writes to the cache. It was closed
 *           after the wait of the change that took it out of service: no reader has it, and it is
 *           empty.
 *         - its zone left and comes back with the same longest span, node, type and size. Then the
 *           handle and the windows are written before the snapshot that has them is published. In
 *           between nobody owns a frame of the zone, and an owner of a later frame has seen that
 *           publication. A late hit with a frame of another zone reads the range alone.
 *   Y4  A zone cache is opened after the snapshot that has it was published, a new one too, since
 *       the CPUs' views name it before. Sooner, a hit could push a frame into it which the drains
 *       of the snapshot in force do not see, and a request would be refused because of it.
 *   Y5  Of a zone's caches the first MEASURED_CACHES have the size that was wanted. Each later one
 *       covers the CPUs of all before it and has at least twice as many CPU caches as the largest,
 *       or one for every CPU. So there are at most MEASURED_CACHES + log2(QUIRE_CPUS) + 1 of
 *       them: two for every CPU, if the first of these was in service while a CPU moved.
 *   Y6  A CPU may read `remote_zone` or `serving_zone` and use that zone arbitrarily late. It then
 *       relies only on the node and the range, which never change. All other fields are read only
 *       on behalf of a frame of the range that somebody owns. So the struct machine_zone of a zone
 *       that left is kept, and serves again, as its caches do.
 *
 * What may be read of a zone cache, and of its zone, at which stage:
 *
 *                         made   open   closed   rebound
 *   range, places           x      x      x         x      by late hits too
 *   CPU caches              x      x      x         x      pushes find the limit 0, but when open
 *   windows, the handle     -      x      x         -      on behalf of an owned frame of the range
 *   the rest                -      x      -         -      by readers of the snapshot
 *
 * Writer only; bounded by CPUs, zones and a zone's caches.
 */
#include "numa/machine/machine.h"

#include "core/internal.h"

enum {
    MEASURED_CACHES = 4,
    MAX_ZONE_CACHES = MEASURED_CACHES + 13, /* Y5 */
};
_Static_assert(QUIRE_CPUS <= 1 << (MAX_ZONE_CACHES - MEASURED_CACHES - 1), "Y5");

/* ---- Making --------------------------------------------------------------------------------- */

/* The longest of an entry's spans, the lowest of these. */
struct quire_run qi_longest_span(const struct quire_pfnmap_span spans[], size_t count,
                                 uint32_t entry)
{
    struct quire_run longest = {{0}, 0};

    for (size_t i = 0; i < count; i++)
        if (spans[i].zone == entry &&
            (spans[i].run.frames > longest.frames ||
             (spans[i].run.frames == longest.frames && spans[i].run.pfn.n < longest.pfn.n)))
            longest = spans[i].run;
    return longest;
}

/* What the zone has maps for of a span, the longest piece of it: a span may go on past the zone's
 * last block, or begin before its first one, over its metadata say. */
static struct quire_run mapped_part(const struct quire_zone *z, struct quire_run span)
{
    struct quire_run part = {{0}, 0};

    for (uint32_t i = 0; i < z->extent_count; i++) {
        uint64_t first, end, start, stop;

        qi_extent_frames(z, i, &first, &end);
        start = pfn_of_frame(z, first).n;
        stop = start + (end - first);
        start = start < span.pfn.n ? span.pfn.n : start;
        stop = stop > span.pfn.n + span.frames ? span.pfn.n + span.frames : stop;
        if (start < stop && stop - start > part.frames)
            part = (struct quire_run){quire_pfn_of(start), stop - start};
    }
    return part;
}

/* Where the zone has what it knows of its longest span, whose first frame it counts as `frame`. */
static void bind_zone_range(struct machine_zone *z, uint64_t frame)
{
    window_bind(&z->window, &z->zone, frame);
}

/* Set a new zone's longest span (M4). */
static void set_zone_range(const struct machine_snapshot *s, uint32_t entry)
{
    struct quire_run longest = qi_longest_span(s->spans, s->span_count, entry);
    struct machine_zone *z = s->entries[entry].zone;
    uint64_t frame;

    if (z->window.blocks) /* in service already, or back */
        return;
    longest = mapped_part(&z->zone, longest);
    frame = qi_frame_of_range(&z->zone, longest.pfn, longest.frames);
    if (frame == NO_FRAME) /* not all of it is the zone's */
        return;
    z->window.first_block = longest.pfn.n >> BLOCK_ORDER;
    z->window.blocks = longest.frames >> BLOCK_ORDER;
    bind_zone_range(z, frame);
}

static int make_zone_cache(struct quire_machine *m, struct machine_snapshot *s, uint32_t entry,
                           uint32_t first, uint32_t end)
{
    struct machine_zone *z = s->entries[entry].zone;
    struct quire_cache_config config = {
        .zone = &z->zone,
        .mode = m->wanted_mode,
        .cpus = end - first,
        .rounds = z->type == QUIRE_ZONE_HUGE ? 0 : m->rounds,
        .run_rounds = z->type == QUIRE_ZONE_HUGE ? 0 : QUIRE_CACHE_SIZE_AUTO,
        .huge_rounds = m->huge_rounds,
        .depot = QUIRE_CACHE_SIZE_AUTO,
        .first_cpu = first,
        .large_rounds = z->type == QUIRE_ZONE_HUGE ? 0 : QUIRE_CACHE_SIZE_AUTO,
    };
    struct zone_cache *h;
    size_t bytes;
    void *p;
    int error = quire_cache_size(&config, &bytes);

    if (error == QUIRE_ERR_SIZE) { /* too much for this zone, or for so many CPUs */
        config.rounds = config.rounds ? QUIRE_CACHE_SIZE_AUTO : 0;
        config.huge_rounds = config.huge_rounds ? QUIRE_CACHE_SIZE_AUTO : 0;
        error = quire_cache_size(&config, &bytes);
    }
    if (error)
        return error;
    p = qi_port_alloc(m, sizeof *h + bytes, z->node);
    if (!p)
        return QUIRE_ERR_NO_MEMORY;
    h = (struct zone_cache *)p;
    error = quire_cache_init(&h->cache, &config, h + 1, bytes);
    if (error) {
        qi_port_give_back(m, h);
        return error;
    }
    h->zone = z;
    qi_views_narrow(&h->cache, z->window.first_block, z->window.blocks);
    qi_cache_forbid_push(&h->cache);
    qa_store(&m->mode, h->cache.mode, relaxed); /* relaxed: a hint */
    s->entries[entry].zone_cache = h;
    return QUIRE_OK;
}

/* ---- Choosing ------------------------------------------------------------------------------- */

/* Is a cache among those of its zone? Those of a snapshot that is being made are not yet. */
bool qi_zone_cache_is_registered(const struct zone_cache *h)
{
    const struct zone_cache *other = h->zone->zone_caches;

    while (other && other != h)
        other = other->next;
    return other;
}

static unsigned count_zone_caches(const struct machine_zone *z)
{
    unsigned n = 0;

    for (const struct zone_cache *h = z->zone_caches; h; h = h->next)
        n++;
    return n;
}

/* A cache comes into service, with the snapshot that is being published. */
void qi_zone_cache_register(struct zone_cache *h)
{
    qi_assert(writer_is_held(h->zone->machine)); /* M5 */
    /* E-zone-cache release: the cache is made. */
    qa_store(&h->zone->sparse_limit_at, (uintptr_t)&h->cache.state->sparse_limit, release);
    if (qi_zone_cache_is_registered(h))
        return;
    h->next = h->zone->zone_caches;
    h->zone->zone_caches = h;
    qi_assert(count_zone_caches(h->zone) <= MAX_ZONE_CACHES); /* Y5 */
}

static bool cache_covers(const struct quire_cache *c, uint32_t first, uint32_t end)
{
    return c->first_cpu <= first && end <= c->first_cpu + c->cpus;
}

/* Is each CPU of a cache on the node on which it was until now? */
static bool cpus_stayed(const struct machine_snapshot *old, const struct machine_snapshot *s,
                        const struct quire_cache *c)
{
    uint32_t cpu = c->first_cpu, end = c->first_cpu + c->cpus;

    while (cpu < end && node_of_cpu(old, cpu).n == node_of_cpu(s, cpu).n)
        cpu++;
    return cpu == end;
}

/* A cache that the zone has for these CPUs: the one in service, unless a CPU of it moved, as its
 * hits are counted by where its CPUs are; or else the smallest closed one; or NULL. */
static struct zone_cache *pick_zone_cache(const struct quire_machine *m,
                                          const struct machine_snapshot *s,
                                          const struct machine_zone *z, uint32_t first,
                                          uint32_t end)
{
    const struct machine_snapshot *old = qi_machine_snapshot(m);
    struct zone_cache *now = old ? qi_snapshot_zone_cache(old, z) : NULL, *best = NULL;

    if (now && cache_covers(&now->cache, first, end) && cpus_stayed(old, s, &now->cache))
        return now;
    for (struct zone_cache *h = z->zone_caches; h; h = h->next)
        if (h != now && cache_covers(&h->cache, first, end) &&
            (!best || h->cache.cpus < best->cache.cpus))
            best = h;
    return best;
}

/* Widen the range of CPUs of a new cache (Y5). */
static void widen_cpu_range(const struct machine_zone *z, uint32_t *first, uint32_t *end)
{
    uint32_t a = *first, b = *end, zone_caches = 0, most = 0;

    for (const struct zone_cache *h = z->zone_caches; h; h = h->next, zone_caches++) {
        uint32_t last = h->cache.first_cpu + h->cache.cpus;

        a = h->cache.first_cpu < a ? h->cache.first_cpu : a;
        b = last > b ? last : b;
        most = h->cache.cpus > most ? h->cache.cpus : most;
    }
    if (zone_caches < MEASURED_CACHES)
        return;
    if (b - a < 2 * most)
        b = a + 2 * most;
    if (b > QUIRE_CPUS) {
        a = b - a < QUIRE_CPUS ? QUIRE_CPUS - (b - a) : 0;
        b = QUIRE_CPUS;
    }
    *first = a;
    *end = b;
}

/* Set the views' nodes, to those of their CPUs; of a CPU beyond the topology it is not read. */
static void set_view_nodes(struct zone_cache *h, const struct machine_snapshot *s)
{
    for (uint32_t i = 0; i < h->cache.cpus; i++) {
        uint32_t cpu = h->cache.first_cpu + i;

        qi_view_set_node(&h->cache, cpu, node_of_cpu(s, cpu).n);
    }
}

/* Give an entry of a snapshot that is being made a cache that covers all CPUs that are local in its
 * zone, if there are any. */
int qi_zone_cache_choose(struct quire_machine *m, struct machine_snapshot *s, uint32_t entry)
{
    struct machine_entry *e = &s->entries[entry];
    uint32_t first = UINT32_MAX, end = 0;
    int error = QUIRE_OK;

    set_zone_range(s, entry);
    for (uint32_t cpu = 0; cpu < s->topology.cpu_count; cpu++)
        if (qi_node_is_local(s, node_of_cpu(s, cpu), e)) {
            first = first < cpu ? first : cpu;
            end = cpu + 1;
        }
    e->zone_cache = end ? pick_zone_cache(m, s, e->zone, first, end) : NULL;
    e->previous = e->closing || e->zone->zone_cache == e->zone_cache ? NULL : e->zone->zone_cache;
    if (end && !e->zone_cache) {
        widen_cpu_range(e->zone, &first, &end);
        error = make_zone_cache(m, s, entry, first, end);
    }
    if (!error && e->zone_cache)
        set_view_nodes(e->zone_cache, s);
    return error;
}

/* ---- Zones that left ------------------------------------------------------------------------ */

/* A zone has left, and no reader has a snapshot with it. A remote hit may still read of it: it is
 * kept (Y6). */
void qi_machine_zone_set_gone(struct quire_machine *m, struct machine_zone *z)
{
    qi_assert(writer_is_held(m));                                  /* M5 */
    qi_assert(!qi_snapshot_zone_cache(qi_machine_snapshot(m), z)); /* Y2 */
    qi_offline_forget(m, z);
    z->zone_cache = NULL;
    z->next = m->gone;
    m->gone = z;
}

static bool all_views_fit(const struct zone_cache *h, const struct quire_zone *zone)
{
    while (h && qi_views_fit(&h->cache, zone))
        h = h->next;
    return !h;
}

/* May the zone `given` take the place of z, which left (Y3)? */
static bool is_same_zone(const struct machine_zone *z, const struct quire_machine_zone *given,
                         struct quire_run longest)
{
    return z->node.n == given->node.n && z->type == given->zone->head->type &&
           z->managed == quire_zone_managed(given->zone) &&
           z->zone.end_block == given->zone->end_block && given->zone->has_frame_bytes &&
           z->zone.order_classes == given->zone->order_classes &&
           z->window.first_block == longest.pfn.n >> BLOCK_ORDER &&
           z->window.blocks == longest.frames >> BLOCK_ORDER &&
           qi_frame_of_range(given->zone, longest.pfn, longest.frames) != NO_FRAME &&
           all_views_fit(z->zone_caches, given->zone);
}

/* A zone that left, whose place the caller's new one takes; NULL if there is none. */
struct machine_zone *qi_machine_zone_bring_back(struct quire_machine *m,
                                                const struct quire_machine_zone *given,
                                                struct quire_run longest)
{
    struct machine_zone **link = &m->gone, *z;

    longest = mapped_part(given->zone, longest);
    while (*link && !is_same_zone(*link, given, longest))
        link = &(*link)->next;
    z = *link;
    if (!z)
        return NULL;
    *link = z->next;
    qi_machine_zone_set(z, given);
    bind_zone_range(z, qi_frame_of_range(&z->zone, longest.pfn, longest.frames));
    for (struct zone_cache *h = z->zone_caches; h; h = h->next)
        qi_cache_rebind(&h->cache);
    return z;
}
