/* SPDX-License-Identifier: MIT
 *
 * calls.c - the checked calls of calls.h, whatever the target, and their parts.
 */
#include "calls.h"

#include "host-harness/load/random.h"

#include <stdio.h>

enum { WHERE_TEXT = 24 };

/* ---- Time, and what is said of a call -------------------------------------------------------- */

uint64_t call_begin(struct worker *w)
{
    /* relaxed: one call more or less that is timed */
    return w->calls++ % w->load->sample == 0 && qa_load(&w->load->timing, relaxed) ? load_clock()
                                                                                   : 0;
}

uint64_t call_end(struct worker *w, enum call_kind call, uint64_t begun)
{
    uint64_t ns;

    if (!begun)
        return 0;
    ns = load_clock() - begun;
    hist_add(&w->latency[call], ns);
    return ns;
}

uint32_t call_tag(struct worker *w)
{
    w->stamp = (w->stamp + 1) & ((1u << CALL_STAMP_BITS) - 1);
    return (w->number + 1) << CALL_STAMP_BITS | w->stamp;
}

/* " in zone Z", where requests are made of a zone. */
static const char *where(const struct worker *w, uint32_t list, char text[WHERE_TEXT])
{
    text[0] = '\0';
    if (w->load->target->list_per_zone)
        (void)snprintf(text, WHERE_TEXT, " in zone %u", list);
    return text;
}

bool call_answer(struct worker *w, uint32_t list, const char *what, int error, uint32_t allowed,
                 uint64_t pfn)
{
    bool known = error < 0 && error > -QUIRE_ERRORS;
    char place[WHERE_TEXT];

    w->outcome = random_scramble(w->outcome ^ (error ? (uint64_t)-error << 56 : pfn));
    if (!error)
        return true;
    if (known && allowed & CALL_ALLOWED(error))
        w->refusals[-error]++;
    else
        load_violation(w->load, "%s%s, frame %llu: answered \"%s\" (%d); thread %u, its call %llu",
                       what, where(w, list, place), (unsigned long long)pfn, quire_strerror(error),
                       error, w->number, (unsigned long long)w->calls);
    return false;
}

void call_refused(struct worker *w, uint32_t list, const char *what, int got, int wanted)
{
    char place[WHERE_TEXT];

    if (got == wanted) {
        w->checks[CHECK_REFUSED]++;
        return;
    }
    load_violation(w->load, "%s%s: answered \"%s\" (%d), not \"%s\"; thread %u, its call %llu",
                   what, where(w, list, place), quire_strerror(got), got, quire_strerror(wanted),
                   w->number, (unsigned long long)w->calls);
}

void call_accuse(struct worker *w, uint32_t z, uint64_t pfn, const char *what)
{
    const struct simulated_zone *zone = &w->load->machine.zones[z];

    if (z == UINT32_MAX)
        return; /* call_zone has told */
    load_violation(w->load,
                   "frame %llu of zone %u (%s, node %u) %s; seen by thread %u in its call %llu",
                   (unsigned long long)pfn, z, zone_type_name(zone->type), zone->node, what,
                   w->number, (unsigned long long)w->calls);
}

static void accuse_finding(struct worker *w, uint32_t z, const struct shadow_finding *finding)
{
    char what[LOAD_TEXT / 2];

    if (finding->owners && finding->found)
        (void)snprintf(what, sizeof(what), "%s, by thread %u", finding->what,
                       (finding->found >> CALL_STAMP_BITS) - 1);
    else
        (void)snprintf(what, sizeof(what), "%s (expected %#x, found %#x)", finding->what,
                       finding->expected, finding->found);
    call_accuse(w, z, finding->pfn, what);
}

/* ---- The model ------------------------------------------------------------------------------- */

uint32_t call_find_zone(struct worker *w, uint64_t pfn)
{
    const struct simulated_zone *zone = simulated_zone_of(&w->load->machine, quire_pfn_of(pfn));

    if (zone)
        return (uint32_t)(zone - w->load->machine.zones);
    load_violation(w->load, "frame %llu was handed out and is in no zone; thread %u, its call %llu",
                   (unsigned long long)pfn, w->number, (unsigned long long)w->calls);
    return UINT32_MAX;
}

bool call_take(struct worker *w, uint32_t list, const struct held_run *run, uint32_t flags)
{
    const struct target *target = w->load->target;
    bool zeroed = (flags & QUIRE_ZEROED) != 0;
    uint32_t z = call_zone(w, list, run->pfn);
    struct shadow_finding finding;

    if (z == UINT32_MAX)
        return false;
    if (!quire_zone_holds(w->load->zones[z].zone, quire_pfn_of(run->pfn))) {
        call_accuse(w, z, run->pfn, "was handed out by a zone that does not hold it");
        return false;
    }
    /* Memory that is there is zeroed itself, not its cells of the model. */
    if (!shadow_take(&w->load->shadow, run->pfn, run->frames, run->tag, zeroed && !target->taken,
                     &finding)) {
        accuse_finding(w, z, &finding);
        return false;
    }
    w->checks[CHECK_TAKEN] += run->frames;
    return !target->taken || target->taken(w, z, run, zeroed);
}

bool call_give(struct worker *w, uint32_t list, const struct held_run *run)
{
    const struct target *target = w->load->target;
    uint32_t z = call_zone(w, list, run->pfn);
    struct shadow_finding finding;

    if (z == UINT32_MAX || (target->giving && !target->giving(w, z, run)))
        return false;
    if (!shadow_give(&w->load->shadow, run->pfn, run->frames, run->tag, &finding)) {
        accuse_finding(w, z, &finding);
        return false;
    }
    w->checks[CHECK_GIVEN] += run->frames;
    return true;
}

/* ---- What has to be granted ------------------------------------------------------------------ */

static bool is_exact(const struct worker *w)
{
    return w->load->target->exact_count && w->load->options.threads == 1;
}

uint64_t call_free_count(const struct worker *w, uint32_t list)
{
    return is_exact(w) ? quire_zone_free_frames(w->load->zones[list].zone) : 0;
}

/* What a class of requests must leave in the zone. */
static uint64_t floor_of(const struct load_zone *zone, uint32_t flags)
{
    if (flags & QUIRE_EMERGENCY)
        return 0;
    return flags & QUIRE_HIGH ? zone->before.min / 2 : zone->before.min;
}

void call_floor(struct worker *w, uint32_t list, uint64_t before, uint64_t frames, uint32_t flags,
                int error)
{
    uint64_t floor;

    if (!is_exact(w) || (error && error != QUIRE_ERR_NO_MEMORY))
        return;
    floor = floor_of(&w->load->zones[list], flags);
    w->checks[CHECK_FLOORS]++;
    if ((error == QUIRE_OK) != (before >= frames + floor)) {
        load_violation(
            w->load, "zone %u %s %llu frames, with %llu free and a floor of %llu; its call %llu",
            list, error ? "refused" : "granted", (unsigned long long)frames,
            (unsigned long long)before, (unsigned long long)floor, (unsigned long long)w->calls);
    }
}

/* ---- The calls ------------------------------------------------------------------------------- */

/* Was the request granted? `want` is what it asked for if that was a contiguous run. */
static bool granted(struct worker *w, const struct request *r, const char *what, int error,
                    const struct quire_contig *want, uint64_t pfn)
{
    uint32_t allowed = error ? w->load->target->refusals(w, r, want) : 0;

    return call_answer(w, r->list, what, error, allowed, pfn);
}

/* A run was had as the request asked: is it where it should be, and free? */
static bool check_given(struct worker *w, const struct request *r, const struct held_run *run,
                        uint64_t ns)
{
    const struct target *target = w->load->target;

    return (!target->placed || target->placed(w, r, run, ns)) &&
           call_take(w, r->list, run, r->call.flags);
}

bool call_alloc(struct worker *w, const struct request *r, struct held_run *run)
{
    const struct target *target = w->load->target;
    unsigned order = r->call.order;
    uint64_t before = call_free_count(w, r->list);
    quire_pfn pfn = {0};
    uint64_t begun = call_begin(w);
    int error = target->alloc(w, r, &pfn);
    uint64_t ns = call_end(w, order ? CALL_ALLOC_ORDER : CALL_ALLOC, begun);

    if (order == 0 || !error) /* larger ones may be refused because memory is in pieces */
        call_floor(w, r->list, before, 1ULL << order, r->call.flags, error);
    if (!granted(w, r, "alloc", error, NULL, pfn.n))
        return false;
    *run = (struct held_run){pfn.n, 1u << order, call_tag(w), false};
    fault_double_hand_out(w, r->list, run);
    if (run->pfn & (run->frames - 1)) {
        call_accuse(w, call_zone(w, r->list, run->pfn), run->pfn,
                    "is not aligned to the order that was asked for");
        return false;
    }
    return check_given(w, r, run, order ? 0 : ns);
}

/* The library knows how long the run is. */
static void check_length(struct worker *w, uint32_t list, const struct held_run *run)
{
    uint64_t frames = 0;
    int error = w->load->target->run_length(w, list, quire_pfn_of(run->pfn), &frames);

    w->checks[CHECK_ANSWERS]++;
    if (error || frames != run->frames)
        call_accuse(w, call_zone(w, list, run->pfn), run->pfn,
                    "starts a run whose length was forgotten");
}

void call_free(struct worker *w, uint32_t list, const struct held_run *run, uint64_t bits)
{
    const struct target *target = w->load->target;
    uint64_t begun;
    int error;

    if (target->run_length && (bits & 15) == 0)
        check_length(w, list, run);
    if (!call_give(w, list, run) || fault_lost_frame(w))
        return;
    begun = call_begin(w);
    error = target->free(w, list, run, bits);
    call_end(w,
             run->contig       ? CALL_FREE_CONTIG
             : run->frames > 1 ? CALL_FREE_ORDER
                               : CALL_FREE,
             begun);
    call_answer(w, list, "free of a held run", error, 0, run->pfn);
}

void call_free_handed_over(struct worker *w, struct handover_run got, uint64_t bits)
{
    const struct held_run run = {got.pfn, got.frames, 0, got.contig};
    uint32_t list = 0;

    if (got.frames == 0)
        return;
    if (w->load->target->list_per_zone)
        list = (uint32_t)(simulated_zone_of(&w->load->machine, quire_pfn_of(got.pfn)) -
                          w->load->machine.zones);
    call_free(w, list, &run, bits);
}

uint32_t call_alloc_batch(struct worker *w, const struct request *r,
                          struct held_run runs[LOAD_BATCH])
{
    const struct target *target = w->load->target;
    uint64_t before = call_free_count(w, r->list);
    bool partial = (r->call.flags & QUIRE_PARTIAL) != 0;
    quire_pfn pfns[LOAD_BATCH];
    size_t got = 0;
    uint32_t tag = call_tag(w);
    uint64_t begun = call_begin(w);
    int error = target->alloc_batch(w, r, pfns, &got);
    char place[WHERE_TEXT];

    call_end(w, CALL_ALLOC_BATCH, begun);
    call_floor(w, r->list, before, !error ? got : partial ? 1 : LOAD_BATCH, r->call.flags, error);
    if (!granted(w, r, "alloc_batch", error, NULL, got))
        return 0;
    if (got == 0 || got > LOAD_BATCH || (got < LOAD_BATCH && !partial)) {
        load_violation(w->load, "alloc_batch%s gave %zu frames", where(w, r->list, place), got);
        return 0;
    }
    for (uint32_t i = 0; i < got; i++) {
        runs[i] = (struct held_run){pfns[i].n, 1, tag, false};
        if (!check_given(w, r, &runs[i], 0))
            return 0;
    }
    return (uint32_t)got;
}

void call_free_batch(struct worker *w, uint32_t list, const struct held_run runs[], uint32_t n)
{
    quire_pfn pfns[LOAD_BATCH];
    uint64_t begun;
    int error;

    for (uint32_t i = 0; i < n; i++) {
        pfns[i] = quire_pfn_of(runs[i].pfn);
        if (!call_give(w, list, &runs[i]))
            return;
    }
    begun = call_begin(w);
    error = w->load->target->free_batch(w, list, pfns, n);
    call_end(w, CALL_FREE_BATCH, begun);
    call_answer(w, list, "free_batch of held frames", error, 0, runs[0].pfn);
}

/* Does the run keep the promises of a contiguous allocation? */
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

bool call_alloc_contig(struct worker *w, const struct request *r, const struct quire_contig *want,
                       struct held_run *run)
{
    uint64_t before = call_free_count(w, r->list);
    quire_pfn pfn = {0};
    uint64_t begun = call_begin(w);
    int error = w->load->target->alloc_contig(w, r, want, &pfn);

    call_end(w, CALL_ALLOC_CONTIG, begun);
    if (!granted(w, r, "alloc_contig", error, want, pfn.n))
        return false;
    call_floor(w, r->list, before, want->frames, r->call.flags, error);
    w->checks[CHECK_ANSWERS]++;
    if (!fits(want, pfn.n)) {
        call_accuse(w, call_zone(w, r->list, pfn.n), pfn.n,
                    "starts a contiguous run that breaks its constraints");
        return false;
    }
    *run = (struct held_run){pfn.n, (uint32_t)want->frames, call_tag(w), true};
    return check_given(w, r, run, 0);
}
