/* SPDX-License-Identifier: MIT
 *
 * refill.c - what a call does when its magazine cannot serve it: refill, overflow, bypass.
 *
 * Refills and flushes move half a magazine, so that alternating bursts of allocations and frees
 * meet at the middle and do not go to the zone each time. A refill takes a half from the depot, or
 * from the zone (which fills up the fullest blocks). An overflow of the loaded magazine, whose
 * frames are of dense blocks, goes to the depot, or home; a full outgoing magazine goes home, block
 * by block.
 *
 * A call that finds its rack in somebody's hands (an interrupt in the middle of another call, a
 * drain) goes to the zone. Before an allocation is refused, everything that is cached anywhere is
 * given back and the zone is asked once more.
 *
 * Lock-free, any context. QUIRE_NO_CALLBACK requests drain nothing in rseq mode, as that is a
 * system call.
 */
#include "percpu/depot.h"
#include "percpu/hardened.h"

enum { DENSITY_PERIOD = 8 }; /* refills between two looks at the mean density */

static void count_up(qa64 *counter)
{
    (void)qa_add(counter, 1, relaxed); /* relaxed: a statistic */
}

/* Set the border between dense and sparse blocks: half of the mean fullness byte of the split
 * blocks, full ones and homes (0) included, in the section of `pfn`. */
static void follow_density(struct quire_cache *c, quire_pfn pfn)
{
    uint64_t frame = frame_of_pfn(c->zone, pfn);
    uint32_t first, sum = 0, blocks = 0;

    if (frame == NO_FRAME)
        return;
    first = block_of(frame) / SECTION_BLOCKS * SECTION_BLOCKS;
    for (uint32_t i = 0; i < SECTION_BLOCKS; i++) {
        sum += qa_load(full_of(c->zone, first + i), relaxed); /* relaxed: a hint */
        /* relaxed: a hint */
        blocks += desc_state(qa_load(desc_of(c->zone, first + i), relaxed)) == D_SPLIT;
    }
    qa_store(&c->state->sparse_over, blocks ? sum / blocks / 2 : 0, relaxed); /* relaxed: a hint */
}

/* Half a magazine of frames, from the depot or the zone, into pfns[]. Returns how many. */
static uint32_t fetch(struct quire_cache *c, quire_slot slot, unsigned rack, struct quire_rack *r,
                      uint32_t flags, quire_pfn pfns[])
{
    size_t n = 0;

    flags &= QUIRE_MOVABLE | QUIRE_NO_CALLBACK; /* urgency is for one request, not for a stock */
    if (rack == RACK_HUGE) {
        while (n < r->half && quire_zone_alloc(c->zone, slot, HUGE_ORDER, flags, &pfns[n]) == 0)
            n++;
        return (uint32_t)n;
    }
    n = quire_depot_get(c->state->depot, rack, pfns);
    if (n == 0) {
        (void)quire_zone_alloc_batch(c->zone, slot, flags | QUIRE_PARTIAL, r->half, pfns, &n);
        for (size_t i = 0; i < n; i++)
            (void)cached_set(c, pfns[i]);
        count_up(&r->refills);
        if (n > 0 && qa_load(&r->refills, relaxed) % DENSITY_PERIOD == 0) /* relaxed: a hint */
            follow_density(c, pfns[0]);
    }
    return (uint32_t)n;
}

/* An allocation that did not find a round. */
int quire_alloc_slowly(struct quire_cache *c, uint32_t cpu, unsigned rack, uint32_t flags,
                       quire_pfn *pfn)
{
    quire_slot slot = slot_of_cpu(c, cpu);
    unsigned order = rack == RACK_HUGE ? HUGE_ORDER : 0;
    struct quire_rack *r;
    uint32_t count;
    bool got;

    if (cpu >= c->cpus || c->capacity[rack] == 0)
        return quire_alloc_around(c, order, flags, pfn);
    r = rack_of(c, cpu, rack);
    quire_cache_ease(c, slot);
    if (qa_load(&r->limit, relaxed) == 0) /* relaxed: a hint (K5) */
        return quire_alloc_around(c, order, flags, pfn);
    if (!quire_rack_take(c, r, cpu)) {
        count_up(&c->state->bypasses);
        return quire_alloc_around(c, order, flags, pfn);
    }
    count = qa_load(&r->count, relaxed); /* relaxed: K1 */
    if (count == 0) {
        count_up(&r->underflows);
        count = fetch(c, slot, rack, r, flags, r->rounds);
    }
    got = count > 0;
    if (got) {
        *pfn = r->rounds[--count];
        cached_clear(c, pfn, rack != RACK_HUGE);
    }
    qa_store(&r->count, count, relaxed); /* relaxed: P1 publishes it */
    quire_rack_put(r);
    return got ? QUIRE_OK : quire_alloc_around(c, order, flags, pfn);
}

/* Make room in a magazine that is full: its upper half goes to the depot, or home. */
static void make_room(struct quire_cache *c, quire_slot slot, unsigned rack, struct quire_rack *r)
{
    uint32_t count = qa_load(&r->count, relaxed); /* relaxed: K1 */

    if (count < 2 * r->half)
        return;
    count_up(&r->overflows);
    if (rack == RACK_HUGE || !quire_depot_give(c->state->depot, rack, r->rounds + r->half, r->half)) {
        if (rack != RACK_HUGE)
            cached_clear(c, r->rounds + r->half, r->half);
        (void)quire_flush(c, slot, rack, r->rounds + r->half, r->half);
        count_up(&r->flushes);
    }
    qa_store(&r->count, r->half, relaxed); /* relaxed: P1 publishes it */
}

static void send_home(struct quire_cache *c, quire_slot slot, unsigned rack, struct quire_rack *r)
{
    uint32_t out = qa_load(&r->out, relaxed); /* relaxed: K1 */

    if (out < r->half)
        return;
    cached_clear(c, outgoing(r), out);
    (void)quire_flush(c, slot, rack, outgoing(r), out);
    count_up(&r->flushes);
    qa_store(&r->out, 0, relaxed); /* relaxed: P1 publishes it */
}

/* A free that did not find room. The frame is marked as cached (hardened build). */
int quire_free_slowly(struct quire_cache *c, uint32_t cpu, unsigned rack, quire_pfn pfn,
                      bool sparse)
{
    quire_slot slot = slot_of_cpu(c, cpu);
    unsigned order = rack == RACK_HUGE ? HUGE_ORDER : 0;
    struct quire_rack *r = cpu < c->cpus ? rack_of(c, cpu, rack) : NULL;

    if (!r || qa_load(&r->limit, relaxed) == 0 || !quire_rack_take(c, r, cpu)) { /* relaxed: K5 */
        if (r)
            count_up(&c->state->bypasses);
        cached_clear(c, &pfn, rack != RACK_HUGE);
        return quire_zone_free(c->zone, slot, pfn, order);
    }
    if (sparse) {
        send_home(c, slot, rack, r);
        outgoing(r)[qa_load(&r->out, relaxed)] = pfn; /* relaxed: K1 */
        (void)qa_add(&r->out, 1, relaxed);            /* relaxed: P1 publishes it */
    } else {
        make_room(c, slot, rack, r);
        r->rounds[qa_load(&r->count, relaxed)] = pfn; /* relaxed: K1 */
        (void)qa_add(&r->count, 1, relaxed);          /* relaxed: P1 publishes it */
    }
    quire_rack_put(r);
    quire_cache_ease(c, slot);
    return QUIRE_OK;
}
