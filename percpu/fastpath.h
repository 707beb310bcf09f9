/* SPDX-License-Identifier: MIT
 *
 * fastpath.h - a CPU's view of a cache: all that a hit reads, worked out when the cache is built;
 * which frees may be cached; and the hits themselves, inline. Private to percpu and numa.
 *
 * The danger is a zone that is taken out of service while a hit is under way. A view, the CPU
 * caches and the zone's handle live as long as the cache's memory; the zone's metadata does not. So
 * a hit reads metadata only on behalf of a frame that its caller owns, and while a frame of a zone
 * is owned the zone stays.
 *
 *   T1  A view does not change once its cache is in service, but for the atomic words. While the
 *       cache is closed, and no frame of the window is owned, the window may be bound to a zone
 *       that takes the place of the old one (view.c): CPU caches, range and cache stay.
 *   T2  Its window is of the zone's longest stretch of sections, or a part of it, and all its
 *       blocks have maps and frame bytes: a frame of it may be asked for, whoever owns it.
 *   T3  In exchange mode a caller may use any view, whatever CPU it runs on by now (K1 of
 *       cpu_cache.h). In local mode it uses its own CPU's and stays there (K8). In rseq mode the
 *       kernel's word says whose CPU caches are used, and all views are alike; or (the layer above)
 *       the view is of the CPU whose number the section compares with that word.
 *   T4  `usual` is what the last frees of frames had in common: a hint, compared with each frame's
 *       descriptor before anything is done by it. So any value is right.
 *
 *                     pop   push   rebind   set node
 *   pop                X     X       X         X
 *   push               X     X       -         X
 *   rebind             X     -       -         X
 *
 * (X: may run side by side, on one view; -: they do not, as no frame of the window is owned then,
 * and one caller rebinds.)
 *
 * Admission, the one place that says what becomes of a free. Its byte says whether just this run
 * was handed out (core/frame_byte.h): whatever else is freed goes to the zone, which names the
 * error. A frame or run may be cached if its block is SPLIT, a block if its range is not being
 * emptied: it may be freed, but not handed out again. A frame of a dense block goes into the loaded
 * magazine and is used again at once, one of a sparse block into the outgoing one (density.c says
 * why, and what is sparse), as does a single frame of a block for longer runs (is_foreign). A block
 * with pins never becomes whole, so it counts as dense. All else goes to the zone.
 *
 * A hit does the common thing or nothing: what it answers with false is for slowpath.c. Lock-free,
 * any context; in rseq and local mode without a locked instruction, in exchange mode one.
 */
#ifndef QUIRE_PERCPU_FASTPATH_H
#define QUIRE_PERCPU_FASTPATH_H

#include "core/internal.h"
#include "core/window.h"
#include "percpu/arch/rseq.h"

/* A kernel whose code can tell the CPU's number in an instruction or two may say so at build time:
 * a header with a `static inline uint32_t quire_this_cpu(void)`, which answers as the port's `cpu`
 * does. */
#ifdef QUIRE_CPU_HEADER
#include QUIRE_CPU_HEADER
#endif

/* How a view is used, in one word, so that a hit looks once. */
enum view_kind {
    VIEW_LOCAL = 1,       /* the cache is in local mode */
    VIEW_RSEQ = 2,        /* it is in rseq mode; neither: in exchange mode */
    VIEW_ONE_STRETCH = 4, /* the window's frame bytes are those of all frames of the zone */
};

struct cpu_view {
    struct block_window window; /* T2 */
    const qa32 *sparse_limit;   /* a block with a larger fullness byte is sparse */
    const struct quire_cache *cache;
    qa64 asked;    /* what other CPUs ask of this one, bits for each class: ask.c; but for local
                    * mode ASK_NOBODY for good, so that one look tells both */
    qa32 node;     /* the CPU's, as the layer above has it; a hint */
    uint32_t kind; /* bits of enum view_kind */
    qa64 usual;    /* T4; a struct cpu_cache *. CACHE_HUGE's: nothing is usual */
    qa32 recent;   /* T4; a bit for each of the last four that were not usual, 1: movable; the
                    * newest at D_CLASS_SHIFT, older ones above it */
    struct cpu_cache *cpu_caches[QUIRE_CACHE_CLASSES];
} __attribute__((aligned(64)));

/* The flags that a request may have for a magazine to serve it. */
#define CACHE_HIT_FLAGS \
    ((uint32_t)(QUIRE_MOVABLE | QUIRE_HIGH | QUIRE_EMERGENCY | QUIRE_NO_CALLBACK))

/* The views of all CPUs, from the cache's first one on. */
static inline struct cpu_view *views_of(const struct quire_cache *c)
{
    void *cpu_views = c->cpu_views;

    return (struct cpu_view *)cpu_views;
}

/* The view of a CPU that has CPU caches, as the machine counts it. */
static inline const struct cpu_view *view_of(const struct quire_cache *c, uint32_t cpu)
{
    return views_of(c) + (cpu - c->first_cpu);
}

/* Is the cache in rseq mode? */
static inline bool cache_uses_rseq(const struct quire_cache *c)
{
    return QUIRE_RSEQ && c->mode == QUIRE_CACHE_RSEQ;
}

static inline bool view_is_local(const struct cpu_view *s)
{
    return s->kind & VIEW_LOCAL;
}

static inline bool view_uses_rseq(const struct cpu_view *s)
{
    return QUIRE_RSEQ && s->kind & VIEW_RSEQ;
}

/* Does a pop find the byte of its frame by the window? */
static inline bool view_has_bytes(const struct cpu_view *s)
{
    return s->kind & VIEW_ONE_STRETCH;
}

/* The CPU that the caller runs on, or one that has no CPU caches if that cannot be told. */
static inline uint32_t cache_cpu(const struct quire_cache *c)
{
    const struct quire_port *port = &c->zone->port;

#if QUIRE_RSEQ
    if (c->mode == QUIRE_CACHE_RSEQ)
        return rseq_cache_cpu(c);
#endif
    if (!port->cpu)
        return UINT32_MAX;
#ifdef QUIRE_CPU_HEADER
    return quire_this_cpu() - c->first_cpu;
#else
    return port->cpu(port->ctx) - c->first_cpu;
#endif
}

/* ---- Admission ------------------------------------------------------------------------------ */

/* Where a freed run goes. */
enum admit_place { TO_ZONE, TO_LOADED, TO_OUTGOING };

struct admission {
    enum cache_class cls; /* unless TO_ZONE */
    enum admit_place place;
};

/* Is the block with this descriptor SPLIT, without pins, and one of single frames? */
static inline bool is_cacheable(uint32_t desc)
{
    return ((desc - D_SPLIT) & (D_STATE | D_PINS | D_CLASS_ORDER)) == 0;
}

/* Of a descriptor what says whether a hit may push a frame of the block, and to which magazine. If
 * so it is D_SPLIT and the class. */
enum { D_OF_HIT = D_STATE | D_PINS | D_CLASS };

/* The class of single frames of the block with this descriptor: of its mobility. */
static inline enum cache_class frame_class(uint32_t desc)
{
    return (enum cache_class)(desc_class(desc) % 2);
}

/* Is the block with this descriptor one for runs of another order? It got runs of this one when
 * there was nothing better; they leave it again, and it heals. */
static inline bool is_foreign(const struct quire_zone *z, uint32_t desc, unsigned order)
{
    return !desc_is_for(desc, order) && z->order_classes;
}

/* Is the block at this place of a window sparse? */
static inline bool is_sparse(const struct block_window *w, const qa32 *sparse_limit, uint64_t at)
{
    /* relaxed: hints, both */
    return qa_load(window_fullness(w, at), relaxed) > qa_hint(sparse_limit);
}

/* What a hit admits, if its byte is right: to the loaded magazine a single frame of a dense block
 * without pins, or a block while no range of the zone is being emptied; to the outgoing one a frame
 * of a sparse block. TO_ZONE may be too careful: `admit` knows the rest. The order is a constant;
 * `at` is the block's place in the window, `z` is read for blocks alone. */
static inline __attribute__((always_inline)) struct admission admit_hit(
    const struct quire_zone *z, const struct block_window *w, const qa32 *sparse_limit, uint64_t at,
    unsigned order)
{
    struct admission a = {CACHE_HUGE, TO_ZONE};
    uint32_t d;

    if (order == HUGE_ORDER) {
        a.place = has_isolations(z) ? TO_ZONE : TO_LOADED;
        return a;
    }
    d = qa_load(window_desc(w, at), relaxed); /* relaxed: a hint; the zone decides */
    a.cls = frame_class(d);
    if (is_cacheable(d))
        a.place = is_sparse(w, sparse_limit, at) ? TO_OUTGOING : TO_LOADED;
    return a;
}

/* A run of order 1 to 8 of a view's window, if its byte is right, by fewer steps than `admit`.
 * False: to the zone. */
static inline __attribute__((always_inline)) bool admit_run(const struct cpu_view *s, uint64_t at,
                                                            unsigned order, struct admission *a)
{
    uint32_t d =
        qa_load(window_desc(&s->window, at), relaxed); /* relaxed: a hint; the zone decides */

    if (desc_state(d) != D_SPLIT)
        return false;
    a->cls = cached_class_of(order, frame_class(d));
    a->place = TO_LOADED;
    if (!(d & D_PINS) &&
        (is_sparse(&s->window, s->sparse_limit, at) || is_foreign(s->cache->zone, d, order)))
        a->place = TO_OUTGOING;
    return true;
}

/* A run of any order, whose first block is at this place of the window and has this descriptor. */
static inline __attribute__((always_inline)) struct admission admit(const struct quire_cache *c,
                                                                    const struct block_window *w,
                                                                    uint64_t at, uint32_t d,
                                                                    quire_pfn pfn, unsigned order)
{
    struct admission a = {cache_class_of(order, frame_class(d)), TO_ZONE};

    /* Whoever takes the run back looks again. */
    if (a.cls >= CACHE_NONE || byte_read(window_frame_byte(w, pfn)) != byte_of_order(order))
        return a;
    if (order == HUGE_ORDER)
        a.place = qi_block_in_isolated_range(c->zone, window_block(w, at)) ? TO_ZONE : TO_LOADED;
    else if (desc_state(d) == D_SPLIT)
        a.place = !(d & D_PINS) && (is_sparse(w, &c->state->sparse_limit, at) ||
                                    is_foreign(c->zone, d, order))
                      ? TO_OUTGOING
                      : TO_LOADED;
    return a;
}

/* ---- What is usually freed ------------------------------------------------------------------ */

/* Which magazine a frame is pushed to depends on its block's descriptor, the next pop waits for the
 * place of that push, and the next descriptor for that pop. So frees that are alike push to the
 * magazine that is *usual*, whose place is known before the frame is; that the descriptor agrees,
 * the processor predicts. Where frees are not alike nothing is usual for a while, since a guess
 * that is wrong costs more than waiting. */
static inline struct cpu_cache *view_usual(const struct cpu_view *s)
{
    uintptr_t usual = (uintptr_t)qa_hint(&s->usual); /* T4 */

    return (struct cpu_cache *)usual;
}

/* The CPU cache of a free that is not for the usual one, but of this (D_OF_HIT); four alike make it
 * usual. Both places are read before it is known which one it is. The history of `recent` lies in
 * the bits of a class: a shift moves the mobility up. */
static inline __attribute__((always_inline)) struct cpu_cache *view_unusual(
    const struct cpu_view *s, uint32_t of_hit)
{
    struct cpu_cache *unmovable = s->cpu_caches[CACHE_UNMOVABLE];
    struct cpu_cache *movable = s->cpu_caches[CACHE_MOVABLE];
    struct cpu_cache *to = frame_class(of_hit) == CACHE_MOVABLE ? movable : unmovable;
    struct cpu_cache *usual = to;
    struct cpu_view *hints = (struct cpu_view *)(uintptr_t)s; /* T1 */
    uint32_t recent = (qa_hint(&s->recent) << 1 & D_CLASS_ORDER) | of_hit;

    qa_store(&hints->recent, recent, relaxed); /* relaxed: T4 */
    /* Neither 1111 nor 0000: the sum carries out of 1111, and 0000 gets the lowest bit alone. */
    if ((recent + (1u << D_CLASS_SHIFT)) & D_CLASS_ORDER)
        usual = s->cpu_caches[CACHE_HUGE];
    qa_store(&hints->usual, (uintptr_t)usual, relaxed); /* relaxed: T4 */
    return to;
}

/* ---- Hand-out ------------------------------------------------------------------------------- */

/* slowpath.c */
void qi_cache_hand_out_elsewhere(const struct quire_cache *c, quire_pfn pfn, unsigned order);

/* A run that was popped is its caller's from now on: by the cache, by a view. */
static inline void cache_hand_out(const struct quire_cache *c, quire_pfn pfn, unsigned order)
{
    if (__builtin_expect(c->one_stretch, 1))
        byte_set(byte_at(c->frame_bytes, pfn.n), byte_of_order(order));
    else
        qi_cache_hand_out_elsewhere(c, pfn, order);
}

static inline void view_hand_out(const struct cpu_view *s, quire_pfn pfn, unsigned order)
{
    if (__builtin_expect(view_has_bytes(s), 1))
        byte_set(window_frame_byte(&s->window, pfn), byte_of_order(order));
    else
        qi_cache_hand_out_elsewhere(s->cache, pfn, order);
}

/* ---- A CPU cache in exchange or local mode -------------------------------------------------- */

/* Pop a round. */
static inline __attribute__((always_inline)) bool cpu_cache_claim_pop(struct cpu_cache *r,
                                                                      bool local, quire_pfn *pfn)
{
    uint64_t word;
    size_t n;

    if (!cpu_cache_claim(r, local))
        return false;
    word = qa_hint(&r->count); /* K1 */
    n = word & CPU_CACHE_COUNT_MASK;
    if (__builtin_expect(n > 0, 1)) {
        *pfn = r->rounds[n - 1];
        qa_grow(&r->count, word, CPU_CACHE_POP); /* K1; E-cpu-cache publishes it */
    }
    cpu_cache_put(r);
    return n > 0;
}

/* Push a round, if there is room. */
static inline __attribute__((always_inline)) bool cpu_cache_claim_push(struct cpu_cache *r,
                                                                       bool local, quire_pfn pfn)
{
    uint64_t word;
    uint32_t n;
    bool room;

    if (!cpu_cache_claim(r, local))
        return false;
    word = qa_hint(&r->count); /* K1 */
    n = word & CPU_CACHE_COUNT_MASK;
    room = n < qa_hint(&r->limit); /* K5 */
    if (__builtin_expect(room, 1)) {
        r->rounds[n] = pfn;
        qa_grow(&r->count, word, 1); /* K1; E-cpu-cache publishes it */
    }
    cpu_cache_put(r);
    return room;
}

/* The same of rounds that have two words each (kernel-port/heap), in exchange mode. */
static inline __attribute__((always_inline)) bool cpu_cache_claim_pop_two(struct cpu_cache *r,
                                                                          quire_pfn words[2])
{
    size_t n;

    if (!cpu_cache_claim(r, false))
        return false;
    n = (size_t)qa_hint(&r->count); /* K1, K6 */
    if (__builtin_expect(n > 0, 1)) {
        words[0] = r->rounds[n - 2];
        words[1] = r->rounds[n - 1];
        qa_grow(&r->count, (uint64_t)n, -(uint64_t)2); /* K1; E-cpu-cache publishes it */
    }
    cpu_cache_put(r);
    return n > 0;
}

static inline __attribute__((always_inline)) bool cpu_cache_claim_push_two(struct cpu_cache *r,
                                                                           const quire_pfn words[2])
{
    size_t n;
    bool room;

    if (!cpu_cache_claim(r, false))
        return false;
    n = (size_t)qa_hint(&r->count);          /* K1, K6 */
    room = (uint32_t)n < qa_hint(&r->limit); /* K5 */
    if (__builtin_expect(room, 1)) {
        r->rounds[n] = words[0];
        r->rounds[n + 1] = words[1];
        qa_grow(&r->count, (uint64_t)n, 2); /* K1; E-cpu-cache publishes it */
    }
    cpu_cache_put(r);
    return room;
}

/* The same to the outgoing magazine: of half the size. */
static inline bool cpu_cache_claim_push_outgoing(struct cpu_cache *r, bool local, quire_pfn pfn)
{
    uint32_t out;
    bool room;

    if (!cpu_cache_claim(r, local))
        return false;
    out = qa_load(&r->out, relaxed);              /* relaxed: K1 */
    room = 2 * out < qa_load(&r->limit, relaxed); /* relaxed: a hint (K5) */
    if (room) {
        outgoing_rounds(r)[out] = pfn;
        qa_store(&r->out, out + 1, relaxed); /* relaxed: K1; E-cpu-cache publishes it */
    }
    cpu_cache_put(r);
    return room;
}

/* Is there a round to be popped, room to push one? Hints, for those who expect that there is not:
 * bursts of runs, whose magazines are small. They save taking the CPU cache in vain. */
static inline bool cpu_cache_has_round(const struct cpu_cache *r)
{
    return cpu_cache_count(r) > 0;
}

static inline bool cpu_cache_has_room(const struct cpu_cache *r)
{
    return cpu_cache_count(r) < qa_load(&r->limit, relaxed); /* relaxed: a hint (K5) */
}

/* ---- Hits ----------------------------------------------------------------------------------- */

/* fastpath.c: pop, and push to the loaded magazine, in rseq mode: out of line, as each copy of a
 * section is one more to be tested */
bool qi_cache_pop_rseq(const struct quire_cache *c, enum cache_class cls, quire_pfn *pfn);
bool qi_cache_push_rseq(const struct quire_cache *c, enum cache_class cls, quire_pfn pfn);

/* Push a round to the loaded magazine of one of the view's CPU caches, in exchange or local mode.
 * False: no room; or other CPUs ask this one for something, which comes first (slowpath.c). */
static inline __attribute__((always_inline)) bool view_claim_push(const struct cpu_view *s,
                                                                  struct cpu_cache *to,
                                                                  quire_pfn pfn)
{
    uint64_t asked = qa_hint(&s->asked);

    if (asked == 0)
        return cpu_cache_claim_push(to, true, pfn);
    return asked & ASK_NOBODY && cpu_cache_claim_push(to, false, pfn);
}

/* The same to the outgoing one: of half the size. */
static inline bool view_claim_push_outgoing(const struct cpu_view *s, enum cache_class cls,
                                            quire_pfn pfn)
{
    uint64_t asked = qa_hint(&s->asked);

    return (asked == 0 || asked & ASK_NOBODY) &&
           cpu_cache_claim_push_outgoing(s->cpu_caches[cls], asked == 0, pfn);
}

/* Pop a run of an order, which is of this class. False: there is none. */
static inline bool view_pop(const struct cpu_view *s, enum cache_class cls, unsigned order,
                            quire_pfn *pfn)
{
    quire_pfn popped = quire_pfn_of(0); /* for compilers that do not see that it is set */

    if (order >= FIRST_LARGE_ORDER && !view_uses_rseq(s) &&
        !cpu_cache_has_round(s->cpu_caches[cls]))
        return false;
    if (!(view_uses_rseq(s) ? qi_cache_pop_rseq(s->cache, cls, &popped)
                            : cpu_cache_claim_pop(s->cpu_caches[cls], view_is_local(s), &popped)))
        return false;
    *pfn = popped; /* first: what follows may be a call */
    view_hand_out(s, popped, order);
    return true;
}

/* The same of a single frame, from a view of one stretch, in local or exchange mode. */
static inline __attribute__((always_inline)) bool view_claim_pop_frame(const struct cpu_view *s,
                                                                       enum cache_class cls,
                                                                       bool local, quire_pfn *pfn)
{
    quire_pfn popped = quire_pfn_of(0); /* as in view_pop */

    if (!cpu_cache_claim_pop(s->cpu_caches[cls], local, &popped))
        return false;
    *pfn = popped;
    byte_set(window_frame_byte(&s->window, popped), BYTE_SINGLE);
    return true;
}

/* The class of a CPU cache of single frames. */
static inline enum cache_class cpu_cache_class(const struct cpu_cache *r)
{
    return (enum cache_class)(r->of_hit >> D_CLASS_SHIFT);
}

/* Take a single frame that a hit admits to a loaded magazine back from its owner: sets the CPU
 * cache. False: nothing has changed. */
static inline __attribute__((always_inline)) bool view_take_back_frame(const struct cpu_view *s,
                                                                       quire_pfn pfn,
                                                                       struct cpu_cache **to)
{
    uint64_t at = window_find(&s->window, pfn);
    uint32_t of_hit;

    if (at >= s->window.blocks)
        return false;
    of_hit = qa_hint(window_desc(&s->window, at)) & D_OF_HIT; /* a hint; the zone decides */
    *to = view_usual(s);
    if (__builtin_expect((uint16_t)of_hit != (*to)->of_hit, 0)) {
        if (!is_cacheable(of_hit))
            return false;
        *to = view_unusual(s, of_hit);
    }
    return !is_sparse(&s->window, s->sparse_limit, at) &&
           byte_clear(window_frame_byte(&s->window, pfn), BYTE_SINGLE);
}

/* The same of a run of order 1 to 9, whose class is set. The order may be a constant. */
static inline __attribute__((always_inline)) bool view_take_back_run(const struct cpu_view *s,
                                                                     quire_pfn pfn, unsigned order,
                                                                     enum cache_class *cls)
{
    uint64_t at = window_find(&s->window, pfn);
    struct admission a = {CACHE_HUGE, TO_LOADED};

    if (at >= s->window.blocks)
        return false;
    qi_assert(s->cache);
    if (order == HUGE_ORDER ? has_isolations(s->cache->zone)
                            : !admit_run(s, at, order, &a) || a.place != TO_LOADED)
        return false;
    *cls = a.cls;
    return byte_clear(window_frame_byte(&s->window, pfn), byte_of_order(order));
}

/* Push what was taken back to the loaded magazine, or give it back. False: nothing has changed. */
static inline __attribute__((always_inline)) bool view_push_taken(const struct cpu_view *s,
                                                                  enum cache_class cls,
                                                                  quire_pfn pfn, unsigned order)
{
    if (view_uses_rseq(s) ? qi_cache_push_rseq(s->cache, cls, pfn)
                          : view_claim_push(s, s->cpu_caches[cls], pfn))
        return true;
    byte_restore(window_frame_byte(&s->window, pfn), byte_of_order(order));
    return false;
}

/* Push a single frame that a hit admits to a loaded magazine. False: nothing has changed. */
static inline bool view_push_frame(const struct cpu_view *s, quire_pfn pfn)
{
    struct cpu_cache *to;

    return view_take_back_frame(s, pfn, &to) && view_push_taken(s, cpu_cache_class(to), pfn, 0);
}

/* A block of order 9. */
static inline bool view_push_block(const struct cpu_view *s, quire_pfn pfn)
{
    enum cache_class cls;

    return view_take_back_run(s, pfn, HUGE_ORDER, &cls) && view_push_taken(s, cls, pfn, HUGE_ORDER);
}

/* fastpath.c: push a run of order 1 to 8; and what all these leave: a single frame of a block that
 * is sparse or has pins, a block while a range is being emptied. False: nothing has changed. */
bool qi_view_push_run(const struct cpu_view *s, quire_pfn pfn, unsigned order);
bool qi_view_push_other(const struct cpu_view *s, quire_pfn pfn, unsigned order);

/* batch.c */
bool qi_view_pop_batch(const struct cpu_view *s, enum cache_class cls, quire_pfn pfns[], size_t n);
bool qi_view_push_batch(const struct cpu_view *s, const quire_pfn pfns[], size_t n);

/* ---- What missed: slowpath.c ---------------------------------------------------------------- */

/* For the layer above; `cpu` as the machine counts it */
int qi_cache_alloc_undrained(struct quire_cache *c, uint32_t cpu, unsigned order, uint32_t flags,
                             quire_pfn *pfn);
int qi_cache_free_by_cpu(struct quire_cache *c, uint32_t cpu, quire_pfn pfn, unsigned order);

/* For fastpath.c; `cpu` counted from the cache's first one */
int qi_cache_alloc_drained(struct quire_cache *c, uint32_t cpu, unsigned order, uint32_t flags,
                           quire_pfn *pfn);
int qi_cache_free_checked(struct quire_cache *c, uint32_t cpu, quire_pfn pfn, unsigned order);
int qi_cache_push_or_flush(struct quire_cache *c, uint32_t cpu, struct admission a, quire_pfn pfn);

#endif /* QUIRE_PERCPU_FASTPATH_H */
