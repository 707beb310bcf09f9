/* SPDX-License-Identifier: MIT
 *
 * batch.c - batches of single frames into and out of one magazine, by one claim of its CPU cache.
 *
 * A batch goes as a whole or not at all: a magazine that has not so many rounds, or no room for
 * them, or frames that do not all belong into it (of sparse blocks, of blocks with pins, of both
 * mobilities) leave it to the zone; the first two by a look before the CPU cache is taken, as a
 * batch that is longer than half a magazine mostly ends there. Frames that go in are taken back
 * from their owner one by one, by their bytes: so a wrong one, or one that is there twice, is seen,
 * those before it are given back to the owner, and the zone tells.
 *
 * They are written above the magazine's last round while they are checked, and are there when the
 * count says so. The caller owns the CPU cache meanwhile (K1): the table of cpu_cache.h.
 *
 * Lock-free, any context; a CPU cache is held for at most QUIRE_CACHE_MAX_ROUNDS rounds.
 */
#include "percpu/fastpath.h"

/* The view's CPU cache of a class, or but for exchange mode that of the CPU that this runs on,
 * which becomes *cpu. NULL: it has none. */
static struct cpu_cache *view_cpu_cache(const struct cpu_view *s, enum cache_class cls,
                                        uint32_t *cpu)
{
    const struct quire_cache *c = s->cache;

    *cpu = 0;
    if (c->mode == QUIRE_CACHE_EXCHANGE)
        return s->cpu_caches[cls];
    *cpu = cache_cpu(c);
    if (*cpu >= c->cpus)
        return NULL;
    if (c->mode == QUIRE_CACHE_LOCAL)
        (void)qi_cpu_caches_answer(s->cache, *cpu);
    return cpu_cache_of(c, *cpu, cls);
}

/* Take it. */
static bool view_cpu_cache_take(const struct cpu_view *s, struct cpu_cache *r, uint32_t cpu)
{
    const struct quire_cache *c = s->cache;

    if (qi_cpu_cache_take(c, r, cpu))
        return true;
    (void)qa_add(&c->state->bypasses, 1, relaxed); /* relaxed: a statistic */
    return false;
}

/* Copy n rounds and hand them out. */
static void copy_handed_out(const struct cpu_view *s, quire_pfn to[], const quire_pfn from[],
                            size_t n)
{
    if (!view_has_bytes(s)) {
        for (size_t i = 0; i < n; i++) {
            to[i] = from[i];
            view_hand_out(s, to[i], 0);
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        to[i] = from[i];
        byte_set(window_frame_byte(&s->window, to[i]), BYTE_SINGLE);
    }
}

/* Pop n rounds of a class of single frames. False: not this way. */
bool qi_view_pop_batch(const struct cpu_view *s, enum cache_class cls, quire_pfn pfns[], size_t n)
{
    uint32_t cpu;
    struct cpu_cache *r = view_cpu_cache(s, cls, &cpu);
    bool enough;

    if (!r || cpu_cache_count(r) < n || !view_cpu_cache_take(s, r, cpu))
        return false;
    enough = n <= cpu_cache_count(r);
    if (enough) {
        uint64_t word = qa_load(&r->count, relaxed); /* relaxed: K1 */

        copy_handed_out(s, pfns, r->rounds + (word & CPU_CACHE_COUNT_MASK) - n, n);
        qa_store(&r->count, word + n * CPU_CACHE_POP,
                 relaxed); /* relaxed: K1; E-cpu-cache publishes it */
    }
    cpu_cache_put(r);
    return enough;
}

/* May frames of the block at this place of the window enter the class? */
static bool block_may_enter(const struct cpu_view *s, enum cache_class cls, uint64_t at)
{
    struct admission a;

    if (at >= s->window.blocks)
        return false;
    a = admit_hit(s->cache->zone, &s->window, s->sparse_limit, at, 0);
    return a.place == TO_LOADED && a.cls == cls;
}

/* Copy frames that come in fours, one behind the other, in the block that begins at pfn `block`,
 * and take them back. Returns how many, from the first on. */
static inline size_t copy_fours_taken_back(const struct cpu_view *s, uint64_t block, quire_pfn to[],
                                           const quire_pfn from[], size_t n)
{
    size_t i = 0;

    for (; n - i >= 4; i += 4) {
        uint64_t pfn = from[i].n;

        if (pfn - block > BLOCK_FRAMES - 4 || from[i + 1].n != pfn + 1 ||
            from[i + 2].n != pfn + 2 || from[i + 3].n != pfn + 3 ||
            !byte_clear_four(window_frame_byte(&s->window, from[i])))
            break;
        to[i].n = pfn;
        to[i + 1].n = pfn + 1;
        to[i + 2].n = pfn + 2;
        to[i + 3].n = pfn + 3;
    }
    return i;
}

/* Take n > 0 frames back from their owner, and copy them behind a magazine's last round, if all may
 * enter its class; or none. */
static bool copy_taken_back(const struct cpu_view *s, enum cache_class cls, quire_pfn to[],
                            const quire_pfn pfns[], size_t n)
{
    uint64_t good = UINT64_MAX; /* the place of a block whose frames may */
    size_t i = 0, some;

    for (; i < n; i += some) {
        uint64_t at = window_find(&s->window, pfns[i]);

        if (at != good && !block_may_enter(s, cls, at))
            break;
        good = at;
        some = copy_fours_taken_back(s, pfns[i].n / BLOCK_FRAMES * BLOCK_FRAMES, to + i, pfns + i,
                                     n - i);
        if (some > 0)
            continue;
        if (!byte_clear(window_frame_byte(&s->window, pfns[i]), BYTE_SINGLE))
            break;
        to[i] = pfns[i];
        some = 1;
    }
    if (i == n)
        return true;
    while (i-- > 0)
        byte_restore(window_frame_byte(&s->window, pfns[i]), BYTE_SINGLE);
    return false;
}

/* Push n > 0 single frames. False: not this way, and nothing has changed. */
bool qi_view_push_batch(const struct cpu_view *s, const quire_pfn pfns[], size_t n)
{
    uint64_t at = window_find(&s->window, pfns[0]), word;
    enum cache_class cls;
    struct cpu_cache *r;
    uint32_t cpu;
    bool all;

    if (at >= s->window.blocks || n > QUIRE_CACHE_MAX_ROUNDS)
        return false;
    /* relaxed: a hint; each frame is checked */
    cls = frame_class(qa_load(window_desc(&s->window, at), relaxed));
    r = view_cpu_cache(s, cls, &cpu);
    /* relaxed: a hint (K5) */
    if (!r || cpu_cache_count(r) + n > qa_load(&r->limit, relaxed) ||
        !view_cpu_cache_take(s, r, cpu))
        return false;
    word = qa_load(&r->count, relaxed); /* relaxed: K1 */
    /* relaxed: a hint (K5) */
    all = (word & CPU_CACHE_COUNT_MASK) + n <= qa_load(&r->limit, relaxed) &&
          copy_taken_back(s, cls, r->rounds + (word & CPU_CACHE_COUNT_MASK), pfns, n);
    if (all)
        qa_store(&r->count, word + n, relaxed); /* relaxed: K1; E-cpu-cache publishes it */
    cpu_cache_put(r);
    return all;
}
