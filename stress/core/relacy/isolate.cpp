/* SPDX-License-Identifier: MIT
 *
 * isolate.cpp - protocol 8: a block is isolated while somebody else is at work in it. White-box.
 *
 * Thread 0 isolates block 0 and looks once more, or undoes it. What its calls show as held it holds
 * in the shadow, so sweeping what somebody has, and taking what is held, fail at once; verify()
 * finds a block that does not follow the list (I6), a lost last free and a wrong count. Where the
 * isolation goes on, a last look without a rival must get everything that the rival does not hold.
 */
#include "world/isolator.hpp"

namespace
{

/* The last frame of the block is freed. */
class LastFree : public Beside
{
    using Beside::Beside;

    void prepare() override
    {
        world->make_split(0);
        world->give(at(0, 1, 1), 1, false);
    }

    uint64_t rival() override
    {
        world->put(at(0, 1, 1));
        return 0;
    }
};

/* A frame is taken, by one whose home the block may have been, and freed by the public call: it
 * must be a good free whatever the descriptor says by then. */
class Taker : public Beside
{
  public:
    Taker(End end, bool keep) : Beside(end), keep_(keep)
    {
    }

  private:
    void prepare() override
    {
        world->make_split(0, desc_owner(slot(1)));
        world->give(at(0, 1, 0), WORD_BITS, false);
        world->drop(at(0, 1, 0), WORD_BITS);
        (void)qa_and(&frame_map(&world->z, 0)->w[1], 0, relaxed);
    }

    uint64_t rival() override
    {
        uint64_t frame = world->take(0, 0);

        if (frame == NO_FRAME || keep_)
            return frame != NO_FRAME;
        world->free(1, frame, 1);
        return 0;
    }

    bool keep_;
};

/* The block is wholly free, and protocol 3 is about to make it whole. */
class Settling : public Beside
{
    using Beside::Beside;

    void prepare() override
    {
        world->make_split(0);
    }

    uint64_t rival() override
    {
        qi_block_force_whole(&world->z, slot(1), 0);
        return 0;
    }
};

/* The block is made a home, and left. */
class Home : public Beside
{
    using Beside::Beside;

    void prepare() override
    {
        world->make_split(0);
        world->give(at(0, 0, 1), 1, false);
    }

    uint64_t rival() override
    {
        if (qi_home_take(&world->z, slot(1), CLASS_MOVABLE, 0))
            (void)qi_home_leave(&world->z, desc_owner(slot(1)), 0);
        return 1;
    }
};

/* A whole block is allocated, and freed. */
class Whole : public Beside
{
  public:
    Whole(End end, bool fresh) : Beside(end, LIST | SECTION_BITS), fresh_(fresh)
    {
    }

  private:
    void prepare() override
    {
        world->make_free(0, fresh_);
    }

    uint64_t rival() override
    {
        if (world->take_whole(0, BLOCK_ORDER)) {
            world->drop(frame_at(0, 0), BLOCK_FRAMES);
            require(world->put_whole(0, BLOCK_ORDER) == QUIRE_OK, "a good free was refused");
        }
        return 0;
    }

    bool fresh_;
};

/* A whole block is claimed and split for single frames. */
class Split : public Beside
{
  public:
    Split(End end, bool fresh) : Beside(end, LIST | SECTION_BITS), fresh_(fresh)
    {
    }

  private:
    void prepare() override
    {
        world->make_free(0, fresh_);
    }

    uint64_t rival() override
    {
        if (qi_blocks_claim(&world->z, 0, 0) &&
            qi_block_split(&world->z, slot(1), 0, desc_home(slot(1), CLASS_MOVABLE)))
            (void)qi_home_leave(&world->z, desc_owner(slot(1)), 0);
        return 0;
    }

    bool fresh_;
};

/* A range of a whole block is claimed. */
class Range : public Beside
{
  public:
    Range(End end, bool fresh) : Beside(end, LIST | SECTION_BITS), fresh_(fresh)
    {
    }

  private:
    void prepare() override
    {
        world->make_free(0, fresh_);
    }

    uint64_t rival() override
    {
        return world->take_range(1, at(0, 0, 0), 3, true) ? 3 : 0;
    }

    bool fresh_;
};

/* The owner of a whole block turns it into frames. */
class Demotion : public Beside
{
    using Beside::Beside;

    void prepare() override
    {
        world->give_whole(0, BLOCK_ORDER);
    }

    uint64_t rival() override
    {
        require(quire_zone_split(&world->z, slot(1), pfn_of_frame(&world->z, 0), BLOCK_ORDER) ==
                    QUIRE_OK,
                "the owner could not split his block");
        return BLOCK_FRAMES;
    }
};

/* The owner of all frames tries to make them a block, while it may be isolated. */
class Joining : public Beside
{
    using Beside::Beside;

    void prepare() override
    {
        world->make_split(0);
        world->give(frame_at(0, 0), BLOCK_FRAMES, false);
    }

    uint64_t rival() override
    {
        int error = quire_zone_join(&world->z, slot(1), pfn_of_frame(&world->z, 0));

        require(error == QUIRE_OK || error == QUIRE_ERR_BUSY, "a join failed otherwise");
        return BLOCK_FRAMES;
    }
};

/* Runs of two words, and their rollback (not with two words a line, where they are blocks). */
class Words : public Beside
{
    using Beside::Beside;

    void prepare() override
    {
        world->make_split(0);
        world->give(at(0, MAP_WORDS - 1, 9), 1, false);
    }

    uint64_t rival() override
    {
        return 1 + (world->take(0, WORD_ORDER + 1) != NO_FRAME ? 2 * WORD_BITS : 0);
    }
};

/* Two isolate the same block: at most one at a time, and none is left in the end. */
class Two : public InWorld
{
    void setup() override
    {
        world->make_free(0);
        world->start(LIST);
        holders_ = 0;
        for (Isolator &i : isolators_)
            i.reset();
    }

    void thread(unsigned index) override
    {
        int error = isolators_[index].begin(index);

        require(error == QUIRE_OK || error == QUIRE_ERR_BUSY, "an isolation failed otherwise");
        if (error)
            return;
        require(++holders_ == 1, "two hold the same block isolated");
        (void)world->desc(0); /* a step */
        holders_--;
        isolators_[index].undo(index);
    }

    void check() override
    {
        world->verify();
        require(desc_state(world->desc(0)) == D_FREE, "the block is not free again");
    }

    Isolator isolators_[2];
    unsigned holders_ = 0;
};

/* Each isolates block 0; the first of them another block before, which he gives up: the list has
 * room again where the second one has looked already. */
class TwoAfterAnother : public InWorld
{
  public:
    TwoAfterAnother() : InWorld(2)
    {
    }

  private:
    void setup() override
    {
        for (uint32_t b = 0; b < 2; b++)
            world->make_free(b);
        world->start(LIST);
        isolation_ = {};
        require(!isolate(1, &held_[2], &isolation_), "a free block cannot be isolated");
        holders_ = 0;
    }

    static int isolate(uint32_t b, struct quire_isolated_frames *held,
                       struct quire_isolation *isolation)
    {
        return quire_zone_isolate(&world->z, slot(0), {quire_pfn_of(frame_at(b, 0)), BLOCK_FRAMES},
                                  held, isolation);
    }

    void thread(unsigned index) override
    {
        struct quire_isolation isolation = {};

        if (index == 0)
            require(!quire_zone_isolate_undo(&world->z, slot(0), &isolation_), "an undo failed");
        if (isolate(0, &held_[index], &isolation))
            return;
        require(++holders_ == 1, "two hold the same block isolated");
        (void)world->desc(0); /* a step */
        holders_--;
        require(!quire_zone_isolate_undo(&world->z, slot(0), &isolation), "an undo failed");
    }

    void check() override
    {
        world->verify();
    }

    struct quire_isolation isolation_;
    struct quire_isolated_frames held_[3];
    unsigned holders_;
};

/* The owner of a whole block, whose map is all zeros, frees it and claims it again, which opens it
 * for the isolation that came meanwhile. Who sweeps it has what the owner wrote. */
class Opened : public Beside
{
  public:
    Opened() : Beside(LOOK, LIST | SECTION_BITS)
    {
    }

  private:
    void prepare() override
    {
        world->give_whole(0, BLOCK_ORDER);
        for (unsigned i = 0; i < MAP_WORDS; i++)
            qa_store(&frame_map(&world->z, 0)->w[i], 0, relaxed);
    }

    uint64_t rival() override
    {
        world->drop(0, BLOCK_FRAMES);
        require(world->put_whole(0, BLOCK_ORDER) == QUIRE_OK, "a good free was refused");
        return world->take_whole(0, BLOCK_ORDER) ? BLOCK_FRAMES : 0;
    }
};

LastFree last_free(LOOK), last_free_undo(UNDO);
Taker taker(LOOK, true), taker_frees(LOOK, false), taker_undo(UNDO, false);
Settling settling(LOOK), settling_undo(UNDO);
Home home(LOOK), home_undo(UNDO);
Whole whole(LOOK, false), whole_undo(UNDO, false), whole_fresh(UNDO, true);
Split split(LOOK, false), split_undo(UNDO, false), split_fresh(LOOK, true);
Range range(LOOK, false), range_undo(UNDO, false), range_fresh(LOOK, true);
Demotion demotion(LOOK), demotion_undo(UNDO);
Joining joining(LOOK), joining_undo(UNDO);
Words words(LOOK), words_undo(UNDO);
Two two;
TwoAfterAnother two_after_another;
Opened opened;

const unsigned depth = SMALL ? 3 : 2;

} /* namespace */

int main(int argc, char **argv)
{
    const Scenario *unused = &words;

    (void)unused;
    return explore(argc, argv, {
        {"last_free", last_free, 2, Search::BOUND, depth},
            {"last_free_undo", last_free_undo, 2, Search::BOUND, depth},
            {"taker", taker, 2, Search::BOUND, depth},
            {"taker_frees", taker_frees, 2, Search::BOUND, depth},
            {"taker_undo", taker_undo, 2, Search::BOUND, depth},
            {"settling", settling, 2, Search::BOUND, depth},
            {"settling_undo", settling_undo, 2, Search::BOUND, depth},
            {"home", home, 2, Search::BOUND, depth},
            {"home_undo", home_undo, 2, Search::BOUND, depth},
            {"whole", whole, 2, Search::BOUND, depth},
            {"whole_undo", whole_undo, 2, Search::BOUND, depth},
            {"whole_fresh", whole_fresh, 2, Search::BOUND, depth},
            {"split", split, 2, Search::BOUND, depth},
            {"split_undo", split_undo, 2, Search::BOUND, depth},
            {"split_fresh", split_fresh, 2, Search::BOUND, depth},
            {"range", range, 2, Search::BOUND, depth},
            {"range_undo", range_undo, 2, Search::BOUND, depth},
            {"range_fresh", range_fresh, 2, Search::BOUND, depth},
            {"demotion", demotion, 2, Search::BOUND, depth},
            {"demotion_undo", demotion_undo, 2, Search::BOUND, depth},
            {"joining", joining, 2, Search::BOUND, depth},
            {"joining_undo", joining_undo, 2, Search::BOUND, depth},
#if QUIRE_MAP_WORDS > 2
            {"words", words, 2, Search::BOUND, depth},
            {"words_undo", words_undo, 2, Search::BOUND, depth},
#endif
            {"two", two, 2, Search::BOUND, SMALL ? 2 : 1},
            {"two_after_another", two_after_another, 2, Search::BOUND, SMALL ? 2 : 1},
            {"opened", opened, 2, Search::BOUND, 2},
    });
}
