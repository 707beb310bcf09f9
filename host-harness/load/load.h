/* SPDX-License-Identifier: MIT
 *
 * load.h - what the parts of `quire run` share: the state of one load, from its options to its
 * verdict.
 *
 * A load is an engine, which is the same for all, over a target (target.h): zones of a memory map,
 * a machine made of a topology, or this machine's memory. Threads draw operations, carry them out
 * by checked calls, keep what they were given, pass some of it to each other; then everything is
 * given back and judged. README.md says which file does what.
 *
 * State: one struct load, built by the main thread before the threads start. Each thread writes its
 * own struct worker only; what several threads write is atomic and named so below.
 * Invariants:
 *   I1 the operations that a thread draws depend on seed, thread number, number of threads and the
 *      target alone: not on time, answers or the other threads.
 *   I2 a run of frames that a thread holds is in one of its lists or, during one operation, in
 *      `burst` or local; what lies in the hand-over table belongs to no thread; the one that
 *      takes it out by an exchange has it.
 *   I3 `text` of the verdict is written once, by the thread that turned `violated` from 0 to 1, and
 *      read after all threads have ended.
 */
#ifndef HOST_HARNESS_LOAD_LOAD_H
#define HOST_HARNESS_LOAD_LOAD_H

#include "check/shadow.h"
#include "core/atomic.h"
#include "handover.h"
#include "hist.h"
#include "host-harness/cli/cli.h"
#include "host-harness/machines/simulated.h"

#include <pthread.h>

struct load;
struct machine_target;
struct target;

enum load_fault {
    FAULT_NONE = 0,
    FAULT_DOUBLE_HAND_OUT = 1, /* an allocation returns a frame that its thread holds already */
    FAULT_LOST_FRAME = 2,      /* a free does not reach the allocator */
    FAULT_WRONG_NODE = 3,      /* a frame seems to lie on another node; on a machine only */
};

struct load_options {
    uint32_t threads;
    uint64_t milliseconds; /* 0: no limit */
    uint64_t operations;   /* per thread; 0: no limit */
    uint64_t seed;
    const char *map;      /* a file, or NULL for this machine's */
    const char *topology; /* what topo_load takes, or NULL: on zones */
    bool asymmetric;      /* its distances may differ by direction */
    bool strict;          /* refuse what a note would say of map or topology */
    bool real;            /* on memory of this machine's nodes */
    uint64_t memory;      /* then: of each node, bytes */
    const char *json;     /* a file, "-", or NULL */
    enum load_fault fault;
};

/* Kinds of allocator calls, for the latency table. */
enum call_kind {
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
enum { CALL_KINDS = 15 };

enum {
    LOAD_BATCH = 64,
    LOAD_ORDERS = 11,           /* orders 0 .. 10 */
    LOAD_WINDOW = 1 << 19,      /* frames of a zone that the threads share; the rest is set aside */
    LOAD_HELD_FRAMES = 1 << 14, /* frames of a list that one thread keeps at most */
    LOAD_HELD_RUNS = 2048,      /* runs of a list that one thread keeps at most */
    LOAD_BURST_RUNS = 1 << 16,
    LOAD_TEXT = 512,
};

/* A run of frames that a thread holds. */
struct held_run {
    uint64_t pfn;
    uint32_t frames;
    uint32_t tag; /* of its allocation; 0: another thread's, which the shadow model knows */
    bool contig;  /* came as a contiguous run, not as an order */
};

struct held_list {
    struct held_run *runs;
    uint32_t count;
    uint64_t frames; /* of all runs */
    uint64_t budget; /* that `frames` stays within, unless it is one run alone */
};

/* A zone as the threads see it. Constant while they run, but for `events`. */
struct load_zone {
    struct quire_zone *zone;
    struct quire_run extents[QUIRE_ZONE_EXTENTS];
    uint32_t extent_count;
    uint64_t extent_frames;
    struct quire_run *set_aside; /* held from before the start to after the end: see zones.c */
    size_t set_aside_count;
    uint64_t set_aside_frames;
    struct quire_zone_stats before; /* nothing allocated yet */
    struct quire_zone_stats loaded; /* the threads have ended and still hold what they hold */
    unsigned loaded_pressure;
    qa64 events[QUIRE_EVENTS]; /* callbacks; written by all threads */

    /* On zones: */
    uint32_t movable;      /* QUIRE_MOVABLE if all requests must say so */
    uint64_t weight_end;   /* of the zones' shares of operations, summed up to this one */
    uint64_t reserved_pfn; /* a reserved frame and a hole to try to free, */
    uint64_t hole_pfn;     /* or UINT64_MAX if none was found */
};

/* Things that were verified. */
enum load_check {
    CHECK_TAKEN,   /* frames found free in the model when they were handed out */
    CHECK_GIVEN,   /* frames found untouched when they were freed */
    CHECK_REFUSED, /* bad calls that got the right error */
    CHECK_FLOORS,  /* answers compared with the exact free count: one thread only */
    CHECK_ANSWERS, /* other answers compared with what is known for sure */
};
enum { LOAD_CHECKS = 5 };

struct worker {
    _Alignas(64) qa64 operations; /* done; written by the thread, read by the progress line */
    qa64 published_calls;
    _Alignas(64) struct load *load;
    uint32_t number; /* its slot, too */
    uint32_t stamp;  /* of the last allocation, part of its tag */
    uint64_t random;
    uint64_t sequence; /* digest of the operations drawn */
    uint64_t outcome;  /* digest of what the allocator answered */
    uint64_t calls;
    bool fault_done;
    uint64_t refusals[QUIRE_ERRORS]; /* that were expected */
    uint64_t checks[LOAD_CHECKS];
    struct held_list *held; /* load->list_count of them */
    struct held_run *burst;
    struct hist *latency; /* per enum call_kind */
    pthread_t thread;
};

struct load {
    struct load_options options;
    const struct target *target;
    struct map map;
    struct simulated_machine machine;
    struct machine_target *on_machine; /* a machine's part: machine/machine.h */
    size_t list_count;                 /* of each worker: one per zone, or one */
    uint32_t slots;                    /* of each zone */
    uint64_t window;                   /* frames of a zone that are in use; more is set aside */
    struct load_zone *zones;           /* as machine.zones */
    uint64_t weight_total;             /* on zones */
    struct shadow shadow;
    struct handover handover;
    struct worker *workers;
    pthread_mutex_t gate; /* held by the main thread until all threads exist */
    qa32 stop;            /* threads end after the operation they are in */
    qa32 finished;        /* threads that have ended */
    qa32 bad_reports;     /* QUIRE_REPORT_BAD_FREE callbacks */
    qa32 violated;        /* there is a violation */
    char text[LOAD_TEXT]; /* the first violation */
    uint64_t timer_ns;    /* what timing adds to a measured call */
    uint32_t sample;      /* one call in so many is timed, */
    qa32 timing;          /* while this is 1; a thread in the background may see it late */
    double seconds;       /* how long the threads ran */
    uint64_t calls;       /* that they made */
    bool interrupted;
    uint64_t redrawn; /* frames that the last check handed out once more */
};

/* ---- options.c ------------------------------------------------------------------------------- */

/* CLI_OK, or the exit status; *help says that help was asked for and given. Main thread. */
int load_options_parse(struct load_options *options, int argc, char **argv, bool *help);

/* ---- engine.c: main thread ------------------------------------------------------------------- */

/* Let SIGINT and SIGTERM end the load early, with a verdict; one that comes more than a second
 * after the first ends the program. */
void load_catch_signals(void);

/* Start the threads, wait until they have ended, judge. CLI_OK whatever the verdict, or CLI_FAILED
 * after a line on stderr. The target has been built. */
int load_run(struct load *load);
void load_teardown_workers(struct load *load);

/* Nanoseconds of the monotonic clock. Any thread, wait-free. */
uint64_t load_clock(void);

/* ---- zones.c: what all targets do with the zones of load->machine ---------------------------- */

/* The shadow model, the hand-over table and the zones as the threads see them. CLI_OK, or the exit
 * status after a line on stderr. Main thread. */
int load_build_zones(struct load *load);
void load_teardown_zones(struct load *load);

/* Set so much of each large zone aside that about load->window frames are left. False after a
 * violation. Main thread. */
bool load_set_aside(struct load *load);

/* Visit each zone. On a terminal it says how far it is: where there are many TiB it takes seconds.
 * Main thread. */
void load_each_zone(struct load *load, const char *what,
                    void (*visit)(struct load *load, size_t z));

/* A frame of the zone's index space, evenly drawn from 64 random bits. Any thread, wait-free. */
uint64_t load_random_pfn(const struct load_zone *zone, uint64_t bits);

/* The port of the zones; the load is its context. Any thread. */
int load_port_zero(void *ctx, quire_pfn pfn, uint64_t frames);
void load_port_event(void *ctx, struct quire_zone *zone, enum quire_event event);
void load_port_report(void *ctx, struct quire_zone *zone, enum quire_report what, quire_pfn pfn,
                      int error);

/* ---- verdict.c ------------------------------------------------------------------------------- */

/* Give the verdict: the first one counts. Stops the threads. Any thread; also from a callback. */
__attribute__((format(printf, 2, 3))) void load_violation(struct load *load, const char *format,
                                                          ...);

/* Was there a violation? Any thread. */
bool load_violated(struct load *load);

/* After all threads have ended: note the figures, free everything, judge. Main thread. */
void load_end(struct load *load);

#endif /* HOST_HARNESS_LOAD_LOAD_H */
