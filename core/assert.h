/* SPDX-License-Identifier: MIT
 *
 * assert.h - the written invariants and preconditions, checked where they are relied on.
 *
 *   qi_assert(condition)        about what the caller has in hand: arguments, words that it read
 *                               or exchanged.
 *   qi_assert_held(condition)   reads words of the metadata that nobody else may change just now,
 *                               as the caller holds the block. Not in the interleaving tests, where
 *                               each read would be a step more to explore.
 *
 * No condition may hold by luck: what another thread may change meanwhile is not asserted. A bad
 * free that no check can see (it came after the frame was handed out again) may fail an assert
 * later; that is a defect of the caller, found.
 *
 * In a checked build (QUIRE_CHECKED) and in the interleaving tests a condition that is false ends
 * the program: hosted, file, line and condition are printed and it aborts; freestanding, it traps.
 * A kernel that would rather print defines QUIRE_ASSERT_HANDLER as the name of a function of its
 * own,
 *
 *     void handler(const char *file, int line, const char *condition);      does not return
 *
 * In all other builds a condition is compiled, so that it stays true to the code, and never
 * evaluated; nothing of it is left in the program.
 */
#ifndef QUIRE_CORE_ASSERT_H
#define QUIRE_CORE_ASSERT_H

#include <stdbool.h>

#define QI_ASSERT_TEXT_(x) #x
#define QI_ASSERT_TEXT(x)  QI_ASSERT_TEXT_(x)
#ifdef __clang_analyzer__ /* it learns that a condition holds: no path goes on without */
#define QI_ASSERT_OFF(condition) ((condition) ? (void)0 : __builtin_unreachable())
#else
#define QI_ASSERT_OFF(condition) ((void)(false && (condition)))
#endif

#if defined(QUIRE_RELACY)

/* stress/common/relacy/explore.cpp: the execution ends, and its history is printed. */
void require(bool good, const char *what);

#define qi_assert(condition) \
    require((condition), __FILE__ ":" QI_ASSERT_TEXT(__LINE__) ": asserted: " #condition)
#define qi_assert_held(condition) QI_ASSERT_OFF(condition)

#elif defined(QUIRE_CHECKED)

#if defined(QUIRE_ASSERT_HANDLER)

__attribute__((__noreturn__)) void QUIRE_ASSERT_HANDLER(const char *file, int line,
                                                        const char *condition);

#define QI_ASSERT_FAILED(condition) QUIRE_ASSERT_HANDLER(__FILE__, __LINE__, condition)

#elif defined(QUIRE_HOSTED)

#include <stdio.h>
#include <stdlib.h>

static inline __attribute__((__noreturn__, __cold__)) void assert_failed(const char *file, int line,
                                                                         const char *condition)
{
    (void)fprintf(stderr, "%s:%d: asserted: %s\n", file, line, condition);
    abort();
}

#define QI_ASSERT_FAILED(condition) assert_failed(__FILE__, __LINE__, condition)

#else

#define QI_ASSERT_FAILED(condition) __builtin_trap()

#endif

#define qi_assert(condition)      ((condition) ? (void)0 : QI_ASSERT_FAILED(#condition))
#define qi_assert_held(condition) qi_assert(condition)

#else

#define qi_assert(condition)      QI_ASSERT_OFF(condition)
#define qi_assert_held(condition) QI_ASSERT_OFF(condition)

#endif

#endif /* QUIRE_CORE_ASSERT_H */
