/* SPDX-License-Identifier: MIT
 *
 * test_example.c - the example of docs/porting.md, as it stands there.
 */
#include <quire/bringup.h>

#include "kernel.h"
#include "rig.h"
#include "stress/common/assert.h"

#include <string.h>

struct quire_bringup *bringup;
uintptr_t direct_base;

static struct rig rig;
static unsigned panics;

uint32_t cpu_number(void *ctx)
{
    (void)ctx;
    return rig_cpu;
}

quire_node cpu_node(void *ctx)
{
    (void)ctx;
    return quire_node_of(rig_cpu / RIG_CPUS);
}

void panic(const char *why)
{
    assert_non_null(why);
    panics++;
}

static void as_documented(void **state)
{
    void *object;

    (void)state;
    rig_machine(&rig);
    bringup = &rig.bringup;
    direct_base = (uintptr_t)rig.memory;
    heap_init(rig.runs, RIG_NODES, RIG_NODES * RIG_CPUS, RIG_NODES);
    assert_int_equal(panics, 0);
    object = heap_alloc(100);
    assert_non_null(object);
    memset(object, 1, 100);
    assert_null(heap_alloc(0));
    heap_free(NULL);
    assert_int_equal(panics, 0);
    heap_free(object);
    assert_int_equal(panics, 0);
    heap_free(object);
    assert_int_equal(panics, 1);
    heap_init(rig.runs, RIG_NODES, RIG_NODES * RIG_CPUS, RIG_NODES);
    assert_int_equal(panics, 2);
    quire_machine_fini(rig.bringup.machine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_documented)};

    return cmocka_run_group_tests_name("heap_example", tests, NULL, NULL);
}
