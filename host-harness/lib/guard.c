/* SPDX-License-Identifier: MIT
 *
 * guard.c - the readers of guard.h.
 *
 * ThreadSanitizer does not see into liburcu: what a reader of its kind did before it left, and the
 * waiter after, is told to it here.
 */
#include "guard.h"

#include <sched.h>
#include <urcu/urcu-memb.h>

#ifdef QUIRE_TSAN
#include <sanitizer/tsan_interface.h>
#define LEFT(place) __tsan_release(place)
#define SEEN(place) __tsan_acquire(place)
#else
#define LEFT(place) ((void)0)
#define SEEN(place) ((void)0)
#endif

#define BY_RCU UINT32_MAX /* the token of a reader of liburcu */

/* How often the calling thread has entered. Only it writes, its signal handlers read. */
static _Thread_local volatile uint32_t entered __attribute__((tls_model("initial-exec")));
static qa32 threads;
#ifdef QUIRE_TSAN
static char grace; /* stands for the edge from leaving readers to the waiter */
#endif

void quire_guard_thread_enter(void)
{
    if (entered == 0) {
        urcu_memb_register_thread();
        qa_add(&threads, 1, relaxed); /* relaxed: a figure */
    }
    /* A handler that sees this finds the thread registered: the write is volatile, and what is
     * before it is a call. */
    entered = entered + 1;
}

bool quire_guard_thread_leave(void)
{
    if (entered == 0)
        return false;
    entered = entered - 1;
    if (entered == 0) {
        urcu_memb_unregister_thread();
        qa_sub(&threads, 1, relaxed); /* relaxed: a figure */
    }
    return true;
}

uint32_t quire_guard_threads(void)
{
    return qa_load(&threads, relaxed); /* relaxed: a figure */
}

uint32_t quire_guard_enter(struct guard *guard, uint32_t cpu)
{
    uint32_t line = cpu % GUARD_LINES;
    uint32_t phase;

    if (entered > 0) {
        urcu_memb_read_lock();
        return BY_RCU;
    }
    /* relaxed: an old phase is as good, the waiter looks at both */
    phase = qa_load(&guard->phase, relaxed) & 1;
    qa_add(&guard->lines[line].readers[phase], 1, relaxed); /* relaxed: ordered by E-guard-enter */
    /* E-guard-enter fence: counted before anything that is published is read. */
    qa_fence_after_rmw();
    return line << 1 | phase;
}

void quire_guard_leave(struct guard *guard, uint32_t token)
{
    if (token == BY_RCU) {
        LEFT(&grace);
        urcu_memb_read_unlock();
        return;
    }
    /* E-guard-leave release: all that was read is read before the waiter goes on. */
    qa_sub(&guard->lines[token >> 1].readers[token & 1], 1, release);
}

static void wait_for_phase(struct guard *guard, uint32_t phase)
{
    for (uint32_t i = 0; i < GUARD_LINES; i++) {
        /* E-guard-leave acquire. */
        while (qa_load(&guard->lines[i].readers[phase], acquire) != 0)
            sched_yield();
    }
}

void quire_guard_wait(struct guard *guard)
{
    uint32_t phase = qa_load(&guard->phase, relaxed) & 1; /* relaxed: only waiters write it */

    /* E-guard-enter fence: what was published before is read by all that are counted from here
     * on. */
    qa_fence_seq_cst();
    wait_for_phase(guard, 1 - phase);
    qa_store(&guard->phase, 1 - phase, relaxed); /* relaxed: see quire_guard_enter */
    wait_for_phase(guard, phase);
    urcu_memb_synchronize_rcu();
    SEEN(&grace);
}
