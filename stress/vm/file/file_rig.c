/* SPDX-License-Identifier: MIT
 *
 * file_rig.c - see file_rig.h.
 */
#include "file_rig.h"

#include "stress/common/assert.h"

#include <stdlib.h>
#include <string.h>

static unsigned char *frame_at(struct file_rig *rig, quire_pfn pfn)
{
    assert_true(pfn.n - SPACE_RIG_FIRST < SPACE_RIG_FRAMES);
    return rig->spaces->memory.bytes + (pfn.n - SPACE_RIG_FIRST) * QUIRE_FRAME_SIZE;
}

static bool fails(struct file_rig *rig, uint64_t page)
{
    if (page == rig->fail_page)
        return true;
    if (!rig->fail_in || --rig->fail_in)
        return false;
    rig->failed = true;
    return true;
}

static int answer_size(void *ctx, uint64_t *bytes)
{
    struct file_rig *rig = ctx;

    *bytes = rig->bytes;
    return fails(rig, UINT64_MAX - 1) ? -1 : 0;
}

/* The words of a frame one by one: other threads may write to them. */
static void copy_words(qa64 *to, const qa64 *from)
{
    for (unsigned i = 0; i < QUIRE_FRAME_SIZE / 8; i++)
        qa_store(&to[i], qa_load(&from[i], relaxed), relaxed);
}

static int read_page(void *ctx, uint64_t page, quire_pfn pfn)
{
    struct file_rig *rig = ctx;
    unsigned char *frame = frame_at(rig, pfn);
    uint64_t bytes = quire_file_size(&rig->file), left;

    (void)qa_add(&rig->reads, 1, relaxed);
    if (rig->during)
        rig->during(rig, page, false);
    if (fails(rig, page))
        return -5;
    memset(frame, 0, QUIRE_FRAME_SIZE);
    left = bytes > page * QUIRE_FRAME_SIZE ? bytes - page * QUIRE_FRAME_SIZE : 0;
    memcpy(frame, file_rig_disk(rig, page),
           left < QUIRE_FRAME_SIZE ? (size_t)left : QUIRE_FRAME_SIZE);
    return 0;
}

static int write_page(void *ctx, uint64_t page, quire_pfn pfn)
{
    struct file_rig *rig = ctx;

    (void)qa_add(&rig->writes, 1, relaxed);
    if (rig->during)
        rig->during(rig, page, true);
    if (fails(rig, page))
        return 7;
    copy_words((qa64 *)(void *)file_rig_disk(rig, page), (qa64 *)(void *)frame_at(rig, pfn));
    return 0;
}

uint64_t file_rig_word(uint64_t page)
{
    return (page + 1) * 0x0101010101010101;
}

uint64_t *file_rig_disk(struct file_rig *rig, uint64_t page)
{
    assert_true(page < FILE_RIG_PAGES);
    return (uint64_t *)(void *)(rig->disk + page * QUIRE_FRAME_SIZE);
}

struct quire_area file_rig_area(struct file_rig *rig, uint64_t start, uint64_t pages, uint64_t page,
                                bool shared, uint32_t access)
{
    struct quire_area area = space_rig_area(start, pages * QUIRE_FRAME_SIZE, access);

    area.kind = shared ? QUIRE_AREA_SHARED : QUIRE_AREA_PRIVATE;
    area.file = &rig->file;
    area.offset = page * QUIRE_FRAME_SIZE;
    return area;
}

void file_rig_begin(struct file_rig *rig, struct space_rig *spaces, uint64_t bytes)
{
    memset(rig, 0, sizeof *rig);
    rig->spaces = spaces;
    rig->bytes = bytes;
    rig->fail_page = UINT64_MAX;
    rig->disk = malloc((size_t)FILE_RIG_PAGES * QUIRE_FRAME_SIZE);
    assert_non_null(rig->disk);
    for (unsigned page = 0; page < FILE_RIG_PAGES; page++)
        memset(file_rig_disk(rig, page), (int)page + 1, QUIRE_FRAME_SIZE);
    rig->config.pager = (struct quire_pager){answer_size, read_page, write_page, rig};
    rig->config.frames = spaces->config.port.frames;
    rig->config.memory = spaces->config.port.memory;
    rig->config.reach = spaces->config.port.paging.reach;
    rig->config.relax = spaces->config.port.relax;
    assert_ok(quire_file_create(&rig->file, &rig->config));
}

void file_rig_end(struct file_rig *rig)
{
    assert_ok(quire_file_destroy(&rig->file));
    free(rig->disk);
}
