/* SPDX-License-Identifier: MIT
 *
 * state.h - what a heap consists of. Private to kernel-port/heap.
 *
 *   frame table  a word for each frame: 0, the number of the slab that has it, or, of the first
 *                frame of an object that is a run, RUN with order and node
 *   slabs        descriptors, beside the memory, in one array that never moves: who looks at a
 *                descriptor too late still looks at a descriptor
 *   classes      size, objects a slab, order: constant while the class is in use
 *   bins         the slabs of a class that were asked for on one node
 *   CPU bins     of each CPU, for each bin: the slab that it takes from, and its spare
 *
 * Invariants:
 *   HE1  A slab's words of the frame table are set before an object of it is handed out, and
 *        cleared before its frames go back.
 *   HE2  A descriptor belongs to one bin until its object cache ends: so a taker that read its
 *        number long ago takes an object of the class that it wants, or none.
 */
#ifndef QUIRE_HEAP_STATE_H
#define QUIRE_HEAP_STATE_H

#include "core/atomic.h"
#include "core/word.h"
#include "percpu/stack.h"

#include <quire/heap.h>

enum {
    SLAB_WORDS = 4, /* of a slab's map */
    SLAB_OBJECTS = SLAB_WORDS * WORD_BITS,
    SLAB_ORDER_MOST = 3,
    SLABS_MOST = (1 << 24) - 1, /* what a stack of numbers can name */
    OBJECT_LEAST = 16,
    SECTION_FRAMES_SHIFT = 18,
    HEAP_NODE_BITS = 6,
};

/* What `place` says. LISTED: somebody has the slab as a hint: a stack, a CPU, or a call on the
 * way from one to the other. DEAD: it has no frames. */
enum { SLAB_LISTED = 1u << 0, SLAB_DEAD = 1u << 1 };

struct slab {
    struct stack_node node;
    qa32 place;           /* SLAB_LISTED, SLAB_DEAD */
    qa32 owner;           /* 0, or the bin as `slab_owner` writes it */
    qa64 map[SLAB_WORDS]; /* a set bit is taken; words and bits beyond the objects are set */
    unsigned char *at;    /* the first object */
} __attribute__((aligned(64)));

struct size_class {
    uint32_t size, objects, order, words;
    uint32_t reciprocal;        /* 2^32 / size, rounded up */
    qa32 visitors;              /* of an object cache: calls that look at all slabs */
    qa32 in_use;                /* of an object cache: CLASS_FREE and so on */
    uint64_t empty[SLAB_WORDS]; /* the map of a slab of which no object is taken */
    void (*construct)(void *ctx, void *object);
    void *ctx;
    const char *name;
};
enum { CLASS_FREE = 0, CLASS_MADE = 1, CLASS_IN_USE = 2 };

struct bin {
    struct stack partial; /* slabs that had free objects, or are dead */
    struct stack unused;  /* dead ones */
    uint32_t number;      /* of this bin, as slab_owner */
    qa64 refusals;
} __attribute__((aligned(64)));

/* What a CPU has of a bin: numbers of slabs, or 0. */
struct cpu_bin {
    qa32 active; /* takes come from there */
    qa32 spare;  /* the one that ran empty last, by a put on this CPU */
};

struct run_figures {
    qa64 runs, frames, refusals;
};

/* The part of a section that the frame table has words for. */
struct heap_section {
    uint32_t first, frames;
    uint64_t at; /* of the first one's word */
};

#define FRAME_RUN ((uint32_t)1 << 31) /* of the frame table: | node << 8 | order */

struct heap {
    struct quire_machine *machine;
    struct quire_heap_port port;
    uint32_t cpus, nodes, class_count, slab_most;
    uint64_t first_section, section_count;
    struct heap_section *sections;
    qa32 *frames; /* the frame table */
    struct slab *slabs;
    struct stack_nodes nodes_of_slabs;
    struct size_class *classes;
    struct bin *bins; /* class by class, in it node by node */
    unsigned char *cpu_bins;
    size_t cpu_stride;                 /* bytes of a CPU's */
    struct run_figures *run;           /* by node */
    struct stack pool;                 /* descriptors of object caches that have ended */
    qa32 slab_count;                   /* descriptors that were ever used */
    uint8_t steps[QUIRE_HEAP_CLASSES]; /* the class of each step of sizes */
};

enum {
    HEAP_PASSED_ON = QUIRE_HIGH | QUIRE_EMERGENCY | QUIRE_NO_CALLBACK,
    HEAP_FLAGS = HEAP_PASSED_ON | QUIRE_ZEROED,
};

static inline uint32_t slab_owner(uint32_t class_number, uint32_t node)
{
    return 1 + (class_number << HEAP_NODE_BITS | node);
}

static inline uint32_t owner_class(uint32_t owner)
{
    return (owner - 1) >> HEAP_NODE_BITS;
}

static inline uint32_t owner_node(uint32_t owner)
{
    return (owner - 1) & ((1u << HEAP_NODE_BITS) - 1);
}

static inline uint32_t bin_index(const struct heap *h, uint32_t class_number, uint32_t node)
{
    return class_number * h->nodes + node;
}

static inline struct slab *slab_of(const struct heap *h, uint32_t number)
{
    return h->slabs + (number - 1);
}

static inline struct cpu_bin *cpu_bin_of(const struct heap *h, uint32_t cpu, uint32_t index)
{
    void *cpu_bins = h->cpu_bins + cpu * h->cpu_stride;

    return (struct cpu_bin *)cpu_bins + index;
}

/* The CPU that the caller is on. */
static inline uint32_t cpu_now(const struct heap *h)
{
    uint32_t cpu = h->port.cpu ? h->port.cpu(h->port.ctx) : 0;

    return cpu < h->cpus ? cpu : 0;
}

/* The frame's word, NULL if the table has none. */
static inline qa32 *frame_word(const struct heap *h, uint64_t pfn)
{
    uint64_t section = (pfn >> SECTION_FRAMES_SHIFT) - h->first_section, frame;
    const struct heap_section *s;

    if (section >= h->section_count)
        return NULL;
    s = &h->sections[section];
    frame = (pfn & (((uint64_t)1 << SECTION_FRAMES_SHIFT) - 1)) - s->first;
    return frame < s->frames ? h->frames + s->at + frame : NULL;
}

static inline uint64_t pfn_of_address(const struct heap *h, const void *at)
{
    return ((uintptr_t)at - h->port.reach.base) >> QUIRE_FRAME_SHIFT;
}

static inline unsigned char *address_of_pfn(const struct heap *h, quire_pfn pfn)
{
    uintptr_t address = h->port.reach.base + (uintptr_t)quire_phys(pfn);

    return (unsigned char *)address;
}

static inline void *object_at(const struct size_class *c, const struct slab *s, unsigned index)
{
    return s->at + (size_t)(index * c->size);
}

/* slab.c */

/* An object of the class, for the node, or why there is none. */
int qi_object_take(struct heap *h, uint32_t class_number, uint32_t node, uint32_t flags,
                   void **object);
/* As many objects as one exchange gets of the CPU's active slab, up to `most`; may be none. */
size_t qi_objects_take(struct heap *h, uint32_t class_number, uint32_t node, size_t most,
                       void *objects[]);
/* Free object `index` of a slab of the class. QUIRE_ERR_DOUBLE_FREE: it is free. */
int qi_object_put(struct heap *h, const struct size_class *c, struct slab *s, unsigned index);
/* Give a slab back if it is empty; how many frames it had. Give all that are back. */
uint64_t qi_slab_retire(struct heap *h, struct slab *s);
uint64_t qi_slabs_trim(struct heap *h);
/* The class stays what it is until it is left. False: it is no class just now. */
bool qi_class_visit(struct heap *h, uint32_t class_number);
void qi_class_leave(struct heap *h, uint32_t class_number);
/* All objects of the class are free and nobody is in a call about it: its slabs go back, and its
 * descriptors are everybody's. */
void qi_class_end(struct heap *h, uint32_t class_number);

/* figures.c: what the slabs of a class, which does not end meanwhile, have on a node. */
void qi_class_count(const struct heap *h, uint32_t class_number, quire_node node,
                    struct quire_heap_stats *stats);

/* classes.c: fill in what follows from the size, a multiple of 16 up to QUIRE_HEAP_SLAB_MOST. */
void qi_class_fit(struct size_class *c, uint32_t size);
void qi_classes_build(struct heap *h);

/* The step of sizes that has `bytes`, 1 .. QUIRE_HEAP_SLAB_MOST: by 16 up to 128, then eight to
 * each power of two. */
static inline unsigned size_step(size_t bytes)
{
    uint32_t last = (uint32_t)bytes - 1;
    unsigned high;

    if (last < 128)
        return last >> 4;
    high = word_last(last);
    return 8 * (high - 6) + (last >> (high - 3)) - 8;
}

#endif /* QUIRE_HEAP_STATE_H */
