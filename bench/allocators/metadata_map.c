/* SPDX-License-Identifier: MIT
 *
 * metadata_map.c - the memory that the measured allocators keep their metadata in. No state.
 */
#include "allocators.h"

#include <sys/mman.h>

void *metadata_map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

void metadata_unmap(void *memory, size_t bytes)
{
    munmap(memory, bytes);
}
