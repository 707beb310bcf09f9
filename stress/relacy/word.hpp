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

/* A fence is one step with the access before it. That loses nothing: what another thread could do
 * between the two, it can do after them too, because a load may give the older value. */
static inline void word_fence(rl::debug_info_param info)
{
    rl::ctx().disable_preemption();
    rl::atomic_thread_fence(rl::mo_seq_cst, info);
    rl::ctx().enable_preemption();
}

#endif /* QUIRE_STRESS_RELACY_WORD_HPP */
