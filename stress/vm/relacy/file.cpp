/* SPDX-License-Identifier: MIT
 *
 * file.cpp - mapped files under every interleaving. A file of two pages, whose pager has a word for
 * each; a processor that remembers the page that it used last until it is told to forget it, and
 * writes by what it remembers without a look at the entry.
 */
#include "spaces.hpp"

namespace
{

enum { FILE_LEVELS = 4, NOTES = 3 };

struct FileWorld {
    rl::var<unsigned> disk[2];
    unsigned reads, writes;
    unsigned remembered; /* a frame, and one more, that may be written: by one processor of all */
};

alignas(FileWorld) unsigned char file_room[sizeof(FileWorld)];
FileWorld *file_world;
qa64 file_words[FILE_LEVELS][512];
note *note_pages[3][PAGES], notes_of[3][IN_PAGE];
unsigned pages_given[3];

unsigned index_of_frame(quire_pfn pfn)
{
    return static_cast<unsigned>(pfn.n - FRAMES_AT);
}

/* Accesses of the pager and of processors come one after the other in an order that `answered`
 * gives, as it does for what is invalidated: those of one word are no race of the library's. */
void in_order()
{
    (void)qa_add(&world->answered, 1, acq_rel);
}

int size_of_file(void *, uint64_t *bytes)
{
    *bytes = 2 * FRAME;
    return 0;
}

int read_file(void *, uint64_t page, quire_pfn pfn)
{
    OneStep step;

    in_order();
    file_world->reads++;
    payload_of (&world->at[index_of_frame(pfn)])($).store(file_world->disk[page]($).load());
    in_order();
    return 0;
}

int write_file(void *, uint64_t page, quire_pfn pfn)
{
    OneStep step;

    in_order();
    file_world->writes++;
    file_world->disk[page]($).store(payload_of(&world->at[index_of_frame(pfn)])($).load());
    in_order();
    return 0;
}

/* All processors have forgotten. */
void forget_remembered(void *, quire_vrange)
{
    OneStep step;

    file_world->remembered = 0;
    in_order();
}

void *give_notes(void *ctx)
{
    size_t i = static_cast<size_t>(static_cast<unsigned *>(ctx) - pages_given);

    return pages_given[i]++ == 0 ? static_cast<void *>(note_pages[i])
                                 : static_cast<void *>(notes_of[i]);
}

void take_notes(void *, void *)
{
}

/* The entry as it is now, as a processor's walk finds it; or NULL. */
qa64 *walk_to(const quire_space &space, uint64_t virt, uint64_t *e)
{
    uint64_t root = qa_load(&world->table[space.paging.root.n].entry[virt >> 13 & 1], acquire);
    qa64 *entry = nullptr;

    if (root & 1)
        entry = &world->table[entry_pfn(&world->format, root).n].entry[virt >> 12 & 1];
    *e = entry ? qa_add(entry, 0, acquire) : 0;
    return *e & 1 ? entry : nullptr;
}

/* A write by what is remembered, or by a walk that marks the entry. False: it faults. */
bool cpu_writes(const quire_space &space, uint64_t virt, unsigned value)
{
    OneStep step;

    in_order();
    if (!file_world->remembered) {
        uint64_t e;
        qa64 *entry = walk_to(space, virt, &e);

        if (!entry || !(e & 2))
            return false;
        (void)qa_or(entry, world->format.accessed | world->format.dirty, relaxed);
        file_world->remembered = index_of_frame(entry_pfn(&world->format, e)) + 1;
    }
    payload_of (&world->at[file_world->remembered - 1])($).store(value);
    in_order();
    return true;
}

bool cpu_reads(const quire_space &space, uint64_t virt, unsigned *value)
{
    OneStep step;
    uint64_t e;

    if (!walk_to(space, virt, &e))
        return false;
    in_order();
    *value = payload_at(e)($).load();
    in_order();
    return true;
}

class WithFile : public InSpaces
{
  protected:
    ~WithFile() = default;

    /* The first space maps the file; what is on disk is 1 and 2. */
    void map(bool shared)
    {
        void *bytes = file_room;
        quire_area area = {};

        file_world = ::new (bytes) FileWorld();
        file_world->reads = file_world->writes = file_world->remembered = 0;
        for (unsigned i = 0; i < 2; i++)
            file_world->disk[i]($).store(i + 1);
        make_notes();
        make_file();
        for (unsigned i = 0; i < 3; i++)
            pages_given[i] = 0;
        space_[0].config.port.memory = {give_notes, take_notes, &pages_given[0]};
        space_[0].config.port.paging.invalidate = forget_remembered;
        space_[0].paging.port.invalidate = forget_remembered;
        area.range = quire_vrange_of(AREA, 2 * FRAME);
        area.access = RW;
        area.kind = shared ? QUIRE_AREA_SHARED : QUIRE_AREA_PRIVATE;
        area.file = &file_;
        require(quire_space_reserve(&space_[0], &area, 0, nullptr) == 0, "reserve");
    }

    int fault(uint64_t virt, uint32_t access)
    {
        return quire_space_fault(&space_[0], quire_vaddr_of(virt), access);
    }

    /* What a program does. */
    int write(uint64_t virt, unsigned value)
    {
        while (!cpu_writes(space_[0], virt, value)) {
            int error = fault(virt, WRITE);

            if (error)
                return error;
            if (entry_is_held(entry_at(space_[0], virt)))
                rl::yield(1, $);
        }
        return 0;
    }

    unsigned read(uint64_t virt)
    {
        unsigned value = 99;

        while (!cpu_reads(space_[0], virt, &value)) {
            require(fault(virt, READ) == 0, "a read");
            if (entry_is_held(entry_at(space_[0], virt)))
                rl::yield(1, $);
        }
        return value;
    }

    static unsigned on_disk()
    {
        OneStep step;
        unsigned found;

        in_order();
        found = file_world->disk[0]($).load();
        in_order();
        return found;
    }

    /* The page is old: the clock finds it unused. */
    void age(unsigned page)
    {
        (void)qa_and(&file_words[3][page], ~static_cast<uint64_t>(CACHE_USED), relaxed);
        (void)qi_areas_accessed(&file_, page);
    }

    static bool is_cached(unsigned page)
    {
        return qa_load(&file_words[3][page], relaxed) != 0;
    }

    /* No page is mapped that is not cached, and the file has no other frames. */
    void check_cached(unsigned own)
    {
        unsigned cached = 0;

        for (unsigned page = 0; page < 2; page++) {
            uint64_t e = entry_at(space_[0], AREA + page * FRAME);
            uint64_t word = qa_load(&file_words[3][page], relaxed);

            cached += word != 0;
            require(!page_is_cached(&world->format, e) ||
                        (word && entry_pfn(&world->format, e).n == cache_pfn(word).n),
                    "a page is mapped that is not cached");
            require(!(word & (CACHE_READING | CACHE_LEAVING | CACHE_PINS)), "a page is in work");
        }
        require(frames_in_use() == cached + own, "frames");
        require(quire_file_cached(&file_) == cached, "the count of frames");
    }

    /* Before the spaces end: the file is their last. */
    void end_file()
    {
        file_world->remembered = 0;
        for (unsigned i = alive_; i > 0; i--)
            quire_space_destroy(&space_[i - 1]);
        alive_ = 0;
        require(file_.areas == nullptr, "an area is left");
        require(qa_load(file_word(&file_, FILE_BUSY), relaxed) == 0, "the file is busy");
        for (unsigned page = 0; page < 2; page++)
            if (is_cached(page))
                take_frame(nullptr, cache_pfn(qa_load(&file_words[3][page], relaxed)), 0);
        file_world->~FileWorld();
    }

    void share_more() override
    {
        for (unsigned page = 0; page < 2; page++)
            file_words[3][page].share();
        for (unsigned which : {FILE_SIZE, FILE_BUSY, FILE_SERIAL, FILE_LISTING})
            file_words[0][which].share();
    }

    quire_file file_;

  private:
    static void make_notes()
    {
        for (note(&of)[IN_PAGE] : notes_of)
            for (unsigned i = 0; i < NOTES; i++) {
                (void)::new (static_cast<void *>(&of[i].policy)) qa64();
                (void)::new (static_cast<void *>(&of[i].limit)) qa64();
                (void)::new (static_cast<void *>(&of[i].frames)) qa64();
            }
    }

    static qa64 *make_word(unsigned level, unsigned i, uint64_t value)
    {
        qa64 *word = ::new (static_cast<void *>(&file_words[level][i])) qa64();

        qa_store(word, value, relaxed);
        return word;
    }

    void make_file()
    {
        file_ = quire_file();
        file_.root = file_words[0];
        file_.config.pager = {size_of_file, read_file, write_file, nullptr};
        file_.config.frames = {give_frame, take_frame, nullptr, nullptr, nullptr};
        file_.config.reach.open = open_frame;
        file_.config.relax = let_others_run;
        for (unsigned level = 0; level < 3; level++)
            (void)make_word(level, 0, reinterpret_cast<uintptr_t>(file_words[level + 1]));
        for (unsigned page = 0; page < 2; page++)
            (void)make_word(3, page, 0);
        for (unsigned i = 2; i < 512; i++) /* they are passed over, in one step each */
            (void)make_word(3, i, 0);
        for (unsigned level = 0; level < 3; level++)
            for (unsigned i = 1; i < (level ? 512 : 256); i++)
                (void)make_word(level, i, 0);
        (void)make_word(0, FILE_SIZE, 2 * FRAME);
        (void)make_word(0, FILE_BUSY, 0);
        (void)make_word(0, FILE_SERIAL, 0);
        (void)make_word(0, FILE_LISTING, 0);
        (void)make_word(0, FILE_CACHED, 0);
    }
};

/* Two fault on one page that is not cached. It is read once. */
class TwoReads : public WithFile
{
    void setup() override
    {
        map(true);
    }

    void thread(unsigned) override
    {
        require(read(AREA) == 1, "what is not on disk");
    }

    void check() override
    {
        require(file_world->reads == 1, "it is read twice");
        check_cached(0);
        end_file();
    }
};

/* A fault, or a write, beside a call that cuts the page off, or gives it back. */
class FaultAnd : public WithFile
{
  public:
    enum class Other { CUTS, GIVES_BACK, UNMAPS };
    FaultAnd(Other other, bool shared, bool cached, bool write)
        : other_(other), shared_(shared), cached_(cached), write_(write)
    {
    }

  private:
    void setup() override
    {
        map(shared_);
        if (cached_) {
            require(read(AREA) == 1, "read");
            if (is_remembered())
                require(write(AREA, 5) == 0, "write");
            age(0);
            if (!write_) /* it is cached, and not mapped */
                require(quire_space_advise(&space_[0], quire_vrange_of(AREA, FRAME),
                                           QUIRE_ADVISE_RELEASE) == 0,
                        "release");
        }
        file_world->reads = 0;
    }

    void thread(unsigned index) override
    {
        int error;

        if (index == 1) {
            if (other_ == Other::CUTS)
                require(quire_file_resize(&file_, 0) == 0, "resize");
            else if (other_ == Other::GIVES_BACK)
                (void)quire_file_reclaim(&file_, 1, true);
            else
                require(quire_space_unmap(&space_[0], quire_vrange_of(AREA, 2 * FRAME)) == 0,
                        "unmap");
            return;
        }
        error = is_remembered() ? write(AREA, 6) : 0;
        if (error == 0)
            error = write_ ? write(AREA, 7) : fault(AREA, READ);
        require(error == 0 || (other_ == Other::CUTS && error == QUIRE_ERR_END) ||
                    (other_ == Other::UNMAPS && error == QUIRE_ERR_AREA),
                "fault");
        served_ = error == 0;
    }

    void check() override
    {
        bool own = write_ && !shared_ && other_ == Other::GIVES_BACK;

        check_cached(own);
        if (other_ == Other::CUTS) {
            require(!is_cached(0) && !(entry_at(space_[0], AREA) & 1), "it is still there");
            require(fault(AREA, READ) == QUIRE_ERR_END, "the end");
        } else if (other_ == Other::UNMAPS) {
            require(entry_at(space_[0], AREA) == 0, "something is left");
            require(!shared_ || !write_ || !served_ || file_world->disk[0]($).load() == 7,
                    "a write is lost");
        } else {
            require(read(AREA) == (write_ ? 7 : 1), "a write is lost, or something else is there");
            require(quire_file_sync(&file_, 0, 2) == 0, "sync");
            require(file_world->disk[0]($).load() == (write_ && shared_ ? 7 : 1), "on disk");
        }
        end_file();
    }

    /* The processor remembers the page from the start, and writes twice. */
    bool is_remembered() const
    {
        return write_ && shared_ && other_ == Other::GIVES_BACK;
    }

    const Other other_;
    const bool shared_, cached_, write_;
    bool served_ = false;
};

/* Writes by a processor that remembers a dirty page, beside what writes the page back. */
class WriteBack : public WithFile
{
  public:
    enum class Other { SYNCS, SYNCS_AND_UNMAPS };
    explicit WriteBack(Other other) : other_(other)
    {
    }

  private:
    void setup() override
    {
        map(true);
        require(write(AREA, 5) == 0, "write");
    }

    void thread(unsigned index) override
    {
        if (index == 0) {
            for (unsigned value = 6; value < 8; value++)
                if (other_ == Other::SYNCS ? write(AREA, value) == 0
                                           : cpu_writes(space_[0], AREA, value))
                    last_ = value;
        } else if (index == 1) {
            unsigned before = last_;
            unsigned found;

            require(quire_file_sync(&file_, 0, 1) == 0, "sync");
            found = on_disk();
            require(found >= before, "what was written before is not on disk");
        } else {
            require(quire_space_unmap(&space_[0], quire_vrange_of(AREA, FRAME)) == 0, "unmap");
        }
    }

    void check() override
    {
        check_cached(0);
        require(quire_file_sync(&file_, 0, 1) == 0, "sync");
        require(file_world->disk[0]($).load() == last_, "a write is lost");
        last_ = 5;
        end_file();
    }

    const Other other_;
    unsigned last_ = 5;
};

/* A child is made while the file is cut off: neither has a page of it, or gives it back. */
class ForkAndCut : public WithFile
{
    void setup() override
    {
        map(false);
        require(write(AREA, 5) == 0 && read(AREA + FRAME) == 2, "write");
    }

    void thread(unsigned index) override
    {
        if (index == 0) {
            space_[0].config.port.memory.ctx = &pages_given[1];
            fork();
            space_[0].config.port.memory.ctx = &pages_given[0];
        } else {
            require(quire_file_resize(&file_, 0) == 0, "resize");
        }
    }

    void check() override
    {
        for (unsigned i = 0; i < 2; i++)
            for (unsigned page = 0; page < 2; page++)
                require(!(entry_at(space_[i], AREA + page * FRAME) & 1), "a page is left");
        check_cached(0);
        end_file();
    }
};

/* One stops for ever before any step of a fault: the other faults on another page. */
class FileFaultStops : public WithFile
{
  public:
    explicit FileFaultStops(bool cached) : cached_(cached)
    {
    }

  private:
    void setup() override
    {
        map(true);
        if (cached_) {
            require(read(AREA) == 1, "read");
            require(quire_space_advise(&space_[0], quire_vrange_of(AREA, FRAME),
                                       QUIRE_ADVISE_RELEASE) == 0,
                    "release");
        }
    }

    void thread(unsigned index) override
    {
        unsigned value = 99;

        if (index == 0)
            (void)up_to_a_stop([this] { (void)fault(AREA, READ); });
        else
            require(fault(AREA + FRAME, READ) == 0 && cpu_reads(space_[0], AREA + FRAME, &value) &&
                        value == 2,
                    "the other one was in the way");
    }

    void check() override
    {
        file_world->~FileWorld();
    }

    bool stops() const override
    {
        return true;
    }

    const bool cached_;
};

using Other = FaultAnd::Other;
TwoReads two_reads;
FaultAnd fault_cut(Other::CUTS, true, false, false), late_cut(Other::CUTS, true, true, true);
FaultAnd copy_cut(Other::CUTS, false, true, true);
FaultAnd fault_evict(Other::GIVES_BACK, true, true, false);
FaultAnd write_evict(Other::GIVES_BACK, true, true, true);
FaultAnd copy_evict(Other::GIVES_BACK, false, true, true);
FaultAnd fault_unmap(Other::UNMAPS, true, false, false);
FaultAnd write_unmap(Other::UNMAPS, true, true, true);
WriteBack sync_write(WriteBack::Other::SYNCS);
WriteBack sync_unmap(WriteBack::Other::SYNCS_AND_UNMAPS);
ForkAndCut fork_cut;
FileFaultStops read_stops(false), fault_stops(true);

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"two_reads", two_reads, 2, Search::BOUND, 2},
                       {"fault_cut", fault_cut, 2, Search::BOUND, 3},
                       {"late_cut", late_cut, 2, Search::BOUND, 3},
                       {"copy_cut", copy_cut, 2, Search::BOUND, 3},
                       {"fault_evict", fault_evict, 2, Search::BOUND, 2},
                       {"write_evict", write_evict, 2, Search::BOUND, 3},
                       {"copy_evict", copy_evict, 2, Search::BOUND, 3},
                       {"fault_unmap", fault_unmap, 2, Search::BOUND, 3},
                       {"write_unmap", write_unmap, 2, Search::BOUND, 3},
                       {"sync_write", sync_write, 2, Search::BOUND, 3},
                       {"sync_unmap", sync_unmap, 3, Search::BOUND, 3},
                       {"fork_cut", fork_cut, 2, Search::BOUND, 2},
                       {"read_stops", read_stops, 2, Search::BOUND, 2},
                       {"fault_stops", fault_stops, 2, Search::BOUND, 3},
                   });
}
