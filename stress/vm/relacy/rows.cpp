/* SPDX-License-Identifier: MIT
 *
 * rows.cpp - two small pages get frames side by side, under every interleaving with who faults,
 * writes and reads. White-box: the row is made as a scan makes it that has found it worth it, so
 * nobody reads what may be written meanwhile, and a race for a payload says that an order is
 * missing.
 */
#define SPACES_WALK_ANSWERED
#include "spaces.hpp"

namespace
{

class Rows : public InSpaces
{
  protected:
    ~Rows() = default;
    virtual void begin() = 0;

    void setup() final
    {
        space_[0].config.port.frames.split = [](void *, quire_pfn, unsigned) { return 0; };
        done_ = {};
        refused_ = false;
        require(reserve() == 0, "reserve");
        begin();
    }

    void share_more() final
    {
        if (space_[0].config.limit)
            world->words.frames.share();
    }

    void make()
    {
        const uint64_t root = qa_load(&world->table[space_[0].paging.root.n].entry[1], acquire);
        scan one = {};
        part whole = {};
        int error;

        one.space = &space_[0];
        one.how = &how_;
        one.done = &done_;
        whole.virt = AREA;
        whole.table = entry_pfn(&world->format, root);
        error = make_row(&one, &whole, row{1, 0});
        refused_ = error == QUIRE_ERR_LIMIT;
        require(error == 0 || (refused_ && space_[0].config.limit), "a row");
    }

    /* What programs do. */
    void fault(uint64_t virt, uint32_t access)
    {
        require(quire_space_fault(&space_[0], quire_vaddr_of(virt), access) == 0, "a fault");
        if (!(entry_at(space_[0], virt) & 1))
            rl::yield(1, $);
    }

    /* One makes a row, the other one writes to its second page, but where a case says otherwise. */
    void thread(unsigned index) override
    {
        if (index == 0)
            make();
        else
            write(1, 7);
    }

    void write(unsigned page, unsigned value)
    {
        while (!processor_writes(space_[0], AREA + page * FRAME, value))
            fault(AREA + page * FRAME, WRITE);
    }

    unsigned read(unsigned page)
    {
        unsigned value = 99;

        while (!processor_reads(space_[0], AREA + page * FRAME, &value))
            fault(AREA + page * FRAME, READ);
        return value;
    }

    uint64_t frame(unsigned page) const
    {
        return entry_pfn(&world->format, entry_at(space_[0], AREA + page * FRAME)).n;
    }

    /* A fault may have taken a page, or what a limit leaves. */
    void expect(unsigned first, unsigned second)
    {
        require(done_.rows + done_.ended + refused_ == 1, "neither made nor ended");
        require(!done_.rows || frame(1) == frame(0) + 1, "what was made is no row");
        require(frames_in_use() == 2, "frames");
        require(read_at_rest(space_[0], AREA) == first, "the first page");
        require(read_at_rest(space_[0], AREA + FRAME) == second, "the second page");
    }

    quire_promotion how_ = {};
    quire_promoted done_ = {};
    bool refused_ = false;
};

/* One makes a row; the other one writes to a page that is there, to one that is not, or to one that
 * was another space's, too. */
class RowAndWrite : public Rows
{
  public:
    enum class Page { THERE, NEW, COPIED, LIMITED };
    explicit RowAndWrite(Page page) : page_(page)
    {
    }

  private:
    void begin() override
    {
        space_[0].config.limit = page_ == Page::LIMITED ? 2 : 0;
        write(0, 5);
        if (page_ == Page::THERE || page_ == Page::COPIED)
            write(1, 6);
        if (page_ == Page::COPIED) {
            fork();
            quire_space_destroy(&space_[--alive_]);
        }
    }

    void check() override
    {
        require(page_ == Page::COPIED || done_.rows == 1 || refused_, "no row");
        if (page_ == Page::LIMITED)
            require(qa_load(&world->words.frames, relaxed) == 2, "counted frames");
        expect(5, 7);
    }

    const Page page_;
};

/* One makes a row and unmaps a page of it; the other one reads where nothing was yet. */
class RowAndRead : public Rows
{
    void begin() override
    {
        write(0, 5);
    }

    void thread(unsigned index) override
    {
        if (index == 1) {
            require(read(1) == 0, "no zeros");
            return;
        }
        make();
        require(quire_space_unmap(&space_[0], quire_vrange_of(AREA, FRAME)) == 0, "unmap");
    }

    void check() override
    {
        require(done_.rows == 1 && frames_in_use() == 1, "frames");
    }
};

/* One makes a row, two write: to the page that is there, and to the one that is not. */
class RowAndTwoWrite : public Rows
{
    void begin() override
    {
        write(0, 5);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            make();
        else
            write(index - 1, 6 + index);
    }

    void check() override
    {
        expect(7, 8);
    }
};

/* One makes a row and forks, the other one writes to the parent. */
class RowAndFork : public Rows
{
    void begin() override
    {
        write(0, 5);
        write(1, 6);
    }

    void thread(unsigned index) override
    {
        if (index == 1) {
            write(1, 7);
            return;
        }
        make();
        fork();
        value_ = read_at_rest(space_[1], AREA + FRAME);
        require(value_ == 6 || value_ == 7, "the child has something else");
    }

    void check() override
    {
        check_owners();
        require(read_at_rest(space_[0], AREA + FRAME) == 7, "the parent's page");
        require(read_at_rest(space_[1], AREA + FRAME) == value_, "the child's page changes");
    }

    unsigned value_ = 0;
};

/* A page is pinned when it is about to be moved: it stays where it was. */
class RowAndPin : public Rows
{
    void begin() override
    {
        write(0, 5);
        write(1, 6);
        pinned_ = frame(1);
        how_.ctx = &pinned_;
        how_.pinned = [](void *ctx, quire_pfn pfn) {
            return pfn.n == *static_cast<const uint64_t *>(ctx);
        };
    }

    void check() override
    {
        require(done_.ended == 1 && frame(1) == pinned_, "what is pinned was moved");
        expect(5, 7);
    }

    uint64_t pinned_ = 0;
};

/* A fault stops for ever before any step: a row is made, or lacks a page, and waits for nobody. */
class FaultStops : public Rows
{
    void begin() override
    {
        write(0, 5);
        write(1, 6);
        fork();
        quire_space_destroy(&space_[--alive_]); /* so that a write holds the page */
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            make();
        else
            (void)up_to_a_stop([this] {
                require(quire_space_fault(&space_[0], quire_vaddr_of(AREA + FRAME), WRITE) == 0,
                        "a fault");
            });
    }

    void check() override
    {
        require(read_at_rest(space_[0], AREA) == 5, "the other page");
    }

    bool stops() const override
    {
        return true;
    }
};

typedef RowAndWrite::Page Page;
RowAndWrite row_write(Page::THERE), row_new(Page::NEW), row_copied(Page::COPIED);
RowAndWrite row_limited(Page::LIMITED);
RowAndRead row_read;
RowAndTwoWrite row_two_write;
RowAndFork row_fork;
RowAndPin row_pin;
FaultStops row_fault_stops;

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"row_write", row_write, 2, Search::BOUND, 4},
                       {"row_new", row_new, 2, Search::BOUND, 4},
                       {"row_copied", row_copied, 2, Search::BOUND, 4},
                       {"row_limited", row_limited, 2, Search::BOUND, 4},
                       {"row_read", row_read, 2, Search::BOUND, 4},
                       {"row_two_write", row_two_write, 3, Search::BOUND, 3},
                       {"row_fork", row_fork, 2, Search::BOUND, 3},
                       {"row_pin", row_pin, 2, Search::BOUND, 4},
                       {"row_fault_stops", row_fault_stops, 2, Search::BOUND, 4},
                   });
}
