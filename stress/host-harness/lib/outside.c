/* SPDX-License-Identifier: MIT
 *
 * outside.c - memory that is used, freed, zeroed ahead of need, given back to the system, moved by
 * compaction and by maintenance, and taken offline, all at the same time, with contents: each user
 * writes a mark of his own at some places of every page that he gets and finds it there when he
 * frees it, and a page that he is given as zeroed has no mark of anybody's.
 *
 * So what is taken away while it is used, said to be zero while it is not, or handed out twice,
 * shows. At the end nothing is lost.
 */
#include "host_fixture.h"

#include "stress/common/random.h"
#include "stress/common/sanitized.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    USERS = 2,
    RUNS = 64,
    TURNS = SANITIZED ? 3000 : 12000,
    PLACES = 4,
    KEPT_MOVES = 4096,
    WORDS = QUIRE_FRAME_SIZE / 8
};

/* A run that a user has; the mover holds the lock while he moves it. */
struct run {
    pthread_mutex_t lock;
    uint64_t *memory; /* NULL: none */
    unsigned order;
    uint64_t mark;
};

static struct quire_host *host;
static struct run runs[USERS][RUNS];
static atomic_int working;
static atomic_ulong wrong, served, refused, moved, offlined, given, zeroed, won;

static size_t place(size_t frame, unsigned i)
{
    return frame * WORDS + i * (WORDS / PLACES) + frame % (WORDS / PLACES);
}

/* Do all marks of the run read so? */
static bool reads(const struct run *r, uint64_t mark)
{
    bool good = true;

    for (size_t frame = 0; frame < (size_t)1 << r->order; frame++)
        for (unsigned i = 0; i < PLACES; i++)
            good = good && r->memory[place(frame, i)] == mark;
    return good;
}

static void write_marks(struct run *r, uint64_t mark)
{
    for (size_t frame = 0; frame < (size_t)1 << r->order; frame++)
        for (unsigned i = 0; i < PLACES; i++)
            r->memory[place(frame, i)] = mark;
    r->mark = mark;
}

static void count_wrong(bool good)
{
    if (!good)
        atomic_fetch_add(&wrong, 1);
}

static void take_run(struct run *r, uint64_t *random)
{
    static const uint32_t flags[] = {0, QUIRE_MOVABLE, QUIRE_ZEROED, QUIRE_MOVABLE | QUIRE_ZEROED};
    uint32_t how = flags[random_below(random, 4)];
    uint64_t draw = random_below(random, 32);
    void *memory;

    r->order = (unsigned)(draw < 16 ? 0 : draw < 28 ? draw - 16 : 9);
    if (quire_host_alloc(host, r->order, how, &memory)) {
        atomic_fetch_add(&refused, 1);
        return;
    }
    atomic_fetch_add(&served, 1);
    r->memory = memory;
    count_wrong(!(how & QUIRE_ZEROED) || reads(r, 0));
    write_marks(r, random_next(random) | 1);
}

static void free_run(struct run *r, uint64_t *random)
{
    quire_pfn pfn = {0};
    int error;

    count_wrong(reads(r, r->mark));
    if (random_below(random, 4) == 0) {
        memset(r->memory, 0, (size_t)QUIRE_FRAME_SIZE << r->order);
        error = quire_host_pfn(host, r->memory, &pfn);
        error |= quire_machine_free_zeroed(quire_host_machine(host), pfn, r->order);
    } else {
        error = quire_host_free(host, r->memory, r->order);
    }
    count_wrong(!error);
    r->memory = NULL;
}

static void *user(void *argument)
{
    struct run *mine = argument;
    uint64_t random = random_seed(7, (uint64_t)((struct run(*)[RUNS])argument - runs));

    quire_host_thread_enter();
    for (unsigned turn = 0; turn < TURNS; turn++) {
        struct run *r = &mine[random_below(&random, RUNS)];

        pthread_mutex_lock(&r->lock);
        if (r->memory)
            free_run(r, &random);
        else
            take_run(r, &random);
        pthread_mutex_unlock(&r->lock);
    }
    for (unsigned i = 0; i < RUNS; i++) {
        pthread_mutex_lock(&mine[i].lock);
        if (mine[i].memory)
            free_run(&mine[i], &random);
        pthread_mutex_unlock(&mine[i].lock);
    }
    (void)quire_host_thread_leave();
    atomic_fetch_sub(&working, 1);
    return NULL;
}

/* ---- Those who want the memory that is free -------------------------------------------------- */

static void *giver(void *unused)
{
    uint64_t random = 1;

    (void)unused;
    quire_host_thread_enter();
    while (atomic_load(&working) > 0) {
        uint64_t bytes = 0;

        if (random_below(&random, 2))
            (void)quire_machine_maintain(quire_host_machine(host));
        else
            count_wrong(!quire_host_give_back(host, random_below(&random, 64 * MIB), &bytes));
        atomic_fetch_add(&given, bytes);
    }
    (void)quire_host_thread_leave();
    return NULL;
}

static void *zeroer(void *unused)
{
    uint64_t random = 2;

    (void)unused;
    quire_host_thread_enter();
    while (atomic_load(&working) > 0) {
        uint64_t frames;

        count_wrong(!quire_machine_zero_idle(quire_host_machine(host), quire_node_of(QUIRE_NO_NODE),
                                             random_below(&random, 2048), &frames));
        atomic_fetch_add(&zeroed, frames);
    }
    (void)quire_host_thread_leave();
    return NULL;
}

/* The run is one of the users', who is not at work on it. */
static enum quire_move_answer move(void *ctx, quire_pfn from, quire_pfn to, unsigned order)
{
    void *old = quire_host_pointer(host, from);

    (void)ctx;
    for (unsigned i = 0; i < USERS * RUNS; i++) {
        struct run *r = &runs[i / RUNS][i % RUNS];
        bool found;

        if (pthread_mutex_trylock(&r->lock))
            continue;
        found = r->memory == old && r->order == order;
        if (found) {
            r->memory = quire_host_pointer(host, to);
            memcpy(r->memory, old, (size_t)QUIRE_FRAME_SIZE << order);
            atomic_fetch_add(&moved, 1);
        }
        pthread_mutex_unlock(&r->lock);
        if (found)
            return QUIRE_MOVED;
    }
    return QUIRE_MOVE_LATER;
}

static const struct quire_mover mover = {.move = move};

/* Maintenance may compact at the same time: one of both does. */
static bool is_no_fault(int error)
{
    return error == QUIRE_OK || error == QUIRE_ERR_BUSY;
}

static void *changer(void *unused)
{
    struct quire_machine *machine = quire_host_machine(host);
    struct quire_host_arena arena;
    uint64_t random = 3;

    (void)unused;
    quire_host_thread_enter();
    count_wrong(!quire_host_arena(host, 0, &arena));
    while (atomic_load(&working) > 0) {
        struct quire_compact want = {
            .node = arena.node, .order = 9, .count = 3, .budget = 4096, .mover = &mover};
        struct quire_compacted done = {0};
        uint64_t block = random_below(&random, arena.bytes / (2 * MIB) - 2);
        struct quire_run run = {quire_pfn_of_phys((uintptr_t)arena.memory + block * 2 * MIB),
                                2 * BLOCK};

        if (random_below(&random, 2)) {
            count_wrong(is_no_fault(quire_machine_compact(machine, &want, &done)));
            atomic_fetch_add(&won, done.won);
        } else if (!quire_machine_offline(machine, run, NULL, NULL, NULL, 0, NULL)) {
            atomic_fetch_add(&offlined, 1);
            while (quire_machine_online(machine, run) == QUIRE_ERR_BUSY)
                sched_yield();
        }
    }
    (void)quire_host_thread_leave();
    return NULL;
}

static void all_at_once(void **state)
{
    void *(*const others[])(void *) = {giver, zeroer, changer};
    const uint64_t bytes = 128 * MIB;
    const struct quire_host_options options = {.node_bytes = &bytes,
                                               .node_bytes_count = 1,
                                               .give_back_after = 1,
                                               .no_thread = true,
                                               .mover = &mover,
                                               .keep = {.blocks = 64, .budget = KEPT_MOVES}};
    pthread_t threads[USERS + 3];
    struct quire_host_arena arena;
    struct quire_zone_stats stats;
    struct quire_fault fault;
    struct quire_kept kept;
    uint64_t free_frames, end;

    (void)state;
    assert_int_equal(quire_host_create(&options, &host), QUIRE_OK);
    free_frames = host_free_frames(host);
    for (unsigned i = 0; i < USERS * RUNS; i++)
        pthread_mutex_init(&runs[i / RUNS][i % RUNS].lock, NULL);
    atomic_store(&working, USERS);
    for (unsigned i = 0; i < USERS + 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i < USERS ? user : others[i - USERS],
                                        i < USERS ? runs[i] : NULL),
                         0);
    for (unsigned i = 0; i < USERS + 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    end = host_free_frames(host);
    assert_int_equal(quire_host_arena(host, 0, &arena), QUIRE_OK);
    assert_int_equal(quire_zone_stats(arena.zone, &stats), QUIRE_OK);
    assert_int_equal(quire_machine_kept(quire_host_machine(host), arena.node, &kept), QUIRE_OK);
    print_message("%lu served, %lu refused, %lu MiB given back, %lu blocks came again, %lu frames "
                  "zeroed ahead, %lu known, %lu zeroed, %lu moved, %lu won, %lu in %lu calls of "
                  "maintenance, %lu "
                  "offline\n",
                  served, refused, given / MIB, stats.counts[QUIRE_COUNT_INSTALLED], zeroed,
                  stats.counts[QUIRE_COUNT_KNOWN_ZERO], stats.counts[QUIRE_COUNT_ZEROED], moved,
                  won, kept.won_blocks, kept.calls, offlined);
    assert_int_equal(wrong, 0);
    assert_in_range(kept.most_moves, 0, KEPT_MOVES);
    assert_int_equal(end, free_frames);
    assert_int_equal(quire_zone_check(arena.zone, &fault), QUIRE_OK);
    assert_true(stats.counts[QUIRE_COUNT_INSTALLED] > 0);
    assert_true(stats.counts[QUIRE_COUNT_KNOWN_ZERO] > 0);
    quire_host_destroy(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
