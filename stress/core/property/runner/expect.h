/* SPDX-License-Identifier: MIT
 *
 * expect.h - which results of each operation zone.h allows in the model's present state.
 *
 * A set of results is a bit mask: bit 0 for success, bit e for the error -e. Where several errors
 * apply to one call zone.h does not say which is given, so all are in the set; success is in a set
 * together with an error only where a comment below says why. Pure functions of the model.
 */
#ifndef QUIRE_STRESS_CORE_PROPERTY_EXPECT_H
#define QUIRE_STRESS_CORE_PROPERTY_EXPECT_H

#include "model.h"

#define RESULT(error) (1u << -(error))

/* Errors of the slot and of the flags, given which flags the function takes. */
uint32_t expect_arguments(const struct model *m, uint32_t slot, uint32_t flags, uint32_t known);
/* The flags that every allocation takes. */
extern const uint32_t expect_common_flags;

/* How many frames are free above the floor of the request's class. */
uint64_t expect_above_floor(const struct model *m, uint32_t flags);

uint32_t expect_alloc(const struct model *m, unsigned order, uint32_t flags);
uint32_t expect_batch(const struct model *m, uint64_t n, uint32_t flags);
uint32_t expect_runs(const struct model *m, uint64_t frames, uint64_t capacity, uint32_t flags);
uint32_t expect_contig(const struct model *m, const struct quire_contig *want, uint32_t flags);
uint32_t expect_at(const struct model *m, uint64_t pfn, unsigned order, uint32_t flags);
uint32_t expect_reserve(const struct model *m, uint64_t pfn, uint64_t frames);
uint32_t expect_unreserve(const struct model *m, uint64_t pfn, uint64_t frames);

/* Free and split by order, free by exact length, free and measure by the first frame. */
uint32_t expect_free(const struct model *m, uint64_t pfn, unsigned order);
uint32_t expect_free_contig(const struct model *m, uint64_t pfn, uint64_t frames);
uint32_t expect_free_any(const struct model *m, uint64_t pfn);
uint32_t expect_join(const struct model *m, uint64_t pfn);

/* The set as words, "OK or QUIRE_ERR_ORDER", in a static buffer. */
const char *expect_text(uint32_t set);
const char *expect_name(int result);

#endif /* QUIRE_STRESS_CORE_PROPERTY_EXPECT_H */
