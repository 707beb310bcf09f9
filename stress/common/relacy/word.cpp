/* SPDX-License-Identifier: MIT
 *
 * word.cpp - shared words, see word.hpp. Compiled once for all tests.
 */
#include "word.hpp"
#include "broken.hpp"
#include "explore.hpp"
#include "library.hpp"

namespace
{

/* The shared words of an execution, of one type. */
template <typename T> class Pool
{
  public:
    rl::atomic<T> *make(T value)
    {
        require(count_ < SIZE, "too many words are shared");
        return ::new (&room_[count_++]) rl::atomic<T>(value);
    }

    void end()
    {
        while (count_ > 0)
            room_[--count_].atomic.~atomic();
    }

  private:
    enum { SIZE = 128 };

    union Room {
        Room()
        {
        }
        ~Room()
        {
        }
        rl::atomic<T> atomic;
    };

    Room room_[SIZE];
    unsigned count_ = 0;
};

template <typename T> Pool<T> pool;

/* What Relacy knows of an atomic, which it keeps private; an explicit instantiation may name it. */
template <typename T, rl::atomic_data *rl::generic_atomic<T, false>::*data> struct Open {
    friend rl::atomic_data *data_of(rl::generic_atomic<T, false> &atomic)
    {
        return atomic.*data;
    }
};
rl::atomic_data *data_of(rl::generic_atomic<uint64_t, false> &atomic);
rl::atomic_data *data_of(rl::generic_atomic<uint32_t, false> &atomic);
rl::atomic_data *data_of(rl::generic_atomic<uint16_t, false> &atomic);
rl::atomic_data *data_of(rl::generic_atomic<uint8_t, false> &atomic);
template struct Open<uint64_t, &rl::generic_atomic<uint64_t, false>::impl_>;
template struct Open<uint32_t, &rl::generic_atomic<uint32_t, false>::impl_>;
template struct Open<uint16_t, &rl::generic_atomic<uint16_t, false>::impl_>;
template struct Open<uint8_t, &rl::generic_atomic<uint8_t, false>::impl_>;

bool stored[3]; /* by thread: a store without a fence behind it, as x86 does one */

rl::memory_order order_of(Order order)
{
    static const rl::memory_order orders[] = {rl::mo_relaxed, rl::mo_acquire, rl::mo_release,
                                              rl::mo_acq_rel};

    return orders[static_cast<int>(order)];
}

rl::debug_info info_of(const Place &place)
{
    return rl::debug_info(place.function, place.file, place.line);
}

} /* namespace */

void words_end()
{
    for (bool &s : stored)
        s = false;
    pool<uint64_t>.end();
    pool<uint32_t>.end();
    pool<uint16_t>.end();
    pool<uint8_t>.end();
}

void word_fence(Place place)
{
    if (is_broken(place, "fence"))
        return;
    stored[rl::thread_index()] = false;
    fence(info_of(place));
}

void word_fence_after_rmw(Place place)
{
    if (is_broken(place, "fence"))
        return;
    require(!stored[rl::thread_index()], "a store, and no read-modify-write before the fence");
    fence(info_of(place));
}

void word_rmw()
{
    stored[rl::thread_index()] = false;
}

/* A step that reads, modifies and writes: a full fence on x86, as far as stores go. */
static void rmw_step()
{
    step();
    word_rmw();
}

template <typename T> void Word<T>::share()
{
    if (shared_)
        return;
    shared_ = pool<T>.make(plain_);
    fence_about(data_of(*shared_));
}

template <typename T> T Word<T>::load_shared(Order order, Place place) const
{
    step();
    return shared_->load(order_of(broken_order(place, "load", order)), info_of(place));
}

template <typename T> void Word<T>::store_shared(T value, Order order, Place place)
{
    step();
    stored[rl::thread_index()] = true;
    shared_->store(value, order_of(broken_order(place, "store", order)), info_of(place));
}

template <typename T> bool Word<T>::cas_shared(T &expected, T desired, Order order, Place place)
{
    rmw_step();
    order = broken_order(place, "cas", order);
    if (is_broken(place, "cas")) {
        shared_->exchange(desired, order_of(order), info_of(place));
        return true;
    }
    return shared_->compare_exchange_strong(expected, desired, order_of(order), info_of(place),
                                            rl::mo_relaxed, info_of(place));
}

template <typename T> bool Word<T>::cas_local_shared(T from, T to, Place place)
{
    step();
    if (shared_->load(rl::mo_relaxed, info_of(place)) != from)
        return false;
    stored[rl::thread_index()] = true;
    shared_->store(to, rl::mo_relaxed, info_of(place));
    return true;
}

template <typename T> T Word<T>::exchange_shared(T value, Order order, Place place)
{
    rmw_step();
    return shared_->exchange(value, order_of(broken_order(place, "xchg", order)), info_of(place));
}

template <typename T> T Word<T>::and_shared(T value, Order order, Place place)
{
    rmw_step();
    return shared_->fetch_and(value, order_of(broken_order(place, "and", order)), info_of(place));
}

template <typename T> T Word<T>::or_shared(T value, Order order, Place place)
{
    rmw_step();
    return shared_->fetch_or(value, order_of(broken_order(place, "or", order)), info_of(place));
}

template <typename T> T Word<T>::add_shared(T value, Order order, Place place)
{
    rmw_step();
    return shared_->fetch_add(value, order_of(broken_order(place, "add", order)), info_of(place));
}

template <typename T> T Word<T>::sub_shared(T value, Order order, Place place)
{
    rmw_step();
    return shared_->fetch_sub(value, order_of(broken_order(place, "sub", order)), info_of(place));
}

template class Word<uint64_t>;
template class Word<uint32_t>;
template class Word<uint16_t>;
template class Word<uint8_t>;
