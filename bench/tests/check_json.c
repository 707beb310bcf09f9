/* SPDX-License-Identifier: MIT
 *
 * check_json.c - is FILE what `quire-bench --json FILE` promises? For a run of all cases and
 * allocators at one and two threads. Says the first thing that is wrong and exits with 1.
 */
#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static void require(bool true_thing, const char *format, ...)
{
    va_list arguments;

    if (true_thing) {
        return;
    }
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
    exit(1);
}

/* As require(), of one item, which is shown. */
static void require_of(const cJSON *item, bool true_thing, const char *what)
{
    if (!true_thing) {
        (void)fprintf(stderr, "%s in: %s\n", what, item ? cJSON_Print(item) : "nothing");
        exit(1);
    }
}

static char *read_all(const char *path)
{
    enum { LIMIT = 1 << 22 };
    FILE *file = fopen(path, "r");
    char *text = malloc(LIMIT);

    require(file && text, "cannot read %s", path);
    size_t length = fread(text, 1, LIMIT - 1, file);

    require(feof(file), "%s is longer than %d bytes", path, LIMIT);
    text[length] = '\0';
    (void)fclose(file);
    return text;
}

static double number(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    require_of(object, cJSON_IsNumber(item), name);
    return item->valuedouble;
}

static const char *string(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    require_of(object, cJSON_IsString(item), name);
    return item->valuestring;
}

static const cJSON *list(const cJSON *root, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, name);

    require(cJSON_IsArray(item) && cJSON_GetArraySize(item) > 0, "no list '%s'", name);
    return item;
}

static void check_result(const cJSON *result)
{
    double ns = number(result, "ns_per_op"), min = number(result, "min"),
           max = number(result, "max");

    string(result, "case");
    string(result, "allocator");
    string(result, "variant");
    require_of(result,
               number(result, "threads") >= 1 && number(result, "order") >= 0 &&
                   number(result, "rounds") >= 1 && number(result, "operations") >= 1,
               "a count out of range");
    require_of(result, min > 0 && min <= ns && ns <= max, "not 0 < min <= ns_per_op <= max");
}

static const cJSON *find(const cJSON *results, const char *bench, const char *allocator,
                         int threads, int order)
{
    const cJSON *result;

    cJSON_ArrayForEach(result, results)
    {
        if (strcmp(string(result, "case"), bench) == 0 &&
            strcmp(string(result, "allocator"), allocator) == 0 &&
            (int)number(result, "threads") == threads && (int)number(result, "order") == order) {
            return result;
        }
    }
    require(false, "no result for case %s, allocator %s, %d threads, order %d", bench, allocator,
            threads, order);
    return NULL;
}

/* Before the first round and after each, the last one being the result's. */
static void check_shares(const cJSON *churn)
{
    const cJSON *shares = list(churn, "shares"), *share;
    int n = cJSON_GetArraySize(shares);

    cJSON_ArrayForEach(share, shares)
    {
        require_of(churn,
                   cJSON_IsNumber(share) && share->valuedouble >= 0 && share->valuedouble <= 1,
                   "a share that is none");
    }
    require_of(churn,
               n > 1 &&
                   cJSON_GetArrayItem(shares, n - 1)->valuedouble == number(churn, "whole_share"),
               "the last of shares is not whole_share");
}

static void check_mixed(const cJSON *mixed)
{
    const char *start = string(mixed, "start");

    require_of(mixed, strcmp(start, "compact") == 0 || strcmp(start, "peppered") == 0,
               "a start that is none");
    require_of(mixed, number(mixed, "refusals") >= 0, "fewer refusals than none");
    require_of(mixed, number(mixed, "least_share") <= number(mixed, "whole_share"),
               "least_share is more than whole_share");
    check_shares(mixed);
}

static void check_complete(const cJSON *results)
{
    static const char *const cases[] = {"pair",      "bulk-alloc", "bulk-free", "random-free",
                                        "half-full", "latency",    "churn",     "contig"};
    static const int mixes[] = {1, 3, 8}, orders[] = {2, 4, 9};
    static const char *const allocators[] = {"quire",          "quire-cache",  "quire-zone",
                                             "quire-exchange", "quire-local",  "null",
                                             "spinlock-buddy", "cached-buddy", "linux-like"};

    for (size_t a = 0; a < sizeof(allocators) / sizeof(allocators[0]); a++) {
        for (int threads = 1; threads <= 2; threads++) {
            for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
                find(results, cases[c], allocators[a], threads, 0);
            }
            for (int order = 1; order <= 10; order++) {
                find(results, "pair", allocators[a], threads, order);
                find(results, "burst", allocators[a], threads, order);
            }
            for (size_t o = 0; o < sizeof(orders) / sizeof(orders[0]); o++) {
                find(results, "half-full", allocators[a], threads, orders[o]);
                find(results, "bulk-alloc-single", allocators[a], threads, orders[o]);
                find(results, "bulk-free-single", allocators[a], threads, orders[o]);
                find(results, "random-free-single", allocators[a], threads, orders[o]);
            }
            find(results, "mobility", allocators[a], threads, 3);
        }
        find(results, "spsc", allocators[a], 2, 0);
    }
    for (size_t m = 0; m < sizeof(mixes) / sizeof(mixes[0]); m++) {
        for (int threads = 1; threads <= 2; threads++) {
            check_mixed(find(results, "churn-mixed", "quire", threads, mixes[m]));
        }
    }
    for (int order = 1; order <= 9; order++) {
        for (int threads = 1; threads <= 2; threads++) {
            const cJSON *refusal = find(results, "refusal", "quire", threads, order);

            require_of(refusal, number(refusal, "first_ns") > 0 && number(refusal, "worst_ns") > 0,
                       "a refusal that takes no time");
        }
    }
    find(results, "init", "quire-zone", 1, 0);
    find(results, "pair", "quire-norunmap", 1, 0);
    for (int threads = 1; threads <= 2; threads++) {
        find(results, "machine", "machine-1", threads, 0);
        find(results, "machine", "machine-64", threads, 0);
    }
    find(results, "machine-init", "machine-64", 1, 0);
    check_shares(find(results, "churn", "quire", 2, 0));
    const cJSON *latency = find(results, "latency", "quire", 2, 0);

    require_of(latency,
               number(latency, "p50_ns") <= number(latency, "p9999_ns") &&
                   number(latency, "p9999_ns") <= number(latency, "worst_ns") &&
                   number(latency, "worst_ns") > 0,
               "the latencies do not rise");
}

int main(int argc, char **argv)
{
    require(argc == 2, "usage: bench-check-json FILE");
    char *text = read_all(argv[1]);
    cJSON *root = cJSON_Parse(text);
    const cJSON *item;

    require(root != NULL, "%s is not JSON", argv[1]);
    const cJSON *results = list(root, "results");

    cJSON_ArrayForEach(item, results)
    {
        check_result(item);
        if (cJSON_HasObjectItem(item, "whole_share")) {
            check_shares(item);
        }
    }
    check_complete(results);
    cJSON_ArrayForEach(item, list(root, "metadata"))
    {
        string(item, "allocator");
        require_of(item, number(item, "share") > 0, "no metadata at all");
    }
    cJSON_ArrayForEach(item, list(root, "machines"))
    {
        string(item, "allocator");
        require_of(item,
                   number(item, "nodes") >= 1 && number(item, "cpus") >= number(item, "nodes") &&
                       number(item, "init_ns") > 0 && number(item, "zonelist_bytes") > 0 &&
                       number(item, "metadata_bytes") > 0 &&
                       number(item, "metadata_bytes") < 0.01 * number(item, "bytes"),
                   "no such machine");
    }
    cJSON_ArrayForEach(item, list(root, "published"))
    {
        string(item, "allocator");
        string(item, "source");
        find(results, string(item, "case"), "quire", 1, (int)number(item, "order"));
        require_of(item, number(item, "ns_per_op") > 1 && number(item, "threads") >= 1,
                   "not a figure");
    }
    cJSON_ArrayForEach(item, list(root, "goals"))
    {
        string(item, "what");
        require_of(item, number(item, "measured") >= 0, "nothing measured");
    }
    const cJSON *machine = cJSON_GetObjectItemCaseSensitive(root, "machine");

    require_of(machine, number(machine, "cpus") >= 1 && strlen(string(machine, "cpu")) > 0,
               "no CPU");
    cJSON_Delete(root);
    free(text);
    return 0;
}
