/* SPDX-License-Identifier: MIT
 *
 * readers.c - see readers.h.
 */
#include "readers.h"

#include "kernel-port/arch/x86_64/layout.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

static void broken(const char *condition, int line)
{
    fprintf(stderr, "readers.c:%d: broken: %s\n", line, condition);
    abort();
}

struct quire_vrange user_range(void)
{
    return quire_vrange_of(USER_START, USER_END - USER_START);
}

/* Memory of its exact size. */
static uint8_t *exactly(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);

    REQUIRE(copy != NULL);
    memcpy(copy, data, size);
    return copy;
}

/* Byte by byte: whatever is changed shows. */
static bool same(const void *a, const void *b, size_t bytes)
{
    return memcmp(a, b, bytes) == 0;
}

static void check_fault(const struct quire_fault *fault, int error)
{
    REQUIRE(fault->what != NULL && fault->error == error);
    REQUIRE(fault->found != fault->expected);
}

/* Each segment can be mapped page by page, beside the others. */
static void check_segments(const struct elf_program *program, size_t size)
{
    struct quire_vrange user = user_range();
    uint64_t end = 0;
    int entries = 0;

    REQUIRE(program->count >= 1 && program->count <= ELF_SEGMENTS);
    for (uint32_t i = 0; i < program->count; i++) {
        const struct elf_segment *s = &program->segments[i];

        REQUIRE(s->bytes > 0 && s->file_bytes <= s->bytes);
        REQUIRE(s->offset <= size && s->file_bytes <= size - s->offset);
        REQUIRE(s->offset % PAGE_BYTES == s->address % PAGE_BYTES);
        REQUIRE(s->address >= user.start.n && s->address / PAGE_BYTES * PAGE_BYTES >= end);
        REQUIRE(s->bytes <= user.start.n + user.bytes - s->address);
        REQUIRE(s->access & QUIRE_READ);
        REQUIRE(!(s->access & QUIRE_WRITE) || !(s->access & QUIRE_EXECUTE));
        REQUIRE(s->file_bytes == s->bytes || (s->access & QUIRE_WRITE));
        end = (s->address + s->bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
        entries += (s->access & QUIRE_EXECUTE) && program->entry >= s->address &&
                   program->entry < s->address + s->file_bytes;
    }
    REQUIRE(entries == 1);
}

int check_program(const uint8_t *data, size_t size, struct quire_fault *fault)
{
    uint8_t *image = exactly(data, size);
    struct elf_program program, before;
    int error;

    memset(&program, 0xa5, sizeof program);
    before = program;
    error = elf_read(image, size, user_range(), &program, fault);
    if (error) {
        REQUIRE(same(&program, &before, sizeof program));
        check_fault(fault, error);
    } else {
        check_segments(&program, size);
    }
    free(image);
    return error;
}

int check_ramdisk(const uint8_t *data, size_t size, struct quire_fault *fault)
{
    uint8_t *image = exactly(data, size);
    struct ramdisk disk = {.count = 77};
    int error = ramdisk_check(image, size, &disk, fault);

    if (error) {
        REQUIRE(disk.count == 77 && disk.start == NULL);
        check_fault(fault, error);
    } else {
        REQUIRE(disk.start == image && disk.bytes == size && disk.count <= RAMDISK_FILES);
    }
    for (uint32_t i = 0; error == 0 && i < disk.count; i++) {
        struct ramdisk_file file = ramdisk_file(&disk, i);

        REQUIRE(memchr(file.name, 0, RAMDISK_NAME) != NULL && file.name[0]);
        REQUIRE(file.offset <= size && file.bytes <= size - file.offset);
        REQUIRE(file.offset % PAGE_BYTES == 0 && file.offset > 0);
    }
    free(image);
    return error;
}
