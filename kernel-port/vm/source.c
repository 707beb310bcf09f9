/* SPDX-License-Identifier: MIT
 *
 * source.c - where tables come from: a machine, boot memory, a fixed run of frames; and a space's
 * frames. What comes from a machine may be counted by its kind.
 */
#include "core/atomic.h"

#include <quire/boot.h>
#include <quire/machine.h>
#include <quire/paging.h>
#include <quire/space.h>

/* ---- A machine ----------------------------------------------------------------------------- */

static int request_table(struct quire_machine *machine, uint64_t below, quire_pfn *pfn)
{
    struct quire_request request = quire_request_of(0, 0);

    if (below <= (uint64_t)1 << (32 - QUIRE_FRAME_SHIFT))
        request.purpose = QUIRE_FOR_DMA32;
    return quire_machine_request(machine, &request, pfn, NULL);
}

static int machine_give(void *ctx, uint64_t below, quire_pfn *pfn)
{
    return request_table((struct quire_machine *)ctx, below, pfn);
}

static void machine_take_back(void *ctx, quire_pfn pfn)
{
    (void)quire_machine_free((struct quire_machine *)ctx, pfn, 0);
}

struct quire_table_source quire_tables_from_machine(struct quire_machine *machine)
{
    struct quire_table_source source = {machine_give, machine_take_back, machine};

    return source;
}

static int request_run(struct quire_machine *machine, const struct quire_policy *policy,
                       unsigned order, uint32_t flags, quire_pfn *pfn)
{
    struct quire_request request = quire_request_of(order, flags);

    request.policy = policy;
    return quire_machine_request(machine, &request, pfn, NULL);
}

static int machine_give_run(void *ctx, const struct quire_policy *policy, unsigned order,
                            quire_pfn *pfn)
{
    return request_run((struct quire_machine *)ctx, policy, order, 0, pfn);
}

static int machine_give_zeroed(void *ctx, const struct quire_policy *policy, unsigned order,
                               quire_pfn *pfn)
{
    return request_run((struct quire_machine *)ctx, policy, order, QUIRE_ZEROED, pfn);
}

static void machine_take_run(void *ctx, quire_pfn pfn, unsigned order)
{
    (void)quire_machine_free((struct quire_machine *)ctx, pfn, order);
}

static int machine_split(void *ctx, quire_pfn pfn, unsigned order)
{
    struct quire_machine *machine = (struct quire_machine *)ctx;

    if (order == QUIRE_GIGABYTE_ORDER)
        return quire_machine_split_blocks(machine, pfn, order);
    return quire_machine_split(machine, pfn, (uint64_t)1 << order, 0);
}

struct quire_frame_source quire_frames_from_machine(struct quire_machine *machine)
{
    struct quire_frame_source source = {machine_give_run, machine_take_run, machine_split,
                                        machine_give_zeroed, machine};

    return source;
}

/* ---- A machine, by kind -------------------------------------------------------------------- */

static int counted(const struct quire_kind_source *source, unsigned order, int error)
{
    if (!error)
        quire_kinds_count(source->kinds, source->kind, (ptrdiff_t)1 << order);
    return error;
}

static int kind_give(void *ctx, uint64_t below, quire_pfn *pfn)
{
    const struct quire_kind_source *source = (const struct quire_kind_source *)ctx;

    return counted(source, 0, request_table(source->machine, below, pfn));
}

static int kind_give_run(void *ctx, const struct quire_policy *policy, unsigned order,
                         quire_pfn *pfn)
{
    const struct quire_kind_source *source = (const struct quire_kind_source *)ctx;

    return counted(source, order, request_run(source->machine, policy, order, 0, pfn));
}

static int kind_give_zeroed(void *ctx, const struct quire_policy *policy, unsigned order,
                            quire_pfn *pfn)
{
    const struct quire_kind_source *source = (const struct quire_kind_source *)ctx;

    return counted(source, order, request_run(source->machine, policy, order, QUIRE_ZEROED, pfn));
}

static void kind_take_run(void *ctx, quire_pfn pfn, unsigned order)
{
    const struct quire_kind_source *source = (const struct quire_kind_source *)ctx;

    (void)quire_kinds_free(source->kinds, source->machine, pfn, order, source->kind);
}

static void kind_take_back(void *ctx, quire_pfn pfn)
{
    kind_take_run(ctx, pfn, 0);
}

/* Of one kind before and after. */
static int kind_split(void *ctx, quire_pfn pfn, unsigned order)
{
    return machine_split(((const struct quire_kind_source *)ctx)->machine, pfn, order);
}

struct quire_table_source quire_tables_of_kind(struct quire_kind_source *source)
{
    struct quire_table_source tables = {kind_give, kind_take_back, source};

    return tables;
}

struct quire_frame_source quire_frames_of_kind(struct quire_kind_source *source)
{
    struct quire_frame_source frames = {kind_give_run, kind_take_run, kind_split, kind_give_zeroed,
                                        source};

    return frames;
}

/* ---- Boot memory --------------------------------------------------------------------------- */

static int boot_give(void *ctx, uint64_t below, quire_pfn *pfn)
{
    struct quire_boot_request want = {0};
    uint64_t phys;
    int error;

    want.bytes = QUIRE_FRAME_SIZE;
    want.align = QUIRE_FRAME_SIZE;
    want.high = (below << QUIRE_FRAME_SHIFT) - 1;
    want.node = QUIRE_NODE_ANY;
    error = quire_boot_alloc((struct quire_boot *)ctx, &want, &phys);
    if (error == 0)
        *pfn = quire_pfn_of_phys(phys);
    return error;
}

struct quire_table_source quire_tables_from_boot(struct quire_boot *boot)
{
    struct quire_table_source source = {boot_give, NULL, boot};

    return source;
}

/* ---- A fixed run --------------------------------------------------------------------------- */

/* One pass over the words, so a refusal says that each frame was seen taken. */
static int pool_give(void *ctx, uint64_t below, quire_pfn *pfn)
{
    struct quire_table_pool *pool = (struct quire_table_pool *)ctx;

    for (uint64_t i = 0; i < pool->run.frames; i += 64) {
        qa64 *word = (qa64 *)(void *)pool->taken + i / 64;
        uint64_t seen = qa_load(word, relaxed); /* relaxed: the exchange decides */

        while (~seen) {
            uint64_t lowest = ~seen & (seen + 1), frame = i;

            while (lowest >> (frame - i) != 1)
                frame++;

            if (frame >= pool->run.frames || pool->run.pfn.n + frame >= below)
                return QUIRE_ERR_NO_MEMORY;
            /* E-table-pool acquire: the last owner is done with the frame */
            if (qa_cas(word, &seen, seen | lowest, acquire)) {
                *pfn = quire_pfn_of(pool->run.pfn.n + frame);
                return 0;
            }
        }
    }
    return QUIRE_ERR_NO_MEMORY;
}

static void pool_take_back(void *ctx, quire_pfn pfn)
{
    struct quire_table_pool *pool = (struct quire_table_pool *)ctx;
    uint64_t frame = pfn.n - pool->run.pfn.n;

    if (frame >= pool->run.frames)
        return; /* of another source: see quire_paging_set_source */
    /* E-table-pool release: what was done with the frame comes before its next owner */
    (void)qa_and((qa64 *)(void *)pool->taken + frame / 64, ~((uint64_t)1 << frame % 64), release);
}

struct quire_table_source quire_tables_from_pool(struct quire_table_pool *pool)
{
    struct quire_table_source source = {pool_give, pool_take_back, pool};

    return source;
}
