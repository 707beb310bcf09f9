/* SPDX-License-Identifier: MIT
 *
 * operations.c - operations that a machine alone has: the page cache is filled, mempools are
 * filled, blocks go offline and come back, caches are drained, bad calls are refused.
 *
 * Hot-plug. A thread takes a block out of use and puts it back while the others go on. What blocks
 * it is offered to migrate(), whose pages are those of the page cache: they can be dropped. While
 * the block is out of use the model says that this thread holds it, so that a frame of it that is
 * handed out to another shows.
 *
 * State: machine.h. Called by the worker's thread; one thread at a time plugs.
 */
#include "machine.h"

enum { MEMPOOL_FRAMES = 256, BLOCKERS = 32 };
#define NO_PFN (((uint64_t)1 << QUIRE_PFN_BITS) - 1) /* beyond any memory */

/* As a file is read: pages that can be had again. */
void machine_read_file(struct worker *w, const struct operation *op)
{
    struct request r = op->request;
    struct held_run runs[LOAD_BATCH];
    uint32_t got;

    r.call.flags |= QUIRE_MOVABLE | QUIRE_PARTIAL;
    got = call_alloc_batch(w, &r, runs);
    for (uint32_t i = 0; i < got; i++)
        page_cache_put(w, runs[i].pfn);
}

/* ---- Claims ---------------------------------------------------------------------------------- */

/* Claim n frames, take `used` of them into runs[], give the others back. */
static bool claim_and_use(struct worker *w, const struct request *r, uint32_t n, uint32_t used,
                          struct held_run runs[])
{
    struct quire_machine *machine = w->load->on_machine->machine;
    struct quire_request call = r->call;
    struct quire_refusal why = {0};
    struct quire_mempool mempool;
    quire_pfn pfns[MEMPOOL_FRAMES];
    int error;

    call.order = 0;
    w->calls++;
    error = quire_mempool_fill(machine, &call, n, pfns, &mempool, &why);
    machine_check_reason(w, error, &why);
    if (!call_answer(w, r->list, "filling of a mempool", error, machine_refusals(w, r, NULL), n))
        return false;
    for (uint32_t i = 0; i < n; i++)
        machine_count(w, pfns[i].n);
    for (uint32_t i = 0; i < used; i++) {
        quire_pfn pfn = {0};

        error = quire_mempool_take(&mempool, &pfn);
        if (!call_answer(w, r->list, "taking from a mempool", error, 0, pfn.n))
            return false;
        runs[i] = (struct held_run){pfn.n, 1, call_tag(w), false};
        if (!machine_check_place(w, r, &runs[i]) || !call_take(w, r->list, &runs[i], call.flags))
            return false;
    }
    machine_thread(w)->counts[COUNT_MEMPOOL] += n;
    return call_answer(w, r->list, "release of a mempool", quire_mempool_release(machine, &mempool),
                       0, n);
}

void machine_mempool(struct worker *w, const struct operation *op)
{
    const struct request *r = &op->request;
    struct held_run runs[MEMPOOL_FRAMES];
    uint32_t n = 1 + (uint32_t)(op->a % MEMPOOL_FRAMES);
    uint32_t used = (uint32_t)(op->b % (n + 1));

    held_make_room(w, r->list, used, used, op->b);
    if (!claim_and_use(w, r, n, used, runs))
        return;
    for (uint32_t i = 0; i < used; i++)
        held_keep(w, r->list, &runs[i]);
}

/* ---- Hot-plug -------------------------------------------------------------------------------- */

/* The owner of a page: 0 if it freed it. */
static int migrate(void *ctx, quire_pfn pfn, uint64_t frames)
{
    struct worker *w = ctx;

    if (frames != 1 || !page_cache_drop_one(w, pfn.n))
        return QUIRE_ERR_BUSY;
    machine_thread(w)->counts[COUNT_MOVED]++;
    return QUIRE_OK;
}

static void check_blockers(struct worker *w, struct quire_run block,
                           const struct quire_blocker blockers[], size_t count)
{
    for (size_t i = 0; i < count && i < BLOCKERS; i++) {
        uint64_t first = blockers[i].pfn.n;

        if (first + blockers[i].frames <= block.pfn.n || first >= block.pfn.n + block.frames)
            load_violation(w->load,
                           "offlining %llu frames at %llu is blocked by frame %llu, outside",
                           (unsigned long long)block.frames, (unsigned long long)block.pfn.n,
                           (unsigned long long)first);
    }
}

/* Is it all memory in use? Holes and what is reserved cannot be put back. */
static bool is_whole(struct worker *w, struct quire_run block)
{
    const struct simulated_zone *zone = simulated_zone_of(&w->load->machine, block.pfn);

    for (uint64_t i = 0; i < block.frames; i++) {
        enum quire_frame_state state;

        if (!zone || quire_zone_frame_state(&zone->zone, quire_pfn_of(block.pfn.n + i), &state) ||
            state == QUIRE_FRAME_RESERVED || state == QUIRE_FRAME_HOLE)
            return false;
    }
    return true;
}

static void take_offline_and_back(struct worker *w, struct quire_run block)
{
    struct quire_machine *machine = w->load->on_machine->machine;
    struct quire_blocker blockers[BLOCKERS];
    size_t count = 0;
    struct held_run run = {block.pfn.n, (uint32_t)block.frames, 0, true};
    int error;

    w->calls++;
    error = quire_machine_offline(machine, block, migrate, w, blockers, BLOCKERS, &count);
    if (error == QUIRE_ERR_BUSY)
        check_blockers(w, block, blockers, count);
    if (!call_answer(w, 0, "offline", error, CALL_ALLOWED(QUIRE_ERR_BUSY), block.pfn.n))
        return;
    run.tag = call_tag(w);
    if (!call_take(w, 0, &run, 0) || !call_give(w, 0, &run))
        return;
    machine_thread(w)->counts[COUNT_OFFLINED] += block.frames;
    do {
        error = quire_machine_online(machine, block);
    } while (error == QUIRE_ERR_BUSY && !load_violated(w->load));
    call_answer(w, 0, "online", error, 0, block.pfn.n);
}

/* A block, of whatever zone. One thread at a time: taking a block offline that is offline already
 * succeeds and changes nothing, and two threads would believe that they had it. */
void machine_offline(struct worker *w, const struct operation *op)
{
    const struct load_zone *zone = &w->load->zones[op->a % w->load->machine.zone_count];
    uint64_t pfn = load_random_pfn(zone, op->b) & ~(uint64_t)(MACHINE_BLOCK_FRAMES - 1);
    const struct quire_run block = {quire_pfn_of(pfn), MACHINE_BLOCK_FRAMES};
    pthread_mutex_t *plugging = &w->load->on_machine->plugging;

    if (pthread_mutex_trylock(plugging))
        return;
    if (is_whole(w, block))
        take_offline_and_back(w, block);
    pthread_mutex_unlock(plugging);
}

/* ---- Drains ---------------------------------------------------------------------------------- */

void machine_drain(struct worker *w, const struct operation *op)
{
    const struct machine_target *on = w->load->on_machine;
    uint32_t cpu = (uint32_t)(op->a % on->topology.cpu_count);
    uint32_t node = (uint32_t)(op->a % on->topology.node_count);

    w->calls++;
    if (op->b & 1)
        call_answer(w, 0, "drain_cpu", quire_machine_drain_cpu(on->machine, cpu), 0, cpu);
    else if (op->b & 2)
        call_answer(w, 0, "drain_node", quire_machine_drain_node(on->machine, quire_node_of(node)),
                    0, node);
    else
        (void)quire_machine_maintain(on->machine);
}

/* ---- Bad calls ------------------------------------------------------------------------------- */

void machine_bad_call(struct worker *w, const struct operation *op)
{
    const struct machine_target *on = w->load->on_machine;
    struct quire_machine *machine = on->machine;
    struct quire_request call = quire_request_of(0, 0);
    struct quire_policy policy = {.mode = QUIRE_POLICY_BIND};
    struct quire_refusal why;
    quire_pfn pfn = {0};

    w->calls++;
    switch (op->a % 5) {
    case 0:
        call_refused(w, 0, "order 21", quire_machine_alloc(machine, QUIRE_MAX_ORDER + 1, 0, &pfn),
                     QUIRE_ERR_SIZE);
        break;
    case 1:
        call_refused(w, 0, "an unknown flag", quire_machine_alloc(machine, 0, 1u << 31, &pfn),
                     QUIRE_ERR_UNSUPPORTED);
        break;
    case 2:
        call.near_node = quire_near_of(quire_node_of(on->topology.node_count));
        call_refused(w, 0, "a node that is not there",
                     quire_machine_request(machine, &call, &pfn, &why), QUIRE_ERR_NODE);
        break;
    case 3:
        call.policy = &policy;
        call_refused(w, 0, "an empty set", quire_machine_request(machine, &call, &pfn, &why),
                     QUIRE_ERR_NODE);
        break;
    default:
        call_refused(w, 0, "free of no frame", quire_machine_free(machine, quire_pfn_of(NO_PFN), 0),
                     QUIRE_ERR_FRAME);
        break;
    }
}
