/* SPDX-License-Identifier: MIT
 *
 * reader.h - what the readers of the four formats share: lines, spans of a line, numbers, and
 * errors that name file and line. Private to map*.c and topo*.c.
 *
 * A span is a piece of the file's text, not ended by a NUL: nothing here reads outside of it. The
 * functions that take a span by pointer move its start past what they read, and leave it alone
 * when they fail. No state besides the caller's.
 */
#ifndef HOST_HARNESS_MACHINES_MAP_READER_H
#define HOST_HARNESS_MACHINES_MAP_READER_H

#include "map.h"

#include <stdarg.h>

struct map_span {
    const char *at, *end;
};

/* A file being read: its name and rest, the current line, where errors go. */
struct map_input {
    const char *name;
    struct map_span rest;
    uint32_t line; /* 0 before the first */
    struct map_error *error;
    uint32_t compared; /* map_compare */
    bool strict;       /* MAP_STRICT; of a device tree take what it contradicts itself in, for the
                        * caller refuses it */
};

/* Step to the next line; *line is without its end, without white space at its end, and without a
 * terminal's colour codes at both. False at the end of the file. */
bool map_next_line(struct map_input *input, struct map_span *line);

/* Fill the error with "NAME:LINE: ..." ("NAME: ..." before the first line) and return -1. */
__attribute__((format(printf, 2, 3))) int map_fail(struct map_input *input, const char *format,
                                                   ...);

/* Add to what the reader had to assume, in one line. */
__attribute__((format(printf, 2, 3))) void map_note(struct map *map, const char *format, ...);

/* What a span may look like in an error: at most 40 characters, printable. `text` has room for
 * MAP_SHOWN bytes; returns it. */
enum { MAP_SHOWN = 48 };
const char *map_show(struct map_span span, char *text);

bool map_span_is(struct map_span span, const char *literal);
bool map_skip(struct map_span *span, const char *literal);
void map_skip_blanks(struct map_span *span);
void map_skip_colours(struct map_span *span); /* of a terminal */
/* Move past the first `literal` in the span; false if there is none. */
bool map_find(struct map_span *span, const char *literal);
/* Cut the next word, up to a blank or the end, off the span; an empty word at the end. */
struct map_span map_word(struct map_span *span);

enum map_number { MAP_NUMBER_OK, MAP_NUMBER_NONE, MAP_NUMBER_TOO_BIG };
/* Read digits of base 10 or 16. */
enum map_number map_digits(struct map_span *span, unsigned base, uint64_t *value);
/* A whole span as a size, see map_parse_size. */
enum map_number map_size(struct map_span span, uint64_t *bytes);

/* FILE@ADDRESS, of which there is no file of that whole name: cut it, and true. */
bool map_cut_address(char *path, uint64_t *address);

/* Read the whole file `name` into *text, which is to be freed even after an error; at most one byte
 * more than a map may have. "-" is the standard input, and called so from then on. 0, or -1 after
 * map_fail. */
int map_read_file(struct map_input *input, char **text, size_t *bytes);

/* Append a region, checking what MR2 and MR4 of map.h ask. 0, or -1 after map_fail. */
int map_add(struct map *map, struct map_input *input, const struct map_region *region);

/* To be called before a walk over the regions: a file that asks for ever more of them, though it
 * adds none, would take long. 0, or -1 after map_fail. */
int map_compare(struct map_input *input);

/* Memory of one kind and node that meets in the middle of a page becomes one region: the page is
 * whole, though neither has all of it. 0, or -1 if there is no memory for it. */
enum { MAP_PAGE = 4096 };
int map_join(struct map *map);

/* The readers: append the file's regions to an empty map. 0, or -1 after map_fail. */
int map_read_bootlog(struct map *map, struct map_input *input);
int map_read_iomem(struct map *map, struct map_input *input);
int map_read_list(struct map *map, struct map_input *input);
int map_read_dtb(struct map *map, struct map_input *input);
bool map_is_bootlog(struct map_span text);
bool map_is_dtb(struct map_span text);

#endif /* HOST_HARNESS_MACHINES_MAP_READER_H */
