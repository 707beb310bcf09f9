/* SPDX-License-Identifier: MIT
 *
 * hotplug.c - changes: zones come and go and the topology changes, while all others go on.
 *
 * Each change builds a new snapshot beside the one in force, publishes it, waits until all readers
 * of the old one have left, and ends that. A change that fails before its publication leaves
 * nothing behind. The danger is memory that a request does not find, or a zone that leaves with a
 * frame in use.
 *
 *   Y1  A zone cache that the new snapshot does not have gets no refill or maintenance once all
 *       readers of the old one have left; only late hits may still use it. Then it is closed
 *       (percpu/lifecycle.c): flushed to its zone, limits 0. Until then its frames must not be
 *       hidden from readers of the new snapshot: the entry has it as `previous`, and drains see it.
 *   Y2  A zone leaves in two steps.
 *         1. A snapshot where it is closing: in no zonelist and without a cache, but found by
 *            frees, which go to the zone at once. After the wait no allocation is under way there;
 *            its cache is closed and remote magazines are drained. If all its frames are free now,
 *            they stay so: nobody owns one, so nobody may free one. Except that the port may have
 *            memory for the second step out of this zone: so the last look is behind that.
 *         2. A snapshot without it. After that wait the last free has left the zone's metadata.
 *       If not all frames are free after step 1, the zone is put back. A port whose memory comes
 *       out of the zones (bringup.c) asks neither a closing zone nor the one named `leaving`, which
 *       is not closing yet while the first step's snapshot is made.
 *
 *                    change   reader   late hit   who
 *   change             -        X         X       one at a time: the second one is refused, BUSY
 *   wait               -        w         X       w: it waits for readers of the old snapshot
 *   close a cache      -        X         w       w: it waits for a CPU cache that is taken, and in
 *                                                 local mode for all CPUs' answers
 *
 * (X: side by side.) Thread only, blocking: in these waits, and in what the port's memory does.
 */
#include "numa/machine/machine.h"

enum { CLOSE_TRIES = 64 }; /* drains of a zone whose frames are not all free yet */

/* ---- The lock ------------------------------------------------------------------------------- */

bool qi_machine_lock(struct quire_machine *m)
{
    return qa_xchg(&m->writer, 1, acquire) == 0; /* E-writer acquire: what the last writer did */
}

void qi_machine_unlock(struct quire_machine *m)
{
    qi_assert(writer_is_held(m));
    qa_store(&m->writer, 0, release); /* E-writer release */
}

struct machine_snapshot *qi_machine_snapshot(const struct quire_machine *m)
{
    uintptr_t p = (uintptr_t)qa_load(&m->snapshot, relaxed); /* relaxed: written by us alone */

    return (struct machine_snapshot *)p;
}

/* ---- Snapshots in place of each other ------------------------------------------------------- */

/* In local mode the CPUs empty their part of it, asked to (quire_machine_answer): the snapshot in
 * force does not have it, so they find it here. */
static void close_zone_cache(struct quire_machine *m, struct zone_cache *h)
{
    qa_store(&m->closing_cache, (uintptr_t)h, relaxed); /* relaxed: as quire_machine_answer says */
    while (!qi_cache_close(&h->cache))
        machine_relax(m);
    qa_store(&m->closing_cache, 0, relaxed); /* relaxed: a late answer finds a closed cache (K7) */
}

/* Publish a snapshot in place of the current one, and end that. */
static void replace_snapshot(struct quire_machine *m, struct machine_snapshot *s)
{
    struct machine_snapshot *old = qi_machine_snapshot(m);

    qi_assert(writer_is_held(m)); /* M5 */
    qi_snapshot_publish(m, s);
    qi_machine_wait_for_readers(m);
    qi_remote_forget_zones(m);
    for (uint32_t i = 0; i < old->entry_count; i++) {
        const struct machine_entry *e = &old->entries[i];

        if (e->zone_cache && e->zone_cache != qi_snapshot_zone_cache(s, e->zone)) {
            close_zone_cache(m, e->zone_cache);
            qi_zone_cache_save_hits(m, old, e->zone_cache);
        }
    }
    qi_snapshot_release(m, old);
}

/* A copy of the entries and spans in force, with room for more: what a change works on. */
struct snapshot_draft {
    struct machine_entry *entries;
    struct quire_pfnmap_span *spans;
    uint32_t count;
    size_t span_count;
};

static int begin_draft(struct quire_machine *m, struct snapshot_draft *d, uint32_t more,
                       size_t more_spans)
{
    const struct machine_snapshot *s = qi_machine_snapshot(m);
    size_t entry_bytes = (s->entry_count + more) * sizeof *d->entries;
    void *p = qi_port_alloc(m, entry_bytes + (s->span_count + more_spans) * sizeof *d->spans,
                            quire_node_of(0));

    if (!p)
        return QUIRE_ERR_NO_MEMORY;
    d->entries = (struct machine_entry *)p;
    p = (unsigned char *)p + entry_bytes;
    d->spans = (struct quire_pfnmap_span *)p;
    d->count = s->entry_count;
    d->span_count = s->span_count;
    __builtin_memcpy(d->entries, s->entries, s->entry_count * sizeof *d->entries);
    __builtin_memcpy(d->spans, s->spans, s->span_count * sizeof *d->spans);
    return QUIRE_OK;
}

static bool is_all_free(const struct machine_zone *z)
{
    return quire_zone_free_frames(&z->zone) == quire_zone_managed(&z->zone);
}

/* Make a snapshot of a draft and publish it. The draft is given back in any case. BUSY: the zone
 * that it leaves out, if not NULL, has got frames in use meanwhile. */
static int publish_draft(struct quire_machine *m, struct snapshot_draft *d,
                         const struct quire_topology *topology, const struct machine_zone *left_out)
{
    struct machine_snapshot *s;
    int error = qi_snapshot_make(m, topology, d->entries, d->count, d->spans, d->span_count, &s);

    qi_port_give_back(m, d->entries);
    if (error)
        return error;
    error = qi_machine_make_cpus(m, &s->topology);
    if (!error && left_out && !is_all_free(left_out))
        error = QUIRE_ERR_BUSY;
    if (error)
        qi_snapshot_discard(m, s);
    else
        replace_snapshot(m, s);
    return error;
}

/* ---- Adding --------------------------------------------------------------------------------- */

static bool runs_overlap(struct quire_run a, struct quire_run b)
{
    return a.pfn.n < b.pfn.n + b.frames && b.pfn.n < a.pfn.n + a.frames;
}

/* Insert a span of zone `entry`, in order. */
static void insert_span(struct snapshot_draft *d, struct quire_run run, uint32_t entry)
{
    size_t at = d->span_count++;

    for (; at > 0 && d->spans[at - 1].run.pfn.n > run.pfn.n; at--)
        d->spans[at] = d->spans[at - 1];
    d->spans[at] = (struct quire_pfnmap_span){run, entry};
}

static int check_new_zone(const struct quire_machine *m, const struct quire_machine_zone *zone,
                          const struct quire_pfnmap_span spans[], size_t count)
{
    const struct machine_snapshot *s = qi_machine_snapshot(m);

    if (zone->node.n >= s->topology.node_count)
        return QUIRE_ERR_NODE;
    if (count == 0 || s->entry_count >= MACHINE_ZONES)
        return QUIRE_ERR_SIZE;
    for (uint32_t i = 0; i < s->entry_count; i++)
        if (s->entries[i].zone->given == zone->zone)
            return QUIRE_ERR_BUSY;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < s->span_count; k++)
            if (runs_overlap(spans[i].run, s->spans[k].run))
                return QUIRE_ERR_BUSY;
    return QUIRE_OK;
}

static int add_zone_locked(struct quire_machine *m, const struct quire_machine_zone *zone,
                           const struct quire_pfnmap_span spans[], size_t count)
{
    int error = check_new_zone(m, zone, spans, count);
    struct machine_zone *z, *old;
    struct snapshot_draft d;

    if (!error)
        error = begin_draft(m, &d, 1, count);
    if (error)
        return error;
    for (size_t i = 0; i < count; i++)
        insert_span(&d, spans[i].run, d.count);
    old = qi_machine_zone_bring_back(m, zone, qi_longest_span(d.spans, d.span_count, d.count));
    z = old;
    if (!z)
        error = qi_machine_zone_make(m, zone, &z);
    if (error) {
        qi_port_give_back(m, d.entries);
        return error;
    }
    d.entries[d.count++] = (struct machine_entry){.zone = z};
    error = publish_draft(m, &d, &qi_machine_snapshot(m)->topology, NULL);
    if (error && old)
        qi_machine_zone_set_gone(m, z);
    else if (error) /* it was never published */
        qi_port_give_back(m, z);
    return error;
}

int quire_machine_add_zone(struct quire_machine *m, const struct quire_machine_zone *zone,
                           const struct quire_pfnmap_span spans[], size_t count)
{
    int error;

    if (!qi_machine_lock(m))
        return QUIRE_ERR_BUSY;
    error = add_zone_locked(m, zone, spans, count);
    qi_machine_unlock(m);
    return error;
}

/* ---- Removing ------------------------------------------------------------------------------- */

/* Are all frames of a closing zone free, after the remote magazines were drained? */
static bool all_frames_free(struct quire_machine *m, const struct machine_zone *z)
{
    for (unsigned i = 0; i < CLOSE_TRIES; i++) {
        struct machine_reader r;

        qi_machine_enter(m, &r);
        (void)qi_remote_drain_all(&r, false);
        qi_machine_leave(&r);
        if (is_all_free(z))
            return true;
        machine_relax(m);
    }
    return false;
}

/* Mark an entry as closing, or not. */
static int set_closing(struct quire_machine *m, uint32_t entry, bool closing)
{
    struct snapshot_draft d;
    int error = begin_draft(m, &d, 0, 0);

    if (error)
        return error;
    d.entries[entry].closing = closing;
    return publish_draft(m, &d, &qi_machine_snapshot(m)->topology, NULL);
}

/* A snapshot without an entry. */
static int drop_entry(struct quire_machine *m, uint32_t entry)
{
    const struct machine_zone *z = qi_machine_snapshot(m)->entries[entry].zone;
    struct snapshot_draft d;
    size_t kept = 0;
    int error = begin_draft(m, &d, 0, 0);

    if (error)
        return error;
    for (size_t i = 0; i < d.span_count; i++)
        if (d.spans[i].zone != entry) {
            d.spans[kept] = d.spans[i];
            d.spans[kept++].zone -= d.spans[i].zone > entry;
        }
    d.span_count = kept;
    d.count--;
    for (uint32_t i = entry; i < d.count; i++)
        d.entries[i] = d.entries[i + 1];
    return publish_draft(m, &d, &qi_machine_snapshot(m)->topology, z);
}

/* Both steps of Y2, or neither. */
static int remove_entry(struct quire_machine *m, uint32_t entry)
{
    struct machine_zone *z = qi_machine_snapshot(m)->entries[entry].zone;
    int error = set_closing(m, entry, true);

    if (error)
        return error;
    error = all_frames_free(m, z) ? drop_entry(m, entry) : QUIRE_ERR_BUSY;
    if (!error) {
        qi_machine_zone_set_gone(m, z);
        return QUIRE_OK;
    }
    /* If that fails too, for want of memory, the zone stays closing; another call may remove it. */
    return set_closing(m, entry, false) ? QUIRE_ERR_NO_MEMORY : error;
}

static int remove_zone_locked(struct quire_machine *m, const struct quire_zone *zone)
{
    const struct machine_snapshot *s = qi_machine_snapshot(m);
    uint32_t entry = 0;
    int error;

    while (entry < s->entry_count && s->entries[entry].zone->given != zone)
        entry++;
    if (entry == s->entry_count)
        return QUIRE_ERR_FRAME;
    /* relaxed: for the port's memory, which is asked by this thread; others are readers */
    qa_store(&m->leaving, (uintptr_t)s->entries[entry].zone, relaxed);
    error = remove_entry(m, entry);
    qa_store(&m->leaving, 0, relaxed); /* relaxed: as above */
    return error;
}

int quire_machine_remove_zone(struct quire_machine *m, struct quire_zone *zone)
{
    int error;

    if (!qi_machine_lock(m))
        return QUIRE_ERR_BUSY;
    error = remove_zone_locked(m, zone);
    qi_machine_unlock(m);
    return error;
}

/* ---- Another topology ----------------------------------------------------------------------- */

static int set_topology_locked(struct quire_machine *m, const struct quire_topology *topology)
{
    const struct machine_snapshot *s = qi_machine_snapshot(m);
    struct snapshot_draft d;
    int error;

    for (uint32_t i = 0; i < s->entry_count; i++)
        if (s->entries[i].zone->node.n >= topology->node_count)
            return QUIRE_ERR_NODE;
    error = begin_draft(m, &d, 0, 0);
    return error ? error : publish_draft(m, &d, topology, NULL);
}

int quire_machine_set_topology(struct quire_machine *m, const struct quire_topology *topology)
{
    int error;

    if (!qi_machine_lock(m))
        return QUIRE_ERR_BUSY;
    error = set_topology_locked(m, topology);
    qi_machine_unlock(m);
    return error;
}
