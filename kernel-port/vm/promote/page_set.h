/* SPDX-License-Identifier: MIT
 *
 * page_set.h - which pages of a part: a bit for each. Private to kernel-port/vm.
 */
#ifndef QUIRE_VM_PAGE_SET_H
#define QUIRE_VM_PAGE_SET_H

#include "core/word.h"

enum { PART_PAGES_MOST = 1024 }; /* i386; 512 elsewhere */

struct page_set {
    uint64_t bits[PART_PAGES_MOST / WORD_BITS];
};

static inline bool page_set_has(const struct page_set *set, unsigned page)
{
    return set->bits[page / WORD_BITS] >> page % WORD_BITS & 1;
}

static inline void page_set_add(struct page_set *set, unsigned page)
{
    set->bits[page / WORD_BITS] |= (uint64_t)1 << page % WORD_BITS;
}

static inline void page_set_remove(struct page_set *set, unsigned page)
{
    set->bits[page / WORD_BITS] &= ~((uint64_t)1 << page % WORD_BITS);
}

#endif /* QUIRE_VM_PAGE_SET_H */
