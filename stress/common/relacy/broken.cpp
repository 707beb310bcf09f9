/* SPDX-License-Identifier: MIT
 *
 * broken.cpp - see broken.hpp. Nothing here allocates: Relacy tracks allocations.
 */
#include "broken.hpp"

#include <cstdio>
#include <cstring>

namespace
{

enum { TEXT = 200, PLACES = 1024, ORDERS = 4 };

const char *const order_names[ORDERS] = {"relaxed", "acquire", "release", "acq_rel"};
const char *const FENCE_ORDER = "seq_cst";

struct Told {
    bool any, none; /* none: not executed, or not compared */
    char file[TEXT], kind[TEXT], from[TEXT];
    unsigned first, last; /* lines */
    Order to;
} told;

struct Seen {
    const char *file, *kind, *order;
    unsigned line;
} seen[PLACES];
unsigned seen_count;
bool wants_places;

/* Is `path` the file `name` of the tree, wherever that is? */
bool is_file(const char *path, const char *name)
{
    size_t long_one = strlen(path), short_one = strlen(name);

    return long_one >= short_one && !strcmp(path + long_one - short_one, name) &&
           (long_one == short_one || path[long_one - short_one - 1] == '/');
}

bool is_told(const Place &place, const char *kind, const char *order)
{
    return told.any && place.line >= told.first && place.line <= told.last &&
           !strcmp(kind, told.kind) && !strcmp(order, told.from) && is_file(place.file, told.file);
}

void note(const Place &place, const char *kind, const char *order)
{
    if (!wants_places)
        return;
    for (unsigned i = 0; i < seen_count; i++)
        if (seen[i].line == place.line && seen[i].kind == kind && seen[i].order == order &&
            !strcmp(seen[i].file, place.file))
            return;
    if (seen_count < PLACES)
        seen[seen_count++] = Seen{place.file, kind, order, place.line};
}

const char *name_of(Order order)
{
    return order_names[static_cast<int>(order)];
}

} /* namespace */

bool break_as_told(const char *option)
{
    char to[TEXT];

    if (!strcmp(option, "--places")) {
        wants_places = true;
        return true;
    }
    told.any =
        strlen(option) < TEXT && sscanf(option, "--broken=%[^:]:%u-%u:%[^:]:%[^:]:%s", told.file,
                                        &told.first, &told.last, told.kind, told.from, to) == 6;
    told.none = told.any && !strcmp(to, "none");
    for (int i = 0; i < ORDERS; i++)
        if (told.any && !strcmp(to, order_names[i])) {
            told.to = static_cast<Order>(i);
            return true;
        }
    if (told.none)
        return true;
    printf("not understood: %s\n", option);
    return false;
}

Order broken_order(const Place &place, const char *kind, Order order)
{
    note(place, kind, name_of(order));
    return is_told(place, kind, name_of(order)) && !told.none ? told.to : order;
}

bool is_broken(const Place &place, const char *kind)
{
    if (!strcmp(kind, "fence")) {
        note(place, kind, FENCE_ORDER);
        return is_told(place, kind, FENCE_ORDER);
    }
    return told.none && is_told(place, kind, told.from);
}

void places_begin()
{
    seen_count = 0;
}

void places_print()
{
    for (unsigned i = 0; i < seen_count; i++)
        printf("  at %s:%u:%s:%s\n", seen[i].file, seen[i].line, seen[i].kind, seen[i].order);
}
