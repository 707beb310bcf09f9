/* SPDX-License-Identifier: MIT
 *
 * share.c - how many spaces map a frame, where more than one does.
 *
 * A count says how many there are besides the first, so a frame without a table of counts has one
 * owner. A table has the counts of 1024 frames; tables of words lead to it. The word for a table of
 * counts holds its frame, and the number of its *users*: each frame whose count is not 0, and each
 * call that is in it; a fork for each frame that it may count there. 0: there is no table.
 *
 * Danger: a table must not go while somebody looks at a count in it, nor while a count is not 0. So
 * a call adds itself to the users before it looks, in the exchange that shows it the table; a count
 * that leaves 0 keeps its call's place among the users, and one that comes to 0 gives it up; and
 * the exchange that takes the last user away empties the word. Nobody waits.
 *
 * Who asks, adds or drops holds the page, or has taken it out: so the frame does not go before it
 * is dropped, and a count that is seen to be 0 stays so meanwhile (SP2): who adds to it writes 1.
 */
#include "spaces.h"

enum {
    TABLE_SHIFT =
        9, /* of a frame's number: its place in each table of words above those of counts */
    WORD_LEVELS = 4,
    WORDS_IN_TABLE = 1 << TABLE_SHIFT,
    USERS_SHIFT = 24, /* of a word: 1024 frames, and so many calls at once, or 16,000 forks */
};
#define USERS_MASK (((uint64_t)1 << USERS_SHIFT) - 1)

/* The word for a table of counts, and both tables, which are open. */
struct counts_word {
    void *table, *counts;
    qa64 *word;
    quire_pfn pfn; /* of the table of counts */
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
    if (counts) {
#pragma GCC unroll 16
        for (unsigned i = 0; i < COUNTS_IN_TABLE; i++)
            qa_store((qa32 *)table + i, 0, relaxed); /* relaxed: the caller's */
    } else {
#pragma GCC unroll 16
        for (unsigned i = 0; i < WORDS_IN_TABLE; i++)
            qa_store((qa64 *)table + i, 0, relaxed); /* relaxed: the caller's */
    }
    reach_close(&shares->reach, table);
    return 0;
}

/* Put a fresh table with so many users into an empty word, or with none: one of words. False:
 * another call was faster. *seen is what is there. */
static bool fill_word(struct quire_shares *shares, qa64 *word, uint64_t users, uint64_t *seen,
                      int *error)
{
    quire_pfn fresh;
    uint64_t wanted;

    *error = fresh_table(shares, users > 0, &fresh);
    if (*error)
        return false;
    wanted = word_of(fresh, users > 0 ? users : 1);
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
            (void)fill_word(shares, place->word, 0, &seen, &error);
        reach_close(&shares->reach, place->table);
        place->word = NULL;
        if (error || seen == 0)
            return error;
        at = word_pfn(seen);
    }
}

/* Be so many users of the table. False: there is none, or (*error) with `make` none could be had.
 */
static bool become_user(struct quire_shares *shares, qa64 *word, uint64_t users, bool make,
                        uint64_t *seen, int *error)
{
    for (;;) {
        *seen = qa_load(word, acquire); /* E-share acquire: 0 comes after the last user */
        if (*seen == 0) {
            if (!make)
                return false;
            if (fill_word(shares, word, users, seen, error))
                return true;
            if (*error)
                return false;
            continue;
        }
        /* What a failed exchange saw came without an acquire: look again.
         * E-share acquire: the table is there; E-share release: nothing but itself */
        if (qa_cas(word, seen, *seen + users, acq_rel))
            return true;
    }
}

/* Be a user of the frame's table of counts, and open it. The frame's count, or NULL if there is no
 * table, and nothing open. */
static qa32 *enter_counts(struct quire_shares *shares, quire_pfn pfn, struct counts_word *place)
{
    uint64_t seen = 0;
    int none = find_counts_word(shares, pfn, false, place);

    if (none || !place->word)
        return NULL;
    if (!become_user(shares, place->word, 1, false, &seen, &none)) {
        reach_close(&shares->reach, place->table);
        return NULL;
    }
    place->pfn = word_pfn(seen);
    place->counts = reach_open(&shares->reach, place->pfn);
    return (qa32 *)place->counts + (pfn.n & (COUNTS_IN_TABLE - 1));
}

/* So many users less, by the word, whose table is closed here. The last one gives the table of
 * counts back. */
static void be_less(struct quire_shares *shares, struct counts_word *place, uint64_t users)
{
    uint64_t seen = qa_load(place->word, relaxed), next; /* relaxed: the exchange decides */

    do
        next = (seen & USERS_MASK) == users ? 0 : seen - users;
    /* E-share release: what we did with the frame, and in the table; E-share acquire: what the
     * others did there, before it is given back */
    while (users > 0 && !qa_cas(place->word, &seen, next, acq_rel));
    if (users > 0 && next == 0)
        free_table(shares, word_pfn(seen));
    reach_close(&shares->reach, place->table);
}

static void leave_counts(struct quire_shares *shares, struct counts_word *place, uint64_t users)
{
    reach_close(&shares->reach, place->counts);
    be_less(shares, place, users);
}

/* ---- One more ------------------------------------------------------------------------------- */

int qi_counting_begin(struct quire_shares *shares, quire_pfn pfn, uint32_t frames,
                      struct counting *counting)
{
    struct counts_word place;
    uint64_t seen = 0;
    int error = find_counts_word(shares, pfn, true, &place);

    if (error)
        return error;
    (void)become_user(shares, place.word, frames, true, &seen, &error);
    reach_close(&shares->reach, place.table);
    if (error)
        return error;
    counting->counts = NULL;
    counting->pfn = word_pfn(seen);
    counting->first = quire_phys(quire_pfn_of(pfn.n & ~(uint64_t)(COUNTS_IN_TABLE - 1)));
    counting->left = frames;
    counting->word = shares->reach.open ? NULL : place.word;
    return 0;
}

void qi_counting_open(struct quire_shares *shares, struct counting *counting)
{
    counting->counts = (qa32 *)reach_open(&shares->reach, counting->pfn);
}

void qi_counting_end(struct quire_shares *shares, struct counting *counting)
{
    struct counts_word place;

    if (counting->counts)
        reach_close(&shares->reach, counting->counts);
    if (counting->left == 0)
        return;
    place.table = NULL; /* no window: nothing is closed */
    place.word = counting->word;
    if (!place.word) /* it is there, as we are users */
        (void)find_counts_word(shares, quire_pfn_of_phys(counting->first), false, &place);
    be_less(shares, &place, counting->left);
}

/* ---- One less ------------------------------------------------------------------------------- */

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
        count = enter_counts(shares, pfn, &place);
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
        count = enter_counts(shares, pfn, &place);
    if (!count)
        return false;
    any = qa_load(count, acquire) > 0; /* E-share acquire: what the last but one did with it */
    leave_counts(shares, &place, 1);
    return any;
}

/* Another table. */
static void dropping_begin(struct quire_shares *shares, struct counting *counting, quire_pfn pfn)
{
    struct counts_word place;
    qa32 *count;

    if (counting->first != COUNTING_NONE)
        qi_counting_end(shares, counting);
    counting->first = quire_phys(quire_pfn_of(pfn.n & ~(uint64_t)(COUNTS_IN_TABLE - 1)));
    counting->counts = NULL;
    counting->left = 0;
    count = enter_counts(shares, pfn, &place);
    if (!count)
        return;
    counting->left = 1;
    counting->word = shares->reach.open ? NULL : place.word;
    reach_close(&shares->reach, place.counts); /* the last one opened is closed first */
    reach_close(&shares->reach, place.table);
    counting->pfn = place.pfn;
    qi_counting_open(shares, counting);
}

bool qi_counting_drop(struct quire_shares *shares, struct counting *counting, quire_pfn pfn)
{
    uint64_t index = counting_index(counting, quire_phys(pfn));
    uint32_t seen;
    qa32 *count;

    if (index >= COUNTS_IN_TABLE) {
        dropping_begin(shares, counting, pfn);
        index = counting_index(counting, quire_phys(pfn));
    }
    if (!counting->counts)
        return true;
    count = counting->counts + index;
    do
        seen = qa_load(count, acquire); /* E-share acquire: what the last but one did with it */
    while (seen > 0 && !drop_one(count, seen));
    if (seen == 1)
        counting->left++; /* the frame is a user no more */
    return seen == 0;
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
