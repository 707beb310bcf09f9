/* SPDX-License-Identifier: MIT
 *
 * sections.c - every restartable sequence, restarted at each of its instructions (rseq mode).
 *
 *   percpu_sections rseq
 *
 * A single step restarts a section at once, so the parent uses breakpoints. For each call
 * (scenes.c) it finds the sections that are entered and their instructions: stopped at its start,
 * with the kernel told that there is no section (rseq_cs of the thread's area is 0), a section can
 * be stepped through. Then fresh children are stopped at each instruction of each section, and go
 * on with a signal (the handler uses the same CPU cache; it must see the abort address as what was
 * interrupted) or without one. Stopped just behind its last instruction, the commit, a section must
 * not be restarted. And a child whose section is restarted each time must get by without it.
 *
 * The linker's table of all sections says whether one was never entered: then the test is not
 * complete, and fails. A program whose scenes are about some sections alone is built with their
 * number, SECTIONS_PLAYED.
 */
#include "scenes.h"

#include "percpu/arch/rseq.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#ifndef SECTIONS_PLAYED
#define SECTIONS_PLAYED 0 /* all */
#endif

#if QUIRE_RSEQ

enum { SECTIONS = 32, INSTRUCTIONS = 64, MOST_RESTARTS = 16, RSEQ_CS = 8 };

/* As the kernel wants it. */
struct section {
    uint32_t version, flags;
    uint64_t start, length, abort;
};

extern const struct section sections[] __asm__("__start___rseq_cs");
extern const struct section sections_end[] __asm__("__stop___rseq_cs");

static unsigned section_count(void)
{
    return (unsigned)(((uintptr_t)sections_end - (uintptr_t)sections) / sizeof sections[0]);
}

/* The section that the child is in is none any more. */
static void disarm(const struct tracee *t)
{
    tracee_poke(t, (uintptr_t)rseq_area() + RSEQ_CS, 0);
}

/* Which sections does an undisturbed child enter? */
static void find_entered(const struct scene *scene, bool entered[])
{
    struct tracee t = tracee_start(scene);
    uint64_t was[SECTIONS] = {0};

    for (unsigned i = 0; i < section_count(); i++)
        was[i] = tracee_break(&t, sections[i].start);
    while (tracee_run(&t, 0) == STOP_TRAP) {
        unsigned i = 0;

        while (i < section_count() && !tracee_at(&t, sections[i].start))
            i++;
        if (i == section_count())
            die("%s: a trap elsewhere, at 0x%" PRIx64, scene->name, tracee_ip(&t));
        entered[i] = true;
        tracee_poke(&t, sections[i].start, was[i]);
        disarm(&t);
    }
    for (unsigned i = 0; i < section_count(); i++)
        tracee_poke(&t, sections[i].start, was[i]);
    tracee_finish(&t);
}

/* The addresses of a section's instructions, and of what comes next. Returns how many. */
static unsigned find_instructions(const struct scene *scene, const struct section *s,
                                  uint64_t addresses[])
{
    struct tracee t = tracee_stop_at(scene, s->start, 1);
    unsigned n = 0;
    uint64_t ip = s->start;

    disarm(&t);
    for (; ip - s->start < s->length && n < INSTRUCTIONS - 1; ip = tracee_ip(&t)) {
        addresses[n++] = ip;
        if (tracee_step(&t, 0) != STOP_TRAP)
            die("%s: ended in a section", scene->name);
    }
    addresses[n++] = ip;
    tracee_finish(&t);
    return n;
}

/* A signal at this instruction: the kernel restarts the section, then the handler runs. */
static void interrupt(const struct scene *scene, const struct section *s, uint64_t address)
{
    struct tracee t = tracee_stop_at(scene, address, 1);
    bool inside = address - s->start < s->length;

    if (tracee_run(&t, SIGUSR1) != STOP_PAUSE)
        die("%s: no handler at 0x%" PRIx64, scene->name, address);
    if (shared->handler_ip != (inside ? s->abort : address))
        die("%s: 0x%" PRIx64 " was interrupted, but the handler returns to 0x%" PRIx64, scene->name,
            address, shared->handler_ip);
    tracee_finish(&t);
}

/* The same without a signal, by nothing but having been stopped. */
static void preempt(const struct scene *scene, const struct section *s, uint64_t address)
{
    struct tracee t = tracee_stop_at(scene, address, 1);

    if (address - s->start < s->length) {
        uint64_t was = tracee_break(&t, s->abort);

        if (tracee_run(&t, 0) != STOP_TRAP || !tracee_at(&t, s->abort))
            die("%s: not restarted at 0x%" PRIx64, scene->name, address);
        tracee_poke(&t, s->abort, was);
    }
    tracee_finish(&t);
}

/* Restarted at this instruction each time that it gets there. Returns how often that was. */
static unsigned preempt_always(const struct scene *scene, uint64_t address)
{
    struct tracee t = tracee_start(scene);
    uint64_t was = tracee_break(&t, address);
    unsigned restarts = 0;

    while (tracee_run(&t, 0) == STOP_TRAP) {
        if (!tracee_at(&t, address))
            die("%s: a trap elsewhere, at 0x%" PRIx64, scene->name, tracee_ip(&t));
        if (++restarts > MOST_RESTARTS)
            die("%s: restarted for ever at 0x%" PRIx64, scene->name, address);
    }
    tracee_poke(&t, address, was);
    tracee_finish(&t);
    return restarts;
}

static void play(const struct scene *scene, bool entered_ever[])
{
    bool entered[SECTIONS] = {false};
    unsigned places = 0, most = 0;

    find_entered(scene, entered);
    for (unsigned i = 0; i < section_count(); i++) {
        uint64_t addresses[INSTRUCTIONS];
        unsigned n;

        if (!entered[i])
            continue;
        entered_ever[i] = true;
        n = find_instructions(scene, &sections[i], addresses);
        for (unsigned k = 0; k < n; k++) {
            interrupt(scene, &sections[i], addresses[k]);
            preempt(scene, &sections[i], addresses[k]);
        }
        for (unsigned k = 0; k + 1 < n; k++) {
            unsigned restarts = preempt_always(scene, addresses[k]);

            most = restarts > most ? restarts : most;
        }
        places += n;
    }
    if (places == 0)
        die("%s: no section was entered", scene->name);
    printf("%s: restarted at %u places, at most %u times in a row: clean\n", scene->name, places,
           most);
}

static void play_all(void)
{
    bool entered_ever[SECTIONS] = {false};
    unsigned played = 0;

    if (section_count() == 0 || section_count() > SECTIONS)
        die("%u sections in this program", section_count());
    for (unsigned i = 0; i < scene_count; i++)
        play(&scenes[i], entered_ever);
    for (unsigned i = 0; i < section_count(); i++)
        played += entered_ever[i];
    if (played != (SECTIONS_PLAYED ? SECTIONS_PLAYED : section_count()))
        die("%u of %u sections were entered", played, section_count());
    printf("%u of the program's %u sections: clean\n", played, section_count());
}

#else

static void play_all(void)
{
    die("there is no section in this build, and yet a cache in rseq mode");
}

#endif

int main(int argc, char *argv[])
{
    scenes_open(argc, argv);
    play_all();
    return 0;
}
