/* SPDX-License-Identifier: MIT
 *
 * model.c - random calls on a heap against a list of its objects (calls.h), in each mode.
 *
 *     heap_model [SEED [CALLS]]
 */
#include "calls.h"

#include "stress/heap/rig.h"

#include "stress/common/assert.h"
#include "stress/common/random.h"

#include <stdlib.h>

static uint64_t state_of_random, seed = 1, calls = 40000, left;

static uint64_t draw(void *ctx, uint64_t bound)
{
    (void)ctx;
    return random_below(&state_of_random, bound);
}

static int is_left(void *ctx)
{
    (void)ctx;
    return left-- > 0;
}

static void run(enum calls_watch watch)
{
    print_message("seed %llu\n", (unsigned long long)seed);
    state_of_random = seed;
    left = calls;
    calls_run(watch, draw, is_left, NULL);
}

static void against_the_model(void **state)
{
    (void)state;
    run(CALLS_PLAIN);
}

static void with_tags(void **state)
{
    (void)state;
    run(CALLS_TAGGED);
}

static void with_all(void **state)
{
    (void)state;
    run(CALLS_ALL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(against_the_model),
                                       cmocka_unit_test(with_tags), cmocka_unit_test(with_all)};
    int failed = 0;

    if (argc > 1)
        seed = strtoull(argv[1], NULL, 0);
    if (argc > 2)
        calls = strtoull(argv[2], NULL, 0);
    for (unsigned i = 0; i < RIG_MODES; i++)
        failed += cmocka_run_group_tests_name(rig_mode_set(i), tests, NULL, NULL);
    return failed;
}
