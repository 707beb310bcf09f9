/* SPDX-License-Identifier: MIT
 *
 * ramdisk.c - see ramdisk.h.
 */
#include "ramdisk.h"

#include "refuse.h"

enum { HEADER = 16, MAGIC = 8, ALIGN = 4096 };

_Static_assert(sizeof(struct ramdisk_file) == 48, "as ramdisk.h says");

struct ramdisk_file ramdisk_file(const struct ramdisk *disk, uint32_t number)
{
    struct ramdisk_file file;

    __builtin_memcpy(&file, disk->start + HEADER + number * sizeof file, sizeof file);
    return file;
}

/* How many bytes the name has; 0: it is none. */
static uint64_t name_length(const struct ramdisk_file *file)
{
    uint64_t length = 0;

    while (length < RAMDISK_NAME && file->name[length] > ' ' && file->name[length] < 127)
        length++;
    for (uint64_t i = length; i < RAMDISK_NAME; i++)
        if (file->name[i])
            return 0;
    return length < RAMDISK_NAME ? length : 0;
}

static int check_file(const struct ramdisk *disk, uint32_t number, struct quire_fault *fault)
{
    struct ramdisk_file file = ramdisk_file(disk, number);
    uint64_t where = HEADER + number * sizeof file, table = HEADER + disk->count * sizeof file;

    if (name_length(&file) == 0)
        return refuse(fault, QUIRE_ERR_DAMAGED, "the name of a file", where, 0, 1);
    if (file.offset % ALIGN || file.offset < table)
        return refuse(fault, QUIRE_ERR_DAMAGED, "a file begins in the table, or not on a page",
                      where, file.offset, (table + ALIGN - 1) / ALIGN * ALIGN);
    if (file.offset > disk->bytes)
        return refuse(fault, QUIRE_ERR_DAMAGED, "a file begins behind the ramdisk", where,
                      file.offset, disk->bytes);
    if (file.bytes > disk->bytes - file.offset)
        return refuse(fault, QUIRE_ERR_DAMAGED, "a file ends behind the ramdisk", where, file.bytes,
                      disk->bytes - file.offset);
    return QUIRE_OK;
}

int ramdisk_check(const void *start, uint64_t bytes, struct ramdisk *disk,
                  struct quire_fault *fault)
{
    static const char magic[MAGIC + 1] = "quire rd";
    struct ramdisk found = {.start = start, .bytes = bytes};
    uint64_t count;
    int error = QUIRE_OK;

    if (bytes < HEADER)
        return refuse(fault, QUIRE_ERR_UNSUPPORTED, "shorter than the header of a ramdisk", 0,
                      bytes, HEADER);
    for (unsigned i = 0; i < MAGIC; i++)
        if (found.start[i] != (unsigned char)magic[i])
            return refuse(fault, QUIRE_ERR_UNSUPPORTED, "the magic number of a ramdisk", i,
                          found.start[i], (unsigned char)magic[i]);
    __builtin_memcpy(&count, found.start + MAGIC, sizeof count);
    if (count > RAMDISK_FILES)
        return refuse(fault, QUIRE_ERR_FULL, "more files than this kernel reads", MAGIC, count,
                      RAMDISK_FILES);
    if (count > (bytes - HEADER) / sizeof(struct ramdisk_file))
        return refuse(fault, QUIRE_ERR_DAMAGED, "the table of files ends behind the ramdisk", MAGIC,
                      count, (bytes - HEADER) / sizeof(struct ramdisk_file));
    found.count = (uint32_t)count;
    for (uint32_t i = 0; error == 0 && i < found.count; i++)
        error = check_file(&found, i, fault);
    if (error == 0)
        *disk = found;
    return error;
}
