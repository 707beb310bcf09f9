/* SPDX-License-Identifier: MIT
 *
 * promote_unit.h - what the tests of promotion and demotion have in common: a part, and what is in
 * its pages.
 */
#ifndef QUIRE_STRESS_VM_PROMOTE_PROMOTE_UNIT_H
#define QUIRE_STRESS_VM_PROMOTE_PROMOTE_UNIT_H

#include "stress/vm/space_unit.h"

/* The first part of the space that begins at a multiple of its size, and how many pages it has. */
static inline uint64_t part_at(void)
{
    return (base() + large() - 1) & ~(large() - 1);
}

static inline uint64_t in_part(void)
{
    return large() / FRAME;
}

/* Write to so many pages of a part, from its first one on. */
static inline void write_pages(uint64_t part, uint64_t first, uint64_t pages)
{
    for (uint64_t i = first; i < first + pages; i++)
        write_word(&space, part + i * FRAME + 8, i + 1);
}

/* So many pages from the first one on were written, the others are zeros. */
static inline void expect_pages(uint64_t part, uint64_t pages)
{
    for (uint64_t i = 0; i < in_part(); i++)
        expect_word(&space, part + i * FRAME + 8, i < pages ? i + 1 : 0);
}

static inline struct quire_promoted promote_range(uint64_t start, uint64_t bytes,
                                                  struct quire_promotion how)
{
    struct quire_promoted done;

    assert_ok(quire_space_promote(&space, span(start, bytes), &how, &done));
    return done;
}

static inline struct quire_promoted promote_part(struct quire_promotion how)
{
    return promote_range(part_at(), large(), how);
}

static inline struct quire_demoted demote_part(uint32_t zeros)
{
    struct quire_demotion how = {.zeros = zeros};
    struct quire_demoted done;

    assert_ok(quire_space_demote(&space, span(part_at(), large()), &how, &done));
    return done;
}

static inline bool is_large(uint64_t virt)
{
    struct quire_page page;

    assert_ok(quire_paging_translate(&space.paging, quire_vaddr_of(virt), &page, NULL));
    return page.size == large();
}

/* A part that has a large page, of which so many pages were written. */
static inline void make_large(uint64_t pages)
{
    assert_ok(reserve(part_at(), large(), rw()));
    write_pages(part_at(), 0, pages);
    assert_int_equal(promote_part((struct quire_promotion){.present = (uint32_t)pages}).parts, 1);
    assert_true(is_large(part_at()));
}

/* Each format, in turns with a direct map and with a window. */
static inline void on_each(void (*test)(void))
{
    for (unsigned i = 0; i < RIG_FORMATS; i++) {
        space_rig_begin(&rig, &rig_formats[i], i % 2);
        rig.with_tlb = true;
        assert_ok(quire_space_create(&space, &rig.config));
        test();
        quire_space_destroy(&space);
        space_rig_end(&rig);
    }
}

#define ON_EACH(test)                   \
    static void test##_test(void **ctx) \
    {                                   \
        (void)ctx;                      \
        on_each(test);                  \
    }

#endif /* QUIRE_STRESS_VM_PROMOTE_PROMOTE_UNIT_H */
