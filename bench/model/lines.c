/* SPDX-License-Identifier: MIT
 *
 * lines.c - see lines.h. State: a table of lines, which of its places are in use, a table of locks,
 * whose turn it is.
 */
#include "lines.h"

#include <stdio.h>
#include <stdlib.h>

enum { TABLE = 1 << 22, LOCKS = 64, STACK_BYTES = 8 << 20 };

struct line {
    uintptr_t number; /* address / LINE_BYTES; 0: unused */
    uint16_t have;    /* CPUs */
    uint16_t lockers; /* CPUs, while counted */
    int16_t writer;   /* the last one, or -1 */
    uint32_t moves;   /* while counted */
};

/* A spinlock: a word that is 1 while it is held. */
struct lock {
    uintptr_t at;
    uint16_t takers; /* CPUs */
    bool held;
};

static struct line *lines;
static uint32_t *used; /* places in lines */
static size_t used_count;
static struct lock locks[LOCKS];
static size_t lock_count;
static unsigned turn;
static bool counting;
static struct line_counts counts;

void lines_start(void)
{
    lines_stop();
    lines = calloc(TABLE, sizeof(*lines));
    used = malloc(TABLE * sizeof(*used));
    if (!lines || !used) {
        fputs("quire-bench-count: no memory\n", stderr);
        exit(1);
    }
    lock_count = 0;
    counting = false;
}

void lines_stop(void)
{
    free(lines);
    free(used);
    lines = NULL;
    used = NULL;
    used_count = 0;
}

void lines_count(bool count)
{
    if (count) {
        counts = (struct line_counts){0};
        for (size_t i = 0; i < used_count; i++) {
            lines[used[i]].moves = 0;
            lines[used[i]].lockers = 0;
        }
    }
    counting = count;
}

struct line_counts lines_counts(void)
{
    struct line_counts c = counts;

    for (size_t i = 0; i < used_count; i++) {
        if (lines[used[i]].moves > c.hottest) {
            c.hottest = lines[used[i]].moves;
        }
    }
    return c;
}

void lines_locked_by_many(void (*visit)(void *ctx, const void *line), void *ctx)
{
    for (size_t i = 0; i < used_count; i++) {
        const struct line *line = &lines[used[i]];

        if ((line->lockers & (line->lockers - 1)) != 0) {
            visit(ctx, (const void *)(line->number * LINE_BYTES));
        }
    }
}

void lines_turn(unsigned cpu)
{
    turn = cpu;
}

unsigned lines_cpu(void)
{
    return turn;
}

static struct line *find(uintptr_t number)
{
    size_t i = (size_t)(number * 0x9e3779b97f4a7c15u >> 42) % TABLE;

    for (size_t tries = 0; lines[i].number != number; tries++, i = (i + 1) % TABLE) {
        if (lines[i].number == 0) {
            lines[i] = (struct line){.number = number, .writer = -1};
            used[used_count++] = (uint32_t)i;
            break;
        }
        if (tries == TABLE) {
            fputs("quire-bench-count: more lines than the table has\n", stderr);
            exit(1);
        }
    }
    return &lines[i];
}

/* Is a lock held that several CPUs take? */
static bool is_inside(void)
{
    for (size_t i = 0; i < lock_count; i++) {
        if (locks[i].held && (locks[i].takers & (locks[i].takers - 1)) != 0) {
            return true;
        }
    }
    return false;
}

static bool is_stack(uintptr_t at)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);

    return at - here + STACK_BYTES < (uintptr_t)2 * STACK_BYTES;
}

/* Returns whether the line moved. */
static bool touch_line(struct line *line, enum line_access how)
{
    uint16_t me = (uint16_t)(1u << turn);
    bool moved;

    if (how == LINE_READ) {
        moved = !(line->have & me) && line->writer >= 0 && (unsigned)line->writer != turn;
        line->have |= me;
    } else {
        moved = (line->have & ~me) != 0;
        line->have = me;
        line->writer = (int16_t)turn;
    }
    return moved;
}

void lines_touch(const volatile void *at, size_t bytes, enum line_access how)
{
    uintptr_t first = (uintptr_t)at / LINE_BYTES, last = ((uintptr_t)at + bytes - 1) / LINE_BYTES;
    bool inside;

    if (!lines || bytes == 0 || is_stack((uintptr_t)at)) {
        return;
    }
    inside = is_inside();
    counts.accesses += counting;
    counts.inside += counting && inside;
    for (uintptr_t number = first; number <= last; number++) {
        struct line *line = find(number);

        if (touch_line(line, how) && counting) {
            counts.moved++;
            counts.inside_moved += inside;
            line->moves++;
        }
    }
}

void lines_locked(const volatile void *at, size_t bytes)
{
    counts.locked += counting;
    lines_touch(at, bytes, LINE_WRITE);
    if (lines && counting && !is_stack((uintptr_t)at)) {
        find((uintptr_t)at / LINE_BYTES)->lockers |= (uint16_t)(1u << turn);
    }
}

static struct lock *lock_at(uintptr_t at)
{
    for (size_t i = 0; i < lock_count; i++) {
        if (locks[i].at == at) {
            return &locks[i];
        }
    }
    return NULL;
}

void lines_exchanged(const volatile void *at, uint32_t value, uint32_t old)
{
    struct lock *lock = lock_at((uintptr_t)at);

    counts.claims += counting && value == 0;
    if (value != 1 || old != 0) {
        return;
    }
    if (!lock && lock_count < LOCKS) {
        lock = &locks[lock_count++];
        *lock = (struct lock){.at = (uintptr_t)at};
    }
    if (lock) {
        lock->held = true;
        lock->takers |= (uint16_t)(1u << turn);
    }
}

void lines_stored(const volatile void *at, uint32_t value)
{
    struct lock *lock = value == 0 ? lock_at((uintptr_t)at) : NULL;

    if (lock) {
        lock->held = false;
    }
}
