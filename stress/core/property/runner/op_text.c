/* SPDX-License-Identifier: MIT
 *
 * op_text.c - operations as lines of text, both ways. See op.h.
 */
#include "op.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct kind_text {
    const char *name;
    const char *arg[OP_ARGUMENTS];
};

static const struct kind_text kinds[OP_KINDS] = {
    [OP_ALLOC] = {"alloc", {"order"}},
    [OP_BATCH] = {"batch", {"n"}},
    [OP_RUNS] = {"runs", {"frames", "capacity"}},
    [OP_CONTIG] = {"contig", {"frames", "align", "boundary", "low", "high"}},
    [OP_AT] = {"at", {"place", "order"}},
    [OP_FREE] = {"free", {"near"}},
    [OP_FREE_ANY] = {"free_any", {"near"}},
    [OP_FREE_CONTIG] = {"free_contig", {"near"}},
    [OP_FREE_BATCH] = {"free_batch", {"near", "n", "twist"}},
    [OP_FREE_AT] = {"free_at", {"place", "order"}},
    [OP_FREE_CONTIG_AT] = {"free_contig_at", {"place", "frames"}},
    [OP_FREE_ANY_AT] = {"free_any_at", {"place"}},
    [OP_LENGTH] = {"length", {"place"}},
    [OP_RESERVE] = {"reserve", {"place", "frames"}},
    [OP_UNRESERVE] = {"unreserve", {"near", "frames"}},
    [OP_UNRESERVE_AT] = {"unreserve_at", {"place", "frames"}},
    [OP_SPLIT] = {"split", {"near"}},
    [OP_SPLIT_AT] = {"split_at", {"place", "order"}},
    [OP_JOIN] = {"join", {"place"}},
    [OP_RETIRE] = {"retire", {NULL}},
};

void op_print(const struct op *op, char text[OP_TEXT])
{
    const struct kind_text *kind = &kinds[op->kind];
    int n = snprintf(text, OP_TEXT, "%s slot=%" PRIu32 " flags=0x%" PRIx32, kind->name, op->slot,
                     op->flags);
    for (int i = 0; i < OP_ARGUMENTS && kind->arg[i] != NULL; i++) {
        n += snprintf(text + n, (size_t)(OP_TEXT - n), " %s=%" PRIu64, kind->arg[i], op->arg[i]);
    }
}

static bool parse_number(const char *text, const char *name, uint64_t *number)
{
    char *end;
    size_t n = strlen(name);
    if (text == NULL || strncmp(text, name, n) != 0 || text[n] != '=') {
        return false;
    }
    *number = strtoull(text + n + 1, &end, 0);
    return *end == '\0' && end != text + n + 1;
}

bool op_parse(const char *text, struct op *op)
{
    char line[OP_TEXT];
    char *rest;
    uint64_t slot;
    uint64_t flags;
    *op = (struct op){.kind = OP_ALLOC};
    (void)snprintf(line, sizeof line, "%s", text);
    const char *name = strtok_r(line, " \t\n", &rest);
    while (name != NULL && op->kind < OP_KINDS && strcmp(name, kinds[op->kind].name) != 0) {
        op->kind++;
    }
    if (name == NULL || op->kind == OP_KINDS ||
        !parse_number(strtok_r(NULL, " \t\n", &rest), "slot", &slot) ||
        !parse_number(strtok_r(NULL, " \t\n", &rest), "flags", &flags)) {
        return false;
    }
    op->slot = (uint32_t)slot;
    op->flags = (uint32_t)flags;
    for (int i = 0; i < OP_ARGUMENTS && kinds[op->kind].arg[i] != NULL; i++) {
        const char *word = strtok_r(NULL, " \t\n", &rest);
        if (!parse_number(word, kinds[op->kind].arg[i], &op->arg[i])) {
            return false;
        }
    }
    return strtok_r(NULL, " \t\n", &rest) == NULL;
}
