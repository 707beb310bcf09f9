/* SPDX-License-Identifier: MIT
 *
 * trim.cpp - tables that run empty leave, under every interleaving. A table that was retired may be
 * looked at by calls that began before, and by no others; it is back when the last of them has
 * ended.
 */
#include "spaces.hpp"

namespace
{

/* The two pages of the area have a table. */
class WithTable : public InSpaces
{
  protected:
    ~WithTable() = default;

    void setup() override
    {
        space_[0].paging.port.retire = retire_tables;
        require(reserve() == 0 && program_writes(space_[0], AREA + FRAME, 5) == 0, "a page");
    }

    int fault(uint64_t virt)
    {
        return fault_in_call(space_[0], virt, WRITE);
    }

    void unmap(uint64_t virt, uint64_t bytes)
    {
        enter_call();
        require(quire_space_unmap(&space_[0], quire_vrange_of(virt, bytes)) == 0, "unmap");
        leave_call();
    }

    static unsigned tables_in_use()
    {
        unsigned used = 0;

        for (State state : world->tables)
            used += state == State::GIVEN || state == State::RETIRED;
        return used;
    }
};

/* A fault, or a look, beside the unmap of all that its table has; and perhaps what is reserved
 * there anew. `copies`: the fault is a first write to a page that another space has too. */
class FaultAndTrim : public WithTable
{
  public:
    FaultAndTrim(bool looks, bool again, bool copies = false)
        : looks_(looks), again_(again), copies_(copies)
    {
    }

  private:
    void setup() override
    {
        WithTable::setup();
        if (copies_) {
            require(program_writes(space_[0], AREA, 5) == 0, "a page");
            fork();
        }
    }

    void thread(unsigned index) override
    {
        int error;

        if (index == 1) {
            unmap(AREA, 2 * FRAME);
            enter_call();
            require(!again_ || reserve() == 0, "reserve");
            leave_call();
        } else if (looks_) {
            quire_page page;

            enter_call();
            error = quire_paging_translate(&space_[0].paging, quire_vaddr_of(AREA + FRAME), &page,
                                           nullptr);
            leave_call();
            require(error == 0 || error == QUIRE_ERR_UNMAPPED, "translate");
        } else {
            error = fault(AREA);
            require(error == 0 || error == QUIRE_ERR_AREA, "fault");
        }
    }

    void check() override
    {
        if (again_) {
            require(quire_space_fault(&space_[0], quire_vaddr_of(AREA), READ) == 0, "fault");
            return;
        }
        require(qa_load(&world->table[space_[0].paging.root.n].entry[1], relaxed) == 0,
                "something is left");
        if (copies_)
            require(read_at_rest(space_[1], AREA) == 5, "the child's page changed");
        else
            require(tables_in_use() == 1 && frames_in_use() == 0, "a table or a frame is left");
    }

    const bool looks_, again_, copies_;
};

/* One page of two is unmapped, beside a fault on the other: the table stays. */
class OtherPage : public WithTable
{
    void thread(unsigned index) override
    {
        if (index == 1)
            unmap(AREA + FRAME, FRAME);
        else
            require(fault(AREA) == 0, "fault");
    }

    void check() override
    {
        require(read_at_rest(space_[0], AREA) == 0 && tables_in_use() == 2, "the page is gone");
    }
};

/* One stops for ever before any step: the other has its answer, and the table is not given back
 * while the one is in it. */
class Stops : public WithTable
{
  public:
    explicit Stops(bool unmap_stops) : unmap_stops_(unmap_stops)
    {
    }

  private:
    void thread(unsigned index) override
    {
        bool unmaps = (index == 0) == unmap_stops_;

        if (index == 0)
            (void)up_to_a_stop([this, unmaps] { work(unmaps); });
        else
            work(unmaps);
    }

    void work(bool unmaps)
    {
        int error;

        if (unmaps) {
            unmap(AREA, 2 * FRAME);
            return;
        }
        error = fault(AREA);
        require(error == 0 || error == QUIRE_ERR_AREA, "fault");
    }

    void check() override
    {
        if (!unmap_stops_)
            require(qa_load(&world->table[space_[0].paging.root.n].entry[1], relaxed) == 0,
                    "the table is still there");
    }

    bool stops() const override
    {
        return true;
    }

    const bool unmap_stops_;
};

FaultAndTrim fault_trim(false, false), look_trim(true, false), late_fault(false, true);
FaultAndTrim copy_trim(false, false, true);
OtherPage other_page;
Stops unmap_stops(true), fault_stops(false);

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"fault_trim", fault_trim, 2, Search::BOUND, 5},
                       {"look_trim", look_trim, 2, Search::FULL, 0},
                       {"late_fault", late_fault, 2, Search::BOUND, 5},
                       {"copy_trim", copy_trim, 2, Search::BOUND, 3},
                       {"other_page", other_page, 2, Search::BOUND, 5},
                       {"unmap_stops", unmap_stops, 2, Search::BOUND, 3},
                       {"fault_stops", fault_stops, 2, Search::BOUND, 3},
                   });
}
