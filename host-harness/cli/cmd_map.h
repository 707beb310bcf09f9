/* SPDX-License-Identifier: MIT
 *
 * cmd_map.h - what the two outputs of `quire map`, table and JSON, both show. No state; private to
 * cmd_map*.c.
 */
#ifndef HOST_HARNESS_CLI_CMD_MAP_H
#define HOST_HARNESS_CLI_CMD_MAP_H

#include "host-harness/machines/machine.h"

/* A planned zone in frames: first .. end - 1 is its range, whatever is neither usable nor reserved
 * in it are holes. */
struct zone_figures {
    uint64_t first, end;
    uint64_t usable, reserved, holes;
};
void cmd_map_figures(const struct quire_boot_zone *zone, struct zone_figures *figures);

/* Something that boot memory left out, moved or set aside, and why. */
struct remark {
    const char *key; /* in the JSON */
    uint64_t amount;
    const char *why; /* reads on after the amount */
};
enum { CMD_MAP_REMARKS = 14 };
/* All of them, in a fixed order; many with the amount 0. */
void cmd_map_remarks(const struct simulated_machine *machine,
                     struct remark remarks[CMD_MAP_REMARKS]);

/* One word for what a region is. */
const char *cmd_map_word(const struct quire_boot_region *region);

/* Write the JSON; results as cli_write_json. */
int cmd_map_json(const char *path, const struct map *map, const struct simulated_machine *machine);

#endif /* HOST_HARNESS_CLI_CMD_MAP_H */
