/* SPDX-License-Identifier: MIT
 *
 * large.c - large objects and stacks of a kernel: areas between two guards.
 *
 * Each object has both its guards, though a neighbour's would do: neighbours of one access are one
 * area, so what lies between two objects has to be there as long as either is, and nobody counts
 * it. A guard costs an address and an entry, no frame. One call at a time, as its calls of spaces.
 */
#include <quire/space.h>

enum { GUARD_BYTES = QUIRE_FRAME_SIZE };

/* With its guards. */
static struct quire_vrange with_guards(quire_vaddr at, uint64_t bytes)
{
    return quire_vrange_of(at.n - GUARD_BYTES, bytes + 2 * (uint64_t)GUARD_BYTES);
}

int quire_large_alloc(struct quire_space *space, uint64_t bytes, uint32_t access, quire_vaddr *at)
{
    struct quire_area area = {.range = {{0}, 0}, .kind = QUIRE_AREA_GUARD};
    uint64_t page = QUIRE_FRAME_SIZE;
    quire_vaddr start;
    int error;

    if (bytes == 0 || bytes > UINT64_MAX - 4 * page)
        return QUIRE_ERR_SIZE;
    bytes = (bytes + page - 1) & ~(page - 1);
    area.range = quire_vrange_of(0, bytes + 2 * page);
    error = quire_space_reserve(space, &area, QUIRE_RESERVE_ANYWHERE, &start);
    if (error)
        return error;
    start.n += GUARD_BYTES;
    error = quire_space_protect(space, quire_vrange_of(start.n, bytes), access);
    if (!error)
        error = quire_space_advise(space, quire_vrange_of(start.n, bytes), QUIRE_ADVISE_POPULATE);
    if (error)
        (void)quire_space_unmap(space, with_guards(start, bytes));
    else
        *at = start;
    return error;
}

/* The first two areas from the page below on. */
struct two_areas {
    struct quire_area area[2];
    unsigned count;
};

static int area_note(void *ctx, const struct quire_area *area)
{
    struct two_areas *found = (struct two_areas *)ctx;

    found->area[found->count++] = *area;
    return found->count == 2;
}

int quire_large_bytes(struct quire_space *space, quire_vaddr at, uint64_t *bytes)
{
    struct quire_vrange whole = space->config.range;
    struct two_areas found = {.count = 0};
    uint64_t below = at.n - GUARD_BYTES, first = below - whole.start.n;
    int error;

    if (first >= whole.bytes || at.n < GUARD_BYTES)
        return QUIRE_ERR_AREA;
    if (at.n % QUIRE_FRAME_SIZE)
        return QUIRE_ERR_ALIGN;
    error = quire_space_list(space, quire_vrange_of(below, whole.bytes - first), area_note, &found);
    if (error < 0)
        return error;
    if (found.count > 0 && found.area[0].kind == QUIRE_AREA_ANONYMOUS &&
        found.area[0].range.start.n <= at.n &&
        at.n - found.area[0].range.start.n < found.area[0].range.bytes)
        return QUIRE_ERR_ALIGN;
    if (found.count < 2 || found.area[0].kind != QUIRE_AREA_GUARD ||
        found.area[0].range.start.n != below || found.area[0].range.bytes != GUARD_BYTES ||
        found.area[1].kind != QUIRE_AREA_ANONYMOUS || found.area[1].range.start.n != at.n)
        return QUIRE_ERR_AREA;
    *bytes = found.area[1].range.bytes;
    return 0;
}

int quire_large_free(struct quire_space *space, quire_vaddr at)
{
    uint64_t bytes;
    int error = quire_large_bytes(space, at, &bytes);

    return error ? error : quire_space_unmap(space, with_guards(at, bytes));
}
