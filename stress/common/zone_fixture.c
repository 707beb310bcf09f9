/* SPDX-License-Identifier: MIT
 *
 * zone_fixture.c - see zone_fixture.h.
 */
#include "zone_fixture.h"

#include "die.h"

#include <inttypes.h>
#include <stdlib.h>

void fixture_begin(struct fixture *f)
{
    *f = (struct fixture){.bytes = 0};
    f->config = (struct quire_zone_config){.id = 7,
                                           .type = QUIRE_ZONE_NORMAL,
                                           .slots = 4,
                                           .usable = f->usable,
                                           .reserved = f->reserved,
                                           .port = counting_port(&f->heard)};
}

void fixture_usable(struct fixture *f, uint64_t pfn, uint64_t frames)
{
    f->usable[f->config.usable_count++] = (struct quire_run){at(pfn), frames};
}

void fixture_reserved(struct fixture *f, uint64_t pfn, uint64_t frames)
{
    f->reserved[f->config.reserved_count++] = (struct quire_run){at(pfn), frames};
}

void fixture_open(struct fixture *f)
{
    assert_ok(quire_zone_metadata_size(&f->config, &f->bytes));
    f->metadata = rubbish(QUIRE_METADATA_ALIGN, f->bytes);
    assert_ok(quire_zone_init(&f->zone, &f->config, f->metadata, f->bytes));
}

void fixture_simple(struct fixture *f, uint64_t pfn, uint64_t frames)
{
    fixture_begin(f);
    fixture_usable(f, pfn, frames);
    fixture_open(f);
}

void fixture_close(struct fixture *f)
{
    assert_in_range(f->heard.event_count, 0, EVENTS_HEARD);
    assert_sound(f, quire_zone_free_frames(&f->zone));
    free(f->metadata);
}

void assert_sound_at(const struct quire_zone *zone, uint64_t free, const char *file, int line)
{
    struct quire_fault v;
    if (quire_zone_check(zone, &v) != 0) {
        print_error("%s at 0x%" PRIx64 ": expected %" PRIu64 ", found %" PRIu64 "\n", v.what,
                    v.where, v.expected, v.found);
        _fail(file, line);
    }
    _assert_int_equal(quire_zone_free_frames(zone), free, file, line);
}

void assert_state_at(const struct quire_zone *zone, uint64_t pfn, uint64_t frames,
                     enum quire_frame_state state, const char *file, int line)
{
    for (uint64_t n = pfn; n < pfn + frames; n++) {
        enum quire_frame_state got;
        if (quire_zone_frame_state(zone, at(n), &got) != 0 || got != state) {
            print_error("frame 0x%" PRIx64 " is not in state %d\n", n, (int)state);
            _fail(file, line);
        }
    }
}

uint64_t must_alloc(struct fixture *f, unsigned order)
{
    quire_pfn pfn = {UINT64_MAX};
    assert_ok(quire_zone_alloc(&f->zone, slot(0), order, 0, &pfn));
    return pfn.n;
}

void must_free(struct fixture *f, uint64_t pfn, unsigned order)
{
    assert_ok(quire_zone_free(&f->zone, slot(0), at(pfn), order));
}
