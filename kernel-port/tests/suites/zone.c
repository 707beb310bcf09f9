/* SPDX-License-Identifier: MIT
 *
 * zone.c - every function of a zone, on real memory; on each zone of the machine.
 *
 * The first CPU alone. What a wrong call does is tested as much as what a right one does: it must
 * say why, and change nothing.
 */
#include "suite.h"

#include "kernel-port/kernel/lib/panic.h"
#include "kernel-port/kernel/lib/text.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/tests/shadow.h"
#include "kernel-port/tests/tap.h"
#include "kernel-port/tests/zone_audit.h"
#include "paging.h"

enum { BATCH = 300, RUNS = 16, DIRTY = 0xa5 };

static struct quire_zone *zone;
static quire_slot slot;
static uint32_t index, wrong; /* of the zone; of the checks of the present test */

/* One check among several that make up a result. */
static void must(bool good, const char *what)
{
    if (good)
        return;
    wrong++;
    tap_note("zone %u: not so: %s", index, what);
}

static void must_be(int error, int expected, const char *what)
{
    if (error == expected)
        return;
    wrong++;
    tap_note("zone %u: %s: %s, expected %s", index, what, quire_strerror(error),
             quire_strerror(expected));
}

static void done(const char *what)
{
    tap(wrong == 0, "zone %u: %s", index, what);
    wrong = 0;
}

/* A run of this order, written to. False: there is none. */
static bool get(unsigned order, quire_pfn *pfn)
{
    int error = quire_zone_alloc(zone, slot, order, QUIRE_MOVABLE, pfn);

    if (error) {
        must_be(error, QUIRE_ERR_NO_MEMORY, "an allocation");
        return false;
    }
    shadow_take(*pfn, 1ul << order, order, SHADOW_LIGHT);
    return true;
}

static void put(quire_pfn pfn, unsigned order)
{
    shadow_give(pfn, 1ul << order, order, SHADOW_LIGHT);
    must_be(quire_zone_free(zone, slot, pfn, order), QUIRE_OK, "a free");
}

static void test_orders(void)
{
    uint64_t before = quire_zone_free_frames(zone), frames;
    unsigned largest = 0;

    for (unsigned order = 0; order <= QUIRE_MAX_ORDER; order++) {
        quire_pfn pfn;

        if (!get(order, &pfn))
            continue;
        largest = order;
        must(pfn.n % (1ul << order) == 0, "a run is aligned");
        must(memory_zone(pfn) == zone, "the frame-to-zone table knows the zone");
        must(quire_zone_free_frames(zone) == before - (1ul << order), "the count fell");
        must_be(quire_zone_run_length(zone, pfn, &frames), QUIRE_OK, "a run's length");
        must(frames == 1ul << order, "a run's length can be read back");
        put(pfn, order);
        must(quire_zone_free_frames(zone) == before, "the count rose");
    }
    must_be(quire_zone_alloc(zone, slot, QUIRE_MAX_ORDER + 1, 0, &(quire_pfn){0}), QUIRE_ERR_SIZE,
            "order 21");
    tap_note("zone %u: orders up to %u", index, largest);
    done("all orders");
}

static void test_bad_frees(void)
{
    enum quire_frame_state state;
    quire_pfn single, pair;

    if (!get(0, &single) || !get(1, &pair))
        panic("zone %u has not even three frames", index);
    must_be(quire_zone_free(zone, slot, quire_pfn_of(UINT64_MAX >> 12), 0), QUIRE_ERR_FRAME,
            "a free of no frame");
    must_be(quire_zone_free(zone, slot, quire_pfn_of(pair.n + 1), 1), QUIRE_ERR_ALIGN,
            "a free of a misaligned pair");
    must_be(quire_zone_free(zone, slot, quire_pfn_of(pair.n + 1), 0), QUIRE_ERR_ORDER,
            "a free of half a pair");
    must_be(quire_zone_free(zone, slot, pair, 0), QUIRE_ERR_ORDER, "a free as a single frame");
    must_be(quire_zone_free(zone, slot, single, QUIRE_MAX_ORDER + 1), QUIRE_ERR_SIZE,
            "a free of order 21");
    must_be(quire_zone_free(zone, quire_slot_of(zone->slots), single, 0), QUIRE_ERR_SIZE,
            "a free with no slot");
    must_be(quire_zone_alloc(zone, slot, 0, 1u << 31, &(quire_pfn){0}), QUIRE_ERR_UNSUPPORTED,
            "an unknown flag");
    put(single, 0);
    must_be(quire_zone_free(zone, slot, single, 0), QUIRE_ERR_DOUBLE_FREE, "a second free");
    must_be(quire_zone_frame_state(zone, single, &state), QUIRE_OK, "a frame's state");
    must(state == QUIRE_FRAME_FREE, "a freed frame is free");
    put(pair, 1);
    done("bad frees are refused and change nothing");
}

static void test_batches(void)
{
    static quire_pfn pfns[BATCH];
    uint64_t before = quire_zone_free_frames(zone);
    size_t got = 0, bad = 0;

    must_be(quire_zone_alloc_batch(zone, slot, QUIRE_PARTIAL, BATCH, pfns, &got), QUIRE_OK,
            "a batch");
    for (size_t i = 0; i < got; i++)
        shadow_take(pfns[i], 1, i, SHADOW_LIGHT);
    must(quire_zone_free_frames(zone) == before - got, "the count fell");
    for (size_t i = 0; i < got; i++)
        shadow_give(pfns[i], 1, i, SHADOW_LIGHT);
    pfns[got / 2].n ^= 1ul << 39; /* nobody's frame */
    must_be(quire_zone_free_batch(zone, slot, pfns, got, &bad), QUIRE_ERR_FRAME, "a bad batch");
    must(bad == got / 2, "the bad one is named");
    must(quire_zone_free_frames(zone) == before - got, "a bad batch changed nothing");
    pfns[got / 2].n ^= 1ul << 39;
    must_be(quire_zone_free_batch(zone, slot, pfns, got, &bad), QUIRE_OK, "a batch's free");
    done("batches");
}

static void test_places(void)
{
    struct quire_contig want = {.frames = 77, .align = 1 << 16, .boundary = 1 << 20};
    quire_pfn pfn, again;

    must_be(quire_zone_alloc_contig(zone, slot, &want, 0, &pfn), QUIRE_OK, "a contiguous run");
    shadow_take(pfn, want.frames, 7, SHADOW_LIGHT);
    must(quire_phys(pfn) % want.align == 0, "it is aligned");
    must(quire_phys(pfn) / want.boundary ==
             (quire_phys(pfn) + want.frames * QUIRE_FRAME_SIZE - 1) / want.boundary,
         "it crosses no boundary");
    must_be(quire_zone_alloc_at(zone, slot, pfn, 0, 0), QUIRE_ERR_BUSY, "a taken place");
    must_be(quire_zone_free_contig(zone, slot, pfn, want.frames - 1), QUIRE_ERR_ORDER,
            "a free with another length");
    shadow_give(pfn, want.frames, 7, SHADOW_LIGHT);
    must_be(quire_zone_free_contig(zone, slot, pfn, want.frames), QUIRE_OK, "its free");
    must_be(quire_zone_alloc_at(zone, slot, pfn, 0, 0), QUIRE_OK, "a free place");
    must_be(quire_zone_free_any(zone, slot, pfn), QUIRE_OK, "a free without an order");
    must_be(quire_zone_reserve(zone, slot, pfn, 3), QUIRE_OK, "a reservation");
    must_be(quire_zone_alloc_at(zone, slot, pfn, 0, 0), QUIRE_ERR_FRAME, "a reserved place");
    must_be(quire_zone_unreserve(zone, slot, pfn, 3), QUIRE_OK, "the end of the reservation");
    must_be(quire_zone_alloc_contig(zone, slot, &want, 0, &again), QUIRE_OK, "it once more");
    must(again.n == pfn.n, "the lowest place comes first");
    must_be(quire_zone_free_contig(zone, slot, again, want.frames), QUIRE_OK, "its free");
    done("given places, constraints, reservations");
}

static void test_shapes(void)
{
    quire_pfn pfn;

    if (!get(9, &pfn)) {
        tap_note("zone %u has no whole block", index);
        return;
    }
    shadow_give(pfn, 512, 9, SHADOW_LIGHT);
    must_be(quire_zone_split(zone, slot, pfn, 9), QUIRE_OK, "splitting a run");
    must_be(quire_zone_free(zone, slot, pfn, 9), QUIRE_ERR_ORDER, "freeing it as a run");
    must_be(quire_zone_join(zone, slot, pfn), QUIRE_OK, "joining its frames");
    must_be(quire_zone_free(zone, slot, pfn, 0), QUIRE_ERR_ORDER, "freeing one of them");
    must_be(quire_zone_free(zone, slot, pfn, 9), QUIRE_OK, "freeing it as a run now");
    done("runs change shape in place");
}

static bool reads_as_zeros(quire_pfn pfn)
{
    const uint64_t *words = direct(quire_phys(pfn));

    for (unsigned i = 0; i < QUIRE_FRAME_SIZE / sizeof *words; i++)
        if (words[i])
            return false;
    return true;
}

static void test_zeroing(void)
{
    quire_pfn pfn;

    must_be(quire_zone_alloc(zone, slot, 0, 0, &pfn), QUIRE_OK, "a frame");
    memset(direct(quire_phys(pfn)), DIRTY, QUIRE_FRAME_SIZE);
    must_be(quire_zone_free(zone, slot, pfn, 0), QUIRE_OK, "its free");
    must(!reads_as_zeros(pfn), "a freed frame is left alone");
    must_be(quire_zone_alloc(zone, slot, 0, QUIRE_ZEROED, &pfn), QUIRE_OK, "a zeroed frame");
    must(reads_as_zeros(pfn), "it reads as zeros");
    must_be(quire_zone_free(zone, slot, pfn, 0), QUIRE_OK, "its free");
    done("zeroed frames");
}

static void test_runs(void)
{
    struct quire_run runs[RUNS];
    uint64_t want = quire_zone_managed(zone) / 4, sum = 0;
    size_t count = 0;
    int error = quire_zone_alloc_runs(zone, slot, QUIRE_MOVABLE, want, runs, RUNS, &count);

    must(error == QUIRE_OK || error == QUIRE_ERR_NO_MEMORY, "a quarter of the zone");
    for (size_t i = 0; !error && i < count; i++) {
        sum += runs[i].frames;
        shadow_take(runs[i].pfn, runs[i].frames, i, SHADOW_LIGHT);
    }
    for (size_t i = 0; !error && i < count; i++) {
        shadow_give(runs[i].pfn, runs[i].frames, i, SHADOW_LIGHT);
        must_be(quire_zone_free_contig(zone, slot, runs[i].pfn, runs[i].frames), QUIRE_OK,
                "its free");
    }
    must(error || sum == want, "as many frames as were asked for");
    done("a quarter of the zone in few runs");
}

static void test_pages(void)
{
    static const unsigned orders[] = {9, 18};
    uint64_t got = 0;

    for (unsigned i = 0; i < 2; i++) {
        quire_pfn pfn;

        if (get(orders[i], &pfn)) {
            got |= 1ul << orders[i];
            put(pfn, orders[i]);
        }
    }
    tap(got & 1ul << 9, "zone %u: a page of 2 MiB", index);
    if (got & 1ul << 18)
        tap_note("zone %u: a page of 1 GiB", index);
}

void suite_zone(const struct options *options)
{
    (void)options;
    shadow_begin();
    slot = memory_slot();
    zone_audit_begin();
    for (index = 0; index < memory_zone_count(); index++) {
        zone = &memory.up.zones[index];
        test_orders();
        test_bad_frees();
        test_batches();
        test_places();
        test_shapes();
        test_zeroing();
        test_runs();
        if (memory.up.plan.zones[index].config.type == QUIRE_ZONE_HUGE)
            test_pages();
    }
    shadow_end("zones");
    zone_audit_end("zones");
}
