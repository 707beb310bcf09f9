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
 * for each CPU of each zone that has something cached, in local mode with a call of the port for
 * it, unless the caller wants neither.
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
    int (*drain)(struct quire_cache * c, uint32_t cpu) =
        retire ? qi_cache_drain_retiring : quire_cache_drain;

    if (e->zone_cache)
        (void)drain(&e->zone_cache->cache, cpu);
    if (e->previous)
        (void)drain(&e->previous->cache, cpu);
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

void quire_machine_answer(struct quire_machine *m)
{
    struct machine_reader r;
    uintptr_t closing;

    if (m->wanted_mode != QUIRE_CACHE_LOCAL)
        return;
    qi_machine_enter(m, &r);
    for (uint32_t i = 0; i < r.snapshot->entry_count; i++) {
        const struct machine_entry *e = &r.snapshot->entries[i];

        if (e->zone_cache)
            quire_cache_answer(&e->zone_cache->cache);
        if (e->previous)
            quire_cache_answer(&e->previous->cache);
    }
    /* relaxed: it was made before the snapshot that does not have it, and that is ours or older */
    closing = (uintptr_t)qa_load(&m->closing_cache, relaxed);
    if (closing)
        quire_cache_answer(&((struct zone_cache *)closing)->cache);
    qi_machine_leave(&r);
}

uint64_t quire_machine_maintain(struct quire_machine *m)
{
    struct machine_reader r;
    uint64_t frames, nodes;

    qi_machine_enter(m, &r);
    frames = qi_remote_drain_all(&r, true);
    for (uint32_t i = 0; i < r.snapshot->entry_count; i++)
        if (r.snapshot->entries[i].zone_cache)
            frames += quire_cache_maintain(&r.snapshot->entries[i].zone_cache->cache);
    qi_machine_give_idle(&r);
    nodes = qi_keep_short(&r);
    qi_machine_leave(&r);
    qi_machine_keep_whole(m, nodes);
    return frames;
}
