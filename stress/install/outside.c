/* SPDX-License-Identifier: MIT
 *
 * outside.c - a program that knows nothing of Quire's tree, only of its installation. With an
 * argument it says the version of the library, if it is the one of the headers. What programs
 * allocate ends in room, as version.h promises.
 */
#include <quire/quire.h>
#include <stdio.h>
#if __has_include(<quire/host.h>)
#include <quire/host.h>
#endif

#define ENDS_IN_ROOM(type)                                                               \
    _Static_assert(offsetof(type, room) + 2 * sizeof(uint64_t) <= sizeof(type) &&        \
                       offsetof(type, room) + sizeof(((type *)0)->room) == sizeof(type), \
                   #type)
ENDS_IN_ROOM(struct quire_boot);
ENDS_IN_ROOM(struct quire_boot_layout);
ENDS_IN_ROOM(struct quire_boot_plan);
ENDS_IN_ROOM(struct quire_boot_region);
ENDS_IN_ROOM(struct quire_boot_report);
ENDS_IN_ROOM(struct quire_boot_request);
ENDS_IN_ROOM(struct quire_boot_zone);
ENDS_IN_ROOM(struct quire_bringup);
ENDS_IN_ROOM(struct quire_cache);
ENDS_IN_ROOM(struct quire_cache_config);
ENDS_IN_ROOM(struct quire_cache_stats);
ENDS_IN_ROOM(struct quire_compact);
ENDS_IN_ROOM(struct quire_compacted);
ENDS_IN_ROOM(struct quire_kept);
ENDS_IN_ROOM(struct quire_contig);
ENDS_IN_ROOM(struct quire_fault);
ENDS_IN_ROOM(struct quire_isolation);
ENDS_IN_ROOM(struct quire_keep);
ENDS_IN_ROOM(struct quire_machine_config);
ENDS_IN_ROOM(struct quire_machine_port);
ENDS_IN_ROOM(struct quire_machine_stats);
ENDS_IN_ROOM(struct quire_mempool);
ENDS_IN_ROOM(struct quire_node_stats);
ENDS_IN_ROOM(struct quire_policy);
ENDS_IN_ROOM(struct quire_port);
ENDS_IN_ROOM(struct quire_refusal);
ENDS_IN_ROOM(struct quire_request);
ENDS_IN_ROOM(struct quire_simple);
ENDS_IN_ROOM(struct quire_simple_config);
ENDS_IN_ROOM(struct quire_topology);
ENDS_IN_ROOM(struct quire_zone);
ENDS_IN_ROOM(struct quire_zone_config);
ENDS_IN_ROOM(struct quire_zone_stats);
#ifdef QUIRE_HOST_H
ENDS_IN_ROOM(struct quire_host_arena);
ENDS_IN_ROOM(struct quire_host_node);
ENDS_IN_ROOM(struct quire_host_options);
ENDS_IN_ROOM(struct quire_host_stats);
#endif

int main(int argc, char **argv)
{
    static _Alignas(QUIRE_METADATA_ALIGN) unsigned char metadata[1 << 20];
    const struct quire_run memory = {{0x100000}, 262144}; /* 1 GiB, from 4 GiB */
    const struct quire_zone_config config = {.type = QUIRE_ZONE_NORMAL,
                                             .slots = 1,
                                             .usable = &memory,
                                             .usable_count = 1,
                                             .min = QUIRE_WATERMARK_AUTO,
                                             .low = QUIRE_WATERMARK_AUTO,
                                             .high = QUIRE_WATERMARK_AUTO};
    const quire_slot slot = quire_slot_of(0);
    struct quire_zone zone = {0};
    quire_pfn pfn = {0};
    int error;

    (void)argv;
    if (argc > 1)
        return quire_version() != QUIRE_VERSION || puts(quire_version_text()) < 0;
    error = quire_zone_init(&zone, &config, metadata, sizeof(metadata));

    if (!error)
        error = quire_zone_alloc(&zone, slot, 9, QUIRE_MOVABLE, &pfn);
    if (!error)
        error = quire_zone_free(&zone, slot, pfn, 9);
    printf("2 MiB at %#llx: %s\n", (unsigned long long)quire_phys(pfn), quire_strerror(error));
    return error || quire_phys(pfn) >> 32 == 0 || quire_zone_free_frames(&zone) != memory.frames;
}
