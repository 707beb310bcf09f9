/* SPDX-License-Identifier: MIT
 *
 * simple.c - one zone and its caches over given runs, see simple.h.
 *
 * The zone's metadata is cut off the longest run before the zone is built, the caches' memory is a
 * run of the zone. Less memory never needs more metadata, so what the whole runs need is enough.
 *
 * State: the handle, constant once it is built. Building is one caller's.
 */
#include "core/word.h"

#include <quire/simple.h>

static uint64_t frames_of_bytes(size_t bytes)
{
    return rounded_up((uint64_t)bytes, QUIRE_FRAME_SIZE) >> QUIRE_FRAME_SHIFT;
}

static struct quire_run *longest_run(const struct quire_simple_config *c)
{
    struct quire_run *longest = c->runs;

    for (size_t i = 1; i < c->run_count; i++)
        if (c->runs[i].frames > longest->frames)
            longest = &c->runs[i];
    return longest;
}

static int build_simple_zone(struct quire_zone *zone, const struct quire_simple_config *c)
{
    const struct quire_zone_config config = {.type = QUIRE_ZONE_NORMAL,
                                             .slots = c->cpus ? c->cpus : 1,
                                             .usable = c->runs,
                                             .usable_count = c->run_count,
                                             .min = QUIRE_WATERMARK_AUTO,
                                             .low = QUIRE_WATERMARK_AUTO,
                                             .high = QUIRE_WATERMARK_AUTO,
                                             .port = c->port};
    struct quire_run *from;
    uint64_t frames;
    void *metadata;
    size_t bytes;
    int error = quire_zone_metadata_size(&config, &bytes);

    if (error)
        return error;
    from = longest_run(c);
    frames = frames_of_bytes(bytes);
    if (from->frames <= frames)
        return QUIRE_ERR_NO_MEMORY;
    from->frames -= frames;
    metadata = c->map(c->port.ctx, quire_phys(quire_pfn_of(from->pfn.n + from->frames)), bytes);
    error = metadata ? quire_zone_init(zone, &config, metadata, bytes) : QUIRE_ERR_NO_MEMORY;
    if (error)
        from->frames += frames;
    return error;
}

static int build_simple_cache(struct quire_simple *s, const struct quire_simple_config *c)
{
    const struct quire_cache_config config = {.zone = &s->zone,
                                              .mode = QUIRE_CACHE_EXCHANGE,
                                              .cpus = c->cpus,
                                              .rounds = QUIRE_CACHE_SIZE_AUTO,
                                              .run_rounds = QUIRE_CACHE_SIZE_AUTO,
                                              .large_rounds = QUIRE_CACHE_SIZE_AUTO,
                                              .huge_rounds = QUIRE_CACHE_SIZE_AUTO,
                                              .depot = QUIRE_CACHE_SIZE_AUTO};
    struct quire_contig want = {0};
    quire_pfn pfn;
    void *memory;
    size_t bytes;
    int error = quire_cache_size(&config, &bytes);

    if (error)
        return error;
    want.frames = frames_of_bytes(bytes);
    error = quire_zone_alloc_contig(&s->zone, quire_slot_of(0), &want, QUIRE_NO_CALLBACK, &pfn);
    if (error == QUIRE_ERR_SIZE)
        return QUIRE_ERR_NO_MEMORY;
    if (error)
        return error;
    memory = c->map(c->port.ctx, quire_phys(pfn), bytes);
    return memory ? quire_cache_init(&s->cache, &config, memory, bytes) : QUIRE_ERR_NO_MEMORY;
}

int quire_simple_init(struct quire_simple *s, const struct quire_simple_config *config)
{
    struct quire_run *longest = config->run_count ? longest_run(config) : NULL;
    uint64_t frames = longest ? longest->frames : 0;
    int error;

    if (s->zone.head)
        return QUIRE_ERR_INITIALISED;
    error = build_simple_zone(&s->zone, config);
    if (!error && config->cpus && config->port.cpu)
        error = build_simple_cache(s, config);
    if (error) {
        if (longest)
            longest->frames = frames;
        __builtin_memset(s, 0, sizeof *s);
    }
    return error;
}

int quire_simple_alloc(struct quire_simple *s, unsigned order, uint32_t flags, quire_pfn *pfn)
{
    if (s->cache.zone)
        return quire_cache_alloc(&s->cache, order, flags, pfn);
    return quire_zone_alloc(&s->zone, quire_slot_of(0), order, flags, pfn);
}

int quire_simple_free(struct quire_simple *s, quire_pfn pfn, unsigned order)
{
    if (s->cache.zone)
        return quire_cache_free(&s->cache, pfn, order);
    return quire_zone_free(&s->zone, quire_slot_of(0), pfn, order);
}
