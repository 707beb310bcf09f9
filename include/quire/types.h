/* SPDX-License-Identifier: MIT
 *
 * types.h - the words that every part of Quire shares: frames, runs, slots, errors, flags.
 *
 * Units. A *frame* is 4 KiB of physical memory, named by its page frame number (pfn), which is
 * the physical address divided by 4096. An *order* k means 2^k frames, aligned to 2^k frames. A
 * *block* is 512 frames (2 MiB, order 9), a *section* is 512 blocks (1 GiB, order 18). Sizes of
 * runs are in frames, physical addresses and alignments of device constraints are in bytes; the
 * parameter names say which.
 *
 * Ids that could be mixed up with a plain number are structures with one member, so that the
 * compiler refuses a byte address where a pfn is wanted.
 *
 * No state here; every function is a pure computation: wait-free, any context.
 */
#ifndef QUIRE_TYPES_H
#define QUIRE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    QUIRE_FRAME_SHIFT = 12,
    QUIRE_FRAME_SIZE = 1 << QUIRE_FRAME_SHIFT,
    QUIRE_MAX_ORDER = 20,  /* 4 GiB, the largest power-of-two run */
    QUIRE_BLOCK_ORDER = 9, /* a block: what is isolated, taken offline and mapped as a huge page */
    QUIRE_PFN_BITS = 40,   /* physical addresses are below 2^52: what x86-64 and arm64 define */
};

/* A page frame number. */
typedef struct quire_pfn {
    uint64_t n;
} quire_pfn;

/* A slot of a zone (see zone.h), 0 .. slots-1 of its configuration. */
typedef struct quire_slot {
    uint32_t n;
} quire_slot;

/* `frames` frames from `pfn` upwards. */
struct quire_run {
    quire_pfn pfn;
    uint64_t frames;
};

static inline quire_pfn quire_pfn_of(uint64_t n)
{
    quire_pfn p = {n};
    return p;
}

static inline quire_slot quire_slot_of(uint32_t n)
{
    quire_slot s = {n};
    return s;
}

/* The frame that holds the physical byte address `phys`. */
static inline quire_pfn quire_pfn_of_phys(uint64_t phys)
{
    return quire_pfn_of(phys >> QUIRE_FRAME_SHIFT);
}

/* The physical byte address of the first byte of a frame. */
static inline uint64_t quire_phys(quire_pfn pfn)
{
    return pfn.n << QUIRE_FRAME_SHIFT;
}

/* Every function that can fail returns 0 or one of these negative numbers. One meaning each. */
enum quire_error {
    QUIRE_OK = 0,
    QUIRE_ERR_NO_MEMORY = -1,    /* fewer frames are free above the request's floor, or none fit: in
                                  * all of the memory that the callee has */
    QUIRE_ERR_SIZE = -2,         /* a number out of its range: order, count, index, length */
    QUIRE_ERR_ALIGN = -3,        /* an address or alignment that is not what its unit asks */
    QUIRE_ERR_NODE = -4,         /* the node asked for does not exist or has no memory */
    QUIRE_ERR_ZONE = -5,         /* the same as NO_MEMORY, in those zones to which the request or
                                  * its policy confines itself: others may have some (machine.h) */
    QUIRE_ERR_FRAME = -6,        /* a frame that is not managed here, or is reserved; a pointer
                                  * into such a one */
    QUIRE_ERR_DOUBLE_FREE = -7,  /* a frame, or an object, that is not allocated */
    QUIRE_ERR_ORDER = -8,        /* allocated, but as a part of another run or with another order */
    QUIRE_ERR_BUSY = -9,         /* the range is in use: not to be taken, reserved or joined */
    QUIRE_ERR_INITIALISED = -10, /* set up already: too late for this call */
    QUIRE_ERR_UNSUPPORTED = -11, /* a flag, kind, mode or format that is not known here, not built
                                  * in, or for which the port has no function */
    QUIRE_ERR_FULL = -12,        /* a table, an array or the range of an address space has no room
                                  * for another entry */
    QUIRE_ERR_STATE = -13,       /* not set up, or not any more: too early for this call */
    QUIRE_ERR_DAMAGED = -14,     /* what was checked contradicts itself */
    QUIRE_ERR_ADDRESS = -15,     /* a byte address that does not exist: a sum that wraps around, not
                                  * canonical, or out of the reach of the page table's format, or of
                                  * the address space */
    QUIRE_ERR_MAPPED = -16,      /* a page of the range is mapped, or reserved, already */
    QUIRE_ERR_UNMAPPED = -17,    /* a page of the range is not mapped */
    QUIRE_ERR_LARGE = -18,       /* a page of the range is a part of a larger one, which the call
                                  * was not to split */
    QUIRE_ERR_AREA = -19,        /* an address that exists, and is reserved for nothing */
    QUIRE_ERR_ACCESS = -20,      /* an access that is not allowed there */
    QUIRE_ERR_LIMIT = -21,       /* one more than its owner was allowed, though there may be room:
                                  * frames of an address space, of an area or of a heap, sharers of
                                  * a frame, bytes of a heap's tag */
    QUIRE_ERR_END = -22,         /* an address whose page is behind the end of the file there */
    QUIRE_ERR_PAGER = -23,       /* a pager could not read, or write, a page of a file */
};
enum { QUIRE_ERRORS = 24, QUIRE_ERRORS_ROOM = 24 }; /* how many, QUIRE_OK among them */

/* What is wrong with something that was checked, for one line of a message: a topology, a table of
 * the firmware's, a zone or its configuration, a plan. Whoever takes a pointer to one allows NULL,
 * says what `where` counts, and leaves it alone if nothing is wrong. */
struct quire_fault {
    const char *what; /* a phrase, "two CPUs have one id" */
    uint64_t where;   /* a number, say a frame's or a node's, or an offset in bytes */
    uint64_t found, expected;
    uint64_t other;   /* of two things that do not go together the second one; else as `where` */
    int error;        /* what the function returned */
    uint64_t room[2]; /* zero, see version.h */
};

/* A lower-case phrase for `error`, or "unknown error". Never NULL. Wait-free, any context. */
const char *quire_strerror(int error);

/* How a request may be served. Or-ed together; unknown bits give QUIRE_ERR_UNSUPPORTED. */
enum quire_flags {
    QUIRE_UNMOVABLE = 0,         /* the default: frames that stay where they are */
    QUIRE_MOVABLE = 1u << 0,     /* the owner can move the contents, so keep them by themselves */
    QUIRE_HIGH = 1u << 1,        /* may use the frames below `min` down to min/2 */
    QUIRE_EMERGENCY = 1u << 2,   /* may use the last frame that no other call has in its hands (see
                                  * zone.h); for those who free memory with it */
    QUIRE_NO_CALLBACK = 1u << 3, /* never call the port's event: NMI, or the reclaimer itself */
    QUIRE_ZEROED = 1u << 4,      /* frames read as zeros, by the port unless they are known to */
    QUIRE_PARTIAL = 1u << 5,     /* batches: fewer frames than asked for are welcome */
    QUIRE_FALLBACK = 1u << 6,    /* comes down from a less scarce zone: must leave this one its
                                  * lowmem_reserve besides the floor, in an emergency too */
    QUIRE_COMPACT = 1u << 7,     /* requests to a machine, of order 9 to 18: before it is refused,
                                  * make room by moving (machine.h: the port's `mover`) */
};

/* The flags that every allocation knows; each call says which ones it takes besides. */
enum {
    QUIRE_ALLOC_FLAGS = QUIRE_MOVABLE | QUIRE_HIGH | QUIRE_EMERGENCY | QUIRE_NO_CALLBACK |
                        QUIRE_ZEROED | QUIRE_FALLBACK
};

#ifdef __cplusplus
}
#endif

#endif /* QUIRE_TYPES_H */
