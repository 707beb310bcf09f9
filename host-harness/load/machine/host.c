/* SPDX-License-Identifier: MIT
 *
 * host.c - this machine's memory as a target: the arenas of a host, what is written into pages and
 * read back, and what real memory says after the load: how long an access takes from the CPUs of
 * each node to the memory of each, and whether every page lies where it was promised.
 *
 * Pages. The holder of a page writes its tag and the frame's number into the first and the last
 * word, and finds them there before it frees the page.
 *
 * An access is timed by following a cycle through a run of pages in an order that no prefetcher
 * guesses: each line names the next. Runs are 16 MiB where the node has them in one piece, so they
 * do not fit a core's own caches, but may fit a shared one: the figure is what a program of such a
 * working set would see.
 *
 * State: machine.h. The main thread builds, and measures after the load, going from node to node
 * and coming back; pages are written and checked by the thread that holds them.
 */
#include "machine.h"

#include "host-harness/load/random.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum {
    CYCLE_ORDER = 12,
    SMALLEST_ORDER = 6,
    LINE = 64, /* bytes */
    STEPS = 1 << 17,
    PAGES_AT_ONCE = 512,
};

/* ---- The host -------------------------------------------------------------------------------- */

static int look_at_arenas(struct load *load)
{
    struct quire_host *host = load->on_machine->host;
    struct quire_host_arena arena;
    struct quire_host_stats stats;
    size_t count = 0;

    while (!quire_host_arena(host, (uint32_t)count, &arena))
        count++;
    load->machine.zones = calloc(count + 1, sizeof(*load->machine.zones));
    if (!load->machine.zones) {
        cli_fail("run", "no memory for %zu zones", count);
        return CLI_FAILED;
    }
    load->machine.zone_count = count;
    for (size_t z = 0; z < count; z++) {
        (void)quire_host_arena(host, (uint32_t)z, &arena);
        load->machine.zones[z] = (struct simulated_zone){
            .zone = *arena.zone, /* a handle may be copied */
            .type = QUIRE_ZONE_NORMAL,
            .node = arena.node.n,
            .metadata_bytes = quire_zone_metadata_bytes(arena.zone),
        };
    }
    (void)quire_host_stats(host, &stats);
    load->machine.metadata_bytes = stats.metadata_bytes;
    return load_build_zones(load);
}

int host_build(struct load *load)
{
    struct machine_target *on = load->on_machine;
    const struct quire_host_options options = {
        .bytes = load->options.memory,
        .ctx = load,
        .reclaim = page_cache_reclaim,
        .last_resort = page_cache_last_resort,
    };
    int result;

    errno = 0;
    result = quire_host_create(&options, &on->host);
    if (result)
        return cli_fail("run",
                        "cannot take %llu bytes of each node: %s%s%s: expected a multiple of 2M "
                        "that every node has",
                        (unsigned long long)load->options.memory, quire_strerror(result),
                        errno ? ", " : "", errno ? strerror(errno) : "");
    on->machine = quire_host_machine(on->host);
    quire_machine_topology(on->machine, &on->topology);
    load->slots = on->topology.cpu_count;
    return look_at_arenas(load);
}

void host_bind_thread(struct worker *w)
{
    uint32_t cpu = w->load->on_machine->topology.cpu_id[machine_thread(w)->cpu];
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set))
        load_violation(w->load, "thread %u cannot be bound to CPU %u", w->number, cpu);
}

/* ---- What is in the pages -------------------------------------------------------------------- */

/* An arena's frame as memory that can be written. */
static void *memory_of(uint64_t pfn)
{
    return (void *)(uintptr_t)(pfn << QUIRE_FRAME_SHIFT);
}

static void write_pages(const struct held_run *run)
{
    for (uint64_t pfn = run->pfn; pfn < run->pfn + run->frames; pfn++) {
        uint64_t *words = memory_of(pfn);

        words[0] = (uint64_t)run->tag << 32 | (uint32_t)pfn;
        words[QUIRE_FRAME_SIZE / sizeof(*words) - 1] = words[0];
    }
}

static bool pages_are_zero(const struct held_run *run)
{
    const uint64_t *words = memory_of(run->pfn);

    for (uint64_t i = 0; i < run->frames * QUIRE_FRAME_SIZE / sizeof(*words); i++) {
        if (words[i])
            return false;
    }
    return true;
}

bool host_taken(struct worker *w, uint32_t z, const struct held_run *run, bool zeroed)
{
    if (zeroed && !pages_are_zero(run)) {
        call_accuse(w, z, run->pfn, "was handed out as zeroed, but is not");
        return false;
    }
    write_pages(run);
    return true;
}

bool host_check_pages(struct worker *w, uint32_t z, const struct held_run *run)
{
    for (uint64_t pfn = run->pfn; pfn < run->pfn + run->frames; pfn++) {
        const uint64_t *words = memory_of(pfn);

        if ((uint32_t)words[0] != (uint32_t)pfn || (run->tag && words[0] >> 32 != run->tag) ||
            words[QUIRE_FRAME_SIZE / sizeof(*words) - 1] != words[0]) {
            call_accuse(w, z, pfn, "has lost what its holder wrote");
            return false;
        }
    }
    return true;
}

/* ---- Speed, and where pages lie -------------------------------------------------------------- */

/* Make each line of the memory name the next one of a single cycle over all of them. */
static void make_cycle(void **memory, size_t lines, uint64_t seed)
{
    const size_t step = LINE / sizeof(void *);

    for (size_t i = 0; i < lines; i++)
        memory[i * step] = &memory[i * step];
    /* Sattolo: exchanging with an earlier one only leaves one cycle. */
    for (size_t i = lines - 1; i > 0; i--) {
        size_t other = (size_t)(random_next(&seed) % i);
        void *next = memory[i * step];

        memory[i * step] = memory[other * step];
        memory[other * step] = next;
    }
}

static uint64_t follow(void **at)
{
    uint64_t begun = load_clock();

    for (unsigned i = 0; i < STEPS; i++)
        at = *(void **volatile *)at;
    return load_clock() - begun;
}

/* Tenths of a nanosecond per access to the node; 0: there is no memory for the test. */
static uint32_t access_time(struct machine_target *on, quire_node node)
{
    const struct quire_policy policy = {
        .mode = QUIRE_POLICY_BIND, .strict = true, .nodes = quire_nodemask_of(node)};
    struct quire_request request = {
        .order = CYCLE_ORDER, .flags = QUIRE_MOVABLE, .policy = &policy};
    void *memory = NULL;
    uint64_t ns;

    while (quire_host_request(on->host, &request, &memory, NULL)) {
        if (request.order-- <= SMALLEST_ORDER)
            return 0;
    }
    make_cycle(memory, (size_t)QUIRE_FRAME_SIZE / LINE << request.order, node.n);
    (void)follow(memory); /* so that translations and shared caches are warm */
    ns = follow(memory);
    (void)quire_host_free(on->host, memory, request.order);
    return (uint32_t)(10 * ns / STEPS) + 1;
}

static void measure_access(struct load *load)
{
    struct machine_target *on = load->on_machine;
    cpu_set_t before;

    if (sched_getaffinity(0, sizeof(before), &before))
        return;
    for (uint32_t t = 0; t < load->options.threads; t++) {
        uint32_t from = on->threads[t].node.n;
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(on->topology.cpu_id[on->threads[t].cpu], &set);
        if (on->access[from][from] || sched_setaffinity(0, sizeof(set), &set))
            continue; /* measured already, by an earlier thread of the node */
        for (uint32_t to = 0; to < on->topology.node_count; to++) {
            if (on->with_memory.bits & quire_nodemask_of(quire_node_of(to)).bits)
                on->access[from][to] = access_time(on, quire_node_of(to));
        }
    }
    (void)sched_setaffinity(0, sizeof(before), &before);
}

static void look_where(struct load *load)
{
    struct machine_target *on = load->on_machine;
    struct quire_host_arena arena;
    quire_node found[PAGES_AT_ONCE];

    for (uint32_t i = 0; !quire_host_arena(on->host, i, &arena); i++) {
        for (uint64_t done = 0; done < arena.bytes;
             done += sizeof(found) / sizeof(found[0]) << QUIRE_FRAME_SHIFT) {
            char *memory = (char *)arena.memory + done;
            int error = quire_host_where(on->host, memory, PAGES_AT_ONCE, found);

            if (error) {
                load_violation(load, "the kernel does not tell where pages are: %s",
                               quire_strerror(error));
                return;
            }
            for (unsigned p = 0; p < PAGES_AT_ONCE; p++) {
                if (found[p].n == QUIRE_NO_NODE)
                    on->pages_empty++;
                else if (found[p].n == arena.node.n)
                    on->pages_right++;
                else if (on->pages_wrong++ == 0)
                    load_violation(load, "page %p was promised on node %u and lies on node %u",
                                   (void *)(memory + ((size_t)p << QUIRE_FRAME_SHIFT)),
                                   arena.node.n, found[p].n);
            }
        }
    }
}

void host_measure(struct load *load)
{
    measure_access(load);
    look_where(load);
}
