/* SPDX-License-Identifier: MIT
 *
 * json.c - the results as JSON. What does not apply to a result is left out of it. No state.
 */
#include "report.h"

#include "bench/measure/metadata.h"
#include "bench/measure/variant.h"
#include "goals.h"
#include "published.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

static void add_number(cJSON *object, const char *name, double value)
{
    if (!isnan(value)) {
        cJSON_AddNumberToObject(object, name, value);
    }
}

static cJSON *append_object(cJSON *list)
{
    cJSON *object = cJSON_CreateObject();

    cJSON_AddItemToArray(list, object);
    return object;
}

static void add_shares(cJSON *object, const struct result *r)
{
    if (r->shares) {
        cJSON_AddItemToObject(object, "shares",
                              cJSON_CreateDoubleArray(r->shares, (int)r->share_count));
    }
}

static void add_result(cJSON *list, const struct result *r)
{
    cJSON *object = append_object(list);
    const struct variant *variant = r->variant;
    char name[VARIANT_TEXT];

    variant_text(variant, name);
    cJSON_AddStringToObject(object, "case", r->bench->name);
    cJSON_AddStringToObject(object, "allocator", r->allocator->name);
    cJSON_AddStringToObject(object, "variant", name);
    add_number(object, "threads", r->threads);
    add_number(object, "order", variant->order);
    add_number(object, "batch", variant->batch);
    add_number(object, "frames", variant->frames ? (double)variant->frames : NAN);
    add_number(object, "fill", variant->fill ? (double)variant->fill : NAN);
    if (variant->start != START_OTHER) {
        cJSON_AddStringToObject(object, "start", bench_start_names[variant->start]);
    }
    for (enum figure i = 0; i < FIGURES; i++) {
        add_number(object, bench_figure_names[i], r->figure[i]);
    }
    add_number(object, "least_share", r->least_share);
    add_shares(object, r);
    add_number(object, "min", r->min);
    add_number(object, "max", r->max);
    add_number(object, "rounds", r->rounds);
    add_number(object, "operations", (double)r->ops);
    add_number(object, "instructions", r->instructions);
}

static void add_metadata(cJSON *root, const struct options *options)
{
    cJSON *list = cJSON_AddArrayToObject(root, "metadata");

    for (size_t i = 0; i < bench_allocator_count; i++) {
        double share = metadata_share(options, i);

        if (!isnan(share)) {
            cJSON *object = append_object(list);

            cJSON_AddStringToObject(object, "allocator", bench_allocators[i]->name);
            add_number(object, "frames", (double)METADATA_FRAMES);
            add_number(object, "share", share);
            add_number(object, "target_share", METADATA_TARGET_SHARE);
        }
    }
}

static void add_machines(cJSON *root, const struct options *options)
{
    cJSON *list = cJSON_AddArrayToObject(root, "machines");
    struct whole whole;

    for (size_t i = 0; i < bench_allocator_count; i++) {
        if (metadata_whole(options, i, &whole)) {
            cJSON *object = append_object(list);

            cJSON_AddStringToObject(object, "allocator", bench_allocators[i]->name);
            add_number(object, "nodes", whole.nodes);
            add_number(object, "cpus", whole.cpus);
            add_number(object, "bytes", whole.bytes);
            add_number(object, "init_ns", whole.init_ns);
            add_number(object, "metadata_bytes", whole.metadata_bytes);
            add_number(object, "zonelist_bytes", whole.zonelist_bytes);
        }
    }
}

static void add_goals(cJSON *root, const struct results *results)
{
    cJSON *list = cJSON_AddArrayToObject(root, "goals");
    struct goal_report goal;

    for (size_t index = 0; goals_next(results, &index, &goal);) {
        cJSON *object = append_object(list);

        cJSON_AddStringToObject(object, "what", goal.what);
        cJSON_AddStringToObject(object, "unit", strcmp(goal.unit, "ns") == 0 ? "ns" : "ratio");
        add_number(object, "measured", goal.measured);
        if (!isnan(goal.target)) {
            add_number(object, "target", goal.target);
            cJSON_AddBoolToObject(object, "at_least", goal.at_least);
            cJSON_AddBoolToObject(object, "reached", goal.reached);
        }
    }
}

static void add_published(cJSON *root, const struct results *results)
{
    cJSON *list = cJSON_AddArrayToObject(root, "published");
    struct published published;
    const struct result *ours;

    for (size_t index = 0; published_next(results, &index, &published, &ours);) {
        cJSON *object = append_object(list);

        cJSON_AddStringToObject(object, "allocator", published.allocator);
        cJSON_AddStringToObject(object, "case", published.bench);
        add_number(object, "order", published.order);
        add_number(object, "threads", published.threads);
        add_number(object, "ns_per_op", published.ns);
        cJSON_AddStringToObject(object, "source", published_source);
    }
}

static void add_machine(cJSON *root, const struct bench_machine *machine)
{
    cJSON *object = cJSON_AddObjectToObject(root, "machine");

    cJSON_AddStringToObject(object, "cpu", machine->cpu);
    cJSON_AddStringToObject(object, "kernel", machine->kernel);
    cJSON_AddStringToObject(object, "compiler", machine->compiler);
    add_number(object, "cpus", machine->cpus);
    add_number(object, "load_before", machine->load);
    add_number(object, "clock_ns", machine->clock_ns);
}

bool report_json(FILE *file, const struct bench_machine *machine, const struct options *options,
                 const struct results *results)
{
    cJSON *root = cJSON_CreateObject();

    cJSON_AddStringToObject(root, "program", "quire-bench");
    cJSON_AddBoolToObject(root, "quick", options->quick);
    add_number(root, "scale", options->scale);
    add_machine(root, machine);
    cJSON *list = cJSON_AddArrayToObject(root, "results");

    for (size_t i = 0; i < results->count; i++) {
        add_result(list, &results->list[i]);
    }
    add_metadata(root, options);
    add_machines(root, options);
    add_published(root, results);
    add_goals(root, results);
    char *text = cJSON_Print(root);
    bool written = text && fprintf(file, "%s\n", text) > 0 && fflush(file) == 0;

    cJSON_free(text);
    cJSON_Delete(root);
    return written;
}
