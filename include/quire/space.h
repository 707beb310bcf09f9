/* SPDX-License-Identifier: MIT
 *
 * space.h - address spaces: areas of addresses that are reserved, and filled with memory, or with
 * pages of files (file.h), when they are first touched; fork, with copies at the first write. (The
 * library of kernel-port/vm; libquire has no part of it.)
 *
 * Words. An *area* is a range of pages that were reserved with one access. The page table itself
 * says what an address is reserved for, until a fault puts a frame there, which reads as zeros;
 * an area that has an access and nothing else is in no second structure. So areas have no identity:
 * neighbours of one access are one area. What there is to know of an area besides its access, a
 * file, a policy, a limit, gigabytes, is in a *note*. A *guard* is an area that nobody may touch.
 *
 * Who may call what. fault may be called on any number of CPUs at once, beside every other call but
 * create and destroy, in any context in which the port's functions may be; and a pager's, if the
 * space has areas of files. reserve, unmap, protect, advise, set_policy, sync, fork, list, promote,
 * demote, measure, create and destroy of one space come one at a time: where several threads may
 * ask, the kernel has a lock for it. The page table may be read by quire_paging_translate and _walk
 * at any time, which find what has a frame, and shared by quire_paging_share outside of `range`;
 * other calls of paging.h are not for pages in `range`.
 *
 * Progress. Faults on different pages wait for nobody: not for each other, and not for a call that
 * changes other pages. While a write or a promotion copies a page, or fork counts it, or a fault
 * brings a page of 1 GiB, whose zeros may take tenths of a second to write, the page is held:
 * another fault on it is told that it is served, so the access is repeated and finds it held or
 * done; unmap, protect, set_policy, fork, promote and advise wait, by port.relax, for those who are
 * in the middle of a fault of the range. A fault that a limit would refuse is told that it is
 * served, too, while another fault of the same space, or a promotion, is in the middle: that one
 * may give back what it counted, or be about to put in the very page. Populate comes again itself,
 * by port.relax. Whoever stops there for ever keeps others from being refused, and nobody from
 * being served whom no limit would refuse. So a fault is best not preempted. One on a page of a
 * file that is not cached reads it, or waits for who does; it holds nothing meanwhile: see file.h.
 * And what interrupts a fault, a fork, an advice QUIRE_ADVISE_RELEASE or a promotion to rows on its
 * own CPU must not touch their pages: its access would be repeated for ever.
 *
 * A processor that goes on to refuse what it remembers, when the page grants more by now (riscv64
 * and aarch64 may), has to be told by the handler, before the access is repeated, to forget the
 * address. All else that is invalidated, is by the call itself, through port.paging.invalidate,
 * which is needed here: once for all that a call changed, before a frame is given back.
 *
 * Frames are given back one by one, those of a page of 2 MiB (4 MiB on i386) or 1 GiB as the run
 * that they are, or split: what unmaps, protects or releases a part of such a page splits it, one
 * of 1 GiB into pages of 2 MiB first. Tables that an unmap empties leave by port.paging.retire, or
 * stay until the space is destroyed. A call has at most three frames open in a window (struct
 * quire_reach).
 *
 * Errors, the same for all: those of paging.h. QUIRE_ERR_ADDRESS also if the range is not inside of
 * the space's. QUIRE_ERR_AREA: an address is in no area. A failed call has changed nothing, unless
 * it says otherwise.
 */
#ifndef QUIRE_SPACE_H
#define QUIRE_SPACE_H

#include <quire/file.h>
#include <quire/machine.h>
#include <quire/paging.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- What the kernel brings ---------------------------------------------------------------- */

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
    struct quire_memory_source memory; /* for areas of files, and those with a policy, limit or
                                        * gigabytes of their own; without its functions there are
                                        * none */
};

/* ---- A space ------------------------------------------------------------------------------- */

enum { QUIRE_AROUND_MOST = 256 }; /* pages that one fault brings */

struct quire_space_config {
    const struct quire_paging_format *format;
    struct quire_space_port port;
    struct quire_vrange range;         /* where areas may be, whole pages, 0 not among them: apart
                                        * from what is shared with other page tables */
    const struct quire_policy *policy; /* of its frames; it must stay. NULL: the machine's */
    uint64_t limit; /* frames that it may have at once, tables not counted; 0: no limit, and then no
                     * count either, whose line all its faults would write */
    uint32_t around;  /* where an area is advised large pages, and a whole one does not fit or is
                       * not at hand, one fault brings so many small ones, aligned to their number,
                       * a power of two up to QUIRE_AROUND_MOST, out of one run; fewer, where not
                       * all of them are in the area and untouched, or a limit leaves less; the one
                       * page, where no such run is at hand. 0: the one page */
    uint64_t room[4]; /* zero, see version.h */
};

/* What a space knows of its large pages. Private. */
enum { QUIRE_DEMOTED_PARTS = 32 };
struct quire_large_pages {
    uint64_t patience __attribute__((aligned(8))); /* atomic: of the promotion that is going on */
    uint64_t promotions, ended, demotions, returned, rows, filled, copies;
    uint64_t demoted[QUIRE_DEMOTED_PARTS]; /* see quire_space_demote */
};

/* Private but for `paging`, which is there to be read, and shared. */
struct quire_space {
    struct quire_paging paging;
    struct quire_space_config config;
    uint64_t search; /* so many bytes from the start of `range` are reserved */
    uint64_t frames __attribute__((aligned(8))); /* atomic: what is counted against the limit */
    void *note_pages, *notes, *free_notes;       /* what is known of some areas: file/note.c */
    uint32_t notes_made, limited_notes_made;
    struct quire_large_pages large;
    uint64_t room[4]; /* zero, see version.h */
};

enum quire_area_kind {
    QUIRE_AREA_ANONYMOUS = 0, /* memory that reads as zeros */
    QUIRE_AREA_GUARD = 1,     /* no access; protect makes it an anonymous area */
    QUIRE_AREA_SHARED = 2,    /* a file: what is written to it is the file's */
    QUIRE_AREA_PRIVATE = 3,   /* a file, up to the first write to a page, which copies it */
};

/* Pages of 1 GiB, for an area that asks, in the formats that have them; elsewhere, and where it is
 * not said otherwise, as QUIRE_RESERVE_LARGE. Frames for them: struct quire_gigabytes. */
enum quire_area_gigabytes {
    QUIRE_GIGABYTES_NONE = 0,
    QUIRE_GIGABYTES_PREFER = 1, /* where a whole gigabyte of the area, from a multiple of that on,
                                 * was never touched and is not split, and a run is at hand */
    QUIRE_GIGABYTES_ONLY = 2,   /* the same, but a fault there for which no run is at hand is
                                 * refused, and has no smaller page */
};

/* An area as it is asked for, or listed. */
struct quire_area {
    struct quire_vrange range;
    enum quire_area_kind kind;
    uint32_t access;         /* enum quire_access; 0 of a guard */
    uint64_t frames;         /* of a listed one: that it has, shared ones included */
    struct quire_file *file; /* of SHARED and PRIVATE, and where in it the area begins, in bytes: a
                              * multiple of 4096 */
    uint64_t offset;
    const struct quire_policy *policy; /* of ANONYMOUS: for the frames of faults, instead of the
                                        * space's; but a copy, at the first write after a fork, has
                                        * the space's. It must stay as long as the space. NULL: the
                                        * space's */
    uint64_t limit;     /* of ANONYMOUS: frames that it may have at once; 0: no limit of its own */
    uint32_t gigabytes; /* of ANONYMOUS: enum quire_area_gigabytes; not 0: as RESERVE_LARGE, too */
    uint64_t room[2];   /* zero, see version.h */
};

enum quire_reserve_flags {
    QUIRE_RESERVE_ANYWHERE = 1u << 0, /* the first place that fits; range.start is not read */
    QUIRE_RESERVE_LARGE = 1u << 1,    /* as QUIRE_ADVISE_LARGE; anywhere: aligned to that, too (for
                                       * gigabytes to 1 GiB, if it has as many bytes) */
    QUIRE_RESERVE_STACK = 1u << 2,    /* a stack, which grows down: below the area is a guard of a
                                       * page, for which there has to be room */
};

enum quire_advice {
    QUIRE_ADVISE_POPULATE = 0, /* have frames for all of it now */
    QUIRE_ADVISE_RELEASE = 1,  /* what is in it is not needed: it reads as zeros again, or as the
                                * file has it. Where it had small pages, or a promoted one, it has
                                * small ones again, unless the promoted one was advised LARGE since,
                                * or had untouched pages before, and all of them were */
    QUIRE_ADVISE_LARGE = 2,    /* large pages, where nothing has been touched yet, a whole one fits
                                * into the area, and a run of frames is at hand */
    QUIRE_ADVISE_SMALL = 3,    /* none from now on, nor where one is now when that is released; a
                                * gigabyte neither, until it is advised LARGE */
};

/* An empty space. *config is copied. Thread only, as all but fault. QUIRE_ERR_UNSUPPORTED: a port
 * without a function that is needed, as frames.split is for `around`; an `around` that is no power
 * of two, or above QUIRE_AROUND_MOST. QUIRE_ERR_ADDRESS: a range with address 0. */
int quire_space_create(struct quire_space *space, const struct quire_space_config *config);

/* Give back all frames and tables. Nobody may use the space any more, no processor either. */
void quire_space_destroy(struct quire_space *space);

/* Reserve an area. *at, if not NULL, is where it begins. Of a file: QUIRE_ERR_ALIGN, `offset` is no
 * multiple of 4096; QUIRE_ERR_SIZE, it maps pages beyond QUIRE_FILE_PAGES (behind the end of the
 * file it may); QUIRE_ERR_ACCESS, shared and writable, and the pager does not write. For gigabytes
 * only: QUIRE_ERR_ALIGN, it is not whole ones. With a file, policy, limit or gigabytes:
 * QUIRE_ERR_FULL, as many notes as there may be: in a space some 4,000 of areas with a limit, and
 * some 13,000 of others. QUIRE_ERR_MAPPED: an address of it, or of its guard, is reserved already.
 * QUIRE_ERR_FULL: there is no place anywhere. QUIRE_ERR_UNSUPPORTED: also an anonymous area without
 * access, a guard with one, or a stack that is a guard; a field that is not of the kind; a note,
 * and port.memory without functions; gigabytes only, and a format or a source of frames without
 * them. */
int quire_space_reserve(struct quire_space *space, const struct quire_area *area, uint32_t flags,
                        quire_vaddr *at);

/* Take the range out of its areas, which may be parts of them. The frames are given back; what was
 * written to files is written back, if it can be, else it stays dirty (file.h). */
int quire_space_unmap(struct quire_space *space, struct quire_vrange range);

/* Give the range, which may be parts of areas and guards, this access, which is not 0.
 * QUIRE_ERR_ACCESS: to write, and a part of it is shared with a file that is not written. */
int quire_space_protect(struct quire_space *space, struct quire_vrange range, uint32_t access);

/* Follow an advice about the range, guards in it excepted. QUIRE_ERR_UNSUPPORTED: there is no such
 * advice. Populate: errors as fault; what it populated stays. */
int quire_space_advise(struct quire_space *space, struct quire_vrange range,
                       enum quire_advice advice);

/* Let the frames of faults in the range, guards in it excepted, come by this policy from now on, as
 * the `policy` of an area says it, and as long as that it must stay; NULL: by the space's. What has
 * a frame keeps it. QUIRE_ERR_UNSUPPORTED: a file is in the range, whose frames come by its own
 * policy; a part of an area with a limit of its own, or gigabytes, which has one policy as a whole;
 * a note, and port.memory without functions. QUIRE_ERR_FULL: as reserve. QUIRE_ERR_NO_MEMORY, or
 * what else the sources answered: for a note, a table, or the split of a large page. */
int quire_space_set_policy(struct quire_space *space, struct quire_vrange range,
                           const struct quire_policy *policy);

/* Write back what was written to files by shared areas of the range, which is in areas: see
 * quire_file_sync. QUIRE_ERR_PAGER: something could not be written, all else was. */
int quire_space_sync(struct quire_space *space, struct quire_vrange range);

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
 * memory, or in an area for gigabytes only no gigabyte. QUIRE_ERR_LIMIT: the space, or the area,
 * has as many frames as it may, all of them in place; those of files are not counted, private
 * copies are, by the space. QUIRE_ERR_END: the page is behind the end of the file. QUIRE_ERR_PAGER:
 * the pager could not read it. */
int quire_space_fault(struct quire_space *space, quire_vaddr address, uint32_t access);

/* A copy of the space, with the same configuration, and the port of paging that the space has now:
 * its frames are shared until one of the two writes. Large pages are split, all of a gigabyte into
 * pages of 4 KiB, for which 513 tables are taken, and as many for the child. What is outside of
 * `range` is not copied: see quire_paging_share. After an error there is no child.
 * QUIRE_ERR_LIMIT: a frame has as many sharers as it may. QUIRE_ERR_UNSUPPORTED: port.shares is
 * NULL. */
int quire_space_fork(struct quire_space *space, struct quire_space *child);

/* ---- Large pages, made and unmade ----------------------------------------------------------- */

/* A *part* is 2 MiB (4 MiB on i386) that a large page could cover, from a multiple of that on. A
 * large page saves faults and misses of the TLB, and takes frames that nobody may have asked for.
 * The advice QUIRE_ADVISE_LARGE is about what was not touched yet; these calls are about what was.
 * They go by ranges: what the kernel wants to keep small it leaves out. Pages of 1 GiB are not
 * made; one that is there stays.
 *
 * Between 4 KiB and a part there are *rows*: 16 to 256 small pages of a part, from a multiple of
 * their number on, whose frames are an aligned run, one after the other. They are small pages as
 * any other: a processor that makes one entry of its TLB out of neighbours has fewer misses, what
 * had no frame has one without a fault, and scattered frames leave their blocks. */

/* Which parts are worth a large page, and how much may be done for them. All zero is good. */
struct quire_promotion {
    uint32_t present;  /* so many of its pages, at least, have frames that do not read as zeros;
                        * 0: half of them. Of a row in proportion to its pages, rounded up; so
                        * with the next one */
    uint32_t accessed; /* and so many have the mark of an access; 0: no matter */
    uint32_t patience; /* so many faults on the part, while it is copied, are told that they are
                        * served, and come again; the next one ends the promotion. 0: the first
                        * one does */
    bool age;          /* take the marks away where no large page is made: the next scan finds
                        * those that were accessed since */
    uint64_t looks; /* entries that are looked at, at most; 0: no bound. The part at hand is done */
    uint64_t copies; /* pages that are copied, likewise */
    /* NULL, or: may the contents of this frame not move now? Asked while no processor reaches the
     * page. */
    bool (*pinned)(void *ctx, quire_pfn pfn);
    void *ctx;
    uint32_t row; /* where a part is not worth a large page, or none is to be had: the order that
                   * a row has at least, 4 to 8 (64 KiB to 1 MiB). 0: no rows */
};

/* What a call did. */
struct quire_promoted {
    quire_vaddr next; /* where the next call goes on; behind the range, if it is done */
    uint64_t looks, copies;
    uint64_t parts;   /* that were promoted */
    uint64_t ended;   /* promotions that a fault ended, or a pinned page; rows that lack a page
                       * because of either */
    uint64_t waiting; /* parts that were demoted not long ago */
    uint64_t refused; /* parts and rows, by a limit of the space or the area; a row that is refused
                       * is tried by halves, which count, too */
    uint64_t rows;    /* that were made; their pages are among the copies, */
    uint64_t filled;  /* or had no frame before, and read as zeros */
};

/* Look at all parts that are in the range, holes and files excepted, and let those that are worth
 * it have a large page: of anonymous memory of one access, without a page that is shared with
 * another space, nor on i386 a table that quire_paging_share gave another page table. Other CPUs go
 * on to fault; for them the part is not there while it is copied, and quire_paging_translate does
 * not find it. So the call is best not preempted: a fault that comes meanwhile on its own CPU costs
 * `patience` repetitions; one that a limit would refuse is told to come again while a part is
 * copied (see Progress).
 *
 * With `row` pages of a part that gets no large page become rows, where all pages of a row are of
 * anonymous memory of one access and one note (a policy or a limit of its own), have frames in
 * proportion to what is wanted of a part, are not shared nor pinned, and none of them is in a row
 * of that order or a longer one already: so a scan that finds all in rows copies nothing. The
 * longest rows come first; an order that is refused for want of memory is not asked for again by
 * this call. What has no frame gets zeros, and counts as touched; other entries keep their marks,
 * but for `age`. Pages are held 16 at a time, until all processors have forgotten them and they are
 * copied, and a fault on them comes again meanwhile: `patience` does not end it. A row that lacks a
 * page is no row, but what was moved stays.
 *
 * QUIRE_ERR_NO_MEMORY, or what else the source answered: no run was at hand, with `row` none of
 * that order either; what was promoted stays, *done says how far it came. QUIRE_ERR_UNSUPPORTED: no
 * port.frames.split; without `row` also no port.paging.retire, or no such page in the format.
 * QUIRE_ERR_SIZE: `present` or `accessed` is more than a part has; `row` is no order of a row.
 * Thread only. */
int quire_space_promote(struct quire_space *space, struct quire_vrange range,
                        const struct quire_promotion *how, struct quire_promoted *done);

struct quire_demotion {
    uint32_t zeros; /* a part is demoted if so many of its pages, at least, read as zeros; 0: in any
                     * case */
    uint64_t looks; /* pages that are looked at; 0: no bound. The part at hand is done */
    /* NULL, or: may this frame not be given back now, say as a device is about to fill it? Such a
     * page does not count as zeros. Asked again when quire_paging_translate does not find the page,
     * and no processor reaches it: then it comes back, and a fault meanwhile is told that it is
     * served. */
    bool (*pinned)(void *ctx, quire_pfn pfn);
    void *ctx;
};

struct quire_demoted {
    quire_vaddr next; /* as above */
    uint64_t looks;
    uint64_t parts;  /* large pages that were demoted */
    uint64_t frames; /* that were given back */
};

/* Let large pages of parts in the range be small again, and give back those of their pages that
 * read as zeros: whether they were never touched or have been cleared is no matter. So with the
 * small pages of parts that have no large page (any more). A page that is written meanwhile stays.
 *
 * No creep: what is demoted here is promoted again by the fifth call that finds it worth it, and by
 * the 9th, the 17th and so on if it happens again, up to 2^15; so with the rows of a part of whose
 * rows pages were given back. So many parts as QUIRE_DEMOTED_PARTS are remembered of a space; one
 * that is forgotten for another is promoted as any. Thread only.
 *
 * QUIRE_ERR_NO_MEMORY, or what else the sources answered: no table for a large page. What was
 * demoted stays. QUIRE_ERR_SIZE: `zeros` is more than a part has. */
int quire_space_demote(struct quire_space *space, struct quire_vrange range,
                       const struct quire_demotion *how, struct quire_demoted *done);

struct quire_large_figures {
    uint64_t small, large; /* frames of small and of large pages, cached ones not counted, */
    uint64_t gigabytes;    /* and pages of 1 GiB, whose frames are among the large ones */
    uint64_t zeros;        /* of those in `large`: that read as zeros */
    /* of the space, since it was made: */
    uint64_t promotions, ended; /* as struct quire_promoted */
    uint64_t demotions;         /* large pages that were split, by whatever call */
    uint64_t returned;          /* frames that quire_space_demote gave back */
    uint64_t rows, filled;      /* as struct quire_promoted, */
    uint64_t copies;            /* and pages that were copied for rows */
};

/* The figures of a range; `zeros` if it is asked to `look`, which reads the contents of all large
 * pages. Thread only; it visits all entries of the range. */
int quire_space_measure(struct quire_space *space, struct quire_vrange range, bool look,
                        struct quire_large_figures *figures);

/* ---- Gigabytes set aside -------------------------------------------------------------------- */

/* Aligned runs of 1 GiB that are taken out of a machine while it has some, when it boots say, for
 * areas that ask for pages of that size (enum quire_area_gigabytes), and that nobody else gets. One
 * that was set aside comes back here when its page is taken out, and is ready for the next one. If
 * its page is split it is no longer one of them, as its frames go back to the machine one by one;
 * fill takes another one, if there is one. Without anything set aside, areas get what whole
 * gigabytes the machine has: struct quire_keep of compact.h says how many are kept whole, from
 * which other requests may take all the same.
 *
 * Huge zones. All requests to the machine for a gigabyte are QUIRE_FOR_HUGE: on each node its Huge
 * zone is asked first. So are those for runs of order 9 and more, which large pages are made of,
 * while no slot is empty, as what is left in Huge zones then is not for these slots. While one is
 * empty they are QUIRE_FOR_NORMAL, as those of quire_frames_from_machine always are; one that is
 * under way when a slot becomes empty may still be the former. `count` 0 is for large pages alone.
 *
 * The calls may be made on any number of CPUs at once, beside faults. Lock-free; what they do for a
 * gigabyte or a large page has as many steps as there are slots. */
enum { QUIRE_GIGABYTE_ORDER = 18 };

/* Start from all zero, and fill in what is wanted. It stays where it is. */
struct quire_gigabytes {
    struct quire_machine *machine;
    uint64_t *slots; /* `count` words, aligned to 8 bytes, all 0: private, and atomic */
    uint32_t count;  /* so many are set aside, at most */
    uint32_t flags;  /* of all requests to the machine for a gigabyte, also of a fault for which
                      * none is ready: QUIRE_COMPACT, if its port has a mover, or 0 */
    const struct quire_policy *policy; /* of those that are set aside; NULL: the machine's. They
                                        * serve requests with this policy alone, others ask the
                                        * machine. It must stay */
    uint64_t room[2];                  /* zero, see version.h */
};

/* Set aside as many as there are slots for; with `zeros` such as read as zeros, which the machine
 * writes if it has to (QUIRE_ZEROED), so that no fault has to. What the machine answered, if it has
 * not so many: what was set aside stays. Context: as quire_machine_request with these flags. */
int quire_gigabytes_fill(struct quire_gigabytes *gigabytes, bool zeros);

/* How many are ready. Wait-free. */
uint32_t quire_gigabytes_ready(const struct quire_gigabytes *gigabytes);

/* Give all that are ready back to the machine. Those that pages are made of go there, too, when the
 * pages are taken out; until fill is called again nothing is set aside. */
void quire_gigabytes_release(struct quire_gigabytes *gigabytes);

/* As quire_frames_from_machine, but that a gigabyte is one that was set aside, while there are, and
 * for what is said of Huge zones above. Not counted by kind (machine.h). */
struct quire_frame_source quire_frames_with_gigabytes(struct quire_gigabytes *gigabytes);

/* ---- Large objects and stacks of a kernel --------------------------------------------------- */

/* Memory for the kernel itself that is contiguous in virtual addresses alone, in a space that the
 * kernel keeps for this, whose `range` is a part of its half: each object is an area between two
 * guards of a page. So a write behind its end, and a stack that grows below its lowest byte, faults
 * and hits no neighbour. The page table says how long an object is; there is no other record. Its
 * pages have frames when the call returns, each of its own, so no access to it faults. The tables
 * that the root names and other page tables have (quire_paging_share) stay when the last object
 * goes; those below them are given back.
 *
 * Context and errors: as quire_space_reserve. A failed call changes nothing, but that tables may
 * stay.
 *
 * Allocate: `bytes`, rounded up to pages, with this access, as zeros; *at is the first byte. A
 * stack begins at *at + the bytes, and grows down. QUIRE_ERR_SIZE: no bytes, or more than there are
 * addresses. QUIRE_ERR_FULL: there is no place in the space. QUIRE_ERR_NO_MEMORY, QUIRE_ERR_LIMIT,
 * or what else its sources answered. */
int quire_large_alloc(struct quire_space *space, uint64_t bytes, uint32_t access, quire_vaddr *at);

/* Give it back. QUIRE_ERR_AREA: nothing begins there. QUIRE_ERR_ALIGN: it is inside of one. */
int quire_large_free(struct quire_space *space, quire_vaddr at);

/* How many bytes it has. Errors as quire_large_free. */
int quire_large_bytes(struct quire_space *space, quire_vaddr at, uint64_t *bytes);

#ifdef __cplusplus
}
#endif

#endif /* QUIRE_SPACE_H */
