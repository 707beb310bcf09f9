/* SPDX-License-Identifier: MIT
 *
 * metadata.h - how much memory each allocator keeps to manage memory. Main thread.
 */
#ifndef QUIRE_BENCH_MEASURE_METADATA_H
#define QUIRE_BENCH_MEASURE_METADATA_H

#include "bench/options.h"

#define METADATA_FRAMES       (UINT64_C(1) << 24) /* 64 GiB */
#define METADATA_TARGET_SHARE 0.01                /* the target the project began with */

/* Metadata of the index-th allocator's arena of METADATA_FRAMES as a share of the memory that it
 * manages; NAN if the allocator was not selected, does not say, or cannot open such an arena. */
double metadata_share(const struct options *options, size_t index);

/* What the index-th allocator's whole machine is and needs; false if the allocator was not
 * selected, is not one, or cannot open it. */
bool metadata_whole(const struct options *options, size_t index, struct whole *whole);

#endif /* QUIRE_BENCH_MEASURE_METADATA_H */
