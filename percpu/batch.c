/* SPDX-License-Identifier: MIT
 *
 * batch.c - batches of single frames into and out of one magazine, by one claim of its CPU cache.
 *
 * A batch goes as a whole or not at all: a magazine that has not so many rounds, or no room for
 * them, or frames that do not all belong into it (of sparse blocks, of blocks with pins, of both
 * mobilities) leave it to the zone. Frames that go in are checked as the zone would check them:
 * allocated, none part of a run, none twice; those that share a word of a map are checked at once.
 * So a bad one is told at once, by the zone, to which it is left; but not one that is in a cache
 * already: that is noticed later, as for single frees.
 *
 * They are written above the magazine's last round while they are checked, and are there when the
 * count says so. The caller owns the CPU cache meanwhile (K1): the table of cpu_cache.h.
 *
 * Lock-free, any context; a CPU cache is held for at most QUIRE_CACHE_MAX_ROUNDS rounds.
 */
#include "core/frame_set.h"
#include "percpu/fastpath.h"

_Static_assert(QUIRE_CACHE_MAX_ROUNDS <= UINT16_MAX,
               "a frame_set has the place in a batch in 16 bits");

/* Take the view's CPU cache of a class, or in rseq mode that of the CPU that this runs on. NULL: it
 * is taken. */
static struct cpu_cache *view_take_class(const struct cpu_view *s, enum cache_class cls)
{
    const struct quire_cache *c = s->cache;
    struct cpu_cache *r = s->cpu_caches[cls];
    uint32_t cpu = 0;

    if (cache_uses_rseq(c)) {
        cpu = cache_cpu(c);
        if (cpu >= c->cpus)
            return NULL;
        r = cpu_cache_of(c, cpu, cls);
    }
    if (qi_cpu_cache_take(c, r, cpu))
        return r;
    (void)qa_add(&c->state->bypasses, 1, relaxed); /* relaxed: a statistic */
    return NULL;
}

static void copy_rounds(quire_pfn to[], const quire_pfn from[], size_t n)
{
    size_t i = 0;

    for (; i + 4 <= n; i += 4) {
        to[i] = from[i];
        to[i + 1] = from[i + 1];
        to[i + 2] = from[i + 2];
        to[i + 3] = from[i + 3];
    }
    for (; i < n; i++)
        to[i] = from[i];
}

/* Pop n rounds of a class of single frames. False: not this way. */
bool qi_view_pop_batch(const struct cpu_view *s, enum cache_class cls, quire_pfn pfns[], size_t n)
{
    struct cpu_cache *r = view_take_class(s, cls);
    bool enough;

    if (!r)
        return false;
    enough = n <= cpu_cache_count(r);
    if (enough) {
        uint64_t word = qa_load(&r->count, relaxed); /* relaxed: K1 */

        copy_rounds(pfns, r->rounds + (word & CPU_CACHE_COUNT_MASK) - n, n);
        qa_store(&r->count, word + n * CPU_CACHE_POP,
                 relaxed); /* relaxed: K1; E-cpu-cache publishes it */
    }
    cpu_cache_put(r);
    if (enough)
        cached_clear(s->cache, pfns, (uint32_t)n);
    return enough;
}

/* What the frames of a batch are checked against. */
struct batch_check {
    const struct cpu_view *view;
    const struct quire_zone *zone;
    enum cache_class cls;
    uint64_t at;    /* the last one's block, its place in the window; good so far */
    uint64_t word;  /* and word: pfn / 64 */
    bool unordered; /* words came not always upwards: one may have come again */
};

/* May frames of the block at this place of the window enter the class? */
static bool block_may_enter(const struct batch_check *e, uint64_t at)
{
    const struct cpu_view *s = e->view;
    struct admission a;

    if (at >= s->window.blocks)
        return false;
    a = admit_hit(s->cache->zone, &s->window, s->sparse_limit, at, quire_pfn_of(0), 0);
    return a.place == TO_LOADED && a.cls == e->cls;
}

/* May these frames of the word of `pfn` enter the class? */
static __attribute__((__noinline__)) bool word_may_enter(struct batch_check *e, quire_pfn pfn,
                                                         uint64_t mask)
{
    uint64_t at = window_find(&e->view->window, pfn), word = pfn.n / WORD_BITS;
    uint32_t block = window_block(&e->view->window, at);
    unsigned place = (unsigned)(word % MAP_WORDS);

    if (at != e->at) {
        if (!block_may_enter(e, at))
            return false;
        e->at = at;
    }
    e->unordered |= word <= e->word;
    e->word = word;
    /* relaxed: the bits are the caller's */
    return !(mask & ~qa_load(&frame_map(e->zone, block)->w[place], relaxed)) &&
           singles_check(e->zone, block, place, mask) == QUIRE_OK;
}

/* Is no frame among n twice? In a batch whose words do not come upwards; one of more words than a
 * set has room for is refused as well. */
static __attribute__((__noinline__)) bool frames_all_differ(const quire_pfn pfns[], size_t n)
{
    struct frame_set set;

    frame_set_clear(&set);
    for (size_t i = 0; i < n; i++)
        if (!frame_set_add(&set, pfns, i, 1ull << pfns[i].n % WORD_BITS))
            return false;
    return true;
}

/* Copy the four frames from `pfn` on, if these they are. */
static inline bool copy_four_rounds(quire_pfn to[], const quire_pfn from[], uint64_t pfn)
{
    if (from[0].n != pfn || from[1].n != pfn + 1 || from[2].n != pfn + 2 || from[3].n != pfn + 3)
        return false;
    to[0].n = pfn;
    to[1].n = pfn + 1;
    to[2].n = pfn + 2;
    to[3].n = pfn + 3;
    return true;
}

/* Copy the frames from the first on that share its word of the map: those that are one behind the
 * other, then whatever. Returns how many, and which; 0 if one is there twice. */
static inline size_t copy_word_rounds(quire_pfn to[], const quire_pfn from[], size_t n,
                                      uint64_t *mask)
{
    const uint64_t first = from[0].n;
    const size_t place = (size_t)(first % WORD_BITS);
    size_t i = 0, most = WORD_BITS - place < n ? WORD_BITS - place : n;
    uint64_t m = 0;

    while (i + 4 <= most && copy_four_rounds(to + i, from + i, first + i))
        i += 4;
    if (i)
        m = word_mask((unsigned)place, (unsigned)i);
    for (; i < n && (from[i].n ^ first) < WORD_BITS; i++) {
        if (m >> from[i].n % WORD_BITS & 1)
            return 0;
        to[i] = from[i];
        m |= 1ull << from[i].n % WORD_BITS;
    }
    *mask = m;
    return i;
}

/* Copy n > 0 frames behind a magazine's last round, if all may enter its class. */
static __attribute__((__noinline__)) bool copy_checked_rounds(const struct cpu_view *s,
                                                              enum cache_class cls, quire_pfn to[],
                                                              const quire_pfn pfns[], size_t n)
{
    struct batch_check e = {.view = s, .zone = s->cache->zone, .cls = cls, .at = UINT64_MAX};

    for (size_t i = 0, some; i < n; i += some) {
        uint64_t mask;

        some = copy_word_rounds(to + i, pfns + i, n - i, &mask);
        if (some == 0 || !word_may_enter(&e, pfns[i], mask))
            return false;
    }
    return !e.unordered || frames_all_differ(pfns, n);
}

/* Mark all as cached, or none (hardened build). */
static bool mark_cached(const struct quire_cache *c, const quire_pfn pfns[], uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!cached_set(c, pfns[i])) {
            cached_clear(c, pfns, i);
            return false;
        }
    return true;
}

/* Push n > 0 single frames. False: not this way, and nothing has changed. */
bool qi_view_push_batch(const struct cpu_view *s, const quire_pfn pfns[], size_t n)
{
    uint64_t at = window_find(&s->window, pfns[0]), word;
    enum cache_class cls;
    struct cpu_cache *r;
    bool all;

    if (at >= s->window.blocks || n > QUIRE_CACHE_MAX_ROUNDS)
        return false;
    /* relaxed: a hint; each frame is checked */
    cls = frame_class(qa_load(window_desc(&s->window, at), relaxed));
    r = view_take_class(s, cls);
    if (!r)
        return false;
    word = qa_load(&r->count, relaxed); /* relaxed: K1 */
    /* relaxed: a hint (K5) */
    all = (word & CPU_CACHE_COUNT_MASK) + n <= qa_load(&r->limit, relaxed) &&
          copy_checked_rounds(s, cls, r->rounds + (word & CPU_CACHE_COUNT_MASK), pfns, n) &&
          mark_cached(s->cache, pfns, (uint32_t)n);
    if (all)
        qa_store(&r->count, word + n, relaxed); /* relaxed: K1; E-cpu-cache publishes it */
    cpu_cache_put(r);
    return all;
}
