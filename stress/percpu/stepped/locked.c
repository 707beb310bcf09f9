/* SPDX-License-Identifier: MIT
 *
 * locked.c - how many locked instructions a hit executes: one in exchange mode, none in the others.
 *
 *   percpu_locked MODE
 *
 * A child makes the call (scenes.c) and the parent steps through it, reading each instruction of
 * this program that it executes. x86-64: locked are those with the lock prefix, and an exchange
 * with memory, which is locked without one. In rseq mode the kernel would restart a section at each
 * step; it is told that there is none as soon as one is entered (sections.c restarts them).
 */
#include "scenes.h"

#include "stress/percpu/cache_rig.h"

#include "percpu/arch/rseq.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { STEPS = 100000, RSEQ_CS = 8 };

/* The calls that a magazine serves. */
static const char *const hits[] = {"alloc",           "free",           "alloc run",
                                   "free run",        "alloc block",    "free block",
                                   "alloc large run", "free large run", "push large run"};

#if defined(__x86_64__)

static bool is_prefix(unsigned char byte)
{
    return byte != 0 && strchr("\x66\xf2\xf3\x2e\x36\x3e\x26\x64\x65\x67", byte) != NULL;
}

/* Is the instruction at `ip` locked? The child's code is the parent's. */
static bool is_locked(uint64_t ip)
{
    const unsigned char *code = (const unsigned char *)(uintptr_t)ip;

    for (; is_prefix(*code) || *code == 0xf0; code++)
        if (*code == 0xf0)
            return true;
    if (*code >> 4 == 4) /* REX */
        code++;
    return (code[0] == 0x86 || code[0] == 0x87) && code[1] >> 6 != 3;
}

#else

static bool is_locked(uint64_t ip)
{
    (void)ip;
    skip_all("this test reads x86-64 instructions");
}

#endif

#if QUIRE_RSEQ

struct section {
    uint32_t version, flags;
    uint64_t start, length, abort;
};
extern const struct section sections[] __asm__("__start___rseq_cs");
extern const struct section sections_end[] __asm__("__stop___rseq_cs");

/* If the child is about to enter a section, let the kernel forget it. Did it? */
static bool disarm(const struct tracee *t, uint64_t ip)
{
    for (const struct section *s = sections; s < sections_end; s++)
        if (ip == s->start) {
            tracee_poke(t, (uintptr_t)rseq_area() + RSEQ_CS, 0);
            return true;
        }
    return false;
}

#else

static bool disarm(const struct tracee *t, uint64_t ip)
{
    (void)t;
    (void)ip;
    return false;
}

#endif

static void count(const struct scene *scene)
{
    struct tracee t = tracee_start(scene);
    unsigned executed = 0, locked = 0, entered = 0;
    unsigned expected = mode == QUIRE_CACHE_EXCHANGE, in_section = mode == QUIRE_CACHE_RSEQ;

    for (int i = 0; tracee_step(&t, 0) == STOP_TRAP; i++) {
        uint64_t ip = tracee_ip(&t);

        if (i == STEPS)
            die("%s: does not end in %d steps", scene->name, STEPS);
        if (!tracee_in_program(ip))
            continue;
        executed++;
        locked += is_locked(ip);
        entered += disarm(&t, ip);
    }
    tracee_finish(&t);
    if (locked != expected || entered != in_section)
        die("%s: %u locked instructions of %u, %u sections; expected %u and %u", scene->name,
            locked, executed, entered, expected, in_section);
    printf("%s: %u instructions, %u of them locked\n", scene->name, executed, locked);
}

int main(int argc, char *argv[])
{
    unsigned found = 0;

    scenes_open(argc, argv);
    for (unsigned i = 0; i < scene_count; i++)
        for (size_t k = 0; k < sizeof hits / sizeof hits[0]; k++)
            if (strcmp(scenes[i].name, hits[k]) == 0) {
                count(&scenes[i]);
                found++;
            }
    if (found != sizeof hits / sizeof hits[0])
        die("%u scenes instead of %zu", found, sizeof hits / sizeof hits[0]);
    return 0;
}
