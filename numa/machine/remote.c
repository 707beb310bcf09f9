/* SPDX-License-Identifier: MIT
 *
 * remote.c - remote magazines: the single frames that a CPU frees of zones where it is not local.
 *
 * Each CPU has one, for all such zones. It keeps other nodes' frames out of the CPU's caches, takes
 * them back to their zones in batches, so that a zone's lines are fetched once for many frames, and
 * serves the CPU's next request for that node's memory.
 *
 * A remote magazine is a struct cpu_cache in exchange mode (K1, K2, K6 of percpu/cpu_cache.h) with
 * a loaded magazine of REMOTE_ROUNDS rounds and no outgoing one. Its frames count as allocated in
 * their zones. They are flushed when it is full, before a request is refused, when it was not used
 * between two maintenances, and by drains.
 *
 * The danger: remote hits read no snapshot, so the zone that a hit works on may be leaving, and
 * another one may come over the same frames.
 *
 *   push   The caller owns the frame. `remote_zone` names a zone whose range has the frame; while
 *          somebody owns a frame of a zone, its metadata stays (M2).
 *   pop    1. `serving_zone` is cleared before a zone leaves. 2. A pop reads `serving_zone` again
 *          after it took the magazine. 3. So the frame that it pops belongs to the zone that
 *          `serving_zone` names, not to a later zone over the same frames; and that frame counts as
 *          allocated, so the zone's metadata stays.
 *
 * A push may come late, into the magazine of a CPU whose `remote_zone` is cleared by then: the
 * drains that follow find it, or its frame counts as allocated and the zone does not leave.
 *
 *   V1  Every frame in it was taken back from its owner, by its byte (core/frame_byte.h), in a
 *       SPLIT block.
 *   V2  `serving_zone` is set to a zone only by the owner of the magazine, who sets `pops_node` to
 *       that zone's node and first moves the pops so far to the counts of the node before. So all
 *       pops that the magazine's word counts (K6) are of `pops_node`. Drains, whatever snapshot
 *       they read, change the word as owners too, and leave the pops as they are (K1).
 *   V3  A flush may read a snapshot that is older than some of the frames: their zone came into
 *       service after it. Such a frame is in none of that snapshot's spans, so qi_snapshot_find
 *       knows no zone for it, whatever else lies in its section; it stays for the next flush. (A
 *       zone that left has no frame here: they count as allocated.)
 *   V4  `serving_zone` is the first zone of its node's NORMAL list, and in the NORMAL list of the
 *       CPU's node: in reach. So of the node's zones either list has it first, and what
 *       policy_wants_node serves by a pop is what qi_policy_walk would ask first.
 *
 *   who            takes the magazine            if it is taken            works by
 *   push           yes                           frees into the zone       remote_zone
 *   pop            yes                           asks the zone             serving_zone, read after
 *   slow free      yes                           frees into the zone       the snapshot
 *   retarget       to change `serving_zone`      leaves that as it is      the snapshot
 *   drain          yes                           passes it by              the snapshot
 *   node figures   yes, to copy its rounds       tries again, then 0       the snapshot
 *   forget         no: the writer clears both words after all readers of the old snapshot left
 *
 * A pop hands out what a cache would: a frame of a dense block of the right mobility that is SPLIT
 * without pins, while the zone has so many frames that no floor is near.
 *
 * Lock-free, any context.
 */
#include "numa/machine/machine.h"

#include "core/fastpath.h"

enum { FIGURE_TRIES = 64 }; /* for a magazine that another call of figures has just now */

static inline bool remote_take(struct machine_cpu *mcpu)
{
    return qa_xchg(&remote_magazine(mcpu)->present, 0, acquire) == 1; /* E-cpu-cache acquire */
}

/* ---- Hits ----------------------------------------------------------------------------------- */

/* No zone, for `remote_zone` and `serving_zone`: it has no frames, and no request names its node.
 */
const struct machine_zone qi_no_zone = {.node = {QUIRE_NO_NODE}};

static inline const struct machine_zone *zone_of_word(uint64_t word)
{
    uintptr_t zone = (uintptr_t)word;

    return (const struct machine_zone *)zone;
}

/* Does a request with this policy ask the zone that `serving_zone` names, of `node`, first (V4)? */
static bool policy_wants_node(const struct quire_policy *p, quire_node asked, quire_node node)
{
    if (asked.n != node.n && asked.n != QUIRE_NO_NODE)
        return false;
    if (p->mode == QUIRE_POLICY_PREFERRED || p->mode == QUIRE_POLICY_BIND)
        return p->nodes.bits == quire_nodemask_of(node).bits;
    return asked.n == node.n && (p->mode == QUIRE_POLICY_LOCAL || p->mode == QUIRE_POLICY_NEAREST);
}

/* May this frame of the zone be handed out again, for this request? */
static inline __attribute__((always_inline)) bool zone_serves(const struct machine_zone *z,
                                                              quire_pfn pfn,
                                                              const struct quire_request *request)
{
    uint64_t at = window_find(&z->window, pfn);
    uintptr_t sparse_limit_at;
    uint32_t d, full;

    if (at >= z->window.blocks ||
        (int64_t)qa_load(&z->zone.head->total, relaxed) <= z->zone.shard_limit) /* relaxed: C2 */
        return false;
    d = qa_load(window_desc(&z->window, at), relaxed); /* relaxed: advisory, as in a cache */
    /* QUIRE_MOVABLE is bit 0 of the flags, and CACHE_MOVABLE of the class. */
    if (((d ^ request->flags << D_CLASS_SHIFT) &
         (D_STATE | D_PINS | CACHE_MOVABLE << D_CLASS_SHIFT)) != D_SPLIT)
        return false;
    full = qa_load(window_fullness(&z->window, at), relaxed); /* relaxed: a hint */
    if (__builtin_expect(full == 0, 1))
        return true;
    sparse_limit_at = (uintptr_t)qa_load(&z->sparse_limit_at, acquire); /* E-zone-cache acquire */
    return full <= qa_load((const qa32 *)sparse_limit_at, relaxed);     /* relaxed: a hint */
}

/* Pop the last round of a magazine that the caller has taken, if it is of this zone and for this
 * request. */
static inline __attribute__((always_inline)) bool remote_pop(struct machine_cpu *mcpu,
                                                             const struct machine_zone *z,
                                                             const struct quire_request *request,
                                                             quire_pfn *pfn)
{
    struct cpu_cache *r = remote_magazine(mcpu);
    uint32_t count = cpu_cache_count(r);
    uint64_t word;

    /* relaxed: step 2 of a pop; taking the magazine ordered it */
    if (count == 0 || qa_load(&mcpu->serving_zone, relaxed) != (uintptr_t)z ||
        !zone_serves(z, r->rounds[count - 1], request))
        return false;
    qi_assert(qa_load(&mcpu->pops_node, relaxed) == z->node.n); /* V2; relaxed: K1 */
    /* Read again: a register that is kept until here costs more. */
    word = qa_load(&r->count, relaxed);                 /* relaxed: K1 */
    qa_store(&r->count, word + CPU_CACHE_POP, relaxed); /* relaxed: E-cpu-cache publishes it */
    *pfn = r->rounds[(word & CPU_CACHE_COUNT_MASK) - 1];
    byte_set(window_frame_byte(&z->window, *pfn), BYTE_SINGLE);
    return true;
}

/* Serve a request for a frame of zone z, which `serving_zone` names. */
static inline __attribute__((always_inline)) bool remote_pop_request(
    struct machine_cpu *mcpu, const struct machine_zone *z, const struct quire_request *request,
    quire_pfn *pfn)
{
    bool done;

    if (request->order != 0 || request->purpose != QUIRE_FOR_NORMAL ||
        request->flags & ~CACHE_HIT_FLAGS || !remote_take(mcpu))
        return false;
    done = remote_pop(mcpu, z, request, pfn);
    cpu_cache_put(remote_magazine(mcpu));
    return done;
}

static inline const struct machine_zone *serving_zone_of(const struct machine_cpu *mcpu)
{
    return zone_of_word(qa_load(&mcpu->serving_zone, acquire)); /* E-remote-zone acquire */
}

/* Serve a request that has a policy of its own. False: not this way. */
bool qi_remote_pop_by_policy(const struct quire_machine *m, const struct quire_request *request,
                             quire_pfn *pfn, uint32_t cpu)
{
    struct machine_cpu *mcpu = machine_cpu_of(m, cpu);
    const struct machine_zone *z;

    if (!mcpu || !request->policy)
        return false;
    z = serving_zone_of(mcpu);
    return z != &qi_no_zone && policy_wants_node(request->policy, request_node(request), z->node) &&
           remote_pop_request(mcpu, z, request, pfn);
}

/* A request that names a node: from the remote magazine, if this serves that node. */
int qi_remote_request(struct quire_machine *m, const struct quire_request *request, quire_pfn *pfn,
                      struct quire_refusal *why)
{
    uint32_t cpu = machine_cpu_now(m);
    struct machine_cpu *mcpu = machine_cpu_of(m, cpu);
    const struct machine_zone *z;

    if (!mcpu)
        return qi_machine_request_by_policy(m, request, pfn, why, cpu);
    z = serving_zone_of(mcpu);
    if (!request->policy && request_node(request).n == z->node.n &&
        remote_pop_request(mcpu, z, request, pfn))
        return QUIRE_OK;
    return qi_machine_request_by_policy(m, request, pfn, why, mcpu->cpu); /* saves a register */
}

/* Take a frame of the zone's range, whose block is SPLIT without pins, back from its owner, for a
 * magazine. */
static inline bool take_back_remote(const struct machine_zone *z, quire_pfn pfn)
{
    uint64_t at = window_find(&z->window, pfn);

    /* relaxed: as currently read; the zone decides when the frame gets there */
    return at < z->window.blocks &&
           is_cacheable(qa_load(window_desc(&z->window, at), relaxed)) && /* relaxed: see above */
           byte_clear(window_frame_byte(&z->window, pfn), BYTE_SINGLE);
}

/* Free a single frame of a zone where CPU `cpu` (below QUIRE_CPUS) is not local: into its remote
 * magazine, if it is of the zone `remote_zone`. */
int qi_remote_push(struct quire_machine *m, quire_pfn pfn, uint32_t cpu)
{
    /* E-machine-cpu acquire: the struct is made. */
    uintptr_t p = (uintptr_t)qa_load(&m->cpus[cpu], acquire);
    struct machine_cpu *mcpu = (struct machine_cpu *)p;
    const struct machine_zone *z;

    if (mcpu) {
        z = zone_of_word(qa_load(&mcpu->remote_zone, acquire)); /* E-remote-zone acquire */
        if (take_back_remote(z, pfn)) {
            if (cpu_cache_push_xchg(remote_magazine(mcpu), pfn))
                return QUIRE_OK;
            byte_restore(window_frame_byte(&z->window, pfn), BYTE_SINGLE);
        }
    }
    return qi_machine_free_slowpath(m, pfn, 0, cpu);
}

/* ---- Which zones hits are for --------------------------------------------------------------- */

static void set_zone_word(qa64 *word, const struct machine_zone *z)
{
    if (qa_load(word, relaxed) != (uintptr_t)z) /* relaxed: only the word counts */
        qa_store(word, (uintptr_t)z, release);  /* E-remote-zone release */
}

/* Let `serving_zone` name a zone (V2). The figures need the magazine; if it is taken, later. */
static void set_serving_zone(struct machine_cpu *mcpu, const struct machine_zone *z)
{
    struct cpu_cache *r = remote_magazine(mcpu);
    uint64_t pops;
    qa64 *counts;

    if (qa_load(&mcpu->serving_zone, relaxed) == (uintptr_t)z || /* relaxed: only the word counts */
        !remote_take(mcpu))
        return;
    counts = mcpu->counts[qa_load(&mcpu->pops_node, relaxed)]; /* relaxed: K1 */
    pops = cpu_cache_reset_pops(r);
    (void)qa_add(&counts[QUIRE_NODE_HIT], pops, relaxed);   /* relaxed: a figure */
    (void)qa_add(&counts[QUIRE_NODE_OTHER], pops, relaxed); /* relaxed: a figure */
    qa_store(&mcpu->pops_node, z->node.n, relaxed);         /* relaxed: E-cpu-cache publishes it */
    set_zone_word(&mcpu->serving_zone, z);
    cpu_cache_put(r);
}

/* Has the CPU's node this node in its zonelists, so that a policy that names it may be served? */
static bool is_in_reach(const struct machine_reader *r, quire_node node)
{
    quire_node own = node_of_cpu(r->snapshot, r->cpu);

    return r->snapshot->topology.distance[own.n][node.n] != QUIRE_DISTANCE_UNREACHABLE;
}

/* A CPU had to do with a zone: if it is not local there, its remote hits are for it from now on. */
void qi_remote_retarget(const struct machine_reader *r, const struct machine_entry *e)
{
    if (e->closing || e->zone->node.n == node_of_cpu(r->snapshot, r->cpu).n ||
        qi_cpu_is_local(r->snapshot, r->cpu, e))
        return;
    qi_assert(r->mcpu->cpu == r->cpu);
    set_zone_word(&r->mcpu->remote_zone, e->zone);
    if (r->machine->local && qi_entry_is_first(r->snapshot, e) && is_in_reach(r, e->zone->node))
        set_serving_zone(r->mcpu, e->zone);
}

/* All readers of the snapshot before have left: what it said of other nodes' zones is forgotten.
 * Writer only. */
void qi_remote_forget_zones(struct quire_machine *m)
{
    qi_assert(writer_is_held(m)); /* M5 */
    for (uint32_t cpu = 0; cpu < machine_cpu_end(m); cpu++) {
        struct machine_cpu *mcpu = machine_cpu_of(m, cpu);

        if (!mcpu)
            continue;
        set_zone_word(&mcpu->remote_zone, &qi_no_zone);
        set_zone_word(&mcpu->serving_zone, &qi_no_zone);
    }
}

/* ---- Flushing ------------------------------------------------------------------------------- */

/* Is a frame of a magazine in the zone of entry e? Most are in its longest span (M4): one look. */
static inline bool is_of_entry(const struct machine_reader *r, const struct machine_entry *e,
                               quire_pfn pfn)
{
    return window_holds(&e->zone->window, pfn) || qi_snapshot_find(r->snapshot, pfn) == e;
}

/* Free all frames of entry e among n together; the others move together. Returns how many these
 * are. */
static uint32_t remote_flush_zone(const struct machine_reader *r, const struct machine_entry *e,
                                  quire_pfn pfns[], uint32_t n, uint64_t *freed)
{
    quire_pfn batch[REMOTE_ROUNDS];
    uint32_t k = 0, rest = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (is_of_entry(r, e, pfns[i]))
            batch[k++] = pfns[i];
        else
            pfns[rest++] = pfns[i];
    }
    if (k > 0)
        *freed += qi_frames_flush(&e->zone->zone, qi_entry_slot(e, r->cpu), batch, k);
    return rest;
}

/* Flush a magazine that the caller has taken, but for what the snapshot does not know (V3). Returns
 * frames freed. */
static uint64_t remote_flush(const struct machine_reader *r, struct cpu_cache *magazine)
{
    uint32_t n = cpu_cache_count(magazine), stay = 0;
    quire_pfn pfns[REMOTE_ROUNDS];
    uint64_t freed = 0;

    qi_assert(qa_load(&magazine->present, relaxed) == 0); /* K1; relaxed: the owner's */
    qi_assert(n <= REMOTE_ROUNDS);                        /* K4 */
    for (uint32_t i = 0; i < n; i++)
        pfns[i] = magazine->rounds[i];
    while (n > 0) {
        const struct machine_entry *e = qi_snapshot_find(r->snapshot, pfns[0]);

        if (e) {
            n = remote_flush_zone(r, e, pfns, n, &freed);
        } else {
            magazine->rounds[stay++] = pfns[0];
            pfns[0] = pfns[--n];
        }
    }
    cpu_cache_set_count(magazine, stay);
    return freed;
}

/* May a frame of the zone wait in a magazine? Not one of a block that is being emptied. */
static bool may_stay_remote(const struct quire_zone *z, uint64_t frame)
{
    /* relaxed: as currently read, as in a cache */
    return frame != NO_FRAME &&
           desc_state(qa_load(desc_of(z, block_of(frame)), relaxed)) == D_SPLIT;
}

/* Free a single frame of a zone where the caller is not local. */
int qi_remote_free(const struct machine_reader *r, const struct machine_entry *e, quire_pfn pfn)
{
    struct cpu_cache *magazine = remote_magazine(r->mcpu);
    const struct quire_zone *z = &e->zone->zone;
    uint64_t frame = frame_of_pfn(z, pfn);
    bool pushed = false;

    qi_remote_retarget(r, e);
    if (may_stay_remote(z, frame) && remote_take(r->mcpu)) {
        uint32_t count;

        if (cpu_cache_count(magazine) == REMOTE_ROUNDS)
            (void)remote_flush(r, magazine);
        count = cpu_cache_count(magazine);
        pushed = count < REMOTE_ROUNDS && frame_take_back(z, frame, BYTE_SINGLE) == QUIRE_OK;
        if (pushed) {
            magazine->rounds[count] = pfn;
            cpu_cache_set_count(magazine, count + 1);
        }
        cpu_cache_put(magazine);
    }
    return pushed ? QUIRE_OK : quire_zone_free(&e->zone->zone, qi_entry_slot(e, r->cpu), pfn, 0);
}

/* Flush a CPU's remote magazine, or only if it was not used since the last time. Returns frames
 * freed. */
uint64_t qi_remote_drain(const struct machine_reader *r, uint32_t cpu, bool idle_only)
{
    struct machine_cpu *mcpu = machine_cpu_of(r->machine, cpu);
    struct cpu_cache *magazine;
    uint64_t freed;
    uint32_t now;

    if (!mcpu)
        return 0;
    magazine = remote_magazine(mcpu);
    now = (uint32_t)qa_load(&magazine->count, relaxed); /* relaxed: a hint; the pops too, see K6 */
    if (idle_only && qa_xchg(&magazine->seen, now, relaxed) != now) /* relaxed: a hint */
        return 0;
    if (cpu_cache_count(magazine) == 0 || !remote_take(mcpu))
        return 0;
    freed = remote_flush(r, magazine);
    cpu_cache_put(magazine);
    return freed;
}

uint64_t qi_remote_drain_all(const struct machine_reader *r, bool idle_only)
{
    uint64_t freed = 0;

    for (uint32_t cpu = 0; cpu < machine_cpu_end(r->machine); cpu++)
        freed += qi_remote_drain(r, cpu, idle_only);
    return freed;
}

/* ---- Figures -------------------------------------------------------------------------------- */

/* Frames of a node in a CPU's remote magazine; 0 if it stays taken. Its rounds are copied while it
 * is taken, and looked up afterwards: a drain before a refusal passes a taken magazine by. */
uint64_t qi_remote_frames(const struct machine_snapshot *s, struct machine_cpu *mcpu, uint32_t node)
{
    struct cpu_cache *magazine = remote_magazine(mcpu);
    quire_pfn pfns[REMOTE_ROUNDS];
    unsigned tries = FIGURE_TRIES;
    uint64_t sum = 0;
    uint32_t n;

    if (cpu_cache_count(magazine) == 0)
        return 0;
    while (!remote_take(mcpu))
        if (--tries == 0)
            return 0;
    n = cpu_cache_count(magazine);
    for (uint32_t i = 0; i < n; i++)
        pfns[i] = magazine->rounds[i];
    cpu_cache_put(magazine);
    for (uint32_t i = 0; i < n; i++) {
        const struct machine_entry *e = qi_snapshot_find(s, pfns[i]);

        sum += e && e->zone->node.n == node;
    }
    return sum;
}
