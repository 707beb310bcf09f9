/* SPDX-License-Identifier: MIT
 *
 * test_memory.c - memory of a host: frames and pointers, orders, zeros, policies, and whether pages
 * lie on the node that was promised. On a machine with one node the loops over nodes are short; the
 * guest has four.
 */
#include "host_fixture.h"

#include <stdlib.h>
#include <string.h>

static struct quire_host *host;

static int set_up(void **state)
{
    (void)state;
    host = host_of(32 * MIB);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    quire_host_destroy(host);
    return 0;
}

static void frames_and_pointers(void **state)
{
    uint64_t before = host_free_frames(host);

    (void)state;
    for (unsigned order = 0; order <= 12; order++) {
        size_t bytes = (size_t)QUIRE_FRAME_SIZE << order;
        unsigned char *memory;
        void *got;
        quire_pfn pfn, last;

        assert_int_equal(quire_host_alloc(host, order, QUIRE_MOVABLE, &got), QUIRE_OK);
        memory = got;
        assert_int_equal((uintptr_t)memory % bytes, 0);
        memset(memory, 0xa5, bytes);
        assert_int_equal(quire_host_pfn(host, memory, &pfn), QUIRE_OK);
        assert_int_equal(pfn.n, (uintptr_t)memory >> 12);
        assert_ptr_equal(quire_host_pointer(host, pfn), memory);
        assert_int_equal(quire_host_pfn(host, memory + bytes - 1, &last), QUIRE_OK);
        assert_int_equal(last.n, pfn.n + (1u << order) - 1);
        assert_int_equal(quire_host_free(host, memory, order), QUIRE_OK);
    }
    assert_int_equal(host_free_frames(host), before);
}

static void what_is_not_memory(void **state)
{
    char *local = calloc(1, 1);
    struct quire_host_arena arena;
    quire_pfn pfn = {7};
    quire_node node;
    void *memory;

    (void)state;
    assert_int_equal(quire_host_pfn(host, local, &pfn), QUIRE_ERR_FRAME);
    assert_int_equal(quire_host_pfn(host, NULL, &pfn), QUIRE_ERR_FRAME);
    assert_int_equal(pfn.n, 7);
    assert_null(quire_host_pointer(host, quire_pfn_of(0)));
    assert_null(quire_host_pointer(host, quire_pfn_of(UINT64_MAX)));
    assert_int_equal(quire_host_arena(host, 0, &arena), QUIRE_OK);
    assert_int_equal(quire_host_pfn(host, (char *)arena.memory + arena.bytes, &pfn),
                     QUIRE_ERR_FRAME);
    assert_int_equal(quire_host_pfn(host, (char *)arena.memory - 1, &pfn), QUIRE_ERR_FRAME);
    assert_int_equal(quire_host_free(host, NULL, 0), QUIRE_ERR_FRAME);
    assert_int_equal(quire_host_free(host, local + (4096 - (uintptr_t)local % 4096) % 4096, 0),
                     QUIRE_ERR_FRAME);
    assert_int_equal(quire_host_alloc(host, 1, 0, &memory), QUIRE_OK);
    assert_int_equal(quire_host_free(host, (char *)memory + 8, 1), QUIRE_ERR_ALIGN);
    assert_int_equal(quire_host_free(host, (char *)memory + 4096, 1), QUIRE_ERR_ALIGN);
    assert_int_equal(quire_host_free(host, memory, 2), QUIRE_ERR_ORDER);
    assert_int_equal(quire_host_free(host, memory, QUIRE_MAX_ORDER + 1), QUIRE_ERR_SIZE);
    assert_int_equal(quire_host_free(host, memory, 1), QUIRE_OK);
    assert_int_equal(quire_host_free(host, memory, 1), QUIRE_ERR_DOUBLE_FREE);
    assert_int_equal(quire_host_alloc(host, QUIRE_MAX_ORDER + 1, 0, &memory), QUIRE_ERR_SIZE);
    assert_int_equal(quire_host_alloc(host, 0, 1u << 30, &memory), QUIRE_ERR_UNSUPPORTED);
    assert_int_equal(quire_host_where(host, local, 1, &node), QUIRE_ERR_FRAME);
    assert_int_equal(quire_host_where(host, arena.memory, 0, &node), QUIRE_ERR_SIZE);
    assert_int_equal(quire_host_where(host, (char *)arena.memory + arena.bytes - 4096, 2, &node),
                     QUIRE_ERR_FRAME);
    free(local);
}

static void zeros(void **state)
{
    static const unsigned char zero[QUIRE_FRAME_SIZE];

    (void)state;
    for (unsigned i = 0; i < 300; i++) {
        void *memory;

        assert_int_equal(quire_host_alloc(host, 0, QUIRE_ZEROED, &memory), QUIRE_OK);
        assert_memory_equal(memory, zero, sizeof(zero));
        memset(memory, 0xff, sizeof(zero));
        assert_int_equal(quire_host_free(host, memory, 0), QUIRE_OK);
    }
}

/* Every page of a bound request, once touched, lies on its node: the kernel says so. */
static void bound_pages_lie_there(void **state)
{
    enum { RUNS = 48 };
    const quire_nodemask nodes = host_nodes(host);

    (void)state;
    for (uint32_t n = 0; n < QUIRE_NODES; n++) {
        void *runs[RUNS];

        if (!(nodes.bits >> n & 1))
            continue;
        for (unsigned i = 0; i < RUNS; i++) {
            struct quire_policy policy;
            struct quire_request request = request_on(quire_node_of(n), i % 8, &policy);
            quire_node where[128];

            assert_int_equal(quire_host_request(host, &request, &runs[i], NULL), QUIRE_OK);
            memset(runs[i], (int)n, (size_t)QUIRE_FRAME_SIZE << i % 8);
            assert_int_equal(quire_host_where(host, runs[i], 1u << i % 8, where), QUIRE_OK);
            for (unsigned p = 0; p < 1u << i % 8; p++)
                assert_int_equal(where[p].n, n);
        }
        for (unsigned i = 0; i < RUNS; i++)
            assert_int_equal(quire_host_free(host, runs[i], i % 8), QUIRE_OK);
    }
}

static void untouched_pages_are_nowhere(void **state)
{
    struct quire_host_arena arena;
    quire_node where[1];

    (void)state;
    assert_int_equal(quire_host_arena(host, 0, &arena), QUIRE_OK);
    /* The top of a new arena: blocks are taken from the bottom. */
    assert_int_equal(quire_host_where(host, (char *)arena.memory + arena.bytes - 4096, 1, where),
                     QUIRE_OK);
    assert_int_equal(where[0].n, QUIRE_NO_NODE);
}

/* Interleaving visits all nodes alike. */
static void interleaved(void **state)
{
    const struct quire_policy policy = {.mode = QUIRE_POLICY_INTERLEAVE, .nodes = host_nodes(host)};
    const struct quire_request request = {.policy = &policy};
    unsigned count = (unsigned)__builtin_popcountll(policy.nodes.bits), got[QUIRE_NODES] = {0};
    void *pages[64 * 16];

    (void)state;
    for (unsigned i = 0; i < 16 * count; i++) {
        quire_node node;
        struct quire_zone *zone;
        quire_pfn pfn;

        assert_int_equal(quire_host_request(host, &request, &pages[i], NULL), QUIRE_OK);
        assert_int_equal(quire_host_pfn(host, pages[i], &pfn), QUIRE_OK);
        assert_int_equal(quire_machine_find(quire_host_machine(host), pfn, &node, &zone), QUIRE_OK);
        got[node.n]++;
    }
    for (uint32_t n = 0; n < QUIRE_NODES; n++) /* the thread may have changed CPUs once or twice */
        assert_true(!(policy.nodes.bits >> n & 1) || (got[n] >= 12 && got[n] <= 20));
    for (unsigned i = 0; i < 16 * count; i++)
        assert_int_equal(quire_host_free(host, pages[i], 0), QUIRE_OK);
}

/* A node that has no more says so; the others are not asked. */
static void bound_to_an_empty_node(void **state)
{
    struct quire_policy policy;
    struct quire_request request = request_on(quire_node_of(0), 9, &policy);
    struct quire_refusal why;
    void *runs[16];
    unsigned n = 0;
    int error;

    (void)state;
    while ((error = quire_host_request(host, &request, &runs[n], &why)) == QUIRE_OK)
        n++;
    assert_true(n >= 12 && n <= 16);
    assert_true(error == QUIRE_ERR_NO_MEMORY || error == QUIRE_ERR_ZONE);
    assert_int_equal(why.error, error);
    assert_int_equal(why.node.n, 0);
    while (n-- > 0)
        assert_int_equal(quire_host_free(host, runs[n], 9), QUIRE_OK);
}

static void threads_come_and_go(void **state)
{
    struct quire_host_stats stats;
    void *memory;

    (void)state;
    assert_int_equal(quire_host_thread_leave(), QUIRE_ERR_STATE);
    quire_host_thread_enter();
    quire_host_thread_enter();
    quire_host_stats(host, &stats);
    assert_true(stats.entered >= 1);
    assert_int_equal(quire_host_alloc(host, 3, 0, &memory), QUIRE_OK);
    assert_int_equal(quire_host_thread_leave(), QUIRE_OK);
    assert_int_equal(quire_host_free(host, memory, 3), QUIRE_OK);
    assert_int_equal(quire_host_thread_leave(), QUIRE_OK);
    assert_int_equal(quire_host_thread_leave(), QUIRE_ERR_STATE);
}

/* Memory that the program adds to the machine is the host's as any other. */
static void added_zone(void **state)
{
    const uint64_t bytes = 8 * MIB;
    struct quire_host *own = host_of(8 * MIB);
    struct quire_machine *machine = quire_host_machine(own);
    struct quire_policy policy;
    struct quire_request request = request_on(quire_node_of(0), 0, &policy);
    char *memory = aligned_alloc(2 * MIB, bytes);
    struct quire_pfnmap_span span = {{quire_pfn_of_phys((uintptr_t)memory), bytes / FRAME_BYTES},
                                     0};
    struct quire_zone_config config = {
        .id = 100, .type = QUIRE_ZONE_NORMAL, .slots = 4, .usable = &span.run, .usable_count = 1};
    struct quire_contig want = {
        .frames = 100, .low = (uintptr_t)memory, .high = (uintptr_t)memory + bytes - 1};
    struct quire_zone zone = {.head = NULL};
    struct quire_machine_zone added = {&zone, quire_node_of(0)};
    size_t metadata_bytes;
    void *metadata, *got;
    quire_pfn pfn;

    (void)state;
    assert_non_null(memory);
    assert_int_equal(quire_host_pfn(own, memory, &pfn), QUIRE_ERR_FRAME);
    assert_int_equal(quire_host_alloc_contig(own, &request, &want, &got, NULL), QUIRE_ERR_FRAME);
    assert_int_equal(quire_zone_metadata_size(&config, &metadata_bytes), QUIRE_OK);
    metadata = aligned_alloc(QUIRE_METADATA_ALIGN, metadata_bytes);
    assert_non_null(metadata);
    assert_int_equal(quire_zone_init(&zone, &config, metadata, metadata_bytes), QUIRE_OK);
    assert_int_equal(quire_machine_add_zone(machine, &added, &span, 1), QUIRE_OK);
    assert_int_equal(quire_host_pfn(own, memory + 5, &pfn), QUIRE_OK);
    assert_ptr_equal(quire_host_pointer(own, pfn), memory);
    assert_int_equal(quire_host_alloc_contig(own, &request, &want, &got, NULL), QUIRE_OK);
    assert_in_range((uintptr_t)got, (uintptr_t)memory, (uintptr_t)memory + bytes - 1);
    memset(got, 1, 100 * (size_t)FRAME_BYTES);
    assert_int_equal(quire_host_free_contig(own, got, 100), QUIRE_OK);
    assert_int_equal(quire_machine_remove_zone(machine, &zone), QUIRE_OK);
    assert_int_equal(quire_host_pfn(own, memory, &pfn), QUIRE_ERR_FRAME);
    quire_host_destroy(own);
    free(metadata);
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(added_zone),
        cmocka_unit_test(untouched_pages_are_nowhere),
        cmocka_unit_test(frames_and_pointers),
        cmocka_unit_test(what_is_not_memory),
        cmocka_unit_test(zeros),
        cmocka_unit_test(bound_pages_lie_there),
        cmocka_unit_test(interleaved),
        cmocka_unit_test(bound_to_an_empty_node),
        cmocka_unit_test(threads_come_and_go),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
