/* SPDX-License-Identifier: MIT
 *
 * count.c - reserve a count, then pick: how many frames may be taken. And the watermarks.
 *
 * The maps say which frames are free; this file alone says how many may be taken. An allocation
 * debits its frames before it searches and credits back what it did not find; a free credits after
 * the bits are clear. So (I4) a debit that succeeded has frames to find, and a refusal here is
 * true: at some moment fewer frames were free above the floor of the request's urgency.
 *
 * One counter would be the bottleneck. So a slot keeps *credit* on a cache line of its own: it
 * borrows a chunk from the total, serves its calls from it, and repays what exceeds two chunks.
 * The danger is a request that is refused while other slots keep frames in credit, or one that is
 * granted below its floor because the total it saw was not the whole truth. Invariants:
 *
 *   C1  Free frames counted = total + sum of the credits; a credit is never negative.
 *   C2  Credit is kept only far from the watermarks: while the total is above shard_limit, which
 *       lies two chunks per slot above `high` and above the highest floor (`min` with the lowmem
 *       reserve), and while no crossing waits to be undone (`level` is 0). Otherwise debits and
 *       credits go to the total, and a slot turns in its credit at its next call. So near
 *       watermarks and floors the total is exact, but for the credit of slots that are idle, which
 *       a refusal gathers first (C4).
 *   C3  A debit from the total leaves at least the floor of its urgency (isolation leaves none).
 *       A debit from credit comes after the total was seen above shard_limit, so it leaves the
 *       floors alone too.
 *   C4  Before a refusal all credit is gathered into the total, one slot at a time, and never into
 *       the gatherer's own credit: two gatherers would both be refused, each with frames that the
 *       other one has just moved. Gathering goes on until a turn finds none. But while it goes from
 *       slot to slot, calls that looked at the total before may bring credit to a slot that it has
 *       passed, and take what is in one that it has not reached. So a credit word also counts how
 *       often frames were taken from it: if after the last look at the total all words read as in
 *       the turn before, no slot had credit at that look, and the refusal is true then. Credit on
 *       its way between two words counts as held by an unfinished operation.
 *
 * Watermarks: `level` is 0, 1 (told LOW) or 2 (told MIN). The thread whose compare-and-swap moves
 * it tells the port, so that each crossing is told once. An allocation tells when it has succeeded,
 * not when it debits. A crossing under QUIRE_NO_CALLBACK leaves the level alone; the next call that
 * may call back tells it.
 *
 * Progress: a debit repeats its exchange only after another call changed the total, and gathers
 * again only after it found credit, which it moved to the total, or that credit came or went; it
 * comes to a slot only by a call that has its frames, has freed them, or was refused by a search
 * and is over. So whenever a debit goes round once more, another call got further; none is refused
 * for having looked too often.
 *
 * All functions may run beside each other and beside themselves, for one slot too. Lock-free, any
 * context. The total may be old by what others do meanwhile.
 */
#include "core/fastpath.h"

/* The number of free frames that a request of this urgency must leave. */
static int64_t floor_of(const struct quire_zone *z, uint32_t flags)
{
    const struct quire_zone_head *h = z->head;
    uint64_t floor = flags & QUIRE_EMERGENCY ? 0 : flags & QUIRE_HIGH ? h->min / 2 : h->min;

    /* An emergency of a less scarce zone is none of this one's own users: they keep the reserve. */
    return (int64_t)(flags & QUIRE_FALLBACK ? floor + h->lowmem_reserve : floor);
}

static int64_t total_frames(const struct quire_zone *z)
{
    return (int64_t)qa_load(&z->head->total, relaxed); /* relaxed: an exchange decides */
}

/* Turn in a slot's whole credit. True: there was some. *word: as it was found. */
static bool credit_turn_in(const struct quire_zone *z, uint32_t slot, uint64_t *word)
{
    qa64 *credit = &z->slot_states[slot].credit;

    /* E-gather acquire: what was brought to other slots before frames of this one were taken. */
    while (credit_frames(*word = qa_load(credit, acquire)) > 0) {
        uint64_t n = credit_frames(*word), w = *word;

        /* E-count acq_rel. E-count acq_rel. The clears behind the credit go along. E-gather
         * acq_rel. Retries only when another call changed the word. It could be release: the load
         * above acquired this very value, as a word that was taken from never comes back. */
        if (qa_cas(credit, &w, w + CREDIT_TAKEN - n, acq_rel)) {
            /* E-count acq_rel. E-count acq_rel. It could be release: who takes from the total
             * acquires what all who added to it released, and this call takes nothing here. */
            (void)qa_add(&z->head->total, n, acq_rel);
            return true;
        }
    }
    return false;
}

/* Turn in all credit. True: there was some. Else *words: the sum of the credit words. */
static bool gather_credit(const struct quire_zone *z, quire_slot slot, uint64_t *words)
{
    bool some = false;

    *words = 0;
    for (uint32_t i = 0; i < z->slots; i++) {
        uint64_t word;

        some |= credit_turn_in(z, i, &word);
        *words += word;
    }
    stat_count(z, slot, QUIRE_COUNT_GATHER);
    return some;
}

/* The sum of the credit words. What is added to one, and what is taken and counted above, makes it
 * larger: so it is the same only if each word is. */
static uint64_t credit_words(const struct quire_zone *z)
{
    uint64_t words = 0;

    for (uint32_t i = 0; i < z->slots; i++)
        /* relaxed: behind the look at the total, which acquired what came before it */
        words += qa_load(&z->slot_states[i].credit, relaxed);
    return words;
}

/* Where the level goes from `level` with so many free frames, and what is told on the way (-1:
 * nothing). The same level: nowhere. */
static uint32_t watermark_level_next(const struct quire_zone_head *h, uint64_t free, uint32_t level,
                                     int *event)
{
    *event = -1;
    if (free >= h->high && level > 0) {
        *event = QUIRE_EVENT_RECOVERED;
        return 0;
    }
    if (free < h->low && level == 0) {
        *event = QUIRE_EVENT_LOW;
        return 1;
    }
    if (free < h->min && level == 1) {
        *event = QUIRE_EVENT_MIN;
        return 2;
    }
    return free >= h->low && level == 2 ? 1 : level;
}

/* Move the level one step if the total asks for it. False: there was nothing to do. A failed
 * exchange is another thread's step; then the question is asked anew. */
static bool watermark_level_step(struct quire_zone *z, int *event)
{
    uint32_t level = qa_load(&z->head->level, relaxed); /* relaxed: the exchange decides */
    uint32_t next;

    qi_assert(level <= 2);
    do {
        int64_t total = total_frames(z);

        next = watermark_level_next(z->head, total < 0 ? 0 : (uint64_t)total, level, event);
        if (next == level)
            return false;
    } while (!qa_cas(&z->head->level, &level, next, relaxed)); /* relaxed: only the word counts */
    return true;
}

/* The total is `total`, near the watermarks: tell what there is to tell. At most one step per
 * level, so that callbacks that allocate cannot keep it going. */
static void tell_watermarks(struct quire_zone *z, quire_slot slot, uint32_t flags, int64_t total)
{
    const struct quire_zone_head *h = z->head;
    uint32_t level = qa_load(&z->head->level, relaxed); /* relaxed: an exchange decides */
    uint64_t words;
    int event;

    if (flags & QUIRE_NO_CALLBACK || (level == 0 && total >= (int64_t)h->low) ||
        (level == 1 && total >= (int64_t)h->min && total < (int64_t)h->high) ||
        (level == 2 && total < (int64_t)h->low))
        return;
    (void)gather_credit(z, slot, &words);
    for (int i = 0; i < 3 && watermark_level_step(z, &event); i++) {
        if (event < 0)
            continue;
        qa_add(&z->head->events[event], 1, relaxed); /* relaxed: a statistic */
        if (z->port.event)
            z->port.event(z->port.ctx, z, (enum quire_event)event);
    }
}

/* Borrow a chunk for the slot and n frames with it. False: the total does not allow it. */
static bool credit_borrow(struct quire_zone *z, quire_slot slot, uint64_t n)
{
    int64_t total = total_frames(z), take = (int64_t)(n + z->chunk);

    qi_assert(n > 0 && n <= z->chunk);
    while (total - take > z->shard_limit) {
        uint64_t t = (uint64_t)total;

        /* E-count acq_rel. E-count acq_rel. Retries when another slot borrows. */
        if (qa_cas(&z->head->total, &t, t - (uint64_t)take, acq_rel)) {
            /* E-count acq_rel. E-count acq_rel. It could be release: as above, of the credit. */
            (void)qa_add(&slot_of(z, slot)->credit, z->chunk, acq_rel);
            return true;
        }
        total = (int64_t)t;
    }
    return false;
}

/* Up to n frames from the total, but not fewer than `least`, leaving the floor. Returns how many;
 * 0: the total had not that many at the last look. */
static uint64_t debit_total(struct quire_zone *z, uint64_t least, uint64_t n, uint32_t flags)
{
    int64_t floor = floor_of(z, flags);

    for (;;) {
        uint64_t t = qa_load(&z->head->total, acquire); /* E-gather acquire */
        uint64_t have = t - (uint64_t)floor, some = have < n ? have : n;

        if ((int64_t)t - (int64_t)least < floor)
            return 0;
        /* E-count acquire. E-gather release. Fails only when another debit or credit came in
         * between, and then takes what there is now. */
        if (qa_cas(&z->head->total, &t, t - some, acq_rel))
            return some;
    }
}

/* As debit_total, after all credit was gathered that there is (C4). */
static uint64_t debit_gathered(struct quire_zone *z, quire_slot slot, uint64_t least, uint64_t n,
                               uint32_t flags)
{
    uint64_t some, words = 0;

    /* Goes on only while a slot had credit, or got it: after the first turn that is credit which
     * another call left there, and that call is over or has its frames. */
    do {
        do
            some = debit_total(z, least, n, flags);
        while (some == 0 && gather_credit(z, slot, &words));
        if (some == 0)
            some = debit_total(z, least, n, flags);
    } while (some == 0 && credit_words(z) != words);
    return some;
}

/* Reserve n frames for the caller, which searches for them afterwards. NO_MEMORY: fewer were free
 * above the floor of the request's urgency. */
int qi_count_debit(struct quire_zone *z, quire_slot slot, uint64_t n, uint32_t flags)
{
    uint64_t word;

    qi_assert(n > 0);
    if (n <= z->chunk && count_is_sharded(z) &&
        (credit_take(z, slot, n) || credit_borrow(z, slot, n)))
        return QUIRE_OK;
    if (!count_is_sharded(z))
        (void)credit_turn_in(z, slot.n, &word);
    return debit_gathered(z, slot, n, n, flags) ? QUIRE_OK : QUIRE_ERR_NO_MEMORY;
}

/* Reserve n frames that an isolation is about to take, whatever the floors: it takes them from use,
 * and allocations find out by the floors that are left. The total may be below 0 for as long as
 * others hold debits for these frames, or credit. */
void qi_count_debit_below_floor(struct quire_zone *z, uint64_t n)
{
    qi_assert(n > 0);
    /* relaxed: it looks for nothing that the count promises */
    (void)qa_sub(&z->head->total, n, relaxed);
}

/* An allocation succeeded: tell if it crossed a watermark. (Not the debit: what is refunded after
 * a vain search was not taken.) */
void qi_count_check_watermarks(struct quire_zone *z, quire_slot slot, uint32_t flags)
{
    if (!count_is_sharded(z))
        tell_watermarks(z, slot, flags, total_frames(z));
}

/* Reserve as many frames as there are above the floor, up to n; 0: none was. The number is settled
 * by the exchange that takes them, so whatever rivals take meanwhile, they leave the rest to it. */
uint64_t qi_count_debit_up_to(struct quire_zone *z, quire_slot slot, uint64_t n, uint32_t flags)
{
    if (qi_count_debit(z, slot, n, flags) == QUIRE_OK)
        return n;
    return debit_gathered(z, slot, 1, n, flags); /* that debit gathered the credit there was */
}

/* Give n frames to the count, after their bits were cleared. */
void qi_count_credit(struct quire_zone *z, quire_slot slot, uint64_t n, uint32_t flags)
{
    qa64 *credit = &slot_of(z, slot)->credit;
    uint64_t c;

    qi_assert(n > 0);
    if (n > z->chunk || !count_is_sharded(z)) {
        /* E-count release: the cleared bits come before the count that promises them. */
        c = qa_add(&z->head->total, n, release) + n;
        tell_watermarks(z, slot, flags, (int64_t)c);
        return;
    }
    c = qa_add(credit, n, release) + n; /* E-count release: as above */
    qi_assert(credit_frames(c) >= n);   /* C1 */
    while (credit_frames(c) > 2 * (uint64_t)z->chunk) {
        uint64_t repaid = credit_frames(c) - z->chunk;

        /* E-count acquire: what is repaid may be others' clears. What E-gather is to carry went
         * with the addition. Retries only when a gatherer or a nested call came between. */
        if (qa_cas(credit, &c, c + CREDIT_TAKEN - repaid, acquire)) {
            c = qa_add(&z->head->total, repaid, release) + repaid; /* E-count release */
            tell_watermarks(z, slot, flags, (int64_t)c);
            return;
        }
    }
}

/* The slot is given up: its credit goes to the total. */
void qi_count_retire_slot(struct quire_zone *z, quire_slot slot)
{
    uint64_t word;

    (void)credit_turn_in(z, slot.n, &word);
}

uint64_t quire_zone_free_frames(const struct quire_zone *z)
{
    /* E-count acquire, both: the total first, so that what moves there out of a credit is not
     * counted twice. A sum of all frames of a zone is true if no call debits meanwhile. */
    int64_t free = (int64_t)qa_load(&z->head->total, acquire);

    for (uint32_t i = 0; i < z->slots; i++)
        free += credit_frames(qa_load(&z->slot_states[i].credit, acquire)); /* E-count acquire */
    return free < 0 ? 0 : (uint64_t)free;
}

unsigned quire_zone_pressure(const struct quire_zone *z)
{
    const struct quire_zone_head *h = z->head;
    uint64_t free = quire_zone_free_frames(z);

    if (free >= h->high)
        return 0;
    if (free <= h->min)
        return 100;
    return (unsigned)word_divide((h->high - free) * 100, h->high - h->min);
}
