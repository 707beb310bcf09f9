/* SPDX-License-Identifier: MIT
 *
 * outside.c - a program that knows nothing of Quire's tree, only of its installation. With an
 * argument it says the version of the library, if it is the one of the headers.
 */
#include <quire/quire.h>
#include <stdio.h>

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
