/* SPDX-License-Identifier: MIT
 *
 * jemalloc_extents.c - how a program might put its malloc on Quire: an arena of jemalloc whose
 * memory is a host's, and is the system's again when the program has freed it.
 *
 * jemalloc takes extents, splits and merges them as it likes, and lets go of those that were free
 * for a while (its decay). So an extent is single pages from the start, of which any row can be
 * freed. Whole 2 MiB that are free are the host's to give back, after a time or at once. But
 * jemalloc keeps some pages in use between those that it lets go: what lies beside them in the same
 * 2 MiB would stay resident, so it is discarded before it is freed.
 *
 * As a test, it uses memory, frees all but a few objects of it, and looks what is resident then.
 *
 *     cc jemalloc_extents.c $(pkg-config --cflags --libs quire-host jemalloc)
 */
#include <jemalloc/jemalloc.h>
#include <quire/host.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>
#include <unistd.h>

/* The hooks of one arena or many; jemalloc hands them to each. */
struct extents {
    extent_hooks_t hooks; /* first */
    struct quire_host *host;
};

static const uintptr_t block = (uintptr_t)2 << 20; /* what a host gives back as a whole */

static struct quire_host *host_of(extent_hooks_t *hooks)
{
    return ((struct extents *)(void *)hooks)->host;
}

static uint64_t pages_of(size_t bytes)
{
    return bytes >> QUIRE_FRAME_SHIFT;
}

/* At `place` and nowhere else, if it is not NULL.
 * NOLINTNEXTLINE(readability-non-const-parameter): the hook's type is jemalloc's */
static void *take(extent_hooks_t *hooks, void *place, size_t bytes, size_t align, bool *zero,
                  bool *commit, unsigned arena)
{
    struct quire_host *host = host_of(hooks);
    const struct quire_request request = {.flags = *zero ? QUIRE_ZEROED : 0};
    struct quire_contig want = {.frames = pages_of(bytes), .align = align};
    void *memory;

    (void)arena;
    if (place) {
        want.low = (uintptr_t)place;
        want.high = (uintptr_t)place + bytes - 1;
    }
    if (quire_host_alloc_contig(host, &request, &want, &memory, NULL))
        return NULL;
    if (want.frames > 1 && quire_host_split(host, memory, want.frames, 0)) {
        (void)quire_host_free_contig(host, memory, want.frames);
        return NULL;
    }
    *commit = true;
    return memory;
}

/* Let the system have what is free in the parts of blocks, at both ends. It is no matter if it
 * does not take them. */
static void discard_ends(struct quire_host *host, uintptr_t first, uintptr_t end)
{
    uintptr_t whole = (first + block - 1) & ~(block - 1), rest = end & ~(block - 1);

    if (whole >= rest) {
        (void)quire_host_discard(host, (void *)first, pages_of(end - first));
        return;
    }
    if (first < whole)
        (void)quire_host_discard(host, (void *)first, pages_of(whole - first));
    if (rest < end)
        (void)quire_host_discard(host, (void *)rest, pages_of(end - rest));
}

/* True is a refusal: then it is jemalloc's still. */
static bool give(extent_hooks_t *hooks, void *memory, size_t bytes, bool committed, unsigned arena)
{
    struct quire_host *host = host_of(hooks);

    (void)committed;
    (void)arena;
    discard_ends(host, (uintptr_t)memory, (uintptr_t)memory + bytes);
    return quire_host_free_range(host, memory, pages_of(bytes)) != QUIRE_OK;
}

static void destroy(extent_hooks_t *hooks, void *memory, size_t bytes, bool committed,
                    unsigned arena)
{
    (void)give(hooks, memory, bytes, committed, arena);
}

static bool purge(extent_hooks_t *hooks, void *memory, size_t bytes, size_t offset, size_t length,
                  unsigned arena)
{
    (void)bytes;
    (void)arena;
    return quire_host_discard(host_of(hooks), (char *)memory + offset, pages_of(length)) !=
           QUIRE_OK;
}

static bool split(extent_hooks_t *hooks, void *memory, size_t bytes, size_t first, size_t second,
                  bool committed, unsigned arena)
{
    (void)hooks;
    (void)memory;
    (void)bytes;
    (void)first;
    (void)second;
    (void)committed;
    (void)arena;
    return false; /* they are single pages */
}

/* One row of pages is freed in one call, so it has to be of one node. */
static bool merge(extent_hooks_t *hooks, void *a, size_t a_bytes, void *b, size_t b_bytes,
                  bool committed, unsigned arena)
{
    struct quire_machine *machine = quire_host_machine(host_of(hooks));
    struct quire_zone *zones[2] = {NULL, NULL};
    quire_node node;

    (void)a_bytes;
    (void)b_bytes;
    (void)committed;
    (void)arena;
    return quire_machine_find(machine, quire_pfn_of_phys((uintptr_t)a), &node, &zones[0]) ||
           quire_machine_find(machine, quire_pfn_of_phys((uintptr_t)b), &node, &zones[1]) ||
           zones[0] != zones[1];
}

/* ---- As a test ------------------------------------------------------------------------------- */

enum { SMALL = 400000, LARGE = 24, LARGE_BYTES = 5 << 20, KEPT_OF = 20000, PATIENCE = 600 };
enum { STRIDE = 77773 }; /* has no factor with SMALL: all are visited, in another order */

static void *small[SMALL], *large[LARGE];

/* Bytes of this process that are in memory. */
static uint64_t resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    char line[128] = "", *end; /* all pages, and those */

    if (file && fgets(line, sizeof(line), file))
        (void)strtoul(line, &end, 10);
    else
        end = line;
    if (file)
        fclose(file);
    return (uint64_t)strtoul(end, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* About 220 MiB of objects of an arena. False: there was no memory. */
static bool fill(int flags)
{
    for (unsigned i = 0; i < SMALL; i++) {
        size_t bytes = 32 + i % 13 * 40;

        small[i] = mallocx(bytes, flags);
        if (!small[i])
            return false;
        memset(small[i], 1, bytes);
        if (i % (SMALL / LARGE + 1) == 0) {
            large[i / (SMALL / LARGE + 1)] = mallocx(LARGE_BYTES, flags);
            if (!large[i / (SMALL / LARGE + 1)])
                return false;
            memset(large[i / (SMALL / LARGE + 1)], 1, LARGE_BYTES);
        }
    }
    return true;
}

/* All but each KEPT_OF-th small object, in another order. */
static void empty(int flags)
{
    for (unsigned i = 0; i < LARGE; i++)
        dallocx(large[i], flags);
    for (uint64_t i = 0; i < SMALL; i++)
        if (i * STRIDE % SMALL % KEPT_OF != 0)
            dallocx(small[i * STRIDE % SMALL], flags);
}

/* Ask something of the arena, by its name behind "arena.N.". */
static int arena_control(unsigned arena, const char *what, void *value, size_t bytes)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "arena.%u.%s", arena, what);
    return mallctl(name, NULL, NULL, value, bytes);
}

/* At once: jemalloc lets go, then the host does. */
static int on_demand(struct quire_host *host, unsigned arena)
{
    uint64_t bytes;

    return arena_control(arena, "purge", NULL, 0) ? QUIRE_ERR_STATE
                                                  : quire_host_give_back(host, 0, &bytes);
}

/* By itself, after some time: the host's thread sees to its own decay, and jemalloc's to its if
 * there is one (background_thread:true), or else threads that allocate and free. */
static int by_decay(unsigned arena, uint64_t limit)
{
    ssize_t after = 500; /* milliseconds */
    int error = arena_control(arena, "dirty_decay_ms", &after, sizeof(after));

    for (unsigned i = 0; i < PATIENCE && !error && resident() >= limit; i++) {
        (void)thrd_sleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        error = arena_control(arena, "decay", NULL, 0);
    }
    return error ? QUIRE_ERR_STATE : QUIRE_OK;
}

/* jemalloc takes more at a time than it needs, as a call of the system is slow, and counts on it
 * that what nobody has touched is not resident. Beside what is used in the same huge page it is. */
static int take_no_more_than_needed(unsigned arena)
{
    size_t bytes = QUIRE_FRAME_SIZE;

    return arena_control(arena, "retain_grow_limit", &bytes, sizeof(bytes));
}

/* Use the arena and free what was used. True: less than 2 % of it is resident. */
static bool use(struct quire_host *host, unsigned arena, bool demand)
{
    const int flags = MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE;
    uint64_t start, full, end, limit;
    int error;

    memset(small, 1, sizeof(small)); /* it is in memory before the count begins */
    start = resident();
    if (!fill(flags))
        return false;
    full = resident();
    limit = start + (full - start) / 50;
    empty(flags);
    error = demand ? on_demand(host, arena) : by_decay(arena, limit);
    end = resident();
    printf("resident: %llu KiB, %llu full, %llu after %s: %s\n", (unsigned long long)start >> 10,
           (unsigned long long)full >> 10, (unsigned long long)end >> 10,
           demand ? "giving back" : "a while", quire_strerror(error));
    return !error && full - start > (uint64_t)LARGE * LARGE_BYTES && end < limit;
}

/* Is all that the host's arenas have free again? */
static bool all_is_free(struct quire_host *host)
{
    struct quire_machine_stats stats;

    return quire_machine_stats(quire_host_machine(host), &stats) == QUIRE_OK &&
           stats.free == stats.managed;
}

static bool try_arena(bool demand, enum quire_host_pages pages)
{
    const struct quire_host_options options = {
        .bytes = 512 << 20, .pages = pages, .give_back_after = demand ? QUIRE_HOST_NEVER : 1};
    struct extents extents = {.hooks = {.alloc = take,
                                        .dalloc = give,
                                        .destroy = destroy,
                                        .purge_forced = purge,
                                        .split = split,
                                        .merge = merge}};
    extent_hooks_t *hooks = &extents.hooks;
    unsigned arena = 0;
    size_t bytes = sizeof(arena);
    int error = quire_host_create(&options, &extents.host);
    bool good;

    if (error) {
        printf("no memory of this machine: %s\n", quire_strerror(error));
        return false;
    }
    if (mallctl("arenas.create", &arena, &bytes, (void *)&hooks, sizeof(void *))) {
        printf("jemalloc has no arena for it\n");
        quire_host_destroy(extents.host);
        return false;
    }
    good = take_no_more_than_needed(arena) == 0 && use(extents.host, arena, demand);
    good = arena_control(arena, "destroy", NULL, 0) == 0 && good;
    if (!all_is_free(extents.host)) {
        printf("some of it was not freed\n");
        good = false;
    }
    quire_host_destroy(extents.host);
    return good;
}

int main(void)
{
    bool good = try_arena(true, QUIRE_HOST_PAGES_SMALL);

    good = try_arena(false, QUIRE_HOST_PAGES_SMALL) && good;
    good = try_arena(true, QUIRE_HOST_PAGES_ADVISE) && good;
    return good ? 0 : 1;
}
