/* SPDX-License-Identifier: MIT
 *
 * watermark.c - floors that hold to the frame, events that are told once per crossing, pressure.
 */
#include "stress/common/zone_fixture.h"

enum { MIN = 100, LOW = 200, HIGH = 300, FRAMES = 2 * BLOCK };

static void open_marks(struct fixture *f)
{
    fixture_begin(f);
    f->config.min = MIN;
    f->config.low = LOW;
    f->config.high = HIGH;
    fixture_usable(f, 0, FRAMES);
    fixture_open(f);
}

static int take(struct fixture *f, uint32_t flags, quire_pfn *pfn)
{
    return quire_zone_alloc(&f->zone, slot((uint32_t)(pfn->n % 4)), 0, flags, pfn);
}

/* Take single frames until so many are free. */
static void drain(struct fixture *f, uint64_t free, uint32_t flags)
{
    while (quire_zone_free_frames(&f->zone) > free) {
        quire_pfn pfn = {0};
        assert_ok(take(f, flags, &pfn));
    }
}

/* Free frames in use, from the lowest on, until so many are free. */
static void refill(struct fixture *f, uint64_t free)
{
    for (uint64_t n = 0; quire_zone_free_frames(&f->zone) < free; n++) {
        enum quire_frame_state state;
        assert_ok(quire_zone_frame_state(&f->zone, at(n), &state));
        if (state == QUIRE_FRAME_USED) {
            must_free(f, n, 0);
        }
    }
}

static void assert_events(struct fixture *f, unsigned count, const enum quire_event *events)
{
    struct quire_zone_stats s;
    assert_int_equal(f->heard.event_count, count);
    assert_memory_equal(f->heard.events, events, count * sizeof *events);
    assert_ok(quire_zone_stats(&f->zone, &s));
    assert_int_equal(s.events[0] + s.events[1] + s.events[2], count);
}

static void floors(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn pfn = {0};
    open_marks(&f);
    drain(&f, MIN, 0);
    assert_refused(&f, take(&f, 0, &pfn), QUIRE_ERR_NO_MEMORY);
    assert_refused(&f, take(&f, QUIRE_MOVABLE, &pfn), QUIRE_ERR_NO_MEMORY);
    drain(&f, MIN / 2, QUIRE_HIGH);
    assert_refused(&f, take(&f, QUIRE_HIGH, &pfn), QUIRE_ERR_NO_MEMORY);
    drain(&f, 0, QUIRE_EMERGENCY);
    assert_refused(&f, take(&f, QUIRE_EMERGENCY, &pfn), QUIRE_ERR_NO_MEMORY);
    fixture_close(&f);
}

static uint64_t free_frame(struct fixture *f)
{
    enum quire_frame_state state = QUIRE_FRAME_USED;
    uint64_t n = 0;
    while (!quire_zone_frame_state(&f->zone, at(n), &state) && state != QUIRE_FRAME_FREE)
        n++;
    assert_int_equal(state, QUIRE_FRAME_FREE);
    return n;
}

/* Every way to allocate with these flags leaves `floor` frames, and can have all above it. */
static void assert_floor(struct fixture *f, uint32_t flags, uint64_t floor)
{
    struct quire_zone *z = &f->zone;
    struct quire_contig want = {.frames = 8};
    struct quire_run runs[8];
    quire_pfn pfns[8] = {{0}};
    size_t got;
    drain(f, floor + 7, QUIRE_EMERGENCY);
    assert_refused(f, quire_zone_alloc(z, slot(0), 3, flags, pfns), QUIRE_ERR_NO_MEMORY);
    assert_refused(f, quire_zone_alloc_contig(z, slot(0), &want, flags, pfns), QUIRE_ERR_NO_MEMORY);
    assert_refused(f, quire_zone_alloc_batch(z, slot(0), flags, 8, pfns, &got),
                   QUIRE_ERR_NO_MEMORY);
    assert_refused(f, quire_zone_alloc_runs(z, slot(0), flags, 8, runs, 8, &got),
                   QUIRE_ERR_NO_MEMORY);
    assert_ok(quire_zone_alloc_batch(z, slot(0), flags | QUIRE_PARTIAL, 8, pfns, &got));
    assert_int_equal(got, 7);
    assert_refused(f, take(f, flags, pfns), QUIRE_ERR_NO_MEMORY);
    if (floor > 0)
        assert_refused(f, quire_zone_alloc_at(z, slot(0), at(free_frame(f)), 0, flags),
                       QUIRE_ERR_NO_MEMORY);
    assert_sound(f, floor);
}

static void reserve_for_lower_zones(void **state)
{
    (void)state;
    struct fixture f;
    enum { KEPT = 250 };
    fixture_begin(&f);
    f.config.min = MIN;
    f.config.low = LOW;
    f.config.high = HIGH;
    f.config.lowmem_reserve = KEPT;
    fixture_usable(&f, 0, FRAMES);
    fixture_open(&f);
    assert_floor(&f, QUIRE_FALLBACK, MIN + KEPT);
    assert_floor(&f, QUIRE_FALLBACK | QUIRE_MOVABLE | QUIRE_HIGH, MIN / 2 + KEPT);
    assert_floor(&f, QUIRE_FALLBACK | QUIRE_EMERGENCY, KEPT);
    assert_floor(&f, 0, MIN);
    assert_floor(&f, QUIRE_EMERGENCY, 0);
    fixture_close(&f);
}

/* Slots keep credit only far above the reserve, so it holds to the frame with all slots at work. */
static void reserve_with_credit(void **state)
{
    (void)state;
    static quire_pfn pfns[SECTION];
    struct fixture f;
    enum { KEPT = SECTION / 2 };
    size_t n = 0;
    fixture_begin(&f);
    f.config.lowmem_reserve = KEPT;
    fixture_usable(&f, 0, SECTION);
    fixture_open(&f);
    while (!quire_zone_alloc(&f.zone, slot(n % 4), 0, QUIRE_FALLBACK, &pfns[n]))
        n++;
    assert_int_equal(n, SECTION - KEPT);
    assert_sound(&f, KEPT);
    assert_ok(quire_zone_free_batch(&f.zone, slot(3), pfns, 1, NULL));
    assert_ok(quire_zone_alloc(&f.zone, slot(2), 0, QUIRE_FALLBACK, pfns));
    fixture_close(&f);
}

/* A run passes if its last frame is above the floor, not a frame more. */
static void floors_for_runs(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn pfn = {0};
    struct quire_contig want = {.frames = 64};
    open_marks(&f);
    drain(&f, MIN + 63, 0);
    assert_refused(&f, quire_zone_alloc(&f.zone, slot(0), 6, 0, &pfn), QUIRE_ERR_NO_MEMORY);
    assert_refused(&f, quire_zone_alloc_contig(&f.zone, slot(0), &want, 0, &pfn),
                   QUIRE_ERR_NO_MEMORY);
    refill(&f, MIN + 64);
    assert_ok(quire_zone_alloc_contig(&f.zone, slot(0), &want, 0, &pfn));
    assert_sound(&f, MIN);
    fixture_close(&f);
}

static void each_crossing_once(void **state)
{
    (void)state;
    static const enum quire_event all[] = {QUIRE_EVENT_LOW, QUIRE_EVENT_MIN, QUIRE_EVENT_RECOVERED,
                                           QUIRE_EVENT_LOW, QUIRE_EVENT_MIN};
    struct fixture f;
    open_marks(&f);
    drain(&f, LOW, 0);
    assert_events(&f, 0, all);
    drain(&f, LOW - 1, 0);
    assert_events(&f, 1, all);
    for (int i = 0; i < 5; i++) { /* around low, below high: nothing new */
        refill(&f, HIGH - 1);
        drain(&f, LOW - 5, 0);
    }
    assert_events(&f, 1, all);
    drain(&f, MIN, 0);
    assert_events(&f, 1, all);
    drain(&f, MIN - 1, QUIRE_HIGH);
    assert_events(&f, 2, all);
    drain(&f, MIN - 10, QUIRE_HIGH);
    refill(&f, MIN + 10);
    drain(&f, MIN - 10, QUIRE_HIGH);
    assert_events(&f, 2, all);
    refill(&f, HIGH - 1);
    assert_events(&f, 2, all);
    refill(&f, HIGH);
    assert_events(&f, 3, all);
    refill(&f, FRAMES);
    assert_events(&f, 3, all);
    quire_pfn pfns[FRAMES];
    size_t got;
    assert_ok(quire_zone_alloc_batch(&f.zone, slot(0), QUIRE_EMERGENCY, FRAMES - MIN + 1, pfns,
                                     &got)); /* both at one stroke */
    assert_events(&f, 5, all);
    fixture_close(&f);
}

/* Who may not call leaves it to the next one. */
static void without_callback(void **state)
{
    (void)state;
    static const enum quire_event all[] = {QUIRE_EVENT_LOW, QUIRE_EVENT_MIN};
    struct fixture f;
    quire_pfn pfn = {0};
    open_marks(&f);
    drain(&f, LOW - 1, QUIRE_NO_CALLBACK);
    assert_events(&f, 0, all);
    assert_ok(take(&f, 0, &pfn));
    assert_events(&f, 1, all);
    drain(&f, MIN - 2, QUIRE_HIGH | QUIRE_NO_CALLBACK);
    assert_events(&f, 1, all);
    must_free(&f, pfn.n, 0); /* a free may call */
    assert_events(&f, 2, all);
    fixture_close(&f);
}

/* A request that fails changes nothing, so there is nothing to tell either. */
static void failures_tell_nothing(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn pfn = {0};
    open_marks(&f);
    for (uint64_t n = 0; quire_zone_free_frames(&f.zone) > LOW + 1; n++) {
        if (n % 2 == 0 || n > 2 * LOW) { /* no two free frames are neighbours */
            assert_ok(quire_zone_alloc_at(&f.zone, slot(0), at(n), 0, 0));
        }
    }
    struct quire_contig want = {.frames = 150};
    size_t count = 0;
    struct quire_run runs[4];
    for (unsigned order = 1; order <= 7; order++) {
        assert_refused(&f, quire_zone_alloc(&f.zone, slot(0), order, QUIRE_EMERGENCY, &pfn),
                       QUIRE_ERR_NO_MEMORY);
    }
    assert_refused(&f, quire_zone_alloc_contig(&f.zone, slot(0), &want, QUIRE_EMERGENCY, &pfn),
                   QUIRE_ERR_NO_MEMORY);
    assert_refused(&f,
                   quire_zone_alloc_runs(&f.zone, slot(0), QUIRE_EMERGENCY, 150, runs, 4, &count),
                   QUIRE_ERR_NO_MEMORY);
    assert_int_equal(f.heard.event_count, 0);
    fixture_close(&f);
}

/* The port may allocate and free from within the event. */
static void reclaim(void *ctx, struct quire_zone *zone, enum quire_event event)
{
    struct fixture *f = ctx;
    quire_pfn pfn;
    f->heard.events[f->heard.event_count++] = event;
    if (event == QUIRE_EVENT_LOW) {
        assert_ok(quire_zone_alloc(zone, slot(0), 0, QUIRE_EMERGENCY | QUIRE_NO_CALLBACK, &pfn));
        assert_ok(quire_zone_free(zone, slot(0), pfn, 0));
        for (uint64_t n = 0; n < 400; n++) {
            assert_ok(quire_zone_free(zone, slot(0), at(n), 0));
        }
    }
}

static void reclaim_from_the_event(void **state)
{
    (void)state;
    static const enum quire_event all[] = {QUIRE_EVENT_LOW, QUIRE_EVENT_RECOVERED};
    struct fixture f;
    fixture_begin(&f);
    f.config.min = MIN;
    f.config.low = LOW;
    f.config.high = HIGH;
    f.config.port.event = reclaim;
    fixture_usable(&f, 0, FRAMES);
    fixture_open(&f);
    for (uint64_t n = 0; n < FRAMES - LOW; n++) {
        assert_ok(quire_zone_alloc_at(&f.zone, slot(0), at(n), 0, 0));
    }
    assert_int_equal(f.heard.event_count, 0);
    quire_pfn pfn = {0};
    assert_ok(take(&f, 0, &pfn));
    assert_events(&f, 2, all);
    assert_sound(&f, LOW - 1 + 400);
    fixture_close(&f);
}

static void pressure(void **state)
{
    (void)state;
    struct fixture f;
    open_marks(&f);
    assert_int_equal(quire_zone_pressure(&f.zone), 0);
    drain(&f, HIGH, 0);
    assert_int_equal(quire_zone_pressure(&f.zone), 0);
    unsigned last = 0;
    for (uint64_t free = HIGH; free-- > MIN;) {
        drain(&f, free, 0);
        unsigned now = quire_zone_pressure(&f.zone);
        assert_true(now >= last && now <= 100);
        last = now;
    }
    assert_int_equal(last, 100);
    refill(&f, (MIN + HIGH) / 2);
    assert_int_equal(quire_zone_pressure(&f.zone), 50);
    drain(&f, 0, QUIRE_EMERGENCY);
    assert_int_equal(quire_zone_pressure(&f.zone), 100);
    fixture_close(&f);
}

static void computed(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {1, 64, BLOCK, SECTION, 16 * (uint64_t)SECTION};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct fixture f;
        struct quire_zone_stats s;
        fixture_begin(&f);
        f.config.min = f.config.low = f.config.high = QUIRE_WATERMARK_AUTO;
        fixture_usable(&f, 0, sizes[i]);
        fixture_open(&f);
        assert_ok(quire_zone_stats(&f.zone, &s));
        assert_true(s.min <= s.low && s.low <= s.high && s.high < sizes[i]);
        assert_true(sizes[i] < SECTION || (s.min > 0 && s.min < s.low && s.low < s.high));
        fixture_close(&f);

        /* Nobody hears of them: every frame is to be had. */
        fixture_begin(&f);
        f.config.min = f.config.low = f.config.high = QUIRE_WATERMARK_AUTO;
        f.config.port.event = NULL;
        fixture_usable(&f, 0, sizes[i]);
        fixture_open(&f);
        assert_ok(quire_zone_stats(&f.zone, &s));
        assert_int_equal(s.min + s.low + s.high, 0);
        fixture_close(&f);
    }
}

/* With slots that hold credit the floor is still exact: gathered before a refusal. */
static void credit_counts(void **state)
{
    (void)state;
    enum { SMALL = 50000 };
    struct fixture f;
    quire_pfn pfn = {0};
    fixture_begin(&f);
    f.config.slots = 64;
    f.config.min = f.config.low = f.config.high = 1000;
    fixture_usable(&f, 0, SMALL);
    fixture_open(&f);
    uint64_t taken = 0;
    while (quire_zone_alloc(&f.zone, slot((uint32_t)(taken * 7 % 64)), 0, 0, &pfn) == 0) {
        taken++;
    }
    assert_int_equal(taken, SMALL - 1000);
    assert_sound(&f, 1000);
    for (uint64_t n = 0; n < SMALL; n++) {
        enum quire_frame_state frame;
        assert_ok(quire_zone_frame_state(&f.zone, at(n), &frame));
        if (frame == QUIRE_FRAME_USED) {
            assert_ok(quire_zone_free(&f.zone, slot((uint32_t)(n % 64)), at(n), 0));
        }
    }
    assert_sound(&f, SMALL);
    struct quire_contig all = {.frames = SMALL - 1000};
    assert_ok(quire_zone_alloc_contig(&f.zone, slot(5), &all, 0, &pfn));
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floors),
        cmocka_unit_test(reserve_for_lower_zones),
        cmocka_unit_test(reserve_with_credit),
        cmocka_unit_test(floors_for_runs),
        cmocka_unit_test(each_crossing_once),
        cmocka_unit_test(without_callback),
        cmocka_unit_test(failures_tell_nothing),
        cmocka_unit_test(reclaim_from_the_event),
        cmocka_unit_test(pressure),
        cmocka_unit_test(computed),
        cmocka_unit_test(credit_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
