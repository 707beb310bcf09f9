/* SPDX-License-Identifier: MIT
 *
 * test_guard.c - white-box: a waiter waits for readers of both kinds, for those that are inside and
 * for no others; what it gives back is not read any more.
 */
#include "host-harness/lib/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { READERS = 3, ROUNDS = 300 };

static struct guard guard;
static qa32 inside, go, done;

static void *read_once(void *registered)
{
    uint32_t token;

    if (registered)
        quire_guard_thread_enter();
    token = quire_guard_enter(&guard, 5);
    qa_store(&inside, 1, release); /* G1 release: pairs G1 */
    while (!qa_load(&go, acquire)) /* G1 acquire: pairs G1 */
        usleep(100);
    quire_guard_leave(&guard, token);
    if (registered)
        (void)quire_guard_thread_leave();
    return NULL;
}

static void *wait_once(void *unused)
{
    quire_guard_wait(&guard);
    qa_store(&done, 1, release); /* G1 release: pairs G1 */
    return unused;
}

static void waits_for(bool registered)
{
    pthread_t reader, waiter;

    qa_store(&inside, 0, relaxed); /* relaxed: before the threads are made */
    qa_store(&go, 0, relaxed);     /* relaxed: as above */
    qa_store(&done, 0, relaxed);   /* relaxed: as above */
    assert_int_equal(pthread_create(&reader, NULL, read_once, registered ? (void *)&guard : NULL),
                     0);
    while (!qa_load(&inside, acquire)) /* G1 acquire: pairs G1 */
        usleep(100);
    assert_int_equal(pthread_create(&waiter, NULL, wait_once, NULL), 0);
    usleep(100000);
    assert_int_equal(qa_load(&done, acquire), 0); /* G1 acquire: pairs G1 */
    qa_store(&go, 1, release);                    /* G1 release: pairs G1 */
    pthread_join(waiter, NULL);
    pthread_join(reader, NULL);
}

static void both_kinds(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) { /* in either phase */
        waits_for(false);
        waits_for(true);
    }
}

static void nested(void **state)
{
    uint32_t outer, inner;

    (void)state;
    for (unsigned registered = 0; registered < 2; registered++) {
        outer = quire_guard_enter(&guard, 1);
        inner = quire_guard_enter(&guard, 65);
        quire_guard_leave(&guard, inner);
        quire_guard_leave(&guard, outer);
        quire_guard_wait(&guard); /* nobody is inside */
        if (!registered)
            quire_guard_thread_enter();
    }
    /* A reader that entered unregistered leaves the way it came. */
    (void)quire_guard_thread_leave();
    outer = quire_guard_enter(&guard, 1);
    quire_guard_thread_enter();
    quire_guard_leave(&guard, outer);
    quire_guard_wait(&guard);
    assert_true(quire_guard_thread_leave());
    assert_false(quire_guard_thread_leave());
}

/* A snapshot: what is given back is overwritten first. */
struct snapshot {
    uint64_t left, right;
};

static struct {
    struct snapshot *v;
} published;

static void *read_often(void *registered)
{
    unsigned long wrong = 0;

    if (registered)
        quire_guard_thread_enter();
    while (!qa_load(&go, relaxed)) { /* relaxed: the end of the test */
        uint32_t token = quire_guard_enter(&guard, (uint32_t)wrong + 3);
        struct snapshot *s = qa_load(&published, acquire); /* G2 acquire: pairs G2 */

        wrong += s->left + s->right != 100;
        quire_guard_leave(&guard, token);
    }
    if (registered)
        (void)quire_guard_thread_leave();
    return (void *)(uintptr_t)wrong;
}

static void no_reader_sees_what_was_given_back(void **state)
{
    pthread_t readers[READERS];

    (void)state;
    published.v = calloc(1, sizeof(*published.v));
    published.v->left = 100;
    qa_store(&go, 0, relaxed); /* relaxed: before the threads are made */
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(
            pthread_create(&readers[i], NULL, read_often, i % 2 ? (void *)&guard : NULL), 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct snapshot *next = calloc(1, sizeof(*next)), *old = published.v;

        next->left = i % 100;
        next->right = 100 - i % 100;
        qa_store(&published, next, release); /* G2 release: pairs G2 */
        quire_guard_wait(&guard);
        old->left = old->right = 0;
        free(old);
    }
    qa_store(&go, 1, relaxed); /* relaxed: as above */
    for (unsigned i = 0; i < READERS; i++) {
        void *wrong;

        pthread_join(readers[i], &wrong);
        assert_int_equal((uintptr_t)wrong, 0);
    }
    free(published.v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_kinds),
        cmocka_unit_test(nested),
        cmocka_unit_test(no_reader_sees_what_was_given_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
