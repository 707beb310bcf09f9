/* SPDX-License-Identifier: MIT
 *
 * remote.c - remote magazines: single frames that a CPU frees and that are not at home in
 * its cache. They go back to their zones in batches, so the cache never fills with other nodes'
 * frames, and their zones' lines are not fetched for each of them; or they serve the CPU's next
 * request for that node's memory.
 *
 *   V1  Whoever turned `present` from 1 to 0 owns the magazine until he stores 1, as a rack in
 *       exchange mode. Who finds it taken frees into the zone, or asks it.
 *   V2  count <= REMOTE_ROUNDS. Every frame in it looked allocated, in a SPLIT block, when it came.
 *   V3  Who delivers may read a snapshot that is older than some of the frames: their zone was put
 *       into service after it, and it does not know it. Those frames stay for the next one. (A zone
 *       that left has no frame here: they count as allocated.)
 *
 * The short ways, quire_remote_request and _give, read no snapshot: they are for the one zone that
 * the CPU's `serving` or `away` names (M6), and read its metadata. That is there: who gives owns a
 * frame of it. A pop has the magazine in its hands, and in it a frame of this zone, which counts as
 * allocated; it is of this zone and of no later one over the same frames, as `serving` named the
 * zone still when the magazine was taken: it is cleared before a zone goes, and so before a frame
 * of a later one can come here. A push may come late, into the magazine of a CPU whose `away` is
 * cleared by then: the drains that follow find it, or its frame counts as allocated.
 *
 * A pop hands out what the caches would: of a dense block of the right mobility that is SPLIT
 * without pins, while the zone has so many frames that no floor is near.
 *
 * In the hardened build nothing is popped: no bit says that a frame lies here, so one that was
 * freed twice would be handed out twice, unnoticed. It goes home first, and is told there.
 *
 * Frames in a remote magazine count as allocated in their zone. They go home when the magazine is
 * full, before a request is refused, when it was not touched between two maintenances, and by the
 * drains. A frame that was freed twice is told to its zone's port then.
 *
 * Lock-free, any context.
 */
#include "numa/machine/machine.h"

#include "core/fastpath.h"

#ifdef QUIRE_HARDENED
enum { SERVES = 0 }; /* see above */
#else
enum { SERVES = 1 };
#endif

static bool take(struct machine_cpu *line)
{
    return qa_xchg(&line->present, 0, acquire) == 1; /* V2 acquire: pairs V1: the rounds */
}

static void put(struct machine_cpu *line)
{
    qa_store(&line->present, 1, release); /* V1 release: pairs V2: the rounds */
}

/* Put a frame behind the last of `count` rounds of a magazine in our hands, and the magazine back.
 */
static inline void put_with(struct machine_cpu *line, uint64_t count, quire_pfn pfn)
{
    qa_store(&line->rounds[count], pfn.n, relaxed); /* relaxed: put publishes it */
    qa_store(&line->count, count + 1, relaxed);     /* relaxed: put publishes it */
    put(line);
}

/* ---- The short ways ------------------------------------------------------------------------- */

/* No zone: for an `away` and a `serving`. No frame is of it, no request names its node. */
const struct machine_zone quire_nowhere = {.node = {QUIRE_NO_NODE}};

static inline const struct machine_zone *zone_of(uint64_t word)
{
    uintptr_t zone = (uintptr_t)word;

    return (const struct machine_zone *)zone;
}

/* Does a request with this policy ask the first zone of this node first, which is not the caller's?
 */
static bool wants(const struct quire_policy *p, quire_node asked, quire_node node)
{
    if (asked.n != node.n && asked.n != QUIRE_NO_NODE)
        return false;
    if (p->mode == QUIRE_POLICY_PREFERRED || p->mode == QUIRE_POLICY_BIND)
        return p->nodes.bits == quire_nodemask_of(node).bits;
    return asked.n == node.n && (p->mode == QUIRE_POLICY_LOCAL || p->mode == QUIRE_POLICY_NEAREST);
}

/* May the zone's frame be handed out again, to who wants this mobility? */
static inline __attribute__((always_inline)) bool serves(const struct machine_zone *z,
                                                         quire_pfn pfn,
                                                         const struct quire_request *request)
{
    uint64_t b = (pfn.n >> BLOCK_ORDER) - z->first_block;
    uintptr_t border;
    uint32_t d, full;

    if (b >= z->blocks ||
        (int64_t)qa_load(&z->zone.head->total, relaxed) <= z->zone.shard_limit) /* relaxed: C2 */
        return false;
    d = qa_load((const qa32 *)z->descs + b, relaxed); /* relaxed: a look, as in a cache */
    /* QUIRE_MOVABLE is bit 0 of the flags, and RACK_MOVABLE of the class. */
    if (((d ^ request->flags << D_CLASS_SHIFT) &
         (D_STATE | D_PINS | RACK_MOVABLE << D_CLASS_SHIFT)) != D_SPLIT)
        return false;
    full = qa_load((const qa8 *)z->fulls + b, relaxed); /* relaxed: a hint */
    if (__builtin_expect(full == 0, 1))
        return true;
    border = (uintptr_t)qa_load(&z->border, acquire);      /* H2 acquire: pairs H1 */
    return full <= qa_load((const qa32 *)border, relaxed); /* relaxed: a hint */
}

/* The last round of a magazine in our hands. False: none, or not of this zone, or not for this
 * request. */
static inline __attribute__((always_inline)) bool pop(struct machine_cpu *line,
                                                      const struct machine_zone *z,
                                                      const struct quire_request *request,
                                                      quire_pfn *pfn)
{
    uint64_t count = qa_load(&line->count, relaxed); /* relaxed: V1 */
    qa64 *pops;

    /* relaxed: V2, see above; V1 */
    if (count == 0 || qa_load(&line->serving, relaxed) != (uintptr_t)z ||
        !serves(z, quire_pfn_of(qa_load(&line->rounds[count - 1], relaxed)), request))
        return false;
    /* Read again: a register that is kept until here costs more. */
    count = qa_load(&line->count, relaxed) - 1; /* relaxed: V1 */
    qa_store(&line->count, count, relaxed);     /* relaxed: put publishes it */
    pops = &line->pops[z->node.n];
    qa_store(pops, qa_load(pops, relaxed) + 1, relaxed); /* relaxed: V1; a figure */
    pfn->n = qa_load(&line->rounds[count], relaxed);     /* relaxed: V1 */
    return true;
}

/* Serve a request for a frame of zone z, which `serving` names. */
static inline __attribute__((always_inline)) bool pop_for(struct machine_cpu *line,
                                                          const struct machine_zone *z,
                                                          const struct quire_request *request,
                                                          quire_pfn *pfn)
{
    bool done;

    if (!SERVES || request->order != 0 || request->zone != QUIRE_ZONE_NORMAL ||
        request->flags & ~MACHINE_HIT_FLAGS || !take(line))
        return false;
    done = pop(line, z, request, pfn);
    put(line);
    return done;
}

static inline const struct machine_zone *serving(const struct machine_cpu *line)
{
    return zone_of(qa_load(&line->serving, acquire)); /* Z2 acquire: pairs Z1 */
}

/* Serve a request that has a policy of its own. False: not this way. */
bool quire_remote_pop(const struct quire_machine *m, const struct quire_request *request,
                      quire_pfn *pfn)
{
    struct machine_cpu *line = machine_line(m, machine_cpu_now(m));
    const struct machine_zone *z;

    if (!line || !request->policy)
        return false;
    z = serving(line);
    return z != &quire_nowhere && wants(request->policy, request->node, z->node) &&
           pop_for(line, z, request, pfn);
}

/* A request that names a node: from the remote magazine, if this serves that node. */
int quire_remote_request(struct quire_machine *m, const struct quire_request *request,
                         quire_pfn *pfn, struct quire_refusal *why)
{
    struct machine_cpu *line = machine_line(m, machine_cpu_now(m));
    const struct machine_zone *z;

    if (!line)
        return quire_request_otherwise(m, request, pfn, why);
    z = serving(line);
    if (!request->policy && request->node.n == z->node.n && pop_for(line, z, request, pfn))
        return QUIRE_OK;
    return quire_request_otherwise(m, request, pfn, why);
}

/* Is this frame of the zone's blocks to be had by a magazine? */
static inline bool may_come(const struct machine_zone *z, quire_pfn pfn)
{
    uint64_t b = (pfn.n >> BLOCK_ORDER) - z->first_block, v;
    const void *map;

    /* relaxed: a look; the zone decides when the frame gets there */
    if (b >= z->blocks || !is_cacheable(qa_load((const qa32 *)z->descs + b, relaxed)))
        return false;
    map = z->maps + b * z->zone.map_stride;
    /* relaxed: the caller's bit */
    v = qa_load((const qa64 *)map + pfn.n / WORD_BITS % LINE_WORDS, relaxed);
    return v >> pfn.n % WORD_BITS & 1;
}

/* Free a single frame that is not of the CPU's home, on CPU `cpu` of QUIRE_CPUS: into its remote
 * magazine, if it is of the zone `away`. */
int quire_remote_give(struct quire_machine *m, quire_pfn pfn, uint32_t cpu)
{
    /* L2 acquire: pairs L1: the line is made. */
    uintptr_t p = (uintptr_t)qa_load(&m->cpus[cpu], acquire);
    struct machine_cpu *line = (struct machine_cpu *)p;
    const struct machine_zone *z;
    uint64_t count;

    if (!line)
        return quire_machine_free_slowly(m, pfn, 0);
    z = zone_of(qa_load(&line->away, acquire)); /* Z2 acquire: pairs Z1 */
    if (!may_come(z, pfn) || !take(line))
        return quire_machine_free_slowly(m, pfn, 0);
    count = qa_load(&line->count, relaxed); /* relaxed: V1 */
    if (__builtin_expect(count == REMOTE_ROUNDS, 0)) {
        put(line);
        return quire_machine_free_slowly(m, pfn, 0);
    }
    put_with(line, count, pfn);
    return QUIRE_OK;
}

static void turn(qa64 *word, const struct machine_zone *z)
{
    if (qa_load(word, relaxed) != (uintptr_t)z) /* relaxed: a look */
        qa_store(word, (uintptr_t)z, release);  /* Z1 release: pairs Z2 */
}

/* The CPU had to do with a zone: if it is away from home, the short ways are for it from now on. */
void quire_remote_turn(const struct machine_reader *r, const struct machine_entry *e)
{
    if (e->closing || e->zone->node.n == node_of_cpu(r->snapshot, r->cpu).n ||
        quire_at_home(r->snapshot, r->cpu, e))
        return;
    turn(&r->line->away, e->zone);
    if (r->machine->local && quire_entry_first(r->snapshot, e))
        turn(&r->line->serving, e->zone);
}

/* Nobody reads the snapshot before any more: what it said of zones away is forgotten. Writer only.
 */
void quire_remote_forget(struct quire_machine *m)
{
    for (uint32_t cpu = 0; cpu < machine_cpu_end(m); cpu++) {
        struct machine_cpu *line = machine_line(m, cpu);

        if (!line)
            continue;
        turn(&line->away, &quire_nowhere);
        turn(&line->serving, &quire_nowhere);
    }
}

/* ---- Delivery ------------------------------------------------------------------------------- */

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
    uint32_t n = (uint32_t)qa_load(&line->count, relaxed), stay = 0; /* relaxed: V1 */
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

/* May a frame of the zone wait in a magazine? Not one of a block that is being emptied, nor the
 * first one of a block that was allocated as a whole. */
static bool may_wait(const struct quire_zone *z, quire_pfn pfn)
{
    uint64_t frame = frame_of_pfn(z, pfn);
    enum quire_frame_state state;

    /* relaxed: a look, as in a cache */
    return frame != NO_FRAME &&
           desc_state(qa_load(desc_of(z, block_of(frame)), relaxed)) == D_SPLIT &&
           quire_zone_frame_state(z, pfn, &state) == QUIRE_OK && state == QUIRE_FRAME_USED;
}

/* Free a single frame of a zone where the caller is not at home. */
int quire_remote_free(const struct machine_reader *r, const struct machine_entry *e, quire_pfn pfn)
{
    struct machine_cpu *line = r->line;
    uint64_t freed = 0;
    uint32_t count;

    quire_remote_turn(r, e);
    if (!may_wait(&e->zone->zone, pfn) || !take(line))
        return quire_zone_free(&e->zone->zone, quire_entry_slot(e, r->cpu), pfn, 0);
    count = (uint32_t)qa_load(&line->count, relaxed); /* relaxed: V1 */
    if (count == REMOTE_ROUNDS)
        count = deliver(r, line, &freed);
    if (count == REMOTE_ROUNDS) {
        put(line);
        return quire_zone_free(&e->zone->zone, quire_entry_slot(e, r->cpu), pfn, 0);
    }
    put_with(line, count, pfn);
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
    count = (uint32_t)qa_load(&line->count, relaxed);               /* relaxed: a look */
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
