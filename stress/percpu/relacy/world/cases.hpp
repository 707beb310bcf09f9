/* SPDX-License-Identifier: MIT
 *
 * cases.hpp - what two CPUs do to each other's caches, for all modes (caches.cpp, local.cpp,
 * rseq.cpp). White-box.
 */
#ifndef QUIRE_STRESS_PERCPU_RELACY_CASES_HPP
#define QUIRE_STRESS_PERCPU_RELACY_CASES_HPP

#include "caches.hpp"

#include <cstdio>

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

/* CPU 0 allocates or frees, and what interrupts it at any step does so, too; CPU 1 drains all. */
class Interrupted : public Scarce
{
  public:
    explicit Interrupted(bool pop) : pop_(pop)
    {
    }

  protected:
    void prepare() override
    {
        give_but(0);
        fill(0, 2, pop_ ? 1 : ROUNDS - 1);
        share(0);
        left_ = pop_ ? 1 : ROUNDS + 1;
        came_ = false;
    }

    void act_in_the_middle()
    {
        came_ = true;
        act(1);
    }

  private:
    void act(unsigned frame)
    {
        if (!pop_)
            free(frame);
        else if (alloc() != NO_FRAME)
            left_--;
    }

    bool may_interrupt() override
    {
        return thread_now() == 0;
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            act(0);
        else
            drain();
    }

    void finish() override
    {
        if (!pop_ && !came_)
            free(1);
        left(left_);
    }

    const bool pop_;
    unsigned left_;
    bool came_;
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

/* Half a magazine lies in CPU 0's shard of the depot, in the only node, and nothing else is left.
 * CPU 0 allocates; CPU 1 does, too, or overflows and looks for an empty node, which is CPU 0's. */
class OtherShard : public Scarce
{
  public:
    explicit OtherShard(bool refill) : refill_(refill)
    {
    }

  private:
    enum { HALF = ROUNDS / 2, IN_DEPOT = 1 };

    void prepare() override
    {
        give_but(0);
        fill(0, IN_DEPOT, ROUNDS);
        free(0);
        for (unsigned i = 0; i < ROUNDS + 1 - HALF; i++)
            require(alloc() != NO_FRAME, "a hit has nothing");
        if (!refill_)
            fill(1, ROUNDS + 1, ROUNDS);
        share(0);
        share(1);
        share_depot();
        depot_asks_at_once(1);
        left_ = refill_ ? HALF : HALF + ROUNDS + 1;
    }

    void thread(unsigned index) override
    {
        if (index == 1 && !refill_)
            free(2 * ROUNDS + 1);
        else
            got_[index] = alloc() != NO_FRAME;
    }

    void finish() override
    {
        require(got_[0] || (refill_ && got_[1]), "both are refused, and there was half a magazine");
        left(left_ - got_[0] - got_[1]);
    }

    const bool refill_;
    unsigned left_;
    bool got_[THREADS] = {};
};

/* Both CPUs overflow; the only node is CPU 0's, and CPU 1 looks for it. */
class TwoOverflows : public Scarce
{
    void prepare() override
    {
        give_but(0);
        fill(0, CPUS, ROUNDS);
        fill(1, CPUS + ROUNDS, ROUNDS);
        share(0);
        share(1);
        share_depot();
        depot_asks_at_once(1);
    }

    void thread(unsigned index) override
    {
        free(index);
    }

    void finish() override
    {
        left(CPUS * (ROUNDS + 1));
    }
};

/* The cache goes out of service beside a hit; nothing but hits may be under way then. If it says
 * that all is out, nothing is in a magazine afterwards, and nothing can be pushed. */
class Close : public Scarce
{
  public:
    Close(bool pop, bool open, unsigned filled = 1) : pop_(pop), open_(open), filled_(filled)
    {
    }

  private:
    void prepare() override
    {
        give_but(0);
        if (filled_ > 0)
            fill(0, 1, filled_);
        share(0);
        left_ = filled_ + !pop_;
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
    const unsigned filled_; /* rounds in the magazine; without them an answer meets no fence */
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

    void report() override
    {
        printf("    the other's two calls took %u steps, and %u frames were missing, at most\n",
               steps_, missing_);
        steps_ = missing_ = 0;
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
        if (steps_of(1) > steps_)
            steps_ = steps_of(1);
    }

    void finish() override
    {
        const unsigned all = IN_ZONE + filled_ + 2;
        unsigned got = 0;

        while (alloc() != NO_FRAME)
            got++;
        if (got < all && all - got > missing_)
            missing_ = all - got;
        require(got + ROUNDS + 1 >= all, "more is missing than the stopped call can have");
    }

    bool is_at_rest() const override
    {
        return false;
    }

    const Call call_;
    const unsigned filled_;
    unsigned steps_ = 0, missing_ = 0;
};

#endif /* QUIRE_STRESS_PERCPU_RELACY_CASES_HPP */
