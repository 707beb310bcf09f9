/* SPDX-License-Identifier: MIT
 *
 * machine.c - building a machine and taking it down; its memory, its CPUs' structs and its zones'
 * handles.
 *
 * The caller gives memory for struct quire_machine; all else comes from the port, a piece for each
 * purpose on the node that uses it, and hangs in one list. The danger is a late hit, which may read
 * a CPU's struct, a view or a zone at any time (M3, Y3, Y6): so only snapshots, and what was never
 * published, are given back before the end.
 *
 * Nobody uses the machine while it is built or taken down. Thread only.
 */
#include "numa/machine/machine.h"

enum { MACHINE_ALIGN = 64 };

/* ---- Memory --------------------------------------------------------------------------------- */

/* Zeroed memory for `bytes` bytes on a node, or NULL. Writer only. */
void *qi_port_alloc(struct quire_machine *m, size_t bytes, quire_node node)
{
    size_t total =
        (sizeof(struct port_chunk) + bytes + MACHINE_PAGE - 1) / MACHINE_PAGE * MACHINE_PAGE;
    struct port_chunk *chunk;
    void *p;

    qi_assert(writer_is_held(m)); /* M5 */
    p = m->port.memory(m->port.ctx, total, node);
    chunk = (struct port_chunk *)p;
    if (!chunk)
        return NULL;
    qi_assert((uintptr_t)p % MACHINE_PAGE == 0);
    chunk->bytes = total;
    chunk->node = node;
    chunk->next = m->chunks;
    m->chunks = chunk;
    (void)qa_add(&m->chunk_bytes, total, relaxed); /* relaxed: a figure */
    return chunk + 1;
}

static void release_chunk(struct quire_machine *m, struct port_chunk *chunk)
{
    (void)qa_sub(&m->chunk_bytes, chunk->bytes, relaxed); /* relaxed: a figure */
    if (m->port.give_back)
        m->port.give_back(m->port.ctx, chunk, chunk->bytes, chunk->node);
}

/* Give back what qi_port_alloc gave, or NULL. Writer only. */
void qi_port_give_back(struct quire_machine *m, void *memory)
{
    struct port_chunk **link = &m->chunks;

    qi_assert(writer_is_held(m)); /* M5 */
    for (; memory && *link; link = &(*link)->next)
        if ((void *)(*link + 1) == memory) {
            struct port_chunk *chunk = *link;

            *link = chunk->next;
            release_chunk(m, chunk);
            return;
        }
    qi_assert(!memory); /* it hangs in the list */
}

/* ---- CPUs ----------------------------------------------------------------------------------- */

static void init_machine_cpu(struct machine_cpu *mcpu, uint32_t cpu)
{
    /* relaxed: E-machine-cpu publishes it */
    mcpu->cpu = cpu;
    qa_store(&mcpu->turn, cpu, relaxed); /* relaxed: see above */
    qi_remote_init(mcpu);
}

/* Make the missing structs of a node's CPUs, in one piece. */
static int make_node_cpus(struct quire_machine *m, const struct quire_topology *t, quire_node node)
{
    struct machine_cpu *mcpu;
    uint32_t missing = 0;
    void *p;

    for (uint32_t cpu = 0; cpu < t->cpu_count; cpu++)
        missing += t->cpu_node[cpu] == node.n && !machine_cpu_of(m, cpu);
    if (missing == 0)
        return QUIRE_OK;
    p = qi_port_alloc(m, missing * sizeof *mcpu, node);
    if (!p)
        return QUIRE_ERR_NO_MEMORY;
    mcpu = (struct machine_cpu *)p;
    for (uint32_t cpu = 0; cpu < t->cpu_count; cpu++)
        if (t->cpu_node[cpu] == node.n && !machine_cpu_of(m, cpu)) {
            init_machine_cpu(mcpu, cpu);
            if (cpu >= machine_cpu_end(m))
                qa_store(&m->cpu_end, cpu + 1, relaxed); /* relaxed: E-machine-cpu publishes it */
            qa_store(&m->cpus[cpu], (uintptr_t)mcpu, release); /* E-machine-cpu release */
            mcpu++;
        }
    return QUIRE_OK;
}

/* Make a struct for each CPU of a topology that has none. CPU 0 has one in any case. */
int qi_machine_make_cpus(struct quire_machine *m, const struct quire_topology *t)
{
    int error = QUIRE_OK;

    for (uint32_t n = 0; n < t->node_count && !error; n++)
        error = make_node_cpus(m, t, quire_node_of(n));
    if (!error && !machine_cpu_of(m, 0)) {
        void *p = qi_port_alloc(m, sizeof(struct machine_cpu), quire_node_of(0));
        struct machine_cpu *mcpu = (struct machine_cpu *)p;

        if (!p)
            return QUIRE_ERR_NO_MEMORY;
        init_machine_cpu(mcpu, 0);
        qa_store(&m->cpu_end, 1, relaxed); /* relaxed: E-machine-cpu publishes it */
        /* E-machine-cpu release. It could be relaxed: the machine is being built. */
        qa_store(&m->cpus[0], (uintptr_t)mcpu, release);
    }
    return error;
}

/* ---- Zones ---------------------------------------------------------------------------------- */

/* The port of our copy of a handle: it calls the caller's port, with the caller's handle. */
static struct machine_zone *zone_of_ctx(void *ctx)
{
    return (struct machine_zone *)ctx;
}

static int forward_zero(void *ctx, quire_pfn pfn, uint64_t frames)
{
    struct machine_zone *z = zone_of_ctx(ctx);

    return z->port.zero(z->port.ctx, pfn, frames);
}

static void forward_event(void *ctx, struct quire_zone *zone, enum quire_event event)
{
    struct machine_zone *z = zone_of_ctx(ctx);

    (void)zone;
    z->port.event(z->port.ctx, z->given, event);
}

static void forward_report(void *ctx, struct quire_zone *zone, enum quire_report what,
                           quire_pfn pfn, int error)
{
    struct machine_zone *z = zone_of_ctx(ctx);

    (void)zone;
    z->port.report(z->port.ctx, z->given, what, pfn, error);
}

static int forward_discard(void *ctx, quire_pfn pfn, uint64_t frames)
{
    struct machine_zone *z = zone_of_ctx(ctx);

    return z->port.discard(z->port.ctx, pfn, frames);
}

static int forward_install(void *ctx, quire_pfn pfn, uint64_t frames, bool *zeroed)
{
    struct machine_zone *z = zone_of_ctx(ctx);

    return z->port.install(z->port.ctx, pfn, frames, zeroed);
}

/* In local mode who runs on a CPU that the machine does not know is not CPU 0 (K8 of
 * percpu/cpu_cache.h). */
static uint32_t forward_cpu(void *ctx)
{
    const struct quire_machine *m = zone_of_ctx(ctx)->machine;
    uint32_t cpu = machine_cpu_now(m);

    if (m->wanted_mode == QUIRE_CACHE_LOCAL)
        return cpu;
    return machine_cpu_of(m, cpu) ? cpu : 0; /* as qi_machine_enter_on */
}

static bool forward_ask_drain(void *ctx, uint32_t cpu)
{
    const struct quire_machine *m = zone_of_ctx(ctx)->machine;

    return m->port.ask_drain(m->port.ctx, cpu);
}

/* Bind a struct machine_zone, which is not in service, to a zone of the caller's of the same node,
 * type and size: these are not written again (Y6). A late call in local mode may ask its port for
 * the CPU meanwhile: that is the same as before at every instant. */
void qi_machine_zone_set(struct machine_zone *z, const struct quire_machine_zone *given)
{
    const struct quire_port port = {.ctx = z, .cpu = forward_cpu};

    qi_assert(z->node.n == given->node.n && z->managed == quire_zone_managed(given->zone)); /* Y6 */
    /* All that comes before the port; behind it there is only room. */
    __builtin_memcpy(&z->zone, given->zone, __builtin_offsetof(struct quire_zone, port));
    z->zone.port = port;
    z->given = given->zone;
    z->port = given->zone->port;
    if (z->machine->port.ask_drain)
        z->zone.port.ask_drain = forward_ask_drain;
    if (z->port.zero)
        z->zone.port.zero = forward_zero;
    if (z->port.event)
        z->zone.port.event = forward_event;
    if (z->port.report)
        z->zone.port.report = forward_report;
    if (z->port.discard)
        z->zone.port.discard = forward_discard;
    if (z->port.install)
        z->zone.port.install = forward_install;
}

/* Make a zone ready for service. Its cache comes with the snapshot. */
int qi_machine_zone_make(struct quire_machine *m, const struct quire_machine_zone *given,
                         struct machine_zone **zone)
{
    struct machine_zone *z;
    void *p;

    if (!given->zone->has_frame_bytes)
        return QUIRE_ERR_UNSUPPORTED;
    p = qi_port_alloc(m, sizeof(struct machine_zone), given->node);
    if (!p)
        return QUIRE_ERR_NO_MEMORY;
    z = (struct machine_zone *)p;
    z->machine = m;
    z->node = given->node;
    z->type = (enum quire_zone_type)given->zone->head->type;
    z->managed = quire_zone_managed(given->zone);
    qi_machine_zone_set(z, given);
    qa_store(&z->no_sparse_limit, UINT8_MAX, relaxed); /* relaxed: being made */
    qa_store(&z->sparse_limit_at, (uintptr_t)&z->no_sparse_limit,
             relaxed); /* relaxed: being made */
    *zone = z;
    return QUIRE_OK;
}

/* ---- Building ------------------------------------------------------------------------------- */

static bool has_span(const struct quire_machine_config *config, size_t zone)
{
    size_t i = 0;

    while (i < config->span_count && config->spans[i].zone != zone)
        i++;
    return i < config->span_count;
}

static int check_zones(const struct quire_machine_config *config)
{
    const struct quire_machine_zone *z = config->zones;

    if (config->zone_count == 0 || config->zone_count > MACHINE_ZONES)
        return QUIRE_ERR_SIZE;
    for (size_t i = 0; i < config->zone_count; i++)
        if (z[i].node.n >= config->topology->node_count || z[i].node.n >= QUIRE_NODES)
            return QUIRE_ERR_NODE;
    for (size_t i = 0; i < config->span_count; i++)
        if (config->spans[i].zone >= config->zone_count)
            return QUIRE_ERR_SIZE;
    for (size_t i = 0; i < config->zone_count; i++)
        if (!has_span(config, i))
            return QUIRE_ERR_SIZE;
    return QUIRE_OK;
}

/* May a magazine have so many rounds? (Whether a zone has room for them is seen zone by zone.) */
static bool rounds_allowed(uint32_t rounds)
{
    return rounds == QUIRE_CACHE_SIZE_AUTO || (rounds <= QUIRE_CACHE_MAX_ROUNDS && rounds % 2 == 0);
}

int quire_machine_size(const struct quire_machine_config *config, size_t *bytes)
{
    const struct quire_machine_port *port = &config->port;
    int error = check_zones(config);

    if (error)
        return error;
    if ((unsigned)config->mode > QUIRE_CACHE_LOCAL ||
        (config->mode == QUIRE_CACHE_LOCAL && (!port->cpu || !port->ask_drain)) ||
        !qi_policy_valid(&config->policy) || !port->memory || !port->enter != !port->leave ||
        !port->enter != !port->wait_for_readers || (port->mover && !port->mover->move) ||
        (!port->mover && (config->keep.blocks | config->keep.sections)))
        return QUIRE_ERR_UNSUPPORTED;
    if (!rounds_allowed(config->rounds) || !rounds_allowed(config->huge_rounds) ||
        config->give_back_after > UINT16_MAX || !qi_keep_makes_sense(&config->keep))
        return QUIRE_ERR_SIZE;
    *bytes = sizeof(struct quire_machine);
    return QUIRE_OK;
}

static int publish_first_snapshot(struct quire_machine *m,
                                  const struct quire_machine_config *config)
{
    size_t bytes = config->zone_count * sizeof(struct machine_entry);
    void *p = qi_port_alloc(m, bytes, config->zones[0].node);
    struct machine_entry *entries = (struct machine_entry *)p;
    struct machine_snapshot *s;
    int error = QUIRE_OK;

    if (!p)
        return QUIRE_ERR_NO_MEMORY;
    for (size_t i = 0; i < config->zone_count && !error; i++)
        error = qi_machine_zone_make(m, &config->zones[i], &entries[i].zone);
    if (!error)
        error = qi_snapshot_make(m, config->topology, entries, (uint32_t)config->zone_count,
                                 config->spans, config->span_count, &s);
    qi_port_give_back(m, entries);
    if (!error)
        error = qi_machine_make_cpus(m, &s->topology);
    if (!error)
        qi_snapshot_publish(m, s);
    return error;
}

/* In place of a port's `cpu` that is NULL. */
static uint32_t cpu_unknown(void *ctx)
{
    (void)ctx;
    return 0;
}

static void release_all_chunks(struct quire_machine *m)
{
    while (m->chunks) {
        struct port_chunk *chunk = m->chunks;

        m->chunks = chunk->next;
        release_chunk(m, chunk);
    }
}

int quire_machine_init(const struct quire_machine_config *config, void *memory, size_t bytes,
                       struct quire_machine **machine)
{
    struct quire_machine *m = (struct quire_machine *)memory;
    size_t need;
    int error = quire_machine_size(config, &need);

    if (error)
        return error;
    if ((uintptr_t)memory % MACHINE_ALIGN)
        return QUIRE_ERR_ALIGN;
    if (bytes < need)
        return QUIRE_ERR_SIZE;
    __builtin_memset(m, 0, sizeof *m);
    m->port = config->port;
    if (!m->port.cpu)
        m->port.cpu = cpu_unknown;
    m->policy = config->policy;
    m->give_back_after = config->give_back_after;
    for (uint32_t n = 0; n < QUIRE_NODES; n++)
        qi_keep_set(&m->keeps[n], &config->keep);
    m->local = m->policy.mode == QUIRE_POLICY_LOCAL || m->policy.mode == QUIRE_POLICY_NEAREST;
    m->rounds = config->rounds;
    m->huge_rounds = config->huge_rounds;
    m->wanted_mode = config->mode;
    qa_store(&m->mode, QUIRE_CACHE_EXCHANGE, relaxed); /* relaxed: being built */
    for (uint32_t cpu = 0; cpu < QUIRE_CPUS; cpu++)
        qa_store(&m->cpu_views[cpu], (uintptr_t)&qi_no_view, relaxed); /* relaxed: being built */
    (void)qi_machine_lock(m);
    error = publish_first_snapshot(m, config);
    if (!error && m->port.mover)
        error = qi_compact_make_work(m);
    if (error)
        release_all_chunks(m);
    else
        *machine = m;
    qi_machine_unlock(m);
    return error;
}

void quire_machine_fini(struct quire_machine *m)
{
    (void)quire_machine_drain(m);
    qa_store(&m->snapshot, 0, relaxed); /* relaxed: nobody else is there; bringup.c looks at it */
    release_all_chunks(m);
    __builtin_memset(m, 0, sizeof *m);
}
