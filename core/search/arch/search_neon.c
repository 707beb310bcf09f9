/* SPDX-License-Identifier: MIT
 *
 * search_neon.c - the search kernel for aarch64: 16 bytes, or 2 words, at a time.
 *
 * Hosted builds only; otherwise this file is empty, because a kernel's interrupts must not touch
 * vector registers. Called through qi_search_neon. No state; wait-free, any context. What it
 * reads: search_racy.h.
 */
#include "core/search/search_racy.h"

#if QUIRE_SEARCH_NEON

#include <arm_neon.h>

enum { NEON_WIDTH = 16, NEON_WORDS = 2 };

QUIRE_SEARCH_RACY QUIRE_SEARCH_INLINE uint8x16_t load_neon(const void *p)
{
    uint8x16_t vector = vld1q_u8(p);
    QUIRE_SEARCH_PIN("w", vector);
    return vector;
}

/* Four bits per byte, set where `truth` is 0xff: NEON has no instruction for one bit per byte. */
QUIRE_SEARCH_INLINE uint64_t byte_nibbles_neon(uint8x16_t truth)
{
    uint8x8_t narrowed = vshrn_n_u16(vreinterpretq_u16_u8(truth), 4);
    return vget_lane_u64(vreinterpret_u64_u8(narrowed), 0);
}

/* The first byte whose nibble is set. */
QUIRE_SEARCH_INLINE size_t first_nibble_neon(uint64_t hits)
{
    return (size_t)__builtin_ctzll(hits) / 4;
}

QUIRE_SEARCH_RACY static inline size_t skip_neon(const uint64_t *words, size_t i, size_t count,
                                                 uint64_t usual)
{
    const uint8x16_t pattern = vreinterpretq_u8_u64(vdupq_n_u64(usual));

    for (; i + NEON_WORDS <= count; i += NEON_WORDS) {
        uint64_t same = byte_nibbles_neon(vceqq_u8(load_neon(&words[i]), pattern));
        if (same != UINT64_MAX) {
            return i + first_nibble_neon(~same) / 8;
        }
    }
    return i;
}

static size_t next_zero_neon(const uint64_t *words, size_t bits, size_t from)
{
    return search_bit(words, bits, from, ~UINT64_C(0), skip_neon);
}

static size_t next_one_neon(const uint64_t *words, size_t bits, size_t from)
{
    return search_bit(words, bits, from, 0, skip_neon);
}

QUIRE_SEARCH_RACY static size_t next_byte_neon(const uint8_t *bytes, size_t n, size_t from,
                                               uint8_t least)
{
    const uint8x16_t bound = vdupq_n_u8(least);

    for (; from < n && n - from >= NEON_WIDTH; from += NEON_WIDTH) {
        uint64_t hits = byte_nibbles_neon(vcgeq_u8(load_neon(&bytes[from]), bound));
        if (hits != 0) {
            return from + first_nibble_neon(hits);
        }
    }
    return qi_search_word.next_byte(bytes, n, from, least);
}

/* All ones in each byte whose partner does not fit. */
QUIRE_SEARCH_RACY QUIRE_SEARCH_INLINE uint8x16_t misfits_neon(const struct search_fit *fit,
                                                              size_t from)
{
    uint8x16_t part = vandq_u8(load_neon(&fit->fits[from]), vdupq_n_u8(fit->mask));
    return vorrq_u8(vcltq_u8(part, vdupq_n_u8(fit->low)), vcgtq_u8(part, vdupq_n_u8(fit->high)));
}

/* As in search_avx2.c: one comparison of the distance from floor, modulo 256, for both bounds. */
QUIRE_SEARCH_RACY static inline void narrow_neon(const uint8_t *bytes, size_t from, size_t to,
                                                 uint8_t floor, const struct search_fit *fit,
                                                 struct search_least *best)
{
    const uint8x16_t base = vdupq_n_u8(floor);
    uint8_t span = (uint8_t)(best->top - floor);

    for (; to - from >= NEON_WIDTH; from += NEON_WIDTH) {
        uint8x16_t distance = vsubq_u8(load_neon(&bytes[from]), base);
        if (fit != NULL) { /* what does not fit is farthest, as the floor is not 0 */
            distance = vorrq_u8(distance, misfits_neon(fit, from));
        }
        uint8_t least = vminvq_u8(distance);
        if (least > span) {
            continue;
        }
        best->at =
            from + first_nibble_neon(byte_nibbles_neon(vceqq_u8(distance, vdupq_n_u8(least))));
        best->top = (uint8_t)(floor + least - 1);
        if (least == 0) {
            return;
        }
        span = (uint8_t)(least - 1);
    }
    qi_search_narrow_word(bytes, from, to, floor, fit, best);
}

static size_t least_byte_neon(const uint8_t *bytes, size_t n, uint8_t value, size_t index)
{
    return search_least_byte(bytes, n, value, index, NULL, narrow_neon);
}

static size_t least_fit_neon(const uint8_t *bytes, size_t n, uint8_t value, size_t index,
                             const struct search_fit *fit)
{
    return search_least_byte(bytes, n, value, index, fit, narrow_neon);
}

/* Of each lane that is 0 one bit, of another weight than the other lanes'. */
QUIRE_SEARCH_RACY static inline uint32_t zero_quarters_neon(const uint64_t *words)
{
    const uint16x8_t weights = {1, 2, 4, 8, 16, 32, 64, 128};
    uint32_t quarters = 0;

    for (unsigned i = SEARCH_QUARTERS / 4; i > 0; i -= NEON_WORDS) {
        uint16x8_t lanes = vreinterpretq_u16_u8(load_neon(&words[i - NEON_WORDS]));

        quarters = quarters << 8 | vaddvq_u16(vandq_u16(vceqzq_u16(lanes), weights));
    }
    return quarters;
}

/* As above, of each half of 16 bytes. */
QUIRE_SEARCH_RACY static uint64_t bytes_from_neon(const uint8_t *bytes, uint8_t mask, uint8_t least)
{
    const uint8x16_t weights = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint64_t from = 0;

    for (unsigned i = 64; i > 0; i -= NEON_WIDTH) {
        uint8x16_t v = vandq_u8(load_neon(&bytes[i - NEON_WIDTH]), vdupq_n_u8(mask));
        uint8x16_t large = vandq_u8(vcgeq_u8(v, vdupq_n_u8(least)), weights);

        from = from << 8 | vaddv_u8(vget_high_u8(large));
        from = from << 8 | vaddv_u8(vget_low_u8(large));
    }
    return from;
}

QUIRE_SEARCH_RACY static unsigned next_row_neon(const struct search_maps *maps, uint64_t which)
{
    return search_row(maps, which, zero_quarters_neon);
}

const struct search_kernel qi_search_neon = {
    "neon",         next_zero_neon,     next_one_neon,   next_byte_neon, least_byte_neon,
    least_fit_neon, zero_quarters_neon, bytes_from_neon, next_row_neon};

#endif /* QUIRE_SEARCH_NEON */
