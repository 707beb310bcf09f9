/* SPDX-License-Identifier: MIT
 *
 * program.c - runs the program `quire` (see program.h). Its output goes to unnamed temporary files,
 * so that neither stream can block the other.
 */
#include "program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_ARGS = 16 };

static void slurp(FILE *file, char *text)
{
    rewind(file);
    size_t got = fread(text, 1, PROGRAM_TEXT, file);
    assert_true(got < PROGRAM_TEXT);
    text[got] = '\0';
    fclose(file);
}

void program_run(struct program *program, const char *const args[])
{
    FILE *out = tmpfile(), *error = tmpfile();
    const char *argv[MAX_ARGS + 2] = {PROGRAM};
    int status;

    assert_non_null(out);
    assert_non_null(error);
    for (size_t i = 0; args[i]; i++) {
        assert_true(i < MAX_ARGS);
        argv[i + 1] = args[i];
    }
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(program->device ? open(program->device, O_WRONLY) : fileno(out), STDOUT_FILENO);
        dup2(fileno(error), STDERR_FILENO);
        if (program->input)
            dup2(open(program->input, O_RDONLY), STDIN_FILENO);
        execv(PROGRAM, (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    program->status = WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
    slurp(out, program->out);
    slurp(error, program->error);
}
