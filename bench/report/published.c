/* SPDX-License-Identifier: MIT
 *
 * published.c - the table of published figures: means of the four runs of each in the raw results
 * that LLFree's authors published (github.com/luhsra/llfree-bench at 775e549). No state.
 *
 * Their `bulk` allocates memory full and frees it in order, `repeat` frees a run and allocates one
 * again, `rand` frees in random order what bulk allocated. LLFree was called in a process
 * (allocator/latest-dram-c, and -o for orders 3 and 6), Linux's alloc_pages in the kernel
 * (module/latest-bu-c), with its per-CPU lists.
 */
#include "published.h"

#include "figures.h"

const char *const published_source =
    "by LLFree's authors: 26 cores of an Intel Xeon Gold 5320 at 2.2 GHz, 128 GiB";

#define LLFREE "LLFree"
#define LINUX6 "Linux 6.0"

static const struct published figures[] = {
    {LLFREE, "pair", 0, 1, 91},
    {LLFREE, "pair", 0, 2, 91},
    {LLFREE, "pair", 0, 26, 92},
    {LLFREE, "pair", 3, 8, 91},
    {LLFREE, "pair", 6, 8, 139},
    {LLFREE, "pair", 9, 1, 71},
    {LLFREE, "pair", 9, 2, 70},
    {LLFREE, "pair", 9, 26, 69},
    {LLFREE, "bulk-alloc-single", 0, 1, 49},
    {LLFREE, "bulk-alloc-single", 0, 2, 48},
    {LLFREE, "bulk-alloc-single", 0, 26, 48},
    {LLFREE, "bulk-alloc-single", 9, 1, 44},
    {LLFREE, "bulk-alloc-single", 9, 2, 45},
    {LLFREE, "bulk-alloc-single", 9, 26, 48},
    {LLFREE, "bulk-free-single", 0, 1, 41},
    {LLFREE, "bulk-free-single", 0, 2, 41},
    {LLFREE, "bulk-free-single", 0, 26, 42},
    {LLFREE, "bulk-free-single", 9, 1, 29},
    {LLFREE, "bulk-free-single", 9, 2, 29},
    {LLFREE, "bulk-free-single", 9, 26, 33},
    {LLFREE, "random-free-single", 0, 1, 53},
    {LLFREE, "random-free-single", 0, 2, 73},
    {LLFREE, "random-free-single", 0, 26, 157},
    {LLFREE, "random-free-single", 9, 1, 36},
    {LLFREE, "random-free-single", 9, 2, 56},
    {LLFREE, "random-free-single", 9, 26, 165},
    {LINUX6, "pair", 0, 1, 112},
    {LINUX6, "pair", 0, 26, 112},
    {LINUX6, "pair", 9, 1, 362},
    {LINUX6, "pair", 9, 26, 362},
    {LINUX6, "bulk-alloc-single", 0, 1, 94},
    {LINUX6, "bulk-alloc-single", 0, 2, 104},
    {LINUX6, "bulk-alloc-single", 0, 26, 984},
    {LINUX6, "bulk-free-single", 0, 1, 90},
    {LINUX6, "bulk-free-single", 0, 2, 96},
    {LINUX6, "bulk-free-single", 0, 26, 1241},
};

bool published_next(const struct results *results, size_t *index, struct published *published,
                    const struct result **ours)
{
    while (*index < sizeof(figures) / sizeof(figures[0])) {
        const struct published *p = &figures[(*index)++];

        *ours = results_find(results, p->bench, "quire", p->threads, p->order, 0, START_OTHER);
        if (!*ours)
            *ours = results_find(results, p->bench, "quire", 1, p->order, 0, START_OTHER);
        if (*ours) {
            *published = *p;
            return true;
        }
    }
    return false;
}
