/* SPDX-License-Identifier: MIT
 *
 * gigabyte_threads.c - CPUs fault in two gigabytes, of which one can have a page of that size at a
 * time, while another CPU unmaps, protects and releases them, and parts of them. No fault is lost,
 * nor a frame; ThreadSanitizer sees the orders.
 */
#include "stress/common/random.h"
#include "stress/common/sanitized.h"
#include "stress/vm/gigabytes/gigabyte_unit.h"
#include "workers.h"

enum { ROUNDS = SANITIZED ? 60 : 300, PARTS = 6, PAGES = 4 };

static qa32 changes; /* still going on */

static void relax(void *ctx)
{
    (void)ctx;
    (void)sched_yield();
}

/* A page of a few. */
static uint64_t draw_page(uint64_t *random)
{
    return base() + random_below(random, 2) * GIGABYTE + random_below(random, PARTS) * large() +
           random_below(random, PAGES) * FRAME;
}

static int reserve_again(uint64_t start, uint64_t bytes)
{
    struct quire_area area = space_rig_area(start, bytes, rw());

    area.gigabytes = QUIRE_GIGABYTES_PREFER;
    return quire_space_reserve(&space, &area, 0, NULL);
}

/* No memory is what there is to be had, not an error. */
static bool is_failure(int error)
{
    return error && error != QUIRE_ERR_NO_MEMORY;
}

static void change(struct worker *worker)
{
    uint64_t random = random_seed(1, 0);

    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t page = draw_page(&random), whole = page & ~(GIGABYTE - 1);
        struct quire_vrange part = span(page, FRAME);
        int error = 0;

        switch (random_below(&random, 5)) {
        case 0:
        case 1:
            error = quire_space_unmap(&space, span(whole, GIGABYTE));
            error = error ? error : reserve_again(whole, GIGABYTE);
            break;
        case 2:
            error = quire_space_advise(&space, part, QUIRE_ADVISE_RELEASE);
            break;
        case 3:
            error = quire_space_protect(&space, part, random_below(&random, 2) ? ro() : rw());
            break;
        default:
            error = quire_space_advise(&space, part, QUIRE_ADVISE_POPULATE);
        }
        worker->failures += is_failure(error);
        (void)sched_yield();
    }
    qa_store(&changes, 0, release);
}

static void touch(struct worker *worker)
{
    uint64_t random = random_seed(2, worker->number);

    while (qa_load(&changes, acquire)) {
        uint64_t page = draw_page(&random);
        int error;

        worker_enters_call(worker);
        error = quire_space_fault(&space, quire_vaddr_of(page), QUIRE_READ);
        worker_leaves_call(worker);
        worker->failures += is_failure(error) && error != QUIRE_ERR_AREA;
        (void)sched_yield();
    }
}

static void work(struct worker *worker)
{
    if (worker->number == 0)
        change(worker);
    else
        touch(worker);
}

static void faults_beside_changes(void **ctx)
{
    unsigned taken = 0;

    (void)ctx;
    for (unsigned i = 0; i < RIG_FORMATS; i += 4) { /* x86-64, aarch64 */
        giga_begin(&rig_formats[i], false, 1);
        rig.with_tlb = false;
        rig.config.port.relax = relax;
        rig.config.port.paging.retire = workers_retire;
        assert_ok(quire_space_create(&space, &rig.config));
        assert_ok(reserve_again(base(), GIGABYTE));
        assert_ok(reserve_again(base() + GIGABYTE, GIGABYTE));
        qa_store(&changes, 1, relaxed);
        workers_run(work);
        quire_space_destroy(&space);
        taken += giga.taken;
        giga_end();
    }
    assert_true(taken > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(faults_beside_changes)};

    if (sizeof(void *) < 8)
        return 0; /* there are not so many addresses */
    return cmocka_run_group_tests_name("gigabyte_threads", tests, NULL, NULL);
}
