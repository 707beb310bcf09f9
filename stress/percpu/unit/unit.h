/* SPDX-License-Identifier: MIT
 *
 * unit.h - what the unit tests of the caches add to cache_rig.h: cmocka, and shorter calls.
 */
#ifndef QUIRE_STRESS_PERCPU_UNIT_H
#define QUIRE_STRESS_PERCPU_UNIT_H

#include "stress/common/assert.h"
#include "stress/percpu/cache_rig.h"

/* The CPU that a test begins on, and another one, if there is one. */
enum { HERE = 0 };

static inline uint32_t elsewhere(void)
{
    return cpu_count() > 1 ? 1 : HERE;
}

static inline uint64_t take(struct rig *r, unsigned order, uint32_t flags)
{
    quire_pfn pfn = {UINT64_MAX};

    assert_ok(quire_cache_alloc(&r->cache, order, flags, &pfn));
    return pfn.n;
}

static inline void give(struct rig *r, uint64_t pfn, unsigned order)
{
    assert_ok(quire_cache_free(&r->cache, quire_pfn_of(pfn), order));
}

/* Take n single frames. */
static inline void take_many(struct rig *r, uint32_t flags, size_t n, uint64_t pfns[])
{
    for (size_t i = 0; i < n; i++)
        pfns[i] = take(r, 0, flags);
}

static inline void give_many(struct rig *r, size_t n, const uint64_t pfns[])
{
    for (size_t i = 0; i < n; i++)
        give(r, pfns[i], 0);
}

static inline struct quire_cache_stats stats_of(const struct rig *r)
{
    struct quire_cache_stats stats;

    assert_ok(quire_cache_stats(&r->cache, &stats));
    return stats;
}

/* Frames in the depot. */
static inline uint64_t depot_of(const struct rig *r)
{
    struct quire_cache_stats stats = stats_of(r);
    uint64_t n = 0;

    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++)
        n += stats.depot[i];
    return n;
}

static inline enum quire_frame_state state_of(const struct rig *r, uint64_t pfn)
{
    enum quire_frame_state state;

    assert_ok(quire_zone_frame_state(&r->zone, quire_pfn_of(pfn), &state));
    return state;
}

/* Run the tests, an array, in the mode of the command line. */
#define run_unit(argc, argv, tests) \
    (select_mode((argc), (argv)), cmocka_run_group_tests_name((argv)[1], (tests), NULL, NULL))

#endif /* QUIRE_STRESS_PERCPU_UNIT_H */
