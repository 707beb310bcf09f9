/* SPDX-License-Identifier: MIT
 *
 * space_rig.c - see space_rig.h.
 */
#include "space_rig.h"

#include "stress/common/assert.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static unsigned char *memory;
static pthread_mutex_t runs = PTHREAD_MUTEX_INITIALIZER; /* of rig->large */

enum { FREE = 0, SINGLE = 1, FIRST_OF_RUN = 2, IN_RUN = 3 };

static void *frame_at(const struct space_rig *rig, quire_pfn pfn)
{
    assert_true(pfn.n - SPACE_RIG_FIRST < SPACE_RIG_FRAMES);
    return rig->memory.bytes + (pfn.n - SPACE_RIG_FIRST) * QUIRE_FRAME_SIZE;
}

/* ---- Frames -------------------------------------------------------------------------------- */

static bool refuse(struct space_rig *rig)
{
    if (!rig->fail_in || --rig->fail_in)
        return false;
    rig->failed = true;
    return true;
}

static int give(void *ctx, uint64_t below, quire_pfn *pfn)
{
    struct space_rig *rig = ctx;
    struct quire_table_source pool = quire_tables_from_pool(&rig->pool);
    int error = refuse(rig) ? QUIRE_ERR_NO_MEMORY : pool.alloc(pool.ctx, below, pfn);

    if (error == 0)
        memset(frame_at(rig, *pfn), 0xa5, QUIRE_FRAME_SIZE);
    return error;
}

static uint8_t *large_state(struct space_rig *rig, quire_pfn pfn)
{
    return &rig->large[pfn.n - SPACE_RIG_FIRST - SPACE_RIG_SMALL];
}

static void take_back(void *ctx, quire_pfn pfn)
{
    struct space_rig *rig = ctx;
    struct quire_table_source pool = quire_tables_from_pool(&rig->pool);
    uint64_t frame = pfn.n - SPACE_RIG_FIRST;

    assert_true(frame < SPACE_RIG_FRAMES);
    if (frame >= SPACE_RIG_SMALL) {
        (void)pthread_mutex_lock(&runs);
        assert_int_equal(*large_state(rig, pfn), SINGLE);
        *large_state(rig, pfn) = FREE;
        (void)pthread_mutex_unlock(&runs);
        return;
    }
    assert_true(qa_load((qa64 *)rig->taken + frame / 64, relaxed) >> frame % 64 & 1);
    pool.free(pool.ctx, pfn);
}

static bool is_free_run(struct space_rig *rig, quire_pfn pfn, uint64_t frames)
{
    for (uint64_t i = 0; i < frames; i++)
        if (*large_state(rig, quire_pfn_of(pfn.n + i)) != FREE)
            return false;
    return true;
}

static int give_run(void *ctx, const struct quire_policy *policy, unsigned order, quire_pfn *pfn)
{
    struct space_rig *rig = ctx;
    uint64_t frames = (uint64_t)1 << order, end = SPACE_RIG_FIRST + SPACE_RIG_FRAMES;
    bool found = false;

    if (policy) {
        assert_ptr_equal(policy, rig->policy);
        (void)qa_add(&rig->by_policy, 1, relaxed);
    }
    if (order == 0)
        return give(ctx, UINT64_MAX, pfn);
    if (refuse(rig))
        return QUIRE_ERR_NO_MEMORY;
    (void)pthread_mutex_lock(&runs);
    pfn->n = SPACE_RIG_FIRST + SPACE_RIG_SMALL;
    while (pfn->n < end && !(found = is_free_run(rig, *pfn, frames)))
        pfn->n += frames;
    if (found) {
        memset(large_state(rig, *pfn), IN_RUN, (size_t)frames);
        *large_state(rig, *pfn) = FIRST_OF_RUN;
    }
    (void)pthread_mutex_unlock(&runs);
    if (!found)
        return QUIRE_ERR_NO_MEMORY;
    memset(frame_at(rig, *pfn), 0x5a, (size_t)frames * QUIRE_FRAME_SIZE);
    return 0;
}

static void check_run(struct space_rig *rig, quire_pfn pfn, uint64_t frames)
{
    assert_int_equal(*large_state(rig, pfn), FIRST_OF_RUN);
    for (uint64_t i = 1; i < frames; i++)
        assert_int_equal(*large_state(rig, quire_pfn_of(pfn.n + i)), IN_RUN);
}

static void take_run(void *ctx, quire_pfn pfn, unsigned order)
{
    struct space_rig *rig = ctx;

    if (order == 0) {
        take_back(ctx, pfn);
        return;
    }
    (void)pthread_mutex_lock(&runs);
    check_run(rig, pfn, (uint64_t)1 << order);
    memset(large_state(rig, pfn), FREE, (size_t)1 << order);
    (void)pthread_mutex_unlock(&runs);
}

static int split_run(void *ctx, quire_pfn pfn, unsigned order)
{
    struct space_rig *rig = ctx;

    (void)pthread_mutex_lock(&runs);
    check_run(rig, pfn, (uint64_t)1 << order);
    memset(large_state(rig, pfn), SINGLE, (size_t)1 << order);
    (void)pthread_mutex_unlock(&runs);
    return 0;
}

/* ---- The kernel's memory ------------------------------------------------------------------- */

static void *give_page(void *ctx)
{
    struct space_rig *rig = ctx;
    void *page = refuse(rig) ? NULL : aligned_alloc(QUIRE_FRAME_SIZE, QUIRE_FRAME_SIZE);

    if (page) {
        memset(page, 0xc3, QUIRE_FRAME_SIZE);
        (void)qa_add(&rig->pages, 1, relaxed);
    }
    return page;
}

static void take_page(void *ctx, void *page)
{
    struct space_rig *rig = ctx;

    (void)qa_sub(&rig->pages, 1, relaxed);
    free(page);
}

/* ---- Reach, TLB ---------------------------------------------------------------------------- */

static void *open_frame(void *ctx, quire_pfn pfn)
{
    struct space_rig *rig = ctx;

    assert_true(rig->open < 3);
    rig->open++;
    return frame_at(rig, pfn);
}

static void close_frame(void *ctx, void *at)
{
    struct space_rig *rig = ctx;

    assert_non_null(at);
    assert_true(rig->open > 0);
    rig->open--;
}

static void invalidate(void *ctx, struct quire_vrange range)
{
    struct space_rig *rig = ctx;

    assert_ok(quire_vrange_validate(range));
    (void)qa_add(&rig->invalidations, 1, relaxed);
    if (rig->with_tlb)
        rig->forgotten = true;
    if (rig->during)
        rig->during();
    for (unsigned cpu = 0; cpu < SPACE_RIG_CPUS && rig->with_tlb; cpu++)
        for (unsigned i = 0; i < SPACE_RIG_TLB; i++) {
            struct rig_translation *t = &rig->tlb[cpu][i];

            if (t->access && quire_vrange_overlaps(range, quire_vrange_of(t->virt, t->size)))
                t->access = 0;
        }
}

enum { HELD = 0x82 }; /* the first byte of an entry that is held; its others are 0 */

/* No call is in the page table that this one does not come from. What is given back was forgotten
 * after it was taken out, and is empty, or its entries are held: a promotion leaves them so. */
static void retire(void *ctx, const quire_pfn *tables, uint32_t count)
{
    struct space_rig *rig = ctx;

    assert_true(count > 0 && rig->forgotten);
    rig->forgotten = false;
    for (uint32_t i = 0; i < count; i++) {
        const unsigned char *table = frame_at(rig, tables[i]);

        for (unsigned k = 0; k < QUIRE_FRAME_SIZE; k++)
            if (k < (size_t)rig->which->format->entry_bytes << rig->which->format->index_bits)
                assert_true(table[k] == 0 || table[k] == HELD);
        take_back(rig, tables[i]);
    }
    rig->retired += count;
}

void space_rig_leave(struct space_rig *rig, unsigned cpu)
{
    memset(rig->tlb[cpu], 0, sizeof rig->tlb[cpu]);
    rig->loaded[cpu] = NULL;
}

/* Where the word at this physical address is. */
static uint64_t *word_at(struct space_rig *rig, uint64_t phys)
{
    return (uint64_t *)(void *)(rig->memory.bytes + (phys - SPACE_RIG_FIRST * QUIRE_FRAME_SIZE));
}

/* By the page table alone. False: there is no such page, or not for this access. */
static bool walk(struct space_rig *rig, struct quire_space *space, uint64_t virt, uint32_t access,
                 struct mmu_page *page)
{
    struct mmu mmu = {rig->which->kind, rig->which->format->levels, &rig->memory, {0}, {0}};
    enum mmu_answer answer;

    mmu_load(&mmu, quire_paging_root(&space->paging));
    answer = mmu_access(&mmu, virt, access, page);
    assert_true(answer != MMU_INVALID);
    return answer == MMU_OK;
}

uint64_t *space_rig_walk(struct space_rig *rig, struct quire_space *space, uint64_t virt,
                         uint32_t access)
{
    struct mmu_page page;

    return walk(rig, space, virt, access, &page) ? word_at(rig, page.phys) : NULL;
}

/* The word's place, by the TLB if it is there. NULL, and *error: the fault's. */
static uint64_t *reach_word(struct space_rig *rig, unsigned cpu, struct quire_space *space,
                            uint64_t virt, uint32_t access, int *error)
{
    struct rig_translation *t = &rig->tlb[cpu][(virt >> QUIRE_FRAME_SHIFT) % SPACE_RIG_TLB];
    struct mmu_page page;

    *error = 0;
    if (rig->with_tlb && rig->loaded[cpu] != space) {
        space_rig_leave(rig, cpu);
        rig->loaded[cpu] = space;
    }
    if (rig->with_tlb && (t->access & access) == access && virt - t->virt < t->size)
        return word_at(rig, t->phys + (virt - t->virt));
    while (!walk(rig, space, virt, access, &page)) {
        *error = quire_space_fault(space, quire_vaddr_of(virt), access);
        if (*error)
            return NULL;
    }
    if (rig->with_tlb) {
        t->virt = virt & ~(page.size - 1);
        t->size = page.size;
        t->phys = page.phys - (virt & (page.size - 1));
        t->access = access;
    }
    return word_at(rig, page.phys);
}

int space_rig_read(struct space_rig *rig, unsigned cpu, struct quire_space *space, uint64_t virt,
                   uint64_t *word)
{
    int error;
    const uint64_t *at = reach_word(rig, cpu, space, virt, QUIRE_READ, &error);

    if (at)
        *word = qa_load((const qa64 *)at, relaxed);
    return error;
}

int space_rig_write(struct space_rig *rig, unsigned cpu, struct quire_space *space, uint64_t virt,
                    uint64_t word)
{
    int error;
    uint64_t *at = reach_word(rig, cpu, space, virt, QUIRE_WRITE, &error);

    if (at)
        qa_store((qa64 *)at, word, relaxed);
    return error;
}

/* ---- Beginning and end --------------------------------------------------------------------- */

uint32_t space_rig_access(const struct space_rig *rig, uint32_t access)
{
    bool exists = rig->which->format->access[access] != QUIRE_PAGING_NO_ENCODING;

    return exists ? access : access | QUIRE_EXECUTE;
}

struct quire_area space_rig_area(uint64_t start, uint64_t bytes, uint32_t access)
{
    struct quire_area area = {.range = quire_vrange_of(start, bytes), .access = access};

    return area;
}

uint64_t space_rig_used(const struct space_rig *rig)
{
    uint64_t used = 0;

    for (unsigned i = 0; i < SPACE_RIG_SMALL / 64; i++)
        used += (unsigned)__builtin_popcountll(rig->taken[i]);
    for (unsigned i = 0; i < SPACE_RIG_LARGE; i++)
        used += rig->large[i] != FREE;
    return used;
}

void space_rig_begin(struct space_rig *rig, const struct rig_format *which, bool window)
{
    struct quire_paging_port *port = &rig->config.port.paging;

    memset(rig, 0, sizeof *rig);
    rig->which = which;
    rig->window = window;
    rig->memory.first = SPACE_RIG_FIRST;
    rig->memory.frames = SPACE_RIG_FRAMES;
    if (!memory) /* for all rigs to come: each of many short ones would map it anew */
        memory = aligned_alloc(QUIRE_FRAME_SIZE, SPACE_RIG_FRAMES * QUIRE_FRAME_SIZE);
    assert_non_null(memory);
    rig->memory.bytes = memory;
    rig->pool.run.pfn.n = SPACE_RIG_FIRST;
    rig->pool.run.frames = SPACE_RIG_SMALL;
    rig->pool.taken = rig->taken;
    port->tables = (struct quire_table_source){give, take_back, rig};
    port->reach.base = (uintptr_t)rig->memory.bytes - SPACE_RIG_FIRST * QUIRE_FRAME_SIZE;
    if (window)
        port->reach = (struct quire_reach){0, open_frame, close_frame, rig};
    port->invalidate = invalidate;
    port->retire = retire;
    port->ctx = rig;
    rig->config.format = which->format;
    rig->config.port.frames = (struct quire_frame_source){give_run, take_run, split_run, NULL, rig};
    rig->config.port.shares = &rig->shares;
    rig->config.port.memory = (struct quire_memory_source){give_page, take_page, rig};
    rig->config.range = quire_vrange_of(which->base, (uint64_t)1 << 31);
    assert_ok(quire_shares_init(&rig->shares, &port->tables, &port->reach, 0));
}

void space_rig_end(struct space_rig *rig)
{
    quire_shares_destroy(&rig->shares);
    assert_int_equal(space_rig_used(rig), 0);
    assert_int_equal(qa_load(&rig->pages, relaxed), 0);
    assert_int_equal(rig->open, 0);
}
