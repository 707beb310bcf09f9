/* SPDX-License-Identifier: MIT
 *
 * figures.c - see figures.h. No state but the results that it is given.
 */
#include "figures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const bench_figure_names[FIGURES] = {
    [NS_PER_OP] = "ns_per_op", [SETTLED_NS] = "settled_ns", [WHOLE_SHARE] = "whole_share",
    [REFUSALS] = "refusals",   [P50_NS] = "p50_ns",         [P9999_NS] = "p9999_ns",
    [WORST_NS] = "worst_ns",   [FIRST_NS] = "first_ns",
};

const char *const bench_start_names[STARTS] =
    {[START_OTHER] = "", [START_COMPACT] = "compact", [START_PEPPERED] = "peppered"};

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Sorts the n values, at least one. */
static double sort_to_median(double *values, unsigned n)
{
    qsort(values, n, sizeof(values[0]), compare_doubles);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* The median of a figure over the samples, which all have it or all have not; the least and the
 * largest too. */
static double median(const struct run *run, enum figure figure, double *min, double *max)
{
    double values[BENCH_MAX_ROUNDS] = {0};
    unsigned n = run->sample_count;

    for (unsigned i = 0; i < n; i++) {
        values[i] = run->samples[i].figure[figure];
    }
    if (isnan(values[0])) {
        return NAN;
    }
    double middle = sort_to_median(values, n);

    *min = values[0];
    *max = values[n - 1];
    return middle;
}

/* Of each place the median over the samples; NULL if the run has none. */
static double *median_shares(const struct run *run)
{
    double values[BENCH_MAX_ROUNDS] = {0};
    double *medians;

    if (!run->shares) {
        return NULL;
    }
    medians = bench_memory(run->share_count, sizeof(medians[0]));
    for (size_t place = 0; place < run->share_count; place++) {
        for (unsigned i = 0; i < run->sample_count; i++) {
            values[i] = run->shares[i * run->share_count + place];
        }
        medians[place] = sort_to_median(values, run->sample_count);
    }
    return medians;
}

struct result figures_result(const struct run *run)
{
    struct result result = {
        .bench = run->bench,
        .variant = run->variant,
        .allocator = run->allocator,
        .threads = run->threads,
        .rounds = run->sample_count,
        .ops = run->sample_ops,
        .instructions = NAN,
        .shares = median_shares(run),
        .share_count = run->share_count,
    };
    double min = NAN, max;

    for (enum figure i = 0; i < FIGURES; i++) {
        result.figure[i] = median(run, i, &min, &max);
    }
    result.least_share = isnan(median(run, WHOLE_SHARE, &min, &max)) ? NAN : min;
    result.figure[NS_PER_OP] = median(run, NS_PER_OP, &result.min, &result.max);
    return result;
}

void results_append(struct results *results, struct result result)
{
    struct result *list = realloc(results->list, (results->count + 1) * sizeof(list[0]));

    if (!list) {
        bench_die("no memory for the results", NULL);
    }
    results->list = list;
    list[results->count++] = result;
}

void results_release(struct results *results)
{
    for (size_t i = 0; i < results->count; i++) {
        free(results->list[i].shares);
    }
    free(results->list);
    *results = (struct results){0};
}

const struct result *results_find(const struct results *results, const char *bench,
                                  const char *allocator, unsigned threads, unsigned order,
                                  unsigned fill, enum start start)
{
    for (size_t i = 0; i < results->count; i++) {
        const struct result *r = &results->list[i];

        if (r->threads == threads && r->variant->order == order && r->variant->fill == fill &&
            r->variant->start == start && strcmp(r->bench->name, bench) == 0 &&
            strcmp(r->allocator->name, allocator) == 0) {
            return r;
        }
    }
    return NULL;
}
