/* SPDX-License-Identifier: MIT
 *
 * text.c - lines, words and numbers of a text that may hold any bytes (see reader.h).
 */
#include "reader.h"

#include <stdio.h>
#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* ESC [ NUMBERS m, or K as grep has it: how long it is, or 0 if there is none. */
static size_t colour_length(struct map_span text)
{
    const char *at = text.at;

    if (text.end - at < 3 || at[0] != '\x1b' || at[1] != '[')
        return 0;
    for (at += 2; at < text.end && ((*at >= '0' && *at <= '9') || *at == ';'); at++)
        ;
    return at < text.end && (*at == 'm' || *at == 'K') ? (size_t)(at + 1 - text.at) : 0;
}

void map_skip_colours(struct map_span *span)
{
    size_t length;

    while ((length = colour_length(*span)) != 0)
        span->at += length;
}

/* Is the last thing of the line a code? Leaves its last byte to the caller. */
static bool cut_colour(struct map_span *line)
{
    const char *escape = memrchr(line->at, '\x1b', (size_t)(line->end - line->at));

    if (!escape || escape + colour_length((struct map_span){escape, line->end}) != line->end)
        return false;
    line->end = escape + 1;
    return true;
}

bool map_next_line(struct map_input *input, struct map_span *line)
{
    struct map_span *rest = &input->rest;

    if (rest->at == rest->end)
        return false;
    const char *stop = memchr(rest->at, '\n', (size_t)(rest->end - rest->at));
    line->at = rest->at;
    line->end = stop ? stop : rest->end;
    rest->at = stop ? stop + 1 : rest->end;
    map_skip_colours(line);
    while (line->end > line->at && (is_blank(line->end[-1]) || cut_colour(line)))
        line->end--;
    input->line++;
    return true;
}

int map_fail(struct map_input *input, const char *format, ...)
{
    char *text = input->error->text;
    va_list arguments;

    int used = input->line ? snprintf(text, MAP_TEXT_BYTES, "%.200s:%u: ", input->name, input->line)
                           : snprintf(text, MAP_TEXT_BYTES, "%.200s: ", input->name);
    va_start(arguments, format);
    vsnprintf(text + used, MAP_TEXT_BYTES - (size_t)used, format, arguments);
    va_end(arguments);
    return -1;
}

void map_note(struct map *map, const char *format, ...)
{
    size_t used = strlen(map->note);
    va_list arguments;

    if (used)
        used += (size_t)snprintf(map->note + used, sizeof(map->note) - used, "; ");
    if (used >= sizeof(map->note))
        return;
    va_start(arguments, format);
    vsnprintf(map->note + used, sizeof(map->note) - used, format, arguments);
    va_end(arguments);
}

const char *map_show(struct map_span span, char *text)
{
    size_t length = (size_t)(span.end - span.at);
    size_t shown = length > 40 ? 40 : length;

    memcpy(text, span.at, shown);
    for (size_t i = 0; i < shown; i++) {
        if (text[i] < ' ' || text[i] > '~')
            text[i] = '?';
    }
    memcpy(text + shown, shown < length ? "..." : "", shown < length ? 4 : 1);
    return text;
}

bool map_span_is(struct map_span span, const char *literal)
{
    return map_skip(&span, literal) && span.at == span.end;
}

bool map_skip(struct map_span *span, const char *literal)
{
    size_t length = strlen(literal);

    if ((size_t)(span->end - span->at) < length || memcmp(span->at, literal, length) != 0)
        return false;
    span->at += length;
    return true;
}

void map_skip_blanks(struct map_span *span)
{
    while (span->at < span->end && is_blank(*span->at))
        span->at++;
}

bool map_find(struct map_span *span, const char *literal)
{
    size_t length = strlen(literal);
    const char *found = memmem(span->at, (size_t)(span->end - span->at), literal, length);

    if (!found)
        return false;
    span->at = found + length;
    return true;
}

struct map_span map_word(struct map_span *span)
{
    map_skip_blanks(span);
    struct map_span word = {span->at, span->at};
    while (word.end < span->end && !is_blank(*word.end))
        word.end++;
    span->at = word.end;
    return word;
}

static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    if (c >= 'A' && c <= 'F')
        return (unsigned)(c - 'A') + 10;
    return 16;
}

enum map_number map_digits(struct map_span *span, unsigned base, uint64_t *value)
{
    const char *at = span->at;
    uint64_t sum = 0;

    for (; at < span->end && digit_value(*at) < base; at++) {
        if (__builtin_mul_overflow(sum, (uint64_t)base, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)digit_value(*at), &sum))
            return MAP_NUMBER_TOO_BIG;
    }
    if (at == span->at)
        return MAP_NUMBER_NONE;
    span->at = at;
    *value = sum;
    return MAP_NUMBER_OK;
}

enum map_number map_size(struct map_span span, uint64_t *bytes)
{
    static const char units[] = "KkMmGgTt";
    unsigned base = map_skip(&span, "0x") || map_skip(&span, "0X") ? 16 : 10;
    unsigned shift = 0;
    uint64_t value;

    enum map_number result = map_digits(&span, base, &value);
    if (result != MAP_NUMBER_OK)
        return result;
    if (span.at < span.end) {
        const char *unit = memchr(units, *span.at, sizeof(units) - 1);
        if (!unit || ++span.at != span.end)
            return MAP_NUMBER_NONE;
        shift = 10 * (unsigned)((unit - units) / 2 + 1);
    }
    if (value > UINT64_MAX >> shift)
        return MAP_NUMBER_TOO_BIG;
    *bytes = value << shift;
    return MAP_NUMBER_OK;
}

bool map_parse_size(const char *text, uint64_t *bytes)
{
    struct map_span span = {text, text + strlen(text)};

    return map_size(span, bytes) == MAP_NUMBER_OK;
}
