/* SPDX-License-Identifier: MIT
 *
 * trial.h - runs a sequence of operations in a process of its own, so that a crash or a hang is a
 * result like any other, and makes a failing sequence short.
 */
#ifndef QUIRE_STRESS_CORE_PROPERTY_TRIAL_H
#define QUIRE_STRESS_CORE_PROPERTY_TRIAL_H

#include "op.h"
#include "shape.h"

enum { TRIAL_WHY = 400 };

struct trial {
    const struct shape *shape;
    struct op *ops;
    size_t n;
    char why[TRIAL_WHY]; /* of the last run that failed */
    size_t failed;       /* operations that had begun by then */
};

/* True: nothing was wrong. */
bool trial_run(struct trial *t);
/* Leave out operations and lower numbers as long as the trial still fails. */
void trial_shrink(struct trial *t);
/* As text that trial_read takes back. */
void trial_print(const struct trial *t, FILE *to);
/* False: not a trial; `why` says what is wrong. Otherwise t->ops is the caller's to free. */
bool trial_read(struct trial *t, const char *path);

#endif /* QUIRE_STRESS_CORE_PROPERTY_TRIAL_H */
