/* SPDX-License-Identifier: MIT
 *
 * numa.cpp - the real sources of numa's machine and topology, compiled as C++ over Relacy's
 * atomics. White-box.
 *
 * Left out are the planning of compactions, for requests and for maintenance, in place of which
 * functions stand that do nothing (whose isolation it is: ../hold.cpp), firmware's tables, bringup
 * and figures.
 *
 * Every reader of the snapshot tells the world when it has come in, and when it is about to leave;
 * and so does who reads a CPU's view or struct, a zone that a remote magazine names or its window,
 * or the limit of its newest cache, all of which are plain memory.
 */
#include "numa.hpp"

template <typename T> static T *told(T *p)
{
    memory_read(p);
    return p;
}

#define machine_cpu_at(m, cpu)      told(machine_cpu_at(m, cpu))
#define serving_zone_of(remote)     told(serving_zone_of(remote))
#define remote_zone_of(remote)      told(remote_zone_of(remote))
#define machine_cpu_of(m, cpu)      told(machine_cpu_of(m, cpu))
#define machine_view_of(m, cpu)     told(machine_view_of(m, cpu))
#define zone_sparse_limit(z)        told(zone_sparse_limit(z))
#define window_find(w, pfn)         window_find(told(w), pfn)
#define window_holds(w, pfn)        window_holds(told(w), pfn)
#define machine_enter_on(m, cpu, r) (machine_enter_on(m, cpu, r), reader_entered(r))
#define machine_leave(r)            (reader_leaves(r), machine_leave(r))

#include "numa_sources.inc"

/* ---- What is left out ----------------------------------------------------------------------- */

int qi_compact_make_work(struct quire_machine *m)
{
    (void)m;
    return QUIRE_OK;
}

bool qi_compact_for_request(struct quire_machine *m, const struct quire_request *request,
                            quire_node node)
{
    (void)m;
    (void)request;
    (void)node;
    return false;
}

bool qi_keep_makes_sense(const struct quire_keep *keep)
{
    (void)keep;
    return true;
}

void qi_keep_set(struct machine_keep *k, const struct quire_keep *keep)
{
    (void)k;
    (void)keep;
}

uint64_t qi_keep_short(const struct machine_reader *r)
{
    (void)r;
    return 0;
}

void qi_machine_keep_whole(struct quire_machine *m, uint64_t nodes)
{
    (void)m;
    (void)nodes;
}

void qi_zone_cache_save_hits(struct quire_machine *m, const struct machine_snapshot *s,
                             const struct zone_cache *h)
{
    (void)m;
    (void)s;
    (void)h;
}
