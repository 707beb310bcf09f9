/* SPDX-License-Identifier: MIT
 *
 * fastpath.c - hits: the allocation and the free of one run that a magazine of the calling CPU
 * serves. What it does not serve is for slowpath.c; another node's frames are for remote.c.
 *
 * A hit works on the CPU's view and on a CPU cache, both of which live as long as the machine. It
 * reads no snapshot and counts no reader. The danger is that the view is out of date (M3): the CPU
 * moved, nearer memory came, or the view's zone is leaving.
 *
 *   pop    gives a frame that was cached, and that counts as allocated in its zone: it is the
 *          caller's from then on, and a zone with an allocated frame does not leave.
 *   push   is for a frame of the view's range, which the caller owns until the push commits. Until
 *          then the zone does not leave. Afterwards the drain that comes before the zone leaves
 *          takes it out; and once the cache is closed its limits are 0, and the push goes another
 *          way.
 *
 * A caller that moves to another CPU meanwhile is percpu's matter (T3 of percpu/fastpath.h). The
 * CPU's number is read once a call and handed on: it is a preference everywhere.
 *
 * Lock-free, any context.
 */
#include "numa/machine/machine.h"

const struct cpu_view qi_no_view = {0};

/* ---- Allocation ----------------------------------------------------------------------------- */

static inline __attribute__((always_inline)) bool alloc_from_view(const struct cpu_view *view,
                                                                  unsigned order, uint32_t flags,
                                                                  quire_pfn *pfn)
{
    enum cache_class cls;

    if (__builtin_expect(view == &qi_no_view || flags & ~CACHE_HIT_FLAGS, 0))
        return false;
    cls = order == 0 ? (enum cache_class)(flags & QUIRE_MOVABLE)
                     : request_class(view->cache, order, flags);
    return cls < CACHE_NONE && view_pop(view, cls, order, pfn);
}

/* In rseq mode, by a section of its own: the CPU cache is found before the section, which only
 * looks whether it is still this CPU's. For order 0, flags are 0 or QUIRE_MOVABLE; for others they
 * are checked here. False: not this way; nothing has changed. */
static inline __attribute__((always_inline)) bool alloc_by_section(const struct quire_machine *m,
                                                                   unsigned order, uint32_t flags,
                                                                   quire_pfn *pfn)
{
#if QUIRE_RSEQ
    int64_t key = rseq_area_key();
    size_t cpu = rseq_cpu_by(key);
    const struct cpu_view *view = machine_view_of(m, cpu);
    enum cache_class cls = (enum cache_class)flags;

    if (view->kind != (VIEW_RSEQ | VIEW_ONE_STRETCH))
        return false;
    if (order > 0) {
        cls = request_class(view->cache, order, flags);
        if (cls >= CACHE_NONE || flags & ~CACHE_HIT_FLAGS)
            return false;
    }
    if (!rseq_pop_at(key, view->cpu_caches[cls], cpu, &pfn->n))
        return false;
    byte_set(window_frame_byte(&view->window, *pfn), byte_of_order(order));
    return true;
#else
    (void)m;
    (void)order;
    (void)flags;
    (void)pfn;
    return false;
#endif
}

/* The allocation of a run of more than a frame, or with flags beyond mobility. */
static __attribute__((__noinline__)) int alloc_run_or_flagged(struct quire_machine *m,
                                                              unsigned order, uint32_t flags,
                                                              quire_pfn *pfn)
{
    uint32_t cpu = machine_cpu_now(m);

    return alloc_from_view(machine_view_of(m, cpu), order, flags, pfn)
               ? QUIRE_OK
               : qi_machine_alloc_slowpath(m, order, flags, pfn, cpu);
}

/* The same in rseq mode: by itself, so that other modes do not pay for it. */
static __attribute__((__noinline__)) int alloc_run_in_rseq_mode(struct quire_machine *m,
                                                                unsigned order, uint32_t flags,
                                                                quire_pfn *pfn)
{
    return order > 0 && alloc_by_section(m, order, flags, pfn)
               ? QUIRE_OK
               : alloc_run_or_flagged(m, order, flags, pfn);
}

/* The CPU's number once more: read again where that is an instruction, so that a hit need not keep
 * it in a register. A number that the machine cannot have counts as 0, as an unknown one does. */
static inline uint32_t cpu_once_more(uint32_t cpu)
{
#ifdef QUIRE_CPU_HEADER
    cpu = quire_this_cpu();
    return cpu < QUIRE_CPUS ? cpu : 0;
#else
    return cpu;
#endif
}

/* What no section comes before in, where there are none: no call more. */
#if QUIRE_RSEQ
#define BEHIND_SECTION static __attribute__((__noinline__))
#else
#define BEHIND_SECTION static inline __attribute__((always_inline))
#endif

/* The allocation of a frame where there is no view of one stretch, or rseq mode has no section. */
static __attribute__((__noinline__)) int alloc_frame_of_stretches(struct quire_machine *m,
                                                                  const struct cpu_view *view,
                                                                  uint32_t flags, quire_pfn *pfn,
                                                                  uint32_t cpu)
{
    return alloc_from_view(view, 0, flags, pfn) ? QUIRE_OK
                                                : qi_machine_alloc_slowpath(m, 0, flags, pfn, cpu);
}

/* The allocation of a frame in exchange mode, from a view of one stretch: by itself, so that local
 * mode does not pay for it. */
static __attribute__((__noinline__)) int alloc_frame_by_exchange(struct quire_machine *m,
                                                                 const struct cpu_view *view,
                                                                 uint32_t flags, quire_pfn *pfn,
                                                                 uint32_t cpu)
{
    if (view->kind != VIEW_ONE_STRETCH)
        return alloc_frame_of_stretches(m, view, flags, pfn, cpu);
    return view_claim_pop_frame(view, (enum cache_class)flags, false, pfn)
               ? QUIRE_OK
               : qi_machine_alloc_slowpath(m, 0, flags, pfn, cpu);
}

/* The allocation of a frame, with no flag but mobility: in exchange and local mode; in rseq mode
 * what the section below does not do. */
BEHIND_SECTION int alloc_frame(struct quire_machine *m, uint32_t flags, quire_pfn *pfn)
{
    uint32_t cpu = machine_cpu_now(m);
    const struct cpu_view *view = machine_view_of(m, cpu);

    if (view->kind != (VIEW_LOCAL | VIEW_ONE_STRETCH))
        return alloc_frame_by_exchange(m, view, flags, pfn, cpu);
    return view_claim_pop_frame(view, (enum cache_class)flags, true, pfn)
               ? QUIRE_OK
               : qi_machine_alloc_slowpath(m, 0, flags, pfn, cpu_once_more(cpu));
}

int quire_machine_alloc(struct quire_machine *m, unsigned order, uint32_t flags, quire_pfn *pfn)
{
    if (__builtin_expect(order != 0 || flags > QUIRE_MOVABLE, 0))
        return machine_uses_rseq(m) ? alloc_run_in_rseq_mode(m, order, flags, pfn)
                                    : alloc_run_or_flagged(m, order, flags, pfn);
    return alloc_by_section(m, 0, flags, pfn) ? QUIRE_OK : alloc_frame(m, flags, pfn);
}

/* Does a request with a policy of its own ask the zone of the CPU's view first? */
static bool policy_asks_view(const struct cpu_view *view, const struct quire_request *request)
{
    const void *cache = view->cache; /* the first member of a struct zone_cache */
    quire_node node = ((const struct zone_cache *)cache)->zone->node;
    const struct quire_policy *p = request->policy;
    uint32_t own = qa_load(&view->node, relaxed); /* relaxed: a hint */

    if (request->purpose != QUIRE_FOR_NORMAL ||
        (request->near_node.n != 0 && request_node(request).n != own))
        return false;
    if (p->mode == QUIRE_POLICY_PREFERRED || p->mode == QUIRE_POLICY_BIND)
        return p->nodes.bits == quire_nodemask_of(node).bits;
    return p->mode == QUIRE_POLICY_NEAREST ||
           (p->mode == QUIRE_POLICY_LOCAL && (!p->strict || node.n == own));
}

/* A request that names a node or has a policy, and that the remote magazine did not serve by its
 * node: it may still be for the CPU's own view, or by its policy for the remote magazine. */
int qi_machine_request_by_policy(struct quire_machine *m, const struct quire_request *request,
                                 quire_pfn *pfn, struct quire_refusal *why, uint32_t cpu)
{
    const struct cpu_view *view = machine_view_of(m, cpu);

    if (view_serves_request(view, request) ||
                (view != &qi_no_view && request->policy && policy_asks_view(view, request))
            ? alloc_from_view(view, request->order, request->flags, pfn)
            : qi_remote_pop_by_policy(m, request, pfn, cpu))
        return QUIRE_OK;
    return qi_machine_request_slowpath(m, request, pfn, why, cpu);
}

int quire_machine_request(struct quire_machine *m, const struct quire_request *request,
                          quire_pfn *pfn, struct quire_refusal *why)
{
    const struct cpu_view *view;
    uint32_t cpu;

    if (request->near_node.n != 0)
        return qi_remote_request(m, request, pfn, why);
    cpu = machine_cpu_now(m);
    view = machine_view_of(m, cpu);
    if (view_serves_request(view, request) &&
        alloc_from_view(view, request->order, request->flags, pfn))
        return QUIRE_OK;
    return qi_machine_request_by_policy(m, request, pfn, why, cpu);
}

/* ---- Free ----------------------------------------------------------------------------------- */

/* The free of a run of order 1 to 9 by a section of its own, in rseq mode, if a hit admits it.
 * False: not this way; nothing has changed. */
static inline bool free_run_by_section(const struct quire_machine *m, quire_pfn pfn, unsigned order)
{
#if QUIRE_RSEQ
    int64_t key = rseq_area_key();
    size_t cpu = rseq_cpu_by(key);
    const struct cpu_view *view = machine_view_of(m, cpu);
    enum cache_class cls;

    if (!view_uses_rseq(view) || !view_take_back_run(view, pfn, order, &cls))
        return false;
    if (rseq_push_at(key, view->cpu_caches[cls], cpu, pfn.n))
        return true;
    byte_restore(window_frame_byte(&view->window, pfn), byte_of_order(order));
#else
    (void)m;
    (void)pfn;
    (void)order;
#endif
    return false;
}

/* The free of a run of more than a frame. */
static __attribute__((__noinline__)) int machine_free_run(struct quire_machine *m, quire_pfn pfn,
                                                          unsigned order)
{
    uint32_t cpu = machine_cpu_now(m);
    const struct cpu_view *view = machine_view_of(m, cpu);

    if (order > HUGE_ORDER)
        return order > QUIRE_MAX_ORDER ? QUIRE_ERR_SIZE
                                       : qi_machine_free_slowpath(m, pfn, order, cpu);
    if (order < HUGE_ORDER) {
        if (qi_view_push_run(view, pfn, order))
            return QUIRE_OK;
    } else if (view_push_block(view, pfn) || qi_view_push_other(view, pfn, HUGE_ORDER)) {
        return QUIRE_OK;
    }
    return qi_remote_push_run(m, pfn, order, cpu);
}

/* The same in rseq mode, as an allocation. */
static __attribute__((__noinline__)) int free_run_in_rseq_mode(struct quire_machine *m,
                                                               quire_pfn pfn, unsigned order)
{
    return order <= HUGE_ORDER && free_run_by_section(m, pfn, order)
               ? QUIRE_OK
               : machine_free_run(m, pfn, order);
}

/* A frame of the view's range whose block is not plainly dense: it may be sparse, or have pins. */
static __attribute__((__noinline__)) int free_sparse_or_pinned(struct quire_machine *m,
                                                               quire_pfn pfn, uint32_t cpu,
                                                               const struct cpu_view *view)
{
    return qi_view_push_other(view, pfn, 0) ? QUIRE_OK : qi_machine_free_slowpath(m, pfn, 0, cpu);
}

/* The free of a frame that was taken back, in the mode of the view: in exchange mode, by itself, as
 * the allocation; in local mode where other CPUs ask this one for something; in rseq mode behind
 * its section. As view_push_taken, but by the CPU cache, which is known already: to find it by its
 * class once more costs exchange mode 4 instructions. */
static __attribute__((__noinline__)) int free_frame_of_mode(struct quire_machine *m, quire_pfn pfn,
                                                            uint32_t cpu,
                                                            const struct cpu_view *view,
                                                            struct cpu_cache *to)
{
    if (view_uses_rseq(view) ? qi_cache_push_rseq(view->cache, cpu_cache_class(to), pfn)
                             : view_claim_push(view, to, pfn))
        return QUIRE_OK;
    byte_restore(window_frame_byte(&view->window, pfn), BYTE_SINGLE);
    return free_sparse_or_pinned(m, pfn, cpu, view);
}

/* The free of a frame: in exchange and local mode; in rseq mode what the section below does not do.
 */
BEHIND_SECTION int free_frame(struct quire_machine *m, quire_pfn pfn)
{
    uint32_t cpu = machine_cpu_now(m);
    const struct cpu_view *view;
    struct cpu_cache *to;

    if (cpu >= QUIRE_CPUS)
        return qi_machine_free_slowpath(m, pfn, 0, cpu);
    view = machine_view_of(m, cpu);
    if (!window_holds(&view->window, pfn))
        return qi_remote_push(m, pfn, cpu_once_more(cpu));
    if (!view_take_back_frame(view, pfn, &to))
        return free_sparse_or_pinned(m, pfn, cpu_once_more(cpu), view);
    if (qa_hint(&view->asked) != 0)
        return free_frame_of_mode(m, pfn, cpu_once_more(cpu), view, to);
    if (cpu_cache_claim_push(to, true, pfn))
        return QUIRE_OK;
    byte_restore(window_frame_byte(&view->window, pfn), BYTE_SINGLE);
    return free_sparse_or_pinned(m, pfn, cpu_once_more(cpu), view);
}

/* In rseq mode, as an allocation. */
static inline bool free_by_section(const struct quire_machine *m, quire_pfn pfn)
{
#if QUIRE_RSEQ
    int64_t key = rseq_area_key();
    size_t cpu = rseq_cpu_by(key);
    const struct cpu_view *view = machine_view_of(m, cpu);
    struct cpu_cache *to;

    if (!view_uses_rseq(view) || !view_take_back_frame(view, pfn, &to))
        return false;
    if (rseq_push_at(key, to, cpu, pfn.n))
        return true;
    byte_restore(window_frame_byte(&view->window, pfn), BYTE_SINGLE);
#else
    (void)m;
    (void)pfn;
#endif
    return false;
}

int quire_machine_free(struct quire_machine *m, quire_pfn pfn, unsigned order)
{
    if (__builtin_expect(order != 0, 0))
        return machine_uses_rseq(m) ? free_run_in_rseq_mode(m, pfn, order)
                                    : machine_free_run(m, pfn, order);
    return free_by_section(m, pfn) ? QUIRE_OK : free_frame(m, pfn);
}
