/* SPDX-License-Identifier: MIT
 *
 * bringup.h - a kernel's way from what it knows of a machine to the machine: boot map, topology and
 * port go in, quire_machine comes out. It does what boot.h and machine.h say, one after the other;
 * who wants it otherwise calls those.
 *
 * Memory for all of it is taken from the boot map and the zones, near whom it is for.
 *
 * Zones that may leave. A port without `memory` has the machine's memory out of the zones that were
 * planned here: a node's caches, its CPUs' structures and its zones' names lie there until the
 * machine ends, records of what is offline until that is back, and a kernel's own data
 * (quire_bringup_take) until it is given back. A zone that has any of it cannot be removed:
 * quire_machine_remove_zone says QUIRE_ERR_BUSY, of a node's only zone always. The memory of a zone
 * that is to leave must come from elsewhere: from a `memory` of the port's own, or from a zone that
 * stays and is asked first (on each node NORMAL, then DMA32, then DMA; HUGE, DEVICE and zones that
 * are added later never are). A removal takes nothing from the zone that it is about, and an
 * offlining nothing from its range: QUIRE_ERR_NO_MEMORY if there is no other.
 *
 * One caller, thread context, before the machine is used.
 */
#ifndef QUIRE_BRINGUP_H
#define QUIRE_BRINGUP_H

#include <quire/boot.h>
#include <quire/machine.h>
#include <quire/topology.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All zero but what has no other word is a good start. The structure is the caller's and stays
 * where it is for as long as the machine lives. */
struct quire_bringup {
    /* What is given. */
    struct quire_boot *boot; /* what there is; zones are not planned yet. Must not be NULL */
    struct quire_topology *topology; /* as a reader of the firmware's tables left it, or empty: one
                                      * node then, with all memory and one CPU. Must not be NULL */
    quire_boot_map *map;             /* as of quire_boot_build; must not be NULL */
    void *map_ctx;
    struct quire_boot_layout layout; /* slots of 0: one for each CPU; a distance of NULL: the
                                      * topology's; watermarks of Huge and Device are 0, as what is
                                      * set aside is there to be used up */
    struct quire_policy policy;
    enum quire_cache_mode mode;
    struct quire_machine_port port; /* without `memory`: out of the zones. Then this structure is
                                     * the `ctx` of all functions of this port */
    void *user;                     /* the caller's, not looked at */

    /* What comes of it. */
    struct quire_boot_plan plan;
    struct quire_zone *zones; /* plan.zone_count of them, in the plan's order */
    struct quire_pfnmap pfnmap;
    struct quire_machine *machine; /* its memory is not given back at its end, as the functions
                                    * below look at it then, too */
    struct quire_fault fault; /* after an error: what is wrong, as far as quire_topology_check and
                               * quire_boot_plan_zones tell; else its `what` is NULL */
    uint64_t room[8];         /* zero, see version.h */
};

/* Bring the machine up. Blocking in what the port's `memory` blocks. Errors as
 * quire_topology_check, quire_boot_assign, quire_boot_alloc, quire_boot_plan_zones,
 * quire_boot_build and quire_machine_init. After an error topology and boot map are as far as they
 * came: start over with quire_boot_init. */
int quire_bringup(struct quire_bringup *bringup);

/* Memory for a kernel's own data, contiguous, on `node` or the nearest that has some, aligned to
 * 4096 and zeroed, from the planned zones that are in service and not about to leave; NULL: there
 * is none, `topology` does not have this node, or quire_machine_fini has ended the machine. And
 * back, `bytes` as when it was taken, then too. Once the zones are built: lock-free, any context
 * (`map` is called). */
void *quire_bringup_take(struct quire_bringup *bringup, size_t bytes, quire_node node);
void quire_bringup_give_back(struct quire_bringup *bringup, void *memory, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif /* QUIRE_BRINGUP_H */
