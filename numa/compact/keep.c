/* SPDX-License-Identifier: MIT
 *
 * keep.c - whole blocks and sections that a node keeps free: quire_machine_maintain counts them,
 * and compacts where there are fewer than wanted.
 *
 * Sections first: their blocks count as whole ones, too. Both compactions of a call share the
 * node's budget. What is counted are the bits of the sections' maps, so a look costs a word for 64
 * blocks, and a node that has enough costs no more. Where nothing could be won a plan, which reads
 * all maps, is not made again for 1, 2, 4 and up to KEEP_PAUSE calls: what is in the way seldom
 * goes within a second.
 *
 * Nodes and orders are compacted back to back, and a request asks only a few times (HOLD_TRIES): so
 * all that one call does is a single compaction for requests, and the first that wants frames ends
 * it (hold.h). What is left is the next call's.
 *
 * State: struct machine_keep of each node. Its words are read and written beside all else, each by
 * itself: a call may see a number of before and a budget of after quire_machine_keep, and holds a
 * budget that was in force. A compaction is a change of the machine (M5): who finds it being
 * changed leaves the nodes for the next call. Lock-free but for what the mover does.
 */
#include "numa/compact/compact.h"

enum { KEEP_PAUSE = 16 };

/* ---- What is wanted -------------------------------------------------------------------------- */

/* Something to keep has a budget, and nothing has none. */
bool qi_keep_makes_sense(const struct quire_keep *keep)
{
    return (keep->budget > 0) == ((keep->blocks | keep->sections) > 0);
}

void qi_keep_set(struct machine_keep *k, const struct quire_keep *keep)
{
    qa_store(&k->blocks, keep->blocks, relaxed);     /* relaxed: a wish */
    qa_store(&k->sections, keep->sections, relaxed); /* relaxed: a wish */
    qa_store(&k->budget, keep->budget, relaxed);     /* relaxed: a wish */
    qa_store(&k->last_pause, 0, relaxed);            /* relaxed: a wish */
    qa_store(&k->pause, 0, relaxed);                 /* relaxed: a wish */
}

static struct quire_keep keep_wanted(const struct machine_keep *k)
{
    return (struct quire_keep){
        .blocks = qa_load(&k->blocks, relaxed),     /* relaxed: a wish */
        .sections = qa_load(&k->sections, relaxed), /* relaxed: a wish */
        .budget = qa_load(&k->budget, relaxed),     /* relaxed: a wish */
    };
}

static uint32_t node_count(struct quire_machine *m)
{
    struct machine_reader r;
    uint32_t nodes;

    qi_machine_enter(m, &r);
    nodes = r.snapshot->topology.node_count;
    qi_machine_leave(&r);
    return nodes;
}

int quire_machine_keep(struct quire_machine *m, quire_node node, const struct quire_keep *keep)
{
    uint32_t nodes = node_count(m);

    if (node.n != QUIRE_NO_NODE && node.n >= nodes)
        return QUIRE_ERR_NODE;
    if (!qi_keep_makes_sense(keep))
        return QUIRE_ERR_SIZE;
    if (!m->port.mover)
        return QUIRE_ERR_UNSUPPORTED;
    for (uint32_t n = 0; n < QUIRE_NODES; n++)
        if (node.n == QUIRE_NO_NODE || node.n == n)
            qi_keep_set(&m->keeps[n], keep);
    return QUIRE_OK;
}

/* ---- What is there --------------------------------------------------------------------------- */

struct whole {
    uint64_t blocks, sections;
};

/* The blocks of a zone that are free as a whole, and its sections. The map of a section has ones
 * for blocks that the zone does not have. */
static void add_whole_of_zone(const struct quire_zone *z, struct whole *whole)
{
    for (uint64_t b = z->first_block & ~(uint64_t)(SECTION_BLOCKS - 1); b < z->end_block;
         b += SECTION_BLOCKS) {
        unsigned n = 0;

        for (unsigned i = 0; i < MAP_WORDS; i++)
            /* relaxed: a figure */
            n += word_count(~qa_load(block_word(z, b / WORD_BITS + i), relaxed));
        whole->blocks += n;
        whole->sections += n == SECTION_BLOCKS;
    }
}

static struct whole whole_of_node(const struct machine_snapshot *s, quire_node node)
{
    struct whole whole = {0, 0};

    for (uint32_t i = 0; i < s->entry_count; i++) {
        const struct machine_entry *e = &s->entries[i];

        if (e->zone->node.n == node.n && e->zone->type != QUIRE_ZONE_DEVICE && !e->closing)
            add_whole_of_zone(&e->zone->zone, &whole);
    }
    return whole;
}

int quire_machine_kept(struct quire_machine *m, quire_node node, struct quire_kept *kept)
{
    const struct machine_keep *k;
    struct machine_reader r;
    struct whole whole;

    qi_machine_enter(m, &r);
    if (node.n >= r.snapshot->topology.node_count) {
        qi_machine_leave(&r);
        return QUIRE_ERR_NODE;
    }
    whole = whole_of_node(r.snapshot, node);
    qi_machine_leave(&r);
    k = &m->keeps[node.n];
    *kept = (struct quire_kept){
        .blocks = whole.blocks,
        .sections = whole.sections,
        .won_blocks = qa_load(&k->won_blocks, relaxed),     /* relaxed: a figure */
        .won_sections = qa_load(&k->won_sections, relaxed), /* relaxed: a figure */
        .moves = qa_load(&k->moves, relaxed),               /* relaxed: a figure */
        .most_moves = qa_load(&k->most_moves, relaxed),     /* relaxed: a figure */
        .calls = qa_load(&k->calls, relaxed),               /* relaxed: a figure */
        .short_calls = qa_load(&k->short_calls, relaxed),   /* relaxed: a figure */
    };
    return QUIRE_OK;
}

/* ---- Keeping --------------------------------------------------------------------------------- */

/* A node at work. */
struct keep_work {
    struct quire_machine *m;
    struct machine_keep *k;
    quire_node node;
    struct quire_keep want;
    uint64_t moves, won;
};

/* Empty as many ranges of the order as are missing, with what is left of the budget. */
static void keep_of_order(struct keep_work *w, unsigned order, uint64_t there, uint64_t wanted,
                          qa64 *won)
{
    struct quire_compact want = {
        .node = w->node, .order = order, .budget = w->want.budget - w->moves};
    struct quire_compacted done;

    if (there >= wanted || hold_is_wanted(&w->m->hold))
        return;
    want.count = wanted - there < QUIRE_COMPACT_RANGES ? (uint32_t)(wanted - there)
                                                       : (uint32_t)QUIRE_COMPACT_RANGES;
    (void)qi_compact_locked(w->m, &want, &done);
    w->moves += done.moves;
    w->won += done.won;
    (void)qa_add(won, done.won, relaxed); /* relaxed: a figure */
}

static bool is_short(const struct whole *whole, const struct quire_keep *want)
{
    return whole->blocks < want->blocks || whole->sections < want->sections;
}

/* The node has fewer than it is to keep, or had. The machine is locked. */
static void keep_node(struct keep_work *w)
{
    const struct machine_snapshot *s = qi_machine_snapshot(w->m);
    struct machine_keep *k = w->k;
    uint32_t last = qa_load(&k->last_pause, relaxed), pause = 0; /* relaxed: a hint */
    struct whole whole = whole_of_node(s, w->node);

    keep_of_order(w, QUIRE_COMPACT_MAX_ORDER, whole.sections, w->want.sections, &k->won_sections);
    whole = whole_of_node(s, w->node);
    keep_of_order(w, BLOCK_ORDER, whole.blocks, w->want.blocks, &k->won_blocks);
    whole = whole_of_node(s, w->node);
    if (w->won == 0)
        pause = last == 0 ? 1 : last < KEEP_PAUSE ? 2 * last : (uint32_t)KEEP_PAUSE;
    qa_store(&k->last_pause, pause, relaxed);                           /* relaxed: a hint */
    qa_store(&k->pause, pause, relaxed);                                /* relaxed: a hint */
    (void)qa_add(&k->moves, w->moves, relaxed);                         /* relaxed: a figure */
    (void)qa_add(&k->calls, 1, relaxed);                                /* relaxed: a figure */
    (void)qa_add(&k->short_calls, is_short(&whole, &w->want), relaxed); /* relaxed: a figure */
    if (w->moves > qa_load(&k->most_moves, relaxed))                    /* relaxed: a figure */
        qa_store(&k->most_moves, w->moves, relaxed);                    /* relaxed: a figure */
}

/* The nodes, a bit each, that have fewer than they are to keep and are to be looked at now. */
uint64_t qi_keep_short(const struct machine_reader *r)
{
    uint64_t nodes = 0;

    for (uint32_t n = 0; n < r->snapshot->topology.node_count; n++) {
        struct machine_keep *k = &r->machine->keeps[n];
        uint32_t pause = qa_load(&k->pause, relaxed); /* relaxed: a hint */
        struct quire_keep want = keep_wanted(k);
        struct whole whole;

        if (want.budget == 0)
            continue;
        whole = whole_of_node(r->snapshot, quire_node_of(n));
        if (!is_short(&whole, &want))
            continue;
        if (pause > 0)
            qa_store(&k->pause, pause - 1, relaxed); /* relaxed: a hint */
        else
            nodes |= quire_nodemask_of(quire_node_of(n)).bits;
    }
    return nodes;
}

/* Keep what these nodes are to keep. The caller is no reader. */
void qi_machine_keep_whole(struct quire_machine *m, uint64_t nodes)
{
    if (!nodes || !qi_machine_lock(m))
        return;
    hold_welcome(&m->hold);
    for (; nodes && !hold_is_wanted(&m->hold); nodes &= nodes - 1) {
        struct keep_work w = {.m = m, .node = quire_node_of(word_first(nodes))};

        w.k = &m->keeps[w.node.n];
        w.want = keep_wanted(w.k);
        keep_node(&w);
    }
    qi_machine_unlock(m);
}
