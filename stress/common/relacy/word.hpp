/* SPDX-License-Identifier: MIT
 *
 * word.hpp - one atomic word of the metadata as Relacy explores it. core/atomic.h includes this
 * file when QUIRE_RELACY is defined; all operations of core then end in class Word.
 *
 * A word is quiet until the test shares it. A quiet word is a plain value: reading and writing it
 * is no step of an execution, so words that a test is not about (statistics, or the fullness bytes
 * of a test of the maps) do not multiply the number of interleavings. A shared word is an
 * rl::atomic: every access is a place where another thread may go on, and a relaxed load may give
 * an older value.
 *
 * A failed compare-and-swap reads with relaxed order, as in the other builds.
 */
#ifndef QUIRE_STRESS_COMMON_RELACY_WORD_HPP
#define QUIRE_STRESS_COMMON_RELACY_WORD_HPP

#include <stdint.h>

namespace rl
{
template <typename T> class atomic;
}

enum class Order { relaxed, acquire, release, acq_rel };

/* Where in the source an operation stands. */
struct Place {
    const char *function, *file;
    unsigned line;
};

#define WORD_PLACE \
    (Place{static_cast<const char *>(__func__), static_cast<const char *>(__FILE__), __LINE__})

/* A quiet word was read, modified and written: see word_fence_after_rmw. */
void word_rmw();

template <typename T> class Word
{
  public:
    Word() = default;
    Word(const Word &) = delete;
    Word &operator=(const Word &) = delete;

    /* From now on accesses are steps. Only while the test is set up; until the execution ends. */
    void share();

    T load(Order order, Place place) const
    {
        return shared_ ? load_shared(order, place) : plain_;
    }

    void store(T value, Order order, Place place)
    {
        if (shared_)
            store_shared(value, order, place);
        else
            plain_ = value;
    }

    bool cas(T &expected, T desired, Order order, Place place)
    {
        if (shared_)
            return cas_shared(expected, desired, order, place);
        word_rmw();
        if (plain_ != expected) {
            expected = plain_;
            return false;
        }
        plain_ = desired;
        return true;
    }

    /* As qa_clear_local: other threads may come in between its load and its store, but no interrupt
     * of its own (explore.hpp). */
    bool cas_local(T from, T to, Place place)
    {
        if (shared_)
            return cas_local_shared(from, to, place);
        if (plain_ != from)
            return false;
        plain_ = to;
        return true;
    }

    T exchange(T value, Order order, Place place)
    {
        return shared_ ? exchange_shared(value, order, place) : put(value);
    }

    T fetch_and(T value, Order order, Place place)
    {
        return shared_ ? and_shared(value, order, place) : put(plain_ & value);
    }

    T fetch_or(T value, Order order, Place place)
    {
        return shared_ ? or_shared(value, order, place) : put(plain_ | value);
    }

    T fetch_add(T value, Order order, Place place)
    {
        return shared_ ? add_shared(value, order, place) : put(plain_ + value);
    }

    T fetch_sub(T value, Order order, Place place)
    {
        return shared_ ? sub_shared(value, order, place) : put(plain_ - value);
    }

  private:
    T put(T value)
    {
        T old = plain_;

        word_rmw();
        plain_ = value;
        return old;
    }

    T load_shared(Order order, Place place) const;
    void store_shared(T value, Order order, Place place);
    bool cas_shared(T &expected, T desired, Order order, Place place);
    bool cas_local_shared(T from, T to, Place place);
    T exchange_shared(T value, Order order, Place place);
    T and_shared(T value, Order order, Place place);
    T or_shared(T value, Order order, Place place);
    T add_shared(T value, Order order, Place place);
    T sub_shared(T value, Order order, Place place);

    rl::atomic<T> *shared_ = nullptr;
    T plain_ = 0;
};

/* A full fence. It is one step with the access before it, but for fences_apart() of explore.hpp. */
void word_fence(Place place);
/* The same; but fails the execution if the thread stored to a shared word since its last
 * read-modify-write or fence: on x86 there would be no fence behind that store. */
void word_fence_after_rmw(Place place);

#endif /* QUIRE_STRESS_COMMON_RELACY_WORD_HPP */
