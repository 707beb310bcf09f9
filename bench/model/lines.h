/* SPDX-License-Identifier: MIT
 *
 * lines.h - which CPU has which cache line, and what moves.
 *
 * CPUs take turns in one thread, so the figures are the same in every run. Caches are without end:
 * a line leaves a CPU when another one writes it, and for no other reason. A line *moves* when a
 * CPU reads what another one wrote last and has not read it since, or writes what others have. So
 * a read and then a write of the same line by turns move it twice, as they cost two messages; and
 * a line that many read and nobody writes does not move.
 *
 * Also which spinlocks are held: what moves while a lock is held that several CPUs take is waited
 * for by all who want the lock.
 *
 * Not counted: the stack, which the simulated CPUs share.
 */
#ifndef QUIRE_BENCH_MODEL_LINES_H
#define QUIRE_BENCH_MODEL_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MODEL_CPUS = 16, LINE_BYTES = 64 };

struct line_counts {
    uint64_t accesses, moved;
    uint64_t locked, claims; /* atomic read-modify-writes; 32-bit exchanges for 0 among them */
    uint64_t inside, inside_moved; /* accesses and moves while a shared lock is held */
    uint64_t hottest;              /* moves of the line that moves most */
};

enum line_access { LINE_READ, LINE_WRITE };

/* From now on look at what is touched, by CPUs that have no line yet; no longer. */
void lines_start(void);
void lines_stop(void);

/* From now on (`count`) or no longer things are counted; before that counts are 0. */
void lines_count(bool count);
struct line_counts lines_counts(void);

/* Call `visit` for each line on which more than one CPU executed a locked instruction, in the time
 * that was counted last. */
void lines_locked_by_many(void (*visit)(void *ctx, const void *line), void *ctx);

/* Whose turn it is. */
void lines_turn(unsigned cpu);
unsigned lines_cpu(void);

/* The CPU whose turn it is touches `bytes` bytes; executes a locked instruction there. */
void lines_touch(const volatile void *at, size_t bytes, enum line_access how);
void lines_locked(const volatile void *at, size_t bytes);

/* It exchanged a 32-bit word for `value` and got `old`; it stored into one, before it does. */
void lines_exchanged(const volatile void *at, uint32_t value, uint32_t old);
void lines_stored(const volatile void *at, uint32_t value);

#endif /* QUIRE_BENCH_MODEL_LINES_H */
