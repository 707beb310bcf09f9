/* SPDX-License-Identifier: MIT
 *
 * test_passes.c - who asks for a gigabyte of any content, while one is ready at each moment, gets
 * it, at whichever of its looks another one comes back and the first one goes. White-box:
 * set_aside.c is compiled for this program so that each of its looks at a slot comes here first;
 * behind it is no machine.
 */
#include "core/atomic.h"
#include "stress/common/assert.h"

#include <quire/space.h>

static unsigned looks_left; /* until the others come; 0: they were here */
static void (*others)(void);

static const qa64 *look_at_slot(const qa64 *slot)
{
    if (looks_left > 0 && --looks_left == 0)
        others();
    return slot;
}

static int refuse(void)
{
    return QUIRE_ERR_NO_MEMORY;
}

#undef qa_load
#define qa_load(p, order) __atomic_load_n(&look_at_slot(p)->v, QA_##order)
#define quire_machine_request(machine, request, pfn, placed) \
    ((void)(machine), (void)(request), (void)(pfn), refuse())
#include "kernel-port/vm/gigabytes/set_aside.c" /* NOLINT(bugprone-suspicious-include) */

enum { FIRST = 0x40000, SECOND = 0x80000, LOOKS = 4 };

static uint64_t slots[2] __attribute__((aligned(8)));
static struct quire_gigabytes gigabytes = {.slots = slots, .count = 2};

/* The second one comes back, and then the first one goes to who wants zeros. */
static void give_and_take(void)
{
    struct quire_frame_source source = quire_frames_with_gigabytes(&gigabytes);
    quire_pfn got;

    source.free(source.ctx, quire_pfn_of(SECOND), QUIRE_GIGABYTE_ORDER);
    assert_ok(source.alloc_zeroed(source.ctx, NULL, QUIRE_GIGABYTE_ORDER, &got));
    assert_int_equal(got.n, FIRST);
}

static void given_at_each_look(void **state)
{
    (void)state;
    others = give_and_take;
    for (unsigned look = 1; look <= LOOKS; look++) {
        struct quire_frame_source source = quire_frames_with_gigabytes(&gigabytes);
        quire_pfn got = {0};

        slots[0] = slot_word(quire_pfn_of(FIRST), SLOT_READY | SLOT_ZEROS);
        slots[1] = slot_word(quire_pfn_of(SECOND), SLOT_TAKEN);
        looks_left = look;
        assert_ok(source.alloc(source.ctx, NULL, QUIRE_GIGABYTE_ORDER, &got));
        assert_true(look == LOOKS || looks_left == 0);
        assert_int_equal(got.n, looks_left ? FIRST : SECOND);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(given_at_each_look)};

    return cmocka_run_group_tests_name("gigabyte_passes", tests, NULL, NULL);
}
