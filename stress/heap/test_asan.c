/* SPDX-License-Identifier: MIT
 *
 * test_asan.c - in a program that is built with AddressSanitizer the use of an object after its
 * free ends the program, with a line that says so: wherever the object lies, in a magazine, a slab
 * or the quarantine, and until the next allocation that has it.
 */
#include "rig.h"
#include "stress/common/assert.h"

#include <sanitizer/asan_interface.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BYTES = 100, MOST = 4096 };

static struct rig rig;

static void *taken_and_freed(size_t bytes)
{
    unsigned char *p = rig_alloc(&rig, bytes);

    memset(p, 7, bytes);
    assert_false(__asan_address_is_poisoned(p) || __asan_address_is_poisoned(p + bytes - 1));
    assert_ok(quire_heap_free(&rig.heap, p));
    return p;
}

/* Read the byte in another process: what that said before it ended, and how it ended. */
static int status_of_reader(const unsigned char *p, char *said, size_t size)
{
    int ends[2], status = 0;
    size_t n = 0;
    ssize_t some;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        _exit(*(const volatile unsigned char *)p & 0);
    }
    (void)close(ends[1]);
    while (n + 1 < size && (some = read(ends[0], said + n, size - 1 - n)) > 0)
        n += (size_t)some;
    said[n] = '\0';
    (void)close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void use_after_free_is_told(void **state)
{
    static char said[MOST];
    unsigned char *p;

    (void)state;
    rig_open(&rig);
    p = taken_and_freed(BYTES);
    assert_true(status_of_reader(p, said, sizeof said) != 0);
    assert_non_null(strstr(said, "AddressSanitizer: use-after-poison"));
    p = rig_alloc(&rig, BYTES);
    assert_int_equal(status_of_reader(p, said, sizeof said), 0);
    assert_ok(quire_heap_free(&rig.heap, p));
    rig_close(&rig);
}

/* All of an object and no byte of others; also of those that no hit served. */
static void all_of_it(void **state)
{
    struct quire_heap_request request = {BYTES, 0, 0, {0}};
    unsigned char *p, *mine;
    void *objects[10];
    size_t usable;

    (void)state;
    rig_open(&rig);
    mine = rig_alloc(&rig, BYTES);
    for (size_t bytes = 1; bytes <= QUIRE_HEAP_SLAB_MOST; bytes += bytes / 3 + 1) {
        p = taken_and_freed(bytes);
        assert_true(__asan_address_is_poisoned(p) && __asan_address_is_poisoned(p + bytes - 1));
    }
    assert_ok(quire_heap_alloc_bulk(&rig.heap, &request, 10, objects));
    for (unsigned i = 0; i < 10; i++) {
        assert_ok(quire_heap_usable(&rig.heap, objects[i], &usable));
        memset(objects[i], 1, usable);
    }
    assert_ok(quire_heap_free_bulk(&rig.heap, objects, 10, NULL));
    for (unsigned i = 0; i < 10; i++)
        assert_true(__asan_address_is_poisoned(objects[i]));
    memset(mine, 1, BYTES);
    assert_ok(quire_heap_free(&rig.heap, mine));
    rig_close(&rig);
}

/* What goes back to the machine is anybody's. */
static void frames_are_allowed(void **state)
{
    unsigned char *p;

    (void)state;
    rig_open(&rig);
    p = taken_and_freed(BYTES);
    (void)quire_heap_trim(&rig.heap);
    assert_false(__asan_address_is_poisoned(p));
    rig_close(&rig);
}

static void in_the_quarantine(void **state)
{
    unsigned char *p;

    (void)state;
    memset(&rig_extras, 0, sizeof rig_extras);
    rig_extras.options = QUIRE_HEAP_DEBUG;
    rig_extras.quarantine = 4;
    rig_open(&rig);
    p = taken_and_freed(BYTES);
    assert_true(__asan_address_is_poisoned(p));
    p = taken_and_freed(2 * QUIRE_HEAP_SLAB_MOST); /* a run */
    assert_true(__asan_address_is_poisoned(p));
    (void)quire_heap_trim(&rig.heap);
    assert_false(__asan_address_is_poisoned(p));
    rig_close(&rig);
    memset(&rig_extras, 0, sizeof rig_extras);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(use_after_free_is_told),
        cmocka_unit_test(all_of_it),
        cmocka_unit_test(frames_are_allowed),
        cmocka_unit_test(in_the_quarantine),
    };
    int failed = 0;

    for (unsigned i = 0; i < RIG_MODES; i++)
        failed += cmocka_run_group_tests_name(rig_mode_set(i), tests, NULL, NULL);
    return failed;
}
