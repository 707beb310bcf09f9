/* SPDX-License-Identifier: MIT
 *
 * model.c - random calls on each format against a naive map: an array with a cell for each page of
 * 4 KiB. After every call the answer is what the map says, and a processor's TLB, which forgets
 * what was gathered and nothing else, grants nothing that is not mapped. Now and then all pages are
 * walked. Marks that the processor sets are in the map: none may be lost, none appear.
 *
 *     paging_model [SEED [CALLS]]
 */
#include "rig.h"
#include "stress/common/assert.h"
#include "stress/common/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME = QUIRE_FRAME_SIZE, CELLS = 2 * 512 * 512, MIDDLE = CELLS / 2, WALK_EVERY = 64 };

struct cell {
    uint64_t phys;
    uint8_t mapped, access, type, global, accessed, dirty;
};

static struct cell cells[CELLS];
static struct rig rig;
static struct quire_gather gather;
static uint64_t state_of_random, calls = 3000, seed = 1, call;

static uint64_t draw(uint64_t bound)
{
    return random_below(&state_of_random, bound);
}

static const struct quire_paging_format *format(void)
{
    return rig.which->format;
}

static uint64_t large(void)
{
    return format()->sizes & QUIRE_PAGE_2M ? QUIRE_PAGE_2M : QUIRE_PAGE_4M;
}

static uint64_t virt_of(uint64_t cell)
{
    return rig.which->base + cell * FRAME;
}

#define expect(good, what) \
    do {                   \
        if (!(good))       \
            wrong(what);   \
    } while (0)

static void wrong(const char *what)
{
    fail_msg("%s: %s (seed %llu, call %llu)", format()->name, what, (unsigned long long)seed,
             (unsigned long long)call);
}

/* ---- What is asked for --------------------------------------------------------------------- */

struct span {
    uint64_t first, cells;
};

/* Mostly small, mostly around the middle, where the tables of all levels meet. */
static struct span draw_span(void)
{
    uint64_t in_large = large() / FRAME, kind = draw(40), near_middle = 4 * in_large;
    struct span s;

    s.first = MIDDLE - near_middle + draw(2 * near_middle);
    s.cells = kind < 16 ? 1 : kind < 26 ? 1 + draw(16) : 1 + draw(3 * in_large);
    if (kind == 39) {
        s.first = draw(CELLS);
        s.cells = 1 + draw(CELLS);
    }
    if (kind == 36 || kind == 38) { /* of the largest size */
        s.first = kind == 36 ? 0 : MIDDLE;
        s.cells = MIDDLE;
    }
    if (kind == 37) { /* and a part of it, of the next smaller one */
        s.first = draw(CELLS / in_large) * in_large;
        s.cells = (1 + draw(3)) * in_large;
    }
    if (kind % 2) {
        s.first &= ~(in_large - 1);
        if (kind > 25)
            s.cells = (s.cells + in_large - 1) & ~(in_large - 1);
    }
    if (s.cells > CELLS - s.first)
        s.cells = CELLS - s.first;
    return s;
}

static struct quire_vrange range_of(struct span s)
{
    return quire_vrange_of(virt_of(s.first), s.cells * FRAME);
}

static uint32_t draw_access(void)
{
    uint32_t access = (uint32_t)draw(QUIRE_ACCESS_ALL + 1);

    while (draw(50) && format()->access[access] == QUIRE_PAGING_NO_ENCODING)
        access = (uint32_t)draw(QUIRE_ACCESS_ALL + 1);
    return access;
}

static bool exists(const struct quire_page *page)
{
    return format()->access[page->access] != QUIRE_PAGING_NO_ENCODING &&
           format()->types[page->type] != QUIRE_PAGING_NO_ENCODING;
}

static struct quire_page draw_page(uint64_t virt)
{
    uint64_t unit =
        draw(8) ? (draw(2) && format()->sizes & QUIRE_PAGE_1G ? QUIRE_PAGE_1G : large()) : FRAME;
    struct quire_page page = rig_page((virt & (unit - 1)) + draw(2) * unit, draw_access());

    page.type = (enum quire_memory_type)(draw(4) ? 0 : draw(QUIRE_TYPES));
    page.global = draw(4) == 0;
    page.accessed = draw(2);
    page.dirty = draw(2);
    return page;
}

/* ---- The map ------------------------------------------------------------------------------- */

static void put(uint64_t cell, uint64_t phys, const struct quire_page *page)
{
    struct cell *c = &cells[cell];

    c->phys = phys;
    c->mapped = 1;
    c->access = (uint8_t)page->access;
    c->type = format()->types[3] ? (uint8_t)page->type : QUIRE_TYPE_NORMAL;
    c->global = page->global;
    c->accessed = page->accessed;
    c->dirty = page->dirty;
}

static bool same(const struct cell *c, uint64_t phys, const struct quire_page *page)
{
    return c->mapped && c->phys == phys && c->access == page->access && c->type == page->type &&
           c->global == page->global && c->accessed == page->accessed && c->dirty == page->dirty;
}

static uint64_t count_mapped(struct span s)
{
    uint64_t mapped = 0;

    for (uint64_t i = 0; i < s.cells; i++)
        mapped += cells[s.first + i].mapped;
    return mapped;
}

/* The size of the page with this cell; 0: there is none. */
static uint64_t size_at(uint64_t cell)
{
    struct quire_page page;
    int error = quire_paging_translate(&rig.paging, quire_vaddr_of(virt_of(cell)), &page, NULL);

    expect(error == (cells[cell].mapped ? 0 : QUIRE_ERR_UNMAPPED), "translate");
    return error ? 0 : page.size;
}

/* Is a large page partly in the span? */
static bool cut(struct span s)
{
    uint64_t virt = virt_of(s.first), end = virt + s.cells * FRAME;
    uint64_t at_start = size_at(s.first), at_end = size_at(s.first + s.cells - 1);

    return (at_start && (virt & (at_start - 1))) || (at_end && (end & (at_end - 1)));
}

static struct span page_span(uint64_t cell, uint64_t size)
{
    struct span s = {((virt_of(cell) & ~(size - 1)) - rig.which->base) / FRAME, size / FRAME};

    return s;
}

/* ---- Calls --------------------------------------------------------------------------------- */

static void call_map(void)
{
    struct span s = draw_span();
    struct quire_page page = draw_page(virt_of(s.first));
    uint64_t sizes = draw(3) ? 0 : draw(2) ? FRAME : large();
    bool mapped = count_mapped(s) > 0;
    bool even = ((virt_of(s.first) | s.cells * FRAME | page.phys.n) & (large() - 1)) == 0;
    int error = quire_paging_map(&rig.paging, range_of(s), &page, sizes, &gather);

    expect(gather.count == 0, "a map gathers nothing");
    if (!exists(&page)) {
        expect(error == QUIRE_ERR_UNSUPPORTED, "map of what the format lacks");
    } else if (error == QUIRE_ERR_NO_MEMORY) {
        expect(rig.failed, "map: a table was to be had");
    } else if (sizes == large() && error) {
        expect((error == QUIRE_ERR_ALIGN && !even) || error == QUIRE_ERR_BUSY ||
                   (error == QUIRE_ERR_MAPPED && mapped),
               "map by large pages alone");
    } else {
        expect(error == (mapped ? QUIRE_ERR_MAPPED : 0), "map");
    }
    for (uint64_t i = 0; i < s.cells && !error; i++)
        put(s.first + i, page.phys.n + i * FRAME, &page);
}

/* What unmap and protect say, before what they do. */
static int expected_of_range(struct span s, uint32_t flags, int error)
{
    bool hole = !(flags & QUIRE_PAGING_HOLES) && count_mapped(s) < s.cells;
    bool partly = flags & QUIRE_PAGING_WHOLE && cut(s);

    if (rig.failed && error == QUIRE_ERR_NO_MEMORY)
        return error;
    if (hole && partly)
        return error == QUIRE_ERR_LARGE ? error : QUIRE_ERR_UNMAPPED;
    return hole ? QUIRE_ERR_UNMAPPED : partly ? QUIRE_ERR_LARGE : 0;
}

struct visited {
    uint64_t cells, next;
};

/* Pages come in ascending order, as the map has them. */
static int compare_page(void *ctx, quire_vaddr virt, const struct quire_page *page)
{
    struct visited *visited = ctx;
    uint64_t first = (virt.n - rig.which->base) / FRAME;

    expect(first >= visited->next && page->size % FRAME == 0, "order of pages");
    for (; visited->next < first; visited->next++)
        expect(!cells[visited->next].mapped, "a page was not visited");
    for (uint64_t i = 0; i < page->size / FRAME; i++)
        expect(same(&cells[first + i], page->phys.n + i * FRAME, page), "a page is another one");
    visited->next = first + page->size / FRAME;
    visited->cells += page->size / FRAME;
    return 0;
}

static uint32_t draw_flags(void)
{
    return (uint32_t)(draw(2) ? QUIRE_PAGING_HOLES : draw(4));
}

static void call_unmap(void)
{
    struct span s = draw_span();
    uint32_t flags = draw_flags();
    int wanted = expected_of_range(s, flags, 0), error;
    uint64_t mapped = count_mapped(s);
    struct visited visited = {0, s.first};

    error = quire_paging_unmap(&rig.paging, range_of(s), flags, compare_page, &visited, &gather);
    if (rig.failed && error == QUIRE_ERR_NO_MEMORY)
        wanted = error;
    if (wanted == QUIRE_ERR_UNMAPPED && flags & QUIRE_PAGING_WHOLE && error == QUIRE_ERR_LARGE)
        wanted = cut(s) ? error : wanted;
    expect(error == wanted, "unmap");
    expect(error || visited.cells == mapped, "unmap: all pages are visited");
    expect(!error || gather.count == 0, "unmap: a failed call gathers nothing");
    for (uint64_t i = 0; i < s.cells && !error; i++)
        cells[s.first + i].mapped = 0;
}

static void call_protect(void)
{
    struct span s = draw_span();
    uint32_t flags = draw_flags(), access = draw_access();
    int wanted = expected_of_range(s, flags, 0), error;

    if (draw(3) == 0) /* what it has already */
        access = cells[s.first].access;
    if (!wanted && format()->access[access] == QUIRE_PAGING_NO_ENCODING)
        wanted = QUIRE_ERR_UNSUPPORTED;
    error = quire_paging_protect(&rig.paging, range_of(s), access, flags, &gather);
    if (rig.failed && error == QUIRE_ERR_NO_MEMORY)
        wanted = error;
    if (wanted == QUIRE_ERR_UNMAPPED && flags & QUIRE_PAGING_WHOLE && error == QUIRE_ERR_LARGE)
        wanted = cut(s) ? error : wanted;
    expect(error == wanted, "protect");
    expect(!error || gather.count == 0, "protect: a failed call gathers nothing");
    for (uint64_t i = 0; i < s.cells && !error; i++)
        cells[s.first + i].access = (uint8_t)access;
}

static void call_update(void)
{
    uint64_t cell = draw_span().first, size = size_at(cell);
    struct quire_page page, old;
    struct quire_paddr from = {cells[cell].phys + (draw(8) ? 0 : FRAME)};
    int error, wanted = 0;

    if (size && draw(4))
        cell = page_span(cell, size).first;
    page = draw_page(virt_of(cell));
    if (size)
        from.n &= draw(2) ? ~(size - 1) : UINT64_MAX;
    error =
        quire_paging_update(&rig.paging, quire_vaddr_of(virt_of(cell)), from, &page, &old, &gather);
    if (!exists(&page))
        wanted = QUIRE_ERR_UNSUPPORTED;
    else if (!size)
        wanted = QUIRE_ERR_UNMAPPED;
    else if (virt_of(cell) & (size - 1))
        wanted = QUIRE_ERR_LARGE;
    else if (cells[cell].phys != from.n)
        wanted = QUIRE_ERR_BUSY;
    else if (page.phys.n & (size - 1))
        wanted = QUIRE_ERR_ALIGN;
    expect(error == wanted, "update");
    if (error)
        return;
    expect(same(&cells[cell], old.phys.n, &old) && old.size == size, "update: the old page");
    for (uint64_t i = 0; i < size / FRAME; i++)
        put(cell + i, page.phys.n + i * FRAME, &page);
}

/* The pages below make up one of `size`. */
static int expected_of_join(struct span s, uint64_t size)
{
    uint64_t smaller = size == QUIRE_PAGE_1G ? large() : FRAME;
    const struct cell *first = &cells[s.first];

    if (size_at(s.first) >= size)
        return 0;
    if (count_mapped(s) < s.cells)
        return QUIRE_ERR_UNMAPPED;
    for (uint64_t i = 0; i < s.cells; i += smaller / FRAME)
        if (size_at(s.first + i) != smaller)
            return QUIRE_ERR_BUSY;
    for (uint64_t i = 0; i < s.cells; i++) {
        const struct cell *c = first + i;

        if (c->phys != first->phys + i * FRAME || c->access != first->access ||
            c->type != first->type || c->global != first->global)
            return QUIRE_ERR_BUSY;
    }
    return first->phys & (size - 1) ? QUIRE_ERR_BUSY : 0;
}

static void call_join(void)
{
    uint64_t size = draw(4) || !(format()->sizes & QUIRE_PAGE_1G) ? large() : QUIRE_PAGE_1G;
    struct span s = page_span(draw_span().first, size);
    bool accessed = false, dirty = false, join;
    int error, wanted;

    if (s.first + s.cells > CELLS || virt_of(s.first) < rig.which->base)
        return; /* of i386 only a part is in the window */
    wanted = expected_of_join(s, size);
    join = size_at(s.first) < size;
    error = quire_paging_join(&rig.paging, quire_vaddr_of(virt_of(s.first)), size);
    expect(error == wanted || (wanted == QUIRE_ERR_UNMAPPED && error == QUIRE_ERR_BUSY), "join");
    if (error || !join)
        return;
    expect(size_at(s.first) == size, "join: the size");
    for (uint64_t i = 0; i < s.cells; i++) {
        accessed |= cells[s.first + i].accessed;
        dirty |= cells[s.first + i].dirty;
    }
    for (uint64_t i = 0; i < s.cells; i++) {
        cells[s.first + i].accessed = accessed;
        cells[s.first + i].dirty = dirty;
    }
}

/* The processor uses an address. */
static void touch(void)
{
    uint64_t cell = draw_span().first, in_page = draw(FRAME), size = size_at(cell);
    uint32_t access = 1u << draw(3);
    const struct cell *c = &cells[cell];
    struct mmu_page page;
    enum mmu_answer answer;
    struct span s;

    answer = rig_access(&rig, virt_of(cell) + in_page, access | (c->access & QUIRE_USER), &page);
    if (!c->mapped || !(c->access & access)) {
        expect(answer == (c->mapped ? MMU_DENIED : MMU_ABSENT), "the processor grants it");
        return;
    }
    expect(answer == MMU_OK && page.phys == c->phys + in_page && page.size == size,
           "the processor's page");
    s = page_span(cell, size);
    for (uint64_t i = 0; i < s.cells; i++) {
        cells[s.first + i].accessed = 1;
        cells[s.first + i].dirty |= access == QUIRE_WRITE;
    }
}

static void walk_all(void)
{
    struct span all = {0, CELLS};
    struct visited visited = {0, 0};

    assert_ok(quire_paging_walk(&rig.paging, range_of(all), compare_page, &visited));
    for (; visited.next < CELLS; visited.next++)
        expect(!cells[visited.next].mapped, "a page was not visited");
    expect(visited.cells == count_mapped(all), "the number of pages");
}

/* In the beginning all is mapped, by the largest pages: later the tables are in their way. */
static void map_all(void)
{
    struct quire_page page =
        rig_page(virt_of(0) & (QUIRE_PAGE_1G - 1), QUIRE_READ | QUIRE_WRITE | QUIRE_EXECUTE);
    struct span all = {0, CELLS};

    assert_ok(quire_paging_map(&rig.paging, range_of(all), &page, 0, &gather));
    for (uint64_t i = 0; i < CELLS; i++)
        put(i, page.phys.n + i * FRAME, &page);
}

static void run(const struct rig_format *which, bool window)
{
    static void (*const actions[])(void) = {
        call_map,     call_map,    call_unmap, call_unmap, call_protect, call_protect,
        call_protect, call_update, call_join,  touch,      touch,        touch,
    };

    memset(cells, 0, sizeof cells);
    memset(&gather, 0, sizeof gather);
    rig_begin(&rig, which, window);
    map_all();
    for (call = 0; call < calls; call++) {
        rig.failed = false;
        rig.fail_in = draw(4) ? 0 : 1 + draw(6);
        actions[draw(sizeof actions / sizeof actions[0])]();
        rig.fail_in = 0;
        rig_forget(&rig, &gather);
        rig_check_tlb(&rig);
        if (call % WALK_EVERY == 0)
            walk_all();
    }
    walk_all();
    rig_end(&rig);
}

static void all_formats(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RIG_FORMATS; i++) {
        state_of_random = random_seed(seed, i);
        run(&rig_formats[i], i % 2 != 0);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_formats)};

    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        calls = strtoull(argv[2], NULL, 10);
    return cmocka_run_group_tests_name("paging_model", tests, NULL, NULL);
}
