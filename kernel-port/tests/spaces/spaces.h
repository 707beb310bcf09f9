/* SPDX-License-Identifier: MIT
 *
 * spaces.h - address spaces of suites that all CPUs use at once: faults, and shoot-downs that CPUs
 * answer between their accesses, and while they wait for each other: they all do nothing else.
 */
#ifndef KERNEL_PORT_TESTS_SPACES_SPACES_H
#define KERNEL_PORT_TESTS_SPACES_SPACES_H

#include <quire/space.h>

/* Once for each suite, before the others begin: *config has all that the kernel brings, but no
 * shares. */
void spaces_begin(struct quire_space_config *config);

/* The kernel's half, for a space that was created or forked. 0 or an error. */
int spaces_share_kernel(struct quire_space *space);

/* On each CPU, before it takes part. */
void spaces_enter(void);

/* Be in this space; in none, but in that of before. */
void spaces_load(struct quire_space *space);
void spaces_leave(uint64_t before);

/* Forget all, if anybody asks. */
void spaces_answer(void);

/* All CPUs that take part wait here for each other, and answer. */
void spaces_meet(void);

/* Serve a page fault. What a pager could not do is tried again. */
bool spaces_serve(uint64_t address, uint64_t error);

/* How often a pager's failure was seen by spaces_serve. */
uint64_t spaces_pager_failures(void);

/* How many tables left, as they had run empty. */
uint64_t spaces_retired(void);

/* For a config of one CPU alone. As port.paging.retire: nobody is in the tables, so they are freed
 * at once. As port.frames.alloc_zeroed: a run with any content, though it is asked for as zeros. */
void spaces_free_tables(void *ctx, const quire_pfn *tables, uint32_t count);
int spaces_give_run(void *ctx, const struct quire_policy *policy, unsigned order, quire_pfn *pfn);

/* gigabyte.c: a page of 1 GiB, if hugepages= sets one aside; a part of the suite `space`. */
void spaces_test_gigabyte(void);

/* cost.c, large_cost.c: what calls on page tables and spaces take, by one CPU, and what large pages
 * cost and save: for the suite `count`. */
void spaces_count(void);
void spaces_count_large(void);

#endif /* KERNEL_PORT_TESTS_SPACES_SPACES_H */
