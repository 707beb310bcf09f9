/* SPDX-License-Identifier: MIT
 *
 * options.c - reading the command line. No state.
 */
#include "options.h"

#include "bench/measure/stopwatch.h"
#include "bench/measure/variant.h"
#include "host-harness/cli/nearest.h"

#include <errno.h>
#include <getopt.h>
#include <quire/version.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SCALE = 1000 };

/* --quick promises 40 seconds; the rest is for what cannot be stopped half-way. */
#define QUICK_NS UINT64_C(25000000000)

__attribute__((format(printf, 1, 2))) __attribute__((noreturn)) static void usage_error(
    const char *format, ...)
{
    char line[1024];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    for (char *c = line; *c; c++) {
        if (*c < ' ' || *c > '~') { /* it stays one line, whatever was typed */
            *c = '?';
        }
    }
    (void)fprintf(stderr, "quire-bench: %s\n", line);
    exit(2);
}

static void help(void)
{
    puts(
        "usage: quire-bench [options]\n"
        "Time page-frame allocators side by side; see docs/benchmark.md.\n"
        "\n"
        "  --quick              everything within 40 seconds, with fewer rounds\n"
        "  --case LIST          only these cases, comma-separated\n"
        "  --allocator LIST     only these allocators, comma-separated\n"
        "  --variant LIST       only variants whose name in the table has one of these words, "
        "such\n"
        "                       as 'order 0' or '0-3 50 %'; comma-separated\n"
        "  --threads LIST       numbers of threads, 1 to 64; default 1,2\n"
        "  --rounds N           samples per figure, 1 to 99; default 9, with --quick 5\n"
        "  --scale N            one N-th of the work per sample, 1 to 1000\n"
        "  --json FILE          write the results to FILE as JSON too; - for standard output (the\n"
        "                       tables then go to standard error)\n"
        "  --instructions FILE  show the counts that bench/instructions.sh wrote to FILE; - for\n"
        "                       standard input\n"
        "  --count-only         one sample each on one thread, for callgrind; no times, no JSON\n"
        "  -h, --help           this\n"
        "  -V, --version        the version\n"
        "\n"
        "cases, and what one operation is:");
    for (size_t i = 0; i < bench_case_count; i++) {
        printf("  %-19s  %s\n", bench_cases[i]->name, bench_cases[i]->what);
    }
    puts("\nallocators:");
    for (size_t i = 0; i < bench_allocator_count; i++) {
        printf("  %-19s  %s\n", bench_allocators[i]->name, bench_allocators[i]->what);
    }
}

static void print_version(void)
{
    printf("quire-bench %s\n", quire_version_text());
}

/* Say what was asked for instead of a run, and end. */
__attribute__((noreturn)) static void say(void (*what)(void))
{
    what();
    if (fflush(stdout) != 0 || ferror(stdout)) {
        (void)fputs("quire-bench: standard output: expected it to be open and have room\n", stderr);
        exit(1);
    }
    exit(0);
}

static const char *case_name(size_t i)
{
    return i < bench_case_count ? bench_cases[i]->name : NULL;
}

static const char *allocator_name(size_t i)
{
    return i < bench_allocator_count ? bench_allocators[i]->name : NULL;
}

__attribute__((noreturn)) static void unknown_name(const char *option, const char *word,
                                                   size_t length, const char *(*name)(size_t))
{
    char list[512] = "";

    for (size_t i = 0; name(i); i++) {
        size_t used = strlen(list);

        (void)snprintf(list + used, sizeof(list) - used, " %s", name(i));
    }
    usage_error("%s: no such name: '%.*s'; there are:%s", option, length < 60 ? (int)length : 60,
                word, list);
}

static uint64_t read_names(const char *option, const char *list, const char *(*name)(size_t))
{
    uint64_t mask = 0;

    for (;;) {
        size_t length = strcspn(list, ","), i = 0;

        while (name(i) && (strlen(name(i)) != length || strncmp(name(i), list, length) != 0)) {
            i++;
        }
        if (!name(i)) {
            unknown_name(option, list, length, name);
        }
        mask |= UINT64_C(1) << i;
        if (list[length] == '\0') {
            return mask;
        }
        list += length + 1;
    }
}

/* A decimal number min .. max at *text, which moves behind it. */
static unsigned read_number(const char *option, const char **text, unsigned min, unsigned max)
{
    char *end;

    errno = 0;
    unsigned long value = strtoul(*text, &end, 10);
    bool digit = **text >= '0' && **text <= '9'; /* strtoul would take a sign or a space */

    if (!digit || errno || value < min || value > max) {
        usage_error("%s: '%s' is not a number from %u to %u", option, *text, min, max);
    }
    *text = end;
    return (unsigned)value;
}

static unsigned read_only_number(const char *option, const char *text, unsigned min, unsigned max)
{
    const char *end = text;
    unsigned value = read_number(option, &end, min, max);

    if (*end != '\0') {
        usage_error("%s: '%s' is not a number from %u to %u", option, text, min, max);
    }
    return value;
}

static void read_threads(struct options *options, const char *text)
{
    const char *rest = text;

    options->thread_counts = 0;
    for (;;) {
        if (options->thread_counts == OPTIONS_THREAD_COUNTS) {
            usage_error("--threads: at most %d numbers", OPTIONS_THREAD_COUNTS);
        }
        unsigned n = read_number("--threads", &rest, 1, BENCH_MAX_THREADS);

        options->threads[options->thread_counts++] = n;
        if (*rest == '\0') {
            return;
        }
        if (*rest != ',') {
            usage_error("--threads: '%s' is not a list such as 1,2", text);
        }
        rest++;
    }
}

static void read_variants(struct options *options, const char *list)
{
    for (const char *word = list;;) {
        size_t length = strcspn(word, ",");

        if (!variant_known(word, length)) {
            usage_error("--variant: no variant has the words '%.*s'; the table shows their names",
                        length < 60 ? (int)length : 60, word);
        }
        if (word[length] == '\0') {
            break;
        }
        word += length + 1;
    }
    options->variants = list;
}

static void check_together(struct options *options)
{
    if (!options->count_only) {
        return;
    }
    if (!stopwatch_can_count()) {
        usage_error("--count-only: built without valgrind's headers; install valgrind, rebuild");
    }
    if (!stopwatch_under_valgrind()) {
        usage_error("--count-only: run it by bench/instructions.sh, which starts valgrind");
    }
    options->rounds = 1;
    options->threads[0] = 1;
    options->thread_counts = 1;
}

enum {
    QUICK,
    CASE,
    ALLOCATOR,
    VARIANT,
    THREADS,
    ROUNDS,
    SCALE,
    JSON,
    INSTRUCTIONS,
    COUNT,
    HELP = 'h',
    VERSION = 'V'
};

static const struct option long_options[] = {
    {"quick", no_argument, NULL, QUICK},
    {"case", required_argument, NULL, CASE},
    {"allocator", required_argument, NULL, ALLOCATOR},
    {"variant", required_argument, NULL, VARIANT},
    {"threads", required_argument, NULL, THREADS},
    {"rounds", required_argument, NULL, ROUNDS},
    {"scale", required_argument, NULL, SCALE},
    {"json", required_argument, NULL, JSON},
    {"instructions", required_argument, NULL, INSTRUCTIONS},
    {"count-only", no_argument, NULL, COUNT},
    {"help", no_argument, NULL, HELP},
    {"version", no_argument, NULL, VERSION},
    {NULL, 0, NULL, 0},
};

static void apply(struct options *options, int option, const char *value)
{
    switch (option) {
    case QUICK:
        options->quick = true;
        break;
    case CASE:
        options->cases = read_names("--case", value, case_name);
        break;
    case ALLOCATOR:
        options->allocators = read_names("--allocator", value, allocator_name);
        break;
    case VARIANT:
        read_variants(options, value);
        break;
    case THREADS:
        read_threads(options, value);
        break;
    case ROUNDS:
        options->rounds = read_only_number("--rounds", value, 1, BENCH_MAX_ROUNDS);
        break;
    case SCALE:
        options->scale = read_only_number("--scale", value, 1, MAX_SCALE);
        break;
    case JSON:
        options->json = value;
        break;
    case INSTRUCTIONS:
        options->instructions = value;
        break;
    case COUNT:
        options->count_only = true;
        break;
    case VERSION:
        say(print_version);
    default:
        say(help);
    }
}

void options_read(struct options *options, int argc, char **argv)
{
    char fault[NEAREST_FAULT];
    int option;

    *options = (struct options){.scale = 1,
                                .cases = UINT64_MAX,
                                .allocators = UINT64_MAX,
                                .threads = {1, 2},
                                .thread_counts = 2};
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":hV", long_options, NULL)) != -1) {
        if (option == ':') {
            usage_error("%s needs a value; see --help", argv[optind - 1]);
        }
        if (option == '?') {
            usage_error("%s; see --help", nearest_fault(fault, argv[optind - 1], long_options));
        }
        apply(options, option, optarg);
    }
    if (optind < argc) {
        usage_error("'%s' is not an option; see --help", argv[optind]);
    }
    check_together(options);
}

/* `whole` / scale, a multiple of 1024 (what a buddy's largest run needs), at least `least`. */
static uint64_t scaled(uint64_t whole, unsigned scale, uint64_t least)
{
    uint64_t n = whole / scale & ~UINT64_C(1023);

    return n > least ? n : least;
}

struct effort options_effort(const struct options *options)
{
    unsigned scale = options->scale;
    struct effort effort = {
        .rounds = options->quick ? 5 : 9,
        .heavy_rounds = options->quick ? 1 : 3,
        .pairs = scaled(options->quick ? 65536 : 262144, scale, 1024),
        .frames = scaled(options->quick ? 131072 : 262144, scale, 65536),
        .arena = 2 * scaled(options->quick ? 131072 : 262144, scale, 65536),
        .churn_frames = scaled(options->quick ? 131072 : 2097152, scale, 65536),
        .churn_divisor = scale,
        .mixed_frames = scaled(options->quick ? 65536 : 1048576, scale, 65536),
        .mixed_divisor = scale * (options->quick ? 10 : 1),
        .refusal_frames = scaled(options->quick ? 65536 : 1048576, scale, 65536),
        .refusals = scaled(options->quick ? 16384 : 131072, scale, 1024),
        .refusal_ns = scaled(options->quick ? 4096000 : 20480000, scale, 102400),
        .budget_ns = options->quick ? QUICK_NS : 0,
    };

    if (options->rounds) {
        effort.rounds = options->rounds;
        effort.heavy_rounds = options->rounds;
    }
    return effort;
}
