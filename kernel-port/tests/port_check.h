/* SPDX-License-Identifier: MIT
 *
 * port_check.h - is a port right? A test that a new port can run as it is.
 *
 * It uses Quire's public headers and what struct port_check supplies, and nothing of this kernel:
 * take port_check.h and port_check.c along, fill the structure, call port_check. It builds a zone
 * of its own over the frames that it is given, so it disturbs nobody. See docs/porting.md.
 */
#ifndef KERNEL_PORT_TESTS_PORT_CHECK_H
#define KERNEL_PORT_TESTS_PORT_CHECK_H

#include <quire/machine.h>

enum { PORT_CHECK_FRAMES = 4096, PORT_CHECK_MEMORY = 1 << 20 };

struct port_check {
    const struct quire_port *zone_port;
    const struct quire_machine_port *machine_port; /* NULL: none yet */
    uint32_t cpus;
    struct quire_run frames; /* PORT_CHECK_FRAMES of real memory that nobody uses */
    void *memory;            /* PORT_CHECK_MEMORY bytes, aligned to a page, for metadata */
    /* Where the kernel reaches a frame's bytes. */
    void *(*reach)(quire_pfn pfn);
    /* Run work(argument) on every CPU at once, and return when all are done. */
    void (*on_all)(void (*work)(void *argument), void *argument);
    /* Between two pieces of work on a CPU; where a port counts quiet moments. NULL: nothing. */
    void (*quiet)(void);
    /* One result: `good`, and what should hold. */
    void (*result)(bool good, const char *what);
};

/* Run all checks. Thread context, one caller at a time; may take a second. */
void port_check(const struct port_check *check);

#endif /* KERNEL_PORT_TESTS_PORT_CHECK_H */
