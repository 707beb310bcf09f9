/* SPDX-License-Identifier: MIT
 *
 * nodes_calls.c - one call of the machine each, as the threads of `quire run --topology` make
 * it: timed, checked against the shadow model, against what the policy promised and, on real
 * memory, against what was written into the pages; counted.
 *
 * State and invariants: nodes.h. A violation is told by run_violation; callers go on until they
 * see `stop`.
 */
#include "calls.h"
#include "check.h"
#include "nodes.h"

enum { FAULT_CALLS = 1000 }; /* calls before a fault is injected */

/* The double is on the same node, or it would be found for being on a wrong one. */
static void inject_double(struct worker *w, struct record *record)
{
    const struct bag *bag = &w->bags[0];

    if (w->run->options.fault != FAULT_DOUBLE_HAND_OUT || w->number != 0 || w->fault_done ||
        w->calls < FAULT_CALLS || bag->count == 0 || record->frames != 1 ||
        node_of(w, bag->records[0].pfn).n != node_of(w, record->pfn).n)
        return;
    quire_machine_free(w->run->nodes->machine, quire_pfn_of(record->pfn), 0);
    record->pfn = bag->records[0].pfn;
    w->fault_done = true;
}

static bool is_plain(const struct node_request *r)
{
    return r->policy.mode == QUIRE_POLICY_LOCAL && !r->policy.strict &&
           r->request.node.n == QUIRE_NO_NODE && r->request.zone == QUIRE_ZONE_NORMAL;
}

bool node_alloc(struct worker *w, const struct node_request *r, struct record *record)
{
    struct quire_machine *machine = w->run->nodes->machine;
    struct quire_refusal why = {0};
    quire_pfn pfn = {0};
    unsigned order = r->request.order;
    uint64_t begun = call_begin(w);
    uint64_t ns;
    int error;

    if (is_plain(r))
        error = quire_machine_alloc(machine, order, r->request.flags, &pfn);
    else
        error = quire_machine_request(machine, &r->request, &pfn, &why);
    ns = begun ? call_clock() - begun : 0;
    if (begun)
        hist_add(&w->latency[order ? CALL_ALLOC_ORDER : CALL_ALLOC], ns);
    if (!node_answer(w, "alloc", error, node_refusals(w, r) | 1, pfn.n)) {
        if (!is_plain(r))
            node_check_refusal(w, error, &why);
        return false;
    }
    *record = (struct record){pfn.n, 1u << order, check_tag(w), false};
    inject_double(w, record);
    if (pfn.n & (record->frames - 1)) {
        run_violation(w->run, "frame %llu is not aligned to order %u", (unsigned long long)pfn.n,
                      order);
        return false;
    }
    node_count_call(w, pfn.n);
    if (begun && order == 0 && !run_violated(w->run))
        hist_add(&nodes_thread(w)->alloc[node_of(w, pfn.n).n], ns);
    return node_check_place(w, r, record) && node_take(w, record, r->request.flags);
}

uint32_t node_alloc_batch(struct worker *w, const struct node_request *r, bool partial,
                          struct record records[NODES_BATCH])
{
    struct quire_request request = r->request;
    struct quire_refusal why = {0};
    quire_pfn pfns[NODES_BATCH];
    uint32_t tag = check_tag(w);
    size_t got = 0;
    uint64_t begun;
    int error;

    request.order = 0;
    request.flags |= partial ? QUIRE_PARTIAL : 0;
    begun = call_begin(w);
    error =
        quire_machine_alloc_batch(w->run->nodes->machine, &request, NODES_BATCH, pfns, &got, &why);
    call_end(w, CALL_ALLOC_BATCH, begun);
    if (!node_answer(w, "alloc_batch", error, node_refusals(w, r) | 1, got)) {
        node_check_refusal(w, error, &why);
        return 0;
    }
    if (got == 0 || got > NODES_BATCH || (got < NODES_BATCH && !partial)) {
        run_violation(w->run, "alloc_batch gave %zu frames", got);
        return 0;
    }
    for (uint32_t i = 0; i < got; i++) {
        records[i] = (struct record){pfns[i].n, 1, tag, false};
        if (!node_check_place(w, r, &records[i]) || !node_take(w, &records[i], request.flags))
            return 0;
        node_count_call(w, pfns[i].n);
    }
    return (uint32_t)got;
}

bool node_alloc_contig(struct worker *w, const struct node_request *r,
                       const struct quire_contig *want, struct record *record)
{
    struct quire_refusal why = {0};
    quire_pfn pfn = {0};
    uint64_t begun = call_begin(w);
    int error = quire_machine_alloc_contig(w->run->nodes->machine, &r->request, want, &pfn, &why);
    uint64_t first = pfn.n << QUIRE_FRAME_SHIFT;
    uint64_t last = first + (want->frames << QUIRE_FRAME_SHIFT) - 1;

    call_end(w, CALL_ALLOC_CONTIG, begun);
    if (!node_answer(w, "alloc_contig", error, node_refusals(w, r) | 1, pfn.n)) {
        node_check_refusal(w, error, &why);
        return false;
    }
    *record = (struct record){pfn.n, (uint32_t)want->frames, check_tag(w), true};
    if ((want->align && first % want->align) ||
        (want->boundary && first / want->boundary != last / want->boundary)) {
        run_violation(w->run, "frame %llu: %llu frames from it break the constraints of the call",
                      (unsigned long long)pfn.n, (unsigned long long)want->frames);
        return false;
    }
    node_count_call(w, pfn.n);
    return node_check_place(w, r, record) && node_take(w, record, r->request.flags);
}

static bool inject_lost(struct worker *w)
{
    if (w->run->options.fault != FAULT_LOST_FRAME || w->number != 0 || w->fault_done ||
        w->calls < FAULT_CALLS)
        return false;
    w->fault_done = true;
    return true;
}

void node_free(struct worker *w, const struct record *record)
{
    struct quire_machine *machine = w->run->nodes->machine;
    unsigned order = (unsigned)__builtin_ctz(record->frames);
    quire_pfn pfn = quire_pfn_of(record->pfn);
    uint64_t begun;
    int error;

    if (!node_give(w, record) || inject_lost(w))
        return;
    begun = call_begin(w);
    if (record->contig)
        error = quire_machine_free_contig(machine, pfn, record->frames);
    else
        error = quire_machine_free(machine, pfn, order);
    call_end(w, record->contig ? CALL_FREE_CONTIG : order ? CALL_FREE_ORDER : CALL_FREE, begun);
    node_answer(w, "free of a held run", error, 1, pfn.n);
}

void node_free_batch(struct worker *w, const struct record records[], uint32_t n)
{
    quire_pfn pfns[NODES_BATCH] = {{0}};
    size_t freed = 0;
    uint64_t begun;
    int error;

    for (uint32_t i = 0; i < n; i++) {
        pfns[i] = quire_pfn_of(records[i].pfn);
        if (!node_give(w, &records[i]))
            return;
    }
    begun = call_begin(w);
    error = quire_machine_free_batch(w->run->nodes->machine, pfns, n, &freed);
    call_end(w, CALL_FREE_BATCH, begun);
    if (node_answer(w, "free_batch of held frames", error, 1, pfns[0].n) && freed != n)
        run_violation(w->run, "free_batch of %u frames freed %zu", n, freed);
}

bool node_mempool(struct worker *w, const struct node_request *r, uint32_t n, uint32_t take_out,
                  struct record records[])
{
    struct quire_machine *machine = w->run->nodes->machine;
    struct quire_request request = r->request;
    struct quire_refusal why = {0};
    struct quire_mempool mempool;
    quire_pfn pfns[NODES_CLAIM];
    int error;

    request.order = 0;
    w->calls++;
    error = quire_mempool_fill(machine, &request, n, pfns, &mempool, &why);
    if (!node_answer(w, "claim", error, node_refusals(w, r) | 1, n)) {
        node_check_refusal(w, error, &why);
        return false;
    }
    for (uint32_t i = 0; i < n; i++)
        node_count_call(w, pfns[i].n);
    for (uint32_t i = 0; i < take_out; i++) {
        quire_pfn pfn = {0};

        if (!node_answer(w, "taking of a claim", quire_mempool_take(&mempool, &pfn), 1, pfn.n))
            return false;
        records[i] = (struct record){pfn.n, 1, check_tag(w), false};
        if (!node_check_place(w, r, &records[i]) || !node_take(w, &records[i], request.flags))
            return false;
    }
    nodes_thread(w)->claimed += n;
    return node_answer(w, "unclaim", quire_mempool_release(machine, &mempool), 1, n);
}
