/* SPDX-License-Identifier: MIT
 *
 * caches.cpp - CPU caches in exchange mode: hits, refills, overflows, drains and closing beside
 * each other, by every interleaving; and a thread that stops for ever. White-box.
 *
 * In the end no frame is had by two, none is lost, each CPU cache is put back, and what is refused
 * while a frame could be had is told in each case.
 */
#include "world/cases.hpp"

namespace
{

/* CPU 0 finds the zone short of memory; CPU 1 then that it is not, or opens the cache: the limits
 * that are written last fit the last turn (K5). */
class Turns : public Scarce
{
  public:
    explicit Turns(bool open) : open_(open)
    {
    }

  private:
    enum { LOW = 3, HIGH = 5 };

    void prepare() override
    {
        struct cpu_cache *r = cpu_cache_of(&cache_, 0, CACHE_UNMOVABLE);

        world->z.shard_limit = INT64_MAX;
        world->head.low = LOW;
        world->head.high = HIGH;
        give_but(LOW - 1);
        r->limit.share();
        cache_.state->short_of_memory.share();
    }

    void thread(unsigned index) override
    {
        if (index == 1 && open_) {
            qi_cache_open(&cache_);
            return;
        }
        if (index == 1)
            qa_store(&world->head.total, HIGH, relaxed);
        qi_cache_follow_pressure(&cache_, 0);
    }

    void finish() override
    {
        unsigned limit = qa_load(&cpu_cache_of(&cache_, 0, CACHE_UNMOVABLE)->limit, relaxed);

        require(limit == (qa_load(&cache_.state->short_of_memory, relaxed) ? 0 : ROUNDS),
                "K5: a limit that does not fit the last turn");
    }

    bool is_at_rest() const override
    {
        return false;
    }

    const bool open_;
};

HitAndDrain hit_and_drain;
PushAndDrain push_and_drain(false), push_outgoing_and_drain(true);
DrainAndLastFrames drain_and_last_frames;
Drains drains;
TwoPops two_pops;
OneCpu two_pushes(false), pop_and_push(true);
RefillAndDrain refill_and_drain(false), refill_and_drain_zone(true);
OverflowAndRefill overflow_and_refill;
OtherShard two_refills(true), refill_and_empty_node(false);
TwoOverflows two_overflows;
Stop stopped_hit(Stop::ALLOC, 2), stopped_refill(Stop::ALLOC, 0);
Stop stopped_push(Stop::FREE, 2), stopped_outgoing(Stop::FREE_OUTGOING, 2),
    stopped_overflow(Stop::FREE, 4), stopped_drain(Stop::DRAIN, 4);
Close close_and_push(false, false), close_and_pop(true, false), reopen_and_push(false, true);
Turns turn_and_turn(false), turn_and_open(true);

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"hit_and_drain", hit_and_drain, 2, Search::FULL, 0},
                       {"push_and_drain", push_and_drain, 2, Search::FULL, 0},
                       {"push_outgoing_and_drain", push_outgoing_and_drain, 2, Search::FULL, 0},
                       {"drain_and_last_frames", drain_and_last_frames, 2, Search::BOUND, 4},
                       {"drains", drains, 2, Search::BOUND, 3},
                       {"two_pops", two_pops, 2, Search::BOUND, 5},
                       {"two_pushes", two_pushes, 2, Search::FULL, 0},
                       {"pop_and_push", pop_and_push, 2, Search::BOUND, 4},
                       {"refill_and_drain", refill_and_drain, 2, Search::FULL, 0},
                       {"refill_and_drain_zone", refill_and_drain_zone, 2, Search::BOUND, 3},
                       {"overflow_and_refill", overflow_and_refill, 2, Search::BOUND, 3},
                       {"two_refills", two_refills, 2, Search::BOUND, 3},
                       {"refill_and_empty_node", refill_and_empty_node, 2, Search::BOUND, 4},
                       {"two_overflows", two_overflows, 2, Search::BOUND, 3},
                       {"stopped_hit", stopped_hit, 2, Search::BOUND, 3},
                       {"stopped_refill", stopped_refill, 2, Search::BOUND, 3},
                       {"stopped_push", stopped_push, 2, Search::BOUND, 3},
                       {"stopped_outgoing", stopped_outgoing, 2, Search::BOUND, 3},
                       {"stopped_overflow", stopped_overflow, 2, Search::BOUND, 3},
                       {"stopped_drain", stopped_drain, 2, Search::BOUND, 2},
                       {"close_and_push", close_and_push, 2, Search::FULL, 0},
                       {"close_and_pop", close_and_pop, 2, Search::FULL, 0},
                       {"reopen_and_push", reopen_and_push, 2, Search::FULL, 0},
                       {"turn_and_turn", turn_and_turn, 2, Search::BOUND, 3},
                       {"turn_and_open", turn_and_open, 2, Search::BOUND, 3},
                   });
}
