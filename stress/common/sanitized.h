/* SPDX-License-Identifier: MIT
 *
 * sanitized.h - SANITIZED: is this build under ThreadSanitizer or AddressSanitizer? 1 or 0. It is
 * slow then, full of code that the compiler put in, and its address space is mostly shadow. Tests
 * that cannot work so ask this, and say what they leave out. ADDRESS_SANITIZED: under the latter?
 *
 * ONE_THREAD(whole, part): how much a test that has threads does where one of them is alone. There
 * are no races for ThreadSanitizer to see, which is ten times as slow: there it does the part,
 * elsewhere the whole.
 */
#ifndef QUIRE_STRESS_COMMON_SANITIZED_H
#define QUIRE_STRESS_COMMON_SANITIZED_H

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__) /* gcc */
#define SANITIZED 1
#elif defined(__has_feature) /* clang */
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#if defined(__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZED 1
#endif
#endif
#ifndef ADDRESS_SANITIZED
#define ADDRESS_SANITIZED 0
#endif

#if defined(__SANITIZE_THREAD__)
#define ONE_THREAD(whole, part) (part)
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ONE_THREAD(whole, part) (part)
#endif
#endif
#ifndef ONE_THREAD
#define ONE_THREAD(whole, part) (whole)
#endif

#endif /* QUIRE_STRESS_COMMON_SANITIZED_H */
