/* SPDX-License-Identifier: MIT
 *
 * state.h - what a heap consists of. Private to kernel-port/heap.
 *
 *   frame table  a word for each frame: 0, the number and class of the slab that has it, or, of
 *                the first frame of an object that is a run, RUN with order and node
 *   slabs        descriptors, beside the memory, in one array that never moves: who looks at a
 *                descriptor too late still looks at a descriptor
 *   marks        a byte for each object: it was handed out, and not freed (magazine.h)
 *   classes      size, objects a slab, order: constant while the class is in use
 *   bins         the slabs of a class that were asked for on one node
 *   CPU bins     of each CPU, for each bin: the slab that it takes from, and its spare
 *   partial      of up to BIN_STACKS sets of CPUs, for each bin: the slabs with free objects
 *   magazines    of each CPU and class (magazine.h)
 *
 * Invariants:
 *   HE1  A slab's words of the frame table are set before an object of it is handed out, and
 *        cleared before its frames go back.
 *   HE2  A descriptor belongs to one bin until its object cache ends: so a taker that read its
 *        number long ago takes an object of the class that it wants, or none.
 *   HE3  A slab with more than SLAB_MARKS objects has as many descriptors in a row as it takes for
 *        their marks; it is known by the first, and the others have no owner.
 */
#ifndef QUIRE_HEAP_STATE_H
#define QUIRE_HEAP_STATE_H

#include "core/frame_byte.h"
#include "core/word.h"
#include "percpu/arch/rseq.h"
#include "percpu/stack.h"

#include <quire/heap.h>

#ifdef QUIRE_CPU_HEADER /* see percpu/fastpath.h */
#include QUIRE_CPU_HEADER
#endif

enum {
    SLAB_WORDS = 4, /* of a slab's map */
    SLAB_OBJECTS = SLAB_WORDS * WORD_BITS,
    SLAB_MARKS_SHIFT = 7,
    /* Of a descriptor. They are written by each call, and processors fetch lines in pairs. */
    SLAB_MARKS = 1 << SLAB_MARKS_SHIFT,
    SLAB_ORDER_MOST = 3,
    SLABS_MOST = (1 << 24) - 1, /* what a stack of numbers can name */
    OBJECT_LEAST = 16,
    SMALL_MOST = 4096, /* bytes whose class is looked up */
    SECTION_FRAMES_SHIFT = 18,
    HEAP_NODE_BITS = 6,
    BIN_STACKS = 64,      /* of a bin, at most, for its CPUs: a power of two */
    PARTIAL_FRAMES = 128, /* of slabs in a stack, at most, that other CPUs leave there */
    PARTIAL_SHARE = 1024, /* and they are no larger part of all frames */
    /* The same of all stacks of a bin. */
    PARTIAL_ALL = 1024,
    PARTIAL_SHARE_ALL = 128,
    DEAD_MOST = 8, /* dead slabs of a bin that are not looked for in other CPUs' stacks,
                    * besides one for each CPU */
};

/* What `place` says. LISTED: somebody has the slab as a hint: a stack, a CPU, or a call on the
 * way from one to the other. DEAD: it has no frames. */
enum { SLAB_LISTED = 1u << 0, SLAB_DEAD = 1u << 1 };

struct slab {
    struct stack_node node; /* extra: the stack that it is listed in, of the CPU that it was
                             * active on */
    qa32 place;             /* SLAB_LISTED, SLAB_DEAD */
    qa32 owner;             /* 0, or the bin as `slab_owner` writes it */
    qa64 map[SLAB_WORDS];   /* a set bit is taken; words and bits beyond the objects are set */
    unsigned char *at;      /* the first object */
} __attribute__((aligned(64)));

struct size_class {
    uint32_t size, objects;
    uint32_t reciprocal; /* 2^32 / size, rounded up */
    uint32_t mask;       /* the bytes of a slab, which is aligned to them, less one */
    uint32_t order, words;
    uint32_t usable;            /* bytes of an object cache's object that are its owner's */
    bool of_reserve;            /* its slabs come from the reserve, and are for emergencies */
    qa32 visitors;              /* of an object cache: calls that look at all slabs */
    qa32 in_use;                /* of an object cache: CLASS_FREE and so on */
    uint64_t empty[SLAB_WORDS]; /* the map of a slab of which no object is taken */
    void (*construct)(void *ctx, void *object);
    void *ctx;
    const char *name;
} __attribute__((aligned(64)));
enum { CLASS_FREE = 0, CLASS_MADE = 1, CLASS_IN_USE = 2 };

/* What some CPUs, those that have one number modulo a power of two, have of a bin. It is written
 * where slabs come and go, so that of other CPUs lies on other lines. */
struct partial_slabs {
    struct stack stack; /* slabs that had free objects, or are dead */
    qa32 count;         /* of these, or more: counted before the push, uncounted after the pop */
    qa64 moves;         /* how often these CPUs made objects free, or gave frames back */
};

struct bin {
    struct stack unused; /* dead slabs */
    qa32 dead;           /* others, a hint: they are still where they were listed */
    uint32_t number;     /* of this bin, as slab_owner */
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

/* A word of the frame table: 0, or what the frame is of, and above that a number: of its slab; of a
 * run's first frame, order and node. The kind is a byte, the number of the magazine for what is
 * freed there, which a free compares with that of the magazine that it expects. */
enum {
    FRAME_CLASS = 1,                                /* the first size class, and so on */
    FRAME_CACHE = FRAME_CLASS + QUIRE_HEAP_CLASSES, /* an object cache, or the heap's own class */
    FRAME_RUN,
    FRAME_KINDS,
    FRAME_KIND_BITS = 8,
    FRAME_MARKS_SHIFT = FRAME_KIND_BITS - SLAB_MARKS_SHIFT,
    RUN_ORDER_BITS = 8, /* of a run's number; the node above them */
};

struct heap {
    /* What hits read comes first; what a free reads, but for `magazine_offsets` and `magazines`,
     * is in one line. */
    uintptr_t window_base;  /* the address of the longest stretch of frames without a hole */
    uint64_t window_frames; /* in it; any slab may begin with the first one */
    qa32 *window;           /* its part of the frame table */
    qa8 *marks;             /* SLAB_MARKS for each descriptor, by number: the first is nobody's */
    size_t rseq_cpus;       /* magazine.cpus in rseq mode, else 0 */
    struct quire_cache magazine; /* mode and CPUs of the magazines, for their owners; no more */
    size_t small_most;           /* bytes of what a hit may allocate; 0: it is watched */
    /* Where the magazines of a kind begin, in bytes from a CPU's first one. */
    uint32_t magazine_offsets[FRAME_KINDS];
    uint32_t small[SMALL_MOST / OBJECT_LEAST]; /* the same for sizes up to SMALL_MOST, by 16 */

    uint64_t window_first;
    struct size_class *classes;
    struct slab *slabs;
    struct quire_machine *machine;
    const struct quire_kinds *kinds; /* NULL: the heap's frames are not counted there */
    struct quire_heap_port port;
    uintptr_t base; /* of the direct map */
    uint32_t cpus, nodes, class_count, slab_most;
    uint32_t issuer_cpu_bits; /* bits of an issuer that say the CPU: magazine.h */
    uint64_t first_section, section_count;
    struct heap_section *sections;
    qa32 *frames; /* the frame table */
    struct stack_nodes nodes_of_slabs;
    struct bin *bins;        /* class by class, in it node by node */
    uint32_t stack_mask;     /* stacks of a bin, a power of two, less one */
    uint32_t partial_frames; /* of slabs in a stack: what other CPUs leave there */
    unsigned char *partials;
    size_t partial_stride; /* bytes of all bins' */
    unsigned char *cpu_bins;
    size_t cpu_stride;       /* bytes of a CPU's */
    struct run_figures *run; /* by node */
    /* Descriptors of object caches that have ended, by how many are in a row (HE3). */
    struct stack pool[SLAB_OBJECTS / SLAB_MARKS];
    uint32_t rounds;                   /* of a magazine, at most; 0: there are none */
    qa32 slab_count;                   /* descriptors that were ever used */
    uint8_t steps[QUIRE_HEAP_CLASSES]; /* the class of each step of sizes */
    struct watch *watch;               /* watch.h; NULL: nobody asks who holds what */
    qa64 *reserve;                     /* first frames of its runs, plus 1; 0: none */
    uint32_t reserve_runs, reserve_class;
    uint64_t share;             /* frames; 0: without end */
    qa64 held;                  /* frames of the machine, those charged in advance included */
    qa64 granted, granted_most; /* for the figures of a heap with a share: frames that it has */
    qa64 share_refusals;
    unsigned char *magazines[]; /* of each CPU: see magazine.h */
};

enum { RESERVE_ORDER = SLAB_ORDER_MOST, RESERVE_CLASSES = 8, RESERVE_LEAST = 128 };

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

/* Of a slab, for its marks (HE3). */
static inline uint32_t descriptors_of(const struct size_class *c)
{
    return (c->objects + SLAB_MARKS - 1) / SLAB_MARKS;
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

static inline struct partial_slabs *partial_at(const struct heap *h, uint32_t stack, uint32_t index)
{
    void *partials = h->partials + stack * h->partial_stride;

    return (struct partial_slabs *)partials + index;
}

/* The CPU that the caller is on, as the port tells it. */
static inline uint32_t cpu_of_port(const struct heap *h)
{
#ifdef QUIRE_CPU_HEADER
    (void)h;
    return quire_this_cpu();
#else
    return h->port.cpu ? h->port.cpu(h->port.ctx) : 0;
#endif
}

/* The CPU whose active slabs the caller uses. */
static inline uint32_t cpu_now(const struct heap *h)
{
    uint32_t cpu;

#if QUIRE_RSEQ
    cpu = h->magazine.without_rseq ? cpu_of_port(h) : rseq_cpu_here(&h->magazine);
#else
    cpu = cpu_of_port(h);
#endif
    return cpu < h->cpus ? cpu : 0;
}

/* The frame's word by its section, NULL if the table has none. */
static inline qa32 *frame_word_of_section(const struct heap *h, uint64_t pfn)
{
    uint64_t section = (pfn >> SECTION_FRAMES_SHIFT) - h->first_section, frame;
    const struct heap_section *s;

    if (section >= h->section_count)
        return NULL;
    s = &h->sections[section];
    frame = (pfn & (((uint64_t)1 << SECTION_FRAMES_SHIFT) - 1)) - s->first;
    return frame < s->frames ? h->frames + s->at + frame : NULL;
}

/* The frame's word, NULL if the table has none. */
static inline qa32 *frame_word(const struct heap *h, uint64_t pfn)
{
    uint64_t at = pfn - h->window_first;

    return __builtin_expect(at < h->window_frames, 1) ? h->window + at
                                                      : frame_word_of_section(h, pfn);
}

static inline uint32_t frame_word_of(uint32_t number, uint32_t kind)
{
    return number << FRAME_KIND_BITS | kind; /* fits: SLABS_MOST */
}

/* What a frame is of, by its word. */
static inline uint8_t frame_kind(uint32_t word)
{
    return (uint8_t)word;
}

static inline uint32_t frame_number(uint32_t word)
{
    return word >> FRAME_KIND_BITS;
}

/* What the frame table says of a slab's frames; the number of the slab that a word names. */
static inline uint32_t slab_frame_word(uint32_t number, uint32_t class_number)
{
    return frame_word_of(number, class_number < QUIRE_HEAP_CLASSES ? FRAME_CLASS + class_number
                                                                   : (uint32_t)FRAME_CACHE);
}

static inline uint32_t frame_slab(uint32_t word)
{
    return frame_number(word);
}

/* The same of a run's first frame. */
static inline uint32_t run_frame_word(unsigned order, uint32_t node)
{
    return frame_word_of(node << RUN_ORDER_BITS | order, FRAME_RUN);
}

static inline unsigned run_order(uint32_t word)
{
    return frame_number(word) & (((uint32_t)1 << RUN_ORDER_BITS) - 1);
}

static inline uint32_t run_node(uint32_t word)
{
    return frame_number(word) >> RUN_ORDER_BITS;
}

/* The mark of an object of a slab. */
static inline qa8 *mark_of(const struct heap *h, uint32_t number, unsigned index)
{
    return h->marks + (number * SLAB_MARKS + index); /* fits: SLABS_MOST */
}

static inline uint64_t pfn_of_address(const struct heap *h, const void *at)
{
    return ((uintptr_t)at - h->base) >> QUIRE_FRAME_SHIFT;
}

static inline unsigned char *address_of_pfn(const struct heap *h, quire_pfn pfn)
{
    uintptr_t address = h->base + (uintptr_t)quire_phys(pfn);

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
int qi_object_put(struct heap *h, struct slab *s, unsigned index);
/* Free those of word `w` of the map that `mine` names, as far as they are not. Frames that went. */
uint64_t qi_objects_put(struct heap *h, struct slab *s, unsigned w, uint64_t mine);
/* Give a slab back if it is empty; frames that went, those of its records too. Give all that are
 * back. */
uint64_t qi_slab_retire(struct heap *h, struct slab *s);
uint64_t qi_slabs_trim(struct heap *h);
/* The class stays what it is until it is left. False: it is no class just now. */
bool qi_class_visit(struct heap *h, uint32_t class_number);
void qi_class_leave(struct heap *h, uint32_t class_number);
/* All objects of the class are free and nobody is in a call about it: its slabs go back, and its
 * descriptors are everybody's. */
void qi_class_end(struct heap *h, uint32_t class_number);

/* frames.c */

/* A run for the heap, which has words of the frame table. */
int qi_frames_get(struct heap *h, unsigned order, uint32_t node, uint32_t flags, quire_pfn *pfn);
/* Give a run back: to the reserve if that lacks one, else to the machine, whose answer it is. */
int qi_frames_put(struct heap *h, quire_pfn pfn, unsigned order);
/* A run of the reserve. QUIRE_ERR_NO_MEMORY: it has none. */
int qi_reserve_get(struct heap *h, quire_pfn *pfn);
/* Have all runs of the reserve; what was had is given back after an error. */
int qi_reserve_fill(struct heap *h);
/* A class of the reserve: slabs of its runs, for objects of 128 bytes or more. */
void qi_reserve_fit(struct size_class *c, uint32_t size);
/* An object for an emergency that was refused by `error`, which comes back if there is none. */
int qi_reserve_take(struct heap *h, uint32_t class_number, uint32_t node, uint32_t flags, int error,
                    void **object);

/* records.c: the slab has no object any more, and is claimed. Frames that went with its records. */
uint64_t qi_records_clear(struct heap *h, const struct slab *s);
/* What walks kept goes, if none is under way. Frames that went. */
uint64_t qi_records_collect(struct heap *h);
/* The slab, which is dead and the caller's, leaves its class: its records are of another size. */
void qi_records_disown(struct heap *h, const struct slab *s);
/* magazine_flush.c: before a request is refused: empty all magazines, as far as the flags permit,
 * and give empty slabs back; in the step after that the quarantine, too, which goes last. Was there
 * anything? */
enum { GIVE_BACK_STEPS = 2 };
bool qi_heap_give_back(struct heap *h, uint32_t flags, unsigned step);

/* figures.c: what the slabs of a class, which does not end meanwhile, have on a node. */
void qi_class_count(const struct heap *h, uint32_t class_number, quire_node node,
                    struct quire_heap_stats *stats);
/* Those of an object cache that begins, whose class is the caller's: nothing of the one before. */
void qi_class_figures_begin(struct heap *h, uint32_t class_number);

/* classes.c: the bytes of a step's objects, at least. Fill in what follows from the size, a
 * multiple of 16 up to QUIRE_HEAP_SLAB_MOST. */
uint32_t qi_step_bytes(unsigned step);
void qi_class_fit(struct size_class *c, uint32_t size);
/* Only what follows from the number of objects. */
void qi_class_map(struct size_class *c);
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

/* The step whose class serves `bytes`: that one, or the one before, if its class is wide enough. */
static inline unsigned step_of(const struct heap *h, size_t bytes)
{
    unsigned step = size_step(bytes);

    return step > 0 && h->classes[h->steps[step - 1]].size >= bytes ? step - 1 : step;
}

#endif /* QUIRE_HEAP_STATE_H */
