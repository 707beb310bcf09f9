/* SPDX-License-Identifier: MIT
 *
 * cmocka.h - as much of cmocka's interface as the tests of the layers use, in one header.
 *
 * Debian has no cmocka for another architecture or for musl. Tests for those are built with this
 * header in its place (stress/cross/hosted); all others use the real one. A failed assertion ends
 * the program, where cmocka goes on with the next test.
 */
#ifndef QUIRE_STRESS_CROSS_CMOCKA_H
#define QUIRE_STRESS_CROSS_CMOCKA_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*test)(void **state);
    int (*setup)(void **state);
    int (*teardown)(void **state);
};

#define cmocka_unit_test_setup_teardown(f, setup, teardown) \
    {                                                       \
#f, f, setup, teardown                              \
    }
#define cmocka_unit_test(f)                    cmocka_unit_test_setup_teardown(f, NULL, NULL)
#define cmocka_unit_test_teardown(f, teardown) cmocka_unit_test_setup_teardown(f, NULL, teardown)

static jmp_buf lite_skipped __attribute__((unused));

static inline void print_message(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline void print_message(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
}

#define print_error print_message

__attribute__((noreturn)) static inline void lite_fail(const char *what, const char *file, int line)
{
    print_message("%s:%d: FAILED: %s\n", file, line, what);
    (void)fflush(stdout);
    exit(1);
}

static inline void lite_equal(uintmax_t a, uintmax_t b, int same, const char *what,
                              const char *file, int line)
{
    if ((a == b) == same)
        return;
    print_message("%" PRIuMAX " (%#" PRIxMAX "), %" PRIuMAX " (%#" PRIxMAX ")\n", a, a, b, b);
    lite_fail(what, file, line);
}

static inline void lite_in_range(uintmax_t v, uintmax_t least, uintmax_t most, const char *what,
                                 const char *file, int line)
{
    if (v >= least && v <= most)
        return;
    print_message("%" PRIuMAX " is not in %" PRIuMAX " .. %" PRIuMAX "\n", v, least, most);
    lite_fail(what, file, line);
}

static inline int lite_run(const char *name, const struct CMUnitTest tests[], size_t n)
{
    volatile size_t skipped = 0;

    for (volatile size_t i = 0; i < n; i++) {
        void *state = NULL;

        if (tests[i].setup)
            (void)tests[i].setup(&state);
        if (setjmp(lite_skipped) == 0)
            tests[i].test(&state);
        else
            skipped++;
        if (tests[i].teardown)
            (void)tests[i].teardown(&state);
    }
    print_message("%s: %zu tests passed, %zu skipped\n", name, n - skipped, skipped);
    return 0;
}

#define LITE_SAME(a, b, same, what) \
    lite_equal((uintmax_t)(a), (uintmax_t)(b), same, what, __FILE__, __LINE__)
#define LITE_POINTER(p) ((uintptr_t)(p))

#define _assert_int_equal(a, b, file, line) \
    lite_equal((uintmax_t)(a), (uintmax_t)(b), 1, "not equal", file, line)
#define assert_int_equal(a, b)        LITE_SAME(a, b, 1, #a " == " #b)
#define assert_int_not_equal(a, b)    LITE_SAME(a, b, 0, #a " != " #b)
#define assert_ptr_equal(a, b)        LITE_SAME(LITE_POINTER(a), LITE_POINTER(b), 1, #a " == " #b)
#define assert_ptr_not_equal(a, b)    LITE_SAME(LITE_POINTER(a), LITE_POINTER(b), 0, #a " != " #b)
#define assert_true(c)                LITE_SAME(!(c), 0, 1, #c)
#define assert_false(c)               LITE_SAME(!(c), 0, 0, "not " #c)
#define assert_non_null(p)            assert_true((p) != NULL)
#define assert_null(p)                assert_true((p) == NULL)
#define assert_string_equal(a, b)     assert_true(strcmp(a, b) == 0)
#define assert_string_not_equal(a, b) assert_true(strcmp(a, b) != 0)
#define assert_memory_equal(a, b, n)  assert_true(memcmp(a, b, n) == 0)
#define assert_in_range(v, least, most) \
    lite_in_range((uintmax_t)(v), (uintmax_t)(least), (uintmax_t)(most), #v, __FILE__, __LINE__)
#define fail_msg(...)     (print_message(__VA_ARGS__), lite_fail("", __FILE__, __LINE__))
#define _fail(file, line) lite_fail("failed", file, line)
#define fail()            lite_fail("fail", __FILE__, __LINE__)
#define skip()            longjmp(lite_skipped, 1)

#define cmocka_run_group_tests_name(name, tests, setup, teardown) \
    ((void)(setup), (void)(teardown), lite_run(name, tests, sizeof(tests) / sizeof((tests)[0])))
#define cmocka_run_group_tests(tests, setup, teardown) \
    cmocka_run_group_tests_name(#tests, tests, setup, teardown)

#endif /* QUIRE_STRESS_CROSS_CMOCKA_H */
