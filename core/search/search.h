/* SPDX-License-Identifier: MIT
 *
 * search.h - read-only searches over bitmaps and hint bytes, in several instruction sets.
 *
 * The words and bytes searched are metadata that other CPUs change meanwhile. A search therefore
 * gives a *candidate*, never a decision: its caller claims what it found with a
 * compare-and-swap. That nothing is there is decided by hole bytes alone (H4 of layout.h), which
 * the caller's fence stands before: each byte of a vector was in memory at some moment of the call.
 * Each word is read once at most per comparison, in whatever width the kernel likes; what a reader
 * sees may be stale by any amount. Sanitizers are told so in one place, QUIRE_SEARCH_RACY.
 *
 * All kernels give identical results on memory that nobody changes. No state but the choice of the
 * kernel, made once (qi_search_best) and never changed afterwards; wait-free, any context.
 */
#ifndef QUIRE_CORE_SEARCH_SEARCH_H
#define QUIRE_CORE_SEARCH_SEARCH_H

#include <stddef.h>
#include <stdint.h>

/* Of one array of bytes those whose partner in another one fits: low <= (fits[i] & mask) <= high.
 */
struct search_fit {
    const uint8_t *fits; /* as many as there are bytes */
    uint8_t mask, low, high;
};

/* A quarter of a word: so many bits; a map of 512 has so many of them. */
enum { SEARCH_QUARTER = 16, SEARCH_QUARTERS = 32 };

/* Maps of 8 words each, `stride` bytes apart. */
struct search_maps {
    uintptr_t first; /* where map 0 is, or would be if it is none of `which`: a multiple of 64 */
    size_t stride;
    unsigned wanted; /* quarters in a row, 1 .. SEARCH_QUARTERS */
    uint32_t tail;   /* the zero quarters that a map which is not in `which` may have at its end */
};

struct search_kernel {
    const char *name; /* "word", "avx2", "avx512", "neon" */
    /* The first bit at or after `from`, below `bits`, that is 0 (that is 1); `bits` if none. Bit i
     * is bit i % 64 of words[i / 64]; `bits` is a multiple of 64. */
    size_t (*next_zero)(const uint64_t *words, size_t bits, size_t from);
    size_t (*next_one)(const uint64_t *words, size_t bits, size_t from);
    /* The first i at or after `from`, below n, with bytes[i] >= least; n if none. */
    size_t (*next_byte)(const uint8_t *bytes, size_t n, size_t from, uint8_t least);
    /* Of all pairs (bytes[i], i), i < n, that come after (value, index) in dictionary order, the
     * smallest one's i; n if none. So (value - 1, n) asks for the first smallest byte >= value, and
     * repeating the call with the pair just found goes through all bytes from the smallest up. */
    size_t (*least_byte)(const uint8_t *bytes, size_t n, uint8_t value, size_t index);
    /* The same among the bytes whose partner fits, without those that are 0: value >= 1, or index
     * n. */
    size_t (*least_fit)(const uint8_t *bytes, size_t n, uint8_t value, size_t index,
                        const struct search_fit *fit);
    /* Of 8 words, at a multiple of 64 bytes, the quarters that are all 0: a bit for each. */
    uint32_t (*zero_quarters)(const uint64_t *words);
    /* Of 64 bytes, at a multiple of 64, those with (byte & mask) >= least: a bit for each. mask and
     * least are below 128. */
    uint64_t (*bytes_from)(const uint8_t *bytes, uint8_t mask, uint8_t least);
    /* Of up to 64 maps of 8 words the first one, of those in `which`, in which a row of zero
     * quarters is long enough, or would be with what is zero at the end of the map before; 64 if
     * none is. All quarters before map 0 count as zero. */
    unsigned (*next_row)(const struct search_maps *maps, uint64_t which);
};

/* Portable, 64-bit words; the only kernel of freestanding builds. */
extern const struct search_kernel qi_search_word;

/* The fastest kernel that this machine runs. */
const struct search_kernel *qi_search_best(void);

/* The index-th kernel that this machine runs, from the slowest; NULL past the last. For tests and
 * benchmarks. */
const struct search_kernel *qi_search_kernel(size_t index);

#endif /* QUIRE_CORE_SEARCH_SEARCH_H */
