/* SPDX-License-Identifier: MIT
 *
 * trace.c - the functions that code compiled for ThreadSanitizer calls at each access, by the names
 * that the compiler has for them; here they tell lines.c of it and do what atomics do. Sequentially
 * consistent throughout: one thread runs. And memset and memcpy, which the compiler does not
 * announce. No state.
 */
#include "lines.h"

#include <string.h>

/* NOLINTBEGIN: the names are the compiler's and the C library's */

void __tsan_init(void);
void __tsan_func_entry(void *caller);
void __tsan_func_exit(void);
void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_signal_fence(int order);
void __tsan_read_range(void *at, unsigned long bytes);
void __tsan_write_range(void *at, unsigned long bytes);

void __tsan_init(void)
{
}

void __tsan_func_entry(void *caller)
{
    (void)caller;
}

void __tsan_func_exit(void)
{
}

/* A full fence costs what a locked instruction costs. */
void __tsan_atomic_thread_fence(int order)
{
    if (order == __ATOMIC_SEQ_CST) {
        lines_locked(&order, sizeof(order));
    }
}

void __tsan_atomic_signal_fence(int order)
{
    (void)order;
}

void __tsan_read_range(void *at, unsigned long bytes)
{
    lines_touch(at, bytes, LINE_READ);
}

void __tsan_write_range(void *at, unsigned long bytes)
{
    lines_touch(at, bytes, LINE_WRITE);
}

#define PLAIN(name, bytes, how)      \
    void __tsan_##name(void *at);    \
    void __tsan_##name(void *at)     \
    {                                \
        lines_touch(at, bytes, how); \
    }

PLAIN(read1, 1, LINE_READ)
PLAIN(read2, 2, LINE_READ)
PLAIN(read4, 4, LINE_READ)
PLAIN(read8, 8, LINE_READ)
PLAIN(read16, 16, LINE_READ)
PLAIN(write1, 1, LINE_WRITE)
PLAIN(write2, 2, LINE_WRITE)
PLAIN(write4, 4, LINE_WRITE)
PLAIN(write8, 8, LINE_WRITE)
PLAIN(write16, 16, LINE_WRITE)
PLAIN(unaligned_read2, 2, LINE_READ)
PLAIN(unaligned_read4, 4, LINE_READ)
PLAIN(unaligned_read8, 8, LINE_READ)
PLAIN(unaligned_read16, 16, LINE_READ)
PLAIN(unaligned_write2, 2, LINE_WRITE)
PLAIN(unaligned_write4, 4, LINE_WRITE)
PLAIN(unaligned_write8, 8, LINE_WRITE)
PLAIN(unaligned_write16, 16, LINE_WRITE)

#define MODIFY(bits, what)                                                                     \
    uint##bits##_t __tsan_atomic##bits##_##what(volatile uint##bits##_t *at, uint##bits##_t x, \
                                                int order);                                    \
    uint##bits##_t __tsan_atomic##bits##_##what(volatile uint##bits##_t *at, uint##bits##_t x, \
                                                int order)                                     \
    {                                                                                          \
        (void)order;                                                                           \
        lines_locked(at, sizeof(*at));                                                         \
        return __atomic_##what(at, x, __ATOMIC_SEQ_CST);                                       \
    }

#define COMPARE(bits, name)                                                                    \
    int __tsan_atomic##bits##_##name(volatile uint##bits##_t *at, uint##bits##_t *old,         \
                                     uint##bits##_t x, int order, int failed);                 \
    int __tsan_atomic##bits##_##name(volatile uint##bits##_t *at, uint##bits##_t *old,         \
                                     uint##bits##_t x, int order, int failed)                  \
    {                                                                                          \
        (void)order;                                                                           \
        (void)failed;                                                                          \
        lines_locked(at, sizeof(*at));                                                         \
        return __atomic_compare_exchange_n(at, old, x, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
    }

#define ATOMIC(bits)                                                                             \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *at, int order);     \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *at, int order)      \
    {                                                                                            \
        (void)order;                                                                             \
        lines_touch(at, sizeof(*at), LINE_READ);                                                 \
        return __atomic_load_n(at, __ATOMIC_SEQ_CST);                                            \
    }                                                                                            \
    void __tsan_atomic##bits##_store(volatile uint##bits##_t *at, uint##bits##_t x, int order);  \
    void __tsan_atomic##bits##_store(volatile uint##bits##_t *at, uint##bits##_t x, int order)   \
    {                                                                                            \
        (void)order;                                                                             \
        lines_touch(at, sizeof(*at), LINE_WRITE);                                                \
        lines_stored(at, (uint32_t)x);                                                           \
        __atomic_store_n(at, x, __ATOMIC_RELEASE);                                               \
    }                                                                                            \
    uint##bits##_t __tsan_atomic##bits##_exchange(volatile uint##bits##_t *at, uint##bits##_t x, \
                                                  int order);                                    \
    uint##bits##_t __tsan_atomic##bits##_exchange(volatile uint##bits##_t *at, uint##bits##_t x, \
                                                  int order)                                     \
    {                                                                                            \
        uint##bits##_t old;                                                                      \
                                                                                                 \
        (void)order;                                                                             \
        lines_locked(at, sizeof(*at));                                                           \
        old = __atomic_exchange_n(at, x, __ATOMIC_SEQ_CST);                                      \
        if ((bits) == 32) {                                                                      \
            lines_exchanged(at, (uint32_t)x, (uint32_t)old);                                     \
        }                                                                                        \
        return old;                                                                              \
    }                                                                                            \
    MODIFY(bits, fetch_add)                                                                      \
    MODIFY(bits, fetch_sub)                                                                      \
    MODIFY(bits, fetch_and)                                                                      \
    MODIFY(bits, fetch_or)                                                                       \
    COMPARE(bits, compare_exchange_strong)                                                       \
    COMPARE(bits, compare_exchange_weak)

ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

/* Compiled so that their loops do not become calls of themselves. */
void *memset(void *to, int value, size_t bytes)
{
    lines_touch(to, bytes, LINE_WRITE);
    for (size_t i = 0; i < bytes; i++) {
        ((unsigned char *)to)[i] = (unsigned char)value;
    }
    return to;
}

void *memcpy(void *to, const void *from, size_t bytes)
{
    lines_touch(from, bytes, LINE_READ);
    lines_touch(to, bytes, LINE_WRITE);
    for (size_t i = 0; i < bytes; i++) {
        /* cppcheck-suppress useStandardLibrary ; this is it */
        ((unsigned char *)to)[i] = ((const unsigned char *)from)[i];
    }
    return to;
}

/* NOLINTEND */
