/* SPDX-License-Identifier: MIT
 *
 * test_real.c - `quire map` on the boot logs of four real machines (stress/data/memory-maps).
 *
 * The figures below were worked out from the logs with a calculator, not with this program: `ram`
 * is the sum of all usable ranges in frames, less those that the log's "e820: update" lines take
 * away; `reserved` is what of that lies below 2 MiB; `firmware` is the sum of everything else that
 * the log names. A zone's `frames` are the `ram` between its bounds. How many of them metadata
 * takes is the allocator's business, so usable, reserved and metadata frames are compared as a sum.
 */
#include "stress/common/assert.h"

#include "stress/common/program.h"
#include "stress/common/sizes.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

enum { ZONES = 4 };

struct zone_want {
    unsigned node;
    const char *type;
    double start, end; /* of its memory, with metadata; end - 1 is the last byte */
    double frames;
};

struct real_map {
    const char *path, *regions;
    double ram, reserved, firmware;
    size_t zone_count;
    struct zone_want zones[ZONES];
};

static const struct real_map desktop = {
    MAPS "/desktop-msi-a320m.txt",
    "19",
    4181773,
    415,
    38003,
    3,
    {{0, "DMA", 0x1000, 0x1000000, 3999},
     {0, "DMA32", 0x1000000, 0xdf000000, 904174},
     {0, "Normal", 0x100000000, 0x41f380000, 3273600}},
};
static const struct real_map laptop = {
    MAPS "/laptop-alienware15r2.txt",
    "23",
    3120074,
    414,
    79080,
    3,
    {{0, "DMA", 0, 0x1000000, 3998},
     {0, "DMA32", 0x1000000, 0x37fff000, 216108},
     {0, "Normal", 0x100000000, 0x3c4000000, 2899968}},
};
static const struct real_map fujitsu = {
    MAPS "/server-fujitsu-cx2550m2-2node.txt",
    "13",
    67068580,
    256,
    109445,
    3,
    {{0, "DMA", 0x100000, 0x1000000, 3840},
     {0, "DMA32", 0x1000000, 0x7c000000, 480164},
     {0, "Normal", 0x100000000, 0x4080000000, 66584576}},
};
static const struct real_map altra = {
    MAPS "/server-ampere-altra-4node-srat.txt",
    "7",
    134144256,
    0,
    0,
    4,
    {{0, "Normal", 0x80000000000, 0x84000000000, 66846720},
     {1, "Normal", 0x400000000000, 0x404000000000, 66846720},
     {2, "DMA32", 0x88300000, 0xc0000000, 196864},
     {3, "DMA32", 0xc2000000, 0x100000000, 253952}},
};

static double number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

    if (!cJSON_IsNumber(item))
        fail_msg("no number \"%s\"", key);
    return item->valuedouble;
}

static const char *string(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

    if (!cJSON_IsString(item))
        fail_msg("no string \"%s\"", key);
    return item->valuestring;
}

static void same(const char *what, double got, double want)
{
    if (got < want || got > want)
        fail_msg("%s: got %.0f, want %.0f", what, got, want);
}

/* Frames that the regions call `what` between two addresses. */
static double frames_called(const cJSON *root, const char *what, double start, double end)
{
    const cJSON *region;
    double sum = 0;

    cJSON_ArrayForEach(region, cJSON_GetObjectItemCaseSensitive(root, "regions"))
    {
        double from = number(region, "start"), frames = number(region, "frames");
        if (strcmp(string(region, "what"), what) == 0 && from >= start &&
            from + frames * FRAME_BYTES <= end)
            sum += frames;
    }
    return sum;
}

static void check_zone(const cJSON *root, const cJSON *zone, const struct zone_want *want)
{
    double metadata = frames_called(root, "metadata", want->start, want->end);
    double usable = number(zone, "usable_frames"), reserved = number(zone, "reserved_frames");
    double start = number(zone, "start"), end = number(zone, "end");

    same("node", number(zone, "node"), want->node);
    assert_string_equal(string(zone, "type"), want->type);
    same("start of the zone", start, want->start);
    same("frames of the zone", usable + reserved + metadata, want->frames);
    same("usable frames in the regions", frames_called(root, "usable", start, end), usable);
    same("hole frames", number(zone, "hole_frames"),
         (end - start) / FRAME_BYTES - usable - reserved);
    /* Metadata is in the node's own memory, at the top, which shortens the zone there. */
    assert_true(end <= want->end && end >= want->end - metadata * FRAME_BYTES);
    same("node of the metadata", number(zone, "metadata_node"), want->node);
    /* The design's figure, with what a zone of any size has: its head, slots and pins. */
    assert_true(number(zone, "metadata_bytes") < (end - start) * 0.00031 + 40000);
}

static void check_metadata(const cJSON *root)
{
    const cJSON *table = cJSON_GetObjectItemCaseSensitive(root, "frame_table"), *zone;
    double bytes = number(table, "bytes");

    cJSON_ArrayForEach(zone, cJSON_GetObjectItemCaseSensitive(root, "zones"))
    {
        double start = number(zone, "metadata_start"), size = number(zone, "metadata_bytes");
        assert_true(frames_called(root, "metadata", 0, 0x1p52) * FRAME_BYTES >= size);
        assert_int_equal((uint64_t)start % FRAME_BYTES, 0);
        bytes += size;
    }
    same("metadata bytes", number(root, "metadata_bytes"), bytes);
}

static void check_map(void **state)
{
    const struct real_map *want = *state;
    static struct program program;
    double sum = 0;

    PROGRAM_RUN(&program, "map", "--map", want->path, "--json", "-");
    assert_string_equal(program.error, "");
    assert_int_equal(program.status, 0);
    cJSON *root = cJSON_Parse(program.out);
    assert_non_null(root);
    const cJSON *zones = cJSON_GetObjectItemCaseSensitive(root, "zones");
    assert_int_equal(cJSON_GetArraySize(zones), want->zone_count);
    for (size_t i = 0; i < want->zone_count; i++) {
        const cJSON *zone = cJSON_GetArrayItem(zones, (int)i);
        check_zone(root, zone, &want->zones[i]);
        sum += number(zone, "usable_frames");
    }
    const cJSON *left_out = cJSON_GetObjectItemCaseSensitive(root, "left_out");
    same("usable frames", number(root, "usable_frames"), sum);
    same("reserved frames", number(left_out, "reserved_frames"), want->reserved);
    same("firmware frames", number(left_out, "firmware_frames"), want->firmware);
    same("all memory", sum + want->reserved + number(left_out, "metadata_frames"), want->ram);
    check_metadata(root);
    cJSON_Delete(root);
}

/* The table says the same as the JSON. */
static void check_table(void **state)
{
    const struct real_map *want = *state;
    static struct program program;
    char line[256];

    PROGRAM_RUN(&program, "map", "--map", want->path);
    assert_int_equal(program.status, 0);
    snprintf(line, sizeof(line), "%s: boot log, %s regions\n", want->path, want->regions);
    assert_memory_equal(program.out, line, strlen(line));
    snprintf(line, sizeof(line), " in %zu zones, metadata ", want->zone_count);
    assert_non_null(strstr(program.out, line));
    snprintf(line, sizeof(line), "\n%12.0f frames reserved for now: the first 2 MiB\n",
             want->reserved);
    assert_int_equal(strstr(program.out, line) != NULL, want->reserved > 0);
    snprintf(line, sizeof(line), "\n%12.0f frames reserved by the firmware: never handed out\n",
             want->firmware);
    assert_int_equal(strstr(program.out, line) != NULL, want->firmware > 0);
}

int main(void)
{
#define CASE(test, map) cmocka_unit_test_prestate(test, (void *)(uintptr_t) & (map))
    const struct CMUnitTest tests[] = {
        CASE(check_map, desktop),   CASE(check_map, laptop),    CASE(check_map, fujitsu),
        CASE(check_map, altra),     CASE(check_table, desktop), CASE(check_table, laptop),
        CASE(check_table, fujitsu), CASE(check_table, altra),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
