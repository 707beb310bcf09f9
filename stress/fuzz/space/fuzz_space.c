/* SPDX-License-Identifier: MIT
 *
 * fuzz_space.c - libFuzzer target: sequences of calls on address spaces and mapped files, some with
 * hostile arguments, compared with the naive maps of stress/vm/file after every step.
 *
 * When the input is used up, the sequence ends. A wrong answer says which call it was, and exits.
 */
#include "stress/fuzz/bytes.h"
#include "stress/vm/file/calls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes b = {data, size};

    calls_run(take_number, is_left, &b);
    return 0;
}
