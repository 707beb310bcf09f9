/* SPDX-License-Identifier: MIT
 *
 * mmu.h - what a processor does with page tables: walks them, checks rights, sets marks, and
 * remembers translations until it is told to forget them. Written from the manuals, apart from the
 * library: it shares no constant with it.
 *
 * Physical memory is a run of frames in an array; tables lie there. Any number of threads may
 * access; the TLB is one thread's.
 */
#ifndef QUIRE_STRESS_VM_MMU_H
#define QUIRE_STRESS_VM_MMU_H

#include <quire/paging.h>

enum mmu_kind { MMU_X86_64, MMU_I386, MMU_I386_PAE, MMU_AARCH64, MMU_RISCV64 };

enum mmu_answer {
    MMU_OK = 0,
    MMU_ABSENT,  /* not present */
    MMU_DENIED,  /* present, and not for this */
    MMU_INVALID, /* reserved bits, a table outside of memory */
    MMU_AGAIN,   /* private: an entry changed meanwhile */
};

struct mmu_memory {
    unsigned char *bytes;
    uint64_t first, frames; /* of the physical frames */
};

struct mmu {
    enum mmu_kind kind;
    unsigned levels;
    const struct mmu_memory *memory;
    quire_pfn root;
    uint64_t pae_root[4]; /* as mmu_load read it */
};

struct mmu_page {
    uint64_t phys, size; /* of the byte; of the page */
};

/* Tell the processor the root. */
void mmu_load(struct mmu *mmu, quire_pfn root);

/* One access: QUIRE_READ, _WRITE or _EXECUTE, perhaps with QUIRE_USER. */
enum mmu_answer mmu_access(const struct mmu *mmu, uint64_t virt, uint32_t access,
                           struct mmu_page *page);

#endif /* QUIRE_STRESS_VM_MMU_H */
