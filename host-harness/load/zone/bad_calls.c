/* SPDX-License-Identifier: MIT
 *
 * bad_calls.c - calls of `quire run` that must be refused, each with one error. They change
 * nothing, which shows when the run that they were about is freed in the ordinary way later.
 *
 * Only what is wrong whatever the other threads do: frames that the thread holds itself, that are
 * reserved for good, or that do not exist. (A frame freed a moment ago may be another's already:
 * freeing it once more is tried with one thread only.)
 *
 * State: none. Each function makes one bad call about `held`, a run of order 1 or more that the
 * thread holds, or about no run at all. Called by the worker's thread.
 */
#include "zone.h"

typedef void bad_call(struct worker *w, uint32_t z, const struct held_run *held);

enum { DUPLICATES = 8 };

static unsigned order_of(const struct held_run *held)
{
    return (unsigned)__builtin_ctz(held->frames);
}

static int free_at(const struct worker *w, uint32_t z, uint64_t pfn, unsigned order)
{
    return quire_zone_free(zone_of(w, z), zone_slot(w), quire_pfn_of(pfn), order);
}

static int alloc(const struct worker *w, uint32_t z, unsigned order, uint32_t flags)
{
    quire_pfn pfn;

    return quire_zone_alloc(zone_of(w, z), zone_slot(w), order, flags, &pfn);
}

static int alloc_contig(const struct worker *w, uint32_t z, struct quire_contig want)
{
    quire_pfn pfn;

    return quire_zone_alloc_contig(zone_of(w, z), zone_slot(w), &want, 0, &pfn);
}

/* ---- One call each --------------------------------------------------------------------------- */

/* Make the call, which gives an error, and compare. */
#define REFUSED(what, wanted, call)                \
    do {                                           \
        uint64_t begun = call_begin(w);            \
        int got = (call);                          \
                                                   \
        call_end(w, CALL_REFUSED, begun);          \
        call_refused(w, z, (what), got, (wanted)); \
    } while (0)

/* A bad call that is one expression. */
#define BAD_CALL(name, what, wanted, call)                                      \
    static void name(struct worker *w, uint32_t z, const struct held_run *held) \
    {                                                                           \
        (void)held;                                                             \
        REFUSED(what, wanted, call);                                            \
    }

BAD_CALL(misaligned, "free at an address not aligned to the order", QUIRE_ERR_ALIGN,
         free_at(w, z, held->pfn + 1, order_of(held)))
BAD_CALL(first_half, "free of the first half of a run", QUIRE_ERR_ORDER,
         free_at(w, z, held->pfn, order_of(held) - 1))
BAD_CALL(second_half, "free of the second half of a run", QUIRE_ERR_ORDER,
         free_at(w, z, held->pfn + held->frames / 2, order_of(held) - 1))
BAD_CALL(inside, "free_any inside a run", QUIRE_ERR_ORDER,
         quire_zone_free_any(zone_of(w, z), zone_slot(w), quire_pfn_of(held->pfn + 1)))
BAD_CALL(too_short, "free_contig of a run but its last frame", QUIRE_ERR_ORDER,
         quire_zone_free_contig(zone_of(w, z), zone_slot(w), quire_pfn_of(held->pfn),
                                held->frames - 1))
BAD_CALL(order_too_large, "free with an order out of range", QUIRE_ERR_SIZE,
         free_at(w, z, held->pfn, QUIRE_MAX_ORDER + 1))
BAD_CALL(no_such_slot, "free in a slot out of range", QUIRE_ERR_SIZE,
         quire_zone_free(zone_of(w, z), quire_slot_of(w->load->options.threads),
                         quire_pfn_of(held->pfn), order_of(held)))
BAD_CALL(reserve_own, "reserve of a held run", QUIRE_ERR_BUSY,
         quire_zone_reserve(zone_of(w, z), zone_slot(w), quire_pfn_of(held->pfn), held->frames))
BAD_CALL(unreserve_own, "unreserve of a held run", QUIRE_ERR_FRAME,
         quire_zone_unreserve(zone_of(w, z), zone_slot(w), quire_pfn_of(held->pfn), held->frames))
BAD_CALL(split_with_order, "split with the order of the run's half", QUIRE_ERR_ORDER,
         quire_zone_split(zone_of(w, z), zone_slot(w), quire_pfn_of(held->pfn), order_of(held) - 1))
BAD_CALL(join_inside, "join of frames that do not start a block", QUIRE_ERR_ALIGN,
         quire_zone_join(zone_of(w, z), zone_slot(w), quire_pfn_of(held->pfn | 1)))
BAD_CALL(nowhere, "free of a frame beyond all memory", QUIRE_ERR_FRAME,
         free_at(w, z, UINT64_MAX >> 1, 0))
BAD_CALL(unknown_flag, "alloc with an unknown flag", QUIRE_ERR_UNSUPPORTED,
         alloc(w, z, 0, 1u << 31))
BAD_CALL(alloc_too_large, "alloc with an order out of range", QUIRE_ERR_SIZE,
         alloc(w, z, QUIRE_MAX_ORDER + 1, 0))
BAD_CALL(contig_align, "alloc_contig with an alignment of 12 KiB", QUIRE_ERR_ALIGN,
         alloc_contig(w, z, (struct quire_contig){.frames = 3, .align = 3 * QUIRE_FRAME_SIZE}))
BAD_CALL(contig_boundary, "alloc_contig of 12 KiB within a boundary of 8 KiB", QUIRE_ERR_SIZE,
         alloc_contig(w, z, (struct quire_contig){.frames = 3, .boundary = 2 * QUIRE_FRAME_SIZE}))

/* ---- Those that take more than one ----------------------------------------------------------- */

/* The count is debited first, and may not suffice at the moment. */
static void at_own(struct worker *w, uint32_t z, const struct held_run *held)
{
    uint64_t begun = call_begin(w);
    int got = quire_zone_alloc_at(zone_of(w, z), zone_slot(w), quire_pfn_of(held->pfn),
                                  order_of(held), QUIRE_EMERGENCY);

    call_end(w, CALL_REFUSED, begun);
    call_refused(w, z, "alloc_at of a held run", got,
                 got == QUIRE_ERR_NO_MEMORY ? QUIRE_ERR_NO_MEMORY : QUIRE_ERR_BUSY);
}

static void reserved(struct worker *w, uint32_t z, const struct held_run *held)
{
    uint64_t pfn = w->load->zones[z].reserved_pfn;

    (void)held;
    if (pfn != UINT64_MAX)
        REFUSED("free of a reserved frame", QUIRE_ERR_FRAME, free_at(w, z, pfn, 0));
}

static void hole(struct worker *w, uint32_t z, const struct held_run *held)
{
    uint64_t pfn = w->load->zones[z].hole_pfn;

    (void)held;
    if (pfn != UINT64_MAX)
        REFUSED("free of a frame that is no memory", QUIRE_ERR_FRAME, free_at(w, z, pfn, 0));
}

/* A batch of single frames and a bad one: `bad`, or for UINT64_MAX the first once more. */
static void batch_with(struct worker *w, uint32_t z, const char *what, uint64_t bad, int wanted)
{
    const struct request request = {.call = quire_request_of(0, QUIRE_MOVABLE | QUIRE_PARTIAL),
                                    .list = z};
    struct held_run singles[LOAD_BATCH];
    quire_pfn pfns[DUPLICATES + 1];
    size_t place = SIZE_MAX;
    uint32_t count = call_alloc_batch(w, &request, singles);

    if (count >= DUPLICATES) {
        for (unsigned i = 0; i < DUPLICATES; i++)
            pfns[i] = quire_pfn_of(singles[i].pfn);
        pfns[DUPLICATES] = bad == UINT64_MAX ? pfns[0] : quire_pfn_of(bad);
        REFUSED(what, wanted,
                quire_zone_free_batch(zone_of(w, z), zone_slot(w), pfns, DUPLICATES + 1, &place));
        w->checks[CHECK_ANSWERS]++;
        if (place != DUPLICATES && !(bad == UINT64_MAX && place == 0))
            load_violation(w->load, "%s in zone %u: place %zu was called bad", what, z, place);
    }
    if (count > 0)
        call_free_batch(w, z, singles, count);
}

static void twice_in_batch(struct worker *w, uint32_t z, const struct held_run *held)
{
    (void)held;
    batch_with(w, z, "free_batch with a frame named twice", UINT64_MAX, QUIRE_ERR_DOUBLE_FREE);
}

static void part_in_batch(struct worker *w, uint32_t z, const struct held_run *held)
{
    batch_with(w, z, "free_batch with a part of a run", held->pfn + 1, QUIRE_ERR_ORDER);
}

static void pair_as_run(struct worker *w, uint32_t z, const struct held_run *held)
{
    zone_split(w, z, held);
    REFUSED("free of single frames as one run", QUIRE_ERR_ORDER,
            free_at(w, z, held->pfn, order_of(held)));
    for (uint32_t i = 0; i < held->frames; i++) {
        struct held_run single = {held->pfn + i, 1, held->tag, false};

        call_free(w, z, &single, 0x10);
    }
}

/* With one thread only: no other can have got the run in between. */
static void twice(struct worker *w, uint32_t z, const struct held_run *held)
{
    call_free(w, z, held, 0x10);
    REFUSED("free of a run that was freed", QUIRE_ERR_DOUBLE_FREE,
            free_at(w, z, held->pfn, order_of(held)));
}

/* ---- Choosing -------------------------------------------------------------------------------- */

/* Those before KEEPING leave the run to be kept; the others free it; the last is for one thread. */
static bad_call *const calls[] = {
    misaligned,
    first_half,
    second_half,
    inside,
    too_short,
    order_too_large,
    no_such_slot,
    at_own,
    reserve_own,
    unreserve_own,
    split_with_order,
    reserved,
    hole,
    nowhere,
    unknown_flag,
    alloc_too_large,
    contig_align,
    contig_boundary,
    twice_in_batch,
    part_in_batch,
    join_inside,
    pair_as_run,
    twice,
};
enum { CALLS = sizeof(calls) / sizeof(calls[0]), KEEPING = CALLS - 2 };

void zone_bad_call(struct worker *w, const struct operation *op)
{
    struct request r = op->request;
    unsigned order = 1 + r.call.order % (LOAD_ORDERS - 1);
    unsigned which = (unsigned)(op->a % (w->load->options.threads == 1 ? CALLS : CALLS - 1));
    struct held_run held;

    if ((op->a >> 32 & 7) == 0) /* more than the distribution has: they take other paths */
        order = 1 + (unsigned)(op->a >> 35) % (LOAD_ORDERS - 1);
    r.call.order = order;
    held_make_room(w, r.list, 1ULL << order, 1, op->b);
    if (!call_alloc(w, &r, &held))
        return;
    calls[which](w, r.list, &held);
    if (which < KEEPING)
        held_keep(w, r.list, &held);
}
