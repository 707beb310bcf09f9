/* SPDX-License-Identifier: MIT
 *
 * space_unit.h - what the unit tests of spaces have in common: a space in a rig, short names, and
 * each test on all formats, with a direct map and with a window.
 */
#ifndef QUIRE_STRESS_VM_SPACE_UNIT_H
#define QUIRE_STRESS_VM_SPACE_UNIT_H

#include "space_rig.h"
#include "stress/common/assert.h"

#define FRAME ((uint64_t)QUIRE_FRAME_SIZE)
#define HALF  ((uint64_t)1 << 63)
#define span  quire_vrange_of

static struct space_rig rig;
static struct quire_space space;

static inline uint32_t rw(void)
{
    return space_rig_access(&rig, QUIRE_READ | QUIRE_WRITE);
}

static inline uint32_t ro(void)
{
    return space_rig_access(&rig, QUIRE_READ);
}

static inline uint64_t base(void)
{
    return rig.config.range.start.n;
}

static inline uint64_t large(void)
{
    return rig.which->format->sizes & QUIRE_PAGE_2M ? QUIRE_PAGE_2M : QUIRE_PAGE_4M;
}

static inline int reserve(uint64_t start, uint64_t bytes, uint32_t access)
{
    struct quire_area area = space_rig_area(start, bytes, access);

    return quire_space_reserve(&space, &area, 0, NULL);
}

static inline int unmap(uint64_t start, uint64_t bytes)
{
    return quire_space_unmap(&space, span(start, bytes));
}

static inline int read_at(uint64_t virt)
{
    uint64_t word;

    return space_rig_read(&rig, 0, &space, virt, &word);
}

static inline void expect_word(struct quire_space *in, uint64_t virt, uint64_t expected)
{
    uint64_t word = ~expected;

    assert_ok(space_rig_read(&rig, 0, in, virt, &word));
    assert_int_equal(word, expected);
}

static inline void write_word(struct quire_space *in, uint64_t virt, uint64_t word)
{
    assert_ok(space_rig_write(&rig, 0, in, virt, word));
}

/* No entry that is not present has a frame's address where a processor that runs ahead may take it
 * for one: of all tables, in the formats of x86 with entries of 8 bytes. What else is in frames
 * here is no such number either. */
static inline void expect_no_address(void)
{
    if (rig.which->kind != MMU_X86_64)
        return;
    for (uint64_t i = 0; i < SPACE_RIG_SMALL; i++) {
        const uint64_t *words = (const uint64_t *)(const void *)(rig.memory.bytes + i * FRAME);

        for (unsigned n = 0; (rig.taken[i / 64] >> i % 64 & 1) && n < 512; n++)
            if (!(words[n] & 1)) {
                uint64_t frame = (words[n] & 0x000ffffffffff000) / FRAME;

                assert_false(frame - SPACE_RIG_FIRST < SPACE_RIG_FRAMES);
            }
    }
}

/* ---- All formats --------------------------------------------------------------------------- */

static inline void on_all(void (*test)(void))
{
    for (unsigned i = 0; i < RIG_FORMATS; i++)
        for (unsigned window = 0; window < 2; window++) {
            space_rig_begin(&rig, &rig_formats[i], window);
            rig.with_tlb = true;
            assert_ok(quire_space_create(&space, &rig.config));
            test();
            quire_space_destroy(&space);
            space_rig_end(&rig);
        }
}

#define ON_ALL(test)                    \
    static void test##_test(void **ctx) \
    {                                   \
        (void)ctx;                      \
        on_all(test);                   \
    }

#endif /* QUIRE_STRESS_VM_SPACE_UNIT_H */
