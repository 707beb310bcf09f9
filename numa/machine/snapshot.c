/* SPDX-License-Identifier: MIT
 *
 * snapshot.c - snapshots: which zones there are, which of them a node asks first, and which CPUs
 * are local in which zone.
 *
 * A snapshot holds the topology, an entry for each zone, the map from frames to entries, and for
 * each node and purpose a zonelist. It is built beside the one in force, published by one store,
 * and never changes afterwards (M1). The danger is a reader that finds half of it, or the new views
 * with the old snapshot: so all is written before the store (E-snapshot), and what hits find by
 * themselves (the CPUs' views) may be of either (M3); zone caches open after it (Y4).
 *
 * Zonelists go node by node, as quire_topology_order says, and within a node from the purpose asked
 * for to scarcer ones, so that memory which only some requests can use is kept for them. Zones of
 * one node and type stay in the order in which they came into service. Each node's lists lie on
 * that node, the rest in one piece on the first zone's.
 *
 * A CPU is local in the Normal, DMA32 and Huge zones of its own node and, on whatever node that is,
 * in the zone that its NORMAL requests ask first: so the CPUs of a node without memory have a cache
 * too. Which cache a zone gets for them: zone_caches.c.
 *
 *   make, discard, publish, release    the writer (M5)
 *   find, row, local, slot, flags      any number of readers, beside the writer; wait-free, any
 *                                      context
 */
#include "numa/machine/machine.h"

/* From what a request for a purpose may be served, best first. */
static const struct {
    unsigned char count;
    unsigned char type[4];
} fallback_types[QUIRE_ZONE_TYPES] = {
    [QUIRE_ZONE_DMA] = {1, {QUIRE_ZONE_DMA}},
    [QUIRE_ZONE_DMA32] = {2, {QUIRE_ZONE_DMA32, QUIRE_ZONE_DMA}},
    [QUIRE_ZONE_NORMAL] = {3, {QUIRE_ZONE_NORMAL, QUIRE_ZONE_DMA32, QUIRE_ZONE_DMA}},
    [QUIRE_ZONE_HUGE] = {4, {QUIRE_ZONE_HUGE, QUIRE_ZONE_NORMAL, QUIRE_ZONE_DMA32, QUIRE_ZONE_DMA}},
    [QUIRE_ZONE_DEVICE] = {1, {QUIRE_ZONE_DEVICE}},
};

/* The entries of each node lie between these, mostly with nothing in between. */
struct node_bounds {
    uint32_t first[QUIRE_NODES], end[QUIRE_NODES];
};

static void find_node_bounds(const struct machine_snapshot *s, struct node_bounds *b)
{
    __builtin_memset(b, 0, sizeof *b);
    for (uint32_t i = 0; i < s->entry_count; i++) {
        uint32_t n = s->entries[i].zone->node.n;

        if (b->end[n] == 0)
            b->first[n] = i;
        b->end[n] = i + 1;
    }
}

/* ---- Zonelists ------------------------------------------------------------------------------ */

/* The list of a purpose for a node that asks the others in this order, into out[] if not NULL. */
static uint32_t fill_zonelist(const struct machine_snapshot *s, const struct node_bounds *b,
                              const quire_node order[], uint32_t nodes, unsigned type,
                              uint16_t out[])
{
    uint32_t count = 0;

    for (uint32_t k = 0; k < nodes; k++)
        for (unsigned c = 0; c < fallback_types[type].count; c++)
            for (uint32_t i = b->first[order[k].n]; i < b->end[order[k].n]; i++) {
                const struct machine_entry *e = &s->entries[i];

                if (e->closing || e->zone->node.n != order[k].n ||
                    (unsigned)e->zone->type != fallback_types[type].type[c])
                    continue;
                if (out)
                    out[count] = (uint16_t)i;
                count++;
            }
    return count;
}

static int make_zonelists(struct quire_machine *m, struct machine_snapshot *s,
                          const struct node_bounds *b, uint32_t node)
{
    quire_node order[QUIRE_NODES];
    uint32_t nodes = quire_topology_order(&s->topology, quire_node_of(node), order);
    struct node_zonelists *l;
    uint32_t total = 0;
    void *p;

    for (unsigned type = 0; type < QUIRE_ZONE_TYPES; type++)
        total += fill_zonelist(s, b, order, nodes, type, NULL);
    p = qi_port_alloc(m, sizeof *l + total * sizeof l->entries[0], quire_node_of(node));
    if (!p)
        return QUIRE_ERR_NO_MEMORY;
    l = (struct node_zonelists *)p;
    l->bytes = sizeof *l + total * sizeof l->entries[0];
    total = 0;
    for (unsigned type = 0; type < QUIRE_ZONE_TYPES; type++) {
        l->first[type] = total;
        l->count[type] = fill_zonelist(s, b, order, nodes, type, l->entries + total);
        total += l->count[type];
    }
    s->lists[node] = l;
    return QUIRE_OK;
}

/* Are the CPUs of `node` local in this entry's zone? */
bool qi_node_is_local(const struct machine_snapshot *s, quire_node node,
                      const struct machine_entry *e)
{
    const unsigned cached =
        1u << QUIRE_ZONE_DMA32 | 1u << QUIRE_ZONE_NORMAL | 1u << QUIRE_ZONE_HUGE;

    if (e->closing)
        return false;
    return (e->zone->node.n == node.n && cached >> e->zone->type & 1) ||
           first_normal_entry(s, node) == (uint32_t)(e - s->entries);
}

/* ---- Making, publishing, ending ------------------------------------------------------------- */

static size_t snapshot_aligned(size_t n)
{
    return (size_t)rounded_up(n, 64);
}

static int fill_snapshot(struct quire_machine *m, struct machine_snapshot *s)
{
    struct node_bounds b;
    int error = QUIRE_OK;

    find_node_bounds(s, &b);
    for (uint32_t n = 0; n < s->topology.node_count && !error; n++)
        error = make_zonelists(m, s, &b, n);
    for (uint32_t i = 0; i < s->entry_count && !error; i++)
        error = qi_zone_cache_choose(m, s, i);
    return error;
}

/* Discard a snapshot that was not published, and the zone caches that were made for it. */
void qi_snapshot_discard(struct quire_machine *m, struct machine_snapshot *s)
{
    for (uint32_t i = 0; i < s->entry_count; i++)
        if (s->entries[i].zone_cache && !qi_zone_cache_is_registered(s->entries[i].zone_cache))
            qi_port_give_back(m, s->entries[i].zone_cache);
    qi_snapshot_release(m, s);
}

/* Make a snapshot of these zones and spans, whose numbers are places in entries[]. After an error
 * nothing is left of it. */
int qi_snapshot_make(struct quire_machine *m, const struct quire_topology *topology,
                     const struct machine_entry entries[], uint32_t count,
                     const struct quire_pfnmap_span spans[], size_t span_count,
                     struct machine_snapshot **made)
{
    struct quire_fault fault;
    size_t map_bytes, entry_bytes = snapshot_aligned(sizeof(struct machine_snapshot) +
                                                     count * sizeof(struct machine_entry));
    size_t span_bytes = snapshot_aligned(span_count * sizeof *spans);
    struct machine_snapshot *s;
    unsigned char *p;
    int error = quire_pfnmap_size(spans, span_count, &map_bytes);

    if (error)
        return error;
    p = (unsigned char *)qi_port_alloc(m, entry_bytes + span_bytes + map_bytes,
                                       count ? entries[0].zone->node : quire_node_of(0));
    if (!p)
        return QUIRE_ERR_NO_MEMORY;
    s = (struct machine_snapshot *)(void *)p;
    s->topology = *topology;
    s->bytes = entry_bytes + span_bytes + map_bytes;
    s->entry_count = count;
    __builtin_memcpy(s->entries, entries, count * sizeof *entries);
    s->spans = (struct quire_pfnmap_span *)(void *)(p + entry_bytes);
    s->span_count = span_count;
    __builtin_memcpy(s->spans, spans, span_count * sizeof *spans);
    error = quire_topology_check(&s->topology, &fault);
    if (!error)
        error =
            quire_pfnmap_init(&s->map, spans, span_count, p + entry_bytes + span_bytes, map_bytes);
    if (!error)
        error = fill_snapshot(m, s);
    if (error)
        qi_snapshot_discard(m, s);
    else
        *made = s;
    return error;
}

/* Open the zone caches of a snapshot, now published, that the one before did not have (Y4). */
static void open_zone_caches(const struct machine_snapshot *old, const struct machine_snapshot *s)
{
    for (uint32_t i = 0; i < s->entry_count; i++) {
        const struct machine_entry *e = &s->entries[i];

        if (e->zone_cache && (!old || e->zone_cache != qi_snapshot_zone_cache(old, e->zone)))
            qi_cache_open(&e->zone_cache->cache);
    }
}

/* Publish a snapshot, the CPUs' views first. */
void qi_snapshot_publish(struct quire_machine *m, struct machine_snapshot *s)
{
    const struct machine_snapshot *old = qi_machine_snapshot(m);

    for (uint32_t i = 0; i < s->entry_count; i++)
        if (!s->entries[i].closing) { /* it may come back */
            s->entries[i].zone->zone_cache = s->entries[i].zone_cache;
            if (s->entries[i].zone_cache)
                qi_zone_cache_register(s->entries[i].zone_cache);
        }
    for (uint32_t cpu = 0; cpu < machine_cpu_end(m); cpu++) {
        quire_node node = node_of_cpu(s, cpu);
        uint32_t first = first_normal_entry(s, node);
        const struct machine_entry *e = first == NO_ENTRY ? NULL : &s->entries[first];
        bool served = m->local && e && cpu < s->topology.cpu_count &&
                      (!m->policy.strict || e->zone->node.n == node.n);

        if (!machine_cpu_of(m, cpu))
            continue;
        /* E-zone-cache release: the cache is made. */
        qa_store(&m->cpu_views[cpu],
                 (uintptr_t)(served ? view_of(&e->zone_cache->cache, cpu) : &qi_no_view), release);
    }
    qi_assert(writer_is_held(m) && s != old);      /* M5 */
    (void)qa_add(&m->snapshots, 1, relaxed);       /* relaxed: a statistic */
    qa_store(&m->snapshot, (uintptr_t)s, release); /* E-snapshot release */
    open_zone_caches(old, s);
}

/* Give a snapshot's memory back. */
void qi_snapshot_release(struct quire_machine *m, struct machine_snapshot *s)
{
    qi_assert(s != qi_machine_snapshot(m)); /* M1 */
    for (uint32_t n = 0; n < QUIRE_NODES; n++)
        qi_port_give_back(m, s->lists[n]);
    qi_port_give_back(m, s);
}

/* ---- Reading -------------------------------------------------------------------------------- */

/* The place of the last span that begins at or below a frame; 0 if none does. */
static size_t span_before(const struct machine_snapshot *s, quire_pfn pfn)
{
    size_t low = 0, high = s->span_count; /* it begins in between, if there is one */

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (s->spans[middle].run.pfn.n <= pfn.n)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Has one of the snapshot's spans this frame? */
static bool is_in_span(const struct machine_snapshot *s, quire_pfn pfn)
{
    size_t i = span_before(s, pfn);

    return i < s->span_count && pfn.n - s->spans[i].run.pfn.n < s->spans[i].run.frames;
}

/* The entry that a frame belongs to, or NULL. The map alone would give the only zone of a section
 * all of it: the holes too, and there may lie a zone that the snapshot does not have yet. A span
 * that has the frame is of the zone that the map names. */
const struct machine_entry *qi_snapshot_find(const struct machine_snapshot *s, quire_pfn pfn)
{
    uint32_t i = quire_pfnmap_zone(&s->map, pfn);

    if (i == QUIRE_PFNMAP_NONE)
        return NULL;
    qi_assert(i < s->entry_count);
    if (window_holds(&s->entries[i].zone->window, pfn) || is_in_span(s, pfn))
        return &s->entries[i];
    return NULL;
}

/* The entry that all frames of a run belong to, but for those in holes; NULL: all lie in holes, or
 * they belong to two. */
const struct machine_entry *qi_snapshot_find_run(const struct machine_snapshot *s,
                                                 struct quire_run run)
{
    const struct machine_entry *e = NULL;

    for (size_t i = span_before(s, run.pfn);
         i < s->span_count && s->spans[i].run.pfn.n < run.pfn.n + run.frames; i++) {
        const struct machine_entry *other = &s->entries[s->spans[i].zone];

        if (s->spans[i].run.pfn.n + s->spans[i].run.frames <= run.pfn.n)
            continue;
        if (e && e != other)
            return NULL;
        e = other;
    }
    return e;
}

/* How many of n frames in a row lie in a range, from `row` on four by four. */
static size_t row_in_range(const quire_pfn pfns[], size_t row, size_t n, uint64_t first,
                           uint64_t frames)
{
    while (n - row >= 4 && pfns[row].n - first < frames && pfns[row + 1].n - first < frames &&
           pfns[row + 2].n - first < frames && pfns[row + 3].n - first < frames)
        row += 4;
    return row;
}

/* How many frames in a row are of entry e, the first one, which is, included. One compare each
 * while they are of the zone's longest span. */
size_t qi_snapshot_row(const struct machine_snapshot *s, const struct machine_entry *e,
                       const quire_pfn pfns[], size_t n)
{
    uint64_t first = e->zone->window.first_block << BLOCK_ORDER,
             frames = e->zone->window.blocks << BLOCK_ORDER;
    size_t row = row_in_range(pfns, 1, n, first, frames);

    while (row < n && (pfns[row].n - first < frames || qi_snapshot_find(s, pfns[row]) == e))
        row++;
    return row;
}

/* The entry of a zone in a snapshot, or NULL. */
const struct machine_entry *qi_snapshot_entry(const struct machine_snapshot *s,
                                              const struct machine_zone *zone)
{
    for (uint32_t i = 0; i < s->entry_count; i++)
        if (s->entries[i].zone == zone)
            return &s->entries[i];
    return NULL;
}

/* The zone cache that a zone has in a snapshot, or NULL. */
struct zone_cache *qi_snapshot_zone_cache(const struct machine_snapshot *s,
                                          const struct machine_zone *zone)
{
    const struct machine_entry *e = qi_snapshot_entry(s, zone);

    return e ? e->zone_cache : NULL;
}

/* Is a CPU local in a zone? The zone has a cache then. */
bool qi_cpu_is_local(const struct machine_snapshot *s, uint32_t cpu, const struct machine_entry *e)
{
    return e->zone_cache && cpu_is_known(s, cpu) && qi_node_is_local(s, node_of_cpu(s, cpu), e);
}

/* Do NORMAL requests of the entry's node ask it first? */
bool qi_entry_is_first(const struct machine_snapshot *s, const struct machine_entry *e)
{
    return first_normal_entry(s, e->zone->node) == (uint32_t)(e - s->entries);
}

/* Does a request go through this zone's caches, and have them drained before it asks the next zone?
 * If the caller's CPU is local, unless the zone must keep its reserve from it. */
bool qi_entry_is_near(const struct machine_reader *r, const struct machine_entry *e,
                      const struct quire_request *request)
{
    return qi_cpu_is_local(r->snapshot, r->cpu, e) &&
           !(qi_entry_flags(r, e, request) & QUIRE_FALLBACK);
}

/* The flags with which a request asks a zone. A scarcer zone than it asked for must keep its
 * reserve, unless it is the first one of the caller's node. */
uint32_t qi_entry_flags(const struct machine_reader *r, const struct machine_entry *e,
                        const struct quire_request *request)
{
    const struct machine_snapshot *s = r->snapshot;
    uint32_t flags = request->flags & ~(uint32_t)QUIRE_COMPACT;

    if (e->zone->type >= request_type(request) ||
        first_normal_entry(s, node_of_cpu(s, r->cpu)) == (uint32_t)(e - s->entries))
        return flags;
    return flags | QUIRE_FALLBACK;
}
