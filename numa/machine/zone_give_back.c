/* SPDX-License-Identifier: MIT
 *
 * zone_give_back.c - what is done with memory that the machine does not use: it is given back to
 * whoever is outside, on demand or after a time; or zeroed ahead of need.
 *
 * The zones do it (core/alloc/give_back.c, zero_idle.c). What a cache holds reads as used there, so
 * a demand for all that is free drains first; what has been idle left its cache long ago
 * (quire_machine_maintain). The caller is a reader of the snapshot while the zones' ports are at
 * work, as it is for their `zero`: a change of the machine waits for them.
 *
 * No state. Lock-free but for what the ports do.
 */
#include "numa/machine/machine.h"

/* Has the zone frames that may go, for this node or (QUIRE_NO_NODE) any? */
static bool may_give(const struct machine_entry *e, quire_node node)
{
    return (node.n == QUIRE_NO_NODE || node.n == e->zone->node.n) && e->zone->port.discard;
}

/* The frames of these zones that are here. */
static uint64_t frames_here(const struct machine_snapshot *s, quire_node node)
{
    uint64_t here = 0;

    for (uint32_t i = 0; i < s->entry_count; i++) {
        const struct quire_zone *z = &s->entries[i].zone->zone;
        uint64_t gone = quire_zone_gone_frames(z), managed = quire_zone_managed(z);

        if (node.n == QUIRE_NO_NODE || node.n == s->entries[i].zone->node.n)
            here += managed > gone ? managed - gone : 0;
    }
    return here;
}

/* The answer after one more zone's. The first refusal stays: that another zone has nothing to do
 * does not make it a success. QUIRE_ERR_UNSUPPORTED does not stay, as another zone may be able to.
 */
static int answers_so_far(int before, int answer)
{
    return before == QUIRE_ERR_UNSUPPORTED || before == QUIRE_OK ? answer : before;
}

/* Give up to `most` frames, of the last zones first: they are asked last. */
static int give_of_zones(const struct machine_reader *r, quire_node node, uint32_t idle,
                         uint64_t most, uint64_t *frames)
{
    int error = QUIRE_ERR_UNSUPPORTED;

    for (uint32_t i = r->snapshot->entry_count; i > 0; i--) {
        const struct machine_entry *e = &r->snapshot->entries[i - 1];
        struct quire_give_back how = {.keep = 0, .most = most - *frames, .idle = idle};
        uint64_t some = 0;
        int answer;

        if (!may_give(e, node))
            continue;
        if (how.most < BLOCK_FRAMES)
            return QUIRE_OK;
        answer = quire_zone_give_back(&e->zone->zone, entry_slot(e, r->cpu), &how, &some);
        *frames += some;
        error = answers_so_far(error, answer);
    }
    return error;
}

int quire_machine_give_back(struct quire_machine *m, quire_node node,
                            const struct quire_give_back *how, uint64_t *frames)
{
    struct machine_reader r;
    uint64_t here;
    int error = QUIRE_ERR_NODE;

    *frames = 0;
    if (how->idle > UINT16_MAX)
        return QUIRE_ERR_SIZE;
    qi_machine_enter(m, &r);
    if (node.n == QUIRE_NO_NODE || node.n < r.snapshot->topology.node_count) {
        (void)qi_remote_drain_all(&r, false);
        for (uint32_t i = 0; i < r.snapshot->entry_count; i++)
            if (may_give(&r.snapshot->entries[i], node))
                qi_entry_drain(&r.snapshot->entries[i], false);
        here = frames_here(r.snapshot, node);
        here = here > how->keep ? here - how->keep : 0;
        error = give_of_zones(&r, node, how->idle, how->most && how->most < here ? how->most : here,
                              frames);
        if (*frames > 0)
            error = QUIRE_OK;
    }
    qi_machine_leave(&r);
    return error;
}

/* Another age begins in all zones; what was free for as many as the machine says goes. */
void qi_machine_give_idle(const struct machine_reader *r)
{
    uint32_t idle = r->machine->give_back_after;
    uint64_t frames = 0;

    for (uint32_t i = 0; i < r->snapshot->entry_count; i++)
        quire_zone_age(&r->snapshot->entries[i].zone->zone);
    if (idle > 0)
        (void)give_of_zones(r, quire_node_of(QUIRE_NO_NODE), idle, UINT64_MAX, &frames);
}

int quire_machine_zero_idle(struct quire_machine *m, quire_node node, uint64_t most,
                            uint64_t *frames)
{
    struct machine_reader r;
    int error = QUIRE_ERR_NODE;

    *frames = 0;
    qi_machine_enter(m, &r);
    if (node.n == QUIRE_NO_NODE || node.n < r.snapshot->topology.node_count)
        error = QUIRE_ERR_UNSUPPORTED;
    for (uint32_t i = 0; i < r.snapshot->entry_count && error != QUIRE_ERR_NODE; i++) {
        const struct machine_entry *e = &r.snapshot->entries[i];
        uint64_t some = 0;
        int answer;

        if ((node.n != QUIRE_NO_NODE && node.n != e->zone->node.n) || !e->zone->port.zero)
            continue;
        answer = quire_zone_zero_idle(&e->zone->zone, entry_slot(e, r.cpu), most - *frames, &some);
        *frames += some;
        error = answers_so_far(error, answer);
    }
    if (*frames > 0)
        error = QUIRE_OK;
    qi_machine_leave(&r);
    return error;
}

int quire_machine_free_zeroed(struct quire_machine *m, quire_pfn pfn, unsigned order)
{
    struct machine_reader r;
    const struct machine_entry *e = machine_enter_at(m, pfn, &r);
    int error = e ? quire_zone_free_zeroed(&e->zone->zone, entry_slot(e, r.cpu), pfn, order)
                  : QUIRE_ERR_FRAME;

    qi_machine_leave(&r);
    return error;
}
