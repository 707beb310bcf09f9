/* SPDX-License-Identifier: MIT
 *
 * acpi.c - reading any of the four tables: header, walk over entries, and taking back what a table
 * added before an error was found in it.
 *
 * No state but the caller's topology. MADT and SRAT add as they go (what a later entry may be
 * depends on earlier ones); after an error the counts return to what they were, and CPUs that
 * the table placed on a node are on none again. SLIT and HMAT look at everything first.
 */
#include "numa/acpi/acpi_table.h"

static bool has_signature(const uint8_t *table, const char signature[4])
{
    for (unsigned i = 0; i < 4; i++)
        if (table[i] != (uint8_t)signature[i])
            return false;
    return true;
}

int quire_acpi_table(const void *table, size_t bytes, char signature[5], size_t *length,
                     struct quire_fault *fault)
{
    const uint8_t *p = table;
    uint32_t size;
    uint8_t sum = 0;

    if (bytes < QUIRE_ACPI_HEADER)
        return fault_set(fault, QUIRE_ERR_SIZE, "shorter than a table's header", bytes, bytes,
                         QUIRE_ACPI_HEADER);
    size = acpi_u32(p + 4);
    if (size < QUIRE_ACPI_HEADER)
        return fault_set(fault, QUIRE_ERR_SIZE, "the table's length is less than its header", 4,
                         size, QUIRE_ACPI_HEADER);
    if (size > bytes)
        return fault_set(fault, QUIRE_ERR_SIZE, "the table is cut off", 4, bytes, size);
    for (uint32_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + p[i]);
    if (sum)
        return fault_set(fault, QUIRE_ERR_FRAME, "the checksum is wrong", 9, p[9],
                         (uint8_t)(p[9] - sum));
    for (unsigned i = 0; i < 4; i++)
        signature[i] = (char)p[i];
    signature[4] = 0;
    *length = size;
    return QUIRE_OK;
}

int qi_acpi_next(struct acpi_walk *walk)
{
    uint32_t header = walk->wide ? 8 : 2, left = walk->bytes - walk->next;

    if (left == 0)
        return 0;
    walk->at = walk->next;
    walk->entry = walk->table + walk->at;
    if (left < header)
        return fault_set(walk->fault, QUIRE_ERR_SIZE, "an entry is cut off", walk->at, left,
                         header);
    walk->type = walk->wide ? acpi_u16(walk->entry) : walk->entry[0];
    walk->size = walk->wide ? acpi_u32(walk->entry + 4) : walk->entry[1];
    if (walk->size < header)
        return fault_set(walk->fault, QUIRE_ERR_SIZE, "an entry is shorter than its own header",
                         walk->at, walk->size, header);
    if (walk->size > left)
        return fault_set(walk->fault, QUIRE_ERR_SIZE, "an entry is longer than what is left",
                         walk->at, walk->size, left);
    walk->next += walk->size;
    return 1;
}

int qi_acpi_check_size(const struct acpi_walk *walk, uint32_t size)
{
    if (walk->size >= size)
        return QUIRE_OK;
    return fault_set(walk->fault, QUIRE_ERR_SIZE, "an entry is shorter than its type", walk->at,
                     walk->size, size);
}

int qi_acpi_distrust(struct quire_topology *topology, const struct acpi_walk *walk, int error,
                     struct quire_fault fault)
{
    if (walk->fault && (topology->strict || !walk->fault->what))
        *walk->fault = fault;
    if (topology->strict)
        return error;
    topology->passed_over++;
    return QUIRE_OK;
}

/* What is added to the topology before an error, taken back. */
struct acpi_undo {
    uint32_t nodes, cpus, ranges, passed_over;
    struct acpi_placed placed;
};

static void undo_reading(struct quire_topology *topology, const struct acpi_undo *acpi_undo)
{
    for (uint32_t cpu = 0; cpu < acpi_undo->cpus; cpu++)
        if (acpi_undo->placed.bits[cpu / 64] >> cpu % 64 & 1)
            topology->cpu_node[cpu] = QUIRE_NO_NODE;
    for (uint32_t i = acpi_undo->cpus; i < topology->cpu_count; i++)
        topology->cpu_id[i] = topology->cpu_node[i] = 0;
    for (uint32_t i = acpi_undo->nodes; i < topology->node_count; i++)
        topology->node_id[i] = 0;
    __builtin_memset(&topology->ranges[acpi_undo->ranges], 0,
                     (topology->range_count - acpi_undo->ranges) * sizeof topology->ranges[0]);
    topology->node_count = acpi_undo->nodes;
    topology->cpu_count = acpi_undo->cpus;
    topology->range_count = acpi_undo->ranges;
    topology->passed_over = acpi_undo->passed_over;
}

static int check_revision(const struct acpi_walk *walk, unsigned lowest, unsigned highest)
{
    unsigned revision = walk->table[ACPI_REVISION];

    if (revision >= lowest && revision <= highest)
        return QUIRE_OK;
    return fault_set(walk->fault, QUIRE_ERR_UNSUPPORTED, "an unknown revision of this table",
                     ACPI_REVISION, revision, revision < lowest ? lowest : highest);
}

/* Does the table reach up to its first entry? */
static int begin_walk(struct acpi_walk *walk, uint32_t first)
{
    walk->next = first;
    if (walk->bytes >= first)
        return QUIRE_OK;
    return fault_set(walk->fault, QUIRE_ERR_SIZE, "the table is too short for its kind", 4,
                     walk->bytes, first);
}

/* MADT and SRAT may grow by revisions, which keep what there is; HMAT's change units. */
static int read_table(struct quire_topology *topology, struct acpi_walk *walk,
                      struct acpi_placed *placed)
{
    int error;

    if (has_signature(walk->table, "APIC")) {
        error = check_revision(walk, 1, UINT8_MAX);
        return error || (error = begin_walk(walk, 44)) ? error : qi_acpi_madt(topology, walk);
    }
    if (has_signature(walk->table, "SRAT")) {
        error = check_revision(walk, 1, UINT8_MAX);
        return error || (error = begin_walk(walk, 48)) ? error
                                                       : qi_acpi_srat(topology, walk, placed);
    }
    if (has_signature(walk->table, "SLIT")) {
        error = check_revision(walk, 1, UINT8_MAX);
        return error || (error = begin_walk(walk, 44)) ? error : qi_acpi_slit(topology, walk);
    }
    if (has_signature(walk->table, "HMAT")) {
        error = check_revision(walk, 1, 2);
        return error || (error = begin_walk(walk, 40)) ? error : qi_acpi_hmat(topology, walk);
    }
    return fault_set(walk->fault, QUIRE_ERR_UNSUPPORTED, "not an APIC, SRAT, SLIT or HMAT table", 0,
                     acpi_u32(walk->table), acpi_u32((const uint8_t *)"SRAT"));
}

int quire_acpi_read(struct quire_topology *topology, const void *table, size_t bytes,
                    struct quire_fault *fault)
{
    struct acpi_undo acpi_undo = {
        .nodes = topology->node_count,
        .cpus = topology->cpu_count,
        .ranges = topology->range_count,
        .passed_over = topology->passed_over,
    };
    struct acpi_walk walk = {.table = table, .fault = fault};
    char signature[5];
    size_t length;
    int error;

    if (fault)
        *fault = (struct quire_fault){0};
    error = quire_acpi_table(table, bytes, signature, &length, fault);
    if (error)
        return error;
    walk.bytes = (uint32_t)length;
    walk.wide = has_signature(walk.table, "HMAT");
    error = read_table(topology, &walk, &acpi_undo.placed);
    if (error)
        undo_reading(topology, &acpi_undo);
    return error;
}
