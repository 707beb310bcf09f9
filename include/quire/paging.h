/* SPDX-License-Identifier: MIT
 *
 * paging.h - page tables: map, unmap, protect, update, join, translate, walk. One code for all
 * formats, which are constant descriptions: x86-64 with 4 and 5 levels, i386, i386 with PAE,
 * aarch64 with a granule of 4 KiB, riscv64 Sv39 and Sv48. (The library of kernel-port/vm; libquire
 * has no part of it.)
 *
 * Words. A *table* is a frame of entries. An entry is empty, names a table of the level below, or
 * is a *page*: of the smallest size at level 0, larger above. A page that is larger than 4 KiB is
 * *large*. Tables grant everything; what a page may be used for stands in the page's entry alone.
 *
 * Who brings what: `struct quire_paging_port`. The library touches no register of the processor:
 * the kernel loads the root, and invalidates what a call gathered (struct quire_gather) on all CPUs
 * that may hold it. Until they have answered, the pages may still be used by them as they were. To
 * put in what was not there asks for nothing, but what the architecture wants of any writer of
 * tables: dsb ishst on aarch64, sfence.vma on riscv64 unless a fault that proves to be spurious is
 * taken as such. The frames that are mapped are not the library's: nothing is done to them.
 *
 * Progress and context. No call waits for another; each step that is repeated is repeated because
 * another call, or the processor's marks, changed the same entry first. All but init, adopt, share,
 * destroy and set_source may be called in any context in which the port's functions may be, on any
 * number of CPUs at once:
 *   - Calls about different pages need not know of each other, also if they are parts of one large
 *     page that each has to split.
 *   - Two maps of one page: one of them gets QUIRE_ERR_MAPPED; of ranges that overlap both may. Two
 *     updates: each finds the page as the one before left it. translate and walk see each page as
 *     it was at some moment.
 *   - unmap and protect of pages that another call changes meanwhile are the caller's to keep
 *     apart: no table is damaged, but which of the two had its way is told to nobody.
 *   - join gives a table back: no other call may be about its range.
 * The processor may set accessed and dirty at any time: no mark is ever lost.
 *
 * A call that failed has changed nothing: each address is mapped as before. Tables that it made may
 * stay. A table that runs empty stays until a larger page takes its place (join), until trim, or
 * until the end.
 *
 * Formats with `break_before_make` (aarch64): where a large page is split or joined, and where
 * update gives a page another frame or type, or makes it global or not, the page is not there for a
 * moment, during which port.invalidate is called. An access meanwhile faults, and has to be
 * repeated. Whoever wants to change the same page in that moment gets QUIRE_ERR_BUSY, and asks
 * again.
 *
 * Errors, the same for all: QUIRE_ERR_SIZE, the range is empty. QUIRE_ERR_ALIGN, an address or a
 * length is no multiple of 4 KiB. QUIRE_ERR_ADDRESS, the range wraps around, is not canonical
 * (struct quire_canonical), or has physical addresses beyond the format's. QUIRE_ERR_UNSUPPORTED,
 * the format has no such access, type or size, or a flag is unknown. QUIRE_ERR_BUSY, as told above.
 * QUIRE_ERR_NO_MEMORY, or what else the source of tables answered: a table could not be had.
 * QUIRE_ERR_FRAME, the source gave a frame that the format cannot reach.
 */
#ifndef QUIRE_PAGING_H
#define QUIRE_PAGING_H

#include <quire/address.h>

#ifdef __cplusplus
extern "C" {
#endif

struct quire_boot;
struct quire_kind_source;
struct quire_machine;

/* ---- What a page is ------------------------------------------------------------------------- */

/* Who may do what with a page. Or-ed together. */
enum quire_access {
    QUIRE_READ = 1u << 0,
    QUIRE_WRITE = 1u << 1,
    QUIRE_EXECUTE = 1u << 2,
    QUIRE_USER = 1u << 3, /* in user mode; without it in the kernel alone */
};
enum { QUIRE_ACCESS_ALL = QUIRE_READ | QUIRE_WRITE | QUIRE_EXECUTE | QUIRE_USER };

/* How a page's memory is reached. */
enum quire_memory_type {
    QUIRE_TYPE_NORMAL = 0,          /* cached */
    QUIRE_TYPE_WRITE_COMBINING = 1, /* not cached; writes may be gathered and come in any order */
    QUIRE_TYPE_UNCACHED = 2,        /* not cached; each access as it was made, in order */
    QUIRE_TYPE_DEVICE = 3,          /* as uncached, and the processor need not wait for writes */
};
enum { QUIRE_TYPES = 4 };

/* ---- Formats ------------------------------------------------------------------------------- */

enum { QUIRE_PAGING_LEVELS = 5 };           /* at most */
#define QUIRE_PAGING_NO_ENCODING UINT64_MAX /* of an access or type that the format lacks */

/* What a format's entries look like. In all of them bit 0 says that the entry is present. */
struct quire_paging_format {
    const char *name;
    struct quire_canonical canonical;
    uint8_t levels;      /* 2 .. QUIRE_PAGING_LEVELS; the root is level `levels` - 1 */
    uint8_t entry_bytes; /* 4 or 8 */
    uint8_t index_bits;  /* a table has 2^index_bits entries, the root 2^root_bits */
    uint8_t root_bits;
    uint8_t phys_bits;      /* physical addresses are below 2^phys_bits, */
    uint8_t root_phys_bits; /* and that of the root is below 2^root_phys_bits */
    uint8_t frame_shift;    /* addresses stand in entries shifted right by so many bits */
    bool break_before_make; /* a page may change its size, frame or type only by way of empty */
    bool root_complete;     /* the processor reads the root once: its tables exist from the start */
    uint64_t sizes;         /* of pages */
    uint64_t frame_mask;    /* where the address stands */
    uint64_t table;         /* what an entry for a table has besides, below the root, */
    uint64_t root_table;    /* and in the root */
    uint64_t small_page, large_page; /* what every page has besides */
    uint64_t kind_mask, kind_table;  /* above level 0: an entry for a table has these bits so */
    uint64_t access_mask, access[QUIRE_ACCESS_ALL + 1]; /* by the set of enum quire_access */
    /* The same backwards: bits of access_mask, times this, shifted right by 60, are the place of
     * the access in the table. */
    uint64_t access_spread;
    uint8_t access_back[QUIRE_ACCESS_ALL + 1];
    uint64_t type_mask, types[QUIRE_TYPES];
    uint64_t global, local; /* what a page has that is, or is not, in all address spaces */
    uint64_t accessed;      /* set by the processor or its fault handler */
    uint64_t dirty;         /* the same, or set by this library where `clean` says so */
    uint64_t clean;         /* cleared by the processor at the first write to a page whose access
                             * has the bit `writable`; both 0: there are none */
    uint64_t writable;
    uint64_t busy;   /* of an entry that is not present: a page that is being replaced */
    uint64_t copy;   /* ignored by the processor. In the root: a table that another page table has,
                      * too; of a page: a write looks first (space.h) */
    uint64_t shared; /* ignored by the processor. In the root: another page table's table; of a
                      * page of 4 KiB: a file's frame; of a large one: when it is gone, small ones
                      * are wanted in its place (space.h) */
};

/* x86: pages without WRITE may be written by the kernel unless CR0.WP is set. No EXECUTE needs
 * EFER.NXE, global pages CR4.PGE. Types need a PAT of QUIRE_X86_PAT, and no MTRR that says
 * otherwise. i386 without PAE has no pages without EXECUTE; it needs CR4.PSE. 1 GiB: ask CPUID
 * before, and leave the size out where there is none. */
#define QUIRE_X86_PAT ((uint64_t)0x0007010600070106)
extern const struct quire_paging_format quire_x86_64_4level;
extern const struct quire_paging_format quire_x86_64_5level;
extern const struct quire_paging_format quire_i386;
extern const struct quire_paging_format quire_i386_pae;

/* aarch64: 48 bits, for TTBR0 (lower half) and TTBR1 (upper half). MAIR_EL1 must be
 * QUIRE_AARCH64_MAIR. The kernel cannot execute a page with USER. Marks are set by the processor
 * with FEAT_HAFDBS, else by the fault handler, through update; without either map pages that are
 * accessed and dirty. */
#define QUIRE_AARCH64_MAIR ((uint64_t)0x040044ff)
extern const struct quire_paging_format quire_aarch64_lower;
extern const struct quire_paging_format quire_aarch64_upper;

/* riscv64: what is cached the physical memory's attributes say, so there are NORMAL and DEVICE
 * alone, and both read back as NORMAL. Marks: as aarch64, with Svadu. */
extern const struct quire_paging_format quire_riscv64_sv39;
extern const struct quire_paging_format quire_riscv64_sv48;

/* ---- What the kernel brings ---------------------------------------------------------------- */

/* Where tables come from. `alloc` gives a frame below frame number `below`, with any content; 0 or
 * one of enum quire_error. `free` may be NULL: then tables are not given back. */
struct quire_table_source {
    int (*alloc)(void *ctx, uint64_t below, quire_pfn *pfn);
    void (*free)(void *ctx, quire_pfn pfn);
    void *ctx;
};

/* How the library reaches a table: in a direct map of all memory, the physical address 0 at `base`;
 * or, if `open` is not NULL, through a window: it makes a frame readable and writable until it is
 * closed. A call of this header has at most two frames open, one while it calls `visit`, and the
 * last one opened is closed first. (Those of space.h have three.) */
struct quire_reach {
    uintptr_t base;
    void *(*open)(void *ctx, quire_pfn pfn);
    void (*close)(void *ctx, void *at);
    void *ctx;
};

struct quire_paging_port {
    struct quire_table_source tables;
    struct quire_reach reach;
    /* Invalidate these addresses, of pages and of tables, on all CPUs that may hold them, and
     * return when all have. NULL: what needs it is QUIRE_ERR_UNSUPPORTED, namely join and trim,
     * and with break_before_make also to split and to update. */
    void (*invalidate)(void *ctx, struct quire_vrange range);
    void *ctx;
    /* These tables, `count` of them, were taken out, and invalidated. Give each back, as
     * tables.free does, once all calls have ended that are in the page table now, on any CPU, the
     * caller's own aside: they may still read it. At once where a CPU answers an invalidation
     * between two calls alone; else after a grace period, for which the caller need not wait. What
     * is in them must stay until then. NULL: tables that run empty stay. */
    void (*retire)(void *ctx, const quire_pfn *tables, uint32_t count);
};

/* Tables from a machine, on the node of the CPU that asks. */
struct quire_table_source quire_tables_from_machine(struct quire_machine *machine);

/* The same, counted by kind (machine.h): *source stays. */
struct quire_table_source quire_tables_of_kind(struct quire_kind_source *source);

/* Tables from boot memory, for good; one CPU at a time, as all of boot.h. Then use set_source. */
struct quire_table_source quire_tables_from_boot(struct quire_boot *boot);

/* Tables from a fixed run of frames. `taken` has a bit for each, and starts from all zero. Any
 * number of CPUs at once. */
struct quire_table_pool {
    struct quire_run run;
    uint64_t *taken; /* (run.frames + 63) / 64 words, aligned to 8 bytes; private, and atomic */
};
struct quire_table_source quire_tables_from_pool(struct quire_table_pool *pool);

/* ---- A page table -------------------------------------------------------------------------- */

/* Private: use the functions below. */
struct quire_paging {
    const struct quire_paging_format *format;
    struct quire_paging_port port;
    quire_pfn root;
    bool plain;       /* there is a short way down, see steps.h of the library */
    uint64_t lowest;  /* an address is canonical if this much above it is below 2^bits */
    uint64_t room[2]; /* zero, see version.h */
};

/* A page as it is, or shall be, mapped. */
struct quire_page {
    quire_paddr phys; /* its first byte */
    uint64_t size;    /* in bytes; not read of one that shall be mapped */
    uint32_t access;  /* enum quire_access */
    enum quire_memory_type type;
    bool global; /* in all address spaces */
    bool accessed, dirty;
};

/* What has to be invalidated: page by page, or all if it is more than is worth that: as many as
 * Linux does one by one (tlb_single_page_flush_ceiling). Start from all zero; calls add to it,
 * those that fail too: it is to be heeded whatever the result. */
enum { QUIRE_GATHER_PAGES = 33 };
struct quire_gather {
    struct quire_vrange pages[QUIRE_GATHER_PAGES]; /* count of them, each one page */
    uint32_t count;
    bool all;    /* everything; pages[] are not all */
    bool global; /* there is a global page among them */
    bool tables; /* a large page was split: what the processor remembers of tables goes too */
};

/* Called for each page, in ascending order of addresses. */
typedef int quire_page_visit(void *ctx, quire_vaddr virt, const struct quire_page *page);

enum quire_paging_flags {
    QUIRE_PAGING_HOLES = 1u << 0, /* addresses that are not mapped are passed over */
    QUIRE_PAGING_WHOLE = 1u << 1, /* no large page is split */
};

/* An empty page table. *port is copied. Thread only, as the next four. */
int quire_paging_init(struct quire_paging *paging, const struct quire_paging_format *format,
                      const struct quire_paging_port *port);

/* As init, of tables that are there: `root` names them, say those that the kernel booted with. join
 * and destroy give them back as any others. */
void quire_paging_adopt(struct quire_paging *paging, const struct quire_paging_format *format,
                        const struct quire_paging_port *port, quire_pfn root);

/* Let the tables of `from` serve this range here, too: the kernel's half, in the page table of each
 * process. What is mapped there later, by either, is mapped in both; but root entries that `from`
 * does not have yet stay what they are here, so it has to have them all before. `from` must live
 * longer, and nobody else may be in a call about the range here, nor join or promote (space.h)
 * there. From now on neither trim nor join gives back a table that a root entry of `from` names in
 * the range, in whatever struct quire_paging that root is, though nobody may share it any more.
 * QUIRE_ERR_ALIGN: the range is not made of whole root entries. QUIRE_ERR_UNSUPPORTED: another
 * format, or `from` has the same root. QUIRE_ERR_MAPPED: the range has a page here, or a table that
 * is in use or shared from here. QUIRE_ERR_LARGE: a root entry of `from` is a large page. */
int quire_paging_share(struct quire_paging *paging, const struct quire_paging *from,
                       struct quire_vrange range);

/* Give back every table but those that are shared with another page table. Nobody may use this one
 * any more, no processor either. What is mapped is forgotten. */
void quire_paging_destroy(struct quire_paging *paging);

/* From now on tables come from there, and go there: also those that there are. Nobody else may be
 * in a call. */
void quire_paging_set_source(struct quire_paging *paging, const struct quire_table_source *tables);

/* The frame that the processor has to be told. Wait-free. */
static inline quire_pfn quire_paging_root(const struct quire_paging *paging)
{
    return paging->root;
}

/* Map the range to the memory from page->phys upwards, by the largest pages of the set `sizes` (0:
 * all that the format has) that alignment, length and the tables there allow.
 * QUIRE_ERR_MAPPED: a page of the range is mapped. QUIRE_ERR_ALIGN: also if `sizes` has none for a
 * part of the range. QUIRE_ERR_BUSY: also if `sizes` has none that is small enough to go below a
 * table that is there. What is gathered is nothing unless another call mapped a page of the range
 * at the same time, and this one took its own pages back. */
int quire_paging_map(struct quire_paging *paging, struct quire_vrange range,
                     const struct quire_page *page, uint64_t sizes, struct quire_gather *gather);

/* Take all pages of the range out. `visit`, if not NULL, is told each of them as it was at the end,
 * and returns 0. Large pages that are partly in the range are split before.
 * QUIRE_ERR_UNMAPPED: there is a hole, and QUIRE_PAGING_HOLES is not set. QUIRE_ERR_LARGE: a large
 * page is partly in the range, and QUIRE_PAGING_WHOLE is set. */
int quire_paging_unmap(struct quire_paging *paging, struct quire_vrange range, uint32_t flags,
                       quire_page_visit *visit, void *ctx, struct quire_gather *gather);

/* Give all pages of the range this access. Errors as quire_paging_unmap. */
int quire_paging_protect(struct quire_paging *paging, struct quire_vrange range, uint32_t access,
                         uint32_t flags, struct quire_gather *gather);

/* Replace the page that begins at `virt`, of whatever size, if it maps `from`: *to is how it shall
 * be, marks included. *old, if not NULL, is how it was, with the last of its marks.
 * QUIRE_ERR_UNMAPPED: there is none. QUIRE_ERR_LARGE: `virt` is inside of a large page.
 * QUIRE_ERR_BUSY: also if it does not map `from` (any more). QUIRE_ERR_ALIGN: also if to->phys is
 * no multiple of the page's size. */
int quire_paging_update(struct quire_paging *paging, quire_vaddr virt, quire_paddr from,
                        const struct quire_page *to, struct quire_page *old,
                        struct quire_gather *gather);

/* Make one page of this size at `virt` out of the pages there, all of the next smaller size. It has
 * the marks of all of them. The table is given back, so no other call may be about the range: all
 * must have left it. Succeeds if there is such a page, or a larger one.
 * QUIRE_ERR_UNMAPPED: there is a hole. QUIRE_ERR_BUSY: also if the pages have different attributes,
 * are smaller, have a table that is shared, or their frames are not in a row that begins at a
 * multiple of `size`. QUIRE_ERR_ALIGN: `virt` is no multiple of `size`. */
int quire_paging_join(struct quire_paging *paging, quire_vaddr virt, uint64_t size);

/* Give back the tables that have nothing in them and whose addresses are all in the range, but for
 * those that quire_paging_share let serve another page table, by way of port.retire. translate,
 * walk, and calls about what is mapped in the range may be under way; but no other call may map
 * there, or split. Thread only. QUIRE_ERR_UNSUPPORTED: port.retire or port.invalidate is NULL. */
int quire_paging_trim(struct quire_paging *paging, struct quire_vrange range);

/* The page that has this byte, and, if not NULL, the byte's physical address. QUIRE_ERR_UNMAPPED:
 * there is none. Wait-free. */
int quire_paging_translate(struct quire_paging *paging, quire_vaddr virt, struct quire_page *page,
                           quire_paddr *phys);

/* Visit all pages that have a byte in the range. What `visit` returns, if not 0, ends the walk and
 * is the result. Wait-free but for it. */
int quire_paging_walk(struct quire_paging *paging, struct quire_vrange range,
                      quire_page_visit *visit, void *ctx);

#ifdef __cplusplus
}
#endif

#endif /* QUIRE_PAGING_H */
