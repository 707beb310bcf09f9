/* SPDX-License-Identifier: MIT
 *
 * search_x86.h - the one step that the AVX2 and the AVX-512 kernel share. Private to them; no
 * state, wait-free, any context.
 */
#ifndef QUIRE_CORE_SEARCH_ARCH_SEARCH_X86_H
#define QUIRE_CORE_SEARCH_ARCH_SEARCH_X86_H

#include "core/search/search_racy.h"

#include <immintrin.h>

/* The smallest of 32 bytes. x86 can take a minimum across a register only of 16-bit lanes, so the
 * smaller byte of each pair is first made such a lane; its upper half becomes 0. */
__attribute__((target("avx2"))) QUIRE_SEARCH_INLINE uint8_t search_min256(__m256i bytes)
{
    __m128i half = _mm_min_epu8(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
    __m128i pairs = _mm_min_epu8(half, _mm_srli_epi16(half, 8));
    return (uint8_t)_mm_cvtsi128_si32(_mm_minpos_epu16(pairs));
}

#endif /* QUIRE_CORE_SEARCH_ARCH_SEARCH_X86_H */
