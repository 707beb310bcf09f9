/* SPDX-License-Identifier: MIT
 *
 * contents.h - what is in a frame that processors may write to at the same time. Private to
 * kernel-port/vm.
 *
 * Danger: what was read is old. So nothing follows from it but what an exchange confirms later, of
 * an entry that a write would have changed first.
 */
#ifndef QUIRE_VM_CONTENTS_H
#define QUIRE_VM_CONTENTS_H

#include "core/atomic.h"

#include <quire/address.h>

/* As wide as one load of the machine: a load of 64 bits may be more than that on 32 bits. */
#if UINTPTR_MAX > UINT32_MAX
typedef qa64 contents_word;
typedef uint64_t contents_value;
#else
typedef qa32 contents_word;
typedef uint32_t contents_value;
#endif
enum { CONTENTS_WORDS = QUIRE_FRAME_SIZE / sizeof(contents_value) };

/* Does the frame read as zeros? */
static inline bool contents_are_zero(const void *at)
{
    const contents_word *words = (const contents_word *)at;

    for (unsigned i = 0; i < CONTENTS_WORDS; i += 4) {
        contents_value any = qa_load(&words[i], relaxed); /* relaxed: see above */

        any |= qa_load(&words[i + 1], relaxed); /* relaxed: see above */
        any |= qa_load(&words[i + 2], relaxed); /* relaxed: see above */
        any |= qa_load(&words[i + 3], relaxed); /* relaxed: see above */
        if (any)
            return false;
    }
    return true;
}

static inline void contents_copy(void *to, const void *from)
{
    const contents_word *words = (const contents_word *)from;
    contents_value *target = (contents_value *)to;

    for (unsigned i = 0; i < CONTENTS_WORDS; i += 4) {
        contents_value first = qa_load(&words[i], relaxed);      /* relaxed: see above */
        contents_value second = qa_load(&words[i + 1], relaxed); /* relaxed: see above */
        contents_value third = qa_load(&words[i + 2], relaxed);  /* relaxed: see above */
        contents_value fourth = qa_load(&words[i + 3], relaxed); /* relaxed: see above */

        target[i] = first;
        target[i + 1] = second;
        target[i + 2] = third;
        target[i + 3] = fourth;
    }
}

static inline void contents_clear(void *at)
{
    __builtin_memset(at, 0, QUIRE_FRAME_SIZE);
}

#endif /* QUIRE_VM_CONTENTS_H */
