/* SPDX-License-Identifier: MIT
 *
 * check_racing.c - searches while another thread changes what is searched. ThreadSanitizer must
 * stay silent, and although a result may be stale, three things hold at any time:
 *   what lies there all the time is not missed (else an allocator reports false exhaustion);
 *   what never was there is not found;
 *   what was found was there at some moment of the call.
 */
#include "check.h"

#include "stress/common/random.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum {
    ROUNDS = 200000, /* of searches, */
    CHANGES = 1000,  /* and changes meanwhile, at least */
    BYTES = 517,     /* not a multiple of a vector's width */
    WORDS = 64,
    BIT = WORDS * 64 - 7, /* stays different from all others */
    PLACE = 514,          /* stays the least byte */
    RESTLESS = 101,       /* is the next above it, on and off */
};

/* Few bytes move, so that a wrong place is most likely one that does not. */
static bool moves(size_t place)
{
    return place % 8 == RESTLESS % 8;
}

struct field {
    _Alignas(64) uint64_t mostly_ones[WORDS], mostly_zeros[WORDS];
    _Alignas(64) uint8_t bytes[BYTES]; /* 99 at PLACE, 100 .. 131 where they move, else 255 */
    atomic_bool stop;
    atomic_size_t changes;
};

static void set_byte(struct field *field, size_t place, uint64_t value)
{
    __atomic_store_n(&field->bytes[place], (uint8_t)value, __ATOMIC_RELAXED);
}

static void *change(void *arg)
{
    struct field *field = arg;
    uint64_t state = 4;

    while (!atomic_load_explicit(&field->stop, memory_order_relaxed)) {
        uint64_t random = random_next(&state);
        uint64_t one = random % 2 == 0 ? 0 : UINT64_C(1) << (random >> 1) % 64;
        size_t word = (random >> 8) % (WORDS - 1);
        size_t place = (random >> 20) % BYTES;

        __atomic_store_n(&field->mostly_ones[word], ~one, __ATOMIC_RELAXED);
        __atomic_store_n(&field->mostly_zeros[word], one, __ATOMIC_RELAXED);
        if (moves(place)) {
            set_byte(field, place, 101 + (random >> 40) % 31);
        }
        set_byte(field, RESTLESS, random % 2 == 0 ? 100 : 131);
        atomic_fetch_add_explicit(&field->changes, 1, memory_order_relaxed);
    }
    return NULL;
}

static void set_up(struct field *field)
{
    for (size_t i = 0; i < WORDS; i++) {
        field->mostly_ones[i] = UINT64_MAX;
        field->mostly_zeros[i] = 0;
    }
    field->mostly_ones[BIT / 64] ^= UINT64_C(1) << BIT % 64;
    field->mostly_zeros[BIT / 64] ^= UINT64_C(1) << BIT % 64;
    for (size_t i = 0; i < BYTES; i++) {
        field->bytes[i] = moves(i) ? 120 : 255;
    }
    field->bytes[PLACE] = 99;
    atomic_init(&field->stop, false);
    atomic_init(&field->changes, 0);
}

static bool holds(bool good, const struct search_kernel *search, const char *what, size_t got)
{
    if (!good) {
        (void)fprintf(stderr, "%s, racing: %s: got %zu\n", search->name, what, got);
    }
    return good;
}

static bool search_once(const struct search_kernel *search, const struct field *field)
{
    size_t zero = search->next_zero(field->mostly_ones, WORDS * 64, 0);
    size_t one = search->next_one(field->mostly_zeros, WORDS * 64, 0);
    size_t high = search->next_byte(field->bytes, BYTES, RESTLESS, 132);
    size_t stays = search->least_byte(field->bytes, BYTES, 98, BYTES);
    size_t second = search->least_byte(field->bytes, BYTES, 99, BYTES);
    size_t top = search->least_byte(field->bytes, BYTES, 131, BYTES);
    uint32_t quarters = search->zero_quarters(field->mostly_zeros + WORDS - 8);

    return holds(zero <= BIT, search, "next_zero missed a bit that stays", zero) &&
           holds(one <= BIT, search, "next_one missed a bit that stays", one) &&
           holds(high == RESTLESS + 1, search, "next_byte found no byte that stays", high) &&
           holds(stays == PLACE, search, "least_byte missed the least, which stays", stays) &&
           holds(second < BYTES && moves(second), search, "least_byte found what was not there",
                 second) &&
           holds(quarters >> 28 == 7, search, "zero_quarters missed a word that stays", quarters) &&
           holds(top == 0, search, "least_byte missed a byte that stays", top);
}

bool check_racing(const struct search_kernel *search)
{
    static struct field field;
    pthread_t writer;
    bool good = true;

    set_up(&field);
    if (pthread_create(&writer, NULL, change, &field) != 0) {
        (void)fprintf(stderr, "check_racing: no thread\n");
        return false;
    }
    /* However the two threads are scheduled, some changes must fall between the searches. */
    for (size_t round = 0;
         good &&
         (round < ROUNDS || atomic_load_explicit(&field.changes, memory_order_relaxed) < CHANGES);
         round++) {
        good = search_once(search, &field);
    }
    atomic_store_explicit(&field.stop, true, memory_order_relaxed);
    pthread_join(writer, NULL);
    return good;
}
