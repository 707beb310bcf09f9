/* SPDX-License-Identifier: MIT
 *
 * slot_reentered.c - a slot that a signal handler re-enters at any instruction of its calls.
 */
#include "stress/common/zone_fixture.h"

#include <signal.h>
#include <stdatomic.h>
#include <time.h>

enum { KEPT = 24, STORM_FRAMES = 6 * BLOCK, STORMS = 4000 };

struct keeper {
    struct quire_zone *zone;
    struct {
        quire_pfn pfn;
        unsigned order;
    } kept[KEPT];
    unsigned count;
    unsigned turn;
};

static struct keeper outside, inside;
static atomic_uint storms;
static atomic_int first_error;

/* Take a run, or give one back; all through slot 0. */
static void churn(struct keeper *k)
{
    static const unsigned char orders[] = {0, 0, 0, 1, 3, 0, 6, 7, 0, 2, 8, 0, 9};
    int error = QUIRE_OK;
    unsigned order = orders[k->turn++ % sizeof orders];
    if (k->count < KEPT && k->turn % 5 != 0) {
        error =
            quire_zone_alloc(k->zone, slot(0), order, QUIRE_NO_CALLBACK, &k->kept[k->count].pfn);
        k->kept[k->count].order = order;
        k->count += error == QUIRE_OK ? 1 : 0;
        error = error == QUIRE_ERR_NO_MEMORY ? QUIRE_OK : error;
    } else if (k->count > 0) {
        unsigned i = k->turn * 7 % k->count;
        error = quire_zone_free(k->zone, slot(0), k->kept[i].pfn, k->kept[i].order);
        k->kept[i] = k->kept[--k->count];
    }
    if (error != QUIRE_OK) {
        atomic_store(&first_error, error);
    }
}

static void on_signal(int signal)
{
    (void)signal;
    churn(&inside);
    churn(&inside);
    churn(&inside);
    (void)atomic_fetch_add(&storms, 1);
}

static void give_back(struct keeper *k)
{
    while (k->count > 0) {
        k->count--;
        assert_ok(
            quire_zone_free(k->zone, slot(0), k->kept[k->count].pfn, k->kept[k->count].order));
    }
}

static void assert_disjoint(void)
{
    bool held[STORM_FRAMES] = {false};
    const struct keeper *const keepers[] = {&outside, &inside};
    for (int k = 0; k < 2; k++) {
        for (unsigned i = 0; i < keepers[k]->count; i++) {
            uint64_t first = keepers[k]->kept[i].pfn.n;
            for (uint64_t n = first; n < first + (UINT64_C(1) << keepers[k]->kept[i].order); n++) {
                assert_false(held[n]);
                held[n] = true;
            }
        }
    }
}

/* A timer interrupts calls of slot 0 with calls of slot 0, until it has hit often enough. */
static void reentered_by_signals(void **state)
{
    (void)state;
    struct fixture f;
    timer_t timer;
    struct sigaction action = {.sa_handler = on_signal};
    struct itimerspec often = {.it_interval = {.tv_nsec = 40000}, .it_value = {.tv_nsec = 40000}};
    const struct itimerspec never = {.it_value = {0}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    fixture_simple(&f, 0, STORM_FRAMES);
    outside = (struct keeper){.zone = &f.zone};
    inside = (struct keeper){.zone = &f.zone};
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    for (int round = 0; round < 20; round++) {
        unsigned due = atomic_load(&storms) + STORMS / 20;
        assert_int_equal(timer_settime(timer, 0, &often, NULL), 0);
        while (atomic_load(&storms) < due) {
            churn(&outside);
        }
        assert_int_equal(timer_settime(timer, 0, &never, NULL), 0);
        assert_int_equal(atomic_load(&first_error), QUIRE_OK);
        assert_disjoint();
    }
    (void)timer_delete(timer);
    assert_int_equal(signal(SIGUSR1, SIG_IGN) == SIG_ERR, 0);
    give_back(&outside);
    give_back(&inside);
    assert_sound(&f, STORM_FRAMES);
    for (int i = 0; i < 6; i++) {
        (void)must_alloc(&f, 9);
    }
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reentered_by_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
