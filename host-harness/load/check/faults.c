/* SPDX-License-Identifier: MIT
 *
 * faults.c - the mistakes that --inject makes on purpose, which the verdict must find. The first
 * thread makes them, after enough calls for there to be frames of every state.
 *
 * State: fault_done of the worker. Called by its thread. Wait-free but for the free of the double.
 */
#include "calls.h"

enum { FAULT_CALLS = 1000 }; /* calls before a fault is injected */

static bool is_due(const struct worker *w, enum load_fault fault)
{
    return w->load->options.fault == fault && w->number == 0 && !w->fault_done &&
           w->calls >= FAULT_CALLS;
}

/* The double is on the same node, or it would be found for being on a wrong one. */
void fault_double_hand_out(struct worker *w, uint32_t list, struct held_run *run)
{
    const struct simulated_zone *zones = w->load->machine.zones;
    const struct held_list *held = &w->held[list];
    uint32_t z, other;

    if (!is_due(w, FAULT_DOUBLE_HAND_OUT) || held->count == 0 || run->frames != 1)
        return;
    z = call_zone(w, list, run->pfn);
    other = call_zone(w, list, held->runs[0].pfn);
    if (z == UINT32_MAX || other == UINT32_MAX || zones[z].node != zones[other].node)
        return;
    (void)w->load->target->free(w, list, run, UINT64_MAX);
    run->pfn = held->runs[0].pfn;
    w->fault_done = true;
}

bool fault_lost_frame(struct worker *w)
{
    if (!is_due(w, FAULT_LOST_FRAME))
        return false;
    w->fault_done = true;
    return true;
}

bool fault_wrong_node(const struct worker *w)
{
    return is_due(w, FAULT_WRONG_NODE);
}
