/* SPDX-License-Identifier: MIT
 *
 * suite.h - the test suites and benchmarks, by name.
 */
#ifndef KERNEL_PORT_TESTS_SUITES_SUITE_H
#define KERNEL_PORT_TESTS_SUITES_SUITE_H

#include "kernel-port/kernel/options.h"

#include <stdbool.h>

typedef void suite(const struct options *options);

suite suite_traps, suite_zone, suite_touch, suite_stress, suite_interrupts, suite_exchange,
    suite_exhaust, suite_count, suite_bench, suite_overflow, suite_port, suite_crowd,
    suite_boundaries, suite_drain, suite_hotplug, suite_map, suite_space, suite_files, suite_heap,
    suite_history, suite_user, suite_user_cost, suite_reporting;

/* Run what `suite=` says. True if all results are good. Panics if there is no such suite. */
bool suites_run(const struct options *options);

#endif /* KERNEL_PORT_TESTS_SUITES_SUITE_H */
