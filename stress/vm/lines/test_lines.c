/* SPDX-License-Identifier: MIT
 *
 * test_lines.c - faults of eight CPUs in one space, each on pages of a table of its own: no locked
 * instruction is on a line that two of them share, but for those of tables while these are made,
 * and of limits. CPUs take turns, and have frames of their own, so every run counts the same.
 */
#include "bench/model/lines.h"
#include "stress/common/assert.h"

#include <quire/space.h>

#include <stdlib.h>

enum {
    CPUS = 8,
    WARM = 2,
    PAGES = 16, /* that each CPU touches */
    FRAME = QUIRE_FRAME_SIZE,
    TABLES = 64, /* for all */
    FIRST = 0x400,
    FRAMES_OF_CPU = 128,
    FRAMES = TABLES + CPUS * FRAMES_OF_CPU,
};
#define LARGE ((uint64_t)2 << 20)
#define AREA  ((uint64_t)0x7f0000000000)
#define RW    ((uint32_t)(QUIRE_READ | QUIRE_WRITE))

static unsigned char *memory;
static unsigned tables, frames_of[CPUS];
static unsigned pages_given;
static struct quire_space space;

/* What is found: lines of tables, and others. */
static unsigned lines_of_tables, other_lines;
static const void *other_line;

/* ---- The port ------------------------------------------------------------------------------- */

static int give_table(void *ctx, uint64_t below, quire_pfn *pfn)
{
    (void)ctx;
    (void)below;
    assert_true(tables < TABLES);
    pfn->n = FIRST + tables++;
    return 0;
}

static int give_frame(void *ctx, const struct quire_policy *policy, unsigned order, quire_pfn *pfn)
{
    unsigned cpu = lines_cpu();

    (void)ctx;
    (void)policy;
    assert_true(order == 0 && frames_of[cpu] < FRAMES_OF_CPU);
    pfn->n = FIRST + TABLES + cpu * FRAMES_OF_CPU + frames_of[cpu]++;
    return 0;
}

/* All are given anew with the next space. */
static void take_table(void *ctx, quire_pfn pfn)
{
    (void)ctx;
    assert_true(pfn.n - FIRST < TABLES);
}

static void take_frame(void *ctx, quire_pfn pfn, unsigned order)
{
    (void)ctx;
    (void)order;
    assert_true(pfn.n - FIRST < FRAMES);
}

static void invalidate(void *ctx, struct quire_vrange range)
{
    (void)ctx;
    assert_ok(quire_vrange_validate(range));
}

static void *give_page(void *ctx)
{
    (void)ctx;
    pages_given++;
    return aligned_alloc(FRAME, FRAME);
}

static void take_page(void *ctx, void *page)
{
    (void)ctx;
    pages_given--;
    free(page);
}

static int size_of_file(void *ctx, uint64_t *bytes)
{
    (void)ctx;
    *bytes = CPUS * LARGE;
    return 0;
}

static int read_file(void *ctx, uint64_t page, quire_pfn pfn)
{
    (void)ctx;
    return page < CPUS * LARGE / FRAME && pfn.n - FIRST < FRAMES ? 0 : -1;
}

/* ---- The world ------------------------------------------------------------------------------ */

static struct quire_space_config config_of(uint64_t limit)
{
    struct quire_space_config config = {
        .format = &quire_x86_64_4level,
        .range = quire_vrange_of(AREA, CPUS * LARGE),
        .limit = limit,
    };

    config.port.paging.tables = (struct quire_table_source){give_table, take_table, NULL};
    config.port.paging.reach.base = (uintptr_t)memory - FIRST * (uintptr_t)FRAME;
    config.port.paging.invalidate = invalidate;
    config.port.frames = (struct quire_frame_source){give_frame, take_frame, NULL, NULL, NULL};
    config.port.memory = (struct quire_memory_source){give_page, take_page, NULL};
    return config;
}

static void begin(const struct quire_area *more, uint64_t limit)
{
    struct quire_space_config config;
    struct quire_area area = *more;

    memory = aligned_alloc(FRAME, FRAMES * (size_t)FRAME);
    assert_non_null(memory);
    tables = 0;
    for (unsigned cpu = 0; cpu < CPUS; cpu++)
        frames_of[cpu] = 0;
    config = config_of(limit);
    area.range = config.range;
    area.access = RW;
    lines_turn(0);
    assert_ok(quire_space_create(&space, &config));
    assert_ok(quire_space_reserve(&space, &area, 0, NULL));
    lines_start();
}

/* Pages of each CPU's part, by turns. */
static void touch(uint64_t first, uint64_t end, uint32_t access)
{
    for (uint64_t page = first; page < end; page++)
        for (unsigned cpu = 0; cpu < CPUS; cpu++) {
            lines_turn(cpu);
            assert_ok(quire_space_fault(&space, quire_vaddr_of(AREA + cpu * LARGE + page * FRAME),
                                        access));
        }
    lines_turn(0);
}

static void see_line(void *ctx, const void *line)
{
    (void)ctx;
    if ((uintptr_t)line - (uintptr_t)memory < TABLES * (uintptr_t)FRAME) {
        lines_of_tables++;
    } else {
        other_lines++;
        other_line = line;
    }
}

/* What was counted. */
static struct line_counts counted(void)
{
    struct line_counts counts = lines_counts();

    lines_count(false);
    lines_of_tables = other_lines = 0;
    lines_locked_by_many(see_line, NULL);
    lines_stop();
    return counts;
}

static void end(void)
{
    quire_space_destroy(&space);
    assert_int_equal(pages_given, 0);
    free(memory);
}

/* Faults where the tables are there already. */
static struct line_counts count_faults(const struct quire_area *more, uint64_t limit)
{
    begin(more, limit);
    touch(0, WARM, QUIRE_WRITE); /* once to make tables, and once to have seen those of others */
    lines_count(true);
    touch(WARM, PAGES, QUIRE_WRITE);
    return counted();
}

/* ---- Tests ---------------------------------------------------------------------------------- */

static void no_line_is_shared(void **ctx)
{
    struct quire_policy policy = {0};
    struct quire_area plain = {.range = {{0}, 0}}, with_policy = {.policy = &policy};

    (void)ctx;
    for (unsigned i = 0; i < 2; i++) {
        struct line_counts counts = count_faults(i ? &with_policy : &plain, 0);

        assert_int_equal(other_lines + lines_of_tables, 0);
        assert_int_equal(counts.locked, CPUS * (PAGES - WARM));
        assert_int_equal(counts.moved, 0);
        end();
    }
}

/* From the first fault on: the tables above their own are written by all. */
static void tables_are_shared(void **ctx)
{
    struct quire_area plain = {.range = {{0}, 0}};

    (void)ctx;
    begin(&plain, 0);
    lines_count(true);
    touch(0, PAGES, QUIRE_READ);
    (void)counted();
    assert_true(lines_of_tables > 0);
    assert_int_equal(other_lines, 0);
    end();
}

/* A count that is compared with a limit is one for all. It lies in the space, or in the note. */
static void limits_are_shared(void **ctx)
{
    struct quire_area plain = {.range = {{0}, 0}}, limited = {.limit = 1000};

    (void)ctx;
    (void)count_faults(&plain, 1000);
    assert_int_equal(lines_of_tables, 0);
    assert_int_equal(other_lines, 1);
    assert_true((uintptr_t)other_line / LINE_BYTES == (uintptr_t)&space.frames / LINE_BYTES);
    end();
    (void)count_faults(&limited, 0);
    assert_int_equal(lines_of_tables, 0);
    assert_int_equal(other_lines, 1);
    end();
}

/* Pages of a file that are cached, by another area of it. */
static void cached_pages(void **ctx)
{
    struct quire_file_config config = {.pager = {size_of_file, read_file, NULL, NULL}};
    struct quire_area area = {.kind = QUIRE_AREA_PRIVATE};
    struct quire_file file;

    (void)ctx;
    config.frames = config_of(0).port.frames;
    config.memory = config_of(0).port.memory;
    assert_ok(quire_file_create(&file, &config));
    area.file = &file;
    begin(&area, 0);
    touch(0, PAGES, QUIRE_READ);
    assert_ok(quire_space_advise(&space, space.config.range, QUIRE_ADVISE_RELEASE));
    lines_count(true);
    touch(0, PAGES, QUIRE_READ);
    assert_int_equal(counted().locked, CPUS * PAGES * 4); /* held, pinned, put in, let go */
    assert_int_equal(other_lines + lines_of_tables, 0);
    quire_space_destroy(&space);
    assert_ok(quire_file_destroy(&file));
    assert_int_equal(pages_given, 0);
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_line_is_shared),
        cmocka_unit_test(tables_are_shared),
        cmocka_unit_test(limits_are_shared),
        cmocka_unit_test(cached_pages),
    };

    return cmocka_run_group_tests_name("space_lines", tests, NULL, NULL);
}
