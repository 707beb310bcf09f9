/* SPDX-License-Identifier: MIT
 *
 * null.c - the allocator that allocates nothing: constants through the same calls.
 *
 * Its figures are what the loop, the call and the case's own work cost (two empty calls in `pair`,
 * the shuffled reads in `random-free`, the ring in `spsc`): the floor under all other figures. It
 * has no metadata and nothing to check. No state, wait-free.
 */
#include "allocators.h"

static void *null_open(uint64_t frames, unsigned threads)
{
    static char arena;

    (void)frames;
    (void)threads;
    return &arena;
}

static void null_close(void *arena)
{
    (void)arena;
}

static int null_alloc(void *arena, unsigned thread, unsigned order, quire_pfn *frame)
{
    (void)arena;
    (void)thread;
    (void)order;
    *frame = quire_pfn_of(1);
    return 0;
}

static int null_free(void *arena, unsigned thread, quire_pfn frame, unsigned order)
{
    (void)arena;
    (void)thread;
    (void)frame;
    (void)order;
    return 0;
}

static int null_alloc_batch(void *arena, unsigned thread, quire_pfn *frames, size_t n)
{
    (void)arena;
    (void)thread;
    for (size_t i = 0; i < n; i++) {
        frames[i] = quire_pfn_of(1);
    }
    return 0;
}

static int null_free_batch(void *arena, unsigned thread, const quire_pfn *frames, size_t n)
{
    (void)arena;
    (void)thread;
    (void)frames;
    (void)n;
    return 0;
}

static int null_alloc_contig(void *arena, unsigned thread, uint64_t frames, uint64_t align,
                             quire_pfn *frame)
{
    (void)arena;
    (void)thread;
    (void)frames;
    (void)align;
    *frame = quire_pfn_of(1);
    return 0;
}

static int null_free_contig(void *arena, unsigned thread, quire_pfn frame, uint64_t frames)
{
    (void)arena;
    (void)thread;
    (void)frame;
    (void)frames;
    return 0;
}

static const char *null_check(void *arena)
{
    (void)arena;
    return NULL;
}

const struct allocator allocator_null = {
    .name = "null",
    .what = "returns constants through the same calls: what calling costs",
    .open = null_open,
    .close = null_close,
    .alloc = null_alloc,
    .free = null_free,
    .alloc_batch = null_alloc_batch,
    .free_batch = null_free_batch,
    .alloc_contig = null_alloc_contig,
    .free_contig = null_free_contig,
    .check = null_check,
};
