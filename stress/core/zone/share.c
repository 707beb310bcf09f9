/* SPDX-License-Identifier: MIT
 *
 * share.c - one zone, several mappings: metadata in shared memory, attached at another address, in
 * another process, and refused where it is not a zone.
 */
#define _GNU_SOURCE /* memfd_create */
#include "stress/common/zone_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* A zone of four blocks whose metadata is mapped twice. */
struct shared {
    struct fixture f;
    struct quire_zone second;
    void *mapping[2];
};

static void open_shared(struct shared *s)
{
    fixture_begin(&s->f);
    fixture_usable(&s->f, 3 * BLOCK, 4 * BLOCK);
    assert_ok(quire_zone_metadata_size(&s->f.config, &s->f.bytes));
    int fd = memfd_create("quire zone", 0);
    assert_true(fd >= 0 && ftruncate(fd, (off_t)s->f.bytes) == 0);
    for (int i = 0; i < 2; i++) {
        s->mapping[i] = mmap(NULL, s->f.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        assert_ptr_not_equal(s->mapping[i], MAP_FAILED);
    }
    (void)close(fd);
    s->f.config.metadata_zeroed = true;
    assert_ok(quire_zone_init(&s->f.zone, &s->f.config, s->mapping[0], s->f.bytes));
    s->second = (struct quire_zone){.head = NULL};
    assert_ok(quire_zone_attach(&s->second, s->mapping[1], s->f.bytes, &s->f.config.port));
}

static void close_shared(struct shared *s)
{
    assert_sound(&s->f, quire_zone_free_frames(&s->second));
    for (int i = 0; i < 2; i++) {
        (void)munmap(s->mapping[i], s->f.bytes);
    }
}

static void at_another_address(void **state)
{
    (void)state;
    struct shared s;
    quire_pfn pfn;
    uint64_t length;
    struct quire_run e[2];
    open_shared(&s);
    assert_ptr_not_equal(s.mapping[0], s.mapping[1]);
    for (unsigned order = 0; order <= 9; order++) {
        assert_ok(quire_zone_alloc(&s.f.zone, slot(0), order, 0, &pfn));
        assert_ok(quire_zone_run_length(&s.second, pfn, &length));
        assert_int_equal(length, 1 << order);
        assert_int_equal(quire_zone_free_frames(&s.second), 4 * BLOCK - length);
        assert_ok(quire_zone_free(&s.second, slot(1), pfn, order));
        assert_int_equal(quire_zone_free(&s.f.zone, slot(0), pfn, order), QUIRE_ERR_DOUBLE_FREE);
        assert_sound(&s.f, 4 * BLOCK);
    }
    assert_ok(quire_zone_extent(&s.f.zone, 0, &e[0]));
    assert_ok(quire_zone_extent(&s.second, 0, &e[1]));
    assert_true(e[0].pfn.n == e[1].pfn.n && e[0].frames == e[1].frames);
    assert_int_equal(quire_zone_metadata_bytes(&s.second), s.f.bytes);
    close_shared(&s);
}

/* Parent and child take and give at the same time, each by its own mapping and slot. */
static void in_another_process(void **state)
{
    (void)state;
    enum { TURNS = 20000 };
    struct shared s;
    open_shared(&s);
    pid_t child = fork();
    assert_true(child >= 0);
    struct quire_zone *zone = child == 0 ? &s.second : &s.f.zone;
    quire_slot mine = slot(child == 0 ? 1 : 0);
    int error = QUIRE_OK;
    for (unsigned turn = 0; turn < TURNS && error == QUIRE_OK; turn++) {
        quire_pfn pfn;
        error = quire_zone_alloc(zone, mine, turn % 9, 0, &pfn);
        error = error == QUIRE_OK ? quire_zone_free(zone, mine, pfn, turn % 9) : error;
    }
    if (child == 0) {
        _exit(error == QUIRE_OK ? 0 : 1);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_ok(error);
    assert_sound(&s.f, 4 * BLOCK);
    close_shared(&s);
}

/* What the child leaves allocated, the parent can free. */
static void left_by_another_process(void **state)
{
    (void)state;
    struct shared s;
    open_shared(&s);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        quire_pfn pfn;
        int error = quire_zone_alloc(&s.second, slot(3), 9, 0, &pfn);
        error = error == QUIRE_OK ? quire_zone_alloc_at(&s.second, slot(3), at(3 * BLOCK), 4, 0)
                                  : error;
        _exit(error == QUIRE_OK || error == QUIRE_ERR_BUSY ? 0 : 1);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    for (uint64_t n = 3 * BLOCK; n < 7 * BLOCK; n++) {
        enum quire_frame_state frame;
        assert_ok(quire_zone_frame_state(&s.f.zone, at(n), &frame));
        if (frame == QUIRE_FRAME_USED) {
            assert_ok(quire_zone_free_any(&s.f.zone, slot(0), at(n)));
        }
    }
    assert_ok(quire_zone_retire_slot(&s.f.zone, slot(3)));
    assert_sound(&s.f, 4 * BLOCK);
    close_shared(&s);
}

/* The handle is plain data: a copy is as good as the original. */
static void copied_handle(void **state)
{
    (void)state;
    struct fixture f;
    fixture_simple(&f, 0, BLOCK);
    struct quire_zone copy = f.zone;
    quire_pfn pfn;
    assert_ok(quire_zone_alloc(&copy, slot(0), 5, 0, &pfn));
    assert_sound_at(&copy, BLOCK - 32, __FILE__, __LINE__);
    must_free(&f, pfn.n, 5);
    fixture_close(&f);
}

static void not_a_zone(void **state)
{
    (void)state;
    struct fixture f;
    fixture_simple(&f, 0, BLOCK);
    struct quire_zone other = {.head = NULL};
    size_t pages = (f.bytes + QUIRE_METADATA_ALIGN - 1) / QUIRE_METADATA_ALIGN + 1;
    unsigned char *bytes = aligned_alloc(QUIRE_METADATA_ALIGN, pages * QUIRE_METADATA_ALIGN);
    assert_non_null(bytes);
    memset(bytes, 0, f.bytes);
    assert_int_equal(quire_zone_attach(&other, bytes, f.bytes, &f.config.port),
                     QUIRE_ERR_UNSUPPORTED);
    memset(bytes, 0xff, f.bytes);
    assert_int_equal(quire_zone_attach(&other, bytes, f.bytes, &f.config.port),
                     QUIRE_ERR_UNSUPPORTED);
    memcpy(bytes, f.metadata, f.bytes);
    assert_int_equal(quire_zone_attach(&other, bytes, f.bytes - 1, &f.config.port), QUIRE_ERR_SIZE);
    assert_int_equal(quire_zone_attach(&other, bytes, 0, &f.config.port), QUIRE_ERR_SIZE);
    assert_int_equal(quire_zone_attach(&other, bytes, 64, &f.config.port), QUIRE_ERR_SIZE);
    assert_int_equal(quire_zone_attach(&other, bytes + 8, f.bytes, &f.config.port),
                     QUIRE_ERR_ALIGN);
    assert_int_equal(quire_zone_attach(&f.zone, bytes, f.bytes, &f.config.port),
                     QUIRE_ERR_INITIALISED);
    assert_ok(quire_zone_attach(&other, bytes, f.bytes, &f.config.port));
    assert_int_equal(quire_zone_attach(&other, bytes, f.bytes, &f.config.port),
                     QUIRE_ERR_INITIALISED);
    free(bytes);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_another_address),
        cmocka_unit_test(in_another_process),
        cmocka_unit_test(left_by_another_process),
        cmocka_unit_test(copied_handle),
        cmocka_unit_test(not_a_zone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
