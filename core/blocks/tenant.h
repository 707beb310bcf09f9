/* SPDX-License-Identifier: MIT
 *
 * tenant.h - which slot works where, so that slots keep apart.
 *
 * The tenant of a word of 64 blocks is the slot that split a whole block there last. A slot that
 * looks for a home block takes one of its own words if they show one: of another's the lines, of
 * maps, descriptors and hints, are changing just now in another CPU's cache, and two slots that
 * take each other's blocks mix their frames, after which each free is a line that moves.
 *
 * The danger is memory that does not heal: holes among other slots' blocks stay, and whole ones are
 * split instead. So a slot takes what others have left before it splits. Only where memory is
 * ample, and what it would split is not where others work, does it take nothing but its own, and
 * reads no hints of others' words. Runs that are freed one after the other leave dense blocks, then
 * sparse ones, for an instant.
 *
 * State: a byte for each word, TENANT_NOBODY at first. A hint: any number may read and write at
 * once, and what is old costs a block that is passed by, or a line. Slots whose numbers are the
 * same modulo 255 are one here. Wait-free, any context.
 */
#ifndef QUIRE_CORE_BLOCKS_TENANT_H
#define QUIRE_CORE_BLOCKS_TENANT_H

#include "core/internal.h"

enum {
    WORDS_A_SLOT = 4,  /* words of blocks that a zone has for each slot, if they keep apart */
    AMPLE_EIGHTHS = 5, /* with so many free, slots keep apart before holes are filled */
    TENANT_NOBODY = 0, /* as metadata begins */
};

static inline uint8_t tenant_of_slot(quire_slot slot)
{
    return (uint8_t)(1 + slot.n % UINT8_MAX);
}

static inline bool slots_have_words(const struct quire_zone *z)
{
    return z->slots <= (uint64_t)z->sections * MAP_WORDS / WORDS_A_SLOT;
}

static inline bool slots_keep_apart(const struct quire_zone *z)
{
    return z->slots > 1 && slots_have_words(z);
}

/* Is memory so ample that slots that keep apart do it before holes are filled? */
static inline bool memory_is_ample(const struct quire_zone *z)
{
    return !is_fuller(z, AMPLE_EIGHTHS);
}

/* The slot split a whole block of word g. */
static inline void tenant_note(const struct quire_zone *z, quire_slot slot, uint32_t g)
{
    /* relaxed: a hint, mostly the same */
    if (slots_keep_apart(z) && qa_load(tenant_of(z, g), relaxed) != tenant_of_slot(slot))
        qa_store(tenant_of(z, g), tenant_of_slot(slot), relaxed); /* relaxed: a hint */
}

/* Does another slot than `own` work in word g? */
static inline bool word_is_others(const struct quire_zone *z, uint32_t g, uint8_t own)
{
    uint8_t tenant = qa_load(tenant_of(z, g), relaxed); /* relaxed: a hint */

    return tenant != TENANT_NOBODY && tenant != own;
}

/* Does slot `own` work in word g? */
static inline bool word_is_own(const struct quire_zone *z, uint32_t g, uint8_t own)
{
    return qa_load(tenant_of(z, g), relaxed) == own; /* relaxed: a hint */
}

/* Does another slot work where block b is? In a zone where slots do not keep apart, none does. */
static inline bool block_is_others(const struct quire_zone *z, quire_slot slot, uint32_t b)
{
    return slots_keep_apart(z) && word_is_others(z, b / WORD_BITS, tenant_of_slot(slot));
}

/* Is whole block b in a word where slot `own` or nobody works, or which is all free? */
static inline bool block_is_apart(const struct quire_zone *z, uint32_t b, uint8_t own)
{
    return !word_is_others(z, b / WORD_BITS, own) || !blocks_in_use(z, b / WORD_BITS, false);
}

#endif /* QUIRE_CORE_BLOCKS_TENANT_H */
