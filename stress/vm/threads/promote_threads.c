/* SPDX-License-Identifier: MIT
 *
 * promote_threads.c - one CPU promotes, makes rows, demotes, unmaps and forks while the others
 * write to the same parts and read what they wrote. An access is a walk and the word, in one
 * section; what invalidates waits for those that are in one, as for processors that have yet to
 * answer; and who retires a table waits for faults that are under way. So a word that is lost was
 * written to a page that was copied already, or given back too early. ThreadSanitizer sees the
 * orders.
 */
#include "stress/common/assert.h"
#include "stress/common/random.h"
#include "stress/common/sanitized.h"
#include "stress/vm/space_rig.h"
#include "workers.h"

#include <sched.h>
#include <string.h>

enum {
    FRAME = QUIRE_FRAME_SIZE,
    WORDS = SANITIZED ? 1000 : 6000, /* that each writes */
    PARTS = 2,
    HOT = 24, /* pages that are written in each part */
    CHILD_WORDS = PARTS * HOT * WORKERS,
    RWX = QUIRE_READ | QUIRE_WRITE | QUIRE_EXECUTE,
};

static struct space_rig rig;
static struct quire_space space, child;
static bool has_child;
static uint64_t child_words[CHILD_WORDS];
static pthread_rwlock_t accesses;
static uint64_t part_bytes, promoted, ended, returned, rows, filled;
static qa32 writers;

static uint64_t part_at(unsigned i)
{
    return (rig.config.range.start.n | (part_bytes - 1)) + 1 + i * part_bytes;
}

static void invalidate(void *ctx, struct quire_vrange range)
{
    (void)ctx;
    (void)range;
    assert_int_equal(pthread_rwlock_wrlock(&accesses), 0);
    assert_int_equal(pthread_rwlock_unlock(&accesses), 0);
    for (unsigned i = 0; i < WORKERS; i++)
        (void)sched_yield(); /* here the others shall come */
}

static void relax(void *ctx)
{
    (void)ctx;
    (void)sched_yield();
}

/* Once by way of the page table. False: it faults. */
static bool try_access(uint64_t virt, uint32_t access, uint64_t *word)
{
    struct mmu mmu = {rig.which->kind, rig.which->format->levels, &rig.memory, {0}, {0}};
    struct mmu_page page;
    bool good;

    (void)pthread_rwlock_rdlock(&accesses);
    mmu_load(&mmu, quire_paging_root(&space.paging));
    good = mmu_access(&mmu, virt, access, &page) == MMU_OK;
    if (virt / sizeof(uint64_t) % WORKERS == (virt / FRAME) % WORKERS)
        (void)sched_yield(); /* what it found is old by now, as in a TLB */
    if (good) {
        qa64 *at =
            (qa64 *)(void *)(rig.memory.bytes + (page.phys - SPACE_RIG_FIRST * (uint64_t)FRAME));

        if (access == QUIRE_WRITE)
            qa_store(at, *word, relaxed);
        else
            *word = qa_load(at, relaxed);
    }
    (void)pthread_rwlock_unlock(&accesses);
    return good;
}

static int access_word(const struct worker *worker, uint64_t virt, uint32_t access, uint64_t *word)
{
    while (!try_access(virt, access, word)) {
        int error;

        worker_enters_call(worker);
        error = quire_space_fault(&space, quire_vaddr_of(virt), access);
        worker_leaves_call(worker);
        if (error)
            return error;
        (void)sched_yield();
    }
    return 0;
}

/* ---- Who promotes --------------------------------------------------------------------------- */

/* A part's last page, which nobody else touches, goes and comes. */
static void change_end(struct worker *worker, unsigned i)
{
    struct quire_area area = space_rig_area(part_at(i) + part_bytes - FRAME, FRAME, RWX);

    worker->failures += quire_space_unmap(&space, area.range) != 0;
    worker->failures += quire_space_reserve(&space, &area, 0, NULL) != 0;
}

static uint64_t child_word(unsigned i)
{
    const unsigned page = i / WORKERS;
    const uint64_t virt = part_at(page / HOT) + page % HOT * 3ul * FRAME;
    const uint64_t *at = space_rig_walk(&rig, &child, virt + i % WORKERS * 8ul, QUIRE_READ);

    return at ? qa_load((const qa64 *)at, relaxed) : 0;
}

static void end_child(struct worker *worker)
{
    if (!has_child)
        return;
    for (unsigned i = 0; i < CHILD_WORDS; i++)
        worker->failures += child_word(i) != child_words[i];
    quire_space_destroy(&child);
    has_child = false;
}

/* The child stays for a while, and has what it had: frames of two are not moved, nor given back. */
static void fork_or_end(struct worker *worker)
{
    if (has_child) {
        end_child(worker);
        return;
    }
    has_child = quire_space_fork(&space, &child) == 0;
    worker->failures += !has_child;
    for (unsigned i = 0; has_child && i < CHILD_WORDS; i++)
        child_words[i] = child_word(i);
}

/* Now and then a frame is. */
static bool pinned(void *ctx, quire_pfn pfn)
{
    return random_below(ctx, 64) == 0 && pfn.n > 0;
}

/* Large pages, or rows alone: the pages that are written are too few for a large page then. */
static struct quire_promotion draw_promotion(uint64_t *random)
{
    struct quire_promotion how = {.present = 1, .ctx = random};

    if (random_below(random, 2)) {
        how.row = 4 + (uint32_t)random_below(random, 5);
        how.present = 64;
    }
    how.patience = (uint32_t)random_below(random, 3) * 1000;
    how.age = random_below(random, 2);
    how.pinned = random_below(random, 4) ? NULL : pinned;
    return how;
}

static void promote_and_demote(struct worker *worker)
{
    struct quire_demotion demotion = {.zeros = 1};
    uint64_t random = random_seed(1, 0);

    while (qa_load(&writers, relaxed)) {
        unsigned i = (unsigned)random_below(&random, PARTS);
        struct quire_vrange range = quire_vrange_of(part_at(i), part_bytes);
        struct quire_promotion promotion = draw_promotion(&random);
        struct quire_promoted made;
        struct quire_demoted unmade;

        memset(space.large.demoted, 0, sizeof space.large.demoted); /* no part waits */
        worker->failures += quire_space_promote(&space, range, &promotion, &made) != 0;
        promoted += made.parts;
        ended += made.ended;
        rows += made.rows;
        filled += made.filled;
        switch (random_below(&random, 6)) {
        case 0:
        case 1:
            worker->failures += quire_space_demote(&space, range, &demotion, &unmade) != 0;
            returned += unmade.frames;
            break;
        case 2:
            change_end(worker, i);
            break;
        case 3:
            fork_or_end(worker);
            break;
        default:
            break;
        }
    }
    end_child(worker);
}

/* ---- Who writes ----------------------------------------------------------------------------- */

/* Each has a word of its own in each page, and a page of its own that it clears now and then. */
static void write_and_read(struct worker *worker)
{
    uint64_t random = random_seed(1, worker->number), words[PARTS][HOT] = {{0}};

    for (unsigned n = 0; n < WORDS; n++) {
        unsigned i = (unsigned)random_below(&random, PARTS);
        unsigned page = (unsigned)random_below(&random, HOT);
        uint64_t virt = part_at(i) + page * 3ul * FRAME + worker->number * 8ul, word = 0;

        worker->failures += access_word(worker, virt, QUIRE_READ, &word) != 0;
        worker->failures += word != words[i][page];
        words[i][page] = random_below(&random, 4) ? word + 1 : 0;
        worker->failures += access_word(worker, virt, QUIRE_WRITE, &words[i][page]) != 0;
    }
    (void)qa_sub(&writers, 1, relaxed);
}

static void work(struct worker *worker)
{
    if (worker->number == 0)
        promote_and_demote(worker);
    else
        write_and_read(worker);
}

static void on_format(const struct rig_format *which, bool limited)
{
    struct quire_area area;
    uint64_t used;

    space_rig_begin(&rig, which, false);
    part_bytes = which->format->sizes & QUIRE_PAGE_2M ? QUIRE_PAGE_2M : QUIRE_PAGE_4M;
    rig.config.port.relax = relax;
    if (limited) /* there is room for all pages, so nobody may be refused */
        rig.config.limit = PARTS * part_bytes / FRAME;
    rig.config.port.paging.invalidate = invalidate;
    rig.config.port.paging.retire = workers_retire;
    qa_store(&writers, WORKERS - 1, relaxed);
    assert_ok(quire_space_create(&space, &rig.config));
    used = space_rig_used(&rig);
    area = space_rig_area(part_at(0), PARTS * part_bytes, RWX);
    assert_ok(quire_space_reserve(&space, &area, 0, NULL));
    workers_run(work);
    assert_ok(quire_space_unmap(&space, area.range));
    assert_in_range(space_rig_used(&rig), used, used + 16);
    quire_space_destroy(&space);
    space_rig_end(&rig);
}

static void all_at_once(void **state)
{
    static const unsigned formats[] = {0, 2, 4, 6};
    pthread_rwlockattr_t how;

    (void)state;
    assert_int_equal(pthread_rwlockattr_init(&how), 0);
    (void)pthread_rwlockattr_setkind_np(&how, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    assert_int_equal(pthread_rwlock_init(&accesses, &how), 0);
    for (unsigned i = 0; i < sizeof formats / sizeof formats[0]; i++)
        on_format(&rig_formats[formats[i]], i % 2);
    assert_true(promoted > 0 && rows > 0 && filled > 0);
    print_message("%llu promoted, %llu rows, %llu pages filled, %llu ended, %llu frames returned\n",
                  (unsigned long long)promoted, (unsigned long long)rows,
                  (unsigned long long)filled, (unsigned long long)ended,
                  (unsigned long long)returned);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_at_once)};

    return cmocka_run_group_tests_name("promote_threads", tests, NULL, NULL);
}
