/* SPDX-License-Identifier: MIT
 *
 * nodes_plug.c - frames taken out of use and put back, by a thread of the load, while the
 * others go on.
 *
 * What is in the way is offered to node_offline's owner of pages, the page cache: a page of it can
 * be dropped. While the range is out of use the model says that this thread holds it, so that
 * whoever is handed a frame of it shows.
 */
#include "calls.h"
#include "check.h"
#include "nodes.h"

enum { BLOCKERS = 32 };

/* The owner of a page: 0 if it freed it. */
static int migrate(void *ctx, quire_pfn pfn, uint64_t frames)
{
    struct worker *w = ctx;

    if (frames != 1 || !shelf_drop_one(w, pfn.n))
        return QUIRE_ERR_BUSY;
    nodes_thread(w)->moved++;
    return QUIRE_OK;
}

static void check_blockers(struct worker *w, struct quire_run range,
                           const struct quire_blocker blockers[], size_t count)
{
    for (size_t i = 0; i < count && i < BLOCKERS; i++) {
        uint64_t first = blockers[i].pfn.n;

        if (first + blockers[i].frames <= range.pfn.n || first >= range.pfn.n + range.frames)
            run_violation(w->run, "offlining %llu frames at %llu is blocked by frame %llu, outside",
                          (unsigned long long)range.frames, (unsigned long long)range.pfn.n,
                          (unsigned long long)first);
    }
}

/* Is it all memory in use? Holes and what is reserved cannot be put back. */
static bool is_whole(struct worker *w, struct quire_run range)
{
    const struct simulated_zone *zone = machine_zone_of(&w->run->machine, range.pfn);

    for (uint64_t i = 0; i < range.frames; i++) {
        enum quire_frame_state state;

        if (!zone || quire_zone_frame_state(&zone->zone, quire_pfn_of(range.pfn.n + i), &state) ||
            state == QUIRE_FRAME_RESERVED || state == QUIRE_FRAME_HOLE)
            return false;
    }
    return true;
}

static void take_out_and_back(struct worker *w, struct quire_run range)
{
    struct quire_machine *machine = w->run->nodes->machine;
    struct quire_blocker blockers[BLOCKERS];
    size_t count = 0;
    struct record record = {range.pfn.n, (uint32_t)range.frames, 0, true};
    int error;

    w->calls++;
    error = quire_machine_offline(machine, range, migrate, w, blockers, BLOCKERS, &count);
    if (error == QUIRE_ERR_BUSY)
        check_blockers(w, range, blockers, count);
    if (!node_answer(w, "offline", error, CHECK_ALLOWED(QUIRE_ERR_BUSY) | 1, range.pfn.n))
        return;
    record.tag = check_tag(w);
    if (!node_take(w, &record, 0) || !node_give(w, &record))
        return;
    nodes_thread(w)->offlined += range.frames;
    do {
        error = quire_machine_online(machine, range);
    } while (error == QUIRE_ERR_BUSY && !run_violated(w->run));
    node_answer(w, "online", error, 1, range.pfn.n);
}

/* One thread at a time: of a range that is out of use already, offlining takes nothing away. */
void node_offline(struct worker *w, struct quire_run range)
{
    pthread_mutex_t *plugging = &w->run->nodes->plugging;

    if (pthread_mutex_trylock(plugging))
        return;
    if (is_whole(w, range))
        take_out_and_back(w, range);
    pthread_mutex_unlock(plugging);
}
