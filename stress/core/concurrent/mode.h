/* SPDX-License-Identifier: MIT
 *
 * mode.h - what one build of the stress body works on. The build gives the constants with -D; see
 * CMakeLists.txt for the modes. Everything here is constant.
 */
#ifndef QUIRE_STRESS_CORE_CONCURRENT_MODE_H
#define QUIRE_STRESS_CORE_CONCURRENT_MODE_H

/* The zone: usable frames MODE_FIRST .. MODE_FIRST + MODE_FRAMES - 1. */
#ifndef MODE_FIRST
#define MODE_FIRST 1024
#endif
#ifndef MODE_FRAMES
#error "MODE_FRAMES: how many frames the zone has"
#endif
#ifndef MODE_RUN_MAP
#define MODE_RUN_MAP 1
#endif
/* Frames that only MODE_FLAGS with QUIRE_HIGH or QUIRE_EMERGENCY could reach. */
#ifndef MODE_MIN
#define MODE_MIN 0
#endif

/* The threads, whether they share one slot, and how many frames each holds at most. */
#ifndef MODE_THREADS
#define MODE_THREADS 4
#endif
#ifndef MODE_ONE_SLOT
#define MODE_ONE_SLOT 0
#endif
#ifndef MODE_HOLD
#define MODE_HOLD MODE_FRAMES
#endif

/* The orders that allocations draw from, one as likely as another. */
#ifndef MODE_ORDERS
#define MODE_ORDERS 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
#endif
/* How likely each operation is, in percent; what is left to 100 is frees. */
#ifndef MODE_WEIGHTS
#define MODE_WEIGHTS                                                                    \
    .alloc = 30, .batch = 5, .contig = 5, .runs = 3, .at = 6, .reserve = 4, .split = 4, \
    .retire = 1, .wrong = 3
#endif

/* Is a refusal a failure? Only where enough is free at every moment, see CMakeLists.txt. */
#ifndef MODE_NEVER_REFUSED
#define MODE_NEVER_REFUSED 0
#endif

/* Nanoseconds after which a thread is interrupted, at any instruction, by a handler that uses the
 * same slot. A handler has holdings of its own, up to MODE_HOLD as well. */
#ifndef MODE_SIGNAL_NS
#define MODE_SIGNAL_NS 100000
#endif

/* Operations per thread and round; rounds end with all threads at rest and a full check. */
#ifndef MODE_OPERATIONS
#define MODE_OPERATIONS 10000
#endif
#ifndef MODE_ROUNDS
#define MODE_ROUNDS 25
#endif

#endif /* QUIRE_STRESS_CORE_CONCURRENT_MODE_H */
