/* SPDX-License-Identifier: MIT
 *
 * atomic_i386.h - the 64-bit operations of core/atomic.h on i386, by cmpxchg8b. Only for atomic.h.
 *
 * The compiler would load and store 64 bits through the registers of floating point, which are a
 * kernel's users', or call libatomic. Here every operation is a locked cmpxchg8b, a full barrier,
 * loads included; so what is loaded must be writable. (The processor: 586 and later.)
 */
#ifndef QUIRE_CORE_ARCH_ATOMIC_I386_H
#define QUIRE_CORE_ARCH_ATOMIC_I386_H

#include <stdbool.h>
#include <stdint.h>

static inline bool wide_cas(void *p, void *expected, uint64_t desired)
{
    uint64_t *const value = (uint64_t *)p, *const old = (uint64_t *)expected;
    bool same;

    __asm__ volatile("lock cmpxchg8b %1"
                     : "=@ccz"(same), "+m"(*value), "+A"(*old)
                     : "b"((uint32_t)desired), "c"((uint32_t)(desired >> 32))
                     : "memory");
    return same;
}

/* An exchange of 0 for 0, or a look at what is there instead. */
static inline uint64_t wide_load(const void *p)
{
    uint64_t value = 0;

    (void)wide_cas((void *)(uintptr_t)p, &value, 0);
    return value;
}

/* Both halves, which need not belong together: a first guess for an exchange. */
static inline uint64_t wide_guess(const void *p)
{
    const volatile uint32_t *half = (const volatile uint32_t *)p;

    return (uint64_t)half[1] << 32 | half[0];
}

/* Each replaces the value by what `change` makes of it and `x`, and returns the one before. */
#define WIDE_CHANGE(name, change)                           \
    static inline uint64_t wide_##name(void *p, uint64_t x) \
    {                                                       \
        uint64_t old = wide_guess(p);                       \
                                                            \
        while (!wide_cas(p, &old, (change))) {              \
        }                                                   \
        return old;                                         \
    }
WIDE_CHANGE(and, old &x)
WIDE_CHANGE(or, old | x)
WIDE_CHANGE(add, old + x)
WIDE_CHANGE(sub, old - x)
WIDE_CHANGE(xchg, x)
#undef WIDE_CHANGE

#define QA_WIDE(p, w, n)  __builtin_choose_expr(sizeof((p)->v) == 8, w, n)

#define qa_load(p, order) QA_WIDE(p, wide_load(&(p)->v), __atomic_load_n(&(p)->v, QA_##order))
#define qa_store(p, x, order) \
    QA_WIDE(p, (void)wide_xchg(&(p)->v, (x)), __atomic_store_n(&(p)->v, (x), QA_##order))
#define qa_cas(p, e, d, order)              \
    QA_WIDE(p, wide_cas(&(p)->v, (e), (d)), \
            __atomic_compare_exchange_n(&(p)->v, (e), (d), false, QA_##order, QA_relaxed))
#define qa_and(p, x, order) \
    QA_WIDE(p, wide_and(&(p)->v, (x)), __atomic_fetch_and(&(p)->v, (x), QA_##order))
#define qa_or(p, x, order) \
    QA_WIDE(p, wide_or(&(p)->v, (x)), __atomic_fetch_or(&(p)->v, (x), QA_##order))
#define qa_add(p, x, order) \
    QA_WIDE(p, wide_add(&(p)->v, (x)), __atomic_fetch_add(&(p)->v, (x), QA_##order))
#define qa_sub(p, x, order) \
    QA_WIDE(p, wide_sub(&(p)->v, (x)), __atomic_fetch_sub(&(p)->v, (x), QA_##order))
#define qa_xchg(p, x, order) \
    QA_WIDE(p, wide_xchg(&(p)->v, (x)), __atomic_exchange_n(&(p)->v, (x), QA_##order))

#endif /* QUIRE_CORE_ARCH_ATOMIC_I386_H */
