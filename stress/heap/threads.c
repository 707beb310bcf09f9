/* SPDX-License-Identifier: MIT
 *
 * threads.c - several CPUs at one heap: each for itself, objects from hand to hand, slabs that run
 * empty under everybody, and a trim beside it all. Each object is written by its owner, without
 * order, from end to end: ThreadSanitizer sees a missing one, and the pattern an object that two
 * have. Of two frees of one object at once, one is told where there are no magazines; where there
 * are, neither loses it. All of it once more in a heap that watches and looks for bugs, with
 * reports beside it; and tags that attack their quota beside one that has none.
 */
#include "rig.h"
#include "stress/common/assert.h"
#include "stress/common/random.h"
#include "stress/common/sanitized.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum {
    THREADS = RIG_NODES * RIG_CPUS,
    ROUNDS = SANITIZED ? 3000 : 30000,
    HELD = 200,
    TABLE = 64,
    QUOTA = 20000,
};

static struct rig rig;
static pthread_barrier_t start;

/* What is passed from hand to hand: an exchange puts one in and takes one out. */
static _Atomic(unsigned char *) table[TABLE];

struct worker {
    unsigned number;
    void (*work)(struct worker *worker);
    uint64_t state;
    unsigned failures;
};

static size_t draw(struct worker *worker, size_t bound)
{
    return (size_t)random_below(&worker->state, bound);
}

static void *run_worker(void *argument)
{
    struct worker *worker = argument;

    rig_cpu = worker->number;
    (void)pthread_barrier_wait(&start);
    worker->work(worker);
    return NULL;
}

static void (*opened)(void); /* what follows, if anything */

static void run_all(void (*work)(struct worker *worker))
{
    struct worker workers[THREADS];
    pthread_t threads[THREADS];

    rig_open(&rig);
    if (opened)
        opened();
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){i, work, random_seed(1, i), 0};
        assert_int_equal(pthread_create(&threads[i], NULL, run_worker, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(workers[i].failures, 0);
}

/* The first two bytes say how long it is, the last is a pattern. */
static unsigned char *take(struct worker *worker)
{
    size_t bytes = 16 + draw(worker, draw(worker, 16) ? 500 : 20000);
    unsigned char *p;
    void *object;

    if (quire_heap_alloc(&rig.heap, bytes, 0, &object)) {
        worker->failures++;
        return NULL;
    }
    p = object;
    memset(p, (int)worker->number, bytes);
    p[0] = (unsigned char)bytes;
    p[1] = (unsigned char)(bytes >> 8);
    p[bytes - 1] = (unsigned char)(p[0] ^ p[1]);
    return p;
}

static void give(struct worker *worker, unsigned char *p)
{
    size_t bytes;

    if (!p)
        return;
    bytes = (size_t)(p[0] | p[1] << 8);
    worker->failures += p[bytes - 1] != (unsigned char)(p[0] ^ p[1]);
    memset(p, 0xee, bytes);
    worker->failures += quire_heap_free(&rig.heap, p) != 0;
}

/* Counts what it can see, and reads all of it. */
static int look(void *ctx, const struct quire_holding *holding)
{
    *(uint64_t *)ctx += holding->bytes > 0 && holding->caller != 0;
    return 0;
}

static void report(struct worker *worker)
{
    struct quire_run all = {{0}, UINT64_MAX};
    uint64_t seen = 0;

    worker->failures += quire_heap_walk(&rig.heap, all, look, &seen) != 0;
}

static void churn(struct worker *worker)
{
    unsigned char *held[HELD] = {NULL};

    for (unsigned i = 0; i < ROUNDS; i++) {
        size_t at = draw(worker, HELD);

        give(worker, held[at]);
        held[at] = draw(worker, 3) ? take(worker) : NULL;
        if (draw(worker, 500) == 0)
            (void)quire_heap_trim(&rig.heap);
        if (rig.config.options && draw(worker, 1000) == 0)
            report(worker);
    }
    for (unsigned i = 0; i < HELD; i++)
        give(worker, held[i]);
}

static void each_for_itself(void **state)
{
    (void)state;
    run_all(churn);
    rig_close(&rig);
}

static void pass(struct worker *worker)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned char *p = draw(worker, 2) ? take(worker) : NULL;

        give(worker,
             atomic_exchange_explicit(&table[draw(worker, TABLE)], p, memory_order_acq_rel));
    }
}

static void from_hand_to_hand(void **state)
{
    struct worker last = {0};

    (void)state;
    run_all(pass);
    for (unsigned i = 0; i < TABLE; i++)
        give(&last, atomic_exchange(&table[i], NULL));
    assert_int_equal(last.failures, 0);
    rig_close(&rig);
}

/* Two objects fill a slab, and all take and give of one bin: slabs are made, filled, emptied and
 * given back all the time. */
static void few_objects(struct worker *worker)
{
    for (unsigned i = 0; i < ROUNDS / 4; i++) {
        struct quire_heap_request request = {16384, 0, 0, quire_near_of(quire_node_of(0))};
        void *objects[3];
        size_t n = 1 + draw(worker, 3);

        for (size_t k = 0; k < n; k++) {
            if (quire_heap_request(&rig.heap, &request, &objects[k])) {
                worker->failures++;
                return;
            }
            memset(objects[k], (int)worker->number, 64);
        }
        for (size_t k = 0; k < n; k++) {
            const unsigned char *p = objects[k];

            worker->failures += p[0] != worker->number || p[63] != worker->number;
            worker->failures += quire_heap_free(&rig.heap, objects[k]) != 0;
        }
        if (i % 16 == 0)
            (void)quire_heap_trim(&rig.heap);
    }
}

static void slabs_that_run_empty(void **state)
{
    (void)state;
    run_all(few_objects);
    rig_close(&rig);
}

/* All free all objects: each object once. */
static void *contested[HELD];
static _Atomic unsigned freed;

static void free_all(struct worker *worker)
{
    unsigned mine = 0;

    for (unsigned i = 0; i < HELD; i++) {
        int error = quire_heap_free(&rig.heap, contested[i]);

        mine += error == 0;
        worker->failures += error && error != QUIRE_ERR_DOUBLE_FREE;
    }
    atomic_fetch_add(&freed, mine);
}

static void twice_at_once(void **state)
{
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    void *keep;

    (void)state;
    freed = 0;
    rig_open(&rig);
    keep = rig_alloc(&rig, 16);
    for (unsigned i = 0; i < HELD; i++)
        contested[i] = rig_alloc(&rig, 16); /* all in one slab, which stays */
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){i, free_all, 1, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, run_worker, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].failures, 0);
    }
    /* With magazines, that look at no map, both may get it; the second is dropped later. */
    if (rig_rounds == QUIRE_HEAP_NO_MAGAZINES)
        assert_int_equal(freed, HELD);
    assert_true(freed >= HELD);
    freed = 0;
    assert_ok(quire_heap_free(&rig.heap, keep));
    rig_close(&rig);
}

/* Object caches made and ended by each, beside objects of the size classes. */
static void write_number(void *ctx, void *object)
{
    memcpy(object, ctx, sizeof(unsigned));
}

static void make_caches(struct worker *worker)
{
    struct quire_heap_cache_config config = {.name = "thread", .bytes = 700};

    config.construct = write_number;
    config.ctx = &worker->number;
    for (unsigned i = 0; i < ROUNDS / 100; i++) {
        struct quire_heap_cache cache;
        void *objects[20];
        uint64_t leaked;

        give(worker, take(worker));
        if (quire_heap_cache_create(&rig.heap, &config, &cache))
            continue; /* others have them all */
        for (unsigned k = 0; k < 20; k++) {
            worker->failures += quire_heap_cache_alloc(&cache, 0, (quire_near){0}, &objects[k]) ||
                                *(const unsigned *)objects[k] != worker->number;
        }
        for (unsigned k = 0; k < 20; k++)
            worker->failures += quire_heap_cache_free(&cache, objects[k]) != 0;
        if (i % 4 == 0)
            (void)quire_heap_trim(&rig.heap);
        while (quire_heap_cache_destroy(&cache, &leaked) == QUIRE_ERR_BUSY)
            worker->failures += leaked != 0;
    }
}

static void caches_come_and_go(void **state)
{
    (void)state;
    run_all(make_caches);
    rig_close(&rig);
}

/* Two threads take with one tag until they are refused, which its quota alone may do: never is more
 * charged. The others' tag has none, and is never refused. */
static uint32_t attackers, others;

static void attack(struct worker *worker)
{
    uint32_t tag = worker->number % 2 ? attackers : others;
    struct quire_heap_tag_stats stats;
    void *held[20];

    for (unsigned i = 0; i < ROUNDS / 20; i++) {
        size_t n = 0, bytes = 16 + draw(worker, 3000);
        int error = 0;

        while (n < 20 && !error)
            error = quire_heap_alloc(&rig.heap, bytes, quire_heap_tag_flag(tag), &held[n++]);
        n -= error != 0;
        worker->failures += error && !(tag == attackers && error == QUIRE_ERR_LIMIT);
        worker->failures += quire_heap_tag_stats(&rig.heap, attackers, &stats) != 0;
        worker->failures += stats.bytes > QUOTA || stats.peak > QUOTA;
        while (n > 0)
            worker->failures += quire_heap_free(&rig.heap, held[--n]) != 0;
    }
}

static void make_tags(void)
{
    struct quire_heap_tag_config config = {.name = "attackers", .quota = QUOTA};

    assert_ok(quire_heap_tag_create(&rig.heap, &config, &attackers));
    config.quota = 0;
    assert_ok(quire_heap_tag_create(&rig.heap, &config, &others));
}

static void quotas_under_attack(void **state)
{
    struct quire_heap_tag_stats stats;

    (void)state;
    rig_extras.tags = 2;
    opened = make_tags;
    run_all(attack);
    opened = NULL;
    assert_ok(quire_heap_tag_stats(&rig.heap, attackers, &stats));
    assert_true(stats.refusals > 0 && stats.bytes == 0 && stats.objects == 0);
    rig_close(&rig);
}

static void nothing_is_wrong(void *ctx, const struct quire_heap_finding *finding)
{
    char text[200];

    (void)ctx;
    if (finding->kind == QUIRE_HEAP_DOUBLE_FREE)
        return; /* on purpose */
    (void)quire_heap_finding_text(finding, text, sizeof text);
    fail_msg("%s", text);
}

static int watch_all(void **state)
{
    (void)state;
    rig_extras.tags = 2;
    rig_extras.options = QUIRE_HEAP_DEBUG;
    rig_extras.quarantine = 30;
    rig_extras.port.report = nothing_is_wrong;
    return 0;
}

/* What follows has nothing besides objects. */
static int watch_none(void **state)
{
    (void)state;
    memset(&rig_extras, 0, sizeof rig_extras);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_for_itself),
        cmocka_unit_test(from_hand_to_hand),
        cmocka_unit_test(slabs_that_run_empty),
        cmocka_unit_test(twice_at_once),
        cmocka_unit_test(caches_come_and_go),
        cmocka_unit_test_teardown(quotas_under_attack, watch_none),
        cmocka_unit_test_setup(each_for_itself, watch_all),
        cmocka_unit_test(from_hand_to_hand),
        cmocka_unit_test(slabs_that_run_empty),
        cmocka_unit_test(twice_at_once),
        cmocka_unit_test(caches_come_and_go),
    };
    int failed = 0;

    (void)pthread_barrier_init(&start, NULL, THREADS);
    for (unsigned i = 0; i < RIG_MODES; i++)
        failed += cmocka_run_group_tests_name(rig_mode_set(i), tests, NULL, watch_none);
    return failed;
}
