/* SPDX-License-Identifier: MIT
 *
 * gone.cpp - protocol 10: a block is given back to whoever is outside, and brought back, while
 * others want it. White-box.
 *
 * Who is outside is the port: what it takes away it holds in the shadow for as long as the call
 * lasts, so that a user of the block fails at once, and so does a missing order between the two;
 * and it knows which blocks it has: a user looks whether his is among them.
 */
#include "world/isolator.hpp"

namespace
{

class Outside : public InWorld
{
  protected:
    ~Outside() = default;

    virtual void prepare()
    {
        world->make_free(0);
    }

    /* How often `install` refuses. */
    virtual unsigned refusals() const
    {
        return 0;
    }

    virtual unsigned shared() const
    {
        return SECTION_BITS | GONE;
    }

    void setup() final
    {
        gone_ = false;
        discards_ = installs_ = 0;
        refused_ = refusals();
        world->z.port.ctx = this;
        world->z.port.discard = discard;
        world->z.port.install = install;
        prepare();
        world->start(shared());
    }

    void check() override
    {
        world->verify();
        require(qi_blocks_have_gone(&world->z, 0, 1) == gone_, "I7: the map and who is outside");
        require(qa_load(&world->head.gone, relaxed) == gone_, "blocks counted as gone");
    }

    /* The block is given away before the threads start. */
    void make_gone()
    {
        world->make_free(0);
        (void)qa_or(gone_word(&world->z, 0), 1, relaxed);
        qa_store(&world->head.gone, 1, relaxed);
        gone_ = true;
    }

    uint32_t give(unsigned s)
    {
        uint32_t given;

        require(!qi_blocks_give(&world->z, slot(s), 0, 0, 1, &given), "a discard was refused");
        return given;
    }

    /* Take the block, and free it. */
    bool use()
    {
        if (!world->take_whole(0, BLOCK_ORDER))
            return false;
        require(!gone_, "a block is handed out that is gone");
        world->drop(0, BLOCK_FRAMES);
        require(world->put_whole(0, BLOCK_ORDER) == QUIRE_OK, "a good free was refused");
        return true;
    }

    bool gone_;
    unsigned discards_, installs_, refused_;

  private:
    static int discard(void *ctx, quire_pfn pfn, uint64_t frames)
    {
        Outside *o = static_cast<Outside *>(ctx);

        world->hold(pfn.n, frames, false);
        require(!o->gone_, "a block that is gone is given away");
        o->gone_ = true;
        o->discards_++;
        world->drop(pfn.n, frames);
        return QUIRE_OK;
    }

    static int install(void *ctx, quire_pfn pfn, uint64_t frames, bool *zeroed)
    {
        Outside *o = static_cast<Outside *>(ctx);

        (void)zeroed;
        require(o->gone_, "a block that is here is installed");
        if (o->refused_) {
            o->refused_--;
            return QUIRE_ERR_NO_MEMORY;
        }
        world->hold(pfn.n, frames, false);
        o->gone_ = false;
        o->installs_++;
        world->drop(pfn.n, frames);
        return QUIRE_OK;
    }
};

/* A giver and one or two users of the block. */
class GiveAndUse : public Outside
{
    void thread(unsigned index) override
    {
        if (index == 0)
            (void)give(0);
        else
            (void)use();
    }
};

/* Two givers: one of them has it. */
class GiveTwice : public Outside
{
    void thread(unsigned index) override
    {
        (void)give(index);
    }

    void check() override
    {
        Outside::check();
        require(discards_ == 1, "nobody, or everybody, gave the block away");
    }
};

/* A block that is gone is wanted by two, and its first install is refused: each gets it, or found
 * it taken or refused; after it, it is to be had. */
class Refused : public Outside
{
  public:
    explicit Refused(bool twice) : twice_(twice)
    {
    }

  private:
    void prepare() override
    {
        make_gone();
    }

    unsigned refusals() const override
    {
        return twice_ ? 2 : 1;
    }

    void thread(unsigned index) override
    {
        if (index == 0 || twice_)
            (void)use();
        else
            (void)give(index);
    }

    void check() override
    {
        Outside::check();
        refused_ = 0;
        require(use(), "a block is lost");
    }

    bool twice_;
};

/* A frame of the block is taken, and freed: the block is split, and becomes whole. */
class GiveAndSplit : public Outside
{
    void thread(unsigned index) override
    {
        if (index == 0)
            (void)give(0);
        else if (world->take_range(1, at(0, 0, 0), 1, false)) {
            require(!gone_, "a frame is handed out that is gone");
            world->put(at(0, 0, 0));
        }
    }
};

/* The block is isolated meanwhile, and given up; by one giver, or by two of which one is between
 * its look and its claim. */
class GiveAndIsolate : public Outside
{
    void prepare() override
    {
        world->make_free(0);
        isolator_.reset();
    }

    unsigned shared() const override
    {
        return SECTION_BITS | GONE | LIST;
    }

    void thread(unsigned index) override
    {
        if (index != 1) {
            (void)give(index);
            return;
        }
        require(!isolator_.begin(1), "nobody else isolates");
        if (isolator_.look(1) == 0)
            require(!gone_, "an isolation holds what is gone");
        isolator_.undo(1);
    }

    Isolator isolator_;
};

GiveAndUse give_and_use;
GiveTwice give_twice;
Refused refused(false), refused_twice(true);
GiveAndSplit give_and_split;
GiveAndIsolate give_and_isolate;

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"give_and_use", give_and_use, 2, FULL_IF_SMALL, 3},
                       {"give_and_two_users", give_and_use, 3, Search::BOUND, 3},
                       {"give_twice", give_twice, 2, FULL_IF_SMALL, 3},
                       {"refused", refused, 2, FULL_IF_SMALL, 3},
                       {"refused_twice", refused_twice, 2, FULL_IF_SMALL, 3},
                       {"give_and_split", give_and_split, 2, Search::BOUND, 3},
                       {"give_and_isolate", give_and_isolate, 2, Search::BOUND, 3},
                       {"two_give_and_isolate", give_and_isolate, 3, Search::BOUND, 2},
                   });
}
