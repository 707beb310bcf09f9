/* SPDX-License-Identifier: MIT
 *
 * test_reclaim.c - memory gets short: the thread reclaims in the background, a request takes the
 * last resort, and neither is called when there is nothing to do.
 */
#include "host_fixture.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

enum { PAGES = 1 << 14 };

/* Pages that can be dropped. */
static struct {
    pthread_mutex_t lock;
    struct quire_host *host;
    void *pages[PAGES];
    unsigned count;
    bool dry; /* nothing is to be had */
    unsigned calls, on_main;
    uint64_t freed;
    pthread_t main;
} stock = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t drop(void *ctx, quire_node node, uint64_t frames)
{
    uint64_t freed = 0;

    assert_ptr_equal(ctx, &stock);
    (void)node;
    pthread_mutex_lock(&stock.lock);
    stock.calls++;
    stock.on_main += pthread_equal(pthread_self(), stock.main) != 0;
    while (!stock.dry && freed < frames && stock.count > 0 &&
           quire_host_free(stock.host, stock.pages[--stock.count], 0) == QUIRE_OK)
        freed++;
    stock.freed += freed;
    pthread_mutex_unlock(&stock.lock);
    return freed;
}

/* How often was it called? The thread in the background may be about to do it. */
static unsigned calls_of(const unsigned *which)
{
    unsigned calls;

    pthread_mutex_lock(&stock.lock);
    calls = *which;
    pthread_mutex_unlock(&stock.lock);
    return calls;
}

static void keep(void *page)
{
    pthread_mutex_lock(&stock.lock);
    assert_true(stock.count < PAGES);
    stock.pages[stock.count++] = page;
    pthread_mutex_unlock(&stock.lock);
}

static void make(bool background, bool last_resort)
{
    const uint64_t bytes[1] = {16 * MIB};
    const struct quire_host_options options = {.node_bytes = bytes,
                                               .node_bytes_count = 1,
                                               .ctx = &stock,
                                               .reclaim = background ? drop : NULL,
                                               .last_resort = last_resort ? drop : NULL};

    stock.main = pthread_self();
    stock.count = stock.calls = stock.on_main = 0;
    stock.freed = 0;
    stock.dry = false;
    assert_int_equal(quire_host_create(&options, &stock.host), QUIRE_OK);
}

/* Wait until the background thread brought the zone back to high; true if it did within 5 s. The
 * caller may have taken a few frames since it was there. */
static bool recovers(void)
{
    struct quire_host_arena arena;
    struct quire_zone_stats stats;

    assert_int_equal(quire_host_arena(stock.host, 0, &arena), QUIRE_OK);
    for (unsigned i = 0; i < 500; i++) {
        quire_zone_stats(arena.zone, &stats);
        if (stats.free > (stats.low + stats.high) / 2)
            return true;
        usleep(10000);
    }
    return false;
}

static void in_the_background(void **state)
{
    struct quire_host_stats stats;

    (void)state;
    make(true, false);
    for (unsigned round = 0; round < 3; round++) {
        unsigned calls = calls_of(&stock.calls);

        /* Fill until the thread was called: the zone is never asked for more than it has. */
        for (unsigned i = 0; i < 2 * PAGES; i++) {
            void *page;

            if (quire_host_alloc(stock.host, 0, QUIRE_MOVABLE, &page) != QUIRE_OK) {
                usleep(1000);
                continue;
            }
            keep(page);
            if (calls_of(&stock.calls) > calls + 1)
                break;
        }
        assert_true(recovers());
        assert_true(calls_of(&stock.calls) > calls);
    }
    quire_host_stats(stock.host, &stats);
    assert_true(stats.wakeups >= 3);
    assert_int_equal(stats.last_resorts, 0);
    assert_int_equal(calls_of(&stock.on_main), 0);
    quire_host_destroy(stock.host);
}

/* The program has nothing to give for a while, and later it has: no new crossing is needed. */
static void later(void **state)
{
    struct quire_host_stats stats;
    void *page;

    (void)state;
    make(true, false);
    stock.dry = true;
    while (quire_host_alloc(stock.host, 0, QUIRE_MOVABLE, &page) == QUIRE_OK)
        keep(page);
    usleep(100000);
    quire_host_stats(stock.host, &stats);
    assert_true(stats.reclaims >= 2);
    assert_int_equal(stats.reclaimed, 0);
    pthread_mutex_lock(&stock.lock);
    stock.dry = false;
    pthread_mutex_unlock(&stock.lock);
    assert_true(recovers());
    quire_host_stats(stock.host, &stats);
    assert_true(stats.reclaimed > 0);
    quire_host_destroy(stock.host);
}

static void last_resort(void **state)
{
    struct quire_host_stats stats;
    void *page;

    (void)state;
    make(false, true);
    for (unsigned i = 0; i < PAGES; i++) { /* four times what there is */
        assert_int_equal(quire_host_alloc(stock.host, 0, QUIRE_MOVABLE, &page), QUIRE_OK);
        keep(page);
    }
    quire_host_stats(stock.host, &stats);
    assert_int_equal(stats.wakeups > 0 ? stats.reclaims : 0, 0);
    assert_true(stats.last_resorts > 0);
    assert_int_equal(stats.last_resorts, stock.calls);
    assert_int_equal(stats.last_resort_frames, stock.freed);
    assert_int_equal(stock.on_main, stock.calls);
    /* Not for those who must not be called back. */
    while (quire_host_alloc(stock.host, 0, QUIRE_NO_CALLBACK, &page) == QUIRE_OK)
        keep(page);
    assert_int_equal(stats.last_resorts, stock.calls);
    quire_host_destroy(stock.host);
}

static void nothing_to_do(void **state)
{
    struct quire_host_stats stats;
    void *page;

    (void)state;
    make(true, true);
    for (unsigned i = 0; i < 100000; i++) {
        assert_int_equal(quire_host_alloc(stock.host, 0, 0, &page), QUIRE_OK);
        assert_int_equal(quire_host_free(stock.host, page, 0), QUIRE_OK);
    }
    quire_host_stats(stock.host, &stats);
    assert_int_equal(stats.wakeups, 0);
    assert_int_equal(stock.calls, 0);
    quire_host_destroy(stock.host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_the_background),
        cmocka_unit_test(later),
        cmocka_unit_test(last_resort),
        cmocka_unit_test(nothing_to_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
