/* SPDX-License-Identifier: MIT
 *
 * check.h - checks of a search kernel that need no test library, so that they also run on other
 * machines under emulation. White-box: they call core/search/search.h.
 *
 * Each check returns whether the kernel passed, and says on stderr at the first failure what was
 * asked of it. All data comes from fixed seeds.
 */
#ifndef QUIRE_STRESS_CORE_SEARCH_CHECK_H
#define QUIRE_STRESS_CORE_SEARCH_CHECK_H

#include "core/search/search.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool check_next_byte(const struct search_kernel *search);
bool check_least_byte(const struct search_kernel *search);
bool check_least_fit(const struct search_kernel *search);
bool check_bits(const struct search_kernel *search);
bool check_quarters(const struct search_kernel *search);
bool check_rows(const struct search_kernel *search);
bool check_bytes_from(const struct search_kernel *search);
/* On arrays of many pages, against the word kernel. */
bool check_agreement(const struct search_kernel *search);
/* While another thread changes what is searched. */
bool check_racing(const struct search_kernel *search);

/* ---- What the checks share ---------------------------------------------------------------- */

/* Memory between two inaccessible pages: one byte read outside an array that lies at an end of it
 * kills the test. */
struct arena {
    uint8_t *low, *high; /* high is one past the last byte */
};

/* `bytes` is rounded up to pages. Ends the program if there is no memory. */
struct arena arena_map(size_t bytes);
void arena_unmap(struct arena arena);

/* What the bytes of an array look like. */
enum pattern {
    PATTERN_RANDOM,
    PATTERN_FEW,    /* 0 to 3: many equal ones */
    PATTERN_BORROW, /* 00 01 7f 80 81 ff: a borrow or carry that leaves its byte shows */
    PATTERN_ZEROS,
    PATTERN_ONES,
    PATTERN_RISING,
    PATTERN_FALLING,
    PATTERN_ALMOST, /* all equal, but one */
    PATTERNS,
};
void fill(uint8_t *bytes, size_t n, enum pattern pattern, uint64_t *state);

/* Prints what was asked, unless got == expected, which is returned. a and b are the arguments. */
bool expect(const struct search_kernel *search, const char *function, const void *array, size_t n,
            size_t a, size_t b, size_t expected, size_t got);

#endif /* QUIRE_STRESS_CORE_SEARCH_CHECK_H */
