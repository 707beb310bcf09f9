/* SPDX-License-Identifier: MIT
 *
 * calls.h - what programs and the kernel agree on: system calls, and how a program ended.
 *
 * A call is the instruction `int $0x80`, with the number in rax and up to three arguments in rdi,
 * rsi and rdx. The result is in rax: 0 or more, or an error of enum quire_error. All other
 * registers stay as they are. A pointer to memory that the program could not use itself is an
 * error, the same that a fault there would be.
 */
#ifndef KERNEL_PORT_PROGRAMS_CALLS_H
#define KERNEL_PORT_PROGRAMS_CALLS_H

#include <stdint.h>

enum user_call {
    CALL_EXIT = 0,    /* (status): the program ends, with all its threads */
    CALL_WRITE = 1,   /* (text, bytes): a line on the console, up to CALL_LINE bytes */
    CALL_YIELD = 2,   /* (): let others run */
    CALL_MAP = 3,     /* (struct call_map *): where it begins */
    CALL_UNMAP = 4,   /* (address, bytes) */
    CALL_PROTECT = 5, /* (address, bytes, access): enum quire_access */
    CALL_ADVISE = 6,  /* (address, bytes, advice): enum quire_advice */
    CALL_SYNC = 7,    /* (address, bytes): what was written to files there */
    CALL_FORK = 8,    /* (): the child's number; in the child 0. The calling thread alone */
    CALL_WAIT = 9,    /* (struct call_end *): the number of a child that ended. QUIRE_ERR_STATE:
                       * there is none. QUIRE_ERR_BUSY: another thread waits. A bad pointer is an
                       * error, and what it was to receive is lost */
    CALL_THREAD = 10, /* (entry, stack, argument): another thread of the program */
    CALL_LEAVE = 11,  /* (): this thread ends; the program, with status 0, if it is the last one */
    CALL_CPU = 12,    /* (): the number of the CPU that runs this */
    CALL_FILE = 13,   /* (number): the bytes of that file, see struct call_map */
};

enum { CALL_LINE = 120 };

enum call_map_flags {
    CALL_MAP_ANYWHERE = 1, /* `address` is not read */
    CALL_MAP_LARGE = 2,    /* large pages, where they fit */
    CALL_MAP_STACK = 4,    /* with a guard below */
    CALL_MAP_SHARED = 8,   /* of a file: what is written is the file's */
};

struct call_map {
    uint64_t address, bytes;
    uint32_t access; /* enum quire_access, not WRITE with EXECUTE; 0: nobody may touch it */
    uint32_t flags;
    uint32_t file; /* 0: memory that reads as zeros; else a number from 1 on, as the kernel was told
                    */
    uint32_t unused;
    uint64_t offset; /* in the file */
};

enum call_end_kind {
    END_EXIT = 0,  /* by CALL_EXIT, or CALL_LEAVE of the last thread */
    END_FAULT = 1, /* an access that could not be served */
    END_TRAP = 2,  /* what the processor refused besides: an instruction, a division by 0 */
};

struct call_end {
    uint32_t id;
    uint32_t kind;    /* enum call_end_kind */
    int64_t status;   /* of END_EXIT; else the error of enum quire_error, or the vector */
    uint64_t rip;     /* where it was, but for END_EXIT */
    uint64_t address; /* of END_FAULT: what it touched */
};

#endif /* KERNEL_PORT_PROGRAMS_CALLS_H */
