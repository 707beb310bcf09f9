/* SPDX-License-Identifier: MIT
 *
 * fastpath.c - allocation and free of one run: the hit, and the way to what is behind it.
 *
 * A hit touches the CPU's view and a CPU cache, both of which live as long as the machine; it
 * reads no snapshot and counts no reader (M3 of machine.h). What it may find:
 *
 *   - The view is no longer the CPU's (a CPU moved, nearer memory came), or its zone is on its way
 *     out. A pop gives a frame that was cached: it is the caller's now, and whoever takes the zone
 *     out finds it allocated, if he had not drained that CPU cache before. A push gives a frame of
 *     this zone, owned until the commit, to a CPU cache: the drain that follows takes it out; once
 *     the zone is closed the CPU cache's limit is 0, and the push goes another way.
 *   - The caller moved to another CPU: percpu sees to that.
 *
 * Lock-free, any context.
 */
#include "numa/machine/machine.h"

static const uint32_t alloc_known_flags =
    QUIRE_MOVABLE | QUIRE_HIGH | QUIRE_EMERGENCY | QUIRE_NO_CALLBACK | QUIRE_ZEROED;

/* ---- Allocation ----------------------------------------------------------------------------- */

static inline bool alloc_from_view(const struct cpu_view *view, unsigned order, uint32_t flags,
                                   quire_pfn *pfn)
{
    unsigned cls = cache_class_of(order, flags & QUIRE_MOVABLE);

    if (__builtin_expect(!view || flags & ~MACHINE_HIT_FLAGS || cls >= QUIRE_CACHE_CLASSES, 0))
        return false;
    return view_pop(view, cls, pfn);
}

static int ask_zone(const struct machine_reader *r, const struct machine_entry *e,
                    struct machine_attempt *a)
{
    uint32_t flags = qi_entry_flags(r, e, a->request);

    if (!(flags & QUIRE_FALLBACK) && qi_cpu_is_local(r->snapshot, r->cpu, e))
        return qi_cache_alloc_slowpath(&e->zone_cache->cache, a->request->order, flags, a->pfns);
    if (a->request->order == 0)
        qi_remote_retarget(r, e);
    return quire_zone_alloc(&e->zone->zone, qi_entry_slot(e, r->cpu), a->request->order, flags,
                            a->pfns);
}

/* What no magazine serves. */
int qi_machine_request_slowpath(struct quire_machine *m, const struct quire_request *request,
                                quire_pfn *pfn, struct quire_refusal *why)
{
    struct machine_attempt a = {.ask = ask_zone, .request = request, .pfns = pfn};

    if (request->order > QUIRE_MAX_ORDER)
        return qi_machine_refuse(QUIRE_ERR_SIZE, why);
    if (request->flags & ~alloc_known_flags)
        return qi_machine_refuse(QUIRE_ERR_UNSUPPORTED, why);
    a.frames = 1ull << request->order;
    a.turn = qi_policy_draw(m, request, 1);
    return qi_machine_serve(m, &a, why);
}

static __attribute__((__noinline__)) int alloc_slowpath(struct quire_machine *m, unsigned order,
                                                        uint32_t flags, quire_pfn *pfn)
{
    struct quire_request request = quire_request_of(order, flags);

    return qi_machine_request_slowpath(m, &request, pfn, NULL);
}

int quire_machine_alloc(struct quire_machine *m, unsigned order, uint32_t flags, quire_pfn *pfn)
{
    return alloc_from_view(machine_own_view(m), order, flags, pfn)
               ? QUIRE_OK
               : alloc_slowpath(m, order, flags, pfn);
}

/* Does a request with a policy of its own ask the zone of the CPU's view first? */
static bool policy_asks_view(const struct cpu_view *view, const struct quire_request *request)
{
    const void *cache = view->cache; /* the home's first member */
    quire_node node = ((const struct zone_cache *)cache)->zone->node;
    const struct quire_policy *p = request->policy;
    uint32_t own = qa_load(&view->node, relaxed); /* relaxed: a hint */

    if (request->zone != QUIRE_ZONE_NORMAL ||
        (request->node.n != QUIRE_NO_NODE && request->node.n != own))
        return false;
    if (p->mode == QUIRE_POLICY_PREFERRED || p->mode == QUIRE_POLICY_BIND)
        return p->nodes.bits == quire_nodemask_of(node).bits;
    return p->mode == QUIRE_POLICY_NEAREST ||
           (p->mode == QUIRE_POLICY_LOCAL && (!p->strict || node.n == own));
}

/* A request that names a node or has a policy, and is not for what the remote magazine serves of
 * late: it may be for the CPU's home all the same. */
int qi_machine_request_by_policy(struct quire_machine *m, const struct quire_request *request,
                                 quire_pfn *pfn, struct quire_refusal *why)
{
    const struct cpu_view *view = machine_own_view(m);

    if (view_serves_request(view, request) ||
                (view && request->policy && policy_asks_view(view, request))
            ? alloc_from_view(view, request->order, request->flags, pfn)
            : qi_remote_pop_by_policy(m, request, pfn))
        return QUIRE_OK;
    return qi_machine_request_slowpath(m, request, pfn, why);
}

int quire_machine_request(struct quire_machine *m, const struct quire_request *request,
                          quire_pfn *pfn, struct quire_refusal *why)
{
    const struct cpu_view *view;

    if (request->node.n != QUIRE_NO_NODE)
        return qi_remote_request(m, request, pfn, why);
    view = machine_own_view(m);
    if (view_serves_request(view, request) &&
        alloc_from_view(view, request->order, request->flags, pfn))
        return QUIRE_OK;
    return qi_machine_request_by_policy(m, request, pfn, why);
}

/* ---- Free ----------------------------------------------------------------------------------- */

/* What no magazine takes. */
int qi_machine_free_slowpath(struct quire_machine *m, quire_pfn pfn, unsigned order)
{
    const struct machine_entry *e;
    struct machine_reader r;
    int error = QUIRE_ERR_FRAME;

    if (order > QUIRE_MAX_ORDER)
        return QUIRE_ERR_SIZE;
    qi_machine_enter(m, &r);
    e = qi_snapshot_find(r.snapshot, pfn);
    if (!e)
        error = QUIRE_ERR_FRAME;
    else if (qi_cpu_is_local(r.snapshot, r.cpu, e))
        error = quire_cache_free(&e->zone_cache->cache, pfn, order);
    else if (order == 0 && !e->closing)
        error = qi_remote_free(&r, e, pfn);
    else
        error = quire_zone_free(&e->zone->zone, qi_entry_slot(e, r.cpu), pfn, order);
    qi_machine_leave(&r);
    return error;
}

/* The free of a run. */
static __attribute__((__noinline__)) int machine_free_run(struct quire_machine *m, quire_pfn pfn,
                                                          unsigned order)
{
    const struct cpu_view *view = machine_own_view(m);

    if (view && qi_view_push_other(view, pfn, order))
        return QUIRE_OK;
    return qi_machine_free_slowpath(m, pfn, order);
}

/* A frame of the view's blocks that did not hit: its block may be sparse, or have pins. */
static __attribute__((__noinline__)) int free_sparse_or_pinned(struct quire_machine *m,
                                                               quire_pfn pfn,
                                                               const struct cpu_view *view)
{
    return qi_view_push_other(view, pfn, 0) ? QUIRE_OK : qi_machine_free_slowpath(m, pfn, 0);
}

int quire_machine_free(struct quire_machine *m, quire_pfn pfn, unsigned order)
{
    const struct cpu_view *view;
    uint32_t cpu;

    if (__builtin_expect(order != 0, 0))
        return machine_free_run(m, pfn, order);
    cpu = machine_cpu_now(m);
    if (cpu >= QUIRE_CPUS)
        return qi_machine_free_slowpath(m, pfn, 0);
    view = machine_view_of(m, cpu);
    if (!view || !window_holds(&view->window, pfn))
        return qi_remote_push(m, pfn, cpu);
    return view_push_frame(view, pfn) ? QUIRE_OK : free_sparse_or_pinned(m, pfn, view);
}

static int ask_contig(const struct machine_reader *r, const struct machine_entry *e,
                      struct machine_attempt *a)
{
    int error = quire_zone_alloc_contig(&e->zone->zone, qi_entry_slot(e, r->cpu), a->contig,
                                        qi_entry_flags(r, e, a->request), a->pfns);

    if (error != QUIRE_ERR_SIZE)
        return error;
    a->too_long++;
    return QUIRE_ERR_NO_MEMORY;
}

int quire_machine_alloc_contig(struct quire_machine *m, const struct quire_request *request,
                               const struct quire_contig *want, quire_pfn *pfn,
                               struct quire_refusal *why)
{
    struct quire_request in_blocks = *request;
    struct machine_attempt a = {
        .ask = ask_contig, .request = &in_blocks, .pfns = pfn, .contig = want};

    if (want->frames == 0 || (want->high && want->low > want->high))
        return qi_machine_refuse(QUIRE_ERR_SIZE, why);
    in_blocks.order = want->frames >= BLOCK_FRAMES ? HUGE_ORDER : 0;
    a.frames = want->frames;
    a.turn = qi_policy_draw(m, request, 1);
    return qi_machine_serve(m, &a, why);
}

int quire_machine_free_contig(struct quire_machine *m, quire_pfn pfn, uint64_t frames)
{
    const struct machine_entry *e;
    struct machine_reader r;
    int error = QUIRE_ERR_FRAME;

    qi_machine_enter(m, &r);
    e = qi_snapshot_find(r.snapshot, pfn);
    if (e)
        error = quire_zone_free_contig(&e->zone->zone, qi_entry_slot(e, r.cpu), pfn, frames);
    qi_machine_leave(&r);
    return error;
}

int quire_machine_find(struct quire_machine *m, quire_pfn pfn, quire_node *node,
                       struct quire_zone **zone)
{
    const struct machine_entry *e;
    struct machine_reader r;

    qi_machine_enter(m, &r);
    e = qi_snapshot_find(r.snapshot, pfn);
    if (e && quire_zone_holds(&e->zone->zone, pfn)) {
        *node = e->zone->node;
        *zone = e->zone->given;
    } else {
        e = NULL;
    }
    qi_machine_leave(&r);
    return e ? QUIRE_OK : QUIRE_ERR_FRAME;
}
