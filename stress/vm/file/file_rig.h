/* SPDX-License-Identifier: MIT
 *
 * file_rig.h - a file of a space_rig: its pager has the pages in an array, fails when it is told
 * to, and can be slow.
 */
#ifndef QUIRE_STRESS_VM_FILE_RIG_H
#define QUIRE_STRESS_VM_FILE_RIG_H

#include "stress/vm/space_rig.h"

enum { FILE_RIG_PAGES = 32 };

struct file_rig {
    struct space_rig *spaces;
    struct quire_file file;
    struct quire_file_config config;
    uint64_t bytes; /* what `size` answers */
    unsigned char *disk;
    uint64_t fail_page; /* neither read nor written; UINT64_MAX: none */
    uint64_t fail_in;   /* the so-manyth call of the pager fails; 0: none */
    bool failed;        /* one did */
    qa64 reads, writes;
    void (*during)(struct file_rig *rig, uint64_t page, bool write); /* in the call; may be NULL */
};

/* A file of so many bytes, whose words are those of file_rig_word. */
void file_rig_begin(struct file_rig *rig, struct space_rig *spaces, uint64_t bytes);

/* Fails the test if the file is in use. */
void file_rig_end(struct file_rig *rig);

/* The first word of a page as it is on disk from the start; as it is now. */
uint64_t file_rig_word(uint64_t page);
uint64_t *file_rig_disk(struct file_rig *rig, uint64_t page);

/* An area of the file, from this page of it on. */
struct quire_area file_rig_area(struct file_rig *rig, uint64_t start, uint64_t pages, uint64_t page,
                                bool shared, uint32_t access);

#endif /* QUIRE_STRESS_VM_FILE_RIG_H */
