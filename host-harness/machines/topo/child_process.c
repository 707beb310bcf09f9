/* SPDX-License-Identifier: MIT
 *
 * child_process.c - hwloc at work in a process of its own.
 *
 * hwloc trusts the files that it is given: damaged ones make it lose memory, and it may well crash
 * or go on for ever. Nothing in a file may do that to this program; so a child reads the file,
 * leaves the topology in memory that both share, and ends. What it has to say on its standard
 * streams is not for our user.
 *
 * State: none between calls. Forks: called before there are other threads.
 */
#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DONE = 0, REFUSED = 3 }; /* exit statuses; others are not ours */
enum { SECONDS = 10 };          /* of CPU time that a child may take */

struct shared {
    struct topo topo;
    struct map_error error;
};

__attribute__((noreturn)) static void child(struct shared *shared, topo_hwloc *read,
                                            const char *text, size_t size)
{
    const struct rlimit limit = {SECONDS, SECONDS};
    int null = open("/dev/null", O_RDWR);

    setrlimit(RLIMIT_CPU, &limit);
    if (null >= 0) {
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
    }
    _exit(read(&shared->topo, text, size, &shared->error) ? REFUSED : DONE);
}

/* Wait for the child, whatever interrupts us. */
static int status_of(pid_t pid)
{
    int status = -1;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int apart(struct topo *topo, topo_hwloc *read, const char *text, size_t size,
                 struct map_error *error)
{
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int result = -1;
    pid_t pid;

    if (shared == MAP_FAILED)
        return topo_fail(error, topo->source, "no memory to read it");
    shared->topo = *topo;
    pid = fork();
    if (pid == 0)
        child(shared, read, text, size);
    switch (pid < 0 ? REFUSED : status_of(pid)) {
    case DONE:
        *topo = shared->topo;
        result = 0;
        break;
    case REFUSED:
        *error = shared->error;
        if (pid < 0)
            topo_fail(error, topo->source, "no process to read it in: %s", strerror(errno));
        break;
    default:
        topo_fail(error, topo->source,
                  "hwloc breaks down on it: expected a file of lstopo --of xml");
        break;
    }
    munmap(shared, sizeof(*shared));
    return result;
}

int topo_read_synthetic(struct topo *topo, const char *text, struct map_error *error)
{
    topo->format = "hwloc synthetic topology";
    return apart(topo, topo_hwloc_synthetic, text, strlen(text), error);
}

int topo_read_xml(struct topo *topo, const char *text, size_t size, struct map_error *error)
{
    topo->format = "hwloc XML";
    return apart(topo, topo_hwloc_xml, text, size, error);
}
