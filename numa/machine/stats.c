/* SPDX-License-Identifier: MIT
 *
 * stats.c - figures of nodes and of the machine, and what can be asked of a snapshot.
 *
 * Sums over CPUs and zones, read beside all else: exact while nobody uses the machine, otherwise
 * each word as currently read. Wait-free, any context; frames in a remote magazine that is taken
 * are left out of a node's figures.
 */
#include "numa/machine/machine.h"

/* Frames in a cache of a zone, if there is one. */
static uint64_t cached_frames_in(const struct zone_cache *zone_cache)
{
    struct quire_cache_stats stats;
    uint64_t sum = 0;

    if (!zone_cache)
        return 0;
    (void)quire_cache_stats(&zone_cache->cache, &stats);
    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++)
        sum += stats.cached[i] + stats.depot[i];
    return sum;
}

static void add_zone_stats(const struct machine_entry *e, struct quire_node_stats *stats)
{
    unsigned pressure = quire_zone_pressure(&e->zone->zone);

    stats->managed += quire_zone_managed(&e->zone->zone);
    stats->free += quire_zone_free_frames(&e->zone->zone);
    stats->gone += quire_zone_gone_frames(&e->zone->zone);
    stats->cached += cached_frames_in(e->zone_cache) + cached_frames_in(e->previous);
    stats->pressure = stats->pressure > pressure ? stats->pressure : pressure;
    stats->zones++;
}

/* Hits of a CPU in a zone cache (K6 of percpu/cpu_cache.h). */
uint64_t qi_zone_cache_hits(const struct zone_cache *h, uint32_t cpu)
{
    uint32_t mine = cpu - h->cache.first_cpu;
    uint64_t sum = 0;

    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES && mine < h->cache.cpus; i++)
        sum += cpu_cache_pops(cpu_cache_of(&h->cache, mine, i));
    return sum;
}

/* A zone cache was closed: add its hits to the CPUs' own counts. If it serves again it begins at
 * 0. */
void qi_zone_cache_save_hits(struct quire_machine *m, const struct machine_snapshot *s,
                             const struct zone_cache *h)
{
    for (uint32_t mine = 0; mine < h->cache.cpus; mine++) {
        uint32_t cpu = h->cache.first_cpu + mine;
        bool local = node_of_cpu(s, cpu).n == h->zone->node.n;
        /* A CPU of the range that the topology does not know may have had hits all the same, of a
         * thread that moved there meanwhile. CPU 0 counts for it. */
        struct machine_cpu *mcpu = machine_cpu_of(m, machine_cpu_of(m, cpu) ? cpu : 0);
        uint64_t hits = 0;

        for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++)
            hits += cpu_cache_reset_pops(cpu_cache_of(&h->cache, mine, i));
        if (!hits)
            continue;
        /* relaxed: a figure */
        (void)qa_add(&mcpu->counts[h->zone->node.n][QUIRE_NODE_HIT], hits, relaxed);
        if (!local)
            /* relaxed: a figure */
            (void)qa_add(&mcpu->counts[h->zone->node.n][QUIRE_NODE_OTHER], hits, relaxed);
    }
}

/* Add a zone's hits to its node's counts. */
static void add_cache_hits(const struct machine_snapshot *s, const struct zone_cache *h,
                           struct quire_node_stats *stats)
{
    for (uint32_t mine = 0; mine < h->cache.cpus; mine++) {
        uint32_t cpu = h->cache.first_cpu + mine;
        uint64_t hits = qi_zone_cache_hits(h, cpu);

        stats->counts[QUIRE_NODE_HIT] += hits;
        if (node_of_cpu(s, cpu).n != h->zone->node.n)
            stats->counts[QUIRE_NODE_OTHER] += hits;
    }
}

static void add_cpu_stats(const struct machine_snapshot *s, struct machine_cpu *mcpu, uint32_t node,
                          struct quire_node_stats *stats)
{
    uint64_t pops;

    stats->remote += qi_remote_frames(s, mcpu, node);
    for (unsigned i = 0; i < QUIRE_NODE_COUNTS; i++)
        stats->counts[i] += qa_load(&mcpu->counts[node][i], relaxed); /* relaxed: a figure */
    pops = qi_remote_pops(mcpu, node);
    stats->counts[QUIRE_NODE_HIT] += pops;
    stats->counts[QUIRE_NODE_OTHER] += pops;
}

/* What was given from the node, and not to a CPU of another one. */
static void derive_local(struct quire_node_stats *stats)
{
    uint64_t given = stats->counts[QUIRE_NODE_HIT] + stats->counts[QUIRE_NODE_MISS];
    uint64_t other = stats->counts[QUIRE_NODE_OTHER];

    stats->counts[QUIRE_NODE_LOCAL] = given > other ? given - other : 0; /* not of one moment */
}

int quire_machine_node_stats(struct quire_machine *m, quire_node node,
                             struct quire_node_stats *stats)
{
    struct machine_reader r;
    int error = QUIRE_ERR_NODE;

    qi_machine_enter(m, &r);
    if (node.n < r.snapshot->topology.node_count) {
        __builtin_memset(stats, 0, sizeof *stats);
        for (uint32_t i = 0; i < r.snapshot->entry_count; i++)
            if (r.snapshot->entries[i].zone->node.n == node.n) {
                add_zone_stats(&r.snapshot->entries[i], stats);
                if (r.snapshot->entries[i].zone_cache)
                    add_cache_hits(r.snapshot, r.snapshot->entries[i].zone_cache, stats);
            }
        for (uint32_t cpu = 0; cpu < machine_cpu_end(m); cpu++)
            if (machine_cpu_of(m, cpu))
                add_cpu_stats(r.snapshot, machine_cpu_of(m, cpu), node.n, stats);
        derive_local(stats);
        error = QUIRE_OK;
    }
    qi_machine_leave(&r);
    return error;
}

int quire_machine_stats(struct quire_machine *m, struct quire_machine_stats *stats)
{
    const struct machine_snapshot *s;
    struct quire_node_stats sum = {0};
    struct machine_reader r;

    __builtin_memset(stats, 0, sizeof *stats);
    qi_machine_enter(m, &r);
    s = r.snapshot;
    stats->metadata_bytes = sizeof *m + qa_load(&m->chunk_bytes, relaxed); /* relaxed: a figure */
    for (uint32_t i = 0; i < s->entry_count; i++) {
        add_zone_stats(&s->entries[i], &sum);
        stats->metadata_bytes += quire_zone_metadata_bytes(&s->entries[i].zone->zone);
    }
    for (uint32_t n = 0; n < s->topology.node_count; n++)
        stats->zonelist_bytes += s->lists[n]->bytes;
    for (uint32_t cpu = 0; cpu < machine_cpu_end(m); cpu++)
        if (machine_cpu_of(m, cpu))
            stats->remote += qi_remote_frames_about(machine_cpu_of(m, cpu));
    stats->managed = sum.managed;
    stats->free = sum.free;
    stats->gone = sum.gone;
    stats->cached = sum.cached;
    stats->snapshots = qa_load(&m->snapshots, relaxed); /* relaxed: a figure */
    stats->reclaims = qa_load(&m->reclaims, relaxed);   /* relaxed: a figure */
    qi_machine_leave(&r);
    return QUIRE_OK;
}

int quire_machine_find(struct quire_machine *m, quire_pfn pfn, quire_node *node,
                       struct quire_zone **zone)
{
    struct machine_reader r;
    const struct machine_entry *e = machine_enter_at(m, pfn, &r);

    if (e && quire_zone_holds(&e->zone->zone, pfn)) {
        *node = e->zone->node;
        *zone = e->zone->given;
    } else {
        e = NULL;
    }
    qi_machine_leave(&r);
    return e ? QUIRE_OK : QUIRE_ERR_FRAME;
}

int quire_machine_zonelist(struct quire_machine *m, quire_node node, enum quire_zone_type type,
                           struct quire_zonelist_entry entries[], size_t room, size_t *count)
{
    const struct node_zonelists *l;
    struct machine_reader r;
    int error = QUIRE_ERR_NODE;

    if ((unsigned)type >= QUIRE_ZONE_TYPES)
        return QUIRE_ERR_UNSUPPORTED;
    qi_machine_enter(m, &r);
    if (node.n < r.snapshot->topology.node_count) {
        l = r.snapshot->lists[node.n];
        *count = l->count[type];
        for (size_t i = 0; i < *count && i < room; i++) {
            const struct machine_entry *e = &r.snapshot->entries[l->entries[l->first[type] + i]];

            entries[i].node = e->zone->node;
            entries[i].type = e->zone->type;
            entries[i].zone = e->zone->zone.head->id;
        }
        error = QUIRE_OK;
    }
    qi_machine_leave(&r);
    return error;
}

void quire_machine_topology(struct quire_machine *m, struct quire_topology *topology)
{
    struct machine_reader r;

    qi_machine_enter(m, &r);
    *topology = r.snapshot->topology;
    qi_machine_leave(&r);
}
