/* SPDX-License-Identifier: MIT
 *
 * cmd_topo.h - what the two faces of `quire topo`, text and JSON, share.
 *
 * No state.
 */
#ifndef HOST_HARNESS_CLI_CMD_TOPO_H
#define HOST_HARNESS_CLI_CMD_TOPO_H

#include "host-harness/machines/topo/topo.h"

/* "ordinary", "hot-plug", "device". */
const char *cmd_topo_kind(enum quire_memory_kind kind);

/* Is anything told of a matrix? */
bool cmd_topo_known(const struct quire_topology *topology,
                    const uint32_t matrix[QUIRE_NODES][QUIRE_NODES]);

/* A zone that the memory map comes to. Bytes; from the first frame to behind the last one, of which
 * `bytes` can be handed out. */
struct topo_zone {
    uint32_t node;
    const char *type;
    uint64_t start, end, bytes;
};

struct topo_zones {
    struct topo_zone *zones; /* by node, then by type */
    size_t count;
};

/* None if there is no memory for any. */
void cmd_topo_zones(const struct topo *topo, struct topo_zones *zones);
void cmd_topo_zones_free(struct topo_zones *zones);

void cmd_topo_text(const struct topo *topo);

/* CLI_OK, or CLI_FAILED after a line on standard error. */
int cmd_topo_json(const char *path, const struct topo *topo);

#endif /* HOST_HARNESS_CLI_CMD_TOPO_H */
