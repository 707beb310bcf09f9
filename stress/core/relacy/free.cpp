/* SPDX-License-Identifier: MIT
 *
 * free.cpp - protocol 2: frames and runs back into their block. White-box.
 */
#include "world/world.hpp"

namespace
{

/* A run is freed; who takes the frames makes them a run again, with continuation bits of his own,
 * and frees that. */
class RunHandover : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->give_but(0, at(0, 0, 2), 2);
        world->give(at(0, 0, 2), 2, true);
        world->start(RUN_MAPS);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            world->free(0, at(0, 0, 2), 2);
        else if (world->take(0, 1) != NO_FRAME)
            world->free(1, at(0, 0, 2), 2);
    }
};

/* Two frees of the same run, of which one must fail; `first` and `n` say which run. */
class RacingFrees : public InWorld
{
  public:
    RacingFrees(uint64_t first, uint64_t n) : first_(first), n_(n)
    {
    }

  private:
    void setup() override
    {
        world->make_split(0);
        world->give(0, 1, false);
        world->give(first_, n_, n_ > 1);
        world->start(RUN_MAPS);
        freed_ = 0;
        world->drop(first_, n_);
    }

    void thread(unsigned index) override
    {
        int error = quire_zone_free_contig(&world->z, slot(index), quire_pfn_of(first_), n_);

        freed_ += error == QUIRE_OK;
        require(!error || error == QUIRE_ERR_DOUBLE_FREE || error == QUIRE_ERR_ORDER,
                "not the error of a free that came too late");
    }

    void check() override
    {
        world->verify();
        require(freed_ == 1, "a run was not freed exactly once");
    }

    uint64_t first_, n_;
    unsigned freed_;
};

/* A run is split into single frames while another free of the whole run is tried. */
class SplitAndFree : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->give(0, 1, false);
        world->give(at(0, 0, 2), 2, true);
        world->start(RUN_MAPS);
        done_[0] = done_[1] = false;
    }

    void thread(unsigned index) override
    {
        quire_pfn pfn = quire_pfn_of(at(0, 0, 2));

        if (index == 0)
            done_[0] = quire_zone_split(&world->z, slot(0), pfn, 1) == QUIRE_OK;
        else
            done_[1] = quire_zone_free(&world->z, slot(1), pfn, 1) == QUIRE_OK;
    }

    void check() override
    {
        require(done_[0] != done_[1], "a run was split and freed, or neither");
        world->drop(at(0, 0, 2), 2);
        if (done_[0])
            world->give(at(0, 0, 2), 2, false);
        world->verify();
    }

    bool done_[2];
};

/* Two runs of a word are freed together; who takes frames of them makes them a run again. */
class FlushHandover : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->give_but(0, at(0, 0, 2), 4);
        world->give(at(0, 0, 2), 2, true);
        world->give(at(0, 0, 4), 2, true);
        world->start(RUN_MAPS);
    }

    void thread(unsigned index) override
    {
        if (index == 0) {
            const quire_pfn pfns[] = {quire_pfn_of(at(0, 0, 4)), quire_pfn_of(at(0, 0, 2))};

            world->drop(at(0, 0, 2), 4);
            require(qi_runs_flush(&world->z, slot(0), 1, pfns, 2) == 2, "a good free was refused");
        } else {
            uint64_t frame = world->take(0, 1);

            if (frame != NO_FRAME)
                world->free(1, frame, 2);
        }
    }
};

/* Two runs of a word are freed together, and one of them is freed by somebody else too, who then
 * takes a frame of it. The other one is freed in any case. */
class FlushedTwice : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->give(0, 2, false);
        world->give(at(0, 0, 2), 2, true);
        world->give(at(0, 0, 4), 2, true);
        world->start(RUN_MAPS);
        freed_ = 0;
        world->drop(at(0, 0, 2), 4);
    }

    void thread(unsigned index) override
    {
        const quire_pfn pfns[] = {quire_pfn_of(at(0, 0, 2)), quire_pfn_of(at(0, 0, 4))};
        int error;

        if (index == 0) {
            uint64_t freed = qi_runs_flush(&world->z, slot(0), 1, pfns, 2);

            require(freed == 1 || freed == 2, "a run was lost with its neighbour");
            freed_ += (unsigned)freed;
            return;
        }
        error = quire_zone_free_contig(&world->z, slot(1), pfns[0], 2);
        freed_ += error == QUIRE_OK;
        require(!error || error == QUIRE_ERR_DOUBLE_FREE || error == QUIRE_ERR_ORDER,
                "not the error of a free that came too late");
        if (!error)
            (void)world->take(0, 0);
    }

    void check() override
    {
        world->verify();
        require(freed_ == 2, "a run was not freed exactly once");
    }

    unsigned freed_;
};

/* Runs of two words are freed together, the last run of the block by somebody else: one of the two
 * makes it whole. */
class FlushedWords : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->give(at(0, 0, 2), 2, true);
        world->give(at(0, 1, 2), 2, true);
        world->give(at(0, 1, 8), 2, true);
        world->start(RUN_MAPS);
    }

    void thread(unsigned index) override
    {
        const quire_pfn pfns[] = {quire_pfn_of(at(0, 0, 2)), quire_pfn_of(at(0, 1, 2))};

        if (index == 0) {
            world->drop(at(0, 0, 2), 2);
            world->drop(at(0, 1, 2), 2);
            require(qi_runs_flush(&world->z, slot(0), 1, pfns, 2) == 2, "a good free was refused");
        } else {
            world->free(1, at(0, 1, 8), 2);
        }
    }
};

RunHandover run_handover;
FlushedWords flushed_words;
FlushHandover flush_handover;
FlushedTwice flushed_twice;
RacingFrees frame_twice(at(0, 0, 9), 1), run_twice(at(0, 0, 2), 2), long_run_twice(at(0, 0, 62), 4);
SplitAndFree split_and_free;

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"run_handover", run_handover, 2, Search::BOUND, SMALL ? 6 : 3},
                       {"frame_twice", frame_twice, 2, FULL_IF_SMALL, 3},
                       {"run_twice", run_twice, 2, FULL_IF_SMALL, 3},
                       {"long_run_twice", long_run_twice, 2, Search::BOUND, SMALL ? 5 : 3},
                       {"split_and_free", split_and_free, 2, FULL_IF_SMALL, 3},
                       {"flush_handover", flush_handover, 2, FULL_IF_SMALL, 3},
                       {"flushed_twice", flushed_twice, 2, Search::BOUND, 3},
                       {"flushed_words", flushed_words, 2, Search::BOUND, 3},
                   });
}
