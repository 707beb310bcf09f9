/* SPDX-License-Identifier: MIT
 *
 * heap.c - objects on real memory: storms on all CPUs, in timer interrupts and NMIs too; objects
 * that other nodes free; the end of the heap's share, and the way back; a tag at its quota beside
 * others; leaks and a write behind the end, on purpose, and what is said of them.
 *
 * The storm is one of the kernel's own heap and one of a heap that is made for the suite, which
 * tracks, has red zones, poison, a quarantine, a share and a reserve. Each object has a pattern at
 * its first and last byte. An object is passed on by an exchange with a slot of a table.
 */
#include "suite.h"

#include "apic.h"
#include "cpu.h"
#include "kernel-port/kernel/clock.h"
#include "kernel-port/kernel/console.h"
#include "kernel-port/kernel/heap.h"
#include "kernel-port/kernel/lib/panic.h"
#include "kernel-port/kernel/lib/random.h"
#include "kernel-port/kernel/lib/text.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/kernel/work.h"
#include "kernel-port/tests/tap.h"
#include "kernel-port/tests/zone_audit.h"
#include "trap.h"
#include "x86.h"

enum {
    HELD = 40,
    CONTEXTS = 3, /* thread, timer, NMI */
    TABLE = 64,
    TIMER_HZ = 1000,
    LATE_US = 100000,
    SHARE = 3072, /* frames */
    RESERVE = 4,
    QUOTA = 65536,
    LEAKS = 7,
    HOLDERS = 32,
};
enum { NMI = 2 };

struct held {
    unsigned char *at;
    uint32_t bytes;
};

/* One CPU's; each context has its own objects. */
struct state {
    struct held held[CONTEXTS][HELD];
    random random[CONTEXTS];
    uint64_t calls[CONTEXTS], wrong;
} __attribute__((aligned(64)));

static struct state states[CPUS_MAX];
static struct quire_heap *heap, watched;
static unsigned char *table[TABLE]; /* atomic */
static uint64_t duration, refused[CPUS_MAX], served[CPUS_MAX];
static uint32_t attackers, others;

/* ---- The storm ----------------------------------------------------------------------------- */

static void give(struct state *s, struct held *held)
{
    uint32_t bytes = held->bytes;
    unsigned char *p = held->at;

    held->at = NULL;
    s->wrong += p[0] != (unsigned char)bytes || p[bytes - 1] != (unsigned char)bytes;
    s->wrong += quire_heap_free(heap, p) != QUIRE_OK;
}

static void step(unsigned context)
{
    struct state *s = &states[cpu_id()];
    random *r = &s->random[context];
    struct held *held = &s->held[context][random_below(r, HELD)];
    uint32_t bytes = 1 + random_below(r, random_below(r, 16) ? 600 : 20000);
    void *object;

    s->calls[context]++;
    if (held->at) {
        give(s, held);
        return;
    }
    if (quire_heap_alloc(heap, bytes, context == NMI ? QUIRE_NO_CALLBACK : 0, &object))
        return;
    *held = (struct held){object, bytes};
    held->at[0] = held->at[bytes - 1] = (unsigned char)bytes;
}

static void on_timer(void)
{
    if (this_cpu()->timer_ticks % 2)
        apic_nmi(this_cpu()->apic_id); /* in the middle of what comes now */
    step(1);
}

static void on_nmi(void)
{
    step(NMI);
}

static void storm(void *argument)
{
    uint64_t start;

    (void)argument;
    work_meet();
    start = rdtsc();
    clock_tick(TIMER_HZ);
    for (uint64_t i = 0; rdtsc() - start < duration; i++) {
        step(0);
        if (i % 4096 == 0)
            (void)quire_heap_trim(heap);
    }
    clock_quiet();
}

static void test_storm(const struct options *options, const char *what)
{
    uint64_t calls[CONTEXTS] = {0}, wrong = 0;

    for (uint32_t i = 0; i < cpu_count; i++) {
        states[i] = (struct state){.wrong = 0};
        for (unsigned k = 0; k < CONTEXTS; k++)
            states[i].random[k] = random_from(options->seed, i * CONTEXTS + k);
    }
    trap_on_timer(on_timer);
    trap_on_nmi(on_nmi);
    work_on_all(storm, NULL);
    clock_wait_us(LATE_US); /* a last one may still be on its way */
    trap_on_timer(NULL);
    trap_on_nmi(NULL);
    for (uint32_t i = 0; i < cpu_count; i++) {
        wrong += states[i].wrong;
        for (unsigned k = 0; k < CONTEXTS; k++) {
            calls[k] += states[i].calls[k];
            for (unsigned at = 0; at < HELD; at++)
                if (states[i].held[k][at].at)
                    give(&states[i], &states[i].held[k][at]);
        }
    }
    tap_note("%s: %lu calls in threads, %lu in timer interrupts, %lu in NMIs", what, calls[0],
             calls[1], calls[2]);
    tap(calls[0] > 0 && calls[1] > 0 && calls[2] > 0, "%s: every context allocates", what);
    tap_equal(wrong, 0, "objects that had two owners, or were not freed");
}

/* ---- From hand to hand --------------------------------------------------------------------- */

static void pass(void *argument)
{
    random r = random_from(7, cpu_id());
    uint64_t start, wrong = 0;

    (void)argument;
    work_meet();
    for (start = rdtsc(); rdtsc() - start < duration / 4;) {
        unsigned char *mine = NULL, *p;
        void *object;

        if (random_below(&r, 2) && !quire_heap_alloc(heap, 200, 0, &object)) {
            mine = object;
            memset(mine, 0x5a, 200);
        }
        p = __atomic_exchange_n(&table[random_below(&r, TABLE)], mine, __ATOMIC_ACQ_REL);
        wrong += p && (p[0] != 0x5a || p[199] != 0x5a || quire_heap_free(heap, p) != QUIRE_OK);
        served[cpu_id()] += p != NULL;
    }
    states[cpu_id()].wrong = wrong;
}

static void test_hands(void)
{
    uint64_t wrong = 0, passed = 0;

    memset(served, 0, sizeof served);
    work_on_all(pass, NULL);
    for (unsigned i = 0; i < TABLE; i++)
        if (table[i])
            (void)quire_heap_free(heap, table[i]);
    memset(table, 0, sizeof table);
    for (uint32_t i = 0; i < cpu_count; i++) {
        wrong += states[i].wrong;
        passed += served[i];
    }
    tap_note("%lu objects from hand to hand", passed);
    tap(passed > 0 && wrong == 0, "objects are freed by CPUs of all nodes");
}

/* ---- What frames are for ------------------------------------------------------------------- */

/* All that allocated and freed, on whatever CPU and in whatever context, was counted once. */
static void test_count(void)
{
    struct quire_heap_totals totals, more = {0};

    (void)quire_heap_totals(&kernel_heap, &totals);
    if (heap == &watched)
        (void)quire_heap_totals(&watched, &more);
    tap_equal((uint64_t)quire_kinds_frames(&memory_kinds, QUIRE_KIND_SLAB),
              totals.frames + more.frames, "frames of slabs, by kind");
}

static void test_wrong_kind(void)
{
    int64_t frames[QUIRE_KINDS];
    struct quire_fault fault = {0};
    quire_pfn pfn;
    bool good;

    if (memory_alloc(0, 0, QUIRE_KIND_BUFFER, &pfn) || memory_free(pfn, 0, QUIRE_KIND_STACK))
        panic("suite heap: no frame");
    good =
        quire_kinds_report(&memory_kinds, memory.up.machine, frames, &fault) == QUIRE_ERR_DAMAGED &&
        fault.where == QUIRE_KIND_STACK && fault.found == 1;
    tap(good, "a frame that is freed as another kind's is told");
    quire_kinds_count(&memory_kinds, QUIRE_KIND_STACK, 1);
    quire_kinds_count(&memory_kinds, QUIRE_KIND_BUFFER, -1);
}

/* ---- Exhaustion ---------------------------------------------------------------------------- */

/* Take until the share ends; what was taken is linked by its first words. */
static void exhaust(void *argument)
{
    void **list = NULL, *object;
    uint32_t id = cpu_id();
    int error;

    (void)argument;
    work_meet();
    while (!(error = quire_heap_alloc(heap, 4000, 0, &object))) {
        *(void **)object = list;
        list = object;
        served[id]++;
    }
    states[id].wrong = error != QUIRE_ERR_LIMIT;
    work_meet();
    if (id == 0) { /* nobody has anything left to give */
        states[id].wrong += quire_heap_alloc(heap, 4000, 0, &object) == QUIRE_OK;
        states[id].wrong += quire_heap_alloc(heap, 4000, QUIRE_EMERGENCY, &object) != QUIRE_OK ||
                            quire_heap_free(heap, object) != QUIRE_OK;
    }
    work_meet();
    while (list) {
        object = list;
        list = *list;
        states[id].wrong += quire_heap_free(heap, object) != QUIRE_OK;
    }
}

static void test_exhaustion(void)
{
    struct quire_heap_totals totals;
    uint64_t wrong = 0, taken = 0;
    void *object;

    memset(served, 0, sizeof served);
    work_on_all(exhaust, NULL);
    for (uint32_t i = 0; i < cpu_count; i++) {
        wrong += states[i].wrong;
        taken += served[i];
    }
    (void)quire_heap_totals(heap, &totals);
    tap_note("%lu objects of 4000 bytes in a share of %u frames, %lu at most in use", taken,
             (unsigned)SHARE, totals.peak);
    tap(taken > 0 && totals.peak <= SHARE && totals.refusals > 0, "the share is never exceeded");
    tap_equal(wrong, 0, "calls that went wrong at the end of the share, one of an emergency");
    tap(!quire_heap_alloc(heap, 30000, 0, &object) && !quire_heap_free(heap, object),
        "and there is memory again afterwards");
    (void)quire_heap_trim(heap);
    (void)quire_heap_totals(heap, &totals);
    tap_equal(totals.reserve, RESERVE, "runs in the reserve");
    tap_equal(totals.frames, RESERVE * 8, "frames that the heap has, those of the reserve alone");
}

/* ---- Quotas -------------------------------------------------------------------------------- */

static void attack(void *argument)
{
    uint32_t id = cpu_id(), tag = id % 2 || cpu_count == 1 ? attackers : others;
    random r = random_from(9, id);
    uint64_t start, wrong = 0;
    void *objects[HELD];

    (void)argument;
    work_meet();
    for (start = rdtsc(); rdtsc() - start < duration / 4;) {
        uint32_t n = 0, bytes = 1 + random_below(&r, 4000);
        int error = QUIRE_OK;

        while (n < HELD && !error)
            error = quire_heap_alloc(heap, bytes, quire_heap_tag_flag(tag), &objects[n++]);
        n -= error != QUIRE_OK;
        refused[id] += error != QUIRE_OK;
        wrong += error && (error != QUIRE_ERR_LIMIT || tag != attackers);
        while (n)
            wrong += quire_heap_free(heap, objects[--n]) != QUIRE_OK;
    }
    states[id].wrong = wrong;
}

static void test_quotas(void)
{
    struct quire_heap_tag_stats stats;
    uint64_t wrong = 0, times = 0;

    memset(refused, 0, sizeof refused);
    work_on_all(attack, NULL);
    for (uint32_t i = 0; i < cpu_count; i++) {
        wrong += states[i].wrong;
        times += refused[i];
    }
    (void)quire_heap_tag_stats(heap, attackers, &stats);
    tap_note("%s: %lu refusals, %lu of %lu bytes at most", stats.name, stats.refusals, stats.peak,
             stats.quota);
    tap(times > 0 && stats.refusals == times && stats.peak <= QUOTA,
        "who is at its quota is refused, and never has more");
    tap_equal(wrong, 0, "refusals of others");
    tap_equal(stats.bytes + stats.objects, 0, "bytes and objects of the tag afterwards");
}

/* ---- Bugs on purpose ----------------------------------------------------------------------- */

__attribute__((noinline)) static void *leaky_driver(const struct quire_heap_cache *cache)
{
    void *object = NULL;

    (void)quire_heap_cache_alloc(cache, quire_heap_tag_flag(others), (quire_near){0}, &object);
    return object;
}

static bool named(uint64_t address, const char *name)
{
    uint64_t offset;
    const char *found = symbol_of(address, &offset);

    return text_equal(found, text_length(found), name);
}

static void test_leaks(void)
{
    struct quire_heap_cache_config config = {.name = "buffers", .bytes = 300};
    struct quire_holder holders_table[HOLDERS];
    struct quire_holders holders = {
        .table = holders_table, .size = HOLDERS, .tag = QUIRE_ANY_TAG, .before = rdtsc()};
    struct quire_heap_cache cache;
    void *leaks[LEAKS];
    uint64_t leaked = 0;
    bool found;

    if (quire_heap_cache_create(heap, &config, &cache))
        panic("suite heap: no object cache");
    for (unsigned i = 0; i < LEAKS; i++)
        leaks[i] = leaky_driver(&cache);
    tap(quire_heap_cache_destroy(&cache, &leaked) == QUIRE_ERR_BUSY && leaked == LEAKS,
        "an object cache with leaks does not end, and tells how many");
    (void)quire_heap_cache_walk(&cache, quire_holders_add, &holders);
    tap_equal(holders.count, 0, "leaks from before they were made");
    holders.before = 0;
    (void)quire_heap_cache_walk(&cache, quire_holders_add, &holders);
    quire_holders_sort(&holders);
    heap_print_holders(&holders);
    found = holders.count == 1 && holders_table[0].holdings == LEAKS &&
            named(holders_table[0].caller, "leaky_driver");
    tap(found, "the leaks are told, with the function that made them");
    for (unsigned i = 0; i < LEAKS; i++)
        (void)quire_heap_cache_free(&cache, leaks[i]);
    tap(!quire_heap_cache_destroy(&cache, &leaked), "without them it ends");
}

static unsigned findings;
static struct quire_heap_finding last;

static void note_finding(void *ctx, const struct quire_heap_finding *finding)
{
    heap_config().port.report(ctx, finding);
    findings++;
    last = *finding;
}

__attribute__((noinline)) static unsigned char *careless_driver(void)
{
    unsigned char *p;
    void *object;

    if (quire_heap_alloc(heap, 50, quire_heap_tag_flag(others), &object))
        panic("suite heap: no object");
    p = object;
    p[50] = 1;
    return p;
}

static void test_findings(void)
{
    unsigned char *p;

    tap_equal(findings, 0, "findings in all that");
    p = careless_driver();
    tap(!quire_heap_free(heap, p) && findings == 1 && last.kind == QUIRE_HEAP_RED_ZONE &&
            last.offset == 50 && named(last.caller, "careless_driver"),
        "a write behind the end is told");
    p[3] = 1;
    (void)quire_heap_trim(heap);
    tap(findings == 2 && last.kind == QUIRE_HEAP_POISON && last.offset == 3,
        "a write after the free is told");
    tap(quire_heap_free(heap, p + 1) && findings == 3 && last.kind == QUIRE_HEAP_BAD_FREE,
        "a free of what is none is told");
}

/* ---- The suite ----------------------------------------------------------------------------- */

static void *build(size_t *bytes)
{
    struct quire_heap_config config = heap_config();
    struct quire_heap_tag_config tag = {.name = "attackers", .quota = QUOTA};
    void *room;

    config.tags = 2;
    config.options = QUIRE_HEAP_DEBUG;
    config.quarantine = 64;
    config.reserve = RESERVE;
    config.share = SHARE;
    config.port.report = note_finding;
    if (quire_heap_size(&config, bytes))
        panic("suite heap: its size");
    room = memory_take(*bytes, quire_node_of(0));
    zone_audit_begin();
    watched = (struct quire_heap){0};
    if (quire_heap_init(&watched, &config, room, *bytes) ||
        quire_heap_tag_create(&watched, &tag, &attackers))
        panic("suite heap: no heap");
    tag = (struct quire_heap_tag_config){.name = "others"};
    (void)quire_heap_tag_create(&watched, &tag, &others);
    return room;
}

/* What the kernel itself has, by tag. */
static void note_tags(void)
{
    for (uint32_t tag = 1; tag <= HEAP_TAGS; tag++) {
        struct quire_heap_tag_stats stats;

        if (!quire_heap_tag_stats(&kernel_heap, tag, &stats))
            tap_note("the kernel has %lu %s, %lu bytes, %lu at most", stats.objects, stats.name,
                     stats.bytes, stats.peak);
    }
}

void suite_heap(const struct options *options)
{
    struct quire_heap_totals totals;
    size_t bytes;
    void *room;

    duration = options->seconds * clock_tsc_hz();
    heap = &kernel_heap;
    note_tags();
    (void)quire_heap_trim(heap);
    zone_audit_begin();
    test_storm(options, "the kernel's heap");
    test_hands();
    test_count();
    (void)quire_heap_trim(heap);
    zone_audit_end("the kernel's heap");
    room = build(&bytes);
    heap = &watched;
    findings = 0;
    test_storm(options, "a heap that looks for bugs");
    test_hands();
    test_count();
    test_exhaustion();
    test_quotas();
    test_leaks();
    test_findings();
    (void)quire_heap_trim(heap);
    (void)quire_heap_totals(heap, &totals);
    tap_equal(totals.frames, RESERVE * 8, "frames that the heap has in the end");
    test_count();
    test_wrong_kind();
    tap_equal(quire_heap_unreserve(heap), RESERVE, "runs of the reserve that go");
    zone_audit_end("a heap that looks for bugs");
    memory_give_back(room, bytes);
}
