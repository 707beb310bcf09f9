/* SPDX-License-Identifier: MIT
 *
 * mempool.c - a mempool: single frames that a caller holds ahead of need, so that taking one cannot
 * be refused at a bad moment.
 *
 * State: an array of the caller's, filled once by a batch, and `left`, how many of its frames
 * nobody has taken yet. The danger is that two callers take one frame.
 *
 *   MP1  Frames 0 .. left - 1 are in the mempool. `left` is lowered by a compare-and-swap, one at a
 *        time, and the call that lowered it from n to n - 1 has frame n - 1.
 *   MP2  The array is written before the mempool is shared and never afterwards. So `left` carries
 *        nothing and is relaxed: the edge by which the caller hands the mempool to other threads
 *        carries the frames.
 *
 *   who            beside whom
 *   fill           nobody: the mempool is not shared yet
 *   take           any number of takes
 *   release        nobody: what is left is freed as a batch
 *
 * Lock-free, any context.
 */
#include "numa/machine/machine.h"

/* `left` as an atomic. */
static qa64 *mempool_left(struct quire_mempool *mempool)
{
    void *p = &mempool->left;

    return (qa64 *)p;
}

int quire_mempool_fill(struct quire_machine *m, const struct quire_request *request, size_t n,
                       quire_pfn pfns[], struct quire_mempool *mempool, struct quire_refusal *why)
{
    size_t got;
    int error;

    if (request->flags & QUIRE_PARTIAL)
        return qi_machine_refuse(QUIRE_ERR_UNSUPPORTED, why);
    error = quire_machine_alloc_batch(m, request, n, pfns, &got, why);
    if (error)
        return error;
    qi_assert(got == n);
    mempool->pfns = pfns;
    qa_store(mempool_left(mempool), got, relaxed); /* relaxed: MP2 */
    return QUIRE_OK;
}

int quire_mempool_take(struct quire_mempool *mempool, quire_pfn *pfn)
{
    uint64_t left = qa_load(mempool_left(mempool), relaxed); /* relaxed: MP1, the swap decides */

    while (left > 0)
        /* relaxed: MP2. A retry follows another caller's success. */
        if (qa_cas(mempool_left(mempool), &left, left - 1, relaxed)) {
            *pfn = mempool->pfns[left - 1];
            return QUIRE_OK;
        }
    return QUIRE_ERR_NO_MEMORY;
}

int quire_mempool_release(struct quire_machine *m, struct quire_mempool *mempool)
{
    uint64_t left =
        qa_xchg(mempool_left(mempool), 0, relaxed); /* relaxed: nobody takes meanwhile */
    int error = QUIRE_OK;

    if (left)
        error = quire_machine_free_batch(m, mempool->pfns, (size_t)left, NULL);
    if (error)
        qa_store(mempool_left(mempool), left, relaxed); /* relaxed: as above */
    return error;
}
