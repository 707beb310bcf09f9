/* SPDX-License-Identifier: MIT
 *
 * assert.h - cmocka, with what it wants to be included before it, and two assertions about error
 * codes.
 */
#ifndef QUIRE_STRESS_COMMON_ASSERT_H
#define QUIRE_STRESS_COMMON_ASSERT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <quire/types.h>

#define assert_ok(call)           assert_int_equal(call, QUIRE_OK)
#define assert_error(call, error) assert_int_equal(call, error)

#endif /* QUIRE_STRESS_COMMON_ASSERT_H */
