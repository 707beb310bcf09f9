/* SPDX-License-Identifier: MIT
 *
 * frame_list.h - any number of single frames, kept in a list that runs through the frames
 * themselves.
 *
 * For whoever takes all of memory and has nowhere to write down what he got. The second word of
 * each frame names the next one; the first is the shadow's pattern. One owner at a time.
 */
#ifndef KERNEL_PORT_TESTS_FRAME_LIST_H
#define KERNEL_PORT_TESTS_FRAME_LIST_H

#include <quire/zone.h>

struct frame_list {
    quire_pfn first; /* 0: none, frame 0 is never handed out */
    uint64_t count, tag;
};

/* Take single frames of the zone until it refuses, or until the list has `most`. */
void frame_list_take(struct frame_list *list, struct quire_zone *zone, uint32_t flags,
                     uint64_t most);

/* Free them all, in the order last in, first out. They may be of several zones. */
void frame_list_free(struct frame_list *list);

#endif /* KERNEL_PORT_TESTS_FRAME_LIST_H */
