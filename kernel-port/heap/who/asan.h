/* SPDX-License-Identifier: MIT
 *
 * asan.h - what AddressSanitizer is told, where a process is built with it: the bytes of slabs that
 * are no caller's may not be touched, so that whoever uses an object after its free is stopped at
 * that instruction. Elsewhere nothing. Private to kernel-port/heap.
 *
 * The heap itself touches a free object only to look for bugs (watch.c), with the bytes allowed for
 * as long. Frames go back to the machine allowed: so of objects that are runs nothing is told, but
 * while they are in the quarantine.
 */
#ifndef QUIRE_HEAP_ASAN_H
#define QUIRE_HEAP_ASAN_H

#include <stddef.h>

#if !defined(QUIRE_HOSTED)
#define HEAP_ASAN 0
#elif defined(__SANITIZE_ADDRESS__) /* gcc */
#define HEAP_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HEAP_ASAN 1
#endif
#endif
#ifndef HEAP_ASAN
#define HEAP_ASAN 0
#endif

#if HEAP_ASAN
#include <sanitizer/asan_interface.h>
#endif

/* Nobody may touch these bytes, or whoever has them may again. */
static inline void bytes_forbid(const void *at, size_t bytes)
{
#if HEAP_ASAN
    __asan_poison_memory_region(at, bytes);
#else
    (void)at;
    (void)bytes;
#endif
}

static inline void bytes_allow(const void *at, size_t bytes)
{
#if HEAP_ASAN
    __asan_unpoison_memory_region(at, bytes);
#else
    (void)at;
    (void)bytes;
#endif
}

#endif /* QUIRE_HEAP_ASAN_H */
