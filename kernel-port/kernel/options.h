/* SPDX-License-Identifier: MIT
 *
 * options.h - the kernel's command line.
 *
 *   suite=NAME[,NAME...]      what to run: see suite.c; `all` is every test, `bench` the figures
 *   hugepages=[NODE@]SIZE:COUNT[,...]
 *                             set aside COUNT pages of SIZE (2M or 1G) in Huge zones, on that node,
 *                             or on all nodes with memory in turn; the suite `space` has pages of
 *                             1 GiB out of these, and large pages while all of those are set aside
 *   memmap=SIZE@ADDRESS:KIND[,...]
 *                             add to the firmware's memory map: KIND is usable, reserved or device
 *   mode=exchange|local       how CPU caches are owned (quire/cache.h); default exchange
 *   seconds=N                 how long each concurrent test runs; default 2
 *   seed=N                    of the random sequences; default 1
 *
 * Sizes and addresses are decimal or 0x..., with K, M, G or nothing behind. An option that is not
 * known, or a value that cannot be read, is a panic that says which.
 */
#ifndef KERNEL_PORT_KERNEL_OPTIONS_H
#define KERNEL_PORT_KERNEL_OPTIONS_H

#include <quire/boot.h>
#include <quire/cache.h>

#include <stdint.h>

enum { OPTION_MAPS = 64, OPTION_HUGE = 16, OPTION_SUITES_BYTES = 256, OPTION_ANY_NODE = -1 };

struct option_map {
    uint64_t phys, bytes;
    enum quire_boot_kind kind;
};

struct option_huge {
    int node; /* or OPTION_ANY_NODE */
    uint64_t page_bytes, count;
};

struct options {
    char suites[OPTION_SUITES_BYTES]; /* names with commas between them */
    struct option_map maps[OPTION_MAPS];
    uint32_t map_count;
    struct option_huge huge[OPTION_HUGE];
    uint32_t huge_count;
    enum quire_cache_mode mode;
    uint64_t seconds, seed;
};

void options_parse(struct options *options, const char *command_line);

#endif /* KERNEL_PORT_KERNEL_OPTIONS_H */
