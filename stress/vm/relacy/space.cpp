/* SPDX-License-Identifier: MIT
 *
 * space.cpp - anonymous memory of spaces under every interleaving.
 */
#include "spaces.hpp"

namespace
{

/* Two fault on one page, or on two pages of one reserved entry. Each finds zeros, or what the other
 * wrote; one frame for each page. */
class Faults : public InSpaces
{
  public:
    explicit Faults(bool same) : same_(same)
    {
    }

  private:
    void setup() override
    {
        require(reserve() == 0, "reserve");
    }

    void thread(unsigned index) override
    {
        uint64_t virt = AREA + (same_ ? 0 : index * FRAME);
        unsigned value = 99;

        require(quire_space_fault(&space_[0], quire_vaddr_of(virt), READ) == 0, "fault");
        require(processor_reads(space_[0], virt, &value) && value == 0, "no zeros");
    }

    void check() override
    {
        require(frames_in_use() == (same_ ? 1 : 2), "frames");
    }

    const bool same_;
};

/* One faults and writes, the other unmaps, and perhaps reserves anew. */
class FaultAndUnmap : public InSpaces
{
  public:
    FaultAndUnmap(bool touched, bool again) : touched_(touched), again_(again)
    {
    }

  private:
    void setup() override
    {
        require(reserve() == 0, "reserve");
        if (touched_)
            require(quire_space_fault(&space_[0], quire_vaddr_of(AREA + FRAME), READ) == 0,
                    "fault");
    }

    void thread(unsigned index) override
    {
        if (index == 0) {
            int error = quire_space_fault(&space_[0], quire_vaddr_of(AREA), WRITE);

            require(error == 0 || error == QUIRE_ERR_AREA, "fault");
            return;
        }
        require(quire_space_unmap(&space_[0], quire_vrange_of(AREA, 2 * FRAME)) == 0, "unmap");
        if (again_)
            require(reserve() == 0, "reserve");
    }

    void check() override
    {
        if (again_)
            require(read_at_rest(space_[0], AREA) == 0, "no zeros");
        else
            require(entry_at(space_[0], AREA) == 0 && frames_in_use() == 0, "something is left");
    }

    const bool touched_, again_;
};

/* The space is forked while another CPU writes. The child has what was there before or after, and
 * nothing later; the parent keeps what it wrote. `forked`: there is another child already. */
class ForkAndWrite : public InSpaces
{
  public:
    explicit ForkAndWrite(bool forked) : forked_(forked)
    {
    }

  private:
    void setup() override
    {
        require(reserve() == 0 && program_writes(space_[0], AREA, 5) == 0, "a page");
        if (forked_) { /* the child ends: the page is to be copied, and has one owner */
            fork();
            quire_space_destroy(&space_[--alive_]);
        }
    }

    void thread(unsigned index) override
    {
        if (index == 1) {
            require(program_writes(space_[0], AREA, 6) == 0, "write");
            return;
        }
        fork();
        value_ = read_at_rest(space_[1], AREA);
        require(value_ == 5 || value_ == 6, "the child has something else");
    }

    void check() override
    {
        check_owners();
        require(read_at_rest(space_[0], AREA) == 6, "a write of the parent is lost");
        require(read_at_rest(space_[1], AREA) == value_, "the child's page changes");
    }

    const bool forked_;
    unsigned value_;
};

/* A page of two spaces. The child copies it; the parent, perhaps its only owner by now, forks
 * again, is it once more when that child has ended, and writes in place. */
class ForkAgain : public InSpaces
{
    void setup() override
    {
        make_family(5);
        alive_ = 3;
    }

    void thread(unsigned index) override
    {
        if (index == 0) {
            require(program_writes(space_[1], AREA, 7) == 0, "write");
            return;
        }
        require(quire_space_fork(&space_[0], &space_[2]) == 0, "fork");
        require(program_writes(space_[2], AREA, 8) == 0, "write");
        require(program_writes(space_[0], AREA, 6) == 0, "write");
    }

    void check() override
    {
        check_owners();
        require(read_at_rest(space_[0], AREA) == 6 && read_at_rest(space_[1], AREA) == 7 &&
                    read_at_rest(space_[2], AREA) == 8,
                "a write is lost");
    }
};

/* A page of two spaces, or three: each writes. */
class FamilyWrites : public InSpaces
{
  public:
    explicit FamilyWrites(unsigned members) : members_(members)
    {
    }

  private:
    void setup() override
    {
        make_family(5);
        while (alive_ < members_)
            fork();
    }

    void thread(unsigned index) override
    {
        require(program_writes(space_[index], AREA, 10 + index) == 0, "write");
    }

    void check() override
    {
        check_owners();
        for (unsigned i = 0; i < members_; i++)
            require(read_at_rest(space_[i], AREA) == 10 + i, "a write is lost");
        require(frames_in_use() == members_, "frames");
    }

    const unsigned members_;
};

/* Two CPUs of one space write to a page that another space has too; or one writes, and one unmaps,
 * or the other space ends. */
class WriteAnd : public InSpaces
{
  public:
    enum class Other { WRITES, UNMAPS, ENDS };
    explicit WriteAnd(Other other) : other_(other)
    {
    }

  private:
    void setup() override
    {
        make_family(5);
    }

    void thread(unsigned index) override
    {
        if (index == 1 && other_ == Other::WRITES) { /* but its word is no concern here */
            require(quire_space_fault(&space_[0], quire_vaddr_of(AREA), WRITE) == 0, "fault");
        } else if (index == 0) {
            int error = program_writes(space_[0], AREA, 10 + index);

            require(error == 0 || (other_ == Other::UNMAPS && error == QUIRE_ERR_AREA), "write");
        } else if (other_ == Other::UNMAPS) {
            require(quire_space_unmap(&space_[0], quire_vrange_of(AREA, FRAME)) == 0, "unmap");
        } else {
            quire_space_destroy(&space_[1]);
            alive_ = 1;
        }
    }

    void check() override
    {
        check_owners();
        if (other_ == Other::UNMAPS)
            require(entry_at(space_[0], AREA) == 0, "something is left");
        else
            require(read_at_rest(space_[0], AREA) == 10, "a write is lost");
        if (other_ != Other::ENDS)
            require(read_at_rest(space_[1], AREA) == 5, "the other space's page changed");
    }

    const Other other_;
};

/* One stops for ever before any step of a fault: the other faults on another page. `forked`: both
 * pages are to be copied. */
class FaultStops : public InSpaces
{
  public:
    FaultStops(bool forked, unsigned limit) : forked_(forked), limit_(limit)
    {
    }

  private:
    void setup() override
    {
        require(reserve() == 0, "reserve");
        if (forked_) {
            require(program_writes(space_[0], AREA, 5) == 0, "a page");
            require(program_writes(space_[0], AREA + FRAME, 5) == 0, "a page");
            fork();
        }
        space_[0].config.limit = limit_;
    }

    void share_more() override
    {
        if (limit_)
            world->words.frames.share();
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            (void)up_to_a_stop(
                [this] { (void)quire_space_fault(&space_[0], quire_vaddr_of(AREA), WRITE); });
        else
            require(quire_space_fault(&space_[0], quire_vaddr_of(AREA + FRAME), WRITE) == 0 &&
                        processor_writes(space_[0], AREA + FRAME, 7),
                    "the other one was in the way");
    }

    void check() override
    {
        unsigned value = 99;

        require(processor_reads(space_[0], AREA + FRAME, &value) && value == 7, "a write is lost");
    }

    bool stops() const override
    {
        return true;
    }

    const bool forked_;
    const unsigned limit_;
};

/* With a limit: two fault on one page, and neither is refused; or on two, and one of them is, if
 * there may be one. */
class Limited : public InSpaces
{
  public:
    Limited(bool same, unsigned limit) : same_(same), limit_(limit)
    {
    }

  private:
    void setup() override
    {
        require(reserve() == 0, "reserve");
        space_[0].config.limit = limit_;
        refused_[0] = refused_[1] = false;
    }

    void share_more() override
    {
        world->words.frames.share();
    }

    void thread(unsigned index) override
    {
        uint64_t virt = AREA + (same_ ? 0 : index * FRAME);
        unsigned value = 0;
        int error = 0;

        while (error == 0 && !processor_reads(space_[0], virt, &value)) {
            error = quire_space_fault(&space_[0], quire_vaddr_of(virt), READ);
            if (!(entry_at(space_[0], virt) & 1))
                rl::yield(1, $);
        }
        require(error == 0 || error == QUIRE_ERR_LIMIT, "fault");
        require(value == 0, "no zeros");
        refused_[index] = error != 0;
    }

    void check() override
    {
        unsigned pages = same_ ? 1 : 2;

        require(refused_[0] + refused_[1] == (pages > limit_ ? 1 : 0), "who is refused");
        require(frames_in_use() == (pages < limit_ ? pages : limit_), "frames");
        require(qa_load(&world->words.frames, relaxed) == frames_in_use(), "what is counted");
    }

    const bool same_;
    const unsigned limit_;
    bool refused_[2];
};

Faults same_page(true), two_pages(false);
Limited limited_same(true, 1), limited_one(false, 1), limited_two(false, 2);
FaultAndUnmap fault_unmap(false, false), fault_unmap_lower(true, false), late_fault(true, true);
ForkAndWrite fork_write(false), fork_in_place(true);
ForkAgain fork_again;
FamilyWrites two_write(2), three_write(3);
WriteAnd cpus_write(WriteAnd::Other::WRITES), write_unmap(WriteAnd::Other::UNMAPS);
WriteAnd write_end(WriteAnd::Other::ENDS);
FaultStops fault_stops(false, 0), limited_stops(false, 2), copy_stops(true, 0);

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"same_page", same_page, 2, Search::BOUND, 4},
                       {"two_pages", two_pages, 2, Search::BOUND, 4},
                       {"limited_same", limited_same, 2, Search::BOUND, 3},
                       {"limited_one", limited_one, 2, Search::BOUND, 3},
                       {"limited_two", limited_two, 2, Search::BOUND, 3},
                       {"fault_unmap", fault_unmap, 2, Search::BOUND, 3},
                       {"fault_unmap_lower", fault_unmap_lower, 2, Search::BOUND, 3},
                       {"late_fault", late_fault, 2, Search::BOUND, 3},
                       {"fork_write", fork_write, 2, Search::BOUND, 3},
                       {"fork_in_place", fork_in_place, 2, Search::BOUND, 3},
                       {"fork_again", fork_again, 2, Search::BOUND, 2},
                       {"two_write", two_write, 2, Search::BOUND, 3},
                       {"three_write", three_write, 3, Search::BOUND, 1},
                       {"cpus_write", cpus_write, 2, Search::BOUND, 3},
                       {"write_unmap", write_unmap, 2, Search::BOUND, 3},
                       {"write_end", write_end, 2, Search::BOUND, 3},
                       {"fault_stops", fault_stops, 2, Search::BOUND, 3},
                       {"limited_stops", limited_stops, 2, Search::BOUND, 2},
                       {"copy_stops", copy_stops, 2, Search::BOUND, 2},
                   });
}
