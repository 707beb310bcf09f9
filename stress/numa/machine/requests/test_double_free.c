/* SPDX-License-Identifier: MIT
 *
 * test_double_free.c - what is freed twice is refused at once and handed out once, on every node
 * and in every order; in the usual build and in the hardened one.
 */
#include "stress/numa/machine/unit.h"

static struct rig rig;

/* Refused, heard, and nothing has changed? */
static void assert_refused(struct rig *r, uint64_t pfn, unsigned order, int error)
{
    unsigned before = r->heard.reports;

    assert_error(quire_machine_free(r->machine, quire_pfn_of(pfn), order), error);
    assert_int_equal(r->heard.reports, before + 1);
    assert_int_equal(r->heard.report_pfn, pfn);
    rig_check(r, 0);
}

/* On the CPU's own node and on another one, in every order: what lies in a cache or magazine. */
static void twice(void **unused)
{
    struct quire_request request = quire_request_of(0, 0);
    struct rig *r = &rig;

    (void)unused;
    open_row(r);
    for (unsigned node = 0; node < 3; node++)
        for (unsigned order = 0; order <= 12; order++) {
            uint64_t pfn, a, b;

            request.near_node = quire_near_of(quire_node_of(node));
            request.order = order;
            pfn = ask(r, &request);
            give(r, pfn, order);
            assert_refused(r, pfn, order, QUIRE_ERR_DOUBLE_FREE);
            assert_refused(r, pfn, order, QUIRE_ERR_DOUBLE_FREE);
            a = ask(r, &request);
            b = ask(r, &request);
            assert_int_not_equal(a, b);
            give(r, a, order);
            give(r, b, order);
        }
    rig_close(r);
}

/* A run that is freed with another order, and then with its own. */
static void other_order(void **unused)
{
    struct quire_request request = quire_request_of(0, 0);
    struct rig *r = &rig;

    (void)unused;
    open_row(r);
    for (unsigned node = 0; node < 2; node++)
        for (unsigned order = 0; order <= 12; order++)
            for (unsigned wrong = 0; wrong <= 12; wrong++) {
                uint64_t pfn;
                int error;

                request.near_node = quire_near_of(quire_node_of(node));
                request.order = order;
                pfn = ask(r, &request);
                if (wrong != order) {
                    error = quire_machine_free(r->machine, quire_pfn_of(pfn), wrong);
                    assert_true(error == QUIRE_ERR_ORDER ||
                                (error == QUIRE_ERR_ALIGN && pfn & ((1u << wrong) - 1)));
                }
                give(r, pfn, order);
            }
    rig_close(r);
}

/* In a batch that no magazine takes as a whole, in a row and among frames of another zone. */
static void twice_in_a_batch(void **unused)
{
    enum { N = 200, BAD = 37 };
    struct quire_request request = quire_request_of(0, 0);
    static quire_pfn pfns[N];
    struct rig *r = &rig;
    size_t got, bad;

    (void)unused;
    for (unsigned mixed = 0; mixed < 2; mixed++) {
        open_row(r);
        for (size_t i = 0; i < N; i++) {
            request.near_node = quire_near_of(quire_node_of(mixed && i % 2 == 0));
            assert_ok(quire_machine_alloc_batch(r->machine, &request, 1, pfns + i, &got, NULL));
        }
        give(r, pfns[BAD].n, 0);
        assert_error(quire_machine_free_batch(r->machine, pfns, N, &bad), QUIRE_ERR_DOUBLE_FREE);
        assert_int_equal(bad, BAD);
        assert_int_equal(r->heard.reports, 1);
        assert_int_equal(r->heard.report_pfn, pfns[BAD].n);
        rig_check(r, N - 1);
        assert_ok(quire_machine_free_batch(r->machine, pfns, BAD, NULL));
        assert_ok(quire_machine_free_batch(r->machine, pfns + BAD + 1, N - 1 - BAD, NULL));
        rig_close(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twice),
        cmocka_unit_test(other_order),
        cmocka_unit_test(twice_in_a_batch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
