/* SPDX-License-Identifier: MIT
 *
 * symbols.h - the table of the kernel's functions, written by symbols.py after a first link.
 */
#ifndef KERNEL_PORT_KERNEL_LIB_SYMBOLS_H
#define KERNEL_PORT_KERNEL_LIB_SYMBOLS_H

#include <stdint.h>

struct symbol {
    uint64_t address;
    const char *name;
};

extern const struct symbol symbols[]; /* by address; in the first link there is none */
extern const uint32_t symbol_count;

#endif /* KERNEL_PORT_KERNEL_LIB_SYMBOLS_H */
