/* SPDX-License-Identifier: MIT
 *
 * fence.cpp - the full fence of the explored code: it orders values, and does nothing else.
 *
 * Of two fences one is the second: its side then sees every value that the first one's side knew
 * before its fence. That is all that C11 says of two sequentially consistent fences, and here it is
 * all that a fence does. Relacy's own fence lets the second side have everything of the first one
 * happen before it, which C11 does not; and any fence of C11 also makes the relaxed access before
 * it an acquire and the one behind it a release, which would hide that an access lacks its label's
 * order. So whatever happens before something else here does so by a label of core/atomic.h, as it
 * must for ThreadSanitizer too, which knows no fences.
 *
 * How: `known` is the clock of what was known at any fence so far. For each shared word the fence
 * notes at the newest value that this clock covers that the thread has read it. From then on it
 * cannot read an older one, nor can who comes to know of the fence (coherence).
 */
#include "explore.hpp"
#include "library.hpp"

namespace
{

enum { WORDS = 512, THREADS = 3 };

rl::atomic_data *words[WORDS];
unsigned word_count;
rl::timestamp_t known[THREADS];
bool apart;

template <int threads> void see(rl::atomic_data *data, const rl::thread_info_base &me)
{
    auto &word = *static_cast<rl::atomic_data_impl<threads> *>(data);

    for (unsigned age = 0; age < rl::atomic_history_size; age++) {
        auto &value = word.history_[(word.current_index_ - age) % rl::atomic_history_size];
        bool covered;

        if (!value.busy_)
            return;
        covered = known[value.thread_id_] >= value.acq_rel_timestamp_;
        for (int i = 0; i < threads && !covered; i++)
            covered = known[i] >= value.first_seen_order_[i];
        if (!covered)
            continue;
        if (value.first_seen_order_[me.index_] > me.own_acq_rel_order_)
            value.first_seen_order_[me.index_] = me.own_acq_rel_order_;
        return;
    }
}

} /* namespace */

void fence_begin()
{
    word_count = 0;
    apart = false;
    for (rl::timestamp_t &t : known)
        t = 0;
}

void fence_about(rl::atomic_data *data)
{
    require(word_count < WORDS, "too many words are shared");
    words[word_count++] = data;
}

void fences_apart()
{
    apart = true;
}

void fence(rl::debug_info_param info)
{
    if (apart)
        rl::ctx().sched();

    rl::context &c = rl::ctx();
    rl::thread_info_base &me = *c.threadx_;
    int threads = c.get_thread_count();

    me.own_acq_rel_order_++; /* what is noted below was not known to an earlier release */
    for (int i = 0; i < threads; i++)
        if (known[i] < me.acq_rel_order_[i])
            known[i] = me.acq_rel_order_[i];
    for (unsigned i = 0; i < word_count; i++)
        threads == 2 ? see<2>(words[i], me) : see<3>(words[i], me);
    if (c.collecting_history())
        c.exec_log(info, rl::atomic_fence_event{rl::mo_seq_cst, true});
}
