/* SPDX-License-Identifier: MIT
 *
 * explore.cpp - the schedulers of Relacy behind explore.hpp, compiled once for all tests. Every
 * case prints one line: what was searched and in how many executions. A failure prints the
 * execution that failed, step by step.
 */
#include "explore.hpp"
#include "library.hpp"

#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <streambuf>

namespace
{

/* What Relacy writes. Kept in memory without allocating, because Relacy tracks allocations. */
class Report : public std::streambuf
{
  public:
    void clear()
    {
        setp(text_, text_ + sizeof text_);
    }

    void print()
    {
        fwrite(text_, 1, static_cast<size_t>(pptr() - text_), stdout);
    }

  private:
    char text_[1 << 18]; /* a long execution is cut off at the end */
};

Report report;
Scenario *current;
bool stoppable[3]; /* by thread */

template <int threads> struct Suite : rl::test_suite<Suite<threads>, threads> {
    void before()
    {
        fence_begin();
        current->before();
    }

    void thread(unsigned index)
    {
        current->thread(index);
    }

    void after()
    {
        current->after();
        words_end();
    }
};

double seconds()
{
    return static_cast<double>(clock()) / CLOCKS_PER_SEC;
}

bool run(const Case &c)
{
    static const char *const names[] = {"full search", "preemptions <=", "random"};
    std::ostream out(&report);
    rl::test_params params;
    double start = seconds();
    bool good;

    report.clear();
    params.output_stream = &out;
    params.progress_stream = &out;
    params.search_type = c.search == Search::FULL    ? rl::sched_full
                         : c.search == Search::BOUND ? rl::sched_bound
                                                     : rl::sched_random;
    params.context_bound = c.depth;
    params.execution_depth_limit = 4000; /* steps; more are a loop that waits for somebody */
    params.iteration_count = c.depth;
    current = &c.scenario;
    good = c.threads == 2 ? rl::simulate<Suite<2>>(params) : rl::simulate<Suite<3>>(params);
    printf("%-36s %u threads, %s", c.name, c.threads, names[static_cast<int>(c.search)]);
    if (c.search == Search::BOUND)
        printf(" %u", c.depth);
    printf(": %" PRIu64 " executions, %.1f s%s\n", params.stop_iteration, seconds() - start,
           good ? "" : ", FAILED in the last one:");
    if (!good)
        report.print();
    fflush(stdout);
    return good;
}

/* With few preemptions most mistakes show: in a short execution, and long before the search proper
 * would come to it. So all cases go through this first. */
bool run_shallow(const Case &c)
{
    enum { FEW = 2 };
    Case shallow = c;

    if (c.search == Search::RANDOM || (c.search == Search::BOUND && c.depth <= FEW))
        return true;
    shallow.search = Search::BOUND;
    shallow.depth = FEW;
    return run(shallow);
}

bool wanted(const Case &c, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], c.name))
            return true;
    return argc < 2;
}

} /* namespace */

int explore(int argc, char **argv, std::initializer_list<Case> cases)
{
    bool any = false;

    for (bool (*search)(const Case &) : {run_shallow, run})
        for (const Case &c : cases)
            if (wanted(c, argc, argv)) {
                any = true;
                if (!search(c))
                    return 1;
            }
    if (!any)
        printf("no case has the name given\n");
    return any ? 0 : 1;
}

void require(bool good, const char *what)
{
    if (!good)
        rl::ctx().fail_test(what, rl::test_result_user_assert_failed, $);
}

void may_stop(bool may)
{
    stoppable[rl::thread_index()] = may;
}

void step()
{
    if (stoppable[rl::thread_index()] && rl::rand(2))
        throw Stopped();
}

OneStep::OneStep(bool on) : on_(on)
{
    if (!on)
        return;
    rl::ctx().sched(); /* the others may go on before it */
    rl::ctx().disable_preemption();
}

OneStep::~OneStep()
{
    if (on_)
        rl::ctx().enable_preemption();
}
