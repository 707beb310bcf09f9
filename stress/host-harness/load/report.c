/* SPDX-License-Identifier: MIT
 *
 * report.c - runs `quire run` and reads its report (see report.h).
 */
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_ARGS = 12 };

static cJSON *read_json(const char *path)
{
    static char text[PROGRAM_TEXT];
    FILE *file = fopen(path, "r");
    size_t got;

    assert_non_null(file);
    got = fread(text, 1, sizeof(text) - 1, file);
    text[got] = '\0';
    assert_int_equal(fclose(file), 0);
    return got > 0 ? cJSON_Parse(text) : NULL;
}

void report_run(struct report *report, const char *const args[])
{
    const char *all[MAX_ARGS + 4] = {"run"};
    char path[] = "run-XXXXXX";
    int file = mkstemp(path);
    size_t n = 0;

    assert_true(file >= 0);
    close(file);
    for (; args[n]; n++) {
        assert_true(n < MAX_ARGS);
        all[n + 1] = args[n];
    }
    all[n + 1] = "--json";
    all[n + 2] = path;
    program_run(&report->program, all);
    report->json = read_json(path);
    unlink(path);
}

void report_free(struct report *report)
{
    cJSON_Delete(report->json);
    report->json = NULL;
}

const cJSON *report_at(const struct report *report, const char *path)
{
    const cJSON *at = report->json;

    while (*path) {
        size_t length = strcspn(path, ".");
        char name[64];

        assert_true(length < sizeof(name));
        memcpy(name, path, length);
        name[length] = '\0';
        at = cJSON_GetObjectItemCaseSensitive(at, name);
        if (!at)
            fail_msg("the JSON has no %s; standard error: %s", name, report->program.error);
        path += length + (path[length] == '.');
    }
    return at;
}

double report_number(const struct report *report, const char *path)
{
    const cJSON *at = report_at(report, path);

    assert_true(cJSON_IsNumber(at));
    return at->valuedouble;
}

const char *report_text(const struct report *report, const char *path)
{
    const cJSON *at = report_at(report, path);

    assert_true(cJSON_IsString(at));
    return at->valuestring;
}

void assert_clean(const struct report *report)
{
    if (report->program.status != 0)
        fail_msg("exit status %d: %s%s", report->program.status, report->program.out,
                 report->program.error);
    assert_string_equal(report_text(report, "verdict"), "clean");
    assert_non_null(strstr(report->program.out, "\nverdict: clean\n"));
    assert_string_equal(report->program.error, "");
}
