/* SPDX-License-Identifier: MIT
 *
 * elf.h - is this file a program that this kernel can run, and what goes where?
 *
 * Programs are static ELF files for x86-64: no interpreter, no relocation, no storage for threads.
 * A file may be anything: nothing in it is believed, no byte behind its end is read, and each
 * refusal says which field, where, what was found and what was expected. What is accepted can be
 * mapped page by page: segments go upwards, no two have a page in common, all lie in the range that
 * is asked for, none is writable and executable.
 *
 * No state: wait-free, any context.
 */
#ifndef KERNEL_PORT_KERNEL_USER_ELF_H
#define KERNEL_PORT_KERNEL_USER_ELF_H

#include <quire/address.h>
#include <quire/paging.h>

enum { ELF_SEGMENTS = 8, ELF_HEADERS = 16 };

struct elf_segment {
    uint64_t address, bytes;     /* in memory; the first page of it may begin earlier */
    uint64_t offset, file_bytes; /* in the file, from there; the rest of `bytes` is zeros. The
                                  * offset within a page is that of the address */
    uint32_t access;             /* enum quire_access, READ always */
};

struct elf_program {
    uint64_t entry; /* in an executable segment's bytes of the file */
    uint32_t count; /* of segments, at least one */
    struct elf_segment segments[ELF_SEGMENTS];
};

/* Read the `bytes` bytes at `image`, which may be at any address. `user` is where segments may be.
 * After an error *program is as it was, and *fault says why.
 * QUIRE_ERR_UNSUPPORTED: not an ELF file, or of a kind that is not run here. QUIRE_ERR_DAMAGED: it
 * contradicts itself. QUIRE_ERR_ADDRESS: a segment outside of `user`. QUIRE_ERR_FULL: more segments
 * or headers than there is room for. */
int elf_read(const void *image, uint64_t bytes, struct quire_vrange user,
             struct elf_program *program, struct quire_fault *fault);

#endif /* KERNEL_PORT_KERNEL_USER_ELF_H */
