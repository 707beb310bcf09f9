/* SPDX-License-Identifier: MIT
 *
 * guest_memory.c - how a virtual machine monitor might take its guest's memory: in runs of 2 MiB
 * from one node and no other, and promised before the first is used.
 *
 * Arenas start at a multiple of 1 GiB and a run of order 9 at one of 2 MiB, so with
 * QUIRE_HOST_PAGES_ADVISE the kernel can back each run with one huge page.
 *
 *     cc guest_memory.c $(pkg-config --cflags --libs quire-host)
 */
#include <quire/host.h>
#include <stdio.h>
#include <string.h>

enum { ORDER = 9, RUNS = 16, RUN_BYTES = QUIRE_FRAME_SIZE << ORDER };

static int take_memory(struct quire_host *host, quire_node node, void *runs[RUNS])
{
    const struct quire_policy here = {
        .mode = QUIRE_POLICY_BIND, .strict = true, .nodes = quire_nodemask_of(node)};
    const struct quire_request request = {.order = ORDER, .flags = QUIRE_MOVABLE, .policy = &here};
    struct quire_refusal why;

    for (unsigned i = 0; i < RUNS; i++) {
        int error = quire_host_request(host, &request, &runs[i], &why);

        if (error) {
            printf("run %u of node %u: %s\n", i, node.n, quire_strerror(error));
            while (i-- > 0)
                (void)quire_host_free(host, runs[i], ORDER);
            return error;
        }
    }
    return QUIRE_OK;
}

enum place { ALL_THERE, ELSEWHERE, NOT_TOLD };

/* What the kernel says about where the memory is; it may be one that does not tell. */
static enum place check_place(struct quire_host *host, quire_node node, void *const runs[RUNS])
{
    static quire_node where[1 << ORDER];

    for (unsigned i = 0; i < RUNS; i++) {
        memset(runs[i], 1, RUN_BYTES);
        if (quire_host_where(host, runs[i], 1 << ORDER, where))
            return NOT_TOLD;
        for (unsigned p = 0; p < 1 << ORDER; p++) {
            if (where[p].n != node.n)
                return ELSEWHERE;
        }
    }
    return ALL_THERE;
}

int main(void)
{
    static const char *const words[] = {"all of it there", "some of it elsewhere",
                                        "and the kernel does not tell where"};
    const struct quire_host_options options = {.bytes = 64 << 20, .pages = QUIRE_HOST_PAGES_ADVISE};
    enum place place;
    struct quire_host *host;
    struct quire_host_arena arena;
    void *runs[RUNS];
    int error = quire_host_create(&options, &host);

    if (error) {
        printf("no memory of this machine: %s\n", quire_strerror(error));
        return 1;
    }
    for (uint32_t i = 0; !error && !quire_host_arena(host, i, &arena); i++) {
        error = take_memory(host, arena.node, runs);
        if (error)
            break;
        place = check_place(host, arena.node, runs);
        printf("node %u: %d MiB for a guest, %s\n", arena.os_node, RUNS * RUN_BYTES >> 20,
               words[place]);
        if (place == ELSEWHERE)
            error = QUIRE_ERR_NODE;
        for (unsigned r = 0; r < RUNS; r++)
            (void)quire_host_free(host, runs[r], ORDER);
    }
    quire_host_destroy(host);
    return error != 0;
}
