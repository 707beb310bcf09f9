/* SPDX-License-Identifier: MIT
 *
 * gigabyte_unit.h - what the tests of pages of 1 GiB have in common: two gigabytes beside the
 * memory of a space_rig, which are there as far as something touches them, and a frame source that
 * knows of each frame of them whether it is given, and as a part of which run.
 */
#ifndef QUIRE_STRESS_VM_GIGABYTES_GIGABYTE_UNIT_H
#define QUIRE_STRESS_VM_GIGABYTES_GIGABYTE_UNIT_H

#include "stress/vm/space_unit.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#define GIGABYTE QUIRE_PAGE_1G
enum {
    GIGA_ORDER = QUIRE_GIGABYTE_ORDER,
    GIGA_FRAMES = 1 << GIGA_ORDER,
    GIGA_FIRST = 1 << GIGA_ORDER, /* frames behind the rig's, and then aligned */
    GIGA_MOST = 2,
    BLOCK_ORDER = 9,
    BLOCK_FRAMES = 1 << BLOCK_ORDER,
    BLOCKS = GIGA_MOST * GIGA_FRAMES / BLOCK_FRAMES,
};

enum block_state { NOT_GIVEN = 0, IN_GIGABYTE, ONE_RUN, SINGLE_FRAMES };

static struct {
    unsigned count;   /* gigabytes that can be had */
    unsigned taken;   /* how often one was, */
    unsigned asked;   /* and how often one was asked for */
    unsigned zeroing; /* frames that were opened */
    bool dirty;       /* none is known to read as zeros */
    bool one_frame;   /* they are opened as one and the same frame, so nothing takes memory */
    bool refuse_split;
    void (*during)(void); /* called while one is taken; may be NULL */
    struct quire_frame_source small;
    pthread_mutex_t lock;
    uint8_t block[BLOCKS];
    uint64_t single[BLOCKS][BLOCK_FRAMES / 64];
} giga = {.lock = PTHREAD_MUTEX_INITIALIZER};

static unsigned char one_frame[QUIRE_FRAME_SIZE];

static inline bool is_of_gigabytes(quire_pfn pfn)
{
    return pfn.n >= GIGA_FIRST;
}

static inline uint64_t block_at(quire_pfn pfn)
{
    assert_in_range(pfn.n, GIGA_FIRST, GIGA_FIRST + GIGA_MOST * (uint64_t)GIGA_FRAMES - 1);
    return (pfn.n - GIGA_FIRST) / BLOCK_FRAMES;
}

static inline bool block_is_back(uint64_t b)
{
    for (unsigned i = 0; i < BLOCK_FRAMES / 64; i++)
        if (giga.single[b][i])
            return false;
    return giga.block[b] == NOT_GIVEN || giga.block[b] == SINGLE_FRAMES;
}

static inline bool gigabyte_is_back(unsigned i)
{
    const uint64_t blocks = GIGA_FRAMES / BLOCK_FRAMES;

    for (uint64_t b = i * blocks; b < (i + 1) * blocks; b++)
        if (!block_is_back(b))
            return false;
    return true;
}

/* The blocks of a run are what they are said to be, and become something else. */
static inline void change_blocks(quire_pfn pfn, unsigned order, enum block_state from,
                                 enum block_state to)
{
    const uint64_t first = block_at(pfn), blocks = (UINT64_C(1) << order) / BLOCK_FRAMES;

    assert_int_equal(pfn.n & ((UINT64_C(1) << order) - 1), 0);
    for (uint64_t b = first; b < first + blocks; b++) {
        assert_int_equal(giga.block[b], from);
        giga.block[b] = (uint8_t)to;
        for (unsigned i = 0; i < BLOCK_FRAMES / 64; i++)
            giga.single[b][i] = to == SINGLE_FRAMES ? UINT64_MAX : 0;
    }
}

/* ---- The source ----------------------------------------------------------------------------- */

static inline int take_gigabyte_of_rig(quire_pfn *pfn)
{
    int error = QUIRE_ERR_NO_MEMORY;

    (void)pthread_mutex_lock(&giga.lock);
    giga.asked++;
    for (unsigned i = 0; error && i < giga.count; i++) {
        if (!gigabyte_is_back(i))
            continue;
        pfn->n = GIGA_FIRST + i * (uint64_t)GIGA_FRAMES;
        memset(&giga.block[block_at(*pfn)], NOT_GIVEN, GIGA_FRAMES / BLOCK_FRAMES);
        change_blocks(*pfn, GIGA_ORDER, NOT_GIVEN, IN_GIGABYTE);
        giga.taken++;
        error = 0;
    }
    (void)pthread_mutex_unlock(&giga.lock);
    if (giga.during)
        giga.during();
    return error;
}

static inline int giga_give(void *ctx, const struct quire_policy *policy, unsigned order,
                            quire_pfn *pfn)
{
    return order == GIGA_ORDER ? take_gigabyte_of_rig(pfn)
                               : giga.small.alloc(ctx, policy, order, pfn);
}

static inline int giga_give_zeros(void *ctx, const struct quire_policy *policy, unsigned order,
                                  quire_pfn *pfn)
{
    int error;

    (void)ctx;
    (void)policy;
    if (order != GIGA_ORDER || giga.dirty)
        return QUIRE_ERR_UNSUPPORTED;
    error = take_gigabyte_of_rig(pfn);
    if (error == 0) /* what was written there is gone */
        assert_int_equal(
            madvise(rig.memory.bytes + (pfn->n - SPACE_RIG_FIRST) * FRAME, GIGABYTE, MADV_DONTNEED),
            0);
    return error;
}

static inline void giga_take_back(void *ctx, quire_pfn pfn, unsigned order)
{
    if (!is_of_gigabytes(pfn)) {
        giga.small.free(ctx, pfn, order);
        return;
    }
    (void)pthread_mutex_lock(&giga.lock);
    if (order > 0) {
        change_blocks(pfn, order, order == GIGA_ORDER ? IN_GIGABYTE : ONE_RUN, NOT_GIVEN);
    } else {
        uint64_t b = block_at(pfn), *word = &giga.single[b][pfn.n % BLOCK_FRAMES / 64];

        assert_int_equal(giga.block[b], SINGLE_FRAMES);
        assert_true(*word >> pfn.n % 64 & 1);
        *word &= ~(UINT64_C(1) << pfn.n % 64);
    }
    (void)pthread_mutex_unlock(&giga.lock);
}

static inline int giga_split(void *ctx, quire_pfn pfn, unsigned order)
{
    if (!is_of_gigabytes(pfn))
        return giga.small.split(ctx, pfn, order);
    if (giga.refuse_split)
        return QUIRE_ERR_BUSY;
    (void)pthread_mutex_lock(&giga.lock);
    change_blocks(pfn, order, order == GIGA_ORDER ? IN_GIGABYTE : ONE_RUN,
                  order == GIGA_ORDER ? ONE_RUN : SINGLE_FRAMES);
    (void)pthread_mutex_unlock(&giga.lock);
    return 0;
}

/* ---- Reach ---------------------------------------------------------------------------------- */

static inline void *giga_open(void *ctx, quire_pfn pfn)
{
    (void)ctx;
    assert_true(rig.open < 3);
    rig.open++;
    if (is_of_gigabytes(pfn)) {
        giga.zeroing++;
        if (giga.one_frame)
            return one_frame;
    }
    return rig.memory.bytes + (pfn.n - SPACE_RIG_FIRST) * FRAME;
}

/* ---- Beginning and end ---------------------------------------------------------------------- */

/* For all tests: the rig's memory and the gigabytes, as far as they are touched. */
static inline unsigned char *sparse_memory(void)
{
    static unsigned char *memory;
    const size_t bytes =
        (size_t)(GIGA_FIRST + GIGA_MOST * (uint64_t)GIGA_FRAMES - SPACE_RIG_FIRST) * FRAME;

    if (!memory) {
        memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        assert_true(memory != MAP_FAILED);
    }
    return memory;
}

/* A space of two gigabytes that can have pages of that size, where the format has them. */
static inline void giga_begin(const struct rig_format *which, bool window, unsigned count)
{
    struct quire_space_port *port;

    space_rig_begin(&rig, which, window);
    quire_shares_destroy(&rig.shares); /* they have another reach now */
    port = &rig.config.port;
    rig.with_tlb = true;
    rig.memory.bytes = sparse_memory();
    if (window)
        port->paging.reach.open = giga_open;
    else
        port->paging.reach.base = (uintptr_t)rig.memory.bytes - SPACE_RIG_FIRST * FRAME;
    giga.small = port->frames;
    port->frames =
        (struct quire_frame_source){giga_give, giga_take_back, giga_split, giga_give_zeros, &rig};
    giga.count = count;
    giga.taken = giga.asked = giga.zeroing = 0;
    giga.dirty = giga.one_frame = giga.refuse_split = false;
    giga.during = NULL;
    memset(giga.block, NOT_GIVEN, sizeof giga.block);
    memset(giga.single, 0, sizeof giga.single);
    assert_ok(quire_shares_init(&rig.shares, &port->paging.tables, &port->paging.reach, 0));
}

static inline void giga_end(void)
{
    for (unsigned i = 0; i < GIGA_MOST; i++)
        assert_true(gigabyte_is_back(i));
    space_rig_end(&rig);
}

#endif /* QUIRE_STRESS_VM_GIGABYTES_GIGABYTE_UNIT_H */
