/* SPDX-License-Identifier: MIT
 *
 * magazine.h - magazines in front of the slabs: the common allocation and free of an object touch
 * only memory of their own CPU. Private to kernel-port/heap.
 *
 * Each CPU has a magazine for each class, with objects of its own node, and one more, the remote
 * one, with what it frees of other nodes, or for other CPUs, of all classes. They are loaded
 * magazines of percpu/cpu_cache.h, taken and put back, pushed and popped by percpu's functions and
 * restartable sequences (K1 to K4; nothing is outgoing). A round has two words here, the address of
 * an object and that of its mark, which a free has found anyway, and an allocation need not look
 * for: count, limit and half are in words.
 *
 * An object in a magazine is taken in its slab's map, so slabs, trims and stopped calls are as
 * slab.c has them, and a slab with such an object does not go. The danger is an object with two
 * owners: it is freed twice into magazines, which look at no map. So each object has a mark beside
 * the memory, as a frame has its byte (core/frame_byte.h, whose functions these are): set by a
 * plain store of who hands the object out, looked at and cleared by who takes it back.
 *
 *   G1  A mark is set while its object is a caller's, and at no other time. Its value is the
 *       issuer: the node that the object is of, and the CPU that handed it out (issuer_of), never
 *       0. A set mark's bit in the map is set.
 *   G2  An object in a magazine has its bit set and its mark clear. So what is taken in the map and
 *       not marked lies in a magazine, or is in the hands of a call that is not over.
 *
 * Two frees of one object at the same instant may both find its mark set, unless the build is
 * hardened: then the object is in two magazines. The flush that comes second finds the bit clear
 * and drops it, and until then it may be handed out twice, as a frame (R of core/frame_byte.h).
 *
 * Who beside whom: all beside all, as cpu_cache.h has it. What finds a magazine taken (by the call
 * that an interrupt came into, by a drain) works on the slabs. A call that is stopped for ever
 * keeps one magazine's objects at most, or while it drains in rseq mode those of up to
 * DRAIN_AT_ONCE magazines of a CPU.
 *
 * Whose objects does a CPU keep that it frees? Those that it handed out itself, for their marks'
 * lines are its own: were it to hand out what other CPUs had, sooner or later each line would have
 * marks of several, and each call fetch it from another CPU. So the others go into the remote
 * magazine, and from there to their slabs in batches, if they have up to REMOTE_MOST bytes, else at
 * once. But a CPU that only frees, as a consumer does, would gain nothing, and flushes its magazine
 * more cheaply, as that is of one class. So until its next refill a magazine takes all of its node
 * from its first free, from its overflow, from a free after the thread came from another CPU, or
 * from the remote one's second overflow for its class, if it has as many objects as at the first.
 *
 * The issuer of what the CPU hands out is in the magazine (`seen`), and above it what it takes
 * (enum magazine_takes). A hit takes what has just that issuer; what else is taken is seen by frees
 * that are none. It is written when a call misses, and unknown before the first one. One that is
 * wrong, as that of a thread that has moved meanwhile, costs speed until the next miss. There is
 * also its number (`underflows`), and what a free must know of the class: its mask (`overflows`),
 * its reciprocal (`flushes`), and where marks begin (`refills`); they are 0 of what is no size
 * class's, and of a heap that is watched: no free is a hit then. A word of the frame table says
 * which magazine it is; for what has none, the magazine that it names has 0 there.
 *
 * In the remote magazine, `overflows` is the magazine that the CPU's next free is expected to be
 * for, a hint: who comes from another CPU may write it, always with a magazine of the CPU that the
 * remote one is of. It is 0 while nothing is known.
 */
#ifndef QUIRE_HEAP_MAGAZINE_H
#define QUIRE_HEAP_MAGAZINE_H

#include "objects.h"
#include "percpu/fastpath.h"
#include "who/asan.h"

enum {
    HEAP_ROUNDS = 256,             /* of a magazine, at most, if the configuration says nothing */
    CACHE_ROUNDS = 64,             /* of an object cache's, whose size is not known at init */
    ROUND_WORDS = 2,               /* of a round: object, mark */
    MAGAZINE_LEAST = 4,            /* rounds of a magazine of large objects */
    MAGAZINE_BYTES = 32 << 10,     /* of objects, at most, where that is MAGAZINE_LEAST or more */
    REMOTE_MOST = 1024,            /* bytes of an object in a remote magazine, at most */
    ISSUER_BITS = 7,               /* of an issuer, that say node and CPU */
    ISSUER_SET = 1 << ISSUER_BITS, /* in each issuer */
    ISSUER_UNKNOWN = 0xff,         /* no object has this issuer */
    TAKES_SHIFT = 8,               /* of enum magazine_takes, beside the issuer of a magazine */
    DRAIN_AT_ONCE = 64, /* magazines of another CPU that are taken together in rseq mode */
};

/* Of which issuers a magazine takes objects. Between TAKES_OWN and
 * TAKES_OWN_FIRST the number says how many rounds it had when, since its last refill, the remote
 * magazine was full for its class. */
enum magazine_takes {
    TAKES_NODE = 0,             /* all of its node */
    TAKES_OWN = 1,              /* its own CPU's, and it had no rounds; and so on */
    TAKES_OWN_FIRST = UINT8_MAX /* its own CPU's, and the remote one was not full since */
};

/* What a CPU has: its magazines, 0 the remote one, 1 + n that of class n. Allocations have a
 * magazine's number as `offset`, in bytes from the first one. */
static inline struct cpu_cache *magazine_in(unsigned char *mine, size_t offset)
{
    void *p = mine + offset;

    return (struct cpu_cache *)p;
}

/* Where a magazine begins, in bytes from its CPU's first. Object caches' are all alike, one behind
 * the other: from the first to where that of FRAME_RUN is. */
static inline size_t magazine_offset(const struct heap *h, uint32_t number)
{
    const uint32_t *at = h->magazine_offsets;

    return number < FRAME_KINDS ? at[number]
                                : at[FRAME_CACHE] + (size_t)(number - FRAME_CACHE) *
                                                        (at[FRAME_RUN] - at[FRAME_CACHE]);
}

static inline struct cpu_cache *magazine_at(const struct heap *h, uint32_t cpu, uint32_t number)
{
    return magazine_in(h->magazines[cpu], magazine_offset(h, number));
}

/* The class of a magazine that is not the remote one. */
static inline uint32_t magazine_class(const struct cpu_cache *r)
{
    return (uint32_t)qa_hint(&r->underflows) - 1; /* constant */
}

/* The kind of frame that the magazine is for, if it is a size class's. */
static inline uint8_t magazine_kind(const struct cpu_cache *r)
{
    return (uint8_t)qa_hint(&r->underflows); /* constant */
}

/* The magazine that the next free is expected to be for; NULL: nothing is known. */
static inline struct cpu_cache *magazine_expected(unsigned char *mine)
{
    /* relaxed: a hint */
    uintptr_t address = (uintptr_t)qa_load(&magazine_in(mine, 0)->overflows, relaxed);

    return (struct cpu_cache *)address;
}

static inline void magazine_expect(unsigned char *mine, const struct cpu_cache *r)
{
    qa_store(&magazine_in(mine, 0)->overflows, (uintptr_t)r, relaxed); /* relaxed: a hint */
}

/* The CPU whose magazines the caller may use, if it is below magazine.cpus. */
static inline uint32_t magazine_cpu(const struct heap *h)
{
#if QUIRE_RSEQ
    if (!h->magazine.without_rseq)
        return rseq_cpu_here(&h->magazine);
#endif
    return cpu_of_port(h);
}

/* What a free must know of the class, in two words, as one would have to be taken apart. */
static inline uint32_t magazine_mask(const struct cpu_cache *r)
{
    return (uint32_t)qa_hint(&r->overflows); /* constant */
}

static inline uint64_t magazine_reciprocal(const struct cpu_cache *r)
{
    return qa_load(&r->flushes, relaxed); /* relaxed: constant */
}

/* The mark of an object of the magazine's class, by the word of its frame, as mark_of. What the
 * kind leaves of the word's lower end is taken off the address beforehand. */
static inline qa8 *magazine_mark(const struct cpu_cache *r, uint32_t word, uint32_t index)
{
    uintptr_t marks = (uintptr_t)qa_load(&r->refills, relaxed); /* relaxed: constant */

    return byte_at(marks, (uint64_t)(word >> FRAME_MARKS_SHIFT) + index);
}

/* The issuer of an object of this node that this CPU hands out: the node, and below it the CPU's
 * number modulo the largest value that there is room for. CPUs that are equal there are taken for
 * one: with one node from 128 CPUs on, with 64 nodes all. */
static inline uint8_t issuer_of(const struct heap *h, uint32_t node, uint32_t cpu)
{
    uint32_t cpus = ((uint32_t)1 << h->issuer_cpu_bits) - 1; /* so that none is ISSUER_UNKNOWN */

    return (uint8_t)(ISSUER_SET | node << h->issuer_cpu_bits | cpu % cpus);
}

/* The issuer of what the magazine's CPU hands out, and above it what it takes. */
static inline uint32_t magazine_accepts(const struct cpu_cache *r)
{
    return qa_load(&r->seen, relaxed); /* relaxed: a hint */
}

static inline uint8_t magazine_issuer(const struct cpu_cache *r)
{
    return (uint8_t)magazine_accepts(r);
}

/* Does the magazine that has this take an object of this issuer? Not of BYTE_NONE. */
static inline bool is_accepted(const struct heap *h, uint32_t accepts, uint8_t issuer)
{
    uint32_t differ = (accepts ^ issuer) & UINT8_MAX;

    return accepts >> TAKES_SHIFT == TAKES_NODE ? !(differ >> h->issuer_cpu_bits) : differ == 0;
}

static inline void *object_of_round(const quire_pfn words[])
{
    uintptr_t address = (uintptr_t)words[0].n;

    return (void *)address;
}

static inline qa8 *mark_of_round(const quire_pfn words[])
{
    uintptr_t address = (uintptr_t)words[1].n;

    return (qa8 *)address;
}

static inline void round_write(quire_pfn words[], const void *object, const qa8 *mark)
{
    words[0] = quire_pfn_of((uintptr_t)object);
    words[1] = quire_pfn_of((uintptr_t)mark);
}

/* Is an address so far from the window's first in the window? */
static inline bool in_window(const struct heap *h, uintptr_t at)
{
    return __builtin_expect(at >> QUIRE_FRAME_SHIFT < h->window_frames, 1);
}

/* The word of the frame table for its frame. */
static inline uint32_t window_word(const struct heap *h, uintptr_t at)
{
    return qa_load(&h->window[at >> QUIRE_FRAME_SHIFT], relaxed); /* relaxed: the caller's, or a
                                                                   * bad pointer */
}

/* The mark of an object of this class, which is there. */
static inline qa8 *object_mark(const struct heap *h, uint32_t class_number, const void *object)
{
    const struct size_class *c = &h->classes[class_number];
    uintptr_t at = (uintptr_t)object - h->window_base;
    uint64_t product = (uint64_t)((uint32_t)at & c->mask) * c->reciprocal;
    /* relaxed: the caller's object */
    uint32_t word = qa_load(frame_word(h, pfn_of_address(h, object)), relaxed);

    return mark_of(h, frame_slab(word), (unsigned)(product >> 32));
}

/* The object, of this class, is its caller's from now on. */
static inline __attribute__((always_inline)) void object_hand_out(const struct heap *h,
                                                                  uint32_t class_number,
                                                                  const void *object, qa8 *mark,
                                                                  uint8_t issuer)
{
    if (HEAP_ASAN)
        bytes_allow(object, h->classes[class_number].size);
    byte_set(mark, issuer);
}

/* Take it back from a caller who had it by this issuer. False: it is free, or has another. */
static inline __attribute__((always_inline)) bool object_take(const struct heap *h,
                                                              uint32_t class_number,
                                                              const void *object, qa8 *mark,
                                                              uint8_t issuer)
{
    if (!byte_clear(mark, issuer))
        return false;
    if (HEAP_ASAN)
        bytes_forbid(object, h->classes[class_number].size);
    return true;
}

/* magazine.c: an object for this magazine, near the caller, that no hit popped; of a class for any
 * node; several, at least one, and as many as there are at hand. */
int qi_object_refill(struct heap *h, size_t offset, uint32_t flags, void **object);
int qi_object_alloc(struct heap *h, uint32_t class_number, uint32_t node, uint32_t flags,
                    void **object);
int qi_objects_alloc(struct heap *h, uint32_t class_number, uint32_t node, uint32_t flags,
                     size_t *n, void *objects[]);
/* objects.c: free what no hit found, or say why not: an object of any slab, or a run. */
int qi_object_free(struct heap *h, void *object);
/* magazine.c: the same of what was found, in a slab. */
int qi_place_free(struct heap *h, const struct place_of_object *place, void *object);
/* The same past the magazines; frames that went. */
uint64_t qi_place_put(struct heap *h, const struct place_of_object *place);
/* The same of an object in the window that another CPU or node handed out, or that is free: r is
 * its class's magazine of this CPU. It goes there or to the remote magazine, by its issuer. */
int qi_object_free_by_issuer(struct heap *h, uint32_t cpu, struct cpu_cache *r, void *object,
                             qa8 *mark);
/* Free what no hit pushed, through the remote magazine if `to_remote`; the mark is clear.
 * QUIRE_ERR_DOUBLE_FREE: it is free (a race). QUIRE_ERR_FRAME, _ALIGN: its slab went (a race). */
int qi_object_overflow(struct heap *h, void *object, bool to_remote);
/* Both in exchange mode, out of the way of rseq mode. */
int qi_object_alloc_exchange(struct heap *h, size_t offset, uint32_t flags, void **object);
int qi_object_free_exchange(const struct quire_heap *heap, void *object);
/* Free objects up to one that is a run or free, at most WORD_BITS; how many these were. */
size_t qi_objects_free(struct heap *h, void *const objects[], size_t n);
/* The magazines of a class, which nobody uses, for objects of its size. */
void qi_magazines_fit(const struct heap *h, uint32_t class_number);
/* Where a CPU's magazines of up to so many rounds begin, by kind; bytes of `magazines` of them. */
uint64_t qi_magazines_plan(uint32_t rounds, uint32_t magazines, uint32_t at[FRAME_KINDS]);
/* Those of all CPUs, so many each, with the first classes', in zeroed memory. */
void qi_magazines_build(struct heap *h, uint32_t magazines);
/* From now on there are hits: not of a heap that is watched, whose calls are all asked. */
void qi_hits_build(struct heap *h);

/* magazine_flush.c: give the objects of `words` words of rounds back to their slabs. Frames of
 * slabs that went. */
uint64_t qi_objects_flush(struct heap *h, const quire_pfn rounds[], uint32_t words);
/* Flush, of all CPUs, the remote magazines and those of the classes from `first` to before `end`.
 * `no_syscall`: of other CPUs only where it takes none. Did any hold something? The frames of slabs
 * that went are added to *frames. */
bool qi_magazines_drain(struct heap *h, uint32_t first, uint32_t end, bool no_syscall,
                        uint64_t *frames);

/* ---- Hits ----------------------------------------------------------------------------------- */

/* An object that a hit may push, of a size class and in the window: the magazine, of the caller's
 * CPU, and the object's mark. NULL: it is none. */
static inline __attribute__((always_inline)) struct cpu_cache *hit_find(const struct heap *h,
                                                                        unsigned char *mine,
                                                                        const void *object,
                                                                        qa8 **mark)
{
    uintptr_t at = (uintptr_t)object - h->window_base;
    uint64_t reciprocal, product;
    struct cpu_cache *r;
    uint32_t word;

    if (!in_window(h, at))
        return NULL;
    word = window_word(h, at);
    r = magazine_expected(mine);
    /* As if nothing was, so that many sizes do not pay for the guess. */
    if (__builtin_expect(!r || magazine_kind(r) != frame_kind(word), 1)) {
        if (r)
            magazine_expect(mine, NULL);
        r = magazine_in(mine, h->magazine_offsets[frame_kind(word)]);
    }
    reciprocal = magazine_reciprocal(r);
    product = ((uint32_t)at & magazine_mask(r)) * reciprocal;
    /* Its lower half: 0 of the first byte of an object, or little more. */
    if (__builtin_expect((uint32_t)product >= (uint32_t)reciprocal, 0))
        return NULL;
    *mark = magazine_mark(r, word, (uint32_t)(product >> 32));
    return r;
}

/* An object from this magazine of the caller's CPU, in exchange mode. */
static inline __attribute__((always_inline)) int alloc_by_exchange(struct heap *h, size_t offset,
                                                                   uint32_t flags, void **object)
{
    uint32_t cpu = cpu_of_port(h);
    quire_pfn words[ROUND_WORDS] = {{0}, {0}}; /* for compilers that do not see that it is set */
    struct cpu_cache *r;

    if (cpu >= h->magazine.cpus)
        return qi_object_refill(h, offset, flags, object);
    r = magazine_in(h->magazines[cpu], offset);
    if (!cpu_cache_claim_pop_two(r, words))
        return qi_object_refill(h, offset, flags, object);
    *object = object_of_round(words);
    object_hand_out(h, magazine_class(r), object_of_round(words), mark_of_round(words),
                    magazine_issuer(r));
    return 0;
}

#if QUIRE_RSEQ

/* Pop a round of this magazine of the CPU that the section runs on. False: not this way. */
static inline __attribute__((always_inline)) bool pop_by_rseq(const struct heap *h, size_t offset,
                                                              struct cpu_cache **magazine,
                                                              quire_pfn words[ROUND_WORDS])
{
    uint64_t first, second;
    struct cpu_cache *r;

    __asm__ goto(RSEQ_START RSEQ_POP_TWO RSEQ_END
                 : [cpu_cache] "=&r"(r), [first] "=&r"(first), [second] "=&r"(second)
                 : RSEQ_AREA(&h->magazine),
                   RSEQ_TABLE(h, offsetof(struct heap, magazines), h->rseq_cpus), [at] "r"(offset)
                 : "memory", "cc", RSEQ_POP_TWO_SCRATCH
                 : slow, again);
    words[0] = quire_pfn_of(first);
    words[1] = quire_pfn_of(second);
    *magazine = r;
    return true;
slow:
again:
    return false;
}

/* An object from this magazine of the caller's CPU, in rseq mode. */
static inline __attribute__((always_inline)) int alloc_by_rseq(struct heap *h, size_t offset,
                                                               uint32_t flags, void **object)
{
    quire_pfn words[ROUND_WORDS];
    struct cpu_cache *r;

    if (!pop_by_rseq(h, offset, &r, words))
        return qi_object_refill(h, offset, flags, object);
    *object = object_of_round(words);
    object_hand_out(h, magazine_class(r), object_of_round(words), mark_of_round(words),
                    magazine_issuer(r));
    return 0;
}

#endif

/* Is the request one that a hit may serve, of up to `most` bytes? */
static inline bool is_hit_request(size_t most, size_t bytes, uint32_t flags)
{
    return bytes - 1 < most && !(flags & ~(uint32_t)HEAP_PASSED_ON);
}

/* An object of this magazine of the caller's CPU, in the mode that the heap is in. */
static inline __attribute__((always_inline)) int object_alloc(struct heap *h, size_t offset,
                                                              uint32_t flags, void **object)
{
#if QUIRE_RSEQ
    if (h->rseq_cpus > 0)
        return alloc_by_rseq(h, offset, flags, object);
    return qi_object_alloc_exchange(h, offset, flags, object);
#else
    return alloc_by_exchange(h, offset, flags, object);
#endif
}

/* Free an object of a size class and of the caller's node, in exchange mode. */
static inline __attribute__((always_inline)) int free_by_exchange(struct heap *h, void *object)
{
    uint32_t cpu = cpu_of_port(h);
    quire_pfn words[ROUND_WORDS];
    struct cpu_cache *r;
    qa8 *mark;

    if (cpu >= h->magazine.cpus)
        return qi_object_free(h, object);
    r = hit_find(h, h->magazines[cpu], object, &mark);
    if (!r)
        return qi_object_free(h, object);
    if (!object_take(h, magazine_kind(r) - FRAME_CLASS, object, mark, magazine_issuer(r)))
        return qi_object_free_by_issuer(h, cpu, r, object, mark);
    round_write(words, object, mark);
    if (cpu_cache_claim_push_two(r, words))
        return 0;
    return qi_object_overflow(h, object, false);
}

/* Free an object in the mode that the heap is in. QUIRE_ERR_STATE: it is not set up. */
static inline __attribute__((always_inline)) int object_free(const struct quire_heap *heap,
                                                             void *object)
{
#if QUIRE_RSEQ
    /* For all that a compiler knows, the store to the mark may change what lies elsewhere, and the
     * section would load it again. */
    const struct quire_cache area = {.rseq_offset = heap->rseq_offset};
    size_t cpu = rseq_cpu_wide(&area);

    if (__builtin_expect((uint32_t)cpu < heap->rseq_cpus, 1)) {
        struct heap *h = heap->state;
        qa8 *mark;
        struct cpu_cache *r = hit_find(h, h->magazines[cpu], object, &mark);

        if (!r)
            return qi_object_free(h, object);
        if (!object_take(h, magazine_kind(r) - FRAME_CLASS, object, mark, magazine_issuer(r)))
            return qi_object_free_by_issuer(h, (uint32_t)cpu, r, object, mark);
        if (rseq_push_two_at(&area, r, (uint32_t)cpu, (uintptr_t)object, (uintptr_t)mark))
            return 0;
        return qi_object_overflow(h, object, false);
    }
    return qi_object_free_exchange(heap, object);
#else
    return heap->state ? free_by_exchange(heap->state, object) : QUIRE_ERR_STATE;
#endif
}

#endif /* QUIRE_HEAP_MAGAZINE_H */
