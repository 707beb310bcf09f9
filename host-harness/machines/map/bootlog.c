/* SPDX-License-Identifier: MIT
 *
 * bootlog.c - the reader of boot logs, of Linux and of Xen.
 *
 * Of all the lines of a log, with or without time stamps, these say where memory is; they are read
 * in the log's order and everything else is passed over (bootlog_line.c has their other wordings):
 *
 *     BIOS-e820: [mem 0x0000000000100000-0x00000000760f1fff] usable
 *     user: [mem 0x0000000000100000-0x0000000068792fff] usable
 *     e820: update [mem 0x00000000-0x00000fff] usable ==> reserved
 *     e820: remove [mem 0x000a0000-0x000fffff] usable
 *     ACPI: SRAT: Node 1 PXM 1 [mem 0x400100000000-0x403fffffffff] hotplug
 *     efi: mem01: [Conventional Memory|...|WB|WT|WC|UC] range=[0x1000-0x58000) (0MB)
 *     Early memory node ranges
 *       node   0: [mem 0x0000000000000000-0x000000003b2fffff]
 *
 * A table (e820) decides the kind of memory, the affinity table (SRAT) its node. A kernel may print
 * several tables: of what the firmware said, of what a boot loader's data or the command line made
 * of that. Each replaces the one before, the changes up to then being in it; so the last one is in
 * force, with the changes behind it.
 *
 * SRAT is distrusted as Linux does: a range beyond 2^52, or that another node has already, costs
 * itself and a note. Of a hot-plug window and memory that was there the window goes.
 *
 * A log without a table, as from machines that have no e820, has the firmware's EFI map; else the
 * early ranges of nodes; else SRAT, of which every range counts as usable, save hot-plug windows
 * and non-volatile memory.
 */
#include "bootlog.h"

struct reader {
    struct map *map; /* the table in force, or what stands for one */
    struct map srat;
    struct map_input *input;
    size_t lines[LOG_WHATS];  /* how many there are of each */
    enum log_owner owner;     /* of the table in force */
    const char *name;         /* of its lines */
    uint32_t first;           /* the first one of them */
    size_t replaced;          /* tables that others replaced */
    uint32_t titled;          /* the line that announced a table of which nothing came yet, or 0 */
    enum log_owner announced; /* its owner */
    bool begun[LOG_OWNERS];   /* such a table was announced */
    bool early;               /* the early ranges of nodes were */
    bool command;             /* the command line has memory in it */
    size_t distrusted;        /* ranges of SRAT */
    uint32_t suspect;         /* the line of the first one */
};

static void count_lines(struct reader *reader)
{
    struct map_input input = *reader->input;
    struct map_span line;

    while (map_next_line(&input, &line))
        reader->lines[log_classify(line).what]++;
}

bool map_is_bootlog(struct map_span text)
{
    struct map_input input = {.rest = text};
    struct map_span line;

    while (map_next_line(&input, &line)) {
        enum log_what what = log_classify(line).what;

        if (what == LOG_ENTRY || what == LOG_SRAT || what == LOG_EFI || what == LOG_NODES)
            return true;
    }
    return false;
}

static int second_boot(struct reader *reader)
{
    return map_fail(reader->input, "a second boot starts here: expected the log of one boot");
}

static int read_title(struct reader *reader, enum log_owner owner)
{
    if (owner != LOG_LATER && owner != LOG_EXTENDED && reader->begun[owner])
        return second_boot(reader);
    reader->begun[owner] = true;
    reader->titled = reader->input->line;
    reader->announced = owner;
    return 0;
}

/* Is the line the first one of a table? */
static bool begins_table(const struct reader *reader, const struct log_line *line)
{
    return reader->owner == LOG_NOBODY || reader->titled || line->name != reader->name;
}

static int begin_table(struct reader *reader, const struct log_line *line)
{
    if (line->owner == LOG_FIRMWARE && reader->owner > LOG_HYPERVISOR)
        return second_boot(reader);
    reader->replaced += reader->owner != LOG_NOBODY;
    reader->map->count = 0;
    reader->owner = line->owner;
    reader->name = line->name;
    reader->first = reader->input->line;
    reader->titled = 0;
    return 0;
}

static int read_entry(struct reader *reader, const struct log_line *line)
{
    struct map_region region;

    if ((begins_table(reader, line) && begin_table(reader, line)) ||
        log_entry(reader->input, *line, &region))
        return -1;
    return region.start < region.end ? map_add(reader->map, reader->input, &region) : 0;
}

static int apply_change(struct map *map, struct map_input *input, const struct log_change *change)
{
    size_t count = map->count, kept = 0;
    bool changed = false;

    for (size_t i = 0; i < count; i++) {
        struct map_region old = map->regions[i];
        struct map_region inner = old;
        if (inner.start < change->range.start)
            inner.start = change->range.start;
        if (inner.end > change->range.end)
            inner.end = change->range.end;
        if (inner.start >= inner.end || (!change->any_kind && old.kind != change->from) ||
            (!change->vanish && old.kind == change->to))
            continue;
        changed = true;
        inner.kind = change->to;
        inner.line = change->range.line;
        /* What is left before and behind stays as it was; an empty region is swept out below. */
        struct map_region behind = old;
        behind.start = inner.end;
        map->regions[i].end = inner.start;
        if (!change->vanish && map_add(map, input, &inner))
            return -1;
        if (behind.start < behind.end && map_add(map, input, &behind))
            return -1;
    }
    if (!changed)
        return 0;
    for (size_t i = 0; i < map->count; i++) {
        if (map->regions[i].start < map->regions[i].end)
            map->regions[kept++] = map->regions[i];
    }
    map->count = kept;
    return 0;
}

static int read_change(struct reader *reader, const struct log_line *line)
{
    struct log_change change;

    if (log_change(reader->input, *line, &change) || map_compare(reader->input))
        return -1;
    return apply_change(reader->map, reader->input, &change);
}

/* A region of where there is no table. */
static int read_region(struct reader *reader, const struct log_line *line, struct map *map,
                       log_reader *read)
{
    struct map_region region;

    if (read(reader->input, *line, &region))
        return -1;
    return region.start < region.end ? map_add(map, reader->input, &region) : 0;
}

static int read_efi(struct reader *reader, const struct log_line *line)
{
    if (reader->lines[LOG_ENTRY])
        return 0;
    if (line->number == 0 && reader->map->count)
        return second_boot(reader);
    return read_region(reader, line, reader->map, log_efi);
}

static bool needs_nodes(const struct reader *reader)
{
    return !reader->lines[LOG_ENTRY] && !reader->lines[LOG_EFI];
}

static int read_nodes(struct reader *reader)
{
    if (reader->early && needs_nodes(reader))
        return second_boot(reader);
    reader->early = true;
    return 0;
}

static int read_node(struct reader *reader, const struct log_line *line)
{
    if (!reader->early || !needs_nodes(reader))
        return 0;
    return read_region(reader, line, reader->map, log_node);
}

static void distrust(struct reader *reader, uint32_t line)
{
    if (reader->distrusted++ == 0)
        reader->suspect = line;
}

/* Does the range stay, beside the earlier ones? Takes out windows where it is memory. */
static bool keep_node_range(struct reader *reader, const struct map_region *region)
{
    struct map *srat = &reader->srat;
    size_t kept = 0;

    for (size_t i = 0; i < srat->count; i++) {
        const struct map_region *other = &srat->regions[i];

        if (other->node != region->node && other->start < region->end &&
            region->start < other->end &&
            (region->kind == MAP_NODE_ONLY || other->kind != MAP_NODE_ONLY))
            return false;
    }
    for (size_t i = 0; i < srat->count; i++) {
        struct map_region other = srat->regions[i];

        if (other.node != region->node && other.start < region->end && region->start < other.end)
            distrust(reader, other.line);
        else
            srat->regions[kept++] = other;
    }
    srat->count = kept;
    return true;
}

static int read_srat(struct reader *reader, const struct log_line *line)
{
    struct map_region region;

    if (log_srat(reader->input, *line, &region) || map_compare(reader->input))
        return -1;
    if (region.start == region.end)
        return 0;
    if (region.end > MAP_PHYS_LIMIT || !keep_node_range(reader, &region)) {
        distrust(reader, region.line);
        return 0;
    }
    return map_add(&reader->srat, reader->input, &region);
}

/* "Command line: ... mem=4G memmap=79G$82G" */
static bool commands_memory(struct map_span line)
{
    struct map_span rest = line;

    return map_find(&rest, "ommand line:") &&
           (map_find(&rest, " mem=") || map_find(&rest, " memmap="));
}

/* A file that ends in the middle of a line may lack more than that. */
static int check_end(const struct reader *reader, struct map_span line)
{
    struct map_input *input = reader->input;

    if (input->rest.at != input->rest.end || input->rest.at[-1] == '\n' || !log_cut_off(line))
        return 0;
    return map_fail(input, "truncated line at the end: expected the whole log, or its last line to "
                           "end");
}

static int read_line(struct reader *reader, struct map_span text)
{
    struct log_line line = log_classify(text);

    switch (line.what) {
    case LOG_TITLE:
        return read_title(reader, line.owner);
    case LOG_ENTRY:
        return read_entry(reader, &line);
    case LOG_UPDATE:
    case LOG_REMOVE:
        return read_change(reader, &line);
    case LOG_SRAT:
        return read_srat(reader, &line);
    case LOG_EFI:
        return read_efi(reader, &line);
    case LOG_NODES:
        return read_nodes(reader);
    case LOG_NODE:
        return read_node(reader, &line);
    case LOG_OTHER:
    default:
        reader->command |= commands_memory(text);
        return check_end(reader, text);
    }
}

/* A table that was announced and is not there would have been in force. The others change nothing
 * that lines of their own do not tell. */
static int check_titles(struct reader *reader)
{
    if (!reader->titled || reader->announced != LOG_LATER)
        return 0;
    reader->input->line = reader->titled;
    return map_fail(reader->input, "the table that is announced here is missing: expected its "
                                   "lines \"user: [mem 0xSTART-0xEND] KIND\" behind it");
}

/* Join what the tables say: affinity is only of the node where another one tells the kind. The
 * early ranges of nodes know both, and more exactly. */
static int merge(struct reader *reader, size_t *windows)
{
    bool has_table = reader->map->count != 0;

    if (has_table && reader->early && needs_nodes(reader))
        return 0;
    for (size_t i = 0; i < reader->srat.count; i++) {
        struct map_region region = reader->srat.regions[i];

        *windows += region.kind == MAP_NODE_ONLY && !has_table;
        if (has_table)
            region.kind = MAP_NODE_ONLY;
        reader->input->line = region.line;
        if (map_add(reader->map, reader->input, &region))
            return -1;
    }
    return 0;
}

static bool command_is_open(const struct reader *reader)
{
    return reader->command && reader->owner != LOG_NOBODY && reader->owner != LOG_LATER;
}

static bool early_is_all(const struct reader *reader)
{
    return reader->early && needs_nodes(reader);
}

/* What a note says otherwise. */
static int refuse(const struct reader *reader)
{
    struct map_input *input = reader->input;

    input->line = reader->distrusted ? reader->suspect : 0;
    if (reader->distrusted)
        return map_fail(input, "an SRAT range that another node has too, or that reaches above "
                               "2^52: expected one node, and an end below");
    if (command_is_open(reader))
        return map_fail(input, "the command line changes memory: expected the table that came of "
                               "it, in lines \"user: [mem 0xSTART-0xEND] KIND\"");
    if (early_is_all(reader))
        return map_fail(input, "the early ranges of nodes do not say what is reserved inside: "
                               "expected a table of the firmware");
    return 0;
}

static void write_note(const struct reader *reader, size_t windows)
{
    struct map *map = reader->map;

    if (reader->replaced)
        map_note(map,
                 "the table of the lines \"%s: ...\" from line %u on was in force, in place of %zu "
                 "before it",
                 reader->name, reader->first, reader->replaced);
    if (command_is_open(reader))
        map_note(map,
                 "the command line changes memory, and the log does not say what became of it");
    if (reader->distrusted)
        map_note(map,
                 "SRAT ranges passed over: %zu, the first one in line %u, for they are another "
                 "node's too or reach above 2^52",
                 reader->distrusted, reader->suspect);
    if (windows)
        map_note(map,
                 "hot-plug windows left out: %zu, for without BIOS-e820 lines nobody says what is "
                 "there",
                 windows);
    else if (early_is_all(reader))
        map_note(map,
                 "no table of the firmware: the early ranges of nodes stand for it, with whatever "
                 "is reserved inside of them");
}

int map_read_bootlog(struct map *map, struct map_input *input)
{
    struct reader reader = {.map = map, .input = input};
    struct map_span line;
    size_t windows = 0;
    int result = 0;

    count_lines(&reader);
    while (!result && map_next_line(input, &line))
        result = read_line(&reader, line);
    if (!result)
        result = check_titles(&reader) || merge(&reader, &windows) ? -1 : 0;
    if (!result && input->strict)
        result = refuse(&reader);
    if (!result)
        write_note(&reader, windows);
    map_free(&reader.srat);
    return result;
}
