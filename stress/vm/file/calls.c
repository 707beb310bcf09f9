/* SPDX-License-Identifier: MIT
 *
 * calls.c - see calls.h.
 */
#include "calls.h"

#include "file_rig.h"
#include "stress/common/assert.h"

#include <stdbool.h>
#include <string.h>

enum { FRAME = QUIRE_FRAME_SIZE, CELLS = 1100, SPACES = 3, FILES = 2, IN_FILE = 24 };

enum kind { NONE, ANONYMOUS, GUARD, SHARED, PRIVATE };

struct cell {
    uint8_t kind, access, file, own; /* own: a private page that was copied */
    uint16_t page;
    bool policy;
    uint64_t word;    /* of anonymous memory, and of a copy */
    uint64_t limited; /* of an area with a limit: by which call, and 1 more */
};

struct copy {
    bool used;
    struct quire_space space;
    struct cell cells[CELLS];
};

static struct space_rig rig;
static struct file_rig disk[FILES];
static uint64_t now[FILES][IN_FILE], pages[FILES]; /* what is in each page; how many there are */
static struct copy copies[SPACES];
static draw_number *drawer;
static void *source;
static uint64_t call;
static const struct quire_policy some_policy;

static uint64_t draw(uint64_t bound)
{
    return drawer(source, bound);
}

static void wrong(const char *what, int error)
{
    fail_msg("%s: %s: %d (call %llu)", rig.which->format->name, what, error,
             (unsigned long long)call);
}

#define expect(good, what)      \
    do {                        \
        if (!(good))            \
            wrong(what, error); \
    } while (0)

static uint64_t virt_of(uint64_t cell)
{
    return rig.config.range.start.n + cell * FRAME;
}

struct cells {
    uint64_t first, count;
};

static struct cells draw_cells(void)
{
    struct cells s = {draw(4) ? 500 + draw(24) : draw(CELLS), 1 + draw(draw(8) ? 8 : 600)};

    if (s.count > CELLS - s.first)
        s.count = CELLS - s.first;
    return s;
}

static struct quire_vrange range_of(struct cells s)
{
    return quire_vrange_of(virt_of(s.first), s.count * FRAME);
}

static uint32_t draw_access(void)
{
    static const uint32_t accesses[] = {QUIRE_READ | QUIRE_WRITE, QUIRE_READ | QUIRE_WRITE,
                                        QUIRE_READ, QUIRE_READ | QUIRE_EXECUTE};

    return space_rig_access(&rig, accesses[draw(4)]);
}

/* What the rigs were told to refuse. */
static bool refused(int error)
{
    bool pager = false;

    for (unsigned i = 0; i < FILES; i++)
        pager = pager || disk[i].failed;
    return (error == QUIRE_ERR_NO_MEMORY && rig.failed) || (error == QUIRE_ERR_PAGER && pager);
}

static uint64_t used_cells(const struct copy *copy, struct cells s)
{
    uint64_t n = 0;

    for (uint64_t i = 0; i < s.count; i++)
        n += copy->cells[s.first + i].kind != NONE;
    return n;
}

static struct copy *draw_copy(void)
{
    uint64_t i = draw(SPACES);

    while (!copies[i].used)
        i = (i + 1) % SPACES;
    return &copies[i];
}

/* ---- Calls on spaces ------------------------------------------------------------------------ */

/* By the number of the call: nothing is drawn here, nor in the calls that are made beside the drawn
 * ones, so that inputs that were found stay what they are. A limit is never reached. */
static uint32_t more_of_anonymous(struct quire_area *area, struct cells s)
{
    area->policy = call & 1 ? &some_policy : NULL;
    area->limit = call % 6 == 1 ? CELLS : 0;
    return (call & 2 ? (uint32_t)QUIRE_RESERVE_LARGE : 0) |
           (call % 5 == 0 && s.first > 0 ? (uint32_t)QUIRE_RESERVE_STACK : 0);
}

static void reserve(struct copy *copy)
{
    struct cells s = draw_cells();
    enum kind kind = (enum kind)(1 + draw(4));
    unsigned file = (unsigned)draw(FILES);
    uint64_t page = draw(IN_FILE);
    struct quire_area area =
        space_rig_area(virt_of(s.first), s.count * FRAME, kind == GUARD ? 0 : draw_access());
    uint32_t flags = 0;
    int error;

    if (kind == ANONYMOUS)
        flags = more_of_anonymous(&area, s);
    if (kind == SHARED || kind == PRIVATE)
        area = file_rig_area(&disk[file], virt_of(s.first), s.count, page, kind == SHARED,
                             area.access);
    area.kind = kind == GUARD ? QUIRE_AREA_GUARD : area.kind;
    error = quire_space_reserve(&copy->space, &area, flags, NULL);
    if (used_cells(copy, s) ||
        ((flags & QUIRE_RESERVE_STACK) && copy->cells[s.first - 1].kind != NONE)) {
        expect(error == QUIRE_ERR_MAPPED || refused(error), "reserve of what is reserved");
        return;
    }
    expect(error == 0 || refused(error), "reserve");
    for (uint64_t i = 0; i < s.count && error == 0; i++)
        copy->cells[s.first + i] = (struct cell){.kind = (uint8_t)kind,
                                                 .access = (uint8_t)area.access,
                                                 .file = (uint8_t)file,
                                                 .page = (uint16_t)(page + i),
                                                 .policy = area.policy != NULL,
                                                 .limited = area.limit ? call + 1 : 0};
    if (error == 0 && (flags & QUIRE_RESERVE_STACK))
        copy->cells[s.first - 1] = (struct cell){.kind = GUARD};
}

static void unmap(struct copy *copy)
{
    struct cells s = draw_cells();
    int error = quire_space_unmap(&copy->space, range_of(s));

    if (used_cells(copy, s) < s.count)
        expect(error == QUIRE_ERR_AREA, "unmap of a hole");
    else
        expect(error == 0 || refused(error), "unmap");
    if (error == 0)
        memset(&copy->cells[s.first], 0, (size_t)s.count * sizeof copy->cells[0]);
}

static void protect(struct copy *copy)
{
    struct cells s = draw_cells();
    uint32_t access = draw_access();
    int error = quire_space_protect(&copy->space, range_of(s), access);

    if (used_cells(copy, s) < s.count)
        expect(error == QUIRE_ERR_AREA, "protect of a hole");
    else
        expect(error == 0 || refused(error), "protect");
    for (uint64_t i = 0; i < s.count && error == 0; i++) {
        struct cell *cell = &copy->cells[s.first + i];

        cell->kind = cell->kind == GUARD ? ANONYMOUS : cell->kind;
        cell->access = (uint8_t)access;
    }
}

static bool is_behind(const struct cell *cell)
{
    return (cell->kind == SHARED || (cell->kind == PRIVATE && !cell->own)) &&
           cell->page >= pages[cell->file];
}

static void advise(struct copy *copy)
{
    struct cells s = draw_cells();
    enum quire_advice advice = draw(2) ? QUIRE_ADVISE_RELEASE : QUIRE_ADVISE_POPULATE;
    bool end = false;
    int error;

    s.count = advice == QUIRE_ADVISE_POPULATE && s.count > 16 ? 16 : s.count;
    error = quire_space_advise(&copy->space, range_of(s), advice);
    if (used_cells(copy, s) < s.count) {
        expect(error == QUIRE_ERR_AREA, "advice about a hole");
        return;
    }
    for (uint64_t i = 0; i < s.count; i++)
        end = end || is_behind(&copy->cells[s.first + i]);
    if (advice == QUIRE_ADVISE_POPULATE) {
        expect(error == (end ? QUIRE_ERR_END : 0) || refused(error), "populate");
        return;
    }
    expect(error == 0 || refused(error), "release");
    for (uint64_t i = 0; i < s.count && error == 0; i++) {
        copy->cells[s.first + i].own = 0;
        copy->cells[s.first + i].word = 0;
    }
}

static void end_space(struct copy *copy)
{
    space_rig_leave(&rig, 0);
    space_rig_leave(&rig, 1);
    quire_space_destroy(&copy->space);
    copy->used = false;
}

static void fork_or_end(struct copy *copy)
{
    struct copy *child = &copies[draw(SPACES)];
    int error;

    if (child->used) {
        if (child != copy && draw(2))
            end_space(child);
        return;
    }
    error = quire_space_fork(&copy->space, &child->space);
    expect(error == 0 || refused(error), "fork");
    if (error)
        return;
    child->used = true;
    memcpy(child->cells, copy->cells, sizeof child->cells);
}

/* The word that a page has, and the answer to an access. */
static uint64_t *word_of(struct cell *cell, uint32_t access, int *answer)
{
    *answer = 0;
    if (cell->kind == NONE)
        *answer = QUIRE_ERR_AREA;
    else if (!(cell->access & access))
        *answer = QUIRE_ERR_ACCESS;
    else if (is_behind(cell))
        *answer = QUIRE_ERR_END;
    else if (cell->kind == SHARED || (cell->kind == PRIVATE && !cell->own))
        return &now[cell->file][cell->page];
    return &cell->word;
}

static void touch(struct copy *copy)
{
    uint64_t first = draw_cells().first;

    for (unsigned n = 0; n < 8; n++) {
        uint64_t i = (first + draw(12)) % CELLS, word = 0;
        struct cell *cell = &copy->cells[i];
        bool write = draw(2);
        int answer, error;
        uint64_t *expected = word_of(cell, write ? QUIRE_WRITE : QUIRE_READ, &answer);

        if (write)
            error = space_rig_write(&rig, (unsigned)draw(2), &copy->space, virt_of(i), call + 1);
        else
            error = space_rig_read(&rig, (unsigned)draw(2), &copy->space, virt_of(i), &word);
        expect(error == answer || refused(error), write ? "a write" : "a read");
        if (error)
            continue;
        if (!write) {
            expect(word == *expected, "another word was written there");
            continue;
        }
        if (cell->kind == PRIVATE) {
            cell->own = 1;
            expected = &cell->word;
        }
        *expected = call + 1;
    }
}

/* Where things happen again and again, or about all. */
static struct cells cells_of_call(void)
{
    struct cells s = {500 + call * 7 % 24, 1 + call % 9};

    return call % 4 ? s : (struct cells){call * 5 % 16, CELLS - 16};
}

/* Is a part of an area with a limit among these, and not all of it? */
static bool cuts_limited(const struct copy *copy, struct cells s)
{
    for (uint64_t i = s.first; i < s.first + s.count; i++)
        for (uint64_t k = 0; copy->cells[i].limited && k < CELLS; k++)
            if (k - s.first >= s.count && copy->cells[k].limited == copy->cells[i].limited)
                return true;
    return false;
}

static void set_policy(struct copy *copy)
{
    struct cells s = cells_of_call();
    bool policy = call & 1, file = false;
    int error = quire_space_set_policy(&copy->space, range_of(s), policy ? &some_policy : NULL);

    for (uint64_t i = s.first; i < s.first + s.count; i++)
        file = file || copy->cells[i].kind == SHARED || copy->cells[i].kind == PRIVATE;
    if (used_cells(copy, s) < s.count)
        expect(error == QUIRE_ERR_AREA, "a policy of a hole");
    else if (file || cuts_limited(copy, s))
        expect(error == QUIRE_ERR_UNSUPPORTED || refused(error), "a policy of a file, or a part");
    else
        expect(error == 0 || refused(error), "a policy");
    for (uint64_t i = s.first; i < s.first + s.count && error == 0; i++)
        copy->cells[i].policy = policy && copy->cells[i].kind == ANONYMOUS;
}

static void advise_size(struct copy *copy)
{
    struct cells s = cells_of_call();
    int error = quire_space_advise(&copy->space, range_of(s),
                                   call & 1 ? QUIRE_ADVISE_LARGE : QUIRE_ADVISE_SMALL);

    if (used_cells(copy, s) < s.count)
        expect(error == QUIRE_ERR_AREA, "advice about a hole");
    else
        expect(error == 0 || refused(error), "advice about sizes");
}

/* An area that is listed is what the cells say; between two there is nothing. */
struct seen_cells {
    const struct copy *copy;
    uint64_t next;
};

static int compare_area(void *ctx, const struct quire_area *area)
{
    struct seen_cells *seen = ctx;
    uint64_t first = (area->range.start.n - virt_of(0)) / FRAME, count = area->range.bytes / FRAME;
    int error = 0;

    for (; seen->next < first; seen->next++)
        expect(seen->copy->cells[seen->next].kind == NONE, "an area is not listed");
    for (; seen->next < first + count; seen->next++) {
        const struct cell *cell = &seen->copy->cells[seen->next];
        uint64_t offset = area->offset + (seen->next - first) * FRAME;

        expect(cell->kind == ANONYMOUS + (unsigned)area->kind && cell->access == area->access,
               "another area is listed");
        expect(area->file
                   ? area->file == &disk[cell->file].file && offset == cell->page * (uint64_t)FRAME
                   : cell->kind == ANONYMOUS || cell->kind == GUARD,
               "another file is listed");
        expect(area->policy == (cell->policy ? &some_policy : NULL) &&
                   area->limit == (cell->limited ? CELLS : 0),
               "another policy or limit is listed");
    }
    return 0;
}

static void list(struct copy *copy)
{
    struct seen_cells seen = {copy, 0};
    struct quire_large_figures figures;
    int error = quire_space_list(&copy->space, rig.config.range, compare_area, &seen);

    for (; seen.next < CELLS; seen.next++)
        expect(error == 0 && copy->cells[seen.next].kind == NONE, "an area is not listed");
    error = quire_space_measure(&copy->space, rig.config.range, call & 1, &figures);
    expect(error == 0 && figures.small + figures.large <= CELLS && figures.zeros <= figures.large,
           "figures");
}

/* An object of the kernel's between two guards, which may stay. */
static void large_object(struct copy *copy)
{
    uint64_t count = 1 + call % 5, first, bytes = 0;
    uint32_t access = space_rig_access(&rig, QUIRE_READ | QUIRE_WRITE);
    quire_vaddr at;
    int error = quire_large_alloc(&copy->space, count * FRAME - call % 3, access, &at);

    expect(error == 0 || error == QUIRE_ERR_FULL || refused(error), "a large object");
    if (error)
        return;
    first = (at.n - virt_of(0)) / FRAME;
    expect(used_cells(copy, (struct cells){first - 1, count + 2}) == 0, "it is somebody else's");
    expect(quire_large_bytes(&copy->space, at, &bytes) == 0 && bytes == count * FRAME, "its bytes");
    if (call & 1) {
        error = quire_large_free(&copy->space, at);
        expect(error == 0 || refused(error), "the end of a large object");
        if (error == 0)
            return;
    }
    for (uint64_t i = 0; i < count + 2; i++)
        copy->cells[first - 1 + i] =
            (struct cell){.kind = i == 0 || i > count ? GUARD : ANONYMOUS,
                          .access = i == 0 || i > count ? 0 : (uint8_t)access};
}

/* Small pages become large, or rows, or large ones small: no program sees that. */
static void resize_pages(struct copy *copy)
{
    struct quire_promotion promotion = {.present = call & 4 ? 1 : 64, .age = call & 32};
    struct quire_demotion demotion = {.zeros = (uint32_t)(call & 15)};
    struct quire_promoted promoted;
    struct quire_demoted demoted;
    int error;

    if (call & 8)
        promotion.row = 4 + (uint32_t)(call >> 5) % 5;
    if (call & 16)
        error = quire_space_promote(&copy->space, rig.config.range, &promotion, &promoted);
    else
        error = quire_space_demote(&copy->space, rig.config.range, &demotion, &demoted);
    expect(error == 0 || refused(error) || error == QUIRE_ERR_NO_MEMORY, "pages of another size");
}

/* ---- Calls on files ------------------------------------------------------------------------- */

static void sync_space(struct copy *copy)
{
    struct cells s = draw_cells();
    int error = quire_space_sync(&copy->space, range_of(s));

    if (used_cells(copy, s) < s.count) {
        expect(error == QUIRE_ERR_AREA, "sync of a hole");
        return;
    }
    expect(error == 0 || refused(error), "sync");
    for (uint64_t i = 0; i < s.count && error == 0; i++) {
        const struct cell *cell = &copy->cells[s.first + i];

        if (cell->kind == SHARED && cell->page < pages[cell->file])
            expect(*file_rig_disk(&disk[cell->file], cell->page) == now[cell->file][cell->page],
                   "a write is not on disk");
    }
}

static void sync_file(struct copy *copy)
{
    unsigned file = (unsigned)draw(FILES);
    int error = quire_file_sync(&disk[file].file, 0, draw(2) ? UINT64_MAX : IN_FILE);

    (void)copy;
    expect(error == 0 || refused(error), "sync of a file");
    for (uint64_t page = 0; page < pages[file] && error == 0; page++)
        expect(*file_rig_disk(&disk[file], page) == now[file][page], "a write is not on disk");
}

static void resize(struct copy *copy)
{
    unsigned file = (unsigned)draw(FILES);
    uint64_t fresh = draw(IN_FILE + 1), part = fresh && draw(2) ? FRAME - 16 : 0;
    int error = quire_file_resize(&disk[file].file, fresh * FRAME - part);

    (void)copy;
    expect(error == 0, "resize");
    pages[file] = fresh;
    for (uint64_t page = fresh; page < IN_FILE; page++)
        now[file][page] = *file_rig_disk(&disk[file], page); /* what was not written back is lost */
    for (unsigned i = 0; i < SPACES; i++)
        for (uint64_t c = 0; c < CELLS; c++) {
            struct cell *cell = &copies[i].cells[c];

            if (cell->kind == PRIVATE && cell->file == file && cell->page >= fresh)
                cell->own = 0;
        }
}

static void reclaim(struct copy *copy)
{
    struct file_rig *file = &disk[draw(FILES)];
    uint64_t before = quire_file_cached(&file->file), wanted = draw(IN_FILE);
    uint64_t given = quire_file_reclaim(&file->file, wanted, draw(2));
    int error = 0;

    (void)copy;
    expect(given <= wanted && quire_file_cached(&file->file) == before - given, "reclaim");
}

/* ---- Hostile arguments ---------------------------------------------------------------------- */

static struct quire_vrange bad_range(int *error)
{
    uint64_t start = virt_of(draw(CELLS)), unaligned = 1 + draw(FRAME - 1);

    switch (draw(7)) {
    case 0:
        *error = QUIRE_ERR_SIZE;
        return quire_vrange_of(start, 0);
    case 1:
        *error = QUIRE_ERR_ALIGN;
        return quire_vrange_of(start + unaligned, FRAME);
    case 2:
        *error = QUIRE_ERR_ALIGN;
        return quire_vrange_of(start, unaligned);
    case 3:
        *error = QUIRE_ERR_ADDRESS;
        return quire_vrange_of(start, (uint64_t)1 << 63);
    case 4:
        *error = QUIRE_ERR_ADDRESS;
        return quire_vrange_of(0 - (uint64_t)FRAME, 2 * FRAME);
    case 5:
        *error = QUIRE_ERR_ADDRESS;
        return quire_vrange_of(virt_of(0) - FRAME, 2 * FRAME);
    default:
        *error = QUIRE_ERR_ADDRESS;
        return quire_vrange_of(virt_of(CELLS - 1), 2 * FRAME);
    }
}

static void hostile_range(struct copy *copy)
{
    struct quire_space *space = &copy->space;
    int expected = 0, error;
    struct quire_vrange range = bad_range(&expected);
    struct quire_area area = file_rig_area(&disk[0], range.start.n, 1, 0, draw(2), draw_access());

    area.range = range;
    switch (draw(5)) {
    case 0:
        error = quire_space_unmap(space, range);
        break;
    case 1:
        error = quire_space_protect(space, range, draw_access());
        break;
    case 2:
        error = quire_space_advise(space, range, (enum quire_advice)draw(4));
        break;
    case 3:
        error = call & 1 ? quire_space_sync(space, range)
                         : quire_space_set_policy(space, range, &some_policy);
        break;
    default:
        error = quire_space_reserve(space, &area, 0, NULL);
    }
    expect(error == expected, "a range that is none");
}

static void hostile_area(struct copy *copy)
{
    struct cells s = draw_cells();
    struct quire_area area =
        file_rig_area(&disk[0], virt_of(s.first), s.count, 0, draw(2), draw_access());
    int expected = QUIRE_ERR_UNSUPPORTED, error;
    uint32_t flags = 0;

    switch (draw(7)) {
    case 0:
        area.kind = (enum quire_area_kind)(4 + draw(100));
        break;
    case 1:
        area.access = 16u << draw(20);
        break;
    case 2:
        area.access = 0;
        break;
    case 3:
        area.file = NULL;
        break;
    case 4:
        flags = 8u << draw(20);
        break;
    case 5:
        area.offset = 1 + draw(FRAME - 1);
        expected = QUIRE_ERR_ALIGN;
        break;
    default:
        area.offset = (QUIRE_FILE_PAGES - draw(s.count)) * FRAME;
        expected = QUIRE_ERR_SIZE;
    }
    error = quire_space_reserve(&copy->space, &area, flags, NULL);
    expect(error == expected, "an area that is none");
}

static void hostile_other(struct copy *copy)
{
    struct cells s = draw_cells();
    struct quire_space *space = &copy->space;
    int expected = QUIRE_ERR_UNSUPPORTED, error;

    switch (draw(6)) {
    case 0:
        error = quire_space_advise(space, range_of(s), (enum quire_advice)(4 + draw(100)));
        break;
    case 1:
        error = quire_space_protect(space, range_of(s), 16u << draw(20));
        break;
    case 2:
        error = quire_space_fault(space, quire_vaddr_of(virt_of(s.first)), 16u << draw(20));
        break;
    case 3:
        error = quire_space_fault(space, quire_vaddr_of(virt_of(CELLS)), QUIRE_READ);
        expected = QUIRE_ERR_AREA;
        break;
    case 4:
        error = quire_file_resize(&disk[0].file, UINT64_MAX - draw(1000));
        expected = QUIRE_ERR_SIZE;
        break;
    default:
        error = quire_file_sync(&disk[0].file, QUIRE_FILE_PAGES + draw(1000), draw(1000));
        expected = QUIRE_ERR_SIZE;
    }
    expect(error == expected, "what is not known");
}

/* ---- The whole ------------------------------------------------------------------------------ */

static void begin(void)
{
    bool window = draw(2);

    memset(copies, 0, sizeof copies);
    call = 0;
    space_rig_begin(&rig, &rig_formats[draw(RIG_FORMATS)], window);
    rig.with_tlb = true;
    rig.policy = &some_policy;
    rig.config.range = quire_vrange_of(rig.which->base + QUIRE_PAGE_1G - 512 * (uint64_t)FRAME,
                                       CELLS * (uint64_t)FRAME);
    assert_ok(quire_space_create(&copies[0].space, &rig.config));
    copies[0].used = true;
    for (unsigned i = 0; i < FILES; i++) {
        file_rig_begin(&disk[i], &rig, IN_FILE / 2 * (uint64_t)FRAME);
        disk[i].file.config.around = i * 8;
        pages[i] = IN_FILE / 2;
        for (uint64_t page = 0; page < IN_FILE; page++)
            now[i][page] = file_rig_word(page);
    }
}

static void finish(void)
{
    for (unsigned i = 0; i < SPACES; i++)
        if (copies[i].used)
            end_space(&copies[i]);
    for (unsigned i = 0; i < FILES; i++) {
        int error = quire_file_sync(&disk[i].file, 0, IN_FILE);

        for (uint64_t page = 0; page < pages[i]; page++)
            expect(error == 0 && *file_rig_disk(&disk[i], page) == now[i][page],
                   "a write is lost at the end");
        file_rig_end(&disk[i]);
    }
    space_rig_end(&rig);
}

static void beside(struct copy *copy)
{
    static const struct {
        unsigned every;
        void (*call)(struct copy *copy);
    } calls[] = {
        {11, resize_pages}, {7, set_policy}, {9, advise_size}, {17, list}, {19, large_object}};

    for (unsigned i = 0; i < sizeof calls / sizeof calls[0] && copy->used; i++)
        if (call % calls[i].every == 0)
            calls[i].call(copy);
}

void calls_run(draw_number *draw_from, int (*more)(void *ctx), void *ctx)
{
    static void (*const actions[])(struct copy * copy) = {
        reserve,   reserve,    reserve, unmap,  protect, advise,        fork_or_end,  touch,
        touch,     touch,      touch,   touch,  resize,  hostile_range, hostile_area, reclaim,
        sync_file, sync_space, reclaim, resize, unmap,   hostile_other};

    drawer = draw_from;
    source = ctx;
    for (begin(); more(ctx); call++) {
        struct copy *copy = draw_copy();

        rig.failed = disk[0].failed = disk[1].failed = false;
        rig.fail_in = draw(4) ? 0 : 1 + draw(6);
        disk[0].fail_in = disk[1].fail_in = draw(8) ? 0 : 1 + draw(3);
        actions[draw(sizeof actions / sizeof actions[0])](copy);
        beside(copy);
        rig.fail_in = disk[0].fail_in = disk[1].fail_in = 0;
    }
    rig.failed = false;
    finish();
}
