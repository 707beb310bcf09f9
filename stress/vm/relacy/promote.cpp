/* SPDX-License-Identifier: MIT
 *
 * promote.cpp - small pages become a large one, and small again, under every interleaving with who
 * faults and writes.
 *
 * Frames are copied while they may be written, and then the copy is thrown away: so payloads are
 * words that may be read old, and a missing order is seen by what is read in the end.
 */
#define SPACES_READ_WHILE_WRITTEN
#define SPACES_WALK_ANSWERED
#include "spaces.hpp"

namespace
{

class Promotions : public InSpaces
{
  protected:
    ~Promotions() = default;
    virtual void begin() = 0;

    void setup() final
    {
        space_[0].paging.port.retire = space_[0].config.port.paging.retire = retire_tables;
        space_[0].config.port.frames.split = [](void *, quire_pfn, unsigned) { return 0; };
        how_.present = 1;
        demoted_.frames = 0;
        promoted_.parts = 0;
        require(reserve() == 0, "reserve");
        begin();
    }

    void share_more() final
    {
        world->words.patience.share();
        if (space_[0].config.limit)
            world->words.frames.share();
        for (Payload &payload : world->payload)
            payload.share();
    }

    void promote()
    {
        require(quire_space_promote(&space_[0], quire_vrange_of(AREA, 2 * FRAME), &how_,
                                    &promoted_) == 0,
                "promote");
    }

    void demote()
    {
        quire_demotion how = {};

        require(quire_space_demote(&space_[0], quire_vrange_of(AREA, 2 * FRAME), &how, &demoted_) ==
                    0,
                "demote");
    }

    /* What a program does. */
    void write(uint64_t virt, unsigned value)
    {
        while (!processor_writes(space_[0], virt, value)) {
            require(fault_in_call(space_[0], virt, WRITE) == 0, "a fault");
            if (!(entry_at(space_[0], virt) & 1))
                rl::yield(1, $);
        }
    }

    void write_at_rest(unsigned page, unsigned value)
    {
        require(program_writes(space_[0], AREA + page * FRAME, value) == 0, "a page");
    }

    bool is_large() const
    {
        return qa_load(&world->table[space_[0].paging.root.n].entry[1], acquire) &
               world->format.kind_mask;
    }

    void expect(unsigned first, unsigned second)
    {
        require(read_at_rest(space_[0], AREA) == first, "the first page");
        require(read_at_rest(space_[0], AREA + FRAME) == second, "the second page");
    }

    quire_promotion how_ = {};
    quire_promoted promoted_ = {};
    quire_demoted demoted_ = {};
};

/* One promotes; the other writes to a page that is there, to one that is not, or to one that was
 * another space's, too. */
class PromoteAndWrite : public Promotions
{
  public:
    enum class Page { THERE, NEW, COPIED, LIMITED };
    PromoteAndWrite(Page page, unsigned patience) : page_(page), patience_(patience)
    {
    }

  private:
    void begin() override
    {
        how_.patience = patience_;
        space_[0].config.limit = page_ == Page::LIMITED ? 2 : 0;
        write_at_rest(0, 5);
        if (page_ == Page::THERE || page_ == Page::COPIED)
            write_at_rest(1, 6);
        if (page_ == Page::COPIED) {
            fork();
            quire_space_destroy(&space_[--alive_]);
        }
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            promote();
        else
            write(AREA + FRAME, 7);
    }

    void check() override
    {
        require((promoted_.parts == 1) == is_large(), "what was promoted");
        require(frames_in_use() == 2, "frames");
        expect(5, 7);
    }

    const Page page_;
    const unsigned patience_;
};

/* One promotes twice; the other one's fault is late. */
class PromoteAndRead : public Promotions
{
  private:
    void begin() override
    {
        write_at_rest(0, 5);
    }

    void thread(unsigned index) override
    {
        unsigned value = 99;

        if (index == 0) {
            promote();
            require(quire_space_unmap(&space_[0], quire_vrange_of(AREA, FRAME)) == 0, "unmap");
            return;
        }
        while (!processor_reads(space_[0], AREA + FRAME, &value))
            require(fault_in_call(space_[0], AREA + FRAME, READ) == 0, "a fault");
        require(value == 0, "no zeros");
    }

    void check() override
    {
        require(frames_in_use() == 1 && !is_large(), "frames");
        require(read_at_rest(space_[0], AREA + FRAME) == 0, "no zeros");
    }
};

/* One promotes and forks, the other one writes: to the parent, which may be split just now. */
class PromoteAndFork : public Promotions
{
    void begin() override
    {
        write_at_rest(0, 5);
        write_at_rest(1, 6);
    }

    void thread(unsigned index) override
    {
        if (index == 1) {
            write(AREA + FRAME, 7);
            return;
        }
        promote();
        fork();
        value_ = read_at_rest(space_[1], AREA + FRAME);
        require(value_ == 6 || value_ == 7, "the child has something else");
    }

    void check() override
    {
        check_owners();
        expect(5, 7);
        require(read_at_rest(space_[1], AREA + FRAME) == value_, "the child's page changes");
    }

    unsigned value_ = 0;
};

/* One promotes, two write. */
class PromoteAndTwoWrite : public Promotions
{
    void begin() override
    {
        write_at_rest(0, 5);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            promote();
        else
            write(AREA + (index - 1) * FRAME, 6 + index);
    }

    void check() override
    {
        require(frames_in_use() == 2, "frames");
        expect(7, 8);
    }
};

/* One stops for ever before any step of a promotion, or of a demotion: the other one writes, though
 * not to the page of zeros that may be leaving. */
class CallStops : public Promotions
{
  public:
    explicit CallStops(bool promotes) : promotes_(promotes)
    {
    }

  private:
    void begin() override
    {
        write_at_rest(0, 5);
        write_at_rest(1, promotes_ ? 6 : 0);
        if (!promotes_)
            promote();
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            (void)up_to_a_stop([this] { promotes_ ? promote() : demote(); });
        else
            write(AREA, 7);
    }

    void check() override
    {
        if (promotes_)
            write(AREA + FRAME, 8); /* and on */
        require(read_at_rest(space_[0], AREA) == 7, "a write is lost");
    }

    bool stops() const override
    {
        return true;
    }

    const bool promotes_;
};

/* One demotes; the other one writes to the page that reads as zeros, or to the other. */
class DemoteAndWrite : public Promotions
{
  public:
    DemoteAndWrite(bool zeros, bool large) : zeros_(zeros), large_(large)
    {
    }

  private:
    void begin() override
    {
        write_at_rest(0, 5);
        write_at_rest(1, 0);
        if (large_)
            promote();
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            demote();
        else
            write(AREA + (zeros_ ? FRAME : 0), 7);
    }

    void check() override
    {
        require(!is_large(), "what was demoted");
        if (!zeros_)
            require(demoted_.frames == 1 && frames_in_use() == 1, "frames");
        expect(zeros_ ? 5 : 7, zeros_ ? 7 : 0);
    }

    const bool zeros_, large_;
};

typedef PromoteAndWrite::Page Page;
PromoteAndWrite promote_write(Page::THERE, 0), promote_patient(Page::THERE, 1);
PromoteAndWrite promote_new(Page::NEW, 0), promote_copied(Page::COPIED, 0);
PromoteAndWrite promote_limited(Page::LIMITED, 0);
PromoteAndRead promote_read;
PromoteAndFork promote_fork;
PromoteAndTwoWrite promote_two_write;
CallStops promote_stops(true), demote_stops(false);
DemoteAndWrite demote_zeros(true, true), demote_other(false, true), demote_small(true, false);

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"promote_write", promote_write, 2, Search::BOUND, 4},
                       {"promote_patient", promote_patient, 2, Search::BOUND, 4},
                       {"promote_new", promote_new, 2, Search::BOUND, 3},
                       {"promote_copied", promote_copied, 2, Search::BOUND, 3},
                       {"promote_limited", promote_limited, 2, Search::BOUND, 3},
                       {"promote_read", promote_read, 2, Search::BOUND, 3},
                       {"promote_fork", promote_fork, 2, Search::BOUND, 3},
                       {"promote_two_write", promote_two_write, 3, Search::BOUND, 2},
                       {"promote_stops", promote_stops, 2, Search::BOUND, 3},
                       {"demote_stops", demote_stops, 2, Search::BOUND, 4},
                       {"demote_zeros", demote_zeros, 2, Search::BOUND, 4},
                       {"demote_other", demote_other, 2, Search::BOUND, 4},
                       {"demote_small", demote_small, 2, Search::BOUND, 4},
                   });
}
