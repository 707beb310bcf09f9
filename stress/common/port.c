/* SPDX-License-Identifier: MIT
 *
 * port.c - see port.h.
 */
#include "port.h"

int heard_zero(struct heard *heard, uint64_t frames)
{
    atomic_fetch_add(&heard->zeroed, frames);
    atomic_fetch_add(&heard->zero_calls, 1);
    return heard->zero_answer;
}

void heard_event(struct heard *heard, enum quire_event event)
{
    unsigned i = atomic_fetch_add(&heard->event_count, 1);

    if (i < EVENTS_HEARD)
        heard->events[i] = event;
    if (event == QUIRE_EVENT_LOW)
        atomic_fetch_add(&heard->lows, 1);
}

void heard_report(struct heard *heard, enum quire_report what, quire_pfn pfn, int error)
{
    atomic_fetch_add(what == QUIRE_REPORT_WITHDRAWN ? &heard->withdrawn : &heard->reports, 1);
    atomic_store(&heard->report, (int)what);
    atomic_store(&heard->report_error, error);
    atomic_store(&heard->report_pfn, pfn.n);
}

static int on_zero(void *ctx, quire_pfn pfn, uint64_t frames)
{
    (void)pfn;
    return heard_zero(ctx, frames);
}

static void on_event(void *ctx, struct quire_zone *zone, enum quire_event event)
{
    (void)zone;
    heard_event(ctx, event);
}

static void on_report(void *ctx, struct quire_zone *zone, enum quire_report what, quire_pfn pfn,
                      int error)
{
    (void)zone;
    heard_report(ctx, what, pfn, error);
}

struct quire_port counting_port(struct heard *heard)
{
    return (struct quire_port){
        .ctx = heard, .zero = on_zero, .event = on_event, .report = on_report};
}
