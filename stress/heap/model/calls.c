/* SPDX-License-Identifier: MIT
 *
 * calls.c - see calls.h.
 */
#include "calls.h"

#include "stress/heap/rig.h"

#include "stress/common/assert.h"

#include <stdlib.h>
#include <string.h>

enum { OBJECTS = 1500, BULK = 20, COMPARE_EVERY = 512, TAGS = CALLS_TAGS, QUOTA = 60000 };

struct object {
    unsigned char *at;
    size_t bytes; /* usable */
    size_t asked;
    uint32_t tag;
    unsigned char pattern;
};

static struct object objects[OBJECTS];
static size_t count;
static struct rig rig;
static draw_number *draw_of_test;
static void *ctx_of_test;
static uint64_t call;

static uint64_t draw(uint64_t bound)
{
    return draw_of_test(ctx_of_test, bound);
}

#define expect(good)                                                     \
    do {                                                                 \
        if (!(good))                                                     \
            fail_msg("%s (call %llu)", #good, (unsigned long long)call); \
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

static struct quire_heap_tag_stats tag_stats(uint32_t tag)
{
    struct quire_heap_tag_stats stats;

    expect(quire_heap_tag_stats(&rig.heap, tag, &stats) == 0);
    return stats;
}

/* A tag for a request, tag 1 has the quota. */
static uint32_t draw_tag(void)
{
    return rig.config.tags ? (uint32_t)draw(TAGS + 1) : 0;
}

/* The answer to a request of n times so many bytes; if it was refused, rightly. */
static void judge(int error, uint32_t tag, size_t n, size_t bytes)
{
    struct quire_heap_tag_stats stats;

    if (error == QUIRE_ERR_LIMIT && tag == 1) {
        stats = tag_stats(1);
        expect(stats.bytes <= QUOTA && stats.bytes + n * 2 * (bytes + 64) > QUOTA);
        return;
    }
    expect(error == 0 || (rig_grants == 0 && error == QUIRE_ERR_NO_MEMORY));
}

static void add(void *at, size_t bytes, uint32_t tag)
{
    struct object *o = &objects[count++];

    o->asked = bytes;
    o->tag = tag;
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
    uint32_t tag = draw_tag();
    unsigned char *p;
    void *at;
    int error;

    if (draw(4) == 0)
        request.align = (size_t)1 << draw(13);
    if (draw(4) == 0)
        request.near_node = quire_near_of(quire_node_of((uint32_t)draw(RIG_NODES)));
    if (draw(8) == 0)
        request.flags = QUIRE_ZEROED;
    request.flags |= quire_heap_tag_flag(tag);
    error = quire_heap_request(&rig.heap, &request, &at);
    judge(error, tag, 1, request.bytes + request.align);
    if (error)
        return;
    p = at;
    expect(request.align == 0 || (uintptr_t)p % request.align == 0);
    expect(!(request.flags & QUIRE_ZEROED) || (p[0] == 0 && p[request.bytes - 1] == 0));
    add(at, request.bytes, tag);
}

static void ask_bulk(void)
{
    struct quire_heap_request request = {draw_bytes(), 0, 0, {0}};
    void *at[BULK];
    size_t n = (size_t)draw(BULK) + 1;
    uint32_t tag = draw_tag();
    int error;

    request.flags = quire_heap_tag_flag(tag);
    error = quire_heap_alloc_bulk(&rig.heap, &request, n, at);
    judge(error, tag, n, request.bytes);
    for (size_t i = 0; i < n && !error; i++)
        add(at[i], request.bytes, tag);
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
    expect(error == QUIRE_ERR_FRAME ||
           ((!run || rig.config.quarantine) && error == QUIRE_ERR_DOUBLE_FREE));
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
    uint32_t tag = draw_tag();
    void *at = o->at;
    int error = quire_heap_resize(&rig.heap, bytes, quire_heap_tag_flag(tag), &at);

    judge(error, tag, 1, bytes);
    expect(error == 0 || at == o->at);
    if (error)
        return;
    both = bytes < o->bytes ? bytes : o->bytes;
    for (size_t k = 0; k < both; k++)
        expect(((unsigned char *)at)[k] == o->pattern);
    objects[i] = objects[--count];
    add(at, bytes, tag);
}

/* ---- What is wrong ------------------------------------------------------------------------- */

static bool is_object(const void *at)
{
    for (size_t i = 0; i < count; i++)
        if (objects[i].at == at)
            return true;
    return false;
}

/* A pointer that is no object's: inside of one, into the heap's memory or its own data, behind it,
 * or anything. */
static unsigned char *draw_bad_pointer(void)
{
    const struct object *o = &objects[draw(count)];
    uintptr_t at = (uintptr_t)draw((uint64_t)1 << 32) << draw(32);

    switch (draw(5)) {
    case 0:
        return o->at + 1 + draw(o->bytes > 16 ? o->bytes - 1 : 15);
    case 1:
        return rig.memory + draw(RIG_MEMORY);
    case 2:
        return rig.memory + RIG_MEMORY + draw(1 << 20);
    case 3:
        return (unsigned char *)rig.room + draw(rig.bytes);
    default:
        return (unsigned char *)at;
    }
}

static bool is_refusal(int error)
{
    return error == QUIRE_ERR_ALIGN || error == QUIRE_ERR_FRAME || error == QUIRE_ERR_DOUBLE_FREE;
}

/* All calls that take a pointer refuse it, with one error. */
static void bad_pointer(void)
{
    unsigned char *bad = draw_bad_pointer();
    size_t bytes = 77, place = 0;
    void *at = bad;
    int error;

    if (is_object(bad))
        return;
    error = quire_heap_usable(&rig.heap, bad, &bytes);
    expect(is_refusal(error) && bytes == 77);
    expect(bad >= rig.memory && bad < rig.memory + RIG_MEMORY ? true : error == QUIRE_ERR_FRAME);
    expect(quire_heap_free(&rig.heap, bad) == error);
    expect(quire_heap_resize(&rig.heap, 50, 0, &at) == error && at == bad);
    expect(quire_heap_free_bulk(&rig.heap, &at, 1, &place) == error && place == 0);
}

/* A request that no heap can serve. */
static void bad_request(void)
{
    struct quire_heap_request request = {draw_bytes(), 0, 0, {0}};
    size_t huge = SIZE_MAX >> draw(SIZE_MAX > UINT32_MAX ? 20 : 2), n = (size_t)draw(1 << 16) + 2;
    void *at = &request;
    int error = 0, wanted = QUIRE_ERR_SIZE;

    switch (draw(6)) {
    case 0:
        request.bytes = 0;
        break;
    case 1:
        request.bytes = huge;
        break;
    case 2:
        request.align = (size_t)3 << draw(sizeof(size_t) * 8 - 1);
        wanted = QUIRE_ERR_ALIGN;
        break;
    case 3:
        request.near_node = quire_near_of(quire_node_of(RIG_NODES + (uint32_t)draw(1 << 20)));
        wanted = QUIRE_ERR_NODE;
        break;
    case 4:
        request.flags = (uint32_t)1 << (8 + draw(8));
        wanted = QUIRE_ERR_UNSUPPORTED;
        break;
    default:
        expect(quire_heap_alloc_array(&rig.heap, n, SIZE_MAX / n + 1, 0, &at) == QUIRE_ERR_SIZE);
        return;
    }
    error = quire_heap_request(&rig.heap, &request, &at);
    expect(error == wanted && at == &request);
}

static void wrong(void)
{
    if (draw(2))
        bad_request();
    else
        bad_pointer();
    look(&objects[draw(count)]);
}

/* ---- What is told of them ------------------------------------------------------------------ */

static int tell(void *ctx, const struct quire_holding *holding)
{
    struct quire_heap_tag_stats *sums = ctx;

    sums[holding->tag].objects++;
    sums[holding->tag].asked += holding->bytes;
    return 0;
}

/* What tags have, by the list, by their figures, and by the records. */
static void compare_tags(void)
{
    struct quire_heap_tag_stats list[TAGS + 1] = {{0}}, records[TAGS + 1] = {{0}}, figures;
    struct quire_run all = {{0}, UINT64_MAX};

    for (size_t i = 0; i < count; i++) {
        list[objects[i].tag].objects++;
        list[objects[i].tag].asked += objects[i].asked;
    }
    expect(quire_heap_walk(&rig.heap, all, tell, records) == 0);
    for (uint32_t tag = 0; tag <= TAGS; tag++) {
        figures = tag_stats(tag);
        expect(list[tag].objects == figures.objects && list[tag].asked == figures.asked);
        expect(list[tag].objects == records[tag].objects && list[tag].asked == records[tag].asked);
        expect(figures.bytes >= figures.asked && figures.peak >= figures.bytes);
        expect(tag != 1 || figures.peak <= QUOTA);
    }
}

static void compare(void)
{
    struct quire_heap_stats runs;
    uint64_t used = rig_used(&rig);

    expect(quire_heap_run_stats(&rig.heap, quire_node_of(QUIRE_NO_NODE), &runs) == 0);
    expect(used + runs.used >= count && used + runs.used <= count + rig.config.quarantine);
    if (rig.config.tags)
        compare_tags();
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

static void found(void *ctx, const struct quire_heap_finding *finding)
{
    char text[200];

    (void)ctx;
    if (finding->kind == QUIRE_HEAP_BAD_FREE || finding->kind == QUIRE_HEAP_DOUBLE_FREE)
        return; /* on purpose */
    (void)quire_heap_finding_text(finding, text, sizeof text);
    fail_msg("%s (call %llu)", text, (unsigned long long)call);
}

void calls_run(enum calls_watch watch, draw_number *draw_next, int (*more)(void *ctx), void *ctx)
{
    struct quire_heap_tag_config tag = {.name = "tag"};
    uint32_t number;

    draw_of_test = draw_next;
    ctx_of_test = ctx;
    memset(&rig_extras, 0, sizeof rig_extras);
    if (watch != CALLS_PLAIN)
        rig_extras.tags = TAGS;
    if (watch == CALLS_ALL) {
        rig_extras.options = QUIRE_HEAP_DEBUG;
        rig_extras.quarantine = 50;
        rig_extras.reserve = 2;
        rig_extras.port.report = found;
    }
    rig_open(&rig);
    for (uint32_t i = 0; i < rig.config.tags; i++) {
        tag.quota = i == 0 ? QUOTA : 0;
        expect(quire_heap_tag_create(&rig.heap, &tag, &number) == 0 && number == i + 1);
    }
    for (call = 0; more(ctx); call++)
        step();
    compare();
    while (count > 0) {
        void *at = objects[count - 1].at;

        take_out(count - 1);
        expect(quire_heap_free(&rig.heap, at) == 0);
    }
    rig_close(&rig);
    memset(&rig_extras, 0, sizeof rig_extras);
}
