/* SPDX-License-Identifier: MIT
 *
 * bootlog_line.c - the words of a boot log's lines (see bootlog.h).
 *
 * Ranges have four shapes; whether END is the last byte or the first one behind depends on it:
 *
 *     [mem 0xSTART-0xEND]     the last byte      Linux since 3.5
 *     START - END             the first behind   Linux before, and old hypervisors
 *     [START, END]            the last byte      Xen
 *     range=[0xSTART-0xEND)   the first behind   EFI; the last byte where it ends with "]"
 */
#include "bootlog.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct word {
    const char *name;
    enum map_kind kind;
};

static const struct word kinds[] = {
    {"usable", MAP_USABLE},
    {"System RAM", MAP_USABLE},
    {"reserved", MAP_RESERVED},
    {"device reserved", MAP_RESERVED},
    {"soft reserved", MAP_RESERVED},
    {"ACPI data", MAP_ACPI_DATA},
    {"ACPI NVS", MAP_ACPI_NVS},
    {"unusable", MAP_UNUSABLE},
    {"persistent (type 7)", MAP_PERSISTENT},
    {"persistent (type 12)", MAP_PERSISTENT},
    {"persistent RAM (type 7)", MAP_PERSISTENT},
    {"persistent RAM (type 12)", MAP_PERSISTENT},
};

/* UEFI's kinds by number, as old kernels print them; what a name starts with stands for all that
 * kernels made of it. After the boot services have ended, theirs and the loader's are free. */
static const struct word efi_kinds[] = {
    {"Reserved", MAP_RESERVED},     {"Loader Code", MAP_USABLE},
    {"Loader Data", MAP_USABLE},    {"Boot Code", MAP_USABLE},
    {"Boot Data", MAP_USABLE},      {"Runtime Code", MAP_RESERVED},
    {"Runtime Data", MAP_RESERVED}, {"Conventional", MAP_USABLE},
    {"Unusable", MAP_UNUSABLE},     {"ACPI Reclaim", MAP_ACPI_DATA},
    {"ACPI Mem", MAP_ACPI_NVS},     {"MMIO", MAP_RESERVED},
    {"MMIO Port", MAP_RESERVED},    {"PAL Code", MAP_RESERVED},
    {"Persistent", MAP_PERSISTENT}, {"Memory Mapped I/O", MAP_RESERVED},
    {"Unaccepted", MAP_RESERVED},   {"type=", MAP_RESERVED},
};
enum { EFI_NUMBERED = 15 };

static const struct {
    const char *name;
    enum log_owner owner;
} tables[] = {
    {"BIOS-e820", LOG_FIRMWARE},
    {"BIOS-e801", LOG_FIRMWARE},
    {"BIOS-88", LOG_FIRMWARE},
    {"Xen", LOG_FIRMWARE},
    {"user", LOG_LATER},
    {"modified", LOG_EXTENDED},
    {"reserve setup_data", LOG_EXTENDED},
    {"extended", LOG_EXTENDED},
};

static const struct {
    const char *text;
    enum log_owner owner;
} titles[] = {
    {"BIOS-provided physical RAM map:", LOG_FIRMWARE},
    {"extended physical RAM map:", LOG_EXTENDED},
    {"user-defined physical RAM map:", LOG_LATER},
    {"modified physical RAM map:", LOG_EXTENDED},
};

enum { BARE_DIGITS = 16 }; /* at least, of an address that nothing stands before */

static bool starts_with(struct map_span text, const char *literal)
{
    return map_skip(&text, literal);
}

static size_t count_hex(struct map_span text)
{
    size_t count = 0;

    while (text.at + count < text.end && isxdigit((unsigned char)text.at[count]))
        count++;
    return count;
}

/* The start of "START - END", bare, even if it was cut off there. */
static bool is_bare_range(struct map_span text)
{
    size_t digits = count_hex(text);

    text.at += digits;
    return digits >= BARE_DIGITS && (text.at == text.end || *text.at == ' ');
}

/* The start of "[START, END]". */
static bool is_listed_range(struct map_span text)
{
    return map_skip(&text, "[") && count_hex(text) >= BARE_DIGITS;
}

/* Does a word begin at `at`, and not in the middle of another one? */
static bool begins_word(struct map_span line, const char *at)
{
    const char *escape = memrchr(line.at, '\x1b', (size_t)(at - line.at));
    struct map_span colours = {escape, at};

    if (at == line.at || (!isalnum((unsigned char)at[-1]) && at[-1] != '-'))
        return true;
    if (escape)
        map_skip_colours(&colours);
    return escape && colours.at == at;
}

/* "NAME: " and a range. */
static bool is_entry(struct map_span line, const char *name, bool always, struct map_span *text)
{
    struct map_span rest = line;

    if (!map_find(&rest, name) || !begins_word(line, rest.at - strlen(name)) ||
        !map_skip(&rest, ": "))
        return false;
    map_skip_colours(&rest);
    map_skip_blanks(&rest);
    *text = rest;
    return always || starts_with(rest, "[mem ") || starts_with(rest, "[gap ") ||
           is_bare_range(rest);
}

static bool find_entry(struct map_span line, struct log_line *out)
{
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        bool always = strncmp(tables[i].name, "BIOS-", 5) == 0;

        if (is_entry(line, tables[i].name, always, &out->text)) {
            out->what = LOG_ENTRY;
            out->owner = tables[i].owner;
            out->name = tables[i].name;
            return true;
        }
    }
    return false;
}

/* Of Xen itself: its lines begin with its name, then perhaps a time in brackets. */
static bool find_hypervisor(struct map_span line, struct log_line *out)
{
    struct map_span text = line;

    if (!map_find(&text, "(XEN)"))
        return false;
    map_skip_blanks(&text);
    while (starts_with(text, "[") && !is_listed_range(text) && map_find(&text, "]"))
        map_skip_blanks(&text);
    *out = (struct log_line){.owner = LOG_HYPERVISOR, .name = "(XEN)", .text = text};
    if (is_listed_range(text) || is_bare_range(text))
        out->what = LOG_ENTRY;
    else if (map_find(&text, " RAM map:") && text.at == text.end &&
             !starts_with(out->text, "Initial "))
        out->what = LOG_TITLE;
    return true;
}

static bool find_title(struct map_span line, struct log_line *out)
{
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
        out->text = line;
        if (map_find(&out->text, titles[i].text)) {
            out->what = LOG_TITLE;
            out->owner = titles[i].owner;
            out->name = titles[i].text;
            return true;
        }
    }
    return false;
}

/* "efi: mem07: " and what follows. */
static bool is_efi(struct map_span *text, uint64_t *number)
{
    return (map_find(text, "efi: mem") || map_find(text, "EFI: mem")) &&
           map_digits(text, 10, number) == MAP_NUMBER_OK && map_skip(text, ": ");
}

/* "node   0: [mem" */
static bool is_node(struct map_span line)
{
    uint64_t number;

    if (!map_find(&line, " node "))
        return false;
    map_skip_blanks(&line);
    return map_digits(&line, 10, &number) == MAP_NUMBER_OK && starts_with(line, ": [mem");
}

struct log_line log_classify(struct map_span line)
{
    static const struct {
        const char *text, *name;
        enum log_what what;
    } plain[] = {
        {"e820: update ", "e820: update", LOG_UPDATE},
        {"e820 update range: ", "e820: update", LOG_UPDATE},
        {"e820: remove ", "e820: remove", LOG_REMOVE},
        {"e820 remove range: ", "e820: remove", LOG_REMOVE},
        {"SRAT: Node ", "SRAT: Node", LOG_SRAT},
        {"Early memory node ranges", "Early memory node ranges", LOG_NODES},
    };
    struct log_line out = {.what = LOG_OTHER, .name = "", .text = line};

    if ((size_t)(line.end - line.at) < sizeof("BIOS-88: ") - 1) /* no line is shorter */
        return out;
    if (find_hypervisor(line, &out) || find_entry(line, &out) || find_title(line, &out))
        return out;
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        out.text = line;
        if (map_find(&out.text, plain[i].text)) {
            out.what = plain[i].what;
            out.name = plain[i].name;
            return out;
        }
    }
    out.text = line;
    if (is_efi(&out.text, &out.number))
        out.what = LOG_EFI;
    else if (is_node(line))
        out.what = LOG_NODE;
    return out;
}

/* ---- Ranges and kinds ---------------------------------------------------------------------- */

static int damaged(struct map_input *input, const char *name, const char *pattern)
{
    return map_fail(input, "truncated or damaged line: expected \"%s%s%s\"", name,
                    *name && *pattern != ' ' ? ": " : "", pattern);
}

struct shape {
    const char *open, *between, *close;
    bool inclusive;
};

/* 1: read; 0: another shape, or cut off in it; -1 after map_fail. */
static int read_shape(struct map_input *input, struct map_span *text, const struct shape *shape,
                      struct map_region *region)
{
    enum map_number start = MAP_NUMBER_NONE, end = MAP_NUMBER_NONE;
    struct map_span rest = *text;
    bool whole = map_skip(&rest, shape->open) &&
                 (start = map_digits(&rest, 16, &region->start)) == MAP_NUMBER_OK &&
                 map_skip(&rest, shape->between) &&
                 (end = map_digits(&rest, 16, &region->end)) == MAP_NUMBER_OK &&
                 map_skip(&rest, shape->close);

    if (start == MAP_NUMBER_TOO_BIG || end == MAP_NUMBER_TOO_BIG)
        return map_fail(input, "an address does not fit 64 bits: expected at most 16 hex digits");
    if (!whole)
        return 0;
    if (region->end < region->start)
        return map_fail(input,
                        "the range ends at 0x%" PRIx64 ", below its start 0x%" PRIx64
                        ": expected START <= END",
                        region->end, region->start);
    if (shape->inclusive && region->end != UINT64_MAX) /* which map_add refuses */
        region->end++;
    map_skip_blanks(&rest);
    *text = rest;
    return 1;
}

/* A range of any shape; `what` has the words for the error. */
static int read_range(struct map_input *input, struct map_span *text, const char *name,
                      const char *pattern, struct map_region *region)
{
    static const struct shape shapes[] = {
        {"[mem 0x", "-0x", "]", true},
        {"[gap 0x", "-0x", "]", true},
        {"[", ", ", "]", true},
        {"range=[0x", "-0x", ")", false},
        {"range=[0x", "-0x", "]", true},
        {"", " - ", "", false},
        {"", "-", "", false}, /* of SRAT */
    };
    int result = 0;

    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]) && !result; i++)
        result = read_shape(input, text, &shapes[i], region);
    if (result == 0)
        damaged(input, name, pattern);
    return result > 0 ? 0 : -1;
}

/* Linux prints a type it has no word for as "type N", and leaves such memory alone. */
static bool is_numbered_type(struct map_span text)
{
    uint64_t number;

    return map_skip(&text, "type ") && map_digits(&text, 10, &number) == MAP_NUMBER_OK &&
           text.at == text.end;
}

/* A size for human eyes, "639 KB" or "1.9 GB", before the kind. */
static void skip_size(struct map_span *text)
{
    struct map_span rest = *text;
    uint64_t number;

    if (map_digits(&rest, 10, &number) != MAP_NUMBER_OK ||
        (map_skip(&rest, ".") && map_digits(&rest, 10, &number) != MAP_NUMBER_OK))
        return;
    map_skip_blanks(&rest);
    if (map_skip(&rest, "KB ") || map_skip(&rest, "MB ") || map_skip(&rest, "GB ") ||
        map_skip(&rest, "TB ")) {
        map_skip_blanks(&rest);
        *text = rest;
    }
}

static int read_kind(struct map_input *input, struct map_span text, enum map_kind *kind)
{
    char shown[MAP_SHOWN];

    skip_size(&text);
    if (text.end - text.at > 2 && *text.at == '(' && text.end[-1] == ')') {
        text.at++;
        text.end--;
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (map_span_is(text, kinds[i].name)) {
            *kind = kinds[i].kind;
            return 0;
        }
    }
    if (is_numbered_type(text)) {
        *kind = MAP_RESERVED;
        return 0;
    }
    return map_fail(
        input,
        "unknown kind of memory \"%s\": expected usable, reserved, soft reserved, ACPI data, "
        "ACPI NVS, unusable, persistent (type 7), or type N; or System RAM, device reserved, "
        "persistent RAM (type 7)",
        map_show(text, shown));
}

int log_entry(struct map_input *input, struct log_line line, struct map_region *region)
{
    const char *pattern =
        line.owner == LOG_HYPERVISOR ? "  [START, END] (KIND)" : "[mem 0xSTART-0xEND] KIND";
    bool gap = starts_with(line.text, "[gap ");

    *region = (struct map_region){.node = MAP_NODE_ANY, .line = input->line};
    if (read_range(input, &line.text, line.name, pattern, region))
        return -1;
    if (gap)
        region->end = region->start;
    return gap ? 0 : read_kind(input, line.text, &region->kind);
}

int log_change(struct map_input *input, struct log_line line, struct log_change *change)
{
    bool update = line.what == LOG_UPDATE;
    const char *pattern =
        update ? " [mem 0xSTART-0xEND] KIND ==> KIND" : " [mem 0xSTART-0xEND] KIND";
    struct map_span to;

    *change = (struct log_change){.range.line = input->line, .vanish = !update};
    if (read_range(input, &line.text, line.name, pattern, &change->range))
        return -1;
    if (!update) {
        change->any_kind = line.text.at == line.text.end;
        return change->any_kind ? 0 : read_kind(input, line.text, &change->from);
    }
    to = line.text;
    if (!map_find(&to, " ==> "))
        return damaged(input, line.name, pattern);
    struct map_span from = {line.text.at, to.at - 5};
    return read_kind(input, from, &change->from) || read_kind(input, to, &change->to) ? -1 : 0;
}

static int node_number(struct map_input *input, struct map_span *text, const char *name,
                       const char *pattern, uint32_t *node)
{
    uint64_t number;

    if (map_digits(text, 10, &number) != MAP_NUMBER_OK)
        return damaged(input, name, pattern);
    *node = (uint32_t)number;
    if (number < MAP_NODES)
        return 0;
    return map_fail(input, "node %" PRIu64 " is too high: expected 0 to %d", number, MAP_NODES - 1);
}

int log_srat(struct map_input *input, struct log_line line, struct map_region *region)
{
    static const char pattern[] = " N PXM P [mem 0xSTART-0xEND]";
    struct map_span *text = &line.text;
    uint64_t domain;

    *region = (struct map_region){.line = input->line};
    if (node_number(input, text, line.name, pattern, &region->node))
        return -1;
    if (!map_skip(text, " PXM ") || map_digits(text, 10, &domain) != MAP_NUMBER_OK ||
        !map_skip(text, " "))
        return damaged(input, line.name, pattern);
    if (read_range(input, text, line.name, pattern, region))
        return -1;
    if (map_skip(text, "hotplug"))
        region->kind = MAP_NODE_ONLY; /* a window: nobody says whether it is filled */
    map_skip_blanks(text);
    if (map_skip(text, "non-volatile"))
        region->kind = MAP_PERSISTENT;
    if (text->at == text->end)
        return 0;
    return map_fail(input,
                    "unexpected text at the end: expected \"%s%s\", \"hotplug\" or "
                    "\"non-volatile\" behind it at most",
                    line.name, pattern);
}

int log_node(struct map_input *input, struct log_line line, struct map_region *region)
{
    static const char pattern[] = "node N: [mem 0xSTART-0xEND]";

    *region = (struct map_region){.line = input->line};
    map_find(&line.text, " node ");
    map_skip_blanks(&line.text);
    if (node_number(input, &line.text, line.name, pattern, &region->node))
        return -1;
    map_skip(&line.text, ": ");
    return read_range(input, &line.text, line.name, pattern, region);
}

static enum map_kind efi_kind(struct map_span kind)
{
    uint64_t number;
    size_t longest = 0;
    enum map_kind found = MAP_RESERVED;
    struct map_span text = kind;

    if (map_skip(&text, "type=") && map_digits(&text, 10, &number) == MAP_NUMBER_OK)
        return number < EFI_NUMBERED ? efi_kinds[number].kind : MAP_RESERVED;
    for (size_t i = 0; i < sizeof(efi_kinds) / sizeof(efi_kinds[0]); i++) {
        size_t length = strlen(efi_kinds[i].name);

        if (length > longest && starts_with(kind, efi_kinds[i].name)) {
            longest = length;
            found = efi_kinds[i].kind;
        }
    }
    return found;
}

int log_efi(struct map_input *input, struct log_line line, struct map_region *region)
{
    static const char pattern[] = "efi: memN: [KIND|ATTRIBUTES] range=[0xSTART-0xEND)";
    struct map_span text = line.text, kind = text;

    *region = (struct map_region){.node = MAP_NODE_ANY, .line = input->line};
    if (!map_find(&text, "range=["))
        return damaged(input, line.name, pattern);
    kind.end = text.at -= strlen("range=[");
    map_skip(&kind, "[");
    region->kind = efi_kind(kind);
    /* "SP": set aside for a purpose of its own. */
    if (region->kind == MAP_USABLE && map_find(&kind, "|SP|"))
        region->kind = MAP_RESERVED;
    return read_range(input, &text, line.name, pattern, region);
}

bool log_cut_off(struct map_span line)
{
    static const char *const starts[] = {
        "BIOS-e820: ",       "BIOS-88: ",
        "e820: update ",     "e820: remove ",
        "ACPI: SRAT: Node ", "user: [mem 0x",
        "modified: [mem 0x", "Xen: [mem 0x",
        "efi: mem",          "reserve setup_data: [mem 0x",
        "node   0: [mem 0x",
    };
    bool stamped = map_skip(&line, "[");

    if (stamped && !map_find(&line, "]"))
        return true;
    map_skip_blanks(&line);
    if (map_skip(&line, "(XEN)")) {
        map_skip_blanks(&line);
        return line.at < line.end && (*line.at == '[' || isxdigit((unsigned char)*line.at));
    }
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        size_t length = (size_t)(line.end - line.at);

        if ((stamped || length) && length < strlen(starts[i]) &&
            memcmp(line.at, starts[i], length) == 0)
            return true;
    }
    return false;
}
