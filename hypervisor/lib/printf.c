/* SPDX-License-Identifier: MIT */
/*
 * vsnprintf() for messages: integers, pointers, strings, characters. No floating point, no %n.
 * A format letter that is not known is printed as it stands, and so is an unfinished one at the
 * end. On the PC the same code is built under other names, so that its test can compare it with
 * libc.
 */
#ifdef ZENDO_HOST
#include <stdarg.h>
#include <stddef.h>
int lib_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
int lib_snprintf(char *buf, size_t size, const char *fmt, ...);
#endif

#include "lib.h"

#ifdef ZENDO_HOST
#define vsnprintf lib_vsnprintf
#define snprintf lib_snprintf
#endif

struct out {
    char *buf;
    size_t size, len; /* len counts on beyond size */
};

struct spec {
    bool left, zero, plus, space, alt;
    int width;     /* 0: none */
    int precision; /* -1: none */
    int length;    /* -2 hh, -1 h, 0, 1 l and the rest */
};

static void out_char(struct out *o, char c)
{
    if (o->len < o->size)
        o->buf[o->len] = c;
    o->len++;
}

static void out_fill(struct out *o, char c, int n)
{
    while (n-- > 0)
        out_char(o, c);
}

/* Body of n characters with `prefix` (sign, 0x) before it, `zeros` between. */
static void out_field(struct out *o, const struct spec *s, const char *prefix, int zeros,
                      const char *body, int n)
{
    int pad, i;

    for (i = 0; prefix[i]; i++)
        ;
    pad = s->width - i - zeros - n;
    if (s->zero && !s->left && pad > 0) {
        zeros += pad;
        pad = 0;
    }
    if (!s->left)
        out_fill(o, ' ', pad);
    for (i = 0; prefix[i]; i++)
        out_char(o, prefix[i]);
    out_fill(o, '0', zeros);
    for (i = 0; i < n; i++)
        out_char(o, body[i]);
    if (s->left)
        out_fill(o, ' ', pad);
}

static void out_number(struct out *o, struct spec *s, uint64_t v, unsigned base, bool upper,
                       const char *prefix)
{
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char tmp[24];
    int n = 0;

    if (s->alt && base == 16 && v)
        prefix = upper ? "0X" : "0x";
    if (base == 16)
        for (; v; v >>= 4)
            tmp[sizeof(tmp) - (unsigned)++n] = digits[v & 15];
    else
        for (; v; v /= 10)
            tmp[sizeof(tmp) - (unsigned)++n] = digits[v % 10];
    if (!n && s->precision)
        tmp[sizeof(tmp) - (unsigned)++n] = '0';
    if (s->precision >= 0)
        s->zero = false; /* C99: a precision overrides the 0 flag */
    out_field(o, s, prefix, MAX(s->precision - n, 0), tmp + sizeof(tmp) - n, n);
}

static void out_signed(struct out *o, struct spec *s, int64_t v)
{
    const char *sign = v < 0 ? "-" : s->plus ? "+" : s->space ? " " : "";

    out_number(o, s, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10, false, sign);
}

static void out_string(struct out *o, struct spec *s, const char *str)
{
    size_t max = s->precision >= 0 ? (size_t)s->precision : 0x7fffffff;

    if (!str)
        str = "(null)";
    s->zero = false;
    out_field(o, s, "", 0, str, (int)strnlen(str, max));
}

static int parse_int(const char **p)
{
    int v = 0;

    for (; **p >= '0' && **p <= '9'; (*p)++)
        if (v < 100000)
            v = v * 10 + (**p - '0');
    return v;
}

static const char *parse_flags(const char *p, struct spec *s)
{
    for (;; p++) {
        if (*p == '-')
            s->left = true;
        else if (*p == '0')
            s->zero = true;
        else if (*p == '+')
            s->plus = true;
        else if (*p == ' ')
            s->space = true;
        else if (*p == '#')
            s->alt = true;
        else
            return p;
    }
}

static const char *parse_length(const char *p, struct spec *s)
{
    for (;; p++) {
        if (*p == 'h')
            s->length--;
        else if (*p == 'l' || *p == 'z' || *p == 't' || *p == 'j')
            s->length = 1; /* all of them 64 bits here */
        else
            return p;
    }
}

/* Width and precision, which `*` takes from the arguments. */
static const char *parse_sizes(const char *p, struct spec *s, va_list *ap)
{
    if (*p == '*') {
        s->width = va_arg(*ap, int);
        p++;
        if (s->width < 0) {
            s->left = true;
            s->width = -s->width;
        }
    } else {
        s->width = parse_int(&p);
    }
    s->precision = -1;
    if (*p == '.') {
        p++;
        if (*p == '*') {
            s->precision = va_arg(*ap, int);
            p++;
        } else {
            s->precision = parse_int(&p);
        }
    }
    return p;
}

static int64_t arg_signed(const struct spec *s, va_list *ap)
{
    int64_t v = s->length > 0 ? va_arg(*ap, int64_t) : va_arg(*ap, int);

    return s->length == -1 ? (int16_t)v : s->length <= -2 ? (int8_t)v : v;
}

static uint64_t arg_unsigned(const struct spec *s, va_list *ap)
{
    uint64_t v = s->length > 0 ? va_arg(*ap, uint64_t) : va_arg(*ap, unsigned);

    return s->length == -1 ? (uint16_t)v : s->length <= -2 ? (uint8_t)v : v;
}

/* One conversion; p is behind the percent sign. Returns where the text goes on. */
static const char *out_conversion(struct out *o, const char *p, va_list *ap)
{
    const char *start = p;
    struct spec s = {0};
    char c;

    p = parse_length(parse_sizes(parse_flags(p, &s), &s, ap), &s);
    switch (*p) {
    case 'd':
    case 'i':
        out_signed(o, &s, arg_signed(&s, ap));
        break;
    case 'u':
        out_number(o, &s, arg_unsigned(&s, ap), 10, false, "");
        break;
    case 'x':
    case 'X':
        out_number(o, &s, arg_unsigned(&s, ap), 16, *p == 'X', "");
        break;
    case 'p':
        s.precision = -1;
        out_number(o, &s, (uint64_t)(uintptr_t)va_arg(*ap, void *), 16, false, "0x");
        break;
    case 's':
        out_string(o, &s, va_arg(*ap, const char *));
        break;
    case 'c':
        c = (char)va_arg(*ap, int);
        s.zero = false;
        out_field(o, &s, "", 0, &c, 1);
        break;
    case '%':
        out_char(o, '%');
        break;
    default:
        out_char(o, '%');
        return start;
    }
    return p + 1;
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
    struct out o = {.buf = buf, .size = size};
    va_list args;

    va_copy(args, ap);
    while (*fmt) {
        if (*fmt == '%')
            fmt = out_conversion(&o, fmt + 1, &args);
        else
            out_char(&o, *fmt++);
    }
    va_end(args);
    if (size)
        buf[MIN(o.len, size - 1)] = 0;
    return (int)o.len;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(buf, size, fmt, ap);
    va_end(ap);
    return n;
}
