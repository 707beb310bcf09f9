/* SPDX-License-Identifier: MIT
 *
 * test_policies.c - every policy against a naive model, on random machines: for each request the
 * model lists the zones that may serve it, in order, from the topology alone. Either there are no
 * caches and zones are filled up at random, and the first one of the list that has a frame must be
 * the one that served. Or there is memory everywhere, also in the CPUs' caches and remote
 * magazines, where each request finds what frees left there: a hit must be of the first zone of the
 * list, and there is none where the list is empty. Zonelists are checked as permutations sorted by
 * distance.
 */
#include "stress/common/random.h"
#include "stress/numa/machine/unit.h"

#include <string.h>

enum {
    ROUNDS = 60,
    REQUESTS = 300,
    NODES = 6,
    MANY = 24 * BLOCK, /* frames of a zone that is not exhausted */
    HELD = 200,        /* runs that are held at most then */
};

static struct rig rig;
static uint64_t random_state;

static uint64_t draw(uint64_t below)
{
    return random_below(&random_state, below);
}

/* ---- A random machine ----------------------------------------------------------------------- */

/* Which CPU is where, and how far nodes are apart: some are out of reach. */
static void draw_places(struct rig *r)
{
    uint32_t nodes = r->topology.node_count;

    for (uint32_t cpu = 0; cpu < r->topology.cpu_count; cpu++)
        r->topology.cpu_node[cpu] = (uint32_t)draw(nodes);
    for (uint32_t a = 0; a < nodes; a++)
        for (uint32_t b = 0; b < a; b++) {
            unsigned apart = draw(6) ? 11 + (unsigned)draw(4) * 7 : 255;

            r->topology.distance[a][b] = r->topology.distance[b][a] = (uint8_t)apart;
        }
}

/* Describe a machine of zones of so many frames. */
static void begin_random(struct rig *r, uint64_t frames)
{
    uint32_t nodes = 1 + (uint32_t)draw(NODES);

    rig_begin(r, nodes, 2);
    draw_places(r);
    for (uint32_t n = 0; n < nodes; n++) {
        if (draw(3) == 0)
            (void)rig_zone(r, n, QUIRE_ZONE_DMA, 0, frames);
        if (draw(3) == 0)
            (void)rig_zone(r, n, QUIRE_ZONE_DMA32, frames, frames);
        if (draw(4) != 0 || (n == 0 && r->zone_count == 0))
            (void)rig_zone(r, n, QUIRE_ZONE_NORMAL, 2 * frames, frames);
        if (draw(3) == 0)
            (void)rig_zone(r, n, QUIRE_ZONE_HUGE, 3 * frames, frames);
    }
}

/* ---- Zonelists ------------------------------------------------------------------------------ */

/* How good a zone type is for a purpose: 0 is best, negative not at all. */
static int rank(enum quire_zone_type type, enum quire_zone_type purpose)
{
    if (type == QUIRE_ZONE_DEVICE || purpose == QUIRE_ZONE_DEVICE)
        return type == purpose ? 0 : -1;
    return (int)purpose - (int)type;
}

static unsigned distance(const struct rig *r, uint32_t from, uint32_t to)
{
    return from == to ? 10 : r->topology.distance[from][to];
}

struct list {
    uint32_t zones[RIG_ZONES]; /* places in the rig */
    size_t count;
};

/* The machine's list, having checked that it has every zone that it should, once, and in the order
 * of distance, then of scarcity. */
static struct list list_of(struct rig *r, uint32_t node, enum quire_zone_type purpose)
{
    struct quire_zonelist_entry entries[RIG_ZONES];
    struct list list = {.count = 0};
    size_t in_reach = 0, count;

    assert_ok(quire_machine_zonelist(r->machine, quire_node_of(node), purpose, entries, RIG_ZONES,
                                     &count));
    for (uint32_t i = 0; i < r->zone_count; i++)
        in_reach +=
            rank(r->zones[i].type, purpose) >= 0 && distance(r, node, r->given[i].node.n) < 255;
    assert_int_equal(count, in_reach);
    for (size_t i = 0; i < count; i++) {
        uint32_t zone = entries[i].zone;

        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(list.zones[k], zone);
        assert_int_equal(entries[i].node.n, r->given[zone].node.n);
        assert_int_equal(entries[i].type, r->zones[zone].type);
        assert_true(rank(entries[i].type, purpose) >= 0);
        if (i > 0) {
            const struct quire_zonelist_entry *before = &entries[i - 1];

            assert_true(distance(r, node, before->node.n) <= distance(r, node, entries[i].node.n));
            if (before->node.n == entries[i].node.n)
                assert_true(rank(before->type, purpose) <= rank(entries[i].type, purpose));
        }
        list.zones[list.count++] = zone;
    }
    return list;
}

/* ---- The model ------------------------------------------------------------------------------ */

static struct {
    uint64_t free[RIG_ZONES];
    uint64_t turns[NODES * 2]; /* by CPU */
    uint64_t counts[NODES][QUIRE_NODE_COUNTS];
} model;

static uint64_t nodes_of(const struct rig *r, const struct list *list)
{
    uint64_t nodes = 0;

    for (size_t i = 0; i < list->count; i++)
        nodes |= 1ull << r->given[list->zones[i]].node.n;
    return nodes;
}

/* Those zones of a list that are (or are not) on a set's nodes, behind what out has. */
static void add_those(const struct rig *r, const struct list *list, uint64_t set, bool in,
                      struct list *out)
{
    for (size_t i = 0; i < list->count; i++)
        if ((set >> r->given[list->zones[i]].node.n & 1) == in)
            out->zones[out->count++] = list->zones[i];
}

static enum quire_zone_type first_type(enum quire_purpose purpose)
{
    unsigned type = QUIRE_ZONE_DMA;

    while (quire_purpose_of((enum quire_zone_type)type) != purpose)
        type++;
    return (enum quire_zone_type)type;
}

static struct list usable(struct rig *r, uint32_t node, const struct quire_request *q)
{
    struct list all = list_of(r, node, first_type(q->purpose)), out = {.count = 0};

    for (size_t i = 0; i < all.count; i++)
        if (r->zones[all.zones[i]].type != QUIRE_ZONE_HUGE || q->flags & QUIRE_MOVABLE ||
            q->order >= QUIRE_BLOCK_ORDER)
            out.zones[out.count++] = all.zones[i];
    return out;
}

static uint32_t whose_turn(const struct quire_policy *p, uint64_t set, uint64_t turn)
{
    uint32_t ring[NODES * 256] = {0}, n = 0;

    for (uint32_t node = 0; node < NODES; node++)
        for (unsigned i = 0;
             set >> node & 1 && i < (p->mode == QUIRE_POLICY_WEIGHTED ? p->weight[node] : 1); i++)
            ring[n++] = node;
    assert_true(n > 0);
    return ring[turn % n];
}

/* The zones that may serve a request, in order; none if the policy names no node. */
static struct list expected(struct rig *r, const struct quire_request *q)
{
    const struct quire_policy *p = q->policy ? q->policy : &r->config.policy;
    uint32_t node = q->near_node.n == 0 ? r->topology.cpu_node[rig_cpu] : q->near_node.n - 1;
    struct list list = usable(r, node, q), out = {.count = 0};
    uint64_t set = nodes_of(r, &list) & p->nodes.bits;

    if (p->mode == QUIRE_POLICY_LOCAL) {
        add_those(r, &list, p->strict ? 1ull << node : UINT64_MAX, true, &out);
    } else if (p->mode == QUIRE_POLICY_NEAREST && list.count) {
        add_those(r, &list, 1ull << r->given[list.zones[0]].node.n, true, &out);
    } else if (p->mode == QUIRE_POLICY_PREFERRED || p->mode == QUIRE_POLICY_BIND) {
        add_those(r, &list, set, true, &out);
        if (p->strict && out.count) {
            uint32_t first = r->given[out.zones[0]].node.n;

            out.count = 0;
            add_those(r, &list, 1ull << first, true, &out);
        } else if (p->mode == QUIRE_POLICY_PREFERRED && out.count) {
            add_those(r, &list, set, false, &out);
        }
    } else if (p->mode == QUIRE_POLICY_INTERLEAVE || p->mode == QUIRE_POLICY_WEIGHTED) {
        uint64_t turn = model.turns[rig_cpu]++;

        if (set) {
            node = whose_turn(p, set, turn);
            list = usable(r, node, q);
            add_those(r, &list, p->strict ? 1ull << node : UINT64_MAX, true, &out);
        }
    }
    return out;
}

static void count_expected(const struct rig *r, const struct quire_policy *p, uint32_t wanted,
                           uint32_t given)
{
    bool node_in_turn = p->mode == QUIRE_POLICY_INTERLEAVE || p->mode == QUIRE_POLICY_WEIGHTED;
    bool hit = wanted == given;

    model.counts[given][hit ? QUIRE_NODE_HIT : QUIRE_NODE_MISS]++;
    model.counts[wanted][QUIRE_NODE_FOREIGN] += !hit;
    model.counts[given][QUIRE_NODE_INTERLEAVE] += hit && node_in_turn;
    model.counts[given]
                [r->topology.cpu_node[rig_cpu] == given ? QUIRE_NODE_LOCAL : QUIRE_NODE_OTHER]++;
}

/* ---- One request ---------------------------------------------------------------------------- */

static void draw_policy(struct quire_policy *p)
{
    memset(p, 0, sizeof *p);
    p->mode = (enum quire_policy_mode)draw(6);
    p->strict = draw(3) == 0;
    p->nodes.bits = draw(1u << NODES) | (draw(4) == 0 ? 1ull << 63 : 0);
    for (uint32_t n = 0; n < QUIRE_NODES; n++)
        p->weight[n] = (uint8_t)(1 + draw(5));
}

static void one_request(struct rig *r, quire_pfn pfns[], size_t *held)
{
    struct quire_request q = quire_request_of(0, QUIRE_EMERGENCY | (draw(2) ? QUIRE_MOVABLE : 0));
    struct quire_refusal why;
    struct quire_policy policy;
    struct list zones;
    bool confines;
    size_t at = 0;
    int error;

    draw_policy(&policy);
    q.policy = &policy;
    q.purpose = (enum quire_purpose)draw(4);
    if (draw(2))
        q.near_node = quire_near_of(quire_node_of((uint32_t)draw(r->topology.node_count)));
    rig_cpu = (uint32_t)draw(r->topology.cpu_count);
    confines = policy.strict || policy.mode == QUIRE_POLICY_BIND ||
               policy.mode == QUIRE_POLICY_NEAREST || q.purpose == QUIRE_FOR_DMA ||
               q.purpose == QUIRE_FOR_DMA32;
    zones = expected(r, &q);
    while (at < zones.count && model.free[zones.zones[at]] == 0)
        at++;
    error = quire_machine_request(r->machine, &q, &pfns[*held], &why);
    if (zones.count == 0) {
        assert_int_equal(error, QUIRE_ERR_NODE);
    } else if (at == zones.count) {
        assert_int_equal(error, confines ? QUIRE_ERR_ZONE : QUIRE_ERR_NO_MEMORY);
        assert_int_equal(why.tried, zones.count);
        assert_int_equal(why.node.n, r->given[zones.zones[0]].node.n);
        assert_int_equal(why.zone, r->zones[zones.zones[0]].type);
    } else {
        const struct rig_zone *z = &r->zones[zones.zones[at]];

        assert_int_equal(error, QUIRE_OK);
        assert_true(pfns[*held].n - z->run.pfn.n < z->run.frames);
        model.free[zones.zones[at]]--;
        count_expected(r, &policy, r->given[zones.zones[0]].node.n,
                       r->given[zones.zones[at]].node.n);
        ++*held;
    }
}

static void begin_model(const struct rig *r)
{
    memset(&model, 0, sizeof model);
    for (uint32_t cpu = 0; cpu < r->topology.cpu_count; cpu++)
        model.turns[cpu] = cpu;
}

/* Take most of what a zone has, behind the machine's back. */
static size_t exhaust(struct rig *r, uint32_t zone, quire_pfn pfns[])
{
    size_t got = 0;

    assert_ok(quire_zone_alloc_batch(&r->zones[zone].zone, quire_slot_of(0), QUIRE_EMERGENCY,
                                     BLOCK - draw(40), pfns, &got));
    model.free[zone] = BLOCK - got;
    return got;
}

static void policies(void **unused)
{
    static quire_pfn pfns[NODES * 4 * BLOCK];
    struct rig *r = &rig;

    (void)unused;
    random_state = 1;
    for (int round = 0; round < ROUNDS; round++) {
        size_t held = 0;

        begin_random(r, BLOCK);
        r->config.rounds = r->config.huge_rounds = 0; /* so that who has frames is told exactly */
        rig_open(r);
        begin_model(r);
        for (uint32_t z = 0; z < r->zone_count; z++)
            held += exhaust(r, z, pfns + held);
        for (int i = 0; i < REQUESTS; i++)
            one_request(r, pfns, &held);
        rig_check(r, held);
        for (uint32_t n = 0; n < r->topology.node_count; n++)
            assert_memory_equal(model.counts[n], rig_stats(r, n).counts, sizeof model.counts[n]);
        assert_ok(quire_machine_free_batch(r->machine, pfns, held, NULL));
        rig_close(r);
    }
}

/* ---- The same with magazines ---------------------------------------------------------------- */

struct held_run {
    quire_pfn pfn;
    unsigned order;
};

/* A request for memory, of which there is enough everywhere. */
static void request_of_plenty(struct rig *r, struct held_run *run, size_t *held)
{
    static const unsigned orders[] = {0, 0, 0, 0, 0, 1, 2, 3, 4, 9};
    struct quire_request q = quire_request_of(orders[draw(10)], draw(3) ? 0 : QUIRE_MOVABLE);
    struct quire_policy policy;
    struct list zones;
    int error;

    draw_policy(&policy);
    if (draw(2)) /* those that a magazine may serve */
        policy.nodes.bits = 1ull << draw(r->topology.node_count);
    q.policy = draw(3) ? &policy : NULL;
    q.purpose = draw(3) ? QUIRE_FOR_NORMAL : (enum quire_purpose)draw(4);
    if (draw(2))
        q.near_node = quire_near_of(quire_node_of((uint32_t)draw(r->topology.node_count)));
    zones = expected(r, &q);
    run->order = q.order;
    error = quire_machine_request(r->machine, &q, &run->pfn, NULL);
    if (zones.count == 0) {
        assert_error(error, QUIRE_ERR_NODE);
    } else {
        const struct rig_zone *z = &r->zones[zones.zones[0]];
        uint32_t node = r->given[zones.zones[0]].node.n;

        assert_ok(error);
        assert_true(run->pfn.n - z->run.pfn.n < z->run.frames);
        count_expected(r, q.policy ? q.policy : &r->config.policy, node, node);
        ++*held;
    }
}

static void free_some(struct rig *r, struct held_run runs[], size_t *held, size_t n)
{
    for (; n > 0 && *held > 0; n--) {
        size_t i = (size_t)draw(*held);
        struct held_run run = runs[i];

        runs[i] = runs[--*held];
        give(r, run.pfn.n, run.order);
    }
}

/* Everything is where policies let it be, whatever the magazines have. */
static void hits(void **unused)
{
    static struct held_run runs[HELD];
    struct rig *r = &rig;

    (void)unused;
    random_state = 2;
    for (int round = 0; round < ROUNDS; round++) {
        size_t held = 0;

        begin_random(r, MANY);
        if (draw(2))
            draw_policy(&r->config.policy);
        r->config.rounds = 8;
        r->config.huge_rounds = 0;
        rig_open(r);
        begin_model(r);
        for (int i = 0; i < 20 * REQUESTS; i++) {
            rig_cpu = (uint32_t)draw(draw(4) ? 2 : r->topology.cpu_count);
            if (held < HELD && draw(2))
                request_of_plenty(r, &runs[held], &held);
            else
                free_some(r, runs, &held, 1);
            if (draw(200) == 0) /* what is kept for later is what the next ones find */
                free_some(r, runs, &held, HELD);
            if (draw(1000) == 0) {
                draw_places(r);
                assert_ok(quire_machine_set_topology(r->machine, &r->topology));
            }
        }
        for (uint32_t n = 0; n < r->topology.node_count; n++)
            assert_memory_equal(model.counts[n], rig_stats(r, n).counts, sizeof model.counts[n]);
        free_some(r, runs, &held, HELD);
        rig_close(r);
    }
}

/* A node that cannot be reached is no node to bind to, or to prefer, whatever of its frames was
 * freed here; a request for that node, as one of its own CPUs would make it, is another matter. */
static void out_of_reach(void **unused)
{
    static const enum quire_policy_mode modes[] = {QUIRE_POLICY_BIND, QUIRE_POLICY_PREFERRED};
    struct quire_policy policy = {.nodes = {2}};
    struct quire_request q = quire_request_of(0, 0);
    struct rig *r = &rig;
    uint64_t pfns[3];
    quire_pfn none;

    (void)unused;
    rig_begin(r, 2, 1);
    assert_ok(quire_topology_set_distance(&r->topology, quire_node_of(0), quire_node_of(1), 255));
    for (uint32_t n = 0; n < 2; n++)
        (void)rig_zone(r, n, QUIRE_ZONE_NORMAL, 0, 4 * BLOCK);
    rig_open(r);
    q.near_node = quire_near_of(quire_node_of(1));
    for (unsigned i = 0; i < 3; i++)
        pfns[i] = ask(r, &q);
    for (unsigned i = 0; i < 3; i++)
        give(r, pfns[i], 0);
    assert_int_equal(rig_stats(r, 1).remote, 3);
    q.near_node = quire_near_of(quire_node_of(QUIRE_NO_NODE));
    q.policy = &policy;
    for (unsigned i = 0; i < 4; i++) {
        policy.mode = modes[i / 2];
        policy.strict = i % 2;
        assert_error(quire_machine_request(r->machine, &q, &none, NULL), QUIRE_ERR_NODE);
    }
    q.near_node = quire_near_of(quire_node_of(1));
    assert_int_equal(node_of(r, pfns[0] = ask(r, &q)), 1);
    give(r, pfns[0], 0);
    rig_close(r);
}

/* A default policy other than LOCAL is asked by plain requests too. */
static void by_default(void **unused)
{
    struct rig *r = &rig;
    uint64_t pfns[8];

    (void)unused;
    rig_begin(r, 4, 1);
    for (uint32_t n = 0; n < 4; n++)
        (void)rig_zone(r, n, QUIRE_ZONE_NORMAL, 0, 4 * BLOCK);
    r->config.policy.mode = QUIRE_POLICY_WEIGHTED;
    r->config.policy.nodes.bits = 1 << 1 | 1 << 3;
    r->config.policy.weight[1] = 3;
    assert_error(rig_try(r), QUIRE_ERR_UNSUPPORTED);
    r->config.policy.weight[3] = 1;
    rig_open(r);
    for (unsigned i = 0; i < 8; i++) {
        pfns[i] = take(r, 0, 0);
        assert_int_equal(node_of(r, pfns[i]), i % 4 == 3 ? 3 : 1);
    }
    for (unsigned i = 0; i < 8; i++)
        give(r, pfns[i], 0);
    rig_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies),
        cmocka_unit_test(hits),
        cmocka_unit_test(out_of_reach),
        cmocka_unit_test(by_default),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
