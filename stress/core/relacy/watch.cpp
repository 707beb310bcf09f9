/* SPDX-License-Identifier: MIT
 *
 * watch.cpp - protocol 9: who was refused is not refused again behind a free run. White-box.
 *
 * One thread asks for a run while the other makes one appear, each in another way. Whatever the
 * first was told, afterwards it gets the run.
 */
#include "world/isolator.hpp"

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
  public:
    explicit SplitBeside(unsigned shared) : shared_(shared)
    {
    }

  private:
    void setup() override
    {
        one_free();
        world->start(WATCH | shared_);
        refused_ = false;
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

    const unsigned shared_;
    bool refused_ = false;
};

/* The same; and a free in the block has raised its hole byte, so that the split has nothing to
 * raise, and stops for ever before it looks at the watch. */
class SplitBesideStop : public InWorld
{
    void setup() override
    {
        one_free();
        world->start(WATCH | HOLES);
        refused_ = false;
    }

    static int ask()
    {
        quire_pfn pfn;

        return quire_zone_alloc(&world->z, slot(1), BLOCK_ORDER - 1, QUIRE_EMERGENCY, &pfn);
    }

    /* What a free does that found no hole shown; up to a stop it is not known to others. */
    static void raise()
    {
        uint32_t d = world->desc(0);

        if (desc_state(d) != D_SPLIT)
            return;
        qa_fence_seq_cst();
        qi_hint_hole_raise(&world->z, 0, d, HOLE_MOST);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            split_it();
        else if (index == 1)
            refused_ = ask() != 0;
        else
            (void)up_to_a_stop(raise);
    }

    void check() override
    {
        require(!refused_ || !ask(), "refused behind a free run");
    }

    bool refused_ = false;
};

/* It is known that there is no run of four, when one is freed beside a request for a run of eight,
 * which is refused: what is known is not what the other one read before. */
class KnownBefore : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->give_but(0, at(0, 0, 1), 3);
        world->start(WATCH);
        (void)qa_add(&world->head.total, BLOCK_FRAMES, relaxed);
        require(ask(2), "there is a run");
    }

    static bool ask(unsigned order) /* true: refused */
    {
        quire_pfn pfn;

        return quire_zone_alloc(&world->z, slot(1), order, QUIRE_EMERGENCY, &pfn);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            world->put(at(0, 0, 0));
        else
            require(ask(3), "there is a run of eight");
    }

    void check() override
    {
        require(!ask(2), "refused behind a free run");
    }
};

/* Pairs are watched. Two threads free one each, then one of them a run of eight, beside a request
 * for one: it is not known behind it that there is none. */
class TwoFreers : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->give_but(0, at(0, 1, 1), 7);
        for (unsigned frame : {1, 7}) {
            (void)qa_and(&frame_map(&world->z, 0)->w[0], ~(1ull << frame), relaxed);
            world->drop(at(0, 0, frame), 1);
        }
        world->start(WATCH);
        (void)qa_add(&world->head.total, BLOCK_FRAMES, relaxed);
        (void)qi_watch_arm(&world->z, 1);
        refused_ = false;
    }

    static bool ask()
    {
        quire_pfn pfn;

        return quire_zone_alloc(&world->z, slot(1), 3, QUIRE_EMERGENCY, &pfn);
    }

    void thread(unsigned index) override
    {
        if (index == 1) {
            refused_ = ask();
            return;
        }
        world->put(at(0, 0, index == 0 ? 0 : 6));
        if (index == 0)
            world->put(at(0, 1, 0));
    }

    void check() override
    {
        require(!refused_ || !ask(), "refused behind a free run");
    }

    bool refused_;
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

/* A run is free before and after, and hidden or in use meanwhile: by thread 0, and by thread 2 if
 * there is a third one. What they take is given back before the run is asked for again. */
class RefusalAmid : public InWorld
{
  public:
    RefusalAmid(unsigned order, Step prepare, Step first, Step second = nullptr)
        : InWorld(2), order_(order), prepare_(prepare), first_(first), second_(second)
    {
    }

  private:
    void setup() override
    {
        prepare_();
        world->start(second_ ? WATCH : WATCH | LIST | SECTION_BITS);
        (void)qa_add(&world->head.total, 2 * BLOCK_FRAMES, relaxed);
        frame_ = NO_FRAME;
    }

    void thread(unsigned index) override
    {
        quire_pfn pfn;

        if (index == 1)
            frame_ = quire_zone_alloc(&world->z, slot(1), order_, QUIRE_EMERGENCY, &pfn)
                         ? NO_FRAME
                         : frame_of_pfn(&world->z, pfn);
        else
            (index == 0 ? first_ : second_)();
    }

    void check() override
    {
        quire_pfn pfn;

        if (join_won())
            return;
        require(frame_ != NO_FRAME ||
                    !quire_zone_alloc(&world->z, slot(1), order_, QUIRE_EMERGENCY, &pfn),
                "refused behind a free run");
    }

    /* A join was faster than a free of the pair, which was refused. */
    bool join_won() const
    {
        unsigned free;

        return desc_state(world->desc(0)) == D_WHOLE ||
               (order_ == 1 && second_ && qi_map_hole(frame_map(&world->z, 0), &free) <= order_);
    }

    const unsigned order_;
    const Step prepare_, first_, second_;
    uint64_t frame_ = NO_FRAME;
};

void take_and_put_range(uint64_t frame, uint64_t n)
{
    if (!world->take_range(0, frame, n, false))
        return;
    world->drop(frame, n);
    (void)qi_frames_clear(&world->z, frame, n);
}

/* Two free frames at the end of a word. */
void pair_free()
{
    world->make_split(0);
    world->give_but(0, at(0, 0, WORD_BITS - 2), 2);
}

void undo_range()
{
    take_and_put_range(at(0, 0, WORD_BITS - 2), 3);
}

/* A free block, and one in use. */
void block_free()
{
    world->make_free(0);
    world->make_split(1);
    world->give(at(1, 0, 0), BLOCK_FRAMES, false);
}

void undo_blocks()
{
    take_and_put_range(0, BLOCK_FRAMES + 1);
}

void take_part()
{
    take_and_put_range(at(0, 1, 0), 3);
}

void isolate_and_undo()
{
    struct quire_run run = {pfn_of_frame(&world->z, frame_at(0, 0)), BLOCK_FRAMES};
    struct quire_isolated_frames held;
    struct quire_isolation iso = {};

    require(!quire_zone_isolate(&world->z, slot(0), run, &held, &iso), "an isolation failed");
    require(!quire_zone_isolate_undo(&world->z, slot(0), &iso), "an undo failed");
}

void reserved()
{
    world->make_reserved(0, false);
}

void unreserve(uint64_t frame, uint64_t n)
{
    require(!quire_zone_unreserve(&world->z, slot(0), pfn_of_frame(&world->z, frame), n),
            "reserved frames were refused");
}

void unreserve_block()
{
    unreserve(0, BLOCK_FRAMES);
}

void unreserve_pair()
{
    unreserve(at(0, 1, 2), 2);
}

void all_used()
{
    world->make_split(0);
    world->give(0, BLOCK_FRAMES, false);
}

/* By the public calls: of a block that was joined before, they are refused. */
void free_pair()
{
    for (unsigned i = 0; i < 2; i++)
        (void)quire_zone_free(&world->z, slot(0), pfn_of_frame(&world->z, at(0, 0, i)), 0);
}

void join()
{
    (void)quire_zone_join(&world->z, slot(2), pfn_of_frame(&world->z, 0));
}

/* Two free words, the others in use. */
void words_free()
{
    world->make_split(0);
    world->give_but(0, 0, 2 * WORD_BITS);
}

void take_words()
{
    uint64_t frame = world->take(0, WORD_ORDER + 1);

    if (frame == NO_FRAME)
        return;
    world->drop(frame, 2 * WORD_BITS);
    require(qi_run_unmark(&world->z, frame, 2 * WORD_BITS), "a run was not marked");
    (void)qi_frames_clear(&world->z, frame, 2 * WORD_BITS);
}

void take_in_word()
{
    take_and_put_range(at(0, 1, 0), 1);
}

RefusalAmid range_undo(1, pair_free, undo_range), pair_isolated(1, pair_free, isolate_and_undo),
    blocks_undo(BLOCK_ORDER, block_free, undo_blocks),
    pair_of_blocks_undo(1, block_free, undo_blocks),
    part_of_block(BLOCK_ORDER, block_free, take_part),
    block_isolated(BLOCK_ORDER, block_free, isolate_and_undo),
    pair_of_block_isolated(1, block_free, isolate_and_undo),
    block_unreserved(BLOCK_ORDER, reserved, unreserve_block),
    pair_unreserved(1, reserved, unreserve_pair), not_joined(1, all_used, free_pair, join),
    words_undone(WORD_ORDER + 1, words_free, take_words, take_in_word);

RefusalBeside pair(1, used, free_first), pair_in_home(1, used_home, free_first),
    half(BLOCK_ORDER - 1, nearly_free, free_both), block(BLOCK_ORDER, whole, free_whole),
    block_by_frames(BLOCK_ORDER, nearly_free, free_both),
    empty_home(BLOCK_ORDER, nearly_free_home, free_first);
SplitBeside split_beside(SECTION_BITS), split_beside_hint(SECTION_BITS | HOLES);
SplitBesideStop split_beside_stop;
KnownBefore known_before;
TwoFreers two_freers;
HomeBesideUndo home_beside_undo;

} /* namespace */

int main(int argc, char **argv)
{
    if (!SMALL)
        return explore(argc, argv,
                       {
                           {"words_undone", words_undone, 3, Search::BOUND, 1},
                           {"words_undone_at_random", words_undone, 3, Search::RANDOM, 30000},
                       });
    return explore(argc, argv,
                   {
                       {"pair", pair, 2, Search::BOUND, 4},
                       {"pair_in_home", pair_in_home, 2, Search::BOUND, 4},
                       {"half", half, 2, Search::BOUND, 3},
                       {"block", block, 2, Search::BOUND, 4},
                       {"block_by_frames", block_by_frames, 2, Search::BOUND, 3},
                       {"empty_home", empty_home, 2, Search::BOUND, 4},
                       {"split_beside", split_beside, 2, Search::BOUND, 3},
                       {"split_beside_hint", split_beside_hint, 2, Search::BOUND, 2},
                       {"split_beside_stop", split_beside_stop, 3, Search::BOUND, 2},
                       {"known_before", known_before, 2, Search::BOUND, 3},
                       {"two_freers", two_freers, 3, Search::BOUND, 2},
                       {"home_beside_undo", home_beside_undo, 2, Search::BOUND, 4},
                       {"range_undo", range_undo, 2, Search::BOUND, 3},
                       {"pair_isolated", pair_isolated, 2, Search::BOUND, 3},
                       {"blocks_undo", blocks_undo, 2, Search::BOUND, 3},
                       {"pair_of_blocks_undo", pair_of_blocks_undo, 2, Search::BOUND, 3},
                       {"part_of_block", part_of_block, 2, Search::BOUND, 3},
                       {"block_isolated", block_isolated, 2, Search::BOUND, 2},
                       {"pair_of_block_isolated", pair_of_block_isolated, 2, Search::BOUND, 2},
                       {"block_unreserved", block_unreserved, 2, Search::BOUND, 3},
                       {"pair_unreserved", pair_unreserved, 2, Search::BOUND, 3},
                       {"not_joined", not_joined, 3, Search::BOUND, 1},
                       {"not_joined_at_random", not_joined, 3, Search::RANDOM, 30000},
                   });
}
