/* SPDX-License-Identifier: MIT
 *
 * cmd_frag.c - `quire frag`: draw how a zone is fragmented under a load, and what compaction makes
 * of it.
 *
 * State: one struct frag (see frag/frag.h). Main thread.
 */
#include "cli.h"
#include "host-harness/frag/frag.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_stdout(const char *path)
{
    return path && strcmp(path, "-") == 0;
}

static void print(const struct frag *f)
{
    FILE *to = is_stdout(f->options.svg) || is_stdout(f->options.json) ? stderr : stdout;
    bool coloured = !f->options.plain && !getenv("NO_COLOR") && isatty(fileno(to));
    char bytes[32];

    (void)fprintf(to,
                  "Zone %" PRIu32 ", %s of node %" PRIu32 ", %s, %s; %zu runs, %" PRIu64
                  " requests refused\n\n",
                  f->options.zone, zone_type_name(f->zone->type), f->zone->node,
                  cli_bytes(bytes, sizeof(bytes), f->before.managed << 12), f->map.source,
                  f->run_count, f->refusals);
    frag_draw(f, &f->before, coloured, to);
    if (f->after.cells) {
        (void)fprintf(to, "\n%" PRIu64 " range%s of %s emptied, %" PRIu64 " frames moved\n\n",
                      f->won, f->won == 1 ? "" : "s",
                      cli_bytes(bytes, sizeof(bytes), UINT64_C(4096) << f->options.range),
                      f->moves);
        frag_draw(f, &f->after, coloured, to);
    }
    (void)fputc('\n', to);
    frag_draw_legend(f, coloured, to);
}

static struct cJSON *json_of(const struct frag_picture *picture)
{
    struct cJSON *json = cJSON_CreateObject(), *blocks = cJSON_CreateObject();
    char *cells = calloc(picture->count + 1, 1);

    cJSON_AddNumberToObject(json, "managed_frames", (double)picture->managed);
    cJSON_AddNumberToObject(json, "free_frames", (double)picture->free);
    cJSON_AddNumberToObject(json, "whole_blocks", (double)picture->whole);
    cJSON_AddNumberToObject(json, "possible_blocks", (double)picture->possible);
    cJSON_AddNumberToObject(json, "blocks_with_unmovable", (double)picture->unmovable);
    cJSON_AddNumberToObject(json, "sections", (double)picture->sections);
    cJSON_AddNumberToObject(json, "sections_without_unmovable", (double)picture->clean);
    cJSON_AddNumberToObject(json, "free_sections", (double)picture->free_sections);
    cJSON_AddNumberToObject(json, "possible_sections", (double)picture->possible_sections);
    for (unsigned i = 0; i < FRAG_CELLS; i++)
        cJSON_AddNumberToObject(blocks, frag_looks[i].word, (double)picture->blocks[i]);
    cJSON_AddItemToObject(json, "blocks", blocks);
    for (size_t i = 0; cells && i < picture->count; i++)
        cells[i] = frag_looks[picture->cells[i]].letter;
    cJSON_AddStringToObject(json, "cells", cells ? cells : "");
    free(cells);
    return json;
}

static int write_json(const struct frag *f)
{
    struct cJSON *root = cJSON_CreateObject();
    int status;

    cJSON_AddNumberToObject(root, "zone", f->options.zone);
    cJSON_AddStringToObject(root, "type", zone_type_name(f->zone->type));
    cJSON_AddNumberToObject(root, "node", f->zone->node);
    cJSON_AddNumberToObject(root, "seed", (double)f->options.seed);
    cJSON_AddStringToObject(root, "lifetimes", frag_lifetime_names[f->options.lifetimes]);
    cJSON_AddNumberToObject(root, "first_frame", (double)f->first);
    cJSON_AddNumberToObject(root, "cell_frames", (double)f->cell_frames);
    cJSON_AddNumberToObject(root, "runs", (double)f->run_count);
    cJSON_AddNumberToObject(root, "refusals", (double)f->refusals);
    cJSON_AddItemToObject(root, "before", json_of(&f->before));
    if (f->after.cells) {
        cJSON_AddNumberToObject(root, "emptied_ranges", (double)f->won);
        cJSON_AddNumberToObject(root, "moved_frames", (double)f->moves);
        cJSON_AddItemToObject(root, "after", json_of(&f->after));
    }
    status = cli_write_json("frag", f->options.json, root);
    cJSON_Delete(root);
    return status;
}

static int run(struct frag *f)
{
    int status = frag_churn(f);

    if (status != CLI_OK)
        return status;
    if (!frag_picture_take(f, "Under load", &f->before)) {
        cli_fail("frag", "no memory for a picture");
        return CLI_FAILED;
    }
    if (f->options.compact > 0) {
        status = frag_compact(f);
        if (status != CLI_OK)
            return status;
        if (!frag_picture_take(f, "Compacted", &f->after)) {
            cli_fail("frag", "no memory for a picture");
            return CLI_FAILED;
        }
    }
    print(f);
    if (f->options.svg)
        status = frag_svg(f, f->options.svg);
    if (f->options.json && status == CLI_OK)
        status = write_json(f);
    return status;
}

int cmd_frag(int argc, char **argv)
{
    static struct frag f;
    bool help;
    int status;

    f = (struct frag){0};
    status = frag_options_parse(&f.options, argc, argv, &help);
    if (status != CLI_OK || help)
        return status;
    status = cli_check_json("frag", f.options.json);
    if (status == CLI_OK)
        status = frag_machine_build(&f);
    if (status == CLI_OK)
        status = run(&f);
    frag_machine_teardown(&f);
    return status;
}
