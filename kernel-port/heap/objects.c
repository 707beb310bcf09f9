/* SPDX-License-Identifier: MIT
 *
 * objects.c - the calls about objects: what is asked for becomes a class, or a run of the machine;
 * a pointer becomes a slab and an index, or the first frame of a run.
 *
 * A run is known by its first frame's word of the frame table, which is exchanged for 0 by the one
 * free that has it.
 */
#include "objects.h"

/* ---- Runs ---------------------------------------------------------------------------------- */

static uint32_t run_word(unsigned order, uint32_t node)
{
    return FRAME_RUN | node << 8 | order;
}

static uint32_t run_node(uint32_t word)
{
    return word >> 8 & ((1u << HEAP_NODE_BITS) - 1);
}

static unsigned run_order(uint32_t word)
{
    return word & UINT8_MAX;
}

static uint64_t run_size(unsigned order)
{
    return (uint64_t)QUIRE_FRAME_SIZE << order;
}

static int run_alloc(struct heap *h, size_t bytes, uint32_t node, uint32_t flags, void **object)
{
    struct quire_request request = quire_request_of(0, flags & HEAP_PASSED_ON);
    struct run_figures *figures = &h->run[node];
    uint64_t run_bytes;
    quire_pfn pfn;
    int error;

    while (request.order < QUIRE_MAX_ORDER && run_size(request.order) < (uint64_t)bytes)
        request.order++;
    run_bytes = run_size(request.order);
    if (run_bytes < (uint64_t)bytes || run_bytes > SIZE_MAX / 2)
        return QUIRE_ERR_SIZE;
    request.near_node = quire_near_of(quire_node_of(node));
    error = quire_machine_request(h->machine, &request, &pfn, NULL);
    if (error && qi_slabs_trim(h) > 0)
        error = quire_machine_request(h->machine, &request, &pfn, NULL);
    if (!error && !frame_word(h, pfn.n)) {
        (void)quire_machine_free(h->machine, pfn, request.order);
        error = QUIRE_ERR_FRAME;
    }
    if (error) {
        (void)qa_add(&figures->refusals, 1, relaxed); /* relaxed: a statistic */
        return error;
    }
    /* relaxed: whoever frees the run had it from the caller */
    qa_store(frame_word(h, pfn.n), run_word(request.order, node), relaxed);
    (void)qa_add(&figures->runs, 1, relaxed);                              /* relaxed: a figure */
    (void)qa_add(&figures->frames, (uint64_t)1 << request.order, relaxed); /* relaxed: a figure */
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
    return quire_machine_free(h->machine, quire_pfn_of(place->pfn), run_order(place->run));
}

/* ---- From the pointer to the object -------------------------------------------------------- */

int qi_frame_error(const struct heap *h, uint64_t pfn)
{
    for (unsigned order = 1; order <= QUIRE_MAX_ORDER; order++) {
        const qa32 *word = frame_word(h, pfn & ~(((uint64_t)1 << order) - 1));
        uint32_t v = word ? qa_load(word, relaxed) : 0; /* relaxed: advisory, for the error */

        if ((v & FRAME_RUN) && run_order(v) >= order)
            return QUIRE_ERR_ALIGN;
    }
    return QUIRE_ERR_FRAME;
}

/* Is the object, at a place that was found, in use? */
static bool object_in_use(const struct place_of_object *place)
{
    const qa64 *word;

    if (place->run)
        return true;
    word = &place->slab->map[place->index / WORD_BITS];
    /* relaxed: the caller's bit, or a bad pointer */
    return qa_load(word, relaxed) >> place->index % WORD_BITS & 1;
}

static int used_object_find(const struct heap *h, const void *object, struct place_of_object *place)
{
    int error = object_find(h, object, place);

    if (error)
        return error;
    return object_in_use(place) ? 0 : QUIRE_ERR_DOUBLE_FREE;
}

static size_t usable_bytes(const struct heap *h, const struct place_of_object *place)
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
            step = size_step(rounded);
    }
    while (step < QUIRE_HEAP_CLASSES && h->classes[h->steps[step]].size % (uint32_t)align)
        step++;
    return step < QUIRE_HEAP_CLASSES ? h->steps[step] : QUIRE_HEAP_CLASSES;
}

/* What a request asks for: of which class, or a run of how many bytes, and where. */
struct wanted {
    uint32_t class_number; /* QUIRE_HEAP_CLASSES: a run */
    uint32_t node, flags;
    size_t bytes, run_bytes;
};

static int request_read(const struct heap *h, const struct quire_heap_request *request,
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

static int request_serve(struct heap *h, const struct wanted *want, void **object)
{
    int error;

    if (want->class_number < QUIRE_HEAP_CLASSES)
        error = qi_object_take(h, want->class_number, want->node, want->flags, object);
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
    error = request_read(heap->state, request, &want);
    return error ? error : request_serve(heap->state, &want, object);
}

/* What is not simply so many bytes near the caller. */
__attribute__((__noinline__)) static int alloc_by_request(struct quire_heap *heap, size_t bytes,
                                                          uint32_t flags, void **object)
{
    struct quire_heap_request request = {bytes, 0, flags, {0}};

    return quire_heap_request(heap, &request, object);
}

int quire_heap_alloc(struct quire_heap *heap, size_t bytes, uint32_t flags, void **object)
{
    struct heap *h = heap->state;

    if (h && bytes - 1 < QUIRE_HEAP_SLAB_MOST && !(flags & ~(uint32_t)HEAP_PASSED_ON))
        return qi_object_take(h, h->steps[size_step(bytes)], node_now(h), flags, object);
    return alloc_by_request(heap, bytes, flags, object);
}

int quire_heap_alloc_array(struct quire_heap *heap, size_t n, size_t bytes, uint32_t flags,
                           void **object)
{
    size_t product;

    if (__builtin_mul_overflow(n, bytes, &product))
        return QUIRE_ERR_SIZE;
    return quire_heap_alloc(heap, product, flags, object);
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
    error = n == 0 ? QUIRE_ERR_SIZE : request_read(h, request, &want);
    if (error)
        return error;
    while (got < n && !error) {
        some = 0;
        if (want.class_number < QUIRE_HEAP_CLASSES && !(want.flags & QUIRE_ZEROED))
            some = qi_objects_take(h, want.class_number, want.node, n - got, &objects[got]);
        if (some == 0) {
            error = request_serve(h, &want, &objects[got]);
            some = error ? 0 : 1;
        }
        got += some;
    }
    while (error && got > 0)
        (void)quire_heap_free(heap, objects[--got]);
    return error;
}

static int place_free(struct heap *h, const struct place_of_object *place)
{
    const struct size_class *c = &h->classes[place->class_number];

    return place->run ? run_free(h, place) : qi_object_put(h, c, place->slab, place->index);
}

int quire_heap_free(struct quire_heap *heap, void *object)
{
    struct place_of_object place;
    int error;

    if (!heap->state)
        return QUIRE_ERR_STATE;
    error = object_find(heap->state, object, &place);
    return error ? error : place_free(heap->state, &place);
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
        error = used_object_find(h, objects[i++], &place);
    for (i = error ? i : 0; !error && i < n; i++)
        error = quire_heap_free(heap, objects[i]);
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
    error = used_object_find(heap->state, object, &place);
    if (!error)
        *bytes = usable_bytes(heap->state, &place);
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
    error = used_object_find(h, *object, &place);
    if (error)
        return error;
    if (bytes == 0)
        return QUIRE_ERR_SIZE;
    if ((flags & ~(uint32_t)HEAP_PASSED_ON) ||
        (!place.run && place.class_number >= QUIRE_HEAP_CLASSES))
        return QUIRE_ERR_UNSUPPORTED;
    usable = usable_bytes(h, &place);
    if (bytes <= usable && bytes > usable / 2)
        return 0;
    error = quire_heap_alloc(heap, bytes, flags, &fresh);
    if (error)
        return error;
    __builtin_memcpy(fresh, *object, bytes < usable ? bytes : usable);
    error = place_free(h, &place);
    if (error)
        (void)quire_heap_free(heap, fresh);
    else
        *object = fresh;
    return error;
}

uint64_t quire_heap_trim(struct quire_heap *heap)
{
    return heap->state ? qi_slabs_trim(heap->state) : 0;
}
