/* SPDX-License-Identifier: MIT
 *
 * buddy.c - the classic that Quire is measured against: a binary buddy with one doubly
 * linked free list per order, threaded through an array of frames, behind one spinlock.
 *
 * Meant to be as good as the design allows: 12 bytes per frame (Linux's struct page has 64), a
 * mask of the orders that have something, buddies found by one exclusive or, one locked
 * instruction per lock and unlock. Its largest order is 10, as Linux's is. It checks a free as a
 * matter of course (allocated, with this order), which costs one load of a line that the free
 * needs anyway. It has no cache per thread and no watermarks.
 *
 * Two lines of the table: `spinlock-buddy` takes the lock for every frame, as a buddy without
 * caches does; `batched-buddy` is the same with one lock per batch call, which is the most that a
 * caller who wants 64 frames could hope for, and stands only where batches are measured.
 *
 * State, all behind `lock`:
 * BB1  nodes[i].state is ALLOCATED(k) or FREE(k) at the first frame of a run of order k; elsewhere
 *     it is anything but ALLOCATED. A merge may leave an old FREE inside a larger run: nobody asks
 *     there, because the buddy of a whole run is whole or split, never a part of something larger.
 * BB2  the list of order k holds exactly the runs that are FREE(k); bit k of `filled` is set if
 *     and only if it is not empty.
 * BB3  no two buddies are both FREE(k) for k < MAX_ORDER; `free` counts the frames of all lists.
 *
 * Callers: the benchmark's worker threads. Blocking (spins). Bad arguments are errors, but there
 * is no defence against an order out of range.
 */
#include "allocators.h"
#include "bench/measure/sync.h"

#include <stdlib.h>

enum {
    MAX_ORDER = 10,
    INSIDE = 0,
    ALLOCATED = 0x40, /* | order */
    FREE = 0x80,      /* | order */
    ERR_NO_MEMORY = -1,
    ERR_BAD_FREE = -2,
};

#define NONE UINT32_MAX

struct node {
    uint32_t next, prev; /* of the free list, NONE at its ends; only while free */
    uint16_t state;
};

struct buddy {
    _Alignas(128) struct spinlock lock;
    uint32_t filled;
    uint32_t head[MAX_ORDER + 1];
    uint64_t free;
    _Alignas(128) struct node *nodes;
    uint32_t frames;
};

static uint64_t node_bytes(uint64_t frames)
{
    return frames * sizeof(struct node);
}

/* ---- Under the lock ---------------------------------------------------------------------- */

static inline void push(struct buddy *b, uint32_t i, unsigned order)
{
    struct node *node = &b->nodes[i];

    node->state = (uint16_t)(FREE | order);
    node->prev = NONE;
    node->next = b->head[order];
    if (node->next != NONE) {
        b->nodes[node->next].prev = i;
    }
    b->head[order] = i;
    b->filled |= 1u << order;
}

static inline void unlink_run(struct buddy *b, uint32_t i, unsigned order)
{
    struct node *node = &b->nodes[i];

    if (node->next != NONE) {
        b->nodes[node->next].prev = node->prev;
    }
    if (node->prev != NONE) {
        b->nodes[node->prev].next = node->next;
    } else {
        b->head[order] = node->next;
        if (node->next == NONE) {
            b->filled &= ~(1u << order);
        }
    }
}

static inline int take(struct buddy *b, unsigned order, quire_pfn *frame)
{
    uint32_t larger = b->filled >> order << order;

    if (!larger) {
        return ERR_NO_MEMORY;
    }
    unsigned k = (unsigned)__builtin_ctz(larger);
    uint32_t i = b->head[k];

    unlink_run(b, i, k);
    b->filled |= (1u << k) - (1u << order);
    while (k > order) {
        /* k was the lowest order that had anything: these lists are empty */
        k--;
        b->nodes[i + (1u << k)] = (struct node){NONE, NONE, (uint16_t)(FREE | k)};
        b->head[k] = i + (1u << k);
    }
    b->nodes[i].state = (uint16_t)(ALLOCATED | order);
    b->free -= 1u << order;
    *frame = quire_pfn_of(i);
    return 0;
}

static inline int give(struct buddy *b, quire_pfn frame, unsigned order)
{
    uint32_t i = (uint32_t)frame.n;

    if (frame.n >= b->frames || b->nodes[i].state != (ALLOCATED | order)) {
        return ERR_BAD_FREE;
    }
    b->nodes[i].state = INSIDE;
    b->free += 1u << order;
    while (order < MAX_ORDER) {
        uint32_t other = i ^ (1u << order);

        if (b->nodes[other].state != (FREE | order)) {
            break;
        }
        unlink_run(b, other, order);
        i &= other;
        order++;
    }
    push(b, i, order);
    return 0;
}

/* ---- The table's functions --------------------------------------------------------------- */

static void *buddy_open(uint64_t frames, unsigned threads)
{
    struct buddy *b = aligned_alloc(_Alignof(struct buddy), sizeof(*b));

    (void)threads;
    if (!b || frames >= NONE) {
        free(b);
        return NULL;
    }
    *b = (struct buddy){.nodes = metadata_map(node_bytes(frames)), .frames = (uint32_t)frames};
    if (!b->nodes) {
        free(b);
        return NULL;
    }
    for (unsigned order = 0; order <= MAX_ORDER; order++) {
        b->head[order] = NONE;
    }
    /* from the top, so that the lowest run is handed out first */
    for (uint32_t i = b->frames; i > 0; i -= 1u << MAX_ORDER) {
        push(b, i - (1u << MAX_ORDER), MAX_ORDER);
    }
    b->free = frames;
    return b;
}

static void buddy_close(void *arena)
{
    struct buddy *b = arena;

    metadata_unmap(b->nodes, node_bytes(b->frames));
    free(b);
}

static int buddy_alloc(void *arena, unsigned thread, unsigned order, quire_pfn *frame)
{
    struct buddy *b = arena;

    (void)thread;
    spin_lock(&b->lock);
    int error = take(b, order, frame);
    spin_unlock(&b->lock);
    return error;
}

static int buddy_free(void *arena, unsigned thread, quire_pfn frame, unsigned order)
{
    struct buddy *b = arena;

    (void)thread;
    spin_lock(&b->lock);
    int error = give(b, frame, order);
    spin_unlock(&b->lock);
    return error;
}

static int buddy_alloc_batch(void *arena, unsigned thread, quire_pfn *frames, size_t n)
{
    struct buddy *b = arena;
    int error = ERR_NO_MEMORY;

    (void)thread;
    spin_lock(&b->lock);
    if (b->free >= n) {
        error = 0;
        for (size_t i = 0; i < n; i++) {
            error |= take(b, 0, &frames[i]);
        }
    }
    spin_unlock(&b->lock);
    return error;
}

static int buddy_free_batch(void *arena, unsigned thread, const quire_pfn *frames, size_t n)
{
    struct buddy *b = arena;
    int error = 0;

    (void)thread;
    spin_lock(&b->lock);
    for (size_t i = 0; i < n; i++) {
        error |= give(b, frames[i], 0);
    }
    spin_unlock(&b->lock);
    return error;
}

static int buddy_alloc_contig(void *arena, unsigned thread, uint64_t frames, uint64_t align,
                              quire_pfn *frame)
{
    return buddy_alloc(arena, thread, order_of(frames > align ? frames : align), frame);
}

/* All runs that the cases ask for are longer than their alignment. */
static int buddy_free_contig(void *arena, unsigned thread, quire_pfn frame, uint64_t frames)
{
    return buddy_free(arena, thread, frame, order_of(frames));
}

static uint64_t list_length(const struct buddy *b, unsigned order)
{
    uint64_t length = 0;

    for (uint32_t i = b->head[order]; i != NONE; i = b->nodes[i].next) {
        length++;
    }
    return length;
}

static uint64_t buddy_whole_blocks(void *arena)
{
    return list_length(arena, 9) + 2 * list_length(arena, 10);
}

static const char *buddy_check(void *arena)
{
    const struct buddy *b = arena;

    if (b->free != b->frames) {
        return "free and managed frames differ";
    }
    if (list_length(b, MAX_ORDER) << MAX_ORDER != b->frames) {
        return "free frames did not merge";
    }
    return NULL;
}

static uint64_t buddy_metadata_bytes(void *arena)
{
    const struct buddy *b = arena;

    return sizeof(*b) + node_bytes(b->frames);
}

#define BUDDY_FUNCTIONS                                                                 \
    .open = buddy_open, .close = buddy_close, .alloc = buddy_alloc, .free = buddy_free, \
    .alloc_contig = buddy_alloc_contig, .free_contig = buddy_free_contig,               \
    .whole_blocks = buddy_whole_blocks, .check = buddy_check,                           \
    .metadata_bytes = buddy_metadata_bytes

const struct allocator allocator_spinlock_buddy = {
    .name = "spinlock-buddy",
    .what = "a binary buddy, per-order free lists, one spinlock, no cache",
    BUDDY_FUNCTIONS,
};

const struct allocator allocator_batched_buddy = {
    .name = "batched-buddy",
    .what = "the same with one lock per batch of 64; only in the cases with batches",
    .alloc_batch = buddy_alloc_batch,
    .free_batch = buddy_free_batch,
    .batches_only = true,
    BUDDY_FUNCTIONS,
};
