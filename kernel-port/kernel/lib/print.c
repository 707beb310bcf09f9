/* SPDX-License-Identifier: MIT
 *
 * print.c - formatted text, see console.h.
 *
 * One formatter that hands out pieces of text; print sends them to the console, print_into to a
 * buffer.
 */
#include "kernel-port/kernel/console.h"

#include <stdint.h>

struct sink {
    char *buffer; /* NULL: the console */
    size_t room, length;
};

struct spec {
    bool left, zero, is_long;
    size_t width;
    size_t precision; /* SIZE_MAX: none */
};

static void emit(struct sink *s, const char *text, size_t n)
{
    if (!s->buffer) {
        console_write(text, n);
        return;
    }
    for (size_t i = 0; i < n && s->length + 1 < s->room; i++)
        s->buffer[s->length++] = text[i];
}

static void pad(struct sink *s, char with, size_t n)
{
    for (size_t i = 0; i < n; i++)
        emit(s, &with, 1);
}

/* `sign` and `digits` in a field. */
static void field(struct sink *s, const struct spec *spec, const char *sign, const char *digits,
                  size_t n)
{
    size_t before = sign[0] ? 1 : 0;
    size_t fill = spec->width > n + before ? spec->width - n - before : 0;

    if (!spec->left && !spec->zero)
        pad(s, ' ', fill);
    emit(s, sign, before);
    if (!spec->left && spec->zero)
        pad(s, '0', fill);
    emit(s, digits, n);
    if (spec->left)
        pad(s, ' ', fill);
}

static void number(struct sink *s, const struct spec *spec, uint64_t value, unsigned base,
                   const char *sign)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    field(s, spec, sign, digits + at, sizeof digits - at);
}

static void string(struct sink *s, struct spec *spec, const char *text)
{
    size_t n = 0;

    while (n < spec->precision && text[n])
        n++;
    spec->zero = false;
    field(s, spec, "", text, n);
}

/* The flags, width, precision and length between % and the conversion. */
static const char *parse(const char *f, struct spec *spec, va_list *args)
{
    *spec = (struct spec){.precision = SIZE_MAX};
    for (; *f == '-' || *f == '0'; f++)
        *(*f == '-' ? &spec->left : &spec->zero) = true;
    if (*f == '*') {
        int width = va_arg(*args, int);

        spec->width = width > 0 ? (size_t)width : 0;
        f++;
    }
    for (; *f >= '0' && *f <= '9'; f++)
        spec->width = spec->width * 10 + (size_t)(*f - '0');
    if (f[0] == '.' && f[1] == '*') {
        int precision = va_arg(*args, int);

        spec->precision = precision > 0 ? (size_t)precision : 0;
        f += 2;
    }
    for (; *f == 'l' || *f == 'z'; f++)
        spec->is_long = true;
    return f;
}

static void convert(struct sink *s, char conversion, struct spec *spec, va_list *args)
{
    int64_t v;

    switch (conversion) {
    case 'd':
        v = spec->is_long ? va_arg(*args, long) : va_arg(*args, int);
        number(s, spec, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10, v < 0 ? "-" : "");
        break;
    case 'u':
    case 'x':
        number(s, spec, spec->is_long ? va_arg(*args, unsigned long) : va_arg(*args, unsigned),
               conversion == 'x' ? 16 : 10, "");
        break;
    case 'p':
        emit(s, "0x", 2);
        number(s, spec, (uintptr_t)va_arg(*args, void *), 16, "");
        break;
    case 'c':
        emit(s, &(char){(char)va_arg(*args, int)}, 1);
        break;
    case 's':
        string(s, spec, va_arg(*args, const char *));
        break;
    default: /* '%'; the compiler refuses others */
        emit(s, &conversion, 1);
        break;
    }
}

static void format_to(struct sink *s, const char *f, va_list *args)
{
    while (*f) {
        const char *start = f;
        struct spec spec;

        while (*f && *f != '%')
            f++;
        emit(s, start, (size_t)(f - start));
        if (!*f)
            return;
        f = parse(f + 1, &spec, args);
        if (*f)
            convert(s, *f++, &spec, args);
    }
}

void vprint(const char *format, va_list args)
{
    struct sink s = {0};
    va_list copy;

    va_copy(copy, args); /* a va_list parameter is an array, whose address is of another type */
    format_to(&s, format, &copy);
    va_end(copy);
}

void print(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vprint(format, args);
    va_end(args);
}

size_t print_into(char *buffer, size_t bytes, const char *format, ...)
{
    struct sink s = {buffer, bytes, 0};
    va_list args;

    va_start(args, format);
    format_to(&s, format, &args);
    va_end(args);
    buffer[s.length] = '\0';
    return s.length;
}
