/* SPDX-License-Identifier: MIT
 *
 * cache_rig.h - what the tests of the per-CPU caches share: a zone with a cache in front of it (a
 * rig), a way to run on a CPU of choice, and checks of the whole. White-box: the checks look inside
 * the CPU caches.
 *
 * Every test body runs in a mode of ownership that the command line names:
 *   exchange  the CPU is what the rig says (rig.cpu), so any number of CPUs can be played.
 *   rseq      the CPU is the real one; to run on another means to be moved there by the kernel.
 *             Where it does not work, the program says why and ends with SKIPPED.
 *   local     as exchange; a CPU that is asked for something (ask_drain of port.h) is played, too,
 *             and answers at once, unless the rig says otherwise.
 *   fallback  the cache is asked for AUTO and must have chosen exchange by itself.
 * `cpu_name(i)` is the number of the i-th CPU that a test may run on in this mode.
 *
 * A rig is used by one test; its port's functions only count and may be called by any thread.
 */
#ifndef QUIRE_STRESS_PERCPU_CACHE_RIG_H
#define QUIRE_STRESS_PERCPU_CACHE_RIG_H

#include "stress/common/die.h"
#include "stress/common/port.h"
#include "stress/common/sanitized.h"
#include "stress/common/sizes.h"

#include <quire/cache.h>

struct rig {
    struct heard heard; /* by the zone's port, whose ctx is the rig */

    /* What to build: rig_begin sets defaults, a test may change them before rig_open. */
    struct quire_run usable[2];
    struct quire_zone_config zone_config;
    struct quire_cache_config cache_config;

    struct quire_zone zone;
    struct quire_cache cache;
    void *metadata, *memory;

    uint32_t cpu;              /* not rseq mode: the CPU that callers seem to run on; or ... */
    uint32_t (*cpu_now)(void); /* ... if not NULL, how to find it */
    bool (*ask)(uint32_t cpu); /* if not NULL, what the port's ask_drain does */
    unsigned asks;             /* calls of it; atomic */
};

/* The mode of this run. `select_mode` reads it from the command line; if it does not work here it
 * prints why and exits with SKIPPED. */
extern enum quire_cache_mode mode;
extern bool mode_is_fallback;
void select_mode(int argc, char *const argv[]);

/* A zone of `frames` frames from block 2 on, without watermarks, and a cache of `cpus` CPUs (or
 * more, if the names of two real CPUs ask for it) with automatic sizes. */
void rig_begin(struct rig *r, uint64_t frames);
void rig_open(struct rig *r);
/* Check, empty the cache, check again, give up the memory. `used`: frames that are not freed. */
void rig_close(struct rig *r, uint64_t used);

/* How many CPUs a test may run on (at least 1), the name of one of them, and going there. */
uint32_t cpu_count(void);
uint32_t cpu_name(uint32_t i);
void run_on(struct rig *r, uint32_t i);
/* Nail the calling thread, and those that it starts later, to one real CPU, whatever the mode. */
void stay_here(void);
/* The real CPUs that this process uses, whatever the mode: the i-th, whether one is among them, and
 * nailing the calling thread to one. */
uint32_t cpus_allowed(void);
uint32_t cpu_allowed(uint32_t i);
bool cpu_is_allowed(uint32_t cpu);
void keep_to(uint32_t cpu);

/* Frames in CPU caches and depot. */
uint64_t cached_frames(const struct rig *r);

/* At a quiescent moment: K1 to K4 hold of every CPU cache, no frame is in two places of the CPU
 * caches, the figures are within the bound, free + cached + used = managed, and the zone is
 * consistent. Aborts if not. */
void check_rest(const struct rig *r, uint64_t used);

#endif /* QUIRE_STRESS_PERCPU_CACHE_RIG_H */
