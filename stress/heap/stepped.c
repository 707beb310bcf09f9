/* SPDX-License-Identifier: MIT
 *
 * stepped.c - a signal at every instruction of a call of the heap, which stands for an NMI in the
 * middle of it: its handler allocates, frees, and frees once more what is free, through the same
 * magazine that the call has in its hands, is about to take, or has just put back; and trims. Or it
 * is another CPU that moves the only free object while a request looks for it.
 *
 *   heap_stepped exchange|rseq
 *
 * exchange: for each instruction of a call a fresh child is interrupted there once.
 * rseq: under single steps sections are restarted each time; the call goes to the slabs, and
 * succeeds.
 */
#define _GNU_SOURCE
#include "stress/common/tracee.h"

#include "rig.h"
#include "stress/common/assert.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { INSTRUCTIONS = 20000, BYTES = 64, MAGAZINE = 64, HELD = 200, STRIDE_AFTER = 1500 };
enum { LARGE = 5, LARGE_BYTES = QUIRE_HEAP_SLAB_MOST };

static struct rig rig;
static void *held[HELD];
static unsigned held_count;
static void *kept; /* by the handler */
static void *large[LARGE], *found;
static void (*interrupt)(void); /* what the handler does; NULL: the usual */
static uint64_t ips[INSTRUCTIONS];
static struct {
    _Atomic uint64_t handled;
} * shared;

static void wait_for_tracer(void)
{
    (void)raise(SIGSTOP);
}

static void take(void)
{
    must(quire_heap_alloc(&rig.heap, BYTES, QUIRE_NO_CALLBACK, &held[held_count]), "alloc");
    memset(held[held_count++], 0x55, BYTES);
}

static void give(void)
{
    const unsigned char *bytes = held[--held_count];

    if (bytes[0] != 0x55 || bytes[BYTES - 1] != 0x55)
        die("an object was another's too");
    must(quire_heap_free(&rig.heap, held[held_count]), "free");
}

static void take_many(unsigned n)
{
    while (n-- > 0)
        take();
}

static void give_all(void)
{
    while (held_count > 0)
        give();
}

/* ---- The calls ----------------------------------------------------------------------------- */

static void some_cached(void)
{
    take_many(8);
    give_all();
    take_many(2);
}

static void full_magazine(void)
{
    take_many(2 * MAGAZINE + 1);
    while (held_count > MAGAZINE + 1)
        give();
    while (held_count > 1)
        give();
}

/* The last that is held was handed out by CPU 1, and the magazine takes none of those. */
static void others_object(void)
{
    take_many(2);
    rig_cpu = 1;
    take();
    rig_cpu = 0;
}

/* The same, and the magazine takes all of its node, after an overflow. */
static void others_object_kept(void)
{
    full_magazine();
    give();
    others_object();
}

static void nothing(void)
{
}

static void trim(void)
{
    (void)quire_heap_trim(&rig.heap);
}

/* Without magazines and memory: two full slabs of two objects, and one of another CPU, with one. */
static void one_free(void)
{
    rig_rounds = QUIRE_HEAP_NO_MAGAZINES;
    rig_open(&rig);
    for (unsigned i = 0; i < LARGE; i++) {
        rig_cpu = i == LARGE - 1;
        must(quire_heap_alloc(&rig.heap, LARGE_BYTES, 0, &large[i]), "alloc");
    }
    rig_cpu = 0;
    rig_grants = 0;
}

/* At each moment of it an object is free. */
static void move_free(void)
{
    rig_cpu = 1;
    must(quire_heap_free(&rig.heap, large[0]), "free inside");
    must(quire_heap_alloc(&rig.heap, LARGE_BYTES, QUIRE_NO_CALLBACK, &large[0]), "alloc inside");
    rig_cpu = 0;
}

static void find_free(void)
{
    must(quire_heap_alloc(&rig.heap, LARGE_BYTES, 0, &found), "alloc beside an object that moves");
}

static const struct scene scenes[] = {
    {"alloc, a hit", some_cached, take, NULL},
    {"free, a hit", some_cached, give, NULL},
    {"alloc, the first", nothing, take, NULL},
    {"free, an overflow", full_magazine, give, NULL},
    {"free, of another CPU", others_object, give, NULL},
    {"free, of another CPU, kept", others_object_kept, give, NULL},
    {"trim of a few", some_cached, trim, NULL},
    {"alloc, the last object", one_free, find_free, move_free},
};

static void on_signal(int number)
{
    void *object;

    (void)number;
    atomic_fetch_add(&shared->handled, 1);
    if (interrupt) {
        interrupt();
        wait_for_tracer();
        return;
    }
    must(quire_heap_alloc(&rig.heap, BYTES, QUIRE_NO_CALLBACK, &object), "alloc inside");
    memset(object, 0xaa, BYTES);
    must(quire_heap_free(&rig.heap, object), "free inside");
    if (quire_heap_free(&rig.heap, object) != QUIRE_ERR_DOUBLE_FREE)
        die("freed twice inside: not told");
    must(quire_heap_alloc(&rig.heap, BYTES, QUIRE_NO_CALLBACK, &kept), "alloc inside");
    memset(kept, 0xaa, BYTES);
    wait_for_tracer();
}

void scene_play(const struct scene *scene)
{
    const struct sigaction action = {.sa_handler = on_signal};

    (void)sigaction(SIGUSR1, &action, NULL);
    interrupt = scene->interrupt;
    scene->prepare();
    wait_for_tracer();
    scene->act();
    wait_for_tracer();
    if (kept) {
        if (((unsigned char *)kept)[0] != 0xaa || ((unsigned char *)kept)[BYTES - 1] != 0xaa)
            die("%s: the handler's object was another's too", scene->name);
        must(quire_heap_free(&rig.heap, kept), "free of the handler's");
    }
    give_all();
    for (unsigned i = 0; found && i < LARGE; i++)
        must(quire_heap_free(&rig.heap, large[i]), "free");
    if (found)
        must(quire_heap_free(&rig.heap, found), "free");
    rig_close(&rig);
    _exit(0);
}

int main(int argc, char *argv[])
{
    skip_unless_watchable();
    rig_mode = argc > 1 && strcmp(argv[1], "rseq") == 0 ? QUIRE_CACHE_AUTO : QUIRE_CACHE_EXCHANGE;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        die("no memory");
    rig_rounds = MAGAZINE;
    rig_open(&rig);
    for (unsigned i = 0; i < sizeof scenes / sizeof scenes[0]; i++) {
        unsigned n = tracee_note_instructions(&scenes[i], ips, INSTRUCTIONS), times = 0;

        if (n == 0)
            die("%s: no instruction was seen", scenes[i].name);
        if (rig_mode != QUIRE_CACHE_EXCHANGE) {
            printf("%s: %u instructions one by one: clean\n", scenes[i].name, n);
            continue;
        }
        /* Of a long call the first instructions one by one, then every seventh. */
        for (unsigned k = 0; k < n; k += k < STRIDE_AFTER ? 1 : 7, times++) {
            uint64_t handled = atomic_load(&shared->handled);
            struct tracee t = tracee_interrupt_at(&scenes[i], ips, k, SIGUSR1);

            if (atomic_load(&shared->handled) != handled + 1)
                die("%s, instruction %u: the handler did not run", scenes[i].name, k);
            tracee_finish(&t);
        }
        printf("%s: interrupted at %u of %u instructions: clean\n", scenes[i].name, times, n);
    }
    return 0;
}
