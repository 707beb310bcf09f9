/* SPDX-License-Identifier: MIT
 *
 * owners.c - owners of frames: a table beside the machine, for those calls that go by it.
 *
 *   kinds    a byte for each frame: of a run's first frame the kind of its owner, else 0
 *   records  if it tracks, three words for each frame: of a run's first frame order and kind, the
 *            caller, the time
 *   counts   of each CPU, frames by kind: a CPU that frees what another allocated goes below 0, and
 *            the sum is right
 *
 * Why a layer above the machine, and not in it: a hit of the machine is some 40 instructions, and a
 * branch there would be paid by all; and kind and caller are known where the request is made, which
 * is here. Who has a run alone writes its record and its byte, before it hands the run on and
 * before it gives it back; bytes, not halves of them, as a half would want two locked instructions.
 * One is left, on a line of the CPU's own: the count. A free that the machine refuses puts the
 * owner back. Wait-free besides the machine. Any context.
 */
#include "kernel-port/heap/state.h"

enum {
    OWNER_WORDS = 3,
    OWNER_CALLER = 1,
    OWNER_TIME = 2,
    KIND_BITS = 4,
    OWNERS_LINE = 128, /* of a CPU's counts: 16 words */
};

struct owners_plan {
    uint32_t cpus;
    uint64_t kinds_at, records_at, bytes;
};

static int owners_plan_make(const struct quire_owners_config *config, struct owners_plan *plan)
{
    uint64_t frames = config->frames, most = (uint64_t)1 << QUIRE_PFN_BITS;

    plan->cpus = config->cpus ? config->cpus : 1;
    if (frames == 0 || frames > most || config->first.n > most - frames || plan->cpus > QUIRE_CPUS)
        return QUIRE_ERR_SIZE;
    plan->kinds_at = (uint64_t)plan->cpus * OWNERS_LINE;
    plan->records_at = plan->kinds_at + rounded_up(frames, 64);
    plan->bytes = plan->records_at;
    if (config->tracks)
        plan->bytes += rounded_up(frames * OWNER_WORDS * sizeof(uint64_t), 64);
    return plan->bytes > SIZE_MAX / 2 ? QUIRE_ERR_SIZE : 0;
}

int quire_owners_size(const struct quire_owners_config *config, size_t *bytes)
{
    struct owners_plan plan = {0};
    int error = owners_plan_make(config, &plan);

    if (!error)
        *bytes = (size_t)plan.bytes;
    return error;
}

int quire_owners_init(struct quire_owners *owners, const struct quire_owners_config *config,
                      void *memory, size_t bytes)
{
    struct owners_plan plan = {0};
    int error = owners_plan_make(config, &plan);

    if (owners->kinds)
        return QUIRE_ERR_INITIALISED;
    if (error)
        return error;
    if (bytes < plan.bytes)
        return QUIRE_ERR_SIZE;
    if ((uintptr_t)memory % 64)
        return QUIRE_ERR_ALIGN;
    __builtin_memset(memory, 0, (size_t)plan.bytes);
    owners->config = *config;
    owners->config.cpus = plan.cpus;
    owners->counts = (unsigned char *)memory;
    owners->kinds = owners->counts + (size_t)plan.kinds_at;
    if (config->tracks) {
        void *records = owners->counts + (size_t)plan.records_at;

        owners->records = (uint64_t *)records;
    }
    return 0;
}

/* The place of a frame in the table; false: it has none. */
static bool owner_place(const struct quire_owners *owners, quire_pfn pfn, uint64_t *place)
{
    *place = pfn.n - owners->config.first.n;
    return *place < owners->config.frames;
}

static qa64 *owner_record(const struct quire_owners *owners, uint64_t place)
{
    void *records = owners->records;

    return (qa64 *)records + (size_t)place * OWNER_WORDS;
}

static qa8 *kind_of(const struct quire_owners *owners, uint64_t place)
{
    void *kinds = owners->kinds;

    return (qa8 *)kinds + (size_t)place;
}

static void kind_count(const struct quire_owners *owners, uint32_t kind, uint64_t frames)
{
    uint32_t cpu = owners->config.cpu ? owners->config.cpu(owners->config.ctx) : 0;
    void *counts = owners->counts + (size_t)(cpu < owners->config.cpus ? cpu : 0) * OWNERS_LINE;

    (void)qa_add((qa64 *)counts + kind, frames, relaxed); /* relaxed: a figure */
}

static void owner_write(const struct quire_owners *owners, uint64_t place, unsigned order,
                        uint32_t kind, uint64_t caller)
{
    if (owners->records) {
        qa64 *record = owner_record(owners, place);

        qa_store(record + OWNER_CALLER, caller, relaxed); /* relaxed: a figure */
        qa_store(record + OWNER_TIME,                     /* relaxed: a figure */
                 owners->config.clock ? owners->config.clock(owners->config.ctx) : 0, relaxed);
        qa_store(record, order << KIND_BITS | kind, release); /* E-owner release: the rest of it */
    }
    qa_store(kind_of(owners, place), (uint8_t)kind, relaxed); /* relaxed: the caller's */
    kind_count(owners, kind, (uint64_t)1 << order);
}

int quire_owners_request(struct quire_owners *owners, const struct quire_request *request,
                         enum quire_kind kind, uint64_t caller, quire_pfn *pfn,
                         struct quire_refusal *why)
{
    uint64_t place;
    int error;

    if (!owners->config.machine)
        return QUIRE_ERR_STATE;
    if ((unsigned)kind >= QUIRE_KINDS)
        return QUIRE_ERR_SIZE;
    error = quire_machine_request(owners->config.machine, request, pfn, why);
    if (owners->kinds && !error && kind != QUIRE_KIND_NONE && owner_place(owners, *pfn, &place))
        owner_write(owners, place, request->order, kind,
                    caller ? caller : (uint64_t)(uintptr_t)__builtin_return_address(0));
    return error;
}

int quire_owners_free(struct quire_owners *owners, quire_pfn pfn, unsigned order)
{
    uint64_t place, record = 0;
    uint8_t kind;
    int error;

    if (!owners->kinds || !owner_place(owners, pfn, &place))
        return owners->config.machine ? quire_machine_free(owners->config.machine, pfn, order)
                                      : QUIRE_ERR_STATE;
    kind = qa_load(kind_of(owners, place), relaxed); /* relaxed: the caller's */
    if (!kind)
        return quire_machine_free(owners->config.machine, pfn, order);
    if (owners->records) {
        record = qa_load(owner_record(owners, place), relaxed); /* relaxed: the caller's */
        qa_store(owner_record(owners, place), 0, relaxed);      /* relaxed: the caller's */
    }
    qa_store(kind_of(owners, place), 0, relaxed); /* relaxed: the caller's; the machine orders it */
    error = quire_machine_free(owners->config.machine, pfn, order);
    if (!error) {
        kind_count(owners, kind, 0 - ((uint64_t)1 << order));
        return 0;
    }
    if (owners->records)
        /* E-owner release: as it was */
        qa_store(owner_record(owners, place), record, release);
    qa_store(kind_of(owners, place), kind, relaxed); /* relaxed: as it was */
    return error;
}

/* ---- Reports ------------------------------------------------------------------------------- */

int quire_owners_count(const struct quire_owners *owners, enum quire_kind kind, uint64_t *frames)
{
    uint64_t sum = 0;

    if (!owners->kinds)
        return QUIRE_ERR_STATE;
    if ((unsigned)kind >= QUIRE_KINDS)
        return QUIRE_ERR_SIZE;
    for (uint32_t cpu = 0; cpu < owners->config.cpus; cpu++) {
        void *counts = owners->counts + (size_t)cpu * OWNERS_LINE;

        sum += qa_load((qa64 *)counts + (unsigned)kind, relaxed); /* relaxed: a figure */
    }
    *frames = sum;
    return 0;
}

/* What begins at a frame; its frames, 0: nothing. */
static uint64_t owner_read(const struct quire_owners *owners, uint64_t place,
                           struct quire_holding *holding)
{
    uint8_t kind = qa_load(kind_of(owners, place), relaxed); /* relaxed: a figure */
    uint64_t frames = 1;

    if (!kind)
        return 0;
    holding->pfn = quire_pfn_of(owners->config.first.n + place);
    holding->tag = kind;
    if (owners->records) {
        const qa64 *record = owner_record(owners, place);
        uint64_t v = qa_load(record, acquire); /* E-owner acquire: the rest of it */

        if (!v)
            return 0;
        frames = (uint64_t)1 << (v >> KIND_BITS);
        holding->caller = qa_load(record + OWNER_CALLER, relaxed); /* relaxed: a figure */
        holding->since = qa_load(record + OWNER_TIME, relaxed);    /* relaxed: a figure */
    }
    holding->bytes = frames << QUIRE_FRAME_SHIFT;
    return frames;
}

/* The head of a run that reaches into the frame, as a place; else the frame's own. */
static uint64_t owner_head(const struct quire_owners *owners, uint64_t place)
{
    uint64_t pfn = owners->config.first.n + place;

    for (unsigned order = 1; owners->records && order <= QUIRE_MAX_ORDER; order++) {
        struct quire_holding holding = {0};
        uint64_t head;

        if (owner_place(owners, quire_pfn_of(pfn & ~(((uint64_t)1 << order) - 1)), &head) &&
            head < place && owner_read(owners, head, &holding) > place - head)
            return head;
    }
    return place;
}

int quire_owners_walk(const struct quire_owners *owners, struct quire_run range,
                      quire_holding_visit *visit, void *ctx)
{
    uint64_t first = owners->config.first.n, frames = owners->config.frames, place, end;
    int result = 0;

    if (!owners->kinds)
        return QUIRE_ERR_STATE;
    place = range.pfn.n > first ? range.pfn.n - first : 0;
    end = range.frames > UINT64_MAX - range.pfn.n ? UINT64_MAX : range.pfn.n + range.frames;
    end = end < first ? 0 : end - first;
    end = end < frames ? end : frames;
    for (place = place < end ? owner_head(owners, place) : end; place < end && !result; place++) {
        struct quire_holding holding = {0};

        if (owner_read(owners, place, &holding))
            result = visit(ctx, &holding);
    }
    return result;
}
