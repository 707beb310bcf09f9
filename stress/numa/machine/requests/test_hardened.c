/* SPDX-License-Identifier: MIT
 *
 * test_hardened.c - the hardened build: what is freed twice is handed out once, away from home too.
 */
#include "stress/numa/machine/unit.h"

static struct rig rig;

static void twice_at_home(void **unused)
{
    struct rig *r = &rig;
    uint64_t pfn;

    (void)unused;
    open_row(r);
    pfn = take(r, 0, 0);
    give(r, pfn, 0);
    assert_error(quire_machine_free(r->machine, quire_pfn_of(pfn), 0), QUIRE_ERR_DOUBLE_FREE);
    assert_int_equal(r->heard.reports, 1);
    rig_close(r);
}

/* No bit says that a frame lies in a remote magazine, so the zone's has to: it goes home first. */
static void twice_away(void **unused)
{
    struct quire_request request = quire_request_of(0, 0);
    struct rig *r = &rig;
    uint64_t pfn, a, b;

    (void)unused;
    open_row(r);
    request.near_node = quire_near_of(quire_node_of(1));
    pfn = ask(r, &request);
    give(r, pfn, 0);
    give(r, pfn, 0);
    a = ask(r, &request);
    b = ask(r, &request);
    assert_int_not_equal(a, b);
    assert_ok(quire_machine_drain(r->machine));
    assert_int_equal(r->heard.reports, 1);
    give(r, a, 0);
    give(r, b, 0);
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
        rig_check(r, N - 1);
        assert_ok(quire_machine_free_batch(r->machine, pfns, BAD, NULL));
        assert_ok(quire_machine_free_batch(r->machine, pfns + BAD + 1, N - 1 - BAD, NULL));
        rig_close(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twice_at_home),
        cmocka_unit_test(twice_away),
        cmocka_unit_test(twice_in_a_batch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
