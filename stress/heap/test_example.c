/* SPDX-License-Identifier: MIT
 *
 * test_example.c - the examples of docs/porting-heap.md, and that of docs/porting.md which
 * counts frames by kind, as they stand there.
 */
#include <quire/bringup.h>

#include "kernel.h"
#include "rig.h"
#include "stress/common/assert.h"

#include <stdlib.h>
#include <string.h>

struct quire_bringup *bringup;
uintptr_t direct_base;
struct quire_machine *machine;

static struct rig rig;
static unsigned panics, printed;
static uint64_t bytes;

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

void print_holder(const struct quire_holder *holder)
{
    printed++;
    bytes += holder->bytes;
}

static int64_t tables, missing;

void print_count(const char *what, int64_t frames)
{
    assert_non_null(what);
    if (frames < 0)
        missing += frames;
    if (strcmp(what, "page tables") == 0)
        tables = frames;
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

static void holders_as_documented(void **state)
{
    void *a, *b;

    (void)state;
    rig_extras.options = QUIRE_HEAP_TRACK;
    rig_open(&rig);
    a = rig_alloc(&rig, 100);
    b = rig_alloc(&rig, 200);
    print_holders(&rig.heap, 0);
    assert_int_equal(printed, 1);
    assert_int_equal(bytes, 300);
    assert_ok(quire_heap_free(&rig.heap, a));
    assert_ok(quire_heap_free(&rig.heap, b));
    rig_close(&rig);
}

static void kinds_as_documented(void **state)
{
    quire_pfn a, b;

    (void)state;
    rig_machine(&rig);
    machine = rig.bringup.machine;
    assert_ok(frame_alloc(QUIRE_KIND_TABLE, &a));
    assert_ok(frame_alloc(QUIRE_KIND_TABLE, &b));
    print_counts();
    assert_int_equal(tables, 2);
    assert_ok(frame_free(QUIRE_KIND_TABLE, a));
    print_counts();
    assert_int_equal(tables, 1);
    assert_int_equal(missing, 0);
    assert_ok(frame_free(QUIRE_KIND_USER, b));
    print_counts();
    assert_int_equal(missing, -2); /* named, and in the list */
    quire_machine_fini(machine);
    free(rig.memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_documented),
                                       cmocka_unit_test(holders_as_documented),
                                       cmocka_unit_test(kinds_as_documented)};

    return cmocka_run_group_tests_name("heap_example", tests, NULL, NULL);
}
