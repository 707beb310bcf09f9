/* SPDX-License-Identifier: MIT
 *
 * variant.h - the names of variants, as the table shows them, and which of them are asked for.
 * Main thread. No state.
 */
#ifndef QUIRE_BENCH_MEASURE_VARIANT_H
#define QUIRE_BENCH_MEASURE_VARIANT_H

#include "bench/bench.h"

enum { VARIANT_TEXT = 32 };

/* What sets a variant apart from the others of its case. */
void variant_text(const struct variant *variant, char text[VARIANT_TEXT]);

/* The same as one word: _ for each space. */
void variant_word(const struct variant *variant, char text[VARIANT_TEXT]);

/* Some variant of some case has these words in its name, as variant_listed takes them. */
bool variant_known(const char *words, size_t length);

/* An entry of the comma-separated list stands in the variant's name, as whole words, its size
 * included where it has one. NULL: all but those with a size. */
bool variant_listed(const struct variant *variant, const char *list);

#endif /* QUIRE_BENCH_MEASURE_VARIANT_H */
