/* SPDX-License-Identifier: MIT
 *
 * faulty.c - a table of allocators that are wrong, each in one way, for the test that
 * quire-bench notices: `sound` is right, `refuses` says no to its hundredth allocation, `loses`
 * forgets a frame, `doubles` hands one out twice, `serves` gives a frame for a run of any order.
 *
 * State: a stack of free frames behind a lock, and how many allocations there were.
 */
#include "bench/allocators/allocators.h"
#include "bench/measure/sync.h"

#include <stdlib.h>

enum fault { SOUND, REFUSES, LOSES, DOUBLES };
enum { ERR_NO_MEMORY = -1, ERR_DOUBLE_FREE = -2, FAULT_AT = 100 };

struct stack {
    struct spinlock lock;
    enum fault fault;
    uint64_t frames, free, allocations;
    uint64_t *list; /* list[0 .. free-1] are free */
    bool *used;
};

static void *open_stack(uint64_t frames, enum fault fault)
{
    struct stack *stack = bench_memory(1, sizeof(*stack));

    stack->fault = fault;
    stack->frames = stack->free = frames;
    stack->list = bench_memory(frames, sizeof(stack->list[0]));
    stack->used = bench_memory(frames, sizeof(stack->used[0]));
    for (uint64_t i = 0; i < frames; i++) {
        stack->list[i] = i;
    }
    return stack;
}

static void *open_sound(uint64_t frames, unsigned threads)
{
    (void)threads;
    return open_stack(frames, SOUND);
}

static void *open_refuses(uint64_t frames, unsigned threads)
{
    (void)threads;
    return open_stack(frames, REFUSES);
}

static void *open_loses(uint64_t frames, unsigned threads)
{
    (void)threads;
    return open_stack(frames, LOSES);
}

static void *open_doubles(uint64_t frames, unsigned threads)
{
    (void)threads;
    return open_stack(frames, DOUBLES);
}

static void close_stack(void *arena)
{
    struct stack *stack = arena;

    free(stack->list);
    free(stack->used);
    free(stack);
}

static int alloc_locked(struct stack *stack, quire_pfn *frame)
{
    bool now = ++stack->allocations == FAULT_AT;

    if (stack->free == 0 || (now && stack->fault == REFUSES)) {
        return ERR_NO_MEMORY;
    }
    if (now && stack->fault == LOSES) {
        stack->free--;
    }
    *frame = quire_pfn_of(stack->list[stack->free - 1]);
    stack->used[frame->n] = true;
    if (!(now && stack->fault == DOUBLES)) {
        stack->free--;
    }
    return 0;
}

static int stack_alloc(void *arena, unsigned thread, unsigned order, quire_pfn *frame)
{
    struct stack *stack = arena;

    (void)thread;
    (void)order;
    spin_lock(&stack->lock);
    int error = alloc_locked(stack, frame);
    spin_unlock(&stack->lock);
    return error;
}

static int stack_free(void *arena, unsigned thread, quire_pfn frame, unsigned order)
{
    struct stack *stack = arena;
    int error = ERR_DOUBLE_FREE;

    (void)thread;
    (void)order;
    spin_lock(&stack->lock);
    if (stack->used[frame.n]) {
        stack->used[frame.n] = false;
        stack->list[stack->free++] = frame.n;
        error = 0;
    }
    spin_unlock(&stack->lock);
    return error;
}

static const char *stack_check(void *arena)
{
    const struct stack *stack = arena;

    return stack->free == stack->frames ? NULL : "free and managed frames differ";
}

static uint64_t stack_whole_blocks(void *arena)
{
    (void)arena;
    return 0;
}

#define STACK_FUNCTIONS                                                                   \
    .what = "for a test", .close = close_stack, .alloc = stack_alloc, .free = stack_free, \
    .check = stack_check

static const struct allocator sound = {.name = "sound", .open = open_sound, STACK_FUNCTIONS};
static const struct allocator refuses = {.name = "refuses", .open = open_refuses, STACK_FUNCTIONS};
static const struct allocator loses = {.name = "loses", .open = open_loses, STACK_FUNCTIONS};
static const struct allocator doubles = {.name = "doubles", .open = open_doubles, STACK_FUNCTIONS};
static const struct allocator serves = {.name = "serves",
                                        .open = open_sound,
                                        .whole_blocks = stack_whole_blocks,
                                        STACK_FUNCTIONS};

const struct allocator *const bench_allocators[] = {&sound, &refuses, &loses, &doubles, &serves};
const size_t bench_allocator_count = sizeof(bench_allocators) / sizeof(bench_allocators[0]);
