/* SPDX-License-Identifier: MIT
 *
 * isolation_fixture.h - what the tests of isolated ranges share: a zone with one isolation in it.
 */
#ifndef QUIRE_STRESS_CORE_ISOLATE_ISOLATION_FIXTURE_H
#define QUIRE_STRESS_CORE_ISOLATE_ISOLATION_FIXTURE_H

#include "stress/common/zone_fixture.h"

enum { HELD_BLOCKS = 64, USED_RUNS = 64 };

struct isolating {
    struct fixture f;
    struct quire_isolation iso;
    struct quire_isolated_frames held[HELD_BLOCKS];
    struct quire_run used[USED_RUNS]; /* what the last look listed */
    size_t count;
    uint64_t frames;
};

/* A zone of `blocks` blocks from frame 0. */
void isolating_simple(struct isolating *t, uint64_t blocks, bool run_map);
int isolate(struct isolating *t, uint64_t pfn, uint64_t frames);
int commit(struct isolating *t);
int undo(struct isolating *t);

/* Look, without an error. Returns how many frames are in the way. */
uint64_t look(struct isolating *t);
/* Look: exactly these runs are in the way, `n` numbers, first frame and length by turns. */
void assert_used_at(struct isolating *t, const uint64_t *runs, size_t n, const char *file,
                    int line);
#define assert_used(t, ...)                            \
    assert_used_at(t, (const uint64_t[]){__VA_ARGS__}, \
                   sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), __FILE__, __LINE__)
void assert_figures_at(struct isolating *t, uint64_t managed, uint64_t reserved, uint64_t isolated,
                       const char *file, int line);
#define assert_figures(t, managed, reserved, isolated) \
    assert_figures_at(t, managed, reserved, isolated, __FILE__, __LINE__)

#endif /* QUIRE_STRESS_CORE_ISOLATE_ISOLATION_FIXTURE_H */
