/* SPDX-License-Identifier: MIT
 *
 * counts.c - a text file with a line per configuration:
 *     case allocator order batch frames fill instructions-per-operation
 * State: the list, written by counts_load, read only afterwards.
 */
#include "counts.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COUNTS = 512 };

static struct count {
    char bench[32], allocator[32];
    struct variant variant;
    double instructions;
} counts[MAX_COUNTS];
static size_t count_total;

static bool read_unsigned(char **rest, unsigned *value)
{
    const char *word = strtok_r(NULL, " \n", rest);
    char *end = NULL;

    *value = word ? (unsigned)strtoul(word, &end, 10) : 0;
    return word && *end == '\0';
}

static bool read_count(char *line, struct count *c)
{
    char *rest = NULL, *end = NULL;
    const char *bench = strtok_r(line, " \n", &rest);
    const char *allocator = strtok_r(NULL, " \n", &rest);

    if (!bench || !allocator || strlen(bench) >= sizeof(c->bench) ||
        strlen(allocator) >= sizeof(c->allocator)) {
        return false;
    }
    memcpy(c->bench, bench, strlen(bench) + 1);
    memcpy(c->allocator, allocator, strlen(allocator) + 1);
    if (!read_unsigned(&rest, &c->variant.order) || !read_unsigned(&rest, &c->variant.batch) ||
        !read_unsigned(&rest, &c->variant.frames) || !read_unsigned(&rest, &c->variant.fill)) {
        return false;
    }
    const char *number = strtok_r(NULL, " \n", &rest);

    c->instructions = number ? strtod(number, &end) : 0;
    return number && end > number && *end == '\0' && !strtok_r(NULL, " \n", &rest);
}

static bool read_counts(FILE *file, const char *path)
{
    char line[256];

    while (fgets(line, sizeof(line), file)) {
        if (count_total == MAX_COUNTS || !read_count(line, &counts[count_total])) {
            (void)fprintf(
                stderr,
                "quire-bench: --instructions %s: line %zu is not one of at most %d lines 'case "
                "allocator order batch frames fill instructions'\n",
                path, count_total + 1, MAX_COUNTS);
            return false;
        }
        count_total++;
    }
    if (count_total == 0) {
        (void)fprintf(stderr,
                      "quire-bench: --instructions %s: nothing in it: expected what "
                      "bench/instructions.sh writes\n",
                      path);
        return false;
    }
    return true;
}

bool counts_load(const char *path)
{
    bool given = strcmp(path, "-") == 0;
    FILE *file = given ? stdin : fopen(path, "r");

    if (!file) {
        (void)fprintf(stderr, "quire-bench: --instructions %s: %s: expected a readable file\n",
                      path, strerror(errno));
        return false;
    }
    bool read = read_counts(file, path);

    if (!given) {
        (void)fclose(file);
    }
    return read;
}

double counts_find(const struct result *result)
{
    const struct variant *v = result->variant;

    for (size_t i = 0; i < count_total && result->threads == 1; i++) {
        const struct count *c = &counts[i];

        if (strcmp(c->bench, result->bench->name) == 0 &&
            strcmp(c->allocator, result->allocator->name) == 0 && c->variant.order == v->order &&
            c->variant.batch == v->batch && c->variant.frames == v->frames &&
            c->variant.fill == v->fill) {
            return c->instructions;
        }
    }
    return NAN;
}
