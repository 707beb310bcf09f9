/* SPDX-License-Identifier: MIT
 *
 * arena.c - address space whose pages come from one node.
 *
 * An arena starts at a multiple of 1 GiB, so that runs of every order up to 18 can be aligned to
 * their size in memory, and its zone has no section that is only in part its own. No swap is
 * reserved for small pages: an arena costs what was touched. Huge pages of the pool are touched at
 * once: the pool's reservation is not by node, so that a node whose pool ran dry would be told by
 * a fatal signal at the first touch.
 *
 * A shared arena is a file in memory, mapped shared. The node that it is bound to is a property of
 * the file then: it holds for whoever touches a page first. The file is sealed, so that nobody can
 * cut it short under us. A child of fork would have the same memory under metadata of its own, and
 * is given none of it.
 */
#include "parts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <numaif.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

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

/* The file that the arena is to be. */
static int make_file(const struct quire_host *host, struct host_arena *arena)
{
    const unsigned huge = MFD_HUGETLB | (21u << MAP_HUGE_SHIFT);
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    char name[QUIRE_HOST_NAME + 16];

    if (host->options.pages == QUIRE_HOST_PAGES_HUGE)
        flags |= huge;
    (void)snprintf(name, sizeof(name), "%s.%u", host->share_name, (unsigned)(arena - host->arenas));
    arena->fd = memfd_create(name, flags);
    if (arena->fd >= 0 && !ftruncate(arena->fd, (off_t)arena->bytes) &&
        !fcntl(arena->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
        return QUIRE_OK;
    return errno == EINVAL || errno == ENOSYS || errno == ENODEV || errno == EPERM
               ? QUIRE_ERR_UNSUPPORTED
               : QUIRE_ERR_NO_MEMORY;
}

static int dress(const struct quire_host *host, const struct host_arena *arena)
{
    const bool huge = host->options.pages == QUIRE_HOST_PAGES_HUGE;
    const uint32_t os_node = host->topology.node_id[arena->node.n];
    int kind = MAP_FIXED | (arena->fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);
    void *memory = arena->memory;
    uint64_t bytes = arena->bytes;

    if (!huge)
        kind |= MAP_NORESERVE;
    else if (arena->fd < 0)
        kind |= MAP_HUGETLB | (21 << MAP_HUGE_SHIFT);
    if (mmap(memory, bytes, PROT_READ | PROT_WRITE, kind, arena->fd, 0) == MAP_FAILED)
        return errno == ENODEV || errno == EINVAL ? QUIRE_ERR_UNSUPPORTED : QUIRE_ERR_NO_MEMORY;
    if (arena->fd >= 0 && madvise(memory, bytes, MADV_DONTFORK))
        return QUIRE_ERR_UNSUPPORTED;
    if (host->bind && set_policy(memory, bytes, MPOL_BIND, os_node))
        return QUIRE_ERR_UNSUPPORTED;
    if (host->options.pages == QUIRE_HOST_PAGES_ADVISE && madvise(memory, bytes, MADV_HUGEPAGE))
        return QUIRE_ERR_UNSUPPORTED;
    if (huge && madvise(memory, bytes, MADV_POPULATE_WRITE))
        return errno == EINVAL ? QUIRE_ERR_UNSUPPORTED : QUIRE_ERR_NO_MEMORY;
    return QUIRE_OK;
}

int quire_host_arena_map(const struct quire_host *host, struct host_arena *arena)
{
    int result = QUIRE_OK, error;

    arena->fd = -1;
    arena->memory = reserve(arena->bytes);
    if (!arena->memory)
        return QUIRE_ERR_NO_MEMORY;
    if (host->share_name[0])
        result = make_file(host, arena);
    if (!result)
        result = dress(host, arena);
    if (!result)
        return QUIRE_OK;
    error = errno;
    quire_host_arena_unmap(arena);
    errno = error;
    return result;
}

/* In a child of fork a shared arena is not there, and something else may be in its place. */
void quire_host_arena_unmap(struct host_arena *arena)
{
    if (arena->fd < 0 || arena->host->creator == getpid())
        munmap(arena->memory, arena->bytes);
    if (arena->fd >= 0)
        close(arena->fd);
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
