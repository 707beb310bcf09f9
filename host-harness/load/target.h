/* SPDX-License-Identifier: MIT
 *
 * target.h - what a load is put on, as the engine sees it, and what the engine offers to a target.
 *
 *   load_on_zones     zone/           the simulated zones of a memory map, called directly
 *   load_on_machine   machine/        a machine of nodes and CPUs, simulated from a topology
 *   load_on_host      machine/host.c  the same on this machine's memory, by libquire-host
 *
 * A target has a table of its kinds of operations, with their weights and the functions that carry
 * them out. Those that all targets have are operations.c's. An operation that is not possible
 * (nothing to free, no memory) is skipped; the sequence continues.
 *
 * State: none here; a target's own state is in struct load. Constant tables.
 * Callers: functions with a worker are called by the thread that it belongs to, or by the main
 * thread after that has ended; those with the load by the main thread.
 */
#ifndef HOST_HARNESS_LOAD_TARGET_H
#define HOST_HARNESS_LOAD_TARGET_H

#include "load.h"

/* A request, and what is known of it. */
struct request {
    struct quire_request call; /* order and flags; on a machine node and policy, too */
    uint32_t list;             /* which of the thread's keeps what comes; on zones also the zone */
    quire_node origin;         /* on a machine: the node that it is asked from */
};

struct operation {
    unsigned kind; /* its row of the target's table */
    struct request request;
    bool flood;    /* a burst without a limit but the watermark's */
    uint64_t a, b; /* random, for whatever else has to be chosen */
};

struct operation_kind {
    const char *name;
    uint32_t weight; /* of SEQUENCE_KIND_SUM */
    void (*carry_out)(struct worker *w, const struct operation *op);
};

struct target {
    const char *source_name; /* of load->map in the report */
    const struct operation_kind *kinds;
    unsigned kind_count;

    /* What is so on this target. */
    bool list_per_zone; /* threads keep a list per zone, list i of zone i; otherwise one list */
    bool exact_count;   /* with one thread, zones' free counts say what has to be granted */
    bool hears_events;  /* the zones' port is load.h's */

    /* Its life, in this order; what is optional may be NULL. `build` answers CLI_OK or the exit
     * status after a line on stderr; `prepare`, after the workers are built, false after a
     * violation; `ended` comes when the threads have ended and still hold what they hold, `emptied`
     * when that was freed; `teardown` whatever happened before. */
    int (*build)(struct load *load);
    bool (*prepare)(struct load *load);
    void (*enter)(struct worker *w);    /* a thread begins; optional */
    void (*leave)(struct worker *w);    /* a thread ends; optional */
    void (*ended)(struct load *load);   /* optional */
    void (*emptied)(struct load *load); /* optional */
    void (*teardown)(struct load *load);

    /* Complete an operation of which kind, order, a and b are drawn, from 64 random bits more; the
     * thread draws its index-th. Returns what identifies it beside kind and a, for the digest. */
    uint64_t (*draw)(const struct worker *w, uint64_t index, uint64_t bits, struct operation *op);
    struct quire_contig (*draw_contig)(const struct worker *w, const struct operation *op);

    /* Calls of the allocator, as calls.h makes them: timed, so nothing else is done here. `bits`
     * choose which of the calls that can free the run does it. */
    int (*alloc)(struct worker *w, const struct request *r, quire_pfn *pfn);
    int (*free)(struct worker *w, uint32_t list, const struct held_run *run, uint64_t bits);
    int (*alloc_batch)(struct worker *w, const struct request *r, quire_pfn pfns[LOAD_BATCH],
                       size_t *got);
    int (*free_batch)(struct worker *w, uint32_t list, const quire_pfn pfns[], uint32_t n);
    int (*alloc_contig)(struct worker *w, const struct request *r, const struct quire_contig *want,
                        quire_pfn *pfn);
    int (*run_length)(struct worker *w, uint32_t list, quire_pfn pfn, uint64_t *frames);
    /* optional: the allocator does not tell */

    /* Which errors the request may be refused with: bits by CALL_ALLOWED. `want` is NULL unless it
     * is contiguous. */
    uint32_t (*refusals)(const struct worker *w, const struct request *r,
                         const struct quire_contig *want);
    /* The request was given a run; `ns` is what it took, if it was timed and asked for one frame.
     * False after a violation. Optional. */
    bool (*placed)(struct worker *w, const struct request *r, const struct held_run *run,
                   uint64_t ns);
    /* The model has noted that a run was handed out; it is about to note that it is freed. `z` is
     * its zone. False after a violation. Optional. */
    bool (*taken)(struct worker *w, uint32_t z, const struct held_run *run, bool zeroed);
    bool (*giving)(struct worker *w, uint32_t z, const struct held_run *run);
};

extern const struct target load_on_zones, load_on_machine, load_on_host;

/* ---- operations.c: what all targets do; the caller is the worker's thread ---------------------
 */

/* Free runs of the list until `frames` more frames in `runs` more runs fit, or none is left; `bits`
 * choose which and how. */
void held_make_room(struct worker *w, uint32_t list, uint64_t frames, uint32_t runs, uint64_t bits);

/* Put a run into the list; there must be room for it. */
void held_keep(struct worker *w, uint32_t list, const struct held_run *run);

void operation_alloc(struct worker *w, const struct operation *op);
void operation_free(struct worker *w, const struct operation *op);
void operation_alloc_batch(struct worker *w, const struct operation *op);
void operation_free_batch(struct worker *w, const struct operation *op);
void operation_alloc_contig(struct worker *w, const struct operation *op);
void operation_hand_over(struct worker *w, const struct operation *op);

#endif /* HOST_HARNESS_LOAD_TARGET_H */
