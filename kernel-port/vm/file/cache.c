/* SPDX-License-Identifier: MIT
 *
 * cache.c - a file's page cache: a word for each page, in a tree of pages of words.
 *
 * A word has the frame, and flags; 0: the page is not cached. What leads to words comes by
 * compare-and-swap and stays until the end. A page
 *   - is *reading* from the moment that its frame is there until the pager has answered;
 *   - is *valid* from then on. A fault *pins* it while it puts it into an entry, no longer;
 *   - is *leaving*, and gets no new pins, while it is taken out of all areas; then it is gone.
 * Invariants:
 *   FC1  Only who made a page reading, or leaving, ends that.
 *   FC2  An entry gets a cached page between a pin and its end. So who made a page leaving, and saw
 *        no pin then, or waited for the last one, finds it in the areas, or it is in none.
 *   FC3  A page that is behind the end of the file is cached for a moment at most: resize first
 *        makes the file smaller, then looks at the words; who reads makes the page reading, then
 *        looks at the size. Each does so on its own side of a fence: one of them sees the other.
 *   FC4  A page that was written to since the pager had it is dirty in its word, or in an entry
 *        that is present or leaving. A processor may write, and mark nothing, until it has
 *        forgotten the entry: so who takes a page out marks the word after that (and before the
 *        leaving entry goes), and who cleans an entry marks the word before, with FC5.
 *   FC5  Who takes the mark away from a word has the lock `serial`, has let all processors forget
 *        what he cleaned under it, and reads the frame after that.
 *
 * Dangers: a page that is given back while a fault puts it in (FC2); one that comes back behind the
 * end (FC3); a write that is lost (FC4, FC5).
 *
 * Who waits: who faults on a page that is reading or leaving, holding nothing. resize and sync for
 * pins, reading pages and held entries. An unmap for the lock `serial`, when it has nothing leaving
 * any more. Nobody else.
 */
#include "files.h"

enum { LEVELS = 4, SHIFT = 9, WORDS = 1 << SHIFT, ROOT_WORDS = WORDS / 2 };

/* ---- Locks ---------------------------------------------------------------------------------- */

void qi_file_relax(const struct quire_file *file)
{
    if (file->config.relax)
        file->config.relax(file->config.ctx);
}

bool qi_file_try_lock(struct quire_file *file, unsigned which)
{
    uint64_t seen = 0;

    /* E-file-lock acquire: what the last one did under it */
    return qa_cas(file_word(file, which), &seen, 1, acquire);
}

void qi_file_lock(struct quire_file *file, unsigned which)
{
    while (!qi_file_try_lock(file, which))
        qi_file_relax(file);
}

void qi_file_unlock(struct quire_file *file, unsigned which)
{
    qa_store(file_word(file, which), 0, release); /* E-file-lock release: what we did under it */
}

/* ---- Words ---------------------------------------------------------------------------------- */

qa64 *qi_cache_words(const struct quire_file *file)
{
    const struct quire_memory_source *memory = &file->config.memory;
    qa64 *words = (qa64 *)memory->alloc(memory->ctx);

    for (unsigned i = 0; words && i < WORDS; i++)
        qa_store(&words[i], 0, relaxed); /* relaxed: the caller's */
    return words;
}

static unsigned index_of(uint64_t page, unsigned level)
{
    return (unsigned)(page >> SHIFT * level) & (WORDS - 1u);
}

/* What the word leads to; with `make` there is something, unless there is no memory. */
static qa64 *words_below(struct quire_file *file, qa64 *word, bool make)
{
    const struct quire_memory_source *memory = &file->config.memory;
    uint64_t seen = qa_load(word, acquire); /* E-cache acquire: the words are empty */
    void *fresh;

    if (seen || !make)
        return (qa64 *)(uintptr_t)seen;
    fresh = qi_cache_words(file);
    if (!fresh)
        return NULL;
    /* E-cache release: the words are empty */
    if (qa_cas(word, &seen, (uint64_t)(uintptr_t)fresh, release))
        return (qa64 *)fresh;
    memory->free(memory->ctx, fresh);
    return (qa64 *)(uintptr_t)qa_load(word, acquire); /* E-cache acquire: as above */
}

qa64 *qi_cache_word(struct quire_file *file, uint64_t page, bool make)
{
    qa64 *words = (qa64 *)file->root;

    for (unsigned level = LEVELS - 1u; words && level > 0; level--)
        words = words_below(file, &words[index_of(page, level)], make);
    return words ? &words[index_of(page, 0)] : NULL;
}

/* The word, or NULL, and *level is that at which nothing leads on. */
static qa64 *find_word(struct quire_file *file, uint64_t page, unsigned *level)
{
    qa64 *words = (qa64 *)file->root;

    for (*level = LEVELS - 1u; *level > 0; (*level)--) {
        words = words_below(file, &words[index_of(page, *level)], false);
        if (!words)
            return NULL;
    }
    return &words[index_of(page, 0)];
}

qa64 *qi_cache_next(struct quire_file *file, uint64_t *page, uint64_t end)
{
    while (*page < end) {
        unsigned level;
        qa64 *word = find_word(file, *page, &level);
        uint64_t step = (uint64_t)1 << SHIFT * level;

        if (word && qa_load(word, relaxed)) /* relaxed: advisory */
            return word;
        *page = (*page & ~(step - 1)) + step;
    }
    return NULL;
}

bool qi_cache_pin(qa64 *word, quire_pfn *pfn)
{
    uint64_t seen = qa_load(word, relaxed); /* relaxed: the exchange decides */

    do
        if (!(seen & CACHE_VALID) || (seen & CACHE_LEAVING) || (seen & CACHE_PINS) == CACHE_PINS)
            return false;
    /* E-cache acquire: what was read into the frame */
    while (!qa_cas(word, &seen, (seen | CACHE_USED) + CACHE_PIN, acquire));
    *pfn = cache_pfn(seen);
    return true;
}

void qi_cache_unpin(qa64 *word)
{
    (void)qa_sub(word, CACHE_PIN, release); /* E-cache release: the entry */
}

void qi_cache_mark(qa64 *word, uint64_t flag)
{
    (void)qa_or(word, flag, release); /* E-cache release: what was written to the frame */
}

bool qi_cache_unmark(qa64 *word, uint64_t flag)
{
    /* E-cache acquire: what was written to the frame */
    return (qa_and(word, ~flag, acquire) & flag) != 0;
}

/* ---- Reading -------------------------------------------------------------------------------- */

static void give_frame(struct quire_file *file, quire_pfn pfn)
{
    (void)qa_sub(file_word(file, FILE_CACHED), 1, relaxed); /* relaxed: a figure */
    file->config.frames.free(file->config.frames.ctx, pfn, 0);
}

static int take_frame(struct quire_file *file, quire_pfn *pfn)
{
    const struct quire_frame_source *frames = &file->config.frames;
    int error = frames->alloc(frames->ctx, file->config.policy, 0, pfn);

    if (error)
        return error;
    (void)qa_add(file_word(file, FILE_CACHED), 1, relaxed); /* relaxed: a figure */
    if (pfn->n >> (64 - CACHE_PFN_SHIFT)) {
        give_frame(file, *pfn);
        error = QUIRE_ERR_FRAME;
    }
    return error;
}

/* The page is reading, in this frame, by us. */
static int read_page(struct quire_file *file, uint64_t page, qa64 *word, quire_pfn pfn)
{
    const struct quire_pager *pager = &file->config.pager;
    int error = 0;

    qa_fence_after_rmw(); /* E-file-size fence: the word before the size (FC3) */
    if (page >= (qa_load(file_word(file, FILE_SIZE), relaxed) + (PAGE_BYTES - 1)) / PAGE_BYTES)
        error = QUIRE_ERR_END; /* relaxed: the fence */
    else if (pager->read(pager->ctx, page, pfn))
        error = QUIRE_ERR_PAGER;
    if (error == 0) {
        /* E-cache release: what was read into the frame */
        qa_store(word, pfn.n << CACHE_PFN_SHIFT | CACHE_VALID | CACHE_USED, release);
        return 0;
    }
    qa_store(word, 0, release); /* E-cache release: nothing but itself */
    give_frame(file, pfn);
    return error;
}

int qi_cache_bring(struct quire_file *file, uint64_t page)
{
    qa64 *word = qi_cache_word(file, page, true);
    uint64_t seen;
    quire_pfn pfn;
    int error;

    if (!word)
        return QUIRE_ERR_NO_MEMORY;
    seen = qa_load(word, relaxed); /* relaxed: the exchange decides */
    if (seen == 0) {
        error = take_frame(file, &pfn);
        if (error)
            return qa_load(word, relaxed) ? 0 : error; /* relaxed: it is looked at again */
        /* E-cache acquire: who had the page before is done with it */
        if (qa_cas(word, &seen, pfn.n << CACHE_PFN_SHIFT | CACHE_READING, acquire))
            return read_page(file, page, word, pfn);
        give_frame(file, pfn);
    }
    if (seen & (CACHE_READING | CACHE_LEAVING))
        qi_file_relax(file);
    return 0;
}

/* ---- Writing -------------------------------------------------------------------------------- */

void qi_cache_written(const struct note *note, uint64_t virt)
{
    qa64 *word = qi_cache_word(note->file, note_page(note, virt), false);

    qi_cache_mark(word, CACHE_DIRTY);
}

int qi_cache_write(struct quire_file *file, uint64_t page, uint64_t pages)
{
    const struct quire_pager *pager = &file->config.pager;
    uint64_t end = pages < QUIRE_FILE_PAGES - page ? page + pages : QUIRE_FILE_PAGES;
    int error = 0;
    qa64 *word;

    for (; (word = qi_cache_next(file, &page, end)) != NULL; page++) {
        if (!(qa_load(word, relaxed) & CACHE_DIRTY)) /* relaxed: what is wanted was marked by us */
            continue;
        if (!qi_cache_unmark(word, CACHE_DIRTY))
            continue;
        /* relaxed: the frame stays as long as the lock `serial` is ours */
        if (pager->write(pager->ctx, page, cache_pfn(qa_load(word, relaxed)))) {
            qi_cache_mark(word, CACHE_DIRTY);
            error = QUIRE_ERR_PAGER;
        }
    }
    return error;
}

/* ---- The end -------------------------------------------------------------------------------- */

void qi_cache_end(struct quire_file *file)
{
    const struct quire_memory_source *memory = &file->config.memory;
    qa64 *at[LEVELS];
    unsigned level = LEVELS - 1u, next[LEVELS] = {0};
    uint64_t page = 0;
    qa64 *word;

    for (; (word = qi_cache_next(file, &page, QUIRE_FILE_PAGES)) != NULL; page++)
        give_frame(file, cache_pfn(qa_load(word, relaxed))); /* relaxed: nobody else is here */
    at[level] = (qa64 *)file->root;
    while (level < LEVELS) {
        qa64 *below = NULL;

        while (level > 0 && !below && next[level] < (level + 1 < LEVELS ? WORDS : ROOT_WORDS))
            below = words_below(file, &at[level][next[level]++], false);
        if (below) {
            level--;
            next[level] = 0;
            at[level] = below;
        } else {
            memory->free(memory->ctx, at[level++]);
        }
    }
}
