/* SPDX-License-Identifier: MIT
 *
 * acpi.c - ACPI tables from files, as /sys/firmware/acpi/tables has them: one, several, or
 * those of a folder. The tables themselves are read by Quire (acpi.h).
 *
 * A file's first four bytes say what it is, not its name. Tables are read in the order that acpi.h
 * asks for, and each kind once: two of a kind are of two machines.
 */
#include "host-harness/machines/map/reader.h"
#include "reader.h"

#include <quire/acpi.h>

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { KINDS = 4, KIND_NONE = KINDS };

static const char kinds[KINDS][5] = {"APIC", "SRAT", "SLIT", "HMAT"};

static unsigned kind_of(const void *bytes, size_t size)
{
    unsigned kind = 0;

    while (kind < KINDS && (size < 4 || memcmp(bytes, kinds[kind], 4) != 0))
        kind++;
    return kind;
}

bool topo_is_acpi(const void *bytes, size_t size)
{
    return kind_of(bytes, size) != KIND_NONE;
}

enum { SRAT_FIRST = 48, SRAT_MEMORY = 1, SLIT_COUNT = 36, SLIT_FIRST = 44 };

static uint32_t number_at(const uint8_t *bytes, size_t at)
{
    return bytes[at] | (uint32_t)bytes[at + 1] << 8 | (uint32_t)bytes[at + 2] << 16 |
           (uint32_t)bytes[at + 3] << 24;
}

/* What is wrong, and what would be right. Domains that the fault has no room for are in the table,
 * at a place that its reader has seen to be there. */
static void explain(const struct quire_fault *fault, const uint8_t *table, size_t size,
                    char text[MAP_TEXT_BYTES / 2])
{
    size_t at = (size_t)fault->where;
    bool slit = memcmp(table, "SLIT", 4) == 0 && at >= SLIT_FIRST && at < size;
    bool memory = memcmp(table, "SRAT", 4) == 0 && at >= SRAT_FIRST && at + 40 <= size &&
                  table[at] == SRAT_MEMORY && fault->expected == MAP_PHYS_LIMIT;

    if (slit) {
        uint32_t count = number_at(table, SLIT_COUNT);

        snprintf(text, MAP_TEXT_BYTES / 2,
                 "%s: from domain %zu to domain %zu it is %" PRIu64 ": expected %" PRIu64 "%s",
                 fault->what, (at - SLIT_FIRST) / count, (at - SLIT_FIRST) % count, fault->found,
                 fault->expected, fault->expected == QUIRE_DISTANCE_LOCAL ? "" : " to 255");
    } else if (strstr(fault->what, "in two domains")) {
        snprintf(text, MAP_TEXT_BYTES / 2,
                 "%s: 0x%" PRIx64 " is in domain %" PRIu64 " here: expected domain %" PRIu64
                 ", which has it already",
                 fault->what, fault->other, fault->found, fault->expected);
    } else if (memory) {
        snprintf(text, MAP_TEXT_BYTES / 2,
                 "%s: that of domain %" PRIu32 " reaches up to 0x%" PRIx64
                 ": expected at most 0x%" PRIx64,
                 fault->what, number_at(table, at + 2), fault->found, fault->expected);
    } else {
        snprintf(text, MAP_TEXT_BYTES / 2, "%s: %" PRIu64 ", expected %" PRIu64, fault->what,
                 fault->found, fault->expected);
    }
}

int topo_read_acpi(struct topo *topo, const char *name, const void *table, size_t size,
                   struct map_error *error)
{
    struct quire_fault fault;
    uint32_t before = topo->topology.passed_over, count;
    char text[MAP_TEXT_BYTES / 2];
    int code;

    topo->format = "ACPI table";
    code = quire_acpi_read(&topo->topology, table, size, &fault);
    if (!fault.what)
        return 0;
    explain(&fault, table, size, text);
    if (code)
        return topo_fail(error, name, "%.4s table, byte %" PRIu64 ": %s", (const char *)table,
                         fault.where, text);
    count = topo->topology.passed_over - before;
    if (memcmp(table, "SLIT", 4) == 0)
        topo_note(topo, "the SLIT table is ignored: %s", text);
    else
        topo_note(topo, "%.4s table, byte %" PRIu64 ", is passed over%s: %s", (const char *)table,
                  fault.where, count > 1 ? " as the first of several" : "", text);
    return 0;
}

/* The files of a machine, by kind. */
struct tables {
    const char *name[KINDS];
    char *bytes[KINDS];
    size_t size[KINDS];
};

static int load(struct tables *tables, const char *name, bool pick, struct map_error *error)
{
    struct map_input input = {.name = name, .error = error};
    char *bytes;
    size_t size = 0;
    unsigned kind;
    int result = map_read_file(&input, &bytes, &size);

    kind = kind_of(bytes, size);
    if (result == 0 && kind != KIND_NONE && !tables->name[kind]) {
        tables->name[kind] = name;
        tables->bytes[kind] = bytes;
        tables->size[kind] = size;
        return 0;
    }
    free(bytes);
    if (result)
        return result;
    if (kind != KIND_NONE)
        return topo_fail(error, name,
                         "a second %s table, after %.100s: expected the tables of one machine",
                         kinds[kind], tables->name[kind]);
    return pick ? 0
                : topo_fail(error, name,
                            "not an ACPI table of a topology: expected an APIC, SRAT, SLIT or "
                            "HMAT table");
}

int topo_read_acpi_files(struct topo *topo, const char *const names[], size_t count, bool pick,
                         struct map_error *error)
{
    struct tables tables = {{NULL}, {NULL}, {0}};
    int result = 0;

    for (size_t i = 0; i < count && !result; i++)
        result = load(&tables, names[i], pick, error);
    for (unsigned kind = 0; kind < KINDS && !result; kind++)
        if (tables.name[kind])
            result = topo_read_acpi(topo, tables.name[kind], tables.bytes[kind], tables.size[kind],
                                    error);
    for (unsigned kind = 0; kind < KINDS; kind++)
        free(tables.bytes[kind]);
    topo->format = "ACPI tables";
    return result;
}

/* The regular files of the folder, by name, so that errors do not depend on its order. */
static int list_files(const char *folder, struct dirent **entries, int count, char *names[],
                      size_t *files, struct map_error *error)
{
    *files = 0;
    for (int i = 0; i < count; i++) {
        struct stat status;
        char *path = NULL;

        if (asprintf(&path, "%s/%s", folder, entries[i]->d_name) < 0)
            return topo_fail(error, folder, "no memory for the names of its files");
        if (stat(path, &status) != 0 || !S_ISREG(status.st_mode)) {
            free(path);
        } else if (*files == TOPO_FILES) {
            free(path);
            return topo_fail(error, folder, "more than %d files: expected a machine's ACPI tables",
                             TOPO_FILES);
        } else {
            names[(*files)++] = path;
        }
    }
    return 0;
}

int topo_read_acpi_folder(struct topo *topo, const char *folder, struct map_error *error)
{
    char *names[TOPO_FILES] = {NULL};
    struct dirent **entries;
    size_t files = 0;
    int count = scandir(folder, &entries, NULL, alphasort), result;

    if (count < 0)
        return topo_fail(error, folder, "cannot be listed: %s: expected a readable folder",
                         strerror(errno));
    result = list_files(folder, entries, count, names, &files, error);
    if (!result)
        result = topo_read_acpi_files(topo, (const char *const *)names, files, true, error);
    if (!result && topo->topology.node_count + topo->topology.cpu_count == 0)
        result = topo_fail(error, folder,
                           "no ACPI table in it says anything: expected APIC, SRAT, SLIT or HMAT");
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    for (size_t i = 0; i < files; i++)
        free(names[i]);
    return result;
}
