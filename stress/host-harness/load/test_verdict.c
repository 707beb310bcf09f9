/* SPDX-License-Identifier: MIT
 *
 * test_verdict.c - `quire run` as a program: clean runs with figures that agree with each other,
 * sequences that repeat, and verdicts that fail when a fault is injected.
 */
#include "report.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct report report, other;

/* A machine that is small enough for every watermark to be reached at once. */
static const char *small_map(void)
{
    static char path[] = "small-map";
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs("1M 64M usable 0\n8G +32M usable 1\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    return path;
}

static double sum_over_zones(const char *name)
{
    const cJSON *zone;
    double sum = 0;

    cJSON_ArrayForEach(zone, report_at(&report, "zones")) sum +=
        cJSON_GetObjectItemCaseSensitive(zone, name)->valuedouble;
    return sum;
}

static void figures_agree(void **state)
{
    const cJSON *error;
    double refusals = 0;

    (void)state;
    REPORT_RUN(&report, "--map", small_map(), "--threads", "4", "--operations", "20000", "--seed",
               "18446744073709551615");
    assert_clean(&report);
    assert_true(report_number(&report, "threads") == 4);
    assert_true(report_number(&report, "operations") == 80000);
    assert_true(report_number(&report, "calls") > 80000);
    assert_true(report_number(&report, "seconds") > 0);
    assert_true(fabs(report_number(&report, "ops_per_second") * report_number(&report, "seconds") -
                     80000) < 1);
    assert_non_null(strstr(report.program.out, "seed 18446744073709551615\n"));
    assert_string_equal(report_text(&report, "map"), small_map());
    cJSON_ArrayForEach(error, report_at(&report, "refusals")) refusals +=
        strcmp(error->string, "total") ? error->valuedouble : 0;
    assert_true(refusals > 0);
    assert_null(strstr(report.program.out, "failures"));
    assert_non_null(strstr(report.program.out, "\nrefused, as expected: "));
    assert_true(refusals == report_number(&report, "refusals.total"));
    assert_true(report_number(&report, "refusals.no_memory") > 0);
    assert_true(report_number(&report, "refusals.double_free") == 0);
    assert_true(sum_over_zones("metadata_bytes") > 0);
    assert_true(report_number(&report, "peak_metadata_bytes") >= sum_over_zones("metadata_bytes"));
    report_free(&report);
}

static void everything_is_exercised(void **state)
{
    const cJSON *call;

    (void)state;
    REPORT_RUN(&report, "--map", small_map(), "--threads", "1", "--operations", "400000", "--seed",
               "2");
    assert_clean(&report);
    cJSON_ArrayForEach(call, report_at(&report, "latency"))
    {
        if (!cJSON_IsObject(call))
            continue;
        const double p50 = cJSON_GetObjectItem(call, "p50_ns")->valuedouble;
        const double p99 = cJSON_GetObjectItem(call, "p99_ns")->valuedouble;
        const double max = cJSON_GetObjectItem(call, "max_ns")->valuedouble;

        if (cJSON_GetObjectItem(call, "timed")->valuedouble < 1)
            fail_msg("no call of %s was timed", call->string);
        assert_true(p50 <= p99 && p99 <= max && max > 0);
    }
    assert_true(report_number(&report, "watermark_crossings.low") > 0);
    assert_true(report_number(&report, "watermark_crossings.min") > 0);
    assert_true(report_number(&report, "watermark_crossings.recovered") > 0);
    assert_true(report_number(&report, "checks.frames_taken") > 0);
    assert_true(report_number(&report, "checks.frames_taken") ==
                report_number(&report, "checks.frames_given"));
    assert_true(report_number(&report, "checks.frames_redrawn") == sum_over_zones("managed"));
    assert_true(report_number(&report, "checks.bad_calls_refused") > 500);
    assert_true(report_number(&report, "checks.bad_frees_reported") > 0);
    assert_true(report_number(&report, "checks.floors") > 10000);
    report_free(&report);
}

static void seed_repeats(void **state)
{
    static const char *const threads[] = {"1", "3"};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        REPORT_RUN(&report, "--map", small_map(), "--threads", threads[i], "--operations", "5000",
                   "--seed", "77");
        REPORT_RUN(&other, "--map", small_map(), "--threads", threads[i], "--operations", "5000",
                   "--seed", "77");
        assert_clean(&report);
        assert_clean(&other);
        assert_string_equal(report_text(&report, "sequence"), report_text(&other, "sequence"));
        if (i == 0) /* alone, the answers repeat, too */
            assert_string_equal(report_text(&report, "outcome"), report_text(&other, "outcome"));
        report_free(&other);
        REPORT_RUN(&other, "--map", small_map(), "--threads", threads[i], "--operations", "5000",
                   "--seed", "78");
        assert_string_not_equal(report_text(&report, "sequence"), report_text(&other, "sequence"));
        report_free(&other);
        report_free(&report);
    }
}

static void own_machine_and_real_maps(void **state)
{
    static const char *const maps[] = {
        MAPS "/desktop-msi-a320m.txt",
        MAPS "/server-ampere-altra-4node-srat.txt",
    };

    (void)state;
    REPORT_RUN(&report, "--seconds", "0.3", "--threads", "2");
    assert_clean(&report);
    assert_true(report_number(&report, "seconds") >= 0.3);
    report_free(&report);
    for (unsigned i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
        REPORT_RUN(&report, "--map", maps[i], "--operations", "3000");
        assert_clean(&report);
        assert_true(report_number(&report, "threads") == 8);
        report_free(&report);
    }
}

/* More than this machine could hold, and most of it set aside. */
static void giant_machine(void **state)
{
    FILE *file = fopen("giant-map", "w");

    (void)state;
    assert_non_null(file);
    assert_true(fputs("0 2T usable 0\n32T 33T usable 1\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    REPORT_RUN(&report, "--map", "giant-map", "--threads", "2", "--operations", "2000");
    assert_clean(&report);
    assert_true(sum_over_zones("set_aside") > sum_over_zones("managed") / 2);
    report_free(&report);
}

static void injected_double_hand_out(void **state)
{
    (void)state;
    REPORT_RUN(&report, "--map", small_map(), "--seconds", "100", "--seed", "5", "--inject",
               "double-hand-out");
    assert_int_equal(report.program.status, 1);
    assert_non_null(strstr(report_text(&report, "verdict"), "was handed out while it was held"));
    assert_non_null(strstr(report.program.out, report_text(&report, "verdict")));
    assert_null(strstr(report.program.out, "verdict: clean"));
    report_free(&report);
}

static void injected_lost_frame(void **state)
{
    (void)state;
    REPORT_RUN(&report, "--map", small_map(), "--operations", "3000", "--seed", "5", "--inject",
               "lost-frame");
    assert_int_equal(report.program.status, 1);
    assert_non_null(strstr(report_text(&report, "verdict"), " lost "));
    assert_non_null(strstr(report_text(&report, "verdict"), "was freed, but is not free"));
    report_free(&report);
}

static void doze(unsigned milliseconds)
{
    const struct timespec time = {milliseconds / 1000, (long)(milliseconds % 1000) * 1000000};

    nanosleep(&time, NULL);
}

/* Does the process catch SIGTERM by now? On a machine with much to do that takes its time. */
static bool catches_signals(pid_t child)
{
    char path[64], line[128];
    unsigned long long caught = 0;
    FILE *status;

    assert_true(snprintf(path, sizeof(path), "/proc/%d/status", (int)child) < (int)sizeof(path));
    status = fopen(path, "r");
    assert_non_null(status);
    while (fgets(line, sizeof(line), status) && strncmp(line, "SigCgt:", 7) != 0)
        line[0] = '\0';
    if (line[0])
        caught = strtoull(line + 7, NULL, 16);
    assert_int_equal(fclose(status), 0);
    return caught >> (SIGTERM - 1) & 1;
}

/* The program, for long, its table going to `out`; from its first moments on it catches signals. */
static pid_t start_run(int out)
{
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        dup2(out, STDOUT_FILENO);
        execl(PROGRAM, PROGRAM, "run", "--map", small_map(), "--seconds", "1000", (char *)NULL);
        _exit(127);
    }
    for (unsigned i = 0; i < 600 && !catches_signals(child); i++)
        doze(100);
    return child;
}

/* timeout(1) signals the program and then its process group: that is one wish, however the two fall
 * into the end of the run and its report. */
static void two_signals_are_one_wish(void **state)
{
    static char text[PROGRAM_TEXT];

    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        FILE *table = tmpfile();
        int status;
        pid_t child;

        assert_non_null(table);
        child = start_run(fileno(table));
        doze(300);
        assert_int_equal(kill(child, SIGTERM), 0);
        doze(i * i); /* 0 to 121 ms: before, while and after the threads end */
        (void)kill(child, SIGTERM);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("signals %u ms apart: status 0x%x", i * i, (unsigned)status);
        rewind(table);
        text[fread(text, 1, PROGRAM_TEXT - 1, table)] = '\0';
        assert_int_equal(fclose(table), 0);
        assert_non_null(strstr(text, "(interrupted)"));
        assert_non_null(strstr(text, "\nverdict: clean\n"));
    }
}

/* A pipe that nobody reads and that is full. */
static void full_pipe(int ends[2])
{
    char bytes[4096] = {0};

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    while (write(ends[1], bytes, sizeof(bytes)) > 0)
        ;
    assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
}

/* Is the child over within ten seconds? If not, it is ended. */
static bool ends_soon(pid_t child, int *status)
{
    for (unsigned i = 0; i < 100; i++) {
        if (waitpid(child, status, WNOHANG) == child)
            return true;
        doze(100);
    }
    (void)kill(child, SIGKILL);
    (void)waitpid(child, status, 0);
    return false;
}

/* Who cannot get rid of it by one signal can by another one, a second later. */
static void a_later_signal_ends_the_program(void **state)
{
    int ends[2], status;
    pid_t child;

    (void)state;
    full_pipe(ends);
    child = start_run(ends[1]);
    doze(300);
    assert_int_equal(kill(child, SIGTERM), 0);
    doze(1200);
    assert_int_equal(waitpid(child, &status, WNOHANG), 0);
    assert_int_equal(kill(child, SIGTERM), 0);
    assert_true(ends_soon(child, &status));
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    close(ends[0]);
    close(ends[1]);
}

/* Ctrl-C ends a run early, with its report and verdict. */
static void interrupt_gives_a_verdict(void **state)
{
    pid_t child = fork();
    int status;

    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        if (freopen("interrupted.json", "w", stdout))
            execl(PROGRAM, PROGRAM, "run", "--seconds", "1000", "--json", "-", (char *)NULL);
        _exit(127);
    }
    sleep(2);
    assert_int_equal(kill(child, SIGINT), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    FILE *file = fopen("interrupted.json", "r");
    assert_non_null(file);
    report.program.out[fread(report.program.out, 1, PROGRAM_TEXT - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);
    report.json = cJSON_Parse(report.program.out);
    assert_string_equal(report_text(&report, "verdict"), "clean");
    assert_true(cJSON_IsTrue(report_at(&report, "interrupted")));
    report_free(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_agree),
        cmocka_unit_test(everything_is_exercised),
        cmocka_unit_test(seed_repeats),
        cmocka_unit_test(own_machine_and_real_maps),
        cmocka_unit_test(giant_machine),
        cmocka_unit_test(injected_double_hand_out),
        cmocka_unit_test(injected_lost_frame),
        cmocka_unit_test(interrupt_gives_a_verdict),
        cmocka_unit_test(two_signals_are_one_wish),
        cmocka_unit_test(a_later_signal_ends_the_program),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
