/* SPDX-License-Identifier: MIT
 *
 * broken.hpp - the explored code with one operation broken, as the command line says: no file is
 * changed and nothing is compiled, because each operation brings the place where it stands. The
 * generator of stress/mutation asks for it.
 *
 *     --broken=core/blocks/take.c:71-72:cas:acq_rel:release
 *
 * breaks the operations of that kind and order between these lines of the file. The last word is
 * the order that they have instead; or `none`: a fence does nothing, a compare-and-swap does not
 * compare, stores, and says that all went well. What it breaks and is not executed as a step of the
 * case (a quiet word, another file) changes nothing. --places prints, for each case, what could be
 * broken: the operations on shared words, and the fences.
 */
#ifndef QUIRE_STRESS_COMMON_RELACY_BROKEN_HPP
#define QUIRE_STRESS_COMMON_RELACY_BROKEN_HPP

#include "word.hpp"

/* Understand one of the two options; false, having said so, if it is none. */
bool break_as_told(const char *option);

/* The order that the operation is to have. */
Order broken_order(const Place &place, const char *kind, Order order);

/* Is this fence, or this compare-and-swap, broken? */
bool is_broken(const Place &place, const char *kind);

/* A case begins; it is over, and its places are printed if they were asked for. */
void places_begin();
void places_print();

#endif /* QUIRE_STRESS_COMMON_RELACY_BROKEN_HPP */
