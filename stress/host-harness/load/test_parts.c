/* SPDX-License-Identifier: MIT
 *
 * test_parts.c - the histogram against sorted values, and the hand-over table with one and several
 * threads.
 */
#include "parts.h"

#include "host-harness/load/handover.h"
#include "host-harness/load/hist.h"
#include "host-harness/load/random.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { VALUES = 20000, THREADS = 4, PASSES = 50000 };

void hist_is_exact_for_small_values(void **state)
{
    struct hist hist = {0};

    (void)state;
    assert_int_equal(hist_percentile(&hist, 0.5), 0);
    for (uint64_t ns = 0; ns < 64; ns++)
        hist_add(&hist, ns);
    for (uint64_t ns = 0; ns < 64; ns++)
        assert_int_equal(hist_percentile(&hist, (double)(ns + 1) / 64), ns);
    assert_int_equal(hist.max, 63);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* A percentile is never below the true one, and above it by a thirty-second at most. */
void hist_percentiles_agree_with_sorting(void **state)
{
    static const double parts[] = {0.01, 0.5, 0.9, 0.99, 0.999, 0.9999, 1};
    static uint64_t values[VALUES];
    struct hist hist = {0};
    uint64_t random = 1;

    (void)state;
    for (unsigned i = 0; i < VALUES; i++) {
        values[i] = random_next(&random) >> (24 + random_next(&random) % 40);
        hist_add(&hist, values[i]);
    }
    qsort(values, VALUES, sizeof(values[0]), by_value);
    for (unsigned p = 0; p < sizeof(parts) / sizeof(parts[0]); p++) {
        double rank = parts[p] * VALUES;
        unsigned at = (unsigned)rank - ((double)(unsigned)rank >= rank);
        uint64_t got = hist_percentile(&hist, parts[p]);

        assert_true(got >= values[at]);
        assert_true(got - values[at] <= values[at] / 32);
    }
    assert_int_equal(hist.max, values[VALUES - 1]);
}

void hist_merges(void **state)
{
    struct hist one = {0}, two = {0};

    (void)state;
    for (uint64_t ns = 1; ns <= 100; ns++)
        hist_add(ns % 2 ? &one : &two, ns);
    hist_merge(&one, &two);
    assert_int_equal(one.count, 100);
    assert_int_equal(one.max, 100);
    assert_int_equal(hist_percentile(&one, 0.5), 50);
}

void hist_takes_any_value(void **state)
{
    struct hist hist = {0};

    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        hist_add(&hist, 1ull << bit);
        hist_add(&hist, (1ull << bit) - 1);
    }
    hist_add(&hist, UINT64_MAX);
    assert_int_equal(hist.count, 129);
    assert_true(hist_percentile(&hist, 1) >= 1ull << HIST_TOP_BIT);
}

void handover_gives_back_what_it_got(void **state)
{
    const struct handover_run nothing = {0};
    const struct handover_run small = {0, 1, false};
    const struct handover_run large = {(1ull << 40) - 1, (1u << HANDOVER_FRAME_BITS) - 1, true};
    struct handover table;
    struct handover_run got;

    (void)state;
    assert_int_equal(handover_build(&table, 1), 0);
    for (size_t i = 0; i < table.count; i++)
        assert_int_equal(handover_exchange(&table, i, i % 2 ? small : large).frames, 0);
    for (size_t i = 0; i < table.count; i++) {
        const struct handover_run *want = i % 2 ? &small : &large;

        got = handover_exchange(&table, i, nothing);
        assert_int_equal(got.pfn, want->pfn);
        assert_int_equal(got.frames, want->frames);
        assert_int_equal(got.contig, want->contig);
        assert_int_equal(handover_exchange(&table, i, nothing).frames, 0);
    }
    handover_teardown(&table);
}

struct passer {
    struct handover *table;
    pthread_t thread;
    uint64_t first; /* passes runs first .. first + PASSES - 1 */
    unsigned char *seen;
};

static void *pass(void *argument)
{
    struct passer *me = argument;
    uint64_t random = me->first;

    for (uint64_t i = 0; i < PASSES; i++) {
        struct handover_run run = {me->first + i, 1, false};
        struct handover_run got =
            handover_exchange(me->table, random_next(&random) % me->table->count, run);

        if (got.frames)
            me->seen[got.pfn]++; /* plain: a run reaches one thread only */
    }
    return NULL;
}

void handover_loses_nothing_between_threads(void **state)
{
    static unsigned char seen[THREADS * PASSES];
    struct passer passers[THREADS];
    struct handover table;

    (void)state;
    memset(seen, 0, sizeof(seen));
    assert_int_equal(handover_build(&table, THREADS), 0);
    for (unsigned t = 0; t < THREADS; t++) {
        passers[t] = (struct passer){.table = &table, .first = t * PASSES, .seen = seen};
        assert_int_equal(pthread_create(&passers[t].thread, NULL, pass, &passers[t]), 0);
    }
    for (unsigned t = 0; t < THREADS; t++)
        pthread_join(passers[t].thread, NULL);
    for (size_t i = 0; i < table.count; i++) {
        struct handover_run got = handover_exchange(&table, i, (struct handover_run){0});

        if (got.frames)
            seen[got.pfn]++;
    }
    for (unsigned i = 0; i < THREADS * PASSES; i++)
        assert_int_equal(seen[i], 1);
    handover_teardown(&table);
}
