/* SPDX-License-Identifier: MIT
 *
 * test_owners.c - owners of frames: kinds and their counts, records, reports, ranges.
 */
#include "rig.h"
#include "stress/common/assert.h"

#include <stdlib.h>
#include <string.h>

enum { HOLDERS = 8, CPUS = RIG_NODES * RIG_CPUS };

static struct rig rig;
static struct quire_owners owners;
static void *memory;
static size_t bytes;
static uint64_t now;

static uint64_t tell_time(void *ctx)
{
    (void)ctx;
    return now;
}

static uint32_t tell_cpu(void *ctx)
{
    (void)ctx;
    return rig_cpu;
}

static struct quire_owners_config config_of(bool tracks)
{
    return (struct quire_owners_config){.machine = rig.bringup.machine,
                                        .first = {0},
                                        .frames = RIG_MEMORY / QUIRE_FRAME_SIZE,
                                        .cpus = CPUS,
                                        .tracks = tracks,
                                        .cpu = tell_cpu,
                                        .clock = tell_time};
}

static void open_with(bool tracks)
{
    struct quire_owners_config config;

    rig_machine(&rig);
    config = config_of(tracks);
    assert_ok(quire_owners_size(&config, &bytes));
    memory = aligned_alloc(64, bytes);
    memset(&owners, 0, sizeof owners);
    assert_ok(quire_owners_init(&owners, &config, memory, bytes));
    now = 0;
}

static void end(void)
{
    for (unsigned kind = 0; kind < QUIRE_KINDS; kind++) {
        uint64_t frames;

        assert_ok(quire_owners_count(&owners, (enum quire_kind)kind, &frames));
        assert_int_equal(frames, 0);
    }
    assert_int_equal(rig_free_frames(&rig), rig.free_start);
    quire_machine_fini(rig.bringup.machine);
    free(memory);
    free(rig.memory);
}

static quire_pfn take(unsigned order, enum quire_kind kind)
{
    struct quire_request request = quire_request_of(order, 0);
    quire_pfn pfn = {0};

    assert_ok(quire_owners_request(&owners, &request, kind, 0, &pfn, NULL));
    return pfn;
}

static void give(quire_pfn pfn, unsigned order)
{
    assert_ok(quire_owners_free(&owners, pfn, order));
}

static uint64_t count(enum quire_kind kind)
{
    uint64_t frames = 0;

    assert_ok(quire_owners_count(&owners, kind, &frames));
    return frames;
}

static void kinds_are_counted(void **state)
{
    quire_pfn a, b, c, d;

    (void)state;
    open_with(false);
    a = take(0, QUIRE_KIND_TABLE);
    b = take(3, QUIRE_KIND_SLAB);
    c = take(9, QUIRE_KIND_USER);
    d = take(0, QUIRE_KIND_NONE);
    assert_int_equal(count(QUIRE_KIND_TABLE), 1);
    assert_int_equal(count(QUIRE_KIND_SLAB), 8);
    assert_int_equal(count(QUIRE_KIND_USER), 512);
    assert_int_equal(count(QUIRE_KIND_NONE), 0);
    rig_cpu = 3; /* another CPU frees it */
    give(b, 3);
    assert_int_equal(count(QUIRE_KIND_SLAB), 0);
    give(a, 0);
    give(c, 9);
    give(d, 0);
    end();
}

/* A free that is refused leaves the owner. */
static void bad_frees_change_nothing(void **state)
{
    struct quire_holder table[HOLDERS];
    struct quire_holders holders = {.table = table, .size = HOLDERS, .tag = QUIRE_ANY_TAG};
    struct quire_run all = {{0}, UINT64_MAX};
    quire_pfn a;

    (void)state;
    open_with(true);
    a = take(3, QUIRE_KIND_BUFFER);
    assert_error(quire_owners_free(&owners, a, 2), QUIRE_ERR_ORDER);
    assert_error(quire_owners_free(&owners, quire_pfn_of(a.n + 1), 0), QUIRE_ERR_ORDER);
    assert_int_equal(count(QUIRE_KIND_BUFFER), 8);
    assert_ok(quire_owners_walk(&owners, all, quire_holders_add, &holders));
    assert_int_equal(holders.count, 1);
    assert_true(quire_owners_free(&owners, quire_pfn_of(UINT32_MAX), 0) != 0);
    give(a, 3);
    assert_error(quire_owners_free(&owners, a, 3), QUIRE_ERR_DOUBLE_FREE);
    end();
}

struct seen {
    uint64_t pfn, frames, since;
    uint32_t kind;
    unsigned count;
};

static int see(void *ctx, const struct quire_holding *holding)
{
    struct seen *seen = ctx;

    if (seen->count++ == 0) {
        seen->pfn = holding->pfn.n;
        seen->frames = holding->bytes / QUIRE_FRAME_SIZE;
        seen->since = holding->since;
        seen->kind = holding->tag;
    }
    return seen->count == 3 ? 9 : 0;
}

/* Who keeps this block from becoming whole? */
static void owners_of_a_block(void **state)
{
    struct seen seen = {.count = 0};
    struct quire_run block = {{0}, 512};
    quire_pfn a, big;

    (void)state;
    open_with(true);
    now = 77;
    big = take(10, QUIRE_KIND_USER);
    block.pfn.n = big.n + 512;
    assert_ok(quire_owners_walk(&owners, block, see, &seen)); /* it reaches into the block */
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.pfn, big.n);
    assert_int_equal(seen.frames, 1024);
    give(big, 10);
    seen.count = 0;
    a = take(1, QUIRE_KIND_PAGE_CACHE);
    block.pfn.n = a.n & ~(uint64_t)511;
    assert_ok(quire_owners_walk(&owners, block, see, &seen));
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.kind, QUIRE_KIND_PAGE_CACHE);
    assert_int_equal(seen.since, 77);
    assert_int_equal(seen.frames, 2);
    block.pfn.n = UINT64_MAX - 3;
    seen.count = 0;
    assert_ok(quire_owners_walk(&owners, block, see, &seen));
    assert_int_equal(seen.count, 0);
    give(a, 1);
    end();
}

__attribute__((noinline)) static quire_pfn site_of_others(unsigned order)
{
    quire_pfn pfn = take(order, QUIRE_KIND_KERNEL);

    return pfn;
}

static void holders_by_caller(void **state)
{
    struct quire_holder table[HOLDERS];
    struct quire_holders holders = {.table = table, .size = HOLDERS, .tag = QUIRE_ANY_TAG};
    struct quire_request request = quire_request_of(2, 0);
    struct quire_run all = {{0}, UINT64_MAX};
    struct seen seen = {.count = 0};
    quire_pfn a, b, c;

    (void)state;
    open_with(true);
    a = site_of_others(0);
    b = site_of_others(0);
    assert_ok(quire_owners_request(&owners, &request, QUIRE_KIND_BUFFER, 1234, &c, NULL));
    assert_ok(quire_owners_walk(&owners, all, quire_holders_add, &holders));
    quire_holders_sort(&holders);
    assert_int_equal(holders.count, 2);
    assert_int_equal(table[0].caller, 1234);
    assert_int_equal(table[0].bytes, 4 * QUIRE_FRAME_SIZE);
    assert_int_equal(table[1].holdings, 2);
    assert_int_equal(quire_owners_walk(&owners, all, see, &seen), 9);
    give(a, 0);
    give(b, 0);
    give(c, 2);
    end();
}

static void off_it_passes_on(void **state)
{
    struct quire_request request = quire_request_of(0, 0);
    struct quire_run all = {{0}, UINT64_MAX};
    quire_pfn pfn;
    uint64_t n;

    (void)state;
    rig_machine(&rig);
    memset(&owners, 0, sizeof owners);
    assert_error(quire_owners_request(&owners, &request, QUIRE_KIND_USER, 0, &pfn, NULL),
                 QUIRE_ERR_STATE);
    assert_error(quire_owners_free(&owners, quire_pfn_of(0), 0), QUIRE_ERR_STATE);
    quire_owners_pass(&owners, rig.bringup.machine);
    assert_error(
        quire_owners_request(&owners, &request, (enum quire_kind)QUIRE_KINDS, 0, &pfn, NULL),
        QUIRE_ERR_SIZE);
    assert_ok(quire_owners_request(&owners, &request, QUIRE_KIND_USER, 0, &pfn, NULL));
    assert_error(quire_owners_count(&owners, QUIRE_KIND_USER, &n), QUIRE_ERR_STATE);
    assert_error(quire_owners_walk(&owners, all, see, NULL), QUIRE_ERR_STATE);
    assert_ok(quire_owners_free(&owners, pfn, 0));
    assert_int_equal(rig_free_frames(&rig), rig.free_start);
    quire_machine_fini(rig.bringup.machine);
    free(rig.memory);
}

static void bad_configurations(void **state)
{
    struct quire_owners_config config;
    uint64_t frames;

    (void)state;
    open_with(true);
    config = config_of(true);
    assert_error(quire_owners_init(&owners, &config, memory, bytes), QUIRE_ERR_INITIALISED);
    assert_error(quire_owners_count(&owners, (enum quire_kind)QUIRE_KINDS, &frames),
                 QUIRE_ERR_SIZE);
    memset(&owners, 0, sizeof owners);
    assert_error(quire_owners_init(&owners, &config, memory, bytes - 1), QUIRE_ERR_SIZE);
    assert_error(quire_owners_init(&owners, &config, (char *)memory + 8, bytes), QUIRE_ERR_ALIGN);
    config.frames = 0;
    assert_error(quire_owners_size(&config, &bytes), QUIRE_ERR_SIZE);
    config.frames = 1;
    config.first.n = (uint64_t)1 << QUIRE_PFN_BITS;
    assert_error(quire_owners_init(&owners, &config, memory, bytes), QUIRE_ERR_SIZE);
    config = config_of(true);
    assert_ok(quire_owners_init(&owners, &config, memory, bytes));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_are_counted), cmocka_unit_test(bad_frees_change_nothing),
        cmocka_unit_test(owners_of_a_block), cmocka_unit_test(holders_by_caller),
        cmocka_unit_test(off_it_passes_on),  cmocka_unit_test(bad_configurations),
    };

    return cmocka_run_group_tests_name("heap_owners", tests, NULL, NULL);
}
