/* SPDX-License-Identifier: MIT
 *
 * acpi_find.c - from the root pointer to a table: RSDP, then XSDT or RSDT, then the table.
 *
 * No state. All that is read is asked of the caller's `map` first, a header before the whole.
 */
#include "numa/acpi/acpi_table.h"

enum {
    RSDP_REVISION = 15,
    RSDP_RSDT = 16,
    RSDP_LENGTH = 20,
    RSDP_XSDT = 24,
    RSDP_MIN_LENGTH = 20,   /* bytes of revision 0 */
    RSDP_MIN_LENGTH_2 = 36, /* at least, of revision 2 */
    RSDP_MAX_LENGTH = 4096,
};

/* How to reach physical memory, and whom to tell. */
struct rsdp_search {
    quire_acpi_map *map;
    void *ctx;
    struct quire_fault *fault;
};

static const uint8_t *map_physical(const struct rsdp_search *s, uint64_t phys, size_t bytes)
{
    const uint8_t *p = bytes <= UINT64_MAX - phys ? s->map(s->ctx, phys, bytes) : 0;

    if (!p)
        fault_set(s->fault, QUIRE_ERR_NO_MEMORY, "a table lies where nothing can be read", phys, 0,
                  bytes);
    return p;
}

/* Faults of a table tell offsets in it; here they tell the address. */
static int fault_at(const struct rsdp_search *s, int error, uint64_t phys)
{
    if (error && s->fault)
        s->fault->where = s->fault->other = phys;
    return error;
}

/* Map the whole table at `phys` and check it. */
static int table_at(const struct rsdp_search *s, uint64_t phys, const uint8_t **table,
                    size_t *length)
{
    const uint8_t *p = map_physical(s, phys, QUIRE_ACPI_HEADER);
    char signature[5];
    size_t bytes;

    if (!p)
        return QUIRE_ERR_NO_MEMORY;
    bytes = acpi_u32(p + 4);
    if (bytes < QUIRE_ACPI_HEADER)
        bytes = QUIRE_ACPI_HEADER; /* and quire_acpi_table complains */
    p = map_physical(s, phys, bytes);
    if (!p)
        return QUIRE_ERR_NO_MEMORY;
    *table = p;
    return fault_at(s, quire_acpi_table(p, bytes, signature, length, s->fault), phys);
}

static int verify_checksum(const struct rsdp_search *s, const uint8_t *p, uint32_t bytes,
                           uint64_t phys)
{
    uint8_t sum = 0;

    for (uint32_t i = 0; i < bytes; i++)
        sum = (uint8_t)(sum + p[i]);
    if (!sum)
        return QUIRE_OK;
    return fault_set(s->fault, QUIRE_ERR_FRAME, "the root pointer's checksum is wrong", phys, sum,
                     0);
}

/* The address of XSDT (8 bytes an entry) or RSDT (4 bytes). */
static int read_root(const struct rsdp_search *s, uint64_t rsdp, uint64_t *phys, uint32_t *width)
{
    static const char signature[8] = "RSD PTR ";
    const uint8_t *p = map_physical(s, rsdp, RSDP_MIN_LENGTH);
    uint32_t bytes;
    int error;

    if (!p)
        return QUIRE_ERR_NO_MEMORY;
    for (unsigned i = 0; i < sizeof signature; i++)
        if (p[i] != (uint8_t)signature[i])
            return fault_set(s->fault, QUIRE_ERR_UNSUPPORTED, "there is no root pointer", rsdp,
                             p[i], (uint8_t)signature[i]);
    if ((error = verify_checksum(s, p, RSDP_MIN_LENGTH, rsdp)))
        return error;
    *phys = acpi_u32(p + RSDP_RSDT);
    *width = 4;
    if (p[RSDP_REVISION] < 2)
        return QUIRE_OK;
    p = map_physical(s, rsdp, RSDP_MIN_LENGTH_2);
    if (!p)
        return QUIRE_ERR_NO_MEMORY;
    bytes = acpi_u32(p + RSDP_LENGTH);
    if (bytes < RSDP_MIN_LENGTH_2 || bytes > RSDP_MAX_LENGTH)
        return fault_set(s->fault, QUIRE_ERR_SIZE, "the root pointer's length is wrong", rsdp,
                         bytes, RSDP_MIN_LENGTH_2);
    p = map_physical(s, rsdp, bytes);
    if (!p)
        return QUIRE_ERR_NO_MEMORY;
    if (acpi_u64(p + RSDP_XSDT)) {
        *phys = acpi_u64(p + RSDP_XSDT);
        *width = 8;
    }
    return verify_checksum(s, p, bytes, rsdp);
}

static bool same_signature(const uint8_t *a, const char *b)
{
    for (unsigned i = 0; i < 4; i++)
        if (a[i] != (uint8_t)b[i])
            return false;
    return true;
}

int quire_acpi_find(uint64_t rsdp, const char signature[4], quire_acpi_map *map, void *ctx,
                    const void **table, size_t *length, struct quire_fault *fault)
{
    const struct rsdp_search s = {map, ctx, fault};
    const uint8_t *root, *p;
    uint64_t root_phys;
    uint32_t width;
    size_t bytes;
    int error = read_root(&s, rsdp, &root_phys, &width);

    if (error || (error = table_at(&s, root_phys, &root, &bytes)))
        return error;
    if (!same_signature(root, width == 8 ? "XSDT" : "RSDT"))
        return fault_set(fault, QUIRE_ERR_UNSUPPORTED, "the root table is not one", root_phys,
                         acpi_u32(root), acpi_u32((const uint8_t *)(width == 8 ? "XSDT" : "RSDT")));
    for (size_t at = QUIRE_ACPI_HEADER; bytes - at >= width; at += width) {
        uint64_t phys = width == 8 ? acpi_u64(root + at) : acpi_u32(root + at);

        if (phys == 0)
            continue;
        p = map_physical(&s, phys, QUIRE_ACPI_HEADER);
        if (!p)
            return QUIRE_ERR_NO_MEMORY;
        if (!same_signature(p, signature))
            continue;
        error = table_at(&s, phys, &p, length);
        if (!error)
            *table = p;
        return error;
    }
    return fault_set(fault, QUIRE_ERR_FRAME, "there is no such table", root_phys, 0,
                     acpi_u32((const uint8_t *)signature));
}
