/* SPDX-License-Identifier: MIT
 *
 * cache_load.c - see cache_load.h.
 */
#include "stress/percpu/cache_load.h"
#include "stress/common/random.h"

#include <inttypes.h>

static void take(struct load *l)
{
    uint64_t drawn = l->only_frames ? 99 : random_below(&l->random, 100);
    unsigned order = drawn < 2 ? 9 : drawn < 11 ? (unsigned)drawn - 2 : 0;
    uint32_t flags = random_below(&l->random, 2) ? QUIRE_MOVABLE : QUIRE_UNMOVABLE;
    quire_pfn pfn;
    int error = quire_cache_alloc(&l->rig->cache, order, flags, &pfn);

    if (error != QUIRE_OK) {
        if (error != QUIRE_ERR_NO_MEMORY || l->never_refused)
            die("allocation of order %u refused: %s", order, quire_strerror(error));
        l->refused++;
        return;
    }
    shadow_take(l->shadow, l->who, pfn.n, UINT64_C(1) << order);
    l->pfns[l->count] = pfn.n;
    l->orders[l->count++] = (uint8_t)order;
}

static void give(struct load *l, uint64_t i)
{
    uint64_t pfn = l->pfns[i];
    unsigned order = l->orders[i];
    int error;

    l->pfns[i] = l->pfns[--l->count];
    l->orders[i] = l->orders[l->count];
    shadow_give(l->shadow, l->who, pfn, UINT64_C(1) << order);
    error = quire_cache_free(&l->rig->cache, quire_pfn_of(pfn), order);
    if (error != QUIRE_OK)
        die("free of 0x%" PRIx64 ", order %u: %s", pfn, order, quire_strerror(error));
}

void load_act(struct load *l)
{
    /* What it would rather do changes every 256 calls. */
    uint64_t wish = l->calls++ >> 8 & 1 ? 70 : 30;

    if (l->full) {
        if (l->giving == 0 && l->count == l->most)
            l->giving = 1 + (uint32_t)random_below(&l->random, l->most / 2);
        wish = l->giving > 0 ? 0 : 100;
        l->giving -= l->giving > 0;
    }
    if (l->count == 0 || (l->count < l->most && random_below(&l->random, 100) < wish))
        take(l);
    else
        give(l, random_below(&l->random, l->count));
}

void load_hold(struct load *l, unsigned n)
{
    for (; n > 0; n--) {
        quire_pfn pfn;
        int error = quire_zone_alloc(&l->rig->zone, quire_slot_of(0), 9, 0, &pfn);

        if (error != QUIRE_OK)
            die("no block to hold from the start: %s", quire_strerror(error));
        shadow_take(l->shadow, l->who, pfn.n, BLOCK);
        l->pfns[l->count] = pfn.n;
        l->orders[l->count++] = 9;
    }
}

void load_empty(struct load *l)
{
    while (l->count > 0)
        give(l, l->count - 1);
}

void check_books(const struct rig *r, struct shadow *s)
{
    uint64_t used = 0;

    for (uint64_t n = s->first; n < s->first + s->frames; n++) {
        enum quire_frame_state state;
        bool held = shadow_owner(s, n) != 0;

        if (quire_zone_frame_state(&r->zone, quire_pfn_of(n), &state) != QUIRE_OK ||
            (held && state == QUIRE_FRAME_FREE))
            die("frame 0x%" PRIx64 " is held and free", n);
        used += held;
    }
    check_rest(r, used); /* so what else is allocated is as much as is cached */
}
