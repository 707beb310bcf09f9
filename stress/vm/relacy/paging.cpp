/* SPDX-License-Identifier: MIT
 *
 * paging.cpp - page tables under every interleaving: the real sources of kernel-port/vm, on a
 * format of two levels whose tables have two entries, so that a large page is two small ones.
 * White-box.
 *
 * Each thread takes tables from a store of its own, which is no step. Each frame that is mapped has
 * a payload, which is written before the map and read, without order of its own, by whoever finds
 * the page: a race for it says that a release or an acquire is missing.
 */
#include "stress/common/relacy/explore.hpp"
#include "stress/common/relacy/library.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a structure and a variable of the same name */
#pragma GCC diagnostic ignored "-Wextra"  /* C++ asks more of initialisers than C */
#include "kernel-port/vm/change.c"
#include "kernel-port/vm/map.c"
#include "kernel-port/vm/resize.c"
#include "kernel-port/vm/table.c"
#include "kernel-port/vm/walk.c"
#pragma GCC diagnostic pop

#include "format.hpp"

namespace
{

enum {
    THREADS = 3,
    STORE = 2, /* tables of a thread, besides the root */
    TABLES = 1 + THREADS * STORE,
    FRAMES = 4, /* that are mapped */
};
const uint32_t READ = QUIRE_READ, RW = QUIRE_READ | QUIRE_WRITE;
const uint64_t FRAME = 4096, LARGE = 8192, PAGES_AT = 0x100000;

/* With a bit for busy. */
quire_paging_format make_format(bool break_before_make)
{
    quire_paging_format f = small_format();

    f.break_before_make = break_before_make;
    f.sizes |= LARGE;
    f.busy = UINT64_C(1) << 52;
    return f;
}

struct Owner {
    quire_pfn store[STORE];
    unsigned left;
};

struct World {
    quire_paging_format format;
    Table table[TABLES];
    Owner owner[THREADS];
    quire_paging paging[THREADS]; /* the same, each with the store of its thread */
    rl::var<unsigned> payload[FRAMES];
    qa64 answered;
};

alignas(World) unsigned char room[sizeof(World)];
World *world;

int give(void *ctx, uint64_t, quire_pfn *pfn)
{
    Owner *owner = static_cast<Owner *>(ctx);

    if (owner->left == 0)
        return QUIRE_ERR_NO_MEMORY;
    *pfn = owner->store[--owner->left];
    return 0;
}

void take_back(void *ctx, quire_pfn pfn)
{
    Owner *owner = static_cast<Owner *>(ctx);

    require(owner->left < STORE, "a table comes back that was not given");
    owner->store[owner->left++] = pfn;
}

void *open_table(void *, quire_pfn pfn)
{
    require(pfn.n < TABLES, "no table");
    return world->table[pfn.n].entry;
}

/* What the processor remembers of tables is gone; it happens between two of its steps, and its
 * answer brings all that it did before. */
bool forgotten;

void invalidate(void *, quire_vrange)
{
    (void)qa_add(&world->answered, 1, acquire);
    forgotten = true;
}

struct Answer {
    int error;
    quire_page page;
};

Answer find(unsigned thread, uint64_t virt)
{
    Answer answer = {};

    answer.error =
        quire_paging_translate(&world->paging[thread], quire_vaddr_of(virt), &answer.page, nullptr);
    return answer;
}

quire_page frame_page(unsigned frame, bool marked)
{
    return {{PAGES_AT + frame * LARGE}, 0, RW, QUIRE_TYPE_NORMAL, false, marked, marked};
}

/* Write the payload, then map. */
int map_page(unsigned thread, uint64_t virt, uint64_t bytes, unsigned frame, bool marked)
{
    quire_page page = frame_page(frame, marked);
    quire_gather gather = {};

    world->payload[frame]($).store(7);
    return quire_paging_map(&world->paging[thread], quire_vrange_of(virt, bytes), &page, 0,
                            &gather);
}

void read_payload(const quire_page &page)
{
    unsigned frame = static_cast<unsigned>((page.phys.n - PAGES_AT) / LARGE);

    require(world->payload[frame]($).load() == 7, "the page came before its content");
}

int protect(unsigned thread, uint64_t virt, uint32_t access)
{
    quire_gather gather = {};

    return quire_paging_protect(&world->paging[thread], quire_vrange_of(virt, FRAME), access, 0,
                                &gather);
}

/* The processor writes: a walk, and a locked update of the page's entry. */
bool hardware_write(uint64_t virt)
{
    for (;;) {
        qa64 *entry = &world->table[0].entry[virt >> 13 & 1];
        uint64_t e = qa_load(entry, acquire);

        if (!(e & 1))
            return false;
        if (!(e & 0x80)) {
            entry = &world->table[(e & world->format.frame_mask) >> 12].entry[virt >> 12 & 1];
            e = qa_load(entry, acquire);
        }
        if (!(e & 1) || !(e & 2))
            return false;
        if ((e & 0x60) == 0x60 || qa_cas(entry, &e, e | 0x60, acq_rel))
            return true;
    }
}

class InTables : public Scenario
{
  public:
    void before() final
    {
        void *bytes = room;

        world = ::new (bytes) World();
        world->format = make_format(breaking());
        for (unsigned i = 0; i < THREADS; i++) {
            quire_paging &paging = world->paging[i];

            world->owner[i].left = STORE;
            for (unsigned k = 0; k < STORE; k++)
                world->owner[i].store[k].n = 1 + i * STORE + k;
            paging.format = &world->format;
            paging.port.tables = {give, take_back, &world->owner[i]};
            paging.port.reach.open = open_table;
            paging.port.invalidate = invalidate;
            paging.root.n = 0;
        }
        for (rl::var<unsigned> &payload : world->payload)
            payload($).store(0);
        forgotten = false;
        setup();
        world->answered.share();
        for (Table &table : world->table)
            for (qa64 &entry : table.entry)
                entry.share();
    }

    void after() final
    {
        check();
        world->~World();
    }

  protected:
    ~InTables() = default;
    virtual void setup()
    {
    }
    virtual void check() = 0;
    virtual bool breaking() const
    {
        return false;
    }

    /* How many tables the page table has, besides the root. */
    static unsigned tables_in_use()
    {
        unsigned used = THREADS * STORE;

        for (const Owner &owner : world->owner)
            used -= owner.left;
        return used;
    }
};

/* All map one page. One does, all find it, with its content. */
class OnePage : public InTables
{
    void setup() override
    {
        mapped_ = 0;
    }

    void thread(unsigned index) override
    {
        int error = map_page(index, 0, FRAME, index, true);
        Answer answer = find(index, 0);

        require(error == 0 || error == QUIRE_ERR_MAPPED, "map");
        mapped_ += error == 0;
        require(answer.error == 0, "the page is not there");
        require(error != 0 || answer.page.phys.n == frame_page(index, true).phys.n,
                "another page is there");
        read_payload(answer.page);
    }

    void check() override
    {
        require(mapped_ == 1, "not one of them mapped it");
        require(tables_in_use() == 1, "a table is lost");
    }

    unsigned mapped_;
};

/* Each maps a page of its own, in the same table. */
class OneTable : public InTables
{
    void thread(unsigned index) override
    {
        require(map_page(index, index * FRAME, FRAME, index, true) == 0, "map");
    }

    void check() override
    {
        for (unsigned i = 0; i < 2; i++)
            require(find(0, i * FRAME).page.phys.n == frame_page(i, true).phys.n, "a page is lost");
        require(tables_in_use() == 1, "a table is lost");
    }
};

/* A large page and a small one at the same address. */
class LargeAndSmall : public InTables
{
    void setup() override
    {
        mapped_ = 0;
    }

    void thread(unsigned index) override
    {
        int error = map_page(index, 0, index == 0 ? LARGE : FRAME, index, true);

        require(error == 0 || error == QUIRE_ERR_MAPPED, "map");
        mapped_ += error == 0;
    }

    void check() override
    {
        require(mapped_ == 1, "not one of them mapped it");
        require(find(0, 0).error == 0, "the page is not there");
    }

    unsigned mapped_;
};

/* Protect, or unmap, what the processor writes. What it wrote is dirty in the end. */
class DirtyPage : public InTables
{
  public:
    DirtyPage(bool large, bool unmap, bool breaks) : large_(large), unmap_(unmap), breaks_(breaks)
    {
    }

  private:
    static int note(void *ctx, quire_vaddr, const quire_page *page)
    {
        *static_cast<bool *>(ctx) = page->dirty;
        return 0;
    }

    bool breaking() const override
    {
        return breaks_;
    }

    void setup() override
    {
        require(map_page(0, 0, large_ ? LARGE : FRAME, 0, false) == 0, "map");
        written_ = dirty_ = false;
    }

    void thread(unsigned index) override
    {
        quire_gather gather = {};

        if (index == 1)
            written_ = hardware_write(large_ ? FRAME : 0);
        else if (unmap_)
            require(quire_paging_unmap(&world->paging[0],
                                       quire_vrange_of(0, large_ ? LARGE : FRAME), 0, note, &dirty_,
                                       &gather) == 0,
                    "unmap");
        else
            require(protect(0, 0, READ) == 0, "protect");
    }

    void check() override
    {
        if (!unmap_)
            dirty_ = find(0, large_ ? FRAME : 0).page.dirty;
        require(dirty_ == written_, "the mark is lost, or nobody set it");
    }

    const bool large_, unmap_, breaks_;
    bool written_, dirty_;
};

/* Two change different parts of a large page; a third one finds the page there all the time. */
class TwoSplits : public InTables
{
  public:
    explicit TwoSplits(bool breaks) : breaks_(breaks)
    {
    }

  private:
    bool breaking() const override
    {
        return breaks_;
    }

    void setup() override
    {
        require(map_page(0, 0, LARGE, 0, true) == 0, "map");
        done_[0] = done_[1] = false;
    }

    void thread(unsigned index) override
    {
        int error;

        if (index == 2) {
            Answer answer = find(2, FRAME);

            require(answer.error == 0, "the page is not there");
            return;
        }
        error = protect(index, index * FRAME, READ);
        require(error == 0 || (breaks_ && error == QUIRE_ERR_BUSY), "protect");
        done_[index] = error == 0;
    }

    void check() override
    {
        for (unsigned i = 0; i < 2; i++) {
            Answer answer = find(0, i * FRAME);

            require(answer.error == 0 && answer.page.dirty, "the page is another one");
            require(answer.page.access == (done_[i] ? READ : RW), "the access is another one");
        }
        require(done_[0] || done_[1], "each was in the other's way");
        require(tables_in_use() == 1, "a table is lost");
    }

    const bool breaks_;
    bool done_[2];
};

/* Two pages are joined while the processor writes to one, by the table that it remembers: even
 * after the large page is there, but not after it was told to forget. */
class DirtyJoin : public InTables
{
  public:
    explicit DirtyJoin(bool breaks) : breaks_(breaks)
    {
    }

  private:
    bool breaking() const override
    {
        return breaks_;
    }

    void setup() override
    {
        quire_page page = frame_page(0, false);
        quire_gather gather = {};

        require(quire_paging_map(&world->paging[0], quire_vrange_of(0, LARGE), &page, FRAME,
                                 &gather) == 0,
                "map");
        remembered_ = &world->table[STORE].entry[1];
        written_ = false;
    }

    void thread(unsigned index) override
    {
        if (index == 0) {
            require(quire_paging_join(&world->paging[0], quire_vaddr_of(0), LARGE) == 0, "join");
            return;
        }
        OneStep step;
        uint64_t e = qa_load(remembered_, relaxed);

        if (!forgotten) {
            written_ = qa_cas(remembered_, &e, e | 0x60, relaxed);
            require(written_, "the table was changed before it was forgotten");
            (void)qa_add(&world->answered, 1, release);
        }
    }

    void check() override
    {
        Answer answer = find(0, FRAME);

        require(answer.error == 0 && answer.page.size == LARGE, "the page is not large");
        require(answer.page.dirty == written_, "the mark is lost, or nobody set it");
        require(tables_in_use() == 0, "the table was not given back");
    }

    const bool breaks_;
    qa64 *remembered_;
    bool written_;
};

/* One stops for ever before any step of a map or a split: the other gets its answer. */
class Stops : public InTables
{
  public:
    explicit Stops(bool split) : split_(split)
    {
    }

  private:
    void setup() override
    {
        if (split_)
            require(map_page(0, 0, LARGE, 0, true) == 0, "map");
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            (void)up_to_a_stop([this] { work(0); });
        else
            work(1);
    }

    void work(unsigned index)
    {
        int error = split_ ? protect(index, index * FRAME, READ)
                           : map_page(index, index * FRAME, FRAME, index, true);

        require(error == 0, "the other one was in the way");
    }

    void check() override
    {
        Answer answer = find(1, FRAME);

        require(answer.error == 0 && answer.page.access == (split_ ? READ : RW), "the page");
    }

    const bool split_;
};

OnePage one_page;
OneTable one_table;
LargeAndSmall large_and_small;
DirtyPage dirty(false, false, false), dirty_unmapped(false, true, false);
DirtyPage dirty_split(true, false, false), dirty_split_breaking(true, false, true);
DirtyPage dirty_large_unmapped(true, true, false);
TwoSplits two_splits(false), two_splits_breaking(true);
DirtyJoin dirty_join(false), dirty_join_breaking(true);
Stops map_stops(false), split_stops(true);

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"one_page", one_page, 2, Search::FULL, 0},
                       {"one_page_three", one_page, 3, Search::BOUND, 2},
                       {"one_table", one_table, 2, Search::FULL, 0},
                       {"large_and_small", large_and_small, 2, Search::FULL, 0},
                       {"dirty", dirty, 2, Search::FULL, 0},
                       {"dirty_unmapped", dirty_unmapped, 2, Search::FULL, 0},
                       {"dirty_split", dirty_split, 2, Search::FULL, 0},
                       {"dirty_split_breaking", dirty_split_breaking, 2, Search::FULL, 0},
                       {"dirty_large_unmapped", dirty_large_unmapped, 2, Search::FULL, 0},
                       {"dirty_join", dirty_join, 2, Search::FULL, 0},
                       {"dirty_join_breaking", dirty_join_breaking, 2, Search::FULL, 0},
                       {"map_stops", map_stops, 2, Search::FULL, 0},
                       {"split_stops", split_stops, 2, Search::BOUND, 3},
                       {"two_splits", two_splits, 3, Search::BOUND, 2},
                       {"two_splits_breaking", two_splits_breaking, 3, Search::BOUND, 2},
                   });
}
