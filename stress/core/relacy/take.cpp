/* SPDX-License-Identifier: MIT
 *
 * take.cpp - protocol 1: frames out of one block. White-box.
 */
#include "world/world.hpp"

namespace
{

/* A frame goes from hand to hand: what its last holder wrote is there for the next. */
class Handover : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->give_but(0, at(0, 1, 63), 1);
        world->give(at(0, 1, 63), 1, false);
        world->start(RUN_MAPS);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            world->put(at(0, 1, 63));
        else if (world->take(0, 0) != NO_FRAME)
            world->put(at(0, 1, 63));
    }
};

/* Two frames are free, in two words, and each thread takes what it can get. */
class Takers : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->give_but(0, at(0, 0, 63), 2);
        world->start(MAPS_ONLY);
        taken_ = 0;
    }

    void thread(unsigned) override
    {
        for (unsigned i = 0; i < 2; i++)
            taken_ += world->take(0, 0) != NO_FRAME;
    }

    void check() override
    {
        world->verify();
        require(taken_ == 2, "a free frame was not found");
    }

    unsigned taken_;
};

/* One takes a run, the other a single frame, and then the next in the same word. */
class RunAndFrames : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->give_but(0, at(0, 0, 2), 3);
        world->start(RUN_MAPS);
    }

    void thread(unsigned index) override
    {
        (void)world->take(0, index == 0);
        if (index == 1)
            (void)world->take(0, 1);
    }
};

/* Two batches. */
class Batches : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->give_but(0, at(0, 0, 61), 5);
        world->start(MAPS_ONLY);
        taken_ = 0;
    }

    void thread(unsigned) override
    {
        quire_pfn pfns[3];
        unsigned got = qi_block_take_many(&world->z, 0, 3, pfns);

        for (unsigned i = 0; i < got; i++)
            world->hold(pfns[i].n, 1, false);
        qa_store(&world->head.total, qa_load(&world->head.total, relaxed) - got, relaxed);
        taken_ += got;
    }

    void check() override
    {
        world->verify();
        require(taken_ == 5, "a free frame was not found");
    }

    unsigned taken_;
};

/* Two batches of runs, where three runs are free. */
class RunBatches : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->give_but(0, at(0, 0, 62), 6);
        world->start(RUN_MAPS);
        taken_ = 0;
    }

    void thread(unsigned) override
    {
        quire_pfn pfns[2];
        unsigned got = qi_block_take_runs(&world->z, 0, 1, 2, pfns);

        for (unsigned i = 0; i < got; i++)
            world->hold(pfns[i].n, 2, true);
        qa_store(&world->head.total, qa_load(&world->head.total, relaxed) - 2 * got, relaxed);
        taken_ += got;
    }

    void check() override
    {
        world->verify();
        require(taken_ == 3, "a free run was not found");
    }

    unsigned taken_;
};

/* A run of the last two words meets a rival, who takes one of them and then frees all that is held
 * in the block. The undo must look again, or the last free is lost. */
class WordsAndLastFree : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        for (unsigned i = 0; i < MAP_WORDS - 2; i++)
            world->give(at(0, i, 1), 1, false);
        world->start(MAPS_ONLY);
    }

    void thread(unsigned index) override
    {
        uint64_t frame;

        if (index == 0) {
            frame = world->take(0, WORD_ORDER + 1);
            if (frame != NO_FRAME)
                world->free(0, frame, 2 * WORD_BITS);
            return;
        }
        {
            OneStep step;

            frame = world->take(0, WORD_ORDER);
        }
        for (unsigned i = 0; i < MAP_WORDS - 2; i++) {
            OneStep step;

            world->put(at(0, i, 1));
        }
        if (frame != NO_FRAME)
            world->free(1, frame, WORD_BITS);
    }
};

/* Two runs of whole words. */
class TwoRuns : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->give(at(0, 0, 0), 1, false);
        world->start(HINTS);
    }

    void thread(unsigned index) override
    {
        (void)world->take(0, MAP_WORDS == 4 ? WORD_ORDER + 1 : WORD_ORDER + 1 + index);
    }
};

Handover handover;
Takers takers;
RunAndFrames run_and_frames;
Batches batches;
RunBatches run_batches;
WordsAndLastFree words_and_last_free;
TwoRuns two_runs;

} /* namespace */

int main(int argc, char **argv)
{
    if (SMALL)
        return explore(argc, argv,
                       {
                           {"handover", handover, 2, Search::FULL, 0},
                           {"takers", takers, 2, Search::FULL, 0},
                           {"run_and_frames", run_and_frames, 2, Search::FULL, 0},
                           {"batches", batches, 2, Search::FULL, 0},
                           {"run_batches", run_batches, 2, Search::FULL, 0},
                       });
    return explore(argc, argv,
                   {
                       {"handover", handover, 2, Search::BOUND, 3},
                       {"takers", takers, 3, Search::BOUND, 2},
                       {"batches", batches, 3, Search::BOUND, 1},
                       {"run_batches", run_batches, 3, Search::BOUND, 1},
                       {"words_and_last_free", words_and_last_free, 2, Search::BOUND,
                        MAP_WORDS == 4 ? 3u : 1u},
                       {"two_runs", two_runs, 2, Search::BOUND, 2},
                   });
}
