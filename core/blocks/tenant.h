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
 * ample, and PLENTY_WHOLE blocks of the word in which it works are whole, does it split these
 * first, takes dense blocks alone of other tenants, and does not look into sections where only they
 * work. Runs that are freed one after the other leave sparse blocks, for an instant.
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
    PLENTY_WHOLE = 16, /* of the 64 blocks of a word */
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

/* Does another slot work where block b is? In a zone where slots do not keep apart, none does. */
static inline bool block_is_others(const struct quire_zone *z, quire_slot slot, uint32_t b)
{
    return slots_keep_apart(z) && word_is_others(z, b / WORD_BITS, tenant_of_slot(slot));
}

/* Do other slots than `own` work in section s, and this one does not? */
static inline bool section_is_others(const struct quire_zone *z, uint32_t s, uint8_t own)
{
    bool others = false;

    for (uint32_t g = s * MAP_WORDS; g < (s + 1) * MAP_WORDS; g++) {
        uint8_t tenant = qa_load(tenant_of(z, g), relaxed); /* relaxed: a hint */

        if (tenant == own)
            return false;
        others = others || tenant != TENANT_NOBODY;
    }
    return others;
}

/* Does the slot work in word g, its last home block's, and has it whole blocks enough there? */
static inline bool tenant_has_plenty(const struct quire_zone *z, quire_slot slot, uint32_t g)
{
    /* relaxed: a hint */
    uint64_t whole = ~qa_load(block_word(z, g), relaxed);

    return !word_is_others(z, g, tenant_of_slot(slot)) && word_count(whole) >= PLENTY_WHOLE;
}

#endif /* QUIRE_CORE_BLOCKS_TENANT_H */
