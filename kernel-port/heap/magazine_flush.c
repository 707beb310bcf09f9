/* SPDX-License-Identifier: MIT
 *
 * magazine_flush.c - objects go from magazines back to their slabs: flushes, drains.
 *
 * A flush gathers the objects of one word of a slab's map, a few words at a time, so that a word is
 * changed once for many of them. What it looks up is taken in the map, so its slab is there; but
 * an object that two frees at one instant brought here twice, or its slab, may be gone by now: it
 * is found, or dropped, as far as its mark and its bit tell.
 *
 * A drain takes magazine after magazine, as drain.c of percpu does, and passes by what is taken. In
 * exchange mode it has one in its hands at a time. In rseq mode that works on its own CPU. Of
 * another CPU it detaches those that hold anything, up to DRAIN_AT_ONCE, has the kernel restart
 * what runs there, takes them and lets the owner back before they are flushed (K3). Where it may
 * not call the kernel, or that refuses, they stay. Bounded: each magazine once. Lock-free.
 */
#include "magazine.h"
#include "who/watch.h"

enum { GATHERED = 16 };

/* Objects of one word of a map. */
struct gathered {
    struct slab *slab;
    unsigned word;
    uint64_t mine;
};

static uint64_t put_gathered(struct heap *h, const struct gathered *g)
{
    return g->slab ? qi_objects_put(h, g->slab, g->word, g->mine) : 0;
}

uint64_t qi_objects_flush(struct heap *h, const quire_pfn rounds[], uint32_t words)
{
    struct gathered gathered[GATHERED];
    struct place_of_object place;
    uint64_t frames = 0;

    for (unsigned i = 0; i < GATHERED; i++)
        gathered[i].slab = NULL;
    for (uint32_t i = 0; i < words; i += ROUND_WORDS) {
        struct gathered *g;
        unsigned word;

        if (object_find(h, object_of_round(&rounds[i]), &place) || place.run ||
            byte_read(mark_of(h, place.number, place.index)) != BYTE_NONE)
            continue; /* freed twice at one instant */
        word = place.index / WORD_BITS;
        g = &gathered[(place.number + word) % GATHERED];
        if (g->slab != place.slab || g->word != word) {
            frames += put_gathered(h, g);
            g->slab = place.slab;
            g->word = word;
            g->mine = 0;
        }
        g->mine |= (uint64_t)1 << place.index % WORD_BITS;
    }
    for (unsigned i = 0; i < GATHERED; i++)
        frames += put_gathered(h, &gathered[i]);
    return frames;
}

/* ---- Drains -------------------------------------------------------------------------------- */

/* Flush a magazine that was taken, and put it back. Frames of slabs that went. */
static uint64_t magazine_empty(struct heap *h, struct cpu_cache *r)
{
    uint32_t count = cpu_cache_count(r);
    uint64_t frames = qi_objects_flush(h, r->rounds, count);

    if (count > 0)
        cpu_cache_set_count(r, 0);
    cpu_cache_put(r);
    return frames;
}

/* Those magazines of another CPU, from `at` on, that bits name, in rseq mode. */
static uint64_t drain_restarted(struct heap *h, uint32_t cpu, uint32_t at, uint64_t wanted)
{
    uint64_t taken = 0, frames = 0;

    for (uint64_t w = wanted; w; w &= w - 1)
        /* relaxed: the restart orders it */
        (void)qa_add(&magazine_at(h, cpu, at + word_first(w))->detached, 1, relaxed);
    if (qi_cpu_restart(&h->magazine, cpu))
        for (uint64_t w = wanted; w; w &= w - 1)
            if (qi_cpu_cache_steal(magazine_at(h, cpu, at + word_first(w))))
                taken |= w & -w;
    for (uint64_t w = wanted; w; w &= w - 1)
        /* E-cpu-cache release */
        (void)qa_sub(&magazine_at(h, cpu, at + word_first(w))->detached, 1, release);
    for (; taken; taken &= taken - 1)
        frames += magazine_empty(h, magazine_at(h, cpu, at + word_first(taken)));
    return frames;
}

/* A CPU's magazines from `at` to before `end`. Did one hold something? */
static bool drain_some(struct heap *h, uint32_t cpu, uint32_t at, uint32_t end, bool no_syscall,
                       uint64_t *frames)
{
    uint64_t left = 0;
    bool any = false;

    for (uint32_t i = at; i < end; i++) {
        struct cpu_cache *r = magazine_at(h, cpu, i);

        if (cpu_cache_count(r) == 0)
            continue;
        any = true;
        if (qi_cpu_cache_take(&h->magazine, r, cpu))
            *frames += magazine_empty(h, r);
        else
            left |= (uint64_t)1 << (i - at);
    }
    if (left && !h->magazine.without_rseq && !no_syscall)
        *frames += drain_restarted(h, cpu, at, left);
    return any;
}

bool qi_magazines_drain(struct heap *h, uint32_t first, uint32_t end, bool no_syscall,
                        uint64_t *frames)
{
    bool any = false;

    for (uint32_t cpu = 0; cpu < h->magazine.cpus; cpu++) {
        any |= drain_some(h, cpu, 0, 1, no_syscall, frames);
        for (uint32_t at = 1 + first; at <= end; at += DRAIN_AT_ONCE) {
            uint32_t behind = end + 1 - at < DRAIN_AT_ONCE ? end + 1 : at + DRAIN_AT_ONCE;

            any |= drain_some(h, cpu, at, behind, no_syscall, frames);
        }
    }
    return any;
}

bool qi_heap_give_back(struct heap *h, uint32_t flags, unsigned step)
{
    uint64_t frames = 0;
    bool any = false;

    if (step > 0 && !(h->watch && qi_watched_flush(h, &frames)))
        return false;
    any = qi_magazines_drain(h, 0, h->class_count, flags & QUIRE_NO_CALLBACK, &frames);
    return qi_slabs_trim(h) + frames > 0 || any || step > 0;
}
