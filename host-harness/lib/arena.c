/* SPDX-License-Identifier: MIT
 *
 * arena.c - address space whose pages come from one node.
 *
 * An arena starts at a multiple of 1 GiB, so that runs of every order up to 18 can be aligned to
 * their size in memory, and its zone has no section that is only in part its own. No swap is
 * reserved for small pages: an arena costs what was touched. Huge pages of the pool are touched at
 * once: the pool's reservation is not by node, so that a node whose pool ran dry would be told by
 * a fatal signal at the first touch.
 */
#include "parts.h"

#include <errno.h>
#include <limits.h>
#include <numaif.h>
#include <sys/mman.h>

enum { WORD_BITS = sizeof(unsigned long) * CHAR_BIT, MAX_NODES = 1024 };

static const uint64_t alignment = (uint64_t)1 << 30;

/* From `os_node` alone (MPOL_BIND), or best from there. 0, or -1 with errno set. */
static int set_policy(void *memory, size_t bytes, int mode, uint32_t os_node)
{
    unsigned long nodes[MAX_NODES / WORD_BITS] = {0};

    if (os_node >= MAX_NODES) {
        errno = EINVAL;
        return -1;
    }
    nodes[os_node / WORD_BITS] = 1ul << os_node % WORD_BITS;
    return (int)mbind(memory, bytes, mode, nodes, MAX_NODES, 0);
}

/* Address space, aligned, that cannot be touched yet. */
static void *reserve(uint64_t bytes)
{
    uint64_t room = bytes + alignment;
    uint64_t start, at;
    void *all;

    all = room < bytes
              ? MAP_FAILED
              : mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED)
        return NULL;
    start = (uint64_t)(uintptr_t)all;
    at = (start + alignment - 1) & ~(alignment - 1);
    if (at > start)
        munmap(all, at - start);
    if (start + room > at + bytes)
        munmap((void *)(uintptr_t)(at + bytes), start + room - (at + bytes));
    return (void *)(uintptr_t)at;
}

static int dress(void *memory, uint64_t bytes, uint32_t os_node, bool bind,
                 enum quire_host_pages pages)
{
    const int always = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    const int kind =
        pages == QUIRE_HOST_PAGES_HUGE ? MAP_HUGETLB | (21 << MAP_HUGE_SHIFT) : MAP_NORESERVE;

    if (mmap(memory, bytes, PROT_READ | PROT_WRITE, always | kind, -1, 0) == MAP_FAILED)
        return errno == ENODEV || errno == EINVAL ? QUIRE_ERR_UNSUPPORTED : QUIRE_ERR_NO_MEMORY;
    if (bind && set_policy(memory, bytes, MPOL_BIND, os_node))
        return QUIRE_ERR_UNSUPPORTED;
    if (pages == QUIRE_HOST_PAGES_ADVISE && madvise(memory, bytes, MADV_HUGEPAGE))
        return QUIRE_ERR_UNSUPPORTED;
    if (pages == QUIRE_HOST_PAGES_HUGE && madvise(memory, bytes, MADV_POPULATE_WRITE))
        return errno == EINVAL ? QUIRE_ERR_UNSUPPORTED : QUIRE_ERR_NO_MEMORY;
    return QUIRE_OK;
}

int quire_host_arena_map(void **memory, uint64_t bytes, uint32_t os_node, bool bind,
                         enum quire_host_pages pages)
{
    void *at = reserve(bytes);
    int result, error;

    if (!at)
        return QUIRE_ERR_NO_MEMORY;
    result = dress(at, bytes, os_node, bind, pages);
    if (!result) {
        *memory = at;
        return QUIRE_OK;
    }
    error = errno;
    munmap(at, bytes);
    errno = error;
    return result;
}

void *quire_host_arena_near(size_t bytes, uint32_t os_node, bool bind)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED)
        return NULL;
    if (bind && set_policy(memory, bytes, MPOL_PREFERRED, os_node)) {
        munmap(memory, bytes);
        return NULL;
    }
    return memory;
}
