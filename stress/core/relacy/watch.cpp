/* SPDX-License-Identifier: MIT
 *
 * watch.cpp - protocol 9: who was refused is not refused again behind a free run. White-box.
 *
 * One thread asks for a run while the other makes one appear, each in another way. Whatever the
 * first was told, afterwards it gets the run.
 */
#include "world/world.hpp"

namespace
{

using Step = void (*)();

/* Thread 1 asks for a run of `order`, while thread 0 does `appear` in what `prepare` made. */
class RefusalBeside : public InWorld
{
  public:
    RefusalBeside(unsigned order, Step prepare, Step appear)
        : order_(order), prepare_(prepare), appear_(appear)
    {
    }

  private:
    void setup() override
    {
        prepare_();
        world->start(WATCH);
        /* As if there were more frames elsewhere, that do not fit: or the count would refuse. */
        (void)qa_add(&world->head.total, BLOCK_FRAMES, relaxed);
        refused_ = false;
    }

    int ask()
    {
        quire_pfn pfn;

        return quire_zone_alloc(&world->z, slot(1), order_, QUIRE_EMERGENCY, &pfn);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            appear_();
        else
            refused_ = ask() != QUIRE_OK;
    }

    void check() override
    {
        require(!refused_ || ask() == QUIRE_OK, "refused behind a free run");
    }

    const unsigned order_;
    const Step prepare_, appear_;
    bool refused_ = false;
};

/* A block in use, but for the second frame. */
void used_but_one(uint32_t owner)
{
    world->make_split(0, owner);
    world->give_but(0, at(0, 0, 1), 1);
}

void used()
{
    used_but_one(0);
}

void used_home()
{
    used_but_one(desc_owner(slot(2)));
}

void free_first()
{
    world->put(at(0, 0, 0));
}

/* A block with a frame in use in each of its halves, or in one. */
void nearly_free()
{
    world->make_split(0);
    world->give(at(0, 0, 0), 1, false);
    world->give(at(0, MAP_WORDS / 2, 0), 1, false);
}

void free_both()
{
    world->put(at(0, 0, 0));
    world->put(at(0, MAP_WORDS / 2, 0));
}

void nearly_free_home()
{
    world->make_split(0, desc_owner(slot(2)));
    world->give(at(0, 0, 0), 1, false);
    qa_store(&slot_of(&world->z, slot(2))->home[CLASS_MOVABLE], 1, relaxed);
}

void whole()
{
    world->give_whole(0, BLOCK_ORDER);
}

void free_whole()
{
    world->drop(0, BLOCK_FRAMES);
    require(world->put_whole(0, BLOCK_ORDER) == QUIRE_OK, "a good free was refused");
}

/* A free block that becomes a home block; a half of it stays free. */
void one_free()
{
    world->make_free(0, true);
}

void split_it()
{
    quire_pfn pfn;

    (void)quire_zone_alloc(&world->z, slot(0), 0, QUIRE_EMERGENCY | QUIRE_MOVABLE, &pfn);
}

class SplitBeside : public InWorld
{
    void setup() override
    {
        one_free();
        world->start(WATCH | SECTION_BITS);
    }

    void thread(unsigned index) override
    {
        quire_pfn pfn;

        if (index == 0)
            split_it();
        else
            refused_ =
                quire_zone_alloc(&world->z, slot(1), BLOCK_ORDER - 1, QUIRE_EMERGENCY, &pfn) != 0;
    }

    void check() override
    {
        quire_pfn pfn;

        require(!refused_ ||
                    !quire_zone_alloc(&world->z, slot(1), BLOCK_ORDER - 1, QUIRE_EMERGENCY, &pfn),
                "refused behind a free run");
    }

    bool refused_ = false;
};

/* A home block becomes empty while a claim of all of it is being undone, which hides that from the
 * free. */
class HomeBesideUndo : public InWorld
{
    void setup() override
    {
        nearly_free();
        world->drop(at(0, MAP_WORDS / 2, 0), 1);
        require(qi_frames_clear(&world->z, at(0, MAP_WORDS / 2, 0), 1) == 1, "the setup");
        world->start(WATCH);
        (void)qa_add(&world->head.total, BLOCK_FRAMES, relaxed);
        refused_ = false;
    }

    int ask()
    {
        quire_pfn pfn;

        return quire_zone_alloc(&world->z, slot(1), BLOCK_ORDER, QUIRE_EMERGENCY, &pfn);
    }

    /* A frame of a new home block, which is freed when a whole block was refused. */
    void use_home()
    {
        uint64_t frame;

        if (!qi_home_take(&world->z, slot(2), CLASS_MOVABLE, 0))
            return;
        frame = world->take(0, 0);
        if (frame == NO_FRAME) {
            (void)qi_home_leave(&world->z, desc_owner(slot(2)), 0);
            return;
        }
        qi_home_install(&world->z, slot(2), CLASS_MOVABLE, 0);
        refused_ = ask() != QUIRE_OK;
        world->put(frame);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            free_first();
        else
            use_home();
    }

    void check() override
    {
        require(!refused_ || ask() == QUIRE_OK, "refused behind an empty home block");
    }

    bool refused_ = false;
};

RefusalBeside pair(1, used, free_first), pair_in_home(1, used_home, free_first),
    half(BLOCK_ORDER - 1, nearly_free, free_both), block(BLOCK_ORDER, whole, free_whole),
    block_by_frames(BLOCK_ORDER, nearly_free, free_both),
    empty_home(BLOCK_ORDER, nearly_free_home, free_first);
SplitBeside split_beside;
HomeBesideUndo home_beside_undo;

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"pair", pair, 2, Search::BOUND, SMALL ? 4 : 2},
                       {"pair_in_home", pair_in_home, 2, Search::BOUND, SMALL ? 4 : 2},
                       {"half", half, 2, Search::BOUND, SMALL ? 3 : 2},
                       {"block", block, 2, Search::BOUND, SMALL ? 4 : 2},
                       {"block_by_frames", block_by_frames, 2, Search::BOUND, SMALL ? 3 : 2},
                       {"empty_home", empty_home, 2, Search::BOUND, SMALL ? 4 : 2},
                       {"split_beside", split_beside, 2, Search::BOUND, SMALL ? 3 : 2},
                       {"home_beside_undo", home_beside_undo, 2, Search::BOUND, SMALL ? 4 : 2},
                   });
}
