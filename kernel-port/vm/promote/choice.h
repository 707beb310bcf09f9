/* SPDX-License-Identifier: MIT
 *
 * choice.h - which pages of a part become rows. Private to kernel-port/vm.
 */
#ifndef QUIRE_VM_CHOICE_H
#define QUIRE_VM_CHOICE_H

#include "page_set.h"

enum { ROW_ORDER_LEAST = 4, ROW_ORDER_MOST = 8 };

/* 2^order pages of a part, from this one on, a multiple of their number. */
struct row {
    unsigned order, first;
};

static inline unsigned row_pages(struct row row)
{
    return 1u << row.order;
}

/* What was seen of a part, and what is wanted of it. */
struct choice {
    unsigned pages;             /* that it has, a power of two */
    unsigned least;             /* the order of a row, 1 or more */
    uint32_t present, accessed; /* so many of all pages: of a row in proportion, rounded up */
    struct page_set fit;        /* pages that may be in a row */
    struct page_set used;       /* pages with a frame that counts */
    struct page_set marked;     /* pages with the mark of an access */
    struct page_set changes;    /* pages that differ from the one before in access or note */
};

/* How many pages of the row, at least, are to have a frame that counts? */
unsigned qi_choice_present(const struct choice *choice, struct row row);

/* The first row, from *row on, that is worth it; the longest ones come first. False: there is none.
 */
bool qi_choice_next(const struct choice *choice, struct row *row);

/* Go on behind this row, with rows of the same length. */
static inline void row_pass(struct row *row)
{
    row->first += row_pages(*row);
}

/* Go on from the first page, with rows of half the length. */
static inline void row_shorten(struct row *row)
{
    *row = (struct row){row->order - 1, 0};
}

#endif /* QUIRE_VM_CHOICE_H */
