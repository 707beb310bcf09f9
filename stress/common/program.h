/* SPDX-License-Identifier: MIT
 *
 * program.h - runs the program `quire` as a shell would, and keeps what it said. PROGRAM, from the
 * build, is its path.
 */
#ifndef QUIRE_STRESS_COMMON_PROGRAM_H
#define QUIRE_STRESS_COMMON_PROGRAM_H

enum { PROGRAM_TEXT = 1 << 20 };

struct program {
    int status; /* exit status; 256 + the signal if one ended it */
    char out[PROGRAM_TEXT], error[PROGRAM_TEXT];
    const char *device; /* where its output goes; NULL: to `out` */
    const char *input;  /* the file that is its standard input; NULL: the caller's */
};

/* Run the program with the arguments args[0] .. up to NULL. Fails the test if it cannot be
 * started or says more than fits. */
void program_run(struct program *program, const char *const args[]);
#define PROGRAM_RUN(program, ...) program_run(program, (const char *const[]){__VA_ARGS__, NULL})

#endif /* QUIRE_STRESS_COMMON_PROGRAM_H */
