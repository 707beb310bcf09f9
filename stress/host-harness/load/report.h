/* SPDX-License-Identifier: MIT
 *
 * report.h - one run of `quire run`, and its report: exit status, texts, and the JSON read back.
 */
#ifndef QUIRE_STRESS_HOST_HARNESS_LOAD_REPORT_H
#define QUIRE_STRESS_HOST_HARNESS_LOAD_REPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stress/common/program.h"

#include <cjson/cJSON.h>

struct report {
    struct program program;
    cJSON *json; /* NULL if none was written */
};

/* `quire run` with these arguments and --json to a new file, which is removed again. */
void report_run(struct report *report, const char *const args[]);
#define REPORT_RUN(report, ...) report_run(report, (const char *const[]){__VA_ARGS__, NULL})
void report_free(struct report *report);

/* The member at a path such as "refusals.total"; it must exist. */
const cJSON *report_at(const struct report *report, const char *path);
double report_number(const struct report *report, const char *path);
const char *report_text(const struct report *report, const char *path);

/* The run ended clean, by exit status, table and JSON alike. */
void assert_clean(const struct report *report);

#endif /* QUIRE_STRESS_HOST_HARNESS_LOAD_REPORT_H */
