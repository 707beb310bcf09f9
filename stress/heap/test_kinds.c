/* SPDX-License-Identifier: MIT
 *
 * test_kinds.c - frames by kind of owner: the machine's calls counted, whoever makes them; the
 * heap's frames among them; reports, and what they say of a wrong kind; threads on one line, and a
 * handler in the middle of its own thread's counts.
 */
#include "rig.h"
#include "stress/common/assert.h"
#include "stress/common/sanitized.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum {
    CPUS = RIG_NODES * RIG_CPUS,
    THREADS = 4,
    ROUNDS = SANITIZED ? 20000 : 200000,
    HANDLED = 200,
    COUNTS_MOST = 100000000,
    INTERVAL_US = 100,
    OBJECTS = 300,
};

static struct rig rig;
static struct quire_kinds_line lines[CPUS];
static int64_t before[QUIRE_KINDS];

static uint32_t tell_cpu(void *ctx)
{
    (void)ctx;
    return rig_cpu;
}

static struct quire_kinds kinds = {.lines = lines, .cpus = CPUS, .cpu = tell_cpu};

static void report(int64_t frames[QUIRE_KINDS])
{
    assert_ok(quire_machine_drain(rig.bringup.machine));
    assert_ok(quire_kinds_report(&kinds, rig.bringup.machine, frames, NULL));
}

static void begin(bool local)
{
    memset(lines, 0, sizeof lines);
    kinds.local = local;
    rig_machine(&rig);
    report(before);
}

static void end(void)
{
    int64_t now[QUIRE_KINDS];

    report(now);
    assert_memory_equal(now, before, sizeof now);
    assert_int_equal(rig_free_frames(&rig), rig.free_start);
    quire_machine_fini(rig.bringup.machine);
    free(rig.memory);
}

static quire_pfn take(unsigned order, enum quire_kind kind)
{
    quire_pfn pfn = {0};

    assert_ok(quire_kinds_alloc(&kinds, rig.bringup.machine, order, 0, kind, &pfn));
    return pfn;
}

static void give(quire_pfn pfn, unsigned order, enum quire_kind kind)
{
    assert_ok(quire_kinds_free(&kinds, rig.bringup.machine, pfn, order, kind));
}

static void counted(bool local)
{
    struct quire_request request = quire_request_of(2, 0);
    int64_t now[QUIRE_KINDS];
    quire_pfn a, b, c, d, batch[8];
    size_t got;

    begin(local);
    a = take(0, QUIRE_KIND_TABLE);
    b = take(9, QUIRE_KIND_USER);
    c = take(0, QUIRE_KIND_NONE);
    assert_ok(quire_kinds_request(&kinds, rig.bringup.machine, &request, QUIRE_KIND_KERNEL + 7, &d,
                                  NULL));
    request.order = 0;
    assert_ok(quire_machine_alloc_batch(rig.bringup.machine, &request, 8, batch, &got, NULL));
    quire_kinds_count(&kinds, QUIRE_KIND_BUFFER, 8);
    report(now);
    assert_int_equal(now[QUIRE_KIND_TABLE], 1);
    assert_int_equal(now[QUIRE_KIND_USER], 512);
    assert_int_equal(now[QUIRE_KIND_BUFFER], 8);
    assert_int_equal(now[QUIRE_KIND_KERNEL + 7], 4);
    assert_int_equal(now[QUIRE_KIND_NONE], before[QUIRE_KIND_NONE] + 1);
    rig_cpu = 3; /* another CPU frees some, and one that there is not the rest */
    give(b, 9, QUIRE_KIND_USER);
    assert_ok(quire_machine_free_batch(rig.bringup.machine, batch, 8, NULL));
    quire_kinds_count_here(&kinds, 3, QUIRE_KIND_BUFFER, -8);
    assert_int_equal(quire_kinds_frames(&kinds, QUIRE_KIND_USER), 0);
    if (!local)
        rig_cpu = CPUS;
    give(d, 2, QUIRE_KIND_KERNEL + 7);
    give(a, 0, QUIRE_KIND_TABLE);
    give(c, 0, QUIRE_KIND_NONE);
    rig_cpu = 0;
    end();
}

static void calls_are_counted(void **state)
{
    (void)state;
    counted(false);
    counted(true);
}

/* What is refused changes no count. */
static void refusals_are_not(void **state)
{
    struct quire_request request = quire_request_of(QUIRE_MAX_ORDER, 0);
    struct quire_machine *machine;
    quire_pfn a, pfn;

    (void)state;
    begin(false);
    machine = rig.bringup.machine;
    assert_error(quire_kinds_alloc(&kinds, machine, QUIRE_MAX_ORDER, 0, QUIRE_KIND_USER, &pfn),
                 QUIRE_ERR_NO_MEMORY);
    assert_error(quire_kinds_request(&kinds, machine, &request, QUIRE_KIND_USER, &pfn, NULL),
                 QUIRE_ERR_NO_MEMORY);
    a = take(3, QUIRE_KIND_STACK);
    assert_error(quire_kinds_free(&kinds, machine, a, 2, QUIRE_KIND_STACK), QUIRE_ERR_ORDER);
    assert_int_equal(quire_kinds_frames(&kinds, QUIRE_KIND_STACK), 8);
    assert_int_equal(quire_kinds_frames(&kinds, QUIRE_KIND_USER), 0);
    give(a, 3, QUIRE_KIND_STACK);
    assert_error(quire_kinds_free(&kinds, machine, a, 3, QUIRE_KIND_STACK), QUIRE_ERR_DOUBLE_FREE);
    end();
}

static void wrong_kinds_are_told(void **state)
{
    int64_t frames[QUIRE_KINDS];
    struct quire_fault fault = {0};
    quire_pfn a;

    (void)state;
    begin(false);
    a = take(4, QUIRE_KIND_PAGE_CACHE);
    give(a, 4, QUIRE_KIND_USER);
    assert_int_equal(quire_kinds_frames(&kinds, QUIRE_KIND_USER), -16);
    assert_error(quire_kinds_report(&kinds, rig.bringup.machine, frames, &fault),
                 QUIRE_ERR_DAMAGED);
    assert_int_equal(fault.where, QUIRE_KIND_USER);
    assert_int_equal(fault.found, 16);
    assert_int_equal(fault.error, QUIRE_ERR_DAMAGED);
    assert_error(quire_kinds_report(&kinds, rig.bringup.machine, frames, NULL), QUIRE_ERR_DAMAGED);
    quire_kinds_count(&kinds, QUIRE_KIND_USER, 16);
    /* Too many of a kind are more than the machine has in use. */
    quire_kinds_count(&kinds, QUIRE_KIND_PAGE_CACHE, before[QUIRE_KIND_NONE]);
    assert_error(quire_kinds_report(&kinds, rig.bringup.machine, frames, &fault),
                 QUIRE_ERR_DAMAGED);
    assert_int_equal(fault.where, QUIRE_KIND_NONE);
    quire_kinds_count(&kinds, QUIRE_KIND_PAGE_CACHE, -16 - before[QUIRE_KIND_NONE]);
    end();
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(quire_kind_name(QUIRE_KIND_NONE), "others");
    assert_string_equal(quire_kind_name(QUIRE_KIND_TABLE), "page tables");
    assert_string_equal(quire_kind_name(QUIRE_KIND_STACK), "stacks");
    assert_null(quire_kind_name(QUIRE_KIND_KERNEL));
}

/* ---- A heap's frames ----------------------------------------------------------------------- */

static void is_as_the_heap_says(void)
{
    struct quire_heap_totals totals;

    assert_ok(quire_heap_totals(&rig.heap, &totals));
    assert_int_equal(quire_kinds_frames(&kinds, QUIRE_KIND_SLAB), totals.frames);
}

/* Slabs, runs, a reserve, requests that are refused at each step: what the heap has is counted. */
static void heaps_are_counted(void **state)
{
    void *objects[OBJECTS] = {NULL};
    unsigned held = 0;

    (void)state;
    begin(false);
    rig.config.kinds = &kinds;
    rig.config.reserve = 2;
    rig_heap(&rig);
    assert_int_equal(quire_kinds_frames(&kinds, QUIRE_KIND_SLAB), 16);
    for (unsigned i = 0; i < OBJECTS; i++) {
        rig_grants = i % 3 ? UINT32_MAX : i % 2;
        rig_cpu = i % CPUS;
        held += !quire_heap_alloc(&rig.heap, 1 + i * i % 40000, i % 5 ? 0 : QUIRE_EMERGENCY,
                                  &objects[i]);
        is_as_the_heap_says();
    }
    rig_grants = UINT32_MAX;
    assert_true(held > OBJECTS / 2 && held < OBJECTS);
    for (unsigned i = 0; i < OBJECTS; i++) {
        rig_cpu = i * 7 % CPUS;
        if (objects[i])
            assert_ok(quire_heap_free(&rig.heap, objects[i]));
        is_as_the_heap_says();
    }
    (void)quire_heap_trim(&rig.heap);
    is_as_the_heap_says();
    assert_int_equal(quire_heap_unreserve(&rig.heap), 2);
    assert_int_equal(quire_kinds_frames(&kinds, QUIRE_KIND_SLAB), 0);
    rig_cpu = 0;
    free(rig.room);
    end();
}

/* ---- At once ------------------------------------------------------------------------------- */

static void *count_up_and_down(void *argument)
{
    (void)argument;
    rig_cpu = 1; /* all believe to be on one CPU */
    for (unsigned i = 0; i < ROUNDS; i++) {
        quire_kinds_count(&kinds, QUIRE_KIND_USER, 3);
        quire_kinds_count(&kinds, QUIRE_KIND_TABLE, -1);
    }
    return NULL;
}

/* Threads that may be moved at any moment: a count is lost by none. */
static void threads_lose_no_count(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    memset(lines, 0, sizeof lines);
    kinds.local = false;
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up_and_down, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(quire_kinds_frames(&kinds, QUIRE_KIND_USER), 3 * THREADS * ROUNDS);
    assert_int_equal(quire_kinds_frames(&kinds, QUIRE_KIND_TABLE), -(int64_t)THREADS * ROUNDS);
}

static volatile sig_atomic_t handled;

static void on_signal(int number)
{
    (void)number;
    quire_kinds_count(&kinds, QUIRE_KIND_USER, 1);
    handled++;
}

/* An interrupt counts in the middle of a count on its own CPU. */
static void handlers_lose_no_count(void **state)
{
    const struct itimerval often = {{0, INTERVAL_US}, {0, INTERVAL_US}}, never = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    int64_t counts = 0;

    (void)state;
    memset(lines, 0, sizeof lines);
    kinds.local = true;
    handled = 0;
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    while (handled < HANDLED && counts < COUNTS_MOST) {
        quire_kinds_count_here(&kinds, 0, QUIRE_KIND_USER, 2);
        counts++;
    }
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_true(handled > 0);
    assert_int_equal(quire_kinds_frames(&kinds, QUIRE_KIND_USER), 2 * counts + handled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_counted),      cmocka_unit_test(refusals_are_not),
        cmocka_unit_test(wrong_kinds_are_told),   cmocka_unit_test(names),
        cmocka_unit_test(heaps_are_counted),      cmocka_unit_test(threads_lose_no_count),
        cmocka_unit_test(handlers_lose_no_count),
    };

    return cmocka_run_group_tests_name("heap_kinds", tests, NULL, NULL);
}
