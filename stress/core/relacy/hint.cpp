/* SPDX-License-Identifier: MIT
 *
 * hint.cpp - protocol 7: no hint hides a free frame for good. White-box.
 *
 * In all of them one thread makes something free and sets a hint, while the other finds nothing
 * and clears it. verify() looks at H1 to H4 of layout.h afterwards.
 */
#include "world/world.hpp"

namespace
{

/* A full block whose fullness byte and section still promise frames. */
void full_block_with_stale_hints()
{
    world->make_split(0);
    world->give(0, BLOCK_FRAMES, false);
    qa_store(full_of(&world->z, 0), 1, relaxed);
    qa_store(sparse_of(&world->z, 0), 1, relaxed);
    world->start(HINTS);
}

/* H1: a frame of a full block is freed while another thread finds the block full. */
class FreeAndFull : public InWorld
{
    void setup() override
    {
        full_block_with_stale_hints();
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            world->put(at(0, 0, 1));
        else if (world->take(0, 0) == NO_FRAME)
            qi_hint_block_full(&world->z, 0);
    }
};

/* H1 and H2: the same with the search for stray frames, which clears the section's byte too. */
class FreeAndSearch : public InWorld
{
    void setup() override
    {
        full_block_with_stale_hints();
        frame_ = NO_FRAME;
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            world->put(at(0, 0, 1));
        else
            (void)qi_take_from_hinted(&world->z, slot(1), 0, &frame_);
    }

    void check() override
    {
        if (frame_ != NO_FRAME) {
            world->hold(frame_, 1, false);
            qa_store(&world->head.total, 0, relaxed);
        }
        world->verify();
    }

    uint64_t frame_;
};

/* H2: the block's byte says already that it is full, the section's does not. */
class FreeAndSection : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->give(0, BLOCK_FRAMES, false);
        qa_store(sparse_of(&world->z, 0), 1, relaxed);
        world->start(HINTS);
    }

    void thread(unsigned index) override
    {
        uint64_t frame;

        if (index == 0)
            world->put(at(0, 0, 1));
        else if (qi_take_from_hinted(&world->z, slot(1), 0, &frame))
            world->hold(frame, 1, false);
    }

    void check() override
    {
        qa_store(&world->head.total, qi_map_count_free(frame_map(&world->z, 0)), relaxed);
        world->verify();
    }
};

/* H3: a block is freed while a search for one finds none. */
class WholeAndSearch : public InWorld
{
    void setup() override
    {
        world->give_whole(0, BLOCK_ORDER);
        qa_store(wholes_of(&world->z, 0), WHOLES_TOP, relaxed);
        world->start(HINTS | SECTION_BITS);
    }

    void thread(unsigned index) override
    {
        if (index == 0) {
            world->drop(0, BLOCK_FRAMES);
            require(world->put_whole(0, BLOCK_ORDER) == QUIRE_OK, "a good free was refused");
        } else {
            (void)qi_find_whole(&world->z, slot(1), NEAR_WHOLE, 0);
        }
    }
};

/* H1 after an undo: a claim of two words holds the last free ones for a moment. */
class UndoAndFull : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->give_but(0, at(0, 0, 0), 2 * WORD_BITS);
        world->start(HINTS);
    }

    void thread(unsigned index) override
    {
        if (index == 0) {
            (void)world->take(0, WORD_ORDER + 1);
            return;
        }
        for (unsigned i = 0; i < 2; i++) {
            OneStep step;

            if (world->take(0, WORD_ORDER) == NO_FRAME)
                break;
        }
        if (world->take(0, WORD_ORDER) == NO_FRAME)
            qi_hint_block_full(&world->z, 0);
    }
};

/* A block in which every second frame is free but for a run of four at the beginning of word 1, and
 * whose hole byte says so, or promises a pair. */
void peppered_block(uint8_t hole)
{
    world->make_split(0);
    for (unsigned i = 0; i < BLOCK_FRAMES; i += 2)
        if (i / 4 != WORD_BITS / 4)
            world->give(at(0, i / WORD_BITS, i % WORD_BITS), 1, false);
    world->give(at(0, 1, 0), 4, true);
    qi_hint_block_free(&world->z, 0);
    qa_store(hole_of(&world->z, 0), hole, relaxed);
    qa_store(sparse_of(&world->z, 0), hole, relaxed);
    world->start(HOLES);
}

/* H4: a free completes a pair while another thread finds none and lowers the block's hole byte. */
class PairAndLower : public InWorld
{
    void setup() override
    {
        peppered_block(2);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            world->put(at(0, 0, 2));
        else
            qi_hint_hole_lower(&world->z, 0);
    }
};

/* H4 and H2: two frees leave a pair and a run of four. */
class PairAndFour : public InWorld
{
    void setup() override
    {
        peppered_block(1);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            world->put(at(0, 0, 2));
        else
            world->free(1, at(0, 1, 0), 4);
    }
};

/* H2: a free completes a pair while a search for one finds none, in the block or the section. */
class PairAndSearch : public InWorld
{
    void setup() override
    {
        peppered_block(1);
        qa_store(sparse_of(&world->z, 0), 2, relaxed);
        frame_ = NO_FRAME;
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            world->put(at(0, 0, 2));
        else
            (void)qi_take_from_hinted(&world->z, slot(1), 1, &frame_);
    }

    void check() override
    {
        if (frame_ != NO_FRAME) {
            world->hold(frame_, 2, true);
            (void)qa_sub(&world->head.total, 2, relaxed);
        }
        world->verify();
    }

    uint64_t frame_;
};

/* A full block becomes a home block, its fullness byte 0, while the search for stray frames goes on
 * from it: a search never goes on among the bytes that are 0 (see least_fit of world/core.cpp). */
class HomeAndSearch : public InWorld
{
    void setup() override
    {
        full_block_with_stale_hints();
        qa_store(hole_of(&world->z, 0), 1, relaxed);
    }

    void thread(unsigned index) override
    {
        uint64_t frame;

        if (index == 0)
            (void)qi_home_take(&world->z, slot(2), CLASS_UNMOVABLE, 0);
        else
            require(!qi_take_from_hinted(&world->z, slot(1), 0, &frame), "a frame of a full block");
    }
};

/* H4: a word that was claimed is given back, and the block announced, while somebody who found no
 * run in it lowers its hint. */
class UndoAndLower : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->give(at(0, 1, 0), WORD_BITS, false);
        world->start(HINTS | HOLES);
        require(qi_map_words_claim(frame_map(&world->z, 0), 0, 1), "a free word");
    }

    void thread(unsigned index) override
    {
        if (index == 0) {
            qi_map_words_release(frame_map(&world->z, 0), 0, 1);
            qi_hint_block_free(&world->z, 0);
        } else {
            qi_hint_hole_lower(&world->z, 0);
        }
    }
};

/* H1: a frame of a full block is freed while somebody finds it full, whose hole byte a third one is
 * about to look at, for ever. */
class FullBesideLook : public InWorld
{
    void setup() override
    {
        full_block_with_stale_hints();
        qa_store(hole_of(&world->z, 0), HOLE_LOOKED, relaxed);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            world->put(at(0, 0, 1));
        else
            qi_hint_block_full(&world->z, 0);
    }

    void check() override
    {
        require(qa_load(full_of(&world->z, 0), relaxed), "H1: a block with free frames is hidden");
    }
};

/* H2: the fullness of a block is refreshed, of which somebody takes the last frame meanwhile, so
 * that neither it nor its section shows any, and frees another one: both must show that. */
class RefreshAndFull : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->give_but(0, at(0, 0, 1), 1);
        world->start(HINTS | HOLES);
        qa_store(full_of(&world->z, 0), STALE, relaxed);
    }

    void thread(unsigned index) override
    {
        struct quire_zone *z = &world->z;
        uint64_t frame;

        if (index == 0) {
            qi_hint_block_refresh(z, 0);
            return;
        }
        require(world->take(0, 0) != NO_FRAME, "a free frame");
        qi_hint_block_full(z, 0);
        require(!qi_take_from_hinted(z, slot(1), 0, &frame), "a frame of a full block");
        world->put(at(0, 1, 1));
    }

    enum { STALE = 9 };
};

FreeAndFull free_and_full;
RefreshAndFull refresh_and_full;
UndoAndLower undo_and_lower;
FullBesideLook full_beside_look;
FreeAndSearch free_and_search;
FreeAndSection free_and_section;
WholeAndSearch whole_and_search;
PairAndLower pair_and_lower;
PairAndFour pair_and_four;
PairAndSearch pair_and_search;
UndoAndFull undo_and_full;
HomeAndSearch home_and_search;

} /* namespace */

int main(int argc, char **argv)
{
    if (SMALL)
        return explore(argc, argv,
                       {
                           {"free_and_full", free_and_full, 2, Search::BOUND, 6},
                           {"free_and_search", free_and_search, 2, Search::BOUND, 6},
                           {"free_and_section", free_and_section, 2, Search::BOUND, 6},
                           {"whole_and_search", whole_and_search, 2, Search::FULL, 0},
                           {"pair_and_lower", pair_and_lower, 2, Search::FULL, 0},
                           {"pair_and_four", pair_and_four, 2, Search::BOUND, 5},
                           {"undo_and_lower", undo_and_lower, 2, Search::BOUND, 3},
                           {"refresh_and_full", refresh_and_full, 2, Search::BOUND, 3},
                           {"full_beside_look", full_beside_look, 2, Search::BOUND, 3},
                           {"pair_and_search", pair_and_search, 2, Search::BOUND, 4},
                           {"home_and_search", home_and_search, 2, Search::BOUND, 4},
                       });
    return explore(argc, argv,
                   {
                       {"free_and_full", free_and_full, 2, Search::BOUND, 3},
                       {"free_and_search", free_and_search, 2, Search::BOUND, 3},
                       {"free_and_section", free_and_section, 2, Search::BOUND, 3},
                       {"whole_and_search", whole_and_search, 2, Search::BOUND, 3},
                       {"pair_and_lower", pair_and_lower, 2, Search::BOUND, 3},
                       {"pair_and_search", pair_and_search, 2, Search::BOUND, 3},
                       {"undo_and_full", undo_and_full, 2, Search::BOUND, 3},
                   });
}
