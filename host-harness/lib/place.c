/* SPDX-License-Identifier: MIT
 *
 * place.c - where in the program a code address is, by the dynamic linker's tables: so functions
 * that it does not know, static ones and those of a program that was not linked with -rdynamic, are
 * told by file and offset, which addr2line takes.
 */
#include <quire/host.h>

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

size_t quire_host_place(uint64_t address, char *text, size_t bytes)
{
    Dl_info info;
    const char *file;
    int n;

    if (!dladdr((void *)(uintptr_t)address, &info)) {
        n = snprintf(text, bytes, "%#llx", (unsigned long long)address);
    } else if (info.dli_sname) {
        n = snprintf(text, bytes, "%s+%#llx", info.dli_sname,
                     (unsigned long long)(address - (uintptr_t)info.dli_saddr));
    } else {
        file = strrchr(info.dli_fname, '/');
        n = snprintf(text, bytes, "%s+%#llx", file ? file + 1 : info.dli_fname,
                     (unsigned long long)(address - (uintptr_t)info.dli_fbase));
    }
    if (n < 0 || bytes == 0)
        return 0;
    return (size_t)n < bytes ? (size_t)n : bytes - 1;
}
