/* SPDX-License-Identifier: MIT
 *
 * machine.cpp - see machine.hpp. White-box.
 */
#include "machine.hpp"
#include "stress/common/relacy/library.hpp"

#include <cstring>

namespace
{

enum {
    PIECES = 64,
    POOL = 4 << 20,
    SECTIONS_APART = World::SECTIONS,
    FIRST_SECTION = 4,
};

/* What an execution begins with, and a copy of it: the zones with their frame bytes, the machine,
 * and the port's memory, of which no part is given twice. */
struct Rooms {
    alignas(64) unsigned char zone[InMachine::ZONES][sizeof(World)];
    alignas(
        64) unsigned char frame_bytes[InMachine::ZONES][World::BLOCKS * BLOCK_FRAMES * sizeof(qa8)];
    alignas(64) unsigned char machine[sizeof(struct quire_machine)];
    alignas(4096) unsigned char pool[POOL];
};
Rooms rooms, saved;
size_t pool_used, saved_used;
const InMachine *built;
InMachine *running;
struct quire_topology topologies[InMachine::TOPOLOGIES];

union Payload {
    Payload()
    {
    }
    ~Payload()
    {
    }
    rl::var<unsigned> var;
};

struct Piece {
    const unsigned char *at;
    size_t bytes;
    bool given_back;
} pieces[PIECES], saved_pieces[PIECES];
unsigned piece_count, saved_count;
Payload piece_payload[PIECES], zone_payload[InMachine::ZONES];

/* CPU 0 on this node, all others on node 1. */
void make_topology(struct quire_topology *t, uint32_t node_of_cpu_0, uint32_t cpus)
{
    quire_node node;

    quire_topology_init(t);
    for (uint32_t n = 0; n < InMachine::NODES; n++)
        require(!quire_topology_add_node(t, n, &node) &&
                    !quire_topology_add_memory(t, (uint64_t)(n + 1) << 40, 1 << 21, node,
                                               QUIRE_MEMORY_ORDINARY),
                "the topology is refused");
    for (uint32_t cpu = 0; cpu < cpus; cpu++)
        require(!quire_topology_add_cpu(t, cpu, quire_node_of(cpu ? 1 : node_of_cpu_0)),
                "a CPU is refused");
}

} /* namespace */

void reader_entered(const struct machine_reader *r)
{
    running->entered(r);
}

void reader_leaves(const struct machine_reader *r)
{
    running->leaves(r);
}

void memory_read(const void *p)
{
    running->read(p);
}

/* ---- The port ------------------------------------------------------------------------------- */

uint32_t InMachine::cpu(void *ctx)
{
    const auto *in = static_cast<const InMachine *>(ctx);

    return in->running_ ? in->cpu_of_thread_[rl::thread_index()] : in->as_cpu_;
}

void *InMachine::memory(void *ctx, size_t bytes, quire_node node)
{
    unsigned char *p = rooms.pool + pool_used;

    (void)ctx;
    (void)node;
    require(pool_used + bytes <= POOL && piece_count < PIECES, "too much of the port's memory");
    pool_used += bytes;
    pieces[piece_count] = {p, bytes, false};
    piece_payload[piece_count++].var($).store(1);
    return memset(p, 0, bytes);
}

void InMachine::give_back(void *ctx, void *memory, size_t bytes, quire_node node)
{
    (void)ctx;
    (void)node;
    for (unsigned i = 0; i < piece_count; i++)
        if (pieces[i].at == memory) {
            require(!pieces[i].given_back && pieces[i].bytes == bytes,
                    "memory is given back twice");
            piece_payload[i].var($).store(2);
            pieces[i].given_back = true;
            return;
        }
    require(false, "what is given back is no memory of the port's");
}

void InMachine::relax(void *ctx)
{
    (void)ctx;
    let_others_run();
}

/* ---- Readers -------------------------------------------------------------------------------- */

/* What is read of the port's memory has been made, and not been given back. True: it is of that. */
bool InMachine::read(const void *p)
{
    const auto *at = static_cast<const unsigned char *>(p);

    if (!running_ || at < rooms.pool || at >= rooms.pool + pool_used)
        return false;
    for (unsigned i = 0; i < piece_count; i++)
        if (at >= pieces[i].at && at < pieces[i].at + pieces[i].bytes) {
            require(!pieces[i].given_back, "memory is read that was given back");
            require(piece_payload[i].var($).load() == 1, "memory is read before it was made");
            return true;
        }
    return false;
}

/* Who reads a snapshot may read it, and the zones that it has. */
void InMachine::look(const struct machine_snapshot *s)
{
    if (!running_)
        return;
    require(read(s), "what a reader reads is no snapshot");
    for (uint32_t i = 0; i < s->entry_count; i++)
        for (unsigned z = 0; z < ZONES; z++)
            if (zone_[z] && s->entries[i].zone->given == &zone_[z]->z) {
                require(!gone_[z], "M2: a zone is read that was given back");
                (void)zone_payload[z].var($).load();
            }
}

void InMachine::entered(const struct machine_reader *r)
{
    look(r->snapshot);
}

void InMachine::leaves(const struct machine_reader *r)
{
    look(r->snapshot);
}

/* ---- Building ------------------------------------------------------------------------------- */

quire_pfn InMachine::frame(unsigned zone, unsigned n) const
{
    return pfn_of_frame(&zone_[zone]->z, n);
}

void InMachine::all_free(unsigned zone, uint32_t more_blocks)
{
    uint32_t blocks = blocks_ + more_blocks;
    unsigned place = zone < NODES ? zone : NODES - 1; /* the last two have the same frames */
    void *room = rooms.zone[zone];
    World *w = ::new (room) World(blocks, zone, FIRST_SECTION + place * SECTIONS_APART);

    for (uint32_t b = 0; b < blocks; b++)
        w->make_free(b);
    blocks_of_[zone] = blocks;
    w->head.type = QUIRE_ZONE_NORMAL;
    w->z.has_frame_bytes = true;
    w->z.frame_bytes = reinterpret_cast<uintptr_t>(&rooms.frame_bytes[zone][0]);
    w->z.port.cpu = cpu;
    w->z.port.ctx = this;
    zone_[zone] = w;
    worlds[zone] = w;
}

void InMachine::leave_free(unsigned zone, unsigned n)
{
    World *w;

    all_free(zone);
    w = zone_[zone];
    (void)qa_or(block_word(&w->z, 0), 1, relaxed);
    w->make_split(0);
    for (unsigned i = 0; i < MAP_WORDS; i++)
        qa_store(&frame_map(&w->z, 0)->w[i], 0, relaxed);
    w->give(n, BLOCK_FRAMES - n, false);
    for (unsigned i = n; i < BLOCK_FRAMES; i++)
        byte_set(byte_of_frame(&w->z, i), BYTE_SINGLE);
}

void InMachine::open(unsigned zones)
{
    struct quire_machine_zone given[ZONES];
    struct quire_pfnmap_span spans[ZONES];
    struct quire_machine_config config = {};
    void *room = rooms.machine;

    for (unsigned i = 0; i < ZONES && zone_[i]; i++)
        zone_[i]->start(NOTHING);
    for (unsigned i = 0; i < zones; i++) {
        given[i] = {&zone_[i]->z, quire_node_of(i < NODES ? i : NODES - 1)};
        spans[i] = {{frame(i, 0), blocks_of_[i] * (uint64_t)BLOCK_FRAMES}, i};
        in_service_[i] = true;
    }
    make_topology(&topologies[AS_BUILT], 0, CPUS);
    make_topology(&topologies[MOVED], 1, CPUS);
    make_topology(&topologies[ONE_MORE], 0, CPUS + 1);
    config.topology = &topologies[AS_BUILT];
    config.zones = given;
    config.zone_count = zones;
    config.spans = spans;
    config.span_count = zones;
    config.mode = QUIRE_CACHE_EXCHANGE;
    config.rounds = ROUNDS;
    config.port.ctx = this;
    config.port.cpu = cpu;
    config.port.memory = memory;
    config.port.give_back = give_back;
    config.port.relax = relax;
    require(quire_machine_init(&config, room, sizeof rooms.machine, &machine_) == QUIRE_OK,
            "the machine cannot be built");
    zones_ = zones;
}

void InMachine::as_cpu(uint32_t cpu)
{
    as_cpu_ = cpu;
}

void InMachine::build()
{
    memset(rooms.machine, 0, sizeof rooms.machine);
    memset(rooms.frame_bytes, 0, sizeof rooms.frame_bytes);
    pool_used = piece_count = 0;
    for (unsigned i = 0; i < ZONES; i++) {
        zone_[i] = worlds[i] = nullptr;
        in_service_[i] = gone_[i] = false;
    }
    prepare();
    memcpy(&saved, &rooms, offsetof(Rooms, pool) + pool_used);
    memcpy(saved_pieces, pieces, sizeof pieces);
    saved_used = pool_used;
    saved_count = piece_count;
    built = this;
}

void InMachine::restore() const
{
    memcpy(&rooms, &saved, offsetof(Rooms, pool) + saved_used);
    memcpy(pieces, saved_pieces, sizeof pieces);
    pool_used = saved_used;
    piece_count = saved_count;
}

/* ---- Executions ----------------------------------------------------------------------------- */

void InMachine::begin_payloads() const
{
    for (Payload &p : piece_payload) {
        ::new (&p.var) rl::var<unsigned>;
        p.var($).store(1);
    }
    for (Payload &p : zone_payload) {
        ::new (&p.var) rl::var<unsigned>;
        p.var($).store(1);
    }
    for (unsigned i = 0; i < ZONES; i++)
        World::begin_payloads(i, World::BLOCKS);
}

void InMachine::end_payloads() const
{
    for (unsigned i = 0; i < ZONES; i++)
        World::end_payloads(i, World::BLOCKS);
    for (Payload &p : piece_payload)
        p.var.~var();
    for (Payload &p : zone_payload)
        p.var.~var();
}

void InMachine::before()
{
    running = this;
    running_ = false;
    as_cpu_ = 0;
    begin_payloads();
    if (built != this) {
        build();
    } else {
        restore();
        for (unsigned i = 0; i < ZONES; i++)
            worlds[i] = zone_[i];
    }
    world = zone_[0];
    for (unsigned i = 0; i < ZONES; i++) {
        gone_[i] = false;
        in_service_[i] = i < zones_;
    }
    for (unsigned i = 0; i < THREADS; i++)
        cpu_of_thread_[i] = i % CPUS;
    begin();
    running_ = true;
}

/* M6, outside of a change. */
void InMachine::check_remote_zones() const
{
    const struct machine_snapshot *s = qi_machine_snapshot(machine_);

    for (uint32_t cpu = 0; cpu < CPUS; cpu++)
        for (struct remote_magazine &r : machine_cpu_of(machine_, cpu)->remote)
            for (const qa64 *word : {&r.remote_zone, &r.serving_zone}) {
                uint64_t zone = qa_load(word, relaxed);
                bool good = zone == reinterpret_cast<uintptr_t>(&qi_no_zone);

                for (uint32_t i = 0; i < s->entry_count; i++)
                    good |= zone == reinterpret_cast<uintptr_t>(s->entries[i].zone) &&
                            s->entries[i].zone->node.n != node_of_cpu(s, cpu).n;
                require(good, "M6: a remote magazine is for a zone that it should not be for");
            }
}

void InMachine::after()
{
    running_ = false;
    as_cpu_ = CPUS - 1;
    finish();
    if (is_at_rest()) {
        check_remote_zones();
        require(quire_machine_drain(machine_) == QUIRE_OK, "a drain was refused");
        for (unsigned i = 0; i < ZONES; i++)
            if (is_in_service(i))
                zone_[i]->verify();
    }
    end_payloads();
}

/* ---- What is shared ------------------------------------------------------------------------- */

void InMachine::share_guard()
{
    machine_->snapshot.share();
    machine_->phase.share();
    for (uint32_t cpu = 0; cpu < CPUS; cpu++)
        for (unsigned phase = 0; phase < 2; phase++) {
            machine_cpu_of(machine_, cpu)->enters[phase].share();
            machine_cpu_of(machine_, cpu)->leaves[phase].share();
        }
}

void InMachine::share_views()
{
    for (uint32_t cpu = 0; cpu < CPUS; cpu++)
        machine_->cpu_views[cpu].share();
}

struct remote_magazine *InMachine::remote(uint32_t cpu, unsigned node, unsigned order)
{
    return remote_magazine(machine_cpu_of(machine_, cpu), order, quire_node_of(node));
}

void InMachine::share_remote(uint32_t cpu, unsigned node, bool zones)
{
    struct remote_magazine *r = remote(cpu, node);

    remote_cache(r)->present.share();
    remote_cache(r)->count.share();
    if (zones) {
        r->remote_zone.share();
        r->serving_zone.share();
    }
}

void InMachine::share_cache(unsigned zone, uint32_t cpu)
{
    const struct machine_snapshot *s = qi_machine_snapshot(machine_);
    struct quire_cache *c = &s->entries[zone].zone_cache->cache;
    struct cpu_cache *r = cpu_cache_of(c, cpu - c->first_cpu, CACHE_UNMOVABLE);

    r->present.share();
    r->count.share();
    r->out.share();
    r->limit.share();
}

/* ---- Calls ---------------------------------------------------------------------------------- */

World *InMachine::world_of(quire_pfn pfn) const
{
    for (unsigned i = 0; i < ZONES; i++)
        if (zone_[i] && !gone_[i] && frame_of_pfn(&zone_[i]->z, pfn) != NO_FRAME)
            return zone_[i];
    require(false, "a frame of no zone that is there");
    return zone_[0];
}

bool InMachine::alloc(quire_pfn *pfn, int node, unsigned order)
{
    struct quire_request request = quire_request_of(order, 0);
    World *w;

    if (node != ANYWHERE)
        request.near_node = quire_near_of(quire_node_of((uint32_t)node));
    if (quire_machine_request(machine_, &request, pfn, nullptr) != QUIRE_OK)
        return false;
    w = world_of(*pfn);
    w->hold(frame_of_pfn(&w->z, *pfn), 1ull << order, true);
    return true;
}

void InMachine::free(quire_pfn pfn, unsigned order)
{
    World *w = world_of(pfn);

    w->drop(frame_of_pfn(&w->z, pfn), 1ull << order);
    require(quire_machine_free(machine_, pfn, order) == QUIRE_OK, "a good free was refused");
}

void InMachine::left(unsigned n)
{
    quire_pfn pfn;

    for (unsigned i = 0; i < n; i++)
        require(alloc(&pfn), "a frame is lost");
    require(!alloc(&pfn), "there is a frame too many");
}

bool InMachine::remove(unsigned zone)
{
    int error = quire_machine_remove_zone(machine_, &zone_[zone]->z);

    require(!error || error == QUIRE_ERR_BUSY, "a zone cannot be removed");
    if (error)
        return false;
    require(zone_[zone]->frames_held() == 0, "Y2: a zone has left with frames in use");
    zone_payload[zone].var($).store(2);
    gone_[zone] = true;
    in_service_[zone] = false;
    return true;
}

void InMachine::add(unsigned zone)
{
    const struct quire_machine_zone given = {&zone_[zone]->z,
                                             quire_node_of(zone < NODES ? zone : NODES - 1)};
    const struct quire_pfnmap_span span = {
        {frame(zone, 0), blocks_of_[zone] * (uint64_t)BLOCK_FRAMES}, 0};

    in_service_[zone] = true;
    require(quire_machine_add_zone(machine_, &given, &span, 1) == QUIRE_OK,
            "a zone cannot be added");
}

void InMachine::change(enum Topology to)
{
    require(quire_machine_set_topology(machine_, &topologies[to]) == QUIRE_OK,
            "a change was refused");
}

const struct quire_topology *InMachine::topology(enum Topology which)
{
    return &topologies[which];
}
