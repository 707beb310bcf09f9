/* SPDX-License-Identifier: MIT
 *
 * explore.hpp - runs scenarios under Relacy's schedulers. A scenario is a small concurrent program:
 * before() builds its world, thread(i) is what thread i does, after() looks at what is left; each
 * is called once per execution.
 */
#ifndef QUIRE_STRESS_COMMON_RELACY_EXPLORE_HPP
#define QUIRE_STRESS_COMMON_RELACY_EXPLORE_HPP

#include <initializer_list>

class Scenario
{
  public:
    virtual void before() = 0;
    virtual void thread(unsigned index) = 0;
    virtual void after() = 0;

    /* What comes in the middle of the running thread's work, see interrupts(). */
    virtual bool may_interrupt()
    {
        return false;
    }
    virtual void interrupt()
    {
    }

    /* The running thread comes to a step on shared words, or to its end: for worlds that have a
     * notion of what runs where. */
    virtual void at_step()
    {
    }

    /* After the search: print what was found, indented, if there is something to say. */
    virtual void report()
    {
    }

  protected:
    ~Scenario() = default;
};

enum class Search {
    FULL,   /* every interleaving, and for each load the newest and the value before it */
    BOUND,  /* the same with at most `depth` preemptions */
    RANDOM, /* `depth` executions at random, the same ones in each run; older values too */
};

struct Case {
    const char *name;
    Scenario &scenario;
    unsigned threads; /* 2 or 3 */
    Search search;
    unsigned depth; /* FULL: ignored */
};

/* Run all cases, or those named on the command line, up to the first that fails; with a name and a
 * seed that a failure printed, that execution of that case. The exit status: 0 if none failed and
 * there was one. */
int explore(int argc, char **argv, std::initializer_list<Case> cases);

/* Fail the execution, and with it the case, unless `good`. */
void require(bool good, const char *what);

/* While one of these lives and is `on`, the thread is not preempted: what it does is one step. For
 * calls of a rival whose inner steps do not matter, so that more of them fit into a search. */
class OneStep
{
  public:
    explicit OneStep(bool on = true);
    ~OneStep();
    OneStep(const OneStep &) = delete;
    OneStep &operator=(const OneStep &) = delete;

  private:
    bool on_;
};

/* While one of these lives what is done is an instruction: a step, before which the thread may be
 * preempted, interrupted and stopped, and in which nothing comes between. */
class Instruction
{
  public:
    Instruction();
    ~Instruction();
    Instruction(const Instruction &) = delete;
    Instruction &operator=(const Instruction &) = delete;

  private:
    OneStep step_;
};

/* In this execution a fence is a step by itself: others may come between the access before it and
 * the fence. For cases in which all words are shared that several threads use: another one that is
 * read by a step and then waits for the fence orders nothing. */
void fences_apart();

/* Call `work`, and stop for ever before any of its steps on shared words: the search tries them
 * all. True: it did not stop. */
template <typename Work> bool up_to_a_stop(Work work);

/* How many steps on shared words a thread has made in this execution. */
unsigned steps_of(unsigned thread);

/* In a loop that waits for others: let them go on. A search takes no turn of it before they did. */
void let_others_run();

/* In this execution interrupt() is called in each thread up to so many times, before any of its
 * steps on shared words that may_interrupt() says may be interrupted: the search tries them all.
 * Interrupts do not nest. */
void interrupts(unsigned times);

/* What the above is made of: the running thread may stop, or not; a step comes. */
struct Stopped {
};
void may_stop(bool may);
void step();

template <typename Work> bool up_to_a_stop(Work work)
{
    bool done = true;

    may_stop(true);
    try {
        work();
    } catch (const Stopped &) {
        done = false;
    }
    may_stop(false);
    return done;
}

#endif /* QUIRE_STRESS_COMMON_RELACY_EXPLORE_HPP */
