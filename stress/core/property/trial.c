/* SPDX-License-Identifier: MIT
 *
 * trial.c - a sequence of operations in a process of its own. See trial.h.
 */
#include "trial.h"

#include "runner.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    COMPARE_EVERY = 25, /* operations */
    PATIENCE = 60,      /* seconds for one sequence, sanitizers and busy machines included */
};

/* What the child tells. */
struct verdict {
    volatile size_t steps;
    char why[RUNNER_WHY];
};

static bool run_here(const struct trial *t, struct verdict *v)
{
    struct runner r;
    bool right = runner_open(&r, t->shape) && runner_compare(&r);
    for (size_t i = 0; right && i < t->n; i++) {
        v->steps = i + 1;
        right = runner_step(&r, &t->ops[i]) && (i % COMPARE_EVERY != 0 || runner_compare(&r));
    }
    right = right && runner_compare(&r);
    v->steps = right ? t->n + 1 : v->steps;
    right = right && runner_finish(&r);
    (void)snprintf(v->why, sizeof v->why, "%s", r.why);
    if (r.model.state != NULL) {
        runner_close(&r);
    }
    return right;
}

bool trial_run(struct trial *t)
{
    struct verdict *v =
        mmap(NULL, sizeof *v, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    (void)fflush(stdout); /* or the child prints it too */
    pid_t child = v == MAP_FAILED ? -1 : fork();
    if (child < 0) {
        perror("property: cannot start a process");
        exit(2);
    }
    if (child == 0) {
        (void)alarm(PATIENCE);
        _exit(run_here(t, v) ? 0 : 1);
    }
    int status = 0;
    (void)waitpid(child, &status, 0);
    bool right = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!right) {
        t->failed = v->steps < t->n ? v->steps : t->n;
        if (WIFSIGNALED(status)) {
            (void)snprintf(t->why, sizeof t->why, "killed: %s", strsignal(WTERMSIG(status)));
        } else {
            (void)snprintf(t->why, sizeof t->why, "%s%s", v->why,
                           v->steps > t->n ? " (at the end, when all is freed)" : "");
        }
    }
    (void)munmap(v, sizeof *v);
    return right;
}

/* ---- Text -------------------------------------------------------------------------------- */

void trial_print(const struct trial *t, FILE *to)
{
    char text[OP_TEXT];
    (void)fprintf(to, "shape %s\n", t->shape->name);
    for (size_t i = 0; i < t->n; i++) {
        op_print(&t->ops[i], text);
        (void)fprintf(to, "%s\n", text);
    }
    (void)fprintf(to, "# %s\n", t->why);
}

static bool read_line(struct trial *t, char *line)
{
    line[strcspn(line, "\n")] = '\0';
    if (line[0] == '#' || line[0] == '\0') {
        return true;
    }
    if (strncmp(line, "shape ", 6) == 0) {
        t->shape = shape_named(line + 6);
        return t->shape != NULL;
    }
    return t->shape != NULL && op_parse(line, &t->ops[t->n++]);
}

bool trial_read(struct trial *t, const char *path)
{
    char line[OP_TEXT];
    size_t room = 0;
    size_t number = 0;
    *t = (struct trial){.shape = NULL};
    FILE *from = fopen(path, "r");
    bool right = from != NULL;
    while (right && fgets(line, sizeof line, from) != NULL) {
        if (t->n == room) {
            room = room * 2 + 64;
            t->ops = realloc(t->ops, room * sizeof *t->ops);
        }
        number++;
        right = t->ops != NULL && read_line(t, line);
    }
    if (!right || t->shape == NULL) {
        (void)snprintf(t->why, sizeof t->why, "%s:%zu: neither a shape nor an operation", path,
                       number);
        right = false;
    }
    if (from != NULL) {
        (void)fclose(from);
    }
    return right;
}
