/* SPDX-License-Identifier: MIT
 *
 * suite_reporting.c - free memory is reported to the hypervisor: its process has less of it then,
 * what is in use keeps its contents, and what is taken again is memory again. A report inside of a
 * report; a device that does not answer. (All CPUs beside reports: the suite `stress`, with a
 * device.)
 *
 * Whoever started the emulator is asked how much memory that has: "@resident" on the console, and a
 * number of KiB comes back (tools/qemu).
 */
#include "kernel-port/kernel/clock.h"
#include "kernel-port/kernel/console.h"
#include "kernel-port/kernel/devices/balloon.h"
#include "kernel-port/kernel/lib/panic.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/tests/shadow.h"
#include "kernel-port/tests/single_step.h"
#include "kernel-port/tests/suites/suite.h"
#include "kernel-port/tests/tap.h"
#include "kernel-port/tests/zone_audit.h"
#include "pci.h"

enum { ORDER = 9, BLOCKS = 128, STAYS = 8, BLOCK_FRAMES = 1 << ORDER }; /* 256 MiB */
/* Blocks that the emulator may take for itself meanwhile: in ten boots it took none. */
enum { GOES = BLOCKS - STAYS, SLACK = 16 };
enum { SHORT_PATIENCE_US = 1000 };

static quire_pfn blocks[BLOCKS]; /* 0: not taken */
static quire_pfn pair;           /* two blocks, one of each report */
static uint64_t second[QUIRE_ERRORS];

/* The emulator's memory, in blocks. */
static uint64_t resident(void)
{
    uint64_t kib = 0;
    char c = '0';

    print("@resident\n");
    for (uint64_t us = 0; us < BALLOON_PATIENCE_US && c != '\n'; us++)
        if (console_read(&c) && c != '\n')
            kib = kib * 10 + (uint64_t)(c - '0');
        else
            clock_wait_us(1);
    if (c != '\n')
        panic("reporting: nobody says how much memory the emulator has");
    return kib >> (ORDER + 2);
}

static uint64_t gone_blocks(void)
{
    struct quire_machine_stats s;

    return quire_machine_stats(memory.up.machine, &s) ? 0 : s.gone / BLOCK_FRAMES;
}

/* Requests that found zeros, and wrote none. */
static uint64_t known_zeros(void)
{
    struct quire_zone_stats s;
    uint64_t n = 0;

    for (uint32_t i = 0; i < memory_zone_count(); i++)
        n += quire_zone_stats(&memory.up.zones[i], &s) ? 0 : s.counts[QUIRE_COUNT_KNOWN_ZERO];
    return n;
}

/* Take and write those that are not taken; how many there are. */
static uint64_t take_blocks(uint32_t flags)
{
    uint64_t taken = 0;

    for (unsigned i = 0; i < BLOCKS; i++) {
        if (!blocks[i].n &&
            !quire_machine_alloc(memory.up.machine, ORDER, QUIRE_MOVABLE | flags, &blocks[i]))
            shadow_take(blocks[i], BLOCK_FRAMES, i, SHADOW_LIGHT);
        taken += blocks[i].n != 0;
    }
    return taken;
}

/* Free the blocks from number `first` on, which are to read as they were written. */
static void free_blocks(unsigned first)
{
    for (unsigned i = first; i < BLOCKS; i++) {
        if (!blocks[i].n)
            continue;
        shadow_give(blocks[i], BLOCK_FRAMES, i, SHADOW_LIGHT);
        if (quire_machine_free(memory.up.machine, blocks[i], ORDER))
            shadow_wrong("a free was refused", blocks[i], 0, 0);
        blocks[i].n = 0;
    }
}

/* All that is free; how many blocks went. */
static uint64_t give_back(int *error)
{
    const struct quire_give_back all = {0};
    uint64_t frames;

    *error =
        quire_machine_give_back(memory.up.machine, quire_node_of(QUIRE_NO_NODE), &all, &frames);
    return frames / BLOCK_FRAMES;
}

static void test_there_and_back(void)
{
    uint64_t before, gone, zeros, full, low, again, start;
    int error;

    tap_equal(take_blocks(0), BLOCKS, "blocks are taken and written");
    full = resident();
    free_blocks(STAYS);
    before = gone_blocks();
    start = rdtsc();
    gone = give_back(&error);
    tap_note("it took %lu us", (rdtsc() - start) / (clock_tsc_hz() / 1000000));
    low = resident();
    tap(gone >= GOES && before + gone == gone_blocks(), "%lu blocks are given back", gone);
    tap(low + GOES - SLACK <= full, "the emulator has %lu MiB, and had %lu", low * 2, full * 2);
    zeros = known_zeros();
    tap_equal(take_blocks(QUIRE_ZEROED), BLOCKS, "blocks are taken again, as zeros");
    tap_equal(known_zeros() - zeros, 0, "of these were known to be zeros");
    again = resident();
    tap(again >= low + GOES - SLACK, "the emulator has %lu MiB again", again * 2);
    free_blocks(0);
    shadow_end("there and back");
}

static void report_first(void *error)
{
    *(int *)error = balloon_report(pair, BLOCK_FRAMES);
}

static void report_second(void)
{
    second[-balloon_report(quire_pfn_of(pair.n + BLOCK_FRAMES), BLOCK_FRAMES)]++;
}

/* A report at each instruction of another one, as from an NMI. */
static void test_inside(void)
{
    int error = quire_machine_alloc(memory.up.machine, ORDER + 1, QUIRE_MOVABLE, &pair);
    uint64_t instructions = 0;

    if (!error)
        instructions = single_step_call(report_first, &error, report_second).instructions;
    tap(balloon_report(pair, 1 << 20) == QUIRE_ERR_SIZE, "4 GiB are no report");
    tap(!error && second[0] && second[-QUIRE_ERR_BUSY] &&
            second[0] + second[-QUIRE_ERR_BUSY] == instructions,
        "at %lu instructions of a report others are made, or refused", instructions);
    (void)quire_machine_free(memory.up.machine, pair, ORDER + 1);
}

/* A device that may not reach memory cannot answer. */
static void test_silence(void)
{
    int error, error_after;
    uint64_t gone, gone_first;

    (void)balloon_begin(SHORT_PATIENCE_US);
    tap_equal(take_blocks(0), BLOCKS, "blocks are taken");
    free_blocks(STAYS);
    gone = gone_blocks();
    pci_write(balloon_device(), PCI_COMMAND, PCI_COMMAND_MEMORY);
    gone_first = give_back(&error);
    tap_equal(gone_first + give_back(&error_after), 0, "blocks went to a silent device");
    tap(gone == gone_blocks() && error == QUIRE_ERR_STATE && error_after == error &&
            balloon_fault(),
        "it is told: %s", balloon_fault() ? balloon_fault() : "nothing");
    tap(!balloon_begin(BALLOON_PATIENCE_US), "the device begins anew");
    gone = give_back(&error);
    tap(gone >= GOES, "%lu blocks are given back then", gone);
    free_blocks(0);
    shadow_end("silence");
}

void suite_reporting(const struct options *options)
{
    (void)options;
    if (balloon_fault())
        panic("reporting: %s", balloon_fault());
    shadow_begin();
    zone_audit_begin();
    test_there_and_back();
    test_inside();
    test_silence();
    zone_audit_end("reporting");
}
