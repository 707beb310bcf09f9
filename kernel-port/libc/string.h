/* SPDX-License-Identifier: MIT
 *
 * string.h - what Concurrency Kit's ring includes of a C library.
 */
#include "text.h"
