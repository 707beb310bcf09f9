/* SPDX-License-Identifier: MIT
 *
 * slowpath.c - what no magazine serves: the ladder that a request climbs until it is served or
 * refused, and the frees that go to a zone.
 *
 * The danger is a refusal while there is memory: frames lie in caches and remote magazines of all
 * CPUs, and count as allocated in their zones. So the contract of "out of memory": each zone that
 * the request may use was asked, and had none, after everything that was cached of these zones came
 * back. The whole of it stands in one function, qi_machine_serve, in this order:
 *
 *   1. Each zone of the request's walk, once, nearest first. The first rung leaves the caches as
 *      they are: where the caller's CPU is local, a request of a cached order goes through the
 *      cache, which it refills. What such a zone cannot give is asked of it once more after its own
 *      caches were drained, before the next zone is asked, if there is one: near before far.
 *   2. All caches of these zones and all remote magazines are drained; each zone once.
 *   3. With QUIRE_COMPACT: a range is emptied (numa/compact); each zone once; twice at most.
 *   4. The port reclaims, once; caches and magazines are drained again; each zone once.
 *   5. Refused.
 *
 * What is asked after a drain is asked again if a compaction held frames meanwhile: these are taken
 * back from it first (numa/compact/hold.h).
 *
 * So one zone is asked, and its caches are drained, for a request that is refused, at most:
 *
 *                                   local             not local, or asked as a fallback or last
 *   run of an uncached order        4 asks, 3 drains  3 asks, 2 drains
 *   batch, contiguous run           4 asks, 3 drains  3 asks, 2 drains
 *   run of a cached order           the same, and an ask for at most half a magazine while its CPU
 *                                   cache is not limited (K5 of percpu/cpu_cache.h)
 *   QUIRE_NO_CALLBACK, no reclaim   an ask and a drain less of each
 *   contiguous run, zone too short  1 ask, no drain
 *   QUIRE_PARTIAL, has some frames  1 ask, no drain
 *
 * and beside a compaction HOLD_TRIES asks more on each of the rungs 2 to 4, with QUIRE_COMPACT rung
 * 3 at most COMPACT_TRIES times.
 *
 * Most requests are served by the first zone of a list, which needs no walk to be found: a plain
 * request for a run asks it before it climbs (ask_first), and does not ask it again on rung 1.
 *
 * Rungs 1 and 2 read one snapshot, rungs 3 and 4 the one that is in force after the mover's, or the
 * port's, work, which may take long: hot-plug does not wait for it. With QUIRE_NO_CALLBACK there is
 * no rung 3 or 4, and drains make no system call.
 *
 * Lock-free, any context.
 */
#include "numa/machine/machine.h"

enum {
    HOLD_TRIES = 4,    /* asks that a compaction may spoil */
    COMPACT_TRIES = 2, /* compactions for a request */
};

static void add_figure(qa64 *figure, uint64_t n)
{
    (void)qa_add(figure, n, relaxed); /* relaxed: a figure */
}

/* Count n frames, or one run, given at `given` to a caller who wanted them at a->wanted. */
void qi_machine_count_served(const struct machine_reader *r, const struct machine_attempt *a,
                             quire_node given, uint64_t n)
{
    qa64 *at = r->mcpu->counts[given.n];
    bool hit = given.n == a->wanted.n, local = given.n == node_of_cpu(r->snapshot, r->cpu).n;

    add_figure(&at[hit ? QUIRE_NODE_HIT : QUIRE_NODE_MISS], n);
    if (!local)
        add_figure(&at[QUIRE_NODE_OTHER], n);
    if (!hit)
        add_figure(&r->mcpu->counts[a->wanted.n][QUIRE_NODE_FOREIGN], n);
    else if (a->interleaved)
        add_figure(&at[QUIRE_NODE_INTERLEAVE], n);
}

/* ---- The ladder ----------------------------------------------------------------------------- */

/* Is what a batch has so far enough for it? */
static bool partial_suffices(const struct machine_attempt *a)
{
    return a->got > 0 && a->request->flags & QUIRE_PARTIAL;
}

/* Will the walk come to no other zone? */
static bool walk_is_at_its_end(const struct machine_reader *r, const struct zonelist_walk *w)
{
    struct zonelist_walk rest = *w;

    return qi_walk_next(r->snapshot, &rest) == NULL;
}

/* Ask the zones of a walk, each once; `first`: on the first rung. QUIRE_ERR_NO_MEMORY: all of them
 * had none, and the walk is at its beginning again. QUIRE_ERR_SIZE: all of them are shorter than
 * the run, which no drain and no reclaim mends. */
static int ask_zones(const struct machine_reader *r, struct zonelist_walk *w, bool first,
                     struct machine_attempt *a, struct quire_refusal *why)
{
    const struct machine_entry *e;
    int error = QUIRE_ERR_NO_MEMORY;
    uint32_t too_short = 0;

    why->tried = 0;
    while (error == QUIRE_ERR_NO_MEMORY && (e = qi_walk_next(r->snapshot, w))) {
        qi_assert(e->zone);
        if (why->tried++ == 0) {
            why->node = e->zone->node;
            why->zone = e->zone->type;
        }
        error = first && e->zone == a->refused ? a->refusal : a->ask(r, e, first, a);
        if (first && error == QUIRE_ERR_NO_MEMORY && !partial_suffices(a) &&
            qi_entry_is_near(r, e, a->request) && !walk_is_at_its_end(r, w)) {
            qi_entry_drain(e, a->request->flags & QUIRE_NO_CALLBACK);
            error = a->ask(r, e, false, a);
        }
        if (error == QUIRE_OK && a->n == 0)
            qi_machine_count_served(r, a, e->zone->node, 1);
        if (error == QUIRE_ERR_SIZE) {
            too_short++;
            error = QUIRE_ERR_NO_MEMORY;
        }
    }
    qi_assert(error != QUIRE_ERR_NO_MEMORY || (w->at == 0 && w->pass == 0 && why->tried > 0));
    return error && too_short && too_short == why->tried ? QUIRE_ERR_SIZE : error;
}

/* Drain what is cached of the zones of a walk, anywhere, and all remote magazines. */
static void drain_walk(const struct machine_reader *r, struct zonelist_walk *w, bool no_syscall)
{
    const struct machine_entry *e;

    (void)qi_remote_drain_all(r, false);
    while ((e = qi_walk_next(r->snapshot, w)))
        qi_entry_drain(e, no_syscall);
}

/* Do the zones refuse what the request still wants? */
static bool is_refused(const struct machine_attempt *a, int error)
{
    return error == QUIRE_ERR_NO_MEMORY && !partial_suffices(a);
}

/* Ask the zones of a walk after they were drained. If a compaction held frames meanwhile, they are
 * given back and the zones asked again: what a request is refused for is not that. */
static int ask_drained(const struct machine_reader *r, struct zonelist_walk *w,
                       struct machine_attempt *a, struct quire_refusal *why)
{
    int error;

    for (unsigned tries = 0; tries < HOLD_TRIES; tries++) {
        uint32_t seen = qi_compact_look(r->machine);

        error = ask_zones(r, w, false, a, why);
        if (!is_refused(a, error) || !qi_compact_give_back(r, w, a, seen))
            return error;
    }
    return ask_zones(r, w, false, a, why);
}

static int walk_of_attempt(const struct machine_reader *r, struct machine_attempt *a,
                           struct zonelist_walk *w)
{
    int error = qi_policy_walk(r, a->request, a->turn, w);

    if (!error) {
        a->wanted = w->wanted;
        a->interleaved = w->interleaved;
    }
    return error;
}

/* Let a range be emptied on the node that was asked first, and ask for it; a rival may be faster,
 * so a few times. The reader reads no snapshot while runs are moved. */
static int ask_compacted(struct quire_machine *m, struct machine_reader *r, struct zonelist_walk *w,
                         struct machine_attempt *a, struct quire_refusal *why)
{
    int error = QUIRE_ERR_NO_MEMORY;
    bool won = true;

    /* It could be endless: each turn emptied a range that rivals were given. The bound is for the
     * time. */
    for (unsigned tries = 0; tries < COMPACT_TRIES && won && is_refused(a, error); tries++) {
        qi_machine_leave(r);
        won = qi_compact_for_request(m, a->request, why->node);
        qi_machine_enter(m, r);
        error = walk_of_attempt(r, a, w);
        if (!error)
            error = ask_drained(r, w, a, why);
    }
    return error;
}

/* The ladder: serve a request that says how to ask. *why, if not NULL, is filled after an error. */
int qi_machine_serve(struct quire_machine *m, struct machine_attempt *a, struct quire_refusal *why)
{
    bool no_callback = a->request->flags & QUIRE_NO_CALLBACK;
    struct quire_refusal unwanted;
    struct machine_reader r;
    struct zonelist_walk w;
    int error;

    if (!why)
        why = &unwanted;
    *why = (struct quire_refusal){.node = {QUIRE_NO_NODE}};
    qi_machine_enter_on(m, a->cpu, &r);

    /* 1. Each zone, nearest first, through the caches of the caller's CPU. */
    error = walk_of_attempt(&r, a, &w);
    if (!error)
        error = ask_zones(&r, &w, true, a, why);

    /* 2. The zones themselves, after everything that is cached of them came back. */
    if (is_refused(a, error)) {
        drain_walk(&r, &w, no_callback);
        error = ask_drained(&r, &w, a, why);
    }

    /* 3. The same after a compaction that the request allows. */
    if (is_refused(a, error) && a->request->flags & QUIRE_COMPACT)
        error = ask_compacted(m, &r, &w, a, why);

    /* 4. The same after the port's last resort, which is no reader of the snapshot. */
    if (is_refused(a, error) && m->port.reclaim && !no_callback) {
        qi_machine_leave(&r);
        add_figure(&m->reclaims, 1);
        (void)m->port.reclaim(m->port.ctx, why->node, a->frames - a->got);
        qi_machine_enter(m, &r);
        error = walk_of_attempt(&r, a, &w);
        if (!error) {
            drain_walk(&r, &w, false);
            error = ask_drained(&r, &w, a, why);
        }
    }

    /* 5. Refused, unless a batch takes what there is. */
    if (error == QUIRE_ERR_NO_MEMORY && partial_suffices(a))
        error = QUIRE_OK;
    if (error == QUIRE_ERR_NO_MEMORY && qi_policy_confines(m, a->request))
        error = QUIRE_ERR_ZONE;
    qi_machine_leave(&r);
    why->error = error;
    return error;
}

/* A request that is wrong whatever the machine. */
int qi_machine_refuse(int error, struct quire_refusal *why)
{
    if (why)
        *why = (struct quire_refusal){.error = error, .node = {QUIRE_NO_NODE}};
    return error;
}

/* ---- Allocation ----------------------------------------------------------------------------- */

/* Ask a zone for a run, with the flags that are for it; `cached`: its caches may serve. */
static inline int ask_entry(const struct machine_reader *r, const struct machine_entry *e,
                            unsigned order, uint32_t flags, bool cached, quire_pfn *pfn)
{
    if (cached && is_cached_order(order))
        return qi_cache_alloc_undrained(&e->zone_cache->cache, r->cpu, order, flags, pfn);
    if (is_remote_order(order))
        qi_remote_retarget(r, e, order);
    return quire_zone_alloc(&e->zone->zone, entry_slot(e, r->cpu), order, flags, pfn);
}

static int ask_run(const struct machine_reader *r, const struct machine_entry *e, bool first,
                   struct machine_attempt *a)
{
    return ask_entry(r, e, a->request->order, qi_entry_flags(r, e, a->request),
                     first && qi_entry_is_near(r, e, a->request), a->pfns);
}

/* The first zone of a plain request's walk: for NORMAL memory near a node, with the machine's
 * policy. NULL: it is for the ladder. */
struct first_zone {
    const struct machine_entry *e;
    uint32_t flags; /* with which it is asked */
    bool near;      /* may its caches serve? */
    bool local;     /* is it of the caller's own node? */
};

/* The caller reads the snapshot. */
static inline __attribute__((always_inline)) struct first_zone first_zone_of(
    const struct machine_reader *r, quire_near near_node, uint32_t flags)
{
    quire_node own = node_of_cpu(r->snapshot, r->cpu);
    struct first_zone first = {first_of_walk(r, near_node.n ? quire_node_of(near_node.n - 1) : own),
                               flags, false, false};

    if (first.e) {
        /* As qi_entry_flags and qi_entry_is_near say, in fewer steps if it is the CPU's first. */
        bool is_own = near_node.n == 0 || is_first_of(r->snapshot, own, first.e);
        bool reserve = !is_own && first.e->zone->type < QUIRE_ZONE_NORMAL;

        first.near = is_own ? first.e->zone_cache && cpu_is_known(r->snapshot, r->cpu)
                            : !reserve && qi_cpu_is_local(r->snapshot, r->cpu, first.e);
        first.flags &= ~(uint32_t)QUIRE_COMPACT; /* is for the ladder */
        first.flags |= reserve ? (uint32_t)QUIRE_FALLBACK : 0;
        first.local = first.e->zone->node.n == own.n;
    }
    return first;
}

/* Ask it for a run. NO_MEMORY: it is for the ladder. *asked: the zone that was asked, or NULL. */
static inline __attribute__((always_inline)) int ask_first(struct quire_machine *m, uint32_t cpu,
                                                           quire_near near_node, unsigned order,
                                                           uint32_t flags, quire_pfn *pfn,
                                                           const struct machine_zone **asked)
{
    int error = QUIRE_ERR_NO_MEMORY;
    struct machine_reader r;
    struct first_zone first;

    *asked = NULL;
    machine_enter_on(m, cpu, &r);
    first = first_zone_of(&r, near_node, flags);
    if (first.e) {
        *asked = first.e->zone;
        error = ask_entry(&r, first.e, order, first.flags, first.near, pfn);
        if (error == QUIRE_OK)
            count_hit(&r, first.e->zone->node, first.local, 1);
    }
    machine_leave(&r);
    return error;
}

/* QUIRE_COMPACT, if a request of this order may have it. */
static uint32_t compact_flag(const struct quire_machine *m, unsigned order, uint32_t flags)
{
    return m->port.mover && order >= HUGE_ORDER && order <= QUIRE_COMPACT_MAX_ORDER &&
                   !(flags & QUIRE_NO_CALLBACK)
               ? (uint32_t)QUIRE_COMPACT
               : 0;
}

/* A run that the first zone, `refused` if it is not NULL, had none of. */
static __attribute__((__noinline__)) int climb(struct quire_machine *m,
                                               const struct quire_request *request, quire_pfn *pfn,
                                               struct quire_refusal *why, uint32_t cpu,
                                               const struct machine_zone *refused)
{
    struct machine_attempt a = {.ask = ask_run,
                                .cpu = cpu,
                                .request = request,
                                .frames = 1ull << request->order,
                                .turn = qi_policy_draw(m, cpu, request, 1),
                                .pfns = pfn,
                                .refused = refused,
                                .refusal = QUIRE_ERR_NO_MEMORY};

    return qi_machine_serve(m, &a, why);
}

/* What the first zone said, if it is not for the ladder. */
static inline int refuse_at(int error, const struct machine_zone *asked, struct quire_refusal *why)
{
    if (error && why)
        *why = (struct quire_refusal){
            .error = error, .node = asked->node, .zone = asked->type, .tried = 1};
    return error;
}

/* A run that no magazine of CPU `cpu` served. */
int qi_machine_request_slowpath(struct quire_machine *m, const struct quire_request *request,
                                quire_pfn *pfn, struct quire_refusal *why, uint32_t cpu)
{
    const struct machine_zone *asked = NULL;
    int error = QUIRE_ERR_NO_MEMORY;

    if (request->order > QUIRE_MAX_ORDER)
        return qi_machine_refuse(QUIRE_ERR_SIZE, why);
    if (request->flags & ~(MACHINE_ALLOC_FLAGS | compact_flag(m, request->order, request->flags)))
        return qi_machine_refuse(QUIRE_ERR_UNSUPPORTED, why);
    if (!request->policy && request->purpose == QUIRE_FOR_NORMAL)
        error = ask_first(m, cpu, request->near_node, request->order, request->flags, pfn, &asked);
    if (error == QUIRE_ERR_NO_MEMORY)
        return climb(m, request, pfn, why, cpu, asked);
    return refuse_at(error, asked, why);
}

/* The same of NORMAL memory, nearest first. */
int qi_machine_alloc_slowpath(struct quire_machine *m, unsigned order, uint32_t flags,
                              quire_pfn *pfn, uint32_t cpu)
{
    const struct machine_zone *asked;
    struct quire_request request;
    int error;

    if (order > QUIRE_MAX_ORDER)
        return QUIRE_ERR_SIZE;
    if (flags & ~(MACHINE_ALLOC_FLAGS | compact_flag(m, order, flags)))
        return QUIRE_ERR_UNSUPPORTED;
    error = ask_first(m, cpu, (quire_near){0}, order, flags, pfn, &asked);
    if (error != QUIRE_ERR_NO_MEMORY)
        return error;
    request = quire_request_of(order, flags);
    return climb(m, &request, pfn, NULL, cpu, asked);
}

static int ask_contig(const struct machine_reader *r, const struct machine_entry *e, bool first,
                      struct machine_attempt *a)
{
    (void)first;
    return quire_zone_alloc_contig(&e->zone->zone, entry_slot(e, r->cpu), a->contig,
                                   qi_entry_flags(r, e, a->request), a->pfns);
}

/* A zone that was asked before the ladder, or NULL, and what it said. */
struct asked_zone {
    const struct machine_zone *zone;
    int said;
};

/* The ladder for a contiguous run. */
static __attribute__((__noinline__)) int climb_contig(struct quire_machine *m,
                                                      const struct quire_request *request,
                                                      const struct quire_contig *want,
                                                      quire_pfn *pfn, struct quire_refusal *why,
                                                      uint32_t cpu, const struct asked_zone *asked)
{
    struct quire_request in_blocks = *request;
    struct machine_attempt a = {.ask = ask_contig,
                                .cpu = cpu,
                                .request = &in_blocks,
                                .frames = want->frames,
                                .turn = qi_policy_draw(m, cpu, request, 1),
                                .pfns = pfn,
                                .contig = want,
                                .refused = asked->zone,
                                .refusal = asked->said};

    in_blocks.order = want->frames >= BLOCK_FRAMES ? HUGE_ORDER : 0;
    return qi_machine_serve(m, &a, why);
}

/* As ask_first. SIZE: the zone is too short, which others may not be. */
static void ask_first_contig(struct quire_machine *m, const struct quire_request *request,
                             const struct quire_contig *want, quire_pfn *pfn, uint32_t cpu,
                             struct asked_zone *asked)
{
    struct machine_reader r;
    struct first_zone first;

    machine_enter_on(m, cpu, &r);
    first = first_zone_of(&r, request->near_node, request->flags);
    if (first.e) {
        asked->zone = first.e->zone;
        asked->said = quire_zone_alloc_contig(&first.e->zone->zone, entry_slot(first.e, r.cpu),
                                              want, first.flags, pfn);
        if (asked->said == QUIRE_OK)
            count_hit(&r, first.e->zone->node, first.local, 1);
    }
    machine_leave(&r);
}

int quire_machine_alloc_contig(struct quire_machine *m, const struct quire_request *request,
                               const struct quire_contig *want, quire_pfn *pfn,
                               struct quire_refusal *why)
{
    struct asked_zone asked = {NULL, QUIRE_ERR_NO_MEMORY};
    uint32_t cpu = machine_cpu_now(m);

    if (want->frames == 0 || (want->high && want->low > want->high))
        return qi_machine_refuse(QUIRE_ERR_SIZE, why);
    if (request->flags & ~(uint32_t)QUIRE_ALLOC_FLAGS)
        return qi_machine_refuse(QUIRE_ERR_UNSUPPORTED, why);
    if (!request->policy && request->purpose == QUIRE_FOR_NORMAL)
        ask_first_contig(m, request, want, pfn, cpu, &asked);
    if (asked.said == QUIRE_ERR_NO_MEMORY || asked.said == QUIRE_ERR_SIZE)
        return climb_contig(m, request, want, pfn, why, cpu, &asked);
    return refuse_at(asked.said, asked.zone, why);
}

/* ---- Free ----------------------------------------------------------------------------------- */

/* The entry that the CPU's NORMAL requests ask first, if its longest span holds the frame (M4):
 * most frees are of that, and need no search. NULL: it may be any. */
static inline const struct machine_entry *own_entry_of(const struct machine_reader *r,
                                                       quire_pfn pfn)
{
    uint32_t first = first_normal_entry(r->snapshot, node_of_cpu(r->snapshot, r->cpu));

    return first != NO_ENTRY && window_holds(&r->snapshot->entries[first].zone->window, pfn)
               ? &r->snapshot->entries[first]
               : NULL;
}

/* A run that no magazine of CPU `cpu` took: of a cached order where the CPU is local, or of one
 * that has remote magazines elsewhere, it may be the magazine that is full; all others go to their
 * zone.
 */
int qi_machine_free_slowpath(struct quire_machine *m, quire_pfn pfn, unsigned order, uint32_t cpu)
{
    const struct machine_entry *e;
    struct machine_reader r;
    bool local;
    int error;

    machine_enter_on(m, cpu, &r);
    e = own_entry_of(&r, pfn);
    if (e) {
        local = e->zone_cache && cpu_is_known(r.snapshot, r.cpu);
    } else {
        e = qi_snapshot_find(r.snapshot, pfn);
        local = e && qi_cpu_is_local(r.snapshot, r.cpu, e);
    }
    if (!e)
        error = QUIRE_ERR_FRAME;
    else if (is_cached_order(order) && local)
        error = qi_cache_free_by_cpu(&e->zone_cache->cache, r.cpu, pfn, order);
    else if (is_remote_order(order) && !e->closing)
        error = qi_remote_free(&r, e, pfn, order);
    else
        error = quire_zone_free(&e->zone->zone, entry_slot(e, r.cpu), pfn, order);
    machine_leave(&r);
    return error;
}

int quire_machine_free_contig(struct quire_machine *m, quire_pfn pfn, uint64_t frames)
{
    const struct machine_entry *e;
    struct machine_reader r;
    int error;

    machine_enter_on(m, machine_cpu_now(m), &r);
    e = own_entry_of(&r, pfn);
    if (!e)
        e = qi_snapshot_find(r.snapshot, pfn);
    error = e ? quire_zone_free_contig(&e->zone->zone, entry_slot(e, r.cpu), pfn, frames)
              : QUIRE_ERR_FRAME;
    machine_leave(&r);
    return error;
}
