/* SPDX-License-Identifier: MIT
 *
 * test_heap.c - each call of the heap: what it gives, what it refuses and how, and that a refusal
 * changes nothing; slabs come and go.
 */
#include "rig.h"
#include "stress/common/assert.h"
#include "stress/common/sanitized.h"

#include <stdlib.h>
#include <string.h>
#if ADDRESS_SANITIZED
#include <sanitizer/asan_interface.h>
#endif

enum { FRAME = QUIRE_FRAME_SIZE, MOST = QUIRE_HEAP_SLAB_MOST };

static struct rig rig;

static void give(void *object)
{
    assert_ok(quire_heap_free(&rig.heap, object));
}

static size_t usable(const void *object)
{
    size_t bytes = 0;

    assert_ok(quire_heap_usable(&rig.heap, object, &bytes));
    return bytes;
}

/* ---- Setting up ---------------------------------------------------------------------------- */

static void set_up_once(void **state)
{
    struct quire_heap unborn = {0};
    struct quire_heap_cache cache = {0};
    struct quire_heap_stats stats;
    size_t bytes;
    void *p = &p;

    (void)state;
    assert_error(quire_heap_init(&rig.heap, &rig.config, rig.room, rig.bytes),
                 QUIRE_ERR_INITIALISED);
    assert_error(quire_heap_alloc(&unborn, 8, 0, &p), QUIRE_ERR_STATE);
    assert_error(quire_heap_alloc_bulk(&unborn, &(struct quire_heap_request){8, 0, 0, {0}}, 1, &p),
                 QUIRE_ERR_STATE);
    assert_error(quire_heap_free(&unborn, p), QUIRE_ERR_STATE);
    assert_error(quire_heap_free_bulk(&unborn, &p, 1, NULL), QUIRE_ERR_STATE);
    assert_error(quire_heap_usable(&unborn, p, &bytes), QUIRE_ERR_STATE);
    assert_error(quire_heap_resize(&unborn, 8, 0, &p), QUIRE_ERR_STATE);
    assert_error(quire_heap_stats(&unborn, 0, quire_node_of(0), &stats), QUIRE_ERR_STATE);
    assert_error(quire_heap_run_stats(&unborn, quire_node_of(0), &stats), QUIRE_ERR_STATE);
    assert_error(quire_heap_cache_create(
                     &unborn, &(struct quire_heap_cache_config){.name = "x", .bytes = 8}, &cache),
                 QUIRE_ERR_STATE);
    assert_error(quire_heap_cache_alloc(&cache, 0, (quire_near){0}, &p), QUIRE_ERR_STATE);
    assert_int_equal(quire_heap_trim(&unborn), 0);
    assert_ptr_equal(p, &p);
}

static void bad_configurations(void **state)
{
    const struct quire_run run = {{512}, 1024}, overlap[2] = {{{512}, 1024}, {{1535}, 1}};
    const struct quire_run beyond[2] = {{{512}, 1024}, {{UINT64_C(1) << 40}, 1}};
    const struct quire_run apart[2] = {{{512}, 1024}, {{(UINT64_C(1) << 40) - 1}, 1}};
    struct quire_heap_config c = rig.config;
    struct quire_heap heap = {0};
    size_t bytes, more;

    (void)state;
    c.run_count = 0;
    assert_error(quire_heap_size(&c, &bytes), QUIRE_ERR_SIZE);
    c.runs = overlap;
    c.run_count = 2;
    assert_error(quire_heap_size(&c, &bytes), QUIRE_ERR_ALIGN);
    c.runs = beyond;
    assert_error(quire_heap_size(&c, &bytes), QUIRE_ERR_SIZE);
    c.runs = apart;
    c.slabs = 100;
    assert_ok(quire_heap_size(&c, &more)); /* 16 bytes for a GiB in between */
    c.runs = &run;
    c.run_count = 1;
    assert_ok(quire_heap_size(&c, &bytes));
    assert_true(more - bytes >= ((UINT64_C(1) << 22) - 1) * 16);
    assert_error(quire_heap_init(&heap, &c, rig.room, bytes - 1), QUIRE_ERR_SIZE);
    assert_error(quire_heap_init(&heap, &c, (char *)rig.room + 8, bytes), QUIRE_ERR_ALIGN);
    c.nodes = QUIRE_NODES + 1;
    assert_error(quire_heap_size(&c, &bytes), QUIRE_ERR_SIZE);
    c.nodes = 0;
    c.cpus = QUIRE_CPUS + 1;
    assert_error(quire_heap_size(&c, &bytes), QUIRE_ERR_SIZE);
    c.cpus = 0;
    c.caches = QUIRE_HEAP_CACHES + 1;
    assert_error(quire_heap_size(&c, &bytes), QUIRE_ERR_SIZE);
    c.caches = 0;
    c.slabs = 1 << 24;
    assert_error(quire_heap_size(&c, &bytes), QUIRE_ERR_SIZE);
    c.slabs = 0;
    c.port.reach.open = (void *(*)(void *, quire_pfn))(uintptr_t)1;
    assert_error(quire_heap_init(&heap, &c, rig.room, rig.bytes), QUIRE_ERR_UNSUPPORTED);
    assert_null(heap.state);
    assert_int_equal(heap.once, 0);
}

/* ---- Objects ------------------------------------------------------------------------------- */

/* Every size: enough, not much more, aligned, nobody else's. */
static void every_size(void **state)
{
    (void)state;
    for (size_t bytes = 1; bytes <= MOST + FRAME; bytes += bytes < 1024 ? 1 : 61) {
        unsigned char *a = rig_alloc(&rig, bytes), *b = rig_alloc(&rig, bytes);
        size_t have = usable(a);

        assert_true(have >= bytes);
        assert_true(have < bytes + 16 || have - bytes <= bytes / 5 || bytes > 4096);
        assert_int_equal((uintptr_t)a % 16, 0);
        if ((bytes & (bytes - 1)) == 0 && bytes > 16)
            assert_int_equal((uintptr_t)a % bytes, 0);
        memset(a, 1, have);
        memset(b, 2, have);
        assert_int_equal(a[0] + a[have - 1], 2);
        give(a);
        give(b);
    }
}

static void runs_of_frames(void **state)
{
    struct quire_heap_stats stats;
    unsigned char *p = rig_alloc(&rig, MOST + 1), *q = rig_alloc(&rig, 3 << 20);

    (void)state;
    assert_int_equal(usable(p), 2 * MOST);
    assert_int_equal(usable(q), 4 << 20);
    assert_int_equal((uintptr_t)p % FRAME, 0);
    memset(q, 7, 4 << 20);
    assert_ok(quire_heap_run_stats(&rig.heap, quire_node_of(0), &stats));
    assert_int_equal(stats.used, 2);
    assert_int_equal(stats.frames, 8 + 1024);
    assert_error(quire_heap_free(&rig.heap, q + FRAME), QUIRE_ERR_ALIGN);
    assert_error(quire_heap_free(&rig.heap, q + (4 << 20) - FRAME), QUIRE_ERR_ALIGN);
    assert_error(quire_heap_free(&rig.heap, q + 1), QUIRE_ERR_ALIGN);
    give(q);
    assert_error(quire_heap_free(&rig.heap, q), QUIRE_ERR_FRAME);
    give(p);
}

static void alignments(void **state)
{
    (void)state;
    for (size_t align = 1; align <= 1 << 20; align *= 2) {
        for (size_t bytes = 1; bytes <= 8 * MOST; bytes = bytes * 5 / 3 + 1) {
            struct quire_heap_request request = {bytes, align, 0, {0}};
            void *object;

            assert_ok(quire_heap_request(&rig.heap, &request, &object));
            assert_int_equal((uintptr_t)(object) % align % (1 << 21), 0);
            assert_true(usable(object) >= bytes);
            give(object);
        }
    }
}

static void zeroed(void **state)
{
    unsigned char *p;
    size_t sizes[] = {100, 40000};
    void *object;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        p = rig_alloc(&rig, sizes[i]);
        memset(p, 0xff, sizes[i]);
        give(p);
        assert_ok(quire_heap_alloc(&rig.heap, sizes[i], QUIRE_ZEROED, &object));
        p = object;
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(p[k], 0);
        give(p);
    }
}

static void resized(void **state)
{
    void *object = rig_alloc(&rig, 100), *before;

    (void)state;
    memset(object, 0x5a, 100);
    before = object;
    assert_ok(quire_heap_resize(&rig.heap, 112, 0, &object));
    assert_ptr_equal(object, before);
    assert_ok(quire_heap_resize(&rig.heap, 60000, 0, &object));
    assert_int_equal(usable(object), 65536);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(((unsigned char *)object)[i], 0x5a);
    assert_error(quire_heap_free(&rig.heap, before), QUIRE_ERR_DOUBLE_FREE);
    assert_ok(quire_heap_resize(&rig.heap, 16, 0, &object));
    assert_int_equal(usable(object), 16);
    assert_int_equal(((unsigned char *)object)[15], 0x5a);
    before = object;
    assert_error(quire_heap_resize(&rig.heap, 0, 0, &object), QUIRE_ERR_SIZE);
    assert_error(quire_heap_resize(&rig.heap, SIZE_MAX, 0, &object), QUIRE_ERR_SIZE);
    assert_error(quire_heap_resize(&rig.heap, 32, QUIRE_ZEROED, &object), QUIRE_ERR_UNSUPPORTED);
    assert_ptr_equal(object, before);
    give(object);
    assert_error(quire_heap_resize(&rig.heap, 32, 0, &object), QUIRE_ERR_DOUBLE_FREE);
}

static void *freed_by_rival;

static void free_as_rival(void)
{
    give(freed_by_rival);
#if ADDRESS_SANITIZED /* which would be right: the resizing reads a freed object */
    __asan_unpoison_memory_region(freed_by_rival, 64);
#endif
}

/* An object that somebody frees in the middle of its resizing: that is told, and changes nothing.
 */
static void resized_and_freed(void **state)
{
    void *object = rig_alloc(&rig, 64), *old = object;

    (void)state;
    freed_by_rival = object;
    rig_rival = free_as_rival;
    assert_error(quire_heap_resize(&rig.heap, 100000, 0, &object), QUIRE_ERR_DOUBLE_FREE);
    assert_ptr_equal(object, old);
    assert_int_equal(rig_used(&rig), 0);
}

static void bad_requests(void **state)
{
    struct quire_heap_request request = {64, 48, 0, {0}};
    void *object = &request;

    (void)state;
    assert_error(quire_heap_alloc(&rig.heap, 0, 0, &object), QUIRE_ERR_SIZE);
    assert_error(quire_heap_alloc(&rig.heap, SIZE_MAX, 0, &object), QUIRE_ERR_SIZE);
    assert_error(quire_heap_alloc(&rig.heap, 64, QUIRE_MOVABLE, &object), QUIRE_ERR_UNSUPPORTED);
    assert_error(quire_heap_alloc(&rig.heap, 64, QUIRE_PARTIAL, &object), QUIRE_ERR_UNSUPPORTED);
    assert_error(quire_heap_alloc_array(&rig.heap, SIZE_MAX / 8 + 2, 8, 0, &object),
                 QUIRE_ERR_SIZE);
    assert_error(quire_heap_alloc_array(&rig.heap, 0, 8, 0, &object), QUIRE_ERR_SIZE);
    assert_error(quire_heap_request(&rig.heap, &request, &object), QUIRE_ERR_ALIGN);
    request.align = SIZE_MAX / 2 + 1;
    assert_error(quire_heap_request(&rig.heap, &request, &object), QUIRE_ERR_SIZE);
    request.align = 0;
    request.near_node = quire_near_of(quire_node_of(RIG_NODES));
    assert_error(quire_heap_request(&rig.heap, &request, &object), QUIRE_ERR_NODE);
    assert_error(quire_heap_alloc_bulk(&rig.heap, &request, 0, &object), QUIRE_ERR_SIZE);
    assert_ptr_equal(object, &request);
    assert_int_equal(rig_slabs(&rig), 0);
    assert_ok(quire_heap_alloc_array(&rig.heap, 5, 7, 0, &object));
    assert_int_equal(usable(object), 48);
    give(object);
}

static void bad_pointers(void **state)
{
    unsigned char *p = rig_alloc(&rig, 96), *q = rig_alloc(&rig, 96);
    unsigned char *page = (unsigned char *)((uintptr_t)p & ~(uintptr_t)(FRAME - 1));
    quire_pfn pfn;
    size_t bytes;

    (void)state;
    assert_error(quire_heap_free(&rig.heap, NULL), QUIRE_ERR_FRAME);
    assert_error(quire_heap_free(&rig.heap, &p), QUIRE_ERR_FRAME);
    assert_error(quire_heap_free(&rig.heap, rig.memory - 1), QUIRE_ERR_FRAME);
    assert_error(quire_heap_free(&rig.heap, rig.memory + RIG_MEMORY), QUIRE_ERR_FRAME);
    assert_error(quire_heap_free(&rig.heap, (void *)UINTPTR_MAX), QUIRE_ERR_FRAME);
    for (unsigned i = 1; i < 96; i++)
        assert_error(quire_heap_free(&rig.heap, p + i), QUIRE_ERR_ALIGN);
    assert_error(quire_heap_free(&rig.heap, page + 42 * 96), QUIRE_ERR_ALIGN); /* of 42 */
    assert_error(quire_heap_usable(&rig.heap, p + 1, &bytes), QUIRE_ERR_ALIGN);
    assert_ok(quire_machine_alloc(rig.bringup.machine, 0, 0, &pfn));
    assert_error(quire_heap_free(&rig.heap, rig.memory + quire_phys(pfn)), QUIRE_ERR_FRAME);
    assert_ok(quire_machine_free(rig.bringup.machine, pfn, 0));
    give(p);
    assert_error(quire_heap_free(&rig.heap, p), QUIRE_ERR_DOUBLE_FREE);
    assert_error(quire_heap_usable(&rig.heap, p, &bytes), QUIRE_ERR_DOUBLE_FREE);
    assert_int_equal(rig_used(&rig), 1);
    give(q);
    assert_error(quire_heap_free(&rig.heap, q), QUIRE_ERR_DOUBLE_FREE);
    (void)quire_heap_trim(&rig.heap);
    assert_error(quire_heap_free(&rig.heap, q), QUIRE_ERR_FRAME);
}

static void bulks(void **state)
{
    struct quire_heap_request request = {200, 0, 0, {0}};
    void *objects[100], *twice[3];
    size_t bad = 77;

    (void)state;
    assert_ok(quire_heap_alloc_bulk(&rig.heap, &request, 100, objects));
    assert_int_equal(rig_used(&rig), 100);
    twice[0] = objects[0];
    twice[1] = objects[1];
    twice[2] = (char *)objects[2] + 8;
    assert_error(quire_heap_free_bulk(&rig.heap, twice, 3, &bad), QUIRE_ERR_ALIGN);
    assert_int_equal(bad, 2);
    assert_int_equal(rig_used(&rig), 100);
    twice[2] = objects[0];
    assert_error(quire_heap_free_bulk(&rig.heap, twice, 3, &bad), QUIRE_ERR_DOUBLE_FREE);
    assert_int_equal(bad, 2);
    assert_int_equal(rig_used(&rig), 98);
    assert_error(quire_heap_free_bulk(&rig.heap, objects, 100, &bad), QUIRE_ERR_DOUBLE_FREE);
    assert_int_equal(bad, 0);
    assert_int_equal(rig_used(&rig), 98);
    assert_ok(quire_heap_free_bulk(&rig.heap, objects + 2, 98, &bad));
    assert_error(quire_heap_free_bulk(&rig.heap, objects, 0, &bad), QUIRE_ERR_SIZE);
}

/* ---- Slabs come and go --------------------------------------------------------------------- */

static void empty_slabs_go(void **state)
{
    static void *objects[64 * 20];
    uint32_t number = rig_class(&rig, 64);
    uint64_t left, slabs;

    (void)state;
    for (unsigned i = 0; i < 64 * 20; i++)
        objects[i] = rig_alloc(&rig, 64);
    assert_int_equal(rig_stats(&rig, number, 0).slabs, 20);
    assert_int_equal(rig_stats(&rig, number, 0).frames, 20);
    assert_int_equal(rig_stats(&rig, number, 0).used, 64 * 20);
    assert_int_equal(rig_stats(&rig, number, 1).slabs, 0);
    for (unsigned i = 0; i < 64 * 20; i++)
        give(objects[i]);
    slabs = rig_stats(&rig, number, 0).slabs;
    assert_true(slabs == 1 || rig_rounds != QUIRE_HEAP_NO_MAGAZINES);
    /* A full magazine has objects of up to RIG_ROUNDS / 64 + 1, and one more is kept. */
    assert_true(slabs >= 1 && slabs <= RIG_ROUNDS / 64 + 2);
    left = rig_free_frames(&rig);
    assert_int_equal(left, rig.free_start - slabs);
    assert_int_equal(quire_heap_trim(&rig.heap), slabs);
    assert_int_equal(rig_stats(&rig, number, 0).slabs, 0);
}

/* At the border of a slab nothing comes and goes. */
static void no_slab_to_and_fro(void **state)
{
    void *objects[64];

    (void)state;
    for (unsigned i = 0; i < 64; i++)
        objects[i] = rig_alloc(&rig, 64);
    rig_grants = 1;
    rig_requests = 0;
    for (unsigned i = 0; i < 100; i++)
        give(rig_alloc(&rig, 64));
    assert_int_equal(rig_requests, 1);
    for (unsigned i = 0; i < 64; i++)
        give(objects[i]);
}

/* Where a request says, whoever asks; who says nothing gets what is near. */
static void nodes(void **state)
{
    struct quire_heap_request request = {64, 0, 0, {0}};
    void *object;

    (void)state;
    if (rig_mode != QUIRE_CACHE_EXCHANGE)
        return; /* the kernel says which CPU it is */
    for (uint32_t cpu = 0; cpu < RIG_NODES * RIG_CPUS; cpu++) {
        rig_cpu = cpu;
        for (uint32_t node = 0; node < RIG_NODES; node++) {
            for (request.bytes = 64; request.bytes < 100000; request.bytes *= 20) {
                request.near_node = quire_near_of(quire_node_of(node));
                assert_ok(quire_heap_request(&rig.heap, &request, &object));
                assert_int_equal(rig_node_of(&rig, object), node);
                give(object);
            }
        }
        object = rig_alloc(&rig, 64);
        assert_int_equal(rig_node_of(&rig, object), cpu / RIG_CPUS);
        give(object);
    }
}

/* An emergency has a free object of the reserve also where another node asked first; with tags, the
 * record of an object of its own slab. None of it is a refusal of the reserve's classes. */
static void an_emergency_of_another_node(void **state)
{
    void *held[2];

    (void)state;
    for (uint32_t tags = 0; tags < 2; tags++) {
        rig_extras.tags = tags;
        rig_extras.reserve = 1 + 2 * tags;
        rig_open(&rig);
        rig_extras.tags = rig_extras.reserve = 0;
        rig_grants = 0;
        for (unsigned i = 0; i < 2; i++) {
            rig_cpu = i * RIG_CPUS;
            assert_ok(quire_heap_alloc(&rig.heap, 128U << i * tags, QUIRE_EMERGENCY, &held[i]));
        }
        rig_cpu = 0;
        for (uint32_t i = QUIRE_HEAP_CLASSES + RIG_CACHES; i < QUIRE_HEAP_CLASSES + RIG_CACHES + 8;
             i++)
            assert_int_equal(rig_stats(&rig, i, QUIRE_NO_NODE).refusals, 0);
        give(held[0]);
        give(held[1]);
        rig_close(&rig);
    }
}

/* So many bytes are of the smallest class that has them: who asks for all that an object has gets
 * one that is as large; and aligned requests, of a class of multiples of the alignment. */
static void smallest_class(void **state)
{
    size_t last = 0;

    (void)state;
    for (size_t bytes = 1; bytes <= MOST; bytes++) {
        void *object = rig_alloc(&rig, bytes), *whole;
        size_t has = usable(object);

        assert_true(has >= bytes && has >= last && has % 16 == 0);
        if (has > last && last > 0)
            assert_int_equal(bytes, last + 1);
        if (has > last) {
            whole = rig_alloc(&rig, has);
            assert_int_equal(usable(whole), has);
            give(whole);
        }
        last = has;
        give(object);
    }
    for (size_t bytes = 40; bytes <= MOST; bytes += 40) {
        struct quire_heap_request request = {bytes, 64, 0, {0}};
        void *object;

        assert_ok(quire_heap_request(&rig.heap, &request, &object));
        assert_int_equal((uintptr_t)object % 64, 0);
        assert_true(bytes <= 1024 || bytes > 4096 || usable(object) - bytes <= bytes / 6);
        give(object);
    }
}

/* A CPU's active slab gives its free objects to another CPU before that one is refused. */
static void last_look(void **state)
{
    void *a = rig_alloc(&rig, 16384), *b, *c;
    uint32_t number = 63;

    (void)state;
    rig_grants = 0;
    rig_cpu = 1;
    assert_ok(quire_heap_alloc(&rig.heap, 16384, 0, &b));
    assert_error(quire_heap_alloc(&rig.heap, 16384, 0, &c), QUIRE_ERR_NO_MEMORY);
    assert_int_equal(rig_stats(&rig, number, 0).refusals, 1);
    give(b);
    assert_ok(quire_heap_alloc(&rig.heap, 16384, 0, &c));
    assert_ptr_equal(b, c);
    give(c);
    give(a);
}

/* Another CPU of the node gets what one CPU's slabs have free only while more than LEFT of them are
 * listed, so that few lines of marks are both's; before it is refused it gets all. */
static void slabs_keep_to_their_cpu(void **state)
{
    enum { SLABS = 6, LISTED = SLABS - 1, LEFT = 2 };
    void *kept[SLABS], *freed[SLABS], *other[2 * SLABS], *object;
    unsigned n = 0, again = 0;

    (void)state;
    if (rig_mode != QUIRE_CACHE_EXCHANGE) /* the CPU is not told by the rig */
        return;
    for (unsigned i = 0; i < SLABS; i++) { /* two of a slab */
        freed[i] = rig_alloc(&rig, 16384);
        kept[i] = rig_alloc(&rig, 16384);
    }
    for (unsigned i = 0; i < SLABS; i++)
        give(freed[i]);
    assert_int_equal(quire_heap_trim(&rig.heap), 0);
    rig_cpu = 1;
    while (n < 3 * SLABS / 2) { /* some of them, then objects of new slabs */
        other[n] = rig_alloc(&rig, 16384);
        again += rig_is_one_of(other[n++], freed, SLABS);
    }
    assert_int_equal(again, LISTED - LEFT);
    rig_grants = 0;
    while (quire_heap_alloc(&rig.heap, 16384, 0, &object) == 0) {
        assert_true(n < 2 * SLABS);
        assert_true(rig_is_one_of(object, freed, SLABS));
        other[n++] = object;
    }
    assert_int_equal(n, 2 * SLABS);
    while (n > 0)
        give(other[--n]);
    for (unsigned i = 0; i < SLABS; i++)
        give(kept[i]);
}

/* Memory that only empty slabs have is given back before anybody is refused. */
static void trim_before_refusal(void **state)
{
    void **runs = calloc(RIG_MEMORY / 32768, sizeof *runs), *object;
    size_t n = 0;

    (void)state;
    give(rig_alloc(&rig, 5000));
    rig_cpu = 2; /* its slab's node is the other one */
    while (quire_heap_alloc(&rig.heap, 32768, 0, &runs[n]) == 0)
        n++;
    assert_true(n > 1000);
    assert_int_equal(rig_slabs(&rig), 0);
    give(runs[--n]);
    object = rig_alloc(&rig, 5000);
    give(object);
    assert_ok(quire_heap_alloc(&rig.heap, 32768, 0, &runs[n++]));
    while (n-- > 0)
        give(runs[n]);
    free(runs);
}

/* As many slabs as were allowed. */
static void bounded(void **state)
{
    void *objects[3];

    (void)state;
    rig_machine(&rig);
    rig.config.slabs = 1;
    rig_heap(&rig);
    objects[0] = rig_alloc(&rig, 16384);
    objects[1] = rig_alloc(&rig, 16384);
    assert_error(quire_heap_alloc(&rig.heap, 16384, 0, &objects[2]), QUIRE_ERR_FULL);
    objects[2] = rig_alloc(&rig, 16385);
    for (unsigned i = 0; i < 3; i++)
        give(objects[i]);
    rig_close(&rig);
}

/* The only descriptor is that of a slab that went back, and is what a CPU takes from still. */
static void dead_active(void **state)
{
    void *object;

    (void)state;
    rig_machine(&rig);
    rig.config.slabs = 1;
    rig_heap(&rig);
    for (uint32_t cpu = 0; cpu < RIG_CPUS; cpu++) {
        rig_cpu = cpu;
        object = rig_alloc(&rig, 64);
        give(object);
        assert_int_equal(quire_heap_trim(&rig.heap), 1);
    }
    rig_cpu = 0;
    give(rig_alloc(&rig, 64));
    rig_close(&rig);
}

/* The descriptor that is left is that of a slab that went back, listed for another CPU. */
static void dead_elsewhere(void **state)
{
    void *objects[4], *object;

    (void)state;
    rig_machine(&rig);
    rig.config.slabs = 2;
    rig_heap(&rig);
    for (unsigned i = 0; i < 4; i++)
        objects[i] = rig_alloc(&rig, 16384); /* two of a slab */
    give(objects[0]);
    give(objects[1]);
    assert_int_equal(quire_heap_trim(&rig.heap), 8);
    rig_cpu = 1;
    object = rig_alloc(&rig, 16384);
    rig_cpu = 0;
    give(object);
    give(objects[2]);
    give(objects[3]);
    rig_close(&rig);
}

/* Descriptors of slabs that went are found wherever these were listed, also by classes that come
 * later: those of one CPU, and some more, are enough. */
static void dead_of_others(void **state)
{
    enum { SLABS = 16, MORE = 4, CLASSES = 3, OBJECTS = SLABS * 64 };
    static void *objects[OBJECTS];

    (void)state;
    rig_machine(&rig);
    rig.config.slabs = CLASSES * (SLABS + MORE);
    rig_heap(&rig);
    for (unsigned bytes = 64; bytes < 64U << CLASSES; bytes *= 2)
        for (rig_cpu = 0; rig_cpu < RIG_CPUS; rig_cpu++) {
            unsigned n = OBJECTS * 64 / bytes;

            for (unsigned i = 0; i < n; i++)
                objects[i] = rig_alloc(&rig, bytes);
            for (unsigned i = 0; i < n; i++)
                give(objects[i]);
            (void)quire_heap_trim(&rig.heap);
        }
    rig_cpu = 0;
    rig_close(&rig);
}

/* The machine gives a frame that the heap was not told of. */
static void frames_out_of_reach(void **state)
{
    void *object = NULL;

    (void)state;
    rig_machine(&rig);
    rig.runs[0].frames = 1;
    rig.config.run_count = 1;
    rig_heap(&rig);
    assert_error(quire_heap_alloc(&rig.heap, 64, 0, &object), QUIRE_ERR_FRAME);
    assert_error(quire_heap_alloc(&rig.heap, 20000, 0, &object), QUIRE_ERR_FRAME);
    rig_close(&rig);
}

/* Every request of the heap's to the machine refused in turn. */
static void each_refused(void **state)
{
    struct quire_heap_request request = {3000, 0, 0, {0}};
    void *objects[40];
    uint32_t grants = 0;
    int error = QUIRE_ERR_NO_MEMORY;

    (void)state;
    rig_refusal = QUIRE_ERR_ZONE;
    for (; error; grants++) {
        (void)quire_heap_trim(&rig.heap);
        rig_grants = grants;
        error = quire_heap_alloc_bulk(&rig.heap, &request, 40, objects);
        assert_int_equal(error, grants < 4 ? QUIRE_ERR_ZONE : 0);
        assert_int_equal(rig_used(&rig), error ? 0 : 40);
    }
    rig_grants = 0;
    assert_error(quire_heap_resize(&rig.heap, 50000, 0, &objects[0]), QUIRE_ERR_ZONE);
    assert_int_equal(usable(objects[0]), 3264); /* a tenth of 32 KiB, in lines */
    rig_refusal = QUIRE_ERR_NO_MEMORY;
    assert_ok(quire_heap_free_bulk(&rig.heap, objects, 40, NULL));
}

/* ---- Object caches ------------------------------------------------------------------------- */

static unsigned constructed;

static void construct(void *ctx, void *object)
{
    constructed++;
    memcpy(object, ctx, 8);
}

static void object_caches(void **state)
{
    char text[8] = "as made";
    struct quire_heap_cache_config config = {
        .name = "inode", .bytes = 200, .align = 64, .construct = construct, .ctx = text};
    struct quire_heap_cache inode, other, third;
    void *a, *b, *c = &c;
    uint64_t leaked = 99;

    (void)state;
    constructed = 0;
    assert_ok(quire_heap_cache_create(&rig.heap, &config, &inode));
    config.bytes = 16;
    config.align = 0;
    config.construct = NULL;
    assert_ok(quire_heap_cache_create(&rig.heap, &config, &other));
    assert_error(quire_heap_cache_create(&rig.heap, &config, &third), QUIRE_ERR_FULL);
    assert_ok(quire_heap_cache_alloc(&inode, 0, (quire_near){0}, &a));
    assert_int_equal(constructed, 16);
    assert_int_equal((uintptr_t)a % 64, 0);
    assert_int_equal(usable(a), 256);
    assert_string_equal(a, text);
    memset(text, 0, 8);
    assert_ok(quire_heap_cache_alloc(&inode, 0, quire_near_of(quire_node_of(1)), &b));
    assert_int_equal(rig_node_of(&rig, b), 1);
    assert_error(quire_heap_cache_alloc(&inode, QUIRE_ZEROED, (quire_near){0}, &c),
                 QUIRE_ERR_UNSUPPORTED);
    assert_error(quire_heap_cache_alloc(&inode, 0, quire_near_of(quire_node_of(2)), &c),
                 QUIRE_ERR_NODE);
    assert_ptr_equal(c, &c);
    assert_ok(quire_heap_cache_alloc(&other, QUIRE_ZEROED, (quire_near){0}, &c));
    assert_error(quire_heap_cache_free(&inode, c), QUIRE_ERR_FRAME);
    assert_error(quire_heap_resize(&rig.heap, 8, 0, &c), QUIRE_ERR_UNSUPPORTED);
    assert_string_equal(rig_stats(&rig, inode.number, QUIRE_NO_NODE).name, "inode");
    assert_error(quire_heap_cache_destroy(&inode, &leaked), QUIRE_ERR_BUSY);
    assert_int_equal(leaked, 2);
    assert_ok(quire_heap_cache_free(&inode, a));
    assert_error(quire_heap_cache_free(&inode, a), QUIRE_ERR_DOUBLE_FREE);
    give(b);
    assert_ok(quire_heap_cache_destroy(&inode, &leaked));
    assert_int_equal(leaked, 0);
    assert_error(quire_heap_cache_destroy(&inode, &leaked), QUIRE_ERR_STATE);
    assert_error(quire_heap_cache_alloc(&inode, 0, (quire_near){0}, &a), QUIRE_ERR_STATE);
    assert_error(quire_heap_cache_free(&inode, a), QUIRE_ERR_STATE);
    assert_ok(quire_heap_cache_create(&rig.heap, &config, &third));
    assert_ok(quire_heap_cache_alloc(&third, 0, (quire_near){0}, &a));
    assert_int_equal(usable(a), 16);
    give(a);
    give(c);
    assert_ok(quire_heap_cache_destroy(&third, &leaked));
    assert_ok(quire_heap_cache_destroy(&other, &leaked));
    config.align = 24;
    assert_error(quire_heap_cache_create(&rig.heap, &config, &third), QUIRE_ERR_ALIGN);
    config.align = 8192;
    assert_error(quire_heap_cache_create(&rig.heap, &config, &third), QUIRE_ERR_ALIGN);
    config.align = 0;
    config.bytes = 0;
    assert_error(quire_heap_cache_create(&rig.heap, &config, &third), QUIRE_ERR_SIZE);
    config.bytes = MOST + 1;
    assert_error(quire_heap_cache_create(&rig.heap, &config, &third), QUIRE_ERR_SIZE);
}

IN_RIG(set_up_once)
IN_RIG(bad_configurations)
IN_RIG(every_size)
IN_RIG(runs_of_frames)
IN_RIG(alignments)
IN_RIG(zeroed)
IN_RIG(resized)
IN_RIG(resized_and_freed)
IN_RIG(bad_requests)
IN_RIG(bad_pointers)
IN_RIG(bulks)
IN_RIG(empty_slabs_go)
IN_RIG(no_slab_to_and_fro)
IN_RIG(nodes)
IN_RIG(last_look)
IN_RIG(slabs_keep_to_their_cpu)
IN_RIG(smallest_class)
IN_RIG(trim_before_refusal)
IN_RIG(each_refused)
IN_RIG(object_caches)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_up_once_in_rig),
        cmocka_unit_test(bad_configurations_in_rig),
        cmocka_unit_test(every_size_in_rig),
        cmocka_unit_test(runs_of_frames_in_rig),
        cmocka_unit_test(alignments_in_rig),
        cmocka_unit_test(zeroed_in_rig),
        cmocka_unit_test(resized_in_rig),
        cmocka_unit_test(resized_and_freed_in_rig),
        cmocka_unit_test(bad_requests_in_rig),
        cmocka_unit_test(bad_pointers_in_rig),
        cmocka_unit_test(bulks_in_rig),
        cmocka_unit_test(empty_slabs_go_in_rig),
        cmocka_unit_test(no_slab_to_and_fro_in_rig),
        cmocka_unit_test(nodes_in_rig),
        cmocka_unit_test(last_look_in_rig),
        cmocka_unit_test(slabs_keep_to_their_cpu_in_rig),
        cmocka_unit_test(smallest_class_in_rig),
        cmocka_unit_test(trim_before_refusal_in_rig),
        cmocka_unit_test(each_refused_in_rig),
        cmocka_unit_test(object_caches_in_rig),
        cmocka_unit_test(an_emergency_of_another_node),
        cmocka_unit_test(bounded),
        cmocka_unit_test(dead_active),
        cmocka_unit_test(dead_elsewhere),
        cmocka_unit_test(dead_of_others),
        cmocka_unit_test(frames_out_of_reach),
    };

    int failed = 0;

    for (unsigned i = 0; i < RIG_MODES; i++)
        failed += cmocka_run_group_tests_name(rig_mode_set(i), tests, NULL, NULL);
    return failed;
}
