/* SPDX-License-Identifier: MIT
 *
 * isolation_fixture.c - see isolation_fixture.h.
 */
#include "isolation_fixture.h"

#include <inttypes.h>

void isolating_simple(struct isolating *t, uint64_t blocks, bool run_map)
{
    *t = (struct isolating){.count = 0};
    fixture_begin(&t->f);
    fixture_usable(&t->f, 0, blocks * BLOCK);
    t->f.config.no_run_map = !run_map;
    fixture_open(&t->f);
}

int isolate(struct isolating *t, uint64_t pfn, uint64_t frames)
{
    struct quire_run run = {at(pfn), frames};
    return quire_zone_isolate(&t->f.zone, slot(1), run, t->held, &t->iso);
}

int commit(struct isolating *t)
{
    return quire_zone_isolate_commit(&t->f.zone, slot(1), &t->iso);
}

int undo(struct isolating *t)
{
    return quire_zone_isolate_undo(&t->f.zone, slot(1), &t->iso);
}

uint64_t look(struct isolating *t)
{
    assert_ok(quire_zone_isolated(&t->f.zone, slot(1), &t->iso, t->used, USED_RUNS, &t->count,
                                  &t->frames));
    return t->frames;
}

void assert_used_at(struct isolating *t, const uint64_t *runs, size_t n, const char *file, int line)
{
    bool same;
    (void)look(t);
    same = t->count == n / 2;
    for (size_t i = 0; i < t->count && same; i++)
        same = t->used[i].pfn.n == runs[2 * i] && t->used[i].frames == runs[2 * i + 1];
    if (!same) {
        for (size_t i = 0; i < t->count; i++)
            print_error("in the way: %" PRIu64 ", %" PRIu64 " frames\n", t->used[i].pfn.n,
                        t->used[i].frames);
        _fail(file, line);
    }
}

void assert_figures_at(struct isolating *t, uint64_t managed, uint64_t reserved, uint64_t isolated,
                       const char *file, int line)
{
    struct quire_zone_stats s;
    assert_ok(quire_zone_stats(&t->f.zone, &s));
    _assert_int_equal(s.managed, managed, file, line);
    _assert_int_equal(s.reserved, reserved, file, line);
    _assert_int_equal(s.isolated_blocks, isolated, file, line);
}
