/* SPDX-License-Identifier: MIT
 *
 * fastpath.c - allocation and free of one run: the hit, and the way to what is behind it.
 *
 * A hit touches the CPU's seat and a rack, both of which live as long as the machine; it
 * reads no snapshot and counts no reader (M3 of machine.h). What it may find:
 *
 *   - The seat is no longer the CPU's (a CPU moved, nearer memory came), or its zone is on its way
 *     out. A pop gives a frame that was cached: it is the caller's now, and whoever takes the zone
 *     out finds it allocated, if he had not drained that rack before. A push gives a frame of this
 *     zone, owned until the commit, to a rack: the drain that follows takes it out; once the zone
 *     is closed the rack's limit is 0, and the push goes another way.
 *   - The caller moved to another CPU: percpu sees to that.
 *
 * Lock-free, any context.
 */
#include "numa/machine/machine.h"

static const uint32_t known_flags =
    QUIRE_MOVABLE | QUIRE_HIGH | QUIRE_EMERGENCY | QUIRE_NO_CALLBACK | QUIRE_ZEROED;

/* ---- Allocation ----------------------------------------------------------------------------- */

static inline bool hit(const struct quire_seat *seat, unsigned order, uint32_t flags,
                       quire_pfn *pfn)
{
    unsigned rack = rack_class(order, flags & QUIRE_MOVABLE);

    if (__builtin_expect(!seat || flags & ~MACHINE_HIT_FLAGS || rack >= QUIRE_CACHE_CLASSES, 0))
        return false;
    return seat_pop(seat, rack, pfn);
}

static int ask(const struct machine_reader *r, const struct machine_entry *e,
               struct machine_attempt *a)
{
    uint32_t flags = quire_entry_flags(r, e, a->request);

    if (!(flags & QUIRE_FALLBACK) && quire_at_home(r->snapshot, r->cpu, e))
        return quire_cache_alloc_missed(&e->home->cache, a->request->order, flags, a->pfns);
    if (a->request->order == 0)
        quire_remote_turn(r, e);
    return quire_zone_alloc(&e->zone->zone, quire_entry_slot(e, r->cpu), a->request->order, flags,
                            a->pfns);
}

/* What no magazine serves. */
int quire_request_slowly(struct quire_machine *m, const struct quire_request *request,
                         quire_pfn *pfn, struct quire_refusal *why)
{
    struct machine_attempt a = {.ask = ask, .request = request, .pfns = pfn};

    if (request->order > QUIRE_MAX_ORDER)
        return quire_machine_wrong(QUIRE_ERR_SIZE, why);
    if (request->flags & ~known_flags)
        return quire_machine_wrong(QUIRE_ERR_UNSUPPORTED, why);
    a.frames = 1ull << request->order;
    a.turn = quire_policy_turn(m, request, 1);
    return quire_machine_serve(m, &a, why);
}

static __attribute__((noinline)) int alloc_missed(struct quire_machine *m, unsigned order,
                                                  uint32_t flags, quire_pfn *pfn)
{
    struct quire_request request = quire_request_of(order, flags);

    return quire_request_slowly(m, &request, pfn, NULL);
}

int quire_machine_alloc(struct quire_machine *m, unsigned order, uint32_t flags, quire_pfn *pfn)
{
    return hit(machine_seat(m), order, flags, pfn) ? QUIRE_OK : alloc_missed(m, order, flags, pfn);
}

/* Does a request with a policy of its own ask the zone of the CPU's seat first? */
static bool by_policy(const struct quire_seat *seat, const struct quire_request *request)
{
    const void *cache = seat->cache; /* the home's first member */
    quire_node node = ((const struct machine_home *)cache)->of->node;
    const struct quire_policy *p = request->policy;
    uint32_t own = qa_load(&seat->tag, relaxed); /* relaxed: a hint */

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
int quire_request_otherwise(struct quire_machine *m, const struct quire_request *request,
                            quire_pfn *pfn, struct quire_refusal *why)
{
    const struct quire_seat *seat = machine_seat(m);

    if (machine_at_seat(seat, request) || (seat && request->policy && by_policy(seat, request))
            ? hit(seat, request->order, request->flags, pfn)
            : quire_remote_pop(m, request, pfn))
        return QUIRE_OK;
    return quire_request_slowly(m, request, pfn, why);
}

int quire_machine_request(struct quire_machine *m, const struct quire_request *request,
                          quire_pfn *pfn, struct quire_refusal *why)
{
    const struct quire_seat *seat;

    if (request->node.n != QUIRE_NO_NODE)
        return quire_remote_request(m, request, pfn, why);
    seat = machine_seat(m);
    if (machine_at_seat(seat, request) && hit(seat, request->order, request->flags, pfn))
        return QUIRE_OK;
    return quire_request_otherwise(m, request, pfn, why);
}

/* ---- Free ----------------------------------------------------------------------------------- */

/* What no magazine takes. */
int quire_machine_free_slowly(struct quire_machine *m, quire_pfn pfn, unsigned order)
{
    const struct machine_entry *e;
    struct machine_reader r;
    int error = QUIRE_ERR_FRAME;

    if (order > QUIRE_MAX_ORDER)
        return QUIRE_ERR_SIZE;
    quire_machine_enter(m, &r);
    e = quire_snapshot_find(r.snapshot, pfn);
    if (!e)
        error = QUIRE_ERR_FRAME;
    else if (quire_at_home(r.snapshot, r.cpu, e))
        error = quire_cache_free(&e->home->cache, pfn, order);
    else if (order == 0 && !e->closing)
        error = quire_remote_free(&r, e, pfn);
    else
        error = quire_zone_free(&e->zone->zone, quire_entry_slot(e, r.cpu), pfn, order);
    quire_machine_leave(&r);
    return error;
}

/* The free of a run. */
static __attribute__((noinline)) int free_run(struct quire_machine *m, quire_pfn pfn,
                                              unsigned order)
{
    const struct quire_seat *seat = machine_seat(m);

    if (seat &&
        (order == HUGE_ORDER ? seat_push_whole(seat, pfn) : quire_seat_push_run(seat, pfn, order)))
        return QUIRE_OK;
    return quire_machine_free_slowly(m, pfn, order);
}

/* A frame of the seat's blocks that did not hit: its block may be sparse, or have pins. */
static __attribute__((noinline)) int free_beside(struct quire_machine *m, quire_pfn pfn,
                                                 const struct quire_seat *seat)
{
    return quire_seat_push_beside(seat, pfn) ? QUIRE_OK : quire_machine_free_slowly(m, pfn, 0);
}

int quire_machine_free(struct quire_machine *m, quire_pfn pfn, unsigned order)
{
    const struct quire_seat *seat;
    uint32_t cpu;

    if (__builtin_expect(order != 0, 0))
        return free_run(m, pfn, order);
    cpu = machine_cpu_now(m);
    if (cpu >= QUIRE_CPUS)
        return quire_machine_free_slowly(m, pfn, 0);
    seat = machine_seat_of(m, cpu);
    if (!seat || (pfn.n >> BLOCK_ORDER) - seat->first_block >= seat->blocks)
        return quire_remote_give(m, pfn, cpu);
    return seat_push(seat, pfn) ? QUIRE_OK : free_beside(m, pfn, seat);
}

static int ask_contig(const struct machine_reader *r, const struct machine_entry *e,
                      struct machine_attempt *a)
{
    int error = quire_zone_alloc_contig(&e->zone->zone, quire_entry_slot(e, r->cpu), a->contig,
                                        quire_entry_flags(r, e, a->request), a->pfns);

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
        return quire_machine_wrong(QUIRE_ERR_SIZE, why);
    in_blocks.order = want->frames >= BLOCK_FRAMES ? HUGE_ORDER : 0;
    a.frames = want->frames;
    a.turn = quire_policy_turn(m, request, 1);
    return quire_machine_serve(m, &a, why);
}

int quire_machine_free_contig(struct quire_machine *m, quire_pfn pfn, uint64_t frames)
{
    const struct machine_entry *e;
    struct machine_reader r;
    int error = QUIRE_ERR_FRAME;

    quire_machine_enter(m, &r);
    e = quire_snapshot_find(r.snapshot, pfn);
    if (e)
        error = quire_zone_free_contig(&e->zone->zone, quire_entry_slot(e, r.cpu), pfn, frames);
    quire_machine_leave(&r);
    return error;
}

int quire_machine_find(struct quire_machine *m, quire_pfn pfn, quire_node *node,
                       struct quire_zone **zone)
{
    const struct machine_entry *e;
    struct machine_reader r;

    quire_machine_enter(m, &r);
    e = quire_snapshot_find(r.snapshot, pfn);
    if (e && quire_zone_holds(&e->zone->zone, pfn)) {
        *node = e->zone->node;
        *zone = e->zone->given;
    } else {
        e = NULL;
    }
    quire_machine_leave(&r);
    return e ? QUIRE_OK : QUIRE_ERR_FRAME;
}
