/* SPDX-License-Identifier: MIT
 *
 * test_example.c - the example of docs/porting.md, "Zones and the machine", as it stands there.
 */
#include "kernel.h"
#include "stress/common/assert.h"

#include <stdlib.h>

enum { BYTES = 64 << 20 };

struct quire_boot boot;
struct quire_topology topology;
uintptr_t direct_base;

static struct quire_boot_entry entries[16];
static unsigned panics;

uint32_t cpu_number(void *ctx)
{
    (void)ctx;
    return 0;
}

void panic(const char *why)
{
    assert_non_null(why);
    panics++;
}

static void as_documented(void **state)
{
    void *memory = aligned_alloc(QUIRE_FRAME_SIZE, BYTES);
    uint64_t page, other;

    (void)state;
    assert_non_null(memory);
    direct_base = (uintptr_t)memory;
    assert_ok(quire_boot_init(&boot, entries, sizeof entries / sizeof entries[0], QUIRE_BOOT_LOW));
    assert_ok(quire_boot_add(&boot, 0, BYTES, QUIRE_BOOT_USABLE, QUIRE_NODE_ANY));
    quire_topology_init(&topology);
    memory_init();
    assert_int_equal(panics, 0);
    page = page_alloc();
    other = page_alloc();
    assert_true(page != 0 && other != 0 && page != other && page < BYTES);
    page_free(other);
    page_free(page);
    assert_int_equal(panics, 0);
    page_free(page);
    assert_int_equal(panics, 1);
    quire_machine_fini(machine);
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_documented)};

    return cmocka_run_group_tests_name("numa_example", tests, NULL, NULL);
}
