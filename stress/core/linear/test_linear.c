/* SPDX-License-Identifier: MIT
 *
 * test_linear.c - the checker of histories says yes to what a zone may do, and no to all else.
 */
#include "linear.h"
#include "stress/common/assert.h"

#include <quire/types.h>

#include <stdlib.h>
#include <string.h>

static struct linear_memory memory;

static struct linear_call alloc(uint64_t begin, uint64_t end, unsigned order, int frame)
{
    return (struct linear_call){.begin = begin,
                                .end = end,
                                .kind = LINEAR_ALLOC,
                                .result = frame < 0 ? QUIRE_ERR_NO_MEMORY : 0,
                                .order = order,
                                .frame = {(uint16_t)(frame < 0 ? 0 : frame)}};
}

static struct linear_call release(uint64_t begin, uint64_t end, unsigned order, int frame)
{
    return (struct linear_call){.begin = begin,
                                .end = end,
                                .kind = LINEAR_FREE,
                                .order = order,
                                .frame = {(uint16_t)frame}};
}

/* A zone in which the first `free` frames are free. */
static struct linear_state of_free(unsigned free)
{
    struct linear_state s;
    memset(&s, 0xff, sizeof s);
    memset(s.inside, 0, sizeof s.inside);
    for (unsigned i = 0; i < free; i++) {
        s.used[i / 64] &= ~(UINT64_C(1) << (i % 64));
    }
    return s;
}

static bool is_right(unsigned free, const struct linear_call calls[], unsigned n)
{
    struct linear_state state = of_free(free);
    struct linear_state before = state;
    unsigned stuck;
    bool right = linear_check(&state, calls, n, &memory, &stuck);
    if (!right) {
        assert_memory_equal(&state, &before, sizeof state);
        assert_true(stuck < n);
    }
    return right;
}
#define IS_RIGHT(free, ...)                                   \
    is_right(free, (const struct linear_call[]){__VA_ARGS__}, \
             sizeof((const struct linear_call[]){__VA_ARGS__}) / sizeof(struct linear_call))

static void frames_have_one_owner(void **state)
{
    (void)state;
    assert_true(IS_RIGHT(2, alloc(1, 4, 0, 0), alloc(2, 3, 0, 1)));
    assert_false(IS_RIGHT(2, alloc(1, 4, 0, 0), alloc(2, 3, 0, 0)));
    assert_false(IS_RIGHT(4, alloc(1, 4, 1, 0), alloc(2, 3, 0, 1)));
    assert_false(IS_RIGHT(1, alloc(1, 2, 0, 1))); /* used from the start */
    /* Freed in between, in one order only. */
    assert_true(IS_RIGHT(1, alloc(1, 2, 0, 0), alloc(3, 6, 0, 0), release(4, 5, 0, 0)));
    assert_false(IS_RIGHT(1, alloc(1, 2, 0, 0), alloc(3, 4, 0, 0), release(5, 6, 0, 0)));
}

static void frees_are_of_whole_runs(void **state)
{
    (void)state;
    assert_true(IS_RIGHT(8, alloc(1, 2, 2, 4), release(3, 4, 2, 4)));
    assert_false(IS_RIGHT(8, alloc(1, 2, 2, 4), release(3, 4, 1, 4)));
    assert_false(IS_RIGHT(8, alloc(1, 2, 2, 4), release(3, 4, 1, 6)));
    assert_false(IS_RIGHT(8, alloc(1, 2, 0, 4), alloc(3, 4, 0, 5), release(5, 6, 1, 4)));
    assert_false(IS_RIGHT(8, release(1, 2, 0, 4)));
}

static void refusals_are_true(void **state)
{
    (void)state;
    assert_true(IS_RIGHT(0, alloc(1, 2, 0, -1)));
    assert_false(IS_RIGHT(1, alloc(1, 2, 0, -1)));
    assert_true(IS_RIGHT(3, alloc(1, 2, 2, -1)));
    assert_false(IS_RIGHT(4, alloc(1, 2, 2, -1)));
    /* Another call has the last frame, before or behind its own moment; or had it, and is over. */
    assert_true(IS_RIGHT(1, alloc(1, 4, 0, 0), alloc(2, 3, 0, -1)));
    assert_true(IS_RIGHT(1, alloc(1, 2, 0, 0), release(3, 6, 0, 0), alloc(4, 5, 0, -1)));
    assert_false(IS_RIGHT(1, alloc(1, 2, 0, 0), release(3, 4, 0, 0), alloc(5, 6, 0, -1)));
    /* Moments that exclude each other: the frame was there for all of one, or of the other. */
    assert_false(IS_RIGHT(1, alloc(1, 3, 0, -1), alloc(4, 5, 0, 0), release(6, 7, 0, 0)));
}

static void refused_calls_have_hands_too(void **state)
{
    const struct linear_call batch = {
        .begin = 1, .end = 6, .kind = LINEAR_BATCH_ALLOC, .n = 2, .frame = {1, 3}};
    (void)state;
    /* A batch's frames may be in as many runs. */
    assert_true(IS_RIGHT(4, batch, alloc(2, 3, 1, -1)));
    assert_false(IS_RIGHT(6, batch, alloc(2, 3, 1, -1)));
    /* Each has what it wanted, and no more. */
    assert_true(IS_RIGHT(2, alloc(1, 6, 2, -1), alloc(2, 3, 0, -1)));
    assert_false(IS_RIGHT(5, alloc(1, 6, 2, -1), alloc(2, 3, 0, -1)));
    assert_true(IS_RIGHT(4, alloc(1, 6, 2, -1), alloc(2, 3, 2, -1)));
    assert_false(IS_RIGHT(8, alloc(1, 6, 2, -1), alloc(2, 3, 2, -1)));
}

static void given_places_and_batches(void **state)
{
    struct linear_call at = {.begin = 3, .end = 4, .kind = LINEAR_AT, .result = QUIRE_ERR_BUSY};
    struct linear_call batch = {
        .begin = 1, .end = 5, .kind = LINEAR_BATCH_ALLOC, .n = 3, .frame = {0, 2, 1}};
    (void)state;
    assert_true(IS_RIGHT(4, batch, at)); /* the batch has it */
    at.begin = 6;
    at.end = 7;
    assert_true(IS_RIGHT(4, batch, at)); /* and keeps it */
    at.frame[0] = 3;
    assert_false(IS_RIGHT(4, batch, at));
    at.frame[0] = 4; /* used from the start */
    assert_true(IS_RIGHT(4, batch, at));
    at.result = QUIRE_ERR_FRAME; /* not to be answered here */
    assert_false(IS_RIGHT(4, batch, at));
    batch.result = QUIRE_ERR_NO_MEMORY;
    assert_true(IS_RIGHT(2, batch));
    assert_false(IS_RIGHT(3, batch));
}

/* All at once: any order will do, and the search finds one without trying all 32!. */
static void many_at_once(void **state)
{
    struct linear_call calls[LINEAR_CALLS];
    (void)state;
    for (unsigned i = 0; i < LINEAR_CALLS; i++) {
        calls[i] = alloc(1 + i, 100 + i, 0, (int)(LINEAR_CALLS - 1 - i));
    }
    assert_true(is_right(LINEAR_CALLS, calls, LINEAR_CALLS));
    calls[5].frame[0] = LINEAR_CALLS; /* which is used */
    assert_false(is_right(LINEAR_CALLS, calls, 12));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_have_one_owner),
        cmocka_unit_test(frees_are_of_whole_runs),
        cmocka_unit_test(refusals_are_true),
        cmocka_unit_test(given_places_and_batches),
        cmocka_unit_test(refused_calls_have_hands_too),
        cmocka_unit_test(many_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
