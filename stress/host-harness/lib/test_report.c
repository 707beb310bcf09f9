/* SPDX-License-Identifier: MIT
 *
 * test_report.c - the program hears of every bad free, once, with pointer, order and error: of
 * those that are refused at once, and of those that show later. Of good ones it hears nothing.
 */
#include "host_fixture.h"

enum { HEARD = 64 };

static struct {
    struct quire_host *host;
    void *memory[HEARD];
    unsigned order[HEARD];
    int error[HEARD];
    unsigned count;
    bool allocates;
} ear;

static void hear(void *ctx, void *memory, unsigned order, int error)
{
    assert_ptr_equal(ctx, &ear);
    assert_true(ear.count < HEARD);
    ear.memory[ear.count] = memory;
    ear.order[ear.count] = order;
    ear.error[ear.count++] = error;
    if (ear.allocates) {
        struct quire_host_stats stats;
        void *page;

        assert_int_equal(quire_host_alloc(ear.host, 0, 0, &page), QUIRE_OK);
        assert_int_equal(quire_host_free(ear.host, page, 0), QUIRE_OK);
        quire_host_stats(ear.host, &stats);
    }
}

static int set_up(void **state)
{
    const struct quire_host_options options = {
        .bytes = 16 * MIB, .ctx = &ear, .report = hear, .no_thread = true};

    (void)state;
    ear.count = 0;
    ear.allocates = false;
    return quire_host_create(&options, &ear.host);
}

static int tear_down(void **state)
{
    (void)state;
    quire_host_destroy(ear.host);
    return 0;
}

static void expect(void *memory, unsigned order, int error)
{
    if (ear.count != 1 || ear.memory[0] != memory || ear.order[0] != order || ear.error[0] != error)
        fail_msg("heard %u times, of %p, order %u, \"%s\"; not of %p, order %u, \"%s\"", ear.count,
                 ear.memory[0], ear.order[0], quire_strerror(ear.error[0]), memory, order,
                 quire_strerror(error));
    ear.count = 0;
}

static void refused_at_once(void **state)
{
    static char outside[2 * QUIRE_FRAME_SIZE];
    char *page = outside + (QUIRE_FRAME_SIZE - (uintptr_t)outside % QUIRE_FRAME_SIZE);
    void *run;

    (void)state;
    ear.allocates = true;
    assert_int_equal(quire_host_alloc(ear.host, 3, 0, &run), QUIRE_OK);
    assert_int_equal(quire_host_free(ear.host, (char *)run + 8, 3), QUIRE_ERR_ALIGN);
    expect((char *)run + 8, 3, QUIRE_ERR_ALIGN);
    assert_int_equal(quire_host_free(ear.host, (char *)run + QUIRE_FRAME_SIZE, 3), QUIRE_ERR_ALIGN);
    expect((char *)run + QUIRE_FRAME_SIZE, 3, QUIRE_ERR_ALIGN);
    assert_int_equal(quire_host_free(ear.host, run, 2), QUIRE_ERR_ORDER);
    expect(run, 2, QUIRE_ERR_ORDER);
    assert_int_equal(quire_host_free(ear.host, run, QUIRE_MAX_ORDER + 1), QUIRE_ERR_SIZE);
    expect(run, QUIRE_MAX_ORDER + 1, QUIRE_ERR_SIZE);
    assert_int_equal(quire_host_free(ear.host, page, 0), QUIRE_ERR_FRAME);
    expect(page, 0, QUIRE_ERR_FRAME);
    assert_int_equal(quire_host_free(ear.host, NULL, 0), QUIRE_ERR_FRAME);
    expect(NULL, 0, QUIRE_ERR_FRAME);
    assert_int_equal(quire_host_free_contig(ear.host, run, 5), QUIRE_ERR_ORDER);
    expect(run, QUIRE_HOST_NO_ORDER, QUIRE_ERR_ORDER);
    assert_int_equal(quire_host_free_contig(ear.host, (char *)run + 1, 5), QUIRE_ERR_ALIGN);
    expect((char *)run + 1, QUIRE_HOST_NO_ORDER, QUIRE_ERR_ALIGN);
    assert_int_equal(quire_host_free(ear.host, run, 3), QUIRE_OK);
    assert_int_equal(ear.count, 0);
    assert_int_equal(quire_host_free(ear.host, run, 3), QUIRE_ERR_DOUBLE_FREE);
    expect(run, 3, QUIRE_ERR_DOUBLE_FREE);
}

static void refused_in_a_batch(void **state)
{
    const struct quire_request request = quire_request_of(0, 0);
    void *pages[4], *good;
    size_t got, bad;

    (void)state;
    assert_int_equal(quire_host_alloc_batch(ear.host, &request, 4, pages, &got, NULL), QUIRE_OK);
    good = pages[2];
    pages[2] = (char *)good + 16;
    assert_int_equal(quire_host_free_batch(ear.host, pages, 4, &bad), QUIRE_ERR_ALIGN);
    expect(pages[2], 0, QUIRE_ERR_ALIGN);
    pages[2] = (void *)(uintptr_t)QUIRE_FRAME_SIZE;
    assert_int_equal(quire_host_free_batch(ear.host, pages, 4, &bad), QUIRE_ERR_FRAME);
    expect(pages[2], 0, QUIRE_ERR_FRAME);
    pages[2] = good;
    assert_int_equal(quire_host_free_batch(ear.host, pages, 4, NULL), QUIRE_OK);
    assert_int_equal(ear.count, 0);
}

/* A page that a cache has and that is freed again is told at once, with its order, or when the
 * cache gives it back. */
static void freed_twice(void **state)
{
    void *page;
    int error;

    (void)state;
    assert_int_equal(quire_host_alloc(ear.host, 0, 0, &page), QUIRE_OK);
    assert_int_equal(quire_host_free(ear.host, page, 0), QUIRE_OK);
    error = quire_host_free(ear.host, page, 0);
    if (error) {
        assert_int_equal(error, QUIRE_ERR_DOUBLE_FREE);
        expect(page, 0, QUIRE_ERR_DOUBLE_FREE);
    }
    assert_int_equal(quire_machine_drain(quire_host_machine(ear.host)), QUIRE_OK);
    if (!error)
        expect(page, QUIRE_HOST_NO_ORDER, QUIRE_ERR_DOUBLE_FREE);
    assert_int_equal(ear.count, 0);
}

static void good_ones(void **state)
{
    void *runs[32];

    (void)state;
    for (unsigned round = 0; round < 100; round++) {
        for (unsigned i = 0; i < 32; i++)
            assert_int_equal(quire_host_alloc(ear.host, i % 5, 0, &runs[i]), QUIRE_OK);
        for (unsigned i = 0; i < 32; i++)
            assert_int_equal(quire_host_free(ear.host, runs[i], i % 5), QUIRE_OK);
    }
    assert_int_equal(quire_machine_drain(quire_host_machine(ear.host)), QUIRE_OK);
    assert_int_equal(ear.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(refused_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused_in_a_batch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(freed_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(good_ones, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
