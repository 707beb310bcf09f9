/* SPDX-License-Identifier: MIT
 *
 * tags.c - who asks: names with a quota of bytes, and what they have.
 *
 * A request is charged before an object is looked for, by compare-and-swap on the tag's bytes, so a
 * tag never has more than its quota, at no moment; a sum that is added first and looked at after
 * would refuse two that fit one by one. Who is refused by the machine, or whose object moves
 * (resize), holds its charge until then: that alone can refuse another request of the same tag that
 * would fit. Other tags' requests touch other lines.
 *
 * A tag is made for good: so its number, once told, names it, and no free has to look whether it is
 * still there.
 *
 * Who beside whom: all beside all. Lock-free: the exchange is repeated when another request of the
 * tag was charged, or freed. Any context.
 */
#include "watch.h"

static void most_raise(qa64 *most, uint64_t now)
{
    uint64_t v = qa_load(most, relaxed); /* relaxed: a figure */

    while (now > v)
        if (qa_cas(most, &v, now, relaxed)) /* relaxed: a figure */
            return;
}

int qi_tag_charge(const struct watch *w, uint32_t tag, uint64_t bytes)
{
    struct heap_tag *t = &w->tags[tag];
    uint64_t quota = qa_load(&t->quota, relaxed); /* relaxed: from now on, or as it was */
    uint64_t v = qa_load(&t->bytes, relaxed);     /* relaxed: the exchange decides */

    do {
        if (quota && (v > quota || bytes > quota - v)) {
            (void)qa_add(&t->refusals, 1, relaxed); /* relaxed: a statistic */
            return QUIRE_ERR_LIMIT;
        }
    } while (!qa_cas(&t->bytes, &v, v + bytes, relaxed)); /* relaxed: a number, no memory */
    most_raise(&t->peak, v + bytes);
    return 0;
}

void qi_tag_discharge(const struct watch *w, uint32_t tag, uint64_t bytes)
{
    (void)qa_sub(&w->tags[tag].bytes, bytes, relaxed); /* relaxed: a number, no memory */
}

bool qi_tag_exists(const struct watch *w, uint32_t tag)
{
    return tag <= w->tag_most && qa_load(&w->tags[tag].made, acquire); /* E-tag acquire: its name */
}

void qi_account_add(const struct watch *w, uint32_t tag, uint32_t account, uint64_t asked)
{
    struct heap_tag *t = &w->tags[tag];
    struct class_account *a = &w->accounts[account];

    (void)qa_add(&t->objects, 1, relaxed);                     /* relaxed: a figure */
    (void)qa_add(&t->asked, asked, relaxed);                   /* relaxed: a figure */
    (void)qa_add(&a->asked, asked, relaxed);                   /* relaxed: a figure */
    most_raise(&a->peak, qa_add(&a->objects, 1, relaxed) + 1); /* relaxed: a figure */
}

void qi_account_sub(const struct watch *w, uint32_t tag, uint32_t account, uint64_t asked)
{
    (void)qa_sub(&w->tags[tag].objects, 1, relaxed);           /* relaxed: a figure */
    (void)qa_sub(&w->tags[tag].asked, asked, relaxed);         /* relaxed: a figure */
    (void)qa_sub(&w->accounts[account].asked, asked, relaxed); /* relaxed: a figure */
    (void)qa_sub(&w->accounts[account].objects, 1, relaxed);   /* relaxed: a figure */
}

int quire_heap_tag_create(struct quire_heap *heap, const struct quire_heap_tag_config *config,
                          uint32_t *tag)
{
    struct heap *h = heap->state;
    uint32_t count;

    if (!h)
        return QUIRE_ERR_STATE;
    if (!h->watch)
        return QUIRE_ERR_FULL;
    count = qa_load(&h->watch->tag_count, relaxed); /* relaxed: the exchange decides */
    do {
        if (count >= h->watch->tag_most)
            return QUIRE_ERR_FULL;
    } while (!qa_cas(&h->watch->tag_count, &count, count + 1, relaxed)); /* relaxed: zeros */
    count++;
    h->watch->tags[count].name = config->name;
    qa_store(&h->watch->tags[count].quota, config->quota, relaxed); /* relaxed: E-tag has it */
    qa_store(&h->watch->tags[count].made, 1, release); /* E-tag release: its name and quota */
    *tag = count;
    return 0;
}

/* The tag of a number that a caller gave; NULL, and why. */
static struct heap_tag *tag_find(const struct quire_heap *heap, uint32_t tag, int *error)
{
    const struct heap *h = heap->state;

    *error = !h ? QUIRE_ERR_STATE : !h->watch ? QUIRE_ERR_UNSUPPORTED : 0;
    if (!*error && !qi_tag_exists(h->watch, tag))
        *error = QUIRE_ERR_SIZE;
    return *error ? NULL : &h->watch->tags[tag];
}

int quire_heap_tag_quota(struct quire_heap *heap, uint32_t tag, uint64_t quota)
{
    int error;
    struct heap_tag *t = tag_find(heap, tag, &error);

    if (t && tag == 0)
        return QUIRE_ERR_SIZE;
    if (t)
        qa_store(&t->quota, quota, relaxed); /* relaxed: a number, from now on */
    return error;
}

int quire_heap_tag_stats(struct quire_heap *heap, uint32_t tag, struct quire_heap_tag_stats *stats)
{
    struct quire_heap_tag_stats found = {0};
    int error;
    struct heap_tag *t = tag_find(heap, tag, &error);

    if (!t)
        return error;
    found.name = t->name;
    found.quota = qa_load(&t->quota, relaxed);       /* relaxed: a figure */
    found.objects = qa_load(&t->objects, relaxed);   /* relaxed: a figure */
    found.asked = qa_load(&t->asked, relaxed);       /* relaxed: a figure */
    found.bytes = qa_load(&t->bytes, relaxed);       /* relaxed: a figure */
    found.peak = qa_load(&t->peak, relaxed);         /* relaxed: a figure */
    found.refusals = qa_load(&t->refusals, relaxed); /* relaxed: a statistic */
    *stats = found;
    return 0;
}
