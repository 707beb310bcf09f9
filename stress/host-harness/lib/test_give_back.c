/* SPDX-License-Identifier: MIT
 *
 * test_give_back.c - memory that a program has freed is the system's again: on demand, down to a
 * limit, and after a time; and comes again, as zeros.
 */
#include "host_fixture.h"
#include "stress/common/random.h"
#include "stress/common/sanitized.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGES = 129024 }; /* 504 MiB of the 512, as watermarks keep some */

/* Bytes of this process that are in memory. */
static uint64_t resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    char line[128], *end; /* all pages, and those */
    unsigned long pages;

    assert_non_null(file);
    assert_non_null(fgets(line, sizeof(line), file));
    fclose(file);
    (void)strtoul(line, &end, 10);
    pages = strtoul(end, &end, 10);
    assert_true(pages > 0);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Use all of the host's memory, as a program does that fills its pool page by page, and free it in
 * another order. Returns what was resident when it was full. */
static uint64_t fill_and_free(struct quire_host *host, void **pages)
{
    uint64_t full;

    for (size_t i = 0; i < PAGES; i++) {
        assert_int_equal(quire_host_alloc(host, 0, i & 1 ? QUIRE_MOVABLE : 0, &pages[i]), QUIRE_OK);
        memset(pages[i], 0xa5, QUIRE_FRAME_SIZE);
    }
    full = resident();
    for (size_t i = 0; i < PAGES; i++)
        assert_int_equal(quire_host_free(host, pages[(i * 77773) % PAGES], 0), QUIRE_OK);
    return full;
}

static struct quire_host *host_with(uint32_t after)
{
    const uint64_t bytes = 512 * MIB;
    const struct quire_host_options options = {.node_bytes = &bytes,
                                               .node_bytes_count = 1,
                                               .keep_nothing = true,
                                               .no_thread = after == QUIRE_HOST_NEVER,
                                               .give_back_after = after};
    struct quire_host *host;

    assert_int_equal(quire_host_create(&options, &host), QUIRE_OK);
    return host;
}

/* The array is in memory before the count begins. */
static void **page_array(void)
{
    void **pages = malloc(PAGES * sizeof(*pages));

    assert_non_null(pages);
    memset(pages, 1, PAGES * sizeof(*pages));
    return pages;
}

static uint64_t gone_bytes(struct quire_host *host)
{
    struct quire_host_stats stats;

    assert_int_equal(quire_host_stats(host, &stats), QUIRE_OK);
    return stats.gone_bytes;
}

/* Of what was used in between no more than 0.2 % is left: the zone's own metadata. */
static void assert_back(uint64_t start, uint64_t full, uint64_t end)
{
    print_message("resident: %lu KiB at the start, %lu full, %lu in the end\n", start / KIB,
                  full / KIB, end / KIB);
    assert_true(full - start >= (uint64_t)PAGES * QUIRE_FRAME_SIZE);
    if (!SANITIZED) /* a sanitizer's own memory for each page stays */
        assert_true(end < start + (full - start) / 500);
}

static void on_demand(void **state)
{
    struct quire_host *host = host_with(QUIRE_HOST_NEVER);
    void **pages = page_array();
    uint64_t start = resident(), full = fill_and_free(host, pages), bytes;
    const char *memory;
    void *block;

    (void)state;
    assert_true(resident() - start >= (uint64_t)PAGES * QUIRE_FRAME_SIZE);
    assert_int_equal(gone_bytes(host), 0);
    /* Down to a limit first. */
    assert_int_equal(quire_host_give_back(host, 128 * MIB, &bytes), QUIRE_OK);
    assert_int_equal(bytes, 384 * MIB);
    assert_int_equal(gone_bytes(host), 384 * MIB);
    assert_true(SANITIZED || resident() < start + 132 * MIB);
    assert_int_equal(quire_host_give_back(host, 0, &bytes), QUIRE_OK);
    assert_int_equal(bytes, 128 * MIB);
    assert_back(start, full, resident());
    /* It comes again, and reads as zeros. */
    assert_int_equal(quire_host_alloc(host, 9, QUIRE_ZEROED, &block), QUIRE_OK);
    memory = block;
    for (size_t i = 0; i < 2 * MIB; i++)
        assert_int_equal(memory[i], 0);
    memset(block, 1, 2 * MIB);
    assert_in_range(gone_bytes(host), 480 * MIB, 510 * MIB); /* a cache took some more of them */
    assert_int_equal(quire_host_free(host, block, 9), QUIRE_OK);
    assert_int_equal(quire_host_alloc(host, 9, QUIRE_ZEROED, &block), QUIRE_OK);
    memory = block;
    for (size_t i = 0; i < 2 * MIB; i++)
        assert_int_equal(memory[i], 0);
    assert_int_equal(quire_host_free(host, block, 9), QUIRE_OK);
    quire_host_destroy(host);
    free(pages);
}

/* Nobody asks: the host's thread sees that it is idle. */
static void by_decay(void **state)
{
    struct quire_host *host = host_with(2);
    void **pages = page_array();
    uint64_t start = resident(), full = fill_and_free(host, pages);

    (void)state;
    for (unsigned i = 0; i < 1000 && gone_bytes(host) < 512 * MIB; i++)
        usleep(100000);
    assert_int_equal(gone_bytes(host), 512 * MIB);
    assert_back(start, full, resident());
    /* What is used stays. */
    (void)fill_and_free(host, pages);
    quire_host_destroy(host);
    free(pages);
}

/* Pages of the caller's, between others that stay: they go alone, and come as zeros. */
static void page_by_page(void **state)
{
    enum { RUNS = 1024 }; /* of 8 pages, of which 7 go */
    static unsigned char *runs[RUNS];
    struct quire_host *host = host_with(QUIRE_HOST_NEVER);
    struct quire_host_arena arena;
    uint64_t start = resident(), full;
    void *got;

    (void)state;
    assert_int_equal(quire_host_arena(host, 0, &arena), QUIRE_OK);
    for (unsigned i = 0; i < RUNS; i++) {
        assert_int_equal(quire_host_alloc(host, 3, 0, &got), QUIRE_OK);
        assert_int_equal(quire_host_split(host, got, 8, 0), QUIRE_OK);
        runs[i] = got;
        memset(got, 0xa5, 8 * (size_t)QUIRE_FRAME_SIZE);
    }
    full = resident();
    for (unsigned i = 0; i < RUNS; i++) {
        assert_int_equal(quire_host_discard(host, runs[i] + QUIRE_FRAME_SIZE, 7), QUIRE_OK);
        assert_int_equal(runs[i][0], 0xa5);
        if (i % 2)
            assert_int_equal(quire_host_free_range(host, runs[i] + QUIRE_FRAME_SIZE, 7), QUIRE_OK);
    }
    assert_true(full - start >= RUNS * 8ull * QUIRE_FRAME_SIZE);
    assert_true(SANITIZED || resident() < start + (full - start) / 7);
    for (unsigned i = 0; i < RUNS; i++) {
        assert_int_equal(runs[i][QUIRE_FRAME_SIZE - 1], 0xa5);
        for (size_t at = QUIRE_FRAME_SIZE; at < 8 * (size_t)QUIRE_FRAME_SIZE && i % 2 == 0;
             at += 64)
            assert_int_equal(runs[i][at], 0);
    }
    assert_int_equal(quire_host_discard(host, runs[0] + 8, 1), QUIRE_ERR_ALIGN);
    assert_int_equal(quire_host_discard(host, runs[0], 0), QUIRE_ERR_SIZE);
    assert_int_equal(quire_host_discard(host, arena.memory, arena.bytes / QUIRE_FRAME_SIZE + 1),
                     QUIRE_ERR_FRAME);
    assert_int_equal(quire_host_discard(host, arena.memory, UINT64_MAX), QUIRE_ERR_FRAME);
    assert_int_equal(quire_host_discard(host, NULL, 1), QUIRE_ERR_FRAME);
    quire_host_destroy(host);
}

/* One page of each 2 MiB stays: those beside it go on demand, and come as zeros. */
static void beside_used(void **state)
{
    struct quire_host *host = host_with(QUIRE_HOST_NEVER);
    void **pages = page_array(), *page;
    uint64_t start = resident(), full, whole, bytes, again, kept = 0;

    (void)state;
    for (size_t i = 0; i < PAGES; i++) {
        assert_int_equal(quire_host_alloc(host, 0, 0, &pages[i]), QUIRE_OK);
        memset(pages[i], 0xa5, QUIRE_FRAME_SIZE);
    }
    full = resident();
    for (size_t i = 0; i < PAGES; i++) {
        if ((uintptr_t)pages[i] / QUIRE_FRAME_SIZE % 512 == 77)
            kept++;
        else
            assert_int_equal(quire_host_free(host, pages[i], 0), QUIRE_OK);
    }
    assert_in_range(kept, PAGES / 512 - 4, PAGES / 512 + 4);
    assert_int_equal(quire_host_give_back(host, 64 * MIB, &whole), QUIRE_OK);
    assert_true(whole <= 16 * MIB); /* what was never used, or hardly */
    assert_true(resident() >= full - 16 * MIB);
    assert_int_equal(quire_host_give_back(host, 0, &bytes), QUIRE_OK);
    assert_in_range(whole + bytes, (PAGES - kept) * QUIRE_FRAME_SIZE, 512 * MIB);
    print_message("resident: %lu KiB at the start, %lu full, %lu in the end\n", start / KIB,
                  full / KIB, resident() / KIB);
    assert_true(SANITIZED || resident() < start + (full - start) / 200);
    assert_int_equal(quire_host_give_back(host, 0, &again), QUIRE_OK);
    assert_int_equal(again, 0);
    for (size_t i = 0; i < PAGES; i++)
        if ((uintptr_t)pages[i] / QUIRE_FRAME_SIZE % 512 == 77)
            for (size_t at = 0; at < QUIRE_FRAME_SIZE; at++)
                assert_int_equal(((unsigned char *)pages[i])[at], 0xa5);
    for (size_t i = 0; i < 512; i++) {
        assert_int_equal(quire_host_alloc(host, 0, QUIRE_ZEROED, &page), QUIRE_OK);
        for (size_t at = 0; at < QUIRE_FRAME_SIZE; at++)
            assert_int_equal(((unsigned char *)page)[at], 0);
        memset(page, 0x5a, QUIRE_FRAME_SIZE);
    }
    quire_host_destroy(host);
    free(pages);
}

/* ---- Beside threads that use it -------------------------------------------------------------- */

enum { USERS = 3, HELD = 300, TURNS = 60000 };

struct user {
    struct quire_host *host;
    uint64_t random;
    uint64_t bad; /* pages that read otherwise than they must */
    atomic_uint *running;
    uint64_t *pages[HELD]; /* of one page, its first and last words being its address; or NULL */
};

static void take_page(struct user *user, uint64_t **place)
{
    enum { LAST = QUIRE_FRAME_SIZE / sizeof(uint64_t) - 1 };
    uint32_t flags = random_below(&user->random, 2) ? QUIRE_ZEROED : 0;
    void *page;

    if (quire_host_alloc(user->host, 0, flags, &page))
        return;
    *place = page;
    for (size_t i = 0; flags && i <= LAST; i++)
        user->bad += (*place)[i] != 0;
    (*place)[0] = (*place)[LAST] = (uintptr_t)page;
}

static void *use_pages(void *argument)
{
    enum { LAST = QUIRE_FRAME_SIZE / sizeof(uint64_t) - 1 };
    struct user *user = argument;

    for (unsigned turn = 0; turn < TURNS; turn++) {
        uint64_t **place = &user->pages[random_below(&user->random, HELD)];

        if (!*place) {
            take_page(user, place);
            continue;
        }
        user->bad += (*place)[0] != (uintptr_t)*place || (*place)[LAST] != (uintptr_t)*place;
        if (random_below(&user->random, 8) == 0)
            user->bad += quire_host_discard(user->host, *place, 1) != QUIRE_OK || (*place)[0] != 0;
        user->bad += quire_host_free(user->host, *place, 0) != QUIRE_OK;
        *place = NULL;
    }
    atomic_fetch_sub(user->running, 1);
    return NULL;
}

/* Nobody's page goes while it is his, whatever he does meanwhile. */
static void beside_users(void **state)
{
    static struct user users[USERS];
    struct quire_host *host = host_of(8 * MIB);
    atomic_uint running = USERS;
    pthread_t threads[USERS];
    uint64_t bytes, calls = 0;

    (void)state;
    for (unsigned i = 0; i < USERS; i++) {
        users[i] = (struct user){.host = host, .random = i + 1, .running = &running};
        assert_int_equal(pthread_create(&threads[i], NULL, use_pages, &users[i]), 0);
    }
    for (; atomic_load(&running) > 0; calls++)
        assert_int_equal(quire_host_give_back(host, 0, &bytes), QUIRE_OK);
    for (unsigned i = 0; i < USERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(users[i].bad, 0);
    }
    print_message("given back %lu times meanwhile\n", calls);
    assert_true(calls > 0);
    quire_host_destroy(host);
}

/* Would the kernel make a huge page of what lies there? By what it tells of its mappings. */
static bool may_be_huge(const void *memory)
{
    FILE *file = fopen("/proc/self/smaps", "r");
    uintptr_t first, end, address = (uintptr_t)memory;
    bool inside = false, huge = false, told = false;
    char line[512], *rest;

    assert_non_null(file);
    while (!told && fgets(line, sizeof(line), file)) {
        first = strtoul(line, &rest, 16);
        if (*rest == '-') {
            end = strtoul(rest + 1, &rest, 16);
            inside = first <= address && address < end;
        } else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            told = true;
            huge = strstr(line, " hg") && !strstr(line, " nh");
        }
    }
    fclose(file);
    assert_true(told);
    return huge;
}

/* So many bytes, an equal share of each node. NULL: there are not so many, or no such pages. */
static struct quire_host *host_of_huge(uint64_t bytes)
{
    struct quire_host_options options = {.pages = QUIRE_HOST_PAGES_ADVISE,
                                         .keep_nothing = true,
                                         .give_back_after = QUIRE_HOST_NEVER};
    struct quire_host_node node;
    struct quire_host *host;
    uint32_t nodes = 0;
    int error;

    for (uint32_t n = 0; quire_host_node(quire_node_of(n), &node) == QUIRE_OK; n++)
        nodes += node.bytes > 0;
    options.bytes = (bytes / (nodes > 0 ? nodes : 1) + 2 * MIB - 1) / (2 * MIB) * (2 * MIB);
    error = quire_host_create(&options, &host);
    if (!error)
        return host;
    print_message("not tried with %lu MiB: %s\n", bytes / MIB, quire_strerror(error));
    return NULL;
}

/* Of 2 MiB of which a part was discarded the kernel makes no huge page, or it would be resident
 * again by itself; all of it may come as one. */
static void huge_pages(void **state)
{
    struct quire_host *host = host_of_huge(64 * MIB);
    unsigned char *memory[3];
    uint64_t bytes;
    void *got;

    (void)state;
    if (!host)
        skip();
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(quire_host_alloc(host, 9, 0, &got), QUIRE_OK);
        memory[i] = got;
        memset(got, 0xa5, 2 * MIB);
        assert_true(may_be_huge(memory[i]));
    }
    for (unsigned i = 0; i < 2; i++) /* twice: what is said already is no matter */
        assert_int_equal(quire_host_discard(host, memory[0] + 8 * KIB, 2), QUIRE_OK);
    assert_int_equal(quire_host_discard(host, memory[1], 511), QUIRE_OK);
    assert_false(may_be_huge(memory[0]));
    assert_false(may_be_huge(memory[1] + 2 * MIB - 1));
    assert_true(may_be_huge(memory[2]));
    assert_int_equal(memory[0][8 * KIB - 1], 0xa5);
    /* All of it is discarded, by its owner or when it is free. */
    assert_int_equal(quire_host_discard(host, memory[1], 512), QUIRE_OK);
    assert_true(may_be_huge(memory[1]));
    assert_false(may_be_huge(memory[0]));
    assert_int_equal(quire_host_free(host, memory[0], 9), QUIRE_OK);
    assert_false(may_be_huge(memory[0]));
    assert_int_equal(quire_host_give_back(host, 0, &bytes), QUIRE_OK);
    assert_true(bytes > 0);
    assert_true(may_be_huge(memory[0]));
    quire_host_destroy(host);
}

/* Which costs mappings, of which a process has a limited number: so it is said of so many blocks
 * at a time. */
static void huge_pages_to_a_limit(void **state)
{
    enum { MOST = 4096, MORE = 4 };
    static unsigned char *memory[MOST + MORE];
    struct quire_host *host = host_of_huge((MOST + MORE + 64ull) * 2 * MIB);
    void *got;

    (void)state;
    if (!host)
        skip();
    for (unsigned i = 0; i < MOST + MORE; i++) {
        assert_int_equal(quire_host_alloc(host, 9, 0, &got), QUIRE_OK);
        memory[i] = got;
        assert_int_equal(quire_host_discard(host, memory[i], 1), QUIRE_OK);
    }
    for (unsigned i = MOST - 2; i < MOST + MORE; i++)
        assert_int_equal(may_be_huge(memory[i]), i >= MOST);
    assert_int_equal(quire_host_discard(host, memory[7], 512), QUIRE_OK);
    assert_int_equal(quire_host_discard(host, memory[MOST], 1), QUIRE_OK);
    assert_true(may_be_huge(memory[7]));
    assert_false(may_be_huge(memory[MOST]));
    quire_host_destroy(host);
}

/* Locked memory is not the system's to take: told, and nothing has changed. */
static void locked(void **state)
{
    struct quire_host *host = host_of(4 * MIB);
    struct quire_host_arena arena;
    uint64_t bytes = 1, before = host_free_frames(host);

    (void)state;
    assert_int_equal(quire_host_arena(host, 0, &arena), QUIRE_OK);
    if (SANITIZED || mlock(arena.memory, arena.bytes)) {
        print_message("this process may not lock 4 MiB, or a sanitizer leaves it out\n");
        quire_host_destroy(host);
        skip();
    }
    assert_int_equal(quire_host_give_back(host, 0, &bytes), QUIRE_ERR_UNSUPPORTED);
    assert_int_equal(quire_host_discard(host, arena.memory, 1), QUIRE_ERR_UNSUPPORTED);
    assert_int_equal(bytes, 0);
    assert_int_equal(gone_bytes(host), 0);
    assert_int_equal(host_free_frames(host), before);
    quire_host_destroy(host);
}

/* Nor are free pages beside used ones, which are not written in place of going. */
static void locked_beside_used(void **state)
{
    enum { PAGES_MOST = 1024 };
    static unsigned char *pages[PAGES_MOST];
    struct quire_host *host = host_of(4 * MIB);
    struct quire_host_arena arena;
    uint64_t n = 0, bytes = 1;
    void *page;

    (void)state;
    assert_int_equal(quire_host_arena(host, 0, &arena), QUIRE_OK);
    for (; n < PAGES_MOST && !quire_host_alloc(host, 0, 0, &page); n++) {
        pages[n] = page;
        memset(page, 0xa5, QUIRE_FRAME_SIZE);
    }
    for (uint64_t i = 0; i < n; i++)
        if ((uintptr_t)pages[i] / QUIRE_FRAME_SIZE % 512 != 77)
            assert_int_equal(quire_host_free(host, pages[i], 0), QUIRE_OK);
    if (SANITIZED || mlock(arena.memory, arena.bytes)) {
        print_message("this process may not lock 4 MiB, or a sanitizer leaves it out\n");
        quire_host_destroy(host);
        skip();
    }
    errno = 0;
    assert_int_equal(quire_host_give_back(host, 0, &bytes), QUIRE_ERR_UNSUPPORTED);
    assert_int_equal(bytes, 0);
    assert_int_equal(errno, EINVAL);
    for (uint64_t i = 0; i < n; i++)
        assert_int_equal(pages[i][QUIRE_FRAME_SIZE - 1], 0xa5);
    assert_int_equal(munlock(arena.memory, arena.bytes), 0);
    assert_int_equal(quire_host_give_back(host, 0, &bytes), QUIRE_OK);
    assert_true(bytes >= (n - 4) * QUIRE_FRAME_SIZE);
    quire_host_destroy(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_demand),
        cmocka_unit_test(by_decay),
        cmocka_unit_test(page_by_page),
        cmocka_unit_test(beside_used),
        cmocka_unit_test(beside_users),
        cmocka_unit_test(huge_pages),
        cmocka_unit_test(huge_pages_to_a_limit),
        cmocka_unit_test(locked),
        cmocka_unit_test(locked_beside_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
