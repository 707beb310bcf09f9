/* SPDX-License-Identifier: MIT
 *
 * test_shape.c - pages that are split, joined and freed in part, in pointers.
 */
#include "host_fixture.h"

enum { BLOCK_PAGES = 512 };

static struct {
    void *memory;
    unsigned order;
    int error, count;
} told;

static void report(void *ctx, void *memory, unsigned order, int error)
{
    (void)ctx;
    told.memory = memory;
    told.order = order;
    told.error = error;
    told.count++;
}

static char *page(void *memory, size_t i)
{
    return (char *)memory + i * QUIRE_FRAME_SIZE;
}

/* As an allocator above does with its extents: it gives some pages back, and later the others. */
static void an_extent_shrinks(void **state)
{
    struct quire_host *host = host_of(32 * MIB);
    uint64_t before = host_free_frames(host);
    void *block;

    (void)state;
    assert_int_equal(quire_host_alloc(host, 9, 0, &block), QUIRE_OK);
    assert_int_equal(quire_host_split(host, block, BLOCK_PAGES, 0), QUIRE_OK);
    assert_int_equal(quire_host_join(host, block), QUIRE_OK);
    *page(block, 0) = 1;
    *page(block, 511) = 2;
    assert_int_equal(
        quire_host_free_part(host, block, BLOCK_PAGES, page(block, 1), BLOCK_PAGES - 2, 0),
        QUIRE_OK);
    assert_int_equal(host_free_frames(host), before - 2);
    assert_int_equal(*page(block, 0) + *page(block, 511), 3);
    assert_int_equal(quire_host_free_range(host, block, 1), QUIRE_OK);
    assert_int_equal(quire_host_free(host, page(block, 511), 0), QUIRE_OK);
    assert_int_equal(host_free_frames(host), before);
    quire_host_destroy(host);
}

/* Each is refused and told once, and nothing has changed. */
static void bad_calls(void **state)
{
    struct quire_host_options options = {.bytes = 32 * MIB, .report = report};
    struct quire_host *host;
    char *block;
    void *memory;

    (void)state;
    assert_int_equal(quire_host_create(&options, &host), QUIRE_OK);
    assert_int_equal(quire_host_alloc(host, 9, 0, &memory), QUIRE_OK);
    block = memory;
    assert_int_equal(quire_host_split(host, block + 1, BLOCK_PAGES, 0), QUIRE_ERR_ALIGN);
    assert_int_equal(quire_host_join(host, block + 1), QUIRE_ERR_ALIGN);
    assert_int_equal(quire_host_join(host, block), QUIRE_ERR_ORDER);
    assert_int_equal(told.count, 0);
    assert_int_equal(quire_host_free_range(host, block + 8, 1), QUIRE_ERR_ALIGN);
    assert_int_equal(quire_host_free_part(host, block, BLOCK_PAGES, block + 8, 1, 0),
                     QUIRE_ERR_ALIGN);
    assert_int_equal(told.count, 2);
    assert_ptr_equal(told.memory, block + 8);
    assert_int_equal(quire_host_free_range(host, block, 4), QUIRE_ERR_ORDER);
    assert_int_equal(quire_host_free_part(host, block, 4, block, 1, 0), QUIRE_ERR_ORDER);
    assert_int_equal(told.count, 4);
    assert_int_equal(told.order, QUIRE_HOST_NO_ORDER);
    assert_int_equal(told.error, QUIRE_ERR_ORDER);
    assert_int_equal(quire_host_free(host, block, 9), QUIRE_OK);
    assert_int_equal(told.count, 4);
    quire_host_destroy(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_extent_shrinks),
        cmocka_unit_test(bad_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
