/* SPDX-License-Identifier: MIT
 *
 * main.c - the tests of the parts of `quire run`, all in one program.
 */
#include "parts.h"

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hist_is_exact_for_small_values),
        cmocka_unit_test(hist_percentiles_agree_with_sorting),
        cmocka_unit_test(hist_merges),
        cmocka_unit_test(hist_takes_any_value),
        cmocka_unit_test(handover_gives_back_what_it_got),
        cmocka_unit_test(handover_loses_nothing_between_threads),
        cmocka_unit_test(orders_follow_their_derivation),
        cmocka_unit_test(kinds_are_whole),
        cmocka_unit_test(operations_are_drawn_as_published),
        cmocka_unit_test(sequence_depends_on_seed_and_thread),
        cmocka_unit_test(shadow_is_silent_for_good_use),
        cmocka_unit_test(shadow_sees_two_holders),
        cmocka_unit_test(shadow_sees_a_foreign_free),
        cmocka_unit_test(shadow_sees_a_damaged_payload),
        cmocka_unit_test(shadow_sees_frames_that_are_not_zero),
        cmocka_unit_test(shadow_sees_frames_of_no_zone),
        cmocka_unit_test(shadow_sees_what_is_still_held),
        cmocka_unit_test(shadow_finds_a_lost_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
