/* SPDX-License-Identifier: MIT
 *
 * nodes_check.c - what the calls of `quire run --topology` are checked against: the shadow
 * model, what the policy promised and, on real memory, what was written into the pages.
 *
 * State and invariants: nodes.h.
 */
#include "check.h"
#include "nodes.h"
#include "random.h"

enum {
    FAULT_CALLS = 1000, /* calls before a fault is injected */
    REFUSALS = CHECK_ALLOWED(QUIRE_ERR_NO_MEMORY) | CHECK_ALLOWED(QUIRE_ERR_ZONE),
};

bool node_answer(struct worker *w, const char *what, int error, uint32_t allowed, uint64_t pfn)
{
    bool known = error <= 0 && error > -QUIRE_ERRORS;

    w->outcome = random_mix(w->outcome ^ (error ? (uint64_t)-error << 56 : pfn));
    if (known && error)
        w->failures[-error]++;
    if (!known || !(allowed & CHECK_ALLOWED(error)))
        run_violation(w->run, "%s, frame %llu: answered \"%s\" (%d); thread %u, its call %llu",
                      what, (unsigned long long)pfn, quire_strerror(error), error, w->number,
                      (unsigned long long)w->calls);
    return error == 0;
}

/* The place of the frame's zone; UINT32_MAX after a violation. */
static uint32_t zone_of(struct worker *w, uint64_t pfn)
{
    const struct simulated_zone *zone = machine_zone_of(&w->run->machine, quire_pfn_of(pfn));

    if (zone)
        return (uint32_t)(zone - w->run->machine.zones);
    run_violation(w->run, "frame %llu was handed out and is in no zone; thread %u, its call %llu",
                  (unsigned long long)pfn, w->number, (unsigned long long)w->calls);
    return UINT32_MAX;
}

quire_node node_of(struct worker *w, uint64_t pfn)
{
    uint32_t z = zone_of(w, pfn);

    return quire_node_of(z == UINT32_MAX ? QUIRE_NO_NODE : w->run->machine.zones[z].node);
}

/* ---- What was promised ----------------------------------------------------------------------- */

static bool in_set(quire_nodemask set, quire_node node)
{
    return (set.bits & quire_nodemask_of(node).bits) != 0;
}

quire_node node_wanted(const struct nodes *nodes, const struct node_request *r)
{
    quire_node order[QUIRE_NODES];
    quire_nodemask set = nodes->with_memory;
    uint32_t count;

    if (r->policy.mode == QUIRE_POLICY_LOCAL)
        return r->origin;
    if (r->policy.mode != QUIRE_POLICY_NEAREST)
        set.bits &= r->policy.nodes.bits;
    count = quire_topology_order(&nodes->topology, r->origin, order);
    for (uint32_t i = 0; i < count; i++) {
        if (in_set(set, order[i]))
            return order[i];
    }
    return quire_node_of(QUIRE_NO_NODE);
}

/* May the request be served from this node? */
static bool is_kept(const struct nodes *nodes, const struct node_request *r, quire_node got)
{
    switch (r->policy.mode) {
    case QUIRE_POLICY_NEAREST:
        return got.n == node_wanted(nodes, r).n;
    case QUIRE_POLICY_BIND:
        return in_set(r->policy.nodes, got) &&
               (!r->policy.strict || got.n == node_wanted(nodes, r).n);
    case QUIRE_POLICY_INTERLEAVE:
    case QUIRE_POLICY_WEIGHTED:
        return !r->policy.strict || in_set(r->policy.nodes, got);
    default: /* LOCAL, PREFERRED */
        return !r->policy.strict || got.n == node_wanted(nodes, r).n;
    }
}

static quire_node inject_node(struct worker *w, quire_node got)
{
    if (w->run->options.fault != FAULT_WRONG_NODE || w->number != 0 || w->calls < FAULT_CALLS)
        return got;
    return quire_node_of((got.n + 1) % w->run->nodes->topology.node_count);
}

/* One call got the frames of the record: see that they are where they should be. */
bool node_check_place(struct worker *w, const struct node_request *r, const struct record *record)
{
    static const char *const modes[] = {"local",   "preferred",  "bind",
                                        "nearest", "interleave", "weighted"};
    quire_node got = inject_node(w, node_of(w, record->pfn));

    if (got.n == QUIRE_NO_NODE)
        return false;
    if (is_kept(w->run->nodes, r, got)) {
        nodes_thread(w)->promises++;
        return true;
    }
    run_violation(w->run,
                  "frame %llu is on node %u, which the policy %s%s, set %#llx, asked from node %u, "
                  "does not allow; thread %u, its call %llu",
                  (unsigned long long)record->pfn, got.n, r->policy.strict ? "strict " : "",
                  modes[r->policy.mode], (unsigned long long)r->policy.nodes.bits, r->origin.n,
                  w->number, (unsigned long long)w->calls);
    return false;
}

/* ---- What is in the pages -------------------------------------------------------------------- */

static void write_pages(const struct record *record)
{
    for (uint64_t pfn = record->pfn; pfn < record->pfn + record->frames; pfn++) {
        uint64_t *words = nodes_memory(pfn);

        words[0] = (uint64_t)record->tag << 32 | (uint32_t)pfn;
        words[QUIRE_FRAME_SIZE / sizeof(*words) - 1] = words[0];
    }
}

static bool pages_are_zero(const struct record *record)
{
    const uint64_t *words = nodes_memory(record->pfn);

    for (uint64_t i = 0; i < record->frames * QUIRE_FRAME_SIZE / sizeof(*words); i++) {
        if (words[i])
            return false;
    }
    return true;
}

static bool check_pages(struct worker *w, uint32_t z, const struct record *record)
{
    for (uint64_t pfn = record->pfn; pfn < record->pfn + record->frames; pfn++) {
        const uint64_t *words = nodes_memory(pfn);

        if ((uint32_t)words[0] != (uint32_t)pfn || (record->tag && words[0] >> 32 != record->tag) ||
            words[QUIRE_FRAME_SIZE / sizeof(*words) - 1] != words[0]) {
            check_accuse(w, z, pfn, "has lost what its holder wrote");
            return false;
        }
    }
    return true;
}

/* The record's frames were handed out. */
bool node_take(struct worker *w, const struct record *record, uint32_t flags)
{
    uint32_t z = zone_of(w, record->pfn);

    if (z == UINT32_MAX || !check_take(w, z, record, w->run->options.real ? 0 : flags))
        return false;
    if (!w->run->options.real)
        return true;
    if (flags & QUIRE_ZEROED && !pages_are_zero(record)) {
        check_accuse(w, z, record->pfn, "was handed out as zeroed, but is not");
        return false;
    }
    write_pages(record);
    return true;
}

/* They are about to be freed. */
bool node_give(struct worker *w, const struct record *record)
{
    uint32_t z = zone_of(w, record->pfn);

    if (z == UINT32_MAX || (w->run->options.real && !check_pages(w, z, record)) ||
        !check_give(w, z, record))
        return false;
    nodes_thread(w)->remote_frees +=
        w->run->machine.zones[z].node != nodes_thread(w)->node.n ? record->frames : 0;
    return true;
}

/* ---- Answers --------------------------------------------------------------------------------- */

/* A call of the thread got memory of the node. */
void node_count_call(struct worker *w, uint64_t pfn)
{
    struct node_thread *thread = nodes_thread(w);
    quire_node node = node_of(w, pfn);

    if (node.n == QUIRE_NO_NODE)
        return;
    if (node.n == thread->node.n)
        thread->local[node.n]++;
    else
        thread->other[node.n]++;
}

/* What a refusal may be called. A set without memory is known beforehand. */
uint32_t node_refusals(const struct worker *w, const struct node_request *r)
{
    quire_node wanted = node_wanted(w->run->nodes, r);

    return wanted.n == QUIRE_NO_NODE || !in_set(w->run->nodes->with_memory, wanted)
               ? REFUSALS | CHECK_ALLOWED(QUIRE_ERR_NODE)
               : REFUSALS;
}

void node_check_refusal(struct worker *w, int error, const struct quire_refusal *why)
{
    w->checks.answers++;
    if (why->error != error)
        run_violation(w->run, "a call answered \"%s\" and its reason \"%s\"; thread %u, call %llu",
                      quire_strerror(error), quire_strerror(why->error), w->number,
                      (unsigned long long)w->calls);
}
