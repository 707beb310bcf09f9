/* SPDX-License-Identifier: MIT
 *
 * who.cpp - what is counted against a limit, under every interleaving: the quota of a tag and the
 * share of a heap, by the real sources. White-box.
 *
 * A limit is never exceeded at any moment, and a refusal has its reason: what all could have at
 * once does not fit. A run of the reserve has one owner, who sees what the last one wrote. And the
 * records of a slab that goes beside a walk go once, and not while it reads them.
 */
#include "stress/common/relacy/explore.hpp"
#include "stress/common/relacy/library.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a structure and a variable of the same name */
#pragma GCC diagnostic ignored "-Wextra"  /* C++ asks more of initialisers than C */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include "kernel-port/heap/frames.c"
#include "kernel-port/heap/who/records.c"
#include "kernel-port/heap/who/tags.c"
#pragma GCC diagnostic pop

namespace
{

enum { THREADS = 2, TAG = 1, LIMIT = 5, RUNS = 2, FRAMES = 16 };

struct World {
    watch w;
    heap_tag tags[2];
    class_account accounts[1];
    qa64 reserve[RUNS];
    heap_section section;
    qa32 frames[FRAMES];
    rl::var<unsigned> payload[RUNS];
    size_class classes[1];
    slab slabs[1];
    slab_records records[1];
    qa64 array[1]; /* of records, and what is read and written of it */
    rl::var<unsigned> read;
    rl::var<unsigned> puts;
    heap h; /* last: it ends in an array without a length */
};

alignas(World) unsigned char room[sizeof(World)];
World *world;

class Counted : public Scenario
{
  public:
    void before() final
    {
        void *bytes = room;

        world = ::new (bytes) World();
        world->h.watch = &world->w;
        world->w.tags = world->tags;
        world->w.tag_most = 1;
        world->w.accounts = world->accounts;
        qa_store(&world->tags[TAG].made, 1, relaxed);
        qa_store(&world->tags[TAG].quota, LIMIT, relaxed);
        world->h.share = LIMIT;
        world->h.nodes = 1;
        world->h.reserve = world->reserve;
        world->h.section_count = 1;
        world->h.sections = &world->section;
        world->h.frames = world->frames;
        world->section.frames = FRAMES;
        for (rl::var<unsigned> &payload : world->payload)
            payload($).store(0);
        world->read($).store(0);
        world->puts($).store(0);
        setup();
        world->tags[TAG].bytes.share();
        world->tags[TAG].peak.share();
        world->h.held.share();
        world->h.had.share();
        world->h.had_most.share();
        for (qa64 &slot : world->reserve)
            slot.share();
    }

    void after() final
    {
        check();
        world->~World();
    }

  protected:
    ~Counted() = default;
    virtual void setup()
    {
    }
    virtual void check()
    {
    }
};

/* Charges of 3 and 2: both fit. 3 and 3: one is refused, unless the other was taken back. */
class Quota : public Counted
{
  public:
    Quota(uint64_t first, uint64_t second, bool back) : bytes_{first, second}, back_(back)
    {
    }

  private:
    void setup() override
    {
        granted_[0] = granted_[1] = 0;
    }

    void thread(unsigned index) override
    {
        for (unsigned i = 0; i < (back_ ? 2U : 1U); i++) {
            if (qi_tag_charge(&world->w, TAG, bytes_[index])) {
                require(bytes_[0] + bytes_[1] > LIMIT, "a refusal without a reason");
                continue;
            }
            granted_[index]++;
            require(qa_load(&world->tags[TAG].bytes, relaxed) <= LIMIT, "more than the quota");
            if (back_)
                qi_tag_discharge(&world->w, TAG, bytes_[index]);
        }
    }

    void check() override
    {
        uint64_t left = back_ ? 0 : granted_[0] * bytes_[0] + granted_[1] * bytes_[1];

        require(qa_load(&world->tags[TAG].bytes, relaxed) == left, "a charge is lost");
        require(left <= LIMIT, "more than the quota");
        require(granted_[0] + granted_[1] > 0, "both were refused");
        require(qa_load(&world->tags[TAG].peak, relaxed) <= LIMIT, "more than the quota");
    }

    const uint64_t bytes_[THREADS];
    const bool back_;
    uint64_t granted_[THREADS];
};

/* The share: runs of 4 frames and of 1, or two of 4, of which one is refused. */
class Share : public Counted
{
  public:
    explicit Share(unsigned second) : order_{2, second}
    {
    }

  private:
    void setup() override
    {
        world->h.reserve_runs = 0;
        granted_[0] = granted_[1] = false;
    }

    void thread(unsigned index) override
    {
        quire_pfn pfn = {0};

        granted_[index] = qi_frames_get(&world->h, order_[index], 0, 0, &pfn) == 0;
        require(qa_load(&world->h.held, relaxed) <= LIMIT, "more than the share");
    }

    void check() override
    {
        bool both = granted_[0] && granted_[1];

        require(qa_load(&world->h.had_most, relaxed) <= LIMIT, "more than the share");
        require(granted_[0] || granted_[1], "both were refused");
        require(both == (order_[1] == 0), "a refusal without a reason, or none with one");
    }

    const unsigned order_[THREADS];
    bool granted_[THREADS];
};

/* Runs go out of the reserve and come back. */
class Reserve : public Counted
{
    void setup() override
    {
        world->h.reserve_runs = RUNS;
        qa_store(&world->reserve[0], 1, relaxed); /* frame 0 */
    }

    void thread(unsigned) override
    {
        quire_pfn pfn;

        if (qi_reserve_get(&world->h, &pfn))
            return;
        world->payload[pfn.n / 8]($).store(1);
        require(qi_frames_put(&world->h, pfn, RESERVE_ORDER) == 0, "put");
    }

    void check() override
    {
        unsigned runs = 0;

        for (qa64 &slot : world->reserve)
            runs += qa_load(&slot, relaxed) != 0;
        require(runs == 1, "a run of the reserve is lost, or there twice");
    }
};

/* A slab goes, and its records, while others walk. */
class WalkBesideRetire : public Counted
{
    void setup() override
    {
        world->h.slabs = world->slabs;
        world->h.classes = world->classes;
        world->slabs[0].node.number = 1;
        qa_store(&world->slabs[0].owner, slab_owner(0, 0), relaxed);
        world->h.port.reach.base =
            reinterpret_cast<uintptr_t>(world->array) & ~(uintptr_t)(QUIRE_FRAME_SIZE - 1);
        world->h.class_count = 1;
        world->classes[0].size = 1;
        world->classes[0].reciprocal = UINT32_MAX;
        world->classes[0].objects = UINT32_MAX;
        world->classes[0].mask = QUIRE_FRAME_SIZE - 1;
        world->h.base = reinterpret_cast<uintptr_t>(world->array);
        world->slabs[0].at = reinterpret_cast<unsigned char *>(world->array);
        qa_store(&world->frames[0], slab_frame_word(1, 0), relaxed);
        world->w.slabs = world->records;
        world->w.stride = 1;
        world->w.record_class = 1;
        qa_store(&world->records[0].at, reinterpret_cast<uintptr_t>(world->array), relaxed);
        world->records[0].at.share();
        world->w.readers.share();
        world->w.kept.share();
    }

    void thread(unsigned index) override
    {
        uint64_t base;

        if (index == 0) {
            qi_records_clear(&world->h, world->slabs);
            return;
        }
        qi_records_enter(&world->w);
        if (qi_records_of_slab(&world->h, world->slabs, &base))
            (void)world->read($).load();
        qi_records_leave(&world->h);
    }

    void check() override
    {
        qi_records_collect(&world->h); /* a walk that left just before the array was kept */
        require(world->puts($).load() == 1, "the records are lost, or went twice");
    }
};

Quota both_fit(3, 2, false), one_fits(3, 3, false), to_and_fro(3, 2, true), in_turns(3, 4, true);
Share share_fits(0), share_refuses(2);
Reserve reserve;
WalkBesideRetire walk_beside_retire;

} /* namespace */

/* The array is given back: by one, and nobody reads it. */
uint64_t qi_place_put(struct heap *, const struct place_of_object *)
{
    world->read($).store(1);
    world->puts($).store(world->puts($).load() + 1);
    return 0;
}

/* Where array_put finds it. */
int qi_frame_error(const struct heap *, uint64_t)
{
    return QUIRE_ERR_FRAME;
}

int qi_object_take(struct heap *, uint32_t, uint32_t, uint32_t, void **)
{
    return QUIRE_ERR_NO_MEMORY;
}

int qi_object_alloc(struct heap *, uint32_t, uint32_t, uint32_t, void **)
{
    return QUIRE_ERR_NO_MEMORY;
}

void qi_class_fit(struct size_class *, uint32_t)
{
}

void qi_class_map(struct size_class *)
{
}

int quire_machine_request(struct quire_machine *, const struct quire_request *, quire_pfn *pfn,
                          struct quire_refusal *)
{
    pfn->n = 0;
    return 0;
}

int quire_machine_free(struct quire_machine *, quire_pfn, unsigned)
{
    require(false, "a run of the reserve went to the machine");
    return 0;
}

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"both_fit", both_fit, 2, Search::FULL, 0},
                       {"one_fits", one_fits, 2, Search::FULL, 0},
                       {"to_and_fro", to_and_fro, 2, Search::BOUND, 4},
                       {"in_turns", in_turns, 2, Search::BOUND, 4},
                       {"share_fits", share_fits, 2, Search::FULL, 0},
                       {"share_refuses", share_refuses, 2, Search::FULL, 0},
                       {"reserve", reserve, 2, Search::FULL, 0},
                       {"walk_beside_retire", walk_beside_retire, 2, Search::FULL, 0},
                   });
}
