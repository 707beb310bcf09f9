/* SPDX-License-Identifier: MIT
 *
 * build.c - building a cache, its bounds, and its figures.
 *
 * The memory holds, in this order: what all CPUs share, the depot, the CPUs' views, and the CPU
 * caches, each on cache lines of its own. Sizes asked for with
 * QUIRE_CACHE_SIZE_AUTO are halved, first those of blocks, then those of runs, then those of
 * frames, until all that the caches can hold (quire_cache_bound) is at most an eighth of the zone;
 * a zone too small for eight rounds a magazine gets none. What is left of the eighth then may be
 * for runs of order 4 and more, which take no room from the others: their magazines are halved
 * until they fit, the longest runs going first. Sizes asked for by number stay, or are
 * refused if they come to more than the zone's share that QUIRE_CACHE_SHARE states.
 *
 * The cache is not in use while it is built; the handle is constant afterwards. Wait-free.
 */
#include "percpu/depot.h"
#include "percpu/fastpath.h"

#if QUIRE_RSEQ
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum {
    AUTO_ROUNDS = 128,
    AUTO_HUGE = 4,
    AUTO_LARGE = 8,         /* a magazine of order 0 has so many times the rounds of order 4 */
    LARGE_ROUNDS_ORDER = 4, /* `large_rounds` are of this order */
    AUTO_DEPOT = 2,         /* nodes a CPU */
    MIN_ROUNDS = 8,
    AUTO_SHARE = 8, /* automatic sizes hold at most this part of the zone, all together */
    CACHE_MEMORY_ALIGN = 64,
};

struct cache_sizes {
    uint32_t mode;
    uint32_t rounds, runs, huge, depot; /* runs: twice the rounds of order 1 */
    uint32_t large;                     /* rounds of order 4 */
    uint32_t run_mobility;
};

static size_t cache_aligned(size_t n)
{
    return (size_t)rounded_up(n, CACHE_MEMORY_ALIGN);
}

/* Does glibc register restartable sequences here, and can the kernel restart them? */
bool qi_rseq_works(void)
{
#if QUIRE_RSEQ
    return rseq_is_registered() &&
           syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0) == 0;
#else
    return false;
#endif
}

/* The rounds of a class's loaded magazine: even. */
static uint32_t class_capacity(const struct cache_sizes *s, enum cache_class cls)
{
    unsigned order = class_order(cls);

    if (cls == CACHE_HUGE)
        return s->huge;
    if (cls < CACHE_RUNS)
        return s->rounds;
    if (cls > CACHE_LARGE && cls % 2 > s->run_mobility)
        return 0;
    return order < LARGE_ROUNDS_ORDER ? s->runs >> order & ~1u
                                      : ((s->large >> (order - LARGE_ROUNDS_ORDER)) + 1) & ~1u;
}

/* The most frames that can be cached with these sizes. */
static uint64_t frames_bound(const struct cache_sizes *s, uint32_t cpus)
{
    uint64_t frames = 0;

    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++)
        frames += class_capacity(s, i) * 3ull / 2 * frames_per_round(i);
    return cpus * frames + (uint64_t)s->depot * (s->rounds / 2);
}

static bool rounds_valid(uint32_t rounds)
{
    return rounds <= QUIRE_CACHE_MAX_ROUNDS && rounds % 2 == 0;
}

static int check_sizes(const struct quire_cache_config *config, struct cache_sizes *s)
{
    uint64_t managed = quire_zone_managed(config->zone), share = managed / AUTO_SHARE;
    bool rounds = config->rounds == QUIRE_CACHE_SIZE_AUTO,
         runs = config->run_rounds == QUIRE_CACHE_SIZE_AUTO,
         large = config->large_rounds == QUIRE_CACHE_SIZE_AUTO,
         huge = config->huge_rounds == QUIRE_CACHE_SIZE_AUTO;

    s->run_mobility = config->zone->order_classes ? (uint32_t)QUIRE_MOVABLE : 0;
    s->rounds = rounds ? AUTO_ROUNDS : config->rounds;
    s->huge = huge ? AUTO_HUGE : config->huge_rounds;
    s->depot = config->depot == QUIRE_CACHE_SIZE_AUTO ? AUTO_DEPOT * config->cpus : config->depot;
    if (!rounds_valid(s->rounds) || !rounds_valid(s->huge) ||
        (!runs && !rounds_valid(config->run_rounds)) ||
        (!large && !rounds_valid(config->large_rounds)) || s->depot >> 20)
        return QUIRE_ERR_SIZE;
    s->runs = runs ? s->rounds : 2 * config->run_rounds;
    s->large = large ? 0 : config->large_rounds;
    while (huge && s->huge && frames_bound(s, config->cpus) > share)
        s->huge = s->huge / 4 * 2;
    while (runs && s->runs && frames_bound(s, config->cpus) > share)
        s->runs = s->runs > MIN_ROUNDS ? s->runs / 2 : 0;
    while (rounds && s->rounds && frames_bound(s, config->cpus) > share)
        s->rounds = s->rounds > MIN_ROUNDS ? s->rounds / 4 * 2 : 0;
    if (large)
        s->large = s->rounds / AUTO_LARGE;
    while (large && s->large && frames_bound(s, config->cpus) > share)
        s->large /= 2;
    return frames_bound(s, config->cpus) > managed / QUIRE_CACHE_SHARE ? QUIRE_ERR_SIZE : QUIRE_OK;
}

static int check_config(const struct quire_cache_config *config, struct cache_sizes *s)
{
    if (config->cpus == 0 || config->cpus >> 31 || config->first_cpu >> 31 ||
        (unsigned)config->mode > QUIRE_CACHE_LOCAL)
        return QUIRE_ERR_SIZE;
    if (!config->zone->has_frame_bytes)
        return QUIRE_ERR_UNSUPPORTED;
    s->mode = (uint32_t)config->mode;
    if (config->mode == QUIRE_CACHE_LOCAL)
        s->mode = QUIRE_CACHE_LOCAL;
    else if (config->mode != QUIRE_CACHE_EXCHANGE && qi_rseq_works())
        s->mode = QUIRE_CACHE_RSEQ;
    else if (config->mode == QUIRE_CACHE_RSEQ)
        return QUIRE_ERR_UNSUPPORTED;
    else
        s->mode = QUIRE_CACHE_EXCHANGE;
    return check_sizes(config, s);
}

static size_t cpu_cache_bytes(uint32_t capacity)
{
    return cache_aligned(sizeof(struct cpu_cache) + (capacity + capacity / 2) * sizeof(quire_pfn));
}

/* One CPU's caches. */
static size_t bytes_per_cpu(const struct cache_sizes *s)
{
    size_t bytes = 0;

    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++)
        bytes += cpu_cache_bytes(class_capacity(s, i));
    return bytes;
}

static size_t total_bytes(const struct quire_cache_config *config, const struct cache_sizes *s)
{
    return cache_aligned(sizeof(struct quire_cache_state)) +
           cache_aligned(qi_depot_bytes(config->cpus, s->depot, s->rounds / 2)) +
           config->cpus * (sizeof(struct cpu_view) + bytes_per_cpu(s));
}

int quire_cache_size(const struct quire_cache_config *config, size_t *bytes)
{
    struct cache_sizes s;
    int error = check_config(config, &s);

    if (!error)
        *bytes = total_bytes(config, &s);
    return error;
}

static void build_cpu_caches(struct quire_cache *c)
{
    for (uint32_t cpu = 0; cpu < c->cpus; cpu++)
        for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++) {
            struct cpu_cache *r = cpu_cache_of(c, cpu, i);

            r->half = (uint16_t)(c->capacity[i] / 2);
            r->of_hit = i <= CACHE_MOVABLE ? (uint16_t)(D_SPLIT | i << D_CLASS_SHIFT) : UINT16_MAX;
            r->refill = (uint16_t)(r->half ? r->half : 1);
            qa_store(&r->limit, c->capacity[i], relaxed); /* relaxed: being built */
            cpu_cache_put(r);
        }
}

int quire_cache_init(struct quire_cache *c, const struct quire_cache_config *config, void *memory,
                     size_t bytes)
{
    unsigned char *at = (unsigned char *)memory;
    struct cache_sizes s;
    void *depot;
    int error;

    if (c->zone)
        return QUIRE_ERR_INITIALISED;
    error = check_config(config, &s);
    if (error)
        return error;
    if ((uintptr_t)memory % CACHE_MEMORY_ALIGN)
        return QUIRE_ERR_ALIGN;
    if (bytes < total_bytes(config, &s))
        return QUIRE_ERR_SIZE;
    __builtin_memset(memory, 0, total_bytes(config, &s));
    c->state = (struct quire_cache_state *)memory;
    at += cache_aligned(sizeof(struct quire_cache_state));
    depot = at;
    c->state->depot = (struct depot *)depot;
    qi_depot_init(c->state->depot, config->cpus, s.depot, s.rounds / 2, DEPOT_PATIENCE);
    at += cache_aligned(qi_depot_bytes(config->cpus, s.depot, s.rounds / 2));
    c->cpu_views = at;
    at += config->cpus * sizeof(struct cpu_view);
    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++) {
        c->capacity[i] = class_capacity(&s, i);
        c->cpu_caches[i] = at;
        at += cpu_cache_bytes(c->capacity[i]);
    }
    c->bound = frames_bound(&s, config->cpus);
    c->mode = s.mode;
    c->without_rseq = s.mode == QUIRE_CACHE_RSEQ ? 0 : UINT32_MAX;
    c->cpus = config->cpus;
    c->first_cpu = config->first_cpu;
    c->cpu_stride = bytes_per_cpu(&s);
    c->depot_nodes = s.depot;
    c->run_mobility = s.run_mobility;
    c->zone = config->zone;
#if QUIRE_RSEQ
    c->rseq_offset = __rseq_offset;
#endif
    build_cpu_caches(c);
    qi_views_build(c);
    return QUIRE_OK;
}

uint64_t quire_cache_bound(const struct quire_cache *c)
{
    return c->bound;
}

int quire_cache_stats(const struct quire_cache *c, struct quire_cache_stats *stats)
{
    __builtin_memset(stats, 0, sizeof *stats);
    for (uint32_t cpu = 0; cpu < c->cpus; cpu++)
        for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++) {
            const struct cpu_cache *r = cpu_cache_of(c, cpu, i);

            /* relaxed: figures, all of them */
            stats->cached[i] +=
                frames_per_round(i) *
                (cpu_cache_count(r) + qa_load(&r->out, relaxed)); /* relaxed: a figure */
            stats->hits += cpu_cache_pops(r);
            stats->underflows += qa_load(&r->underflows, relaxed); /* relaxed: a figure */
            stats->overflows += qa_load(&r->overflows, relaxed);   /* relaxed: a figure */
            stats->refills += qa_load(&r->refills, relaxed);       /* relaxed: a figure */
            stats->flushes += qa_load(&r->flushes, relaxed);       /* relaxed: a figure */
        }
    for (unsigned i = 0; i < DEPOT_CLASSES; i++)
        stats->depot[i] =
            qi_depot_full(c->state->depot, i) * (c->capacity[i] / 2) * frames_per_round(i);
    stats->bypasses = qa_load(&c->state->bypasses, relaxed);   /* relaxed: a figure */
    stats->drains = qa_load(&c->state->drains, relaxed);       /* relaxed: a figure */
    stats->bad_frees = qa_load(&c->state->bad_frees, relaxed); /* relaxed: a figure */
    return QUIRE_OK;
}
