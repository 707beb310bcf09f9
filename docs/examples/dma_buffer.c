/* SPDX-License-Identifier: MIT
 *
 * dma_buffer.c - memory as a device might ask for it: in one piece of any length, aligned, not
 * across a boundary that its address counter cannot carry over, and on the device's own node.
 *
 * In a process the addresses are those of its own address space: what a device behind an IOMMU that
 * maps them one to one would see.
 *
 *     cc dma_buffer.c $(pkg-config --cflags --libs quire-host)
 */
#include <quire/host.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    const struct quire_host_options options = {.bytes = 32 << 20};
    const struct quire_contig want = {
        .frames = 100,       /* 400 KiB */
        .align = 64 << 10,   /* from a multiple of 64 KiB, */
        .boundary = 1 << 20, /* within one MiB */
    };
    const struct quire_contig low = {.frames = 1, .high = UINT32_MAX};
    struct quire_request request = {.near_node = quire_near_of(quire_node_of(0))};
    struct quire_refusal why;
    struct quire_host *host;
    void *buffer;
    int error = quire_host_create(&options, &host);

    if (error) {
        printf("no memory of this machine: %s\n", quire_strerror(error));
        return 1;
    }
    /* A limit of 32 bits is not met by any memory of this process, however much is free. */
    if (quire_host_alloc_contig(host, &request, &low, &buffer, &why) == QUIRE_ERR_FRAME)
        printf("no address below 4 GiB here\n");
    error = quire_host_alloc_contig(host, &request, &want, &buffer, &why);
    if (!error) {
        uintptr_t first = (uintptr_t)buffer, last = first + (want.frames << QUIRE_FRAME_SHIFT) - 1;

        memset(buffer, 0, want.frames << QUIRE_FRAME_SHIFT);
        printf("%u frames at %p\n", (unsigned)want.frames, buffer);
        if (first % want.align || first / want.boundary != last / want.boundary)
            error = QUIRE_ERR_ALIGN;
        (void)quire_host_free_contig(host, buffer, want.frames);
    } else {
        printf("refused: %s, node %u\n", quire_strerror(error), why.node.n);
    }
    quire_host_destroy(host);
    return error != 0;
}
