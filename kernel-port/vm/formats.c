/* SPDX-License-Identifier: MIT
 *
 * formats.c - the formats that are known, as constants. From the processors' manuals: Intel SDM
 * volume 3, chapter 4; Arm ARM, chapter D8; RISC-V privileged architecture, chapter 10.
 *
 * Accesses are listed by number: read 1, write 2, execute 4, user 8. What the hardware cannot keep
 * apart does not exist here: a page that may be written or executed without being read on x86 and
 * aarch64, one that may not be executed on i386. So a page grants what was asked for, and no more.
 */
#include <quire/paging.h>

#define BIT_AT(n)     ((uint64_t)1 << (n))
#define NO            QUIRE_PAGING_NO_ENCODING
#define ENDS_AT(bits) (BIT_AT(bits) - BIT_AT(QUIRE_FRAME_SHIFT)) /* an address below 2^bits */

/* ---- x86 ----------------------------------------------------------------------------------- */

#define X86_P      BIT_AT(0)
#define X86_W      BIT_AT(1)
#define X86_U      BIT_AT(2)
#define X86_PWT    BIT_AT(3)
#define X86_PCD    BIT_AT(4)
#define X86_A      BIT_AT(5)
#define X86_D      BIT_AT(6)
#define X86_PS     BIT_AT(7) /* of an entry above level 0: a large page */
#define X86_G      BIT_AT(8)
#define X86_SHARED BIT_AT(9)  /* software's */
#define X86_COPY   BIT_AT(10) /* software's */
#define X86_NX     BIT_AT(63)

/* clang-format off */
#define X86_COMMON                                                                          \
    .table = X86_P | X86_W | X86_U,                                                         \
    .small_page = X86_P, .large_page = X86_P | X86_PS,                                      \
    .kind_mask = X86_PS, .kind_table = 0,                                                   \
    .type_mask = X86_PWT | X86_PCD, .types = {0, X86_PWT, X86_PCD, X86_PWT | X86_PCD},      \
    .global = X86_G, .accessed = X86_A, .dirty = X86_D, .copy = X86_COPY,             \
    .shared = X86_SHARED

/* W to bit 60, U to 61, NX to 63. */
#define X86_BACK                                                                            \
    .access_spread = BIT_AT(59) | BIT_AT(0),                                                \
    .access_back = {5, 7, 13, 15, 0, 0, 0, 0, 1, 3, 9, 11}

#define X86_NX_ACCESS                                                                       \
    X86_BACK,                                                                               \
    .access_mask = X86_W | X86_U | X86_NX,                                                  \
    .access = {NO, X86_NX, NO, X86_W | X86_NX, NO, 0, NO, X86_W,                            \
               NO, X86_U | X86_NX, NO, X86_U | X86_W | X86_NX, NO, X86_U, NO, X86_U | X86_W}

#define X86_64(title, depth, width)                                                         \
    .name = (title), .canonical = {(width), QUIRE_UPPER_SIGN},                              \
    .levels = (depth), .entry_bytes = 8, .index_bits = 9, .root_bits = 9,                   \
    .phys_bits = 52, .root_phys_bits = 52, .frame_mask = ENDS_AT(52),                       \
    .sizes = QUIRE_PAGE_4K | QUIRE_PAGE_2M | QUIRE_PAGE_1G,                                 \
    .root_table = X86_P | X86_W | X86_U, X86_COMMON, X86_NX_ACCESS
/* clang-format on */

const struct quire_paging_format quire_x86_64_4level = {X86_64("x86-64, 4 levels", 4, 48)};
const struct quire_paging_format quire_x86_64_5level = {X86_64("x86-64, 5 levels", 5, 57)};

const struct quire_paging_format quire_i386 = {
    .name = "i386",
    .canonical = {32, QUIRE_UPPER_ZEROS},
    .levels = 2,
    .entry_bytes = 4,
    .index_bits = 10,
    .root_bits = 10,
    .phys_bits = 32,
    .root_phys_bits = 32,
    .frame_mask = ENDS_AT(32),
    .sizes = QUIRE_PAGE_4K | QUIRE_PAGE_4M,
    .root_table = X86_P | X86_W | X86_U,
    X86_COMMON,
    X86_BACK,
    .access_mask = X86_W | X86_U,
    .access = {NO, NO, NO, NO, NO, 0, NO, X86_W, NO, NO, NO, NO, NO, X86_U, NO, X86_U | X86_W},
};

/* The four entries of the root are loaded with the root itself; they have no rights. */
const struct quire_paging_format quire_i386_pae = {
    .name = "i386, PAE",
    .canonical = {32, QUIRE_UPPER_ZEROS},
    .levels = 3,
    .entry_bytes = 8,
    .index_bits = 9,
    .root_bits = 2,
    .phys_bits = 52,
    .root_phys_bits = 32,
    .root_complete = true,
    .frame_mask = ENDS_AT(52),
    .sizes = QUIRE_PAGE_4K | QUIRE_PAGE_2M,
    .root_table = X86_P,
    X86_COMMON,
    X86_NX_ACCESS,
};

/* ---- aarch64 ------------------------------------------------------------------------------- */

#define ARM_VALID   BIT_AT(0)
#define ARM_TABLE   BIT_AT(1)       /* above level 0; at level 0 it says page */
#define ARM_ATTR(n) ((n)*BIT_AT(2)) /* the place in MAIR */
#define ARM_EL0     BIT_AT(6)
#define ARM_RO      BIT_AT(7)
#define ARM_INNER   (3 * BIT_AT(8)) /* shareable */
#define ARM_AF      BIT_AT(10)
#define ARM_NG      BIT_AT(11)
#define ARM_DBM     BIT_AT(51)
#define ARM_PXN     BIT_AT(53)
#define ARM_UXN     BIT_AT(54)
#define ARM_DIRTY   BIT_AT(55) /* software's: dirty, whether writable or not */
#define ARM_BUSY    BIT_AT(56) /* software's */
#define ARM_SHARED  BIT_AT(57) /* software's */
#define ARM_COPY    BIT_AT(58) /* software's */
#define ARM_NX      (ARM_PXN | ARM_UXN)
#define ARM_USER    (ARM_EL0 | ARM_PXN)

/* Writable is DBM; read-only in the processor's sense, too, is what nobody has written yet. */
/* clang-format off */
#define AARCH64(title, half)                                                                \
    .name = (title), .canonical = {48, (half)},                                             \
    .levels = 4, .entry_bytes = 8, .index_bits = 9, .root_bits = 9,                         \
    .phys_bits = 48, .root_phys_bits = 48, .frame_mask = ENDS_AT(48),                       \
    .break_before_make = true,                                                              \
    .sizes = QUIRE_PAGE_4K | QUIRE_PAGE_2M | QUIRE_PAGE_1G,                                 \
    .table = ARM_VALID | ARM_TABLE, .root_table = ARM_VALID | ARM_TABLE,                    \
    .small_page = ARM_VALID | ARM_TABLE | ARM_INNER, .large_page = ARM_VALID | ARM_INNER,   \
    .kind_mask = ARM_TABLE, .kind_table = ARM_TABLE,                                        \
    .access_spread = BIT_AT(9) | BIT_AT(55),                                                \
    .access_back = {0, 0, 0, 0, 0, 0, 13, 15, 5, 7, 0, 0, 1, 3, 9, 11},                     \
    .access_mask = ARM_EL0 | ARM_DBM | ARM_NX,                                              \
    .access = {NO, ARM_NX, NO, ARM_DBM | ARM_NX, NO, ARM_UXN, NO, ARM_DBM | ARM_UXN,        \
               NO, ARM_EL0 | ARM_NX, NO, ARM_EL0 | ARM_DBM | ARM_NX,                        \
               NO, ARM_USER, NO, ARM_USER | ARM_DBM},                                       \
    .type_mask = ARM_ATTR(7), .types = {0, ARM_ATTR(1), ARM_ATTR(2), ARM_ATTR(3)},          \
    .local = ARM_NG, .accessed = ARM_AF, .dirty = ARM_DIRTY, .clean = ARM_RO,               \
    .writable = ARM_DBM, .busy = ARM_BUSY, .copy = ARM_COPY, .shared = ARM_SHARED
/* clang-format on */

const struct quire_paging_format quire_aarch64_lower = {
    AARCH64("aarch64, lower half", QUIRE_UPPER_ZEROS)};
const struct quire_paging_format quire_aarch64_upper = {
    AARCH64("aarch64, upper half", QUIRE_UPPER_ONES)};

/* ---- riscv64 ------------------------------------------------------------------------------- */

#define RISCV_V      BIT_AT(0)
#define RISCV_R      BIT_AT(1)
#define RISCV_W      BIT_AT(2)
#define RISCV_X      BIT_AT(3)
#define RISCV_U      BIT_AT(4)
#define RISCV_G      BIT_AT(5)
#define RISCV_A      BIT_AT(6)
#define RISCV_D      BIT_AT(7)
#define RISCV_SHARED BIT_AT(8) /* software's */
#define RISCV_COPY   BIT_AT(9) /* software's */
#define RISCV_RW     (RISCV_R | RISCV_W)
#define RISCV_RX     (RISCV_R | RISCV_X)
#define RISCV_RWX    (RISCV_R | RISCV_W | RISCV_X)

/* The frame's number begins at bit 10: the address, shifted right by 2. */
/* clang-format off */
#define RISCV64(title, depth, width)                                                        \
    .name = (title), .canonical = {(width), QUIRE_UPPER_SIGN},                              \
    .levels = (depth), .entry_bytes = 8, .index_bits = 9, .root_bits = 9,                   \
    .phys_bits = 52, .root_phys_bits = 52, .frame_shift = 2, .frame_mask = ENDS_AT(52) >> 2,\
    .sizes = QUIRE_PAGE_4K | QUIRE_PAGE_2M | QUIRE_PAGE_1G,                                 \
    .table = RISCV_V, .root_table = RISCV_V, .small_page = RISCV_V, .large_page = RISCV_V,  \
    .kind_mask = RISCV_RWX, .kind_table = 0,                                                \
    .access_spread = BIT_AT(59), /* R to bit 60, and so on: the access itself */            \
    .access_back = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},                  \
    .access_mask = RISCV_RWX | RISCV_U,                                                     \
    .access = {NO, RISCV_R, NO, RISCV_RW, RISCV_X, RISCV_RX, NO, RISCV_RWX,                 \
               NO, RISCV_U | RISCV_R, NO, RISCV_U | RISCV_RW, RISCV_U | RISCV_X,            \
               RISCV_U | RISCV_RX, NO, RISCV_U | RISCV_RWX},                                \
    .types = {0, NO, NO, 0}, .global = RISCV_G, .accessed = RISCV_A, .dirty = RISCV_D,       \
    .copy = RISCV_COPY, .shared = RISCV_SHARED
/* clang-format on */

const struct quire_paging_format quire_riscv64_sv39 = {RISCV64("riscv64, Sv39", 3, 39)};
const struct quire_paging_format quire_riscv64_sv48 = {RISCV64("riscv64, Sv48", 4, 48)};
