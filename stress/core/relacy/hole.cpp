/* SPDX-License-Identifier: MIT
 *
 * hole.cpp - protocol 7, the hole byte: a run whose free has returned is found at once by the last
 * pass of a search, which reads the byte alone, and is known to be nowhere never. White-box.
 *
 * Block 0 has every second frame in use, and its hole byte promises more than there is. Thread 0
 * completes a run, or opens a block, and takes the run by such a pass; the others lower the byte
 * meanwhile, make the block a home block, complete another run, or stop in the middle. verify()
 * looks at H4 of layout.h afterwards.
 */
#include "world/world.hpp"

namespace
{

using Step = void (*)();

const unsigned PROMISED = 3;

void promise(unsigned hole)
{
    qa_store(hole_of(&world->z, 0), (uint8_t)hole, relaxed);
    qa_store(sparse_of(&world->z, 0), (uint8_t)hole, relaxed);
}

void every_second()
{
    world->make_split(0);
    for (unsigned i = 0; i < BLOCK_FRAMES; i += 2)
        world->give(frame_at(0, i), 1, false);
}

void one_left()
{
    world->make_split(0);
    world->give(at(0, 0, 2), 1, false);
}

void nothing_split()
{
    world->make_free(0);
}

/* ---- How a run appears ---- */

void free_one()
{
    world->put(at(0, 0, 2));
}

void free_another()
{
    world->put(at(0, 0, 4));
}

void split()
{
    require(qi_blocks_claim(&world->z, 0, 0), "a free block was not to be had");
    require(qi_block_split(&world->z, slot(0), 0, D_SPLIT), "a good block was withdrawn");
}

void free_last_and_split()
{
    free_one();
    split();
}

/* ---- What others do to the byte ---- */

void lower()
{
    qi_hint_hole_lower(&world->z, 0);
}

void lower_or_stop()
{
    (void)up_to_a_stop(lower);
}

void find_full()
{
    qi_hint_block_full(&world->z, 0);
}

void be_home()
{
    if (qi_home_take(&world->z, slot(1), CLASS_MOVABLE, 0))
        (void)qi_home_leave(&world->z, desc_owner(slot(1)), 0);
}

class FoundAtOnce : public InWorld
{
  public:
    FoundAtOnce(Step prepare, Step appear, Step second, Step third = nullptr)
        : prepare_(prepare), appear_(appear), second_(second), third_(third)
    {
    }

  private:
    void setup() override
    {
        prepare_();
        world->start(HOLES | (appear_ == free_one ? 0u : SECTION_BITS));
        promise(PROMISED);
    }

    void thread(unsigned index) override
    {
        uint64_t frame = NO_FRAME;

        if (index > 0) {
            (index == 1 ? second_ : third_)();
            return;
        }
        appear_();
        require(qi_take_from_any(&world->z, slot(0), 1, false, &frame), "a run was not seen");
        world->hold(frame, 2, true);
        (void)qa_sub(&world->head.total, 2, relaxed);
    }

    /* The section's byte is raised last, so who stops may leave that undone. */
    void check() override
    {
        if (second_ != lower_or_stop)
            world->verify();
    }

    const Step prepare_, appear_, second_, third_;
};

/* Thread 1 looks for a pair and finds none, so that all others are refused at once; the others
 * complete one, each by itself, or lower the byte. */
class Refused : public InWorld
{
  public:
    explicit Refused(Step third = nullptr) : third_(third)
    {
    }

  private:
    void setup() override
    {
        every_second();
        promise(1);
        world->start(HOLES | WATCH);
        frame_ = NO_FRAME;
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            free_one();
        else if (index == 2)
            third_();
        else
            refuse();
    }

    void refuse()
    {
        uint64_t armed = qi_watch_arm(&world->z, 1);

        if (!qi_take_from_any(&world->z, slot(1), 1, false, &frame_))
            (void)qi_watch_know(&world->z, 1, armed);
    }

    void check() override
    {
        unsigned free;

        if (frame_ != NO_FRAME) {
            world->hold(frame_, 2, true);
            (void)qa_sub(&world->head.total, 2, relaxed);
        }
        require(qi_map_hole(frame_map(&world->z, 0), &free) < 2 || !qi_watch_is_known(&world->z, 1),
                "a free pair is known to be nowhere");
        world->verify();
    }

    const Step third_;
    uint64_t frame_ = NO_FRAME;
};

/* Thread 2 opens a block as a home block. Thread 0 takes a frame of it and frees it, and finds that
 * the byte shows all: from then on no pair is known to be nowhere, whether or not thread 2 has come
 * to its fence. Thread 1 asks for a pair. */
class RefusedAtHome : public InWorld
{
    void setup() override
    {
        fences_apart();
        nothing_split();
        require(qi_blocks_claim(&world->z, 0, 0), "a free block was not to be had");
        world->start(HOLES | WATCH);
        (void)qa_add(&world->head.total, BLOCK_FRAMES, relaxed);
        frame_ = NO_FRAME;
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            take_and_free();
        else if (index == 1)
            refuse();
        else
            (void)qi_block_split(&world->z, slot(0), 0, desc_home(slot(1), CLASS_MOVABLE));
    }

    static void take_and_free()
    {
        uint64_t frame = world->take(0, 0);

        if (frame == NO_FRAME)
            return;
        world->put(frame);
        require(!qi_watch_is_known(&world->z, 1), "a freed pair is known to be nowhere");
    }

    void refuse()
    {
        uint64_t armed = qi_watch_arm(&world->z, 1);

        if (!qi_take_from_any(&world->z, slot(2), 1, false, &frame_))
            (void)qi_watch_know(&world->z, 1, armed);
    }

    void check() override
    {
        if (frame_ != NO_FRAME) {
            world->hold(frame_, 2, true);
            (void)qa_sub(&world->head.total, 2, relaxed);
        }
        world->verify();
    }

    uint64_t frame_ = NO_FRAME;
};

FoundAtOnce lowered(every_second, free_one, lower), full(every_second, free_one, find_full),
    home(every_second, free_one, be_home), stopped(every_second, free_one, lower_or_stop),
    lowered_twice(every_second, free_one, lower, lower),
    two_frees(every_second, free_one, lower, free_another), opened(nothing_split, split, lower),
    closed(one_left, free_last_and_split, lower);
Refused refused, refused_behind(free_another), refused_lowered(lower);
RefusedAtHome refused_at_home;

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"lowered", lowered, 2, Search::BOUND, 5},
                       {"full", full, 2, Search::BOUND, 4},
                       {"home", home, 2, Search::BOUND, 3},
                       {"stopped", stopped, 2, Search::BOUND, 3},
                       {"lowered_twice", lowered_twice, 3, Search::BOUND, 3},
                       {"two_frees", two_frees, 3, Search::BOUND, 3},
                       {"opened", opened, 2, Search::BOUND, 4},
                       {"closed", closed, 2, Search::BOUND, 3},
                       {"refused", refused, 2, Search::BOUND, 4},
                       {"refused_behind", refused_behind, 3, Search::BOUND, 3},
                       {"refused_lowered", refused_lowered, 3, Search::BOUND, 3},
                       {"refused_at_home", refused_at_home, 3, Search::BOUND, 2},
                   });
}
