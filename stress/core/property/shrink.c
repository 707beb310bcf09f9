/* SPDX-License-Identifier: MIT
 *
 * shrink.c - makes a failing sequence of operations minimal: no single operation can be left out
 * and no number be lowered by the steps tried here without losing the failure. See trial.h.
 */
#include "trial.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TRIALS = 6000, SECONDS = 120 }; /* and then it is short enough */

struct shrinking {
    char wrong[TRIAL_WHY]; /* with what the first failure began, up to its first number */
    struct trial *best;
    struct trial next;
    unsigned left;
    time_t end;
};

/* Is `next` the same failure, as far as one can tell? Then it is the best. */
static bool accept(struct shrinking *s)
{
    if (s->left == 0 || time(NULL) > s->end) {
        return false;
    }
    s->left--;
    if (trial_run(&s->next) || strncmp(s->next.why, s->wrong, strlen(s->wrong)) != 0) {
        return false;
    }
    s->next.n = s->next.failed;
    memcpy(s->best->ops, s->next.ops, s->next.n * sizeof *s->next.ops);
    s->best->n = s->next.n;
    s->best->failed = s->next.failed;
    memcpy(s->best->why, s->next.why, sizeof s->next.why);
    return true;
}

static void copy_best(struct shrinking *s)
{
    memcpy(s->next.ops, s->best->ops, s->best->n * sizeof *s->best->ops);
    s->next.n = s->best->n;
}

static bool try_without(struct shrinking *s, size_t first, size_t n)
{
    copy_best(s);
    memmove(s->next.ops + first, s->next.ops + first + n,
            (s->next.n - first - n) * sizeof *s->next.ops);
    s->next.n -= n;
    return accept(s);
}

static bool leave_out(struct shrinking *s)
{
    bool shorter = false;
    for (size_t chunk = s->best->n; chunk > 0; chunk /= 2) {
        for (size_t first = 0; first + chunk <= s->best->n;) {
            if (try_without(s, first, chunk)) {
                shorter = true;
            } else {
                first += chunk;
            }
        }
    }
    return shorter;
}

/* Lower one number, by as much as can be. */
static bool lower(struct shrinking *s, size_t op, uint64_t *number)
{
    uint64_t old = *number;
    const uint64_t tries[] = {0, 1, old / 2, old - old % 512, old - old % 64, old - 1};
    for (size_t i = 0; old != 0 && i < sizeof tries / sizeof tries[0]; i++) {
        *number = tries[i];
        if (tries[i] < old && accept(s)) {
            return op < s->best->n;
        }
    }
    *number = old;
    return false;
}

static bool lower_all(struct shrinking *s)
{
    bool lowered = false;
    for (size_t i = 0; i < s->best->n; i++) {
        for (int a = 0; a < OP_ARGUMENTS && i < s->best->n; a++) {
            copy_best(s);
            lowered |= lower(s, i, &s->next.ops[i].arg[a]);
        }
        if (i >= s->best->n) {
            break;
        }
        copy_best(s);
        uint64_t slot = s->next.ops[i].slot;
        s->next.ops[i].slot = 0;
        lowered |= slot != 0 && accept(s);
        copy_best(s);
        for (uint32_t flag = 1; flag != 0 && i < s->best->n; flag <<= 1) {
            if (s->best->ops[i].flags & flag) {
                copy_best(s);
                s->next.ops[i].flags &= ~flag;
                lowered |= accept(s);
            }
        }
    }
    return lowered;
}

void trial_shrink(struct trial *t)
{
    t->n = t->failed;
    struct shrinking s = {.best = t, .next = *t, .left = TRIALS, .end = time(NULL) + SECONDS};
    s.next.ops = malloc(t->n * sizeof *t->ops);
    if (s.next.ops == NULL) {
        return;
    }
    memcpy(s.wrong, t->why, strcspn(t->why, "0123456789"));
    bool better = true;
    while (better && s.left > 0) {
        better = leave_out(&s);
        better |= lower_all(&s);
    }
    free(s.next.ops);
}
