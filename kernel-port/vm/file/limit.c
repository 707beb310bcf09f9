/* SPDX-License-Identifier: MIT
 *
 * limit.c - limits: how many frames a space may have, and an area of it.
 *
 * State: for each limit a word with the frames that are counted, and how many counts are *pending*.
 * A fault counts its frames before it has them; a pending count ends when the page is there, or is
 * taken back: another fault was faster, there was no memory, the other one of two limits refused. A
 * promotion has a pending count from its start until all that it has twice is given back, and a row
 * until what was too late is.
 *
 * Danger: a fault is refused because of a frame that nobody gets in the end; or because of its own
 * page, which another fault has counted, and is about to put in. So:
 *   LM1  A fault is refused only if it found a word without room and without a pending count, and
 *        then its entry as it was. All that the word counts is there, and its own page was not. So
 *        who gives a frame back counts it down before anybody can fault on its entry.
 * An entry that is as it was may have been different in between: where the page comes by another
 * fault, and is released again, between the look at the word and the look at the entry, the fault
 * is refused because of its own page. It takes a release of the page beside the fault on it; a
 * number in each entry would tell, and there is no room for one.
 *
 * A fault that is neither served nor refused is told that it is served, and comes again. It counts
 * nothing meanwhile, so what is pending becomes less: it waits for those alone who were in the
 * middle of a fault, or promotion. Who stops there for ever keeps others from being refused, and
 * nobody from being served whom no limit would refuse.
 *
 * A fork counts what the child gets without asking: the parent has it, or had, within the same
 * limits. Danger: a file is cut meanwhile, the parent's copy first, and the parent has another page
 * in its place before the child's is counted down. So the child may be over its limit for a moment.
 *
 * A note has a count of its own if it was made for an area with a limit, for good (note.c): the
 * faults of other areas write no line that all of them share.
 */
#include "files.h"

static bool has_room(uint64_t seen, uint64_t limit, uint64_t frames)
{
    uint64_t counted = seen % PENDING;

    /* The limit may be that of the area whose note it was before. */
    return limit == 0 || (counted <= limit && frames <= limit - counted);
}

static bool count(qa64 *word, uint64_t limit, uint64_t counts)
{
    uint64_t seen = qa_load(word, relaxed); /* relaxed: the exchange decides */

    do
        if (!has_room(seen, limit, counts % PENDING))
            return false;
    while (!qa_cas(word, &seen, seen + counts, relaxed)); /* relaxed: a figure */
    return true;
}

static void count_down(qa64 *word, uint64_t counts)
{
    (void)qa_sub(word, counts, release); /* E-limit release: the page that was put in */
}

/* The note, if it has a limit. */
static struct note *limited_note(const struct quire_space *space, uint32_t number)
{
    struct note *note = number == NO_NOTE ? NULL : qi_note(space, number);

    return note && note->limited ? note : NULL;
}

static uint64_t limit_of(const struct note *note)
{
    return qa_load(&note->limit, relaxed); /* relaxed: see note.c */
}

int qi_limit_charge(struct quire_space *space, uint32_t number, uint64_t counts)
{
    struct note *note = limited_note(space, number);
    uint64_t limit = space->config.limit;

    if (limit && !count(frames_of(space), limit, counts))
        return QUIRE_ERR_LIMIT;
    if (!note || count(&note->frames, limit_of(note), counts))
        return 0;
    if (limit)
        count_down(frames_of(space), counts);
    return QUIRE_ERR_LIMIT;
}

void qi_limit_inherit(struct quire_space *space, uint32_t number, uint64_t frames)
{
    struct note *note = limited_note(space, number);

    if (space->config.limit)
        (void)qa_add(frames_of(space), frames, relaxed); /* relaxed: a figure */
    if (note)
        (void)qa_add(&note->frames, frames, relaxed); /* relaxed: as above */
}

void qi_limit_uncharge(struct quire_space *space, uint32_t number, uint64_t counts)
{
    struct note *note = limited_note(space, number);

    if (space->config.limit)
        count_down(frames_of(space), counts);
    if (note)
        count_down(&note->frames, counts);
}

/* Has the word no room, and no pending count? */
static bool refuses(const qa64 *word, uint64_t limit, uint64_t frames)
{
    uint64_t seen = qa_load(word, acquire); /* E-limit acquire: pages that are counted for good */

    return seen < PENDING && !has_room(seen, limit, frames);
}

bool qi_limit_refuses(struct quire_space *space, uint32_t number, uint64_t frames)
{
    struct note *note = limited_note(space, number);

    return refuses(frames_of(space), space->config.limit, frames) ||
           (note && refuses(&note->frames, limit_of(note), frames));
}
