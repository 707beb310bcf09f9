/* SPDX-License-Identifier: MIT
 *
 * explore.cpp - the schedulers of Relacy behind explore.hpp, compiled once for all tests. Every
 * case prints one line: what was searched and in how many executions. A failure prints the
 * execution that failed, step by step, each with the label of the atomic (core/atomic.h) if there
 * is one beside it in the source, and a seed: given to the program it replays that execution.
 */
#include "explore.hpp"
#include "broken.hpp"
#include "library.hpp"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <streambuf>
#include <string>

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

    /* All but how the world was set up. */
    void print()
    {
        bool set_up = false;

        *(pptr() < epptr() ? pptr() : pptr() - 1) = '\0';
        for (char *line = strtok(text_, "\n"); line; line = strtok(nullptr, "\n")) {
            if (strstr(line, "[BEFORE BEGIN]"))
                set_up = true;
            if (!set_up)
                print_line(line);
            if (strstr(line, "[BEFORE END]") || !strncmp(line, "thread ", 7))
                set_up = false;
        }
    }

  private:
    static void print_line(const char *line)
    {
        char label[32] = "";
        const char *place = strrchr(line, ' ');

        if (place)
            find_label(place + 1, label);
        printf("%s%s%s\n", line, *label ? "  " : "", label);
    }

    /* The label beside the line of a source that is told as ../../folder/file(line). */
    static void find_label(const char *place, char label[32])
    {
        char path[512], text[512];
        const char *end = strrchr(place, '('), *at;
        int line = end ? atoi(end + 1) : 0;
        FILE *source;

        while (!strncmp(place, "../", 3))
            place += 3;
        if (line <= 0 || snprintf(path, sizeof path, "%s/%.*s", QUIRE_SOURCES,
                                  static_cast<int>(end - place), place) >= (int)sizeof path)
            return;
        source = fopen(path, "r");
        for (int i = 1; source && i <= line && fgets(text, sizeof text, source); i++)
            if (i + BESIDE >= line && (at = strstr(text, "E-")))
                (void)sscanf(at, "%31[-a-zE]", label);
        if (source)
            fclose(source);
    }

    enum { BESIDE = 3 }; /* lines above an operation that its comment may be on */

    char text_[1 << 18]; /* a long execution is cut off at the end */
};

Report report;
Scenario *current;
char **options; /* of the command line: the program, and what comes before the cases' names */
unsigned option_count;
bool stoppable[3]; /* by thread */
unsigned steps[3]; /* likewise */
unsigned interrupts_left[3];
bool in_instruction; /* its step has been made */

template <int threads> struct Suite : rl::test_suite<Suite<threads>, threads> {
    void before()
    {
        fence_begin();
        for (unsigned &n : steps)
            n = 0;
        interrupts(0);
        in_instruction = false;
        current->before();
    }

    void thread(unsigned index)
    {
        current->thread(index);
        current->at_step();
    }

    void after()
    {
        interrupts(0);
        current->after();
        words_end();
    }
};

double seconds()
{
    return static_cast<double>(clock()) / CLOCKS_PER_SEC;
}

/* ./dev soak searches deeper than the tests, by this many preemptions. */
unsigned deeper()
{
    const char *by = getenv("QUIRE_RELACY_DEEPER");

    return by ? static_cast<unsigned>(atoi(by)) : 0;
}

/* It also runs each case at random, from another seed each time; 0: not now. */
uint64_t random_seed()
{
    const char *seed = getenv("QUIRE_RELACY_RANDOM");

    return seed ? strtoull(seed, nullptr, 10) : 0;
}

/* Whatever search the case has: this many executions at random. Their numbers are their seeds;
 * returns that of the one before. */
uint64_t take_random(uint64_t seed, Case *c, rl::test_params *params)
{
    enum { EXECUTIONS = 5000 };
    uint64_t before = seed * EXECUTIONS;

    c->search = Search::RANDOM;
    c->depth = EXECUTIONS;
    params->initial_state = std::to_string(before + 1);
    params->iteration_count = before + EXECUTIONS;
    return before;
}

/* A seed is the search, and which way was taken at each fork. */
const char *seed_of(const Case &c, const char *state)
{
    static char seed[1 << 16];
    int n = snprintf(seed, sizeof seed, "seed=%d.%u.", static_cast<int>(c.search), c.depth);

    for (const char *p = state; *p && n < static_cast<int>(sizeof seed) - 1; p++)
        seed[n++] = *p == ' ' ? '.' : *p;
    seed[n] = '\0';
    return seed;
}

/* Begin where a seed says. */
bool take_seed(const char *seed, Case *c, rl::test_params *params)
{
    int search, n;

    if (sscanf(seed, "seed=%d.%u.%n", &search, &c->depth, &n) != 2 || search < 0 || search > 2)
        return false;
    c->search = static_cast<Search>(search);
    for (seed += n; *seed; seed++)
        params->initial_state += *seed == '.' ? ' ' : *seed;
    return true;
}

bool run(const Case &given, const char *seed)
{
    Case c = given;
    static const char *const names[] = {"full search", "preemptions <=", "random"};
    std::ostream out(&report);
    rl::test_params params;
    double start = seconds();
    uint64_t before = 0;
    bool good;

    if (seed && !take_seed(seed, &c, &params)) {
        printf("this is no seed\n");
        return false;
    }
    report.clear();
    params.output_stream = &out;
    params.progress_stream = &out;
    if (c.search == Search::BOUND && !seed)
        c.depth += deeper();
    params.context_bound = c.depth;
    places_begin();
    params.execution_depth_limit = 4000; /* steps; more are a loop that waits for somebody */
    params.iteration_count = c.depth;
    if (random_seed() && !seed)
        before = take_random(random_seed(), &c, &params);
    params.search_type = c.search == Search::FULL    ? rl::sched_full
                         : c.search == Search::BOUND ? rl::sched_bound
                                                     : rl::sched_random;
    current = &c.scenario;
    good = c.threads == 2 ? rl::simulate<Suite<2>>(params) : rl::simulate<Suite<3>>(params);
    printf("%-36s %u threads, %s", c.name, c.threads, names[static_cast<int>(c.search)]);
    if (c.search == Search::BOUND)
        printf(" %u", c.depth);
    printf(": %" PRIu64 " executions, %.1f s%s\n", params.stop_iteration - before,
           seconds() - start, good ? "" : ", FAILED in the last one:");
    if (good)
        c.scenario.report();
    else {
        report.print();
        printf("replay: ");
        for (unsigned i = 0; i < option_count; i++)
            printf("%s ", options[i]);
        printf("%s %s\n", c.name, seed_of(c, params.final_state.c_str()));
    }
    places_print();
    fflush(stdout);
    return good;
}

/* With few preemptions most mistakes show: in a short execution, and long before the search proper
 * would come to it. So all cases go through this first. */
bool run_shallow(const Case &c, const char *seed)
{
    enum { FEW = 2 };
    Case shallow = c;

    if (seed || random_seed() || c.search == Search::RANDOM ||
        (c.search == Search::BOUND && c.depth <= FEW))
        return true;
    shallow.search = Search::BOUND;
    shallow.depth = FEW;
    return run(shallow, nullptr);
}

bool wanted(const Case &c, int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (!strcmp(argv[i], c.name))
            return true;
    return argc == 0;
}

} /* namespace */

int explore(int argc, char **argv, std::initializer_list<Case> cases)
{
    const char *seed;
    bool any = false, shallow = false;

    options = argv;
    option_count = 1;
    for (argc--, argv++; argc > 0 && argv[0][0] == '-'; argc--, argv++, option_count++)
        if (!strcmp(argv[0], "--shallow"))
            shallow = true;
        else if (!break_as_told(argv[0]))
            return 2;
    seed = argc == 2 && !strncmp(argv[1], "seed=", 5) ? argv[1] : nullptr;
    for (bool (*search)(const Case &, const char *) : {run_shallow, run})
        for (const Case &c : cases)
            if (wanted(c, argc, argv)) {
                any = true;
                if (shallow && !seed && search == run)
                    continue;
                if (!search(c, seed))
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

unsigned steps_of(unsigned thread)
{
    return steps[thread];
}

void let_others_run()
{
    rl::yield(1, $);
}

void interrupts(unsigned times)
{
    for (unsigned &left : interrupts_left)
        left = times;
}

/* An interrupt of this thread. */
static void take_interrupt(unsigned &left)
{
    unsigned further = left - 1;

    left = 0;
    current->interrupt();
    left = further;
}

void step()
{
    unsigned &left = interrupts_left[rl::thread_index()];

    if (in_instruction)
        return;
    steps[rl::thread_index()]++;
    if (left > 0 && current->may_interrupt() && rl::rand(2))
        take_interrupt(left);
    current->at_step();
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

/* All that may come before a step, then the step. */
static bool made_step()
{
    step();
    return true;
}

Instruction::Instruction() : step_(made_step())
{
    in_instruction = true;
}

Instruction::~Instruction()
{
    in_instruction = false;
}
