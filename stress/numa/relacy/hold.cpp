/* SPDX-License-Identifier: MIT
 *
 * hold.cpp - whose a compaction's isolation is: no two work on it at once, what it holds comes back
 * once, and no request is refused because of it unless somebody is at work on it. White-box.
 *
 * The zone is one frame. The isolation is a plain value, which says whether it holds the frame;
 * whoever works on it reads and writes it without order of its own: a race for it says that two
 * have it, or that a release or an acquire is missing.
 */
#include "stress/common/relacy/explore.hpp"
#include "stress/common/relacy/library.hpp"

#include "numa/compact/hold.h"

namespace
{

enum { FREE, ISOLATED, USED };
enum { RANGES = 2, ASKS = 3 };

struct World {
    qa32 hold, frame;
    rl::var<unsigned> isolation;
};

/* Relacy gives its test object only the alignment of malloc, so the world lives here. */
alignas(World) unsigned char room[sizeof(World)];
World *world;

bool take_frame(uint32_t as)
{
    uint32_t free = FREE;

    return qa_cas(&world->frame, &free, as, acquire);
}

/* Whoever works on the isolation gives back what it holds. */
void end_isolation()
{
    if (world->isolation($).load())
        qa_store(&world->frame, FREE, release);
    world->isolation($).store(0);
}

/* A compaction of two ranges, of which each holds the frame if it can. */
void compact()
{
    hold_welcome(&world->hold);
    for (unsigned i = 0; i < RANGES && hold_begin(&world->hold, 9); i++) {
        world->isolation($).store(take_frame(ISOLATED));
        hold_lend(&world->hold);
        if (!hold_take_back(&world->hold))
            return;
        end_isolation();
        hold_end(&world->hold);
    }
}

/* A request for the frame: as the ladder of numa/machine/slowpath.c asks. */
bool ask()
{
    bool at_work = false;

    for (unsigned i = 0; i < ASKS; i++) {
        uint32_t seen = hold_look(&world->hold), now;
        bool over;

        if (take_frame(USED))
            return true;
        if (!hold_interferes(&world->hold, seen, &now)) {
            require(qa_load(&world->frame, relaxed) == USED, "refused because of what was held");
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
    require(at_work || qa_load(&world->frame, relaxed) == USED, "refused with nobody at work");
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
        world->frame.share();
        world->isolation($).store(0);
        had_ = 0;
        stopped_ = false;
    }

    void after() final
    {
        require(had_ <= 1, "the frame is had by two");
        require(stopped_ || hold_is_over(&world->hold), "nobody is there, and it is held");
        if (!stopped_)
            require(qa_load(&world->frame, relaxed) == (had_ ? USED : FREE), "the frame is lost");
        world->~World();
    }

  protected:
    ~Held() = default;

    void request()
    {
        had_ += ask();
    }

    bool stopped_;

  private:
    unsigned had_;
};

/* One compacts, the others ask. */
class Beside : public Held
{
    void thread(unsigned index) override
    {
        if (index == 0)
            compact();
        else
            request();
    }
};

/* The compaction stops for ever at any of its steps. */
class Stops : public Held
{
    void thread(unsigned index) override
    {
        if (index == 0)
            stopped_ = !up_to_a_stop(compact);
        else
            request();
    }
};

Beside beside;
Stops stops;

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"beside", beside, 2, Search::BOUND, 5},
                       {"beside_two", beside, 3, Search::BOUND, 2},
                       {"stops", stops, 2, Search::BOUND, 3},
                   });
}
