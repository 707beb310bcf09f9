/* SPDX-License-Identifier: MIT
 *
 * frames.c - which frames the heap has: within its share of the machine's memory, and a reserve
 * for emergencies.
 *
 * The share. If there is one, `held` counts the frames that the heap has; a request is charged
 * before the machine is asked, by compare-and-swap, so `held` never exceeds the share at any
 * moment. What the machine then refuses is taken off again: meanwhile it may refuse another
 * request, which looks as if it had come first. What goes back is taken off when the machine has
 * it, and not before: a call that comes in between, an interrupt's too, would have the heap exceed
 * its share. `granted` is for the figures: counted from the machine's grant until just before the
 * frames go, so that it never says more than the heap has.
 *
 * The reserve is runs of its own, of 32 KiB, each in a slot of an array that is exchanged for 0 by
 * who takes it. A number that everybody may use up to would be no reserve: whoever came first has
 * used it. The same goes for slabs: one that an emergency made, of a class that all use, would hand
 * its other objects to anybody. So there are classes of their own, which nobody but
 * qi_reserve_take asks, and whose slabs get no other frames. When they are empty their frames come
 * back here, as any run of 32 KiB that the heap gives back while a slot is empty.
 *
 *   FR1  `held` counts frames in slabs, in runs, in the slots, and in the hands of calls that get
 *        them or give them back; `granted` those of the first three, and so does `kinds`, if there
 *        is one, when no such call is under way.
 *
 * Who beside whom: all beside all. Wait-free but for the compare-and-swap of `held`, which is
 * repeated when another call changed it. Any context.
 */
#include "state.h"

static bool share_charge(struct heap *h, uint64_t frames)
{
    uint64_t held;

    if (!h->share)
        return true;
    held = qa_load(&h->held, relaxed); /* relaxed: the exchange decides */
    do {
        if (held + frames > h->share)
            return false;
    } while (!qa_cas(&h->held, &held, held + frames, relaxed)); /* relaxed: a number, no memory */
    return true;
}

static void share_discharge(struct heap *h, uint64_t frames)
{
    if (h->share)
        (void)qa_sub(&h->held, frames, relaxed); /* relaxed: a number, no memory */
}

/* The machine gave the frames. */
static void granted_add(struct heap *h, uint64_t frames)
{
    uint64_t granted, most;

    if (!h->share)
        return;
    granted = qa_add(&h->granted, frames, relaxed) + frames; /* relaxed: a figure */
    most = qa_load(&h->granted_most, relaxed);               /* relaxed: a figure */
    while (granted > most)
        if (qa_cas(&h->granted_most, &most, granted, relaxed)) /* relaxed: a figure */
            break;
}

/* All frames that come from the machine and go back are counted, those of runs and of the reserve
 * too. */
static void slab_frames_count(const struct heap *h, ptrdiff_t frames)
{
    if (h->kinds)
        quire_kinds_count(h->kinds, QUIRE_KIND_SLAB, frames);
}

static int frames_free(struct heap *h, quire_pfn pfn, unsigned order)
{
    int error;

    if (h->share)
        (void)qa_sub(&h->granted, (uint64_t)1 << order, relaxed); /* relaxed: a figure */
    error = quire_machine_free(h->machine, pfn, order);
    share_discharge(h, (uint64_t)1 << order);
    if (!error)
        slab_frames_count(h, -((ptrdiff_t)1 << order));
    return error;
}

int qi_frames_get(struct heap *h, unsigned order, uint32_t node, uint32_t flags, quire_pfn *pfn)
{
    struct quire_request request = quire_request_of(order, flags & HEAP_PASSED_ON);
    uint64_t frames = (uint64_t)1 << order;
    int error;

    if (!share_charge(h, frames)) {
        (void)qa_add(&h->share_refusals, 1, relaxed); /* relaxed: a statistic */
        return QUIRE_ERR_LIMIT;
    }
    request.near_node = quire_near_of(quire_node_of(node));
    error = quire_machine_request(h->machine, &request, pfn, NULL);
    if (!error && !(frame_word(h, pfn->n) && frame_word(h, pfn->n + frames - 1))) {
        (void)quire_machine_free(h->machine, *pfn, order);
        error = QUIRE_ERR_FRAME;
    }
    if (error) {
        share_discharge(h, frames);
        return error;
    }
    granted_add(h, frames);
    slab_frames_count(h, (ptrdiff_t)frames);
    return 0;
}

static bool reserve_put(struct heap *h, quire_pfn pfn)
{
    for (uint32_t i = 0; i < h->reserve_runs; i++) {
        uint64_t none = qa_load(&h->reserve[i], relaxed); /* relaxed: the exchange decides */

        /* E-reserve release: the run's last owner is done with it */
        if (!none && qa_cas(&h->reserve[i], &none, pfn.n + 1, release))
            return true;
    }
    return false;
}

int qi_frames_put(struct heap *h, quire_pfn pfn, unsigned order)
{
    if (order == RESERVE_ORDER && reserve_put(h, pfn))
        return 0;
    return frames_free(h, pfn, order);
}

int qi_reserve_get(struct heap *h, quire_pfn *pfn)
{
    for (uint32_t i = 0; i < h->reserve_runs; i++) {
        uint64_t v = qa_load(&h->reserve[i], relaxed); /* relaxed: the exchange decides */

        /* E-reserve acquire: the run's last owner is done with it */
        if (v && qa_cas(&h->reserve[i], &v, 0, acquire)) {
            *pfn = quire_pfn_of(v - 1);
            return 0;
        }
    }
    return QUIRE_ERR_NO_MEMORY;
}

static uint32_t reserve_empty(struct heap *h)
{
    uint32_t runs = 0;
    quire_pfn pfn;

    while (!qi_reserve_get(h, &pfn)) {
        (void)frames_free(h, pfn, RESERVE_ORDER);
        runs++;
    }
    return runs;
}

int qi_reserve_fill(struct heap *h)
{
    quire_pfn pfn;
    int error = 0;

    for (uint32_t i = 0; i < h->reserve_runs && !error; i++) {
        error = qi_frames_get(h, RESERVE_ORDER, i % h->nodes, 0, &pfn);
        if (!error)
            (void)reserve_put(h, pfn);
    }
    if (error)
        (void)reserve_empty(h);
    return error;
}

uint32_t quire_heap_unreserve(struct quire_heap *heap)
{
    struct heap *h = heap->state;
    uint32_t runs = h ? reserve_empty(h) : 0;

    if (h)
        h->reserve_runs = 0;
    return runs;
}

void qi_reserve_fit(struct size_class *c, uint32_t size)
{
    qi_class_fit(c, size);
    c->order = RESERVE_ORDER;
    c->mask = ((uint32_t)QUIRE_FRAME_SIZE << RESERVE_ORDER) - 1;
    c->objects = ((uint32_t)QUIRE_FRAME_SIZE << RESERVE_ORDER) / size;
    c->words = (c->objects + WORD_BITS - 1) / WORD_BITS;
    qi_class_map(c);
    c->of_reserve = true;
    c->name = "reserve";
    qa_store(&c->in_use, CLASS_IN_USE, relaxed); /* relaxed: nobody has the heap yet */
}

int qi_reserve_take(struct heap *h, uint32_t class_number, uint32_t node, uint32_t flags, int error,
                    void **object)
{
    uint32_t k = 0;

    if (!h->reserve_runs || class_number >= QUIRE_HEAP_CLASSES)
        return error;
    while (h->classes[h->reserve_class + k].size < h->classes[class_number].size)
        k++;
    for (uint32_t i = 0; i < h->nodes && error; i++)
        if (!qi_object_take(h, h->reserve_class + k, (node + i) % h->nodes, flags, object))
            error = 0;
    return error;
}
