/* SPDX-License-Identifier: MIT
 *
 * magazine.c - what no hit of a magazine served: refill, overflow, and many objects at once.
 *
 * A refill takes up to half a magazine from the CPU's active slab, by one exchange for each word of
 * its map, and only if the slab has a free object: a new slab is found or made for one object, with
 * no magazine in the caller's hands, as the machine may call back for long. An overflow gives the
 * upper half back to the slabs, or all of a remote magazine, by one read-modify-write for each word
 * (magazine_flush.c). So alternating bursts meet at the middle. A refill closes a magazine to what
 * other CPUs handed out; its overflow opens it, and the second one of the remote magazine
 * (magazine.h).
 *
 * What goes by the magazines, to the slabs: requests for another node, a call that finds its
 * magazine taken, a CPU that has none. Lock-free, any context.
 */
#include "magazine.h"

__attribute__((__noinline__)) int qi_object_alloc_exchange(struct heap *h, size_t offset,
                                                           uint32_t flags, void **object)
{
    return alloc_by_exchange(h, offset, flags, object);
}

__attribute__((__noinline__)) int qi_object_free_exchange(const struct quire_heap *heap,
                                                          void *object)
{
    return heap->state ? free_by_exchange(heap->state, object) : QUIRE_ERR_STATE;
}

/* ---- Setting up ---------------------------------------------------------------------------- */

/* Of objects of this size, `most` at most. */
static uint32_t rounds_of_size(uint32_t size, uint32_t most)
{
    uint32_t rounds = MAGAZINE_BYTES / size;

    if (rounds < MAGAZINE_LEAST)
        rounds = MAGAZINE_LEAST;
    return (rounds < most ? rounds : most) & ~1u;
}

static uint32_t rounds_of_cache(uint32_t most)
{
    return most < CACHE_ROUNDS ? most : CACHE_ROUNDS;
}

/* The bytes of a magazine of so many rounds. */
static uint32_t magazine_room(uint32_t rounds)
{
    size_t bytes = sizeof(struct cpu_cache) + rounds * ROUND_WORDS * sizeof(quire_pfn);

    return (uint32_t)rounded_up(bytes, 64);
}

/* A class may have larger objects than its step says, not smaller ones. */
uint64_t qi_magazines_plan(uint32_t rounds, uint32_t magazines, uint32_t at[FRAME_KINDS])
{
    uint32_t end = magazine_room(rounds);

    at[0] = 0;
    for (unsigned step = 0; step < QUIRE_HEAP_CLASSES; step++) {
        at[FRAME_CLASS + step] = end;
        end += magazine_room(rounds_of_size(qi_step_bytes(step), rounds));
    }
    at[FRAME_CACHE] = end;
    at[FRAME_RUN] = end + magazine_room(rounds_of_cache(rounds));
    return end + (uint64_t)(magazines - FRAME_CACHE) * (at[FRAME_RUN] - end);
}

static void magazine_fit(struct cpu_cache *r, uint32_t rounds)
{
    r->half = (uint16_t)(rounds / 2 * ROUND_WORDS);
    /* relaxed: who made the class or heap publishes it */
    qa_store(&r->limit, 2 * r->half, relaxed);
}

static void hit_fit(const struct heap *h, uint32_t class_number)
{
    uintptr_t kind_rest = slab_frame_word(0, class_number) >> FRAME_MARKS_SHIFT;
    const struct size_class *c = &h->classes[class_number];

    for (uint32_t cpu = 0; cpu < h->magazine.cpus; cpu++) {
        struct cpu_cache *r = magazine_at(h, cpu, 1 + class_number);

        qa_store(&r->overflows, c->mask, relaxed);     /* relaxed: the heap's maker publishes it */
        qa_store(&r->flushes, c->reciprocal, relaxed); /* relaxed: the same */
        /* relaxed: the same */
        qa_store(&r->refills, (uintptr_t)h->marks - kind_rest * sizeof(qa8), relaxed);
    }
}

/* Not of the heap's own classes, the reserve's and those of records: their objects go to their
 * slabs at once, wherever and by whomever they are freed. */
static bool magazine_is_fit(const struct cpu_cache *r)
{
    return r->half > 0;
}

void qi_magazines_fit(const struct heap *h, uint32_t class_number)
{
    uint32_t most = class_number < QUIRE_HEAP_CLASSES ? h->rounds : rounds_of_cache(h->rounds);

    for (uint32_t cpu = 0; cpu < h->magazine.cpus; cpu++)
        magazine_fit(magazine_at(h, cpu, 1 + class_number),
                     rounds_of_size(h->classes[class_number].size, most));
}

/* A magazine that nobody has yet. */
static void magazine_begin(struct cpu_cache *r, uint32_t number)
{
    /* relaxed: E-cpu-cache publishes it */
    qa_store(&r->seen, TAKES_OWN_FIRST << TAKES_SHIFT | ISSUER_UNKNOWN, relaxed);
    /* relaxed: the same */
    qa_store(&r->underflows, number, relaxed);
    r->refill = 1; /* K9, and not used: refills go up to the half */
    cpu_cache_put(r);
}

void qi_magazines_build(struct heap *h, uint32_t magazines)
{
    for (uint32_t cpu = 0; cpu < h->magazine.cpus; cpu++) {
        magazine_fit(magazine_at(h, cpu, 0), h->rounds);
        for (uint32_t number = 0; number < magazines; number++)
            magazine_begin(magazine_at(h, cpu, number), number);
    }
    for (uint32_t number = 0; number < QUIRE_HEAP_CLASSES; number++)
        qi_magazines_fit(h, number);
}

void qi_hits_build(struct heap *h)
{
    for (uint32_t number = 0; number < QUIRE_HEAP_CLASSES; number++)
        hit_fit(h, number);
    h->small_most = SMALL_MOST;
}

/* The magazine hands out with this issuer, and takes so much (enum magazine_takes). Another call
 * may own it, as this is a hint. */
static void magazine_accept(struct cpu_cache *r, uint8_t issuer, uint32_t takes)
{
    uint32_t accepts = takes << TAKES_SHIFT | issuer;

    if (magazine_accepts(r) != accepts)
        qa_store(&r->seen, (uint16_t)accepts, relaxed); /* relaxed: a hint */
}

/* The remote magazine was full, for an object of this class. If it was so before, since the last
 * refill, and the class's magazine has as much as then, nothing is allocated here, it seems: it is
 * opened to all of its node. */
static void magazine_open_later(struct cpu_cache *r)
{
    uint32_t takes = magazine_accepts(r) >> TAKES_SHIFT;
    uint32_t now = TAKES_OWN + cpu_cache_count(r) / ROUND_WORDS % (TAKES_OWN_FIRST - TAKES_OWN);

    if (magazine_issuer(r) != ISSUER_UNKNOWN && takes != TAKES_NODE)
        magazine_accept(r, magazine_issuer(r), takes == now ? (uint32_t)TAKES_NODE : now);
}

/* A class's magazine of the CPU whose remote magazine this is. */
static struct cpu_cache *magazine_behind(const struct heap *h, struct cpu_cache *remote,
                                         uint32_t class_number)
{
    void *mine = remote;

    return magazine_in((unsigned char *)mine, magazine_offset(h, 1 + class_number));
}

/* ---- Allocation ---------------------------------------------------------------------------- */

/* Take a magazine of the CPU, and expect the next free to be for it, as bursts are of one class.
 * NULL: it has none, or it is taken. */
static struct cpu_cache *magazine_take(const struct heap *h, uint32_t cpu, uint32_t number)
{
    struct cpu_cache *r;

    if (cpu >= h->magazine.cpus)
        return NULL;
    r = magazine_at(h, cpu, number);
    if (number < FRAME_CACHE) /* others' frees are no hits */
        magazine_expect(h->magazines[cpu], r);
    return qi_cpu_cache_take(&h->magazine, r, cpu) ? r : NULL;
}

/* Fill an empty magazine, which the caller has taken, up to the half; how many words it has. */
static uint32_t magazine_fill(struct heap *h, uint32_t class_number, uint32_t node,
                              struct cpu_cache *r, quire_pfn rounds[])
{
    void *objects[WORD_BITS];
    uint32_t n = 0;
    size_t some;

    do {
        some = qi_objects_take(h, class_number, node, (r->half - n) / ROUND_WORDS, objects);
        for (size_t i = 0; i < some; i++, n += ROUND_WORDS)
            round_write(&rounds[n], objects[i], object_mark(h, class_number, objects[i]));
    } while (some > 0 && n < r->half);
    return n;
}

/* Hand out up to `most` objects of the caller's own magazine, which is refilled if it is empty. */
static size_t magazine_serve(struct heap *h, uint32_t class_number, uint32_t node, uint32_t cpu,
                             size_t most, void *objects[])
{
    struct cpu_cache *r = magazine_take(h, cpu, 1 + class_number);
    uint8_t issuer = issuer_of(h, node, cpu);
    quire_pfn *rounds;
    uint32_t count;
    size_t n = 0;

    if (!r)
        return 0;
    rounds = r->rounds;
    count = cpu_cache_count(r);
    if (count == 0) {
        magazine_accept(r, issuer, TAKES_OWN_FIRST);
        count = magazine_fill(h, class_number, node, r, rounds);
    }
    while (n < most && count > 0) {
        count -= ROUND_WORDS;
        objects[n++] = object_of_round(&rounds[count]);
        object_hand_out(h, class_number, objects[n - 1], mark_of_round(&rounds[count]), issuer);
    }
    cpu_cache_set_count(r, count);
    cpu_cache_put(r);
    return n;
}

/* Of the slabs, with no magazine. */
static int alloc_of_slab(struct heap *h, uint32_t class_number, uint32_t node, uint32_t flags,
                         void **object)
{
    int error = qi_object_take(h, class_number, node, flags, object);
    struct place_of_object place;

    /* An emergency may have one of the reserve's classes. */
    if (!error && (flags & QUIRE_EMERGENCY) && !object_find(h, *object, &place))
        class_number = place.class_number;
    if (!error)
        object_hand_out(h, class_number, *object, object_mark(h, class_number, *object),
                        issuer_of(h, node, cpu_now(h)));
    return error;
}

/* The class of the magazines at this offset. Where there are none each would be a head, no more. */
static uint32_t class_at(const struct heap *h, uint32_t cpu, size_t offset)
{
    if (h->magazine.cpus == 0)
        return (uint32_t)(offset / sizeof(struct cpu_cache)) - 1;
    return magazine_class(magazine_in(h->magazines[cpu < h->magazine.cpus ? cpu : 0], offset));
}

__attribute__((__noinline__)) int qi_object_refill(struct heap *h, size_t offset, uint32_t flags,
                                                   void **object)
{
    uint32_t cpu = magazine_cpu(h), node = node_now(h);
    uint32_t class_number = class_at(h, cpu, offset);

    if (magazine_serve(h, class_number, node, cpu, 1, object) > 0)
        return 0;
    return alloc_of_slab(h, class_number, node, flags, object);
}

int qi_object_alloc(struct heap *h, uint32_t class_number, uint32_t node, uint32_t flags,
                    void **object)
{
    return node == node_now(h)
               ? object_alloc(h, magazine_offset(h, 1 + class_number), flags, object)
               : alloc_of_slab(h, class_number, node, flags, object);
}

int qi_objects_alloc(struct heap *h, uint32_t class_number, uint32_t node, uint32_t flags,
                     size_t *n, void *objects[])
{
    size_t got = 0;

    if (node == node_now(h))
        got = magazine_serve(h, class_number, node, magazine_cpu(h), *n, objects);
    if (got == 0) {
        got = qi_objects_take(h, class_number, node, *n, objects);
        for (size_t i = 0; i < got; i++)
            object_hand_out(h, class_number, objects[i], object_mark(h, class_number, objects[i]),
                            issuer_of(h, node, cpu_now(h)));
    }
    if (got > 0) {
        *n = got;
        return 0;
    }
    *n = 1;
    return alloc_of_slab(h, class_number, node, flags, objects);
}

/* ---- Free ---------------------------------------------------------------------------------- */

/* Take an object of any issuer back from its owner; its issuer. BYTE_NONE: it is free. */
static uint8_t object_take_back(const struct heap *h, const struct place_of_object *place)
{
    qa8 *mark = mark_of(h, place->number, place->index);
    uint8_t issuer = byte_read(mark);
    const void *object = object_at(&h->classes[place->class_number], place->slab, place->index);

    if (issuer == BYTE_NONE || !object_take(h, place->class_number, object, mark, issuer))
        return BYTE_NONE;
    return issuer;
}

/* Was the slab asked for on this node? */
static bool slab_is_of(const struct slab *s, uint32_t node)
{
    return owner_node(qa_load(&s->owner, relaxed)) == node; /* relaxed: constant, by HE2 */
}

/* Are objects of this class too large for the remote magazine, which counts no bytes? */
static bool is_beyond_remote(const struct heap *h, uint32_t class_number)
{
    return h->classes[class_number].size > REMOTE_MOST;
}

/* Push to a magazine of this CPU, in the mode that the heap is in. */
static bool push_to(const struct heap *h, struct cpu_cache *r, uint32_t cpu, const void *object,
                    const qa8 *mark)
{
    quire_pfn words[ROUND_WORDS];

#if QUIRE_RSEQ
    if (h->rseq_cpus > 0)
        return rseq_push_two_at(&h->magazine, r, cpu, (uintptr_t)object, (uintptr_t)mark);
#else
    (void)h;
    (void)cpu;
#endif
    round_write(words, object, mark);
    return cpu_cache_claim_push_two(r, words);
}

__attribute__((__noinline__)) int qi_object_free_by_issuer(struct heap *h, uint32_t cpu,
                                                           struct cpu_cache *r, void *object,
                                                           qa8 *mark)
{
    uint32_t accepts = magazine_accepts(r);
    uint8_t issuer = byte_read(mark);
    bool to_remote = !is_accepted(h, accepts, issuer);

    if (issuer == BYTE_NONE || (uint8_t)accepts == ISSUER_UNKNOWN ||
        !object_take(h, magazine_kind(r) - FRAME_CLASS, object, mark, issuer))
        return qi_object_free(h, object);
    if (!(to_remote && is_beyond_remote(h, magazine_class(r))) &&
        push_to(h, to_remote ? magazine_at(h, cpu, 0) : r, cpu, object, mark))
        return 0;
    return qi_object_overflow(h, object, to_remote);
}

/* Is an object of this issuer one that another CPU handed out, of which the magazine of its class
 * takes none just now? */
static bool is_for_remote(const struct heap *h, uint32_t class_number, uint8_t issuer)
{
    uint32_t cpu = magazine_cpu(h), accepts;

    if (cpu >= h->magazine.cpus)
        return false;
    accepts = magazine_accepts(magazine_at(h, cpu, 1 + class_number));
    return (uint8_t)accepts != ISSUER_UNKNOWN && !is_accepted(h, accepts, issuer);
}

/* Take the magazine for objects of this place that the CPU frees, `*at` of its magazines: the
 * remote one for what is of another node, or if `to_remote`. NULL: there is none, it is taken, or
 * the object is too large for it. */
static struct cpu_cache *magazine_take_of(const struct heap *h, const struct place_of_object *place,
                                          bool to_remote, uint32_t *at, quire_pfn **rounds)
{
    uint32_t cpu = magazine_cpu(h), node = node_now(h);
    struct cpu_cache *r;

    if (cpu >= h->magazine.cpus || !magazine_is_fit(magazine_at(h, cpu, 1 + place->class_number)))
        return NULL;
    to_remote |= !slab_is_of(place->slab, node);
    if (to_remote && is_beyond_remote(h, place->class_number))
        return NULL;
    *at = to_remote ? 0 : 1 + place->class_number;
    r = magazine_take(h, cpu, *at);
    if (!r)
        return NULL;
    *rounds = r->rounds;
    /* It is unknown, or of the CPU that the thread came from: if it stayed, each free would come
     * this way. */
    if (*at && magazine_issuer(r) != issuer_of(h, node, cpu))
        magazine_accept(r, issuer_of(h, node, cpu), TAKES_NODE);
    return r;
}

__attribute__((__noinline__)) int qi_object_overflow(struct heap *h, void *object, bool to_remote)
{
    struct place_of_object place;
    int error = object_find(h, object, &place);
    struct cpu_cache *r;
    quire_pfn *rounds;
    uint32_t count, at;

    if (error)
        return error; /* freed twice at one instant, and its slab went */
    if (place.run)
        return QUIRE_ERR_DOUBLE_FREE; /* the same, and the frame is a run's */
    r = magazine_take_of(h, &place, to_remote, &at, &rounds);
    if (!r)
        return qi_object_put(h, place.slab, place.index);
    count = cpu_cache_count(r);
    if (count == 2 * r->half) {
        uint32_t keep = at ? r->half : 0;

        if (at)
            magazine_accept(r, magazine_issuer(r), TAKES_NODE);
        else if (slab_is_of(place.slab, node_now(h)))
            magazine_open_later(magazine_behind(h, r, place.class_number));
        (void)qi_objects_flush(h, rounds + keep, count - keep);
        count = keep;
    }
    round_write(&rounds[count], object, mark_of(h, place.number, place.index));
    cpu_cache_set_count(r, count + ROUND_WORDS);
    cpu_cache_put(r);
    return 0;
}

/* Free an object that was found, unless it is free: in a magazine, or in its slab. */
int qi_place_free(struct heap *h, const struct place_of_object *place, void *object)
{
    uint8_t issuer = object_take_back(h, place);

    if (issuer == BYTE_NONE)
        return QUIRE_ERR_DOUBLE_FREE;
    return qi_object_overflow(h, object, is_for_remote(h, place->class_number, issuer));
}

uint64_t qi_place_put(struct heap *h, const struct place_of_object *place)
{
    if (object_take_back(h, place) == BYTE_NONE)
        return 0;
    return qi_objects_put(h, place->slab, place->index / WORD_BITS,
                          (uint64_t)1 << place->index % WORD_BITS);
}

/* Push those of some rounds, of these issuers, that are of this place's class and node and that the
 * magazine takes, as many as there is room for; the others move together. How many words these
 * are. */
static uint32_t push_some(struct heap *h, const struct place_of_object *first,
                          const uint8_t issuers[], quire_pfn rounds[], uint32_t words)
{
    uint32_t rest = 0, count, at;
    quire_pfn *pushed;
    struct cpu_cache *r = magazine_take_of(h, first, false, &at, &pushed);

    if (!r)
        return words;
    count = cpu_cache_count(r);
    for (uint32_t i = 0; i < words; i += ROUND_WORDS) {
        struct place_of_object place;

        if (at && count < 2 * r->half &&
            is_accepted(h, magazine_accepts(r), issuers[i / ROUND_WORDS]) &&
            object_find(h, object_of_round(&rounds[i]), &place) == 0 && place.slab &&
            qa_load(&place.slab->owner, relaxed) ==      /* relaxed: constant, by HE2 */
                qa_load(&first->slab->owner, relaxed)) { /* relaxed: constant, by HE2 */
            round_write(&pushed[count], object_of_round(&rounds[i]), mark_of_round(&rounds[i]));
            count += ROUND_WORDS;
        } else {
            round_write(&rounds[rest], object_of_round(&rounds[i]), mark_of_round(&rounds[i]));
            rest += ROUND_WORDS;
        }
    }
    cpu_cache_set_count(r, count);
    cpu_cache_put(r);
    return rest;
}

size_t qi_objects_free(struct heap *h, void *const objects[], size_t n)
{
    struct place_of_object place, first = {0};
    quire_pfn rounds[WORD_BITS * ROUND_WORDS];
    uint8_t issuers[WORD_BITS];
    uint32_t k = 0;

    for (; k < n && k < WORD_BITS; k++) {
        if (object_find(h, objects[k], &place) || !place.slab)
            break;
        issuers[k] = object_take_back(h, &place);
        if (issuers[k] == BYTE_NONE)
            break;
        if (k == 0)
            first = place;
        round_write(&rounds[k * ROUND_WORDS], objects[k], mark_of(h, place.number, place.index));
    }
    if (k > 0)
        (void)qi_objects_flush(h, rounds, push_some(h, &first, issuers, rounds, k * ROUND_WORDS));
    return k;
}
