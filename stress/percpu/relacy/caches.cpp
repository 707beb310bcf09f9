/* SPDX-License-Identifier: MIT
 *
 * caches.cpp - CPU caches in exchange mode: hits, refills, overflows, drains and closing beside
 * each other, by every interleaving. White-box.
 *
 * In the end no frame is had by two, none is lost, each CPU cache is put back, and what is refused
 * while a frame could be had is told in each case.
 */
#include "world/caches.hpp"

namespace
{

/* All of the block's frames are held, but for what prepare() puts into magazines. */
class Scarce : public InCaches
{
  protected:
    using InCaches::InCaches;
    ~Scarce() = default;

    void drain()
    {
        require(quire_cache_drain_all(&cache_) == QUIRE_OK, "a drain was refused");
    }

    /* So many frames can be had afterwards, and no more. */
    void left(unsigned n)
    {
        for (unsigned i = 0; i < n; i++)
            require(alloc() != NO_FRAME, "a frame is lost");
        require(alloc() == NO_FRAME, "there is a frame too many");
    }
};

/* Thread 0 allocates what its CPU has in its magazine, the other drains all. */
class HitAndDrain : public Scarce
{
    void prepare() override
    {
        give_but(0);
        fill(0, 0, 1);
        share(0);
        got_ = NO_FRAME;
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            got_ = alloc();
        else
            drain();
    }

    void finish() override
    {
        left(got_ == NO_FRAME);
    }

    uint64_t got_;
};

/* The same with a push, to the loaded or to the outgoing magazine. */
class PushAndDrain : public Scarce
{
  public:
    explicit PushAndDrain(bool outgoing) : outgoing_(outgoing)
    {
    }

  private:
    void prepare() override
    {
        give(0, BLOCK_FRAMES - 1);
        fill(0, 1, 1);
        share(0);
        dense(!outgoing_);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            free(0);
        else
            drain();
    }

    void finish() override
    {
        left(3);
    }

    const bool outgoing_;
};

/* Frames in both CPUs' magazines. A drain has one CPU cache in its hands at a time, so a request
 * finds the frame of the other, wherever the drain stands. */
class DrainAndLastFrames : public Scarce
{
    void prepare() override
    {
        give_but(0);
        fill(0, 0, 1);
        fill(1, 1, 1);
        share(0);
        share(1);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            drain();
        else
            require(alloc() != NO_FRAME, "refused beside a drain that has one CPU cache");
    }

    void finish() override
    {
        left(1);
    }
};

class Drains : public Scarce
{
    void prepare() override
    {
        give_but(0);
        fill(0, 0, 2);
        fill(1, 2, 1);
        share(0);
        share(1);
    }

    void thread(unsigned index) override
    {
        (void)index;
        drain();
    }

    void finish() override
    {
        left(3);
    }
};

/* Two threads on one CPU's cache, as after a migration: one frame, one gets it. */
class TwoPops : public Scarce
{
  public:
    TwoPops() : Scarce(true)
    {
    }

  private:
    void prepare() override
    {
        give_but(0);
        fill(0, 0, 1);
        share(0);
        got_ = 0;
    }

    void thread(unsigned index) override
    {
        (void)index;
        got_ += alloc() != NO_FRAME;
    }

    void finish() override
    {
        require(got_ == 1, "one frame for two, and not just one has it");
        left(0);
    }

    unsigned got_;
};

/* Room for one more, and two push; or a pop beside a push. */
class OneCpu : public Scarce
{
  public:
    explicit OneCpu(bool pop) : Scarce(true, pop), pop_(pop)
    {
    }

  private:
    void prepare() override
    {
        give_but(0);
        fill(0, 2, pop_ ? 1 : ROUNDS - 1);
        share(0);
        left_ = pop_ ? 2 : ROUNDS + 1;
    }

    void thread(unsigned index) override
    {
        if (index == 0 || !pop_)
            free(index);
        else if (alloc() != NO_FRAME)
            left_--;
    }

    void finish() override
    {
        left(left_);
    }

    const bool pop_;
    unsigned left_;
};

/* The zone has frames: CPU 0 fetches half a magazine of them, beside a drain. */
class RefillAndDrain : public Scarce
{
  public:
    explicit RefillAndDrain(bool zone) : Scarce(false, zone)
    {
    }

  private:
    void prepare() override
    {
        give_but(4);
        share(0);
        got_ = NO_FRAME;
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            require(alloc() != NO_FRAME, "refused with frames in the zone");
        else
            drain();
    }

    void finish() override
    {
        left(3);
    }

    uint64_t got_;
};

/* A full magazine overflows into the depot, while another CPU, which has nothing, allocates. */
class OverflowAndRefill : public Scarce
{
  public:
    OverflowAndRefill() : Scarce(false, true)
    {
    }

  private:
    void prepare() override
    {
        give_but(0);
        fill(0, 1, ROUNDS);
        share(0);
        share(1);
        share_depot();
        left_ = ROUNDS + 1;
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            free(0);
        else if (alloc() != NO_FRAME)
            left_--;
    }

    void finish() override
    {
        left(left_);
    }

    unsigned left_;
};

/* The cache goes out of service beside a hit; nothing but hits may be under way then. If it says
 * that all is out, nothing is in a magazine afterwards, and nothing can be pushed. */
class Close : public Scarce
{
  public:
    Close(bool pop, bool open) : pop_(pop), open_(open)
    {
    }

  private:
    void prepare() override
    {
        give_but(0);
        fill(0, 1, 1);
        share(0);
        left_ = pop_ ? 1 : 2;
        closed_ = false;
    }

    void thread(unsigned index) override
    {
        if (index == 1) {
            closed_ = qi_cache_close(&cache_);
            if (open_)
                qi_cache_open(&cache_);
        } else if (pop_) {
            left_ -= hit_pop();
        } else {
            left_ -= !hit_push(0);
        }
    }

    void finish() override
    {
        const struct cpu_cache *r = cpu_cache_of(&cache_, 0, CACHE_UNMOVABLE);
        unsigned limit = qa_load(&r->limit, relaxed);

        require(limit == (open_ ? ROUNDS : 0), "K5: a limit that is not what it was set to");
        require(open_ || !closed_ || cpu_cache_count(r) == 0, "a closed CPU cache has a frame");
        left(left_);
    }

    /* Thread 0, on CPU 0, as the machine's hits. */
    bool hit_pop()
    {
        quire_pfn pfn;

        if (!view_pop(view_of(&cache_, 0), CACHE_UNMOVABLE, 0, &pfn))
            return false;
        world->hold(frame_of_pfn(&world->z, pfn), 1, false);
        return true;
    }

    bool hit_push(uint64_t frame)
    {
        world->drop(frame, 1);
        if (view_push_frame(view_of(&cache_, 0), pfn_of_frame(&world->z, frame)))
            return true;
        world->hold(frame, 1, false);
        return false;
    }

    const bool pop_, open_;
    unsigned left_;
    bool closed_;
};

/* Thread 0, on CPU 0, stops for ever before any step of a call; four frames are in the zone, some
 * in either CPU's magazine. The other CPU gets a frame all the same and gives it back. Then all
 * frames can be had but one CPU cache's, and the one that the call is about. */
class Stop : public Scarce
{
  public:
    enum Call { ALLOC, FREE, FREE_OUTGOING, DRAIN };

    Stop(Call call, unsigned filled) : Scarce(false, true), call_(call), filled_(filled)
    {
    }

  private:
    enum { IN_ZONE = 4 };

    void prepare() override
    {
        const unsigned mine = 2 * ROUNDS; /* the frame that is freed; those below are in caches */

        give(0, mine + 1);
        give(mine + 1 + IN_ZONE, BLOCK_FRAMES - mine - 1 - IN_ZONE);
        fill(0, 0, filled_);
        fill(1, ROUNDS, 2);
        share(0);
        share(1);
        dense(call_ != FREE_OUTGOING);
        if (call_ == FREE || call_ == FREE_OUTGOING)
            world->drop(mine, 1);
    }

    void call()
    {
        quire_pfn pfn;

        if (call_ == ALLOC)
            (void)quire_cache_alloc(&cache_, 0, QUIRE_EMERGENCY, &pfn);
        else if (call_ != DRAIN)
            require(!quire_cache_free(&cache_, pfn_of_frame(&world->z, 2 * ROUNDS), 0),
                    "a good free was refused");
        else
            (void)quire_cache_drain_all(&cache_);
    }

    void thread(unsigned index) override
    {
        uint64_t frame;

        if (index == 0) {
            (void)up_to_a_stop([this] { call(); });
            return;
        }
        frame = alloc();
        require(frame != NO_FRAME, "refused behind a thread that stopped");
        free(frame);
    }

    void finish() override
    {
        unsigned got = 0;

        while (alloc() != NO_FRAME)
            got++;
        require(got + ROUNDS + 1 >= IN_ZONE + filled_ + 2,
                "more is missing than the stopped call can have");
    }

    bool is_at_rest() const override
    {
        return false;
    }

    const Call call_;
    const unsigned filled_;
};

HitAndDrain hit_and_drain;
PushAndDrain push_and_drain(false), push_outgoing_and_drain(true);
DrainAndLastFrames drain_and_last_frames;
Drains drains;
TwoPops two_pops;
OneCpu two_pushes(false), pop_and_push(true);
RefillAndDrain refill_and_drain(false), refill_and_drain_zone(true);
OverflowAndRefill overflow_and_refill;
Stop stopped_hit(Stop::ALLOC, 2), stopped_refill(Stop::ALLOC, 0);
Stop stopped_push(Stop::FREE, 2), stopped_outgoing(Stop::FREE_OUTGOING, 2),
    stopped_overflow(Stop::FREE, 4), stopped_drain(Stop::DRAIN, 4);
Close close_and_push(false, false), close_and_pop(true, false), reopen_and_push(false, true);

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
                       {"stopped_hit", stopped_hit, 2, Search::BOUND, 3},
                       {"stopped_refill", stopped_refill, 2, Search::BOUND, 3},
                       {"stopped_push", stopped_push, 2, Search::BOUND, 3},
                       {"stopped_outgoing", stopped_outgoing, 2, Search::BOUND, 3},
                       {"stopped_overflow", stopped_overflow, 2, Search::BOUND, 3},
                       {"stopped_drain", stopped_drain, 2, Search::BOUND, 2},
                       {"close_and_push", close_and_push, 2, Search::FULL, 0},
                       {"close_and_pop", close_and_pop, 2, Search::FULL, 0},
                       {"reopen_and_push", reopen_and_push, 2, Search::FULL, 0},
                   });
}
