/* SPDX-License-Identifier: MIT
 *
 * variant.c - see variant.h. No state.
 */
#include "variant.h"

#include <string.h>

void variant_text(const struct variant *variant, char text[VARIANT_TEXT])
{
    if (variant->frames) {
        (void)snprintf(text, VARIANT_TEXT, "%u frames", variant->frames);
    } else if (variant->gib) {
        bool tib = variant->gib >= 1024;

        (void)snprintf(text, VARIANT_TEXT, "order %u %u %s", variant->order,
                       tib ? variant->gib / 1024 : variant->gib, tib ? "TiB" : "GiB");
    } else if (variant->burst) {
        (void)snprintf(text, VARIANT_TEXT, "order %u burst %u", variant->order, variant->burst);
    } else if (variant->mobility != MOBILITY_NONE) {
        (void)snprintf(text, VARIANT_TEXT, "order %u %s", variant->order,
                       variant->mobility == MOBILITY_RANDOM ? "random" : "streaks");
    } else if (variant->start != START_OTHER) {
        (void)snprintf(text, VARIANT_TEXT, "0-%u %u %% %s", variant->order, variant->fill,
                       bench_start_names[variant->start]);
    } else if (variant->fill) {
        (void)snprintf(text, VARIANT_TEXT, "%u %%", variant->fill);
    } else if (variant->batch > 1) {
        (void)snprintf(text, VARIANT_TEXT, "batch %u", variant->batch);
    } else {
        (void)snprintf(text, VARIANT_TEXT, "order %u", variant->order);
    }
}

void variant_word(const struct variant *variant, char text[VARIANT_TEXT])
{
    variant_text(variant, text);
    for (char *c = text; *c != '\0'; c++) {
        if (*c == ' ') {
            *c = '_';
        }
    }
}

static bool has_words(const char *text, const char *words, size_t length)
{
    for (const char *at = text; length > 0 && strlen(at) >= length; at++) {
        bool begins = at == text || at[-1] == ' ';
        bool ends = at[length] == '\0' || at[length] == ' ';

        if (begins && ends && strncmp(at, words, length) == 0) {
            return true;
        }
    }
    return false;
}

static bool named(const struct variant *variant, const char *words, size_t length)
{
    char text[VARIANT_TEXT];
    bool size = length > 2 && strncmp(words + length - 2, "iB", 2) == 0;

    if (variant->gib && !size) {
        return false;
    }
    variant_text(variant, text);
    return has_words(text, words, length);
}

bool variant_known(const char *words, size_t length)
{
    for (size_t i = 0; i < bench_case_count; i++) {
        for (size_t k = 0; k < bench_cases[i]->variant_count; k++) {
            if (named(&bench_cases[i]->variants[k], words, length)) {
                return true;
            }
        }
    }
    return false;
}

bool variant_listed(const struct variant *variant, const char *list)
{
    if (!list) {
        return variant->gib == 0;
    }
    for (;;) {
        size_t length = strcspn(list, ",");

        if (named(variant, list, length)) {
            return true;
        }
        if (list[length] == '\0') {
            return false;
        }
        list += length + 1;
    }
}
