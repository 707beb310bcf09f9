/* SPDX-License-Identifier: MIT
 *
 * test_search.c - every search kernel that this machine runs, through the checks of check.h, and
 * the choice among them. White-box.
 */
#include "check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void every_kernel(bool (*check)(const struct search_kernel *))
{
    const struct search_kernel *search;

    for (size_t i = 0; (search = qi_search_kernel(i)) != NULL; i++) {
        print_message("kernel %s\n", search->name);
        assert_true(check(search));
    }
}

static void test_next_byte(void **state)
{
    (void)state;
    every_kernel(check_next_byte);
}

static void test_least_fit(void **state)
{
    (void)state;
    every_kernel(check_least_fit);
}

static void test_least_byte(void **state)
{
    (void)state;
    every_kernel(check_least_byte);
}

static void test_bits(void **state)
{
    (void)state;
    every_kernel(check_bits);
}

static void test_quarters(void **state)
{
    (void)state;
    every_kernel(check_quarters);
}

static void test_rows(void **state)
{
    (void)state;
    every_kernel(check_rows);
}

static void test_bytes_from(void **state)
{
    (void)state;
    every_kernel(check_bytes_from);
}

static void test_agreement(void **state)
{
    (void)state;
    every_kernel(check_agreement);
}

static void test_racing(void **state)
{
    (void)state;
    every_kernel(check_racing);
}

static bool is_listed(const char *name)
{
    const struct search_kernel *search;

    for (size_t i = 0; (search = qi_search_kernel(i)) != NULL; i++) {
        if (strcmp(search->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void test_order(void **state)
{
    const struct search_kernel *last = NULL;
    const struct search_kernel *search;
    size_t count = 0;

    (void)state;
    assert_ptr_equal(qi_search_kernel(0), &qi_search_word);
    while ((search = qi_search_kernel(count)) != NULL) {
        assert_ptr_not_equal(search, last);
        last = search;
        count++;
    }
    assert_null(qi_search_kernel(count + 1));
    assert_null(qi_search_kernel(SIZE_MAX));
    assert_ptr_equal(qi_search_best(), last);
    assert_ptr_equal(qi_search_best(), last); /* the cached answer */
}

/* Linux says for itself what CPU and operating system support. */
static void test_choice(void **state)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[8192] = "";
    bool found = false;

    (void)state;
#ifdef FOREIGN_MACHINE
    print_message("skipped: /proc/cpuinfo is not that of the machine that this is built for\n");
    skip();
#endif
    if (file == NULL) {
        print_message("skipped: no /proc/cpuinfo to compare the choice with\n");
        skip();
    }
    while (!found && fgets(line, sizeof line, file) != NULL) {
        found = strncmp(line, "flags", 5) == 0 || strncmp(line, "Features", 8) == 0;
    }
    (void)fclose(file);
    assert_true(found);
    line[strcspn(line, "\n")] = ' ';
    assert_int_equal(is_listed("avx2"), strstr(line, " avx2 ") != NULL);
    assert_int_equal(is_listed("avx512"),
                     strstr(line, " avx512f ") != NULL && strstr(line, " avx512bw ") != NULL);
    assert_int_equal(is_listed("neon"), strstr(line, " asimd ") != NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),     cmocka_unit_test(test_choice),
        cmocka_unit_test(test_next_byte), cmocka_unit_test(test_least_byte),
        cmocka_unit_test(test_least_fit), cmocka_unit_test(test_bits),
        cmocka_unit_test(test_quarters),  cmocka_unit_test(test_agreement),
        cmocka_unit_test(test_rows),      cmocka_unit_test(test_bytes_from),
        cmocka_unit_test(test_racing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
