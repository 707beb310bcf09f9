/* SPDX-License-Identifier: MIT
 *
 * test_create.c - a host is made and unmade: what it consists of, and what is refused, how.
 */
#include "host_fixture.h"
#include "stress/common/sanitized.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* The number that a file starts with; -1 if there is no such file. */
static long number_in(const char *path)
{
    FILE *file = fopen(path, "r");
    char line[128] = "", *end;
    long number;

    if (!file)
        return -1;
    assert_non_null(fgets(line, sizeof(line), file));
    fclose(file);
    number = strtol(line, &end, 10);
    assert_ptr_not_equal(end, line);
    return number;
}

/* Address space of this process, pages. */
static unsigned long address_space(void)
{
    long pages = number_in("/proc/self/statm");

    assert_true(pages > 0);
    return (unsigned long)pages;
}

static void all_nodes(void **state)
{
    struct quire_host *host = host_of(16 * MIB);
    static struct quire_topology topology;
    struct quire_host_arena arena;
    struct quire_machine_stats stats;
    uint32_t count = 0;

    (void)state;
    quire_machine_topology(quire_host_machine(host), &topology);
    for (; !quire_host_arena(host, count, &arena); count++) {
        assert_true(arena.node.n < topology.node_count);
        assert_int_equal(arena.os_node, topology.node_id[arena.node.n]);
        assert_int_equal(arena.bytes, 16 * MIB);
        assert_int_equal((uintptr_t)arena.memory % ((uintptr_t)1 << 30), 0);
        assert_int_equal(quire_zone_managed(arena.zone), 4096);
    }
    assert_true(count >= 1);
    assert_int_equal(quire_host_arena(host, count, &arena), QUIRE_ERR_SIZE);
    quire_machine_stats(quire_host_machine(host), &stats);
    assert_int_equal(stats.managed, 4096ull * count);
    assert_int_equal(host_free_frames(host), stats.managed);
    quire_host_destroy(host);
}

static void node_by_node(void **state)
{
    uint64_t bytes[QUIRE_NODES] = {8 * MIB};
    struct quire_host_options options = {.node_bytes = bytes, .node_bytes_count = 1};
    struct quire_host_arena arena;
    struct quire_host *host;

    (void)state;
    assert_int_equal(quire_host_create(&options, &host), QUIRE_OK);
    assert_int_equal(quire_host_arena(host, 0, &arena), QUIRE_OK);
    assert_int_equal(arena.node.n, 0);
    assert_int_equal(arena.bytes, 8 * MIB);
    assert_int_equal(quire_host_arena(host, 1, &arena), QUIRE_ERR_SIZE);
    quire_host_destroy(host);
}

/* As often as wanted, and nothing stays behind. */
static void again_and_again(void **state)
{
    unsigned long before = 0;

    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        struct quire_host *host = host_of(4 * MIB);
        void *memory;

        assert_int_equal(quire_host_alloc(host, 0, 0, &memory), QUIRE_OK);
        memset(memory, 1, QUIRE_FRAME_SIZE);
        quire_host_destroy(host); /* with something allocated */
        if (i == 20)
            before = address_space();
    }
    if (SANITIZED)
        print_message("a sanitizer's address space grows by itself: not compared\n");
    else
        assert_true(address_space() <= before + 64);
    quire_host_destroy(NULL);
}

static enum quire_move_answer never(void *ctx, quire_pfn from, quire_pfn to, unsigned order)
{
    (void)ctx;
    (void)from;
    (void)to;
    (void)order;
    return QUIRE_MOVE_NEVER;
}

static void wrong_options(void **state)
{
    static const struct quire_mover no_move = {.ctx = NULL}, mover = {.move = never};
    uint64_t none[1] = {0}, crooked[1] = {3 * MIB};
    const uint64_t last[QUIRE_NODES] = {4 * MIB, [QUIRE_NODES - 1] = 4 * MIB};
    const uint64_t beyond[QUIRE_NODES + 2] = {4 * MIB, [QUIRE_NODES + 1] = 2 * MIB};
    const struct {
        struct quire_host_options options;
        int error;
    } cases[] = {
        {{.bytes = 0}, QUIRE_ERR_SIZE},
        {{.bytes = 2 * MIB + 4096}, QUIRE_ERR_SIZE},
        {{.bytes = (uint64_t)1 << 60}, QUIRE_ERR_SIZE}, /* more than any node has */
        {{.bytes = UINT64_MAX - 2 * MIB + 1}, QUIRE_ERR_SIZE},
        {{.bytes = 4 * MIB, .keep = {.blocks = 1, .budget = 1}}, QUIRE_ERR_UNSUPPORTED},
        {{.bytes = 4 * MIB, .mover = &no_move}, QUIRE_ERR_UNSUPPORTED},
        {{.bytes = 4 * MIB, .mover = &mover, .keep = {.blocks = 1}}, QUIRE_ERR_SIZE},
        {{.bytes = 4 * MIB, .mover = &mover, .keep = {.budget = 1}}, QUIRE_ERR_SIZE},
        {{.node_bytes = none, .node_bytes_count = 1}, QUIRE_ERR_SIZE},
        {{.node_bytes = crooked, .node_bytes_count = 1}, QUIRE_ERR_SIZE},
        {{.bytes = 4 * MIB, .pages = (enum quire_host_pages)3}, QUIRE_ERR_UNSUPPORTED},
        {{.node_bytes = last, .node_bytes_count = QUIRE_NODES}, QUIRE_ERR_NODE},
        {{.node_bytes = beyond, .node_bytes_count = QUIRE_NODES + 2}, QUIRE_ERR_NODE},
        {{.bytes = 4 * MIB, .policy = {.mode = QUIRE_POLICY_WEIGHTED, .nodes = {1}}},
         QUIRE_ERR_SIZE},
        {{.bytes = 4 * MIB,
          .policy = {.mode = QUIRE_POLICY_WEIGHTED, .nodes = {1 | 1ull << 63}, .weight = {1}}},
         QUIRE_ERR_SIZE},
        {{.bytes = 4 * MIB, .min = 2, .low = 1, .high = 3}, QUIRE_ERR_SIZE},
        {{.bytes = 4 * MIB, .low = 3, .high = 2}, QUIRE_ERR_SIZE},
        {{.bytes = 4 * MIB, .min = 1}, QUIRE_ERR_SIZE},
        {{.bytes = 4 * MIB, .high = 1025}, QUIRE_ERR_SIZE}, /* it has 1024 frames */
        {{.bytes = 4 * MIB, .high = UINT64_MAX}, QUIRE_ERR_SIZE},
        {{.bytes = 4 * MIB, .high = 1, .keep_nothing = true}, QUIRE_ERR_SIZE},
        {{.bytes = 4 * MIB, .give_back_after = 65536}, QUIRE_ERR_SIZE},
        {{.bytes = 4 * MIB, .policy = {.mode = (enum quire_policy_mode)6, .nodes = {1}}},
         QUIRE_ERR_UNSUPPORTED},
        {{.bytes = 4 * MIB, .policy = {.mode = QUIRE_POLICY_BIND}}, QUIRE_ERR_NODE},
        {{.bytes = 4 * MIB, .policy = {.mode = QUIRE_POLICY_BIND, .nodes = {1ull << 63}}},
         QUIRE_ERR_NODE},
    };
    struct quire_host *host = NULL;

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct quire_host_options options = cases[i].options;
        struct quire_fault fault = {.what = NULL};
        int error;

        options.fault = &fault;
        error = quire_host_create(&options, &host);
        if (error != cases[i].error || host)
            fail_msg("case %u: \"%s\" instead of \"%s\"", i, quire_strerror(error),
                     quire_strerror(cases[i].error));
        if (!fault.what || fault.error != error || fault.found == fault.expected)
            fail_msg("case %u: the fault says \"%s\", %d", i, fault.what ? fault.what : "nothing",
                     fault.error);
    }
}

static uint64_t no_reclaim(void *ctx, quire_node node, uint64_t frames)
{
    (void)ctx;
    (void)node;
    (void)frames;
    return 0;
}

static void thread_or_not(void **state)
{
    struct quire_host_options options = {
        .bytes = 4 * MIB, .reclaim = no_reclaim, .no_thread = true};
    struct quire_host *host = NULL;

    (void)state;
    assert_int_equal(quire_host_create(&options, &host), QUIRE_ERR_UNSUPPORTED);
    assert_null(host);
    options.no_thread = false;
    options.keep_nothing = true;
    assert_int_equal(quire_host_create(&options, &host), QUIRE_ERR_UNSUPPORTED);
    options.no_thread = true;
    options.reclaim = NULL;
    assert_int_equal(quire_host_create(&options, &host), QUIRE_OK);
    quire_host_destroy(host);
}

/* What a node has can be asked beforehand, and is what a host may take of it. */
static void nodes_beforehand(void **state)
{
    struct quire_host *host = host_of(4 * MIB);
    static struct quire_topology topology;
    struct quire_host_node node = {.os_node = 77};
    uint32_t n = 0, cpus = 0;

    (void)state;
    quire_machine_topology(quire_host_machine(host), &topology);
    for (; quire_host_node(quire_node_of(n), &node) == QUIRE_OK; n++) {
        uint64_t bytes[QUIRE_NODES] = {0};
        struct quire_host_options options = {.node_bytes = bytes, .node_bytes_count = n + 1};
        struct quire_host *other = NULL;

        assert_int_equal(node.os_node, topology.node_id[n]);
        assert_true(node.free_bytes <= node.bytes);
        assert_int_equal(node.bytes > 0, (host_nodes(host).bits >> n & 1));
        cpus += node.cpus;
        bytes[n] = (node.bytes | (2 * MIB - 1)) + 1; /* the least that is too much */
        assert_int_equal(quire_host_create(&options, &other),
                         node.bytes ? QUIRE_ERR_SIZE : QUIRE_ERR_NODE);
        assert_null(other);
    }
    assert_int_equal(n, topology.node_count);
    assert_true(cpus > 0 && cpus <= topology.cpu_count);
    node.os_node = 77;
    assert_int_equal(quire_host_node(quire_node_of(QUIRE_NO_NODE), &node), QUIRE_ERR_NODE);
    assert_int_equal(quire_host_node(quire_node_of(n), &node), QUIRE_ERR_NODE);
    assert_int_equal(node.os_node, 77);
    quire_host_destroy(host);
}

/* How many single pages ordinary requests get of node 0. */
static uint64_t ordinary_pages(const struct quire_host_options *options,
                               struct quire_zone_stats *stats)
{
    struct quire_host_arena arena;
    struct quire_host *host;
    uint64_t pages = 0;
    void *memory;

    assert_int_equal(quire_host_create(options, &host), QUIRE_OK);
    assert_int_equal(quire_host_arena(host, 0, &arena), QUIRE_OK);
    quire_zone_stats(arena.zone, stats);
    while (quire_host_alloc(host, 0, 0, &memory) == QUIRE_OK)
        pages++;
    quire_host_destroy(host);
    return pages;
}

static void watermarks(void **state)
{
    const uint64_t bytes[1] = {256 * MIB};
    struct quire_host_options options = {.node_bytes = bytes, .node_bytes_count = 1};
    struct quire_zone_stats stats;

    (void)state;
    assert_int_equal(ordinary_pages(&options, &stats), 65536 - 2048); /* a 32nd is kept back */
    assert_int_equal(stats.min, 2048);
    assert_int_equal(stats.low, 2048 + 512);
    assert_int_equal(stats.high, 2048 + 1024);
    options.min = 100;
    options.low = 200;
    options.high = 300;
    assert_int_equal(ordinary_pages(&options, &stats), 65536 - 100);
    assert_int_equal(stats.low, 200);
    assert_int_equal(stats.high, 300);
    options.min = options.low = options.high = 0;
    options.keep_nothing = true;
    assert_int_equal(ordinary_pages(&options, &stats), 65536);
    assert_int_equal(stats.high, 0);
}

/* The system refuses: its reason is in errno, and nothing stays behind. */
static void no_address_space(void **state)
{
    const struct quire_host_options options = {.bytes = 16 * MIB};
    unsigned long before = address_space();
    struct quire_host *host = NULL;
    struct rlimit old, limit;
    int error, reason;

    (void)state;
    if (SANITIZED) {
        print_message("a sanitizer's address space cannot be limited\n");
        skip();
    }
    assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
    limit = old;
    limit.rlim_cur = (rlim_t)before * 4096 + 512 * MIB; /* an arena needs 1 GiB to align itself */
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
    errno = 0;
    error = quire_host_create(&options, &host);
    reason = errno;
    assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
    assert_int_equal(error, QUIRE_ERR_NO_MEMORY);
    assert_int_equal(reason, ENOMEM);
    assert_null(host);
    assert_true(address_space() <= before + 64);
}

/* Huge pages of this machine's pools that are free; -1 if the kernel has none at all. */
static long free_huge_pages(void)
{
    return number_in("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
}

/* Where there is no pool it is refused. The guest has a pool on node 0 alone, which is large enough
 * for all nodes together: node 0 is served, and another one refused, not killed at its first touch.
 */
static void huge_pages(void **state)
{
    const uint64_t bytes[1] = {8 * MIB};
    struct quire_host_options options = {.bytes = 8 * MIB, .pages = QUIRE_HOST_PAGES_HUGE};
    long pool = free_huge_pages();
    struct quire_host *host = NULL;
    void *memory;
    int error;

    (void)state;
    errno = 0;
    if (pool < 4) {
        error = quire_host_create(&options, &host);
        assert_int_equal(error, pool < 0 ? QUIRE_ERR_UNSUPPORTED : QUIRE_ERR_NO_MEMORY);
        assert_int_not_equal(errno, 0);
        assert_null(host);
        return;
    }
    if (getenv("QUIRE_POOL_OF_NODE_0")) {
        assert_int_equal(quire_host_create(&options, &host), QUIRE_ERR_NO_MEMORY);
        assert_int_not_equal(errno, 0);
        assert_null(host);
        assert_int_equal(free_huge_pages(), pool);
    }
    options.node_bytes = bytes;
    options.node_bytes_count = 1;
    assert_int_equal(quire_host_create(&options, &host), QUIRE_OK);
    assert_int_equal(free_huge_pages(), pool - 4);
    assert_int_equal(quire_host_alloc(host, 9, QUIRE_ZEROED, &memory), QUIRE_OK);
    assert_int_equal(quire_host_free(host, memory, 9), QUIRE_OK);
    quire_host_destroy(host);
    assert_int_equal(free_huge_pages(), pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_nodes),       cmocka_unit_test(node_by_node),
        cmocka_unit_test(again_and_again), cmocka_unit_test(wrong_options),
        cmocka_unit_test(thread_or_not),   cmocka_unit_test(no_address_space),
        cmocka_unit_test(huge_pages),      cmocka_unit_test(nodes_beforehand),
        cmocka_unit_test(watermarks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
