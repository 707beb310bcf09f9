/* SPDX-License-Identifier: MIT
 *
 * forks.c - processes forked while other threads allocate and free: each child allocates, frees and
 * destroys its copy, whatever the other threads were doing, and the parent does not notice.
 */
#include "host_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 3, CHILDREN = 40, HELD = 64, CHILD_SECONDS = 30 };

static struct quire_host *host;
static atomic_bool stop;

static void *churn(void *unused)
{
    void *held[HELD] = {0};

    quire_host_thread_enter();
    for (unsigned i = 0; !atomic_load(&stop); i = (i + 1) % HELD) {
        if (held[i] && quire_host_free(host, held[i], i % 4))
            abort();
        if (quire_host_alloc(host, i % 4, 0, &held[i]))
            held[i] = NULL;
    }
    for (unsigned i = 0; i < HELD; i++) {
        if (held[i] && quire_host_free(host, held[i], i % 4))
            abort();
    }
    (void)quire_host_thread_leave();
    return unused;
}

/* In the child: 0 if all is well. */
static int live(void *inherited)
{
    void *pages[512];

    alarm(CHILD_SECONDS); /* it must not hang */
    if (memcmp(inherited, "from the parent", 16) != 0)
        return 1;
    memset(inherited, 0, 16);
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 512; i++) {
            if (quire_host_alloc(host, i % 3, 0, &pages[i]))
                return 2;
            memset(pages[i], 1, (size_t)QUIRE_FRAME_SIZE << i % 3);
        }
        for (unsigned i = 0; i < 512; i++) {
            if (quire_host_free(host, pages[i], i % 3))
                return 3;
        }
    }
    if (quire_host_free(host, inherited, 0))
        return 4;
    quire_host_destroy(host);
    return 0;
}

int main(void)
{
    pthread_t threads[THREADS];
    struct quire_machine_stats stats;
    void *page;
    int failures = 0;

    host = host_of(32 * MIB);
    assert_int_equal(quire_host_alloc(host, 0, 0, &page), QUIRE_OK);
    memcpy(page, "from the parent", 16);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, NULL), 0);
    for (unsigned i = 0; i < CHILDREN; i++) {
        pid_t child = fork();
        int status;

        if (child == 0)
            _exit(live(page));
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
            printf("child %u: status %#x\n", i, child < 0 ? -1u : (unsigned)status);
            failures++;
        }
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    if (memcmp(page, "from the parent", 16) != 0 || quire_host_free(host, page, 0))
        failures++;
    quire_machine_stats(quire_host_machine(host), &stats);
    printf("%d children, %d failures, %llu of %llu frames free\n", CHILDREN, failures,
           (unsigned long long)host_free_frames(host), (unsigned long long)stats.managed);
    failures += host_free_frames(host) != stats.managed;
    quire_host_destroy(host);
    return failures != 0;
}
