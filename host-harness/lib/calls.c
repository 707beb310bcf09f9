/* SPDX-License-Identifier: MIT
 *
 * calls.c - memory of a host: the machine's calls with pointers in place of frames; figures.
 *
 * No state of its own; see parts.h.
 */
#include "parts.h"

#include <numaif.h>

static const uint64_t in_page = QUIRE_FRAME_SIZE - 1;

int quire_host_alloc(struct quire_host *host, unsigned order, uint32_t flags, void **memory)
{
    quire_pfn pfn;
    int result = quire_machine_alloc(host->machine, order, flags, &pfn);

    if (!result)
        *memory = (void *)(uintptr_t)quire_phys(pfn);
    return result;
}

int quire_host_request(struct quire_host *host, const struct quire_request *request, void **memory,
                       struct quire_refusal *why)
{
    quire_pfn pfn;
    int result = quire_machine_request(host->machine, request, &pfn, why);

    if (!result)
        *memory = (void *)(uintptr_t)quire_phys(pfn);
    return result;
}

/* The program hears of bad frees. */
static int free_reporting(struct quire_host *host, void *memory, unsigned order)
{
    quire_pfn pfn = quire_pfn_of_phys((uintptr_t)memory);
    struct host_free call = {.pfns = &pfn, .n = 1, .order = order};

    if ((uintptr_t)memory & in_page) {
        host->options.report(host->options.ctx, memory, order, QUIRE_ERR_ALIGN);
        return QUIRE_ERR_ALIGN;
    }
    quire_host_free_begin(&call);
    return quire_host_free_done(host, &call, 0, quire_machine_free(host->machine, pfn, order));
}

int quire_host_free(struct quire_host *host, void *memory, unsigned order)
{
    if (host->options.report)
        return free_reporting(host, memory, order);
    if ((uintptr_t)memory & in_page)
        return QUIRE_ERR_ALIGN;
    return quire_machine_free(host->machine, quire_pfn_of_phys((uintptr_t)memory), order);
}

/* The arena of the frame, by the machine: for who has memory of one that is being added, which the
 * machine hands out before it is among the others (quire_host_grow). It is complete: what the
 * machine gave led to it. NULL: in no zone, or in one that is the program's own. */
static const struct host_arena *added_arena_of(const struct quire_host *host, quire_pfn pfn)
{
    uintptr_t first = (uintptr_t)host->arenas, at;
    struct quire_zone *zone;
    quire_node node;

    if (quire_machine_find(host->machine, pfn, &node, &zone))
        return NULL;
    at = (uintptr_t)zone - first;
    return at < QUIRE_HOST_ARENAS * sizeof(struct host_arena)
               ? &host->arenas[at / sizeof(struct host_arena)]
               : NULL;
}

const struct host_arena *quire_host_arena_of(const struct quire_host *host, quire_pfn pfn)
{
    for (uint32_t i = 0; i < quire_host_arenas(host); i++) {
        const struct host_arena *arena = &host->arenas[i];
        uint64_t first = quire_pfn_of_phys((uintptr_t)arena->memory).n;

        if (pfn.n >= first && pfn.n - first < arena->bytes >> QUIRE_FRAME_SHIFT)
            return arena;
    }
    return added_arena_of(host, pfn);
}

/* Is it a frame of an arena, or of a zone that the program added to the machine? */
static bool host_holds(const struct quire_host *host, quire_pfn pfn)
{
    struct quire_zone *zone;
    quire_node node;

    return quire_host_arena_of(host, pfn) ||
           quire_machine_find(host->machine, pfn, &node, &zone) == QUIRE_OK;
}

void *quire_host_pointer(struct quire_host *host, quire_pfn pfn)
{
    return host_holds(host, pfn) ? (void *)(uintptr_t)quire_phys(pfn) : NULL;
}

int quire_host_pfn(struct quire_host *host, const void *memory, quire_pfn *pfn)
{
    quire_pfn frame = quire_pfn_of_phys((uintptr_t)memory);

    if (!host_holds(host, frame))
        return QUIRE_ERR_FRAME;
    *pfn = frame;
    return QUIRE_OK;
}

int quire_host_file(struct quire_host *host, quire_pfn pfn, int *fd, uint64_t *offset)
{
    const struct host_arena *arena = quire_host_arena_of(host, pfn);

    if (!arena)
        return QUIRE_ERR_FRAME;
    if (arena->fd < 0)
        return QUIRE_ERR_UNSUPPORTED;
    *fd = arena->fd;
    *offset = quire_phys(pfn) - (uintptr_t)arena->memory;
    return QUIRE_OK;
}

int quire_host_give_back(struct quire_host *host, uint64_t keep, uint64_t *bytes)
{
    const struct quire_give_back how = {.keep = keep >> QUIRE_FRAME_SHIFT};
    uint64_t frames, single = 0;
    int result =
        quire_machine_give_back(host->machine, quire_node_of(QUIRE_NO_NODE), &how, &frames);

    if (keep == 0 && !result)
        result = quire_host_discard_single(host, &single);
    frames += single;
    *bytes = frames << QUIRE_FRAME_SHIFT;
    return frames > 0 ? QUIRE_OK : result;
}

struct quire_machine *quire_host_machine(struct quire_host *host)
{
    return host->machine;
}

void quire_host_thread_enter(void)
{
    quire_guard_thread_enter();
}

int quire_host_thread_leave(void)
{
    return quire_guard_thread_leave() ? QUIRE_OK : QUIRE_ERR_STATE;
}

int quire_host_arena(struct quire_host *host, uint32_t index, struct quire_host_arena *arena)
{
    struct host_arena *own;

    if (index >= quire_host_arenas(host))
        return QUIRE_ERR_SIZE;
    own = &host->arenas[index];
    *arena = (struct quire_host_arena){
        .node = own->node,
        .os_node = host->topology.node_id[own->node.n],
        .memory = own->memory,
        .bytes = own->bytes,
        .zone = &own->zone,
        .fd = own->fd,
    };
    return QUIRE_OK;
}

static quire_node node_of(const struct quire_host *host, int os_node)
{
    for (uint32_t n = 0; n < host->topology.node_count; n++) {
        if (os_node >= 0 && host->topology.node_id[n] == (uint32_t)os_node)
            return quire_node_of(n);
    }
    return quire_node_of(QUIRE_NO_NODE);
}

int quire_host_where(struct quire_host *host, const void *memory, size_t pages, quire_node nodes[])
{
    enum { AT_ONCE = 256 };
    uintptr_t first = (uintptr_t)memory & ~in_page;
    const struct host_arena *arena = quire_host_arena_of(host, quire_pfn_of_phys(first));

    if (pages == 0)
        return QUIRE_ERR_SIZE;
    if (!arena || pages > (arena->bytes - (first - (uintptr_t)arena->memory)) >> QUIRE_FRAME_SHIFT)
        return QUIRE_ERR_FRAME;
    for (size_t done = 0; done < pages; done += AT_ONCE) {
        size_t count = pages - done < AT_ONCE ? pages - done : AT_ONCE;
        void *places[AT_ONCE];
        int found[AT_ONCE];

        for (size_t i = 0; i < count; i++)
            places[i] = (void *)(first + ((done + i) << QUIRE_FRAME_SHIFT));
        /* Without nodes to move to it only tells where they are. */
        if (move_pages(0, count, places, NULL, found, 0))
            return QUIRE_ERR_UNSUPPORTED;
        for (size_t i = 0; i < count; i++)
            nodes[done + i] = node_of(host, found[i]);
    }
    return QUIRE_OK;
}

int quire_host_stats(struct quire_host *host, struct quire_host_stats *stats)
{
    uint64_t port_bytes = qa_load(&host->port_bytes, relaxed); /* relaxed: a figure */
    struct quire_machine_stats machine;

    (void)quire_machine_stats(host->machine, &machine);
    *stats = (struct quire_host_stats){
        .wakeups = qa_load(&host->reclaimer.wakeups, relaxed),             /* relaxed: a figure */
        .reclaims = qa_load(&host->reclaimer.calls, relaxed),              /* relaxed: a figure */
        .reclaimed = qa_load(&host->reclaimer.frames, relaxed),            /* relaxed: a figure */
        .last_resorts = qa_load(&host->last_resorts, relaxed),             /* relaxed: a figure */
        .last_resort_frames = qa_load(&host->last_resort_frames, relaxed), /* relaxed: a figure */
        .entered = quire_guard_threads(),
        .metadata_bytes = port_bytes + host->machine_bytes,
        .gone_bytes = machine.gone << QUIRE_FRAME_SHIFT,
    };
    for (uint32_t i = 0; i < quire_host_arenas(host); i++)
        stats->metadata_bytes += host->arenas[i].metadata_bytes;
    return QUIRE_OK;
}
