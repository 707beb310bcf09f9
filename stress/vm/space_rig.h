/* SPDX-License-Identifier: MIT
 *
 * space_rig.h - address spaces of any format over a small physical memory, with processors beside
 * them that have a TLB each.
 *
 * The port is watched: each frame that is given must come back, once, with the order that it has by
 * then; with a window no more than three frames are open, the last one opened is closed first.
 * Frames and tables have any content when they are given. Tables are retired at once: so calls come
 * from one thread, or port.paging.retire is another one. Without a window and large pages, calls
 * may come from any number of threads; the processors' TLBs are one thread's.
 */
#ifndef QUIRE_STRESS_VM_SPACE_RIG_H
#define QUIRE_STRESS_VM_SPACE_RIG_H

#include "rig.h"

#include <quire/space.h>

enum {
    SPACE_RIG_FIRST = 0x400,
    SPACE_RIG_SMALL = 2048, /* frames that are given one by one; behind them runs for large pages */
    SPACE_RIG_LARGE = 4 * 1024,
    SPACE_RIG_FRAMES = SPACE_RIG_SMALL + SPACE_RIG_LARGE,
    SPACE_RIG_CPUS = 2,
    SPACE_RIG_TLB = 64,
};

struct space_rig {
    const struct rig_format *which;
    struct mmu_memory memory;
    struct quire_shares shares;
    struct quire_space_config config;
    struct quire_table_pool pool;
    uint64_t taken[SPACE_RIG_SMALL / 64] __attribute__((aligned(8)));
    uint8_t large[SPACE_RIG_LARGE]; /* 0: free, 1: single, 2: first of a run, 3: in a run */
    uint64_t fail_in;               /* the so-manyth frame from now on is refused; 0: none */
    bool failed;                    /* one was */
    unsigned open;
    qa64 invalidations;
    qa64 pages;                        /* of the kernel's memory that are given */
    const struct quire_policy *policy; /* the only one that may be asked for, besides none, */
    qa64 by_policy;                    /* and how often it was */
    bool window, with_tlb;
    bool forgotten;       /* something was invalidated since tables were retired last */
    uint64_t retired;     /* tables, so far */
    void (*during)(void); /* called while something is invalidated; may be NULL */
    struct rig_translation tlb[SPACE_RIG_CPUS][SPACE_RIG_TLB];
    const struct quire_space *loaded[SPACE_RIG_CPUS]; /* what is in the CPU's TLB */
};

void space_rig_begin(struct space_rig *rig, const struct rig_format *which, bool window);

/* Fails the test if a frame is missing. */
void space_rig_end(struct space_rig *rig);

/* Frames that are given, tables included. */
uint64_t space_rig_used(const struct space_rig *rig);

/* An access that all formats have, with and without QUIRE_WRITE. */
uint32_t space_rig_access(const struct space_rig *rig, uint32_t access);

/* What a program does: read or write a word, with faults as they come. 0, or the fault's error. */
int space_rig_read(struct space_rig *rig, unsigned cpu, struct quire_space *space, uint64_t virt,
                   uint64_t *word);
int space_rig_write(struct space_rig *rig, unsigned cpu, struct quire_space *space, uint64_t virt,
                    uint64_t word);

/* The word's place by the page table alone, without a fault; NULL: the access is refused. */
uint64_t *space_rig_walk(struct space_rig *rig, struct quire_space *space, uint64_t virt,
                         uint32_t access);

/* The CPU loads another root: its TLB is empty. */
void space_rig_leave(struct space_rig *rig, unsigned cpu);

/* Anonymous memory of this range and access. */
struct quire_area space_rig_area(uint64_t start, uint64_t bytes, uint32_t access);

#endif /* QUIRE_STRESS_VM_SPACE_RIG_H */
