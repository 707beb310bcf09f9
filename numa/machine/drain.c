/* SPDX-License-Identifier: MIT
 *
 * drain.c - drains: frames leave the caches and remote magazines for their zones, when they are
 * asked to, when a CPU goes away, and now and then.
 *
 * A drain runs beside everything. It is complete for what was cached before it began, but for CPU
 * caches and magazines that are taken meanwhile: it passes these by, as nothing waits for another
 * thread. What is pushed while it runs may stay.
 *
 * Lock-free and bounded by the number of CPUs times zones; in rseq mode with one membarrier call
 * for each CPU of each zone that has something cached, unless the caller wants no system call.
 */
#include "numa/machine/machine.h"

/* Drain the caches of a zone: the one in service, and the one that it replaces as long as the
 * writer has not closed that (Y1). */
void qi_entry_drain(const struct machine_entry *e, bool no_syscall)
{
    if (e->zone_cache)
        qi_cache_drain_whole(&e->zone_cache->cache, no_syscall);
    if (e->previous)
        qi_cache_drain_whole(&e->previous->cache, no_syscall);
}

/* Drain a zone's caches and all remote magazines, for who empties a range of it. The caller is no
 * reader. */
void qi_machine_drain_zone(struct quire_machine *m, const struct machine_entry *e)
{
    struct machine_reader r;

    qi_machine_enter(m, &r);
    (void)qi_remote_drain_all(&r, false);
    qi_entry_drain(e, false);
    qi_machine_leave(&r);
}

/* Drain what a CPU holds of one zone; retire its slot as well if asked to. */
static void drain_entry_cpu(const struct machine_entry *e, uint32_t cpu, bool retire)
{
    if (e->zone_cache)
        (void)quire_cache_drain(&e->zone_cache->cache, cpu);
    if (e->previous)
        (void)quire_cache_drain(&e->previous->cache, cpu);
    if (retire)
        (void)quire_zone_retire_slot(&e->zone->zone, entry_slot(e, cpu));
}

static int drain_machine_cpu(struct quire_machine *m, uint32_t cpu, bool retire)
{
    struct machine_reader r;
    int error = QUIRE_ERR_SIZE;

    qi_machine_enter(m, &r);
    if (cpu < r.snapshot->topology.cpu_count) {
        (void)qi_remote_drain(&r, cpu, false);
        for (uint32_t i = 0; i < r.snapshot->entry_count; i++)
            drain_entry_cpu(&r.snapshot->entries[i], cpu, retire);
        error = QUIRE_OK;
    }
    qi_machine_leave(&r);
    return error;
}

int quire_machine_drain_cpu(struct quire_machine *m, uint32_t cpu)
{
    return drain_machine_cpu(m, cpu, false);
}

int quire_machine_retire_cpu(struct quire_machine *m, uint32_t cpu)
{
    return drain_machine_cpu(m, cpu, true);
}

/* Drain the zones of a node, or of all (QUIRE_NO_NODE). */
static int drain_nodes(struct quire_machine *m, quire_node node)
{
    struct machine_reader r;
    int error = QUIRE_ERR_NODE;

    qi_machine_enter(m, &r);
    if (node.n == QUIRE_NO_NODE || node.n < r.snapshot->topology.node_count) {
        (void)qi_remote_drain_all(&r, false);
        for (uint32_t i = 0; i < r.snapshot->entry_count; i++) {
            const struct machine_entry *e = &r.snapshot->entries[i];

            if (node.n == QUIRE_NO_NODE || node.n == e->zone->node.n)
                qi_entry_drain(e, false);
        }
        error = QUIRE_OK;
    }
    qi_machine_leave(&r);
    return error;
}

int quire_machine_drain_node(struct quire_machine *m, quire_node node)
{
    return node.n == QUIRE_NO_NODE ? QUIRE_ERR_NODE : drain_nodes(m, node);
}

int quire_machine_drain(struct quire_machine *m)
{
    return drain_nodes(m, quire_node_of(QUIRE_NO_NODE));
}

uint64_t quire_machine_maintain(struct quire_machine *m)
{
    struct machine_reader r;
    uint64_t frames;

    qi_machine_enter(m, &r);
    frames = qi_remote_drain_all(&r, true);
    for (uint32_t i = 0; i < r.snapshot->entry_count; i++)
        if (r.snapshot->entries[i].zone_cache)
            frames += quire_cache_maintain(&r.snapshot->entries[i].zone_cache->cache);
    qi_machine_leave(&r);
    return frames;
}
