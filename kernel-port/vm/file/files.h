/* SPDX-License-Identifier: MIT
 *
 * files.h - what the files about notes and page caches have from each other, and what the rest of
 * kernel-port/vm has of them. Private to kernel-port/vm.
 */
#ifndef QUIRE_VM_FILES_H
#define QUIRE_VM_FILES_H

#include "kernel-port/vm/spaces.h"

enum { PAGE_BYTES = QUIRE_FRAME_SIZE };

/* ---- note.c: what is known of an area ------------------------------------------------------- */

struct note {
    struct quire_space *space;
    struct quire_file *file; /* NULL: anonymous memory */
    bool shared;
    qa32 gigabytes;  /* enum quire_area_gigabytes */
    uint64_t offset; /* in the file, of address 0: it may wrap around */
    bool limited;    /* for good: it is for areas that have a limit */
    qa64 policy;     /* a pointer */
    qa64 limit;      /* 0: none */
    qa64 frames;     /* counted against the limit: see limit.c */
    uint64_t start, bytes;
    uint32_t number, origin, users;
    struct note *next, *file_next, *file_before;
};

/* Note an area. */
int qi_note_add(struct quire_space *space, const struct quire_area *area, struct quire_vrange range,
                struct note **made);

/* Let a note begin at `virt`, if one lies across it. */
int qi_notes_split(struct quire_space *space, uint64_t virt);

/* Write back what is known to be dirty of files that areas of the range share. No note lies across
 * an end of it. */
void qi_notes_write(struct quire_space *space, struct quire_vrange range);

/* Forget all notes in the range, of which none lies across an end; nothing is mapped there. */
void qi_notes_remove(struct quire_space *space, struct quire_vrange range);

/* May all anonymous memory of the range have another policy? Not with a file in it, nor with a part
 * of an area with a limit, as entries of all its parts have one number: that of the count. */
bool qi_notes_fit_policy(struct quire_space *space, struct quire_vrange range);

/* Let areas with a limit or gigabytes, which are in the range as a whole, have this policy. */
void qi_notes_set_policy(struct quire_space *space, struct quire_vrange range,
                         const struct quire_policy *policy);

/* Have so many notes at hand that are for areas without a limit. */
int qi_notes_prepare(struct quire_space *space, uint32_t count);

/* The note for anonymous memory from `start` on that is to have this policy and no limit: that of
 * the area below, if it is alike, or one that is at hand. Then let it be about the range too, which
 * begins there, and where no other note is any more. */
struct note *qi_note_for(struct quire_space *space, uint64_t start,
                         const struct quire_policy *policy);
void qi_note_extend(struct quire_space *space, struct note *note, struct quire_vrange range);

/* The child, which has none, gets all notes of the space, by the same numbers. */
int qi_notes_fork(struct quire_space *space, struct quire_space *child);

/* Give back the memory of all notes, which are none. */
void qi_notes_end(struct quire_space *space);

/* The note about the address, or NULL. `near` is a note that was found below it, or NULL. */
struct note *qi_note_at(struct quire_space *space, struct note *near, uint64_t virt);

/* The note of this number. */
struct note *qi_note(const struct quire_space *space, uint32_t number);

/* What the area of this reserved entry says of pages of 1 GiB. */
static inline uint32_t gigabytes_of(const struct quire_space *space, uint64_t e)
{
    uint32_t number = reserved_note(space->paging.format, e);

    if (number == NO_NOTE)
        return QUIRE_GIGABYTES_NONE;
    return qa_load(&qi_note(space, number)->gigabytes, relaxed); /* relaxed: see note.c */
}

/* A reserved entry of an area with this note, or with none. */
static inline uint64_t entry_of_area(const struct quire_paging_format *f, const struct note *note,
                                     uint32_t access, bool large)
{
    return entry_reserved(access, large) |
           (note ? entry_note(f, note->origin, note->file != NULL) : 0);
}

/* A file that is shared, and not written. */
static inline bool note_is_unwritten(const struct note *note)
{
    return note->shared && !note->file->config.pager.write;
}

static inline uint64_t note_page(const struct note *note, uint64_t virt)
{
    return (virt + note->offset) >> QUIRE_FRAME_SHIFT;
}

/* As qi_note_at, where there are no notes in most spaces. */
static inline struct note *note_at(struct quire_space *space, struct note *near, uint64_t virt)
{
    return space->notes ? qi_note_at(space, near, virt) : NULL;
}

/* ---- limit.c -------------------------------------------------------------------------------- */

/* A count beside its frames, which are in the bits below: they are not there yet, or are about to
 * be given back. */
#define PENDING ((uint64_t)1 << 44)

/* Count frames of anonymous memory, and PENDING if that is added, against the limits of the space
 * and of the area whose note has this number, if there are any; count down what was counted. */
int qi_limit_charge(struct quire_space *space, uint32_t number, uint64_t counts);
void qi_limit_uncharge(struct quire_space *space, uint32_t number, uint64_t counts);

/* Count frames for the child of a fork, which no limit refuses. */
void qi_limit_inherit(struct quire_space *space, uint32_t number, uint64_t frames);

/* So many frames were refused. Does a limit refuse them for good, as LM1 has it? Else ask again. */
bool qi_limit_refuses(struct quire_space *space, uint32_t number, uint64_t frames);

/* The same where there is a limit; most areas have none, nor a note. */
static inline bool area_is_counted(const struct quire_space *space, uint32_t number)
{
    return space->config.limit || number != NO_NOTE;
}

static inline int area_charge(struct quire_space *space, uint32_t number, uint64_t counts)
{
    return area_is_counted(space, number) ? qi_limit_charge(space, number, counts) : 0;
}

static inline void area_uncharge(struct quire_space *space, uint32_t number, uint64_t counts)
{
    if (area_is_counted(space, number))
        qi_limit_uncharge(space, number, counts);
}

/* ---- cache.c: a file's pages ---------------------------------------------------------------- */

/* The upper half of the root has a file's own words, each on a line for itself. */
enum {
    FILE_SIZE = 256,    /* in bytes */
    FILE_CACHED = 264,  /* frames */
    FILE_BUSY = 272,    /* faults that hold nothing else of the file */
    FILE_SERIAL = 280,  /* a lock, of who changes the page cache */
    FILE_LISTING = 288, /* a lock, of `areas` and where they are */
};

static inline qa64 *file_word(const struct quire_file *file, unsigned which)
{
    return (qa64 *)file->root + which;
}

/* A page of words, all 0; or NULL. */
qa64 *qi_cache_words(const struct quire_file *file);

/* The word of a page. NULL: there is none, or (with `make`) no memory for one. */
qa64 *qi_cache_word(struct quire_file *file, uint64_t page, bool make);

/* The next page from *page on, and before `end`, whose word was ever used. NULL: there is none. */
qa64 *qi_cache_next(struct quire_file *file, uint64_t *page, uint64_t end);

enum {
    CACHE_VALID = 1u << 0,   /* it was read */
    CACHE_READING = 1u << 1, /* it is being read */
    CACHE_LEAVING = 1u << 2, /* it is being taken out: no entry gets it any more */
    CACHE_DIRTY = 1u << 3,
    CACHE_USED = 1u << 4, /* since the clock came by */
    CACHE_PIN = 1u << 8,  /* one more who puts it into an entry just now */
    CACHE_PFN_SHIFT = 24,
};
#define CACHE_PINS ((uint64_t)0xffff00)

static inline quire_pfn cache_pfn(uint64_t word)
{
    return quire_pfn_of(word >> CACHE_PFN_SHIFT);
}

/* Pin a page that is there. False: it is not, or is just leaving. */
bool qi_cache_pin(qa64 *word, quire_pfn *pfn);
void qi_cache_unpin(qa64 *word);
void qi_cache_mark(qa64 *word, uint64_t flag);
/* Take the flag away: was it there? */
bool qi_cache_unmark(qa64 *word, uint64_t flag);

/* Read the page, or wait for who does, or for who takes it out. 0: look again. */
int qi_cache_bring(struct quire_file *file, uint64_t page);

/* A page was taken out of an area that shares the file, and it was written. */
void qi_cache_written(const struct note *note, uint64_t virt);

/* Write back those pages of the range that are known to be dirty. */
int qi_cache_write(struct quire_file *file, uint64_t page, uint64_t pages);

/* Give back all pages of the file and what leads to them. */
void qi_cache_end(struct quire_file *file);

/* FILE_SERIAL or FILE_LISTING. Who wants both has the first one first. */
void qi_file_lock(struct quire_file *file, unsigned which);
bool qi_file_try_lock(struct quire_file *file, unsigned which);
void qi_file_unlock(struct quire_file *file, unsigned which);
void qi_file_relax(const struct quire_file *file);

/* ---- areas.c: a file's pages in all areas --------------------------------------------------- */

/* Take pages out of all areas: those that are cached, with `all` private copies too. With `wait`
 * for pages that are held, else passing over them: false, some are left. */
bool qi_areas_take(struct quire_file *file, uint64_t page, uint64_t pages, bool all, bool wait);

/* Let all dirty pages be clean in all areas, and dirty in the page cache. */
void qi_areas_clean(struct quire_file *file, uint64_t page, uint64_t pages);

/* Was the page accessed, in any area, since the last call? */
bool qi_areas_accessed(struct quire_file *file, uint64_t page);

/* ---- touch.c -------------------------------------------------------------------------------- */

/* The place, of level 0, is reserved for a page of a file, and the access is allowed. Closes the
 * place. *done: the page is there. */
int qi_file_touch(struct quire_space *space, struct place *place, uint64_t virt, uint32_t access,
                  bool *done);

#endif /* QUIRE_VM_FILES_H */
