/* SPDX-License-Identifier: MIT
 *
 * stopwatch.c - the monotonic clock, or callgrind's switch. State: `counting`, set once before
 * any worker exists, read only afterwards.
 */
#include "stopwatch.h"

#include <time.h>
#ifdef QUIRE_BENCH_CALLGRIND
#include <valgrind/callgrind.h>
#endif

static bool counting;

uint64_t stopwatch_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

bool stopwatch_can_count(void)
{
#ifdef QUIRE_BENCH_CALLGRIND
    return true;
#else
    return false;
#endif
}

bool stopwatch_under_valgrind(void)
{
#ifdef QUIRE_BENCH_CALLGRIND
    return RUNNING_ON_VALGRIND != 0;
#else
    return false;
#endif
}

void stopwatch_count_mode(void)
{
    counting = true;
}

static void count_toggle(void)
{
#ifdef QUIRE_BENCH_CALLGRIND
    CALLGRIND_TOGGLE_COLLECT;
#endif
}

void stopwatch_count_dump(const char *label)
{
#ifdef QUIRE_BENCH_CALLGRIND
    CALLGRIND_DUMP_STATS_AT(label);
#else
    (void)label;
#endif
}

void stopwatch_start(struct stopwatch *watch)
{
    if (counting) {
        count_toggle();
        return;
    }
    watch->since = stopwatch_now_ns();
}

void stopwatch_stop(struct stopwatch *watch, uint64_t ops)
{
    if (counting) {
        count_toggle();
    } else {
        watch->ns += stopwatch_now_ns() - watch->since;
    }
    watch->ops += ops;
}

double stopwatch_overhead_ns(void)
{
    enum { READS = 100000 };
    uint64_t begin = stopwatch_now_ns(), end = begin;

    for (int i = 0; i < READS; i++) {
        end = stopwatch_now_ns();
    }
    return (double)(end - begin) / READS;
}
