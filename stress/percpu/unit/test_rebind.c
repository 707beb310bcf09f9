/* SPDX-License-Identifier: MIT
 *
 * test_rebind.c - a late hit on a closed cache whose views are bound anew (T1 of
 * percpu/fastpath.h): of a frame that is not of its window it reads nothing that is written then.
 * ThreadSanitizer looks. White-box: pushes by the view.
 */
#include "unit.h"

#include "percpu/fastpath.h"

#include <pthread.h>

enum { TURNS = 1000, BLOCKS = 64 };

static struct rig rig;

/* Of the second half of the zone. */
static void *push(void *argument)
{
    const struct cpu_view *view = argument;
    quire_pfn pfn = quire_pfn_of(rig.usable[0].pfn.n + BLOCKS / 2 * BLOCK), many[8];
    unsigned pushed = 0;

    for (unsigned i = 0; i < 8; i++)
        many[i] = quire_pfn_of(pfn.n + i);
    for (unsigned i = 0; i < TURNS; i++) {
        pushed += view_push_frame(view, pfn);
        pushed += view_push_block(view, pfn);
        pushed += qi_view_push_batch(view, many, 8);
        for (unsigned order = 0; order <= HUGE_ORDER; order++) {
            pushed += order > 0 && order < HUGE_ORDER && qi_view_push_run(view, pfn, order);
            pushed += qi_view_push_other(view, pfn, order);
        }
    }
    return pushed ? argument : NULL;
}

static void late_hits(void **unused)
{
    struct rig *r = &rig;
    pthread_t thread;
    void *result;

    (void)unused;
    rig_begin(r, BLOCKS * BLOCK);
    rig_open(r);
    run_on(r, 0);
    qi_views_narrow(&r->cache, r->usable[0].pfn.n / BLOCK, BLOCKS / 2);
    assert_int_equal(pthread_create(&thread, NULL, push, views_of(&r->cache)), 0);
    for (unsigned i = 0; i < TURNS; i++)
        qi_cache_rebind(&r->cache);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_null(result);
    rig_close(r, 0);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(late_hits)};

    return run_unit(argc, argv, tests);
}
