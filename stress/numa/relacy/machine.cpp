/* SPDX-License-Identifier: MIT
 *
 * machine.cpp - readers of the snapshot, requests, frees, drains and retirements beside changes:
 * topologies, zones that come and go, ranges that go offline. And the stock of a mempool.
 * White-box.
 */
#include "world/machine.hpp"

#include "numa/compact/hold.h"

namespace
{

/* ---- The snapshot --------------------------------------------------------------------------- */

/* Readers read the snapshot; thread 1 changes the topology `changes` times, and each time ends what
 * was there before. */
class ReaderAndChanges : public InMachine
{
  public:
    explicit ReaderAndChanges(unsigned changes) : changes_(changes)
    {
    }

  private:
    void prepare() override
    {
        leave_free(0, 0);
        leave_free(1, 0);
        open(2);
    }

    void begin() override
    {
        share_guard();
    }

    void thread(unsigned index) override
    {
        struct machine_reader r;

        if (index == 1) {
            for (unsigned i = 0; i < changes_; i++)
                change();
            return;
        }
        qi_machine_enter(machine_, &r);
        qi_machine_leave(&r);
    }

    const unsigned changes_;
};

/* A CPU comes, with the topology that has it: it finds nothing, or what is made. */
class NewCpu : public InMachine
{
    void prepare() override
    {
        leave_free(0, 0);
        leave_free(1, 1);
        open(2);
    }

    void begin() override
    {
        machine_->cpus[CPUS].share();
        machine_->cpu_views[CPUS].share();
        machine_->snapshot.share();
    }

    void thread(unsigned index) override
    {
        if (index == 1) {
            change(ONE_MORE);
            return;
        }
        (void)read(machine_view_of(machine_, CPUS));
        (void)read(machine_cpu_of(machine_, CPUS));
    }

    void finish() override
    {
        left(1);
    }
};

/* Two change the machine: one at a time, and the second one has what the first one did. */
class Locked : public InMachine
{
    void prepare() override
    {
        leave_free(0, 1);
        leave_free(1, 0);
        open(2);
    }

    void begin() override
    {
        machine_->writer.share();
    }

    void thread(unsigned index) override
    {
        (void)index;
        if (!qi_machine_lock(machine_))
            return;
        zone_[0]->hold(0, 1, false); /* what a writer writes */
        zone_[0]->drop(0, 1);
        qi_machine_unlock(machine_);
    }
};

/* ---- Caches of zones ------------------------------------------------------------------------ */

/* CPU 0 moves to node 1 and perhaps back: the cache of zone 0 that it hits goes out of service, and
 * into it again. Meanwhile CPU 0 allocates what is in its magazine there, or frees another frame.
 */
class Moves : public InMachine
{
  public:
    Moves(bool pop, bool back) : pop_(pop), back_(back)
    {
    }

  private:
    void prepare() override
    {
        leave_free(0, 0);
        leave_free(1, 0);
        open(2);
        free(frame(0, 0));
    }

    void begin() override
    {
        share_cache(0, 0);
        share_guard();
        share_views();
        got_ = false;
    }

    void thread(unsigned index) override
    {
        quire_pfn pfn;

        if (index == 1) {
            change(MOVED);
            if (back_)
                change(AS_BUILT);
        } else if (pop_) {
            got_ = alloc(&pfn);
        } else {
            free(frame(0, 1));
        }
    }

    void finish() override
    {
        const struct machine_snapshot *s = qi_machine_snapshot(machine_);

        require(back_ || !s->entries[0].zone_cache, "a cache serves nobody");
        left(pop_ ? !got_ : 2);
    }

    const bool pop_, back_;
    bool got_;
};

/* Zone 1 has a frame in the magazine of each CPU, which both are on its node; then CPU 0 moves
 * away, and another cache takes the place of that one. A request finds the frame of one of the two
 * magazines, wherever the change stands: it has one CPU cache in its hands at a time (Y1). */
class ReplacedAndLastFrames : public InMachine
{
    void prepare() override
    {
        leave_free(0, 0);
        leave_free(1, 0);
        open(2);
        change(MOVED);
        for (uint32_t cpu = 0; cpu < CPUS; cpu++) {
            as_cpu(cpu);
            free(frame(1, cpu));
        }
    }

    void begin() override
    {
        share_cache(1, 0);
        share_cache(1, 1);
        share_guard();
    }

    void thread(unsigned index) override
    {
        quire_pfn pfn;

        if (index == 1)
            change(AS_BUILT);
        else
            require(alloc(&pfn), "refused beside a change that has one CPU cache");
    }

    void finish() override
    {
        left(1);
    }
};

/* The last frame is in the magazine of CPU 1. Both ask for it: one has it. */
class LastFrame : public InMachine
{
    void prepare() override
    {
        leave_free(0, 0);
        leave_free(1, 0);
        open(2);
        as_cpu(1);
        free(frame(1, 0));
    }

    void begin() override
    {
        share_cache(1, 1);
        share_zone(1, MAPS_ONLY);
        got_ = 0;
    }

    void thread(unsigned index) override
    {
        quire_pfn pfn;

        (void)index;
        got_ += alloc(&pfn);
    }

    void finish() override
    {
        require(got_ == 1, "one frame for two, and not just one has it");
        left(0);
    }

    unsigned got_;
};

/* ---- Zones that come and go ----------------------------------------------------------------- */

/* Zone 1 comes, which alone has free frames. Who asks beside it is served, or asked too early. */
class Comes : public InMachine
{
    void prepare() override
    {
        leave_free(0, 0);
        leave_free(1, 2);
        open(1);
    }

    void begin() override
    {
        share_guard();
        share_views();
        there_ = false;
        got_ = 0;
    }

    void thread(unsigned index) override
    {
        quire_pfn pfn;
        bool late;

        if (index == 1) {
            add(1);
            there_ = true;
            return;
        }
        late = there_;
        got_ = alloc(&pfn);
        require(got_ || !late, "refused with a zone that had come");
    }

    void finish() override
    {
        left(2 - got_);
    }

    bool there_;
    unsigned got_;
};

/* Zone 1 leaves, and if it could, another one of its kind takes its place: its caches and their
 * views are bound to that one. Beside it CPU 1, which is local there, allocates a frame of its
 * magazine there, or frees its only one. */
class Rebound : public InMachine
{
  public:
    explicit Rebound(bool pop) : pop_(pop)
    {
    }

  private:
    void prepare() override
    {
        quire_pfn pfn;

        leave_free(0, 0);
        all_free(1);
        all_free(2);
        open(2);
        as_cpu(1);
        require(alloc(&pfn, 1) && alloc(&own_, 1), "no frame of node 1");
        free(pfn);
        if (pop_)
            free(own_);
    }

    void begin() override
    {
        share_cache(1, 1);
        share_guard();
        share_views();
        on(0, 1);
        on(1, 0);
        left_ = false;
    }

    void thread(unsigned index) override
    {
        quire_pfn pfn;

        if (index == 1) {
            left_ = remove(1);
            if (left_)
                add(2);
        } else if (pop_) {
            (void)alloc(&pfn);
        } else {
            free(own_);
        }
    }

    void finish() override
    {
        require(left_ ? is_in_service(2) : is_in_service(1), "no zone is left");
    }

    const bool pop_;
    quire_pfn own_;
    bool left_;
};

/* Zone 1 is to leave, but a frame of it stays in use: after some time that is said. */
class StaysInUse : public InMachine
{
    void prepare() override
    {
        quire_pfn pfn;

        leave_free(0, 0);
        all_free(1);
        open(2);
        require(alloc(&pfn, 1), "no frame of node 1");
    }

    void begin() override
    {
        share_guard();
    }

    void thread(unsigned index) override
    {
        struct machine_reader r;

        if (index == 1) {
            require(!remove(1), "a zone has left with a frame in use");
            return;
        }
        qi_machine_enter(machine_, &r);
        qi_machine_leave(&r);
    }
};

/* A compaction holds a range of zone 1, and has stopped for ever: who is refused is told so. */
class HeldForEver : public InMachine
{
    void prepare() override
    {
        leave_free(0, 0);
        leave_free(1, 0);
        open(2);
        hold_name(&machine_->hold, machine_->compact_ranges, frame(1, 0).n);
        require(hold_begin(&machine_->hold, HUGE_ORDER), "no range can be held");
    }

    void begin() override
    {
        machine_->hold.share();
    }

    void thread(unsigned index) override
    {
        quire_pfn pfn;

        (void)index;
        require(!alloc(&pfn, 1), "there is a frame");
    }
};

/* ---- Ranges --------------------------------------------------------------------------------- */

/* Block 1 of zone 1 goes offline, of which nothing is in use but what the other thread frees, or
 * has in its magazine and allocates: on CPU 1, which is local there, or on CPU 0. */
class Offline : public InMachine
{
  public:
    Offline(uint32_t cpu, bool pop) : InMachine(2), cpu_(cpu), pop_(pop)
    {
    }

  private:
    void prepare() override
    {
        quire_pfn pfn;

        leave_free(0, 0);
        leave_free(1, 0); /* its second block is free */
        open(2);
        as_cpu(cpu_);
        require(alloc(&pfn, 1) && alloc(&own_, 1), "no frame of node 1");
        free(pfn);
        if (pop_)
            free(own_);
    }

    void begin() override
    {
        if (cpu_ == 0)
            share_remote(0, 1, false);
        else
            share_cache(1, 1);
        desc_of(&zone_[1]->z, 1)->share();
        zone_[1]->head.isolating.share();
        zone_[1]->head.isolations[0].share();
        on(0, cpu_);
        on(1, 1 - cpu_);
        got_ = offline_ = false;
    }

    void thread(unsigned index) override
    {
        const struct quire_run run = {frame(1, BLOCK_FRAMES), BLOCK_FRAMES};

        if (index == 0 && pop_) {
            got_ = alloc(&own_, 1) && own_.n - run.pfn.n < run.frames; /* not of zone 0 */
            require(!got_ || !offline_, "a frame of what was offline");
        } else if (index == 0) {
            free(own_);
        } else {
            int error = quire_machine_offline(machine_, run, nullptr, nullptr, nullptr, 0, nullptr);

            require(!error || error == QUIRE_ERR_BUSY, "a range cannot go offline");
            offline_ = !error;
            require(!offline_ || !got_, "a range has gone offline with a frame in use");
        }
    }

    void finish() override
    {
        const struct quire_run run = {frame(1, BLOCK_FRAMES), BLOCK_FRAMES};

        if (offline_)
            require(quire_machine_online(machine_, run) == QUIRE_OK, "a range cannot come back");
    }

    const uint32_t cpu_;
    const bool pop_;
    quire_pfn own_;
    bool got_, offline_;
};

/* ---- Retirement ----------------------------------------------------------------------------- */

/* CPU 0, which has a frame of each node in its magazines, is retired, while it, or another thread
 * on it, makes a call. */
class Retire : public InMachine
{
  public:
    enum Call { ALLOC, FREE, ALLOC_REMOTE, FREE_REMOTE, DRAIN, MAINTAIN, RETIRE };

    explicit Retire(Call call) : call_(call)
    {
    }

  private:
    void prepare() override
    {
        leave_free(0, 1);
        leave_free(1, 1);
        open(2);
        free(frame(0, 1));
        free(frame(1, 1));
    }

    void begin() override
    {
        struct quire_slot_state *s = slot_of(&zone_[0]->z, slot(0));

        share_cache(0, 0);
        share_remote(0, 1, false);
        s->credit.share();
        desc_of(&zone_[0]->z, 0)->share();
        got_ = 0;
        had_ = 4;
    }

    void thread(unsigned index) override
    {
        quire_pfn pfn;

        if (index == 1 || call_ == RETIRE) {
            require(!quire_machine_retire_cpu(machine_, 0), "a CPU cannot be retired");
            return;
        }
        switch (call_) {
        case ALLOC:
        case ALLOC_REMOTE:
            got_ = alloc(&pfn, call_ == ALLOC ? 0 : 1);
            require(got_, "refused with a frame in either zone");
            break;
        case FREE:
        case FREE_REMOTE:
            free(frame(call_ == FREE ? 0 : 1, 2));
            had_++;
            break;
        case DRAIN:
            require(!quire_machine_drain(machine_), "a drain was refused");
            break;
        default:
            (void)quire_machine_maintain(machine_);
        }
    }

    void finish() override
    {
        left(had_ - got_);
    }

    const Call call_;
    unsigned got_, had_;
};

/* ---- Mempools ------------------------------------------------------------------------------- */

/* So many frames, for one taker each or fewer. */
class Stock : public InMachine
{
  public:
    Stock(unsigned frames, unsigned takers) : frames_(frames), takers_(takers)
    {
    }

  private:
    void prepare() override
    {
        leave_free(0, frames_);
        leave_free(1, 0);
        open(2);
    }

    /* An atomic of these tests is larger than one of the product: `left` begins it, and what lies
     * behind is room. */
    void begin() override
    {
        const struct quire_request request = quire_request_of(0, 0);
        void *left = &pool_.left;

        pool_ = {};
        require(!quire_mempool_fill(machine_, &request, frames_, pfns_, &pool_, nullptr),
                "a stock cannot be filled");
        static_cast<qa64 *>(left)->share();
        got_ = 0;
    }

    void thread(unsigned index) override
    {
        quire_pfn pfn;
        (void)index;

        if (quire_mempool_take(&pool_, &pfn) == QUIRE_OK) {
            zone_[0]->hold(frame_of_pfn(&zone_[0]->z, pfn), 1, false);
            got_++;
        }
    }

    void finish() override
    {
        require(got_ == (frames_ < takers_ ? frames_ : takers_), "refused with a frame left");
        require(!quire_mempool_release(machine_, &pool_), "a stock cannot be given back");
        left(frames_ - got_);
    }

    const unsigned frames_, takers_;
    struct quire_mempool pool_;
    quire_pfn pfns_[3];
    unsigned got_;
};

ReaderAndChanges reader_and_change(1), reader_and_changes(2);
NewCpu new_cpu;
Locked locked;
Moves pop_and_move(true, false), push_and_move(false, false), pop_moved_back(true, true),
    push_moved_back(false, true);
ReplacedAndLastFrames replaced_and_last_frames;
LastFrame last_frame;
Comes comes;
Rebound pop_rebound(true), push_rebound(false);
StaysInUse stays_in_use;
HeldForEver held_for_ever;
Offline offline_and_pop(1, true), offline_and_push(1, false), offline_and_remote_pop(0, true),
    offline_and_remote_push(0, false);
Retire retire_and_alloc(Retire::ALLOC), retire_and_free(Retire::FREE),
    retire_and_alloc_remote(Retire::ALLOC_REMOTE), retire_and_free_remote(Retire::FREE_REMOTE),
    retire_and_drain(Retire::DRAIN), retire_and_maintain(Retire::MAINTAIN),
    retire_twice(Retire::RETIRE);
Stock stock_of_one(1, 2), stock_of_three(3, 2), stock_for_three(2, 3);

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"reader_and_change", reader_and_change, 2, Search::FULL, 0},
                       {"reader_and_changes", reader_and_changes, 2, Search::BOUND, 4},
                       {"readers_and_change", reader_and_change, 3, Search::BOUND, 2},
                       {"new_cpu", new_cpu, 2, Search::FULL, 0},
                       {"locked", locked, 2, Search::FULL, 0},
                       {"pop_and_move", pop_and_move, 2, Search::BOUND, 3},
                       {"push_and_move", push_and_move, 2, Search::BOUND, 3},
                       {"pop_moved_back", pop_moved_back, 2, Search::BOUND, 2},
                       {"push_moved_back", push_moved_back, 2, Search::BOUND, 2},
                       {"replaced_and_last_frames", replaced_and_last_frames, 2, Search::BOUND, 2},
                       {"last_frame", last_frame, 2, Search::BOUND, 3},
                       {"comes", comes, 2, Search::BOUND, 3},
                       {"pop_rebound", pop_rebound, 2, Search::BOUND, 2},
                       {"push_rebound", push_rebound, 2, Search::BOUND, 2},
                       {"stays_in_use", stays_in_use, 2, Search::BOUND, 0},
                       {"held_for_ever", held_for_ever, 2, Search::BOUND, 0},
                       {"offline_and_pop", offline_and_pop, 2, Search::BOUND, 2},
                       {"offline_and_push", offline_and_push, 2, Search::BOUND, 2},
                       {"offline_and_remote_pop", offline_and_remote_pop, 2, Search::BOUND, 2},
                       {"offline_and_remote_push", offline_and_remote_push, 2, Search::BOUND, 2},
                       {"retire_and_alloc", retire_and_alloc, 2, Search::BOUND, 2},
                       {"retire_and_free", retire_and_free, 2, Search::BOUND, 3},
                       {"retire_and_alloc_remote", retire_and_alloc_remote, 2, Search::BOUND, 3},
                       {"retire_and_free_remote", retire_and_free_remote, 2, Search::BOUND, 3},
                       {"retire_and_drain", retire_and_drain, 2, Search::BOUND, 2},
                       {"retire_and_maintain", retire_and_maintain, 2, Search::BOUND, 2},
                       {"retire_twice", retire_twice, 2, Search::BOUND, 2},
                       {"stock_of_one", stock_of_one, 2, Search::FULL, 0},
                       {"stock_of_three", stock_of_three, 2, Search::FULL, 0},
                       {"stock_for_three", stock_for_three, 3, Search::FULL, 0},
                   });
}
