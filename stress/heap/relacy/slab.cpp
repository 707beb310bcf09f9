/* SPDX-License-Identifier: MIT
 *
 * slab.cpp - slabs under every interleaving (world.hpp), without magazines.
 */
#include "world.hpp"

namespace
{

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
    explicit LeaveBesidePut(unsigned words, uint32_t stack_mask = 0)
        : InHeap(words), stack_mask_(stack_mask)
    {
    }

  private:
    void setup() override
    {
        world->h.stack_mask = stack_mask_;
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

    const uint32_t stack_mask_;
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
        partial_push(&world->h, &world->one_bin, &world->slabs[0]);
    }

    void thread(unsigned index) override
    {
        require(take(index) == 0, "take");
    }
};

/* An object cache ends and another one begins, while somebody looks at all slabs. */
class EndBesideTrim : public InHeap
{
    void setup() override
    {
        cache_.create();
        cache_.alloc();
        cache_.free();
        ObjectCache::share();
    }

    void thread(unsigned index) override
    {
        if (index == 0)
            (void)qi_slabs_trim(&world->h);
        else
            cache_.replace();
    }

    void check() override
    {
        if (cache_.is_replaced())
            cache_.check();
    }

    ObjectCache cache_;
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
        error_[index] = qi_object_put(&world->h, &world->slabs[0], 0);
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

/* No descriptors are left. One slab goes, and is listed in the stack of a call that looked there
 * before; then the other one's last object is taken. That call gets the object, or the slab. */
class GoesBesideLook : public InHeap
{
  public:
    explicit GoesBesideLook(uint32_t stack_mask) : InHeap(1), stack_mask_(stack_mask)
    {
    }

  private:
    void setup() override
    {
        world->h.stack_mask = stack_mask_;
        prepare(1, 0, 2);
        qa_store(&world->cpus[0].active, 0, relaxed);
        qa_store(&world->slabs[0].place, 0, relaxed); /* it is full, and listed nowhere */
        prepare(1, 1, 1);
        world->h.slab_most = 2;
        for (partial_slabs &partial : world->partial)
            partial.moves.share();
    }

    void thread(unsigned index) override
    {
        if (index == 1) {
            put_at(1, 0);
            put_at(1, 1);
            (void)qi_slabs_trim(&world->h);
        }
        require(take(index) == 0, "a refusal while an object, or a slab, was to be had");
    }

    void check() override
    {
    }

    const uint32_t stack_mask_;
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

/* The machine has no frames, and one object is free, in the slab that is looked at last, until
 * another CPU frees one in the first slab, and takes this one. So at each moment there is one. With
 * two words what is freed is in the second, which no failed claim of the slab reads. */
class FreeObjectMoves : public InHeap
{
  public:
    explicit FreeObjectMoves(unsigned words, uint32_t stack_mask = 0)
        : InHeap(words), freed_(words - 1), stack_mask_(stack_mask)
    {
    }

  private:
    void setup() override
    {
        world->h.stack_mask = stack_mask_;
        prepare(1, 1, 4);
        put_at(1, 2 + freed_); /* of the second slab, which is active there */
        for (Owner &owner : world->owner)
            owner.left = 0;
        for (partial_slabs &partial : world->partial)
            partial.moves.share();
    }

    void thread(unsigned index) override
    {
        if (index == 1)
            put_at(1, freed_);
        require(take(index) == 0, "a refusal while an object was free");
    }

    void check() override
    {
    }

    const unsigned freed_;
    const uint32_t stack_mask_;
};

/* One object of a slab that was full is free, and its free has stopped before it counted that: the
 * free of the next one counts, and is over when its object is what is left. */
class FreeObjectUncounted : public InHeap
{
  public:
    FreeObjectUncounted() : InHeap(1)
    {
    }

  private:
    void setup() override
    {
        prepare(1, 1, 4);
        put_at(1, 2); /* of the second slab, which is active there */
        for (Owner &owner : world->owner)
            owner.left = 0;
        for (partial_slabs &partial : world->partial)
            partial.moves.share();
    }

    void thread(unsigned index) override
    {
        if (index == 1) {
            stop_amid_put();
            put_at(1, 0);
        }
        require(take(index) == 0, "a refusal while an object was free");
    }

    /* All that a put does before it stops for ever: an object of the first slab is free. */
    static void stop_amid_put()
    {
        auto address = reinterpret_cast<uintptr_t>(let_go(1, 1));
        uint32_t number = frame_slab(qa_load(&world->frames[address / QUIRE_FRAME_SIZE], relaxed));

        (void)qa_and(&slab_of(&world->h, number)->map[0],
                     ~(UINT64_C(1) << address % QUIRE_FRAME_SIZE / SIZE), release);
    }

    void check() override
    {
    }
};

/* The same where the free object comes with a slab that the other one makes, of the last frame,
 * before it takes the one that was there. */
class MadeBesideLook : public InHeap
{
    void setup() override
    {
        cpu_of_thread[1] = 0; /* whichever thread it is that sets up */
        prepare(0, 0, 1);
        world->owner[0].left = 0;
        cpu_of_thread[0] = cpu_of_thread[1] = 1;
        for (partial_slabs &partial : world->partial)
            partial.moves.share();
    }

    void thread(unsigned index) override
    {
        require(take(index) == 0, "a refusal while an object was free");
        if (index == 0)
            return;
        cpu_of_thread[1] = 0; /* whose active slab has the free one */
        (void)take(1);
    }

    void check() override
    {
    }
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
LeaveBesidePut leave_beside_put(1), leave_beside_put_words(2), leave_apart(1, 1);
FullListed full_listed(1), full_listed_words(2);
EndBesideTrim end_beside_trim;
SomeAtOnce some_at_once(1), some_at_once_words(2);
TwiceAtOnce twice_at_once;
FullOfSlabs full_of_slabs;
LastObject last_object;
GoesBesideLook goes_beside_look(0), goes_beside_look_apart(1);
FreeObjectUncounted free_object_uncounted;
FreeObjectMoves free_object_moves(1), free_object_moves_words(2), free_object_moves_apart(1, 1);
MadeBesideLook made_beside_look;
Stops take_stops(0), put_stops(1), trim_stops(2);

} /* namespace */

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
                       {"goes_beside_look", goes_beside_look, 2, Search::BOUND, 3},
                       {"goes_beside_look_apart", goes_beside_look_apart, 2, Search::BOUND, 3},
                       {"free_object_uncounted", free_object_uncounted, 2, Search::BOUND, 4},
                       {"free_object_moves", free_object_moves, 2, Search::BOUND, 4},
                       {"free_object_moves_words", free_object_moves_words, 2, Search::BOUND, 3},
                       {"free_object_moves_apart", free_object_moves_apart, 2, Search::BOUND, 4},
                       {"leave_apart", leave_apart, 2, Search::BOUND, 5},
                       {"made_beside_look", made_beside_look, 2, Search::BOUND, 3},
                       {"make_two", make_two, 2, Search::BOUND, 4},
                       {"overfill_active", overfill_active, 2, Search::BOUND, 4},
                       {"to_and_fro", to_and_fro, 2, Search::BOUND, 4},
                       {"to_and_fro_words", to_and_fro_words, 2, Search::BOUND, 3},
                       {"take_stops", take_stops, 2, Search::BOUND, 3},
                       {"put_stops", put_stops, 2, Search::BOUND, 4},
                       {"trim_stops", trim_stops, 2, Search::BOUND, 4},
                   });
}
