/* SPDX-License-Identifier: MIT
 *
 * batch.c - batches: many single frames at once.
 *
 * A batch that one magazine of the CPU can take or serve as a whole is a hit (percpu/batch.c).
 * Any other allocation goes up the ladder of slowpath.c, past the magazines. An interleaving policy
 * gives each node as many frames as single requests would have given it. Any other free goes to the
 * zones: frames of one zone in a row are freed together; where zones alternate, up to GATHER_FRAMES
 * frames are gathered by zone first.
 *
 * A batch is no transaction beside others: an allocation takes its frames zone by zone, and gives
 * them back if they do not suffice; a free ends at the first bad frame, and those before it are
 * free.
 *
 * Lock-free, any context.
 */
#include "numa/machine/machine.h"

enum {
    GATHER_FRAMES = 64, /* frames of different zones that are gathered */
    MIN_ROW = 8,        /* frames of one zone in a row that go by themselves */
};

/* ---- Allocation ----------------------------------------------------------------------------- */

static int ask_batch(const struct machine_reader *r, const struct machine_entry *e, bool first,
                     struct machine_attempt *a)
{
    size_t got = 0;
    int error = quire_zone_alloc_batch(&e->zone->zone, qi_entry_slot(e, r->cpu),
                                       qi_entry_flags(r, e, a->request) | QUIRE_PARTIAL,
                                       a->n - a->got, a->pfns + a->got, &got);

    (void)first; /* a batch goes past the magazines */
    if (error)
        return error;
    a->got += got;
    qi_assert(a->got <= a->n);
    return a->got == a->n ? QUIRE_OK : QUIRE_ERR_NO_MEMORY;
}

/* Count what a part of a batch got, zone by zone. */
static void count_batch_served(struct quire_machine *m, const struct machine_attempt *a)
{
    struct machine_reader r;

    qi_machine_enter_on(m, a->cpu, &r);
    for (size_t i = 0, k; i < a->got; i += k) {
        const struct machine_entry *e = qi_snapshot_find(r.snapshot, a->pfns[i]);

        k = e ? qi_snapshot_row(r.snapshot, e, a->pfns + i, a->got - i) : 1;
        if (e)
            qi_machine_count_served(&r, a, e->zone->node, k);
    }
    qi_machine_leave(&r);
}

/* How many frames of an interleaved batch are the node's, and a turn of that node. */
static uint64_t node_share(struct quire_machine *m, const struct machine_attempt *whole,
                           uint32_t node, uint64_t *turn)
{
    struct machine_reader r;
    uint64_t n;

    qi_machine_enter_on(m, whole->cpu, &r);
    n = qi_policy_share(&r, whole->request, whole->turn, whole->n, quire_node_of(node), turn);
    qi_machine_leave(&r);
    return n;
}

/* Does a batch continue after one node is depleted? Under a strict interleaving policy each frame
 * may come from its own node alone; single requests would still get the other nodes' frames. */
static bool batch_continues(const struct quire_machine *m, const struct quire_request *request,
                            int error)
{
    return qi_policy_strict(m, request) && request->flags & QUIRE_PARTIAL && is_depleted(error);
}

/* Count what a batch of an interleaving policy got, by the node whose turn it was. */
static void count_interleaved(struct quire_machine *m, const struct machine_attempt *whole,
                              const size_t parts[QUIRE_NODES])
{
    struct machine_attempt part = *whole;

    part.interleaved = true;
    for (uint32_t node = 0; node < QUIRE_NODES; node++) {
        part.wanted = quire_node_of(node);
        part.got = parts[node];
        count_batch_served(m, &part);
        part.pfns += parts[node];
    }
}

/* A batch of an interleaving policy, node by node. If the set of nodes changes meanwhile, a node
 * may give less than its share, and the last one more. */
static int serve_interleaved(struct quire_machine *m, struct machine_attempt *whole,
                             struct quire_refusal *why)
{
    size_t parts[QUIRE_NODES] = {0}, left = whole->n; /* frames that no node was asked for */
    struct machine_attempt part;
    struct quire_refusal refusal;
    uint32_t last = 0; /* a node with a share, for which the rest is counted */
    int error = QUIRE_OK;

    whole->turn = qi_policy_draw(m, whole->cpu, whole->request, whole->n);
    for (uint32_t node = 0; node < QUIRE_NODES && left > 0; node++) {
        int refused = QUIRE_OK;

        part = *whole;
        part.pfns += whole->got;
        part.got = 0;
        part.n = (size_t)node_share(m, whole, node, &part.turn);
        last = part.n ? node : last;
        if (node == QUIRE_NODES - 1 || part.n > left)
            part.n = (size_t)left;
        part.frames = part.n;
        left -= part.n;
        if (part.n)
            refused = qi_machine_serve(m, &part, &refusal);
        parts[last] += part.got;
        whole->got += part.got;
        if (refused && !error && why)
            *why = refusal;
        error = error ? error : refused;
        if (refused && !batch_continues(m, whole->request, refused))
            break;
    }
    if (error && !(whole->got && whole->request->flags & QUIRE_PARTIAL))
        return error;
    count_interleaved(m, whole, parts);
    return QUIRE_OK;
}

static bool batch_from_view(const struct cpu_view *view, const struct quire_request *request,
                            size_t n, quire_pfn pfns[])
{
    return view_serves_request(view, request) &&
           !(request->flags & ~(CACHE_HIT_FLAGS | (uint32_t)QUIRE_PARTIAL)) &&
           qi_view_pop_batch(view, request->flags & QUIRE_MOVABLE, pfns, n);
}

int quire_machine_alloc_batch(struct quire_machine *m, const struct quire_request *request,
                              size_t n, quire_pfn pfns[], size_t *got, struct quire_refusal *why)
{
    struct machine_attempt a = {.ask = ask_batch,
                                .cpu = machine_cpu_now(m),
                                .request = request,
                                .pfns = pfns,
                                .frames = n,
                                .n = n};
    int error;

    if (request->order != 0 || n == 0)
        return qi_machine_refuse(QUIRE_ERR_SIZE, why);
    if (request->flags & ~(MACHINE_ALLOC_FLAGS | (uint32_t)QUIRE_PARTIAL))
        return qi_machine_refuse(QUIRE_ERR_UNSUPPORTED, why);
    if (batch_from_view(machine_view_of(m, a.cpu), request, n, pfns)) {
        *got = n;
        return QUIRE_OK;
    }
    if (qi_policy_interleaves(m, request)) {
        error = serve_interleaved(m, &a, why);
    } else {
        error = qi_machine_serve(m, &a, why);
        if (!error)
            count_batch_served(m, &a);
    }
    if (error) {
        (void)quire_machine_free_batch(m, pfns, a.got, &n);
        return error;
    }
    *got = a.got;
    return QUIRE_OK;
}

/* ---- Free ----------------------------------------------------------------------------------- */

/* Free frames of one zone in a row, up to the first bad one. */
static int free_row(const struct machine_reader *r, const struct machine_entry *e,
                    const quire_pfn pfns[], size_t n, size_t *freed)
{
    quire_slot slot = qi_entry_slot(e, r->cpu);
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

/* Was this frame handed out as a single one, as its byte tells now? */
static bool looks_freeable(const struct machine_entry *e, quire_pfn pfn)
{
    const struct quire_zone *z = e ? &e->zone->zone : NULL;
    uint64_t frame = e ? frame_of_pfn(z, pfn) : NO_FRAME;

    return frame != NO_FRAME && byte_read(byte_of_frame(z, frame)) == BYTE_SINGLE;
}

/* Free up to GATHER_FRAMES frames of several zones, up to the first that does not look freeable. */
static int free_mixed(const struct machine_reader *r, const quire_pfn pfns[], size_t n,
                      size_t *freed)
{
    const struct machine_entry *const entries = r->snapshot->entries;
    uint32_t of[GATHER_FRAMES]; /* the zone of each frame, as its place in entries[] */
    uint64_t left;
    size_t k;

    for (k = 0; k < n && k < GATHER_FRAMES; k++) {
        const struct machine_entry *e = qi_snapshot_find(r->snapshot, pfns[k]);

        if (!looks_freeable(e, pfns[k]))
            break;
        of[k] = (uint32_t)(e - entries);
    }
    left = k == GATHER_FRAMES ? UINT64_MAX : (1ull << k) - 1;
    while (left) {
        uint32_t zone = of[word_first(left)];
        quire_pfn batch[GATHER_FRAMES];
        size_t members = 0;
        int error;

        for (size_t i = 0; i < k; i++)
            if (left >> i & 1 && of[i] == zone) {
                batch[members++] = pfns[i];
                left &= ~(1ull << i);
            }
        error = free_row(r, &entries[zone], batch, members, freed);
        if (error)
            return error;
    }
    return QUIRE_OK;
}

/* Free row by row, zone by zone. */
static __attribute__((__noinline__)) int free_by_rows(struct quire_machine *m, uint32_t cpu,
                                                      const quire_pfn pfns[], size_t n,
                                                      size_t *freed)
{
    struct machine_reader r;
    int error = QUIRE_OK;

    *freed = 0;
    qi_machine_enter_on(m, cpu, &r);
    while (*freed < n && !error) {
        const quire_pfn *at = pfns + *freed;
        const struct machine_entry *e = qi_snapshot_find(r.snapshot, *at);
        size_t before = *freed, row;

        if (!e) {
            error = QUIRE_ERR_FRAME;
            break;
        }
        row = qi_snapshot_row(r.snapshot, e, at, n - before);
        if (row < n - before && row < MIN_ROW)
            error = free_mixed(&r, at, n - before, freed);
        if (*freed == before && !error) /* a row, or the first frame is bad */
            error = free_row(&r, e, at, row, freed);
    }
    qi_machine_leave(&r);
    return error;
}

int quire_machine_free_batch(struct quire_machine *m, const quire_pfn pfns[], size_t n,
                             size_t *freed)
{
    uint32_t cpu = machine_cpu_now(m);
    const struct cpu_view *view = machine_view_of(m, cpu);

    if (view && n > 0 && qi_view_push_batch(view, pfns, n)) {
        *freed = n;
        return QUIRE_OK;
    }
    return free_by_rows(m, cpu, pfns, n, freed);
}
