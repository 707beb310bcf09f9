/* SPDX-License-Identifier: MIT
 *
 * property.c - random sequences of operations on small zones, compared with the naive model after
 * every step; a failing sequence is made minimal and printed as text that can be replayed.
 *
 *   property [--seed N] [--shape NAME] [--rounds N] [--steps N]
 *   property --replay FILE...
 *
 * The same seed gives the same sequences. Exit status 0: nothing was wrong; 1: something was; 2:
 * wrong arguments.
 */
#include "runner.h"
#include "trial.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    uint64_t seed, rounds, steps;
    const struct shape *shape; /* NULL: all */
    bool replay;
};

/* The length of the shape's index space, holes included. 0: it cannot be opened. */
static uint64_t frames_of(const struct shape *shape)
{
    struct runner r;
    if (!runner_open(&r, shape)) {
        (void)printf("shape %s: %s\n", shape->name, r.why);
        return 0;
    }
    uint64_t frames = r.model.frames;
    runner_close(&r);
    return frames;
}

/* Every drawn operation must survive print and parse, or a replay would be another sequence. */
static bool reads_back(const struct op *op)
{
    char text[OP_TEXT];
    char again[OP_TEXT];
    struct op parsed;
    op_print(op, text);
    if (!op_parse(text, &parsed)) {
        return false;
    }
    op_print(&parsed, again);
    return strcmp(text, again) == 0 && parsed.kind == op->kind;
}

static int report(struct trial *t)
{
    (void)printf("FAILED after %zu operations: %s\nshrinking...\n", t->failed, t->why);
    (void)fflush(stdout);
    trial_shrink(t);
    (void)printf("minimal sequence, for property --replay FILE:\n");
    trial_print(t, stdout);
    return 1;
}

static int run_round(const struct shape *shape, uint64_t frames, uint64_t seed, uint64_t steps)
{
    struct random_source random;
    struct op_limits limits = {.frames = frames, .slots = shape->slots};
    struct trial t = {.shape = shape, .n = (size_t)steps};
    t.ops = calloc(t.n, sizeof *t.ops);
    if (t.ops == NULL) {
        perror("property");
        return 2;
    }
    random_open(&random, seed);
    int status = 0;
    for (size_t i = 0; i < t.n && status == 0; i++) {
        t.ops[i] = op_draw(&random.source, &limits);
        if (!reads_back(&t.ops[i])) {
            (void)printf("operation %zu of seed %" PRIu64 " does not read back\n", i, seed);
            status = 1;
        }
    }
    if (status == 0 && !trial_run(&t)) {
        (void)printf("shape %s, seed %" PRIu64 ": ", shape->name, seed);
        status = report(&t);
    }
    free(t.ops);
    return status;
}

/* Large zones get fewer and shorter rounds: walking their frames takes a while. */
static int run_shape(const struct settings *s, const struct shape *shape)
{
    uint64_t rounds = shape->large ? (s->rounds + 9) / 10 : s->rounds;
    uint64_t steps = shape->large ? (s->steps + 3) / 4 : s->steps;
    uint64_t frames = frames_of(shape);
    if (frames == 0) {
        return 1;
    }
    for (uint64_t round = 0; round < rounds; round++) {
        int status = run_round(shape, frames, s->seed * 1000 + round, steps);
        if (status != 0) {
            return status;
        }
    }
    (void)printf("%-10s %" PRIu64 " rounds of %" PRIu64 " operations\n", shape->name, rounds,
                 steps);
    return 0;
}

static int replay(char *const paths[])
{
    int status = 0;
    for (; *paths != NULL; paths++) {
        struct trial t;
        if (!trial_read(&t, *paths)) {
            (void)fprintf(stderr, "property: %s\n", t.why);
            status = 2;
        } else if (!trial_run(&t)) {
            (void)printf("%s: step %zu: %s\n", *paths, t.failed, t.why);
            status = 1;
        } else {
            (void)printf("%s: %zu operations, nothing wrong\n", *paths, t.n);
        }
        free(t.ops);
    }
    return status;
}

static int usage(void)
{
    (void)fprintf(stderr, "usage: property [--seed N] [--shape NAME] [--rounds N] [--steps N]\n"
                          "       property --replay FILE...\nshapes:");
    for (size_t i = 0; i < shape_count; i++) {
        (void)fprintf(stderr, " %s", shapes[i].name);
    }
    (void)fprintf(stderr, "\n");
    return 2;
}

static bool number(const char *text, uint64_t *value)
{
    char *end;
    *value = strtoull(text, &end, 0);
    return *text >= '0' && *text <= '9' && *end == '\0';
}

static bool read_settings(int argc, char *argv[], struct settings *s)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},   {"shape", required_argument, NULL, 'z'},
        {"rounds", required_argument, NULL, 'r'}, {"steps", required_argument, NULL, 'n'},
        {"replay", no_argument, NULL, 'f'},       {NULL, 0, NULL, 0}};
    int option;
    bool right = true;
    while (right && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 's':
            right = number(optarg, &s->seed);
            break;
        case 'z':
            s->shape = shape_named(optarg);
            right = s->shape != NULL;
            break;
        case 'r':
            right = number(optarg, &s->rounds);
            break;
        case 'n':
            right = number(optarg, &s->steps) && s->steps > 0;
            break;
        case 'f':
            s->replay = true;
            break;
        default:
            right = false;
            break;
        }
    }
    return right && s->replay == (optind < argc);
}

int main(int argc, char *argv[])
{
    struct settings s = {.seed = 1, .rounds = 20, .steps = 1200};
    if (!read_settings(argc, argv, &s)) {
        return usage();
    }
    if (s.replay) {
        return replay(argv + optind);
    }
    int status = s.shape != NULL ? run_shape(&s, s.shape) : 0;
    for (size_t i = 0; s.shape == NULL && i < shape_count && status == 0; i++) {
        status = run_shape(&s, &shapes[i]);
    }
    return status;
}
