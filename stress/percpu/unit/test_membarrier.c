/* SPDX-License-Identifier: MIT
 *
 * test_membarrier.c - what happens in rseq mode when the kernel does not restart the others'
 * sections (it may be out of memory, or a sandbox may forbid the call): no CPU cache is stolen from
 * under its owner's feet. Frames of other CPUs stay where they are; everything else works, and what
 * the caller's own CPU has is drained without the kernel. White-box: counts what the drains left.
 *
 * The refusal is a seccomp filter, in a child.
 */
#include "stress/percpu/cache_rig.h"

#include "percpu/cpu_cache.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FRAMES = 64 * BLOCK };

static struct rig rig;

static bool refuse_membarrier(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOMEM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof code / sizeof code[0], code};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

static quire_pfn take(void)
{
    quire_pfn pfn;

    if (quire_cache_alloc(&rig.cache, 0, 0, &pfn) != QUIRE_OK)
        die("an allocation was refused");
    return pfn;
}

static void live_with_it(void)
{
    struct quire_cache_stats before, after;
    quire_pfn pfn;

    if (!refuse_membarrier())
        _exit(SKIPPED);
    (void)quire_cache_stats(&rig.cache, &before);
    run_on(&rig, 1);
    if (quire_cache_drain(&rig.cache, cpu_name(0)) != QUIRE_OK ||
        quire_cache_drain_all(&rig.cache) != QUIRE_OK)
        die("a drain fails");
    (void)quire_cache_maintain(&rig.cache);
    (void)quire_cache_maintain(&rig.cache);
    (void)quire_cache_stats(&rig.cache, &after);
    if (after.drains != before.drains ||
        after.cached[CACHE_UNMOVABLE] != before.cached[CACHE_UNMOVABLE])
        die("CPU caches were drained though a section may have been under way");
    check_rest(&rig, 0);
    run_on(&rig, 0);
    pfn = take(); /* a hit, as ever */
    (void)quire_cache_stats(&rig.cache, &after);
    if (after.cached[CACHE_UNMOVABLE] != before.cached[CACHE_UNMOVABLE] - 1 ||
        after.bypasses != before.bypasses)
        die("the CPU cache is not in use any more");
    if (quire_cache_free(&rig.cache, pfn, 0) != QUIRE_OK)
        die("a free was refused");
    check_rest(&rig, 0);
    if (quire_cache_drain(&rig.cache, rig.cpu) != QUIRE_OK || cached_frames(&rig) != 0)
        die("what is on this CPU cannot be drained");
    check_rest(&rig, 0);
    _exit(0);
}

int main(int argc, char *argv[])
{
    quire_pfn pfn;
    pid_t child;
    int status;

    select_mode(argc, argv);
    if (cpu_count() < 2)
        skip_all("one CPU only: none that the kernel would have to help with");
    rig_begin(&rig, FRAMES);
    rig_open(&rig);
    run_on(&rig, 0);
    pfn = take();
    if (quire_cache_free(&rig.cache, pfn, 0) != QUIRE_OK)
        die("a free was refused");
    (void)fflush(NULL);
    child = fork();
    if (child == 0)
        live_with_it();
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        die("the child did not end well");
    if (WEXITSTATUS(status) == SKIPPED)
        skip_all("no seccomp filter is permitted here");
    if (WEXITSTATUS(status) != 0)
        die("the child ended with status %d", WEXITSTATUS(status));
    rig_close(&rig, 0);
    return 0;
}
