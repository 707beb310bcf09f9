/* SPDX-License-Identifier: MIT
 *
 * debug.c - what callers do wrong with their objects, as far as it can be seen: red zones, poison,
 * a quarantine.
 *
 * Red zones. Behind the bytes that were asked for an object has at least 16 more, up to the end of
 * its size class, which are filled when it is handed out and looked at when it is freed. There is
 * none before it: what is written there, if it is in the same slab, hits the red zone of the object
 * before, and the finding names that one.
 *
 * Poison. A free object is filled, and looked at when it is handed out again, or leaves the
 * quarantine. The record says that it is filled, so a fresh slab is not looked at; and who had the
 * object, so a finding names the one who went on using it. Objects with a constructor are not
 * filled. A run is looked at when it leaves the quarantine alone, as its frames go to the machine.
 *
 * The quarantine is a ring of slots. A free exchanges its object for the one that it finds in the
 * slot whose turn it is, which has waited for as many frees as there are slots. Who got an object
 * by an exchange has it alone.
 */
#include "watch.h"

enum { RED = 0xbb, POISON = 0x6b };

void qi_find(struct heap *h, struct quire_heap_finding *finding, const qa64 *record, uint64_t word)
{
    uint32_t tag = record_tag(word);

    if (!h->port.report)
        return;
    finding->bytes = record_asked(word);
    finding->tag = qi_tag_exists(h->watch, tag) ? h->watch->tags[tag].name : NULL;
    if (record && h->watch->stride == RECORD_LONG)
        finding->caller = qa_load(record + RECORD_CALLER, relaxed); /* relaxed: a figure */
    h->port.report(h->port.ctx, finding);
}

/* The first of the bytes from `at` on that is not `byte`; `end` if all are. */
static uint64_t first_other(const unsigned char *object, uint64_t at, uint64_t end, uint8_t byte)
{
    while (at < end && object[(size_t)at] == byte)
        at++;
    return at;
}

static void look(struct heap *h, enum quire_heap_finding_kind kind, const unsigned char *object,
                 const qa64 *record, uint64_t word, uint64_t start, uint64_t end)
{
    uint8_t byte = kind == QUIRE_HEAP_RED_ZONE ? RED : POISON;
    uint64_t at = first_other(object, start, end, byte);
    struct quire_heap_finding finding = {0};

    if (at == end)
        return;
    finding.kind = kind;
    finding.object = object;
    finding.offset = at;
    finding.found = object[(size_t)at];
    finding.expected = byte;
    qi_find(h, &finding, record, word);
}

void qi_red_fill(unsigned char *object, uint64_t asked, uint64_t end)
{
    __builtin_memset(object + (size_t)asked, RED, (size_t)(end - asked));
}

void qi_red_check(struct heap *h, const unsigned char *object, const qa64 *record, uint64_t word,
                  uint64_t end)
{
    look(h, QUIRE_HEAP_RED_ZONE, object, record, word, record_asked(word), end);
}

void qi_poison_fill(unsigned char *object, uint64_t bytes)
{
    __builtin_memset(object, POISON, (size_t)bytes);
}

void qi_poison_check(struct heap *h, const unsigned char *object, const qa64 *record, uint64_t word,
                     uint64_t bytes)
{
    look(h, QUIRE_HEAP_POISON, object, record, word, 0, bytes);
}

void *qi_quarantine(struct heap *h, void *object)
{
    struct watch *w = h->watch;
    uint64_t turn = qa_add(&w->turn, 1, relaxed); /* relaxed: any turn is as good */
    qa64 *slot = &w->quarantine[(uint32_t)turn % w->quarantined];
    uintptr_t old;

    /* E-quarantine acq_rel: who freed the old one is done with it; so is the caller */
    old = (uintptr_t)qa_xchg(slot, (uint64_t)(uintptr_t)object, acq_rel);
    return (void *)old;
}

void *qi_quarantine_leave(struct heap *h, uint32_t i)
{
    /* E-quarantine acquire: who freed it is done with it */
    uintptr_t old = (uintptr_t)qa_xchg(&h->watch->quarantine[i], 0, acquire);

    return (void *)old;
}

/* ---- Text ---------------------------------------------------------------------------------- */

struct line {
    char *text;
    size_t room, length;
};

static void line_add(struct line *line, const char *words)
{
    for (; *words; words++)
        if (line->length + 1 < line->room)
            line->text[line->length++] = *words;
}

static void line_number(struct line *line, uint64_t value, unsigned base)
{
    char digits[24];
    size_t at = sizeof digits - 1;

    digits[at] = '\0';
    do {
        uint64_t quotient = base == 16 ? value >> 4 : word_divide(value, 10);

        digits[--at] = "0123456789abcdef"[(unsigned)(value - quotient * base)];
        value = quotient;
    } while (value);
    line_add(line, base == 16 ? "0x" : "");
    line_add(line, &digits[at]);
}

static void line_bytes(struct line *line, const struct quire_heap_finding *finding)
{
    line_add(line, ": byte ");
    line_number(line, finding->offset, 10);
    line_add(line, " is ");
    line_number(line, finding->found, 16);
    line_add(line, ", not ");
    line_number(line, finding->expected, 16);
}

size_t quire_heap_finding_text(const struct quire_heap_finding *finding, char *text, size_t bytes)
{
    static const char *const kinds[] = {"bad free", "free again", "written behind the end",
                                        "written after it was freed"};
    struct line line = {text, bytes, 0};

    if (bytes == 0)
        return 0;
    line_add(&line, "heap: ");
    line_add(&line, (unsigned)finding->kind < 4 ? kinds[finding->kind] : "?");
    if (finding->kind == QUIRE_HEAP_RED_ZONE || finding->kind == QUIRE_HEAP_POISON)
        line_bytes(&line, finding);
    if (finding->error) {
        line_add(&line, ": ");
        line_add(&line, quire_strerror(finding->error));
    }
    line_add(&line, "; object ");
    line_number(&line, (uintptr_t)finding->object, 16);
    if (finding->bytes) {
        line_add(&line, " of ");
        line_number(&line, finding->bytes, 10);
        line_add(&line, " bytes");
    }
    if (finding->tag) {
        line_add(&line, ", ");
        line_add(&line, finding->tag);
    }
    if (finding->caller) {
        line_add(&line, ", allocated at ");
        line_number(&line, finding->caller, 16);
    }
    text[line.length] = '\0';
    return line.length;
}
