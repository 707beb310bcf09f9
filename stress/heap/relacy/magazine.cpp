/* SPDX-License-Identifier: MIT
 *
 * magazine.cpp - magazines of two rounds in front of slabs of two objects, in exchange mode, under
 * every interleaving (world.hpp). In the end, when all magazines were drained, the marks and the
 * taken bits are the objects that are held.
 */
#include "world.hpp"

namespace
{

enum {
    ROUNDS = 2,
    /* Of a CPU: of which the remote one and the class's are used. */
    MAGAZINES = 2 + ObjectCache::NUMBER,
};

constexpr size_t MAGAZINE_ROOM =
    sizeof(cpu_cache) + (ROUNDS * ROUND_WORDS * sizeof(quire_pfn) + 63) / 64 * 64;
constexpr size_t CPU_ROOM = MAGAZINES * MAGAZINE_ROOM;
alignas(64) unsigned char cpu_rooms[THREADS * CPU_ROOM];

uint32_t node_of_thread[THREADS];

quire_node tell_node(void *)
{
    return quire_node_of(node_of_thread[rl::thread_index()]);
}

unsigned mark_at(const void *object)
{
    auto address = reinterpret_cast<uintptr_t>(object);
    uint32_t number = frame_slab(qa_load(&world->frames[address / QUIRE_FRAME_SIZE], relaxed));

    return byte_read(
        mark_of(&world->h, number, static_cast<unsigned>(address % QUIRE_FRAME_SIZE / SIZE)));
}

/* As a caller: through the magazines. */
int alloc(unsigned thread)
{
    void *object = nullptr;
    int error = object_alloc(&world->h, magazine_offset(&world->h, 1), 0, &object);

    if (!error)
        keep(thread, object);
    return error;
}

void free_at(unsigned thread, unsigned k)
{
    require(free_by_exchange(&world->h, let_go(thread, k)) == 0, "free");
}

bool drain()
{
    uint64_t frames = 0;

    return qi_magazines_drain(&world->h, 0, 1, false, &frames);
}

class WithMagazines : public InHeap
{
  public:
    /* The one class that there is becomes the one of this number. */
    explicit WithMagazines(uint32_t number = 0) : number_(number)
    {
    }

  protected:
    void setup() override
    {
        heap &h = world->h;

        h.magazine.cpus = THREADS;
        h.rounds = ROUNDS;
        for (uint32_t kind = 0; kind < FRAME_KINDS; kind++)
            h.magazine_offsets[kind] = kind * static_cast<uint32_t>(MAGAZINE_ROOM);
        h.port.node = tell_node;
        for (unsigned cpu = 0; cpu < THREADS; cpu++) {
            node_of_thread[cpu] = 0;
            h.magazines[cpu] = cpu_rooms + cpu * CPU_ROOM;
            for (uint32_t at : {UINT32_C(0), 1 + number_}) {
                clear(magazine_at(&h, cpu, at), MAGAZINE_ROOM);
                magazine_fit(magazine_at(&h, cpu, at), ROUNDS);
                magazine_begin(magazine_at(&h, cpu, at), at);
                magazine_accept(magazine_at(&h, cpu, at), issuer_of(&h, 0, cpu), TAKES_NODE);
            }
        }
        if (number_ < QUIRE_HEAP_CLASSES)
            hit_fit(&h, number_);
        prepare_objects();
        for (unsigned cpu = 0; cpu < THREADS; cpu++)
            for (uint32_t at : {UINT32_C(0), 1 + number_})
                magazine_at(&h, cpu, at)->present.share();
    }

    static void clear(void *memory, size_t bytes)
    {
        auto *first = static_cast<unsigned char *>(memory);

        for (size_t i = 0; i < bytes; i++)
            first[i] = 0;
    }

    virtual void prepare_objects() = 0;

    /* Objects of `thread`, allocated on this CPU; freed there, into its magazine. */
    static void prepare_held(unsigned thread, unsigned cpu, unsigned n)
    {
        cpu_of_thread[0] = cpu;
        store_ = thread;
        for (unsigned i = 0; i < n; i++)
            require(alloc(thread) == 0, "setting up");
        cpu_of_thread[0] = 0;
        store_ = THREADS;
    }

    static void prepare_cached(unsigned thread, unsigned cpu, unsigned n)
    {
        prepare_held(thread, cpu, n);
        cpu_of_thread[0] = cpu;
        while (world->owner[thread].count > 0)
            free_at(thread, 0);
        cpu_of_thread[0] = 0;
    }

    static void check_marks()
    {
        unsigned marks = 0, held = 0;

        for (const qa8 &mark : world->marks)
            marks += byte_read(&mark) != BYTE_NONE;
        for (const Owner &owner : world->owner) {
            held += owner.count;
            for (unsigned i = 0; i < owner.count; i++)
                require(mark_at(owner.held[i]) >> world->h.issuer_cpu_bits ==
                            static_cast<unsigned>(ISSUER_SET) >> world->h.issuer_cpu_bits,
                        "an object of a caller's has no mark, or another node's");
        }
        require(marks == held, "a mark of no caller's object");
    }

    void check() override
    {
        check_marks();
        (void)drain();
        check_slabs(true);
        check_marks();
    }

    const uint32_t number_;
};

/* Hits of one CPU, beside a drain of it; or beside a refusal's, which trims too. */
class HitBesideDrain : public WithMagazines
{
  public:
    HitBesideDrain(unsigned cached, bool frees_first, bool gives_back)
        : cached_(cached), frees_first_(frees_first), gives_back_(gives_back)
    {
    }

  private:
    void prepare_objects() override
    {
        prepare_cached(0, 0, cached_);
        if (frees_first_)
            prepare_held(0, 0, 1);
        magazine_at(&world->h, 0, 1)->count.share(); /* the word that says what is in it */
    }

    void thread(unsigned index) override
    {
        if (index == 1) {
            if (gives_back_)
                (void)qi_heap_give_back(&world->h, 0, 0);
            else
                (void)drain();
            return;
        }
        if (frees_first_)
            free_at(0, 0);
        require(alloc(0) == 0, "alloc");
        if (!frees_first_)
            free_at(0, 0);
    }

    const unsigned cached_;
    const bool frees_first_, gives_back_;
};

/* One frees what the other allocated, more than its magazine has room for, while the other
 * allocates: objects of its own node; of the other's; of its own, while its magazine takes only
 * what it handed out. */
class FreeElsewhere : public WithMagazines
{
  public:
    explicit FreeElsewhere(bool remote, bool own_only = false)
        : remote_(remote), own_only_(own_only)
    {
    }

  private:
    void prepare_objects() override
    {
        prepare_held(1, 0, 3);
        if (remote_) {
            world->h.nodes = 2;
            node_of_thread[1] = 1;
            magazine_accept(magazine_at(&world->h, 1, 1), issuer_of(&world->h, 1, 1), TAKES_NODE);
        }
        if (own_only_)
            magazine_accept(magazine_at(&world->h, 1, 1), issuer_of(&world->h, 0, 1),
                            TAKES_OWN_FIRST);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            require(alloc(0) == 0, "alloc");
        while (index == 1 && world->owner[1].count > 0)
            free_at(1, 0);
    }

    const bool remote_, own_only_;
};

/* An object is freed again, while it lies in a magazine that another call drains: told at once. */
class AgainWhileCached : public WithMagazines
{
    void prepare_objects() override
    {
        prepare_held(0, 0, 2);
        magazine_at(&world->h, 0, 1)->count.share();
    }

    void thread(unsigned index) override
    {
        void *object = world->owner[0].held[0];

        if (index == 1) {
            (void)drain();
            return;
        }
        free_at(0, 0);
        require(free_by_exchange(&world->h, object) == QUIRE_ERR_DOUBLE_FREE, "it was not told");
        require(free_by_exchange(&world->h, object) == QUIRE_ERR_DOUBLE_FREE,
                "it was not told later");
    }
};

/* Both free one object at one instant: one at least gets it, and it is there once in the end. */
class TwiceCached : public WithMagazines
{
    void prepare_objects() override
    {
        prepare_held(0, 0, 2);
        object_ = world->owner[0].held[--world->owner[0].count];
        for (qa8 &mark : world->marks)
            if (byte_read(&mark) != BYTE_NONE)
                mark.share();
    }

    void thread(unsigned index) override
    {
        error_[index] = free_by_exchange(&world->h, object_);
    }

    void check() override
    {
        require(error_[0] == 0 || error_[1] == 0, "nobody freed it");
        for (int error : error_)
            require(error == 0 || error == QUIRE_ERR_DOUBLE_FREE, "another error");
        WithMagazines::check();
    }

    void *object_;
    int error_[THREADS];
};

/* One stops for ever before any step of a call through its magazine: the other one, on the same CPU
 * or on another, gets objects and frees them all the same. */
class OwnerStops : public WithMagazines
{
  public:
    OwnerStops(unsigned what, unsigned cpu) : what_(what), cpu_(cpu)
    {
    }

  private:
    void prepare_objects() override
    {
        prepare_held(0, 0, 1);
        cpu_of_thread[1] = cpu_;
    }

    void thread(unsigned index) override
    {
        if (index == 0) {
            (void)up_to_a_stop([this] { work(); });
            return;
        }
        require(alloc(1) == 0 && alloc(1) == 0, "the other one was in the way");
        free_at(1, 0);
        free_at(1, 0);
    }

    void work() const
    {
        if (what_ == 0)
            (void)alloc(0);
        else if (what_ == 1)
            free_at(0, 0);
        else
            (void)drain();
    }

    void check() override
    {
        check_slabs(false);
    }

    const unsigned what_, cpu_;
};

/* Memory is out, and all free objects lie in the magazine of a CPU that does nothing: the others
 * get them. */
class LastCached : public WithMagazines
{
    void prepare_objects() override
    {
        prepare_held(0, 0, 3);
        free_at(0, 0);
        for (Owner &owner : world->owner)
            stored_[&owner - world->owner] = owner.left;
        for (Owner &owner : world->owner)
            owner.left = 0;
        cpu_of_thread[0] = 1;
    }

    void thread(unsigned index) override
    {
        error_[index] = alloc(index);
    }

    void check() override
    {
        for (unsigned i = 0; i < THREADS; i++)
            world->owner[i].left += stored_[i];
        require(error_[0] == 0 || error_[1] == 0, "a refusal, and there was an object");
        WithMagazines::check();
    }

    unsigned stored_[THREADS];
    int error_[THREADS];
};

/* An object cache ends while another CPU's drain has its magazine in hand, or the remote one with
 * an object of it, and another one begins. */
class EndBesideFlush : public WithMagazines
{
  public:
    explicit EndBesideFlush(bool remote) : WithMagazines(ObjectCache::NUMBER), remote_(remote)
    {
    }

  private:
    void prepare_objects() override
    {
        heap &h = world->h;
        cpu_cache *magazine = magazine_at(&h, 0, remote_ ? 0 : 1 + number_);

        cache_.create();
        cpu_of_thread[1] = 0; /* whichever thread it is that sets up */
        cache_.alloc();
        h.nodes = 2; /* as if CPU 0 were in another one */
        for (uint32_t &node : node_of_thread)
            node = remote_;
        cache_.free();
        h.nodes = 1;
        for (uint32_t &node : node_of_thread)
            node = 0;
        cpu_of_thread[1] = 1;
        require(cpu_cache_count(magazine) == ROUND_WORDS, "setting up");
        magazine->count.share();
        ObjectCache::share();
        for (slab &s : world->slabs)
            s.owner.share();
    }

    void thread(unsigned index) override
    {
        uint64_t frames = 0;

        if (index == 0)
            (void)qi_magazines_drain(&world->h, number_, number_ + 1, false, &frames);
        else
            cache_.replace();
    }

    void check() override
    {
        if (cache_.is_replaced())
            cache_.check();
        else
            WithMagazines::check();
    }

    const bool remote_;
    ObjectCache cache_;
};

HitBesideDrain pop_beside_drain(1, false, false), pop_two_beside_drain(2, false, false),
    push_beside_drain(1, true, false), hits_beside_give_back(1, false, true);
FreeElsewhere free_elsewhere(false), free_remote(true), free_others(false, true);
AgainWhileCached again_while_cached;
TwiceCached twice_cached;
OwnerStops alloc_stops(0, 0), free_stops(1, 0), drain_stops(2, 0), alloc_stops_elsewhere(0, 1),
    drain_stops_elsewhere(2, 1);
LastCached last_cached;
EndBesideFlush end_beside_flush(false), end_beside_remote_flush(true);

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"pop_beside_drain", pop_beside_drain, 2, Search::BOUND, 4},
                       {"pop_two_beside_drain", pop_two_beside_drain, 2, Search::BOUND, 4},
                       {"push_beside_drain", push_beside_drain, 2, Search::BOUND, 4},
                       {"hits_beside_give_back", hits_beside_give_back, 2, Search::BOUND, 3},
                       {"free_elsewhere", free_elsewhere, 2, Search::BOUND, 4},
                       {"free_remote", free_remote, 2, Search::BOUND, 4},
                       {"free_others", free_others, 2, Search::BOUND, 4},
                       {"again_while_cached", again_while_cached, 2, Search::BOUND, 5},
                       {"twice_cached", twice_cached, 2, Search::BOUND, 5},
                       {"last_cached", last_cached, 2, Search::BOUND, 3},
                       {"end_beside_flush", end_beside_flush, 2, Search::BOUND, 4},
                       {"end_beside_remote_flush", end_beside_remote_flush, 2, Search::BOUND, 4},
                       {"alloc_stops", alloc_stops, 2, Search::BOUND, 2},
                       {"free_stops", free_stops, 2, Search::BOUND, 3},
                       {"drain_stops", drain_stops, 2, Search::BOUND, 3},
                       {"alloc_stops_elsewhere", alloc_stops_elsewhere, 2, Search::BOUND, 3},
                       {"drain_stops_elsewhere", drain_stops_elsewhere, 2, Search::BOUND, 3},
                   });
}
