/* SPDX-License-Identifier: MIT
 *
 * atomic_riscv.h - compare-and-swap on RISC-V. Only for atomic.h.
 *
 * Of a byte, by the word around it: the base set of atomic instructions has none, and the compiler
 * would call libatomic. A full acquire and release whatever is asked for. Lock-free: it retries
 * only when another byte of the word changed.
 *
 * Of four bytes: the processor extends what it reads by its sign, and gcc 12 compares that with all
 * of a register, in which what is expected may not be extended so, when it was cut out of a wider
 * number. Then the two are never equal. From memory it is loaded as it should be.
 */
#ifndef QUIRE_CORE_ARCH_ATOMIC_RISCV_H
#define QUIRE_CORE_ARCH_ATOMIC_RISCV_H

#include <stdbool.h>
#include <stdint.h>

typedef uint32_t __attribute__((may_alias)) word_of_bytes;

static inline bool byte_cas(void *p, void *expected, uint8_t desired)
{
    uint8_t *const old = (uint8_t *)expected;
    word_of_bytes *const word = (word_of_bytes *)((uintptr_t)p & ~(uintptr_t)3);
    unsigned shift = (unsigned)((uintptr_t)p & 3) * 8;
    uint32_t seen = __atomic_load_n(word, __ATOMIC_RELAXED), next;

    do {
        if ((uint8_t)(seen >> shift) != *old) {
            *old = (uint8_t)(seen >> shift);
            return false;
        }
        next = (seen & ~((uint32_t)0xff << shift)) | (uint32_t)desired << shift;
    } while (
        !__atomic_compare_exchange_n(word, &seen, next, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    return true;
}

/* What is expected is in memory, and comes from there. */
static inline void to_memory(void *expected)
{
    __asm__ volatile("" : : "r"(expected) : "memory");
}

#define QA_CAS(p, e, d, order)                                     \
    __builtin_choose_expr(                                         \
        sizeof((p)->v) == 1, byte_cas(&(p)->v, (e), (uint8_t)(d)), \
        (sizeof((p)->v) == 4 ? to_memory(e) : (void)0,             \
         __atomic_compare_exchange_n(&(p)->v, (e), (d), false, order, __ATOMIC_RELAXED)))

#endif /* QUIRE_CORE_ARCH_ATOMIC_RISCV_H */
