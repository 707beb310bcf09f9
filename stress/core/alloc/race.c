/* SPDX-License-Identifier: MIT
 *
 * race.c - the same frames freed by two threads at once: one succeeds, the other is told, and the
 * zone is sound afterwards.
 *
 * Both threads spin until both have arrived, then free at the same moment; with a delay of a few
 * instructions that changes from turn to turn, so that the calls meet at different steps.
 */
#include "stress/common/zone_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

enum { TURNS = 1000 };

struct race {
    struct fixture f;
    uint64_t pfn, frames;
    unsigned order;
    bool contig, batch;
    atomic_uint arrived, finished;
    int result[2];
};

static struct race race;

static int free_it(uint32_t who)
{
    struct quire_zone *z = &race.f.zone;
    quire_pfn pfn = at(race.pfn);
    if (race.batch) {
        return quire_zone_free_batch(z, slot(who), &pfn, 1, NULL);
    }
    if (race.contig) {
        return quire_zone_free_contig(z, slot(who), pfn, race.frames);
    }
    return quire_zone_free(z, slot(who), pfn, race.order);
}

/* Each turn has two tickets; the numbers only grow, so no turn can be missed. */
static void meet(unsigned turn)
{
    (void)atomic_fetch_add(&race.arrived, 1);
    while (atomic_load(&race.arrived) < 2 * (turn + 1)) {
    }
}

static void *rival(void *arg)
{
    (void)arg;
    for (unsigned turn = 0; turn < TURNS; turn++) {
        meet(turn);
        for (volatile unsigned i = 0; i < turn % 50; i++) {
        }
        race.result[1] = free_it(1);
        (void)atomic_fetch_add(&race.finished, 1);
    }
    return NULL;
}

static void take_it(void)
{
    if (race.contig) {
        struct quire_contig want = {.frames = race.frames, .low = 100 * (uint64_t)QUIRE_FRAME_SIZE};
        quire_pfn pfn;
        assert_ok(quire_zone_alloc_contig(&race.f.zone, slot(2), &want, 0, &pfn));
        race.pfn = pfn.n;
    } else {
        quire_pfn pfn;
        assert_ok(quire_zone_alloc(&race.f.zone, slot(2), race.order, 0, &pfn));
        race.pfn = pfn.n;
    }
}

/* Nobody allocates meanwhile, so the loser's free is a double free or of a part of the run. */
static void judge(void)
{
    int loser = race.result[0] == QUIRE_OK ? race.result[1] : race.result[0];
    assert_true(race.result[0] == QUIRE_OK || race.result[1] == QUIRE_OK);
    assert_true(loser == QUIRE_ERR_DOUBLE_FREE || loser == QUIRE_ERR_ORDER);
}

static void run_race(uint64_t frames, unsigned order, bool contig, bool batch)
{
    pthread_t thread;
    fixture_begin(&race.f);
    fixture_usable(&race.f, 0, 4 * BLOCK);
    fixture_open(&race.f);
    race.frames = frames;
    race.order = order;
    race.contig = contig;
    race.batch = batch;
    atomic_store(&race.arrived, 0);
    atomic_store(&race.finished, 0);
    assert_int_equal(pthread_create(&thread, NULL, rival, NULL), 0);
    for (unsigned turn = 0; turn < TURNS; turn++) {
        take_it();
        meet(turn);
        for (volatile unsigned i = 0; i < turn / 50 % 50; i++) {
        }
        race.result[0] = free_it(0);
        while (atomic_load(&race.finished) <= turn) {
        }
        judge();
        if (turn % 16 == 0) {
            assert_sound(&race.f, 4 * BLOCK);
        }
    }
    (void)pthread_join(thread, NULL);
    assert_sound(&race.f, 4 * BLOCK);
    assert_int_equal(must_alloc(&race.f, 11), 0);
    fixture_close(&race.f);
}

static void single_frame(void **state)
{
    (void)state;
    run_race(1, 0, false, false);
    run_race(1, 0, false, true);
}

static void runs_in_a_word(void **state)
{
    (void)state;
    run_race(2, 1, false, false);
    run_race(64, 6, false, false);
}

static void runs_of_words(void **state)
{
    (void)state;
    run_race(128, 7, false, false);
    run_race(256, 8, false, false);
}

static void whole_blocks(void **state)
{
    (void)state;
    run_race(512, 9, false, false);
    run_race(1024, 10, false, false);
}

static void contiguous(void **state)
{
    (void)state;
    run_race(900, 0, true, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_frame),  cmocka_unit_test(runs_in_a_word),
        cmocka_unit_test(runs_of_words), cmocka_unit_test(whole_blocks),
        cmocka_unit_test(contiguous),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
