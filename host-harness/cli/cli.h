/* SPDX-License-Identifier: MIT
 *
 * cli.h - what the subcommands of the program share: exit statuses, error lines, JSON files.
 *
 * No state. Called from the main thread.
 */
#ifndef HOST_HARNESS_CLI_CLI_H
#define HOST_HARNESS_CLI_CLI_H

#include <stddef.h>

struct cJSON;
struct option; /* <getopt.h> */

/* Exit statuses of the program. */
enum {
    CLI_OK = 0,
    CLI_FAILED = 1,    /* the verdict is not clean, or the system refused something */
    CLI_BAD_INPUT = 2, /* wrong options, or a map that cannot be used */
};

/* Print "quire COMMAND: ..." as one line on stderr (control characters become '?'), and return
 * CLI_BAD_INPUT. `command` may be "" for the program itself. */
__attribute__((format(printf, 2, 3))) int cli_fail(const char *command, const char *format, ...);

/* Say what is wrong with the option at which getopt_long, run with opterr = 0 and a short option
 * string that starts with ':', just stopped with `code` ('?' or ':'); `known` are its long options.
 * As cli_fail. */
int cli_bad_option(const char *command, int code, char *const argv[], const struct option *known);

/* Can --json `path` (or NULL, or "-") be written? Asked before there is work done for it. CLI_OK,
 * or as cli_fail. */
int cli_check_json(const char *command, const char *path);

/* Write `root` to the file `path`, "-" for stdout. CLI_OK, or CLI_FAILED after a line on stderr
 * saying why; then what the file holds is of no use. */
int cli_write_json(const char *command, const char *path, const struct cJSON *root);

/* Write `bytes` as a short figure with a binary unit ("15.9 GiB") into `text`; returns `text`. */
const char *cli_bytes(char *text, size_t size, unsigned long long bytes);

/* What --map and --topology read, for the help of the commands that have them. */
#define CLI_MAP_HELP                                                                              \
    "  --map FILE      a boot log of Linux or Xen (tables of BIOS-e820, BIOS-88, Xen, user or\n"  \
    "                  (XEN) lines, e820: update and remove, SRAT: Node, efi: memN, early node\n" \
    "                  ranges), a copy of /proc/iomem, a flattened device tree (FILE@ADDRESS "    \
    "says\n"                                                                                      \
    "                  where it lies itself), or a list of lines START END|+SIZE KIND [NODE];\n"  \
    "                  - is the standard input; default: this machine\n"
#define CLI_TOPOLOGY_HELP                                                                         \
    "  --topology ARG  host (this machine); a file: hwloc's XML, a flattened device tree\n"       \
    "                  (FILE@ADDRESS says where it lies itself), or an ACPI table; a folder or\n" \
    "                  a comma-separated list of ACPI tables (APIC, SRAT, SLIT, HMAT); - for a\n" \
    "                  file on the standard input; or a synthetic topology: \"node:4 core:8 "     \
    "pu:2\"\n"

/* The subcommands: argv[0] is the subcommand's name. They return the exit status. */
int cmd_frag(int argc, char **argv);
int cmd_map(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_topo(int argc, char **argv);

#endif /* HOST_HARNESS_CLI_CLI_H */
