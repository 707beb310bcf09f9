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
 * Else the array is cleared and kept where it was, with a bit that says so, for the slab's next
 * life: the descriptor stays in its class, so the array fits. So a walk that stands still, however
 * long, has one array for each descriptor wait, and no more. The last reader to leave, or who
 * trims, takes those that are kept: one that nobody reaches goes if there is no reader after it was
 * taken. Else it is put back, or, if a new life has brought another one meanwhile, comes into a
 * list, which is taken as a whole; so does the array of a slab that leaves its class. Nobody takes
 * one while he sees a reader, and no object cache ends then, so the list has one for each call that
 * was on its way when a reader came.
 *
 * A reader may have the array of an earlier life. So what it read of a record is of the slab that
 * it knows only if `base`, read after that, is what it was: the record is USED after `base` is
 * written. A life has a number, so frames that a slab has twice do not deceive it. The link of the
 * list is a record that says NONE.
 *
 *   RC1  `base` is the slab's first frame, and the number of its life, while a record of it is in
 *        use: written by who has an object of it, and changed by who has claimed them all.
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
    for (uint32_t i = 0; error && (flags & QUIRE_EMERGENCY) && h->reserve_runs && i < h->nodes; i++)
        if (!qi_object_alloc(h, h->watch->record_class + RECORD_CLASSES, (node + i) % h->nodes,
                             flags, &array))
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

static bool is_live(uint64_t address)
{
    return address && !(address & ARRAY_KEPT);
}

/* The slab's array, where there was `v`: kept of its last life, or a new one; if there is no memory
 * for that, one that another call brought meanwhile. The caller has an object of the slab. */
__attribute__((__noinline__)) static int array_have(struct heap *h, const struct slab *s,
                                                    const struct size_class *c, uint32_t flags,
                                                    uint64_t v, uint64_t *address)
{
    struct slab_records *records = records_of(h, s);
    uint32_t node = owner_node(qa_load(&s->owner, relaxed)); /* relaxed: constant, by HE2 */
    uint64_t fresh = 0;
    int error = 0;

    while (!is_live(v)) {
        uint64_t mine;

        if (!v && !fresh) {
            if (error)
                return error;
            error = array_make(h, c, node, flags, &fresh);
        }
        mine = v ? v ^ ARRAY_KEPT : fresh;
        if (!mine) {
            v = qa_load(&records->at, acquire); /* E-records acquire: another call's, cleared */
            continue;
        }
        /* E-records acq_rel: the array is cleared; so is that of who was first */
        if (qa_cas(&records->at, &v, mine, acq_rel)) {
            if (v)
                (void)qa_sub(&h->watch->keeps, 1, relaxed); /* relaxed: a hint */
            v = mine;
        }
    }
    if (fresh && v != fresh)
        (void)array_put(h, fresh);
    *address = v;
    return 0;
}

int qi_record_make(struct heap *h, const struct place_of_object *place, uint32_t flags,
                   qa64 **record)
{
    struct slab_records *records;
    uint64_t address, life;
    int error;

    if (place->run) {
        *record = qi_record_of_frame(h, place->pfn);
        return 0;
    }
    records = records_of(h, place->slab);
    address = qa_load(&records->at, acquire); /* E-records acquire: it is cleared */
    if (__builtin_expect(!is_live(address), 0)) {
        error =
            array_have(h, place->slab, &h->classes[place->class_number], flags, address, &address);
        if (error)
            return error;
    }
    /* relaxed: written by who claimed the slab; E-object has it */
    life = qa_load(&records->base, relaxed) >> SLAB_LIFE_SHIFT;
    /* E-records release: the array */
    qa_store(&records->base, life << SLAB_LIFE_SHIFT | (pfn_of_address(h, place->slab->at) + 1),
             release);
    *record = record_in(h->watch, address, place->index);
    return 0;
}

bool qi_records_have_readers(const struct heap *h)
{
    /* E-records-left acquire: those that were are done */
    return h->watch && qa_load(&h->watch->readers, acquire) != 0;
}

/* Into the list. */
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
    uint32_t number = owner_class(qa_load(&s->owner, relaxed)); /* relaxed: constant, by HE2 */
    uint32_t words = h->classes[number].objects * h->watch->stride;
    uint64_t address = qa_load(&records->at, relaxed); /* relaxed: the caller's */
    uint64_t life;

    if (is_array(h->watch, number) || !is_live(address))
        return 0;
    life = (qa_load(&records->base, relaxed) >> SLAB_LIFE_SHIFT) + 1; /* relaxed: the caller's */
    qa_store(&records->base, life << SLAB_LIFE_SHIFT, relaxed);       /* relaxed: the caller's */
    (void)qa_xchg(&records->at, 0, relaxed); /* relaxed: the caller's, who has all objects */
    qa_fence_after_rmw();                    /* E-records-look fence: gone before the look */
    if (!qi_records_have_readers(h))
        return array_put(h, address);
    for (uint32_t i = 0; i < words; i++)
        qa_store(array_at(address) + i, 0, relaxed); /* relaxed: E-records has it */
    (void)qa_add(&h->watch->keeps, 1, relaxed);      /* relaxed: a hint */
    /* E-records release: the array is cleared */
    qa_store(&records->at, address | ARRAY_KEPT, release);
    return 0;
}

/* The array that the slab's descriptor keeps; 0: none. */
static uint64_t kept_take(struct watch *w, struct slab_records *records)
{
    uint64_t v = qa_load(&records->at, relaxed); /* relaxed: the exchange decides */

    /* E-records acquire: who kept it saw its readers, and has cleared it */
    if (!(v & ARRAY_KEPT) || !qa_cas(&records->at, &v, 0, acquire))
        return 0;
    (void)qa_sub(&w->keeps, 1, relaxed); /* relaxed: a hint */
    return v ^ ARRAY_KEPT;
}

void qi_records_disown(struct heap *h, const struct slab *s)
{
    uint64_t address = kept_take(h->watch, records_of(h, s));

    if (address && qi_records_have_readers(h))
        array_keep(h->watch, address);
    else if (address)
        (void)array_put(h, address);
}

/* Give the array back that the descriptor keeps, unless a reader came. Frames that went. */
static uint64_t kept_collect(struct heap *h, struct slab_records *records)
{
    uint64_t address = kept_take(h->watch, records), none = 0;

    if (!address)
        return 0;
    if (!qi_records_have_readers(h))
        return array_put(h, address);
    (void)qa_add(&h->watch->keeps, 1, relaxed); /* relaxed: a hint */
    /* E-records release: as it was acquired */
    if (!qa_cas(&records->at, &none, address | ARRAY_KEPT, release)) {
        (void)qa_sub(&h->watch->keeps, 1, relaxed); /* relaxed: a hint */
        array_keep(h->watch, address);
    }
    return 0;
}

/* The same of those in the list. */
static uint64_t list_collect(struct heap *h)
{
    struct watch *w = h->watch;
    uint64_t kept, next, frames = 0;
    bool good;

    if (!qa_load(&w->kept, relaxed)) /* relaxed: a hint */
        return 0;
    kept = qa_xchg(&w->kept, 0, acquire); /* E-records-kept acquire: they are gone, and the links */
    good = !qi_records_have_readers(h);
    for (; kept; kept = next) {
        next = qa_load(array_at(kept), relaxed); /* relaxed: the caller's */
        if (good)
            frames += array_put(h, kept);
        else
            array_keep(w, kept);
    }
    return frames;
}

uint64_t qi_records_collect(struct heap *h)
{
    struct watch *w = h->watch;
    uint32_t count = qa_load(&h->slab_count, relaxed); /* relaxed: advisory */
    uint64_t frames = list_collect(h);

    if (!qa_load(&w->keeps, relaxed)) /* relaxed: a hint */
        return frames;
    for (uint32_t i = 0; i < count && !qi_records_have_readers(h); i++)
        frames += kept_collect(h, &w->slabs[i]);
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
    uint64_t address;

    *base = qa_load(&records->base, acquire); /* E-records acquire: the array */
    address = qa_load(&records->at, acquire); /* E-records acquire: it is cleared */
    return address & ARRAY_KEPT ? NULL : array_at(address);
}
