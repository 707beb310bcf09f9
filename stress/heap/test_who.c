/* SPDX-License-Identifier: MIT
 *
 * test_who.c - who holds what of a heap: tags and their quotas, the share, the reserve, figures,
 * owners, reports.
 */
#include "rig.h"
#include "stress/common/assert.h"

#include <stdlib.h>
#include <string.h>

enum { TAGS = 3, HOLDERS = 16 };

static struct rig rig;
static uint64_t now;

static uint64_t tell_time(void *ctx)
{
    (void)ctx;
    return now;
}

static void open_with(uint32_t tags, uint32_t options)
{
    rig_machine(&rig);
    rig.config.tags = tags;
    rig.config.options = options;
    rig.config.port.clock = tell_time;
    now = 0;
    rig_heap(&rig);
}

static uint32_t tag_make(const char *name, uint64_t quota)
{
    struct quire_heap_tag_config config = {.name = name, .quota = quota};
    uint32_t tag = 0;

    assert_ok(quire_heap_tag_create(&rig.heap, &config, &tag));
    return quire_heap_tag_flag(tag);
}

static struct quire_heap_tag_stats tag_stats(uint32_t flag)
{
    struct quire_heap_tag_stats stats;

    assert_ok(quire_heap_tag_stats(&rig.heap, flag >> QUIRE_HEAP_TAG_SHIFT, &stats));
    return stats;
}

static struct quire_heap_totals totals(void)
{
    struct quire_heap_totals found;

    assert_ok(quire_heap_totals(&rig.heap, &found));
    return found;
}

__attribute__((noinline)) static void *take(size_t bytes, uint32_t flags)
{
    void *object = NULL;

    assert_ok(quire_heap_alloc(&rig.heap, bytes, flags, &object));
    return object;
}

static void give(void *object)
{
    assert_ok(quire_heap_free(&rig.heap, object));
}

/* ---- Tags ---------------------------------------------------------------------------------- */

static void quotas_refuse_their_own(void **state)
{
    uint32_t inode, socket;
    void *held[10], *p;

    (void)state;
    open_with(TAGS, 0);
    inode = tag_make("inode", 1000);
    socket = tag_make("socket", 0);
    for (unsigned i = 0; i < 10; i++)
        held[i] = take(90, inode); /* of 96 bytes */
    assert_error(quire_heap_alloc(&rig.heap, 90, inode, &p), QUIRE_ERR_LIMIT);
    assert_error(quire_heap_alloc(&rig.heap, 90, inode | QUIRE_EMERGENCY, &p), QUIRE_ERR_LIMIT);
    give(take(90, socket));
    give(take(90, 0));
    give(take(30, inode)); /* what is left is enough for that */
    assert_string_equal(tag_stats(inode).name, "inode");
    assert_int_equal(tag_stats(inode).objects, 10);
    assert_int_equal(tag_stats(inode).asked, 900);
    assert_int_equal(tag_stats(inode).bytes, 960);
    assert_int_equal(tag_stats(inode).peak, 992);
    assert_int_equal(tag_stats(inode).refusals, 2);
    assert_int_equal(tag_stats(socket).objects, 0);
    give(held[9]);
    held[9] = take(90, inode);
    assert_ok(quire_heap_tag_quota(&rig.heap, inode >> QUIRE_HEAP_TAG_SHIFT, 96));
    assert_error(quire_heap_alloc(&rig.heap, 1, inode, &p), QUIRE_ERR_LIMIT);
    for (unsigned i = 0; i < 10; i++)
        give(held[i]);
    give(take(90, inode));
    assert_int_equal(tag_stats(inode).bytes + tag_stats(inode).asked, 0);
    rig_close(&rig);
}

/* Whatever the call, the tag has it, and has it no more. */
static void every_call_has_a_tag(void **state)
{
    struct quire_heap_cache_config config = {.name = "task", .bytes = 100};
    struct quire_heap_request request = {200, 64, 0, {0}};
    struct quire_heap_cache cache;
    void *objects[5], *p;
    uint64_t leaked;
    uint32_t tag;

    (void)state;
    open_with(TAGS, 0);
    tag = tag_make("driver", 0);
    assert_ok(quire_heap_cache_create(&rig.heap, &config, &cache));
    assert_ok(quire_heap_alloc_array(&rig.heap, 10, 10, tag, &p));
    assert_int_equal(tag_stats(tag).asked, 100);
    assert_ok(quire_heap_resize(&rig.heap, 20000, tag, &p));
    assert_int_equal(tag_stats(tag).asked, 20000);
    assert_int_equal(tag_stats(tag).bytes, 32768);
    give(p);
    request.flags = tag | QUIRE_ZEROED;
    assert_ok(quire_heap_alloc_bulk(&rig.heap, &request, 5, objects));
    assert_int_equal(tag_stats(tag).objects, 5);
    assert_int_equal((uintptr_t)objects[4] % 64, 0);
    assert_ok(quire_heap_free_bulk(&rig.heap, objects, 5, NULL));
    assert_ok(quire_heap_cache_alloc(&cache, tag, (quire_near){0}, &p));
    assert_int_equal(tag_stats(tag).asked, 100);
    assert_int_equal(tag_stats(tag).bytes, 112);
    assert_error(quire_heap_cache_destroy(&cache, &leaked), QUIRE_ERR_BUSY);
    assert_int_equal(leaked, 1);
    assert_ok(quire_heap_cache_free(&cache, p));
    assert_error(quire_heap_cache_free(&cache, p), QUIRE_ERR_DOUBLE_FREE);
    assert_ok(quire_heap_cache_destroy(&cache, &leaked));
    assert_int_equal(tag_stats(tag).objects + tag_stats(tag).bytes, 0);
    rig_close(&rig);
}

static void a_bulk_beyond_its_quota_changes_nothing(void **state)
{
    struct quire_heap_request request = {64, 0, 0, {0}};
    void *objects[5];

    (void)state;
    open_with(TAGS, 0);
    request.flags = tag_make("few", 4 * 64);
    assert_error(quire_heap_alloc_bulk(&rig.heap, &request, 5, objects), QUIRE_ERR_LIMIT);
    assert_int_equal(tag_stats(request.flags).objects, 0);
    assert_ok(quire_heap_alloc_bulk(&rig.heap, &request, 4, objects));
    assert_ok(quire_heap_free_bulk(&rig.heap, objects, 4, NULL));
    rig_close(&rig);
}

static void tags_that_are_none(void **state)
{
    struct quire_heap_tag_config config = {.name = "one"};
    struct quire_heap_tag_stats stats;
    struct quire_heap unborn = {0};
    uint32_t tag;
    void *p;

    (void)state;
    rig_open(&rig);
    assert_error(quire_heap_alloc(&rig.heap, 8, quire_heap_tag_flag(1), &p), QUIRE_ERR_UNSUPPORTED);
    assert_error(quire_heap_tag_create(&rig.heap, &config, &tag), QUIRE_ERR_FULL);
    assert_error(quire_heap_tag_stats(&rig.heap, 0, &stats), QUIRE_ERR_UNSUPPORTED);
    assert_error(quire_heap_tag_quota(&rig.heap, 1, 1), QUIRE_ERR_UNSUPPORTED);
    rig_close(&rig);
    open_with(1, 0);
    assert_error(quire_heap_tag_create(&unborn, &config, &tag), QUIRE_ERR_STATE);
    assert_error(quire_heap_tag_stats(&unborn, 0, &stats), QUIRE_ERR_STATE);
    assert_error(quire_heap_alloc(&rig.heap, 8, quire_heap_tag_flag(1), &p), QUIRE_ERR_SIZE);
    assert_error(quire_heap_alloc(&rig.heap, 8, 1u << 28, &p), QUIRE_ERR_UNSUPPORTED);
    assert_error(quire_heap_alloc(&rig.heap, 8, 1u << 15, &p), QUIRE_ERR_UNSUPPORTED);
    assert_ok(quire_heap_tag_create(&rig.heap, &config, &tag));
    assert_int_equal(tag, 1);
    assert_error(quire_heap_tag_create(&rig.heap, &config, &tag), QUIRE_ERR_FULL);
    assert_error(quire_heap_tag_stats(&rig.heap, 2, &stats), QUIRE_ERR_SIZE);
    assert_error(quire_heap_tag_quota(&rig.heap, 0, 1), QUIRE_ERR_SIZE);
    rig_close(&rig);
}

static void bad_configurations(void **state)
{
    struct quire_heap_config bad;
    size_t bytes;

    (void)state;
    rig_open(&rig);
    bad = rig.config;
    bad.tags = QUIRE_HEAP_TAGS + 1;
    assert_error(quire_heap_size(&bad, &bytes), QUIRE_ERR_SIZE);
    bad = rig.config;
    bad.quarantine = 1;
    assert_error(quire_heap_size(&bad, &bytes), QUIRE_ERR_UNSUPPORTED);
    bad.options = 1u << 3;
    assert_error(quire_heap_size(&bad, &bytes), QUIRE_ERR_UNSUPPORTED);
    bad.options = QUIRE_HEAP_TRACK;
    bad.quarantine = QUIRE_HEAP_WAITING + 1;
    assert_error(quire_heap_size(&bad, &bytes), QUIRE_ERR_SIZE);
    bad = rig.config;
    bad.reserve = QUIRE_HEAP_RESERVE + 1;
    assert_error(quire_heap_size(&bad, &bytes), QUIRE_ERR_SIZE);
    bad.reserve = 2;
    bad.share = 15;
    assert_error(quire_heap_size(&bad, &bytes), QUIRE_ERR_SIZE);
    rig_close(&rig);
}

/* Memory that ends anywhere in a call with a tag leaves nothing behind. */
static void refused_at_each_request(void **state)
{
    uint32_t tag;
    void *p = NULL;

    (void)state;
    for (uint32_t grants = 0; grants < 3; grants++) {
        int error;

        open_with(TAGS, QUIRE_HEAP_TRACK);
        tag = tag_make("t", 0);
        rig_grants = grants;
        error = quire_heap_alloc(&rig.heap, 64, tag, &p);
        assert_int_equal(error, grants < 2 ? QUIRE_ERR_NO_MEMORY : 0);
        assert_int_equal(tag_stats(tag).objects, error ? 0 : 1);
        assert_int_equal(tag_stats(tag).bytes, error ? 0 : 64);
        if (!error)
            give(p);
        rig_close(&rig);
    }
}

/* ---- Share and reserve --------------------------------------------------------------------- */

static void the_share_is_never_exceeded(void **state)
{
    void *held[64], *p;
    unsigned n = 0;
    int error = 0;

    (void)state;
    rig_machine(&rig);
    rig.config.share = 24;
    rig_heap(&rig);
    while ((error = quire_heap_alloc(&rig.heap, 4096, 0, &held[n])) == 0)
        n++;
    assert_int_equal(error, QUIRE_ERR_LIMIT);
    assert_int_equal(totals().frames, 24);
    assert_int_equal(n, 24);
    assert_error(quire_heap_alloc(&rig.heap, 20000, QUIRE_EMERGENCY, &p), QUIRE_ERR_LIMIT);
    assert_true(totals().refusals >= 2);
    for (unsigned i = 0; i < n; i++)
        give(held[i]);
    give(take(20000, 0)); /* what is empty goes first */
    (void)quire_heap_trim(&rig.heap);
    assert_int_equal(totals().frames, 0);
    assert_int_equal(totals().peak, 24);
    rig_close(&rig);
}

/* One frame is not enough, as an object's record is in another one: the error is the share's. */
static void records_count_for_the_share(void **state)
{
    void *p;

    (void)state;
    rig_machine(&rig);
    rig.config.tags = 1;
    rig.config.share = 1;
    rig_heap(&rig);
    assert_error(quire_heap_alloc(&rig.heap, 64, 0, &p), QUIRE_ERR_LIMIT);
    rig_close(&rig);
}

static void *in_interrupt;
static int error_in_interrupt;
static uint64_t frames_before, frames_in_interrupt;

/* Frames that the machine has handed out, by its own figures. */
static uint64_t machine_used(void)
{
    struct quire_machine_stats stats;

    assert_ok(quire_machine_stats(rig.bringup.machine, &stats));
    return stats.managed - stats.free - stats.cached - stats.remote;
}

static void allocate_in_interrupt(void)
{
    error_in_interrupt = quire_heap_alloc(&rig.heap, 1 << 20, QUIRE_NO_CALLBACK, &in_interrupt);
    frames_in_interrupt = machine_used() - frames_before;
}

/* Frames count until the machine has them: an allocation in the middle of a free is refused. */
static void the_share_holds_inside_a_free(void **state)
{
    void *object;

    (void)state;
    rig_machine(&rig);
    rig.config.share = 256;
    rig_heap(&rig);
    frames_before = machine_used();
    object = take(1 << 20, 0);
    assert_int_equal(machine_used() - frames_before, 256);
    rig_interrupt = allocate_in_interrupt;
    give(object);
    assert_null(rig_interrupt);
    assert_true(frames_in_interrupt <= 256);
    assert_error(error_in_interrupt, QUIRE_ERR_LIMIT);
    give(take(1 << 20, 0));
    assert_int_equal(totals().peak, 256);
    rig_close(&rig);
}

/* The peak is of what the heap had: not of what the machine refused. */
static void the_peak_is_of_what_was_had(void **state)
{
    void *p;

    (void)state;
    rig_machine(&rig);
    rig.config.share = 1000;
    rig_heap(&rig);
    rig_grants = 0;
    assert_error(quire_heap_alloc(&rig.heap, 512 * 4096, 0, &p), QUIRE_ERR_NO_MEMORY);
    assert_int_equal(totals().peak, 0);
    rig_grants = UINT32_MAX;
    give(take(1 << 20, 0));
    assert_int_equal(totals().peak, 256);
    assert_int_equal(totals().frames, 0);
    rig_close(&rig);
}

static void reserve_back(uint32_t runs)
{
    (void)quire_heap_trim(&rig.heap);
    assert_int_equal(totals().reserve, runs);
    assert_int_equal(totals().frames, runs * 8u);
    assert_int_equal(rig_used(&rig), 0);
    quire_machine_fini(rig.bringup.machine);
}

/* Nobody but an emergency has an object of the reserve, not even of the slab that one made. */
static void the_reserve_is_for_emergencies(uint32_t tags)
{
    void *held[6], *p, *ordinary;
    uint32_t runs = tags ? 4 : 2;

    rig_machine(&rig);
    rig.config.reserve = runs;
    rig.config.tags = tags;
    rig_heap(&rig);
    assert_int_equal(totals().reserve, runs);
    ordinary = take(16384, 0);
    rig_grants = 0;
    while (quire_heap_alloc(&rig.heap, 16384, 0, &held[0]) == 0)
        ;
    assert_error(quire_heap_alloc(&rig.heap, 100, 0, &p), QUIRE_ERR_NO_MEMORY);
    assert_ok(quire_heap_alloc(&rig.heap, 100, QUIRE_EMERGENCY, &held[0]));
    assert_error(quire_heap_alloc(&rig.heap, 100, 0, &p), QUIRE_ERR_NO_MEMORY);
    assert_error(quire_heap_alloc(&rig.heap, 128, QUIRE_HIGH, &p), QUIRE_ERR_NO_MEMORY);
    assert_ok(quire_heap_alloc(&rig.heap, 100, QUIRE_EMERGENCY, &held[1]));
    assert_true((unsigned char *)held[1] - (unsigned char *)held[0] == 128);
    assert_int_equal(totals().reserve, tags ? 2 : 1);
    assert_ok(quire_heap_alloc(&rig.heap, 32768, QUIRE_EMERGENCY, &held[2]));
    assert_error(quire_heap_alloc(&rig.heap, 32768, tags ? 0 : QUIRE_EMERGENCY, &held[3]),
                 QUIRE_ERR_NO_MEMORY);
    for (unsigned i = 0; i < 3; i++)
        give(held[i]);
    assert_error(quire_heap_free(&rig.heap, held[0]), QUIRE_ERR_DOUBLE_FREE);
    (void)quire_heap_trim(&rig.heap);
    assert_int_equal(totals().reserve, runs);
    assert_error(quire_heap_alloc(&rig.heap, 100, 0, &p), QUIRE_ERR_NO_MEMORY);
    (void)ordinary;
}

/* What an emergency got of the reserve is resized as any object: in place if the heap has no tags,
 * and to another one. */
static void a_resize_in_an_emergency(void **state)
{
    void *object, *before;

    (void)state;
    for (uint32_t tags = 0; tags < 2; tags++) {
        rig_machine(&rig);
        rig.config.reserve = 4;
        rig.config.tags = tags;
        rig_heap(&rig);
        rig_grants = 0;
        assert_ok(quire_heap_alloc(&rig.heap, 100, QUIRE_EMERGENCY, &object));
        memset(object, 0x5a, 100);
        before = object;
        assert_ok(quire_heap_resize(&rig.heap, 90, QUIRE_EMERGENCY, &object));
        assert_true(tags || object == before);
        before = object;
        assert_error(quire_heap_resize(&rig.heap, 300, 0, &object), QUIRE_ERR_NO_MEMORY);
        assert_ptr_equal(object, before);
        assert_ok(quire_heap_resize(&rig.heap, 300, QUIRE_EMERGENCY, &object));
        assert_ptr_not_equal(object, before);
        for (unsigned i = 0; i < 90; i++)
            assert_int_equal(((unsigned char *)object)[i], 0x5a);
        assert_error(quire_heap_free(&rig.heap, before), QUIRE_ERR_DOUBLE_FREE);
        rig_grants = UINT32_MAX;
        assert_ok(quire_heap_resize(&rig.heap, 3000, 0, &object)); /* memory is there again */
        assert_int_equal(((unsigned char *)object)[89], 0x5a);
        give(object);
        rig_close(&rig);
    }
}

static void reserves(void **state)
{
    (void)state;
    for (uint32_t tags = 0; tags < 2; tags++) {
        the_reserve_is_for_emergencies(tags);
        quire_machine_fini(rig.bringup.machine);
        free(rig.room);
        free(rig.memory);
    }
}

static void a_reserve_that_cannot_be_had(void **state)
{
    (void)state;
    rig_machine(&rig);
    rig.config.reserve = 3;
    assert_ok(quire_heap_size(&rig.config, &rig.bytes));
    rig.room = aligned_alloc(64, rig.bytes);
    rig_grants = 2;
    assert_error(quire_heap_init(&rig.heap, &rig.config, rig.room, rig.bytes), QUIRE_ERR_NO_MEMORY);
    assert_null(rig.heap.state);
    assert_int_equal(rig_free_frames(&rig), rig.free_start);
    rig_grants = 3;
    assert_ok(quire_heap_init(&rig.heap, &rig.config, rig.room, rig.bytes));
    reserve_back(3);
    free(rig.room);
    free(rig.memory);
}

/* ---- Figures ------------------------------------------------------------------------------- */

static void fragmentation_told_apart(void **state)
{
    struct quire_heap_stats stats;
    void *p[3];
    uint32_t number = QUIRE_HEAP_CLASSES;

    (void)state;
    open_with(TAGS, 0);
    for (unsigned i = 0; i < 3; i++)
        p[i] = take(100, 0); /* of 112 bytes, 36 in a frame */
    for (uint32_t i = 0; i < QUIRE_HEAP_CLASSES; i++)
        if (rig_stats(&rig, i, QUIRE_NO_NODE).used)
            number = i;
    stats = rig_stats(&rig, number, QUIRE_NO_NODE);
    assert_int_equal(stats.asked, 300);
    assert_int_equal(stats.used * stats.bytes - stats.asked, 36); /* internal */
    assert_int_equal(stats.free, 4096 - 3 * 112);                 /* external */
    for (unsigned i = 0; i < 3; i++)
        give(p[i]);
    stats = rig_stats(&rig, number, QUIRE_NO_NODE);
    assert_int_equal(stats.asked, 0);
    assert_int_equal(stats.peak, 3);
    assert_int_equal(stats.free, 4096);
    p[0] = take(20000, 0);
    assert_ok(quire_heap_run_stats(&rig.heap, quire_node_of(QUIRE_NO_NODE), &stats));
    assert_int_equal(stats.asked, 20000);
    assert_int_equal(stats.peak, 1);
    give(p[0]);
    rig_close(&rig);
}

/* An object cache that begins has nothing of the one that had its number; and a number that no
 * cache has, nothing at all. */
static void figures_begin_anew(void **state)
{
    struct quire_heap_cache_config config = {.name = "a", .bytes = 200};
    const struct quire_heap_stats nothing = {0};
    struct quire_heap_cache cache;
    struct quire_heap_stats stats;
    uint64_t leaked;
    void *p;

    (void)state;
    open_with(1, 0);
    assert_ok(quire_heap_cache_create(&rig.heap, &config, &cache));
    rig_grants = 0;
    assert_error(quire_heap_cache_alloc(&cache, 0, (quire_near){0}, &p), QUIRE_ERR_NO_MEMORY);
    rig_grants = UINT32_MAX;
    assert_ok(quire_heap_cache_alloc(&cache, 0, (quire_near){0}, &p));
    assert_ok(quire_heap_cache_free(&cache, p));
    stats = rig_stats(&rig, cache.number, QUIRE_NO_NODE);
    assert_int_equal(stats.peak, 1);
    assert_int_equal(stats.refusals, 1);
    assert_ok(quire_heap_cache_destroy(&cache, &leaked));
    stats = rig_stats(&rig, QUIRE_HEAP_CLASSES, QUIRE_NO_NODE);
    assert_memory_equal(&stats, &nothing, sizeof stats);
    config.name = "b";
    assert_ok(quire_heap_cache_create(&rig.heap, &config, &cache));
    assert_int_equal(cache.number, QUIRE_HEAP_CLASSES);
    stats = rig_stats(&rig, cache.number, QUIRE_NO_NODE);
    assert_string_equal(stats.name, "b");
    assert_int_equal(stats.peak + stats.refusals, 0);
    assert_ok(quire_heap_cache_destroy(&cache, &leaked));
    rig_close(&rig);
}

/* ---- Owners -------------------------------------------------------------------------------- */

__attribute__((noinline)) static void *site_of_two(size_t bytes, uint32_t flags)
{
    void *object = NULL;

    assert_ok(quire_heap_alloc(&rig.heap, bytes, flags, &object));
    return object;
}

static struct quire_holders report(struct quire_holder table[], uint32_t tag, uint64_t before)
{
    struct quire_holders holders = {.table = table, .size = HOLDERS, .tag = tag, .before = before};
    struct quire_run all = {{0}, UINT64_MAX};

    assert_ok(quire_heap_walk(&rig.heap, all, quire_holders_add, &holders));
    quire_holders_sort(&holders);
    return holders;
}

static void holders_largest_first(void **state)
{
    struct quire_holder table[HOLDERS];
    struct quire_holders holders;
    uint32_t inode;
    void *p[4];

    (void)state;
    open_with(TAGS, QUIRE_HEAP_TRACK);
    inode = tag_make("inode", 0);
    now = 10;
    p[0] = site_of_two(100, inode);
    now = 20;
    p[1] = site_of_two(200, inode);
    p[2] = take(5000, 0);
    now = 30;
    p[3] = take(100000, inode);
    holders = report(table, QUIRE_ANY_TAG, 0);
    assert_int_equal(holders.count, 3);
    assert_int_equal(holders.rest.holdings, 0);
    assert_int_equal(table[0].bytes, 100000);
    assert_int_equal(table[1].bytes, 5000);
    assert_int_equal(table[1].tag, 0);
    assert_int_equal(table[1].caller, table[0].caller);
    assert_int_equal(table[2].bytes, 300);
    assert_int_equal(table[2].holdings, 2);
    assert_int_equal(table[2].since, 10);
    assert_true(table[2].caller > (uintptr_t)site_of_two &&
                table[2].caller < (uintptr_t)site_of_two + 400);
    holders = report(table, QUIRE_ANY_TAG, 15); /* what has lived since before */
    assert_int_equal(holders.count, 1);
    assert_int_equal(table[0].bytes, 100);
    holders = report(table, 0, 0);
    assert_int_equal(holders.count, 1);
    assert_int_equal(table[0].bytes, 5000);
    for (unsigned i = 0; i < 4; i++)
        give(p[i]);
    assert_int_equal(report(table, QUIRE_ANY_TAG, 0).count, 0);
    rig_close(&rig);
}

struct seen {
    uint64_t at[8];
    unsigned count;
};

static int see(void *ctx, const struct quire_holding *holding)
{
    struct seen *seen = (struct seen *)ctx;

    seen->at[seen->count++ % 8] = holding->at;
    return seen->count == 100 ? 7 : 0;
}

static unsigned count_in(uint64_t pfn, uint64_t frames, struct seen *seen)
{
    struct quire_run range = {{pfn}, frames};

    seen->count = 0;
    assert_ok(quire_heap_walk(&rig.heap, range, see, seen));
    return seen->count;
}

static void holders_of_a_range(void **state)
{
    unsigned char *run, *two;
    struct seen seen;
    uint64_t pfn;
    void *small[8];

    (void)state;
    open_with(0, QUIRE_HEAP_TRACK);
    run = take(100000, 0); /* 32 frames */
    pfn = (uint64_t)(run - rig.memory) / QUIRE_FRAME_SIZE;
    assert_int_equal(count_in(pfn, 1, &seen), 1);
    assert_int_equal(count_in(pfn + 31, 1, &seen), 1); /* reaches into it */
    assert_int_equal(seen.at[0], (uintptr_t)run);
    assert_int_equal(count_in(pfn + 32, 1, &seen), 0);
    for (unsigned i = 0; i < 8; i++)
        small[i] = take(3000, 0); /* of 3072 bytes, in slabs of 4 frames or more */
    two = small[1];
    pfn = (uint64_t)(two - rig.memory) / QUIRE_FRAME_SIZE;
    assert_true((uintptr_t)two / 4096 != ((uintptr_t)two + 3071) / 4096);
    assert_true(count_in(pfn + 1, 1, &seen) >= 2);
    assert_int_equal(seen.at[0], (uintptr_t)two);
    assert_true(count_in(0, UINT64_MAX, &seen) == 9);
    give(run);
    for (unsigned i = 0; i < 8; i++)
        give(small[i]);
    assert_int_equal(count_in(0, UINT64_MAX, &seen), 0);
    rig_close(&rig);
}

static void leaks_of_a_cache(void **state)
{
    struct quire_heap_cache_config config = {.name = "task", .bytes = 100};
    struct quire_heap_cache cache;
    struct seen seen = {.count = 0};
    uint64_t leaked;
    void *a, *b;

    (void)state;
    open_with(0, QUIRE_HEAP_TRACK);
    assert_ok(quire_heap_cache_create(&rig.heap, &config, &cache));
    a = take(100, 0);
    assert_ok(quire_heap_cache_alloc(&cache, 0, (quire_near){0}, &b));
    assert_error(quire_heap_cache_destroy(&cache, &leaked), QUIRE_ERR_BUSY);
    assert_ok(quire_heap_cache_walk(&cache, see, &seen));
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.at[0], (uintptr_t)b);
    assert_ok(quire_heap_cache_free(&cache, b));
    give(a);
    assert_ok(quire_heap_cache_destroy(&cache, &leaked));
    assert_error(quire_heap_cache_walk(&cache, see, &seen), QUIRE_ERR_STATE);
    rig_close(&rig);
}

/* What a visitor returns ends the walk; and while it is visited, slabs come and go. */
static int churn(void *ctx, const struct quire_holding *holding)
{
    void *object;

    (void)ctx;
    (void)holding;
    assert_ok(quire_heap_alloc(&rig.heap, 16384, 0, &object));
    assert_ok(quire_heap_free(&rig.heap, object));
    (void)quire_heap_trim(&rig.heap);
    return 5;
}

static void a_visitor_may_do_anything(void **state)
{
    struct quire_run all = {{0}, UINT64_MAX};
    void *p;

    (void)state;
    rig_open(&rig);
    assert_error(quire_heap_walk(&rig.heap, all, see, NULL), QUIRE_ERR_UNSUPPORTED);
    rig_close(&rig);
    open_with(0, QUIRE_HEAP_TRACK);
    p = take(100, 0);
    assert_int_equal(quire_heap_walk(&rig.heap, all, churn, NULL), 5);
    give(p); /* the records that the walk kept went at its end */
    rig_close(&rig);
}

/* Slabs come and go while a walk stands still here: what waits for it does not grow. */
static int churn_long(void *ctx, const struct quire_holding *holding)
{
    static void *held[768];
    uint64_t *grown = (uint64_t *)ctx;

    (void)holding;
    for (unsigned round = 0; round < 300; round++) {
        for (unsigned i = 0; i < 768; i++)
            held[i] = take(16, 0);
        if (round == 10)
            grown[0] = totals().frames;
        if (round == 299)
            grown[1] = totals().frames;
        for (unsigned i = 0; i < 768; i++)
            give(held[i]);
    }
    return 5;
}

static int end_of_cache(void *ctx, const struct quire_holding *holding)
{
    uint64_t leaked;
    int error = quire_heap_cache_destroy((struct quire_heap_cache *)ctx, &leaked);

    (void)holding;
    assert_int_equal(leaked, 0);
    return error;
}

static void a_walk_that_stands_still(void **state)
{
    struct quire_heap_cache_config config = {.name = "a", .bytes = 200};
    struct quire_run all = {{0}, UINT64_MAX};
    struct quire_heap_cache cache;
    uint64_t grown[2], leaked;
    void *p;

    (void)state;
    open_with(0, QUIRE_HEAP_TRACK);
    p = take(100, 0);
    assert_int_equal(quire_heap_walk(&rig.heap, all, churn_long, grown), 5);
    assert_int_equal(grown[0], grown[1]);
    assert_ok(quire_heap_cache_create(&rig.heap, &config, &cache));
    assert_int_equal(quire_heap_walk(&rig.heap, all, end_of_cache, &cache), QUIRE_ERR_BUSY);
    assert_ok(quire_heap_cache_destroy(&cache, &leaked));
    give(p);
    rig_close(&rig);
}

static void a_report_without_room(void **state)
{
    struct quire_holder table[1];
    struct quire_holders holders = {.table = table, .size = 1, .tag = QUIRE_ANY_TAG};
    struct quire_holding a = {.bytes = 10, .caller = 1, .since = 5};
    struct quire_holding b = {.bytes = 20, .caller = 2, .since = 4};

    (void)state;
    assert_ok(quire_holders_add(&holders, &a));
    assert_ok(quire_holders_add(&holders, &b));
    assert_ok(quire_holders_add(&holders, &b));
    quire_holders_sort(&holders);
    assert_int_equal(holders.count, 1);
    assert_int_equal(table[0].caller, 1);
    assert_int_equal(holders.rest.holdings, 2);
    assert_int_equal(holders.rest.bytes, 40);
    holders.size = holders.count = 0;
    holders.rest.holdings = 0;
    assert_ok(quire_holders_add(&holders, &a));
    quire_holders_sort(&holders);
    assert_int_equal(holders.rest.holdings, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotas_refuse_their_own),
        cmocka_unit_test(every_call_has_a_tag),
        cmocka_unit_test(a_bulk_beyond_its_quota_changes_nothing),
        cmocka_unit_test(tags_that_are_none),
        cmocka_unit_test(bad_configurations),
        cmocka_unit_test(refused_at_each_request),
        cmocka_unit_test(the_share_is_never_exceeded),
        cmocka_unit_test(records_count_for_the_share),
        cmocka_unit_test(the_share_holds_inside_a_free),
        cmocka_unit_test(the_peak_is_of_what_was_had),
        cmocka_unit_test(reserves),
        cmocka_unit_test(a_resize_in_an_emergency),
        cmocka_unit_test(a_reserve_that_cannot_be_had),
        cmocka_unit_test(fragmentation_told_apart),
        cmocka_unit_test(figures_begin_anew),
        cmocka_unit_test(holders_largest_first),
        cmocka_unit_test(holders_of_a_range),
        cmocka_unit_test(leaks_of_a_cache),
        cmocka_unit_test(a_visitor_may_do_anything),
        cmocka_unit_test(a_walk_that_stands_still),
        cmocka_unit_test(a_report_without_room),
    };

    return cmocka_run_group_tests_name("heap_who", tests, NULL, NULL);
}
