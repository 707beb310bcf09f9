/* SPDX-License-Identifier: MIT
 *
 * who.cpp - what is counted against a limit, under every interleaving: the quota of a tag and the
 * share of a heap, by the real sources. White-box.
 *
 * A limit is never exceeded at any moment, and a refusal has its reason: what all could have at
 * once does not fit. A run of the reserve has one owner, who sees what the last one wrote. And the
 * records of a slab that goes beside a walk go once, and not while it reads them; if the slab comes
 * again, the walk takes none of its objects for one of the life before.
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
#include "kernel-port/heap/who/walk.c"
#pragma GCC diagnostic pop

namespace
{

enum { THREADS = 2, TAG = 1, LIMIT = 5, RUNS = 2, FRAMES = 16, ARRAYS = 3, ARRAY_FRAME = 2 };

struct World {
    watch w;
    heap_tag tags[2];
    class_account accounts[1];
    qa64 reserve[RUNS];
    heap_section section;
    qa32 frames[FRAMES];
    rl::var<unsigned> payload[RUNS];
    size_class classes[2]; /* of objects, of arrays of records */
    slab slabs[2];
    slab_records records[2];
    qa64 arrays[ARRAYS]; /* of one record, and what is read and written of each */
    rl::var<unsigned> read[ARRAYS];
    rl::var<unsigned> puts[ARRAYS];
    unsigned made;
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
        for (rl::var<unsigned> &read : world->read)
            read($).store(0);
        for (rl::var<unsigned> &puts : world->puts)
            puts($).store(0);
        setup();
        world->tags[TAG].bytes.share();
        world->tags[TAG].peak.share();
        world->h.held.share();
        world->h.granted.share();
        world->h.granted_most.share();
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

        require(qa_load(&world->h.granted_most, relaxed) <= LIMIT, "more than the share");
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

/* A slab of one object, at frame 0, with its array, and more arrays. */
class Walked : public Counted
{
  protected:
    ~Walked() = default;

    void setup() override
    {
        auto at = reinterpret_cast<uintptr_t>(world->arrays);
        size_class &arrays = world->classes[1];

        world->h.slabs = world->slabs;
        world->h.classes = world->classes;
        world->h.class_count = 2;
        world->h.base = at - ARRAY_FRAME * QUIRE_FRAME_SIZE;
        world->section.frames = ARRAY_FRAME + 1;
        for (uint32_t i = 0; i < 2; i++) {
            world->slabs[i].node.number = i + 1;
            qa_store(&world->slabs[i].owner, slab_owner(i, 0), relaxed);
        }
        world->classes[0].size = QUIRE_FRAME_SIZE;
        world->classes[0].objects = 1;
        arrays.size = sizeof(qa64);
        arrays.reciprocal = UINT32_MAX / sizeof(qa64) + 1;
        arrays.objects = ARRAYS;
        arrays.mask = QUIRE_FRAME_SIZE - 1;
        qa_store(&world->frames[ARRAY_FRAME], slab_frame_word(2, 1), relaxed);
        live_at(0);
        qa_store(&world->h.slab_count, 1, relaxed);
        world->w.slabs = world->records;
        world->w.stride = 1;
        world->w.record_class = 1;
        qa_store(&world->records[0].at, at, relaxed);
        world->made = 1;
        world->records[0].at.share();
        world->w.readers.share();
        world->w.kept.share();
    }

    /* The slab has the frame, as slab_make leaves it. */
    static void live_at(uint64_t frame)
    {
        world->slabs[0].at = address_of_pfn(&world->h, quire_pfn_of(frame));
        qa_store(&world->frames[frame], slab_frame_word(1, 0), relaxed);
    }

    /* All arrays went, but for one that the slab has. */
    static void check_arrays()
    {
        unsigned puts = 0;
        uint64_t at;

        (void)qi_records_collect(&world->h); /* a walk that left just before the array was kept */
        at = qa_load(&world->records[0].at, relaxed);
        require(!(at & ARRAY_KEPT), "an array is kept for nobody");
        for (rl::var<unsigned> &put : world->puts) {
            require(put($).load() <= 1, "an array went twice");
            puts += put($).load();
        }
        require(puts + (at != 0) == world->made, "an array is lost");
        require(qa_load(&world->w.keeps, relaxed) == 0, "the hint is wrong");
    }
};

/* A slab goes, and its records, while others walk; and another one trims. */
class WalkBesideRetire : public Walked
{
    void thread(unsigned index) override
    {
        uint64_t base;

        if (index == 0)
            (void)qi_records_clear(&world->h, world->slabs);
        if (index == 2)
            (void)qi_records_collect(&world->h);
        if (index != 1)
            return;
        qi_records_enter(&world->w);
        if (qi_records_of_slab(&world->h, world->slabs, &base))
            (void)world->read[0]($).load();
        qi_records_leave(&world->h);
    }

    void check() override
    {
        check_arrays();
        require(world->puts[0]($).load() == 1, "the records are lost");
    }
};

/* A slab goes and comes again at another frame, and once more at the first one; its object has one
 * byte in its first life, two in the second and so on. Meanwhile others walk, or one walks and
 * another trims. */
class WalkBesideRebirth : public Walked
{
  public:
    WalkBesideRebirth(unsigned lives, bool trims) : lives_(lives), trims_(trims)
    {
    }

  private:
    void setup() override
    {
        Walked::setup();
        hold(1);
        world->records[0].base.share();
        for (qa64 &array : world->arrays)
            array.share();
    }

    static void hold(uint64_t bytes)
    {
        place_of_object place = {};
        qa64 *record = nullptr;

        place.slab = world->slabs;
        require(qi_record_make(&world->h, &place, 0, &record) == 0, "no record");
        require(record_state(qa_load(record, relaxed)) == RECORD_NONE, "a record of another life");
        qa_store(record, record_word(RECORD_USED, 0, 0, bytes), release);
        held_ = record;
    }

    static int see(void *, const quire_holding *holding)
    {
        require(holding->pfn.n == (holding->bytes == 2 ? 1 : 0),
                "an object where another life of its slab has it");
        return 0;
    }

    void thread(unsigned index) override
    {
        quire_heap heap = {};
        quire_run all = {{0}, ARRAY_FRAME};

        for (unsigned life = 2; index == 0 && life <= lives_; life++) {
            qa_store(held_, RECORD_POISONED, relaxed);
            (void)qi_records_clear(&world->h, world->slabs);
            qa_store(&world->frames[life % 2], 0, relaxed);
            live_at((life + 1) % 2);
            hold(life);
        }
        if (index == 0)
            return;
        if (trims_ && index == 2) {
            (void)qi_records_collect(&world->h);
        } else {
            heap.state = &world->h;
            require(quire_heap_walk(&heap, all, see, nullptr) == 0, "walk");
        }
    }

    void check() override
    {
        check_arrays();
        require(qa_load(held_, relaxed) == record_word(RECORD_USED, 0, 0, lives_), "a lost record");
        require(qa_load(&world->records[0].at, relaxed) == reinterpret_cast<uintptr_t>(held_),
                "another array");
    }

    const unsigned lives_;
    const bool trims_;
    static qa64 *held_;
};

qa64 *WalkBesideRebirth::held_;

Quota both_fit(3, 2, false), one_fits(3, 3, false), to_and_fro(3, 2, true), in_turns(3, 4, true);
Share share_fits(0), share_refuses(2);
Reserve reserve;
WalkBesideRetire walk_beside_retire, walk_trim_retire;
WalkBesideRebirth walk_beside_rebirth(2, false), walk_beside_third(3, false),
    walk_trim_rebirth(2, true);

} /* namespace */

/* The array is given back: by one, and nobody reads it. */
uint64_t qi_place_put(struct heap *, const struct place_of_object *place)
{
    world->read[place->index]($).store(1);
    world->puts[place->index]($).store(world->puts[place->index]($).load() + 1);
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

/* An array that nobody had. */
int qi_object_alloc(struct heap *, uint32_t, uint32_t, uint32_t, void **object)
{
    if (world->made == ARRAYS)
        return QUIRE_ERR_NO_MEMORY;
    *object = &world->arrays[world->made++];
    return 0;
}

bool qi_class_visit(struct heap *, uint32_t)
{
    return true;
}

void qi_class_leave(struct heap *, uint32_t)
{
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
                       {"walk_trim_retire", walk_trim_retire, 3, Search::BOUND, 4},
                       {"walk_beside_rebirth", walk_beside_rebirth, 2, Search::BOUND, 4},
                       {"walk_beside_third", walk_beside_third, 2, Search::BOUND, 4},
                       {"walk_trim_rebirth", walk_trim_rebirth, 3, Search::BOUND, 3},
                   });
}
