/* SPDX-License-Identifier: MIT
 *
 * quire.c - Quire as its users call it: a machine of one node with one zone from frame 0, every
 * call one of include/quire/machine.h. In the mode that the library chooses for the
 * caches (`quire`: restartable sequences where they work) and in exchange mode (`quire-exchange`),
 * so that the difference is what ownership by exchange costs. Sizes are the library's own, the
 * zone's watermarks 0, so that an arena can be filled to the last frame.
 *
 * And in local mode (`quire-local`), which is for kernels: whoever calls keeps to its CPU. Here the
 * workers are pinned, each to one CPU, and the main thread is while it calls. A CPU is asked for
 * what it caches by going there: whoever asks is another task of that CPU for a moment, and what
 * comes between two instructions of a worker is the kernel's switch from one to the other, as in a
 * kernel it is an interrupt.
 *
 * Compiled once more with QUIRE_HARDENED, together with the whole library, into a shared object of
 * its own (`quire-hardened`): the difference is what the hardened build costs. And once more with
 * QUIRE_UNCOUNTED (`quire-uncounted`): what the caches' statistics cost.
 *
 * The functions only pass on. State: struct door, which nobody changes after open.
 */
#include "zone.h"

#include <quire/machine.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

struct door {
    struct quire_machine *machine;
    void *arena; /* the zone's */
    void *memory;
    size_t bytes;
    bool local; /* its caches are in local mode */
    struct quire_topology topology;
};

/* ---- The port ------------------------------------------------------------------------------- */

static uint32_t current_cpu(void *ctx)
{
    (void)ctx;
    return (uint32_t)sched_getcpu();
}

static void *give_memory(void *ctx, size_t bytes, quire_node node)
{
    (void)ctx;
    (void)node;
    return metadata_map(bytes);
}

static void take_back(void *ctx, void *memory, size_t bytes, quire_node node)
{
    (void)ctx;
    (void)node;
    metadata_unmap(memory, bytes);
}

/* Keep to a CPU, from which `before` leads back. False: nobody can run there. */
static bool keep_to(uint32_t cpu, cpu_set_t *before)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    return sched_getaffinity(0, sizeof(*before), before) == 0 &&
           sched_setaffinity(0, sizeof(one), &one) == 0;
}

static void go_back(const cpu_set_t *before)
{
    if (sched_setaffinity(0, sizeof(*before), before)) {
        abort(); /* the CPU that it was on has gone */
    }
}

static bool ask_drain(void *ctx, uint32_t cpu)
{
    const struct door *door = ctx;
    cpu_set_t before;

    if (cpu >= CPU_SETSIZE || !keep_to(cpu, &before)) {
        return false;
    }
    (void)quire_machine_answer(door->machine);
    go_back(&before);
    return true;
}

/* The main thread, which may run anywhere, calls a machine: in local mode it keeps to its CPU. */
static void begin_call(const struct door *door, cpu_set_t *before)
{
    if (door->local && !keep_to(current_cpu(NULL), before)) {
        abort();
    }
}

static void end_call(const struct door *door, const cpu_set_t *before)
{
    if (door->local) {
        go_back(before);
    }
}

/* ---- Building ------------------------------------------------------------------------------- */

static int describe(struct quire_topology *topology, unsigned cpus, uint64_t frames)
{
    quire_node node;
    int error;

    quire_topology_init(topology);
    error = quire_topology_add_node(topology, 0, &node);
    for (unsigned i = 0; i < cpus && !error; i++) {
        error = quire_topology_add_cpu(topology, i, node);
    }
    return error ? error
                 : quire_topology_add_memory(topology, 0, frames << QUIRE_FRAME_SHIFT, node,
                                             QUIRE_MEMORY_ORDINARY);
}

static int build(struct door *door, uint64_t frames, enum quire_cache_mode mode)
{
    struct quire_machine_zone given = {zone_of(door->arena), quire_node_of(0)};
    struct quire_pfnmap_span span = {{quire_pfn_of(0), frames}, 0};
    struct quire_machine_config config = {
        .topology = &door->topology,
        .zones = &given,
        .zone_count = 1,
        .spans = &span,
        .span_count = 1,
        .mode = mode,
        .rounds = QUIRE_CACHE_SIZE_AUTO,
        .huge_rounds = QUIRE_CACHE_SIZE_AUTO,
        .port = {.ctx = door,
                 .cpu = current_cpu,
                 .memory = give_memory,
                 .give_back = take_back,
                 .ask_drain = mode == QUIRE_CACHE_LOCAL ? ask_drain : NULL},
    };
    int error = quire_machine_size(&config, &door->bytes);

    if (!error) {
        door->memory = metadata_map(door->bytes);
        error = door->memory
                    ? quire_machine_init(&config, door->memory, door->bytes, &door->machine)
                    : QUIRE_ERR_NO_MEMORY;
    }
    return error;
}

static void door_close(void *opened)
{
    struct door *door = opened;
    cpu_set_t before;

    if (door->machine) {
        begin_call(door, &before);
        quire_machine_fini(door->machine);
        end_call(door, &before);
    }
    if (door->memory) {
        metadata_unmap(door->memory, door->bytes);
    }
    if (door->arena) {
        allocator_quire_zone.close(door->arena);
    }
    free(door);
}

static void *open_mode(uint64_t frames, unsigned threads, enum quire_cache_mode mode)
{
    unsigned cpus = (unsigned)sysconf(_SC_NPROCESSORS_CONF);
    struct door *door = calloc(1, sizeof(*door));

    (void)threads;
    if (!door) {
        return NULL;
    }
    door->local = mode == QUIRE_CACHE_LOCAL;
    door->arena = zone_arena_open(frames, cpus, false);
    if (door->arena && !describe(&door->topology, cpus, frames) && !build(door, frames, mode)) {
        return door;
    }
    door_close(door);
    return NULL;
}

static void *door_open(uint64_t frames, unsigned threads)
{
    return open_mode(frames, threads, QUIRE_CACHE_AUTO);
}

#if !defined(QUIRE_HARDENED) && !defined(QUIRE_UNCOUNTED)
static void *door_open_local(uint64_t frames, unsigned threads)
{
    return open_mode(frames, threads, QUIRE_CACHE_LOCAL);
}

static void *door_open_exchange(uint64_t frames, unsigned threads)
{
    return open_mode(frames, threads, QUIRE_CACHE_EXCHANGE);
}
#endif

/* ---- Using ---------------------------------------------------------------------------------- */

static struct quire_machine *machine_of(void *arena)
{
    return ((struct door *)arena)->machine;
}

struct quire_machine *quire_arena_machine(void *arena)
{
    return machine_of(arena);
}

static int door_alloc(void *arena, unsigned thread, unsigned order, quire_pfn *frame)
{
    (void)thread;
    return quire_machine_alloc(machine_of(arena), order, 0, frame);
}

static int door_alloc_movable(void *arena, unsigned thread, unsigned order, quire_pfn *frame)
{
    (void)thread;
    return quire_machine_alloc(machine_of(arena), order, QUIRE_MOVABLE, frame);
}

static int door_free(void *arena, unsigned thread, quire_pfn frame, unsigned order)
{
    (void)thread;
    return quire_machine_free(machine_of(arena), frame, order);
}

static int door_alloc_batch(void *arena, unsigned thread, quire_pfn *frames, size_t n)
{
    struct quire_request request = quire_request_of(0, 0);
    size_t got;

    (void)thread;
    return quire_machine_alloc_batch(machine_of(arena), &request, n, frames, &got, NULL);
}

static int door_free_batch(void *arena, unsigned thread, const quire_pfn *frames, size_t n)
{
    (void)thread;
    return quire_machine_free_batch(machine_of(arena), frames, n, NULL);
}

static int door_alloc_contig(void *arena, unsigned thread, uint64_t frames, uint64_t align,
                             quire_pfn *frame)
{
    struct quire_request request = quire_request_of(0, 0);
    struct quire_contig want = {.frames = frames, .align = align << QUIRE_FRAME_SHIFT};

    (void)thread;
    return quire_machine_alloc_contig(machine_of(arena), &request, &want, frame, NULL);
}

static int door_free_contig(void *arena, unsigned thread, quire_pfn frame, uint64_t frames)
{
    (void)thread;
    return quire_machine_free_contig(machine_of(arena), frame, frames);
}

static void door_maintain(void *arena)
{
    cpu_set_t before;

    begin_call(arena, &before);
    (void)quire_machine_maintain(machine_of(arena));
    end_call(arena, &before);
}

static uint64_t door_whole_blocks(void *arena)
{
    return allocator_quire_zone.whole_blocks(((struct door *)arena)->arena);
}

static const char *door_check(void *arena)
{
    struct quire_machine_stats stats;
    cpu_set_t before;
    bool good;

    begin_call(arena, &before);
    good =
        !quire_machine_drain(machine_of(arena)) && !quire_machine_stats(machine_of(arena), &stats);
    end_call(arena, &before);
    if (!good) {
        return "the machine cannot be drained";
    }
    if (stats.cached || stats.remote) {
        return "a cache holds frames after it was drained";
    }
    return allocator_quire_zone.check(((struct door *)arena)->arena);
}

static uint64_t door_metadata_bytes(void *arena)
{
    struct quire_machine_stats stats;

    return quire_machine_stats(machine_of(arena), &stats) ? 0 : stats.metadata_bytes;
}

#define DOOR_FUNCTIONS                                                                             \
    .close = door_close, .alloc = door_alloc, .alloc_movable = door_alloc_movable,                 \
    .free = door_free, .alloc_batch = door_alloc_batch, .free_batch = door_free_batch,             \
    .alloc_contig = door_alloc_contig, .free_contig = door_free_contig, .maintain = door_maintain, \
    .whole_blocks = door_whole_blocks, .check = door_check, .metadata_bytes = door_metadata_bytes, \
    .sparse = true

#ifdef QUIRE_HARDENED

const struct allocator allocator_quire_hardened = {
    .name = "quire-hardened",
    .what = "as quire, built to notice at once what is freed twice",
    .open = door_open,
    .same_places = true,
    DOOR_FUNCTIONS,
};

#elif defined(QUIRE_UNCOUNTED)

const struct allocator allocator_quire_uncounted = {
    .name = "quire-uncounted",
    .what = "as quire, built without the caches' statistics",
    .open = door_open,
    .same_places = true,
    DOOR_FUNCTIONS,
};

#else

const struct allocator allocator_quire = {
    .name = "quire",
    .what = "a machine of one node, as users call it, restartable sequences where they work",
    .open = door_open,
    DOOR_FUNCTIONS,
};

const struct allocator allocator_quire_exchange = {
    .name = "quire-exchange",
    .what = "the same, the caches owned by atomic exchange",
    .open = door_open_exchange,
    .same_places = true,
    DOOR_FUNCTIONS,
};

const struct allocator allocator_quire_local = {
    .name = "quire-local",
    .what =
        "the same, owned without locked instructions, as in a kernel: threads keep to their CPU",
    .open = door_open_local,
    .same_places = true,
    DOOR_FUNCTIONS,
};

#endif
