/* SPDX-License-Identifier: MIT
 *
 * file.h - files that address spaces map (space.h): a page cache, filled by a pager. (The library
 * of kernel-port/vm; libquire has no part of it.)
 *
 * Words. A *pager* is what the kernel brings: it knows a file's size, reads a page into a frame,
 * and writes one back. It may fail, and it may be slow. The *page cache* of a file has the frames
 * of pages that were read; all spaces that map the file have the same frame. A cached page is
 * *dirty* when it was written to since the pager had it.
 *
 * Who may call what. All calls but create and destroy may be made on any number of CPUs at once,
 * beside faults and calls on all spaces, in any context in which the pager's functions may be. Of
 * one file, sync, resize and reclaim come one after the other: they wait for each other by `relax`,
 * except reclaim, which does nothing then.
 *
 * Progress. A fault on a page that is cached waits for nobody. One on a page that is not reads it,
 * or waits, by `relax`, for who is reading it or taking it out; it holds nothing meanwhile. sync
 * and resize wait, by `relax`, for those who are in the middle of a fault or an unmap of a page of
 * theirs; reclaim passes over such a page. So `relax` must let invalidations be answered. An unmap
 * of an area that shares the file, or the end of its space, waits for sync, resize and reclaim, if
 * the pager writes.
 *
 * Dirty pages are written back by sync, by reclaim, if it may write, and those of an area that
 * shares the file when it is unmapped, by whichever space they were written. A page that cannot be
 * written stays cached, and dirty.
 *
 * Errors, the same for all: QUIRE_ERR_PAGER, the pager could not read or write a page: what it
 * answered is told to nobody. QUIRE_ERR_SIZE: a size, or a page's number, beyond QUIRE_FILE_PAGES.
 */
#ifndef QUIRE_FILE_H
#define QUIRE_FILE_H

#include <quire/machine.h>
#include <quire/paging.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QUIRE_FILE_PAGES ((uint64_t)1 << 35) /* pages that a file may have: 2^47 bytes */

/* Each returns 0, or any other number if it could not. `page` counts pages of 4096 bytes. */
struct quire_pager {
    int (*size)(void *ctx, uint64_t *bytes);
    /* Fill the frame. What is behind the end of the file is to be zeros. */
    int (*read)(void *ctx, uint64_t page, quire_pfn pfn);
    /* Take what is in the frame, up to the end of the file; it may be written to meanwhile: then it
     * comes again. It must not unmap areas of this file, nor sync or resize it: that would wait for
     * the call that it is in. NULL: the file is not written, so it is not mapped shared and
     * writable. */
    int (*write)(void *ctx, uint64_t page, quire_pfn pfn);
    void *ctx;
};

/* Pages of 4096 bytes of the kernel's own memory, readable and writable until they are freed, with
 * any content: for what is known of files and areas. NULL: there is none. */
struct quire_memory_source {
    void *(*alloc)(void *ctx);
    void (*free)(void *ctx, void *page);
    void *ctx;
};

/* Where the frames of a space, or of a file, come from: runs of 2^order. 0 or one of enum
 * quire_error. `split` turns a run into those of pages of the next smaller size: one up to order
 * 10 into single frames, a gigabyte (order 18, for areas that ask for it) into runs of order 9; if
 * it is NULL, there are no pages larger than 4 KiB. `alloc_zeroed` gives frames that read as zeros;
 * if it is NULL, or answers QUIRE_ERR_UNSUPPORTED, a space writes the zeros itself. A file asks for
 * single frames alone. */
struct quire_frame_source {
    int (*alloc)(void *ctx, const struct quire_policy *policy, unsigned order, quire_pfn *pfn);
    void (*free)(void *ctx, quire_pfn pfn, unsigned order);
    int (*split)(void *ctx, quire_pfn pfn, unsigned order);
    int (*alloc_zeroed)(void *ctx, const struct quire_policy *policy, unsigned order,
                        quire_pfn *pfn);
    void *ctx;
};

/* From a machine: near the CPU that asks, by the space's policy or the machine's. Where its zones'
 * ports have `zero`, frames that are known to read as zeros are not written. */
struct quire_frame_source quire_frames_from_machine(struct quire_machine *machine);

/* The same, counted by kind (machine.h): *source stays. Those of spaces and of files may differ: a
 * frame goes back to where it came from. */
struct quire_frame_source quire_frames_of_kind(struct quire_kind_source *source);

struct quire_file_config {
    struct quire_pager pager;
    struct quire_frame_source frames;
    struct quire_memory_source memory;
    struct quire_reach reach;
    void (*relax)(void *ctx); /* called again and again while a call waits. NULL: it spins */
    void *ctx;
    const struct quire_policy *policy; /* of its frames; it must stay. NULL: the machine's */
    uint32_t around;  /* so many cached pages, aligned to their number, which is a power of two up
                       * to 64, are mapped by one fault; 0: the one page */
    uint64_t room[4]; /* zero, see version.h */
};

/* Private: use the functions below. It stays where it is. */
struct quire_file {
    struct quire_file_config config;
    void *root;       /* what leads to all pages, and atomic words */
    void *areas;      /* all notes about areas of the file, of all spaces */
    uint64_t hand;    /* of the clock: a page */
    uint64_t room[4]; /* zero, see version.h */
};

/* An empty page cache; the size is the pager's. *config is copied. QUIRE_ERR_UNSUPPORTED: a
 * function is missing, or `around` is no such number. QUIRE_ERR_PAGER: its size could not be had.
 * QUIRE_ERR_NO_MEMORY. */
int quire_file_create(struct quire_file *file, const struct quire_file_config *config);

/* Give back all frames; what is dirty is lost: sync before. QUIRE_ERR_BUSY: an area maps it, or a
 * fault is about it, and nothing was done. */
int quire_file_destroy(struct quire_file *file);

/* Frames in the page cache; the size in bytes. Wait-free. */
uint64_t quire_file_cached(struct quire_file *file);
uint64_t quire_file_size(struct quire_file *file);

/* The file has another size by now: the kernel truncated it, or it grew. What is behind the end is
 * no longer cached nor mapped when the call returns, private copies included, and what was written
 * there is lost; a last page that is partly behind it, or was, reads as zeros there, but for what
 * is written there during the call. A private copy of that last page keeps its bytes. */
int quire_file_resize(struct quire_file *file, uint64_t bytes);

/* Write back all dirty pages among these, which may be behind the end: what was written to them,
 * by any space, before the call, is with the pager after it. After an error all others are
 * written. */
int quire_file_sync(struct quire_file *file, uint64_t page, uint64_t pages);

/* Give back up to so many frames of pages that were not used lately; with `write` dirty pages are
 * written back and given back, too. How many it gave back; 0 also if sync, resize or reclaim of the
 * file is under way. For the machine's reclaim, but not in an interrupt: it waits for nothing but
 * the list of the file's areas, which a reserve, unmap or fork has for some instructions. */
uint64_t quire_file_reclaim(struct quire_file *file, uint64_t frames, bool write);

#ifdef __cplusplus
}
#endif

#endif /* QUIRE_FILE_H */
