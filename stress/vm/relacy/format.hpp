/* SPDX-License-Identifier: MIT
 *
 * format.hpp - a format in miniature, for the searches: two levels, two entries to a table, pages
 * of 4 KiB. Bits as on x86-64.
 */
#ifndef QUIRE_STRESS_VM_RELACY_FORMAT_HPP
#define QUIRE_STRESS_VM_RELACY_FORMAT_HPP

enum { ENTRIES = 2 };

struct Table {
    qa64 entry[ENTRIES];
};

static inline quire_paging_format small_format()
{
    quire_paging_format f = {};

    f.canonical = {14, QUIRE_UPPER_ZEROS};
    f.levels = 2;
    f.entry_bytes = 8;
    f.index_bits = f.root_bits = 1;
    f.phys_bits = f.root_phys_bits = 40;
    f.sizes = QUIRE_PAGE_4K;
    f.frame_mask = 0x000ffffffffff000;
    f.table = f.root_table = 7;
    f.small_page = 1;
    f.large_page = 0x81;
    f.kind_mask = 0x80;
    for (uint64_t &access : f.access)
        access = QUIRE_PAGING_NO_ENCODING;
    f.access_mask = 2;
    f.access[QUIRE_READ] = 0;
    f.access[QUIRE_READ | QUIRE_WRITE] = 2;
    f.access_spread = UINT64_C(1) << 59;
    f.access_back[0] = QUIRE_READ;
    f.access_back[1] = QUIRE_READ | QUIRE_WRITE;
    f.global = 0x100;
    f.accessed = 0x20;
    f.dirty = 0x40;
    return f;
}

#endif /* QUIRE_STRESS_VM_RELACY_FORMAT_HPP */
