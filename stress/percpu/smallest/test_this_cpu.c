/* SPDX-License-Identifier: MIT
 *
 * test_this_cpu.c - layers that were compiled with QUIRE_CPU_HEADER: a cache by itself takes the
 * CPU's number from there, and does not ask the port.
 */
#include "stress/common/assert.h"
#include "stress/percpu/smallest/this_cpu.h"

#include <quire/simple.h>

#include <string.h>

enum { CPUS = 2, BYTES = 16 << 20 };

uint32_t cpu_now;
static _Alignas(QUIRE_FRAME_SIZE) unsigned char memory[BYTES];
static unsigned asked; /* how often the port was */

static void *map(void *ctx, uint64_t phys, size_t bytes)
{
    (void)ctx;
    assert_true(phys + bytes <= BYTES);
    return memory + phys;
}

static uint32_t port_cpu(void *ctx)
{
    (void)ctx;
    asked++;
    return cpu_now;
}

static void port_not_asked(void **state)
{
    static struct quire_simple frames;
    struct quire_run run = {quire_pfn_of(0), BYTES / QUIRE_FRAME_SIZE};
    struct quire_simple_config config = {
        .runs = &run, .run_count = 1, .map = map, .cpus = CPUS, .port = {.cpu = port_cpu}};
    struct quire_cache_stats before, after;
    quire_pfn pfns[CPUS], again;

    (void)state;
    assert_ok(quire_simple_init(&frames, &config));
    for (cpu_now = 0; cpu_now < CPUS; cpu_now++)
        assert_ok(quire_simple_alloc(&frames, 0, 0, &pfns[cpu_now]));
    assert_ok(quire_cache_stats(&frames.cache, &before));
    for (cpu_now = 0; cpu_now < CPUS; cpu_now++) {
        assert_ok(quire_simple_alloc(&frames, 0, 0, &again)); /* what its own refill brought */
        assert_ok(quire_simple_free(&frames, again, 0));
        assert_ok(quire_simple_free(&frames, pfns[cpu_now], 0));
    }
    assert_ok(quire_cache_stats(&frames.cache, &after));
    assert_int_equal(after.refills, before.refills);
    assert_int_equal(asked, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(port_not_asked)};

    return cmocka_run_group_tests_name("this_cpu", tests, NULL, NULL);
}
