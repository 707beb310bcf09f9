/* SPDX-License-Identifier: MIT
 *
 * heap.c - mimalloc, jemalloc and tcmalloc, asked for 4 KiB aligned to 4 KiB, or for objects, as
 * glibc's malloc is too. They are the installed libraries, loaded at run time under their own
 * names, so that the program's own malloc stays what it is and a library that is not there is only
 * left out.
 *
 * What they hand out is memory, not frame numbers, and they may touch what is freed: page faults
 * are part of their figures. They have no arena to fill, no 2 MiB blocks to keep whole, and nothing
 * to check. State: one struct heap per library, filled by missing() before any worker runs.
 */
#include "allocators.h"
#include "bench/measure/stopwatch.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ERR_NO_MEMORY = -1, LEAST_GIB = 6 };

struct heap {
    const char *library, *alloc_name, *free_name, *malloc_name;
    void *(*alloc)(size_t, size_t); /* size and alignment, or the other way round: they are equal */
    void (*free)(void *);
    void *(*malloc)(size_t);
};

static bool low_on_memory(void)
{
    uint64_t pages = (uint64_t)sysconf(_SC_AVPHYS_PAGES), size = (uint64_t)sysconf(_SC_PAGESIZE);

    return pages * size >> 30 < LEAST_GIB;
}

/* jemalloc's thread-local variables must lie in the static block, in which glibc leaves too little
 * room for a library that is loaded late; how much is decided before main(). */
void heap_prepare(char **argv)
{
    static const char room[] = "glibc.rtld.optional_static_tls=16384";
    const char *given = getenv("GLIBC_TUNABLES");
    char tunables[1024];

    if ((given && strstr(given, "optional_static_tls")) || stopwatch_under_valgrind()) {
        return;
    }
    int length =
        snprintf(tunables, sizeof(tunables), "%s%s%s", given ? given : "", given ? ":" : "", room);

    if (length < (int)sizeof(tunables) && setenv("GLIBC_TUNABLES", tunables, 1) == 0) {
        (void)execv("/proc/self/exe", argv); /* if it fails, jemalloc will be left out */
    }
}

/* Load the library, once. NULL, or what is wrong. */
static const char *heap_load(struct heap *h)
{
    void *library, *function;

    if (h->free) {
        return NULL;
    }
    if (low_on_memory()) {
        return "it would hand out real memory, and less than 6 GiB are free";
    }
    library = dlopen(h->library, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        return dlerror();
    }
    function = dlsym(library, h->alloc_name);
    memcpy(&h->alloc, &function, sizeof(function));
    function = dlsym(library, h->free_name);
    memcpy(&h->free, &function, sizeof(function));
    function = dlsym(library, h->malloc_name);
    memcpy(&h->malloc, &function, sizeof(function));
    return h->alloc && h->free && h->malloc ? NULL : "the library lacks the functions";
}

static int heap_alloc(void *arena, unsigned thread, unsigned order, quire_pfn *frame)
{
    const struct heap *h = arena;
    void *memory = h->alloc(QUIRE_FRAME_SIZE, QUIRE_FRAME_SIZE);

    (void)thread;
    (void)order;
    *frame = quire_pfn_of((uintptr_t)memory);
    return memory ? 0 : ERR_NO_MEMORY;
}

static int heap_free(void *arena, unsigned thread, quire_pfn frame, unsigned order)
{
    const struct heap *h = arena;

    (void)thread;
    (void)order;
    h->free((void *)(uintptr_t)frame.n);
    return 0;
}

static int heap_object_alloc(void *arena, unsigned thread, size_t bytes, void **object)
{
    const struct heap *h = arena;

    (void)thread;
    *object = h->malloc(bytes);
    return *object ? 0 : ERR_NO_MEMORY;
}

static int heap_object_free(void *arena, unsigned thread, void *object)
{
    const struct heap *h = arena;

    (void)thread;
    h->free(object);
    return 0;
}

static void heap_close(void *arena)
{
    (void)arena;
}

static const char *heap_check(void *arena)
{
    (void)arena;
    return NULL;
}

#define HEAP(id, the_library, the_alloc, the_free, the_malloc)                     \
    static struct heap id = {(the_library), (the_alloc), (the_free), (the_malloc), \
                             NULL,          NULL,        NULL};                    \
    static const char *id##_missing(void)                                          \
    {                                                                              \
        return heap_load(&(id));                                                   \
    }                                                                              \
    static void *id##_open(uint64_t frames, unsigned threads)                      \
    {                                                                              \
        (void)frames;                                                              \
        (void)threads;                                                             \
        return &(id);                                                              \
    }                                                                              \
    const struct allocator allocator_##id = {                                      \
        .name = #id,                                                               \
        .what = "4 KiB aligned to 4 KiB, by " the_library,                         \
        .missing = id##_missing,                                                   \
        .open = id##_open,                                                         \
        .close = heap_close,                                                       \
        .alloc = heap_alloc,                                                       \
        .free = heap_free,                                                         \
        .object_alloc = heap_object_alloc,                                         \
        .object_free = heap_object_free,                                           \
        .check = heap_check,                                                       \
        .heap = true,                                                              \
    }

HEAP(mimalloc, "libmimalloc.so.2", "mi_malloc_aligned", "mi_free", "mi_malloc");
HEAP(jemalloc, "libjemalloc.so.2", "aligned_alloc", "free", "malloc");
HEAP(tcmalloc, "libtcmalloc_minimal.so.4", "tc_memalign", "tc_free", "tc_malloc");

/* The program's own malloc. */
static void *glibc_open(uint64_t frames, unsigned threads)
{
    static struct heap glibc;

    (void)frames;
    (void)threads;
    glibc.malloc = malloc;
    glibc.free = free;
    return &glibc;
}

const struct allocator allocator_glibc = {
    .name = "glibc",
    .what = "objects, by malloc",
    .open = glibc_open,
    .close = heap_close,
    .object_alloc = heap_object_alloc,
    .object_free = heap_object_free,
    .check = heap_check,
    .heap = true,
};
