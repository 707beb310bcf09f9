/* SPDX-License-Identifier: MIT
 *
 * build.c - a heap is set up: how much memory it needs, and what lies where in it.
 */
#include "state.h"

enum { FRAMES_PER_SLAB = 8 };

/* Where everything begins, in bytes from the start of the heap's memory. */
struct heap_plan {
    uint32_t cpus, nodes, classes, slabs;
    uint64_t first_section, section_count, words; /* of the frame table */
    uint64_t classes_at, bins_at, cpu_bins_at, cpu_stride, run_at, sections_at, slabs_at, frames_at;
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

static int heap_plan_make(const struct quire_heap_config *config, struct heap_plan *plan)
{
    const struct quire_run *runs = config->runs;
    int error = runs_check(config);
    uint64_t slabs, bins;

    if (error)
        return error;
    if (config->port.reach.open)
        return QUIRE_ERR_UNSUPPORTED;
    plan->cpus = config->cpus ? config->cpus : 1;
    plan->nodes = config->nodes ? config->nodes : 1;
    if (plan->nodes > QUIRE_NODES || plan->cpus > QUIRE_CPUS || config->slabs > SLABS_MOST ||
        config->caches > QUIRE_HEAP_CACHES)
        return QUIRE_ERR_SIZE;
    plan->classes = QUIRE_HEAP_CLASSES + config->caches;
    plan->first_section = runs[0].pfn.n >> SECTION_FRAMES_SHIFT;
    plan->section_count = ((run_end(&runs[config->run_count - 1]) - 1) >> SECTION_FRAMES_SHIFT) -
                          plan->first_section + 1;
    plan->words = plan_sections(config, plan->first_section, NULL);
    slabs = config->slabs ? config->slabs : plan->words / FRAMES_PER_SLAB + 1;
    plan->slabs = (uint32_t)(slabs < SLABS_MOST ? slabs : SLABS_MOST);
    bins = (uint64_t)plan->classes * plan->nodes;
    plan->bytes = 0;
    (void)reserve(plan, sizeof(struct heap));
    plan->classes_at = reserve(plan, plan->classes * sizeof(struct size_class));
    plan->bins_at = reserve(plan, bins * sizeof(struct bin));
    plan->cpu_stride = rounded_up(bins * sizeof(struct cpu_bin), 64);
    plan->cpu_bins_at = reserve(plan, plan->cpu_stride * plan->cpus);
    plan->run_at = reserve(plan, plan->nodes * sizeof(struct run_figures));
    plan->sections_at = reserve(plan, plan->section_count * sizeof(struct heap_section));
    plan->slabs_at = reserve(plan, (uint64_t)plan->slabs * sizeof(struct slab));
    plan->frames_at = reserve(plan, plan->words * sizeof(qa32));
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

static void *part(unsigned char *memory, uint64_t at)
{
    return memory + (size_t)at;
}

static struct heap *heap_build(const struct quire_heap_config *config, const struct heap_plan *plan,
                               unsigned char *memory)
{
    struct heap *h = (struct heap *)part(memory, 0);

    __builtin_memset(memory, 0, (size_t)plan->bytes);
    h->machine = config->machine;
    h->port = config->port;
    h->cpus = plan->cpus;
    h->nodes = plan->nodes;
    h->class_count = plan->classes;
    h->slab_most = plan->slabs;
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
    h->run = (struct run_figures *)part(memory, plan->run_at);
    (void)plan_sections(config, h->first_section, h->sections);
    bins_build(h);
    qi_classes_build(h);
    return h;
}

int quire_heap_init(struct quire_heap *heap, const struct quire_heap_config *config, void *memory,
                    size_t bytes)
{
    qa64 *once = (qa64 *)(void *)&heap->once;
    struct heap_plan plan = {0};
    int error = heap_plan_make(config, &plan);
    uint64_t fresh = 0;

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
    heap->state = heap_build(config, &plan, (unsigned char *)memory);
    return 0;
}
