/* SPDX-License-Identifier: MIT
 *
 * sections.cpp - see sections.hpp. White-box.
 */
#include "caches.hpp"
#include "stress/common/relacy/library.hpp"

#include <cstring>
#include <linux/membarrier.h>

namespace
{

enum { CPUS = InCaches::CPUS, THREADS = InCaches::THREADS, AREA_BYTES = 8, AREA_CPU = 4 };

/* What a thread, or whoever runs on a CPU next, knows to have happened. */
struct Clock {
    rl::timestamp_t known[THREADS];
};

struct Cpu {
    unsigned section; /* the number of the one that nothing came between; 0: none */
    Clock clock;      /* of all that ran here */
} cpus[CPUS];

struct Thread {
    uint32_t cpu;
    bool inside;               /* of a section, and not of an interrupt in it */
    rl::thread_info_base *its; /* NULL: it did not run yet */
} threads[THREADS];

bool running;
uint32_t outside;
unsigned section_count;
SectionEvents left;

/* Thrown out of a section, by which it is given up. */
struct Restarted {
};

Thread &mine()
{
    return threads[rl::thread_index()];
}

void raise(rl::timestamp_t to[], const rl::timestamp_t by[])
{
    for (int i = 0; i < rl::ctx().get_thread_count(); i++)
        if (to[i] < by[i])
            to[i] = by[i];
}

/* The running thread knows what its CPU's clock says, and all that run there know what it does. */
void meet(uint32_t cpu)
{
    rl::timestamp_t *known = mine().its->acq_rel_order_;

    raise(known, cpus[cpu].clock.known);
    raise(cpus[cpu].clock.known, known);
    for (const Thread &t : threads)
        if (t.its && t.cpu == cpu)
            raise(t.its->acq_rel_order_, known);
}

/* The scheduler puts thread 0 on the other CPU, whatever runs there. */
void move()
{
    cpus[0].section = 0;
    cpus[1].section = 0;
    mine().cpu = 1;
}

/* A section under way: of the running thread, on the CPU where it begins. */
class Section
{
  public:
    Section() : thread_(mine()), cpu_(sections_cpu()), number_(++section_count)
    {
        thread_.inside = true;
        cpus[cpu_].section = number_;
    }

    ~Section()
    {
        thread_.inside = false;
    }

    Section(const Section &) = delete;
    Section &operator=(const Section &) = delete;

    uint32_t cpu() const
    {
        return cpu_;
    }

    /* Is it still the same? For each access, which is a step. */
    void check() const
    {
        if (running && left.restarts > 0 && rl::rand(2)) {
            left.restarts--;
            throw Restarted();
        }
        if (cpus[cpu_].section != number_)
            throw Restarted();
    }

    template <typename Access> auto step(Access access) const
    {
        Instruction instruction;

        check();
        return access();
    }

    /* Do the eight bytes read 1, 0? They are one access: what is seen of the one is no older than
     * what is seen of the other. */
    bool is_free(const struct cpu_cache *r) const
    {
        return step([r] {
            bool detached = qa_load(&r->detached, acquire) != 0;

            return qa_load(&r->present, acquire) == 1 && !detached;
        });
    }

    /* This CPU's cache of a class; NULL: it cannot be used. */
    struct cpu_cache *find(const struct quire_cache *c, enum cache_class cls) const
    {
        struct cpu_cache *r;

        if (cpu_ - c->first_cpu >= c->cpus)
            return nullptr;
        r = cpu_cache_of(c, cpu_ - c->first_cpu, cls);
        return is_free(r) ? r : nullptr;
    }

    uint64_t load(const qa64 *word) const
    {
        return step([word] { return qa_load(word, relaxed); });
    }

    uint32_t load(const qa32 *word) const
    {
        return step([word] { return qa_load(word, relaxed); });
    }

    /* The last access. */
    template <typename T> void commit(Word<T> *word, T value) const
    {
        step([word, value] { qa_store(word, value, relaxed); });
    }

  private:
    Thread &thread_;
    const uint32_t cpu_;
    const unsigned number_;
};

/* Run a section up to its commit; if it is given up that is the answer `again`. */
template <typename Answer, typename Body> Answer run(Answer again, Body body)
{
    try {
        return body(Section());
    } catch (const Restarted &) {
        return again;
    }
}

} /* namespace */

char *rseq_area()
{
    static char areas[THREADS][AREA_BYTES];
    char *area = areas[rl::thread_index()];
    uint32_t cpu = sections_cpu();

    memcpy(area + AREA_CPU, &cpu, sizeof cpu);
    return area;
}

bool rseq_pop(const struct quire_cache *c, enum cache_class cls, uint64_t *round)
{
    return run(false, [=](const Section &s) {
        struct cpu_cache *r = s.find(c, cls);
        uint64_t word, popped;

        if (!r)
            return false;
        word = s.load(&r->count);
        if ((word & CPU_CACHE_COUNT_MASK) == 0)
            return false;
        popped = s.step([=] { return r->rounds[(word & CPU_CACHE_COUNT_MASK) - 1].n; });
        s.commit(&r->count, word + CPU_CACHE_POP);
        *round = popped;
        return true;
    });
}

bool rseq_push(const struct quire_cache *c, enum cache_class cls, uint64_t round)
{
    return run(false, [=](const Section &s) {
        struct cpu_cache *r = s.find(c, cls);
        uint64_t word;

        if (!r)
            return false;
        word = s.load(&r->count);
        if ((word & CPU_CACHE_COUNT_MASK) >= s.load(&r->limit))
            return false;
        s.step([=] { r->rounds[word & CPU_CACHE_COUNT_MASK].n = round; });
        s.commit(&r->count, word + 1);
        return true;
    });
}

bool rseq_push_out(const struct quire_cache *c, enum cache_class cls, uint64_t round)
{
    return run(false, [=](const Section &s) {
        struct cpu_cache *r = s.find(c, cls);
        uint32_t out;

        if (!r)
            return false;
        out = s.load(&r->out);
        if (2 * out >= s.load(&r->limit))
            return false;
        s.step([=] { outgoing_rounds(r)[out].n = round; });
        s.commit(&r->out, out + 1);
        return true;
    });
}

int rseq_take(const struct quire_cache *c, struct cpu_cache *r, uint32_t cpu)
{
    (void)c;
    {
        Instruction arming; /* the caller looked at its CPU before this */
    }
    return run(static_cast<int>(RSEQ_AGAIN), [=](const Section &s) -> int {
        if (s.cpu() != cpu)
            return RSEQ_AGAIN;
        if (!s.is_free(r))
            return RSEQ_BUSY;
        s.commit(&r->present, 0u);
        return RSEQ_DONE;
    });
}

long sections_membarrier(long number, int command, int flags, int cpu)
{
    (void)number;
    (void)flags;
    if (command != MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ || !running)
        return 0;

    Instruction instruction;

    if (left.refusals > 0 && rl::rand(2)) {
        left.refusals--;
        return -1;
    }
    cpus[cpu].section = 0;
    meet(static_cast<uint32_t>(cpu));
    return 0;
}

void sections_outside(uint32_t cpu)
{
    running = false;
    outside = cpu;
}

void sections_start(const uint32_t on[], const SectionEvents &events)
{
    running = true;
    section_count = 0;
    left = events;
    for (Cpu &c : cpus)
        c = Cpu();
    for (unsigned i = 0; i < THREADS; i++)
        threads[i] = Thread{on[i], false, nullptr};
}

uint32_t sections_cpu()
{
    return running ? mine().cpu : outside;
}

void sections_at_step()
{
    Thread &t = mine();

    if (!running)
        return;
    t.its = rl::ctx().threadx_;
    if (!t.inside)
        cpus[t.cpu].section = 0;
    meet(t.cpu);
    if (left.moves > 0 && rl::thread_index() == 0 && rl::rand(2)) {
        left.moves--;
        move();
        meet(t.cpu);
    }
}

void sections_interrupted()
{
    mine().inside = false;
    cpus[sections_cpu()].section = 0;
}
