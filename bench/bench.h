/* SPDX-License-Identifier: MIT
 *
 * bench.h - the words of quire-bench: allocator, case, variant, run, lane, sample, result.
 *
 * An *allocator* is one line of the table in allocators.c. A *case* is one kind of work, and has
 * *variants* (an order, a batch size ...). A case, a variant and a number of threads make one
 * configuration; a *run* is one configuration on one allocator. A run is repeated; each repetition
 * gives a *sample*, the samples of a run give one *result*: median, least and largest.
 *
 * What is measured: the time that one thread spends per operation, by the monotonic clock read
 * before and after a long loop, averaged over the threads. Every operation is called through the
 * table's function pointer, so all allocators pay the same call. Memory itself is never touched:
 * frames are numbers. What is not measured: single operations (no latency percentiles), page
 * faults, the cost of using the memory that was handed out.
 *
 * State: everything of a run hangs off its struct run. The samples of a run are written by the
 * main thread while the workers sleep, a lane only by its own worker while it works.
 */
#ifndef QUIRE_BENCH_H
#define QUIRE_BENCH_H

#include <quire/types.h>
#include <stdio.h>

enum {
    BENCH_MAX_THREADS = 64,
    BENCH_BATCH = 64,      /* frames per batch call */
    BENCH_MAX_ROUNDS = 99, /* samples per result */
    BENCH_BLOCK = 512,     /* frames of 2 MiB */
};

/* ---- Allocators -------------------------------------------------------------------------- */

/* What a whole machine is and needs. */
struct whole {
    unsigned nodes, cpus;
    double bytes; /* of memory that it manages */
    double init_ns;
    double metadata_bytes, zonelist_bytes;
};

/* One allocator: what the cases call. `arena` is what open() gave; `thread` is 0 .. threads-1 and
 * belongs to the calling thread. The hot functions return 0 or the allocator's error number. A
 * NULL function means that the allocator cannot do it; it is left out of the cases that need it.
 * A frame is opaque to the cases: an allocator may put anything into it that fits 64 bits. */
struct allocator {
    const char *name;
    const char *what; /* one line for --help */

    /* Why it cannot be measured here, NULL if it can. NULL function: it always can. */
    const char *(*missing)(void);

    /* An arena of `frames` free frames, a multiple of 1024, for `threads` threads; NULL if there
     * is no memory for it. */
    void *(*open)(uint64_t frames, unsigned threads);
    void (*close)(void *arena);

    /* NULL: it has objects alone */
    int (*alloc)(void *arena, unsigned thread, unsigned order, quire_pfn *frame);
    int (*free)(void *arena, unsigned thread, quire_pfn frame, unsigned order);
    /* as alloc, of a run that can be moved; NULL: it makes no difference */
    int (*alloc_movable)(void *arena, unsigned thread, unsigned order, quire_pfn *frame);
    /* n single frames, all or none; NULL: the cases do with n single calls */
    int (*alloc_batch)(void *arena, unsigned thread, quire_pfn *frames, size_t n);
    int (*free_batch)(void *arena, unsigned thread, const quire_pfn *frames, size_t n);
    /* a run of any length, aligned to `align` frames */
    int (*alloc_contig)(void *arena, unsigned thread, uint64_t frames, uint64_t align,
                        quire_pfn *frame);
    int (*free_contig)(void *arena, unsigned thread, quire_pfn frame, uint64_t frames);

    /* an object of any size; not NULL: it stands in the cases of objects */
    int (*object_alloc)(void *arena, unsigned thread, size_t bytes, void **object);
    int (*object_free)(void *arena, unsigned thread, void *object);

    /* What a machine would call every second, say; any thread, at any time. */
    void (*maintain)(void *arena);

    /* Below: only while no other thread uses the arena. */
    uint64_t (*whole_blocks)(void *arena); /* free aligned runs of 512 frames */
    /* NULL if every frame is free again and the structures are sound, else what is wrong. */
    const char *(*check)(void *arena);
    uint64_t (*metadata_bytes)(void *arena);
    /* Not NULL: a whole machine, of a size of its own. It stands in the cases of machines alone. */
    void (*whole)(void *arena, struct whole *figures);
    bool batches_only; /* stands only in variants with a batch */
    bool heap;         /* a malloc: real memory, so single frames only, and not 8 GiB of them */
    bool bound;        /* a cursor finds its frames: only where all come back before the next lot */
    bool same_places;  /* as another one's: not in cases about where runs lie */
    bool sparse;       /* an arena of 2^32 frames costs only what is touched of its metadata */
};

extern const struct allocator *const bench_allocators[];
extern const size_t bench_allocator_count;

/* ---- Cases and runs ---------------------------------------------------------------------- */

/* How much work a sample does; from the options. Frames are those of one thread. */
struct effort {
    unsigned rounds;        /* samples per result, after one that is thrown away */
    unsigned heavy_rounds;  /* the same, none thrown away, for cases with long samples */
    uint64_t budget_ns;     /* stop with fewer samples to end within this; 0: no limit */
    uint64_t pairs;         /* pair, contig, spsc: operations per sample and thread */
    uint64_t frames;        /* bulk and random free: frames per thread */
    uint64_t arena;         /* frames of the common arena per thread */
    uint64_t churn_frames;  /* frames of churn's arena */
    unsigned churn_divisor; /* of churn's rounds, only one in so many is run */
    uint64_t mixed_frames;  /* the same two of churn-mixed */
    unsigned mixed_divisor;
    uint64_t refusal_frames; /* of refusal's arena */
    uint64_t refusals;       /* at most, in a sample */
    uint64_t refusal_ns;     /* no more of them after so long */
};

/* How an arena looks before the first round; START_OTHER where that is no matter of variants. */
enum start {
    START_OTHER,
    START_COMPACT,  /* runs of all orders, one behind the other */
    START_PEPPERED, /* single frames, thinned at random */
    STARTS,
};

extern const char *const bench_start_names[STARTS];

/* How the runs of a case are movable or not; MOBILITY_NONE where all are not. */
enum mobility {
    MOBILITY_NONE,
    MOBILITY_RANDOM,
    MOBILITY_STREAKS,
};

struct variant {
    unsigned order;   /* churn-mixed: the largest, from 0 on */
    unsigned batch;   /* frames per call */
    unsigned frames;  /* contig: length of the run */
    unsigned fill;    /* churn: percent of the arena that stays allocated */
    enum start start; /* churn-mixed */
    enum mobility mobility;
    unsigned burst; /* burst: runs allocated before they are freed */
    unsigned gib;   /* refusal: of the arena, which must be asked for; 0: as effort says */
};

/* Time and operations of one thread in one sample; see stopwatch.h. */
struct stopwatch {
    uint64_t ns;
    uint64_t ops;
    uint64_t since;
};

/* What one worker thread owns in a run. On lines of its own, so that two never share one. */
struct lane {
    _Alignas(128) unsigned index; /* 0 .. threads-1, the allocators' `thread` */
    uint64_t random;              /* state of random.h */
    quire_pfn *units;             /* the frames that the thread holds */
    uint8_t *orders;              /* of units[], where a case mixes orders */
    size_t count;                 /* used places of units[] */
    uint64_t held;                /* churn-mixed: frames of units[] */
    uint64_t refusals;            /* churn-mixed: in this sample */
    struct stopwatch watch;       /* of this sample */
    struct stopwatch settled;     /* churn: of the last rounds of this sample */
    uint32_t *histogram;          /* latency: how many operations took so many ns */
    uint64_t worst_ns;            /* latency, refusal: the slowest operation */
    uint64_t first_ns;            /* refusal: the first operation */
};

/* What a sample says. NAN where a figure means nothing; figures.c names them. */
enum figure {
    NS_PER_OP,
    SETTLED_NS,  /* churn */
    WHOLE_SHARE, /* churn */
    REFUSALS,    /* churn-mixed: requests refused, of all threads */
    P50_NS,      /* latency, and the next two */
    P9999_NS,
    WORST_NS, /* refusal too */
    FIRST_NS, /* refusal */
    FIGURES,
};

extern const char *const bench_figure_names[FIGURES]; /* as in the JSON */

struct sample {
    double figure[FIGURES];
};

struct barrier {
    unsigned waiting;
    unsigned generation;
};

struct run {
    const struct bench_case *bench;
    const struct variant *variant;
    const struct allocator *allocator;
    const struct effort *effort;
    unsigned threads;
    void *arena;

    /* set by the case's plan() */
    uint64_t arena_frames; /* 0: the case opens its own arenas */
    size_t units_per_lane;
    uint64_t ops; /* per thread and sample */

    struct barrier barrier; /* of the threads of this run */
    void *state;            /* of the case */
    /* churn: WHOLE_SHARE before the first round and after each, by sample; NULL if the allocator
     * cannot tell */
    double *shares;
    size_t share_count; /* of one sample */
    struct lane *lanes; /* threads of them */
    struct sample samples[BENCH_MAX_ROUNDS];
    unsigned sample_count;
    uint64_t sample_ops; /* of one thread in the last sample */
};

/* One case. Functions marked (worker) run in every worker of the run at the same time. */
struct bench_case {
    const char *name;
    const char *what; /* what one operation is */
    const struct variant *variants;
    size_t variant_count;
    unsigned exact_threads; /* 0: any number */
    bool heavy;             /* takes heavy_rounds long samples, and needs no warming up */
    bool fresh;             /* every sample starts from a new arena */
    bool machines;          /* of whole machines and of no other allocator */
    bool objects;           /* of allocators of objects and of no other */
    bool uncounted;         /* instructions would mean nothing: not in --count-only */
    bool (*applies)(const struct allocator *allocator);
    void (*plan)(struct run *run);
    void (*setup)(struct run *run, struct lane *lane);    /* (worker) once, may be NULL */
    void (*sample)(struct run *run, struct lane *lane);   /* (worker) */
    void (*extras)(struct run *run, struct sample *into); /* after each sample, may be NULL */
    void (*teardown)(struct run *run, struct lane *lane); /* (worker) frees all, may be NULL */
};

extern const struct bench_case *const bench_cases[];
extern const size_t bench_case_count;

/* ---- Results ----------------------------------------------------------------------------- */

struct result {
    const struct bench_case *bench;
    const struct variant *variant;
    const struct allocator *allocator;
    unsigned threads;
    unsigned rounds;
    uint64_t ops;           /* per thread and sample */
    double figure[FIGURES]; /* medians of the samples' */
    double min, max;        /* of NS_PER_OP */
    double least_share;     /* of WHOLE_SHARE, NAN if there is none */
    double instructions;    /* per operation, NAN if not counted */
    double *shares;         /* share_count medians of the run's; NULL if it has none */
    size_t share_count;
};

struct results {
    struct result *list;
    size_t count;
};

/* ---- Failing ----------------------------------------------------------------------------- */

/* Say which operation of which run failed, and end the program with status 1. Nothing that fails
 * is ever counted as an operation. Any thread. */
__attribute__((noreturn)) void bench_fail(const struct run *run, const char *operation, int error);

/* The same for what has no run. */
__attribute__((noreturn)) void bench_die(const char *what, const char *detail);

/* calloc that does not fail and whose memory is touched, so that no timed loop faults on it. */
void *bench_memory(size_t count, size_t size);

#endif /* QUIRE_BENCH_H */
