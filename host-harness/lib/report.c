/* SPDX-License-Identifier: MIT
 *
 * report.c - tells the program of bad frees (see parts.h and quire_host_report of host.h).
 *
 * State: the list of the calling thread's frees, which only it and its signal handlers touch: each
 * call puts itself in front, and takes itself off before it returns.
 */
#include "parts.h"

static _Thread_local struct host_free *volatile frees __attribute__((tls_model("initial-exec")));

void quire_host_free_begin(struct host_free *call)
{
    call->outer = frees;
    /* The compiler must not put off what a signal handler finds by the list. */
    __asm__ volatile("" ::: "memory");
    frees = call;
}

static void tell(const struct quire_host *host, quire_pfn pfn, unsigned order, int error)
{
    host->options.report(host->options.ctx, (void *)(uintptr_t)quire_phys(pfn), order, error);
}

int quire_host_free_done(struct quire_host *host, struct host_free *call, size_t bad, int error)
{
    frees = call->outer;
    if (error && !call->told && bad < call->n)
        tell(host, call->pfns[bad], call->order, error);
    return error;
}

/* The innermost call of this thread that frees the frame, or NULL: then it was freed earlier. */
static struct host_free *who_frees(quire_pfn pfn)
{
    for (struct host_free *call = frees; call; call = call->outer) {
        for (size_t i = 0; i < call->n; i++) {
            if (call->pfns[i].n == pfn.n)
                return call;
        }
    }
    return NULL;
}

void quire_host_port_report(void *ctx, struct quire_zone *zone, enum quire_report what,
                            quire_pfn pfn, int error)
{
    const struct host_arena *arena = ctx;
    struct host_free *call = what == QUIRE_REPORT_BAD_FREE ? who_frees(pfn) : NULL;
    unsigned order = call ? call->order : QUIRE_HOST_NO_ORDER;

    (void)zone;
    if (what == QUIRE_REPORT_WITHDRAWN)
        order = QUIRE_BLOCK_ORDER;
    if (call)
        call->told = true;
    tell(arena->host, pfn, order, what == QUIRE_REPORT_WITHDRAWN ? QUIRE_ERR_DOUBLE_FREE : error);
}
