/* SPDX-License-Identifier: MIT
 *
 * stress.c - threads allocate and free while others compact, by calls and by maintenance, and while
 * requests for whole blocks compact for themselves. The books see each frame with one owner, and
 * its words ordered. Nobody who leaves enough is refused a frame.
 *
 *   numa_compact_stress [TURNS [SEED]]
 */
#include "stress/common/random.h"
#include "stress/numa/compact/books.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    LOADERS = 2,
    BLOCKS = 96,
    SPARE = 12 * BLOCK, /* what unfinished calls may keep back, and more */
    QUOTA = (BLOCKS * BLOCK - SPARE) / (LOADERS + 1),
    OWN_PLACES = QUOTA + 1,
    KEPT_BLOCKS = 64, /* that maintenance is to keep, */
    KEPT_MOVES = 300, /* with so many moves in a call */
};

static struct rig rig;
static struct books books;
static uint64_t turns, seed;
static _Atomic bool over;
static _Atomic uint64_t blocks_had, won, moves;

/* Free the run of a place, whoever is moving it now. */
static void free_place(uint32_t place)
{
    while (!books_try_free(&books, place))
        sched_yield();
}

static bool is_used(uint32_t place)
{
    return atomic_load_explicit(&books.runs[place].state, memory_order_relaxed) != BOOKS_FREE;
}

/* Hold up to QUOTA frames, fewer by turns, so that blocks get sparse. */
static void *load(void *arg)
{
    uint32_t cpu = *(uint32_t *)arg, first = 1 + cpu * OWN_PLACES;
    uint64_t state = random_seed(seed, cpu), held = 0;

    rig_cpu = cpu;
    for (uint64_t turn = 0; turn < turns; turn++) {
        uint32_t place = first + (uint32_t)random_below(&state, OWN_PLACES);
        bool fill = turn / (QUOTA * 2) % 2 == 0;

        if (is_used(place)) {
            if (!fill || random_below(&state, 2)) {
                held -= 1ull << books.runs[place].order;
                free_place(place);
            }
        } else if (fill || random_below(&state, 4) == 0) {
            unsigned order = random_below(&state, 8) ? 0 : (unsigned)random_below(&state, 4);
            uint32_t flags = random_below(&state, 20) ? QUIRE_MOVABLE : 0;

            if (held + (1ull << order) > QUOTA)
                continue;
            if (books_alloc(&books, place, order, flags) == QUIRE_OK)
                held += 1ull << order;
            else if (order == 0)
                die("a thread that holds %" PRIu64 " of %d was refused a frame", held, QUOTA);
        }
    }
    for (uint32_t i = 0; i < OWN_PLACES; i++)
        if (is_used(first + i))
            free_place(first + i);
    return NULL;
}

/* Whole blocks are asked for, held for a moment, and freed. */
static void *ask_for_blocks(void *arg)
{
    (void)arg;
    rig_cpu = LOADERS;
    while (!atomic_load_explicit(&over, memory_order_relaxed)) {
        quire_pfn pfn[4];
        unsigned n = 0;

        while (n < 4 && quire_machine_alloc(rig.machine, 9, QUIRE_COMPACT, &pfn[n]) == QUIRE_OK)
            n++;
        atomic_fetch_add(&blocks_had, n);
        sched_yield();
        while (n > 0)
            must(quire_machine_free(rig.machine, pfn[--n], 9), "free");
    }
    return NULL;
}

static void *compact(void *arg)
{
    uint64_t state = random_seed(seed, 99);

    (void)arg;
    rig_cpu = LOADERS + 1;
    while (!atomic_load_explicit(&over, memory_order_relaxed)) {
        struct quire_compact want = {.order = 9 + (unsigned)random_below(&state, 2),
                                     .count = 1 + (uint32_t)random_below(&state, 8),
                                     .budget = random_below(&state, 2) ? UINT64_MAX : 500,
                                     .dry = random_below(&state, 8) == 0};
        struct quire_compacted done = {0};
        int error = QUIRE_OK;

        if (random_below(&state, 2))
            (void)quire_machine_maintain(rig.machine);
        else
            error = quire_machine_compact(rig.machine, &want, &done);
        if (error && error != QUIRE_ERR_BUSY)
            die("compact: %s", quire_strerror(error));
        atomic_fetch_add(&won, done.won);
        atomic_fetch_add(&moves, done.moves);
        sched_yield();
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t loaders[LOADERS], others[2];
    uint32_t cpus[LOADERS];
    struct quire_kept kept;

    turns = argc > 1 ? strtoull(argv[1], NULL, 0) : 2000000;
    seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    printf("seed 0x%" PRIx64 "\n", seed);
    rig_begin(&rig, 1, LOADERS + 2);
    (void)rig_zone(&rig, 0, QUIRE_ZONE_NORMAL, 0, (uint64_t)BLOCKS * BLOCK);
    books_open(&books, &rig, (uint64_t)BLOCKS * BLOCK, 1 + LOADERS * OWN_PLACES);
    rig.config.port.mover = &books.mover;
    rig.config.keep = (struct quire_keep){.blocks = KEPT_BLOCKS, .budget = KEPT_MOVES};
    rig_open(&rig);
    for (uint32_t i = 0; i < LOADERS; i++) {
        cpus[i] = i;
        must(pthread_create(&loaders[i], NULL, load, &cpus[i]), "thread");
    }
    must(pthread_create(&others[0], NULL, ask_for_blocks, NULL), "thread");
    must(pthread_create(&others[1], NULL, compact, NULL), "thread");
    for (uint32_t i = 0; i < LOADERS; i++)
        must(pthread_join(loaders[i], NULL), "join");
    atomic_store(&over, true);
    for (unsigned i = 0; i < 2; i++)
        must(pthread_join(others[i], NULL), "join");
    must(quire_machine_kept(rig.machine, quire_node_of(0), &kept), "kept");
    printf("%" PRIu64 " blocks had by requests, %" PRIu64 " ranges won by %" PRIu64
           " moves, and %" PRIu64 " by %" PRIu64 " in %" PRIu64 " calls of maintenance\n",
           atomic_load(&blocks_had), atomic_load(&won), atomic_load(&moves), kept.won_blocks,
           kept.moves, kept.calls);
    if (kept.most_moves > KEPT_MOVES || kept.won_blocks == 0)
        die("maintenance moved %" PRIu64 " frames in a call, and won %" PRIu64 " blocks",
            kept.most_moves, kept.won_blocks);
    books_check(&books);
    books_close(&books);
    rig_close(&rig);
    return 0;
}
