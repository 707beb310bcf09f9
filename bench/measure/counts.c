/* SPDX-License-Identifier: MIT
 *
 * counts.c - a text file with a line per configuration:
 *     case allocator variant instructions-per-operation
 * where the variant's name has _ for each space.
 * State: the list, written by counts_load, read only afterwards.
 */
#include "counts.h"

#include "variant.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COUNTS = 4096 };

static struct count {
    char bench[32], allocator[32], variant[VARIANT_TEXT];
    double instructions;
} counts[MAX_COUNTS];
static size_t count_total;

static bool read_word(char *line, char **rest, char *word, size_t size)
{
    const char *found = strtok_r(line, " \n", rest);

    if (!found || strlen(found) >= size) {
        return false;
    }
    memcpy(word, found, strlen(found) + 1);
    return true;
}

static bool read_count(char *line, struct count *c)
{
    char *rest = NULL, *end = NULL;

    if (!read_word(line, &rest, c->bench, sizeof(c->bench)) ||
        !read_word(NULL, &rest, c->allocator, sizeof(c->allocator)) ||
        !read_word(NULL, &rest, c->variant, sizeof(c->variant))) {
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
                "allocator variant instructions'\n",
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
    char variant[VARIANT_TEXT];

    variant_word(result->variant, variant);
    for (size_t i = 0; i < count_total && result->threads == 1; i++) {
        const struct count *c = &counts[i];

        if (strcmp(c->bench, result->bench->name) == 0 &&
            strcmp(c->allocator, result->allocator->name) == 0 &&
            strcmp(c->variant, variant) == 0) {
            return c->instructions;
        }
    }
    return NAN;
}
