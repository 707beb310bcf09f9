/* SPDX-License-Identifier: MIT
 *
 * heap.c - see heap.h.
 *
 * The runs are those of the boot map; if it has more than there is room for, the last one reaches
 * to the end: frames between cost the heap a word each, no more.
 */
#include "heap.h"

#include "console.h"
#include "cpu.h"
#include "kernel-port/kernel/lib/panic.h"
#include "layout.h"
#include "memory.h"
#include "x86.h"

enum { RUNS = 256, CACHES = 8 };

struct quire_heap kernel_heap;

static struct quire_run runs[RUNS];
static size_t run_count;

static uint32_t tell_cpu(void *ctx)
{
    (void)ctx;
    return cpu_id();
}

static quire_node tell_node(void *ctx)
{
    (void)ctx;
    return quire_node_of(this_cpu()->node);
}

static uint64_t tell_time(void *ctx)
{
    (void)ctx;
    return rdtsc();
}

/* A finding is a line on the console, with the name of who had the object. */
static void tell_finding(void *ctx, const struct quire_heap_finding *finding)
{
    char text[200];
    uint64_t offset = 0;

    (void)ctx;
    (void)quire_heap_finding_text(finding, text, sizeof text);
    print("%s (%s)\n", text, finding->caller ? symbol_of(finding->caller, &offset) : "?");
}

void heap_find_runs(const struct quire_boot *boot)
{
    struct quire_boot_region r;

    for (size_t i = 0; !quire_boot_region(boot, i, &r); i++) {
        struct quire_run *last = run_count ? &runs[run_count - 1] : NULL;

        if (r.kind != QUIRE_BOOT_USABLE)
            continue;
        if (last && (run_count == RUNS || last->pfn.n + last->frames == r.run.pfn.n))
            last->frames = r.run.pfn.n + r.run.frames - last->pfn.n;
        else
            runs[run_count++] = r.run;
    }
}

struct quire_heap_config heap_config(void)
{
    return (struct quire_heap_config){.machine = memory.up.machine,
                                      .runs = runs,
                                      .run_count = run_count,
                                      .cpus = cpu_count ? cpu_count : 1,
                                      .nodes = memory.topology.node_count,
                                      .caches = CACHES,
                                      .kinds = &memory_kinds,
                                      .port = {.reach = {.base = DIRECT_BASE},
                                               .cpu = tell_cpu,
                                               .node = tell_node,
                                               .clock = tell_time,
                                               .report = tell_finding}};
}

void heap_build(void)
{
    static const char *const names[HEAP_TAGS] = {"shadow maps", "random loads", "processes",
                                                 "areas", "files"};
    struct quire_heap_config config = heap_config();
    struct quire_heap_tag_config tag = {0};
    uint32_t number;
    size_t bytes;
    int error;

    config.tags = HEAP_TAGS;
    error = quire_heap_size(&config, &bytes);
    if (!error)
        error = quire_heap_init(&kernel_heap, &config, memory_take(bytes, quire_node_of(0)), bytes);
    for (unsigned i = 0; i < HEAP_TAGS && !error; i++) {
        tag.name = names[i];
        error = quire_heap_tag_create(&kernel_heap, &tag, &number);
    }
    if (error)
        panic("the kernel's heap: %s", quire_strerror(error));
}

void *heap_take(size_t bytes, quire_node node, enum heap_tag tag)
{
    struct quire_heap_request want = {.bytes = bytes,
                                      .flags = QUIRE_ZEROED | quire_heap_tag_flag(tag),
                                      .near_node = quire_near_of(node)};
    void *object;
    int error = quire_heap_request(&kernel_heap, &want, &object);

    if (error)
        panic("heap: %lu bytes: %s", bytes, quire_strerror(error));
    return object;
}

void heap_give_back(void *object)
{
    int error = quire_heap_free(&kernel_heap, object);

    if (error)
        panic("heap: a bad free: %s", quire_strerror(error));
}

static void *give_page(void *ctx)
{
    const enum heap_tag *tag = ctx;
    void *page;

    return quire_heap_alloc(&kernel_heap, QUIRE_FRAME_SIZE, quire_heap_tag_flag(*tag), &page)
               ? NULL
               : page;
}

static void take_page(void *ctx, void *page)
{
    (void)ctx;
    heap_give_back(page);
}

struct quire_memory_source heap_pages(enum heap_tag tag)
{
    static enum heap_tag tags[HEAP_TAGS + 1]; /* what the two functions are told */

    tags[tag] = tag;
    return (struct quire_memory_source){give_page, take_page, &tags[tag]};
}

void heap_print_holders(const struct quire_holders *holders)
{
    for (size_t i = 0; i < holders->count; i++) {
        const struct quire_holder *holder = &holders->table[i];
        uint64_t offset = 0;
        const char *name = symbol_of(holder->caller, &offset);

        print("%10lu bytes in %lu, tag %u, by %s+0x%lx\n", holder->bytes, holder->holdings,
              holder->tag, name, offset);
    }
}
