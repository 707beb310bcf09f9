/* SPDX-License-Identifier: MIT
 *
 * acpi_cpus.c - MADT, which CPUs there are, and SRAT, where they and the memory are.
 *
 * SRAT lists whatever may ever be plugged in, so where a MADT was read before, it places the CPUs
 * found there and adds none. Disabled entries are skipped in both, and so are CPUs that are not
 * there yet ("online capable"), ids that mean nobody, generic initiators, and unknown entries.
 *
 * No state; called by quire_acpi_read, which takes back what was added before an error.
 */
#include "numa/acpi/acpi_table.h"

enum { ENTRY_ENABLED = 1, ENTRY_HOTPLUG = 2, ENTRY_NONVOLATILE = 4 };     /* flags */
enum { MADT_APIC = 0, MADT_X2APIC = 9, MADT_GICC = 11, MADT_RINTC = 24 }; /* entries of MADT */
enum { SRAT_APIC = 0, SRAT_MEMORY = 1, SRAT_X2APIC = 2, SRAT_GICC = 3, SRAT_RINTC = 7 }; /* SRAT */
enum { APIC_BROADCAST = 0xff };
#define X2APIC_BROADCAST UINT32_MAX

static int too_many(const struct acpi_walk *walk, const char *what, uint64_t most)
{
    return fault_set(walk->fault, QUIRE_ERR_FULL, what, walk->at, most + 1, most);
}

/* The CPU is on no other node, as the caller has seen. */
static int acpi_add_cpu(struct quire_topology *topology, const struct acpi_walk *walk, uint32_t id,
                        quire_node node)
{
    if (quire_topology_add_cpu(topology, id, node) == QUIRE_OK)
        return QUIRE_OK;
    return too_many(walk, "there are too many CPUs", QUIRE_CPUS);
}

static int madt_entry(struct quire_topology *topology, const struct acpi_walk *walk)
{
    const uint8_t *p = walk->entry;
    uint32_t id, nobody = X2APIC_BROADCAST, flags;
    int error;

    switch (walk->type) {
    case MADT_APIC:
        if ((error = qi_acpi_check_size(walk, 8)))
            return error;
        id = p[3];
        nobody = APIC_BROADCAST;
        flags = acpi_u32(p + 4);
        break;
    case MADT_X2APIC:
        if ((error = qi_acpi_check_size(walk, 16)))
            return error;
        id = acpi_u32(p + 4);
        flags = acpi_u32(p + 8);
        break;
    case MADT_GICC:
        if ((error = qi_acpi_check_size(walk, 40)))
            return error;
        id = acpi_u32(p + 8);
        flags = acpi_u32(p + 12);
        break;
    case MADT_RINTC:
        if ((error = qi_acpi_check_size(walk, 20)))
            return error;
        id = acpi_u32(p + 16);
        flags = acpi_u32(p + 4);
        break;
    default:
        return QUIRE_OK;
    }
    if (!(flags & ENTRY_ENABLED) || id == nobody)
        return QUIRE_OK;
    return acpi_add_cpu(topology, walk, id, quire_node_of(QUIRE_NO_NODE));
}

int qi_acpi_madt(struct quire_topology *topology, struct acpi_walk *walk)
{
    int more;

    while ((more = qi_acpi_next(walk)) > 0) {
        int error = madt_entry(topology, walk);

        if (error)
            return error;
    }
    return more;
}

/* State of one walk over SRAT. */
struct srat_reader {
    struct quire_topology *topology;
    struct acpi_walk *walk;
    struct acpi_placed *placed;
    uint32_t known; /* CPUs that were there before; 0: SRAT says which there are */
};

static int node_of_domain(const struct srat_reader *srat_reader, uint32_t id, quire_node *node)
{
    if (quire_topology_add_node(srat_reader->topology, id, node) == QUIRE_OK)
        return QUIRE_OK;
    return too_many(srat_reader->walk, "there are too many proximity domains", QUIRE_NODES);
}

static int place_cpu(const struct srat_reader *srat_reader, uint32_t id, uint32_t domain_id)
{
    struct quire_topology *topology = srat_reader->topology;
    const struct acpi_walk *walk = srat_reader->walk;
    quire_node node;
    uint32_t cpu = 0, before = QUIRE_NO_NODE;
    int error;

    while (cpu < topology->cpu_count && topology->cpu_id[cpu] != id)
        cpu++;
    if (srat_reader->known && cpu >= srat_reader->known)
        return QUIRE_OK;
    if (cpu < topology->cpu_count)
        before = topology->cpu_node[cpu];
    if (before != QUIRE_NO_NODE && topology->node_id[before] != domain_id)
        return fault_set_pair(walk->fault, QUIRE_ERR_BUSY, "a CPU is in two domains", walk->at, id,
                              domain_id, topology->node_id[before]);
    if ((error = node_of_domain(srat_reader, domain_id, &node)))
        return error;
    if (cpu < srat_reader->known && before == QUIRE_NO_NODE)
        srat_reader->placed->bits[cpu / 64] |= (uint64_t)1 << cpu % 64;
    return acpi_add_cpu(topology, walk, id, node);
}

/* Can the entry's memory be anybody's? 1: yes; 0: no, it is passed over; else an error. */
static int check_srat_range(const struct srat_reader *srat_reader, uint32_t id,
                            const struct quire_topology_memory *range)
{
    const uint64_t limit = (uint64_t)1 << (QUIRE_PFN_BITS + QUIRE_FRAME_SHIFT);
    const struct quire_topology *topology = srat_reader->topology;
    const struct acpi_walk *walk = srat_reader->walk;
    struct quire_fault fault;
    int error;

    if (range->phys >= limit || range->bytes > limit - range->phys) {
        error = fault_set(&fault, QUIRE_ERR_SIZE, "memory ends beyond 2^52", walk->at,
                          topology_end_of(range), limit);
        return qi_acpi_distrust(srat_reader->topology, walk, error, fault);
    }
    for (uint32_t i = 0; i < topology->range_count; i++) {
        const struct quire_topology_memory *other = &topology->ranges[i];

        if (!topology_overlap(range, other))
            continue;
        error = fault_set_pair(&fault, QUIRE_ERR_BUSY, "memory is in two domains", walk->at,
                               range->phys > other->phys ? range->phys : other->phys, id,
                               topology->node_id[other->node.n]);
        return qi_acpi_distrust(srat_reader->topology, walk, error, fault);
    }
    return 1;
}

static int srat_memory(const struct srat_reader *srat_reader)
{
    struct quire_topology *topology = srat_reader->topology;
    const uint8_t *p = srat_reader->walk->entry;
    struct quire_topology_memory range = {
        .phys = acpi_u64(p + 8), .bytes = acpi_u64(p + 16), .kind = QUIRE_MEMORY_ORDINARY};
    uint32_t flags = acpi_u32(p + 28), id = acpi_u32(p + 2);
    int error;

    if (!(flags & ENTRY_ENABLED))
        return QUIRE_OK;
    if (srat_reader->walk->table[ACPI_REVISION] < 2)
        id &= 0xff; /* the other bytes were reserved */
    if (flags & ENTRY_NONVOLATILE)
        range.kind = QUIRE_MEMORY_DEVICE;
    else if (flags & ENTRY_HOTPLUG)
        range.kind = QUIRE_MEMORY_HOTPLUG;
    /* A new domain's node is none of those that have memory. */
    range.node = quire_node_of(acpi_node_of(topology, id));
    if (range.bytes && (error = check_srat_range(srat_reader, id, &range)) <= 0)
        return error;
    if ((error = node_of_domain(srat_reader, id, &range.node)))
        return error;
    if (range.bytes == 0)
        return QUIRE_OK;
    if (quire_topology_add_memory(topology, range.phys, range.bytes, range.node, range.kind) ==
        QUIRE_OK)
        return QUIRE_OK;
    return too_many(srat_reader->walk, "there are too many stretches of memory",
                    QUIRE_TOPOLOGY_RANGES);
}

static int srat_entry(const struct srat_reader *srat_reader)
{
    const struct acpi_walk *walk = srat_reader->walk;
    const uint8_t *p = walk->entry;
    uint32_t id;
    int error;

    switch (walk->type) {
    case SRAT_APIC:
        if ((error = qi_acpi_check_size(walk, 16)))
            return error;
        id = p[2];
        if (walk->table[ACPI_REVISION] >= 2)
            id |= acpi_u16(p + 9) << 8 | (uint32_t)p[11] << 24;
        return acpi_u32(p + 4) & ENTRY_ENABLED && p[3] != APIC_BROADCAST
                   ? place_cpu(srat_reader, p[3], id)
                   : 0;
    case SRAT_MEMORY:
        error = qi_acpi_check_size(walk, 40);
        return error ? error : srat_memory(srat_reader);
    case SRAT_X2APIC:
        if ((error = qi_acpi_check_size(walk, 24)))
            return error;
        id = acpi_u32(p + 8);
        return acpi_u32(p + 12) & ENTRY_ENABLED && id != X2APIC_BROADCAST
                   ? place_cpu(srat_reader, id, acpi_u32(p + 4))
                   : QUIRE_OK;
    case SRAT_GICC:
        if ((error = qi_acpi_check_size(walk, 18)))
            return error;
        return acpi_u32(p + 10) & ENTRY_ENABLED
                   ? place_cpu(srat_reader, acpi_u32(p + 6), acpi_u32(p + 2))
                   : 0;
    case SRAT_RINTC:
        if ((error = qi_acpi_check_size(walk, 20)))
            return error;
        return acpi_u32(p + 12) & ENTRY_ENABLED
                   ? place_cpu(srat_reader, acpi_u32(p + 8), acpi_u32(p + 4))
                   : 0;
    default:
        return QUIRE_OK;
    }
}

int qi_acpi_srat(struct quire_topology *topology, struct acpi_walk *walk,
                 struct acpi_placed *placed)
{
    const struct srat_reader srat_reader = {topology, walk, placed, topology->cpu_count};
    int more;

    while ((more = qi_acpi_next(walk)) > 0) {
        int error = srat_entry(&srat_reader);

        if (error)
            return error;
    }
    return more;
}
