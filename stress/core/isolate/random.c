/* SPDX-License-Identifier: MIT
 *
 * random.c - random calls on a zone with isolations, against the most naive model there is: a state
 * for each frame. After every few steps the zone must be sound and say the same, frame by frame.
 *
 * The model knows what quire_zone_isolated has to find: frames of a listed range that are free are
 * out of reach at once, and held from the next look on.
 */
#include "stress/common/random.h"
#include "isolation_fixture.h"

enum { BLOCKS = 6, FRAMES = BLOCKS * BLOCK, STEPS = 30000, MOST = 400 };

enum what { FREE, USED, KEPT, HELD }; /* KEPT: reserved */

struct run_held {
    uint64_t pfn, frames;
};

struct model {
    struct isolating t;
    enum what frame[FRAMES];
    struct run_held runs[MOST];
    size_t count;
    uint64_t kept;
    uint64_t random;
};

static uint64_t below(struct model *m, uint64_t bound)
{
    return random_below(&m->random, bound);
}

static bool listed(const struct model *m, uint64_t pfn)
{
    return m->t.iso.held && pfn - m->t.iso.run.pfn.n < m->t.iso.run.frames;
}

static void set(struct model *m, uint64_t pfn, uint64_t frames, enum what from, enum what to)
{
    for (uint64_t n = pfn; n < pfn + frames; n++) {
        assert_int_equal(m->frame[n], from);
        m->frame[n] = to;
    }
}

/* In the isolated range. */
static uint64_t set_all(struct model *m, enum what from, enum what to)
{
    const struct quire_run *range = &m->t.iso.run;
    uint64_t changed = 0;

    for (uint64_t n = range->pfn.n; n < range->pfn.n + range->frames; n++)
        if (m->frame[n] == from) {
            m->frame[n] = to;
            changed++;
        }
    return changed;
}

static uint64_t count_of(const struct model *m, enum what what, bool in_range)
{
    uint64_t count = 0;
    for (uint64_t n = 0; n < FRAMES; n++)
        count += m->frame[n] == what && (!in_range || listed(m, n));
    return count;
}

static void got(struct model *m, uint64_t pfn, uint64_t frames)
{
    for (uint64_t n = pfn; n < pfn + frames; n++)
        assert_false(listed(m, n));
    set(m, pfn, frames, FREE, USED);
    m->runs[m->count++] = (struct run_held){pfn, frames};
}

static void take(struct model *m)
{
    unsigned order = below(m, 4) ? (unsigned)below(m, 4) : (unsigned)below(m, 11);
    quire_pfn pfn;
    int error = quire_zone_alloc(&m->t.f.zone, slot((uint32_t)below(m, 4)), order,
                                 (uint32_t)below(m, 2) * QUIRE_MOVABLE, &pfn);
    if (!error)
        got(m, pfn.n, UINT64_C(1) << order);
    else
        assert_int_equal(error, QUIRE_ERR_NO_MEMORY);
    if (error && order == 0) /* the truth: nothing is within reach */
        for (uint64_t n = 0; n < FRAMES; n++)
            assert_true(m->frame[n] != FREE || listed(m, n));
}

static void take_range(struct model *m)
{
    struct quire_contig want = {.frames = 1 + below(m, below(m, 2) ? 3 * BLOCK : 90),
                                .low = below(m, FRAMES) * QUIRE_FRAME_SIZE};
    quire_pfn pfn;
    if (!quire_zone_alloc_contig(&m->t.f.zone, slot(0), &want, 0, &pfn))
        got(m, pfn.n, want.frames);
}

static void give(struct model *m)
{
    struct run_held *r = &m->runs[below(m, m->count)];
    assert_ok(
        quire_zone_free_contig(&m->t.f.zone, slot((uint32_t)below(m, 4)), at(r->pfn), r->frames));
    set(m, r->pfn, r->frames, USED, FREE);
    *r = m->runs[--m->count];
}

static void begin(struct model *m)
{
    uint64_t first = below(m, BLOCKS), blocks = 1 + below(m, BLOCKS - first);
    if (below(m, 3) && blocks > 2)
        blocks = 2;
    assert_ok(isolate(&m->t, first * BLOCK, blocks * BLOCK));
    (void)set_all(m, FREE, HELD);
}

static void look_and_compare(struct model *m)
{
    uint64_t frames = look(&m->t), sum = 0;
    (void)set_all(m, FREE, HELD);
    assert_int_equal(frames, count_of(m, USED, true));
    for (size_t i = 0; i < m->t.count; i++) {
        bool found = false;
        for (size_t j = 0; j < m->count && !found; j++)
            found =
                m->runs[j].pfn == m->t.used[i].pfn.n && m->runs[j].frames == m->t.used[i].frames;
        assert_true(found || m->t.f.config.no_run_map);
        for (uint64_t n = 0; n < m->t.used[i].frames; n++)
            sum += listed(m, m->t.used[i].pfn.n + n);
    }
    assert_true(m->t.count == USED_RUNS || sum == frames);
}

static void end(struct model *m)
{
    uint64_t used = count_of(m, USED, true);
    int error;
    if (below(m, 3) == 0) {
        assert_ok(undo(&m->t));
        (void)set_all(m, HELD, FREE);
        return;
    }
    error = commit(&m->t);
    (void)set_all(m, FREE, HELD);
    if (error) {
        assert_int_equal(error, QUIRE_ERR_BUSY);
        assert_true(used > 0);
        return;
    }
    assert_int_equal(used, 0);
    m->kept += set_all(m, HELD, KEPT);
}

/* Some of what was committed, or reserved, goes back into use; or a little is reserved. */
static void reserve(struct model *m)
{
    uint64_t pfn = below(m, FRAMES), n = 0, most = 1 + below(m, below(m, 2) ? BLOCK : 40);
    while (pfn + n < FRAMES && n < most && m->frame[pfn + n] == m->frame[pfn])
        n++;
    if (m->frame[pfn] == KEPT) {
        assert_ok(quire_zone_unreserve(&m->t.f.zone, slot(2), at(pfn), n));
        set(m, pfn, n, KEPT, FREE);
        m->kept -= n;
    } else if (m->kept < FRAMES / 2 && n < 20) {
        int error = quire_zone_reserve(&m->t.f.zone, slot(2), at(pfn), n);
        if (!error) {
            set(m, pfn, n, FREE, KEPT);
            m->kept += n;
        } else {
            assert_int_equal(error, QUIRE_ERR_BUSY);
        }
    }
}

static void compare(struct model *m)
{
    struct quire_zone_stats s;
    for (uint64_t n = 0; n < FRAMES; n++) {
        enum quire_frame_state state;
        bool same;
        assert_ok(quire_zone_frame_state(&m->t.f.zone, at(n), &state));
        if (m->frame[n] == FREE)
            same = state == QUIRE_FRAME_FREE;
        else if (m->frame[n] == KEPT)
            same = state == QUIRE_FRAME_RESERVED;
        else if (m->frame[n] == HELD)
            same = state == QUIRE_FRAME_ISOLATED || state == QUIRE_FRAME_USED;
        else
            same = state == QUIRE_FRAME_USED || state == QUIRE_FRAME_INSIDE;
        assert_true(same);
    }
    assert_sound(&m->t.f, count_of(m, FREE, false));
    assert_ok(quire_zone_stats(&m->t.f.zone, &s));
    assert_int_equal(s.managed, FRAMES - m->kept);
    assert_int_equal(s.reserved, m->kept);
}

static void run(bool run_map, uint64_t seed)
{
    static struct model m;
    m = (struct model){.random = seed};
    isolating_simple(&m.t, BLOCKS, run_map);
    for (int i = 0; i < STEPS; i++) {
        uint64_t drawn = below(&m, 100);
        if (drawn < 40 && m.count < MOST)
            take(&m);
        else if (drawn < 46 && m.count < MOST)
            take_range(&m);
        else if (drawn < 82 && m.count > 0)
            give(&m);
        else if (drawn < 88)
            reserve(&m);
        else if (drawn < 94 && m.t.iso.held)
            look_and_compare(&m);
        else if (drawn < 97 && m.t.iso.held)
            end(&m);
        else if (!m.t.iso.held)
            begin(&m);
        if (i % 64 == 0)
            compare(&m);
    }
    if (m.t.iso.held)
        assert_ok(undo(&m.t));
    fixture_close(&m.t.f);
}

static void with_run_map(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++)
        run(true, seed);
}

static void without(void **state)
{
    (void)state;
    for (uint64_t seed = 11; seed <= 20; seed++)
        run(false, seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_run_map),
        cmocka_unit_test(without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
