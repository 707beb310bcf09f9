/* SPDX-License-Identifier: MIT
 *
 * test_simple.c - quire_simple: with and without caches, its errors, and that an error leaves all
 * as it was.
 */
#include "stress/common/assert.h"

#include <quire/simple.h>

#include <stdlib.h>
#include <string.h>

enum { FRAMES = 8192, CPUS = 3 };

static unsigned char *memory;
static uint64_t base = 1000; /* the first frame of `memory` */
static uint32_t cpu_now;
static unsigned maps_left;

static void *map(void *ctx, uint64_t phys, size_t bytes)
{
    uint64_t at = phys - base * QUIRE_FRAME_SIZE;

    assert_ptr_equal(ctx, &cpu_now);
    assert_true(at + bytes <= (uint64_t)FRAMES * QUIRE_FRAME_SIZE);
    if (maps_left-- == 0)
        return NULL;
    return memory + at;
}

static uint32_t tell_cpu(void *ctx)
{
    return *(uint32_t *)ctx;
}

static struct quire_simple_config config_of(struct quire_run runs[3], uint32_t cpus)
{
    struct quire_simple_config config = {.runs = runs,
                                         .run_count = 3,
                                         .cpus = cpus,
                                         .map = map,
                                         .port = {.ctx = &cpu_now, .cpu = tell_cpu}};

    runs[0] = (struct quire_run){quire_pfn_of(base), 10};
    runs[1] = (struct quire_run){quire_pfn_of(base + 100), 7000};
    runs[2] = (struct quire_run){quire_pfn_of(base + 7500), FRAMES - 7500};
    memset(memory, 0xa5, (size_t)FRAMES * QUIRE_FRAME_SIZE);
    maps_left = 2;
    cpu_now = 0;
    return config;
}

static void begin(void)
{
    memory = aligned_alloc(QUIRE_METADATA_ALIGN, (size_t)FRAMES * QUIRE_FRAME_SIZE);
    assert_non_null(memory);
}

/* All frames of the runs but the metadata's and the caches' are to be had, by any CPU. */
static void all_frames(void **unused)
{
    static quire_pfn pfns[FRAMES];

    (void)unused;
    begin();
    for (uint32_t cpus = 0; cpus <= CPUS; cpus += CPUS) {
        struct quire_simple simple = {0};
        struct quire_run runs[3];
        struct quire_simple_config config = config_of(runs, cpus);
        size_t n = 0;

        assert_int_equal(quire_simple_init(&simple, &config), QUIRE_OK);
        assert_int_equal(simple.cache.zone != NULL, cpus > 0);
        assert_int_equal(runs[0].frames + runs[2].frames, 10 + FRAMES - 7500);
        assert_int_equal(quire_zone_managed(&simple.zone),
                         runs[0].frames + runs[1].frames + runs[2].frames);
        while (quire_simple_alloc(&simple, 0, 0, &pfns[n]) == QUIRE_OK) {
            memset(memory + (pfns[n].n - base) * QUIRE_FRAME_SIZE, 0, QUIRE_FRAME_SIZE);
            n++;
            cpu_now = (uint32_t)n % (CPUS + 1); /* one of which has no cache */
        }
        assert_in_range(n, 10 + 7000 + FRAMES - 7500 - 80, 10 + 7000 + FRAMES - 7500 - 1);
        while (n > 0) {
            assert_int_equal(quire_simple_free(&simple, pfns[--n], 0), QUIRE_OK);
            cpu_now = (uint32_t)n % (CPUS + 1);
        }
        assert_int_equal(quire_simple_init(&simple, &config), QUIRE_ERR_INITIALISED);
        if (cpus)
            assert_int_equal(quire_cache_drain_all(&simple.cache), QUIRE_OK);
        assert_int_equal(quire_zone_check(&simple.zone, NULL), QUIRE_OK);
    }
    free(memory);
}

static void errors(void **unused)
{
    struct quire_simple simple = {0};
    const struct quire_simple nothing = {0};
    struct quire_simple_config config;
    struct quire_run runs[3], before[3];

    (void)unused;
    begin();
    for (unsigned left = 0; left < 2; left++) {
        config = config_of(runs, CPUS);
        memcpy(before, runs, sizeof runs);
        maps_left = left;
        assert_int_equal(quire_simple_init(&simple, &config), QUIRE_ERR_NO_MEMORY);
        assert_memory_equal(before, runs, sizeof runs);
        assert_memory_equal(&simple, &nothing, sizeof simple);
    }
    config = config_of(runs, 0);
    config.run_count = 1;
    runs[0].frames = 3; /* not even the metadata fits */
    assert_int_equal(quire_simple_init(&simple, &config), QUIRE_ERR_NO_MEMORY);
    assert_int_equal(runs[0].frames, 3);
    config.run_count = 0;
    assert_int_equal(quire_simple_init(&simple, &config), QUIRE_ERR_SIZE);
    config = config_of(runs, QUIRE_ZONE_MAX_SLOTS + 1);
    assert_int_equal(quire_simple_init(&simple, &config), QUIRE_ERR_SIZE);
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_frames), cmocka_unit_test(errors)};

    return cmocka_run_group_tests_name("simple", tests, NULL, NULL);
}
