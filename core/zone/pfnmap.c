/* SPDX-License-Identifier: MIT
 *
 * pfnmap.c - building the table of pfnmap.h. State and invariants are described there.
 *
 * Memory, in 16-bit words: the root, the leaves (leaf 0 is the empty one), the tables. Spans come
 * sorted, so one pass counts what is needed and a second one fills it.
 */
#include <quire/pfnmap.h>

enum {
    LEAF_SHIFT = QUIRE_PFNMAP_LEAF_SHIFT,
    LEAF_WORDS = 1 << LEAF_SHIFT,
    ROOT_WORDS = 1 << (QUIRE_PFN_BITS - QUIRE_PFNMAP_SECTION_SHIFT - LEAF_SHIFT),
    TABLE_WORDS = 1 << QUIRE_PFNMAP_BLOCK_SHIFT,
    TABLES_MAX = QUIRE_PFNMAP_SHARED,
    SECTION_SHIFT = QUIRE_PFNMAP_SECTION_SHIFT,
    BLOCK_SHIFT = QUIRE_PFNMAP_BLOCK_SHIFT,
};
#define PFN_LIMIT ((uint64_t)1 << QUIRE_PFN_BITS)

static uint64_t span_end(const struct quire_pfnmap_span *span)
{
    return span->run.pfn.n + span->run.frames;
}

static uint64_t last_section(const struct quire_pfnmap_span *span)
{
    return (span_end(span) - 1) >> SECTION_SHIFT;
}

static int check_span(const struct quire_pfnmap_span *span, uint64_t previous_end)
{
    const uint64_t in_block = ((uint64_t)1 << BLOCK_SHIFT) - 1;
    uint64_t first = span->run.pfn.n, frames = span->run.frames;

    if (frames == 0 || first >= PFN_LIMIT || frames > PFN_LIMIT - first)
        return QUIRE_ERR_SIZE;
    if (span->zone >= QUIRE_PFNMAP_ZONES)
        return QUIRE_ERR_SIZE;
    if ((first | frames) & in_block || first < previous_end)
        return QUIRE_ERR_ALIGN;
    return QUIRE_OK;
}

/* How many leaves, the empty one included, and tables. A section needs a table from the first span
 * on that brings it a second zone. */
static int count_parts(const struct quire_pfnmap_span spans[], size_t count, size_t *leaves,
                       size_t *tables)
{
    uint64_t end = 0, next_root = 0, shared_section = UINT64_MAX;

    *leaves = 1;
    *tables = 0;
    for (size_t i = 0; i < count; i++) {
        const struct quire_pfnmap_span *span = &spans[i];
        int err = check_span(span, end);
        uint64_t section = span->run.pfn.n >> SECTION_SHIFT;
        uint64_t root = section >> LEAF_SHIFT, last = last_section(span);

        if (err)
            return err;
        if (root < next_root)
            root = next_root;
        next_root = (last >> LEAF_SHIFT) + 1;
        *leaves += (size_t)(next_root - root);
        if (i > 0 && section == last_section(&spans[i - 1]) && span->zone != spans[i - 1].zone &&
            section != shared_section) {
            shared_section = section;
            ++*tables;
        }
        end = span_end(span);
    }
    return *tables > TABLES_MAX ? QUIRE_ERR_SIZE : QUIRE_OK;
}

static size_t pfnmap_memory_bytes(size_t leaves, size_t tables)
{
    return (ROOT_WORDS + leaves * LEAF_WORDS + tables * TABLE_WORDS) * sizeof(uint16_t);
}

int quire_pfnmap_size(const struct quire_pfnmap_span spans[], size_t count, size_t *bytes)
{
    size_t leaves, tables;
    int err = count_parts(spans, count, &leaves, &tables);

    if (!err)
        *bytes = pfnmap_memory_bytes(leaves, tables);
    return err;
}

/* Write the part of a span that lies in `section` into the section's table. */
static void fill_table(uint16_t *table, const struct quire_pfnmap_span *span, uint64_t section)
{
    uint64_t first = section << SECTION_SHIFT, end = (section + 1) << SECTION_SHIFT;

    if (first < span->run.pfn.n)
        first = span->run.pfn.n;
    if (end > span_end(span))
        end = span_end(span);
    for (; first < end; first += (uint64_t)1 << BLOCK_SHIFT)
        table[first >> BLOCK_SHIFT & (TABLE_WORDS - 1)] = (uint16_t)(span->zone + 1);
}

/* What the second pass has handed out so far. */
struct pfnmap_parts {
    uint16_t *root, *leaves, *tables;
    uint16_t leaf_count, table_count;
};

static uint16_t *section_entry(struct pfnmap_parts *pfnmap_parts, uint64_t section)
{
    uint16_t *leaf = &pfnmap_parts->root[section >> LEAF_SHIFT];

    if (*leaf == 0)
        *leaf = pfnmap_parts->leaf_count++;
    return &pfnmap_parts->leaves[(size_t)*leaf * LEAF_WORDS + (section & (LEAF_WORDS - 1))];
}

/* Enter spans[i] in one section. The spans before it that reach into the section are entered. */
static void enter_span(struct pfnmap_parts *pfnmap_parts, const struct quire_pfnmap_span spans[],
                       size_t i, uint64_t section)
{
    uint16_t *entry = section_entry(pfnmap_parts, section);
    size_t first = i;

    if (*entry == 0)
        *entry = (uint16_t)(spans[i].zone + 1);
    if (*entry == spans[i].zone + 1)
        return;
    if (!(*entry & QUIRE_PFNMAP_SHARED)) {
        *entry = (uint16_t)(QUIRE_PFNMAP_SHARED | pfnmap_parts->table_count++);
        while (first > 0 && last_section(&spans[first - 1]) == section)
            first--;
    }
    for (; first <= i; first++)
        fill_table(&pfnmap_parts->tables[(size_t)(*entry & ~QUIRE_PFNMAP_SHARED) * TABLE_WORDS],
                   &spans[first], section);
}

int quire_pfnmap_init(struct quire_pfnmap *map, const struct quire_pfnmap_span spans[],
                      size_t count, void *memory, size_t bytes)
{
    struct pfnmap_parts pfnmap_parts = {.root = memory, .leaf_count = 1};
    size_t leaves, tables;
    int err = count_parts(spans, count, &leaves, &tables);

    if (err)
        return err;
    if (bytes < pfnmap_memory_bytes(leaves, tables))
        return QUIRE_ERR_SIZE;
    if ((uintptr_t)memory % sizeof(uint16_t))
        return QUIRE_ERR_ALIGN;
    __builtin_memset(memory, 0, pfnmap_memory_bytes(leaves, tables));
    pfnmap_parts.leaves = pfnmap_parts.root + ROOT_WORDS;
    pfnmap_parts.tables = pfnmap_parts.leaves + leaves * LEAF_WORDS;
    for (size_t i = 0; i < count; i++)
        for (uint64_t s = spans[i].run.pfn.n >> SECTION_SHIFT; s <= last_section(&spans[i]); s++)
            enter_span(&pfnmap_parts, spans, i, s);
    quire_pfnmap_attach(map, memory);
    return QUIRE_OK;
}

void quire_pfnmap_attach(struct quire_pfnmap *map, const void *memory)
{
    const uint16_t *root = memory;
    uint16_t last = 0; /* leaves are numbered upwards without a gap */

    for (unsigned i = 0; i < ROOT_WORDS; i++)
        if (root[i] > last)
            last = root[i];
    map->root = root;
    map->leaves = root + ROOT_WORDS;
    map->tables = map->leaves + ((size_t)last + 1) * LEAF_WORDS;
}
