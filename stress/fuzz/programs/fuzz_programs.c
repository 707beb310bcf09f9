/* SPDX-License-Identifier: MIT
 *
 * fuzz_programs.c - any bytes as a program and as a ramdisk, whose files are read as programs.
 */
#include "stress/user/readers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct quire_fault fault = {.what = NULL};
    struct ramdisk disk;

    (void)check_program(data, size, &fault);
    if (check_ramdisk(data, size, &fault) || ramdisk_check(data, size, &disk, &fault))
        return 0;
    for (uint32_t i = 0; i < disk.count; i++) {
        struct ramdisk_file file = ramdisk_file(&disk, i);

        (void)check_program(data + file.offset, file.bytes, &fault);
    }
    return 0;
}
