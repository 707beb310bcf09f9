/* SPDX-License-Identifier: MIT
 *
 * options.c - the options of `quire run`, and its help.
 *
 * No state. Main thread.
 */
#include "sequence.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    DEFAULT_THREADS = 8,
    DEFAULT_MILLISECONDS = 10000,
    MAX_SECONDS = 1000000,
    HUGE_BYTES = 2 << 20,
    DEFAULT_MEMORY = 64 << 20,
};

static const char *const fault_names[] = {"none", "double-hand-out", "lost-frame", "wrong-node"};

static const char options_help[] =
    "usage: quire run [OPTION]...\n"
    "\n"
    "Builds the zones of a memory map, lets threads allocate and free in them, and verifies\n"
    "while they run that no frame is held twice and, at the end, that none was lost.\n"
    "\n" CLI_MAP_HELP CLI_TOPOLOGY_HELP "                  in place of a map; each thread is\n"
    "                  one CPU of it, and requests have policies\n"
    "  --asymmetric    its distances may differ by direction\n"
    "  --strict        refuse a map or topology of which a note would say that something is wrong\n"
    "                  or missing: as quire map --strict, quire topo --strict\n"
    "  --real          with --topology host: on real memory, which is written and checked\n"
    "  --memory SIZE   with --real: of each node, a multiple of 2M, default 64M\n"
    "  --threads N     1 to 4095, default 8; each has a slot of its own in every zone\n"
    "  --seconds S     how long, e.g. 10 or 0.5; default 10, or no limit with --operations\n"
    "  --operations N  end each thread after N operations (a burst is one operation of many\n"
    "                  calls)\n"
    "  --seed N        repeat the operation sequence of an earlier run: the same seed, map "
    "and\n"
    "                  threads draw the same operations in every thread, and with one thread\n"
    "                  the allocator gives the same answers; default: from the clock\n"
    "  --json FILE     write the figures as JSON, too; - for the standard output (the table\n"
    "                  then goes to the standard error)\n"
    "  --inject FAULT  self-test of the verdict: double-hand-out, lost-frame or, with a "
    "topology,\n"
    "                  wrong-node\n"
    "  -h, --help      this text\n"
    "\n"
    "Interrupt (Ctrl-C) ends a run early, with its verdict; once more, a second or more later,\n"
    "ends the program.\n"
    "Exit status: 0 if the verdict is clean, 1 if it is not or the system refused something,\n"
    "2 for bad input.\n";

static void print_kinds(const char *where, const struct target *target)
{
    (void)printf("Operations%s, of %d:\n", where, SEQUENCE_KIND_SUM);
    for (unsigned i = 0; i < target->kind_count; i++)
        (void)printf("  %4u  %s\n", target->kinds[i].weight, target->kinds[i].name);
}

static void print_help(void)
{
    (void)puts(options_help);
    print_kinds("", &load_on_zones);
    (void)printf(
        "\nEvery %d operations a thread also fills a zone down to a watermark and empties it.\n"
        "\nOrders, of %d: seven eighths as in two traces of Linux 6 building a kernel (1,808,060\n"
        "allocations), one eighth such that all orders take the same amount of memory:\n",
        SEQUENCE_FLOOD_PERIOD, SEQUENCE_ORDER_SUM);
    (void)printf("  order");
    for (unsigned i = 0; i < LOAD_ORDERS; i++)
        (void)printf(" %6u", i);
    (void)printf("\n  times");
    for (unsigned i = 0; i < LOAD_ORDERS; i++)
        (void)printf(" %6u", sequence_orders[i]);
    (void)printf(
        "\n\nA thread keeps at most %d frames of a zone. Of zones beyond %d GiB the rest is "
        "held as\nballast, so that their watermarks are reached.\n",
        LOAD_HELD_FRAMES, LOAD_WINDOW >> 18);
    (void)putchar('\n');
    print_kinds(" with --topology", &load_on_machine);
}

/* A whole number, decimal or 0x hexadecimal, without sign. */
static bool parse_number(const char *text, uint64_t *number)
{
    char *end;

    if (!isdigit((unsigned char)*text))
        return false;
    errno = 0;
    *number = strtoull(text, &end, text[0] == '0' && (text[1] | 32) == 'x' ? 16 : 10);
    return *end == '\0' && errno == 0 && isxdigit((unsigned char)end[-1]);
}

/* Seconds, with up to three decimals; more than 0. */
static bool parse_milliseconds(const char *text, uint64_t *milliseconds)
{
    uint64_t value = 0;
    unsigned decimals = 0;
    bool point = false;

    if (!isdigit((unsigned char)*text))
        return false;
    for (; *text; text++) {
        if (*text == '.' && !point && isdigit((unsigned char)text[1])) {
            point = true;
        } else if (isdigit((unsigned char)*text) && value <= MAX_SECONDS * 1000ull) {
            decimals += point;
            value = 10 * value + (uint64_t)(*text - '0');
        } else {
            return false;
        }
    }
    if (decimals > 3)
        return false;
    for (; decimals < 3; decimals++)
        value *= 10;
    *milliseconds = value;
    return value > 0 && value <= MAX_SECONDS * 1000ull;
}

static bool parse_fault(const char *text, enum load_fault *fault)
{
    for (unsigned i = FAULT_DOUBLE_HAND_OUT; i <= FAULT_WRONG_NODE; i++) {
        if (strcmp(text, fault_names[i]) == 0) {
            *fault = (enum load_fault)i;
            return true;
        }
    }
    return false;
}

/* The options of what a load is put on. */
static int parse_place(struct load_options *options, int option, const char *value)
{
    switch (option) {
    case 'm':
        options->map = value;
        return CLI_OK;
    case 'n':
        options->topology = value;
        return CLI_OK;
    case 'A':
        options->asymmetric = true;
        return CLI_OK;
    case 'S':
        options->strict = true;
        return CLI_OK;
    case 'R':
        options->real = true;
        return CLI_OK;
    default: /* 'M' */
        if (!map_parse_size(value, &options->memory) || !options->memory ||
            options->memory % HUGE_BYTES)
            return cli_fail("run", "--memory %.40s: expected a multiple of 2M, such as 64M", value);
        return CLI_OK;
    }
}

static int parse_one(struct load_options *options, int option, const char *value)
{
    uint64_t number;

    switch (option) {
    case 't':
        if (!parse_number(value, &number) || number < 1 || number > QUIRE_ZONE_MAX_SLOTS)
            return cli_fail("run", "--threads %.40s: expected a number from 1 to %d", value,
                            QUIRE_ZONE_MAX_SLOTS);
        options->threads = (uint32_t)number;
        return CLI_OK;
    case 's':
        if (!parse_milliseconds(value, &options->milliseconds))
            return cli_fail("run", "--seconds %.40s: expected a number from 0.001 to %d", value,
                            MAX_SECONDS);
        return CLI_OK;
    case 'o':
        if (!parse_number(value, &options->operations) || options->operations == 0)
            return cli_fail("run", "--operations %.40s: expected a whole number from 1 to 2^64 - 1",
                            value);
        return CLI_OK;
    case 'r':
        if (!parse_number(value, &options->seed))
            return cli_fail("run", "--seed %.40s: expected a whole number from 0 to 2^64 - 1",
                            value);
        return CLI_OK;
    case 'j':
        options->json = value;
        return CLI_OK;
    case 'i':
        if (!parse_fault(value, &options->fault))
            return cli_fail("run",
                            "--inject %.40s: expected double-hand-out or lost-frame, or wrong-node "
                            "with --topology",
                            value);
        return CLI_OK;
    default:
        return parse_place(options, option, value);
    }
}

static uint64_t clock_seed(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Options that need or exclude each other. */
static int check_together(struct load_options *options)
{
    if (options->topology && options->map)
        return cli_fail("run", "--map and --topology: expected one of them");
    if (options->real && (!options->topology || strcmp(options->topology, "host") != 0))
        return cli_fail("run", "--real: expected --topology host, whose memory it is");
    if (options->asymmetric && !options->topology)
        return cli_fail("run", "--asymmetric: expected --topology, whose distances it is about");
    if (options->memory && !options->real)
        return cli_fail("run", "--memory: expected --real, which it is for");
    if (options->fault == FAULT_WRONG_NODE && !options->topology)
        return cli_fail("run", "--inject wrong-node: expected --topology, whose nodes it is about");
    if (!options->memory)
        options->memory = DEFAULT_MEMORY;
    return CLI_OK;
}

int load_options_parse(struct load_options *options, int argc, char **argv, bool *help)
{
    static const struct option known[] = {
        {"threads", required_argument, NULL, 't'},
        {"seconds", required_argument, NULL, 's'},
        {"operations", required_argument, NULL, 'o'},
        {"seed", required_argument, NULL, 'r'},
        {"map", required_argument, NULL, 'm'},
        {"json", required_argument, NULL, 'j'},
        {"inject", required_argument, NULL, 'i'},
        {"topology", required_argument, NULL, 'n'},
        {"asymmetric", no_argument, NULL, 'A'},
        {"strict", no_argument, NULL, 'S'},
        {"real", no_argument, NULL, 'R'},
        {"memory", required_argument, NULL, 'M'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    *options = (struct load_options){.threads = DEFAULT_THREADS, .seed = clock_seed()};
    *help = false;
    optind = 0; /* start afresh: the program's own options may have been read before */
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":h", known, NULL)) != -1) {
        if (option == '?' || option == ':')
            return cli_bad_option("run", option, argv, known);
        if (option == 'h') {
            print_help();
            *help = true;
            return CLI_OK;
        }
        int status = parse_one(options, option, optarg);
        if (status != CLI_OK)
            return status;
    }
    if (optind < argc)
        return cli_fail("run", "unexpected %.100s: run takes options only, see quire run --help",
                        argv[optind]);
    if (!options->milliseconds && !options->operations)
        options->milliseconds = DEFAULT_MILLISECONDS;
    return check_together(options);
}
