/* SPDX-License-Identifier: MIT
 *
 * model.h - a naive model of boot memory: a small address space (64 MiB, two address zones) of
 * which it knows every frame by itself. A world is one random case: the calls, what they make of
 * each frame, and the real boot map that was told the same. One test uses it at a time.
 */
#ifndef QUIRE_STRESS_CORE_BOOT_MODEL_H
#define QUIRE_STRESS_CORE_BOOT_MODEL_H

#include "boot_fixture.h"

enum {
    FRAMES = 16384,
    BLOCKS = FRAMES / BLOCK,
    DMA_FRAMES = 4096,
    NODES = 4,
    CALLS = 24,
    NOWHERE = -1,
};

struct model_frame {
    enum quire_boot_kind kind;
    enum quire_boot_use use;
    uint32_t node; /* or QUIRE_NODE_ANY */
    bool disputed;
    bool huge; /* set aside */
};

struct call {
    enum { ADD, ASSIGN, RESERVE } what;
    enum quire_boot_kind kind;
    uint32_t node;
    uint64_t phys, bytes;
};

struct world {
    struct model_frame frames[FRAMES];
    struct call calls[CALLS];
    size_t call_count;
    uint64_t random;
    uint64_t huge_bytes[NODES];
    struct boot_fixture *f;
};

/* A random number below n. */
uint64_t below(struct world *w, uint64_t n);

bool is_memory(const struct model_frame *m);
uint32_t node_of(const struct model_frame *m);
/* Is this free ordinary memory of the node, or of any? */
bool free_for(const struct model_frame *m, uint32_t node);
/* Can the run be given? All its frames are free, and the node's; whatever else is told of them. */
bool fits(const struct world *w, uint64_t first, uint64_t frames, uint32_t node);

/* Do random calls, in both, and compare; then the real ones again in the reverse order. */
void describe(struct world *w);
/* Make one random request of both, and compare. */
void allocate(struct world *w);
/* Every region tells of all its frames what the model says, neighbours differ, nothing is left
 * out. */
void compare_map(const struct world *w);

#endif /* QUIRE_STRESS_CORE_BOOT_MODEL_H */
