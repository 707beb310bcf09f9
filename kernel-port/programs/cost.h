/* SPDX-License-Identifier: MIT
 *
 * cost.h - what the program cost measures, each by the way in and out of the kernel included.
 */
#ifndef KERNEL_PORT_PROGRAMS_COST_H
#define KERNEL_PORT_PROGRAMS_COST_H

enum user_cost {
    COST_CALL = 0,        /* a system call that does nothing */
    COST_TOUCH = 1,       /* the first write to a page: a frame of zeros */
    COST_FORK = 2,        /* fork, a written page */
    COST_COPY = 3,        /* the first write to a page after it, in the child */
    COST_LAST_OWNER = 4,  /* the same when the child is gone */
    COST_PROTECT = 5,     /* a touched page becomes read-only, one of many */
    COST_UNMAP = 6,       /* a touched page is unmapped, one of many */
    COST_MAP = 7,         /* a page is mapped and unmapped, alone */
    COST_MAP_TOUCHED = 8, /* the same, and written to in between */
    USER_COSTS = 9,
};

#endif /* KERNEL_PORT_PROGRAMS_COST_H */
