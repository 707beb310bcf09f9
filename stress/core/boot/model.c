/* SPDX-License-Identifier: MIT
 *
 * model.c - see model.h.
 */
#include "model.h"
#include "stress/common/random.h"

uint64_t below(struct world *w, uint64_t n)
{
    return random_next(&w->random) % n;
}

bool is_memory(const struct model_frame *m)
{
    return m->kind == QUIRE_BOOT_USABLE || m->kind == QUIRE_BOOT_DEVICE;
}

uint32_t node_of(const struct model_frame *m)
{
    return m->node == QUIRE_NODE_ANY ? 0 : m->node;
}

/* Does the call speak of this frame? Memory must hold all its bytes, the rest one of them. */
static bool speaks_of(const struct call *call, uint64_t frame)
{
    uint64_t first = frame * FRAME_BYTES, last = first + FRAME_BYTES - 1,
             end = call->phys + call->bytes - 1;

    if (call->bytes == 0)
        return false;
    if (call->what == ADD && call->kind != QUIRE_BOOT_FIRMWARE)
        return call->phys <= first && end >= last;
    return call->phys <= last && end >= first;
}

static void model_call(struct world *w, const struct call *call)
{
    for (uint64_t i = 0; i < FRAMES; i++) {
        struct model_frame *m = &w->frames[i];

        if (!speaks_of(call, i))
            continue;
        if (call->what == RESERVE) {
            m->use = QUIRE_BOOT_RESERVED;
            continue;
        }
        if (call->what == ADD && call->kind > m->kind)
            m->kind = call->kind;
        if (call->node == QUIRE_NODE_ANY)
            continue;
        m->disputed |= m->node != QUIRE_NODE_ANY && m->node != call->node;
        if (m->node == QUIRE_NODE_ANY || call->node < m->node)
            m->node = call->node;
    }
}

/* ---- Step 1: the map ----------------------------------------------------------------------- */

/* Borders often meet, and are often, but not always, on frames or blocks. */
static uint64_t random_border(struct world *w)
{
    static const uint64_t grains[] = {
        1, 2048, FRAME_BYTES, FRAME_BYTES, BLOCK * FRAME_BYTES, 8 * BLOCK * FRAME_BYTES};
    uint64_t grain = grains[below(w, sizeof(grains) / sizeof(grains[0]))];

    return below(w, (uint64_t)FRAMES * FRAME_BYTES) / grain * grain;
}

static struct call random_call(struct world *w)
{
    static const enum quire_boot_kind kinds[] = {QUIRE_BOOT_USABLE, QUIRE_BOOT_USABLE,
                                                 QUIRE_BOOT_USABLE, QUIRE_BOOT_DEVICE,
                                                 QUIRE_BOOT_FIRMWARE};
    struct call call = {.what = ADD, .node = (uint32_t)below(w, NODES)};
    uint64_t a = random_border(w), b = random_border(w);

    call.phys = a < b ? a : b;
    call.bytes = a < b ? b - a : a - b;
    call.kind = kinds[below(w, 5)];
    if (call.kind != QUIRE_BOOT_USABLE) /* small ones, or nothing would be left */
        call.bytes = call.bytes / 8 + 1;
    if (below(w, 8) == 0)
        call.what = ASSIGN;
    else if (below(w, 8) == 0)
        call.what = RESERVE;
    if (call.what == ADD && below(w, 4) == 0)
        call.node = QUIRE_NODE_ANY;
    return call;
}

static int real_call(struct world *w, const struct call *call)
{
    switch (call->what) {
    case ADD:
        return quire_boot_add(&w->f->boot, call->phys, call->bytes, call->kind, call->node);
    case ASSIGN:
        return quire_boot_assign(&w->f->boot, call->phys, call->bytes, call->node);
    default:
        return quire_boot_reserve(&w->f->boot, call->phys, call->bytes);
    }
}

void compare_map(const struct world *w)
{
    struct quire_boot_region r;
    uint64_t next = 0;

    for (size_t i = 0; quire_boot_region(&w->f->boot, i, &r) == QUIRE_OK; i++) {
        assert_int_equal(r.run.pfn.n, next);
        assert_true(r.run.frames > 0);
        next += r.run.frames;
        for (uint64_t j = r.run.pfn.n; j < next && j < FRAMES; j++) {
            const struct model_frame *m = &w->frames[j];

            assert_int_equal(r.kind, m->kind);
            assert_int_equal(r.use, m->use);
            assert_int_equal(r.node, m->node);
            assert_int_equal(r.disputed, m->disputed);
        }
    }
    assert_int_equal(next, (uint64_t)1 << QUIRE_PFN_BITS);
}

void describe(struct world *w)
{
    uint64_t hash;

    w->call_count = 1 + below(w, CALLS);
    for (size_t i = 0; i < w->call_count; i++) {
        int err;

        w->calls[i] = random_call(w);
        err = real_call(w, &w->calls[i]);
        assert_true(err == QUIRE_OK || err == QUIRE_ERR_SIZE); /* empty, or no whole frame */
        model_call(w, &w->calls[i]);
    }
    compare_map(w);
    /* The same in another order is the same. */
    hash = fingerprint(&w->f->boot);
    assert_int_equal(quire_boot_init(&w->f->boot, w->f->entries, ROOM, 0), QUIRE_OK);
    for (size_t i = w->call_count; i-- > 0;)
        (void)real_call(w, &w->calls[i]);
    assert_int_equal(fingerprint(&w->f->boot), hash);
}

/* ---- Step 2: allocations ------------------------------------------------------------------- */

bool free_for(const struct model_frame *m, uint32_t node)
{
    return m->kind == QUIRE_BOOT_USABLE && m->use == QUIRE_BOOT_FREE &&
           (node == QUIRE_NODE_ANY || node_of(m) == node);
}

bool fits(const struct world *w, uint64_t first, uint64_t frames, uint32_t node)
{
    for (uint64_t i = first; i < first + frames; i++)
        if (i >= FRAMES || !free_for(&w->frames[i], node))
            return false;
    return true;
}

static int64_t model_place(const struct world *w, const struct quire_boot_request *r)
{
    uint64_t frames = (r->bytes + FRAME_BYTES - 1) / FRAME_BYTES;
    uint64_t high = r->high ? r->high : UINT64_MAX;

    for (int64_t i = FRAMES - 1; i >= 0; i--) {
        uint64_t phys = (uint64_t)i * FRAME_BYTES;

        if ((r->align && phys % r->align) || phys < r->low ||
            phys + frames * FRAME_BYTES - 1 > high)
            continue;
        if (fits(w, (uint64_t)i, frames, r->node))
            return i;
    }
    return NOWHERE;
}

void allocate(struct world *w)
{
    struct quire_boot_request r = {
        .bytes = 1 + below(w, below(w, 4) ? 8 * FRAME_BYTES : 600 * FRAME_BYTES),
        .align = below(w, 2) ? 0 : (uint64_t)1 << below(w, 24),
        .low = below(w, 2) ? 0 : random_border(w) / 2,
        .high = below(w, 2) ? 0 : (uint64_t)FRAMES * FRAME_BYTES / 2 + random_border(w) / 2,
        .node = below(w, 2) ? QUIRE_NODE_ANY : (uint32_t)below(w, NODES),
    };
    int64_t expected = model_place(w, &r);
    uint64_t phys = 0;
    int err = quire_boot_alloc(&w->f->boot, &r, &phys);

    if (expected == NOWHERE) {
        assert_true(err == QUIRE_ERR_NO_MEMORY || err == QUIRE_ERR_NODE);
        return;
    }
    assert_int_equal(err, QUIRE_OK);
    assert_int_equal(phys, (uint64_t)expected * FRAME_BYTES);
    for (uint64_t i = 0; i < (r.bytes + FRAME_BYTES - 1) / FRAME_BYTES; i++)
        w->frames[(uint64_t)expected + i].use = QUIRE_BOOT_TAKEN;
}
