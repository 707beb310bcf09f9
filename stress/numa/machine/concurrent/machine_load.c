/* SPDX-License-Identifier: MIT
 *
 * machine_load.c - see machine_load.h.
 */
#include "machine_load.h"

#include <inttypes.h>
#include <sched.h>

struct rig rig;
_Atomic uint32_t leaving = QUIRE_NO_NODE;
static struct shadow shadows[NODES];

uint64_t draw(struct holder *h, uint64_t below)
{
    return random_below(&h->random, below);
}

/* ---- The books ------------------------------------------------------------------------------ */

void books_open(void)
{
    for (uint32_t node = 0; node < NODES; node++)
        shadow_open(&shadows[node], rig_base(node), FRAMES, FRAMES);
}

void books_close(void)
{
    for (uint32_t node = 0; node < NODES; node++)
        shadow_close(&shadows[node]);
}

static struct shadow *shadow_of(struct quire_run run)
{
    uint64_t node = (run.pfn.n >> RIG_SHIFT) - 1;

    if (node >= NODES)
        die("0x%" PRIx64 " is no frame of this machine", run.pfn.n);
    return &shadows[node];
}

void book(struct quire_run run, uint32_t who)
{
    shadow_take(shadow_of(run), who, run.pfn.n, run.frames);
}

void unbook(struct quire_run run, uint32_t who)
{
    shadow_give(shadow_of(run), who, run.pfn.n, run.frames);
}

static void keep(struct holder *h, uint64_t pfn, uint64_t frames)
{
    struct quire_run run = {quire_pfn_of(pfn), frames};

    book(run, h->who);
    h->held[h->count++] = run;
}

void give_back(struct holder *h, uint32_t i)
{
    struct quire_run run = h->held[i];
    int error;

    h->held[i] = h->held[--h->count];
    unbook(run, h->who);
    if ((run.frames & (run.frames - 1)) == 0)
        error = quire_machine_free(rig.machine, run.pfn, (unsigned)__builtin_ctzll(run.frames));
    else
        error = quire_machine_free_contig(rig.machine, run.pfn, run.frames);
    if (error)
        die("free of 0x%" PRIx64 ": %s", run.pfn.n, quire_strerror(error));
}

/* ---- What everybody does -------------------------------------------------------------------- */

static void take_batch(struct holder *h, const struct quire_request *request)
{
    quire_pfn pfns[100];
    size_t n = 1 + draw(h, 100), got = 0;

    if (h->count + n > h->most)
        return;
    if (quire_machine_alloc_batch(rig.machine, request, n, pfns, &got, NULL) != QUIRE_OK)
        h->refused++;
    h->given += got;
    if (got > 0 && draw(h, 2)) { /* back at once, mixed as they are */
        for (size_t i = 0; i < got; i++)
            book((struct quire_run){pfns[i], 1}, h->who);
        for (size_t i = 0; i < got; i++)
            unbook((struct quire_run){pfns[i], 1}, h->who);
        if (quire_machine_free_batch(rig.machine, pfns, got, NULL))
            die("a batch of %zu was not freed", got);
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
        request.near_node = quire_near_of(quire_node_of((uint32_t)draw(h, NODES)));
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
        die("a request: %s", quire_strerror(error));
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
