/* SPDX-License-Identifier: MIT
 *
 * test_magazine.c - magazines in front of the slabs: what lies there is counted apart, is found
 * before anybody is refused, goes back when it is asked to, and a free object is told wherever it
 * lies.
 */
#include "rig.h"
#include "stress/common/assert.h"
#include "stress/common/random.h"

#include <stdlib.h>
#include <string.h>

enum { BYTES = 64, OF_SLAB = 64, ROUNDS = 64 };

static struct rig rig;

static void give(void *object)
{
    assert_ok(quire_heap_free(&rig.heap, object));
}

static struct quire_heap_stats stats_of(size_t bytes)
{
    void *object = rig_alloc(&rig, bytes);
    uint32_t number = 0;

    while (rig_stats(&rig, number, QUIRE_NO_NODE).used == 0)
        number++;
    give(object);
    return rig_stats(&rig, number, QUIRE_NO_NODE);
}

/* Freed twice, in each place that a free object can lie in: told at once, and nothing changes. */
static void told_wherever_it_lies(void **state)
{
    struct quire_heap_request there = {BYTES, 0, 0, quire_near_of(quire_node_of(1))};
    void *near_object, *far_object, *slab_object, *objects[2 * ROUNDS];
    size_t bytes, bad = 7;

    (void)state;
    near_object = rig_alloc(&rig, BYTES);
    assert_ok(quire_heap_request(&rig.heap, &there, &far_object));
    slab_object = rig_alloc(&rig, BYTES);
    give(near_object); /* in the magazine */
    give(far_object);  /* in the remote one */
    assert_error(quire_heap_free(&rig.heap, near_object), QUIRE_ERR_DOUBLE_FREE);
    assert_error(quire_heap_free(&rig.heap, far_object), QUIRE_ERR_DOUBLE_FREE);
    rig_cpu = 1; /* whose node nobody has asked for yet */
    assert_error(quire_heap_free(&rig.heap, near_object), QUIRE_ERR_DOUBLE_FREE);
    rig_cpu = 0;
    assert_error(quire_heap_usable(&rig.heap, near_object, &bytes), QUIRE_ERR_DOUBLE_FREE);
    assert_error(quire_heap_resize(&rig.heap, 8, 0, &far_object), QUIRE_ERR_DOUBLE_FREE);
    assert_error(quire_heap_free_bulk(&rig.heap, &near_object, 1, &bad), QUIRE_ERR_DOUBLE_FREE);
    assert_int_equal(bad, 0);
    assert_error(quire_heap_free(&rig.heap, (char *)near_object + 8), QUIRE_ERR_ALIGN);
    assert_int_equal(rig_used(&rig), 1);
    /* The next allocation has it again, and its owner may free it. */
    objects[0] = rig_alloc(&rig, BYTES);
    assert_ptr_equal(objects[0], near_object);
    give(objects[0]);
    for (unsigned i = 0; i < 2 * ROUNDS; i++)
        objects[i] = rig_alloc(&rig, BYTES);
    give(slab_object);
    for (unsigned i = 0; i < 2 * ROUNDS; i++)
        give(objects[i]); /* slab_object goes out with the upper half, or stays */
    assert_error(quire_heap_free(&rig.heap, slab_object), QUIRE_ERR_DOUBLE_FREE);
    for (unsigned i = 0; i < 2 * ROUNDS; i++)
        assert_true(quire_heap_free(&rig.heap, objects[i]) == QUIRE_ERR_DOUBLE_FREE);
}

/* What lies in magazines is counted apart, and goes with a trim. */
static void counted_apart(void **state)
{
    struct quire_heap_stats stats;
    void *objects[10];

    (void)state;
    stats = stats_of(BYTES);
    assert_int_equal(stats.used, 0);
    assert_true(stats.cached > 0 && stats.cached <= ROUNDS);
    for (unsigned i = 0; i < 10; i++)
        objects[i] = rig_alloc(&rig, BYTES);
    stats = stats_of(BYTES);
    assert_int_equal(stats.used, 10);
    for (unsigned i = 0; i < 10; i++)
        give(objects[i]);
    assert_true(quire_heap_trim(&rig.heap) >= 1);
    for (uint32_t i = 0; i < QUIRE_HEAP_CLASSES; i++)
        assert_int_equal(rig_stats(&rig, i, QUIRE_NO_NODE).cached, 0);
    assert_int_equal(rig_slabs(&rig), 0);
}

/* Objects of the reserve's slabs that lie in magazines. */
static uint64_t reserve_cached(void)
{
    struct quire_heap_stats stats;
    uint64_t cached = 0;

    for (uint32_t n = 0; !quire_heap_stats(&rig.heap, n, quire_node_of(QUIRE_NO_NODE), &stats); n++)
        if (stats.name && strcmp(stats.name, "reserve") == 0)
            cached += stats.cached;
    return cached;
}

/* What an emergency had goes to its slab at once, wherever it is freed: it waits in no magazine,
 * neither of the class nor for another node, for the next one may be unable to drain that. */
static void freed_objects_of_the_reserve_wait_nowhere(void **state)
{
    void *objects[4];

    (void)state;
    rig_machine(&rig);
    rig.config.reserve = 1;
    rig_heap(&rig);
    rig_grants = 0;
    for (unsigned i = 0; i < 4; i++)
        assert_ok(quire_heap_alloc(&rig.heap, 100, QUIRE_EMERGENCY, &objects[i]));
    give(objects[0]); /* on its node */
    assert_int_equal(reserve_cached(), 0);
    rig_cpu = RIG_CPUS; /* on the other one */
    give(objects[1]);
    assert_int_equal(reserve_cached(), 0);
    assert_ok(quire_heap_free_bulk(&rig.heap, &objects[2], 2, NULL));
    assert_int_equal(reserve_cached(), 0);
    rig_cpu = 0;
    rig_close(&rig);
}

/* No object that lies in another CPU's magazine makes a refusal: of the class, or of memory. */
static void no_false_refusal(void **state)
{
    void **runs = calloc(RIG_MEMORY / 4096, sizeof *runs), *objects[ROUNDS + OF_SLAB], *mine;
    size_t n = 0;

    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++)
        objects[i] = rig_alloc(&rig, BYTES);
    for (unsigned i = 1; i < ROUNDS; i++)
        give(objects[i]); /* all of them in the magazine of CPU 0, and the slab is not empty */
    rig_grants = 0;
    rig_cpu = 1;
    for (unsigned i = 1; i < ROUNDS; i++)
        objects[i] = rig_alloc(&rig, BYTES);
    assert_error(quire_heap_alloc(&rig.heap, BYTES, 0, &mine), QUIRE_ERR_NO_MEMORY);
    assert_int_equal(rig_used(&rig), ROUNDS);
    for (unsigned i = 0; i < ROUNDS; i++)
        give(objects[i]);
    rig_grants = UINT32_MAX;
    rig_cpu = 0;
    while (quire_heap_alloc(&rig.heap, 32768, 0, &runs[n]) == 0)
        n++;
    assert_int_equal(rig_slabs(&rig), 0);
    while (n > 0)
        give(runs[--n]);
    free(runs);
}

/* What another node's CPU frees goes back in batches, and is nobody's there. */
static void frees_go_back(void **state)
{
    void *objects[4 * ROUNDS];
    uint32_t number = rig_class(&rig, BYTES);

    (void)state;
    (void)quire_heap_trim(&rig.heap);
    for (unsigned i = 0; i < 4 * ROUNDS; i++)
        objects[i] = rig_alloc(&rig, BYTES);
    if (rig_mode == QUIRE_CACHE_EXCHANGE)
        rig_cpu = RIG_CPUS;
    for (unsigned i = 0; i < 4 * ROUNDS; i++)
        give(objects[i]);
    if (rig_mode == QUIRE_CACHE_EXCHANGE) {
        /* The last of them wait in the remote magazine; an allocation here does not get them. */
        assert_true(rig_stats(&rig, number, 0).cached <= ROUNDS);
        objects[0] = rig_alloc(&rig, BYTES);
        assert_int_equal(rig_node_of(&rig, objects[0]), 1);
        give(objects[0]);
    }
    assert_int_equal(rig_used(&rig), 0);
}

/* Two CPUs of a node. One that allocates objects of a size, too, does not get those which it frees
 * for the other: they wait in the remote magazine if they are small, and go to their slabs at
 * once if not, or if that is full. */
static void others_go_back(void **state)
{
    static void *theirs[ROUNDS + 2];
    const size_t sizes[] = {BYTES, 2048};

    (void)state;
    if (rig_mode != QUIRE_CACHE_EXCHANGE)
        return; /* the kernel says which CPU it is */
    for (unsigned k = 0; k < 2; k++) {
        uint32_t number = rig_class(&rig, sizes[k]);
        unsigned n = k == 0 ? ROUNDS + 1 : 4;
        uint64_t cached;
        void *mine[2];

        rig_cpu = 0;
        for (unsigned i = 0; i <= n; i++)
            theirs[i] = rig_alloc(&rig, sizes[k]);
        rig_cpu = 1;
        mine[0] = rig_alloc(&rig, sizes[k]);
        cached = rig_stats(&rig, number, 0).cached;
        for (unsigned i = 0; i < n; i++)
            give(theirs[i]);
        assert_int_equal(rig_stats(&rig, number, 0).cached - cached, k == 0 ? 1 : 0);
        for (unsigned i = 0; i < n; i++)
            assert_error(quire_heap_free(&rig.heap, theirs[i]), QUIRE_ERR_DOUBLE_FREE);
        give(theirs[n]); /* one overflow does not open the magazine */
        mine[1] = rig_alloc(&rig, sizes[k]);
        assert_false(rig_is_one_of(mine[1], theirs, n + 1));
        give(mine[0]); /* its own it keeps */
        assert_ptr_equal(rig_alloc(&rig, sizes[k]), mine[0]);
        give(mine[0]);
        give(mine[1]);
        assert_int_equal(rig_used(&rig), 0);
    }
}

/* One that has freed more than it allocates keeps what it frees, whoever had it, until it needs a
 * refill again. */
static void others_stay(void **state)
{
    static void *mine[2 * ROUNDS];
    void *theirs[2], *next;

    (void)state;
    if (rig_mode != QUIRE_CACHE_EXCHANGE)
        return; /* the kernel says which CPU it is */
    theirs[0] = rig_alloc(&rig, BYTES);
    theirs[1] = rig_alloc(&rig, BYTES);
    rig_cpu = 1;
    for (unsigned turn = 0; turn < 2; turn++) {
        for (unsigned i = 0; i < 2 * ROUNDS; i++)
            mine[i] = rig_alloc(&rig, BYTES);
        if (turn == 1)
            break;
        for (unsigned i = 0; i < 2 * ROUNDS; i++)
            give(mine[i]);
        give(theirs[0]);
        assert_ptr_equal(rig_alloc(&rig, BYTES), theirs[0]);
    }
    give(theirs[1]); /* the magazine was refilled since: it does not take it */
    next = rig_alloc(&rig, BYTES);
    assert_ptr_not_equal(next, theirs[1]);
    give(next);
    for (unsigned i = 0; i < 2 * ROUNDS; i++)
        give(mine[i]);
    give(theirs[0]);
    assert_int_equal(rig_used(&rig), 0);
}

/* A consumer that once allocated an object keeps what it frees all the same, from the second
 * overflow of its remote magazine on. Of what is freed in bulk its magazine takes what it would
 * take one by one. */
static void consumer_that_allocated(void **state)
{
    static void *theirs[3 * ROUNDS];
    void *mine, *next;

    (void)state;
    if (rig_mode != QUIRE_CACHE_EXCHANGE)
        return; /* the kernel says which CPU it is */
    for (unsigned i = 0; i < 3 * ROUNDS; i++)
        theirs[i] = rig_alloc(&rig, BYTES);
    rig_cpu = 1;
    mine = rig_alloc(&rig, BYTES);
    assert_ok(quire_heap_free_bulk(&rig.heap, theirs, 4, NULL));
    next = rig_alloc(&rig, BYTES);
    assert_false(rig_is_one_of(next, theirs, 4));
    give(next);
    for (unsigned i = 4; i < 3 * ROUNDS - 4; i++)
        give(theirs[i]);
    next = rig_alloc(&rig, BYTES);
    assert_ptr_equal(next, theirs[3 * ROUNDS - 5]);
    give(next);
    assert_ok(quire_heap_free_bulk(&rig.heap, &theirs[3 * ROUNDS - 4], 4, NULL));
    next = rig_alloc(&rig, BYTES);
    assert_true(rig_is_one_of(next, &theirs[3 * ROUNDS - 4], 4));
    give(next);
    give(mine);
    assert_int_equal(rig_used(&rig), 0);
}

/* By bulk, more than a magazine, in and out, and of several classes in one call. */
static void bulks(void **state)
{
    struct quire_heap_request request = {BYTES, 0, 0, {0}};
    void *objects[5 * ROUNDS];
    size_t bad = 1;

    (void)state;
    for (unsigned turn = 0; turn < 3; turn++) {
        assert_ok(quire_heap_alloc_bulk(&rig.heap, &request, 5 * ROUNDS, objects));
        for (unsigned i = 0; i < 5 * ROUNDS; i++)
            memset(objects[i], (int)i, BYTES);
        for (unsigned i = 0; i < 5 * ROUNDS; i++)
            assert_int_equal(*(unsigned char *)objects[i], i & 0xff);
        assert_int_equal(rig_used(&rig), 5 * ROUNDS);
        assert_ok(quire_heap_free_bulk(&rig.heap, objects, 5 * ROUNDS, &bad));
        assert_int_equal(rig_used(&rig), 0);
        assert_error(quire_heap_free_bulk(&rig.heap, objects, 5 * ROUNDS, &bad),
                     QUIRE_ERR_DOUBLE_FREE);
    }
    for (unsigned i = 0; i < ROUNDS; i++)
        objects[i] = rig_alloc(&rig, i % 3 == 0 ? 64 : i % 3 == 1 ? 3000 : 20000);
    assert_ok(quire_heap_free_bulk(&rig.heap, objects, ROUNDS, &bad));
    assert_int_equal(rig_used(&rig), 0);
}

static unsigned constructed;

static void construct(void *ctx, void *object)
{
    (void)ctx;
    constructed++;
    memset(object, 0x3c, 200);
}

/* An object is constructed once, whatever magazine it lies in, and the end of its cache is exact.
 */
static void object_caches(void **state)
{
    struct quire_heap_cache_config config = {.name = "thing", .bytes = 200, .construct = construct};
    struct quire_heap_cache cache;
    void *objects[3 * ROUNDS];
    uint64_t leaked = 9;

    (void)state;
    constructed = 0;
    assert_ok(quire_heap_cache_create(&rig.heap, &config, &cache));
    for (unsigned i = 0; i < 3 * ROUNDS; i++)
        assert_ok(quire_heap_cache_alloc(&cache, 0, (quire_near){0}, &objects[i]));
    for (unsigned turn = 0; turn < 20; turn++) {
        for (unsigned i = 0; i < ROUNDS; i++)
            assert_ok(quire_heap_cache_free(&cache, objects[i]));
        if (rig_mode == QUIRE_CACHE_EXCHANGE)
            rig_cpu = turn % RIG_CPUS;
        for (unsigned i = 0; i < ROUNDS; i++) {
            assert_ok(quire_heap_cache_alloc(&cache, 0, (quire_near){0}, &objects[i]));
            assert_int_equal(((unsigned char *)objects[i])[199], 0x3c);
        }
    }
    assert_int_equal(constructed, rig_stats(&rig, cache.number, QUIRE_NO_NODE).objects);
    for (unsigned i = 1; i < 3 * ROUNDS; i++)
        assert_ok(quire_heap_cache_free(&cache, objects[i]));
    assert_error(quire_heap_cache_free(&cache, objects[1]), QUIRE_ERR_DOUBLE_FREE);
    assert_error(quire_heap_cache_destroy(&cache, &leaked), QUIRE_ERR_BUSY);
    assert_int_equal(leaked, 1);
    assert_ok(quire_heap_cache_free(&cache, objects[0]));
    assert_ok(quire_heap_cache_destroy(&cache, &leaked));
    assert_int_equal(leaked, 0);
}

/* Who ends an object cache in the middle of another call: when that has asked `calls_before` times
 * which CPU it is on. A call asks when it has cleared an object's bit, and the slab is empty. */
static struct quire_heap_cache ended;
static unsigned calls_before;
static int end_error; /* of the end; before there was one: 1 */

static uint32_t tell_cpu_and_end(void *ctx)
{
    uint64_t leaked = 9;

    (void)ctx;
    if (end_error != 1 || calls_before-- > 0)
        return rig_cpu;
    end_error = quire_heap_cache_destroy(&ended, &leaked);
    if (end_error)
        assert_int_equal(leaked, 0);
    return rig_cpu;
}

enum flush { BY_TRIM, BY_REFUSAL, BY_OVERFLOW, FLUSHES };

static void flush(enum flush how, void *objects[])
{
    void *none;

    if (how == BY_TRIM)
        (void)quire_heap_trim(&rig.heap);
    else if (how == BY_REFUSAL)
        assert_error(quire_heap_alloc(&rig.heap, 20000, 0, &none), QUIRE_ERR_NO_MEMORY);
    else
        for (unsigned i = 0; i < ROUNDS; i++)
            give(objects[i]);
}

/* An object of a cache lies in the remote magazine, or in the class's own; a call that is not about
 * it flushes that, and beside it the cache ends, or is told to be busy. What the end said; 1: it
 * did not come. */
static int end_beside(enum flush how, bool remote, unsigned calls)
{
    struct quire_heap_cache_config config = {.name = "ended", .bytes = 512};
    struct quire_heap_request there = {BYTES, 0, 0, quire_near_of(quire_node_of(1))};
    void *objects[ROUNDS], *object;
    uint64_t leaked = 9;
    int error;

    rig_machine(&rig);
    rig.config.port.cpu = tell_cpu_and_end;
    end_error = 0;
    rig_heap(&rig);
    assert_ok(quire_heap_cache_create(&rig.heap, &config, &ended));
    for (unsigned i = 0; i < ROUNDS; i++)
        assert_ok(quire_heap_request(&rig.heap, &there, &objects[i]));
    assert_ok(quire_heap_cache_alloc(&ended, 0, quire_near_of(quire_node_of(remote)), &object));
    assert_ok(quire_heap_cache_free(&ended, object));
    rig_grants = 0;
    calls_before = calls;
    end_error = 1;
    flush(how, objects);
    error = end_error;
    end_error = 0;
    if (error)
        assert_ok(quire_heap_cache_destroy(&ended, &leaked));
    for (unsigned i = 0; how != BY_OVERFLOW && i < ROUNDS; i++)
        give(objects[i]);
    rig_close(&rig);
    return error;
}

static void end_beside_flush(void **state)
{
    (void)state;
    if (rig_mode != QUIRE_CACHE_EXCHANGE)
        return; /* rseq mode asks no port */
    for (unsigned how = BY_TRIM; how < FLUSHES; how++)
        for (unsigned remote = how == BY_OVERFLOW; remote < 2; remote++) {
            unsigned calls = 0, busy = 0;
            int error;

            while ((error = end_beside((enum flush)how, remote, calls++)) != 1) {
                assert_true(error == 0 || error == QUIRE_ERR_BUSY);
                /* A trim, or a refusal's, asks for the first time in the middle of the flush. */
                assert_true(how == BY_OVERFLOW || calls > 1 || error == QUIRE_ERR_BUSY);
                busy += error != 0;
            }
            assert_true(busy > 0); /* in the middle of the flush */
        }
}

/* Slabs of more than 128 objects have two descriptors (HE3), also when object caches
 * come and go with them. */
static void descriptors_in_a_row(void **state)
{
    void *small[256], *other[64];
    struct quire_heap_cache_config config = {.name = "small", .bytes = 16};
    struct quire_heap_cache cache;
    void *object[3];
    uint64_t leaked;

    (void)state;
    rig_machine(&rig);
    rig.config.slabs = 4;
    rig_heap(&rig);
    object[0] = rig_alloc(&rig, 64);
    for (unsigned turn = 0; turn < 3; turn++) {
        assert_ok(quire_heap_cache_create(&rig.heap, &config, &cache));
        assert_ok(quire_heap_cache_alloc(&cache, 0, (quire_near){0}, &object[1]));
        assert_error(quire_heap_alloc(&rig.heap, 16, 0, &object[2]), QUIRE_ERR_FULL);
        assert_ok(quire_heap_cache_free(&cache, object[1]));
        assert_ok(quire_heap_cache_destroy(&cache, &leaked));
    }
    give(object[0]);
    rig_close(&rig);
    /* Each object has a mark of its own, those of other slabs too. */
    rig_open(&rig);
    for (unsigned i = 0; i < 256; i++)
        small[i] = rig_alloc(&rig, 16);
    for (unsigned i = 0; i < 64; i++)
        other[i] = rig_alloc(&rig, 64);
    for (unsigned i = 0; i < 256; i++)
        give(small[i]);
    for (unsigned i = 0; i < 64; i++)
        give(other[i]);
    rig_close(&rig);
}

/* After a mixed load the slabs have at most 1.15 times the bytes that are asked for, here where all
 * is 24 MiB, of 37 classes with some slabs each that are not full (less of 100 MiB); and when all
 * is free, and trimmed, the machine has what it had. */
static void little_is_wasted(void **state)
{
    enum { OBJECTS = 12000, REPLACED = 60000, PERCENT = 115 };
    static struct {
        void *at;
        size_t bytes;
    } live[OBJECTS];
    uint64_t random = 5, asked = 0, frames = 0;

    (void)state;
    for (unsigned i = 0; i < OBJECTS + REPLACED; i++) {
        size_t k = i < OBJECTS ? i : (size_t)random_below(&random, OBJECTS);

        if (live[k].at)
            give(live[k].at);
        asked -= live[k].bytes;
        live[k].bytes = 16 + (size_t)random_below(&random, 4081);
        asked += live[k].bytes;
        live[k].at = rig_alloc(&rig, live[k].bytes);
    }
    for (uint32_t i = 0; i < QUIRE_HEAP_CLASSES; i++)
        frames += rig_stats(&rig, i, QUIRE_NO_NODE).frames;
    print_message("in use over asked for: %.3f\n",
                  (double)frames * QUIRE_FRAME_SIZE / (double)asked);
    assert_true(frames * QUIRE_FRAME_SIZE * 100 <= asked * PERCENT);
    for (unsigned i = 0; i < OBJECTS; i++) {
        give(live[i].at);
        live[i].at = NULL;
        live[i].bytes = 0;
    }
    (void)quire_heap_trim(&rig.heap);
    assert_int_equal(rig_free_frames(&rig), rig.free_start);
}

static void bad_rounds(void **state)
{
    size_t bytes, none;

    (void)state;
    rig_machine(&rig);
    rig.config.rounds = QUIRE_HEAP_NO_MAGAZINES;
    assert_ok(quire_heap_size(&rig.config, &none));
    rig.config.rounds = 512;
    assert_ok(quire_heap_size(&rig.config, &bytes));
    assert_true(bytes > none);
    rig.config.rounds = 514;
    assert_error(quire_heap_size(&rig.config, &bytes), QUIRE_ERR_SIZE);
    rig.config.rounds = 7;
    assert_error(quire_heap_size(&rig.config, &bytes), QUIRE_ERR_SIZE);
    rig.config.rounds = 2;
    rig.config.mode = (enum quire_cache_mode)77;
    assert_error(quire_heap_size(&rig.config, &bytes), QUIRE_ERR_SIZE);
    rig.config.mode = QUIRE_CACHE_LOCAL;
    assert_error(quire_heap_size(&rig.config, &bytes), QUIRE_ERR_UNSUPPORTED);
    rig.config.mode = QUIRE_CACHE_EXCHANGE;
    rig_heap(&rig);
    for (unsigned i = 0; i < 100; i++)
        give(rig_alloc(&rig, 1 + 100 * i));
    rig_close(&rig);
}

IN_RIG(told_wherever_it_lies)
IN_RIG(counted_apart)
IN_RIG(no_false_refusal)
IN_RIG(frees_go_back)
IN_RIG(others_go_back)
IN_RIG(others_stay)
IN_RIG(consumer_that_allocated)
IN_RIG(bulks)
IN_RIG(object_caches)

/* With as many rounds as there are by default. */
static void little_is_wasted_in_rig(void **state)
{
    rig_rounds = 0;
    rig_open(&rig);
    little_is_wasted(state);
    rig_close(&rig);
    rig_rounds = ROUNDS;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(told_wherever_it_lies_in_rig),
        cmocka_unit_test(counted_apart_in_rig),
        cmocka_unit_test(no_false_refusal_in_rig),
        cmocka_unit_test(frees_go_back_in_rig),
        cmocka_unit_test(others_go_back_in_rig),
        cmocka_unit_test(others_stay_in_rig),
        cmocka_unit_test(consumer_that_allocated_in_rig),
        cmocka_unit_test(bulks_in_rig),
        cmocka_unit_test(object_caches_in_rig),
        cmocka_unit_test(little_is_wasted_in_rig),
        cmocka_unit_test(freed_objects_of_the_reserve_wait_nowhere),
        cmocka_unit_test(end_beside_flush),
        cmocka_unit_test(descriptors_in_a_row),
        cmocka_unit_test(bad_rounds),
    };
    int failed = 0;

    for (unsigned i = 0; i < RIG_MODES; i += 2) {
        const char *name = rig_mode_set(i);

        rig_rounds = ROUNDS;
        failed += cmocka_run_group_tests_name(name, tests, NULL, NULL);
    }
    return failed;
}
