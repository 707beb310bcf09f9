/* SPDX-License-Identifier: MIT
 *
 * ops.c - libFuzzer target: sequences of operations on a small zone, compared with the naive model
 * of stress/core/property after every step.
 *
 * The input is a stream of numbers, little-endian, as many bytes each as its bound needs: first the
 * zone, then whatever op_draw asks for. So every input is a valid sequence, and a changed byte
 * changes few arguments. A wrong answer prints the sequence as text for `property --replay` and
 * aborts.
 */
#include "stress/core/property/runner/runner.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST = 400 }; /* operations in one input */

struct bytes {
    struct source source;
    const uint8_t *next;
    size_t left;
};

static uint64_t take_number(struct source *source, uint64_t bound)
{
    struct bytes *b = (struct bytes *)source;
    uint64_t n = 0;
    unsigned size = bound <= 256 ? 1 : bound <= 65536 ? 2 : 5;
    for (unsigned i = 0; i < size && b->left > 0; i++, b->left--) {
        n |= (uint64_t)*b->next++ << 8 * i;
    }
    return n % bound;
}

/* The small zones only: on large ones comparing takes longer than fuzzing. */
static const struct shape *draw_shape(struct bytes *b)
{
    size_t small[16];
    size_t n = 0;
    for (size_t i = 0; i < shape_count && n < 16; i++) {
        if (!shapes[i].large) {
            small[n++] = i;
        }
    }
    if (n == 0) {
        abort(); /* there are small ones */
    }
    return &shapes[small[take_number(&b->source, n)]];
}

static void report(const struct runner *r, const struct op *ops, size_t n)
{
    char text[OP_TEXT];
    (void)fprintf(stderr, "shape %s\n", r->shape->name);
    for (size_t i = 0; i < n; i++) {
        op_print(&ops[i], text);
        (void)fprintf(stderr, "%s\n", text);
    }
    (void)fprintf(stderr, "# %s\n", r->why);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct op ops[MOST];
    struct bytes b = {.source = {.below = take_number}, .next = data, .left = size};
    struct runner r;
    size_t n = 0;
    bool right = runner_open(&r, draw_shape(&b));
    struct op_limits limits = {.frames = r.model.frames, .slots = r.model.slots};
    r.stepwise = false; /* many inputs are worth more */
    while (right && b.left > 0 && n < MOST) {
        ops[n] = op_draw(&b.source, &limits);
        right = runner_step(&r, &ops[n++]);
    }
    if (!right || !runner_compare(&r) || !runner_finish(&r)) {
        report(&r, ops, n);
    }
    runner_close(&r);
    return 0;
}
