/* SPDX-License-Identifier: MIT
 *
 * port_check.c - see port_check.h.
 *
 * State: one check at a time. The port under test is wrapped: the zone of the check calls the
 * wrapper, which counts, and passes the call on with the port's own ctx.
 */
#include "port_check.h"

enum { MOST_CPUS = 4096, ROUNDS = 2000, HELD = 8, VERSIONS = 200, FRAME_WORDS = 512, LIVE = 1 };

static struct {
    const struct port_check *p;
    struct quire_zone zone;
    uint8_t seen[MOST_CPUS];       /* how often a CPU number came up; each written by that CPU */
    uint64_t bad;                  /* atomic: things that went wrong on any CPU */
    uint64_t events[QUIRE_EVENTS]; /* atomic */
    /* Grace periods: the version in force, and whether each is still alive. */
    uint32_t current, over;
    uint32_t alive[VERSIONS + 1];
} s;

static void result(bool good, const char *what)
{
    s.p->result(good, what);
}

static void wrong(void)
{
    (void)__atomic_fetch_add(&s.bad, 1, __ATOMIC_RELAXED);
}

static uint64_t take_bad(void)
{
    return __atomic_exchange_n(&s.bad, 0, __ATOMIC_RELAXED);
}

/* ---- The wrapper -------------------------------------------------------------------------- */

static uint32_t cpu(void *ctx)
{
    (void)ctx;
    return s.p->zone_port->cpu(s.p->zone_port->ctx);
}

static int zero(void *ctx, quire_pfn pfn, uint64_t frames)
{
    (void)ctx;
    return s.p->zone_port->zero(s.p->zone_port->ctx, pfn, frames);
}

static void event(void *ctx, struct quire_zone *zone, enum quire_event what)
{
    (void)ctx;
    (void)zone;
    (void)__atomic_fetch_add(&s.events[what], 1, __ATOMIC_RELAXED);
}

static bool build(void)
{
    struct quire_zone_config config = {
        .type = QUIRE_ZONE_NORMAL,
        .slots = s.p->cpus,
        .usable = &s.p->frames,
        .usable_count = 1,
        .min = QUIRE_WATERMARK_AUTO,
        .low = QUIRE_WATERMARK_AUTO,
        .high = QUIRE_WATERMARK_AUTO,
        .port = {.cpu = cpu, .zero = s.p->zone_port->zero ? zero : NULL, .event = event},
    };
    size_t bytes = 0;

    return !quire_zone_metadata_size(&config, &bytes) && bytes <= PORT_CHECK_MEMORY &&
           !quire_zone_init(&s.zone, &config, s.p->memory, bytes);
}

/* ---- CPU numbers --------------------------------------------------------------------------- */

static void look_at_number(void *argument)
{
    uint32_t n = cpu(NULL);

    (void)argument;
    if (n >= s.p->cpus)
        wrong();
    else
        (void)__atomic_fetch_add(&s.seen[n], 1, __ATOMIC_RELAXED);
}

static void check_numbers(void)
{
    bool each_once = true;

    s.p->on_all(look_at_number, NULL);
    for (uint32_t i = 0; i < s.p->cpus; i++)
        each_once = each_once && s.seen[i] == 1;
    result(take_bad() == 0 && each_once, "port: every CPU has a number of its own, from 0");
}

/* ---- Frames -------------------------------------------------------------------------------- */

static void check_zero(void)
{
    const uint64_t *words;
    uint64_t *dirty;
    quire_pfn pfn;
    bool good = true;

    if (!s.p->zone_port->zero) {
        result(true, "port: no zeroing, so QUIRE_ZEROED is refused");
        return;
    }
    if (quire_zone_alloc(&s.zone, quire_slot_of(0), 1, 0, &pfn)) {
        result(false, "port: two frames for zeroing");
        return;
    }
    dirty = s.p->reach(pfn);
    for (unsigned i = 0; i < 2 * FRAME_WORDS; i++)
        dirty[i] = UINT64_MAX;
    good = zero(NULL, pfn, 1) == QUIRE_OK;
    words = dirty;
    for (unsigned i = 0; i < FRAME_WORDS; i++)
        good = good && words[i] == 0 && words[FRAME_WORDS + i] == UINT64_MAX;
    good = good && !quire_zone_free(&s.zone, quire_slot_of(0), pfn, 1);
    result(good, "port: zero makes one frame zeros, and leaves the next one alone");
}

/* A frame's two ends, written by its owner: another owner would be seen. */
static void mark(quire_pfn pfn, uint64_t tag)
{
    uint64_t *words = s.p->reach(pfn);

    __atomic_store_n(&words[0], pfn.n ^ tag, __ATOMIC_RELAXED);
    __atomic_store_n(&words[FRAME_WORDS - 1], tag, __ATOMIC_RELAXED);
}

static bool marked(quire_pfn pfn, uint64_t tag)
{
    uint64_t *words = s.p->reach(pfn);

    return __atomic_load_n(&words[0], __ATOMIC_RELAXED) == (pfn.n ^ tag) &&
           __atomic_load_n(&words[FRAME_WORDS - 1], __ATOMIC_RELAXED) == tag;
}

static void allocate_and_free(void *argument)
{
    uint32_t me = cpu(NULL);
    quire_slot slot = quire_slot_of(me % s.p->cpus);
    quire_pfn held[HELD];

    (void)argument;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t tag = (uint64_t)me << 32 | round;
        unsigned n = 0;

        while (n < HELD && !quire_zone_alloc(&s.zone, slot, 0, QUIRE_MOVABLE, &held[n]))
            mark(held[n++], tag);
        while (n)
            if (!marked(held[--n], tag) || quire_zone_free(&s.zone, slot, held[n], 0))
                wrong();
    }
}

static void check_sharing(void)
{
    struct quire_fault v;

    s.p->on_all(allocate_and_free, NULL);
    result(take_bad() == 0, "port: all CPUs at once, and no frame has two owners");
    result(!quire_zone_check(&s.zone, &v) && quire_zone_free_frames(&s.zone) == PORT_CHECK_FRAMES,
           "port: every frame is back, and the zone is consistent");
}

static void check_events(void)
{
    quire_slot slot = quire_slot_of(0);
    uint64_t first = s.p->frames.pfn.n;
    quire_pfn pfn;

    while (!quire_zone_alloc(&s.zone, slot, 0, QUIRE_EMERGENCY, &pfn))
        continue;
    for (uint64_t i = 0; i < PORT_CHECK_FRAMES; i++)
        if (quire_zone_free(&s.zone, slot, quire_pfn_of(first + i), 0))
            wrong();
    result(take_bad() == 0 && s.events[QUIRE_EVENT_LOW] == 1 && s.events[QUIRE_EVENT_MIN] == 1 &&
               s.events[QUIRE_EVENT_RECOVERED] == 1,
           "port: each watermark was told once");
}

/* ---- The machine's port -------------------------------------------------------------------- */

static void check_memory(void)
{
    const struct quire_machine_port *m = s.p->machine_port;
    size_t bytes = 3 * QUIRE_FRAME_SIZE;
    const unsigned char *memory = m->memory(m->ctx, bytes, quire_node_of(0));
    bool zeros = memory != NULL;

    for (size_t i = 0; zeros && i < bytes; i++)
        zeros = memory[i] == 0;
    result(zeros && (uintptr_t)memory % QUIRE_FRAME_SIZE == 0,
           "port: memory for the machine is aligned, and reads as zeros");
    if (memory)
        m->give_back(m->ctx, (void *)(uintptr_t)memory, bytes, quire_node_of(0));
}

/* CPU 0 publishes versions and buries the old ones; the others read whichever is in force, and look
 * whether it dies in their hands. */
static void publish(const struct quire_machine_port *m)
{
    for (uint32_t v = 1; v <= VERSIONS; v++) {
        __atomic_store_n(&s.alive[v], LIVE, __ATOMIC_RELAXED);
        __atomic_store_n(&s.current, v, __ATOMIC_RELEASE); /* pairs with read_versions */
        m->wait_for_readers(m->ctx);
        __atomic_store_n(&s.alive[v - 1], 0, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&s.over, 1, __ATOMIC_RELEASE);
}

static void read_versions(const struct quire_machine_port *m)
{
    while (!__atomic_load_n(&s.over, __ATOMIC_ACQUIRE)) {
        uint32_t entered = m->enter(m->ctx);
        uint32_t v = __atomic_load_n(&s.current, __ATOMIC_ACQUIRE); /* pairs with publish */

        for (unsigned i = 0; i < HELD; i++)
            if (__atomic_load_n(&s.alive[v], __ATOMIC_RELAXED) != LIVE)
                wrong();
        m->leave(m->ctx, entered);
        if (s.p->quiet)
            s.p->quiet();
    }
}

static void publish_or_read(void *argument)
{
    (void)argument;
    if (cpu(NULL) == 0)
        publish(s.p->machine_port);
    else
        read_versions(s.p->machine_port);
}

static void check_readers(void)
{
    const struct quire_machine_port *m = s.p->machine_port;

    if (!m->enter || !m->leave || !m->wait_for_readers) {
        result(!m->enter && !m->leave && !m->wait_for_readers,
               "port: readers are counted by the machine, so none of the three is there");
        return;
    }
    s.alive[0] = LIVE;
    s.p->on_all(publish_or_read, NULL);
    result(take_bad() == 0, "port: nothing is given back while a reader has it");
}

void port_check(const struct port_check *check)
{
    __builtin_memset(&s, 0, sizeof s);
    s.p = check;
    if (check->cpus == 0 || check->cpus > MOST_CPUS || check->frames.frames != PORT_CHECK_FRAMES ||
        !check->zone_port->cpu || !build()) {
        result(false, "port: the check is set up");
        return;
    }
    check_numbers();
    check_zero();
    check_sharing();
    check_events();
    if (check->machine_port) {
        check_memory();
        check_readers();
    }
}
