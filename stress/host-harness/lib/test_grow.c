/* SPDX-License-Identifier: MIT
 *
 * test_grow.c - a host that grows: what is added is memory as any other, what cannot be is refused
 * and changes nothing, and nobody who uses the host meanwhile notices.
 */
#include "host_fixture.h"
#include "stress/common/random.h"
#include "stress/common/sanitized.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCKS = 64 };

static const quire_node first = {0};

static struct quire_host *small_host(const char *share_name)
{
    static const uint64_t bytes = 8 * MIB;
    const struct quire_host_options options = {.node_bytes = &bytes,
                                               .node_bytes_count = 1,
                                               .keep_nothing = true,
                                               .give_back_after = QUIRE_HOST_NEVER,
                                               .share_name = share_name};
    struct quire_host *host;

    assert_int_equal(quire_host_create(&options, &host), QUIRE_OK);
    return host;
}

/* Blocks until none is left. */
static unsigned take_all(struct quire_host *host, void *blocks[], unsigned n)
{
    while (n < BLOCKS && quire_host_alloc(host, 9, 0, &blocks[n]) == QUIRE_OK)
        memset(blocks[n++], 0xa5, 2 * MIB);
    return n;
}

static void pool_gets_larger(void **state)
{
    struct quire_host *host = small_host(NULL);
    struct quire_host_arena arena;
    struct quire_machine_stats stats;
    void *blocks[BLOCKS];
    quire_node where[2];
    unsigned n;
    quire_pfn pfn;
    uint64_t bytes;

    (void)state;
    n = take_all(host, blocks, 0);
    assert_int_equal(n, 4);
    assert_int_equal(quire_host_grow(host, first, 16 * MIB), QUIRE_OK);
    assert_int_equal(quire_host_arena(host, 1, &arena), QUIRE_OK);
    assert_int_equal(arena.bytes, 16 * MIB);
    assert_int_equal(arena.node.n, 0);
    assert_int_equal((uintptr_t)arena.memory % ((uintptr_t)1 << 30), 0);
    assert_int_equal(quire_host_arena(host, 2, &arena), QUIRE_ERR_SIZE);
    n = take_all(host, blocks, n);
    assert_int_equal(n, 12);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(quire_host_pfn(host, (char *)blocks[i] + 5, &pfn), QUIRE_OK);
        assert_ptr_equal(quire_host_pointer(host, pfn), blocks[i]);
        assert_int_equal(quire_host_where(host, blocks[i], 2, where), QUIRE_OK);
        assert_int_not_equal(where[1].n, QUIRE_NO_NODE);
        assert_int_equal(quire_host_free(host, blocks[i], 9), QUIRE_OK);
    }
    quire_machine_stats(quire_host_machine(host), &stats);
    assert_int_equal(stats.managed, 12 * 512);
    assert_int_equal(host_free_frames(host), 12 * 512);
    assert_int_equal(quire_host_give_back(host, 0, &bytes), QUIRE_OK);
    assert_int_equal(bytes, 24 * MIB);
    quire_host_destroy(host);
}

/* Its arenas are of the kind that the first ones are. */
static void shared_pool(void **state)
{
    struct quire_host *host = small_host("pool");
    struct quire_host_arena arena;
    char path[64], name[128] = "";
    uint64_t offset;
    quire_pfn pfn;
    int fd;

    (void)state;
    assert_int_equal(quire_host_grow(host, first, 4 * MIB), QUIRE_OK);
    assert_int_equal(quire_host_arena(host, 1, &arena), QUIRE_OK);
    assert_int_equal(quire_host_pfn(host, (char *)arena.memory + 8192, &pfn), QUIRE_OK);
    assert_int_equal(quire_host_file(host, pfn, &fd, &offset), QUIRE_OK);
    assert_int_equal(fd, arena.fd);
    assert_int_equal(offset, 8192);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    assert_true(readlink(path, name, sizeof(name) - 1) > 0);
    assert_non_null(strstr(name, "memfd:pool.1"));
    quire_host_destroy(host);
}

static void refusals(void **state)
{
    struct quire_host *host = small_host(NULL);
    struct quire_machine_stats before, after;
    struct quire_host_arena arena;
    struct quire_host_node node;
    struct rlimit space, little;
    pid_t child;
    int status;

    (void)state;
    assert_int_equal(quire_host_node(first, &node), QUIRE_OK);
    quire_machine_stats(quire_host_machine(host), &before);
    assert_int_equal(quire_host_grow(host, first, 0), QUIRE_ERR_SIZE);
    assert_int_equal(quire_host_grow(host, first, 3 * MIB), QUIRE_ERR_SIZE);
    assert_int_equal(quire_host_grow(host, first, node.bytes / (2 * MIB) * (2 * MIB)),
                     QUIRE_ERR_SIZE);
    assert_int_equal(quire_host_grow(host, first, (uint64_t)0 - 2 * MIB), QUIRE_ERR_SIZE);
    assert_int_equal(quire_host_grow(host, quire_node_of(63), 2 * MIB), QUIRE_ERR_NODE);
    assert_int_equal(quire_host_grow(host, quire_node_of(QUIRE_NO_NODE), 2 * MIB), QUIRE_ERR_NODE);
    child = fork();
    if (child == 0)
        _exit(quire_host_grow(host, first, 2 * MIB) == QUIRE_ERR_STATE ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    if (SANITIZED) { /* which maps memory for itself */
        print_message("left out under a sanitizer: a host that has no addresses to grow\n");
    } else {
        assert_int_equal(getrlimit(RLIMIT_AS, &space), 0);
        little = (struct rlimit){1, space.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_AS, &little), 0);
        assert_int_equal(quire_host_grow(host, first, 2 * MIB), QUIRE_ERR_NO_MEMORY);
        assert_int_equal(errno, ENOMEM);
        assert_int_equal(setrlimit(RLIMIT_AS, &space), 0);
    }
    assert_int_equal(quire_host_arena(host, 1, &arena), QUIRE_ERR_SIZE);
    quire_machine_stats(quire_host_machine(host), &after);
    assert_int_equal(after.managed, before.managed);
    assert_int_equal(after.snapshots, before.snapshots);
    assert_int_equal(quire_host_grow(host, first, 2 * MIB), QUIRE_OK);
    quire_host_destroy(host);
}

/* ---- Beside others --------------------------------------------------------------------------- */

enum { USERS = 2, HELD = 256, GROWTHS = 6 };

static struct quire_host *grown;
static atomic_bool over;
static atomic_ulong wrong, served;

static void *use(void *argument)
{
    uint64_t random = random_seed(3, (uint64_t)(uintptr_t)argument);
    uint64_t *held[HELD] = {NULL};
    unsigned orders[HELD] = {0};

    quire_host_thread_enter();
    while (!atomic_load(&over)) {
        unsigned i = (unsigned)random_below(&random, HELD);
        quire_pfn pfn;
        void *got;

        if (held[i]) {
            wrong += *held[i] != (uintptr_t)held[i] || quire_host_free(grown, held[i], orders[i]);
            held[i] = NULL;
            continue;
        }
        orders[i] = (unsigned)random_below(&random, 6);
        if (quire_host_alloc(grown, orders[i], 0, &got))
            continue;
        wrong += quire_host_pfn(grown, got, &pfn) != QUIRE_OK;
        held[i] = got;
        *held[i] = (uintptr_t)got;
        served++;
    }
    for (unsigned i = 0; i < HELD; i++)
        if (held[i])
            wrong += *held[i] != (uintptr_t)held[i] || quire_host_free(grown, held[i], orders[i]);
    (void)quire_host_thread_leave();
    return NULL;
}

static void beside_users(void **state)
{
    pthread_t threads[USERS];
    struct quire_host_arena arena;
    struct quire_fault fault;

    (void)state;
    grown = small_host(NULL);
    for (uintptr_t i = 0; i < USERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, (void *)i), 0);
    for (unsigned i = 0; i < GROWTHS; i++) {
        assert_int_equal(quire_host_grow(grown, first, 4 * MIB), QUIRE_OK);
        usleep(10000);
    }
    atomic_store(&over, true);
    for (unsigned i = 0; i < USERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    print_message("%lu runs served, %lu wrong\n", served, wrong);
    assert_int_equal(wrong, 0);
    assert_int_equal(host_free_frames(grown), (8 + 4 * GROWTHS) * MIB / FRAME_BYTES);
    for (uint32_t i = 0; i <= GROWTHS; i++) {
        assert_int_equal(quire_host_arena(grown, i, &arena), QUIRE_OK);
        assert_int_equal(quire_zone_check(arena.zone, &fault), QUIRE_OK);
    }
    quire_host_destroy(grown);
}

/* ---- Reclaim --------------------------------------------------------------------------------- */

static atomic_ulong reclaims;

static uint64_t reclaim(void *ctx, quire_node node, uint64_t frames)
{
    (void)ctx;
    (void)node;
    (void)frames;
    reclaims++;
    return 0;
}

/* Nothing is reclaimed while another arena of the node has enough; then the added one's watermark
 * wakes the thread. */
static void reclaimed_when_both_are_short(void **state)
{
    const uint64_t bytes = 8 * MIB;
    const struct quire_host_options options = {.node_bytes = &bytes,
                                               .node_bytes_count = 1,
                                               .reclaim = reclaim,
                                               .min = 16,
                                               .low = 600,
                                               .high = 600,
                                               .give_back_after = QUIRE_HOST_NEVER};
    struct quire_host *own;
    struct quire_host_arena arena;
    void *blocks[BLOCKS];
    unsigned n = 0;

    (void)state;
    assert_int_equal(quire_host_create(&options, &own), QUIRE_OK);
    assert_int_equal(quire_host_grow(own, first, 16 * MIB), QUIRE_OK);
    assert_int_equal(quire_host_arena(own, 1, &arena), QUIRE_OK);
    while (quire_zone_free_frames(arena.zone) > 16 * MIB / FRAME_BYTES - 2 * 512)
        assert_int_equal(quire_host_alloc(own, 9, 0, &blocks[n++]), QUIRE_OK);
    usleep(100000);
    assert_int_equal(reclaims, 0);
    while (quire_host_alloc(own, 9, 0, &blocks[n]) == QUIRE_OK)
        n++;
    for (unsigned i = 0; i < 1000 && reclaims == 0; i++)
        usleep(10000);
    assert_true(reclaims > 0);
    quire_host_destroy(own);
}

/* ---- Before the growth is over --------------------------------------------------------------- */

enum { RUN_ORDER = 6, RUNS = 64, KEPT = 400 };

static atomic_bool held_up, let_go;

/* A reader of the machine, for which the growth waits. */
static void hear(void *ctx, void *memory, unsigned order, int error)
{
    (void)ctx;
    (void)memory;
    (void)order;
    (void)error;
    atomic_store(&held_up, true);
    while (!atomic_load(&let_go))
        usleep(1000);
}

static void *free_wrongly(void *run)
{
    assert_int_not_equal(quire_host_free(grown, run, 0), QUIRE_OK);
    return NULL;
}

static void *grow(void *unused)
{
    (void)unused;
    assert_int_equal(quire_host_grow(grown, first, 4 * MIB), QUIRE_OK);
    return NULL;
}

/* What the machine gave out of an arena that is being added is memory as any other. */
static void check_memory(void *run)
{
    quire_node where[1] = {{QUIRE_NO_NODE}};
    uint64_t offset;
    quire_pfn pfn;
    int fd;

    memset(run, 0xa5, FRAME_BYTES);
    assert_int_equal(quire_host_pfn(grown, run, &pfn), QUIRE_OK);
    assert_ptr_equal(quire_host_pointer(grown, pfn), run);
    assert_int_equal(quire_host_file(grown, pfn, &fd, &offset), QUIRE_OK);
    assert_int_equal(quire_host_where(grown, run, 1, where), QUIRE_OK);
    assert_int_not_equal(where[0].n, QUIRE_NO_NODE);
    assert_int_equal(quire_host_discard(grown, run, 1), QUIRE_OK);
    assert_int_equal(*(unsigned char *)run, 0);
}

/* Use the added arena up. */
static void use_up(void)
{
    void *run = NULL;

    for (unsigned i = 0; i < 10000 && quire_host_alloc(grown, RUN_ORDER, 0, &run); i++)
        usleep(1000);
    assert_non_null(run);
    check_memory(run);
    while (quire_host_alloc(grown, RUN_ORDER, 0, &run) == QUIRE_OK)
        check_memory(run);
}

/* The added arena tells its low watermark while the reclaimer does not see it yet, and then sleeps
 * as the other one has enough. */
static void used_up_while_added(void **state)
{
    const uint64_t bytes = 8 * MIB;
    const struct quire_host_options options = {.node_bytes = &bytes,
                                               .node_bytes_count = 1,
                                               .reclaim = reclaim,
                                               .report = hear,
                                               .share_name = "pool",
                                               .min = 16,
                                               .low = KEPT,
                                               .high = KEPT,
                                               .give_back_after = QUIRE_HOST_NEVER};
    pthread_t reader, grower;
    struct quire_host_arena arena;
    void *runs[RUNS];
    unsigned n = 0;

    (void)state;
    assert_int_equal(quire_host_create(&options, &grown), QUIRE_OK);
    while (n < RUNS && quire_host_alloc(grown, RUN_ORDER, 0, &runs[n]) == QUIRE_OK)
        n++;
    assert_int_equal(pthread_create(&reader, NULL, free_wrongly, runs[0]), 0);
    while (!atomic_load(&held_up))
        usleep(1000);
    assert_int_equal(pthread_create(&grower, NULL, grow, NULL), 0);
    use_up();
    assert_int_equal(quire_host_arena(grown, 1, &arena), QUIRE_ERR_SIZE); /* it is being added */
    for (unsigned i = 1; i <= (KEPT >> RUN_ORDER) + 1; i++)
        assert_int_equal(quire_host_free(grown, runs[i], RUN_ORDER), QUIRE_OK);
    assert_int_equal(quire_machine_drain(quire_host_machine(grown)), QUIRE_OK);
    usleep(100000); /* the reclaimer finds that enough, and sleeps */
    atomic_store(&reclaims, 0);
    usleep(100000);
    assert_int_equal(reclaims, 0);
    atomic_store(&let_go, true);
    assert_int_equal(pthread_join(reader, NULL), 0);
    assert_int_equal(pthread_join(grower, NULL), 0);
    for (unsigned i = 0; i < 200 && reclaims == 0; i++)
        usleep(10000);
    assert_true(reclaims > 0);
    quire_host_destroy(grown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pool_gets_larger),
        cmocka_unit_test(shared_pool),
        cmocka_unit_test(refusals),
        cmocka_unit_test(beside_users),
        cmocka_unit_test(reclaimed_when_both_are_short),
        cmocka_unit_test(used_up_while_added),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
