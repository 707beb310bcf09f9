/* SPDX-License-Identifier: MIT
 *
 * stop.cpp - lock-freedom: a thread stops for ever before any step of an operation, and the others
 * get their answers all the same. White-box.
 *
 * Block 0 is split and has one frame in use, which thread 0 holds; the blocks 1 and 2 are free.
 * Thread 0 does one operation, up to where it stops. Thread 1 wants what is there whatever thread 0
 * has in its hands: it must get it, and give it back. Afterwards a third one takes all that can be
 * had: nothing that was not touched by the operation may be missing, and nothing is given out
 * twice. Who waits for thread 0 does not end, which the search finds as well.
 */
#include "world/world.hpp"

namespace
{

const uint64_t LAST = WORD_BITS + 1; /* the frame in use, of block 0 */

quire_pfn pfn(uint64_t frame)
{
    return pfn_of_frame(&world->z, frame);
}

/* ---- What thread 0 is in the middle of ------------------------------------------------------- */

void take_frame()
{
    quire_pfn got;

    (void)quire_zone_alloc(&world->z, slot(0), 0, 0, &got);
}

void take_run()
{
    quire_pfn got;

    (void)quire_zone_alloc(&world->z, slot(0), 3, 0, &got);
}

void free_last()
{
    (void)quire_zone_free(&world->z, slot(0), pfn(LAST), 0);
}

void take_block()
{
    quire_pfn got;

    (void)quire_zone_alloc(&world->z, slot(0), BLOCK_ORDER, 0, &got);
}

void take_and_free_block()
{
    quire_pfn got;

    if (!quire_zone_alloc(&world->z, slot(0), BLOCK_ORDER, 0, &got))
        (void)quire_zone_free(&world->z, slot(0), got, BLOCK_ORDER);
}

/* A range that ends in block 1, of which it takes a part. */
void take_range()
{
    uint64_t first = 2 * WORD_BITS - 2;

    if (!qi_range_claim(&world->z, slot(0), first, 4))
        qi_range_publish(&world->z, first, 4, true);
}

void take_home_and_leave()
{
    if (qi_home_take(&world->z, slot(0), CLASS_MOVABLE, 0))
        (void)qi_home_leave(&world->z, desc_owner(slot(0)), 0);
}

void split_block()
{
    if (qi_blocks_claim(&world->z, 1, 0))
        (void)qi_block_split(&world->z, slot(0), 1, D_SPLIT);
}

void reserve()
{
    (void)quire_zone_reserve(&world->z, slot(0), pfn(frame_at(1, 0)), WORD_BITS);
}

void reserve_and_unreserve()
{
    if (!quire_zone_reserve(&world->z, slot(0), pfn(frame_at(1, 0)), BLOCK_FRAMES))
        (void)quire_zone_unreserve(&world->z, slot(0), pfn(frame_at(1, 0)), WORD_BITS);
}

struct quire_isolated_frames held;
struct quire_isolation isolation;

void isolate()
{
    isolation = {};
    (void)quire_zone_isolate(&world->z, slot(0), {pfn(frame_at(1, 0)), BLOCK_FRAMES}, &held,
                             &isolation);
}

void isolate_and_undo()
{
    isolate();
    (void)quire_zone_isolate_undo(&world->z, slot(0), &isolation);
}

void unreserve_word()
{
    (void)quire_zone_unreserve(&world->z, slot(0), pfn(frame_at(1, 0)), WORD_BITS);
}

/* ---- The others ------------------------------------------------------------------------------ */

/* An allocation that must be good, given back. */
template <unsigned order> void take_and_free()
{
    quire_pfn got;

    require(!quire_zone_alloc(&world->z, slot(1), order, 0, &got), "a false refusal");
    world->hold(got.n, 1ull << order, true);
    world->drop(got.n, 1ull << order);
    require(!quire_zone_free(&world->z, slot(1), got, order), "a good free was refused");
}

/* The other word of a block of which thread 0 wants one: BUSY is an answer while he divides it. */
void unreserve_other()
{
    int error = quire_zone_unreserve(&world->z, slot(1), pfn(at(1, 1, 0)), WORD_BITS);

    require(!error || error == QUIRE_ERR_BUSY, "reserved frames were refused");
    for (unsigned i = 0; i < MAP_WORDS; i++)
        world->drop_word(1, i, WORD_FULL);
}

class Stop : public InWorld
{
  public:
    /* `blocks`: how many the operation has in its hands at most. */
    Stop(void (*operation)(), unsigned blocks, void (*other)(), unsigned shared = SECTION_BITS)
        : InWorld(3), operation_(operation), other_(other), blocks_(blocks), shared_(shared)
    {
    }

  private:
    void setup() override
    {
        world->make_split(0);
        world->give(LAST, 1, false);
        if (other_ == unreserve_other)
            world->make_reserved(1, false);
        else
            world->make_free(1);
        world->make_free(2, true);
        world->z.shard_limit = INT64_MAX;
        world->start(shared_);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            (void)up_to_a_stop(operation_);
        else
            other_();
    }

    /* The largest runs first, and so on. Thread 0's own frame is free, or not. */
    void check() override
    {
        uint64_t got = 0;
        quire_pfn run;

        world->drop(LAST, 1);
        for (unsigned order = BLOCK_ORDER + 1; order-- > 0;)
            while (!quire_zone_alloc(&world->z, slot(2), order, QUIRE_EMERGENCY, &run)) {
                world->hold(run.n, 1ull << order, true);
                got += 1ull << order;
            }
        require(got + blocks_ * (uint64_t)BLOCK_FRAMES >= 3 * (uint64_t)BLOCK_FRAMES - 1,
                "more is missing than the stopped operation can have");
    }

    void (*operation_)(), (*other_)();
    unsigned blocks_, shared_;
};

const auto one = take_and_free<0>, whole = take_and_free<BLOCK_ORDER>;
const unsigned pins = SECTION_BITS | PINS;

Stop frame(take_frame, 1, one), run(take_run, 1, one), last(free_last, 1, one);
Stop block(take_block, 1, whole), freed_block(take_and_free_block, 1, whole);
Stop range(take_range, 2, one), home(take_home_and_leave, 1, one), divided(split_block, 1, whole);
Stop reserved(reserve, 1, whole, pins), unreserved(reserve_and_unreserve, 1, whole, pins);
Stop two_unreserved(unreserve_word, 1, unreserve_other, pins);
Stop isolated(isolate, 1, one, LIST), isolated_undo(isolate_and_undo, 1, one, LIST);
Stop hints(free_last, 1, one, SECTION_BITS | HINTS), counts(take_frame, 1, one, COUNTS);

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"frame", frame, 2, Search::BOUND, 2},
                       {"run", run, 2, Search::BOUND, 2},
                       {"last", last, 2, Search::BOUND, 2},
                       {"block", block, 2, Search::BOUND, 2},
                       {"freed_block", freed_block, 2, Search::BOUND, 2},
                       {"range", range, 2, Search::BOUND, 2},
                       {"home", home, 2, Search::BOUND, 2},
                       {"divided", divided, 2, Search::BOUND, 2},
                       {"reserved", reserved, 2, Search::BOUND, 2},
                       {"unreserved", unreserved, 2, Search::BOUND, 2},
                       {"two_unreserved", two_unreserved, 2, Search::BOUND, 2},
                       {"isolated", isolated, 2, Search::BOUND, 2},
                       {"isolated_undo", isolated_undo, 2, Search::BOUND, 2},
                       {"hints", hints, 2, Search::BOUND, 2},
                       {"counts", counts, 2, Search::BOUND, 2},
                   });
}
