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
#ifndef QUIRE_STRESS_RELACY_WORD_HPP
#define QUIRE_STRESS_RELACY_WORD_HPP

#include <new>
#include <relacy/relacy.hpp>

/* Relacy counts allocations with these; nothing here allocates while it explores. */
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free

/* fence.cpp: a full fence, which is one step with the access before it; the words that it is about;
 * and a new execution begins. */
void word_fence(rl::debug_info_param info);
void word_shared(rl::atomic_data *data);
void word_forget_all();

/* What Relacy knows of an atomic, which it keeps private; an explicit instantiation may name it. */
template <typename T, rl::atomic_data *rl::generic_atomic<T, false>::*data> struct WordData {
    friend rl::atomic_data *word_data_of(rl::generic_atomic<T, false> &atomic)
    {
        return atomic.*data;
    }
};
rl::atomic_data *word_data_of(rl::generic_atomic<uint64_t, false> &atomic);
rl::atomic_data *word_data_of(rl::generic_atomic<uint32_t, false> &atomic);
rl::atomic_data *word_data_of(rl::generic_atomic<uint8_t, false> &atomic);
template struct WordData<uint64_t, &rl::generic_atomic<uint64_t, false>::impl_>;
template struct WordData<uint32_t, &rl::generic_atomic<uint32_t, false>::impl_>;
template struct WordData<uint8_t, &rl::generic_atomic<uint8_t, false>::impl_>;

template <typename T> class Word
{
  public:
    Word() : plain_(0), shared_(false)
    {
    }

    ~Word()
    {
        if (shared_)
            atomic_.~atomic();
    }

    Word(const Word &) = delete;
    Word &operator=(const Word &) = delete;

    /* From now on accesses are steps. Only while the test is set up. */
    void share()
    {
        T value = plain_;

        if (shared_)
            return;
        ::new (&atomic_) rl::atomic<T>(value);
        shared_ = true;
        word_shared(word_data_of(atomic_));
    }

    T load(rl::memory_order order, rl::debug_info_param info) const
    {
        return shared_ ? atomic_.load(order, info) : plain_;
    }

    void store(T value, rl::memory_order order, rl::debug_info_param info)
    {
        if (shared_)
            atomic_.store(value, order, info);
        else
            plain_ = value;
    }

    bool cas(T &expected, T desired, rl::memory_order order, rl::debug_info_param info)
    {
        if (shared_)
            return atomic_.compare_exchange_strong(expected, desired, order, info, rl::mo_relaxed,
                                                   info);
        if (plain_ != expected) {
            expected = plain_;
            return false;
        }
        plain_ = desired;
        return true;
    }

    T exchange(T value, rl::memory_order order, rl::debug_info_param info)
    {
        return shared_ ? atomic_.exchange(value, order, info) : put(value);
    }

    T fetch_and(T value, rl::memory_order order, rl::debug_info_param info)
    {
        return shared_ ? atomic_.fetch_and(value, order, info) : put(plain_ & value);
    }

    T fetch_or(T value, rl::memory_order order, rl::debug_info_param info)
    {
        return shared_ ? atomic_.fetch_or(value, order, info) : put(plain_ | value);
    }

    T fetch_add(T value, rl::memory_order order, rl::debug_info_param info)
    {
        return shared_ ? atomic_.fetch_add(value, order, info) : put(plain_ + value);
    }

    T fetch_sub(T value, rl::memory_order order, rl::debug_info_param info)
    {
        return shared_ ? atomic_.fetch_sub(value, order, info) : put(plain_ - value);
    }

  private:
    T put(T value)
    {
        T old = plain_;

        plain_ = value;
        return old;
    }

    union {
        T plain_;
        rl::atomic<T> atomic_;
    };
    bool shared_;
};

#endif /* QUIRE_STRESS_RELACY_WORD_HPP */
