/* SPDX-License-Identifier: MIT
 *
 * heap.h - objects of any size for a kernel, out of a machine's frames: allocate, resize, free, and
 * caches of objects of one type; and who holds my memory: owners of objects and of frames. (The
 * library of kernel-port/heap; libquire has no part of it.)
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
 * Magazines. Each CPU has for each class a magazine of free objects of its own node, so that the
 * common calls touch memory of their own CPU alone: cache.h says how they are owned. What is freed
 * on a CPU of another node waits in one magazine more, and goes back in batches. Such objects are
 * told apart in the figures (`cached`); all go back to their slabs before a request is refused,
 * when an object cache ends, and by quire_heap_trim.
 *
 * Progress and context. Every call but init and the creation and end of object caches is lock-free
 * and may be made in any context in which the machine may be called, an NMI in the middle of
 * another call included (with QUIRE_NO_CALLBACK). A call that is stopped anywhere stops nobody. It
 * keeps from others what it was about to give back, one slab or run (which counts for the share
 * until the machine has it), and the objects of one magazine (in rseq mode, while it drains another
 * CPU, of up to 64 of that CPU's); free objects of a slab that it was about to list others pass
 * over while there is memory, but not before a refusal, which looks at all slabs. In rseq mode with
 * QUIRE_NO_CALLBACK a refusal does not look into the magazines of other CPUs, as that takes a
 * system call.
 *
 * Errors, the same for all. QUIRE_ERR_STATE: quire_heap_init was not called. QUIRE_ERR_SIZE: no
 * bytes or no objects, or more bytes than a run may have, 4 GiB (1 GiB where addresses have 32
 * bits); a product of n and a size that does not fit. QUIRE_ERR_ALIGN: an alignment that is no
 * power of two, or a pointer that is not the first byte of an object. QUIRE_ERR_FRAME: a pointer
 * that is not the heap's, or not any more, as that of a run that was freed, and NULL; or the
 * machine gave a frame that the heap has no table for. QUIRE_ERR_DOUBLE_FREE: the object is free,
 * wherever it lies, and its slab is still the heap's. Two frees of one object at the same instant
 * may both be taken for good, as those of a frame (cache.h): the second is dropped when it reaches
 * the slab, but until then the object may be handed out twice. In the hardened build one of the two
 * is refused, and without magazines one gets it, unless its slab went back between them.
 * QUIRE_ERR_NODE: no such node. QUIRE_ERR_UNSUPPORTED: a flag that is not known here.
 * QUIRE_ERR_FULL: there are as many slabs as the configuration allows. Those that a class had and
 * gave back stay its own; those of an object cache that has ended only object caches and classes
 * get whose slabs count as many (`slabs` of struct quire_heap_config). QUIRE_ERR_NO_MEMORY, or what
 * else the machine said: after all empty slabs were given back, and what waits in the quarantine.
 * QUIRE_ERR_LIMIT: a tag has as many bytes as it may, or the heap as many frames. A failed call
 * changes nothing.
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
    QUIRE_HEAP_TAGS = 4095,
    QUIRE_HEAP_WAITING = 65536,
    QUIRE_HEAP_RESERVE = 64,
};

/* `rounds` of struct quire_heap_config: there are no magazines. */
#define QUIRE_HEAP_NO_MAGAZINES UINT32_MAX

/* ---- Setting up ---------------------------------------------------------------------------- */

enum quire_heap_finding_kind {
    QUIRE_HEAP_BAD_FREE = 0,    /* a free was refused: `error` says why */
    QUIRE_HEAP_DOUBLE_FREE = 1, /* the same, of an object that is free: who had it last */
    QUIRE_HEAP_RED_ZONE = 2,    /* bytes behind the object were written */
    QUIRE_HEAP_POISON = 3,      /* bytes of a free object were written: who had it last */
};

/* Something that is wrong with an object, seen by a heap with QUIRE_HEAP_DEBUG. */
struct quire_heap_finding {
    enum quire_heap_finding_kind kind;
    int error; /* what the call returned; 0 if it went on */
    const void *object;
    uint64_t bytes;  /* that were asked for; 0: not known */
    uint64_t offset; /* of the first bad byte from the object's first one */
    uint8_t found, expected;
    const char *tag;  /* its name; NULL: none */
    uint64_t caller;  /* who had it, or has it; 0: not tracked */
    uint64_t room[2]; /* zero, see version.h */
};

struct quire_heap_port {
    struct quire_reach reach;      /* a direct map: `open` must be NULL; an object has the address
                                    * NULL only if frame 0 is the machine's, and `base` is 0 */
    uint32_t (*cpu)(void *ctx);    /* the caller's CPU; a wrong one costs speed alone. NULL: 0 */
    quire_node (*node)(void *ctx); /* and its node. NULL: node 0 */
    void *ctx;
    /* For owners: the time, in whatever unit; NULL: all is of time 0. In any context. */
    uint64_t (*clock)(void *ctx);
    /* A finding; in the context of the call that saw it. NULL: nobody is told. */
    void (*report)(void *ctx, const struct quire_heap_finding *finding);
    uint64_t room[2]; /* zero, see version.h */
};

/* What a heap shall know of its objects. Any of it, tags too, costs each call a look-up more, and
 * memory: for each object 8 bytes, with an option 24, in arrays that come and go
 * with the slabs, and as many for each frame of the runs. A heap without any of it pays one
 * branch where no magazine serves a call; with an option there are no magazines. */
enum quire_heap_options {
    QUIRE_HEAP_TRACK = 1u << 0,    /* the caller and the time of each allocation; the others, too */
    QUIRE_HEAP_RED = 1u << 1,      /* at least 16 bytes behind each object, looked at by its free */
    QUIRE_HEAP_POISONED = 1u << 2, /* free objects are filled, and looked at by the next allocation;
                                    * not those with a constructor, which are to stay as they are */
    QUIRE_HEAP_DEBUG = QUIRE_HEAP_TRACK | QUIRE_HEAP_RED | QUIRE_HEAP_POISONED,
};

struct quire_heap_config {
    struct quire_machine *machine;
    const struct quire_run *runs; /* all frames that the machine may ever give, in ascending order;
                                   * zones that are added later among them */
    size_t run_count;
    uint32_t cpus, nodes; /* their numbers are below these; 0 is 1 */
    uint32_t slabs;       /* at most; 0: one for eight frames. Those of 256 objects,
                           * as of 16 bytes, count twice */
    uint32_t caches;      /* object caches, at once */
    struct quire_heap_port port;
    enum quire_cache_mode mode; /* of the magazines, see cache.h. In rseq mode CPUs have the numbers
                                 * that the kernel gives them, and the port's `cpu` is not asked */
    uint32_t rounds;  /* objects in a magazine at most: even, up to 512; 0: 256. Of objects of more
                       * than 128 bytes there are fewer, of object caches up to 64. A heap with
                       * options has none */
    uint32_t tags;    /* at most, up to QUIRE_HEAP_TAGS; 0: none */
    uint32_t options; /* enum quire_heap_options */
    uint32_t quarantine; /* objects that wait before they are really free, QUIRE_HEAP_WAITING at
                          * most; wants an option. Those of object caches do not wait */
    uint32_t reserve;    /* runs of 32 KiB that are set aside, QUIRE_HEAP_RESERVE at most */
    uint64_t share; /* frames that the heap never exceeds, those of `reserve` included; 0: all */
    const struct quire_kinds *kinds; /* where its frames are counted, as QUIRE_KIND_SLAB; it must
                                      * stay. NULL: nowhere */
    uint64_t room[4];                /* zero, see version.h */
};

/* Private: use the functions below. Starts from all zero. */
struct quire_heap {
    struct heap *state;
    uint64_t once __attribute__((aligned(8))); /* atomic */
    /* Copied out of `state`, so that a hit looks here alone. */
    size_t hit_bytes;    /* of what a hit may allocate, at most; 0: no call is one */
    int64_t rseq_offset; /* of the thread's area, in rseq mode */
    uint32_t rseq_cpus;  /* that have magazines in rseq mode, else 0 */
    uint32_t unused;
    uint64_t room[2]; /* zero, see version.h */
};

/* The bytes that a heap needs: 4 for each frame of the runs and 16 for each GiB from the lowest
 * to the highest, 192 for each slab; for each class and node 64, 8 for each CPU, and 32 for each
 * of up to 64 sets of CPUs; for each class and CPU 64 and 16 for each round (85 KiB a CPU of a
 * heap without object caches, and 1 KiB more for each of these). With options or tags: 8 or 24
 * for each frame, 16 for each slab, 64 for each tag. QUIRE_ERR_SIZE: no frames, or a number out
 * of its range (nodes QUIRE_NODES, 2^24 slabs, rounds), or a share that is less than the reserve.
 * QUIRE_ERR_ALIGN: runs that are not in order, or overlap. QUIRE_ERR_UNSUPPORTED: a window
 * instead of a direct map; local mode, and rseq mode where it does not work; an option that is
 * not known, or a quarantine without one. Wait-free. */
int quire_heap_size(const struct quire_heap_config *config, size_t *bytes);

/* Set a heap up in `memory`, aligned to 64, which is cleared, and is the heap's for good, as the
 * machine is: a heap has no end. Once: QUIRE_ERR_INITIALISED says that this handle was set up, or
 * just is. Errors as above; QUIRE_ERR_SIZE: `bytes` too few. QUIRE_ERR_ALIGN:
 * also `memory`. QUIRE_ERR_NO_MEMORY, or what else the machine said: the reserve could not be had;
 * nothing was set up then. Blocking only in that it clears. */
int quire_heap_init(struct quire_heap *heap, const struct quire_heap_config *config, void *memory,
                    size_t bytes);

/* ---- Objects ------------------------------------------------------------------------------- */

/* Everything that a request can say; all zero but `bytes` is what quire_heap_alloc asks.
 * Flags, of this call and all others that have flags: QUIRE_HIGH, QUIRE_EMERGENCY,
 * QUIRE_NO_CALLBACK, QUIRE_ZEROED, quire_heap_tag_flag(tag).
 *
 * QUIRE_EMERGENCY: what the machine refuses comes from the heap's reserve, if it has one and the
 * object is at most 32 KiB and of no object cache: from slabs that such requests alone have, of any
 * node, of frames that nobody else gets. Empty, they are the reserve again. */
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
 * both have: then both count for a moment against quotas. With tags or options it is always another
 * one, with the tag that `flags` say. The flags are as above but QUIRE_ZEROED.
 * QUIRE_ERR_UNSUPPORTED: also an object of an object cache. */
int quire_heap_resize(struct quire_heap *heap, size_t bytes, uint32_t flags, void **object);

/* Free what any of these functions allocated, or quire_heap_cache_alloc. */
int quire_heap_free(struct quire_heap *heap, void *object);

/* Free n objects. All are looked at before the first is freed: an error means that nothing changed,
 * and *bad, if not NULL, is the place of the first bad one. But one that is named twice is found
 * when it has its second turn: then each was freed once, up to there. */
int quire_heap_free_bulk(struct quire_heap *heap, void *const objects[], size_t n, size_t *bad);

/* How many bytes of an object may be used: as many as were asked for, or more, but with
 * QUIRE_HEAP_RED. Wait-free. */
int quire_heap_usable(struct quire_heap *heap, const void *object, size_t *bytes);

/* Empty all magazines and the quarantine, and give all empty slabs back to the machine, say from
 * its `reclaim`. How many frames went back, those that filled the reserve again included. In rseq
 * mode one membarrier call for each other CPU that holds anything. */
uint64_t quire_heap_trim(struct quire_heap *heap);

/* Give the reserve back to the machine, for good: of a heap that has served. Nobody may be in a
 * call. How many runs of 32 KiB it were: those in use are not among them. Thread only. */
uint32_t quire_heap_unreserve(struct quire_heap *heap);

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
 * somebody just looks at all slabs (trim, a refusal, figures), or walks (quire_heap_walk, its
 * visitor too), or a magazine is in the hands of a call: ask again. All is as before then.
 * Nobody may be in a call about it, or its objects. Thread only. QUIRE_ERR_STATE: it has ended. */
int quire_heap_cache_destroy(struct quire_heap_cache *cache, uint64_t *leaked);

/* An object, near `near_node`. QUIRE_ERR_UNSUPPORTED: QUIRE_ZEROED of objects with a constructor.
 * QUIRE_ERR_STATE: the cache has ended. */
int quire_heap_cache_alloc(const struct quire_heap_cache *cache, uint32_t flags,
                           quire_near near_node, void **object);

/* As quire_heap_free, and QUIRE_ERR_FRAME: it is not of this cache. */
int quire_heap_cache_free(const struct quire_heap_cache *cache, void *object);

/* ---- Tags ---------------------------------------------------------------------------------- */

struct quire_heap_tag_config {
    const char *name; /* kept, not copied */
    uint64_t quota;   /* bytes that its objects may have at once, those lost to size classes
                       * included; 0: no limit */
    uint64_t room[2]; /* zero, see version.h */
};

enum { QUIRE_HEAP_TAG_SHIFT = 16 };

/* Who asks, in the flags of a request. Tag 0 is who says nothing: it has no name and no quota. A
 * tag that was not created: QUIRE_ERR_SIZE; a heap without tags: QUIRE_ERR_UNSUPPORTED. */
static inline uint32_t quire_heap_tag_flag(uint32_t tag)
{
    return tag << QUIRE_HEAP_TAG_SHIFT;
}

/* Create a tag; for good. QUIRE_ERR_FULL: there are as many as configured. Lock-free. */
int quire_heap_tag_create(struct quire_heap *heap, const struct quire_heap_tag_config *config,
                          uint32_t *tag);

/* Another quota, for requests to come: what the tag has stays. QUIRE_ERR_SIZE: no such tag. */
int quire_heap_tag_quota(struct quire_heap *heap, uint32_t tag, uint64_t quota);

struct quire_heap_tag_stats {
    const char *name;
    uint64_t quota;
    uint64_t objects;
    uint64_t asked;    /* bytes */
    uint64_t bytes;    /* those lost to size classes (internal fragmentation) included */
    uint64_t peak;     /* of `bytes`, requests that were refused later included */
    uint64_t refusals; /* by the quota */
    uint64_t room[4];  /* zero, see version.h */
};

/* Exact while nobody is at work. Of tag 0 too. QUIRE_ERR_SIZE: no such tag. QUIRE_ERR_UNSUPPORTED:
 * the heap has neither tags nor options. Wait-free. */
int quire_heap_tag_stats(struct quire_heap *heap, uint32_t tag, struct quire_heap_tag_stats *stats);

/* ---- Reports ------------------------------------------------------------------------------- */

/* Of holdings, grouped by tag and caller; of the heap's objects, and of frames (below). They may
 * run beside all; they see each holding as it was at some moment of the report, and one that
 * changes hands just then may be told with the old bytes and the new caller. */

/* What somebody holds: an object of a heap, or a run of frames. */
struct quire_holding {
    quire_pfn pfn;    /* of the first byte */
    uint64_t at;      /* address of an object; 0 of frames */
    uint64_t bytes;   /* asked for */
    uint64_t caller;  /* code address of the call; 0: not tracked */
    uint64_t since;   /* what the port's clock said; 0: not tracked */
    uint32_t tag;     /* of frames: the kind */
    uint64_t room[2]; /* zero, see version.h */
};

/* What it returns, if not 0, ends the walk, and is its result. It may call whatever it likes. */
typedef int quire_holding_visit(void *ctx, const struct quire_holding *holding);

/* All that has one tag and one caller. */
struct quire_holder {
    uint32_t tag;
    uint64_t caller;
    uint64_t holdings, bytes;
    uint64_t since; /* the oldest one's */
};

enum { QUIRE_ANY_TAG = UINT32_MAX };

/* A report in the making: zero but for `table`, `room` and the filter. */
struct quire_holders {
    struct quire_holder *table; /* of `size`, the caller's; it is cleared by the first holding */
    size_t size, count;
    struct quire_holder rest; /* of those for which the table had no place */
    uint32_t tag;             /* only of this one; QUIRE_ANY_TAG: of all */
    uint64_t before;          /* only what is older, `since` below it; 0: all */
    uint64_t room[2];         /* zero, see version.h */
};

/* A quire_holding_visit that adds to a report: `ctx` is a struct quire_holders. Always 0. */
int quire_holders_add(void *ctx, const struct quire_holding *holding);

/* The end of a report: the holders are table[0 .. count-1], most bytes first. O(n log n). */
void quire_holders_sort(struct quire_holders *holders);

/* ---- Who holds what ------------------------------------------------------------------------ */

/* Visit all objects with a byte in the frames of the range, {{0}, UINT64_MAX}: everywhere; in
 * ascending order. Beside all other calls. Those that wait in the quarantine are not among them.
 * Until it is over no object cache ends, and the records of slabs that go are kept for slabs that
 * come: of each class, for as many as it ever had at once.
 * QUIRE_ERR_UNSUPPORTED: the heap has neither tags nor options. Takes a step for each frame. */
int quire_heap_walk(struct quire_heap *heap, struct quire_run range, quire_holding_visit *visit,
                    void *ctx);

/* The same of an object cache: what is leaked, for one that cannot end. QUIRE_ERR_STATE: it has
 * ended. */
int quire_heap_cache_walk(const struct quire_heap_cache *cache, quire_holding_visit *visit,
                          void *ctx);

/* A finding as a line of text without its end, cut to `bytes` with the zero behind it. The address
 * of the caller stands last, so that a name can be put behind it. How long it is. Wait-free. */
size_t quire_heap_finding_text(const struct quire_heap_finding *finding, char *text, size_t bytes);

/* ---- Figures ------------------------------------------------------------------------------- */

/* Of a class at a node; of QUIRE_NO_NODE, all nodes. */
struct quire_heap_stats {
    const char *name;  /* of an object cache; else NULL */
    uint64_t bytes;    /* of an object */
    uint64_t objects;  /* that the slabs have room for, */
    uint64_t used;     /* and of them in use */
    uint64_t cached;   /* free, and in a magazine, or in the hands of a call that is not over */
    uint64_t slabs;    /* in use or kept */
    uint64_t frames;   /* of these */
    uint64_t refusals; /* requests that were refused for want of memory or slabs */
    uint64_t free;     /* bytes of the frames in no object (external fragmentation) */
    /* With tags or options; else 0: */
    uint64_t asked; /* bytes asked for; those of `used` objects beyond are lost to the class
                     * (internal fragmentation) */
    uint64_t peak;  /* of `used` */
};

/* Exact while nobody is at work; all 0 of a class that is in no use. O(slabs). QUIRE_ERR_SIZE: no
 * such class. Wait-free. */
int quire_heap_stats(struct quire_heap *heap, uint32_t number, quire_node node,
                     struct quire_heap_stats *stats);

/* The same of objects that are runs: `bytes` is 0, `objects`, `used` and `slabs` are one. */
int quire_heap_run_stats(struct quire_heap *heap, quire_node node, struct quire_heap_stats *stats);

/* Of the whole heap. */
struct quire_heap_totals {
    uint64_t frames;   /* that it has of the machine, the reserve included */
    uint64_t peak;     /* of these, if it has a share; else 0 */
    uint64_t refusals; /* requests for frames that its share did not allow */
    uint64_t reserve;  /* runs that are set aside and not in use */
    uint32_t classes;  /* numbers of classes are below this: those after the object caches are
                        * the heap's own: the reserve's, and those of its records */
    uint64_t room[4];  /* zero, see version.h */
};

/* O(slabs). Wait-free. */
int quire_heap_totals(struct quire_heap *heap, struct quire_heap_totals *totals);

/* ---- Owners of frames ---------------------------------------------------------------------- */

/* Frames of the machine by kind of owner (machine.h), in a table beside it, where a free finds its
 * kind; with caller and time if it tracks. It needs no heap. Counts alone, which cost next to
 * nothing, are those of machine.h.
 *
 * It is a layer above the machine: who wants to be counted calls quire_owners_request and _free in
 * place of the machine's; the machine's own calls, and their hits, are as they were, and frames
 * that were had from them are nobody's here. A table that is not set up, all zero, passes the call
 * on behind one branch.
 *
 * What it costs. Of each frame a byte for the kind (1/4096 of memory), and if it tracks 24 bytes
 * more (0.6 %); of each CPU two lines of counts. A call: a plain write, and an atomic addition on
 * the CPU's own line; with tracking three writes more, and the port's clock.
 *
 * A run is freed as it was had: who splits or joins runs of an owner, or moves them (compaction),
 * frees them by the machine's call and asks for them with QUIRE_KIND_NONE.
 *
 * Progress and context: as the machine's request and free; what is added is wait-free. */

struct quire_owners_config {
    struct quire_machine *machine;
    quire_pfn first; /* the table has frames first .. first + frames - 1 */
    uint64_t frames;
    uint32_t cpus;                /* their numbers are below this; 0 is 1 */
    bool tracks;                  /* caller and time as well */
    uint32_t (*cpu)(void *ctx);   /* the caller's CPU; a wrong one costs speed alone. NULL: 0 */
    uint64_t (*clock)(void *ctx); /* NULL: all is of time 0 */
    void *ctx;
    uint64_t room[4]; /* zero, see version.h */
};

/* Private: use the functions below. Starts from all zero. */
struct quire_owners {
    struct quire_owners_config config;
    unsigned char *counts, *kinds;
    uint64_t *records;
    uint64_t room[2]; /* zero, see version.h */
};

/* The bytes that the table needs. QUIRE_ERR_SIZE: no frames, or more than there can be. */
int quire_owners_size(const struct quire_owners_config *config, size_t *bytes);

/* Set it up in `memory`, aligned to 64, which is cleared. Thread only. QUIRE_ERR_INITIALISED: it is
 * set up. QUIRE_ERR_SIZE: also `bytes` too few. QUIRE_ERR_ALIGN: `memory`. */
int quire_owners_init(struct quire_owners *owners, const struct quire_owners_config *config,
                      void *memory, size_t bytes);

/* quire_machine_request for an owner of this kind; `caller` is a code address, or 0 for that of the
 * call. A frame beyond the table is nobody's. QUIRE_ERR_SIZE: no such kind. QUIRE_ERR_STATE:
 * `owners` is not set up, and has no machine: see quire_owners_pass. */
int quire_owners_request(struct quire_owners *owners, const struct quire_request *request,
                         enum quire_kind kind, uint64_t caller, quire_pfn *pfn,
                         struct quire_refusal *why);

/* quire_machine_free for what it gave, or any other run. */
int quire_owners_free(struct quire_owners *owners, quire_pfn pfn, unsigned order);

/* Off: all calls go to the machine behind one branch. Instead of init. */
static inline void quire_owners_pass(struct quire_owners *owners, struct quire_machine *machine)
{
    owners->config.machine = machine;
}

/* Frames that owners of this kind have. Exact while nobody is at work. QUIRE_ERR_SIZE, _STATE. */
int quire_owners_count(const struct quire_owners *owners, enum quire_kind kind, uint64_t *frames);

/* Visit all runs that begin in the range or reach into it, in ascending order. Without tracking
 * only their first frames are known, each as one frame. QUIRE_ERR_STATE. */
int quire_owners_walk(const struct quire_owners *owners, struct quire_run range,
                      quire_holding_visit *visit, void *ctx);

#ifdef __cplusplus
}
#endif

#endif /* QUIRE_HEAP_H */
