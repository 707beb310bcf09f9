/* SPDX-License-Identifier: MIT
 *
 * fuzz_heap.c - libFuzzer target: sequences of calls on a heap, some with bad pointers and requests
 * that cannot be served, compared with the list of stress/heap/model after every step.
 *
 * The first numbers of the input say which heap it is: what it watches, and how it has its
 * magazines. When the input is used up, the sequence ends. A wrong answer says which call it was,
 * and exits.
 */
#include "stress/fuzz/bytes.h"
#include "stress/heap/model/calls.h"
#include "stress/heap/rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes b = {data, size};
    uint64_t watch = take_number(&b, CALLS_WATCHES);

    (void)rig_mode_set((unsigned)take_number(&b, RIG_MODES));
    calls_run((enum calls_watch)watch, take_number, is_left, &b);
    return 0;
}
