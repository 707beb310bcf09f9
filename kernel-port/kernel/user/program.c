/* SPDX-License-Identifier: MIT
 *
 * program.c - programs of the ramdisk: their page caches, and how one starts.
 *
 * A program is not copied: its segments are private areas of its file, whose pages come when they
 * are touched, and are shared by all that run it, but for those that are written to.
 *
 * State: the ramdisk, a page cache for each of its files, and the files that programs may map;
 * constant while programs run.
 */
#include "process.h"

#include "elf.h"
#include "kernel-port/kernel/console.h"
#include "kernel-port/kernel/heap.h"
#include "kernel-port/kernel/lib/panic.h"
#include "kernel-port/kernel/lib/text.h"
#include "kernel-port/kernel/work.h"
#include "paging.h"

#define STACK_TOP (USER_END - 0x10000)

enum { STACK_PAGES = 16, AROUND = 8 };

struct cached {
    struct ramdisk_file entry;
    struct quire_file file;
};

static struct ramdisk disk;
static struct cached *cached; /* by the number of the ramdisk's file */
static struct quire_file *files[USER_FILES];
static uint32_t file_count;

/* ---- Page caches ---------------------------------------------------------------------------- */

static int pager_size(void *ctx, uint64_t *bytes)
{
    *bytes = ((const struct cached *)ctx)->entry.bytes;
    return 0;
}

static int pager_read(void *ctx, uint64_t page, quire_pfn pfn)
{
    const struct ramdisk_file *entry = &((const struct cached *)ctx)->entry;
    uint64_t at = page * PAGE_BYTES;
    uint64_t bytes = at >= entry->bytes ? 0 : entry->bytes - at;
    char *to = direct(quire_phys(pfn));

    bytes = bytes < PAGE_BYTES ? bytes : PAGE_BYTES;
    memcpy(to, disk.start + entry->offset + at, bytes);
    memset(to + bytes, 0, PAGE_BYTES - bytes);
    return 0;
}

static void open_files(const struct user_config *config)
{
    struct quire_space_config space;

    user_space_config(config, &space);
    /* One more than there are, as there may be none, and the heap gives no object of 0 bytes. */
    cached = heap_take((disk.count + 1) * sizeof *cached, quire_node_of(0), HEAP_FILES);
    for (uint32_t i = 0; i < disk.count; i++) {
        struct quire_file_config want = {
            .pager = {pager_size, pager_read, NULL, &cached[i]},
            .frames = config->cached,
            .memory = heap_pages(HEAP_FILES),
            .reach = space.port.paging.reach,
            .relax = space.port.relax,
            .around = AROUND,
        };

        cached[i].entry = ramdisk_file(&disk, i);
        if (quire_file_create(&cached[i].file, &want))
            panic("user mode: no memory for the page cache of %s", cached[i].entry.name);
    }
}

bool programs_begin(const struct user_config *config, uint64_t phys, uint64_t bytes)
{
    struct quire_fault fault = {.what = NULL};

    if (bytes == 0) {
        print("user mode: the loader brought no ramdisk\n");
        return false;
    }
    if (ramdisk_check(direct(phys), bytes, &disk, &fault)) {
        print("ramdisk: %s at byte %lu: found %lu, expected %lu\n", fault.what, fault.where,
              fault.found, fault.expected);
        return false;
    }
    if (config->file_count > USER_FILES)
        panic("user mode: %u files, %u are possible", config->file_count, (unsigned)USER_FILES);
    file_count = config->file_count;
    memcpy(files, config->files, sizeof files);
    open_files(config);
    return true;
}

void programs_end(void)
{
    for (uint32_t i = 0; i < disk.count; i++)
        if (quire_file_destroy(&cached[i].file))
            panic("user mode: somebody still maps %s", cached[i].entry.name);
    disk.count = 0;
    heap_give_back(cached);
}

struct quire_file *program_file(uint32_t number)
{
    return number - 1 < file_count ? files[number - 1] : NULL;
}

uint64_t user_cached(void)
{
    uint64_t frames = 0;

    for (uint32_t i = 0; i < disk.count; i++)
        frames += quire_file_cached(&cached[i].file);
    return frames;
}

uint64_t programs_reclaim(uint64_t frames)
{
    uint64_t given = 0;

    for (uint32_t i = 0; i < disk.count && given < frames; i++)
        given += quire_file_reclaim(&cached[i].file, frames - given, false);
    for (uint32_t i = 0; i < file_count && given < frames; i++)
        given += quire_file_reclaim(files[i], frames - given, false);
    if (given < frames)
        given += quire_heap_trim(&kernel_heap);
    return given;
}

/* ---- A program starts ----------------------------------------------------------------------- */

static uint64_t page_up(uint64_t n)
{
    return (n + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

static int reserve(struct process *process, uint64_t start, uint64_t end, uint32_t access,
                   struct quire_file *file, uint64_t offset, uint32_t flags)
{
    struct quire_area area = {.range = quire_vrange_of(start, end - start),
                              .kind = file ? QUIRE_AREA_PRIVATE : QUIRE_AREA_ANONYMOUS,
                              .access = access | QUIRE_USER,
                              .file = file,
                              .offset = offset};

    return start == end ? QUIRE_OK : quire_space_reserve(&process->space, &area, flags, NULL);
}

/* What of the last page with bytes of the file is behind them is zeros. */
static int clear_rest(struct process *process, const struct elf_segment *s)
{
    static const char zeros[PAGE_BYTES];
    uint64_t end = s->address + s->file_bytes, rest = page_up(end) - end;
    int error;

    if (s->bytes == s->file_bytes || rest == 0)
        return QUIRE_OK;
    process_load(process);
    error = user_copy_out(end, zeros, rest);
    process_unload();
    return error;
}

static int load_segment(struct process *process, const struct elf_segment *s,
                        struct quire_file *file)
{
    uint64_t before = s->address % PAGE_BYTES, start = s->address - before;
    uint64_t middle = s->file_bytes ? page_up(s->address + s->file_bytes) : start;
    int error = reserve(process, start, middle, s->access, file, s->offset - before, 0);

    if (error == 0)
        error = reserve(process, middle, page_up(s->address + s->bytes), s->access, NULL, 0, 0);
    return error ? error : clear_rest(process, s);
}

static int load(struct process *process, struct cached *from, uint64_t *entry)
{
    const uint64_t stack = STACK_TOP - STACK_PAGES * (uint64_t)PAGE_BYTES;
    struct quire_vrange user = quire_vrange_of(USER_START, stack - PAGE_BYTES - USER_START);
    struct elf_program program;
    struct quire_fault fault = {.what = NULL};
    int error =
        elf_read(disk.start + from->entry.offset, from->entry.bytes, user, &program, &fault);

    if (error) {
        print("%s: %s at byte %lu: found %lx, expected %lx\n", from->entry.name, fault.what,
              fault.where, fault.found, fault.expected);
        return error;
    }
    for (uint32_t i = 0; i < program.count && error == 0; i++)
        error = load_segment(process, &program.segments[i], &from->file);
    if (error == 0)
        error = reserve(process, stack, STACK_TOP, QUIRE_READ | QUIRE_WRITE, NULL, 0,
                        QUIRE_RESERVE_STACK);
    process->stack = stack;
    *entry = program.entry;
    return error;
}

static struct cached *find(const char *name)
{
    for (uint32_t i = 0; i < disk.count; i++)
        if (text_equal(name, text_length(name), cached[i].entry.name))
            return &cached[i];
    print("the ramdisk has no %s\n", name);
    return NULL;
}

int program_start(struct user_program *program)
{
    struct cached *from = find(program->name);
    struct process *process = from ? process_new(program->name) : NULL;
    struct thread *thread = process ? thread_new(process) : NULL;
    uint64_t entry = 0;
    int error = !from    ? QUIRE_ERR_SIZE
                : thread ? process_space_create(process)
                         : QUIRE_ERR_NO_MEMORY;

    if (error == 0) {
        error = load(process, from, &entry);
        if (error)
            quire_space_destroy(&process->space);
    }
    if (error) {
        if (thread)
            thread_drop(thread);
        if (process)
            process_drop(process);
        return error;
    }
    process->program = program;
    user_frame_init(&thread->frame, entry, STACK_TOP, program->argument);
    process_enter(process, NULL);
    thread_ready(thread);
    return QUIRE_OK;
}

/* ---- What the kernel sees ------------------------------------------------------------------- */

bool user_begin(const struct user_config *config, uint64_t phys, uint64_t bytes)
{
    schedule_begin();
    if (!programs_begin(config, phys, bytes))
        return false;
    spaces_of_users_begin(config);
    copies_begin();
    return true;
}

static void run_here(void *argument)
{
    (void)argument;
    schedule_run();
}

void user_run(struct user_program *programs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        int error = program_start(&programs[i]);

        if (error)
            programs[i].end = (struct call_end){.kind = END_FAULT, .status = error};
    }
    work_on_all(run_here, NULL);
}

void user_end(void)
{
    copies_end();
    programs_end();
    spaces_of_users_end();
}
