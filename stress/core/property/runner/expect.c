/* SPDX-License-Identifier: MIT
 *
 * expect.c - the comments of zone.h as code. See expect.h.
 */
#include "expect.h"

#include <stdio.h>
#include <string.h>

#define OK          RESULT(QUIRE_OK)
#define NO_MEMORY   RESULT(QUIRE_ERR_NO_MEMORY)
#define SIZE        RESULT(QUIRE_ERR_SIZE)
#define ALIGN       RESULT(QUIRE_ERR_ALIGN)
#define FRAME       RESULT(QUIRE_ERR_FRAME)
#define DOUBLE_FREE RESULT(QUIRE_ERR_DOUBLE_FREE)
#define ORDER       RESULT(QUIRE_ERR_ORDER)
#define BUSY        RESULT(QUIRE_ERR_BUSY)
#define UNSUPPORTED RESULT(QUIRE_ERR_UNSUPPORTED)
#define FULL        RESULT(QUIRE_ERR_FULL)

const uint32_t expect_common_flags = QUIRE_MOVABLE | QUIRE_HIGH | QUIRE_EMERGENCY |
                                     QUIRE_NO_CALLBACK | QUIRE_ZEROED | QUIRE_FALLBACK;

uint32_t expect_arguments(const struct model *m, uint32_t slot, uint32_t flags, uint32_t known)
{
    return (slot >= m->slots ? SIZE : 0) | (flags & ~known ? UNSUPPORTED : 0);
}

/* ---- Allocating -------------------------------------------------------------------------- */

uint64_t expect_above_floor(const struct model *m, uint32_t flags)
{
    uint64_t floor = flags & QUIRE_EMERGENCY ? 0 : flags & QUIRE_HIGH ? m->min / 2 : m->min;
    floor += flags & QUIRE_FALLBACK ? m->lowmem_reserve : 0;
    return m->free > floor ? m->free - floor : 0;
}

uint32_t expect_alloc(const struct model *m, unsigned order, uint32_t flags)
{
    if (order > QUIRE_MAX_ORDER) {
        return SIZE;
    }
    bool counted = expect_above_floor(m, flags) >= UINT64_C(1) << order;
    return counted && model_fits(m, order) ? OK : NO_MEMORY;
}

uint32_t expect_batch(const struct model *m, uint64_t n, uint32_t flags)
{
    uint64_t least = flags & QUIRE_PARTIAL ? 1 : n;
    if (n == 0) {
        return SIZE;
    }
    return expect_above_floor(m, flags) >= least ? OK : NO_MEMORY;
}

/* "As few runs as can be found": success is due when the fewest possible fit into `capacity`. */
uint32_t expect_runs(const struct model *m, uint64_t frames, uint64_t capacity, uint32_t flags)
{
    if (frames == 0 || capacity == 0) {
        return SIZE | (frames == 0 ? 0 : NO_MEMORY);
    }
    bool counted = expect_above_floor(m, flags) >= frames;
    return counted && model_fewest_runs(m, frames) <= capacity ? OK : NO_MEMORY;
}

static bool power_of_two(uint64_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

uint32_t expect_contig(const struct model *m, const struct quire_contig *want, uint32_t flags)
{
    bool too_long =
        want->frames == 0 || want->frames > m->managed ||
        (want->boundary >= QUIRE_FRAME_SIZE && want->frames > want->boundary / QUIRE_FRAME_SIZE) ||
        (want->high != 0 && want->low > want->high);
    bool odd = (want->align != 0 && !power_of_two(want->align)) ||
               (want->boundary != 0 &&
                (!power_of_two(want->boundary) || want->boundary < QUIRE_FRAME_SIZE));
    if (too_long || odd) {
        return (too_long ? SIZE : 0) | (odd ? ALIGN : 0);
    }
    uint64_t pfn;
    if (expect_above_floor(m, flags) >= want->frames && model_lowest(m, want, &pfn)) {
        return OK;
    }
    return NO_MEMORY;
}

uint32_t expect_at(const struct model *m, uint64_t pfn, unsigned order, uint32_t flags)
{
    if (order > QUIRE_MAX_ORDER) {
        return SIZE;
    }
    uint64_t frames = UINT64_C(1) << order;
    uint32_t wrong = pfn % frames != 0 ? ALIGN : 0;
    size_t at = model_place(m, pfn, frames);
    if (at == MODEL_NOWHERE) {
        return wrong | FRAME;
    }
    struct model_tally t = model_tally_of(m, at, frames);
    wrong |= t.of[QUIRE_FRAME_RESERVED] + t.of[QUIRE_FRAME_HOLE] != 0 ? FRAME : 0;
    wrong |= t.of[QUIRE_FRAME_USED] + t.of[QUIRE_FRAME_INSIDE] != 0 ? BUSY : 0;
    wrong |= expect_above_floor(m, flags) < frames ? NO_MEMORY : 0;
    return wrong != 0 ? wrong : OK;
}

/* ---- Reserving --------------------------------------------------------------------------- */

/* A pin may be missing only if more blocks were split by reservations than pins were configured;
 * since pins may come back in ways that zone.h leaves open, success is then allowed as well. */
static uint32_t with_pins(const struct model *m, size_t at, uint64_t frames)
{
    return model_pins_needed(m, at, frames) > m->spare_pins ? OK | FULL : OK;
}

uint32_t expect_reserve(const struct model *m, uint64_t pfn, uint64_t frames)
{
    if (frames == 0) {
        return SIZE;
    }
    size_t at = model_place(m, pfn, frames);
    if (at == MODEL_NOWHERE) {
        return FRAME | (model_place(m, pfn, 1) == MODEL_NOWHERE ? 0 : BUSY);
    }
    struct model_tally t = model_tally_of(m, at, frames);
    uint32_t wrong = t.of[QUIRE_FRAME_RESERVED] + t.of[QUIRE_FRAME_HOLE] != 0 ? FRAME : 0;
    wrong |= t.of[QUIRE_FRAME_USED] + t.of[QUIRE_FRAME_INSIDE] != 0 ? BUSY : 0;
    return wrong != 0 ? wrong | (with_pins(m, at, frames) & FULL) : with_pins(m, at, frames);
}

uint32_t expect_unreserve(const struct model *m, uint64_t pfn, uint64_t frames)
{
    if (frames == 0) {
        return SIZE;
    }
    size_t at = model_place(m, pfn, frames);
    bool all =
        at != MODEL_NOWHERE && model_tally_of(m, at, frames).of[QUIRE_FRAME_RESERVED] == frames;
    return all ? with_pins(m, at, frames) : FRAME;
}

/* ---- Freeing ----------------------------------------------------------------------------- */

/* What is wrong with freeing the frames as one run; 0 if nothing is. */
static uint32_t wrong_run(const struct model *m, uint64_t pfn, uint64_t frames)
{
    size_t at = model_place(m, pfn, frames);
    if (at == MODEL_NOWHERE) {
        at = model_place(m, pfn, 1);
        if (at == MODEL_NOWHERE) {
            return FRAME;
        }
        /* Out of the zone at the end, and whatever is wrong before that. */
        return FRAME | (m->state[at] == QUIRE_FRAME_FREE ? DOUBLE_FREE : ORDER);
    }
    struct model_tally t = model_tally_of(m, at, frames);
    uint64_t used = t.of[QUIRE_FRAME_USED] + t.of[QUIRE_FRAME_INSIDE];
    uint32_t wrong = t.of[QUIRE_FRAME_RESERVED] + t.of[QUIRE_FRAME_HOLE] != 0 ? FRAME : 0;
    wrong |= t.of[QUIRE_FRAME_FREE] != 0 ? DOUBLE_FREE : 0;
    bool exact = m->state[at] == QUIRE_FRAME_USED && m->length[at] == frames;
    bool singles = !m->run_map && t.of[QUIRE_FRAME_USED] == frames;
    bool cut = m->length[at + frames - 1] > 1;
    return wrong | (used != 0 && !exact && (!singles || cut) ? ORDER : 0);
}

uint32_t expect_free(const struct model *m, uint64_t pfn, unsigned order)
{
    if (order > QUIRE_MAX_ORDER) {
        return SIZE;
    }
    uint64_t frames = UINT64_C(1) << order;
    uint32_t wrong = wrong_run(m, pfn, frames) | (pfn % frames != 0 ? ALIGN : 0);
    if (wrong != 0) {
        return wrong;
    }
    /* A zone without run map may or may not see that 512 single frames are no run of order 9. */
    size_t at = model_place(m, pfn, frames);
    return order >= MODEL_BLOCK_ORDER && m->length[at] == 1 ? OK | ORDER : OK;
}

uint32_t expect_free_contig(const struct model *m, uint64_t pfn, uint64_t frames)
{
    if (frames == 0 || frames > UINT64_C(1) << QUIRE_PFN_BITS) {
        return SIZE | FRAME | ORDER | DOUBLE_FREE;
    }
    uint32_t wrong = wrong_run(m, pfn, frames);
    return wrong != 0 ? wrong : OK;
}

uint32_t expect_free_any(const struct model *m, uint64_t pfn)
{
    size_t at = model_place(m, pfn, 1);
    if (at == MODEL_NOWHERE) {
        return FRAME;
    }
    switch (m->state[at]) {
    case QUIRE_FRAME_FREE:
        return DOUBLE_FREE | (m->run_map ? 0 : UNSUPPORTED);
    case QUIRE_FRAME_INSIDE:
        return ORDER;
    case QUIRE_FRAME_USED:
        return m->run_map || m->length[at] > 1 ? OK : UNSUPPORTED;
    default:
        return FRAME | (m->run_map ? 0 : UNSUPPORTED);
    }
}

uint32_t expect_join(const struct model *m, uint64_t pfn)
{
    uint32_t wrong = pfn % BLOCK != 0 ? ALIGN : 0;
    size_t at = model_place(m, pfn, BLOCK);
    if (at == MODEL_NOWHERE) {
        return wrong | FRAME;
    }
    struct model_tally t = model_tally_of(m, at, BLOCK);
    uint64_t runs = t.of[QUIRE_FRAME_INSIDE];
    runs += m->length[at + BLOCK - 1] > 1 ? 1 : 0;
    wrong |= t.of[QUIRE_FRAME_FREE] != 0 ? DOUBLE_FREE : 0;
    wrong |= runs != 0 ? ORDER : 0;
    wrong |= t.of[QUIRE_FRAME_RESERVED] + t.of[QUIRE_FRAME_HOLE] != 0 ? FRAME : 0;
    return wrong != 0 ? wrong : OK;
}

/* ---- Words ------------------------------------------------------------------------------- */

const char *expect_name(int result)
{
    static const char *const names[QUIRE_ERRORS] = {
        "OK",         "ERR_NO_MEMORY", "ERR_SIZE",        "ERR_ALIGN",
        "ERR_NODE",   "ERR_ZONE",      "ERR_FRAME",       "ERR_DOUBLE_FREE",
        "ERR_ORDER",  "ERR_BUSY",      "ERR_INITIALISED", "ERR_UNSUPPORTED",
        "ERR_FULL",   "ERR_STATE",     "ERR_DAMAGED",     "ERR_ADDRESS",
        "ERR_MAPPED", "ERR_UNMAPPED",  "ERR_LARGE",       "ERR_AREA",
        "ERR_ACCESS", "ERR_LIMIT",     "ERR_END",         "ERR_PAGER"};
    return result <= 0 && result > -QUIRE_ERRORS ? names[-result] : "no result of quire_error";
}

const char *expect_text(uint32_t set)
{
    static char text[160];
    text[0] = '\0';
    for (int e = 0; e < QUIRE_ERRORS; e++) {
        if (set & 1u << e) {
            size_t n = strlen(text);
            (void)snprintf(text + n, sizeof text - n, "%s%s", n != 0 ? " or " : "",
                           expect_name(-e));
        }
    }
    return text;
}
