/* SPDX-License-Identifier: MIT
 *
 * version.c - the version that was compiled, for whoever runs with it.
 */
#include <quire/version.h>

#define TEXT_OF(x)                #x
#define TEXT(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

uint32_t quire_version(void)
{
    return QUIRE_VERSION;
}

const char *quire_version_text(void)
{
    return TEXT(QUIRE_VERSION_MAJOR, QUIRE_VERSION_MINOR, QUIRE_VERSION_PATCH);
}
