/* SPDX-License-Identifier: MIT
 *
 * linux_like.c - what Linux users have, in its shape though not in its code: a buddy under one
 * spinlock whose free lists are kept apart by order and by migrate type, behind per-CPU lists of
 * orders 0 to 3 and 9, which are filled and emptied in batches. 64 bytes a frame, as struct page.
 *
 * Migrate types are two, unmovable and movable. Each block of 512 frames has one, and a free run
 * stands in the list of its block's type. A request whose type has nothing takes the largest run
 * of the other type; if half of that run's block or more is free, the whole block changes its type
 * and its free runs change lists.
 *
 * A CPU's lists (one for each thread here) have a lock of their own. An empty list gets 63 frames'
 * worth of runs, two at least, under one taking of the zone's lock; when the lists hold more than
 * `high` frames, 63 frames' worth go back, from the longest list, the longest there first. `high`
 * is what Linux would set: its low watermark, shared among the CPUs. A request that finds nothing
 * drains the lists of all CPUs.
 *
 * State, behind the zone's lock:
 * LL1  a page's state is FREE | k at the first frame of a free run of order k, ALLOCATED | k at
 *     that of one which is with a user or in a CPU's list, and INSIDE elsewhere in a free run.
 * LL2  the list of (k, t) holds exactly the runs that are FREE | k in blocks of type t; bit k of
 *     filled[t] is set if and only if it is not empty.
 * LL3  no two buddies are both FREE | k for k < MAX_ORDER; `free` counts the frames of all lists.
 * A page's `next` and `prev` are the CPU's, behind its lock, while its list has the run.
 *
 * Callers: the benchmark's worker threads. Blocking (spins). Not part of it: watermark checks,
 * zonelists, cpusets, accounting, page flags. A run freed twice while a list has it is not noticed.
 */
#include "allocators.h"
#include "bench/measure/sync.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_ORDER = 10,
    BLOCK_ORDER = 9,
    TYPES = 2, /* unmovable, movable */
    LISTS = 5, /* of a CPU and a type: orders 0 to 3, and 9 */
    BATCH = 63,
    INSIDE = 0,
    ALLOCATED = 0x40, /* | order */
    FREE = 0x80,      /* | order */
    ERR_NO_MEMORY = -1,
    ERR_BAD_FREE = -2,
};

#define NONE UINT32_MAX

struct page {
    uint32_t next, prev;
    uint16_t state;
    uint8_t type; /* of the list that it is in */
    uint8_t rest[53];
};

struct cpu {
    _Alignas(128) struct spinlock lock;
    uint32_t frames;             /* in all lists */
    uint32_t head[LISTS][TYPES]; /* of lists that are not empty, and so `tail` */
    uint32_t tail[LISTS][TYPES];
    uint32_t count[LISTS][TYPES];
};

struct zone {
    _Alignas(128) struct spinlock lock;
    uint32_t filled[TYPES];
    uint32_t head[MAX_ORDER + 1][TYPES];
    uint64_t free;
    _Alignas(128) struct page *pages;
    uint8_t *types; /* of blocks */
    uint32_t frames, high;
    unsigned threads;
    struct cpu cpus[];
};

/* ---- The buddy, under the zone's lock ---------------------------------------------------- */

static void push(struct zone *z, uint32_t i, unsigned order)
{
    struct page *page = &z->pages[i];
    unsigned type = z->types[i >> BLOCK_ORDER];

    page->state = (uint16_t)(FREE | order);
    page->type = (uint8_t)type;
    page->prev = NONE;
    page->next = z->head[order][type];
    if (page->next != NONE) {
        z->pages[page->next].prev = i;
    }
    z->head[order][type] = i;
    z->filled[type] |= 1u << order;
}

static void unlink_run(struct zone *z, uint32_t i, unsigned order)
{
    struct page *page = &z->pages[i];

    page->state = INSIDE;
    if (page->next != NONE) {
        z->pages[page->next].prev = page->prev;
    }
    if (page->prev != NONE) {
        z->pages[page->prev].next = page->next;
        return;
    }
    z->head[order][page->type] = page->next;
    if (page->next == NONE) {
        z->filled[page->type] &= ~(1u << order);
    }
}

/* The block of the run, which is free and of the other type, goes over to `type` if half of it is
 * free. */
static void convert_block(struct zone *z, uint32_t inside, unsigned type)
{
    uint32_t first = inside >> BLOCK_ORDER << BLOCK_ORDER, end = first + (1u << BLOCK_ORDER);
    uint32_t free = 0;

    for (uint32_t i = first; i < end;) {
        unsigned order = z->pages[i].state & (ALLOCATED - 1u);
        bool is_free = z->pages[i].state & FREE;

        free += is_free ? 1u << order : 0;
        i += z->pages[i].state == INSIDE ? 1 : 1u << order;
    }
    if (2 * free < 1u << BLOCK_ORDER) {
        return;
    }
    z->types[inside >> BLOCK_ORDER] = (uint8_t)type;
    for (uint32_t i = first; i < end;) {
        unsigned order = z->pages[i].state & (ALLOCATED - 1u);

        if (z->pages[i].state & FREE) {
            unlink_run(z, i, order);
            push(z, i, order);
        }
        i += z->pages[i].state == INSIDE ? 1 : 1u << order;
    }
}

/* Take a free run of order `from` and give back what it has beyond `order`. */
static void split(struct zone *z, uint32_t i, unsigned from, unsigned order)
{
    unlink_run(z, i, from);
    while (from > order) {
        from--;
        push(z, i + (1u << from), from);
    }
    z->pages[i].state = (uint16_t)(ALLOCATED | order);
    z->free -= 1u << order;
}

/* A run of the order, or NONE. */
static uint32_t take(struct zone *z, unsigned order, unsigned type)
{
    uint32_t own = z->filled[type] >> order << order;
    uint32_t other = z->filled[!type] >> order << order;
    unsigned from = own ? (unsigned)__builtin_ctz(own) : 0;
    uint32_t i;

    if (own) {
        i = z->head[from][type];
    } else if (other) {
        from = 31 - (unsigned)__builtin_clz(other);
        i = z->head[from][!type];
        convert_block(z, i, type);
    } else {
        return NONE;
    }
    split(z, i, from, order);
    return i;
}

static void give(struct zone *z, uint32_t i, unsigned order)
{
    z->pages[i].state = INSIDE;
    z->free += 1u << order;
    while (order < MAX_ORDER) {
        uint32_t other = i ^ (1u << order);

        if (z->pages[other].state != (FREE | order)) {
            break;
        }
        unlink_run(z, other, order);
        i &= other;
        order++;
    }
    push(z, i, order);
}

/* ---- A CPU's lists, under its lock ------------------------------------------------------- */

/* The list of an order, LISTS if the CPUs have none. */
static unsigned list_of(unsigned order)
{
    return order <= 3 ? order : order == BLOCK_ORDER ? LISTS - 1 : LISTS;
}

static unsigned order_of_list(unsigned list)
{
    return list <= 3 ? list : BLOCK_ORDER;
}

static void cpu_push(struct zone *z, struct cpu *cpu, unsigned list, unsigned type, uint32_t i)
{
    if (cpu->count[list][type]++ > 0) {
        z->pages[i].next = cpu->head[list][type];
        z->pages[cpu->head[list][type]].prev = i;
    } else {
        cpu->tail[list][type] = i;
    }
    cpu->head[list][type] = i;
    cpu->frames += 1u << order_of_list(list);
}

static uint32_t cpu_pop(struct zone *z, struct cpu *cpu, unsigned list, unsigned type)
{
    uint32_t i = cpu->head[list][type];

    cpu->head[list][type] = z->pages[i].next;
    cpu->count[list][type]--;
    cpu->frames -= 1u << order_of_list(list);
    return i;
}

/* The run that has been in the list for longest. */
static uint32_t cpu_pop_oldest(struct zone *z, struct cpu *cpu, unsigned list, unsigned type)
{
    uint32_t i = cpu->tail[list][type];

    cpu->tail[list][type] = z->pages[i].prev;
    cpu->count[list][type]--;
    cpu->frames -= 1u << order_of_list(list);
    return i;
}

static void refill(struct zone *z, struct cpu *cpu, unsigned list, unsigned type)
{
    unsigned order = order_of_list(list);
    unsigned share = (unsigned)BATCH >> order, runs = share > 2 ? share : 2;

    spin_lock(&z->lock);
    while (runs > 0) {
        uint32_t i = take(z, order, type);

        if (i == NONE) {
            break;
        }
        cpu_push(z, cpu, list, type, i);
        runs--;
    }
    spin_unlock(&z->lock);
}

/* Give `frames` of the lists back, or a run more, from the longest list each time. Both locks are
 * held. */
static void flush_locked(struct zone *z, struct cpu *cpu, uint32_t frames)
{
    uint32_t stay = cpu->frames > frames ? cpu->frames - frames : 0;

    while (cpu->frames > stay) {
        unsigned list = 0, type = 0;

        for (unsigned l = 0; l < LISTS * TYPES; l++) {
            if (cpu->count[l / TYPES][l % TYPES] << order_of_list(l / TYPES) >
                cpu->count[list][type] << order_of_list(list)) {
                list = l / TYPES;
                type = l % TYPES;
            }
        }
        for (unsigned n = 0; n < 8 && cpu->count[list][type] > 0 && cpu->frames > stay; n++) {
            give(z, cpu_pop_oldest(z, cpu, list, type), order_of_list(list));
        }
    }
}

static void flush(struct zone *z, struct cpu *cpu, uint32_t frames)
{
    spin_lock(&z->lock);
    flush_locked(z, cpu, frames);
    spin_unlock(&z->lock);
}

/* ---- The table's functions --------------------------------------------------------------- */

static uint64_t page_bytes(uint64_t frames)
{
    return frames * sizeof(struct page);
}

/* min_free_kbytes is 4 times the root of the kilobytes; `low` is five quarters of that. */
static uint32_t high_of(uint64_t frames, unsigned threads)
{
    uint64_t root = 1;

    while (root * root < frames * (QUIRE_FRAME_SIZE / 1024)) {
        root++;
    }
    uint64_t high = root * 5 / 4 / threads;

    return (uint32_t)(high > 4 * BATCH ? high : 4 * BATCH);
}

static void lists_init(struct zone *z)
{
    for (unsigned type = 0; type < TYPES; type++) {
        for (unsigned order = 0; order <= MAX_ORDER; order++) {
            z->head[order][type] = NONE;
        }
    }
    memset(z->types, 1, z->frames >> BLOCK_ORDER); /* all movable, as Linux begins */
    /* from the top, so that the lowest run is handed out first */
    for (uint32_t i = z->frames; i > 0; i -= 1u << MAX_ORDER) {
        push(z, i - (1u << MAX_ORDER), MAX_ORDER);
    }
    z->free = z->frames;
}

static void linux_close(void *arena)
{
    struct zone *z = arena;

    if (z->pages) {
        metadata_unmap(z->pages, page_bytes(z->frames));
    }
    free(z->types);
    free(z);
}

static void *linux_open(uint64_t frames, unsigned threads)
{
    size_t bytes = sizeof(struct zone) + threads * sizeof(struct cpu);
    struct zone *z = frames < NONE ? aligned_alloc(_Alignof(struct zone), bytes) : NULL;

    if (!z) {
        return NULL;
    }
    memset(z, 0, bytes);
    z->frames = (uint32_t)frames;
    z->threads = threads;
    z->high = high_of(frames, threads);
    z->types = malloc(frames >> BLOCK_ORDER);
    z->pages = metadata_map(page_bytes(frames));
    if (!z->types || !z->pages) {
        linux_close(z);
        return NULL;
    }
    lists_init(z);
    return z;
}

static uint32_t take_locked(struct zone *z, unsigned order, unsigned type)
{
    spin_lock(&z->lock);
    uint32_t i = take(z, order, type);

    spin_unlock(&z->lock);
    return i;
}

static uint32_t take_listed(struct zone *z, struct cpu *cpu, unsigned list, unsigned type)
{
    if (cpu->count[list][type] == 0) {
        refill(z, cpu, list, type);
    }
    return cpu->count[list][type] > 0 ? cpu_pop(z, cpu, list, type) : NONE;
}

/* The same after all that CPUs hold went back. */
static uint32_t take_drained(struct zone *z, unsigned order, unsigned type)
{
    uint32_t i = NONE;

    for (unsigned c = 0; c < z->threads && i == NONE; c++) {
        struct cpu *cpu = &z->cpus[c];

        spin_lock(&cpu->lock);
        spin_lock(&z->lock);
        flush_locked(z, cpu, cpu->frames);
        i = take(z, order, type);
        spin_unlock(&z->lock);
        spin_unlock(&cpu->lock);
    }
    return i;
}

static int alloc_of(struct zone *z, unsigned thread, unsigned order, unsigned type,
                    quire_pfn *frame)
{
    struct cpu *cpu = &z->cpus[thread];
    unsigned list = list_of(order);
    uint32_t i;

    if (list < LISTS) {
        spin_lock(&cpu->lock);
        i = take_listed(z, cpu, list, type);
        spin_unlock(&cpu->lock);
    } else {
        i = take_locked(z, order, type);
    }
    if (i == NONE) {
        i = take_drained(z, order, type);
    }
    *frame = quire_pfn_of(i);
    return i == NONE ? ERR_NO_MEMORY : 0;
}

static int linux_alloc(void *arena, unsigned thread, unsigned order, quire_pfn *frame)
{
    return alloc_of(arena, thread, order, 0, frame);
}

static int linux_alloc_movable(void *arena, unsigned thread, unsigned order, quire_pfn *frame)
{
    return alloc_of(arena, thread, order, 1, frame);
}

static int linux_free(void *arena, unsigned thread, quire_pfn frame, unsigned order)
{
    struct zone *z = arena;
    struct cpu *cpu = &z->cpus[thread];
    unsigned list = list_of(order);
    uint32_t i = (uint32_t)frame.n;

    if (frame.n >= z->frames || z->pages[i].state != (ALLOCATED | order)) {
        return ERR_BAD_FREE;
    }
    if (list == LISTS) {
        spin_lock(&z->lock);
        give(z, i, order);
        spin_unlock(&z->lock);
        return 0;
    }
    spin_lock(&cpu->lock);
    cpu_push(z, cpu, list, z->types[i >> BLOCK_ORDER], i);
    if (cpu->frames > z->high) {
        flush(z, cpu, BATCH);
    }
    spin_unlock(&cpu->lock);
    return 0;
}

static int linux_alloc_contig(void *arena, unsigned thread, uint64_t frames, uint64_t align,
                              quire_pfn *frame)
{
    return linux_alloc(arena, thread, order_of(frames > align ? frames : align), frame);
}

/* All runs that the cases ask for are longer than their alignment. */
static int linux_free_contig(void *arena, unsigned thread, quire_pfn frame, uint64_t frames)
{
    return linux_free(arena, thread, frame, order_of(frames));
}

static uint64_t list_length(const struct zone *z, unsigned order)
{
    uint64_t length = 0;

    for (unsigned type = 0; type < TYPES; type++) {
        for (uint32_t i = z->head[order][type]; i != NONE; i = z->pages[i].next) {
            length++;
        }
    }
    return length;
}

static uint64_t linux_whole_blocks(void *arena)
{
    return list_length(arena, BLOCK_ORDER) + 2 * list_length(arena, MAX_ORDER);
}

static const char *linux_check(void *arena)
{
    struct zone *z = arena;

    for (unsigned i = 0; i < z->threads; i++) {
        flush(z, &z->cpus[i], z->cpus[i].frames);
    }
    if (z->free != z->frames) {
        return "free and managed frames differ";
    }
    if (list_length(z, MAX_ORDER) << MAX_ORDER != z->frames) {
        return "free frames did not merge";
    }
    return NULL;
}

static uint64_t linux_metadata_bytes(void *arena)
{
    const struct zone *z = arena;

    return sizeof(*z) + z->threads * sizeof(struct cpu) + (z->frames >> BLOCK_ORDER) +
           page_bytes(z->frames);
}

const struct allocator allocator_linux_like = {
    .name = "linux-like",
    .what = "a buddy with migrate types behind per-CPU lists, in Linux's shape",
    .open = linux_open,
    .close = linux_close,
    .alloc = linux_alloc,
    .alloc_movable = linux_alloc_movable,
    .free = linux_free,
    .alloc_contig = linux_alloc_contig,
    .free_contig = linux_free_contig,
    .whole_blocks = linux_whole_blocks,
    .check = linux_check,
    .metadata_bytes = linux_metadata_bytes,
};
