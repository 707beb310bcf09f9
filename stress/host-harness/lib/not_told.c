/* SPDX-License-Identifier: MIT
 *
 * not_told.c - runs the example guest_memory (its only argument) where the kernel refuses to tell
 * where pages lie: it must say so, and not that all of them are there. A filter refuses move_pages.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NO_FILTERS = 99 };

static int refuse_move_pages(void)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_move_pages, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog filter = {sizeof(steps) / sizeof(steps[0]), steps};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, 2, &filter);
}

int main(int argc, char **argv)
{
    char line[256];
    unsigned told = 0, wrong = 0;
    int ends[2], status;

    if (argc != 2 || pipe(ends))
        return 2;
    if (fork() == 0) {
        if (refuse_move_pages())
            _exit(NO_FILTERS);
        dup2(ends[1], STDOUT_FILENO);
        execl(argv[1], argv[1], (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *out = fdopen(ends[0], "r");
    while (out && fgets(line, sizeof(line), out)) {
        fputs(line, stdout);
        told += strstr(line, "the kernel does not tell") != NULL;
        wrong += strstr(line, "all of it there") != NULL;
    }
    if (wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == NO_FILTERS) {
        puts("not tried: this system takes no filters");
        return 0;
    }
    return told == 0 || wrong > 0;
}
