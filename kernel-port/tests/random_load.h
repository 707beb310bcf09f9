/* SPDX-License-Identifier: MIT
 *
 * random_load.h - one CPU's random load of everything that allocates, checked frame by frame.
 *
 * A load holds what it got in a table of its own. The same code runs as a thread, in a timer
 * interrupt and in an NMI, each with a load of its own: a load is for one context at a time.
 */
#ifndef KERNEL_PORT_TESTS_RANDOM_LOAD_H
#define KERNEL_PORT_TESTS_RANDOM_LOAD_H

#include "kernel-port/kernel/lib/random.h"

#include <quire/types.h>

#include <stdbool.h>
#include <stdint.h>

struct random_load_run {
    quire_pfn pfn;
    uint64_t frames, tag;
    uint32_t order;
    bool contiguous; /* freed by quire_zone_free_contig */
};

struct random_load {
    random random;
    uint64_t next_tag;
    uint32_t flags;    /* in every request: QUIRE_NO_CALLBACK of an NMI */
    uint32_t capacity; /* runs that it may hold */
    uint32_t held;
    uint32_t calls; /* to the allocator, so far */
    uint32_t refused;
    struct random_load_run *runs;
};

/* An empty load with its table on the CPU's node. `who` must differ between loads. */
struct random_load *random_load_make(uint32_t capacity, uint32_t flags, uint64_t seed, uint32_t who,
                                     uint32_t node);
void random_load_unmake(struct random_load *m);

/* One random step: allocate something, or free something. */
void random_load_step(struct random_load *m);

/* A short one: a single frame or a small run, allocated or freed. */
void random_load_small_step(struct random_load *m);

/* Free all. */
void random_load_empty(struct random_load *m);

#endif /* KERNEL_PORT_TESTS_RANDOM_LOAD_H */
