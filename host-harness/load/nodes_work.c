/* SPDX-License-Identifier: MIT
 *
 * nodes_work.c - a thread of `quire run --topology`: draws operations and carries them out.
 *
 * As on zones, every operation is made of four random numbers of its thread, so that a seed repeats
 * the sequence. An operation that cannot be done is done with.
 * State and invariants: nodes.h.
 */
#include "calls.h"
#include "mix.h"
#include "nodes.h"
#include "random.h"

#include <sched.h>

enum kind {
    KIND_ALLOC,
    KIND_FREE,
    KIND_ALLOC_BATCH,
    KIND_FREE_BATCH,
    KIND_SHELVE, /* a batch of pages goes into the page cache */
    KIND_PASS,   /* leave a run to another thread, free one of another thread */
    KIND_CONTIG,
    KIND_CLAIM,
    KIND_OFFLINE,
    KIND_DRAIN, /* caches of a CPU or a node; maintenance */
    KIND_REFUSE,
};
enum { KINDS = 11, CONTIG_EXP = 10, BLOCK_FRAMES = 512, PASS_FRAMES = 1024 };
#define NO_PFN (((uint64_t)1 << QUIRE_PFN_BITS) - 1) /* beyond any memory */

/* Of 1000. */
static const uint32_t weights[KINDS] = {
    [KIND_ALLOC] = 330, [KIND_FREE] = 270, [KIND_ALLOC_BATCH] = 50, [KIND_FREE_BATCH] = 50,
    [KIND_SHELVE] = 90, [KIND_PASS] = 140, [KIND_CONTIG] = 20,      [KIND_CLAIM] = 14,
    [KIND_OFFLINE] = 4, [KIND_DRAIN] = 2,  [KIND_REFUSE] = 30,
};

struct op {
    enum kind kind;
    struct node_request r;
    uint64_t a, b;
};

static enum kind draw_kind(uint32_t bits)
{
    uint64_t at = random_below(bits, 1000);
    unsigned kind = 0;

    while (at >= weights[kind])
        at -= weights[kind++];
    return (enum kind)kind;
}

static uint32_t draw_flags(uint32_t bits)
{
    uint32_t flags = bits & 1 ? QUIRE_MOVABLE : 0;

    if ((bits >> 1 & 31) == 0)
        flags |= QUIRE_ZEROED;
    if ((bits >> 6 & 63) == 0)
        flags |= QUIRE_NO_CALLBACK;
    if ((bits >> 12 & 63) == 0)
        flags |= QUIRE_HIGH;
    return flags;
}

/* Half of the requests say nothing, the others have a policy; one in 16 is asked as if from
 * another node. */
static struct node_request draw_request(const struct worker *w, uint64_t bits)
{
    const struct node_thread *thread = nodes_thread(w);
    uint32_t nodes = w->run->nodes->topology.node_count;
    struct node_request r = {.request = {.zone = QUIRE_ZONE_NORMAL,
                                         .node = quire_node_of(QUIRE_NO_NODE),
                                         .flags = draw_flags((uint32_t)(bits >> 24))},
                             .origin = thread->node};

    if (bits & 1)
        r.policy = thread->policies[(bits >> 1 & 255) % NODES_POLICIES];
    if ((bits >> 9 & 15) == 0) {
        r.request.node = quire_node_of((uint32_t)(bits >> 13 & 2047) % nodes);
        r.origin = r.request.node;
    }
    return r;
}

static struct op draw(struct worker *w)
{
    uint64_t first = random_next(&w->random);
    uint64_t second = random_next(&w->random);
    struct op op = {
        .kind = draw_kind((uint32_t)first),
        .r = draw_request(w, second),
        .a = random_next(&w->random),
        .b = random_next(&w->random),
    };

    op.r.request.order = mix_draw_order((uint32_t)(first >> 32));
    w->sequence = random_mix(w->sequence ^ random_mix(op.a ^ (uint64_t)op.kind << 56 ^ second));
    return op;
}

/* The request refers to its own policy; to be done where it stays. */
static void point(struct op *op)
{
    if (op->r.policy.mode != QUIRE_POLICY_LOCAL || op->r.policy.strict)
        op->r.request.policy = &op->r.policy;
}

/* ---- Bags ------------------------------------------------------------------------------------ */

static struct record take_out(struct bag *bag, uint32_t at)
{
    struct record record = bag->records[at];

    bag->records[at] = bag->records[--bag->count];
    bag->frames -= record.frames;
    return record;
}

static void make_room(struct worker *w, uint64_t frames, uint32_t records, uint64_t bits)
{
    struct bag *bag = &w->bags[0];

    while (bag->count > 0 &&
           (bag->count + records > RUN_BAG || bag->frames + frames > w->run->nodes->budget)) {
        struct record record;

        bits = random_mix(bits + 1);
        record = take_out(bag, (uint32_t)random_below((uint32_t)bits, bag->count));
        node_free(w, &record);
    }
}

static void keep(struct worker *w, const struct record *record)
{
    struct bag *bag = &w->bags[0];

    bag->records[bag->count++] = *record;
    bag->frames += record->frames;
}

/* ---- Operations ------------------------------------------------------------------------------ */

static void do_alloc(struct worker *w, const struct op *op)
{
    struct record record;

    make_room(w, 1ull << op->r.request.order, 1, op->a);
    if (node_alloc(w, &op->r, &record))
        keep(w, &record);
}

static void do_free(struct worker *w, const struct op *op)
{
    struct bag *bag = &w->bags[0];
    struct record record;

    if (bag->count == 0)
        return;
    record = take_out(bag, (uint32_t)random_below((uint32_t)op->a, bag->count));
    node_free(w, &record);
}

static void do_alloc_batch(struct worker *w, const struct op *op)
{
    struct record records[NODES_BATCH];
    uint32_t got;

    make_room(w, NODES_BATCH, NODES_BATCH, op->b);
    got = node_alloc_batch(w, &op->r, op->a & 1, records);
    for (uint32_t i = 0; i < got; i++)
        keep(w, &records[i]);
}

static void do_free_batch(struct worker *w, const struct op *op)
{
    struct bag *bag = &w->bags[0];
    struct record records[NODES_BATCH];
    uint32_t n = 0;
    uint32_t at;

    if (bag->count == 0)
        return;
    at = (uint32_t)random_below((uint32_t)op->a, bag->count) + 1;
    while (at-- > 0 && n < NODES_BATCH) {
        if (bag->records[at].frames == 1)
            records[n++] = take_out(bag, at);
    }
    if (n > 0)
        node_free_batch(w, records, n);
}

/* As a file is read: pages that can be had again. */
static void do_shelve(struct worker *w, const struct op *op)
{
    struct node_request r = op->r;
    struct record records[NODES_BATCH];
    uint32_t got;

    r.request.flags |= QUIRE_MOVABLE;
    got = node_alloc_batch(w, &r, true, records);
    for (uint32_t i = 0; i < got; i++)
        shelf_put(w, records[i].pfn);
}

static void do_pass(struct worker *w, const struct op *op)
{
    struct bag *bag = &w->bags[0];
    struct board_run given = {0};
    struct board_run got;

    if (bag->count > 0) {
        uint32_t at = (uint32_t)random_below((uint32_t)op->a, bag->count);

        if (bag->records[at].frames <= PASS_FRAMES) {
            struct record record = take_out(bag, at);

            given = (struct board_run){record.pfn, record.frames, record.contig};
        }
    }
    got = board_exchange(&w->run->board, (op->a >> 32) % w->run->board.count, given);
    if (got.frames > 0) {
        const struct record record = {got.pfn, got.frames, 0, got.contig};

        node_free(w, &record);
    }
}

static void do_contig(struct worker *w, const struct op *op)
{
    struct quire_contig want = {
        .frames = 1 + (op->a >> 8) % (1ull << (op->a & 255) % (CONTIG_EXP + 1)),
    };
    struct record record;

    if (op->b & 1)
        want.align = (uint64_t)QUIRE_FRAME_SIZE << (op->b >> 1 & 15) % 10;
    if (op->b & 32)
        want.boundary = (uint64_t)QUIRE_FRAME_SIZE << (64 - __builtin_clzll(want.frames));
    make_room(w, want.frames, 1, op->b);
    if (node_alloc_contig(w, &op->r, &want, &record))
        keep(w, &record);
}

static void do_claim(struct worker *w, const struct op *op)
{
    struct record records[NODES_CLAIM];
    uint32_t n = 1 + (uint32_t)(op->a % NODES_CLAIM);
    uint32_t part = (uint32_t)(op->b % (n + 1));

    make_room(w, part, part, op->b);
    if (!node_mempool(w, &op->r, n, part, records))
        return;
    for (uint32_t i = 0; i < part; i++)
        keep(w, &records[i]);
}

/* A block, of whatever zone. */
static void do_offline(struct worker *w, const struct op *op)
{
    const struct run_zone *zone = &w->run->zones[op->a % w->run->machine.zone_count];
    uint64_t pfn = run_random_pfn(zone, op->b) & ~(uint64_t)(BLOCK_FRAMES - 1);

    node_offline(w, (struct quire_run){quire_pfn_of(pfn), BLOCK_FRAMES});
}

static void do_drain(struct worker *w, const struct op *op)
{
    struct nodes *nodes = w->run->nodes;
    uint32_t cpu = (uint32_t)(op->a % nodes->topology.cpu_count);
    uint32_t node = (uint32_t)(op->a % nodes->topology.node_count);

    w->calls++;
    if (op->b & 1)
        node_answer(w, "drain_cpu", quire_machine_drain_cpu(nodes->machine, cpu), 1, cpu);
    else if (op->b & 2)
        node_answer(w, "drain_node", quire_machine_drain_node(nodes->machine, quire_node_of(node)),
                    1, node);
    else
        (void)quire_machine_maintain(nodes->machine);
}

static void refused(struct worker *w, const char *what, int got, int wanted)
{
    w->calls++;
    if (got == wanted)
        w->checks.refused++;
    else
        run_violation(w->run, "%s: answered \"%s\" instead of \"%s\"", what, quire_strerror(got),
                      quire_strerror(wanted));
}

static void do_refuse(struct worker *w, const struct op *op)
{
    struct nodes *nodes = w->run->nodes;
    struct quire_machine *machine = nodes->machine;
    struct quire_request request = {.zone = QUIRE_ZONE_NORMAL,
                                    .node = quire_node_of(nodes->topology.node_count)};
    struct quire_policy policy = {.mode = QUIRE_POLICY_BIND};
    struct quire_refusal why;
    quire_pfn pfn = {0};

    switch (op->a % 5) {
    case 0:
        refused(w, "order 21", quire_machine_alloc(machine, QUIRE_MAX_ORDER + 1, 0, &pfn),
                QUIRE_ERR_SIZE);
        break;
    case 1:
        refused(w, "an unknown flag", quire_machine_alloc(machine, 0, 1u << 31, &pfn),
                QUIRE_ERR_UNSUPPORTED);
        break;
    case 2:
        refused(w, "a node that is not there", quire_machine_request(machine, &request, &pfn, &why),
                QUIRE_ERR_NODE);
        break;
    case 3:
        request.node = quire_node_of(QUIRE_NO_NODE);
        request.policy = &policy;
        refused(w, "an empty set", quire_machine_request(machine, &request, &pfn, &why),
                QUIRE_ERR_NODE);
        break;
    default:
        refused(w, "free of no frame", quire_machine_free(machine, quire_pfn_of(NO_PFN), 0),
                QUIRE_ERR_FRAME);
        break;
    }
}

static void (*const doers[KINDS])(struct worker *w, const struct op *op) = {
    [KIND_ALLOC] = do_alloc,
    [KIND_FREE] = do_free,
    [KIND_ALLOC_BATCH] = do_alloc_batch,
    [KIND_FREE_BATCH] = do_free_batch,
    [KIND_SHELVE] = do_shelve,
    [KIND_PASS] = do_pass,
    [KIND_CONTIG] = do_contig,
    [KIND_CLAIM] = do_claim,
    [KIND_OFFLINE] = do_offline,
    [KIND_DRAIN] = do_drain,
    [KIND_REFUSE] = do_refuse,
};

/* On real memory the thread stays on its CPU. */
static bool pin(struct worker *w)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(w->run->nodes->topology.cpu_id[nodes_thread(w)->cpu], &set);
    return sched_setaffinity(0, sizeof(set), &set) == 0;
}

void *nodes_work(void *argument)
{
    struct worker *w = argument;
    struct run *run = w->run;
    uint64_t limit = run->options.operations ? run->options.operations : UINT64_MAX;
    uint64_t done = 0;

    nodes_self = w;
    quire_host_thread_enter();
    if (run->options.real && !pin(w))
        run_violation(run, "thread %u cannot be bound to CPU %u", w->number,
                      run->nodes->topology.cpu_id[nodes_thread(w)->cpu]);
    pthread_mutex_lock(&run->gate);
    pthread_mutex_unlock(&run->gate);
    /* relaxed: a thread that sees the stop late ends one operation later */
    while (done < limit && !qa_load(&run->stop, relaxed)) {
        struct op op = draw(w);

        point(&op);
        doers[op.kind](w, &op);
        done++;
        /* relaxed: for the progress line only */
        qa_store(&w->operations, done, relaxed);
        qa_store(&w->published_calls, w->calls, relaxed); /* relaxed: as above */
    }
    qa_add(&run->finished, 1, relaxed); /* relaxed: the main thread joins before it reads */
    (void)quire_host_thread_leave();
    return w;
}
