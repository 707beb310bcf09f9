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
 * them back if they do not suffice. A free takes all frames back from their owner, by their bytes,
 * before it frees the first: so a bad one, or one that is there twice, is found while the others
 * can be given back to their owner, and nothing has changed. The list is handed to the first
 * frame's zone, which does the same; its maps refuse frames of others, for it they are holes, and
 * then the zones are told apart. Two frees of one frame at the same instant come to what
 * core/frame_byte.h says (R).
 *
 * Lock-free, any context.
 */
#include "core/frame_byte.h"
#include "core/internal.h"
#include "numa/machine/machine.h"

enum {
    GATHER_FRAMES = 64, /* frames of different zones that are gathered */
    MIN_ROW = 8,        /* frames of one zone in a row that go by themselves */
};

/* ---- Allocation ----------------------------------------------------------------------------- */

/* Up to n frames of a zone. */
static int take_batch(const struct machine_reader *r, const struct machine_entry *e,
                      const struct quire_request *request, size_t n, quire_pfn pfns[], size_t *got)
{
    return quire_zone_alloc_batch(&e->zone->zone, entry_slot(e, r->cpu),
                                  qi_entry_flags(r, e, request) | QUIRE_PARTIAL, n, pfns, got);
}

static int ask_batch(const struct machine_reader *r, const struct machine_entry *e, bool first,
                     struct machine_attempt *a)
{
    size_t got = 0;
    int error = take_batch(r, e, a->request, a->n - a->got, a->pfns + a->got, &got);

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

/* What the first zone of the walk gave of a plain batch. */
struct first_part {
    size_t got;
    const struct machine_zone *refused; /* it has no more: the ladder is not to ask it first */
};

/* Ask the first zone of the walk of a plain batch. Did it give all? */
static bool batch_from_first(struct quire_machine *m, uint32_t cpu,
                             const struct quire_request *request, size_t n, quire_pfn pfns[],
                             struct first_part *part)
{
    const struct machine_entry *e;
    struct machine_reader r;
    quire_node own;
    int error = QUIRE_ERR_NO_MEMORY;

    machine_enter_on(m, cpu, &r);
    own = node_of_cpu(r.snapshot, r.cpu);
    e = first_of_walk(&r, request->near_node.n ? request_node(request) : own);
    if (e)
        error = take_batch(&r, e, request, n, pfns, &part->got);
    if (part->got == n)
        count_hit(&r, e->zone->node, e->zone->node.n == own.n, n);
    else if (e && (error == QUIRE_OK || error == QUIRE_ERR_NO_MEMORY))
        part->refused = e->zone;
    machine_leave(&r);
    return part->got == n;
}

/* The ladder, for what the first zone did not give. */
static __attribute__((__noinline__)) int climb_batch(struct quire_machine *m, uint32_t cpu,
                                                     const struct quire_request *request, size_t n,
                                                     quire_pfn pfns[],
                                                     const struct first_part *part, size_t *got,
                                                     struct quire_refusal *why)
{
    struct machine_attempt a = {.ask = ask_batch,
                                .cpu = cpu,
                                .request = request,
                                .frames = n,
                                .pfns = pfns,
                                .refused = part->refused,
                                .refusal = QUIRE_ERR_NO_MEMORY,
                                .n = n,
                                .got = part->got};
    int error;

    if (qi_policy_interleaves(m, request)) {
        error = serve_interleaved(m, &a, why);
    } else {
        error = qi_machine_serve(m, &a, why);
        if (!error)
            count_batch_served(m, &a);
    }
    if (!error)
        *got = a.got;
    else if (a.got)
        (void)quire_machine_free_batch(m, pfns, a.got, NULL);
    return error;
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
    struct first_part part = {0, NULL};
    uint32_t cpu = machine_cpu_now(m);

    if (request->order != 0 || n == 0)
        return qi_machine_refuse(QUIRE_ERR_SIZE, why);
    if (request->flags & ~(MACHINE_ALLOC_FLAGS | (uint32_t)QUIRE_PARTIAL))
        return qi_machine_refuse(QUIRE_ERR_UNSUPPORTED, why);
    if (batch_from_view(machine_view_of(m, cpu), request, n, pfns) ||
        (!request->policy && request->purpose == QUIRE_FOR_NORMAL &&
         batch_from_first(m, cpu, request, n, pfns, &part))) {
        *got = n;
        return QUIRE_OK;
    }
    return climb_batch(m, cpu, request, n, pfns, &part, got, why);
}

/* ---- Free ----------------------------------------------------------------------------------- */

/* Why a frame that is nothing to take back may not be freed as a single one, as far as its zone's
 * maps show now. One that they show allocated lies in a cache, or was named before. */
static int single_free_error(const struct quire_zone *z, quire_pfn pfn)
{
    enum quire_frame_state state = QUIRE_FRAME_HOLE;
    uint64_t length = 1;
    int error;

    (void)quire_zone_frame_state(z, pfn, &state);
    switch (state) {
    case QUIRE_FRAME_USED:
        error = quire_zone_run_length(z, pfn, &length);
        return !error && length > 1 ? QUIRE_ERR_ORDER : QUIRE_ERR_DOUBLE_FREE;
    case QUIRE_FRAME_INSIDE:
        return QUIRE_ERR_ORDER;
    case QUIRE_FRAME_FREE:
    case QUIRE_FRAME_ISOLATED:
        return QUIRE_ERR_DOUBLE_FREE;
    default:
        return QUIRE_ERR_FRAME;
    }
}

/* The byte of a frame (core/frame_byte.h), or NULL: no zone has it. */
static qa8 *frame_byte_of(const struct machine_reader *r, quire_pfn pfn)
{
    const struct machine_entry *e = qi_snapshot_find(r->snapshot, pfn);
    uint64_t frame = e ? frame_of_pfn(&e->zone->zone, pfn) : NO_FRAME;

    return frame == NO_FRAME ? NULL : byte_of_frame(&e->zone->zone, frame);
}

/* Take single frames of any zones back from their owner: all, or none and *bad is the place of the
 * first that was not handed out as one, or is there for the second time. */
static int take_back_frames(const struct machine_reader *r, const quire_pfn pfns[], size_t n,
                            size_t *bad)
{
    const struct machine_entry *e;
    int error;
    size_t i;

    for (i = 0; i < n; i++) {
        qa8 *byte = frame_byte_of(r, pfns[i]);

        if (!byte || !byte_clear(byte, BYTE_SINGLE))
            break;
    }
    if (i == n)
        return QUIRE_OK;
    *bad = i;
    while (i-- > 0)
        byte_restore(frame_byte_of(r, pfns[i]), BYTE_SINGLE);
    e = qi_snapshot_find(r->snapshot, pfns[*bad]);
    if (!e)
        return QUIRE_ERR_FRAME;
    error = single_free_error(&e->zone->zone, pfns[*bad]);
    return qi_zone_report_bad_free(&e->zone->zone, entry_slot(e, r->cpu), pfns[*bad], error);
}

/* Free frames of one zone that were taken back. */
static void flush_row(const struct machine_reader *r, const struct machine_entry *e,
                      const quire_pfn pfns[], size_t n)
{
    (void)qi_frames_flush(&e->zone->zone, entry_slot(e, r->cpu), pfns, n);
}

/* The same for up to GATHER_FRAMES frames of several zones. */
static __attribute__((__noinline__)) void flush_mixed(const struct machine_reader *r,
                                                      const quire_pfn pfns[], size_t n)
{
    const struct machine_entry *const entries = r->snapshot->entries;
    uint32_t of[GATHER_FRAMES]; /* the zone of each frame, as its place in entries[] */
    uint64_t left = n == GATHER_FRAMES ? UINT64_MAX : (1ull << n) - 1;

    for (size_t i = 0; i < n; i++)
        of[i] = (uint32_t)(qi_snapshot_find(r->snapshot, pfns[i]) - entries);
    while (left) {
        uint32_t zone = of[word_first(left)];
        quire_pfn batch[GATHER_FRAMES];
        size_t members = 0;

        for (size_t i = 0; i < n; i++)
            if (left >> i & 1 && of[i] == zone) {
                batch[members++] = pfns[i];
                left &= ~(1ull << i);
            }
        flush_row(r, &entries[zone], batch, members);
    }
}

/* Free frames of several zones that were taken back. */
static void flush_frames(const struct machine_reader *r, const quire_pfn pfns[], size_t n)
{
    for (size_t i = 0, some; i < n; i += some) {
        const struct machine_entry *e = qi_snapshot_find(r->snapshot, pfns[i]);

        some = qi_snapshot_row(r->snapshot, e, pfns + i, n - i);
        if (some == n - i || some >= MIN_ROW) {
            flush_row(r, e, pfns + i, some);
        } else {
            some = n - i < GATHER_FRAMES ? n - i : GATHER_FRAMES;
            flush_mixed(r, pfns + i, some);
        }
    }
}

/* Free frames that are not all good ones of the zone of `e`, the first one's, or NULL: those of
 * each zone apart. */
static __attribute__((__noinline__)) int free_apart(const struct machine_reader *r,
                                                    const struct machine_entry *e,
                                                    const quire_pfn pfns[], size_t n, size_t *bad)
{
    int error;

    if (e && qi_snapshot_row(r->snapshot, e, pfns, n) == n)
        return quire_zone_free_batch(&e->zone->zone, entry_slot(e, r->cpu), pfns, n, bad);
    error = take_back_frames(r, pfns, n, bad);
    if (!error)
        flush_frames(r, pfns, n);
    return error;
}

/* Free frames of any zones, past the magazines: all of them or none. */
static __attribute__((__noinline__)) int free_all_or_none(struct quire_machine *m, uint32_t cpu,
                                                          const quire_pfn pfns[], size_t n,
                                                          size_t *bad)
{
    const struct machine_entry *e;
    struct machine_reader r;
    int error;

    machine_enter_on(m, cpu, &r);
    e = qi_snapshot_find(r.snapshot, pfns[0]);
    if (!e || !qi_zone_free_own_batch(&e->zone->zone, entry_slot(e, r.cpu), pfns, n, bad, &error))
        error = free_apart(&r, e, pfns, n, bad);
    machine_leave(&r);
    return error;
}

int quire_machine_free_batch(struct quire_machine *m, const quire_pfn pfns[], size_t n, size_t *bad)
{
    uint32_t cpu = machine_cpu_now(m);
    const struct cpu_view *view = machine_view_of(m, cpu);
    size_t unwanted;

    if (n == 0)
        return QUIRE_ERR_SIZE;
    if (qi_view_push_batch(view, pfns, n))
        return QUIRE_OK;
    return free_all_or_none(m, cpu, pfns, n, bad ? bad : &unwanted);
}
