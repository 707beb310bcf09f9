/* SPDX-License-Identifier: MIT
 *
 * isolator.hpp - one who isolates block 0 of a world, and keeps the shadow up to date with what his
 * calls show as held; and scenarios in which somebody else is at work meanwhile. White-box.
 */
#ifndef QUIRE_STRESS_CORE_RELACY_ISOLATOR_HPP
#define QUIRE_STRESS_CORE_RELACY_ISOLATOR_HPP

#include "world.hpp"

class Isolator
{
  public:
    void reset()
    {
        iso_ = {};
        known_ = {};
    }

    int begin(unsigned s)
    {
        struct quire_run run = {pfn_of_frame(&world->z, frame_at(0, 0)), BLOCK_FRAMES};
        int error = quire_zone_isolate(&world->z, slot(s), run, &held_, &iso_);

        if (!error)
            learn();
        return error;
    }

    /* How many frames are in the way. */
    uint64_t look(unsigned s)
    {
        uint64_t frames = 0;
        size_t count;

        require(!quire_zone_isolated(&world->z, slot(s), &iso_, nullptr, 0, &count, &frames),
                "a look failed");
        learn();
        return frames;
    }

    void undo(unsigned s)
    {
        for (unsigned i = 0; i < MAP_WORDS; i++)
            world->drop_word(0, i, known_.frames[i]);
        require(!quire_zone_isolate_undo(&world->z, slot(s), &iso_), "an undo failed");
        known_ = {};
    }

    void commit(unsigned s)
    {
        require(!quire_zone_isolate_commit(&world->z, slot(s), &iso_), "a commit failed");
    }

  private:
    void learn()
    {
        for (unsigned i = 0; i < MAP_WORDS; i++) {
            world->hold_word(0, i, held_.frames[i] & ~known_.frames[i]);
            known_.frames[i] = held_.frames[i];
        }
    }

    struct quire_isolation iso_ = {};
    struct quire_isolated_frames held_ = {}, known_ = {};
};

/* What thread 0 does after it has isolated the block. */
enum End { LOOK, UNDO };

/* Thread 1 is what the scenarios differ in. */
class Beside : public InWorld
{
  public:
    explicit Beside(End end, unsigned shared = LIST) : end_(end), shared_(shared)
    {
    }

  protected:
    ~Beside() = default;
    virtual void prepare() = 0;
    virtual uint64_t rival() = 0; /* how many frames of the block it holds in the end */

  private:
    void setup() override
    {
        isolator_.reset();
        left_ = 0;
        prepare();
        world->start(shared_);
    }

    void thread(unsigned index) override
    {
        if (index == 1) {
            left_ = rival();
            return;
        }
        require(isolator_.begin(0) == QUIRE_OK, "nothing was in the way of an isolation");
        if (end_ == UNDO)
            isolator_.undo(0);
        else
            (void)isolator_.look(0);
    }

    void check() override
    {
        world->verify();
        if (end_ == UNDO)
            return;
        require(isolator_.look(0) == left_, "a look does not get what is free");
        world->verify();
        if (left_ == 0)
            isolator_.commit(0);
        else
            isolator_.undo(0);
        world->verify();
    }

    End end_;
    unsigned shared_;
    Isolator isolator_;
    uint64_t left_ = 0;
};

#endif /* QUIRE_STRESS_CORE_RELACY_ISOLATOR_HPP */
