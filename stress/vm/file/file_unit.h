/* SPDX-License-Identifier: MIT
 *
 * file_unit.h - what the unit tests of mapped files have in common: a file of twelve pages and a
 * bit, two spaces, and each test on all formats, with a direct map and with a window.
 */
#ifndef QUIRE_STRESS_VM_FILE_FILE_UNIT_H
#define QUIRE_STRESS_VM_FILE_FILE_UNIT_H

#include "file_rig.h"
#include "stress/vm/space_unit.h"

enum { IN_FILE = 12 };

static struct file_rig disk;
static struct quire_space other;

/* Map pages of the file at `start`, in this space. */
static inline int map_file_in(struct quire_space *in, uint64_t start, uint64_t pages, uint64_t page,
                              bool shared, uint32_t access)
{
    struct quire_area area = file_rig_area(&disk, start, pages, page, shared, access);

    return quire_space_reserve(in, &area, 0, NULL);
}

static inline int map_file(uint64_t start, uint64_t pages, uint64_t page, bool shared)
{
    return map_file_in(&space, start, pages, page, shared, rw());
}

/* What the first word of a page on disk is. */
static inline uint64_t on_disk(uint64_t page)
{
    return *file_rig_disk(&disk, page);
}

static inline int read_in(struct quire_space *in, uint64_t virt)
{
    uint64_t word;

    return space_rig_read(&rig, 0, in, virt, &word);
}

static inline int sync_at(uint64_t start, uint64_t pages)
{
    return quire_space_sync(&space, span(start, pages * FRAME));
}

static inline void on_all_with_file(void (*test)(void))
{
    for (unsigned i = 0; i < RIG_FORMATS; i++)
        for (unsigned window = 0; window < 2; window++) {
            space_rig_begin(&rig, &rig_formats[i], window);
            rig.with_tlb = true;
            assert_ok(quire_space_create(&space, &rig.config));
            assert_ok(quire_space_create(&other, &rig.config));
            file_rig_begin(&disk, &rig, IN_FILE * FRAME + 16);
            test();
            space_rig_leave(&rig, 0);
            space_rig_leave(&rig, 1);
            quire_space_destroy(&other);
            quire_space_destroy(&space);
            file_rig_end(&disk);
            space_rig_end(&rig);
        }
}

#define ON_ALL_WITH_FILE(test)          \
    static void test##_test(void **ctx) \
    {                                   \
        (void)ctx;                      \
        on_all_with_file(test);         \
    }

#endif /* QUIRE_STRESS_VM_FILE_FILE_UNIT_H */
