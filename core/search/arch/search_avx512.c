/* SPDX-License-Identifier: MIT
 *
 * search_avx512.c - the search kernel for x86-64 with AVX-512 F and BW: 64 bytes, which is a whole
 * 512-bit map, at a time.
 *
 * Hosted builds only; otherwise this file is empty, because a kernel's interrupts must not touch
 * vector registers. Called through qi_search_avx512, once search.c found that the CPU and the
 * operating system support it. No state; wait-free, any context. What it reads: search_racy.h.
 * Loads at the end of an array are masked: the lanes behind the end are not accessed.
 */
#include "core/search/search_racy.h"

#if QUIRE_SEARCH_X86

#include "core/search/arch/search_x86.h"

#define AVX512 QUIRE_SEARCH_RACY __attribute__((target("avx2,avx512f,avx512bw")))

enum { AVX512_WIDTH = 64, AVX512_WORDS = 8 };

AVX512 QUIRE_SEARCH_INLINE __m512i spread_avx512(uint8_t byte)
{
    return _mm512_set1_epi8((char)byte);
}

/* A bit for each of the `left` >= 1 bytes that are left, 64 at most. */
AVX512 QUIRE_SEARCH_INLINE __mmask64 valid_lanes_avx512(size_t left)
{
    return left >= AVX512_WIDTH ? ~UINT64_C(0) : ~UINT64_C(0) >> (AVX512_WIDTH - left);
}

/* Lanes that are not valid read as `other`. */
AVX512 QUIRE_SEARCH_INLINE __m512i load_avx512(const uint8_t *p, __mmask64 valid, __m512i other)
{
    __m512i vector = _mm512_mask_loadu_epi8(other, valid, p);
    QUIRE_SEARCH_PIN("v", vector);
    return vector;
}

AVX512 static inline size_t skip_avx512(const uint64_t *words, size_t i, size_t count,
                                        uint64_t usual)
{
    const __m512i pattern = _mm512_set1_epi64((long long)usual);

    for (; i < count; i += AVX512_WORDS) {
        __mmask8 valid =
            (__mmask8)(count - i >= AVX512_WORDS ? 0xff : 0xff >> (AVX512_WORDS - (count - i)));
        __m512i vector = _mm512_mask_loadu_epi64(pattern, valid, &words[i]);
        QUIRE_SEARCH_PIN("v", vector);
        unsigned unusual = _mm512_cmpneq_epi64_mask(vector, pattern);
        if (unusual != 0) {
            return i + (size_t)__builtin_ctz(unusual);
        }
    }
    return count;
}

AVX512 static size_t next_zero_avx512(const uint64_t *words, size_t bits, size_t from)
{
    return search_bit(words, bits, from, ~UINT64_C(0), skip_avx512);
}

AVX512 static size_t next_one_avx512(const uint64_t *words, size_t bits, size_t from)
{
    return search_bit(words, bits, from, 0, skip_avx512);
}

/* The lanes behind the end read as a match: the first of them is n. */
AVX512 static size_t next_byte_avx512(const uint8_t *bytes, size_t n, size_t from, uint8_t least)
{
    const __m512i bound = spread_avx512(least);

    for (; from < n; from += AVX512_WIDTH) {
        __m512i vector = load_avx512(&bytes[from], valid_lanes_avx512(n - from), bound);
        __mmask64 hits = _mm512_cmpge_epu8_mask(vector, bound);
        if (hits != 0) {
            return from + (size_t)__builtin_ctzll(hits);
        }
    }
    return n;
}

/* A bit for each of the valid lanes whose partner fits. */
AVX512 QUIRE_SEARCH_INLINE __mmask64 fits_avx512(const struct search_fit *fit, size_t from,
                                                 __mmask64 valid)
{
    __m512i part = _mm512_and_si512(load_avx512(&fit->fits[from], valid, _mm512_setzero_si512()),
                                    spread_avx512(fit->mask));
    return _mm512_cmpge_epu8_mask(part, spread_avx512(fit->low)) &
           _mm512_cmple_epu8_mask(part, spread_avx512(fit->high));
}

/* As in search_avx2.c: one comparison of the distance from floor, modulo 256, for both bounds. The
 * lanes behind the end have the largest distance, so that they matter only where all others have
 * it, too; and there the first lane, which is never behind the end, is the one taken. */
AVX512 static inline void narrow_avx512(const uint8_t *bytes, size_t from, size_t to, uint8_t floor,
                                        const struct search_fit *fit, struct search_least *best)
{
    const __m512i base = spread_avx512(floor);
    const __m512i other = spread_avx512((uint8_t)(floor - 1));
    __m512i span = spread_avx512((uint8_t)(best->top - floor));

    for (; from < to; from += AVX512_WIDTH) {
        __mmask64 valid = valid_lanes_avx512(to - from);
        __m512i distance = _mm512_sub_epi8(load_avx512(&bytes[from], valid, other), base);
        if (fit != NULL) { /* what does not fit is farthest, as the floor is not 0 */
            distance = _mm512_mask_mov_epi8(spread_avx512(UINT8_MAX), fits_avx512(fit, from, valid),
                                            distance);
        }
        if (_mm512_cmple_epu8_mask(distance, span) == 0) {
            continue;
        }
        uint8_t least = search_min256(_mm256_min_epu8(_mm512_castsi512_si256(distance),
                                                      _mm512_extracti64x4_epi64(distance, 1)));
        __mmask64 hits = _mm512_cmpeq_epu8_mask(distance, spread_avx512(least));
        best->at = from + (size_t)__builtin_ctzll(hits);
        best->top = (uint8_t)(floor + least - 1);
        if (least == 0) {
            return;
        }
        span = spread_avx512((uint8_t)(least - 1));
    }
}

AVX512 static size_t least_byte_avx512(const uint8_t *bytes, size_t n, uint8_t value, size_t index)
{
    return search_least_byte(bytes, n, value, index, NULL, narrow_avx512);
}

AVX512 static size_t least_fit_avx512(const uint8_t *bytes, size_t n, uint8_t value, size_t index,
                                      const struct search_fit *fit)
{
    return search_least_byte(bytes, n, value, index, fit, narrow_avx512);
}

AVX512 static inline uint32_t zero_quarters_avx512(const uint64_t *words)
{
    __m512i map = _mm512_loadu_si512(words);
    QUIRE_SEARCH_PIN("v", map);
    return _mm512_testn_epi16_mask(map, map);
}

AVX512 static uint64_t bytes_from_avx512(const uint8_t *bytes, uint8_t mask, uint8_t least)
{
    __m512i all = _mm512_loadu_si512(bytes);
    QUIRE_SEARCH_PIN("v", all);
    return _mm512_cmpge_epu8_mask(_mm512_and_si512(all, spread_avx512(mask)), spread_avx512(least));
}

AVX512 static unsigned next_row_avx512(const struct search_maps *maps, uint64_t which)
{
    return search_row(maps, which, zero_quarters_avx512);
}

const struct search_kernel qi_search_avx512 = {
    "avx512",         next_zero_avx512,     next_one_avx512,   next_byte_avx512, least_byte_avx512,
    least_fit_avx512, zero_quarters_avx512, bytes_from_avx512, next_row_avx512};

#endif /* QUIRE_SEARCH_X86 */
