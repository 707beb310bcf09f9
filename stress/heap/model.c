/* SPDX-License-Identifier: MIT
 *
 * model.c - random calls against a naive model: a list of the objects in use, each with its bytes,
 * its class or length, and a pattern of its own from its first byte to its last. After every call
 * the answer is what the model says; an object that overlaps another, or that a call moved or
 * changed, has lost its pattern. Some calls are wrong on purpose, and some times the machine
 * refuses. Now and then the figures are compared with the list.
 *
 *     heap_model [SEED [CALLS]]
 */
#include "rig.h"
#include "stress/common/assert.h"
#include "stress/common/random.h"
#include "stress/common/sanitized.h"

#include <stdlib.h>
#include <string.h>

enum { OBJECTS = 1500, BULK = 20, COMPARE_EVERY = 512 };

struct object {
    unsigned char *at;
    size_t bytes; /* usable */
    unsigned char pattern;
};

static struct object objects[OBJECTS];
static size_t count;
static struct rig rig;
static uint64_t state_of_random, seed = 1, calls = ONE_THREAD(40000, 6000), call;

static uint64_t draw(uint64_t bound)
{
    return random_below(&state_of_random, bound);
}

#define expect(good)                                                               \
    do {                                                                           \
        if (!(good))                                                               \
            fail_msg("%s (seed %llu, call %llu)", #good, (unsigned long long)seed, \
                     (unsigned long long)call);                                    \
    } while (0)

/* Mostly small, now and then a run. */
static size_t draw_bytes(void)
{
    uint64_t kind = draw(64);

    if (kind == 0)
        return (size_t)draw(200000) + 1;
    if (kind < 8)
        return (size_t)draw(QUIRE_HEAP_SLAB_MOST) + 1;
    return (size_t)draw(kind < 40 ? 128 : 1024) + 1;
}

static void look(const struct object *o)
{
    expect(o->at[0] == o->pattern && o->at[o->bytes - 1] == o->pattern);
    expect(o->at[o->bytes / 2] == o->pattern && o->at[o->bytes / 3] == o->pattern);
}

static void add(void *at, size_t bytes)
{
    struct object *o = &objects[count++];

    o->at = at;
    expect(quire_heap_usable(&rig.heap, at, &o->bytes) == 0 && o->bytes >= bytes);
    o->pattern = (unsigned char)draw(256);
    memset(at, o->pattern, o->bytes);
}

static void take_out(size_t i)
{
    look(&objects[i]);
    objects[i] = objects[--count];
}

static void ask(void)
{
    struct quire_heap_request request = {draw_bytes(), 0, 0, {0}};
    unsigned char *p;
    void *at;
    int error;

    if (draw(4) == 0)
        request.align = (size_t)1 << draw(13);
    if (draw(4) == 0)
        request.near_node = quire_near_of(quire_node_of((uint32_t)draw(RIG_NODES)));
    if (draw(8) == 0)
        request.flags = QUIRE_ZEROED;
    error = quire_heap_request(&rig.heap, &request, &at);
    expect(error == 0 || (rig_grants == 0 && error == QUIRE_ERR_NO_MEMORY));
    if (error)
        return;
    p = at;
    expect(request.align == 0 || (uintptr_t)p % request.align == 0);
    expect(!(request.flags & QUIRE_ZEROED) || (p[0] == 0 && p[request.bytes - 1] == 0));
    add(at, request.bytes);
}

static void ask_bulk(void)
{
    struct quire_heap_request request = {draw_bytes(), 0, 0, {0}};
    void *at[BULK];
    size_t n = (size_t)draw(BULK) + 1;
    int error = quire_heap_alloc_bulk(&rig.heap, &request, n, at);

    expect(error == 0 || (rig_grants == 0 && error == QUIRE_ERR_NO_MEMORY));
    for (size_t i = 0; i < n && !error; i++)
        add(at[i], request.bytes);
}

static void give(void)
{
    size_t i = (size_t)draw(count), bytes;
    unsigned char *at = objects[i].at;
    bool run = objects[i].bytes > QUIRE_HEAP_SLAB_MOST;
    int error;

    take_out(i);
    expect(quire_heap_free(&rig.heap, at) == 0);
    error = quire_heap_usable(&rig.heap, at, &bytes);
    expect(error == QUIRE_ERR_FRAME || (!run && error == QUIRE_ERR_DOUBLE_FREE));
    expect(quire_heap_free(&rig.heap, at) == error);
}

static void give_bulk(void)
{
    void *at[BULK];
    size_t n = (size_t)draw(BULK) + 1, bad = BULK;

    if (n > count)
        n = count;
    for (size_t i = 0; i < n; i++)
        at[i] = objects[count - 1 - i].at;
    if (draw(4) == 0) {
        bad = (size_t)draw(n);
        at[bad] = (char *)at[bad] + 1;
        n = bad + 1;
        expect(quire_heap_free_bulk(&rig.heap, at, n, &bad) == QUIRE_ERR_ALIGN && bad == n - 1);
        return;
    }
    for (size_t i = 0; i < n; i++)
        take_out(count - 1);
    expect(quire_heap_free_bulk(&rig.heap, at, n, &bad) == 0 && bad == BULK);
}

static void resize(void)
{
    size_t i = (size_t)draw(count), bytes = draw_bytes(), both;
    struct object *o = &objects[i];
    void *at = o->at;
    int error = quire_heap_resize(&rig.heap, bytes, 0, &at);

    expect(error == 0 || (rig_grants == 0 && error == QUIRE_ERR_NO_MEMORY && at == o->at));
    if (error)
        return;
    both = bytes < o->bytes ? bytes : o->bytes;
    for (size_t k = 0; k < both; k++)
        expect(((unsigned char *)at)[k] == o->pattern);
    objects[i] = objects[--count];
    add(at, bytes);
}

static void wrong(void)
{
    const struct object *o = &objects[draw(count)];

    expect(quire_heap_free(&rig.heap, o->at + 1 + draw(o->bytes - 1)) == QUIRE_ERR_ALIGN);
    look(o);
}

static void compare(void)
{
    struct quire_heap_stats runs;
    uint64_t used = rig_used(&rig);

    expect(quire_heap_run_stats(&rig.heap, quire_node_of(QUIRE_NO_NODE), &runs) == 0);
    expect(used + runs.used == count);
    for (size_t i = 0; i < count; i++)
        look(&objects[i]);
}

/* As many calls give as take, so that the number of objects wanders; in phases one or the other. */
static void step(void)
{
    uint64_t kind = draw(32), phase = call / 2000 % 2;

    rig_cpu = (uint32_t)draw(RIG_NODES * RIG_CPUS);
    rig_grants = draw(64) == 0 ? 0 : UINT32_MAX;
    if (kind < 12 + 4 * phase) {
        if (count < OBJECTS - BULK)
            ask();
    } else if (kind < 17 + phase && count < OBJECTS - BULK) {
        ask_bulk();
    } else if (count > 0) {
        if (kind < 27)
            give();
        else if (kind < 28)
            give_bulk();
        else if (kind < 30)
            resize();
        else
            wrong();
    }
    if (draw(256) == 0)
        (void)quire_heap_trim(&rig.heap);
    if (call % COMPARE_EVERY == 0)
        compare();
}

static void against_the_model(void **state)
{
    (void)state;
    state_of_random = seed;
    rig_open(&rig);
    for (call = 0; call < calls; call++)
        step();
    compare();
    while (count > 0) {
        void *at = objects[count - 1].at;

        take_out(count - 1);
        expect(quire_heap_free(&rig.heap, at) == 0);
    }
    rig_close(&rig);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(against_the_model)};

    if (argc > 1)
        seed = strtoull(argv[1], NULL, 0);
    if (argc > 2)
        calls = strtoull(argv[2], NULL, 0);
    return cmocka_run_group_tests_name("heap_model", tests, NULL, NULL);
}
