/* SPDX-License-Identifier: MIT
 *
 * remote.c - remote magazines: single frames that a CPU frees and that are not at home in
 * its cache. They go back to their zones in batches, so the cache never fills with other nodes'
 * frames, and their zones' lines are not fetched for each of them; or they serve the CPU's next
 * request for that node's memory.
 *
 *   V1  Whoever turned `present` from 1 to 0 owns the magazine until he stores 1, as a CPU cache in
 *       exchange mode. Who finds it taken frees into the zone, or asks it.
 *   V2  count <= REMOTE_ROUNDS. Every frame in it looked allocated, in a SPLIT block, when it came.
 *   V3  Who delivers may read a snapshot that is older than some of the frames: their zone was put
 *       into service after it, and it does not know it. Those frames stay for the next one. (A zone
 *       that left has no frame here: they count as allocated.)
 *
 * The short ways, qi_remote_request and _give, read no snapshot: they are for the one zone that the
 * CPU's `serving_zone` or `remote_zone` names (M6), and read its metadata. That is there: who gives
 * owns a frame of it. A pop has the magazine in its hands, and in it a frame of this zone, which
 * counts as allocated; it is of this zone and of no later one over the same frames, as
 * `serving_zone` named the zone still when the magazine was taken: it is cleared before a zone
 * goes, and so before a frame of a later one can come here. A push may come late, into the magazine
 * of a CPU whose `remote_zone` is cleared by then: the drains that follow find it, or its frame
 * counts as allocated.
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
enum { REMOTE_SERVES = 0 }; /* see above */
#else
enum { REMOTE_SERVES = 1 };
#endif

static bool remote_take(struct machine_cpu *mcpu)
{
    return qa_xchg(&mcpu->present, 0, acquire) == 1; /* E-remote acquire: the rounds */
}

static void remote_put(struct machine_cpu *mcpu)
{
    qa_store(&mcpu->present, 1, release); /* E-remote release: the rounds */
}

/* Put a frame behind the last of `count` rounds of a magazine in our hands, and the magazine back.
 */
static inline void remote_push_and_put(struct machine_cpu *mcpu, uint64_t count, quire_pfn pfn)
{
    qa_store(&mcpu->rounds[count], pfn.n, relaxed); /* relaxed: put publishes it */
    qa_store(&mcpu->count, count + 1, relaxed);     /* relaxed: put publishes it */
    remote_put(mcpu);
}

/* ---- The short ways ------------------------------------------------------------------------- */

/* No zone: for an `remote_zone` and a `serving_zone`. No frame is of it, no request names its node.
 */
const struct machine_zone qi_no_zone = {.node = {QUIRE_NO_NODE}};

static inline const struct machine_zone *zone_of_word(uint64_t word)
{
    uintptr_t zone = (uintptr_t)word;

    return (const struct machine_zone *)zone;
}

/* Does a request with this policy ask the first zone of this node first, which is not the caller's?
 */
static bool policy_wants_node(const struct quire_policy *p, quire_node asked, quire_node node)
{
    if (asked.n != node.n && asked.n != QUIRE_NO_NODE)
        return false;
    if (p->mode == QUIRE_POLICY_PREFERRED || p->mode == QUIRE_POLICY_BIND)
        return p->nodes.bits == quire_nodemask_of(node).bits;
    return asked.n == node.n && (p->mode == QUIRE_POLICY_LOCAL || p->mode == QUIRE_POLICY_NEAREST);
}

/* May the zone's frame be handed out again, to who wants this mobility? */
static inline __attribute__((always_inline)) bool zone_serves(const struct machine_zone *z,
                                                              quire_pfn pfn,
                                                              const struct quire_request *request)
{
    uint64_t b = (pfn.n >> BLOCK_ORDER) - z->first_block;
    uintptr_t sparse_limit_at;
    uint32_t d, full;

    if (b >= z->blocks ||
        (int64_t)qa_load(&z->zone.head->total, relaxed) <= z->zone.shard_limit) /* relaxed: C2 */
        return false;
    d = qa_load((const qa32 *)z->descs + b, relaxed); /* relaxed: a look, as in a cache */
    /* QUIRE_MOVABLE is bit 0 of the flags, and CACHE_MOVABLE of the class. */
    if (((d ^ request->flags << D_CLASS_SHIFT) &
         (D_STATE | D_PINS | CACHE_MOVABLE << D_CLASS_SHIFT)) != D_SPLIT)
        return false;
    full = qa_load((const qa8 *)z->fulls + b, relaxed); /* relaxed: a hint */
    if (__builtin_expect(full == 0, 1))
        return true;
    sparse_limit_at = (uintptr_t)qa_load(&z->sparse_limit_at, acquire); /* E-zone-cache acquire */
    return full <= qa_load((const qa32 *)sparse_limit_at, relaxed);     /* relaxed: a hint */
}

/* The last round of a magazine in our hands. False: none, or not of this zone, or not for this
 * request. */
static inline __attribute__((always_inline)) bool remote_pop(struct machine_cpu *mcpu,
                                                             const struct machine_zone *z,
                                                             const struct quire_request *request,
                                                             quire_pfn *pfn)
{
    uint64_t count = qa_load(&mcpu->count, relaxed); /* relaxed: V1 */
    qa64 *pops;

    /* relaxed: V2, see above; V1 */
    if (count == 0 || qa_load(&mcpu->serving_zone, relaxed) != (uintptr_t)z ||
        !zone_serves(z, quire_pfn_of(qa_load(&mcpu->rounds[count - 1], relaxed)), request))
        return false;
    /* Read again: a register that is kept until here costs more. */
    count = qa_load(&mcpu->count, relaxed) - 1; /* relaxed: V1 */
    qa_store(&mcpu->count, count, relaxed);     /* relaxed: put publishes it */
    pops = &mcpu->pops[z->node.n];
    qa_store(pops, qa_load(pops, relaxed) + 1, relaxed); /* relaxed: V1; a figure */
    pfn->n = qa_load(&mcpu->rounds[count], relaxed);     /* relaxed: V1 */
    return true;
}

/* Serve a request for a frame of zone z, which `serving_zone` names. */
static inline __attribute__((always_inline)) bool remote_pop_request(
    struct machine_cpu *mcpu, const struct machine_zone *z, const struct quire_request *request,
    quire_pfn *pfn)
{
    bool done;

    if (!REMOTE_SERVES || request->order != 0 || request->zone != QUIRE_ZONE_NORMAL ||
        request->flags & ~MACHINE_HIT_FLAGS || !remote_take(mcpu))
        return false;
    done = remote_pop(mcpu, z, request, pfn);
    remote_put(mcpu);
    return done;
}

static inline const struct machine_zone *serving_zone_of(const struct machine_cpu *mcpu)
{
    return zone_of_word(qa_load(&mcpu->serving_zone, acquire)); /* E-remote-zone acquire */
}

/* Serve a request that has a policy of its own. False: not this way. */
bool qi_remote_pop_by_policy(const struct quire_machine *m, const struct quire_request *request,
                             quire_pfn *pfn)
{
    struct machine_cpu *mcpu = machine_cpu_of(m, machine_cpu_now(m));
    const struct machine_zone *z;

    if (!mcpu || !request->policy)
        return false;
    z = serving_zone_of(mcpu);
    return z != &qi_no_zone && policy_wants_node(request->policy, request->node, z->node) &&
           remote_pop_request(mcpu, z, request, pfn);
}

/* A request that names a node: from the remote magazine, if this serves that node. */
int qi_remote_request(struct quire_machine *m, const struct quire_request *request, quire_pfn *pfn,
                      struct quire_refusal *why)
{
    struct machine_cpu *mcpu = machine_cpu_of(m, machine_cpu_now(m));
    const struct machine_zone *z;

    if (!mcpu)
        return qi_machine_request_by_policy(m, request, pfn, why);
    z = serving_zone_of(mcpu);
    if (!request->policy && request->node.n == z->node.n &&
        remote_pop_request(mcpu, z, request, pfn))
        return QUIRE_OK;
    return qi_machine_request_by_policy(m, request, pfn, why);
}

/* Is this frame of the zone's blocks to be had by a magazine? */
static inline bool may_push_remote(const struct machine_zone *z, quire_pfn pfn)
{
    uint64_t b = (pfn.n >> BLOCK_ORDER) - z->first_block, v;
    const void *map;

    /* relaxed: a look; the zone decides when the frame gets there */
    if (b >= z->blocks || !is_cacheable(qa_load((const qa32 *)z->descs + b, relaxed)))
        return false;
    map = z->maps + b * z->zone.map_stride;
    /* relaxed: the caller's bit */
    v = qa_load((const qa64 *)map + pfn.n / WORD_BITS % MAP_WORDS, relaxed);
    return v >> pfn.n % WORD_BITS & 1;
}

/* Free a single frame that is not of the CPU's home, on CPU `cpu` of QUIRE_CPUS: into its remote
 * magazine, if it is of the zone `remote_zone`. */
int qi_remote_push(struct quire_machine *m, quire_pfn pfn, uint32_t cpu)
{
    /* E-machine-cpu acquire: the line is made. */
    uintptr_t p = (uintptr_t)qa_load(&m->cpus[cpu], acquire);
    struct machine_cpu *mcpu = (struct machine_cpu *)p;
    const struct machine_zone *z;
    uint64_t count;

    if (!mcpu)
        return qi_machine_free_slowpath(m, pfn, 0);
    z = zone_of_word(qa_load(&mcpu->remote_zone, acquire)); /* E-remote-zone acquire */
    if (!may_push_remote(z, pfn) || !remote_take(mcpu))
        return qi_machine_free_slowpath(m, pfn, 0);
    count = qa_load(&mcpu->count, relaxed); /* relaxed: V1 */
    if (__builtin_expect(count == REMOTE_ROUNDS, 0)) {
        remote_put(mcpu);
        return qi_machine_free_slowpath(m, pfn, 0);
    }
    remote_push_and_put(mcpu, count, pfn);
    return QUIRE_OK;
}

static void set_zone_word(qa64 *word, const struct machine_zone *z)
{
    if (qa_load(word, relaxed) != (uintptr_t)z) /* relaxed: a look */
        qa_store(word, (uintptr_t)z, release);  /* E-remote-zone release */
}

/* The CPU had to do with a zone: if it is away from home, the short ways are for it from now on. */
void qi_remote_retarget(const struct machine_reader *r, const struct machine_entry *e)
{
    if (e->closing || e->zone->node.n == node_of_cpu(r->snapshot, r->cpu).n ||
        qi_cpu_is_local(r->snapshot, r->cpu, e))
        return;
    set_zone_word(&r->mcpu->remote_zone, e->zone);
    if (r->machine->local && qi_entry_is_first(r->snapshot, e))
        set_zone_word(&r->mcpu->serving_zone, e->zone);
}

/* Nobody reads the snapshot before any more: what it said of zones away is forgotten. Writer only.
 */
void qi_remote_forget_zones(struct quire_machine *m)
{
    for (uint32_t cpu = 0; cpu < machine_cpu_end(m); cpu++) {
        struct machine_cpu *mcpu = machine_cpu_of(m, cpu);

        if (!mcpu)
            continue;
        set_zone_word(&mcpu->remote_zone, &qi_no_zone);
        set_zone_word(&mcpu->serving_zone, &qi_no_zone);
    }
}

/* ---- Delivery ------------------------------------------------------------------------------- */

/* Free all frames of pfns[0]'s zone among n, some at a time; the others move together. Returns how
 * many these are. */
static uint32_t remote_flush_zone(const struct machine_reader *r, const struct machine_entry *e,
                                  quire_pfn pfns[], uint32_t n, uint64_t *freed)
{
    quire_pfn batch[REMOTE_ROUNDS / 2];
    uint32_t k = 0, rest = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (qi_snapshot_find(r->snapshot, pfns[i]) == e)
            batch[k++] = pfns[i];
        else
            pfns[rest++] = pfns[i];
        if (k == REMOTE_ROUNDS / 2 || (k && i + 1 == n)) {
            *freed += qi_frames_flush(&e->zone->zone, qi_entry_slot(e, r->cpu), batch, k);
            k = 0;
        }
    }
    return rest;
}

/* Send home what a magazine in our hands holds (V3). Returns how many frames stay in it. */
static uint32_t remote_flush(const struct machine_reader *r, struct machine_cpu *mcpu,
                             uint64_t *freed)
{
    uint32_t n = (uint32_t)qa_load(&mcpu->count, relaxed), stay = 0; /* relaxed: V1 */
    quire_pfn pfns[REMOTE_ROUNDS];

    for (uint32_t i = 0; i < n; i++)
        pfns[i] = quire_pfn_of(qa_load(&mcpu->rounds[i], relaxed)); /* relaxed: V1 */
    while (n > 0) {
        const struct machine_entry *e = qi_snapshot_find(r->snapshot, pfns[0]);

        if (e) {
            n = remote_flush_zone(r, e, pfns, n, freed);
        } else {
            qa_store(&mcpu->rounds[stay++], pfns[0].n, relaxed); /* relaxed: put publishes it */
            pfns[0] = pfns[--n];
        }
    }
    qa_store(&mcpu->count, stay, relaxed); /* relaxed: put publishes it */
    return stay;
}

/* May a frame of the zone wait in a magazine? Not one of a block that is being emptied, nor the
 * first one of a block that was allocated as a whole. */
static bool may_stay_remote(const struct quire_zone *z, quire_pfn pfn)
{
    uint64_t frame = frame_of_pfn(z, pfn);
    enum quire_frame_state state;

    /* relaxed: a look, as in a cache */
    return frame != NO_FRAME &&
           desc_state(qa_load(desc_of(z, block_of(frame)), relaxed)) == D_SPLIT &&
           quire_zone_frame_state(z, pfn, &state) == QUIRE_OK && state == QUIRE_FRAME_USED;
}

/* Free a single frame of a zone where the caller is not at home. */
int qi_remote_free(const struct machine_reader *r, const struct machine_entry *e, quire_pfn pfn)
{
    struct machine_cpu *mcpu = r->mcpu;
    uint64_t freed = 0;
    uint32_t count;

    qi_remote_retarget(r, e);
    if (!may_stay_remote(&e->zone->zone, pfn) || !remote_take(mcpu))
        return quire_zone_free(&e->zone->zone, qi_entry_slot(e, r->cpu), pfn, 0);
    count = (uint32_t)qa_load(&mcpu->count, relaxed); /* relaxed: V1 */
    if (count == REMOTE_ROUNDS)
        count = remote_flush(r, mcpu, &freed);
    if (count == REMOTE_ROUNDS) {
        remote_put(mcpu);
        return quire_zone_free(&e->zone->zone, qi_entry_slot(e, r->cpu), pfn, 0);
    }
    remote_push_and_put(mcpu, count, pfn);
    return QUIRE_OK;
}

/* Send a CPU's remote frames home, or only if it was idle since the last time. Returns frames
 * freed. */
uint64_t qi_remote_drain(const struct machine_reader *r, uint32_t cpu, bool idle_only)
{
    struct machine_cpu *mcpu = machine_cpu_of(r->machine, cpu);
    uint64_t freed = 0;
    uint32_t count;

    if (!mcpu)
        return 0;
    count = (uint32_t)qa_load(&mcpu->count, relaxed);               /* relaxed: a look */
    if (idle_only && qa_xchg(&mcpu->seen, count, relaxed) != count) /* relaxed: a hint */
        return 0;
    if (count == 0 || !remote_take(mcpu))
        return 0;
    (void)remote_flush(r, mcpu, &freed);
    remote_put(mcpu);
    return freed;
}

uint64_t qi_remote_drain_all(const struct machine_reader *r, bool idle_only)
{
    uint64_t freed = 0;

    for (uint32_t cpu = 0; cpu < machine_cpu_end(r->machine); cpu++)
        freed += qi_remote_drain(r, cpu, idle_only);
    return freed;
}
