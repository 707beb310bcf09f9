/* SPDX-License-Identifier: MIT
 *
 * standin.c - the little of numa/ that the kernel needs, until numa/ is there.
 */
#include "memory.h"
#include "text.h"

#include <quire/machine.h>

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
        struct quire_cache_config c = {config->zones[i].zone, config->mode,
                                       mm->t->cpu_count,      config->rounds,
                                       config->huge_rounds,   QUIRE_CACHE_SIZE_AUTO};
        size_t n;
        int error = quire_cache_size(&c, &n);
        if (!error)
            error = quire_cache_init(&mm->caches[i], &c,
                                     config->port.memory(NULL, n, config->zones[i].node), n);
        if (error)
            return error;
    }
    *machine = mm;
    return 0;
}

int quire_machine_request(struct quire_machine *m, const struct quire_request *r, quire_pfn *pfn,
                          struct quire_refusal *why)
{
    quire_node order[QUIRE_NODES], node = r->node;
    uint32_t n;
    int error = QUIRE_ERR_NO_MEMORY;
    (void)why;
    if (node.n == QUIRE_NO_NODE)
        node.n = m->t->cpu_node[memory_slot().n];
    n = quire_topology_order(m->t, node, order);
    for (int type = (int)r->zone; type >= 0; type--)
        for (uint32_t i = 0;
             i < n && (i == 0 || !r->policy || r->policy->mode != QUIRE_POLICY_BIND); i++)
            for (uint32_t z = 0; z < m->zones; z++)
                if (memory.plan.zones[z].node == order[i].n &&
                    (int)memory.plan.zones[z].config.type == type) {
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

int quire_machine_find(struct quire_machine *m, quire_pfn pfn, quire_node *node,
                       struct quire_zone **zone)
{
    (void)m;
    *zone = memory_zone(pfn);
    if (!*zone)
        return QUIRE_ERR_FRAME;
    node->n = memory.plan.zones[*zone - memory.zones].node;
    return 0;
}

int quire_machine_alloc_batch(struct quire_machine *m, const struct quire_request *r, size_t n,
                              quire_pfn pfns[], size_t *got, struct quire_refusal *why)
{
    struct quire_zone *z = memory_zone_of(r->node.n, QUIRE_ZONE_NORMAL);
    (void)m, (void)why;
    if (!z)
        z = memory_zone_of(r->node.n, QUIRE_ZONE_DMA32);
    return quire_zone_alloc_batch(z, memory_slot(), r->flags, n, pfns, got);
}

int quire_machine_free_batch(struct quire_machine *m, const quire_pfn pfns[], size_t n,
                             size_t *freed)
{
    (void)m;
    *freed = n;
    return quire_zone_free_batch(memory_zone(pfns[0]), memory_slot(), pfns, n, NULL);
}
