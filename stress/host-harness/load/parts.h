/* SPDX-License-Identifier: MIT
 *
 * parts.h - the tests that main.c runs, by the file that they are in.
 */
#ifndef QUIRE_STRESS_HOST_HARNESS_LOAD_PARTS_H
#define QUIRE_STRESS_HOST_HARNESS_LOAD_PARTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* test_parts.c: histogram and hand-over table */
void hist_is_exact_for_small_values(void **state);
void hist_percentiles_agree_with_sorting(void **state);
void hist_merges(void **state);
void hist_takes_any_value(void **state);
void handover_gives_back_what_it_got(void **state);
void handover_loses_nothing_between_threads(void **state);

/* test_sequence.c: the operation sequence */
void orders_follow_their_derivation(void **state);
void kinds_are_whole(void **state);
void operations_are_drawn_as_published(void **state);
void sequence_depends_on_seed_and_thread(void **state);

/* test_shadow.c: the shadow model */
void shadow_is_silent_for_good_use(void **state);
void shadow_sees_two_holders(void **state);
void shadow_sees_a_foreign_free(void **state);
void shadow_sees_a_damaged_payload(void **state);
void shadow_sees_frames_that_are_not_zero(void **state);
void shadow_sees_frames_of_no_zone(void **state);
void shadow_sees_what_is_still_held(void **state);
void shadow_finds_a_lost_frame(void **state);

#endif /* QUIRE_STRESS_HOST_HARNESS_LOAD_PARTS_H */
