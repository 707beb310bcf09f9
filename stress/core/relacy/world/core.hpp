/* SPDX-License-Identifier: MIT
 *
 * core.hpp - the private headers of core, as C++ over Relacy's atomics. White-box.
 */
#ifndef QUIRE_STRESS_CORE_RELACY_CORE_HPP
#define QUIRE_STRESS_CORE_RELACY_CORE_HPP

#include <cstddef>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wextra"  /* C++ asks more of enumerations than C */
#pragma GCC diagnostic ignored "-Wshadow" /* a structure and a function of the same name */
#include "core/internal.h"
#include "core/layout.h"
#include "core/search/search.h"
#pragma GCC diagnostic pop

#endif /* QUIRE_STRESS_CORE_RELACY_CORE_HPP */
