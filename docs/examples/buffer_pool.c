/* SPDX-License-Identifier: MIT
 *
 * buffer_pool.c - how a database might keep its pages: data pages near the thread that reads them,
 * the shared index spread over all nodes, and a cache that gives way when memory gets short.
 *
 * The cache has an array of places per node, for pages that lie on that node. The host's thread
 * calls `evict` when a node falls below its low watermark, and a request that would be refused
 * calls it itself. A page is taken from its place by an exchange, so that nobody evicts what
 * another thread just took.
 *
 *     cc buffer_pool.c $(pkg-config --cflags --libs quire-host)
 */
#include <quire/host.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { PLACES = 1 << 15, INDEX_PAGES = 64 };

struct pool {
    struct quire_host *host;
    _Atomic(void *) pages[QUIRE_NODES][PLACES];
    atomic_ulong hand[QUIRE_NODES];
    atomic_ulong evicted;
};

static uint64_t evict(void *ctx, quire_node node, uint64_t frames)
{
    struct pool *pool = ctx;
    uint64_t freed = 0;

    for (unsigned i = 0; i < PLACES && freed < frames; i++) {
        unsigned long at = atomic_fetch_add(&pool->hand[node.n], 1) % PLACES;
        void *page = atomic_exchange(&pool->pages[node.n][at], NULL);

        if (page && quire_host_free(pool->host, page, 0) == QUIRE_OK)
            freed++;
    }
    atomic_fetch_add(&pool->evicted, freed);
    return freed;
}

/* Read page number `number` into the pool: here, it is filled with its number. */
static int read_page(struct pool *pool, unsigned number)
{
    struct quire_zone *zone;
    quire_node node;
    quire_pfn pfn;
    void *page, *old;
    int error = quire_host_alloc(pool->host, 0, QUIRE_MOVABLE, &page);

    if (error)
        return error;
    memset(page, (int)(number & 255), QUIRE_FRAME_SIZE);
    error = quire_host_pfn(pool->host, page, &pfn);
    if (!error)
        error = quire_machine_find(quire_host_machine(pool->host), pfn, &node, &zone);
    if (error)
        return error;
    old = atomic_exchange(&pool->pages[node.n][number % PLACES], page);
    return old ? quire_host_free(pool->host, old, 0) : QUIRE_OK;
}

/* The index is asked from everywhere, so its pages take turns on the nodes. */
static int make_index(struct pool *pool, void *index[INDEX_PAGES])
{
    const struct quire_policy spread = {.mode = QUIRE_POLICY_INTERLEAVE,
                                        .nodes = {UINT64_MAX}}; /* those that there are */
    const struct quire_request request = {.flags = QUIRE_ZEROED, .policy = &spread};
    int error = QUIRE_OK;

    for (unsigned i = 0; i < INDEX_PAGES && !error; i++)
        error = quire_host_request(pool->host, &request, &index[i], NULL);
    return error;
}

int main(void)
{
    static struct pool pool;
    static void *index[INDEX_PAGES];
    const struct quire_host_options options = {
        .bytes = 64 << 20, .ctx = &pool, .reclaim = evict, .last_resort = evict};
    int error = quire_host_create(&options, &pool.host);

    if (!error)
        error = make_index(&pool, index);
    /* Twice as many pages as fit into one node. */
    for (unsigned i = 0; i < PLACES && !error; i++)
        error = read_page(&pool, i);
    printf("%d pages read, %lu evicted: %s\n", PLACES, atomic_load(&pool.evicted),
           quire_strerror(error));
    quire_host_destroy(pool.host);
    return error != QUIRE_OK;
}
