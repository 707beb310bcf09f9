/* SPDX-License-Identifier: MIT
 *
 * acpi_speed.c - SLIT, how far apart the domains are, and HMAT, how fast their memory is.
 *
 * Both are looked at as a whole before anything is taken from them. Domains that SRAT did not name
 * are passed over: firmware gives numbers for those as well, and generic initiators are no nodes.
 *
 * HMAT's latencies count picoseconds in revision 2; revision 1 counted tenths of what is now a
 * nanosecond or 10^6 bytes a second. A structure may speak of reads, of writes, or of both at once:
 * reads are what is wanted, both at once will do, wherever in the table they stand.
 *
 * No state. Called by quire_acpi_read.
 */
#include "core/word.h"
#include "numa/acpi/acpi_table.h"

enum { SLIT_COUNT = 36, SLIT_MATRIX = 44 };

static int check_locality(const struct acpi_walk *walk, uint64_t count, uint32_t from, uint32_t to,
                          struct quire_fault *fault)
{
    uint64_t at = SLIT_MATRIX + from * count + to;
    unsigned distance = walk->table[at];

    if (from == to && distance != QUIRE_DISTANCE_LOCAL)
        return fault_set(fault, QUIRE_ERR_SIZE, "a domain's distance to itself is not 10", at,
                         distance, QUIRE_DISTANCE_LOCAL);
    if (from != to && distance <= QUIRE_DISTANCE_LOCAL)
        return fault_set(fault, QUIRE_ERR_SIZE, "two domains are nearer than 11", at, distance,
                         QUIRE_DISTANCE_LOCAL + 1);
    return QUIRE_OK;
}

int qi_acpi_slit(struct quire_topology *topology, struct acpi_walk *walk)
{
    uint64_t count = acpi_u64(walk->table + SLIT_COUNT);
    uint32_t nodes = topology->node_count;
    struct quire_fault fault;
    int error;

    /* A table of 32 bits of length has less than 2^16 localities. */
    if (count > UINT16_MAX || SLIT_MATRIX + count * count != walk->bytes)
        return fault_set(
            walk->fault, QUIRE_ERR_SIZE, "the table's length is not that of its localities",
            SLIT_COUNT, walk->bytes, count > UINT16_MAX ? UINT32_MAX : SLIT_MATRIX + count * count);
    for (uint32_t i = 0; i < nodes; i++)
        for (uint32_t k = 0; k < nodes; k++) {
            uint32_t from = topology->node_id[i], to = topology->node_id[k];

            if (from < count && to < count &&
                (error = check_locality(walk, count, from, to, &fault)))
                return qi_acpi_distrust(topology, walk, error, fault);
        }
    for (uint32_t i = 0; i < nodes; i++)
        for (uint32_t k = 0; k < nodes; k++) {
            uint32_t from = topology->node_id[i], to = topology->node_id[k];

            if (from < count && to < count)
                topology->distance[i][k] = walk->table[SLIT_MATRIX + from * count + to];
        }
    return QUIRE_OK;
}

enum { HMAT_DOMAIN = 0, HMAT_SPEED = 1, HMAT_CACHE = 2 }; /* structures */
enum {                                                    /* data types of HMAT_SPEED */
       HMAT_ACCESS_LATENCY = 0,
       HMAT_READ_LATENCY = 1,
       HMAT_ACCESS_BANDWIDTH = 3,
       HMAT_READ_BANDWIDTH = 4,
};
enum { HMAT_UNKNOWN = 0xffff };

/* The parts of one HMAT_SPEED structure. */
struct speeds {
    unsigned type;
    uint64_t initiators, targets, base;
    const uint8_t *initiator, *target, *entry;
    uint32_t unit; /* by which entry times base is divided */
};

static int parse_speeds(const struct acpi_walk *walk, struct speeds *s)
{
    uint64_t need;
    int error = qi_acpi_check_size(walk, 32);

    if (error)
        return error;
    s->type = walk->entry[9];
    s->initiators = acpi_u32(walk->entry + 12);
    s->targets = acpi_u32(walk->entry + 16);
    s->base = acpi_u64(walk->entry + 24);
    need = s->initiators + s->targets;
    need = 32 + 4 * need + (need <= walk->size ? 2 * s->initiators * s->targets : 0);
    if (need > walk->size)
        return fault_set(walk->fault, QUIRE_ERR_SIZE, "a structure is shorter than its lists",
                         walk->at, walk->size, need);
    s->initiator = walk->entry + 32;
    s->target = s->initiator + 4 * s->initiators;
    s->entry = s->target + 4 * s->targets;
    if (walk->table[ACPI_REVISION] < 2)
        s->unit = 10;
    else
        s->unit = s->type < HMAT_ACCESS_BANDWIDTH ? 1000 : 1;
    return QUIRE_OK;
}

/* What entry [i][k] says, in our units; 0: nothing. Greater than UINT32_MAX: absurd. */
static uint64_t speed_between(const struct speeds *s, uint64_t i, uint64_t k)
{
    uint64_t entry = acpi_u16(s->entry + 2 * (i * s->targets + k));

    if (entry == 0 || entry == HMAT_UNKNOWN)
        return 0;
    if (s->base > UINT64_MAX / UINT16_MAX - s->unit)
        return UINT64_MAX;
    return word_divide(entry * s->base + s->unit - 1, s->unit);
}

static int check_speeds(const struct acpi_walk *walk)
{
    struct speeds s;
    int error = parse_speeds(walk, &s);

    for (uint64_t i = 0; !error && i < s.initiators; i++)
        for (uint64_t k = 0; !error && k < s.targets; k++)
            if (speed_between(&s, i, k) > UINT32_MAX)
                error = fault_set(walk->fault, QUIRE_ERR_SIZE,
                                  "a latency or bandwidth does not fit 32 bits", walk->at,
                                  speed_between(&s, i, k), UINT32_MAX);
    return error;
}

static int check_hmat(struct acpi_walk *walk)
{
    int more;

    while ((more = qi_acpi_next(walk)) > 0) {
        int error = QUIRE_OK;

        if (walk->type == HMAT_DOMAIN)
            error = qi_acpi_check_size(walk, 40);
        else if (walk->type == HMAT_SPEED)
            error = check_speeds(walk);
        else if (walk->type == HMAT_CACHE)
            error = qi_acpi_check_size(walk, 32);
        if (error)
            return error;
    }
    return more;
}

static void apply_speeds(struct quire_topology *topology, const struct speeds *s,
                         uint32_t matrix[QUIRE_NODES][QUIRE_NODES])
{
    for (uint64_t i = 0; i < s->initiators; i++) {
        uint32_t from = acpi_node_of(topology, acpi_u32(s->initiator + 4 * i));

        for (uint64_t k = 0; from != QUIRE_NO_NODE && k < s->targets; k++) {
            uint32_t to = acpi_node_of(topology, acpi_u32(s->target + 4 * k));
            uint64_t value = speed_between(s, i, k);

            if (to != QUIRE_NO_NODE && value != 0)
                matrix[from][to] = (uint32_t)value;
        }
    }
}

/* Take the structures of these two data types. */
static void apply_hmat(struct quire_topology *topology, struct acpi_walk walk, unsigned latency,
                       unsigned bandwidth)
{
    while (qi_acpi_next(&walk) > 0) {
        struct speeds s;

        /* The lower bits of the flags say which memory: 0 is memory itself, others are caches. */
        if (walk.type != HMAT_SPEED || parse_speeds(&walk, &s) || walk.entry[8] & 15)
            continue;
        if (s.type == latency)
            apply_speeds(topology, &s, topology->latency_ns);
        else if (s.type == bandwidth)
            apply_speeds(topology, &s, topology->bandwidth_mbs);
    }
}

int qi_acpi_hmat(struct quire_topology *topology, struct acpi_walk *walk)
{
    const struct acpi_walk start = *walk;
    int error = check_hmat(walk);

    if (error)
        return error;
    apply_hmat(topology, start, HMAT_ACCESS_LATENCY, HMAT_ACCESS_BANDWIDTH);
    apply_hmat(topology, start, HMAT_READ_LATENCY, HMAT_READ_BANDWIDTH);
    return QUIRE_OK;
}
