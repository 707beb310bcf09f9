/* SPDX-License-Identifier: MIT
 *
 * spaces.hpp - the world in which spaces are searched: the real sources of kernel-port/vm, on a
 * format of two levels whose tables have two entries. White-box.
 *
 * Each frame has a payload, which zeroing and copying write, and which the processor writes and
 * reads by way of the tables, in one step with its walk: it remembers nothing, so what is said of
 * the TLB is said by `answered`, whose order is that of an invalidation. A race for a payload says
 * that a release or an acquire is missing. Frames that are given back are not given again, and
 * nobody may touch their payload.
 */
#ifndef QUIRE_STRESS_VM_RELACY_SPACES_HPP
#define QUIRE_STRESS_VM_RELACY_SPACES_HPP

#include "stress/common/relacy/explore.hpp"
#include "stress/common/relacy/library.hpp"

#include "core/atomic.h"

#include <stddef.h>

struct quire_space;

namespace
{
void zero_payload(void *frame);
void copy_payload(void *to, const void *from);

/* In the place of promote/contents.h. */
#define QUIRE_VM_CONTENTS_H
bool contents_are_zero(const void *at);
inline void contents_copy(void *to, const void *from)
{
    copy_payload(to, from);
}
inline void contents_clear(void *at)
{
    zero_payload(at);
}

/* In the place of promote/words.h: those of one space. */
#define QUIRE_VM_WORDS_H
struct Words {
    qa64 frames, patience;
};
Words *words_of_space;
inline qa64 *frames_of(quire_space *)
{
    return &words_of_space->frames;
}
inline qa64 *patience_of(quire_space *)
{
    return &words_of_space->patience;
}
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
#include "kernel-port/vm/file/areas.c"
#include "kernel-port/vm/file/cache.c"
#include "kernel-port/vm/file/file.c"
#include "kernel-port/vm/file/limit.c"
#include "kernel-port/vm/file/note.c"
#include "kernel-port/vm/file/touch.c"
#include "kernel-port/vm/fork.c"
#include "kernel-port/vm/gigabytes/fill.c"
#include "kernel-port/vm/promote/around.c"
#include "kernel-port/vm/promote/choice.c"
#include "kernel-port/vm/promote/demote.c"
#include "kernel-port/vm/promote/promote.c"
#include "kernel-port/vm/promote/rows.c"
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
    FRAMES_AT = 64, /* and those that are mapped: single ones, and behind them runs of two */
    SINGLES = 8,
    RUNS = 2,
    FRAMES = SINGLES + 2 * RUNS,
};
const uint32_t READ = QUIRE_READ, WRITE = QUIRE_WRITE, RW = QUIRE_READ | QUIRE_WRITE;
const uint64_t FRAME = 4096, AREA = 8192; /* the area: two pages, one entry of the root */

quire_paging_format make_format()
{
    quire_paging_format f = small_format();

    f.copy = 0x200;
    f.shared = 0x400;
    f.sizes |= AREA;
    return f;
}

enum class State { NEVER, GIVEN, RETIRED, BACK };

/* Of a world in which frames are read while they are written, words. */
#ifdef SPACES_READ_WHILE_WRITTEN
typedef qa32 Payload;

unsigned payload_load(const Payload &payload)
{
    return qa_load(&payload, relaxed);
}

void payload_store(Payload &payload, unsigned value)
{
    qa_store(&payload, value, relaxed);
}
#else
typedef rl::var<unsigned> Payload;

unsigned payload_load(Payload &payload)
{
    return payload($).load();
}

void payload_store(Payload &payload, unsigned value)
{
    payload($).store(value);
}
#endif

/* In a world in which pages that are written are copied, a processor that has answered an
 * invalidation walks by the tables as they are: nothing else says that its writes are over. */
#ifdef SPACES_WALK_ANSWERED
void walk_begins(qa64 &answered)
{
    (void)qa_add(&answered, 0, acquire);
}
#else
void walk_begins(qa64 &)
{
}
#endif

struct World {
    quire_paging_format format;
    Table table[TABLES];
    State tables[TABLES], counts[COUNTS], frames[FRAMES];
    Payload payload[FRAMES];
    unsigned char at[FRAMES]; /* what an open frame is known by */
    quire_shares shares;
    Words words;
    qa64 answered, grace;
    unsigned clock, began[THREADS], retired[TABLES]; /* of calls and tables; 0: never */
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

/* Tables whose grace period is over. */
inline void give_retired_back()
{
    for (unsigned i = 0; i < TABLES; i++) {
        bool waits = world->tables[i] != State::RETIRED;

        for (unsigned began : world->began)
            waits = waits || (began && began < world->retired[i]);
        if (!waits)
            world->tables[i] = State::BACK;
    }
}

/* A grace period begins: who comes later sees what was done before it. Calls that are under way may
 * look at the tables until they end; if there are none, the tables are back at once. */
inline void retire_tables(void *, const quire_pfn *tables, uint32_t count)
{
    (void)qa_add(&world->grace, 1, acq_rel);
    for (uint32_t i = 0; i < count; i++) {
        require(world->tables[tables[i].n] == State::GIVEN, "retired, and not given");
        world->tables[tables[i].n] = State::RETIRED;
        world->retired[tables[i].n] = ++world->clock;
    }
    give_retired_back();
}

/* Around each call of a thread beside which tables are retired. One that stops is in it for ever.
 */
inline void enter_call()
{
    (void)qa_add(&world->grace, 1, acquire);
    world->began[rl::thread_index()] = ++world->clock;
}

inline void leave_call()
{
    world->began[rl::thread_index()] = 0;
    give_retired_back();
}

/* May the table be looked at? */
inline bool is_there(quire_pfn pfn)
{
    unsigned began = world->tables[pfn.n] == State::RETIRED ? world->began[rl::thread_index()] : 0;

    return world->tables[pfn.n] == State::GIVEN || (began && began < world->retired[pfn.n]);
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
    if (order == 0)
        return give(world->frames, SINGLES, FRAMES_AT, pfn);
    for (unsigned i = SINGLES; i < FRAMES; i += 2)
        if (world->frames[i] == State::NEVER) {
            world->frames[i] = world->frames[i + 1] = State::GIVEN;
            pfn->n = FRAMES_AT + i;
            return 0;
        }
    return QUIRE_ERR_NO_MEMORY;
}

void take_frame(void *, quire_pfn pfn, unsigned order)
{
    take_back(world->frames, FRAMES, FRAMES_AT, pfn);
    if (order > 0)
        take_back(world->frames, FRAMES, FRAMES_AT, quire_pfn_of(pfn.n + 1));
}

void *open_frame(void *, quire_pfn pfn)
{
    if (pfn.n < TABLES) {
        require(is_there(pfn), "a table that was given back");
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

/* Until now it was in use. */
void close_frame(void *, void *at)
{
    for (unsigned i = 0; i < TABLES; i++)
        require(at != world->table[i].entry || is_there(quire_pfn_of(i)),
                "a table that was given back while it was open");
}

Payload &payload_of(const void *frame)
{
    size_t i = static_cast<size_t>(static_cast<const unsigned char *>(frame) - world->at);

    require(i < FRAMES && world->frames[i] == State::GIVEN, "a frame that was given back");
    return world->payload[i];
}

void zero_payload(void *frame)
{
    payload_store(payload_of(frame), 0);
}

void copy_payload(void *to, const void *from)
{
    payload_store(payload_of(to), payload_load(payload_of(from)));
}

bool contents_are_zero(const void *at)
{
    return payload_load(payload_of(at)) == 0;
}

/* All processors have forgotten: what they did before comes before. */
void invalidate(void *, quire_vrange)
{
    (void)qa_add(&world->answered, 1, acq_rel);
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
    if (e & world->format.kind_mask)
        return e + (virt & FRAME); /* a large page */
    return qa_load(&world->table[entry_pfn(&world->format, e).n].entry[virt >> 12 & 1], acquire);
}

Payload &payload_at(uint64_t e)
{
    return payload_of(&world->at[entry_pfn(&world->format, e).n - FRAMES_AT]);
}

/* False: it faults. */
bool processor_writes(const quire_space &space, uint64_t virt, unsigned value)
{
    OneStep step;
    uint64_t e;

    walk_begins(world->answered);
    e = entry_at(space, virt);
    if ((e & 3) != 3)
        return false;
    payload_store(payload_at(e), value);
    (void)qa_add(&world->answered, 1, release);
    return true;
}

bool processor_reads(const quire_space &space, uint64_t virt, unsigned *value)
{
    OneStep step;
    uint64_t e;

    walk_begins(world->answered);
    e = entry_at(space, virt);
    if (!(e & 1))
        return false;
    *value = payload_load(payload_at(e));
    (void)qa_add(&world->answered, 1, release);
    return true;
}

/* A fault, beside which tables are retired. */
inline int fault_in_call(quire_space &space, uint64_t virt, uint32_t access)
{
    int error;

    enter_call();
    error = quire_space_fault(&space, quire_vaddr_of(virt), access);
    leave_call();
    return error;
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

inline unsigned read_at_rest(quire_space &space, uint64_t virt)
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
        words_of_space = &world->words;
        make_words();
        for (Payload &payload : world->payload)
            payload_store(payload, 0);
        world->shares.tables = {give_counts, take_counts, nullptr};
        world->shares.reach.open = open_frame;
        world->shares.root.n = WORDS_AT;
        world->shares.most = UINT32_MAX;
        world->clock = 0;
        for (unsigned &began : world->began)
            began = 0;
        alive_ = 1;
        make(space_[0]);
        setup();
        share_words();
        share_more();
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

    virtual void share_more()
    {
    }

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
            require(state == State::NEVER || state == State::BACK, "a table is lost");
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
        config.port.paging.reach.close = close_frame;
        config.port.paging.invalidate = invalidate;
        config.port.frames = {give_frame, take_frame, nullptr, nullptr, nullptr};
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
        world->grace.share();
        words[WORD_LEVELS - 1][0].share();
        for (Table &table : world->table)
            for (qa64 &entry : table.entry)
                entry.share();
        for (qa32(&table)[COUNTS_IN_TABLE] : counts)
            table[FRAMES_AT].share();
    }
};

} /* namespace */

#endif /* QUIRE_STRESS_VM_RELACY_SPACES_HPP */
