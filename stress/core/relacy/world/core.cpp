/* SPDX-License-Identifier: MIT
 *
 * core.cpp - the real sources of core, compiled as C++ over Relacy's atomics. White-box.
 *
 * Left out are the vectorised searches, which read metadata by raw pointers: the kernels below take
 * their place. And what reads or builds a zone that is not in use (core/boot, and core/zone but for
 * its figures). The build writes core_sources.inc, which
 * includes the others, from core/cmake/layers.cmake.
 */
#include "core.hpp"
#include "world.hpp"

#define _Static_assert static_assert

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wextra"
#include "core_sources.inc"
#pragma GCC diagnostic pop

/* A search kernel gets the address that a hint byte would have if a hint were one byte large. */
static uint8_t hint_at(const uint8_t *byte)
{
    const size_t sizes[] = {World::WIDE, World::WIDE, World::SECTIONS, World::SECTIONS};

    for (const World *w : worlds) {
        if (!w)
            continue;

        const unsigned char *const arrays[] = {w->z.fulls, w->z.holes, w->z.sparse, w->z.wholes};

        for (unsigned i = 0; i < 4; i++)
            if (byte >= arrays[i] && byte < arrays[i] + sizes[i]) {
                const void *first = arrays[i];

                return qa_load(static_cast<const qa8 *>(first) + (byte - arrays[i]), relaxed);
            }
    }
    require(false, "a search looked outside of the hints");
    return 0;
}

static size_t next_byte(const uint8_t *bytes, size_t n, size_t from, uint8_t least)
{
    while (from < n && hint_at(bytes + from) < least)
        from++;
    return from;
}

static bool fits_at(const struct search_fit *fit, size_t i)
{
    uint8_t part = hint_at(fit->fits + i) & fit->mask;

    return part >= fit->low && part <= fit->high;
}

static size_t least_fit(const uint8_t *bytes, size_t n, uint8_t value, size_t index,
                        const struct search_fit *fit)
{
    size_t best = n;
    uint8_t best_value = 0;

    require(value >= 1 || index >= n, "a search among the bytes that are 0");
    for (size_t i = 0; i < n; i++) {
        uint8_t v = hint_at(bytes + i);
        bool after = v > value || (v == value && i > index);

        if (after && (best == n || v < best_value) && fits_at(fit, i)) {
            best = i;
            best_value = v;
        }
    }
    return best;
}

/* Of blocks that the world has; the others' hole bytes are 0. */
static uint64_t bytes_from(const uint8_t *bytes, uint8_t mask, uint8_t least)
{
    size_t first = static_cast<size_t>(bytes - world->z.holes);
    uint64_t from = 0;

    for (size_t i = 0; i < WORD_BITS && first + i < world->z.end_block; i++)
        from |= static_cast<uint64_t>((hint_at(bytes + i) & mask) >= least) << i;
    return from;
}

static uint32_t zero_quarters(const uint64_t *words)
{
    const void *map = words;
    uint32_t quarters = 0;

    for (unsigned i = 0; i < MAP_WORDS; i++) {
        uint64_t v = qa_load(&static_cast<const map512 *>(map)->w[i], relaxed);

        for (unsigned k = 0; k < 4; k++)
            quarters |= static_cast<uint32_t>(!(v >> 16 * k & 0xffff)) << (4 * i + k);
    }
    return quarters;
}

/* Any map in which a quarter is zero may be one. */
static unsigned next_row(const struct search_maps *maps, uint64_t which)
{
    for (; which; which &= which - 1) {
        unsigned i = word_first(which);
        uintptr_t map = maps->first + i * maps->stride;

        if (zero_quarters(reinterpret_cast<const uint64_t *>(map)))
            return i;
    }
    return WORD_BITS;
}

const struct search_kernel *qi_search_best(void)
{
    static const struct search_kernel kernel = {"relacy",      nullptr,    nullptr,
                                                next_byte,     nullptr,    least_fit,
                                                zero_quarters, bytes_from, next_row};

    return &kernel;
}
