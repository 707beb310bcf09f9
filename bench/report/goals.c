/* SPDX-License-Identifier: MIT
 *
 * goals.c - the table of goals. A new one is a line. No state.
 */
#include "goals.h"

#include "figures.h"

#include <math.h>

enum kind {
    RATIO,  /* a figure of `allocator` over the same of `against` */
    VALUE,  /* the figure itself */
    SCALING /* two threads over one, over the same of `against` */
};

struct goal {
    enum kind kind;
    const char *bench;
    unsigned threads, order;
    const char *allocator, *against;
    double target;      /* NAN: told for information */
    unsigned fill;      /* churn */
    enum start start;   /* churn-mixed */
    enum figure figure; /* the time per operation, unless it says something else */
    bool at_least;      /* the target is */
    const char *note;
};

#define QUIRE "quire"
#define CACHE "quire-cache"
#define ZONE  "quire-zone"
#define NOMAP "quire-norunmap"
#define CHG   "quire-exchange"
#define HARD  "quire-hardened"
#define BARE  "quire-uncounted"
#define BUDDY "spinlock-buddy"
#define BATCH "batched-buddy"
#define BOUND "bound"
#define LISTS "cached-buddy"
#define SMALL "machine-1"
#define LARGE "machine-64"

/* A pair of an order, called as users call it, at one thread and at two. */
#define PAIR_OF(order)                                       \
    {VALUE, "pair", 1, (order), QUIRE, NULL, .target = 50},  \
    {                                                        \
        VALUE, "pair", 2, (order), QUIRE, NULL, .target = 50 \
    }

/* Objects, over each of the mallocs: so over the best of them. */
#define OBJECTS_OF(bench, threads)                                             \
    {RATIO, bench, (threads), 0, "quire-heap", "mimalloc", .target = 1.2},     \
        {RATIO, bench, (threads), 0, "quire-heap", "jemalloc", .target = 1.2}, \
    {                                                                          \
        RATIO, bench, (threads), 0, "quire-heap", "tcmalloc", .target = 1.2    \
    }

/* The share in whole blocks and the time, of `quire` and of the zone, at two threads and at one. */
#define MIXED_ONE(threads, most, percent, begin, who, of, is, ...)                               \
    {                                                                                            \
        VALUE, "churn-mixed", (threads), (most), who, NULL,                                      \
            .target = (is), .fill = (percent), .start = START_##begin, .figure = of, __VA_ARGS__ \
    }
#define MIXED_AT(threads, most, percent, begin, share, ns, zone_ns)                           \
    MIXED_ONE(threads, most, percent, begin, QUIRE, WHOLE_SHARE, share, .at_least = true),    \
        MIXED_ONE(threads, most, percent, begin, QUIRE, NS_PER_OP, ns, .at_least = false),    \
        MIXED_ONE(threads, most, percent, begin, ZONE, WHOLE_SHARE, share, .at_least = true), \
        MIXED_ONE(threads, most, percent, begin, ZONE, NS_PER_OP, zone_ns, .at_least = false)
#define MIXED(most, percent, begin, share, ns, zone_ns)    \
    MIXED_AT(1, most, percent, begin, share, ns, zone_ns), \
        MIXED_AT(2, most, percent, begin, share, ns, zone_ns)

/* A refusal, the first one and the mean of all others, while frames are freed on another CPU. */
#define REFUSED_ONE(of_order, who, of, which)                                       \
    {                                                                               \
        VALUE, "refusal", 2, (of_order), who, NULL, .target = 50e3, .figure = (of), \
                                                    .note = (which)                 \
    }
#define REFUSED(of_order)                                           \
    REFUSED_ONE(of_order, QUIRE, FIRST_NS, "the first one"),        \
        REFUSED_ONE(of_order, QUIRE, NS_PER_OP, "every other one"), \
        REFUSED_ONE(of_order, ZONE, FIRST_NS, "the first one"),     \
        REFUSED_ONE(of_order, ZONE, NS_PER_OP, "every other one")

static const struct goal goals[] = {
    {RATIO, "pair", 1, 0, BUDDY, "null", .target = 18, .note = "the buddy is an honest one"},

    /* The zone without a cache. "Four (two) nanoseconds on a machine where the locked buddy needs
     * about 15" is a ratio. Where the buddy moves a whole batch under one lock the figures are told
     * for information. */
    {RATIO, "pair", 1, 0, ZONE, BUDDY, .target = 0.8},
    {RATIO, "pair", 2, 0, ZONE, BUDDY, .target = 0.15},
    {VALUE, "bulk-alloc", 1, 0, ZONE, NULL, .target = 4},
    {RATIO, "bulk-alloc", 1, 0, ZONE, BUDDY, .target = 4.0 / 15},
    {VALUE, "bulk-free", 1, 0, ZONE, NULL, .target = 2},
    {RATIO, "bulk-free", 1, 0, ZONE, BUDDY, .target = 2.0 / 15},
    {RATIO, "random-free", 1, 0, ZONE, BUDDY, .target = 0.5},
    {RATIO, "random-free", 2, 0, ZONE, BUDDY, .target = 0.5},
    {RATIO, "random-free-single", 1, 0, ZONE, BUDDY, .target = 0.5},
    {RATIO, "bulk-alloc", 1, 0, ZONE, BATCH, .target = NAN, .note = "one lock a batch"},
    {RATIO, "bulk-free", 1, 0, ZONE, BATCH, .target = NAN, .note = "one lock a batch"},
    {RATIO, "random-free", 1, 0, ZONE, BATCH, .target = NAN, .note = "one lock a batch"},
    {SCALING, "pair", 2, 0, ZONE, "null", .target = 1.15},
    {SCALING, "bulk-alloc", 2, 0, ZONE, "null", .target = 1.15},
    {SCALING, "bulk-free", 2, 0, ZONE, "null", .target = 1.15},
    {SCALING, "random-free", 2, 0, ZONE, "null", .target = 1.15},
    {SCALING, "half-full", 2, 0, ZONE, "null", .target = 1.15},
    {RATIO, "pair", 1, 0, BOUND, BUDDY, .target = NAN, .note = "the locked instructions alone"},
    {RATIO, "pair", 2, 0, BOUND, BUDDY, .target = NAN, .note = "the locked instructions alone"},
    {RATIO, "random-free", 1, 0, BOUND, BUDDY, .target = NAN,
     .note = "the locked instructions alone"},
    {RATIO, "random-free-single", 1, 0, BOUND, BUDDY, .target = NAN,
     .note = "the locked instructions alone"},
    {RATIO, "pair", 1, 0, ZONE, BOUND, .target = NAN, .note = "what the rest costs"},
    {RATIO, "random-free", 1, 0, ZONE, BOUND, .target = NAN, .note = "what the rest costs"},
    {SCALING, "bulk-free", 2, 0, BOUND, "null", .target = NAN, .note = "the machine's own"},
    {SCALING, "random-free", 2, 0, BOUND, "null", .target = NAN, .note = "the machine's own"},
    {RATIO, "pair", 1, 0, ZONE, NOMAP, .target = NAN, .note = "the run map"},
    {RATIO, "pair", 1, 3, ZONE, NOMAP, .target = NAN, .note = "the run map"},
    {RATIO, "bulk-free", 1, 0, ZONE, NOMAP, .target = NAN, .note = "the run map"},
    {RATIO, "random-free", 1, 0, ZONE, NOMAP, .target = NAN, .note = "the run map"},

    /* The caches alone. What is compared with `null` is the cases with a call per frame. */
    {RATIO, "pair", 1, 0, CACHE, "null", .target = 1.7},
    {RATIO, "pair", 2, 0, CACHE, "null", .target = 1.7},
    {RATIO, "bulk-alloc-single", 1, 0, CACHE, "null", .target = 2},
    {RATIO, "bulk-alloc-single", 2, 0, CACHE, "null", .target = 2},
    {RATIO, "bulk-free-single", 1, 0, CACHE, "null", .target = 2},
    {RATIO, "bulk-free-single", 2, 0, CACHE, "null", .target = 2},
    {RATIO, "half-full", 1, 0, CACHE, "null", .target = 1.6},
    {RATIO, "half-full", 2, 0, CACHE, "null", .target = 1.6},

    /* Quire as users call it. */
    {RATIO, "pair", 1, 0, QUIRE, "tcmalloc", .target = 1},
    {RATIO, "pair", 2, 0, QUIRE, "tcmalloc", .target = 1},
    PAIR_OF(1),
    PAIR_OF(2),
    PAIR_OF(3),
    PAIR_OF(4),
    PAIR_OF(5),
    PAIR_OF(6),
    PAIR_OF(7),
    PAIR_OF(8),
    {VALUE, "burst", 1, 3, QUIRE, NULL, .target = 35, .note = "64 at once"},
    {RATIO, "pair", 1, 9, QUIRE, BUDDY, .target = 0.3},
    {RATIO, "pair", 2, 9, QUIRE, BUDDY, .target = 0.3},
    {RATIO, "random-free-single", 1, 0, QUIRE, LISTS, .target = 0.7},
    {RATIO, "random-free-single", 2, 0, QUIRE, LISTS, .target = 0.7},
    {RATIO, "spsc", 2, 0, QUIRE, LISTS, .target = 0.5},
    {RATIO, "bulk-alloc", 1, 0, QUIRE, ZONE, .target = 1.2},
    {RATIO, "bulk-free", 1, 0, QUIRE, ZONE, .target = 1.2},
    {RATIO, "random-free", 1, 0, QUIRE, ZONE, .target = 1.2},
    {VALUE, "contig", 1, 0, QUIRE, NULL, .target = 200, .note = "64 frames"},
    {VALUE, "contig", 2, 0, QUIRE, NULL, .target = 400, .note = "64 frames"},
    {SCALING, "pair", 2, 0, QUIRE, "null", .target = 1.15},
    {SCALING, "pair", 2, 9, QUIRE, "null", .target = 1.15},
    {SCALING, "pair", 2, 9, ZONE, "null", .target = 1.5},
    {SCALING, "bulk-alloc-single", 2, 0, QUIRE, "null", .target = 1.15},
    {SCALING, "bulk-free-single", 2, 0, QUIRE, "null", .target = 1.15},
    {SCALING, "random-free-single", 2, 0, QUIRE, "null", .target = 1.15},
    {SCALING, "half-full", 2, 0, QUIRE, "null", .target = 1.15},
    {RATIO, "latency", 1, 0, QUIRE, "null", .target = 3, .figure = P9999_NS},
    {RATIO, "latency", 2, 0, QUIRE, "null", .target = 3, .figure = P9999_NS},

    /* The heap of kernel-port/heap. */
    {RATIO, "heap-pair", 1, 0, "quire-heap", "tcmalloc", .target = 1},
    {RATIO, "heap-pair", 2, 0, "quire-heap", "tcmalloc", .target = 1},
    OBJECTS_OF("heap-mixed", 1),
    OBJECTS_OF("heap-mixed", 2),
    OBJECTS_OF("heap-larson", 1),
    OBJECTS_OF("heap-larson", 2),
    OBJECTS_OF("heap-spsc", 2),

    {RATIO, "pair", 1, 0, QUIRE, CACHE, .target = NAN, .note = "the way through the machine"},
    {RATIO, "half-full", 1, 0, QUIRE, CACHE, .target = NAN, .note = "the way through the machine"},
    {RATIO, "pair", 1, 0, CHG, QUIRE, .target = NAN, .note = "ownership by exchange"},
    {RATIO, "pair", 1, 3, CHG, QUIRE, .target = NAN, .note = "ownership by exchange"},
    {RATIO, "pair", 1, 9, CHG, QUIRE, .target = NAN, .note = "ownership by exchange"},
    {RATIO, "half-full", 1, 0, CHG, QUIRE, .target = NAN, .note = "ownership by exchange"},
    {RATIO, "pair", 1, 0, HARD, QUIRE, .target = NAN, .note = "the hardened build"},
    {RATIO, "half-full", 1, 0, HARD, QUIRE, .target = NAN, .note = "the hardened build"},
    {RATIO, "pair", 1, 0, QUIRE, BARE, .target = NAN, .note = "statistics"},
    {RATIO, "half-full", 1, 0, QUIRE, BARE, .target = NAN, .note = "statistics"},

    /* Runs of mixed orders: whole blocks kept, or made; what it costs; what a refusal costs. */
    MIXED(1, 50, COMPACT, 0.99, 60, 150),
    MIXED(1, 80, COMPACT, 0.97, 60, 150),
    MIXED(3, 50, COMPACT, 0.99, 60, 150),
    MIXED(3, 80, COMPACT, 0.97, 60, 150),
    MIXED(8, 50, COMPACT, 0.95, 100, 200),
    MIXED(8, 80, COMPACT, 0.85, 100, 200),
    MIXED(3, 50, PEPPERED, 0.90, 200, 200),
    MIXED(8, 50, PEPPERED, 0.50, 200, 200),
    {RATIO, "churn-mixed", 1, 8, QUIRE, BUDDY, .target = 1, .fill = 50, .start = START_PEPPERED,
     .figure = REFUSALS},
    /* At two threads single frames are freed and allocated beside it at full speed. */
    REFUSED(1),
    REFUSED(3),
    REFUSED(9),
    {VALUE, "refusal", 1, 3, QUIRE, NULL, .target = 500},
    {VALUE, "refusal", 1, 9, QUIRE, NULL, .target = 500},

    /* A hit must cost the same however large the machine is. */
    {RATIO, "machine", 1, 0, LARGE, SMALL, .target = 1.1},
    {RATIO, "machine", 2, 0, LARGE, SMALL, .target = 1.1},

    /* Healing, and what it may cost. */
    {VALUE, "churn", 2, 0, QUIRE, NULL, .target = 0.97, .fill = 50, .figure = WHOLE_SHARE,
     .at_least = true},
    {VALUE, "churn", 2, 0, QUIRE, NULL, .target = 0.90, .fill = 80, .figure = WHOLE_SHARE,
     .at_least = true},
    {VALUE, "churn", 2, 0, QUIRE, NULL, .target = 0.95, .fill = 90, .figure = WHOLE_SHARE,
     .at_least = true},
    {RATIO, "churn", 2, 0, QUIRE, ZONE, .target = 1, .fill = 95, .figure = WHOLE_SHARE,
     .at_least = true},
    {RATIO, "churn", 1, 0, QUIRE, ZONE, .target = 1, .fill = 95, .figure = WHOLE_SHARE,
     .at_least = true},
    {VALUE, "churn", 2, 0, QUIRE, NULL, .target = 20, .fill = 50, .figure = NS_PER_OP},
    {VALUE, "churn", 2, 0, QUIRE, NULL, .target = 8, .fill = 50, .figure = SETTLED_NS},
};

static double value(const struct results *results, const struct goal *goal, const char *allocator,
                    unsigned threads)
{
    const struct result *r = results_find(results, goal->bench, allocator, threads, goal->order,
                                          goal->fill, goal->start);

    return r ? r->figure[goal->figure] : NAN;
}

static double measured(const struct results *results, const struct goal *goal)
{
    double own = value(results, goal, goal->allocator, goal->threads);

    switch (goal->kind) {
    case VALUE:
        return own;
    case RATIO:
        return own / value(results, goal, goal->against, goal->threads);
    case SCALING:
        return own / value(results, goal, goal->allocator, 1) /
               (value(results, goal, goal->against, goal->threads) /
                value(results, goal, goal->against, 1));
    }
    return NAN;
}

static void say_what(const struct goal *goal, char *text, size_t size)
{
    char of[32] = "", over[64] = "";

    if (goal->start != START_OTHER) {
        (void)snprintf(of, sizeof(of), " 0-%u at %u %% %s", goal->order, goal->fill,
                       bench_start_names[goal->start]);
    } else if (goal->order) {
        (void)snprintf(of, sizeof(of), " of order %u", goal->order);
    } else if (goal->fill) {
        (void)snprintf(of, sizeof(of), " at %u %%", goal->fill);
    }
    if (goal->kind == RATIO) {
        (void)snprintf(over, sizeof(over), " over %s", goal->against);
    } else if (goal->kind == SCALING) {
        (void)snprintf(over, sizeof(over), " over 1 thread, net of %s", goal->against);
    }
    (void)snprintf(text, size, "%s: %s%s, %s, %u thread%s%s%s%s%s", goal->allocator, goal->bench,
                   of, bench_figure_names[goal->figure], goal->threads,
                   goal->threads > 1 ? "s" : "", over, goal->note ? " (" : "",
                   goal->note ? goal->note : "", goal->note ? ")" : "");
}

bool goals_next(const struct results *results, size_t *index, struct goal_report *report)
{
    while (*index < sizeof(goals) / sizeof(goals[0])) {
        const struct goal *goal = &goals[(*index)++];
        double is = measured(results, goal);

        if (isfinite(is)) {
            *report = (struct goal_report){
                .measured = is,
                .target = goal->target,
                .at_least = goal->at_least,
                .reached = goal->at_least ? is >= goal->target : is <= goal->target,
                .unit = goal->kind == VALUE && goal->figure != WHOLE_SHARE ? "ns" : "x",
            };
            say_what(goal, report->what, sizeof(report->what));
            return true;
        }
    }
    return false;
}
