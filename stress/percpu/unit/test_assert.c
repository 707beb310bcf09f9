/* SPDX-License-Identifier: MIT
 *
 * test_assert.c - the asserts of a checked build notice a CPU cache that breaks K1, K4 or K5 of
 * cpu_cache.h when it is put back. White-box: a child breaks it by hand and must die of it, and one
 * that leaves it as it is must not.
 */
#include "unit.h"

#include "percpu/fastpath.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void leave(struct cpu_cache *r)
{
    (void)r;
}

static void put_twice(struct cpu_cache *r)
{
    cpu_cache_put(r);
}

static void too_many(struct cpu_cache *r)
{
    qa_store(&r->count, 2ull * r->half + 1, relaxed); /* relaxed: one thread */
}

static void too_many_outgoing(struct cpu_cache *r)
{
    qa_store(&r->out, r->half + 1, relaxed); /* relaxed: one thread */
}

static void half_a_limit(struct cpu_cache *r)
{
    qa_store(&r->limit, r->half, relaxed); /* relaxed: one thread */
}

static void no_refill(struct cpu_cache *r)
{
    r->refill = 0;
}

/* How a child ends that takes a CPU cache, breaks it and puts it back: the signal, or 0. */
static int end_of(const struct rig *r, void (*damage)(struct cpu_cache *))
{
    struct cpu_cache *cpu_cache = cpu_cache_of(&r->cache, 0, CACHE_UNMOVABLE);
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        (void)signal(SIGABRT, SIG_DFL); /* cmocka has it */
        (void)close(STDERR_FILENO);     /* what it says is not what this test prints */
        if (!qi_cpu_cache_steal(cpu_cache))
            _exit(1);
        damage(cpu_cache);
        cpu_cache_put(cpu_cache);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void broken_by_hand(void **unused)
{
    static void (*const damages[])(struct cpu_cache *) = {put_twice, too_many, too_many_outgoing,
                                                          half_a_limit, no_refill};
    struct rig r;

    (void)unused;
    rig_begin(&r, 64 * BLOCK);
    rig_open(&r);
    give(&r, take(&r, 0, 0), 0);
    assert_int_equal(end_of(&r, leave), 0);
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++)
        assert_int_equal(end_of(&r, damages[i]), SIGABRT);
    rig_close(&r, 0);
}

/* Calls of every kind fail none. */
static void no_false_alarm(void **unused)
{
    static uint64_t pfns[2000];
    struct rig r;

    (void)unused;
    rig_begin(&r, 64 * BLOCK);
    rig_open(&r);
    for (unsigned round = 0; round < 4; round++) {
        uint64_t block = take(&r, 9, 0), run = take(&r, 3, 0);

        take_many(&r, round % 2 ? QUIRE_MOVABLE : 0, 2000, pfns);
        give_many(&r, 2000, pfns);
        give(&r, block, 9);
        give(&r, run, 3);
        (void)quire_cache_maintain(&r.cache);
        qi_cache_forbid_push(&r.cache);
        while (!qi_cache_close(&r.cache))
            ;
        qi_cache_open(&r.cache);
    }
    rig_close(&r, 0);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_by_hand),
        cmocka_unit_test(no_false_alarm),
    };

    return run_unit(argc, argv, tests);
}
