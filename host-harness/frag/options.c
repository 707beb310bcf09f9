/* SPDX-License-Identifier: MIT
 *
 * options.c - the options of `quire frag`, and its help.
 *
 * No state. Main thread.
 */
#include "frag.h"

#include "host-harness/cli/cli.h"

#include <ctype.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROUNDS = 100000, MAX_COLUMNS = 512, MIN_MEMORY = 4 << 20 };

static const char help[] =
    "usage: quire frag [OPTION]...\n"
    "\n"
    "Draws how a zone is fragmented: fills it with runs of mixed orders, frees and replaces some "
    "of\n"
    "them, again and again, draws its blocks of 2 MiB, compacts it, and draws it again.\n"
    "\n"
    "  --map FILE      a memory map, as quire map reads it\n"
    "  --memory SIZE   without a map: so much memory, 4M to 256G; default 4G\n"
    "  --zone N        the zone to draw, as quire map numbers them from 0; default: the largest\n"
    "  --orders A-B    orders of the runs, 0 to 10, each with the same share of the frames; or "
    "one;\n"
    "                  default 0-3\n"
    "  --fill P        percent of the zone in use, 1 to 99; default 80\n"
    "  --peak P        percent in use in each 50th round of the first half of all, as when a cache "
    "of\n"
    "                  files has all that is free, 1 to 99 and above --fill; default: none\n"
    "  --unmovable P   percent of the runs that may not be moved, 0 to 100; default 5\n"
    "  --lifetimes L   uniform (the default): a tenth of the runs, at random, is replaced in each\n"
    "                  round; short: those that have lived 1 to 8 rounds; long: 200 to 2047;\n"
    "                  generational: those of 64 rounds together, 64 to 256 rounds later; mixed:\n"
    "                  half of the requests short, a fifth long, the others generational\n"
    "  --rounds N      how often runs are replaced, up to 100000; default 100\n"
    "  --compact N     ranges to empty, 0 for none; default: all that can be\n"
    "  --range N       order of a range, 9 (a block, the default) to 18 (1 GiB)\n"
    "  --seed N        of the random numbers: the same one, the same pictures; default 1\n"
    "  --columns N     cells in a row, 16 to 512; default 64\n"
    "  --plain         letters without colours, as on what is no terminal\n"
    "  --svg FILE      both pictures as SVG, too; - for the standard output (the text then goes "
    "to\n"
    "                  the standard error)\n"
    "  --json FILE     figures and cells as JSON, likewise\n"
    "  -h, --help      this text\n"
    "\n"
    "Where there are more blocks than a picture has room for, a cell is several, up to 1 GiB.\n";

enum {
    OPT_MAP = 1,
    OPT_MEMORY,
    OPT_ZONE,
    OPT_ORDERS,
    OPT_FILL,
    OPT_PEAK,
    OPT_UNMOVABLE,
    OPT_LIFETIMES,
    OPT_ROUNDS,
    OPT_COMPACT,
    OPT_RANGE,
    OPT_SEED,
    OPT_COLUMNS,
    OPT_PLAIN,
    OPT_SVG,
    OPT_JSON,
    OPT_HELP = 'h',
};

static const struct option long_options[] = {
    {"map", required_argument, NULL, OPT_MAP},
    {"memory", required_argument, NULL, OPT_MEMORY},
    {"zone", required_argument, NULL, OPT_ZONE},
    {"orders", required_argument, NULL, OPT_ORDERS},
    {"fill", required_argument, NULL, OPT_FILL},
    {"peak", required_argument, NULL, OPT_PEAK},
    {"unmovable", required_argument, NULL, OPT_UNMOVABLE},
    {"lifetimes", required_argument, NULL, OPT_LIFETIMES},
    {"rounds", required_argument, NULL, OPT_ROUNDS},
    {"compact", required_argument, NULL, OPT_COMPACT},
    {"range", required_argument, NULL, OPT_RANGE},
    {"seed", required_argument, NULL, OPT_SEED},
    {"columns", required_argument, NULL, OPT_COLUMNS},
    {"plain", no_argument, NULL, OPT_PLAIN},
    {"svg", required_argument, NULL, OPT_SVG},
    {"json", required_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

/* A whole number of an option. CLI_OK, or as cli_fail. */
static int read_number(const char *option, uint64_t low, uint64_t high, uint64_t *number)
{
    if (map_parse_size(optarg, number) && *number >= low && *number <= high)
        return CLI_OK;
    return cli_fail("frag", "--%s %.40s: expected a whole number from %" PRIu64 " to %" PRIu64,
                    option, optarg, low, high);
}

static int read_memory(struct frag_options *options)
{
    if (map_parse_size(optarg, &options->memory) && options->memory >= MIN_MEMORY &&
        options->memory <= FRAG_MAX_FRAMES << 12)
        return CLI_OK;
    return cli_fail("frag", "--memory %.40s: expected a size from 4M to 256G, such as 4G", optarg);
}

static int read_orders(struct frag_options *options)
{
    char *end = optarg;
    unsigned long low = FRAG_MAX_ORDER + 1, high;

    if (isdigit((unsigned char)optarg[0]))
        low = strtoul(optarg, &end, 10);
    high = low;
    if (end[0] == '-' && isdigit((unsigned char)end[1]))
        high = strtoul(end + 1, &end, 10);
    if (*end == '\0' && low <= high && high <= FRAG_MAX_ORDER) {
        options->low = (unsigned)low;
        options->high = (unsigned)high;
        return CLI_OK;
    }
    return cli_fail("frag", "--orders %.40s: expected orders from 0 to %d, such as 0-3 or 2",
                    optarg, FRAG_MAX_ORDER);
}

/* Options whose value is a percentage, or a number of something that fits an unsigned. */
static int read_small(const char *option, uint64_t low, uint64_t high, unsigned *value)
{
    uint64_t number;
    int status = read_number(option, low, high, &number);

    if (status == CLI_OK)
        *value = (unsigned)number;
    return status;
}

const char *const frag_lifetime_names[FRAG_LIFETIMES] = {
    [LIVES_UNIFORM] = "uniform",           [LIVES_SHORT] = "short", [LIVES_LONG] = "long",
    [LIVES_GENERATIONAL] = "generational", [LIVES_MIXED] = "mixed",
};

static int read_lifetimes(struct frag_options *options)
{
    for (unsigned i = 0; i < FRAG_LIFETIMES; i++)
        if (strcmp(optarg, frag_lifetime_names[i]) == 0) {
            options->lifetimes = (enum frag_lifetimes)i;
            return CLI_OK;
        }
    return cli_fail(
        "frag", "--lifetimes %.40s: expected uniform, short, long, generational or mixed", optarg);
}

static int read_load(struct frag_options *options, int code)
{
    switch (code) {
    case OPT_ORDERS:
        return read_orders(options);
    case OPT_FILL:
        return read_small("fill", 1, 99, &options->fill);
    case OPT_PEAK:
        return read_small("peak", 1, 99, &options->peak);
    case OPT_UNMOVABLE:
        return read_small("unmovable", 0, 100, &options->unmovable);
    case OPT_LIFETIMES:
        return read_lifetimes(options);
    case OPT_ROUNDS:
        return read_number("rounds", 0, MAX_ROUNDS, &options->rounds);
    case OPT_COMPACT:
        return read_number("compact", 0, UINT32_MAX, &options->compact);
    case OPT_RANGE:
        return read_small("range", QUIRE_BLOCK_ORDER, QUIRE_COMPACT_MAX_ORDER, &options->range);
    default: /* OPT_SEED */
        return read_number("seed", 0, UINT64_MAX, &options->seed);
    }
}

static int read_option(struct frag_options *options, int code, char **argv)
{
    switch (code) {
    case OPT_MAP:
        options->map = optarg;
        return CLI_OK;
    case OPT_MEMORY:
        return read_memory(options);
    case OPT_ZONE:
        return read_small("zone", 0, UINT32_MAX - 1, &options->zone);
    case OPT_COLUMNS:
        return read_small("columns", 16, MAX_COLUMNS, &options->columns);
    case OPT_PLAIN:
        options->plain = true;
        return CLI_OK;
    case OPT_SVG:
        options->svg = optarg;
        return CLI_OK;
    case OPT_JSON:
        options->json = optarg;
        return CLI_OK;
    case OPT_ORDERS:
    case OPT_FILL:
    case OPT_PEAK:
    case OPT_UNMOVABLE:
    case OPT_LIFETIMES:
    case OPT_ROUNDS:
    case OPT_COMPACT:
    case OPT_RANGE:
    case OPT_SEED:
        return read_load(options, code);
    default:
        return cli_bad_option("frag", code, argv, long_options);
    }
}

static int check_together(struct frag_options *options)
{
    if (options->map && options->memory)
        return cli_fail("frag", "--map and --memory: expected one of them");
    if (options->peak && options->peak <= options->fill)
        return cli_fail("frag", "--peak %u: expected more than --fill, which is %u", options->peak,
                        options->fill);
    if (options->svg && options->json && strcmp(options->svg, "-") == 0 &&
        strcmp(options->json, "-") == 0)
        return cli_fail("frag", "--svg - and --json -: expected one of them on standard output");
    if (!options->memory)
        options->memory = UINT64_C(4) << 30;
    return CLI_OK;
}

int frag_options_parse(struct frag_options *options, int argc, char **argv, bool *help_given)
{
    int code;

    *options = (struct frag_options){.zone = UINT32_MAX,
                                     .high = 3,
                                     .fill = 80,
                                     .unmovable = 5,
                                     .rounds = 100,
                                     .compact = UINT64_MAX,
                                     .range = QUIRE_BLOCK_ORDER,
                                     .seed = 1,
                                     .columns = FRAG_COLUMNS};
    *help_given = false;
    optind = 0;
    opterr = 0;
    while ((code = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
        int status;

        if (code == OPT_HELP) {
            (void)fputs(help, stdout);
            *help_given = true;
            return CLI_OK;
        }
        status = read_option(options, code, argv);
        if (status != CLI_OK)
            return status;
    }
    if (optind < argc)
        return cli_fail("frag", "unexpected %.100s: frag takes options only, see quire frag --help",
                        argv[optind]);
    return check_together(options);
}
