/* SPDX-License-Identifier: MIT
 *
 * port.h - a zone's port that counts what it hears. Its functions may be called by any thread.
 */
#ifndef QUIRE_STRESS_COMMON_PORT_H
#define QUIRE_STRESS_COMMON_PORT_H

#include <quire/zone.h>

#include <stdatomic.h>

enum { EVENTS_HEARD = 32 };

struct heard {
    _Atomic unsigned zero_calls, lows, reports, withdrawn;
    _Atomic uint64_t zeroed; /* frames */
    /* Events in the order of their coming; those beyond EVENTS_HEARD are counted only. */
    _Atomic unsigned event_count;
    enum quire_event events[EVENTS_HEARD];
    /* The last report. */
    _Atomic int report, report_error;
    _Atomic uint64_t report_pfn;

    int zero_answer; /* what `zero` returns */
};

/* A port with `zero`, `event` and `report`. Its ctx is the record, which must stay; as the first
 * member of a struct it leaves room for functions that want more. */
struct quire_port counting_port(struct heard *heard);

/* What each of them does, for a port that does more. `withdrawn` counts the reports of frames that
 * were withdrawn, `reports` all others. */
int heard_zero(struct heard *heard, uint64_t frames);
void heard_event(struct heard *heard, enum quire_event event);
void heard_report(struct heard *heard, enum quire_report what, quire_pfn pfn, int error);

#endif /* QUIRE_STRESS_COMMON_PORT_H */
