/* SPDX-License-Identifier: MIT
 *
 * frag.h - what the parts of `quire frag` share: one zone of a simulated machine, a load on it, and
 * pictures of what became of its blocks.
 *
 * A machine with one CPU is built over the zones of a map. One zone of it is filled to a share with
 * runs of mixed orders, each order with the same share of the frames; then, round after round, a
 * tenth of the runs is freed at random and replaced, or those are whose lifetime is over. A picture
 * is taken; a compaction moves what it can; another picture is taken.
 *
 *   options.c   the command line
 *   machine.c   the machine, and the zone that is drawn
 *   churn.c     the load, its books, and the mover
 *   picture.c   from frames to cells; figures
 *   draw.c      a picture on a terminal, or as lines of text
 *   svg.c       both pictures as SVG
 *
 * State: one struct frag, of the main thread, which is the only one.
 * Invariants: FD1 runs[0 .. run_count-1] are what the load holds, all of the zone; held[] of a
 * run's first frame, counted from `first`, is its place in runs[] + 1, and 0 of all others. FD2
 * with lifetimes, until the compaction: due[round % FRAG_RING] is the first frame, + 1, of the
 * first run that ends in a round, and `next` of that run names the next one.
 */
#ifndef HOST_HARNESS_FRAG_FRAG_H
#define HOST_HARNESS_FRAG_FRAG_H

#include "host-harness/machines/simulated.h"

#include <stdio.h>

enum {
    FRAG_MAX_ORDER = 10,
    FRAG_COLUMNS = 64, /* cells in a row, unless --columns says otherwise */
    FRAG_ROWS = 32,    /* rows that a picture is to fit */
    FRAG_RING = 2048,  /* rounds that a lifetime has at most */
    FRAG_PEAKS = 50,   /* rounds from peak to peak, in the first half of all */
};

/* How long runs live, in rounds. */
enum frag_lifetimes {
    LIVES_UNIFORM,      /* whoever is drawn ends: a tenth of all in each round */
    LIVES_SHORT,        /* 1 to 8 */
    LIVES_LONG,         /* 200 to 2047 */
    LIVES_GENERATIONAL, /* those of 64 rounds end together, 1 to 3 such times later */
    LIVES_MIXED,        /* half of the requests short, a fifth long, the others generational */
};
enum { FRAG_LIFETIMES = 5 };
extern const char *const frag_lifetime_names[FRAG_LIFETIMES];

/* Frames of a zone, at most: the books have four bytes for each. */
#define FRAG_MAX_FRAMES (UINT64_C(1) << 26)

struct frag_options {
    const char *map;          /* a file, or NULL */
    uint64_t memory;          /* bytes, without a map */
    uint32_t zone;            /* as quire map counts them, or UINT32_MAX: the largest */
    unsigned low, high;       /* orders */
    unsigned fill, unmovable; /* percent */
    unsigned peak;            /* percent in use now and then, or 0 */
    enum frag_lifetimes lifetimes;
    uint64_t rounds, compact; /* ranges to empty, or UINT64_MAX: all */
    unsigned range;           /* their order */
    uint64_t seed;
    unsigned columns;
    bool plain;
    const char *svg, *json; /* files, "-", or NULL */
};

struct frag_run {
    uint64_t pfn;
    uint32_t next; /* FD2 */
    uint8_t order;
    bool movable;
};

/* What a cell is. */
enum frag_cell {
    CELL_HOLE,      /* no memory */
    CELL_WHOLE,     /* free, and not divided */
    CELL_USED,      /* in use as one run, or more than one, of whole blocks */
    CELL_DENSE,     /* divided, at least half in use by movable runs */
    CELL_SPARSE,    /* divided, less than half in use */
    CELL_UNMOVABLE, /* divided, with unmovable runs */
    CELL_CACHED,    /* in use by caches alone */
    CELL_RESERVED,
};
enum { FRAG_CELLS = 8 };

/* How each is shown: a letter, a colour of terminals (of 256; 0: none), one of the web, a word. */
struct frag_look {
    char letter;
    unsigned char colour;
    const char *web, *word;
};
extern const struct frag_look frag_looks[FRAG_CELLS];

/* What a zone was at one moment. */
struct frag_picture {
    const char *name;
    unsigned char *cells; /* enum frag_cell */
    size_t count;         /* of them; as many as rows * columns are drawn */
    uint64_t blocks[FRAG_CELLS];
    uint64_t free, managed;     /* frames */
    uint64_t whole;             /* free whole blocks, */
    uint64_t possible;          /* and those that the free frames could make */
    uint64_t unmovable;         /* blocks with unmovable runs */
    uint64_t sections;          /* of 1 GiB, all of them this zone's memory, */
    uint64_t clean;             /* those without unmovable runs, */
    uint64_t free_sections;     /* and those that are free, */
    uint64_t possible_sections; /* of as many as the free frames could make */
};

struct frag {
    struct frag_options options;
    struct map map;
    struct simulated_machine machine;
    struct quire_machine *quire;
    void *memory;
    size_t memory_bytes;
    struct simulated_zone *zone; /* the one that is drawn */
    uint64_t first, frames;      /* from its first block to its last */
    uint64_t cell_frames;
    uint64_t random;
    struct frag_run *runs;
    size_t run_count, run_room;
    uint32_t *held;
    uint32_t due[FRAG_RING];
    uint64_t round;
    uint64_t held_frames;
    uint64_t refusals;
    struct frag_picture before, after;
    uint64_t moves, won, blockers;
};

/* options.c: CLI_OK, or the exit status after a line on stderr; *help says that help was given. */
int frag_options_parse(struct frag_options *options, int argc, char **argv, bool *help);

/* machine.c: likewise. */
int frag_machine_build(struct frag *f);
void frag_machine_teardown(struct frag *f);

/* churn.c: fill and age the zone; empty as many blocks as the options say. CLI_OK, or CLI_FAILED
 * after a line on stderr. */
int frag_churn(struct frag *f);
int frag_compact(struct frag *f);

/* picture.c: false without memory. */
bool frag_picture_take(struct frag *f, const char *name, struct frag_picture *picture);
/* A line about a picture, without a newline. Returns `text`. */
const char *frag_picture_line(const struct frag_picture *picture, char *text, size_t size);

/* draw.c */
void frag_draw(const struct frag *f, const struct frag_picture *picture, bool coloured, FILE *to);
void frag_draw_legend(const struct frag *f, bool coloured, FILE *to);

/* svg.c: CLI_OK, or CLI_FAILED after a line on stderr. */
int frag_svg(const struct frag *f, const char *path);

#endif /* HOST_HARNESS_FRAG_FRAG_H */
