/* SPDX-License-Identifier: MIT
 *
 * rig.h - a page table of any format over a small physical memory, with the processor beside it.
 *
 * The port is watched: each frame that is given for a table must come back, once; with a window no
 * more than two frames are open, the last one opened is closed first; what a format with
 * break-before-make invalidates is not mapped at that moment. Without a window, calls may come from
 * any number of threads.
 */
#ifndef QUIRE_STRESS_VM_RIG_H
#define QUIRE_STRESS_VM_RIG_H

#include "mmu.h"

#include "core/atomic.h"

enum {
    RIG_FRAMES = 4096, /* for tables */
    RIG_FORMATS = 8,
    RIG_FIRST = 0x500, /* the first frame's number */
    RIG_TLB = 64,
};

/* A format, and the processor that reads it. */
struct rig_format {
    const struct quire_paging_format *format;
    enum mmu_kind kind;
    uint64_t base; /* where its tests map: 2 GiB, around a border of large tables */
};
extern const struct rig_format rig_formats[RIG_FORMATS];

struct rig_translation {
    uint64_t virt, size, phys;
    uint32_t access; /* 0: none */
};

struct rig {
    const struct rig_format *which;
    struct mmu_memory memory;
    struct mmu mmu;
    struct quire_paging paging;
    struct quire_paging_port port;
    struct quire_table_pool pool;
    uint64_t taken[RIG_FRAMES / 64] __attribute__((aligned(8)));
    uint64_t fail_in; /* the so-manyth table from now on is refused; 0: none */
    bool failed;      /* one was */
    unsigned open;    /* frames, in the window */
    qa64 invalidations;
    bool window;
    struct rig_translation tlb[RIG_TLB];
};

/* Build an empty page table. */
void rig_begin(struct rig *rig, const struct rig_format *which, bool window);

/* Destroy it; fails the test if a table is missing. */
void rig_end(struct rig *rig);

/* Frames that are tables now. */
uint64_t rig_tables(const struct rig *rig);

/* An access by way of the TLB, which it may fill. */
enum mmu_answer rig_access(struct rig *rig, uint64_t virt, uint32_t access, struct mmu_page *page);

/* Forget what was gathered, and empty the structure. */
void rig_forget(struct rig *rig, struct quire_gather *gather);

/* Fails the test if the TLB grants what the page table does not. */
void rig_check_tlb(struct rig *rig);

/* A page to be mapped: normal memory of this access, marked as accessed and dirty. */
struct quire_page rig_page(uint64_t phys, uint32_t access);

#endif /* QUIRE_STRESS_VM_RIG_H */
