/* SPDX-License-Identifier: MIT
 *
 * machine_remote.c - remote magazines: single frames that a CPU frees and that are not at home in
 * its cache. They go back to their zones in batches, so the cache never fills with other nodes'
 * frames, and their zones' lines are not fetched for each of them.
 *
 *   V1  Whoever turned `present` from 1 to 0 owns the magazine until he stores 1, as a rack in
 *       exchange mode. Who finds it taken frees into the zone.
 *   V2  count <= REMOTE_ROUNDS. Every frame in it looked allocated when it came.
 *
 * Frames in a remote magazine count as allocated in their zone. They go home when the magazine is
 * full, before a request is refused, when it was not touched between two maintenances, and by the
 * drains. A frame that was freed twice is told to its zone's port then.
 *
 * Lock-free, any context.
 */
#include "numa/machine.h"

#include "core/block.h"

static bool take(struct machine_cpu *line)
{
    return qa_xchg(&line->present, 0, acquire) == 1; /* V2 acquire: pairs V1: the rounds */
}

static void put(struct machine_cpu *line)
{
    qa_store(&line->present, 1, release); /* V1 release: pairs V2: the rounds */
}

/* Take all frames of pfns[first]'s zone out of pfns[first .. n-1] and free them; the others move
 * together. Returns how many stay. */
static uint32_t deliver_one(const struct machine_reader *r, quire_pfn pfns[], uint32_t n,
                            uint64_t *freed)
{
    const struct machine_entry *e = quire_snapshot_find(r->snapshot, pfns[0]);
    quire_pfn batch[REMOTE_ROUNDS];
    uint32_t k = 0, rest = 0;

    for (uint32_t i = 0; i < n; i++)
        if (quire_snapshot_find(r->snapshot, pfns[i]) == e)
            batch[k++] = pfns[i];
        else
            pfns[rest++] = pfns[i];
    if (e) /* always: a zone that has frames here is not empty, so it is still there */
        *freed += quire_frames_return(&e->zone->zone, quire_entry_slot(e, r->cpu), batch, k);
    return rest;
}

/* Send home what a magazine in our hands holds. */
static uint64_t deliver(const struct machine_reader *r, struct machine_cpu *line)
{
    quire_pfn pfns[REMOTE_ROUNDS];
    uint32_t n = qa_load(&line->count, relaxed); /* relaxed: V1 */
    uint64_t freed = 0;

    for (uint32_t i = 0; i < n; i++)
        pfns[i] = quire_pfn_of(qa_load(&line->rounds[i], relaxed)); /* relaxed: V1 */
    while (n > 0)
        n = deliver_one(r, pfns, n, &freed);
    qa_store(&line->count, 0, relaxed); /* relaxed: put publishes it */
    return freed;
}

/* Free a single frame of a zone where the caller is not at home. */
int quire_remote_free(const struct machine_reader *r, const struct machine_entry *e, quire_pfn pfn)
{
    struct machine_cpu *line = r->line;
    enum quire_frame_state state;
    uint32_t count;

    if (quire_zone_frame_state(&e->zone->zone, pfn, &state) != QUIRE_OK ||
        state != QUIRE_FRAME_USED || !take(line))
        return quire_zone_free(&e->zone->zone, quire_entry_slot(e, r->cpu), pfn, 0);
    count = qa_load(&line->count, relaxed); /* relaxed: V1 */
    if (count == REMOTE_ROUNDS) {
        (void)deliver(r, line);
        count = 0;
    }
    qa_store(&line->rounds[count], pfn.n, relaxed); /* relaxed: put publishes it */
    qa_store(&line->count, count + 1, relaxed);     /* relaxed: put publishes it */
    put(line);
    return QUIRE_OK;
}

/* Send a CPU's remote frames home, or only if it was idle since the last time. Returns frames
 * freed. */
uint64_t quire_remote_drain(const struct machine_reader *r, uint32_t cpu, bool idle_only)
{
    struct machine_cpu *line = machine_line(r->machine, cpu);
    uint64_t freed = 0;
    uint32_t count;

    if (!line)
        return 0;
    count = qa_load(&line->count, relaxed);                         /* relaxed: a look */
    if (idle_only && qa_xchg(&line->seen, count, relaxed) != count) /* relaxed: a hint */
        return 0;
    if (count == 0 || !take(line))
        return 0;
    freed = deliver(r, line);
    put(line);
    return freed;
}

uint64_t quire_remote_drain_all(const struct machine_reader *r, bool idle_only)
{
    uint64_t freed = 0;

    for (uint32_t cpu = 0; cpu < QUIRE_CPUS; cpu++)
        freed += quire_remote_drain(r, cpu, idle_only);
    return freed;
}
