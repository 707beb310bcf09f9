/* SPDX-License-Identifier: MIT
 *
 * shape.c - pages that change shape: split, joined, freed in part, in pointers.
 *
 * No state of its own; see parts.h.
 */
#include "parts.h"

static bool is_page(const void *memory)
{
    return (uintptr_t)memory % QUIRE_FRAME_SIZE == 0;
}

int quire_host_split(struct quire_host *host, void *memory, uint64_t frames, uint32_t flags)
{
    return is_page(memory) ? quire_machine_split(
                                 host->machine, quire_pfn_of_phys((uintptr_t)memory), frames, flags)
                           : QUIRE_ERR_ALIGN;
}

int quire_host_join(struct quire_host *host, void *memory)
{
    return is_page(memory) ? quire_machine_join(host->machine, quire_pfn_of_phys((uintptr_t)memory))
                           : QUIRE_ERR_ALIGN;
}

/* Free the part of the run; of a run that is that part, single pages in a row. */
static int free_pages(struct quire_host *host, struct quire_run run, struct quire_run part,
                      bool singles, uint32_t flags)
{
    return singles ? quire_machine_free_range(host->machine, part.pfn, part.frames)
                   : quire_machine_free_part(host->machine, run, part, flags);
}

/* The same, of which the program hears if it is a bad free and it wants to. */
static int free_told(struct quire_host *host, struct quire_run run, struct quire_run part,
                     bool singles, uint32_t flags)
{
    struct host_free call = {.pfns = &part.pfn, .n = 1, .order = QUIRE_HOST_NO_ORDER};

    if (!host->options.report)
        return free_pages(host, run, part, singles, flags);
    quire_host_free_begin(&call);
    return quire_host_free_done(host, &call, 0, free_pages(host, run, part, singles, flags));
}

static int not_a_page(struct quire_host *host, void *memory)
{
    if (host->options.report)
        host->options.report(host->options.ctx, memory, QUIRE_HOST_NO_ORDER, QUIRE_ERR_ALIGN);
    return QUIRE_ERR_ALIGN;
}

int quire_host_free_range(struct quire_host *host, void *memory, uint64_t frames)
{
    struct quire_run range = {quire_pfn_of_phys((uintptr_t)memory), frames};

    return is_page(memory) ? free_told(host, range, range, true, 0) : not_a_page(host, memory);
}

int quire_host_free_part(struct quire_host *host, void *memory, uint64_t frames, void *part,
                         uint64_t part_frames, uint32_t flags)
{
    struct quire_run run = {quire_pfn_of_phys((uintptr_t)memory), frames};
    struct quire_run some = {quire_pfn_of_phys((uintptr_t)part), part_frames};

    if (!is_page(memory) || !is_page(part))
        return not_a_page(host, is_page(memory) ? part : memory);
    return free_told(host, run, some, false, flags);
}
