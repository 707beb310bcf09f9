/* SPDX-License-Identifier: MIT
 *
 * string.h - what Concurrency Kit's ring includes of a C library.
 */
#include "kernel-port/kernel/lib/text.h"
