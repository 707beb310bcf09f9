/* SPDX-License-Identifier: MIT
 *
 * search_avx2.c - the search kernel for x86-64 with AVX2: 32 bytes, or 4 words, at a time.
 *
 * Hosted builds only; otherwise this file is empty, because a kernel's interrupts must not touch
 * vector registers. Called through qi_search_avx2, once search.c found that the CPU and the
 * operating system support it. No state; wait-free, any context. What it reads: search_racy.h.
 */
#include "core/search/search_racy.h"

#if QUIRE_SEARCH_X86

#include "core/search/arch/search_x86.h"

#define AVX2 QUIRE_SEARCH_RACY __attribute__((target("avx2")))

enum { AVX2_WIDTH = 32, AVX2_WORDS = 4 };

AVX2 QUIRE_SEARCH_INLINE __m256i load_avx2(const void *p)
{
    __m256i vector = _mm256_loadu_si256(p);
    QUIRE_SEARCH_PIN("x", vector);
    return vector;
}

AVX2 QUIRE_SEARCH_INLINE __m256i spread_avx2(uint8_t byte)
{
    return _mm256_set1_epi8((char)byte);
}

/* One bit per byte, set where a == b. */
AVX2 QUIRE_SEARCH_INLINE uint32_t equal_bytes_avx2(__m256i a, __m256i b)
{
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(a, b));
}

AVX2 static inline size_t skip_avx2(const uint64_t *words, size_t i, size_t count, uint64_t usual)
{
    const __m256i pattern = _mm256_set1_epi64x((long long)usual);

    for (; i + AVX2_WORDS <= count; i += AVX2_WORDS) {
        uint32_t same = equal_bytes_avx2(load_avx2(&words[i]), pattern);
        if (same != UINT32_MAX) {
            return i + (size_t)__builtin_ctz(~same) / 8;
        }
    }
    return i;
}

AVX2 static size_t next_zero_avx2(const uint64_t *words, size_t bits, size_t from)
{
    return search_bit(words, bits, from, ~UINT64_C(0), skip_avx2);
}

AVX2 static size_t next_one_avx2(const uint64_t *words, size_t bits, size_t from)
{
    return search_bit(words, bits, from, 0, skip_avx2);
}

AVX2 static size_t next_byte_avx2(const uint8_t *bytes, size_t n, size_t from, uint8_t least)
{
    const __m256i bound = spread_avx2(least);

    for (; from < n && n - from >= AVX2_WIDTH; from += AVX2_WIDTH) {
        __m256i vector = load_avx2(&bytes[from]);
        uint32_t hits = equal_bytes_avx2(_mm256_max_epu8(vector, bound), vector);
        if (hits != 0) {
            return from + (size_t)__builtin_ctz(hits);
        }
    }
    return qi_search_word.next_byte(bytes, n, from, least);
}

/* All ones in each byte whose partner does not fit. */
AVX2 QUIRE_SEARCH_INLINE __m256i misfits_avx2(const struct search_fit *fit, size_t from)
{
    __m256i part = _mm256_and_si256(load_avx2(&fit->fits[from]), spread_avx2(fit->mask));
    __m256i above = _mm256_cmpeq_epi8(_mm256_max_epu8(part, spread_avx2(fit->low)), part);
    __m256i below = _mm256_cmpeq_epi8(_mm256_min_epu8(part, spread_avx2(fit->high)), part);
    return _mm256_xor_si256(_mm256_and_si256(above, below), spread_avx2(UINT8_MAX));
}

/* A byte lies in floor .. top exactly if its distance from floor, modulo 256, is at most
 * top - floor: one comparison for both bounds. */
AVX2 static inline void narrow_avx2(const uint8_t *bytes, size_t from, size_t to, uint8_t floor,
                                    const struct search_fit *fit, struct search_least *best)
{
    const __m256i base = spread_avx2(floor);
    __m256i span = spread_avx2((uint8_t)(best->top - floor));

    for (; to - from >= AVX2_WIDTH; from += AVX2_WIDTH) {
        __m256i distance = _mm256_sub_epi8(load_avx2(&bytes[from]), base);
        if (fit != NULL) { /* what does not fit is farthest, as the floor is not 0 */
            distance = _mm256_or_si256(distance, misfits_avx2(fit, from));
        }
        if (equal_bytes_avx2(_mm256_min_epu8(distance, span), distance) == 0) {
            continue;
        }
        uint8_t least = search_min256(distance);
        best->at = from + (size_t)__builtin_ctz(equal_bytes_avx2(distance, spread_avx2(least)));
        best->top = (uint8_t)(floor + least - 1);
        if (least == 0) {
            return;
        }
        span = spread_avx2((uint8_t)(least - 1));
    }
    qi_search_narrow_word(bytes, from, to, floor, fit, best);
}

AVX2 static size_t least_byte_avx2(const uint8_t *bytes, size_t n, uint8_t value, size_t index)
{
    return search_least_byte(bytes, n, value, index, NULL, narrow_avx2);
}

AVX2 static size_t least_fit_avx2(const uint8_t *bytes, size_t n, uint8_t value, size_t index,
                                  const struct search_fit *fit)
{
    return search_least_byte(bytes, n, value, index, fit, narrow_avx2);
}

/* Packing takes the halves of both vectors by turns; the permutation puts them in order. */
AVX2 static inline uint32_t zero_quarters_avx2(const uint64_t *words)
{
    const __m256i zero = _mm256_setzero_si256();
    __m256i low = _mm256_cmpeq_epi16(load_avx2(words), zero);
    __m256i high = _mm256_cmpeq_epi16(load_avx2(words + AVX2_WORDS), zero);
    __m256i both = _mm256_permute4x64_epi64(_mm256_packs_epi16(low, high), 0xd8);

    return (uint32_t)_mm256_movemask_epi8(both);
}

AVX2 static uint64_t bytes_from_avx2(const uint8_t *bytes, uint8_t mask, uint8_t least)
{
    const __m256i masks = spread_avx2(mask), leasts = spread_avx2(least);
    __m256i low = _mm256_and_si256(load_avx2(bytes), masks);
    __m256i high = _mm256_and_si256(load_avx2(bytes + AVX2_WIDTH), masks);

    return equal_bytes_avx2(_mm256_max_epu8(low, leasts), low) |
           (uint64_t)equal_bytes_avx2(_mm256_max_epu8(high, leasts), high) << AVX2_WIDTH;
}

AVX2 static unsigned next_row_avx2(const struct search_maps *maps, uint64_t which)
{
    return search_row(maps, which, zero_quarters_avx2);
}

const struct search_kernel qi_search_avx2 = {
    "avx2",         next_zero_avx2,     next_one_avx2,   next_byte_avx2, least_byte_avx2,
    least_fit_avx2, zero_quarters_avx2, bytes_from_avx2, next_row_avx2};

#endif /* QUIRE_SEARCH_X86 */
