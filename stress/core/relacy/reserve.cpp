/* SPDX-License-Identifier: MIT
 *
 * reserve.cpp - protocol 5, the part of it that takes memory out of use and puts it into use: pins,
 * and reserved blocks that are divided. White-box.
 *
 * Reserved frames are held in the shadow by whoever reserved them. In the end everything that is
 * still reserved is put into use; then the block must be its section's, and no figure may be off.
 */
#include "world/isolator.hpp"

namespace
{

int unreserve(unsigned s, uint64_t frame, uint64_t n)
{
    return quire_zone_unreserve(&world->z, slot(s), pfn_of_frame(&world->z, frame), n);
}

/* Frames that nobody else unreserves. BUSY is an answer while another call divides the block. */
bool put_into_use(unsigned s, uint64_t frame, uint64_t n)
{
    int error;

    world->drop(frame, n);
    error = unreserve(s, frame, n);
    if (error)
        world->hold(frame, n, false);
    require(error == QUIRE_OK || error == QUIRE_ERR_BUSY, "reserved frames were refused");
    return !error;
}

/* A frame is taken, and freed. */
void take_and_put()
{
    uint64_t frame = world->take(0, 0);

    if (frame != NO_FRAME)
        world->put(frame);
}

class Reserving : public InWorld
{
  protected:
    ~Reserving() = default;

    /* All of block 0 goes into use, a frame at a time; FRAME is the answer for those that are. */
    void check() override
    {
        world->verify();
        for (uint64_t frame = 0; frame < BLOCK_FRAMES; frame++) {
            int error = unreserve(0, frame, 1);

            require(error == QUIRE_OK || error == QUIRE_ERR_FRAME, "an unreserve failed otherwise");
            if (!error)
                world->drop(frame, 1);
        }
        world->verify();
        require(desc_state(world->desc(0)) == D_FREE, "the block is not whole again");
        require(qa_load(&world->head.reserved, relaxed) == 0, "more or less was reserved");
        require(qa_load(&world->head.managed, relaxed) == BLOCK_FRAMES, "not all is in use");
    }
};

/* A reserved block is divided by two calls at once, each for a word of it. */
class TwoParts : public Reserving
{
  public:
    explicit TwoParts(bool fresh) : fresh_(fresh)
    {
    }

  private:
    void setup() override
    {
        world->make_reserved(0, fresh_);
        world->start(PINS | SECTION_BITS);
        done_ = 0;
    }

    void thread(unsigned index) override
    {
        done_ += put_into_use(index, at(0, index, 0), WORD_BITS);
    }

    void check() override
    {
        require(done_ > 0, "each of two calls left the block to the other");
        Reserving::check();
    }

    bool fresh_;
    unsigned done_;
};

/* The whole block goes into use by one call, a part of it by another: each frame by one of them. */
class WholeAndPart : public Reserving
{
    void setup() override
    {
        world->make_reserved(0, false);
        world->start(PINS | SECTION_BITS);
        for (int &error : errors_)
            error = QUIRE_OK;
    }

    void thread(unsigned index) override
    {
        errors_[index] =
            index ? unreserve(1, at(0, 1, 0), WORD_BITS) : unreserve(0, at(0, 0, 0), BLOCK_FRAMES);
    }

    void check() override
    {
        uint64_t managed = qa_load(&world->head.managed, relaxed);

        require(managed == quire_zone_free_frames(&world->z), "what went into use was not counted");
        require(errors_[0] || errors_[1], "a frame went into use twice");
        require(managed > 0 || errors_[0] == QUIRE_ERR_BUSY || errors_[1] == QUIRE_ERR_BUSY,
                "a false refusal");
        for (unsigned i = 0; i < MAP_WORDS; i++)
            world->drop_word(0, i, managed ? free_in(i) : 0);
        Reserving::check();
    }

    /* The frames of a word that are free, as the block says. */
    static uint64_t free_in(unsigned word)
    {
        if (!desc_divided(world->desc(0)))
            return WORD_FULL;
        return ~qa_load(&frame_map(&world->z, 0)->w[word], relaxed);
    }

    int errors_[2];
};

/* A part of a reserved block goes into use, and somebody takes it at once. */
class PartAndTaker : public Reserving
{
  public:
    explicit PartAndTaker(bool fresh) : fresh_(fresh)
    {
    }

  private:
    void setup() override
    {
        world->make_reserved(0, fresh_);
        world->start(PINS);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            require(put_into_use(0, at(0, 0, 0), WORD_BITS), "nobody was in the way");
        else
            take_and_put();
    }

    bool fresh_;
};

/* Frames are reserved, and put into use again, while the block's last frame in use is freed; or
 * while somebody takes frames of it. */
class Reserved : public Reserving
{
  public:
    explicit Reserved(bool last_free) : last_free_(last_free)
    {
    }

  private:
    void setup() override
    {
        world->make_split(0);
        if (last_free_)
            world->give(at(0, 1, 1), 1, false);
        world->start(PINS | SECTION_BITS);
    }

    void thread(unsigned index) override
    {
        quire_pfn pfn = quire_pfn_of(at(0, 0, 0));
        int error;

        if (index == 1) {
            last_free_ ? world->put(at(0, 1, 1)) : take_and_put();
            return;
        }
        error = quire_zone_reserve(&world->z, slot(0), pfn, 2);
        require(!error || error == QUIRE_ERR_BUSY, "a reservation failed otherwise");
        if (error)
            return;
        world->hold(at(0, 0, 0), 2, false);
        require(put_into_use(0, at(0, 0, 0), 2), "what was reserved cannot go into use");
    }

    bool last_free_;
};

/* A part of a free block is reserved, and somebody wants all of it. */
class ReservedOfWhole : public Reserving
{
    void setup() override
    {
        world->make_free(0);
        world->start(PINS | SECTION_BITS);
        done_ = 0;
    }

    void thread(unsigned index) override
    {
        if (index == 1) {
            if (!world->take_whole(0, BLOCK_ORDER))
                return;
            done_++;
            world->drop(0, BLOCK_FRAMES);
            require(!world->put_whole(0, BLOCK_ORDER), "a good free was refused");
        } else if (!quire_zone_reserve(&world->z, slot(0), quire_pfn_of(0), 2)) {
            done_++;
            world->hold(0, 2, false);
        }
    }

    void check() override
    {
        require(done_ > 0, "nobody got the block");
        Reserving::check();
    }

    unsigned done_;
};

/* Two blocks get entries of the pin table at once, which are looked for in the same place. */
class TwoPins : public InWorld
{
    void setup() override
    {
        world->make_split(0);
        world->start(PINS);
        world->z.end_block = OTHER + 1;
    }

    void thread(unsigned index) override
    {
        entry_[index] = qi_pin_make(&world->z, index * OTHER);
    }

    void check() override
    {
        require(entry_[0] && entry_[1] && entry_[0] != entry_[1], "two blocks have one entry");
        for (unsigned i = 0; i < 2; i++)
            require(qi_pin_find(&world->z, i * OTHER) == entry_[i], "an entry is lost");
    }

    enum { OTHER = 5 }; /* its key has the hash of that of block 0 */
    struct quire_pin *entry_[2];
};

/* A part of a reserved block goes into use while the block is isolated. */
class Isolated : public Beside
{
  public:
    explicit Isolated(End end) : Beside(end, LIST | PINS)
    {
    }

  private:
    void prepare() override
    {
        world->make_reserved(0, false);
    }

    uint64_t rival() override
    {
        require(put_into_use(1, at(0, 0, 0), WORD_BITS), "nobody was in the way");
        return 0;
    }
};

TwoParts two_parts(false), two_fresh_parts(true);
WholeAndPart whole_and_part;
PartAndTaker part_and_taker(false), fresh_part_and_taker(true);
Reserved reserved_and_taker(false), reserved_and_last_free(true);
ReservedOfWhole reserved_of_whole;
TwoPins two_pins;
Isolated isolated(LOOK), isolated_undo(UNDO);

const unsigned depth = SMALL ? 4 : 2;

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"two_parts", two_parts, 2, Search::BOUND, depth},
                       {"two_fresh_parts", two_fresh_parts, 2, Search::BOUND, depth - 1},
                       {"whole_and_part", whole_and_part, 2, Search::BOUND, depth},
                       {"part_and_taker", part_and_taker, 2, Search::BOUND, depth + 1},
                       {"fresh_part_and_taker", fresh_part_and_taker, 2, Search::BOUND, depth + 1},
                       {"reserved_and_taker", reserved_and_taker, 2, Search::BOUND, depth},
                       {"reserved_and_last_free", reserved_and_last_free, 2, Search::BOUND, depth},
                       {"reserved_of_whole", reserved_of_whole, 2, Search::BOUND, depth},
                       {"two_pins", two_pins, 2, Search::BOUND, 3},
                       {"isolated", isolated, 2, Search::BOUND, depth - 1},
                       {"isolated_undo", isolated_undo, 2, Search::BOUND, depth - 1},
                   });
}
