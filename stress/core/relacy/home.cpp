/* SPDX-License-Identifier: MIT
 *
 * home.cpp - protocol 6: home blocks, taken, left and revoked. White-box.
 */
#include "world/world.hpp"

namespace
{

/* A block with a free frame is made a home by two slots at once. One gets it. */
class TwoOwners : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->give(at(0, 0, 1), 1, false);
        world->start(HINTS);
        owners_ = 0;
    }

    void thread(unsigned index) override
    {
        owners_ += qi_home_take(&world->z, slot(index), CLASS_MOVABLE, 0);
    }

    void check() override
    {
        world->verify();
        require(owners_ == 1 && world->desc(0) & D_OWNER, "not exactly one owner");
    }

    unsigned owners_;
};

/* A wholly free home is revoked while its owner takes from it and gives back, and then leaves. In
 * the end it is whole. `whole`: the recovery is one step. */
class Revoked : public InWorld
{
  public:
    explicit Revoked(bool whole) : whole_(whole)
    {
    }

  private:
    void setup() override
    {
        world->make_split(0, desc_owner(slot(0)));
        world->start(MAPS_ONLY);
    }

    void thread(unsigned index) override
    {
        uint64_t frame;

        if (index == 1) {
            OneStep step(whole_);

            qi_block_force_whole(&world->z, slot(1), 0);
            return;
        }
        {
            OneStep step(!whole_);

            frame = world->take(0, 0);
        }
        if (frame != NO_FRAME)
            world->put(frame);
        (void)qi_home_leave(&world->z, desc_owner(slot(0)), 0);
    }

    bool whole_;
};

/* The owner comes late with leaving a home, which was revoked meanwhile, made whole, and split
 * again as another slot's home. It stays the other's. */
class LateLeave : public InWorld
{
    void setup() override
    {
        world->make_split(0, desc_owner(slot(0)));
        world->start(SECTION_BITS);
        split_ = false;
    }

    void thread(unsigned index) override
    {
        struct quire_zone *z = &world->z;

        if (index == 0) {
            (void)qi_home_leave(z, desc_owner(slot(0)), 0);
            return;
        }
        qi_block_force_whole(z, slot(1), 0);
        if (qi_blocks_claim(z, 0, 0))
            split_ = qi_block_split(z, slot(1), 0, desc_home(slot(1), CLASS_MOVABLE));
    }

    void check() override
    {
        world->verify();
        require(!split_ || world->desc(0) == desc_home(slot(1), CLASS_MOVABLE),
                "a home was taken from its owner");
    }

    bool split_;
};

/* A home with free frames is given up by somebody else right after it was taken; the hint that the
 * owner writes late must not hide the block. */
class HintOfHome : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->give(at(0, 0, 1), 1, false);
        world->start(HINTS);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            (void)qi_home_take(&world->z, slot(0), CLASS_MOVABLE, 0);
        else
            (void)qi_home_leave(&world->z, desc_owner(slot(0)), 0);
    }
};

/* A slot that is re-entered installs two homes; the one that is replaced is given up. */
class TwoHomes : public InWorld
{
  public:
    TwoHomes() : InWorld(2)
    {
    }

  private:
    void setup() override
    {
        for (uint32_t b = 0; b < 2; b++) {
            world->make_split(b);
            world->give(at(b, 0, 1), 1, false);
        }
        world->start(HOMES);
    }

    void thread(unsigned index) override
    {
        require(qi_home_take(&world->z, slot(0), CLASS_MOVABLE, index), "nobody's home");
        qi_home_install(&world->z, slot(0), CLASS_MOVABLE, index);
    }

    void check() override
    {
        uint32_t home = qa_load(&slot_of(&world->z, slot(0))->home[CLASS_MOVABLE], relaxed) - 1;

        world->verify();
        require(home < 2 && world->desc(home) & D_OWNER, "the home word names no home");
        require(!(world->desc(1 - home) & D_OWNER), "the home before was not given up");
    }
};

/* A slot is retired beside who installs a home for it: no block stays the home of a slot that does
 * not know it. */
class Retired : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->give(at(0, 0, 1), 1, false);
        world->start(HOMES);
    }

    void thread(unsigned index) override
    {
        if (index == 1) {
            require(!quire_zone_retire_slot(&world->z, slot(0)), "a slot cannot be retired");
            return;
        }
        require(qi_home_take(&world->z, slot(0), CLASS_MOVABLE, 0), "nobody's home");
        qi_home_install(&world->z, slot(0), CLASS_MOVABLE, 0);
    }

    void check() override
    {
        world->verify();
        require(!!(world->desc(0) & D_OWNER) ==
                    (qa_load(&slot_of(&world->z, slot(0))->home[CLASS_MOVABLE], relaxed) == 1),
                "the home of a slot that does not know it");
    }
};

/* A frame of a full home is freed while the owner gives the home up: one of the two shows it. */
class FreeAndLeave : public InWorld
{
    void setup() override
    {
        world->make_split(0, desc_owner(slot(0)));
        world->give(0, BLOCK_FRAMES, false);
        world->start(HINTS);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            (void)qi_home_leave(&world->z, desc_owner(slot(0)), 0);
        else
            world->put(at(0, 1, 1));
    }
};

TwoOwners two_owners;
Revoked revoked(false), revoked_at_once(true);
LateLeave late_leave;
HintOfHome hint_of_home;
TwoHomes two_homes;
Retired retired;
FreeAndLeave free_and_leave;

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"two_owners", two_owners, 2, FULL_IF_SMALL, 2},
                       {"revoked", revoked, 2, Search::BOUND, SMALL ? 4 : 2},
                       {"revoked_at_once", revoked_at_once, 2, FULL_IF_SMALL, 2},
                       {"late_leave", late_leave, 2, Search::BOUND, SMALL ? 5 : 2},
                       {"hint_of_home", hint_of_home, 2, FULL_IF_SMALL, 2},
                       {"two_homes", two_homes, 2, FULL_IF_SMALL, 2},
                       {"retired", retired, 2, Search::BOUND, 3},
                       {"free_and_leave", free_and_leave, 2, Search::BOUND, SMALL ? 5 : 2},
                   });
}
