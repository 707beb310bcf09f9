/* SPDX-License-Identifier: MIT
 *
 * count.cpp - the count: reserve, then pick. White-box.
 */
#include "world/world.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wextra"
#include "core/fastpath.h"
#pragma GCC diagnostic pop

namespace
{

struct Limits {
    uint32_t chunk;
    int64_t shard_limit;
    uint64_t min, low, high;
};

void start(const Limits &limits)
{
    world->z.chunk = limits.chunk;
    world->z.shard_limit = limits.shard_limit;
    world->head.min = limits.min;
    world->head.low = limits.low;
    world->head.high = limits.high;
    world->start(COUNTS);
}

/* A world whose block 0 has `free` free frames, the last ones of word 0. */
void setup_frames(unsigned free, const Limits &limits)
{
    world->make_split(0);
    world->give_but(0, at(0, 0, WORD_BITS - free), free);
    start(limits);
}

/* A frame is freed and credited. Who gets all that is counted through then finds it all: the credit
 * promises the cleared bit, by whatever way it comes. A third thread turns in the slot's credit. */
class CreditPromises : public InWorld
{
  public:
    CreditPromises(unsigned free, const Limits &limits) : free_(free), limits_(limits)
    {
    }

  private:
    void setup() override
    {
        setup_frames(free_, limits_);
    }

    void thread(unsigned index) override
    {
        quire_pfn pfns[WORD_BITS];
        unsigned got;

        if (index == 0) {
            world->free(0, at(0, 1, 1), 1);
            return;
        }
        if (index == 2) {
            qi_count_retire_slot(&world->z, slot(0));
            return;
        }
        if (qi_count_debit(&world->z, slot(1), free_ + 1, QUIRE_EMERGENCY) != QUIRE_OK)
            return;
        got = qi_block_take_many(&world->z, 0, free_ + 1, pfns);
        require(got == free_ + 1, "counted, debited, and not to be found");
        for (unsigned i = 0; i < got; i++)
            world->hold(pfns[i].n, 1, false);
    }

    unsigned free_;
    Limits limits_;
};

/* Two threads want what two idle slots hold in credit together. One gets it: if gatherers kept what
 * they collect in their hands, both could fail. */
class TwoGatherers : public InWorld
{
    void setup() override
    {
        setup_frames(2, {1, 100, 0, 0, 0});
        qa_store(&world->head.total, 0, relaxed);
        for (unsigned i = 2; i < 4; i++)
            qa_store(&slot_of(&world->z, slot(i))->credit, 1, relaxed);
        passed_ = 0;
    }

    void thread(unsigned index) override
    {
        passed_ += qi_count_debit(&world->z, slot(index), 2, QUIRE_EMERGENCY) == QUIRE_OK;
    }

    void check() override
    {
        require(passed_ == 1, "not exactly one debit passed");
        require(quire_zone_free_frames(&world->z) == 0, "the count is wrong");
    }

    unsigned passed_;
};

/* Three frames are free, one of them below the floor; one is in a slot's credit. Of two normal
 * requests for two frames one passes; and nobody gets the frame below the floor. */
class Floor : public InWorld
{
    void setup() override
    {
        setup_frames(3, {1, 100, 1, 1, 1});
        qa_store(&world->head.total, 2, relaxed);
        qa_store(&slot_of(&world->z, slot(2))->credit, 1, relaxed);
        passed_ = 0;
    }

    void thread(unsigned index) override
    {
        passed_ += qi_count_debit(&world->z, slot(index), 2, 0) == QUIRE_OK;
    }

    void check() override
    {
        require(passed_ <= 1, "a debit left less than the floor");
        require(quire_zone_free_frames(&world->z) == 3 - 2 * passed_, "the count is wrong");
    }

    unsigned passed_;
};

/* Slots borrow and repay while somebody turns in their credit. Nothing is lost, nothing is made. */
class BorrowAndRepay : public InWorld
{
    void setup() override
    {
        setup_frames(8, {1, 4, 0, 0, 0});
    }

    void thread(unsigned index) override
    {
        struct quire_zone *z = &world->z;

        if (index == 1) {
            qi_count_retire_slot(z, slot(0));
            return;
        }
        for (unsigned i = 0; i < 2; i++)
            require(qi_count_debit(z, slot(0), 1, 0) == QUIRE_OK, "a false refusal");
        qi_count_credit(z, slot(0), 1, 0);
        qi_count_credit(z, slot(0), 1, 0);
    }
};

/* A slot that two threads use at once, because one of them was moved away in the middle. */
class SharedSlot : public InWorld
{
    void setup() override
    {
        setup_frames(8, {1, 4, 0, 0, 0});
    }

    void thread(unsigned) override
    {
        require(qi_count_debit(&world->z, slot(0), 1, 0) == QUIRE_OK, "a false refusal");
        qi_count_credit(&world->z, slot(0), 1, 0);
    }
};

/* Two debits cross a watermark: it is told once. */
class Crossing : public InWorld
{
    void setup() override
    {
        setup_frames(4, {0, 100, 1, 3, 4});
        world->head.level.share();
    }

    void thread(unsigned index) override
    {
        require(qi_count_debit(&world->z, slot(index), 1, 0) == QUIRE_OK, "a false refusal");
        qi_count_check_watermarks(&world->z, slot(index), 0);
    }

    void check() override
    {
        require(qa_load(&world->head.events[QUIRE_EVENT_LOW], relaxed) == 1,
                "a crossing was not told once");
    }
};

/* A batch that takes what there is, for more frames than there are, while a rival takes `takes` of
 * them, one by one. Some frames are in an idle slot's credit. It gets all that the rival leaves it,
 * however often the number changed between its look and its exchange. */
class Partial : public InWorld
{
  public:
    Partial(unsigned free, unsigned takes) : free_(free), takes_(takes)
    {
    }

  private:
    void setup() override
    {
        setup_frames(free_, {1, 100, 0, 0, 0});
        qa_store(&world->head.total, free_ - 1, relaxed);
        qa_store(&slot_of(&world->z, slot(2))->credit, 1, relaxed);
        got_ = 0;
    }

    void thread(unsigned index) override
    {
        struct quire_zone *z = &world->z;

        if (index == 0) {
            got_ = qi_count_debit_up_to(z, slot(0), WORD_BITS, QUIRE_EMERGENCY);
            return;
        }
        for (unsigned i = 0; i < takes_; i++)
            require(qi_count_debit(z, slot(1), 1, QUIRE_EMERGENCY) == QUIRE_OK || got_ > 0,
                    "a false refusal of a single frame");
    }

    void check() override
    {
        uint64_t left = quire_zone_free_frames(&world->z);

        require(got_ >= free_ - takes_, "what was free for the whole call was not given");
        require(got_ <= free_ && left <= free_ - got_, "the count is wrong");
    }

    unsigned free_, takes_;
    uint64_t got_;
};

/* One frame is free throughout: a thread that was moved from slot to slot frees one into the credit
 * of slot 0, and then takes the one that was in slot 2's, `turns` times. All these calls have
 * looked at the total when it was high (every look does here). A gatherer that passed slot 0
 * before, and slot 2 after, has found none in any; but it is not refused. */
class Circulating : public InWorld
{
  public:
    explicit Circulating(unsigned turns) : turns_(turns)
    {
    }

  private:
    void setup() override
    {
        setup_frames(turns_ + 1, {CHUNK, -1, 0, 0, 0});
        qa_store(&world->head.total, 0, relaxed);
        qa_store(&slot_of(&world->z, slot(2))->credit, 1, relaxed);
    }

    void thread(unsigned index) override
    {
        struct quire_zone *z = &world->z;

        if (index == 0) {
            require(qi_count_debit(z, slot(1), 1, 0) == QUIRE_OK, "a false refusal");
            return;
        }
        for (unsigned i = 0; i < turns_; i++) {
            qi_count_credit(z, slot(i % 2 == 0 ? 0 : 2), 1, 0);
            require(qi_count_debit(z, slot(i % 2 == 0 ? 2 : 0), 1, 0) == QUIRE_OK,
                    "a false refusal of a single frame");
        }
    }

    void check() override
    {
        require(quire_zone_free_frames(&world->z) == 0, "the count is wrong");
    }

    enum { CHUNK = 4 }; /* more than is there, so that nobody borrows */
    unsigned turns_;
};

/* Two frames are freed to the total. A slot borrows a chunk of it, and is given one of them with
 * it; what stays in its credit promises the other one, to a third thread too. */
class Borrowed : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->give(0, WORD_BITS, false);
        world->give(at(0, 1, 0), 2, true);
        world->give(at(0, 1, 2), WORD_BITS - 2, false);
        start({1, -1, 0, 0, 0});
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            world->free(0, at(0, 1, 0), 2);
        else if (qi_count_debit(&world->z, slot(1), 1, QUIRE_EMERGENCY) == QUIRE_OK)
            require(world->take(0, 0) != NO_FRAME, "counted, debited, and not to be found");
    }

    void check() override
    {
    }
};

/* One frame is free, or two. A rival takes one and frees it again while another call stands between
 * its look at the total and its exchange: that exchange succeeds, and promises what is there now.
 */
class TakenAndFreed : public InWorld
{
    void setup() override
    {
        setup_frames(1, {0, 100, 0, 0, 0});
    }

    void thread(unsigned index) override
    {
        uint64_t frame;

        if (qi_count_debit(&world->z, slot(index), 1, QUIRE_EMERGENCY) != QUIRE_OK)
            return;
        frame = world->take(0, 0);
        require(frame != NO_FRAME, "counted, debited, and not to be found");
        if (index == 0)
            world->free(0, frame, 1);
    }

    void check() override
    {
    }
};

/* As Circulating, but what the rival takes it takes from the total: as a part of a chunk that it
 * borrows, or alone. */
class Replaced : public InWorld
{
  public:
    Replaced(uint32_t chunk, unsigned total) : chunk_(chunk), total_(total)
    {
    }

  private:
    void setup() override
    {
        setup_frames(total_ + 1, {chunk_, -1, 0, 0, 0});
        qa_store(&world->head.total, total_, relaxed);
    }

    void thread(unsigned index) override
    {
        struct quire_zone *z = &world->z;

        if (index == 0) {
            require(qi_count_debit(z, slot(1), 1, 0) == QUIRE_OK, "a false refusal");
            return;
        }
        qi_count_credit(z, slot(0), 1, 0);
        (void)qi_count_debit(z, slot(2), 1, 0);
    }

    void check() override
    {
    }

    uint32_t chunk_;
    unsigned total_;
};

/* A slot's credit goes to the total while somebody sums up: it is not counted twice. */
class SummedOnce : public InWorld
{
    void setup() override
    {
        setup_frames(1, {1, -1, 0, 0, 0});
        qa_store(&world->head.total, 0, relaxed);
        qa_store(&slot_of(&world->z, slot(2))->credit, 1, relaxed);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            qi_count_retire_slot(&world->z, slot(2));
        else
            require(quire_zone_free_frames(&world->z) <= 1, "a frame was counted twice");
    }
};

/* Frames are freed, each into the credit, or the last one with what is repaid to the total. Who
 * reads them in the sum, or gets them from the total, finds them. */
class Freed : public InWorld
{
  public:
    Freed(uint32_t chunk, unsigned frees) : chunk_(chunk), frees_(frees)
    {
    }

  private:
    void setup() override
    {
        setup_frames(0, {chunk_, -1, 0, 0, 0});
    }

    void thread(unsigned index) override
    {
        quire_pfn pfns[WORD_BITS];
        unsigned wanted = frees_ > 1 ? frees_ - chunk_ : 1;

        if (index == 0) {
            for (unsigned i = 0; i < frees_; i++)
                world->free(0, at(0, 1, i), 1);
            return;
        }
        if (frees_ > 1 ? qi_count_debit(&world->z, slot(1), wanted, QUIRE_EMERGENCY) == QUIRE_OK
                       : quire_zone_free_frames(&world->z) == 1)
            require(qi_block_take_many(&world->z, 0, wanted, pfns) == wanted,
                    "counted, and not to be found");
    }

    void check() override
    {
    }

    uint32_t chunk_;
    unsigned frees_;
};

/* One frees into the credit of a slot, and another thread of the same slot takes it from there. */
class OwnCredit : public InWorld
{
    void setup() override
    {
        setup_frames(0, {1, -1, 0, 0, 0});
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            world->free(0, at(0, 1, 0), 1);
        else if (qi_count_debit(&world->z, slot(0), 1, QUIRE_EMERGENCY) == QUIRE_OK)
            require(world->take(0, 0) != NO_FRAME, "counted, debited, and not to be found");
    }

    void check() override
    {
    }
};

/* One frees runs into the credit of a slot, a second one, of the same slot, frees one in another
 * block and repays most of it. Who gets that from the total finds it all. */
class RepaidOfOthers : public InWorld
{
  public:
    RepaidOfOthers() : InWorld(2)
    {
    }

  private:
    void setup() override
    {
        for (uint32_t b = 0; b < 2; b++) {
            world->make_split(b);
            for (unsigned i = 0; i < MAP_WORDS; i++) {
                world->give(at(b, i, 0), 2, true);
                world->give(at(b, i, 2), WORD_BITS - 2, false);
            }
        }
        start({2, -1, 0, 0, 0});
    }

    void thread(unsigned index) override
    {
        quire_pfn pfns[4];
        unsigned got;

        if (index == 0) {
            for (unsigned i = 0; i < 2; i++)
                world->free(0, at(0, i, 0), 2);
        } else if (index == 1) {
            world->free(0, at(1, 0, 0), 2);
        } else if (qi_count_debit(&world->z, slot(1), 4, QUIRE_EMERGENCY) == QUIRE_OK) {
            got = qi_block_take_many(&world->z, 1, 4, pfns);
            if (got < 4)
                got += qi_block_take_many(&world->z, 0, 4 - got, pfns);
            require(got == 4, "counted, debited, and not to be found");
        }
    }

    void check() override
    {
    }
};

/* As Circulating, by three: a frame is freed into the credit of slot 0, another one into that of
 * slot 2, which repays; what stays there is taken by somebody else. */
class RepaidAndTaken : public InWorld
{
    void setup() override
    {
        setup_frames(2, {1, -1, 0, 0, 0});
        qa_store(&world->head.total, 0, relaxed);
        qa_store(&slot_of(&world->z, slot(2))->credit, 2, relaxed);
    }

    void thread(unsigned index) override
    {
        struct quire_zone *z = &world->z;

        if (index == 0) {
            require(qi_count_debit(z, slot(1), 1, 0) == QUIRE_OK, "a false refusal");
        } else if (index == 1) {
            qi_count_credit(z, slot(0), 1, 0);
            qi_count_credit(z, slot(2), 1, 0);
        } else {
            (void)credit_take(z, slot(2), 1); /* and nothing from the total */
        }
    }

    void check() override
    {
    }
};

/* Two threads free into one slot's credit, which is as full as it may be: both repay. */
class BothRepay : public InWorld
{
    void setup() override
    {
        setup_frames(2, {1, -1, 0, 0, 0});
        qa_store(&world->head.total, 0, relaxed);
        qa_store(&slot_of(&world->z, slot(0))->credit, 2, relaxed);
    }

    void thread(unsigned index) override
    {
        world->free(0, at(0, 1, index), 1);
    }
};

CreditPromises to_total(0, {0, 0, 0, 0, 0}), to_credit(6, {1, 5, 0, 0, 0});
TwoGatherers two_gatherers;
Floor floor_stays;
BorrowAndRepay borrow_and_repay;
SharedSlot shared_slot;
Crossing crossing;
Partial partial(6, 2);
Circulating moved(1), moved_on(3);
Borrowed borrowed;
TakenAndFreed taken_and_freed;
Replaced replaced(4, 1), replaced_by_chunk(1, 2);
SummedOnce summed_once;
Freed sum_promises(4, 1), repaid(1, 3);
OwnCredit own_credit;
RepaidOfOthers repaid_of_others;
RepaidAndTaken repaid_and_taken;
BothRepay both_repay;

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"to_total", to_total, 2, Search::FULL, 0},
                       {"to_credit", to_credit, 2, Search::FULL, 0},
                       {"turned_in", to_credit, 3, Search::BOUND, 3},
                       {"two_gatherers", two_gatherers, 2, Search::BOUND, 5},
                       {"floor", floor_stays, 2, Search::BOUND, 4},
                       {"floor_of_three", floor_stays, 3, Search::BOUND, 2},
                       {"borrow_and_repay", borrow_and_repay, 2, Search::BOUND, 6},
                       {"shared_slot", shared_slot, 2, Search::FULL, 0},
                       {"crossing", crossing, 2, Search::BOUND, 4},
                       {"partial", partial, 2, Search::BOUND, 4},
                       {"moved", moved, 2, Search::BOUND, 4},
                       {"moved_on", moved_on, 2, Search::BOUND, 3},
                       {"borrowed", borrowed, 2, Search::BOUND, 4},
                       {"borrowed_by_two", borrowed, 3, Search::BOUND, 2},
                       {"taken_and_freed", taken_and_freed, 2, Search::BOUND, 3},
                       {"replaced", replaced, 2, Search::BOUND, 3},
                       {"replaced_by_chunk", replaced_by_chunk, 2, Search::BOUND, 3},
                       {"summed_once", summed_once, 2, Search::FULL, 0},
                       {"sum_promises", sum_promises, 2, Search::BOUND, 4},
                       {"repaid", repaid, 2, Search::BOUND, 3},
                       {"repaid_by_chance", repaid, 2, Search::RANDOM, 5000},
                       {"both_repay", both_repay, 2, Search::BOUND, 4},
                       {"own_credit", own_credit, 2, Search::BOUND, 3},
                       {"repaid_of_others", repaid_of_others, 3, Search::BOUND, 2},
                       {"repaid_and_taken", repaid_and_taken, 3, Search::BOUND, 3},
                   });
}
