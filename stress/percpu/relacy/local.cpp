/* SPDX-License-Identifier: MIT
 *
 * local.cpp - CPU caches in local mode: an owner's hits, refills and overflows, its interrupts,
 * which answer, allocate and free, and other CPUs that ask, by every interleaving. White-box.
 *
 * An unlocked claim is a load and a store here: other CPUs come in between, the CPU's own
 * interrupts do not. In the end no frame is had by two, none is lost, each CPU cache is put back.
 */
#include "world/cases.hpp"

namespace
{

/* In local mode, where an interrupt answers what CPU 1 asks, too. */
class Answering : public Interrupted
{
  public:
    explicit Answering(bool pop) : Interrupted(pop)
    {
        mode_ = QUIRE_CACHE_LOCAL;
    }

  private:
    void interrupt() override
    {
        act_in_the_middle();
        quire_cache_answer(&cache_);
    }
};

/* Local mode: CPU 1 drains a magazine that has a frame, the owner answers; afterwards CPU 1 has the
 * frame, with all that was written to it. Both CPUs ask each other. */
class AskEachOther : public Scarce
{
  public:
    AskEachOther()
    {
        mode_ = QUIRE_CACHE_LOCAL;
    }

  private:
    void prepare() override
    {
        give_but(0);
        fill(0, 0, 1);
        fill(1, 1, 1);
        share(0);
        share(1);
        left_ = 2;
    }

    void thread(unsigned index) override
    {
        (void)index;
        left_ -= alloc() != NO_FRAME; /* its own */
        left_ -= alloc() != NO_FRAME; /* the other's, if that has answered */
    }

    void finish() override
    {
        left(left_);
    }

    unsigned left_;
};

/* CPU 1 closes the cache while CPU 0 frees a block into it, which the answer brings to the zone. If
 * it says that all is out, it is there by then. Blocks are what an answer comes to last: who sees
 * that it has none to bring may find all bits cleared. */
class ClosedInTruth : public Scarce
{
  public:
    ClosedInTruth()
    {
        mode_ = QUIRE_CACHE_LOCAL;
        blocks_ = 2;
    }

  private:
    void prepare() override
    {
        struct cpu_cache *r = cpu_cache_of(&cache_, 0, CACHE_HUGE);

        world->give_whole(0, BLOCK_ORDER);
        byte_set(byte_of_frame(&world->z, 0), byte_of_order(BLOCK_ORDER));
        r->present.share();
        r->count.share();
        r->limit.share();
        views_of(&cache_)[0].asked.share();
        closed_ = false;
        there_ = 0;
    }

    void thread(unsigned index) override
    {
        if (index == 1) {
            closed_ = qi_cache_close(&cache_);
            there_ = quire_zone_free_frames(&world->z);
            return;
        }
        world->drop(0, BLOCK_FRAMES);
        if (!view_push_block(view_of(&cache_, 0), pfn_of_frame(&world->z, 0)))
            world->hold(0, BLOCK_FRAMES, false);
        /* relaxed: a step at which the interrupt may come */
        (void)qa_load(&cpu_cache_of(&cache_, 0, CACHE_HUGE)->limit, relaxed);
    }

    void finish() override
    {
        require(!closed_ || there_ == quire_zone_free_frames(&world->z),
                "a frame came out of a closed cache");
    }

    bool closed_;
    uint64_t there_;
};

Local<HitAndDrain> hit_and_drain;
Local<PushAndDrain> push_and_drain(false), push_outgoing_and_drain(true);
Local<Drains> drains;
Local<RefillAndDrain> refill_and_drain(false);
Local<OverflowAndRefill> overflow_and_refill;
Local<Close> close_and_push(false, false), close_and_pop(true, false), reopen_and_push(false, true),
    close_empty(false, false, 0);
Answering interrupted_pop(true), interrupted_push(false);
AskEachOther ask_each_other;
ClosedInTruth closed_in_truth;

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"hit_and_drain", hit_and_drain, 2, Search::BOUND, 3},
                       {"push_and_drain", push_and_drain, 2, Search::BOUND, 2},
                       {"push_outgoing_and_drain", push_outgoing_and_drain, 2, Search::BOUND, 2},
                       {"drains", drains, 2, Search::RANDOM, 20000},
                       {"refill_and_drain", refill_and_drain, 2, Search::BOUND, 3},
                       {"overflow_and_refill", overflow_and_refill, 2, Search::RANDOM, 20000},
                       {"close_and_push", close_and_push, 2, Search::BOUND, 3},
                       {"close_and_pop", close_and_pop, 2, Search::BOUND, 3},
                       {"reopen_and_push", reopen_and_push, 2, Search::BOUND, 2},
                       {"close_empty", close_empty, 2, Search::BOUND, 4},
                       {"interrupted_pop", interrupted_pop, 2, Search::BOUND, 2},
                       {"interrupted_push", interrupted_push, 2, Search::RANDOM, 50000},
                       {"ask_each_other", ask_each_other, 2, Search::RANDOM, 20000},
                       {"closed_in_truth", closed_in_truth, 2, Search::BOUND, 4},
                   });
}
