/* SPDX-License-Identifier: MIT
 *
 * symbols_none.c - the empty table with which the first link is made.
 */
#include "symbols.h"

const struct symbol symbols[1] __attribute__((section(".symbols"))) = {{0}};
const uint32_t symbol_count __attribute__((section(".symbols"))) = 0;
