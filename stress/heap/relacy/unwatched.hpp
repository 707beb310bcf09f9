/* SPDX-License-Identifier: MIT
 *
 * unwatched.hpp - for programs whose heaps are not watched: what cache.c and objects.c would call
 * if they were. After its sources.
 */
#ifndef QUIRE_STRESS_HEAP_RELACY_UNWATCHED_HPP
#define QUIRE_STRESS_HEAP_RELACY_UNWATCHED_HPP

int qi_watched_alloc(struct heap *, const struct quire_heap_request *, uint64_t, void **)
{
    return QUIRE_ERR_STATE;
}

int qi_watched_free(struct heap *, void *, uint64_t)
{
    return QUIRE_ERR_STATE;
}

int qi_watched_resize(struct heap *, size_t, uint32_t, uint64_t, void **)
{
    return QUIRE_ERR_STATE;
}

int qi_watched_usable(const struct heap *, const void *, size_t *)
{
    return QUIRE_ERR_STATE;
}

int qi_watched_check(const struct heap *, const void *)
{
    return QUIRE_ERR_STATE;
}

int qi_watched_cache_alloc(struct heap *, uint32_t, uint32_t, uint32_t, uint64_t, void **)
{
    return QUIRE_ERR_STATE;
}

bool qi_watched_flush(struct heap *, uint64_t *)
{
    return false;
}

#endif /* QUIRE_STRESS_HEAP_RELACY_UNWATCHED_HPP */
