/* SPDX-License-Identifier: MIT
 *
 * atomic.h - every atomic operation of Quire, in one place.
 *
 * The order is the last word of each call, so that it is seen where it matters:
 *
 *     v = qa_load(&line->w[i], relaxed);
 *     qa_cas(&line->w[i], &v, v | mask, acquire)      strong; a failure loads with relaxed
 *
 * and the comment beside it names the operation that it pairs with (A1 pairs R1; a script of the
 * test run checks that both ends of every label exist). The labels and what each pair carries:
 *
 *   R1/A1  frames of a block: cleared bits (release) are taken (acquire). Carries the last
 *          holder's writes to the frame, and its cleared continuation bits.
 *   R2/A2  a block's descriptor: published SPLIT (release), seen SPLIT (acquire). Carries the map.
 *   R3/A3  blocks of a section: as R1/A1, one level up. Carries map and descriptor of the block.
 *   R4/A4  the free count: credited (release) after the clear, debited (acquire) before the
 *          search. Carries the fact that the frames can be found.
 *   R6/A6  the descriptor of a run of order >= 9: its other blocks are written.
 *   R5/A5  a pin's key: claimed once, never given back. Carries the pin's zeroed words.
 *   R7/A7  pins: set and cleared words of the pin table.
 *   R8/A8  a zone that is built: the whole head and metadata.
 *   R9/A9  a slot's home word. Carries the descriptor that names the slot as the block's owner.
 *   W1/W2  a machine's writers, one after the other.
 *   L1/L2  a machine's line of a CPU: made.
 *   H1/H2  a CPU's home: the cache is made.
 *   N1/N2  a machine's snapshot: all of it.
 *   G1/G2  the fences of a snapshot's reader and of its writer, see numa/machine/guard.c; and
 *   G3/G4  a reader who left: what he did comes before the snapshot's end.
 *   V1/V2  a remote magazine: its rounds, as P1/P2 in a CPU cache.
 *   Z1/Z2  a CPU's zone away from home: its handle.
 *   F1     the fences of "I changed the map or descriptor" and "I look at the rest of the block".
 *   F2     the fences between a map and its hints, on the setter's and on the clearer's side.
 *   F4     the fences between the list of isolated ranges and the claim or descriptor of a block.
 *   F3     the fences between a cache's turn to thrift and the limits of its CPU caches.
 *
 * Three builds of the same source:
 *   plain    GNU builtins, C11 orders.
 *   TSan     the same; it does not model fences (gcc refuses them), so the fences become relaxed
 *            read-modify-writes of a dummy: a full barrier for the hardware, no edge for TSan.
 *   Relacy   QUIRE_RELACY: C++, rl::atomic; see stress/relacy.
 */
#ifndef QUIRE_CORE_ATOMIC_H
#define QUIRE_CORE_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__SANITIZE_THREAD__)
#define QUIRE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define QUIRE_TSAN 1
#endif
#endif

#ifdef QUIRE_RELACY

#include "stress/common/relacy/word.hpp"

typedef Word<uint64_t> qa64;
typedef Word<uint32_t> qa32;
typedef Word<uint8_t> qa8;

#define qa_load(p, order)      ((p)->load(Order::order, WORD_PLACE))
#define qa_store(p, x, order)  ((p)->store((x), Order::order, WORD_PLACE))
#define qa_cas(p, e, d, order) ((p)->cas(*(e), (d), Order::order, WORD_PLACE))
#define qa_and(p, x, order)    ((p)->fetch_and((x), Order::order, WORD_PLACE))
#define qa_or(p, x, order)     ((p)->fetch_or((x), Order::order, WORD_PLACE))
#define qa_add(p, x, order)    ((p)->fetch_add((x), Order::order, WORD_PLACE))
#define qa_sub(p, x, order)    ((p)->fetch_sub((x), Order::order, WORD_PLACE))
#define qa_xchg(p, x, order)   ((p)->exchange((x), Order::order, WORD_PLACE))
#define qa_fence_seq_cst()     word_fence(WORD_PLACE)
#define qa_fence_after_rmw()   word_fence(WORD_PLACE)

#else

typedef struct {
    uint64_t v;
} qa64;
typedef struct {
    uint32_t v;
} qa32;
typedef struct {
    uint8_t v;
} qa8;

#define QA_relaxed            __ATOMIC_RELAXED
#define QA_acquire            __ATOMIC_ACQUIRE
#define QA_release            __ATOMIC_RELEASE
#define QA_acq_rel            __ATOMIC_ACQ_REL

#define qa_load(p, order)     __atomic_load_n(&(p)->v, QA_##order)
#define qa_store(p, x, order) __atomic_store_n(&(p)->v, (x), QA_##order)
#define qa_cas(p, e, d, order) \
    __atomic_compare_exchange_n(&(p)->v, (e), (d), false, QA_##order, __ATOMIC_RELAXED)
#define qa_and(p, x, order)  __atomic_fetch_and(&(p)->v, (x), QA_##order)
#define qa_or(p, x, order)   __atomic_fetch_or(&(p)->v, (x), QA_##order)
#define qa_add(p, x, order)  __atomic_fetch_add(&(p)->v, (x), QA_##order)
#define qa_sub(p, x, order)  __atomic_fetch_sub(&(p)->v, (x), QA_##order)
#define qa_xchg(p, x, order) __atomic_exchange_n(&(p)->v, (x), QA_##order)

/* A full fence: what was read and written before it comes before what is read and written after
 * it, for all who use one on their side too. */
static inline void qa_fence_seq_cst(void)
{
#ifdef QUIRE_TSAN
    uint64_t dummy = 0;
    (void)__atomic_fetch_add(&dummy, 1, __ATOMIC_RELAXED);
    __asm__ volatile("" : : "r"(&dummy) : "memory");
#else
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

/* The same, for a place where the last access to memory was a successful or failed
 * read-modify-write of this header. On x86 that instruction was the fence already, so only the
 * compiler has to be held back. */
static inline void qa_fence_after_rmw(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __asm__ volatile("" : : : "memory");
#else
    qa_fence_seq_cst();
#endif
}

#endif /* QUIRE_RELACY */

#endif /* QUIRE_CORE_ATOMIC_H */
