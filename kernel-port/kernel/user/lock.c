/* SPDX-License-Identifier: MIT
 *
 * lock.c - a lock of this folder, taken with interrupts off. Who waits spins: a holder is never
 * preempted, so the wait is for the work of those before. It goes to whoever asks next, not to who
 * asked first: where emulated CPUs share a few real ones, the first in a row is often one that does
 * not run just then, and all others would wait for its turn on a real one, each time.
 */
#include "process.h"
#include "x86.h"

void lock_take(struct lock *lock)
{
    while (__atomic_exchange_n(&lock->taken, 1, __ATOMIC_ACQUIRE)) /* pairs with lock_give */
        while (__atomic_load_n(&lock->taken, __ATOMIC_RELAXED)) /* relaxed: the exchange decides */
            pause();
}

void lock_give(struct lock *lock)
{
    __atomic_store_n(&lock->taken, 0, __ATOMIC_RELEASE); /* pairs with lock_take */
}
