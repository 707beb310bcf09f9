/* SPDX-License-Identifier: MIT
 *
 * machine_load.c - see machine_load.h.
 */
#include "machine_load.h"

#include <inttypes.h>
#include <sched.h>
#include <string.h>

enum { ORDERS = 13 }; /* that are drawn: more than a zone's smallest has */

struct rig rig;
_Atomic uint32_t leaving = NO_ZONE;
static struct shadow shadows[RIG_ZONES];

uint64_t draw(struct holder *h, uint64_t below)
{
    return random_below(&h->random, below);
}

/* ---- The books ------------------------------------------------------------------------------ */

void books_open(void)
{
    for (uint32_t i = 0; i < rig.zone_count; i++) {
        struct quire_run run = rig.zones[i].run;

        shadow_open(&shadows[i], run.pfn.n, run.frames, run.frames);
    }
}

void books_close(void)
{
    for (uint32_t i = 0; i < rig.zone_count; i++)
        shadow_close(&shadows[i]);
    memset(shadows, 0, sizeof shadows);
}

uint64_t books_held(void)
{
    uint64_t held = 0;

    for (uint32_t i = 0; i < rig.zone_count; i++)
        held += atomic_load_explicit(&shadows[i].held, memory_order_relaxed);
    return held;
}

static uint32_t zone_of(uint64_t pfn)
{
    for (uint32_t i = 0; i < rig.zone_count; i++)
        if (pfn - rig.zones[i].run.pfn.n < rig.zones[i].run.frames)
            return i;
    die("0x%" PRIx64 " is no frame of this machine", pfn);
}

void book(struct quire_run run, uint32_t who)
{
    shadow_take(&shadows[zone_of(run.pfn.n)], who, run.pfn.n, run.frames);
}

void unbook(struct quire_run run, uint32_t who)
{
    shadow_give(&shadows[zone_of(run.pfn.n)], who, run.pfn.n, run.frames);
}

static void book_all(const quire_pfn pfns[], size_t n, uint32_t who)
{
    for (size_t i = 0; i < n; i++)
        book((struct quire_run){pfns[i], 1}, who);
}

static void unbook_all(const quire_pfn pfns[], size_t n, uint32_t who)
{
    for (size_t i = 0; i < n; i++)
        unbook((struct quire_run){pfns[i], 1}, who);
}

static void keep(struct holder *h, quire_pfn pfn, uint64_t frames, bool contig)
{
    struct quire_run run = {pfn, frames};

    book(run, h->who);
    h->held[h->count].contig = contig;
    h->held[h->count++].run = run;
}

void give_back(struct holder *h, uint32_t i)
{
    struct quire_run run = h->held[i].run;
    bool contig = h->held[i].contig;
    int error;

    h->held[i] = h->held[--h->count];
    unbook(run, h->who);
    if (contig)
        error = quire_machine_free_contig(rig.machine, run.pfn, run.frames);
    else
        error = quire_machine_free(rig.machine, run.pfn, (unsigned)__builtin_ctzll(run.frames));
    if (error)
        die("free of 0x%" PRIx64 ", %" PRIu64 " frames: %s", run.pfn.n, run.frames,
            quire_strerror(error));
}

/* ---- Mempools ------------------------------------------------------------------------------- */

/* Free what is left of the stock. By the holder that fills it, beside nobody who takes: those are
 * in its own thread. */
static void stock_release(struct stock *s)
{
    if (!atomic_exchange(&s->open, false))
        return;
    unbook_all(s->pfns, (size_t)s->pool.left, s->who);
    must(quire_mempool_release(rig.machine, &s->pool), "mempool_release");
}

static void stock_fill(struct holder *h, const struct quire_request *request)
{
    size_t n = 1 + draw(h, STOCK);
    struct stock *s = h->stock;

    stock_release(s);
    if (quire_mempool_fill(rig.machine, request, n, s->pfns, &s->pool, NULL)) {
        h->refused++;
        return;
    }
    h->given += n;
    book_all(s->pfns, n, s->who);
    atomic_store(&s->open, true);
}

static void stock_take(struct holder *h)
{
    struct stock *s = h->stock;
    quire_pfn pfn;

    if (h->count == h->most || !atomic_load(&s->open) || quire_mempool_take(&s->pool, &pfn))
        return;
    unbook((struct quire_run){pfn, 1}, s->who);
    keep(h, pfn, 1, false);
}

void give_all_back(struct holder *h)
{
    if (h->fills)
        stock_release(h->stock);
    while (h->count > 0)
        give_back(h, h->count - 1);
}

/* ---- What everybody does -------------------------------------------------------------------- */

static void take_batch(struct holder *h, struct quire_request *request)
{
    quire_pfn pfns[100];
    size_t n = 1 + draw(h, 100), got = 0;

    if (h->count + n > h->most)
        return;
    request->flags |= draw(h, 2) ? QUIRE_PARTIAL : 0;
    if (quire_machine_alloc_batch(rig.machine, request, n, pfns, &got, NULL) != QUIRE_OK)
        h->refused++;
    h->given += got;
    if (got > 0 && draw(h, 2)) { /* back at once, mixed as they are */
        book_all(pfns, got, h->who);
        unbook_all(pfns, got, h->who);
        if (quire_machine_free_batch(rig.machine, pfns, got, NULL))
            die("a batch of %zu was not freed", got);
        return;
    }
    for (size_t i = 0; i < got; i++)
        keep(h, pfns[i], 1, false);
}

static bool is_refusal(int error)
{
    return error == QUIRE_ERR_NO_MEMORY || error == QUIRE_ERR_ZONE || error == QUIRE_ERR_NODE;
}

static void take_contig(struct holder *h, const struct quire_request *request)
{
    struct quire_contig want = {.frames = 1 + draw(h, draw(h, 2) ? 40 : 1500)};
    quire_pfn pfn;
    int error = quire_machine_alloc_contig(rig.machine, request, &want, &pfn, NULL);

    h->refused += error != QUIRE_OK;
    h->given += error == QUIRE_OK;
    if (error == QUIRE_OK)
        keep(h, pfn, want.frames, true);
    else if (!is_refusal(error) && error != QUIRE_ERR_SIZE)
        die("a contiguous run: %s", quire_strerror(error));
}

static void draw_request(struct holder *h, struct quire_request *q, struct quire_policy *policy)
{
    static const uint32_t flags[] = {0, QUIRE_MOVABLE, QUIRE_HIGH, QUIRE_EMERGENCY, QUIRE_ZEROED};
    uint32_t nodes = rig.topology.node_count;

    *q = quire_request_of(draw(h, 2) ? (unsigned)draw(h, ORDERS) : 0, 0);
    for (unsigned i = 0; i < 2; i++)
        q->flags |= flags[draw(h, 5)];
    if (draw(h, 10) == 0)
        q->flags |= QUIRE_NO_CALLBACK;
    if (q->order >= 9 && draw(h, 4))
        q->order = 0;
    if (draw(h, 10) == 0)
        q->purpose = (enum quire_purpose)draw(h, QUIRE_FOR_DEVICE + 1);
    if (draw(h, 2))
        q->near_node = quire_near_of(quire_node_of((uint32_t)draw(h, nodes)));
    if (draw(h, 4))
        return;
    *policy = (struct quire_policy){.mode = (enum quire_policy_mode)draw(h, 6)};
    policy->nodes.bits = draw(h, 2) ? random_next(&h->random) : 1ull << draw(h, nodes);
    policy->strict = draw(h, 3) == 0;
    memset(policy->weight, 1 + (int)draw(h, 3), sizeof policy->weight);
    q->policy = policy;
}

static void take_one(struct holder *h)
{
    struct quire_request request;
    struct quire_policy policy;
    uint64_t kind = draw(h, 20);
    quire_pfn pfn;
    int error;

    if (h->count == h->most)
        return;
    draw_request(h, &request, &policy);
    if (kind < 3) {
        request.order = 0;
        if (kind < 2)
            take_batch(h, &request);
        else if (h->fills && draw(h, 4) == 0)
            stock_fill(h, &request);
        else if (h->stock)
            stock_take(h);
        return;
    }
    if (kind == 3) {
        take_contig(h, &request);
        return;
    }
    error = kind < 8 ? quire_machine_alloc(rig.machine, request.order, request.flags, &pfn)
                     : quire_machine_request(rig.machine, &request, &pfn, NULL);
    h->refused += error != QUIRE_OK;
    h->given += error == QUIRE_OK;
    if (error == QUIRE_OK)
        keep(h, pfn, 1ull << request.order, false);
    else if (!is_refusal(error))
        die("a request: %s", quire_strerror(error));
}

static void leave_zone(struct holder *h, uint32_t zone)
{
    if (h->fills)
        stock_release(h->stock);
    for (uint32_t i = h->count; i-- > 0;)
        if (zone_of(h->held[i].run.pfn.n) == zone)
            give_back(h, i);
}

/* What is ours is where it was. */
static void ask_where(struct holder *h)
{
    quire_pfn pfn = h->held[draw(h, h->count)].run.pfn;
    uint32_t i = zone_of(pfn.n);
    struct quire_zone *zone;
    quire_node node;

    must(quire_machine_find(rig.machine, pfn, &node, &zone), "find of an own frame");
    if (zone != &rig.zones[i].zone || node.n != rig.given[i].node.n)
        die("0x%" PRIx64 " is not of the zone that gave it", pfn.n);
}

/* Drains, retirements, figures: beside all else, in any context. */
static void look_after(struct holder *h)
{
    uint32_t cpu = (uint32_t)draw(h, rig.topology.cpu_count);
    quire_node node = quire_node_of((uint32_t)draw(h, rig.topology.node_count));
    struct quire_node_stats stats;

    switch (draw(h, 6)) {
    case 0:
        must(quire_machine_drain_cpu(rig.machine, cpu), "drain_cpu");
        break;
    case 1:
        must(quire_machine_retire_cpu(rig.machine, cpu), "retire_cpu");
        break;
    case 2:
        must(quire_machine_drain_node(rig.machine, node), "drain_node");
        break;
    case 3:
        must(quire_machine_drain(rig.machine), "drain");
        break;
    case 4:
        (void)quire_machine_maintain(rig.machine);
        break;
    default:
        must(quire_machine_node_stats(rig.machine, node, &stats), "node_stats");
    }
}

void act(struct holder *h)
{
    uint32_t zone = atomic_load_explicit(&leaving, memory_order_relaxed);

    h->calls++;
    if (zone != NO_ZONE)
        leave_zone(h, zone);
    if (draw(h, 300) == 0)
        (void)sched_yield(); /* there are more threads than processors */
    if (draw(h, 300) == 0)   /* one of them is unknown */
        rig_cpu = (uint32_t)draw(h, rig.topology.cpu_count + 1);
    if (draw(h, 400) == 0)
        look_after(h);
    if (h->count > 0 && draw(h, 100) == 0)
        ask_where(h);
    if (h->count == 0 || draw(h, 100) < 53)
        take_one(h);
    else
        give_back(h, (uint32_t)draw(h, h->count));
}
