/* SPDX-License-Identifier: MIT
 *
 * world.hpp - a heap under Relacy: the real sources of kernel-port/heap, with slabs of two objects,
 * in one word of the map or in two. White-box. Each program includes it once.
 *
 * Each thread takes frames from a store of its own, which is no step, and gives them back there.
 * Each object has a payload, written when it is constructed and, without order of its own, by
 * whoever has it: a race for it says that two have the object, or that a release or an acquire is
 * missing. In the end each slab that has a free object is in exactly one place, and no object is
 * lost.
 */
#ifndef QUIRE_STRESS_HEAP_RELACY_WORLD_HPP
#define QUIRE_STRESS_HEAP_RELACY_WORLD_HPP

#include "stress/common/relacy/explore.hpp"
#include "stress/common/relacy/library.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a structure and a variable of the same name */
#pragma GCC diagnostic ignored "-Wextra"  /* C++ asks more of initialisers than C */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include "kernel-port/heap/cache.c"
#include "kernel-port/heap/classes.c"
#include "kernel-port/heap/figures.c"
#include "kernel-port/heap/frames.c"
#include "kernel-port/heap/magazine.c"
#include "kernel-port/heap/magazine_flush.c"
#include "kernel-port/heap/objects.c"
#include "kernel-port/heap/slab.c"
#include "kernel-port/heap/who/records.c"
#include "percpu/ownership.c"
#include "unwatched.hpp"
#pragma GCC diagnostic pop

namespace
{

enum {
    THREADS = 2,
    STORE = 2,
    FRAMES = THREADS * STORE,
    SLABS = 5,
    OBJECTS = 2, /* of a slab */
    SIZE = 2,    /* bytes of an object */
    HELD = 4,    /* objects of a thread, at most */
    NODE = 0,
};

struct Owner {
    uint64_t store[FRAMES];
    unsigned left;
    void *held[HELD];
    unsigned count;
};

struct World {
    size_class size;
    bin one_bin;
    partial_slabs partial[THREADS]; /* of the one bin */
    slab slabs[SLABS];
    qa8 marks[(SLABS + 1) * SLAB_MARKS];
    cpu_bin cpus[THREADS];
    heap_section section;
    qa32 frames[FRAMES];
    Owner owner[THREADS];
    rl::var<unsigned> payload[FRAMES][OBJECTS];
    heap h; /* and behind it where the magazines of each CPU are */
};

alignas(World) unsigned char room[sizeof(World) + THREADS * sizeof(unsigned char *)];
World *world;

/* Which of its objects an address is; frame 0 is at address 0. */
rl::var<unsigned> &payload_of(const void *object)
{
    auto address = reinterpret_cast<uintptr_t>(object);
    auto index = static_cast<unsigned>(address % QUIRE_FRAME_SIZE / SIZE);

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

/* An object that was allocated is a thread's. */
void keep(unsigned thread, void *object)
{
    Owner &owner = world->owner[thread];

    require(payload_of(object)($).load() >= 7, "the object was not constructed");
    payload_of(object)($).store(10 + thread);
    owner.held[owner.count++] = object;
}

/* A thread's object that is about to be freed. */
void *let_go(unsigned thread, unsigned k)
{
    Owner &owner = world->owner[thread];
    void *object = owner.held[k];

    require(payload_of(object)($).load() == 10 + thread, "the object is another's");
    owner.held[k] = owner.held[--owner.count];
    return object;
}

/* Without magazines. */
[[maybe_unused]] void put_at(unsigned thread, unsigned k)
{
    auto address = reinterpret_cast<uintptr_t>(let_go(thread, k));
    uint32_t number = frame_slab(qa_load(&world->frames[address / QUIRE_FRAME_SIZE], relaxed));

    require(number != 0, "the slab of an object is gone");
    require(qi_object_put(&world->h, slab_of(&world->h, number),
                          static_cast<unsigned>(address % QUIRE_FRAME_SIZE / SIZE)) == 0,
            "put");
}

int take(unsigned thread)
{
    void *object = nullptr;
    int error = qi_object_take(&world->h, 0, NODE, 0, &object);

    if (!error)
        keep(thread, object);
    return error;
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

        for (const partial_slabs &partial : world->partial)
            count_stack(partial.stack, places);
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

        world->size.size = SIZE;
        world->size.reciprocal = UINT32_MAX / SIZE + 1;
        world->size.mask = QUIRE_FRAME_SIZE - 1;
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
        h.marks = world->marks;
        h.magazine.without_rseq = UINT32_MAX;
        h.magazine.mode = QUIRE_CACHE_EXCHANGE;
        h.window_frames = FRAMES;
        h.window = world->frames;
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
        h.partials = reinterpret_cast<unsigned char *>(world->partial);
        h.partial_stride = sizeof(partial_slabs);
        for (uint32_t kind = 0; kind < FRAME_KINDS; kind++) /* no magazines */
            h.magazine_offsets[kind] = kind * static_cast<uint32_t>(sizeof(cpu_cache));
        h.issuer_cpu_bits = ISSUER_BITS - 1; /* as of two nodes */
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
        auto index = reinterpret_cast<uintptr_t>(object) % QUIRE_FRAME_SIZE / SIZE;

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
        for (uint32_t i = 0; i <= world->h.stack_mask; i++) {
            world->partial[i].stack.top.share();
            if (world->h.stack_mask)
                world->partial[i].count.share();
        }
        world->one_bin.unused.top.share();
        world->h.slab_count.share();
    }

    const unsigned words_;
};

unsigned InHeap::store_;

/* The first object cache: the one class that there is becomes its class. It ends, and its class,
 * descriptors and frames serve another one with larger objects. */
class ObjectCache
{
  public:
    static const uint32_t NUMBER = QUIRE_HEAP_CLASSES; /* of its class */

    void create()
    {
        heap &h = world->h;

        h.classes = reinterpret_cast<size_class *>(reinterpret_cast<uintptr_t>(&world->size) -
                                                   NUMBER * sizeof(size_class));
        h.bins = reinterpret_cast<bin *>(reinterpret_cast<uintptr_t>(&world->one_bin) -
                                         NUMBER * sizeof(bin));
        h.cpu_bins = reinterpret_cast<unsigned char *>(reinterpret_cast<uintptr_t>(world->cpus) -
                                                       NUMBER * sizeof(cpu_bin));
        h.partials = reinterpret_cast<unsigned char *>(reinterpret_cast<uintptr_t>(world->partial) -
                                                       NUMBER * sizeof(partial_slabs));
        h.class_count = NUMBER + 1;
        world->one_bin.number = slab_owner(NUMBER, NODE);
        qa_store(&world->size.in_use, CLASS_IN_USE, relaxed);
        handle_ = {};
        handle_.state = &h;
        cache_ = {&handle_, NUMBER};
        object_ = nullptr;
    }

    void alloc()
    {
        require(quire_heap_cache_alloc(&cache_, 0, quire_near(), &object_) == 0, "alloc");
    }

    void free()
    {
        require(quire_heap_cache_free(&cache_, object_) == 0, "free");
        object_ = nullptr;
    }

    /* From now on the search sees how the class is entered and ended. */
    static void share()
    {
        world->size.in_use.share();
        world->size.visitors.share();
    }

    /* It ends if nobody is looking at its slabs; then another one begins, with an object. */
    void replace()
    {
        quire_heap_cache_config config = {};
        uint64_t leaked = 0;
        int error = quire_heap_cache_destroy(&cache_, &leaked);

        require(error == 0 || (error == QUIRE_ERR_BUSY && leaked == 0), "destroy");
        if (error)
            return;
        config.bytes = 512;
        require(quire_heap_cache_create(&handle_, &config, &cache_) == 0, "create");
        alloc();
    }

    bool is_replaced() const
    {
        return object_ != nullptr;
    }

    /* The other one's object is the first of the one slab. */
    void check() const
    {
        uint32_t number =
            frame_slab(qa_load(frame_word(&world->h, pfn_of_address(&world->h, object_)), relaxed));
        const slab *s;

        require(number != 0, "the slab of an object is gone");
        s = slab_of(&world->h, number);
        require(s->at == object_ && !(qa_load(&s->place, relaxed) & SLAB_DEAD), "another slab");
        require(qa_load(&s->map[0], relaxed) == (~UINT64_C(0xff) | 1), "its map");
        require(world->owner[0].left + world->owner[1].left == FRAMES - 1, "a frame is lost");
    }

  private:
    quire_heap handle_;
    quire_heap_cache cache_;
    void *object_;
};

Owner &store_owner()
{
    return world->owner[InHeap::store_ < THREADS ? InHeap::store_ : rl::thread_index()];
}

} /* namespace */

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

    require(owner.left < FRAMES, "a frame comes back that was not given");
    owner.store[owner.left++] = pfn.n;
    return 0;
}

#endif /* QUIRE_STRESS_HEAP_RELACY_WORLD_HPP */
