/* SPDX-License-Identifier: MIT
 *
 * file.c - a file begins and ends; its size changes; it is written back; its frames are given back.
 *
 * Who changes the page cache has the lock `serial`: so a page that is written back stays, and what
 * is leaving is one call's. The invariants are those of cache.c.
 */
#include "files.h"

static bool source_is_whole(const struct quire_file_config *config)
{
    return config->pager.size && config->pager.read && config->frames.alloc &&
           config->frames.free && config->memory.alloc && config->memory.free;
}

int quire_file_create(struct quire_file *file, const struct quire_file_config *config)
{
    struct quire_file fresh = {.config = *config};
    uint64_t bytes;

    if (!source_is_whole(config) || config->around > 64 || (config->around & (config->around - 1)))
        return QUIRE_ERR_UNSUPPORTED;
    if (config->pager.size(config->pager.ctx, &bytes))
        return QUIRE_ERR_PAGER;
    if (bytes > QUIRE_FILE_PAGES * PAGE_BYTES)
        return QUIRE_ERR_SIZE;
    fresh.root = qi_cache_words(&fresh);
    if (!fresh.root)
        return QUIRE_ERR_NO_MEMORY;
    qa_store(file_word(&fresh, FILE_SIZE), bytes, relaxed); /* relaxed: the caller's */
    *file = fresh;
    return 0;
}

/* Danger: a fault has put a page into an entry, and has its pin still; an unmap takes the entry,
 * and nothing else is left of the area. Who sees the area gone sees a pin that was made before. */
static bool is_pinned(struct quire_file *file)
{
    uint64_t page = 0;
    qa64 *word;

    for (; (word = qi_cache_next(file, &page, QUIRE_FILE_PAGES)) != NULL; page++)
        if (qa_load(word, acquire) & CACHE_PINS) /* E-cache acquire: they are done with the word */
            return true;
    return false;
}

int quire_file_destroy(struct quire_file *file)
{
    bool used;

    qi_file_lock(file, FILE_LISTING);
    used = file->areas != NULL;
    qi_file_unlock(file, FILE_LISTING);
    /* E-file-busy acquire: what those faults did with the file */
    if (used || qa_load(file_word(file, FILE_BUSY), acquire) > 0 || is_pinned(file))
        return QUIRE_ERR_BUSY;
    qi_cache_end(file);
    return 0;
}

uint64_t quire_file_cached(struct quire_file *file)
{
    return qa_load(file_word(file, FILE_CACHED), relaxed); /* relaxed: a figure */
}

uint64_t quire_file_size(struct quire_file *file)
{
    return qa_load(file_word(file, FILE_SIZE), relaxed); /* relaxed: advisory */
}

/* ---- Another size --------------------------------------------------------------------------- */

/* Let the page get no new pins, and wait for those that it has. One that is being read is there, or
 * gone, by then. False: it is gone. */
static bool make_leaving(struct quire_file *file, qa64 *word)
{
    uint64_t seen;

    /* E-cache acquire: the entries that it was put into */
    while ((seen = qa_load(word, acquire)) != 0) {
        if ((seen & CACHE_VALID) && !(seen & CACHE_LEAVING))
            qi_cache_mark(word, CACHE_LEAVING);
        else if ((seen & CACHE_VALID) && !(seen & CACHE_PINS))
            return true;
        else
            qi_file_relax(file);
    }
    return false;
}

/* It is in no area. */
static void drop_leaving(struct quire_file *file, qa64 *word)
{
    quire_pfn pfn = cache_pfn(qa_load(word, relaxed)); /* relaxed: the caller's */

    qa_store(word, 0, release); /* E-cache release: we are done with the page */
    (void)qa_sub(file_word(file, FILE_CACHED), 1, relaxed); /* relaxed: a figure */
    file->config.frames.free(file->config.frames.ctx, pfn, 0);
}

/* Nothing behind the new end is cached, or mapped. */
static void cut(struct quire_file *file, uint64_t end)
{
    uint64_t page;
    qa64 *word;

    for (page = end; (word = qi_cache_next(file, &page, QUIRE_FILE_PAGES)) != NULL; page++)
        (void)make_leaving(file, word);
    (void)qi_areas_take(file, end, QUIRE_FILE_PAGES - end, true, true);
    for (page = end; (word = qi_cache_next(file, &page, QUIRE_FILE_PAGES)) != NULL; page++)
        if (qa_load(word, relaxed) & CACHE_LEAVING) /* relaxed: nobody else makes one leaving */
            drop_leaving(file, word);
}

/* The rest of a page that is partly behind the end, or was: a program may have written there.
 * Danger: the file grows, and what is written to its new end by who was told so is cleared. So it
 * is cleared while it is behind the end: before the file grows, and after it was made smaller. */
static void zero_rest(struct quire_file *file, uint64_t bytes)
{
    const struct quire_reach *reach = &file->config.reach;
    qa64 *word = qi_cache_word(file, bytes / PAGE_BYTES, false);
    uint64_t used = bytes % PAGE_BYTES;
    quire_pfn pfn;
    char *at;

    if (used == 0 || !word)
        return;
    while (qa_load(word, relaxed) & CACHE_READING) /* relaxed: the pin decides */
        qi_file_relax(file);
    if (!qi_cache_pin(word, &pfn))
        return;
    at = (char *)reach_open(reach, pfn);
    __builtin_memset(at + used, 0, (size_t)(PAGE_BYTES - used));
    reach_close(reach, at);
    qi_cache_unpin(word);
}

int quire_file_resize(struct quire_file *file, uint64_t bytes)
{
    uint64_t before;

    if (bytes > QUIRE_FILE_PAGES * PAGE_BYTES)
        return QUIRE_ERR_SIZE;
    qi_file_lock(file, FILE_SERIAL);
    before = qa_load(file_word(file, FILE_SIZE), relaxed); /* relaxed: the lock's */
    if (bytes >= before)
        zero_rest(file, before);
    (void)qa_xchg(file_word(file, FILE_SIZE), bytes, relaxed); /* relaxed: the fence */
    qa_fence_after_rmw(); /* E-file-size fence: the size before the words (FC3) */
    if (bytes < before) {
        cut(file, (bytes + (PAGE_BYTES - 1)) / PAGE_BYTES);
        zero_rest(file, bytes);
    }
    qi_file_unlock(file, FILE_SERIAL);
    return 0;
}

/* ---- Writing back --------------------------------------------------------------------------- */

int quire_file_sync(struct quire_file *file, uint64_t page, uint64_t pages)
{
    int error;

    if (page >= QUIRE_FILE_PAGES)
        return QUIRE_ERR_SIZE;
    if (!file->config.pager.write)
        return 0; /* nothing is ever dirty */
    qi_file_lock(file, FILE_SERIAL);
    qi_areas_clean(file, page, pages);
    error = qi_cache_write(file, page, pages);
    qi_file_unlock(file, FILE_SERIAL);
    return error;
}

/* ---- Giving back ---------------------------------------------------------------------------- */

/* Make the page leaving, if it was not used lately, nor is just now. */
static bool is_chosen(struct quire_file *file, uint64_t page, qa64 *word, bool write)
{
    uint64_t seen = qa_load(word, relaxed); /* relaxed: the exchange decides */

    if (seen & CACHE_USED) {
        (void)qi_cache_unmark(word, CACHE_USED);
        return false;
    }
    if (!(seen & CACHE_VALID) || (seen & CACHE_PINS) || ((seen & CACHE_DIRTY) && !write))
        return false;
    if (qi_areas_accessed(file, page))
        return false;
    /* E-cache acquire: the entries that it was put into */
    return qa_cas(word, &seen, seen | CACHE_LEAVING, acquire);
}

/* A page that is leaving: take it out of all areas, and write it back. False: it stays. */
static bool evict(struct quire_file *file, uint64_t page, qa64 *word, bool write)
{
    if (!qi_areas_take(file, page, 1, false, false))
        return false;
    /* relaxed: who marked it, did so under the lock, or we saw his entry replaced */
    if (!(qa_load(word, relaxed) & CACHE_DIRTY))
        return true;
    return write && qi_cache_write(file, page, 1) == 0;
}

uint64_t quire_file_reclaim(struct quire_file *file, uint64_t frames, bool write)
{
    uint64_t given = 0, page = file->hand;
    qa64 *word;

    if (!qi_file_try_lock(file, FILE_SERIAL))
        return 0;
    for (unsigned round = 0; round < 4 && given < frames; round++) {
        for (; given < frames && (word = qi_cache_next(file, &page, QUIRE_FILE_PAGES)); page++) {
            if (!is_chosen(file, page, word, write && file->config.pager.write))
                continue;
            if (evict(file, page, word, write && file->config.pager.write)) {
                drop_leaving(file, word);
                given++;
            } else {
                (void)qi_cache_unmark(word, CACHE_LEAVING);
            }
        }
        if (given < frames)
            page = 0;
    }
    file->hand = page;
    qi_file_unlock(file, FILE_SERIAL);
    return given;
}
