/* SPDX-License-Identifier: MIT
 *
 * test_runs.c - batches and contiguous runs in pointers: what they give, and what is refused, how.
 */
#include "host_fixture.h"

#include <string.h>

enum { MANY = 1000 };

static struct quire_host *host;
static const struct quire_request common; /* of NORMAL, near the caller, by the default policy */

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

static void batches(void **state)
{
    static void *pages[MANY], *same[MANY];
    uint64_t before = host_free_frames(host);
    size_t got = 0;

    (void)state;
    for (size_t n = 1; n <= MANY; n = 3 * n + 1) {
        assert_int_equal(quire_host_alloc_batch(host, &common, n, pages, &got, NULL), QUIRE_OK);
        assert_int_equal(got, n);
        for (size_t i = 0; i < n; i++) {
            quire_pfn pfn;

            assert_int_equal((uintptr_t)pages[i] % QUIRE_FRAME_SIZE, 0);
            assert_int_equal(quire_host_pfn(host, pages[i], &pfn), QUIRE_OK);
            memset(pages[i], (int)i, QUIRE_FRAME_SIZE);
        }
        for (size_t i = 0; i < n; i++) /* nobody wrote over somebody else's */
            assert_int_equal(*(unsigned char *)pages[i], i & 255);
        memcpy(same, pages, sizeof(same));
        assert_int_equal(quire_host_free_batch(host, pages, n, NULL), QUIRE_OK);
        assert_memory_equal(pages, same, n * sizeof(pages[0]));
    }
    assert_int_equal(host_free_frames(host), before);
}

static void bad_batches(void **state)
{
    struct quire_request request = common;
    struct quire_refusal why;
    void *pages[8] = {0}, *same[8];
    char local[1];
    size_t got = 77, bad = 77;

    (void)state;
    assert_int_equal(quire_host_alloc_batch(host, &common, 0, pages, &got, &why), QUIRE_ERR_SIZE);
    request.order = 1;
    pages[1] = local;
    assert_int_equal(quire_host_alloc_batch(host, &request, 8, pages, &got, &why), QUIRE_ERR_SIZE);
    assert_int_equal(why.error, QUIRE_ERR_SIZE);
    assert_int_equal(got, 77);
    assert_null(pages[1]);
    assert_int_equal(quire_host_alloc_batch(host, &common, 8, pages, &got, NULL), QUIRE_OK);
    pages[5] = (char *)pages[5] + 8;
    memcpy(same, pages, sizeof(same));
    assert_int_equal(quire_host_free_batch(host, pages, 8, &bad), QUIRE_ERR_ALIGN);
    assert_int_equal(bad, 5);
    assert_int_equal(quire_host_free_batch(host, pages, 8, NULL), QUIRE_ERR_ALIGN);
    assert_memory_equal(pages, same, sizeof(pages));
    pages[5] = (char *)pages[5] - 8;
    same[0] = pages[5];
    pages[5] = (void *)(uintptr_t)QUIRE_FRAME_SIZE; /* nobody's */
    assert_int_equal(quire_host_free_batch(host, pages, 8, &bad), QUIRE_ERR_FRAME);
    assert_int_equal(bad, 5);
    assert_int_equal((uintptr_t)pages[5], QUIRE_FRAME_SIZE);
    pages[5] = same[0];
    assert_int_equal(quire_host_free_batch(host, pages, 8, NULL), QUIRE_OK);
}

/* More than there is: all or nothing, or what there is. */
static void batches_and_the_end(void **state)
{
    static void *pages[1 << 15];
    const size_t room = sizeof(pages) / sizeof(pages[0]);
    struct quire_policy here;
    uint64_t before = host_free_frames(host);
    size_t got = 0;

    (void)state;
    struct quire_request request = request_on(quire_node_of(0), 0, &here); /* 8192 frames */
    assert_int_not_equal(quire_host_alloc_batch(host, &request, room, pages, &got, NULL), QUIRE_OK);
    assert_null(pages[0]);
    assert_null(pages[room - 1]);
    assert_int_equal(host_free_frames(host), before);
    request.flags = QUIRE_PARTIAL;
    assert_int_equal(quire_host_alloc_batch(host, &request, room, pages, &got, NULL), QUIRE_OK);
    assert_true(got > 7000 && got <= 8192);
    assert_int_equal(quire_host_free_batch(host, pages, got, NULL), QUIRE_OK);
    assert_int_equal(host_free_frames(host), before);
}

static void contiguous(void **state)
{
    const struct quire_contig want = {.frames = 100, .align = 64 << 10, .boundary = 1 << 20};
    uint64_t before = host_free_frames(host);
    uintptr_t first, last;
    void *memory;

    (void)state;
    assert_int_equal(quire_host_alloc_contig(host, &common, &want, &memory, NULL), QUIRE_OK);
    first = (uintptr_t)memory;
    last = first + 100 * QUIRE_FRAME_SIZE - 1;
    assert_int_equal(first % want.align, 0);
    assert_int_equal(first / want.boundary, last / want.boundary);
    memset(memory, 1, 100 * QUIRE_FRAME_SIZE);
    assert_int_equal(quire_host_free_contig(host, (char *)memory + 1, 100), QUIRE_ERR_ALIGN);
    assert_int_equal(quire_host_free_contig(host, memory, 99), QUIRE_ERR_ORDER);
    assert_int_equal(quire_host_free_contig(host, memory, 100), QUIRE_OK);
    assert_int_equal(quire_host_free_contig(host, memory, 100), QUIRE_ERR_DOUBLE_FREE);
    assert_int_equal(quire_host_free_contig(host, NULL, 1), QUIRE_ERR_FRAME);
    assert_int_equal(host_free_frames(host), before);
}

/* A limit that no address of an arena can meet is not a lack of memory. */
static void limits(void **state)
{
    struct quire_host_arena arena;
    struct quire_refusal why = {0};
    struct quire_policy there;
    struct quire_request bound = request_on(quire_node_of(0), 0, &there);
    void *memory = NULL;

    (void)state;
    assert_int_equal(quire_host_arena(host, 0, &arena), QUIRE_OK);
    const uint64_t first = (uintptr_t)arena.memory, end = first + arena.bytes;
    const struct {
        struct quire_contig want;
        int error;
    } cases[] = {
        {{.frames = 1, .high = (1ull << 32) - 1}, QUIRE_ERR_FRAME}, /* an arena lies higher */
        {{.frames = 1, .low = 1ull << 62}, QUIRE_ERR_FRAME},
        {{.frames = 1, .low = end - 4096}, QUIRE_OK},
        {{.frames = 2, .low = end - 4096}, QUIRE_ERR_FRAME},
        {{.frames = 1, .low = end - 4095}, QUIRE_ERR_FRAME},
        {{.frames = 1, .high = first + 4095}, QUIRE_OK},
        {{.frames = 1, .high = first + 4094}, QUIRE_ERR_FRAME},
        {{.frames = 1, .low = first + 1, .high = first + 8190}, QUIRE_ERR_FRAME},
        {{.frames = 4, .low = first + 4096, .high = first + 65535, .align = 65536},
         QUIRE_ERR_FRAME},
        {{.frames = 4, .low = first + 0x3000, .high = first + 0x7fff, .boundary = 0x4000},
         QUIRE_OK},
        {{.frames = 4, .low = first + 0x3000, .high = first + 0x6fff, .boundary = 0x4000},
         QUIRE_ERR_FRAME},
        {{.frames = 1, .low = first, .align = 1ull << 63}, QUIRE_ERR_FRAME},
        /* Other faults keep their errors. */
        {{.frames = 1, .low = 8192, .high = 4096}, QUIRE_ERR_SIZE},
        {{.frames = 0, .high = 4096}, QUIRE_ERR_SIZE},
        {{.frames = 1, .align = 3, .high = 4096}, QUIRE_ERR_ALIGN},
        {{.frames = 1ull << 20, .high = 4096}, QUIRE_ERR_SIZE}, /* more than an arena has */
        {{.frames = 8, .boundary = 0x4000, .high = 4096}, QUIRE_ERR_SIZE},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int error = quire_host_alloc_contig(host, &bound, &cases[i].want, &memory, &why);

        if (error != cases[i].error)
            fail_msg("case %u: \"%s\" instead of \"%s\"", i, quire_strerror(error),
                     quire_strerror(cases[i].error));
        if (error)
            assert_int_equal(why.error, error);
        else
            assert_int_equal(quire_host_free_contig(host, memory, cases[i].want.frames), QUIRE_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches),    cmocka_unit_test(bad_batches),
        cmocka_unit_test(contiguous), cmocka_unit_test(batches_and_the_end),
        cmocka_unit_test(limits),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
