/* SPDX-License-Identifier: MIT
 *
 * search.c - which search kernels this machine runs, and the fastest of them.
 *
 * State: `best`, one more than the place in the table of the fastest kernel, or 0 before the first
 * call of qi_search_best.
 * SE1. It is 0 or the one value that choosing always arrives at: neither the table nor the CPU
 *     changes.
 * So first calls may race or interrupt each other: all store the same number. A constructor would
 * save one comparison per call, but constructors that run earlier, and environments that run none,
 * would find nothing chosen. Wait-free, any context.
 */
#include "core/search/search_racy.h"

#include <stdbool.h>

static bool runs_anywhere(void)
{
    return true;
}

#if QUIRE_SEARCH_X86
/* The compiler's run time also asks the operating system (XGETBV) whether it saves the wide
 * registers. Its own constructor has filled its table, or __builtin_cpu_init does so. */
static bool runs_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") != 0;
}

static bool runs_avx512(void)
{
    return runs_avx2() && __builtin_cpu_supports("avx512f") != 0 &&
           __builtin_cpu_supports("avx512bw") != 0;
}
#endif

/* From the slowest to the fastest. */
static const struct {
    const struct search_kernel *search;
    bool (*runs)(void);
} kernels[] = {
    {&qi_search_word, runs_anywhere},
#if QUIRE_SEARCH_X86
    {&qi_search_avx2, runs_avx2},
    {&qi_search_avx512, runs_avx512},
#endif
#if QUIRE_SEARCH_NEON
    {&qi_search_neon, runs_anywhere},
#endif
};

enum { KERNELS = sizeof kernels / sizeof kernels[0] };

const struct search_kernel *qi_search_kernel(size_t index)
{
    for (size_t i = 0; i < KERNELS; i++) {
        if (kernels[i].runs() && index-- == 0) {
            return kernels[i].search;
        }
    }
    return NULL;
}

const struct search_kernel *qi_search_best(void)
{
    static qa8 best;
    /* relaxed: the number carries nothing but itself */
    uint8_t chosen = qa_load(&best, relaxed);

    if (chosen == 0) {
        for (size_t i = 0; i < KERNELS; i++) {
            chosen = kernels[i].runs() ? (uint8_t)(i + 1) : chosen;
        }
        qa_store(&best, chosen, relaxed); /* relaxed: as above */
    }
    return kernels[chosen - 1].search;
}
