/* SPDX-License-Identifier: MIT
 *
 * test_cli.c - what `quire frag` draws, by the letters of its cells and by its JSON; and how it
 * refuses what makes no sense.
 */
#include "stress/common/assert.h"

#include "stress/common/program.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct program program;
static const char desktop[] = MAPS "/desktop-msi-a320m.txt";

static double number(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItem(object, name);

    if (!cJSON_IsNumber(item))
        fail_msg("no number %s", name);
    return item->valuedouble;
}

static cJSON *json_of_output(void)
{
    cJSON *json;

    if (program.status != 0)
        fail_msg("status %d: %s", program.status, program.error);
    json = cJSON_Parse(program.out);
    assert_non_null(json);
    return json;
}

/* As many cells of a kind as the figures say, and all figures together are all blocks. */
static void check_picture(const cJSON *picture, size_t blocks, bool cell_is_block)
{
    static const char letters[] = " .#=-ucr";
    const cJSON *figures = cJSON_GetObjectItem(picture, "blocks"), *figure;
    const char *cells = cJSON_GetStringValue(cJSON_GetObjectItem(picture, "cells"));
    double sum = 0;
    size_t kind = 0;

    assert_non_null(cells);
    cJSON_ArrayForEach(figure, figures)
    {
        size_t drawn = 0;

        assert_in_range(kind, 0, sizeof(letters) - 2);
        for (const char *c = cells; *c; c++)
            drawn += *c == letters[kind];
        if (cell_is_block)
            assert_int_equal(drawn, figure->valuedouble);
        sum += figure->valuedouble;
        kind++;
    }
    assert_int_equal(kind, sizeof(letters) - 1);
    assert_int_equal(sum, blocks);
}

static void before_and_after(void **state)
{
    const cJSON *before, *after;
    cJSON *json;

    (void)state;
    PROGRAM_RUN(&program, "frag", "--memory", "512M", "--rounds", "20", "--orders", "0-6", "--fill",
                "60", "--json", "-");
    assert_null(strchr(program.error, '\033'));
    assert_non_null(strstr(program.error, "A cell is 2.0 MiB, a block"));
    json = json_of_output();
    before = cJSON_GetObjectItem(json, "before");
    after = cJSON_GetObjectItem(json, "after");
    check_picture(before, 256, true);
    check_picture(after, 256, true);
    assert_true(number(before, "whole_blocks") < number(before, "possible_blocks"));
    assert_true(number(after, "whole_blocks") > number(before, "whole_blocks"));
    assert_true(number(json, "emptied_ranges") > 0);
    assert_true(number(json, "moved_frames") > 0);
    assert_true(number(before, "blocks_with_unmovable") > 0);
    assert_int_equal(number(json, "refusals"), 0);
    cJSON_Delete(json);
}

/* What a map has besides free memory, and a picture with less room than there are blocks. */
static void a_real_map(void **state)
{
    cJSON *json;
    const char *cells;

    (void)state;
    PROGRAM_RUN(&program, "frag", "--map", desktop, "--zone", "0", "--json", "-", "--compact", "0",
                "--fill", "30");
    json = json_of_output();
    check_picture(cJSON_GetObjectItem(json, "before"), 8, true);
    cells = cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetObjectItem(json, "before"), "cells"));
    assert_non_null(strchr(cells, 'r'));
    assert_null(cJSON_GetObjectItem(json, "after"));
    cJSON_Delete(json);
    PROGRAM_RUN(&program, "frag", "--memory", "16G", "--rounds", "0", "--orders", "9", "--fill",
                "25", "--unmovable", "0", "--columns", "16", "--json", "-");
    json = json_of_output();
    check_picture(cJSON_GetObjectItem(json, "before"), 8192, false);
    assert_int_equal(number(json, "cell_frames"), 16 * 512);
    cJSON_Delete(json);
}

static void same_seed_same_picture(void **state)
{
    static char first[PROGRAM_TEXT];

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        PROGRAM_RUN(&program, "frag", "--memory", "64M", "--rounds", "5", "--seed", "77");
        assert_int_equal(program.status, 0);
        if (i == 0)
            memcpy(first, program.out, sizeof(first));
        assert_string_equal(program.out, first);
    }
    assert_null(strchr(program.out, '\033'));
    PROGRAM_RUN(&program, "frag", "--memory", "64M", "--rounds", "5", "--seed", "78");
    assert_string_not_equal(program.out, first);
}

/* What each kind of lifetime leaves is as much as was asked for, and its own. */
static void lifetimes(void **state)
{
    static const char *const kinds[] = {"uniform", "short", "long", "generational", "mixed"};
    static char drawn[5][PROGRAM_TEXT];

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        cJSON *json;

        PROGRAM_RUN(&program, "frag", "--memory", "64M", "--rounds", "300", "--fill", "70",
                    "--lifetimes", kinds[i], "--json", "-");
        json = json_of_output();
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(json, "lifetimes")), kinds[i]);
        check_picture(cJSON_GetObjectItem(json, "before"), 32, true);
        assert_int_equal(number(json, "refusals"), 0);
        /* 30 %, less what caches hold */
        assert_in_range(number(cJSON_GetObjectItem(json, "before"), "free_frames"), 4400, 4916);
        memcpy(drawn[i], program.out, sizeof(drawn[i]));
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(strstr(drawn[i], "first_frame"),
                                    strstr(drawn[k], "first_frame"));
        cJSON_Delete(json);
    }
}

/* A zone that is filled up in the middle of the run, and whose runs live longer than that. */
static void peaks(void **state)
{
    cJSON *json;

    (void)state;
    PROGRAM_RUN(&program, "frag", "--memory", "64M", "--rounds", "100", "--fill", "50", "--peak",
                "98", "--lifetimes", "long", "--json", "-", "--compact", "0");
    json = json_of_output();
    assert_in_range(number(cJSON_GetObjectItem(json, "before"), "free_frames"), 1, 4916);
    cJSON_Delete(json);
}

static void draws_svg(void **state)
{
    (void)state;
    PROGRAM_RUN(&program, "frag", "--memory", "64M", "--rounds", "5", "--svg", "-");
    assert_int_equal(program.status, 0);
    assert_int_equal(strncmp(program.out, "<svg ", 5), 0);
    assert_non_null(strstr(program.out, ">Compacted</text>"));
    assert_non_null(strstr(program.out, "</svg>\n"));
    assert_non_null(strstr(program.error, "Compacted: "));
    PROGRAM_RUN(&program, "frag", "--memory", "64M", "--rounds", "5", "--svg", "/nowhere/x.svg");
    assert_int_equal(program.status, 1);
    assert_non_null(strstr(program.error, "--svg /nowhere/x.svg: No such file or directory: "
                                          "expected a file that can be written"));
}

static void refusals(void **state)
{
    static const struct {
        const char *args[5], *wrong, *right;
    } cases[] = {
        {{"--fill", "100"}, "--fill 100", "from 1 to 99"},
        {{"--fill", "a"}, "--fill a", "from 1 to 99"},
        {{"--orders", "3-1"}, "--orders 3-1", "such as 0-3 or 2"},
        {{"--orders", "0-11"}, "--orders 0-11", "such as 0-3 or 2"},
        {{"--orders", "-1"}, "--orders -1", "such as 0-3 or 2"},
        {{"--orders", "2x"}, "--orders 2x", "such as 0-3 or 2"},
        {{"--orders", ""}, "--orders ", "such as 0-3 or 2"},
        {{"--peak", "100"}, "--peak 100", "from 1 to 99"},
        {{"--peak", "80"}, "--peak 80", "more than --fill, which is 80"},
        {{"--lifetimes", "shorter"}, "--lifetimes shorter", "uniform, short, long, generational"},
        {{"--memory", "1M"}, "--memory 1M", "from 4M to 256G"},
        {{"--memory", "1P"}, "--memory 1P", "from 4M to 256G"},
        {{"--columns", "2"}, "--columns 2", "from 16 to 512"},
        {{"--unmovable", "101"}, "--unmovable 101", "from 0 to 100"},
        {{"--zone", "3"}, "--zone 3", "one of the 1 zones"},
        {{"--map", "/nowhere"}, "/nowhere", "expected"},
        {{"--map", "x", "--memory", "4M"}, "--map and --memory", "one of them"},
        {{"--svg", "-", "--json", "-"}, "--svg - and --json -", "one of them"},
        {{"--rounds"}, "--rounds", "needs a value"},
        {{"--fil", "1", "x"}, "unexpected x", "quire frag --help"},
        {{"--wrong"}, "--wrong", "quire frag --help"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *args[7] = {"frag"};

        memcpy(args + 1, cases[i].args, sizeof(cases[i].args));
        program_run(&program, args);
        if (program.status != 2 || !strstr(program.error, cases[i].wrong) ||
            !strstr(program.error, cases[i].right) || program.out[0])
            fail_msg("%s: status %d, \"%s\"", cases[i].wrong, program.status, program.error);
        assert_string_equal(strchr(program.error, '\n'), "\n");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_and_after),
        cmocka_unit_test(a_real_map),
        cmocka_unit_test(same_seed_same_picture),
        cmocka_unit_test(lifetimes),
        cmocka_unit_test(peaks),
        cmocka_unit_test(draws_svg),
        cmocka_unit_test(refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
