/* SPDX-License-Identifier: MIT
 *
 * objects.c - the calls about objects: what is asked for becomes a class, or a run of the machine;
 * a pointer becomes a slab and an index, or the first frame of a run.
 *
 * A run is known by its first frame's word of the frame table, which is exchanged for 0 by the one
 * free that has it.
 *
 * In a heap that is watched (watch.h) each call goes by watch.c, which comes back here for the
 * object itself. In such a heap no free is a hit and no object is small, so that hits need not ask:
 * those that no hit serves ask, by one branch.
 */
#include "magazine.h"
#include "who/watch.h"

/* The code address behind the call of the public function. */
#define CALLER ((uint64_t)(uintptr_t)__builtin_return_address(0))

/* ---- Runs ---------------------------------------------------------------------------------- */

static uint64_t run_size(unsigned order)
{
    return (uint64_t)QUIRE_FRAME_SIZE << order;
}

int qi_run_bytes(size_t bytes, unsigned *order, uint64_t *run_bytes)
{
    *order = 0;
    while (*order < QUIRE_MAX_ORDER && run_size(*order) < (uint64_t)bytes)
        ++*order;
    *run_bytes = run_size(*order);
    return *run_bytes < (uint64_t)bytes || *run_bytes > SIZE_MAX / 2 ? QUIRE_ERR_SIZE : 0;
}

static int run_alloc(struct heap *h, size_t bytes, uint32_t node, uint32_t flags, void **object)
{
    struct run_figures *figures = &h->run[node];
    uint64_t run_bytes;
    unsigned order;
    quire_pfn pfn;
    int error = qi_run_bytes(bytes, &order, &run_bytes);

    if (error)
        return error;
    error = qi_frames_get(h, order, node, flags, &pfn);
    for (unsigned step = 0; error && error != QUIRE_ERR_FRAME && step < GIVE_BACK_STEPS; step++)
        if (qi_heap_give_back(h, flags, step))
            error = qi_frames_get(h, order, node, flags, &pfn);
    if (error && (flags & QUIRE_EMERGENCY) && order == RESERVE_ORDER && !qi_reserve_get(h, &pfn))
        error = 0;
    if (error) {
        (void)qa_add(&figures->refusals, 1, relaxed); /* relaxed: a statistic */
        return error;
    }
    /* relaxed: whoever frees the run had it from the caller */
    qa_store(frame_word(h, pfn.n), run_frame_word(order, node), relaxed);
    (void)qa_add(&figures->runs, 1, relaxed);                      /* relaxed: a figure */
    (void)qa_add(&figures->frames, (uint64_t)1 << order, relaxed); /* relaxed: a figure */
    *object = address_of_pfn(h, pfn);
    return 0;
}

static int run_free(struct heap *h, const struct place_of_object *place)
{
    uint32_t word = place->run;
    struct run_figures *figures = &h->run[run_node(word)];

    /* relaxed: the exchange tells who frees it; the machine orders the rest */
    if (!qa_cas(frame_word(h, place->pfn), &word, 0, relaxed))
        return QUIRE_ERR_DOUBLE_FREE;
    (void)qa_sub(&figures->runs, 1, relaxed); /* relaxed: a figure */
    /* relaxed: a figure */
    (void)qa_sub(&figures->frames, (uint64_t)1 << run_order(place->run), relaxed);
    return qi_frames_put(h, quire_pfn_of(place->pfn), run_order(place->run));
}

/* ---- From the pointer to the object -------------------------------------------------------- */

int qi_frame_error(const struct heap *h, uint64_t pfn)
{
    for (unsigned order = 1; order <= QUIRE_MAX_ORDER; order++) {
        const qa32 *word = frame_word(h, pfn & ~(((uint64_t)1 << order) - 1));
        uint32_t v = word ? qa_load(word, relaxed) : 0; /* relaxed: advisory, for the error */

        if (frame_kind(v) == FRAME_RUN && run_order(v) >= order)
            return QUIRE_ERR_ALIGN;
    }
    return QUIRE_ERR_FRAME;
}

/* Is the object, at a place that was found, in use? */
static bool object_in_use(const struct heap *h, const struct place_of_object *place)
{
    /* G1 */
    return place->run || byte_read(mark_of(h, place->number, place->index)) != BYTE_NONE;
}

static int used_object_find(const struct heap *h, const void *object, struct place_of_object *place)
{
    int error = object_find(h, object, place);

    if (error)
        return error;
    return object_in_use(h, place) ? 0 : QUIRE_ERR_DOUBLE_FREE;
}

size_t qi_usable_bytes(const struct heap *h, const struct place_of_object *place)
{
    if (place->run)
        return (size_t)run_size(run_order(place->run));
    return h->classes[place->class_number].size;
}

/* ---- Requests ------------------------------------------------------------------------------ */

/* The class whose objects have so many bytes and this alignment: QUIRE_HEAP_CLASSES if there is
 * none. The first size of `bytes`, rounded up to the alignment, is a multiple of it as a rule. */
static uint32_t class_find(const struct heap *h, size_t bytes, size_t align)
{
    uint32_t step = QUIRE_HEAP_CLASSES;

    if (bytes <= QUIRE_HEAP_SLAB_MOST && align <= QUIRE_HEAP_SLAB_MOST) {
        size_t rounded = (bytes + align - 1) & ~(align - 1);

        if (rounded <= QUIRE_HEAP_SLAB_MOST)
            step = step_of(h, rounded);
    }
    while (step < QUIRE_HEAP_CLASSES && h->classes[h->steps[step]].size % (uint32_t)align)
        step++;
    return step < QUIRE_HEAP_CLASSES ? h->steps[step] : QUIRE_HEAP_CLASSES;
}

int qi_request_read(const struct heap *h, const struct quire_heap_request *request,
                    struct wanted *want)
{
    size_t align = request->align ? request->align : 1;

    if (align & (align - 1))
        return QUIRE_ERR_ALIGN;
    if (request->bytes == 0)
        return QUIRE_ERR_SIZE;
    if (request->flags & ~(uint32_t)HEAP_FLAGS)
        return QUIRE_ERR_UNSUPPORTED;
    want->flags = request->flags;
    want->bytes = request->bytes;
    want->run_bytes = request->bytes > align ? request->bytes : align;
    want->class_number = class_find(h, request->bytes, align);
    return node_find(h, request->near_node, &want->node);
}

int qi_request_serve(struct heap *h, const struct wanted *want, void **object)
{
    int error;

    if (want->class_number < QUIRE_HEAP_CLASSES)
        error = qi_object_alloc(h, want->class_number, want->node, want->flags, object);
    else
        error = run_alloc(h, want->run_bytes, want->node, want->flags, object);
    if (!error && (want->flags & QUIRE_ZEROED))
        __builtin_memset(*object, 0, want->bytes);
    return error;
}

int quire_heap_request(struct quire_heap *heap, const struct quire_heap_request *request,
                       void **object)
{
    struct wanted want;
    int error;

    if (!heap->state)
        return QUIRE_ERR_STATE;
    if (heap->state->watch)
        return qi_watched_alloc(heap->state, request, CALLER, object);
    error = qi_request_read(heap->state, request, &want);
    return error ? error : qi_request_serve(heap->state, &want, object);
}

/* What is not simply so many bytes near the caller. */
__attribute__((__noinline__)) static int alloc_by_request(struct quire_heap *heap, size_t bytes,
                                                          uint32_t flags, uint64_t caller,
                                                          void **object)
{
    struct quire_heap_request request = {bytes, 0, flags, {0}};

    if (heap->state && heap->state->watch)
        return qi_watched_alloc(heap->state, &request, caller, object);
#if QUIRE_RSEQ
    /* In exchange mode, out of the way of rseq mode. */
    if (heap->state && is_hit_request(heap->state->small_most, bytes, flags))
        return object_alloc(heap->state, heap->state->small[(bytes - 1) / OBJECT_LEAST], flags,
                            object);
#endif
    return quire_heap_request(heap, &request, object);
}

int quire_heap_alloc(struct quire_heap *heap, size_t bytes, uint32_t flags, void **object)
{
    struct heap *h = heap->state;

    if (__builtin_expect(is_hit_request(heap->hit_bytes, bytes, flags), 1)) {
        size_t offset = h->small[(bytes - 1) / OBJECT_LEAST];

#if QUIRE_RSEQ
        return alloc_by_rseq(h, offset, flags, object);
#else
        return alloc_by_exchange(h, offset, flags, object);
#endif
    }
    return alloc_by_request(heap, bytes, flags, CALLER, object);
}

int quire_heap_alloc_array(struct quire_heap *heap, size_t n, size_t bytes, uint32_t flags,
                           void **object)
{
    size_t product;

    if (__builtin_mul_overflow(n, bytes, &product))
        return QUIRE_ERR_SIZE;
    if (heap->hit_bytes == 0) /* it is watched, for one */
        return alloc_by_request(heap, product, flags, CALLER, object);
    return quire_heap_alloc(heap, product, flags, object);
}

static int watched_bulk(struct heap *h, const struct quire_heap_request *request, size_t n,
                        uint64_t caller, void *objects[])
{
    size_t got = 0;
    int error = 0;

    while (got < n && !error)
        error = qi_watched_alloc(h, request, caller, &objects[got++]);
    for (got = error ? got - 1 : 0; got > 0; got--)
        (void)qi_watched_free(h, objects[got - 1], caller);
    return error;
}

int quire_heap_alloc_bulk(struct quire_heap *heap, const struct quire_heap_request *request,
                          size_t n, void *objects[])
{
    struct heap *h = heap->state;
    struct wanted want;
    size_t got = 0, some = 0;
    int error;

    if (!h)
        return QUIRE_ERR_STATE;
    error = n == 0 ? QUIRE_ERR_SIZE : qi_request_read(h, request, &want);
    if (h->watch && n > 0)
        return watched_bulk(h, request, n, CALLER, objects);
    if (error)
        return error;
    while (got < n && !error) {
        some = n - got;
        if (want.class_number < QUIRE_HEAP_CLASSES && !(want.flags & QUIRE_ZEROED)) {
            error =
                qi_objects_alloc(h, want.class_number, want.node, want.flags, &some, &objects[got]);
        } else {
            error = qi_request_serve(h, &want, &objects[got]);
            some = 1;
        }
        got += error ? 0 : some;
    }
    while (error && got > 0)
        (void)quire_heap_free(heap, objects[--got]);
    return error;
}

int qi_object_give(struct heap *h, const struct place_of_object *place, void *object)
{
    return place->run ? run_free(h, place) : qi_place_free(h, place, object);
}

uint64_t qi_object_give_past(struct heap *h, const struct place_of_object *place)
{
    if (!place->run)
        return qi_place_put(h, place);
    return run_free(h, place) ? 0 : (uint64_t)1 << run_order(place->run);
}

__attribute__((__noinline__)) int qi_object_free(struct heap *h, void *object)
{
    struct place_of_object place;
    int error;

    if (h->watch)
        return qi_watched_free(h, object, 0);
    error = object_find(h, object, &place);
    return error ? error : qi_object_give(h, &place, object);
}

int quire_heap_free(struct quire_heap *heap, void *object)
{
    return object_free(heap, object);
}

int quire_heap_free_bulk(struct quire_heap *heap, void *const objects[], size_t n, size_t *bad)
{
    struct heap *h = heap->state;
    struct place_of_object place;
    int error = h ? 0 : QUIRE_ERR_STATE;
    size_t i = 0;

    if (!error && n == 0)
        return QUIRE_ERR_SIZE;
    while (!error && i < n)
        error = h->watch ? qi_watched_check(h, objects[i++])
                         : used_object_find(h, objects[i++], &place);
    for (i = error ? i : 0; !error && i < n;) {
        size_t some = h->watch ? 0 : qi_objects_free(h, &objects[i], n - i);

        if (some == 0)
            error = quire_heap_free(heap, objects[i]);
        i += some > 0 ? some : 1;
    }
    if (error && bad && i > 0)
        *bad = i - 1;
    return error;
}

int quire_heap_usable(struct quire_heap *heap, const void *object, size_t *bytes)
{
    struct place_of_object place;
    int error;

    if (!heap->state)
        return QUIRE_ERR_STATE;
    if (heap->state->watch)
        return qi_watched_usable(heap->state, object, bytes);
    error = used_object_find(heap->state, object, &place);
    if (!error)
        *bytes = qi_usable_bytes(heap->state, &place);
    return error;
}

int quire_heap_resize(struct quire_heap *heap, size_t bytes, uint32_t flags, void **object)
{
    struct heap *h = heap->state;
    struct place_of_object place;
    size_t usable;
    void *fresh;
    int error;

    if (!h)
        return QUIRE_ERR_STATE;
    if (h->watch)
        return qi_watched_resize(h, bytes, flags, CALLER, object);
    error = used_object_find(h, *object, &place);
    if (error)
        return error;
    if (bytes == 0)
        return QUIRE_ERR_SIZE;
    if ((flags & ~(uint32_t)HEAP_PASSED_ON) ||
        (!place.run && place.class_number >= QUIRE_HEAP_CLASSES &&
         !h->classes[place.class_number].of_reserve))
        return QUIRE_ERR_UNSUPPORTED;
    usable = qi_usable_bytes(h, &place);
    if (bytes <= usable && bytes > usable / 2)
        return 0;
    error = quire_heap_alloc(heap, bytes, flags, &fresh);
    if (error)
        return error;
    __builtin_memcpy(fresh, *object, bytes < usable ? bytes : usable);
    error = quire_heap_free(heap, *object);
    if (error)
        (void)quire_heap_free(heap, fresh);
    else
        *object = fresh;
    return error;
}

uint64_t quire_heap_trim(struct quire_heap *heap)
{
    struct heap *h = heap->state;
    uint64_t frames = 0;

    if (!h)
        return 0;
    if (h->watch)
        (void)qi_watched_flush(h, &frames);
    (void)qi_magazines_drain(h, 0, h->class_count, false, &frames);
    return frames + qi_slabs_trim(h);
}
