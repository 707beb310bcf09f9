/* SPDX-License-Identifier: MIT
 *
 * standin.c - the little of numa/ that the kernel needs, until numa/ is there.
 */
#include "memory.h"
#include "text.h"

#include <quire/acpi.h>
#include <quire/machine.h>

void quire_topology_init(struct quire_topology *t)
{
    memset(t, 0, sizeof *t);
}

int quire_topology_add_node(struct quire_topology *t, uint32_t id, quire_node *node)
{
    for (node->n = 0; node->n < t->node_count; node->n++)
        if (t->node_id[node->n] == id)
            return 0;
    if (t->node_count == QUIRE_NODES)
        return QUIRE_ERR_SIZE;
    t->node_id[t->node_count++] = id;
    return 0;
}

int quire_topology_add_cpu(struct quire_topology *t, uint32_t id, quire_node node)
{
    for (uint32_t i = 0; i < t->cpu_count; i++)
        if (t->cpu_id[i] == id) {
            if (node.n != QUIRE_NO_NODE)
                t->cpu_node[i] = node.n;
            return 0;
        }
    t->cpu_id[t->cpu_count] = id;
    t->cpu_node[t->cpu_count++] = node.n;
    return 0;
}

int quire_topology_add_memory(struct quire_topology *t, uint64_t phys, uint64_t bytes,
                              quire_node node, enum quire_memory_kind kind)
{
    t->ranges[t->range_count++] = (struct quire_topology_memory){phys, bytes, node, kind};
    return 0;
}

int quire_topology_check(struct quire_topology *t, struct quire_topology_fault *fault)
{
    (void)fault;
    for (uint32_t i = 0; i < t->cpu_count; i++)
        if (t->cpu_node[i] == QUIRE_NO_NODE)
            t->cpu_node[i] = 0;
    for (uint32_t i = 0; i < t->node_count; i++)
        for (uint32_t j = 0; j < t->node_count; j++)
            if (!t->distance[i][j])
                t->distance[i][j] = i == j ? 10 : 20;
    return 0;
}

quire_nodemask quire_topology_with_memory(const struct quire_topology *t)
{
    quire_nodemask m = {0};
    for (uint32_t i = 0; i < t->range_count; i++)
        m.bits |= 1ul << t->ranges[i].node.n;
    return m;
}

quire_nodemask quire_topology_with_cpus(const struct quire_topology *t)
{
    quire_nodemask m = {0};
    for (uint32_t i = 0; i < t->cpu_count; i++)
        m.bits |= 1ul << t->cpu_node[i];
    return m;
}

uint32_t quire_topology_order(const struct quire_topology *t, quire_node from,
                              quire_node order[QUIRE_NODES])
{
    uint32_t n = 0;
    for (unsigned d = 10; d < 255; d++)
        for (uint32_t i = 0; i < t->node_count; i++) {
            uint32_t at = (from.n + i) % t->node_count;
            if (t->distance[from.n][at] == d)
                order[n++].n = at;
        }
    return n;
}

static uint32_t get32(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get64(const unsigned char *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

int quire_acpi_find(uint64_t rsdp, const char signature[4], quire_acpi_map *map, void *ctx,
                    const void **table, size_t *length, struct quire_topology_fault *fault)
{
    const unsigned char *r = map(ctx, rsdp, 36), *root;
    bool x = r[15] >= 2;
    unsigned w = x ? 8 : 4;
    (void)fault;
    root = map(ctx, x ? get64(r + 24) : get32(r + 16), 36);
    for (unsigned at = 36; at + w <= get32(root + 4); at += w) {
        const unsigned char *t = map(ctx, x ? get64(root + at) : get32(root + at), 36);
        if (!t)
            return QUIRE_ERR_NO_MEMORY;
        if (text_equal((const char *)t, 4, (char[]){signature[0], signature[1], signature[2], signature[3], 0})) {
            *table = t;
            *length = get32(t + 4);
            return 0;
        }
    }
    return QUIRE_ERR_FRAME;
}

int quire_acpi_read(struct quire_topology *t, const void *table, size_t bytes,
                    struct quire_topology_fault *fault)
{
    const unsigned char *p = table, *end = p + bytes;
    quire_node node = {QUIRE_NO_NODE};
    (void)fault;
    if (p[0] == 'A') {
        for (p += 44; p < end; p += p[1])
            if (p[0] == 0 && get32(p + 4) & 1)
                quire_topology_add_cpu(t, p[3], node);
    } else if (p[0] == 'S' && p[1] == 'R') {
        for (p += 48; p < end; p += p[1])
            if (p[0] == 0 && get32(p + 4) & 1) {
                quire_topology_add_node(t, p[2] | (uint32_t)p[9] << 8, &node);
                quire_topology_add_cpu(t, p[3], node);
            } else if (p[0] == 1 && get32(p + 28) & 1 && get64(p + 16)) {
                quire_topology_add_node(t, get32(p + 2), &node);
                quire_topology_add_memory(t, get64(p + 8), get64(p + 16), node,
                                          get32(p + 28) & 2 ? QUIRE_MEMORY_HOTPLUG : 0);
            }
    } else if (p[0] == 'S') {
        uint64_t n = get64(p + 36);
        for (uint32_t i = 0; i < t->node_count; i++)
            for (uint32_t j = 0; j < t->node_count; j++)
                t->distance[i][j] = p[44 + t->node_id[i] * n + t->node_id[j]];
    }
    return 0;
}

struct quire_machine {
    const struct quire_topology *t;
    struct quire_cache caches[ZONES_MAX];
    uint32_t zones;
};

int quire_machine_size(const struct quire_machine_config *config, size_t *bytes)
{
    (void)config;
    *bytes = sizeof(struct quire_machine);
    return 0;
}

int quire_machine_init(const struct quire_machine_config *config, void *m, size_t bytes,
                       struct quire_machine **machine)
{
    struct quire_machine *mm = m;
    (void)bytes;
    mm->t = config->topology;
    mm->zones = (uint32_t)config->zone_count;
    for (uint32_t i = 0; i < config->zone_count; i++) {
        struct quire_cache_config c = {config->zones[i].zone, config->mode, mm->t->cpu_count, config->rounds, config->huge_rounds, QUIRE_CACHE_SIZE_AUTO};
        size_t n;
        int error = quire_cache_size(&c, &n);
        if (!error)
            error = quire_cache_init(&mm->caches[i], &c, config->port.memory(NULL, n, config->zones[i].node), n);
        if (error)
            return error;
    }
    *machine = mm;
    return 0;
}

int quire_machine_request(struct quire_machine *m, const struct quire_request *r, quire_pfn *pfn, struct quire_refusal *why)
{
    quire_node order[QUIRE_NODES], node = r->node;
    uint32_t n;
    int error = QUIRE_ERR_NO_MEMORY;
    (void)why;
    if (node.n == QUIRE_NO_NODE)
        node.n = m->t->cpu_node[memory_slot().n];
    n = quire_topology_order(m->t, node, order);
    for (int type = (int)r->zone; type >= 0; type--)
        for (uint32_t i = 0; i < n && (i == 0 || !r->policy || r->policy->mode != QUIRE_POLICY_BIND); i++)
            for (uint32_t z = 0; z < m->zones; z++)
                if (memory.plan.zones[z].node == order[i].n && (int)memory.plan.zones[z].config.type == type) {
                    error = quire_cache_alloc(&m->caches[z], r->order, r->flags, pfn);
                    if (error != QUIRE_ERR_NO_MEMORY)
                        return error;
                }
    return error;
}

int quire_machine_alloc(struct quire_machine *m, unsigned order, uint32_t flags, quire_pfn *pfn)
{
    struct quire_request r = {order, flags, QUIRE_ZONE_NORMAL, {QUIRE_NO_NODE}, NULL};
    return quire_machine_request(m, &r, pfn, NULL);
}

int quire_machine_free(struct quire_machine *m, quire_pfn pfn, unsigned order)
{
    struct quire_zone *z = memory_zone(pfn);
    return z ? quire_cache_free(&m->caches[z - memory.zones], pfn, order) : QUIRE_ERR_FRAME;
}

int quire_machine_drain(struct quire_machine *m)
{
    for (uint32_t i = 0; i < m->zones; i++)
        quire_cache_drain_all(&m->caches[i]);
    return 0;
}

int quire_machine_drain_cpu(struct quire_machine *m, uint32_t cpu)
{
    for (uint32_t i = 0; i < m->zones; i++)
        quire_cache_drain(&m->caches[i], cpu);
    return 0;
}

int quire_machine_find(struct quire_machine *m, quire_pfn pfn, quire_node *node, struct quire_zone **zone)
{
    (void)m;
    *zone = memory_zone(pfn);
    if (!*zone)
        return QUIRE_ERR_FRAME;
    node->n = memory.plan.zones[*zone - memory.zones].node;
    return 0;
}
