/* SPDX-License-Identifier: MIT
 *
 * test_atomic.c - compare-and-swap of each width, with what is expected cut out of a wider number:
 * compilers have compared bits that the word does not have. White-box.
 */
#include "stress/common/assert.h"

#include "core/atomic.h"

#define BITS ((uint64_t)0xfedcba98f6d5b493)

/* Numbers that the compiler does not know. */
static volatile uint64_t wide = BITS, other = ~BITS;

/* A word of this width takes the other number in place of the first, and then not again. */
#define CASE(word, plain)                                                                       \
    static __attribute__((__noinline__)) bool replace_##plain(__typeof__(word) *w, uint64_t is, \
                                                              uint64_t by)                      \
    {                                                                                           \
        plain expected = (plain)is;                                                             \
                                                                                                \
        return qa_cas(w, &expected, (plain)by, acq_rel);                                        \
    }                                                                                           \
    static void cas_##plain(void **state)                                                       \
    {                                                                                           \
        static word w[8 / sizeof(plain)];                                                       \
                                                                                                \
        (void)state;                                                                            \
        qa_store(&w[0], (plain)BITS, relaxed);                                                  \
        assert_true(replace_##plain(&w[0], wide, other));                                       \
        assert_true(qa_load(&w[0], relaxed) == (plain)~BITS);                                   \
        assert_false(replace_##plain(&w[0], wide, 0));                                          \
        assert_true(qa_load(&w[0], relaxed) == (plain)~BITS);                                   \
        assert_true(replace_##plain(&w[0], other, wide));                                       \
        assert_true(qa_load(&w[0], relaxed) == (plain)BITS);                                    \
    }

CASE(qa8, uint8_t)
CASE(qa32, uint32_t)
CASE(qa64, uint64_t)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cas_uint8_t),
        cmocka_unit_test(cas_uint32_t),
        cmocka_unit_test(cas_uint64_t),
    };

    return cmocka_run_group_tests_name("atomic", tests, NULL, NULL);
}
