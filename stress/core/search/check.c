/* SPDX-License-Identifier: MIT
 *
 * check.c - what the checks of check.h share, and the check on large arrays.
 */
#include "check.h"

#include "stress/common/random.h"
#include "stress/common/sanitized.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

struct arena arena_map(size_t bytes)
{
    size_t page = page_size();
    size_t inside = (bytes + page - 1) / page * page;
    uint8_t *whole = mmap(NULL, inside + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (whole == MAP_FAILED || mprotect(whole + page, inside, PROT_READ | PROT_WRITE) != 0) {
        perror("arena_map");
        exit(2);
    }
    return (struct arena){whole + page, whole + page + inside};
}

void arena_unmap(struct arena arena)
{
    size_t page = page_size();
    munmap(arena.low - page, (size_t)(arena.high - arena.low) + 2 * page);
}

void fill(uint8_t *bytes, size_t n, enum pattern pattern, uint64_t *state)
{
    static const uint8_t edges[] = {0x00, 0x01, 0x7f, 0x80, 0x81, 0xff};
    uint64_t any = random_next(state);

    for (size_t i = 0; i < n; i++) {
        uint64_t random = random_next(state);
        switch (pattern) {
        case PATTERN_FEW:
            bytes[i] = random % 4;
            break;
        case PATTERN_BORROW:
            bytes[i] = edges[random % sizeof edges];
            break;
        case PATTERN_ZEROS:
            bytes[i] = 0;
            break;
        case PATTERN_ONES:
            bytes[i] = 0xff;
            break;
        case PATTERN_RISING:
            bytes[i] = (uint8_t)(any + i);
            break;
        case PATTERN_FALLING:
            bytes[i] = (uint8_t)(any - i);
            break;
        case PATTERN_ALMOST:
            bytes[i] = (uint8_t)(i == (any >> 8) % n ? any : any >> 56);
            break;
        case PATTERN_RANDOM:
        case PATTERNS:
            bytes[i] = (uint8_t)random;
            break;
        }
    }
}

bool expect(const struct search_kernel *search, const char *function, const void *array, size_t n,
            size_t a, size_t b, size_t expected, size_t got)
{
    if (got != expected) {
        (void)fprintf(stderr, "%s: %s(address %% 64 = %zu, %zu, %zu, %zu) = %zu, expected %zu\n",
                      search->name, function, (size_t)((uintptr_t)array % 64), n, a, b, got,
                      expected);
    }
    return got == expected;
}

/* One query of each kind, with arguments that random numbers choose. */
static bool agree(const struct search_kernel *search, const uint8_t *bytes, size_t n,
                  uint64_t *state)
{
    const struct search_kernel *word = &qi_search_word;
    const uint64_t *words = (const uint64_t *)(const void *)bytes;
    size_t from = random_next(state) % (n + 2);
    size_t bit = random_next(state) % (n * 8 + 2);
    uint8_t value = (uint8_t)random_next(state);
    struct search_fit fit = {bytes, bit % 2 ? 15 : UINT8_MAX, value % 16, (uint8_t)bit};

    return expect(search, "next_byte", bytes, n, from, value,
                  word->next_byte(bytes, n, from, value),
                  search->next_byte(bytes, n, from, value)) &&
           expect(search, "least_byte", bytes, n, value, from,
                  word->least_byte(bytes, n, value, from),
                  search->least_byte(bytes, n, value, from)) &&
           expect(search, "least_fit", bytes, n, value, from,
                  word->least_fit(bytes, n, value | 1, from, &fit),
                  search->least_fit(bytes, n, value | 1, from, &fit)) &&
           expect(search, "next_zero", words, n * 8, bit, 0, word->next_zero(words, n * 8, bit),
                  search->next_zero(words, n * 8, bit)) &&
           expect(search, "next_one", words, n * 8, bit, 0, word->next_one(words, n * 8, bit),
                  search->next_one(words, n * 8, bit));
}

bool check_agreement(const struct search_kernel *search)
{
    enum { BYTES = 1 << 16, QUERIES = ONE_THREAD(200, 20) };
    struct arena arena = arena_map(BYTES);
    uint64_t state = 1;
    bool good = true;

    for (unsigned pattern = 0; good && pattern < PATTERNS; pattern++) {
        fill(arena.low, BYTES, (enum pattern)pattern, &state);
        for (size_t query = 0; good && query < QUERIES; query++) {
            size_t n = random_next(&state) % (BYTES / 8 + 1) * 8;
            good = agree(search, arena.high - n, n, &state);
        }
    }
    arena_unmap(arena);
    return good;
}
