/* SPDX-License-Identifier: MIT
 *
 * run.h - what the parts of `quire run` share.
 *
 *   cmd_run.c       the command: set up, start the threads, wait, judge, report
 *   options.c   its options and their help
 *   world.c     the machine with its zones, as the threads see them; the port
 *   mix.c       the operation sequence: what is drawn, and how often
 *   work.c      a thread: carries the sequence out
 *   burst.c     a thread fills a zone up to a watermark, and empties it again
 *   refuse.c    calls that must be refused
 *   calls.c     one allocator call each: timed, checked against the shadow model, counted
 *   places.c    the same, for calls about places and shapes
 *   check.c     what checked calls are made of
 *   end.c       the checks after the threads have ended
 *   report.c    the table; json.c the same as JSON
 *   shadow.c, handover.c, hist.c: see their headers
 *   run_nodes*.c    the other way to run, on nodes instead of zones: see nodes.h
 *
 * State: one struct run, built by the main thread before the threads start. Each thread writes its
 * own struct worker only; what several threads write is atomic and named so below.
 * Invariants: I1 the operation sequence of a thread depends on seed, thread number, number of
 * threads and the zones alone: not on time, answers or the other threads.
 * I2 what a thread holds is in its bags or, during one operation, in `burst` or local; what is on
 * the board belongs to nobody and is taken off by an exchange. I3 `text` of the verdict is written
 * once, by the thread that turned `claimed` from 0 to 1, and read after all threads have ended.
 */
#ifndef HOST_HARNESS_LOAD_RUN_H
#define HOST_HARNESS_LOAD_RUN_H

#include "core/atomic.h"
#include "handover.h"
#include "hist.h"
#include "host-harness/cli/cli.h"
#include "host-harness/machines/machine.h"
#include "shadow.h"

#include <pthread.h>
#include <stdio.h>

struct cJSON;
struct run;
struct run_sums;

enum run_fault {
    FAULT_NONE = 0,
    FAULT_DOUBLE_HAND_OUT = 1, /* an allocation returns a frame that its thread holds already */
    FAULT_LOST_FRAME = 2,      /* a free does not reach the allocator */
    FAULT_WRONG_NODE = 3,      /* a frame seems to lie on another node; on nodes only */
};

struct run_options {
    uint32_t threads;
    uint64_t milliseconds; /* 0: no limit */
    uint64_t operations;   /* per thread; 0: no limit */
    uint64_t seed;
    const char *map;      /* a file, or NULL for this machine's */
    const char *topology; /* what topo_load takes, or NULL: on zones */
    bool asymmetric;      /* its distances may differ by direction */
    bool real;            /* on memory of this machine's nodes */
    uint64_t memory;      /* then: of each node, bytes */
    const char *json;     /* a file, "-", or NULL */
    enum run_fault fault;
};

/* Kinds of allocator calls, for the latency table. */
enum run_call {
    CALL_ALLOC,       /* order 0 */
    CALL_FREE,        /* order 0 */
    CALL_ALLOC_ORDER, /* orders 1 and up */
    CALL_FREE_ORDER,
    CALL_ALLOC_BATCH, /* 64 frames */
    CALL_FREE_BATCH,
    CALL_ALLOC_RUNS,
    CALL_ALLOC_CONTIG,
    CALL_FREE_CONTIG,
    CALL_ALLOC_AT,
    CALL_RESERVE,
    CALL_UNRESERVE,
    CALL_SPLIT,
    CALL_JOIN,
    CALL_REFUSED, /* must be refused, and was */
};
enum { RUN_CALLS = 15 };

enum {
    RUN_BATCH = 64,
    RUN_ORDERS = 11,      /* orders 0 .. 10 */
    RUN_WINDOW = 1 << 19, /* frames of a zone that the threads share; the rest is ballast */
    RUN_HOLD = 1 << 14,   /* frames of a zone that one thread keeps at most */
    RUN_BAG = 2048,       /* records of runs of a zone that one thread keeps at most */
    RUN_BURST_RECORDS = 1 << 16,
    RUN_TEXT = 512,
};

/* A run that a thread holds. */
struct record {
    uint64_t pfn;
    uint32_t frames;
    uint32_t tag;
    bool contig; /* came as a contiguous run, not as an order */
};

struct bag {
    struct record *records;
    uint32_t count;
    uint64_t frames; /* of all records */
};

/* A zone as the threads see it. Constant while they run, but for `events`. */
struct run_zone {
    struct quire_zone *zone;
    struct quire_run extents[QUIRE_ZONE_EXTENTS];
    uint32_t extent_count;
    uint64_t extent_frames;
    uint32_t movable;          /* QUIRE_MOVABLE if all requests must say so */
    uint64_t budget;           /* frames that one thread keeps at most */
    uint64_t weight_end;       /* of the zones' shares of operations, summed up to this one */
    uint64_t reserved_pfn;     /* a reserved frame and a hole to try to free, */
    uint64_t hole_pfn;         /* or UINT64_MAX if none was found */
    struct quire_run *ballast; /* held from before the start to after the end */
    size_t ballast_count;
    uint64_t ballast_frames;
    struct quire_zone_stats before; /* nothing allocated yet */
    struct quire_zone_stats loaded; /* the threads have ended and still hold what they hold */
    unsigned loaded_pressure;
    qa64 events[QUIRE_EVENTS]; /* callbacks; written by all threads */
};

/* Things that were verified, by kind. */
struct run_checks {
    uint64_t taken;   /* frames found free in the model when they were handed out */
    uint64_t given;   /* frames found untouched when they were freed */
    uint64_t refused; /* bad calls that got the right error */
    uint64_t floors;  /* answers compared with the exact free count: one thread only */
    uint64_t answers; /* other answers compared with what is known for sure */
};

struct worker {
    _Alignas(64) qa64 operations; /* done; written by the thread, read by the progress line */
    qa64 published_calls;
    _Alignas(64) struct run *run;
    uint32_t number; /* its slot, too */
    uint32_t stamp;  /* of the last allocation, part of its tag */
    uint64_t random;
    uint64_t sequence; /* digest of the operations drawn */
    uint64_t outcome;  /* digest of what the allocator answered */
    uint64_t calls;
    bool fault_done;
    uint64_t failures[QUIRE_ERRORS];
    struct run_checks checks;
    struct bag *bags; /* per zone */
    struct record *burst;
    struct hist *latency; /* per enum run_call */
    pthread_t thread;
};

struct nodes;

/* How to run: on the zones of a memory map, or on the nodes of a topology. */
struct run_way {
    int (*build)(struct run *run);      /* the world, as run_world_build */
    bool (*load)(struct run *run);      /* as run_world_load */
    void *(*work)(void *worker);        /* a thread's life */
    void (*give_back)(struct run *run); /* what is held when it has ended */
    void (*print)(FILE *out, struct run *run, const struct run_sums *sums); /* the table */
    bool (*json)(struct cJSON *root, struct run *run, const struct run_sums *sums);
    void (*teardown)(struct run *run);
};

struct run {
    struct run_options options;
    const struct run_way *way;
    struct map map;
    struct simulated_machine machine;
    struct nodes *nodes;    /* on nodes */
    size_t bag_count;       /* of each worker: one per zone, or one */
    uint32_t slots;         /* of each zone */
    uint64_t window;        /* frames of a zone that are in the game; the rest is ballast */
    struct run_zone *zones; /* as machine.zones */
    uint64_t weight_total;
    struct shadow shadow;
    struct board board;
    struct worker *workers;
    pthread_mutex_t gate; /* held by the main thread until all threads exist */
    qa32 stop;            /* threads end after the operation they are in */
    qa32 finished;        /* threads that have ended */
    qa32 bad_reports;     /* QUIRE_REPORT_BAD_FREE callbacks */
    qa32 claimed;
    char text[RUN_TEXT]; /* the first violation */
    uint64_t timer_ns;   /* what timing adds to a measured call */
    uint32_t sample;     /* one call in so many is timed, */
    qa32 timing;         /* while this is 1; a thread in the background may see it late */
    double seconds;      /* how long the threads ran */
    uint64_t calls;      /* that they made */
    bool interrupted;
    uint64_t redrawn; /* frames that the last check handed out once more */
};

/* Give the verdict: the first one counts. Stops the threads. Any thread; also from a callback. */
__attribute__((format(printf, 2, 3))) void run_violation(struct run *run, const char *format, ...);

/* Was there a violation? Any thread. */
bool run_violated(struct run *run);

/* options.c. CLI_OK, or the exit status; *help says that help was asked for and given. */
int run_options_parse(struct run_options *options, int argc, char **argv, bool *help);

/* world.c. CLI_OK, or the exit status after a line on stderr. */
int run_world_build(struct run *run);
void run_world_teardown(struct run *run);
/* What both ways share: the model and the zones as the threads see them, from run->machine. */
int run_world_look(struct run *run);
/* Take so much of the large zones out of the game that about run->window frames are left, and find
 * the budgets. False after a violation. */
bool run_world_load(struct run *run);
/* The port of a zone; `run` is its context. */
int run_port_zero(void *ctx, quire_pfn pfn, uint64_t frames);
void run_port_event(void *ctx, struct quire_zone *zone, enum quire_event event);
void run_port_report(void *ctx, struct quire_zone *zone, enum quire_report what, quire_pfn pfn,
                     int error);
/* Visit each zone. On a terminal it says how far it is: where there are many TiB
 * it takes seconds. */
void run_each_zone(struct run *run, const char *what, void (*visit)(struct run *run, size_t z));
/* A frame of the zone's index space, evenly drawn from 64 random bits. */
uint64_t run_random_pfn(const struct run_zone *zone, uint64_t bits);

/* work.c. A thread's life, for pthread_create: argument and result are its struct worker. */
void *work_main(void *argument);

/* end.c. After all threads have ended: note the figures, free everything, judge. */
void run_end(struct run *run);
void run_end_give_back(struct run *run);

/* What the threads' figures add up to. */
struct run_sums {
    uint64_t operations;
    uint64_t sequence, outcome;
    uint64_t failures[QUIRE_ERRORS], failed;
    uint64_t events[QUIRE_EVENTS];
    struct run_checks checks;
    struct hist latency[RUN_CALLS];
};

/* report.c, json.c. After run_end. */
void run_report_sum(const struct run *run, struct run_sums *sums);
/* 0, or -1 if it could not be written. */
int run_report_print(struct run *run, const struct run_sums *sums);
/* "clean", or the first violation. */
const char *run_verdict(struct run *run);
/* How many per second of the load; 0 if it did not come to that. */
double run_rate(const struct run *run, uint64_t count);
/* Names as in the table, and as in JSON. */
const char *run_call_name(enum run_call call);
const char *run_event_name(enum quire_event event);
/* Parts of the table, and the table on zones. */
__attribute__((format(printf, 2, 3))) void run_say(FILE *out, const char *format, ...);
void run_print_load(FILE *out, const struct run *run, const struct run_sums *sums);
void run_print_checks(FILE *out, struct run *run, const struct run_sums *sums);
void run_print_zones(FILE *out, struct run *run, const struct run_sums *sums);
/* NULL without memory. */
struct cJSON *run_json(struct run *run, const struct run_sums *sums);
/* Whole numbers as they are. False without memory. */
bool run_json_number(struct cJSON *to, const char *name, uint64_t number);
bool run_json_zones(struct cJSON *root, struct run *run, const struct run_sums *sums);

#endif /* HOST_HARNESS_LOAD_RUN_H */
