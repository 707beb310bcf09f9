/* SPDX-License-Identifier: MIT
 *
 * random_load.h - one CPU's random mix of everything that allocates, checked frame by frame.
 *
 * A mix holds what it got in a table of its own. The same code runs as a thread, in a timer
 * interrupt and in an NMI, each with a mix of its own: a mix is for one context at a time.
 */
#ifndef KERNEL_PORT_TESTS_RANDOM_LOAD_H
#define KERNEL_PORT_TESTS_RANDOM_LOAD_H

#include "kernel-port/kernel/lib/random.h"

#include <quire/types.h>

#include <stdbool.h>
#include <stdint.h>

struct mix_run {
    quire_pfn pfn;
    uint64_t frames, tag;
    uint32_t order;
    bool contiguous; /* freed by quire_zone_free_contig */
};

struct mix {
    random random;
    uint64_t next_tag;
    uint32_t flags;    /* in every request: QUIRE_NO_CALLBACK of an NMI */
    uint32_t capacity; /* runs that it may hold */
    uint32_t held;
    uint32_t calls; /* to the allocator, so far */
    uint32_t refused;
    struct mix_run *runs;
};

/* An empty mix with its table on the CPU's node. `who` must differ between mixes. */
struct mix *mix_make(uint32_t capacity, uint32_t flags, uint64_t seed, uint32_t who, uint32_t node);
void mix_unmake(struct mix *m);

/* One random step: allocate something, or free something. */
void mix_step(struct mix *m);

/* A short one: a single frame or a small run, allocated or freed. */
void mix_small_step(struct mix *m);

/* Free all. */
void mix_empty(struct mix *m);

#endif /* KERNEL_PORT_TESTS_RANDOM_LOAD_H */
