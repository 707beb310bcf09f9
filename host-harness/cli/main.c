/* SPDX-License-Identifier: MIT
 *
 * main.c - the program `quire`: finds the subcommand and calls it.
 */
#include "cli.h"
#include "nearest.h"

#include <quire/version.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: quire COMMAND [OPTION]...\n"
    "\n"
    "Builds the zones of a machine's memory map in this process and uses them. The memory is\n"
    "simulated: only the allocator's own metadata is real.\n"
    "\n"
    "  quire run       load the zones with many threads, verify while they run, and report\n"
    "  quire map       show what boot memory makes of a map\n"
    "  quire topo      show a machine's nodes, distances and tiers\n"
    "  quire frag      draw how a zone is fragmented, and what compaction makes of it\n"
    "  quire help      this text; quire help COMMAND, or quire COMMAND --help: its options\n"
    "  quire version   the version; so do -V and --version\n"
    "\n"
    "Maps are read of boot logs of Linux and Xen (e820, SRAT, EFI and early node lines), of\n"
    "/proc/iomem, flattened device trees and lists; topologies of this machine, of hwloc's XML "
    "and\n"
    "synthetic strings, of device trees and of ACPI tables (APIC, SRAT, SLIT, HMAT).\n";

static int show_help(int argc, char **argv);
static int show_version(int argc, char **argv);

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"run", cmd_run},     {"map", cmd_map},          {"topo", cmd_topo},
    {"frag", cmd_frag},   {"help", show_help},       {"--help", show_help},
    {"-h", show_help},    {"version", show_version}, {"--version", show_version},
    {"-V", show_version},
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static int unknown(const char *typed)
{
    const char *names[COMMANDS + 1] = {NULL};
    char nearest[NEAREST_TEXT];

    for (size_t i = 0; i < COMMANDS; i++)
        names[i] = commands[i].name;
    return cli_fail("", "unknown %s %.100s%s: expected run, map, topo, frag, help or version",
                    typed[0] == '-' ? "option" : "command", typed,
                    nearest_word(nearest, typed, names));
}

static int call(int argc, char **argv)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(argv[0], commands[i].name) == 0)
            return commands[i].run(argc, argv);
    }
    return unknown(argv[0]);
}

static int surplus(const char *word)
{
    return cli_fail("", "unexpected argument %.100s: expected nothing behind it, see quire --help",
                    word);
}

/* Of the program, or of a command, which tells its own. */
static int show_help(int argc, char **argv)
{
    char option[] = "--help";
    char *of_command[] = {argc > 1 ? argv[1] : NULL, option, NULL};

    if (argc > 2)
        return surplus(argv[2]);
    if (argc == 2 && strcmp(argv[1], "help") != 0 && strcmp(argv[1], "version") != 0)
        return call(2, of_command);
    fputs(help, stdout);
    return CLI_OK;
}

static int show_version(int argc, char **argv)
{
    if (argc > 1)
        return surplus(argv[1]);
    printf("quire %s\n", quire_version_text());
    return CLI_OK;
}

/* What was asked for and could not be printed is a failure, whatever it was. */
int main(int argc, char **argv)
{
    int status;

    if (argc < 2)
        return cli_fail("", "no command: expected run, map, topo, frag, help or version");
    status = call(argc - 1, argv + 1);
    if (status == CLI_OK && (fflush(stdout) != 0 || ferror(stdout))) {
        cli_fail("", "cannot write to standard output: expected it to be open and have room");
        return CLI_FAILED;
    }
    return status;
}
