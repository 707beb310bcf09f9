/* SPDX-License-Identifier: MIT
 *
 * giant.c - zones of terabytes: the metadata is reserved address space of which only what is used
 * is touched, and building costs a look at the sections, not at the frames.
 */
#include "stress/common/zone_fixture.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define TIB_FRAMES (UINT64_C(1) << 28)
#define SMALL      (SIZE_MAX == UINT32_MAX) /* an address space of 32 bits */

/* How many bytes of the mapping are in memory. */
static size_t resident(void *mapping, size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t pages = (bytes + page - 1) / page;
    unsigned char *in = malloc(pages);
    size_t count = 0;
    assert_non_null(in);
    assert_int_equal(mincore(mapping, bytes, in), 0);
    for (size_t i = 0; i < pages; i++) {
        count += in[i] & 1u;
    }
    free(in);
    return count * page;
}

static void open_giant(struct fixture *f, uint64_t frames)
{
    fixture_begin(f);
    fixture_usable(f, 4 * (uint64_t)SECTION, frames);
    f->config.metadata_zeroed = true;
    f->config.no_frame_bytes = SMALL; /* more of them than there are addresses */
    f->config.min = f->config.low = f->config.high = QUIRE_WATERMARK_AUTO;
    assert_ok(quire_zone_metadata_size(&f->config, &f->bytes));
    f->metadata = mmap(NULL, f->bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(f->metadata, MAP_FAILED);
    assert_int_equal(madvise(f->metadata, f->bytes, MADV_NOHUGEPAGE), 0);
    assert_ok(quire_zone_init(&f->zone, &f->config, f->metadata, f->bytes));
}

static void sixteen_tebibytes(void **state)
{
    (void)state;
    const uint64_t frames = 16 * TIB_FRAMES;
    const uint64_t base = 4 * (uint64_t)SECTION;
    struct fixture f;
    quire_pfn pfn;
    uint64_t length;
    open_giant(&f, frames);
    assert_in_range(f.bytes, frames * 4096 / 1000000 * (SMALL ? 60 : 304),
                    frames * 4096 / 1000000 * (SMALL ? 66 : 310));
    assert_in_range(resident(f.metadata, f.bytes), 0, 8 << 20);
    assert_int_equal(quire_zone_free_frames(&f.zone), frames);

    assert_int_equal(must_alloc(&f, 20) % (UINT64_C(1) << 20), 0);
    assert_ok(quire_zone_alloc_at(&f.zone, slot(1), at(base + frames - 1), 0, 0));
    struct quire_contig want = {.frames = 3 * (uint64_t)SECTION + 5,
                                .low = (base + frames / 2 + 9) * QUIRE_FRAME_SIZE};
    assert_ok(quire_zone_alloc_contig(&f.zone, slot(2), &want, 0, &pfn));
    assert_int_equal(pfn.n, base + frames / 2 + 9);
    assert_ok(quire_zone_run_length(&f.zone, pfn, &length));
    assert_int_equal(length, want.frames);
    for (int i = 0; i < 10000; i++) {
        (void)must_alloc(&f, (unsigned)i % 10);
    }
    assert_ok(quire_zone_free_contig(&f.zone, slot(2), pfn, want.frames));
    assert_in_range(resident(f.metadata, f.bytes), 0, 16 << 20);
    (void)munmap(f.metadata, f.bytes);
}

/* All 64 TiB that x86-64 firmware is likely to describe, and a look at the far end. */
static void sixty_four_tebibytes(void **state)
{
    (void)state;
    const uint64_t frames = 64 * TIB_FRAMES;
    struct fixture f;
    if (SMALL) { /* more metadata than there are addresses */
        fixture_begin(&f);
        fixture_usable(&f, 4 * (uint64_t)SECTION, frames);
        assert_int_equal(quire_zone_metadata_size(&f.config, &f.bytes), QUIRE_ERR_SIZE);
        return;
    }
    open_giant(&f, frames);
    assert_int_equal(quire_zone_free_frames(&f.zone), frames);
    assert_ok(quire_zone_alloc_at(&f.zone, slot(0),
                                  at(4 * (uint64_t)SECTION + frames - (UINT64_C(1) << 20)), 20, 0));
    (void)must_alloc(&f, 0);
    (void)must_alloc(&f, 9);
    assert_in_range(resident(f.metadata, f.bytes), 0, 32 << 20);
    (void)munmap(f.metadata, f.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sixteen_tebibytes),
        cmocka_unit_test(sixty_four_tebibytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
