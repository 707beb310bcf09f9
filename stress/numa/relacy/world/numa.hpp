/* SPDX-License-Identifier: MIT
 *
 * numa.hpp - the private headers of numa, as C++ over Relacy's atomics. White-box.
 */
#ifndef QUIRE_STRESS_NUMA_RELACY_NUMA_HPP
#define QUIRE_STRESS_NUMA_RELACY_NUMA_HPP

#include "stress/core/relacy/world/core.hpp"

#define _Static_assert static_assert

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wpedantic" /* an array at the end of a structure */
#include "numa/machine/machine.h"
#pragma GCC diagnostic pop

/* What the world is told by the sources: this is about to be read, which may lie in the port's
 * memory; a reader has come in; it is about to leave. */
void memory_read(const void *p);
void reader_entered(const struct machine_reader *r);
void reader_leaves(const struct machine_reader *r);

#endif /* QUIRE_STRESS_NUMA_RELACY_NUMA_HPP */
