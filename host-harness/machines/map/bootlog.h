/* SPDX-License-Identifier: MIT
 *
 * bootlog.h - the words of a boot log: which of its lines say something about memory, and what.
 *
 * A line is told by what stands in it, whatever stands before: time stamps, a host's name, colours.
 * Kernels and hypervisors of two decades word the same facts differently; all of them are read
 * here, so that bootlog.c deals with facts. No state. Private to bootlog*.c.
 */
#ifndef HOST_HARNESS_MACHINES_MAP_BOOTLOG_H
#define HOST_HARNESS_MACHINES_MAP_BOOTLOG_H

#include "reader.h"

enum log_what {
    LOG_OTHER,
    LOG_TITLE,  /* a table follows */
    LOG_ENTRY,  /* a region of a table */
    LOG_UPDATE, /* memory of one kind becomes another */
    LOG_REMOVE,
    LOG_SRAT,
    LOG_EFI,
    LOG_NODES, /* the title of the ranges */
    LOG_NODE,  /* one of them, but only behind their title */
};
enum { LOG_WHATS = LOG_NODE + 1 };

/* Whose table it is. */
enum log_owner {
    LOG_NOBODY,
    LOG_HYPERVISOR,
    LOG_FIRMWARE, /* as the kernel got it: a boot has one */
    LOG_EXTENDED, /* what the kernel made of it; its changes have lines of their own, too */
    LOG_LATER,    /* what the command line made of it */
};
enum { LOG_OWNERS = LOG_LATER + 1 };

struct log_line {
    enum log_what what;
    enum log_owner owner; /* of a title or an entry */
    const char *name;     /* of an entry's table, as the line has it; of others a word for errors */
    struct map_span text; /* what follows these words */
    uint64_t number;      /* of an EFI region */
};

struct log_line log_classify(struct map_span line);

/* The rest of a line of each kind: 0, or -1 after map_fail. What says that there is no memory, a
 * gap or an empty range, gives a region with start == end. */
typedef int log_reader(struct map_input *input, struct log_line line, struct map_region *region);
log_reader log_entry, log_efi, log_srat, log_node;

/* A change of the table in force: what lies in `range` and is of kind `from` becomes `to`, or
 * vanishes. */
struct log_change {
    struct map_region range;
    enum map_kind from, to;
    bool any_kind, vanish;
};
int log_change(struct map_input *input, struct log_line line, struct log_change *change);

/* Is a line that has no end, and is none of these, the beginning of one: was the file cut off in
 * it, or in the time stamp before it? */
bool log_cut_off(struct map_span line);

#endif /* HOST_HARNESS_MACHINES_MAP_BOOTLOG_H */
