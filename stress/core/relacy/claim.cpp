/* SPDX-License-Identifier: MIT
 *
 * claim.cpp - protocol 5: a given range of frames, across blocks. White-box.
 */
#include "world/world.hpp"

namespace
{

/* A range of a block that became whole just now, with a stale taker beside. The range covers the
 * first word and a part of the second. */
class RangeOfWhole : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->start(MAPS_ONLY);
    }

    void thread(unsigned index) override
    {
        if (index == 0) {
            qi_block_make_whole(&world->z, 0);
            (void)world->take_range(0, at(0, 0, 0), WORD_BITS + 2, true);
        } else if (world->take(0, 0) != NO_FRAME) {
            require(desc_state(world->desc(0)) == D_SPLIT, "a frame of a block that is not split");
        }
    }
};

/* A range of a block that was never split, and one who takes what he can get. */
class RangeOfFresh : public InWorld
{
    void setup() override
    {
        world->make_free(0, true);
        world->start(RUN_MAPS);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            require(world->take_range(0, at(0, 0, 0), WORD_BITS + 2, true),
                    "nobody was in the way");
        else
            (void)world->take(0, 0);
    }
};

/* A range of a split block meets the block's last frame while that is freed. The undo is the last
 * free then, and must look. */
class RangeAndLastFree : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->give(at(0, 1, 1), 1, false);
        world->start(MAPS_ONLY);
    }

    void thread(unsigned index) override
    {
        if (index == 1)
            world->put(at(0, 1, 1));
        else
            (void)world->take_range(0, at(0, 0, 49), 15 + 2, false);
    }
};

/* A range over two blocks meets a rival in the second, who then frees the last frame of the first.
 * Or the range is first, and its blocks are split. */
class RangeOfTwo : public InWorld
{
  public:
    RangeOfTwo() : InWorld(2)
    {
    }

  private:
    void setup() override
    {
        world->make_split(0);
        world->give(at(0, 0, 1), 1, false);
        world->make_free(1);
        world->start(SECTION_BITS);
        got_ = false;
    }

    void thread(unsigned index) override
    {
        if (index == 0) {
            got_ = world->take_range(0, at(1, 0, 0) - 15, 15 + 2, true);
            return;
        }
        {
            OneStep step;
            (void)world->take_whole(1, BLOCK_ORDER);
        }
        world->put(at(0, 0, 1));
    }

    void check() override
    {
        world->verify();
        require(got_ == (desc_state(world->desc(1)) == D_SPLIT), "not what the claim said");
    }

    bool got_;
};

/* A range over two free blocks, and a rival who takes one of them and gives it back. */
class RangeAndWhole : public InWorld
{
  public:
    RangeAndWhole() : InWorld(2)
    {
    }

  private:
    void setup() override
    {
        world->make_free(0);
        world->make_free(1);
        world->start(SECTION_BITS | HINTS);
    }

    void thread(unsigned index) override
    {
        if (index == 0) {
            (void)world->take_range(0, at(1, 0, 0) - 15, 15 + 2, true);
        } else if (world->take_whole(1, BLOCK_ORDER)) {
            world->drop(frame_at(1, 0), BLOCK_FRAMES);
            require(world->put_whole(1, BLOCK_ORDER) == QUIRE_OK, "a good free was refused");
        }
    }
};

/* A run over two blocks is freed by two at once. */
class LongRunTwice : public InWorld
{
  public:
    LongRunTwice() : InWorld(2)
    {
    }

  private:
    void setup() override
    {
        world->make_split(0);
        world->make_split(1);
        world->give(0, 1, false);
        world->give(at(1, 1, 9), 1, false);
        world->give(at(1, 0, 0) - 1, 3, true);
        world->drop(at(1, 0, 0) - 1, 3);
        world->start(RUN_MAPS);
        freed_ = 0;
    }

    void thread(unsigned index) override
    {
        freed_ += quire_zone_free_contig(&world->z, slot(index), quire_pfn_of(at(1, 0, 0) - 1),
                                         3) == QUIRE_OK;
    }

    void check() override
    {
        world->verify();
        require(freed_ == 1, "a run was not freed exactly once");
    }

    unsigned freed_;
};

/* A rival takes a frame and frees it; there are two places for a run of two frames, and he is only
 * at one of them. Who asks for the run must get it, however the race for the first place goes. */
class OtherPlace : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->give_but(0, at(0, 0, 0), 6);
        world->give(at(0, 0, 2), 2, false);
        world->start(MAPS_ONLY);
    }

    void thread(unsigned index) override
    {
        struct quire_contig want = {2, 0, 0, 0, 0, {0}};
        quire_pfn pfn;
        uint64_t frame;

        if (index == 0) {
            require(!quire_zone_alloc_contig(&world->z, slot(0), &want, 0, &pfn),
                    "a false refusal");
            require(!quire_zone_free_contig(&world->z, slot(0), pfn, 2), "a good free was refused");
        } else if ((frame = world->take(0, 0)) != NO_FRAME) {
            world->put(frame);
        }
    }
};

RangeOfWhole range_of_whole;
RangeOfFresh range_of_fresh;
RangeAndLastFree range_and_last_free;
RangeOfTwo range_of_two;
RangeAndWhole range_and_whole;
LongRunTwice long_run_twice;
OtherPlace other_place;

} /* namespace */

int main(int argc, char **argv)
{
    return explore(
        argc, argv,
        {
            {"range_of_fresh", range_of_fresh, 2, FULL_IF_SMALL, 2},
            {"range_and_last_free", range_and_last_free, 2, Search::BOUND, SMALL ? 5 : 2},
            {"range_of_two", range_of_two, 2, Search::BOUND, SMALL ? 4 : 2},
            {"other_place", other_place, 2, Search::BOUND, SMALL ? 4 : 2},
            {"long_run_twice", long_run_twice, 2, Search::BOUND, SMALL ? 5 : 3},
            {"range_of_whole", range_of_whole, 2, FULL_IF_SMALL, 2},
            {"range_and_whole", range_and_whole, 2, FULL_IF_SMALL, 2},
        });
}
