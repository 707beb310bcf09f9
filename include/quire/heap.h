/* SPDX-License-Identifier: MIT
 *
 * heap.h - objects of any size for a kernel, out of a machine's frames: allocate, resize, free, and
 * caches of objects of one type. (The library of kernel-port/heap; libquire has no part of it.)
 *
 * Words. An *object* is what is handed out. Objects of one size class lie in *slabs*, runs of order
 * 0 to 3, without anything between them; what is more than 16 KiB (QUIRE_HEAP_SLAB_MOST) is a run
 * of the machine, of a power of two of frames. A power of two of bytes is aligned to its size, and
 * every object to 16. Which slab has an object is found by one look into a table beside the
 * memory, so nothing that is written into an object, or behind it, can deceive the heap.
 *
 * Who brings what: struct quire_heap_config. The frames must be mapped for good where `reach` says.
 * The heap asks the machine for slabs when it needs them and gives empty ones back: of each class
 * and node every CPU keeps the one that it emptied last, those before it go. Slabs belong to the
 * node that the request named, even if the machine had to give memory of another one.
 *
 * Progress and context. Every call but init and the creation and end of object caches is lock-free
 * and may be made in any context in which the machine may be called, an NMI in the middle of
 * another call included (with QUIRE_NO_CALLBACK). A call that is stopped anywhere stops nobody. It
 * keeps from others what it was about to give back, one slab; free objects of a slab that it was
 * about to list others pass over while there is memory, but not before a refusal, which looks at
 * all slabs.
 *
 * Errors, the same for all. QUIRE_ERR_STATE: quire_heap_init was not called. QUIRE_ERR_SIZE: no
 * bytes or no objects, or more bytes than a run may have, 4 GiB (1 GiB where addresses have 32
 * bits); a product of n and a size that does not fit. QUIRE_ERR_ALIGN: an alignment that is no
 * power of two, or a pointer that is not the first byte of an object. QUIRE_ERR_FRAME: a pointer
 * that is not the heap's, or not any more, as that of a run that was freed, and NULL; or the
 * machine gave a frame that the heap has no table for. QUIRE_ERR_DOUBLE_FREE: the object is free,
 * and its slab is still the heap's. Of two frees of one object at the same instant one gets it,
 * unless its slab went back between them. QUIRE_ERR_NODE: no such
 * node. QUIRE_ERR_UNSUPPORTED: a flag that is not known here. QUIRE_ERR_FULL: there are as many
 * slabs as the configuration allows; those that a class had and gave back stay its own.
 * QUIRE_ERR_NO_MEMORY, or what else the machine said: after all empty slabs were given back. A
 * failed call changes nothing.
 */
#ifndef QUIRE_HEAP_H
#define QUIRE_HEAP_H

#include <quire/machine.h>
#include <quire/paging.h> /* struct quire_reach */

#ifdef __cplusplus
extern "C" {
#endif

enum {
    QUIRE_HEAP_SLAB_MOST = 16384, /* bytes: what is larger is a run of its own */
    QUIRE_HEAP_CLASSES = 64,      /* size classes; object caches have the numbers after them */
    QUIRE_HEAP_CACHES = 4096,     /* object caches at once, at most */
};

/* ---- Setting up ---------------------------------------------------------------------------- */

struct quire_heap_port {
    struct quire_reach reach;      /* a direct map: `open` must be NULL; an object has the address
                                    * NULL only if frame 0 is the machine's, and `base` is 0 */
    uint32_t (*cpu)(void *ctx);    /* the caller's CPU; a wrong one costs speed alone. NULL: 0 */
    quire_node (*node)(void *ctx); /* and its node. NULL: node 0 */
    void *ctx;
    uint64_t room[4]; /* zero, see version.h */
};

struct quire_heap_config {
    struct quire_machine *machine;
    const struct quire_run *runs; /* all frames that the machine may ever give, in ascending order;
                                   * zones that are added later among them */
    size_t run_count;
    uint32_t cpus, nodes; /* their numbers are below these; 0 is 1 */
    uint32_t slabs;       /* at most; 0: one for eight frames */
    uint32_t caches;      /* object caches, at once */
    struct quire_heap_port port;
    uint64_t room[8]; /* zero, see version.h */
};

/* Private: use the functions below. Starts from all zero. */
struct quire_heap {
    struct heap *state;
    uint64_t once __attribute__((aligned(8))); /* atomic */
    uint64_t room[2];                          /* zero, see version.h */
};

/* The bytes that a heap needs: 4 for each frame of the runs and 16 for each GiB from the lowest to
 * the highest, 64 for each slab, and for each class and node 64 and 8 for each CPU.
 * QUIRE_ERR_SIZE: no frames, or a number out of its range (nodes QUIRE_NODES, 2^24 slabs).
 * QUIRE_ERR_ALIGN: runs that are not in order, or overlap. QUIRE_ERR_UNSUPPORTED: a window instead
 * of a direct map. Wait-free. */
int quire_heap_size(const struct quire_heap_config *config, size_t *bytes);

/* Set a heap up in `memory`, aligned to 64, which is cleared, and is the heap's for good, as the
 * machine is: a heap has no end. Once: QUIRE_ERR_INITIALISED says that this handle was set up, or
 * just is. Errors as above; QUIRE_ERR_SIZE: `bytes` too few. QUIRE_ERR_ALIGN:
 * also `memory`. Blocking only in that it clears. */
int quire_heap_init(struct quire_heap *heap, const struct quire_heap_config *config, void *memory,
                    size_t bytes);

/* ---- Objects ------------------------------------------------------------------------------- */

/* Everything that a request can say; all zero but `bytes` is what quire_heap_alloc asks.
 * Flags: QUIRE_HIGH, QUIRE_EMERGENCY, QUIRE_NO_CALLBACK, QUIRE_ZEROED. */
struct quire_heap_request {
    size_t bytes;
    size_t align; /* a power of two, or 0 */
    uint32_t flags;
    quire_near near_node; /* all zero: the caller's */
};

int quire_heap_alloc(struct quire_heap *heap, size_t bytes, uint32_t flags, void **object);
int quire_heap_request(struct quire_heap *heap, const struct quire_heap_request *request,
                       void **object);

/* n times `bytes` bytes in one object. QUIRE_ERR_SIZE: also if the product does not fit. */
int quire_heap_alloc_array(struct quire_heap *heap, size_t n, size_t bytes, uint32_t flags,
                           void **object);

/* n objects, at least one, all or none; after an error objects[] is undefined. */
int quire_heap_alloc_bulk(struct quire_heap *heap, const struct quire_heap_request *request,
                          size_t n, void *objects[]);

/* Give an object another size: *object stays, or is another one with the same bytes, as many as
 * both have. The flags are as above but QUIRE_ZEROED. QUIRE_ERR_UNSUPPORTED: also an object of an
 * object cache. */
int quire_heap_resize(struct quire_heap *heap, size_t bytes, uint32_t flags, void **object);

/* Free what any of these functions allocated, or quire_heap_cache_alloc. */
int quire_heap_free(struct quire_heap *heap, void *object);

/* Free n objects. All are looked at before the first is freed: an error means that nothing changed,
 * and *bad, if not NULL, is the place of the first bad one. But one that is named twice is found
 * when it has its second turn: then each was freed once, up to there. */
int quire_heap_free_bulk(struct quire_heap *heap, void *const objects[], size_t n, size_t *bad);

/* How many bytes of an object may be used: as many as were asked for, or more. Wait-free. */
int quire_heap_usable(struct quire_heap *heap, const void *object, size_t *bytes);

/* Give all empty slabs back to the machine, say from its `reclaim`. How many frames they were. */
uint64_t quire_heap_trim(struct quire_heap *heap);

/* ---- Objects of one type ------------------------------------------------------------------- */

struct quire_heap_cache_config {
    const char *name; /* kept, not copied; for figures */
    size_t bytes;     /* up to QUIRE_HEAP_SLAB_MOST */
    size_t align;     /* a power of two up to 4096, or 0 */
    /* Called once for each object when its slab is made, and not at each allocation: who frees an
     * object leaves it as it was constructed. In the context of the request. NULL: nothing. */
    void (*construct)(void *ctx, void *object);
    void *ctx;
    uint64_t room[4]; /* zero, see version.h */
};

/* The handle. Private. */
struct quire_heap_cache {
    struct quire_heap *heap;
    uint32_t number; /* of its class, for quire_heap_stats */
};

/* Create an object cache. Thread only. QUIRE_ERR_FULL: there are as many as the heap was configured
 * for. QUIRE_ERR_ALIGN, QUIRE_ERR_SIZE: as above. */
int quire_heap_cache_create(struct quire_heap *heap, const struct quire_heap_cache_config *config,
                            struct quire_heap_cache *cache);

/* The end of an object cache. QUIRE_ERR_BUSY: *leaked objects were not freed; or, if that is 0,
 * somebody just looks at all slabs (trim, a refusal, figures): ask again. All is as before then.
 * Nobody may be in a call about it, or its objects. Thread only. QUIRE_ERR_STATE: it has ended. */
int quire_heap_cache_destroy(struct quire_heap_cache *cache, uint64_t *leaked);

/* An object, near `near_node`. QUIRE_ERR_UNSUPPORTED: QUIRE_ZEROED of objects with a constructor.
 * QUIRE_ERR_STATE: the cache has ended. */
int quire_heap_cache_alloc(const struct quire_heap_cache *cache, uint32_t flags,
                           quire_near near_node, void **object);

/* As quire_heap_free, and QUIRE_ERR_FRAME: it is not of this cache. */
int quire_heap_cache_free(const struct quire_heap_cache *cache, void *object);

/* ---- Figures ------------------------------------------------------------------------------- */

/* Of a class at a node; of QUIRE_NO_NODE, all nodes. */
struct quire_heap_stats {
    const char *name;  /* of an object cache; else NULL */
    uint64_t bytes;    /* of an object */
    uint64_t objects;  /* that the slabs have room for, */
    uint64_t used;     /* and of them in use */
    uint64_t slabs;    /* in use or kept */
    uint64_t frames;   /* of these */
    uint64_t refusals; /* requests that were refused for want of memory or slabs */
    uint64_t room[4];  /* zero, see version.h */
};

/* Exact while nobody is at work; all 0 of a class that is in no use. O(slabs). QUIRE_ERR_SIZE: no
 * such class. Wait-free. */
int quire_heap_stats(struct quire_heap *heap, uint32_t number, quire_node node,
                     struct quire_heap_stats *stats);

/* The same of objects that are runs: `bytes` is 0, `objects`, `used` and `slabs` are one. */
int quire_heap_run_stats(struct quire_heap *heap, quire_node node, struct quire_heap_stats *stats);

#ifdef __cplusplus
}
#endif

#endif /* QUIRE_HEAP_H */
