/* SPDX-License-Identifier: MIT
 *
 * signals.c - the heap in a signal handler, which stands for an interrupt or NMI: in the middle of
 * whatever its own thread, on the same CPU, is doing in the heap it takes objects, frees those of
 * the handler before it, trims. Each object has a pattern, in the handler and outside.
 */
#include "rig.h"
#include "stress/common/assert.h"
#include "stress/common/random.h"

#include <signal.h>
#include <string.h>
#include <sys/time.h>

enum { HANDLED = 400, CALLS_MOST = 4000000, HELD = 40, KEPT = 3, INTERVAL_US = 200 };

static struct rig rig;
static volatile sig_atomic_t handled, failures;
static unsigned char *kept[KEPT];
static uint64_t state_of_handler = 1;

/* Mostly of few objects a slab, so that slabs come and go. */
static size_t draw_bytes(uint64_t *state)
{
    return (size_t)random_below(state, random_below(state, 4) ? 16384 : 200) + 1;
}

static unsigned char *take(uint64_t *state, unsigned char pattern)
{
    size_t bytes = draw_bytes(state), usable = 0;
    void *object;

    if (quire_heap_alloc(&rig.heap, bytes, QUIRE_NO_CALLBACK, &object) ||
        quire_heap_usable(&rig.heap, object, &usable)) {
        failures++;
        return NULL;
    }
    memset(object, pattern, usable);
    return object;
}

static void give(unsigned char *p, unsigned char pattern)
{
    size_t usable = 0;

    if (!p)
        return;
    if (quire_heap_usable(&rig.heap, p, &usable) || p[0] != pattern || p[usable - 1] != pattern)
        failures++;
    if (quire_heap_free(&rig.heap, p))
        failures++;
}

static void on_signal(int number)
{
    (void)number;
    for (unsigned i = 0; i < KEPT; i++) {
        give(kept[i], 0xaa);
        kept[i] = take(&state_of_handler, 0xaa);
    }
    if (handled % 8 == 0)
        (void)quire_heap_trim(&rig.heap);
    handled++;
}

static void in_the_middle(void **state)
{
    const struct itimerval often = {{0, INTERVAL_US}, {0, INTERVAL_US}}, never = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    unsigned char *held[HELD] = {NULL};
    uint64_t random = 2;

    (void)state;
    handled = 0;
    memset(kept, 0, sizeof kept);
    rig_open(&rig);
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    for (uint32_t calls = 0; handled < HANDLED && calls < CALLS_MOST; calls++) {
        size_t i = (size_t)random_below(&random, HELD);

        give(held[i], 0x55);
        held[i] = random_below(&random, 2) ? take(&random, 0x55) : NULL;
    }
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    for (unsigned i = 0; i < HELD; i++)
        give(held[i], 0x55);
    for (unsigned i = 0; i < KEPT; i++)
        give(kept[i], 0xaa);
    assert_true(handled > 0);
    assert_int_equal(failures, 0);
    rig_close(&rig);
}

/* Once more in a heap that looks for bugs. */
static int watch_all(void **state)
{
    (void)state;
    rig_extras.options = QUIRE_HEAP_DEBUG;
    rig_extras.quarantine = 30;
    handled = 0;
    memset(kept, 0, sizeof kept);
    return 0;
}

/* What follows has nothing besides objects. */
static int watch_none(void **state)
{
    (void)watch_all(state);
    memset(&rig_extras, 0, sizeof rig_extras);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_the_middle),
                                       cmocka_unit_test_setup(in_the_middle, watch_all)};
    int failed = 0;

    for (unsigned i = 0; i < RIG_MODES; i++)
        failed += cmocka_run_group_tests_name(rig_mode_set(i), tests, NULL, watch_none);
    return failed;
}
