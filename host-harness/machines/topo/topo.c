/* SPDX-License-Identifier: MIT
 *
 * topo.c - a topology in memory: what its readers add, and the check at the end (see topo.h).
 */
#include "host-harness/machines/map/reader.h"
#include "reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define GIB ((uint64_t)1 << 30)

int topo_fail(struct map_error *error, const char *name, const char *format, ...)
{
    char *text = error->text;
    va_list arguments;
    int used = snprintf(text, sizeof(error->text), "%.200s: ", name);

    va_start(arguments, format);
    vsnprintf(text + used, sizeof(error->text) - (size_t)used, format, arguments);
    va_end(arguments);
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
    return -1;
}

void topo_note(struct topo *topo, const char *format, ...)
{
    size_t used = strlen(topo->note);
    va_list arguments;

    if (used)
        used += (size_t)snprintf(topo->note + used, sizeof(topo->note) - used, "; ");
    if (used >= sizeof(topo->note))
        return;
    va_start(arguments, format);
    vsnprintf(topo->note + used, sizeof(topo->note) - used, format, arguments);
    va_end(arguments);
    for (char *text = topo->note + used; *text; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

int topo_node(struct topo *topo, const char *name, uint32_t id, quire_node *node,
              struct map_error *error)
{
    if (quire_topology_add_node(&topo->topology, id, node) == QUIRE_OK)
        return 0;
    return topo_fail(error, name, "more than %d nodes: expected at most %d", QUIRE_NODES,
                     QUIRE_NODES);
}

int topo_cpu(struct topo *topo, const char *name, uint32_t id, quire_node node,
             struct map_error *error)
{
    switch (quire_topology_add_cpu(&topo->topology, id, node)) {
    case QUIRE_OK:
        return 0;
    case QUIRE_ERR_BUSY:
        return topo_fail(error, name, "CPU %" PRIu32 " is on two nodes: expected one", id);
    default:
        return topo_fail(error, name, "more than %d CPUs: expected at most %d", QUIRE_CPUS,
                         QUIRE_CPUS);
    }
}

int topo_memory(struct topo *topo, const char *name, uint64_t phys, uint64_t bytes, quire_node node,
                struct map_error *error)
{
    if (quire_topology_add_memory(&topo->topology, phys, bytes, node, QUIRE_MEMORY_ORDINARY) ==
        QUIRE_OK)
        return 0;
    if (topo->topology.range_count == QUIRE_TOPOLOGY_RANGES)
        return topo_fail(error, name, "more than %d stretches of memory: expected at most %d",
                         QUIRE_TOPOLOGY_RANGES, QUIRE_TOPOLOGY_RANGES);
    return topo_fail(error, name,
                     "%" PRIu64 " bytes of memory at 0x%" PRIx64
                     ": expected some, and all below 2^52",
                     bytes, phys);
}

int topo_reserve(struct topo *topo, const char *name, uint64_t start, uint64_t end,
                 struct map_error *error)
{
    if (topo->reserved_count == TOPO_RESERVED)
        return topo_fail(error, name, "more than %d stretches in use: expected at most %d",
                         TOPO_RESERVED, TOPO_RESERVED);
    topo->reserved[topo->reserved_count++] = (struct topo_reserved){start, end};
    return 0;
}

int topo_lay_out(struct topo *topo, const char *name, uint64_t bytes, quire_node node,
                 struct map_error *error)
{
    const struct quire_topology *topology = &topo->topology;
    uint64_t phys = 4 * GIB;

    topo->laid_out = true;
    bytes -= bytes % QUIRE_FRAME_SIZE;
    if (bytes == 0)
        return 0;
    if (topology->range_count > 0) {
        const struct quire_topology_memory *last = &topology->ranges[topology->range_count - 1];
        phys = (last->phys + last->bytes + GIB - 1) & ~(GIB - 1);
    }
    return topo_memory(topo, name, phys, bytes, node, error);
}

bool topo_is_distance(quire_node from, quire_node to, uint64_t distance)
{
    return from.n == to.n
               ? distance == QUIRE_DISTANCE_LOCAL
               : distance > QUIRE_DISTANCE_LOCAL && distance <= QUIRE_DISTANCE_UNREACHABLE;
}

int topo_distance(struct topo *topo, const char *name, quire_node from, quire_node to,
                  uint64_t distance, struct map_error *error)
{
    const uint32_t *id = topo->topology.node_id;

    if (topo_is_distance(from, to, distance) &&
        quire_topology_set_distance(&topo->topology, from, to, (unsigned)distance) == QUIRE_OK)
        return 0;
    return topo_fail(error, name,
                     "the distance from node %" PRIu32 " to node %" PRIu32 " is %" PRIu64
                     ": expected %s",
                     id[from.n], id[to.n], distance,
                     from.n == to.n ? "10, as a node's own memory has" : "11 to 255");
}

/* Two things that do not go together: ranges of two nodes, or two nodes or CPUs of one number. */
static int refuse_pair(const struct topo *topo, const struct quire_fault *fault,
                       struct map_error *error)
{
    const struct quire_topology *topology = &topo->topology;
    const struct quire_topology_memory *ranges = topology->ranges;
    uint64_t where = fault->where, other = fault->other;

    if (strcmp(fault->what, "memory of two nodes overlaps") != 0)
        return topo_fail(error, topo->source,
                         "%s: number %" PRIu64 " and number %" PRIu64 ", %" PRIu64
                         ": expected each to have its own",
                         fault->what, other, where, fault->found);
    return topo_fail(error, topo->source,
                     "%s: node %" PRIu32 " and node %" PRIu32 ", at 0x%" PRIx64
                     ": expected each to have its own",
                     fault->what, topology->node_id[ranges[other].node.n],
                     topology->node_id[ranges[where].node.n],
                     ranges[where].phys > ranges[other].phys ? ranges[where].phys
                                                             : ranges[other].phys);
}

/* Say what quire_topology_check found; of ACPI's nodes by domain. */
static int refuse(const struct topo *topo, int code, const struct quire_fault *fault,
                  struct map_error *error)
{
    const char *name = topo->source;
    const char *node = strncmp(topo->format, "ACPI", 4) == 0 ? "domain" : "node";
    const uint32_t *id = topo->topology.node_id;

    if (code == QUIRE_ERR_NODE)
        return topo_fail(error, name, "%s: expected at least one node", fault->what);
    if (code == QUIRE_ERR_NO_MEMORY)
        return topo_fail(error, name, "%s: expected memory on at least one node", fault->what);
    if (code == QUIRE_ERR_BUSY)
        return refuse_pair(topo, fault, error);
    if (fault->other != fault->where)
        return topo_fail(error, name,
                         "%s: from %s %" PRIu32 " to %s %" PRIu32 " it is %" PRIu64
                         ": expected %" PRIu64 ", or the option --asymmetric",
                         fault->what, node, id[fault->where], node, id[fault->other], fault->found,
                         fault->expected);
    return topo_fail(error, name, "%s: number %" PRIu64 ", %" PRIu64 ": expected %" PRIu64,
                     fault->what, fault->where, fault->found, fault->expected);
}

static void begin(struct topo *topo, const char *name, unsigned flags)
{
    memset(topo, 0, sizeof(*topo));
    quire_topology_init(&topo->topology);
    topo->topology.asymmetric = flags & TOPO_ASYMMETRIC;
    topo->topology.strict = flags & TOPO_STRICT;
    snprintf(topo->source, sizeof(topo->source), "%.400s", name);
}

static int end(struct topo *topo, struct map_error *error)
{
    struct quire_fault fault;
    int code = quire_topology_check(&topo->topology, &fault);

    if (code)
        return refuse(topo, code, &fault, error);
    if (topo->topology.cpu_count == 0)
        topo_note(topo, "there is no CPU in it");
    return 0;
}

#define EXPECTED \
    "expected an ACPI table (APIC, SRAT, SLIT, HMAT), a flattened device tree or hwloc's XML"

static int read_any(struct topo *topo, const char *name, const void *bytes, size_t size,
                    struct map_error *error)
{
    if (size > MAP_MAX_BYTES)
        return topo_fail(error, name, "longer than %d MiB: " EXPECTED, MAP_MAX_BYTES >> 20);
    if (topo_is_dtb(bytes, size))
        return topo_read_dtb(topo, name, bytes, size, error);
    if (topo_is_xml(bytes, size))
        return topo_read_xml(topo, bytes, size, error);
    if (topo_is_acpi(bytes, size))
        return topo_read_acpi(topo, name, bytes, size, error);
    return topo_fail(error, name, "%s: " EXPECTED, size ? "not a topology" : "empty");
}

int topo_parse(struct topo *topo, const char *name, const void *bytes, size_t size, unsigned flags,
               struct map_error *error)
{
    begin(topo, name, flags);
    return read_any(topo, name, bytes, size, error) || end(topo, error) ? -1 : 0;
}

static int load_file(struct topo *topo, const char *path, struct map_error *error)
{
    struct map_input input = {.name = path, .error = error};
    size_t size = 0;
    char *bytes;
    int result = map_read_file(&input, &bytes, &size);

    if (!result)
        result = read_any(topo, input.name, bytes, size, error);
    free(bytes);
    return result;
}

/* FILE@ADDRESS: what lies there is in use. False if it is none. */
static bool load_placed(struct topo *topo, const char *argument, struct map_error *error,
                        int *result)
{
    char *path = strdup(argument);
    uint64_t address;
    struct stat status;

    if (!path || !map_cut_address(path, &address) || stat(path, &status) != 0 ||
        !S_ISREG(status.st_mode)) {
        free(path);
        return false;
    }
    uint64_t bytes = (uint64_t)status.st_size;
    if (address > MAP_PHYS_LIMIT || bytes > MAP_PHYS_LIMIT - address)
        *result = topo_fail(error, path, "at 0x%" PRIx64 " it reaches above 2^52: expected below",
                            address);
    else if ((*result = load_file(topo, path, error)) == 0)
        *result = topo_reserve(topo, path, address, address + bytes, error);
    free(path);
    return true;
}

/* FILE,FILE...: cut a copy of the argument at its commas. */
static int load_list(struct topo *topo, const char *argument, struct map_error *error)
{
    const char *names[TOPO_FILES + 1];
    char *copy = strdup(argument), *rest = copy;
    size_t count = 0;
    int result;

    if (!copy)
        return topo_fail(error, argument, "no memory for its name");
    for (char *name; count <= TOPO_FILES && (name = strsep(&rest, ",")); count++)
        names[count] = name;
    if (count > TOPO_FILES)
        result =
            topo_fail(error, argument, "more than %d files: expected one of each kind", TOPO_FILES);
    else
        result = topo_read_acpi_files(topo, names, count, false, error);
    free(copy);
    return result;
}

/* Which of the ways to name a topology it is: what exists comes before what could be meant. */
static int load_any(struct topo *topo, const char *argument, struct map_error *error)
{
    struct stat status;
    int result = 0;

    if (strcmp(argument, "host") == 0)
        return topo_read_host(topo, error);
    if (strcmp(argument, "-") == 0) {
        (void)strcpy(topo->source, "standard input");
        return load_file(topo, argument, error);
    }
    if (stat(argument, &status) == 0)
        return S_ISDIR(status.st_mode) ? topo_read_acpi_folder(topo, argument, error)
                                       : load_file(topo, argument, error);
    if (load_placed(topo, argument, error, &result))
        return result;
    if (strchr(argument, ':') || strchr(argument, '['))
        return topo_read_synthetic(topo, argument, error);
    if (strchr(argument, ','))
        return load_list(topo, argument, error);
    return topo_fail(error, argument,
                     "no such file: expected host, a file, a folder or a list of ACPI tables, or "
                     "a synthetic topology like node:4 core:8 pu:2");
}

int topo_load(struct topo *topo, const char *argument, unsigned flags, struct map_error *error)
{
    begin(topo, argument, flags);
    return load_any(topo, argument, error) || end(topo, error) ? -1 : 0;
}

/* The first byte at `at` or behind that is in memory of the node; *end is where it ends. */
static uint64_t next_memory(const struct quire_topology *topology, uint32_t node, uint64_t at,
                            uint64_t *end)
{
    uint64_t first = UINT64_MAX;

    for (uint32_t i = 0; i < topology->range_count; i++) {
        const struct quire_topology_memory *range = &topology->ranges[i];
        uint64_t start = range->phys > at ? range->phys : at;

        if (range->node.n == node && range->kind == QUIRE_MEMORY_ORDINARY &&
            range->phys + range->bytes > at && start < first) {
            first = start;
            *end = range->phys + range->bytes;
        }
    }
    return first;
}

/* Of the bytes start .. end - 1, how many there are from the start up to the next ones in use. If
 * those are in use at the start, none, and *next is behind them. */
static uint64_t free_bytes(const struct topo *topo, uint64_t start, uint64_t end, uint64_t *next)
{
    *next = end;
    for (uint32_t i = 0; i < topo->reserved_count; i++) {
        const struct topo_reserved *reserved = &topo->reserved[i];

        if (reserved->start <= start && start < reserved->end) {
            *next = reserved->end;
            return 0;
        }
        if (reserved->start > start && reserved->start < reserved->end && reserved->start < *next)
            *next = reserved->start;
    }
    return *next - start;
}

uint64_t topo_memory_of(const struct topo *topo, uint32_t node)
{
    uint64_t at = 0, bytes = 0, stop = 0, start;

    while ((start = next_memory(&topo->topology, node, at, &stop)) != UINT64_MAX)
        bytes += free_bytes(topo, start, stop, &at);
    return bytes;
}

static void fill_map(const struct topo *topo, struct map *map)
{
    static const enum map_kind kinds[] = {
        [QUIRE_MEMORY_ORDINARY] = MAP_USABLE,
        [QUIRE_MEMORY_HOTPLUG] = MAP_NODE_ONLY,
        [QUIRE_MEMORY_DEVICE] = MAP_DEVICE,
    };

    for (uint32_t i = 0; i < topo->topology.range_count; i++) {
        const struct quire_topology_memory *range = &topo->topology.ranges[i];

        map->regions[map->count++] = (struct map_region){range->phys, range->phys + range->bytes,
                                                         kinds[range->kind], range->node.n, i + 1};
    }
    for (uint32_t i = 0; i < topo->reserved_count; i++) {
        struct map_region region = {topo->reserved[i].start, topo->reserved[i].end, MAP_RESERVED,
                                    MAP_NODE_ANY, (uint32_t)map->count + 1};

        map->regions[map->count++] = region;
    }
}

int topo_map(const struct topo *topo, struct map *map, struct map_error *error)
{
    memset(map, 0, sizeof(*map));
    if (topo->topology.cpu_count == 0)
        return topo_fail(error, topo->source, "there is no CPU to run on: expected at least one");
    return topo_memory_map(topo, map, error);
}

int topo_memory_map(const struct topo *topo, struct map *map, struct map_error *error)
{
    bool usable = false;

    memset(map, 0, sizeof(*map));
    map->regions = calloc(topo->topology.range_count + topo->reserved_count, sizeof(*map->regions));
    if (!map->regions)
        return topo_fail(error, topo->source, "no memory for its map");
    map->format = topo->format;
    memcpy(map->source, topo->source, sizeof(map->source));
    memcpy(map->note, topo->note, sizeof(map->note));
    fill_map(topo, map);
    for (size_t i = 0; i < map->count; i++)
        usable |= map->regions[i].kind == MAP_USABLE;
    if (usable && map_join(map) == 0)
        return 0;
    map_free(map);
    return topo_fail(error, topo->source, "%s",
                     usable ? "no memory for its map"
                            : "no node has ordinary memory: expected some");
}
