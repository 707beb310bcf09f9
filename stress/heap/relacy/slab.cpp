/* SPDX-License-Identifier: MIT
 *
 * slab.cpp - slabs under every interleaving: the real sources of kernel-port/heap, slab.c above
 * all, with slabs of two objects, in one word of the map or in two. White-box.
 *
 * Each thread takes frames from a store of its own, which is no step, and gives them back there.
 * Each object has a payload, written when it is constructed and, without order of its own, by
 * whoever has it: a race for it says that two have the object, or that a release or an acquire is
 * missing. In the end each slab that has a free object is in exactly one place, and no object is
 * lost.
 */
#include "stress/common/relacy/explore.hpp"
#include "stress/common/relacy/library.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a structure and a variable of the same name */
#pragma GCC diagnostic ignored "-Wextra"  /* C++ asks more of initialisers than C */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include "kernel-port/heap/cache.c"
#include "kernel-port/heap/classes.c"
#include "kernel-port/heap/figures.c"
#include "kernel-port/heap/slab.c"
#pragma GCC diagnostic pop

namespace
{

enum {
    THREADS = 2,
    STORE = 2,
    FRAMES = THREADS * STORE,
    SLABS = 5,
    OBJECTS = 2, /* of a slab */
    HELD = 3,    /* objects of a thread, at most */
    NODE = 0,
};

struct Owner {
    uint64_t store[STORE + 1];
    unsigned left;
    void *held[HELD];
    unsigned count;
};

struct World {
    heap h;
    size_class size;
    bin one_bin;
    slab slabs[SLABS];
    cpu_bin cpus[THREADS];
    heap_section section;
    qa32 frames[FRAMES];
    Owner owner[THREADS];
    rl::var<unsigned> payload[FRAMES][OBJECTS];
};

alignas(World) unsigned char room[sizeof(World)];
World *world;

/* Which of its objects an address is; frame 0 is at address 0, and objects are one byte. */
rl::var<unsigned> &payload_of(const void *object)
{
    auto address = reinterpret_cast<uintptr_t>(object);
    auto index = static_cast<unsigned>(address % QUIRE_FRAME_SIZE);

    require(index == 0 || index == world->size.objects - 1, "no object of the slab");
    return world->payload[address / QUIRE_FRAME_SIZE][index ? 1 : 0];
}

void construct(void *, void *object)
{
    payload_of(object)($).store(7);
}

unsigned cpu_of_thread[THREADS];

uint32_t tell_cpu(void *)
{
    return cpu_of_thread[rl::thread_index()];
}

/* A thread's objects. */
void put_at(unsigned thread, unsigned k)
{
    Owner &owner = world->owner[thread];
    void *object = owner.held[k];
    auto address = reinterpret_cast<uintptr_t>(object);
    uint32_t number = qa_load(&world->frames[address / QUIRE_FRAME_SIZE], relaxed);

    require(number != 0, "the slab of an object is gone");
    require(payload_of(object)($).load() == 10 + thread, "the object is another's");
    owner.held[k] = owner.held[--owner.count];
    require(qi_object_put(&world->h, &world->size, slab_of(&world->h, number),
                          static_cast<unsigned>(address % QUIRE_FRAME_SIZE)) == 0,
            "put");
}

int take(unsigned thread)
{
    Owner &owner = world->owner[thread];
    void *object = nullptr;
    int error = qi_object_take(&world->h, 0, NODE, 0, &object);

    if (error)
        return error;
    require(payload_of(object)($).load() >= 7, "the object was not constructed");
    payload_of(object)($).store(10 + thread);
    owner.held[owner.count++] = object;
    return 0;
}

/* How often a slab is in a stack. */
void count_stack(const stack &stack, unsigned places[])
{
    auto number = static_cast<uint32_t>(qa_load(&stack.top, relaxed) & STACK_NUMBER);

    while (number) {
        require(++places[number - 1] < 3, "a stack has a ring");
        number = qa_load(&world->slabs[number - 1].node.below, relaxed);
    }
}

class InHeap : public Scenario
{
  public:
    void before() final
    {
        void *bytes = room;

        world = ::new (bytes) World();
        build();
        for (rl::var<unsigned>(&frame)[OBJECTS] : world->payload)
            for (rl::var<unsigned> &payload : frame)
                payload($).store(0);
        cpu_of_thread[0] = 0;
        cpu_of_thread[1] = 1;
        setup();
        share();
    }

    void after() final
    {
        check();
        world->~World();
    }

  protected:
    explicit InHeap(unsigned words = 1) : words_(words)
    {
    }
    ~InHeap() = default;
    virtual void setup() = 0;
    virtual void check()
    {
        check_slabs(true);
    }

    /* Objects of `thread`, taken on this CPU by who sets up, thread 0 of the search. */
    static void prepare(unsigned thread, unsigned cpu, unsigned n)
    {
        cpu_of_thread[0] = cpu;
        store_ = thread;
        for (unsigned i = 0; i < n; i++)
            require(take(thread) == 0, "setting up");
        cpu_of_thread[0] = 0;
        store_ = THREADS;
    }

    static unsigned slabs_alive()
    {
        unsigned n = 0;

        for (const slab &s : world->slabs)
            n += qa_load(&s.owner, relaxed) && !(qa_load(&s.place, relaxed) & SLAB_DEAD);
        return n;
    }

    /* Every slab is listed in one place, or is full and in none; the taken bits are the objects
     * that are held. */
    static void check_slabs(bool all_done)
    {
        unsigned places[SLABS] = {}, taken = 0, held = 0, frames = 0;

        count_stack(world->one_bin.partial, places);
        count_stack(world->one_bin.unused, places);
        for (const cpu_bin &cpu : world->cpus)
            if (uint32_t active = qa_load(&cpu.active, relaxed))
                places[active - 1]++;
        for (unsigned i = 0; i < SLABS; i++) {
            const slab &s = world->slabs[i];
            uint32_t place = qa_load(&s.place, relaxed);

            if (!qa_load(&s.owner, relaxed))
                continue;
            require(places[i] <= 1, "a slab is in two places");
            if (all_done)
                require(places[i] == ((place & SLAB_LISTED) != 0), "a slab is listed nowhere");
            if (all_done && slab_has_free(&world->size, &s))
                require(place & SLAB_LISTED, "a free object that nobody finds");
            if (place & SLAB_DEAD)
                continue;
            frames++;
            for (unsigned w = 0; w < world->size.words; w++)
                taken += word_count(qa_load(&s.map[w], relaxed) & ~world->size.empty[w]);
        }
        for (const Owner &owner : world->owner) {
            held += owner.count;
            frames += owner.left;
        }
        if (all_done) {
            require(taken == held, "an object is lost");
            require(frames == FRAMES, "a frame is lost");
        }
    }

  public:
    static unsigned store_; /* in whose name frames come and go; THREADS: the thread's own */

  private:
    void build()
    {
        heap &h = world->h;

        world->size.size = 1;
        world->size.words = words_;
        world->size.objects = words_ == 1 ? OBJECTS : WORD_BITS + 1;
        for (uint64_t &empty : world->size.empty)
            empty = WORD_FULL;
        world->size.empty[0] = words_ == 1 ? ~UINT64_C(3) : ~UINT64_C(1);
        if (words_ == 2)
            world->size.empty[1] = ~UINT64_C(1);
        h.port.cpu = tell_cpu;
        h.cpus = THREADS;
        h.nodes = 1;
        h.class_count = 1;
        h.slab_most = SLABS;
        h.section_count = 1;
        h.sections = &world->section;
        h.frames = world->frames;
        h.slabs = world->slabs;
        h.nodes_of_slabs.first = reinterpret_cast<unsigned char *>(world->slabs);
        h.nodes_of_slabs.stride = sizeof(slab);
        h.classes = &world->size;
        h.bins = &world->one_bin;
        h.cpu_bins = reinterpret_cast<unsigned char *>(world->cpus);
        h.cpu_stride = sizeof(cpu_bin);
        world->one_bin.number = slab_owner(0, NODE);
        world->section.frames = FRAMES;
        for (unsigned i = 0; i < FRAMES; i++)
            world->owner[i / STORE].store[world->owner[i / STORE].left++] = i;
        store_ = THREADS;
        world->size.construct = construct_existing;
    }

    /* Of a slab with two words the first has more objects in name, which are always taken. */
    static void construct_existing(void *ctx, void *object)
    {
        auto index = reinterpret_cast<uintptr_t>(object) % QUIRE_FRAME_SIZE;

        if (index == 0 || index == world->size.objects - 1)
            construct(ctx, object);
    }

    void share() const
    {
        for (slab &s : world->slabs) {
            s.place.share();
            s.node.below.share();
            for (unsigned w = 0; w < words_; w++)
                s.map[w].share();
        }
        for (cpu_bin &cpu : world->cpus) {
            cpu.active.share();
            cpu.spare.share();
        }
        world->one_bin.partial.top.share();
        world->one_bin.unused.top.share();
        world->h.slab_count.share();
    }

    const unsigned words_;
};

unsigned InHeap::store_;

Owner &store_owner()
{
    return world->owner[InHeap::store_ < THREADS ? InHeap::store_ : rl::thread_index()];
}

/* Each takes `takes` objects and puts back all, or none; there is nothing at the start, or a slab
 * that is active for both. With nothing, who empties a slab of its own is on one CPU with the
 * other, whose slab it pushes out as the spare. */
class TakeAll : public InHeap
{
  public:
    TakeAll(unsigned words, unsigned takes, bool one_active, bool puts)
        : InHeap(words), takes_(takes), one_active_(one_active), puts_(puts)
    {
    }

  private:
    void setup() override
    {
        if (one_active_) {
            prepare(0, 0, 1);
            put_at(0, 0);
        }
        if (one_active_ || puts_)
            cpu_of_thread[1] = 0;
        for (slab &s : world->slabs)
            if (!one_active_ && puts_)
                s.owner.share();
    }

    void thread(unsigned index) override
    {
        for (unsigned i = 0; i < takes_; i++)
            require(take(index) == 0, "take");
        while (puts_ && world->owner[index].count > 0)
            put_at(index, 0);
    }

    const unsigned takes_;
    const bool one_active_, puts_;
};

/* A full slab, half of it each one's: both free. With one CPU for both, another slab was emptied
 * before, and goes. */
class LastPuts : public InHeap
{
  public:
    LastPuts(unsigned words, bool spare) : InHeap(words), spare_(spare)
    {
    }

  private:
    void setup() override
    {
        prepare(0, 0, spare_ ? 3 : 1);
        prepare(1, 0, 1);
        cpu_of_thread[1] = 0;
        if (spare_) /* the second slab has one of each; the first one is empty, and the spare */
            put_at(0, 0);
        if (spare_)
            put_at(0, 1);
    }

    void thread(unsigned index) override
    {
        while (world->owner[index].count > 0)
            put_at(index, 0);
    }

    void check() override
    {
        check_slabs(true);
        require(slabs_alive() == 1, "an empty slab stays, or all went");
        require(qa_load(&world->cpus[0].spare, relaxed) != 0, "nobody saw the slab run empty");
    }

    const bool spare_;
};

/* One takes from a slab that the other gives back, or puts back the last object of it, which is in
 * the slab's last word. */
class TakeBesideTrim : public InHeap
{
  public:
    TakeBesideTrim(unsigned words, bool puts) : InHeap(words), puts_(puts)
    {
    }

  private:
    void setup() override
    {
        prepare(1, 1, 2);
        put_at(1, 0);
        if (!puts_)
            put_at(1, 0);
    }

    void thread(unsigned index) override
    {
        if (index == 0) {
            frames_ = qi_slabs_trim(&world->h);
            return;
        }
        if (puts_)
            put_at(1, 0);
        else
            require(take(1) == 0, "take");
    }

    void check() override
    {
        check_slabs(true);
        require(frames_ <= 1, "a slab went twice");
        if (puts_ && slabs_alive() > 0)
            require(qa_load(&world->cpus[1].spare, relaxed) != 0, "nobody saw the slab run empty");
        (void)qi_slabs_trim(&world->h);
        require(slabs_alive() == (puts_ ? 0U : 1U), "an empty slab does not go");
    }

    const bool puts_;
    uint64_t frames_ = 0;
};

/* Two give one empty slab back, and a third look finds none. */
class TwoTrims : public InHeap
{
  public:
    explicit TwoTrims(unsigned words) : InHeap(words)
    {
    }

  private:
    void setup() override
    {
        prepare(1, 1, 1);
        put_at(1, 0);
        frames_[0] = frames_[1] = 0;
    }

    void thread(unsigned index) override
    {
        frames_[index] = qi_slabs_trim(&world->h);
    }

    void check() override
    {
        check_slabs(true);
        require(frames_[0] + frames_[1] <= 1, "a slab went twice");
        (void)qi_slabs_trim(&world->h);
        require(slabs_alive() == 0, "an empty slab does not go");
    }

    uint64_t frames_[THREADS];
};

/* A CPU leaves its active, which is full, while another frees an object of it. */
class LeaveBesidePut : public InHeap
{
  public:
    explicit LeaveBesidePut(unsigned words) : InHeap(words)
    {
    }

  private:
    void setup() override
    {
        prepare(0, 0, 1);
        prepare(1, 0, 1);
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            require(take(0) == 0, "take");
        else
            put_at(1, 0);
    }
};

/* The bin's stack has a slab that is full, as one whose last object a late taker had. */
class FullListed : public InHeap
{
  public:
    explicit FullListed(unsigned words) : InHeap(words)
    {
    }

  private:
    void setup() override
    {
        prepare(0, 0, 2);
        qa_store(&world->cpus[0].active, 0, relaxed);
        stack_push(&world->one_bin.partial, &world->slabs[0].node);
    }

    void thread(unsigned index) override
    {
        require(take(index) == 0, "take");
    }
};

/* An object cache ends, and its class, descriptors and frames serve another one with larger
 * objects, while somebody looks at all slabs. */
class EndBesideTrim : public InHeap
{
  public:
    EndBesideTrim() : InHeap(1)
    {
    }

  private:
    /* The one class that there is becomes that of the first object cache. */
    void setup() override
    {
        heap &h = world->h;

        h.classes = reinterpret_cast<size_class *>(reinterpret_cast<uintptr_t>(&world->size) -
                                                   NUMBER * sizeof(size_class));
        h.bins = reinterpret_cast<bin *>(reinterpret_cast<uintptr_t>(&world->one_bin) -
                                         NUMBER * sizeof(bin));
        h.cpu_bins = reinterpret_cast<unsigned char *>(reinterpret_cast<uintptr_t>(world->cpus) -
                                                       NUMBER * sizeof(cpu_bin));
        h.class_count = NUMBER + 1;
        world->one_bin.number = slab_owner(NUMBER, NODE);
        qa_store(&world->size.in_use, CLASS_IN_USE, relaxed);
        handle_ = {};
        handle_.state = &h;
        cache_ = {&handle_, NUMBER};
        require(quire_heap_cache_alloc(&cache_, 0, quire_near(), &object_) == 0, "setting up");
        require(qi_object_put(&h, &world->size, &world->slabs[0], 0) == 0, "setting up");
        object_ = nullptr;
        world->size.in_use.share();
        world->size.visitors.share();
    }

    void thread(unsigned index) override
    {
        quire_heap_cache_config config = {};
        uint64_t leaked = 0;
        int error;

        if (index == 0) {
            (void)qi_slabs_trim(&world->h);
            return;
        }
        error = quire_heap_cache_destroy(&cache_, &leaked);
        require(error == 0 || (error == QUIRE_ERR_BUSY && leaked == 0), "destroy");
        if (error)
            return;
        config.bytes = 512;
        require(quire_heap_cache_create(&handle_, &config, &cache_) == 0, "create");
        require(quire_heap_cache_alloc(&cache_, 0, quire_near(), &object_) == 0, "alloc");
    }

    void check() override
    {
        const slab *s;
        uint32_t number;

        if (!object_)
            return;
        number = qa_load(frame_word(&world->h, pfn_of_address(&world->h, object_)), relaxed);
        require(number != 0, "the slab of an object is gone");
        s = slab_of(&world->h, number);
        require(s->at == object_ && !(qa_load(&s->place, relaxed) & SLAB_DEAD), "another slab");
        require(qa_load(&s->map[0], relaxed) == (~UINT64_C(0xff) | 1), "its map");
        require(world->owner[0].left + world->owner[1].left == FRAMES - 1, "a frame is lost");
    }

    static const uint32_t NUMBER = QUIRE_HEAP_CLASSES;
    quire_heap handle_;
    quire_heap_cache cache_;
    void *object_;
};

/* Both take all that there is of one slab, at once; one puts an object back before. */
class SomeAtOnce : public InHeap
{
  public:
    explicit SomeAtOnce(unsigned words) : InHeap(words)
    {
    }

  private:
    void setup() override
    {
        prepare(0, 0, 2);
        put_at(0, 1);
        cpu_of_thread[1] = 0;
    }

    void thread(unsigned index) override
    {
        Owner &owner = world->owner[index];
        void *objects[OBJECTS];
        size_t n;

        if (index == 0)
            put_at(0, 0);
        n = qi_objects_take(&world->h, 0, NODE, OBJECTS, objects);
        for (size_t i = 0; i < n; i++) {
            payload_of(objects[i])($).store(10 + index);
            owner.held[owner.count++] = objects[i];
        }
    }
};

/* Both free one object. */
class TwiceAtOnce : public InHeap
{
    void setup() override
    {
        prepare(0, 0, 2);
        error_[0] = error_[1] = 1;
    }

    void thread(unsigned index) override
    {
        error_[index] = qi_object_put(&world->h, &world->size, &world->slabs[0], 0);
    }

    void check() override
    {
        require(error_[0] + error_[1] == QUIRE_ERR_DOUBLE_FREE, "not one of the two was told");
    }

    int error_[THREADS];
};

/* There is one descriptor, of a slab that is full, and nowhere. One empties it, the other one wants
 * an object: who gives the slab back for that has its descriptor to make another. */
class FullOfSlabs : public InHeap
{
    void setup() override
    {
        prepare(1, 1, 2);
        qa_store(&world->cpus[1].active, 0, relaxed);
        qa_store(&world->slabs[0].place, 0, relaxed);
        world->h.slab_most = 1;
    }

    void thread(unsigned index) override
    {
        if (index == 1)
            put_at(1, 0);
        if (index == 1)
            put_at(1, 0);
        else
            require(take(0) == 0 || world->owner[0].left == STORE, "a slab went back, in vain");
    }
};

/* The machine has no frames, and one object is free, in the active slab of another CPU. */
class LastObject : public InHeap
{
    void setup() override
    {
        prepare(1, 1, 1);
        for (Owner &owner : world->owner)
            owner.left = 0;
        got_ = 0;
    }

    void thread(unsigned index) override
    {
        int error = take(index);

        require(error == 0 || error == QUIRE_ERR_NO_MEMORY, "take");
        got_ += error == 0;
    }

    void check() override
    {
        require(got_ == 1, "one object, and not one that got it");
    }

    unsigned got_;
};

/* One stops for ever before any step of what it does: the other gets its objects all the same. */
class Stops : public InHeap
{
  public:
    explicit Stops(unsigned what) : InHeap(1), what_(what)
    {
    }

  private:
    void setup() override
    {
        prepare(0, 0, 2);
        if (what_ == 2)
            put_at(0, 0);
        if (what_ == 2)
            put_at(0, 0);
        cpu_of_thread[1] = 0;
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            (void)up_to_a_stop([this] { work(); });
        else
            require(take(1) == 0 && take(1) == 0, "the other one was in the way");
    }

    void work() const
    {
        if (what_ == 0)
            (void)take(0);
        else if (what_ == 1)
            put_at(0, 0);
        else
            (void)qi_slabs_trim(&world->h);
    }

    void check() override
    {
        check_slabs(false);
    }

    const unsigned what_;
};

TakeAll make_two(1, 1, false, false), fill_active(1, 1, true, false),
    overfill_active(1, 2, true, false), each_empties(1, 1, false, true);
TakeAll fill_words(2, 1, true, false), to_and_fro(1, 1, true, true),
    to_and_fro_words(2, 1, true, true);
LastPuts last_puts(1, false), last_puts_words(2, false), spare_goes(1, true),
    spare_goes_words(2, true);
TakeBesideTrim take_beside_trim(1, false), take_beside_trim_words(2, false);
TakeBesideTrim put_beside_trim(1, true), put_beside_trim_words(2, true);
TwoTrims two_trims(1), two_trims_words(2);
LeaveBesidePut leave_beside_put(1), leave_beside_put_words(2);
FullListed full_listed(1), full_listed_words(2);
EndBesideTrim end_beside_trim;
SomeAtOnce some_at_once(1), some_at_once_words(2);
TwiceAtOnce twice_at_once;
FullOfSlabs full_of_slabs;
LastObject last_object;
Stops take_stops(0), put_stops(1), trim_stops(2);

} /* namespace */

/* No pointer is bad here. */
int qi_frame_error(const struct heap *, uint64_t)
{
    return QUIRE_ERR_FRAME;
}

/* The machine: a store of each thread. */
int quire_machine_request(struct quire_machine *, const struct quire_request *, quire_pfn *pfn,
                          struct quire_refusal *)
{
    Owner &owner = store_owner();

    if (owner.left == 0)
        return QUIRE_ERR_NO_MEMORY;
    pfn->n = owner.store[--owner.left];
    return 0;
}

int quire_machine_free(struct quire_machine *, quire_pfn pfn, unsigned)
{
    Owner &owner = store_owner();

    require(owner.left <= STORE, "a frame comes back that was not given");
    owner.store[owner.left++] = pfn.n;
    return 0;
}

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"twice_at_once", twice_at_once, 2, Search::FULL, 0},
                       {"fill_active", fill_active, 2, Search::FULL, 0},
                       {"fill_words", fill_words, 2, Search::BOUND, 5},
                       {"last_puts", last_puts, 2, Search::FULL, 0},
                       {"last_puts_words", last_puts_words, 2, Search::FULL, 0},
                       {"two_trims", two_trims, 2, Search::FULL, 0},
                       {"two_trims_words", two_trims_words, 2, Search::FULL, 0},
                       {"take_beside_trim", take_beside_trim, 2, Search::BOUND, 5},
                       {"take_beside_trim_words", take_beside_trim_words, 2, Search::BOUND, 5},
                       {"put_beside_trim", put_beside_trim, 2, Search::FULL, 0},
                       {"put_beside_trim_words", put_beside_trim_words, 2, Search::FULL, 0},
                       {"leave_beside_put", leave_beside_put, 2, Search::BOUND, 6},
                       {"leave_beside_put_words", leave_beside_put_words, 2, Search::BOUND, 5},
                       {"spare_goes", spare_goes, 2, Search::FULL, 0},
                       {"spare_goes_words", spare_goes_words, 2, Search::BOUND, 5},
                       {"full_of_slabs", full_of_slabs, 2, Search::BOUND, 4},
                       {"each_empties", each_empties, 2, Search::BOUND, 3},
                       {"full_listed", full_listed, 2, Search::BOUND, 4},
                       {"full_listed_words", full_listed_words, 2, Search::BOUND, 3},
                       {"end_beside_trim", end_beside_trim, 2, Search::BOUND, 4},
                       {"some_at_once", some_at_once, 2, Search::FULL, 0},
                       {"some_at_once_words", some_at_once_words, 2, Search::FULL, 0},
                       {"last_object", last_object, 2, Search::BOUND, 4},
                       {"make_two", make_two, 2, Search::BOUND, 4},
                       {"overfill_active", overfill_active, 2, Search::BOUND, 4},
                       {"to_and_fro", to_and_fro, 2, Search::BOUND, 4},
                       {"to_and_fro_words", to_and_fro_words, 2, Search::BOUND, 3},
                       {"take_stops", take_stops, 2, Search::BOUND, 3},
                       {"put_stops", put_stops, 2, Search::BOUND, 4},
                       {"trim_stops", trim_stops, 2, Search::BOUND, 4},
                   });
}
