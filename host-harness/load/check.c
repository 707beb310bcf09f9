/* SPDX-License-Identifier: MIT
 *
 * check.c - the parts of checked calls of check.h.
 */
#include "check.h"

#include "random.h"

#include <stdio.h>

uint32_t check_tag(struct worker *w)
{
    w->stamp = (w->stamp + 1) & ((1u << CHECK_STAMP_BITS) - 1);
    return (w->number + 1) << CHECK_STAMP_BITS | w->stamp;
}

void check_accuse(struct worker *w, uint32_t z, uint64_t pfn, const char *what)
{
    const struct simulated_zone *zone = &w->run->machine.zones[z];

    run_violation(w->run,
                  "frame %llu of zone %u (%s, node %u) %s; seen by thread %u in its call %llu",
                  (unsigned long long)pfn, z, machine_zone_type_name(zone->type), zone->node, what,
                  w->number, (unsigned long long)w->calls);
}

static void accuse_finding(struct worker *w, uint32_t z, const struct shadow_finding *finding)
{
    char what[RUN_TEXT / 2];

    if (finding->owners && finding->found)
        (void)snprintf(what, sizeof(what), "%s, by thread %u", finding->what,
                       (finding->found >> CHECK_STAMP_BITS) - 1);
    else
        (void)snprintf(what, sizeof(what), "%s (expected %#x, found %#x)", finding->what,
                       finding->expected, finding->found);
    check_accuse(w, z, finding->pfn, what);
}

bool check_answer(struct worker *w, uint32_t z, const char *what, int error, uint32_t allowed,
                  uint64_t pfn)
{
    bool known = error < 0 && error > -QUIRE_ERRORS;

    w->outcome = random_mix(w->outcome ^ (error ? (uint64_t)-error << 56 : pfn));
    if (!error)
        return true;
    if (known)
        w->failures[-error]++;
    if (!known || !(allowed & CHECK_ALLOWED(error))) {
        run_violation(w->run,
                      "%s in zone %u, frame %llu: answered \"%s\" (%d); thread %u, its "
                      "call %llu",
                      what, z, (unsigned long long)pfn, quire_strerror(error), error, w->number,
                      (unsigned long long)w->calls);
    }
    return false;
}

bool check_take(struct worker *w, uint32_t z, const struct record *record, uint32_t flags)
{
    struct shadow_finding finding;

    if (!quire_zone_holds(check_zone(w, z), quire_pfn_of(record->pfn))) {
        check_accuse(w, z, record->pfn, "was handed out by a zone that does not hold it");
        return false;
    }
    if (!shadow_take(&w->run->shadow, record->pfn, record->frames, record->tag,
                     (flags & QUIRE_ZEROED) != 0, &finding)) {
        accuse_finding(w, z, &finding);
        return false;
    }
    w->checks.taken += record->frames;
    return true;
}

bool check_give(struct worker *w, uint32_t z, const struct record *record)
{
    struct shadow_finding finding;

    if (!shadow_give(&w->run->shadow, record->pfn, record->frames, record->tag, &finding)) {
        accuse_finding(w, z, &finding);
        return false;
    }
    w->checks.given += record->frames;
    return true;
}

uint64_t check_free_count(const struct worker *w, uint32_t z)
{
    return w->run->options.threads == 1 ? quire_zone_free_frames(check_zone(w, z)) : 0;
}

/* What a class of requests must leave in the zone. */
static uint64_t floor_of(const struct run_zone *zone, uint32_t flags)
{
    if (flags & QUIRE_EMERGENCY)
        return 0;
    return flags & QUIRE_HIGH ? zone->before.min / 2 : zone->before.min;
}

void check_floor(struct worker *w, uint32_t z, uint64_t before, uint64_t frames, uint32_t flags,
                 int error)
{
    uint64_t floor = floor_of(&w->run->zones[z], flags);

    if (w->run->options.threads != 1 || (error && error != QUIRE_ERR_NO_MEMORY))
        return;
    w->checks.floors++;
    if ((error == QUIRE_OK) != (before >= frames + floor)) {
        run_violation(w->run,
                      "zone %u %s %llu frames, with %llu free and a floor of %llu; its "
                      "call %llu",
                      z, error ? "refused" : "granted", (unsigned long long)frames,
                      (unsigned long long)before, (unsigned long long)floor,
                      (unsigned long long)w->calls);
    }
}
