/* SPDX-License-Identifier: MIT
 *
 * address.h - physical and virtual addresses, and ranges of them.
 *
 * An address is a number of bytes in a structure of its own, so that the compiler refuses a
 * physical address where a virtual one is wanted. What is computed is checked: a result that does
 * not fit is QUIRE_ERR_ADDRESS, never a number that wrapped around.
 *
 * A range is half-open: `bytes` bytes from `start` upwards, the end not among them. It is kept as a
 * start and a length, so that the last page of the address space has a range too, whose end would
 * be 2^64. A range is valid if it has a byte and its last byte is an address. The functions about
 * two ranges, or about a range and an address, ask for valid ones.
 *
 * No state here; every function is a pure computation: wait-free, any context. After an error what
 * a pointer was to receive is as it was.
 */
#ifndef QUIRE_ADDRESS_H
#define QUIRE_ADDRESS_H

#include <quire/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The sizes of pages, in bytes. A set of sizes is their sum, as each is a bit. */
#define QUIRE_PAGE_4K ((uint64_t)0x1000)
#define QUIRE_PAGE_2M ((uint64_t)0x200000)
#define QUIRE_PAGE_4M ((uint64_t)0x400000) /* i386 without PAE */
#define QUIRE_PAGE_1G ((uint64_t)0x40000000)

/* A physical address, in bytes. */
typedef struct quire_paddr {
    uint64_t n;
} quire_paddr;

/* A virtual address, in bytes. */
typedef struct quire_vaddr {
    uint64_t n;
} quire_vaddr;

struct quire_prange {
    quire_paddr start;
    uint64_t bytes;
};

struct quire_vrange {
    quire_vaddr start;
    uint64_t bytes;
};

static inline quire_paddr quire_paddr_of(uint64_t n)
{
    quire_paddr address = {n};
    return address;
}

static inline quire_vaddr quire_vaddr_of(uint64_t n)
{
    quire_vaddr address = {n};
    return address;
}

static inline struct quire_prange quire_prange_of(uint64_t start, uint64_t bytes)
{
    struct quire_prange range = {{start}, bytes};
    return range;
}

static inline struct quire_vrange quire_vrange_of(uint64_t start, uint64_t bytes)
{
    struct quire_vrange range = {{start}, bytes};
    return range;
}

/* The first byte of a frame, and the frame of a byte. */
static inline quire_paddr quire_paddr_of_pfn(quire_pfn pfn)
{
    return quire_paddr_of(quire_phys(pfn));
}

static inline quire_pfn quire_pfn_of_paddr(quire_paddr address)
{
    return quire_pfn_of_phys(address.n);
}

/* Private: the computations, for both kinds. */
static inline bool quire_power_of_two(uint64_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

static inline int quire_address_add(uint64_t a, uint64_t bytes, uint64_t *sum)
{
    if (a + bytes < a)
        return QUIRE_ERR_ADDRESS;
    *sum = a + bytes;
    return 0;
}

static inline int quire_address_align_up(uint64_t a, uint64_t unit, uint64_t *aligned)
{
    if (!quire_power_of_two(unit))
        return QUIRE_ERR_ALIGN;
    if ((a & (unit - 1)) != 0 && (a | (unit - 1)) == UINT64_MAX)
        return QUIRE_ERR_ADDRESS;
    *aligned = (a + (unit - 1)) & ~(unit - 1);
    return 0;
}

static inline int quire_address_align_down(uint64_t a, uint64_t unit, uint64_t *aligned)
{
    if (!quire_power_of_two(unit))
        return QUIRE_ERR_ALIGN;
    *aligned = a & ~(unit - 1);
    return 0;
}

static inline int quire_address_difference(uint64_t a, uint64_t b, uint64_t *bytes)
{
    if (a < b)
        return QUIRE_ERR_ADDRESS;
    *bytes = a - b;
    return 0;
}

static inline int quire_bytes_validate(uint64_t start, uint64_t bytes)
{
    if (bytes == 0)
        return QUIRE_ERR_SIZE;
    return start + (bytes - 1) < start ? QUIRE_ERR_ADDRESS : 0;
}

/* ---- Virtual ------------------------------------------------------------------------------- */

/* a + bytes. QUIRE_ERR_ADDRESS: beyond 2^64 - 1. */
static inline int quire_vaddr_add(quire_vaddr a, uint64_t bytes, quire_vaddr *sum)
{
    return quire_address_add(a.n, bytes, &sum->n);
}

/* The next multiple of `unit`, a power of two, or a itself. QUIRE_ERR_ALIGN: it is none.
 * QUIRE_ERR_ADDRESS: there is no such multiple below 2^64. */
static inline int quire_vaddr_align_up(quire_vaddr a, uint64_t unit, quire_vaddr *aligned)
{
    return quire_address_align_up(a.n, unit, &aligned->n);
}

/* The last multiple of `unit` that is not above a. QUIRE_ERR_ALIGN: no power of two. */
static inline int quire_vaddr_align_down(quire_vaddr a, uint64_t unit, quire_vaddr *aligned)
{
    return quire_address_align_down(a.n, unit, &aligned->n);
}

/* a - b. QUIRE_ERR_ADDRESS: b is above a. */
static inline int quire_vaddr_difference(quire_vaddr a, quire_vaddr b, uint64_t *bytes)
{
    return quire_address_difference(a.n, b.n, bytes);
}

/* Is the range valid? QUIRE_ERR_SIZE: it is empty. QUIRE_ERR_ADDRESS: it wraps around. */
static inline int quire_vrange_validate(struct quire_vrange range)
{
    return quire_bytes_validate(range.start.n, range.bytes);
}

/* The last byte of a valid range. */
static inline quire_vaddr quire_vrange_last(struct quire_vrange range)
{
    return quire_vaddr_of(range.start.n + (range.bytes - 1));
}

static inline bool quire_vrange_contains(struct quire_vrange range, quire_vaddr address)
{
    return address.n >= range.start.n && address.n - range.start.n < range.bytes;
}

static inline bool quire_vrange_overlaps(struct quire_vrange a, struct quire_vrange b)
{
    return quire_vrange_contains(a, b.start) || quire_vrange_contains(b, a.start);
}

/* The bytes that are in both; false, and *common as it was, if there are none. */
static inline bool quire_vrange_intersect(struct quire_vrange a, struct quire_vrange b,
                                          struct quire_vrange *common)
{
    uint64_t a_last = quire_vrange_last(a).n, b_last = quire_vrange_last(b).n;
    uint64_t last = a_last < b_last ? a_last : b_last;

    if (!quire_vrange_overlaps(a, b))
        return false;
    common->start = a.start.n > b.start.n ? a.start : b.start;
    common->bytes = last - common->start.n + 1;
    return true;
}

/* The part below `at` and the part from `at` on; both have a byte. QUIRE_ERR_ADDRESS: `at` is not
 * inside of the range, or its start. */
static inline int quire_vrange_split(struct quire_vrange range, quire_vaddr at,
                                     struct quire_vrange *below, struct quire_vrange *from)
{
    if (!quire_vrange_contains(range, at) || at.n == range.start.n)
        return QUIRE_ERR_ADDRESS;
    *below = quire_vrange_of(range.start.n, at.n - range.start.n);
    *from = quire_vrange_of(at.n, range.bytes - below->bytes);
    return 0;
}

/* ---- Physical: the same -------------------------------------------------------------------- */

static inline int quire_paddr_add(quire_paddr a, uint64_t bytes, quire_paddr *sum)
{
    return quire_address_add(a.n, bytes, &sum->n);
}

static inline int quire_paddr_align_up(quire_paddr a, uint64_t unit, quire_paddr *aligned)
{
    return quire_address_align_up(a.n, unit, &aligned->n);
}

static inline int quire_paddr_align_down(quire_paddr a, uint64_t unit, quire_paddr *aligned)
{
    return quire_address_align_down(a.n, unit, &aligned->n);
}

static inline int quire_paddr_difference(quire_paddr a, quire_paddr b, uint64_t *bytes)
{
    return quire_address_difference(a.n, b.n, bytes);
}

static inline int quire_prange_validate(struct quire_prange range)
{
    return quire_bytes_validate(range.start.n, range.bytes);
}

static inline quire_paddr quire_prange_last(struct quire_prange range)
{
    return quire_paddr_of(range.start.n + (range.bytes - 1));
}

static inline bool quire_prange_contains(struct quire_prange range, quire_paddr address)
{
    return address.n >= range.start.n && address.n - range.start.n < range.bytes;
}

static inline bool quire_prange_overlaps(struct quire_prange a, struct quire_prange b)
{
    return quire_prange_contains(a, b.start) || quire_prange_contains(b, a.start);
}

static inline bool quire_prange_intersect(struct quire_prange a, struct quire_prange b,
                                          struct quire_prange *common)
{
    struct quire_vrange both;

    if (!quire_vrange_intersect(quire_vrange_of(a.start.n, a.bytes),
                                quire_vrange_of(b.start.n, b.bytes), &both))
        return false;
    *common = quire_prange_of(both.start.n, both.bytes);
    return true;
}

static inline int quire_prange_split(struct quire_prange range, quire_paddr at,
                                     struct quire_prange *below, struct quire_prange *from)
{
    if (!quire_prange_contains(range, at) || at.n == range.start.n)
        return QUIRE_ERR_ADDRESS;
    *below = quire_prange_of(range.start.n, at.n - range.start.n);
    *from = quire_prange_of(at.n, range.bytes - below->bytes);
    return 0;
}

/* ---- Which virtual addresses a format has -------------------------------------------------- */

/* What the bits above those that a page table translates must be. */
enum quire_upper_bits {
    QUIRE_UPPER_SIGN = 0,  /* as the highest one translated: a lower half and an upper half */
    QUIRE_UPPER_ZEROS = 1, /* the lower half alone */
    QUIRE_UPPER_ONES = 2,  /* the upper half alone */
};

/* An address is canonical if it is of this form: `bits` bits, and the rest as told. */
struct quire_canonical {
    uint8_t bits;  /* 1 .. 63 */
    uint8_t upper; /* enum quire_upper_bits */
};

static inline bool quire_vaddr_canonical(struct quire_canonical form, quire_vaddr address)
{
    uint64_t ones = UINT64_MAX >> form.bits, upper = address.n >> form.bits;

    if (form.upper == QUIRE_UPPER_SIGN)
        return upper == ((address.n >> (form.bits - 1) & 1) != 0 ? ones : 0);
    return upper == (form.upper == QUIRE_UPPER_ONES ? ones : 0);
}

/* Is each byte of the range canonical? QUIRE_ERR_SIZE: it is empty. QUIRE_ERR_ADDRESS: it wraps
 * around, or has an address that is not canonical, such as one between the halves. */
static inline int quire_vrange_canonical(struct quire_canonical form, struct quire_vrange range)
{
    int error = quire_vrange_validate(range);
    quire_vaddr last = quire_vrange_last(range);

    if (error)
        return error;
    if (!quire_vaddr_canonical(form, range.start) || !quire_vaddr_canonical(form, last))
        return QUIRE_ERR_ADDRESS;
    return (range.start.n ^ last.n) >> form.bits ? QUIRE_ERR_ADDRESS : 0;
}

#ifdef __cplusplus
}
#endif

#endif /* QUIRE_ADDRESS_H */
