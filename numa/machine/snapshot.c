/* SPDX-License-Identifier: MIT
 *
 * snapshot.c - a snapshot of the machine: which zones there are, who asks which first, and
 * who is at home where.
 *
 * Zonelists: for each node and purpose, node by node as quire_topology_order says, and within a
 * node from the purpose asked for to scarcer ones, so that memory which only some can use is kept
 * for them. Zones of one node and type stay in the order in which they were put into service. Each
 * node's lists lie on that node, the rest in one piece on the first zone's.
 *
 * A CPU is at home in the Normal, DMA32 and Huge zones of its own node and, wherever that lies, in
 * the zone that its NORMAL requests ask first; so the CPUs of a node without memory have a cache
 * too. Which cache a zone gets for them is zone_caches.c's affair.
 *
 * Writer only, but the functions at the end, which read: wait-free, any context.
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

/* The list of a purpose for who asks the nodes in this order, into out[] if not NULL. */
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

/* The entry that NORMAL requests of a node ask first. */
static uint32_t first_normal_entry(const struct machine_snapshot *s, quire_node node)
{
    const struct node_zonelists *l = s->lists[node.n];

    return l->count[QUIRE_ZONE_NORMAL] ? l->entries[l->first[QUIRE_ZONE_NORMAL]] : NO_ENTRY;
}

/* Are the CPUs of `node` at home in this entry's zone? */
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
    return (n + 63) / 64 * 64;
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

/* Take a snapshot back that was not published, with the homes that were made for it. */
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
    struct quire_topology_fault fault;
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

/* Open the homes of a snapshot that did not serve in the one before, if there was one (Y4). */
static void open_zone_caches(const struct machine_snapshot *old, const struct machine_snapshot *s)
{
    for (uint32_t i = 0; i < s->entry_count; i++) {
        const struct machine_entry *e = &s->entries[i];

        if (e->zone_cache && (!old || e->zone_cache != qi_snapshot_zone_cache(old, e->zone)))
            qi_cache_open(&e->zone_cache->cache);
    }
}

/* Put a snapshot in force, the CPUs' views first. */
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
        /* E-zone-cache release: the home is made. */
        qa_store(&m->cpu_views[cpu], served ? (uintptr_t)view_of(&e->zone_cache->cache, cpu) : 0,
                 release);
    }
    (void)qa_add(&m->snapshots, 1, relaxed);       /* relaxed: a statistic */
    qa_store(&m->snapshot, (uintptr_t)s, release); /* E-snapshot release */
    open_zone_caches(old, s);
}

/* Give a snapshot's memory back. */
void qi_snapshot_release(struct quire_machine *m, struct machine_snapshot *s)
{
    for (uint32_t n = 0; n < QUIRE_NODES; n++)
        qi_port_give_back(m, s->lists[n]);
    qi_port_give_back(m, s);
}

/* ---- Reading -------------------------------------------------------------------------------- */

/* The entry that a frame belongs to, or NULL. */
const struct machine_entry *qi_snapshot_find(const struct machine_snapshot *s, quire_pfn pfn)
{
    uint32_t i = quire_pfnmap_zone(&s->map, pfn);

    return i == QUIRE_PFNMAP_NONE ? NULL : &s->entries[i];
}

/* How many frames in a row, from the second one on, are of entry e as the first one is. One compare
 * each while they are of the zone's longest span. */
size_t qi_snapshot_row(const struct machine_snapshot *s, const struct machine_entry *e,
                       const quire_pfn pfns[], size_t n)
{
    uint64_t first = e->zone->first_block << BLOCK_ORDER, frames = e->zone->blocks << BLOCK_ORDER;
    size_t row = 1;

    while (row < n && (pfns[row].n - first < frames || qi_snapshot_find(s, pfns[row]) == e))
        row++;
    return row;
}

/* The home that a zone has in a snapshot, or NULL. */
struct zone_cache *qi_snapshot_zone_cache(const struct machine_snapshot *s,
                                          const struct machine_zone *zone)
{
    for (uint32_t i = 0; i < s->entry_count; i++)
        if (s->entries[i].zone == zone)
            return s->entries[i].zone_cache;
    return NULL;
}

/* Is a CPU at home in a zone, which has a cache then? */
bool qi_cpu_is_local(const struct machine_snapshot *s, uint32_t cpu, const struct machine_entry *e)
{
    return e->zone_cache && cpu < s->topology.cpu_count &&
           qi_node_is_local(s, node_of_cpu(s, cpu), e);
}

/* Do NORMAL requests of the entry's node ask it first? */
bool qi_entry_is_first(const struct machine_snapshot *s, const struct machine_entry *e)
{
    return first_normal_entry(s, e->zone->node) == (uint32_t)(e - s->entries);
}

/* The zone's slot that a CPU uses: CPUs at home have slots of their own where there are enough. */
quire_slot qi_entry_slot(const struct machine_entry *e, uint32_t cpu)
{
    if (e->zone_cache)
        return slot_of_cpu(&e->zone_cache->cache, cpu - e->zone_cache->cache.first_cpu);
    return quire_slot_of(cpu % e->zone->zone.slots);
}

/* Does a request go through this zone's caches, and have them drained before it asks the next zone?
 * If the caller's CPU is local, unless the zone must keep its reserve from it. */
bool qi_entry_is_near(const struct machine_reader *r, const struct machine_entry *e,
                      const struct quire_request *request)
{
    return qi_cpu_is_local(r->snapshot, r->cpu, e) &&
           !(qi_entry_flags(r, e, request) & QUIRE_FALLBACK);
}

/* The flags with which a request asks a zone. A scarcer one than it asked for must keep its
 * reserve, unless it is what the caller's node has to begin with. */
uint32_t qi_entry_flags(const struct machine_reader *r, const struct machine_entry *e,
                        const struct quire_request *request)
{
    const struct machine_snapshot *s = r->snapshot;

    if (e->zone->type >= request->zone ||
        first_normal_entry(s, node_of_cpu(s, r->cpu)) == (uint32_t)(e - s->entries))
        return request->flags;
    return request->flags | QUIRE_FALLBACK;
}
