/* SPDX-License-Identifier: MIT
 *
 * port.h - what the environment supplies to the layers. One small table, filled by the kernel or
 * program that embeds Quire (kernel-port/ and host-harness/ are the two that come with it).
 *
 * Every member may be NULL: a NULL `zero` makes QUIRE_ZEROED answer QUIRE_ERR_UNSUPPORTED, a NULL
 * `event` drops notifications, a NULL `report` drops reports. The functions are called from the
 * context of the caller of the allocator, with nothing held, but that the frames which `discard`,
 * `install` and `zero` are called for are nobody's meanwhile. They may call the allocator again,
 * with QUIRE_NO_CALLBACK if they must not be re-entered; but for `install`, see there.
 */
#ifndef QUIRE_PORT_H
#define QUIRE_PORT_H

#include <quire/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct quire_zone;

/* Crossings of a zone's watermarks; each is told once per crossing, by the call that noticed it: an
 * allocation, or a free for RECOVERED (so also from the context of a free). Two threads may tell
 * two crossings at the same time, and the later one may arrive first: ask the zone how it is. */
enum quire_event {
    QUIRE_EVENT_LOW = 0,       /* free frames fell below `low`: wake the reclaimer */
    QUIRE_EVENT_MIN = 1,       /* free frames fell below `min`: only urgent requests pass now */
    QUIRE_EVENT_RECOVERED = 2, /* free frames are back at `high` or above */
};
enum { QUIRE_EVENTS = 3, QUIRE_EVENTS_ROOM = 8 };

/* Misuse that the allocator noticed on the way, told besides the error that the caller gets. */
enum quire_report {
    QUIRE_REPORT_BAD_FREE = 0,  /* a free was refused; `error` says why */
    QUIRE_REPORT_WITHDRAWN = 1, /* a block's map was damaged by racing bad frees; it is set aside */
};

struct quire_port {
    void *ctx; /* handed back to every function below */
    /* Make `frames` frames from `pfn` read as zeros. 0, or a quire_error, which zone.h and cache.h
     * pass on. A machine takes QUIRE_ERR_NO_MEMORY and QUIRE_ERR_SIZE for the zone's own and asks
     * the next one; so for a failure that is no other zone's either, answer something else. */
    int (*zero)(void *ctx, quire_pfn pfn, uint64_t frames);
    /* A watermark was crossed. Not called for requests with QUIRE_NO_CALLBACK. */
    void (*event)(void *ctx, struct quire_zone *zone, enum quire_event event);
    /* Something was wrong with the frame `pfn`. Must not assume any context. */
    void (*report)(void *ctx, struct quire_zone *zone, enum quire_report what, quire_pfn pfn,
                   int error);
    /* The number of the CPU that the caller runs on; it may run on another one the instant after.
     * Asked by per-CPU caches in exchange and local mode; without it they go to the zone. */
    uint32_t (*cpu)(void *ctx);
    /* Memory is given back (quire_zone_give_back): the contents of these free blocks are not
     * needed, and whoever is outside may take it. 0, or a quire_error: then they stay as they are.
     */
    int (*discard)(void *ctx, quire_pfn pfn, uint64_t frames);
    /* What `discard` gave away is about to be used: have it here. *zeroed, false before, may be set
     * to true: it reads as zeros, all of it. 0, or a quire_error: there is none, now. Then these
     * blocks stay gone, and the request goes on elsewhere. Called in whatever context allocates, so
     * in any, and whatever the request's flags, QUIRE_NO_CALLBACK among them. So it must not
     * allocate from a zone that gives back, but where blocks that are here are sure to do, which no
     * flag asks for: else it is called again, inside itself. NULL: nothing has to be done, and
     * nothing is known of what they read. */
    int (*install)(void *ctx, quire_pfn pfn, uint64_t frames, bool *zeroed);
    /* For caches in local mode (cache.h): have CPU `cpu` call quire_cache_answer soon, say by an
     * interrupt, which wakes it if it sleeps; if that is the CPU that this runs on, by calling it
     * here, with preemption off. To wait until it has answered makes drains complete, and refusals
     * exact. Not called for requests with QUIRE_NO_CALLBACK; else in every context that allocates,
     * so who waits must answer itself meanwhile, where the other CPU may be waiting too. False: the
     * CPU is offline, or there is none. NULL: CPUs answer when they come to it. */
    bool (*ask_drain)(void *ctx, uint32_t cpu);
    uint64_t room[2]; /* zero, see version.h */
};

#ifdef __cplusplus
}
#endif

#endif /* QUIRE_PORT_H */
