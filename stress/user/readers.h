/* SPDX-License-Identifier: MIT
 *
 * readers.h - what holds of any bytes that are read as a program, or as a ramdisk: of exactly these
 * bytes, so that a sanitizer sees a read behind them.
 */
#ifndef STRESS_USER_READERS_H
#define STRESS_USER_READERS_H

#include "kernel-port/kernel/user/elf.h"
#include "kernel-port/kernel/user/ramdisk.h"

#include <stddef.h>
#include <stdint.h>

/* Where programs may be, as the kernel says it. */
struct quire_vrange user_range(void);

/* Read them; stop the process if something does not hold. The reader's result. */
int check_program(const uint8_t *data, size_t size, struct quire_fault *fault);
int check_ramdisk(const uint8_t *data, size_t size, struct quire_fault *fault);

#endif /* STRESS_USER_READERS_H */
