/* SPDX-License-Identifier: MIT
 *
 * report.h - the report of `quire run`: a table, and the same figures as JSON. First
 * what all targets have, then the zones of a map or the nodes of a machine.
 *
 * No state: everything is read from a load whose threads have ended. Main thread. Whether the table
 * could be written shows at the end, by ferror. JSON members are left out when there is no memory
 * for them; the last one, `verdict`, tells.
 */
#ifndef HOST_HARNESS_LOAD_REPORT_H
#define HOST_HARNESS_LOAD_REPORT_H

#include "machine/machine.h"

#include <stdio.h>

/* What the threads' figures add up to. */
struct load_sums {
    uint64_t operations;
    uint64_t sequence, outcome;
    uint64_t refusals[QUIRE_ERRORS], refused;
    uint64_t events[QUIRE_EVENTS];
    uint64_t checks[LOAD_CHECKS];
    struct hist latency[CALL_KINDS];
};

void report_sum(const struct load *load, struct load_sums *sums);

/* The whole table. 0, or -1 if it could not be written. */
int report_print(struct load *load, const struct load_sums *sums);

/* The whole JSON, the caller's to delete. NULL without memory. */
struct cJSON *report_json(struct load *load, const struct load_sums *sums);

/* "clean", or the first violation. */
const char *report_verdict(struct load *load);

/* ---- What both are made of ------------------------------------------------------------------- */

/* How many per second of the load; 0 if it did not come to that. */
double report_rate(const struct load *load, uint64_t count);

/* Names as in the table, and as in JSON. */
const char *report_call_name(enum call_kind call);
const char *report_event_name(enum quire_event event);

/* On a machine: what the threads counted, the reclaimer's with them; and, added to `hist`, the
 * latency of single frames that CPUs of node `from` got of node `to`. */
uint64_t report_count(const struct load *load, enum machine_count count);
void report_add_pair(const struct load *load, uint32_t from, uint32_t to, struct hist *hist);

#endif /* HOST_HARNESS_LOAD_REPORT_H */
