/* SPDX-License-Identifier: MIT
 *
 * caches.cpp - see caches.hpp. White-box.
 */
#include "caches.hpp"
#include "stress/common/relacy/library.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wshadow"
#include "percpu/depot.h"
#pragma GCC diagnostic pop

#include <cstring>

/* Words that a former execution has shared are forgotten with what they held. */
alignas(64) static unsigned char memory[16384];
alignas(64) static unsigned char frame_bytes[BLOCK_FRAMES * sizeof(qa8)];

uint32_t InCaches::cpu(void *ctx)
{
    const auto *in = static_cast<const InCaches *>(ctx);

    return in->running_ ? in->first_cpu_of(rl::thread_index()) : in->outside_;
}

/* Where no thread runs the CPU answers at once, as if it were asleep. */
bool InCaches::ask_drain(void *ctx, uint32_t cpu)
{
    auto *in = static_cast<InCaches *>(ctx);
    uint32_t before = in->outside_;

    if (in->running_ && cpu != InCaches::cpu(ctx)) {
        in->asked_[cpu] = true;
        return true;
    }
    in->outside_ = cpu;
    quire_cache_answer(&in->cache_);
    in->outside_ = before;
    return true;
}

unsigned InCaches::thread_now()
{
    return rl::thread_index();
}

bool InCaches::may_interrupt()
{
    return asked_[cpu(this)];
}

void InCaches::interrupt()
{
    asked_[cpu(this)] = false;
    quire_cache_answer(&cache_);
}

void InCaches::set_outside(uint32_t cpu)
{
    running_ = false;
    outside_ = cpu;
    none_runs(cpu);
}

void InCaches::setup()
{
    struct quire_cache_config config = {};
    uint32_t cpus[THREADS];
    size_t bytes;

    memset(frame_bytes, 0, sizeof frame_bytes);
    set_outside(0);
    cache_ = {};
    world->make_split(0);
    world->z.has_frame_bytes = true;
    world->z.frame_bytes = reinterpret_cast<uintptr_t>(&frame_bytes[0]);
    world->z.port.cpu = cpu;
    world->z.port.ask_drain = ask_drain;
    world->z.port.ctx = this;
    /* A zone large enough for what the caches may hold. */
    qa_store(&world->head.managed, blocks_ ? UINT32_MAX : (uint64_t)BLOCK_FRAMES, relaxed);
    config.zone = &world->z;
    config.mode = mode_;
    config.cpus = CPUS;
    config.rounds = ROUNDS;
    config.huge_rounds = blocks_;
    config.depot = DEPOT;
    require(quire_cache_size(&config, &bytes) == QUIRE_OK && bytes <= sizeof memory,
            "the caches need more memory");
    require(quire_cache_init(&cache_, &config, memory, sizeof memory) == QUIRE_OK,
            "the caches cannot be built");
    dense(true);
    prepare();
    world->start(zone_ ? MAPS_ONLY : NOTHING);
    for (uint32_t i = 0; i < CPUS; i++) {
        struct cpu_cache *r = cpu_cache_of(&cache_, i, CACHE_UNMOVABLE);

        if (!shared_[i])
            continue;
        r->present.share();
        if (mode_ == QUIRE_CACHE_RSEQ)
            r->detached.share();
        r->count.share();
        r->out.share();
        r->limit.share();
        if (mode_ == QUIRE_CACHE_LOCAL)
            views_of(&cache_)[i].asked.share();
    }
    if (depot_shared_)
        depot_share(cache_.state->depot, DEPOT);
    for (bool &asked : asked_)
        asked = false;
    if (mode_ == QUIRE_CACHE_LOCAL)
        interrupts(1);
    running_ = true;
    for (unsigned i = 0; i < THREADS; i++)
        cpus[i] = first_cpu_of(i);
    threads_start(cpus);
}

void InCaches::check()
{
    set_outside(CPUS - 1);
    finish();
    if (!is_at_rest())
        return;
    require(quire_cache_drain_all(&cache_) == QUIRE_OK, "a drain was refused");
    for (uint32_t i = 0; i < CPUS; i++) {
        const struct cpu_cache *r = cpu_cache_of(&cache_, i, CACHE_UNMOVABLE);

        require(qa_load(&r->present, relaxed) == 1, "K1: a CPU cache was not put back");
        require(cpu_cache_count(r) == 0 && qa_load(&r->out, relaxed) == 0,
                "a drained CPU cache is not empty");
    }
    world->verify();
}

void InCaches::give(unsigned first, unsigned n)
{
    world->give(first, n, false);
    for (unsigned i = first; i < first + n; i++)
        byte_set(byte_of_frame(&world->z, i), BYTE_SINGLE);
}

void InCaches::give_but(unsigned n)
{
    give(n, BLOCK_FRAMES - n);
}

void InCaches::fill(uint32_t cpu, unsigned first, unsigned n)
{
    set_outside(cpu);
    for (unsigned i = first; i < first + n; i++)
        free(i);
    require(cpu_cache_count(cpu_cache_of(&cache_, cpu, CACHE_UNMOVABLE)) == n,
            "frames went by the magazine");
    set_outside(0);
}

void InCaches::share(uint32_t cpu)
{
    shared_[cpu] = true;
}

void InCaches::dense(bool is)
{
    qa_store(&cache_.state->sparse_limit, is ? UINT8_MAX : 0, relaxed);
}

void InCaches::share_depot()
{
    depot_shared_ = true;
}

void InCaches::depot_asks_at_once(uint32_t cpu)
{
    depot_set_patience(cache_.state->depot, 0);
    depot_set_refused(cache_.state->depot, cpu, DEPOT_EMPTY_PERIOD - 1);
}

uint64_t InCaches::alloc()
{
    quire_pfn pfn;
    uint64_t frame;

    if (quire_cache_alloc(&cache_, 0, QUIRE_EMERGENCY, &pfn) != QUIRE_OK)
        return NO_FRAME;
    frame = frame_of_pfn(&world->z, pfn);
    world->hold(frame, 1, false);
    return frame;
}

void InCaches::free(uint64_t frame)
{
    world->drop(frame, 1);
    require(quire_cache_free(&cache_, pfn_of_frame(&world->z, frame), 0) == QUIRE_OK,
            "a good free was refused");
}
