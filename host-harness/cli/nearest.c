/* SPDX-License-Identifier: MIT
 *
 * nearest.c - the word that was probably meant (see nearest.h).
 */
#include "nearest.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST = 32 }; /* of words; longer ones are near to nothing */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* The distance of Damerau and Levenshtein, of which no stretch is changed twice. */
unsigned nearest_distance(const char *typed, size_t length, const char *word)
{
    unsigned cost[LONGEST + 1][LONGEST + 1] = {{0}};
    size_t other = strlen(word);
    unsigned far = NEAREST_FAR + 1;

    if (length == 0 || length > LONGEST || other > LONGEST)
        return far;
    for (unsigned i = 0; i <= length; i++) {
        for (unsigned j = 0; j <= other; j++) {
            if (i == 0 || j == 0) {
                cost[i][j] = i + j;
                continue;
            }
            cost[i][j] = cost[i - 1][j - 1] + (typed[i - 1] != word[j - 1]);
            cost[i][j] = least(cost[i][j], 1 + least(cost[i - 1][j], cost[i][j - 1]));
            if (i > 1 && j > 1 && typed[i - 1] == word[j - 2] && typed[i - 2] == word[j - 1])
                cost[i][j] = least(cost[i][j], cost[i - 2][j - 2] + 1);
        }
    }
    return 3 * cost[length][other] > other + 2 ? far : least(cost[length][other], far);
}

/* The nearest of some words, met one after the other. */
struct nearest {
    const char *word;
    unsigned distance;
    bool alone;
};

static void meet(struct nearest *nearest, const char *typed, size_t length, const char *word)
{
    unsigned distance = nearest_distance(typed, length, word);

    if (distance > NEAREST_FAR || distance > nearest->distance)
        return;
    nearest->alone = distance < nearest->distance;
    nearest->distance = distance;
    nearest->word = word;
}

const char *nearest_word(char text[NEAREST_TEXT], const char *typed, const char *const words[])
{
    struct nearest nearest = {.distance = NEAREST_FAR + 1};

    for (size_t i = 0; words[i]; i++)
        meet(&nearest, typed, strlen(typed), words[i]);
    text[0] = '\0';
    if (nearest.alone)
        snprintf(text, NEAREST_TEXT, " (did you mean %s?)", nearest.word);
    return text;
}

/* The options that begin with what was typed, if there are several. */
static bool list_begun(char text[NEAREST_FAULT], const char *typed, size_t length,
                       const struct option *options)
{
    int used = snprintf(text, NEAREST_FAULT, "option --%.*s can be", (int)length, typed);
    unsigned begun = 0;

    for (; options->name; options++) {
        if (strncmp(options->name, typed, length) != 0)
            continue;
        begun++;
        if ((size_t)used < NEAREST_FAULT)
            used += snprintf(text + used, NEAREST_FAULT - (size_t)used, "%s --%s",
                             begun > 1 ? "," : "", options->name);
    }
    return begun > 1;
}

const char *nearest_fault(char text[NEAREST_FAULT], const char *typed, const struct option *options)
{
    struct nearest nearest = {.distance = NEAREST_FAR + 1};
    const char *name = typed + 2;
    size_t length = strcspn(name, "=");
    bool whole = false;

    if (strncmp(typed, "--", 2) != 0) {
        snprintf(text, NEAREST_FAULT, "unknown option %.60s", typed);
        return text;
    }
    for (const struct option *option = options; option->name; option++) {
        whole |= strlen(option->name) == length && strncmp(option->name, name, length) == 0;
        meet(&nearest, name, length, option->name);
    }
    if (whole)
        snprintf(text, NEAREST_FAULT, "option %.60s: expected no value", typed);
    else if (length == 0 || length > LONGEST || !list_begun(text, name, length, options))
        snprintf(text, NEAREST_FAULT, "unknown option %.60s%s%s%s", typed,
                 nearest.alone ? " (did you mean --" : "", nearest.alone ? nearest.word : "",
                 nearest.alone ? "?)" : "");
    return text;
}
