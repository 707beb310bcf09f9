/* SPDX-License-Identifier: MIT
 *
 * machine_remote.c - remote magazines: single frames that a CPU frees and that are not at home in
 * its cache. They go back to their zones in batches, so the cache never fills with other nodes'
 * frames, and their zones' lines are not fetched for each of them.
 *
 *   V1  Whoever turned `present` from 1 to 0 owns the magazine until he stores 1, as a rack in
 *       exchange mode. Who finds it taken frees into the zone.
 *   V2  count <= REMOTE_ROUNDS. Every frame in it looked allocated when it came.
 *   V3  Who delivers may read a snapshot that is older than some of the frames: their zone was put
 *       into service after it, and it does not know it. Those frames stay for the next one. (A zone
 *       that left has no frame here: they count as allocated.)
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

/* Free all frames of pfns[0]'s zone among n; the others move together. Returns how many these are.
 */
static uint32_t deliver_one(const struct machine_reader *r, const struct machine_entry *e,
                            quire_pfn pfns[], uint32_t n, uint64_t *freed)
{
    quire_pfn batch[REMOTE_ROUNDS];
    uint32_t k = 0, rest = 0;

    for (uint32_t i = 0; i < n; i++)
        if (quire_snapshot_find(r->snapshot, pfns[i]) == e)
            batch[k++] = pfns[i];
        else
            pfns[rest++] = pfns[i];
    *freed += quire_frames_return(&e->zone->zone, quire_entry_slot(e, r->cpu), batch, k);
    return rest;
}

/* Send home what a magazine in our hands holds (V3). Returns how many frames stay in it. */
static uint32_t deliver(const struct machine_reader *r, struct machine_cpu *line, uint64_t *freed)
{
    uint32_t n = qa_load(&line->count, relaxed), stay = 0; /* relaxed: V1 */
    quire_pfn pfns[REMOTE_ROUNDS];

    for (uint32_t i = 0; i < n; i++)
        pfns[i] = quire_pfn_of(qa_load(&line->rounds[i], relaxed)); /* relaxed: V1 */
    while (n > 0) {
        const struct machine_entry *e = quire_snapshot_find(r->snapshot, pfns[0]);

        if (e) {
            n = deliver_one(r, e, pfns, n, freed);
        } else {
            qa_store(&line->rounds[stay++], pfns[0].n, relaxed); /* relaxed: put publishes it */
            pfns[0] = pfns[--n];
        }
    }
    qa_store(&line->count, stay, relaxed); /* relaxed: put publishes it */
    return stay;
}

/* Free a single frame of a zone where the caller is not at home. */
int quire_remote_free(const struct machine_reader *r, const struct machine_entry *e, quire_pfn pfn)
{
    struct machine_cpu *line = r->line;
    enum quire_frame_state state;
    uint64_t freed = 0;
    uint32_t count;

    if (quire_zone_frame_state(&e->zone->zone, pfn, &state) != QUIRE_OK ||
        state != QUIRE_FRAME_USED || !take(line))
        return quire_zone_free(&e->zone->zone, quire_entry_slot(e, r->cpu), pfn, 0);
    count = qa_load(&line->count, relaxed); /* relaxed: V1 */
    if (count == REMOTE_ROUNDS)
        count = deliver(r, line, &freed);
    if (count == REMOTE_ROUNDS) {
        put(line);
        return quire_zone_free(&e->zone->zone, quire_entry_slot(e, r->cpu), pfn, 0);
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
    (void)deliver(r, line, &freed);
    put(line);
    return freed;
}

uint64_t quire_remote_drain_all(const struct machine_reader *r, bool idle_only)
{
    uint64_t freed = 0;

    for (uint32_t cpu = 0; cpu < machine_cpu_end(r->machine); cpu++)
        freed += quire_remote_drain(r, cpu, idle_only);
    return freed;
}
