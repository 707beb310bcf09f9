/* SPDX-License-Identifier: MIT
 *
 * assert_off.c - an assert as the other builds have it: compiled, never evaluated. White-box.
 */
#undef QUIRE_CHECKED
#include "core/assert.h"

unsigned evaluated(void);

static unsigned count;

static bool is_false(void)
{
    count++;
    return false;
}

unsigned evaluated(void)
{
    qi_assert(is_false());
    qi_assert_held(is_false());
    return count;
}
