/* SPDX-License-Identifier: MIT
 *
 * simple.h - the smallest start: one zone over given runs of memory, with a cache for each CPU, in
 * three calls. For a kernel without nodes, or without the wish to know of them; docs/porting.md
 * begins with it.
 *
 * The metadata lies in the memory itself. What the three calls do not do is done through the two
 * handles, which are those of zone.h and cache.h: a run under a device's constraints
 * (quire_cache_alloc_contig), memory that comes into use later (quire_zone_unreserve), figures.
 *
 * quire_simple_alloc and quire_simple_free are lock-free and callable from any context.
 */
#ifndef QUIRE_SIMPLE_H
#define QUIRE_SIMPLE_H

#include <quire/cache.h>
#include <quire/zone.h>

#ifdef __cplusplus
extern "C" {
#endif

struct quire_simple {
    struct quire_zone zone;
    struct quire_cache cache; /* of no zone, if there are no caches */
    uint64_t room[4];         /* zero, see version.h */
};

/* All zero but the runs and `map` is a good start. */
struct quire_simple_config {
    struct quire_run *runs; /* memory to hand out, ascending, disjoint; the metadata is cut off the
                             * end of the longest one */
    size_t run_count;
    uint32_t cpus; /* so many have caches; 0: none, everybody asks the zone itself */
    /* Where the caller can reach these physical bytes, from now on; NULL if nowhere. The start is
     * on a frame. */
    void *(*map)(void *ctx, uint64_t phys, size_t bytes);
    /* `cpu` is asked for caches: without it there are none. Without `event` no frame is kept back
     * (QUIRE_WATERMARK_AUTO). Its `ctx` is given to `map` too. */
    struct quire_port port;
    uint64_t room[4]; /* zero, see version.h */
};

/* Build it, in a zeroed handle that stays where it is. Thread only; blocking in that it clears the
 * metadata. After an error runs[] is as it was. QUIRE_ERR_NO_MEMORY: no run is longer than the
 * metadata, or the zone has no run for the caches, or `map` gave NULL. QUIRE_ERR_INITIALISED: the
 * handle is in use. Others as quire_zone_metadata_size. */
int quire_simple_init(struct quire_simple *simple, const struct quire_simple_config *config);

/* As quire_cache_alloc and quire_cache_free, or quire_zone_alloc and quire_zone_free if there are
 * no caches. */
int quire_simple_alloc(struct quire_simple *simple, unsigned order, uint32_t flags, quire_pfn *pfn);
int quire_simple_free(struct quire_simple *simple, quire_pfn pfn, unsigned order);

#ifdef __cplusplus
}
#endif

#endif /* QUIRE_SIMPLE_H */
