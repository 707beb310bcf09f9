/* SPDX-License-Identifier: MIT
 *
 * report.h - the report of `quire run`: a table, and the same figures as JSON. What all targets
 * have is report.c's and json.c's; a target's own part is in its folder.
 *
 * No state: everything is read from a load whose threads have ended. Main thread. Whether the table
 * could be written shows at the end, by ferror. JSON members are left out when there is no memory
 * for them; the last one, `verdict`, tells.
 */
#ifndef HOST_HARNESS_LOAD_REPORT_H
#define HOST_HARNESS_LOAD_REPORT_H

#include "target.h"

#include <stdio.h>

/* What the threads' figures add up to. */
struct load_sums {
    uint64_t operations;
    uint64_t sequence, outcome;
    uint64_t failures[QUIRE_ERRORS], failed;
    uint64_t events[QUIRE_EVENTS];
    struct load_checks checks;
    struct hist latency[CALL_KINDS];
};

void report_sum(const struct load *load, struct load_sums *sums);

/* The whole table. 0, or -1 if it could not be written. */
int report_print(struct load *load, const struct load_sums *sums);

/* The whole JSON, the caller's to delete. NULL without memory. */
struct cJSON *report_json(struct load *load, const struct load_sums *sums);

/* "clean", or the first violation. */
const char *report_verdict(struct load *load);

/* ---- For parts of the report ----------------------------------------------------------------- */

/* How many per second of the load; 0 if it did not come to that. */
double report_rate(const struct load *load, uint64_t count);

/* Names as in the table, and as in JSON. */
const char *report_call_name(enum call_kind call);
const char *report_event_name(enum quire_event event);

__attribute__((format(printf, 2, 3))) void report_say(FILE *out, const char *format, ...);

/* Parts of the table: operations, latency and failures; what was verified. */
void report_print_load(FILE *out, const struct load *load, const struct load_sums *sums);
void report_print_checks(FILE *out, struct load *load, const struct load_sums *sums);

/* Parts of JSON. Whole numbers are written as they are. False without memory. */
bool report_number(struct cJSON *to, const char *name, uint64_t number);
void report_numbers(struct cJSON *to, const char *name, const uint64_t numbers[], unsigned count);
void report_errors(struct cJSON *to, const char *name, const uint64_t errors[QUIRE_ERRORS]);
void report_events(struct cJSON *to, const uint64_t events[QUIRE_EVENTS]);

#endif /* HOST_HARNESS_LOAD_REPORT_H */
