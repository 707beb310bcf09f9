/* SPDX-License-Identifier: MIT
 *
 * watch.h - who holds what: what a heap has besides if it was configured for tags, tracking or
 * finding bugs. Private to kernel-port/heap.
 *
 * A heap without any of these has `watch` NULL, which each call asks once. With one of them every
 * call about objects goes by watch.c, where it enters and leaves; slabs and runs know nothing of
 * it.
 *
 *   records      of each object that is or was in use: a word, and if owners are tracked the
 *                caller's address and the time. Of an object in a slab they lie in an array that
 *                the first object of the slab brings (records.c); of a run, in a table beside the
 *                frame table
 *   tags         names with a quota, and what they have (tags.c)
 *   accounts     what each size class has, and had at most
 *   quarantine   objects that were freed and wait (debug.c)
 *
 * Invariants:
 *   WA1  Who made the word of a record USED has the object; who made it something else, by one
 *        compare-and-swap, is the one free of it, and alone gives it back.
 *   WA2  A tag's bytes are those of the records that are USED with it, and of requests that are
 *        under way: never more than its quota.
 */
#ifndef QUIRE_HEAP_WATCH_H
#define QUIRE_HEAP_WATCH_H

#include "kernel-port/heap/objects.h"

/* The word of a record: state, tag, bytes lost to the size class, bytes asked for. */
enum {
    RECORD_NONE = 0,     /* nothing is known: new, or free */
    RECORD_USED = 1,     /* the object is in use */
    RECORD_WAITING = 2,  /* it was freed, and has not been given back yet */
    RECORD_POISONED = 3, /* it is free, and filled */
    RECORD_STATE_BITS = 2,
    RECORD_TAG_BITS = 12,
    RECORD_LOST_BITS = 16,
    RECORD_LOST_SHIFT = RECORD_STATE_BITS + RECORD_TAG_BITS,
    RECORD_ASKED_SHIFT = RECORD_LOST_SHIFT + RECORD_LOST_BITS,
};

/* Behind the word, in heaps that track. */
enum { RECORD_CALLER = 1, RECORD_TIME = 2, RECORD_LONG = 3 };

enum {
    RECORD_CLASSES = 15, /* of arrays of records: 64 bytes, 96, 128, 192 .. 8192 */
    RECORDS_LEAST = 64,
    RED_BYTES = 16, /* behind each object, at least */
};

/* Where the records of a slab are. */
struct slab_records {
    qa64 at;   /* the array's address; ARRAY_KEPT with it: nobody's now; or 0 */
    qa64 base; /* the slab's first frame, plus 1, or 0; above it how often the slab went */
};
enum { ARRAY_KEPT = 1, SLAB_LIFE_SHIFT = QUIRE_PFN_BITS + 1 };

struct heap_tag {
    qa64 bytes, quota; /* charged; 0: without end */
    qa64 asked, objects, peak, refusals;
    qa64 made;
    const char *name;
} __attribute__((aligned(64)));

struct class_account {
    qa64 objects, asked, peak;
};

struct watch {
    uint32_t flags, stride; /* words of a record */
    uint32_t tag_most;
    qa32 tag_count;
    qa32 readers; /* who walks records just now */
    qa32 keeps;   /* arrays of records that wait for them with their slabs, or a moment longer */
    qa64 kept;    /* the first of those that have no slab, each with a link to the next */
    uint32_t record_class;
    struct slab_records *slabs; /* by number */
    qa64 *runs;                 /* records, by place in the frame table */
    struct heap_tag *tags;
    struct class_account *accounts; /* by class; behind them that of runs */
    qa64 *quarantine;
    uint32_t quarantined;
    qa64 turn;
};

static inline uint64_t record_word(uint64_t state, uint32_t tag, uint64_t lost, uint64_t asked)
{
    return state | (uint64_t)tag << RECORD_STATE_BITS | lost << RECORD_LOST_SHIFT |
           asked << RECORD_ASKED_SHIFT;
}

static inline uint64_t record_state(uint64_t word)
{
    return word & ((1u << RECORD_STATE_BITS) - 1);
}

static inline uint32_t record_tag(uint64_t word)
{
    return (uint32_t)(word >> RECORD_STATE_BITS) & ((1u << RECORD_TAG_BITS) - 1);
}

static inline uint64_t record_lost(uint64_t word)
{
    return word >> RECORD_LOST_SHIFT & ((1u << RECORD_LOST_BITS) - 1);
}

static inline uint64_t record_asked(uint64_t word)
{
    return word >> RECORD_ASKED_SHIFT;
}

/* records.c */

/* The record of an object that is found; NULL: there is none. */
qa64 *qi_record_find(const struct heap *h, const struct place_of_object *place);
/* The same, made if need be; the object is the caller's. Or why it cannot be had. */
int qi_record_make(struct heap *h, const struct place_of_object *place, uint32_t flags,
                   qa64 **record);

/* What a report has of a slab: its records, which stay records until the reader leaves, and `base`,
 * whose slab they are of while that stays. NULL: none. Between enter and leave. */
void qi_records_enter(struct watch *w);
void qi_records_leave(struct heap *h);
qa64 *qi_records_of_slab(const struct heap *h, const struct slab *s, uint64_t *base);
/* The record of a run by its first frame; NULL: beyond the frame table. */
qa64 *qi_record_of_frame(const struct heap *h, uint64_t pfn);
/* Does anybody walk? */
bool qi_records_have_readers(const struct heap *h);
/* The classes of arrays. */
void qi_records_build(struct heap *h);

/* tags.c */

/* Charge `bytes` to the tag. QUIRE_ERR_LIMIT: that would be more than its quota. */
int qi_tag_charge(const struct watch *w, uint32_t tag, uint64_t bytes);
void qi_tag_discharge(const struct watch *w, uint32_t tag, uint64_t bytes);
/* Does the tag exist? */
bool qi_tag_exists(const struct watch *w, uint32_t tag);
/* An object came, or went. */
void qi_account_add(const struct watch *w, uint32_t tag, uint32_t account, uint64_t asked);
void qi_account_sub(const struct watch *w, uint32_t tag, uint32_t account, uint64_t asked);

/* watch.c: the calls about objects of a heap that is watched. `caller` is a code address. */

int qi_watched_alloc(struct heap *h, const struct quire_heap_request *request, uint64_t caller,
                     void **object);
int qi_watched_free(struct heap *h, void *object, uint64_t caller);
int qi_watched_resize(struct heap *h, size_t bytes, uint32_t flags, uint64_t caller, void **object);
int qi_watched_usable(const struct heap *h, const void *object, size_t *bytes);
/* Is it in use? As quire_heap_free would say. */
int qi_watched_check(const struct heap *h, const void *object);
int qi_watched_cache_alloc(struct heap *h, uint32_t class_number, uint32_t node, uint32_t flags,
                           uint64_t caller, void **object);
/* All objects that wait are really free. Was there one? And frames that went with them. */
bool qi_watched_flush(struct heap *h, uint64_t *frames);

/* debug.c */

/* The object's bytes beyond those asked for, and all of it. */
void qi_red_fill(unsigned char *object, uint64_t asked, uint64_t end);
void qi_red_check(struct heap *h, const unsigned char *object, const qa64 *record, uint64_t word,
                  uint64_t end);
void qi_poison_fill(unsigned char *object, uint64_t bytes);
void qi_poison_check(struct heap *h, const unsigned char *object, const qa64 *record, uint64_t word,
                     uint64_t bytes);
/* Tell the port. `record` may be NULL. */
void qi_find(struct heap *h, struct quire_heap_finding *finding, const qa64 *record, uint64_t word);
/* An object waits; the one that has waited longest, or NULL. */
void *qi_quarantine(struct heap *h, void *object);
/* One that waits, of place `i`. NULL: none. */
void *qi_quarantine_leave(struct heap *h, uint32_t i);

#endif /* QUIRE_HEAP_WATCH_H */
