/* SPDX-License-Identifier: MIT
 *
 * slowpath.c - what a call does that no hit served: checks, refill, overflow, flush, and the drain
 * before a refusal.
 *
 * Refills and flushes move half a magazine, so that alternating bursts of allocations and frees
 * meet at the middle and do not go to the zone each time; after a drain refills begin with one
 * round and double (K9 of cpu_cache.h). A refill takes a half from the CPU's shard of the depot, or
 * rounds from the zone (which fills up the fullest blocks), or if that has none, a half from any
 * shard. An overflow of the loaded magazine, whose frames are of dense blocks, goes to the depot,
 * or is flushed to the zone; a full outgoing magazine is flushed.
 *
 * What goes by the CPU caches, to the zone at once: an order or a flag that is not cached, a CPU
 * without CPU caches, all while the zone is short of memory, and a call that finds its CPU cache
 * taken (by the call that an interrupt came into, or by a drain). A request that falls back asks
 * the zone again, as what lies in a CPU cache was taken without leaving the zone its reserve.
 *
 * A refusal is the caller's: qi_cache_alloc_undrained refuses when the zone does. The cache's own
 * call then drains all caches, as far as its flags permit, and asks the zone once more; the layer
 * above has a ladder of its own.
 *
 * A wrong free is named by the zone, to which all goes that is not admitted. What two frees at one
 * instant brought into magazines twice (core/frame_byte.h) and reaches the zone by a flush is
 * dropped the second time, which is all that can be done then, and told to the port by the zone.
 *
 * The state is that of cpu_cache.h, touched by its owner (K1); the table there says who may run
 * beside whom. Lock-free, any context but for the system call of a drain.
 */
#include "core/internal.h"
#include "percpu/depot.h"
#include "percpu/fastpath.h"

enum { DENSITY_PERIOD = 32 }; /* refills between two samples of the density */

/* ---- Admission (fastpath.h) ----------------------------------------------------------------- */

/* A run that is not in the window of views: through a window of its block. */
static __attribute__((__noinline__)) struct admission admit_elsewhere(const struct quire_cache *c,
                                                                      quire_pfn pfn, unsigned order)
{
    struct block_window one = {.first_block = pfn.n >> BLOCK_ORDER, .blocks = 1};
    uint64_t frame = frame_of_pfn(c->zone, pfn);

    if (frame == NO_FRAME)
        return (struct admission){CACHE_NONE, TO_ZONE};
    window_bind(&one, c->zone, frame_at(block_of(frame), 0));
    /* relaxed: a hint; the zone decides */
    return admit(c, &one, 0, qa_load(window_desc(&one, 0), relaxed), pfn, order);
}

/* The byte of a frame that a pop of a cache with several stretches hands out. */
__attribute__((__noinline__)) void qi_cache_hand_out_elsewhere(const struct quire_cache *c,
                                                               quire_pfn pfn, unsigned order)
{
    frame_hand_out(c->zone, frame_of_pfn(c->zone, pfn), byte_of_order(order));
}

/* ---- Flush ---------------------------------------------------------------------------------- */

/* Free n rounds of a class into the zone. Returns how many frames that were. */
static uint64_t flush_rounds(const struct quire_cache *c, quire_slot slot, enum cache_class cls,
                             const quire_pfn pfns[], uint32_t n)
{
    uint64_t freed = 0;

    if (cls < CACHE_RUNS)
        freed = qi_frames_flush(c->zone, slot, pfns, n);
    else if (cls < CACHE_HUGE)
        freed = qi_runs_flush(c->zone, slot, class_order(cls), pfns, n);
    else
        for (uint32_t i = 0; i < n; i++)
            freed += qi_zone_free_cached(c->zone, slot, pfns[i], HUGE_ORDER) == QUIRE_OK;
    if (freed < n)
        (void)qa_add(&c->state->bad_frees, n - freed, relaxed); /* relaxed: a statistic */
    return freed * frames_per_round(cls);
}

/* Give up to `nodes` full nodes of a CPU's shard of the depot to the zone. Returns how many frames
 * that were. */
uint64_t qi_depot_flush(struct quire_cache *c, quire_slot slot, uint32_t cpu, unsigned cls,
                        uint32_t nodes)
{
    struct depot *depot = c->state->depot;
    uint64_t frames = 0;

    for (; nodes > 0; nodes--) {
        uint32_t n;
        const quire_pfn *pfns = qi_depot_hold(depot, cpu, cls, &n);

        if (!pfns)
            break;
        frames += flush_rounds(c, slot, cls, pfns, n);
        qi_depot_emptied(depot, pfns);
    }
    return frames;
}

/* Give all that the depot holds to the zone: of each class and shard as many nodes as there are at
 * most, so that a CPU that fills its shard meanwhile keeps nobody, nor the others' halves. */
void qi_depot_drain(struct quire_cache *c, quire_slot slot)
{
    for (unsigned cls = 0; cls < DEPOT_CLASSES; cls++)
        for (uint32_t cpu = 0; cpu < c->cpus; cpu++)
            (void)qi_depot_flush(c, slot, cpu, cls, c->depot_nodes);
}

/* Flush a CPU cache that the caller has taken, or only its outgoing magazine. */
uint64_t qi_cpu_cache_flush(const struct quire_cache *c, quire_slot slot, enum cache_class cls,
                            struct cpu_cache *r, bool out_only)
{
    uint32_t count = out_only ? 0 : cpu_cache_count(r);
    uint32_t out = qa_load(&r->out, relaxed); /* relaxed: K1 */
    uint64_t frames;

    frames = flush_rounds(c, slot, cls, r->rounds, count) +
             flush_rounds(c, slot, cls, outgoing_rounds(r), out);
    if (!out_only)
        r->refill = 1;
    if (count > 0) /* or K7 forbids the store */
        cpu_cache_set_count(r, 0);
    qa_store(&r->out, 0, relaxed);               /* relaxed: E-cpu-cache publishes it */
    (void)qa_add(&c->state->drains, 1, relaxed); /* relaxed: a statistic */
    return frames;
}

/* Would a refill fetch, or a flush send, just the run that the call is about? So it is with
 * magazines of two rounds, and the zone serves such a call without them. */
static bool moves_by_one(const struct quire_cache *c, enum cache_class cls)
{
    return c->capacity[cls] == 2;
}

/* ---- Allocation ----------------------------------------------------------------------------- */

/* In local mode: do what other CPUs ask of this one first. */
static void answer_asked(const struct quire_cache *c, uint32_t cpu)
{
    if (c->mode == QUIRE_CACHE_LOCAL && cpu < c->cpus && qa_hint(&views_of(c)[cpu].asked) &&
        cpu == cache_cpu(c))
        (void)qi_cpu_caches_answer(c, cpu);
}

/* Rounds from the depot, half a magazine, or from the zone, as many as K9 says, into pfns[]; what
 * lies in other CPUs' shards of the depot is looked for at once if the zone has none. Returns how
 * many. */
static uint32_t refill(struct quire_cache *c, uint32_t cpu, enum cache_class cls,
                       struct cpu_cache *r, uint32_t flags, quire_pfn pfns[])
{
    quire_slot slot = slot_of_cpu(c, cpu);
    uint32_t want = r->refill;
    size_t n = 0;

    r->refill = (uint16_t)(2 * want < r->half ? 2 * want : r->half);
    flags &= QUIRE_MOVABLE | QUIRE_NO_CALLBACK; /* urgency is for one request, not for a stock */
    if (cls == CACHE_HUGE) {
        while (n < want &&
               qi_zone_alloc_cached(c->zone, slot, HUGE_ORDER, flags, &pfns[n]) == QUIRE_OK)
            n++;
        return (uint32_t)n;
    }
    if (depot_takes(c, cls))
        n = qi_depot_get(c->state->depot, cpu, cls, pfns);
    if (n == 0 && cls >= CACHE_RUNS)
        n = qi_runs_refill(c->zone, slot, class_order(cls), flags, want, pfns);
    if (n == 0 && cls < CACHE_RUNS) {
        (void)qi_zone_alloc_batch_cached(c->zone, slot, flags | QUIRE_PARTIAL, want, pfns, &n);
        count_as_owner(&r->refills);
        if (qa_load(&r->refills, relaxed) % DENSITY_PERIOD == 0) /* relaxed: a hint */
            qi_density_sample(c, 1);
    }
    if (n == 0 && depot_takes(c, cls))
        n = qi_depot_get_any(c->state->depot, cpu, cls, pfns);
    return (uint32_t)n;
}

/* Does a run that is the caller's, and not handed out yet, read as zeros? */
static bool run_reads_zero(const struct quire_cache *c, quire_pfn pfn)
{
    return frame_reads_zero(c->zone, frame_of_pfn(c->zone, pfn));
}

/* A round that no hit popped: of the CPU's cache of the class, refilled if it is empty. If it was
 * not, that is a hit all the same, which the cache counts unless the caller does (`counted`).
 * *zero, if it is true before: does it read as zeros? */
static bool refill_and_pop(struct quire_cache *c, uint32_t cpu, enum cache_class cls,
                           uint32_t flags, bool counted, quire_pfn *pfn, bool *zero)
{
    struct cpu_cache *r = cpu_cache_of(c, cpu, cls);
    uint32_t count;
    bool got, hit;

    answer_asked(c, cpu);
    qi_cache_follow_pressure(c, flags);
    if (qa_load(&r->limit, relaxed) == 0 || /* relaxed: a hint (K5) */
        (moves_by_one(c, cls) && !cpu_cache_has_round(r)))
        return false;
    if (!qi_cpu_cache_take(c, r, cpu)) {
        (void)qa_add(&c->state->bypasses, 1, relaxed); /* relaxed: a statistic */
        return false;
    }
    count = cpu_cache_count(r);
    hit = count > 0;
    if (!hit) {
        count_as_owner(&r->underflows);
        count = refill(c, cpu, cls, r, flags, r->rounds);
    }
    got = count > 0;
    if (got) {
        *pfn = r->rounds[--count];
        *zero = *zero && run_reads_zero(c, *pfn);
        cache_hand_out(c, *pfn, class_order(cls));
    }
    if (hit && !counted)
        cpu_cache_pop(r);
    else
        cpu_cache_set_count(r, count);
    cpu_cache_put(r);
    return got;
}

/* An allocation that no hit served, refused when the zone refuses it; not zeroed. *zero, if it is
 * true before: does it read as zeros? */
static int alloc_plain(struct quire_cache *c, uint32_t cpu, unsigned order, uint32_t flags,
                       bool counted, quire_pfn *pfn, bool *zero)
{
    enum cache_class cls = request_class(c, order, flags);

    if (cls < CACHE_NONE && c->capacity[cls] > 0 && cpu < c->cpus && !(flags & ~CACHE_HIT_FLAGS) &&
        refill_and_pop(c, cpu, cls, flags, counted, pfn, zero))
        return QUIRE_OK;
    return *zero ? qi_zone_alloc_unzeroed(c->zone, slot_of_cpu(c, cpu), order, flags, pfn, zero)
                 : quire_zone_alloc(c->zone, slot_of_cpu(c, cpu), order, flags, pfn);
}

/* A request's flags without QUIRE_ZEROED, which is done afterwards; with it if nobody can, and the
 * zone says so. */
static uint32_t unzeroed_flags(const struct quire_cache *c, uint32_t flags)
{
    return c->zone->port.zero ? flags & ~(uint32_t)QUIRE_ZEROED : flags;
}

/* Zero the run that was allocated, if the request says so. What the port answers is its own error,
 * whichever it is: the zone has not refused anything. */
static int zero_run(struct quire_cache *c, uint32_t cpu, unsigned order, uint32_t flags,
                    quire_pfn pfn, bool zero)
{
    const struct quire_port *port = &c->zone->port;
    int error = QUIRE_OK;

    if (flags & QUIRE_ZEROED)
        qi_stat_add_at(c->zone, block_of(frame_of_pfn(c->zone, pfn)),
                       zero ? QUIRE_COUNT_KNOWN_ZERO : QUIRE_COUNT_ZEROED, 1ull << order);
    if (flags & QUIRE_ZEROED && !zero)
        error = port->zero(port->ctx, pfn, 1ull << order);
    if (error)
        (void)qi_cache_free_checked(c, cpu, pfn, order);
    return error;
}

/* For the layer above, which counts by node what it asked for: refused when the zone refuses it. */
int qi_cache_alloc_undrained(struct quire_cache *c, uint32_t cpu, unsigned order, uint32_t flags,
                             quire_pfn *pfn)
{
    uint32_t mine = cpu - c->first_cpu, plain = unzeroed_flags(c, flags);
    bool zero = plain != flags;
    int error = alloc_plain(c, mine, order, plain, true, pfn, &zero);

    return error || !(flags & QUIRE_ZEROED) ? error : zero_run(c, mine, order, flags, *pfn, zero);
}

/* The same; before it is refused the caches are drained, and the zone is asked once more. */
int qi_cache_alloc_drained(struct quire_cache *c, uint32_t cpu, unsigned order, uint32_t flags,
                           quire_pfn *pfn)
{
    uint32_t plain = unzeroed_flags(c, flags);
    bool zero = plain != flags;
    int error = alloc_plain(c, cpu, order, plain, false, pfn, &zero);

    if (error == QUIRE_ERR_NO_MEMORY) {
        qi_cache_drain_whole(c, flags & QUIRE_NO_CALLBACK);
        zero = false;
        error = quire_zone_alloc(c->zone, slot_of_cpu(c, cpu), order, plain, pfn);
    }
    return error ? error : zero_run(c, cpu, order, flags, *pfn, zero);
}

int quire_cache_alloc_contig(struct quire_cache *c, const struct quire_contig *want, uint32_t flags,
                             quire_pfn *pfn)
{
    quire_slot slot = slot_of_cpu(c, cache_cpu(c));
    uint32_t plain = unzeroed_flags(c, flags);
    int error = quire_zone_alloc_contig(c->zone, slot, want, plain, pfn);

    if (error == QUIRE_ERR_NO_MEMORY) {
        qi_cache_drain_whole(c, flags & QUIRE_NO_CALLBACK);
        error = quire_zone_alloc_contig(c->zone, slot, want, plain, pfn);
    }
    if (error || plain == flags)
        return error;
    error = c->zone->port.zero(c->zone->port.ctx, *pfn, want->frames);
    if (error)
        (void)quire_zone_free_contig(c->zone, slot, *pfn, want->frames);
    return error;
}

/* ---- Free ----------------------------------------------------------------------------------- */

/* Put a frame into the loaded magazine, whose upper half goes to the depot, or is flushed, when it
 * is full. Did it? */
static bool push_loaded(struct quire_cache *c, uint32_t cpu, enum cache_class cls,
                        struct cpu_cache *r, quire_pfn pfn)
{
    uint32_t count = cpu_cache_count(r);
    bool full = count >= 2 * r->half;

    if (full) {
        quire_pfn *upper = r->rounds + r->half;

        count_as_owner(&r->overflows);
        if (!depot_takes(c, cls) || !qi_depot_put(c->state->depot, cpu, cls, upper, r->half)) {
            (void)flush_rounds(c, slot_of_cpu(c, cpu), cls, upper, r->half);
            count_as_owner(&r->flushes);
        }
        count = r->half;
    }
    r->rounds[count] = pfn;
    cpu_cache_set_count(r, count + 1);
    return full;
}

/* Put a frame into the outgoing magazine, which is flushed when it is full. Did it? */
static bool push_outgoing(struct quire_cache *c, quire_slot slot, enum cache_class cls,
                          struct cpu_cache *r, quire_pfn pfn)
{
    uint32_t out = qa_load(&r->out, relaxed); /* relaxed: K1 */
    bool full = out >= r->half;

    if (full) {
        (void)flush_rounds(c, slot, cls, outgoing_rounds(r), out);
        count_as_owner(&r->flushes);
        out = 0;
    }
    outgoing_rounds(r)[out] = pfn;
    qa_store(&r->out, out + 1, relaxed); /* relaxed: E-cpu-cache publishes it */
    return full;
}

/* The zone's answer to a free, counted if it was a bad one. */
static int counted(const struct quire_cache *c, int error)
{
    if (error)
        (void)qa_add(&c->state->bad_frees, 1, relaxed); /* relaxed: a statistic */
    return error;
}

/* Take a CPU cache into which something may be pushed. */
static bool take_to_push(const struct quire_cache *c, struct cpu_cache *r, uint32_t cpu)
{
    if (qa_load(&r->limit, relaxed) == 0) /* relaxed: a hint (K5) */
        return false;
    if (!qi_cpu_cache_take(c, r, cpu)) {
        (void)qa_add(&c->state->bypasses, 1, relaxed); /* relaxed: a statistic */
        return false;
    }
    if (qa_load(&r->limit, relaxed) > 0) /* relaxed: E-cpu-cache brings that of a close */
        return true;
    cpu_cache_put(r);
    return false;
}

/* A run that was admitted and taken back from its owner, and found no room. */
int qi_cache_push_or_flush(struct quire_cache *c, uint32_t cpu, struct admission a, quire_pfn pfn)
{
    quire_slot slot = slot_of_cpu(c, cpu);
    struct cpu_cache *r = cpu < c->cpus ? cpu_cache_of(c, cpu, a.cls) : NULL;
    bool met_zone;

    if (!r || !take_to_push(c, r, cpu))
        return counted(c, qi_zone_free_cached(c->zone, slot, pfn, class_order(a.cls)));
    met_zone = a.place == TO_OUTGOING ? push_outgoing(c, slot, a.cls, r, pfn)
                                      : push_loaded(c, cpu, a.cls, r, pfn);
    cpu_cache_put(r);
    if (met_zone)
        qi_cache_follow_pressure(c, 0);
    return QUIRE_OK;
}

/* Is there no room for a run in a magazine from which one run would be flushed? */
static bool zone_takes_one(const struct quire_cache *c, uint32_t cpu, struct admission a)
{
    const struct cpu_cache *r;

    if (!moves_by_one(c, a.cls) || cpu >= c->cpus)
        return false;
    r = cpu_cache_of(c, cpu, a.cls);
    /* relaxed: a hint */
    return a.place == TO_OUTGOING ? qa_load(&r->out, relaxed) > 0 : !cpu_cache_has_room(r);
}

/* A free of any kind that no hit served. */
int qi_cache_free_checked(struct quire_cache *c, uint32_t cpu, quire_pfn pfn, unsigned order)
{
    const struct block_window *w = &views_of(c)->window; /* as in all views */
    uint64_t at = window_find(w, pfn);
    struct admission a;

    answer_asked(c, cpu);
    /* relaxed: a hint; the zone decides */
    a = at < w->blocks ? admit(c, w, at, qa_load(window_desc(w, at), relaxed), pfn, order)
                       : admit_elsewhere(c, pfn, order);
    if (a.place != TO_ZONE && c->capacity[a.cls] > 0 && !zone_takes_one(c, cpu, a) &&
        frame_take_back(c->zone, frame_of_pfn(c->zone, pfn), byte_of_order(order)) == QUIRE_OK)
        return qi_cache_push_or_flush(c, cpu, a, pfn);
    return counted(c, quire_zone_free(c->zone, slot_of_cpu(c, cpu), pfn, order));
}

/* The same, for the layer above. */
int qi_cache_free_by_cpu(struct quire_cache *c, uint32_t cpu, quire_pfn pfn, unsigned order)
{
    return qi_cache_free_checked(c, cpu - c->first_cpu, pfn, order);
}
