/* SPDX-License-Identifier: MIT
 *
 * test_trim.c - tables that run empty leave, and no others. The rig looks at what is retired: it is
 * empty, and was forgotten.
 */
#include "space_unit.h"

/* Reserve the range, and touch its first page. */
static void fill(uint64_t start, uint64_t bytes)
{
    assert_ok(reserve(start, bytes, rw()));
    write_word(&space, start, 7);
}

/* A page keeps the tables above; then each area of whole tables gives all of them back. */
static void whole_tables(void)
{
    uint64_t start = base() + 4 * large(), used, retired;

    fill(base(), FRAME);
    used = space_rig_used(&rig);
    retired = rig.retired;
    assert_ok(reserve(start, 3 * large(), rw()));
    for (unsigned i = 0; i < 3; i++)
        write_word(&space, start + i * large() + i * 5 * FRAME, i);
    assert_int_equal(space_rig_used(&rig), used + 6);
    assert_ok(unmap(start, 3 * large()));
    assert_int_equal(space_rig_used(&rig), used);
    assert_int_equal(rig.retired, retired + 3);
    expect_word(&space, base(), 7);
}

/* A table stays as long as a page of it is reserved, whichever it is. */
static void neighbours(void)
{
    static const uint64_t pages[] = {0, 1, 250, 511};
    uint64_t start = base() + 4 * large(), used;

    fill(base(), FRAME);
    used = space_rig_used(&rig);
    for (unsigned last = 0; last < 4; last++) {
        for (unsigned i = 0; i < 4; i++)
            fill(start + pages[i] * FRAME, FRAME);
        for (unsigned i = 0; i < 4; i++)
            if (i != last)
                assert_ok(unmap(start + pages[i] * FRAME, FRAME));
        assert_int_equal(space_rig_used(&rig), used + 2);
        expect_word(&space, start + pages[last] * FRAME, 7);
        assert_ok(unmap(start + pages[last] * FRAME, FRAME));
        assert_int_equal(space_rig_used(&rig), used);
    }
}

/* What was never touched, or was released, has tables too; and so has what is only partly
 * unmapped. */
static void untouched(void)
{
    uint64_t start = base() + 4 * large(), used;

    fill(base(), FRAME);
    used = space_rig_used(&rig);
    assert_ok(reserve(start + FRAME, FRAME, rw()));
    assert_int_equal(space_rig_used(&rig), used + 1);
    assert_ok(unmap(start + FRAME, FRAME));
    assert_int_equal(space_rig_used(&rig), used);
    fill(start, 2 * large());
    assert_ok(quire_space_advise(&space, span(start, 2 * large()), QUIRE_ADVISE_RELEASE));
    assert_ok(unmap(start, 2 * large()));
    assert_int_equal(space_rig_used(&rig), used);
    fill(start, 2 * large());
    assert_ok(unmap(start, 2 * large() - FRAME));
    assert_int_equal(space_rig_used(&rig), used + 1);
    assert_ok(unmap(start + 2 * large() - FRAME, FRAME));
    assert_int_equal(space_rig_used(&rig), used);
}

/* Tables, but for the root, that have addresses of the space and others, or are there from the
 * start. */
static uint64_t tables_beyond(void)
{
    const struct quire_paging_format *f = rig.which->format;
    struct quire_vrange whole = rig.config.range;
    uint64_t count = 0;

    for (unsigned level = 1; level < f->levels; level++) {
        uint64_t size = FRAME << f->index_bits * level, at = whole.start.n & ~(size - 1);

        if (f->root_complete && level + 1u == f->levels) {
            count += 1u << f->root_bits;
            continue;
        }
        for (; at - whole.start.n < whole.bytes || at < whole.start.n; at += size)
            count += at < whole.start.n || at + size - whole.start.n > whole.bytes;
    }
    return count;
}

/* All of it is touched here and there, and unmapped. */
static void all_tables(void)
{
    struct quire_vrange whole = rig.config.range;

    for (uint64_t at = 0; at < whole.bytes; at += whole.bytes / 64)
        fill(base() + at, FRAME);
    for (uint64_t at = 0; at < whole.bytes; at += whole.bytes / 64)
        assert_ok(unmap(base() + at, FRAME));
    assert_int_equal(space_rig_used(&rig), 2 + tables_beyond()); /* two roots */
}

/* A table with an address outside of the space is not the space's alone. */
static void beyond(void)
{
    struct quire_space_config config = rig.config;
    struct quire_space own;
    struct quire_area area;
    uint64_t used;

    config.range = span(base() + 4 * FRAME, large());
    area = space_rig_area(config.range.start.n, FRAME, rw());
    assert_ok(quire_space_create(&own, &config));
    assert_ok(quire_space_reserve(&own, &area, 0, NULL));
    used = space_rig_used(&rig);
    assert_ok(quire_space_unmap(&own, area.range));
    assert_int_equal(space_rig_used(&rig), used);
    quire_space_destroy(&own);
}

/* Without the port's function tables stay. */
static void kept(void)
{
    uint64_t used;

    space.paging.port.retire = NULL;
    fill(base(), large());
    used = space_rig_used(&rig);
    assert_ok(unmap(base(), large()));
    assert_int_equal(space_rig_used(&rig), used - 1);
}

/* ---- A page table --------------------------------------------------------------------------- */

static void map_at(struct quire_paging *paging, uint64_t virt, uint64_t bytes)
{
    struct quire_page page = rig_page(0x100000, rw());
    struct quire_gather gather = {.count = 0};

    assert_ok(quire_paging_map(paging, span(virt, bytes), &page, FRAME, &gather));
}

static void unmap_at(struct quire_paging *paging, uint64_t virt, uint64_t bytes)
{
    struct quire_gather gather = {.count = 0};

    assert_ok(quire_paging_unmap(paging, span(virt, bytes), 0, NULL, NULL, &gather));
}

static void page_table(void)
{
    uint64_t start = base() + 4 * large(), used;
    struct quire_paging paging;

    assert_ok(quire_paging_init(&paging, rig.which->format, &rig.config.port.paging));
    map_at(&paging, base(), FRAME);
    used = space_rig_used(&rig);
    map_at(&paging, start, 3 * large());
    assert_int_equal(space_rig_used(&rig), used + 3);
    unmap_at(&paging, start, 2 * large());
    assert_int_equal(space_rig_used(&rig), used + 3);
    assert_ok(quire_paging_trim(&paging, span(start + FRAME, 3 * large() - FRAME)));
    assert_int_equal(space_rig_used(&rig), used + 2); /* one is partly in, one in use */
    assert_ok(quire_paging_trim(&paging, span(start, 3 * large())));
    assert_int_equal(space_rig_used(&rig), used + 1);
    assert_error(quire_paging_trim(&paging, span(start, 0)), QUIRE_ERR_SIZE);
    assert_error(quire_paging_trim(&paging, span(start + 1, FRAME)), QUIRE_ERR_ALIGN);
    paging.port.retire = NULL;
    assert_error(quire_paging_trim(&paging, span(start, FRAME)), QUIRE_ERR_UNSUPPORTED);
    quire_paging_destroy(&paging);
}

/* What other page tables have stays, empty as it is, whichever way the giver was named. */
static void lent(void)
{
    const struct quire_paging_format *f = rig.which->format;
    uint64_t unit = FRAME << f->index_bits * (f->levels - 1u), slot = base() & ~(unit - 1), used;
    struct quire_paging giver, same, second, third;
    struct quire_page page;

    assert_ok(quire_paging_init(&giver, f, &rig.config.port.paging));
    assert_ok(quire_paging_init(&second, f, &rig.config.port.paging));
    assert_ok(quire_paging_init(&third, f, &rig.config.port.paging));
    quire_paging_adopt(&same, f, &rig.config.port.paging, quire_paging_root(&giver));
    map_at(&giver, base(), FRAME);
    assert_ok(quire_paging_share(&second, &same, span(slot, unit)));
    if (unit == large()) /* i386 */
        assert_error(quire_paging_join(&giver, quire_vaddr_of(slot), unit), QUIRE_ERR_BUSY);
    unmap_at(&giver, base(), FRAME);
    used = space_rig_used(&rig);
    assert_ok(quire_paging_trim(&giver, span(slot, unit)));
    assert_int_equal(space_rig_used(&rig), used - (f->levels - 2u));
    assert_ok(quire_paging_trim(&second, span(slot, unit)));
    assert_int_equal(space_rig_used(&rig), used - (f->levels - 2u));
    map_at(&third, slot, FRAME);
    assert_error(quire_paging_share(&giver, &third, span(slot, unit)), QUIRE_ERR_MAPPED);
    map_at(&giver, base(), FRAME);
    assert_ok(quire_paging_translate(&second, quire_vaddr_of(base()), &page, NULL));
    quire_paging_destroy(&third);
    quire_paging_destroy(&second);
    quire_paging_destroy(&giver);
}

ON_ALL(whole_tables)
ON_ALL(neighbours)
ON_ALL(untouched)
ON_ALL(all_tables)
ON_ALL(beyond)
ON_ALL(kept)
ON_ALL(page_table)
ON_ALL(lent)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_tables_test), cmocka_unit_test(neighbours_test),
        cmocka_unit_test(untouched_test),    cmocka_unit_test(all_tables_test),
        cmocka_unit_test(beyond_test),       cmocka_unit_test(kept_test),
        cmocka_unit_test(page_table_test),   cmocka_unit_test(lent_test),
    };

    return cmocka_run_group_tests_name("trim", tests, NULL, NULL);
}
