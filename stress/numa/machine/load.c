/* SPDX-License-Identifier: MIT
 *
 * load.c - see load.h.
 */
#include "load.h"

#include <inttypes.h>
#include <sched.h>

struct rig rig;
_Atomic uint32_t leaving = QUIRE_NO_NODE;
static _Atomic uint8_t owned[NODES][FRAMES];

uint64_t draw(struct holder *h, uint64_t below)
{
    h->random ^= h->random << 13;
    h->random ^= h->random >> 7;
    h->random ^= h->random << 17;
    return (h->random >> 8) % below;
}

/* ---- The books ------------------------------------------------------------------------------ */

void book(struct quire_run run, uint8_t from, uint8_t to)
{
    for (uint64_t pfn = run.pfn.n; pfn < run.pfn.n + run.frames; pfn++) {
        uint64_t node = (pfn >> RIG_SHIFT) - 1, at = pfn - rig_base((uint32_t)node);

        if (node >= NODES || at >= FRAMES)
            rig_die("0x%" PRIx64 " is no frame of this machine", pfn);
        if (atomic_exchange_explicit(&owned[node][at], to, memory_order_relaxed) != from)
            rig_die("0x%" PRIx64 " was %s", pfn, from ? "given back twice" : "handed out twice");
    }
}

static void keep(struct holder *h, uint64_t pfn, uint64_t frames)
{
    struct quire_run run = {quire_pfn_of(pfn), frames};

    book(run, 0, 1);
    h->held[h->count++] = run;
}

void give_back(struct holder *h, uint32_t i)
{
    struct quire_run run = h->held[i];
    int error;

    h->held[i] = h->held[--h->count];
    book(run, 1, 0);
    if ((run.frames & (run.frames - 1)) == 0)
        error = quire_machine_free(rig.machine, run.pfn, (unsigned)__builtin_ctzll(run.frames));
    else
        error = quire_machine_free_contig(rig.machine, run.pfn, run.frames);
    if (error)
        rig_die("free of 0x%" PRIx64 ": %s", run.pfn.n, quire_strerror(error));
}

/* ---- What everybody does -------------------------------------------------------------------- */

static void take_batch(struct holder *h, const struct quire_request *request)
{
    quire_pfn pfns[100];
    size_t n = 1 + draw(h, 100), got = 0, freed;

    if (h->count + n > h->most)
        return;
    if (quire_machine_alloc_batch(rig.machine, request, n, pfns, &got, NULL) != QUIRE_OK)
        h->refused++;
    h->given += got;
    if (got > 0 && draw(h, 2)) { /* back at once, mixed as they are */
        for (size_t i = 0; i < got; i++)
            book((struct quire_run){pfns[i], 1}, 0, 1);
        for (size_t i = 0; i < got; i++)
            book((struct quire_run){pfns[i], 1}, 1, 0);
        if (quire_machine_free_batch(rig.machine, pfns, got, &freed) || freed != got)
            rig_die("a batch of %zu was not freed", got);
        return;
    }
    for (size_t i = 0; i < got; i++)
        keep(h, pfns[i].n, 1);
}

static void take_one(struct holder *h)
{
    static const unsigned orders[] = {0, 0, 0, 0, 0, 1, 2, 3, 5, 9};
    struct quire_request request = quire_request_of(0, draw(h, 2) ? QUIRE_MOVABLE : 0);
    struct quire_policy policy = {.mode = (enum quire_policy_mode)draw(h, 5)};
    quire_pfn pfn;
    int error;

    if (h->count == h->most)
        return;
    request.order = orders[draw(h, 10)];
    if (request.order == 9 && draw(h, 4))
        request.order = 0;
    if (draw(h, 4) == 0) {
        policy.nodes.bits = draw(h, 2) ? 7 : 1ull << draw(h, NODES);
        request.policy = &policy;
    } else if (draw(h, 3) == 0) {
        request.node = quire_node_of((uint32_t)draw(h, NODES));
    }
    if (draw(h, 8) == 0) {
        request.order = 0;
        take_batch(h, &request);
        return;
    }
    error = quire_machine_request(rig.machine, &request, &pfn, NULL);
    h->refused += error != QUIRE_OK;
    h->given += error == QUIRE_OK;
    if (error == QUIRE_OK)
        keep(h, pfn.n, 1ull << request.order);
    else if (error != QUIRE_ERR_NO_MEMORY && error != QUIRE_ERR_ZONE && error != QUIRE_ERR_NODE)
        rig_die("a request: %s", quire_strerror(error));
}

static void leave_node(struct holder *h, uint32_t node)
{
    for (uint32_t i = h->count; i-- > 0;)
        if (h->held[i].pfn.n >> RIG_SHIFT == node + 1)
            give_back(h, i);
}

void act(struct holder *h)
{
    uint32_t node = atomic_load_explicit(&leaving, memory_order_relaxed);

    h->calls++;
    if (node != QUIRE_NO_NODE)
        leave_node(h, node);
    if (draw(h, 300) == 0)
        (void)sched_yield(); /* there are more threads than processors */
    if (draw(h, 300) == 0)
        rig_cpu = (uint32_t)draw(h, NODES * CPUS + 1); /* one of them is unknown */
    if (h->count == 0 || draw(h, 100) < 53)
        take_one(h);
    else
        give_back(h, (uint32_t)draw(h, h->count));
}
