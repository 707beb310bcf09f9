/* SPDX-License-Identifier: MIT
 *
 * space.cpp - spaces under every interleaving: the real sources of kernel-port/vm, on a format of
 * two levels whose tables have two entries. White-box.
 *
 * Each frame has a payload, which zeroing and copying write, and which the processor writes and
 * reads by way of the tables, in one step with its walk: it remembers nothing, so what is said of
 * the TLB is said by `answered`, whose order is that of an invalidation. A race for a payload says
 * that a release or an acquire is missing. Frames that are given back are not given again, and
 * nobody may touch their payload.
 */
#include "stress/common/relacy/explore.hpp"
#include "stress/common/relacy/library.hpp"

#include <stddef.h>

namespace
{
void zero_payload(void *frame);
void copy_payload(void *to, const void *from);
} /* namespace */

#define __builtin_memset(at, value, bytes) zero_payload(at)
#define __builtin_memcpy(to, from, bytes)  copy_payload(to, from)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a structure and a variable of the same name */
#pragma GCC diagnostic ignored "-Wextra"  /* C++ asks more of initialisers than C */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include "kernel-port/vm/alter.c"
#include "kernel-port/vm/area.c"
#include "kernel-port/vm/fault.c"
#include "kernel-port/vm/fork.c"
#include "kernel-port/vm/resize.c"
#include "kernel-port/vm/share.c"
#include "kernel-port/vm/space.c"
#include "kernel-port/vm/table.c"
#include "kernel-port/vm/walk.c"
#pragma GCC diagnostic pop
#undef __builtin_memset
#undef __builtin_memcpy

#include "format.hpp"

namespace
{

enum {
    THREADS = 3,
    TABLES = 8,     /* of pages; frame numbers from 0 on */
    WORDS_AT = 16,  /* the frames of the tables of words, */
    COUNTS_AT = 24, /* of counts, */
    COUNTS = 3,
    FRAMES_AT = 64, /* and those that are mapped */
    FRAMES = 8,
};
const uint32_t READ = QUIRE_READ, WRITE = QUIRE_WRITE, RW = QUIRE_READ | QUIRE_WRITE;
const uint64_t FRAME = 4096, AREA = 8192; /* the area: two pages, one entry of the root */

quire_paging_format make_format()
{
    quire_paging_format f = small_format();

    f.copy = 0x200;
    return f;
}

enum class State { NEVER, GIVEN, BACK };

struct World {
    quire_paging_format format;
    Table table[TABLES];
    State tables[TABLES], counts[COUNTS], frames[FRAMES];
    rl::var<unsigned> payload[FRAMES];
    unsigned char at[FRAMES]; /* what an open frame is known by */
    quire_shares shares;
    qa64 answered;
};

alignas(World) unsigned char room[sizeof(World)];
World *world;

/* Too large to be made anew each time; of the words only the first of each table is used. */
qa64 words[WORD_LEVELS][WORDS_IN_TABLE];
qa32 counts[COUNTS][COUNTS_IN_TABLE];

/* ---- The port ------------------------------------------------------------------------------ */

int give(State *states, unsigned n, unsigned at, quire_pfn *pfn)
{
    for (unsigned i = 0; i < n; i++)
        if (states[i] == State::NEVER) {
            states[i] = State::GIVEN;
            pfn->n = at + i;
            return 0;
        }
    return QUIRE_ERR_NO_MEMORY;
}

void take_back(State *states, unsigned n, unsigned at, quire_pfn pfn)
{
    require(pfn.n - at < n && states[pfn.n - at] == State::GIVEN, "given back, and not given");
    states[pfn.n - at] = State::BACK;
}

int give_table(void *, uint64_t, quire_pfn *pfn)
{
    return give(world->tables, TABLES, 0, pfn);
}

void take_table(void *, quire_pfn pfn)
{
    take_back(world->tables, TABLES, 0, pfn);
}

int give_counts(void *, uint64_t, quire_pfn *pfn)
{
    return give(world->counts, COUNTS, COUNTS_AT, pfn);
}

void take_counts(void *, quire_pfn pfn)
{
    take_back(world->counts, COUNTS, COUNTS_AT, pfn);
}

int give_frame(void *, const quire_policy *, unsigned order, quire_pfn *pfn)
{
    require(order == 0, "a run");
    return give(world->frames, FRAMES, FRAMES_AT, pfn);
}

void take_frame(void *, quire_pfn pfn, unsigned order)
{
    require(order == 0, "a run");
    take_back(world->frames, FRAMES, FRAMES_AT, pfn);
}

void *open_frame(void *, quire_pfn pfn)
{
    if (pfn.n < TABLES) {
        require(world->tables[pfn.n] == State::GIVEN, "a table that was given back");
        return world->table[pfn.n].entry;
    }
    if (pfn.n - WORDS_AT < WORD_LEVELS)
        return words[pfn.n - WORDS_AT];
    if (pfn.n - COUNTS_AT < COUNTS) {
        require(world->counts[pfn.n - COUNTS_AT] == State::GIVEN, "counts that were given back");
        return counts[pfn.n - COUNTS_AT];
    }
    require(pfn.n - FRAMES_AT < FRAMES, "no frame");
    return &world->at[pfn.n - FRAMES_AT];
}

rl::var<unsigned> &payload_of(const void *frame)
{
    size_t i = static_cast<size_t>(static_cast<const unsigned char *>(frame) - world->at);

    require(i < FRAMES && world->frames[i] == State::GIVEN, "a frame that was given back");
    return world->payload[i];
}

void zero_payload(void *frame)
{
    payload_of(frame)($).store(0);
}

void copy_payload(void *to, const void *from)
{
    unsigned value = payload_of(from)($).load();

    payload_of(to)($).store(value);
}

/* All processors have forgotten: what they did before comes before. */
void invalidate(void *, quire_vrange)
{
    (void)qa_add(&world->answered, 1, acquire);
}

void let_others_run(void *)
{
    rl::yield(1, $);
}

/* ---- The processor ------------------------------------------------------------------------- */

uint64_t entry_at(const quire_space &space, uint64_t virt)
{
    uint64_t e = qa_load(&world->table[space.paging.root.n].entry[virt >> 13 & 1], acquire);

    if (!(e & 1))
        return 0;
    return qa_load(&world->table[entry_pfn(&world->format, e).n].entry[virt >> 12 & 1], acquire);
}

rl::var<unsigned> &payload_at(uint64_t e)
{
    return payload_of(&world->at[entry_pfn(&world->format, e).n - FRAMES_AT]);
}

/* False: it faults. */
bool processor_writes(const quire_space &space, uint64_t virt, unsigned value)
{
    OneStep step;
    uint64_t e = entry_at(space, virt);

    if ((e & 3) != 3)
        return false;
    payload_at(e)($).store(value);
    (void)qa_add(&world->answered, 1, release);
    return true;
}

bool processor_reads(const quire_space &space, uint64_t virt, unsigned *value)
{
    OneStep step;
    uint64_t e = entry_at(space, virt);

    if (!(e & 1))
        return false;
    *value = payload_at(e)($).load();
    (void)qa_add(&world->answered, 1, release);
    return true;
}

/* What a program does. The last answer of a fault that was not to be repeated, or 0. */
int program_writes(quire_space &space, uint64_t virt, unsigned value)
{
    while (!processor_writes(space, virt, value)) {
        int error = quire_space_fault(&space, quire_vaddr_of(virt), WRITE);

        if (error)
            return error;
        if (entry_is_held(entry_at(space, virt)))
            rl::yield(1, $);
    }
    return 0;
}

unsigned read_at_rest(quire_space &space, uint64_t virt)
{
    unsigned value = 99;

    require(quire_space_fault(&space, quire_vaddr_of(virt), READ) == 0, "a read at rest");
    require(processor_reads(space, virt, &value), "a read at rest");
    return value;
}

/* ---- The world ----------------------------------------------------------------------------- */

class InSpaces : public Scenario
{
  public:
    void before() final
    {
        void *bytes = room;

        world = ::new (bytes) World();
        world->format = make_format();
        make_words();
        for (rl::var<unsigned> &payload : world->payload)
            payload($).store(0);
        world->shares.tables = {give_counts, take_counts, nullptr};
        world->shares.reach.open = open_frame;
        world->shares.root.n = WORDS_AT;
        world->shares.most = UINT32_MAX;
        alive_ = 1;
        make(space_[0]);
        setup();
        share_words();
    }

    void after() final
    {
        check();
        if (!stops())
            end();
        world->~World();
    }

  protected:
    ~InSpaces() = default;
    virtual void setup() = 0;
    virtual void check() = 0;

    /* A thread may have stopped with something taken. */
    virtual bool stops() const
    {
        return false;
    }

    void end()
    {
        for (unsigned i = 0; i < alive_; i++)
            quire_space_destroy(&space_[i]);
        require(qa_load(&words[WORD_LEVELS - 1][0], relaxed) == 0, "counts are left");
        for (State state : world->tables)
            require(state != State::GIVEN, "a table is lost");
        for (State state : world->counts)
            require(state != State::GIVEN, "a table of counts is lost");
        for (State state : world->frames)
            require(state != State::GIVEN, "a frame is lost");
    }

    int reserve()
    {
        quire_area area = {};

        area.range = quire_vrange_of(AREA, 2 * FRAME);
        area.access = RW;
        return quire_space_reserve(&space_[0], &area, 0, nullptr);
    }

    /* The parent wrote `value` to the first page, and forked. */
    void make_family(unsigned value)
    {
        require(reserve() == 0 && program_writes(space_[0], AREA, value) == 0, "a page");
        fork();
    }

    void fork()
    {
        require(quire_space_fork(&space_[alive_ - 1], &space_[alive_]) == 0, "fork");
        alive_++;
    }

    static unsigned frames_in_use()
    {
        unsigned used = 0;

        for (State state : world->frames)
            used += state == State::GIVEN;
        return used;
    }

    /* No frame is written by one that is not the only one who has it. */
    void check_owners()
    {
        for (unsigned i = 0; i < alive_; i++)
            for (unsigned k = 0; k < alive_; k++) {
                uint64_t one = entry_at(space_[i], AREA), other = entry_at(space_[k], AREA);

                require(i == k || !(one & other & 1) || !(one & 2) ||
                            entry_pfn(&world->format, one).n != entry_pfn(&world->format, other).n,
                        "a page of two spaces is writable");
            }
    }

    quire_space space_[3];
    unsigned alive_;

  private:
    static void make(quire_space &space)
    {
        quire_space_config config = {};

        config.format = &world->format;
        config.port.paging.tables = {give_table, take_table, nullptr};
        config.port.paging.reach.open = open_frame;
        config.port.paging.invalidate = invalidate;
        config.port.frames = {give_frame, take_frame, nullptr, nullptr};
        config.port.shares = &world->shares;
        config.port.relax = let_others_run;
        config.range = quire_vrange_of(AREA, 2 * FRAME);
        require(quire_space_create(&space, &config) == 0, "create");
    }

    static void make_words()
    {
        for (unsigned i = 0; i < WORD_LEVELS; i++) {
            qa64 *word = ::new (static_cast<void *>(&words[i][0])) qa64();

            if (i + 1 < WORD_LEVELS)
                qa_store(word, word_of({WORDS_AT + i + 1}, 1), relaxed);
        }
        for (qa32(&table)[COUNTS_IN_TABLE] : counts)
            for (unsigned i = 0; i < FRAMES; i++)
                (void)::new (static_cast<void *>(&table[FRAMES_AT + i])) qa32();
    }

    static void share_words()
    {
        world->answered.share();
        words[WORD_LEVELS - 1][0].share();
        for (Table &table : world->table)
            for (qa64 &entry : table.entry)
                entry.share();
        for (qa32(&table)[COUNTS_IN_TABLE] : counts)
            table[FRAMES_AT].share();
    }
};

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
    explicit FaultStops(bool forked) : forked_(forked)
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
};

Faults same_page(true), two_pages(false);
FaultAndUnmap fault_unmap(false, false), fault_unmap_lower(true, false), late_fault(true, true);
ForkAndWrite fork_write(false), fork_in_place(true);
FamilyWrites two_write(2), three_write(3);
WriteAnd cpus_write(WriteAnd::Other::WRITES), write_unmap(WriteAnd::Other::UNMAPS);
WriteAnd write_end(WriteAnd::Other::ENDS);
FaultStops fault_stops(false), copy_stops(true);

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"same_page", same_page, 2, Search::BOUND, 4},
                       {"two_pages", two_pages, 2, Search::BOUND, 4},
                       {"fault_unmap", fault_unmap, 2, Search::BOUND, 3},
                       {"fault_unmap_lower", fault_unmap_lower, 2, Search::BOUND, 3},
                       {"late_fault", late_fault, 2, Search::BOUND, 3},
                       {"fork_write", fork_write, 2, Search::BOUND, 3},
                       {"fork_in_place", fork_in_place, 2, Search::BOUND, 3},
                       {"two_write", two_write, 2, Search::BOUND, 3},
                       {"three_write", three_write, 3, Search::BOUND, 1},
                       {"cpus_write", cpus_write, 2, Search::BOUND, 3},
                       {"write_unmap", write_unmap, 2, Search::BOUND, 3},
                       {"write_end", write_end, 2, Search::BOUND, 3},
                       {"fault_stops", fault_stops, 2, Search::BOUND, 3},
                       {"copy_stops", copy_stops, 2, Search::BOUND, 2},
                   });
}
