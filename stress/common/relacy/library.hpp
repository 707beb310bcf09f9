/* SPDX-License-Identifier: MIT
 *
 * library.hpp - Relacy itself, for the few files that touch it: it takes long to compile.
 */
#ifndef QUIRE_STRESS_COMMON_RELACY_LIBRARY_HPP
#define QUIRE_STRESS_COMMON_RELACY_LIBRARY_HPP

#include <new>
#include <relacy/relacy.hpp>

/* Relacy counts allocations with these; nothing here allocates while it explores. */
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free

/* word.cpp: an execution ends, and with it all shared words. */
void words_end();

/* fence.cpp: no word is shared yet; fences are about this one too; a fence. */
void fence_begin();
void fence_about(rl::atomic_data *data);
void fence(rl::debug_info_param info);

#endif /* QUIRE_STRESS_COMMON_RELACY_LIBRARY_HPP */
