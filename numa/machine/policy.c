/* SPDX-License-Identifier: MIT
 *
 * policy.c - policies: which zones a request may use, in which order.
 *
 * Every policy comes down to a struct zonelist_walk: a node's zonelist, a set of nodes that are
 * asked first, and whether the others are asked afterwards.
 *
 *   mode                       the list of          asked first                  then the others
 *   LOCAL                      the asking node      all nodes of the list        -
 *   LOCAL, strict              the asking node      the asking node              no
 *   NEAREST                    the asking node      the first node of the list   no
 *   PREFERRED                  the asking node      the policy's set             yes
 *   BIND                       the asking node      the policy's set             no
 *   either of these, strict    the asking node      the first node of the set    no
 *   INTERLEAVE, WEIGHTED       the node in turn     all nodes of the list        -
 *   either of these, strict    the node in turn     the node in turn             no
 *
 * An interleaving policy draws a number from its CPU's counter, one for each frame or run; the
 * number modulo the sum of weights names the node. So each CPU goes round the set by itself, from a
 * place of its own.
 *
 * State: machine_cpu.turn, added to by any number of callers. All else is the caller's, or in a
 * snapshot, which does not change. Walks are bounded by the number of nodes and of the list's
 * zones. Wait-free, any context.
 */
#include "numa/machine/machine.h"

static bool mode_interleaves(const struct quire_policy *p)
{
    return p->mode == QUIRE_POLICY_INTERLEAVE || p->mode == QUIRE_POLICY_WEIGHTED;
}

/* Does a policy make sense, whatever the machine? */
bool qi_policy_valid(const struct quire_policy *p)
{
    if ((unsigned)p->mode > QUIRE_POLICY_WEIGHTED)
        return false;
    for (uint32_t n = 0; n < QUIRE_NODES && p->mode == QUIRE_POLICY_WEIGHTED; n++)
        if (p->nodes.bits >> n & 1 && p->weight[n] == 0)
            return false;
    return true;
}

static const struct quire_policy *effective_policy(const struct quire_machine *m,
                                                   const struct quire_request *request)
{
    return request->policy ? request->policy : &m->policy;
}

bool qi_policy_interleaves(const struct quire_machine *m, const struct quire_request *request)
{
    return mode_interleaves(effective_policy(m, request));
}

bool qi_policy_strict(const struct quire_machine *m, const struct quire_request *request)
{
    return effective_policy(m, request)->strict;
}

/* Does a request leave out zones that could serve it, by its purpose or by its policy? */
bool qi_policy_confines(const struct quire_machine *m, const struct quire_request *request)
{
    const struct quire_policy *p = effective_policy(m, request);

    return p->strict || p->mode == QUIRE_POLICY_BIND || p->mode == QUIRE_POLICY_NEAREST ||
           (request->purpose != QUIRE_FOR_NORMAL && request->purpose != QUIRE_FOR_HUGE);
}

/* Draw n numbers; the first one. 0 for policies that need none. */
uint64_t qi_policy_draw(struct quire_machine *m, uint32_t cpu, const struct quire_request *request,
                        uint64_t n)
{
    struct machine_cpu *mcpu;

    if (!qi_policy_interleaves(m, request))
        return 0;
    mcpu = machine_cpu_of(m, cpu);
    if (!mcpu)
        mcpu = machine_cpu_of(m, 0);
    return qa_add(&mcpu->turn, n, relaxed); /* relaxed: only the number counts */
}

static bool walk_admits(const struct zonelist_walk *w, const struct machine_entry *e)
{
    return !(w->no_huge && e->zone->type == QUIRE_ZONE_HUGE);
}

/* Nodes that have a zone in the list. */
static uint64_t nodes_of_list(const struct machine_snapshot *s, const struct zonelist_walk *w)
{
    uint64_t nodes = 0;

    for (uint32_t i = 0; i < w->count; i++) {
        const struct machine_entry *e = &s->entries[w->list[i]];

        if (walk_admits(w, e))
            nodes |= quire_nodemask_of(e->zone->node).bits;
    }
    return nodes;
}

/* The first node of the list that is in the set, QUIRE_NO_NODE if none is. */
static quire_node first_in_set(const struct machine_snapshot *s, const struct zonelist_walk *w,
                               uint64_t set)
{
    for (uint32_t i = 0; i < w->count; i++) {
        const struct machine_entry *e = &s->entries[w->list[i]];

        if (walk_admits(w, e) && set >> e->zone->node.n & 1)
            return e->zone->node;
    }
    return quire_node_of(QUIRE_NO_NODE);
}

/* How many turns in a row a node has. */
static uint64_t weight_of(const struct quire_policy *p, uint64_t set, uint32_t node)
{
    if (!(set >> node & 1))
        return 0;
    return p->mode == QUIRE_POLICY_WEIGHTED ? p->weight[node] : 1;
}

/* Turns of the nodes below `node`. */
static uint64_t turns_before(const struct quire_policy *p, uint64_t set, uint32_t node)
{
    uint64_t sum = 0;

    for (uint32_t n = 0; n < node; n++)
        sum += weight_of(p, set, n);
    return sum;
}

/* Whose turn it is among the nodes of the set, which is not empty. */
static quire_node node_in_turn(const struct quire_policy *p, uint64_t set, uint64_t turn)
{
    uint64_t sum = turns_before(p, set, QUIRE_NODES);
    uint32_t n = 0;

    turn -= word_divide(turn, sum) * sum;
    for (; turn >= weight_of(p, set, n); n++)
        turn -= weight_of(p, set, n);
    return quire_node_of(n);
}

static void use_zonelist(const struct machine_snapshot *s, struct zonelist_walk *w, quire_node node,
                         enum quire_zone_type type)
{
    const struct node_zonelists *l = s->lists[node.n];

    w->list = l->entries + l->first[type];
    w->count = l->count[type];
}

/* The node that asks. */
static quire_node asking_node(const struct machine_reader *r, const struct quire_request *request)
{
    return request->near_node.n == 0 ? node_of_cpu(r->snapshot, r->cpu) : request_node(request);
}

/* The nodes that a policy wants first, and whether it takes others. */
static int apply_policy(const struct machine_reader *r, const struct quire_policy *p,
                        quire_node node, uint64_t turn, const struct quire_request *request,
                        struct zonelist_walk *w)
{
    uint64_t there, set;

    if (p->mode == QUIRE_POLICY_LOCAL && !p->strict) { /* the common one: the list as it is */
        w->first = UINT64_MAX;
        w->wanted = first_in_set(r->snapshot, w, w->first);
        return w->wanted.n == QUIRE_NO_NODE ? QUIRE_ERR_NODE : QUIRE_OK;
    }
    there = nodes_of_list(r->snapshot, w);
    set = there & p->nodes.bits;
    switch (p->mode) {
    case QUIRE_POLICY_LOCAL:
        w->first = quire_nodemask_of(node).bits & there;
        break;
    case QUIRE_POLICY_NEAREST:
        w->first = there ? quire_nodemask_of(first_in_set(r->snapshot, w, there)).bits : 0;
        break;
    case QUIRE_POLICY_PREFERRED:
    case QUIRE_POLICY_BIND:
        w->first = set;
        if (p->strict && set)
            w->first = quire_nodemask_of(first_in_set(r->snapshot, w, set)).bits;
        w->others = p->mode == QUIRE_POLICY_PREFERRED && !p->strict;
        break;
    default:
        if (set == 0)
            return QUIRE_ERR_NODE;
        w->interleaved = true;
        w->wanted = node_in_turn(p, set, turn);
        use_zonelist(r->snapshot, w, w->wanted, request_type(request));
        w->first = p->strict ? quire_nodemask_of(w->wanted).bits : nodes_of_list(r->snapshot, w);
        return QUIRE_OK;
    }
    if (w->first == 0)
        return QUIRE_ERR_NODE;
    w->wanted = first_in_set(r->snapshot, w, w->first);
    return QUIRE_OK;
}

/* Begin the walk of a request. `turn`: from qi_policy_draw. QUIRE_ERR_NODE: no such node, or
 * no zone to ask. QUIRE_ERR_UNSUPPORTED: policy, purpose. */
int qi_policy_walk(const struct machine_reader *r, const struct quire_request *request,
                   uint64_t turn, struct zonelist_walk *w)
{
    const struct quire_policy *p = effective_policy(r->machine, request);
    quire_node node = asking_node(r, request);

    if ((unsigned)request->purpose >= QUIRE_ZONE_TYPES ||
        (request->policy && !qi_policy_valid(request->policy)))
        return QUIRE_ERR_UNSUPPORTED;
    if (node.n >= r->snapshot->topology.node_count)
        return QUIRE_ERR_NODE;
    __builtin_memset(w, 0, sizeof *w);
    w->no_huge = request->order < HUGE_ORDER && !(request->flags & QUIRE_MOVABLE);
    use_zonelist(r->snapshot, w, node, request_type(request));
    return apply_policy(r, p, node, turn, request, w);
}

/* How many of the n turns from `turn` are `node`'s, and in *first one of them. The request
 * interleaves. 0 if qi_policy_walk refuses it. */
uint64_t qi_policy_share(const struct machine_reader *r, const struct quire_request *request,
                         uint64_t turn, uint64_t n, quire_node node, uint64_t *first)
{
    const struct quire_policy *p = effective_policy(r->machine, request);
    uint64_t set, sum, before, weight, ends[2] = {turn, turn + n};
    struct zonelist_walk w;

    if (qi_policy_walk(r, request, turn, &w))
        return 0;
    use_zonelist(r->snapshot, &w, asking_node(r, request), request_type(request));
    set = nodes_of_list(r->snapshot, &w) & p->nodes.bits;
    sum = turns_before(p, set, QUIRE_NODES);
    before = turns_before(p, set, node.n);
    weight = weight_of(p, set, node.n);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t rounds = word_divide(ends[i], sum), part = ends[i] - rounds * sum;

        part = part < before ? 0 : part - before;
        ends[i] = rounds * weight + (part < weight ? part : weight);
    }
    *first = before;
    return ends[1] - ends[0];
}

/* The next zone of a walk; NULL at its end, after which it starts again. */
const struct machine_entry *qi_walk_next(const struct machine_snapshot *s, struct zonelist_walk *w)
{
    for (; w->pass < (w->others ? 2u : 1u); w->pass++, w->at = 0)
        while (w->at < w->count) {
            const struct machine_entry *e = &s->entries[w->list[w->at++]];
            bool first = w->first >> e->zone->node.n & 1;

            if (first == (w->pass == 0) && walk_admits(w, e))
                return e;
        }
    w->at = w->pass = 0;
    return NULL;
}
