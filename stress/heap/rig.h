/* SPDX-License-Identifier: MIT
 *
 * rig.h - what the tests of the heap share: a machine of two nodes over memory of the process,
 * which stands for physical memory from 0 on, and a heap on it. The heap's library is compiled once
 * more for the tests: its requests to the machine come by here, to be counted and refused.
 */
#ifndef QUIRE_STRESS_HEAP_RIG_H
#define QUIRE_STRESS_HEAP_RIG_H

#include <quire/bringup.h>
#include <quire/heap.h>

#include <stddef.h>

enum {
    RIG_NODES = 2,
    RIG_CPUS = 2, /* of a node */
    RIG_NODE_BYTES = 32 << 20,
    RIG_MEMORY = RIG_NODES * RIG_NODE_BYTES,
    RIG_CACHES = 2,
    RIG_ROUNDS = 256, /* of a magazine of up to 128 bytes, and of a remote one, by default */
};

struct rig {
    unsigned char *memory;
    struct quire_bringup bringup;
    struct quire_run runs[RIG_NODES];
    struct quire_heap_config config;
    struct quire_heap heap;
    void *room; /* the heap's memory */
    size_t bytes;
    uint64_t free_start; /* frames that the machine had free before */
};

/* The CPU that the calling thread seems to run on; nodes have RIG_CPUS each. */
extern _Thread_local uint32_t rig_cpu;

/* How the heap owns its magazines, and their rounds, as in the configuration; MODES sets of them
 * are worth a test: what the number says is printed by rig_mode_set. */
enum { RIG_MODES = 3 };
const char *rig_mode_set(unsigned number);
extern enum quire_cache_mode rig_mode;
extern uint32_t rig_rounds;

/* How many more requests of the heap's the machine grants, UINT32_MAX: all; what it says else. And
 * how many there were. (One thread.) */
extern uint32_t rig_grants, rig_requests;
extern int rig_refusal;

/* What another caller does before the next request is passed on, once; NULL: nothing. */
extern void (*rig_rival)(void);

/* What comes in the middle of the machine's next call that asks for the CPU, once. */
extern void (*rig_interrupt)(void);

/* What the next heap shall have besides objects: its tags, options, quarantine, reserve. */
extern struct quire_heap_config rig_extras;

/* A machine, and the configuration of a heap; a heap; both. */
void rig_machine(struct rig *r);
void rig_heap(struct rig *r);
void rig_open(struct rig *r);
/* All objects are free: all frames go back, and were in one piece. */
void rig_close(struct rig *r);
/* Frames that the machine has free, with all caches drained. */
uint64_t rig_free_frames(struct rig *r);

void *rig_alloc(struct rig *r, size_t bytes);
struct quire_heap_stats rig_stats(struct rig *r, uint32_t number, uint32_t node);
/* Of all classes: slabs, objects in use. */
uint64_t rig_slabs(struct rig *r);
uint64_t rig_used(struct rig *r);
/* The node of the frame that an object lies in. */
uint32_t rig_node_of(struct rig *r, const void *object);
/* The number of the class that gives `bytes`. */
uint32_t rig_class(struct rig *r, size_t bytes);

/* Is it one of these n? */
static inline bool rig_is_one_of(const void *object, void *const objects[], unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (objects[i] == object)
            return true;
    return false;
}

/* A test of the program's `rig`, with a machine and a heap of its own, from which nothing may be
 * missing in the end. */
#define IN_RIG(test)                        \
    static void test##_in_rig(void **state) \
    {                                       \
        rig_open(&rig);                     \
        test(state);                        \
        rig_close(&rig);                    \
    }

#endif /* QUIRE_STRESS_HEAP_RIG_H */
