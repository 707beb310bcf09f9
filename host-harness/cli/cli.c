/* SPDX-License-Identifier: MIT
 *
 * cli.c - what the subcommands share (see cli.h).
 */
#include "cli.h"
#include "nearest.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 1024 };

int cli_fail(const char *command, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    for (char *c = line; *c; c++) {
        if (iscntrl((unsigned char)*c))
            *c = '?';
    }
    fprintf(stderr, "quire%s%s: %s\n", *command ? " " : "", command, line);
    return CLI_BAD_INPUT;
}

/* cppcheck-suppress constParameter ; C would not convert main's argv to constant strings */
int cli_bad_option(const char *command, int code, char *const argv[], const struct option *known)
{
    /* A short option may be one letter of a cluster; a long one has just been stepped over. */
    const char *option = argv[optind - 1];
    char letter[] = {'-', (char)optopt, '\0'};
    char fault[NEAREST_FAULT];

    if (optopt > 0 && optopt < 128 && strncmp(option, "--", 2) != 0)
        option = letter;
    if (code == ':')
        return cli_fail(command, "option %s needs a value: see quire %s --help", option, command);
    return cli_fail(command, "%s: see quire %s --help", nearest_fault(fault, option, known),
                    command);
}

/* The file is made if there is none. */
int cli_check_json(const char *command, const char *path)
{
    FILE *file;

    if (!path || strcmp(path, "-") == 0)
        return CLI_OK;
    file = fopen(path, "a");
    if (!file)
        return cli_fail(command, "--json %.200s: %s: expected a file that can be written", path,
                        strerror(errno));
    (void)fclose(file);
    return CLI_OK;
}

int cli_write_json(const char *command, const char *path, const struct cJSON *root)
{
    bool to_stdout = strcmp(path, "-") == 0;
    char *text = cJSON_Print(root);

    if (!text) {
        cli_fail(command, "no memory for the JSON of %s", path);
        return CLI_FAILED;
    }
    FILE *file = to_stdout ? stdout : fopen(path, "w");
    bool written = file && fprintf(file, "%s\n", text) > 0 && fflush(file) == 0;
    int error = errno;
    free(text);
    if (file && !to_stdout && fclose(file) != 0 && written) {
        error = errno;
        written = false;
    }
    if (written)
        return CLI_OK;
    cli_fail(command, "cannot write JSON to %s: %s: expected a writable file", path,
             strerror(error));
    return CLI_FAILED;
}

const char *cli_bytes(char *text, size_t size, unsigned long long bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    unsigned unit = 0;
    double value = (double)bytes;

    while (value >= 1024 && unit < 5) {
        value /= 1024;
        unit++;
    }
    snprintf(text, size, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return text;
}
