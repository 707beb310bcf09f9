/* SPDX-License-Identifier: MIT
 *
 * shape.c - runs change shape: split, joined, freed in part; and what the frames of a range are.
 *
 * The zone decides, past the caches: a run that changes shape is its owner's, so no cache has it. A
 * range that is freed goes to its zone at once, as a batch of many frames would.
 *
 * No state. Lock-free, any context.
 */
#include "numa/machine/machine.h"

int quire_machine_split(struct quire_machine *m, quire_pfn pfn, uint64_t frames, uint32_t flags)
{
    struct machine_reader r;
    const struct machine_entry *e = machine_enter_at(m, pfn, &r);
    int error =
        e ? quire_zone_split_contig(&e->zone->zone, entry_slot(e, r.cpu), pfn, frames, flags)
          : QUIRE_ERR_FRAME;

    qi_machine_leave(&r);
    return error;
}

int quire_machine_split_blocks(struct quire_machine *m, quire_pfn pfn, unsigned order)
{
    struct machine_reader r;
    const struct machine_entry *e = machine_enter_at(m, pfn, &r);
    int error = e ? quire_zone_split_blocks(&e->zone->zone, entry_slot(e, r.cpu), pfn, order)
                  : QUIRE_ERR_FRAME;

    qi_machine_leave(&r);
    return error;
}

int quire_machine_join(struct quire_machine *m, quire_pfn pfn)
{
    struct machine_reader r;
    const struct machine_entry *e = machine_enter_at(m, pfn, &r);
    int error = e ? quire_zone_join(&e->zone->zone, entry_slot(e, r.cpu), pfn) : QUIRE_ERR_FRAME;

    qi_machine_leave(&r);
    return error;
}

int quire_machine_free_range(struct quire_machine *m, quire_pfn pfn, uint64_t frames)
{
    struct machine_reader r;
    const struct machine_entry *e = machine_enter_at(m, pfn, &r);
    int error = e ? quire_zone_free_range(&e->zone->zone, entry_slot(e, r.cpu), pfn, frames)
                  : QUIRE_ERR_FRAME;

    qi_machine_leave(&r);
    return error;
}

int quire_machine_free_part(struct quire_machine *m, struct quire_run run, struct quire_run part,
                            uint32_t flags)
{
    struct machine_reader r;
    const struct machine_entry *e = machine_enter_at(m, run.pfn, &r);
    int error = e ? quire_zone_free_part(&e->zone->zone, entry_slot(e, r.cpu), run, part, flags)
                  : QUIRE_ERR_FRAME;

    qi_machine_leave(&r);
    return error;
}

/* The frames that two runs share; none: 0 frames. */
static struct quire_run common_part(struct quire_run a, struct quire_run b)
{
    uint64_t first = a.pfn.n > b.pfn.n ? a.pfn.n : b.pfn.n;
    uint64_t last_a = a.pfn.n + (a.frames - 1), last_b = b.pfn.n + (b.frames - 1);
    uint64_t last = last_a < last_b ? last_a : last_b;
    struct quire_run part = {quire_pfn_of(first), first <= last ? last - first + 1 : 0};

    return part;
}

int quire_machine_range_stats(struct quire_machine *m, struct quire_run range,
                              struct quire_range_stats *stats)
{
    struct quire_range_stats sum = {0}, some;
    struct machine_reader r;

    if (range.frames == 0 || range.frames >> QUIRE_PFN_BITS ||
        range.pfn.n > UINT64_MAX - range.frames)
        return QUIRE_ERR_SIZE;
    qi_machine_enter(m, &r);
    for (size_t i = 0; i < r.snapshot->span_count; i++) {
        const struct quire_pfnmap_span *span = &r.snapshot->spans[i];
        const struct machine_zone *z = r.snapshot->entries[span->zone].zone;
        struct quire_run part = common_part(range, span->run);

        if (part.frames && !quire_zone_range_stats(&z->zone, part, &some))
            quire_range_stats_add(&sum, &some);
    }
    qi_machine_leave(&r);
    if (sum.frames == 0)
        return QUIRE_ERR_FRAME;
    *stats = sum;
    return QUIRE_OK;
}
