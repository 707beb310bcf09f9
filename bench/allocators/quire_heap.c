/* SPDX-License-Identifier: MIT
 *
 * quire_heap.c - the heap of kernel-port/heap on a machine of one node, over memory of the process:
 * in the mode that it chooses (`quire-heap`), and in exchange mode, as in a kernel
 * (`quire-heap-exchange`). Every call is one of include/quire/heap.h; the functions only pass on.
 */
#include "zone.h"

#include <quire/heap.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ALIGNED = 2 << 20 }; /* the memory, so that it may have large pages as others' may */

struct objects {
    const struct allocator *frames_by; /* in the heap's mode */
    void *arena;                       /* whose frames they are */
    struct quire_heap heap;
    void *room;
    unsigned char *mapped;
    size_t room_bytes, mapped_bytes;
    uint64_t frames;
};

static uint32_t current_cpu(void *ctx)
{
    (void)ctx;
    return (uint32_t)sched_getcpu();
}

static void objects_close(void *opened)
{
    struct objects *objects = opened;

    if (objects->arena) {
        objects->frames_by->close(objects->arena);
    }
    free(objects->room);
    if (objects->mapped) {
        metadata_unmap(objects->mapped, objects->mapped_bytes);
    }
    free(objects);
}

static int objects_build(struct objects *objects, enum quire_cache_mode mode)
{
    const struct quire_run all = {quire_pfn_of(0), objects->frames};
    struct quire_heap_config config = {
        .machine = quire_arena_machine(objects->arena),
        .runs = &all,
        .run_count = 1,
        .cpus = (uint32_t)sysconf(_SC_NPROCESSORS_CONF),
        .slabs = (uint32_t)objects->frames,
        .mode = mode,
        .port = {.cpu = current_cpu},
    };
    uintptr_t base = ((uintptr_t)objects->mapped + ALIGNED - 1) & ~(uintptr_t)(ALIGNED - 1);
    int error;

    config.port.reach.base = base;
    error = quire_heap_size(&config, &objects->room_bytes);
    if (error) {
        return error;
    }
    objects->room = aligned_alloc(64, objects->room_bytes);
    return objects->room
               ? quire_heap_init(&objects->heap, &config, objects->room, objects->room_bytes)
               : QUIRE_ERR_NO_MEMORY;
}

static void *open_mode(uint64_t frames, unsigned threads, enum quire_cache_mode mode)
{
    struct objects *objects = calloc(1, sizeof(*objects));

    if (!objects) {
        return NULL;
    }
    objects->frames = frames;
    objects->frames_by =
        mode == QUIRE_CACHE_EXCHANGE ? &allocator_quire_exchange : &allocator_quire;
    objects->arena = objects->frames_by->open(frames, threads);
    objects->mapped_bytes = (size_t)(frames << QUIRE_FRAME_SHIFT) + ALIGNED;
    objects->mapped = metadata_map(objects->mapped_bytes);
    if (objects->arena && objects->mapped && !objects_build(objects, mode)) {
        return objects;
    }
    objects_close(objects);
    return NULL;
}

static void *objects_open(uint64_t frames, unsigned threads)
{
    return open_mode(frames, threads, QUIRE_CACHE_AUTO);
}

static void *objects_open_exchange(uint64_t frames, unsigned threads)
{
    return open_mode(frames, threads, QUIRE_CACHE_EXCHANGE);
}

static int objects_alloc(void *arena, unsigned thread, size_t bytes, void **object)
{
    (void)thread;
    return quire_heap_alloc(&((struct objects *)arena)->heap, bytes, 0, object);
}

static int objects_free(void *arena, unsigned thread, void *object)
{
    (void)thread;
    return quire_heap_free(&((struct objects *)arena)->heap, object);
}

static const char *objects_check(void *opened)
{
    struct objects *objects = opened;
    struct quire_heap_stats stats;

    (void)quire_heap_trim(&objects->heap);
    for (uint32_t i = 0; i < QUIRE_HEAP_CLASSES; i++) {
        if (quire_heap_stats(&objects->heap, i, quire_node_of(0), &stats) || stats.used ||
            stats.slabs) {
            return "objects or slabs are left";
        }
    }
    return objects->frames_by->check(objects->arena);
}

#define OBJECTS(id, the_name, the_open, the_what) \
    const struct allocator allocator_##id = {     \
        .name = (the_name),                       \
        .what = (the_what),                       \
        .open = (the_open),                       \
        .close = objects_close,                   \
        .object_alloc = objects_alloc,            \
        .object_free = objects_free,              \
        .check = objects_check,                   \
    }

OBJECTS(quire_heap, "quire-heap", objects_open, "objects, by heap.h");
OBJECTS(quire_heap_exchange, "quire-heap-exchange", objects_open_exchange,
        "the same, its magazines owned by exchange");
