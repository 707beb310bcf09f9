/* SPDX-License-Identifier: MIT
 *
 * slowpath.c - how a request that no magazine serves is served or refused.
 *
 * In turn, until one gives: the zones of the request's walk (a zone at whose home the caller is
 * drains its own cache before it refuses); the same after all caches of these zones and all remote
 * magazines went home; the same after the port's last resort, once. So a refusal says that each
 * zone that the request may use was seen without, after everything that was cached came back.
 * Requests with QUIRE_NO_CALLBACK do without what would be a system call or a callback.
 *
 * Each round reads the snapshot anew: the port's reclaim may take long, and hot-plug need not wait.
 * Lock-free, any context.
 */
#include "numa/machine/machine.h"

static void add_figure(qa64 *figure, uint64_t n)
{
    (void)qa_add(figure, n, relaxed); /* relaxed: a figure */
}

/* Count n frames, or one run, given at `given` to a caller who wanted them at a->wanted. */
void qi_machine_count_served(const struct machine_reader *r, const struct machine_attempt *a,
                             quire_node given, uint64_t n)
{
    qa64 *at = r->mcpu->counts[given.n];
    bool hit = given.n == a->wanted.n, local = given.n == node_of_cpu(r->snapshot, r->cpu).n;

    add_figure(&at[hit ? QUIRE_NODE_HIT : QUIRE_NODE_MISS], n);
    add_figure(&at[local ? QUIRE_NODE_LOCAL : QUIRE_NODE_OTHER], n);
    if (!hit)
        add_figure(&r->mcpu->counts[a->wanted.n][QUIRE_NODE_FOREIGN], n);
    else if (a->interleaved)
        add_figure(&at[QUIRE_NODE_INTERLEAVE], n);
}

/* Ask the zones of a walk. */
static int ask_zones(const struct machine_reader *r, struct zonelist_walk *w,
                     struct machine_attempt *a, struct quire_refusal *why)
{
    const struct machine_entry *e;
    int error = QUIRE_ERR_NO_MEMORY;

    why->tried = a->too_long = 0;
    while ((e = qi_walk_next(r->snapshot, w))) {
        if (why->tried++ == 0) {
            why->node = e->zone->node;
            why->zone = e->zone->type;
        }
        error = a->ask(r, e, a);
        if (error == QUIRE_OK && a->n == 0)
            qi_machine_count_served(r, a, e->zone->node, 1);
        if (error != QUIRE_ERR_NO_MEMORY)
            break;
    }
    w->at = w->pass = 0;
    if (error == QUIRE_ERR_NO_MEMORY && why->tried && a->too_long == why->tried)
        return QUIRE_ERR_SIZE; /* no drain and no reclaim makes a zone longer */
    return error;
}

/* Send home what is cached of the zones of a walk; `no_syscall`: as far as it goes without a system
 * call.
 */
static void drain_walk(const struct machine_reader *r, struct zonelist_walk *w, bool no_syscall)
{
    const struct machine_entry *e;

    (void)qi_remote_drain_all(r, false);
    while ((e = qi_walk_next(r->snapshot, w)))
        qi_entry_drain(e, no_syscall);
}

static bool is_depleted(int error)
{
    return error == QUIRE_ERR_NO_MEMORY || error == QUIRE_ERR_ZONE;
}

/* Is what a batch has so far enough for it? */
static bool partial_suffices(const struct machine_attempt *a)
{
    return a->got > 0 && a->request->flags & QUIRE_PARTIAL;
}

/* One round: with caches, then drained. */
static int serve_round(struct quire_machine *m, struct machine_attempt *a,
                       struct quire_refusal *why)
{
    struct machine_reader r;
    struct zonelist_walk w;
    int error;

    qi_machine_enter(m, &r);
    error = qi_policy_walk(&r, a->request, a->turn, &w);
    if (!error) {
        a->wanted = w.wanted;
        a->interleaved = w.interleaved;
        error = ask_zones(&r, &w, a, why);
        if (error == QUIRE_ERR_NO_MEMORY && !partial_suffices(a)) {
            drain_walk(&r, &w, a->request->flags & QUIRE_NO_CALLBACK);
            error = ask_zones(&r, &w, a, why);
        }
    }
    if (error == QUIRE_ERR_NO_MEMORY && why->tried == 1 && r.snapshot->entry_count > 1)
        error = QUIRE_ERR_ZONE;
    if (is_depleted(error) && partial_suffices(a))
        error = QUIRE_OK;
    qi_machine_leave(&r);
    return error;
}

/* A request that is wrong whatever the machine. */
int qi_machine_refuse(int error, struct quire_refusal *why)
{
    if (why)
        *why = (struct quire_refusal){.error = error, .node = {QUIRE_NO_NODE}};
    return error;
}

/* Serve a request that says how to ask; fill *why, if not NULL, after an error. */
int qi_machine_serve(struct quire_machine *m, struct machine_attempt *a, struct quire_refusal *why)
{
    struct quire_refusal unwanted;
    int error;

    if (!why)
        why = &unwanted;
    *why = (struct quire_refusal){.node = {QUIRE_NO_NODE}};
    error = serve_round(m, a, why);
    if (is_depleted(error) && m->port.reclaim && !(a->request->flags & QUIRE_NO_CALLBACK)) {
        (void)qa_add(&m->reclaims, 1, relaxed); /* relaxed: a statistic */
        (void)m->port.reclaim(m->port.ctx, why->node, a->frames - a->got);
        error = serve_round(m, a, why);
    }
    why->error = error;
    return error;
}
