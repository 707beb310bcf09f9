/* SPDX-License-Identifier: MIT
 *
 * test_share.c - arenas that other processes map: they see the same bytes, what is given back is
 * gone for them, and nothing that they write is taken for zeros. The other process is this program,
 * started anew with the owner's process id, the descriptor, the offset and what it is to do.
 */
#include "host_fixture.h"
#include "stress/common/sanitized.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RUN = 8 * 4096 };

/* ---- The other process ----------------------------------------------------------------------- */

static int other_process(char **argv)
{
    off_t offset = strtoll(argv[3], NULL, 0);
    char path[64];
    unsigned char *memory;
    void *mapped;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%s/fd/%s", argv[1], argv[2]);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return 2;
    mapped = mmap(NULL, RUN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
    close(fd);
    if (mapped == MAP_FAILED)
        return 3;
    memory = mapped;
    for (size_t i = 0; i < RUN; i++)
        if (memory[i] != (unsigned char)(i % 251))
            return 4;
    memset(memory, 0x5a, RUN);
    return 0;
}

/* What it says. */
static int run_other(int fd, uint64_t offset)
{
    char self[] = "test_share", pid[32], descriptor[32], at[32];
    char *const argv[] = {self, pid, descriptor, at, NULL};
    char *const environment[] = {NULL};
    int status;
    pid_t child;

    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    (void)snprintf(descriptor, sizeof(descriptor), "%d", fd);
    (void)snprintf(at, sizeof(at), "%llu", (unsigned long long)offset);
    child = fork();
    if (child == 0) {
        (void)execve("/proc/self/exe", argv, environment);
        _exit(100);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* ---- The owner ------------------------------------------------------------------------------- */

static struct quire_host *shared_host(uint64_t bytes, struct quire_host_arena *arena)
{
    const struct quire_host_options options = {.node_bytes = &bytes,
                                               .node_bytes_count = 1,
                                               .keep_nothing = true,
                                               .give_back_after = QUIRE_HOST_NEVER,
                                               .share_name = "guest memory"};
    struct quire_host *host;
    int error = quire_host_create(&options, &host);

    if (error)
        fail_msg("no shared host: %s, %s", quire_strerror(error), strerror(errno));
    assert_int_equal(quire_host_arena(host, 0, arena), QUIRE_OK);
    assert_true(arena->fd >= 0);
    return host;
}

/* Bytes of memory that the file has. */
static uint64_t file_bytes(int fd)
{
    struct stat stat;

    assert_int_equal(fstat(fd, &stat), 0);
    return (uint64_t)stat.st_blocks * 512;
}

static void same_bytes(void **state)
{
    struct quire_host_arena arena;
    struct quire_host *host = shared_host(16 * MIB, &arena);
    unsigned char *memory;
    uint64_t offset;
    quire_pfn pfn;
    void *got;
    int fd;

    (void)state;
    assert_int_equal(quire_host_alloc(host, 9, 0, &got), QUIRE_OK); /* not at the beginning */
    assert_int_equal(quire_host_alloc(host, 3, 0, &got), QUIRE_OK);
    memory = got;
    for (size_t i = 0; i < RUN; i++)
        memory[i] = (unsigned char)(i % 251);
    assert_int_equal(quire_host_pfn(host, memory, &pfn), QUIRE_OK);
    assert_int_equal(quire_host_file(host, pfn, &fd, &offset), QUIRE_OK);
    assert_int_equal(fd, arena.fd);
    assert_int_equal(offset, (uintptr_t)memory - (uintptr_t)arena.memory);
    assert_int_equal(run_other(fd, offset), 0);
    for (size_t i = 0; i < RUN; i++)
        assert_int_equal(memory[i], 0x5a);
    assert_int_equal(run_other(fd, offset), 4); /* it sees what it wrote itself */
    assert_int_equal(quire_host_discard(host, memory + 4096, 2), QUIRE_OK);
    assert_int_equal(file_bytes(fd), RUN - 2 * 4096); /* to read there takes pages again */
    for (size_t i = 0; i < RUN; i++)
        assert_int_equal(memory[i], i / 4096 == 1 || i / 4096 == 2 ? 0 : 0x5a);
    quire_host_destroy(host);
}

/* By holes in the file: whoever has it mapped, the memory is the system's again. */
static void given_back(void **state)
{
    enum { PAGES = 4096 };
    static void *pages[PAGES];
    struct quire_host_arena arena;
    struct quire_host *host = shared_host(16 * MIB, &arena);
    unsigned char *other = mmap(NULL, arena.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, arena.fd, 0);
    uint64_t bytes;

    (void)state;
    assert_ptr_not_equal(other, MAP_FAILED);
    for (size_t i = 0; i < PAGES; i++) {
        assert_int_equal(quire_host_alloc(host, 0, 0, &pages[i]), QUIRE_OK);
        memset(pages[i], 0xa5, QUIRE_FRAME_SIZE);
    }
    assert_int_equal(file_bytes(arena.fd), 16 * MIB);
    for (size_t i = 0; i < PAGES; i++)
        assert_int_equal(quire_host_free(host, pages[i], 0), QUIRE_OK);
    assert_int_equal(quire_host_give_back(host, 4 * MIB, &bytes), QUIRE_OK);
    assert_int_equal(bytes, 12 * MIB);
    assert_int_equal(file_bytes(arena.fd), 4 * MIB);
    assert_int_equal(quire_host_give_back(host, 0, &bytes), QUIRE_OK);
    assert_int_equal(bytes, 4 * MIB);
    assert_int_equal(file_bytes(arena.fd), 0);
    for (size_t i = 0; i < arena.bytes; i += QUIRE_FRAME_SIZE)
        assert_int_equal(other[i], 0);
    munmap(other, arena.bytes);
    quire_host_destroy(host);
}

/* Free memory that another process writes into is zeroed nevertheless, when that is asked for: as
 * it came, and after it was gone. */
static void not_taken_for_zeros(void **state)
{
    enum { BLOCKS = 8 };
    struct quire_host_arena arena;
    struct quire_host *host = shared_host(16 * MIB, &arena);
    unsigned char *other = mmap(NULL, arena.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, arena.fd, 0);
    void *blocks[BLOCKS];
    uint64_t bytes;

    (void)state;
    assert_ptr_not_equal(other, MAP_FAILED);
    for (unsigned round = 0; round < 2; round++) {
        memset(other, 0xff, arena.bytes);
        for (unsigned i = 0; i < BLOCKS; i++) {
            const unsigned char *memory;

            assert_int_equal(quire_host_alloc(host, 9, QUIRE_ZEROED, &blocks[i]), QUIRE_OK);
            memory = blocks[i];
            for (size_t at = 0; at < 2 * MIB; at += 512)
                assert_int_equal(memory[at], 0);
        }
        for (unsigned i = 0; i < BLOCKS; i++)
            assert_int_equal(quire_host_free(host, blocks[i], 9), QUIRE_OK);
        assert_int_equal(quire_host_give_back(host, 0, &bytes), QUIRE_OK);
        assert_int_equal(bytes, 16 * MIB);
    }
    munmap(other, arena.bytes);
    quire_host_destroy(host);
}

/* Nor is it when all is given back and a page beside it is used: that memory stays. */
static void not_taken_beside_used(void **state)
{
    struct quire_host_arena arena;
    struct quire_host *host = shared_host(4 * MIB, &arena);
    unsigned char *other = mmap(NULL, arena.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, arena.fd, 0);
    unsigned char *memory;
    void *page;
    uint64_t bytes;

    (void)state;
    assert_ptr_not_equal(other, MAP_FAILED);
    assert_int_equal(quire_host_alloc(host, 0, 0, &page), QUIRE_OK);
    assert_int_equal(quire_host_give_back(host, 0, &bytes), QUIRE_OK);
    assert_int_equal(bytes, 2 * MIB);
    memset(other, 0xff, arena.bytes);
    for (unsigned i = 0; i < 511; i++) {
        assert_int_equal(quire_host_alloc(host, 0, QUIRE_ZEROED, &page), QUIRE_OK);
        memory = page;
        for (size_t at = 0; at < QUIRE_FRAME_SIZE; at += 512)
            assert_int_equal(memory[at], 0);
    }
    munmap(other, arena.bytes);
    quire_host_destroy(host);
}

/* In the child: 0 if all is well. */
static int live(struct quire_host *host, const struct quire_host_arena *arena)
{
    unsigned char resident[4096], *memory;
    void *mapped;

    if (mincore(arena->memory, arena->bytes, resident) == 0 || errno != ENOMEM)
        return 1; /* it would not be a copy */
    mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, arena->fd, 0);
    if (mapped == MAP_FAILED)
        return 2;
    memory = mapped;
    if (memcmp(memory, "from the parent", 16) != 0)
        return 3;
    memcpy(memory, "from the child", 15);
    /* Something of the child's own where the arena is in the parent: it stays. */
    memory = mmap(arena->memory, 4096, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (memory != arena->memory)
        return 4;
    quire_host_destroy(host);
    memory[0] = 1;
    return 0;
}

static void child_of_fork(void **state)
{
    struct quire_host_arena arena;
    struct quire_host *host = shared_host(16 * MIB, &arena);
    void *page;
    pid_t child;
    int status;

    (void)state;
    assert_int_equal(quire_host_alloc(host, 0, 0, &page), QUIRE_OK);
    memcpy(arena.memory, "from the parent", 16); /* nobody else uses it */
    child = fork();
    if (child == 0)
        _exit(live(host, &arena));
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_memory_equal(arena.memory, "from the child", 15);
    memset(page, 1, QUIRE_FRAME_SIZE);
    assert_int_equal(quire_host_free(host, page, 0), QUIRE_OK);
    quire_host_destroy(host);
}

/* The name shows, the file cannot be cut short, and a program that is started does not have it. */
static void names_and_seals(void **state)
{
    struct quire_host_arena arena;
    struct quire_host *host = shared_host(4 * MIB, &arena);
    char path[64], name[128] = "";
    struct stat stat;

    (void)state;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", arena.fd);
    assert_true(readlink(path, name, sizeof(name) - 1) > 0);
    assert_non_null(strstr(name, "memfd:guest memory.0"));
    assert_int_equal(fstat(arena.fd, &stat), 0);
    assert_int_equal(stat.st_size, 4 * MIB);
    assert_int_equal(ftruncate(arena.fd, 4096), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(ftruncate(arena.fd, 8 * MIB), -1);
    assert_int_equal(errno, EPERM);
    assert_true(fcntl(arena.fd, F_GETFD) & FD_CLOEXEC);
    quire_host_destroy(host);
}

static void refusals(void **state)
{
    static char too_long[QUIRE_HOST_NAME + 2];
    struct quire_fault fault;
    struct quire_host_options options = {.bytes = 4 * MIB, .fault = &fault};
    struct quire_host *host = host_of(4 * MIB);
    struct quire_host_arena arena;
    struct rlimit files, few;
    uint64_t offset = 7;
    quire_pfn pfn;
    int fd = 7, lowest;

    (void)state;
    assert_int_equal(quire_host_arena(host, 0, &arena), QUIRE_OK);
    assert_int_equal(arena.fd, -1);
    assert_int_equal(quire_host_pfn(host, arena.memory, &pfn), QUIRE_OK);
    assert_int_equal(quire_host_file(host, pfn, &fd, &offset), QUIRE_ERR_UNSUPPORTED);
    assert_int_equal(quire_host_file(host, quire_pfn_of(1), &fd, &offset), QUIRE_ERR_FRAME);
    assert_int_equal(fd, 7);
    assert_int_equal(offset, 7);
    quire_host_destroy(host);
    memset(too_long, 'a', QUIRE_HOST_NAME + 1);
    options.share_name = too_long;
    assert_int_equal(quire_host_create(&options, &host), QUIRE_ERR_SIZE);
    assert_string_equal(fault.what, "share_name is empty or too long");
    assert_int_equal(fault.found, QUIRE_HOST_NAME + 1);
    assert_int_equal(fault.expected, QUIRE_HOST_NAME);
    options.share_name = "";
    assert_int_equal(quire_host_create(&options, &host), QUIRE_ERR_SIZE);
    too_long[QUIRE_HOST_NAME] = '\0'; /* not any more */
    options.share_name = too_long;
    assert_int_equal(quire_host_create(&options, &host), QUIRE_OK);
    quire_host_destroy(host);
    /* A file of that size is not to be had, and nothing is left of it. */
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &files), 0);
    few = (struct rlimit){1 * MIB, files.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    lowest = dup(0);
    assert_true(lowest >= 0);
    close(lowest);
    assert_int_equal(quire_host_create(&options, &host), QUIRE_ERR_NO_MEMORY);
    assert_int_equal(errno, EFBIG);
    assert_int_equal(dup(0), lowest);
    close(lowest);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &files), 0);
    /* Of the pool, if it has pages. */
    options.pages = QUIRE_HOST_PAGES_HUGE;
    if (quire_host_create(&options, &host) == QUIRE_OK) {
        assert_int_equal(quire_host_arena(host, 0, &arena), QUIRE_OK);
        assert_int_equal(file_bytes(arena.fd), 4 * MIB);
        quire_host_destroy(host);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bytes),
        cmocka_unit_test(given_back),
        cmocka_unit_test(not_taken_for_zeros),
        cmocka_unit_test(not_taken_beside_used),
        cmocka_unit_test(child_of_fork),
        cmocka_unit_test(names_and_seals),
        cmocka_unit_test(refusals),
    };

    if (argc == 4)
        return other_process(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
