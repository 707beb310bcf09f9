/* SPDX-License-Identifier: MIT
 *
 * options.c - see options.h. Words are cut at blanks, lists at commas; each piece is a stretch of
 * the command line, read in place.
 */
#include "options.h"

#include "kernel-port/kernel/lib/panic.h"
#include "kernel-port/kernel/lib/text.h"

struct piece {
    const char *at;
    size_t length;
};

#define PIECE(p) (int)(p).length, (p).at

/* Cut off what is before the first `mark`, or all. False: nothing was left. */
static bool cut(struct piece *rest, char mark, struct piece *first)
{
    if (!rest->at)
        return false;
    *first = (struct piece){rest->at, 0};
    while (first->length < rest->length && rest->at[first->length] != mark)
        first->length++;
    if (first->length == rest->length)
        *rest = (struct piece){0};
    else
        *rest = (struct piece){rest->at + first->length + 1, rest->length - first->length - 1};
    return true;
}

static bool digit_of(char c, unsigned base, uint64_t *value)
{
    if (c >= '0' && c <= '9')
        *value = (uint64_t)(c - '0');
    else if (c >= 'a' && c <= 'f')
        *value = (uint64_t)(c - 'a') + 10;
    else
        return false;
    return *value < base;
}

/* A number, with a unit if `units`. */
static bool read_number(struct piece p, bool units, uint64_t *value)
{
    unsigned base = 10, shift = 0;
    uint64_t digit;

    if (units && p.length > 1) {
        char unit = p.at[p.length - 1];

        shift = unit == 'K' ? 10 : unit == 'M' ? 20 : unit == 'G' ? 30 : 0;
        p.length -= shift ? 1 : 0;
    }
    if (p.length > 2 && p.at[0] == '0' && p.at[1] == 'x') {
        base = 16;
        p.at += 2;
        p.length -= 2;
    }
    *value = 0;
    for (size_t i = 0; i < p.length; i++)
        if (!digit_of(p.at[i], base, &digit) || __builtin_mul_overflow(*value, base, value) ||
            __builtin_add_overflow(*value, digit, value))
            return false;
    return p.length > 0 && !__builtin_mul_overflow(*value, 1ul << shift, value);
}

static void read_huge(struct options *o, struct piece entry)
{
    struct piece rest = entry, node, size, count;
    struct option_huge *h = &o->huge[o->huge_count];
    uint64_t n;
    bool good;

    if (o->huge_count == OPTION_HUGE)
        panic("hugepages=: more than %u entries", (unsigned)OPTION_HUGE);
    (void)cut(&rest, '@', &node);
    h->node = OPTION_ANY_NODE;
    if (rest.at) {
        good = read_number(node, false, &n) && n < QUIRE_BOOT_NODES;
        h->node = (int)n;
    } else {
        good = true;
        rest = entry;
    }
    good = good && cut(&rest, ':', &size) && rest.at && cut(&rest, ':', &count) && !rest.at &&
           read_number(size, true, &h->page_bytes) &&
           (h->page_bytes == 2ul << 20 || h->page_bytes == 1ul << 30) &&
           read_number(count, false, &h->count) && h->count > 0 && h->count < 1ul << 20;
    if (!good)
        panic("hugepages=: \"%.*s\" is not [NODE@]SIZE:COUNT with SIZE 2M or 1G", PIECE(entry));
    o->huge_count++;
}

static void read_map(struct options *o, struct piece entry)
{
    static const struct {
        const char *name;
        enum quire_boot_kind kind;
    } kinds[] = {{"usable", QUIRE_BOOT_USABLE},
                 {"reserved", QUIRE_BOOT_FIRMWARE},
                 {"device", QUIRE_BOOT_DEVICE}};
    struct piece rest = entry, size, address;
    struct option_map *m = &o->maps[o->map_count];

    if (o->map_count == OPTION_MAPS)
        panic("memmap=: more than %u entries", (unsigned)OPTION_MAPS);
    m->kind = QUIRE_BOOT_NOTHING;
    if (cut(&rest, '@', &size) && cut(&rest, ':', &address) && rest.at &&
        read_number(size, true, &m->bytes) && read_number(address, true, &m->phys))
        for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
            if (text_equal(rest.at, rest.length, kinds[i].name))
                m->kind = kinds[i].kind;
    if (m->kind == QUIRE_BOOT_NOTHING)
        panic("memmap=: \"%.*s\" is not SIZE@ADDRESS:KIND with KIND usable, reserved or device",
              PIECE(entry));
    o->map_count++;
}

static enum quire_cache_mode read_mode(struct piece word)
{
    bool local = text_equal(word.at, word.length, "local");

    if (!local && !text_equal(word.at, word.length, "exchange"))
        panic("mode=: \"%.*s\" is not exchange or local", PIECE(word));
    return local ? QUIRE_CACHE_LOCAL : QUIRE_CACHE_EXCHANGE;
}

static void read_option(struct options *o, struct piece word)
{
    struct piece rest = word, name, entry;

    (void)cut(&rest, '=', &name);
    if (!rest.at || rest.length == 0)
        panic("the option \"%.*s\" is not NAME=VALUE", PIECE(word));
    if (text_equal(name.at, name.length, "suite")) {
        if (rest.length >= OPTION_SUITES_BYTES)
            panic("suite=: longer than %u bytes", (unsigned)OPTION_SUITES_BYTES - 1);
        memcpy(o->suites, rest.at, rest.length);
        o->suites[rest.length] = '\0';
    } else if (text_equal(name.at, name.length, "hugepages")) {
        while (cut(&rest, ',', &entry))
            read_huge(o, entry);
    } else if (text_equal(name.at, name.length, "memmap")) {
        while (cut(&rest, ',', &entry))
            read_map(o, entry);
    } else if (text_equal(name.at, name.length, "mode")) {
        o->mode = read_mode(rest);
    } else if (text_equal(name.at, name.length, "seconds")) {
        if (!read_number(rest, false, &o->seconds) || o->seconds == 0 || o->seconds > 3600)
            panic("seconds=: \"%.*s\" is not a number from 1 to 3600", PIECE(rest));
    } else if (text_equal(name.at, name.length, "seed")) {
        if (!read_number(rest, false, &o->seed))
            panic("seed=: \"%.*s\" is not a number", PIECE(rest));
    } else {
        panic("there is no option \"%.*s\"; there are suite, hugepages, memmap, mode, seconds, "
              "seed",
              PIECE(name));
    }
}

void options_parse(struct options *o, const char *command_line)
{
    struct piece rest = {command_line, text_length(command_line)}, word;

    *o = (struct options){.suites = "all", .mode = QUIRE_CACHE_EXCHANGE, .seconds = 2, .seed = 1};
    while (cut(&rest, ' ', &word))
        if (word.length)
            read_option(o, word);
}
