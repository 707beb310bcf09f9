/* SPDX-License-Identifier: MIT
 *
 * test_options.c - the options of `quire run`: bad ones are refused at once, in one line that says
 * what was wrong and what would be right, with exit status 2 and nothing on the standard output.
 */
#include "report.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static struct report report;
static struct program program;

static void bad_options(void **state)
{
    static const struct {
        const char *option, *value, *right;
    } cases[] = {
        {"--threads", "0", "from 1 to 4095"},
        {"--threads", "4096", "from 1 to 4095"},
        {"--threads", "-1", "from 1 to 4095"},
        {"--threads", "", "from 1 to 4095"},
        {"--threads", "8 ", "from 1 to 4095"},
        {"--threads", "1e3", "from 1 to 4095"},
        {"--threads", "18446744073709551617", "from 1 to 4095"},
        {"--seconds", "0", "from 0.001 to 1000000"},
        {"--seconds", "-5", "from 0.001 to 1000000"},
        {"--seconds", "0.0001", "from 0.001 to 1000000"},
        {"--seconds", "1.", "from 0.001 to 1000000"},
        {"--seconds", "ten", "from 0.001 to 1000000"},
        {"--seconds", "1000001", "from 0.001 to 1000000"},
        {"--seconds", "99999999999999999999", "from 0.001 to 1000000"},
        {"--operations", "0", "from 1 to 2^64 - 1"},
        {"--operations", "-1", "from 1 to 2^64 - 1"},
        {"--operations", "18446744073709551616", "from 1 to 2^64 - 1"},
        {"--seed", "-1", "from 0 to 2^64 - 1"},
        {"--seed", "0x", "from 0 to 2^64 - 1"},
        {"--seed", "18446744073709551616", "from 0 to 2^64 - 1"},
        {"--inject", "bug", "double-hand-out or lost-frame"},
        {"--map", "no-such-map", "readable"},
        {"--json", "no-such-folder/x", "can be written"},
        {"--json", "/", "can be written"},
        {"--thread-count", "8", "quire run --help"},
        {"surplus", "words", "quire run --help"},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *newline;

        PROGRAM_RUN(&program, "run", "--seconds", "1000", cases[i].option, cases[i].value);
        newline = strchr(program.error, '\n');
        if (program.status != 2 || !strstr(program.error, cases[i].right) || *program.out ||
            strncmp(program.error, "quire run: ", 11) != 0 || !newline || newline[1])
            fail_msg("%s %s: status %d, \"%s\"", cases[i].option, cases[i].value, program.status,
                     program.error);
    }
}

static void option_without_value(void **state)
{
    (void)state;
    PROGRAM_RUN(&program, "run", "--threads");
    assert_int_equal(program.status, 2);
    assert_non_null(strstr(program.error, "--threads needs a value"));
}

static void good_options(void **state)
{
    (void)state;
    REPORT_RUN(&report, "--threads=2", "--operations=0x64", "--seed=0xff", "--seconds=1000");
    assert_clean(&report);
    assert_true(report_number(&report, "operations") == 200);
    assert_true(report_number(&report, "seed") == 255);
    report_free(&report);
    REPORT_RUN(&report, "--seconds", "0.25", "--threads", "1");
    assert_clean(&report);
    assert_true(report_number(&report, "seconds") >= 0.25);
    report_free(&report);
}

static void json_on_standard_output(void **state)
{
    (void)state;
    PROGRAM_RUN(&program, "run", "--operations", "100", "--json", "-");
    report.json = cJSON_Parse(program.out);
    assert_int_equal(program.status, 0);
    assert_string_equal(report_text(&report, "verdict"), "clean");
    assert_non_null(strstr(program.error, "verdict: clean\n"));
    report_free(&report);
}

/* As many threads as slots can be had. */
static void many_threads(void **state)
{
    (void)state;
    REPORT_RUN(&report, "--threads", "300", "--operations", "20");
    assert_clean(&report);
    assert_true(report_number(&report, "operations") == 6000);
    report_free(&report);
}

static void help_publishes_the_operations(void **state)
{
    (void)state;
    PROGRAM_RUN(&program, "run", "--help");
    assert_int_equal(program.status, 0);
    assert_string_equal(program.error, "");
    assert_non_null(strstr(program.out, "Orders, of 100000"));
    assert_non_null(strstr(program.out, "92837"));
    assert_non_null(strstr(program.out, "  --inject FAULT"));
    assert_non_null(strstr(program.out, "\nOperations, of 1000"));
    assert_non_null(strstr(program.out, "\nOperations with --topology, of 1000"));
}

static void full_disk(void **state)
{
    struct stat info;

    (void)state;
    PROGRAM_RUN(&program, "run", "--operations", "100", "--json", "/dev/full");
    assert_int_equal(program.status, 1);
    assert_non_null(strstr(program.error, "/dev/full"));
    assert_int_equal(stat("/dev/full", &info), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_options),  cmocka_unit_test(option_without_value),
        cmocka_unit_test(good_options), cmocka_unit_test(json_on_standard_output),
        cmocka_unit_test(many_threads), cmocka_unit_test(help_publishes_the_operations),
        cmocka_unit_test(full_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
