/* SPDX-License-Identifier: MIT
 *
 * cmd_run.c - `quire run`: put a load on the zones of a memory map or on a machine, verify, report.
 *
 * State: one struct load (see load/load.h). Main thread.
 */
#include "host-harness/load/report.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

/* The table and the JSON file. CLI_OK, or CLI_FAILED after a line on stderr. */
static int report_sums(struct load *load, const struct load_sums *sums)
{
    struct cJSON *json = NULL;
    int status = CLI_OK;

    if (report_print(load, sums)) {
        cli_fail("run", "cannot write the table: expected a usable output; verdict: %s",
                 report_verdict(load));
        status = CLI_FAILED;
    }
    if (!load->options.json)
        return status;
    json = report_json(load, sums);
    if (json && cli_write_json("run", load->options.json, json) == CLI_OK) {
        cJSON_Delete(json);
        return status;
    }
    if (!json)
        cli_fail("run", "no memory for the JSON of %s", load->options.json);
    cJSON_Delete(json);
    return CLI_FAILED;
}

static int report(struct load *load)
{
    struct load_sums *sums = malloc(sizeof(*sums));
    int status;

    if (!sums) {
        cli_fail("run", "no memory for the report; verdict: %s", report_verdict(load));
        return CLI_FAILED;
    }
    report_sum(load, sums);
    status = report_sums(load, sums);
    free(sums);
    return load_violated(load) ? CLI_FAILED : status;
}

static const struct target *choose_target(const struct load_options *options)
{
    if (!options->topology)
        return &load_on_zones;
    return options->real ? &load_on_host : &load_on_machine;
}

int cmd_run(int argc, char **argv)
{
    static struct load load;
    bool help;
    int status;

    load = (struct load){0};
    status = load_options_parse(&load.options, argc, argv, &help);
    if (status != CLI_OK || help)
        return status;
    load_catch_signals();
    load.target = choose_target(&load.options);
    status = load.target->build(&load);
    if (status == CLI_OK)
        status = cli_check_json("run", load.options.json);
    if (status == CLI_OK)
        status = load_run(&load);
    if (status == CLI_OK)
        status = report(&load);
    load_teardown_workers(&load);
    load.target->teardown(&load);
    return status;
}
