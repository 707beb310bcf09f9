/* SPDX-License-Identifier: MIT
 *
 * assert.c - a checked build stops where a written invariant does not hold. Each case damages a
 * zone by hand and makes a call that relies on what was damaged; a child process does, which must
 * end by abort and say where and why. White-box: it writes metadata through core/layout.h.
 */
#include "stress/common/zone_fixture.h"

#include "core/internal.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

unsigned evaluated(void); /* assert_off.c */

enum { FIRST = 8 }; /* the number of the zone's first block */

struct scene {
    struct fixture f;
    struct quire_zone *z;
    uint64_t run; /* of order 10, from block FIRST on */
};

static void scene_open(struct scene *s)
{
    fixture_simple(&s->f, FIRST * BLOCK, 8 * BLOCK);
    s->z = &s->f.zone;
    s->run = (FIRST + 2) * BLOCK;
    assert_ok(quire_zone_alloc_at(s->z, slot(0), at(s->run), 10, 0));
    (void)must_alloc(&s->f, 0); /* slot 0 has a home */
}

static uint32_t block_at(const struct scene *s, uint64_t pfn)
{
    return block_of(frame_of_pfn(s->z, at(pfn)));
}

static uint32_t home_block(const struct scene *s)
{
    return qa_load(&slot_of(s->z, slot(0))->home[CLASS_UNMOVABLE], relaxed) -
           1; /* relaxed: alone */
}

static void nothing(struct scene *s)
{
    must_free(&s->f, must_alloc(&s->f, 0), 0);
    must_free(&s->f, s->run, 10);
}

/* C1: a credit is never negative. */
static void negative_credit(struct scene *s)
{
    qa_store(&slot_of(s->z, slot(0))->credit, (uint64_t)-1, relaxed); /* relaxed: alone */
    (void)must_alloc(&s->f, 0);
}

/* I3: a free frame does not continue a run. */
static void run_map_of_free_frames(struct scene *s)
{
    /* relaxed: alone */
    qa_store(&run_map(s->z, home_block(s))->w[0], ~(uint64_t)0 << 1, relaxed);
    (void)must_alloc(&s->f, 2);
}

/* I1, from the other side: the bits of a run's blocks are set until it is given back. */
static void blocks_not_taken(struct scene *s)
{
    uint32_t b = block_at(s, s->run);

    (void)qa_and(block_word(s->z, b / WORD_BITS), ~(1ull << b % WORD_BITS),
                 relaxed); /* relaxed: alone */
    must_free(&s->f, s->run, 10);
}

/* A run's blocks behind the first one say so. */
static void tail_lost(struct scene *s)
{
    qa_store(desc_of(s->z, block_at(s, s->run) + 1), D_FREE, relaxed); /* relaxed: alone */
    must_free(&s->f, s->run, 10);
}

/* I1: a block whose bit is clear is FREE. */
static void claimed_block_not_free(struct scene *s)
{
    quire_pfn pfn;

    for (uint32_t b = (uint32_t)s->z->first_block; b < s->z->end_block; b++)
        if (desc_state(qa_load(desc_of(s->z, b), relaxed)) == D_FREE) /* relaxed: alone */
            qa_store(desc_of(s->z, b), D_RESERVED, relaxed);          /* relaxed: alone */
    /* The home of the class of large runs is split off a whole block. */
    (void)quire_zone_alloc(s->z, slot(0), 4, 0, &pfn);
}

struct death {
    const char *name;
    void (*damage)(struct scene *s);
    const char *said; /* a part of what it prints */
};

/* What a child prints that does this; in *status how it ends. */
static void child_does(const struct death *d, char *printed, size_t room, int *status)
{
    int out[2];
    size_t n = 0;
    ssize_t some;
    pid_t child;

    assert_int_equal(pipe(out), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        static struct scene s;

        (void)dup2(out[1], STDERR_FILENO);
        (void)signal(SIGABRT, SIG_DFL); /* cmocka has a handler of its own */
        scene_open(&s);
        d->damage(&s);
        _exit(0);
    }
    (void)close(out[1]);
    while (n + 1 < room && (some = read(out[0], printed + n, room - 1 - n)) > 0)
        n += (size_t)some;
    printed[n] = 0;
    (void)close(out[0]);
    assert_int_equal(waitpid(child, status, 0), child);
}

static void test_sound(void **state)
{
    static const struct death none = {"nothing", nothing, ""};
    char printed[512];
    int status;

    (void)state;
    child_does(&none, printed, sizeof(printed), &status);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_deaths(void **state)
{
    static const struct death deaths[] = {
        {"negative credit", negative_credit, "fastpath.h:"},
        {"run map of free frames", run_map_of_free_frames, "take.c:"},
        {"blocks not taken", blocks_not_taken, "section.c:"},
        {"tail lost", tail_lost, "section.c:"},
        {"claimed block not free", claimed_block_not_free, "block_whole.c:"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(deaths) / sizeof(deaths[0]); i++) {
        char printed[512];
        int status;

        child_does(&deaths[i], printed, sizeof(printed), &status);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT ||
            !strstr(printed, deaths[i].said) || !strstr(printed, ": asserted: "))
            fail_msg("%s: status %x, printed \"%s\"", deaths[i].name, (unsigned)status, printed);
    }
}

static void test_not_evaluated(void **state)
{
    (void)state;
    assert_int_equal(evaluated(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound),
        cmocka_unit_test(test_deaths),
        cmocka_unit_test(test_not_evaluated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
