/* SPDX-License-Identifier: MIT
 *
 * set_aside.c - gigabytes that are taken out of a machine ahead of need, and the frame source that
 * gives them.
 *
 * A slot's word is the frame's number and what is known of it, or 0. A gigabyte keeps its slot
 * while a page is made of it, so that it comes back there and not to the machine. Its owner alone
 * gives it back or splits it; then its word changes by an exchange, as quire_gigabytes_release may
 * take it out of its slot just now.
 *
 * Who may be beside whom: all beside all. What is read of the slots one after the other, how many
 * are ready or whether one is empty, may be old by the end: who is told that none is ready was told
 * so by each slot in turn, and one that was passed may have come back since.
 */
#include "core/atomic.h"

#include <quire/space.h>

enum {
    SLOT_READY = 1, /* nobody has it */
    SLOT_TAKEN = 2, /* somebody has */
    SLOT_ZEROS = 4, /* it reads as zeros; of one that is ready */
    SLOT_SHIFT = 3,
};

static qa64 *slot_at(const struct quire_gigabytes *gigabytes, uint32_t i)
{
    return (qa64 *)(void *)gigabytes->slots + i;
}

static uint64_t slot_word(quire_pfn pfn, uint64_t state)
{
    return pfn.n << SLOT_SHIFT | state;
}

static quire_pfn slot_pfn(uint64_t word)
{
    return quire_pfn_of(word >> SLOT_SHIFT);
}

/* ---- Slots ---------------------------------------------------------------------------------- */

/* Take one whose word has of these bits the wanted ones alone. One pass, so a refusal says that
 * each slot was seen without one. */
static bool take_slot(const struct quire_gigabytes *gigabytes, uint64_t bits, uint64_t wanted,
                      quire_pfn *pfn)
{
    for (uint32_t i = 0; i < gigabytes->count; i++) {
        uint64_t seen = qa_load(slot_at(gigabytes, i), relaxed); /* relaxed: the exchange decides */

        if ((seen & bits) != wanted)
            continue;
        *pfn = slot_pfn(seen);
        /* E-gigabyte acquire: its last owner is done with it, and the zeros are written */
        if (qa_cas(slot_at(gigabytes, i), &seen, slot_word(*pfn, SLOT_TAKEN), acquire))
            return true;
    }
    return false;
}

/* Put `next` in the place of the caller's gigabyte. False: it has no slot (any more). */
static bool change_taken(const struct quire_gigabytes *gigabytes, quire_pfn pfn, uint64_t next)
{
    uint64_t taken = slot_word(pfn, SLOT_TAKEN);

    for (uint32_t i = 0; i < gigabytes->count; i++) {
        uint64_t seen = qa_load(slot_at(gigabytes, i), relaxed); /* relaxed: the caller's */

        if (seen == taken)
            /* E-gigabyte release: what was done with it comes before its next owner */
            return qa_cas(slot_at(gigabytes, i), &seen, next, release);
    }
    return false;
}

/* Put a gigabyte into an empty slot. False: there is none. */
static bool set_aside(const struct quire_gigabytes *gigabytes, uint64_t word)
{
    for (uint32_t i = 0; i < gigabytes->count; i++) {
        uint64_t seen = qa_load(slot_at(gigabytes, i), relaxed); /* relaxed: the exchange decides */

        /* E-gigabyte release: the zeros are written */
        if (seen == 0 && qa_cas(slot_at(gigabytes, i), &seen, word, release))
            return true;
    }
    return false;
}

static bool has_empty_slot(const struct quire_gigabytes *gigabytes)
{
    for (uint32_t i = 0; i < gigabytes->count; i++)
        if (qa_load(slot_at(gigabytes, i), relaxed) == 0) /* relaxed: an exchange decides later */
            return true;
    return false;
}

/* ---- The source ----------------------------------------------------------------------------- */

/* A Huge zone is asked for what is set aside there before others are, which have other purposes as
 * well. Danger: large pages take blocks out of the gigabyte that fill is to find there. So while a
 * slot is empty they do not come from there. */
static enum quire_purpose purpose_of(const struct quire_gigabytes *gigabytes, unsigned order)
{
    bool large = order >= QUIRE_BLOCK_ORDER && !has_empty_slot(gigabytes);

    return order == QUIRE_GIGABYTE_ORDER || large ? QUIRE_FOR_HUGE : QUIRE_FOR_NORMAL;
}

static int gigabyte_request(const struct quire_gigabytes *gigabytes,
                            const struct quire_policy *policy, unsigned order, uint32_t flags,
                            quire_pfn *pfn)
{
    struct quire_request request = quire_request_of(order, flags);

    if (order == QUIRE_GIGABYTE_ORDER)
        request.flags |= gigabytes->flags;
    request.purpose = purpose_of(gigabytes, order);
    request.policy = policy;
    return quire_machine_request(gigabytes->machine, &request, pfn, NULL);
}

/* Is the request for one of those that are set aside, if there is one? */
static bool is_set_aside(const struct quire_gigabytes *gigabytes, const struct quire_policy *policy,
                         unsigned order)
{
    return order == QUIRE_GIGABYTE_ORDER && policy == gigabytes->policy;
}

/* Better one that does not read as zeros: the first pass. Danger: if the second one took zeros
 * alone, one of each kind could come or go behind the pass that wants it, and both passes find
 * none. So it takes any. */
static int give_any(void *ctx, const struct quire_policy *policy, unsigned order, quire_pfn *pfn)
{
    const struct quire_gigabytes *gigabytes = (const struct quire_gigabytes *)ctx;

    if (is_set_aside(gigabytes, policy, order) &&
        (take_slot(gigabytes, SLOT_READY | SLOT_ZEROS, SLOT_READY, pfn) ||
         take_slot(gigabytes, SLOT_READY, SLOT_READY, pfn)))
        return 0;
    return gigabyte_request(gigabytes, policy, order, 0, pfn);
}

/* One that is ready and does not read as zeros is better than one that others could get: who asks
 * writes the zeros then. */
static int give_zeros(void *ctx, const struct quire_policy *policy, unsigned order, quire_pfn *pfn)
{
    const struct quire_gigabytes *gigabytes = (const struct quire_gigabytes *)ctx;

    if (is_set_aside(gigabytes, policy, order)) {
        if (take_slot(gigabytes, SLOT_READY | SLOT_ZEROS, SLOT_READY | SLOT_ZEROS, pfn))
            return 0;
        if (quire_gigabytes_ready(gigabytes) > 0)
            return QUIRE_ERR_UNSUPPORTED;
    }
    return gigabyte_request(gigabytes, policy, order, QUIRE_ZEROED, pfn);
}

static void take_any_back(void *ctx, quire_pfn pfn, unsigned order)
{
    const struct quire_gigabytes *gigabytes = (const struct quire_gigabytes *)ctx;

    if (order == QUIRE_GIGABYTE_ORDER && change_taken(gigabytes, pfn, slot_word(pfn, SLOT_READY)))
        return;
    (void)quire_machine_free(gigabytes->machine, pfn, order);
}

/* It leaves its slot when it is split, as its blocks come back to the machine. */
static int split_any(void *ctx, quire_pfn pfn, unsigned order)
{
    const struct quire_gigabytes *gigabytes = (const struct quire_gigabytes *)ctx;
    struct quire_machine *machine = gigabytes->machine;
    int error;

    if (order != QUIRE_GIGABYTE_ORDER)
        return quire_machine_split(machine, pfn, (uint64_t)1 << order, 0);
    error = quire_machine_split_blocks(machine, pfn, order);
    if (error == 0)
        (void)change_taken(gigabytes, pfn, 0);
    return error;
}

struct quire_frame_source quire_frames_with_gigabytes(struct quire_gigabytes *gigabytes)
{
    struct quire_frame_source source = {give_any, take_any_back, split_any, give_zeros, gigabytes};

    return source;
}

/* ---- Fill, release -------------------------------------------------------------------------- */

int quire_gigabytes_fill(struct quire_gigabytes *gigabytes, bool zeros)
{
    uint64_t state = SLOT_READY | (zeros ? (uint64_t)SLOT_ZEROS : 0);

    /* Each round fills a slot, or another call has filled the last one. */
    while (has_empty_slot(gigabytes)) {
        quire_pfn pfn;
        int error = gigabyte_request(gigabytes, gigabytes->policy, QUIRE_GIGABYTE_ORDER,
                                     zeros ? QUIRE_ZEROED : 0, &pfn);

        if (error)
            return error;
        if (!set_aside(gigabytes, slot_word(pfn, state)))
            return quire_machine_free(gigabytes->machine, pfn, QUIRE_GIGABYTE_ORDER);
    }
    return 0;
}

uint32_t quire_gigabytes_ready(const struct quire_gigabytes *gigabytes)
{
    uint32_t ready = 0;

    for (uint32_t i = 0; i < gigabytes->count; i++)
        /* relaxed: a figure */
        ready += (uint32_t)qa_load(slot_at(gigabytes, i), relaxed) & SLOT_READY;
    return ready;
}

void quire_gigabytes_release(struct quire_gigabytes *gigabytes)
{
    for (uint32_t i = 0; i < gigabytes->count; i++) {
        qa64 *slot = slot_at(gigabytes, i);
        uint64_t seen = qa_load(slot, relaxed); /* relaxed: the exchange decides */

        /* E-gigabyte acquire: its last owner is done with it */
        while (seen && !qa_cas(slot, &seen, 0, acquire)) {
        }
        if (seen & SLOT_READY)
            (void)quire_machine_free(gigabytes->machine, slot_pfn(seen), QUIRE_GIGABYTE_ORDER);
    }
}
