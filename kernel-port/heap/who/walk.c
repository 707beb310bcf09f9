/* SPDX-License-Identifier: MIT
 *
 * walk.c - which objects there are, by the records of a heap that is watched: frame by frame, so
 * that a range of physical memory is as good a question as all of it.
 *
 * The danger is a slab that goes, and an object cache that ends, while their records are read. A
 * walk is counted as a reader of records (records.c), and visits the class as who looks at all
 * slabs does (slab.c). A slab that comes again meanwhile, at other frames or the same, is told by
 * `base`, which is looked at before and after the record; what is told of an object was true at
 * some moment between. Lock-free; the visitor may call anything: only arrays of records that fall
 * empty wait for the walk's end, at most one for each descriptor, which uses it again.
 */
#include "watch.h"

struct walk {
    struct heap *h;
    quire_holding_visit *visit;
    void *ctx;
    uint32_t class_number; /* of an object cache; 0: all */
};

/* Read a record; false if it is not in use. */
static bool holding_read(const struct walk *walk, const qa64 *record, uint64_t at,
                         struct quire_holding *holding)
{
    uint64_t word =
        qa_load(record, acquire); /* E-record acquire: caller and time; the slab's life */

    if (record_state(word) != RECORD_USED)
        return false;
    holding->at = at;
    holding->pfn = quire_pfn_of(pfn_of_address(walk->h, (const void *)(uintptr_t)at));
    holding->bytes = record_asked(word);
    holding->tag = record_tag(word);
    if (walk->h->watch->stride == RECORD_LONG) {
        holding->caller = qa_load(record + RECORD_CALLER, relaxed); /* relaxed: a figure */
        holding->since = qa_load(record + RECORD_TIME, relaxed);    /* relaxed: a figure */
    }
    return true;
}

/* Objects of the slab that begin in the frame, or if it is the first of the range, that reach into
 * it. The class is visited. */
static int slab_walk(const struct walk *walk, const struct slab *s, const struct size_class *c,
                     uint64_t pfn, bool first)
{
    const struct heap *h = walk->h;
    uint64_t base, again, head, offset, size = c->size;
    const qa64 *records = qi_records_of_slab(h, s, &base);
    unsigned i;
    int result = 0;

    head = (base & (((uint64_t)1 << SLAB_LIFE_SHIFT) - 1)) - 1; /* of none: beyond all frames */
    if (!records || pfn < head || pfn - head >= (uint64_t)1 << c->order)
        return 0;
    offset = (pfn - head) << QUIRE_FRAME_SHIFT;
    i = (unsigned)((uint32_t)(offset + (first ? 0 : size - 1)) / (uint32_t)size);
    for (; i < c->objects && i * size < offset + QUIRE_FRAME_SIZE && !result; i++) {
        struct quire_holding holding = {0};
        bool used =
            holding_read(walk, records + (size_t)i * h->watch->stride,
                         (uintptr_t)address_of_pfn(h, quire_pfn_of(head)) + i * size, &holding);

        (void)qi_records_of_slab(h, s, &again);
        if (again != base)
            return 0;
        if (used)
            result = walk->visit(walk->ctx, &holding);
    }
    return result;
}

static int frame_walk(const struct walk *walk, uint64_t pfn, bool first)
{
    struct heap *h = walk->h;
    uint32_t word = qa_load(frame_word(h, pfn), relaxed); /* relaxed: looked at again */
    struct quire_holding holding = {0};
    uint32_t owner, number;
    const struct slab *s;
    int result = 0;

    if (frame_kind(word) == FRAME_RUN)
        return !walk->class_number &&
                       holding_read(walk, qi_record_of_frame(h, pfn),
                                    (uintptr_t)address_of_pfn(h, quire_pfn_of(pfn)), &holding)
                   ? walk->visit(walk->ctx, &holding)
                   : 0;
    if (!word)
        return 0;
    s = slab_of(h, frame_slab(word));
    owner = qa_load(&s->owner, relaxed); /* relaxed: looked at again */
    if (!owner)
        return 0;
    number = owner_class(owner);
    if (number >= h->watch->record_class || (walk->class_number && number != walk->class_number) ||
        !qi_class_visit(h, number))
        return 0;
    if (qa_load(&s->owner, acquire) == owner) /* E-slab-owner acquire: its map */
        result = slab_walk(walk, s, &h->classes[number], pfn, first);
    qi_class_leave(h, number);
    return result;
}

/* The run that begins before the range and reaches into it. */
static int run_before(const struct walk *walk, uint64_t pfn)
{
    for (unsigned order = 1; order <= QUIRE_MAX_ORDER; order++) {
        uint64_t head = pfn & ~(((uint64_t)1 << order) - 1);
        const qa32 *word = frame_word(walk->h, head);
        uint32_t v = word ? qa_load(word, relaxed) : 0; /* relaxed: looked at again */

        if (head < pfn && frame_kind(v) == FRAME_RUN && run_order(v) >= order)
            return frame_walk(walk, head, false);
    }
    return 0;
}

static int sections_walk(const struct walk *walk, struct quire_run range)
{
    const struct heap *h = walk->h;
    uint64_t last =
        range.frames < UINT64_MAX - range.pfn.n ? range.pfn.n + range.frames : UINT64_MAX;
    int result = walk->class_number ? 0 : run_before(walk, range.pfn.n);
    bool first = true;

    for (uint64_t k = 0; k < h->section_count && !result; k++) {
        const struct heap_section *s = &h->sections[k];
        uint64_t start = ((h->first_section + k) << SECTION_FRAMES_SHIFT) + s->first;
        uint64_t end = start + s->frames < last ? start + s->frames : last;

        for (uint64_t pfn = start > range.pfn.n ? start : range.pfn.n; pfn < end && !result;
             pfn++) {
            result = frame_walk(walk, pfn, first);
            first = false;
        }
    }
    return result;
}

static int walk_all(const struct walk *walk, struct quire_run range)
{
    int result;

    if (!walk->h->watch)
        return QUIRE_ERR_UNSUPPORTED;
    qi_records_enter(walk->h->watch);
    result = sections_walk(walk, range);
    qi_records_leave(walk->h);
    return result;
}

int quire_heap_walk(struct quire_heap *heap, struct quire_run range, quire_holding_visit *visit,
                    void *ctx)
{
    struct walk walk = {heap->state, visit, ctx, 0};

    return heap->state ? walk_all(&walk, range) : QUIRE_ERR_STATE;
}

int quire_heap_cache_walk(const struct quire_heap_cache *cache, quire_holding_visit *visit,
                          void *ctx)
{
    struct walk walk = {cache->heap ? cache->heap->state : NULL, visit, ctx, cache->number};
    struct quire_run all = {{0}, UINT64_MAX};

    return walk.h ? walk_all(&walk, all) : QUIRE_ERR_STATE;
}
