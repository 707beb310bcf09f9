/* SPDX-License-Identifier: MIT
 *
 * tenant.h - which slot works where, so that slots keep apart.
 *
 * The tenant of a word of 64 blocks is the slot that split a whole block there last. A slot that
 * looks for a home block passes by sparse ones that have another tenant, and sections where only
 * others work: the lines of those blocks, their maps, descriptors and hints, are changing just now
 * in another CPU's cache. A block that is half freed there would be the fullest of all, and two
 * slots that take each other's blocks mix their frames, after which each free is a line that moves.
 *
 * The danger is memory that does not heal: the holes among other slots' blocks stay, and whole
 * blocks are split instead. So a slot keeps apart only where whole blocks are plenty: in a zone
 * with sections for all slots, of which enough is free, and while PLENTY_WHOLE blocks of the word
 * in which it works are whole. With fewer it looks everywhere. And where two slots have split
 * blocks in one section each fills the other's dense blocks up; to fill sparse ones heals nothing.
 *
 * State: a byte for each word, TENANT_NOBODY at first. A hint: any number may read and write at
 * once, and what is old costs a block that is passed by, or a line. Slots whose numbers are the
 * same modulo 255 are one here. Wait-free, any context.
 */
#ifndef QUIRE_CORE_BLOCKS_TENANT_H
#define QUIRE_CORE_BLOCKS_TENANT_H

#include "core/internal.h"

enum {
    SECTIONS_A_SLOT = 2, /* sections that a zone has for each slot, if slots keep apart */
    PLENTY_WHOLE = 16,   /* of the 64 blocks of a word */
    TENANT_NOBODY = 0, /* as metadata begins */
};

static inline uint8_t tenant_of_slot(quire_slot slot)
{
    return (uint8_t)(1 + slot.n % UINT8_MAX);
}

/* Has the zone room for slots to keep apart? */
static inline bool slots_are_apart(const struct quire_zone *z)
{
    return z->slots > 1 && z->sections >= (uint64_t)SECTIONS_A_SLOT * z->slots;
}

/* The slot split a whole block of word g. */
static inline void tenant_note(const struct quire_zone *z, quire_slot slot, uint32_t g)
{
    /* relaxed: a hint, mostly the same */
    if (slots_are_apart(z) && qa_load(tenant_of(z, g), relaxed) != tenant_of_slot(slot))
        qa_store(tenant_of(z, g), tenant_of_slot(slot), relaxed); /* relaxed: a hint */
}

/* Does another slot than `own` work in word g? */
static inline bool word_is_others(const struct quire_zone *z, uint32_t g, uint8_t own)
{
    uint8_t tenant = qa_load(tenant_of(z, g), relaxed); /* relaxed: a hint */

    return tenant != TENANT_NOBODY && tenant != own;
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

/* A slot whose last home block was in word g looks for one: as whom, if it keeps apart, or
 * TENANT_NOBODY. */
static inline uint8_t tenant_that_looks(const struct quire_zone *z, quire_slot slot, uint32_t g)
{
    /* relaxed: a hint */
    uint64_t whole = ~qa_load(block_word(z, g), relaxed);

    if (!slots_are_apart(z) || word_is_others(z, g, tenant_of_slot(slot)) ||
        word_count(whole) < PLENTY_WHOLE)
        return TENANT_NOBODY;
    return tenant_of_slot(slot);
}

#endif /* QUIRE_CORE_BLOCKS_TENANT_H */
