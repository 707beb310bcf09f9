/* SPDX-License-Identifier: MIT
 *
 * user_mode.c - see user_mode.h.
 */
#include "user_mode.h"

#include "cpu.h"
#include "x86.h"

_Static_assert(sizeof(struct trap_frame) % 16 == 0, "the processor aligns the stack it is told");
_Static_assert(__builtin_offsetof(struct cpu, user_return) == 40, "trap_entry.S");

void user_enter(struct trap_frame *frame); /* trap_entry.S */

void user_frame_init(struct trap_frame *frame, uint64_t rip, uint64_t rsp, uint64_t rdi)
{
    *frame = (struct trap_frame){.rip = rip,
                                 .cs = USER_CODE_SEGMENT,
                                 .rflags = RFLAGS_IF | 2,
                                 .rsp = rsp,
                                 .ss = USER_DATA_SEGMENT,
                                 .rdi = rdi};
}

void user_mode_init(void)
{
    write_cr0(read_cr0() | CR0_EM);
}

void user_mode_run(struct trap_frame *frame)
{
    this_cpu()->tss.rsp[0] = (uint64_t)(frame + 1);
    user_enter(frame);
}
