/* SPDX-License-Identifier: MIT
 *
 * host_fixture.c - see host_fixture.h.
 */
#include "host_fixture.h"

#include <errno.h>
#include <string.h>

struct quire_host *host_of(uint64_t bytes)
{
    const struct quire_host_options options = {.bytes = bytes};
    struct quire_host *host = NULL;
    int error = quire_host_create(&options, &host);

    if (error)
        fail_msg("no host of %llu bytes a node: %s, %s", (unsigned long long)bytes,
                 quire_strerror(error), strerror(errno));
    return host;
}

quire_nodemask host_nodes(struct quire_host *host)
{
    struct quire_host_arena arena;
    quire_nodemask nodes = {0};

    for (uint32_t i = 0; !quire_host_arena(host, i, &arena); i++)
        nodes.bits |= quire_nodemask_of(arena.node).bits;
    return nodes;
}

uint64_t host_free_frames(struct quire_host *host)
{
    struct quire_machine_stats stats;

    assert_int_equal(quire_machine_drain(quire_host_machine(host)), QUIRE_OK);
    assert_int_equal(quire_machine_stats(quire_host_machine(host), &stats), QUIRE_OK);
    assert_int_equal(stats.cached, 0);
    assert_int_equal(stats.remote, 0);
    return stats.free;
}

struct quire_request request_on(quire_node node, unsigned order, struct quire_policy *policy)
{
    struct quire_request request = {.order = order, .policy = policy};

    *policy = (struct quire_policy){
        .mode = QUIRE_POLICY_BIND, .strict = true, .nodes = quire_nodemask_of(node)};
    return request;
}
