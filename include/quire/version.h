/* SPDX-License-Identifier: MIT
 *
 * version.h - which Quire this is: for the compiler by macros, at run time by quire_version.
 *
 * Versions are MAJOR.MINOR.PATCH. While MAJOR is 0, another MINOR may break programs, in source and
 * in binary, and says so in CHANGELOG.md; the shared library's name carries both
 * (libquire.so.0.2), so that a program never runs with another one than it was built for. A PATCH
 * breaks nothing: no function, enumerator, field or meaning goes or changes.
 *
 * The structures that a program allocates end in `room` for later patches, and their arrays of
 * counters have some too: zero, and of no meaning. Whoever fills a structure starts it from all
 * zero, so that its room is zero. Numbers with a type, runs, extents, sets and the elements of
 * lists (zones and spans of a machine, blockers, zonelists, memory of a topology) have none: they
 * stay as they are. The metadata of a zone has room as well: processes with different patches of
 * Quire may share a zone, and one of another minor version is told QUIRE_ERR_UNSUPPORTED.
 *
 * This is the one place where the version stands: the build reads it from here.
 */
#ifndef QUIRE_VERSION_H
#define QUIRE_VERSION_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QUIRE_VERSION_MAJOR 0
#define QUIRE_VERSION_MINOR 2
#define QUIRE_VERSION_PATCH 0

/* To be compared: 0.2.0 is 2000. */
#define QUIRE_VERSION_NUMBER(major, minor, patch) ((major)*1000000 + (minor)*1000 + (patch))

/* What the program is compiled with. */
#define QUIRE_VERSION \
    QUIRE_VERSION_NUMBER(QUIRE_VERSION_MAJOR, QUIRE_VERSION_MINOR, QUIRE_VERSION_PATCH)

/* What it runs with, as QUIRE_VERSION. Wait-free, any context. */
uint32_t quire_version(void);

/* The same in words, "0.2.0". Never NULL, and constant. Wait-free, any context. */
const char *quire_version_text(void);

#ifdef __cplusplus
}
#endif

#endif /* QUIRE_VERSION_H */
