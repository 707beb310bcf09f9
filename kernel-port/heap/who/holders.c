/* SPDX-License-Identifier: MIT
 *
 * holders.c - a report: holdings grouped by tag and caller, in a table of the reporter's. The table
 * is a hash table with open addressing while it is made, and a sorted array afterwards. What finds
 * no place is summed up in `rest`. One thread.
 */
#include "kernel-port/heap/state.h"

enum { PROBES = 16 };

static void holder_add(struct quire_holder *holder, const struct quire_holding *holding)
{
    if (!holder->holdings || holding->since < holder->since)
        holder->since = holding->since;
    holder->holdings++;
    holder->bytes += holding->bytes;
}

int quire_holders_add(void *ctx, const struct quire_holding *holding)
{
    struct quire_holders *holders = (struct quire_holders *)ctx;
    uint64_t hash = (holding->caller ^ (uint64_t)holding->tag << 48) * 0x9e3779b97f4a7c15u;
    size_t place = holders->size ? (size_t)(hash >> 32) & (SIZE_MAX >> 1) : 0;

    if (holders->count == 0 && holders->rest.holdings == 0)
        for (size_t i = 0; i < holders->size; i++)
            holders->table[i].holdings = 0;
    if ((holders->tag != QUIRE_ANY_TAG && holders->tag != holding->tag) ||
        (holders->before && holding->since >= holders->before))
        return 0;
    for (size_t i = 0; i < PROBES && i < holders->size; i++) {
        struct quire_holder *holder = &holders->table[(place + i) % holders->size];

        if (holder->holdings == 0) {
            struct quire_holder fresh = {holding->tag, holding->caller, 0, 0, 0};

            *holder = fresh;
            holders->count++;
        }
        if (holder->tag == holding->tag && holder->caller == holding->caller) {
            holder_add(holder, holding);
            return 0;
        }
    }
    holder_add(&holders->rest, holding);
    return 0;
}

static bool holds_less(const struct quire_holder *a, const struct quire_holder *b)
{
    return a->bytes != b->bytes ? a->bytes < b->bytes : a->caller > b->caller;
}

/* Let the holder at `i` sink in a heap of n, whose least is on top. */
static void holder_sink(struct quire_holder *table, size_t i, size_t n)
{
    for (size_t child = 2 * i + 1; child < n; child = 2 * i + 1) {
        struct quire_holder moved = table[i];

        if (child + 1 < n && holds_less(&table[child + 1], &table[child]))
            child++;
        if (!holds_less(&table[child], &moved))
            return;
        table[i] = table[child];
        table[child] = moved;
        i = child;
    }
}

void quire_holders_sort(struct quire_holders *holders)
{
    struct quire_holder *table = holders->table;
    size_t n = 0;

    for (size_t i = 0; i < holders->size && n < holders->count; i++)
        if (table[i].holdings)
            table[n++] = table[i];
    for (size_t i = n / 2; i-- > 0;)
        holder_sink(table, i, n);
    for (size_t end = n; end-- > 1;) {
        struct quire_holder least = table[0];

        table[0] = table[end];
        table[end] = least;
        holder_sink(table, 0, end);
    }
}
