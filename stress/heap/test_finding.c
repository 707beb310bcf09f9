/* SPDX-License-Identifier: MIT
 *
 * test_finding.c - each kind of bug that a heap can find, on purpose, and the line that is printed.
 */
#include "rig.h"
#include "stress/common/assert.h"

#include <stdio.h>
#include <string.h>

enum { LINE = 200, WAITING = 4 };

static struct rig rig;
static char line[LINE];
static unsigned findings;
static struct quire_heap_finding told;

static void keep(void *ctx, const struct quire_heap_finding *finding)
{
    (void)ctx;
    findings++;
    told = *finding;
    (void)quire_heap_finding_text(finding, line, sizeof line);
}

static void open_with(uint32_t options, uint32_t quarantine)
{
    rig_extras = (struct quire_heap_config){
        .tags = 1, .options = options, .quarantine = quarantine, .port.report = keep};
    rig_open(&rig);
    rig_extras = (struct quire_heap_config){.tags = 0};
    findings = 0;
    line[0] = '\0';
}

/* One finding, and this is its line; about `object`. */
static void expect_line(const char *before, const void *object, const char *behind)
{
    char expected[LINE];
    int n = snprintf(expected, sizeof expected, "%s%#llx%s", before,
                     (unsigned long long)(uintptr_t)object, behind);

    (void)snprintf(expected + n, sizeof expected - (size_t)n, ", allocated at %#llx",
                   (unsigned long long)told.caller);
    assert_string_equal(line, expected);
    assert_true(told.caller != 0);
    assert_int_equal(findings, 1);
    print_message("%s\n", line);
    findings = 0;
}

static void *take(size_t bytes, uint32_t flags)
{
    void *object = NULL;

    assert_ok(quire_heap_alloc(&rig.heap, bytes, flags, &object));
    return object;
}

/* Write where nobody may: AddressSanitizer, which the heap tells of it, does not look. */
__attribute__((noinline, no_sanitize("address"))) static void scribble(unsigned char *at,
                                                                       unsigned char value)
{
    *at = value;
}

static uint32_t driver(void)
{
    struct quire_heap_tag_config config = {.name = "driver"};
    uint32_t tag;

    assert_ok(quire_heap_tag_create(&rig.heap, &config, &tag));
    return quire_heap_tag_flag(tag);
}

static void written_behind_the_end(void **state)
{
    unsigned char *p;
    size_t usable;

    (void)state;
    open_with(QUIRE_HEAP_DEBUG, 0);
    p = take(24, driver());
    assert_ok(quire_heap_usable(&rig.heap, p, &usable));
    assert_int_equal(usable, 24);
    p[24] = 'A';
    assert_ok(quire_heap_free(&rig.heap, p));
    expect_line("heap: written behind the end: byte 24 is 0x41, not 0xbb; object ", p,
                " of 24 bytes, driver");
    p = take(20000, 0); /* a run, of 32 KiB */
    p[32767] = 0;
    assert_ok(quire_heap_free(&rig.heap, p));
    expect_line("heap: written behind the end: byte 32767 is 0x0, not 0xbb; object ", p,
                " of 20000 bytes");
    p = take(20000, 0);
    assert_ok(quire_heap_free(&rig.heap, p));
    assert_int_equal(findings, 0);
    rig_close(&rig);
}

static void written_after_it_was_freed(void **state)
{
    unsigned char *p, *again;

    (void)state;
    open_with(QUIRE_HEAP_DEBUG, 0);
    p = take(100, driver());
    assert_ok(quire_heap_free(&rig.heap, p));
    scribble(p + 7, 0);
    again = take(97, 0); /* of the same class */
    assert_ptr_equal(again, p);
    expect_line("heap: written after it was freed: byte 7 is 0x0, not 0x6b; object ", p,
                " of 100 bytes, driver");
    assert_ok(quire_heap_free(&rig.heap, p));
    again = take(97, QUIRE_ZEROED);
    assert_int_equal(findings, 0);
    assert_int_equal(again[0] | again[96], 0);
    assert_ok(quire_heap_free(&rig.heap, again));
    rig_close(&rig);
}

static void the_quarantine_keeps(void **state)
{
    unsigned char *p, *q;

    (void)state;
    open_with(QUIRE_HEAP_RED | QUIRE_HEAP_POISONED, WAITING);
    p = take(100, 0);
    assert_ok(quire_heap_free(&rig.heap, p));
    for (unsigned i = 0; i < WAITING - 1; i++) {
        q = take(100, 0);
        assert_ptr_not_equal(p, q); /* it waits */
        assert_ok(quire_heap_free(&rig.heap, q));
    }
    scribble(p + 99, 0x6a);
    assert_int_equal(findings, 0);
    q = take(100, 0);
    assert_ok(quire_heap_free(&rig.heap, q)); /* p's turn */
    expect_line("heap: written after it was freed: byte 99 is 0x6a, not 0x6b; object ", p,
                " of 100 bytes");
    q = take(20000, 0);
    assert_ok(quire_heap_free(&rig.heap, q));
    scribble(q, 0);
    (void)quire_heap_trim(&rig.heap);
    expect_line("heap: written after it was freed: byte 0 is 0x0, not 0x6b; object ", q,
                " of 20000 bytes");
    rig_close(&rig);
}

static uint64_t frames_now(void)
{
    struct quire_heap_totals found;

    assert_ok(quire_heap_totals(&rig.heap, &found));
    return found.frames;
}

/* A heap that tracks, with as many frames and a quarantine, in which runs of 8 frames wait. */
static void open_with_waiting(uint64_t share, unsigned runs)
{
    void *held[8];

    rig_machine(&rig);
    rig.config.options = QUIRE_HEAP_TRACK;
    rig.config.quarantine = 8;
    rig.config.share = share;
    rig_heap(&rig);
    for (unsigned i = 0; i < runs; i++)
        held[i] = take(20000, 0);
    for (unsigned i = 0; i < runs; i++)
        assert_ok(quire_heap_free(&rig.heap, held[i]));
    assert_int_equal(frames_now(), runs * 8);
}

/* What waits is given back before a request is refused: one that was served then is no refusal. */
static void what_waits_is_no_refusal(void **state)
{
    struct quire_heap_stats stats;
    void *p;

    (void)state;
    open_with_waiting(64, 8);
    p = take(20000, 0);
    assert_ok(quire_heap_run_stats(&rig.heap, quire_node_of(QUIRE_NO_NODE), &stats));
    assert_int_equal(stats.refusals, 0);
    assert_ok(quire_heap_free(&rig.heap, p));
    rig_close(&rig);
    open_with_waiting(64, 8);
    p = take(64, 0);
    for (uint32_t i = 0; i < QUIRE_HEAP_CLASSES; i++)
        assert_int_equal(rig_stats(&rig, i, QUIRE_NO_NODE).refusals, 0);
    assert_ok(quire_heap_free(&rig.heap, p));
    rig_close(&rig);
}

/* Also if it is the record of an object that has no place. */
static void what_waits_makes_room_for_records(void **state)
{
    (void)state;
    open_with_waiting(65, 8);
    assert_ok(quire_heap_free(&rig.heap, take(64, 0)));
    rig_close(&rig);
}

/* But while empty slabs are enough it waits. */
static void what_waits_goes_last(void **state)
{
    struct quire_heap_cache_config config = {.name = "a", .bytes = 200};
    struct quire_heap_cache cache;
    uint64_t leaked;
    void *p;

    (void)state;
    open_with_waiting(16, 1);
    assert_ok(quire_heap_cache_create(&rig.heap, &config, &cache));
    assert_ok(quire_heap_cache_alloc(&cache, 0, (quire_near){0}, &p));
    assert_ok(quire_heap_cache_free(&cache, p)); /* which does not wait */
    assert_true(frames_now() > 8);
    p = take(20000, 0);
    assert_int_equal(frames_now(), 16);
    assert_ok(quire_heap_free(&rig.heap, p));
    assert_ok(quire_heap_cache_destroy(&cache, &leaked));
    rig_close(&rig);
}

/* A trim tells of the slabs that go with what waited, and of their records. */
static void a_trim_tells_of_what_waited(void **state)
{
    void *held[8];
    uint64_t before;

    (void)state;
    open_with_waiting(0, 4);
    for (unsigned i = 0; i < 8; i++)
        held[i] = take(16384 / (1 + i % 2), 0);
    for (unsigned i = 0; i < 8; i++)
        assert_ok(quire_heap_free(&rig.heap, held[i]));
    before = frames_now();
    assert_int_equal(quire_heap_trim(&rig.heap), before);
    assert_int_equal(frames_now(), 0);
    rig_close(&rig);
}

/* A trim tells of all frames that went, those of records, too. */
static void a_trim_tells_of_records(void **state)
{
    static void *held[4000];
    uint64_t before;

    (void)state;
    rig_machine(&rig);
    rig.config.tags = 1;
    rig.config.rounds = QUIRE_HEAP_NO_MAGAZINES;
    rig_heap(&rig);
    for (unsigned i = 0; i < 4000; i++)
        held[i] = take(16 + i % 4096, 0);
    for (unsigned i = 0; i < 4000; i++)
        assert_ok(quire_heap_free(&rig.heap, held[i]));
    before = frames_now();
    assert_int_equal(quire_heap_trim(&rig.heap), before);
    assert_int_equal(frames_now(), 0);
    rig_close(&rig);
}

static void freed_twice(void **state)
{
    void *p;

    (void)state;
    for (uint32_t waiting = 0; waiting <= WAITING; waiting += WAITING) {
        open_with(QUIRE_HEAP_DEBUG, waiting);
        p = take(40, driver());
        assert_ok(quire_heap_free(&rig.heap, p));
        assert_error(quire_heap_free(&rig.heap, p), QUIRE_ERR_DOUBLE_FREE);
        expect_line("heap: free again: double free; object ", p, " of 40 bytes, driver");
        rig_close(&rig);
    }
}

static void freed_that_is_none(void **state)
{
    unsigned char *p;
    int local = 0;

    (void)state;
    open_with(QUIRE_HEAP_DEBUG, 0);
    p = take(100, 0);
    assert_error(quire_heap_free(&rig.heap, p + 8), QUIRE_ERR_ALIGN);
    assert_int_equal(told.kind, QUIRE_HEAP_BAD_FREE);
    assert_int_equal(told.error, QUIRE_ERR_ALIGN);
    print_message("%s\n", line);
    assert_error(quire_heap_free(&rig.heap, &local), QUIRE_ERR_FRAME);
    print_message("%s\n", line);
    assert_int_equal(findings, 2);
    assert_ok(quire_heap_free(&rig.heap, p));
    rig_close(&rig);
}

static void mark(void *ctx, void *object)
{
    (void)ctx;
    memset(object, 3, 50);
}

/* Objects stay as they were constructed, and have red zones all the same. */
static void constructed_objects_are_not_filled(void **state)
{
    struct quire_heap_cache_config config = {.name = "task", .bytes = 50, .construct = mark};
    struct quire_heap_cache cache;
    unsigned char *p;
    uint64_t leaked;
    void *object;

    (void)state;
    open_with(QUIRE_HEAP_DEBUG, WAITING);
    assert_ok(quire_heap_cache_create(&rig.heap, &config, &cache));
    for (unsigned i = 0; i < 3 * WAITING; i++) {
        assert_ok(quire_heap_cache_alloc(&cache, 0, (quire_near){0}, &object));
        p = object;
        assert_int_equal(p[0] + p[49], 6);
        assert_ok(quire_heap_cache_free(&cache, object));
    }
    assert_int_equal(findings, 0);
    assert_ok(quire_heap_cache_alloc(&cache, 0, (quire_near){0}, &object));
    p = object;
    p[50]++;
    assert_ok(quire_heap_cache_free(&cache, object));
    expect_line("heap: written behind the end: byte 50 is 0xbc, not 0xbb; object ", p,
                " of 50 bytes");
    assert_ok(quire_heap_cache_destroy(&cache, &leaked)); /* who waits is no leak */
    rig_close(&rig);
}

static void lines_are_cut(void **state)
{
    struct quire_heap_finding finding = {.kind = QUIRE_HEAP_RED_ZONE};
    char text[8];

    (void)state;
    assert_int_equal(quire_heap_finding_text(&finding, text, sizeof text), 7);
    assert_string_equal(text, "heap: w");
    assert_int_equal(quire_heap_finding_text(&finding, text, 1), 0);
    assert_string_equal(text, "");
    text[0] = 'x';
    assert_int_equal(quire_heap_finding_text(&finding, text, 0), 0);
    assert_int_equal(text[0], 'x');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_behind_the_end),
        cmocka_unit_test(written_after_it_was_freed),
        cmocka_unit_test(the_quarantine_keeps),
        cmocka_unit_test(what_waits_is_no_refusal),
        cmocka_unit_test(what_waits_makes_room_for_records),
        cmocka_unit_test(what_waits_goes_last),
        cmocka_unit_test(a_trim_tells_of_what_waited),
        cmocka_unit_test(a_trim_tells_of_records),
        cmocka_unit_test(freed_twice),
        cmocka_unit_test(freed_that_is_none),
        cmocka_unit_test(constructed_objects_are_not_filled),
        cmocka_unit_test(lines_are_cut),
    };

    return cmocka_run_group_tests_name("heap_finding", tests, NULL, NULL);
}
