/* SPDX-License-Identifier: MIT
 *
 * records.c - where the record of an object is: how the tag of an object is found when it is freed.
 *
 * Out of band: nothing that is written into an object reaches its record, and objects keep their
 * size and alignment. Of a run it lies in a table beside the frame table. Of an object in a slab it
 * lies in an array of as many records as the slab has objects, which the first object that is
 * watched brings, and which goes with the slab's frames. One tag for a slab instead would cost less
 * memory and a slab for each tag, class and node; a table for all objects that there could be would
 * cost a half of memory. A heap that watches nothing has neither.
 *
 * The arrays are objects of classes of their own, whose slabs have no records: so there is no
 * record of a record, and no retirement in a retirement of an array's slab. One of the classes lies
 * in the reserve, for the objects that do. The danger is a report that reads an array while its
 * slab goes:
 *
 *   walk:    readers += 1;    E-records-look;  the array's address, its records;  readers -= 1
 *   retire:  address = 0;     E-records-look;  if there are no readers: the array goes
 *
 * Else the array is kept, in a list that the last reader to leave, or who trims, takes as a whole:
 * if there is no reader just then all of it goes, else it is put back. A reader of a kept array
 * finds no record in use there; the link is one that says NONE.
 *
 *   RC1  `base` is the slab's first frame while a record of it is in use: written by who has an
 *        object of it, and cleared by who has claimed them all.
 *
 * Who beside whom: all beside all. Lock-free as slabs are. Any context.
 */
#include "watch.h"

#include "kernel-port/heap/magazine.h"

static uint32_t array_size(uint32_t k)
{
    return (uint32_t)(k % 2 ? RECORDS_LEAST + RECORDS_LEAST / 2 : RECORDS_LEAST) << (k / 2);
}

static uint32_t array_class(const struct watch *w, const struct size_class *c)
{
    uint32_t bytes = c->objects * w->stride * (uint32_t)sizeof(qa64), k = 0;

    while (array_size(k) < bytes)
        k++;
    return w->record_class + k;
}

void qi_records_build(struct heap *h)
{
    for (uint32_t k = 0; k < RECORD_CLASSES; k++) {
        struct size_class *c = &h->classes[h->watch->record_class + k];

        qi_class_fit(c, array_size(k));
        c->name = "records";
        qa_store(&c->in_use, CLASS_IN_USE, relaxed); /* relaxed: nobody has the heap yet */
    }
    qi_reserve_fit(&h->classes[h->watch->record_class + RECORD_CLASSES],
                   SLAB_OBJECTS * h->watch->stride * (uint32_t)sizeof(qa64));
}

static bool is_array(const struct watch *w, uint32_t class_number)
{
    return class_number >= w->record_class;
}

static struct slab_records *records_of(const struct heap *h, const struct slab *s)
{
    return &h->watch->slabs[s->node.number - 1];
}

static qa64 *array_at(uint64_t address)
{
    return (qa64 *)(uintptr_t)address;
}

/* The array goes to its slab, which it came from. Frames that went with it. */
static uint64_t array_put(struct heap *h, uint64_t address)
{
    struct place_of_object place;

    return object_find(h, array_at(address), &place) ? 0 : qi_place_put(h, &place);
}

static int array_make(struct heap *h, const struct size_class *c, uint32_t node, uint32_t flags,
                      uint64_t *address)
{
    uint32_t words = c->objects * h->watch->stride;
    void *array;
    int error;

    flags &= HEAP_PASSED_ON;
    error = qi_object_alloc(h, array_class(h->watch, c), node, flags, &array);
    if (error && (flags & QUIRE_EMERGENCY) && h->reserve_runs &&
        !qi_object_alloc(h, h->watch->record_class + RECORD_CLASSES, node, flags, &array))
        error = 0;
    if (error)
        return error;
    for (uint32_t i = 0; i < words; i++)
        qa_store((qa64 *)array + i, 0, relaxed); /* relaxed: E-records has it */
    *address = (uintptr_t)array;
    return 0;
}

static qa64 *record_in(const struct watch *w, uint64_t address, unsigned index)
{
    return array_at(address) + (size_t)index * w->stride;
}

qa64 *qi_record_of_frame(const struct heap *h, uint64_t pfn)
{
    const qa32 *word = frame_word(h, pfn);

    return word ? h->watch->runs + (size_t)(word - h->frames) * h->watch->stride : NULL;
}

qa64 *qi_record_find(const struct heap *h, const struct place_of_object *place)
{
    uint64_t address;

    if (place->run)
        return qi_record_of_frame(h, place->pfn);
    /* E-records acquire: the array is cleared */
    address = qa_load(&records_of(h, place->slab)->at, acquire);
    return address ? record_in(h->watch, address, place->index) : NULL;
}

int qi_record_make(struct heap *h, const struct place_of_object *place, uint32_t flags,
                   qa64 **record)
{
    struct slab_records *records;
    const struct size_class *c = &h->classes[place->class_number];
    uint32_t owner;
    uint64_t address, fresh;
    int error;

    if (place->run) {
        *record = qi_record_of_frame(h, place->pfn);
        return 0;
    }
    records = records_of(h, place->slab);
    address = qa_load(&records->at, acquire); /* E-records acquire: the array is cleared */
    if (!address) {
        owner = qa_load(&place->slab->owner, relaxed); /* relaxed: constant, by HE2 */
        error = array_make(h, c, owner_node(owner), flags, &fresh);
        if (error)
            return error;
        /* E-records acq_rel: the array is cleared; so is that of who was first */
        if (qa_cas(&records->at, &address, fresh, acq_rel))
            address = fresh;
        else
            (void)array_put(h, fresh);
    }
    /* E-records release: the array */
    qa_store(&records->base, pfn_of_address(h, place->slab->at), release);
    *record = record_in(h->watch, address, place->index);
    return 0;
}

static void array_keep(struct watch *w, uint64_t address)
{
    uint64_t first = qa_load(&w->kept, relaxed); /* relaxed: the exchange decides */

    do
        qa_store(array_at(address), first, relaxed);     /* relaxed: the caller's */
    while (!qa_cas(&w->kept, &first, address, release)); /* E-records-kept release: the link */
}

uint64_t qi_records_clear(struct heap *h, const struct slab *s)
{
    struct slab_records *records = records_of(h, s);
    uint32_t owner = qa_load(&s->owner, relaxed); /* relaxed: constant, by HE2 */
    uint64_t address;

    if (is_array(h->watch, owner_class(owner)))
        return 0;
    address = qa_xchg(&records->at, 0, relaxed); /* relaxed: the caller's, who has all objects */
    if (!address)
        return 0;
    qa_store(&records->base, 0, relaxed);          /* relaxed: the caller's */
    qa_fence_after_rmw();                          /* E-records-look fence: gone before the look */
    if (qa_load(&h->watch->readers, acquire) == 0) /* E-records-left acquire: they are done */
        return array_put(h, address);
    array_keep(h->watch, address);
    return 0;
}

uint64_t qi_records_collect(struct heap *h)
{
    struct watch *w = h->watch;
    uint64_t kept, next, frames = 0;
    bool good;

    if (!qa_load(&w->kept, relaxed)) /* relaxed: a hint */
        return 0;
    kept = qa_xchg(&w->kept, 0, acquire); /* E-records-kept acquire: they are gone, and the links */
    good = qa_load(&w->readers, acquire) == 0; /* E-records-left acquire: they are done */
    for (; kept; kept = next) {
        next = qa_load(array_at(kept), relaxed); /* relaxed: the caller's */
        if (good)
            frames += array_put(h, kept);
        else
            array_keep(w, kept);
    }
    return frames;
}

void qi_records_enter(struct watch *w)
{
    (void)qa_add(&w->readers, 1, relaxed); /* relaxed: ordered by E-records-look */
    qa_fence_after_rmw();                  /* E-records-look fence: counted before the look */
}

void qi_records_leave(struct heap *h)
{
    /* E-records-left release: the reader is done */
    if (qa_sub(&h->watch->readers, 1, release) == 1)
        (void)qi_records_collect(h);
}

qa64 *qi_records_of_slab(const struct heap *h, const struct slab *s, uint64_t *base)
{
    const struct slab_records *records = records_of(h, s);

    *base = qa_load(&records->base, acquire);        /* E-records acquire: the array */
    return array_at(qa_load(&records->at, acquire)); /* E-records acquire: it is cleared */
}
