/* SPDX-License-Identifier: MIT
 *
 * zone_fixture.h - what the unit tests of one zone share: zones with their metadata, and assertions
 * that look at the whole zone. A fixture is used by one test.
 */
#ifndef QUIRE_STRESS_COMMON_ZONE_FIXTURE_H
#define QUIRE_STRESS_COMMON_ZONE_FIXTURE_H

#include "assert.h"
#include "port.h"
#include "sizes.h"

#include <quire/zone.h>

struct fixture {
    struct heard heard; /* by the port, whose ctx is the fixture */
    struct quire_zone_config config;
    struct quire_run usable[4], reserved[4]; /* the config points here */
    struct quire_zone zone;
    void *metadata;
    size_t bytes;
};

/* Start a configuration: four slots, no watermarks, a port that listens. Add runs to it. */
void fixture_begin(struct fixture *f);
void fixture_usable(struct fixture *f, uint64_t pfn, uint64_t frames);
void fixture_reserved(struct fixture *f, uint64_t pfn, uint64_t frames);
/* Build the zone in metadata full of rubbish. */
void fixture_open(struct fixture *f);
/* All three for one run of usable frames. */
void fixture_simple(struct fixture *f, uint64_t pfn, uint64_t frames);
/* Check the zone, then give up the metadata. */
void fixture_close(struct fixture *f);

/* The zone is consistent and has so many free frames. */
void assert_sound_at(const struct quire_zone *zone, uint64_t free, const char *file, int line);
#define assert_sound(f, free) assert_sound_at(&(f)->zone, free, __FILE__, __LINE__)

/* The call is refused with this error, and the number of free frames is the same as before. */
#define assert_refused(f, call, error)                         \
    do {                                                       \
        uint64_t before_ = quire_zone_free_frames(&(f)->zone); \
        assert_int_equal(call, error);                         \
        assert_sound(f, before_);                              \
    } while (0)

/* Every frame of the run is in the given state. */
void assert_state_at(const struct quire_zone *zone, uint64_t pfn, uint64_t frames,
                     enum quire_frame_state state, const char *file, int line);
#define assert_state(f, pfn, frames, state) \
    assert_state_at(&(f)->zone, pfn, frames, state, __FILE__, __LINE__)

/* Shorter calls, by slot 0 without flags. */
static inline quire_pfn at(uint64_t pfn)
{
    return quire_pfn_of(pfn);
}

static inline quire_slot slot(uint32_t n)
{
    return quire_slot_of(n);
}

uint64_t must_alloc(struct fixture *f, unsigned order);
void must_free(struct fixture *f, uint64_t pfn, unsigned order);

#endif /* QUIRE_STRESS_COMMON_ZONE_FIXTURE_H */
