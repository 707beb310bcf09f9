/* SPDX-License-Identifier: MIT
 *
 * space.h - address spaces: areas of addresses that are reserved, and filled with memory when they
 * are first touched; fork, with copies at the first write. (The library of kernel-port/vm; libquire
 * has no part of it.)
 *
 * Words. An *area* is a range of pages that were reserved with one access. The page table itself
 * says what an address is reserved for, until a fault puts a frame there, which reads as zeros;
 * there is no second structure. So areas have no identity: neighbours of one access are one area. A
 * *guard* is an area that nobody may touch.
 *
 * Who may call what. fault may be called on any number of CPUs at once, beside every other call but
 * create and destroy, in any context in which the port's functions may be. reserve, unmap, protect,
 * advise, fork and list of one space come one at a time: where several threads may ask, the kernel
 * has a lock for it. The page table may be read by quire_paging_translate and _walk at any time,
 * which find what has a frame, and shared by quire_paging_share outside of `range`; other calls of
 * paging.h are not for pages in `range`.
 *
 * Progress. Faults on different pages wait for nobody: not for each other, and not for a call that
 * changes other pages. While a write copies a page, or fork counts it, the page is held: another
 * fault on it is told that it is served, so the access is repeated and finds it held or done;
 * unmap, protect, fork and the advice QUIRE_ADVISE_RELEASE wait, by port.relax, for those who are
 * in the middle of a fault of the range. So a fault is best not preempted. And what interrupts a
 * fault, a fork or an advice QUIRE_ADVISE_RELEASE on its own CPU must not touch their pages: its
 * access would be repeated for ever.
 *
 * A processor that goes on to refuse what it remembers, when the page grants more by now (riscv64
 * and aarch64 may), has to be told by the handler, before the access is repeated, to forget the
 * address. All else that is invalidated, is by the call itself, through port.paging.invalidate,
 * which is needed here: once for all that a call changed, before a frame is given back.
 *
 * Frames are given back one by one, those of a page of 2 MiB (4 MiB on i386) as the run that they
 * are, or split. Tables stay until the space is destroyed. A call has at most three frames open in
 * a window (struct quire_reach).
 *
 * Errors, the same for all: those of paging.h. QUIRE_ERR_ADDRESS also if the range is not inside of
 * the space's. QUIRE_ERR_AREA: an address is in no area. A failed call has changed nothing, unless
 * it says otherwise.
 */
#ifndef QUIRE_SPACE_H
#define QUIRE_SPACE_H

#include <quire/machine.h>
#include <quire/paging.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- What the kernel brings ---------------------------------------------------------------- */

/* Where frames come from: runs of 2^order. 0 or one of enum quire_error. `split` turns a run into
 * single frames; if it is NULL, there are no pages larger than 4 KiB. */
struct quire_frame_source {
    int (*alloc)(void *ctx, const struct quire_policy *policy, unsigned order, quire_pfn *pfn);
    void (*free)(void *ctx, quire_pfn pfn, unsigned order);
    int (*split)(void *ctx, quire_pfn pfn, unsigned order);
    void *ctx;
};

/* From a machine: near the CPU that asks, by the space's policy or the machine's. */
struct quire_frame_source quire_frames_from_machine(struct quire_machine *machine);

/* How many spaces map a frame, for those that more than one does. One for all spaces that come from
 * each other by fork. A table of counts exists only while a frame of its 4 MiB is shared; what
 * leads to the tables stays until the end: a frame for 2 GiB, and less above. Private: use the
 * functions below. */
struct quire_shares {
    struct quire_table_source tables;
    struct quire_reach reach;
    quire_pfn root;
    uint32_t most;    /* that may share a frame, besides the first */
    uint64_t room[4]; /* zero, see version.h */
};

/* `most`: how many may map a frame besides the first; 0: 2^32 - 1. Thread only, as the next one.
 * QUIRE_ERR_NO_MEMORY, or what else the source answered. */
int quire_shares_init(struct quire_shares *shares, const struct quire_table_source *tables,
                      const struct quire_reach *reach, uint32_t most);

/* Give all tables back. No space that has shared pages may be left. */
void quire_shares_destroy(struct quire_shares *shares);

struct quire_space_port {
    struct quire_paging_port paging; /* `invalidate` and `tables.free` included */
    struct quire_frame_source frames;
    struct quire_shares *shares; /* NULL: no fork */
    /* Called again and again while a call waits for a fault: let others run. NULL: it spins. */
    void (*relax)(void *ctx);
    void *ctx;
};

/* ---- A space ------------------------------------------------------------------------------- */

struct quire_space_config {
    const struct quire_paging_format *format;
    struct quire_space_port port;
    struct quire_vrange range;         /* where areas may be, whole pages, 0 not among them: apart
                                        * from what is shared with other page tables */
    const struct quire_policy *policy; /* of its frames; it must stay. NULL: the machine's */
    uint64_t limit; /* frames that it may have at once, tables not counted; 0: no limit, and then no
                     * count either, whose line all its faults would write */
    uint64_t room[4]; /* zero, see version.h */
};

/* Private but for `paging`, which is there to be read, and shared. */
struct quire_space {
    struct quire_paging paging;
    struct quire_space_config config;
    uint64_t search; /* so many bytes from the start of `range` are reserved */
    uint64_t frames __attribute__((aligned(8))); /* atomic: those counted against the limit */
    uint64_t room[4];                            /* zero, see version.h */
};

enum quire_area_kind {
    QUIRE_AREA_ANONYMOUS = 0, /* memory that reads as zeros */
    QUIRE_AREA_GUARD = 1,     /* no access; protect makes it an anonymous area */
};

/* An area as it is asked for, or listed. */
struct quire_area {
    struct quire_vrange range;
    enum quire_area_kind kind;
    uint32_t access;  /* enum quire_access; 0 of a guard */
    uint64_t frames;  /* of a listed one: that it has, shared ones included */
    uint64_t room[2]; /* zero, see version.h */
};

enum quire_reserve_flags {
    QUIRE_RESERVE_ANYWHERE = 1u << 0, /* the first place that fits; range.start is not read */
    QUIRE_RESERVE_LARGE = 1u << 1,    /* as QUIRE_ADVISE_LARGE; anywhere: aligned to that, too */
    QUIRE_RESERVE_STACK = 1u << 2,    /* a stack, which grows down: below the area is a guard of a
                                       * page, for which there has to be room */
};

enum quire_advice {
    QUIRE_ADVISE_POPULATE = 0, /* have frames for all of it now */
    QUIRE_ADVISE_RELEASE = 1,  /* what is in it is not needed: it reads as zeros again */
    QUIRE_ADVISE_LARGE = 2,    /* large pages, where nothing has been touched yet, a whole one fits
                                * into the area, and a run of frames is at hand */
    QUIRE_ADVISE_SMALL = 3,    /* none from now on */
};

/* An empty space. *config is copied. Thread only, as all but fault. QUIRE_ERR_UNSUPPORTED: a port
 * without a function that is needed. QUIRE_ERR_ADDRESS: a range with address 0. */
int quire_space_create(struct quire_space *space, const struct quire_space_config *config);

/* Give back all frames and tables. Nobody may use the space any more, no processor either. */
void quire_space_destroy(struct quire_space *space);

/* Reserve an area. *at, if not NULL, is where it begins. QUIRE_ERR_MAPPED: an address of it, or of
 * its guard, is reserved already. QUIRE_ERR_FULL: there is no place anywhere.
 * QUIRE_ERR_UNSUPPORTED: also an anonymous area without access, a guard with one, or a stack that
 * is a guard. */
int quire_space_reserve(struct quire_space *space, const struct quire_area *area, uint32_t flags,
                        quire_vaddr *at);

/* Take the range out of its areas, which may be parts of them. The frames are given back. */
int quire_space_unmap(struct quire_space *space, struct quire_vrange range);

/* Give the range, which may be parts of areas and guards, this access, which is not 0. */
int quire_space_protect(struct quire_space *space, struct quire_vrange range, uint32_t access);

/* Follow an advice about the range, guards in it excepted. QUIRE_ERR_UNSUPPORTED: there is no such
 * advice. Populate: errors as fault; what it populated stays. */
int quire_space_advise(struct quire_space *space, struct quire_vrange range,
                       enum quire_advice advice);

/* Visit all areas that have a byte in the range, in ascending order; they are cut to it. What
 * `visit`, which must not change the space, returns, if not 0, ends it and is the result. Takes a
 * step for each page that was touched. */
typedef int quire_area_visit(void *ctx, const struct quire_area *area);
int quire_space_list(struct quire_space *space, struct quire_vrange range, quire_area_visit *visit,
                     void *ctx);

/* A processor was refused this access, which is READ, WRITE or EXECUTE, perhaps with USER. 0: it is
 * served, or was, and shall be repeated. QUIRE_ERR_AREA: the address is in no area, or out of
 * `range`; QUIRE_ERR_ADDRESS: it is not canonical. QUIRE_ERR_ACCESS: it is not allowed.
 * QUIRE_ERR_UNSUPPORTED: no such access. QUIRE_ERR_NO_MEMORY, or what else the sources answered: no
 * memory. QUIRE_ERR_LIMIT: the space has as many frames as it may. */
int quire_space_fault(struct quire_space *space, quire_vaddr address, uint32_t access);

/* A copy of the space, with the same configuration: its frames are shared until one of the two
 * writes. Large pages are split. What is outside of `range` is not copied: see
 * quire_paging_share. After an error there is no child. QUIRE_ERR_LIMIT: a frame has as many
 * sharers as it may. QUIRE_ERR_UNSUPPORTED: port.shares is NULL. */
int quire_space_fork(struct quire_space *space, struct quire_space *child);

#ifdef __cplusplus
}
#endif

#endif /* QUIRE_SPACE_H */
