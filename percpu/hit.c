/* SPDX-License-Identifier: MIT
 *
 * hit.c - the allocation and the free that a magazine serves.
 *
 * A freed frame of a dense block goes into the loaded magazine and is used again at once; one of a
 * sparse block goes into the outgoing magazine and from there home: density.c says why, and what
 * is sparse.
 *
 * A frame is cached only if its block is SPLIT without pins, by a look; all other frees, and every
 * order without a rack, go to the zone, which knows the errors.
 *
 * Lock-free, any context. In rseq mode without a locked instruction, in exchange mode one.
 */
#include "core/block.h"
#include "percpu/hardened.h"
#include "percpu/rseq.h"

_Static_assert(RACK_UNMOVABLE == 0 && (unsigned)RACK_MOVABLE == QUIRE_MOVABLE,
               "mobility flags name the rack");
_Static_assert(CLASS_UNMOVABLE % 2 == RACK_UNMOVABLE && CLASS_MOVABLE % 2 == RACK_MOVABLE &&
                   CLASS_LARGE % 2 == RACK_UNMOVABLE,
               "a block's class names the rack by its lowest bit");

/* ---- Ways into and out of a rack ------------------------------------------------------------ */

/* Pop a round of a rack in exchange mode. */
static bool pop_exchanged(const struct quire_cache *c, uint32_t cpu, unsigned rack, quire_pfn *pfn)
{
    struct quire_rack *r = rack_of(c, cpu, rack);
    uint32_t count;

    if (qa_xchg(&r->present, 0, acquire) != 1) /* P2 acquire: pairs P1 */
        return false;
    count = rack_count(r);
    if (count > 0) {
        *pfn = r->rounds[count - 1];
        /* relaxed: K1; P1 publishes it */
        qa_store(&r->count, qa_load(&r->count, relaxed) + RACK_POP, relaxed);
    }
    quire_rack_put(r);
    return count > 0;
}

/* Push a round to a rack in exchange mode, if there is room. */
static bool push_exchanged(const struct quire_cache *c, uint32_t cpu, unsigned rack, quire_pfn pfn)
{
    struct quire_rack *r = rack_of(c, cpu, rack);
    uint32_t count;
    bool room;

    if (qa_xchg(&r->present, 0, acquire) != 1) /* P2 acquire: pairs P1 */
        return false;
    count = rack_count(r);
    room = count < qa_load(&r->limit, relaxed); /* relaxed: a hint (K5) */
    if (room) {
        r->rounds[count] = pfn;
        rack_set_count(r, count + 1);
    }
    quire_rack_put(r);
    return room;
}

static __attribute__((noinline)) int pop_otherwise(struct quire_cache *c, unsigned rack,
                                                   uint32_t flags, quire_pfn *pfn)
{
    uint32_t cpu = quire_rack_cpu(c);

    if (c->mode == QUIRE_CACHE_EXCHANGE && cpu < c->cpus && pop_exchanged(c, cpu, rack, pfn)) {
        cached_clear(c, pfn, 1);
        return QUIRE_OK;
    }
    return quire_alloc_slowly(c, cpu, rack, flags, pfn);
}

static __attribute__((noinline)) int push_otherwise(struct quire_cache *c, unsigned rack,
                                                    quire_pfn pfn, bool sparse)
{
    uint32_t cpu = quire_rack_cpu(c);

    if (c->mode == QUIRE_CACHE_EXCHANGE && cpu < c->cpus && !sparse &&
        push_exchanged(c, cpu, rack, pfn))
        return QUIRE_OK;
    return quire_free_slowly(c, cpu, rack, pfn, sparse);
}

/* ---- Allocation ----------------------------------------------------------------------------- */

/* Requests with more flags than mobility, other orders, exchange mode. One that falls back goes to
 * the zone, as what lies in a rack was taken without leaving the zone its reserve. `hits`: try the
 * ways that count as hits (K6). */
static __attribute__((noinline)) int alloc_otherwise(struct quire_cache *c, unsigned order,
                                                     uint32_t flags, bool hits, quire_pfn *pfn)
{
    uint32_t known =
        QUIRE_MOVABLE | QUIRE_HIGH | QUIRE_EMERGENCY | QUIRE_NO_CALLBACK | QUIRE_ZEROED;
    unsigned rack = rack_class(order, flags & QUIRE_MOVABLE);
    int error;

    if (rack >= QUIRE_CACHE_CLASSES || c->capacity[rack] == 0 || flags & ~known)
        return quire_alloc_around(c, order, flags, pfn);
    if (flags & QUIRE_ZEROED && !c->zone->port.zero)
        return QUIRE_ERR_UNSUPPORTED;
#if QUIRE_RSEQ
    if (hits && order != 0 && flags < c->flags && rseq_pop(c, rack, &pfn->n)) {
        cached_clear(c, pfn, 1);
        return QUIRE_OK;
    }
#endif
    if (hits)
        error = pop_otherwise(c, rack, flags & ~(uint32_t)QUIRE_ZEROED, pfn);
    else
        error =
            quire_alloc_slowly(c, quire_rack_cpu(c), rack, flags & ~(uint32_t)QUIRE_ZEROED, pfn);
    if (!error && flags & QUIRE_ZEROED) {
        error = c->zone->port.zero(c->zone->port.ctx, *pfn, 1ull << order);
        if (error)
            (void)quire_cache_free(c, *pfn, order);
    }
    return error;
}

int quire_cache_alloc(struct quire_cache *c, unsigned order, uint32_t flags, quire_pfn *pfn)
{
#if QUIRE_RSEQ
    if (order == 0 && flags < c->flags) {
        if (!rseq_pop(c, flags, &pfn->n))
            return pop_otherwise(c, flags, flags, pfn);
        cached_clear(c, pfn, 1);
        return QUIRE_OK;
    }
#endif
    return alloc_otherwise(c, order, flags, true, pfn);
}

/* The same for who missed and counts by himself: what this gives is no hit. */
int quire_cache_alloc_missed(struct quire_cache *c, unsigned order, uint32_t flags, quire_pfn *pfn)
{
    return alloc_otherwise(c, order, flags, false, pfn);
}

/* ---- Free ----------------------------------------------------------------------------------- */

/* A free that no rack takes. */
static __attribute__((noinline)) int free_around(struct quire_cache *c, quire_pfn pfn,
                                                 unsigned order)
{
    return quire_zone_free(c->zone, slot_of_cpu(c, quire_rack_cpu(c)), pfn, order);
}

/* Is a block with this fullness byte sparse? */
static inline bool is_sparse(const struct quire_cache *c, const void *full)
{
    /* relaxed: hints, both */
    return qa_load((const qa8 *)full, relaxed) > qa_load(&c->state->sparse_over, relaxed);
}

/* Is the block with this descriptor SPLIT, without pins? */
static inline bool is_cacheable(uint32_t desc)
{
    return ((desc - D_SPLIT) & (D_STATE | D_PINS)) == 0;
}

/* Is this one allocated run of its order, as far as the zone's maps know? Not one of a range that
 * is being emptied: it may be freed, but not be handed out again. */
static bool is_run(const struct quire_cache *c, unsigned order, uint64_t frame, uint32_t desc)
{
    if (frame % (1ull << order))
        return false;
    if (order == HUGE_ORDER)
        return desc == desc_whole(HUGE_ORDER) && !quire_block_listed(c->zone, block_of(frame));
    return is_cacheable(desc) && quire_run_check(c->zone, frame, 1ull << order) == QUIRE_OK;
}

/* A run, or block. Whether it may be freed is read from the maps at once, as for a free without a
 * cache; that it is in a cache already is noticed later, or in the hardened build. */
static int free_run(struct quire_cache *c, quire_pfn pfn, unsigned order, uint64_t frame)
{
    uint32_t b = block_of(frame), d = qa_load(desc_of(c->zone, b), relaxed); /* relaxed: a look */
    unsigned rack = rack_class(order, desc_class(d) % 2);
    bool sparse = order != HUGE_ORDER && is_sparse(c, full_of(c->zone, b));

    if (rack >= QUIRE_CACHE_CLASSES || c->capacity[rack] == 0 || !is_run(c, order, frame, d))
        return free_around(c, pfn, order);
    if (!cached_set(c, pfn))
        return quire_refuse(c, pfn, QUIRE_ERR_DOUBLE_FREE);
#if QUIRE_RSEQ
    if (c->mode == QUIRE_CACHE_RSEQ && !sparse && rseq_push(c, rack, pfn.n))
        return QUIRE_OK;
#endif
    return push_otherwise(c, rack, pfn, sparse);
}

/* Other orders than 0, other stretches than the longest, exchange mode. */
static __attribute__((noinline)) int free_otherwise(struct quire_cache *c, quire_pfn pfn,
                                                    unsigned order)
{
    uint64_t frame = frame_of_pfn(c->zone, pfn);
    uint32_t b = block_of(frame), d;
    int error;

    if (frame == NO_FRAME)
        return free_around(c, pfn, order);
    if (order != 0)
        return free_run(c, pfn, order, frame);
    d = qa_load(desc_of(c->zone, b), relaxed); /* relaxed: a look; the zone decides */
    if (!is_cacheable(d))
        return free_around(c, pfn, 0);
    error = cached_enter(c, pfn);
    if (error)
        return quire_refuse(c, pfn, error);
    return push_otherwise(c, desc_class(d) % 2, pfn, is_sparse(c, full_of(c->zone, b)));
}

#if QUIRE_RSEQ
/* A frame of a sparse block. */
static __attribute__((noinline)) int free_sparse(struct quire_cache *c, quire_pfn pfn,
                                                 unsigned rack)
{
    return rseq_push_out(c, rack, pfn.n) ? QUIRE_OK : push_otherwise(c, rack, pfn, true);
}

/* A single frame of block b of the longest stretch. */
static inline int free_near(struct quire_cache *c, quire_pfn pfn, uint64_t b)
{
    const void *descs = c->descs;
    uint32_t d = qa_load((const qa32 *)descs + b, relaxed); /* relaxed: a look; the zone decides */
    unsigned rack = desc_class(d) % 2;
    int error;

    if (!is_cacheable(d))
        return free_around(c, pfn, 0);
    error = cached_enter(c, pfn);
    if (error)
        return quire_refuse(c, pfn, error);
    if (is_sparse(c, c->fulls + b))
        return free_sparse(c, pfn, rack);
    return rseq_push(c, rack, pfn.n) ? QUIRE_OK : push_otherwise(c, rack, pfn, false);
}
#endif

int quire_cache_free(struct quire_cache *c, quire_pfn pfn, unsigned order)
{
#if QUIRE_RSEQ
    uint64_t b = (pfn.n >> BLOCK_ORDER) - c->first_block;

    if (order == 0 && b < c->blocks)
        return free_near(c, pfn, b);
#endif
    return free_otherwise(c, pfn, order);
}

/* ---- A hit or nothing ----------------------------------------------------------------------- */

/* For callers that may find the zone of the cache taken out of service meanwhile: the cache's own
 * memory and the zone's handle live on, the zone's metadata does not. It is read only for a frame
 * that the caller still owns, and while somebody owns a frame no zone goes. `cpu` is as the
 * machine counts; in rseq mode the kernel's word decides. */

/* Pop a round of the calling CPU's rack of a class. False: there is none. */
bool quire_cache_pop(const struct quire_cache *c, uint32_t cpu, unsigned rack, quire_pfn *pfn)
{
#if QUIRE_RSEQ
    if (c->mode == QUIRE_CACHE_RSEQ) {
        if (!rseq_pop(c, rack, &pfn->n))
            return false;
        cached_clear(c, pfn, 1);
        return true;
    }
#endif
    cpu -= c->first_cpu;
    if (cpu >= c->cpus || !pop_exchanged(c, cpu, rack, pfn))
        return false;
    cached_clear(c, pfn, 1);
    return true;
}

/* Push a run, which is of the zone, to the calling CPU's rack. False: whatever is the matter,
 * quire_cache_free will say; nothing has changed. */
bool quire_cache_push(const struct quire_cache *c, uint32_t cpu, quire_pfn pfn, unsigned order)
{
    uint64_t frame = frame_of_pfn(c->zone, pfn);
    uint32_t b = block_of(frame), d;
    bool sparse, done;
    unsigned rack;

    if (frame == NO_FRAME)
        return false;
    d = qa_load(desc_of(c->zone, b), relaxed); /* relaxed: a look; the zone decides */
    rack = rack_class(order, desc_class(d) % 2);
    if (rack >= QUIRE_CACHE_CLASSES || c->capacity[rack] == 0)
        return false;
    sparse = order != HUGE_ORDER && is_sparse(c, full_of(c->zone, b));
    if (order == 0 ? !is_cacheable(d) || cached_enter(c, pfn) != QUIRE_OK
                   : !is_run(c, order, frame, d) || !cached_set(c, pfn))
        return false;
#if QUIRE_RSEQ
    if (c->mode == QUIRE_CACHE_RSEQ) {
        done = sparse ? rseq_push_out(c, rack, pfn.n) : rseq_push(c, rack, pfn.n);
        if (!done)
            cached_clear(c, &pfn, 1);
        return done;
    }
#endif
    cpu -= c->first_cpu;
    done = cpu < c->cpus && !sparse && push_exchanged(c, cpu, rack, pfn);
    if (!done)
        cached_clear(c, &pfn, 1);
    return done;
}
