/* SPDX-License-Identifier: MIT
 *
 * test_flat.c - however often topologies change and zones come and go, the machine's memory does
 * not grow without bound: caches that were closed serve again. It looks inside, to be late.
 */
#include "stress/numa/machine/unit.h"

#include "numa/machine/machine.h"
#include "stress/common/random.h"

#include <stdlib.h>
#include <string.h>

static struct rig rig;
static struct quire_topology t;

enum {
    TIMES = 1000,
    MOST_CACHES = 4 + 12, /* Y5 of zone_caches.c: four made to measure, then each twice as large */
};

static void open_two(struct rig *r, uint32_t cpus)
{
    rig_begin(r, 2, cpus);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 64 * BLOCK);
    (void)rig_zone(r, 1, QUIRE_ZONE_NORMAL, 0, 64 * BLOCK);
    rig_open(r);
    t = r->topology;
}

/* Use CPU's cache: a frame goes into it and comes out as a hit. */
static void use(struct rig *r, uint32_t cpu)
{
    uint64_t pfn;

    rig_cpu = cpu;
    pfn = take(r, 0, 0);
    assert_int_equal(node_of(r, pfn), t.cpu_node[cpu]);
    give(r, pfn, 0);
    assert_int_equal(take(r, 0, 0), pfn);
    give(r, pfn, 0);
}

static struct zone_cache *zone_cache_of(struct rig *r, uint32_t cpu)
{
    const struct cpu_view *view =
        (const struct cpu_view *)(uintptr_t)qa_load(&r->machine->cpu_views[cpu], relaxed);

    return (struct zone_cache *)(uintptr_t)view->cache; /* its first member */
}

/* Two topologies in turns: after both were there once, nothing is added. */
static void alternation(void **unused)
{
    struct rig *r = &rig;
    uint64_t bytes = 0, given = 0, counts[2] = {0};
    uint32_t pieces = 0;

    (void)unused;
    open_two(r, 4);
    for (uint32_t i = 0; i < TIMES; i++) {
        t.cpu_node[1] ^= 1;
        t.cpu_node[6] ^= 1;
        assert_ok(quire_machine_set_topology(r->machine, &t));
        for (uint32_t cpu = 0; cpu < 8; cpu++)
            use(r, cpu);
        given += 16;
        if (i == 1) {
            bytes = r->memory_bytes;
            pieces = r->piece_count;
        }
        assert_true(i < 1 || r->memory_bytes == bytes);
        assert_true(i < 1 || r->piece_count == pieces);
    }
    for (uint32_t n = 0; n < 2; n++) {
        counts[0] += rig_stats(r, n).counts[QUIRE_NODE_HIT];
        counts[1] += rig_stats(r, n).counts[QUIRE_NODE_LOCAL];
        assert_true(rig_stats(r, n).cached > 0);
    }
    assert_int_equal(counts[0], given); /* whatever closes, its hits are not forgotten */
    assert_int_equal(counts[1], given);
    rig_close(r);
}

static uint32_t caches_of(struct rig *r, uint32_t zone)
{
    const struct machine_snapshot *s = qi_machine_snapshot(r->machine);
    uint32_t n = 0;

    for (const struct zone_cache *h = s->entries[zone].zone->zone_caches; h; h = h->next)
        n++;
    return n;
}

/* Many topologies of which none has the caches for another one, then any: a zone has a bounded
 * number of them. */
static void any_topologies(void **unused)
{
    uint64_t random = 1, bytes = 0;
    struct rig *r = &rig;

    (void)unused;
    open_two(r, 20);
    for (uint32_t i = 0; i < 2 * TIMES; i++) {
        for (uint32_t cpu = 0; cpu < 40; cpu++)
            t.cpu_node[cpu] = i < TIMES ? cpu - i % 36 < 5 : (uint32_t)random_below(&random, 2);
        assert_ok(quire_machine_set_topology(r->machine, &t));
        use(r, (uint32_t)random_below(&random, 40));
        bytes = i == TIMES ? r->memory_bytes : bytes;
    }
    assert_int_equal(r->memory_bytes, bytes);
    assert_in_range(caches_of(r, 0), 4, MOST_CACHES);
    assert_in_range(caches_of(r, 1), 4, MOST_CACHES);
    rig_close(r);
}

/* A zone that leaves and comes back takes up its caches, wherever its metadata lies now. */
static void leaves_and_returns(void **unused)
{
    struct rig *r = &rig;
    uint64_t bytes = 0;
    void *old;

    (void)unused;
    open_two(r, 2);
    for (uint32_t i = 0; i < TIMES; i++) {
        use(r, 2);
        bytes = i == 0 ? r->memory_bytes : bytes;
        assert_ok(quire_machine_remove_zone(r->machine, &r->zones[1].zone));
        t.cpu_node[1] = i & 1; /* not all changes come when all zones are there */
        assert_ok(quire_machine_set_topology(r->machine, &t));
        old = i & 1 ? malloc(100000) : NULL; /* now here, now there */
        rig_rebuild_zone(r, 1);
        free(old);
        t.cpu_node[1] = 0;
        assert_ok(quire_machine_set_topology(r->machine, &t));
        assert_ok(quire_machine_add_zone(r->machine, &r->given[1], &r->spans[1], 1));
        use(r, 3);
        bytes = i == 1 ? r->memory_bytes : bytes;
        assert_true(i < 1 || r->memory_bytes == bytes);
    }
    rig_check(r, 0);
    rig_close(r);
}

/* One that is not the same gets caches of its own; without memory for it nothing is lost. */
static void returns_otherwise(void **unused)
{
    struct rig *r = &rig;
    uint64_t bytes, pfn;
    uint32_t smaller;

    (void)unused;
    rig_begin(r, 2, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 64 * BLOCK);
    (void)rig_zone(r, 1, QUIRE_ZONE_NORMAL, 0, 64 * BLOCK);
    smaller = rig_spare_zone(r, 1, QUIRE_ZONE_NORMAL, 0, 32 * BLOCK);
    rig_open(r);
    t = r->topology;
    use(r, 2);
    assert_ok(quire_machine_remove_zone(r->machine, &r->zones[1].zone));
    bytes = r->memory_bytes;
    assert_ok(quire_machine_add_zone(r->machine, &r->given[smaller], &r->spans[smaller], 1));
    use(r, 2);
    assert_true(r->memory_bytes > bytes);
    pfn = take(r, 0, 0);
    assert_in_range(pfn, rig_base(1), rig_base(1) + 32 * BLOCK - 1);
    give(r, pfn, 0);
    assert_ok(quire_machine_remove_zone(r->machine, &r->zones[smaller].zone));
    bytes = r->memory_bytes;
    for (r->refuse_memory = r->piece_count;
         quire_machine_add_zone(r->machine, &r->given[1], &r->spans[1], 1) != QUIRE_OK;
         r->refuse_memory++)
        assert_int_equal(r->memory_bytes, bytes);
    r->refuse_memory = 0;
    use(r, 3);
    rig_close(r);
}

/* Until a cache that serves again is published nobody brings it anything: it would be hidden from
 * the requests of the snapshot in force. */

static void *(*rig_memory)(void *ctx, size_t bytes, quire_node node);
static const struct zone_cache *late;
static uint64_t late_pfn;
static unsigned pushes, refused;

static void *come_late(void *ctx, size_t bytes, quire_node node)
{
    if (late) {
        pushes++;
        refused += !view_push_frame(view_of(&late->cache, 0), quire_pfn_of(late_pfn));
    }
    return rig_memory(ctx, bytes, node);
}

static void opened_late(void **unused)
{
    struct rig *r = &rig;
    struct zone_cache *first;

    (void)unused;
    rig_begin(r, 2, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 64 * BLOCK);
    (void)rig_zone(r, 1, QUIRE_ZONE_NORMAL, 0, 64 * BLOCK);
    rig_memory = r->config.port.memory;
    r->config.port.memory = come_late;
    rig_open(r);
    t = r->topology;
    rig_cpu = 0;
    late_pfn = take(r, 0, 0);
    first = zone_cache_of(r, 0);
    t.cpu_node[2] = 0;
    assert_ok(quire_machine_set_topology(r->machine, &t));
    assert_ptr_not_equal(zone_cache_of(r, 0), first);
    t.cpu_node[2] = 1;
    t.cpu_id[4] = 4; /* a line is made for it, when all caches have been found */
    t.cpu_node[t.cpu_count++] = 1;
    late = first;
    assert_ok(quire_machine_set_topology(r->machine, &t));
    late = NULL;
    assert_ptr_equal(zone_cache_of(r, 0), first);
    assert_true(pushes > 3);
    assert_int_equal(refused, pushes);
    rig_cpu = 0;
    assert_true(view_push_frame(view_of(&first->cache, 0), quire_pfn_of(late_pfn))); /* open now */
    assert_int_equal(take(r, 0, 0), late_pfn);
    give(r, late_pfn, 0);
    rig_close(r);
}

/* Nor does a new one take anything so early: the CPUs' views name it before the snapshot does, and
 * the one who publishes may stop in between. */
static void made_closed(void **unused)
{
    const struct machine_snapshot *now;
    struct machine_snapshot *made;
    struct rig *r = &rig;
    uint64_t pfn;

    (void)unused;
    open_two(r, 2);
    rig_cpu = 0;
    pfn = take(r, 0, 0);
    now = qi_machine_snapshot(r->machine);
    t.cpu_node[2] = 0;
    assert_true(qi_machine_lock(r->machine)); /* we are the writer */
    assert_ok(qi_snapshot_make(r->machine, &t, now->entries, now->entry_count, now->spans,
                               now->span_count, &made));
    assert_ptr_not_equal(made->entries[0].zone_cache, zone_cache_of(r, 0));
    assert_false(
        view_push_frame(view_of(&made->entries[0].zone_cache->cache, 0), quire_pfn_of(pfn)));
    qi_snapshot_discard(r->machine, made);
    qi_machine_unlock(r->machine);
    assert_ok(quire_machine_set_topology(r->machine, &t));
    assert_true(view_push_frame(machine_view_of(r->machine, rig_cpu), quire_pfn_of(pfn)));
    rig_close(r);
}

/* ---- A zone of another shape ---------------------------------------------------------------- */

enum { PIECES = 64 };

static void *pieces[PIECES]; /* what the port gave and has not got back, and holes */
static unsigned piece_count;

struct shape {
    struct quire_zone zone;
    struct quire_run usable[2];
    struct quire_pfnmap_span spans[2];
    void *metadata;
};

static uint32_t first_cpu(void *ctx)
{
    (void)ctx;
    return 0;
}

static void *give_memory(void *ctx, size_t bytes, quire_node node)
{
    void *memory = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);

    (void)ctx;
    (void)node;
    assert_non_null(memory);
    assert_true(piece_count < PIECES);
    pieces[piece_count++] = memory;
    return memset(memory, 0, bytes);
}

static void take_memory(void *ctx, void *memory, size_t bytes, quire_node node)
{
    (void)ctx;
    (void)bytes;
    (void)node;
    for (unsigned i = 0; i < piece_count; i++)
        if (pieces[i] == memory)
            pieces[i] = NULL;
    free(memory);
}

/* Two sections from `first` on, and the second half of another one. */
static void shape_build(struct shape *s, uint64_t first, uint64_t other, uint32_t number)
{
    struct quire_zone_config config = {.type = QUIRE_ZONE_NORMAL,
                                       .slots = 2,
                                       .usable = s->usable,
                                       .usable_count = 2,
                                       .metadata_zeroed = true};
    size_t bytes;

    s->usable[0] = (struct quire_run){quire_pfn_of(first * SECTION), 2 * SECTION};
    s->usable[1] = (struct quire_run){quire_pfn_of(other * SECTION + SECTION / 2), SECTION / 2};
    for (unsigned i = 0; i < 2; i++)
        s->spans[i] = (struct quire_pfnmap_span){s->usable[i], number};
    assert_ok(quire_zone_metadata_size(&config, &bytes));
    s->metadata = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    assert_non_null(s->metadata);
    memset(s->metadata, 0, bytes);
    assert_ok(quire_zone_init(&s->zone, &config, s->metadata, bytes));
}

/* A hit may have asked the view of the zone that left whether it is of one stretch, and pop from it
 * when another one has its place: so that is of one stretch, too, or has caches of its own. */
static void returns_in_two_stretches(void **unused)
{
    static struct shape whole, two;
    struct quire_machine_zone zone = {.zone = &whole.zone}, again = {.zone = &two.zone};
    struct quire_topology topology;
    struct quire_machine *m;
    struct quire_machine_config config = {
        .topology = &topology,
        .zones = &zone,
        .zone_count = 1,
        .spans = whole.spans,
        .span_count = 2,
        .rounds = QUIRE_CACHE_SIZE_AUTO,
        .mode = QUIRE_CACHE_EXCHANGE,
        .port = {.cpu = first_cpu, .memory = give_memory, .give_back = take_memory}};
    const struct cpu_view *view;
    size_t bytes;
    void *memory;

    (void)unused;
    quire_topology_init(&topology);
    assert_ok(quire_topology_add_node(&topology, 0, &again.node));
    assert_ok(quire_topology_add_cpu(&topology, 0, again.node));
    assert_ok(
        quire_topology_add_memory(&topology, 0, 1ull << 45, again.node, QUIRE_MEMORY_ORDINARY));
    zone.node = again.node;
    shape_build(&whole, 10, 12, 0);
    shape_build(&two, 10, 20, 0);
    assert_ok(quire_machine_size(&config, &bytes));
    memory = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    assert_ok(quire_machine_init(&config, memory, bytes, &m));
    view = machine_view_of(m, 0);
    assert_true(view->kind & VIEW_ONE_STRETCH);
    assert_ok(quire_machine_remove_zone(m, &whole.zone));
    assert_ok(quire_machine_add_zone(m, &again, two.spans, 2));
    assert_true(view->kind & VIEW_ONE_STRETCH);
    assert_true(machine_view_of(m, 0) != view);
    assert_false(machine_view_of(m, 0)->kind & VIEW_ONE_STRETCH);
    for (unsigned i = 0; i < piece_count; i++)
        free(pieces[i]);
    free(memory);
    free(two.metadata);
    free(whole.metadata);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alternation),
        cmocka_unit_test(any_topologies),
        cmocka_unit_test(leaves_and_returns),
        cmocka_unit_test(returns_otherwise),
        cmocka_unit_test(opened_late),
        cmocka_unit_test(made_closed),
        cmocka_unit_test(returns_in_two_stretches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
