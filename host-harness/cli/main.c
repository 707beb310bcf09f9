/* SPDX-License-Identifier: MIT
 *
 * main.c - the program `quire`: finds the subcommand and calls it.
 */
#include "cli.h"

#include <quire/version.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: quire COMMAND [OPTION]...\n"
    "\n"
    "Builds the zones of a machine's memory map in this process and uses them. The memory is\n"
    "simulated: only the allocator's own metadata is real.\n"
    "\n"
    "  quire run    load the zones with many threads, verify while they run, and report\n"
    "  quire map    show what boot memory makes of a map\n"
    "  quire topo   show a machine's nodes, distances and tiers\n"
    "\n"
    "  quire COMMAND --help    the options of a command\n"
    "  quire --version         the version\n";

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"run", cmd_run},
    {"map", cmd_map},
    {"topo", cmd_topo},
};

static int run_command(int argc, char **argv)
{
    if (argc < 2)
        return cli_fail("", "no command: expected run, map or topo, see quire --help");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        fputs(help, stdout);
        return CLI_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("quire %s\n", quire_version_text());
        return CLI_OK;
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }
    return cli_fail("", "unknown command %.100s: expected run, map or topo, see quire --help",
                    argv[1]);
}

/* What was asked for and could not be printed is a failure, whatever it was. */
int main(int argc, char **argv)
{
    int status = run_command(argc, argv);

    if (status == CLI_OK && (fflush(stdout) != 0 || ferror(stdout))) {
        cli_fail("", "cannot write to standard output: expected it to be open and have room");
        return CLI_FAILED;
    }
    return status;
}
