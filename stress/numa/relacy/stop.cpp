/* SPDX-License-Identifier: MIT
 *
 * stop.cpp - a thread stops for ever before any step of a call of the machine, and the others get
 * true answers all the same: in so many steps, which is printed, and with no more frames missing
 * than the headers say. White-box.
 *
 * Each zone has free frames, and there are some in the magazines of each CPU: in that of its own
 * zone, and in the one for the other's. Thread 0 makes its call, on CPU 0, up to where it stops.
 * Thread 1, on the same CPU or on the other one, allocates until it is refused, and frees all. No
 * call waits, which the search finds as a loop without an end; and a refusal is true: what may be
 * missing then is what include/quire/cache.h and machine.h say, one CPU cache or one remote
 * magazine, and what the call is about. A zone that is leaving is missing as well, and so is a
 * range that goes offline. Changes wait for readers, so none is made beside a call that stops.
 */
#include "world/machine.hpp"

#include <cstdio>

namespace
{

enum {
    IN_ZONE = 1,
    WAITING = 2, /* in each magazine */
    HELD = 8,    /* by the threads, of each zone, from frame FIRST_HELD on */
    FIRST_HELD = IN_ZONE,
    FIRST_WAITING = FIRST_HELD + HELD, /* the others are held for ever */
    KINDS_OF_MAGAZINES = 2,
    ALL = InMachine::NODES * (IN_ZONE + KINDS_OF_MAGAZINES * WAITING),
    BATCH_FRAMES = 3,
    MOST_MISSING = 3 * InMachine::ROUNDS / 2, /* a CPU cache; a remote magazine has fewer here */
};

class Stop : public InMachine
{
  public:
    enum Call {
        ALLOC,
        ALLOC_EMPTY, /* with nothing in its magazine: a refill */
        FREE,
        FREE_FULL, /* with a full one: a flush */
        ALLOC_REMOTE,
        FREE_REMOTE,
        BATCH,
        FREE_BATCH,
        DRAIN,
        DRAIN_CPU,
        RETIRE,
        MAINTAIN,
        REFUSED, /* more than there is */
        CHANGE,
        LEAVE,
        OFFLINE,
    };

    explicit Stop(Call call, bool same_cpu = false)
        : InMachine(call == OFFLINE ? 2 : 1), call_(call), same_cpu_(same_cpu)
    {
    }

    void report() override
    {
        printf(
            "    a call of the other's took at most %u steps, and %u frames were missing at most\n",
            steps_, missing_);
        steps_ = missing_ = 0;
    }

  private:
    /* Frames that thread 0, thread 1 and prepare() free, each their own. */
    quire_pfn own(unsigned zone, unsigned n) const
    {
        return frame(zone, FIRST_HELD + n);
    }

    void prepare() override
    {
        leave_free(0, IN_ZONE);
        leave_free(1, IN_ZONE);
        open(2);
        for (uint32_t cpu = 0; cpu < CPUS; cpu++)
            for (unsigned zone = 0; zone < NODES; zone++) {
                as_cpu(cpu);
                for (unsigned i = 0; i < WAITING; i++)
                    free(frame(zone, FIRST_WAITING + cpu * WAITING + i));
            }
        all_ = ALL + (call_ == OFFLINE ? NODES * BLOCK_FRAMES : 0);
        as_cpu(0);
        if (call_ == ALLOC_EMPTY)
            (void)quire_machine_drain_cpu(machine_, 0);
        for (unsigned i = 0; call_ == FREE_FULL && i < ROUNDS - WAITING; i++, all_++)
            free(frame(0, FIRST_WAITING + CPUS * WAITING + i));
    }

    void begin() override
    {
        share_cache(0, 0);
        share_remote(0, 1, false);
        if (call_ >= CHANGE) {
            share_guard();
            share_views();
        }
        if (same_cpu_)
            on(1, 0);
        if (call_ == FREE || call_ == FREE_FULL)
            zone_[0]->drop(FIRST_HELD, 1);
        if (call_ == FREE_REMOTE)
            zone_[1]->drop(FIRST_HELD, 1);
        if (call_ == FREE_BATCH)
            for (unsigned zone = 0; zone < NODES; zone++)
                zone_[zone]->drop(FIRST_HELD, 2);
    }

    void request(unsigned frames, int node)
    {
        struct quire_request request = quire_request_of(0, 0);
        quire_pfn pfns[BLOCK_FRAMES];
        size_t got;

        if (node != ANYWHERE)
            request.near_node = quire_near_of(quire_node_of((uint32_t)node));
        if (frames == 1)
            (void)quire_machine_request(machine_, &request, pfns, nullptr);
        else
            (void)quire_machine_alloc_batch(machine_, &request, frames, pfns, &got, nullptr);
    }

    void call()
    {
        const struct quire_run run = {frame(1, BLOCK_FRAMES), BLOCK_FRAMES};
        const quire_pfn batch[] = {own(0, 0), own(1, 0), own(0, 1), own(1, 1)};

        switch (call_) {
        case ALLOC:
        case ALLOC_EMPTY:
            request(1, ANYWHERE);
            break;
        case FREE:
        case FREE_FULL:
            (void)quire_machine_free(machine_, own(0, 0), 0);
            break;
        case ALLOC_REMOTE:
            request(1, 1);
            break;
        case FREE_REMOTE:
            (void)quire_machine_free(machine_, own(1, 0), 0);
            break;
        case BATCH:
            request(BATCH_FRAMES, ANYWHERE);
            break;
        case FREE_BATCH:
            (void)quire_machine_free_batch(machine_, batch, 4, nullptr);
            break;
        case DRAIN:
            (void)quire_machine_drain(machine_);
            break;
        case DRAIN_CPU:
            (void)quire_machine_drain_cpu(machine_, 0);
            break;
        case RETIRE:
            (void)quire_machine_retire_cpu(machine_, 0);
            break;
        case MAINTAIN:
            (void)quire_machine_maintain(machine_);
            break;
        case REFUSED:
            request(BLOCK_FRAMES, ANYWHERE);
            break;
        case CHANGE:
            (void)quire_machine_set_topology(machine_, topology(MOVED));
            break;
        case LEAVE:
            (void)quire_machine_remove_zone(machine_, &zone_[1]->z);
            break;
        default:
            (void)quire_machine_offline(machine_, run, nullptr, nullptr, nullptr, 0, nullptr);
        }
    }

    void thread(unsigned index) override
    {
        unsigned got = 0, frames = 0;
        quire_pfn pfns[2 * ALL];

        if (index == 0) {
            (void)up_to_a_stop([this] { call(); });
            return;
        }
        for (unsigned order = call_ == OFFLINE ? BLOCK_ORDER : 0;;) {
            unsigned before = steps_of(1);
            bool served = alloc(&pfns[got], ANYWHERE, order);

            if (steps_of(1) - before > steps_)
                steps_ = steps_of(1) - before;
            frames += served ? 1u << order : 0;
            got += served && order == 0;
            if (!served && order == 0)
                break;
            order = served ? order : 0;
        }
        if (frames < all_ && all_ - frames > missing_)
            missing_ = all_ - frames;
        require(frames + most_missing() >= all_, "more is missing than the stopped call can have");
        while (got > 0)
            free(pfns[--got]);
    }

    unsigned most_missing() const
    {
        switch (call_) {
        case REFUSED: /* it may have all that there is, before it gives it back */
            return all_;
        case LEAVE:
            return IN_ZONE + KINDS_OF_MAGAZINES * WAITING + MOST_MISSING;
        case OFFLINE:
            return BLOCK_FRAMES + MOST_MISSING;
        case BATCH:
            return BATCH_FRAMES + MOST_MISSING;
        default:
            return 1 + MOST_MISSING;
        }
    }

    bool is_at_rest() const override
    {
        return false;
    }

    const Call call_;
    const bool same_cpu_;
    unsigned all_, steps_ = 0, missing_ = 0;
};

Stop hit(Stop::ALLOC), refill(Stop::ALLOC_EMPTY), push(Stop::FREE), overflow(Stop::FREE_FULL),
    remote_pop(Stop::ALLOC_REMOTE), remote_push(Stop::FREE_REMOTE), batch(Stop::BATCH),
    free_batch(Stop::FREE_BATCH), drain(Stop::DRAIN), drain_cpu(Stop::DRAIN_CPU),
    retire(Stop::RETIRE), maintain(Stop::MAINTAIN), refused(Stop::REFUSED), change(Stop::CHANGE),
    leave(Stop::LEAVE), offline(Stop::OFFLINE);
Stop hit_here(Stop::ALLOC, true), refill_here(Stop::ALLOC_EMPTY, true), push_here(Stop::FREE, true),
    overflow_here(Stop::FREE_FULL, true), remote_pop_here(Stop::ALLOC_REMOTE, true),
    remote_push_here(Stop::FREE_REMOTE, true);

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"hit", hit, 2, Search::BOUND, 1},
                       {"hit_here", hit_here, 2, Search::BOUND, 1},
                       {"refill", refill, 2, Search::BOUND, 1},
                       {"refill_here", refill_here, 2, Search::BOUND, 1},
                       {"push", push, 2, Search::BOUND, 1},
                       {"push_here", push_here, 2, Search::BOUND, 1},
                       {"overflow", overflow, 2, Search::BOUND, 1},
                       {"overflow_here", overflow_here, 2, Search::BOUND, 1},
                       {"remote_pop", remote_pop, 2, Search::BOUND, 1},
                       {"remote_pop_here", remote_pop_here, 2, Search::BOUND, 1},
                       {"remote_push", remote_push, 2, Search::BOUND, 1},
                       {"remote_push_here", remote_push_here, 2, Search::BOUND, 1},
                       {"batch", batch, 2, Search::BOUND, 1},
                       {"free_batch", free_batch, 2, Search::BOUND, 1},
                       {"drain", drain, 2, Search::BOUND, 1},
                       {"drain_cpu", drain_cpu, 2, Search::BOUND, 1},
                       {"retire", retire, 2, Search::BOUND, 1},
                       {"maintain", maintain, 2, Search::BOUND, 1},
                       {"refused", refused, 2, Search::BOUND, 1},
                       {"change", change, 2, Search::BOUND, 0},
                       {"leave", leave, 2, Search::BOUND, 0},
                       {"offline", offline, 2, Search::BOUND, 1},
                   });
}
