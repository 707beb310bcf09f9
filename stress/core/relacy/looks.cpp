/* SPDX-License-Identifier: MIT
 *
 * looks.cpp - who only looks: walks over free and used frames, the length of a run, the state of a
 * frame, figures of a range. What is in use all the time is not told to be free. White-box.
 *
 * Thread 0 holds all of a run of one or two blocks, of which the maps are all zeros, and splits it;
 * the other one looks. Where a descriptor says SPLIT the map says who holds what.
 */
#include "world/world.hpp"

namespace
{

/* A frame in the middle of the first block; the end of the second one. */
enum { SOME = WORD_BITS + 3, ALL = 2 * BLOCK_FRAMES };

void free_frames()
{
    require(qi_next_free(&world->z, 0, ALL) == ALL, "a frame in use was told to be free");
}

void used_frames()
{
    require(qi_next_used(&world->z, SOME, ALL) == SOME + 1, "a frame in use was passed by");
}

void free_stretches()
{
    const struct stretch_wanted want = {2, 1, false};
    uint64_t stop;

    require(qi_next_free_stretch(&world->z, 0, ALL, &want, &stop) == ALL,
            "frames in use were told to be free");
}

/* Behind the block in use is a free one. */
void longer_stretch_by(bool by_block)
{
    const struct stretch_wanted want = {BLOCK_FRAMES + 32, 16, by_block};
    uint64_t stop;

    require(qi_next_free_stretch(&world->z, 0, ALL, &want, &stop) == ALL,
            "frames in use were told to be free, before those that are");
}

void longer_stretch()
{
    longer_stretch_by(false);
}

void longer_stretch_by_block()
{
    longer_stretch_by(true);
}

void run_length()
{
    uint64_t frames;

    require(quire_zone_run_length(&world->z, quire_pfn_of(SOME), &frames) != QUIRE_ERR_DOUBLE_FREE,
            "a frame in use has no run as it were free");
}

void frame_state()
{
    enum quire_frame_state state;

    require(!quire_zone_frame_state(&world->z, quire_pfn_of(SOME), &state) &&
                state != QUIRE_FRAME_FREE,
            "the state of a frame in use is free");
}

void range_figures()
{
    struct quire_range_stats stats;

    require(!quire_zone_range_stats(&world->z, {quire_pfn_of(0), ALL}, &stats),
            "a range has no figures");
    for (uint64_t free : stats.free)
        require(free == 0, "frames in use are counted as free");
}

class Looks : public InWorld
{
  public:
    explicit Looks(void (*look)(), unsigned order = BLOCK_ORDER + 1)
        : InWorld(2), look_(look), order_(order)
    {
    }

  private:
    void setup() override
    {
        world->make_free(1);
        world->give_whole(0, order_);
        for (uint32_t b = 0; b < 1u << (order_ - BLOCK_ORDER); b++)
            for (unsigned i = 0; i < MAP_WORDS; i++)
                qa_store(&frame_map(&world->z, b)->w[i], 0, relaxed);
        world->start(MAPS_ONLY);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            require(!quire_zone_split(&world->z, slot(0), quire_pfn_of(0), order_),
                    "a good split was refused");
        else
            look_();
    }

    void (*const look_)();
    const unsigned order_;
};

Looks next_free(free_frames), next_used(used_frames), stretches(free_stretches);
Looks longer(longer_stretch, BLOCK_ORDER), by_block(longer_stretch_by_block, BLOCK_ORDER);
Looks length(run_length), state(frame_state), figures(range_figures);

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"next_free", next_free, 2, Search::BOUND, 3},
                       {"next_used", next_used, 2, Search::BOUND, 3},
                       {"stretches", stretches, 2, Search::BOUND, 3},
                       {"longer", longer, 2, Search::BOUND, 3},
                       {"longer_by_block", by_block, 2, Search::BOUND, 3},
                       {"length", length, 2, Search::BOUND, 3},
                       {"state", state, 2, Search::BOUND, 3},
                       {"figures", figures, 2, Search::BOUND, 3},
                   });
}
