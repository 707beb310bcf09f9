/* SPDX-License-Identifier: MIT
 *
 * draw.c - a picture as lines of text: a letter for each cell, on its colour where there are
 * colours.
 *
 * No state. Main thread.
 */
#include "frag.h"

#include "host-harness/cli/cli.h"

#include <inttypes.h>

static void put_cell(enum frag_cell cell, bool coloured, FILE *to)
{
    const struct frag_look *look = &frag_looks[cell];

    if (coloured && look->colour)
        (void)fprintf(to, "\033[30;48;5;%um%c", look->colour, look->letter);
    else
        (void)fprintf(to, "%s%c", coloured ? "\033[0m" : "", look->letter);
}

void frag_draw(const struct frag *f, const struct frag_picture *picture, bool coloured, FILE *to)
{
    char line[256];

    (void)fprintf(to, "%s\n", frag_picture_line(picture, line, sizeof(line)));
    if (picture->sections)
        (void)fprintf(to,
                      "Of %" PRIu64 " sections of 1 GiB %" PRIu64 " have no unmovable run, %" PRIu64
                      " are free (could be: %" PRIu64 ")\n",
                      picture->sections, picture->clean, picture->free_sections,
                      picture->possible_sections);
    for (size_t i = 0; i < picture->count; i += f->options.columns) {
        (void)fprintf(to, "%#14" PRIx64 " |", (f->first + i * f->cell_frames) << 12);
        for (size_t j = i; j < i + f->options.columns && j < picture->count; j++)
            put_cell((enum frag_cell)picture->cells[j], coloured, to);
        (void)fprintf(to, "%s|\n", coloured ? "\033[0m" : "");
    }
}

void frag_draw_legend(const struct frag *f, bool coloured, FILE *to)
{
    char bytes[32];

    (void)fprintf(to, "A cell is %s", cli_bytes(bytes, sizeof(bytes), f->cell_frames << 12));
    (void)fprintf(to, f->cell_frames == 1 << QUIRE_BLOCK_ORDER
                          ? ", a block; blocks before, after:\n"
                          : "; blocks before, after:\n");
    for (unsigned i = 0; i < FRAG_CELLS; i++) {
        if (!f->before.blocks[i] && !f->after.blocks[i])
            continue;
        (void)fputs("  ", to);
        put_cell((enum frag_cell)i, coloured, to);
        (void)fprintf(to, "%s %-38s %8" PRIu64, coloured ? "\033[0m" : "", frag_looks[i].word,
                      f->before.blocks[i]);
        if (f->after.cells)
            (void)fprintf(to, " %8" PRIu64, f->after.blocks[i]);
        (void)fputc('\n', to);
    }
}
