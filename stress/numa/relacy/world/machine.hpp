/* SPDX-License-Identifier: MIT
 *
 * machine.hpp - a machine in miniature: two nodes with a CPU each, and over each a zone of core's
 * world (stress/core/relacy), of one or two blocks; a third zone may come. Caches are in exchange
 * mode, with magazines of four frames. White-box.
 *
 * A machine takes long to build, so each case builds one, and every execution begins with a copy of
 * it. What a case is about is shared; the rest is plain memory, and a step is what lies between
 * two accesses to shared words.
 *
 * What every case checks, besides what it says itself:
 *   owners    no frame is held by two, and its holders are ordered (its payload is not raced for)
 *   books     in the end all that is cached comes back, and each zone in service is as its world's
 *             shadow says; what was removed had no frame in use
 *   hits      M6: a remote magazine names no zone, or one that is there and not of its CPU's node
 *   memory    each piece of the port's memory has a payload, which is written when it is asked for
 *             and when it is given back, and read by each reader of a snapshot as it comes in
 *             and before it leaves; so has each zone. A race for one, or a read of what is gone,
 *             says that somebody reads what was given back, or half of what was made
 */
#ifndef QUIRE_STRESS_NUMA_RELACY_MACHINE_HPP
#define QUIRE_STRESS_NUMA_RELACY_MACHINE_HPP

#include "numa.hpp"
#include "stress/core/relacy/world/world.hpp"

class InMachine : public Scenario
{
  public:
    enum {
        NODES = 2,
        CPUS = 2, /* CPU i is on node i */
        ZONES = 3,
        ROUNDS = 4,
        THREADS = 3,
    };

    void before() final;
    void after() final;

    enum Topology {
        AS_BUILT, /* as above */
        MOVED,    /* CPU 0 is on node 1 */
        ONE_MORE, /* CPU 2 is there, on node 1 */
        TOPOLOGIES,
    };

    /* Told by the sources. */
    bool read(const void *p);
    void entered(const struct machine_reader *r);
    void leaves(const struct machine_reader *r);

  protected:
    /* `blocks`: of each zone. */
    explicit InMachine(uint32_t blocks = 1) : blocks_(blocks)
    {
    }
    ~InMachine() = default;

    /* Once a case: give frames away, open the machine, fill caches. */
    virtual void prepare() = 0;
    /* In each execution: share what the case is about, and begin its own books. */
    virtual void begin() = 0;
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
    /* Of block 0 of a zone the first n frames are free, all others are held; or all is free. The
     * blocks after it are free. */
    void leave_free(unsigned zone, unsigned n);
    void all_free(unsigned zone, uint32_t more_blocks = 0);
    void open(unsigned zones); /* the machine has the first ones; they are of node 0, 1, 1 */
    void as_cpu(uint32_t cpu); /* what follows is done on this CPU, finish() too */
    quire_pfn frame(unsigned zone, unsigned n) const;

    /* ---- In begin ---- */
    void share_guard(); /* the snapshot, and how readers are counted */
    void share_views();
    struct remote_magazine *remote(uint32_t cpu, unsigned node, unsigned order = 0);
    void share_remote(uint32_t cpu, unsigned node, bool zones = true); /* of frames; and for which
                                                                        * zones it is */
    void share_cache(unsigned zone, uint32_t cpu); /* the CPU's, of unmovable frames */
    void share_zone(unsigned zone, unsigned share) /* enum Share */
    {
        zone_[zone]->share(share);
    }
    void on(unsigned thread, uint32_t cpu) /* where a thread runs; by default thread i on CPU i,
                                            * and thread 2 on CPU 0 */
    {
        cpu_of_thread_[thread] = cpu;
    }

    /* ---- In the threads, and in finish ---- */
    enum { ANYWHERE = -1 };
    bool alloc(quire_pfn *pfn, int node = ANYWHERE, unsigned order = 0); /* false: refused */
    void free(quire_pfn pfn, unsigned order = 0);                        /* by its holder */
    void left(unsigned n);      /* so many frames can be had, and no more */
    bool remove(unsigned zone); /* false: it has frames in use */
    void add(unsigned zone);
    void change(enum Topology to = AS_BUILT);
    static const struct quire_topology *topology(enum Topology which);
    bool is_in_service(unsigned zone) const
    {
        return zone_[zone] && in_service_[zone];
    }

    struct quire_machine *machine_;
    World *zone_[ZONES];

  private:
    void build();
    void restore() const;
    void begin_payloads() const;
    void end_payloads() const;
    static uint32_t cpu(void *ctx);
    static void *memory(void *ctx, size_t bytes, quire_node node);
    static void give_back(void *ctx, void *memory, size_t bytes, quire_node node);
    static void relax(void *ctx);
    void look(const struct machine_snapshot *s);
    World *world_of(quire_pfn pfn) const;

    void check_remote_zones() const;

    const uint32_t blocks_;
    uint32_t blocks_of_[ZONES] = {};
    uint32_t as_cpu_ = 0;
    unsigned zones_ = 0; /* of the machine when it was built */
    bool running_ = false;
    bool in_service_[ZONES] = {}, gone_[ZONES] = {};
    uint32_t cpu_of_thread_[THREADS] = {};
};

#endif /* QUIRE_STRESS_NUMA_RELACY_MACHINE_HPP */
