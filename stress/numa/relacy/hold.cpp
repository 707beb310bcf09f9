/* SPDX-License-Identifier: MIT
 *
 * hold.cpp - whose a compaction's isolation is: no two work on it at once, what it holds comes back
 * once, and no request is refused because of it unless somebody is at work on it. White-box.
 *
 * Each zone is one frame. The isolation is a plain value, which says which frame it holds;
 * whoever works on it reads and writes it without order of its own: a race for it says that two
 * have it, or that a release or an acquire is missing.
 */
#include "stress/common/relacy/explore.hpp"
#include "stress/common/relacy/library.hpp"

#include "numa/compact/hold.h"

namespace
{

enum { FREE, ISOLATED, USED };
enum { ASKS = 3 };
constexpr unsigned ZONES = 2;

struct World {
    qa32 hold, frames[ZONES];
    qa64 names[2];
    rl::var<unsigned> isolation; /* the zone whose frame it holds; ZONES: none */
};

/* Relacy gives its test object only the alignment of malloc, so the world lives here. */
alignas(World) unsigned char room[sizeof(World)];
World *world;

bool take_frame(unsigned zone, uint32_t as)
{
    uint32_t free = FREE;

    return qa_cas(&world->frames[zone], &free, as, acquire);
}

bool is_used(unsigned zone)
{
    return qa_load(&world->frames[zone], relaxed) == USED;
}

/* Whoever works on the isolation gives back what it holds. */
void end_isolation()
{
    unsigned zone = world->isolation($).load();

    if (zone < ZONES)
        qa_store(&world->frames[zone], FREE, release);
    world->isolation($).store(ZONES);
}

/* A compaction of two ranges of the first zone, or of one and two of the second: each holds its
 * zone's frame if it can. Its name is one more than its zone's number. */
void compact(unsigned zones)
{
    hold_welcome(&world->hold);
    for (unsigned i = 0; i < zones + 1; i++) {
        unsigned zone = i == 0 ? 0 : zones - 1;

        hold_name(&world->hold, world->names, zone + 1);
        if (!hold_begin(&world->hold, 9))
            return;
        world->isolation($).store(take_frame(zone, ISOLATED) ? zone : ZONES);
        hold_lend(&world->hold);
        if (!hold_take_back(&world->hold))
            return;
        end_isolation();
        hold_end(&world->hold);
    }
}

/* A request for a zone's frame: as the ladder of numa/machine/slowpath.c asks. */
bool ask(unsigned zone)
{
    bool at_work = false;

    for (unsigned i = 0; i < ASKS; i++) {
        uint32_t seen = hold_look(&world->hold), now;
        uint64_t of;
        bool over;

        if (take_frame(zone, USED))
            return true;
        if (!hold_interferes(&world->hold, seen, &now)) {
            require(is_used(zone), "refused because of what was held");
            return false;
        }
        if (hold_named(&world->hold, world->names, now, &of) && of != zone + 1) {
            if (hold_several(seen, now))
                continue;
            require(is_used(zone), "refused because of what was held of another zone");
            return false;
        }
        hold_want(&world->hold);
        if (hold_take(&world->hold, &over)) {
            end_isolation();
            hold_returned(&world->hold);
        } else {
            at_work |= !over;
        }
    }
    require(at_work || is_used(zone), "refused with nobody at work");
    return false;
}

class Held : public Scenario
{
  public:
    void before() final
    {
        void *bytes = room;

        world = ::new (bytes) World();
        world->hold.share();
        for (qa32 &frame : world->frames)
            frame.share();
        for (qa64 &name : world->names)
            name.share();
        world->isolation($).store(ZONES);
        had_ = 0;
        stopped_ = false;
    }

    void after() final
    {
        require(had_ <= 1, "the frame is had by two");
        require(stopped_ || hold_is_over(&world->hold), "nobody is there, and it is held");
        if (!stopped_)
            for (const qa32 &frame : world->frames)
                require(qa_load(&frame, relaxed) ==
                            (had_ && &frame == &world->frames[zone_] ? USED : FREE),
                        "a frame is lost");
        world->~World();
    }

  protected:
    explicit Held(unsigned zone) : zone_(zone)
    {
    }
    ~Held() = default;

    void request()
    {
        had_ += ask(zone_);
    }

    bool stopped_;

  private:
    const unsigned zone_; /* that requests ask */
    unsigned had_;
};

/* One compacts, the others ask. */
class Beside : public Held
{
  public:
    explicit Beside(unsigned zones, unsigned zone) : Held(zone), zones_(zones)
    {
    }

  private:
    void thread(unsigned index) override
    {
        if (index == 0)
            compact(zones_);
        else
            request();
    }

    const unsigned zones_;
};

/* The compaction stops for ever at any of its steps. */
class Stops : public Held
{
  public:
    Stops() : Held(0)
    {
    }

  private:
    void thread(unsigned index) override
    {
        if (index == 0)
            stopped_ = !up_to_a_stop([] { compact(1); });
        else
            request();
    }
};

Beside beside(1, 0), first_zone(2, 0), second_zone(2, 1);
Stops stops;

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"beside", beside, 2, Search::BOUND, 5},
                       {"first_zone", first_zone, 2, Search::BOUND, 5},
                       {"second_zone", second_zone, 2, Search::BOUND, 5},
                       {"beside_two", beside, 3, Search::BOUND, 2},
                       {"stops", stops, 2, Search::BOUND, 3},
                   });
}
