/* SPDX-License-Identifier: MIT
 *
 * ownership.c - how a CPU cache is taken, in the modes of ownership.
 *
 * See cpu_cache.h for who may touch what (K1 to K9, and the table). An owner's path without an
 * atomic read-modify-write and a drain that never interrupts the owner exclude each other, so the
 * modes differ in what a drain costs: exchange pays one locked instruction a call and drains from
 * anywhere; rseq pays none, and a drain of another CPU asks the kernel to restart what runs there;
 * local pays none either, and asks the owner itself (ask.c).
 *
 * Nothing waits for a CPU cache: a call that finds it taken goes to the zone. Lock-free, any
 * context, but qi_cpu_caches_detach in rseq mode, which is a system call (it does not wait for
 * other threads' calls, only for their CPUs to take an interrupt).
 */
#include "percpu/fastpath.h"

#if QUIRE_RSEQ
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* A restarted section is tried again this often; then the caller goes to the zone. A debugger
 * that steps through a section restarts it every time. */
enum { RSEQ_TRIES = 8 };

/* Take a CPU cache of CPU `cpu`, on which the caller believes to run; in exchange mode it need not.
 * False: it is taken, or being drained, or (but for exchange mode) the caller runs elsewhere. */
bool qi_cpu_cache_take(const struct quire_cache *c, struct cpu_cache *r, uint32_t cpu)
{
    if (c->mode == QUIRE_CACHE_EXCHANGE)
        return qa_xchg(&r->present, 0, acquire) == 1; /* E-cpu-cache acquire */
    if (c->mode == QUIRE_CACHE_LOCAL)
        return cpu == cache_cpu(c) && cpu_cache_claim(r, true);
#if QUIRE_RSEQ
    for (unsigned i = 0; i < RSEQ_TRIES; i++) {
        char *area = rseq_area();
        int result = RSEQ_AGAIN;

        if (rseq_cpu(area) == c->first_cpu + cpu)
            result = rseq_take(c, r, c->first_cpu + cpu);
        if (result != RSEQ_AGAIN)
            return result == RSEQ_DONE;
    }
#endif
    return false;
}

/* Take a CPU cache of a CPU that is detached, by the caller (rseq mode), or retired (local mode).
 */
bool qi_cpu_cache_steal(struct cpu_cache *r)
{
    return qa_xchg(&r->present, 0, acquire) == 1; /* E-cpu-cache acquire */
}

/* Restart the section that is under way on CPU `cpu`, if any: those that start later see what the
 * caller wrote before. Rseq mode. False: the kernel refuses, it may be out of memory. */
bool qi_cpu_restart(const struct quire_cache *c, uint32_t cpu)
{
#if QUIRE_RSEQ
    return syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_CMD_FLAG_CPU,
                   (int)(c->first_cpu + cpu)) == 0;
#else
    (void)c;
    (void)cpu;
    return false;
#endif
}

/* Keep the owner of CPU `cpu` away from its CPU caches of these classes (class_bit), until
 * qi_cpu_caches_attach of the same. True: no section of it is under way, so they may be stolen.
 * False: one may be (the kernel may be out of memory), and the owner is not kept away. */
bool qi_cpu_caches_detach(const struct quire_cache *c, uint32_t cpu, uint64_t classes)
{
    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++)
        if (classes & class_bit(i))
            (void)qa_add(&cpu_cache_of(c, cpu, (enum cache_class)i)->detached, 1,
                         relaxed); /* relaxed: membarrier */
    if (qi_cpu_restart(c, cpu))
        return true;
    qi_cpu_caches_attach(c, cpu, classes);
    return false;
}

/* Let the owner back. */
void qi_cpu_caches_attach(const struct quire_cache *c, uint32_t cpu, uint64_t classes)
{
    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++)
        if (classes & class_bit(i))
            /* E-cpu-cache release: who sees it not detached sees it taken (K3) */
            (void)qa_sub(&cpu_cache_of(c, cpu, (enum cache_class)i)->detached, 1, release);
}
