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
bool looks_first; /* as a search does, perhaps at a value that is old */

bool take_frame(unsigned zone, uint32_t as)
{
    uint32_t free = FREE;

    if (looks_first && qa_load(&world->frames[zone], relaxed) != FREE)
        return false;
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
        looks_first = looks_first_;
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
    explicit Held(unsigned zone, bool look_first = false) : zone_(zone), looks_first_(look_first)
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
    const bool looks_first_;
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

/* One compaction after the other; a request may end what the first one held, and be at it still
 * when the next one begins. */
class NextCompaction : public Held
{
  public:
    NextCompaction() : Held(0, true)
    {
    }

  private:
    void thread(unsigned index) override
    {
        if (index == 1) {
            request();
            return;
        }
        compact(1);
        compact(1);
    }
};

/* The compaction works on its isolation twice, and lends it in between: who takes it the second
 * time has all of that, although the word is as it was. */
class LentAgain : public Held
{
  public:
    LentAgain() : Held(0)
    {
    }

  private:
    void thread(unsigned index) override
    {
        qa32 *hold = &world->hold;
        bool over;

        if (index == 1) {
            if (hold_take(hold, &over)) {
                end_isolation();
                hold_returned(hold);
            }
            return;
        }
        require(hold_begin(hold, 9), "a first range cannot begin");
        world->isolation($).store(ZONES);
        hold_lend(hold);
        if (!hold_take_back(hold))
            return;
        world->isolation($).store(take_frame(0, ISOLATED) ? 0 : ZONES);
        hold_lend(hold);
        if (hold_take_back(hold)) {
            end_isolation();
            hold_end(hold);
        }
    }
};

/* No range begins behind a request that wants none. */
class Wanted : public Held
{
  public:
    Wanted() : Held(0)
    {
    }

  private:
    void thread(unsigned index) override
    {
        if (index == 1) {
            hold_want(&world->hold);
            wanted_ = true;
            return;
        }
        wanted_ = false;
        for (unsigned i = 0; i < 2; i++) {
            bool wanted = wanted_;

            if (!hold_begin(&world->hold, 9))
                return;
            require(!wanted, "a range begins that is not wanted");
            hold_end(&world->hold);
        }
    }

    bool wanted_;
};

/* Range i of a compaction has the name i. The first one takes a frame: who saw it taken reads that
 * range's name, or finds out that others began, even when the third one has its name already. */
class Names : public Held
{
  public:
    Names() : Held(0)
    {
    }

  private:
    void thread(unsigned index) override
    {
        qa32 *hold = &world->hold;
        uint32_t now;
        uint64_t name;
        bool taken;

        for (unsigned i = 1; i <= 2 && index == 0; i++) {
            hold_name(hold, world->names, i);
            require(hold_begin(hold, 9), "a range cannot begin");
            if (i == 1)
                qa_store(&world->frames[0], ISOLATED, relaxed);
            else
                hold_name(hold, world->names, i + 1);
            hold_end(hold);
        }
        if (index == 0) {
            qa_store(&world->frames[0], FREE, relaxed);
            return;
        }
        taken = qa_load(&world->frames[0], relaxed) == ISOLATED;
        if (hold_interferes(hold, 0, &now) && hold_named(hold, world->names, now, &name) && taken &&
            now / HOLD_VERSION == 1)
            require(name == 1, "a range has another one's name");
    }
};

Beside beside(1, 0), first_zone(2, 0), second_zone(2, 1);
Stops stops;
NextCompaction next_compaction;
LentAgain lent_again;
Wanted wanted;
Names names;

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
                       {"next_compaction", next_compaction, 2, Search::BOUND, 3},
                       {"lent_again", lent_again, 2, Search::BOUND, 4},
                       {"wanted", wanted, 2, Search::FULL, 0},
                       {"names", names, 2, Search::BOUND, 4},
                   });
}
