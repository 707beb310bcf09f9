/* SPDX-License-Identifier: MIT
 *
 * places.c - the checked calls of calls.h that are about places and shapes: constrained
 * contiguous runs, given places, reservations, splitting and joining; and calls that must be
 * refused.
 */
#include "calls.h"

#include "check.h"

/* Does the run keep the promises of quire_zone_alloc_contig? */
static bool fits(const struct quire_contig *want, uint64_t pfn)
{
    uint64_t first = pfn << QUIRE_FRAME_SHIFT;
    uint64_t last = first + (want->frames << QUIRE_FRAME_SHIFT) - 1;

    if (want->align && first & (want->align - 1))
        return false;
    if (want->boundary && (first ^ last) & ~(want->boundary - 1))
        return false;
    return first >= want->low && (!want->high || last <= want->high);
}

bool call_alloc_contig(struct worker *w, uint32_t z, const struct quire_contig *want,
                       uint32_t flags, struct record *record)
{
    uint64_t before = check_free_count(w, z);
    uint32_t allowed = CHECK_ALLOWED(QUIRE_ERR_NO_MEMORY);
    quire_pfn pfn = {0};
    uint64_t begun = call_begin(w);
    int error = quire_zone_alloc_contig(check_zone(w, z), check_slot(w), want, flags, &pfn);

    call_end(w, CALL_ALLOC_CONTIG, begun);
    if (want->frames > w->run->zones[z].before.managed)
        allowed |= CHECK_ALLOWED(QUIRE_ERR_SIZE);
    if (!check_answer(w, z, "alloc_contig", error, allowed, pfn.n))
        return false;
    check_floor(w, z, before, want->frames, flags, error);
    w->checks.answers++;
    if (!fits(want, pfn.n)) {
        check_accuse(w, z, pfn.n, "starts a contiguous run that breaks its constraints");
        return false;
    }
    *record = (struct record){pfn.n, (uint32_t)want->frames, check_tag(w), true};
    return check_take(w, z, record, flags);
}

bool call_alloc_at(struct worker *w, uint32_t z, uint64_t pfn, unsigned order, uint32_t flags,
                   struct record *record)
{
    uint64_t before = check_free_count(w, z);
    uint64_t begun = call_begin(w);
    int error =
        quire_zone_alloc_at(check_zone(w, z), check_slot(w), quire_pfn_of(pfn), order, flags);

    call_end(w, CALL_ALLOC_AT, begun);
    if (!check_answer(w, z, "alloc_at", error,
                      CHECK_ALLOWED(QUIRE_ERR_NO_MEMORY) | CHECK_ALLOWED(QUIRE_ERR_BUSY) |
                          CHECK_ALLOWED(QUIRE_ERR_FRAME),
                      pfn))
        return false;
    check_floor(w, z, before, 1ULL << order, flags, error);
    *record = (struct record){pfn, 1u << order, check_tag(w), false};
    return check_take(w, z, record, flags);
}

void call_reserve(struct worker *w, uint32_t z, uint64_t pfn, uint64_t frames)
{
    struct record record = {pfn, (uint32_t)frames, check_tag(w), true};
    uint64_t begun = call_begin(w);
    int error = quire_zone_reserve(check_zone(w, z), check_slot(w), quire_pfn_of(pfn), frames);

    call_end(w, CALL_RESERVE, begun);
    if (!check_answer(w, z, "reserve", error,
                      CHECK_ALLOWED(QUIRE_ERR_BUSY) | CHECK_ALLOWED(QUIRE_ERR_FRAME), pfn) ||
        !check_take(w, z, &record, 0) || !check_give(w, z, &record))
        return;
    begun = call_begin(w);
    error = quire_zone_unreserve(check_zone(w, z), check_slot(w), quire_pfn_of(pfn), frames);
    call_end(w, CALL_UNRESERVE, begun);
    check_answer(w, z, "unreserve of a range just reserved", error, 0, pfn);
}

void call_split(struct worker *w, uint32_t z, const struct record *record)
{
    unsigned order = (unsigned)__builtin_ctz(record->frames);
    uint64_t begun = call_begin(w);
    int error = quire_zone_split(check_zone(w, z), check_slot(w), quire_pfn_of(record->pfn), order);

    call_end(w, CALL_SPLIT, begun);
    check_answer(w, z, "split of a held run", error, 0, record->pfn);
}

void call_join(struct worker *w, uint32_t z, const struct record *record)
{
    uint64_t begun = call_begin(w);
    int error = quire_zone_join(check_zone(w, z), check_slot(w), quire_pfn_of(record->pfn));

    call_end(w, CALL_JOIN, begun);
    check_answer(w, z, "join of 512 held frames", error, 0, record->pfn);
}

void call_refused(struct worker *w, uint32_t z, const char *what, int got, int wanted)
{
    if (got == wanted) {
        w->checks.refused++;
        return;
    }
    run_violation(w->run,
                  "%s in zone %u: answered \"%s\" (%d), not \"%s\"; thread %u, its call "
                  "%llu",
                  what, z, quire_strerror(got), got, quire_strerror(wanted), w->number,
                  (unsigned long long)w->calls);
}
