/* SPDX-License-Identifier: MIT
 *
 * share.c - how many spaces map a frame, where more than one does.
 *
 * A count says how many there are besides the first, so a frame without a table of counts has one
 * owner. A table has the counts of 1024 frames; tables of words lead to it. The word for a table of
 * counts holds its frame, and the number of its *users*: each frame whose count is not 0, and each
 * call that is in it. 0: there is no table.
 *
 * Danger: a table must not go while somebody looks at a count in it, nor while a count is not 0. So
 * a call adds itself to the users before it looks, in the exchange that shows it the table; a count
 * that leaves 0 keeps its call's place among the users, and one that comes to 0 gives it up; and
 * the exchange that takes the last user away empties the word. Nobody waits.
 *
 * Who asks, adds or drops holds the page, or has taken it out: so the frame does not go before it
 * is dropped, and a count that is seen to be 0 stays so meanwhile (S2).
 */
#include "spaces.h"

enum {
    COUNTS_SHIFT = 10, /* of a frame's number: its place in a table of counts, */
    TABLE_SHIFT = 9,   /* and in each table of words above */
    WORD_LEVELS = 4,
    COUNTS_IN_TABLE = 1 << COUNTS_SHIFT,
    WORDS_IN_TABLE = 1 << TABLE_SHIFT,
    USERS_SHIFT = 24, /* of a word: so many calls at once, and 1024 frames */
};
#define USERS_MASK (((uint64_t)1 << USERS_SHIFT) - 1)

/* The word for a table of counts, and both tables, which are open. */
struct counts_word {
    void *table, *counts;
    qa64 *word;
};

static uint64_t word_of(quire_pfn pfn, uint64_t users)
{
    return pfn.n << USERS_SHIFT | users;
}

static quire_pfn word_pfn(uint64_t word)
{
    return quire_pfn_of(word >> USERS_SHIFT);
}

static void free_table(struct quire_shares *shares, quire_pfn pfn)
{
    shares->tables.free(shares->tables.ctx, pfn);
}

/* An empty table: of words, or of counts. */
static int fresh_table(struct quire_shares *shares, bool counts, quire_pfn *pfn)
{
    const struct quire_table_source *tables = &shares->tables;
    int error = tables->alloc(tables->ctx, (uint64_t)1 << (64 - USERS_SHIFT), pfn);
    void *table;

    if (error)
        return error;
    if (pfn->n >> (64 - USERS_SHIFT)) {
        free_table(shares, *pfn);
        return QUIRE_ERR_FRAME;
    }
    table = reach_open(&shares->reach, *pfn);
    for (unsigned i = 0; i < COUNTS_IN_TABLE && counts; i++)
        qa_store((qa32 *)table + i, 0, relaxed); /* relaxed: the caller's */
    for (unsigned i = 0; i < WORDS_IN_TABLE && !counts; i++)
        qa_store((qa64 *)table + i, 0, relaxed); /* relaxed: the caller's */
    reach_close(&shares->reach, table);
    return 0;
}

/* Put a fresh table into an empty word. False: another call was faster. *seen is what is there. */
static bool fill_word(struct quire_shares *shares, qa64 *word, bool counts, uint64_t *seen,
                      int *error)
{
    quire_pfn fresh;
    uint64_t wanted;

    *error = fresh_table(shares, counts, &fresh);
    if (*error)
        return false;
    wanted = word_of(fresh, 1);
    *seen = 0;
    /* E-share release: the table is empty; E-share acquire: another call's table */
    if (qa_cas(word, seen, wanted, acq_rel)) {
        *seen = wanted;
        return true;
    }
    free_table(shares, fresh);
    return false;
}

/* Find the word; ->word is NULL, and nothing open, if nothing leads there. */
static int find_counts_word(struct quire_shares *shares, quire_pfn pfn, bool make,
                            struct counts_word *place)
{
    quire_pfn at = shares->root;

    for (unsigned level = WORD_LEVELS - 1u;; level--) {
        uint64_t seen;
        int error = 0;

        place->table = reach_open(&shares->reach, at);
        place->word = (qa64 *)place->table +
                      (pfn.n >> (COUNTS_SHIFT + TABLE_SHIFT * level) & (WORDS_IN_TABLE - 1u));
        if (level == 0)
            return 0;
        seen = qa_load(place->word, acquire); /* E-share acquire: the table below is empty */
        if (seen == 0 && make)
            (void)fill_word(shares, place->word, false, &seen, &error);
        reach_close(&shares->reach, place->table);
        place->word = NULL;
        if (error || seen == 0)
            return error;
        at = word_pfn(seen);
    }
}

/* Be a user of the table. False: there is none, or (*error) none could be had. */
static bool become_user(struct quire_shares *shares, qa64 *word, bool make, uint64_t *seen,
                        int *error)
{
    for (;;) {
        *seen = qa_load(word, acquire); /* E-share acquire: 0 comes after the last user */
        if (*seen == 0) {
            if (!make)
                return false;
            if (fill_word(shares, word, true, seen, error))
                return true;
            if (*error)
                return false;
            continue;
        }
        /* What a failed exchange saw came without an acquire: look again.
         * E-share acquire: the table is there; E-share release: nothing but itself */
        if (qa_cas(word, seen, *seen + 1, acq_rel))
            return true;
    }
}

/* Be a user of the frame's table of counts, and open it: *count is the frame's, or NULL if there is
 * no table, and nothing open. */
static int enter_counts(struct quire_shares *shares, quire_pfn pfn, bool make,
                        struct counts_word *place, qa32 **count)
{
    uint64_t seen = 0;
    int error = find_counts_word(shares, pfn, make, place);

    *count = NULL;
    if (error || !place->word)
        return error;
    if (!become_user(shares, place->word, make, &seen, &error)) {
        reach_close(&shares->reach, place->table);
        return error;
    }
    place->counts = reach_open(&shares->reach, word_pfn(seen));
    *count = (qa32 *)place->counts + (pfn.n & (COUNTS_IN_TABLE - 1));
    return 0;
}

/* So many users less. The last one gives the table back. */
static void leave_counts(struct quire_shares *shares, struct counts_word *place, uint64_t users)
{
    uint64_t seen = qa_load(place->word, relaxed), next; /* relaxed: the exchange decides */

    reach_close(&shares->reach, place->counts);
    do
        next = (seen & USERS_MASK) == users ? 0 : seen - users;
    /* E-share release: what we did with the frame, and in the table; E-share acquire: what the
     * others did there, before it is given back */
    while (users > 0 && !qa_cas(place->word, &seen, next, acq_rel));
    if (users > 0 && next == 0)
        free_table(shares, word_pfn(seen));
    reach_close(&shares->reach, place->table);
}

int qi_share_add(struct quire_shares *shares, quire_pfn pfn)
{
    struct counts_word place;
    qa32 *count;
    int error = enter_counts(shares, pfn, true, &place, &count);
    uint32_t seen;

    if (error)
        return error;
    seen = qa_load(count, relaxed); /* relaxed: the exchange decides */
    do
        if (seen >= shares->most) {
            leave_counts(shares, &place, 1);
            return QUIRE_ERR_LIMIT;
        }
    while (!qa_cas(count, &seen, seen + 1, relaxed)); /* relaxed: the page's entry carries it */
    leave_counts(shares, &place, seen == 0 ? 0 : 1);
    return 0;
}

/* What a failed exchange saw came without an acquire: it is looked at again. */
static bool drop_one(qa32 *count, uint32_t seen)
{
    /* E-share release: what we did with the frame; E-share acquire: what the others did */
    return qa_cas(count, &seen, seen - 1, acq_rel);
}

bool qi_share_drop(struct quire_shares *shares, quire_pfn pfn)
{
    struct counts_word place;
    qa32 *count = NULL;
    uint32_t seen;

    if (shares)
        (void)enter_counts(shares, pfn, false, &place, &count);
    if (!count)
        return true;
    do
        seen = qa_load(count, acquire); /* E-share acquire: what the last but one did with it */
    while (seen > 0 && !drop_one(count, seen));
    leave_counts(shares, &place, seen == 1 ? 2 : 1);
    return seen == 0;
}

bool qi_share_any(struct quire_shares *shares, quire_pfn pfn)
{
    struct counts_word place;
    qa32 *count = NULL;
    bool any;

    if (shares)
        (void)enter_counts(shares, pfn, false, &place, &count);
    if (!count)
        return false;
    any = qa_load(count, acquire) > 0; /* E-share acquire: what the last but one did with it */
    leave_counts(shares, &place, 1);
    return any;
}

/* ---- Beginning and end ---------------------------------------------------------------------- */

int quire_shares_init(struct quire_shares *shares, const struct quire_table_source *tables,
                      const struct quire_reach *reach, uint32_t most)
{
    struct quire_shares fresh = {*tables, *reach, {0}, most ? most : UINT32_MAX, {0}};
    int error = tables->free ? fresh_table(&fresh, false, &fresh.root) : QUIRE_ERR_UNSUPPORTED;

    if (error == 0)
        *shares = fresh;
    return error;
}

/* Each after those below it, by one loop with a place for each level, as quire_paging_destroy. */
void quire_shares_destroy(struct quire_shares *shares)
{
    unsigned level = WORD_LEVELS - 1u, next[WORD_LEVELS] = {0};
    quire_pfn at[WORD_LEVELS];

    at[level] = shares->root;
    while (level < WORD_LEVELS) {
        qa64 *words = (qa64 *)reach_open(&shares->reach, at[level]);
        uint64_t seen = 0;

        while (level > 0 && seen == 0 && next[level] < WORDS_IN_TABLE)
            seen = qa_load(&words[next[level]++], acquire); /* E-share acquire: a table's words */
        reach_close(&shares->reach, words);
        if (seen) {
            level--;
            next[level] = 0;
            at[level] = word_pfn(seen);
        } else {
            free_table(shares, at[level++]);
        }
    }
}
