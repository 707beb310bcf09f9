/* SPDX-License-Identifier: MIT
 *
 * cache.c - object caches: classes of their own, behind the size classes. `in_use` says whose a
 * class is: nobody's, being made or ended by one call, in use (E-object-cache).
 */
#include "magazine.h"
#include "who/watch.h"

static int cache_config_check(const struct quire_heap_cache_config *config, size_t align)
{
    if (align & (align - 1) || align > QUIRE_FRAME_SIZE)
        return QUIRE_ERR_ALIGN;
    return config->bytes - 1 < QUIRE_HEAP_SLAB_MOST ? 0 : QUIRE_ERR_SIZE;
}

int quire_heap_cache_create(struct quire_heap *heap, const struct quire_heap_cache_config *config,
                            struct quire_heap_cache *cache)
{
    size_t align = config->align > OBJECT_LEAST ? config->align : OBJECT_LEAST;
    int error = cache_config_check(config, config->align ? config->align : 1);
    struct heap *h = heap->state;
    size_t bytes = config->bytes;

    if (!h)
        return QUIRE_ERR_STATE;
    if (error)
        return error;
    if (h->watch && (h->watch->flags & QUIRE_HEAP_RED))
        bytes += RED_BYTES;
    if (bytes > QUIRE_HEAP_SLAB_MOST)
        return QUIRE_ERR_SIZE;
    for (uint32_t number = QUIRE_HEAP_CLASSES; number < h->class_count; number++) {
        struct size_class *c = &h->classes[number];
        uint32_t nobody = CLASS_FREE;

        /* E-object-cache acquire: who ended the one before is done with the class */
        if (!qa_cas(&c->in_use, &nobody, CLASS_MADE, acquire))
            continue;
        qi_class_fit(c, (uint32_t)((bytes + align - 1) & ~(align - 1)));
        c->usable = (uint32_t)config->bytes;
        c->construct = config->construct;
        c->ctx = config->ctx;
        c->name = config->name;
        qi_magazines_fit(h, number);
        qi_class_figures_begin(h, number);
        /* E-object-cache release: the class is made */
        qa_store(&c->in_use, CLASS_IN_USE, release);
        cache->heap = heap;
        cache->number = number;
        return 0;
    }
    return QUIRE_ERR_FULL;
}

/* The class of an object cache that has not ended; NULL: it has. */
static struct size_class *class_of_cache(const struct quire_heap_cache *cache)
{
    struct size_class *c;

    if (!cache->heap || !cache->heap->state)
        return NULL;
    c = &cache->heap->state->classes[cache->number];
    /* E-object-cache acquire: the class is made */
    return qa_load(&c->in_use, acquire) == CLASS_IN_USE ? c : NULL;
}

/* No call has a magazine in its hands that had objects of the class. The danger is a flush: it
 * clears their bits first, and looks at the slab, the bin and the class after that, so free objects
 * do not say that it is done; putting the magazine back does. To be asked after the count, which
 * sees a bit clear, or a slab dead, by an acquire: so a magazine that was taken before that is not
 * seen in place any more, even one that this call's drain could not touch (rseq mode, where the
 * kernel refuses). Only `present` counts: who has set `detached` holds nothing yet. */
static bool magazines_in_place(const struct heap *h, uint32_t number)
{
    for (uint32_t cpu = 0; cpu < h->magazine.cpus; cpu++) {
        const struct cpu_cache *remote = magazine_at(h, cpu, 0);
        const struct cpu_cache *own = magazine_at(h, cpu, 1 + number);

        /* E-cpu-cache acquire: who flushed it is done with slabs, bin and class */
        if (!qa_load(&remote->present, acquire) || !qa_load(&own->present, acquire))
            return false;
    }
    return true;
}

/* Nobody but the caller, who has the class, visits it or flushes objects of it, and all are free,
 * and none is in a magazine. */
static bool class_may_end(struct heap *h, uint32_t number, uint64_t *leaked)
{
    struct quire_heap_stats stats = {0};
    uint64_t frames = 0;

    *leaked = 0;
    /* E-class-left acquire: they are done. Beside a walk its records would wait, and those of the
     * next cache, and so on. */
    if (qa_load(&h->classes[number].visitors, acquire) || qi_records_have_readers(h))
        return false;
    (void)qi_magazines_drain(h, number, number + 1, false, &frames);
    qi_class_count(h, number, quire_node_of(QUIRE_NO_NODE), &stats);
    *leaked = stats.used;
    return stats.used + stats.cached == 0 && magazines_in_place(h, number);
}

int quire_heap_cache_destroy(struct quire_heap_cache *cache, uint64_t *leaked)
{
    struct size_class *c = class_of_cache(cache);
    uint32_t state = CLASS_IN_USE;
    bool ends;

    /* relaxed: ordered by E-class-visit */
    if (!c || !qa_cas(&c->in_use, &state, CLASS_MADE, relaxed))
        return QUIRE_ERR_STATE;
    qa_fence_after_rmw(); /* E-class-visit fence: newcomers see it before the look at visitors */
    ends = class_may_end(cache->heap->state, cache->number, leaked);
    if (ends)
        qi_class_end(cache->heap->state, cache->number);
    /* E-object-cache release: the caller is done with the class */
    qa_store(&c->in_use, ends ? CLASS_FREE : CLASS_IN_USE, release);
    if (!ends)
        return QUIRE_ERR_BUSY;
    cache->heap = NULL;
    return 0;
}

int quire_heap_cache_alloc(const struct quire_heap_cache *cache, uint32_t flags,
                           quire_near near_node, void **object)
{
    const struct size_class *c = class_of_cache(cache);
    uint32_t node = 0, known = HEAP_FLAGS;
    int error;

    if (!c)
        return QUIRE_ERR_STATE;
    if (cache->heap->state->watch)
        known |= (uint32_t)QUIRE_HEAP_TAGS << QUIRE_HEAP_TAG_SHIFT;
    if ((flags & ~known) || ((flags & QUIRE_ZEROED) && c->construct))
        return QUIRE_ERR_UNSUPPORTED;
    error = node_find(cache->heap->state, near_node, &node);
    if (!error && cache->heap->state->watch)
        return qi_watched_cache_alloc(cache->heap->state, cache->number, node, flags,
                                      (uint64_t)(uintptr_t)__builtin_return_address(0), object);
    if (!error)
        error = qi_object_alloc(cache->heap->state, cache->number, node, flags, object);
    if (!error && (flags & QUIRE_ZEROED))
        __builtin_memset(*object, 0, c->size);
    return error;
}

int quire_heap_cache_free(const struct quire_heap_cache *cache, void *object)
{
    const struct size_class *c = class_of_cache(cache);
    struct place_of_object place;
    int error;

    if (!c)
        return QUIRE_ERR_STATE;
    error = object_find(cache->heap->state, object, &place);
    if (error)
        return error;
    if (place.run || place.class_number != cache->number)
        return QUIRE_ERR_FRAME;
    if (cache->heap->state->watch)
        return qi_watched_free(cache->heap->state, object,
                               (uint64_t)(uintptr_t)__builtin_return_address(0));
    return qi_place_free(cache->heap->state, &place, object);
}
