/* SPDX-License-Identifier: MIT
 *
 * test_ladder.c - what a request does before it is refused, step by step. White-box: the linker
 * puts our functions in place of those that ask a zone and drain a cache, and each writes into a
 * log what it was called for, then calls the one that it stands for.
 *
 * In the log, with the zone's number: a ask for a run, b for a batch, k for a contiguous run; d
 * drain the zone's caches; r drain the remote magazines, c the port's reclaim.
 */
#include "stress/numa/machine/unit.h"

#include "numa/machine/machine.h"

#include <stdio.h>
#include <string.h>

enum { ZONE_BLOCKS = 16, FRAMES = 2 * ZONE_BLOCKS * BLOCK };

static struct rig rig;
static char steps[256];

static void log_step(char what, uint32_t zone)
{
    size_t n = strlen(steps);

    assert_true(n + 4 < sizeof steps);
    (void)snprintf(steps + n, sizeof steps - n, zone == UINT32_MAX ? "%c " : "%c%u ", what, zone);
}

/* The linker's names: of what a function stands in for, and of itself. */
#define REAL(function)     __asm__("__real_" #function)
#define IN_PLACE(function) __asm__("__wrap_" #function)

int real_alloc(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags,
               quire_pfn *pfn) REAL(quire_zone_alloc);
int real_run(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags, quire_pfn *pfn)
    REAL(qi_zone_alloc_cached);
int logged_run(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags,
               quire_pfn *pfn) IN_PLACE(qi_zone_alloc_cached);
int logged_alloc(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags,
                 quire_pfn *pfn) IN_PLACE(quire_zone_alloc);
int real_batch(struct quire_zone *z, quire_slot slot, uint32_t flags, size_t n, quire_pfn pfns[],
               size_t *got) REAL(quire_zone_alloc_batch);
int logged_batch(struct quire_zone *z, quire_slot slot, uint32_t flags, size_t n, quire_pfn pfns[],
                 size_t *got) IN_PLACE(quire_zone_alloc_batch);
int real_refill(struct quire_zone *z, quire_slot slot, uint32_t flags, size_t n, quire_pfn pfns[],
                size_t *got) REAL(qi_zone_alloc_batch_cached);
int logged_refill(struct quire_zone *z, quire_slot slot, uint32_t flags, size_t n, quire_pfn pfns[],
                  size_t *got) IN_PLACE(qi_zone_alloc_batch_cached);
size_t real_runs(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags, size_t n,
                 quire_pfn pfns[]) REAL(qi_runs_refill);
size_t logged_runs(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags, size_t n,
                   quire_pfn pfns[]) IN_PLACE(qi_runs_refill);
int real_contig(struct quire_zone *z, quire_slot slot, const struct quire_contig *want,
                uint32_t flags, quire_pfn *pfn) REAL(quire_zone_alloc_contig);
int logged_contig(struct quire_zone *z, quire_slot slot, const struct quire_contig *want,
                  uint32_t flags, quire_pfn *pfn) IN_PLACE(quire_zone_alloc_contig);
void real_drain(struct quire_cache *c, bool no_syscall) REAL(qi_cache_drain_whole);
void logged_drain(struct quire_cache *c, bool no_syscall) IN_PLACE(qi_cache_drain_whole);
uint64_t real_remote(const struct machine_reader *r, bool idle_only) REAL(qi_remote_drain_all);
uint64_t logged_remote(const struct machine_reader *r, bool idle_only)
    IN_PLACE(qi_remote_drain_all);

int logged_alloc(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags,
                 quire_pfn *pfn)
{
    log_step('a', z->head->id);
    return real_alloc(z, slot, order, flags, pfn);
}

int logged_batch(struct quire_zone *z, quire_slot slot, uint32_t flags, size_t n, quire_pfn pfns[],
                 size_t *got)
{
    log_step('b', z->head->id);
    return real_batch(z, slot, flags, n, pfns, got);
}

int logged_run(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags,
               quire_pfn *pfn)
{
    log_step('a', z->head->id);
    return real_run(z, slot, order, flags, pfn);
}

int logged_refill(struct quire_zone *z, quire_slot slot, uint32_t flags, size_t n, quire_pfn pfns[],
                  size_t *got)
{
    log_step('b', z->head->id);
    return real_refill(z, slot, flags, n, pfns, got);
}

size_t logged_runs(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags, size_t n,
                   quire_pfn pfns[])
{
    log_step('b', z->head->id);
    return real_runs(z, slot, order, flags, n, pfns);
}

int logged_contig(struct quire_zone *z, quire_slot slot, const struct quire_contig *want,
                  uint32_t flags, quire_pfn *pfn)
{
    log_step('k', z->head->id);
    return real_contig(z, slot, want, flags, pfn);
}

void logged_drain(struct quire_cache *c, bool no_syscall)
{
    log_step('d', c->zone->head->id);
    real_drain(c, no_syscall);
}

uint64_t logged_remote(const struct machine_reader *r, bool idle_only)
{
    log_step('r', UINT32_MAX);
    return real_remote(r, idle_only);
}

static uint64_t hear(struct rig *r, quire_node node, uint64_t frames)
{
    (void)r;
    (void)node;
    (void)frames;
    log_step('c', UINT32_MAX);
    return 0;
}

/* Two nodes of one zone each, with all frames allocated by CPU 0, which is of node 0. */
static uint64_t pfns[FRAMES];

static void open_full(struct rig *r, uint64_t low)
{
    rig_begin(r, 2, 2);
    r->config.rounds = 8; /* few, and no blocks: then a small zone has room for runs too */
    r->config.huge_rounds = 0;
    r->low = low;
    for (uint32_t n = 0; n < 2; n++)
        (void)rig_zone(r, n, QUIRE_ZONE_NORMAL, 0, (uint64_t)ZONE_BLOCKS * BLOCK);
    rig_open(r);
    for (uint32_t i = 0; i < FRAMES; i++) {
        steps[0] = 0;
        pfns[i] = take(r, 0, QUIRE_EMERGENCY);
    }
    r->reclaim = hear;
}

/* Frames with pfns[] == 0 were freed by the test. */
static void close_full(struct rig *r)
{
    for (uint32_t i = 0; i < FRAMES; i++) {
        steps[0] = 0;
        if (pfns[i])
            give(r, pfns[i], 0);
    }
    steps[0] = 0;
    rig_close(r);
}

/* Refused, after these steps? */
static void assert_refused(struct rig *r, const struct quire_request *request, int error,
                           const char *expected)
{
    quire_pfn pfn;

    steps[0] = 0;
    assert_error(quire_machine_request(r->machine, request, &pfn, NULL), error);
    assert_string_equal(steps, expected);
}

#define WHOLE "a0 d0 a0 a1 r d0 d1 a0 a1 c r d0 d1 a0 a1 "

/* A zone where the caller is local is asked four times and drained three times at most, another
 * one, and the last of the walk, three and two; one less each without the callback. */
static void refused(void **unused)
{
    struct quire_request wanted = quire_request_of(4, QUIRE_EMERGENCY);
    struct quire_policy one = {.mode = QUIRE_POLICY_BIND, .nodes = {2}};
    struct rig *r = &rig;

    (void)unused;
    open_full(r, BLOCK); /* far below the watermarks: the CPU caches are limited */
    for (wanted.order = 0; wanted.order <= QUIRE_MAX_ORDER; wanted.order++)
        assert_refused(r, &wanted, QUIRE_ERR_NO_MEMORY, WHOLE);
    wanted.order = 4;
    wanted.flags |= QUIRE_NO_CALLBACK;
    assert_refused(r, &wanted, QUIRE_ERR_NO_MEMORY, "a0 d0 a0 a1 r d0 d1 a0 a1 ");
    wanted.policy = &one;
    wanted.flags = QUIRE_EMERGENCY;
    assert_refused(r, &wanted, QUIRE_ERR_ZONE, "a1 r d1 a1 c r d1 a1 ");
    assert_error(quire_machine_alloc(r->machine, QUIRE_MAX_ORDER + 1, 0, &(quire_pfn){0}),
                 QUIRE_ERR_SIZE);
    assert_error(quire_machine_alloc(r->machine, 4, QUIRE_FALLBACK, &(quire_pfn){0}),
                 QUIRE_ERR_UNSUPPORTED);
    assert_string_equal(steps, "a1 r d1 a1 c r d1 a1 "); /* nothing was asked */
    one.nodes.bits = 1; /* where the caller is local: near before far, and nothing is far */
    assert_refused(r, &wanted, QUIRE_ERR_ZONE, "a0 r d0 a0 c r d0 a0 ");
    close_full(r);
}

/* Batches and contiguous runs go by the same ladder. */
static void refused_many(void **unused)
{
    struct quire_request wanted = quire_request_of(0, QUIRE_EMERGENCY);
    struct quire_contig want = {.frames = 24, .align = 4096};
    struct rig *r = &rig;
    quire_pfn many[8], pfn;
    size_t got = 0;

    (void)unused;
    open_full(r, BLOCK);
    steps[0] = 0;
    assert_error(quire_machine_alloc_batch(r->machine, &wanted, 8, many, &got, NULL),
                 QUIRE_ERR_NO_MEMORY);
    assert_string_equal(steps, "b0 d0 b0 b1 r d0 d1 b0 b1 c r d0 d1 b0 b1 ");
    steps[0] = 0;
    assert_error(quire_machine_alloc_contig(r->machine, &wanted, &want, &pfn, NULL),
                 QUIRE_ERR_NO_MEMORY);
    assert_string_equal(steps, "k0 d0 k0 k1 r d0 d1 k0 k1 c r d0 d1 k0 k1 ");
    want.frames = (ZONE_BLOCKS + 1) * BLOCK;
    steps[0] = 0;
    assert_error(quire_machine_alloc_contig(r->machine, &wanted, &want, &pfn, NULL),
                 QUIRE_ERR_SIZE);
    assert_string_equal(steps, "k0 k1 ");

    /* One who takes what there is, is served on the first rung, and the other zone's frames last.
     */
    give(r, pfns[FRAMES - 1], 0);
    give(r, pfns[FRAMES - 2], 0);
    assert_ok(quire_machine_drain(r->machine));
    wanted.flags |= QUIRE_PARTIAL;
    steps[0] = 0;
    assert_ok(quire_machine_alloc_batch(r->machine, &wanted, 8, many, &got, NULL));
    assert_int_equal(got, 2);
    assert_string_equal(steps, "b0 d0 b0 b1 ");
    close_full(r);
}

/* What lies in a near cache comes before a far zone, and what lies anywhere before a refusal. */
static void near_before_far(void **unused)
{
    struct rig *r = &rig;

    (void)unused;
    open_full(r, 0);
    give(r, pfns[FRAMES - 1], 0);
    assert_ok(quire_machine_drain(r->machine)); /* free, in node 1 */
    rig_cpu = 1;
    give(r, pfns[0], 0); /* in CPU 1's cache */
    rig_cpu = 0;
    steps[0] = 0;
    assert_int_equal(take(r, 0, QUIRE_EMERGENCY), pfns[0]);
    assert_string_equal(steps, "b0 a0 d0 a0 ");
    steps[0] = 0;
    assert_int_equal(take(r, 0, QUIRE_EMERGENCY), pfns[FRAMES - 1]);
    assert_string_equal(steps, "b0 a0 d0 a0 a1 ");
    give(r, pfns[FRAMES - 1], 0); /* in CPU 0's remote magazine */
    steps[0] = 0;
    assert_int_equal(take(r, 0, QUIRE_EMERGENCY), pfns[FRAMES - 1]);
    assert_string_equal(steps, "b0 a0 d0 a0 a1 r d0 d1 a0 a1 ");
    close_full(r);
}

/* While a CPU cache is not limited, a request of its order first asks for half a magazine. */
static void in_pieces(void **unused)
{
    struct quire_request wanted = quire_request_of(0, 0);
    struct rig *r = &rig;

    (void)unused;
    open_full(r, 0);
    assert_refused(r, &wanted, QUIRE_ERR_NO_MEMORY, "b0 " WHOLE);
    for (uint32_t i = 0; i < FRAMES; i++)
        if (pfns[i] % 4 == 0) {
            give(r, pfns[i], 0);
            pfns[i] = 0;
        }
    wanted.order = 1;
    assert_refused(r, &wanted, QUIRE_ERR_NO_MEMORY, "b0 " WHOLE);
    wanted.order = 4;
    assert_refused(r, &wanted, QUIRE_ERR_NO_MEMORY, WHOLE);
    close_full(r);
}

/* A scarcer zone that a request comes down to is asked, but not drained, before the next node. */
static void comes_down(void **unused)
{
    struct quire_request wanted = quire_request_of(4, QUIRE_EMERGENCY | QUIRE_NO_CALLBACK);
    struct quire_request down = quire_request_of(0, QUIRE_EMERGENCY);
    static uint64_t scarce[BLOCK];
    struct rig *r = &rig;

    (void)unused;
    rig_begin(r, 1, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, (uint64_t)ZONE_BLOCKS * BLOCK);
    (void)rig_zone(r, 0, QUIRE_ZONE_DMA32, (uint64_t)ZONE_BLOCKS * BLOCK, BLOCK);
    rig_open(r);
    down.purpose = QUIRE_FOR_DMA32;
    for (uint32_t i = 0; i < BLOCK; i++) {
        steps[0] = 0;
        scarce[i] = ask(r, &down);
    }
    for (uint32_t i = 0; i < ZONE_BLOCKS * BLOCK; i++) {
        steps[0] = 0;
        pfns[i] = take(r, 0, QUIRE_EMERGENCY);
    }
    assert_refused(r, &wanted, QUIRE_ERR_NO_MEMORY, "a0 d0 a0 a1 r d0 d1 a0 a1 ");
    for (uint32_t i = 0; i < BLOCK; i++)
        give(r, scarce[i], 0);
    for (uint32_t i = ZONE_BLOCKS * BLOCK; i < FRAMES; i++)
        pfns[i] = 0;
    close_full(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused),         cmocka_unit_test(refused_many),
        cmocka_unit_test(near_before_far), cmocka_unit_test(in_pieces),
        cmocka_unit_test(comes_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
