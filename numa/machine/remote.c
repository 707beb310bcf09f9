/* SPDX-License-Identifier: MIT
 *
 * remote.c - remote magazines: what a CPU frees of zones where it is not local.
 *
 * Each CPU has some, for all such zones: REMOTE_NODES of single frames, by node, so that several
 * nodes' frames are had by turns, and one for the runs of each order up to REMOTE_RUN_ORDER and for
 * blocks. They keep other nodes' frames out of the CPU's caches, take them back to their zones in
 * batches, so that a zone's lines are fetched once for many frames, and serve the CPU's next
 * request for that node's memory.
 *
 * A remote magazine is a struct cpu_cache in exchange mode (K1, K2, K6 of percpu/cpu_cache.h) with
 * a loaded magazine and no outgoing one. It holds REMOTE_ROUNDS frames, for runs as many frames or
 * four runs, two blocks; they count as allocated in their zones. They are flushed when it is full,
 * before a request is refused, when it was not used between two maintenances, and by drains. Runs
 * wait there only if those of all CPUs' magazines together are a small part of the zone
 * (REMOTE_SHARE).
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
 *   V1  Every run in it was taken back from its owner, by its byte (core/frame_byte.h), in a SPLIT
 *       block, or as a WHOLE block while no range of its zone was being emptied.
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
 * Each magazine has the two words for itself, so all this is about one of them. A pop hands out
 * what a cache would: a run of a dense block of the right mobility that is SPLIT without pins, a
 * block while no range is being emptied; and only while the zone has so many frames that no floor
 * is near. Runs are pushed only then, too.
 *
 * Lock-free, any context.
 */
#include "numa/machine/machine.h"

#include "core/fastpath.h"

enum {
    FIGURE_TRIES = 64, /* for a magazine that another call of figures has just now */
    RUN_ROUNDS = 4,    /* runs in a magazine, at least */
    BLOCK_ROUNDS = 2,
    REMOTE_SHARE = 16, /* the magazines for runs of one order, of all CPUs, hold at most 1 / this of
                        * a zone */
};

static inline bool remote_take(struct remote_magazine *remote)
{
    return qa_xchg(&remote_cache(remote)->present, 0, acquire) == 1; /* E-cpu-cache acquire */
}

/* How many runs a magazine for an order holds. */
static uint32_t rounds_of_order(unsigned order)
{
    uint32_t as_frames = REMOTE_ROUNDS >> order;

    if (order == HUGE_ORDER)
        return BLOCK_ROUNDS;
    return as_frames > RUN_ROUNDS ? as_frames : RUN_ROUNDS;
}

/* The magazines of a CPU that nobody has seen. */
void qi_remote_init(struct machine_cpu *mcpu)
{
    for (unsigned i = 0; i < REMOTE_MAGAZINES; i++) {
        struct remote_magazine *remote = &mcpu->remote[i];
        struct cpu_cache *cache = remote_cache(remote);

        remote->cpu = mcpu->cpu;
        remote->order = i < REMOTE_NODES    ? 0
                        : i < REMOTE_BLOCKS ? i - REMOTE_NODES + 1
                                            : HUGE_ORDER;
        /* relaxed: E-machine-cpu publishes it */
        qa_store(&remote->remote_zone, (uintptr_t)&qi_no_zone, relaxed);
        qa_store(&remote->serving_zone, (uintptr_t)&qi_no_zone, relaxed); /* relaxed: see above */
        cache->half = (uint16_t)(rounds_of_order(remote->order) / 2);
        qa_store(&cache->limit, 2 * cache->half, relaxed); /* relaxed: see above */
        cache->refill = 1;                                 /* K9, and not used */
        cpu_cache_put(cache);
    }
}

/* ---- Hits ----------------------------------------------------------------------------------- */

/* No zone, for `remote_zone` and `serving_zone`: it has no frames, and no request names its node.
 */
const struct machine_zone qi_no_zone = {.node = {QUIRE_NO_NODE}};

/* Does a request with this policy ask the zone that `serving_zone` names, of `node`, first (V4)? */
static bool policy_wants_node(const struct quire_policy *p, quire_node asked, quire_node node)
{
    if (asked.n != node.n && asked.n != QUIRE_NO_NODE)
        return false;
    if (p->mode == QUIRE_POLICY_PREFERRED || p->mode == QUIRE_POLICY_BIND)
        return p->nodes.bits == quire_nodemask_of(node).bits;
    return asked.n == node.n && (p->mode == QUIRE_POLICY_LOCAL || p->mode == QUIRE_POLICY_NEAREST);
}

/* Has the zone so many frames that no floor is near? */
static inline bool zone_has_plenty(const struct machine_zone *z)
{
    return (int64_t)qa_load(&z->zone.head->total, relaxed) > z->zone.shard_limit; /* relaxed: C2 */
}

/* May this run of the zone be handed out again, for this request? The order is the request's. */
static inline __attribute__((always_inline)) bool zone_serves(const struct machine_zone *z,
                                                              quire_pfn pfn,
                                                              const struct quire_request *request,
                                                              unsigned order)
{
    const uint32_t movable =
        order < FIRST_LARGE_ORDER || z->zone.order_classes ? CACHE_MOVABLE << D_CLASS_SHIFT : 0;
    const uint32_t pins = order == 0 ? D_PINS : 0; /* with pins it counts as dense */
    uint64_t at = window_find(&z->window, pfn);
    uint32_t d, full;

    if (at >= z->window.blocks || !zone_has_plenty(z))
        return false;
    if (order == HUGE_ORDER)
        return !has_isolations(&z->zone);
    d = qa_load(window_desc(&z->window, at), relaxed); /* relaxed: advisory, as in a cache */
    /* QUIRE_MOVABLE is bit 0 of the flags, and CACHE_MOVABLE of the class. */
    if (((d ^ request->flags << D_CLASS_SHIFT) & (D_STATE | pins | movable)) != D_SPLIT)
        return false;
    if (d & D_PINS)
        return true;
    full = qa_load(window_fullness(&z->window, at), relaxed); /* relaxed: a hint */
    if (__builtin_expect(full == 0, 1))
        return true;
    return full <= qa_load(zone_sparse_limit(z), relaxed); /* relaxed: a hint */
}

/* Pop the last round of a magazine that the caller has taken, if it is of this zone and for this
 * request. */
static inline __attribute__((always_inline)) bool remote_pop(struct remote_magazine *remote,
                                                             const struct machine_zone *z,
                                                             const struct quire_request *request,
                                                             unsigned order, quire_pfn *pfn)
{
    struct cpu_cache *r = remote_cache(remote);
    uint32_t count = cpu_cache_count(r);
    uint64_t word;

    /* relaxed: step 2 of a pop; taking the magazine ordered it */
    if (count == 0 || qa_load(&remote->serving_zone, relaxed) != (uintptr_t)z ||
        !zone_serves(z, r->rounds[count - 1], request, order))
        return false;
    qi_assert(qa_load(&remote->pops_node, relaxed) == z->node.n); /* V2; relaxed: K1 */
    /* Read again: a register that is kept until here costs more. */
    word = qa_load(&r->count, relaxed);                 /* relaxed: K1 */
    qa_store(&r->count, word + CPU_CACHE_POP, relaxed); /* relaxed: E-cpu-cache publishes it */
    *pfn = r->rounds[(word & CPU_CACHE_COUNT_MASK) - 1];
    byte_set(window_frame_byte(&z->window, *pfn), byte_of_order(order));
    return true;
}

/* Serve a request for a run of zone z, which `serving_zone` names, of the magazine's order. */
static inline __attribute__((always_inline)) bool remote_pop_request(
    struct remote_magazine *remote, const struct machine_zone *z,
    const struct quire_request *request, unsigned order, quire_pfn *pfn)
{
    bool done;

    if (request->purpose != QUIRE_FOR_NORMAL || request->flags & ~CACHE_HIT_FLAGS ||
        !remote_take(remote))
        return false;
    done = remote_pop(remote, z, request, order, pfn);
    cpu_cache_put(remote_cache(remote));
    return done;
}

/* The same, of any order that has a magazine. */
static __attribute__((__noinline__)) bool remote_pop_run(struct remote_magazine *remote,
                                                         const struct machine_zone *z,
                                                         const struct quire_request *request,
                                                         quire_pfn *pfn)
{
    return cpu_cache_has_round(remote_cache(remote)) &&
           remote_pop_request(remote, z, request, request->order, pfn);
}

/* The node that a request with this policy asks first, if that is one (policy_wants_node). */
static quire_node node_of_policy(const struct quire_policy *p, quire_node asked)
{
    bool set = p->mode == QUIRE_POLICY_PREFERRED || p->mode == QUIRE_POLICY_BIND;

    return set && p->nodes.bits ? quire_node_of(word_first(p->nodes.bits)) : asked;
}

/* Serve a request that has a policy of its own. False: not this way. */
bool qi_remote_pop_by_policy(const struct quire_machine *m, const struct quire_request *request,
                             quire_pfn *pfn, uint32_t cpu)
{
    struct machine_cpu *mcpu = machine_cpu_of(m, cpu);
    quire_node asked = request_node(request);
    const struct machine_zone *z;
    struct remote_magazine *remote;

    if (!mcpu || !request->policy || !is_remote_order(request->order))
        return false;
    remote = remote_magazine(mcpu, request->order, node_of_policy(request->policy, asked));
    z = serving_zone_of(remote);
    return z != &qi_no_zone && policy_wants_node(request->policy, asked, z->node) &&
           remote_pop_run(remote, z, request, pfn);
}

/* A request that names a node, for more than a frame. */
static __attribute__((__noinline__)) int request_run(struct quire_machine *m,
                                                     struct machine_cpu *mcpu,
                                                     const struct quire_request *request,
                                                     quire_pfn *pfn, struct quire_refusal *why)
{
    if (!request->policy && is_remote_order(request->order)) {
        struct remote_magazine *remote =
            remote_magazine(mcpu, request->order, request_node(request));
        const struct machine_zone *z = serving_zone_of(remote);

        if (request_node(request).n == z->node.n && remote_pop_run(remote, z, request, pfn))
            return QUIRE_OK;
    }
    return qi_machine_request_by_policy(m, request, pfn, why, mcpu->cpu);
}

/* A request that names a node, for a frame: with its magazine as an argument it needs no register
 * more than a function may use freely. */
static __attribute__((__noinline__)) int request_frame(struct quire_machine *m,
                                                       const struct quire_request *request,
                                                       quire_pfn *pfn, struct quire_refusal *why,
                                                       struct remote_magazine *remote)
{
    const struct machine_zone *z = serving_zone_of(remote);

    if (!request->policy && request_node(request).n == z->node.n &&
        remote_pop_request(remote, z, request, 0, pfn))
        return QUIRE_OK;
    return qi_machine_request_by_policy(m, request, pfn, why, remote->cpu);
}

/* A request that names a node: from the remote magazine, if this serves that node. */
int qi_remote_request(struct quire_machine *m, const struct quire_request *request, quire_pfn *pfn,
                      struct quire_refusal *why)
{
    uint32_t cpu = machine_cpu_now(m);
    struct machine_cpu *mcpu = machine_cpu_of(m, cpu);

    if (!mcpu)
        return qi_machine_request_by_policy(m, request, pfn, why, cpu);
    if (__builtin_expect(request->order != 0, 0))
        return request_run(m, mcpu, request, pfn, why);
    return request_frame(m, request, pfn, why, remote_magazine(mcpu, 0, request_node(request)));
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

/* Push a frame of the magazine's zone, if it can be. */
static inline __attribute__((always_inline)) bool push_frame(struct remote_magazine *remote,
                                                             const struct machine_zone *z,
                                                             quire_pfn pfn)
{
    if (!take_back_remote(z, pfn))
        return false;
    if (cpu_cache_claim_push(remote_cache(remote), false, pfn))
        return true;
    byte_restore(window_frame_byte(&z->window, pfn), BYTE_SINGLE);
    return false;
}

/* The free of a frame that the magazine which had the one before does not take. */
static __attribute__((__noinline__)) int push_to_another(struct quire_machine *m, quire_pfn pfn,
                                                         uint32_t cpu)
{
    struct machine_cpu *mcpu = machine_cpu_of(m, cpu);

    for (unsigned i = 0; mcpu && i < REMOTE_NODES; i++) {
        const struct machine_zone *z = remote_zone_of(&mcpu->remote[i]);

        if (!window_holds(&z->window, pfn))
            continue;
        if (!push_frame(&mcpu->remote[i], z, pfn))
            break;
        qa_store(&mcpu->last_push, i, relaxed); /* relaxed: a hint */
        return QUIRE_OK;
    }
    return qi_machine_free_slowpath(m, pfn, 0, cpu);
}

/* Free a single frame of a zone where CPU `cpu` (below QUIRE_CPUS) is not local: into the remote
 * magazine whose `remote_zone` it is of. */
int qi_remote_push(struct quire_machine *m, quire_pfn pfn, uint32_t cpu)
{
    struct machine_cpu *mcpu = machine_cpu_at(m, cpu);
    struct remote_magazine *remote;

    if (mcpu) {
        remote = &mcpu->remote[qa_load(&mcpu->last_push, relaxed)]; /* relaxed: a hint */
        if (push_frame(remote, remote_zone_of(remote), pfn))
            return QUIRE_OK;
    }
    return push_to_another(m, pfn, cpu);
}

/* May a run of the block at a place of the zone's range, where no floor is near, be taken back for
 * a magazine? Not one that its block should lose: of a sparse one, of one for another order. */
static bool keeps_run(const struct machine_zone *z, uint64_t at, unsigned order)
{
    uint32_t d;

    if (order == HUGE_ORDER)
        return !has_isolations(&z->zone);
    d = qa_load(window_desc(&z->window, at), relaxed); /* relaxed: a hint; the zone decides */
    return desc_state(d) == D_SPLIT && !is_foreign(&z->zone, d, order) &&
           (d & D_PINS || !is_sparse(&z->window, zone_sparse_limit(z), at));
}

/* Free a run of any order on any CPU, which no cache took: into a remote magazine, if there is one
 * for it. */
int qi_remote_push_run(struct quire_machine *m, quire_pfn pfn, unsigned order, uint32_t cpu)
{
    struct machine_cpu *mcpu = machine_cpu_of(m, cpu);

    if (mcpu && is_remote_order(order)) {
        struct remote_magazine *remote = remote_magazine(mcpu, order, quire_node_of(0));
        const struct machine_zone *z = remote_zone_of(remote);
        uint64_t at = window_find(&z->window, pfn);

        if (at < z->window.blocks && zone_has_plenty(z) && keeps_run(z, at, order) &&
            cpu_cache_has_room(remote_cache(remote)) &&
            byte_clear(window_frame_byte(&z->window, pfn), byte_of_order(order))) {
            if (cpu_cache_claim_push(remote_cache(remote), false, pfn))
                return QUIRE_OK;
            byte_restore(window_frame_byte(&z->window, pfn), byte_of_order(order));
        }
    }
    return qi_machine_free_slowpath(m, pfn, order, cpu);
}

/* ---- Which zones hits are for --------------------------------------------------------------- */

static void set_zone_word(qa64 *word, const struct machine_zone *z)
{
    if (qa_load(word, relaxed) != (uintptr_t)z) /* relaxed: only the word counts */
        qa_store(word, (uintptr_t)z, release);  /* E-remote-zone release */
}

/* Let `serving_zone` name a zone (V2). The figures need the magazine; if it is taken, later. */
static void set_serving_zone(struct machine_cpu *mcpu, struct remote_magazine *remote,
                             const struct machine_zone *z)
{
    struct cpu_cache *r = remote_cache(remote);
    uint64_t pops;
    qa64 *counts;

    if (qa_load(&remote->serving_zone, relaxed) == (uintptr_t)z || /* relaxed: the word counts */
        !remote_take(remote))
        return;
    counts = mcpu->counts[qa_load(&remote->pops_node, relaxed)]; /* relaxed: K1 */
    pops = cpu_cache_reset_pops(r);
    (void)qa_add(&counts[QUIRE_NODE_HIT], pops, relaxed);   /* relaxed: a figure */
    (void)qa_add(&counts[QUIRE_NODE_OTHER], pops, relaxed); /* relaxed: a figure */
    qa_store(&remote->pops_node, z->node.n, relaxed);       /* relaxed: E-cpu-cache publishes it */
    set_zone_word(&remote->serving_zone, z);
    cpu_cache_put(r);
}

/* Has the CPU's node this node in its zonelists, so that a policy that names it may be served? */
static bool is_in_reach(const struct machine_reader *r, quire_node node)
{
    quire_node own = node_of_cpu(r->snapshot, r->cpu);

    return r->snapshot->topology.distance[own.n][node.n] != QUIRE_DISTANCE_UNREACHABLE;
}

/* Is the zone so large that runs of this order may wait in all CPUs' magazines? */
static bool may_wait_remote(const struct machine_reader *r, const struct machine_entry *e,
                            unsigned order)
{
    uint64_t frames = (uint64_t)rounds_of_order(order) << order;

    return order == 0 ||
           r->snapshot->topology.cpu_count * frames <= e->zone->managed / REMOTE_SHARE;
}

/* A CPU had to do with a zone, about a run of an order that has magazines: if it is not local
 * there, its remote hits of this order are for the zone from now on. */
void qi_remote_retarget(const struct machine_reader *r, const struct machine_entry *e,
                        unsigned order)
{
    struct remote_magazine *remote = remote_magazine(r->mcpu, order, e->zone->node);

    if (qa_load(&remote->remote_zone, relaxed) ==
            (uintptr_t)e->zone &&                                      /* relaxed: the word alone */
        qa_load(&remote->serving_zone, relaxed) == (uintptr_t)e->zone) /* relaxed: see above */
        return;
    if (e->closing || e->zone->node.n == node_of_cpu(r->snapshot, r->cpu).n ||
        qi_cpu_is_local(r->snapshot, r->cpu, e) || !may_wait_remote(r, e, order))
        return;
    qi_assert(r->mcpu->cpu == r->cpu);
    set_zone_word(&remote->remote_zone, e->zone);
    if (r->machine->local && qi_entry_is_first(r->snapshot, e) && is_in_reach(r, e->zone->node))
        set_serving_zone(r->mcpu, remote, e->zone);
}

/* All readers of the snapshot before have left: what it said of other nodes' zones is forgotten.
 * Writer only. */
void qi_remote_forget_zones(struct quire_machine *m)
{
    qi_assert(writer_is_held(m)); /* M5 */
    for (uint32_t cpu = 0; cpu < machine_cpu_end(m); cpu++) {
        struct machine_cpu *mcpu = machine_cpu_of(m, cpu);

        for (unsigned i = 0; mcpu && i < REMOTE_MAGAZINES; i++) {
            set_zone_word(&mcpu->remote[i].remote_zone, &qi_no_zone);
            set_zone_word(&mcpu->remote[i].serving_zone, &qi_no_zone);
        }
    }
}

/* ---- Flushing ------------------------------------------------------------------------------- */

/* Is a run of a magazine in the zone of entry e? Most are in its longest span (M4): one look. */
static inline bool is_of_entry(const struct machine_reader *r, const struct machine_entry *e,
                               quire_pfn pfn)
{
    return window_holds(&e->zone->window, pfn) || qi_snapshot_find(r->snapshot, pfn) == e;
}

/* Free n runs of an order that were taken back, of one zone. Returns frames freed. */
static uint64_t flush_to_entry(const struct machine_reader *r, const struct machine_entry *e,
                               unsigned order, const quire_pfn pfns[], uint32_t n)
{
    struct quire_zone *z = &e->zone->zone;
    quire_slot slot = entry_slot(e, r->cpu);
    uint64_t freed = 0;

    if (order == 0)
        return qi_frames_flush(z, slot, pfns, n);
    if (order < HUGE_ORDER)
        return qi_runs_flush(z, slot, order, pfns, n) << order;
    for (uint32_t i = 0; i < n; i++)
        freed += qi_zone_free_cached(z, slot, pfns[i], order) == QUIRE_OK;
    return freed << order;
}

/* Free all runs of entry e among n together; the others move together. Returns how many these
 * are. */
static uint32_t remote_flush_zone(const struct machine_reader *r, const struct machine_entry *e,
                                  unsigned order, quire_pfn pfns[], uint32_t n, uint64_t *freed)
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
        *freed += flush_to_entry(r, e, order, batch, k);
    return rest;
}

/* Flush a magazine that the caller has taken, but for what the snapshot does not know (V3). Returns
 * frames freed. */
static uint64_t remote_flush(const struct machine_reader *r, struct remote_magazine *remote)
{
    struct cpu_cache *cache = remote_cache(remote);
    uint32_t n = cpu_cache_count(cache), stay = 0;
    quire_pfn pfns[REMOTE_ROUNDS];
    uint64_t freed = 0;

    qi_assert(qa_load(&cache->present, relaxed) == 0); /* K1; relaxed: the owner's */
    qi_assert(n <= 2 * cache->half);                   /* K4 */
    for (uint32_t i = 0; i < n; i++)
        pfns[i] = cache->rounds[i];
    while (n > 0) {
        const struct machine_entry *e = qi_snapshot_find(r->snapshot, pfns[0]);

        if (e) {
            n = remote_flush_zone(r, e, remote->order, pfns, n, &freed);
        } else {
            cache->rounds[stay++] = pfns[0];
            pfns[0] = pfns[--n];
        }
    }
    cpu_cache_set_count(cache, stay);
    return freed;
}

/* May a run of the zone wait in a magazine? Not one of a block that is being emptied. */
static bool may_stay_remote(const struct quire_zone *z, uint64_t frame, unsigned order)
{
    uint32_t d;

    if (frame == NO_FRAME)
        return false;
    /* relaxed: as currently read, as in a cache */
    d = qa_load(desc_of(z, block_of(frame)), relaxed);
    if (order == HUGE_ORDER)
        return desc_state(d) == D_WHOLE && !has_isolations(z);
    return desc_state(d) == D_SPLIT && (order == 0 || !is_foreign(z, d, order));
}

/* Free a run of a zone where the caller is not local, of an order that has magazines. */
int qi_remote_free(const struct machine_reader *r, const struct machine_entry *e, quire_pfn pfn,
                   unsigned order)
{
    struct remote_magazine *remote = remote_magazine(r->mcpu, order, e->zone->node);
    struct cpu_cache *cache = remote_cache(remote);
    const struct quire_zone *z = &e->zone->zone;
    uint64_t frame = frame_of_pfn(z, pfn);
    bool pushed = false;

    qi_remote_retarget(r, e, order);
    if ((order == 0 || (zone_has_plenty(e->zone) && may_wait_remote(r, e, order))) &&
        may_stay_remote(z, frame, order) && remote_take(remote)) {
        uint32_t count;

        if (cpu_cache_count(cache) == 2 * cache->half)
            (void)remote_flush(r, remote);
        count = cpu_cache_count(cache);
        pushed =
            count < 2 * cache->half && frame_take_back(z, frame, byte_of_order(order)) == QUIRE_OK;
        if (pushed) {
            cache->rounds[count] = pfn;
            cpu_cache_set_count(cache, count + 1);
        }
        cpu_cache_put(cache);
    }
    return pushed ? QUIRE_OK : quire_zone_free(&e->zone->zone, entry_slot(e, r->cpu), pfn, order);
}

/* Flush a remote magazine, or only if it was not used since the last time. Returns frames freed. */
static uint64_t remote_drain(const struct machine_reader *r, struct remote_magazine *remote,
                             bool idle_only)
{
    struct cpu_cache *cache = remote_cache(remote);
    uint64_t freed;

    if (idle_only && !cpu_cache_is_idle(cache))
        return 0;
    if (cpu_cache_count(cache) == 0 || !remote_take(remote))
        return 0;
    freed = remote_flush(r, remote);
    cpu_cache_put(cache);
    return freed;
}

/* The same of all that a CPU has. */
uint64_t qi_remote_drain(const struct machine_reader *r, uint32_t cpu, bool idle_only)
{
    struct machine_cpu *mcpu = machine_cpu_of(r->machine, cpu);
    uint64_t freed = 0;

    for (unsigned i = 0; mcpu && i < REMOTE_MAGAZINES; i++)
        freed += remote_drain(r, &mcpu->remote[i], idle_only);
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

/* Frames of a node in a remote magazine; 0 if it stays taken. Its rounds are copied while it is
 * taken, and looked up afterwards: a drain before a refusal passes a taken magazine by. */
static uint64_t remote_frames_of(const struct machine_snapshot *s, struct remote_magazine *remote,
                                 uint32_t node)
{
    struct cpu_cache *cache = remote_cache(remote);
    quire_pfn pfns[REMOTE_ROUNDS];
    unsigned tries = FIGURE_TRIES;
    uint64_t sum = 0;
    uint32_t n;

    if (cpu_cache_count(cache) == 0)
        return 0;
    while (!remote_take(remote))
        if (--tries == 0)
            return 0;
    n = cpu_cache_count(cache);
    for (uint32_t i = 0; i < n; i++)
        pfns[i] = cache->rounds[i];
    cpu_cache_put(cache);
    for (uint32_t i = 0; i < n; i++) {
        const struct machine_entry *e = qi_snapshot_find(s, pfns[i]);

        sum += e && e->zone->node.n == node;
    }
    return sum << remote->order;
}

/* Frames of a node in a CPU's remote magazines. */
uint64_t qi_remote_frames(const struct machine_snapshot *s, struct machine_cpu *mcpu, uint32_t node)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < REMOTE_MAGAZINES; i++)
        sum += remote_frames_of(s, &mcpu->remote[i], node);
    return sum;
}

/* Frames of any node, as currently read. */
uint64_t qi_remote_frames_about(struct machine_cpu *mcpu)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < REMOTE_MAGAZINES; i++)
        sum += (uint64_t)cpu_cache_count(remote_cache(&mcpu->remote[i])) << mcpu->remote[i].order;
    return sum;
}

/* Hits of a CPU that were for a node, since its magazines serve that. */
uint64_t qi_remote_pops(struct machine_cpu *mcpu, uint32_t node)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < REMOTE_MAGAZINES; i++)
        if (qa_load(&mcpu->remote[i].pops_node, relaxed) == node) /* relaxed: a figure (V2) */
            sum += cpu_cache_pops(remote_cache(&mcpu->remote[i]));
    return sum;
}
