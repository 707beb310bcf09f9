/* SPDX-License-Identifier: MIT
 *
 * cache_rig.c - see cache_rig.h.
 */
#include "stress/percpu/cache_rig.h"

#include "core/layout.h"
#include "percpu/cpu_cache.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_PFN = 2 * BLOCK, MOST_CPUS = 4, ZONE_SLOTS = 8 };

enum quire_cache_mode mode;
bool mode_is_fallback;

/* ---- Modes and CPUs ----------------------------------------------------------------------- */

void select_mode(int argc, char *const argv[])
{
    const char *name = argc > 1 ? argv[1] : "";
    struct rig r;
    size_t bytes;

    mode_is_fallback = strcmp(name, "fallback") == 0;
    if (strcmp(name, "rseq") == 0)
        mode = QUIRE_CACHE_RSEQ;
    else if (strcmp(name, "exchange") == 0)
        mode = QUIRE_CACHE_EXCHANGE;
    else if (strcmp(name, "local") == 0)
        mode = QUIRE_CACHE_LOCAL;
    else if (mode_is_fallback)
        mode = QUIRE_CACHE_AUTO;
    else
        die("%s: the first argument is the mode: exchange, rseq, local or fallback", argv[0]);
    rig_begin(&r, BLOCK);
    must(quire_zone_metadata_size(&r.zone_config, &bytes), "metadata_size");
    r.metadata = rubbish(QUIRE_METADATA_ALIGN, bytes);
    must(quire_zone_init(&r.zone, &r.zone_config, r.metadata, bytes), "zone_init");
    if (quire_cache_size(&r.cache_config, &bytes) == QUIRE_ERR_UNSUPPORTED)
        skip_all("restartable sequences do not work here: not registered by the C library "
                 "(GLIBC_TUNABLES?), not built in (ThreadSanitizer?), or no membarrier");
    free(r.metadata);
}

static bool simulated(void)
{
    return mode != QUIRE_CACHE_RSEQ;
}

/* The first few of the CPUs that the process was allowed when it started; from then on it keeps to
 * them: the caches of many more would be too large for the tests' zones. */
static const cpu_set_t *allowed(void)
{
    static cpu_set_t set;

    if (CPU_COUNT(&set) > 0)
        return &set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        die("sched_getaffinity");
    for (int cpu = CPU_SETSIZE - 1; CPU_COUNT(&set) > MOST_CPUS; cpu--)
        CPU_CLR((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        die("sched_setaffinity");
    return &set;
}

uint32_t cpu_count(void)
{
    return simulated() ? (uint32_t)MOST_CPUS : (uint32_t)CPU_COUNT(allowed());
}

uint32_t cpus_allowed(void)
{
    return (uint32_t)CPU_COUNT(allowed());
}

bool cpu_is_allowed(uint32_t cpu)
{
    return CPU_ISSET(cpu, allowed());
}

uint32_t cpu_allowed(uint32_t i)
{
    for (uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, allowed()) && i-- == 0)
            return cpu;
    die("there is no CPU number %" PRIu32, i);
}

uint32_t cpu_name(uint32_t i)
{
    return simulated() ? i : cpu_allowed(i);
}

void keep_to(uint32_t cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        die("cannot run on CPU %" PRIu32, cpu);
}

void run_on(struct rig *r, uint32_t i)
{
    r->cpu = cpu_name(i);
    if (!simulated())
        keep_to(r->cpu);
}

void stay_here(void)
{
    int cpu = sched_getcpu();

    keep_to((uint32_t)cpu);
}

/* ---- The port ----------------------------------------------------------------------------- */

static uint32_t tell_cpu(void *ctx)
{
    const struct rig *r = ctx;

    return r->cpu_now ? r->cpu_now() : r->cpu;
}

/* The other CPU is asleep, and woken. */
static bool play_answer(void *ctx, uint32_t cpu)
{
    struct rig *r = ctx;
    uint32_t before;

    (void)__atomic_fetch_add(&r->asks, 1, __ATOMIC_RELAXED);
    if (r->ask)
        return r->ask(cpu);
    before = r->cpu;
    r->cpu = cpu;
    quire_cache_answer(&r->cache);
    r->cpu = before;
    return true;
}

/* ---- Rigs --------------------------------------------------------------------------------- */

void rig_begin(struct rig *r, uint64_t frames)
{
    uint32_t cpus = MOST_CPUS;

    memset(r, 0, sizeof *r);
    if (!simulated())
        for (uint32_t i = 0; i < cpu_count(); i++)
            cpus = cpu_name(i) >= cpus ? cpu_name(i) + 1 : cpus;
    r->usable[0] = (struct quire_run){quire_pfn_of(FIRST_PFN), frames};
    r->zone_config = (struct quire_zone_config){.type = QUIRE_ZONE_NORMAL,
                                                .slots = cpus > ZONE_SLOTS ? cpus : ZONE_SLOTS,
                                                .usable = r->usable,
                                                .usable_count = 1,
                                                .port = counting_port(&r->heard)};
    r->zone_config.port.cpu = tell_cpu;
    r->zone_config.port.ask_drain = play_answer;
    r->cache_config = (struct quire_cache_config){.zone = &r->zone,
                                                  .mode = mode,
                                                  .cpus = cpus,
                                                  .rounds = QUIRE_CACHE_SIZE_AUTO,
                                                  .run_rounds = QUIRE_CACHE_SIZE_AUTO,
                                                  .large_rounds = QUIRE_CACHE_SIZE_AUTO,
                                                  .huge_rounds = QUIRE_CACHE_SIZE_AUTO,
                                                  .depot = QUIRE_CACHE_SIZE_AUTO};
}

void rig_open(struct rig *r)
{
    size_t bytes;

    must(quire_zone_metadata_size(&r->zone_config, &bytes), "metadata_size");
    r->metadata = rubbish(QUIRE_METADATA_ALIGN, bytes);
    must(quire_zone_init(&r->zone, &r->zone_config, r->metadata, bytes), "zone_init");
    must(quire_cache_size(&r->cache_config, &bytes), "cache_size");
    r->memory = rubbish(64, bytes);
    must(quire_cache_init(&r->cache, &r->cache_config, r->memory, bytes), "cache_init");
    if (mode_is_fallback && r->cache.mode != QUIRE_CACHE_EXCHANGE)
        die("the cache did not fall back to exchange");
    if (!mode_is_fallback && r->cache.mode != (uint32_t)mode)
        die("the cache is in mode %" PRIu32 " instead of %d", r->cache.mode, (int)mode);
}

void rig_close(struct rig *r, uint64_t used)
{
    check_rest(r, used);
    must(quire_cache_drain_all(&r->cache), "drain_all");
    if (cached_frames(r) != 0)
        die("%" PRIu64 " frames are still cached after drain_all", cached_frames(r));
    check_rest(r, used);
    free(r->memory);
    free(r->metadata);
}

/* ---- Checks ------------------------------------------------------------------------------- */

uint64_t cached_frames(const struct rig *r)
{
    struct quire_cache_stats stats;
    uint64_t n = 0;

    must(quire_cache_stats(&r->cache, &stats), "cache_stats");
    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++)
        n += stats.cached[i] + stats.depot[i];
    return n;
}

/* A round of a CPU cache: allocated as far as the zone knows, in reach, and not seen before. */
static void check_round(const struct rig *r, unsigned cls, quire_pfn pfn, unsigned char *seen)
{
    enum quire_frame_state state;
    uint64_t i = pfn.n - r->usable[0].pfn.n;

    if (quire_zone_frame_state(&r->zone, pfn, &state) != QUIRE_OK || state != QUIRE_FRAME_USED)
        die("frame 0x%" PRIx64 " is cached and not allocated in the zone", pfn.n);
    if (pfn.n % frames_per_round(cls) != 0)
        die("frame 0x%" PRIx64 " is in a CPU cache of order %u", pfn.n, class_order(cls));
    for (uint64_t n = 0; n < frames_per_round(cls) && r->zone_config.usable_count == 1; n++)
        if (seen[i + n]++)
            die("frame 0x%" PRIx64 " is in two CPU caches", pfn.n + n);
}

static void check_cpu_cache(const struct rig *r, uint32_t cpu, unsigned cls, unsigned char *seen)
{
    struct cpu_cache *k = cpu_cache_of(&r->cache, cpu, cls);
    uint32_t count = cpu_cache_count(k), out = qa_load(&k->out, relaxed);

    if (qa_load(&k->present, relaxed) != 1 || qa_load(&k->detached, relaxed) != 0)
        die("CPU %" PRIu32 ", class %u: taken at rest (K1, K3)", cpu, cls);
    if (count > r->cache.capacity[cls] || out > r->cache.capacity[cls] / 2)
        die("CPU %" PRIu32 ", class %u: %" PRIu32 " and %" PRIu32 " rounds (K4)", cpu, cls, count,
            out);
    if (qa_load(&k->limit, relaxed) !=
        (qa_load(&r->cache.state->short_of_memory, relaxed) ? 0 : r->cache.capacity[cls]))
        die("CPU %" PRIu32 ", class %u: wrong limit (K5)", cpu, cls);
    for (uint32_t i = 0; i < count; i++)
        check_round(r, cls, k->rounds[i], seen);
    for (uint32_t i = 0; i < out; i++)
        check_round(r, cls, outgoing_rounds(k)[i], seen);
}

void check_rest(const struct rig *r, uint64_t used)
{
    uint64_t cached = cached_frames(r), managed = quire_zone_managed(&r->zone);
    uint64_t free_frames = quire_zone_free_frames(&r->zone);
    unsigned char *seen = calloc(r->usable[0].frames, 1);
    struct quire_fault v;

    if (!seen)
        die("no heap");
    for (uint32_t cpu = 0; cpu < r->cache.cpus; cpu++)
        for (unsigned cls = 0; cls < QUIRE_CACHE_CLASSES; cls++)
            check_cpu_cache(r, cpu, cls, seen);
    free(seen);
    if (cached > quire_cache_bound(&r->cache))
        die("%" PRIu64 " frames cached, the bound is %" PRIu64, cached,
            quire_cache_bound(&r->cache));
    if (free_frames + cached + used != managed)
        die("%" PRIu64 " free + %" PRIu64 " cached + %" PRIu64 " used, not %" PRIu64 " managed",
            free_frames, cached, used, managed);
    if (quire_zone_check(&r->zone, &v) != QUIRE_OK)
        die("quire_zone_check: %s at 0x%" PRIx64 ": expected %" PRIu64 ", found %" PRIu64, v.what,
            v.where, v.expected, v.found);
}
