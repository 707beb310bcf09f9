/* SPDX-License-Identifier: MIT
 *
 * host_fixture.h - what the tests of libquire-host share.
 */
#ifndef QUIRE_STRESS_HOST_HARNESS_LIB_HOST_FIXTURE_H
#define QUIRE_STRESS_HOST_HARNESS_LIB_HOST_FIXTURE_H

#include "stress/common/assert.h"
#include "stress/common/sizes.h"

#include <quire/host.h>

/* A host of so many bytes on each node; fails the test if there is none. */
struct quire_host *host_of(uint64_t bytes);

/* The nodes that have an arena. */
quire_nodemask host_nodes(struct quire_host *host);

/* Frames that are free on all nodes, after all caches were drained. */
uint64_t host_free_frames(struct quire_host *host);

/* A request for frames of one node and no other; *policy is filled and must stay. */
struct quire_request request_on(quire_node node, unsigned order, struct quire_policy *policy);

#endif /* QUIRE_STRESS_HOST_HARNESS_LIB_HOST_FIXTURE_H */
