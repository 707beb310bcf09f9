/* SPDX-License-Identifier: MIT
 *
 * test_guard.c - readers of the snapshot and the writer that waits for them. White-box: the test
 * enters and leaves by hand, also in the middle of an entry.
 */
#include "stress/numa/machine/unit.h"

#include "numa/machine/machine.h"

#include <pthread.h>

static struct rig rig;
static _Atomic bool changed;

static void *change(void *unused)
{
    if (quire_machine_set_topology(rig.machine, &rig.topology) != QUIRE_OK)
        die("set_topology");
    atomic_store(&changed, true);
    return unused;
}

/* Start a writer, and see that it does not get by the readers that are inside. */
static pthread_t blocked_writer(void)
{
    pthread_t thread;

    atomic_store(&changed, false);
    assert_int_equal(pthread_create(&thread, NULL, change, NULL), 0);
    for (int i = 0; i < 1000; i++)
        rig_pause();
    assert_false(atomic_load(&changed));
    return thread;
}

static void join(pthread_t thread)
{
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(atomic_load(&changed));
}

/* A writer waits for a reader, whatever CPU that leaves on, and not for who comes later. */
static void waits(void **unused)
{
    struct machine_reader early, late;
    struct rig *r = &rig;
    pthread_t writer;

    (void)unused;
    open_row(r);
    qi_machine_enter(r->machine, &early);
    writer = blocked_writer();
    assert_error(quire_machine_set_topology(r->machine, &r->topology), QUIRE_ERR_BUSY);
    qi_machine_enter(r->machine, &late);
    assert_ptr_not_equal(late.snapshot, early.snapshot);
    early.mcpu = machine_cpu_of(r->machine, 7);
    qi_machine_leave(&early);
    join(writer);
    qi_machine_leave(&late);
    rig_close(r);
}

/* A reader looked which phase it is, and counts itself in when a writer has come and gone. The next
 * writer must not overlook it. */
static void late_entry(void **unused)
{
    struct rig *r = &rig;
    struct machine_cpu *mcpu;
    uint32_t phase;
    pthread_t writer;

    (void)unused;
    open_row(r);
    mcpu = machine_cpu_of(r->machine, 3);
    for (int writers = 1; writers < 4; writers++) {
        phase = qa_load(&r->machine->phase, relaxed) & 1;
        for (int i = 0; i < writers; i++)
            (void)change(NULL);
        (void)qa_add(&mcpu->enters[phase], 1, relaxed);
        writer = blocked_writer();
        (void)qa_add(&mcpu->leaves[phase], 1, release);
        join(writer);
    }
    rig_close(r);
}

/* ---- The port's own readers ----------------------------------------------------------------- */

static int inside, entries, waiting;

static uint32_t port_enter(void *ctx)
{
    assert_ptr_equal(ctx, &rig);
    inside++;
    return (uint32_t)++entries;
}

static void port_leave(void *ctx, uint32_t entered)
{
    assert_ptr_equal(ctx, &rig);
    assert_int_equal(entered, entries);
    inside--;
}

static void port_wait(void *ctx)
{
    assert_ptr_equal(ctx, &rig);
    assert_int_equal(inside, 0);
    waiting++;
}

static void by_port(void **unused)
{
    struct rig *r = &rig;
    quire_pfn pfn;
    uint64_t near;

    (void)unused;
    rig_begin(r, 2, 1);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 8 * BLOCK);
    r->config.port.enter = port_enter;
    assert_error(rig_try(r), QUIRE_ERR_UNSUPPORTED);
    r->config.port.leave = port_leave;
    assert_error(rig_try(r), QUIRE_ERR_UNSUPPORTED);
    r->config.port.wait_for_readers = port_wait;
    rig_open(r);
    near = take(r, 0, 0);
    entries = 0;
    give(r, near, 0);
    assert_int_equal(take(r, 0, 0), near);
    assert_int_equal(entries, 0); /* hits enter nothing */
    assert_error(quire_machine_alloc(r->machine, 20, 0, &pfn), QUIRE_ERR_NO_MEMORY);
    assert_true(entries > 0);
    assert_int_equal(inside, 0);
    assert_ok(quire_machine_set_topology(r->machine, &r->topology));
    assert_int_equal(waiting, 1);
    give(r, near, 0);
    rig_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits),
        cmocka_unit_test(late_entry),
        cmocka_unit_test(by_port),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
