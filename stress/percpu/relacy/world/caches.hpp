/* SPDX-License-Identifier: MIT
 *
 * caches.hpp - the zone in miniature of stress/core/relacy with caches in front of it: two CPUs,
 * magazines of four frames, a depot of one node, CPU 0's at first, in each mode. White-box.
 *
 * In local mode (class Local) a CPU's interrupt answers what others ask of it, at any step of its
 * thread, once or never: who asks does not wait. In rseq mode, which only a library with
 * QUIRE_RSEQ_MODEL has, the sections are those of sections.hpp.
 *
 * Thread i runs on CPU i unless a case says otherwise. The words of the CPU caches that a case is
 * about are shared; the zone's only if the case says so. Rounds are plain memory: that they are
 * read as they were written is seen by who gets which frame, and that the words around them order
 * them, by the payloads of the frames.
 */
#ifndef QUIRE_STRESS_PERCPU_RELACY_CACHES_HPP
#define QUIRE_STRESS_PERCPU_RELACY_CACHES_HPP

#include "stress/core/relacy/world/world.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wshadow"
#include "percpu/fastpath.h"
#pragma GCC diagnostic pop

class InCaches : public InWorld
{
  public:
    enum { CPUS = 2, THREADS = 3, ROUNDS = 4, DEPOT = 1 };

  protected:
    /* `one_cpu`: all threads run on CPU 0, as after migrations. `zone`: the block's maps are shared
     * too; without them the zone is one step, and searches are full. */
    explicit InCaches(bool one_cpu = false, bool zone = false) : one_cpu_(one_cpu), zone_(zone)
    {
    }
    ~InCaches() = default;

    /* Block 0 is split, all its frames are free: give them away, and fill caches. */
    virtual void prepare() = 0;
    /* After all threads are done: what else must be true, before all caches are drained. */
    virtual void finish()
    {
    }
    /* False: a thread stopped in the middle of something, so the books need not agree. */
    virtual bool is_at_rest() const
    {
        return true;
    }

    /* ---- In prepare ---- */
    void give(unsigned first, unsigned n);               /* frames that the threads hold */
    void give_but(unsigned n);                           /* all but the first n */
    void fill(uint32_t cpu, unsigned first, unsigned n); /* CPU's loaded magazine gets frames */
    void share(uint32_t cpu); /* a CPU's cache is what the case is about */
    void share_depot();
    void depot_asks_at_once(uint32_t cpu); /* others for a full node, and for an empty one */
    void dense(bool is); /* else what is freed goes into the outgoing magazine, if the zone has any
                          * free frame */

    /* ---- In the threads, and in finish ---- */
    uint64_t alloc();          /* NO_FRAME: refused */
    void free(uint64_t frame); /* by its holder */

    static unsigned thread_now();
    bool may_interrupt() override;
    void interrupt() override;

    /* The CPU on which a thread starts. */
    virtual uint32_t first_cpu_of(unsigned thread) const
    {
        return one_cpu_ ? 0 : thread;
    }

    /* The threads start, each on its CPU; none runs, and whoever calls is on this CPU. */
    virtual void threads_start(const uint32_t cpus[THREADS])
    {
        (void)cpus;
    }
    virtual void none_runs(uint32_t cpu)
    {
        (void)cpu;
    }

    struct quire_cache cache_;
    enum quire_cache_mode mode_ = QUIRE_CACHE_EXCHANGE;
    uint32_t blocks_ = 0; /* rounds of the magazines of blocks */

  private:
    void setup() final;
    void check() final;
    void set_outside(uint32_t cpu);
    static uint32_t cpu(void *ctx);
    static bool ask_drain(void *ctx, uint32_t cpu);

    const bool one_cpu_, zone_;
    bool running_ = false;
    uint32_t outside_ = 0; /* the CPU, while no thread runs */
    bool shared_[CPUS] = {}, depot_shared_ = false;
    bool asked_[CPUS] = {}; /* an interrupt is to come */
};

/* A case in local mode. */
template <class Case> class Local : public Case
{
  public:
    template <class... Of> explicit Local(Of... of) : Case(of...)
    {
        this->mode_ = QUIRE_CACHE_LOCAL;
    }
};

/* The depot's words are shared from now on; percpu.cpp knows them. */
void depot_share(struct depot *depot, uint32_t nodes);
/* D4 and D5 of percpu/depot.h. */
void depot_set_patience(struct depot *depot, uint32_t patience);
void depot_set_refused(struct depot *depot, uint32_t cpu, uint32_t refused);

#endif /* QUIRE_STRESS_PERCPU_RELACY_CACHES_HPP */
