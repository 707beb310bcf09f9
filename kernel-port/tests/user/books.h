/* SPDX-License-Identifier: MIT
 *
 * books.h - the machine as programs get their frames and tables from it, with books about them: the
 * shadow knows the owner of each, and there may be an end to what there is.
 */
#ifndef KERNEL_PORT_TESTS_USER_BOOKS_H
#define KERNEL_PORT_TESTS_USER_BOOKS_H

#include "kernel-port/kernel/user/user.h"

/* Empty books, and what programs shall be made of. First CPU, as all of this header. */
void books_begin(struct user_config *config);

/* From now on so many frames and tables more may be had, all in all; UINT64_MAX: as many as there
 * are. */
void books_limit(uint64_t count);

/* How many frames and tables programs have, and how many were refused since the last limit. */
uint64_t books_frames(void);
uint64_t books_refused(void);

/* The most tables that programs had at once since the last limit. */
uint64_t books_tables_most(void);

/* How often a program's frame or table was asked for while the kernel could touch user memory by
 * mistake: where the processor has SMAP, with RFLAGS.AC set. */
uint64_t books_open(void);

/* Runs for pages of 2 MiB that programs ever had. */
uint64_t books_large(void);

#endif /* KERNEL_PORT_TESTS_USER_BOOKS_H */
