/* SPDX-License-Identifier: MIT
 *
 * test_found_outside.c - the sections for a CPU cache that was found before them, as the machine
 * does it (rseq mode): they do nothing to the CPU cache of another CPU than the caller's, nor to
 * one that is taken, and what they do is what the others do. White-box: calls them.
 */
#include "unit.h"

#include "percpu/arch/rseq.h"

#if QUIRE_RSEQ

static struct rig rig;

static void found_outside(void **unused)
{
    const int64_t key = rseq_area_key();
    struct cpu_cache *mine;
    struct rig *r = &rig;
    uint64_t round = 0, pfn;
    uint32_t cpu, count;

    (void)unused;
    rig_begin(r, 64 * BLOCK);
    r->cache_config.rounds = 64;
    rig_open(r);
    run_on(r, 0);
    pfn = take(r, 0, 0);
    cpu = rseq_cpu(rseq_area());
    assert_int_equal(rseq_cpu_by(key), cpu);
    mine = cpu_cache_of(&r->cache, cpu - r->cache.first_cpu, CACHE_UNMOVABLE);
    count = cpu_cache_count(mine);
    assert_true(count > 1);
    assert_false(rseq_pop_at(key, mine, cpu + 1, &round));
    assert_false(rseq_push_at(key, mine, cpu + 1, pfn));
    qa_store(&mine->present, 0, relaxed);
    assert_false(rseq_pop_at(key, mine, cpu, &round));
    assert_false(rseq_push_at(key, mine, cpu, pfn));
    qa_store(&mine->present, 1, relaxed);
    assert_int_equal(cpu_cache_count(mine), count);
    assert_int_equal(cpu_cache_pops(mine), 0);
    assert_true(rseq_pop_at(key, mine, cpu, &round));
    assert_int_equal(round, mine->rounds[count - 1].n);
    assert_int_equal(cpu_cache_count(mine), count - 1);
    assert_true(rseq_push_at(key, mine, cpu, round));
    assert_int_equal(cpu_cache_count(mine), count);
    assert_int_equal(cpu_cache_pops(mine), 1);
    give(r, pfn, 0);
    rig_close(r, 0);
}

#else

static void found_outside(void **unused)
{
    (void)unused;
    die("there is no section in this build, and yet a cache in rseq mode");
}

#endif

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(found_outside)};

    return run_unit(argc, argv, tests);
}
