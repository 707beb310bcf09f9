/* SPDX-License-Identifier: MIT
 *
 * svg.c - the pictures before and after as one SVG file, side by side, with a legend.
 *
 * Cells of one kind in a row are one rectangle. No state. Main thread.
 */
#include "frag.h"

#include "host-harness/cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { CELL = 9, MARGIN = 16, TITLE = 40, LEGEND_LINE = 18, FONT = 12 };

static unsigned rows_of(const struct frag *f)
{
    return (unsigned)((f->before.count + f->options.columns - 1) / f->options.columns);
}

static void put_title(const struct frag_picture *picture, unsigned x, FILE *to)
{
    (void)fprintf(to,
                  "<text x=\"%u\" y=\"%d\" font-weight=\"bold\">%s</text>\n"
                  "<text x=\"%u\" y=\"%d\">%" PRIu64 " whole blocks of %" PRIu64
                  " possible</text>\n",
                  x, MARGIN + FONT, picture->name, x, MARGIN + 2 * FONT + 4, picture->whole,
                  picture->possible);
}

static void put_cells(const struct frag *f, const struct frag_picture *picture, unsigned x,
                      FILE *to)
{
    const unsigned columns = f->options.columns;

    for (size_t i = 0, n; i < picture->count; i += n) {
        const struct frag_look *look = &frag_looks[picture->cells[i]];

        for (n = 1; i + n < picture->count && (i + n) % columns != 0 &&
                    picture->cells[i + n] == picture->cells[i];)
            n++;
        if (look->letter == ' ')
            continue;
        (void)fprintf(to, "<rect x=\"%zu\" y=\"%zu\" width=\"%zu\" height=\"%d\" fill=\"%s\"/>\n",
                      x + i % columns * CELL, MARGIN + TITLE + i / columns * CELL, n * CELL - 1,
                      CELL - 1, look->web);
    }
}

static void put_legend(const struct frag *f, unsigned y, FILE *to)
{
    char bytes[32];

    (void)fprintf(to, "<text x=\"%d\" y=\"%u\">A cell is %s.</text>\n", MARGIN, y,
                  cli_bytes(bytes, sizeof(bytes), f->cell_frames << 12));
    for (unsigned i = 0; i < FRAG_CELLS; i++) {
        if (i == CELL_HOLE || (!f->before.blocks[i] && !f->after.blocks[i]))
            continue;
        y += LEGEND_LINE;
        (void)fprintf(to,
                      "<rect x=\"%d\" y=\"%u\" width=\"%d\" height=\"%d\" fill=\"%s\"/>\n"
                      "<text x=\"%d\" y=\"%u\">%s: %" PRIu64 " blocks, then %" PRIu64 "</text>\n",
                      MARGIN, y - CELL, CELL, CELL, frag_looks[i].web, MARGIN + 2 * CELL, y,
                      frag_looks[i].word, f->before.blocks[i],
                      f->after.cells ? f->after.blocks[i] : f->before.blocks[i]);
    }
}

static void put_all(const struct frag *f, FILE *to)
{
    const unsigned panel = f->options.columns * CELL, pictures = f->after.cells ? 2 : 1;
    const unsigned bottom = MARGIN + TITLE + rows_of(f) * CELL;
    const unsigned width = MARGIN + pictures * (panel + MARGIN);
    const unsigned height = bottom + (FRAG_CELLS + 2) * LEGEND_LINE;

    (void)fprintf(to,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
                  "viewBox=\"0 0 %u %u\" font-family=\"sans-serif\" font-size=\"%d\">\n"
                  "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
                  width, height, width, height, FONT);
    put_title(&f->before, MARGIN, to);
    put_cells(f, &f->before, MARGIN, to);
    if (pictures > 1) {
        put_title(&f->after, 2 * MARGIN + panel, to);
        put_cells(f, &f->after, 2 * MARGIN + panel, to);
    }
    put_legend(f, bottom + 2 * LEGEND_LINE, to);
    (void)fputs("</svg>\n", to);
}

int frag_svg(const struct frag *f, const char *path)
{
    FILE *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    bool failed = !file;

    if (file) {
        put_all(f, file);
        failed = fflush(file) != 0 || ferror(file);
        if (file != stdout && fclose(file) != 0)
            failed = true;
    }
    if (!failed)
        return CLI_OK;
    cli_fail("frag", "--svg %.200s: %s: expected a file that can be written", path,
             strerror(errno));
    return CLI_FAILED;
}
