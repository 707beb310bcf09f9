/* SPDX-License-Identifier: MIT
 *
 * remote.cpp - remote magazines: what a CPU frees of another node's zone is given, waits, serves
 * its next request for that node, and comes back by drains, beside each other and beside changes.
 * White-box.
 *
 * Node 0 has no free frame. Zone 1 is of node 1, and CPU 0 is not local there. A refusal is true
 * while another call has the magazine; each case says who may be refused.
 */
#include "world/machine.hpp"

namespace
{

/* CPU 0's magazine for node 1 has `waiting` frames, the first ones of zone 1, of which nothing else
 * is free; frames from there on are held. */
class Remote : public InMachine
{
  protected:
    explicit Remote(unsigned waiting, uint32_t blocks = 1) : InMachine(blocks), waiting_(waiting)
    {
    }
    ~Remote() = default;

    void prepare() override
    {
        leave_free(0, 0);
        leave_free(1, 0);
        open(2);
        as_cpu(0);
        for (unsigned i = 0; i < waiting_; i++)
            free(frame(1, i));
        require(cpu_cache_count(remote_cache(remote(0, 1))) == waiting_,
                "frames went by the magazine");
    }

    void drain()
    {
        require(quire_machine_drain(machine_) == QUIRE_OK, "a drain was refused");
    }

    bool alloc_remote()
    {
        quire_pfn pfn;

        return alloc(&pfn, 1);
    }

    const unsigned waiting_;
};

/* CPU 0 asks for what waits there, the other thread drains all. */
class PopAndDrain : public Remote
{
  public:
    PopAndDrain() : Remote(1)
    {
    }

  private:
    void begin() override
    {
        share_remote(0, 1, false);
        got_ = false;
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            got_ = alloc_remote();
        else
            drain();
    }

    void finish() override
    {
        left(!got_);
    }

    bool got_;
};

/* The same with a free. */
class PushAndDrain : public Remote
{
  public:
    explicit PushAndDrain(unsigned waiting) : Remote(waiting)
    {
    }

  private:
    void begin() override
    {
        share_remote(0, 1, false);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            free(frame(1, waiting_));
        else
            drain();
    }

    void finish() override
    {
        left(waiting_ + 1);
    }
};

/* Two threads on CPU 0, as after a migration, or in an interrupt: two pops of the last frame, one
 * of which has it; two frees, for which there is room for one; a pop beside a free. */
class OneCpu : public Remote
{
  public:
    OneCpu(unsigned waiting, unsigned pops) : Remote(waiting), pops_(pops)
    {
    }

  private:
    void begin() override
    {
        on(1, 0);
        share_remote(0, 1, false);
        if (pops_ == 1) /* the frame may pass through the zone */
            share_zone(1, MAPS_ONLY);
        got_ = 0;
    }

    void thread(unsigned index) override
    {
        if (index < pops_)
            got_ += alloc_remote();
        else
            free(frame(1, waiting_ + index));
    }

    void finish() override
    {
        require(pops_ < 2 || got_ == 1, "one frame for two, and not just one has it");
        left(waiting_ + 2 - pops_ - got_);
    }

    const unsigned pops_;
    unsigned got_;
};

/* CPU 0 frees a run of zone 1 while that gets another cache: by which limit the run's block counts
 * as sparse is asked of a cache that is made. */
class RunBesideChange : public Remote
{
  public:
    RunBesideChange() : Remote(0)
    {
    }

  private:
    void prepare() override
    {
        leave_free(0, 0);
        leave_free(1, 4);
        open(2);
        as_cpu(0);
        zone_[1]->z.shard_limit = -1;
        require(alloc(&freed_, 1, 1) && alloc(&own_, 1, 1), "no runs of node 1");
        free(freed_, 1);
    }

    void begin() override
    {
        share_guard();
        share_views();
        machine_entry_of(1)->zone->sparse_limit_at.share();
    }

    const struct machine_entry *machine_entry_of(unsigned entry)
    {
        return &qi_machine_snapshot(machine_)->entries[entry];
    }

    void thread(unsigned index) override
    {
        if (index == 1)
            change(MOVED);
        else
            free(own_, 1);
    }

    void finish() override
    {
        left(4);
    }

    quire_pfn freed_, own_;
};

/* Zone 1 comes, and by the first call for it a magazine of CPU 0 is for it, too: another call there
 * finds a zone that is made. */
class ZoneIsMade : public InMachine
{
  public:
    explicit ZoneIsMade(bool push) : InMachine(push ? 2 : 1), push_(push)
    {
    }

  private:
    void prepare() override
    {
        leave_free(0, push_ ? 1 << ORDER : 0);
        leave_free(1, push_ ? 1 << ORDER : 2);
        open(1);
        require(!push_ || alloc(&own_, 0, ORDER), "no run of node 0");
    }

    void begin() override
    {
        on(1, 0);
        for (unsigned order : {0, (int)ORDER}) {
            remote(0, 1, order)->remote_zone.share();
            remote(0, 1, order)->serving_zone.share();
        }
        share_guard();
        share_views();
        got_ = 0;
    }

    void thread(unsigned index) override
    {
        quire_pfn pfn;

        if (index == 1)
            add(1);
        if (index == 0 && push_)
            free(own_, ORDER); /* its own magazine has no room for such runs */
        else
            got_ += alloc(&pfn, 1, push_ ? ORDER : 0);
    }

    void finish() override
    {
        if (!push_)
            left(2 - got_);
    }

    enum { ORDER = 3 };

    const bool push_;
    quire_pfn own_;

    unsigned got_;
};

/* Two drains of the same magazine, and three at work on it. */
class Drains : public Remote
{
  public:
    Drains() : Remote(2)
    {
    }

  private:
    void begin() override
    {
        share_remote(0, 1, false);
        popped_ = 0;
    }

    void thread(unsigned index) override
    {
        if (index < 2)
            drain();
        else
            popped_ = alloc_remote();
    }

    void finish() override
    {
        left(2 - popped_);
    }

    unsigned popped_;
};

/* CPU 0 pops, or frees one more, or frees without a zone to free to, while the topology changes:
 * what the words say is forgotten when all readers of the old snapshot have left. */
class BesideChange : public Remote
{
  public:
    enum Call { POP, PUSH, SLOW_PUSH };

    explicit BesideChange(Call call, Topology to = AS_BUILT) : Remote(1), call_(call), to_(to)
    {
    }

  private:
    void prepare() override
    {
        Remote::prepare();
        if (call_ == SLOW_PUSH)
            change();
    }

    void begin() override
    {
        share_remote(0, 1);
        share_guard();
        share_views();
        got_ = false;
    }

    void thread(unsigned index) override
    {
        if (index == 1)
            change(to_);
        else if (call_ == POP)
            got_ = alloc_remote();
        else
            free(frame(1, 1));
    }

    void finish() override
    {
        left(call_ == POP ? !got_ : 2);
    }

    const Call call_;
    const Topology to_;
    bool got_;
};

/* Zone 1 leaves, which has nothing in use but the frame that CPU 0 pops or frees. If it has left,
 * another one comes over the same frames, and a frame of that waits in the magazine. */
class Leaves : public InMachine
{
  public:
    enum Call { POP, PUSH, SLOW_PUSH };

    explicit Leaves(Call call) : call_(call)
    {
    }

  private:
    void prepare() override
    {
        quire_pfn pfn;

        leave_free(0, 0);
        all_free(1);
        all_free(2, 1);
        open(2);
        require(alloc(&pfn, 1) && alloc(&own_, 1), "no frame of node 1");
        free(pfn);
        require(cpu_cache_count(remote_cache(remote(0, 1))) == 1, "a frame went by the magazine");
        if (call_ == POP)
            free(own_);
        if (call_ == SLOW_PUSH)
            change();
    }

    void begin() override
    {
        on(1, 0);
        got_ = false;
        share_remote(0, 1);
        share_guard();
        share_views();
        if (call_ == POP) /* a frame may pass through the next zone */
            frame_map(&zone_[2]->z, 0)->w[0].share();
    }

    void thread(unsigned index) override
    {
        quire_pfn pfn;

        if (index == 1) {
            if (!remove(1))
                return;
            add(2);
            require(alloc(&pfn, 1), "refused with a zone that is all free");
            free(pfn);
        } else if (call_ == POP) {
            got_ = alloc(&own_, 1);
        } else {
            free(own_);
        }
    }

    void finish() override
    {
        require(is_in_service(1) || is_in_service(2), "no zone is left");
        if (got_)
            free(own_);
    }

    const Call call_;
    quire_pfn own_;
    bool got_;
};

/* Zone 1 comes. A drain that reads the snapshot of before keeps the change waiting; meanwhile a
 * frame of the zone is freed into the magazine that the drain looks at: it stays there (V3). */
class NewerFrame : public InMachine
{
    void prepare() override
    {
        leave_free(0, 0);
        all_free(1);
        open(1);
    }

    void begin() override
    {
        on(2, 0);
        share_remote(0, 1, false);
        machine_->snapshot.share();
        machine_->phase.share();
        for (uint32_t cpu = 0; cpu < CPUS; cpu++)
            for (unsigned phase = 0; phase < 2; phase++)
                machine_cpu_of(machine_, cpu)->leaves[phase].share();
        share_views();
    }

    void thread(unsigned index) override
    {
        quire_pfn pfn;

        if (index == 0)
            require(quire_machine_drain(machine_) == QUIRE_OK, "a drain was refused");
        else if (index == 1)
            add(1);
        else if (alloc(&pfn, 1))
            free(pfn);
    }
};

PopAndDrain pop_and_drain;
PushAndDrain push_and_drain(1), overflow_and_drain(REMOTE_ROUNDS);
OneCpu two_pops(1, 2), two_pushes(REMOTE_ROUNDS - 1, 0), pop_and_push(1, 1);
Drains drains;
RunBesideChange run_and_change;
ZoneIsMade serving_is_made(false), remote_is_made(true);
BesideChange pop_and_change(BesideChange::POP), push_and_change(BesideChange::PUSH),
    slow_push_and_change(BesideChange::SLOW_PUSH),
    slow_push_and_move(BesideChange::SLOW_PUSH, InMachine::MOVED);
Leaves pop_and_next(Leaves::POP), push_and_next(Leaves::PUSH),
    slow_push_and_next(Leaves::SLOW_PUSH);
NewerFrame newer_frame;

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"pop_and_drain", pop_and_drain, 2, Search::FULL, 0},
                       {"push_and_drain", push_and_drain, 2, Search::FULL, 0},
                       {"overflow_and_drain", overflow_and_drain, 2, Search::FULL, 0},
                       {"two_pops", two_pops, 2, Search::BOUND, 4},
                       {"two_pushes", two_pushes, 2, Search::FULL, 0},
                       {"pop_and_push", pop_and_push, 2, Search::BOUND, 4},
                       {"drains", drains, 2, Search::FULL, 0},
                       {"drains_and_pop", drains, 3, Search::BOUND, 2},
                       {"run_and_change", run_and_change, 2, Search::BOUND, 2},
                       {"serving_is_made", serving_is_made, 2, Search::BOUND, 1},
                       {"remote_is_made", remote_is_made, 2, Search::BOUND, 1},
                       {"pop_and_change", pop_and_change, 2, Search::BOUND, 2},
                       {"push_and_change", push_and_change, 2, Search::BOUND, 3},
                       {"slow_push_and_change", slow_push_and_change, 2, Search::BOUND, 2},
                       {"slow_push_and_move", slow_push_and_move, 2, Search::BOUND, 2},
                       {"pop_and_next", pop_and_next, 2, Search::BOUND, 2},
                       {"push_and_next", push_and_next, 2, Search::BOUND, 2},
                       {"slow_push_and_next", slow_push_and_next, 2, Search::BOUND, 2},
                       {"newer_frame", newer_frame, 3, Search::BOUND, 2},
                   });
}
