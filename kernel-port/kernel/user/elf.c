/* SPDX-License-Identifier: MIT
 *
 * elf.c - see elf.h. The names of fields are those of the ELF specification, without their prefix.
 */
#include "elf.h"

#include "refuse.h"

struct file_header {
    unsigned char ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct program_header {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

_Static_assert(sizeof(struct file_header) == 64 && sizeof(struct program_header) == 56, "ELF");

enum {
    TYPE_LOAD = 1,
    TYPE_DYNAMIC = 2,
    TYPE_INTERPRETER = 3,
    TYPE_THREAD_STORAGE = 7,
    TYPE_STACK = 0x6474e551,
    FLAG_EXECUTE = 1,
    FLAG_WRITE = 2,
    FLAG_READ = 4,
    PAGE = QUIRE_FRAME_SIZE,
};

#define OFFSET(field) __builtin_offsetof(struct file_header, field)

/* Is it an executable file for this processor? */
static int check_kind(const struct file_header *h, uint64_t bytes, struct quire_fault *fault)
{
    const struct {
        const char *what;
        uint64_t where, found, expected;
    } fields[] = {
        {"byte 0 of the magic number", 0, h->ident[0], 0x7f},
        {"byte 1 of the magic number", 1, h->ident[1], 'E'},
        {"byte 2 of the magic number", 2, h->ident[2], 'L'},
        {"byte 3 of the magic number", 3, h->ident[3], 'F'},
        {"class: not 64 bits", 4, h->ident[4], 2},
        {"data: not little-endian", 5, h->ident[5], 1},
        {"version of the identification", 6, h->ident[6], 1},
        {"an ABI that is not System V", 7, h->ident[7], 0},
        {"type: not a program at fixed addresses", OFFSET(type), h->type, 2},
        {"machine: not x86-64", OFFSET(machine), h->machine, 62},
        {"version", OFFSET(version), h->version, 1},
        {"size of the file header", OFFSET(ehsize), h->ehsize, sizeof *h},
        {"size of a program header", OFFSET(phentsize), h->phentsize,
         sizeof(struct program_header)},
    };

    if (bytes < sizeof *h)
        return refuse(fault, QUIRE_ERR_UNSUPPORTED, "the file is shorter than a file header", 0,
                      bytes, sizeof *h);
    for (unsigned i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (fields[i].found != fields[i].expected)
            return refuse(fault, QUIRE_ERR_UNSUPPORTED, fields[i].what, fields[i].where,
                          fields[i].found, fields[i].expected);
    return QUIRE_OK;
}

static int check_table(const struct file_header *h, uint64_t bytes, struct quire_fault *fault)
{
    uint64_t table = h->phnum * sizeof(struct program_header);

    if (h->phnum == 0)
        return refuse(fault, QUIRE_ERR_DAMAGED, "there is no program header", OFFSET(phnum), 0, 1);
    if (h->phnum > ELF_HEADERS)
        return refuse(fault, QUIRE_ERR_FULL, "more program headers than this kernel reads",
                      OFFSET(phnum), h->phnum, ELF_HEADERS);
    if (h->phoff > bytes)
        return refuse(fault, QUIRE_ERR_DAMAGED, "the program headers begin behind the file",
                      OFFSET(phoff), h->phoff, bytes);
    if (table > bytes - h->phoff)
        return refuse(fault, QUIRE_ERR_DAMAGED, "the program headers end behind the file",
                      OFFSET(phoff), table, bytes - h->phoff);
    return QUIRE_OK;
}

/* A segment that is loaded, as the header at `where` has it; those before it end at page `end`. */
static int check_segment(const struct program_header *p, uint64_t where, uint64_t bytes,
                         struct quire_vrange user, uint64_t end, struct quire_fault *fault)
{
    uint64_t top = user.start.n + user.bytes; /* of the lower half: no overflow */

    if (p->memsz == 0)
        return refuse(fault, QUIRE_ERR_DAMAGED, "a segment of no bytes", where, 0, 1);
    if (p->filesz > p->memsz)
        return refuse(fault, QUIRE_ERR_DAMAGED,
                      "more bytes of a segment in the file than in memory", where, p->filesz,
                      p->memsz);
    if (p->offset > bytes)
        return refuse(fault, QUIRE_ERR_DAMAGED, "a segment begins behind the file", where,
                      p->offset, bytes);
    if (p->filesz > bytes - p->offset)
        return refuse(fault, QUIRE_ERR_DAMAGED, "a segment ends behind the file", where, p->filesz,
                      bytes - p->offset);
    if (p->offset % PAGE != p->vaddr % PAGE)
        return refuse(fault, QUIRE_ERR_DAMAGED, "a segment is elsewhere in its page than in memory",
                      where, p->offset % PAGE, p->vaddr % PAGE);
    if (p->vaddr < user.start.n || p->vaddr >= top)
        return refuse(fault, QUIRE_ERR_ADDRESS, "a segment begins outside of user memory", where,
                      p->vaddr, user.start.n);
    if (p->memsz > top - p->vaddr)
        return refuse(fault, QUIRE_ERR_ADDRESS, "a segment ends outside of user memory", where,
                      p->memsz, top - p->vaddr);
    if (p->vaddr - p->vaddr % PAGE < end)
        return refuse(fault, QUIRE_ERR_DAMAGED, "a segment has a page of the one before it", where,
                      p->vaddr, end);
    if (!(p->flags & FLAG_READ))
        return refuse(fault, QUIRE_ERR_UNSUPPORTED, "a segment that is not readable", where,
                      p->flags, p->flags | FLAG_READ);
    if ((p->flags & FLAG_WRITE) && (p->flags & FLAG_EXECUTE))
        return refuse(fault, QUIRE_ERR_UNSUPPORTED, "a segment that is writable and executable",
                      where, p->flags, p->flags & ~(uint32_t)FLAG_EXECUTE);
    if (p->memsz > p->filesz && !(p->flags & FLAG_WRITE))
        return refuse(fault, QUIRE_ERR_UNSUPPORTED, "zeros behind a segment that is not writable",
                      where, p->memsz, p->filesz);
    return QUIRE_OK;
}

static void add_segment(struct elf_program *program, const struct program_header *p)
{
    program->segments[program->count++] = (struct elf_segment){
        .address = p->vaddr,
        .bytes = p->memsz,
        .offset = p->offset,
        .file_bytes = p->filesz,
        .access = QUIRE_READ | (p->flags & FLAG_WRITE ? (uint32_t)QUIRE_WRITE : 0) |
                  (p->flags & FLAG_EXECUTE ? (uint32_t)QUIRE_EXECUTE : 0)};
}

/* One program header; those that say nothing about running the program are passed over. */
static int read_header(struct elf_program *program, const struct program_header *p, uint64_t where,
                       uint64_t bytes, struct quire_vrange user, struct quire_fault *fault)
{
    const struct elf_segment *last = program->count ? &program->segments[program->count - 1] : NULL;
    uint64_t end = last ? (last->address + last->bytes + PAGE - 1) / PAGE * PAGE : 0;
    int error;

    switch (p->type) {
    case TYPE_DYNAMIC:
        return refuse(fault, QUIRE_ERR_UNSUPPORTED, "a program that is linked at run time", where,
                      p->type, TYPE_LOAD);
    case TYPE_INTERPRETER:
        return refuse(fault, QUIRE_ERR_UNSUPPORTED, "a program with an interpreter", where, p->type,
                      TYPE_LOAD);
    case TYPE_THREAD_STORAGE:
        return refuse(fault, QUIRE_ERR_UNSUPPORTED, "a program with storage for threads", where,
                      p->type, TYPE_LOAD);
    case TYPE_STACK:
        if (p->flags & FLAG_EXECUTE)
            return refuse(fault, QUIRE_ERR_UNSUPPORTED, "a program with an executable stack", where,
                          p->flags, p->flags & ~(uint32_t)FLAG_EXECUTE);
        return QUIRE_OK;
    case TYPE_LOAD:
        break;
    default:
        return QUIRE_OK;
    }
    if (program->count == ELF_SEGMENTS)
        return refuse(fault, QUIRE_ERR_FULL, "more segments than this kernel loads", where,
                      program->count + 1, ELF_SEGMENTS);
    error = check_segment(p, where, bytes, user, end, fault);
    if (error == 0)
        add_segment(program, p);
    return error;
}

static int check_entry(const struct elf_program *program, struct quire_fault *fault)
{
    const struct elf_segment *code = NULL;

    for (uint32_t i = 0; i < program->count; i++) {
        const struct elf_segment *s = &program->segments[i];

        if (!(s->access & QUIRE_EXECUTE))
            continue;
        code = s;
        if (program->entry - s->address < s->file_bytes)
            return QUIRE_OK;
    }
    if (!code)
        return refuse(fault, QUIRE_ERR_DAMAGED, "there is no executable segment", OFFSET(entry), 0,
                      1);
    return refuse(fault, QUIRE_ERR_DAMAGED, "the entry is in no executable segment", OFFSET(entry),
                  program->entry, code->address);
}

int elf_read(const void *image, uint64_t bytes, struct quire_vrange user,
             struct elf_program *program, struct quire_fault *fault)
{
    const unsigned char *file = image;
    struct elf_program result = {.count = 0};
    struct file_header h = {.ident = {0}};
    int error;

    __builtin_memcpy(&h, file, bytes < sizeof h ? 0 : sizeof h);
    error = check_kind(&h, bytes, fault);
    if (error == 0)
        error = check_table(&h, bytes, fault);
    for (uint32_t i = 0; error == 0 && i < h.phnum; i++) {
        uint64_t where = h.phoff + i * sizeof(struct program_header);
        struct program_header p;

        __builtin_memcpy(&p, file + where, sizeof p);
        error = read_header(&result, &p, where, bytes, user, fault);
    }
    result.entry = h.entry;
    if (error == 0)
        error = check_entry(&result, fault);
    if (error == 0)
        *program = result;
    return error;
}
