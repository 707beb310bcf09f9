/* SPDX-License-Identifier: MIT
 *
 * choice.c - which pages of a part become rows: from what is present, by bits alone.
 *
 * A row has pages that fit and nothing else, all of one access and note; of those that count, and
 * of those with the mark of an access, it has in proportion at least what is wanted of the part.
 * The longest row that is so comes first, and of two the lower one. Who has made a row takes its
 * pages out of those that fit, so none of them is in a shorter one, too. Pure functions.
 */
#include "choice.h"

static unsigned count_in(const struct page_set *set, struct row row)
{
    unsigned pages = row_pages(row), count = 0;

    if (pages < WORD_BITS)
        return word_count(set->bits[row.first / WORD_BITS] & word_mask(row.first, pages));
    for (unsigned i = 0; i < pages; i += WORD_BITS)
        count += word_count(set->bits[(row.first + i) / WORD_BITS]);
    return count;
}

/* Of so many that are wanted of all pages, rounded up. */
static unsigned proportion_of(const struct choice *choice, uint32_t wanted, struct row row)
{
    return (wanted * row_pages(row) + choice->pages - 1) / choice->pages;
}

unsigned qi_choice_present(const struct choice *choice, struct row row)
{
    return proportion_of(choice, choice->present, row);
}

static bool is_worth_row(const struct choice *choice, struct row row)
{
    unsigned changes = page_set_has(&choice->changes, row.first);

    return count_in(&choice->fit, row) == row_pages(row) &&
           count_in(&choice->changes, row) == changes &&
           count_in(&choice->used, row) >= qi_choice_present(choice, row) &&
           count_in(&choice->marked, row) >= proportion_of(choice, choice->accessed, row);
}

bool qi_choice_next(const struct choice *choice, struct row *row)
{
    for (; row->order >= choice->least; row_shorten(row))
        for (; row->first < choice->pages; row_pass(row))
            if (is_worth_row(choice, *row))
                return true;
    return false;
}
