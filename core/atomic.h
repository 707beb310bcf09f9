/* SPDX-License-Identifier: MIT
 *
 * atomic.h - every atomic operation of Quire, in one place.
 *
 * The order is the last word of each call, so that it is seen where it matters:
 *
 *     v = qa_load(&line->w[i], relaxed);
 *     qa_cas(&line->w[i], &v, v | mask, acquire)      strong; a failure loads with relaxed
 *
 * and the comment beside it names the edge that it is an end of, and says what the edge carries:
 *
 *     E-frame release: what the holder did with the frames comes before the next holder
 *
 * An edge is one name for both ends: a release and an acquire, or a fence on either side. It begins
 * with E-; a letter and a number (I1, C2) is an invariant of the file that defines it. A script of
 * the test run checks that each operation has its comment, that each edge has both ends, and that
 * the edges are these:
 *
 *   E-frame         frames of a block: cleared bits (release) are taken (acquire). Carries the last
 *                   holder's writes to the frame, and its cleared continuation bits.
 *   E-desc          a block's descriptor: published SPLIT, seen SPLIT. Carries the map.
 *   E-blocks        blocks of a section: as E-frame, one level up. Carries map and descriptor.
 *   E-count         the free count: credited after the clear, debited before the search. Carries
 *                   the fact that the frames can be found.
 *   E-gather        a debit, or credit turned in: what was freed or moved before it. Carries, to a
 *                   gatherer that sees the frames gone, the credit that came elsewhere (C4).
 *   E-run-head      the descriptor of a run of order >= 9: its other blocks are written, also for
 *                   who frees it in error.
 *   E-built         a zone that is built: the whole head and metadata.
 *   E-home          a slot's home word. Carries the descriptor that names the slot as the owner.
 *   E-look          the fences between "I changed the map or descriptor" and "I look at the rest of
 *                   the block".
 *   E-hint          the fences between a map and its hints, on the setter's and the clearer's side.
 *   E-watch         the fences between a free run and the watch of its order (watch.c).
 *   E-isolate       the fences between the list of isolated ranges and the claim or descriptor of a
 *                   block.
 *   E-cpu-cache     a CPU cache's `present` word: put back, taken. Carries its rounds.
 *   E-asked         what other CPUs ask of a CPU (local mode). Carries what the asker did before
 *                   to the answer; and what was pushed before to who sees it answered.
 *   E-depot         a node of the depot: its content, and that its last owner is done with it.
 *   E-limits        the fences between a cache's turn to shortage and the limits of its CPU caches.
 *   E-writer        a machine's writers, one after the other.
 *   E-machine-cpu   a machine's struct of a CPU: made.
 *   E-zone-cache    a CPU's view of a zone's cache: the cache is made.
 *   E-snapshot      a machine's snapshot: all of it.
 *   E-enter         the fences of a snapshot's reader and of its writer, see numa/machine/guard.c.
 *   E-leave         a reader that left: what it did comes before the snapshot's end.
 *   E-remote-zone   the zone of another node that a CPU frees to: its handle.
 *   E-hold          the isolation of a compaction: lent, taken, given back (numa/compact/hold.h).
 *   E-hold-name     a compaction's range: named after the range before it began.
 *   E-hold-look     the fences between a compaction's range and a request that is refused.
 *   E-entry         an entry of a page table (kernel-port/vm). Carries the table that it names.
 *   E-share         how many spaces map a frame (kernel-port/vm): the word that leads to a table of
 *                   counts, and the counts. Carries what was done with the frame.
 *   E-cache         a page of a file (kernel-port/vm/file): the words that lead to it, what was
 *                   read into its frame, what was written to it, the entries that it was put into.
 *   E-file-size     the fences between a file's size and the words of its pages.
 *   E-file-lock     the locks of a file, one holder after the other.
 *   E-file-busy     a fault that read a page of a file: it is done with the file.
 *   E-limit         what is counted against a limit of a space: counted for good, or down again.
 *                   Carries the page that was put in to a fault that the limit would refuse.
 *   E-table-pool    a frame of a fixed run of tables: given back, given out.
 *   E-gigabyte      a gigabyte set aside (kernel-port/vm): given back, given out. Carries its last
 *                   owner's writes, and that it reads as zeros.
 *   E-object        objects of a slab (kernel-port/heap): put back or made, taken. Carries what the
 *                   last owner wrote, what was constructed, and the slab's address.
 *   E-slab-look     the fences between a slab's map and where it is listed, and between its words.
 *   E-slab-token    that a slab is listed: given up, taken. Carries its link.
 *   E-slab-active   a CPU's active slab: put there, taken away.
 *   E-slab-spare    a CPU's spare slab: put there, taken away. Carries its bin.
 *   E-slab-dead     a slab whose frames went back: made anew by who comes after.
 *   E-slab-owner    a slab's bin. Carries its map.
 *   E-bin-look      the fences between who makes an object free, and counts it, and who is about
 *                   to be refused, and looks at all slabs.
 *   E-bin-moved     the counts of such objects of a bin, one for each set of CPUs. Carry the map.
 *   E-object-cache  an object cache's class: made, used, ended.
 *   E-class-visit   the fences between who looks at all slabs and who ends an object cache.
 *   E-class-left    that who looked at all slabs is done with an object cache's class.
 *   E-records       the records of a slab: made, found. Carries that they are cleared.
 *   E-records-look  the fences between who walks records and who gives them back with a slab.
 *   E-records-left  a walk of records that is over.
 *   E-records-kept  records that wait for the end of a walk. Carries the link to the next.
 *   E-record        a record of an object in use. Carries its caller and time.
 *   E-reserve       a run of the heap's reserve: set aside, taken. Carries its last owner's writes.
 *   E-quarantine    an object that was freed and waits. Carries its last owner's writes.
 *   E-tag           a tag of a heap: made. Carries its name and quota.
 *   E-owner         the record of a run of frames (kernel-port/heap). Carries its caller and time.
 *   E-guard-enter   the fences of libquire-host's guard: counted before anything is read.
 *   E-guard-leave   a reader of the guard who left: what was read comes before the waiter goes on.
 *   E-host-arena    an arena of libquire-host, made before it is counted.
 *   E-host-grow     who adds an arena: what the last one did.
 *   E-reclaim-stop  libquire-host's reclaimer is to stop.
 *   E-handover      the program's load: a run given by one thread to another.
 *   E-page-cache    the program's load: a page put in by one thread and found by another.
 *
 * Words that come back in the comments of relaxed operations:
 *
 *   advisory        the value steers a search, a figure or an early way out. It may be old by any
 *                   amount when it is used, and that is sound: an exchange decides later, or
 *                   nothing is decided.
 *   a hint          the word itself holds nothing but advice (H1 to H3 of layout.h, active words,
 *                   where a search starts): written and read so.
 *   the exchange decides
 *                   the first guess of a compare-and-swap, which fails if it is old.
 *   the caller's    the word, or these bits of it, are held: no other thread changes them now.
 *   a figure, a statistic
 *                   for reports; exact when nobody is at work.
 *
 * Three builds of the same source:
 *   plain    GNU builtins, C11 orders.
 *   TSan     the same; it does not model fences (gcc refuses them), so the fences become relaxed
 *            read-modify-writes of a dummy: a full barrier for the hardware, no edge for TSan.
 *   Relacy   QUIRE_RELACY: C++, rl::atomic; see stress/common/relacy.
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
typedef Word<uint16_t> qa16;
typedef Word<uint8_t> qa8;

#define qa_load(p, order)      ((p)->load(Order::order, WORD_PLACE))
#define qa_store(p, x, order)  ((p)->store((x), Order::order, WORD_PLACE))
#define qa_cas(p, e, d, order) ((p)->cas(*(e), (d), Order::order, WORD_PLACE))
#define qa_and(p, x, order)    ((p)->fetch_and((x), Order::order, WORD_PLACE))
#define qa_or(p, x, order)     ((p)->fetch_or((x), Order::order, WORD_PLACE))
#define qa_add(p, x, order)    ((p)->fetch_add((x), Order::order, WORD_PLACE))
#define qa_sub(p, x, order)    ((p)->fetch_sub((x), Order::order, WORD_PLACE))
#define qa_xchg(p, x, order)   ((p)->exchange((x), Order::order, WORD_PLACE))
#define qa_hint(p)             qa_load(p, relaxed)
#define qa_grow(p, was, x)     qa_store(p, (was) + (x), relaxed)
#define qa_clear_local(p)      ((p)->cas_local(1, 0, WORD_PLACE))
#define qa_fence_seq_cst()     word_fence(WORD_PLACE)
#define qa_fence_after_rmw()   word_fence_after_rmw(WORD_PLACE)

#else

#if __GCC_ATOMIC_LLONG_LOCK_FREE != 2 && !defined(__GCC_HAVE_SYNC_COMPARE_AND_SWAP_8)
#error "Quire needs lock-free atomic operations on 64 bits, which this machine lacks"
#endif

/* Aligned on all machines: i386 alone would let it lie across two cache lines. */
typedef struct {
    uint64_t v __attribute__((aligned(8)));
} qa64;
typedef struct {
    uint32_t v;
} qa32;
typedef struct {
    uint16_t v;
} qa16;
typedef struct {
    uint8_t v;
} qa8;

#define QA_relaxed __ATOMIC_RELAXED
#define QA_acquire __ATOMIC_ACQUIRE
#define QA_release __ATOMIC_RELEASE
#define QA_acq_rel __ATOMIC_ACQ_REL

#if defined(__i386__)
#include "core/arch/atomic_i386.h"
#else

#if defined(__riscv)
#include "core/arch/atomic_riscv.h"
#else
#define QA_CAS(p, e, d, order) \
    __atomic_compare_exchange_n(&(p)->v, (e), (d), false, order, __ATOMIC_RELAXED)
#endif

#define qa_load(p, order)      __atomic_load_n(&(p)->v, QA_##order)
#define qa_store(p, x, order)  __atomic_store_n(&(p)->v, (x), QA_##order)
#define qa_cas(p, e, d, order) QA_CAS(p, e, d, QA_##order)
#define qa_and(p, x, order)    __atomic_fetch_and(&(p)->v, (x), QA_##order)
#define qa_or(p, x, order)     __atomic_fetch_or(&(p)->v, (x), QA_##order)
#define qa_add(p, x, order)    __atomic_fetch_add(&(p)->v, (x), QA_##order)
#define qa_sub(p, x, order)    __atomic_fetch_sub(&(p)->v, (x), QA_##order)
#define qa_xchg(p, x, order)   __atomic_exchange_n(&(p)->v, (x), QA_##order)

#endif

/* A hint, loaded relaxed and used once: a plain access, which the compiler may fold into the
 * instruction that uses it, as it does not with qa_load. */
#ifdef QUIRE_TSAN
#define qa_hint(p) qa_load(p, relaxed)
#else
#define qa_hint(p) ((p)->v)
#endif

/* Store was + x, relaxed, where *p is `was` and nobody else writes it: on x86-64 by one
 * instruction, so that who needs only a part of `was` need not load the rest. */
#if defined(__x86_64__) && !defined(QUIRE_TSAN)
#define qa_grow(p, was, x) \
    __asm__ volatile("addq %1, %0" : "+m"((p)->v) : "er"((uint64_t)(x)) : "cc", "memory")
#else
#define qa_grow(p, was, x) qa_store(p, (was) + (x), relaxed)
#endif

/* Turn *p from 1 to 0, if it is 1, where no other CPU writes it meanwhile: nothing on this CPU,
 * interrupt or NMI, comes in the middle; other CPUs that read it may. It orders for this CPU alone.
 * On x86 one instruction without the lock prefix; elsewhere (and for ThreadSanitizer) the
 * compare-and-swap that there is. */
static inline bool qa_clear_local(qa32 *p)
{
#if (defined(__x86_64__) || defined(__i386__)) && !defined(QUIRE_TSAN)
    bool was;

    __asm__ volatile("btrl $0, %1" : "=@ccc"(was), "+m"(p->v) : : "memory");
    return was;
#else
    uint32_t one = 1;

    return QA_CAS(p, &one, 0, __ATOMIC_ACQUIRE);
#endif
}

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

/* The caller is about to change the line at p: fetch it for that, beside what else is on its way. A
 * hint. (x86-64 processors without prefetchw ignore it; gcc's __builtin_prefetch would fetch the
 * line for reading alone.) */
static inline void line_fetch(const void *p)
{
#if defined(QUIRE_RELACY)
    (void)p;
#elif defined(__x86_64__)
    __asm__ volatile("prefetchw (%0)" : : "r"(p));
#else
    __builtin_prefetch(p, 1);
#endif
}

#endif /* QUIRE_CORE_ATOMIC_H */
