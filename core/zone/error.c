/* SPDX-License-Identifier: MIT
 *
 * error.c - the words for enum quire_error.
 */
#include <quire/types.h>

static const char *const phrases[QUIRE_ERRORS] = {
    [-QUIRE_OK] = "success",
    [-QUIRE_ERR_NO_MEMORY] = "out of memory",
    [-QUIRE_ERR_SIZE] = "invalid size",
    [-QUIRE_ERR_ALIGN] = "invalid alignment",
    [-QUIRE_ERR_NODE] = "node unavailable",
    [-QUIRE_ERR_ZONE] = "zone depleted",
    [-QUIRE_ERR_FRAME] = "invalid frame",
    [-QUIRE_ERR_DOUBLE_FREE] = "double free",
    [-QUIRE_ERR_ORDER] = "wrong order on free",
    [-QUIRE_ERR_BUSY] = "busy",
    [-QUIRE_ERR_INITIALISED] = "already initialised",
    [-QUIRE_ERR_UNSUPPORTED] = "not supported",
    [-QUIRE_ERR_FULL] = "no room left",
    [-QUIRE_ERR_STATE] = "not in use",
    [-QUIRE_ERR_DAMAGED] = "damaged",
    [-QUIRE_ERR_ADDRESS] = "no such address",
    [-QUIRE_ERR_MAPPED] = "mapped already",
    [-QUIRE_ERR_UNMAPPED] = "not mapped",
    [-QUIRE_ERR_LARGE] = "inside a larger page",
    [-QUIRE_ERR_AREA] = "not reserved",
    [-QUIRE_ERR_ACCESS] = "access not allowed",
    [-QUIRE_ERR_LIMIT] = "limit reached",
    [-QUIRE_ERR_END] = "behind the end of the file",
    [-QUIRE_ERR_PAGER] = "page of a file not read or written",
};

const char *quire_strerror(int error)
{
    return error <= 0 && error > -QUIRE_ERRORS ? phrases[-error] : "unknown error";
}
