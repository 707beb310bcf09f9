/* SPDX-License-Identifier: MIT
 *
 * measured_on.c - processor, kernel, compiler, load. What cannot be read is "unknown" or 0. No
 * state.
 */
#include "measured_on.h"

#include "bench/measure/pool.h"
#include "bench/measure/stopwatch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

static void read_cpu(char *name, size_t size)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];

    (void)snprintf(name, size, "unknown");
    if (!file) {
        return;
    }
    while (fgets(line, sizeof(line), file)) {
        char *value = strchr(line, ':');

        if (value && strncmp(line, "model name", 10) == 0) {
            value += strspn(value, ": \t");
            value[strcspn(value, "\n")] = '\0';
            (void)snprintf(name, size, "%s", value);
            break;
        }
    }
    (void)fclose(file);
}

void machine_read(struct bench_machine *machine)
{
    struct utsname system;

    read_cpu(machine->cpu, sizeof(machine->cpu));
    if (uname(&system)) {
        (void)snprintf(machine->kernel, sizeof(machine->kernel), "unknown");
    } else {
        (void)snprintf(machine->kernel, sizeof(machine->kernel), "%.32s %.64s %.32s",
                       system.sysname, system.release, system.machine);
    }
#ifdef __clang__
    machine->compiler = "clang " __clang_version__;
#else
    machine->compiler = "gcc " __VERSION__;
#endif
    machine->cpus = pool_cpus();
    if (getloadavg(&machine->load, 1) != 1) {
        machine->load = 0;
    }
    machine->clock_ns = stopwatch_overhead_ns();
}
