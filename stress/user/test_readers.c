/* SPDX-License-Identifier: MIT
 *
 * test_readers.c - the readers of programs and ramdisks: what is refused, by name; and, a property,
 * any byte of a good file changed to any of a few others, and the file cut anywhere.
 */
#include "readers.h"
#include "stress/common/assert.h"

#include <string.h>

enum { PAGE = 4096, FILE_BYTES = 3 * PAGE, HEADERS = 64, HEADER = 56 };

#define AT 0x400000ul

static uint8_t file[FILE_BYTES];
static struct quire_fault fault;

static void put(size_t offset, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        file[offset + i] = (uint8_t)(value >> 8 * i);
}

/* Without a zero behind it. */
static void put_text(size_t offset, const char *text)
{
    for (size_t i = 0; text[i]; i++)
        file[offset + i] = (uint8_t)text[i];
}

/* The number-th program header. */
static void put_header(unsigned number, uint32_t type, uint32_t flags, uint64_t offset,
                       uint64_t address, uint64_t in_file, uint64_t in_memory)
{
    size_t at = HEADERS + number * HEADER;

    put(at, type, 4);
    put(at + 4, flags, 4);
    put(at + 8, offset, 8);
    put(at + 16, address, 8);
    put(at + 24, address, 8);
    put(at + 32, in_file, 8);
    put(at + 40, in_memory, 8);
    put(at + 48, PAGE, 8);
}

/* Code, and data with zeros behind it; a stack that is not executed. */
static void good_program(void)
{
    static const uint8_t ident[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};

    memset(file, 0, sizeof file);
    memcpy(file, ident, sizeof ident);
    put(16, 2, 2);
    put(18, 62, 2);
    put(20, 1, 4);
    put(24, AT + PAGE + 16, 8);
    put(32, HEADERS, 8);
    put(52, 64, 2);
    put(54, HEADER, 2);
    put(56, 3, 2);
    put_header(0, 1, 5, PAGE, AT + PAGE, 100, 100);
    put_header(1, 1, 6, 2 * PAGE + 24, AT + 8 * PAGE + 24, 100, 3 * PAGE);
    put_header(2, 0x6474e551, 6, 0, 0, 0, 0);
}

static void refused(int error, const char *why)
{
    assert_error(check_program(file, sizeof file, &fault), error);
    assert_string_equal(fault.what, why);
    good_program();
    assert_ok(check_program(file, sizeof file, &fault));
}

static void files_of_another_kind_are_refused(void **state)
{
    static const struct {
        size_t offset;
        const char *why;
    } fields[] = {{0, "byte 0 of the magic number"},
                  {1, "byte 1 of the magic number"},
                  {2, "byte 2 of the magic number"},
                  {3, "byte 3 of the magic number"},
                  {4, "class: not 64 bits"},
                  {5, "data: not little-endian"},
                  {6, "version of the identification"},
                  {7, "an ABI that is not System V"},
                  {16, "type: not a program at fixed addresses"},
                  {18, "machine: not x86-64"},
                  {20, "version"},
                  {52, "size of the file header"},
                  {54, "size of a program header"}};

    (void)state;
    good_program();
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        file[fields[i].offset] ^= 3;
        refused(QUIRE_ERR_UNSUPPORTED, fields[i].why);
    }
    assert_error(check_program(file, 63, &fault), QUIRE_ERR_UNSUPPORTED);
    assert_string_equal(fault.what, "the file is shorter than a file header");
}

static void tables_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    good_program();
    put(56, 0, 2);
    refused(QUIRE_ERR_DAMAGED, "there is no program header");
    put(56, ELF_HEADERS + 1, 2);
    refused(QUIRE_ERR_FULL, "more program headers than this kernel reads");
    put(32, FILE_BYTES - 3 * HEADER + 1, 8);
    refused(QUIRE_ERR_DAMAGED, "the program headers end behind the file");
    put(32, UINT64_MAX - HEADER, 8);
    refused(QUIRE_ERR_DAMAGED, "the program headers begin behind the file");
    put(56, ELF_SEGMENTS + 1, 2);
    for (unsigned i = 0; i <= ELF_SEGMENTS; i++)
        put_header(i, 1, 5, PAGE, AT + (i + 1) * PAGE, 100, 100);
    refused(QUIRE_ERR_FULL, "more segments than this kernel loads");
}

static void programs_that_need_more_are_refused(void **state)
{
    static const struct {
        uint32_t type, flags;
        const char *why;
    } kinds[] = {{2, 4, "a program that is linked at run time"},
                 {3, 4, "a program with an interpreter"},
                 {7, 4, "a program with storage for threads"},
                 {0x6474e551, 7, "a program with an executable stack"}};

    (void)state;
    good_program();
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        put_header(2, kinds[i].type, kinds[i].flags, 0, 0, 0, 0);
        refused(QUIRE_ERR_UNSUPPORTED, kinds[i].why);
    }
}

/* Of the second segment, one thing is wrong. */
static void bad_segment(uint32_t flags, uint64_t offset, uint64_t address, uint64_t in_file,
                        uint64_t in_memory, int error, const char *why)
{
    put_header(1, 1, flags, offset, address, in_file, in_memory);
    refused(error, why);
}

static void segments_that_cannot_be_mapped_are_refused(void **state)
{
    const uint64_t end = user_range().start.n + user_range().bytes;

    (void)state;
    good_program();
    bad_segment(6, 0, AT + 8 * PAGE, 0, 0, QUIRE_ERR_DAMAGED, "a segment of no bytes");
    bad_segment(6, 0, AT + 8 * PAGE, 2, 1, QUIRE_ERR_DAMAGED,
                "more bytes of a segment in the file than in memory");
    bad_segment(6, 2 * PAGE, AT + 8 * PAGE, PAGE + 1, PAGE + 1, QUIRE_ERR_DAMAGED,
                "a segment ends behind the file");
    bad_segment(6, UINT64_MAX - PAGE + 1, AT + 8 * PAGE, PAGE, PAGE, QUIRE_ERR_DAMAGED,
                "a segment begins behind the file");
    bad_segment(6, 2 * PAGE, AT + 8 * PAGE + 8, 8, 8, QUIRE_ERR_DAMAGED,
                "a segment is elsewhere in its page than in memory");
    bad_segment(6, 0, 0, 8, 8, QUIRE_ERR_ADDRESS, "a segment begins outside of user memory");
    bad_segment(6, 0, end, 8, 8, QUIRE_ERR_ADDRESS, "a segment begins outside of user memory");
    bad_segment(6, 0, UINT64_MAX - PAGE + 1, 8, 8, QUIRE_ERR_ADDRESS,
                "a segment begins outside of user memory");
    bad_segment(6, 0, end - PAGE, 8, PAGE + 1, QUIRE_ERR_ADDRESS,
                "a segment ends outside of user memory");
    bad_segment(6, 0, AT + 8 * PAGE, 8, UINT64_MAX, QUIRE_ERR_ADDRESS,
                "a segment ends outside of user memory");
    bad_segment(6, 200, AT + PAGE + 200, 8, 8, QUIRE_ERR_DAMAGED,
                "a segment has a page of the one before it");
    bad_segment(6, 0, AT, 8, 8, QUIRE_ERR_DAMAGED, "a segment has a page of the one before it");
    bad_segment(2, 0, AT + 8 * PAGE, 8, 8, QUIRE_ERR_UNSUPPORTED, "a segment that is not readable");
    bad_segment(7, 0, AT + 8 * PAGE, 8, 8, QUIRE_ERR_UNSUPPORTED,
                "a segment that is writable and executable");
    bad_segment(4, 0, AT + 8 * PAGE, 8, 9, QUIRE_ERR_UNSUPPORTED,
                "zeros behind a segment that is not writable");
    put(24, AT + PAGE + 100, 8);
    refused(QUIRE_ERR_DAMAGED, "the entry is in no executable segment");
    put(24, AT + 8 * PAGE + 24, 8);
    refused(QUIRE_ERR_DAMAGED, "the entry is in no executable segment");
    put(24, 0, 8);
    refused(QUIRE_ERR_DAMAGED, "the entry is in no executable segment");
    put_header(0, 1, 4, PAGE, AT + PAGE, 100, 100);
    refused(QUIRE_ERR_DAMAGED, "there is no executable segment");
}

static void good_ramdisk(void)
{
    memset(file, 0, sizeof file);
    put_text(0, "quire rd");
    put(8, 2, 8);
    put_text(16, "hello");
    put(16 + 32, PAGE, 8);
    put(16 + 40, 5, 8);
    put_text(64, "a-name-of-thirty-one-characters");
    put(64 + 32, 2 * PAGE, 8);
    put(64 + 40, PAGE, 8);
}

static void no_ramdisk(int error, const char *why)
{
    assert_error(check_ramdisk(file, sizeof file, &fault), error);
    assert_string_equal(fault.what, why);
    good_ramdisk();
    assert_ok(check_ramdisk(file, sizeof file, &fault));
}

static void ramdisks_are_looked_at(void **state)
{
    const char *place = "a file begins in the table, or not on a page";

    (void)state;
    good_ramdisk();
    file[7] = 'D';
    no_ramdisk(QUIRE_ERR_UNSUPPORTED, "the magic number of a ramdisk");
    put(8, RAMDISK_FILES + 1, 8);
    no_ramdisk(QUIRE_ERR_FULL, "more files than this kernel reads");
    file[16 + 2] = ' ';
    no_ramdisk(QUIRE_ERR_DAMAGED, "the name of a file");
    file[16] = 0;
    no_ramdisk(QUIRE_ERR_DAMAGED, "the name of a file");
    file[64 + 31] = 'x';
    no_ramdisk(QUIRE_ERR_DAMAGED, "the name of a file");
    put(16 + 32, 0, 8);
    no_ramdisk(QUIRE_ERR_DAMAGED, place);
    put(16 + 32, PAGE + 8, 8);
    no_ramdisk(QUIRE_ERR_DAMAGED, place);
    put(16 + 32, UINT64_MAX - PAGE + 1, 8);
    no_ramdisk(QUIRE_ERR_DAMAGED, "a file begins behind the ramdisk");
    put(64 + 40, PAGE + 1, 8);
    no_ramdisk(QUIRE_ERR_DAMAGED, "a file ends behind the ramdisk");
    put(64 + 40, UINT64_MAX, 8);
    no_ramdisk(QUIRE_ERR_DAMAGED, "a file ends behind the ramdisk");
    assert_error(check_ramdisk(file, 15, &fault), QUIRE_ERR_UNSUPPORTED);
    assert_error(check_ramdisk(file, 16 + 95, &fault), QUIRE_ERR_DAMAGED);
}

/* A read of one; cut to each length, and with each byte of its first ones changed. */
static void damage(void (*make)(void), int (*check)(const uint8_t *, size_t, struct quire_fault *))
{
    static const uint8_t changes[] = {0x01, 0x02, 0x80, 0xff, 0x10};

    make();
    for (size_t size = 0; size < HEADERS + 4 * HEADER; size++)
        (void)check(file, size, &fault);
    for (size_t i = 0; i < HEADERS + 3 * HEADER; i++)
        for (size_t c = 0; c < sizeof changes; c++) {
            file[i] ^= changes[c];
            (void)check(file, sizeof file, &fault);
            file[i] ^= changes[c];
        }
    assert_ok(check(file, sizeof file, &fault));
}

static void any_byte_may_be_any_other(void **state)
{
    (void)state;
    damage(good_program, check_program);
    damage(good_ramdisk, check_ramdisk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_another_kind_are_refused),
        cmocka_unit_test(tables_that_do_not_fit_are_refused),
        cmocka_unit_test(programs_that_need_more_are_refused),
        cmocka_unit_test(segments_that_cannot_be_mapped_are_refused),
        cmocka_unit_test(ramdisks_are_looked_at),
        cmocka_unit_test(any_byte_may_be_any_other),
    };

    return cmocka_run_group_tests_name("program_files", tests, NULL, NULL);
}
