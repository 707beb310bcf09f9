/* SPDX-License-Identifier: MIT
 *
 * cmd_topo.c - `quire topo`: what a machine is made of, and what follows from it.
 */
#include "cmd_topo.h"
#include "cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: quire topo [OPTION]...\n"
    "\n"
    "Shows a machine's nodes with their CPUs, memory, tier and where what is seldom used would be\n"
    "moved, the zones of each, the distances between them, latencies and bandwidths where they "
    "are\n"
    "known, and in which order each node would ask the others for memory.\n"
    "\n" CLI_TOPOLOGY_HELP "                  default: host\n"
    "  --asymmetric    distances may differ by direction\n"
    "  --strict        refuse what firmware got wrong, instead of a note that it is passed over\n"
    "  --json FILE     the same as JSON, - for standard output instead of the text\n"
    "  -h, --help      this text\n";

enum { OPT_TOPOLOGY = 1, OPT_ASYMMETRIC, OPT_STRICT, OPT_JSON, OPT_HELP = 'h' };

static const struct option long_options[] = {
    {"topology", required_argument, NULL, OPT_TOPOLOGY},
    {"asymmetric", no_argument, NULL, OPT_ASYMMETRIC},
    {"strict", no_argument, NULL, OPT_STRICT},
    {"json", required_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

struct options {
    const char *topology, *json;
    unsigned flags;
    bool help;
};

static int read_options(struct options *options, int argc, char **argv)
{
    int code;

    opterr = 0;
    while ((code = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
        switch (code) {
        case OPT_TOPOLOGY:
            options->topology = optarg;
            break;
        case OPT_ASYMMETRIC:
            options->flags |= TOPO_ASYMMETRIC;
            break;
        case OPT_STRICT:
            options->flags |= TOPO_STRICT;
            break;
        case OPT_JSON:
            options->json = optarg;
            break;
        case OPT_HELP:
            options->help = true;
            break;
        default:
            return cli_bad_option("topo", code, argv, long_options);
        }
    }
    if (optind < argc)
        return cli_fail("topo",
                        "unexpected argument %.100s: expected options, see quire topo --help",
                        argv[optind]);
    return CLI_OK;
}

const char *cmd_topo_kind(enum quire_memory_kind kind)
{
    static const char *const names[] = {
        [QUIRE_MEMORY_ORDINARY] = "ordinary",
        [QUIRE_MEMORY_HOTPLUG] = "hot-plug",
        [QUIRE_MEMORY_DEVICE] = "device",
    };

    return names[kind];
}

bool cmd_topo_known(const struct quire_topology *topology,
                    const uint32_t matrix[QUIRE_NODES][QUIRE_NODES])
{
    for (uint32_t from = 0; from < topology->node_count; from++)
        for (uint32_t to = 0; to < topology->node_count; to++)
            if (matrix[from][to] != 0)
                return true;
    return false;
}

static int show(const struct options *options, const struct topo *topo)
{
    if (options->json && strcmp(options->json, "-") == 0)
        return cmd_topo_json(options->json, topo);
    cmd_topo_text(topo);
    if (fflush(stdout) != 0) {
        cli_fail("topo", "cannot write to standard output: expected it to be open and have room");
        return CLI_FAILED;
    }
    return options->json ? cmd_topo_json(options->json, topo) : CLI_OK;
}

int cmd_topo(int argc, char **argv)
{
    struct options options = {.topology = "host"};
    struct map_error error;
    int result = read_options(&options, argc, argv);

    if (result)
        return result;
    if (options.help) {
        fputs(help, stdout);
        return CLI_OK;
    }
    result = cli_check_json("topo", options.json);
    if (result)
        return result;
    struct topo *topo = malloc(sizeof(*topo));
    if (!topo)
        return cli_fail("topo", "no memory for a topology: expected %zu bytes", sizeof(*topo));
    if (topo_load(topo, options.topology, options.flags, &error))
        result = cli_fail("topo", "%s", error.text);
    else
        result = show(&options, topo);
    free(topo);
    return result;
}
