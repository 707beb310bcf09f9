/* SPDX-License-Identifier: MIT
 *
 * handover.cpp - frames go from hand to hand, by each way to take them: what the last holder wrote
 * is there for the next, whether the frames came back by the map of their block, or with the whole
 * block, whose map was never written. And who takes idle blocks to zero them. White-box.
 */
#include "world/isolator.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wextra"
#include "core/frame_byte.h"
#pragma GCC diagnostic pop

#include <cstring>

namespace
{

/* ---- How frames are taken ------------------------------------------------------------------- */

enum Way { FRAME, RUN, FRAMES, RUNS, ZEROED };

alignas(qa8) unsigned char frame_bytes[BLOCK_FRAMES * sizeof(qa8)];

/* Who zeroes frames holds them. */
int zero(void *, quire_pfn pfn, uint64_t n)
{
    world->hold(pfn.n, n, false);
    world->drop(pfn.n, n);
    return QUIRE_OK;
}

/* Frames can be zeroed while they are idle: at most so many of what is free. */
void with_zeroer()
{
    memset(frame_bytes, 0, sizeof frame_bytes);
    world->z.has_frame_bytes = true;
    world->z.frame_bytes = reinterpret_cast<uintptr_t>(&frame_bytes[0]);
    world->z.port.zero = zero;
}

void zero_idle(uint64_t most)
{
    uint64_t done;

    require(!quire_zone_zero_idle(&world->z, slot(1), most, &done), "nothing could be zeroed");
}

void taken(quire_pfn pfn, unsigned order)
{
    world->hold(pfn.n, 1ull << order, true);
    qa_store(&world->head.total, qa_load(&world->head.total, relaxed) - (1u << order), relaxed);
}

/* Take of block 0 what is free, at most four frames. */
void take_by(Way way)
{
    quire_pfn pfns[4];
    unsigned got;

    switch (way) {
    case FRAME:
    case RUN:
        (void)world->take(0, way == RUN);
        break;
    case FRAMES:
        got = qi_block_take_many(&world->z, 0, 4, pfns);
        for (unsigned i = 0; i < got; i++)
            taken(pfns[i], 0);
        break;
    case RUNS:
        got = qi_block_take_runs(&world->z, 0, 1, 2, pfns);
        for (unsigned i = 0; i < got; i++)
            taken(pfns[i], 1);
        break;
    case ZEROED:
        zero_idle(4);
    }
}

/* ---- Out of a split block ------------------------------------------------------------------- */

/* Two frames are freed, and taken by somebody else. */
class ByMap : public InWorld
{
  public:
    explicit ByMap(Way way) : way_(way)
    {
    }

  private:
    void setup() override
    {
        world->make_split(0);
        world->give(0, 2, true);
        world->give(2, BLOCK_FRAMES - 2, false);
        if (way_ == ZEROED) {
            with_zeroer();
            byte_set(byte_of_frame(&world->z, 0), byte_of_order(1));
        }
        world->start(MAPS_ONLY);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            world->free(0, 0, 2);
        else
            take_by(way_);
    }

    const Way way_;
};

/* One frame is free. A zeroer takes it, and somebody else: not both. */
class ZeroedOnce : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->give_but(0, at(0, 1, 1), 1);
        with_zeroer();
        world->start(MAPS_ONLY);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            zero_idle(1);
        else
            (void)world->take(0, 0);
    }
};

/* ---- With the whole block ------------------------------------------------------------------- */

/* A block goes from a run's holder to its section, and from there in pieces to others. Its map is
 * all zeros from the beginning, so nobody has written what a taker exchanges. */
class ByBlock : public InWorld
{
  public:
    explicit ByBlock(Way way) : way_(way)
    {
    }

  private:
    void setup() override
    {
        world->give_whole(0, BLOCK_ORDER);
        for (unsigned i = 0; i < MAP_WORDS; i++)
            qa_store(&frame_map(&world->z, 0)->w[i], 0, relaxed);
        if (way_ == ZEROED)
            with_zeroer();
        world->start(SECTION_BITS);
    }

    void thread(unsigned index) override
    {
        if (index == 1) {
            take_by(way_);
            return;
        }
        world->drop(0, BLOCK_FRAMES);
        require(world->put_whole(0, BLOCK_ORDER) == QUIRE_OK, "a good free was refused");
        if (qi_blocks_claim(&world->z, 0, 0))
            (void)qi_block_split(&world->z, slot(0), 0, desc_home(slot(0), 0));
    }

    const Way way_;
};

/* ---- Whole blocks that are zeroed ----------------------------------------------------------- */

/* A block is freed, and zeroed by somebody else; or it is free, and taken. */
class Block : public InWorld
{
  public:
    explicit Block(bool freed) : freed_(freed)
    {
    }

  private:
    void setup() override
    {
        if (freed_)
            world->give_whole(0, BLOCK_ORDER);
        else
            world->make_free(0);
        with_zeroer();
        world->start(SECTION_BITS);
    }

    void thread(unsigned index) override
    {
        if (index == 1) {
            zero_idle(BLOCK_FRAMES);
        } else if (freed_) {
            world->drop(0, BLOCK_FRAMES);
            require(world->put_whole(0, BLOCK_ORDER) == QUIRE_OK, "a good free was refused");
        } else {
            (void)world->take_whole(0, BLOCK_ORDER);
        }
    }

    const bool freed_;
};

/* A block is isolated while its owner frees it; somebody else takes it then, or has it zeroed: not
 * if the isolation was there before. */
class Isolated : public InWorld
{
  public:
    explicit Isolated(bool zeroed) : zeroed_(zeroed)
    {
    }

  private:
    void setup() override
    {
        world->give_whole(0, BLOCK_ORDER);
        if (zeroed_)
            with_zeroer();
        world->z.port.zero = zero_beside;
        isolator_.reset();
        isolated_ = was_isolated_ = false;
        world->start(LIST | SECTION_BITS);
    }

    static int zero_beside(void *, quire_pfn, uint64_t)
    {
        require(!was_isolated_, "what is isolated was zeroed");
        return QUIRE_OK;
    }

    void thread(unsigned index) override
    {
        if (index == 0) {
            require(isolator_.begin(0) == QUIRE_OK, "nothing was in the way of an isolation");
            isolated_ = true;
            return;
        }
        if (index == 1) {
            world->drop(0, BLOCK_FRAMES);
            require(world->put_whole(0, BLOCK_ORDER) == QUIRE_OK, "a good free was refused");
            return;
        }
        was_isolated_ = isolated_;
        if (zeroed_)
            zero_idle(BLOCK_FRAMES);
        else if (world->take_whole(0, BLOCK_ORDER))
            require(!was_isolated_, "what is isolated was taken");
    }

    void check() override
    {
        world->verify();
    }

    const bool zeroed_;
    bool isolated_;
    static bool was_isolated_;
    Isolator isolator_;
};

bool Isolated::was_isolated_;

ByMap by_map_run(RUN), by_map_frames(FRAMES), by_map_runs(RUNS), by_map_zeroed(ZEROED);
ZeroedOnce zeroed_once;
ByBlock by_block_run(RUN), by_block_frames(FRAMES), by_block_runs(RUNS), by_block_zeroed(ZEROED);
Block block_freed(true), block_taken(false);
Isolated isolated_taken(false), isolated_zeroed(true);

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"by_map_run", by_map_run, 2, Search::BOUND, 3},
                       {"by_map_frames", by_map_frames, 2, Search::BOUND, 3},
                       {"by_map_runs", by_map_runs, 2, Search::BOUND, 3},
                       {"by_map_zeroed", by_map_zeroed, 2, Search::BOUND, 3},
                       {"zeroed_once", zeroed_once, 2, Search::BOUND, 3},
                       {"by_block_run", by_block_run, 2, Search::BOUND, 2},
                       {"by_block_frames", by_block_frames, 2, Search::BOUND, 2},
                       {"by_block_runs", by_block_runs, 2, Search::BOUND, 2},
                       {"by_block_zeroed", by_block_zeroed, 2, Search::BOUND, 2},
                       {"block_freed", block_freed, 2, Search::BOUND, 3},
                       {"block_taken", block_taken, 2, Search::BOUND, 3},
                       {"isolated_taken", isolated_taken, 3, Search::BOUND, 1},
                       {"isolated_zeroed", isolated_zeroed, 3, Search::BOUND, 1},
                   });
}
