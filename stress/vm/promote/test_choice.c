/* SPDX-License-Identifier: MIT
 *
 * test_choice.c - which pages become rows, against a model that knows no bits: random parts, whose
 * pages fit, count and have marks by turns, and rows that are taken, or passed over. White-box.
 */
#include "kernel-port/vm/promote/choice.h"

#include "stress/common/assert.h"
#include "stress/common/random.h"

#include <string.h>

enum { PARTS = 3000 };

struct model_page {
    bool fits, used, marked;
    unsigned kind; /* access and note */
};

static struct model_page pages[PART_PAGES_MOST];
static struct choice choice;
static uint64_t random_state;

static uint64_t draw(uint64_t bound)
{
    return random_below(&random_state, bound);
}

/* In a hundred. */
static bool draw_percent(unsigned percent)
{
    return draw(100) < percent;
}

/* Stretches of pages that are alike, as processes leave them, some of them long. */
static void draw_part(void)
{
    unsigned count = draw(2) ? 512 : PART_PAGES_MOST, i = 0;

    memset(&choice, 0, sizeof choice);
    choice.pages = count;
    choice.least = 1 + (unsigned)draw(ROW_ORDER_MOST);
    choice.present = 1 + (uint32_t)draw(count);
    choice.accessed = draw(3) ? 0 : (uint32_t)draw(count + 1);
    while (i < count) {
        unsigned end = i + 1 + (unsigned)draw(1u << draw(11)), used = (unsigned)draw(101);
        unsigned fits = draw(3) ? 100 : 99, marked = (unsigned)draw(101), kind = (unsigned)draw(2);

        for (; i < end && i < count; i++)
            pages[i] = (struct model_page){draw_percent(fits), draw_percent(used),
                                           draw_percent(marked), kind};
    }
    for (i = 0; i < count; i++) {
        if (pages[i].fits)
            page_set_add(&choice.fit, i);
        if (pages[i].used)
            page_set_add(&choice.used, i);
        if (pages[i].marked)
            page_set_add(&choice.marked, i);
        if (i == 0 ? draw(2) : pages[i].kind != pages[i - 1].kind)
            page_set_add(&choice.changes, i);
    }
}

static bool model_is_worth(unsigned first, unsigned count)
{
    uint64_t used = 0, marked = 0;

    for (unsigned i = first; i < first + count; i++) {
        if (!pages[i].fits || pages[i].kind != pages[first].kind)
            return false;
        used += pages[i].used;
        marked += pages[i].marked;
    }
    return used * choice.pages >= (uint64_t)choice.present * count &&
           marked * choice.pages >= (uint64_t)choice.accessed * count;
}

/* From this row on. False: there is none. */
static bool model_next(struct row *row)
{
    for (unsigned order = row->order; order >= choice.least; order--)
        for (unsigned first = order == row->order ? row->first : 0; first < choice.pages;
             first += 1u << order)
            if (model_is_worth(first, 1u << order)) {
                *row = (struct row){order, first};
                return true;
            }
    return false;
}

static void as_the_model_has_it(void **ctx)
{
    uint64_t rows = 0;

    (void)ctx;
    random_state = random_seed(1, 0);
    for (unsigned n = 0; n < PARTS; n++) {
        struct row row = {ROW_ORDER_MOST, 0}, expected = row;
        bool more = true;

        draw_part();
        while (more) {
            more = model_next(&expected);
            assert_true(qi_choice_next(&choice, &row) == more);
            if (!more)
                break;
            assert_int_equal(row.order, expected.order);
            assert_int_equal(row.first, expected.first);
            rows++;
            for (unsigned i = row.first; draw(8) && i < row.first + row_pages(row); i++) {
                pages[i].fits = false;
                page_set_remove(&choice.fit, i);
            }
            row_pass(&row);
            expected.first += 1u << expected.order;
        }
    }
    assert_true(rows > PARTS);
}

/* Of what is wanted of a part a row has to have so much in proportion, rounded up. */
static void proportions(void **ctx)
{
    (void)ctx;
    choice.pages = 512;
    choice.present = 256;
    assert_int_equal(qi_choice_present(&choice, (struct row){4, 0}), 8);
    assert_int_equal(qi_choice_present(&choice, (struct row){8, 256}), 128);
    choice.present = 1;
    assert_int_equal(qi_choice_present(&choice, (struct row){8, 0}), 1);
    choice.present = 33;
    assert_int_equal(qi_choice_present(&choice, (struct row){4, 0}), 2);
    choice.pages = choice.present = PART_PAGES_MOST;
    assert_int_equal(qi_choice_present(&choice, (struct row){8, 0}), 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_the_model_has_it),
                                       cmocka_unit_test(proportions)};

    return cmocka_run_group_tests_name("choice", tests, NULL, NULL);
}
