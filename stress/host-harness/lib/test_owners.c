/* SPDX-License-Identifier: MIT
 *
 * test_owners.c - who holds this process's frames: owners of a host's machine, told with names.
 */
#include "host_fixture.h"

#include <quire/heap.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LEAKS = 5, HOLDERS = 8 };

static struct quire_owners owners;

quire_pfn leaky_page_cache(void);

__attribute__((noinline)) quire_pfn leaky_page_cache(void)
{
    struct quire_request request = quire_request_of(0, 0);
    quire_pfn pfn = {0};

    assert_int_equal(quire_owners_request(&owners, &request, QUIRE_KIND_PAGE_CACHE, 0, &pfn, NULL),
                     0);
    return pfn;
}

static void leaks_with_names(void **state)
{
    struct quire_host *host = host_of(4 * MIB);
    struct quire_owners_config config = {.machine = quire_host_machine(host), .tracks = true};
    struct quire_holder table[HOLDERS];
    struct quire_holders holders = {.table = table, .size = HOLDERS, .tag = QUIRE_ANY_TAG};
    struct quire_host_arena arena;
    struct quire_run all = {{0}, UINT64_MAX};
    quire_pfn pfns[LEAKS], last;
    size_t bytes;
    void *memory;
    char text[100];

    (void)state;
    assert_int_equal(quire_host_arena(host, 0, &arena), 0);
    assert_int_equal(quire_host_pfn(host, arena.memory, &config.first), 0);
    config.frames = arena.bytes / QUIRE_FRAME_SIZE;
    assert_int_equal(quire_owners_size(&config, &bytes), 0);
    memory = aligned_alloc(64, bytes);
    assert_non_null(memory);
    assert_int_equal(quire_owners_init(&owners, &config, memory, bytes), 0);
    for (unsigned i = 0; i < LEAKS; i++)
        pfns[i] = leaky_page_cache();
    last = pfns[LEAKS - 1];
    assert_int_equal(quire_owners_free(&owners, last, 0), 0);
    assert_int_equal(quire_owners_walk(&owners, all, quire_holders_add, &holders), 0);
    quire_holders_sort(&holders);
    assert_int_equal(holders.count, 1);
    assert_int_equal(table[0].holdings, LEAKS - 1);
    assert_int_equal(table[0].tag, QUIRE_KIND_PAGE_CACHE);
    bytes = quire_host_place(table[0].caller, text, sizeof text);
    assert_int_equal(bytes, strlen(text));
    print_message("%llu bytes in %llu, by %s\n", (unsigned long long)table[0].bytes,
                  (unsigned long long)table[0].holdings, text);
    assert_int_equal(strncmp(text, "leaky_page_cache+0x", 19), 0);
    for (unsigned i = 0; i + 1 < LEAKS; i++)
        assert_int_equal(quire_owners_free(&owners, pfns[i], 0), 0);
    quire_host_destroy(host);
    free(memory);
}

static void places(void **state)
{
    char text[40];
    size_t length;

    (void)state;
    length = quire_host_place((uintptr_t)places, text, sizeof text);
    assert_int_equal(length, strlen(text));
    assert_non_null(strstr(text, "+0x")); /* static: by the file */
    assert_int_equal(quire_host_place(16, text, sizeof text), 4);
    assert_string_equal(text, "0x10");
    assert_int_equal(quire_host_place(16, text, 3), 2);
    assert_string_equal(text, "0x");
    assert_int_equal(quire_host_place(16, text, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(leaks_with_names),
                                       cmocka_unit_test(places)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
