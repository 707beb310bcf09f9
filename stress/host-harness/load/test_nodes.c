/* SPDX-License-Identifier: MIT
 *
 * test_nodes.c - `quire run --topology` as a program: clean runs with figures that agree with each
 * other, on made-up and real topologies and on this machine's memory; verdicts that fail when a
 * fault is injected; options that are refused.
 */
#include "report.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static struct report report, other;

static double member(const cJSON *object, const char *name)
{
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(object, name);

    if (!found)
        fail_msg("no %s", name);
    return found ? found->valuedouble : 0;
}

static double sum_over(const char *list, const char *name)
{
    const cJSON *item;
    double sum = 0;

    cJSON_ArrayForEach(item, report_at(&report, list)) sum += member(item, name);
    return sum;
}

static void figures_agree(void **state)
{
    const cJSON *node, *pair;
    double frames;

    (void)state;
    REPORT_RUN(&report, "--topology", "node:4 pu:2", "--threads", "8", "--operations", "4000",
               "--seed", "18446744073709551615");
    assert_clean(&report);
    assert_int_equal(cJSON_GetArraySize(report_at(&report, "nodes")), 4);
    assert_true(report_number(&report, "operations") == 32000);
    cJSON_ArrayForEach(node, report_at(&report, "nodes"))
    {
        assert_true(member(node, "hit") + member(node, "miss") ==
                    member(node, "local") + member(node, "other"));
        assert_true(member(node, "interleave") <= member(node, "hit"));
        assert_true(member(node, "hit") > 0);
    }
    assert_true(sum_over("nodes", "miss") == sum_over("nodes", "foreign"));
    frames = sum_over("nodes", "managed");
    assert_true(report_number(&report, "checks.frames_redrawn") == frames);
    assert_true(report_number(&report, "checks.frames_taken") ==
                report_number(&report, "checks.frames_given"));
    assert_true(report_number(&report, "places_checked") > 10000);
    assert_true(report_number(&report, "remote_frees") > 1000);
    assert_true(report_number(&report, "mempool_frames") > 1000);
    assert_true(report_number(&report, "checks.bad_calls_refused") > 100);
    assert_true(report_number(&report, "snapshots") >= 1);
    cJSON_ArrayForEach(pair, report_at(&report, "pairs"))
    {
        assert_true(member(pair, "distance") ==
                    (member(pair, "from") == member(pair, "to") ? 10 : 20));
        assert_true(member(pair, "timed") > 0);
        assert_true(member(pair, "p50_ns") <= member(pair, "p99_ns"));
        assert_true(member(pair, "p99_ns") <= member(pair, "max_ns"));
    }
    assert_int_equal(cJSON_GetArraySize(report_at(&report, "pairs")), 16);
    report_free(&report);
}

/* Small nodes: the page cache fills them, and both ways of reclaim are taken. A run is short, and
 * on a busy machine its reclaimer's thread may get a processor only when all is over: so several
 * runs may be needed until one saw it work. */
static void memory_gets_short(void **state)
{
    bool in_background = false;

    (void)state;
    for (unsigned tries = 0; tries < 50 && !in_background; tries++) {
        REPORT_RUN(&report, "--topology", "node:2(memory=32MB) pu:2", "--threads", "4",
                   "--operations", "20000", "--seed", "3");
        assert_clean(&report);
        assert_true(report_number(&report, "watermark_crossings.low") > 0);
        assert_true(report_number(&report, "reclaim.last_resorts") > 0);
        assert_true(report_number(&report, "reclaim.last_resort_frames") > 0);
        assert_true(report_number(&report, "moved") > 0);
        in_background = report_number(&report, "reclaim.wakeups") > 0 &&
                        report_number(&report, "reclaim.frames") > 0;
        report_free(&report);
    }
    assert_true(in_background);
}

/* Zones that are shorter than the longest runs that are asked for: of all nodes, where that is told
 * of the run, and of one node beside a longer one, where it is not. */
static void short_zones(void **state)
{
    static const char *const topologies[] = {
        "node:2(memory=4MB) pu:2", "pack:2 [numa(memory=3MB)] l3:1 [numa(memory=24MB)] pu:2"};

    (void)state;
    for (unsigned i = 0; i < sizeof(topologies) / sizeof(topologies[0]); i++) {
        REPORT_RUN(&report, "--topology", topologies[i], "--threads", "4", "--operations", "20000",
                   "--seed", "5");
        assert_clean(&report);
        report_free(&report);
    }
}

static void seed_repeats(void **state)
{
    (void)state;
    REPORT_RUN(&report, "--topology", "node:3 pu:1", "--threads", "3", "--operations", "2000",
               "--seed", "77");
    REPORT_RUN(&other, "--topology", "node:3 pu:1", "--threads", "3", "--operations", "2000",
               "--seed", "77");
    assert_clean(&report);
    assert_clean(&other);
    assert_string_equal(report_text(&report, "sequence"), report_text(&other, "sequence"));
    report_free(&report);
    report_free(&other);
}

static void real_memory(void **state)
{
    (void)state;
    REPORT_RUN(&report, "--topology", "host", "--real", "--memory", "32M", "--threads", "4",
               "--operations", "3000");
    assert_clean(&report);
    assert_true(report_number(&report, "pages_right") > 1000);
    assert_true(report_number(&report, "pages_wrong") == 0);
    assert_true(report_number(&report, "pages_right") + report_number(&report, "pages_untouched") ==
                sum_over("nodes", "managed"));
    assert_true(sum_over("pairs", "access_ns") > 0);
    report_free(&report);
}

static void faults_are_found(void **state)
{
    static const struct {
        const char *topology, *fault, *finding, *real;
    } cases[] = {
        {"node:2 pu:2", "double-hand-out", "was handed out while it was held", NULL},
        {"node:2 pu:2", "lost-frame", "was freed and is not free", NULL},
        {"node:2 pu:2", "wrong-node", "does not allow", NULL},
        {"host", "double-hand-out", "was handed out while it was held", "--real"},
        {"host", "lost-frame", "was freed and is not free", "--real"},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        REPORT_RUN(&report, "--topology", cases[i].topology, "--inject", cases[i].fault,
                   "--threads", "2", "--operations", "3000", cases[i].real);
        if (report.program.status != 1 ||
            !strstr(report_text(&report, "verdict"), cases[i].finding))
            fail_msg("%s: status %d, \"%s\"", cases[i].fault, report.program.status,
                     report_text(&report, "verdict"));
        report_free(&report);
    }
}

static void bad_options(void **state)
{
    static const struct {
        const char *args[7];
        const char *right;
    } cases[] = {
        {{"run", "--topology"}, "needs a value"},
        {{"run", "--topology", ""}, "expected"},
        {{"run", "--topology", "no-such-file"}, "expected"},
        {{"run", "--topology", "node:65 pu:1"}, "at most 64"},
        {{"run", "--topology", "node:2 pu:1", "--map", "x"}, "expected one of them"},
        {{"run", "--real"}, "--topology host"},
        {{"run", "--real", "--topology", "node:2 pu:1"}, "--topology host"},
        {{"run", "--memory", "64M"}, "--real"},
        {{"run", "--topology", "host", "--real", "--memory", "3M"}, "multiple of 2M"},
        {{"run", "--topology", "host", "--real", "--memory", "0"}, "multiple of 2M"},
        {{"run", "--topology", "host", "--real", "--memory", "1024T"}, "that every node has"},
        {{"run", "--asymmetric"}, "--topology"},
        {{"run", "--inject", "wrong-node"}, "--topology"},
    };
    static struct program program;

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *newline;

        program_run(&program, cases[i].args);
        newline = strchr(program.error, '\n');
        if (program.status != 2 || !strstr(program.error, cases[i].right) || *program.out ||
            strncmp(program.error, "quire run: ", 11) != 0 || !newline || newline[1])
            fail_msg("case %u: status %d, \"%s\"", i, program.status, program.error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_agree), cmocka_unit_test(memory_gets_short),
        cmocka_unit_test(short_zones),   cmocka_unit_test(seed_repeats),
        cmocka_unit_test(real_memory),   cmocka_unit_test(faults_are_found),
        cmocka_unit_test(bad_options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
