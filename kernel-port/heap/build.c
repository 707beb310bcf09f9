/* SPDX-License-Identifier: MIT
 *
 * build.c - a heap is set up: how much memory it needs, and what lies where in it.
 */
#include "magazine.h"
#include "who/watch.h"

enum { FRAMES_PER_SLAB = 8 };

/* Where everything begins, in bytes from the start of the heap's memory. */
struct heap_plan {
    uint32_t cpus, nodes, classes, slabs, rounds, mode, stacks;
    uint64_t first_section, section_count, words; /* of the frame table */
    uint32_t caches_end, stride; /* the first class that is the heap's own; words of a record */
    uint64_t reserve_at, watch_at, records_at, run_records_at, tags_at, accounts_at, quarantine_at;
    uint64_t partials_at, partial_stride;
    uint64_t classes_at, bins_at, cpu_bins_at, cpu_stride, run_at, sections_at, slabs_at, frames_at;
    uint64_t marks_at, magazines_at, magazines_stride; /* bytes of a CPU's magazines */
    uint32_t magazine_offsets[FRAME_KINDS];
    uint32_t magazines; /* of a CPU */
    uint64_t bytes;
};

static uint64_t run_end(const struct quire_run *run)
{
    return run->pfn.n + run->frames;
}

/* Add the part of the run that lies in the section to what the section has, a hull. */
static void section_add(struct heap_section *s, const struct quire_run *run, uint64_t section)
{
    uint64_t base = section << SECTION_FRAMES_SHIFT, most = (uint64_t)1 << SECTION_FRAMES_SHIFT;
    uint64_t low = run->pfn.n > base ? run->pfn.n - base : 0, high = run_end(run) - base;

    if (high > most)
        high = most;
    if (s->frames == 0)
        s->first = (uint32_t)low; /* runs come in ascending order */
    s->frames = (uint32_t)high - s->first;
}

/* Walk the runs section by section; the words that all sections need. `sections` may be NULL. */
static uint64_t plan_sections(const struct quire_heap_config *config, uint64_t first_section,
                              struct heap_section *sections)
{
    struct heap_section s = {0};
    uint64_t words = 0, at = first_section;

    for (size_t i = 0; i < config->run_count; i++) {
        const struct quire_run *run = &config->runs[i];
        uint64_t last = (run_end(run) - 1) >> SECTION_FRAMES_SHIFT;

        for (uint64_t section = run->pfn.n >> SECTION_FRAMES_SHIFT; section <= last; section++) {
            if (section != at) {
                words += s.frames;
                s.frames = 0;
                at = section;
            }
            section_add(&s, run, section);
            s.at = words;
            if (sections)
                sections[section - first_section] = s;
        }
    }
    return words + s.frames;
}

static int runs_check(const struct quire_heap_config *config)
{
    uint64_t end = 0;

    if (config->run_count == 0)
        return QUIRE_ERR_SIZE;
    for (size_t i = 0; i < config->run_count; i++) {
        const struct quire_run *run = &config->runs[i];

        if (run->frames == 0 || run->pfn.n >> QUIRE_PFN_BITS ||
            run->frames > ((uint64_t)1 << QUIRE_PFN_BITS) - run->pfn.n)
            return QUIRE_ERR_SIZE;
        if (run->pfn.n < end)
            return QUIRE_ERR_ALIGN;
        end = run_end(run);
    }
    return 0;
}

static uint64_t reserve(struct heap_plan *plan, uint64_t bytes)
{
    uint64_t at = plan->bytes;

    plan->bytes += rounded_up(bytes, 64);
    return at;
}

enum {
    OPTIONS = QUIRE_HEAP_DEBUG,
};

/* What is asked for besides objects. */
static int extras_check(const struct quire_heap_config *config)
{
    if (config->tags > QUIRE_HEAP_TAGS || config->quarantine > QUIRE_HEAP_WAITING ||
        config->reserve > QUIRE_HEAP_RESERVE ||
        (config->share && config->share < (uint64_t)config->reserve << RESERVE_ORDER))
        return QUIRE_ERR_SIZE;
    if ((config->options & ~(uint32_t)OPTIONS) || (config->quarantine && !config->options))
        return QUIRE_ERR_UNSUPPORTED;
    return 0;
}

/* The heap's own classes, after those of object caches: of the reserve, of records. */
static void plan_classes(const struct quire_heap_config *config, struct heap_plan *plan)
{
    plan->caches_end = plan->classes = QUIRE_HEAP_CLASSES + config->caches;
    plan->stride = config->options ? RECORD_LONG : config->tags ? 1 : 0;
    if (config->reserve)
        plan->classes += RESERVE_CLASSES;
    if (plan->stride)
        plan->classes += RECORD_CLASSES + 1;
}

static void plan_watch(const struct quire_heap_config *config, struct heap_plan *plan)
{
    if (!plan->stride)
        return;
    plan->watch_at = reserve(plan, sizeof(struct watch));
    plan->tags_at = reserve(plan, ((uint64_t)config->tags + 1) * sizeof(struct heap_tag));
    plan->accounts_at = reserve(plan, ((uint64_t)plan->classes + 1) * sizeof(struct class_account));
    plan->quarantine_at = reserve(plan, (uint64_t)config->quarantine * sizeof(qa64));
    plan->records_at = reserve(plan, (uint64_t)plan->slabs * sizeof(struct slab_records));
    plan->run_records_at = reserve(plan, plan->words * plan->stride * sizeof(qa64));
}

_Static_assert(sizeof(struct slab) == 64, "a descriptor is a line");
_Static_assert((unsigned)FRAME_KINDS <= 1u << FRAME_KIND_BITS, "they are a byte of a word");

/* The magazines that are asked for. */
static int plan_magazines(const struct quire_heap_config *config, struct heap_plan *plan)
{
    bool none = config->rounds == QUIRE_HEAP_NO_MAGAZINES || config->options;

    plan->rounds = none ? 0 : config->rounds ? config->rounds : HEAP_ROUNDS;
    if (plan->rounds > QUIRE_CACHE_MAX_ROUNDS || plan->rounds % 2 ||
        (unsigned)config->mode > QUIRE_CACHE_LOCAL)
        return QUIRE_ERR_SIZE;
    if (config->mode == QUIRE_CACHE_LOCAL)
        return QUIRE_ERR_UNSUPPORTED;
    plan->mode = QUIRE_CACHE_EXCHANGE;
    if (config->mode != QUIRE_CACHE_EXCHANGE && qi_rseq_works())
        plan->mode = QUIRE_CACHE_RSEQ;
    else if (config->mode == QUIRE_CACHE_RSEQ)
        return QUIRE_ERR_UNSUPPORTED;
    plan->magazines = plan->classes + 1 > FRAME_KINDS ? plan->classes + 1 : FRAME_KINDS;
    plan->magazines_stride =
        qi_magazines_plan(plan->rounds, plan->magazines, plan->magazine_offsets);
    if (none) {
        plan->magazines = 0;
        plan->magazines_stride = 0;
    }
    return 0;
}

static int heap_plan_make(const struct quire_heap_config *config, struct heap_plan *plan)
{
    const struct quire_run *runs = config->runs;
    int error = runs_check(config);
    uint64_t slabs, bins;

    if (error)
        return error;
    if (config->port.reach.open)
        return QUIRE_ERR_UNSUPPORTED;
    error = extras_check(config);
    if (error)
        return error;
    plan->cpus = config->cpus ? config->cpus : 1;
    plan->nodes = config->nodes ? config->nodes : 1;
    if (plan->nodes > QUIRE_NODES || plan->cpus > QUIRE_CPUS || config->slabs > SLABS_MOST ||
        config->caches > QUIRE_HEAP_CACHES)
        return QUIRE_ERR_SIZE;
    plan_classes(config, plan);
    error = plan_magazines(config, plan);
    if (error)
        return error;
    plan->first_section = runs[0].pfn.n >> SECTION_FRAMES_SHIFT;
    plan->section_count = ((run_end(&runs[config->run_count - 1]) - 1) >> SECTION_FRAMES_SHIFT) -
                          plan->first_section + 1;
    plan->words = plan_sections(config, plan->first_section, NULL);
    slabs = config->slabs ? config->slabs : plan->words / FRAMES_PER_SLAB + 1;
    plan->slabs = (uint32_t)(slabs < SLABS_MOST ? slabs : SLABS_MOST);
    bins = (uint64_t)plan->classes * plan->nodes;
    plan->bytes = 0;
    (void)reserve(plan, sizeof(struct heap) + plan->cpus * sizeof(unsigned char *));
    plan->classes_at = reserve(plan, plan->classes * sizeof(struct size_class));
    plan->bins_at = reserve(plan, bins * sizeof(struct bin));
    plan->cpu_stride = rounded_up(bins * sizeof(struct cpu_bin), 64);
    plan->cpu_bins_at = reserve(plan, plan->cpu_stride * plan->cpus);
    plan->stacks = 1;
    while (plan->stacks < plan->cpus && plan->stacks < BIN_STACKS)
        plan->stacks *= 2;
    plan->partial_stride = rounded_up(bins * sizeof(struct partial_slabs), 64);
    plan->partials_at = reserve(plan, plan->partial_stride * plan->stacks);
    plan->run_at = reserve(plan, plan->nodes * sizeof(struct run_figures));
    plan->sections_at = reserve(plan, plan->section_count * sizeof(struct heap_section));
    plan->slabs_at = reserve(plan, (uint64_t)plan->slabs * sizeof(struct slab));
    plan->marks_at = reserve(plan, ((uint64_t)plan->slabs + 1) * SLAB_MARKS);
    plan->magazines_at = reserve(plan, plan->magazines_stride * plan->cpus);
    plan->frames_at = reserve(plan, plan->words * sizeof(qa32));
    plan->reserve_at = reserve(plan, config->reserve * sizeof(qa64));
    plan_watch(config, plan);
    return plan->bytes > SIZE_MAX / 2 ? QUIRE_ERR_SIZE : 0;
}

int quire_heap_size(const struct quire_heap_config *config, size_t *bytes)
{
    struct heap_plan plan = {0};
    int error = heap_plan_make(config, &plan);

    if (!error)
        *bytes = (size_t)plan.bytes;
    return error;
}

static void bins_build(struct heap *h)
{
    for (uint32_t number = 0; number < h->class_count; number++)
        for (uint32_t node = 0; node < h->nodes; node++)
            h->bins[bin_index(h, number, node)].number = slab_owner(number, node);
}

/* A stretch of frames that is one in the frame table too, from the first on that any slab may
 * begin with: the window, if it is the longest so far. */
static void window_set(struct heap *h, uint64_t first, uint64_t frames, uint64_t at)
{
    uint64_t skip = -first & (((uint64_t)1 << SLAB_ORDER_MOST) - 1);

    if (frames <= skip + h->window_frames)
        return;
    h->window_first = first + skip;
    h->window_frames = frames - skip;
    h->window = h->frames + at + skip;
    h->window_base = (uintptr_t)address_of_pfn(h, quire_pfn_of(h->window_first));
}

static void window_build(struct heap *h)
{
    uint64_t frames = 0, first = 0, at = 0;

    for (uint64_t i = 0; i < h->section_count; i++) {
        const struct heap_section *s = &h->sections[i];
        uint64_t pfn = ((h->first_section + i) << SECTION_FRAMES_SHIFT) + s->first;

        if (frames == 0 || pfn != first + frames || s->frames == 0) {
            first = pfn;
            at = s->at;
            frames = 0;
        }
        frames += s->frames;
        window_set(h, first, frames, at);
    }
}

static void magazines_build(struct heap *h, const struct heap_plan *plan, unsigned char *memory)
{
    h->rounds = plan->rounds;
    h->magazine.mode = plan->mode;
    h->magazine.without_rseq = plan->mode == QUIRE_CACHE_RSEQ ? 0 : UINT32_MAX;
    h->magazine.cpus = plan->rounds ? plan->cpus : 0;
#if QUIRE_RSEQ
    h->magazine.rseq_offset = __rseq_offset;
#endif
    h->rseq_cpus = h->magazine.without_rseq ? 0 : h->magazine.cpus;
    for (uint32_t cpu = 0; cpu < plan->cpus; cpu++)
        h->magazines[cpu] = memory + (size_t)(plan->magazines_at + cpu * plan->magazines_stride);
    qi_magazines_build(h, plan->magazines);
}

static void *part(unsigned char *memory, uint64_t at)
{
    return memory + (size_t)at;
}

static void watch_build(struct heap *h, const struct quire_heap_config *config,
                        const struct heap_plan *plan, unsigned char *memory)
{
    struct watch *w = (struct watch *)part(memory, plan->watch_at);

    h->watch = w;
    w->flags = config->options;
    w->stride = plan->stride;
    w->tag_most = config->tags;
    w->record_class = plan->classes - RECORD_CLASSES - 1;
    w->slabs = (struct slab_records *)part(memory, plan->records_at);
    w->runs = (qa64 *)part(memory, plan->run_records_at);
    w->tags = (struct heap_tag *)part(memory, plan->tags_at);
    w->accounts = (struct class_account *)part(memory, plan->accounts_at);
    w->quarantine = (qa64 *)part(memory, plan->quarantine_at);
    w->quarantined = config->quarantine;
    qa_store(&w->tags[0].made, 1, relaxed); /* relaxed: nobody has the heap yet */
    qi_records_build(h);
}

static void reserve_build(struct heap *h, const struct quire_heap_config *config,
                          const struct heap_plan *plan, unsigned char *memory)
{
    h->share = config->share;
    h->reserve_runs = config->reserve;
    h->reserve_class = plan->caches_end;
    h->reserve = (qa64 *)part(memory, plan->reserve_at);
    for (uint32_t k = 0; k < RESERVE_CLASSES && h->reserve_runs; k++)
        qi_reserve_fit(&h->classes[h->reserve_class + k], (uint32_t)RESERVE_LEAST << k);
}

/* How many frames of slabs other CPUs leave in a stack of a bin. */
static uint32_t partial_frames_of(const struct heap_plan *plan)
{
    uint64_t share = plan->words / PARTIAL_SHARE, share_all = plan->words / PARTIAL_SHARE_ALL;
    uint32_t each = share < PARTIAL_FRAMES ? (uint32_t)share : PARTIAL_FRAMES;
    uint32_t all = share_all < PARTIAL_ALL ? (uint32_t)share_all : PARTIAL_ALL;

    return each < all / plan->stacks ? each : all / plan->stacks;
}

static struct heap *heap_build(const struct quire_heap_config *config, const struct heap_plan *plan,
                               unsigned char *memory)
{
    struct heap *h = (struct heap *)part(memory, 0);

    __builtin_memset(memory, 0, (size_t)plan->bytes);
    h->machine = config->machine;
    h->kinds = config->kinds;
    h->port = config->port;
    h->base = config->port.reach.base;
    h->cpus = plan->cpus;
    h->nodes = plan->nodes;
    h->issuer_cpu_bits = ISSUER_BITS;
    while (((uint32_t)1 << (ISSUER_BITS - h->issuer_cpu_bits)) < plan->nodes)
        h->issuer_cpu_bits--;
    h->class_count = plan->classes;
    h->slab_most = plan->slabs;
    h->stack_mask = plan->stacks - 1;
    h->partial_frames = partial_frames_of(plan);
    h->first_section = plan->first_section;
    h->section_count = plan->section_count;
    h->sections = (struct heap_section *)part(memory, plan->sections_at);
    h->frames = (qa32 *)part(memory, plan->frames_at);
    h->slabs = (struct slab *)part(memory, plan->slabs_at);
    h->nodes_of_slabs.first = (unsigned char *)part(memory, plan->slabs_at);
    h->nodes_of_slabs.stride = sizeof(struct slab);
    h->classes = (struct size_class *)part(memory, plan->classes_at);
    h->bins = (struct bin *)part(memory, plan->bins_at);
    h->cpu_bins = memory + (size_t)plan->cpu_bins_at;
    h->cpu_stride = (size_t)plan->cpu_stride;
    h->partials = memory + (size_t)plan->partials_at;
    h->partial_stride = (size_t)plan->partial_stride;
    h->run = (struct run_figures *)part(memory, plan->run_at);
    (void)plan_sections(config, h->first_section, h->sections);
    h->marks = (qa8 *)part(memory, plan->marks_at);
    __builtin_memcpy(h->magazine_offsets, plan->magazine_offsets, sizeof(h->magazine_offsets));
    window_build(h);
    bins_build(h);
    qi_classes_build(h);
    magazines_build(h, plan, memory);
    reserve_build(h, config, plan, memory);
    if (plan->stride)
        watch_build(h, config, plan, memory);
    else
        qi_hits_build(h);
    return h;
}

/* The heap is its users' from now on. */
static void heap_give(struct quire_heap *heap, struct heap *h)
{
#if QUIRE_RSEQ
    heap->rseq_cpus = (uint32_t)h->rseq_cpus;
    heap->rseq_offset = h->magazine.rseq_offset;
    heap->hit_bytes = h->rseq_cpus > 0 ? h->small_most : 0;
#else
    heap->hit_bytes = h->small_most;
#endif
    heap->state = h;
}

int quire_heap_init(struct quire_heap *heap, const struct quire_heap_config *config, void *memory,
                    size_t bytes)
{
    qa64 *once = (qa64 *)(void *)&heap->once;
    struct heap_plan plan = {0};
    int error = heap_plan_make(config, &plan);
    uint64_t fresh = 0;
    struct heap *h;

    if (qa_load(once, relaxed)) /* relaxed: the exchange decides */
        return QUIRE_ERR_INITIALISED;
    if (error)
        return error;
    if (bytes < plan.bytes)
        return QUIRE_ERR_SIZE;
    if ((uintptr_t)memory % 64)
        return QUIRE_ERR_ALIGN;
    if (!qa_cas(once, &fresh, 1, relaxed)) /* relaxed: who began tells others when it is over */
        return QUIRE_ERR_INITIALISED;
    h = heap_build(config, &plan, (unsigned char *)memory);
    error = qi_reserve_fill(h);
    if (error)
        qa_store(once, 0, relaxed); /* relaxed: as it was */
    else
        heap_give(heap, h);
    return error;
}
