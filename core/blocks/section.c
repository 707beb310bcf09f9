/* SPDX-License-Identifier: MIT
 *
 * section.c - protocol 4: whole blocks, orders 9 to 20.
 *
 * The map of a section's blocks is the same 512 bits as the map of a block's frames: orders 9 to
 * 15 lie in one word, 16 to 18 are whole words, 19 and 20 the words of neighbouring sections. Bits
 * are claimed in ascending order; a claim that meets a rival undoes what it holds.
 *
 * A run of whole blocks has its order in its first block's descriptor (WHOLE), the others say
 * TAIL. The maps of its blocks stay as they are (I2). To free it, the compare-and-swap of the
 * first descriptor from WHOLE(order) to FREE decides between racing frees; then all the other
 * descriptors become FREE; only then the section's bits are cleared, because from then on the
 * blocks belong to the next claim.
 *
 * Lock-free: a claim is repeated only after another thread changed the word. Any context.
 */
#include "core/frame_byte.h"
#include "core/internal.h"

/* Set the bits of 2^blocks_order blocks from b, aligned. */
static bool claim_block_bits(const struct quire_zone *z, uint32_t b, unsigned blocks_order)
{
    uint32_t first = b / WORD_BITS, n = 1u << (blocks_order > 6 ? blocks_order - WORD_ORDER : 0);
    uint64_t mask, v;
    qa64 *w;

    qi_assert(blocks_order <= QUIRE_MAX_ORDER - BLOCK_ORDER);
    qi_assert(!(b & ((blocks_order < BLOCK_ORDER ? 1u << blocks_order : SECTION_BLOCKS) - 1)));
    if (blocks_order > WORD_ORDER) {
        if (qi_map_words_claim(section_maps_of(z), first, n))
            return true;
        for (uint32_t s = first / MAP_WORDS; s <= (first + n - 1) / MAP_WORDS; s++)
            qi_hint_section_whole(z, s); /* the undo was a free */
        qi_stat_add_at(z, b, QUIRE_COUNT_ROLLBACK, 1);
        return false;
    }
    w = block_word(z, first);
    mask = word_mask(b % WORD_BITS, 1u << blocks_order);
    v = qa_load(w, relaxed); /* relaxed: the exchange decides */
    do {
        if (v & mask)
            return false;
        /* E-blocks acquire: the blocks' maps and descriptors are as the last owner left them.
         * Retries only when another block of the word was taken or freed. */
    } while (!qa_cas(w, &v, v | mask, acquire));
    return true;
}

/* Claim 2^blocks_order blocks from b, aligned. False: one is taken, or a rival was in the way, or
 * one lies in an isolated range: then it is not free any more; or one is gone, and cannot be
 * installed (gone.c). */
bool qi_blocks_claim(const struct quire_zone *z, uint32_t b, unsigned blocks_order)
{
    if (!claim_block_bits(z, b, blocks_order))
        return false;
    if (__builtin_expect(has_gone(z), 0) && !qi_blocks_bring_back(z, b, 1u << blocks_order)) {
        qi_blocks_release(z, b, 1u << blocks_order);
        return false;
    }
    qa_fence_after_rmw(); /* E-isolate fence: the claim before the look at the list */
    return !has_isolations(z) || !qi_blocks_isolate_claimed(z, b, 1u << blocks_order);
}

/* Claim of the blocks `mask` of word g those that are free. Returns them; those that are gone are
 * so still. */
uint64_t qi_blocks_claim_some(const struct quire_zone *z, uint64_t g, uint64_t mask)
{
    uint64_t v = qa_load(block_word(z, g), relaxed); /* relaxed: the exchange decides */

    do {
        mask &= ~v;
        /* E-blocks acquire. Retries only when another block of the word was taken or freed. */
    } while (mask && !qa_cas(block_word(z, g), &v, v | mask, acquire));
    qa_fence_after_rmw(); /* E-isolate fence: as in qi_blocks_claim */
    for (uint64_t left = has_isolations(z) ? mask : 0; left; left &= left - 1)
        if (qi_blocks_isolate_claimed(z, (uint32_t)g * WORD_BITS + word_first(left), 1))
            mask &= ~(1ull << word_first(left));
    return mask;
}

/* Give back n blocks from b, of one word. */
static inline void release_in_word(const struct quire_zone *z, uint32_t b, unsigned n)
{
    uint64_t mask = word_mask(b % WORD_BITS, n);
    /* E-blocks release: the maps and descriptors of the blocks */
    uint64_t old = qa_and(block_word(z, b / WORD_BITS), ~mask, release);

    qi_assert((old & mask) == mask); /* they were the caller's */
    qi_hint_section_whole(z, b / SECTION_BLOCKS);
}

/* Give back n blocks from b, all FREE by their descriptors. */
void qi_blocks_release(const struct quire_zone *z, uint32_t b, uint64_t n)
{
    while (n > 0) {
        unsigned bit = b % WORD_BITS;
        unsigned some = n < WORD_BITS - bit ? (unsigned)n : WORD_BITS - bit;

        release_in_word(z, b, some);
        b += some;
        n -= some;
    }
}

/* A free aligned run of 2^blocks_order blocks in section s, blocks_order up to a whole section;
 * looked for from block `from` on (any block), around; `here`: none of them gone. NO_BLOCK: none
 * was seen. Advisory. */
static inline __attribute__((always_inline)) uint32_t section_find(const struct quire_zone *z,
                                                                   uint32_t s,
                                                                   unsigned blocks_order,
                                                                   uint32_t from, bool here)
{
    unsigned step = blocks_order > WORD_ORDER ? 1u << (blocks_order - WORD_ORDER) : 1;
    unsigned start = from % SECTION_BLOCKS / WORD_BITS / step * step;

    qi_assert(s < z->sections && blocks_order <= BLOCK_ORDER);
    for (unsigned i = 0; i < MAP_WORDS; i += step) {
        unsigned word = (start + i) % MAP_WORDS, bit;
        uint64_t v = 0;

        for (unsigned j = 0; j < step; j++)
            v |= blocks_in_use(z, (uint64_t)s * MAP_WORDS + word + j, here);
        bit = word_find_run(v, blocks_order > WORD_ORDER ? WORD_ORDER : blocks_order);
        if (bit < WORD_BITS)
            return s * SECTION_BLOCKS + word * WORD_BITS + bit;
    }
    return NO_BLOCK;
}

uint32_t qi_section_find(const struct quire_zone *z, uint32_t s, unsigned blocks_order,
                         uint32_t from)
{
    return section_find(z, s, blocks_order, from, false);
}

/* The same of blocks that are here. */
uint32_t qi_section_find_here(const struct quire_zone *z, uint32_t s, unsigned blocks_order,
                              uint32_t from)
{
    return section_find(z, s, blocks_order, from, true);
}

/* Do 2^blocks_order blocks from b make a run, and were they seen free? */
static bool is_free_block_run(const struct quire_zone *z, uint32_t b, unsigned blocks_order)
{
    uint32_t n = 1u << blocks_order;

    if (pfn_of_frame(z, frame_at(b, 0)).n & (((uint64_t)n << BLOCK_ORDER) - 1))
        return false;
    if (n < WORD_BITS)
        /* relaxed: advisory; a claim decides */
        return !(qa_load(block_word(z, b / WORD_BITS), relaxed) & word_mask(b % WORD_BITS, n));
    for (uint32_t i = 0; i < n; i += WORD_BITS) {
        if (i > 0 && (b + i) % SECTION_BLOCKS == 0 && !section_follows(z, (b + i) / SECTION_BLOCKS))
            return false;
        /* relaxed: advisory; a claim decides */
        if (qa_load(block_word(z, (b + i) / WORD_BITS), relaxed) != 0)
            return false;
    }
    return true;
}

/* Claim 2^blocks_order blocks at the first place where it succeeds; every place is tried once.
 * NO_BLOCK: each was seen taken, or a rival was in the way, or it could not be installed. */
uint32_t qi_blocks_claim_any(const struct quire_zone *z, unsigned blocks_order)
{
    uint64_t n = 1u << blocks_order, end = (uint64_t)z->sections * SECTION_BLOCKS;

    for (uint64_t b = 0; b + n <= end; b += n < SECTION_BLOCKS ? n : SECTION_BLOCKS)
        if (is_free_block_run(z, (uint32_t)b, blocks_order) &&
            qi_blocks_claim(z, (uint32_t)b, blocks_order))
            return (uint32_t)b;
    return NO_BLOCK;
}

/* Write the byte of the first frame of n blocks that the caller holds: do all of them read as
 * zeros?
 */
static __attribute__((__noinline__)) void write_first_byte(const struct quire_zone *z, uint32_t b,
                                                           uint32_t n)
{
    uint32_t zero = 0;

    while (zero < n && block_reads_zero(z, b + zero))
        zero++;
    bytes_fill(z, frame_at(b, 0), 1, zero == n ? BYTE_ZERO : BYTE_NONE);
}

/* Make the claimed blocks from b a run of `order`, 9 or more. The byte of its first frame says
 * whether all of it reads as zeros. */
void qi_block_run_publish(const struct quire_zone *z, uint32_t b, unsigned order)
{
    uint32_t n = 1u << (order - BLOCK_ORDER);

    qi_assert(order >= BLOCK_ORDER && order <= QUIRE_MAX_ORDER);
    if (__builtin_expect(has_zeros(z), 0))
        write_first_byte(z, b, n);
    for (uint32_t i = 1; i < n; i++) {
        /* relaxed: the caller's */
        qi_assert_held(desc_may_become(qa_load(desc_of(z, b + i), relaxed), D_TAIL));
        /* relaxed: the owner's; E-blocks carries it on */
        qa_store(desc_of(z, b + i), D_TAIL, relaxed);
    }
    /* relaxed: the caller's */
    qi_assert_held(desc_may_become(qa_load(desc_of(z, b), relaxed), desc_whole(order)));
    qa_store(desc_of(z, b), desc_whole(order), release); /* E-run-head release */
}

/* Free a run of `order`, 9 or more, that starts at block b; `zero`: all of it reads as zeros. */
int qi_block_run_put(const struct quire_zone *z, uint32_t b, unsigned order, bool zero)
{
    uint32_t d = desc_whole(order), n = 1u << (order - BLOCK_ORDER), next = desc_free(z, zero);

    /* E-run-head acquire: the run's descriptors are all written. Decides between racing frees. */
    if (!qa_cas(desc_of(z, b), &d, next, acquire))
        return desc_state(d) == D_WHOLE ? QUIRE_ERR_ORDER : qi_desc_free_error(d);
    for (uint32_t i = 1; i < n; i++) {
        /* relaxed: the run is the caller's now */
        qi_assert(desc_state(qa_load(desc_of(z, b + i), relaxed)) == D_TAIL);
        qa_store(desc_of(z, b + i), next, relaxed); /* relaxed: E-blocks publishes it */
    }
    if (n <= WORD_BITS)
        release_in_word(z, b, n);
    else
        qi_blocks_release(z, b, n);
    return QUIRE_OK;
}
