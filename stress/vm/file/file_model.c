/* SPDX-License-Identifier: MIT
 *
 * file_model.c - random calls on spaces and files, see calls.h.
 *
 *     file_model [SEED [CALLS]]
 */
#include "calls.h"

#include "stress/common/assert.h"
#include "stress/common/random.h"

#include <stdlib.h>

enum { RUNS = 24 };

static uint64_t state_of_random, calls = 6000, seed = 1, left;

static uint64_t draw(void *ctx, uint64_t bound)
{
    (void)ctx;
    return random_below(&state_of_random, bound);
}

static int more(void *ctx)
{
    (void)ctx;
    return left-- > 0;
}

static void random_calls(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RUNS; i++) {
        state_of_random = random_seed(seed, i);
        left = calls;
        calls_run(draw, more, NULL);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_calls)};

    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        calls = strtoull(argv[2], NULL, 10);
    return cmocka_run_group_tests_name("file_model", tests, NULL, NULL);
}
