/* SPDX-License-Identifier: MIT
 *
 * discard.c - pages of an arena that the system takes, and that come again: free blocks, for the
 * zones' port, and pages of the caller's (quire_host_discard).
 *
 * The danger is what the kernel makes of a part. Of memory that it was advised to back by huge
 * pages it collects what lies in 2 MiB into one, however little that is: so what was discarded
 * beside pages that stay would be resident again within minutes, by itself. So of a block of which
 * a part is discarded no huge page is made (MADV_NOHUGEPAGE), until all of it is discarded: then it
 * may come as one again.
 *
 * A block that differs from its neighbours costs a process up to two of its mappings, of which
 * Linux allows 65530. So there are NO_HUGE_MOST of them at a time, an eighth of these mappings at
 * most; further ones are left as they are.
 *
 *   no_huge[]      of an arena, a bit for each block: the kernel makes no huge page of it.
 *   no_huge_count  of the host: how many of these bits are set, and no more than NO_HUGE_MOST.
 *
 * Free pages beside used ones (quire_host_discard_single) are found and held by the zone, which
 * does it to zero them ahead of need: pages that the system has taken read as zeros. So a copy of
 * the zone's handle zeroes by dropping, and nothing is written in its place. Not those of a file,
 * which others may write again, nor parts of the pool's pages.
 *
 * A part is discarded by who has its pages, all of a block by who has it or, when it is free, by
 * who holds it: so a bit is set by some at once, and cleared when none of them is left.
 */
#include "parts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

enum { NO_HUGE_MOST = 4096, MAP_BITS = 64 };

size_t quire_host_no_huge_bytes(const struct host_arena *arena)
{
    const uint64_t blocks = arena->bytes / HOST_HUGE;

    return arena->host->options.pages == QUIRE_HOST_PAGES_ADVISE
               ? (blocks + MAP_BITS - 1) / MAP_BITS * sizeof(qa64)
               : 0;
}

/* The kernel does, or makes no huge page of block b. What it cannot do is no failure. */
static void advise_block(const struct host_arena *arena, uint64_t b, int advice)
{
    int error = errno;

    (void)madvise((char *)arena->memory + b * HOST_HUGE, HOST_HUGE, advice);
    errno = error;
}

static void forbid_huge(const struct host_arena *arena, uint64_t b)
{
    const uint64_t bit = 1ull << b % MAP_BITS;
    qa64 *word = &arena->no_huge[b / MAP_BITS], *count = &arena->host->no_huge_count;

    if (qa_load(word, relaxed) & bit) /* relaxed: the block is in part the caller's */
        return;
    /* relaxed: a count, and of the bit only who sets it matters */
    if (qa_add(count, 1, relaxed) < NO_HUGE_MOST && !(qa_or(word, bit, relaxed) & bit))
        advise_block(arena, b, MADV_NOHUGEPAGE);
    else
        (void)qa_sub(count, 1, relaxed); /* relaxed: a count */
}

static void allow_huge(const struct host_arena *arena, uint64_t b)
{
    const uint64_t bit = 1ull << b % MAP_BITS;
    qa64 *word = &arena->no_huge[b / MAP_BITS];

    /* relaxed: the block is the caller's, and what others did with it came before */
    if (!(qa_load(word, relaxed) & bit) || !(qa_and(word, ~bit, relaxed) & bit))
        return;
    advise_block(arena, b, MADV_HUGEPAGE);
    (void)qa_sub(&arena->host->no_huge_count, 1, relaxed); /* relaxed: a count */
}

/* The system takes the pages. They are somebody's again when they are touched. Those of a file
 * are the file's, whoever has mapped it. A block that went as a whole may be a huge page again, one
 * of which a part went may not. 0, or -1 with errno set. */
static int drop_pages(const struct host_arena *arena, uint64_t address, uint64_t bytes)
{
    const uint64_t at = address - (uintptr_t)arena->memory, end = at + bytes;
    int result;

    if (arena->fd < 0)
        result = madvise((void *)(uintptr_t)address, bytes, MADV_DONTNEED);
    else
        result = fallocate(arena->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at,
                           (off_t)bytes);
    for (uint64_t b = at / HOST_HUGE; !result && arena->no_huge && b * HOST_HUGE < end; b++) {
        if (b * HOST_HUGE >= at && (b + 1) * HOST_HUGE <= end)
            allow_huge(arena, b);
        else
            forbid_huge(arena, b);
    }
    return result;
}

int quire_host_port_zero(void *ctx, quire_pfn pfn, uint64_t frames)
{
    (void)ctx;
    memset((void *)(uintptr_t)quire_phys(pfn), 0, frames << QUIRE_FRAME_SHIFT);
    return QUIRE_OK;
}

int quire_host_port_discard(void *ctx, quire_pfn pfn, uint64_t frames)
{
    return drop_pages(ctx, quire_phys(pfn), frames << QUIRE_FRAME_SHIFT) ? QUIRE_ERR_UNSUPPORTED
                                                                         : QUIRE_OK;
}

int quire_host_discard_single(struct quire_host *host, uint64_t *frames)
{
    int result = QUIRE_OK;

    *frames = 0;
    if (host->options.pages == QUIRE_HOST_PAGES_HUGE || host->share_name[0])
        return QUIRE_OK;
    for (uint32_t i = 0; i < quire_host_arenas(host); i++) {
        struct quire_zone zone = host->arenas[i].zone;
        uint64_t some;
        int error;

        zone.port.zero = quire_host_port_discard;
        error = quire_zone_zero_idle(&zone, quire_slot_of(quire_host_port_cpu(NULL) % zone.slots),
                                     UINT64_MAX, &some);
        *frames += some;
        result = result ? result : error;
    }
    return result;
}

/* They read as zeros then, but a file's may have been written by others meanwhile. Pages of the
 * pool may be none any more, and a touch would be fatal. */
int quire_host_port_install(void *ctx, quire_pfn pfn, uint64_t frames, bool *zeroed)
{
    const struct host_arena *arena = ctx;
    int error = errno, result = QUIRE_OK;

    if (arena->host->options.pages == QUIRE_HOST_PAGES_HUGE &&
        madvise((void *)(uintptr_t)quire_phys(pfn), frames << QUIRE_FRAME_SHIFT,
                MADV_POPULATE_WRITE))
        result = QUIRE_ERR_NO_MEMORY;
    errno = error;
    *zeroed = arena->fd < 0;
    return result;
}

int quire_host_discard(struct quire_host *host, void *memory, uint64_t pages)
{
    const struct host_arena *arena =
        quire_host_arena_of(host, quire_pfn_of_phys((uintptr_t)memory));

    if ((uintptr_t)memory % QUIRE_FRAME_SIZE)
        return QUIRE_ERR_ALIGN;
    if (pages == 0)
        return QUIRE_ERR_SIZE;
    if (!arena || pages > (arena->bytes - ((uintptr_t)memory - (uintptr_t)arena->memory)) >>
                      QUIRE_FRAME_SHIFT)
        return QUIRE_ERR_FRAME;
    if (host->options.pages == QUIRE_HOST_PAGES_HUGE) {
        errno = EINVAL; /* as the kernel says of a part of a huge page */
        return QUIRE_ERR_UNSUPPORTED;
    }
    return drop_pages(arena, (uintptr_t)memory, pages << QUIRE_FRAME_SHIFT) ? QUIRE_ERR_UNSUPPORTED
                                                                            : QUIRE_OK;
}
