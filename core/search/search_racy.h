/* SPDX-License-Identifier: MIT
 *
 * search_racy.h - what the search kernels share: which of them are built, how they read memory that
 * changes under them, and the loops that are the same in every instruction set.
 *
 * Private to core/search/. No state; every function is wait-free and may run in any context.
 *
 * Reading racing memory. Single words and bytes are read by relaxed atomic loads. C has no atomic
 * vector load, so the vector kernels read with the plain instruction, and two things keep that
 * sound: QUIRE_SEARCH_RACY tells ThreadSanitizer that the race is meant, and QUIRE_SEARCH_PIN
 * hides from the compiler where the value came from, so that it cannot fetch it a second time and
 * compare one value but act on another. A vector may mix old and new words; each byte in it was in
 * memory at some moment during the call, and nothing here needs more. AddressSanitizer needs no
 * exception: nothing outside the array is ever read.
 */
#ifndef QUIRE_CORE_SEARCH_SEARCH_RACY_H
#define QUIRE_CORE_SEARCH_SEARCH_RACY_H

#include "core/atomic.h"
#include "core/search/search.h"
#include "core/word.h"

/* A freestanding build must not touch vector registers: they belong to the interrupted program. */
#if defined(QUIRE_HOSTED) && QUIRE_HOSTED
#define QUIRE_SEARCH_VECTORS 1
#else
#define QUIRE_SEARCH_VECTORS 0
#endif

#if QUIRE_SEARCH_VECTORS && defined(__x86_64__)
#define QUIRE_SEARCH_X86 1
extern const struct search_kernel qi_search_avx2;
extern const struct search_kernel qi_search_avx512;
#else
#define QUIRE_SEARCH_X86 0
#endif

#if QUIRE_SEARCH_VECTORS && defined(__aarch64__) && defined(__ARM_NEON) && !defined(__AARCH64EB__)
#define QUIRE_SEARCH_NEON 1
extern const struct search_kernel qi_search_neon;
#else
#define QUIRE_SEARCH_NEON 0
#endif

#define QUIRE_SEARCH_RACY __attribute__((no_sanitize("thread")))

/* `reg` is the constraint letter of the register class that `vector` lives in. */
#define QUIRE_SEARCH_PIN(reg, vector) __asm__("" : "+" reg(vector))

/* The loops below are written once and specialised for the function that a kernel hands in. */
#define QUIRE_SEARCH_INLINE static inline __attribute__((always_inline))

/* What qa_load reads; may_alias, because the arrays are declared as plain words and bytes, and
 * bytes are read eight at a time as well. */
struct racy_word {
    uint64_t v;
} __attribute__((may_alias));
struct quire_racy_half {
    uint32_t v;
} __attribute__((may_alias));
struct racy_byte {
    uint8_t v;
} __attribute__((may_alias));

/* Eight bytes at an address that is a multiple of 8. A 32-bit machine has no plain load of so many:
 * its two halves may be of different moments, as the parts of a vector. */
QUIRE_SEARCH_INLINE uint64_t racy_load(const void *p)
{
#if __SIZEOF_POINTER__ == 4 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    const struct quire_racy_half *half = (const struct quire_racy_half *)p;
    uint64_t low = qa_load(&half[0], relaxed); /* relaxed: what is found is only a candidate */

    /* relaxed: as above */
    return (uint64_t)qa_load(&half[1], relaxed) << 32 | low;
#else
    /* relaxed: what is found is only a candidate */
    return qa_load((const struct racy_word *)p, relaxed);
#endif
}

/* One byte. relaxed: as above. */
QUIRE_SEARCH_INLINE uint8_t racy_load_byte(const void *p)
{
    return qa_load((const struct racy_byte *)p, relaxed);
}

/* ---- Bits ---------------------------------------------------------------------------------- */

/* Some j, i <= j <= count, such that no word of words[i .. j-1] was seen to differ from `usual`. */
typedef size_t search_skip(const uint64_t *words, size_t i, size_t count, uint64_t usual);

/* The first bit at or after `from` that differs from its place in `usual`; `bits` if none. What
 * `skip` stops at is looked at again by an atomic load of its own: a word that has changed back in
 * between is passed over, and `i` grows in every turn. */
QUIRE_SEARCH_INLINE size_t search_bit(const uint64_t *words, size_t bits, size_t from,
                                      uint64_t usual, search_skip *skip)
{
    if (from >= bits) {
        return bits;
    }
    size_t count = bits / 64;
    size_t i = from / 64;
    uint64_t unusual = (racy_load(&words[i]) ^ usual) & (~UINT64_C(0) << from % 64);

    while (unusual == 0) {
        i = skip(words, i + 1, count, usual);
        if (i >= count) {
            return bits;
        }
        unusual = racy_load(&words[i]) ^ usual;
    }
    return i * 64 + word_first(unusual);
}

/* ---- The least byte ------------------------------------------------------------------------ */

/* The best byte so far, as what is left to ask for: only bytes <= top would be better. */
struct search_least {
    size_t at;   /* n while there is none */
    uint8_t top; /* meaningless once the smallest byte allowed was found: then nobody asks */
};

/* Look through bytes[from .. to-1] for the first smallest one in floor .. best->top, and if `fit`
 * is not NULL, whose partner fits; note its place and make top one less than it. With `fit` the
 * floor is not 0. */
typedef void search_narrow(const uint8_t *bytes, size_t from, size_t to, uint8_t floor,
                           const struct search_fit *fit, struct search_least *best);

/* Up to and including `index` a byte must exceed `value`, behind it may also equal it. Going
 * through the two parts in this order gives equal bytes to the lower place by itself. */
QUIRE_SEARCH_INLINE size_t search_least_byte(const uint8_t *bytes, size_t n, uint8_t value,
                                             size_t index, const struct search_fit *fit,
                                             search_narrow *narrow)
{
    struct search_least best = {.at = n, .top = UINT8_MAX};
    size_t border = index < n ? index + 1 : n;

    if (value < UINT8_MAX) {
        narrow(bytes, 0, border, (uint8_t)(value + 1), fit, &best);
    }
    narrow(bytes, border, n, value, fit, &best);
    return best.at;
}

/* ---- Rows of quarters ----------------------------------------------------------------------- */

typedef uint32_t search_quarters(const uint64_t *words);

/* What `next_row` does. Up to four in a row are looked for by two steps; most maps have none. */
QUIRE_SEARCH_INLINE unsigned search_row_by(const struct search_maps *maps, uint64_t which,
                                           unsigned step, unsigned second,
                                           search_quarters *quarters)
{
    /* Of the map before the first one nothing is known, but that no row ends there. */
    uint64_t before = (UINT64_C(1) << 32) - (UINT64_C(1) << (33 - maps->wanted));
    size_t next = 0; /* behind the last one that was looked at */

    for (; which; which &= which - 1) {
        size_t i = word_first(which);
        uintptr_t map = maps->first + i * maps->stride;
        uint64_t here = quarters((const uint64_t *)map);
        uint64_t two = here << 32 | (i == next ? before : maps->tail), rows = two & two >> step;

        rows &= rows >> second;
        if (rows && (maps->wanted <= 4 || word_rows(two, maps->wanted)))
            return (unsigned)i;
        before = here;
        next = i + 1;
    }
    return 64;
}

QUIRE_SEARCH_INLINE unsigned search_row(const struct search_maps *maps, uint64_t which,
                                        search_quarters *quarters)
{
    return maps->wanted >= 4
               ? search_row_by(maps, which, 1, 2, quarters)
               : search_row_by(maps, which, maps->wanted / 2, maps->wanted / 3, quarters);
}

/* The word kernel's; the vector kernels leave it the last few bytes. */
search_narrow qi_search_narrow_word;

#endif /* QUIRE_CORE_SEARCH_SEARCH_RACY_H */
