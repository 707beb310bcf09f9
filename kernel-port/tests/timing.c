/* SPDX-License-Identifier: MIT
 *
 * timing.c - see timing.h. State: the one measurement that goes on.
 */
#include "timing.h"

#include "cpu.h"
#include "kernel-port/kernel/clock.h"
#include "kernel-port/kernel/work.h"
#include "x86.h"

#include <stdbool.h>

enum { REPEATS = 5, LOOPS = 100000, LOOP_SLACK = 100 };

static bool counts_instructions;

static struct {
    struct op op;
    void (*half[2])(struct op *);
    uint32_t cpu;
    uint64_t counts[2];
} job;

/* A loop of two instructions a turn tells what a count is. */
void timing_init(void)
{
    uint64_t start = rdtsc(), took, loops = LOOPS;

    __asm__ volatile("1: decq %0; jnz 1b" : "+r"(loops) : : "cc");
    took = rdtsc() - start;
    counts_instructions = took >= 2 * LOOPS && took < 2 * LOOPS + LOOP_SLACK;
}

const char *timing_unit(void)
{
    return counts_instructions ? "instructions" : "ns";
}

static void insert(uint64_t sorted[], unsigned n, uint64_t value)
{
    for (; n > 0 && sorted[n - 1] > value; n--)
        sorted[n] = sorted[n - 1];
    sorted[n] = value;
}

/* The first run warms up and does not count. */
static void measure(void *argument)
{
    uint64_t took[2][REPEATS];

    (void)argument;
    if (cpu_id() != job.cpu)
        return;
    for (unsigned i = 0; i <= REPEATS; i++)
        for (unsigned h = 0; h < 2 && job.half[h]; h++) {
            uint64_t start = rdtsc();

            job.half[h](&job.op);
            if (i)
                insert(took[h], i - 1, rdtsc() - start);
        }
    for (unsigned h = 0; h < 2 && job.half[h]; h++)
        job.counts[h] = took[h][REPEATS / 2];
}

static uint64_t tenths(uint64_t counts, uint32_t per)
{
    return (counts_instructions ? counts : clock_ns(counts)) * 10 / per;
}

struct timing timing_of(uint32_t cpu, const struct op *op, void (*first)(struct op *),
                        void (*second)(struct op *))
{
    job.op = *op;
    job.half[0] = first;
    job.half[1] = second;
    job.cpu = cpu;
    job.counts[0] = job.counts[1] = 0;
    work_on_all(measure, NULL);
    return (struct timing){tenths(job.counts[0], op->n), tenths(job.counts[1], op->n),
                           job.op.failed};
}
