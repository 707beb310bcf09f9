/* SPDX-License-Identifier: MIT
 *
 * load.c - maps from files, and this machine's own.
 */
#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Read a whole file into *text, at most one byte more than a map may have. The size is not asked
 * for first: files in /proc have none, and a pipe is welcome. */
static int read_all(struct map_input *input, int file, char **text, size_t *bytes)
{
    size_t room = 0, used = 0;

    *text = NULL;
    for (;;) {
        if (used == room) {
            room = room ? 2 * room : 1 << 16;
            char *grown = realloc(*text, room);
            if (!grown)
                return map_fail(input, "no memory to read it");
            *text = grown;
        }
        ssize_t got = read(file, *text + used, room - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return map_fail(input, "cannot be read: %s: expected a readable file", strerror(errno));
        used += (size_t)got;
        if (got == 0 || used > MAP_MAX_BYTES) {
            *bytes = used;
            return 0;
        }
    }
}

int map_read_file(struct map_input *input, char **text, size_t *bytes)
{
    *text = NULL;
    if (strcmp(input->name, "-") == 0) {
        input->name = "standard input";
        return read_all(input, STDIN_FILENO, text, bytes);
    }
    int file = open(input->name, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return map_fail(input, "cannot be opened: %s: expected a readable file", strerror(errno));
    int result = read_all(input, file, text, bytes);
    close(file);
    return result;
}

bool map_cut_address(char *path, uint64_t *address)
{
    char *at = strrchr(path, '@');

    if (!at || access(path, F_OK) == 0 || !map_parse_size(at + 1, address))
        return false;
    *at = '\0';
    return true;
}

static int load_map(struct map *map, const char *path, unsigned flags, struct map_error *error)
{
    struct map_region file = {.kind = MAP_RESERVED, .node = MAP_NODE_ANY};
    char *name = strdup(path);
    struct map_input input = {.name = name ? name : path, .error = error};
    size_t bytes = 0;
    char *text = NULL;

    if (!name)
        return map_fail(&input, "no memory for its name");
    bool placed = map_cut_address(name, &file.start);
    int result = map_read_file(&input, &text, &bytes);
    if (!result)
        result = map_parse(map, input.name, text, bytes, flags, error);
    if (!result && placed) {
        bool fits = file.start <= MAP_PHYS_LIMIT;
        file.end = fits ? file.start + bytes : UINT64_MAX;
        file.line = (uint32_t)map->count + 1;
        result = map_add(map, &input, &file);
        if (result)
            map_free(map);
    }
    free(text);
    free(name);
    return result;
}

static int read_meminfo(struct map *map, struct map_input *input)
{
    struct map_region region = {.kind = MAP_USABLE, .node = MAP_NODE_ANY};
    struct map_span line;
    uint64_t kib;

    while (map_next_line(input, &line)) {
        if (!map_skip(&line, "MemTotal:"))
            continue;
        map_skip_blanks(&line);
        if (map_digits(&line, 10, &kib) != MAP_NUMBER_OK || !map_span_is(line, " kB") || !kib ||
            kib > MAP_PHYS_LIMIT >> 10)
            return map_fail(input, "expected \"MemTotal: N kB\"");
        region.end = kib << 10;
        region.line = input->line;
        return map_add(map, input, &region);
    }
    return map_fail(input, "no line \"MemTotal: N kB\"");
}

/* One region of the size that the kernel counts, from address 0. */
static int load_meminfo(struct map *map, struct map_error *error)
{
    struct map_input input = {.name = "/proc/meminfo", .error = error};
    size_t bytes = 0;
    char *text;

    int result = map_read_file(&input, &text, &bytes);
    if (!result) {
        input.rest = (struct map_span){text, text + bytes};
        result = read_meminfo(map, &input);
    }
    free(text);
    if (result)
        map_free(map);
    return result;
}

int map_load(struct map *map, const char *path, unsigned flags, struct map_error *error)
{
    struct map_error why;

    memset(map, 0, sizeof(*map));
    if (path)
        return load_map(map, path, flags, error);
    if (load_map(map, "/proc/iomem", flags, &why) == 0) {
        snprintf(map->source, sizeof(map->source), "/proc/iomem of this machine");
        return 0;
    }
    if (flags & MAP_STRICT) {
        *error = why;
        return -1;
    }
    if (load_meminfo(map, error))
        return -1;
    map->format = "/proc/meminfo";
    snprintf(map->source, sizeof(map->source), "MemTotal of this machine's /proc/meminfo");
    snprintf(map->note, sizeof(map->note), "one region from 0 stands for the real ones: %.400s",
             why.text);
    return 0;
}
