/* SPDX-License-Identifier: MIT
 *
 * section.cpp - protocol 4: whole blocks out of a section, and their way into pieces. White-box.
 */
#include "world/world.hpp"

namespace
{

/* A run of two blocks is freed; its second block is taken by another thread at once. Everything
 * that the free wrote must be there before the block is to be had. */
class BlockHandover : public InWorld
{
  public:
    BlockHandover() : InWorld(2)
    {
    }

  private:
    void setup() override
    {
        world->give_whole(0, BLOCK_ORDER + 1);
        world->start(SECTION_BITS);
    }

    void thread(unsigned index) override
    {
        if (index == 0) {
            world->drop(0, 2 * BLOCK_FRAMES);
            require(world->put_whole(0, BLOCK_ORDER + 1) == QUIRE_OK, "a good free was refused");
        } else if (world->take_whole(1, BLOCK_ORDER)) {
            require(world->desc(1) == desc_whole(BLOCK_ORDER), "the run lost its descriptor");
        }
    }
};

/* Two frees of one run; or a free and a split of it. Exactly one is good. */
class WholeTwice : public InWorld
{
  public:
    explicit WholeTwice(bool split) : InWorld(2), split_(split)
    {
    }

  private:
    void setup() override
    {
        world->give_whole(0, BLOCK_ORDER + 1);
        world->start(SECTION_BITS);
        done_ = freed_ = 0;
    }

    void thread(unsigned index) override
    {
        struct quire_zone *z = &world->z;
        int error;

        if (index == 0 && split_)
            error = quire_zone_split(z, slot(0), quire_pfn_of(0), BLOCK_ORDER + 1);
        else
            error = quire_zone_free(z, slot(index), quire_pfn_of(0), BLOCK_ORDER + 1);
        done_ += !error;
        freed_ += !error && !(index == 0 && split_);
    }

    void check() override
    {
        require(done_ == 1, "a run was not freed, or split, exactly once");
        if (freed_)
            world->drop(0, 2 * BLOCK_FRAMES);
        world->verify();
    }

    bool split_;
    unsigned done_, freed_;
};

/* Who frees his run a second time, or splits it then, meets another one in the same place, which
 * was just made: it is freed or split as a whole, or not at all. */
class MadeAgain : public InWorld
{
  public:
    explicit MadeAgain(bool split) : InWorld(2), split_(split)
    {
    }

  private:
    void setup() override
    {
        world->give_whole(0, BLOCK_ORDER + 1);
        world->start(SECTION_BITS);
    }

    void thread(unsigned index) override
    {
        struct quire_zone *z = &world->z;

        if (index == 0) {
            if (qi_blocks_claim(z, 0, 1))
                qi_block_run_publish(z, 0, BLOCK_ORDER + 1);
            return;
        }
        require(world->put_whole(0, BLOCK_ORDER + 1) == QUIRE_OK, "a good free was refused");
        if (split_)
            (void)quire_zone_split(z, slot(1), quire_pfn_of(0), BLOCK_ORDER + 1);
        else
            (void)world->put_whole(0, BLOCK_ORDER + 1);
    }

    void check() override
    {
        unsigned state = desc_state(world->desc(0));

        require(desc_state(world->desc(1)) == (state == D_WHOLE ? (unsigned)D_TAIL : state),
                "a part of a run was freed");
    }

    const bool split_;
};

/* A block is opened for a run, beside who takes from it, and corrects its hints, as soon as it is
 * seen. Nobody else wants a block: the run is had, if it was not taken. */
class OpenedFor : public InWorld
{
    void setup() override
    {
        world->make_free(0);
        world->start(HINTS | HOLES);
        taken_ = false;
    }

    void thread(unsigned index) override
    {
        struct quire_zone *z = &world->z;
        quire_pfn pfn;
        int error;

        if (index == 1) {
            taken_ = world->take(0, BLOCK_ORDER - 1) != NO_FRAME;
            qi_hint_block_full(z, 0);
            return;
        }
        error = qi_zone_alloc_opened(z, slot(0), 0, BLOCK_ORDER - 1, QUIRE_EMERGENCY, &pfn);
        require(!error || taken_, "a block was opened in vain");
        if (!error)
            world->hold(pfn.n, BLOCK_FRAMES / 2, true);
    }

    bool taken_;
};

/* Runs of several words of a section, or of two sections, and a rival who wants one block of the
 * last word. Somebody must get what he asked for. */
class ManyBlocks : public InWorld
{
  public:
    explicit ManyBlocks(unsigned order) : order_(order)
    {
    }

  private:
    void setup() override
    {
        for (uint32_t b = 0; b < World::WIDE; b++)
            world->make_free(b, true);
        world->start(HINTS);
        for (unsigned i = 0; i < MAP_WORDS * World::SECTIONS; i++)
            block_word(&world->z, i)->share();
        done_ = 0;
    }

    void thread(unsigned index) override
    {
        uint32_t last = (1u << (order_ - BLOCK_ORDER)) - 1;
        uint32_t b = index ? last : 0;
        unsigned order = index ? (unsigned)BLOCK_ORDER : order_;

        if (!world->take_whole(b, order))
            return;
        done_++;
        if (index == 0)
            world->drop(0, BLOCK_FRAMES);
        require(world->put_whole(b, order) == QUIRE_OK, "a good free was refused");
    }

    void check() override
    {
        world->verify();
        require(done_ > 0, "nobody got a run");
    }

    unsigned order_, done_;
};

/* A rival takes a block of the first section and frees it, while the second one is free all the
 * time: who asks for a section must get one, however the race for the first one goes. */
class OtherSection : public InWorld
{
    void setup() override
    {
        for (uint32_t b = 0; b < World::WIDE; b++)
            world->make_free(b, true);
        world->start(MAPS_ONLY);
        for (unsigned i = 0; i < MAP_WORDS; i++)
            block_word(&world->z, i)->share();
    }

    void thread(unsigned index) override
    {
        struct quire_zone *z = &world->z;
        quire_pfn pfn;

        if (index == 0) {
            require(!quire_zone_alloc(z, slot(0), SECTION_ORDER, 0, &pfn), "a false refusal");
            require(!world->put_whole((uint32_t)(pfn.n / BLOCK_FRAMES), SECTION_ORDER),
                    "a good free was refused");
        } else if (world->take_whole(1, BLOCK_ORDER)) {
            require(world->put_whole(1, BLOCK_ORDER) == QUIRE_OK, "a good free was refused");
        }
    }
};

/* A claim of a section that must fail holds the only free blocks for a moment, while a search finds
 * none and says so. The undo must show them again. */
class UndoAndSearch : public InWorld
{
    void setup() override
    {
        for (uint32_t b = 0; b < SECTION_BLOCKS - WORD_BITS; b++)
            world->make_free(b, true);
        world->start(HINTS);
        for (unsigned i = 0; i < MAP_WORDS; i++)
            block_word(&world->z, i)->share();
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            require(!world->take_whole(0, SECTION_ORDER), "blocks were given out twice");
        else
            (void)qi_find_whole(&world->z, slot(1), NEAR_WHOLE, 0);
    }
};

/* A block becomes whole and is split again, with a stale taker beside, who knows it from before and
 * frees what he got. */
class SplitAgain : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->start(MAPS_ONLY);
    }

    void thread(unsigned index) override
    {
        struct quire_zone *z = &world->z;
        uint64_t frame;

        if (index == 0) {
            qi_block_make_whole(z, 0);
            if (!qi_blocks_claim(z, 0, 0))
                return;
            require(qi_block_split(z, slot(0), 0, desc_home(slot(0), 0)), "damage was seen");
            (void)world->take(0, 0);
        } else if ((frame = world->take(0, 0)) != NO_FRAME) {
            require(desc_state(world->desc(0)) == D_SPLIT, "a frame of a block that is not split");
        }
    }
};

/* The same with a block that was never split: its map is all zeros before. */
class SplitFresh : public InWorld
{
    void setup() override
    {
        world->make_free(0, true);
        world->start(SECTION_BITS);
    }

    void thread(unsigned index) override
    {
        if (index == 0) {
            require(qi_blocks_claim(&world->z, 0, 0), "a free block could not be claimed");
            (void)qi_block_split(&world->z, slot(0), 0, desc_home(slot(0), 0));
        }
        (void)world->take(0, 0);
    }
};

/* A block goes from a run's holder to its section, and from there in pieces to others. Who takes a
 * frame has the holder's writes before his own, although the map was never written. */
class WholeToFrames : public InWorld
{
    void setup() override
    {
        world->give_whole(0, BLOCK_ORDER);
        for (unsigned i = 0; i < MAP_WORDS; i++)
            qa_store(&frame_map(&world->z, 0)->w[i], 0, relaxed);
        world->start(SECTION_BITS);
    }

    void thread(unsigned index) override
    {
        if (index == 0) {
            world->drop(0, BLOCK_FRAMES);
            require(world->put_whole(0, BLOCK_ORDER) == QUIRE_OK, "a good free was refused");
        } else if (index == 1 && qi_blocks_claim(&world->z, 0, 0)) {
            (void)qi_block_split(&world->z, slot(1), 0, desc_home(slot(1), 0));
        } else {
            (void)world->take(0, 0);
        }
    }
};

/* A run becomes single frames; nobody can take any of them. */
class SplitWhole : public InWorld
{
    void setup() override
    {
        world->give_whole(0, BLOCK_ORDER);
        for (unsigned i = 0; i < MAP_WORDS; i++)
            qa_store(&frame_map(&world->z, 0)->w[i], 0, relaxed);
        world->start(MAPS_ONLY);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            require(!quire_zone_split(&world->z, slot(0), quire_pfn_of(0), BLOCK_ORDER),
                    "a good split was refused");
        else
            (void)world->take(0, 0);
    }
};

/* Single frames become a run while another slot makes their block its home, and leaves it. */
class JoinAndHome : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->give(0, BLOCK_FRAMES, false);
        world->start(MAPS_ONLY);
        joined_ = false;
    }

    void thread(unsigned index) override
    {
        struct quire_zone *z = &world->z;

        if (index == 0)
            joined_ = quire_zone_join(z, slot(0), quire_pfn_of(0)) == QUIRE_OK;
        else if (qi_home_take(z, slot(1), CLASS_MOVABLE, 0))
            (void)qi_home_leave(z, desc_owner(slot(1)), 0);
    }

    void check() override
    {
        world->verify();
        require((desc_state(world->desc(0)) == D_WHOLE) == joined_, "not what the join said");
    }

    bool joined_;
};

BlockHandover block_handover;
WholeTwice freed_twice(false), split_and_freed(true);
MadeAgain made_again(false), made_again_and_split(true);
OpenedFor opened_for;
ManyBlocks section(SECTION_ORDER), two_sections(SECTION_ORDER + 1);
OtherSection other_section;
UndoAndSearch undo_and_search;
SplitAgain split_again;
SplitFresh split_fresh;
WholeToFrames whole_to_frames;
SplitWhole split_whole;
JoinAndHome join_and_home;

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"block_handover", block_handover, 2, FULL_IF_SMALL, 3},
                       {"freed_twice", freed_twice, 2, FULL_IF_SMALL, 3},
                       {"split_and_freed", split_and_freed, 2, FULL_IF_SMALL, 3},
                       {"made_again", made_again, 2, Search::BOUND, 3},
                       {"made_again_and_split", made_again_and_split, 2, Search::BOUND, 3},
                       {"opened_for", opened_for, 2, Search::BOUND, SMALL ? 2 : 0},
                       {"section", section, 2, FULL_IF_SMALL, 2},
                       {"two_sections", two_sections, 2, Search::BOUND, SMALL ? 4 : 2},
                       {"other_section", other_section, 2, FULL_IF_SMALL, 3},
                       {"undo_and_search", undo_and_search, 2, FULL_IF_SMALL, 2},
                       {"split_again", split_again, 2, FULL_IF_SMALL, 2},
                       {"split_fresh", split_fresh, 2, FULL_IF_SMALL, 3},
                       {"whole_to_frames", whole_to_frames, 3, FULL_IF_SMALL, 3},
                       {"split_whole", split_whole, 2, FULL_IF_SMALL, 2},
                       {"join_and_home", join_and_home, 2, Search::BOUND, 3},
                   });
}
