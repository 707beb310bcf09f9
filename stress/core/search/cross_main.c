/* SPDX-License-Identifier: MIT
 *
 * cross_main.c - the checks of check.h without a test library, for machines that are emulated. The
 * arguments are the names of the kernels that must be among those that run there.
 */
#include "check.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    bool (*run)(const struct search_kernel *search);
} checks[] = {
    {"next_byte", check_next_byte}, {"least_byte", check_least_byte},
    {"least_fit", check_least_fit}, {"bits", check_bits},
    {"quarters", check_quarters},   {"agreement", check_agreement},
    {"rows", check_rows},           {"bytes_from", check_bytes_from},
    {"racing", check_racing},
};

static bool is_listed(const char *name)
{
    const struct search_kernel *search;

    for (size_t i = 0; (search = qi_search_kernel(i)) != NULL; i++) {
        if (strcmp(search->name, name) == 0) {
            return true;
        }
    }
    (void)fprintf(stderr, "kernel %s does not run here\n", name);
    return false;
}

int main(int argc, char **argv)
{
    const struct search_kernel *search;
    bool good = true;

    for (int i = 1; i < argc; i++) {
        good = is_listed(argv[i]) && good;
    }
    for (size_t i = 0; (search = qi_search_kernel(i)) != NULL; i++) {
        for (size_t c = 0; c < sizeof checks / sizeof checks[0]; c++) {
            bool passed = checks[c].run(search);
            (void)printf("%s %s: %s\n", search->name, checks[c].name, passed ? "passed" : "FAILED");
            good = good && passed;
        }
    }
    return good ? 0 : 1;
}
