/* SPDX-License-Identifier: MIT
 *
 * zone_caches.c - homes: which cache of a zone serves the CPUs that are at home there, and what
 * becomes of those that no longer do.
 *
 * A zone has a cache if somebody is at home in it, with CPU caches from the first of these CPUs to
 * the last. One that serves already and covers them is kept, unless one of its CPUs moved: its hits
 * are counted as local or other by where its CPUs are.
 *
 * The memory of a home is never given back before the end, as a hit that found it may come late by
 * any amount (M3). So that it does not pile up while topologies change and zones come and go:
 *
 *   Y3  Whoever is late reads of a home what never changes after it was made (the places and sizes
 *       of its CPU caches, its range), its CPU caches, in the order that percpu gives, and, for a
 *       frame that he owns and that is in the range, the handle and the metadata of the zone. So a
 *       closed home may serve again: - The zone never left: nothing is written to the home but by
 *       opening it. It was closed
 *         after the wait of the change that took it out of service, so no reader has it from then
 *         on, and it is empty.
 *       - The zone left and comes back, with the same longest span, node, type and size: then
 *         handle and descriptors are written anew, before the snapshot that has them is published.
 *         Nobody owns a frame of the zone meanwhile, and who gets one later saw that publication.
 *         Those who are late with frames of other zones read the range alone.
 *   Y4  A home is opened after the snapshot that has it was published, a new one too: the CPUs'
 *       views name it before. Sooner, a hit could bring it a frame that the drains of the snapshot
 *       in force do not see, and a request would be refused for it.
 *   Y5  A zone has HOMES homes made to measure at most. Each later one takes in the CPUs of all
 *       before it and has at least twice as many CPU caches as the largest, or one for every CPU:
 *       so there are at most HOMES + log2(QUIRE_CPUS) homes.
 *   Y6  So it is with what we have of a zone, whether it has homes or not: an `away` or `serving`
 *       that was read may be looked up late by any amount, for node and range, which stay as they
 *       are. The rest is read only for a frame in the range that somebody owns.
 *
 * Writer only. Bounded by CPUs, zones, and a zone's homes.
 */
#include "numa/machine/machine.h"

#include "core/internal.h"

enum { MEASURED_CACHES = 4 };

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

/* Where the zone has what it knows of its longest span, whose first frame it counts as `frame`. */
static void bind_zone_range(struct machine_zone *z, uint64_t frame)
{
    z->descs = desc_of(&z->zone, block_of(frame));
    z->fulls = full_of(&z->zone, block_of(frame));
    z->maps = (const unsigned char *)frame_map(&z->zone, block_of(frame));
}

/* Find out a new zone's longest span (M4). */
static void set_zone_range(const struct machine_snapshot *s, uint32_t entry)
{
    struct quire_run longest = qi_longest_span(s->spans, s->span_count, entry);
    struct machine_zone *z = s->entries[entry].zone;
    uint64_t frame;

    if (z->blocks) /* in service already, or back */
        return;
    frame = qi_frame_of_range(&z->zone, longest.pfn, longest.frames);
    if (frame == NO_FRAME) /* not all of it is the zone's */
        return;
    z->first_block = longest.pfn.n >> BLOCK_ORDER;
    z->blocks = longest.frames >> BLOCK_ORDER;
    bind_zone_range(z, frame);
}

static int make_zone_cache(struct quire_machine *m, struct machine_snapshot *s, uint32_t entry,
                           uint32_t first, uint32_t end)
{
    struct machine_zone *z = s->entries[entry].zone;
    struct quire_cache_config config = {
        .zone = &z->zone,
        .mode = m->wanted_mode,
        .first_cpu = first,
        .cpus = end - first,
        .rounds = z->type == QUIRE_ZONE_HUGE ? 0 : m->rounds,
        .run_rounds = z->type == QUIRE_ZONE_HUGE ? 0 : QUIRE_CACHE_SIZE_AUTO,
        .huge_rounds = m->huge_rounds,
        .depot = QUIRE_CACHE_SIZE_AUTO,
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
    qi_views_narrow(&h->cache, z->first_block, z->blocks);
    qi_cache_forbid_push(&h->cache);
    qa_store(&m->mode, h->cache.mode, relaxed); /* relaxed: a hint */
    s->entries[entry].zone_cache = h;
    return QUIRE_OK;
}

/* ---- Choosing ------------------------------------------------------------------------------- */

/* Is a home among those that its zone has? (Those of a snapshot that is being made are not yet.) */
bool qi_zone_cache_is_registered(const struct zone_cache *h)
{
    const struct zone_cache *other = h->zone->zone_caches;

    while (other && other != h)
        other = other->next;
    return other;
}

/* A home serves from the snapshot on that is being published. */
void qi_zone_cache_register(struct zone_cache *h)
{
    /* E-zone-cache release: the home is made. */
    qa_store(&h->zone->sparse_limit_at, (uintptr_t)&h->cache.state->sparse_limit, release);
    if (qi_zone_cache_is_registered(h))
        return;
    h->next = h->zone->zone_caches;
    h->zone->zone_caches = h;
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

/* A home that the zone has for these CPUs: the one that serves until now, or else the smallest
 * closed one, or NULL. */
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

/* Widen the range of CPUs of a new home (Y5). */
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

/* Tell the views the nodes of their CPUs. (A CPU beyond the topology has one, and no use for it.)
 */
static void set_view_nodes(struct zone_cache *h, const struct machine_snapshot *s)
{
    for (uint32_t i = 0; i < h->cache.cpus; i++) {
        uint32_t cpu = h->cache.first_cpu + i;

        qi_view_set_node(&h->cache, cpu, node_of_cpu(s, cpu).n);
    }
}

/* Give an entry of a snapshot that is being made a cache that covers all CPUs at home in its zone,
 * if there are any. */
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

/* A zone has left, and nobody reads a snapshot that has it. Somebody on a short way of
 * remote.c may look at it all the same, by the name that he read: it is kept (Y6). */
void qi_machine_zone_set_gone(struct quire_machine *m, struct machine_zone *z)
{
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

/* Is this zone, about to come into service, what that one was (Y3)? */
static bool is_same_zone(const struct machine_zone *z, const struct quire_machine_zone *given,
                         struct quire_run longest)
{
    return z->node.n == given->node.n && z->type == given->zone->head->type &&
           z->managed == quire_zone_managed(given->zone) &&
           z->zone.end_block == given->zone->end_block &&
           z->first_block == longest.pfn.n >> BLOCK_ORDER &&
           z->blocks == longest.frames >> BLOCK_ORDER &&
           qi_frame_of_range(given->zone, longest.pfn, longest.frames) != NO_FRAME &&
           all_views_fit(z->zone_caches, given->zone);
}

/* What is left of the same zone, now for the caller's new one, or NULL. */
struct machine_zone *qi_machine_zone_bring_back(struct quire_machine *m,
                                                const struct quire_machine_zone *given,
                                                struct quire_run longest)
{
    struct machine_zone **link = &m->gone, *z;

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
