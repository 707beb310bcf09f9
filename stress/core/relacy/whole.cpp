/* SPDX-License-Identifier: MIT
 *
 * whole.cpp - protocol 3: a block that became wholly free goes back to its section. White-box.
 *
 * In nearly all of them the last frames of block 0 are freed while something else goes on, and the
 * block must be its section's in the end: verify() calls anything else a lost free.
 */
#include "world/world.hpp"

namespace
{

/* The last frame in each of the first `n` words is held. */
void hold_one_a_word(unsigned n)
{
    world->make_split(0);
    for (unsigned i = 0; i < n; i++)
        world->give(at(0, i, 1), 1, false);
}

/* Each thread frees the last frame of a word. */
class LastFrees : public InWorld
{
  public:
    explicit LastFrees(unsigned threads) : threads_(threads)
    {
    }

  private:
    void setup() override
    {
        hold_one_a_word(threads_);
        world->start(SECTION_BITS);
    }

    void thread(unsigned index) override
    {
        world->put(at(0, index, 1));
    }

    unsigned threads_;
};

/* Which calls of a rival are explored inside; the others are one step each. */
enum Fine { NOTHING, TAKES, PUTS, ALL };

/* The last free, and one who takes a frame and gives it back, `rounds` times. Bounding by a
 * number how often the block is looked at loses the block when the rival has one round more. */
class TakerBeside : public InWorld
{
  public:
    TakerBeside(unsigned rounds, Fine fine) : rounds_(rounds), fine_(fine)
    {
    }

  private:
    void setup() override
    {
        hold_one_a_word(1);
        world->start(MAPS_ONLY);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            world->put(at(0, 0, 1));
        else
            for (unsigned i = 0; i < rounds_; i++)
                round();
    }

    void round()
    {
        uint64_t frame;

        {
            OneStep step(fine_ == NOTHING || fine_ == PUTS);
            frame = world->take(0, 0);
        }
        if (frame != NO_FRAME) {
            OneStep step(fine_ == NOTHING || fine_ == TAKES);
            world->put(frame);
        }
    }

    unsigned rounds_;
    Fine fine_;
};

/* The last free, and a slot that makes the block its home and leaves it again. */
class HomeBeside : public InWorld
{
  public:
    explicit HomeBeside(Fine fine) : fine_(fine)
    {
    }

  private:
    void setup() override
    {
        hold_one_a_word(1);
        world->start(MAPS_ONLY);
    }

    void thread(unsigned index) override
    {
        bool home;

        if (index == 0) {
            world->put(at(0, 0, 1));
            return;
        }
        {
            OneStep step(fine_ == PUTS);
            home = qi_home_take(&world->z, slot(1), CLASS_MOVABLE, 0);
        }
        if (home) {
            OneStep step(fine_ == TAKES);
            require(qi_home_leave(&world->z, desc_owner(slot(1)), 0), "a home was lost");
        }
    }

    Fine fine_;
};

/* The last free, and the recovery of large requests that looks at the same block. */
class RecoveryBeside : public InWorld
{
    void setup() override
    {
        hold_one_a_word(1);
        world->start(MAPS_ONLY);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            world->put(at(0, 0, 1));
        else
            qi_zone_force_whole(&world->z, slot(1));
    }
};

/* The last frames of a home: its owner keeps it, and nobody waits for it. */
class Home : public InWorld
{
    void setup() override
    {
        hold_one_a_word(2);
        world->make_split(0, desc_owner(slot(0)));
        world->start(SECTION_BITS);
    }

    void thread(unsigned index) override
    {
        world->put(at(0, index, 1));
    }

    void check() override
    {
        world->verify();
        require(world->desc(0) == (D_SPLIT | desc_owner(slot(0))), "a home was converted");
    }
};

/* A free frame is freed once more while the last one is freed. The bad free may meet the words that
 * are held while the block is made whole, and seem to succeed; then the damage is seen when the
 * block is split. */
class DoubleFree : public InWorld
{
    void setup() override
    {
        hold_one_a_word(2);
        world->drop(at(0, 0, 1), 1);
        (void)qa_and(&frame_map(&world->z, 0)->w[0], 0, relaxed);
        world->start(MAPS_ONLY);
        error_ = QUIRE_OK;
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            world->put(at(0, 1, 1));
        else
            error_ = quire_zone_free(&world->z, slot(1), pfn_of_frame(&world->z, at(0, 0, 1)), 0);
    }

    void check() override
    {
        bool sound;

        require(desc_state(world->desc(0)) == D_FREE, "the last free was lost");
        if (error_ != QUIRE_OK) {
            require(error_ == QUIRE_ERR_DOUBLE_FREE, "not the error of a double free");
            world->verify();
            return;
        }
        require(qi_blocks_claim(&world->z, 0, 0), "the block cannot be claimed");
        sound = qi_block_verify_map(&world->z, slot(0), 0);
        require(!sound && desc_state(world->desc(0)) == D_WITHDRAWN, "damage was not seen");
        require(quire_zone_free_frames(&world->z) == 0, "the damaged block is still counted");
    }

    int error_;
};

/* A block is opened, nobody takes a frame of it, and another one makes it whole and gets it. What
 * was written before it was opened, the bytes of its frames, comes before what is written then. The
 * payloads stand for the bytes. */
class OpenedAndTaken : public InWorld
{
    void setup() override
    {
        world->make_free(0, true);
        world->start(SECTION_BITS);
    }

    void thread(unsigned index) override
    {
        if (index == 1) {
            qi_block_force_whole(&world->z, slot(1), 0);
            (void)world->take_whole(0, BLOCK_ORDER);
            return;
        }
        if (!qi_blocks_claim(&world->z, 0, 0))
            return;
        world->hold(0, 1, false);
        world->drop(0, 1);
        qi_block_publish_split(&world->z, 0, D_SPLIT, 0, 0);
        qi_block_force_whole(&world->z, slot(0), 0);
    }
};

const unsigned threads = SMALL ? 2 : 3;

LastFrees two_last_frees(2), last_frees(threads);
TakerBeside taking(1, TAKES), putting(1, PUTS), taker(1, ALL);
TakerBeside takers(2, ALL);
TakerBeside steady_taker(2, NOTHING), stubborn_taker(3, NOTHING);
HomeBeside home_taking(TAKES), home_leaving(PUTS), find_home_same_word(ALL);
RecoveryBeside recovery_beside;
Home idle_home;
DoubleFree double_free;
OpenedAndTaken opened_and_taken;

} /* namespace */

int main(int argc, char **argv)
{
    return explore(
        argc, argv,
        {
            {"taking", taking, 2, FULL_IF_SMALL, 2},
            {"putting", putting, 2, Search::BOUND, SMALL ? 6 : 2},
            {"taker", taker, 2, Search::BOUND, SMALL ? 6 : 2},
            {"steady_taker", steady_taker, 2, FULL_OR_RANDOM, 50000},
            {"stubborn_taker", stubborn_taker, 2, FULL_OR_RANDOM, 50000},
            {"takers_at_random", takers, 3, Search::RANDOM, 30000},
            {"home_taking", home_taking, 2, FULL_IF_SMALL, 2},
            {"home_leaving", home_leaving, 2, Search::BOUND, SMALL ? 5 : 2},
            {"find_home_same_word", find_home_same_word, 2, Search::BOUND, SMALL ? 5 : 2},
            {"recovery_beside", recovery_beside, 2, FULL_IF_SMALL, 2},
            {"idle_home", idle_home, 2, FULL_IF_SMALL, 2},
            {"double_free", double_free, 2, Search::BOUND, SMALL ? 5 : 2},
            {"opened_and_taken", opened_and_taken, 2, Search::BOUND, SMALL ? 4 : 2},
            {"more_last_frees", last_frees, threads, Search::BOUND, 2},
            {"two_last_frees", two_last_frees, 2, Search::BOUND, SMALL ? 5 : 2},
        });
}
