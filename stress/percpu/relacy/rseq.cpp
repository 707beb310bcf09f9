/* SPDX-License-Identifier: MIT
 *
 * rseq.cpp - CPU caches in rseq mode: sections, which sections.hpp models, beside drains from other
 * CPUs, which detach, restart, steal and let back; refills, overflows, closing; threads that share
 * a CPU, that move, or stop for ever; a kernel that restarts sections as it likes, or refuses to.
 * White-box.
 *
 * In the end no frame is had by two, none is lost, each CPU cache is put back, and what is refused
 * while a frame could be had is told in each case.
 */
#include "world/cases.hpp"
#include "world/sections.hpp"

namespace
{

template <class Case> class Rseq : public Case
{
  public:
    template <class... Of>
    explicit Rseq(const SectionEvents &events, Of... of) : Case(of...), events_(events)
    {
        this->mode_ = QUIRE_CACHE_RSEQ;
    }

  private:
    void at_step() override
    {
        sections_at_step();
    }

    void none_runs(uint32_t cpu) override
    {
        sections_outside(cpu);
    }

    void threads_start(const uint32_t cpus[]) override
    {
        sections_start(cpus, events_);
    }

    const SectionEvents events_;
};

/* CPU 0 allocates what it has, or frees, while two drain it at once from CPU 1. */
class TwoDrainers : public Scarce
{
  public:
    explicit TwoDrainers(bool pop) : pop_(pop)
    {
    }

  private:
    void prepare() override
    {
        give_but(0);
        fill(0, 1, 1);
        share(0);
        left_ = 1;
    }

    uint32_t first_cpu_of(unsigned thread) const override
    {
        return thread > 0;
    }

    void thread(unsigned index) override
    {
        if (index > 0) {
            require(quire_cache_drain(&cache_, 0) == QUIRE_OK, "a drain was refused");
        } else if (pop_) {
            left_ -= alloc() != NO_FRAME;
        } else {
            free(0);
            left_++;
        }
    }

    void finish() override
    {
        left(left_);
    }

    const bool pop_;
    unsigned left_;
};

/* Two threads on CPU 0, whose magazine is empty, allocate, each with a refill if it may; one of
 * them is moved to CPU 1 before any of its steps. */
class Moved : public Scarce
{
  public:
    explicit Moved(unsigned filled) : Scarce(true), filled_(filled)
    {
    }

  private:
    enum { IN_ZONE = 3 };

    void prepare() override
    {
        give(0, filled_);
        give(filled_ + IN_ZONE, BLOCK_FRAMES - filled_ - IN_ZONE);
        fill(0, 0, filled_);
        share(0);
        share(1);
    }

    void thread(unsigned index) override
    {
        (void)index;
        require(alloc() != NO_FRAME, "refused with frames in the zone");
    }

    void finish() override
    {
        left(filled_ + IN_ZONE - 2);
    }

    const unsigned filled_;
};

/* What interrupts is a signal handler. */
class Signalled : public Interrupted
{
  public:
    explicit Signalled(bool pop) : Interrupted(pop)
    {
    }

  private:
    void prepare() override
    {
        Interrupted::prepare();
        interrupts(1);
    }

    void interrupt() override
    {
        sections_interrupted();
        act_in_the_middle();
    }
};

const SectionEvents NONE = {0, 0, 0}, RESTARTED = {1, 0, 0}, MOVED = {0, 1, 0}, REFUSED = {0, 0, 1};

Rseq<HitAndDrain> hit_and_drain(RESTARTED), hit_and_drain_refused(REFUSED);
Rseq<PushAndDrain> push_and_drain(RESTARTED, false), push_outgoing_and_drain(RESTARTED, true);
Rseq<DrainAndLastFrames> drain_and_last_frames(RESTARTED);
Rseq<Drains> drains(NONE);
Rseq<TwoDrainers> two_drainers_and_pop(NONE, true), two_drainers_and_push(NONE, false),
    two_drainers_refused(REFUSED, true);
Rseq<TwoPops> two_pops(RESTARTED);
Rseq<OneCpu> two_pushes(RESTARTED, false), pop_and_push(NONE, true);
Rseq<RefillAndDrain> refill_and_drain(RESTARTED, false), refill_and_drain_zone(NONE, true);
Rseq<OverflowAndRefill> overflow_and_refill(NONE);
Rseq<Moved> moved_refills(MOVED, 0u), moved_hits(MOVED, 1u);
Rseq<Signalled> signalled_pop(NONE, true), signalled_push(NONE, false);
Rseq<Close> close_and_push(RESTARTED, false, false), close_and_pop(NONE, true, false),
    reopen_and_push(NONE, false, true), close_refused(REFUSED, false, false);
Rseq<Stop> stopped_hit(NONE, Stop::ALLOC, 2u), stopped_refill(NONE, Stop::ALLOC, 0u),
    stopped_push(NONE, Stop::FREE, 2u), stopped_outgoing(NONE, Stop::FREE_OUTGOING, 2u),
    stopped_overflow(NONE, Stop::FREE, 4u), stopped_drain(NONE, Stop::DRAIN, 4u);

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"hit_and_drain", hit_and_drain, 2, Search::BOUND, 3},
                       {"hit_and_drain_refused", hit_and_drain_refused, 2, Search::BOUND, 3},
                       {"push_and_drain", push_and_drain, 2, Search::BOUND, 3},
                       {"push_outgoing_and_drain", push_outgoing_and_drain, 2, Search::BOUND, 3},
                       {"drain_and_last_frames", drain_and_last_frames, 2, Search::BOUND, 2},
                       {"drains", drains, 2, Search::BOUND, 2},
                       {"two_drainers_and_pop", two_drainers_and_pop, 3, Search::BOUND, 2},
                       {"two_drainers_and_push", two_drainers_and_push, 3, Search::BOUND, 2},
                       {"two_drainers_refused", two_drainers_refused, 3, Search::BOUND, 1},
                       {"two_pops", two_pops, 2, Search::BOUND, 3},
                       {"two_pushes", two_pushes, 2, Search::BOUND, 3},
                       {"pop_and_push", pop_and_push, 2, Search::BOUND, 3},
                       {"refill_and_drain", refill_and_drain, 2, Search::BOUND, 3},
                       {"refill_and_drain_zone", refill_and_drain_zone, 2, Search::BOUND, 2},
                       {"overflow_and_refill", overflow_and_refill, 2, Search::BOUND, 2},
                       {"moved_refills", moved_refills, 2, Search::BOUND, 2},
                       {"moved_hits", moved_hits, 2, Search::BOUND, 2},
                       {"signalled_pop", signalled_pop, 2, Search::RANDOM, 20000},
                       {"signalled_push", signalled_push, 2, Search::BOUND, 1},
                       {"stopped_hit", stopped_hit, 2, Search::BOUND, 2},
                       {"stopped_refill", stopped_refill, 2, Search::BOUND, 2},
                       {"stopped_push", stopped_push, 2, Search::BOUND, 2},
                       {"stopped_outgoing", stopped_outgoing, 2, Search::BOUND, 2},
                       {"stopped_overflow", stopped_overflow, 2, Search::BOUND, 2},
                       {"stopped_drain", stopped_drain, 2, Search::BOUND, 1},
                       {"close_and_push", close_and_push, 2, Search::BOUND, 4},
                       {"close_and_pop", close_and_pop, 2, Search::BOUND, 4},
                       {"reopen_and_push", reopen_and_push, 2, Search::BOUND, 4},
                       {"close_refused", close_refused, 2, Search::BOUND, 3},
                   });
}
