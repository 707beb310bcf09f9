/* SPDX-License-Identifier: MIT
 *
 * batch.c - many single frames at once, and claims: frames promised ahead of need.
 *
 * A batch that a magazine of the CPU can take or serve as a whole stays there (percpu/batch.c). The
 * others go to the zones, past the magazines. An interleaving policy gives each node as many
 * frames as single requests would have given it; a strict one with QUIRE_PARTIAL does without the
 * frames of a node that has none. Frees are gathered by zone, at most GATHER frames
 * at a time.
 *
 * A claim is a batch in an array of the caller's and the number of frames left in it. Whoever
 * lowers that number by one has the frame that it counted: no frame is written or read twice, so
 * relaxed order would do for the number; the frames were the caller's before he shared the claim.
 *
 * Lock-free, any context.
 */
#include "numa/machine/machine.h"

enum {
    GATHER = 64,     /* frames of different zones that are gathered */
    WORTH_WHILE = 8, /* frames of one zone in a row that go by themselves */
};

static const uint32_t known_flags =
    QUIRE_MOVABLE | QUIRE_HIGH | QUIRE_EMERGENCY | QUIRE_NO_CALLBACK | QUIRE_ZEROED | QUIRE_PARTIAL;

/* The word of a claim as an atomic. */
static qa64 *left_of(struct quire_claim *claim)
{
    void *p = &claim->left;

    return (qa64 *)p;
}

/* ---- Allocation ----------------------------------------------------------------------------- */

static int ask(const struct machine_reader *r, const struct machine_entry *e,
               struct machine_attempt *a)
{
    size_t got = 0;
    int error = quire_zone_alloc_batch(&e->zone->zone, quire_entry_slot(e, r->cpu),
                                       quire_entry_flags(r, e, a->request) | QUIRE_PARTIAL,
                                       a->n - a->got, a->pfns + a->got, &got);

    if (error)
        return error;
    a->got += got;
    return a->got == a->n ? QUIRE_OK : QUIRE_ERR_NO_MEMORY;
}

/* Count what a part of a batch got, zone by zone. */
static void count(struct quire_machine *m, const struct machine_attempt *a)
{
    struct machine_reader r;

    quire_machine_enter(m, &r);
    for (size_t i = 0, k; i < a->got; i += k) {
        const struct machine_entry *e = quire_snapshot_find(r.snapshot, a->pfns[i]);

        k = e ? quire_snapshot_row(r.snapshot, e, a->pfns + i, a->got - i) : 1;
        if (e)
            quire_machine_count(&r, a, e->zone->node, k);
    }
    quire_machine_leave(&r);
}

/* How many frames of an interleaved batch a node gives, and a turn that is the node's. */
static uint64_t share(struct quire_machine *m, const struct machine_attempt *whole, uint32_t node,
                      uint64_t *turn)
{
    struct machine_reader r;
    uint64_t n;

    quire_machine_enter(m, &r);
    n = quire_policy_share(&r, whole->request, whole->turn, whole->n, quire_node_of(node), turn);
    quire_machine_leave(&r);
    return n;
}

/* May a batch go on when a node has none? Where each frame may come from its own node alone, the
 * other nodes' frames are still to be had, as they would be by single requests. */
static bool goes_on(const struct quire_machine *m, const struct quire_request *request, int error)
{
    return quire_policy_strict(m, request) && request->flags & QUIRE_PARTIAL &&
           (error == QUIRE_ERR_NO_MEMORY || error == QUIRE_ERR_ZONE);
}

/* Count what a batch of an interleaving policy got, by the node whose turn it was. */
static void count_in_turn(struct quire_machine *m, const struct machine_attempt *whole,
                          const size_t parts[QUIRE_NODES])
{
    struct machine_attempt part = *whole;

    part.interleaved = true;
    for (uint32_t node = 0; node < QUIRE_NODES; node++) {
        part.wanted = quire_node_of(node);
        part.got = parts[node];
        count(m, &part);
        part.pfns += parts[node];
    }
}

/* A batch of an interleaving policy, node by node. If the set of nodes changes meanwhile some may
 * give less than their share, and the last one more. */
static int serve_in_turn(struct quire_machine *m, struct machine_attempt *whole,
                         struct quire_refusal *why)
{
    size_t parts[QUIRE_NODES] = {0}, left = whole->n; /* that no node was asked for yet */
    struct machine_attempt part;
    struct quire_refusal refusal;
    uint32_t last = 0; /* node with a share: what is left over counts as its */
    int error = QUIRE_OK;

    whole->turn = quire_policy_turn(m, whole->request, whole->n);
    for (uint32_t node = 0; node < QUIRE_NODES && left > 0; node++) {
        int refused = QUIRE_OK;

        part = *whole;
        part.pfns += whole->got;
        part.got = 0;
        part.n = share(m, whole, node, &part.turn);
        last = part.n ? node : last;
        if (node == QUIRE_NODES - 1 || part.n > left)
            part.n = left;
        part.frames = part.n;
        left -= part.n;
        if (part.n)
            refused = quire_machine_serve(m, &part, &refusal);
        parts[last] += part.got;
        whole->got += part.got;
        if (refused && !error && why)
            *why = refusal;
        error = error ? error : refused;
        if (refused && !goes_on(m, whole->request, refused))
            break;
    }
    if (error && !(whole->got && whole->request->flags & QUIRE_PARTIAL))
        return error;
    count_in_turn(m, whole, parts);
    return QUIRE_OK;
}

static bool hit_many(const struct quire_machine *m, const struct quire_request *request, size_t n,
                     quire_pfn pfns[])
{
    const struct quire_seat *seat = machine_seat(m);

    return machine_at_seat(seat, request) &&
           !(request->flags & ~(MACHINE_HIT_FLAGS | (uint32_t)QUIRE_PARTIAL)) &&
           quire_seat_pop_many(seat, request->flags & QUIRE_MOVABLE, pfns, n);
}

int quire_machine_alloc_batch(struct quire_machine *m, const struct quire_request *request,
                              size_t n, quire_pfn pfns[], size_t *got, struct quire_refusal *why)
{
    struct machine_attempt a = {.ask = ask, .request = request, .pfns = pfns, .frames = n, .n = n};
    int error;

    if (request->order != 0 || n == 0)
        return quire_machine_wrong(QUIRE_ERR_SIZE, why);
    if (request->flags & ~known_flags)
        return quire_machine_wrong(QUIRE_ERR_UNSUPPORTED, why);
    if (hit_many(m, request, n, pfns)) {
        *got = n;
        return QUIRE_OK;
    }
    if (quire_policy_interleaves(m, request)) {
        error = serve_in_turn(m, &a, why);
    } else {
        error = quire_machine_serve(m, &a, why);
        if (!error)
            count(m, &a);
    }
    if (error) {
        (void)quire_machine_free_batch(m, pfns, a.got, &n);
        return error;
    }
    *got = a.got;
    return QUIRE_OK;
}

/* ---- Free ----------------------------------------------------------------------------------- */

/* Does the frame lie in a magazine of its zone? Known in the hardened build alone. */
static inline bool is_cached(const struct machine_entry *e, quire_pfn pfn)
{
    return e->home && cached_has(&e->home->cache, pfn);
}

/* Free frames of one zone that are in no magazine, up to the first bad one. */
static int free_uncached(const struct machine_reader *r, const struct machine_entry *e,
                         const quire_pfn pfns[], size_t n, size_t *freed)
{
    quire_slot slot = quire_entry_slot(e, r->cpu);
    size_t bad = 0;
    int error = quire_zone_free_batch(&e->zone->zone, slot, pfns, n, &bad);

    *freed += error ? 0 : n;
    if (!error)
        return QUIRE_OK;
    for (size_t i = 0; i < bad && i < n; i++, ++*freed) {
        int sooner = quire_zone_free(&e->zone->zone, slot, pfns[i], 0);

        if (sooner)
            return sooner;
    }
    return error;
}

/* Free frames of one zone in a row, up to the first bad one. */
static int free_row(const struct machine_reader *r, const struct machine_entry *e,
                    const quire_pfn pfns[], size_t n, size_t *freed)
{
    size_t good = 0;
    int error = QUIRE_OK;

    while (good < n && !is_cached(e, pfns[good]))
        good++;
    if (good > 0)
        error = free_uncached(r, e, pfns, good, freed);
    if (error || good == n)
        return error;
    return quire_refuse(&e->home->cache, pfns[good], QUIRE_ERR_DOUBLE_FREE);
}

/* May this frame be freed as a single one, by a look? */
static bool looks_good(const struct machine_entry *e, quire_pfn pfn)
{
    enum quire_frame_state state;
    uint64_t length = 1;
    int error;

    if (!e || is_cached(e, pfn) || quire_zone_frame_state(&e->zone->zone, pfn, &state) ||
        state != QUIRE_FRAME_USED)
        return false;
    error = quire_zone_run_length(&e->zone->zone, pfn, &length);
    return (error == QUIRE_OK || error == QUIRE_ERR_UNSUPPORTED) && length == 1;
}

/* Free up to GATHER frames of several zones, up to the first that does not look good. */
static int free_mixed(const struct machine_reader *r, const quire_pfn pfns[], size_t n,
                      size_t *freed)
{
    const struct machine_entry *entries[GATHER];
    uint64_t left;
    size_t k;

    for (k = 0; k < n && k < GATHER; k++) {
        entries[k] = quire_snapshot_find(r->snapshot, pfns[k]);
        if (!looks_good(entries[k], pfns[k]))
            break;
    }
    left = k == GATHER ? UINT64_MAX : (1ull << k) - 1;
    while (left) {
        const struct machine_entry *e = entries[__builtin_ctzll(left)];
        quire_pfn batch[GATHER];
        size_t members = 0;
        int error;

        for (size_t i = 0; i < k; i++)
            if (left >> i & 1 && entries[i] == e) {
                batch[members++] = pfns[i];
                left &= ~(1ull << i);
            }
        error = free_row(r, e, batch, members, freed);
        if (error)
            return error;
    }
    return QUIRE_OK;
}

/* Free row by row, zone by zone. */
static __attribute__((noinline)) int free_in_rows(struct quire_machine *m, const quire_pfn pfns[],
                                                  size_t n, size_t *freed)
{
    struct machine_reader r;
    int error = QUIRE_OK;

    *freed = 0;
    quire_machine_enter(m, &r);
    while (*freed < n && !error) {
        const quire_pfn *at = pfns + *freed;
        const struct machine_entry *e = quire_snapshot_find(r.snapshot, *at);
        size_t before = *freed, row;

        if (!e) {
            error = QUIRE_ERR_FRAME;
            break;
        }
        row = quire_snapshot_row(r.snapshot, e, at, n - before);
        if (row < n - before && row < WORTH_WHILE)
            error = free_mixed(&r, at, n - before, freed);
        if (*freed == before && !error) /* a row, or the first one of the mixture is bad */
            error = free_row(&r, e, at, row, freed);
    }
    quire_machine_leave(&r);
    return error;
}

int quire_machine_free_batch(struct quire_machine *m, const quire_pfn pfns[], size_t n,
                             size_t *freed)
{
    const struct quire_seat *seat = machine_seat(m);

    if (seat && n > 0 && quire_seat_push_many(seat, pfns, n)) {
        *freed = n;
        return QUIRE_OK;
    }
    return free_in_rows(m, pfns, n, freed);
}

/* ---- Claims --------------------------------------------------------------------------------- */

int quire_machine_claim(struct quire_machine *m, const struct quire_request *request, size_t n,
                        quire_pfn pfns[], struct quire_claim *claim, struct quire_refusal *why)
{
    size_t got;
    int error;

    if (request->flags & QUIRE_PARTIAL)
        return quire_machine_wrong(QUIRE_ERR_UNSUPPORTED, why);
    error = quire_machine_alloc_batch(m, request, n, pfns, &got, why);
    if (error)
        return error;
    claim->pfns = pfns;
    qa_store(left_of(claim), got, relaxed); /* relaxed: the caller shares it as he likes */
    return QUIRE_OK;
}

int quire_claim_take(struct quire_claim *claim, quire_pfn *pfn)
{
    uint64_t left = qa_load(left_of(claim), relaxed); /* relaxed: the exchange decides */

    while (left > 0)
        /* relaxed: see above. A retry follows another caller's success. */
        if (qa_cas(left_of(claim), &left, left - 1, relaxed)) {
            *pfn = claim->pfns[left - 1];
            return QUIRE_OK;
        }
    return QUIRE_ERR_NO_MEMORY;
}

int quire_machine_unclaim(struct quire_machine *m, struct quire_claim *claim)
{
    uint64_t left = qa_xchg(left_of(claim), 0, relaxed); /* relaxed: nobody takes meanwhile */
    size_t freed;

    return quire_machine_free_batch(m, claim->pfns, left, &freed);
}
