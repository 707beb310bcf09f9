/* SPDX-License-Identifier: MIT
 *
 * batch.c - batches of single frames into and out of one magazine, by one claim of its rack.
 *
 * A batch goes as a whole or not at all: a magazine that has not so many rounds, or no room for
 * them, or frames that do not all belong into it (of sparse blocks, of blocks with pins, of both
 * mobilities) leave it to the zone. Frames that go in are looked at as the zone would look at them:
 * allocated, none part of a run, none twice; those that share a word of a map share the look. So a
 * bad one is told at once, by the zone, to which it is left; but not one that is in a cache
 * already: that is noticed later, as for single frees.
 *
 * They are written above the magazine's last round while they are looked at, and are there when the
 * count says so.
 *
 * Lock-free, any context; a rack is held for at most QUIRE_CACHE_MAX_ROUNDS rounds. About 2 KiB of
 * stack.
 */
#include "percpu/fastpath.h"

enum { PLACES = 128, MOST_WORDS = PLACES / 2 };

/* The words of the maps that a batch has met, by a hash: which frames of each. */
struct words {
    unsigned count;
    uint64_t used[PLACES / WORD_BITS]; /* places */
    uint64_t word[PLACES], mask[PLACES];
};

/* Take the seat's rack of a class, or in rseq mode that of the CPU that this runs on. NULL: it is
 * in somebody's hands. */
static struct quire_rack *take(const struct quire_seat *s, unsigned rack)
{
    const struct quire_cache *c = s->cache;
    struct quire_rack *r = s->racks[rack];
    uint32_t cpu = 0;

    if (QUIRE_RSEQ && c->mode == QUIRE_CACHE_RSEQ) {
        cpu = quire_rack_cpu(c);
        if (cpu >= c->cpus)
            return NULL;
        r = rack_of(c, cpu, rack);
    }
    if (quire_rack_take(c, r, cpu))
        return r;
    (void)qa_add(&c->state->bypasses, 1, relaxed); /* relaxed: a statistic */
    return NULL;
}

static void copy(quire_pfn to[], const quire_pfn from[], size_t n)
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
bool quire_seat_pop_many(const struct quire_seat *s, unsigned rack, quire_pfn pfns[], size_t n)
{
    struct quire_rack *r = take(s, rack);
    bool enough;

    if (!r)
        return false;
    enough = n <= rack_count(r);
    if (enough) {
        uint64_t word = qa_load(&r->count, relaxed); /* relaxed: K1 */

        copy(pfns, r->rounds + (word & RACK_COUNT) - n, n);
        qa_store(&r->count, word + n * RACK_POP, relaxed); /* relaxed: K1; P1 publishes it */
    }
    rack_put(r);
    if (enough)
        cached_clear(s->cache, pfns, (uint32_t)n);
    return enough;
}

/* What the frames of a batch are checked against. */
struct entry {
    const struct quire_seat *seat;
    const struct quire_zone *zone;
    unsigned rack;
    uint64_t b;     /* the last one's block, of the seat's; good so far */
    uint64_t word;  /* and word: pfn / 64 */
    bool unordered; /* words came not always upwards: one may have come again */
};

/* May frames of a block of the seat's enter the class? */
static bool check_block(const struct entry *e, uint64_t b)
{
    const struct quire_seat *s = e->seat;
    uint32_t d;

    if (b >= s->blocks)
        return false;
    d = qa_load((const qa32 *)s->descs + b, relaxed); /* relaxed: a look; the zone decides */
    /* relaxed: hints, both */
    return is_cacheable(d) && desc_class(d) % 2 == e->rack &&
           qa_load((const qa8 *)s->fulls + b, relaxed) <= qa_load(s->sparse_over, relaxed);
}

/* May these frames of the word of `pfn` enter the class? */
static __attribute__((noinline)) bool check_word(struct entry *e, quire_pfn pfn, uint64_t mask)
{
    uint64_t b = (pfn.n >> BLOCK_ORDER) - e->seat->first_block, word = pfn.n / WORD_BITS;
    uint32_t block = block_of(e->seat->first_frame) + (uint32_t)b;
    unsigned place = (unsigned)(word % LINE_WORDS);

    if (b != e->b) {
        if (!check_block(e, b))
            return false;
        e->b = b;
    }
    e->unordered |= word <= e->word;
    e->word = word;
    /* relaxed: the bits are the caller's */
    return !(mask & ~qa_load(&frame_map(e->zone, block)->w[place], relaxed)) &&
           quire_singles_check(e->zone, block, place, mask) == QUIRE_OK;
}

/* Note the frames `mask` of a word. False: one of them was noted before, or there are too many
 * words. */
static bool note(struct words *w, uint64_t word, uint64_t mask)
{
    unsigned at = (unsigned)((word * 0x9e3779b97f4a7c15u) >> 57);

    /* ends: at most half of the places are in use */
    for (; w->used[at / WORD_BITS] >> at % WORD_BITS & 1; at = (at + 1) % PLACES)
        if (w->word[at] == word) {
            bool again = w->mask[at] & mask;

            w->mask[at] |= mask;
            return !again;
        }
    w->used[at / WORD_BITS] |= 1ull << at % WORD_BITS;
    w->word[at] = word;
    w->mask[at] = mask;
    return ++w->count <= MOST_WORDS;
}

/* Is no frame among n twice? In a batch whose words do not come upwards. */
static __attribute__((noinline)) bool all_differ(const quire_pfn pfns[], size_t n)
{
    struct words words;

    words.count = 0;
    words.used[0] = words.used[1] = 0;
    for (size_t i = 0; i < n; i++)
        if (!note(&words, pfns[i].n / WORD_BITS, 1ull << pfns[i].n % WORD_BITS))
            return false;
    return true;
}

/* Copy the four frames from `pfn` on, if these they are. */
static inline bool copy_four(quire_pfn to[], const quire_pfn from[], uint64_t pfn)
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
static inline size_t copy_word(quire_pfn to[], const quire_pfn from[], size_t n, uint64_t *mask)
{
    const uint64_t first = from[0].n, place = first % WORD_BITS;
    size_t i = 0, most = WORD_BITS - place < n ? WORD_BITS - place : n;
    uint64_t m = 0;

    while (i + 4 <= most && copy_four(to + i, from + i, first + i))
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
static __attribute__((noinline)) bool copy_checked(const struct quire_seat *s, unsigned rack,
                                                   quire_pfn to[], const quire_pfn pfns[], size_t n)
{
    struct entry e = {.seat = s, .zone = s->cache->zone, .rack = rack, .b = UINT64_MAX};

    for (size_t i = 0, some; i < n; i += some) {
        uint64_t mask;

        some = copy_word(to + i, pfns + i, n - i, &mask);
        if (some == 0 || !check_word(&e, pfns[i], mask))
            return false;
    }
    return !e.unordered || all_differ(pfns, n);
}

/* Mark all as cached, or none (hardened build). */
static bool mark(const struct quire_cache *c, const quire_pfn pfns[], uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!cached_set(c, pfns[i])) {
            cached_clear(c, pfns, i);
            return false;
        }
    return true;
}

/* Push n > 0 single frames. False: not this way, and nothing has changed. */
bool quire_seat_push_many(const struct quire_seat *s, const quire_pfn pfns[], size_t n)
{
    uint64_t b = (pfns[0].n >> BLOCK_ORDER) - s->first_block, word;
    struct quire_rack *r;
    unsigned rack;
    bool all;

    if (b >= s->blocks || n > QUIRE_CACHE_MAX_ROUNDS)
        return false;
    /* relaxed: a look; each frame is checked */
    rack = desc_class(qa_load((const qa32 *)s->descs + b, relaxed)) % 2;
    r = take(s, rack);
    if (!r)
        return false;
    word = qa_load(&r->count, relaxed); /* relaxed: K1 */
    /* relaxed: a hint (K5) */
    all = (word & RACK_COUNT) + n <= qa_load(&r->limit, relaxed) &&
          copy_checked(s, rack, r->rounds + (word & RACK_COUNT), pfns, n) &&
          mark(s->cache, pfns, (uint32_t)n);
    if (all)
        qa_store(&r->count, word + n, relaxed); /* relaxed: K1; P1 publishes it */
    rack_put(r);
    return all;
}
