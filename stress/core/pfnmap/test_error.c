/* SPDX-License-Identifier: MIT
 *
 * test_error.c - quire_strerror: a phrase of its own for each error, never NULL.
 */
#include "stress/common/assert.h"

#include <quire/types.h>

#include <limits.h>
#include <string.h>

static void each_error_has_its_own_phrase(void **state)
{
    (void)state;
    for (int a = 0; a < QUIRE_ERRORS; a++) {
        assert_non_null(quire_strerror(-a));
        assert_string_not_equal(quire_strerror(-a), "unknown error");
        for (int b = 0; b < a; b++)
            assert_string_not_equal(quire_strerror(-a), quire_strerror(-b));
    }
    assert_string_equal(quire_strerror(QUIRE_ERR_DOUBLE_FREE), "double free");
}

static void other_numbers_are_unknown(void **state)
{
    const int numbers[] = {1, -QUIRE_ERRORS, INT_MIN, INT_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        assert_string_equal(quire_strerror(numbers[i]), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_error_has_its_own_phrase),
        cmocka_unit_test(other_numbers_are_unknown),
    };

    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
