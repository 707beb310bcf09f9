/* SPDX-License-Identifier: MIT
 *
 * operations.c - the operations that every target has, and the lists in which a thread keeps the
 * runs that it holds.
 *
 * State: the worker's lists. Every operation leaves a list within its budget, or with a single run.
 * A list is used by its worker's thread alone, and by the main thread after that has ended.
 */
#include "target.h"

#include "check/calls.h"
#include "random.h"

enum { HANDOVER_FRAMES = 1024 }; /* larger runs stay with their thread */

static struct held_run take_out(struct held_list *list, uint32_t at)
{
    struct held_run run = list->runs[at];

    list->runs[at] = list->runs[--list->count];
    list->frames -= run.frames;
    return run;
}

void held_make_room(struct worker *w, uint32_t list, uint64_t frames, uint32_t runs, uint64_t bits)
{
    struct held_list *held = &w->held[list];

    while (held->count > 0 &&
           (held->count + runs > LOAD_HELD_RUNS || held->frames + frames > held->budget)) {
        struct held_run run;

        bits = random_scramble(bits + 1);
        run = take_out(held, (uint32_t)random_below((uint32_t)bits, held->count));
        call_free(w, list, &run, bits >> 32);
    }
}

void held_keep(struct worker *w, uint32_t list, const struct held_run *run)
{
    struct held_list *held = &w->held[list];

    held->runs[held->count++] = *run;
    held->frames += run->frames;
}

void operation_alloc(struct worker *w, const struct operation *op)
{
    const struct request *r = &op->request;
    struct held_run run;

    held_make_room(w, r->list, 1ULL << r->call.order, 1, op->a);
    if (call_alloc(w, r, &run))
        held_keep(w, r->list, &run);
}

void operation_free(struct worker *w, const struct operation *op)
{
    struct held_list *held = &w->held[op->request.list];
    struct held_run run;

    if (held->count == 0)
        return;
    run = take_out(held, (uint32_t)random_below((uint32_t)op->a, held->count));
    call_free(w, op->request.list, &run, op->b);
}

void operation_alloc_batch(struct worker *w, const struct operation *op)
{
    struct request r = op->request;
    struct held_run runs[LOAD_BATCH];
    uint32_t got;

    r.call.flags |= op->a & 1 ? QUIRE_PARTIAL : 0;
    held_make_room(w, r.list, LOAD_BATCH, LOAD_BATCH, op->b);
    got = call_alloc_batch(w, &r, runs);
    for (uint32_t i = 0; i < got; i++)
        held_keep(w, r.list, &runs[i]);
}

/* Up to 64 single frames: neighbours in the list, which often came together. */
void operation_free_batch(struct worker *w, const struct operation *op)
{
    struct held_list *held = &w->held[op->request.list];
    struct held_run runs[LOAD_BATCH];
    uint32_t n = 0;
    uint32_t at;

    if (held->count == 0)
        return;
    at = (uint32_t)random_below((uint32_t)op->a, held->count) + 1;
    while (at-- > 0 && n < LOAD_BATCH) {
        if (held->runs[at].frames == 1)
            runs[n++] = take_out(held, at);
    }
    if (n > 0)
        call_free_batch(w, op->request.list, runs, n);
}

void operation_alloc_contig(struct worker *w, const struct operation *op)
{
    const struct quire_contig want = w->load->target->draw_contig(w, op);
    const struct request *r = &op->request;
    struct held_run run;

    held_make_room(w, r->list, want.frames, 1, op->b);
    if (call_alloc_contig(w, r, &want, &run))
        held_keep(w, r->list, &run);
}

/* Leave a run to another thread, and free one of another thread. */
void operation_hand_over(struct worker *w, const struct operation *op)
{
    struct handover *handover = &w->load->handover;
    struct held_list *held = &w->held[op->request.list];
    struct handover_run given = {0};
    struct handover_run got;

    if (held->count > 0) {
        uint32_t at = (uint32_t)random_below((uint32_t)op->a, held->count);

        if (held->runs[at].frames <= HANDOVER_FRAMES) {
            struct held_run run = take_out(held, at);

            given = (struct handover_run){run.pfn, run.frames, run.contig};
        }
    }
    got = handover_exchange(handover, (op->a >> 32) % handover->count, given);
    call_free_handed_over(w, got, op->b);
}
