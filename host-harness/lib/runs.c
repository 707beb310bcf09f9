/* SPDX-License-Identifier: MIT
 *
 * runs.c - batches and contiguous runs of a host, in pointers.
 *
 * A batch is turned from pointers into frames and back in the caller's own array, as memory for
 * another one cannot be had in a signal handler: both are one word.
 *
 * No state of its own; see parts.h.
 */
#include "parts.h"

#include <string.h>

_Static_assert(sizeof(void *) == sizeof(quire_pfn), "a pointer and a frame in the same place");

/* The compiler supposes that what is written as a frame is not read as a pointer: it does not see
 * what the machine does with the array. */
#define CHANGED_TYPE() __asm__ volatile("" ::: "memory")

static quire_pfn *to_frames(void *memory[], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        quire_pfn pfn = quire_pfn_of_phys((uintptr_t)memory[i]);

        memcpy(&memory[i], &pfn, sizeof(pfn));
    }
    CHANGED_TYPE();
    return (quire_pfn *)(void *)memory;
}

static void to_pointers(void *memory[], size_t n)
{
    CHANGED_TYPE();
    for (size_t i = 0; i < n; i++) {
        quire_pfn pfn;

        memcpy(&pfn, &memory[i], sizeof(pfn));
        memory[i] = (void *)(uintptr_t)quire_phys(pfn);
    }
}

int quire_host_alloc_batch(struct quire_host *host, const struct quire_request *request, size_t n,
                           void *memory[], size_t *got, struct quire_refusal *why)
{
    int result =
        quire_machine_alloc_batch(host->machine, request, n, to_frames(memory, 0), got, why);

    if (!result) {
        to_pointers(memory, *got);
        return QUIRE_OK;
    }
    CHANGED_TYPE();
    for (size_t i = 0; i < n; i++)
        memory[i] = NULL;
    return result;
}

int quire_host_free_batch(struct quire_host *host, void *memory[], size_t n, size_t *bad)
{
    struct host_free call = {.n = n};
    size_t where = n; /* until a bad one is found */
    int result;

    for (size_t i = 0; i < n; i++) {
        if ((uintptr_t)memory[i] % QUIRE_FRAME_SIZE == 0)
            continue;
        if (bad)
            *bad = i;
        if (host->options.report)
            host->options.report(host->options.ctx, memory[i], 0, QUIRE_ERR_ALIGN);
        return QUIRE_ERR_ALIGN;
    }
    call.pfns = to_frames(memory, n);
    if (host->options.report)
        quire_host_free_begin(&call);
    result = quire_machine_free_batch(host->machine, call.pfns, n, &where);
    if (host->options.report)
        (void)quire_host_free_done(host, &call, where, result);
    to_pointers(memory, n);
    if (bad && where < n)
        *bad = where;
    return result;
}

/* ---- Contiguous runs ------------------------------------------------------------------------ */

/* May frames of the arena serve the request? */
static bool may_use(const struct host_arena *arena, const struct quire_policy *policy)
{
    return policy->mode != QUIRE_POLICY_BIND ||
           policy->nodes.bits & quire_nodemask_of(arena->node).bits;
}

/* Is there a place in the bytes first .. last where the run could lie, all of it being free? */
static bool has_place(uint64_t first, uint64_t last, const struct quire_contig *want)
{
    const uint64_t bytes = want->frames << QUIRE_FRAME_SHIFT; /* fewer than 2^52 */
    const uint64_t align = want->align > QUIRE_FRAME_SIZE ? want->align : QUIRE_FRAME_SIZE;
    uint64_t at = (first + align - 1) & ~(align - 1);

    /* A boundary is met by the first place behind it, if not before. */
    if (want->boundary && at / want->boundary != (at + bytes - 1) / want->boundary) {
        uint64_t step = want->boundary > align ? want->boundary : align;

        at = (at + step - 1) & ~(step - 1);
    }
    return at >= first && at <= last && last - at >= bytes - 1;
}

/* Has the machine memory besides the arenas, a zone that the program added? */
static bool has_more_zones(const struct quire_host *host, enum quire_zone_type type)
{
    size_t zones = 0;

    for (uint32_t n = 0; n < host->topology.node_count; n++)
        if (quire_machine_zonelist(host->machine, quire_node_of(n), type, NULL, 0, &zones) ==
                QUIRE_OK &&
            zones > quire_host_arenas(host))
            return true;
    return false;
}

/* Could the run lie anywhere? What makes no sense at all is the machine's to refuse. */
static bool can_be_met(const struct quire_host *host, const struct quire_request *request,
                       const struct quire_contig *want)
{
    const struct quire_policy *policy = request->policy ? request->policy : &host->options.policy;
    bool some_has_room = false; /* or else its length is what is wrong */

    if (want->frames == 0 || want->frames >> QUIRE_PFN_BITS || want->align & (want->align - 1) ||
        want->boundary & (want->boundary - 1) ||
        (want->boundary && want->boundary >> QUIRE_FRAME_SHIFT < want->frames))
        return true;
    if (request->purpose != QUIRE_FOR_NORMAL || has_more_zones(host, QUIRE_ZONE_NORMAL))
        return true; /* the machine knows */
    for (uint32_t i = 0; i < quire_host_arenas(host); i++) {
        uint64_t first = (uintptr_t)host->arenas[i].memory;
        uint64_t last = first + host->arenas[i].bytes - 1;

        first = want->low > first ? want->low : first;
        last = want->high && want->high < last ? want->high : last;
        if (may_use(&host->arenas[i], policy) && first <= last && has_place(first, last, want))
            return true;
        some_has_room |= want->frames <= host->arenas[i].bytes >> QUIRE_FRAME_SHIFT;
    }
    return !some_has_room || (want->low == 0 && want->high == 0);
}

int quire_host_alloc_contig(struct quire_host *host, const struct quire_request *request,
                            const struct quire_contig *want, void **memory,
                            struct quire_refusal *why)
{
    quire_pfn pfn;
    int result;

    if (!(want->high && want->low > want->high) && !can_be_met(host, request, want)) {
        if (why)
            *why = (struct quire_refusal){.error = QUIRE_ERR_FRAME, .node = {QUIRE_NO_NODE}};
        return QUIRE_ERR_FRAME;
    }
    result = quire_machine_alloc_contig(host->machine, request, want, &pfn, why);
    if (!result)
        *memory = (void *)(uintptr_t)quire_phys(pfn);
    return result;
}

int quire_host_free_contig(struct quire_host *host, void *memory, uint64_t frames)
{
    quire_pfn pfn = quire_pfn_of_phys((uintptr_t)memory);
    struct host_free call = {.pfns = &pfn, .n = 1, .order = QUIRE_HOST_NO_ORDER};

    if ((uintptr_t)memory % QUIRE_FRAME_SIZE) {
        if (host->options.report)
            host->options.report(host->options.ctx, memory, QUIRE_HOST_NO_ORDER, QUIRE_ERR_ALIGN);
        return QUIRE_ERR_ALIGN;
    }
    if (!host->options.report)
        return quire_machine_free_contig(host->machine, pfn, frames);
    quire_host_free_begin(&call);
    return quire_host_free_done(host, &call, 0,
                                quire_machine_free_contig(host->machine, pfn, frames));
}
