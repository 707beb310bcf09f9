/* SPDX-License-Identifier: MIT
 *
 * machines.c - memory maps of four real machines, from boot logs in public bug reports. The same
 * logs as text are in stress/data/memory-maps.
 */
#include "boot_fixture.h"

#define U QUIRE_BOOT_USABLE
#define R QUIRE_BOOT_FIRMWARE
#define N QUIRE_NODE_ANY

#define MACHINE(list)                          \
    {                                          \
        list, sizeof(list) / sizeof((list)[0]) \
    }

/* MSI A320M, 16 GiB. */
static const struct machine_region desktop_regions[] = {
    {0x0, 0x9ffff, U, N},           {0xa0000, 0xfffff, R, N},
    {0x100000, 0x9d7ffff, U, N},    {0x9d80000, 0x9ffffff, R, N},
    {0xa000000, 0xa1fffff, U, N},   {0xa200000, 0xa20bfff, R, N},
    {0xa20c000, 0xaffffff, U, N},   {0xb000000, 0xb01ffff, R, N},
    {0xb020000, 0xdbd61fff, U, N},  {0xdbd62000, 0xdbeabfff, R, N},
    {0xdbeac000, 0xdc02cfff, U, N}, {0xdc02d000, 0xdc43efff, R, N},
    {0xdc43f000, 0xdd048fff, R, N}, {0xdd049000, 0xdeffffff, U, N},
    {0xdf000000, 0xdfffffff, R, N}, {0xf8000000, 0xfbffffff, R, N},
    {0xfd000000, 0xffffffff, R, N}, {0x100000000, 0x41f37ffff, U, N},
};
const struct boot_machine desktop = MACHINE(desktop_regions);

/* Alienware 15 R2, 12 GiB. */
static const struct machine_region laptop_regions[] = {
    {0x0, 0x57fff, U, N},
    {0x58000, 0x58fff, R, N},
    {0x59000, 0x9efff, U, N},
    {0x9f000, 0x9ffff, R, N},
    {0x100000, 0x3130bfff, U, N},
    {0x3130c000, 0x3130cfff, R, N},
    {0x3130d000, 0x31336fff, R, N},
    {0x31337000, 0x3138efff, U, N},
    {0x3138f000, 0x318e4fff, R, N},
    {0x318e5000, 0x361abfff, U, N},
    {0x361ac000, 0x37191fff, R, N},
    {0x37192000, 0x371d2fff, R, N},
    {0x371d3000, 0x37b4efff, R, N},
    {0x37b4f000, 0x37f82fff, R, N},
    {0x37f83000, 0x37ffdfff, R, N},
    {0x37ffe000, 0x37ffefff, U, N},
    {0x38000000, 0x380fffff, R, N},
    {0xe0000000, 0xefffffff, R, N},
    {0xfe000000, 0xfe010fff, R, N},
    {0xfec00000, 0xfec00fff, R, N},
    {0xfee00000, 0xfee00fff, R, N},
    {0xff000000, 0xffffffff, R, N},
    {0x100000000, 0x3c3ffffff, U, N},
};
const struct boot_machine laptop = MACHINE(laptop_regions);

/* Fujitsu CX2550 M2, 256 GiB, two nodes; the log says nothing of them. */
static const struct machine_region server_2node_regions[] = {
    {0x100000, 0x760f1fff, U, N},      {0x760f2000, 0x77678fff, R, N},
    {0x77679000, 0x776dafff, R, N},    {0x776db000, 0x7b85ffff, R, N},
    {0x7b860000, 0x7bd27fff, R, N},    {0x7bd28000, 0x7bd28fff, U, N},
    {0x7bd29000, 0x7bd4efff, R, N},    {0x7bd4f000, 0x7bffffff, U, N},
    {0x7c000000, 0x8fffffff, R, N},    {0xfed1c000, 0xfed44fff, R, N},
    {0xff000000, 0xff3fffff, R, N},    {0xff500000, 0xffffffff, R, N},
    {0x100000000, 0x407fffffff, U, N},
};
const struct boot_machine server_2node = MACHINE(server_2node_regions);

/* Ampere Altra, four nodes, 8 and 64 TiB apart; the order is the log's. */
static const struct machine_region server_4node_regions[] = {
    {0x88300000, 0x883fffff, U, 2},         {0x90000000, 0xbfffffff, U, 2},
    {0x80000000000, 0x8007fffffff, U, 0},   {0x800c0000000, 0x83fffffffff, U, 0},
    {0xc2000000, 0xffffffff, U, 3},         {0x400000000000, 0x4000bfffffff, U, 1},
    {0x400100000000, 0x403fffffffff, U, 1},
};
const struct boot_machine server_4node = MACHINE(server_4node_regions);
