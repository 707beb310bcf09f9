/* SPDX-License-Identifier: MIT
 *
 * watch.c - the calls about objects of a heap that is asked who holds what: the entry and the exit
 * of each. The object itself comes and goes as in any other heap.
 *
 *   allocate   charge the tag;  take the object;  have its record;  look at the poison;  fill the
 *              red zone;  record USED, which is when a report sees it
 *   free       record USED becomes WAITING, by the one free that has the object;  look at the red
 *              zone;  discharge the tag;  fill with poison;  wait in the quarantine, and look at
 *              the poison of the one that leaves it;  record POISONED or NONE;  give that back
 *
 * So a second free is seen by the record, also of an object that waits. An object that waits is
 * nobody's: it counts for no tag, and for its slab, which keeps it.
 *
 * Who beside whom: all beside all. Any context; a call that is stopped stops nobody.
 */
#include "watch.h"

#include "asan.h"
#include "kernel-port/heap/magazine.h"

static bool has(const struct heap *h, uint32_t option)
{
    return (h->watch->flags & option) != 0;
}

static uint32_t account_of(const struct heap *h, const struct place_of_object *place)
{
    return place->run ? h->class_count : place->class_number;
}

/* The tag that the flags name, and the flags without it. */
static int tag_read(const struct heap *h, uint32_t *flags, uint32_t *tag)
{
    *tag = *flags >> QUIRE_HEAP_TAG_SHIFT;
    if (*tag && h->watch->tag_most == 0)
        return QUIRE_ERR_UNSUPPORTED;
    if (!qi_tag_exists(h->watch, *tag))
        return *tag > QUIRE_HEAP_TAGS ? QUIRE_ERR_UNSUPPORTED : QUIRE_ERR_SIZE;
    *flags &= ((uint32_t)1 << QUIRE_HEAP_TAG_SHIFT) - 1;
    return 0;
}

/* The bytes that a request takes, those lost to the size class included. */
static int taken_bytes(const struct heap *h, const struct wanted *want, uint64_t *bytes)
{
    unsigned order;

    if (want->run_bytes && want->class_number == QUIRE_HEAP_CLASSES)
        return qi_run_bytes(want->run_bytes, &order, bytes);
    *bytes = h->classes[want->class_number].size;
    return 0;
}

/* Has the object its owner's bytes alone, and may it be filled while it is free? */
static bool may_fill(const struct heap *h, const struct place_of_object *place)
{
    return has(h, QUIRE_HEAP_POISONED) &&
           (place->run || !h->classes[place->class_number].construct);
}

/* The object is taken: write down whose it is. */
static int object_enter(struct heap *h, void *object, uint32_t tag, uint64_t asked, uint64_t taken,
                        uint32_t flags, uint64_t caller)
{
    struct place_of_object place;
    uint64_t end, word, lost;
    qa64 *record;
    int error;

    (void)object_find(h, object, &place); /* it is there: the caller has just taken it */
    error = qi_record_make(h, &place, flags, &record);
    if (error) {
        (void)qi_object_give(h, &place, object);
        return error;
    }
    end = qi_usable_bytes(h, &place);
    word = qa_load(record, relaxed); /* relaxed: the caller's; E-object has it */
    if (record_state(word) == RECORD_POISONED && may_fill(h, &place))
        qi_poison_check(h, object, record, word, end);
    if (has(h, QUIRE_HEAP_RED))
        qi_red_fill(object, asked, end);
    if (h->watch->stride == RECORD_LONG) {
        uint64_t now = h->port.clock ? h->port.clock(h->port.ctx) : 0;

        qa_store(record + RECORD_CALLER, caller, relaxed); /* relaxed: a figure */
        qa_store(record + RECORD_TIME, now, relaxed);      /* relaxed: a figure */
    }
    lost = place.run ? 0 : taken - asked;
    /* E-record release: caller and time */
    qa_store(record, record_word(RECORD_USED, tag, lost, asked), release);
    qi_account_add(h->watch, tag, account_of(h, &place), asked);
    return 0;
}

/* The object itself. An object cache's request has no bytes of a run. */
static int object_get(struct heap *h, const struct wanted *want, void **object)
{
    if (want->run_bytes)
        return qi_request_serve(h, want, object);
    return qi_object_alloc(h, want->class_number, want->node, want->flags, object);
}

/* Charge, take, enter; `want` says what, without a tag. */
static int take_watched(struct heap *h, const struct wanted *want, uint32_t tag, uint64_t asked,
                        uint64_t caller, void **object)
{
    struct wanted plain = *want;
    uint64_t taken;
    int error = taken_bytes(h, want, &taken);

    if (!error)
        error = qi_tag_charge(h->watch, tag, taken);
    if (error)
        return error;
    plain.flags &= ~(uint32_t)QUIRE_ZEROED; /* after the look at the poison */
    error = object_get(h, &plain, object);
    if (!error)
        error = object_enter(h, *object, tag, asked, taken, want->flags, caller);
    if (error)
        qi_tag_discharge(h->watch, tag, taken);
    else if (want->flags & QUIRE_ZEROED)
        __builtin_memset(*object, 0, (size_t)asked);
    return error;
}

int qi_watched_alloc(struct heap *h, const struct quire_heap_request *request, uint64_t caller,
                     void **object)
{
    struct quire_heap_request inner = *request;
    struct wanted want;
    uint32_t tag = 0;
    int error = 0;

    if (request->flags >> QUIRE_HEAP_TAG_SHIFT)
        error = tag_read(h, &inner.flags, &tag);
    if (!error && has(h, QUIRE_HEAP_RED) && inner.bytes > 0 &&
        __builtin_add_overflow(inner.bytes, (size_t)RED_BYTES, &inner.bytes))
        error = QUIRE_ERR_SIZE;
    if (!error)
        error = qi_request_read(h, &inner, &want);
    return error ? error : take_watched(h, &want, tag, request->bytes, caller, object);
}

int qi_watched_cache_alloc(struct heap *h, uint32_t class_number, uint32_t node, uint32_t flags,
                           uint64_t caller, void **object)
{
    struct wanted want = {class_number, node, flags, 0, 0};
    uint32_t tag;
    int error = tag_read(h, &want.flags, &tag);

    return error ? error
                 : take_watched(h, &want, tag, h->classes[class_number].usable, caller, object);
}

/* ---- Free ---------------------------------------------------------------------------------- */

/* An object in use by its pointer, and its record's word. */
static int record_look(const struct heap *h, const void *object, struct place_of_object *place,
                       qa64 **record, uint64_t *word)
{
    int error = object_find(h, object, place);

    *record = error ? NULL : qi_record_find(h, place);
    *word = 0;
    if (error)
        return error;
    if (*record)
        *word = qa_load(*record, acquire); /* E-record acquire: caller and time */
    return record_state(*word) == RECORD_USED ? 0 : QUIRE_ERR_DOUBLE_FREE;
}

/* The object is about to go back; it is the caller's, and its record WAITING with `word`. */
static void record_leave(const struct heap *h, const struct place_of_object *place, qa64 *record,
                         uint64_t word)
{
    uint64_t next = 0;

    if (!place->run && may_fill(h, place))
        next = word | RECORD_POISONED;
    qa_store(record, next, relaxed); /* relaxed: the caller's; E-object has it */
}

/* The object has waited long enough; where objects wait there are no magazines. Frames that went.
 */
static uint64_t waiting_leave(struct heap *h, void *object)
{
    struct place_of_object place;
    qa64 *record;
    uint64_t word;

    if (record_look(h, object, &place, &record, &word) != QUIRE_ERR_DOUBLE_FREE || !record)
        return 0;
    bytes_allow(object, qi_usable_bytes(h, &place));
    if (may_fill(h, &place)) {
        qi_poison_check(h, object, record, word, qi_usable_bytes(h, &place));
        qi_poison_fill(object, qi_usable_bytes(h, &place)); /* told once is enough */
    }
    record_leave(h, &place, record, word);
    return qi_object_give_past(h, &place);
}

/* Not an object of an object cache, which its cache must have when it ends: another call's free
 * would be about it then. */
static bool may_wait(const struct heap *h, const struct place_of_object *place)
{
    return place->run || place->class_number < QUIRE_HEAP_CLASSES ||
           h->classes[place->class_number].of_reserve;
}

static void find_bad_free(struct heap *h, const void *object, const qa64 *record, uint64_t word,
                          int error, uint64_t caller)
{
    struct quire_heap_finding finding = {0};

    if (!has(h, QUIRE_HEAP_DEBUG))
        return;
    finding.kind = error == QUIRE_ERR_DOUBLE_FREE ? QUIRE_HEAP_DOUBLE_FREE : QUIRE_HEAP_BAD_FREE;
    finding.error = error;
    finding.object = object;
    finding.caller = record ? 0 : caller;
    qi_find(h, &finding, record, word);
}

int qi_watched_free(struct heap *h, void *object, uint64_t caller)
{
    struct place_of_object place;
    qa64 *record;
    uint64_t word, end, lost;
    int error = record_look(h, object, &place, &record, &word);

    /* relaxed: the exchange tells who frees it; E-object and E-quarantine order the rest */
    if (!error && !qa_cas(record, &word, word ^ RECORD_USED ^ RECORD_WAITING, relaxed))
        error = QUIRE_ERR_DOUBLE_FREE;
    if (error) {
        find_bad_free(h, object, record, word, error, caller);
        return error;
    }
    end = qi_usable_bytes(h, &place);
    if (has(h, QUIRE_HEAP_RED))
        qi_red_check(h, object, record, word, end);
    lost = place.run ? end - record_asked(word) : record_lost(word);
    qi_account_sub(h->watch, record_tag(word), account_of(h, &place), record_asked(word));
    qi_tag_discharge(h->watch, record_tag(word), record_asked(word) + lost);
    if (may_fill(h, &place))
        qi_poison_fill(object, end);
    if (!h->watch->quarantined || !may_wait(h, &place)) {
        record_leave(h, &place, record, word ^ RECORD_USED ^ RECORD_WAITING);
        (void)qi_object_give(h, &place, object);
        return 0;
    }
    bytes_forbid(object, (size_t)end);
    object = qi_quarantine(h, object);
    if (object)
        (void)waiting_leave(h, object);
    return 0;
}

bool qi_watched_flush(struct heap *h, uint64_t *frames)
{
    bool any = false;

    for (uint32_t i = 0; i < h->watch->quarantined; i++) {
        void *object = qi_quarantine_leave(h, i);

        if (!object)
            continue;
        *frames += waiting_leave(h, object);
        any = true;
    }
    return any;
}

/* ---- The rest ------------------------------------------------------------------------------ */

int qi_watched_check(const struct heap *h, const void *object)
{
    struct place_of_object place;
    qa64 *record;
    uint64_t word;

    return record_look(h, object, &place, &record, &word);
}

int qi_watched_usable(const struct heap *h, const void *object, size_t *bytes)
{
    struct place_of_object place;
    qa64 *record;
    uint64_t word;
    int error = record_look(h, object, &place, &record, &word);

    if (!error)
        *bytes = has(h, QUIRE_HEAP_RED) ? (size_t)record_asked(word) : qi_usable_bytes(h, &place);
    return error;
}

int qi_watched_resize(struct heap *h, size_t bytes, uint32_t flags, uint64_t caller, void **object)
{
    struct quire_heap_request request = {bytes, 0, flags, {0}};
    struct place_of_object place;
    qa64 *record;
    uint64_t word;
    size_t usable = 0;
    void *fresh;
    int error = record_look(h, *object, &place, &record, &word);

    if (error)
        return error;
    if (bytes == 0)
        return QUIRE_ERR_SIZE;
    if ((flags & QUIRE_ZEROED) || (!place.run && place.class_number >= QUIRE_HEAP_CLASSES &&
                                   !h->classes[place.class_number].of_reserve))
        return QUIRE_ERR_UNSUPPORTED;
    error = qi_watched_usable(h, *object, &usable);
    if (!error)
        error = qi_watched_alloc(h, &request, caller, &fresh);
    if (error)
        return error;
    __builtin_memcpy(fresh, *object, bytes < usable ? bytes : usable);
    error = qi_watched_free(h, *object, caller);
    if (error)
        (void)qi_watched_free(h, fresh, caller);
    else
        *object = fresh;
    return error;
}
