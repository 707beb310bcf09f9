/* SPDX-License-Identifier: MIT
 *
 * boot.c - the boot map: what memory there is, what of it is in use, and memory before zones.
 * Interface and rules: quire/boot.h. Representation and invariants: boot_map.h.
 */
#include "core/boot/boot_map.h"

/* ---- The list of entries ------------------------------------------------------------------- */

static bool entries_alike(const struct quire_boot_entry *a, const struct quire_boot_entry *b)
{
    return a->kind == b->kind && a->use == b->use && a->node == b->node && a->zone == b->zone &&
           a->disputed == b->disputed;
}

size_t qi_boot_find(const struct quire_boot *boot, uint64_t frame)
{
    size_t low = 0, high = boot->count;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (boot->entries[middle].first <= frame)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Make an entry start at `frame`; there is room. The entry's index, or count at BOOT_LIMIT. */
static size_t split_entry(struct quire_boot *boot, uint64_t frame)
{
    struct quire_boot_entry carried;
    size_t at;

    if (frame == BOOT_LIMIT)
        return boot->count;
    at = qi_boot_find(boot, frame);
    if (boot->entries[at].first == frame)
        return at;
    carried = boot->entries[at++];
    carried.first = frame;
    boot->count++;
    for (size_t i = at; i < boot->count; i++) { /* all above move up by one */
        struct quire_boot_entry next = boot->entries[i];

        boot->entries[i] = carried;
        carried = next;
    }
    return at;
}

/* Restore BM2 from entry `from` upwards. */
static void merge_entries(struct quire_boot *boot, size_t from)
{
    size_t kept = from;

    for (size_t i = from + 1; i < boot->count; i++)
        if (!entries_alike(&boot->entries[kept], &boot->entries[i]))
            boot->entries[++kept] = boot->entries[i];
    boot->count = kept + 1;
}

static void apply_boot_change(struct quire_boot_entry *e, const struct boot_change *change)
{
    if (change->free_metadata && e->use == QUIRE_BOOT_METADATA)
        e->use = QUIRE_BOOT_FREE;
    if (change->leave_zones)
        e->zone = 0;
    if (change->kind > e->kind)
        e->kind = change->kind;
    if (change->use > e->use)
        e->use = change->use;
    if (change->zone && boot_is_memory(e))
        e->zone = change->zone;
    if (change->node && e->node && change->node != e->node)
        e->disputed = true;
    if (change->node && (!e->node || change->node < e->node))
        e->node = change->node;
}

void qi_boot_drop_zone(struct quire_boot *boot, size_t zone)
{
    for (size_t i = 0; i < boot->count; i++) {
        struct quire_boot_entry *e = &boot->entries[i];

        if (e->zone == zone + 1)
            e->zone = 0;
        else if (e->zone > zone + 1)
            e->zone--;
    }
    merge_entries(boot, 0);
}

static bool entry_starts_at(const struct quire_boot *boot, uint64_t frame)
{
    return frame == BOOT_LIMIT || boot->entries[qi_boot_find(boot, frame)].first == frame;
}

int qi_boot_change(struct quire_boot *boot, uint64_t first, uint64_t end,
                   const struct boot_change *change)
{
    size_t room = boot->capacity - boot->count;
    size_t low, high;

    if (room < (size_t)!entry_starts_at(boot, first) + !entry_starts_at(boot, end))
        return QUIRE_ERR_FULL;
    low = split_entry(boot, first);
    high = split_entry(boot, end);
    for (size_t i = low; i < high; i++)
        apply_boot_change(&boot->entries[i], change);
    merge_entries(boot, low > 0 ? low - 1 : 0);
    return QUIRE_OK;
}

/* ---- Entries as the caller gives them ------------------------------------------------------ */

/* May the bytes be taken as they are? Those that only protect are clipped instead of refused. */
static int check_bytes(struct quire_boot *boot, uint64_t phys, uint64_t *bytes, bool protects)
{
    const uint64_t limit = BOOT_LIMIT << QUIRE_FRAME_SHIFT;
    bool wraps = *bytes > 0 && *bytes - 1 > UINT64_MAX - phys;

    if (*bytes == 0) {
        boot->refused.empty++;
        return QUIRE_ERR_SIZE;
    }
    if (phys < limit && *bytes <= limit - phys)
        return QUIRE_OK;
    if (wraps)
        boot->refused.wrapping++;
    else
        boot->refused.beyond++;
    if (!protects || phys >= limit)
        return QUIRE_ERR_SIZE;
    boot->refused.clipped++;
    *bytes = limit - phys;
    return QUIRE_OK;
}

static bool range_has_taken(const struct quire_boot *boot, uint64_t first, uint64_t end)
{
    for (size_t i = qi_boot_find(boot, first); i < boot->count; i++) {
        if (boot->entries[i].first >= end)
            return false;
        if (boot->entries[i].use == QUIRE_BOOT_TAKEN)
            return true;
    }
    return false;
}

/* All frames that have a byte of these, or (inwards) have no byte but these. */
static struct quire_run run_of_bytes(uint64_t phys, uint64_t bytes, bool inwards)
{
    uint64_t end = phys + bytes, up = QUIRE_FRAME_SIZE - 1;
    struct quire_run run;

    run.pfn = quire_pfn_of_phys(inwards ? phys + up : phys);
    end = (inwards ? end : end + up) >> QUIRE_FRAME_SHIFT;
    run.frames = end > run.pfn.n ? end - run.pfn.n : 0;
    return run;
}

/* Change a run, counting why not. `protects`: it takes frames out of use. */
static int describe_run(struct quire_boot *boot, struct quire_run run, bool protects,
                        const struct boot_change *change)
{
    uint64_t end = run.pfn.n + run.frames;
    int err;

    if (protects && range_has_taken(boot, run.pfn.n, end))
        return QUIRE_ERR_BUSY;
    err = qi_boot_change(boot, run.pfn.n, end, change);
    if (err)
        boot->refused.full++;
    return err;
}

int quire_boot_init(struct quire_boot *boot, struct quire_boot_entry entries[], size_t capacity,
                    uint64_t low_bytes)
{
    struct quire_boot fresh = {.entries = entries, .count = 1, .capacity = capacity};
    struct quire_boot_entry nothing = {0};

    if (low_bytes > BOOT_LIMIT << QUIRE_FRAME_SHIFT)
        return QUIRE_ERR_SIZE;
    if (!entries || capacity < (low_bytes ? 2 : 1))
        return QUIRE_ERR_SIZE;
    entries[0] = nothing;
    *boot = fresh;
    return low_bytes ? quire_boot_reserve(boot, 0, low_bytes) : QUIRE_OK;
}

int quire_boot_add(struct quire_boot *boot, uint64_t phys, uint64_t bytes,
                   enum quire_boot_kind kind, uint32_t node)
{
    struct boot_change change = {.kind = (uint8_t)kind};
    bool memory = kind == QUIRE_BOOT_USABLE || kind == QUIRE_BOOT_DEVICE;
    struct quire_run run;
    int err;

    if (!memory && kind != QUIRE_BOOT_FIRMWARE)
        return QUIRE_ERR_UNSUPPORTED;
    if (node != QUIRE_NODE_ANY && node >= QUIRE_BOOT_NODES)
        return QUIRE_ERR_NODE;
    if (boot->zones)
        return QUIRE_ERR_INITIALISED;
    change.node = node == QUIRE_NODE_ANY ? 0 : (uint16_t)(node + 1);
    err = check_bytes(boot, phys, &bytes, !memory);
    if (err)
        return err;
    run = run_of_bytes(phys, bytes, memory);
    if (run.frames == 0) {
        boot->refused.slivers++;
        boot->trimmed_bytes += bytes;
        return QUIRE_ERR_SIZE;
    }
    err = describe_run(boot, run, kind != QUIRE_BOOT_USABLE, &change);
    if (err)
        return err;
    boot->accepted++;
    if (memory)
        boot->trimmed_bytes += bytes - (run.frames << QUIRE_FRAME_SHIFT);
    return QUIRE_OK;
}

int quire_boot_assign(struct quire_boot *boot, uint64_t phys, uint64_t bytes, uint32_t node)
{
    struct boot_change change = {.node = (uint16_t)(node + 1)};
    int err;

    if (node >= QUIRE_BOOT_NODES)
        return QUIRE_ERR_NODE;
    if (boot->zones)
        return QUIRE_ERR_INITIALISED;
    err = check_bytes(boot, phys, &bytes, false);
    return err ? err : describe_run(boot, run_of_bytes(phys, bytes, false), false, &change);
}

int quire_boot_reserve(struct quire_boot *boot, uint64_t phys, uint64_t bytes)
{
    const struct boot_change change = {.use = QUIRE_BOOT_RESERVED};
    int err;

    if (boot->zones)
        return QUIRE_ERR_INITIALISED;
    err = check_bytes(boot, phys, &bytes, true);
    return err ? err : describe_run(boot, run_of_bytes(phys, bytes, false), true, &change);
}

/* ---- Looking at it ------------------------------------------------------------------------- */

void quire_boot_report(const struct quire_boot *boot, struct quire_boot_report *report)
{
    struct quire_boot_report r = {
        .accepted = boot->accepted,
        .refused = boot->refused,
        .trimmed_bytes = boot->trimmed_bytes,
    };
    uint64_t used[QUIRE_BOOT_METADATA + 1] = {0};

    for (size_t i = 0; i < boot->count; i++) {
        const struct quire_boot_entry *e = &boot->entries[i];
        uint64_t frames = boot_end(boot, i) - e->first;

        if (e->kind == QUIRE_BOOT_FIRMWARE)
            r.firmware += frames;
        if (!boot_is_memory(e))
            continue;
        used[e->use] += frames;
        if (e->kind == QUIRE_BOOT_DEVICE && e->use == QUIRE_BOOT_FREE)
            r.device += frames;
        if (e->disputed)
            r.disputed += frames;
        if (e->node == 0)
            r.nodeless += frames;
    }
    r.usable = used[QUIRE_BOOT_FREE] - r.device;
    r.reserved = used[QUIRE_BOOT_RESERVED];
    r.taken = used[QUIRE_BOOT_TAKEN];
    r.metadata = used[QUIRE_BOOT_METADATA];
    *report = r;
}

int quire_boot_region(const struct quire_boot *boot, size_t index, struct quire_boot_region *region)
{
    const struct quire_boot_entry *e;
    const struct quire_boot_zone *zone;

    if (index >= boot->count)
        return QUIRE_ERR_SIZE;
    e = &boot->entries[index];
    zone = boot_zone(boot, e);
    region->run.pfn = quire_pfn_of(e->first);
    region->run.frames = boot_end(boot, index) - e->first;
    region->kind = (enum quire_boot_kind)e->kind;
    region->use = (enum quire_boot_use)e->use;
    region->node = e->node ? e->node - 1u : QUIRE_NODE_ANY;
    region->zone = zone ? e->zone - 1u : QUIRE_BOOT_NO_ZONE;
    region->disputed = e->disputed;
    region->shared = zone && boot_is_foreign(e, zone);
    return QUIRE_OK;
}

/* ---- Memory before zones ------------------------------------------------------------------- */

static int check_request(const struct quire_boot *boot, const struct quire_boot_request *request)
{
    bool present = request->node == QUIRE_NODE_ANY;

    if (request->bytes == 0 || request->bytes > BOOT_LIMIT << QUIRE_FRAME_SHIFT)
        return QUIRE_ERR_SIZE;
    if (request->high && request->low > request->high)
        return QUIRE_ERR_SIZE;
    if (request->align & (request->align - 1))
        return QUIRE_ERR_ALIGN;
    for (size_t i = 0; i < boot->count && !present; i++) {
        const struct quire_boot_entry *e = &boot->entries[i];

        present = boot_is_memory(e) && boot_node(e) == request->node;
    }
    return present ? QUIRE_OK : QUIRE_ERR_NODE;
}

static bool may_take_entry(const struct quire_boot *boot, const struct quire_boot_entry *e,
                           uint32_t node)
{
    const struct quire_boot_zone *zone = boot_zone(boot, e);

    if (e->kind != QUIRE_BOOT_USABLE || e->use != QUIRE_BOOT_FREE)
        return false;
    if (node != QUIRE_NODE_ANY && boot_node(e) != node)
        return false;
    return !zone || (zone->config.type != QUIRE_ZONE_HUGE && !boot_is_foreign(e, zone));
}

/* The free stretch that ends with entry `end` - 1 may be taken for the node from the entry returned
 * on; `end` if there is none. Entries that differ in what was told of their node, and no more, are
 * one stretch. */
static size_t stretch_below(const struct quire_boot *boot, size_t end, uint32_t node)
{
    while (end > 0 && may_take_entry(boot, &boot->entries[end - 1], node))
        end--;
    return end;
}

int qi_boot_find_place(const struct quire_boot *boot, const struct quire_boot_request *request,
                       struct quire_run *place)
{
    const uint64_t last = (BOOT_LIMIT << QUIRE_FRAME_SHIFT) - 1;
    uint64_t align = request->align >> QUIRE_FRAME_SHIFT;
    uint64_t frames = (request->bytes + QUIRE_FRAME_SIZE - 1) >> QUIRE_FRAME_SHIFT;
    uint64_t low =
        (request->low >> QUIRE_FRAME_SHIFT) + ((request->low & (QUIRE_FRAME_SIZE - 1)) != 0);
    uint64_t high = request->high == 0 || request->high > last
                        ? BOOT_LIMIT
                        : (request->high + 1) >> QUIRE_FRAME_SHIFT;
    int err = check_request(boot, request);

    if (err)
        return err;
    for (size_t i = boot->count, below; i > 0; i = below) {
        uint64_t first, end = boot_end(boot, i - 1);

        below = stretch_below(boot, i, request->node);
        if (below == i) {
            below--; /* not this entry */
            continue;
        }
        first = boot->entries[below].first;
        first = first < low ? low : first;
        end = end > high ? high : end;
        if (end < first || end - first < frames)
            continue;
        place->pfn = quire_pfn_of((end - frames) & ~(align ? align - 1 : 0));
        place->frames = frames;
        if (place->pfn.n >= first)
            return QUIRE_OK;
    }
    return QUIRE_ERR_NO_MEMORY;
}

int quire_boot_alloc(struct quire_boot *boot, const struct quire_boot_request *request,
                     uint64_t *phys)
{
    const struct boot_change take = {.use = QUIRE_BOOT_TAKEN};
    struct quire_run place = {{0}, 0};
    int err = QUIRE_ERR_INITIALISED;

    if (!boot->zones)
        err = qi_boot_find_place(boot, request, &place);
    if (!err)
        err = qi_boot_change(boot, place.pfn.n, place.pfn.n + place.frames, &take);
    if (!err)
        *phys = quire_phys(place.pfn);
    return err;
}
