/* SPDX-License-Identifier: MIT
 *
 * books.c - see books.h. All numbers are atomic.
 */
#include "books.h"

#include "kernel-port/kernel/memory.h"
#include "kernel-port/tests/shadow.h"

#include "x86.h"

static struct quire_frame_source frames, cached; /* of the machine, that is */
static struct quire_table_source tables;
static uint64_t owned, left, refused, large, open, tables_now, tables_most;

/* Would a wrong access to user memory go unnoticed here, whoever asks for a frame? */
static bool is_open(void)
{
    return read_cr4() & CR4_SMAP && read_rflags() & RFLAGS_AC;
}

/* Take what is left down by so many. */
static bool spend(uint64_t count)
{
    uint64_t seen = __atomic_load_n(&left, __ATOMIC_RELAXED);

    (void)__atomic_fetch_add(&open, is_open(), __ATOMIC_RELAXED);
    do
        if (seen < count) {
            (void)__atomic_fetch_add(&refused, 1, __ATOMIC_RELAXED);
            return false;
        }
    while (!__atomic_compare_exchange_n(&left, &seen, seen - count, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED));
    return true;
}

static void gain(uint64_t count)
{
    if (__atomic_load_n(&left, __ATOMIC_RELAXED) < UINT64_MAX / 2)
        (void)__atomic_fetch_add(&left, count, __ATOMIC_RELAXED);
}

static int note(int error, const quire_pfn *pfn, uint64_t count)
{
    if (error) {
        gain(count);
        return error;
    }
    (void)__atomic_fetch_add(&owned, count, __ATOMIC_RELAXED);
    (void)__atomic_fetch_add(&large, count > 1, __ATOMIC_RELAXED);
    shadow_own(*pfn, count);
    return error;
}

/* Before the frame is somebody else's. */
static void forget(quire_pfn pfn, uint64_t count)
{
    (void)__atomic_fetch_sub(&owned, count, __ATOMIC_RELAXED);
    shadow_disown(pfn, count);
}

static int frame_alloc(void *ctx, const struct quire_policy *policy, unsigned order, quire_pfn *pfn)
{
    const struct quire_frame_source *of = ctx;

    if (!spend(1ul << order))
        return QUIRE_ERR_NO_MEMORY;
    return note(of->alloc(of->ctx, policy, order, pfn), pfn, 1ul << order);
}

static int frame_alloc_zeroed(void *ctx, const struct quire_policy *policy, unsigned order,
                              quire_pfn *pfn)
{
    const struct quire_frame_source *of = ctx;

    if (!spend(1ul << order))
        return QUIRE_ERR_NO_MEMORY;
    return note(of->alloc_zeroed(of->ctx, policy, order, pfn), pfn, 1ul << order);
}

static void frame_free(void *ctx, quire_pfn pfn, unsigned order)
{
    const struct quire_frame_source *of = ctx;

    forget(pfn, 1ul << order);
    of->free(of->ctx, pfn, order);
    gain(1ul << order);
}

static int frame_split(void *ctx, quire_pfn pfn, unsigned order)
{
    const struct quire_frame_source *of = ctx;

    return of->split(of->ctx, pfn, order);
}

/* One more. */
static void note_tables(void)
{
    uint64_t now = __atomic_add_fetch(&tables_now, 1, __ATOMIC_RELAXED);
    uint64_t most = __atomic_load_n(&tables_most, __ATOMIC_RELAXED);

    while (now > most && !__atomic_compare_exchange_n(&tables_most, &most, now, false,
                                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

static int table_alloc(void *ctx, uint64_t below, quire_pfn *pfn)
{
    (void)ctx;
    int error;

    if (!spend(1))
        return QUIRE_ERR_NO_MEMORY;
    error = note(tables.alloc(tables.ctx, below, pfn), pfn, 1);
    if (error == 0)
        note_tables();
    return error;
}

static void table_free(void *ctx, quire_pfn pfn)
{
    (void)ctx;
    forget(pfn, 1);
    (void)__atomic_fetch_sub(&tables_now, 1, __ATOMIC_RELAXED);
    tables.free(tables.ctx, pfn);
    gain(1);
}

static struct quire_frame_source with_books(struct quire_frame_source *of)
{
    return (struct quire_frame_source){frame_alloc, frame_free, frame_split,
                                       of->alloc_zeroed ? frame_alloc_zeroed : NULL, of};
}

void books_begin(struct user_config *config)
{
    frames = memory_frames(QUIRE_KIND_USER);
    cached = memory_frames(QUIRE_KIND_PAGE_CACHE);
    tables = memory_tables();
    owned = large = open = tables_now = 0;
    books_limit(UINT64_MAX);
    config->frames = with_books(&frames);
    config->cached = with_books(&cached);
    config->tables = (struct quire_table_source){table_alloc, table_free, NULL};
}

void books_limit(uint64_t count)
{
    left = count;
    refused = 0;
    tables_most = tables_now;
}

uint64_t books_frames(void)
{
    return __atomic_load_n(&owned, __ATOMIC_RELAXED);
}

uint64_t books_refused(void)
{
    return __atomic_load_n(&refused, __ATOMIC_RELAXED);
}

uint64_t books_tables_most(void)
{
    return __atomic_load_n(&tables_most, __ATOMIC_RELAXED);
}

uint64_t books_large(void)
{
    return __atomic_load_n(&large, __ATOMIC_RELAXED);
}

uint64_t books_open(void)
{
    return __atomic_load_n(&open, __ATOMIC_RELAXED);
}
