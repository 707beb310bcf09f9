/* SPDX-License-Identifier: MIT
 *
 * user.h - programs in user mode, on all CPUs: what the rest of the kernel sees of them.
 *
 * Programs come from the ramdisk. All that were started run until they, and all they forked, have
 * ended; meanwhile every CPU does nothing else.
 */
#ifndef KERNEL_PORT_KERNEL_USER_USER_H
#define KERNEL_PORT_KERNEL_USER_USER_H

#include "kernel-port/programs/calls.h"

#include <quire/space.h>

enum { USER_FILES = 4 };

/* What programs are made of; `cached` is for the page caches of their files. The files are those
 * that a program may map by number, from 1 on. */
struct user_config {
    struct quire_table_source tables;
    struct quire_frame_source frames, cached;
    struct quire_file *files[USER_FILES];
    uint32_t file_count;
};

struct user_program {
    const char *name; /* in the ramdisk */
    uint64_t argument;
    struct call_end end; /* out: how it ended */
};

/* Look at the ramdisk, `bytes` bytes at physical address `phys`, and make page caches of its files.
 * First CPU only, as all of this header. False: there is no ramdisk, or what is
 * there is none; a line says so. */
bool user_begin(const struct user_config *config, uint64_t phys, uint64_t bytes);

/* What a space of a program has: for further files, before user_begin. */
void user_space_config(const struct user_config *config, struct quire_space_config *space);

/* Start these, run them on all CPUs, and return when all have ended. A program that cannot be
 * started has an `end` of kind END_FAULT with the error as its status. */
void user_run(struct user_program *programs, uint32_t count);

/* Frames in the page caches of the ramdisk's files. */
uint64_t user_cached(void);

/* How many times a fault found no memory, frames were reclaimed, and it was tried again. */
uint64_t user_reclaims(void);

/* Give all page caches back. */
void user_end(void);

#endif /* KERNEL_PORT_KERNEL_USER_USER_H */
