/* SPDX-License-Identifier: MIT
 *
 * test_build.c - sizes, bounds, modes and errors of building a cache.
 */
#include "unit.h"

#include "percpu/cpu_cache.h"

#include <stdlib.h>
#include <string.h>

/* Metadata for r's zone, so that caches can be sized; no cache yet. */
static void open_zone_only(struct rig *r)
{
    size_t bytes;

    assert_ok(quire_zone_metadata_size(&r->zone_config, &bytes));
    r->metadata = aligned_alloc(QUIRE_METADATA_ALIGN, (bytes + 4095) / 4096 * 4096);
    assert_non_null(r->metadata);
    assert_ok(quire_zone_init(&r->zone, &r->zone_config, r->metadata, bytes));
}

static int size_with(const struct rig *r, uint32_t rounds, uint32_t huge, uint32_t depot)
{
    struct quire_cache_config f = r->cache_config;
    size_t bytes = 0;

    f.rounds = rounds;
    f.huge_rounds = huge;
    f.depot = depot;
    return quire_cache_size(&f, &bytes);
}

static void sizes_out_of_range(void **unused)
{
    struct quire_cache_config f;
    struct rig r;
    size_t bytes;

    (void)unused;
    rig_begin(&r, 1 << 18);
    open_zone_only(&r);
    f = r.cache_config;
    f.cpus = 0;
    assert_int_equal(quire_cache_size(&f, &bytes), QUIRE_ERR_SIZE);
    f.cpus = 1u << 31;
    assert_int_equal(quire_cache_size(&f, &bytes), QUIRE_ERR_SIZE);
    f.cpus = r.zone_config.slots + 1;
    assert_ok(quire_cache_size(&f, &bytes));
    f.first_cpu = 1u << 31;
    assert_int_equal(quire_cache_size(&f, &bytes), QUIRE_ERR_SIZE);
    f = r.cache_config;
    f.mode = (enum quire_cache_mode)(QUIRE_CACHE_LOCAL + 1);
    assert_int_equal(quire_cache_size(&f, &bytes), QUIRE_ERR_SIZE);
    assert_int_equal(size_with(&r, 63, 0, 0), QUIRE_ERR_SIZE);
    assert_int_equal(size_with(&r, QUIRE_CACHE_MAX_ROUNDS + 2, 0, 0), QUIRE_ERR_SIZE);
    assert_int_equal(size_with(&r, 64, QUIRE_CACHE_MAX_ROUNDS + 2, 0), QUIRE_ERR_SIZE);
    assert_int_equal(size_with(&r, 64, 3, 0), QUIRE_ERR_SIZE);
    r.cache_config.run_rounds = 15;
    assert_int_equal(size_with(&r, 64, 0, 0), QUIRE_ERR_SIZE);
    r.cache_config.run_rounds = QUIRE_CACHE_MAX_ROUNDS + 2;
    assert_int_equal(size_with(&r, 64, 0, 0), QUIRE_ERR_SIZE);
    r.cache_config.run_rounds = QUIRE_CACHE_MAX_ROUNDS;
    assert_ok(size_with(&r, 64, 0, 0));
    r.cache_config.run_rounds = 0;
    r.cache_config.large_rounds = 15;
    assert_int_equal(size_with(&r, 64, 0, 0), QUIRE_ERR_SIZE);
    r.cache_config.large_rounds = QUIRE_CACHE_MAX_ROUNDS + 2;
    assert_int_equal(size_with(&r, 64, 0, 0), QUIRE_ERR_SIZE);
    r.cache_config.large_rounds = 128;
    assert_ok(size_with(&r, 64, 0, 0));
    r.cache_config.large_rounds = QUIRE_CACHE_SIZE_AUTO;
    r.cache_config.run_rounds = QUIRE_CACHE_MAX_ROUNDS;
    assert_int_equal(size_with(&r, 64, 0, 1u << 20), QUIRE_ERR_SIZE);
    assert_ok(size_with(&r, QUIRE_CACHE_MAX_ROUNDS, 2, 7));
    assert_ok(size_with(&r, 2, 0, 0));
    free(r.metadata);
}

static void memory_that_does_not_do(void **unused)
{
    struct rig r;
    unsigned char *memory;
    size_t bytes;

    (void)unused;
    rig_begin(&r, 1 << 18);
    open_zone_only(&r);
    assert_ok(quire_cache_size(&r.cache_config, &bytes));
    memory = aligned_alloc(64, (bytes + 127) / 64 * 64);
    assert_non_null(memory);
    assert_int_equal(quire_cache_init(&r.cache, &r.cache_config, memory + 8, bytes),
                     QUIRE_ERR_ALIGN);
    assert_int_equal(quire_cache_init(&r.cache, &r.cache_config, memory, bytes - 1),
                     QUIRE_ERR_SIZE);
    assert_ok(quire_cache_init(&r.cache, &r.cache_config, memory, bytes));
    assert_int_equal(quire_cache_init(&r.cache, &r.cache_config, memory, bytes),
                     QUIRE_ERR_INITIALISED);
    free(memory);
    free(r.metadata);
}

/* Automatic sizes: at most an eighth of the zone may be cached, whatever the number of CPUs, and a
 * zone for which eight rounds are too many has none. Either way everything works. */
static void automatic_bounds(void **unused)
{
    static const uint64_t sizes[] = {1, 8, 200, 511, 1000, 2000, 5000, 20000, 1 << 16, 1 << 20};

    (void)unused;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct rig r;
        uint64_t pfn;

        rig_begin(&r, sizes[i]);
        rig_open(&r);
        assert_true(quire_cache_bound(&r.cache) <= sizes[i] / 8);
        assert_true(r.cache.capacity[CACHE_UNMOVABLE] == 0 ||
                    r.cache.capacity[CACHE_UNMOVABLE] >= 8);
        if (sizes[i] <= 200)
            assert_int_equal(quire_cache_bound(&r.cache), 0);
        if (sizes[i] == 1 << 20) {
            assert_int_equal(r.cache.capacity[CACHE_UNMOVABLE], 128);
            assert_int_equal(r.cache.capacity[CACHE_MOVABLE], 128);
            assert_int_equal(r.cache.capacity[CACHE_RUNS], 64);
            assert_int_equal(r.cache.capacity[CACHE_LARGE], 16);
            assert_int_equal(r.cache.capacity[CACHE_HUGE], 4);
            for (unsigned order = 4; order < HUGE_ORDER; order++)
                for (unsigned movable = 0; movable < 2; movable++)
                    assert_int_equal(r.cache.capacity[cache_class_of(order, movable)],
                                     order < 8 ? 256 >> order : 2);
        }
        run_on(&r, 0);
        pfn = take(&r, 0, 0);
        assert_in_range(pfn, 2 * BLOCK, 2 * BLOCK + sizes[i] - 1);
        give(&r, pfn, 0);
        rig_close(&r, 0);
    }
}

/* The magazines of orders 4 to 8 take what the others leave of an eighth of the zone: with them no
 * other gets smaller. Less memory, fewer rounds, the longest runs going first. */
static void large_take_what_is_left(void **unused)
{
    uint32_t before[QUIRE_CACHE_CLASSES];

    (void)unused;
    memset(before, 0xff, sizeof before);
    for (uint64_t frames = 1 << 20; frames > 0; frames /= 2) {
        struct quire_cache without = {0};
        struct quire_cache_config f;
        struct rig r;
        size_t bytes;
        void *memory;

        rig_begin(&r, frames);
        rig_open(&r);
        f = r.cache_config;
        f.large_rounds = 0;
        assert_ok(quire_cache_size(&f, &bytes));
        memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
        assert_non_null(memory);
        assert_ok(quire_cache_init(&without, &f, memory, bytes));
        for (unsigned cls = 0; cls < QUIRE_CACHE_CLASSES; cls++) {
            uint32_t rounds = r.cache.capacity[cls];

            if (class_order(cls) > FIRST_LARGE_ORDER && cls < CACHE_HUGE) {
                assert_int_equal(without.capacity[cls], 0);
                assert_true(rounds <= before[cls] || before[cls] == 0);
                if (class_order(cls) > FIRST_LARGE_ORDER + 1)
                    assert_true(rounds <= r.cache.capacity[cls - 2]);
            } else {
                assert_int_equal(rounds, without.capacity[cls]);
            }
            before[cls] = rounds;
        }
        assert_true(quire_cache_bound(&r.cache) <= frames / 8);
        free(memory);
        rig_close(&r, 0);
    }
}

/* Sizes asked for by number may come to half of the zone and not to a frame more; they are never
 * made smaller. The automatic ones beside them are. */
static void largest_share(void **unused)
{
    /* rounds of both mobilities, a block or none, half magazines in the depot */
    static const uint32_t sizes[][3] = {{64, 0, 0}, {64, 0, 5}, {0, 2, 0}, {2, 4, 1}};

    (void)unused;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int lacking = 0; lacking <= 1; lacking++) {
            uint64_t rounds = sizes[i][0], huge = sizes[i][1], depot = sizes[i][2], most;
            struct rig r;

            rig_begin(&r, BLOCK);
            most = r.cache_config.cpus * (2 * rounds + huge * BLOCK) * 3 / 2 + depot * rounds / 2;
            r.usable[0].frames = 2 * most - (uint64_t)lacking;
            open_zone_only(&r);
            assert_int_equal(size_with(&r, sizes[i][0], sizes[i][1], sizes[i][2]),
                             lacking ? QUIRE_ERR_SIZE : QUIRE_OK);
            free(r.metadata);
            r.metadata = NULL;
            if (!lacking) {
                memset(&r.zone, 0, sizeof r.zone);
                r.cache_config.rounds = sizes[i][0];
                r.cache_config.huge_rounds = sizes[i][1];
                r.cache_config.depot = sizes[i][2];
                rig_open(&r);
                assert_int_equal(quire_cache_bound(&r.cache), most);
                assert_int_equal(r.cache.capacity[CACHE_MOVABLE], rounds);
                assert_int_equal(r.cache.capacity[CACHE_HUGE], huge);
                rig_close(&r, 0);
            }
        }
}

/* No frame, no block, no depot: a cache that is not there. */
static void none(void **unused)
{
    struct rig r;
    uint64_t pfn, block;

    (void)unused;
    rig_begin(&r, 4 * BLOCK);
    r.cache_config.rounds = r.cache_config.run_rounds = 0;
    r.cache_config.large_rounds = r.cache_config.huge_rounds = r.cache_config.depot = 0;
    rig_open(&r);
    assert_int_equal(quire_cache_bound(&r.cache), 0);
    run_on(&r, 0);
    pfn = take(&r, 0, QUIRE_MOVABLE);
    block = take(&r, 9, 0);
    check_rest(&r, BLOCK + 1);
    give(&r, block, 9);
    give(&r, pfn, 0);
    assert_int_equal(cached_frames(&r), 0);
    rig_close(&r, 0);
}

/* The bound is real: whatever is allocated and freed on every CPU, check_rest holds, and the bound
 * is reached within a CPU cache, so it is not merely a large number. */
static void bound_is_real(void **unused)
{
    enum { FRAMES = 64 * BLOCK };
    static uint64_t pfns[FRAMES];
    uint64_t most = 0, runs;
    struct rig r;

    (void)unused;
    rig_begin(&r, FRAMES);
    r.cache_config.rounds = 64;
    r.cache_config.run_rounds = 16;
    r.cache_config.large_rounds = 6;
    r.cache_config.huge_rounds = 2;
    r.cache_config.depot = 3;
    rig_open(&r);
    runs = 2 * (16 + 8) * 2 + 2 * (8 + 4) * 4 + (4 + 2) * 8;
    runs += (6 + 3) * 16 + (4 + 2) * 32 + (2 + 1) * 64;
    assert_int_equal(quire_cache_bound(&r.cache),
                     r.cache.cpus * (2 * (64 + 32) + runs + 3 * BLOCK) + 3 * 32);
    for (uint32_t cpu = 0; cpu < cpu_count(); cpu++) {
        run_on(&r, cpu);
        for (uint32_t flags = 0; flags <= QUIRE_MOVABLE; flags++) {
            take_many(&r, flags, 4000, pfns);
            for (size_t i = 0; i < 4000; i++) {
                give(&r, pfns[i], 0);
                if (i % 500 == 0)
                    check_rest(&r, 4000 - i - 1);
            }
        }
        most = cached_frames(&r) > most ? cached_frames(&r) : most;
    }
    check_rest(&r, 0);
    assert_true(most >= 2 * 64);
    rig_close(&r, 0);
}

/* A node of the depot is as large as half a magazine of frames: longer halves stay out of it. */
static void node_is_large_enough(void **unused)
{
    static const uint32_t run_rounds[] = {32, 34, 64, 256};

    (void)unused;
    for (size_t i = 0; i < sizeof run_rounds / sizeof run_rounds[0]; i++)
        for (unsigned order = 1; order <= 3; order++) {
            enum cache_class cls = cache_class_of(order, 0);
            uint64_t pfns[1000];
            size_t n = 2000 >> order;
            struct rig r;

            rig_begin(&r, 64 * BLOCK);
            r.cache_config.rounds = 64;
            r.cache_config.run_rounds = run_rounds[i];
            r.cache_config.large_rounds = r.cache_config.huge_rounds = 0;
            r.cache_config.depot = 4;
            r.cache_config.cpus = 1; /* so that all four are its */
            r.cache_config.first_cpu = cpu_name(0);
            rig_open(&r);
            run_on(&r, 0);
            for (size_t k = 0; k < n; k++)
                pfns[k] = take(&r, order, 0);
            for (size_t k = 0; k < n; k++)
                give(&r, pfns[k], order);
            assert_true(stats_of(&r).overflows > 0);
            if (r.cache.capacity[cls] << order <= 64)
                assert_int_equal(stats_of(&r).depot[cls], 4ull * (r.cache.capacity[cls] / 2)
                                                              << order);
            else
                assert_int_equal(stats_of(&r).depot[cls], 0);
            rig_close(&r, 0);
        }
}

/* Without a port's `cpu` there is no CPU cache to be found in exchange mode: all goes to the zone.
 */
static void port_without_cpu(void **unused)
{
    struct rig r;
    uint64_t pfn;

    (void)unused;
    rig_begin(&r, 64 * BLOCK);
    r.zone_config.port.cpu = NULL;
    rig_open(&r);
    run_on(&r, 0);
    pfn = take(&r, 0, 0);
    check_rest(&r, 1);
    if (mode != QUIRE_CACHE_RSEQ)
        assert_int_equal(cached_frames(&r), 0);
    give(&r, pfn, 0);
    assert_true((cached_frames(&r) > 0) == (mode == QUIRE_CACHE_RSEQ));
    rig_close(&r, 0);
}

/* A CPU without CPU caches, say one that appeared late: its calls go to the zone. */
static void cpu_without_cpu_caches(void **unused)
{
    struct rig r;
    uint64_t pfn;

    (void)unused;
    if (cpu_count() < 2 || cpu_name(1) == 0) {
        print_message("one CPU only: no second one that could lack CPU caches\n");
        skip();
    }
    rig_begin(&r, 64 * BLOCK);
    r.cache_config.cpus = cpu_name(1);
    rig_open(&r);
    run_on(&r, 1);
    pfn = take(&r, 0, 0);
    give(&r, pfn, 0);
    assert_int_equal(cached_frames(&r), 0);
    assert_int_equal(quire_cache_drain(&r.cache, cpu_name(1)), QUIRE_ERR_SIZE);
    assert_int_equal(quire_cache_retire_cpu(&r.cache, cpu_name(1)), QUIRE_ERR_SIZE);
    r.cpu = UINT32_MAX;
    pfn = take(&r, 9, QUIRE_ZEROED);
    give(&r, pfn, 9);
    rig_close(&r, 0);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_out_of_range), cmocka_unit_test(memory_that_does_not_do),
        cmocka_unit_test(automatic_bounds),   cmocka_unit_test(large_take_what_is_left),
        cmocka_unit_test(largest_share),      cmocka_unit_test(none),
        cmocka_unit_test(bound_is_real),      cmocka_unit_test(node_is_large_enough),
        cmocka_unit_test(port_without_cpu),   cmocka_unit_test(cpu_without_cpu_caches),
    };

    return run_unit(argc, argv, tests);
}
